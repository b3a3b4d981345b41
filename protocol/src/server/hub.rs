//! The part that connections share: session ids, namespaces, rooms and broadcasts.

mod many;
mod resume;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use slab::Slab;

use super::{
    connection::Connection,
    error::JoinError,
    event::{RoomOp, SelectionId},
    namespace::Namespace,
    recovery::{Claim, Offset, Store},
    stats::Stats,
};
use crate::{
    Config, Instant, Seed, Text,
    encoded::Encoded,
    engine::{self, Routed},
    fifo::take_first,
    hash::{FastMap, Keyed, KeyedMap},
    http::{Request, Response},
    key::{ConnKey, NspId, Sid, SocketKey},
    rng::Rng,
};

/// What connections have in common: which session ids exist, which namespaces, who is in which room.
///
/// A driver with one task per connection keeps the hub behind a lock and the [`Connection`]s in their tasks; the two
/// exchange [`ConnectionEvent`]s and [`HubEvent`]s, which a driver can only forward. [`super::Server`] is that driver
/// for a single thread.
///
/// The methods, by kind:
/// - **Getters**: [`namespace`](Self::namespace), [`rooms`](Self::rooms), [`find`](Self::find), [`stats`](Self::stats), …
/// - **Inputs**: [`route`](Self::route) then [`open`](Self::open) for a new connection;
///   [`handle_event`](Self::handle_event) for what a connection says; with [`Config::recovery`],
///   [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says.
/// - **Verbs**: [`join`](Self::join), [`leave`](Self::leave), [`broadcast`](Self::broadcast), [`emit`](Self::emit) in place
///   of [`Connection::emit`] with [`Config::recovery`], [`forget_sessions`](Self::forget_sessions), and the requests on
///   selections, [`sockets_join`](Self::sockets_join), [`sockets_leave`](Self::sockets_leave),
///   [`disconnect_sockets`](Self::disconnect_sockets).
/// - **Outputs**: [`poll_output`](Self::poll_output), after each verb and each event, or they pile up: a driver that
///   wants no room operations switches [`Config::room_events`] off.
///
/// A connection tells the hub of an accepted socket when its events are forwarded: do so before anything that shall
/// reach the socket.
///
/// Ordering: room operations and broadcasts are totally ordered. Events for connections are handed out (`out`) while
/// the hub is borrowed, so that no two broadcasts can overtake each other on the way to one recipient.
#[derive(Debug)]
pub struct Hub {
    config: Arc<Config>,
    rng: Rng,
    connections: Slab<Entry>,
    generation: u32,
    /// Sids are random and ours; peers only look them up.
    sids: FastMap<Sid, ConnKey>,
    namespaces: Vec<Namespace>,
    /// Names are looked up by what peers say: keyed.
    names: KeyedMap<Text, NspId>,
    selections: u64,
    outputs: VecDeque<HubOutput>,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    sid: Sid,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a connection that exists.
    Existing(ConnKey),
    /// To a new connection: see [`Hub::open`].
    Open,
    /// Nowhere: this is the answer.
    Response(Response),
    /// Its path is not ours.
    NotFound,
}

/// Something that a connection has to tell the hub. To be forwarded to [`Hub::handle_event`], in order.
#[derive(Debug)]
#[must_use = "an event that is not forwarded strands a socket"]
pub struct ConnectionEvent(pub(super) ToHub);

#[derive(Debug)]
pub(super) enum ToHub {
    /// A client wants to join a namespace, perhaps to go on with a session.
    Lookup { namespace: Text, claim: Option<Box<Claim>> },
    /// The application accepted a socket.
    Accept(SocketKey),
    /// A socket is gone, or was refused.
    Leave {
        socket: SocketKey,
        /// Its session waits for the client to come back.
        keep: bool,
    },
    /// Everything was said about a socket that the hub wanted to be retired.
    Retired(SocketKey),
    /// Nothing is left of the connection: its session id is unknown from here on, and its key can be used again.
    Drain,
}

/// Something that the hub has to tell a connection. To be forwarded to [`Connection::handle_hub_event`], in order.
#[derive(Clone, Debug)]
#[must_use = "an event that is not forwarded strands a socket"]
pub struct HubEvent(pub(super) ToConnection);

#[derive(Clone, Debug)]
pub(super) enum ToConnection {
    /// There is such a namespace; the socket waits for the application's decision.
    Found(Box<Found>),
    /// There is no such namespace.
    Unknown { namespace: Text },
    /// A broadcast.
    Deliver { socket: SocketKey, packet: Encoded },
    /// The socket shall be disconnected, with its whole connection if `close`.
    Disconnect { socket: SocketKey, close: bool },
    /// The client has come back on another connection, or this one cannot go on: it is to be closed.
    Retire { socket: SocketKey },
    /// A recovered socket is connected, when it has got what it missed.
    Resume { socket: SocketKey, missed: Box<[Encoded]>, offset: Offset },
}

#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) namespace: Text,
    pub(super) socket: SocketKey,
    pub(super) sid: Sid,
    pub(super) session: Option<Session>,
}

/// With [`Config::recovery`]: what the client needs to come back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    /// A secret, other than the socket's id.
    pub(crate) pid: Sid,
    pub(crate) offset: Offset,
    pub(crate) is_recovered: bool,
}

/// What the hub has to tell the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubOutput {
    /// A room operation. Only with [`Config::room_events`].
    Room(RoomOp),
    /// A request on a selection was carried out on that many sockets.
    Selection {
        /// What the request returned.
        id: SelectionId,
        /// The number of sockets that it reached.
        sockets: usize,
    },
    /// A session has ended for good: what the application keeps for it can go. Only with [`Config::recovery`]; comes once
    /// for each socket that was accepted and not recovered, when that is gone and cannot come back any more.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (client, socket, _) = Peer::joined(&mut hub);
    /// let (namespace, sid) = (socket.namespace(), hub.sid(socket).unwrap());
    /// client.go(&mut hub);
    /// assert_eq!(hub.poll_output(), None);
    /// let deadline = hub.poll_timeout().unwrap();
    /// hub.handle_timeout(deadline);
    /// assert_eq!(hub.poll_output(), Some(HubOutput::Forgotten { namespace, sid }));
    /// # }
    /// ```
    Forgotten {
        /// The namespace.
        namespace: NspId,
        /// The socket's id.
        sid: Sid,
    },
}

impl Hub {
    /// A hub with the namespace `/` alone.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let hub = Hub::new(Config::default(), &Seed::for_tests(1));
    /// assert_eq!(hub.namespaces().count(), 1);
    /// # }
    /// ```
    pub fn new(config: impl Into<Arc<Config>>, seed: &Seed) -> Self {
        let mut rng = Rng::new(seed);
        let names = KeyedMap::with_hasher(Keyed::new(&mut rng));
        let mut hub = Self {
            config: config.into(),
            rng,
            connections: Slab::new(),
            generation: 0,
            sids: FastMap::default(),
            namespaces: Vec::new(),
            names,
            selections: 0,
            outputs: VecDeque::new(),
        };
        hub.add_namespace("/");
        hub
    }

    /// The configuration.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// assert!(hub().config().recovery.is_some());
    /// # }
    /// ```
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Makes a namespace, or finds it if it exists. A missing `/` in front of the name is added, as in Socket.IO.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let admin = hub.add_namespace("admin");
    /// assert_eq!(hub.add_namespace("/admin"), admin);
    /// # }
    /// ```
    pub fn add_namespace(&mut self, name: &str) -> NspId {
        let name = Text::of_namespace(name);
        if let Some(id) = self.names.get(&name) {
            return *id;
        }
        let id = NspId(u32::try_from(self.namespaces.len()).unwrap_or(u32::MAX));
        let hasher = Keyed::new(&mut self.rng);
        let mut namespace = Namespace::new(id, name.clone(), hasher);
        if let Some(recovery) = &self.config.recovery {
            namespace.recovery = Some(Box::new(Store::new(recovery, &self.config, &mut self.rng)));
        }
        self.namespaces.push(namespace);
        self.names.insert(name, id);
        id
    }

    /// The namespace of that name, if there is one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let admin = hub.add_namespace("/admin");
    /// assert_eq!((hub.namespace("/admin"), hub.namespace("/other")), (Some(admin), None));
    /// # }
    /// ```
    pub fn namespace(&self, name: &str) -> Option<NspId> {
        self.names.get(name).copied()
    }

    /// All namespaces with their names, in the order of their ids.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// hub.add_namespace("/admin");
    /// assert_eq!(hub.namespaces().map(|(_, name)| &**name).collect::<Vec<_>>(), ["/", "/admin"]);
    /// # }
    /// ```
    pub fn namespaces(&self) -> impl Iterator<Item = (NspId, &Text)> {
        self.namespaces.iter().map(|namespace| (namespace.id, &namespace.name))
    }

    /// The name of a namespace.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let admin = hub.add_namespace("admin");
    /// assert_eq!(hub.namespace_name(admin).unwrap(), "/admin");
    /// # }
    /// ```
    pub fn namespace_name(&self, id: NspId) -> Option<&Text> {
        self.namespaces.get(id.0 as usize).map(|namespace| &namespace.name)
    }

    /// The socket with that id, if it is connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let (_peer, socket, _) = Peer::joined(&mut hub);
    /// let sid = hub.sid(socket).unwrap();
    /// assert_eq!(hub.find(hub.namespace("/").unwrap(), sid), Some(socket));
    /// # }
    /// ```
    pub fn find(&self, namespace: NspId, sid: Sid) -> Option<SocketKey> {
        self.namespaces.get(namespace.0 as usize)?.find(sid)
    }

    /// The connection that a socket belongs to.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let (peer, socket, _) = Peer::joined(&mut hub);
    /// assert_eq!(hub.connection(socket), Some(peer.connection.key()));
    /// # }
    /// ```
    pub fn connection(&self, socket: SocketKey) -> Option<ConnKey> {
        self.namespaces.get(socket.nsp.0 as usize)?.get(socket).map(|entry| entry.conn)
    }

    /// The id of a socket (`socket.id`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let (peer, socket, _) = Peer::joined(&mut hub);
    /// assert!(hub.sid(socket).is_some());
    /// peer.go(&mut hub);
    /// assert_eq!(hub.sid(socket), None);
    /// # }
    /// ```
    pub fn sid(&self, socket: SocketKey) -> Option<Sid> {
        self.namespaces.get(socket.nsp.0 as usize)?.get(socket).map(|entry| entry.sid)
    }

    /// The rooms that a socket is in, its own one not among them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let (_peer, socket, _) = Peer::joined(&mut hub);
    /// hub.join(socket, "news")?;
    /// assert_eq!(hub.rooms(socket).collect::<Vec<_>>(), ["news"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rooms(&self, socket: SocketKey) -> impl Iterator<Item = &Text> {
        let namespace = self.namespaces.get(socket.nsp.0 as usize);
        let found = namespace.and_then(|namespace| Some((namespace, namespace.get(socket)?)));
        found.into_iter().flat_map(|(namespace, entry)| namespace.rooms.names(&entry.joined))
    }

    /// Counts of what the hub holds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let (_peer, _socket, _) = Peer::joined(&mut hub);
    /// assert_eq!((hub.stats().connections, hub.stats().sockets), (1, 1));
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            connections: self.connections.len(),
            sids: self.sids.len(),
            namespaces: self.namespaces.len(),
            waiting: self.outputs.len(),
            ..Stats::default()
        };
        for namespace in &self.namespaces {
            let recovery = namespace.recovery.as_ref();
            let (lost_sessions, logged_packets, logged_bytes) = recovery.map(|store| store.sizes()).unwrap_or_default();
            stats += Stats {
                lost_sessions,
                logged_packets,
                logged_bytes,
                sockets: namespace.accepted(),
                pending_sockets: namespace.pending(),
                rooms: namespace.rooms.len(),
                memberships: namespace.rooms.memberships(),
                ..Stats::default()
            };
        }
        stats
    }

    /// Says where a request goes, by its head alone.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let hub = hub();
    /// let route = |target| hub.route(&Request { method: "GET", target, headers: &[], peer: None, secure: false });
    /// assert!(matches!(route("/elsewhere"), HubRoute::NotFound));
    /// assert!(matches!(route("/socket.io/?EIO=4&transport=polling"), HubRoute::Open));
    /// assert!(matches!(route("/socket.io/?EIO=4&transport=polling&sid=unknown"), HubRoute::Response(_)));
    /// # }
    /// ```
    pub fn route(&self, head: &Request<'_>) -> Route {
        match engine::route(&self.config, head, |sid| self.sids.get(&sid).copied()) {
            Routed::NotFound => Route::NotFound,
            Routed::Respond(response) => Route::Response(response),
            Routed::Open => Route::Open,
            Routed::Existing(key) => Route::Existing(key),
        }
    }

    /// Makes the connection that [`route`](Self::route) said [`Route::Open`] for. The request is to be given to it
    /// next ([`Connection::handle_request`]).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// let target = "/socket.io/?EIO=4&transport=polling";
    /// let head = Request { method: "GET", target, headers: &[], peer: None, secure: false };
    /// let mut connection = hub.open(NOW, &head);
    /// connection.handle_request(NOW, RequestId(1), &head, Body::EMPTY);
    /// let Some(ConnectionOutput::Respond { response, .. }) = connection.poll_output() else { panic!() };
    /// assert!(response.body.starts_with(b"0{\"sid\":"));
    /// # }
    /// ```
    pub fn open(&mut self, now: Instant, head: &Request<'_>) -> Connection {
        self.generation = self.generation.wrapping_add(1);
        let sid = Sid::generate(&mut self.rng);
        let index = self.connections.insert(Entry { generation: self.generation, sid });
        let key = ConnKey { index: u32::try_from(index).unwrap_or(u32::MAX), generation: self.generation };
        self.sids.insert(sid, key);
        Connection::new(now, Arc::clone(&self.config), key, sid, head)
    }

    /// Takes what a connection has to say; what there is to say to connections goes to `out`, at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let mut peer = Peer::new(&mut hub, "40");
    /// # let request = peer.asked.take().unwrap();
    /// # let connection = &mut peer.connection;
    /// connection.accept(NOW, request)?;
    /// while let Some(event) = connection.poll_hub_event() {
    ///     hub.handle_event(NOW, connection.key(), event, &mut |to, event| println!("{to:?} is to be told {event:?}"));
    /// }
    /// assert_eq!(hub.stats().sockets, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle_event(
        &mut self,
        now: Instant,
        from: ConnKey,
        event: ConnectionEvent,
        out: &mut impl FnMut(ConnKey, HubEvent),
    ) {
        let Some(entry) = self.connections.get(from.index as usize) else { return };
        if entry.generation != from.generation {
            return;
        }
        match event.0 {
            ToHub::Lookup { namespace, claim } => self.look_up(now, from, namespace, claim, out),
            ToHub::Accept(socket) => self.accept(from, socket, out),
            ToHub::Leave { socket, keep } => self.remove(now, socket, keep),
            ToHub::Retired(socket) => self.retired(now, socket, out),
            ToHub::Drain => {
                self.sids.remove(&entry.sid);
                self.connections.remove(from.index as usize);
                if self.connections.is_empty() {
                    self.connections = Slab::new();
                    self.sids.shrink_to(0);
                }
            }
        }
    }

    /// Puts a socket into a room, at once. Says whether it was not in it before.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let (_peer, socket, _) = Peer::joined(&mut hub);
    /// assert!(hub.join(socket, "news")?);
    /// assert!(!hub.join(socket, "news")?, "it is there already");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the socket is gone or in too many rooms.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, JoinError> {
        let namespace = self.namespaces.get_mut(socket.nsp.0 as usize).ok_or(JoinError::NotConnected)?;
        let (entry, rooms) = namespace.with_rooms(socket).ok_or(JoinError::NotConnected)?;
        let limit = self.config.limits.rooms_per_socket;
        if entry.joined.len() >= limit && !rooms.contains(room, socket.index) {
            return Err(JoinError::TooManyRooms { limit });
        }
        let Some((room, created)) = rooms.join(socket.index, &mut entry.joined, room) else { return Ok(false) };
        if let Some(store) = &mut namespace.recovery {
            store.joined(socket, &room);
        }
        if self.config.room_events {
            if created {
                self.outputs.push_back(HubOutput::Room(RoomOp::Create { namespace: socket.nsp, room: room.clone() }));
            }
            self.outputs.push_back(HubOutput::Room(RoomOp::Join { socket, room }));
        }
        Ok(true)
    }

    /// Takes a socket out of a room, at once. Says whether it was in it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut hub = hub();
    /// # let (_peer, socket, _) = Peer::joined(&mut hub);
    /// hub.join(socket, "news")?;
    /// assert!(hub.leave(socket, "news"));
    /// assert!(!hub.leave(socket, "news"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        let Some(namespace) = self.namespaces.get_mut(socket.nsp.0 as usize) else { return false };
        let Some((entry, rooms)) = namespace.with_rooms(socket) else { return false };
        let left = rooms.leave(socket.index, &mut entry.joined, room);
        let was_in = left.is_some();
        if let Some(store) = &mut namespace.recovery {
            store.left(socket, room);
        }
        self.report_leave(socket, left);
        was_in
    }

    /// The next thing that the application should know.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// # let mut hub = hub();
    /// # hub.sockets_join(&Target::all(hub.namespace("/").unwrap()), &["news"]);
    /// while let Some(output) = hub.poll_output() {
    ///     match output {
    ///         HubOutput::Room(op) => println!("{op:?}"),
    ///         HubOutput::Selection { sockets, .. } => println!("{sockets} sockets reached"),
    ///         HubOutput::Forgotten { sid, .. } => println!("{sid} does not come back"),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    pub fn poll_output(&mut self) -> Option<HubOutput> {
        take_first(&mut self.outputs)
    }

    fn leave_last(&mut self, socket: SocketKey) -> Option<(Text, bool)> {
        let (entry, rooms) = self.namespaces.get_mut(socket.nsp.0 as usize)?.with_rooms(socket)?;
        rooms.leave_last(socket.index, &mut entry.joined)
    }

    fn report_leave(&mut self, socket: SocketKey, left: Option<(Text, bool)>) {
        if let Some((room, gone)) = left
            && self.config.room_events
        {
            self.outputs.push_back(HubOutput::Room(RoomOp::Leave { socket, room: room.clone() }));
            if gone {
                self.outputs.push_back(HubOutput::Room(RoomOp::Delete { namespace: socket.nsp, room }));
            }
        }
    }
}
