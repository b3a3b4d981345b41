//! Listening on a port.

use tokio::net::ToSocketAddrs;

use crate::TokioRuntime;

sockeye_driver::listen! {
    crate: "sockeye_tokio",
    runtime: TokioRuntime::new(),
    block_on: "tokio::runtime::Runtime::new().unwrap().block_on",
    address: impl ToSocketAddrs + Send
}
