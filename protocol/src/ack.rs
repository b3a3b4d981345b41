//! Acknowledgements, as both sides ask for them.

use core::fmt;

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
