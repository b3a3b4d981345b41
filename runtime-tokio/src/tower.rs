//! A tower layer: Socket.IO beside other routes, in axum, hyper, or anything else that speaks tower.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{Either, Map, MapOk},
};
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};
use sockeye_driver::{Body, BoxFuture, Peer, Runtime, Serve, Server, Stream};
use tokio::net::TcpStream;

use crate::TokioRuntime;

/// Mounting a [`Server`] in somebody else's HTTP server.
///
/// ```
/// # use sockeye_tokio::prelude::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let io = Server::new(Config::default());
/// io.on("ping", async |ack: Ack| ack.send(&"pong"));
/// let app: axum::Router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" })).layer(io.layer());
/// # drop(app);
/// # }
/// ```
pub trait LayerExt {
    /// A layer that answers the requests of [`Config::path`](crate::Config::path) and leaves all others to the service
    /// that it is put on. To be called in the tokio runtime that serves.
    ///
    /// A client's address is known to handlers ([`Handshake::address`](crate::Handshake::address)) if something in front
    /// has put a [`Peer`] among the request's extensions.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    fn layer(&self) -> Layer;

    /// The layer around a service.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    fn service<S>(&self, inner: S) -> Service<S> {
        tower_layer::Layer::layer(&self.layer(), inner)
    }
}

impl LayerExt for Server {
    fn layer(&self) -> Layer {
        Layer { server: self.clone(), runtime: Arc::new(TokioRuntime::current()) }
    }
}

/// See [`LayerExt::layer`].
#[derive(Clone)]
pub struct Layer {
    server: Server,
    runtime: Arc<dyn Runtime>,
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Service<S>;

    fn layer(&self, inner: S) -> Service<S> {
        Service { layer: self.clone(), inner }
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A service that answers what is Socket.IO's, and leaves all else to another one.
#[derive(Clone, Debug)]
pub struct Service<S> {
    layer: Layer,
    inner: S,
}

impl<S, B, R> tower_service::Service<Request<B>> for Service<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = Answer<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
        match self.layer.server.handle(&self.layer.runtime, request, peer, take_back) {
            Ok(response) => Either::Left(response.map(|response| Ok(response.map(ResponseBody::Ours)))),
            Err(request) => {
                Either::Right(self.inner.call(request).map_ok(|response| response.map(ResponseBody::Theirs)))
            }
        }
    }
}

/// The future of [`Service`].
pub type Answer<F, R, E> = Either<
    Map<BoxFuture<Response<Body>>, fn(Response<Body>) -> Result<Response<ResponseBody<R>>, E>>,
    MapOk<F, fn(Response<R>) -> Response<ResponseBody<R>>>,
>;

/// The body of a response of [`Service`].
#[derive(Clone, Debug)]
pub enum ResponseBody<R> {
    /// Socket.IO's.
    Ours(Body),
    /// The other service's.
    Theirs(R),
}

impl<R: HttpBody<Data = Bytes> + Unpin> HttpBody for ResponseBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.get_mut() {
            Self::Ours(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Theirs(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ours(body) => body.is_end_stream(),
            Self::Theirs(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ours(body) => body.size_hint(),
            Self::Theirs(body) => body.size_hint(),
        }
    }
}

/// Takes the byte stream of a request back from hyper once the 101 is written.
fn take_back<B>(request: &mut Request<B>) -> BoxFuture<io::Result<(Box<dyn Stream>, Bytes)>> {
    let upgrade = hyper::upgrade::on(request);
    Box::pin(async move { Ok(raw(upgrade.await.map_err(io::Error::other)?)) })
}

/// The stream itself where it is known: what hyper wraps around it costs memory for as long as the WebSocket lives.
fn raw(upgraded: Upgraded) -> (Box<dyn Stream>, Bytes) {
    // `axum::serve` and other users of hyper-util's `auto`.
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return (Box::new(parts.io), parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => (Box::new(parts.io), parts.read_buf),
        Err(upgraded) => (Box::new(upgraded), Bytes::new()),
    }
}
