//! What a server is set up with: [`Config`] (behaviour, the names and defaults of Socket.IO) and [`Limits`] (what a
//! peer may cost).

use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// The options of an Engine.IO or Socket.IO server. Times and sizes default to those of Socket.IO 4.8.
///
/// ```
/// use core::time::Duration;
/// use sockeye_protocol::{Config, Cors, Origins};
///
/// let config = Config {
///     ping_interval: Duration::from_secs(10),
///     cors: Some(Cors { origins: Origins::Any, ..Cors::default() }),
///     ..Config::default()
/// };
/// assert_eq!(config.path, "/socket.io/");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The path of the requests that are ours, with its final slash. Any path below it is ours too; the same path
    /// without the slash is not (as in Socket.IO). Default `/socket.io/`; an Engine.IO server alone: `/engine.io/`.
    pub path: String,
    /// The transports that are served. Default: polling and WebSocket.
    pub transports: Transports,
    /// Whether a polling session is offered WebSocket in its handshake, and an upgrade is accepted. Default `true`.
    pub allow_upgrades: bool,
    /// The time from the handshake, or from a pong, to the next ping. Sent to the client. Default 25 s.
    pub ping_interval: Duration,
    /// The time in which a ping must be answered. Sent to the client. Default 20 s.
    pub ping_timeout: Duration,
    /// The time in which a WebSocket must finish its upgrade of a polling session. Default 10 s.
    pub upgrade_timeout: Duration,
    /// The time in which a client must have joined a namespace. Default 45 s.
    pub connect_timeout: Duration,
    /// The time in which a client must acknowledge, for APIs above the core whose emits do not say another one; the
    /// core's own `emit_with_ack` always does. Default 30 s.
    pub ack_timeout: Duration,
    /// Cross-origin rules, enforced on both transports. Default `None`: no CORS headers, any origin may open a
    /// WebSocket (as in Socket.IO).
    pub cors: Option<Cors>,
    /// Whether room operations (a room made, joined, left, gone) are reported as outputs. Default `true`.
    pub room_events: bool,
    /// What a full send queue does. Default [`QueuePolicy::Error`].
    pub queue_policy: QueuePolicy,
    /// Connection state recovery: who comes back after a lost link finds its id, its rooms and what it has missed.
    /// Default `None`: off, and then it costs nothing.
    pub recovery: Option<Recovery>,
    /// What a peer may cost.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: String::from("/socket.io/"),
            transports: Transports::default(),
            allow_upgrades: true,
            ping_interval: Duration::from_millis(25_000),
            ping_timeout: Duration::from_millis(20_000),
            upgrade_timeout: Duration::from_millis(10_000),
            connect_timeout: Duration::from_millis(45_000),
            ack_timeout: Duration::from_millis(30_000),
            cors: None,
            room_events: true,
            queue_policy: QueuePolicy::Error,
            recovery: None,
            limits: Limits::default(),
        }
    }
}

/// Connection state recovery (`connectionStateRecovery` of Socket.IO): how long a lost session waits for its client, and
/// what may wait for it. All bounds are per namespace.
///
/// Every event without acknowledgement is sent with its offset as one more argument, a text, and kept in a log. A session
/// whose link was lost ([`DisconnectReason::is_recoverable`](crate::server::DisconnectReason::is_recoverable)) is kept
/// too. A client that names both in its next CONNECT gets its id and rooms back, and the events that it has missed. One
/// that comes too late begins anew, and so does one for which there was something among the events that the log has lost
/// since. (What was for others does not count, with two exceptions: an event from which a lost session was
/// [excepted](crate::server::Target::except), and the oldest events when those of thousands of rooms are lost.)
///
/// # How large
///
/// The log has the events of all clients of a namespace, those that go to one of them alone, too: `count` per second times
/// (250 + size) bytes. Each broadcast is there once. To recover whatever can be, it needs those of
/// `max_disconnection_duration` and of the 45 s in which a dead link may go unnoticed
/// ([`ping_interval`](Config::ping_interval) and [`ping_timeout`](Config::ping_timeout)): no event is kept for longer.
///
/// | events per second | of | 16 MiB are those of | 165 s need |
/// | --- | --- | --- | --- |
/// | 100 | 100 bytes | all 165 s | 6 MB |
/// | 1,000 | 100 bytes | 48 s | 58 MB |
/// | 10,000 (1,000 clients with 10 each) | 100 bytes | 4.8 s | 580 MB |
/// | 10,000 | 1,000 bytes | 1.3 s | 2.1 GB |
///
/// Socket.IO keeps all of them, whatever they cost.
///
/// ```
/// use core::time::Duration;
/// use sockeye_protocol::{Config, Recovery};
///
/// let recovery = Recovery { max_disconnection_duration: Duration::from_secs(30), ..Recovery::default() };
/// let config = Config { recovery: Some(recovery), ..Config::default() };
/// # drop(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The time in which a client must be back. Default 120 s, as in Socket.IO.
    pub max_disconnection_duration: Duration,
    /// Whether a recovered socket passes the middlewares by (for APIs above the core). Default `false`, so that who has
    /// lost an authorisation in the meantime is refused; in Socket.IO `true`. Connect handlers always run.
    pub skip_middlewares: bool,
    /// Events that the log may hold; the oldest make room. Default 1,000,000: more than `max_bytes` has room for.
    pub max_packets: usize,
    /// Bytes that the log may hold, attachments, room names and what each event takes by itself included; the oldest events
    /// make room. Default 16 MiB.
    pub max_bytes: usize,
    /// Lost sessions that may wait for their clients; the oldest make room. Default 100,000.
    pub max_sessions: usize,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_disconnection_duration: Duration::from_millis(120_000),
            skip_middlewares: false,
            max_packets: 1_000_000,
            max_bytes: 16 * 1024 * 1024,
            max_sessions: 100_000,
        }
    }
}

/// The transports that a server serves.
///
/// ```
/// use sockeye_protocol::{Config, Transports};
///
/// let config = Config { transports: Transports { polling: false, ..Transports::default() }, ..Config::default() };
/// assert!(config.transports.websocket);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket.
    pub websocket: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self { polling: true, websocket: true }
    }
}

/// Cross-origin rules: the options of the `cors` package of npm that Socket.IO documents.
///
/// ```
/// use sockeye_protocol::{Config, Cors, Origins};
///
/// let origins = Origins::List(vec!["https://example.com".into()]);
/// let config = Config { cors: Some(Cors { origins, credentials: true, ..Cors::default() }), ..Config::default() };
/// # drop(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins that may send requests. Default: none but those without an `Origin` header.
    pub origins: Origins,
    /// Whether cookies and HTTP authentication are allowed (`Access-Control-Allow-Credentials`). Default `false`.
    pub credentials: bool,
    /// `Access-Control-Allow-Methods`. Default `GET,HEAD,PUT,PATCH,POST,DELETE`.
    pub methods: String,
    /// `Access-Control-Allow-Headers`. Default `None`: those that the preflight asks for.
    pub allowed_headers: Option<String>,
    /// `Access-Control-Expose-Headers`. Default `None`: not sent.
    pub exposed_headers: Option<String>,
    /// `Access-Control-Max-Age` in seconds. Default `None`: not sent.
    pub max_age: Option<u32>,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: Origins::List(Vec::new()),
            credentials: false,
            methods: String::from("GET,HEAD,PUT,PATCH,POST,DELETE"),
            allowed_headers: None,
            exposed_headers: None,
            max_age: None,
        }
    }
}

/// A set of origins.
///
/// ```
/// use sockeye_protocol::{Cors, Origins};
///
/// // Whoever comes, as long as nothing depends on who it is: cookies are left out.
/// let cors = Cors { origins: Origins::Any, ..Cors::default() };
/// assert!(!cors.credentials);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every origin. With [`Cors::credentials`] the request's origin is echoed, never `*` (Fetch standard, "CORS
    /// protocol and credentials").
    Any,
    /// Those origins, each as browsers send it: `https://example.com`, without a final slash.
    List(Vec<String>),
}

/// What happens when a message does not fit a socket's send queue any more.
///
/// A broadcast never fails for one full recipient: there, [`QueuePolicy::Error`] disconnects that recipient.
///
/// ```
/// use sockeye_protocol::{Config, QueuePolicy};
///
/// // Of what is out of date soon, the newest counts.
/// let config = Config { queue_policy: QueuePolicy::DropOldest, ..Config::default() };
/// # drop(config);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// The emit returns an error and sends nothing; a broadcast's recipient is disconnected.
    #[default]
    Error,
    /// The new message is dropped silently.
    DropNewest,
    /// The oldest messages that are not on their way yet are dropped until the new one fits.
    DropOldest,
    /// The connection is closed with the reason `slow consumer`.
    Disconnect,
}

/// What a peer may cost, each bound with its unit and default. Exceeding one closes or refuses with an error that
/// names the limit and the value.
///
/// ```
/// use sockeye_protocol::{Config, Limits};
///
/// let limits = Limits { max_payload: 100_000, send_queue_bytes: 256 * 1024, ..Limits::default() };
/// let config = Config { limits, ..Config::default() };
/// # drop(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a POST body and of a WebSocket message. Sent to the client as `maxPayload`; polling answers are
    /// chunked at it too. Default 1,000,000.
    pub max_payload: usize,
    /// Binary attachments of one packet, in both directions. Default 10, as in every current JavaScript peer.
    pub max_attachments: usize,
    /// Bytes of one packet, its attachments included. Default 10,000,000.
    pub max_packet_bytes: usize,
    /// The time in which the attachments of a packet must have arrived. Default 30 s.
    pub packet_timeout: Duration,
    /// *Empty* fragments of one WebSocket message; others are bounded by `max_payload`. Default 65,536.
    pub max_empty_fragments: u32,
    /// Bytes that may wait to be sent to one connection; one message of any size always fits an empty queue.
    /// Default 4 MiB.
    pub send_queue_bytes: usize,
    /// Packets that may wait to be sent to one connection. Default 65,536.
    pub send_queue_packets: usize,
    /// Bytes waiting to be sent above which a driver should stop reading from the peer. Default 256 KiB.
    pub high_water: usize,
    /// The time in which the peer must take the last bytes of a closing transport, or answer a close frame.
    /// Default 5 s.
    pub close_timeout: Duration,
    /// The time in which a polling client must fetch the last packets of a session that this side closed.
    /// Default 30 s.
    pub drain_timeout: Duration,
    /// Bytes of an HTTP request's head (enforced by the driver that parses it). Default 16 KiB.
    pub header_bytes: usize,
    /// Headers of an HTTP request (enforced by the driver that parses them). Default 100.
    pub header_count: usize,
    /// The time in which an HTTP request's head must arrive (enforced by the driver). Default 10 s.
    pub header_timeout: Duration,
    /// The time in which a request's body must arrive. Default 30 s.
    pub body_timeout: Duration,
    /// The time that an HTTP connection may stay idle between requests (enforced by the driver). Default 60 s.
    pub keep_alive: Duration,
    /// The time for which a driver that has stopped reading from a peer excuses it from its pong and from the rest of a
    /// request's body: see
    /// [`Connection::handle_withheld`](crate::server::Connection::handle_withheld). Zero excuses nobody. Default 60 s.
    pub withheld_timeout: Duration,
    /// Namespaces that one connection may have joined at a time. Default 100.
    pub namespaces: usize,
    /// Namespaces that one connection may wait to join at a time. Default 8.
    pub pending_namespaces: usize,
    /// Refused joins after which a connection is closed. Default 100.
    pub failed_namespaces: usize,
    /// Bytes of a namespace's name. Default 512.
    pub namespace_name: usize,
    /// Rooms that one socket may be in, its own one not counted. Default `usize::MAX`: an application that lets
    /// clients choose rooms should set it (1,000 is ample).
    pub rooms_per_socket: usize,
    /// Acknowledgements that one socket may owe. Default 1,000.
    pub outstanding_acks: usize,
    /// Handlers of one socket that may be in flight (enforced by async drivers). At a disconnect, all events that wait
    /// begin; while as many handlers run on for sockets that have left, the driver reads nothing from their peer. Default 64.
    pub handlers: usize,
    /// Events of one socket that may wait for a handler, while [`handlers`](Self::handlers) of them are in flight or its
    /// connect handler still runs (enforced by async drivers). When that many wait for handlers, the driver stops reading
    /// from the peer; what it has read by then, a request's body or one read of a WebSocket, waits too. When that many wait
    /// for the connect handler, they do so no longer. The same holds when they hold more than
    /// [`max_packet_bytes`](Self::max_packet_bytes) together. Default 1,024.
    pub parked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 1_000_000,
            max_attachments: 10,
            max_packet_bytes: 10_000_000,
            packet_timeout: Duration::from_secs(30),
            max_empty_fragments: 65_536,
            send_queue_bytes: 4 * 1024 * 1024,
            send_queue_packets: 65_536,
            high_water: 256 * 1024,
            close_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            header_bytes: 16 * 1024,
            header_count: 100,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            withheld_timeout: Duration::from_secs(60),
            namespaces: 100,
            pending_namespaces: 8,
            failed_namespaces: 100,
            namespace_name: 512,
            rooms_per_socket: usize::MAX,
            outstanding_acks: 1_000,
            handlers: 64,
            parked: 1_024,
        }
    }
}
