//! Socket.IO mounted in somebody else's HTTP server: axum, and plain hyper. Both are driven by raw bytes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure ends the test")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use sockeye_tokio::{Peer, prelude::*};
use tokio::net::TcpListener;
use tower_layer::Layer as _;
use tungstenite::{Message as Frame, WebSocket, protocol::Role};

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_axum() {
    let io = echo();
    let app = Router::new().route("/", get(async || "home")).layer(io.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    drive(io, address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_hyper() {
    let io = echo();
    let service = TowerToHyperService::new(io.layer().layer(Home));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()).with_upgrades());
        }
    });
    drive(io, address).await;
}

/// What another route does with its byte streams is no business of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_route_upgrades_its_own_requests() {
    let io = echo();
    let other = async |mut request: axum::extract::Request| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"theirs").await.unwrap();
        });
        let response = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "other");
        response.body(axum::body::Body::empty()).unwrap()
    };
    let app: Router = Router::new().route("/other", get(other)).layer(io.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        stream.write_all(b"GET /other HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\ntheirs"), "{answer}");
    io.shutdown(PATIENCE).await;
}

/// `axum::serve` does not say who connects; a layer in front may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_in_the_extensions_is_the_address() {
    let io = echo();
    let peer = Peer { address: Some(([192, 0, 2, 1], 7).into()), secure: true };
    let app: Router = Router::new().layer(io.layer()).layer(axum::Extension(peer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    let told = tokio::task::spawn_blocking(move || {
        let mut websocket = websocket(address);
        told_where_from(&mut websocket)
    });
    assert_eq!(told.await.unwrap(), r#"42["from","192.0.2.1:7",true]"#);
    io.shutdown(PATIENCE).await;
}

/// Tells each client where it comes from, and sends back what it sends.
fn echo() -> Server {
    let io = Server::new(Config::default());
    io.on_connect(async |socket: Socket| {
        let handshake = socket.handshake();
        socket.emit("from", &(handshake.address(), handshake.secure()))
    });
    io.on("echo", async |socket: Socket, args: RawArgs| socket.emit("echo", &args));
    io
}

/// What is beside Socket.IO in hyper.
#[derive(Clone)]
struct Home;

impl tower_service::Service<Request<Incoming>> for Home {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut response = Response::new(String::from("home"));
        if request.uri().path() != "/" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        ready(Ok(response))
    }
}

/// What holds wherever the server is mounted.
async fn drive(io: Server, address: SocketAddr) {
    let echoed = tokio::task::spawn_blocking(move || {
        // Polling.
        let opened = request(address, "GET", "/socket.io/?EIO=4&transport=polling", "");
        assert!(opened.starts_with("HTTP/1.1 200 OK\r\n"), "{opened}");
        let (_, sid) = opened.split_once(r#"0{"sid":""#).unwrap();
        let session = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid.split_once('"').unwrap().0);
        assert!(request(address, "POST", &session, "40").ends_with("\r\n\r\nok"));
        let connected = request(address, "GET", &session, "");
        assert!(connected.contains("\r\n\r\n40{") && connected.ends_with(r#"42["from",null,false]"#), "{connected}");
        assert!(request(address, "POST", &session, r#"42["echo","over polling",1]"#).ends_with("\r\n\r\nok"));
        assert!(request(address, "GET", &session, "").ends_with(r#"42["echo","over polling",1]"#));
        assert!(request(address, "POST", &session, "1").ends_with("\r\n\r\nok"));
        assert!(request(address, "GET", &session, "").contains("Session ID unknown"));

        // WebSocket, with binary.
        let mut websocket = websocket(address);
        assert_eq!(told_where_from(&mut websocket), r#"42["from",null,false]"#);
        let text = r#"451-["echo",{"_placeholder":true,"num":0}]"#;
        websocket.send(Frame::text(text)).unwrap();
        websocket.send(Frame::binary(Bytes::from_static(b"\x00\x01"))).unwrap();
        assert_eq!(websocket.read().unwrap(), Frame::text(text));
        assert_eq!(websocket.read().unwrap(), Frame::binary(Bytes::from_static(b"\x00\x01")));

        // What is beside it.
        assert!(request(address, "GET", "/", "").ends_with("\r\n\r\nhome"));
        assert!(request(address, "GET", "/unknown", "").starts_with("HTTP/1.1 404 Not Found\r\n"));
        // Not ours, either: the path of Socket.IO is a whole one.
        assert!(request(address, "GET", "/socket.iot/", "").starts_with("HTTP/1.1 404 Not Found\r\n"));
        websocket
    });
    let mut websocket = echoed.await.unwrap();

    // The byte streams of WebSockets are the server's own: they end with it.
    assert_eq!(io.stats().sockets, 1);
    let ended = tokio::task::spawn_blocking(move || while websocket.read().is_ok() {});
    io.shutdown(PATIENCE).await;
    ended.await.unwrap();
    let left = io.stats();
    assert_eq!((left.connections, left.sockets, left.transports), (0, 0, 0));
    let refused = tokio::task::spawn_blocking(move || {
        let refused = request(address, "GET", "/socket.io/?EIO=4&transport=polling", "");
        (refused, request(address, "GET", "/", ""))
    });
    let (refused, home) = refused.await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(home.ends_with("\r\n\r\nhome"));
}

/// One request on a connection of its own, and all of the answer.
fn request(address: SocketAddr, method: &str, target: &str, body: &str) -> String {
    let mut stream = connect(address);
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A WebSocket, from its first byte.
fn websocket(address: SocketAddr) -> WebSocket<TcpStream> {
    let mut stream = connect(address);
    stream
        .write_all(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
              upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

/// Connects to the main namespace; the server's first event.
fn told_where_from(websocket: &mut WebSocket<TcpStream>) -> String {
    assert!(websocket.read().unwrap().into_text().unwrap().starts_with(r#"0{"sid":""#));
    websocket.send(Frame::text("40")).unwrap();
    assert!(websocket.read().unwrap().into_text().unwrap().starts_with(r#"40{"sid":""#));
    websocket.read().unwrap().into_text().unwrap().to_string()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
