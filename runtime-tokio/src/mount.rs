//! Mounting a server in somebody else's HTTP server, beside other routes.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{Either, Map, MapOk},
};
use http::{Request, Response, StatusCode};
use sockeye_driver::{Body, BoxFuture, Peer, Runtime, Serve};
use tower_layer::Layer;
use tower_service::Service;

use crate::{TokioRuntime, upgrade::upgrade};

/// Mounts a server in axum, or any HTTP server on hyper 1. In scope with the [`prelude`](crate::prelude); every server
/// has it.
///
/// The HTTP server must allow upgrades (axum's does; plain hyper: `with_upgrades`, hyper-util:
/// `serve_connection_with_upgrades`), else clients stay with long-polling. On its sockets over TCP and tokio-rustls,
/// `TCP_NODELAY` is set at the upgrade.
///
/// # The address of the client
///
/// A layer does not see the connection, so [`Peer`] is unknown, unless something outside of it puts one into the
/// request's extensions:
///
/// ```no_run
/// use std::net::SocketAddr;
/// use axum::{Router, extract::{ConnectInfo, Request}, middleware::{self, Next}};
/// use sockeye_tokio::{Peer, prelude::*};
///
/// # async fn example() -> std::io::Result<()> {
/// let io = Server::new(Config::default());
/// let app = Router::new().layer(io.layer()).layer(middleware::from_fn(
///     async |ConnectInfo(address): ConnectInfo<SocketAddr>, mut request: Request, next: Next| {
///         request.extensions_mut().insert(Peer { address: Some(address), secure: false });
///         next.run(request).await
///     },
/// ));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
/// # }
/// ```
pub trait Mount: Serve {
    /// A layer that answers the requests of this server, and leaves all others to what it is put around.
    ///
    /// ```no_run
    /// use axum::{Router, routing::get};
    /// use sockeye_tokio::prelude::*;
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let io = Server::new(Config::default());
    /// let app = Router::new().route("/", get(async || "Hello")).layer(io.layer());
    /// axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await
    /// # }
    /// ```
    fn layer(&self) -> MountLayer<Self> {
        MountLayer { server: self.clone(), runtime: Arc::new(TokioRuntime::of_callers()) }
    }

    /// A service that answers the requests of this server, and all others with 404: for a route or a fallback in axum,
    /// or for plain hyper:
    ///
    /// ```no_run
    /// use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    /// use sockeye_tokio::prelude::*;
    ///
    /// # async fn example(stream: tokio::net::TcpStream) -> hyper::Result<()> {
    /// let io = Server::new(Config::default());
    /// hyper::server::conn::http1::Builder::new()
    ///     .serve_connection(TokioIo::new(stream), TowerToHyperService::new(io.service()))
    ///     .with_upgrades()
    ///     .await
    /// # }
    /// ```
    fn service(&self) -> MountService<Self, NotFound> {
        self.layer().layer(NotFound)
    }
}

impl<S: Serve> Mount for S {}

/// The layer that [`Mount::layer`] makes: requests under [`Config::path`](sockeye_driver::Config::path) are the
/// server's, all others go on to the service inside.
///
/// ```
/// use sockeye_tokio::{MountLayer, prelude::*};
///
/// let chat: MountLayer<Server> = Server::default().layer();
/// let game: MountLayer<Server> = Server::new(Config { path: "/game/".into(), ..Config::default() }).layer();
/// let app: axum::Router = axum::Router::new().layer(chat).layer(game);
/// ```
#[derive(Clone)]
pub struct MountLayer<S> {
    server: S,
    runtime: Arc<dyn Runtime>,
}

impl<S: Serve, I> Layer<I> for MountLayer<S> {
    type Service = MountService<S, I>;

    fn layer(&self, inner: I) -> MountService<S, I> {
        MountService { server: self.server.clone(), runtime: self.runtime.clone(), inner }
    }
}

/// A server around another service, which gets the requests that are not the server's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sockeye_tokio::{Body, prelude::*};
/// # let io = Server::new(Config::default());
/// use sockeye_tokio::{MountService, NotFound};
/// use tower_service::Service as _;
///
/// let mut service: MountService<Server, NotFound> = io.service();
/// let request = http::Request::get("/socket.io/?EIO=4&transport=polling").body(Body::default())?;
/// assert_eq!(service.call(request).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MountService<S, I> {
    server: S,
    runtime: Arc<dyn Runtime>,
    inner: I,
}

/// The body of a response: the server's, or that of the service inside.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sockeye_tokio::{Body, prelude::*};
/// # let io = Server::new(Config::default());
/// use sockeye_tokio::MountBody;
/// use tower_service::Service as _;
///
/// let request = http::Request::get("/elsewhere").body(Body::default())?;
/// let answer: MountBody<Body> = io.service().call(request).await?.into_body();
/// assert!(matches!(answer, MountBody::Right(_))); // It is from the service inside.
/// # Ok(())
/// # }
/// ```
pub type MountBody<B> = http_body_util::Either<Body, B>;

/// The future of a response: the server's, or that of the service inside.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sockeye_tokio::{Body, prelude::*};
/// # let io = Server::new(Config::default());
/// use std::{convert::Infallible, future::Ready};
/// use sockeye_tokio::MountFuture;
/// use tower_service::Service as _;
///
/// type Inner = Ready<Result<http::Response<Body>, Infallible>>; // That of the service inside: `NotFound`.
/// let request = http::Request::get("/elsewhere").body(Body::default())?;
/// let answer: MountFuture<Inner, Body, Infallible> = io.service().call(request);
/// assert_eq!(answer.await?.status(), 404);
/// # Ok(())
/// # }
/// ```
pub type MountFuture<F, B, E> = Either<
    Map<BoxFuture<Response<Body>>, fn(Response<Body>) -> Result<Response<MountBody<B>>, E>>,
    MapOk<F, fn(Response<B>) -> Response<MountBody<B>>>,
>;

impl<S, I, B, ResponseBody> Service<Request<B>> for MountService<S, I>
where
    S: Serve,
    I: Service<Request<B>, Response = Response<ResponseBody>>,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: fmt::Display,
{
    type Response = Response<MountBody<ResponseBody>>;
    type Error = I::Error;
    type Future = MountFuture<I::Future, ResponseBody, I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
        match self.server.handle(&self.runtime, request, peer, upgrade::<B>) {
            Ok(response) => Either::Left(response.map(|response| Ok(response.map(MountBody::Left)))),
            Err(request) => Either::Right(self.inner.call(request).map_ok(|response| response.map(MountBody::Right))),
        }
    }
}

/// The service inside of [`Mount::service`]: answers everything with 404.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::convert::Infallible> {
/// use sockeye_tokio::NotFound;
/// use tower_service::Service as _;
///
/// assert_eq!(NotFound.call(http::Request::new(())).await?.status(), 404);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests;
