//! Connections over TCP.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use async_std::net::ToSocketAddrs;
use sockeye_driver::Listener;

use crate::{readiness::Readiness, source::Source};

mod stream;

pub use stream::TcpStream;

/// A TCP port. Accepted connections have `TCP_NODELAY` set: packets are small, and written when they are complete.
///
/// [`Listen::listen`](crate::Listen::listen) makes one; for a socket of your own there is [`from_std`](Self::from_std).
///
/// ```
/// # async_std::task::block_on(async {
/// use sockeye_async_std::{Listener as _, TcpListener};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok::<_, std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpListener {
    inner: Source<std::net::TcpListener>,
    readiness: Readiness,
}

sockeye_driver::tcp_listener! {
    crate: "sockeye_async_std",
    block_on: "async_std::task::block_on",
    address: (impl ToSocketAddrs),
    note: ""
}

impl TcpListener {
    fn open(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self { inner: Source::new(listener)?, readiness: Readiness::new() })
    }
}

async fn lookup(address: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    address.to_socket_addrs().await
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Handshake = Ready<io::Result<TcpStream>>;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        let Self { inner, readiness } = self;
        let accepted = readiness.poll(|| inner.poll_readable(context), || inner.get_ref().accept(), |_| false);
        let (stream, peer) = ready!(accepted)?;
        // A failure here concerns this connection alone.
        let stream = stream.set_nodelay(true).and_then(|()| TcpStream::from_std(stream));
        Poll::Ready(Ok((ready(stream), peer)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().local_addr()
    }
}

#[cfg(test)]
#[path = "../../runtime-tokio/tests/shared/tcp_listener.rs"]
mod tests;
