//! Connections over TLS.

use std::io;

use futures_rustls::{TlsAcceptor, server::TlsStream};

use crate::{FuturesIo, TcpListener, TcpStream};

sockeye_driver::tls_listener! {
    crate: "sockeye_async_std",
    runtime: "sockeye_async_std::AsyncStdRuntime",
    block_on: "async_std::task::block_on",
    stream: FuturesIo<TlsStream<TcpStream>>
}

async fn accept(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<FuturesIo<TlsStream<TcpStream>>> {
    acceptor.accept(stream).await.map(FuturesIo::new)
}

#[cfg(test)]
#[path = "../../runtime-tokio/tests/shared/tls_listener.rs"]
mod tests;
