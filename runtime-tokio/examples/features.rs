//! The features server of the test suites: see `tests/js/README.md`. SIGTERM shuts it down.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example features -- --port 3000
//! ```

use sockeye_tokio as sockeye;
use tokio::signal::unix::{SignalKind, signal};

#[path = "shared/features.rs"]
mod features;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    let mut terminate = signal(SignalKind::terminate())?;
    features::run(async { _ = terminate.recv().await }).await
}
