//! What the tests of several modules need.

use std::{future::Future, time::Duration};

use crate::TcpStream;

#[path = "../../runtime-tokio/tests/shared/unit.rs"]
mod shared;

pub(crate) use self::shared::*;

/// Runs a test, which fails if it hangs.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    async_std::task::block_on(async_std::future::timeout(Duration::from_secs(30), test)).expect("it hangs")
}

pub(crate) fn has_nodelay(stream: &TcpStream) -> bool {
    stream.get_ref().nodelay().unwrap()
}

#[cfg(feature = "tls")]
pub(crate) fn has_nodelay_inside(stream: &crate::FuturesIo<futures_rustls::server::TlsStream<TcpStream>>) -> bool {
    has_nodelay(stream.get_ref().get_ref().0)
}
