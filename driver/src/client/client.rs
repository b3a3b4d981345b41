//! One namespace of a connection.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use sockeye_protocol::{
    Text,
    client::{DisconnectReason, Error, SocketId, SocketOptions},
};

use super::{
    Auth, Manager, SocketBuilder,
    shared::{Keeper, Shared, Wish},
};
use crate::{
    Extract, ExtractError, Side,
    handler::{ConnectContext, DisconnectContext, EventContext, Listeners, Subject, sealed},
};

/// A namespace of a connection to a server: what `io(url)` is in JavaScript. Cheap to clone.
///
/// The connection is closed, behind all that was sent, when the last handle of it is dropped. To the server that is no
/// [`disconnect`](Self::disconnect) but a connection that went away (`transport close`): where it has connection state recovery,
/// it keeps the session for a while. Handlers that captured one keep it open; they
/// can have it as a parameter instead, and then keep it open while they run.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// client.on("hello", async |client: Client, Args(name): Args<String>, ack: Ack| {
///     client.emit("seen", &name)?;
///     ack.send(&"hello to you")?;
///     Ok::<_, BoxError>(())
/// });
/// client.emit("hello", &("world", 1))?;
/// let answer: String = client.emit_with_ack("echo", &"hello").await?;
/// assert_eq!(answer, "hello");
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    shared: Arc<Shared>,
    id: SocketId,
    identity: Box<Identity>,
    has_ack_timeout: bool,
    listeners: Listeners<Client>,
    keeper: Arc<Keeper>,
}

/// What is seldom asked for. (Apart, for what messages need lies closer together without it.)
struct Identity {
    namespace: Text,
    auth: Auth,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let dropped = self.shared.with(|state, now| {
            // Unless it was added anew meanwhile.
            let is_last = state.sockets.get(&self.id).is_some_and(|socket| socket.strong_count() == 0);
            // With the last handle of the connection that is closed, behind what was sent. It is not left first: the
            // official server drops events that it reads in one turn with a DISCONNECT.
            if is_last && Arc::strong_count(&self.keeper) == 1 {
                state.manager.close(now);
            }
            if is_last {
                state.manager.remove(now, self.id);
            }
            is_last.then(|| state.sockets.remove(&self.id))
        });
        drop(dropped);
    }
}

impl Client {
    pub(super) fn new(manager: Manager, namespace: &str, auth: Auth, options: SocketOptions) -> Self {
        let Manager { shared, keeper } = manager;
        // Out here, where it is dropped without the lock if there is one already.
        let mut auth = Some(auth);
        let has_ack_timeout = options.ack_timeout.is_some();
        Self(shared.with(|state, _| {
            // Looked up, made and noted at once: two of one namespace would not know of each other.
            let id = state.manager.add_socket(namespace, options);
            if let Some(known) = state.sockets.get(&id).and_then(Weak::upgrade) {
                return known;
            }
            let (auth, keeper) = (auth.take().unwrap_or_default(), Arc::clone(&keeper));
            let namespace = state.manager.namespace(id).cloned().unwrap_or_default();
            let listeners = Listeners::default();
            let shared = Arc::clone(&shared);
            let identity = Box::new(Identity { namespace, auth });
            let inner = Arc::new(Inner { shared, id, identity, has_ack_timeout, listeners, keeper });
            state.sockets.insert(id, Arc::downgrade(&inner));
            inner
        }))
    }

    /// The id that the server has given, until the namespace is disconnected (`socket.id`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// println!("{:?} is here", client.id());
    /// client.disconnect();
    /// assert_eq!(client.id(), None);
    /// # Ok(()) }) }
    /// ```
    pub fn id(&self) -> Option<Text> {
        self.0.shared.look(|state| state.manager.sid(self.0.id).cloned())
    }

    /// The namespace.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert_eq!((client.namespace(), client.of("admin").start().namespace()), ("/", "/admin"));
    /// # Ok(()) }) }
    /// ```
    pub fn namespace(&self) -> &str {
        &self.0.identity.namespace
    }

    /// Whether the namespace is connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert!(client.is_connected());
    /// client.disconnect();
    /// assert!(!client.is_connected());
    /// # Ok(()) }) }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_connected(self.0.id))
    }

    /// Whether the namespace is connected, or will be without anybody's help: not after it was refused, or disconnected by
    /// either side (`socket.active`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_disconnect(async |client: Client| {
    ///     println!("{}", if client.is_active() { "back in a moment" } else { "gone for good" });
    /// });
    /// assert!(client.is_active());
    /// # Ok(()) }) }
    /// ```
    pub fn is_active(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_active(self.0.id))
    }

    /// Whether the server has restored the session of before, with what was missed (`socket.recovered`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_connect(async |client: Client| {
    ///     if !client.is_recovered() {
    ///         client.emit("what have I missed?", &())?;
    ///     }
    ///     Ok::<_, EmitError>(())
    /// });
    /// assert!(!client.is_recovered()); // It was connected for the first time.
    /// # Ok(()) }) }
    /// ```
    pub fn is_recovered(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_recovered(self.0.id))
    }

    /// The transport in use, `polling` or `websocket`; `None` while there is no connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// use sockeye_driver::client::Transport;
    ///
    /// let builder = Client::builder(&url).config(|config| config.transports = vec![Transport::WebSocket]);
    /// assert_eq!(builder.connect().await?.transport(), Some("websocket"));
    /// # Ok(()) }) }
    /// ```
    pub fn transport(&self) -> Option<&'static str> {
        self.0.shared.look(|state| state.manager.engine().map(|engine| engine.transport_name()))
    }

    /// The connection itself.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert!(client.manager().is_open());
    /// # Ok(()) }) }
    /// ```
    pub fn manager(&self) -> Manager {
        Manager { shared: Arc::clone(&self.0.shared), keeper: Arc::clone(&self.0.keeper) }
    }

    /// Another namespace on the same connection. Where there is a handle of it already, its settings stay as they are.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let admin = client.of("/admin").connect().await?;
    /// admin.emit("hello", &())?;
    /// assert_eq!(io.stats().connections, 1);
    /// # Ok(()) }) }
    /// ```
    pub fn of(&self, namespace: &str) -> SocketBuilder {
        SocketBuilder::new(self.manager(), namespace)
    }

    /// Connects the namespace after it was disconnected, or refused (`socket.open()`, `socket.connect()`):
    /// [`on_connect`](Self::on_connect) handlers hear of it, and [`connected`](Self::connected) waits for it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.disconnect();
    /// client.open();
    /// client.connected().await?;
    /// # Ok(()) }) }
    /// ```
    pub fn open(&self) {
        self.0.shared.with(|state, now| state.connect(now, self.0.id));
    }

    /// Leaves the namespace, at once. If no other one is connected, the connection is closed too.
    ///
    /// What was emitted before is sent before. The official server drops it all the same if it reads both in one turn of its
    /// loop, as it always does on WebSocket when both leave together: JavaScript's client loses such events, too. So have
    /// the last one acknowledged first, or [close the connection](Manager::close) instead, which comes in a turn of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let _: String = client.emit_with_ack("echo", &"goodbye").await?; // It has arrived.
    /// client.disconnect();
    /// assert!(!client.is_connected() && !client.is_active());
    /// # Ok(()) }) }
    /// ```
    pub fn disconnect(&self) {
        self.0.shared.with(|state, now| state.manager.disconnect(now, self.0.id));
    }

    /// Waits until the namespace is connected: not at all if it is, and across failed attempts until one succeeds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// let client = Client::builder(&url).start()?;
    /// client.connected().await?;
    /// assert!(client.is_connected());
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// It is not connected, and will not be unless [`open`](Self::open) is called (again): it was refused, disconnected by
    /// either side, or all attempts have failed. The error is that of the last attempt or connection.
    pub async fn connected(&self) -> Result<(), Error> {
        // The runtime may have dropped the client's task.
        let gone = Err(Error::Closed(DisconnectReason::ForcedClose));
        self.0.shared.watch(self.0.id, Wish::Connected).await.unwrap_or(gone)
    }

    /// Waits until all that was emitted in this namespace has left: was written to the WebSocket's byte stream, or is in a
    /// request of polling that was answered. What waits for a connection is waited for as well.
    ///
    /// Only an [acknowledgement](Self::emit_with_ack) says that it has arrived.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// for n in 0..1_000 {
    ///     client.emit("n", &n)?;
    /// }
    /// client.flush().await?; // And now a long time without anything to send, or the end.
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// The connection has ended since this was called, so that nobody knows what of it has left (one that had ended before
    /// tells with its disconnect); or what waits for a connection waits in
    /// vain, as at [`connected`](Self::connected).
    pub async fn flush(&self) -> Result<(), Error> {
        // The runtime may have dropped the client's task.
        let gone = Err(Error::Closed(DisconnectReason::ForcedClose));
        self.0.shared.watch(self.0.id, Wish::Flushed).await.unwrap_or(gone)
    }

    /// Waits until the namespace is not connected any more, and will not be by itself. Gives why: the error of the last
    /// attempt, or what ended the last connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// io.disconnect_sockets(false);
    /// // Handlers are called, connections lost and made anew, until:
    /// assert_eq!(client.closed().await, Error::Closed(DisconnectReason::ServerDisconnect));
    /// # Ok(()) }) }
    /// ```
    pub async fn closed(&self) -> Error {
        match self.0.shared.watch(self.0.id, Wish::Abandoned).await {
            Some(Err(error)) => error,
            Some(Ok(())) | None => Error::Closed(DisconnectReason::ForcedClose),
        }
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn socket_id(&self) -> SocketId {
        self.0.id
    }

    pub(super) fn listeners(&self) -> &Listeners<Self> {
        &self.0.listeners
    }

    /// Whether an acknowledgement has a timeout where an emit says none.
    pub(super) fn has_ack_timeout(&self) -> bool {
        self.0.has_ack_timeout
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.0.identity.auth
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("namespace", &self.namespace()).field("id", &self.id()).finish_non_exhaustive()
    }
}

impl PartialEq for Client {
    /// Whether both are the same namespace of the same connection.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Client {}

/// A namespace that could not be connected: what [extractors](Extract) of [`Client::on_connect_error`] take their values
/// from, the [`Client`] and the [`Error`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use sockeye_driver::{Extract, ExtractError, client::ConnectErrorContext};
///
/// /// What the server has said against it.
/// struct Objection(String);
///
/// impl<S> Extract<ConnectErrorContext, S> for Objection {
///     fn extract(context: &ConnectErrorContext, state: &S) -> Result<Self, ExtractError> {
///         match Error::extract(context, state)? {
///             Error::Refused(refusal) => Ok(Self(refusal.message.to_string())),
///             other => Ok(Self(format!("nothing: {other}"))),
///         }
///     }
/// }
///
/// client.on_connect_error(async |Objection(text): Objection| println!("{text}"));
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectErrorContext {
    pub(super) socket: Client,
    pub(super) error: Error,
}

impl Subject for ConnectErrorContext {
    type Side = Client;

    fn socket(&self) -> &Client {
        &self.socket
    }
}

impl sealed::Sealed for Client {}

impl Side for Client {
    type Reason = DisconnectReason;
    type Details = Option<Error>;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client of {}", self.namespace())
    }
}

macro_rules! extract_client {
    ($(<$($parameter:ident),+> $context:ty;)*) => {$(
        impl<$($parameter),+> Extract<$context, S> for Client {
            fn extract(context: &$context, _: &S) -> Result<Self, ExtractError> {
                Ok(context.socket.clone())
            }
        }
    )*};
}
extract_client! {
    <E, S> EventContext<Client, E>;
    <S> ConnectContext<Client>;
    <S> DisconnectContext<Client>;
    <S> ConnectErrorContext;
}

impl<S> Extract<DisconnectContext<Client>, S> for DisconnectReason {
    fn extract(context: &DisconnectContext<Client>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.reason)
    }
}

/// What is behind the reason, if something is: `details` in JavaScript.
impl<S> Extract<DisconnectContext<Client>, S> for Option<Error> {
    fn extract(context: &DisconnectContext<Client>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.details.clone())
    }
}

impl<S> Extract<ConnectErrorContext, S> for Error {
    fn extract(context: &ConnectErrorContext, _: &S) -> Result<Self, ExtractError> {
        Ok(context.error.clone())
    }
}
