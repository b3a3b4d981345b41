//! Connections over TLS.

use std::sync::Arc;

use futures_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use sockeye_driver::Secured;

use crate::{FuturesIo, TcpListener, TcpStream};

/// A TCP port whose connections are encrypted. [`Listen::listen_tls`](crate::Listen::listen_tls) makes one.
///
/// ```
/// # use std::sync::Arc;
/// # use sockeye_async_std::rustls;
/// # async_std::task::block_on(async {
/// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let certificates = vec![certified.cert.der().clone()];
/// # let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
/// # let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
/// use sockeye_async_std::{Listener as _, TcpListener, TlsListener, secure};
///
/// let listener: TlsListener = secure(TcpListener::bind("127.0.0.1:0").await?, Arc::new(config));
/// assert!(listener.is_secure());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type TlsListener = Secured<TcpListener, FuturesIo<TlsStream<TcpStream>>>;

/// Encrypts the connections of a port. If the configuration names protocols (ALPN), they must be `http/1.1` alone:
/// that is what is spoken here, and where a WebSocket begins (RFC 6455, 4.1). A handshake that fails concerns its
/// connection alone.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # async_std::task::block_on(async {
/// # use sockeye_async_std::rustls::pki_types::PrivateKeyDer;
/// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let certificates = vec![certified.cert.der().clone()];
/// # let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
/// use sockeye_async_std::{AsyncStdRuntime, Serve as _, TcpListener, prelude::*, rustls::ServerConfig, secure};
///
/// let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
/// config.alpn_protocols = vec![b"http/1.1".to_vec()];
/// let inherited = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
///
/// let io = Server::new(Config::default());
/// let listening = io.serve(Arc::new(AsyncStdRuntime), secure(inherited, Arc::new(config)))?;
/// # listening.shutdown(Duration::from_secs(1)).await;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn secure(tcp: TcpListener, config: Arc<ServerConfig>) -> TlsListener {
    let acceptor = TlsAcceptor::from(config);
    Secured::new(tcp, move |stream| {
        let handshake = acceptor.accept(stream);
        Box::pin(async move { handshake.await.map(FuturesIo::new) })
    })
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io, pin::Pin};

    use async_std::{net, task};
    use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
    use hyper::rt::{Read, ReadBuf};
    use sockeye_driver::Listener as _;

    use super::*;
    use crate::test_util::{block_on, tls_pair};

    #[test]
    fn encrypts() {
        block_on(async {
            let (config, connector, name) = tls_pair();
            let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
            let address = listener.local_addr().unwrap();
            assert!(listener.is_secure());

            let client = task::spawn(async move {
                let tcp = net::TcpStream::connect(address).await.unwrap();
                let own = tcp.local_addr().unwrap();
                let mut tls = connector.connect(name, tcp).await.unwrap();
                tls.write_all(b"hello").await.unwrap();
                tls.close().await.unwrap();
                let mut answer = String::new();
                tls.read_to_string(&mut answer).await.unwrap();
                (own, answer)
            });

            let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
            let mut stream = handshake.await.unwrap();
            assert!(stream.get_ref().get_ref().0.get_ref().nodelay().unwrap());
            let mut memory = [0; 64];
            let mut received = ReadBuf::new(&mut memory);
            while received.filled() != b"hello" {
                let read = poll_fn(|context| Pin::new(&mut stream).poll_read(context, received.unfilled()));
                read.await.unwrap();
            }
            poll_fn(|context| Pin::new(&mut stream).poll_read(context, received.unfilled())).await.unwrap();
            assert_eq!(received.filled(), b"hello");
            let mut stream = stream.into_inner();
            stream.write_all(b"and back").await.unwrap();
            stream.close().await.unwrap();
            assert_eq!(client.await, (peer, "and back".into()));
        });
    }

    #[test]
    fn a_failed_handshake_concerns_one_connection() {
        block_on(async {
            let (config, connector, name) = tls_pair();
            let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
            let address = listener.local_addr().unwrap();

            let mut plain = net::TcpStream::connect(address).await.unwrap();
            plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
            assert_eq!(handshake.await.unwrap_err().kind(), io::ErrorKind::InvalidData);

            let client = task::spawn(async move {
                connector.connect(name, net::TcpStream::connect(address).await.unwrap()).await.unwrap();
            });
            let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
            handshake.await.unwrap();
            client.await;
        });
    }
}
