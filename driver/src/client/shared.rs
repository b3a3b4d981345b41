//! What the handles of a client and its task share.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_channel::oneshot;
use sockeye_protocol::{
    Instant, Text,
    client::{
        AckId, AckOutcome, AckToken, DisconnectReason, EmitError as CoreEmitError, Error, Event, Manager, Output,
        SocketId,
    },
    socket::Args,
};

use super::{Client, ClientEvent, ManagerEvent, UpgradeMemory, client::Inner, queue::Queue};
use crate::{
    EmitError, ListenerId, Runtime,
    flat::FlatMap,
    handler::Room,
    runtime::{self, lock},
    signal::{Reasons, Signal},
    socketio::Waiter,
    turn::{self, Whose},
};

/// One connection with its namespaces. The machine is behind a lock, for those who emit; no user code runs under it.
pub(super) struct Shared {
    pub(super) signal: Signal,
    pub(super) runtime: Arc<dyn Runtime>,
    state: Mutex<State>,
    pub(super) max_attachments: usize,
    /// What a stream holds before the server is not read from.
    pub(super) room: Room,
    listeners: Mutex<OnManagers>,
    memory: Option<UpgradeMemory>,
    /// How many streams of events hold as many as they may, once there is a stream.
    behind: OnceLock<Arc<AtomicUsize>>,
}

pub(super) type OnManager = dyn Fn(&ManagerEvent) + Send + Sync;

/// Whoever calls them holds the list, and no lock.
type OnManagers = Arc<[(ListenerId, Arc<OnManager>)]>;

/// What the lock guards.
pub(super) struct State {
    pub(super) manager: Manager,
    pub(super) waiters: BTreeMap<(SocketId, AckId), Waiter>,
    pub(super) sockets: FlatMap<SocketId, Weak<Inner>>,
    /// Nothing most of the time: what messages need lies closer together without it.
    waiting: Option<Box<Waiting>>,
    /// No handle is left.
    pub(super) is_forsaken: bool,
    /// The task is gone: nothing will happen any more.
    is_over: bool,
}

/// Who waits for something, and who follows it.
#[derive(Default)]
struct Waiting {
    watchers: Vec<Watcher>,
    streams: Vec<Followed>,
    /// Tasks that wait for room to send something.
    room: Vec<Waker>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.streams.is_empty() && self.room.is_empty()
    }
}

/// Who does not wait any longer after something was written.
pub(super) struct Served {
    /// Those who wait for room: there may be some now.
    pub(super) room: Vec<Waker>,
    /// Those who wait until all has left.
    pub(super) flushed: Vec<Watcher>,
}

/// Somebody waits for what becomes of a namespace. Gets nothing if the task ends before.
pub(super) struct Watcher {
    pub(super) socket: SocketId,
    pub(super) wish: Wish,
    pub(super) sender: oneshot::Sender<Result<(), Error>>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// That it is connected, or abandoned.
    Connected,
    /// That it is abandoned.
    Abandoned,
    /// That nothing of it waits to be sent.
    Flushed,
}

/// A stream of a namespace's events.
pub(super) struct Followed {
    pub(super) socket: SocketId,
    pub(super) queue: Arc<Queue<ClientEvent>>,
    /// Whether there was a wish to connect since it was made: it ends with that.
    pub(super) has_begun: bool,
}

/// What is over, and whoever waits for that.
#[derive(Default)]
pub(super) struct Abandoned {
    /// There is no handle any more, and no connection.
    pub(super) is_all: bool,
    /// There is no connection, nor an attempt: if there was one, it says goodbye at most.
    pub(super) is_retired: bool,
    /// Watchers, each with why its namespace is abandoned.
    pub(super) watchers: Vec<(Watcher, Error)>,
    pub(super) streams: Vec<Followed>,
}

impl Shared {
    pub(super) fn new(manager: Manager, runtime: Arc<dyn Runtime>, memory: Option<UpgradeMemory>) -> Self {
        let limits = &manager.config().limits;
        let room = Room { events: limits.parked, bytes: limits.max_packet_bytes };
        Self {
            signal: Signal::new(),
            runtime,
            max_attachments: manager.config().limits.max_attachments,
            room,
            state: Mutex::new(State {
                manager,
                waiters: BTreeMap::new(),
                sockets: FlatMap::default(),
                waiting: None,
                is_forsaken: false,
                is_over: false,
            }),
            listeners: Mutex::new(Arc::default()),
            memory,
            behind: OnceLock::new(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        runtime::now()
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let Some(memory) = &self.memory else { return look(&mut state) };
        // What others have learnt is known before an attempt begins, and what this one learns when it does.
        state.manager.set_prior_websocket_success(memory.has_worked());
        let before = state.manager.prior_websocket_success();
        let done = look(&mut state);
        let after = state.manager.prior_websocket_success();
        if after != before {
            memory.set(after);
        }
        done
    }

    /// Gives the machine something to do, and wakes the task to see to the rest.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        self.give(self.now(), act)
    }

    /// The same where the time of a round that this thread is in will do.
    pub(super) fn with_about<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        self.give(turn::now().unwrap_or_else(|| self.now()), act)
    }

    /// The same for what may fail for want of room.
    pub(super) fn command<T>(
        &self,
        act: impl FnOnce(&mut Manager, Instant) -> Result<T, CoreEmitError>,
    ) -> Result<T, EmitError> {
        Ok(self.with_about(|state, now| act(&mut state.manager, now))?)
    }

    fn give<T>(&self, now: Instant, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let done = self.look(|state| act(state, now));
        self.call_owner();
        done
    }

    /// Has the task see to what the machine was given, unless that is who gave it.
    fn call_owner(&self) {
        if !turn::give(self.whose()) {
            self.signal.raise(Reasons::MACHINE);
        }
    }

    pub(super) fn whose(&self) -> Whose {
        Whose::of(self)
    }

    /// The same, and waits for room where more of it may come. What was not sent is no reason for the task to do anything.
    pub(super) fn send<T>(
        &self,
        cx: &Context<'_>,
        socket: SocketId,
        act: impl FnOnce(&mut Manager, Instant) -> Result<T, CoreEmitError>,
    ) -> Poll<Result<T, EmitError>> {
        let now = self.now();
        let sent = self.look(|state| {
            let sent = act(&mut state.manager, now);
            let is_full = matches!(sent, Err(CoreEmitError::Full(_) | CoreEmitError::BufferFull { .. }));
            if !is_full || state.is_over || state.manager.is_abandoned(socket) {
                return Poll::Ready(sent);
            }
            let room = &mut state.waiting.get_or_insert_default().room;
            if !room.iter().any(|waker| waker.will_wake(cx.waker())) {
                room.push(cx.waker().clone());
            }
            Poll::Pending
        });
        sent.map(|sent| {
            self.call_owner();
            Ok(sent?)
        })
    }

    /// Waits for what becomes of a namespace: `None` if the task has ended.
    pub(super) async fn watch(&self, socket: SocketId, wish: Wish) -> Option<Result<(), Error>> {
        let (sender, receiver) = oneshot::channel();
        self.with(|state, _| match wish {
            _ if state.is_over => {}
            Wish::Connected if state.manager.is_connected(socket) => _ = sender.send(Ok(())),
            wish => state.waiting.get_or_insert_default().watchers.push(Watcher { socket, wish, sender }),
        });
        receiver.await.ok()
    }

    /// Has a stream follow a namespace until it is abandoned.
    pub(super) fn follow(&self, socket: SocketId, queue: Arc<Queue<ClientEvent>>) {
        self.look(|state| match state.is_over {
            true => queue.close(),
            false => {
                let has_begun = !state.manager.is_abandoned(socket);
                state.waiting.get_or_insert_default().streams.push(Followed { socket, queue, has_begun });
            }
        });
    }

    pub(super) fn forget_stream(&self, queue: &Arc<Queue<ClientEvent>>) {
        let forgotten = self.look(|state| {
            let streams = &mut state.waiting.as_mut()?.streams;
            let index = streams.iter().position(|stream| Arc::ptr_eq(&stream.queue, queue))?;
            Some(streams.swap_remove(index))
        });
        drop(forgotten);
    }

    pub(super) fn listen(&self, listener: Arc<OnManager>) -> ListenerId {
        let id = ListenerId::next();
        {
            let mut listeners = lock(&self.listeners);
            *listeners = listeners.iter().cloned().chain([(id, listener)]).collect();
        }
        if self.look(|state| state.is_over) {
            // It would keep what it captured for ever.
            self.unlisten(id);
        }
        id
    }

    pub(super) fn unlisten(&self, id: ListenerId) -> bool {
        let before = {
            let mut listeners = lock(&self.listeners);
            let rest: Arc<[_]> = listeners.iter().filter(|(other, _)| *other != id).cloned().collect();
            mem::replace(&mut *listeners, rest)
        };
        // Dropped without the lock: what was captured may do anything then.
        before.iter().any(|(other, _)| *other == id)
    }

    /// Nothing more will be told.
    pub(super) fn forget_listeners(&self) {
        let listeners = mem::take(&mut *lock(&self.listeners));
        // Without the lock: what was captured may do anything when it goes.
        drop(listeners);
    }

    pub(super) fn tell(&self, event: &ManagerEvent) {
        let listeners = Arc::clone(&lock(&self.listeners));
        for (_, listener) in listeners.iter() {
            // As for those who listen to errors, a panic has nowhere to go.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listener(event))).is_err() {
                tracing::error!(?event, "a listener of a manager panicked");
            }
        }
    }

    /// Whether some stream holds as many events as it may.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.get().is_some_and(|behind| behind.load(Ordering::Acquire) > 0)
    }

    /// Where streams say that they hold as many events as they may.
    pub(super) fn behind(&self) -> Arc<AtomicUsize> {
        Arc::clone(self.behind.get_or_init(Arc::default))
    }

    /// The task has ended: nobody waits any longer.
    pub(super) fn end(&self) {
        let (waiters, waiting) = self.look(|state| {
            state.is_over = true;
            (mem::take(&mut state.waiters), state.waiting.take())
        });
        let Waiting { watchers, streams, room } = waiting.map(|waiting| *waiting).unwrap_or_default();
        self.forget_listeners();
        for stream in streams {
            stream.queue.close();
        }
        drop((waiters, watchers));
        room.into_iter().for_each(Waker::wake);
    }
}

/// What the machine says next. What is frequent comes with whom it is for, if there still is somebody.
pub(super) enum Next {
    Packet {
        socket: SocketId,
        client: Option<Client>,
        name: Text,
        args: Args,
        ack: Option<AckToken>,
    },
    Ack {
        client: Option<Client>,
        waiter: Option<Waiter>,
        outcome: AckOutcome,
    },
    /// (Boxed, since the others are moved about with each message.)
    Other(Box<Output>),
    /// Nothing; and what is over, if something is.
    Nothing(Option<Box<Abandoned>>),
}

impl State {
    /// What the machine says next; if it is nothing, what is over.
    pub(super) fn next(&mut self) -> Next {
        match self.manager.poll_output() {
            Some(Output::Event(Event::Packet { socket, event, args, ack })) => {
                Next::Packet { socket, client: self.client(socket), name: event, args, ack }
            }
            Some(Output::Event(Event::Ack { socket, id, outcome })) => {
                Next::Ack { client: self.client(socket), waiter: self.waiters.remove(&(socket, id)), outcome }
            }
            Some(output) => Next::Other(Box::new(output)),
            None => Next::Nothing(self.take_abandoned()),
        }
    }

    pub(super) fn client(&self, socket: SocketId) -> Option<Client> {
        self.sockets.get(&socket)?.upgrade().map(Client)
    }

    /// Has somebody wait for an acknowledgement; not if nothing will come any more.
    pub(super) fn wait_for(&mut self, socket: SocketId, ack: AckId, waiter: &mut Option<Waiter>) {
        if let Some(waiter) = waiter.take_if(|_| !self.is_over) {
            self.waiters.insert((socket, ack), waiter);
        }
    }

    pub(super) fn is_any_connected(&self) -> bool {
        self.sockets.keys().any(|socket| self.manager.is_connected(*socket))
    }

    /// Takes out who waits for room, and, where all that there was is written, who waits for that. `None` if nobody is served.
    pub(super) fn take_waiting(&mut self, is_written: bool) -> Option<Box<Served>> {
        let room = mem::take(&mut self.waiting.as_mut()?.room);
        let flushed = if is_written { self.take_flushed() } else { Vec::new() };
        (!room.is_empty() || !flushed.is_empty()).then(|| Box::new(Served { room, flushed }))
    }

    /// Takes out who waits for this of a namespace, or of any.
    pub(super) fn take_watchers(&mut self, socket: Option<SocketId>, wish: Wish) -> Vec<Watcher> {
        let Some(waiting) = &mut self.waiting else { return Vec::new() };
        let is_for_it =
            |watcher: &mut Watcher| watcher.wish == wish && socket.is_none_or(|socket| watcher.socket == socket);
        waiting.watchers.extract_if(.., is_for_it).collect()
    }

    /// Takes out whoever waits until all has left, where it has.
    fn take_flushed(&mut self) -> Vec<Watcher> {
        let Self { manager, waiting: Some(waiting), .. } = self else { return Vec::new() };
        let can_send = match manager.engine() {
            Some(engine) => !engine.is_open() || engine.writable(),
            // It was closed, and what was sent before may be on its way.
            None => !manager.is_closed() || manager.is_drained(),
        };
        let has_left = |watcher: &mut Watcher| {
            watcher.wish == Wish::Flushed && can_send && manager.buffered(watcher.socket).0 == 0
        };
        waiting.watchers.extract_if(.., has_left).collect()
    }

    /// Whether another namespace than this one uses the connection.
    pub(super) fn is_any_active_but(&self, socket: SocketId) -> bool {
        self.sockets.keys().any(|other| *other != socket && self.manager.is_active(*other))
    }

    /// Connects a namespace, and has the streams that wait for that end with it.
    pub(super) fn connect(&mut self, now: Instant, socket: SocketId) {
        self.manager.connect(now, socket);
        self.begin_streams();
    }

    /// Notes which streams have begun to follow something.
    pub(super) fn begin_streams(&mut self) {
        let Self { manager, waiting: Some(waiting), .. } = self else { return };
        for stream in &mut waiting.streams {
            stream.has_begun |= !manager.is_abandoned(stream.socket);
        }
    }

    /// Takes out whoever watches or follows what nobody will connect any more. To be called when the machine has nothing to
    /// say: all that came before the end is said then.
    pub(super) fn take_abandoned(&mut self) -> Option<Box<Abandoned>> {
        let is_all = self.is_forsaken && self.manager.is_closed();
        let is_retired = self.manager.engine().is_none();
        if let Some(waiting) = &mut self.waiting {
            waiting.watchers.retain(|watcher| !watcher.sender.is_canceled());
            if waiting.is_empty() {
                self.waiting = None;
            }
        }
        self.begin_streams();
        let Self { manager, waiting: Some(waiting), .. } = self else {
            return (is_all || is_retired).then(|| Box::new(Abandoned { is_all, is_retired, ..Abandoned::default() }));
        };
        let Waiting { watchers, streams, .. } = &mut **waiting;
        let is_in_vain = |watcher: &mut Watcher| {
            manager.is_abandoned(watcher.socket)
                // What was sent before that has left, or will.
                && (watcher.wish != Wish::Flushed || manager.buffered(watcher.socket).0 > 0)
        };
        let watchers = watchers.extract_if(.., is_in_vain).collect::<Vec<_>>();
        let is_over = |stream: &mut Followed| stream.has_begun && manager.is_abandoned(stream.socket);
        let streams = streams.extract_if(.., is_over).collect::<Vec<_>>();
        if !is_all && !is_retired && watchers.is_empty() && streams.is_empty() {
            return None;
        }
        let watchers = watchers.into_iter().map(|watcher| {
            let error = manager.last_error(watcher.socket).cloned();
            (watcher, error.unwrap_or(Error::Closed(DisconnectReason::ForcedClose)))
        });
        Some(Box::new(Abandoned { is_all, is_retired, watchers: watchers.collect(), streams }))
    }
}

/// What every handle holds: the connection is closed with the last of them.
pub(super) struct Keeper(pub(super) Arc<Shared>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.with(|state, now| {
            state.is_forsaken = true;
            state.manager.close(now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As what is in it: it is moved about with each message.
    #[test]
    fn what_a_machine_says_next_is_small() {
        assert!(size_of::<Option<Next>>() <= 128, "{}", size_of::<Option<Next>>());
    }
}
