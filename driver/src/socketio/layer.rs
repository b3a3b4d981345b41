//! The hub behind its lock, and what a connection's machine is for the driver.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    mem,
    ops::AddAssign as _,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::Waker,
};

use bytes::BytesMut;
use sockeye_protocol::{
    Config, ConnKey, Instant, NspId, RequestId, Seed, Sid, SocketKey, TransportId, engine,
    http::{Body, Request},
    server::{self, AckId, Connection, ConnectionEvent, ConnectionOutput, Hub, HubEvent, HubOutput, HubRoute, Stats},
    socket::PayloadRef,
    ws::TransmitQueue,
};

use super::{ack::Waiter, namespace::NamespaceInner, seats::Seats, socket::SocketData};
use crate::{
    EmitError,
    core::{Core, Level},
    layer::{Layer, Machine, Output, Route, by_the_same_names},
    link::{Link, Links},
    runtime::lock,
};

/// A Socket.IO server: what its connections and all its handles share.
pub(crate) struct SocketIo {
    core: Core,
    hub: Mutex<Shared>,
    /// With [`Config::recovery`]: the data of sockets that may come back, and of those that are here. Not locked together
    /// with anything else.
    data: Mutex<BTreeMap<(NspId, Sid), Arc<SocketData>>>,
    /// By [`NspId::index`].
    namespaces: RwLock<Vec<Arc<NamespaceInner>>>,
}

struct Shared {
    hub: Hub,
    links: Links<Connection>,
    /// The deadline of the hub that the timers know of.
    armed: Option<Instant>,
}

/// Attempts to have hub and machine at once without waiting for the second.
const TRIES: u8 = 8;

/// Puts an event for a connection into its mail.
pub(crate) type Post<'a> = &'a mut dyn FnMut(ConnKey, HubEvent);

thread_local! {
    /// Who is to be woken after the hub's lock: kept for the next time.
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

impl SocketIo {
    pub(crate) fn new(config: Config, seed: &Seed) -> Self {
        // Room operations are outputs that nobody here listens to.
        let core = Core::new(Config { room_events: false, ..config });
        let hub = Hub::new(Arc::clone(&core.config), seed);
        Self {
            core,
            hub: Mutex::new(Shared { hub, links: Links::default(), armed: None }),
            data: Mutex::default(),
            namespaces: RwLock::new(Vec::new()),
        }
    }

    /// Does something with the hub. Those whom it concerns are woken after its lock.
    pub(crate) fn hub<T>(&self, act: impl FnOnce(&mut Hub, Post<'_>) -> T) -> T {
        let mut wakers = WAKERS.try_with(|place| mem::take(&mut *place.borrow_mut())).unwrap_or_default();
        let mut piles = Vec::new();
        let mut forgotten = Vec::new();
        let done = {
            let mut shared = lock(&self.hub);
            let Shared { hub, links, armed } = &mut *shared;
            let done = act(hub, &mut |key, event| {
                let Some(link) = links.get(key) else { return };
                let (waker, piles_up) = link.post(event);
                wakers.extend(waker);
                if piles_up {
                    piles.push(Arc::clone(link));
                }
            });
            if self.core.config.recovery.is_some() {
                forgotten.extend(std::iter::from_fn(|| hub.poll_output()));
                let deadline = hub.poll_timeout();
                if *armed != deadline {
                    *armed = deadline;
                    wakers.extend(self.core.timers.arm(deadline));
                }
            }
            done
        };
        for output in forgotten {
            if let HubOutput::Forgotten { namespace, sid } = output {
                self.forget_data(namespace, sid);
            }
        }
        // Their owners do not get to it: too much is broadcast without a pause, or a handler computes for long.
        for link in piles {
            drop(link.lock(self.core.now()));
        }
        self.core.pace.wake(&mut wakers, || self.core.runtime());
        // A thread that ends has no place for them any more.
        let _ = WAKERS.try_with(|place| *place.borrow_mut() = wakers);
        done
    }

    /// Forwards what a connection said.
    pub(super) fn forward(&self, from: ConnKey, event: ConnectionEvent) {
        let now = self.core.now();
        self.hub(|hub, mut post| hub.handle_event(now, from, event, &mut post));
    }

    /// Sends an event to one socket, with its offset and its place in the log. If its queue is full, `waker` is woken when
    /// there may be room.
    ///
    /// Offsets must be in the order in which the client gets events, so nobody else may have the hub meanwhile, nor the
    /// machine. Its owner may have that for as long as a write takes: it is not waited for with the hub's lock held, unless
    /// that is bad luck time and again.
    pub(super) fn emit_logged(
        &self,
        link: &Arc<Link<Connection>>,
        socket: SocketKey,
        event: PayloadRef<'_>,
        waker: Option<&Waker>,
    ) -> Result<(), EmitError> {
        let now = self.core.now();
        let mut tries = 0_u8..TRIES;
        let sent = loop {
            let is_last = tries.next().is_none();
            let sent = self.hub(|hub, mut post| {
                let mut locked = if is_last { link.lock(now) } else { link.try_lock(now)? };
                let sent = locked.act(|connection, rest| {
                    let sent = hub.emit(now, connection, socket, event, &mut post);
                    if let (Err(EmitError::Full(_)), Some(waker)) = (&sent, waker) {
                        rest.await_room(waker);
                    }
                    sent
                });
                Some(sent.unwrap_or(Err(EmitError::NotConnected)))
            });
            match sent {
                Some(sent) => break sent,
                None => drop(link.lock(now)),
            }
        };
        if !matches!(sent, Err(EmitError::Full(_))) {
            link.call_owner();
        }
        sent
    }

    /// The data of a socket that comes back.
    pub(super) fn kept_data(&self, socket: SocketKey, sid: Sid) -> Option<Arc<SocketData>> {
        lock(&self.data).get(&(socket.namespace(), sid)).cloned()
    }

    /// Keeps the data of a socket until it is forgotten.
    pub(super) fn keep_data(&self, socket: SocketKey, sid: Sid, data: Arc<SocketData>) {
        lock(&self.data).insert((socket.namespace(), sid), data);
    }

    pub(super) fn forget_data(&self, namespace: NspId, sid: Sid) {
        let data = lock(&self.data).remove(&(namespace, sid));
        // Without the lock.
        drop(data);
    }

    /// Carries out a request on a selection of sockets: the number that it reached.
    pub(super) fn select(&self, act: impl FnOnce(&mut Hub, Post<'_>) -> server::SelectionId) -> usize {
        self.hub(|hub, post| {
            let id = act(hub, post);
            std::iter::from_fn(|| hub.poll_output())
                .find_map(|output| match output {
                    HubOutput::Selection { id: answered, sockets } if answered == id => Some(sockets),
                    _ => None,
                })
                .unwrap_or_default()
        })
    }

    /// The namespace of a name, made if there is none.
    pub(super) fn namespace(&self, name: &str) -> (NspId, Arc<NamespaceInner>) {
        let mut namespaces = self.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        let (id, names) = self.hub(|hub, _| {
            let id = hub.add_namespace(name);
            // Those that the hub has and this list has not: this one, or "/", which is there from the start.
            let new = hub.namespaces().skip(namespaces.len());
            (id, new.map(|(_, name)| name.clone()).collect::<Vec<_>>())
        });
        namespaces.extend(names.into_iter().map(|name| Arc::new(NamespaceInner::new(name))));
        let inner = namespaces.get(id.index()).cloned();
        (id, inner.unwrap_or_else(|| Arc::new(NamespaceInner::new(name.into()))))
    }

    pub(super) fn namespace_by_id(&self, id: NspId) -> Option<Arc<NamespaceInner>> {
        let namespaces = self.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        namespaces.get(id.index()).cloned()
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = lock(&self.hub).hub.stats();
        stats.tasks = self.core.task_count();
        for link in self.links() {
            stats.add_assign(link.stats());
        }
        stats
    }
}

impl Layer for SocketIo {
    type Machine = Connection;
    type Seats = Seats;

    fn core(&self) -> &Core {
        &self.core
    }

    fn route(&self, now: Instant, head: &Request<'_>) -> Route<Connection> {
        let mut shared = lock(&self.hub);
        let Shared { hub, links, .. } = &mut *shared;
        match hub.route(head) {
            HubRoute::NotFound => Route::NotFound,
            HubRoute::Response(response) => Route::Response(response),
            HubRoute::Existing(key) => match links.get(key) {
                Some(link) => Route::Existing(Arc::clone(link)),
                None => Route::Response(engine::gone(hub.config(), head, true)),
            },
            HubRoute::Open if self.core.gate.is(Level::Closing) => {
                Route::Response(engine::unavailable(hub.config(), head))
            }
            HubRoute::Open => {
                let connection = hub.open(now, head);
                let key = connection.key();
                let link = Arc::new(Link::new(key, connection));
                links.insert(Arc::clone(&link));
                Route::Open(link)
            }
        }
    }

    fn link(&self, key: ConnKey) -> Option<Arc<Link<Connection>>> {
        lock(&self.hub).links.get(key).cloned()
    }

    fn links(&self) -> Vec<Arc<Link<Connection>>> {
        lock(&self.hub).links.all()
    }

    fn remove(&self, key: ConnKey) {
        let removed = lock(&self.hub).links.remove(key);
        // Without the lock.
        drop(removed);
    }

    fn handle_timeout(&self, now: Instant) {
        self.hub(|hub, _| hub.handle_timeout(now));
    }

    fn forget_handlers(&self) {
        self.hub(|hub, _| hub.forget_sessions());
        let namespaces = self.namespaces.read().unwrap_or_else(PoisonError::into_inner).clone();
        namespaces.iter().for_each(|namespace| namespace.listeners.clear());
    }
}

/// What a connection says that is not a stream's or a request's business.
pub(crate) enum Said {
    Event(server::Event),
    Hub(ConnectionEvent),
}

/// Who waits for acknowledgements.
pub(crate) type Waiters = BTreeMap<(SocketKey, AckId), Waiter>;

impl Machine for Connection {
    type Said = Said;
    type Letter = HubEvent;
    type Beside = Waiters;

    by_the_same_names!();

    fn handle_letter(&mut self, now: Instant, letter: HubEvent) {
        self.handle_hub_event(now, letter);
    }

    fn poll_output(&mut self) -> Option<Output<Said>> {
        loop {
            return Some(match Self::poll_output(self)? {
                ConnectionOutput::Respond { id, response } => Output::Respond { id, response },
                ConnectionOutput::Upgrade { id, response, transport } => Output::Upgrade { id, response, transport },
                ConnectionOutput::Shutdown(transport) => Output::Shutdown(transport),
                ConnectionOutput::Abort(transport) => Output::Abort(transport),
                ConnectionOutput::Event(event) => Output::Said(Said::Event(event)),
                ConnectionOutput::Hub(event) => Output::Said(Said::Hub(event)),
                // Something that only a later version of the core says, and that its driver would know.
                _ => continue,
            });
        }
    }

    fn shutdown(&mut self, now: Instant) {
        Self::shutdown(self, now);
    }

    fn stats(&self) -> Stats {
        Self::stats(self)
    }

    fn forsake(beside: &mut Waiters) -> (Waiters, Option<Waker>) {
        (mem::take(beside), None)
    }

    /// The machine counts the acknowledgements that are waited for.
    fn held(_: &Waiters) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::OwnersTask;

    /// It is moved about with each message.
    #[test]
    fn what_a_connection_says_is_small() {
        assert!(size_of::<Option<OwnersTask<Said>>>() <= 128, "{}", size_of::<Option<OwnersTask<Said>>>());
    }
}
