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
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn accepts_with_nodelay_on_a_port_of_the_systems_choice() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert!(!listener.is_secure());

        let mut client = TcpStream::connect(address).await.unwrap();
        let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let mut stream = handshake.await.unwrap();
        assert!(stream.inner().nodelay().unwrap());
        assert!(hyper::rt::Write::is_write_vectored(&stream));

        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = String::new();
        stream.inner_mut().read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "hello");
    }

    #[tokio::test]
    async fn tells_why_it_cannot_bind() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(TcpListener::bind("no port").await.is_err());
    }
}
