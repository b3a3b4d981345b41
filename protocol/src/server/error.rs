//! What can go wrong: on the peer's side ([`Error`]), and on the caller's ([`EmitError`], [`JoinError`], …).

use core::time::Duration;

use crate::{
    Text, engine,
    socket::{self, WrongPayload},
};

/// What a peer did, or failed to do, that ended its connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Below Socket.IO: HTTP, WebSocket or Engine.IO.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// Not a Socket.IO packet (Socket.IO protocol v5, "Packet encoding").
    #[error(transparent)]
    Packet(#[from] socket::DecodeError),
    /// A packet other than CONNECT for a namespace that was not joined, or not yet.
    #[error("packet for the namespace {0:?}, which is not joined")]
    NotJoined(Text),
    /// A second CONNECT for a namespace that is joined or about to be.
    #[error("second CONNECT for the namespace {0:?}")]
    JoinedTwice(Text),
    /// A CONNECT_ERROR, which only a server may send.
    #[error("CONNECT_ERROR from a client")]
    ConnectErrorFromClient,
    /// No namespace was joined in time.
    #[error("no namespace joined within {limit:?}")]
    ConnectTimeout {
        /// [`crate::Config::connect_timeout`].
        limit: Duration,
    },
    /// The attachments of a packet did not arrive in time.
    #[error("attachments still missing after {limit:?}")]
    PacketTimeout {
        /// [`crate::Limits::packet_timeout`].
        limit: Duration,
    },
    /// Too many joins were refused.
    #[error("{count} refused namespaces, the limit is {limit}")]
    TooManyRefusals {
        /// Joins that were refused.
        count: usize,
        /// [`crate::Limits::failed_namespaces`].
        limit: usize,
    },
    /// The peer does not take what is sent to it.
    #[error("slow consumer: {0}")]
    SlowConsumer(engine::SendError),
}

impl Error {
    /// How the peer is told: the close frame of its WebSocket (RFC 6455, 7.4.1). A polling client gets `1` alone.
    pub(crate) const fn close_frame(&self) -> (u16, &'static str) {
        use socket::DecodeError;
        match self {
            Self::Packet(DecodeError::PacketTooLarge { .. }) => (1008, "packet too large"),
            Self::Packet(DecodeError::NamespaceTooLong { .. }) => (1008, "namespace name too long"),
            Self::Packet(_) => (1002, "parse error"),
            Self::NotJoined(_) | Self::JoinedTwice(_) | Self::ConnectErrorFromClient => (1002, "invalid state"),
            Self::ConnectTimeout { .. } => (1008, "connect timeout"),
            Self::PacketTimeout { .. } => (1008, "packet timeout"),
            Self::TooManyRefusals { .. } => (1008, "too many refused namespaces"),
            Self::SlowConsumer(_) => (1008, "slow consumer"),
            // The session has closed itself, with a frame of its own.
            Self::Engine(_) => (1002, ""),
        }
    }
}

/// Why something was not sent.
///
/// ```
/// use sockeye_protocol::{
///     engine::{QueueUnit, SendError},
///     server::EmitError,
/// };
///
/// let can_wait = |error: &EmitError| matches!(error, EmitError::Full(SendError::Full { .. }));
/// assert!(can_wait(&EmitError::Full(SendError::Full { unit: QueueUnit::Bytes, limit: 64, value: 65 })));
/// assert!(!can_wait(&EmitError::NotConnected));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The socket is not connected (any more): its key is stale or its connection request was not accepted yet.
    #[error("the socket is not connected")]
    NotConnected,
    /// The send queue is full, and the policy is [`crate::QueuePolicy::Error`].
    #[error(transparent)]
    Full(engine::SendError),
    /// The socket owes too many acknowledgements already.
    #[error("{limit} acknowledgements are outstanding, the limit is {limit}")]
    TooManyAcks {
        /// [`crate::Limits::outstanding_acks`].
        limit: usize,
    },
    /// The event or its arguments cannot be encoded.
    #[error(transparent)]
    Encode(#[from] socket::EncodeError),
    /// An event was given the payload of an acknowledgement, or the other way round.
    #[error(transparent)]
    WrongPayload(#[from] WrongPayload),
    /// A volatile event could not leave at once, and its acknowledgement would never come.
    #[error("a volatile event was dropped")]
    Dropped,
}

/// For drivers of both sides, whose users have one error.
impl From<crate::client::EmitError> for EmitError {
    fn from(error: crate::client::EmitError) -> Self {
        use crate::client::EmitError as Client;
        match error {
            Client::Gone | Client::NotConnected => Self::NotConnected,
            Client::Dropped => Self::Dropped,
            Client::BufferFull { unit, limit, value } => Self::Full(engine::SendError::Full { unit, limit, value }),
            Client::Full(error) => Self::Full(error),
            Client::TooManyAcks { limit } => Self::TooManyAcks { limit },
            Client::WrongPayload(error) => Self::WrongPayload(error),
        }
    }
}

/// Why a connection request could not be answered: the client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client that asked to connect is gone")]
pub struct RequestGone;

/// Why a socket did not join a room.
///
/// ```
/// use sockeye_protocol::server::JoinError;
///
/// let error = JoinError::TooManyRooms { limit: 10_000 };
/// assert_eq!(error.to_string(), "the socket is in 10000 rooms, the limit is 10000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The socket is not connected (any more).
    #[error("the socket is not connected")]
    NotConnected,
    /// The socket is in too many rooms already.
    #[error("the socket is in {limit} rooms, the limit is {limit}")]
    TooManyRooms {
        /// [`crate::Limits::rooms_per_socket`].
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
        assert!(size_of::<EmitError>() <= 64, "{}", size_of::<EmitError>());
        assert!(size_of::<JoinError>() <= 16);
    }
}
