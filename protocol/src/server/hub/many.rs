//! What of a hub is about many sockets at once.

use alloc::{string::ToString, vec::Vec};

use super::{Hub, HubEvent, HubOutput, ToConnection};
use crate::{
    Instant,
    encoded::Encoded,
    key::{ConnKey, SocketKey},
    server::{event::SelectionId, namespace::Target, recovery::Audience},
    socket::{PayloadKind, PayloadRef, WrongPayload},
};

impl Hub {
    /// The sockets that a target names.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// let [(_one, first, _), (_two, second, _)] = [Peer::joined(&mut hub), Peer::joined(&mut hub)];
    /// let everybody = Target::all(hub.namespace("/").unwrap());
    /// assert_eq!(hub.select(&everybody), [first, second]);
    /// hub.join(second, "news")?;
    /// assert_eq!(hub.select(&Target { rooms: &[Room::Named("news")], ..everybody }), [second]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn select(&mut self, target: &Target<'_>) -> Vec<SocketKey> {
        let mut sockets = Vec::new();
        if let Some(namespace) = self.namespaces.get_mut(target.namespace.0 as usize) {
            namespace.select(target, |socket, _| sockets.push(socket));
        }
        sockets
    }

    /// Sends an event to every socket of the target, encoded once. Returns the number of recipients. With
    /// [`Config::recovery`](crate::Config::recovery), those that have lost their link get it when they come back.
    ///
    /// `event` is what [`Payload::event`](crate::socket::Payload::event) gave: user code (`Serialize`) ran before, outside of any lock.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let (mut peer, _socket, _) = Peer::joined(&mut hub);
    /// let everybody = Target::all(hub.namespace("/").unwrap());
    /// let connection = &mut peer.connection;
    /// let count = hub.broadcast(NOW, &everybody, &event("news", "rain"), &mut |to, event| {
    ///     assert_eq!(to, connection.key());
    ///     connection.handle_hub_event(NOW, event);
    /// })?;
    /// assert_eq!(count, 1);
    /// assert!(peer.poll(&mut hub).starts_with(r#"42["news","rain""#));
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
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) -> Result<usize, WrongPayload> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        if self.is_empty(target) {
            return Ok(0);
        }
        let Some(namespace) = self.namespaces.get_mut(target.namespace.0 as usize) else { return Ok(0) };
        let mut store = namespace.recovery.take();
        let packet = match &mut store {
            None => Encoded::event(&namespace.name, None, event),
            Some(store) => {
                let packet = Encoded::event_at(&namespace.name, event, &store.next_offset().to_string());
                store.record(now, Audience::of(target), packet.clone());
                packet
            }
        };
        let mut recipients = 0_usize;
        namespace.select(target, |socket, conn| {
            recipients = recipients.saturating_add(1);
            if let Some(store) = &mut store {
                store.mark(socket);
            }
            out(conn, HubEvent(ToConnection::Deliver { socket, packet: packet.clone() }));
        });
        namespace.recovery = store;
        Ok(recipients)
    }

    /// Whether a target names no socket for certain, so that an event for it need not be encoded. May say `false` of
    /// an empty one, and does so while sockets may come back ([`Config::recovery`](crate::Config::recovery)).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let hub = hub();
    /// assert!(hub.is_empty(&Target::all(hub.namespace("/").unwrap())));
    /// # }
    /// ```
    pub fn is_empty(&self, target: &Target<'_>) -> bool {
        self.namespaces.get(target.namespace.0 as usize).is_none_or(|namespace| {
            namespace.is_empty(target) && !namespace.recovery.as_ref().is_some_and(|store| store.awaits())
        })
    }

    /// Makes every socket of the target join the rooms. The answer is [`HubOutput::Selection`]. A socket that is in
    /// too many rooms already ([`crate::Limits::rooms_per_socket`]) is not counted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// # let (_peer, socket, _) = Peer::joined(&mut hub);
    /// let everybody = Target::all(hub.namespace("/").unwrap());
    /// let id = hub.sockets_join(&everybody, &["news", "sports"]);
    /// assert_eq!(hub.poll_output(), Some(HubOutput::Selection { id, sockets: 1 }));
    /// assert_eq!(hub.rooms(socket).count(), 2);
    /// # }
    /// ```
    pub fn sockets_join(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        let mut reached = 0_usize;
        for socket in self.select(target) {
            let joined = rooms.iter().filter(|room| self.join(socket, room).is_ok()).count();
            reached = reached.saturating_add(usize::from(joined == rooms.len()));
        }
        self.answer(reached)
    }

    /// Makes every socket of the target leave the rooms. The answer is [`HubOutput::Selection`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let (_peer, socket, _) = Peer::joined(&mut hub);
    /// hub.join(socket, "news")?;
    /// let everybody = Target::all(hub.namespace("/").unwrap());
    /// let id = hub.sockets_leave(&everybody, &["news"]);
    /// assert_eq!(hub.poll_output(), Some(HubOutput::Selection { id, sockets: 1 }));
    /// assert_eq!(hub.rooms(socket).count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sockets_leave(&mut self, target: &Target<'_>, rooms: &[&str]) -> SelectionId {
        let sockets = self.select(target);
        for socket in &sockets {
            for room in rooms {
                self.leave(*socket, room);
            }
        }
        self.answer(sockets.len())
    }

    /// Disconnects every socket of the target, with its whole connection if `close`. The answer is
    /// [`HubOutput::Selection`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// # let (mut peer, _socket, _) = Peer::joined(&mut hub);
    /// let everybody = Target::all(hub.namespace("/").unwrap());
    /// let connection = &mut peer.connection;
    /// let id = hub.disconnect_sockets(&everybody, false, &mut |_, event| connection.handle_hub_event(NOW, event));
    /// assert_eq!(hub.poll_output(), Some(HubOutput::Selection { id, sockets: 1 }));
    /// assert_eq!(peer.poll(&mut hub), "41");
    /// # }
    /// ```
    pub fn disconnect_sockets(
        &mut self,
        target: &Target<'_>,
        close: bool,
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) -> SelectionId {
        let namespace = self.namespaces.get_mut(target.namespace.0 as usize);
        let sockets = namespace.map(|namespace| namespace.selected(target)).unwrap_or_default();
        for (socket, conn) in &sockets {
            out(*conn, HubEvent(ToConnection::Disconnect { socket: *socket, close }));
        }
        self.answer(sockets.len())
    }

    fn answer(&mut self, sockets: usize) -> SelectionId {
        let id = SelectionId(self.selections);
        self.selections = self.selections.wrapping_add(1);
        self.outputs.push_back(HubOutput::Selection { id, sockets });
        id
    }
}
