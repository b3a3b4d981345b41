//! Acknowledgements, as both sides ask for them.

use core::{fmt, num::NonZeroU64};

use crate::socket::Args;

/// Names one acknowledgement that a peer owes to a socket, unique per socket. (On the server these are even numbers,
/// since broadcasts take the odd ones.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId(pub(crate) u64);

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number by which a peer wants an event acknowledged, at most [`MAX_ID`](crate::socket::MAX_ID). (One more is kept, so that
/// no number at all takes no room of its own in what is moved about with each event.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAckId(NonZeroU64);

impl PeerAckId {
    pub(crate) const fn new(id: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(id))
    }

    pub(crate) const fn get(self) -> u64 {
        self.0.get().saturating_sub(1)
    }
}

impl fmt::Debug for PeerAckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

/// How an acknowledgement ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AckOutcome {
    /// The peer answered.
    Reply(Args),
    /// The peer did not answer in time.
    Timeout,
    /// The socket was disconnected before the peer answered.
    Disconnected,
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::socket::MAX_ID;

    #[test]
    fn the_number_of_a_peer_is_kept_from_0_to_the_largest() {
        for id in [0, 1, MAX_ID] {
            let kept = PeerAckId::new(id);
            assert_eq!((kept.get(), format!("{kept:?}")), (id, format!("{id}")));
        }
    }
}
