//! TCP.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use sockeye_driver::{BACKLOG, Listener};
use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs};

/// Accepts TCP connections, with `TCP_NODELAY` set.
#[derive(Debug)]
pub struct TcpListener(tokio::net::TcpListener);

impl TcpListener {
    /// Listens on the first of the addresses that can be listened on.
    ///
    /// # Errors
    ///
    /// What the operating system says of the last of them.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        for address in tokio::net::lookup_host(address).await? {
            match listen(address) {
                Ok(listener) => return Ok(Self(listener)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Takes over a listener.
    pub fn new(listener: tokio::net::TcpListener) -> Self {
        Self(listener)
    }

    /// The next connection.
    pub(crate) fn accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.0.poll_accept(cx).map(|accepted| {
            let (stream, address) = accepted?;
            // Packets are written whole: waiting for more of them only adds latency.
            stream.set_nodelay(true)?;
            Ok((stream, address))
        })
    }
}

impl Listener for TcpListener {
    type Stream = TokioIo<TcpStream>;
    type Handshake = Ready<io::Result<Self::Stream>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        self.accept(cx).map_ok(|(stream, address)| (ready(Ok(TokioIo::new(stream))), address))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started again must not wait for the connections of the one before to be forgotten.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
