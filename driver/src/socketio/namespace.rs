//! Namespaces.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering, fence},
    },
};

use serde::Serialize;
use sockeye_protocol::{NspId, Text};

use super::{BroadcastOperator, Event, IntoRooms, SocketIo};
use crate::{
    EmitError, Handler, HandlerError, ListenerId, Socket, TypedEvent,
    handler::{self, Call, ConnectContext, DisconnectContext, EventContext, Listeners, OnAny, OnError},
    layer::Layer as _,
    signal::Reasons,
};

/// A namespace of a [`Server`](crate::Server): its handlers, which serve all its sockets at no memory for each, and
/// what is sent to all of them. Cheap to clone.
///
/// `S` is the state of the handlers that are registered with this handle: [`with_state`](Self::with_state).
///
/// ```
/// # use sockeye_driver::{Args, Config, Server, Socket};
/// # let io = Server::new(Config::default());
/// let admin = io.of("/admin");
/// admin.on_connect(async |socket: Socket| socket.emit("welcome", &()));
/// admin.on("kick", {
///     let io = io.clone();
///     move |Args(room): Args<String>| {
///         let users = io.to(room);
///         async move {
///             users.disconnect_sockets(true);
///         }
///     }
/// });
/// admin.emit("news", &"to all in /admin")?;
/// # Ok::<(), sockeye_driver::EmitError>(())
/// ```
pub struct Namespace<S = ()> {
    server: Arc<SocketIo>,
    id: NspId,
    inner: Arc<NamespaceInner>,
    state: Arc<S>,
}

pub(crate) struct NamespaceInner {
    pub(crate) name: Text,
    pub(crate) listeners: Listeners,
    /// Events of its sockets that wait for a handler.
    pub(super) parked: AtomicUsize,
}

impl NamespaceInner {
    pub(super) fn new(name: Text) -> Self {
        Self { name, listeners: Listeners::default(), parked: AtomicUsize::new(0) }
    }
}

impl Namespace {
    pub(super) fn new(server: &Arc<SocketIo>, id: NspId, inner: Arc<NamespaceInner>) -> Self {
        Self { server: Arc::clone(server), id, inner, state: Arc::new(()) }
    }
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// The same namespace for handlers with a state, which they get as [`State`](struct@crate::State): checked when the
    /// program is compiled, cloned for each call (so most states are an `Arc`). There may be several states: each
    /// handle has its own.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// type Counter = Arc<AtomicU64>;
    /// let counted = io.of("/").with_state(Counter::default());
    /// counted.on("count", async |State(counter): State<Counter>, ack: Ack| {
    ///     ack.send(&counter.fetch_add(1, Ordering::Relaxed))
    /// });
    /// ```
    pub fn with_state<T: Send + Sync + 'static>(&self, state: T) -> Namespace<T> {
        Namespace {
            server: Arc::clone(&self.server),
            id: self.id,
            inner: Arc::clone(&self.inner),
            state: Arc::new(state),
        }
    }

    /// Its name, with the `/` in front.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// assert_eq!(io.of("admin").name(), "/admin");
    /// ```
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Runs before a socket is connected, after the middlewares that were registered before: an error refuses the
    /// connection (`namespace.use` in JavaScript). The client gets it as `connect_error` (Socket.IO protocol v5,
    /// "Connection to a namespace"): a
    /// [`ConnectError`](crate::ConnectError) with its message and data, any other error with its text as the message, a
    /// panic as `internal error`. The socket may [join](crate::Socket::join) rooms
    /// and get [data](crate::Socket::set_data) here already; nothing can be sent to it.
    ///
    /// ```
    /// # use sockeye_driver::{BoxError, Config, ConnectError, Handshake, Server};
    /// # let io = Server::new(Config::default());
    /// #[derive(serde::Deserialize)]
    /// struct Auth {
    ///     token: String,
    /// }
    /// io.of("/").middleware(async |handshake: Handshake| match handshake.auth::<Auth>() {
    ///     Ok(auth) if auth.token == "secret" => Ok(()),
    ///     _ => Err("not authorized"),
    /// });
    /// io.of("/").middleware(async |handshake: Handshake| -> Result<(), BoxError> {
    ///     match handshake.query("version") {
    ///         Some(_) => Ok(()),
    ///         None => Err(ConnectError::with_data("no version", &("supported", [1, 2]))?.into()),
    ///     }
    /// });
    /// ```
    pub fn middleware<H, M>(&self, middleware: H) -> ListenerId
    where
        H: Handler<ConnectContext, S, M>,
    {
        self.inner.listeners.add(|table| &mut table.middlewares, handler::settle(middleware, Arc::clone(&self.state)))
    }

    /// Runs for each socket that has connected. Until it first waits for something, no event of that socket is
    /// dispatched; until it returns, an event that nobody listens to yet waits for a listener.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/admin").on_connect(async |socket: Socket, handshake: Handshake| {
    ///     println!("{} from {:?}", socket.id(), handshake.address());
    ///     socket.emit("welcome", &())
    /// });
    /// ```
    pub fn on_connect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectContext, S, M>,
    {
        self.inner.listeners.add(|table| &mut table.connect, handler::settle(handler, Arc::clone(&self.state)))
    }

    /// Runs for each event of that name, for all sockets, before the listeners of the socket itself.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on("message", async |socket: Socket, Args(text): Args<String>| {
    ///     socket.broadcast().emit("message", &(socket.id(), text)).map(drop)
    /// });
    /// ```
    pub fn on<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, S, M>,
    {
        self.listen(event, false, handler::settle(handler, Arc::clone(&self.state)))
    }

    /// Runs for the next event of that name alone, from whichever socket.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/game").once("first", async |socket: Socket| socket.emit("you are the first", &()));
    /// ```
    pub fn once<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext, S, M>,
    {
        self.listen(event, true, handler::settle(handler, Arc::clone(&self.state)))
    }

    /// Runs for each event of that type, for all sockets, before the listeners of the socket itself: see
    /// [`TypedEvent`](trait@TypedEvent).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = usize)]
    /// struct Say {
    ///     text: String,
    /// }
    ///
    /// io.of("/chat").on_event(async |socket: Socket, say: Say, ack: Ack<Say>| {
    ///     let heard = socket.broadcast().emit_event(&say)?;
    ///     Ok::<_, BoxError>(ack.send(&heard)?)
    /// });
    /// ```
    pub fn on_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Socket, E>, S, M>,
    {
        self.listen(E::NAME, false, handler::settle_typed(handler, Arc::clone(&self.state)))
    }

    /// Runs for the next event of that type alone, from whichever socket.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct First;
    ///
    /// io.of("/game").once_event(async |socket: Socket, _: First| socket.emit("you are the first", &()));
    /// ```
    pub fn once_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Socket, E>, S, M>,
    {
        self.listen(E::NAME, true, handler::settle_typed(handler, Arc::clone(&self.state)))
    }

    /// Removes one listener of whatever kind. Whether it was there.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let chat = io.of("/chat");
    /// let listener = chat.on_any(|event: &Event| println!("{}", event.name()));
    /// assert!(chat.off(listener));
    /// assert!(!chat.off(listener));
    /// ```
    pub fn off(&self, listener: ListenerId) -> bool {
        self.inner.listeners.off(listener)
    }

    /// Removes all listeners of an event that were registered here. How many there were.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let chat = io.of("/chat");
    /// chat.on("message", async || ());
    /// chat.on("message", async |Args(text): Args<String>| println!("{text}"));
    /// assert_eq!(chat.off_all("message"), 2);
    /// ```
    pub fn off_all(&self, event: &str) -> usize {
        self.inner.listeners.off_all(event)
    }

    /// Sees every event that arrives, before its listeners.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on_any(|event: &Event| {
    ///     let sender = event.socket().map(Socket::id);
    ///     println!("{sender:?} < {} [{}]", event.name(), event.args().raw());
    /// });
    /// ```
    pub fn on_any(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.inner.listeners.add(|table| &mut table.any, Arc::new(listener) as Arc<OnAny>)
    }

    /// Sees every event that is to be sent to a socket of this namespace, and every broadcast that has recipients,
    /// once. (Acknowledgements are no events.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on_any_outgoing(|event: &Event| {
    ///     let to = event.socket().map_or("many".to_owned(), |socket| socket.id().to_string());
    ///     println!("{to} > {} [{}]", event.name(), event.args().raw());
    /// });
    /// ```
    pub fn on_any_outgoing(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        self.inner.listeners.add(|table| &mut table.outgoing, Arc::new(listener) as Arc<OnAny>)
    }

    /// Runs when a socket is about to be gone: up to where it first waits, the socket is still in its rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on_disconnecting(async |socket: Socket| {
    ///     for room in socket.rooms() {
    ///         socket.to(&room).emit("left", &(&room, socket.id()))?;
    ///     }
    ///     Ok::<_, EmitError>(())
    /// });
    /// ```
    pub fn on_disconnecting<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, S, M>,
    {
        self.inner.listeners.add(|table| &mut table.disconnecting, handler::settle(handler, Arc::clone(&self.state)))
    }

    /// Runs when a socket is gone. Its data and its handshake are still there.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on_disconnect(async |socket: Socket, reason: DisconnectReason| match reason {
    ///     DisconnectReason::ClientNamespaceDisconnect => println!("{} has left", socket.id()),
    ///     other => println!("{} was lost: {other}", socket.id()),
    /// });
    /// ```
    pub fn on_disconnect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext, S, M>,
    {
        self.inner.listeners.add(|table| &mut table.disconnect, handler::settle(handler, Arc::clone(&self.state)))
    }

    /// Gets what went wrong in handlers. Without any such listener it is logged (`tracing`) and written to standard
    /// error.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").on_error(|error: &HandlerError| {
    ///     println!("{} of {}: {}", error.event().unwrap_or("?"), error.socket().id(), error.fault());
    /// });
    /// ```
    pub fn on_error(&self, listener: impl Fn(&HandlerError) + Send + Sync + 'static) -> ListenerId {
        self.inner.listeners.add(|table| &mut table.error, Arc::new(listener) as Arc<OnError>)
    }

    /// Sends an event to all sockets: see [`BroadcastOperator::emit`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let recipients = io.of("/chat").emit("news", &("the server restarts", 5))?;
    /// println!("to {recipients}");
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<usize, EmitError> {
        self.all().emit(event, args)
    }

    /// Sends the event `message` to all sockets.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let recipients = io.of("/chat").send(&("from the server", "good morning"))?;
    /// assert_eq!(recipients, 0); // Nobody is there yet.
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<usize, EmitError> {
        self.emit("message", args)
    }

    /// Sends a typed event to all sockets: see [`BroadcastOperator::emit_event`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct News(String);
    ///
    /// io.of("/chat").emit_event(&News("the server restarts".into()))?;
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<usize, EmitError> {
        self.all().emit_event(event)
    }

    /// The sockets in these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").to(["red", "blue"]).emit("news", "for some")?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn to(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.all().to(rooms)
    }

    /// The sockets that are in none of these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").except("asleep").emit("news", "for most")?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn except(&self, rooms: impl IntoRooms) -> BroadcastOperator {
        self.all().except(rooms)
    }

    /// The sockets of this process: see [`BroadcastOperator::local`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/chat").local().except("asleep").emit("news", "for those here")?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn local(&self) -> BroadcastOperator {
        self.all().local()
    }

    /// Makes all sockets join these rooms: see [`BroadcastOperator::sockets_join`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let moved = io.of("/game").sockets_join(["players", "round 2"]);
    /// println!("{moved} play on");
    /// ```
    pub fn sockets_join(&self, rooms: impl IntoRooms) -> usize {
        self.all().sockets_join(rooms)
    }

    /// Makes all sockets leave these rooms: see [`BroadcastOperator::sockets_leave`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/game").sockets_leave("round 1");
    /// ```
    pub fn sockets_leave(&self, rooms: impl IntoRooms) -> usize {
        self.all().sockets_leave(rooms)
    }

    /// Disconnects all sockets: see [`BroadcastOperator::disconnect_sockets`].
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let admin = io.of("/admin");
    /// println!("{} were there", admin.disconnect_sockets(false)); // Their other namespaces go on.
    /// ```
    pub fn disconnect_sockets(&self, close: bool) -> usize {
        self.all().disconnect_sockets(close)
    }

    fn listen(&self, event: &str, once: bool, call: Arc<Call<EventContext>>) -> ListenerId {
        let id = self.inner.listeners.on(event, once, call);
        // Whoever parks an event sees the listener, or is seen here.
        fence(Ordering::SeqCst);
        if self.inner.parked.load(Ordering::SeqCst) > 0 {
            self.server.links().iter().for_each(|link| link.signal.raise(Reasons::LISTENER));
        }
        id
    }

    fn all(&self) -> BroadcastOperator {
        BroadcastOperator::new(&self.server, self.id, &self.inner)
    }
}

impl<S> Clone for Namespace<S> {
    fn clone(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            id: self.id,
            inner: Arc::clone(&self.inner),
            state: Arc::clone(&self.state),
        }
    }
}

impl<S> fmt::Debug for Namespace<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
