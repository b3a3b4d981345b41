//! Who listens to what: the tables of a namespace and of a socket.

use std::{
    any::Any,
    fmt, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};

use super::{Call, ConnectContext, DisconnectContext, EventContext, HandlerError, Side};
use crate::{Event, Socket, client::ConnectErrorContext, flat::FlatMap, runtime::lock};

/// Names one registered listener, for [`Socket::off`](crate::Socket::off) and
/// [`Namespace::off`](crate::Namespace::off).
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// let id: ListenerId = io.on("hello", async || ());
/// assert!(io.off(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

impl ListenerId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Something that listens.
pub(crate) struct Listener<F: ?Sized> {
    id: ListenerId,
    /// For `once`: set by the event that it takes.
    spent: Option<Arc<AtomicBool>>,
    pub(crate) call: Arc<F>,
}

impl<F: ?Sized> Clone for Listener<F> {
    fn clone(&self) -> Self {
        Self { id: self.id, spent: self.spent.clone(), call: Arc::clone(&self.call) }
    }
}

impl<F: ?Sized> Listener<F> {
    /// Whether this one is to be called now.
    pub(crate) fn claim(&self) -> bool {
        self.spent.as_ref().is_none_or(|spent| !spent.swap(true, Ordering::AcqRel))
    }

    pub(crate) fn is_once(&self) -> bool {
        self.spent.is_some()
    }

    pub(crate) fn id(&self) -> ListenerId {
        self.id
    }
}

/// Listeners in the order in which they were registered. Whoever calls them holds the list, and no lock.
pub(crate) type List<F> = Arc<[Listener<F>]>;

pub(crate) type OnAny<T = Socket> = dyn Fn(&Event<T>) + Send + Sync;
pub(crate) type OnError<T = Socket> = dyn Fn(&HandlerError<T>) + Send + Sync;

/// A list that held a listener which was removed, to be dropped.
type Removed = Box<dyn Any>;

/// All that can be listened to.
pub(crate) struct Table<T: Side = Socket> {
    pub(crate) events: FlatMap<Arc<str>, List<Call<EventContext<T>>>>,
    pub(crate) any: List<OnAny<T>>,
    pub(crate) outgoing: List<OnAny<T>>,
    pub(crate) middlewares: List<Call<ConnectContext<T>>>,
    pub(crate) connect: List<Call<ConnectContext<T>>>,
    /// Of clients only.
    pub(crate) connect_error: List<Call<ConnectErrorContext>>,
    pub(crate) disconnecting: List<Call<DisconnectContext<T>>>,
    pub(crate) disconnect: List<Call<DisconnectContext<T>>>,
    pub(crate) error: List<OnError<T>>,
}

impl<T: Side> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            events: self.events.clone(),
            any: self.any.clone(),
            outgoing: self.outgoing.clone(),
            middlewares: self.middlewares.clone(),
            connect: self.connect.clone(),
            connect_error: self.connect_error.clone(),
            disconnecting: self.disconnecting.clone(),
            disconnect: self.disconnect.clone(),
            error: self.error.clone(),
        }
    }
}

impl<T: Side> Default for Table<T> {
    fn default() -> Self {
        Self {
            events: FlatMap::default(),
            any: List::default(),
            outgoing: List::default(),
            middlewares: List::default(),
            connect: List::default(),
            connect_error: List::default(),
            disconnecting: List::default(),
            disconnect: List::default(),
            error: List::default(),
        }
    }
}

/// Listeners, each list in the order of registration. Reading takes no lock, whatever is registered or removed meanwhile.
pub(crate) struct Listeners<T: Side = Socket> {
    table: ArcSwap<Table<T>>,
    /// Whether anybody is in the list of those who hear what is sent: asked for each event, which needs nothing else of the
    /// table.
    hears_outgoing: AtomicBool,
    /// Held by whoever changes the table, which is replaced.
    changing: Mutex<()>,
}

impl<T: Side> Default for Listeners<T> {
    fn default() -> Self {
        Self { table: ArcSwap::default(), hears_outgoing: AtomicBool::new(false), changing: Mutex::default() }
    }
}

impl<T: Side> Listeners<T> {
    /// The listeners as they are now, for as long as this is held: what is removed meanwhile is called all the same.
    pub(crate) fn table(&self) -> Guard<Arc<Table<T>>> {
        self.table.load()
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&Table<T>) -> R) -> R {
        read(&self.table())
    }

    /// Whether there are catch-all listeners for what is sent.
    pub(crate) fn hears_outgoing(&self) -> bool {
        self.hears_outgoing.load(Ordering::Acquire)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Table<T>) -> R) -> R {
        let changing = lock(&self.changing);
        let mut table = Table::clone(&self.table());
        let changed = change(&mut table);
        self.hears_outgoing.store(!table.outgoing.is_empty(), Ordering::Release);
        let before = self.table.swap(Arc::new(table));
        drop(changing);
        // Without the lock: what a removed listener captured may do anything when it goes.
        drop(before);
        changed
    }

    /// Adds a listener to one of the lists.
    pub(crate) fn add<F: ?Sized>(&self, list: impl FnOnce(&mut Table<T>) -> &mut List<F>, call: Arc<F>) -> ListenerId {
        let id = ListenerId::next();
        self.change(|table| push(list(table), Listener { id, spent: None, call }));
        id
    }

    /// Adds a listener to one of the lists, in front of those that are there.
    pub(crate) fn add_first<F: ?Sized>(
        &self,
        list: impl FnOnce(&mut Table<T>) -> &mut List<F>,
        call: Arc<F>,
    ) -> ListenerId {
        let id = ListenerId::next();
        self.change(|table| {
            let list = list(table);
            *list = [Listener { id, spent: None, call }].into_iter().chain(list.iter().cloned()).collect();
        });
        id
    }

    /// Adds a listener to an event.
    pub(crate) fn on(&self, event: &str, once: bool, call: Arc<Call<EventContext<T>>>) -> ListenerId {
        let id = ListenerId::next();
        let spent = once.then(Arc::default);
        self.change(|table| {
            if !table.events.contains_key(event) {
                table.events.insert(event.into(), List::default());
            }
            if let Some(list) = table.events.get_mut(event) {
                push(list, Listener { id, spent, call });
            }
        });
        id
    }

    /// Removes a listener from whichever list it is in. Whether it was there.
    pub(crate) fn off(&self, id: ListenerId) -> bool {
        // What is removed comes out of the lock, and is dropped without it: what was captured may do anything then.
        self.change(|table| {
            let mut found = None;
            table.events.retain(|list| {
                if found.is_none() {
                    found = remove(list, id);
                }
                !list.is_empty()
            });
            found
                .or_else(|| remove(&mut table.any, id))
                .or_else(|| remove(&mut table.outgoing, id))
                .or_else(|| remove(&mut table.middlewares, id))
                .or_else(|| remove(&mut table.connect, id))
                .or_else(|| remove(&mut table.connect_error, id))
                .or_else(|| remove(&mut table.disconnecting, id))
                .or_else(|| remove(&mut table.disconnect, id))
                .or_else(|| remove(&mut table.error, id))
        })
        .is_some()
    }

    /// Removes all listeners of one of the lists. How many there were.
    pub(crate) fn off_list<F: ?Sized>(&self, list: impl FnOnce(&mut Table<T>) -> &mut List<F>) -> usize {
        self.change(|table| mem::take(list(table))).len()
    }

    /// The names of the listeners in one of the lists, in their order.
    pub(crate) fn ids<F: ?Sized>(&self, list: impl FnOnce(&Table<T>) -> Option<&List<F>>) -> Vec<ListenerId> {
        self.read(|table| list(table).map(|list| list.iter().map(|listener| listener.id).collect()).unwrap_or_default())
    }

    /// Removes all listeners of an event. How many there were.
    pub(crate) fn off_all(&self, event: &str) -> usize {
        self.change(|table| table.events.remove(event)).map_or(0, |list| list.len())
    }

    /// Forgets everything, and with it what the listeners captured.
    pub(crate) fn clear(&self) {
        let table = self.change(mem::take);
        // Dropped without the lock: what was captured may do anything when it goes.
        drop(table);
    }
}

impl<T: Side> fmt::Debug for Listeners<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|table| f.debug_set().entries(table.events.keys()).finish())
    }
}

fn push<F: ?Sized>(list: &mut List<F>, listener: Listener<F>) {
    *list = list.iter().cloned().chain([listener]).collect();
}

fn remove<F: ?Sized + 'static>(list: &mut List<F>, id: ListenerId) -> Option<Removed> {
    if !list.iter().any(|listener| listener.id == id) {
        return None;
    }
    let shorter = list.iter().filter(|listener| listener.id != id).cloned().collect();
    Some(Box::new(mem::replace(list, shorter)))
}
