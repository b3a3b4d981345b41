//! The machine: its state, its methods, and what becomes of inputs.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    EngineStats, Event, Output,
    error::{Cause, Error, HandshakeError},
    input::{Head, Input},
    open::Handshake,
    polling::{Get, Post},
    upgrade::{self, Opening},
};
use crate::{
    Instant, RequestId, Seed, TransportId,
    client::{
        Config, Cookies, Endpoint, Transport,
        endpoint::{Origin, Place},
        http::{Failure, Response},
    },
    engine::{
        CloseReason, Current, Message, Packet, SendError, Step,
        buffer::{self, SendBuffer, Unit},
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
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Arc<Config>,
    /// Where the cookies and headers of the configuration belong.
    pub(super) home: Origin,
    /// Where requests go.
    pub(super) place: Place,
    /// The cookies of the endpoint.
    pub(super) cookies: Cookies,
    /// Those of another origin, once a redirection has led there.
    pub(super) away: Option<Cookies>,
    pub(super) rng: Rng,
    generation: u32,
    next_request: u32,
    next_transport: u32,
    pub(super) clock: Instant,
    pub(super) phase: Phase,
    /// The transport of the session, or the one that is being opened.
    pub(super) transport: Transport,
    /// The transports that were not tried yet, that one not among them.
    untried: Vec<Transport>,
    pub(super) upgrade: upgrade::State,
    pub(super) timers: Timers,
    pub(super) get: Option<Box<Get>>,
    pub(super) post: Option<Post>,
    /// The WebSocket that is asked for.
    pub(super) opening: Option<Box<Opening>>,
    /// What waits for a POST, or for the session to be open.
    pub(super) buffer: SendBuffer,
    pub(super) sockets: Vec<WebSocket>,
    pub(super) handshake: Option<Box<Handshake>>,
    pub(super) prior: bool,
    /// What is being read, one packet per poll.
    pub(super) current: Current,
    inbox: Inbox<Input>,
    out: Fifo<Box<Step<Output>>>,
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
            home: endpoint.origin().clone(),
            place: Place::of(endpoint),
            cookies,
            away: None,
            rng: Rng::new(seed),
            generation,
            next_request: 0,
            next_transport: 0,
            clock: now,
            phase: Phase::Opening,
            transport: Transport::Polling,
            untried,
            upgrade: upgrade::State::None,
            timers: Timers::default(),
            get: None,
            post: None,
            opening: None,
            buffer: SendBuffer::default(),
            sockets: Vec::new(),
            handshake: None,
            prior: remembered,
            current: Current::Nothing,
            inbox: Inbox::default(),
            out: Fifo::default(),
            config,
        };
        if let Some(timeout) = engine.config.timeout {
            engine.timers.set(Timer::Body, after(now, timeout));
        }
        let remembered = engine.config.remember_upgrade && remembered;
        let first = engine.untried.iter().position(|transport| remembered && *transport == Transport::WebSocket);
        engine.open_next(first.unwrap_or(0));
        engine
    }

    // Getters.

    /// Whether the session is open for the application: it was opened, and neither side has closed it.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the session is closed for the application: [`Event::Close`] was put out or is next.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether nothing is left to do: closed, no request on its way, every WebSocket ended. Only then may it be dropped.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Closed
            && self.get.is_none()
            && self.post.is_none()
            && self.sockets.is_empty()
            && self.inbox.is_empty()
            && self.out.is_empty()
    }

    /// The transport of the session, or the one that is being opened.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `polling` or `websocket`.
    pub fn transport_name(&self) -> &'static str {
        self.transport.as_str()
    }

    /// Whether a message that is sent now can leave at once: no POST is on its way and no upgrade is being finished, or
    /// the WebSocket's queue is empty.
    pub fn writable(&self) -> bool {
        self.phase == Phase::Open
            && match self.main() {
                Some(socket) => socket.stream.queue().is_empty(),
                None => self.post.is_none() && self.buffer.is_empty() && self.upgrade != upgrade::State::Pausing,
            }
    }

    /// Packets that wait to be sent on the session's transport; those of a POST on its way are not among them.
    pub fn queued_packets(&self) -> usize {
        let queued = self.main().map_or(0, |socket| socket.stream.queue().packets());
        queued.saturating_add(self.buffer.packets())
    }

    /// Bytes that wait to be sent on the session's transport; those of a POST on its way are not among them.
    pub fn queued_bytes(&self) -> usize {
        let queued = self.main().map_or(0, |socket| socket.stream.queue().remaining());
        queued.saturating_add(self.buffer.bytes())
    }

    /// What the server said when it opened the session; `None` before that.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_deref()
    }

    /// The session's id, once it is open. It is a secret between client and server.
    pub fn sid(&self) -> Option<&str> {
        self.handshake().map(|handshake| handshake.sid.as_str())
    }

    /// Whether the time for the server's next ping is over although no timer has said so yet, as after a device was
    /// suspended: what is sent now may go nowhere.
    pub fn has_expired_heartbeat(&self, now: Instant) -> bool {
        let deadline = self.timers.get(Timer::Heartbeat);
        matches!(self.phase, Phase::Open | Phase::Closing) && deadline != NEVER && now > deadline
    }

    /// Whether a WebSocket has worked, for the `remembered` of the next engine: set when a WebSocket was opened or its
    /// probe was answered, cleared by an error and when an upgrade begins.
    pub fn prior_websocket_success(&self) -> bool {
        self.prior
    }

    /// The cookies of the endpoint, for the next engine.
    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// What this engine holds.
    pub fn stats(&self) -> EngineStats {
        let sum = |values: &mut dyn Iterator<Item = usize>| values.fold(0, usize::saturating_add);
        let queues = || self.sockets.iter().map(|socket| socket.stream.queue());
        let reading = match &self.current {
            Current::Payload(reader) => reader.remaining(),
            Current::Nothing | Current::Stream(_) => 0,
        };
        let stored = self.inbox.iter().map(|(_, input)| input.bytes());
        let parsed = self.sockets.iter().map(|socket| socket.stream.buffered());
        let requests = [self.get.is_some(), self.post.is_some(), self.opening.is_some()];
        EngineStats {
            requests: requests.into_iter().filter(|waits| *waits).count(),
            transports: self.sockets.len(),
            waiting: self.inbox.len().saturating_add(self.out.len()),
            received_bytes: sum(&mut stored.chain(parsed).chain([reading])),
            queued_packets: sum(&mut queues().map(TransmitQueue::packets).chain([self.buffer.packets()])),
            queued_bytes: sum(&mut queues().map(|queue| queue.remaining()).chain([self.buffer.bytes()])),
        }
    }

    /// The WebSocket that the session is on.
    pub(super) fn main(&self) -> Option<&WebSocket> {
        self.sockets.iter().find(|socket| socket.stage == Stage::Main)
    }

    // Inputs.

    /// The response to a request has arrived, its body whole. Ignored if the request was cancelled.
    pub fn handle_response(&mut self, now: Instant, id: RequestId, head: &Response<'_>, body: Bytes) {
        self.inbox.push(now, Input::Response { id, head: Head::read(head), body });
    }

    /// A request has failed. Ignored if it was cancelled.
    pub fn handle_failure(&mut self, now: Instant, id: RequestId, failure: Failure) {
        self.inbox.push(now, Input::Failure { id, failure });
    }

    /// The response to [`Output::Open`] has arrived: a 101, or a refusal with its body (none will do too), upon which the
    /// driver closes the connection. Bytes that came with a 101 go to [`handle_bytes`](Self::handle_bytes) next.
    pub fn handle_upgrade(&mut self, now: Instant, transport: TransportId, head: &Response<'_>, body: Bytes) {
        self.inbox.push(now, Input::Upgrade { transport, head: Head::read(head), body });
    }

    /// A WebSocket could not be opened. Ignored if it was aborted.
    pub fn handle_open_failure(&mut self, now: Instant, transport: TransportId, failure: Failure) {
        self.inbox.push(now, Input::OpenFailure { transport, failure });
    }

    /// Bytes of a WebSocket have arrived. The buffer is left empty. Bytes of one that has ended are discarded.
    pub fn handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut) {
        let backing = buffer.capacity();
        let bytes = buffer.split();
        self.inbox.push(now, Input::Bytes { transport, bytes, backing });
    }

    /// A message of a WebSocket has arrived, from a framework that reads the frames itself. Such a driver takes
    /// [`TransmitQueue::pop_message`] instead of bytes, and reports the end of the WebSocket with
    /// [`handle_eof`](Self::handle_eof).
    pub fn handle_message(&mut self, now: Instant, transport: TransportId, message: Message) {
        self.inbox.push(now, Input::Message { transport, message });
    }

    /// The byte stream of a WebSocket has ended or failed, or was closed as asked.
    pub fn handle_eof(&mut self, now: Instant, transport: TransportId) {
        self.inbox.push(now, Input::Eof(transport));
    }

    /// Time has passed. Too early or once too often is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.inbox.push(now, Input::Timeout);
    }

    // Outputs.

    /// What to do next, until there is nothing: `None`. At most one packet is read per call, so a driver slows a server
    /// down by not polling.
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
                        self.take(input);
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
    pub fn poll_timeout(&self) -> Option<Instant> {
        let handled = self.inbox.latest_tick();
        let sockets = self.sockets.iter().map(|socket| socket.deadline);
        let requests = self.get.iter().map(|get| get.deadline).chain(self.post.iter().map(|post| post.deadline));
        let all = self.timers.iter().chain(sockets).chain(requests);
        all.filter(|at| *at != NEVER && handled.is_none_or(|handled| *at > handled)).min()
    }

    /// The bytes that wait to be written to a WebSocket; `None` for one that is not open.
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
        let socket = self.socket(transport)?;
        Some(socket.stream.transmit())
    }

    /// The WebSockets that have something to write.
    pub fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.sockets.iter().filter(|socket| !socket.stream.queue().is_empty()).map(|socket| socket.id)
    }

    // Verbs.

    /// Sends a message, once the session is open.
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
    /// finished; both within [`drain_timeout`](crate::client::Limits::drain_timeout). Then follows [`Event::Close`], and
    /// the server is told. A session that is not open yet is closed at once.
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
        if !matches!(self.phase, Phase::Opening | Phase::Open) {
            return Err(SendError::Closed);
        }
        let limits = &self.config.limits;
        let limits = (limits.send_queue_bytes, limits.send_queue_packets);
        buffer::check_room(limits, (self.queued_bytes(), self.queued_packets()), size)
    }

    // Inside.

    /// Works on the next input.
    fn take(&mut self, input: Input) {
        match input {
            Input::Response { id, head, body } => self.on_response(id, &head, body),
            Input::Failure { id, failure } => self.on_failure(id, failure),
            Input::Upgrade { transport, head, body } => self.on_upgrade(transport, &head, &body),
            Input::OpenFailure { transport, failure } => self.on_open_failure(transport, Cause::Failure(failure)),
            Input::Bytes { transport, bytes, backing } => {
                if let Some(socket) = self.socket(transport) {
                    socket.stream.take_bytes(bytes, backing);
                    self.current = Current::Stream(transport);
                }
            }
            Input::Message { transport, message } => {
                if let Some(event) = self.on_message(transport, message) {
                    self.emit(event);
                }
            }
            Input::Eof(transport) => self.on_eof(transport),
            Input::Timeout => self.on_timeout(),
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
                Timer::Drain if self.phase == Phase::Closing => self.end(CloseReason::ForcedClose, None),
                Timer::Drain => self.cancel_requests(),
                Timer::Noop => {}
            }
        }
        self.expire_requests();
        while let Some(transport) = websocket::take_overdue(&mut self.sockets, self.clock) {
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
        self.timers.set(Timer::Heartbeat, deadline);
    }

    /// Opens the transport at this place among those that were not tried yet.
    fn open_next(&mut self, index: usize) {
        if index >= self.untried.len() {
            return self.end(CloseReason::TransportError, Some(Error::NoTransports));
        }
        self.transport = self.untried.remove(index);
        match self.transport {
            Transport::Polling => self.poll(),
            Transport::WebSocket => self.open_websocket(),
        }
    }

    /// The session's transport has failed: while it is being opened the next one may be tried.
    pub(super) fn fail(&mut self, error: Error) {
        self.prior = false;
        if self.phase == Phase::Opening && self.config.try_all_transports && !self.untried.is_empty() {
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
            (_, Packet::Close) => self.end(CloseReason::TransportClose, None),
            (Phase::Opening, Packet::Open(text)) => match Handshake::parse(&text) {
                Ok(handshake) => self.open(handshake),
                Err(error) => self.fail(error.into()),
            },
            (Phase::Opening, _) => self.fail(HandshakeError::Expected.into()),
            (_, Packet::Message(message)) => return Some(Event::Message(message)),
            (_, Packet::Ping(_)) => {
                self.restart_heartbeat();
                self.push(Unit::Control("3"));
                return Some(Event::Ping);
            }
            // Ignored as in JavaScript: `6` ends a GET, the others are none that a server sends, and a second handshake
            // changes nothing (C2).
            (_, Packet::Open(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop) => {}
        }
        None
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
        let lost = reason == CloseReason::TransportClose || error.as_ref().is_some_and(Error::is_loss);
        self.emit(Event::Close { reason, error });
        self.timers.clear_all();
        self.buffer.clear();
        if let Current::Payload(_) = self.current {
            self.current = Current::Nothing;
        }
        self.end_sockets(frame);
        self.end_polling(!lost && was != Phase::Opening);
    }

    /// Gives up what was opened of a transport, without a word about it.
    fn leave_transport(&mut self) {
        self.current = Current::Nothing;
        self.cancel_requests();
        self.end_sockets(CloseReason::TransportError.close_frame());
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

/// Bits of a WebSocket's id that count within one engine.
const TRANSPORT_BITS: u32 = 4;
