//! Connections to servers.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use sockeye_driver::{
    BoxFuture, Stream,
    client::{Address, Connector, Failure},
};
use tokio::net::TcpStream;

/// Connects over TCP, and where the URL says so over TLS.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye_tokio::{
///     TcpConnector,
///     client::{Address, Connector as _},
/// };
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = Address { host: "127.0.0.1".into(), port: listener.local_addr()?.port(), secure: false };
/// let _stream = TcpConnector::default().connect(&address).await?;
/// listener.accept().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    #[cfg(feature = "tls")]
    config: Option<Arc<crate::rustls::ClientConfig>>,
}

sockeye_driver::tcp_connector!();

/// Opens a TCP stream.
async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn plain(stream: TcpStream) -> Box<dyn Stream> {
    Box::new(TokioIo::new(stream))
}

#[cfg(feature = "tls")]
async fn encrypted(
    stream: TcpStream,
    config: Arc<crate::rustls::ClientConfig>,
    name: crate::rustls::pki_types::ServerName<'static>,
) -> io::Result<Box<dyn Stream>> {
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(TokioIo::new(stream)))
}
