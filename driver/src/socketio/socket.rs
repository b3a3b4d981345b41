//! Sockets.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_channel::oneshot;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::{
    Instant, QueuePolicy, Sid, SocketKey, Text,
    server::{self, Connection},
    socket::{Data, Payload, PayloadRef},
};

use super::{
    AckError, Acknowledgement, BroadcastOperator, Event, Handshake, IntoRooms, SocketIo,
    ack::{self, Waiter},
    namespace::NamespaceInner,
};
use crate::{
    EmitError, Handler, JoinError, ListenerId, TypedEvent,
    handler::{self, DisconnectContext, EventContext, Listeners, OnAny},
    layer::Layer as _,
    lent,
    link::Link,
    runtime::{self, lock},
    signal::Reasons,
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

    /// Sends an event: a tuple is several arguments, `()` none, anything else one; [`bytes::Bytes`] anywhere in them
    /// are binary attachments. Never waits.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(serde::Serialize)]
    /// struct File {
    ///     name: String,
    ///     content: bytes::Bytes,
    /// }
    /// io.on_connect(async |socket: Socket| {
    ///     socket.emit("nothing", &())?;
    ///     socket.emit("one argument", "text")?;
    ///     socket.emit("three arguments", &(1, true, [2.5, 3.5].as_slice()))?;
    ///     socket.emit("file", &File { name: "a.bin".into(), content: bytes::Bytes::from_static(b"\x00\x01") })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the arguments cannot be encoded, the socket is gone, or its send queue is full.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        lent::encoder(|encoder| self.send_payload(event, encoder.event(event, args, self.max_attachments())?))
    }

    /// Sends the event `message`: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| socket.send("hello"));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        self.emit("message", args)
    }

    /// Sends an event, and waits for room in the send queue if it is full: for those who produce faster than the client
    /// takes. (With a [`QueuePolicy`] other than `Error` there is nothing to wait for.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("download", async |socket: Socket| {
    ///     for chunk in [&b"first"[..], b"second"] {
    ///         socket.emit_wait("chunk", &bytes::Bytes::from_static(chunk)).await?;
    ///     }
    ///     socket.emit_wait("end", &()).await
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the arguments cannot be encoded, or the socket is gone.
    pub async fn emit_wait<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = Payload::event(event, args, self.max_attachments())?;
        let payload = PayloadRef::from(&payload);
        self.announce_outgoing(event, payload);
        std::future::poll_fn(|cx| {
            if self.is_logged() {
                return match self.0.server.emit_logged(&self.0.link, self.0.key, payload, Some(cx.waker())) {
                    Err(EmitError::Full(_)) => Poll::Pending,
                    sent => Poll::Ready(sent),
                };
            }
            let now = self.0.server.core().now();
            let is_full = |error: &EmitError| matches!(error, EmitError::Full(_));
            self.0
                .link
                .send(now, cx, is_full, |connection| connection.emit(now, self.0.key, payload))
                .map(|sent| sent.unwrap_or(Err(EmitError::NotConnected)))
        })
        .await
    }

    /// Sends an event at once; the future waits for the client's acknowledgement, for
    /// [`Config::ack_timeout`](crate::Config::ack_timeout) at most. A tuple takes its arguments in turn, anything else
    /// the first.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let (name, age): (String, Option<u32>) = socket.emit_with_ack("who are you", &()).await?;
    ///     println!("{name}, {age:?}");
    ///     Ok::<_, BoxError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// From the future, [`AckError`]: the client did not answer in time or with something else, the socket is gone, or
    /// nothing was sent.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        self.default_timeout().emit_with_ack(event, args)
    }

    /// Sends a typed event: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Welcome {
    ///     to: String,
    /// }
    ///
    /// io.on_connect(async |socket: Socket| socket.emit_event(&Welcome { to: "the lobby".into() }));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<(), EmitError> {
        self.emit(E::NAME, &event.args())
    }

    /// Sends a typed event at once; the future waits for its acknowledgement: see [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = u32)]
    /// struct HowOld;
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     let age = socket.emit_event_with_ack(&HowOld).await?;
    ///     println!("{age} years");
    ///     Ok::<_, AckError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.default_timeout().emit_event_with_ack(event)
    }

    /// Sends an event, and calls back with the client's acknowledgement, or with what came in its place: see
    /// [`emit_with_ack`](Self::emit_with_ack). The callback runs in the connection's task, so it should be short; it is
    /// dropped without being called only if the server was ended by the deadline of its shutdown.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("order", async |socket: Socket| {
    ///     let asked = socket.clone();
    ///     socket.emit_then("sure?", &(), move |answer| {
    ///         let sure: bool = answer.unwrap_or(false);
    ///         println!("{}: {sure}", asked.id());
    ///     })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: nothing was sent, and nothing will be called.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.default_timeout().emit_then(event, args, callback)
    }

    /// For the next emit: how long its acknowledgement may take.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let asked = socket.timeout(Duration::from_secs(5));
    ///     match asked.emit_with_ack::<String>("who are you", &()).await {
    ///         Ok(name) => println!("{name}"),
    ///         Err(AckError::Timeout) => socket.disconnect(true),
    ///         Err(error) => println!("no name: {error}"),
    ///     }
    /// });
    /// ```
    pub fn timeout(&self, timeout: Duration) -> Timeout<'_> {
        Timeout { socket: self, timeout }
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

    /// Runs for each event of that name from this socket, after the listeners of the namespace.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let came = std::time::SystemTime::now();
    ///     socket.on("how long", move |ack: Ack| async move {
    ///         ack.send(&came.elapsed().unwrap_or_default().as_secs())
    ///     });
    /// });
    /// ```
    pub fn on<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, (), M>,
    {
        self.listen(|listeners| listeners.on(event, false, handler::settle(handler, Arc::new(()))))
    }

    /// Runs for the next event of that name from this socket alone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.once("ready", async |socket: Socket| socket.emit("go", &()));
    /// });
    /// ```
    pub fn once<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, (), M>,
    {
        self.listen(|listeners| listeners.on(event, true, handler::settle(handler, Arc::new(()))))
    }

    /// Runs for each event of that type from this socket, after the listeners of the namespace.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Rename(String);
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_event(async |Rename(name): Rename| println!("now {name}"));
    /// });
    /// ```
    pub fn on_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Self, E>, (), M>,
    {
        self.listen(|listeners| listeners.on(E::NAME, false, handler::settle_typed(handler, Arc::new(()))))
    }

    /// Runs for the next event of that type from this socket alone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Ready;
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     socket.once_event(async |socket: Socket, _: Ready| socket.emit("go", &()));
    /// });
    /// ```
    pub fn once_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Self, E>, (), M>,
    {
        self.listen(|listeners| listeners.on(E::NAME, true, handler::settle_typed(handler, Arc::new(()))))
    }

    /// Removes one listener of this socket, of whatever kind. Whether it was there.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let listener = socket.on("data", async |Args(n): Args<u64>| println!("{n}"));
    ///     socket.on("enough", move |socket: Socket| async move {
    ///         assert!(socket.off(listener));
    ///     });
    /// });
    /// ```
    pub fn off(&self, listener: ListenerId) -> bool {
        self.0.listeners.get().is_some_and(|listeners| listeners.off(listener))
    }

    /// Removes all listeners of an event that were registered with this socket. How many there were.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("enough", async |socket: Socket| println!("{} listeners less", socket.off_all("data")));
    /// ```
    pub fn off_all(&self, event: &str) -> usize {
        self.0.listeners.get().map_or(0, |listeners| listeners.off_all(event))
    }

    /// Sees every event that arrives from this socket, before its listeners.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_any(|event: &Event| println!("got {} [{}]", event.name(), event.args().raw()));
    /// });
    /// ```
    pub fn on_any(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.listen(|listeners| listeners.add(|table| &mut table.any, Arc::new(listener) as Arc<OnAny>))
    }

    /// Sees every event that is to be sent to this socket alone, before it is queued.
    /// ([`Namespace::on_any_outgoing`](crate::Namespace::on_any_outgoing) sees broadcasts, too.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_any_outgoing(|event: &Event| println!("sent {} [{}]", event.name(), event.args().raw()));
    /// });
    /// ```
    pub fn on_any_outgoing(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.listen(|listeners| listeners.add(|table| &mut table.outgoing, Arc::new(listener) as Arc<OnAny>))
    }

    /// Runs when this socket is about to be gone: up to where it first waits, the socket is still in its rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_disconnecting(async |socket: Socket, reason: DisconnectReason| {
    ///         println!("{reason}: leaves {:?}", socket.rooms());
    ///     });
    /// });
    /// ```
    pub fn on_disconnecting<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, (), M>,
    {
        self.listen(|listeners| listeners.add(|table| &mut table.disconnecting, handler::settle(handler, Arc::new(()))))
    }

    /// Runs when this socket is gone. Its data and its handshake are still there.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_disconnect(async |socket: Socket, reason: DisconnectReason| {
    ///         println!("{}: {reason}", socket.id());
    ///     });
    /// });
    /// ```
    pub fn on_disconnect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, (), M>,
    {
        self.listen(|listeners| listeners.add(|table| &mut table.disconnect, handler::settle(handler, Arc::new(()))))
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

    /// Forgets the listeners of a socket that is gone, and what they captured: this very socket, for instance.
    pub(super) fn forget_listeners(&self) {
        self.0.is_gone.store(true, Ordering::SeqCst);
        if let Some(listeners) = self.0.listeners.get() {
            listeners.clear();
        }
    }

    fn listen(&self, listen: impl FnOnce(&Listeners) -> ListenerId) -> ListenerId {
        let listeners = self.0.listeners.get_or_init(Box::default);
        let id = listen(listeners);
        // A listener that comes too late would keep what it captured, perhaps this socket, for ever.
        if self.0.is_gone.load(Ordering::SeqCst) {
            listeners.clear();
        }
        // An event may wait for it.
        self.0.link.signal.raise(Reasons::LISTENER);
        id
    }

    fn default_timeout(&self) -> Timeout<'_> {
        self.timeout(self.0.server.core().config.ack_timeout)
    }

    fn send_payload(&self, event: &str, payload: PayloadRef<'_>) -> Result<(), EmitError> {
        self.announce_outgoing(event, payload);
        if self.is_logged() {
            return self.0.server.emit_logged(&self.0.link, self.0.key, payload, None);
        }
        self.say(|connection, now| connection.emit(now, self.0.key, payload))
    }

    /// Shows an event to those who want to see what is sent. No lock is held.
    fn announce_outgoing(&self, event: &str, payload: PayloadRef<'_>) {
        let of_namespace = self.0.namespace.listeners.table();
        let of_socket = self.listeners().map(Listeners::table);
        let own = of_socket.iter().flat_map(|table| table.outgoing.iter());
        if !of_namespace.outgoing.is_empty() || own.clone().next().is_some() {
            let args = payload.to_payload().to_args().unwrap_or_default();
            let event = Event { socket: Some(self.clone()), name: Text::from(event), args, ack: None };
            of_namespace.outgoing.iter().chain(own).for_each(|listener| (listener.call)(&event));
        }
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

/// A socket, and how long the acknowledgement of the next emit may take: [`Socket::timeout`].
///
/// ```
/// # use std::time::Duration;
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("ask", async |socket: Socket| {
///     let soon = socket.timeout(Duration::from_secs(1));
///     soon.emit_then("a", &1, |answer: Result<String, AckError>| println!("{answer:?}"))?;
///     let answer: String = soon.emit_with_ack("b", &2).await?;
///     println!("{answer}");
///     Ok::<_, BoxError>(())
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a timeout is for an emit"]
pub struct Timeout<'a> {
    socket: &'a Socket,
    timeout: Duration,
}

impl Timeout<'_> {
    /// Sends an event at once; the future waits for the acknowledgement: see [`Socket::emit_with_ack`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("roll", async |socket: Socket| {
    ///     let sum: u32 = match socket.timeout(Duration::from_secs(3)).emit_with_ack("dice", &2).await {
    ///         Ok((a, b)) => u32::min(a, 6) + u32::min(b, 6),
    ///         Err(_) => 7, // Who does not roll gets the average.
    ///     };
    ///     socket.emit("rolled", &sum)
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        let (sender, receiver) = oneshot::channel();
        Acknowledgement::new(self.emit(event, args, Waiter::Future(sender)).map(|()| receiver))
    }

    /// Sends a typed event at once; the future waits for its acknowledgement: see [`Socket::emit_event_with_ack`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = (u8, u8))]
    /// struct Dice;
    ///
    /// io.on("roll", async |socket: Socket| {
    ///     let (a, b) = socket.timeout(Duration::from_secs(3)).emit_event_with_ack(&Dice).await?;
    ///     println!("{a} and {b}");
    ///     Ok::<_, AckError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.emit_with_ack(E::NAME, &event.args())
    }

    /// Sends an event, and calls back with the client's acknowledgement: see [`Socket::emit_then`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let asked = socket.clone();
    ///     socket.timeout(Duration::from_secs(60)).emit_then("do you agree?", &(), move |answer| {
    ///         if answer != Ok(true) {
    ///             asked.disconnect(true);
    ///         }
    ///     })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.emit(event, args, Waiter::Callback(Box::new(move |outcome| callback(ack::read(outcome)))))
    }

    fn emit(&self, event: &str, args: &(impl Serialize + ?Sized), waiter: Waiter) -> Result<(), EmitError> {
        lent::encoder(|encoder| {
            let payload = encoder.event(event, args, self.socket.max_attachments())?;
            self.socket.announce_outgoing(event, payload);
            self.send_payload(payload, waiter)
        })
    }

    fn send_payload(&self, payload: PayloadRef<'_>, waiter: Waiter) -> Result<(), EmitError> {
        let inner = &self.socket.0;
        let now = inner.server.core().now();
        // Out here, where it is dropped without the lock if nothing was sent: what a callback captured may do anything then.
        let mut waiter = Some(waiter);
        let sent = inner.link.with(now, |connection, rest| {
            let id = connection.emit_with_ack(now, inner.key, payload, self.timeout)?;
            waiter.take().map(|waiter| rest.beside.insert((inner.key, id), waiter));
            Ok(())
        });
        sent.unwrap_or(Err(EmitError::NotConnected))
    }
}
