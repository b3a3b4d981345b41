//! The client that `tests/bench/run.mjs` measures.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example bench_client_async_std -- --url http://127.0.0.1:3000 [--scenario echo]
//! ```

use async_std::task;
use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/bench.rs"]
#[expect(dead_code, reason = "its server is not for here")]
mod bench;
#[path = "../../runtime-tokio/examples/shared/bench_client.rs"]
mod shared;

fn main() -> Result<(), sockeye::BoxError> {
    // async-std's executor is set up when it is first used.
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default().with_min_threads(1).with_max_threads(1),
    );
    task::block_on(shared::run())
}
