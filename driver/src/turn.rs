//! Whose turn a thread is in: the owner that it polls, and the time of its round.
//!
//! What handlers send to their own connection needs neither a look at the clock nor a call to the owner, who looks behind
//! them in any case.

use std::cell::Cell;

use sockeye_protocol::Instant;

/// A connection, by the address of what its owner shares with everybody else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose(usize);

impl Whose {
    pub(crate) fn of<T>(link: &T) -> Self {
        Self(std::ptr::from_ref(link).addr())
    }
}

/// What is known of a thread's turn.
#[derive(Clone, Copy)]
struct Current {
    whose: Whose,
    /// When its round began.
    now: Instant,
    /// Whether the connection's machine was given something.
    given: bool,
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// An owner's turn; when it ends, that of whoever polled it goes on.
pub(crate) struct Turn {
    whose: Whose,
    before: Option<Current>,
}

impl Turn {
    pub(crate) fn begin(whose: Whose) -> Self {
        Self { whose, before: current() }
    }

    /// A round begins.
    pub(crate) fn round(&self, now: Instant) {
        set(Some(Current { whose: self.whose, now, given: false }));
    }

    /// Whether the machine was given something since the last call or the begin of the round.
    pub(crate) fn take_given(&self) -> bool {
        let Some(current) = current() else { return false };
        set(Some(Current { given: false, ..current }));
        current.given
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        set(self.before);
    }
}

/// Whether this thread is in the turn of that connection's owner, who then hears that the machine was given something.
pub(crate) fn give(whose: Whose) -> bool {
    match current().filter(|current| current.whose == whose) {
        Some(current) => {
            set(Some(Current { given: true, ..current }));
            true
        }
        None => false,
    }
}

/// When the round of this thread's turn began.
pub(crate) fn now() -> Option<Instant> {
    current().map(|current| current.now)
}

fn current() -> Option<Current> {
    CURRENT.try_with(Cell::get).ok().flatten()
}

fn set(current: Option<Current>) {
    // A thread that ends has no turns any more.
    let _ = CURRENT.try_with(|place| place.set(current));
}
