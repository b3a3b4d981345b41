//! Engine.IO servers.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body::Body as HttpBody;
use sockeye_protocol::server::Stats;

use super::{EngineSocket, layer::EngineIo};
use crate::{
    BoxFuture, Config, Listener, Listening, Peer, Runtime, Stream,
    core::{self, attach},
    handler::IntoOutcome,
    http::{Body, Upgrader},
    layer::Layer as _,
    listener,
};

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
pub struct EngineServer(Arc<EngineIo>);

impl EngineServer {
    /// A server without sessions. [`Config::path`] is `/socket.io/` unless set: `/engine.io/` is usual here.
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes, since ids that can be guessed would open every session.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(EngineIo::new(config)))
    }

    /// Runs for each session, for as long as it takes: a session is closed when its socket is dropped. The first handler
    /// is the only one; whether this is it.
    pub fn on_connection<F, Fut>(&self, handler: F) -> bool
    where
        F: Fn(EngineSocket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        let handler = move |socket| -> BoxFuture<Result<(), crate::BoxError>> {
            let future = handler(socket);
            Box::pin(async move { future.await.into_outcome() })
        };
        self.0.on_connection.set(Box::new(handler)).is_ok()
    }

    /// Counts of everything that the server holds.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Closes every session, and refuses new ones. Completes when all handlers have returned and nothing is left, or at
    /// the deadline, which ends what still runs.
    pub async fn shutdown(&self, deadline: Duration) {
        core::shutdown(&self.0, deadline).await;
    }

    /// Serves what a listener accepts: see [`Server::serve`](crate::Server::serve).
    ///
    /// # Errors
    ///
    /// The listener does not know its address.
    pub fn serve(&self, runtime: Arc<dyn Runtime>, listener: impl Listener) -> io::Result<Listening> {
        listener::listen(&self.0, runtime, listener)
    }

    /// Serves one byte stream on which HTTP/1.1 is spoken.
    pub fn serve_connection<S: Stream>(
        &self,
        runtime: &Arc<dyn Runtime>,
        stream: S,
        peer: Peer,
    ) -> impl Future<Output = ()> + Send + use<S> {
        attach(&self.0, runtime);
        crate::http::serve_connection(&self.0, stream, peer)
    }

    /// Answers a request of somebody else's HTTP server: see [`Server::handle`](crate::Server::handle).
    ///
    /// # Errors
    ///
    /// The request, if its path is not [`Config::path`].
    #[expect(clippy::result_large_err, reason = "the request itself, which goes on to somebody else")]
    pub fn handle<B>(
        &self,
        runtime: &Arc<dyn Runtime>,
        request: http::Request<B>,
        peer: Peer,
        upgrader: Upgrader<B>,
    ) -> Result<BoxFuture<http::Response<Body>>, http::Request<B>>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    {
        attach(&self.0, runtime);
        crate::http::mounted(&self.0, runtime, request, peer, upgrader)
    }
}

impl fmt::Debug for EngineServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineServer").field("config", &self.0.core().config).finish_non_exhaustive()
    }
}
