//! The machine: its state, its methods, and what becomes of inputs.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::BytesMut;

use super::{
    Event, Output,
    error::{Cause, ClosedBy, Error, HandshakeError},
    input::Input,
    open::Handshake,
    polling::{Get, Post},
    upgrade::{self, Opening},
};
use crate::{
    Instant, RequestId, Seed, TransportId,
    client::{
        Config, Cookies, Endpoint, Transport,
        endpoint::{Origin, Place},
    },
    engine::{
        CloseReason, Current, Message, Packet, SendError, Step,
        buffer::{Load, SendBuffer, Unit},
        inbox::{Inbox, Stored as _},
        timers::{NEVER, Timer, Timers, after},
        websocket::{self, Stage, WebSocket},
    },
    fifo::Fifo,
    rng::Rng,
    ws::TransmitQueue,
};

/// One Engine.IO session of a client: its polling requests, its WebSocket, the upgrade from one to the other, and the
/// server's heartbeat.
///
/// # Methods
///
/// - **Inputs** (`handle_*`): what has happened. They only store it; nothing is looked at before it is polled for.
/// - **Verbs**: [`send`](Self::send), [`close`](Self::close) and [`abort`](Self::abort), what the application wants. They
///   act at once.
/// - **Outputs**: [`poll_output`](Self::poll_output), [`transmit`](Self::transmit) and [`poll_timeout`](Self::poll_timeout).
/// - **Getters**: all others.
///
/// After any inputs and verbs, in any order: poll outputs until there is none, write what [`transmit`](Self::transmit)
/// holds for each WebSocket, and wait for the next input, until [`poll_timeout`](Self::poll_timeout) at the latest; then
/// call [`handle_timeout`](Self::handle_timeout). Inputs are worked on in the order in which they were handed over, each
/// with its own time, so the outputs do not depend on how bytes were cut or on how many inputs were handed over between
/// two polls. A `now` that lies before an earlier one counts as that one.
///
/// An engine is to be kept until it [is drained](Self::is_drained). It connects once: for another session make another
/// engine, and hand over [`cookies`](Self::cookies) and
/// [`prior_websocket_success`](Self::prior_websocket_success).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// engine.send(engine::Message::Text("hello".into())).unwrap();
/// let Some(engine::Output::Request { request, .. }) = engine.poll_output() else { panic!() };
/// assert_eq!((request.method, &request.body[..]), ("POST", &b"4hello"[..]));
/// engine.handle_response(NOW, get, &OK, Bytes::from("4and hello to you"));
/// let message = engine::Message::Text("and hello to you".into());
/// assert_eq!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Message(message))));
/// # }
/// ```
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Arc<Config>,
    pub(super) way: Box<Way>,
    pub(super) rng: Box<Rng>,
    generation: u32,
    next_request: u32,
    next_transport: u32,
    pub(super) clock: Instant,
    pub(super) phase: Phase,
    /// The transport of the session, or the one that is being opened.
    pub(super) transport: Transport,
    pub(super) upgrade: upgrade::State,
    pub(super) timers: Timers,
    pub(super) get: Option<Box<Get>>,
    pub(super) post: Option<Box<Post>>,
    /// Whether the server is to be told of the end once that is answered.
    pub(super) farewell: bool,
    /// The WebSocket that is asked for.
    pub(super) opening: Option<Box<Opening>>,
    /// What waits for a POST, or for the session to be open.
    pub(super) buffer: SendBuffer,
    pub(super) sockets: Vec<WebSocket>,
    pub(super) handshake: Option<Box<Handshake>>,
    pub(super) prior: bool,
    /// What is being read, one packet per poll.
    pub(super) current: Current,
    /// Until when a missing ping is excused, while nothing is read from the server.
    excused: Option<Instant>,
    pub(super) inbox: Inbox<Input>,
    pub(super) out: Fifo<Box<Step<Output>>>,
}

/// The way to the server, which is looked at with requests and by who opens one. (Apart, for what messages need lies closer
/// together without it.)
#[derive(Debug)]
pub(super) struct Way {
    /// Where the cookies and headers of the configuration belong.
    pub(super) home: Origin,
    /// Where requests go.
    pub(super) place: Place,
    /// The cookies of the endpoint.
    pub(super) cookies: Cookies,
    /// Those of another origin, once a redirection has led there.
    pub(super) away: Option<Cookies>,
    /// The transports that were not tried yet, the engine's not among them.
    untried: Vec<Transport>,
}

/// What has become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake is still to come.
    Opening,
    Open,
    /// Closed by the application; what is queued and an upgrade come first.
    Closing,
    Closed,
}

impl Engine {
    /// Starts to open a session: the first output is the request for it. `cookies` are those that the server has set
    /// before; `remembered` says whether a WebSocket to it has worked before
    /// ([`prior_websocket_success`](Self::prior_websocket_success)). Every engine needs a seed of its own, since it draws
    /// WebSocket masks from it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let config = Arc::new(Config::default());
    /// let mut engine = Engine::new(NOW, config, &endpoint(), Cookies::EMPTY, false, &Seed::for_tests(1));
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Request { .. })));
    /// # }
    /// ```
    pub fn new(
        now: Instant,
        config: Arc<Config>,
        endpoint: &Endpoint,
        cookies: Cookies,
        remembered: bool,
        seed: &Seed,
    ) -> Self {
        Self::with_generation(now, config, endpoint, cookies, remembered, seed, 0)
    }

    /// The same with a number that no other engine of its owner has at the time: the ids of its requests and WebSockets
    /// are its own then, see [`owns_request`](Self::owns_request) and [`owns_transport`](Self::owns_transport).
    pub(crate) fn with_generation(
        now: Instant,
        config: Arc<Config>,
        endpoint: &Endpoint,
        cookies: Cookies,
        remembered: bool,
        seed: &Seed,
        generation: u32,
    ) -> Self {
        let mut untried = Vec::new();
        for transport in &config.transports {
            if !untried.contains(transport) {
                untried.push(*transport);
            }
        }
        let mut engine = Self {
            way: Box::new(Way {
                home: endpoint.origin().clone(),
                place: Place::of(endpoint),
                cookies,
                away: None,
                untried,
            }),
            rng: Box::new(Rng::new(seed)),
            generation,
            next_request: 0,
            next_transport: 0,
            clock: now,
            phase: Phase::Opening,
            transport: Transport::Polling,
            upgrade: upgrade::State::None,
            timers: Timers::default(),
            get: None,
            post: None,
            farewell: false,
            opening: None,
            buffer: SendBuffer::default(),
            sockets: Vec::new(),
            handshake: None,
            prior: remembered,
            current: Current::Nothing,
            excused: None,
            inbox: Inbox::default(),
            out: Fifo::default(),
            config,
        };
        if let Some(timeout) = engine.config.timeout {
            engine.timers.set(Timer::Body, after(now, timeout));
        }
        let remembered = engine.config.remember_upgrade && remembered;
        let first = engine.way.untried.iter().position(|transport| remembered && *transport == Transport::WebSocket);
        engine.open_next(first.unwrap_or(0));
        engine
    }

    /// The WebSocket that the session is on.
    pub(super) fn main(&self) -> Option<&WebSocket> {
        self.sockets.iter().find(|socket| socket.stage == Stage::Main)
    }

    // Outputs.

    /// What to do next, until there is nothing: `None`. At most one packet is read per call, so a driver slows a server
    /// down by not polling.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, get) = opened();
    /// engine.handle_response(NOW, get, &OK, Bytes::from("2"));
    /// assert_eq!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Ping)));
    /// let Some(engine::Output::Request { request, .. }) = engine.poll_output() else { panic!() };
    /// assert_eq!((request.method, &request.body[..]), ("POST", &b"3"[..])); // Its answer.
    /// # }
    /// ```
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.poll_step(u64::MAX)? {
                Step::Output(output) => return Some(output),
                Step::Tick(_) => {}
            }
        }
    }

    /// The same for the first `until` inputs only, with the places of `handle_timeout` among the outputs, for a layer
    /// above that has timers of its own.
    pub(crate) fn poll_step(&mut self, until: u64) -> Option<Step<Output>> {
        loop {
            if let Some(step) = self.out.pop_front() {
                return Some(*step);
            }
            let event = match &mut self.current {
                Current::Stream(transport) => {
                    let transport = *transport;
                    self.read_stream(transport)
                }
                Current::Payload(reader) => {
                    let packet = reader.next();
                    self.read_payload(packet)
                }
                Current::Nothing => {
                    // Requests are made after each input, so that they do not depend on batching.
                    self.flush();
                    if self.out.is_empty() {
                        let (now, input) = self.inbox.pop(until)?;
                        self.clock = self.clock.max(now);
                        let tick = input.is_tick();
                        match input {
                            // The most frequent one, on the shortest way.
                            Input::Bytes { transport, bytes, backing } => self.take_bytes(transport, bytes, backing),
                            input => self.take(input),
                        }
                        match (tick, self.out.is_empty()) {
                            (true, true) => return Some(Step::Tick(self.clock)),
                            (true, false) => self.out.push_back(Box::new(Step::Tick(self.clock))),
                            (false, _) => {}
                        }
                    }
                    None
                }
            };
            match event {
                // The usual case needs no queue.
                Some(event) if self.out.is_empty() => return Some(Step::Output(Output::Event(event))),
                Some(event) => self.emit(event),
                None => {}
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest. A pure getter.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opened();
    /// assert_eq!(engine.poll_timeout(), Some(NOW + Duration::from_secs(45))); // Until a ping must have come.
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        let handled = self.inbox.latest_tick();
        let mut earliest = NEVER;
        let mut consider = |at: Instant| {
            if handled.is_none_or(|handled| at > handled) {
                earliest = earliest.min(at);
            }
        };
        self.timers.iter().for_each(&mut consider);
        self.sockets.iter().for_each(|socket| consider(socket.deadline));
        if let Some(get) = &self.get {
            consider(get.deadline);
        }
        if let Some(post) = &self.post {
            consider(post.deadline);
        }
        (earliest < NEVER).then_some(earliest)
    }

    /// The bytes that wait to be written to a WebSocket; `None` for one that is not open.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, accept) = websocket();
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// engine.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// engine.handle_message(NOW, transport, engine::Message::Text(OPEN.into()));
    /// engine.poll_output();
    /// engine.send(engine::Message::Text("hello".into())).unwrap();
    /// let queue = engine.transmit(transport).unwrap();
    /// assert_eq!(queue.remaining(), 2 + 4 + "4hello".len()); // Head, mask and packet.
    /// queue.advance(3); // So much was written.
    /// # }
    /// ```
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
        let socket = self.socket(transport)?;
        Some(socket.stream.transmit())
    }

    /// The WebSockets that have something to write.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert_eq!(opened().0.unsent().count(), 0); // There is no WebSocket.
    /// # }
    /// ```
    pub fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.sockets.iter().filter(|socket| !socket.stream.queue().is_empty()).map(|socket| socket.id)
    }

    // Verbs.

    /// Sends a message, once the session is open.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.send(engine::Message::Binary(Bytes::from_static(&[1, 2, 3]))).unwrap();
    /// let Some(engine::Output::Request { request, .. }) = engine.poll_output() else { panic!() };
    /// assert_eq!(request.body, "bAQID"); // base64, on polling.
    /// engine.close(NOW);
    /// assert_eq!(engine.send(engine::Message::Text("late".into())), Err(engine::SendError::Closed));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The session is closing or closed, or its send queue is full; the message is not sent then.
    pub fn send(&mut self, message: Message) -> Result<(), SendError> {
        let unit = Unit::Message(message);
        self.check_room(unit.size())?;
        self.push(unit);
        Ok(())
    }

    /// Closes the session in order: what is queued is still sent, and an upgrade that the server has agreed to is
    /// finished; both within [`drain_timeout`](crate::client::Limits::drain_timeout). Then the server is told, and has
    /// [`close_timeout`](crate::client::Limits::close_timeout) to answer. [`Event::Close`] comes when the last POST is
    /// answered; on WebSocket at once, since the queue is the driver's to write. A session that is not open yet is closed
    /// at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.close(NOW);
    /// let Some(engine::Output::Event(engine::Event::Close { reason, .. })) = engine.poll_output() else { panic!() };
    /// assert_eq!(reason, engine::CloseReason::ForcedClose);
    /// let Some(engine::Output::Request { request, .. }) = engine.poll_output() else { panic!() };
    /// assert_eq!(request.body, "1"); // The server is told.
    /// # }
    /// ```
    pub fn close(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        match self.phase {
            Phase::Opening => self.end(CloseReason::ForcedClose, None),
            Phase::Open => {
                self.phase = Phase::Closing;
                let drained_at = after(self.clock, self.config.limits.drain_timeout);
                self.timers.set(Timer::Drain, drained_at);
                self.finish_closing();
            }
            Phase::Closing | Phase::Closed => {}
        }
    }

    /// Ends the session now, for a driver that cannot wait any longer: what is queued is lost, requests are cancelled,
    /// and every WebSocket is aborted. [`Event::Close`] follows if it has not come yet.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, get) = opened();
    /// engine.abort(NOW);
    /// let wanted: Vec<_> = std::iter::from_fn(|| engine.poll_output()).collect();
    /// assert!(wanted.contains(&engine::Output::Cancel { id: get }) && engine.is_drained());
    /// # }
    /// ```
    pub fn abort(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.end(CloseReason::ForcedClose, None);
        self.cancel_requests();
        self.timers.clear_all();
        for socket in core::mem::take(&mut self.sockets) {
            self.output(Output::Abort { transport: socket.id });
        }
    }

    /// Whether a message of this size may be queued. Any size fits an empty queue.
    pub(super) fn check_room(&self, size: usize) -> Result<(), SendError> {
        if !self.takes_packets() {
            return Err(SendError::Closed);
        }
        Ok(self.load().check_room(size, || limits(&self.config))?)
    }

    /// Whether there is, or will be, a session to send something on.
    pub(super) const fn takes_packets(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Open)
    }

    /// What waits to be sent on the session's transport.
    pub(super) fn load(&self) -> Load {
        load(self.main(), &self.buffer)
    }

    // Inside.

    /// Works on the next input.
    fn take(&mut self, input: Input) {
        match input {
            Input::Response { id, answer } => self.on_response(id, &answer.head, answer.body),
            Input::Failure { id, failure } => self.on_failure(id, failure),
            Input::Upgrade { transport, answer } => self.on_upgrade(transport, &answer.head, &answer.body),
            Input::OpenFailure { transport, failure } => self.on_open_failure(transport, Cause::Failure(failure)),
            Input::Bytes { transport, bytes, backing } => self.take_bytes(transport, bytes, backing),
            Input::Message { transport, message } => {
                if let Some(event) = self.on_message(transport, message) {
                    self.emit(event);
                }
            }
            Input::Eof(transport) => self.on_eof(transport),
            Input::Withheld(withheld) => self.on_withheld(withheld),
            Input::Timeout => self.on_timeout(),
        }
    }

    fn take_bytes(&mut self, transport: TransportId, bytes: BytesMut, backing: usize) {
        if let Some(socket) = self.socket(transport) {
            socket.stream.take_bytes(bytes, backing);
            self.current = Current::Stream(transport);
        }
    }

    fn on_timeout(&mut self) {
        while let Some((timer, _)) = self.timers.take_due(self.clock) {
            match timer {
                Timer::Body => {
                    self.prior = false;
                    let error = self.config.timeout.map(|limit| Error::Timeout { limit });
                    self.end(CloseReason::TransportError, error);
                }
                Timer::Heartbeat => {
                    let error = Error::PingTimeout { limit: self.ping_limit() };
                    self.end(CloseReason::PingTimeout, Some(error));
                }
                Timer::Upgrade => self.on_upgrade_timeout(),
                Timer::Drain if self.phase == Phase::Closing => {
                    self.end(CloseReason::ForcedClose, None);
                    // It was waited for long enough.
                    self.drop_farewell();
                }
                Timer::Drain => self.cancel_requests(),
                Timer::Noop => {}
            }
        }
        self.expire_requests();
        let timeout = self.config.limits.close_timeout;
        while let Some(transport) = websocket::take_overdue(&mut self.sockets, self.clock, timeout) {
            self.output(Output::Abort { transport });
        }
    }

    fn ping_limit(&self) -> core::time::Duration {
        self.handshake.as_ref().map_or(core::time::Duration::ZERO, |handshake| {
            handshake.ping_interval.saturating_add(handshake.ping_timeout)
        })
    }

    /// Item 32: what counts is the last ping, and nothing else that arrives.
    fn restart_heartbeat(&mut self) {
        let deadline = after(self.clock, self.ping_limit());
        self.timers.set(Timer::Heartbeat, self.excused.map_or(deadline, |until| until.max(deadline)));
    }

    fn on_withheld(&mut self, withheld: bool) {
        if withheld == self.excused.is_some() {
            return;
        }
        self.excused = withheld.then(|| after(self.clock, self.config.limits.withheld_timeout));
        let deadline = self.timers.get(Timer::Heartbeat);
        match self.excused {
            _ if deadline == NEVER => {}
            Some(until) => self.timers.set(Timer::Heartbeat, until.max(deadline)),
            None => self.restart_heartbeat(),
        }
    }

    /// Opens the transport at this place among those that were not tried yet.
    fn open_next(&mut self, index: usize) {
        if index >= self.way.untried.len() {
            return self.end(CloseReason::TransportError, Some(Error::NoTransports));
        }
        self.transport = self.way.untried.remove(index);
        match self.transport {
            Transport::Polling => self.poll(),
            Transport::WebSocket => self.open_websocket(),
        }
    }

    /// The session's transport has failed: while it is being opened the next one may be tried.
    pub(super) fn fail(&mut self, error: Error) {
        self.prior = false;
        if self.phase == Phase::Opening && self.config.try_all_transports && !self.way.untried.is_empty() {
            self.leave_transport();
            self.open_next(0);
        } else {
            self.end(CloseReason::TransportError, Some(error));
        }
    }

    /// A packet on the session's transport, whichever it is.
    pub(super) fn on_packet(&mut self, packet: Packet) -> Option<Event> {
        match (self.phase, packet) {
            (Phase::Closed, _) => {}
            (Phase::Opening, Packet::Close) => self.fail(HandshakeError::Closed.into()),
            (_, Packet::Close) => self.end(CloseReason::TransportClose, Some(Error::Closed(ClosedBy::Packet))),
            (Phase::Opening, Packet::Open(text)) => match Handshake::parse(&text) {
                Ok(handshake) => self.open(handshake),
                Err(error) => self.fail(error.into()),
            },
            (Phase::Opening, _) => self.fail(HandshakeError::Expected.into()),
            (_, Packet::Message(message)) => return Some(Event::Message(message)),
            (_, Packet::Ping(_)) => {
                self.restart_heartbeat();
                self.pong();
                return Some(Event::Ping);
            }
            // Ignored as in JavaScript: `6` ends a GET, the others are none that a server sends, and a second handshake
            // changes nothing (hostile-input C1).
            (_, Packet::Open(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop) => {}
        }
        None
    }

    /// Answers a ping, unless very many answers wait already that the server does not read (hostile-input C4).
    fn pong(&mut self) {
        let waiting = match self.main() {
            // Nothing but these goes beyond the limit.
            Some(socket) => socket.stream.queue().packets().saturating_sub(self.config.limits.send_queue_packets),
            None => self.buffer.controls(),
        };
        if waiting < MAX_PONGS {
            self.push(Unit::Control("3"));
        }
    }

    fn open(&mut self, handshake: Handshake) {
        let upgradable = handshake.upgrades.iter().any(|name| *name == Transport::WebSocket.as_str());
        self.handshake = Some(Box::new(handshake.clone()));
        self.phase = Phase::Open;
        self.timers.clear(Timer::Body);
        self.restart_heartbeat();
        self.prior = self.transport == Transport::WebSocket;
        self.emit(Event::Open(Box::new(handshake)));
        self.move_buffer();
        let wanted = self.config.upgrade && self.config.transports.contains(&Transport::WebSocket);
        if upgradable && wanted && self.transport == Transport::Polling {
            self.start_upgrade();
        }
    }

    /// Ends the session once nothing waits any more that its close waits for.
    pub(super) fn finish_closing(&mut self) {
        let waiting = self.transport == Transport::Polling
            && (self.post.is_some() || !self.buffer.is_empty() || self.upgrade == upgrade::State::Pausing);
        if self.phase == Phase::Closing && !waiting {
            self.end(CloseReason::ForcedClose, None);
        }
    }

    /// Ends the session now: closes every WebSocket, and tells the server if it may still listen.
    pub(super) fn end(&mut self, reason: CloseReason, error: Option<Error>) {
        self.end_with(reason, error, reason.close_frame());
    }

    pub(super) fn end_with(&mut self, reason: CloseReason, error: Option<Error>, frame: (u16, &str)) {
        let was = core::mem::replace(&mut self.phase, Phase::Closed);
        if was == Phase::Closed {
            return;
        }
        // Closed by the application: what is queued has what is left of its time.
        let drained_at =
            (was == Phase::Closing && reason == CloseReason::ForcedClose).then(|| self.timers.get(Timer::Drain));
        let lost = reason == CloseReason::TransportClose || error.as_ref().is_some_and(Error::is_loss);
        self.emit(Event::Close { reason, error });
        self.timers.clear_all();
        self.buffer.clear();
        self.leave_payload();
        self.end_sockets(frame, drained_at);
        self.end_polling(!lost && was != Phase::Opening);
    }

    /// Gives up what was opened of a transport, without a word about it.
    fn leave_transport(&mut self) {
        self.leave_payload();
        self.cancel_requests();
        self.end_sockets(CloseReason::TransportError.close_frame(), None);
    }

    /// Reads no more of a body. (What a WebSocket has brought is read on: its close frame may be there.)
    fn leave_payload(&mut self) {
        if let Current::Payload(_) = self.current {
            self.current = Current::Nothing;
        }
    }

    pub(super) fn push(&mut self, unit: Unit) {
        let open = matches!(self.phase, Phase::Open | Phase::Closing);
        match self.main_mut().filter(|_| open) {
            Some(socket) => socket.send_unit(&unit, 0),
            None => self.buffer.push(unit),
        }
    }

    pub(super) fn next_request_id(&mut self) -> RequestId {
        let id = RequestId(u64::from(self.generation) << 32 | u64::from(self.next_request));
        self.next_request = self.next_request.wrapping_add(1);
        id
    }

    /// An engine opens three WebSockets at most: its transport, or that after another, or that of an upgrade.
    pub(super) fn next_transport_id(&mut self) -> TransportId {
        let low = self.next_transport & ((1 << TRANSPORT_BITS) - 1);
        self.next_transport = self.next_transport.wrapping_add(1);
        TransportId(self.generation << TRANSPORT_BITS | low)
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    pub(super) fn output(&mut self, output: Output) {
        self.out.push_back(Box::new(Step::Output(output)));
    }
}

/// For Socket.IO, which counts inputs, has reasons of its own to close, and sends packets of several parts.
impl Engine {
    /// The time of the input that is being worked on.
    pub(crate) fn clock(&self) -> Instant {
        self.clock
    }

    /// Whether an id is one of this engine's requests, past or present.
    pub(crate) fn owns_request(&self, id: RequestId) -> bool {
        id.0 >> 32 == u64::from(self.generation)
    }

    /// Whether an id is one of this engine's WebSockets, past or present.
    pub(crate) fn owns_transport(&self, transport: TransportId) -> bool {
        transport.0 >> TRANSPORT_BITS == self.generation & (u32::MAX >> TRANSPORT_BITS)
    }

    /// Whether a packet of this size could be queued.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.check_room(size).is_ok()
    }

    /// Whether something has come that was not looked at yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.inbox.is_empty() || !matches!(self.current, Current::Nothing)
    }

    /// The number of inputs that were handed over so far.
    pub(crate) fn stored(&self) -> u64 {
        self.inbox.stored()
    }

    /// Ends the session for a reason of the layer above, without waiting for anything; the server is told.
    pub(crate) fn close_for(&mut self, now: Instant, reason: CloseReason) {
        self.clock = self.clock.max(now);
        self.end(reason, None);
    }
}

/// Pongs that may wait beside what the application may queue. A server sends its next ping when it has the pong.
const MAX_PONGS: usize = 64;

/// Bits of a WebSocket's id that count within one engine.
const TRANSPORT_BITS: u32 = 4;

/// What waits on a session's WebSocket and for its POSTs.
pub(super) fn load(main: Option<&WebSocket>, buffer: &SendBuffer) -> Load {
    let Load { packets, bytes } = main.map_or(Load { packets: 0, bytes: 0 }, WebSocket::load);
    Load { packets: packets.saturating_add(buffer.packets()), bytes: bytes.saturating_add(buffer.bytes()) }
}

/// What may wait to be sent.
pub(super) fn limits(config: &Config) -> Load {
    Load { packets: config.limits.send_queue_packets, bytes: config.limits.send_queue_bytes }
}
