//! Servers.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use sockeye_protocol::server::Stats;

use super::{BroadcastOperator, Event, IntoRooms, Namespace, SocketIo};
use crate::{
    Config, EmitError, Handler, HandlerError, ListenerId, Seed, Socket, TypedEvent,
    core::{self, Core},
    handler::{ConnectContext, DisconnectContext, EventContext},
    layer::Layer as _,
    listener::serve,
};

/// A Socket.IO server. Cheap to clone: all clones are the same server.
///
/// Its methods `on_connect`, `on`, `emit`, `to` and so on are those of its main namespace, `/`.
///
/// It belongs to no runtime: one server, in a `static` for instance, may be served by the runtimes of several tests, each of
/// which ends the sessions that were opened on it.
///
/// ```
/// use sockeye_driver::{Args, Config, Server, Socket};
///
/// let io = Server::new(Config::default());
/// io.on_connect(async |socket: Socket| {
///     socket.join("lobby")?;
///     socket.to("lobby").emit("joined", &socket.id())?;
///     Ok::<_, sockeye_driver::BoxError>(())
/// });
/// io.on("chat", async |socket: Socket, Args(text): Args<String>| {
///     socket.to("lobby").emit("chat", &(socket.id(), text)).map(drop)
/// });
/// // Then listen: `io.listen("127.0.0.1:3000").await?` with the prelude of a runtime's crate.
/// ```
#[derive(Clone)]
pub struct Server {
    inner: Arc<SocketIo>,
    main: Namespace,
}

impl Server {
    /// A server with the namespace `/` alone. It draws the seed of its session ids from the operating system. (Of the
    /// configuration, [`Config::room_events`] is for the core alone, and is always `false` here.)
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// let io = Server::new(Config {
    ///     ping_interval: Duration::from_secs(10),
    ///     cors: Some(Cors { origins: Origins::Any, ..Cors::default() }),
    ///     limits: Limits { max_payload: 100_000, rooms_per_socket: 100, ..Limits::default() },
    ///     ..Config::default()
    /// });
    /// # drop(io);
    /// ```
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes, since ids that can be guessed would open every session.
    pub fn new(config: Config) -> Self {
        Self::with_seed(config, &Core::seed())
    }

    /// A server whose session ids follow from a seed: those that the core's own
    /// [`Server`](sockeye_protocol::server::Server) draws from it, in the same order. For tests, and to replay what was
    /// recorded. Whoever knows the seed can take over every session: a server that strangers reach keeps it secret and
    /// never uses it twice, which is what [`new`](Self::new) is for.
    ///
    /// ```
    /// # use sockeye_driver::{Config, Seed, Server};
    /// let io = Server::with_seed(Config::default(), &Seed::for_tests(7));
    /// ```
    pub fn with_seed(config: Config, seed: &Seed) -> Self {
        let inner = Arc::new(SocketIo::new(config, seed));
        let (id, namespace) = inner.namespace("/");
        let main = Namespace::new(&inner, id, namespace);
        Self { inner, main }
    }

    /// The namespace of that name, made if there is none. A missing `/` in front is added. Clients that ask for one
    /// that was not made are refused with `Invalid namespace` (Socket.IO protocol v5, "Connection to a namespace").
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let admin = io.of("/admin");
    /// admin.on_connect(async |socket: Socket| println!("{} in {}", socket.id(), socket.namespace()));
    /// assert_eq!(io.of("admin").name(), admin.name());
    /// ```
    pub fn of(&self, name: &str) -> Namespace {
        let (id, namespace) = self.inner.namespace(name);
        Namespace::new(&self.inner, id, namespace)
    }

    /// The configuration.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// let io = Server::new(Config { path: "/chat/".into(), ..Config::default() });
    /// assert_eq!((&*io.config().path, io.config().limits.max_payload), ("/chat/", 1_000_000));
    /// ```
    pub fn config(&self) -> &Config {
        &self.inner.core().config
    }

    /// Counts of everything that the server holds. Takes every connection's lock in turn: for monitoring and tests.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let stats = io.stats();
    /// assert_eq!((stats.connections, stats.sockets), (0, 0));
    /// ```
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Closes every connection: the sockets are disconnected with the reason `server shutting down`, clients see their
    /// transport closed, new ones are refused with 503. Completes when all handlers have returned and nothing is left,
    /// or at the deadline, which ends what still runs; a handler that blocks its thread is waited for one second more.
    /// All handlers are forgotten then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (io, end) = (Server::new(Config::default()), async {});
    /// end.await;
    /// io.shutdown(Duration::from_secs(10)).await;
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) {
        core::shutdown(&self.inner, deadline).await;
    }

    /// Runs before a socket is connected to `/`: an error refuses it. See [`Namespace::middleware`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.middleware(async |socket: Socket, handshake: Handshake| match handshake.query("name") {
    ///     Some(name) => {
    ///         socket.set_data(name.into_owned());
    ///         Ok(())
    ///     }
    ///     None => Err("who are you?"),
    /// });
    /// ```
    pub fn middleware<H, M>(&self, middleware: H) -> ListenerId
    where
        H: Handler<ConnectContext, (), M>,
    {
        self.main.middleware(middleware)
    }

    /// Runs for each socket that has connected to `/`. See [`Namespace::on_connect`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join("lobby")?;
    ///     Ok::<_, BoxError>(socket.emit("welcome", "to the lobby")?)
    /// });
    /// ```
    pub fn on_connect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectContext, (), M>,
    {
        self.main.on_connect(handler)
    }

    /// Runs for each event of that name, of all sockets of `/`. See [`Namespace::on`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("add", async |Args((a, b)): Args<(f64, f64)>, ack: Ack| ack.send(&(a + b)));
    /// ```
    pub fn on<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, (), M>,
    {
        self.main.on(event, handler)
    }

    /// Runs for the next event of that name alone, from whichever socket of `/`. See [`Namespace::once`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.once("start", async |socket: Socket| socket.broadcast().emit("started by", &socket.id()).map(drop));
    /// ```
    pub fn once<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, (), M>,
    {
        self.main.once(event, handler)
    }

    /// Runs for each event of that type, of all sockets of `/`. See [`Namespace::on_event`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = f64)]
    /// struct Add(f64, f64);
    ///
    /// io.on_event(async |Add(a, b): Add, ack: Ack<Add>| ack.send(&(a + b)));
    /// ```
    pub fn on_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Socket, E>, (), M>,
    {
        self.main.on_event(handler)
    }

    /// Runs for the next event of that type alone, from whichever socket of `/`. See [`Namespace::once_event`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Start;
    ///
    /// io.once_event(async |socket: Socket, start: Start| socket.broadcast().emit_event(&start).map(drop));
    /// ```
    pub fn once_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Socket, E>, (), M>,
    {
        self.main.once_event(handler)
    }

    /// Removes one listener of `/`, of whatever kind. Whether it was there. See [`Namespace::off`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let closed = io.middleware(async || Err::<(), _>("not open yet"));
    /// // Later:
    /// assert!(io.off(closed));
    /// ```
    pub fn off(&self, listener: ListenerId) -> bool {
        self.main.off(listener)
    }

    /// Removes all listeners of an event of `/`. How many there were. See [`Namespace::off_all`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("vote", async |socket: Socket| socket.emit("thanks", &()));
    /// assert_eq!((io.off_all("vote"), io.off_all("vote")), (1, 0));
    /// ```
    pub fn off_all(&self, event: &str) -> usize {
        self.main.off_all(event)
    }

    /// Sees every event that arrives in `/`, before its listeners. See [`Namespace::on_any`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// let events = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&events);
    /// io.on_any(move |_: &Event| _ = counter.fetch_add(1, Ordering::Relaxed));
    /// println!("{} so far", events.load(Ordering::Relaxed));
    /// ```
    pub fn on_any(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.main.on_any(listener)
    }

    /// Sees every event that is to be sent in `/`. See [`Namespace::on_any_outgoing`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any_outgoing(|event: &Event| println!("> {} [{}]", event.name(), event.args().raw()));
    /// ```
    pub fn on_any_outgoing(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.main.on_any_outgoing(listener)
    }

    /// Runs when a socket of `/` is about to be gone, while it is in its rooms. See [`Namespace::on_disconnecting`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_disconnecting(async |socket: Socket| println!("one less in {:?}", socket.rooms()));
    /// ```
    pub fn on_disconnecting<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, (), M>,
    {
        self.main.on_disconnecting(handler)
    }

    /// Runs when a socket of `/` is gone. See [`Namespace::on_disconnect`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_disconnect(async |socket: Socket, reason: DisconnectReason| {
    ///     if reason == DisconnectReason::PingTimeout {
    ///         println!("the network of {:?} is bad", socket.handshake().address());
    ///     }
    /// });
    /// ```
    pub fn on_disconnect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, (), M>,
    {
        self.main.on_disconnect(handler)
    }

    /// Gets what went wrong in handlers of `/`. See [`Namespace::on_error`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_error(|error: &HandlerError| {
    ///     let _ = error.socket().emit("sorry", &error.fault().to_string());
    /// });
    /// ```
    pub fn on_error(&self, listener: impl Fn(&HandlerError) + Send + Sync + 'static) -> ListenerId {
        self.main.on_error(listener)
    }

    /// Sends an event to all sockets of `/`: see [`BroadcastOperator::emit`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// assert_eq!(io.emit("news", &("nobody hears it", 1))?, 0);
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<usize, EmitError> {
        self.main.emit(event, args)
    }

    /// Sends the event `message` to all sockets of `/`.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.send("the server restarts in a minute")?;
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<usize, EmitError> {
        self.main.send(args)
    }

    /// Sends a typed event to all sockets of `/`: see [`BroadcastOperator::emit_event`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct News(String);
    ///
    /// assert_eq!(io.emit_event(&News("nobody hears it".into()))?, 0);
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<usize, EmitError> {
        self.main.emit_event(event)
    }

    /// The sockets of `/` in these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// for (room, goals) in [("red", 2), ("blue", 1)] {
    ///     io.to(room).emit("your goals", &goals)?;
    /// }
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn to(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.main.to(rooms)
    }

    /// The sockets of `/` that are in none of these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.except(["muted", "asleep"]).emit("ring", &())?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn except(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.main.except(rooms)
    }

    /// The sockets of `/` in this process: see [`BroadcastOperator::local`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let here = io.local();
    /// here.emit("this server has", &io.stats().sockets)?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn local(&self) -> BroadcastOperator {
        self.main.local()
    }

    /// Makes all sockets of `/` join these rooms: see [`BroadcastOperator::sockets_join`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// // Whoever is here now watches, and nobody who comes later.
    /// assert_eq!(io.sockets_join("watching"), 0);
    /// ```
    pub fn sockets_join(&self, rooms: impl IntoRooms) -> usize {
        self.main.sockets_join(rooms)
    }

    /// Makes all sockets of `/` leave these rooms: see [`BroadcastOperator::sockets_leave`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// println!("{} start over", io.sockets_leave(["round 1", "winners"]));
    /// ```
    pub fn sockets_leave(&self, rooms: impl IntoRooms) -> usize {
        self.main.sockets_leave(rooms)
    }

    /// Disconnects all sockets of `/`: see [`BroadcastOperator::disconnect_sockets`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.emit("closing", "until tomorrow")?; // Still goes out.
    /// io.disconnect_sockets(true);
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn disconnect_sockets(&self, close: bool) -> usize {
        self.main.disconnect_sockets(close)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

serve!(Server, inner);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("config", self.config()).finish_non_exhaustive()
    }
}
