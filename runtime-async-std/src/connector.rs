//! Connections to servers.

use std::{io, net::SocketAddr};

use async_io::Async;
use async_std::net::ToSocketAddrs as _;
#[cfg(feature = "tls")]
use futures_util::{AsyncRead, AsyncWrite};
use sockeye_driver::{
    BoxFuture, Stream,
    client::{Address, Connector, Failure},
};

use crate::TcpStream;

sockeye_driver::tcp_connector! {
    crate: "sockeye_async_std",
    runtime: crate::AsyncStdRuntime,
    block_on: "async_std::task::block_on",
    tls: futures_rustls::TlsConnector,
    stream: crate::FuturesIo::new
}

/// The addresses of a name.
async fn lookup(host: &str, port: u16) -> io::Result<impl Iterator<Item = SocketAddr>> {
    (host, port).to_socket_addrs().await
}

/// Opens a TCP stream.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = Async::<std::net::TcpStream>::connect(address).await?;
    stream.get_ref().set_nodelay(true)?;
    TcpStream::from_std(stream.into_inner()?)
}

fn plain(stream: TcpStream) -> Box<dyn Stream> {
    Box::new(stream)
}

/// A stream with the traits that TLS wants.
#[cfg(feature = "tls")]
fn adapted(stream: Box<dyn Stream>) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
    crate::futures_io::HyperIo(stream)
}
