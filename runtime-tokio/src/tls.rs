//! Connections over TLS.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use sockeye_driver::Secured;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use crate::TcpListener;

/// A TCP port whose connections are encrypted. [`Listen::listen_tls`](crate::Listen::listen_tls) makes one.
///
/// ```
/// # use std::sync::Arc;
/// # use sockeye_tokio::rustls;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let certificates = vec![certified.cert.der().clone()];
/// # let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
/// # let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
/// use sockeye_tokio::{Listener as _, TcpListener, TlsListener, secure};
///
/// let listener: TlsListener = secure(TcpListener::bind("127.0.0.1:0").await?, Arc::new(config));
/// assert!(listener.is_secure());
/// # Ok(())
/// # }
/// ```
pub type TlsListener = Secured<TcpListener, TokioIo<TlsStream<TcpStream>>>;

/// Encrypts the connections of a port. If the configuration names protocols (ALPN), they must be `http/1.1` alone:
/// that is what is spoken here, and where a WebSocket begins (RFC 6455, 4.1). A handshake that fails concerns its
/// connection alone.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sockeye_tokio::rustls::pki_types::PrivateKeyDer;
/// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let certificates = vec![certified.cert.der().clone()];
/// # let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
/// use sockeye_tokio::{Serve as _, TcpListener, TokioRuntime, prelude::*, rustls::ServerConfig, secure};
///
/// let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
/// config.alpn_protocols = vec![b"http/1.1".to_vec()];
/// let inherited = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
///
/// let io = Server::new(Config::default());
/// let listening = io.serve(Arc::new(TokioRuntime::new()), secure(inherited, Arc::new(config)))?;
/// # listening.shutdown(Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
pub fn secure(tcp: TcpListener, config: Arc<ServerConfig>) -> TlsListener {
    let acceptor = TlsAcceptor::from(config);
    Secured::new(tcp, move |stream: TokioIo<TcpStream>| {
        let handshake = acceptor.accept(stream.into_inner());
        Box::pin(async move { handshake.await.map(TokioIo::new) })
    })
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io};

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
