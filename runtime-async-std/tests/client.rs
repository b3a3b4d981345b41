//! Our client and our server over loopback.
#![cfg(feature = "tls")]

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/tests/shared/client.rs"]
mod client;

fn block_on(test: impl Future<Output = ()>) {
    async_std::task::block_on(test);
}
