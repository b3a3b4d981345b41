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
mod tests {
    use std::future::poll_fn;

    use sockeye_driver::Listener as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::test_util::tls_pair;

    #[tokio::test]
    async fn encrypts() {
        let (config, connector, name) = tls_pair();
        let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
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
        let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
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
