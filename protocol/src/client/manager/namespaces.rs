//! Connecting and disconnecting namespaces.

use alloc::{borrow::ToOwned, boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use serde::de::IgnoredAny;

use super::{Life, Manager, timers};
use crate::{
    Instant, Text,
    ack::AckOutcome,
    client::{
        error::{Error, ProvideError},
        event::{AuthRequest, DisconnectReason, Event, SocketId},
        socket::{Recovery, Socket, SocketOptions, Stage},
    },
    socket::{Head, Packet, PacketType, Payload, PayloadKind, WrongPayload},
};

impl Manager {
    /// Adds a namespace, which is not connected yet, or finds it if it was added before (its options stay as they are
    /// then). A missing `/` in front of the name is added.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, _) = client(|_| {});
    /// let chat = client.add_socket("chat", SocketOptions::default());
    /// assert_eq!(client.namespace(chat).unwrap(), "/chat");
    /// assert_eq!(client.add_socket("/chat", SocketOptions::default()), chat);
    /// # }
    /// ```
    pub fn add_socket(&mut self, namespace: &str, options: SocketOptions) -> SocketId {
        let name = Text::of_namespace(namespace);
        if let Some(id) = self.socket(&name) {
            return id;
        }
        let id = SocketId(self.next_socket);
        self.next_socket = self.next_socket.saturating_add(1);
        let mut socket = Socket::new(id, name, options);
        let ghost = self.ghosts.iter().position(|ghost| ghost.namespace == socket.namespace);
        if let Some(ghost) = ghost.and_then(|ghost| self.ghosts.remove(ghost)) {
            socket.stale = true;
            socket.stage = ghost.given_up.map_or(Stage::Out, |due| Stage::GivenUp { due });
        }
        self.sockets.push(socket);
        id
    }

    /// Connects a namespace: at once if there is a connection, else when there is one, which is opened if none is on its
    /// way. [`Event::Connect`] or [`Event::ConnectError`] follows. Does nothing if it is connected; a wait for the next
    /// [question as whom](Self::provide_auth) ends.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, _, get) = connected();
    /// let chat = client.add_socket("/chat", SocketOptions::default());
    /// client.connect(NOW, chat);
    /// outputs(&mut client); // `40/chat,` is posted.
    /// let told = events(says(&mut client, get, r#"40/chat,{"sid":"mine"}"#));
    /// assert!(matches!(&told[..], [Event::Connect { socket, .. }] if *socket == chat));
    /// # }
    /// ```
    pub fn connect(&mut self, now: Instant, socket: SocketId) {
        self.verb(now);
        let Some(index) = self.index(socket) else { return };
        let (turn, due) = (self.take_serial(), self.answer_due());
        if let Some(socket) = self.sockets.get_mut(index).filter(|socket| !socket.active) {
            if let Stage::GivenUp { due: given_up } = &mut socket.stage {
                // Nobody has waited for the answer meanwhile.
                *given_up = due;
            }
            (socket.active, socket.rest.turn) = (true, turn);
        }
        if let Some(socket) = self.sockets.get_mut(index)
            && let Stage::Waiting { .. } = socket.stage
        {
            socket.stage = Stage::Out;
        }
        match self.life {
            Life::Closed => self.open(now),
            Life::Open => self.ask_auth(index),
            Life::Preparing { .. } | Life::Opening { .. } | Life::Waiting { .. } => {}
        }
    }

    /// Leaves a namespace. If it was connected, [`Event::Disconnect`] says so, with the reason `io client disconnect`. It
    /// is not connected again before [`connect`](Self::connect); events that wait to be sent wait on. If no other
    /// namespace is active, the connection is closed too, or the attempt or the wait for one ends.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// client.disconnect(NOW, socket);
    /// assert!(!client.is_active(socket) && client.is_closed());
    /// # }
    /// ```
    pub fn disconnect(&mut self, now: Instant, socket: SocketId) {
        self.verb(now);
        let Some(index) = self.index(socket) else { return };
        self.leave(index);
    }

    /// Forgets a namespace: [disconnects](Self::disconnect) it, and ends the acknowledgements of the events that still
    /// wait to be sent; those are dropped.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.remove(NOW, socket);
    /// assert_eq!(client.sockets().count(), 0);
    /// assert_eq!(client.emit(NOW, socket, &event("hello", "world"), Flags::default()), Err(EmitError::Gone));
    /// # }
    /// ```
    pub fn remove(&mut self, now: Instant, socket: SocketId) {
        self.verb(now);
        let Some(index) = self.index(socket) else { return };
        self.leave(index);
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let id = socket.id;
        let mut ended = socket.acks.take_all();
        ended.extend(
            socket
                .change_kept(|kept| kept.queue.take_all())
                .into_iter()
                .filter(|event| event.wanted)
                .map(|event| event.id),
        );
        ended.sort_unstable();
        let (namespace, stale) = (socket.namespace.clone(), socket.stale);
        let given_up = match socket.stage {
            Stage::GivenUp { due } => Some(due),
            _ => None,
        };
        self.sockets.remove(index);
        if self.life == Life::Open && (stale || given_up.is_some()) {
            self.remember(Ghost { namespace, given_up });
        }
        for ack in ended {
            self.push_ack(id, ack, AckOutcome::Disconnected);
        }
    }

    /// Answers [`Event::NeedAuth`]: with what the server gets as `auth`, an object ([`Payload::data`]) or nothing; or with
    /// why there is nothing, which becomes the [`ConnectError`](Event::ConnectError).
    ///
    /// That is an attempt that has failed: the question comes again, after the same delays as between attempts to connect
    /// ([`Config::reconnection_delay`](crate::client::Config::reconnection_delay)), and as often as
    /// [`reconnection_attempts`](crate::client::Config::reconnection_attempts) says. The connection stays, and other
    /// namespaces on it do not wait. Without [`reconnection`](crate::client::Config::reconnection), and when the attempts
    /// are used up, the socket is not active any more. [`disconnect`](Self::disconnect) is for a failure that is final, and
    /// [`connect`](Self::connect) for who does not want to wait. (JavaScript has no way to say that `auth` has failed.)
    ///
    /// The private id and the offset of a session that may be recovered are added, unless the object has keys of these
    /// names.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.connect(NOW, socket);
    /// let get = request(&outputs(&mut client), "GET");
    /// client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
    /// let mut sent = Vec::new();
    /// while let Some(output) = client.poll_output() {
    ///     match output {
    ///         Output::Event(Event::NeedAuth(question)) => {
    ///             let auth = Payload::data(&std::collections::BTreeMap::from([("token", "abc")])).unwrap();
    ///             client.provide_auth(NOW, &question, Ok(Some(&auth))).unwrap();
    ///         }
    ///         Output::Request { request, .. } => sent.push(request.body),
    ///         _ => {}
    ///     }
    /// }
    /// assert!(sent.contains(&Bytes::from(r#"40{"token":"abc"}"#)));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProvideError`] if nobody waits for the answer any more, or it is no object; the question still stands then.
    pub fn provide_auth(
        &mut self,
        now: Instant,
        request: &AuthRequest,
        auth: Result<Option<&Payload>, Text>,
    ) -> Result<(), ProvideError> {
        self.verb(now);
        let index = self.index(request.socket).ok_or(ProvideError::Gone)?;
        let socket = self.sockets.get_mut(index).ok_or(ProvideError::Gone)?;
        if socket.stage != (Stage::Asking { serial: request.serial }) {
            return Err(ProvideError::Gone);
        }
        let auth = match auth {
            Ok(auth) => auth,
            Err(reason) => {
                self.fail_auth(index, Error::Provider(reason));
                return Ok(());
            }
        };
        let payload = connect_payload(auth, socket.recovery())?;
        let due = self.answer_due();
        let serial = self.take_serial();
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.stage = Stage::Sent { due };
            socket.session = serial;
        }
        self.send(index, PacketType::Connect, None, payload.as_ref());
        Ok(())
    }

    /// Asks as whom to connect, if that is the next thing to do.
    pub(super) fn ask_auth(&mut self, index: usize) {
        let serial = self.take_serial();
        let Some(socket) = self.sockets.get_mut(index) else { return };
        if socket.stage != Stage::Out {
            return;
        }
        socket.stage = Stage::Asking { serial };
        let (namespace, last_error) = (socket.namespace.clone(), socket.rest.last_error.as_deref().cloned());
        let request = AuthRequest { socket: socket.id, serial, namespace, last_error };
        self.push(Event::NeedAuth(request));
    }

    /// The application could not say as whom: it is asked again later, unless that was the last time.
    fn fail_auth(&mut self, index: usize, error: Error) {
        let limit = self.config.reconnection_attempts.filter(|limit| *limit > 0);
        let backoff = self.attempts.backoff;
        let Some(socket) = self.sockets.get_mut(index) else { return };
        socket.stage = Stage::Out;
        let failures = socket.rest.auth_failures;
        if !self.config.reconnection || limit.is_some_and(|limit| failures >= limit) {
            return self.give_up(index, error);
        }
        let waited = backoff.after(failures).next_delay(&mut self.attempts.rng);
        let due = timers::after(self.clock, waited);
        (socket.rest.auth_failures, socket.stage) = (failures.saturating_add(1), Stage::Waiting { due });
        let id = socket.id;
        self.refuse(id, error);
    }

    /// Asks those again who could not say as whom, once their time has come.
    pub(super) fn ask_again(&mut self, now: Instant) {
        let is_due = |socket: &Socket| matches!(socket.stage, Stage::Waiting { due } if due <= now);
        if !self.sockets.iter().any(is_due) {
            return;
        }
        for index in self.in_turn() {
            if let Some(socket) = self.sockets.get_mut(index).filter(|socket| is_due(socket)) {
                socket.stage = Stage::Out;
                self.ask_auth(index);
            }
        }
    }

    /// Until when the server has to answer a CONNECT that is asked for now.
    fn answer_due(&self) -> Instant {
        self.config.connect_timeout.map_or(timers::NEVER, |timeout| self.due(timeout))
    }

    /// The places of all sockets: those that are to be connected in the order in which the application wanted it.
    pub(super) fn in_turn(&self) -> Vec<usize> {
        let mut turns: Vec<_> =
            self.sockets.iter().enumerate().map(|(index, socket)| (socket.rest.turn, index)).collect();
        turns.sort_unstable();
        turns.into_iter().map(|(_, index)| index).collect()
    }

    /// Says that a socket could not be connected.
    pub(super) fn refuse(&mut self, id: SocketId, error: Error) {
        if let Some(socket) = self.index(id).and_then(|index| self.sockets.get_mut(index)) {
            socket.rest.last_error = Some(Box::new(error.clone()));
        }
        self.push(Event::ConnectError { socket: id, error });
    }

    /// A socket cannot be connected, and will not be by itself (behaviours, item 44).
    pub(super) fn give_up(&mut self, index: usize, error: Error) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        (socket.active, socket.rest.auth_failures) = (false, 0);
        let id = socket.id;
        self.refuse(id, error);
        self.close_if_unused();
    }

    /// The session of a socket is over with its connection.
    pub(super) fn end_session(&mut self, index: usize, reason: DisconnectReason, error: Option<&Error>) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let (id, active) = (socket.id, socket.active);
        if socket.lose() {
            socket.rest.last_error = Some(Box::new(Error::of_close(reason, error)));
            self.push(Event::Disconnect { socket: id, reason, error: error.cloned() });
            self.end_acks(index);
        } else if active {
            self.refuse(id, Error::of_close(reason, error));
        }
    }

    /// The server has made a socket leave.
    pub(super) fn on_server_disconnect(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        socket.active = false;
        socket.forget_session();
        self.end_session(index, DisconnectReason::ServerDisconnect, None);
        self.close_if_unused();
    }

    /// Ends the acknowledgements that a connection owed to a socket.
    fn end_acks(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let id = socket.id;
        let (acks, given_up) = socket.end_acks();
        if let Some(event) = given_up {
            self.push(Event::Discarded { socket: id, payload: event.payload });
        }
        for ack in acks {
            self.push_ack(id, ack, AckOutcome::Disconnected);
        }
    }

    /// Leaves a namespace, and the connection if it was the last.
    fn leave(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        if core::mem::take(&mut socket.active) && !socket.is_joined() {
            socket.rest.last_error = Some(Box::new(Error::Closed(DisconnectReason::ClientDisconnect)));
        }
        socket.forget_session();
        socket.rest.auth_failures = 0;
        match socket.stage {
            Stage::Joined => {
                self.send(index, PacketType::Disconnect, None, None);
                self.end_session(index, DisconnectReason::ClientDisconnect, None);
                if let Some(socket) = self.sockets.get_mut(index) {
                    socket.stale = true;
                }
            }
            Stage::Sent { due } => {
                socket.stage = Stage::GivenUp { due };
                socket.change_kept(|kept| kept.early.take());
            }
            Stage::Asking { .. } | Stage::Waiting { .. } => socket.stage = Stage::Out,
            Stage::Out | Stage::GivenUp { .. } => {}
        }
        self.close_if_unused();
    }

    /// Keeps what is to be known about a namespace that was removed, as long as the connection lives. Of too many the
    /// oldest is forgotten; one whose CONNECT waits for an answer only if all do.
    fn remember(&mut self, ghost: Ghost) {
        self.ghosts.push_back(ghost);
        if self.ghosts.len() > self.config.limits.left_namespaces {
            let oldest = self.ghosts.iter().position(|ghost| ghost.given_up.is_none()).unwrap_or_default();
            self.ghosts.remove(oldest);
        }
    }

    /// A packet of a namespace that no socket is of.
    pub(super) fn on_ghost(&mut self, packet: &Packet) {
        let Some(index) = self.ghosts.iter().position(|ghost| ghost.namespace == *packet.namespace()) else { return };
        let Some(ghost) = self.ghosts.get_mut(index).filter(|ghost| ghost.given_up.is_some()) else { return };
        match packet {
            Packet::Connect { .. } => {
                ghost.given_up = None;
                if let Some(link) = &mut self.link {
                    link.engine.push_packet(&Head::new(PacketType::Disconnect, 0, &ghost.namespace, None), None);
                }
            }
            Packet::ConnectError { .. } => {
                self.ghosts.remove(index);
            }
            Packet::Disconnect { .. } | Packet::Event { .. } | Packet::Ack { .. } => {}
        }
    }

    /// Closes the connection if no namespace needs it any more (behaviours, item 40).
    pub(super) fn close_if_unused(&mut self) {
        if self.life != Life::Closed && !self.sockets.iter().any(|socket| socket.active) {
            self.end(DisconnectReason::ForcedClose, None);
        }
    }

    pub(super) fn push_ack(&mut self, socket: SocketId, id: u64, outcome: AckOutcome) {
        self.push(Event::Ack { socket, id: crate::ack::AckId(id), outcome });
    }
}

/// A namespace that was removed while the connection lives: the server may not know yet.
#[derive(Debug)]
pub(super) struct Ghost {
    namespace: Text,
    /// Set if its CONNECT waits for an answer.
    given_up: Option<Instant>,
}

/// What CONNECT carries: what the application gave, and what recovery needs.
fn connect_payload(auth: Option<&Payload>, recovery: &Recovery) -> Result<Option<Payload>, ProvideError> {
    let given = match auth {
        None => None,
        Some(auth) => {
            WrongPayload::check(PayloadKind::Data, auth)?;
            let json = core::str::from_utf8(auth.json()).unwrap_or_default();
            let keys: BTreeMap<String, IgnoredAny> =
                serde_json::from_str(json).map_err(|_| ProvideError::NotAnObject)?;
            let members = json.trim().strip_prefix('{').and_then(|json| json.strip_suffix('}'));
            Some((keys, members.unwrap_or_default().trim().to_owned()))
        }
    };
    let Some(pid) = &recovery.pid else { return Ok(auth.cloned()) };
    let (keys, members) = given.unwrap_or_default();
    let mut json = String::from("{");
    for (key, value) in [("pid", Some(pid)), ("offset", recovery.offset())] {
        // The application's own win, as in JavaScript.
        if let Some(value) = value.filter(|_| !keys.contains_key(key))
            && let Ok(value) = serde_json::to_string(&**value)
        {
            let comma = if json.len() > 1 { "," } else { "" };
            json.push_str(&[comma, "\"", key, "\":", &value].concat());
        }
    }
    if json.len() > 1 && !members.is_empty() {
        json.push(',');
    }
    json.push_str(&members);
    json.push('}');
    Ok(Some(Payload::from_json(json.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_joins_what_the_application_gives_and_its_keys_win() {
        let recovery = |pid: Option<&'static str>, offset: Option<&'static str>| {
            let mut recovery = Recovery::default();
            recovery.on_connect(pid.map(Text::from_static), offset.map(Text::from_static));
            recovery
        };
        let payload = |json: &'static str| Payload::from_json(Text::from_static(json));
        for (auth, pid, offset, expected) in [
            (None, None, None, None),
            (None, Some("p"), None, Some(r#"{"pid":"p"}"#)),
            (None, Some("p"), Some("o"), Some(r#"{"pid":"p","offset":"o"}"#)),
            (Some(r#"{"a":1}"#), None, None, Some(r#"{"a":1}"#)),
            (Some("{}"), Some("p\""), Some("o"), Some(r#"{"pid":"p\"","offset":"o"}"#)),
            (Some(r#" { "a":1 } "#), Some("p"), Some("o"), Some(r#"{"pid":"p","offset":"o","a":1}"#)),
            (Some(r#"{"offset":null}"#), Some("p"), Some("o"), Some(r#"{"pid":"p","offset":null}"#)),
            (Some(r#"{"pid":1,"offset":2}"#), Some("p"), Some("o"), Some(r#"{"pid":1,"offset":2}"#)),
        ] {
            let found = connect_payload(auth.map(payload).as_ref(), &recovery(pid, offset)).unwrap();
            let found = found.as_ref().map(|payload| core::str::from_utf8(payload.json()).unwrap());
            assert_eq!(found, expected, "{auth:?}");
        }
        for json in ["[]", "1", "null", "\"pid\""] {
            let found = connect_payload(Some(&payload(json)), &recovery(Some("p"), None));
            assert_eq!(found, Err(ProvideError::NotAnObject), "{json}");
        }
    }
}
