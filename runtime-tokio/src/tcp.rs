//! Connections over TCP.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use hyper_util::rt::TokioIo;
use sockeye_driver::Listener;
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host as lookup};

/// A TCP port. Accepted connections have `TCP_NODELAY` set: packets are small, and written when they are complete.
///
/// [`Listen::listen`](crate::Listen::listen) makes one; for a socket of your own there is [`from_std`](Self::from_std).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use sockeye_tokio::{Listener as _, TcpListener};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
}

sockeye_driver::tcp_listener! {
    crate: "sockeye_tokio",
    block_on: "tokio::runtime::Runtime::new().unwrap().block_on",
    address: (impl ToSocketAddrs),
    note: "It must be called in a tokio runtime whose I/O is enabled, and panics elsewhere."
}

impl TcpListener {
    fn open(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self { inner: tokio::net::TcpListener::from_std(listener)? })
    }
}

impl Listener for TcpListener {
    // Reading through it costs one `recv` per wake-up: tokio takes a short read for the end of what there is.
    type Stream = TokioIo<TcpStream>;
    type Handshake = Ready<io::Result<Self::Stream>>;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        let (stream, peer) = ready!(self.inner.poll_accept(context))?;
        // A failure here concerns this connection alone.
        Poll::Ready(Ok((ready(stream.set_nodelay(true).map(|()| TokioIo::new(stream))), peer)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[cfg(test)]
#[path = "../tests/shared/tcp_listener.rs"]
mod tests;
