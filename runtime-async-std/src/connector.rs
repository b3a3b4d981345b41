//! Connections to servers.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;

use async_io::Async;
use async_std::net::ToSocketAddrs as _;
use sockeye_driver::{
    BoxFuture, Stream,
    client::{Address, Connector, Failure},
};

use crate::TcpStream;

/// Connects over TCP, and where the URL says so over TLS.
///
/// ```
/// # async_std::task::block_on(async {
/// use sockeye_async_std::{
///     TcpConnector,
///     client::{Address, Connector as _},
/// };
///
/// let listener = async_std::net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = Address { host: "127.0.0.1".into(), port: listener.local_addr()?.port(), secure: false };
/// let _stream = TcpConnector::default().connect(&address).await?;
/// listener.accept().await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    #[cfg(feature = "tls")]
    config: Option<Arc<crate::rustls::ClientConfig>>,
}

sockeye_driver::tcp_connector!();

/// Opens a TCP stream.
async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs().await? {
        match Async::<std::net::TcpStream>::connect(address).await {
            Ok(stream) => {
                stream.get_ref().set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn plain(stream: TcpStream) -> Box<dyn Stream> {
    Box::new(stream)
}

#[cfg(feature = "tls")]
async fn encrypted(
    stream: TcpStream,
    config: Arc<crate::rustls::ClientConfig>,
    name: crate::rustls::pki_types::ServerName<'static>,
) -> io::Result<Box<dyn Stream>> {
    let stream = futures_rustls::TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(crate::FuturesIo::new(stream)))
}
