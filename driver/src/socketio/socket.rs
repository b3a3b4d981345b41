//! Sockets.

mod emit;
mod listen;

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use sockeye_protocol::{
    Instant, QueuePolicy, Sid, SocketKey,
    server::{self, Connection},
    socket::Data,
};

pub use self::emit::Timeout;
use super::{BroadcastOperator, Handshake, IntoRooms, SocketIo, namespace::NamespaceInner};
use crate::{
    EmitError, JoinError,
    handler::Listeners,
    layer::Layer as _,
    link::Link,
    runtime::{self, lock},
    turn,
};

/// A client in a namespace. Cheap to clone; does not keep the connection alive.
///
/// ```
/// # use std::time::Duration;
/// # use bytes::Bytes;
/// # use sockeye_driver::{AckError, Args, BoxError, Config, Server, Socket};
/// # #[derive(serde::Serialize)] struct Extra { three: &'static str, five: Bytes }
/// # let io = Server::new(Config::default());
/// io.on_connect(async |socket: Socket| {
///     socket.emit("hello", &(1, "2", Extra { three: "4", five: Bytes::from_static(&[6]) }))?;
///     socket.join("some room")?;
///     socket.to("some room").emit("joined", &socket.id())?;
///     let name: String = socket.timeout(Duration::from_secs(5)).emit_with_ack("who are you", &()).await?;
///     socket.on("rename", async |Args(name): Args<String>| println!("now {name}"));
///     println!("{name} is here");
///     Ok::<_, BoxError>(())
/// });
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    server: Arc<SocketIo>,
    link: Arc<Link<Connection>>,
    namespace: Arc<NamespaceInner>,
    key: SocketKey,
    sid: Sid,
    request: Arc<server::Handshake>,
    auth: Option<Data>,
    is_connected: AtomicBool,
    /// It goes on with a session that lost its link.
    recovered: bool,
    /// Set when the socket is gone: nothing will be listened to any more.
    is_gone: AtomicBool,
    /// Made by the first listener: most sockets have none of their own.
    listeners: OnceLock<Box<Listeners>>,
    /// Shared with who comes back as this socket.
    data: OnceLock<Arc<SocketData>>,
}

/// What is attached to a socket, one value of each type.
pub(super) type SocketData = Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>;

impl Socket {
    pub(super) fn new(
        server: &Arc<SocketIo>,
        link: &Arc<Link<Connection>>,
        namespace: Arc<NamespaceInner>,
        request: &server::ConnectRequest,
    ) -> Self {
        let kept = request.is_recovered().then(|| server.kept_data(request.socket(), request.sid())).flatten();
        Self(Arc::new(Inner {
            server: Arc::clone(server),
            link: Arc::clone(link),
            namespace,
            key: request.socket(),
            sid: request.sid(),
            request: Arc::clone(request.handshake()),
            auth: request.auth().cloned(),
            is_connected: AtomicBool::new(false),
            recovered: request.is_recovered(),
            is_gone: AtomicBool::new(false),
            listeners: OnceLock::new(),
            data: kept.map(OnceLock::from).unwrap_or_default(),
        }))
    }

    /// Its id: public, and another one in each namespace.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| socket.broadcast().emit("somebody came", &socket.id()).map(drop));
    /// io.on("whisper", {
    ///     let io = io.clone();
    ///     move |socket: Socket, Args((to, text)): Args<(Sid, String)>| {
    ///         let one = io.to(to);
    ///         async move { one.emit("whisper", &(socket.id(), text)).map(drop) }
    ///     }
    /// });
    /// ```
    pub fn id(&self) -> Sid {
        self.0.sid
    }

    /// The name of its namespace, with the `/` in front.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let hello = async |socket: Socket| socket.emit("you are in", socket.namespace());
    /// io.on_connect(hello); // `/`
    /// io.of("/admin").on_connect(hello); // `/admin`
    /// ```
    pub fn namespace(&self) -> &str {
        &self.0.namespace.name
    }

    /// Whether it is connected: from when its connection was accepted to when it is gone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("report", async |socket: Socket, ack: Ack| {
    ///     let report = async { "the result of long work" }.await;
    ///     // Nobody may wait for it any more.
    ///     if socket.is_connected() { ack.send(&report) } else { Ok(()) }
    /// });
    /// ```
    pub fn is_connected(&self) -> bool {
        self.0.is_connected.load(Ordering::Acquire)
    }

    /// Whether it goes on with a session that had lost its link ([`Config::recovery`](crate::Config::recovery)): its id, its
    /// rooms and its [`data`](Self::data) are those of before, and its client gets what it has missed. Handlers of the
    /// socket's own are not among that: they are registered again.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// let io = Server::new(Config { recovery: Some(Recovery::default()), ..Config::default() });
    /// io.on_connect(async |socket: Socket| match socket.recovered() {
    ///     true => Ok(()),
    ///     false => socket.emit("welcome", &()),
    /// });
    /// ```
    pub fn recovered(&self) -> bool {
        self.0.recovered
    }

    /// How the client came: headers, query, address, auth. Handlers may have a [`Handshake`] as a parameter, too.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("who am i", async |socket: Socket, ack: Ack| {
    ///     ack.send(&socket.handshake().header_str("user-agent"))
    /// });
    /// ```
    pub fn handshake(&self) -> Handshake {
        Handshake {
            request: Arc::clone(&self.0.request),
            auth: self.0.auth.clone(),
            time: runtime::date(self.0.request.time()),
        }
    }

    /// The transport in use: `polling` or `websocket`; `None` once the connection is gone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("how", async |socket: Socket, ack: Ack| ack.send(&socket.transport()));
    /// ```
    pub fn transport(&self) -> Option<&'static str> {
        self.0.link.look(Connection::transport_name)
    }

    /// What was attached to this socket with [`set_data`](Self::set_data) for that type.
    ///
    /// ```
    /// # use sockeye_driver::{Config, Server, Socket};
    /// # let io = Server::new(Config::default());
    /// struct User {
    ///     name: String,
    /// }
    /// io.on_connect(async |socket: Socket| socket.set_data(User { name: "Ada".into() }));
    /// io.on("who am i", async |socket: Socket| match socket.data::<User>() {
    ///     Some(user) => socket.emit("you are", &user.name),
    ///     None => Ok(()),
    /// });
    /// ```
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let data = lock(self.0.data.get()?);
        let (_, value) = data.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    /// Attaches a value to this socket, one per type; the one before is replaced. See [`data`](Self::data).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// struct Score(u32);
    ///
    /// io.on_connect(async |socket: Socket| socket.set_data(Score(0)));
    /// io.on("hit", async |socket: Socket| {
    ///     let before = socket.data().map_or(0, |score: std::sync::Arc<Score>| score.0);
    ///     socket.set_data(Score(before + 1));
    /// });
    /// ```
    pub fn set_data<T: Send + Sync + 'static>(&self, value: T) {
        let (id, value): (_, Arc<dyn Any + Send + Sync>) = (TypeId::of::<T>(), Arc::new(value));
        let before = {
            let mut data = lock(self.shared_data());
            match data.iter_mut().find(|(other, _)| *other == id) {
                Some((_, place)) => Some(std::mem::replace(place, value)),
                None => {
                    data.push((id, value));
                    None
                }
            }
        };
        // Dropped without the lock.
        drop(before);
    }

    /// The rooms that it has joined, in no certain order. Its own room, which its [`id`](Self::id) names, is not among
    /// them.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_disconnecting(async |socket: Socket| {
    ///     for room in socket.rooms() {
    ///         socket.to(&room).emit("left", &(socket.id(), &room))?;
    ///     }
    ///     Ok::<_, EmitError>(())
    /// });
    /// ```
    pub fn rooms(&self) -> Vec<String> {
        self.0.server.hub(|hub, _| hub.rooms(self.0.key).map(ToString::to_string).collect())
    }

    /// Joins one room or several, at once. Whether it was not in all of them before.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join("everybody")?;
    ///     socket.join(["red", "blue"]).map(drop)
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError`]: it is gone, or in too many rooms. Of several rooms, those in front have been joined then.
    pub fn join(&self, rooms: impl IntoRooms) -> Result<bool, JoinError> {
        let rooms = super::broadcast::names(rooms);
        self.0.server.hub(|hub, _| {
            let mut any = false;
            for room in &rooms {
                any |= hub.join(self.0.key, room)?;
            }
            Ok(any)
        })
    }

    /// Leaves one room or several, at once. Whether it was in any.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("leave", async |socket: Socket, Args(room): Args<String>, ack: Ack| ack.send(&socket.leave(room)));
    /// ```
    pub fn leave(&self, rooms: impl IntoRooms) -> bool {
        let rooms = super::broadcast::names(rooms);
        self.0.server.hub(|hub, _| rooms.iter().fold(false, |any, room| hub.leave(self.0.key, room) | any))
    }

    /// The other sockets of the namespace that are in these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("say", async |socket: Socket, Args((room, text)): Args<(String, String)>| {
    ///     socket.to(room).emit("said", &(socket.id(), text)).map(drop)
    /// });
    /// ```
    pub fn to(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.broadcast().to(rooms)
    }

    /// The other sockets of the namespace that are in none of these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("say", async |socket: Socket, Args(text): Args<String>| {
    ///     socket.except("deaf").emit("said", &text).map(drop)
    /// });
    /// ```
    pub fn except(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.broadcast().except(rooms)
    }

    /// The other sockets of the namespace.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("typing", async |socket: Socket| socket.broadcast().emit("typing", &socket.id()).map(drop));
    /// ```
    pub fn broadcast(&self) -> BroadcastOperator {
        BroadcastOperator::new(&self.0.server, self.0.key.namespace(), &self.0.namespace).except(self.0.sid)
    }

    /// The other sockets of the namespace in this process: see [`BroadcastOperator::local`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("move", async |socket: Socket, Args(to): Args<(i32, i32)>| {
    ///     socket.local().emit("moved", &(socket.id(), to)).map(drop)
    /// });
    /// ```
    pub fn local(&self) -> BroadcastOperator {
        self.broadcast().local()
    }

    /// Makes the client leave the namespace, or with `close` closes its whole connection, all its namespaces with it.
    /// What was sent before still goes out. (Socket.IO protocol v5, "Disconnection from a namespace".)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("bye", async |socket: Socket| socket.disconnect(false));
    /// io.on("intrude", async |socket: Socket| socket.disconnect(true));
    /// ```
    pub fn disconnect(&self, close: bool) {
        let now = self.0.server.core().now();
        self.0.link.with(now, |connection, _| connection.disconnect(now, self.0.key, close));
    }

    /// What a full send queue of this socket does from here on, instead of
    /// [`Config::queue_policy`](crate::Config::queue_policy).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// // A client that watches positions wants the newest ones, if it cannot have all.
    /// io.of("/positions").on_connect(async |socket: Socket| socket.set_queue_policy(QueuePolicy::DropOldest));
    /// ```
    pub fn set_queue_policy(&self, policy: QueuePolicy) {
        let now = self.0.server.core().now();
        self.0.link.with(now, |connection, rest| {
            connection.set_queue_policy(self.0.key, policy);
            // Who waits for room may have nothing to wait for any more.
            rest.progress = true;
        });
    }

    pub(super) fn key(&self) -> SocketKey {
        self.0.key
    }

    pub(super) fn inner_namespace(&self) -> &Arc<NamespaceInner> {
        &self.0.namespace
    }

    pub(super) fn listeners(&self) -> Option<&Listeners> {
        self.0.listeners.get().map(|listeners| &**listeners)
    }

    /// What is attached, as it is kept for who comes back as this socket.
    pub(super) fn shared_data(&self) -> &Arc<SocketData> {
        self.0.data.get_or_init(Arc::default)
    }

    /// Whether events get offsets, and are kept for who has missed them.
    pub(super) fn is_logged(&self) -> bool {
        self.0.server.core().config.recovery.is_some()
    }

    pub(super) fn set_connected(&self, is_connected: bool) {
        self.0.is_connected.store(is_connected, Ordering::Release);
    }

    pub(super) fn max_attachments(&self) -> usize {
        self.0.server.core().config.limits.max_attachments
    }

    /// Has the connection send something, with the time of this thread's round, if it is in one. (Only a connection that is
    /// closed for it is interested in the time.)
    pub(super) fn say(
        &self,
        act: impl FnOnce(&mut Connection, Instant) -> Result<(), EmitError>,
    ) -> Result<(), EmitError> {
        let now = turn::now().unwrap_or_else(|| self.0.server.core().now());
        self.0.link.with(now, |connection, _| act(connection, now)).unwrap_or(Err(EmitError::NotConnected))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("id", &self.id()).field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}
