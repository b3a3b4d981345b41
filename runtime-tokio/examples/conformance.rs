//! The conformance server of the test suites: `/` sends events and acknowledgements back, `/custom` tells what it got as
//! `auth`; with `--engine`, it is Engine.IO alone and sends every message back; with `--recovery`, lost
//! connections are recovered within two minutes.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example conformance -- --port 3000 [--engine] [--recovery]
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/conformance.rs"]
mod conformance;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    conformance::run().await
}
