//! What the tests of several modules need.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

#[path = "../tests/shared/unit.rs"]
mod shared;

pub(crate) use self::shared::*;

/// Runs a test, which fails if it hangs.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let within = async { timeout(Duration::from_secs(30), test).await };
    Runtime::new().unwrap().block_on(within).expect("it hangs")
}

pub(crate) fn has_nodelay(stream: &TokioIo<TcpStream>) -> bool {
    stream.inner().nodelay().unwrap()
}

#[cfg(feature = "tls")]
pub(crate) fn has_nodelay_inside(stream: &TokioIo<tokio_rustls::server::TlsStream<TcpStream>>) -> bool {
    stream.inner().get_ref().0.nodelay().unwrap()
}
