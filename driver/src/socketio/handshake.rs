//! How a client came.

use std::{borrow::Cow, fmt, net::SocketAddr, sync::Arc, time::SystemTime};

use serde::de::DeserializeOwned;
use sockeye_protocol::{server, socket::Data};

use crate::{ArgsError, Value};

/// The HTTP request that opened a connection, and what the client gave as `auth` for this namespace
/// (`socket.handshake` in JavaScript).
///
/// ```
/// # use sockeye_driver::{Config, Server, Socket};
/// # let io = Server::new(Config::default());
/// io.on_connect(async |socket: Socket| {
///     let handshake = socket.handshake();
///     println!("{:?} from {:?}", handshake.header_str("user-agent"), handshake.address());
///     println!("token {:?}, room {:?}", handshake.auth::<String>(), handshake.query("room"));
/// });
/// ```
#[derive(Clone)]
pub struct Handshake {
    pub(crate) request: Arc<server::Handshake>,
    pub(crate) auth: Option<Data>,
    pub(crate) time: SystemTime,
}

impl Handshake {
    /// Reads what the client gave as `auth` into a type. Where it gave nothing, an `Option` is `None`.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(serde::Deserialize)]
    /// struct Auth {
    ///     token: String,
    /// }
    /// io.middleware(async |handshake: Handshake| match handshake.auth::<Option<Auth>>() {
    ///     Ok(Some(auth)) if auth.token == "secret" => Ok(()),
    ///     Ok(Some(_)) => Err("wrong token"),
    ///     Ok(None) => Err("no token"),
    ///     Err(_) => Err("no such auth"),
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// It is not what the type expects.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        match &self.auth {
            Some(auth) => auth.deserialize(),
            None => crate::RawArgs::default().deserialize(),
        }
    }

    /// What the client gave as `auth`, if it gave anything.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket, handshake: Handshake| socket.emit("auth", &handshake.auth_value()));
    /// ```
    pub fn auth_value(&self) -> Option<Value> {
        self.auth.as_ref()?.to_value().ok()
    }

    /// The first header of a name, in any case.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.middleware(async |handshake: Handshake| match handshake.header("X-Api-Key") {
    ///     Some(b"secret") => Ok(()),
    ///     _ => Err("wrong key"),
    /// });
    /// ```
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.header(name)
    }

    /// The first header of a name as text; what is not UTF-8 is replaced.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket, handshake: Handshake| match handshake.header_str("accept-language") {
    ///     Some(language) if language.starts_with("de") => socket.emit("hello", "Hallo"),
    ///     _ => socket.emit("hello", "Hello"),
    /// });
    /// ```
    pub fn header_str(&self, name: &str) -> Option<String> {
        self.request.header_str(name)
    }

    /// All headers, their names in lower case. Those of one name are together, in the order of arrival.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |handshake: Handshake| {
    ///     for (name, value) in handshake.headers() {
    ///         println!("{name}: {}", String::from_utf8_lossy(value));
    ///     }
    /// });
    /// ```
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.request.headers()
    }

    /// A parameter of the query, decoded; the last one of that name.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// // In the browser: `io({ query: { room: "red" } })`.
    /// io.on_connect(async |socket: Socket, handshake: Handshake| match handshake.query("room") {
    ///     Some(room) => socket.join(&*room).map(drop),
    ///     None => Ok(()),
    /// });
    /// ```
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.request.query(name)
    }

    /// Path and query of the request, as they came: nothing in them is decoded.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// // `/socket.io/?EIO=4&transport=websocket`, for instance.
    /// io.on_connect(async |handshake: Handshake| println!("{}", handshake.url()));
    /// ```
    pub fn url(&self) -> &str {
        self.request.url()
    }

    /// The client's address, or that of the proxy in front; `None` where the HTTP server did not say
    /// ([`Peer`](crate::Peer)).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.of("/admin").middleware(async |handshake: Handshake| match handshake.address() {
    ///     Some(address) if address.ip().is_loopback() => Ok(()),
    ///     _ => Err("from this machine only"),
    /// });
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        self.request.address()
    }

    /// Whether the request came through TLS of our own.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.middleware(async |handshake: Handshake| if handshake.secure() { Ok(()) } else { Err("https only") });
    /// ```
    pub fn secure(&self) -> bool {
        self.request.secure()
    }

    /// Whether the request came from a page of another origin, as the server in JavaScript tells it: whether it has an
    /// `Origin` header. (Browsers send one with every WebSocket, whosever page it is: RFC 6455, 4.1.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |handshake: Handshake| {
    ///     if handshake.xdomain() {
    ///         println!("a page of {:?}", handshake.header_str("origin"));
    ///     }
    /// });
    /// ```
    pub fn xdomain(&self) -> bool {
        self.request.xdomain()
    }

    /// When the request arrived; the same for as long as the connection lives. It is the system's time when the first server
    /// of this process was made, plus what had passed since then: later changes of the system's clock are not seen here.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_disconnect(async |handshake: Handshake| {
    ///     println!("gone after {:?}", handshake.time().elapsed().unwrap_or_default());
    /// });
    /// ```
    pub fn time(&self) -> SystemTime {
        self.time
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and auth hold secrets.
        f.debug_struct("Handshake").field("address", &self.address()).finish_non_exhaustive()
    }
}
