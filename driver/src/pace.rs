//! Waking many tasks without putting all of them in front of everybody else.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use crate::{Runtime, runtime::lock};

/// Tasks that are woken before others get their turn.
const AT_ONCE: usize = 256;

/// Wakes the recipients of a broadcast, a few hundred at a time. Meanwhile other tasks run: a connection that has sent
/// something is not behind thousands of others that have something to write. And what it broadcasts reaches those who are
/// still to be woken along with what they are woken for, in one write.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: VecDeque<Waker>,
    /// A task sees to them.
    is_attended: bool,
}

impl Pace {
    /// Wakes all, now or soon.
    pub(crate) fn wake(self: &Arc<Self>, wakers: &mut Vec<Waker>, runtime: impl FnOnce() -> Option<Arc<dyn Runtime>>) {
        let runtime = if wakers.len() > AT_ONCE { runtime() } else { None };
        let now = if runtime.is_some() { AT_ONCE } else { wakers.len() };
        let mut all = wakers.drain(..);
        all.by_ref().take(now).for_each(Waker::wake);
        let Some(runtime) = runtime else { return };
        let was_attended = {
            let mut waiting = lock(&self.0);
            waiting.wakers.extend(all);
            std::mem::replace(&mut waiting.is_attended, true)
        };
        if !was_attended {
            runtime.spawn(Box::pin(Waking {
                pace: Arc::clone(self),
                now: Vec::with_capacity(AT_ONCE),
                is_done: false,
            }));
        }
    }
}

/// The task that wakes the others.
struct Waking {
    pace: Arc<Pace>,
    now: Vec<Waker>,
    is_done: bool,
}

impl Future for Waking {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { pace, now, is_done } = self.get_mut();
        *is_done = {
            let mut waiting = lock(&pace.0);
            let count = AT_ONCE.min(waiting.wakers.len());
            now.extend(waiting.wakers.drain(..count));
            let is_last = waiting.wakers.is_empty();
            if is_last {
                *waiting = Waiting::default();
            }
            is_last
        };
        now.drain(..).for_each(Waker::wake);
        if *is_done {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Waking {
    /// A runtime that drops its tasks: those who are still to be woken may be another one's.
    fn drop(&mut self) {
        if !self.is_done {
            let rest = std::mem::take(&mut *lock(&self.pace.0));
            rest.wakers.into_iter().for_each(Waker::wake);
        }
    }
}
