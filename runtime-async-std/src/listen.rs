//! Listening on a port.

use std::{future::Future, io, sync::Arc};

use async_std::net::ToSocketAddrs;
use sockeye_driver::{Listening, Serve};

use crate::{AsyncStdRuntime, TcpListener};
#[cfg(feature = "tls")]
use crate::{rustls::ServerConfig, secure};

/// Has a server listen on a port of its own. In scope with the [`prelude`](crate::prelude); every server has it.
///
/// Each call adds a port to the same server: its clients meet in the same rooms, whichever way they came in. For other
/// listeners, or other options, there is [`Serve::serve`].
///
/// ```
/// # use std::time::Duration;
/// # async_std::task::block_on(async {
/// use sockeye_async_std::prelude::*;
///
/// let io = Server::new(Config::default());
/// let pages = io.listen(("127.0.0.1", 0)).await?;
/// let apps = io.listen("127.0.0.1:0").await?;
/// println!("listening on {} and {}", pages.local_addr(), apps.local_addr());
/// apps.shutdown(Duration::from_secs(10)).await; // Both: they are one server.
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Listen: Serve {
    /// Listens on this address: `"127.0.0.1:3000"`, `("::1", 3000)`, a [`SocketAddr`](std::net::SocketAddr). Port 0 has
    /// the system choose one, which [`Listening::local_addr`] then tells.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// # use sockeye_async_std::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let listening = io.listen("127.0.0.1:0").await?;
    /// assert_ne!(listening.local_addr().port(), 0);
    /// assert!(io.listen(listening.local_addr()).await.is_err()); // That port is taken.
    /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The address does not resolve, or cannot be bound.
    fn listen(
        &self,
        address: impl ToSocketAddrs<Iter: Send> + Send,
    ) -> impl Future<Output = io::Result<Listening>> + Send {
        async move { self.serve(Arc::new(AsyncStdRuntime), TcpListener::bind(address).await?) }
    }

    /// Listens on this address for encrypted connections (`https`, `wss`). If the configuration names protocols (ALPN),
    /// they must be `http/1.1` alone: that is what is spoken here, and where a WebSocket begins (RFC 6455,
    /// 4.1).
    ///
    /// ```no_run
    /// # use std::{io, sync::Arc};
    /// use sockeye_async_std::{prelude::*, rustls};
    /// use rustls::{ServerConfig, pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject}};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let certificates = CertificateDer::pem_file_iter("cert.pem")?.collect::<Result<_, _>>()?;
    /// let key = PrivateKeyDer::from_pem_file("key.pem")?;
    /// let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    ///
    /// let io = Server::new(Config::default());
    /// let listening = io.listen_tls("0.0.0.0:443", Arc::new(config)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The address does not resolve, or cannot be bound.
    #[cfg(feature = "tls")]
    fn listen_tls(
        &self,
        address: impl ToSocketAddrs<Iter: Send> + Send,
        config: Arc<ServerConfig>,
    ) -> impl Future<Output = io::Result<Listening>> + Send {
        async move {
            let listener = secure(TcpListener::bind(address).await?, config);
            self.serve(Arc::new(AsyncStdRuntime), listener)
        }
    }
}

impl<S: Serve> Listen for S {}
