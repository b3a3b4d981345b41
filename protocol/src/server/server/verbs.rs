//! What the application has a server do.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Server, forward};
use crate::{
    Instant, QueuePolicy,
    ack::AckId,
    key::{ConnKey, SocketKey},
    server::{
        error::{EmitError, JoinError, RequestGone},
        event::{AckToken, ConnectError, ConnectRequest, SelectionId},
        namespace::Target,
    },
    socket::{PayloadKind, PayloadRef, WrongPayload},
};

impl Server {
    /// Accepts a connection request: see [`Connection::accept`](crate::server::Connection::accept).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let (client, request) = Client::asking(&mut server);
    /// let socket = server.accept(NOW, request)?;
    /// let sid = server.sid(socket).unwrap();
    /// assert_eq!(client.get(&mut server), format!("40{{\"sid\":\"{sid}\"}}"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn accept(&mut self, now: Instant, request: ConnectRequest) -> Result<SocketKey, RequestGone> {
        self.verb(now, request.connection(), |connection| connection.accept(now, request)).unwrap_or(Err(RequestGone))
    }

    /// Refuses a connection request: see [`Connection::reject`](crate::server::Connection::reject).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let (client, request) = Client::asking(&mut server);
    /// server.reject(NOW, request, &ConnectError::new("not today")?)?;
    /// assert_eq!(client.get(&mut server), r#"44{"message":"not today"}"#);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestGone`] if the client went away in the meantime.
    pub fn reject(&mut self, now: Instant, request: ConnectRequest, error: &ConnectError) -> Result<(), RequestGone> {
        let answer = self.verb(now, request.connection(), |connection| connection.reject(now, request, error));
        answer.unwrap_or(Err(RequestGone))
    }

    /// Sends an event to one socket: see [`Connection::emit`](crate::server::Connection::emit), and [`Hub::emit`](crate::server::Hub::emit) for recovery.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let (client, socket) = Client::joined(&mut server);
    /// server.emit(NOW, socket, &event("news", "rain"))?;
    /// assert_eq!(client.get(&mut server), r#"42["news","rain"]"#);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Sends an event and asks for an acknowledgement: see [`Connection::emit_with_ack`](crate::server::Connection::emit_with_ack).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let (client, socket) = Client::joined(&mut server);
    /// let asked = server.emit_with_ack(NOW, socket, &event("question", "why?"), Duration::from_secs(5))?;
    /// assert_eq!(client.get(&mut server), r#"420["question","why?"]"#);
    /// let told = client.post(&mut server, r#"430["because"]"#);
    /// let [Event::Ack { id, outcome: AckOutcome::Reply(answer), .. }] = &told[..] else { panic!() };
    /// assert_eq!((*id, answer.raw()), (asked, r#""because""#));
    /// # Ok(())
    /// # }
    /// ```
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

    /// Acknowledges an event: see [`Connection::reply`](crate::server::Connection::reply).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let (client, _socket) = Client::joined(&mut server);
    /// let told = client.post(&mut server, r#"427["question","why?"]"#);
    /// let [Event::Packet { ack: Some(token), .. }] = &told[..] else { panic!() };
    /// server.reply(NOW, token, &Payload::ack("because", 10)?)?;
    /// assert_eq!(client.get(&mut server), r#"437["because"]"#);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Disconnects a socket, or its whole connection: see [`Connection::disconnect`](crate::server::Connection::disconnect).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, socket) = Client::joined(&mut server);
    /// server.disconnect(NOW, socket, false);
    /// assert_eq!(client.get(&mut server), "41");
    /// assert_eq!(server.stats().sockets, 0);
    /// # }
    /// ```
    pub fn disconnect(&mut self, now: Instant, socket: SocketKey, close: bool) {
        if let Some(key) = self.hub.connection(socket) {
            self.verb(now, key, |connection| connection.disconnect(now, socket, close));
        }
    }

    /// What a full send queue of this socket does from here on.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// server.set_queue_policy(socket, QueuePolicy::DropOldest);
    /// for n in 0..100_000 {
    ///     server.emit(NOW, socket, &event("position", &n.to_string()))?; // Never an error.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_queue_policy(&mut self, socket: SocketKey, policy: QueuePolicy) {
        if let Some(connection) = self.hub.connection(socket).and_then(|key| self.connections.touch(key)) {
            connection.set_queue_policy(socket, policy);
        }
    }

    /// Puts a socket into a room: see [`Hub::join`](crate::server::Hub::join).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// assert!(server.join(socket, "news")?);
    /// assert!(!server.join(socket, "news")?, "it is there already");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the socket is gone or in too many rooms.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, JoinError> {
        self.hub.join(socket, room)
    }

    /// Takes a socket out of a room. Says whether it was in it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// server.join(socket, "news")?;
    /// assert!(server.leave(socket, "news"));
    /// assert!(!server.leave(socket, "news"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        self.hub.leave(socket, room)
    }

    /// Sends an event to every socket of the target, encoded once. Returns the number of recipients.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// let [(one, first), (two, _), (three, third)] = std::array::from_fn(|_| Client::joined(&mut server));
    /// let everybody = Target::all(server.hub().namespace("/").unwrap());
    /// assert_eq!(server.broadcast(NOW, &everybody, &event("news", "rain"))?, 3);
    /// assert_eq!(two.get(&mut server), r#"42["news","rain"]"#);
    ///
    /// server.join(first, "sports")?;
    /// server.join(third, "sports")?;
    /// let sports = Target { rooms: &[Room::Named("sports")], ..everybody };
    /// assert_eq!(server.broadcast(NOW, &sports, &event("goal", "1:0"))?, 2);
    /// # assert!(one.get(&mut server).ends_with(r#"42["goal","1:0"]"#));
    /// # assert!(three.get(&mut server).ends_with(r#"42["goal","1:0"]"#));
    /// # Ok(())
    /// # }
    /// ```
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

    /// Makes every socket of the target join the rooms. [`Event::Selection`](crate::server::Event::Selection) answers.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// let everybody = Target::all(server.hub().namespace("/").unwrap());
    /// let selection = server.sockets_join(&everybody, &["news", "sports"]);
    /// assert_eq!(events(&mut server), [Event::Selection { id: selection, sockets: 1 }]);
    /// assert_eq!(server.rooms(socket).count(), 2);
    /// # }
    /// ```
    pub fn sockets_join(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        self.hub.sockets_join(target, rooms)
    }

    /// Makes every socket of the target leave the rooms. [`Event::Selection`](crate::server::Event::Selection) answers.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// server.join(socket, "news")?;
    /// let everybody = Target::all(server.hub().namespace("/").unwrap());
    /// let selection = server.sockets_leave(&everybody, &["news"]);
    /// assert_eq!(events(&mut server), [Event::Selection { id: selection, sockets: 1 }]);
    /// assert_eq!(server.rooms(socket).count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sockets_leave(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        self.hub.sockets_leave(target, rooms)
    }

    /// Disconnects every socket of the target. [`Event::Selection`](crate::server::Event::Selection) answers.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, _socket) = Client::joined(&mut server);
    /// let everybody = Target::all(server.hub().namespace("/").unwrap());
    /// server.disconnect_sockets(NOW, &everybody, false);
    /// assert!(events(&mut server).iter().any(|event| matches!(event, Event::Selection { sockets: 1, .. })));
    /// assert_eq!(client.get(&mut server), "41");
    /// # }
    /// ```
    pub fn disconnect_sockets(&mut self, now: Instant, target: &Target<'_>, close: bool) -> SelectionId {
        self.now = self.now.max(now);
        let Self { hub, connections, now, .. } = self;
        hub.disconnect_sockets(target, close, &mut |key, event| forward(connections, *now, key, event))
    }

    /// Closes every connection because the server goes away: see [`Connection::shutdown`](crate::server::Connection::shutdown).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (_client, _socket) = Client::joined(&mut server);
    /// server.shutdown(NOW);
    /// let told = events(&mut server);
    /// assert!(told.iter().any(|event| matches!(event, Event::Disconnect { reason: DisconnectReason::ServerShuttingDown, .. })));
    /// # }
    /// ```
    pub fn shutdown(&mut self, now: Instant) {
        let keys: Vec<ConnKey> = self.connections.keys().collect();
        for key in keys {
            self.verb(now, key, |connection| connection.shutdown(now));
        }
    }

    /// Ends a connection now, for a driver that cannot wait any longer: see [`Connection::abort`](crate::server::Connection::abort).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, _socket) = Client::joined(&mut server);
    /// server.abort(NOW, client.key);
    /// assert!(matches!(events(&mut server).last(), Some(Event::Close { .. })));
    /// assert_eq!(server.stats().connections, 0);
    /// # }
    /// ```
    pub fn abort(&mut self, now: Instant, key: ConnKey) {
        self.verb(now, key, |connection| connection.abort(now));
    }
}
