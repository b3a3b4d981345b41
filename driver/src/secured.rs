//! TLS on top of another listener: what the listeners of all runtimes have in common.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{BoxFuture, Listener, Stream};

/// A listener whose connections are encrypted: each goes through a TLS handshake first, which the driver awaits in a task
/// of its own, for [`Limits::header_timeout`](crate::Limits::header_timeout) at most. A runtime crate says what the
/// handshake is.
///
/// ```
/// use sockeye_driver::{Listener, Secured};
///
/// # fn example<T: Listener>(tcp: T) {
/// // A handshake that lets everything through as it is.
/// let listener = Secured::new(tcp, |stream| Box::pin(async move { Ok(stream) }));
/// assert!(listener.is_secure());
/// # }
/// ```
pub struct Secured<T: Listener, S> {
    inner: T,
    handshake: Arc<Handshake<T::Stream, S>>,
}

type Handshake<I, O> = dyn Fn(I) -> BoxFuture<io::Result<O>> + Send + Sync;

impl<T: Listener, S: Stream> Secured<T, S> {
    /// Has each connection of `inner` go through a handshake.
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, task::{Context, Poll}};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Listener, Secured};
    /// # use tokio::io::DuplexStream;
    /// # struct Port;
    /// # impl Listener for Port {
    /// #     type Stream = TokioIo<DuplexStream>;
    /// #     type Handshake = Ready<io::Result<Self::Stream>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
    /// #         Poll::Pending
    /// #     }
    /// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
    /// # }
    /// # let tcp = Port;
    /// # struct Acceptor;
    /// # impl Acceptor {
    /// #     async fn accept<T>(&self, stream: T) -> io::Result<T> { Ok(stream) }
    /// # }
    /// let acceptor = std::sync::Arc::new(Acceptor); // That of a TLS library.
    /// let listener = Secured::new(tcp, move |stream| {
    ///     let acceptor = acceptor.clone();
    ///     Box::pin(async move { acceptor.accept(stream).await })
    /// });
    /// assert_eq!(listener.local_addr()?.port(), 3000); // The port is that of `tcp`.
    /// # Ok::<_, io::Error>(())
    /// ```
    pub fn new(inner: T, handshake: impl Fn(T::Stream) -> BoxFuture<io::Result<S>> + Send + Sync + 'static) -> Self {
        Self { inner, handshake: Arc::new(handshake) }
    }
}

impl<T: Listener, S: Stream> Listener for Secured<T, S> {
    type Stream = S;
    type Handshake = BoxFuture<io::Result<S>>;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        let (accepted, peer) = ready!(self.inner.poll_accept(context))?;
        let handshake = Arc::clone(&self.handshake);
        Poll::Ready(Ok((Box::pin(async move { handshake(accepted.await?).await }), peer)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn is_secure(&self) -> bool {
        true
    }
}

/// A runtime crate's `TlsListener` and `secure`, for crates of runtimes only. These have `TcpListener`, rustls under `rustls`,
/// and `accept`, which does a handshake.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! tls_listener {
    (crate: $name:literal, runtime: $runtime:literal, block_on: $block_on:literal, stream: $stream:ty) => {
        /// A TCP port whose connections are encrypted. [`Listen::listen_tls`](crate::Listen::listen_tls) makes one.
        ///
        /// ```
        /// # use std::sync::Arc;
        #[doc = concat!("# use ", $name, "::rustls;")]
        #[doc = concat!("# ", $block_on, "(async {")]
        /// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        /// # let certificates = vec![certified.cert.der().clone()];
        /// # let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        /// # let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
        #[doc = concat!("use ", $name, "::{Listener as _, TcpListener, TlsListener, secure};")]
        ///
        /// let listener: TlsListener = secure(TcpListener::bind("127.0.0.1:0").await?, Arc::new(config));
        /// assert!(listener.is_secure());
        /// # Ok::<_, Box<dyn std::error::Error>>(())
        /// # }).unwrap();
        /// ```
        pub type TlsListener = $crate::Secured<TcpListener, $stream>;

        /// Encrypts the connections of a port. If the configuration names protocols (ALPN), they must be `http/1.1` alone:
        /// that is what is spoken here, and where a WebSocket begins (RFC 6455, 4.1). A handshake that fails concerns its
        /// connection alone.
        ///
        /// ```
        /// # use std::{sync::Arc, time::Duration};
        #[doc = concat!("# ", $block_on, "(async {")]
        #[doc = concat!("# use ", $name, "::rustls::pki_types::PrivateKeyDer;")]
        /// # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        /// # let certificates = vec![certified.cert.der().clone()];
        /// # let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        #[doc = concat!("use ", $name, "::{Serve as _, TcpListener, prelude::*, rustls::ServerConfig, secure};")]
        ///
        /// let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
        /// config.alpn_protocols = vec![b"http/1.1".to_vec()];
        /// let inherited = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        ///
        /// let io = Server::new(Config::default());
        #[doc = concat!("let listening = io.serve(Arc::new(", $runtime, "), secure(inherited, Arc::new(config)))?;")]
        /// # listening.shutdown(Duration::from_secs(1)).await;
        /// # Ok::<_, Box<dyn std::error::Error>>(())
        /// # }).unwrap();
        /// ```
        pub fn secure(tcp: TcpListener, config: ::std::sync::Arc<crate::rustls::ServerConfig>) -> TlsListener {
            let acceptor = TlsAcceptor::from(config);
            $crate::Secured::new(tcp, move |stream| Box::pin(accept(acceptor.clone(), stream)))
        }
    };
}
