//! The client that Autobahn tests.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example autobahn -- --url http://127.0.0.1:9001
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/autobahn.rs"]
mod shared;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    shared::run(&sockeye::TcpConnector::default(), "sockeye-tokio").await
}
