//! The API, step by step: the server half of a tour, which prints what happens. The client half is
//! `tests/js/tour.test.mjs`.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example tour -- --port 3000
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/tour.rs"]
mod tour;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    tour::run().await
}
