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
