//! What of a hub is about sessions that come back, and how sockets begin and end with them.

use alloc::{boxed::Box, string::ToString, vec::Vec};

use super::{Found, Hub, HubEvent, HubOutput, Session, ToConnection};
use crate::{
    Instant, Text,
    encoded::Encoded,
    key::{ConnKey, NspId, Sid, SocketKey},
    server::{
        connection::Connection,
        error::EmitError,
        event::RoomOp,
        recovery::{Accepted, Claim, Place, Waiting},
    },
    socket::{PayloadKind, PayloadRef, WrongPayload},
};

impl Hub {
    /// Sends an event to one socket, as [`Connection::emit`] does, which this calls. With
    /// [`Config::recovery`](crate::Config::recovery) the event gets its offset and its place in the log, so that it is not
    /// lost with a link; what a connection sends by itself gets neither.
    ///
    /// The order of offsets must be that in which a client gets events. So `connection` must have taken everything that
    /// this hub has had for it ([`Connection::handle_hub_event`]); what it has for the hub is taken here first.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (mut client, socket, _) = Peer::joined(&mut hub);
    /// hub.emit(NOW, &mut client.connection, socket, &event("news", "one"), &mut |_, _| {}).unwrap();
    /// // The offset comes last.
    /// assert!(client.poll(&mut hub).starts_with(r#"42["news","one",""#));
    /// assert_eq!(hub.stats().logged_packets, 1);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Connection::emit`]. What was not sent is not in the log either.
    pub fn emit<'p>(
        &mut self,
        now: Instant,
        connection: &mut Connection,
        socket: SocketKey,
        event: impl Into<PayloadRef<'p>>,
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) -> Result<(), EmitError> {
        if self.config.recovery.is_none() {
            return connection.emit(now, socket, event);
        }
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        while let Some(said) = connection.poll_hub_event() {
            let mut answers = Vec::new();
            self.handle_event(now, connection.key(), said, &mut |to, answer| {
                if to == connection.key() { answers.push(answer) } else { out(to, answer) }
            });
            answers.into_iter().for_each(|answer| connection.handle_hub_event(now, answer));
        }
        let namespace = self.namespaces.get_mut(socket.nsp.0 as usize).ok_or(EmitError::NotConnected)?;
        let entry = namespace.get(socket).filter(|entry| entry.accepted).ok_or(EmitError::NotConnected)?;
        let sid = entry.sid;
        let store = namespace.recovery.as_mut().ok_or(EmitError::NotConnected)?;
        let packet = Encoded::event_at(&namespace.name, event, &store.next_offset().to_string());
        if connection.send_encoded(now, socket, &packet)? {
            store.record_one(now, socket, sid, packet);
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all: only with
    /// [`Config::recovery`](crate::Config::recovery).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (client, _, _) = Peer::joined(&mut hub);
    /// assert_eq!(hub.poll_timeout(), None);
    /// client.go(&mut hub);
    /// // Two minutes, in which it may come back.
    /// assert!(hub.poll_timeout().unwrap() > NOW + std::time::Duration::from_secs(120));
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.namespaces.iter().filter_map(|namespace| namespace.recovery.as_ref()?.deadline()).min()
    }

    /// A tick: sessions and events that were kept for too long are forgotten. One that comes early does nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (client, _, _) = Peer::joined(&mut hub);
    /// client.go(&mut hub);
    /// assert_eq!(hub.stats().lost_sessions, 1);
    /// let deadline = hub.poll_timeout().unwrap();
    /// hub.handle_timeout(deadline);
    /// assert_eq!((hub.stats().lost_sessions, hub.poll_timeout()), (0, None));
    /// # }
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        for namespace in &mut self.namespaces {
            let (id, outputs) = (namespace.id, &mut self.outputs);
            if let Some(store) = &mut namespace.recovery {
                store.expire(now, |sid| outputs.push_back(HubOutput::Forgotten { namespace: id, sid }));
            }
        }
    }

    /// Forgets all sessions that wait for their clients: nobody will come back to a server that has ended.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (client, _, _) = Peer::joined(&mut hub);
    /// client.go(&mut hub);
    /// hub.forget_sessions();
    /// assert_eq!((hub.stats().lost_sessions, hub.poll_timeout()), (0, None));
    /// assert!(matches!(hub.poll_output(), Some(HubOutput::Forgotten { .. })));
    /// # }
    /// ```
    pub fn forget_sessions(&mut self) {
        for namespace in &mut self.namespaces {
            let (id, outputs) = (namespace.id, &mut self.outputs);
            if let Some(store) = &mut namespace.recovery {
                store.clear(|sid| outputs.push_back(HubOutput::Forgotten { namespace: id, sid }));
            }
        }
    }

    /// A client asks for a namespace.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        from: ConnKey,
        name: Text,
        claim: Option<Box<Claim>>,
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) {
        let Some(id) = self.names.get(&name).copied() else {
            return out(from, HubEvent(ToConnection::Unknown { namespace: name }));
        };
        match claim {
            Some(claim) => self.on_claim(now, from, id, *claim, out),
            None => self.begin(from, id, out),
        }
    }

    /// A client asks for a session.
    fn on_claim(
        &mut self,
        now: Instant,
        from: ConnKey,
        id: NspId,
        claim: Claim,
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) {
        let Some(namespace) = self.namespaces.get_mut(id.0 as usize) else { return };
        let Some(store) = &mut namespace.recovery else { return self.begin(from, id, out) };
        match store.place(claim.pid) {
            Place::Unknown => self.begin(from, id, out),
            Place::Taken(old) => {
                // Its link is lost, whether or not this side has noticed. The session is free once all is said about it.
                let before = store.wait(old, Waiting { connection: from, claim });
                match (before, namespace.get(old).map(|entry| entry.conn)) {
                    (Some(before), _) => self.begin(before.connection, id, out),
                    (None, Some(conn)) => out(conn, HubEvent(ToConnection::Retire { socket: old })),
                    (None, None) => self.retired(now, old, out),
                }
            }
            Place::Free => match store.check(now, &claim, &self.config.limits) {
                Ok(sid) => self.resume(from, id, sid, &claim, out),
                Err(forgotten) => {
                    self.forgotten(id, forgotten);
                    self.begin(from, id, out);
                }
            },
        }
    }

    /// A socket with a new session, if sessions there are.
    fn begin(&mut self, from: ConnKey, id: NspId, out: &mut impl FnMut(ConnKey, HubEvent)) {
        let Some(namespace) = self.namespaces.get_mut(id.0 as usize) else { return };
        // A public id of its own per namespace: who knows it cannot take over the session (behaviours, item 34).
        let sid = Sid::generate(&mut self.rng);
        let socket = namespace.insert(from, sid);
        let session = namespace.recovery.as_mut().map(|store| {
            // Nor can they go on with it: that takes another one, which only the client has.
            let pid = Sid::generate(&mut self.rng);
            store.begin(socket, pid);
            Session { pid, offset: store.offset(), is_recovered: false }
        });
        let found = Found { namespace: namespace.name.clone(), socket, sid, session };
        out(from, HubEvent(ToConnection::Found(Box::new(found))));
    }

    /// A socket that goes on with a session.
    fn resume(&mut self, from: ConnKey, id: NspId, sid: Sid, claim: &Claim, out: &mut impl FnMut(ConnKey, HubEvent)) {
        let Some(namespace) = self.namespaces.get_mut(id.0 as usize) else { return };
        let socket = namespace.insert(from, sid);
        let Some(store) = &mut namespace.recovery else { return };
        let rooms = store.claim(claim, socket);
        let session = Some(Session { pid: claim.pid, offset: store.offset(), is_recovered: true });
        let found = Found { namespace: namespace.name.clone(), socket, sid, session };
        for room in rooms {
            let joined = namespace
                .with_rooms(socket)
                .and_then(|(entry, rooms)| rooms.join(socket.index, &mut entry.joined, &room));
            if let Some((room, created)) = joined
                && self.config.room_events
            {
                if created {
                    self.outputs.push_back(HubOutput::Room(RoomOp::Create { namespace: id, room: room.clone() }));
                }
                self.outputs.push_back(HubOutput::Room(RoomOp::Join { socket, room }));
            }
        }
        out(from, HubEvent(ToConnection::Found(Box::new(found))));
    }

    /// The application accepted a socket.
    pub(super) fn accept(&mut self, from: ConnKey, socket: SocketKey, out: &mut impl FnMut(ConnKey, HubEvent)) {
        let Some(namespace) = self.namespaces.get_mut(socket.nsp.0 as usize) else { return };
        let Some(entry) = namespace.get(socket).filter(|entry| !entry.accepted) else { return };
        let sid = entry.sid;
        namespace.accept(socket);
        match namespace.recovery.as_mut().map_or(Accepted::New, |store| store.accept(socket)) {
            Accepted::New => {}
            Accepted::Recovered(missed, offset) => {
                out(from, HubEvent(ToConnection::Resume { socket, missed: missed.into(), offset }));
            }
            Accepted::TooLate => {
                self.forgotten(socket.nsp, Some(sid));
                out(from, HubEvent(ToConnection::Retire { socket }));
            }
        }
    }

    /// A socket is gone.
    pub(super) fn remove(&mut self, now: Instant, socket: SocketKey, keep: bool) {
        if let Some(namespace) = self.namespaces.get_mut(socket.nsp.0 as usize)
            && let Some(sid) = namespace.get(socket).map(|entry| entry.sid)
            && let Some(store) = &mut namespace.recovery
        {
            // With the rooms that it is in now.
            let forgotten = store.leave(now, socket, sid, keep);
            self.forgotten(socket.nsp, forgotten);
        }
        while let Some(left) = self.leave_last(socket) {
            self.report_leave(socket, Some(left));
        }
        if let Some(namespace) = self.namespaces.get_mut(socket.nsp.0 as usize) {
            namespace.remove(socket);
        }
    }

    /// All is said about a socket that was retired: who waits for its session may have it.
    pub(super) fn retired(&mut self, now: Instant, socket: SocketKey, out: &mut impl FnMut(ConnKey, HubEvent)) {
        let store = self.namespaces.get_mut(socket.nsp.0 as usize).and_then(|namespace| namespace.recovery.as_mut());
        if let Some(Waiting { connection, claim }) = store.and_then(|store| store.retired(socket)) {
            self.on_claim(now, connection, socket.nsp, claim, out);
        }
    }

    fn forgotten(&mut self, namespace: NspId, sid: Option<Sid>) {
        self.outputs.extend(sid.map(|sid| HubOutput::Forgotten { namespace, sid }));
    }
}
