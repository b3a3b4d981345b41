//! The sockets of one connection, and their handlers: what runs when.
//!
//! - Handlers start in the order in which events arrive, each runs to its first await before the next starts, and no
//!   task is spawned for them: those that wait are polled by the connection's owner.
//! - While [`Limits::handlers`](crate::Limits::handlers) of a socket wait, and while its connect handler runs and nobody
//!   listens to an event yet, events are parked. When [`Limits::parked`](crate::Limits::parked) of a socket are, or on all
//!   of the connection more bytes than one packet may have ([`Limits::max_packet_bytes`](crate::Limits::max_packet_bytes)):
//!   the peer is not read from until handlers return; but a connect handler is not waited for any longer.
//! - After a disconnect handlers run on to their end. While [`Limits::handlers`](crate::Limits::handlers) of a connection
//!   do, the peer is not read from: or it would only have to leave and come back to have more of them.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    task::Context,
};

use arc_swap::Guard;
use sockeye_protocol::{
    Limits, SocketKey, Text,
    server::{AckToken, ConnectError, ConnectRequest, Connection, DisconnectReason, Event as CoreEvent},
    socket::Args,
};

use super::{
    Ack, Event, Socket, SocketIo,
    layer::{Said, Waiters},
};
use crate::{
    handler::{
        self, BoxError, Call, ConnectContext, DisconnectContext, EventContext, Flights, Guarded, HandlerError,
        HandlerFault, Listener, Listeners, Room, Subject, Table, panic_text,
    },
    layer::{Held, Layer as _, Ownership, Seats as SeatsOf},
    runtime::BoxFuture,
};

type Owner<'a> = Ownership<'a, SocketIo>;

/// The sockets of one connection, and the handlers in flight.
#[derive(Default)]
pub(crate) struct Seats {
    seats: Vec<Seat>,
    flights: Flights<Socket, Kind>,
    /// Bytes of all events that are parked.
    parked_bytes: usize,
    /// Handlers in flight whose seat is gone. They wait for nothing of the peer: acknowledgements have ended.
    orphans: usize,
    full: bool,
}

struct Seat {
    socket: Socket,
    /// Until the middlewares have decided.
    request: Option<Box<ConnectRequest>>,
    /// Connect handlers that have not returned.
    connecting: usize,
    /// Event handlers that have not returned.
    handling: usize,
    /// All of its handlers that have not returned.
    flights: usize,
    parked: VecDeque<Parked>,
}

impl Drop for Seat {
    /// A listener of the socket's own may have captured the socket.
    fn drop(&mut self) {
        self.socket.inner_namespace().parked.fetch_sub(self.parked.len(), Ordering::Relaxed);
        self.socket.forget_listeners();
    }
}

/// An event that waits for its turn.
struct Parked {
    name: Text,
    args: Args,
    ack: Option<Ack>,
    /// The catch-all listeners have been called.
    announced: bool,
}

impl Parked {
    fn size(&self) -> usize {
        handler::size(&self.name, &self.args)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Middleware,
    Connect,
    Event,
    Disconnect,
}

type Flight = handler::Flight<Socket, Kind>;
type Landed = handler::Landed<Socket, Kind>;

impl SeatsOf<SocketIo> for Seats {
    fn handle(&mut self, owner: &Owner<'_>, mut cx: Option<&mut Context<'_>>, said: Said) {
        let cx = &mut cx;
        match said {
            Said::Hub(event) => owner.layer.forward(owner.link.key, event),
            Said::Event(CoreEvent::Connect(request)) => self.on_request(owner, cx, request),
            Said::Event(CoreEvent::Packet { socket, event, args, ack }) => {
                self.on_packet(owner, cx, socket, event, args, ack);
            }
            Said::Event(CoreEvent::Ack { socket, id, outcome }) => {
                let waiter = owner.link.lock(owner.now).rest().beside.remove(&(socket, id));
                if let Some(waiter) = waiter
                    && let Err(panic) = catch_unwind(AssertUnwindSafe(|| waiter.settle(outcome)))
                    && let Some(seat) = self.seat(socket)
                {
                    report(seat.socket.clone(), None, HandlerFault::Panicked(panic_text(&*panic)));
                }
                // What a handler that waited has to say comes before whatever the client says next.
                if let Some(cx) = cx {
                    self.poll(owner, cx, false);
                }
            }
            Said::Event(CoreEvent::Disconnecting { socket, reason }) => {
                self.start_parked(cx, socket);
                self.on_disconnect(cx, socket, reason, |listeners| listeners.read(|table| table.disconnecting.clone()));
            }
            Said::Event(CoreEvent::Disconnect { socket, reason, error }) => {
                if let Some(seat) = self.seat(socket) {
                    seat.socket.set_connected(false);
                    if let Some(error) = error {
                        tracing::debug!(socket = %seat.socket.id(), %error, "disconnected");
                    }
                }
                self.on_disconnect(cx, socket, reason, |listeners| listeners.read(|table| table.disconnect.clone()));
                if self.remove(socket).is_some() {
                    // Its events may have been all that kept the peer from being read.
                    self.unpark(owner, cx);
                    // Nobody need wait any more to send it something.
                    owner.link.lock(owner.now).rest().progress = true;
                }
            }
            Said::Event(CoreEvent::Close { reason, error, .. }) => {
                tracing::trace!(connection = %owner.link.key, %reason, ?error, "closed");
            }
            Said::Event(_) => {}
        }
    }

    fn poll(&mut self, owner: &Owner<'_>, cx: &mut Context<'_>, listeners_changed: bool) -> bool {
        let mut any = listeners_changed;
        while let Some(landed) = self.flights.land(cx) {
            any = true;
            self.on_landed(owner, &mut Some(cx), landed);
        }
        if any {
            self.unpark(owner, &mut Some(cx));
        }
        any
    }

    fn is_full(&self, limits: &Limits, _: &Waiters) -> bool {
        self.full || self.orphans >= limits.handlers
    }

    fn held(&self) -> Held {
        Held { parked: self.seats.iter().map(|seat| seat.parked.len()).sum(), handlers: self.flights.len() }
    }

    fn is_idle(&self) -> bool {
        self.flights.len() == 0
    }
}

type Cx<'a, 'b, 'c> = &'a mut Option<&'b mut Context<'c>>;

impl Seats {
    /// A client asks to connect to a namespace.
    fn on_request(&mut self, owner: &Owner<'_>, cx: Cx<'_, '_, '_>, request: ConnectRequest) {
        let Some(namespace) = owner.layer.namespace_by_id(request.socket().namespace()) else { return };
        let middlewares = namespace.listeners.read(|table| table.middlewares.clone());
        let socket = Socket::new(owner.layer, owner.link, namespace, &request);
        let key = socket.key();
        let recovery = owner.layer.core().config.recovery.as_ref();
        let passes = request.is_recovered() && recovery.is_some_and(|recovery| recovery.skip_middlewares);
        self.seats.reserve_exact(1);
        self.seats.push(Seat {
            socket: socket.clone(),
            request: Some(Box::new(request)),
            connecting: 0,
            handling: 0,
            flights: 0,
            parked: VecDeque::new(),
        });
        if middlewares.is_empty() || passes {
            return self.accept(owner, cx, key);
        }
        let context = ConnectContext { socket: socket.clone() };
        let future: BoxFuture<Result<(), BoxError>> = Box::pin(async move {
            for middleware in middlewares.iter() {
                (middleware.call)(&context)?.await?;
            }
            Ok(())
        });
        self.count(key, Kind::Middleware, true);
        let flight = Flight { socket, kind: Kind::Middleware, event: None, future: Guarded(future) };
        if let Some(landed) = self.flights.start(cx.as_deref_mut(), flight) {
            self.on_landed(owner, cx, landed);
        }
    }

    fn accept(&mut self, owner: &Owner<'_>, cx: Cx<'_, '_, '_>, key: SocketKey) {
        let Some(seat) = self.seat(key) else { return };
        let Some(request) = seat.request.take() else { return };
        let socket = seat.socket.clone();
        // Before anybody can say that the session has ended. One that is recovered is kept already.
        let keeps = socket.is_logged() && !socket.recovered();
        if keeps {
            owner.layer.keep_data(key, socket.id(), Arc::clone(socket.shared_data()));
        }
        let accepted =
            owner.link.lock(owner.now).machine().is_some_and(|machine| machine.accept(owner.now, *request).is_ok());
        if !accepted {
            if keeps {
                owner.layer.forget_data(key.namespace(), socket.id());
            }
            self.remove(key);
            return;
        }
        forward_all(owner);
        socket.set_connected(true);
        let listeners = socket.inner_namespace().listeners.read(|table| table.connect.clone());
        if listeners.is_empty() {
            return;
        }
        let context = ConnectContext { socket };
        for listener in listeners.iter() {
            self.call(cx, Kind::Connect, listener, &context);
        }
    }

    fn reject(&mut self, owner: &Owner<'_>, key: SocketKey, fault: HandlerFault) {
        let Some(mut seat) = self.remove(key) else { return };
        let Some(request) = seat.request.take() else { return };
        let refusal = match fault {
            HandlerFault::Returned(error) => match error.downcast::<ConnectError>() {
                Ok(refusal) => Some(*refusal),
                Err(error) => match error.downcast::<HandlerFault>() {
                    // Not the client's business.
                    Ok(fault) => {
                        report(seat.socket.clone(), None, *fault);
                        None
                    }
                    Err(error) => ConnectError::new(&error.to_string()).ok(),
                },
            },
            fault => {
                report(seat.socket.clone(), None, fault);
                None
            }
        };
        let Some(refusal) = refusal.or_else(|| ConnectError::new("internal error").ok()) else { return };
        if let Some(machine) = owner.link.lock(owner.now).machine() {
            // Gone already: nobody is refused.
            let _ = machine.reject(owner.now, *request, &refusal);
        }
        forward_all(owner);
    }

    fn on_packet(
        &mut self,
        owner: &Owner<'_>,
        cx: Cx<'_, '_, '_>,
        key: SocketKey,
        name: Text,
        args: Args,
        ack: Option<AckToken>,
    ) {
        let limits = &owner.layer.core().config.limits;
        let crowded = self.is_crowded(limits);
        let Some(seat) = self.seat(key) else { return };
        let ack = ack.map(|token| Ack::new(seat.socket.clone(), token));
        let mut packet = Parked { name, args, ack, announced: false };
        if seat.parked.is_empty() && seat.may_start(&packet, limits, crowded) {
            let socket = seat.socket.clone();
            return self.dispatch(cx, socket, packet);
        }
        if seat.connecting > 0 && seat.parked.back().is_none_or(|last| last.announced) {
            // Catch-all listeners need not wait for a listener of that name, which may never come.
            let socket = seat.socket.clone();
            packet.announced = announce(&Tables::of(&socket), &socket, &packet);
        }
        self.parked_bytes = self.parked_bytes.saturating_add(packet.size());
        let crowded = self.is_crowded(limits);
        let Some(seat) = self.seat(key) else { return };
        seat.parked.push_back(packet);
        // Whoever registers a listener sees that, or is seen here.
        seat.socket.inner_namespace().parked.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if crowded || seat.parked.front().is_some_and(|first| seat.may_start(first, limits, crowded)) {
            self.unpark(owner, cx);
        }
        let bytes = self.parked_bytes;
        self.full |= self.seat(key).is_some_and(|seat| seat.is_full(limits, false, bytes));
    }

    /// Starts what has waited long enough, in order.
    fn unpark(&mut self, owner: &Owner<'_>, cx: Cx<'_, '_, '_>) {
        let limits = &owner.layer.core().config.limits;
        let keys: Vec<SocketKey> =
            self.seats.iter().filter(|seat| !seat.parked.is_empty()).map(|seat| seat.socket.key()).collect();
        for key in keys {
            loop {
                let crowded = self.is_crowded(limits);
                let Some(seat) = self.seat(key) else { break };
                if !seat.parked.front().is_some_and(|first| seat.may_start(first, limits, crowded)) {
                    break;
                }
                let Some((socket, packet)) = self.take_parked(key) else { break };
                self.dispatch(cx, socket, packet);
            }
        }
        let (bytes, was_full) = (self.parked_bytes, self.full);
        self.full = self.seats.iter().any(|seat| seat.is_full(limits, was_full, bytes));
    }

    /// Whether more is parked than any packet may have: so one of any size may wait.
    fn is_crowded(&self, limits: &Limits) -> bool {
        room(limits).is_crowded(self.parked_bytes)
    }

    fn take_parked(&mut self, key: SocketKey) -> Option<(Socket, Parked)> {
        let seat = self.seat(key)?;
        let packet = seat.parked.pop_front()?;
        if seat.parked.is_empty() {
            seat.parked = VecDeque::new();
        }
        let socket = seat.socket.clone();
        socket.inner_namespace().parked.fetch_sub(1, Ordering::Relaxed);
        self.parked_bytes = self.parked_bytes.saturating_sub(packet.size());
        Some((socket, packet))
    }

    /// Starts all that waits, whatever it waits for: the socket goes, and what arrived before is handled before that.
    fn start_parked(&mut self, cx: Cx<'_, '_, '_>, key: SocketKey) {
        while let Some((socket, packet)) = self.take_parked(key) {
            self.dispatch(cx, socket, packet);
        }
    }

    /// Calls everybody who listens to an event.
    fn dispatch(&mut self, cx: Cx<'_, '_, '_>, socket: Socket, packet: Parked) {
        let mut tables = Tables::of(&socket);
        if !packet.announced && announce(&tables, &socket, &packet) {
            // One of them may just have registered another listener.
            tables = Tables::of(&socket);
        }
        let Parked { name, args, ack, .. } = packet;
        let lists = tables.each().map(|table| table.and_then(|table| table.events.get(&*name)));
        if lists.iter().all(Option::is_none) {
            return;
        }
        let context = EventContext { socket, name, args, ack };
        for (list, is_own) in lists.into_iter().zip([false, true]) {
            for listener in list.into_iter().flat_map(|list| list.iter()).filter(|listener| listener.claim()) {
                if listener.is_once() {
                    let namespace = &context.socket.inner_namespace().listeners;
                    let listeners = if is_own { context.socket.listeners() } else { Some(namespace) };
                    listeners.map(|listeners| listeners.off(listener.id()));
                }
                self.call(cx, Kind::Event, listener, &context);
            }
        }
    }

    fn on_disconnect(
        &mut self,
        cx: Cx<'_, '_, '_>,
        key: SocketKey,
        reason: DisconnectReason,
        list: impl Fn(&Listeners) -> handler::List<Call<DisconnectContext>>,
    ) {
        let Some(seat) = self.seat(key) else { return };
        let socket = seat.socket.clone();
        let of_namespace = list(&socket.inner_namespace().listeners);
        let own = socket.listeners().map(&list).unwrap_or_default();
        if of_namespace.is_empty() && own.is_empty() {
            return;
        }
        let context = DisconnectContext { socket, reason, details: () };
        for listener in of_namespace.iter().chain(own.iter()) {
            self.call(cx, Kind::Disconnect, listener, &context);
        }
    }

    /// Calls one listener.
    fn call<C: Subject<Side = Socket>>(
        &mut self,
        cx: Cx<'_, '_, '_>,
        kind: Kind,
        listener: &Listener<Call<C>>,
        context: &C,
    ) {
        match handler::call(cx.as_deref_mut(), &*listener.call, context) {
            Ok(None) => {}
            Ok(Some(future)) => {
                let (socket, event) = (context.socket().clone(), context.event().cloned());
                self.take_off(Flight { socket, kind, event, future });
            }
            Err(fault) => report(context.socket().clone(), context.event().cloned(), fault),
        }
    }

    fn take_off(&mut self, flight: Flight) {
        self.count(flight.socket.key(), flight.kind, true);
        self.flights.push(flight);
    }

    fn on_landed(&mut self, owner: &Owner<'_>, cx: Cx<'_, '_, '_>, landed: Landed) {
        let Landed { socket, kind, event, result } = landed;
        let key = socket.key();
        self.count(key, kind, false);
        match (kind, result) {
            (Kind::Middleware, Ok(())) => self.accept(owner, cx, key),
            (Kind::Middleware, Err(fault)) => self.reject(owner, key, fault),
            (_, Ok(())) => {}
            (_, Err(fault)) => report(socket, event, fault),
        }
    }

    /// Counts a handler that is in flight, or is no longer.
    fn count(&mut self, key: SocketKey, kind: Kind, begins: bool) {
        match self.seat(key) {
            Some(seat) => seat.count(kind, begins),
            None => change(&mut self.orphans, begins),
        }
    }

    fn seat(&mut self, key: SocketKey) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.socket.key() == key)
    }

    fn remove(&mut self, key: SocketKey) -> Option<Seat> {
        let index = self.seats.iter().position(|seat| seat.socket.key() == key)?;
        let seat = self.seats.remove(index);
        let parked = seat.parked.iter().map(Parked::size);
        self.parked_bytes = parked.fold(self.parked_bytes, usize::saturating_sub);
        self.orphans = self.orphans.saturating_add(seat.flights);
        if self.seats.is_empty() {
            self.seats = Vec::new();
        }
        Some(seat)
    }
}

impl Seat {
    /// Whether an event can be handled now, once those in front of it are.
    fn may_start(&self, packet: &Parked, limits: &Limits, crowded: bool) -> bool {
        if self.handling >= limits.handlers {
            return false;
        }
        let listens = |listeners: &Listeners| listeners.read(|table| table.events.contains_key(&*packet.name));
        self.connecting == 0
            // A connect handler that never returns, and that registers nobody for this, does not hold up the rest for ever.
            || self.parked.len() >= limits.parked
            || crowded
            || listens(&self.socket.inner_namespace().listeners)
            || self.socket.listeners().is_some_and(listens)
    }

    /// Whether the peer should not be read from, for handlers have too much to do.
    fn is_full(&self, limits: &Limits, was_full: bool, bytes: usize) -> bool {
        self.handling >= limits.handlers && room(limits).is_full(was_full, self.parked.len(), bytes)
    }

    fn count(&mut self, kind: Kind, begins: bool) {
        change(&mut self.flights, begins);
        match kind {
            Kind::Connect => change(&mut self.connecting, begins),
            Kind::Event => change(&mut self.handling, begins),
            Kind::Middleware | Kind::Disconnect => {}
        }
    }
}

/// What may wait for handlers: events of a socket, and bytes of all those of a connection.
fn room(limits: &Limits) -> Room {
    Room { events: limits.parked, bytes: limits.max_packet_bytes }
}

fn change(count: &mut usize, begins: bool) {
    *count = if begins { count.saturating_add(1) } else { count.saturating_sub(1) };
}

/// Who listens, in a socket's namespace and on the socket itself.
struct Tables {
    of_namespace: Guard<Arc<Table>>,
    of_socket: Option<Guard<Arc<Table>>>,
}

impl Tables {
    fn of(socket: &Socket) -> Self {
        Self {
            of_namespace: socket.inner_namespace().listeners.table(),
            of_socket: socket.listeners().map(Listeners::table),
        }
    }

    fn each(&self) -> [Option<&Table>; 2] {
        [Some(&self.of_namespace), self.of_socket.as_deref().map(|table| &**table)]
    }
}

/// Calls the catch-all listeners. Whether there were any.
fn announce(tables: &Tables, socket: &Socket, packet: &Parked) -> bool {
    let tables = tables.each().into_iter().flatten();
    if tables.clone().all(|table| table.any.is_empty()) {
        return false;
    }
    let any = tables.flat_map(|table| table.any.iter());
    let Parked { name, args, ack, .. } = packet;
    let event = Event { socket: Some(socket.clone()), name: name.clone(), args: args.clone(), ack: ack.clone() };
    handler::announce(any, &event, |fault| {
        report(socket.clone(), Some(name.clone()), fault);
    })
}

/// Tells the hub what a verb made the machine say, before the application goes on.
fn forward_all(owner: &Owner<'_>) {
    while let Some(event) = {
        let mut locked = owner.link.lock(owner.now);
        locked.machine().and_then(Connection::poll_hub_event)
    } {
        owner.layer.forward(owner.link.key, event);
    }
}

fn report(socket: Socket, event: Option<Text>, fault: HandlerFault) {
    let namespace = Arc::clone(socket.inner_namespace());
    namespace.listeners.report(&HandlerError { socket, event, fault });
}
