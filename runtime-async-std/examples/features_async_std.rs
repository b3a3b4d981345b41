//! The features server of the test suites: the same program as on tokio.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example features_async_std -- --port 3000
//! ```

use async_signal::{Signal, Signals};
use async_std::{stream::StreamExt, task};
use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/features.rs"]
mod features;

fn main() -> Result<(), sockeye::BoxError> {
    let mut terminate = Signals::new([Signal::Term])?;
    task::block_on(features::run(async { _ = terminate.next().await }))
}
