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
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.header(name)
    }

    /// The first header of a name as text; what is not UTF-8 is replaced.
    pub fn header_str(&self, name: &str) -> Option<String> {
        self.request.header_str(name)
    }

    /// All headers in the order of arrival.
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
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.request.query(name)
    }

    /// Path and query of the request.
    pub fn url(&self) -> &str {
        self.request.url()
    }

    /// The client's address, or that of the proxy in front; `None` where the HTTP server did not say
    /// ([`Peer`](crate::Peer)).
    pub fn address(&self) -> Option<SocketAddr> {
        self.request.address()
    }

    /// Whether the request came through TLS of our own.
    pub fn secure(&self) -> bool {
        self.request.secure()
    }

    /// Whether the request came from a page of another origin (it has an `Origin` header).
    pub fn xdomain(&self) -> bool {
        self.request.xdomain()
    }

    /// When the request arrived.
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
