//! Connecting to a server.

use crate::TokioRuntime;

sockeye_driver::connect! {
    crate: "sockeye_tokio",
    runtime: TokioRuntime::new(),
    block_on: "tokio::runtime::Runtime::new().unwrap().block_on"
}
