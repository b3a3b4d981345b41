//! How a client is set up.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_channel::oneshot;
use futures_util::FutureExt as _;
use serde::Serialize;
use sockeye_protocol::{
    Text,
    client::{
        AuthRequest, Config, DisconnectReason, Endpoint, Error, HeadersRequest, Manager as CoreManager, Offline,
        SocketOptions, UrlError,
    },
    socket::{EncodeError, Payload},
};

use super::{
    Auth, Client, Connector, HeadersProvider, Manager,
    http::Http,
    owner::Owner,
    shared::{Connecting, Keeper, Shared},
};
use crate::{BoxError, Runtime, core::Core, handler::panic_text};

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What was given is not the URL of a server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The namespace was not connected, and that is not tried again.
    #[error(transparent)]
    Connect(#[from] Error),
}

/// A client that is being set up. [`connect`](Self::connect) starts it.
///
/// ```no_run
/// # use sockeye_driver::{BoxError, client::{ClientBuilder, Config, Offline}};
/// # async fn example(builder: ClientBuilder) -> Result<(), BoxError> {
/// use std::time::Duration;
///
/// let client = builder
///     .config(|config| config.reconnection_attempts = Some(10))
///     .auth(&std::collections::BTreeMap::from([("token", "abc")]))?
///     .offline(Offline::Reject)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a client does nothing before it is told to connect"]
pub struct ClientBuilder {
    url: String,
    config: Config,
    runtime: Arc<dyn Runtime>,
    connector: Arc<dyn Connector>,
    headers: Option<Arc<HeadersProvider>>,
    auto_connect: bool,
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
    /// runtimes call this.
    pub fn new(url: &str, runtime: Arc<dyn Runtime>, connector: Arc<dyn Connector>) -> Self {
        Self {
            url: url.to_owned(),
            config: Config::default(),
            runtime,
            connector,
            headers: None,
            auto_connect: true,
            settings: Settings::default(),
        }
    }

    /// Changes options, whose names and defaults are those of `socket.io-client`.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Opens connections in another way: through a proxy, with another TLS.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Asks for headers before each attempt to connect, with what went wrong the last time in hand.
    pub fn headers_with<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn(HeadersRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(String, String)>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.config.ask_headers = true;
        self.headers = Some(Arc::new(move |request| Box::pin(guarded(provider(request), Ok))));
        self
    }

    /// Connects: completes when the namespace is connected, or when it is refused and not tried again, or when
    /// [`Config::reconnection_attempts`] are used up. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect(self) -> Result<Client, ClientError> {
        self.build()?.connect().await
    }

    /// Whether [`start`](Self::start) connects (`autoConnect`, `true` by default). If not, listeners can be registered
    /// first, and then [`Client::open`] is called.
    pub fn auto_connect(mut self, auto_connect: bool) -> Self {
        self.auto_connect = auto_connect;
        self
    }

    /// The same without waiting: the client connects by itself, and what is emitted meanwhile waits.
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

    fn build(self) -> Result<SocketBuilder, UrlError> {
        let endpoint = Endpoint::parse(&self.url)?;
        let namespace = endpoint.namespace().to_owned();
        let http = Arc::new(Http::new(Arc::clone(&self.runtime), self.connector, &self.config.limits));
        let shared = Arc::new(Shared::new(CoreManager::new(self.config, endpoint, &Core::seed())));
        self.runtime.spawn(Box::pin(Owner::new(Arc::clone(&shared), http, self.headers)));
        let manager = Manager { keeper: Arc::new(Keeper(Arc::clone(&shared))), shared };
        Ok(SocketBuilder { manager, namespace, settings: self.settings })
    }
}

/// A namespace on a connection that exists: [`Client::of`].
///
/// ```no_run
/// # use sockeye_driver::{BoxError, client::Client};
/// # async fn example(client: Client) -> Result<(), BoxError> {
/// let admin = client.of("/admin").retries(3).connect().await?;
/// # Ok(())
/// # }
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
    /// # Errors
    ///
    /// [`ClientError::Connect`].
    pub async fn connect(self) -> Result<Client, ClientError> {
        let client = self.start();
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::clone(client.shared());
        let socket = client.socket_id();
        shared.with(|state, now| {
            state.connecting.push(Connecting { socket, sender, error: None });
            state.manager.connect(now, socket);
        });
        match receiver.await {
            Ok(connected) => connected?,
            // The runtime has dropped the client's task.
            Err(oneshot::Canceled) => return Err(Error::Closed(DisconnectReason::ForcedClose).into()),
        }
        Ok(client)
    }

    /// The same without waiting, and without joining yet: [`Client::open`] does that.
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
            /// # Errors
            ///
            /// It cannot be written as JSON, for instance because it holds binary.
            pub fn auth<T: Serialize + ?Sized>(mut self, auth: &T) -> Result<Self, EncodeError> {
                self.settings.auth = Auth::Value(Payload::data(auth)?);
                Ok(self)
            }

            /// Asks what to give as `auth` on each connection, with what went wrong the last time in hand: where a token
            /// expires, for instance. An error becomes the namespace's `connect_error`, and ends its attempts.
            pub fn auth_with<F, Fut, T, E>(mut self, provider: F) -> Self
            where
                F: Fn(AuthRequest) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<T, E>> + Send + 'static,
                T: Serialize + 'static,
                E: Into<BoxError> + 'static,
            {
                self.settings.auth = Auth::Provider(Arc::new(move |request| {
                    Box::pin(guarded(provider(request), |auth| Ok(Some(Payload::data(&auth)?))))
                }));
                self
            }

            /// The time in which the server must acknowledge, where an emit does not say another one (`ackTimeout`).
            pub fn ack_timeout(mut self, timeout: Duration) -> Self {
                self.settings.options.ack_timeout = Some(timeout);
                self
            }

            /// How many times an event that was not acknowledged is sent again (`retries`): one after the other, so that
            /// each arrives at least once, and in order.
            pub fn retries(mut self, retries: u32) -> Self {
                self.settings.options.retries = retries;
                self
            }

            /// What becomes of events while there is no connection.
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

/// What a provider gives, or in words why it gives nothing.
async fn guarded<T, R, E: Into<BoxError>>(
    provided: impl Future<Output = Result<T, E>>,
    take: impl FnOnce(T) -> Result<R, EncodeError>,
) -> Result<R, Text> {
    match AssertUnwindSafe(provided).catch_unwind().await {
        Ok(Ok(value)) => take(value).map_err(|error| error.to_string().into()),
        Ok(Err(error)) => Err(error.into().to_string().into()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic)).into()),
    }
}
