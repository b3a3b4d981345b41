//! HTTP requests: to the machine they belong to, and back.

mod connection;
mod exchange;

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::Full;
use smallvec::SmallVec;
use sockeye_protocol::http as core_http;

pub(crate) use self::{
    connection::serve_connection,
    exchange::{Exchange, Upgraded},
};
use crate::{
    Runtime, Stream,
    layer::{Layer, Route},
    runtime::BoxFuture,
};

/// The body of every response.
///
/// ```
/// use sockeye_driver::Body;
///
/// let response = http::Response::new(Body::from("a page of yours beside the server's answers"));
/// assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(43));
/// ```
pub type Body = Full<Bytes>;

/// How somebody else's HTTP server gives the byte stream of a request away: called with the request, before it is known
/// whether it will be answered with 101; the future resolves behind the 101, with the stream and the bytes that were
/// read behind the request's head.
///
/// ```
/// use sockeye_driver::{Stream, Upgrader};
///
/// // With hyper 1, and servers that are built on it:
/// let upgrader: Upgrader<hyper::body::Incoming> = |request| {
///     let upgrade = hyper::upgrade::on(request);
///     Box::pin(async move {
///         let stream: Box<dyn Stream> = Box::new(upgrade.await.map_err(std::io::Error::other)?);
///         Ok((stream, bytes::Bytes::new()))
///     })
/// };
/// # drop(upgrader);
/// ```
pub type Upgrader<B> = fn(&mut http::Request<B>) -> BoxFuture<io::Result<(Box<dyn Stream>, Bytes)>>;

/// The other end of an HTTP connection, for [`Handshake`](crate::Handshake).
///
/// ```
/// use sockeye_driver::Peer;
///
/// let peer = Peer { address: Some(([192, 0, 2, 1], 50_000).into()), secure: true };
/// assert_ne!(peer, Peer::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address, if it is known.
    pub address: Option<SocketAddr>,
    /// Whether it came through TLS.
    pub secure: bool,
}

/// What has become of a request that may be ours.
pub(crate) enum Routed<L: Layer, B: HttpBody + Unpin> {
    /// Its path is not.
    NotFound(http::Request<B>),
    /// It is answered already.
    Answered(http::Response<Body>),
    /// A machine has it, or will have it with its body.
    Exchange(Exchange<L, B>),
}

/// Finds the machine that a request belongs to, and hands it over: one with a body when the exchange is polled.
pub(crate) fn route<L: Layer, B: HttpBody + Unpin>(
    layer: &Arc<L>,
    runtime: &Arc<dyn Runtime>,
    request: http::Request<B>,
    peer: Peer,
) -> Routed<L, B> {
    let mut exchange = match begin(layer, runtime, &request, peer) {
        Ok(exchange) => exchange,
        Err(None) => return Routed::NotFound(request),
        Err(Some(response)) => return Routed::Answered(encode(response)),
    };
    if !exchange.is_asked() {
        exchange.ask_later(request, peer);
    } else if !request.body().is_end_stream() {
        exchange.expect(request.into_body());
    }
    Routed::Exchange(exchange)
}

/// Finds who a request belongs to, and hands it over unless a body follows: that may be there when it is polled first.
///
/// # Errors
///
/// The answer, or nothing if the path is not ours.
fn begin<L: Layer, B: HttpBody + Unpin>(
    layer: &Arc<L>,
    runtime: &Arc<dyn Runtime>,
    request: &http::Request<B>,
    peer: Peer,
) -> Result<Exchange<L, B>, Option<core_http::Response>> {
    let lines = Lines::of(request.headers());
    let head = lines.head(request.method(), request.uri(), peer);
    let core = layer.core();
    let now = core.now();
    let (link, opened) = match layer.route(now, &head) {
        Route::NotFound => return Err(None),
        Route::Response(response) => return Err(Some(response)),
        Route::Existing(link) => (link, None),
        Route::Open(link) => (link, Some(runtime)),
    };
    let mut exchange = Exchange::new(Arc::clone(layer), link, core.next_request());
    let whole = request.body().is_end_stream();
    if whole || opened.is_some() {
        let body = if whole { core_http::Body::EMPTY } else { core_http::Body::Pending };
        exchange.ask(now, &head, body, opened)?;
    }
    Ok(exchange)
}

/// Headers as the core takes them: those of a browser without an allocation.
struct Lines<'a>(SmallVec<[(&'a str, &'a [u8]); 20]>);

impl<'a> Lines<'a> {
    fn of(headers: &'a http::HeaderMap) -> Self {
        Self(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect())
    }

    fn head<'b>(&'b self, method: &'b http::Method, uri: &'b http::Uri, peer: Peer) -> core_http::Request<'b> {
        core_http::Request {
            method: method.as_str(),
            target: uri.path_and_query().map_or("", |target| target.as_str()),
            headers: &self.0,
            peer: peer.address,
            secure: peer.secure,
        }
    }
}

/// A response of the core for an HTTP library.
pub(crate) fn encode(response: core_http::Response) -> http::Response<Body> {
    let mut encoded = http::Response::new(Full::new(response.body));
    *encoded.status_mut() = http::StatusCode::from_u16(response.status).unwrap_or_default();
    for (name, value) in response.headers {
        let value = match value {
            Cow::Borrowed(value) => Bytes::from_static(value.as_bytes()),
            Cow::Owned(value) => Bytes::from(value),
        };
        // Something in a value that cannot stand in a header is not sent at all.
        if let (Some(name), Ok(value)) = (header_name(name), http::HeaderValue::from_maybe_shared(value)) {
            encoded.headers_mut().append(name, value);
        }
    }
    encoded
}

/// The name of a header; those of every answer to polling need not be looked up.
fn header_name(name: &str) -> Option<http::HeaderName> {
    match name {
        "Content-Type" => Some(http::header::CONTENT_TYPE),
        "Cache-Control" => Some(http::header::CACHE_CONTROL),
        name => http::HeaderName::from_bytes(name.as_bytes()).ok(),
    }
}

/// The answer without anybody to give it: the server is going away.
pub(crate) fn unavailable() -> http::Response<Body> {
    encode(core_http::Response::status(503).closing())
}

fn is_ours<L: Layer, B>(layer: &Arc<L>, request: &http::Request<B>) -> bool {
    let head = core_http::Request {
        method: request.method().as_str(),
        target: request.uri().path(),
        headers: &[],
        peer: None,
        secure: false,
    };
    sockeye_protocol::engine::serves(&layer.core().config, &head)
}

/// Answers a request of somebody else's HTTP server, or gives it back.
#[expect(clippy::result_large_err, reason = "the request itself, which goes on to somebody else")]
pub(crate) fn mounted<L: Layer, B>(
    layer: &Arc<L>,
    runtime: &Arc<dyn Runtime>,
    mut request: http::Request<B>,
    peer: Peer,
    upgrader: Upgrader<B>,
) -> Result<BoxFuture<http::Response<Body>>, http::Request<B>>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    // Nothing is taken from a request of another route: a WebSocket of its own, for instance.
    if !is_ours(layer, &request) {
        return Err(request);
    }
    let stream = request.headers().contains_key(http::header::UPGRADE).then(|| upgrader(&mut request));
    let exchange = match route(layer, runtime, request, peer) {
        Routed::NotFound(request) => return Err(request),
        Routed::Answered(response) => return Ok(Box::pin(std::future::ready(response))),
        Routed::Exchange(exchange) => exchange,
    };
    let runtime = Arc::clone(runtime);
    Ok(Box::pin(async move {
        let (response, upgraded) = exchange.await;
        if let (Some(upgraded), Some(stream)) = (upgraded, stream) {
            // Behind the answer, which must be written first.
            runtime.spawn(Box::pin(async move {
                match stream.await {
                    Ok((stream, read)) => upgraded.attach(stream, read),
                    Err(error) => tracing::debug!(%error, "no byte stream after the 101"),
                }
            }));
        }
        response
    }))
}
