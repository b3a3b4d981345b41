//! The heartbeat: a ping `ping_interval` after the handshake and after each pong, and a pong within `ping_timeout`.

use core::time::Duration;

use super::timers::after;
use crate::Instant;

/// Decides when to ping and when to give up. The caller keeps the deadlines in its timer table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// The next ping is scheduled.
    #[default]
    Idle,
    /// A ping was sent; `extended` says whether another packet has moved the deadline already.
    Waiting { extended: bool },
}

/// What to do when the heartbeat's deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send a ping.
    Ping,
    /// The pong did not come.
    TimedOut,
}

impl Heartbeat {
    /// The deadline has come.
    pub(crate) fn expire(&mut self) -> Beat {
        match self {
            Self::Idle => {
                *self = Self::Waiting { extended: false };
                Beat::Ping
            }
            Self::Waiting { .. } => Beat::TimedOut,
        }
    }

    /// A pong has arrived. Gives the time of the next ping; an unsolicited pong changes nothing.
    pub(crate) fn pong(&mut self, now: Instant, interval: Duration) -> Option<Instant> {
        let Self::Waiting { .. } = self else {
            return None;
        };
        *self = Self::Idle;
        Some(after(now, interval))
    }

    /// Another packet has arrived. Gives the new deadline if it is moved: once per ping, so that a peer that is busy
    /// sending is not cut off, and one that never pongs is (engine.io since 6.6.12).
    pub(crate) fn packet(&mut self, now: Instant, timeout: Duration) -> Option<Instant> {
        let Self::Waiting { extended: extended @ false } = self else {
            return None;
        };
        *extended = true;
        Some(after(now, timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_round() {
        let now = Instant::from_millis(500);
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.packet(now, SECOND), None);
        assert_eq!(heartbeat.pong(now, SECOND), None, "unsolicited");
        assert_eq!(heartbeat.expire(), Beat::Ping);
        assert_eq!(heartbeat.packet(now, SECOND), Some(Instant::from_millis(1_500)));
        assert_eq!(heartbeat.packet(now, SECOND), None, "only once");
        assert_eq!(heartbeat.pong(now, SECOND), Some(Instant::from_millis(1_500)));
        assert_eq!(heartbeat.expire(), Beat::Ping);
        assert_eq!(heartbeat.packet(now, SECOND), Some(Instant::from_millis(1_500)), "again");
        assert_eq!(heartbeat.expire(), Beat::TimedOut);
    }
}
