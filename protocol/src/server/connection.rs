//! One client of a Socket.IO server.

mod receive;
mod resume;

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::BytesMut;

use super::{
    error::{EmitError, Error, RequestGone},
    event::{AckToken, ConnectError, ConnectRequest, DisconnectReason, Event},
    handshake::Handshake,
    hub::{ConnectionEvent, HubEvent, ToConnection, ToHub},
    stats::Stats,
};
use crate::{
    Config, Instant, QueuePolicy, Text,
    ack::AckId,
    encoded::Encoded,
    engine::{self, CloseReason, Message, SendError, Session, Step},
    fifo::Rare,
    http::{Body, Request, Response},
    key::{ConnKey, RequestId, Sid, SocketKey, TransportId},
    machines::Machine,
    socket::{Data, Decoder, Head, PacketType, Payload, PayloadKind, PayloadRef, WrongPayload},
    ws,
};

/// One client: an Engine.IO session, the Socket.IO packets on it, and the namespaces that the client joined.
///
/// Owned by one task (or by [`super::Server`]); it shares nothing. Call order: after any number of `handle_*` calls
/// and verbs, in any order, call [`poll_output`](Self::poll_output) until it returns `None`, write what
/// [`transmit`](Self::transmit) holds, and arm a timer for [`poll_timeout`](Self::poll_timeout).
///
/// - **Getters**: [`key`](Self::key), [`handshake`](Self::handshake), [`wants_read`](Self::wants_read), …
/// - **Inputs**, which are stored and processed in order by `poll_output`: [`handle_request`](Self::handle_request),
///   [`handle_body`](Self::handle_body), [`handle_abort`](Self::handle_abort), [`handle_bytes`](Self::handle_bytes) or
///   [`handle_message`](Self::handle_message), [`handle_eof`](Self::handle_eof),
///   [`handle_withheld`](Self::handle_withheld), [`handle_timeout`](Self::handle_timeout); and
///   [`handle_hub_event`](Self::handle_hub_event), which acts at once.
/// - **Verbs**, which act at once: [`accept`](Self::accept), [`reject`](Self::reject), [`emit`](Self::emit),
///   [`emit_with_ack`](Self::emit_with_ack), [`reply`](Self::reply), [`disconnect`](Self::disconnect),
///   [`shutdown`](Self::shutdown), [`abort`](Self::abort).
/// - **Outputs**: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout),
///   [`transmit`](Self::transmit).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    key: ConnKey,
    handshake: Arc<Handshake>,
    session: Session,
    decoder: Decoder,
    slots: Vec<Slot>,
    outputs: Rare<Output>,
    hub_events: Rare<ConnectionEvent>,
    /// Questions that the hub has not answered yet: until then it may hold a socket of this connection.
    lookups: usize,
    /// Until when a namespace must have been joined (behaviours, item 35).
    connect_deadline: Option<Instant>,
    /// Until when the attachments of a packet must have arrived.
    packet_deadline: Option<Instant>,
    /// No acknowledgement is due before this.
    ack_deadline: Option<Instant>,
    /// The latest tick that was given, perhaps not processed yet.
    ticked: Instant,
    refusals: usize,
    /// Packets that were queued so far.
    queued: u64,
    /// How many they were with the last packet of the protocol itself.
    queued_protocol: u64,
    /// Set once this side gave up the connection: what still arrives is ignored.
    closing: Option<Box<Error>>,
    ended: bool,
    drained: bool,
}

/// A namespace as this client sees it.
#[derive(Debug)]
struct Slot {
    name: Text,
    state: State,
}

impl Slot {
    /// Whether it is that namespace, and packets for it are no error.
    fn is_established(&self, namespace: &Text) -> bool {
        self.name.is_same(namespace) && matches!(self.state, State::Joined(_) | State::Left)
    }
}

#[derive(Debug)]
enum State {
    /// The hub was asked whether there is such a namespace; with what the client gave as `auth`.
    Asked(Option<Data>),
    /// The application was asked.
    Pending {
        socket: SocketKey,
    },
    /// The application has accepted; what the client has missed comes before it is told so.
    Resuming(Box<Resuming>),
    Joined(Joined),
    /// This side disconnected the socket. What the client sent before it knew is ignored until its next CONNECT.
    Left,
}

#[derive(Debug)]
struct Joined {
    socket: SocketKey,
    policy: Option<QueuePolicy>,
    next_ack: u64,
    /// Acknowledgements that the client owes, and when each is due.
    acks: BTreeMap<u64, Instant>,
}

/// A socket that goes on with a session.
#[derive(Debug)]
struct Resuming {
    socket: SocketKey,
    sid: Sid,
    pid: Sid,
}

/// What a connection has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Answer a request.
    Respond {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Answer a request with 101; from there on its byte stream is the WebSocket `transport`.
    Upgrade {
        /// The request.
        id: RequestId,
        /// Its answer, 101.
        response: Response,
        /// The name of the byte stream from here on.
        transport: TransportId,
    },
    /// Write what [`Connection::transmit`] still holds, close the byte stream, and report `handle_eof`.
    Shutdown(TransportId),
    /// Drop the byte stream now, and report `handle_eof`.
    Abort(TransportId),
    /// Tell the application.
    Event(Event),
    /// Forward to [`super::Hub::handle_event`].
    Hub(ConnectionEvent),
}

impl Connection {
    pub(super) fn new(now: Instant, config: Arc<Config>, key: ConnKey, sid: Sid, head: &Request<'_>) -> Self {
        Self {
            key,
            handshake: Arc::new(Handshake::new(now, head)),
            session: Session::new(now, Arc::clone(&config), sid),
            decoder: Decoder::new(&config.limits),
            slots: Vec::new(),
            outputs: Rare::default(),
            hub_events: Rare::default(),
            lookups: 0,
            connect_deadline: Some(now + config.connect_timeout),
            packet_deadline: None,
            ack_deadline: None,
            ticked: Instant::ZERO,
            refusals: 0,
            queued: 0,
            queued_protocol: 0,
            closing: None,
            ended: false,
            drained: false,
            config,
        }
    }

    /// The connection's key.
    pub const fn key(&self) -> ConnKey {
        self.key
    }

    /// The request that opened the connection.
    pub const fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }

    /// The transport in use: `polling` or `websocket`.
    pub fn transport_name(&self) -> &'static str {
        self.session.transport_name()
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.session.queued_bytes()
    }

    /// Whether a driver should go on reading from the peer: `false` while more than
    /// [`crate::Limits::high_water`] bytes wait to be sent to it. One that stops calls
    /// [`handle_withheld`](Self::handle_withheld), and goes on when this says so: at half of that.
    pub fn wants_read(&self) -> bool {
        self.session.wants_read()
    }

    /// Whether nothing is left to do: the connection can be dropped.
    pub const fn is_drained(&self) -> bool {
        self.drained
    }

    /// Counts of what the connection holds.
    pub fn stats(&self) -> Stats {
        let session = self.session.stats();
        let mut stats = Stats {
            requests: session.requests,
            transports: session.transports,
            received_bytes: session.received_bytes.saturating_add(self.decoder.pending_bytes()),
            queued_bytes: session.queued_bytes,
            queued_packets: session.queued_packets,
            waiting: session
                .waiting
                .saturating_add(self.outputs.len())
                .saturating_add(self.hub_events.len())
                .saturating_add(self.lookups),
            ..Stats::default()
        };
        for slot in &self.slots {
            match &slot.state {
                State::Joined(joined) => stats.acks = stats.acks.saturating_add(joined.acks.len()),
                State::Left => stats.left_namespaces = stats.left_namespaces.saturating_add(1),
                State::Asked(_) | State::Pending { .. } | State::Resuming(_) => {}
            }
        }
        stats
    }

    /// A request for this connection. With [`Body::Pending`], [`handle_body`](Self::handle_body) follows.
    pub fn handle_request(&mut self, now: Instant, id: RequestId, head: &Request<'_>, body: Body) {
        self.session.handle_request(now, id, head, body);
    }

    /// Takes a request without a body if it is a GET that only waits for packets: see
    /// [`engine::Session::handle_poll`](crate::engine::Session::handle_poll). It brings nothing to look at; what verbs have left
    /// for the hub is still there.
    pub fn handle_poll(&mut self, now: Instant, id: RequestId, head: &Request<'_>) -> bool {
        self.session.handle_poll(now, id, head)
    }

    /// The body of a request whose head came with [`Body::Pending`].
    pub fn handle_body(&mut self, now: Instant, id: RequestId, body: Body) {
        self.session.handle_body(now, id, body);
    }

    /// The peer dropped a request that is not answered yet.
    pub fn handle_abort(&mut self, now: Instant, id: RequestId) {
        self.session.handle_abort(now, id);
    }

    /// Bytes of a WebSocket. The buffer is always consumed whole.
    pub fn handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut) {
        self.session.handle_bytes(now, transport, buffer);
    }

    /// A message of a WebSocket that a framework owns, instead of [`handle_bytes`](Self::handle_bytes).
    pub fn handle_message(&mut self, now: Instant, transport: TransportId, message: Message) {
        self.session.handle_message(now, transport, message);
    }

    /// The byte stream of a WebSocket ended, failed, or was closed as told.
    pub fn handle_eof(&mut self, now: Instant, transport: TransportId) {
        self.session.handle_eof(now, transport);
    }

    /// The driver has stopped reading from the peer (`true`), on all its transports, or goes on (`false`): because the
    /// application is behind, or [`wants_read`](Self::wants_read) said so. To say the same again changes nothing.
    ///
    /// What the peer has sent may lie unread then: its pong, the rest of a body. So it is not held to
    /// [`Config::ping_timeout`] and [`crate::Limits::body_timeout`] until reading goes on, and then has all of them once
    /// more; but no longer than [`crate::Limits::withheld_timeout`] without a break, since a dead peer would never be
    /// noticed. Pings are still sent, and no other deadline moves.
    pub fn handle_withheld(&mut self, now: Instant, withheld: bool) {
        self.session.handle_withheld(now, withheld);
    }

    /// A tick. One that comes early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ticked = self.ticked.max(now);
        self.session.handle_timeout(now);
    }

    /// What the hub has to say to this connection.
    pub fn handle_hub_event(&mut self, now: Instant, event: HubEvent) {
        match event.0 {
            ToConnection::Found(found) => {
                self.lookups = self.lookups.saturating_sub(1);
                self.on_found(*found);
            }
            ToConnection::Unknown { namespace } => {
                self.lookups = self.lookups.saturating_sub(1);
                // Socket.IO protocol v5, "Connection to a namespace": the connection stays open.
                if let Some(index) = self.asked(&namespace) {
                    self.slots.remove(index);
                    self.refuse(now, &namespace, "Invalid namespace");
                }
            }
            ToConnection::Deliver { socket, packet } => self.deliver(now, socket, &packet),
            ToConnection::Disconnect { socket, close } => self.disconnect(now, socket, close),
            ToConnection::Retire { socket } => self.retire(now, socket),
            ToConnection::Resume { socket, missed, offset } => self.resume(now, socket, &missed, offset),
        }
    }

    /// Accepts a connection request: the client is told, and the socket is connected. With
    /// [recovery](ConnectRequest::is_recovered) it is so when the hub has answered what this has for it
    /// ([`poll_hub_event`](Self::poll_hub_event)): until then nothing can be sent to it.
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn accept(&mut self, now: Instant, request: ConnectRequest) -> Result<SocketKey, RequestGone> {
        let index = self.pending(request.socket).ok_or(RequestGone)?;
        let slot = self.slots.get_mut(index).ok_or(RequestGone)?;
        let name = slot.name.clone();
        let (socket, sid) = (request.socket, request.sid);
        let answer = match request.session {
            Some(session) if session.is_recovered => {
                slot.state = State::Resuming(Box::new(Resuming { socket, sid, pid: session.pid }));
                None
            }
            session => {
                slot.state = State::Joined(Joined::new(socket));
                let session = session.map(|session| (session.pid, session.offset));
                Some(resume::answer(sid, session).map_err(|_| RequestGone)?)
            }
        };
        self.connect_deadline = None;
        self.hub_events.push_back(ConnectionEvent(ToHub::Accept(socket)));
        if let Some(answer) = answer {
            self.send(now, PacketType::Connect, &name, Some(&answer));
        }
        Ok(socket)
    }

    /// Refuses a connection request: the client gets `connect_error`. The rooms that the socket joined are left.
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn reject(&mut self, now: Instant, request: ConnectRequest, error: &ConnectError) -> Result<(), RequestGone> {
        let index = self.pending(request.socket).ok_or(RequestGone)?;
        let slot = self.slots.remove(index);
        self.hub_events.push_back(ConnectionEvent(ToHub::Leave { socket: request.socket, keep: false }));
        self.refuse_with(now, &slot.name, error.payload());
        Ok(())
    }

    /// Sends an event ([`Payload::event`]) to a socket. With [`Config::recovery`](crate::Config::recovery) that is for
    /// [`Hub::emit`](super::Hub::emit) to do: an event that is sent here is not recovered.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`], [`EmitError::Full`] under [`QueuePolicy::Error`], or [`EmitError::WrongPayload`].
    pub fn emit<'p>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        event: impl Into<PayloadRef<'p>>,
    ) -> Result<(), EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        self.send_packet(now, socket, PacketType::Event, None, event)
    }

    /// Sends an event to a socket and asks for an acknowledgement, which [`Event::Ack`] brings: the answer, or that
    /// there was none within `timeout`, or that the socket was disconnected before.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`], [`EmitError::TooManyAcks`], [`EmitError::Full`] under [`QueuePolicy::Error`], or
    /// [`EmitError::WrongPayload`].
    pub fn emit_with_ack<'p>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        event: impl Into<PayloadRef<'p>>,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        let limit = self.config.limits.outstanding_acks;
        let (_, joined) = self.joined(socket).ok_or(EmitError::NotConnected)?;
        if joined.acks.len() >= limit {
            return Err(EmitError::TooManyAcks { limit });
        }
        // Even numbers for direct emits: a broadcast, which shares one id among its recipients, takes odd ones.
        let id = joined.next_ack;
        joined.next_ack = id.saturating_add(2);
        // First, so that an emit that ends the connection leaves no acknowledgement to end with it.
        self.send_packet(now, socket, PacketType::Event, Some(id), event)?;
        let due = due(now.max(self.ticked), timeout);
        if let Some((_, joined)) = self.joined(socket) {
            joined.acks.insert(id, due);
        }
        self.ack_deadline = Some(self.ack_deadline.map_or(due, |deadline| deadline.min(due)));
        Ok(AckId(id))
    }

    /// Acknowledges an event ([`Payload::ack`]). Once that has succeeded, the token is used up: a peer ignores a second
    /// acknowledgement (behaviours, item 52).
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`], [`EmitError::Full`] under [`QueuePolicy::Error`], or [`EmitError::WrongPayload`].
    pub fn reply<'p>(
        &mut self,
        now: Instant,
        token: &AckToken,
        answer: impl Into<PayloadRef<'p>>,
    ) -> Result<(), EmitError> {
        let answer = answer.into();
        WrongPayload::check(PayloadKind::Ack, answer)?;
        self.send_packet(now, token.socket, PacketType::Ack, Some(token.id.get()), answer)
    }

    /// Makes a socket leave its namespace. With `close`, the whole connection is closed after that, all its sockets
    /// with it. Does nothing if the socket is gone.
    pub fn disconnect(&mut self, now: Instant, socket: SocketKey, close: bool) {
        if self.joined(socket).is_none() {
            return;
        }
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        let leaving: Vec<Text> = self
            .slots
            .iter()
            .filter(|slot| matches!(&slot.state, State::Joined(joined) if close || joined.socket == socket))
            .map(|slot| slot.name.clone())
            .collect();
        for name in leaving {
            self.send(now, PacketType::Disconnect, &name, None);
            if let Some(index) = self.slot(&name) {
                self.leave(index, reason, None);
                self.remember(name);
            }
        }
        if close {
            self.end(DisconnectReason::ForcedServerClose, None);
            self.session.close(now, CloseReason::ForcedClose);
        }
    }

    /// Closes the connection because the server goes away: its sockets are disconnected with the reason
    /// `server shutting down`, and the client sees its transport closed.
    pub fn shutdown(&mut self, now: Instant) {
        self.end(DisconnectReason::ServerShuttingDown, None);
        self.session.close(now, CloseReason::ServerShuttingDown);
    }

    /// Ends the connection now, for a driver that cannot wait any longer: see [`Session::abort`].
    pub fn abort(&mut self, now: Instant) {
        self.end(DisconnectReason::ForcedClose, None);
        self.session.abort(now);
    }

    /// What a full send queue of this socket does from here on, instead of [`Config::queue_policy`].
    pub fn set_queue_policy(&mut self, socket: SocketKey, policy: QueuePolicy) {
        if let Some((_, joined)) = self.joined(socket) {
            joined.policy = Some(policy);
        }
    }

    /// The next thing to do. Processes stored inputs one packet at a time, in order of arrival.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.poll_until(u64::MAX)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.connect_deadline, self.packet_deadline, self.ack_deadline];
        // A deadline that a stored tick has reached is handled when that tick's turn comes.
        let own = own.into_iter().flatten().filter(|deadline| *deadline > self.ticked && *deadline < NEVER);
        own.chain(self.session.poll_timeout()).min()
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut ws::TransmitQueue> {
        self.session.transmit(transport)
    }

    pub(super) fn poll_until(&mut self, until: u64) -> Option<Output> {
        loop {
            if let Some(event) = self.hub_events.pop_front() {
                return Some(Output::Hub(event));
            }
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            match self.session.poll_step(until) {
                Some(Step::Tick(now)) => self.on_tick(now),
                Some(Step::Output(output)) => {
                    if let Some(output) = self.on_engine(output) {
                        return Some(output);
                    }
                }
                None if !self.drained && self.lookups == 0 && self.session.is_drained() => {
                    self.drained = true;
                    self.hub_events.push_back(ConnectionEvent(ToHub::Drain));
                }
                None => return None,
            }
        }
    }

    /// The WebSockets that have something to write.
    pub fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.session.unsent()
    }

    /// For [`super::Server`], which answers at once: when the packet arrived that is being worked on.
    pub(super) fn clock(&self) -> Instant {
        self.session.clock()
    }

    /// What there is to forward to the hub before anything else is said. [`poll_output`](Self::poll_output) brings it
    /// too; a driver that goes on at once after [`accept`](Self::accept), with a broadcast for instance that the new
    /// socket shall get, forwards it first.
    pub fn poll_hub_event(&mut self) -> Option<ConnectionEvent> {
        self.hub_events.pop_front()
    }

    fn on_engine(&mut self, output: engine::Output) -> Option<Output> {
        Some(match output {
            engine::Output::Respond { id, response } => Output::Respond { id, response },
            engine::Output::Upgrade { id, response, transport } => Output::Upgrade { id, response, transport },
            engine::Output::Shutdown { transport } => Output::Shutdown(transport),
            engine::Output::Abort { transport } => Output::Abort(transport),
            engine::Output::Event(engine::Event::Open) => return None,
            engine::Output::Event(engine::Event::Upgraded) => Output::Event(Event::Upgrade(self.key)),
            engine::Output::Event(engine::Event::Message(message)) => Output::Event(self.on_message(message)?),
            engine::Output::Event(engine::Event::Close { reason, error }) => {
                self.on_close(reason, error);
                return None;
            }
        })
    }

    fn refuse(&mut self, now: Instant, namespace: &Text, message: &str) {
        if let Ok(error) = ConnectError::new(message) {
            self.refuse_with(now, namespace, error.payload());
        }
    }

    fn refuse_with(&mut self, now: Instant, namespace: &Text, error: &Payload) {
        self.send(now, PacketType::ConnectError, namespace, Some(error));
        self.refusals = self.refusals.saturating_add(1);
        let limit = self.config.limits.failed_namespaces;
        if self.refusals > limit {
            self.fail(now, Error::TooManyRefusals { count: self.refusals, limit });
        }
    }

    fn deliver(&mut self, now: Instant, socket: SocketKey, packet: &Encoded) {
        let Some((_, joined)) = self.joined(socket) else { return };
        let policy = joined.policy.unwrap_or(self.config.queue_policy);
        while let Err(error) = self.session.send_encoded(packet) {
            match (policy, error) {
                (_, SendError::Closed) | (QueuePolicy::DropNewest, _) => return,
                (QueuePolicy::DropOldest, _) if self.drop_oldest() => {}
                (QueuePolicy::DropOldest, _) => return,
                (QueuePolicy::Error | QueuePolicy::Disconnect, full) => {
                    return self.fail(now, Error::SlowConsumer(full));
                }
            }
        }
        self.queued = self.queued.saturating_add(1);
    }

    fn send_packet(
        &mut self,
        now: Instant,
        socket: SocketKey,
        kind: PacketType,
        id: Option<u64>,
        payload: PayloadRef<'_>,
    ) -> Result<(), EmitError> {
        loop {
            let slot = self.slots.iter().find_map(|slot| match &slot.state {
                State::Joined(joined) if joined.socket == socket => Some((&slot.name, joined.policy)),
                _ => None,
            });
            let (name, policy) = slot.ok_or(EmitError::NotConnected)?;
            let head = Head::new(kind, payload.attachments().len(), name, id);
            let Err(error) = self.session.send_packet(&head, Some(payload)) else {
                self.queued = self.queued.saturating_add(1);
                return Ok(());
            };
            if !self.make_room(now, policy, error)? {
                return Ok(());
            }
        }
    }

    /// Sends a packet that is shared with other sockets, whether or not there is room for it: as the socket's policy says.
    /// Whether it was sent.
    pub(super) fn send_encoded(
        &mut self,
        now: Instant,
        socket: SocketKey,
        packet: &Encoded,
    ) -> Result<bool, EmitError> {
        let policy = self.joined(socket).ok_or(EmitError::NotConnected)?.1.policy;
        while let Err(error) = self.session.send_encoded(packet) {
            if !self.make_room(now, policy, error)? {
                return Ok(false);
            }
        }
        self.queued = self.queued.saturating_add(1);
        Ok(true)
    }

    /// Does with a full queue what the socket's policy says. Whether to try again; if not, the packet is dropped.
    fn make_room(&mut self, now: Instant, policy: Option<QueuePolicy>, error: SendError) -> Result<bool, EmitError> {
        match (policy.unwrap_or(self.config.queue_policy), error) {
            (_, SendError::Closed) => Err(EmitError::NotConnected),
            (QueuePolicy::Error, full) => Err(EmitError::Full(full)),
            (QueuePolicy::DropOldest, _) => Ok(self.drop_oldest()),
            (QueuePolicy::DropNewest, _) => Ok(false),
            (QueuePolicy::Disconnect, full) => {
                self.fail(now, Error::SlowConsumer(full));
                Err(EmitError::NotConnected)
            }
        }
    }

    /// Makes room in the send queue; `false` if there is nothing to drop. As long as a packet of the protocol itself
    /// may be queued nothing is, since it could be the oldest, and without it the client would wait for ever.
    fn drop_oldest(&mut self) -> bool {
        let taken = self.queued.saturating_sub(self.session.queued_packets() as u64);
        self.queued_protocol <= taken && self.session.drop_oldest()
    }

    /// Sends a packet of the protocol itself, which no policy may drop.
    fn send(&mut self, now: Instant, kind: PacketType, namespace: &str, payload: Option<&Payload>) {
        match self.session.send_packet(&Head::new(kind, 0, namespace, None), payload.map(PayloadRef::from)) {
            Ok(()) => {
                self.queued = self.queued.saturating_add(1);
                self.queued_protocol = self.queued;
            }
            Err(SendError::Closed) => {}
            Err(full @ SendError::Full { .. }) => self.fail(now, Error::SlowConsumer(full)),
        }
    }

    fn slot(&self, namespace: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.name == *namespace)
    }

    fn asked(&self, namespace: &str) -> Option<usize> {
        self.slot(namespace)
            .filter(|index| self.slots.get(*index).is_some_and(|slot| matches!(slot.state, State::Asked(_))))
    }

    fn pending(&self, socket: SocketKey) -> Option<usize> {
        self.slots.iter().position(|slot| matches!(&slot.state, State::Pending { socket: own } if *own == socket))
    }

    fn joined(&mut self, socket: SocketKey) -> Option<(usize, &mut Joined)> {
        self.slots.iter_mut().enumerate().find_map(|(index, slot)| match &mut slot.state {
            State::Joined(joined) if joined.socket == socket => Some((index, joined)),
            _ => None,
        })
    }
}

impl Machine for Connection {
    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn stored(&self) -> u64 {
        self.session.stored()
    }

    fn begun(&self) -> u64 {
        self.session.begun()
    }
}

/// The end of time, where instants saturate: no deadline.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// A deadline, later than `now` even without a timeout: a tick at `now` may be over.
fn due(now: Instant, timeout: Duration) -> Instant {
    now + timeout.max(Duration::from_micros(1))
}

impl Joined {
    const fn new(socket: SocketKey) -> Self {
        Self { socket, policy: None, next_ack: 0, acks: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 528, "{}", size_of::<Connection>());
    }
}
