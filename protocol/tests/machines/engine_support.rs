//! A client of one session, as a script: what it does goes in, what comes out is written down as short lines.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use sockeye_protocol::{
    Config, Instant, RequestId, Seed, Sid, Text, TransportId,
    engine::{CloseReason, Event, Message, Output, Routed, Session, SidSource, route},
    http::{Body, Request, Response},
    ws::OutMessage,
};

pub type Headers<'a> = &'a [(&'a str, &'a [u8])];

pub const UPGRADE: Headers<'static> = &[
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
];

pub const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
pub const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

pub const NONE: [&str; 0] = [];
pub const CODE_1: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;
pub const CODE_3: &str = r#"400 {"code":3,"message":"Bad request"}"#;

/// The default options but for a change.
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

pub fn sid() -> Sid {
    SidSource::new(&Seed::for_tests(1)).next_sid()
}

pub fn request<'a>(method: &'a str, target: &'a str, headers: Headers<'a>) -> Request<'a> {
    Request { method, target, headers, peer: None, secure: false }
}

/// A masked frame of a client (mask zero), in one piece.
pub fn frame(opcode: u8, payload: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::from(&[0x80 | opcode][..]);
    match payload.len() {
        len @ 0..=125 => bytes.extend_from_slice(&[0x80 | len as u8]),
        len @ 126..=0xffff => {
            bytes.extend_from_slice(&[0x80 | 126]);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.extend_from_slice(&[0x80 | 127]);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

pub fn text(text: &str) -> Message {
    Message::Text(Text::from(text))
}

#[derive(Debug)]
pub struct Client {
    pub session: Session,
    pub now: Instant,
    pub next_id: u64,
}

impl Client {
    /// Before the handshake.
    pub fn new(config: Config) -> Self {
        let now = Instant::from_millis(1_000);
        Self { session: Session::new(now, Arc::new(config), sid()), now, next_id: 1 }
    }

    /// A polling session after its handshake.
    pub fn polling(config: Config) -> Self {
        let mut client = Self::new(config);
        client.send("GET", POLLING, &[], Body::EMPTY);
        let lines = client.drain();
        assert_eq!(lines[1..], ["open"], "{lines:?}");
        client
    }

    /// A WebSocket session after its handshake.
    pub fn websocket(config: Config) -> Self {
        let mut client = Self::new(config);
        client.send("GET", WEBSOCKET, UPGRADE, Body::EMPTY);
        assert_eq!(client.drain(), ["1: 101 ws-0", "open"]);
        let open = client.sent(0);
        assert!(open.len() == 1 && open[0].starts_with("0{"), "{open:?}");
        client
    }

    pub fn wait(&mut self, millis: u64) -> &mut Self {
        self.now = self.now + Duration::from_millis(millis);
        self
    }

    /// Time passes, and the session is told.
    pub fn tick(&mut self, millis: u64) -> Vec<String> {
        self.wait(millis);
        self.session.handle_timeout(self.now);
        if let Some(next) = self.session.poll_timeout() {
            assert!(next > self.now, "a deadline that a tick has reached");
        }
        self.drain()
    }

    pub fn send(&mut self, method: &str, target: &str, headers: Headers<'_>, body: Body) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.session.handle_request(self.now, RequestId(id), &request(method, target, headers), body);
        id
    }

    pub fn get(&mut self) -> u64 {
        self.send("GET", &format!("{POLLING}&sid={}", sid()), &[], Body::EMPTY)
    }

    pub fn post(&mut self, body: impl Into<Bytes>) -> u64 {
        self.send("POST", &format!("{POLLING}&sid={}", sid()), &[], Body::Whole(body.into()))
    }

    pub fn post_pending(&mut self) -> u64 {
        self.send("POST", &format!("{POLLING}&sid={}", sid()), &[], Body::Pending)
    }

    pub fn body(&mut self, id: u64, body: Body) {
        self.session.handle_body(self.now, RequestId(id), body);
    }

    pub fn abort(&mut self, id: u64) {
        self.session.handle_abort(self.now, RequestId(id));
    }

    pub fn upgrade(&mut self) -> u64 {
        self.send("GET", &format!("{WEBSOCKET}&sid={}", sid()), UPGRADE, Body::EMPTY)
    }

    /// A candidate that has been probed, the first of its session.
    pub fn probed(config: Config) -> Self {
        let mut client = Self::polling(config);
        client.upgrade();
        assert_eq!(client.drain(), ["2: 101 ws-0"]);
        client.text(0, "2probe");
        assert_eq!(client.drain(), [""; 0]);
        assert_eq!(client.sent(0), ["3probe"]);
        client
    }

    /// A session that was upgraded.
    pub fn upgraded(config: Config) -> Self {
        let mut client = Self::probed(config);
        client.text(0, "5");
        assert_eq!(client.drain(), ["upgraded"]);
        client
    }

    pub fn bytes(&mut self, transport: u32, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        self.session.handle_bytes(self.now, transport_id(transport), &mut buffer);
        assert!(buffer.is_empty());
    }

    pub fn text(&mut self, transport: u32, text: &str) {
        self.bytes(transport, &frame(1, text.as_bytes()));
    }

    pub fn close_frame(&mut self, transport: u32) {
        self.bytes(transport, &frame(8, &[]));
    }

    pub fn eof(&mut self, transport: u32) {
        self.session.handle_eof(self.now, transport_id(transport));
    }

    pub fn close(&mut self, reason: CloseReason) {
        self.session.close(self.now, reason);
    }

    /// Everything that comes out, one line each.
    pub fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_output()).map(|output| line(&output)).collect()
    }

    pub fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// What was sent on a WebSocket, one line per frame.
    pub fn sent(&mut self, transport: u32) -> Vec<String> {
        let Some(queue) = self.session.transmit(transport_id(transport)) else { return Vec::new() };
        std::iter::from_fn(|| queue.pop_message())
            .map(|message| match message {
                OutMessage::Message(message) => show(&message),
                OutMessage::Close(None) => "close".into(),
                OutMessage::Close(Some(frame)) => format!("close {} {}", frame.code, frame.reason).trim().into(),
                OutMessage::Pong(_) => "pong".into(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    /// Nothing is left behind.
    pub fn assert_drained(&self) {
        assert!(self.session.is_drained(), "{:?}", self.session);
        assert_eq!(self.session.stats(), Default::default());
        assert_eq!(self.session.poll_timeout(), None);
    }
}

/// The id of the nth WebSocket of a session: they can only be had from outputs, so one is made.
pub fn transport_id(number: u32) -> TransportId {
    let config = Config::default();
    let mut session = Session::new(Instant::ZERO, Arc::new(config), sid());
    session.handle_request(Instant::ZERO, RequestId(0), &request("GET", POLLING, &[]), Body::EMPTY);
    let target = format!("{WEBSOCKET}&sid={}", sid());
    for _ in 0..=number {
        session.handle_request(Instant::ZERO, RequestId(1), &request("GET", &target, UPGRADE), Body::EMPTY);
        while let Some(output) = session.poll_output() {
            if let Output::Upgrade { transport, .. } = output {
                if transport.to_string() == format!("ws-{number}") {
                    return transport;
                }
                session.handle_eof(Instant::ZERO, transport);
            }
        }
    }
    panic!("no such WebSocket")
}

pub fn line(output: &Output) -> String {
    match output {
        Output::Respond { id, response } => {
            format!("{}: {}", id.0, show_response(response))
        }
        Output::Upgrade { id, response, transport } => format!("{}: {} {transport}", id.0, response.status),
        Output::Shutdown { transport } => format!("shutdown {transport}"),
        Output::Abort { transport } => format!("abort {transport}"),
        Output::Event(Event::Open) => "open".into(),
        Output::Event(Event::Upgraded) => "upgraded".into(),
        Output::Event(Event::Message(message)) => format!("message {}", show(message)),
        Output::Event(Event::Close { reason, error: None }) => reason.to_string(),
        Output::Event(Event::Close { reason, error: Some(error) }) => format!("{reason}: {error}"),
    }
}

pub fn show_response(response: &Response) -> String {
    let body = String::from_utf8_lossy(&response.body).replace('\x1e', "|");
    format!("{} {body}", response.status).trim_end().to_owned()
}

fn show(message: &Message) -> String {
    match message {
        Message::Text(text) => text.to_string(),
        Message::Binary(bytes) => format!("{bytes:?}"),
    }
}

/// What a server makes of a request: the route, and the session's answer if it goes to one.
pub fn answer(config: &Config, session: &mut Client, head: &Request<'_>, body: Body) -> Option<Response> {
    match route(config, head, |wanted| (wanted == sid()).then_some(())) {
        Routed::NotFound => None,
        Routed::Respond(response) => Some(response),
        Routed::Open => {
            let mut fresh = Client::new(config.clone());
            fresh.session.handle_request(fresh.now, RequestId(77), head, body);
            fresh.outputs().into_iter().find_map(response)
        }
        Routed::Existing(()) => {
            session.session.handle_request(session.now, RequestId(77), head, body);
            session.outputs().into_iter().filter(is_77).find_map(response)
        }
    }
}

fn is_77(output: &Output) -> bool {
    matches!(output, Output::Respond { id: RequestId(77), .. } | Output::Upgrade { id: RequestId(77), .. })
}

fn response(output: Output) -> Option<Response> {
    match output {
        Output::Respond { response, .. } | Output::Upgrade { response, .. } => Some(response),
        _ => None,
    }
}
