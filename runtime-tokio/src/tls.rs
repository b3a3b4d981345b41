//! TLS, by rustls.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use sockeye_driver::Listener;
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use crate::TcpListener;

/// Accepts TLS connections.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// TLS on top of a TCP listener.
    pub fn new(tcp: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self { tcp, acceptor: config.into() }
    }
}

impl Listener for TlsListener {
    type Stream = TokioIo<TlsStream<TcpStream>>;
    type Handshake = TlsHandshake;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TlsHandshake, SocketAddr)>> {
        let accepted = self.tcp.accept(cx);
        accepted.map_ok(|(stream, address)| (TlsHandshake(self.acceptor.accept(stream)), address))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    fn is_secure(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsListener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

/// A TLS handshake.
pub struct TlsHandshake(Accept<TcpStream>);

impl Future for TlsHandshake {
    type Output = io::Result<TokioIo<TlsStream<TcpStream>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(TokioIo::new)
    }
}
