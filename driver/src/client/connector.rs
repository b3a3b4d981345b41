//! Where the byte streams to a server come from.

use std::fmt;

use sockeye_protocol::{Text, client::http::Failure};

use crate::{BoxFuture, Stream};

/// What opens byte streams to servers: TCP and TLS of a runtime's crate, or anything else that reads and writes.
///
/// A server on the same machine, by way of a file:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sockeye_driver::BoxError> {
/// use std::{path::PathBuf, sync::Arc};
/// use hyper_util::rt::TokioIo; // hyper's traits for the streams of tokio.
/// use sockeye_driver::{
///     BoxFuture, Stream,
///     client::{Address, Connector, Failure},
/// };
/// use tokio::net::UnixStream;
///
/// struct Unix(PathBuf);
///
/// impl Connector for Unix {
///     fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
///         let path = self.0.clone();
///         Box::pin(async move {
///             match UnixStream::connect(&path).await {
///                 Ok(stream) => Ok(Box::new(TokioIo::new(stream)) as Box<dyn Stream>),
///                 Err(error) => Err(Failure::Connect(error.to_string().into())),
///             }
///         })
///     }
/// }
///
/// # use sockeye_driver::{Peer, Serve as _};
/// # use sockeye_tokio::{TokioRuntime, prelude::*};
/// # let path = std::env::temp_dir().join(format!("sockeye-{}.socket", std::process::id()));
/// # let listener = tokio::net::UnixListener::bind(&path)?;
/// # let io = Server::new(Config::default());
/// # tokio::spawn(async move {
/// #     while let Ok((stream, _)) = listener.accept().await {
/// #         let peer = Peer { address: None, secure: false };
/// #         let runtime: Arc<dyn sockeye_driver::Runtime> = Arc::new(TokioRuntime::new());
/// #         tokio::spawn(io.serve_connection(&runtime, TokioIo::new(stream), peer));
/// #     }
/// # });
/// // The host of the URL is what the server is told, and the path its namespace.
/// let client = Client::builder("http://localhost").connector(Arc::new(Unix(path.clone()))).connect().await?;
/// assert!(client.is_connected());
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
///
/// A proxy is another way to reach a server. The example `proxy` of both runtimes' crates has connectors for HTTP (`CONNECT`)
/// and SOCKS5, with and without TLS behind them.
pub trait Connector: Send + Sync + 'static {
    /// Opens a stream, encrypted if the address says so. Dropping the future gives up.
    ///
    /// ```
    /// # async fn example(connector: impl sockeye_driver::client::Connector) {
    /// use sockeye_driver::client::{Address, Failure};
    ///
    /// // What a client asks for. Polling needs two streams at a time, and a WebSocket one of its own.
    /// match connector.connect(&Address { host: "example.com".into(), port: 443, secure: true }).await {
    ///     Ok(_stream) => println!("connected, and encrypted"),
    ///     Err(Failure::Tls(why)) => println!("not trusted: {why}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # }
    /// ```
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
