//! One namespace of a connection.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_channel::oneshot;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::{
    Text,
    client::{
        AckId, AuthRequest, Delivery, DisconnectReason, EmitError as CoreEmitError, Error, Flags, SocketId,
        SocketOptions,
    },
    socket::Payload,
};

use super::{
    Auth, Manager, SocketBuilder,
    shared::{Keeper, Shared},
};
use crate::{
    AckError, Acknowledgement, EmitError, Event, Extract, ExtractError, Handler, ListenerId, Side,
    handler::{
        self, ConnectContext, DisconnectContext, EventContext, HandlerError, Listeners, OnAny, OnError, Subject, sealed,
    },
    socketio::{Waiter, read_outcome},
};

/// A namespace of a connection to a server: what `io(url)` is in JavaScript. Cheap to clone.
///
/// The connection is closed, in order, when the last handle of it is dropped (handlers that captured one keep it open; they
/// can have it as a parameter instead).
///
/// ```
/// # use sockeye_driver::{BoxError, client::Client, prelude::*};
/// # fn example(client: &Client) -> Result<(), BoxError> {
/// client.on("hello", async |client: Client, Args(name): Args<String>, ack: Ack| {
///     client.emit("seen", &name)?;
///     ack.send(&"hello to you")?;
///     Ok::<_, BoxError>(())
/// });
/// client.emit("hello", &("world", 1))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    shared: Arc<Shared>,
    id: SocketId,
    namespace: Text,
    auth: Auth,
    listeners: Listeners<Client>,
    keeper: Arc<Keeper>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let dropped = self.shared.with(|state, now| {
            // Unless it was added anew meanwhile.
            let is_last = state.sockets.get(&self.id).is_some_and(|socket| socket.strong_count() == 0);
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
        let (id, known) = shared.with(|state, _| {
            let id = state.manager.add_socket(namespace, options);
            (id, state.sockets.get(&id).and_then(Weak::upgrade))
        });
        if let Some(known) = known {
            return Self(known);
        }
        let namespace = shared.look(|state| state.manager.namespace(id).cloned()).unwrap_or_default();
        let inner = Arc::new(Inner {
            shared: Arc::clone(&shared),
            id,
            namespace,
            auth,
            listeners: Listeners::default(),
            keeper,
        });
        shared.look(|state| state.sockets.insert(id, Arc::downgrade(&inner)));
        Self(inner)
    }

    /// The id that the server has given, until the namespace is disconnected (`socket.id`).
    pub fn id(&self) -> Option<Text> {
        self.0.shared.look(|state| state.manager.sid(self.0.id).cloned())
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Whether the namespace is connected.
    pub fn is_connected(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_connected(self.0.id))
    }

    /// Whether the namespace is connected, or will be without anybody's help: not after it was refused, or disconnected by
    /// either side (`socket.active`).
    pub fn is_active(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_active(self.0.id))
    }

    /// Whether the server has restored the session of before, with what was missed (`socket.recovered`).
    pub fn is_recovered(&self) -> bool {
        self.0.shared.look(|state| state.manager.is_recovered(self.0.id))
    }

    /// The transport in use, `polling` or `websocket`; `None` while there is no connection.
    pub fn transport(&self) -> Option<&'static str> {
        self.0.shared.look(|state| state.manager.engine().map(|engine| engine.transport_name()))
    }

    /// Events that wait to be sent, and their bytes.
    pub fn buffered(&self) -> (usize, usize) {
        self.0.shared.look(|state| state.manager.buffered(self.0.id))
    }

    /// The connection itself.
    pub fn manager(&self) -> Manager {
        Manager { shared: Arc::clone(&self.0.shared), keeper: Arc::clone(&self.0.keeper) }
    }

    /// Another namespace on the same connection.
    pub fn of(&self, namespace: &str) -> SocketBuilder {
        SocketBuilder::new(self.manager(), namespace)
    }

    /// Connects the namespace after it was disconnected, or refused (`socket.open()`, `socket.connect()`):
    /// [`on_connect`](Self::on_connect) handlers hear of it.
    pub fn open(&self) {
        self.0.shared.with(|state, now| state.manager.connect(now, self.0.id));
    }

    /// Leaves the namespace, at once. If no other one is connected, the connection is closed too.
    pub fn disconnect(&self) {
        self.0.shared.with(|state, now| state.manager.disconnect(now, self.0.id));
    }

    /// Sends an event: a tuple is several arguments, `()` none, anything else one; bytes are attachments. While the
    /// namespace is not connected, it waits.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: it cannot be encoded, or too much waits to be sent.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.emit_flagged(event, args, Flags::default()).map(drop)
    }

    /// Sends the event `message`: see [`emit`](Self::emit).
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        self.emit("message", args)
    }

    /// For events that may be lost: they are dropped if they cannot leave at once.
    pub fn volatile(&self) -> Volatile<'_> {
        Volatile(self)
    }

    /// Sends an event and asks for an acknowledgement, a future. There is no bound for the answer but the end of the
    /// connection, unless [`ack_timeout`](super::ClientBuilder::ack_timeout) says one.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        Timeout { client: self, timeout: None }.emit_with_ack(event, args)
    }

    /// Sends an event, and has the acknowledgement given to a callback.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit); the callback is not called then.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        Timeout { client: self, timeout: None }.emit_then(event, args, callback)
    }

    /// For an emit whose acknowledgement has this much time.
    pub fn timeout(&self, timeout: Duration) -> Timeout<'_> {
        Timeout { client: self, timeout: Some(timeout) }
    }

    /// Calls a handler for each event of this name.
    pub fn on<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext<Self>, (), M>,
    {
        self.0.listeners.on(event, false, handler::settle(handler, Arc::new(())))
    }

    /// Calls a handler for the next event of this name.
    pub fn once<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext<Self>, (), M>,
    {
        self.0.listeners.on(event, true, handler::settle(handler, Arc::new(())))
    }

    /// Removes a listener of any kind. Whether it was there.
    pub fn off(&self, listener: ListenerId) -> bool {
        self.0.listeners.off(listener)
    }

    /// Removes all listeners of an event. How many there were.
    pub fn off_all(&self, event: &str) -> usize {
        self.0.listeners.off_all(event)
    }

    /// Calls a listener for every event that arrives, before those of its name.
    pub fn on_any(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.0.listeners.add(|table| &mut table.any, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// Calls a listener for every event that is sent, when it is: one that waits is reported once its turn has come.
    pub fn on_any_outgoing(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.0.listeners.add(|table| &mut table.outgoing, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// Runs when the namespace is connected, again after each reconnection.
    pub fn on_connect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectContext<Self>, (), M>,
    {
        self.0.listeners.add(|table| &mut table.connect, handler::settle(handler, Arc::new(())))
    }

    /// Runs when the namespace could not be connected; [`Error`] says why, and [`is_active`](Self::is_active) whether it is
    /// tried again.
    pub fn on_connect_error<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectErrorContext, (), M>,
    {
        self.0.listeners.add(|table| &mut table.connect_error, handler::settle(handler, Arc::new(())))
    }

    /// Runs when the namespace is disconnected.
    pub fn on_disconnect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext<Self>, (), M>,
    {
        self.0.listeners.add(|table| &mut table.disconnect, handler::settle(handler, Arc::new(())))
    }

    /// Calls a listener for what goes wrong in handlers; without one it is reported to `tracing` and standard error.
    pub fn on_error(&self, listener: impl Fn(&HandlerError<Self>) + Send + Sync + 'static) -> ListenerId {
        self.0.listeners.add(|table| &mut table.error, Arc::new(listener) as Arc<OnError<Self>>)
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

    pub(super) async fn provide_auth(&self, request: AuthRequest) -> Result<Option<Payload>, Text> {
        match &self.0.auth {
            Auth::None => Ok(None),
            Auth::Value(value) => Ok(Some(value.clone())),
            Auth::Provider(provider) => provider(request).await,
        }
    }

    /// Tells who listens to what is sent.
    pub(super) fn announce_outgoing(&self, payload: &Payload) {
        let listeners = self.0.listeners.read(|table| table.outgoing.clone());
        if listeners.is_empty() {
            return;
        }
        let event = Event {
            socket: Some(self.clone()),
            name: payload.event_name().unwrap_or_default(),
            args: payload.to_args().unwrap_or_default(),
            ack: None,
        };
        handler::announce(listeners.iter(), &event, |fault| {
            self.0.listeners.report(&HandlerError { socket: self.clone(), event: Some(event.name.clone()), fault });
        });
    }

    fn encode<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<Payload, EmitError> {
        Ok(Payload::event(event, args, self.0.shared.max_attachments)?)
    }

    fn emit_flagged<T: Serialize + ?Sized>(&self, event: &str, args: &T, flags: Flags) -> Result<Delivery, EmitError> {
        let payload = self.encode(event, args)?;
        let delivery = self.0.shared.command(|manager, now| manager.emit(now, self.0.id, &payload, flags))?;
        if delivery == Delivery::Sent {
            self.announce_outgoing(&payload);
        }
        Ok(delivery)
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

/// What [`Client::volatile`] gives.
#[derive(Clone, Copy, Debug)]
#[must_use = "this is for an emit"]
pub struct Volatile<'a>(&'a Client);

impl Volatile<'_> {
    /// Sends an event, or drops it. Whether it is on its way.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<bool, EmitError> {
        self.0.emit_flagged(event, args, Flags::VOLATILE).map(|delivery| delivery == Delivery::Sent)
    }
}

/// What [`Client::timeout`] gives.
#[derive(Clone, Copy, Debug)]
#[must_use = "a timeout is for an emit"]
pub struct Timeout<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
}

impl Timeout<'_> {
    /// As [`Client::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        let (sender, receiver) = oneshot::channel();
        Acknowledgement::new(self.emit(event, args, Waiter::Future(sender)).map(|()| receiver))
    }

    /// As [`Client::emit_then`].
    ///
    /// # Errors
    ///
    /// As [`Client::emit`].
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.emit(event, args, Waiter::Callback(Box::new(move |outcome| callback(read_outcome(outcome)))))
    }

    fn emit(&self, event: &str, args: &(impl Serialize + ?Sized), waiter: Waiter) -> Result<(), EmitError> {
        let Client(inner) = self.client;
        let payload = self.client.encode(event, args)?;
        // Out here, where it is dropped without the lock if nothing was sent.
        let mut waiter = Some(waiter);
        let sent: Result<(AckId, Delivery), CoreEmitError> = inner.shared.with(|state, now| {
            let sent = state.manager.emit_with_ack(now, inner.id, &payload, self.timeout, Flags::default())?;
            if let Some(waiter) = waiter.take() {
                state.waiters.insert((inner.id, sent.0), waiter);
            }
            Ok(sent)
        });
        if sent?.1 == Delivery::Sent {
            self.client.announce_outgoing(&payload);
        }
        Ok(())
    }
}

/// A namespace that could not be connected.
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

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client of {}", self.namespace())
    }
}

macro_rules! extract_client {
    ($($context:ty),*) => {$(
        impl<S> Extract<$context, S> for Client {
            fn extract(context: &$context, _: &S) -> Result<Self, ExtractError> {
                Ok(context.socket.clone())
            }
        }
    )*};
}
extract_client!(EventContext<Client>, ConnectContext<Client>, DisconnectContext<Client>, ConnectErrorContext);

impl<S> Extract<DisconnectContext<Client>, S> for DisconnectReason {
    fn extract(context: &DisconnectContext<Client>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.reason)
    }
}

impl<S> Extract<ConnectErrorContext, S> for Error {
    fn extract(context: &ConnectErrorContext, _: &S) -> Result<Self, ExtractError> {
        Ok(context.error.clone())
    }
}
