//! What every server has: its configuration, runtime, deadlines, and the way to end it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use slab::Slab;
use sockeye_protocol::{Config, Instant, RequestId, Seed};

use crate::{
    Runtime,
    layer::{Layer, Machine as _},
    pace::Pace,
    runtime::{self, Either, either, lock},
    signal::Reasons,
    timers::{TimerTask, Timers},
};

/// The part of a server that is the same for Socket.IO and Engine.IO.
pub(crate) struct Core {
    pub(crate) config: Arc<Config>,
    pub(crate) timers: Timers,
    /// The one that runs the timer, or did last.
    runtime: Mutex<Option<Arc<dyn Runtime>>>,
    requests: AtomicU64,
    pub(crate) gate: Gate,
    pub(crate) pace: Arc<Pace>,
    /// Tasks of sessions.
    pub(crate) owners: Arc<Tasks>,
    /// Tasks of listeners and of HTTP connections.
    pub(crate) tasks: Arc<Tasks>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        runtime::made();
        Self {
            config: Arc::new(config),
            timers: Timers::default(),
            runtime: Mutex::default(),
            requests: AtomicU64::new(0),
            gate: Gate::default(),
            pace: Arc::default(),
            owners: Arc::default(),
            tasks: Arc::default(),
        }
    }

    /// Entropy for session ids, from the operating system.
    pub(crate) fn seed() -> Seed {
        let mut seed = Seed([0; 32]);
        if let Err(error) = getrandom::fill(&mut seed.0) {
            // Ids that can be guessed would open every session to everybody.
            #[expect(clippy::panic, reason = "there is no safe way to go on")]
            {
                panic!("the operating system gives no random bytes: {error}");
            }
        }
        seed
    }

    pub(crate) fn now(&self) -> Instant {
        runtime::now()
    }

    pub(crate) fn next_request(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Tasks that run for this server.
    pub(crate) fn task_count(&self) -> usize {
        self.owners.count().saturating_add(self.tasks.count())
    }

    /// A runtime that something is served on.
    pub(crate) fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        lock(&self.runtime).clone().filter(|_| self.timers.are_attended())
    }
}

/// Has the deadlines of a server seen to on this runtime, unless they are: the first runtime that serves a server runs its
/// timer, and once that one has dropped its tasks, another one that does. To be called by whoever needs deadlines, in a task
/// of this runtime.
pub(crate) fn attach<L: Layer>(layer: &Arc<L>, runtime: &Arc<dyn Runtime>) {
    let core = layer.core();
    if core.timers.attend() {
        // The one before is dropped without the lock.
        let _before = lock(&core.runtime).replace(Arc::clone(runtime));
        runtime.spawn(Box::pin(TimerTask::new(layer, Arc::clone(runtime))));
    }
}

/// Has everybody who needs deadlines call [`attach`]: the runtime whose task saw to them has dropped it.
pub(crate) fn orphan<L: Layer>(layer: &Arc<L>) {
    layer.links().iter().for_each(|link| link.signal.raise(Reasons::TIMER));
    layer.core().gate.wake();
}

/// Closes every connection, as [`crate::Server::shutdown`] says.
pub(crate) async fn shutdown<L: Layer>(layer: &Arc<L>, deadline: Duration) {
    end(layer, deadline).await;
    layer.forget_handlers();
}

async fn end<L: Layer>(layer: &Arc<L>, deadline: Duration) {
    let core = layer.core();
    // Connections are accepted on: a polling client fetches the end of its session with a request.
    core.gate.raise(Level::Closing);
    let now = core.now();
    for link in layer.links() {
        link.with(now, |machine, _| machine.shutdown(now));
    }
    // No runtime sees to deadlines, so that there is none to wait for.
    let Some(runtime) = core.runtime() else { return kill(layer) };
    let mut deadline = runtime.sleep(deadline);
    if let Either::Left(()) = either(Box::pin(core.owners.idle()), &mut deadline).await {
        core.gate.raise(Level::Stopped);
        if let Either::Left(()) = either(Box::pin(core.tasks.idle()), &mut deadline).await {
            return;
        }
    }
    kill(layer);
    // They end at their next poll, but for one that a handler blocks.
    let all = async {
        core.owners.idle().await;
        core.tasks.idle().await;
    };
    let _ = either(Box::pin(all), runtime.sleep(GRACE)).await;
}

fn kill<L: Layer>(layer: &Arc<L>) {
    layer.core().gate.raise(Level::Killed);
    layer.links().iter().for_each(|link| link.signal.raise(Reasons::KILL));
}

/// What tasks that were told to end get.
const GRACE: Duration = Duration::from_secs(1);

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// No new sessions.
    Closing = 1,
    /// No new connections either, and the idle ones are closed.
    Stopped = 2,
    /// Everybody ends at once.
    Killed = 3,
}

/// Tells everybody that the server is ending.
#[derive(Default)]
pub(crate) struct Gate {
    level: AtomicU8,
    wakers: Mutex<Slab<Waker>>,
}

impl Gate {
    pub(crate) fn is(&self, level: Level) -> bool {
        self.level.load(Ordering::Acquire) >= level as u8
    }

    fn raise(&self, level: Level) {
        self.level.fetch_max(level as u8, Ordering::AcqRel);
        self.wake();
    }

    fn wake(&self) {
        let wakers: Vec<Waker> = lock(&self.wakers).iter().map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Has a task woken at each level, until it leaves the place that this gives it. To be called whenever it is
    /// polled.
    pub(crate) fn register(&self, place: Option<usize>, cx: &Context<'_>) -> usize {
        let mut wakers = lock(&self.wakers);
        match place.and_then(|place| Some((place, wakers.get_mut(place)?))) {
            Some((place, waker)) => {
                waker.clone_from(cx.waker());
                place
            }
            None => wakers.insert(cx.waker().clone()),
        }
    }

    pub(crate) fn leave(&self, place: usize) {
        let mut wakers = lock(&self.wakers);
        wakers.try_remove(place);
        if wakers.is_empty() {
            *wakers = Slab::new();
        }
    }
}

/// Counts tasks, for those who wait until there are none.
#[derive(Default)]
pub(crate) struct Tasks {
    count: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Tasks {
    pub(crate) fn enter(self: &Arc<Self>) -> Task {
        self.count.fetch_add(1, Ordering::AcqRel);
        Task(Arc::clone(self))
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Completes when no task is left.
    pub(crate) async fn idle(&self) {
        std::future::poll_fn(|cx| {
            let mut waiting = lock(&self.waiting);
            if self.count() == 0 {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// One task that runs.
pub(crate) struct Task(Arc<Tasks>);

impl Drop for Task {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = std::mem::take(&mut *lock(&self.0.waiting));
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}
