//! The interop server of the test suites with the official client: see `tests/js/README.md`.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example interop -- --port 3000
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/interop.rs"]
mod interop;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    interop::run().await
}
