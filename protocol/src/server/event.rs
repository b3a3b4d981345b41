//! What a server tells its application.

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

use serde::Serialize;

use super::{error::Error, handshake::Handshake, hub::Session};
use crate::{
    Text,
    ack::{AckId, AckOutcome, PeerAckId},
    engine::CloseReason,
    key::{ConnKey, NspId, Sid, SocketKey},
    socket::{Args, Data, EncodeError, Payload},
};

/// Something that the application should know. Events of one connection come in the order of its packets.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A client asks to connect to a namespace. Answer with `accept` or `reject`; until then nothing of this
    /// namespace is received or sent.
    Connect(ConnectRequest),
    /// An event arrived.
    Packet {
        /// The socket that sent it.
        socket: SocketKey,
        /// The event's name.
        event: Text,
        /// Its arguments, still encoded.
        args: Args,
        /// With which to acknowledge it, if the client asks for that.
        ack: Option<AckToken>,
    },
    /// An acknowledgement that was asked for with `emit_with_ack` is decided. Comes exactly once for each.
    Ack {
        /// The socket that was asked.
        socket: SocketKey,
        /// What `emit_with_ack` returned.
        id: AckId,
        /// The answer, or why there is none.
        outcome: AckOutcome,
    },
    /// A socket is about to be gone; it is still in its rooms.
    Disconnecting {
        /// The socket.
        socket: SocketKey,
        /// Why.
        reason: DisconnectReason,
    },
    /// A socket is gone. Comes once for each that was accepted.
    Disconnect {
        /// The socket.
        socket: SocketKey,
        /// Why.
        reason: DisconnectReason,
        /// What the peer did wrong, where that is the cause.
        error: Option<Error>,
    },
    /// A connection moved from polling to WebSocket.
    Upgrade(ConnKey),
    /// A connection is gone, after all its sockets. Comes once for each.
    Close {
        /// The connection.
        connection: ConnKey,
        /// Why.
        reason: CloseReason,
        /// What the peer did wrong, where that is the cause.
        error: Option<Error>,
    },
    /// A room was made, joined, left, or is gone. Only with [`crate::Config::room_events`].
    Room(RoomOp),
    /// A request on a selection of sockets was carried out.
    Selection {
        /// What the request returned.
        id: SelectionId,
        /// The number of sockets that it reached.
        sockets: usize,
    },
    /// A session has ended for good: what the application keeps for it can go. Only with [`crate::Config::recovery`]; comes
    /// once for each socket that was accepted and not recovered, when that is gone and cannot come back any more.
    Forgotten {
        /// The namespace.
        namespace: NspId,
        /// The socket's id.
        sid: Sid,
    },
}

/// A client's wish to connect to a namespace (the CONNECT packet), to be consumed by `accept` or `reject`.
#[derive(Debug, PartialEq)]
pub struct ConnectRequest {
    pub(crate) connection: ConnKey,
    pub(crate) socket: SocketKey,
    pub(crate) sid: Sid,
    pub(crate) namespace: Text,
    pub(crate) auth: Option<Data>,
    pub(crate) session: Option<Box<Session>>,
    pub(crate) handshake: Arc<Handshake>,
}

impl ConnectRequest {
    /// The connection that asks.
    pub const fn connection(&self) -> ConnKey {
        self.connection
    }

    /// The key that the socket will have. It may join rooms already; it leaves them again when it is rejected.
    pub const fn socket(&self) -> SocketKey {
        self.socket
    }

    /// The id that the socket will have (`socket.id`): public, one per namespace.
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// The namespace's name.
    pub const fn namespace(&self) -> &Text {
        &self.namespace
    }

    /// What the client gave as `auth`, a JSON object, if it gave anything.
    pub const fn auth(&self) -> Option<&Data> {
        self.auth.as_ref()
    }

    /// Whether the client goes on with a session that it had on a lost link ([`crate::Config::recovery`]): the socket has
    /// that one's id, and is in its rooms already. Once it is accepted, the client gets what it has missed, and then the
    /// answer.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() {
    /// let mut hub = hub();
    /// let (client, socket, pid) = Peer::joined(&mut hub);
    /// hub.join(socket, "room").unwrap();
    /// let sid = hub.sid(socket).unwrap();
    /// client.go(&mut hub);
    /// let request = Peer::new(&mut hub, &format!(r#"40{{"pid":"{pid}"}}"#)).asked.unwrap();
    /// assert!(request.is_recovered());
    /// assert_eq!((request.sid(), hub.rooms(request.socket()).count()), (sid, 1));
    /// // Anybody else begins anew.
    /// assert!(!Peer::new(&mut hub, "40").asked.unwrap().is_recovered());
    /// # }
    /// ```
    pub fn is_recovered(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_recovered)
    }

    /// The HTTP request that opened the connection.
    pub const fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }
}

/// Why a connection request is refused: what the client gets as `connect_error`.
///
/// ```
/// use sockeye_protocol::server::ConnectError;
///
/// let error = ConnectError::with_data("not authorized", &("retry", 5)).unwrap();
/// assert_eq!(error.json(), r#"{"message":"not authorized","data":["retry",5]}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectError(Payload);

impl ConnectError {
    /// A refusal with a message alone.
    ///
    /// ```
    /// use sockeye_protocol::server::ConnectError;
    ///
    /// assert_eq!(ConnectError::new("not authorized")?.json(), r#"{"message":"not authorized"}"#);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None are known for a plain text.
    pub fn new(message: &str) -> Result<Self, EncodeError> {
        Self::encode(&Refusal { message, data: None::<&()> })
    }

    /// A refusal with a message and anything serialisable as details (`err.data` in JavaScript).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use sockeye_protocol::{server::ConnectError, socket::EncodeError};
    ///
    /// let error = ConnectError::with_data("try later", &[1, 5])?;
    /// assert_eq!(error.json(), r#"{"message":"try later","data":[1,5]}"#);
    /// assert_eq!(ConnectError::with_data("no", &Bytes::new()), Err(EncodeError::BinaryData));
    /// # Ok::<(), EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if `data` cannot be written as JSON, for instance because it holds binary.
    pub fn with_data<T: Serialize + ?Sized>(message: &str, data: &T) -> Result<Self, EncodeError> {
        Self::encode(&Refusal { message, data: Some(data) })
    }

    /// The JSON that is sent.
    ///
    /// ```
    /// use sockeye_protocol::server::ConnectError;
    ///
    /// let error = ConnectError::new("\"no\"")?;
    /// assert_eq!(error.json(), r#"{"message":"\"no\""}"#);
    /// assert_eq!(error.to_string(), error.json());
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub fn json(&self) -> &str {
        core::str::from_utf8(self.0.json()).unwrap_or_default()
    }

    pub(crate) const fn payload(&self) -> &Payload {
        &self.0
    }

    fn encode<T: Serialize + ?Sized>(refusal: &Refusal<'_, T>) -> Result<Self, EncodeError> {
        Payload::data(refusal).map(Self)
    }
}

/// As the JSON that is sent.
impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

impl core::error::Error for ConnectError {}

#[derive(Serialize)]
struct Refusal<'a, T: ?Sized> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
}

/// With which to acknowledge one event, once.
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(crate) socket: SocketKey,
    pub(crate) id: PeerAckId,
}

impl AckToken {
    /// The socket that waits for the acknowledgement.
    pub const fn socket(&self) -> SocketKey {
        self.socket
    }
}

/// What happened to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomOp {
    /// A room has its first socket.
    Create {
        /// The namespace.
        namespace: NspId,
        /// The room's name.
        room: Text,
    },
    /// A socket joined a room.
    Join {
        /// The socket.
        socket: SocketKey,
        /// The room's name.
        room: Text,
    },
    /// A socket left a room.
    Leave {
        /// The socket.
        socket: SocketKey,
        /// The room's name.
        room: Text,
    },
    /// A room lost its last socket.
    Delete {
        /// The namespace.
        namespace: NspId,
        /// The room's name.
        room: Text,
    },
}

/// Names one request on a selection of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectionId(pub(crate) u64);

/// Why a socket is gone, with the exact texts of Socket.IO.
///
/// ```
/// use sockeye_protocol::server::DisconnectReason;
///
/// let who = |reason| match reason {
///     DisconnectReason::ClientNamespaceDisconnect => "the client",
///     DisconnectReason::ServerNamespaceDisconnect => "this side",
///     _ => "the connection",
/// };
/// assert_eq!(who(DisconnectReason::PingTimeout), "the connection");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The connection failed or broke a rule of the transport.
    TransportError,
    /// The connection ended, or the client closed it.
    TransportClose,
    /// This side closed the connection, after a packet that is no packet for instance.
    ForcedClose,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent something that is no Engine.IO packet.
    ParseError,
    /// The server is shutting down.
    ServerShuttingDown,
    /// This side closed the connection while a polling client had no request open.
    ForcedServerClose,
    /// The client left the namespace.
    ClientNamespaceDisconnect,
    /// This side made the client leave the namespace.
    ServerNamespaceDisconnect,
    /// The client did not take what was sent to it. (Not a reason of Socket.IO, whose queues have no bound.)
    SlowConsumer,
}

impl DisconnectReason {
    /// The reason's text, as Socket.IO gives it to `disconnect` listeners.
    ///
    /// ```
    /// use sockeye_protocol::server::DisconnectReason;
    ///
    /// assert_eq!(DisconnectReason::TransportClose.as_str(), "transport close");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => CloseReason::TransportError.as_str(),
            Self::TransportClose => CloseReason::TransportClose.as_str(),
            Self::ForcedClose => CloseReason::ForcedClose.as_str(),
            Self::PingTimeout => CloseReason::PingTimeout.as_str(),
            Self::ParseError => CloseReason::ParseError.as_str(),
            Self::ServerShuttingDown => CloseReason::ServerShuttingDown.as_str(),
            Self::SlowConsumer => CloseReason::SlowConsumer.as_str(),
            Self::ForcedServerClose => "forced server close",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
        }
    }

    /// Whether the client may come back to its session ([`crate::Config::recovery`]): the link was lost, or this side closed
    /// it, but neither side left the namespace. (Those of Socket.IO; a slow consumer has lost what was not sent.)
    ///
    /// ```
    /// use sockeye_protocol::server::DisconnectReason;
    ///
    /// assert!(DisconnectReason::PingTimeout.is_recoverable());
    /// assert!(!DisconnectReason::ClientNamespaceDisconnect.is_recoverable());
    /// ```
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::TransportError
            | Self::TransportClose
            | Self::ForcedClose
            | Self::PingTimeout
            | Self::ServerShuttingDown
            | Self::ForcedServerClose => true,
            Self::ParseError
            | Self::ClientNamespaceDisconnect
            | Self::ServerNamespaceDisconnect
            | Self::SlowConsumer => false,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportError => Self::TransportError,
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::ForcedClose => Self::ForcedClose,
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::ParseError => Self::ParseError,
            CloseReason::ServerShuttingDown => Self::ServerShuttingDown,
            CloseReason::SlowConsumer => Self::SlowConsumer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a client's.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() <= 128, "{}", size_of::<Event>());
        assert_eq!(size_of::<Option<AckToken>>(), size_of::<AckToken>());
    }
}
