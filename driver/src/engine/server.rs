//! Engine.IO servers.

use std::{fmt, sync::Arc, time::Duration};

use sockeye_protocol::server::Stats;

use super::{EngineSocket, layer::EngineIo};
use crate::{BoxFuture, Config, core, handler::IntoOutcome, layer::Layer as _, listener::serve, runtime::lock};

/// An Engine.IO server without Socket.IO on top: sessions that carry messages. Cheap to clone.
///
/// ```
/// use futures_util::{SinkExt, StreamExt};
/// use sockeye_driver::{BoxError, Config, EngineServer, EngineSocket};
///
/// let engine = EngineServer::new(Config { path: "/engine.io/".into(), ..Config::default() });
/// engine.on_connection(async |mut socket: EngineSocket| {
///     while let Some(message) = socket.next().await {
///         socket.send(message).await?;
///     }
///     Ok::<_, BoxError>(())
/// });
/// ```
#[derive(Clone)]
pub struct EngineServer {
    layer: Arc<EngineIo>,
}

impl EngineServer {
    /// A server without sessions. [`Config::path`] is `/socket.io/` unless set: `/engine.io/` is usual here.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # use std::time::Duration;
    /// let engine = EngineServer::new(Config {
    ///     path: "/engine.io/".into(),
    ///     ping_interval: Duration::from_secs(10),
    ///     ..Config::default()
    /// });
    /// assert_eq!(engine.stats().sids, 0);
    /// ```
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes, since ids that can be guessed would open every session.
    pub fn new(config: Config) -> Self {
        Self { layer: Arc::new(EngineIo::new(config)) }
    }

    /// Runs for each session, for as long as it takes: a session is closed when its socket is dropped. The first
    /// handler is the only one; whether this is it. What it returns as an error, and its panics, are logged (`tracing`)
    /// and written to standard error.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// assert!(engine.on_connection(async |socket: EngineSocket| socket.try_send(Message::Text("the first".into()))));
    /// assert!(!engine.on_connection(async |_: EngineSocket| println!("never runs")));
    /// ```
    pub fn on_connection<F, Fut>(&self, handler: F) -> bool
    where
        F: Fn(EngineSocket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        let handler = move |socket| -> BoxFuture<Result<(), crate::BoxError>> {
            let future = handler(socket);
            Box::pin(async move { future.await.into_outcome() })
        };
        let mut place = lock(&self.layer.on_connection);
        let is_first = place.is_none();
        if is_first {
            *place = Some(Arc::new(handler));
        }
        is_first
    }

    /// Counts of everything that the server holds.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// assert_eq!(EngineServer::new(Config::default()).stats().connections, 0);
    /// ```
    pub fn stats(&self) -> Stats {
        self.layer.stats()
    }

    /// Closes every session, and refuses new ones. Completes when all handlers have returned and nothing is left, or at
    /// the deadline, which ends what still runs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let engine = EngineServer::new(Config::default());
    /// engine.shutdown(Duration::from_secs(10)).await;
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) {
        core::shutdown(&self.layer, deadline).await;
    }
}

serve!(EngineServer, layer);

impl fmt::Debug for EngineServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineServer").field("config", &self.layer.core().config).finish_non_exhaustive()
    }
}
