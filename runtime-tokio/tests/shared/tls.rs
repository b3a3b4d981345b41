//! What the TLS tests of both runtimes do, with blocking clients. `sockeye` is the crate of the runtime.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure ends the test")]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use tungstenite::{Message as Frame, WebSocket, protocol::Role};

use super::sockeye::{
    prelude::*,
    rustls::{ClientConfig, ClientConnection, StreamOwned},
};

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a client has for its TLS handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(2);

/// A server that tells its clients whether they came through TLS.
pub(crate) fn server() -> Server {
    let io =
        Server::new(Config { limits: Limits { header_timeout: HANDSHAKE, ..Limits::default() }, ..Config::default() });
    io.on_connect(async |socket: Socket| socket.emit("secure", &socket.handshake().secure()));
    io
}

/// Drives the server. Blocks.
pub(crate) fn drive(address: SocketAddr, config: &Arc<ClientConfig>) {
    // Two that bring no TLS: one says nothing, one speaks HTTP.
    let mut silent = connect(address);
    let plain = thread::spawn(move || {
        let mut plain = connect(address);
        plain.write_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let end = plain.read_to_end(&mut answer).map(drop);
        assert_dropped(end);
        answer
    });

    // Others are served meanwhile. Polling:
    let opened = request(address, config, "GET", "/socket.io/?EIO=4&transport=polling", "");
    assert!(opened.starts_with("HTTP/1.1 200 OK\r\n"), "{opened}");
    let (_, sid) = opened.split_once(r#"0{"sid":""#).unwrap();
    let session = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid.split_once('"').unwrap().0);
    assert!(request(address, config, "POST", &session, "40").ends_with("\r\n\r\nok"));
    let connected = request(address, config, "GET", &session, "");
    assert!(connected.ends_with(r#"42["secure",true]"#), "{connected}");
    assert!(request(address, config, "POST", &session, "1").ends_with("\r\n\r\nok"));

    // WebSocket:
    let mut websocket = websocket(address, config);
    assert!(websocket.read().unwrap().into_text().unwrap().starts_with(r#"0{"sid":""#));
    websocket.send(Frame::text("40")).unwrap();
    assert!(websocket.read().unwrap().into_text().unwrap().starts_with(r#"40{"sid":""#));
    assert_eq!(websocket.read().unwrap(), Frame::text(r#"42["secure",true]"#));

    // An alert of TLS, or nothing, but no answer.
    let answer = plain.join().unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // Dropped once its time is over.
    assert_dropped(silent.read(&mut [0; 1]).map(|count| assert_eq!(count, 0)));
    websocket.close(None).unwrap();
    while websocket.read().is_ok() {}
}

/// The server has ended a connection; by a reset where it has not read all.
fn assert_dropped(end: io::Result<()>) {
    if let Err(error) = end {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let connection = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, connect(address))
}

/// One request on a connection of its own, and all of the answer.
fn request(address: SocketAddr, config: &Arc<ClientConfig>, method: &str, target: &str, body: &str) -> String {
    let mut stream = connect_tls(address, config);
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    // An error if TLS does not say goodbye behind the answer (RFC 8446, 6.1).
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn websocket(address: SocketAddr, config: &Arc<ClientConfig>) -> WebSocket<StreamOwned<ClientConnection, TcpStream>> {
    let mut stream = connect_tls(address, config);
    stream
        .write_all(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
              upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    WebSocket::from_raw_socket(stream, Role::Client, None)
}
