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
    /// # Panics
    ///
    /// If the operating system gives no random bytes, since ids that can be guessed would open every session.
    pub fn new(config: Config) -> Self {
        Self { layer: Arc::new(EngineIo::new(config)) }
    }

    /// Runs for each session, for as long as it takes: a session is closed when its socket is dropped. The first
    /// handler is the only one; whether this is it.
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
    /// ```no_run
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # async fn example(engine: EngineServer) {
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
