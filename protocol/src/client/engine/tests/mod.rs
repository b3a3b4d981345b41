//! An engine in virtual time: against a script, against our own server, and cut in any way.

mod opening;
mod pair;
mod properties;
mod session;
mod upgrades;
mod with_server;

use alloc::{string::String, sync::Arc, vec::Vec};

use bytes::{Buf as _, Bytes, BytesMut};

use super::{CloseFrame, CloseReason, ClosedBy, Engine, Error, Event, Handshake, Message, Output};
use crate::{
    Instant, RequestId, Seed, Text, TransportId,
    client::{
        Config, Cookies, Endpoint, Transport,
        http::{Failure, Request, Response},
    },
    ws,
};

const OPEN: &str =
    r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

fn text(text: &str) -> Message {
    Message::Text(Text::from(text))
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Options that make requests easy to compare.
fn plain() -> Config {
    Config { path: "/e/".into(), timestamp_requests: Some(false), ..Config::default() }
}

fn polling_only() -> Config {
    Config { transports: [Transport::Polling].into(), ..plain() }
}

fn websocket_only() -> Config {
    Config { transports: [Transport::WebSocket].into(), ..plain() }
}

/// An engine and what a test says to it; every step drains its outputs.
struct Script {
    engine: Engine,
    now: Instant,
    /// The WebSockets that are open, from the server's side.
    streams: Vec<(TransportId, ws::Stream)>,
}

impl Script {
    fn new(config: Config) -> Self {
        Self::at("http://host:3000/", config)
    }

    fn at(url: &str, config: Config) -> Self {
        Self::with(url, config, Cookies::EMPTY, false)
    }

    fn with(url: &str, config: Config, cookies: Cookies, remembered: bool) -> Self {
        let endpoint = Endpoint::parse(url).unwrap();
        let engine = Engine::new(Instant::ZERO, Arc::new(config), &endpoint, cookies, remembered, &Seed::for_tests(1));
        Self { engine, now: Instant::ZERO, streams: Vec::new() }
    }

    /// A session that is open on polling, its GET waiting.
    fn polling(config: Config) -> (Self, Get) {
        let mut script = Self::new(config);
        let get = script.request("GET");
        script.answer(get.0, 200, &[], OPEN);
        script.event_open();
        let get = script.request("GET");
        script.nothing();
        (script, get)
    }

    /// A session that is open on WebSocket.
    fn websocket(config: Config) -> (Self, TransportId) {
        let mut script = Self::new(config);
        let transport = script.accept();
        script.says(transport, OPEN);
        script.event_open();
        script.nothing();
        (script, transport)
    }

    fn next(&mut self) -> Output {
        self.engine.poll_output().expect("an output")
    }

    fn nothing(&mut self) {
        assert_eq!(self.engine.poll_output(), None);
    }

    fn event(&mut self) -> Event {
        match self.next() {
            Output::Event(event) => event,
            other => panic!("an event expected: {other:?}"),
        }
    }

    fn event_open(&mut self) -> Handshake {
        match self.event() {
            Event::Open(handshake) => *handshake,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn closes(&mut self, reason: CloseReason, error: Option<Error>) {
        assert_eq!(self.event(), Event::Close { reason, error });
    }

    #[track_caller]
    fn request(&mut self, method: &str) -> Get {
        match self.next() {
            Output::Request { id, request } => {
                assert_eq!(request.method, method);
                (id, *request)
            }
            other => panic!("a request expected: {other:?}"),
        }
    }

    #[track_caller]
    fn open(&mut self) -> (TransportId, Request) {
        match self.next() {
            Output::Open { transport, request } => (transport, *request),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, id: RequestId, status: u16, headers: &[(&str, &[u8])], body: &str) {
        let head = Response { status, headers };
        self.engine.handle_response(self.now, id, &head, Bytes::copy_from_slice(body.as_bytes()));
    }

    fn ok(&mut self, id: RequestId, body: &str) {
        self.answer(id, 200, &[], body);
    }

    fn fail(&mut self, id: RequestId) {
        self.engine.handle_failure(self.now, id, Failure::Reset("gone".into()));
    }

    /// The engine asks for a WebSocket and gets it.
    fn accept(&mut self) -> TransportId {
        let (transport, request) = self.open();
        self.accept_as(transport, &request, &[]);
        transport
    }

    fn accept_as(&mut self, transport: TransportId, request: &Request, more: &[(&str, &[u8])]) {
        let accept = ws::accept_key(request.header("sec-websocket-key").unwrap());
        let headers: [(&str, &[u8]); 3] =
            [("Upgrade", b"websocket"), ("connection", b"Upgrade"), ("Sec-WebSocket-Accept", accept.as_bytes())];
        let headers = [&headers[..], more].concat();
        let head = Response { status: 101, headers: &headers };
        self.engine.handle_upgrade(self.now, transport, &head, Bytes::new());
        self.streams.push((transport, ws::Stream::new(ws::Settings::new(ws::Role::Server), None)));
    }

    fn stream(&mut self, transport: TransportId) -> &mut ws::Stream {
        &mut self.streams.iter_mut().find(|(id, _)| *id == transport).unwrap().1
    }

    /// The server says something on a WebSocket.
    fn says(&mut self, transport: TransportId, packet: &str) {
        self.stream(transport).send(&text(packet));
        self.flow(transport);
    }

    fn flow(&mut self, transport: TransportId) {
        let queue = self.stream(transport).transmit();
        let mut bytes = BytesMut::from(&queue.copy_to_bytes(queue.remaining())[..]);
        self.engine.handle_bytes(self.now, transport, &mut bytes);
    }

    /// What the engine has said on a WebSocket.
    fn said(&mut self, transport: TransportId) -> Vec<String> {
        let Some(queue) = self.engine.transmit(transport) else { return Vec::new() };
        let mut bytes = BytesMut::from(&queue.copy_to_bytes(queue.remaining())[..]);
        let now = self.now;
        let stream = self.stream(transport);
        stream.handle_bytes(&mut bytes);
        let events = core::iter::from_fn(|| stream.poll_event(now));
        events
            .map(|event| match event {
                ws::Event::Message(Message::Text(text)) => String::from(text.as_str()),
                ws::Event::Message(Message::Binary(bytes)) => alloc::format!("{bytes:?}"),
                ws::Event::Closing(ws::Closing::Peer(Some(frame))) => alloc::format!("close {}", frame.code),
                other => alloc::format!("{other:?}"),
            })
            .collect()
    }

    fn tick(&mut self, millis: u64) {
        self.now = at(millis);
        self.engine.handle_timeout(self.now);
    }

    fn drained(&mut self) {
        self.nothing();
        assert!(self.engine.is_drained(), "{:?}", self.engine);
        assert_eq!((self.engine.stats(), self.engine.poll_timeout()), (Default::default(), None));
    }
}

type Get = (RequestId, Request);
