//! The deadlines of all connections: one heap, one task.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use sockeye_protocol::{ConnKey, Instant};

use crate::{
    Runtime,
    layer::Layer,
    runtime::{Sleep, lock},
    signal::Reasons,
};

/// When which connection wants to look at the clock. A connection adds an entry only when its deadline comes before
/// those that it has here; one whose deadline moved back looks once too often, at no cost to its peers.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Table>);

#[derive(Default)]
struct Table {
    heap: BinaryHeap<Reverse<(Instant, ConnKey)>>,
    /// When the server itself wants to.
    own: Option<Instant>,
    /// When the task wakes up by itself.
    sleeping_until: Option<Instant>,
    waker: Option<Waker>,
}

impl Timers {
    pub(crate) fn add(&self, at: Instant, key: ConnKey) {
        let waker = {
            let mut table = lock(&self.0);
            table.heap.push(Reverse((at, key)));
            if table.sleeping_until.is_none_or(|until| at < until) { table.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sets when the server itself, beside its connections, wants to look at the clock. The waker is to be called once no
    /// lock is held.
    pub(crate) fn arm(&self, at: Option<Instant>) -> Option<Waker> {
        let mut table = lock(&self.0);
        table.own = at;
        let is_next = at.is_some_and(|at| table.sleeping_until.is_none_or(|until| at < until));
        is_next.then(|| table.waker.take()).flatten()
    }
}

impl Drop for Timers {
    /// The task, which waits for this server, has nothing more to wait for.
    fn drop(&mut self) {
        let table = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        table.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The task that waits for the deadlines, for as long as the server lives.
pub(crate) struct TimerTask<L: Layer> {
    layer: Weak<L>,
    runtime: Arc<dyn Runtime>,
    sleep: Option<Sleep>,
    due: Vec<ConnKey>,
}

impl<L: Layer> TimerTask<L> {
    pub(crate) fn new(layer: &Arc<L>, runtime: Arc<dyn Runtime>) -> Self {
        Self { layer: Arc::downgrade(layer), runtime, sleep: None, due: Vec::new() }
    }

    /// Takes what is due off the heap. What comes next, if that is not what `sleep` waits for already. Whether the server
    /// itself is due.
    fn take_due(&mut self, layer: &L, cx: &Context<'_>) -> bool {
        let core = layer.core();
        let now = core.now();
        let mut table = lock(&core.timers.0);
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
