//! What a client listens to.

use std::sync::Arc;

use super::{Client, ConnectErrorContext};
use crate::{
    Event, Handler, ListenerId, TypedEvent,
    handler::{self, ConnectContext, DisconnectContext, EventContext, HandlerError, OnAny, OnError},
    signal::Reasons,
};

impl Client {
    /// Calls a handler for each event of this name, after those that were registered before.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on("news", async |client: Client, Args((title, text)): Args<(String, String)>| {
    ///     println!("{title}: {text}");
    ///     client.emit("read", &title)
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext<Self>, (), M>,
    {
        self.listeners().on(event, false, handler::settle(handler, Arc::new(())))
    }

    /// Calls a handler for the next event of this name.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.once("ready", async |client: Client| client.emit("go", &()));
    /// assert_eq!(client.listeners_of("ready").len(), 1);
    /// # Ok(()) }) }
    /// ```
    pub fn once<H, M>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<EventContext<Self>, (), M>,
    {
        self.listeners().on(event, true, handler::settle(handler, Arc::new(())))
    }

    /// Calls a handler for each event of this type: see [`TypedEvent`](trait@TypedEvent).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// #[event(ack = bool)]
    /// struct Invite {
    ///     room: String,
    /// }
    ///
    /// client.on_event(async |client: Client, invite: Invite, ack: Ack<Invite>| {
    ///     client.emit("join", &invite.room)?;
    ///     Ok::<_, BoxError>(ack.send(&true)?)
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Self, E>, (), M>,
    {
        self.listeners().on(E::NAME, false, handler::settle_typed(handler, Arc::new(())))
    }

    /// Calls a handler for the next event of this type.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// struct Welcome(String);
    ///
    /// client.once_event(async |Welcome(to): Welcome| println!("welcome to {to}"));
    /// # Ok(()) }) }
    /// ```
    pub fn once_event<E, H, M>(&self, handler: H) -> ListenerId
    where
        E: TypedEvent,
        H: Handler<EventContext<Self, E>, (), M>,
    {
        self.listeners().on(E::NAME, true, handler::settle_typed(handler, Arc::new(())))
    }

    /// Removes a listener of any kind. Whether it was there.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let listener = client.on("news", async || println!("news"));
    /// assert!(client.off(listener));
    /// assert!(!client.off(listener));
    /// # Ok(()) }) }
    /// ```
    pub fn off(&self, listener: ListenerId) -> bool {
        self.listeners().off(listener)
    }

    /// Removes all listeners of an event. How many there were.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on("news", async || println!("news"));
    /// client.once("news", async || println!("the first news"));
    /// assert_eq!(client.off_all("news"), 2);
    /// # Ok(()) }) }
    /// ```
    pub fn off_all(&self, event: &str) -> usize {
        self.listeners().off_all(event)
    }

    /// Removes every listener of this namespace, whatever it listens to (`removeAllListeners()`, and `offAny()`).
    /// [Streams of events](Self::events) end.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on("news", async || println!("news"));
    /// client.on_disconnect(async || println!("disconnected"));
    /// client.off_everything();
    /// assert!(client.event_names().is_empty());
    /// # Ok(()) }) }
    /// ```
    pub fn off_everything(&self) {
        self.listeners().clear();
        // A stream may have been full.
        self.shared().signal.raise(Reasons::MACHINE);
    }

    /// The listeners of an event, in the order in which they are called (`listeners`, `hasListeners`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let listener = client.on("news", async || println!("news"));
    /// assert_eq!(client.listeners_of("news"), [listener]);
    /// assert!(client.listeners_of("olds").is_empty());
    /// # Ok(()) }) }
    /// ```
    pub fn listeners_of(&self, event: &str) -> Vec<ListenerId> {
        self.listeners().ids(|table| table.events.get(event))
    }

    /// The events that somebody listens to, in the order of their names (`eventNames`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on("news", async || println!("news"));
    /// client.once("end", async || println!("no more"));
    /// client.on("news", async || println!("more news"));
    /// assert_eq!(client.event_names(), ["end", "news"]);
    /// # Ok(()) }) }
    /// ```
    pub fn event_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.listeners().read(|table| table.events.keys().map(ToString::to_string).collect());
        names.sort_unstable();
        names
    }

    /// Calls a listener for every event that arrives, before those of its name.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_any(|event: &Event<Client>| println!("got {} {:?}", event.name(), event.values()));
    /// # Ok(()) }) }
    /// ```
    pub fn on_any(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.listeners().add(|table| &mut table.any, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// The same, in front of the listeners of that kind that there are (`prependAny`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let second = client.on_any(|event| println!("got {}", event.name()));
    /// let first = client.prepend_any(|_| println!("something came"));
    /// assert_eq!(client.listeners_any(), [first, second]);
    /// # Ok(()) }) }
    /// ```
    pub fn prepend_any(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.listeners().add_first(|table| &mut table.any, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// Removes all listeners of [`on_any`](Self::on_any): how many there were (`offAny()`). [Streams of events](Self::events)
    /// hear of the server's events that way, too.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_any(|event| println!("got {}", event.name()));
    /// assert_eq!(client.off_any(), 1);
    /// # Ok(()) }) }
    /// ```
    pub fn off_any(&self) -> usize {
        self.listeners().off_list(|table| &mut table.any)
    }

    /// The listeners of [`on_any`](Self::on_any), in the order in which they are called (`listenersAny`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert!(client.listeners_any().is_empty());
    /// let listener = client.on_any(|event| println!("got {}", event.name()));
    /// assert_eq!(client.listeners_any(), [listener]);
    /// # Ok(()) }) }
    /// ```
    pub fn listeners_any(&self) -> Vec<ListenerId> {
        self.listeners().ids(|table| Some(&table.any))
    }

    /// Calls a listener for every event that is sent, when it is: one that waits is reported once its turn has come.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_any_outgoing(|event: &Event<Client>| println!("sent {} {:?}", event.name(), event.values()));
    /// client.emit("say", "hello")?;
    /// # Ok(()) }) }
    /// ```
    pub fn on_any_outgoing(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.listeners().add(|table| &mut table.outgoing, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// The same, in front of the listeners of that kind that there are (`prependAnyOutgoing`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let second = client.on_any_outgoing(|event| println!("sent {}", event.name()));
    /// let first = client.prepend_any_outgoing(|_| println!("something was sent"));
    /// assert_eq!(client.listeners_any_outgoing(), [first, second]);
    /// # Ok(()) }) }
    /// ```
    pub fn prepend_any_outgoing(&self, listener: impl Fn(&Event<Self>) + Send + Sync + 'static) -> ListenerId {
        self.listeners().add_first(|table| &mut table.outgoing, Arc::new(listener) as Arc<OnAny<Self>>)
    }

    /// Removes all listeners of [`on_any_outgoing`](Self::on_any_outgoing): how many there were (`offAnyOutgoing()`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_any_outgoing(|event| println!("sent {}", event.name()));
    /// assert_eq!(client.off_any_outgoing(), 1);
    /// # Ok(()) }) }
    /// ```
    pub fn off_any_outgoing(&self) -> usize {
        self.listeners().off_list(|table| &mut table.outgoing)
    }

    /// The listeners of [`on_any_outgoing`](Self::on_any_outgoing), in the order in which they are called
    /// (`listenersAnyOutgoing`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let listener = client.on_any_outgoing(|event| println!("sent {}", event.name()));
    /// assert_eq!(client.listeners_any_outgoing(), [listener]);
    /// # Ok(()) }) }
    /// ```
    pub fn listeners_any_outgoing(&self) -> Vec<ListenerId> {
        self.listeners().ids(|table| Some(&table.outgoing))
    }

    /// Runs when the namespace is connected, again after each reconnection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_connect(async |client: Client| {
    ///     println!("connected as {:?}, recovered: {}", client.id(), client.is_recovered());
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on_connect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectContext<Self>, (), M>,
    {
        self.listeners().add(|table| &mut table.connect, handler::settle(handler, Arc::new(())))
    }

    /// Runs when the namespace could not be connected; [`Error`](super::Error) says why, and [`is_active`](Self::is_active)
    /// whether it is tried again.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_connect_error(async |client: Client, error: Error| {
    ///     println!("{error}, tried again: {}", client.is_active());
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on_connect_error<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<ConnectErrorContext, (), M>,
    {
        self.listeners().add(|table| &mut table.connect_error, handler::settle(handler, Arc::new(())))
    }

    /// Runs when the namespace is disconnected; [`DisconnectReason`](super::DisconnectReason) says why, and
    /// `Option<`[`Error`](super::Error)`>` what is behind that, if something is (`details`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_disconnect(async |reason: DisconnectReason, details: Option<Error>| match details {
    ///     Some(error) => println!("{reason}: {error}"),
    ///     None => println!("{reason}"),
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on_disconnect<H, M>(&self, handler: H) -> ListenerId
    where
        H: Handler<DisconnectContext<Self>, (), M>,
    {
        self.listeners().add(|table| &mut table.disconnect, handler::settle(handler, Arc::new(())))
    }

    /// Calls a listener for what goes wrong in handlers; without one it is reported to `tracing` and standard error.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.on_error(|error: &HandlerError<Client>| eprintln!("{error}"));
    /// client.on("news", async |Args(number): Args<u32>| println!("{number}")); // What if it is a text?
    /// # Ok(()) }) }
    /// ```
    pub fn on_error(&self, listener: impl Fn(&HandlerError<Self>) + Send + Sync + 'static) -> ListenerId {
        self.listeners().add(|table| &mut table.error, Arc::new(listener) as Arc<OnError<Self>>)
    }
}
