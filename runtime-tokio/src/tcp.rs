//! Connections over TCP.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use hyper_util::rt::TokioIo;
use sockeye_driver::{Listener, bind_tcp};
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};

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

impl TcpListener {
    /// Listens on this address, the first that works if it resolves to several; see [`bind_tcp`]. Port 0 has the system
    /// choose one, which [`local_addr`](Listener::local_addr) then tells.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::net::SocketAddr;
    /// use sockeye_tokio::{Listener as _, TcpListener};
    ///
    /// let any = SocketAddr::from(([127, 0, 0, 1], 0));
    /// let first = TcpListener::bind(any).await?;
    /// let taken = first.local_addr()?;
    /// let second = TcpListener::bind(&[taken, any][..]).await?; // The second address, since the first is taken.
    /// assert_ne!(second.local_addr()?, taken);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The address does not resolve, or cannot be bound.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_std(bind_tcp(lookup_host(address).await?)?)
    }

    /// Takes a listener over that somebody else has bound: the service manager, or a program with options of its own.
    /// It must be called in a tokio runtime whose I/O is enabled, and panics elsewhere.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sockeye_tokio::{Listener as _, TcpListener};
    ///
    /// let bound = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = bound.local_addr()?;
    /// assert_eq!(TcpListener::from_std(bound)?.local_addr()?, address);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
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
