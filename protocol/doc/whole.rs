// What the examples of a whole server have around them, out of their readers' sight: clients on polling and on WebSocket.

#[allow(unused_imports)]
use std::time::Duration;

#[allow(unused_imports)]
use bytes::{Buf as _, Bytes, BytesMut};
#[allow(unused_imports)]
use sockeye_protocol::{
    Config, ConnKey, Instant, NspId, Output, QueuePolicy, RequestId, Route, Seed, SocketKey, TransportId,
    http::{Body, Request},
    server::{AckOutcome, ConnectError, ConnectRequest, DisconnectReason, Event, Room, Server, Target},
    socket::Payload,
    ws::Message,
};

#[allow(dead_code)]
const NOW: Instant = Instant::ZERO;

#[allow(dead_code)]
fn server() -> Server {
    Server::new(Config { room_events: false, ..Config::default() }, &Seed::for_tests(1))
}

#[allow(dead_code)]
fn event(name: &str, args: &str) -> Payload {
    Payload::event(name, args, 10).unwrap()
}

/// The head of a request without headers.
#[allow(dead_code)]
fn head<'a>(method: &'a str, target: &'a str) -> Request<'a> {
    Request { method, target, headers: &[], peer: None, secure: false }
}

/// What the application is told; what is to be written is dropped.
#[allow(dead_code)]
fn events(server: &mut Server) -> Vec<Event> {
    let outputs = std::iter::from_fn(|| server.poll_output());
    outputs.filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None }).collect()
}

/// A client on polling.
#[allow(dead_code)]
struct Client {
    key: ConnKey,
    target: String,
}

#[allow(dead_code)]
impl Client {
    /// One with a session.
    fn open(server: &mut Server) -> Self {
        let target = String::from("/socket.io/?EIO=4&transport=polling");
        let (key, open, _) = exchange(server, "GET", &target, "");
        Self { key, target: format!("{target}&sid={}", open.split('"').nth(3).unwrap()) }
    }

    /// One that asks for `/`.
    fn asking(server: &mut Server) -> (Self, ConnectRequest) {
        let client = Self::open(server);
        let mut told = client.post(server, "40");
        let Some(Event::Connect(request)) = told.pop() else { panic!("{told:?}") };
        (client, request)
    }

    /// One that is connected to `/`.
    fn joined(server: &mut Server) -> (Self, SocketKey) {
        let (client, request) = Self::asking(server);
        let socket = server.accept(NOW, request).unwrap();
        client.get(server);
        (client, socket)
    }

    /// What a GET brings.
    fn get(&self, server: &mut Server) -> String {
        exchange(server, "GET", &self.target, "").1
    }

    /// What the application is told of a POST.
    fn post(&self, server: &mut Server, body: &str) -> Vec<Event> {
        exchange(server, "POST", &self.target, body).2
    }
}

#[allow(dead_code)]
fn exchange(server: &mut Server, method: &str, target: &str, body: &str) -> (ConnKey, String, Vec<Event>) {
    let head = head(method, target);
    let Route::Connection { key, .. } = server.route(NOW, &head) else { panic!("{target}") };
    server.handle_request(NOW, key, RequestId(1), &head, Body::Whole(Bytes::copy_from_slice(body.as_bytes())));
    let (mut answer, mut told) = (String::new(), Vec::new());
    while let Some(output) = server.poll_output() {
        match output {
            Output::Respond { response, .. } => answer = String::from_utf8(response.body.to_vec()).unwrap(),
            Output::Event(event) => told.push(event),
            _ => {}
        }
    }
    (key, answer, told)
}

/// A client on WebSocket with a session, to which nothing more is to be written.
#[allow(dead_code)]
fn websocket(server: &mut Server) -> (ConnKey, TransportId) {
    let headers: [(&str, &[u8]); 4] = [
        ("connection", b"Upgrade"),
        ("upgrade", b"websocket"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let head = Request { headers: &headers, ..head("GET", "/socket.io/?EIO=4&transport=websocket") };
    let Route::Connection { key, .. } = server.route(NOW, &head) else { panic!() };
    server.handle_request(NOW, key, RequestId(1), &head, Body::EMPTY);
    let mut opened = None;
    while let Some(output) = server.poll_output() {
        if let Output::Upgrade { transport, .. } = output {
            opened = Some(transport);
        }
    }
    let transport = opened.unwrap();
    let queue = server.transmit(key, transport).unwrap();
    queue.advance(queue.remaining());
    while server.poll_transmit().is_some() {}
    (key, transport)
}

/// A client on WebSocket that is connected to `/`.
#[allow(dead_code)]
fn joined_by_websocket(server: &mut Server) -> (ConnKey, TransportId, SocketKey) {
    let (key, transport) = websocket(server);
    server.handle_message(NOW, key, transport, Message::Text("40".into()));
    let Some(Event::Connect(request)) = events(server).pop() else { panic!() };
    (key, transport, server.accept(NOW, request).unwrap())
}
