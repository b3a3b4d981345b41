//! What is on its way between the two.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};
use sockeye_protocol::{
    ConnKey, Instant, Output as ServerOutput, RequestId, Route, TransportId,
    client::{
        Output as ClientOutput,
        http::{Failure, Request, Response},
    },
    http::{self, Body},
    server::Event as ServerEvent,
};

use super::{Fate, Pair};

/// Everything that is on its way, and the connections that it is on.
#[derive(Default)]
pub struct Net {
    wire: BTreeMap<(Instant, u64), Parcel>,
    parcels: u64,
    requests: BTreeMap<RequestId, Exchange>,
    streams: BTreeMap<TransportId, Stream>,
    next_request: u64,
    /// The server's names of requests.
    asked: BTreeMap<RequestId, Asked>,
}

/// A request, and how it goes.
struct Exchange {
    request: Request,
    fate: Fate,
    /// Where it arrived: which server, and under which name.
    place: Option<(u32, ConnKey, RequestId)>,
}

#[derive(Clone, Copy)]
enum Asked {
    Request(RequestId),
    Stream(TransportId),
}

/// A WebSocket, and how it goes.
struct Stream {
    fate: Fate,
    /// Which server has it, and the request with which it was opened.
    asked: Option<(u32, ConnKey, RequestId)>,
    place: Option<(ConnKey, TransportId)>,
    up: Direction,
    down: Direction,
    /// Whether the side still has it.
    client: bool,
    server: bool,
}

#[derive(Default)]
struct Direction {
    /// What was sent later does not arrive earlier.
    latest: Instant,
    bytes: usize,
}

pub enum Parcel {
    Request(RequestId),
    Abort(RequestId),
    Respond(RequestId, http::Response),
    Fail(RequestId, Failure),
    Open(TransportId, Request),
    Upgrade(TransportId, http::Response),
    OpenFail(TransportId, Failure),
    Up(TransportId, Bytes),
    Down(TransportId, Bytes),
    ServerEof(TransportId),
    ClientEof(TransportId),
    /// The socket takes more.
    Writable(TransportId),
}

impl Net {
    pub fn next(&self) -> Option<Instant> {
        self.wire.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn take(&mut self, now: Instant) -> Option<Parcel> {
        let entry = self.wire.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    fn post(&mut self, at: Instant, parcel: Parcel) {
        self.parcels += 1;
        self.wire.insert((at, self.parcels), parcel);
    }

    /// Connections that are known to one side at least.
    pub fn len(&self) -> usize {
        self.requests.len() + self.streams.len()
    }
}

impl Pair {
    /// Connections that are known to one side at least.
    pub fn connections(&self) -> usize {
        self.net.len()
    }

    /// The byte streams of all WebSockets break now; the requests too.
    pub fn reset_everything(&mut self) {
        let now = self.now + self.faults.delay(self.now);
        for (id, exchange) in &mut self.net.requests {
            // What nobody has heard of stays so.
            if exchange.place.take().is_some() {
                self.net.parcels += 1;
                self.net.wire.insert((now, self.net.parcels), Parcel::Fail(*id, Failure::Reset("reset".into())));
            }
        }
        self.net.asked.clear();
        let streams: Vec<TransportId> = self.net.streams.keys().copied().collect();
        for transport in streams {
            let Some(stream) = self.net.streams.get_mut(&transport) else { continue };
            let was_open = stream.place.is_some() || stream.asked.is_some();
            (stream.server, stream.place, stream.asked) = (false, None, None);
            if stream.client && was_open && !matches!(stream.fate, Fate::Silent) {
                self.net.post(now, Parcel::ClientEof(transport));
            }
        }
    }

    /// Every WebSocket goes deaf: nothing arrives any more, and nobody is told.
    pub fn silence(&mut self) {
        for stream in self.net.streams.values_mut() {
            stream.fate = Fate::Silent;
        }
        for exchange in self.net.requests.values_mut() {
            exchange.fate = Fate::Silent;
        }
    }

    pub(super) fn on_client_output(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Request { id, request } => {
                let fate = self.faults.fate(self.now);
                let at = self.now + self.faults.delay(self.now);
                match fate {
                    Fate::Refused => self.net.post(at, Parcel::Fail(id, Failure::Connect("refused".into()))),
                    // The request itself has a few hundred bytes: what breaks earlier never arrives.
                    Fate::CutUp(bytes) if bytes < 300 => {
                        self.net.post(at, Parcel::Fail(id, Failure::Reset("reset".into())));
                    }
                    Fate::Silent | Fate::DeadUp(0..300) => {}
                    _ => self.net.post(at, Parcel::Request(id)),
                }
                let before = self.net.requests.insert(id, Exchange { request, fate, place: None });
                assert!(before.is_none(), "{id} twice");
            }
            ClientOutput::Cancel { id } => {
                if let Some(exchange) = self.net.requests.get(&id)
                    && exchange.place.is_some()
                {
                    let at = self.now + self.faults.delay(self.now);
                    self.net.post(at, Parcel::Abort(id));
                } else {
                    self.net.requests.remove(&id);
                }
            }
            ClientOutput::Open { transport, request } => {
                let fate = self.faults.fate(self.now);
                let at = self.now + self.faults.delay(self.now);
                match fate {
                    Fate::Refused => {
                        self.net.post(at, Parcel::OpenFail(transport, Failure::Connect("refused".into())));
                    }
                    Fate::CutUp(0..300) => {
                        self.net.post(at, Parcel::OpenFail(transport, Failure::Reset("reset".into())));
                    }
                    Fate::Silent | Fate::DeadUp(0..300) => {}
                    _ => self.net.post(at, Parcel::Open(transport, request)),
                }
                let stream = Stream {
                    fate,
                    asked: None,
                    place: None,
                    up: Direction::default(),
                    down: Direction::default(),
                    client: true,
                    server: false,
                };
                let before = self.net.streams.insert(transport, stream);
                assert!(before.is_none(), "{transport} twice");
            }
            ClientOutput::Shutdown { transport } => {
                self.transmit_up(transport, true);
                self.client_lets_go(transport);
                let at = self.now + self.faults.delay(self.now);
                self.net.post(at, Parcel::ClientEof(transport));
            }
            ClientOutput::Abort { transport } => self.client_lets_go(transport),
            output => panic!("{output:?}"),
        }
    }

    fn client_lets_go(&mut self, transport: TransportId) {
        let delay = self.faults.delay(self.now);
        let now = self.now;
        let Some(stream) = self.net.streams.get_mut(&transport) else { return };
        stream.client = false;
        let at = stream.up.latest.max(now + delay);
        if stream.server && !matches!(stream.fate, Fate::Silent | Fate::DeadUp(_)) {
            self.net.post(at, Parcel::ServerEof(transport));
        } else {
            self.forget(transport);
        }
    }

    /// Removes a stream that neither side has.
    fn forget(&mut self, transport: TransportId) {
        if self.net.streams.get(&transport).is_some_and(|stream| !stream.client && !stream.server) {
            self.net.streams.remove(&transport);
        }
    }

    pub(super) fn on_server_output(&mut self, output: ServerOutput<ServerEvent>) {
        let delay = self.faults.delay(self.now);
        let at = self.now + delay;
        match output {
            ServerOutput::Respond { id, response } => match self.net.asked.remove(&id) {
                Some(Asked::Request(id)) => self.respond(at, id, response),
                Some(Asked::Stream(transport)) => {
                    let Some(stream) = self.net.streams.get_mut(&transport) else { return };
                    (stream.server, stream.asked) = (false, None);
                    self.net.post(at, Parcel::Upgrade(transport, response));
                }
                None => {}
            },
            ServerOutput::Upgrade { id, response, connection, transport } => {
                let Some(Asked::Stream(ours)) = self.net.asked.remove(&id) else { return };
                let now = self.now;
                let Some(stream) = self.net.streams.get_mut(&ours).filter(|stream| stream.client) else {
                    self.server.handle_eof(now, connection, transport);
                    return;
                };
                (stream.place, stream.asked) = (Some((connection, transport)), None);
                stream.down.latest = at;
                let bytes = 130;
                stream.down.bytes = bytes;
                match stream.fate {
                    Fate::CutDown(cut) if cut < bytes => {
                        stream.server = false;
                        self.server.handle_eof(now, connection, transport);
                        self.net.post(at, Parcel::OpenFail(ours, Failure::Reset("reset".into())));
                    }
                    Fate::Silent => {}
                    Fate::DeadDown(dead) if dead < bytes => {}
                    _ => self.net.post(at, Parcel::Upgrade(ours, response)),
                }
            }
            ServerOutput::Shutdown { connection, transport } | ServerOutput::Abort { connection, transport } => {
                self.transmit_down(connection, transport);
                let now = self.now;
                self.server.handle_eof(now, connection, transport);
                let found =
                    self.net.streams.iter_mut().find(|(_, stream)| stream.place == Some((connection, transport)));
                let Some((ours, stream)) = found else { return };
                let ours = *ours;
                (stream.server, stream.place) = (false, None);
                let at = stream.down.latest.max(at);
                if stream.client && !matches!(stream.fate, Fate::Silent | Fate::DeadDown(_)) {
                    self.net.post(at, Parcel::ClientEof(ours));
                }
                self.forget(ours);
            }
            output => panic!("{output:?}"),
        }
    }

    fn respond(&mut self, at: Instant, id: RequestId, response: http::Response) {
        let Some(exchange) = self.net.requests.get_mut(&id) else { return };
        exchange.place = None;
        match exchange.fate {
            Fate::Silent | Fate::DeadUp(_) | Fate::DeadDown(_) => {}
            Fate::CutUp(_) | Fate::CutDown(_) => self.net.post(at, Parcel::Fail(id, Failure::Reset("reset".into()))),
            _ => self.net.post(at, Parcel::Respond(id, response)),
        }
    }

    /// Moves what the client has to write.
    pub(super) fn transmit_up(&mut self, transport: TransportId, all: bool) -> bool {
        let limit = if all || self.faults.write == 0 { usize::MAX } else { self.faults.write };
        let delay = self.faults.delay(self.now);
        let now = self.now;
        let Some(stream) = self.net.streams.get_mut(&transport).filter(|stream| stream.client) else { return false };
        let Some(queue) = self.client.transmit(transport) else { return false };
        if queue.remaining() == 0 || (limit < usize::MAX && stream.up.latest > now + delay * 4) {
            return false;
        }
        let bytes = queue.copy_to_bytes(queue.remaining().min(limit));
        let more = queue.remaining() > 0;
        let at = stream.up.latest.max(now + delay);
        stream.up.latest = at;
        let before = stream.up.bytes;
        stream.up.bytes += bytes.len();
        let fate = stream.fate;
        let open = stream.server;
        match fate {
            Fate::CutUp(cut) if stream.up.bytes + 300 > cut => {
                let kept = cut.saturating_sub(before + 300).min(bytes.len());
                self.net.post(at, Parcel::Up(transport, bytes.slice(..kept)));
                self.net.post(at, Parcel::ServerEof(transport));
                self.net.post(at, Parcel::ClientEof(transport));
            }
            Fate::DeadUp(dead) if stream.up.bytes + 300 > dead => {}
            Fate::Silent => {}
            _ if open => self.net.post(at, Parcel::Up(transport, bytes)),
            _ => {}
        }
        if more {
            self.net.post(now + delay.max(super::millis(1)), Parcel::Writable(transport));
        }
        !more
    }

    /// Moves what the server has to write.
    pub(super) fn transmit_down(&mut self, connection: ConnKey, transport: TransportId) -> bool {
        let delay = self.faults.delay(self.now);
        let now = self.now;
        let Some(queue) = self.server.transmit(connection, transport) else { return false };
        if queue.remaining() == 0 {
            return false;
        }
        let bytes = queue.copy_to_bytes(queue.remaining());
        let found = self.net.streams.iter_mut().find(|(_, stream)| stream.place == Some((connection, transport)));
        let Some((ours, stream)) = found else { return true };
        let ours = *ours;
        let at = stream.down.latest.max(now + delay);
        stream.down.latest = at;
        let before = stream.down.bytes;
        stream.down.bytes += bytes.len();
        match stream.fate {
            Fate::CutDown(cut) if stream.down.bytes > cut => {
                let kept = cut.saturating_sub(before).min(bytes.len());
                self.net.post(at, Parcel::Down(ours, bytes.slice(..kept)));
                self.net.post(at, Parcel::ClientEof(ours));
                self.net.post(at, Parcel::ServerEof(ours));
            }
            Fate::DeadDown(dead) if stream.down.bytes > dead => {}
            Fate::Silent => {}
            _ if stream.client => self.net.post(at, Parcel::Down(ours, bytes)),
            _ => {}
        }
        true
    }

    pub(super) fn deliver(&mut self, parcel: Parcel) {
        let now = self.now;
        match parcel {
            Parcel::Request(id) => self.arrive(id),
            Parcel::Abort(id) => {
                if let Some(Exchange { place: Some((generation, key, server)), .. }) = self.net.requests.remove(&id)
                    && generation == self.generation
                    && self.net.asked.remove(&server).is_some()
                {
                    self.server.handle_abort(now, key, server);
                }
            }
            Parcel::Respond(id, response) => {
                if self.net.requests.remove(&id).is_some() {
                    let headers: Vec<(&str, &[u8])> =
                        response.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
                    let head = Response { status: response.status, headers: &headers };
                    self.client.handle_response(now, id, &head, response.body.clone());
                }
            }
            Parcel::Fail(id, failure) => {
                if let Some(exchange) = self.net.requests.remove(&id) {
                    // The server notices too.
                    if let Some((generation, key, server)) = exchange.place
                        && generation == self.generation
                        && self.net.asked.remove(&server).is_some()
                    {
                        self.server.handle_abort(now, key, server);
                    }
                    self.client.handle_failure(now, id, failure);
                }
            }
            Parcel::Open(transport, request) => self.arrive_open(transport, &request),
            Parcel::Upgrade(transport, response) => {
                if self.net.streams.get(&transport).is_some_and(|stream| stream.client) {
                    let headers: Vec<(&str, &[u8])> =
                        response.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
                    let head = Response { status: response.status, headers: &headers };
                    self.client.handle_upgrade(now, transport, &head, response.body.clone());
                    if response.status != 101 {
                        self.client_lets_go(transport);
                    }
                }
            }
            Parcel::OpenFail(transport, failure) => {
                if let Some(stream) = self.net.streams.get_mut(&transport).filter(|stream| stream.client) {
                    stream.client = false;
                    self.forget(transport);
                    self.client.handle_open_failure(now, transport, failure);
                }
            }
            Parcel::Up(transport, bytes) => {
                if let Some((connection, theirs)) = self.net.streams.get(&transport).and_then(|stream| stream.place) {
                    for chunk in chunks(&bytes, self.chunk) {
                        self.server.handle_bytes(now, connection, theirs, &mut BytesMut::from(chunk));
                    }
                }
            }
            Parcel::Down(transport, bytes) => {
                if self.net.streams.get(&transport).is_some_and(|stream| stream.client) {
                    for chunk in chunks(&bytes, self.chunk) {
                        self.client.handle_bytes(now, transport, &mut BytesMut::from(chunk));
                        if self.eager && self.chunk > 0 {
                            self.drive();
                        }
                    }
                }
            }
            Parcel::ServerEof(transport) => {
                if let Some(stream) = self.net.streams.get_mut(&transport) {
                    stream.server = false;
                    let asked = stream.asked.take();
                    if let Some((connection, theirs)) = stream.place.take() {
                        self.server.handle_eof(now, connection, theirs);
                    } else if let Some((generation, key, id)) = asked
                        && generation == self.generation
                        && self.net.asked.remove(&id).is_some()
                    {
                        self.server.handle_abort(now, key, id);
                    }
                    self.forget(transport);
                }
            }
            Parcel::ClientEof(transport) => {
                if let Some(stream) = self.net.streams.get_mut(&transport) {
                    stream.client = false;
                }
                self.client.handle_eof(now, transport);
                self.forget(transport);
            }
            Parcel::Writable(transport) => {
                self.transmit_up(transport, false);
            }
        }
    }

    fn arrive(&mut self, id: RequestId) {
        let now = self.now;
        let Some(exchange) = self.net.requests.get_mut(&id) else { return };
        self.net.next_request += 1;
        let name = RequestId(self.net.next_request);
        let headers: Vec<(String, Vec<u8>)> = wire_headers(&exchange.request);
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let request = &exchange.request;
        let head = http::Request {
            method: request.method,
            target: &request.target,
            headers: &headers,
            peer: None,
            secure: false,
        };
        match self.server.route(now, &head) {
            Route::Connection { key, body_limit } => {
                assert!(request.body.len() <= body_limit);
                exchange.place = Some((self.generation, key, name));
                let body = request.body.clone();
                self.net.asked.insert(name, Asked::Request(id));
                self.server.handle_request(now, key, name, &head, Body::Whole(body));
            }
            Route::Response(response) => {
                let at = now + self.faults.delay(self.now);
                self.respond(at, id, response);
            }
            Route::NotFound => panic!("not ours: {}", request.target),
        }
    }

    fn arrive_open(&mut self, transport: TransportId, request: &Request) {
        let now = self.now;
        let Some(stream) = self.net.streams.get_mut(&transport).filter(|stream| stream.client) else { return };
        self.net.next_request += 1;
        let name = RequestId(self.net.next_request);
        let headers: Vec<(String, Vec<u8>)> = wire_headers(request);
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let head = http::Request {
            method: request.method,
            target: &request.target,
            headers: &headers,
            peer: None,
            secure: false,
        };
        match self.server.route(now, &head) {
            Route::Connection { key, .. } => {
                (stream.server, stream.asked) = (true, Some((self.generation, key, name)));
                self.net.asked.insert(name, Asked::Stream(transport));
                self.server.handle_request(now, key, name, &head, Body::EMPTY);
            }
            Route::Response(response) => {
                let at = now + self.faults.delay(self.now);
                self.net.post(at, Parcel::Upgrade(transport, response));
            }
            Route::NotFound => panic!("not ours: {}", request.target),
        }
    }
}

fn wire_headers(request: &Request) -> Vec<(String, Vec<u8>)> {
    request.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

fn chunks(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(if size == 0 { bytes.len().max(1) } else { size })
}
