//! What ends a client's session: JavaScript's words, and what stands behind them.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{
    Text,
    client::{endpoint::RedirectError, http::Failure},
    engine::PacketError,
    ws,
};

/// Why a session ended or could not be opened: the details behind a [`CloseReason`](crate::engine::CloseReason).
///
/// It is written with the words of JavaScript's client; [`source`](core::error::Error::source) gives what it hides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A polling GET has failed.
    #[error("xhr poll error")]
    Poll(#[source] Box<Cause>),
    /// A polling POST has failed.
    #[error("xhr post error")]
    Post(#[source] Box<Cause>),
    /// A WebSocket could not be opened, or its server broke a rule.
    #[error("websocket error")]
    WebSocket(#[source] Box<Cause>),
    /// The session was not open within [`Config::timeout`](crate::client::Config::timeout).
    #[error("timeout")]
    Timeout {
        /// [`Config::timeout`](crate::client::Config::timeout).
        limit: Duration,
    },
    /// There is no transport in [`Config::transports`](crate::client::Config::transports).
    #[error("No transports available")]
    NoTransports,
    /// The server sent what is not an Engine.IO packet.
    #[error("server error")]
    Packet(#[source] PacketError),
    /// The handshake is not one.
    #[error("bad handshake: {0}")]
    Handshake(HandshakeError),
    /// The server speaks version 3 of the Engine.IO protocol, that is Socket.IO 2 or older.
    #[error("the server speaks version 3 of the Engine.IO protocol (Socket.IO 2), 4 expected")]
    OldProtocol,
    /// The server sent a message that is longer than [`Limits::max_payload`](crate::client::Limits::max_payload).
    #[error("a message of {size} bytes is over max_payload of {limit}")]
    MessageTooLarge {
        /// [`Limits::max_payload`](crate::client::Limits::max_payload).
        limit: usize,
        /// Bytes of the message.
        size: usize,
    },
    /// No ping came within `pingInterval` and `pingTimeout` of the handshake after the last one.
    #[error("no ping within {limit:?}")]
    PingTimeout {
        /// The sum of both.
        limit: Duration,
    },
}

/// What stands behind a transport's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// There is no response.
    #[error(transparent)]
    Failure(Failure),
    /// The response is a refusal, or none that can be understood.
    #[error("status {status}{}", refusal.as_ref().map_or_else(Default::default, |refusal| alloc::format!(": {refusal}")))]
    Status {
        /// Its status.
        status: u16,
        /// What the server says about it.
        refusal: Option<Refusal>,
    },
    /// The response is a redirection that is not followed.
    #[error(transparent)]
    Redirect(RedirectError),
    /// The response claims to open a WebSocket, and does not (RFC 6455, 4.1).
    #[error("the answer opens no WebSocket: {0}")]
    Upgrade(UpgradeError),
    /// The server broke a rule of the WebSocket protocol.
    #[error(transparent)]
    WebSocket(ws::Error),
}

/// What a server of Engine.IO says when it refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code, if there is one: 0 unknown transport, 1 unknown session, 2 bad method, 3 bad request, 4 forbidden,
    /// 5 unsupported protocol version.
    pub code: Option<u32>,
    /// The message, cut to 1,024 bytes at most.
    pub message: Text,
}

/// What is wrong with the answer that should open a WebSocket (RFC 6455, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// `Upgrade` does not name `websocket`.
    #[error("no Upgrade: websocket")]
    Upgrade,
    /// `Connection` does not name `Upgrade`.
    #[error("no Connection: Upgrade")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing, or that of another key.
    #[error("another Sec-WebSocket-Accept")]
    Accept,
    /// An extension that was not offered: none is.
    #[error("an extension that was not offered")]
    Extension,
    /// A sub-protocol that was not offered.
    #[error("a sub-protocol that was not offered")]
    Protocol,
}

/// What is wrong with a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another packet came first.
    #[error("an open packet expected")]
    Expected,
    /// The server closed the session or its WebSocket first.
    #[error("closed before the open packet")]
    Closed,
    /// It is not the JSON of a handshake; in the words of the parser.
    #[error("{0}")]
    Json(Text),
    /// It is longer than any handshake.
    #[error("{size} bytes are over the limit of {limit}")]
    TooLarge {
        /// 64 KiB.
        limit: usize,
        /// Bytes of the packet.
        size: usize,
    },
    /// The session id is empty.
    #[error("an empty session id")]
    Sid,
}

impl Error {
    pub(super) fn poll(cause: Cause) -> Self {
        Self::Poll(Box::new(cause))
    }

    pub(super) fn post(cause: Cause) -> Self {
        Self::Post(Box::new(cause))
    }

    pub(super) fn websocket(cause: Cause) -> Self {
        Self::WebSocket(Box::new(cause))
    }

    /// Whether nobody answers any more, or nobody who knows this session.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Self::Poll(_) | Self::Post(_) | Self::WebSocket(_))
    }
}
