//! What a client tells its application.

use alloc::boxed::Box;
use core::{fmt, time::Duration};

use super::error::Error;
use crate::{
    Text,
    ack::{AckId, AckOutcome, PeerAckId},
    socket::{Args, Packet, Payload},
};

/// Something that the application should know.
///
/// Those with a `socket` come in the order of that namespace's packets; the others are of the connection as a whole,
/// which Socket.IO calls events of the Manager.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, _, get) = connected();
/// for event in events(says(&mut client, get, r#"42["news",1]"#)) {
///     match event {
///         Event::Packet { event, args, .. } => println!("{event} {}", args.raw()),
///         Event::Disconnect { reason, .. } => println!("disconnected: {reason}"),
///         Event::ConnectError { error, .. } => println!("not connected: {error}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A namespace is connected (`connect`). What the server had sent before, and what waited to be sent, went first.
    Connect {
        /// The socket.
        socket: SocketId,
        /// Its id until it is disconnected (`socket.id`).
        sid: Text,
        /// Whether the server has restored the session of before: its id and rooms, and the events that were missed.
        recovered: bool,
    },
    /// A namespace could not be connected (`connect_error`). Whether that is tried again says
    /// [`Manager::is_active`](super::Manager::is_active): after [a refusal](Error::Refused) it is not.
    ConnectError {
        /// The socket.
        socket: SocketId,
        /// Why.
        error: Error,
    },
    /// A namespace that was connected is not any more (`disconnect`). Comes once for each [`Connect`](Self::Connect).
    Disconnect {
        /// The socket.
        socket: SocketId,
        /// Why.
        reason: DisconnectReason,
        /// What is behind the reason, if something is (`details` in JavaScript).
        error: Option<Error>,
    },
    /// An event arrived.
    Packet {
        /// The socket that it is for.
        socket: SocketId,
        /// The event's name.
        event: Text,
        /// Its arguments, still encoded.
        args: Args,
        /// With which to acknowledge it, if the server asks for that.
        ack: Option<AckToken>,
    },
    /// An acknowledgement that was asked for with `emit_with_ack` is decided. Comes exactly once for each.
    Ack {
        /// The socket that asked.
        socket: SocketId,
        /// What `emit_with_ack` returned.
        id: AckId,
        /// The answer, or why there is none.
        outcome: AckOutcome,
    },
    /// An event that waited ([`Delivery::Waiting`](super::Delivery::Waiting)) is sent now; with retries, it is sent once
    /// more.
    Outgoing {
        /// The socket.
        socket: SocketId,
        /// The event.
        payload: Payload,
    },
    /// An event that waited is given up: it was not sent within [`Offline::Buffer`](super::Offline::Buffer)'s `ttl`, or
    /// the last of its tries was not acknowledged.
    Discarded {
        /// The socket.
        socket: SocketId,
        /// The event.
        payload: Payload,
    },
    /// A namespace is about to be connected: [`Manager::provide_auth`](super::Manager::provide_auth) says as whom.
    NeedAuth(AuthRequest),
    /// A connection is about to be opened: [`Manager::provide_headers`](super::Manager::provide_headers) says with which
    /// headers. Only with [`Config::ask_headers`](super::Config::ask_headers).
    NeedHeaders(HeadersRequest),
    /// A connection is open (`open`). Its namespaces follow.
    Open,
    /// The connection has moved from polling to WebSocket (`upgrade` of the engine).
    Upgrade,
    /// The server has sent a ping, which was answered (`ping`).
    Ping,
    /// A packet has arrived, whatever it is (`packet`); what it means follows. Only after
    /// [`Manager::report_packets`](super::Manager::report_packets).
    Received(Box<Packet>),
    /// The connection failed; or it could not be opened, which comes after its namespaces were told (`error`).
    Error(Error),
    /// The connection is closed, after all its namespaces (`close`). Comes once for each [`Open`](Self::Open).
    Close {
        /// Why.
        reason: DisconnectReason,
        /// What is behind the reason, if something is.
        error: Option<Error>,
    },
    /// The next attempt to connect is about to be made (`reconnect_attempt`).
    ReconnectAttempt {
        /// The how many-th it is, from 1.
        attempt: u32,
        /// How long it was waited for: zero if [`Manager::open`](super::Manager::open) asked for it.
        waited: Duration,
    },
    /// An attempt succeeded (`reconnect`).
    Reconnect {
        /// The how many-th it was, from 1.
        attempt: u32,
    },
    /// An attempt failed (`reconnect_error`).
    ReconnectError(Error),
    /// All attempts failed, and there will be no other (`reconnect_failed`). Comes before the last
    /// [`ReconnectError`](Self::ReconnectError), as in JavaScript.
    ReconnectFailed,
}

/// Names one socket of a [`Manager`](super::Manager), a namespace. No other socket of that manager ever has the same.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// let chat: SocketId = client.add_socket("/chat", SocketOptions::default());
/// assert_ne!(chat, socket);
/// assert_eq!(client.socket("/chat"), Some(chat));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(super) u64);

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket-{}", self.0)
    }
}

/// With which to acknowledge one event, once. It is worth nothing after the socket was disconnected.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket, get) = connected();
/// let said = events(says(&mut client, get, r#"421["age?"]"#));
/// let [Event::Packet { ack: Some(token), .. }] = &said[..] else { panic!() };
/// client.reply(NOW, token, &Payload::ack(&42, 10).unwrap()).unwrap();
/// let [Output::Request { request, .. }] = &outputs(&mut client)[..] else { panic!() };
/// assert_eq!(request.body, "431[42]");
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(super) socket: SocketId,
    /// The connection of the socket that the event came on.
    pub(super) session: u64,
    pub(super) id: PeerAckId,
}

impl AckToken {
    /// The socket that the event came on.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, get) = connected();
    /// let said = events(says(&mut client, get, r#"421["age?"]"#));
    /// let [Event::Packet { ack: Some(token), .. }] = &said[..] else { panic!() };
    /// assert_eq!(token.socket(), socket);
    /// # }
    /// ```
    pub const fn socket(&self) -> SocketId {
        self.socket
    }
}

/// The question as whom to connect to a namespace, asked on each connection, so that a token which has expired can be
/// replaced. Nothing is sent for this namespace before it is answered.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// let get = request(&outputs(&mut client), "GET");
/// client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
/// while let Some(output) = client.poll_output() {
///     if let Output::Event(Event::NeedAuth(question)) = output {
///         let token = if question.last_error().is_some() { "a new one" } else { "abc" };
///         let auth = Payload::data(&std::collections::BTreeMap::from([("token", token)])).unwrap();
///         client.provide_auth(NOW, &question, Ok(Some(&auth))).unwrap();
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AuthRequest {
    pub(super) socket: SocketId,
    pub(super) serial: u64,
    pub(super) namespace: Text,
    pub(super) last_error: Option<Error>,
}

impl AuthRequest {
    /// The socket that is to be connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// # let (mut client, socket) = client(|_| {});
    /// # client.connect(NOW, socket);
    /// # let get = request(&outputs(&mut client), "GET");
    /// # client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
    /// # let question = loop {
    /// #     if let Some(Output::Event(Event::NeedAuth(question))) = client.poll_output() {
    /// #         break question;
    /// #     }
    /// # };
    /// assert_eq!(question.socket(), socket);
    /// # }
    /// ```
    pub const fn socket(&self) -> SocketId {
        self.socket
    }

    /// Its namespace.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// # let (mut client, socket) = client(|_| {});
    /// # client.connect(NOW, socket);
    /// # let get = request(&outputs(&mut client), "GET");
    /// # client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
    /// # let question = loop {
    /// #     if let Some(Output::Event(Event::NeedAuth(question))) = client.poll_output() {
    /// #         break question;
    /// #     }
    /// # };
    /// assert_eq!(question.namespace(), "/");
    /// # }
    /// ```
    pub const fn namespace(&self) -> &Text {
        &self.namespace
    }

    /// Why this socket could not be connected, or lost its connection, the last time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// # let (mut client, socket) = client(|_| {});
    /// # client.connect(NOW, socket);
    /// # let get = request(&outputs(&mut client), "GET");
    /// # client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
    /// # let question = loop {
    /// #     if let Some(Output::Event(Event::NeedAuth(question))) = client.poll_output() {
    /// #         break question;
    /// #     }
    /// # };
    /// assert_eq!(question.last_error(), None); // It is asked for the first time.
    /// # }
    /// ```
    pub const fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }
}

/// The question with which headers to open a connection, asked for each attempt.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|config| config.ask_headers = true);
/// client.connect(NOW, socket);
/// let Some(Output::Event(Event::NeedHeaders(question))) = client.poll_output() else { panic!() };
/// client.provide_headers(NOW, &question, Ok(vec![("authorization".into(), "Bearer abc".into())])).unwrap();
/// let Some(Output::Request { request, .. }) = client.poll_output() else { panic!() };
/// assert_eq!(request.header("authorization"), Some("Bearer abc"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeadersRequest {
    pub(super) serial: u64,
    pub(super) attempt: u32,
    pub(super) last_error: Option<Error>,
}

impl HeadersRequest {
    /// The how many-th attempt to reconnect it is, from 1; 0 for the first connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.ask_headers = true);
    /// client.connect(NOW, socket);
    /// let Some(Output::Event(Event::NeedHeaders(question))) = client.poll_output() else { panic!() };
    /// assert_eq!(question.attempt(), 0);
    /// # }
    /// ```
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Why there was no connection the last time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.ask_headers = true);
    /// client.connect(NOW, socket);
    /// let Some(Output::Event(Event::NeedHeaders(question))) = client.poll_output() else { panic!() };
    /// client.provide_headers(NOW, &question, Err("no token to be had".into())).unwrap();
    /// client.handle_timeout(client.poll_timeout().unwrap());
    /// let told = events(outputs(&mut client));
    /// let Some(Event::NeedHeaders(question)) = told.last() else { panic!() };
    /// assert_eq!((question.attempt(), question.last_error().unwrap().to_string()), (1, "no token to be had".into()));
    /// # }
    /// ```
    pub const fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }
}

/// Why a namespace or the connection is gone, with the exact texts of Socket.IO.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket, _) = connected();
/// client.disconnect(NOW, socket);
/// let told = events(outputs(&mut client));
/// assert!(matches!(told[0], Event::Disconnect { reason: DisconnectReason::ClientDisconnect, .. }));
/// assert_eq!(DisconnectReason::ClientDisconnect.to_string(), "io client disconnect");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server made the client leave the namespace. It is not joined again by itself.
    ServerDisconnect,
    /// This side left the namespace. It is not joined again by itself.
    ClientDisconnect,
    /// The server sent no ping in time.
    PingTimeout,
    /// The server closed the connection, or it was lost.
    TransportClose,
    /// The connection failed.
    TransportError,
    /// The server sent what is not a packet.
    ParseError,
    /// This side closed the connection.
    ForcedClose,
}

impl DisconnectReason {
    /// The reason's text, as Socket.IO gives it to `disconnect` listeners.
    ///
    /// ```
    /// use sockeye_protocol::client::DisconnectReason;
    ///
    /// assert_eq!(DisconnectReason::ServerDisconnect.as_str(), "io server disconnect");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }

    /// Whether a new connection is made by itself after it, unless reconnection is switched off.
    ///
    /// ```
    /// # use sockeye_protocol::client::DisconnectReason;
    /// assert!(DisconnectReason::TransportClose.reconnects());
    /// assert!(!DisconnectReason::ServerDisconnect.reconnects());
    /// ```
    pub const fn reconnects(self) -> bool {
        !matches!(self, Self::ServerDisconnect | Self::ClientDisconnect | Self::ForcedClose)
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is larger than 128 bytes is moved by calls of `memcpy`, once for each layer that a message comes through.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() <= 120, "{}", size_of::<Event>());
        assert_eq!(size_of::<Option<AckToken>>(), size_of::<AckToken>());
    }
}
