//! Connections over TLS.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::TcpListener;

sockeye_driver::tls_listener! {
    crate: "sockeye_tokio",
    runtime: "sockeye_tokio::TokioRuntime::new()",
    block_on: "tokio::runtime::Runtime::new().unwrap().block_on",
    stream: TokioIo<TlsStream<TcpStream>>
}

async fn accept(acceptor: TlsAcceptor, stream: TokioIo<TcpStream>) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    acceptor.accept(stream.into_inner()).await.map(TokioIo::new)
}

#[cfg(test)]
#[path = "../tests/shared/tls_listener.rs"]
mod tests;
