//! The unit tests of both runtimes' `TcpListener`, with blocking clients.

use std::{
    future::poll_fn,
    io::{self, Write as _},
    net::{Shutdown, TcpStream},
    task::Poll,
};

use hyper::rt::Write;
use sockeye_driver::Listener as _;

use super::TcpListener;
use crate::test_util::{block_on, has_nodelay, read_to_end};

#[test]
fn accepts_with_nodelay_on_a_port_of_the_systems_choice() {
    block_on(async {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert!(!listener.is_secure());

        let pending = poll_fn(|context| Poll::Ready(listener.poll_accept(context).is_pending()));
        assert!(pending.await);
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).unwrap();
            let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let mut stream = handshake.await.unwrap();
            assert!(has_nodelay(&stream));
            assert!(Write::is_write_vectored(&stream));

            client.write_all(b"hello").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_to_end(&mut stream).await, b"hello");
        }
    });
}

#[test]
fn tells_why_it_cannot_bind() {
    block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(TcpListener::bind("no port").await.is_err());
    });
}
