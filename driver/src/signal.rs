//! How an owner task is woken: once per reason to run, however many there are.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    task::Waker,
};

use crate::runtime::lock;

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
    /// Of the task's last poll. Never taken out: who wakes the task may be late, and the task may have rested again meanwhile.
    waker: Mutex<Waker>,
}

impl Signal {
    /// Of a task that will be polled once in any case.
    pub(crate) fn new() -> Self {
        Self { reasons: AtomicU8::new(AWAKE), waker: Mutex::new(Waker::noop().clone()) }
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
        (before & AWAKE == 0).then(|| lock(&self.waker).clone())
    }

    /// At the begin of each poll of the task, which knows the waker of its last one.
    pub(crate) fn register(&self, waker: &Waker, last: &mut Waker) {
        if !last.will_wake(waker) {
            self.replace(waker.clone());
            last.clone_from(waker);
        }
    }

    /// The task ends: nothing is to keep it.
    pub(crate) fn end(&self) {
        self.replace(Waker::noop().clone());
    }

    fn replace(&self, waker: Waker) {
        let before = std::mem::replace(&mut *lock(&self.waker), waker);
        // Without the lock: it may be the last handle of a task.
        drop(before);
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

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        task::Wake,
    };

    use super::*;

    /// Counts its wake-ups.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakers of two tasks, and what they count.
    fn wakers() -> [(Arc<Count>, Waker); 2] {
        [(); 2].map(|()| {
            let count = Arc::new(Count::default());
            (Arc::clone(&count), Waker::from(count))
        })
    }

    fn poll(signal: &Signal, waker: &Waker, last: &mut Waker) -> Reasons {
        signal.register(waker, last);
        signal.take()
    }

    fn woken(count: &Count) -> usize {
        count.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn a_task_that_rests_is_woken_once_by_each_call_however_often_it_was_polled_before() {
        let (signal, mut last) = (Signal::new(), Waker::noop().clone());
        let [(count, waker), _] = wakers();
        for polls in [1, 2, 3] {
            for _ in 0..polls {
                assert!(poll(&signal, &waker, &mut last).is_none());
                assert!(signal.rest());
            }
            signal.raise(Reasons::MAIL);
            signal.raise(Reasons::MACHINE);
            assert_eq!(woken(&count), 1);
            let reasons = poll(&signal, &waker, &mut last);
            assert!(reasons.contains(Reasons::MAIL) && reasons.contains(Reasons::MACHINE));
            assert!(signal.rest());
        }
    }

    #[test]
    fn who_is_late_with_a_wake_up_takes_none_from_the_next_call() {
        let (signal, mut last) = (Signal::new(), Waker::noop().clone());
        let [(count, waker), _] = wakers();
        poll(&signal, &waker, &mut last);
        assert!(signal.rest());
        // The first half of a call, behind which the task is polled for something else, and rests again.
        assert_eq!(signal.reasons.fetch_or(Reasons::MAIL.0 | AWAKE, Ordering::AcqRel), 0);
        assert!(poll(&signal, &waker, &mut last).contains(Reasons::MAIL) && signal.rest());
        // The other half.
        lock(&signal.waker).wake_by_ref();
        assert_eq!(woken(&count), 1);
        assert!(poll(&signal, &waker, &mut last).is_none() && signal.rest());
        signal.raise(Reasons::MAIL);
        assert_eq!(woken(&count), 1);
    }

    #[test]
    fn whoever_polled_the_task_last_is_woken() {
        let (signal, mut last) = (Signal::new(), Waker::noop().clone());
        let [(first, one), (second, other)] = wakers();
        for (waker, is_first) in [(&one, true), (&other, false), (&one, true)] {
            assert!(poll(&signal, waker, &mut last).is_none() && signal.rest());
            signal.raise(Reasons::MAIL);
            assert_eq!([woken(&first), woken(&second)], [usize::from(is_first), usize::from(!is_first)]);
            poll(&signal, waker, &mut last);
            assert!(signal.rest());
        }
    }
}
