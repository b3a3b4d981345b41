//! The deadlines of all connections: one heap, one task.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
};

use sockeye_protocol::{ConnKey, Instant};

use crate::{
    Runtime,
    core::orphan,
    layer::Layer,
    runtime::{Sleep, lock},
    signal::Reasons,
};

/// When which connection wants to look at the clock. A connection adds an entry only when its deadline comes before
/// those that it knows of here; one whose deadline moved back looks once too often, at no cost to its peers.
#[derive(Default)]
pub(crate) struct Timers {
    table: Mutex<Table>,
    attendance: AtomicU8,
}

/// Whether a task waits for the deadlines: no.
const NOBODY: u8 = 0;
/// One is spawned.
const SPAWNED: u8 = 1;
/// And somebody relies on it.
const RELIED_ON: u8 = 2;
/// One runs.
const RUNS: u8 = 3;

/// Entries below which nothing is cleared away.
const FEW: usize = 64;

#[derive(Default)]
struct Table {
    heap: BinaryHeap<Reverse<(Instant, ConnKey)>>,
    /// Entries from which on those that nobody needs are cleared away, if not [`FEW`].
    many: usize,
    /// When the server itself wants to.
    own: Option<Instant>,
    /// When the task wakes up by itself.
    sleeping_until: Option<Instant>,
    waker: Option<Waker>,
}

impl Timers {
    pub(crate) fn add(&self, at: Instant, key: ConnKey) {
        let waker = {
            let mut table = lock(&self.table);
            table.add(at, key);
            if table.sleeping_until.is_none_or(|until| at < until) { table.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sets when the server itself, beside its connections, wants to look at the clock. The waker is to be called once no
    /// lock is held.
    pub(crate) fn arm(&self, at: Option<Instant>) -> Option<Waker> {
        let mut table = lock(&self.table);
        table.own = at;
        let is_next = at.is_some_and(|at| table.sleeping_until.is_none_or(|until| at < until));
        is_next.then(|| table.waker.take()).flatten()
    }

    /// Whether the caller is to spawn the task. If not, there is one; or there will be somebody else's, or a call of
    /// [`orphan`].
    pub(crate) fn attend(&self) -> bool {
        if self.attendance.load(Ordering::Acquire) == RUNS {
            return false;
        }
        let before = self.attendance.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| match before {
            NOBODY => Some(SPAWNED),
            SPAWNED => Some(RELIED_ON),
            _ => None,
        });
        before == Ok(NOBODY)
    }

    pub(crate) fn are_attended(&self) -> bool {
        self.attendance.load(Ordering::Acquire) != NOBODY
    }
}

impl Table {
    fn add(&mut self, at: Instant, key: ConnKey) {
        // A connection adds its ping's deadline once more behind each shorter one: they would stand here until it comes.
        if self.heap.len() >= self.many.max(FEW) {
            let mut entries = mem::take(&mut self.heap).into_vec();
            entries.sort_unstable_by_key(|Reverse((at, key))| (*key, *at));
            // Whoever is woken by its earliest entry adds its next deadline anew, if that was another one.
            entries.dedup_by_key(|Reverse((_, key))| *key);
            self.many = entries.len().saturating_mul(4);
            self.heap = entries.into();
        }
        self.heap.push(Reverse((at, key)));
    }
}

impl Drop for Timers {
    /// The task, which waits for this server, has nothing more to wait for.
    fn drop(&mut self) {
        let table = self.table.get_mut().unwrap_or_else(PoisonError::into_inner);
        table.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The task that waits for the deadlines, for as long as the server lives, and its runtime.
pub(crate) struct TimerTask<L: Layer> {
    layer: Weak<L>,
    runs: bool,
    runtime: Arc<dyn Runtime>,
    sleep: Option<Sleep>,
    due: Vec<ConnKey>,
}

impl<L: Layer> TimerTask<L> {
    pub(crate) fn new(layer: &Arc<L>, runtime: Arc<dyn Runtime>) -> Self {
        Self { layer: Arc::downgrade(layer), runs: false, runtime, sleep: None, due: Vec::new() }
    }

    /// Takes what is due off the heap. What comes next, if that is not what `sleep` waits for already. Whether the server
    /// itself is due.
    fn take_due(&mut self, layer: &L, cx: &Context<'_>) -> bool {
        let core = layer.core();
        let now = core.now();
        let mut table = lock(&core.timers.table);
        while let Some(Reverse((at, key))) = table.heap.peek().copied() {
            if at > now {
                break;
            }
            table.heap.pop();
            self.due.push(key);
        }
        if table.heap.is_empty() {
            table.heap = BinaryHeap::new();
        }
        let own = table.own.take_if(|at| *at <= now);
        let next = table.heap.peek().map(|Reverse((at, _))| *at).into_iter().chain(table.own).min();
        if next != table.sleeping_until || self.sleep.is_none() {
            table.sleeping_until = next;
            self.sleep = next.map(|at| self.runtime.sleep(at.saturating_duration_since(now)));
        }
        table.waker = Some(cx.waker().clone());
        own.is_some()
    }
}

impl<L: Layer> Future for TimerTask<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            // Server and connections are gone.
            let Some(layer) = this.layer.upgrade() else { return Poll::Ready(()) };
            if !this.runs {
                this.runs = true;
                layer.core().timers.attendance.store(RUNS, Ordering::Release);
            }
            if this.take_due(&layer, cx) {
                layer.handle_timeout(layer.core().now());
            }
            for key in this.due.drain(..) {
                if let Some(link) = layer.link(key) {
                    link.signal.raise(Reasons::TIMER);
                }
            }
            drop(layer);
            let Some(sleep) = &mut this.sleep else { return Poll::Pending };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.sleep = None;
        }
    }
}

impl<L: Layer> Drop for TimerTask<L> {
    /// A runtime that drops its tasks leaves the deadlines to another one, if there is any.
    fn drop(&mut self) {
        let Some(layer) = self.layer.upgrade() else { return };
        let timers = &layer.core().timers;
        // Dropped without the lock.
        let _waker = {
            let mut table = lock(&timers.table);
            table.sleeping_until = None;
            table.waker.take()
        };
        // One that has never run, on which nobody relied, is not announced: on a runtime that runs nothing any more, whoever
        // hears of it might spawn the next one.
        if timers.attendance.swap(NOBODY, Ordering::AcqRel) != SPAWNED {
            orphan(&layer);
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::time::Duration;

    use sockeye_protocol::{Config, engine::Registry};

    use super::*;

    #[test]
    fn entries_that_stand_behind_others_of_their_connection_do_not_pile_up() {
        let mut registry = Registry::new(Arc::new(Config::default()), &crate::core::Core::seed());
        let keys: Vec<ConnKey> = (0..100).map(|_| registry.open(Instant::ZERO).0).collect();
        let at = |millis: u64| Instant::ZERO + Duration::from_millis(millis);
        let mut table = Table::default();
        for round in 0..1_000 {
            for key in &keys {
                // The earliest of all is the first one's.
                table.add(at(25_000 + round), *key);
                assert!(table.heap.len() <= 4 * keys.len(), "{} entries", table.heap.len());
            }
        }
        let mut due = Vec::new();
        while let Some(Reverse((at, key))) = table.heap.pop() {
            if !due.iter().any(|(_, other)| *other == key) {
                due.push((at, key));
            }
        }
        assert_eq!(due.len(), keys.len());
        assert!(due.iter().all(|(time, _)| *time == at(25_000)), "each is woken when it first wants to be");
    }
}
