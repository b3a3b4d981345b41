//! Connections to servers.

use std::{io, net::SocketAddr};

use hyper_util::rt::TokioIo;
use sockeye_driver::{
    BoxFuture, Stream,
    client::{Address, Connector, Failure},
};
#[cfg(feature = "tls")]
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

sockeye_driver::tcp_connector! {
    crate: "sockeye_tokio",
    runtime: crate::TokioRuntime::new(),
    block_on: "tokio::runtime::Runtime::new().unwrap().block_on",
    tls: tokio_rustls::TlsConnector,
    stream: TokioIo::new
}

/// The addresses of a name.
async fn lookup(host: &str, port: u16) -> io::Result<impl Iterator<Item = SocketAddr>> {
    tokio::net::lookup_host((host, port)).await.map(|addresses| addresses.collect::<Vec<_>>().into_iter())
}

/// Opens a TCP stream.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn plain(stream: TcpStream) -> Box<dyn Stream> {
    Box::new(TokioIo::new(stream))
}

/// A stream with the traits that TLS wants.
#[cfg(feature = "tls")]
fn adapted(stream: Box<dyn Stream>) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
    TokioIo::new(stream)
}
