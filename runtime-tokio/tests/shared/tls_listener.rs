//! The unit tests of both runtimes' `secure`, with blocking clients.

use std::{
    future::poll_fn,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    sync::Arc,
    thread,
};

use hyper::rt::Write;
use sockeye_driver::Listener as _;

use super::secure;
use crate::{
    TcpListener,
    rustls::{ClientConfig, ClientConnection, StreamOwned},
    test_util::{block_on, certificate, has_nodelay_inside, read_to_end},
};

/// A client that says hello and that it will say no more. Its address, and what the server answers.
fn say_hello(address: SocketAddr, config: Arc<ClientConfig>) -> (SocketAddr, String) {
    let connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(b"hello").unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (stream.sock.local_addr().unwrap(), answer)
}

#[test]
fn encrypts() {
    block_on(async {
        let (config, client) = certificate::configs();
        let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
        let address = listener.local_addr().unwrap();
        assert!(listener.is_secure());
        let client = thread::spawn(move || say_hello(address, client));

        let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        let mut stream = handshake.await.unwrap();
        assert!(has_nodelay_inside(&stream));
        assert_eq!(read_to_end(&mut stream).await, b"hello");
        // As much as this fits at once.
        let written = poll_fn(|context| Pin::new(&mut stream).poll_write(context, b"and back")).await;
        assert_eq!(written.unwrap(), 8);
        poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.unwrap();
        assert_eq!(client.join().unwrap(), (peer, "and back".into()));
    });
}

#[test]
fn a_failed_handshake_concerns_one_connection() {
    block_on(async {
        let (config, client) = certificate::configs();
        let mut listener = secure(TcpListener::bind("127.0.0.1:0").await.unwrap(), config);
        let address = listener.local_addr().unwrap();

        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        assert_eq!(handshake.await.unwrap_err().kind(), io::ErrorKind::InvalidData);

        let client = thread::spawn(move || say_hello(address, client));
        let (handshake, _) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
        let mut stream = handshake.await.unwrap();
        poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.unwrap();
        assert_eq!(client.join().unwrap().1, "");
    });
}
