//! Connections over TLS.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper_util::rt::TokioIo;
use sockeye_driver::{BoxFuture, Listener};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use crate::TcpListener;

/// A TCP port whose connections are encrypted. [`Listen::listen_tls`](crate::Listen::listen_tls) makes one.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Encrypts the connections of a port. If the configuration names protocols (ALPN), they must be `http/1.1` alone.
    #[must_use]
    pub fn new(tcp: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self { tcp, acceptor: config.into() }
    }
}

impl Listener for TlsListener {
    type Stream = TokioIo<TlsStream<TcpStream>>;
    type Handshake = BoxFuture<io::Result<Self::Stream>>;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        let (stream, peer) = ready!(self.tcp.poll_connection(context))?;
        let acceptor = self.acceptor.clone();
        let handshake = Box::pin(async move { acceptor.accept(stream?).await.map(TokioIo::new) });
        Poll::Ready(Ok((handshake, peer)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    fn is_secure(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::test_util::tls_pair;

    #[tokio::test]
    async fn encrypts() {
        let (config, connector, name) = tls_pair();
        let mut listener = TlsListener::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
        let address = listener.local_addr().unwrap();
        assert!(listener.is_secure());

        let client = tokio::spawn(async move {
            let tcp = TcpStream::connect(address).await.unwrap();
            let own = tcp.local_addr().unwrap();
            let mut tls = connector.connect(name, tcp).await.unwrap();
            tls.write_all(b"hello").await.unwrap();
            tls.shutdown().await.unwrap();
            let mut answer = String::new();
            tls.read_to_string(&mut answer).await.unwrap();
            (own, answer)
        });

        let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        let mut stream = handshake.await.unwrap().into_inner();
        assert!(stream.get_ref().0.nodelay().unwrap());
        let mut received = String::new();
        stream.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "hello");
        stream.write_all(b"and back").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(client.await.unwrap(), (peer, "and back".into()));
    }

    #[tokio::test]
    async fn a_failed_handshake_concerns_one_connection() {
        let (config, connector, name) = tls_pair();
        let mut listener = TlsListener::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
        let address = listener.local_addr().unwrap();

        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        assert_eq!(handshake.await.unwrap_err().kind(), io::ErrorKind::InvalidData);

        let client = tokio::spawn(async move {
            connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
        });
        let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        handshake.await.unwrap();
        client.await.unwrap();
    }
}
