//! Connecting to a server.

use crate::AsyncStdRuntime;

sockeye_driver::connect! {
    crate: "sockeye_async_std",
    runtime: AsyncStdRuntime,
    block_on: "async_std::task::block_on"
}
