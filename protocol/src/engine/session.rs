//! One Engine.IO session.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::{Buf as _, BytesMut};

use super::{
    buffer::{Load, SendBuffer, Unit},
    error::{CloseReason, Error, SendError},
    heartbeat::{Beat, Heartbeat},
    inbox::{Ask, Inbox, Input, Kind, Stored as _},
    packet::Packet,
    payload::PayloadReader,
    polling::{Poll, Post},
    timers::{NEVER, Timer, Timers, after},
    upgrade,
    websocket::{self, Stage, WebSocket},
};
use crate::{
    Config, Instant, RequestId, Seed, Sid, TransportId,
    encoded::Encoded,
    fifo::Fifo,
    http::{Body, Request, Response},
    rng::Rng,
    socket::{Head, PayloadRef},
    ws::{Message, TransmitQueue},
};

/// One Engine.IO session of a server: its polling requests, its WebSocket, the upgrade from one to the other, and its
/// heartbeat.
///
/// # Methods
///
/// - **Inputs** (`handle_*`): what has happened. They only store it; nothing is looked at before it is polled for.
///   ([`handle_poll`](Self::handle_poll) says of one kind at once that there is nothing to look at.)
/// - **Verbs**: [`send`](Self::send) and [`close`](Self::close), what the application wants. They act at once.
/// - **Outputs**: [`poll_output`](Self::poll_output), [`transmit`](Self::transmit) and [`poll_timeout`](Self::poll_timeout).
/// - **Getters**: all others.
///
/// After any inputs and verbs, in any order: poll outputs until there is none, write what [`transmit`](Self::transmit)
/// holds for each WebSocket, and wait for the next input, until [`poll_timeout`](Self::poll_timeout) at the latest; then
/// call [`handle_timeout`](Self::handle_timeout). Inputs are worked on in the order in which they were handed over, each
/// with its own time, so the outputs do not depend on how bytes were cut or on how many inputs were handed over between
/// two polls. A `now` that lies before an earlier one counts as that one.
///
/// A session is to be kept until it [is drained](Self::is_drained). Each request is answered exactly once, by
/// [`Output::Respond`] or [`Output::Upgrade`], unless it was aborted.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) sid: Sid,
    pub(super) clock: Instant,
    pub(super) phase: Phase,
    pub(super) upgrade: upgrade::State,
    pub(super) heartbeat: Heartbeat,
    /// While nothing is read from the peer: until when it is excused from its pong and from the rest of a body.
    excused: Option<Instant>,
    pub(super) timers: Timers,
    /// The waiting GET.
    pub(super) poll: Option<Box<Poll>>,
    /// The POST that is waited for or read.
    pub(super) post: Option<Box<Post>>,
    /// What waits for a GET; on WebSocket, packets go into its transmit queue at once.
    pub(super) buffer: SendBuffer,
    pub(super) sockets: Vec<WebSocket>,
    pub(super) next_transport: u32,
    /// What the layer above wants to be in the close frame.
    close_frame: Option<(u16, &'static str)>,
    /// What is being read, one packet per poll.
    pub(super) current: Current,
    inbox: Inbox<Input>,
    out: Fifo<Box<Step>>,
}

/// What has become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake is still to come.
    New,
    Open,
    /// Closed by this side for that reason; the last packets wait for a GET.
    Draining(CloseReason),
    Closed,
}

/// What is being read, one packet per poll.
#[derive(Debug)]
pub(crate) enum Current {
    Nothing,
    /// Bytes of a WebSocket.
    Stream(TransportId),
    /// The body of the POST, or on a client of the answer to its GET.
    Payload(Box<PayloadReader>),
}

/// What a session wants its driver to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Answer a request.
    Respond {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Answer a request with 101; the rest of its connection, bytes that have arrived already included, is `transport`.
    Upgrade {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
        /// Names the WebSocket from now on.
        transport: TransportId,
    },
    /// Write what [`Session::transmit`] still holds, then close the byte stream and report [`Session::handle_eof`].
    Shutdown {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Drop the byte stream now. What is queued is lost, the session has forgotten this WebSocket.
    Abort {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Something for the application.
    Event(Event),
}

/// What an application learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The session is open.
    Open,
    /// The session has moved from polling to WebSocket.
    Upgraded,
    /// A message has arrived.
    Message(Message),
    /// The session is closed. This comes once, and nothing after it.
    Close {
        /// Why, in the words of Socket.IO.
        reason: CloseReason,
        /// What the peer did wrong, if it did.
        error: Option<Error>,
    },
}

/// An output, or the place of a [`Session::handle_timeout`] among them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step<O = Output> {
    Output(O),
    Tick(Instant),
}

/// What a session holds: everything that can grow. All of it is zero once the session is drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Requests that are not answered yet.
    pub requests: usize,
    /// WebSockets, closing ones included.
    pub transports: usize,
    /// Inputs that are not looked at yet, and outputs that are not polled yet.
    pub waiting: usize,
    /// Bytes of the peer that are not delivered yet.
    pub received_bytes: usize,
    /// Packets waiting to be sent.
    pub queued_packets: usize,
    /// Bytes waiting to be sent.
    pub queued_bytes: usize,
}

/// Draws session ids from a seed, for those who use [`Session`] alone.
#[derive(Debug)]
pub struct SidSource(Rng);

impl SidSource {
    /// A source whose ids follow from the seed.
    pub fn new(seed: &Seed) -> Self {
        Self(Rng::new(seed))
    }

    /// The next id: 128 bits that nobody can guess who does not know the seed.
    pub fn next_sid(&mut self) -> Sid {
        Sid::generate(&mut self.0)
    }
}

impl Session {
    /// A session whose first request is about to be handed over: the one for which [`route`](super::route()) said
    /// [`Open`](super::Routed::Open). If it does not come within [`body_timeout`](crate::Limits::body_timeout), the
    /// session ends.
    pub fn new(now: Instant, config: Arc<Config>, sid: Sid) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Body, after(now, config.limits.body_timeout));
        Self {
            config,
            sid,
            clock: now,
            phase: Phase::New,
            upgrade: upgrade::State::Polling,
            heartbeat: Heartbeat::default(),
            excused: None,
            timers,
            poll: None,
            post: None,
            buffer: SendBuffer::default(),
            sockets: Vec::new(),
            next_transport: 0,
            close_frame: None,
            current: Current::Nothing,
            inbox: Inbox::default(),
            out: Fifo::default(),
        }
    }

    // Getters.

    /// The id of this session. It is a secret between client and server.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// `polling` or `websocket`.
    pub fn transport_name(&self) -> &'static str {
        if self.upgrade == upgrade::State::Upgraded { "websocket" } else { "polling" }
    }

    /// Whether the session is closed for the application: [`Event::Close`] was put out or is next.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Draining(_) | Phase::Closed)
    }

    /// Whether nothing is left to do: closed, every request answered, every WebSocket ended. Only then may it be dropped.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Closed
            && self.poll.is_none()
            && self.post.is_none()
            && self.sockets.is_empty()
            && self.inbox.is_empty()
            && self.out.is_empty()
    }

    /// Whether a message that is sent now can leave at once: a GET is waiting, or the WebSocket's queue is empty.
    pub fn writable(&self) -> bool {
        self.phase == Phase::Open
            && match self.main() {
                Some(socket) => socket.stream.queue().is_empty(),
                None => self.poll.is_some() && self.buffer.is_empty(),
            }
    }

    /// Bytes that wait to be sent on the session's transport.
    pub fn queued_bytes(&self) -> usize {
        match self.main() {
            Some(socket) => socket.stream.queue().remaining(),
            None => self.buffer.bytes(),
        }
    }

    /// Whether a driver should go on reading from the peer: `false` while more than
    /// [`high_water`](crate::Limits::high_water) bytes wait to be sent to it. Once reading has stopped
    /// ([`handle_withheld`](Self::handle_withheld)), it goes on when they are at most half as many, so that it does not
    /// stop and go with each packet.
    pub fn wants_read(&self) -> bool {
        let high_water = self.config.limits.high_water;
        // A client that is about to finish its upgrade polls no more: what waits can leave only once its `5` is read.
        self.sockets.iter().any(|socket| socket.stage == Stage::Candidate)
            || self.queued_bytes() <= if self.excused.is_some() { high_water / 2 } else { high_water }
    }

    /// Packets that wait to be sent on the session's transport.
    pub fn queued_packets(&self) -> usize {
        match self.main() {
            Some(socket) => socket.stream.queue().packets(),
            None => self.buffer.packets(),
        }
    }

    /// What this session holds.
    pub fn stats(&self) -> SessionStats {
        let sum = |values: &mut dyn Iterator<Item = usize>| values.fold(0, usize::saturating_add);
        let queues = || self.sockets.iter().map(|socket| socket.stream.queue());
        let reading = match &self.current {
            Current::Payload(reader) => reader.remaining(),
            Current::Nothing | Current::Stream(_) => 0,
        };
        let stored = self.inbox.iter().map(|(_, input)| input.bytes());
        let parsed = self.sockets.iter().map(|socket| socket.stream.buffered());
        SessionStats {
            requests: usize::from(self.poll.is_some()).saturating_add(usize::from(self.post.is_some())),
            transports: self.sockets.len(),
            waiting: self.inbox.len().saturating_add(self.out.len()),
            received_bytes: sum(&mut stored.chain(parsed).chain([reading])),
            queued_packets: sum(&mut queues().map(TransmitQueue::packets).chain([self.buffer.packets()])),
            queued_bytes: sum(&mut queues().map(|queue| queue.remaining()).chain([self.buffer.bytes()])),
        }
    }

    /// The time of the input that is being worked on.
    pub(crate) fn clock(&self) -> Instant {
        self.clock
    }

    pub(super) fn main(&self) -> Option<&WebSocket> {
        self.sockets.iter().find(|socket| socket.stage == Stage::Main)
    }

    // Inputs.

    /// A request has arrived for which [`route`](super::route()) said [`Open`](super::Routed::Open) (the first one) or
    /// [`Existing`](super::Routed::Existing). The id is the driver's choice and must not be that of another request that
    /// is not answered yet.
    pub fn handle_request(&mut self, now: Instant, id: RequestId, head: &Request<'_>, body: Body) {
        let ask = Box::new(Ask::read(&self.config, head));
        self.inbox.push(now, Input::Request { id, ask, body });
    }

    /// Takes a request without a body if it is a GET that only waits for packets, as most do: then it is waiting, the
    /// session has nothing more to say, and its deadlines are what they were; a driver need not look. If not (there is
    /// something to send, or to be worked on first; the request is another one), nothing has happened, and the request
    /// is for [`handle_request`](Self::handle_request).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sockeye_protocol::{
    ///     Config, Instant, RequestId, Seed,
    ///     engine::{Message, Output, Session, SidSource},
    ///     http::{Body, Request},
    /// };
    ///
    /// let (now, sid) = (Instant::ZERO, SidSource::new(&Seed::for_tests(1)).next_sid());
    /// let mut session = Session::new(now, Arc::new(Config::default()), sid);
    /// let mut head = Request {
    ///     method: "GET",
    ///     target: "/engine.io/?EIO=4&transport=polling",
    ///     headers: &[],
    ///     peer: None,
    ///     secure: false,
    /// };
    /// assert!(!session.handle_poll(now, RequestId(0), &head)); // It opens the session.
    /// session.handle_request(now, RequestId(0), &head, Body::EMPTY);
    /// while session.poll_output().is_some() {}
    ///
    /// let target = format!("{}&sid={sid}", head.target);
    /// head.target = &target;
    /// assert!(session.handle_poll(now, RequestId(1), &head));
    /// assert_eq!(session.poll_output(), None);
    /// session.send(Message::Text("hello".into()))?;
    /// let Some(Output::Respond { id: RequestId(1), response }) = session.poll_output() else { panic!() };
    /// assert_eq!(response.body, "4hello");
    /// # Ok::<(), sockeye_protocol::engine::SendError>(())
    /// ```
    pub fn handle_poll(&mut self, now: Instant, id: RequestId, head: &Request<'_>) -> bool {
        let is_settled = self.phase == Phase::Open
            && self.upgrade == upgrade::State::Polling
            && self.poll.is_none()
            && self.buffer.is_empty()
            && self.inbox.is_empty()
            && self.out.is_empty()
            && matches!(self.current, Current::Nothing);
        if !is_settled || head.method != "GET" {
            return false;
        }
        let Ask { kind: Kind::Poll, grant, .. } = Ask::read(&self.config, head) else { return false };
        self.clock = self.clock.max(now);
        self.on_poll(id, grant, false);
        true
    }

    /// The body of a request has arrived, after [`Body::Pending`]. Ignored if the request is answered already.
    pub fn handle_body(&mut self, now: Instant, id: RequestId, body: Body) {
        self.inbox.push(now, Input::Body { id, body });
    }

    /// The peer has dropped a request that is not answered yet. Ignored if it is.
    pub fn handle_abort(&mut self, now: Instant, id: RequestId) {
        self.inbox.push(now, Input::Abort(id));
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

    /// The driver has stopped reading from the peer (`true`), on all its transports, or goes on (`false`): because the
    /// application is behind, or because too much waits to be sent. To say the same again changes nothing.
    ///
    /// What the peer has sent may lie unread then: its pong, the rest of a body. So it is not held to
    /// [`ping_timeout`](Config::ping_timeout) and [`body_timeout`](crate::Limits::body_timeout) until reading goes on, and
    /// then has all of them once more; but no longer than [`withheld_timeout`](crate::Limits::withheld_timeout) without a
    /// break, since a dead peer would never be noticed. Pings are still sent, and no other deadline moves.
    pub fn handle_withheld(&mut self, now: Instant, withheld: bool) {
        self.inbox.push(now, Input::Withheld(withheld));
    }

    /// Time has passed. Too early or once too often is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.inbox.push(now, Input::Timeout);
    }

    // Outputs.

    /// What to do next, until there is nothing: `None`. At most one packet is read per call, so a driver slows a peer
    /// down by not polling.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.poll_output_until(u64::MAX)
    }

    /// The same, but works on the first `until` inputs only.
    pub(crate) fn poll_output_until(&mut self, until: u64) -> Option<Output> {
        loop {
            match self.poll_step(until)? {
                Step::Output(output) => return Some(output),
                Step::Tick(_) => {}
            }
        }
    }

    /// The same with the places of `handle_timeout` among the outputs, for a layer above that has timers of its own.
    pub(crate) fn poll_step(&mut self, until: u64) -> Option<Step> {
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
                    // A waiting GET is answered after each input, so that answers do not depend on batching.
                    self.flush();
                    if self.out.is_empty() {
                        let (now, input) = self.inbox.pop(until)?;
                        self.clock = self.clock.max(now);
                        let tick = matches!(input, Input::Timeout);
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
        self.timers.iter().chain(sockets).filter(|at| *at != NEVER && handled.is_none_or(|handled| *at > handled)).min()
    }

    /// The bytes that wait to be written to a WebSocket; `None` for one that has ended.
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
        let socket = self.socket(transport)?;
        Some(socket.stream.transmit())
    }

    /// The WebSockets that have something to write.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.sockets.iter().filter(|socket| !socket.stream.queue().is_empty()).map(|socket| socket.id)
    }

    /// The number of inputs that were handed over so far.
    pub(crate) fn stored(&self) -> u64 {
        self.inbox.stored()
    }

    /// The number of inputs that were looked at so far.
    pub(crate) fn begun(&self) -> u64 {
        self.inbox.begun()
    }

    // Verbs.

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The session is closed, or its send queue is full; the message is not sent then.
    pub fn send(&mut self, message: Message) -> Result<(), SendError> {
        let unit = Unit::Message(message);
        self.check_room(unit.size())?;
        self.push(unit);
        Ok(())
    }

    /// Closes the session in order: what is queued is still sent. On polling it waits up to
    /// [`drain_timeout`](crate::Limits::drain_timeout) for a GET; on WebSocket a close frame follows, and the peer has
    /// [`close_timeout`](crate::Limits::close_timeout) to take it all and to answer. [`Event::Close`] follows at once.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        self.clock = self.clock.max(now);
        match self.phase {
            Phase::Open if self.upgrade.is_polling() => {
                self.emit(Event::Close { reason, error: None });
                self.phase = Phase::Draining(reason);
                self.timers.clear(Timer::Heartbeat);
                let drained_at = after(self.clock, self.config.limits.drain_timeout);
                self.timers.set(Timer::Drain, drained_at);
                self.stop_reading();
            }
            Phase::New | Phase::Open => self.end(reason, None),
            Phase::Draining(_) | Phase::Closed => {}
        }
    }

    /// Ends the session now, for a driver that cannot wait any longer: what is queued is lost, requests are answered, and
    /// every WebSocket is aborted. [`Event::Close`] follows if it has not come yet.
    pub fn abort(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.end(CloseReason::ForcedClose, None);
        for socket in core::mem::take(&mut self.sockets) {
            self.output(Output::Abort { transport: socket.id });
        }
    }

    /// Closes the session for what the peer did on the layer above: as [`close`](Self::close) does, but a WebSocket is
    /// told so in its close frame.
    pub(crate) fn close_with(&mut self, now: Instant, reason: CloseReason, frame: (u16, &'static str)) {
        self.close_frame = Some(frame);
        self.close(now, reason);
    }

    /// Sends a Socket.IO packet: `4`, `head` and the payload's JSON as text, then its attachments, with nothing in between.
    pub(crate) fn send_packet(&mut self, head: &Head<'_>, payload: Option<PayloadRef<'_>>) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let main = self.sockets.iter_mut().find(|socket| socket.stage == Stage::Main);
        let queued = match &main {
            Some(socket) => socket.load(),
            None => Load { packets: self.buffer.packets(), bytes: self.buffer.bytes() },
        };
        queued.check_room(websocket::packet_len(head, payload), || limits(&self.config))?;
        websocket::send_packet(main, &mut self.buffer, head, payload);
        Ok(())
    }

    /// Sends a packet that is shared with other sessions.
    pub(crate) fn send_encoded(&mut self, encoded: &Encoded) -> Result<(), SendError> {
        self.check_room(encoded.size())?;
        self.push(Unit::Encoded(encoded.clone()));
        Ok(())
    }

    /// Drops the oldest message that is not on its way yet. `false` if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        if self.main().is_some() { self.drop_oldest_frame() } else { self.buffer.drop_oldest() }
    }

    /// Whether a message of this size may be queued. Any size fits an empty queue.
    fn check_room(&self, size: usize) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let queued = Load { packets: self.queued_packets(), bytes: self.queued_bytes() };
        Ok(queued.check_room(size, || limits(&self.config))?)
    }

    // Inside.

    /// Works on the next input.
    fn take(&mut self, input: Input) {
        match input {
            Input::Request { id, ask, body } => self.on_request(id, *ask, body),
            Input::Body { id, body } => self.on_body(id, body),
            Input::Abort(id) => self.on_abort(id),
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
            Input::Withheld(withheld) => self.on_withheld(withheld),
            Input::Timeout => self.on_timeout(),
        }
    }

    fn on_timeout(&mut self) {
        while let Some((timer, due)) = self.timers.take_due(self.clock) {
            match timer {
                Timer::Heartbeat => self.on_heartbeat(due),
                Timer::Noop => self.on_noop(),
                Timer::Upgrade => self.on_upgrade_timeout(),
                Timer::Body => self.on_body_timeout(),
                Timer::Drain => self.end(CloseReason::ForcedClose, None),
            }
        }
        self.abort_overdue();
    }

    fn on_heartbeat(&mut self, due: Instant) {
        let limit = self.config.ping_timeout;
        match self.heartbeat.expire() {
            Beat::Ping => {
                self.push(Unit::Control("2"));
                // Counted from when the ping was due: a tick that is a little late does not add to the peer's time. One
                // that is very late, since the whole process stood still, takes at most a tenth of it.
                let late = self.clock.saturating_duration_since(due).min(limit.checked_div(10).unwrap_or_default());
                let deadline = after(self.clock, limit.saturating_sub(late));
                self.expect(Timer::Heartbeat, deadline);
            }
            Beat::TimedOut => {
                self.end(CloseReason::PingTimeout, Some(Error::PingTimeout { limit }));
            }
        }
    }

    /// Sets the deadline of something that the peer has to send, later if the peer is excused for longer.
    pub(super) fn expect(&mut self, timer: Timer, deadline: Instant) {
        let deadline = self.excused.map_or(deadline, |until| until.max(deadline));
        self.timers.set(timer, deadline);
    }

    fn on_withheld(&mut self, withheld: bool) {
        if withheld == self.excused.is_some() {
            return;
        }
        self.excused = withheld.then(|| after(self.clock, self.config.limits.withheld_timeout));
        if self.phase == Phase::Open && self.timers.get(Timer::Body) != NEVER {
            match withheld {
                true => self.expect(Timer::Body, self.timers.get(Timer::Body)),
                false => self.expect_body(),
            }
        }
        if self.phase == Phase::Open && matches!(self.heartbeat, Heartbeat::Waiting { .. }) {
            let deadline = match withheld {
                true => self.timers.get(Timer::Heartbeat),
                false => after(self.clock, self.config.ping_timeout),
            };
            self.expect(Timer::Heartbeat, deadline);
        }
    }

    /// The handshake is done: the first ping comes after an interval.
    pub(super) fn open(&mut self) {
        self.phase = Phase::Open;
        self.timers.clear(Timer::Body);
        let ping_at = after(self.clock, self.config.ping_interval);
        self.timers.set(Timer::Heartbeat, ping_at);
        self.emit(Event::Open);
    }

    /// A packet on the session's transport, whichever it is.
    pub(super) fn on_packet(&mut self, packet: Packet) -> Option<Event> {
        if self.phase != Phase::Open {
            return None;
        }
        if let Packet::Pong(_) = packet {
            if let Some(ping_at) = self.heartbeat.pong(self.clock, self.config.ping_interval) {
                self.timers.set(Timer::Heartbeat, ping_at);
            }
        } else if let Some(deadline) = self.heartbeat.packet(self.clock, self.config.ping_timeout) {
            self.expect(Timer::Heartbeat, deadline);
        }
        let direction = match packet {
            Packet::Message(message) => return Some(Event::Message(message)),
            Packet::Pong(_) | Packet::Noop => return None,
            Packet::Close => {
                self.end(CloseReason::TransportClose, None);
                return None;
            }
            // Protocol version 4: it is the server that opens, pings and is told about an upgrade on the candidate.
            Packet::Open(_) => '0',
            Packet::Ping(_) => '2',
            Packet::Upgrade => '5',
        };
        self.end(CloseReason::TransportError, Some(Error::Direction(direction)));
        None
    }

    /// Ends the session now: answers what waits and closes every WebSocket.
    pub(super) fn end(&mut self, reason: CloseReason, error: Option<Error>) {
        let was = core::mem::replace(&mut self.phase, Phase::Closed);
        if was == Phase::Closed {
            return;
        }
        let violation = error.is_some();
        if matches!(was, Phase::New | Phase::Open) {
            self.emit(Event::Close { reason, error });
        }
        self.timers.clear_all();
        self.end_polling(reason, violation);
        let reason = match was {
            Phase::Draining(reason) => reason,
            _ => reason,
        };
        let frame = self.close_frame.unwrap_or(reason.close_frame());
        self.end_sockets(frame);
    }

    pub(super) fn push(&mut self, unit: Unit) {
        match self.main_mut() {
            Some(socket) => socket.send_unit(&unit, 0),
            None => self.buffer.push(unit),
        }
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    pub(super) fn output(&mut self, output: Output) {
        self.out.push_back(Box::new(Step::Output(output)));
    }
}

/// What may wait to be sent.
fn limits(config: &Config) -> Load {
    Load { packets: config.limits.send_queue_packets, bytes: config.limits.send_queue_bytes }
}
