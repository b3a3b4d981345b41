//! What is on its way between the two.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

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

use super::{Fate, Pair, millis};

/// Bytes of a request's head, and of a response's, as far as the network cares.
const REQUEST: usize = 300;
const RESPONSE: usize = 130;

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
    /// The attempt to open a session that is under way.
    attempt: Option<Asked>,
    /// What has come for a client that does not read.
    unread: Option<VecDeque<Parcel>>,
    /// WebSockets that the server does not read from.
    withheld: Vec<TransportId>,
    traffic: Vec<Traffic>,
    refusals: u64,
}

/// A connection that the client has made, and what it has carried.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Whether it is a WebSocket, and no request.
    pub stream: bool,
    pub up: usize,
    pub down: usize,
}

impl Traffic {
    /// Every way in which such a connection can break: at each byte of a WebSocket, on either way; and of a request
    /// wherever that makes a difference.
    pub fn fates(&self) -> Vec<Fate> {
        let (up, down) = if self.stream {
            ((REQUEST..=self.up).collect(), (RESPONSE..=self.down).collect())
        } else {
            (vec![REQUEST, (REQUEST + self.up) / 2, self.up], Vec::new())
        };
        let both = |fates: [fn(usize) -> Fate; 2], bytes: Vec<usize>| {
            [0].into_iter().chain(bytes).flat_map(move |bytes| fates.map(|fate| fate(bytes)))
        };
        let up = both([Fate::CutUp, Fate::DeadUp], up);
        up.chain(both([Fate::CutDown, Fate::DeadDown], down)).chain([Fate::Refused, Fate::Silent]).collect()
    }
}

/// A request, and how it goes.
struct Exchange {
    request: Request,
    fate: Fate,
    /// Where it arrived: which server, and under which name.
    place: Option<(u32, ConnKey, RequestId)>,
    traffic: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
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
    /// What has come for a server that does not read.
    unread: VecDeque<Parcel>,
    /// Whether the side still has it.
    client: bool,
    server: bool,
    traffic: usize,
}

#[derive(Default)]
struct Direction {
    /// What was sent later does not arrive earlier.
    latest: Instant,
    /// When the socket takes more.
    writable: Instant,
    bytes: usize,
}

/// What became of bytes that were written.
struct Written {
    arrives: Option<Bytes>,
    /// The connection breaks behind them.
    breaks: bool,
    at: Instant,
    /// When the socket takes what is left.
    more: Option<Instant>,
}

impl Direction {
    /// Writes what a socket takes, up to `limit` bytes (0: all). It breaks after so many bytes, or goes silent.
    fn write(
        &mut self,
        now: Instant,
        delay: Duration,
        queue: &mut impl Buf,
        limit: usize,
        (cut, dead): (usize, usize),
    ) -> Option<Written> {
        if queue.remaining() == 0 || (limit > 0 && self.writable > now) {
            return None;
        }
        let all = queue.remaining();
        let bytes = queue.copy_to_bytes(if limit == 0 { all } else { all.min(limit) });
        let at = self.latest.max(now + delay);
        let kept = cut.saturating_sub(self.bytes).min(bytes.len());
        self.latest = at;
        self.bytes += bytes.len();
        let breaks = self.bytes > cut;
        let arrives = (self.bytes <= dead).then(|| bytes.slice(..kept));
        let more = (queue.remaining() > 0).then(|| now + (delay / 8).max(millis(1)));
        self.writable = more.unwrap_or(self.writable);
        Some(Written { arrives, breaks, at, more })
    }
}

#[derive(Debug)]
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
    /// The client's socket takes more.
    ClientWritable(TransportId),
    /// The server's socket takes more.
    ServerWritable(TransportId),
}

impl Parcel {
    fn is_for_client(&self) -> bool {
        matches!(
            self,
            Self::Respond(..)
                | Self::Fail(..)
                | Self::Upgrade(..)
                | Self::OpenFail(..)
                | Self::Down(..)
                | Self::ClientEof(..)
        )
    }
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

    /// Bytes, and the end of their connection on both sides if it breaks.
    fn post_all(&mut self, at: Instant, broken: Option<TransportId>, bytes: Option<Parcel>) {
        let ends = broken.map(|transport| [Parcel::ServerEof(transport), Parcel::ClientEof(transport)]);
        for parcel in bytes.into_iter().chain(ends.into_iter().flatten()) {
            self.post(at, parcel);
        }
    }

    fn carries(&mut self, stream: bool, up: usize) -> usize {
        self.traffic.push(Traffic { stream, up, down: 0 });
        self.traffic.len() - 1
    }

    /// A connection without a session: one at a time.
    fn begin_attempt(&mut self, target: &str, attempt: Asked) {
        if !target.contains("sid=") {
            assert!(self.attempt.is_none(), "two attempts at once");
            self.attempt = Some(attempt);
        }
    }

    fn end_attempt(&mut self, attempt: Asked) {
        self.attempt.take_if(|own| *own == attempt);
    }
}

impl Pair {
    /// The fates of the connections that are known to one side at least.
    pub fn connections(&self) -> Vec<Fate> {
        let requests = self.net.requests.values().map(|exchange| exchange.fate);
        requests.chain(self.net.streams.values().map(|stream| stream.fate)).collect()
    }

    /// The connections that the client has made so far, in order.
    pub fn traffic(&self) -> &[Traffic] {
        &self.net.traffic
    }

    /// How many requests were answered with an error that is not the end of a session.
    pub fn refusals(&self) -> u64 {
        self.net.refusals
    }

    /// The byte streams of all WebSockets break now; the requests too.
    pub fn reset_everything(&mut self) {
        let now = self.now + self.faults.delay(self.now);
        for (id, exchange) in &mut self.net.requests {
            // What nobody has heard of stays so.
            if exchange.place.take().is_some() && exchange.fate != Fate::Silent {
                self.net.parcels += 1;
                self.net.wire.insert((now, self.net.parcels), Parcel::Fail(*id, Failure::Reset("reset".into())));
            }
        }
        self.net.asked.clear();
        self.net.withheld.clear();
        let streams: Vec<TransportId> = self.net.streams.keys().copied().collect();
        for transport in streams {
            let Some(stream) = self.net.streams.get_mut(&transport) else { continue };
            let was_open = stream.place.is_some() || stream.asked.is_some();
            (stream.server, stream.place, stream.asked) = (false, None, None);
            stream.unread.clear();
            if stream.client && was_open && !matches!(stream.fate, Fate::Silent) {
                self.net.post(now, Parcel::ClientEof(transport));
            }
            self.forget(transport);
        }
    }

    /// Every connection goes deaf: nothing arrives any more, and nobody is told.
    pub fn silence(&mut self) {
        for stream in self.net.streams.values_mut() {
            stream.fate = Fate::Silent;
        }
        for exchange in self.net.requests.values_mut() {
            exchange.fate = Fate::Silent;
        }
    }

    /// Everything works from now on, but for what has gone deaf already.
    pub fn heal(&mut self) {
        self.faults.heal = self.now;
        (self.faults.outage, self.faults.write, self.faults.read) = (None, 0, 0);
        self.faults.script.clear();
        for stream in self.net.streams.values_mut() {
            let is_deaf = match stream.fate {
                Fate::Silent => true,
                Fate::DeadUp(bytes) => stream.up.bytes > bytes,
                Fate::DeadDown(bytes) => stream.down.bytes > bytes,
                _ => false,
            };
            if !is_deaf {
                stream.fate = Fate::Fine;
            }
        }
        self.withhold(false);
    }

    /// The client's driver stops reading, because the application is behind, or goes on.
    pub fn withhold(&mut self, withheld: bool) {
        if withheld == self.net.unread.is_some() {
            return;
        }
        self.client.handle_withheld(self.now, withheld);
        if withheld {
            self.net.unread = Some(VecDeque::new());
        } else {
            for parcel in self.net.unread.take().into_iter().flatten() {
                self.deliver(parcel);
            }
        }
    }

    pub(super) fn on_client_output(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Request { id, request } => {
                self.net.begin_attempt(&request.target, Asked::Request(id));
                let fate = self.faults.fate(self.now);
                let at = self.now + self.faults.delay(self.now);
                match fate {
                    Fate::Refused => self.net.post(at, Parcel::Fail(id, Failure::Connect("refused".into()))),
                    // What breaks within the head never arrives.
                    Fate::CutUp(0..REQUEST) => {
                        self.net.post(at, Parcel::Fail(id, Failure::Reset("reset".into())));
                    }
                    Fate::Silent | Fate::DeadUp(0..REQUEST) => {}
                    _ => self.net.post(at, Parcel::Request(id)),
                }
                let traffic = self.net.carries(false, REQUEST + request.body.len());
                let before = self.net.requests.insert(id, Exchange { request: *request, fate, place: None, traffic });
                assert!(before.is_none(), "{id} twice");
            }
            ClientOutput::Cancel { id } => {
                self.net.end_attempt(Asked::Request(id));
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
                self.net.begin_attempt(&request.target, Asked::Stream(transport));
                let fate = self.faults.fate(self.now);
                let at = self.now + self.faults.delay(self.now);
                match fate {
                    Fate::Refused => {
                        self.net.post(at, Parcel::OpenFail(transport, Failure::Connect("refused".into())));
                    }
                    Fate::CutUp(0..REQUEST) => {
                        self.net.post(at, Parcel::OpenFail(transport, Failure::Reset("reset".into())));
                    }
                    Fate::Silent | Fate::DeadUp(0..REQUEST) => {}
                    _ => self.net.post(at, Parcel::Open(transport, *request)),
                }
                let stream = Stream {
                    fate,
                    asked: None,
                    place: None,
                    up: Direction { bytes: REQUEST, ..Direction::default() },
                    down: Direction::default(),
                    unread: VecDeque::new(),
                    client: true,
                    server: false,
                    traffic: self.net.carries(true, REQUEST),
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
        self.net.end_attempt(Asked::Stream(transport));
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
        let at = self.now + self.faults.delay(self.now);
        match output {
            ServerOutput::Respond { id, response } => match self.net.asked.remove(&id) {
                Some(Asked::Request(id)) => self.respond(at, id, response),
                Some(Asked::Stream(transport)) => {
                    let Some(stream) = self.net.streams.get_mut(&transport) else { return };
                    (stream.server, stream.asked) = (false, None);
                    if stream.fate != Fate::Silent {
                        self.net.post(at, Parcel::Upgrade(transport, response));
                    }
                    self.forget(transport);
                }
                None => {}
            },
            ServerOutput::Upgrade { id, response, connection, transport } => {
                let Some(Asked::Stream(ours)) = self.net.asked.remove(&id) else { return };
                let now = self.now;
                let Some(stream) = self.net.streams.get_mut(&ours) else { return };
                if !stream.client {
                    stream.server = false;
                    self.server.handle_eof(now, connection, transport);
                    return self.forget(ours);
                }
                (stream.place, stream.asked) = (Some((connection, transport)), None);
                stream.down.latest = at;
                stream.down.bytes = RESPONSE;
                self.net.traffic[stream.traffic].down = RESPONSE;
                match stream.fate {
                    Fate::CutDown(0..RESPONSE) => {
                        stream.server = false;
                        self.server.handle_eof(now, connection, transport);
                        self.net.post(at, Parcel::OpenFail(ours, Failure::Reset("reset".into())));
                    }
                    Fate::Silent | Fate::DeadDown(0..RESPONSE) => {}
                    _ => self.net.post(at, Parcel::Upgrade(ours, response)),
                }
            }
            ServerOutput::Shutdown { connection, transport } => {
                self.transmit_down(connection, transport, true);
                self.server_lets_go(at, connection, transport);
            }
            ServerOutput::Abort { connection, transport } => self.server_lets_go(at, connection, transport),
            output => panic!("{output:?}"),
        }
    }

    fn server_lets_go(&mut self, at: Instant, connection: ConnKey, transport: TransportId) {
        self.server.handle_eof(self.now, connection, transport);
        let Some(ours) = self.stream_at(connection, transport) else { return };
        let Some(stream) = self.net.streams.get_mut(&ours) else { return };
        (stream.server, stream.place) = (false, None);
        stream.unread.clear();
        let at = stream.down.latest.max(at);
        if stream.client && !matches!(stream.fate, Fate::Silent | Fate::DeadDown(_)) {
            self.net.post(at, Parcel::ClientEof(ours));
        }
        self.forget(ours);
    }

    /// The client's name of a WebSocket.
    fn stream_at(&self, connection: ConnKey, transport: TransportId) -> Option<TransportId> {
        let place = Some((connection, transport));
        self.net.streams.iter().find(|(_, stream)| stream.place == place).map(|(ours, _)| *ours)
    }

    fn respond(&mut self, at: Instant, id: RequestId, response: http::Response) {
        let Some(exchange) = self.net.requests.get_mut(&id) else { return };
        exchange.place = None;
        // All that a request may be refused for is a session that is over.
        let over = response.status < 400 || response.body.starts_with(br#"{"code":1,"#);
        self.net.refusals += u64::from(!over && exchange.fate == Fate::Fine);
        self.net.traffic[exchange.traffic].down = RESPONSE + response.body.len();
        match exchange.fate {
            Fate::Silent | Fate::DeadUp(_) | Fate::DeadDown(_) => {}
            Fate::CutUp(_) | Fate::CutDown(_) => self.net.post(at, Parcel::Fail(id, Failure::Reset("reset".into()))),
            _ => self.net.post(at, Parcel::Respond(id, response)),
        }
    }

    /// Moves what the client has to write. Says whether all of it is gone.
    pub(super) fn transmit_up(&mut self, transport: TransportId, all: bool) -> bool {
        let limit = if all { 0 } else { self.faults.write };
        let (now, delay) = (self.now, self.faults.delay(self.now));
        let Some(stream) = self.net.streams.get_mut(&transport).filter(|stream| stream.client) else { return false };
        let Some(queue) = self.client.transmit(transport) else { return false };
        let Some(written) = stream.up.write(now, delay, queue, limit, stream.fate.ends(true)) else { return false };
        self.net.traffic[stream.traffic].up = stream.up.bytes;
        let arrives = written.arrives.filter(|_| stream.server);
        let all_gone = written.more.is_none();
        self.net.post_all(
            written.at,
            written.breaks.then_some(transport),
            arrives.map(|bytes| Parcel::Up(transport, bytes)),
        );
        if let Some(more) = written.more {
            self.net.post(more, Parcel::ClientWritable(transport));
        }
        all_gone
    }

    /// Moves what the server has to write. Says whether there was anything.
    pub(super) fn transmit_down(&mut self, connection: ConnKey, transport: TransportId, all: bool) -> bool {
        let limit = if all { 0 } else { self.faults.read };
        let (now, delay) = (self.now, self.faults.delay(self.now));
        let ours = self.stream_at(connection, transport);
        let Some(queue) = self.server.transmit(connection, transport) else { return false };
        let Some((ours, stream)) = ours.and_then(|ours| Some((ours, self.net.streams.get_mut(&ours)?))) else {
            let moved = queue.remaining() > 0;
            queue.advance(queue.remaining());
            return moved;
        };
        let Some(written) = stream.down.write(now, delay, queue, limit, stream.fate.ends(false)) else { return false };
        self.net.traffic[stream.traffic].down = stream.down.bytes;
        let arrives = written.arrives.filter(|_| stream.client);
        self.net.post_all(written.at, written.breaks.then_some(ours), arrives.map(|bytes| Parcel::Down(ours, bytes)));
        if let Some(more) = written.more {
            self.net.post(more, Parcel::ServerWritable(ours));
        }
        true
    }

    pub(super) fn deliver(&mut self, parcel: Parcel) {
        let now = self.now;
        if parcel.is_for_client()
            && let Some(unread) = &mut self.net.unread
        {
            return unread.push_back(parcel);
        }
        self.trace(format_args!("{parcel:?}"));
        match parcel {
            Parcel::Request(id) => self.arrive(id),
            Parcel::Abort(id) => {
                if let Some(exchange) = self.net.requests.remove(&id) {
                    self.abort(exchange.place);
                }
            }
            Parcel::Respond(id, response) => {
                if self.net.requests.remove(&id).is_some() {
                    self.net.end_attempt(Asked::Request(id));
                    let headers = borrowed(&response);
                    let head = Response { status: response.status, headers: &headers };
                    self.client.handle_response(now, id, &head, response.body.clone());
                }
            }
            Parcel::Fail(id, failure) => {
                if let Some(exchange) = self.net.requests.remove(&id) {
                    self.net.end_attempt(Asked::Request(id));
                    // The server notices too.
                    self.abort(exchange.place);
                    self.client.handle_failure(now, id, failure);
                }
            }
            Parcel::Open(transport, request) => self.arrive_open(transport, &request),
            Parcel::Upgrade(transport, response) => {
                if self.net.streams.get(&transport).is_some_and(|stream| stream.client) {
                    self.net.end_attempt(Asked::Stream(transport));
                    let headers = borrowed(&response);
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
                    self.net.end_attempt(Asked::Stream(transport));
                    self.forget(transport);
                    self.client.handle_open_failure(now, transport, failure);
                }
            }
            Parcel::Up(transport, _) | Parcel::ServerEof(transport) => {
                let Some(stream) = self.net.streams.get_mut(&transport) else { return };
                let Some((connection, _)) = stream.place else { return self.read(transport, parcel) };
                if !stream.unread.is_empty() {
                    stream.unread.push_back(parcel);
                } else if self.server.wants_read(connection) {
                    self.read(transport, parcel);
                } else {
                    stream.unread.push_back(parcel);
                    self.net.withheld.push(transport);
                    self.server.handle_withheld(now, connection, true);
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
            Parcel::ClientEof(transport) => {
                self.net.end_attempt(Asked::Stream(transport));
                if let Some(stream) = self.net.streams.get_mut(&transport) {
                    stream.client = false;
                }
                self.client.handle_eof(now, transport);
                self.forget(transport);
            }
            Parcel::ClientWritable(transport) => {
                self.transmit_up(transport, false);
            }
            Parcel::ServerWritable(transport) => {
                if let Some((connection, theirs)) = self.net.streams.get(&transport).and_then(|stream| stream.place) {
                    self.transmit_down(connection, theirs, false);
                }
            }
        }
    }

    /// The server's driver goes on reading where it may. Says whether it did.
    pub(super) fn read_on(&mut self) -> bool {
        let withheld = std::mem::take(&mut self.net.withheld);
        let mut moved = false;
        for transport in withheld {
            let place = self.net.streams.get(&transport).and_then(|stream| stream.place);
            let Some((connection, _)) = place else { continue };
            if !self.server.wants_read(connection) {
                self.net.withheld.push(transport);
                continue;
            }
            moved = true;
            self.server.handle_withheld(self.now, connection, false);
            let stream = self.net.streams.get_mut(&transport);
            for parcel in stream.map(|stream| std::mem::take(&mut stream.unread)).unwrap_or_default() {
                self.read(transport, parcel);
            }
        }
        moved
    }

    /// What has come for the server on a WebSocket.
    fn read(&mut self, transport: TransportId, parcel: Parcel) {
        let now = self.now;
        let Some(stream) = self.net.streams.get_mut(&transport) else { return };
        match parcel {
            Parcel::Up(_, bytes) => {
                let Some((connection, theirs)) = stream.place else { return };
                for chunk in chunks(&bytes, self.chunk) {
                    self.server.handle_bytes(now, connection, theirs, &mut BytesMut::from(chunk));
                }
            }
            _ => {
                stream.server = false;
                let asked = stream.asked.take();
                if let Some((connection, theirs)) = stream.place.take() {
                    self.server.handle_eof(now, connection, theirs);
                } else {
                    self.abort(asked);
                }
                self.forget(transport);
            }
        }
    }

    /// The peer has dropped a request, which may be answered already.
    fn abort(&mut self, place: Option<(u32, ConnKey, RequestId)>) {
        if let Some((generation, key, id)) = place
            && generation == self.generation
            && self.net.asked.remove(&id).is_some()
        {
            self.server.handle_abort(self.now, key, id);
        }
    }

    fn arrive(&mut self, id: RequestId) {
        let now = self.now;
        let generation = self.generation;
        let Some(exchange) = self.net.requests.get_mut(&id) else { return };
        self.net.next_request += 1;
        let name = RequestId(self.net.next_request);
        let headers = wire_headers(&exchange.request);
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let request = &exchange.request;
        let head = head_of(request, &headers);
        match self.server.route(now, &head) {
            Route::Connection { key, body_limit } => {
                assert!(request.body.len() <= body_limit);
                let place = (generation, key, name);
                exchange.place = Some(place);
                let end = REQUEST + request.body.len();
                let (body, fate) = (request.body.clone(), exchange.fate);
                self.net.asked.insert(name, Asked::Request(id));
                match fate {
                    // It breaks within the body.
                    Fate::CutUp(cut) if cut < end => {
                        self.server.handle_request(now, key, name, &head, Body::Pending);
                        let at = now + self.faults.delay(now);
                        self.net.post(at, Parcel::Fail(id, Failure::Reset("reset".into())));
                    }
                    Fate::DeadUp(dead) if dead < end => {
                        self.server.handle_request(now, key, name, &head, Body::Pending);
                    }
                    _ => self.server.handle_request(now, key, name, &head, Body::Whole(body)),
                }
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
        let headers = wire_headers(request);
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let head = head_of(request, &headers);
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

fn head_of<'a>(request: &'a Request, headers: &'a [(&'a str, &'a [u8])]) -> http::Request<'a> {
    http::Request { method: request.method, target: &request.target, headers, peer: None, secure: false }
}

fn wire_headers(request: &Request) -> Vec<(String, Vec<u8>)> {
    request.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

fn borrowed(response: &http::Response) -> Vec<(&str, &[u8])> {
    response.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

fn chunks(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(if size == 0 { bytes.len().max(1) } else { size })
}
