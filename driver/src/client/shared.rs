//! What the handles of a client and its task share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
};

use futures_channel::oneshot;
use sockeye_protocol::{
    Instant,
    client::{AckId, EmitError as CoreEmitError, Error, Manager, SocketId},
};

use super::{ManagerEvent, client::Inner};
use crate::{
    EmitError,
    runtime::{Clock, lock},
    signal::{Reasons, Signal},
    socketio::Waiter,
};

/// One connection with its namespaces. The machine is behind a lock, for those who emit; no user code runs under it.
pub(super) struct Shared {
    pub(super) signal: Signal,
    clock: Clock,
    state: Mutex<State>,
    pub(super) max_attachments: usize,
    listeners: Mutex<Arc<[Arc<OnManager>]>>,
}

pub(super) type OnManager = dyn Fn(&ManagerEvent) + Send + Sync;

/// What the lock guards.
pub(super) struct State {
    pub(super) manager: Manager,
    pub(super) waiters: BTreeMap<(SocketId, AckId), Waiter>,
    pub(super) sockets: BTreeMap<SocketId, Weak<Inner>>,
    pub(super) connecting: Vec<Connecting>,
    /// No handle is left.
    pub(super) is_forsaken: bool,
}

/// Somebody waits for a namespace to be connected.
pub(super) struct Connecting {
    pub(super) socket: SocketId,
    pub(super) sender: oneshot::Sender<Result<(), Error>>,
    /// Why it was not the last time.
    pub(super) error: Option<Error>,
}

impl Shared {
    pub(super) fn new(manager: Manager) -> Self {
        Self {
            signal: Signal::new(),
            clock: Clock::new(),
            max_attachments: manager.config().limits.max_attachments,
            state: Mutex::new(State {
                manager,
                waiters: BTreeMap::new(),
                sockets: BTreeMap::new(),
                connecting: Vec::new(),
                is_forsaken: false,
            }),
            listeners: Mutex::new(Arc::default()),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.state))
    }

    /// Gives the machine something to do, and wakes the task to see to the rest.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.now();
        let done = act(&mut lock(&self.state), now);
        self.signal.raise(Reasons::MACHINE);
        done
    }

    /// The same for what may fail for want of room.
    pub(super) fn command<T>(
        &self,
        act: impl FnOnce(&mut Manager, Instant) -> Result<T, CoreEmitError>,
    ) -> Result<T, EmitError> {
        Ok(self.with(|state, now| act(&mut state.manager, now))?)
    }

    pub(super) fn listen(&self, listener: Arc<OnManager>) {
        let mut listeners = lock(&self.listeners);
        *listeners = listeners.iter().cloned().chain([listener]).collect();
    }

    pub(super) fn tell(&self, event: &ManagerEvent) {
        let listeners = Arc::clone(&lock(&self.listeners));
        for listener in listeners.iter() {
            // As for those who listen to errors, a panic has nowhere to go.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listener(event))).is_err() {
                tracing::error!(?event, "a listener of a manager panicked");
            }
        }
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
