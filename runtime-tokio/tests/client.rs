//! Our client and our server over loopback.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a failure ends the test")]

use sockeye_tokio as sockeye;

#[path = "shared/client.rs"]
mod client;

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}
