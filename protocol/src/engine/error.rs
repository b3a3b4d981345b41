//! What ends a session, and what a peer or a caller can do wrong.

use core::{fmt, time::Duration};

use super::packet::PacketError;
use crate::ws;

/// Why a session ended: the reasons of Socket.IO, and two of this server.
///
/// ```
/// use sockeye_protocol::engine::CloseReason;
///
/// let is_lost = |reason| matches!(reason, CloseReason::TransportClose | CloseReason::PingTimeout);
/// assert!(is_lost(CloseReason::PingTimeout) && !is_lost(CloseReason::ForcedClose));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer broke a rule, or dropped a request that it should have waited for.
    TransportError,
    /// The peer closed the session or its WebSocket, or the connection was lost.
    TransportClose,
    /// This side closed the session.
    ForcedClose,
    /// The peer did not answer a ping in time.
    PingTimeout,
    /// The peer sent what is not a packet.
    ParseError,
    /// The peer did not take what was sent to it, and the queue was full.
    SlowConsumer,
    /// The server is being shut down.
    ServerShuttingDown,
}

impl CloseReason {
    /// The words of Socket.IO for this reason.
    ///
    /// ```
    /// use sockeye_protocol::engine::CloseReason;
    /// assert_eq!(CloseReason::PingTimeout.as_str(), "ping timeout");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::ForcedClose => "forced close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::SlowConsumer => "slow consumer",
            Self::ServerShuttingDown => "server shutting down",
        }
    }

    /// The close frame for this reason (RFC 6455, 7.4.1): code and text. A violation of the WebSocket protocol itself
    /// has a code of its own, see [`ws::Error::close_code`].
    pub(crate) const fn close_frame(self) -> (u16, &'static str) {
        match self {
            Self::ForcedClose | Self::TransportClose => (1000, ""),
            Self::ServerShuttingDown => (1001, self.as_str()),
            Self::TransportError | Self::ParseError => (1002, self.as_str()),
            Self::PingTimeout | Self::SlowConsumer => (1008, self.as_str()),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a peer did wrong: the details behind a [`CloseReason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of the WebSocket protocol.
    #[error("WebSocket: {0}")]
    WebSocket(ws::Error),
    /// The peer sent what is not an Engine.IO packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The peer sent a packet that only this side may send, or at the wrong time.
    #[error("a client must not send a packet of type {0}")]
    Direction(char),
    /// A message is longer than `max_payload`.
    #[error("a message of {size} bytes is over max_payload of {limit}")]
    MessageTooLarge {
        /// `max_payload`.
        limit: usize,
        /// Bytes of the message.
        size: usize,
    },
    /// The body of a POST is longer than `max_payload`.
    #[error("a request body{} is over max_payload of {limit}", Bytes(*.size))]
    BodyTooLarge {
        /// `max_payload`.
        limit: usize,
        /// Bytes of the body, if it was declared or read.
        size: Option<u64>,
    },
    /// The body of a POST did not arrive within `body_timeout`.
    #[error("a request body took longer than body_timeout of {limit:?}")]
    BodyTimeout {
        /// `body_timeout`.
        limit: Duration,
    },
    /// A POST with `Content-Type: application/octet-stream`.
    #[error("a binary request body (protocol version 4 sends base64)")]
    BinaryBody,
    /// A POST with a `Content-Encoding`.
    #[error("a compressed request body")]
    EncodedBody,
    /// A second GET while one was waiting.
    #[error("a second GET while one is open")]
    PollOverlap,
    /// A second POST while one was being read.
    #[error("a second POST while one is open")]
    DataOverlap,
    /// The peer dropped its waiting GET.
    #[error("the waiting GET was dropped")]
    PollAborted,
    /// The peer dropped a POST before its end.
    #[error("a POST was dropped before its end")]
    DataAborted,
    /// No pong within `ping_timeout`.
    #[error("no pong within ping_timeout of {limit:?}")]
    PingTimeout {
        /// `ping_timeout`.
        limit: Duration,
    },
}

/// Writes a size if there is one.
struct Bytes(Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(size) => write!(f, " of {size} bytes"),
            None => Ok(()),
        }
    }
}

/// Why a message was not taken for sending: a matter between this machine and its caller.
///
/// ```
/// use sockeye_protocol::engine::{QueueUnit, SendError};
///
/// let error = SendError::Full { unit: QueueUnit::Packets, limit: 100, value: 101 };
/// assert_eq!(error.to_string(), "the send queue is full: 101 packets would be over the limit of 100");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session is closed (or not open yet).
    #[error("the session is closed")]
    Closed,
    /// The send queue has no room. A message of any size fits an empty queue.
    #[error("the send queue is full: {value} {unit} would be over the limit of {limit}")]
    Full {
        /// Which limit it is.
        unit: QueueUnit,
        /// [`Limits::send_queue_bytes`](crate::Limits::send_queue_bytes) or
        /// [`Limits::send_queue_packets`](crate::Limits::send_queue_packets).
        limit: usize,
        /// What the queue would hold with the message.
        value: usize,
    },
}

/// What a send queue is measured in.
///
/// ```
/// use sockeye_protocol::engine::QueueUnit;
///
/// assert_eq!(format!("64 {}", QueueUnit::Bytes), "64 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueUnit {
    /// Bytes waiting.
    Bytes,
    /// Packets waiting.
    Packets,
}

impl fmt::Display for QueueUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Packets => "packets",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn errors_name_limit_and_value_and_are_small() {
        for (error, text) in [
            (Error::BodyTooLarge { limit: 5, size: Some(6) }, "a request body of 6 bytes is over max_payload of 5"),
            (Error::BodyTooLarge { limit: 5, size: None }, "a request body is over max_payload of 5"),
            (Error::PingTimeout { limit: Duration::from_secs(20) }, "no pong within ping_timeout of 20s"),
            (Error::MessageTooLarge { limit: 1, size: 2 }, "a message of 2 bytes is over max_payload of 1"),
        ] {
            assert_eq!(error.to_string(), text);
        }
        let full = SendError::Full { unit: QueueUnit::Packets, limit: 1, value: 2 };
        assert_eq!(full.to_string(), "the send queue is full: 2 packets would be over the limit of 1");
        assert!(size_of::<Error>() <= 32, "{}", size_of::<Error>());
        assert!(size_of::<SendError>() <= 24);
    }

    #[test]
    fn a_close_reason_fits_a_close_frame() {
        for reason in [
            CloseReason::TransportError,
            CloseReason::TransportClose,
            CloseReason::ForcedClose,
            CloseReason::PingTimeout,
            CloseReason::ParseError,
            CloseReason::SlowConsumer,
            CloseReason::ServerShuttingDown,
        ] {
            let (code, text) = reason.close_frame();
            assert!((1000..=1008).contains(&code) && text.len() <= 123);
            assert_eq!(reason.to_string(), reason.as_str());
        }
    }
}
