//! Listening on a port.

use async_std::net::ToSocketAddrs;

use crate::AsyncStdRuntime;

sockeye_driver::listen! {
    crate: "sockeye_async_std",
    runtime: AsyncStdRuntime,
    block_on: "async_std::task::block_on",
    address: impl ToSocketAddrs<Iter: Send> + Send
}
