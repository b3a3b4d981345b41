//! The server that load is put on.
//!
//! ```text
//! cargo run --release -p sockeye-tokio --example bench_server -- --port P [--threads N]
//! ```

use std::io;

use sockeye_tokio as sockeye;

use crate::sockeye::prelude::*;

#[path = "shared/bench.rs"]
mod bench;

fn main() -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = bench::option("--threads") {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(async {
        let listening = bench::server().listen(("127.0.0.1", bench::option("--port").unwrap_or(3000))).await?;
        println!("listening on {}", listening.local_addr());
        listening.closed().await;
        Ok(())
    })
}
