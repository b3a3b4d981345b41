//! How a client is set up.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use serde::Serialize;
use sockeye_protocol::{
    Text,
    client::{
        AuthRequest, Config, Endpoint, Error, HeadersRequest, Manager as CoreManager, Offline, SocketOptions, UrlError,
    },
    socket::{EncodeError, Payload},
};

use super::{
    Auth, Client, Connector, HeadersProvider, Manager, UpgradeMemory,
    chain::Chain,
    http::Http,
    owner::Owner,
    shared::{Keeper, Shared},
};
use crate::{BoxError, Runtime, core::Core, handler::panic_text};

/// Why there is no client. Its text has the causes behind the error, too.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { served(async |io: Server, url: String| {
/// # io.middleware(async |_: Handshake| Err::<(), _>(ConnectError::with_data("not authorized", &("retry", 5)).unwrap()));
/// match Client::connect(&url).await {
///     Ok(_) => println!("connected"),
///     Err(ClientError::Connect(Error::Refused(refusal))) => {
///         let data = refusal.data.as_ref().map(|data| data.deserialize::<(String, u32)>());
///         println!("{}: {data:?}", refusal.message);
///     }
///     // "xhr poll error: cannot connect: Connection refused", for instance.
///     Err(other) => println!("{other}"),
/// }
/// # assert_eq!(Client::connect(&url).await.unwrap_err().to_string(), "not authorized");
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What was given is not the URL of a server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The namespace was not connected, and that is not tried again.
    #[error("{}", Chain(.0))]
    Connect(Error),
}

/// The causes are in the text, so they are not given as its source as well.
impl From<Error> for ClientError {
    fn from(error: Error) -> Self {
        Self::Connect(error)
    }
}

/// A client that is being set up. [`connect`](Self::connect) starts it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { served(async |io: Server, url: String| {
/// use sockeye_driver::client::Offline;
///
/// let client = Client::builder(&url)
///     .config(|config| config.reconnection_attempts = Some(10))
///     .auth(&std::collections::BTreeMap::from([("token", "abc")]))?
///     .offline(Offline::Reject)
///     .connect()
///     .await?;
/// assert!(client.is_connected());
/// # Ok(()) }) }
/// ```
#[must_use = "a client does nothing before it is told to connect"]
pub struct ClientBuilder {
    url: String,
    config: Config,
    runtime: Arc<dyn Runtime>,
    connector: Arc<dyn Connector>,
    headers: Option<Arc<HeadersProvider>>,
    auto_connect: bool,
    memory: Option<UpgradeMemory>,
    settings: Settings,
}

/// What is set up per namespace.
#[derive(Clone, Default)]
struct Settings {
    auth: Auth,
    options: SocketOptions,
}

impl ClientBuilder {
    /// A client of the server at this URL (`http`, `https`, `ws` or `wss`), whose path is the namespace. The crates of the
    /// runtimes call this: `Client::builder(url)`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// use sockeye_driver::client::ClientBuilder;
    /// use sockeye_tokio::{TcpConnector, TokioRuntime};
    ///
    /// let builder = ClientBuilder::new(&url, Arc::new(TokioRuntime::new()), Arc::new(TcpConnector::default()));
    /// assert!(builder.connect().await?.is_connected());
    /// # Ok(()) }) }
    /// ```
    pub fn new(url: &str, runtime: Arc<dyn Runtime>, connector: Arc<dyn Connector>) -> Self {
        Self {
            url: url.to_owned(),
            config: Config::default(),
            runtime,
            connector,
            headers: None,
            auto_connect: true,
            memory: None,
            settings: Settings::default(),
        }
    }

    /// Changes options, whose names and defaults are those of `socket.io-client`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// let builder = Client::builder(&url).config(|config| {
    ///     config.timeout = Some(Duration::from_secs(5));
    ///     config.extra_headers = vec![("authorization".into(), "Bearer abc".into())];
    /// });
    /// # builder.connect().await?;
    /// # Ok(()) }) }
    /// ```
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Opens connections in another way: through a proxy, with another TLS. [`Connector`] has an example.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// use sockeye_tokio::{TcpConnector, rustls};
    ///
    /// // Trusts nobody but this one authority.
    /// let roots = rustls::RootCertStore::empty();
    /// let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    /// let builder = Client::builder(&url).connector(Arc::new(TcpConnector::with_tls(Arc::new(tls))));
    /// # builder.connect().await?;
    /// # Ok(()) }) }
    /// ```
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Asks for headers before each attempt to connect, with what went wrong the last time in hand. An error counts as an
    /// attempt that has failed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// use sockeye_driver::client::HeadersRequest;
    ///
    /// let builder = Client::builder(&url).headers_with(async |request: HeadersRequest| {
    ///     if let Some(error) = request.last_error() {
    ///         println!("attempt {} after: {error}", request.attempt());
    ///     }
    ///     let token = async { Ok::<_, std::io::Error>("abc") }.await?; // From whoever issues them.
    ///     Ok::<_, BoxError>(vec![("authorization".into(), format!("Bearer {token}"))])
    /// });
    /// # builder.connect().await?;
    /// # Ok(()) }) }
    /// ```
    pub fn headers_with<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn(HeadersRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(String, String)>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.config.ask_headers = true;
        self.headers = Some(Arc::new(move |request| Box::pin(guarded(called(|| provider(request)), Ok))));
        self
    }

    /// Connects: completes when the namespace is connected, or when it is refused and not tried again, or when
    /// [`Config::reconnection_attempts`] are used up. Dropping the future gives up, at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// let client = Client::builder(&url).connect().await?;
    /// assert!(client.is_connected());
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect(self) -> Result<Client, ClientError> {
        self.build()?.connect().await
    }

    /// Whether [`start`](Self::start) connects (`autoConnect`, `true` by default). If not, listeners can be registered
    /// first, and then [`Client::open`] is called.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # io.on_connect(async |socket: Socket| socket.emit("welcome", &()));
    /// let client = Client::builder(&url).auto_connect(false).start()?;
    /// client.on("welcome", async || println!("welcome")); // Nothing is missed.
    /// client.open();
    /// # Ok(()) }) }
    /// ```
    pub fn auto_connect(mut self, auto_connect: bool) -> Self {
        self.auto_connect = auto_connect;
        self
    }

    /// The same without waiting: the client connects by itself, and what is emitted meanwhile waits.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// let client = Client::builder(&url).start()?;
    /// let echo = client.emit_with_ack::<String>("echo", &"sent once there is a connection");
    /// assert_eq!(echo.await?, "sent once there is a connection");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`].
    pub fn start(self) -> Result<Client, ClientError> {
        let auto_connect = self.auto_connect;
        let client = self.build()?.start();
        if auto_connect {
            client.open();
        }
        Ok(client)
    }

    /// Begins each connection with WebSocket if that has worked before, as this memory says (`rememberUpgrade`): it is
    /// yours, and clients may share it. With [`Config::remember_upgrade`] alone, each client knows of itself only.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// use sockeye_driver::client::UpgradeMemory;
    ///
    /// let memory = UpgradeMemory::new(true);
    /// let client = Client::builder(&url).remember_upgrade(&memory).connect().await?;
    /// assert_eq!(client.transport(), Some("websocket"));
    /// # Ok(()) }) }
    /// ```
    pub fn remember_upgrade(mut self, memory: &UpgradeMemory) -> Self {
        self.config.remember_upgrade = true;
        self.memory = Some(memory.clone());
        self
    }

    pub(super) fn build(self) -> Result<SocketBuilder, UrlError> {
        let endpoint = Endpoint::parse(&self.url)?;
        let namespace = endpoint.namespace().to_owned();
        let http = Arc::new(Http::new(Arc::clone(&self.runtime), self.connector, &self.config.limits));
        let manager = CoreManager::new(self.config, endpoint, &Core::seed());
        let shared = Arc::new(Shared::new(manager, Arc::clone(&self.runtime), self.memory));
        self.runtime.spawn(Box::pin(Owner::new(Arc::clone(&shared), http, self.headers)));
        let manager = Manager { keeper: Arc::new(Keeper(Arc::clone(&shared))), shared };
        Ok(SocketBuilder { manager, namespace, settings: self.settings })
    }
}

/// A namespace on a connection that exists: [`Client::of`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// let admin = client.of("/admin").retries(3).connect().await?;
/// admin.emit("hello", &())?; // Until it is acknowledged, four times at most.
/// # Ok(()) }) }
/// ```
#[must_use = "a namespace is not joined before it is told to connect"]
pub struct SocketBuilder {
    manager: Manager,
    namespace: String,
    settings: Settings,
}

impl SocketBuilder {
    pub(super) fn new(manager: Manager, namespace: &str) -> Self {
        Self { manager, namespace: namespace.to_owned(), settings: Settings::default() }
    }

    /// Joins the namespace: completes when it is connected, or refused.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert!(client.of("/admin").connect().await?.is_connected());
    /// let unknown = client.of("/unknown").connect().await.unwrap_err();
    /// assert_eq!(unknown.to_string(), "Invalid namespace");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`].
    pub async fn connect(self) -> Result<Client, ClientError> {
        let client = self.start();
        client.open();
        client.connected().await?;
        Ok(client)
    }

    /// The same without waiting, and without joining yet: [`Client::open`] does that.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let admin = client.of("/admin").start();
    /// admin.on("alarm", async |Args(text): Args<String>| println!("{text}"));
    /// admin.open();
    /// # Ok(()) }) }
    /// ```
    pub fn start(self) -> Client {
        Client::new(self.manager, &self.namespace, self.settings.auth, self.settings.options)
    }
}

/// The options of a namespace, on both builders.
macro_rules! settings {
    ($($builder:ident)*) => {$(
        impl $builder {
            /// What the server gets as `auth` of the handshake, on each connection: an object. For what changes there is
            /// [`auth_with`](Self::auth_with).
            ///
            /// ```
            /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
            /// # fn main() { served(async |io: Server, url: String| {
            /// #[derive(serde::Serialize)]
            /// struct Auth {
            ///     token: String,
            /// }
            ///
            /// let auth = Auth { token: "abc".into() };
            /// let client = Client::builder(&url).auth(&auth)?.connect().await?;
            /// let admin = client.of("/admin").auth(&auth)?.connect().await?;
            /// # Ok(()) }) }
            /// ```
            ///
            /// # Errors
            ///
            /// It cannot be written as JSON, for instance because it holds binary; or it is no object (or map), which servers do
            /// not take.
            pub fn auth<T: Serialize + ?Sized>(mut self, auth: &T) -> Result<Self, EncodeError> {
                self.settings.auth = as_auth(auth)?.map_or(Auth::None, Auth::Value);
                Ok(self)
            }

            /// Asks what to give as `auth` on each connection, with what went wrong the last time in hand: where a token
            /// expires, for instance. An error becomes the namespace's `connect_error` and counts as an attempt that has
            /// failed: it is asked again after a while, as often as [`Config::reconnection_attempts`] says; not without
            /// [`Config::reconnection`]. Where a failure is final, [`Client::disconnect`] ends it.
            ///
            /// ```
            /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
            /// # fn main() { served(async |io: Server, url: String| {
            /// use sockeye_driver::client::AuthRequest;
            ///
            /// let client = Client::builder(&url).auth_with(async |request: AuthRequest| {
            ///     if let Some(Error::Refused(refusal)) = request.last_error() {
            ///         println!("a new token is needed: {}", refusal.message);
            ///     }
            ///     let token = async { Ok::<_, std::io::Error>("abc") }.await?; // From whoever issues them.
            ///     Ok::<_, BoxError>(std::collections::BTreeMap::from([("token", token)]))
            /// });
            /// # client.connect().await?;
            /// # Ok(()) }) }
            /// ```
            pub fn auth_with<F, Fut, T, E>(mut self, provider: F) -> Self
            where
                F: Fn(AuthRequest) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<T, E>> + Send + 'static,
                T: Serialize + 'static,
                E: Into<BoxError> + 'static,
            {
                self.settings.auth = Auth::Provider(Arc::new(move |request| {
                    Box::pin(guarded(called(|| provider(request)), |auth| as_auth(&auth)))
                }));
                self
            }

            /// The time in which the server must acknowledge, where an emit does not say another one (`ackTimeout`).
            ///
            /// ```
            /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
            /// # fn main() { served(async |io: Server, url: String| {
            /// let client = Client::builder(&url).ack_timeout(Duration::from_millis(10)).connect().await?;
            /// assert_eq!(client.emit_with_ack::<()>("nobody listens", &()).await, Err(AckError::Timeout));
            /// # Ok(()) }) }
            /// ```
            pub fn ack_timeout(mut self, timeout: Duration) -> Self {
                self.settings.options.ack_timeout = Some(timeout);
                self
            }

            /// How many times an event that was not acknowledged is sent again (`retries`): one after the other, so that
            /// each arrives at least once, and in order.
            ///
            /// ```
            /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
            /// # fn main() { served(async |io: Server, url: String| {
            /// let client = Client::builder(&url).retries(3).ack_timeout(Duration::from_secs(10)).connect().await?;
            /// client.emit("echo", &"this arrives, or ManagerEvent::Discarded says that it does not")?;
            /// # Ok(()) }) }
            /// ```
            pub fn retries(mut self, retries: u32) -> Self {
                self.settings.options.retries = retries;
                self
            }

            /// What becomes of events while there is no connection.
            ///
            /// ```
            /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
            /// # fn main() { served(async |io: Server, url: String| {
            /// use sockeye_driver::client::Offline;
            ///
            /// let client = Client::builder(&url).offline(Offline::Reject).auto_connect(false).start()?;
            /// assert_eq!(client.emit("hello", &()), Err(EmitError::NotConnected));
            ///
            /// // A hundred of the last minute.
            /// let offline = Offline::Buffer { max_packets: 100, max_bytes: 100_000, ttl: Some(Duration::from_secs(60)) };
            /// let client = Client::builder(&url).offline(offline).auto_connect(false).start()?;
            /// assert_eq!(client.emit("hello", &()), Ok(()));
            /// # Ok(()) }) }
            /// ```
            pub fn offline(mut self, offline: Offline) -> Self {
                self.settings.options.offline = offline;
                self
            }
        }

        impl fmt::Debug for $builder {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($builder)).field("options", &self.settings.options).finish_non_exhaustive()
            }
        }
    )*};
}
settings!(ClientBuilder SocketBuilder);

/// What CONNECT takes: an object, or nothing.
fn as_auth<T: Serialize + ?Sized>(auth: &T) -> Result<Option<Payload>, EncodeError> {
    let payload = Payload::data(auth)?;
    match &payload.json()[..] {
        [b'{', ..] => Ok(Some(payload)),
        b"null" => Ok(None),
        _ => Err(EncodeError::Serialize("auth is no object".into())),
    }
}

/// Calls a provider, which may panic before there is a future.
fn called<Fut>(provide: impl FnOnce() -> Fut) -> thread::Result<Fut> {
    catch_unwind(AssertUnwindSafe(provide))
}

/// What a provider gives, or in words why it gives nothing.
async fn guarded<T, R, E: Into<BoxError>>(
    called: thread::Result<impl Future<Output = Result<T, E>>>,
    take: impl FnOnce(T) -> Result<R, EncodeError>,
) -> Result<R, Text> {
    let provided = match called {
        Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    match provided {
        Ok(Ok(value)) => take(value).map_err(|error| error.to_string().into()),
        Ok(Err(error)) => Err(error.into().to_string().into()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic)).into()),
    }
}
