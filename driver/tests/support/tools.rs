//! What handlers of tests do.

use std::{
    future::{Ready, poll_fn, ready},
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use sockeye_driver::{HandlerError, HandlerFault, Server, Socket};

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<String> {
        mem::take(&mut *self.0.lock().unwrap())
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|other| *other == line).count()
    }

    pub fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|other| other == line)
    }
}

/// What went wrong in handlers, and what `/` says to `ping` while all that goes on.
pub fn faults(io: &Server) -> Log {
    let log = Log::default();
    let faults = log.clone();
    io.on_error(move |error: &HandlerError| {
        let kind = match error.fault() {
            HandlerFault::Extract(_) => "extract",
            HandlerFault::Returned(_) => "returned",
            HandlerFault::Panicked(_) => "panicked",
            _ => "another",
        };
        assert!(!error.socket().id().to_string().is_empty());
        faults.add(format!("{kind} in {:?}: {}", error.event(), error.fault()));
    });
    io.on("ping", async |socket: Socket| socket.emit("pong", &()));
    log
}

/// A handler that only notes that it was called.
pub fn note(log: &Log, line: &'static str) -> impl Fn() -> Ready<()> + Send + Sync + 'static {
    let log = log.clone();
    move || {
        log.add(line);
        ready(())
    }
}

/// Something to wait for, which a test opens.
#[derive(Clone, Default)]
pub struct Latch(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Latch {
    pub fn open(&self) {
        let wakers = {
            let mut inner = self.0.lock().unwrap();
            inner.0 = true;
            mem::take(&mut inner.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub async fn wait(&self) {
        poll_fn(|cx| {
            let mut inner = self.0.lock().unwrap();
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Lets everything else that is ready run first.
pub async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many of the values that were made here are left.
#[derive(Clone, Default)]
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub fn make(&self) -> impl Send + Sync + use<> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let left = Arc::clone(&self.0);
        Drops::new(move || _ = left.fetch_sub(1, Ordering::SeqCst))
    }

    pub fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Does something when it is dropped.
pub struct Drops(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Drops {
    pub fn new(act: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(act)))
    }
}

impl Drop for Drops {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

/// What a task of a test returns.
pub struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    pub fn put(&self, value: T) {
        *self.0.lock().unwrap() = Some(value);
    }

    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap().take()
    }

    pub fn is_ready(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
