//! The conformance server of the test suites: the same program as on tokio.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example conformance_async_std -- --port 3000 [--engine] [--recovery]
//! ```

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/conformance.rs"]
mod conformance;

fn main() -> Result<(), sockeye::BoxError> {
    async_std::task::block_on(conformance::run())
}
