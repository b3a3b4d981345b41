//! What a client is set up with: [`Config`] (behaviour, the names and defaults of `socket.io-client`) and [`Limits`]
//! (what a server may cost).

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

/// The options of an Engine.IO or Socket.IO client. Names and defaults are those of `socket.io-client` 4.8 and
/// `engine.io-client` 6.6, unless said otherwise.
///
/// ```
/// use core::time::Duration;
/// use sockeye_protocol::client::{Config, Transport};
///
/// let config = Config {
///     transports: vec![Transport::WebSocket],
///     reconnection_delay: Duration::from_millis(200),
///     extra_headers: vec![("Authorization".into(), "Bearer abc".into())],
///     ..Config::default()
/// };
/// assert_eq!(config.path, "/socket.io/");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    // The manager.
    /// Whether a lost connection, and a first one that fails, is tried again. Default `true`.
    pub reconnection: bool,
    /// How often in a row it is tried again. Default `None`, and the same is zero, as in JavaScript: without end.
    pub reconnection_attempts: Option<u32>,
    /// The time before the first attempt to reconnect; each further one waits twice as long. Default 1 s.
    pub reconnection_delay: Duration,
    /// The longest time between two attempts, chance included. Default 5 s.
    pub reconnection_delay_max: Duration,
    /// How far chance moves the time between two attempts, as a part of it: 0 to 1. Default 0.5.
    pub randomization_factor: f64,
    /// The time in which a transport must be open, its handshake included; all transports together if
    /// [`try_all_transports`](Self::try_all_transports) is set. `None` waits without end. Default 20 s.
    pub timeout: Option<Duration>,
    /// The time in which the server must answer that a namespace is connected, or refuse it. When it is over, that is
    /// told, and the answer waited for as long again; if no other namespace is connected, the connection is given up and
    /// made anew. `None` waits without end, as JavaScript's client does. Default 60 s: longer than the 45 s after which
    /// the server closes a connection without a namespace.
    pub connect_timeout: Option<Duration>,
    /// Whether the driver is asked for the headers of each attempt to connect, in addition to
    /// [`extra_headers`](Self::extra_headers). Default `false`.
    pub ask_headers: bool,
    // The engine.
    /// The path of the requests, not of the namespace. Default `/socket.io/`; for Engine.IO alone: `/engine.io/`.
    pub path: String,
    /// Whether the path ends with a slash, whatever [`path`](Self::path) says. Default `true`.
    pub add_trailing_slash: bool,
    /// The query of every request. A query in the URL replaces it, as in JavaScript. `EIO`, `transport` and `sid` cannot be
    /// set. Where a redirection leads to another origin it is left out: only what stands in the redirection goes there.
    /// Default empty.
    pub query: Vec<(String, String)>,
    /// The transports to try, the first one first. Default polling, then WebSocket.
    pub transports: Vec<Transport>,
    /// Whether a session on polling is to move to WebSocket. Default `true`.
    pub upgrade: bool,
    /// Whether the next of [`transports`](Self::transports) is tried if one cannot be opened. Default `false`.
    pub try_all_transports: bool,
    /// Whether WebSocket comes first if it has worked before. Default `false`.
    pub remember_upgrade: bool,
    /// Whether each request has a parameter that no other has, against caches. Default `None`: on polling only.
    pub timestamp_requests: Option<bool>,
    /// The name of that parameter. Default `t`.
    pub timestamp_param: String,
    /// Whether binary is sent as base64 on WebSocket too, and asked for. Default `false`.
    pub force_base64: bool,
    /// Whether cookies of the server are kept and sent back. Default `false`.
    pub with_credentials: bool,
    /// Headers of every request, those that open a WebSocket included. One that HTTP does not allow is left out. Default
    /// empty.
    pub extra_headers: Vec<(String, String)>,
    /// Options that differ between the transports. Default none.
    pub transport_options: TransportOptions,
    /// The sub-protocols that are offered when a WebSocket is opened, the preferred one first. Default empty.
    pub protocols: Vec<String>,
    /// The time in which a polling request must be answered. It must be longer than the server's ping interval. Default
    /// `None`, and the same is zero: as long as the session lives.
    pub request_timeout: Option<Duration>,
    /// What a server may cost.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reconnection: true,
            reconnection_attempts: None,
            reconnection_delay: Duration::from_millis(1_000),
            reconnection_delay_max: Duration::from_millis(5_000),
            randomization_factor: 0.5,
            timeout: Some(Duration::from_millis(20_000)),
            connect_timeout: Some(Duration::from_millis(60_000)),
            ask_headers: false,
            path: String::from("/socket.io/"),
            add_trailing_slash: true,
            query: Vec::new(),
            transports: vec![Transport::Polling, Transport::WebSocket],
            upgrade: true,
            try_all_transports: false,
            remember_upgrade: false,
            timestamp_requests: None,
            timestamp_param: String::from("t"),
            force_base64: false,
            with_credentials: false,
            extra_headers: Vec::new(),
            transport_options: TransportOptions::default(),
            protocols: Vec::new(),
            request_timeout: None,
            limits: Limits::default(),
        }
    }
}

impl Config {
    pub(crate) fn overrides(&self, transport: Transport) -> &Overrides {
        match transport {
            Transport::Polling => &self.transport_options.polling,
            Transport::WebSocket => &self.transport_options.websocket,
        }
    }

    /// Adds headers to those of every transport, in place of those of the same names.
    pub(crate) fn add_headers(&mut self, headers: &[(String, String)]) {
        let TransportOptions { polling, websocket } = &mut self.transport_options;
        let own = [polling, websocket].into_iter().filter_map(|overrides| overrides.extra_headers.as_mut());
        for list in own.chain([&mut self.extra_headers]) {
            list.retain(|(name, _)| !headers.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)));
            list.extend_from_slice(headers);
        }
    }

    pub(crate) fn base64(&self, transport: Transport) -> bool {
        self.overrides(transport).force_base64.unwrap_or(self.force_base64)
    }

    pub(crate) fn cookies(&self, transport: Transport) -> bool {
        self.overrides(transport).with_credentials.unwrap_or(self.with_credentials)
    }

    /// The time that a request of polling has, if it has not all the time.
    pub(crate) fn polling_timeout(&self) -> Option<Duration> {
        let timeout = self.overrides(Transport::Polling).request_timeout.or(self.request_timeout);
        timeout.filter(|timeout| !timeout.is_zero())
    }

    /// The sub-protocols that are offered to a WebSocket's server.
    pub(crate) fn offered_protocols(&self) -> &[String] {
        self.overrides(Transport::WebSocket).protocols.as_ref().unwrap_or(&self.protocols)
    }
}

/// A way to carry a session.
///
/// ```
/// use sockeye_protocol::client::{Config, Transport};
///
/// // One that never polls.
/// let config = Config { transports: vec![Transport::WebSocket], ..Config::default() };
/// assert_eq!(Config::default().transports, [Transport::Polling, Transport::WebSocket]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// The name in requests and in handshakes.
    ///
    /// ```
    /// assert_eq!(sockeye_protocol::client::Transport::WebSocket.as_str(), "websocket");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Options of one transport in place of the common ones (`transportOptions`): those that a request depends on.
///
/// ```
/// use sockeye_protocol::client::{Config, Overrides, TransportOptions};
///
/// // Polling takes another way through the proxies.
/// let polling = Overrides { path: Some("/poll/".into()), ..Overrides::default() };
/// let options = TransportOptions { polling, ..TransportOptions::default() };
/// let config = Config { transport_options: options, ..Config::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportOptions {
    /// Those of HTTP long-polling.
    pub polling: Overrides,
    /// Those of WebSocket.
    pub websocket: Overrides,
}

/// What one transport does differently; `None` is as in [`Config`].
///
/// ```
/// use sockeye_protocol::client::Overrides;
///
/// let polling = Overrides {
///     extra_headers: Some(vec![("x-transport".into(), "polling".into())]),
///     timestamp_requests: Some(false),
///     ..Overrides::default()
/// };
/// assert_eq!(polling.path, None); // As in `Config`.
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of [`Config::path`].
    pub path: Option<String>,
    /// In place of [`Config::extra_headers`], all of them. Headers that are asked for ([`Config::ask_headers`]) come on top of
    /// these, too.
    pub extra_headers: Option<Vec<(String, String)>>,
    /// In place of [`Config::timestamp_requests`].
    pub timestamp_requests: Option<bool>,
    /// In place of [`Config::timestamp_param`].
    pub timestamp_param: Option<String>,
    /// In place of [`Config::force_base64`].
    pub force_base64: Option<bool>,
    /// In place of [`Config::query`] and of a query in the URL, as in JavaScript; that of a redirection replaces it.
    pub query: Option<Vec<(String, String)>>,
    /// In place of [`Config::with_credentials`]: whether requests of this transport have cookies, and those that their
    /// answers set are kept.
    pub with_credentials: Option<bool>,
    /// In place of [`Config::request_timeout`]; zero is none. Of polling: a WebSocket has no request that waits.
    pub request_timeout: Option<Duration>,
    /// In place of [`Config::protocols`]. Of WebSocket: polling has none.
    pub protocols: Option<Vec<String>>,
}

/// What a server may cost, each bound with its unit and default. Exceeding one closes with an error that names the limit
/// and the value.
///
/// ```
/// use sockeye_protocol::client::{Config, Limits};
///
/// // A server that is not to be trusted with more than a megabyte at a time.
/// let limits = Limits { max_payload: 1_000_000, max_packet_bytes: 1_000_000, ..Limits::default() };
/// let config = Config { limits, ..Config::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a response's body and of a WebSocket message. Default 100 MiB, as the client of the `ws` package has it
    /// (its option `maxPayload`).
    pub max_payload: usize,
    /// *Empty* fragments of one WebSocket message; others are bounded by `max_payload`. Default 65,536.
    pub max_empty_fragments: u32,
    /// Binary attachments of one packet, in both directions. Default 10, as in every current JavaScript peer.
    pub max_attachments: usize,
    /// Bytes of one packet, its attachments included. Default 100 MiB.
    pub max_packet_bytes: usize,
    /// The time in which the attachments of a packet must have arrived. Default 30 s.
    pub packet_timeout: Duration,
    /// Bytes that may wait to be sent; one message of any size always fits an empty queue. Default 4 MiB.
    pub send_queue_bytes: usize,
    /// Packets that may wait to be sent. Default 65,536.
    pub send_queue_packets: usize,
    /// The time in which a WebSocket must have taken over from polling, from the request on; polling goes on if it has
    /// not. JavaScript's client waits without end. Default 10 s, the server's own.
    pub upgrade_timeout: Duration,
    /// The time in which a closing session must get rid of what is queued. Default 30 s.
    pub drain_timeout: Duration,
    /// The time in which the server must answer the close frame of a WebSocket, or the last requests. It begins when what
    /// was queued before is written (which is looked for in intervals of this time), and not with the close. Default 5 s.
    pub close_timeout: Duration,
    /// For how long a server's missing ping is excused while nothing is read from it, see
    /// [`Engine::handle_withheld`](super::engine::Engine::handle_withheld). Default 60 s, as on the server side.
    pub withheld_timeout: Duration,
    /// Redirections that the handshake follows, one after the other. Zero follows none. Default 5.
    pub redirects: usize,
    /// Cookies that are kept. Default 50 (RFC 6265, 6.1).
    pub cookies: usize,
    /// Bytes of a cookie's name and value. Default 4,096 (RFC 6265, 6.1).
    pub cookie_bytes: usize,
    /// Bytes of a response's head (enforced by the driver that parses it). Default 16 KiB.
    pub header_bytes: usize,
    /// Headers of a response (enforced by the driver that parses them). Default 100.
    pub header_count: usize,
    /// Acknowledgements of the server that one socket may wait for. Default 65,536.
    pub pending_acks: usize,
    /// Namespaces that were left on a connection and may still be spoken of by the server, which are remembered so that
    /// this is not taken for a new session; of more, the oldest is forgotten. Default 100.
    pub left_namespaces: usize,
    /// Bytes of events that a namespace may receive before it is connected: what a middleware sends, or what a recovered
    /// session missed. Default 16 MiB.
    pub early_bytes: usize,
    /// Events that a namespace may receive before it is connected. Default 65,536.
    pub early_packets: usize,
    /// Handlers of one socket that may be in flight (enforced by async drivers). Default 64.
    pub handlers: usize,
    /// Events of one socket that may wait for a handler, or in a stream for whoever pulls (enforced by async drivers).
    /// Default 1,024.
    pub parked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 100 * 1024 * 1024,
            max_empty_fragments: 65_536,
            max_attachments: 10,
            max_packet_bytes: 100 * 1024 * 1024,
            packet_timeout: Duration::from_secs(30),
            send_queue_bytes: 4 * 1024 * 1024,
            send_queue_packets: 65_536,
            upgrade_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            withheld_timeout: Duration::from_secs(60),
            redirects: 5,
            cookies: 50,
            cookie_bytes: 4_096,
            header_bytes: 16 * 1024,
            header_count: 100,
            pending_acks: 65_536,
            left_namespaces: 100,
            early_bytes: 16 * 1024 * 1024,
            early_packets: 65_536,
            handlers: 64,
            parked: 1_024,
        }
    }
}
