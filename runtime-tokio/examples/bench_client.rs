//! The client that `tests/bench/run.mjs` measures.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example bench_client -- --url http://127.0.0.1:3000 [--scenario echo] [--clients 100]
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/bench.rs"]
#[expect(dead_code, reason = "its server is not for here")]
mod bench;
#[path = "shared/bench_client.rs"]
mod shared;

fn main() -> Result<(), sockeye::BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(shared::run())
}
