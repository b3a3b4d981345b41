//! Who listens to a socket.

use std::sync::{Arc, atomic::Ordering};

use super::Socket;
use crate::{
    Event, Handler, ListenerId, TypedEvent,
    handler::{self, DisconnectContext, EventContext, Listeners, OnAny},
    signal::Reasons,
};

impl Socket {
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

    /// Forgets the listeners of a socket that is gone, and what they captured: this very socket, for instance.
    pub(in crate::socketio) fn forget_listeners(&self) {
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
}
