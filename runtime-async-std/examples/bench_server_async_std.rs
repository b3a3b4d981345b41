//! The server that load is put on.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example bench_server_async_std -- --port P [--threads N]
//! ```

use std::io;

use async_std::task;
use sockeye_async_std as sockeye;

use crate::sockeye::prelude::*;

#[path = "../../runtime-tokio/examples/shared/bench.rs"]
mod bench;

fn main() -> io::Result<()> {
    // async-std's executor is set up when it is first used.
    let threads = bench::option("--threads").unwrap_or(1);
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default().with_min_threads(threads).with_max_threads(threads),
    );
    task::block_on(async {
        let listening = bench::server().listen(("127.0.0.1", bench::option("--port").unwrap_or(3000))).await?;
        println!("listening on {}", listening.local_addr());
        listening.closed().await;
        Ok(())
    })
}
