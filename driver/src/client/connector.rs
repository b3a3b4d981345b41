//! Where the byte streams to a server come from.

use std::fmt;

use sockeye_protocol::{Text, client::http::Failure};

use crate::{BoxFuture, Stream};

/// What opens byte streams to servers: TCP and TLS of a runtime's crate, or anything else that reads and writes, a proxy
/// for instance.
///
/// ```
/// use sockeye_driver::{
///     BoxFuture, Stream,
///     client::{Address, Connector, Failure},
/// };
///
/// /// Reaches every server by way of a gateway, which is told where to go in a line (as `CONNECT` of HTTP does).
/// struct Gateway<C> {
///     tcp: C,
///     address: Address,
/// }
///
/// impl<C: Connector> Connector for Gateway<C> {
///     fn connect(&self, to: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
///         let stream = self.tcp.connect(&self.address);
///         let _line = format!("{to}\r\n");
///         Box::pin(async move {
///             // Here the line is written, and what the gateway answers is read.
///             stream.await
///         })
///     }
/// }
/// ```
pub trait Connector: Send + Sync + 'static {
    /// Opens a stream, encrypted if the address says so. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`Failure::Connect`] or [`Failure::Tls`], with the words of the system.
    fn connect(&self, address: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>>;
}

/// Where to connect to.
///
/// ```
/// use sockeye_driver::client::Address;
///
/// let address = Address { host: "::1".into(), port: 443, secure: true };
/// assert_eq!(address.to_string(), "[::1]:443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without brackets.
    pub host: Text,
    /// The TCP port.
    pub port: u16,
    /// Whether the stream is to be encrypted.
    pub secure: bool,
}

/// As it stands in a URL (RFC 3986, 3.2).
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
