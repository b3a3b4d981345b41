//! An engine and our own server, joined in memory, with a world between them that can break.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
};

use super::*;
use crate::{
    Config as ServerConfig, ConnKey, Output as ServerOutput, Route,
    engine::{self, Server},
    http::{Body, Request as ServerRequest},
};

pub(super) struct Pair {
    pub(super) engine: Engine,
    pub(super) server: Server,
    pub(super) now: Instant,
    /// The session at the server.
    pub(super) key: Option<ConnKey>,
    pub(super) client: Vec<Event>,
    pub(super) at_server: Vec<engine::Event>,
    /// Requests for a WebSocket that wait for an answer, by their id at the server.
    opening: BTreeMap<RequestId, TransportId>,
    /// The same WebSocket at the server and at the client.
    links: Vec<(ConnKey, TransportId, TransportId)>,
    /// What the world does to WebSockets: lets none through.
    pub(super) no_websockets: bool,
    /// Bytes are cut in pieces of this size.
    pub(super) piece: usize,
    /// Whole messages are handed over in place of bytes.
    pub(super) framed: bool,
    /// Requests that were cancelled: their answers reach nobody.
    cancelled: BTreeSet<RequestId>,
    pub(super) requests: Vec<(&'static str, Text)>,
}

impl Pair {
    pub(super) fn new(client: Config, server: ServerConfig) -> Self {
        let endpoint = Endpoint::parse("http://localhost").unwrap();
        let seed = Seed::for_tests(7);
        Self {
            engine: Engine::new(Instant::ZERO, Arc::new(client), &endpoint, Cookies::EMPTY, false, &seed),
            server: Server::new(server, &Seed::for_tests(8)),
            now: Instant::ZERO,
            key: None,
            client: Vec::new(),
            at_server: Vec::new(),
            opening: BTreeMap::new(),
            links: Vec::new(),
            no_websockets: false,
            piece: usize::MAX,
            framed: false,
            cancelled: BTreeSet::new(),
            requests: Vec::new(),
        }
    }

    pub(super) fn default() -> Self {
        Self::new(plain(), ServerConfig { path: "/e/".into(), ..ServerConfig::default() })
    }

    /// Lets both sides do what they have to do at this time.
    pub(super) fn settle(&mut self) {
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        if let Some(output) = self.engine.poll_output() {
            self.on_client(output);
        } else if let Some(output) = self.server.poll_output() {
            self.on_server(output);
        } else {
            return self.carry();
        }
        true
    }

    fn on_client(&mut self, output: Output) {
        match output {
            Output::Request { id, request } => {
                self.requests.push((request.method, request.target.clone()));
                self.request(id, &request);
            }
            Output::Cancel { id } => {
                self.cancelled.insert(id);
                if let Some(key) = self.key {
                    self.server.handle_abort(self.now, key, id);
                }
            }
            Output::Open { transport, request } if self.no_websockets => {
                assert!(request.upgrade);
                self.engine.handle_open_failure(self.now, transport, Failure::Connect("no way".into()));
            }
            Output::Open { transport, request } => {
                let id = RequestId(1 << 40 | self.opening.len() as u64);
                self.opening.insert(id, transport);
                self.request(id, &request);
            }
            Output::Shutdown { transport } => {
                while self.carry() {}
                self.engine.handle_eof(self.now, transport);
                self.cut(transport);
            }
            Output::Abort { transport } => self.cut(transport),
            Output::Event(event) => self.client.push(event),
        }
    }

    /// The byte stream ends for the server.
    pub(super) fn cut(&mut self, transport: TransportId) {
        if let Some(index) = self.links.iter().position(|(_, _, client)| *client == transport) {
            let (key, at_server, _) = self.links.remove(index);
            self.server.handle_eof(self.now, key, at_server);
        }
    }

    /// The byte stream of a WebSocket breaks for both.
    pub(super) fn break_websockets(&mut self) {
        for (key, at_server, transport) in core::mem::take(&mut self.links) {
            self.server.handle_eof(self.now, key, at_server);
            self.engine.handle_eof(self.now, transport);
        }
    }

    fn request(&mut self, id: RequestId, request: &Request) {
        let headers: Vec<(&str, &[u8])> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let head = ServerRequest {
            method: request.method,
            target: &request.target,
            headers: &headers,
            peer: None,
            secure: request.secure,
        };
        match self.server.route(self.now, &head) {
            Route::Connection { key, .. } => {
                self.key = Some(key);
                self.server.handle_request(self.now, key, id, &head, Body::Whole(request.body.clone()));
            }
            Route::Response(response) => self.respond(id, &response),
            Route::NotFound => self.respond(id, &crate::http::Response::status(404)),
        }
    }

    fn on_server(&mut self, output: ServerOutput<(ConnKey, engine::Event)>) {
        match output {
            ServerOutput::Respond { id, response } => self.respond(id, &response),
            ServerOutput::Upgrade { id, response, connection, transport } => {
                self.respond(id, &response);
                if let Some(client) = self.opening.get(&id) {
                    self.links.push((connection, transport, *client));
                }
            }
            ServerOutput::Shutdown { connection, transport } => {
                while self.carry() {}
                self.server.handle_eof(self.now, connection, transport);
                self.lose(connection, transport);
            }
            ServerOutput::Abort { connection, transport } => self.lose(connection, transport),
            ServerOutput::Event((_, event)) => self.at_server.push(event),
        }
    }

    fn lose(&mut self, connection: ConnKey, transport: TransportId) {
        if let Some(index) = self.links.iter().position(|(key, id, _)| (*key, *id) == (connection, transport)) {
            let (_, _, client) = self.links.remove(index);
            self.engine.handle_eof(self.now, client);
        }
    }

    fn respond(&mut self, id: RequestId, response: &crate::http::Response) {
        let headers: Vec<(&str, &[u8])> =
            response.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let head = Response { status: response.status, headers: &headers };
        match self.opening.get(&id) {
            Some(transport) => self.engine.handle_upgrade(self.now, *transport, &head, response.body.clone()),
            None if self.cancelled.contains(&id) => {}
            None => self.engine.handle_response(self.now, id, &head, response.body.clone()),
        }
    }

    /// Moves what is to be written.
    fn carry(&mut self) -> bool {
        let mut moved = false;
        for (key, at_server, client) in self.links.clone() {
            let up = self.engine.transmit(client).map(|queue| take(queue, self.framed));
            for part in cut(up.unwrap_or_default(), self.piece) {
                moved = true;
                match part {
                    Part::Bytes(mut bytes) => self.server.handle_bytes(self.now, key, at_server, &mut bytes),
                    Part::Message(message) => self.server.handle_message(self.now, key, at_server, message),
                }
            }
            let down = self.server.transmit(key, at_server).map(|queue| take(queue, self.framed));
            for part in cut(down.unwrap_or_default(), self.piece) {
                moved = true;
                match part {
                    Part::Bytes(mut bytes) => self.engine.handle_bytes(self.now, client, &mut bytes),
                    Part::Message(message) => self.engine.handle_message(self.now, client, message),
                }
            }
        }
        moved
    }

    /// Time passes up to that point, with a tick at every deadline.
    pub(super) fn run_to(&mut self, end: Instant) {
        self.settle();
        loop {
            let due = [self.engine.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            assert!(due > self.now || self.now == Instant::ZERO, "a deadline moves on");
            self.now = due.max(self.now);
            self.engine.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let message = |event: &Event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        };
        self.client.iter().filter_map(message).collect()
    }

    pub(super) fn server_messages(&self) -> Vec<Message> {
        let message = |event: &engine::Event| match event {
            engine::Event::Message(message) => Some(message.clone()),
            _ => None,
        };
        self.at_server.iter().filter_map(message).collect()
    }
}

enum Part {
    Bytes(BytesMut),
    Message(Message),
}

/// All that is queued. A close frame goes as bytes do not: a framework would end the WebSocket.
fn take(queue: &mut ws::TransmitQueue, framed: bool) -> Vec<Part> {
    if !framed {
        let bytes = queue.copy_to_bytes(queue.remaining());
        return if bytes.is_empty() { vec![] } else { vec![Part::Bytes(BytesMut::from(&bytes[..]))] };
    }
    let messages = core::iter::from_fn(|| queue.pop_message());
    let data = messages.filter_map(|message| match message {
        ws::OutMessage::Message(message) => Some(Part::Message(message)),
        _ => None,
    });
    data.collect()
}

fn cut(parts: Vec<Part>, piece: usize) -> Vec<Part> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(mut bytes) => {
                while bytes.len() > piece {
                    let rest = bytes.split_off(piece);
                    out.push(Part::Bytes(core::mem::replace(&mut bytes, rest)));
                }
                out.push(Part::Bytes(bytes));
            }
            message @ Part::Message(_) => out.push(message),
        }
    }
    out
}
