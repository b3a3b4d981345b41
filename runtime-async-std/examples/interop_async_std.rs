//! The interop server of the test suites with the official client: the same program as on tokio.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example interop_async_std -- --port 3000
//! ```

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/interop.rs"]
mod interop;

fn main() -> Result<(), sockeye::BoxError> {
    async_std::task::block_on(interop::run())
}
