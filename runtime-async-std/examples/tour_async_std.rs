//! The API, step by step: the same program as on tokio.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example tour_async_std
//! ```

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/tour/mod.rs"]
mod tour;

fn main() -> Result<(), sockeye::BoxError> {
    async_std::task::block_on(tour::run())
}
