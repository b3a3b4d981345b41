//! What ends a client's session: JavaScript's words, and what stands behind them.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{
    Text,
    client::{endpoint::RedirectError, http::Failure},
    engine::PacketError,
    ws::{self, CloseFrame},
};

/// Why a session ended or could not be opened: the details behind a [`CloseReason`](crate::engine::CloseReason).
///
/// It is written with the words of JavaScript's client; [`source`](core::error::Error::source) gives what it hides.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// engine.handle_response(NOW, get, &Response { status: 502, headers: &[] }, Bytes::new());
/// let Some(engine::Output::Event(engine::Event::Close { error: Some(error), .. })) = engine.poll_output() else { panic!() };
/// assert_eq!(error.to_string(), "xhr poll error");
/// assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "status 502");
/// # }
/// ```
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
    /// The server has closed the session, or its transport; the reason is `transport close` then.
    #[error("{0}")]
    Closed(ClosedBy),
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

/// How a server has closed a session: JavaScript's `description`, and of its `context` what the server said.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// engine.handle_response(NOW, get, &OK, Bytes::from("1"));
/// let Some(engine::Output::Event(engine::Event::Close { error: Some(error), .. })) = engine.poll_output() else { panic!() };
/// assert_eq!(error, engine::Error::Closed(engine::ClosedBy::Packet));
/// assert_eq!(error.to_string(), "transport closed by the server");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedBy {
    /// By a packet of Engine.IO: `1`.
    #[error("transport closed by the server")]
    Packet,
    /// By a close frame of the WebSocket: its code and reason, `None` if it has neither.
    #[error("websocket connection closed")]
    Frame(Option<CloseFrame>),
    /// By the end of the WebSocket's byte stream, without a word.
    #[error("websocket connection closed")]
    Eof,
}

/// What stands behind a transport's error.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// let body = Bytes::from(r#"{"code":1,"message":"Session ID unknown"}"#);
/// engine.handle_response(NOW, get, &Response { status: 400, headers: &[] }, body);
/// let Some(engine::Output::Event(engine::Event::Close { error, .. })) = engine.poll_output() else { panic!() };
/// let Some(engine::Error::Poll(cause)) = error else { panic!() };
/// assert_eq!(cause.to_string(), "status 400: Session ID unknown");
/// # }
/// ```
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
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// let body = Bytes::from(r#"{"code":1,"message":"Session ID unknown"}"#);
/// engine.handle_response(NOW, get, &Response { status: 400, headers: &[] }, body);
/// let Some(engine::Output::Event(engine::Event::Close { error, .. })) = engine.poll_output() else { panic!() };
/// let Some(engine::Error::Poll(cause)) = error else { panic!() };
/// let engine::Cause::Status { refusal: Some(refusal), .. } = *cause else { panic!() };
/// assert_eq!((refusal.code, &*refusal.message), (Some(1), "Session ID unknown"));
/// # }
/// ```
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
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, transport, _) = websocket();
/// engine.handle_upgrade(NOW, transport, &Response { status: 101, headers: &[] }, Bytes::new());
/// let Some(engine::Output::Abort { .. }) = engine.poll_output() else { panic!() };
/// let Some(engine::Output::Event(engine::Event::Close { error, .. })) = engine.poll_output() else { panic!() };
/// let Some(engine::Error::WebSocket(cause)) = error else { panic!() };
/// assert_eq!(*cause, engine::Cause::Upgrade(engine::UpgradeError::Upgrade));
/// # }
/// ```
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
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, id) = opening(|_| {});
/// engine.handle_response(NOW, id, &OK, Bytes::from("4hello"));
/// let Some(engine::Output::Event(engine::Event::Close { error, .. })) = engine.poll_output() else { panic!() };
/// assert_eq!(error, Some(engine::Error::Handshake(engine::HandshakeError::Expected)));
/// # }
/// ```
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
