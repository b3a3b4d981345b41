//! How an owner task is woken: once per reason to run, however many there are.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    task::Waker,
};

use futures_util::task::AtomicWaker;

/// Why an owner task has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reasons(u8);

impl Reasons {
    /// Something was put into its mail.
    pub(crate) const MAIL: Self = Self(1);
    /// The machine was given an input or a command by somebody else.
    pub(crate) const MACHINE: Self = Self(2);
    /// A listener was registered: an event that waits for one may go on.
    pub(crate) const LISTENER: Self = Self(4);
    /// A deadline may have come.
    pub(crate) const TIMER: Self = Self(8);
    /// The server is gone: end at once.
    pub(crate) const KILL: Self = Self(16);

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Set while the task runs or is about to: whoever finds it set need not wake.
const AWAKE: u8 = 128;

/// The wake-up call of one task. Data is put where the task looks for it first, then the reason is raised; the task
/// takes the reasons first, then the data. So none is missed, and there is one wake per pause of the task.
#[derive(Debug)]
pub(crate) struct Signal {
    reasons: AtomicU8,
    waker: AtomicWaker,
}

impl Signal {
    /// Of a task that will be polled once in any case.
    pub(crate) const fn new() -> Self {
        Self { reasons: AtomicU8::new(AWAKE), waker: AtomicWaker::new() }
    }

    /// Raises a reason; wakes the task unless it runs.
    pub(crate) fn raise(&self, reason: Reasons) {
        if let Some(waker) = self.raise_quietly(reason) {
            waker.wake();
        }
    }

    /// Raises a reason; the waker is to be called once no lock is held.
    pub(crate) fn raise_quietly(&self, reason: Reasons) -> Option<Waker> {
        // Written even where it is set already: that the task has not looked yet at what was put there is known only by
        // the order of writes to one place.
        let before = self.reasons.fetch_or(reason.0 | AWAKE, Ordering::AcqRel);
        if before & AWAKE == 0 { self.waker.take() } else { None }
    }

    /// At the begin of each poll of the task.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The reasons since the last call; the task counts as awake.
    pub(crate) fn take(&self) -> Reasons {
        Reasons(self.reasons.swap(AWAKE, Ordering::AcqRel) & !AWAKE)
    }

    /// Ends a poll of a task that has more to do: it comes again, after others.
    pub(crate) fn raise_again(&self, waker: &Waker) {
        self.reasons.fetch_or(Reasons::MACHINE.0 | AWAKE, Ordering::AcqRel);
        waker.wake_by_ref();
    }

    /// Ends a poll of the task: `false` if there are reasons to go on.
    pub(crate) fn rest(&self) -> bool {
        self.reasons.compare_exchange(AWAKE, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
