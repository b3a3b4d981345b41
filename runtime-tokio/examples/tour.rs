//! The API, step by step: a server and clients in one process, which print what happens.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example tour
//! ```
//!
//! With `--port 3000` it is the server alone. `tests/js/tour.test.mjs` is a client of that one in JavaScript.

use sockeye_tokio as sockeye;

#[path = "shared/tour/mod.rs"]
mod tour;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    tour::run().await
}
