//! An async runtime of one thread, without any choice: what is woken first is polled first.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use sockeye_driver::{BoxFuture, Runtime};

use super::PATIENCE;

#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    ready: Mutex<VecDeque<Arc<Task>>>,
    all: Mutex<Vec<Weak<Task>>>,
    /// Tasks that have not ended.
    tasks: AtomicUsize,
    polls: AtomicUsize,
    alarms: Mutex<Vec<(Instant, Waker)>>,
    thread: Thread,
    this: Weak<Self>,
}

struct Task {
    future: Mutex<Option<BoxFuture>>,
    is_queued: AtomicBool,
    executor: Weak<Inner>,
}

impl Executor {
    pub fn new() -> Self {
        Self(Arc::new_cyclic(|this| Inner {
            ready: Mutex::default(),
            all: Mutex::default(),
            tasks: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            alarms: Mutex::default(),
            thread: thread::current(),
            this: this.clone(),
        }))
    }

    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0) as Arc<dyn Runtime>
    }

    /// Tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.0.tasks.load(Ordering::SeqCst)
    }

    /// How often a task was polled so far.
    pub fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    /// Polls the next task. Whether there was one.
    pub fn step(&self) -> bool {
        self.ring();
        let Some(task) = self.0.ready.lock().unwrap().pop_front() else { return false };
        // Taken out of its place: what it does may wake it.
        let Some(mut future) = task.future.lock().unwrap().take() else { return true };
        task.is_queued.store(false, Ordering::SeqCst);
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task));
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(future);
            self.0.tasks.fetch_sub(1, Ordering::SeqCst);
        } else {
            *task.future.lock().unwrap() = Some(future);
        }
        true
    }

    pub fn run(&self) {
        let begin = now();
        while self.step() {
            assert!(now() < begin + PATIENCE, "the tasks come to no rest");
        }
    }

    #[track_caller]
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let end = now() + PATIENCE;
        loop {
            self.run();
            if condition() {
                return;
            }
            assert!(now() < end, "waited in vain: {what}");
            if !self.0.ready.lock().unwrap().is_empty() {
                // The condition itself has set something going.
                continue;
            }
            let alarm = self.0.alarms.lock().unwrap().iter().map(|(at, _)| *at).min();
            // Another thread may have something to do, too.
            let at = alarm.map_or(end, |at| at.min(end));
            thread::park_timeout(at.saturating_duration_since(now()));
        }
    }

    /// Drops all tasks, as a runtime does that shuts down.
    pub fn abandon(&self) {
        let all = mem::take(&mut *self.0.all.lock().unwrap());
        for task in all.iter().filter_map(Weak::upgrade) {
            let future = task.future.lock().unwrap().take();
            if future.is_some() {
                drop(future);
                self.0.tasks.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Wakes those whose time has come.
    fn ring(&self) {
        let now = now();
        let due: Vec<(Instant, Waker)> = {
            let mut alarms = self.0.alarms.lock().unwrap();
            let (due, later) = mem::take(&mut *alarms).into_iter().partition(|(at, _)| *at <= now);
            *alarms = later;
            due
        };
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Runtime for Inner {
    fn spawn(&self, task: BoxFuture) {
        self.tasks.fetch_add(1, Ordering::SeqCst);
        let (future, is_queued, executor) = (Mutex::new(Some(task)), AtomicBool::new(true), self.this.clone());
        let task = Arc::new(Task { future, is_queued, executor });
        {
            let mut all = self.all.lock().unwrap();
            all.retain(|task| task.strong_count() > 0);
            all.push(Arc::downgrade(&task));
        }
        self.ready.lock().unwrap().push_back(task);
        self.thread.unpark();
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        Box::pin(Sleep { at: now() + duration, executor: self.this.clone() })
    }
}

struct Sleep {
    at: Instant,
    executor: Weak<Inner>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= self.at {
            return Poll::Ready(());
        }
        if let Some(executor) = self.executor.upgrade() {
            let mut alarms = executor.alarms.lock().unwrap();
            // One alarm for each sleeper, however often it is polled.
            alarms.retain(|(at, waker)| *at != self.at || !waker.will_wake(cx.waker()));
            alarms.push((self.at, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if let Some(executor) = self.executor.upgrade()
            && !self.is_queued.swap(true, Ordering::SeqCst)
        {
            executor.ready.lock().unwrap().push_back(self);
            executor.thread.unpark();
        }
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a runtime has a clock")]
    Instant::now()
}
