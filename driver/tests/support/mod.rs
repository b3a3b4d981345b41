//! A server in one thread: an executor that polls in a fixed order, byte streams in memory, and clients on them that do
//! nothing unless a test tells them to.
//!
//! Nothing here waits for a time to pass: [`Rig::until`] waits for a condition, and gives up after [`PATIENCE`].

#![allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    unused_imports,
    reason = "each test file uses a part of this module"
)]

mod client;
mod executor;
mod pipe;
mod tools;
mod world;

use std::{
    panic::resume_unwind,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use sockeye_driver::{Peer, Runtime, Serve};

pub use self::{
    client::{Client, Poller, Reply, Wire},
    executor::Executor,
    pipe::{ClientEnd, ServerEnd, pipe},
    tools::{Counted, Drops, Latch, Log, Slot, faults, note, yield_now},
    world::World,
};

/// How long a condition may take to come true. Only tests that fail wait for it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that a byte stream holds which its reader has not taken.
pub const CAPACITY: usize = 64 * 1024;

/// One thread's worth of world.
#[derive(Clone)]
pub struct Rig {
    pub executor: Executor,
    pub runtime: Arc<dyn Runtime>,
}

/// Runs a test in a thread of its own. One that comes to no end, because a lock is taken twice for instance, fails.
#[track_caller]
pub fn rig(test: impl FnOnce(Rig) + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        let executor = Executor::new();
        let runtime = executor.runtime();
        test(Rig { executor, runtime });
        let _ = done.send(());
    });
    match finished.recv_timeout(2 * PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test's thread hangs: a deadlock, or a loop without end"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    }
}

impl Rig {
    /// Polls whatever is ready, until nothing is.
    pub fn run(&self) {
        self.executor.run();
    }

    /// Polls a number of times at most: where another thread makes work without end.
    pub fn run_some(&self, polls: usize) {
        let _ = (0..polls).all(|_| self.executor.step());
    }

    /// Runs until a condition holds.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.executor.until(what, condition);
    }

    /// Runs until a future is ready.
    #[track_caller]
    pub fn wait<T: Send + 'static>(&self, what: &str, future: impl Future<Output = T> + Send + 'static) -> T {
        let slot = self.start(future);
        self.until(what, || slot.is_ready());
        slot.take().unwrap()
    }

    /// Starts a task.
    pub fn start<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Slot<T> {
        let slot = Slot::default();
        let place = slot.clone();
        self.runtime.spawn(Box::pin(async move { place.put(future.await) }));
        slot
    }

    /// A byte stream on which a server expects HTTP.
    pub fn connect(&self, server: &(impl Serve + 'static)) -> Wire {
        self.connect_with(server, CAPACITY)
    }

    /// The same; the server can write so many bytes that the client has not read.
    pub fn connect_with(&self, server: &(impl Serve + 'static), capacity: usize) -> Wire {
        let (stream, end) = pipe(capacity);
        let peer = Peer { address: Some(([192, 0, 2, 1], 4711).into()), secure: false };
        self.runtime.spawn(Box::pin(server.serve_connection(&self.runtime, stream, peer)));
        Wire::new(self.clone(), end)
    }

    /// A client on a WebSocket, with its Engine.IO session.
    #[track_caller]
    pub fn open(&self, server: &(impl Serve + 'static)) -> Client {
        self.connect(server).websocket("/socket.io/?EIO=4&transport=websocket")
    }

    /// A client on a WebSocket that has joined `/`.
    #[track_caller]
    pub fn joined(&self, server: &(impl Serve + 'static)) -> Client {
        self.joined_with(server, CAPACITY)
    }

    /// The same; the server can write so many bytes that the client has not read.
    #[track_caller]
    pub fn joined_with(&self, server: &(impl Serve + 'static), capacity: usize) -> Client {
        let mut client = self.connect_with(server, capacity).websocket("/socket.io/?EIO=4&transport=websocket");
        client.join("/");
        client
    }

    /// A client on HTTP long-polling, with its Engine.IO session.
    #[track_caller]
    pub fn poller(&self, server: &(impl Serve + 'static)) -> Poller {
        Poller::new(self.connect(server), self.connect(server))
    }
}
