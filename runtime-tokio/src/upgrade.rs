//! Getting the byte stream out of somebody else's HTTP server.

use std::io;

use bytes::Bytes;
use http::Request;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};
use sockeye_driver::{BoxFuture, Stream};
use tokio::net::TcpStream;

type Parts = (Box<dyn Stream>, Bytes);

/// The stream of a request that is answered with 101, and what was read behind the request; see
/// [`Upgrader`](sockeye_driver::Upgrader).
pub(crate) fn upgrade<B>(request: &mut Request<B>) -> BoxFuture<io::Result<Parts>> {
    let upgrade = hyper::upgrade::on(request);
    Box::pin(async move {
        let upgraded = upgrade.await.map_err(io::Error::other)?;
        Ok(take_back(upgraded).unwrap_or_else(|upgraded| (Box::new(upgraded), Bytes::new())))
    })
}

/// The raw stream, if it is one of those that are usual: behind `Upgraded` all calls go through two more layers, and
/// what hyper had read stays allocated.
fn take_back(upgraded: Upgraded) -> Result<Parts, Upgraded> {
    let upgraded = match downcast::<TcpStream>(upgraded, |tcp| tcp) {
        Ok(parts) => return Ok(parts),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "tls")]
    let upgraded = match downcast::<tokio_rustls::server::TlsStream<TcpStream>>(upgraded, |tls| tls.get_ref().0) {
        Ok(parts) => return Ok(parts),
        Err(upgraded) => upgraded,
    };
    Err(upgraded)
}

fn downcast<T>(upgraded: Upgraded, tcp: fn(&T) -> &TcpStream) -> Result<Parts, Upgraded>
where
    TokioIo<T>: Stream,
{
    let (stream, read) = match upgraded.downcast::<TokioIo<T>>() {
        Ok(parts) => (parts.io, parts.read_buf),
        // hyper-util's server, and with it axum's, wraps the stream once more.
        Err(upgraded) => {
            let parts = auto::upgrade::downcast::<TokioIo<T>>(upgraded)?;
            (parts.io, parts.read_buf)
        }
    };
    // Those servers leave it off unless told otherwise. A failure shows with the next read.
    let _ = tcp(stream.inner()).set_nodelay(true);
    Ok((Box::new(stream), read))
}
