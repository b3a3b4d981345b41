//! Connections over TLS.

use std::io;

use futures_rustls::{TlsAcceptor, server::TlsStream};

use crate::{FuturesIo, TcpListener, TcpStream};

sockeye_driver::tls_listener! {
    crate: "sockeye_async_std",
    runtime: "sockeye_async_std::AsyncStdRuntime",
    block_on: "async_std::task::block_on",
    stream: FuturesIo<TlsStream<TcpStream>>
}

async fn accept(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<FuturesIo<TlsStream<TcpStream>>> {
    acceptor.accept(stream).await.map(FuturesIo::new)
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::Pin};

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
