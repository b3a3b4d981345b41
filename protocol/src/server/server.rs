//! A whole server for one thread: connections, their hub, and a heap of deadlines.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::BytesMut;

use super::{
    connection::{self, Connection},
    error::{EmitError, JoinError, RequestGone},
    event::{AckToken, ConnectError, ConnectRequest, Event, SelectionId},
    hub::{ConnectionEvent, Hub, HubEvent, HubOutput, Route as HubRoute},
    namespace::Target,
    stats::Stats,
};
use crate::{
    Config, Instant, QueuePolicy, Seed, Text,
    ack::AckId,
    engine::gone,
    fifo::take_first,
    http::{Body, Request},
    key::{ConnKey, NspId, RequestId, Sid, SocketKey, TransportId},
    machines::{Machines, Output, Route, Transmits},
    socket::{PayloadKind, PayloadRef, WrongPayload},
    ws,
};

/// A Socket.IO server as one machine: for tests, simulations, fuzzing, and for embedders with a single thread.
///
/// It composes [`Connection`]s and a [`Hub`], and decides nothing itself. The crate's documentation shows the whole
/// loop around it.
///
/// Inputs ([`handle_request`](Self::handle_request) and the other `handle_*`) are stored, and processed in the order
/// in which they came, across connections too; verbs ([`emit`](Self::emit), [`join`](Self::join), …) act at once. Any
/// number of either in any order, then [`poll_output`](Self::poll_output) until it returns `None`, then write what
/// [`transmit`](Self::transmit) holds for the connections that were touched, which
/// [`poll_transmit`](Self::poll_transmit) names.
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    connections: Machines<Connection>,
    outputs: VecDeque<Output<Event>>,
    /// The latest `now`: what the hub says to a connection happens then.
    now: Instant,
    /// A tick for the hub, which comes behind all inputs that are stored.
    tick: Option<Instant>,
    /// WebSockets that may have something to write, each once.
    transmits: Transmits,
}

impl Server {
    /// A server with the namespace `/` alone.
    pub fn new(config: impl Into<Arc<Config>>, seed: &Seed) -> Self {
        Self {
            hub: Hub::new(config, seed),
            connections: Machines::new(),
            outputs: VecDeque::new(),
            now: Instant::ZERO,
            tick: None,
            transmits: Transmits::default(),
        }
    }

    /// Makes a namespace, or finds it if it exists. A missing `/` in front of the name is added.
    pub fn add_namespace(&mut self, name: &str) -> NspId {
        self.hub.add_namespace(name)
    }

    /// The shared part: names of namespaces, rooms of a socket, members of a selection.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// One connection.
    pub fn connection(&self, key: ConnKey) -> Option<&Connection> {
        self.connections.get(key)
    }

    /// The id of a socket (`socket.id`).
    pub fn sid(&self, socket: SocketKey) -> Option<Sid> {
        self.hub.sid(socket)
    }

    /// The rooms that a socket is in, its own one not among them.
    pub fn rooms(&self, socket: SocketKey) -> impl Iterator<Item = &Text> {
        self.hub.rooms(socket)
    }

    /// Whether a driver should go on reading from the peer: `false` while more than [`crate::Limits::high_water`] bytes
    /// wait to be sent to it. One that stops calls [`handle_withheld`](Self::handle_withheld).
    pub fn wants_read(&self, key: ConnKey) -> bool {
        self.connections.get(key).is_none_or(Connection::wants_read)
    }

    /// Counts of everything that the server holds.
    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        for connection in self.connections.iter() {
            stats += connection.stats();
        }
        let (line, _) = self.connections.backlog();
        stats.connections = stats.connections.max(self.connections.len());
        stats.waiting = stats.waiting.saturating_add(self.outputs.len()).saturating_add(line);
        stats
    }

    /// Says where a request goes, by its head alone, before its body is read. Opens a connection where the request
    /// asks for one: it must then be given to [`handle_request`](Self::handle_request).
    pub fn route(&mut self, now: Instant, head: &Request<'_>) -> Route {
        let key = match self.hub.route(head) {
            HubRoute::NotFound => return Route::NotFound,
            HubRoute::Response(response) => return Route::Response(response),
            HubRoute::Existing(key) => key,
            HubRoute::Open => {
                let connection = self.hub.open(now, head);
                let key = connection.key();
                self.connections.insert(key, connection);
                key
            }
        };
        Route::Connection { key, body_limit: self.hub.config().limits.max_payload }
    }

    /// A request that [`route`](Self::route) named a connection for. With [`Body::Pending`],
    /// [`handle_body`](Self::handle_body) follows.
    pub fn handle_request(&mut self, now: Instant, key: ConnKey, id: RequestId, head: &Request<'_>, body: Body) {
        self.now = self.now.max(now);
        let unread = !matches!(body, Body::Whole(_));
        if !self.connections.input(key, |connection| connection.handle_request(now, id, head, body)) {
            // Gone since it was routed.
            let response = gone(self.hub.config(), head, unread);
            self.outputs.push_back(Output::Respond { id, response });
        }
    }

    /// The body of a request whose head came with [`Body::Pending`].
    pub fn handle_body(&mut self, now: Instant, key: ConnKey, id: RequestId, body: Body) {
        self.input(now, key, |connection| connection.handle_body(now, id, body));
    }

    /// The peer dropped a request that is not answered yet.
    pub fn handle_abort(&mut self, now: Instant, key: ConnKey, id: RequestId) {
        self.input(now, key, |connection| connection.handle_abort(now, id));
    }

    /// Bytes of a WebSocket. The buffer is always consumed whole.
    pub fn handle_bytes(&mut self, now: Instant, key: ConnKey, transport: TransportId, buffer: &mut BytesMut) {
        if !self.input(now, key, |connection| connection.handle_bytes(now, transport, buffer)) {
            buffer.clear();
        }
    }

    /// A message of a WebSocket that a framework owns, instead of [`handle_bytes`](Self::handle_bytes).
    pub fn handle_message(&mut self, now: Instant, key: ConnKey, transport: TransportId, message: ws::Message) {
        self.input(now, key, |connection| connection.handle_message(now, transport, message));
    }

    /// The byte stream of a WebSocket ended, failed, or was closed as told.
    pub fn handle_eof(&mut self, now: Instant, key: ConnKey, transport: TransportId) {
        self.input(now, key, |connection| connection.handle_eof(now, transport));
    }

    /// The driver has stopped reading from the peer, or goes on: see [`Connection::handle_withheld`].
    pub fn handle_withheld(&mut self, now: Instant, key: ConnKey, withheld: bool) {
        self.input(now, key, |connection| connection.handle_withheld(now, withheld));
    }

    /// A tick. One that comes early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.connections.handle_timeout(now);
        if self.hub.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.tick = self.tick.max(Some(now));
        }
    }

    /// Accepts a connection request: see [`Connection::accept`].
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn accept(&mut self, now: Instant, request: ConnectRequest) -> Result<SocketKey, RequestGone> {
        self.verb(now, request.connection(), |connection| connection.accept(now, request)).unwrap_or(Err(RequestGone))
    }

    /// Refuses a connection request: see [`Connection::reject`].
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn reject(&mut self, now: Instant, request: ConnectRequest, error: &ConnectError) -> Result<(), RequestGone> {
        let answer = self.verb(now, request.connection(), |connection| connection.reject(now, request, error));
        answer.unwrap_or(Err(RequestGone))
    }

    /// Sends an event to one socket: see [`Connection::emit`], and [`Hub::emit`] for recovery.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the socket is gone, its queue is full and its policy says so, or the payload is of another kind.
    pub fn emit<'p>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        event: impl Into<PayloadRef<'p>>,
    ) -> Result<(), EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        let key = self.hub.connection(socket).ok_or(EmitError::NotConnected)?;
        self.now = self.now.max(now);
        let connection = self.connections.touch(key).ok_or(EmitError::NotConnected)?;
        let mut said = Vec::new();
        let sent = self.hub.emit(now, connection, socket, event, &mut |key, event| said.push((key, event)));
        said.into_iter().for_each(|(key, event)| forward(&mut self.connections, now, key, event));
        self.verb(now, key, |_| sent).unwrap_or(Err(EmitError::NotConnected))
    }

    /// Sends an event and asks for an acknowledgement: see [`Connection::emit_with_ack`].
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the socket is gone, owes too many acknowledgements, its queue is full and its policy says so, or
    /// the payload is of another kind.
    pub fn emit_with_ack<'p>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        event: impl Into<PayloadRef<'p>>,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        self.socket_verb(now, socket, |connection| connection.emit_with_ack(now, socket, event, timeout))
    }

    /// Acknowledges an event: see [`Connection::reply`].
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the socket is gone, its queue is full and its policy says so, or the payload is of another kind.
    pub fn reply<'p>(
        &mut self,
        now: Instant,
        token: &AckToken,
        answer: impl Into<PayloadRef<'p>>,
    ) -> Result<(), EmitError> {
        let answer = answer.into();
        WrongPayload::check(PayloadKind::Ack, answer)?;
        self.socket_verb(now, token.socket(), |connection| connection.reply(now, token, answer))
    }

    /// Disconnects a socket, or its whole connection: see [`Connection::disconnect`].
    pub fn disconnect(&mut self, now: Instant, socket: SocketKey, close: bool) {
        if let Some(key) = self.hub.connection(socket) {
            self.verb(now, key, |connection| connection.disconnect(now, socket, close));
        }
    }

    /// What a full send queue of this socket does from here on.
    pub fn set_queue_policy(&mut self, socket: SocketKey, policy: QueuePolicy) {
        if let Some(connection) = self.hub.connection(socket).and_then(|key| self.connections.touch(key)) {
            connection.set_queue_policy(socket, policy);
        }
    }

    /// Puts a socket into a room: see [`Hub::join`].
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the socket is gone or in too many rooms.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, JoinError> {
        self.hub.join(socket, room)
    }

    /// Takes a socket out of a room. Says whether it was in it.
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        self.hub.leave(socket, room)
    }

    /// Sends an event to every socket of the target, encoded once. Returns the number of recipients.
    ///
    /// # Errors
    ///
    /// [`WrongPayload`] if it is not an event's.
    pub fn broadcast<'p>(
        &mut self,
        now: Instant,
        target: &Target<'_>,
        event: impl Into<PayloadRef<'p>>,
    ) -> Result<usize, WrongPayload> {
        self.now = self.now.max(now);
        let Self { hub, connections, now, .. } = self;
        hub.broadcast(*now, target, event, &mut |key, event| forward(connections, *now, key, event))
    }

    /// Makes every socket of the target join the rooms. [`Event::Selection`] answers.
    pub fn sockets_join(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        self.hub.sockets_join(target, rooms)
    }

    /// Makes every socket of the target leave the rooms. [`Event::Selection`] answers.
    pub fn sockets_leave(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        self.hub.sockets_leave(target, rooms)
    }

    /// Disconnects every socket of the target. [`Event::Selection`] answers.
    pub fn disconnect_sockets(&mut self, now: Instant, target: &Target<'_>, close: bool) -> SelectionId {
        self.now = self.now.max(now);
        let Self { hub, connections, now, .. } = self;
        hub.disconnect_sockets(target, close, &mut |key, event| forward(connections, *now, key, event))
    }

    /// Closes every connection because the server goes away: see [`Connection::shutdown`].
    pub fn shutdown(&mut self, now: Instant) {
        let keys: Vec<ConnKey> = self.connections.keys().collect();
        for key in keys {
            self.verb(now, key, |connection| connection.shutdown(now));
        }
    }

    /// Ends a connection now, for a driver that cannot wait any longer: see [`Connection::abort`].
    pub fn abort(&mut self, now: Instant, key: ConnKey) {
        self.verb(now, key, |connection| connection.abort(now));
    }

    /// The next thing to do. Processes stored inputs one packet at a time, in the order in which they came.
    pub fn poll_output(&mut self) -> Option<Output<Event>> {
        loop {
            if let Some(output) = take_first(&mut self.outputs) {
                return Some(output);
            }
            if let Some(output) = self.hub.poll_output() {
                return Some(Output::Event(match output {
                    HubOutput::Room(op) => Event::Room(op),
                    HubOutput::Selection { id, sockets } => Event::Selection { id, sockets },
                    HubOutput::Forgotten { namespace, sid } => Event::Forgotten { namespace, sid },
                }));
            }
            let Some((key, until, connection)) = self.connections.current() else {
                self.hub.handle_timeout(self.tick.take()?);
                continue;
            };
            return Some(match connection.poll_until(until) {
                None => {
                    connection.unsent().for_each(|transport| self.transmits.push(key, transport));
                    self.connections.next();
                    continue;
                }
                Some(connection::Output::Hub(event)) => {
                    // The hub answers whoever asked, and the answer happens when the question did.
                    let now = connection.clock();
                    self.tell_hub(now, key, event);
                    continue;
                }
                Some(connection::Output::Respond { id, response }) => Output::Respond { id, response },
                Some(connection::Output::Upgrade { id, response, transport }) => {
                    Output::Upgrade { id, response, connection: key, transport }
                }
                Some(connection::Output::Shutdown(transport)) => Output::Shutdown { connection: key, transport },
                Some(connection::Output::Abort(transport)) => Output::Abort { connection: key, transport },
                Some(connection::Output::Event(event)) => Output::Event(event),
            });
        }
    }

    /// After [`poll_output`](Self::poll_output): the next WebSocket that may have something to write.
    pub fn poll_transmit(&mut self) -> Option<(ConnKey, TransportId)> {
        self.transmits.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // A deadline that a stored tick has reached is handled when that tick's turn comes.
        let hub = self.hub.poll_timeout().filter(|deadline| self.tick.is_none_or(|tick| tick < *deadline));
        hub.into_iter().chain(self.connections.poll_timeout()).min()
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    pub fn transmit(&mut self, key: ConnKey, transport: TransportId) -> Option<&mut ws::TransmitQueue> {
        self.connections.get_mut(key)?.transmit(transport)
    }

    fn input(&mut self, now: Instant, key: ConnKey, handle: impl FnOnce(&mut Connection)) -> bool {
        self.now = self.now.max(now);
        self.connections.input(key, handle)
    }

    /// Runs a verb, and tells the hub what it has to know before the next verb runs.
    fn verb<T>(&mut self, now: Instant, key: ConnKey, verb: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        self.now = self.now.max(now);
        let connection = self.connections.touch(key)?;
        let result = verb(connection);
        while let Some(event) = self.connections.touch(key).and_then(Connection::poll_hub_event) {
            self.tell_hub(now, key, event);
        }
        Some(result)
    }

    fn socket_verb<T>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        verb: impl FnOnce(&mut Connection) -> Result<T, EmitError>,
    ) -> Result<T, EmitError> {
        let key = self.hub.connection(socket).ok_or(EmitError::NotConnected)?;
        self.verb(now, key, verb).unwrap_or(Err(EmitError::NotConnected))
    }

    fn tell_hub(&mut self, now: Instant, key: ConnKey, event: ConnectionEvent) {
        let Self { hub, connections, .. } = self;
        hub.handle_event(now, key, event, &mut |key, event| forward(connections, now, key, event));
        if connections.get(key).is_some_and(Connection::is_drained) {
            connections.remove(key);
            self.transmits.remove(key);
        }
    }
}

fn forward(connections: &mut Machines<Connection>, now: Instant, key: ConnKey, event: HubEvent) {
    if let Some(connection) = connections.touch(key) {
        connection.handle_hub_event(now, event);
    }
}
