//! The deadlines of a session: a fixed table, so that arming one allocates nothing and none is forgotten.

use core::time::Duration;

use crate::Instant;

/// The timers of a session. Each closing WebSocket keeps the one of its own end beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next ping, or the end of the wait for a pong; on a client for a ping.
    Heartbeat,
    /// The next noop for a waiting GET, so that the client can finish its upgrade.
    Noop,
    /// The end of a WebSocket that has not finished its upgrade.
    Upgrade,
    /// The end of the wait for the body of a POST, and before the handshake for its request; on a
    /// client the end of the wait for the handshake.
    Body,
    /// The end of the wait for the GET that takes the last packets; on a client for the POST that does, and once it is
    /// closed for the last answers.
    Drain,
}

const ALL: [Timer; 5] = [Timer::Heartbeat, Timer::Noop, Timer::Upgrade, Timer::Body, Timer::Drain];

/// No instant that a driver reaches: 584,000 years after its epoch.
pub(crate) const NEVER: Instant = Instant::from_micros(u64::MAX);

/// A deadline.
#[allow(clippy::arithmetic_side_effects, reason = "instants saturate")]
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now + duration
}

/// Whether a deadline has come. [`NEVER`] has not, whatever a caller says that the time is.
pub(crate) fn is_due(at: Instant, now: Instant) -> bool {
    at <= now && at != NEVER
}

/// The earlier of two deadlines, if there is any.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (None, at) | (at, None) => at,
    }
}

/// The deadline of each [`Timer`], [`NEVER`] if it is not armed.
#[derive(Clone, Debug)]
pub(crate) struct Timers([Instant; ALL.len()]);

impl Default for Timers {
    fn default() -> Self {
        Self([NEVER; ALL.len()])
    }
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = at;
        }
    }

    pub(crate) fn get(&self, timer: Timer) -> Instant {
        self.0.get(timer as usize).copied().unwrap_or(NEVER)
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.set(timer, NEVER);
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Instant> {
        self.0.iter().copied()
    }

    /// Takes the timer whose deadline is the earliest and not later than `now`, and that deadline.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let (timer, slot) = ALL.into_iter().zip(&mut self.0).min_by_key(|(_, at)| **at)?;
        if !is_due(*slot, now) {
            return None;
        }
        Some((timer, core::mem::replace(slot, NEVER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_taken_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        assert_eq!(timers.take_due(NEVER), None);
        timers.set(Timer::Drain, Instant::from_millis(1));
        timers.set(Timer::Noop, Instant::from_millis(2));
        timers.set(Timer::Heartbeat, Instant::from_millis(2));
        timers.set(Timer::Body, Instant::from_millis(4));
        let now = Instant::from_millis(3);
        assert_eq!(timers.take_due(now), Some((Timer::Drain, Instant::from_millis(1))));
        assert_eq!(timers.take_due(now), Some((Timer::Heartbeat, Instant::from_millis(2))));
        assert_eq!(timers.take_due(now), Some((Timer::Noop, Instant::from_millis(2))));
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.iter().min(), Some(Instant::from_millis(4)));
        assert_eq!((timers.get(Timer::Body), timers.get(Timer::Drain)), (Instant::from_millis(4), NEVER));
        timers.clear_all();
        assert_eq!(timers.iter().min(), Some(NEVER));
    }
}
