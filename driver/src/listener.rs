//! Accepting connections, and shutting down.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Body, BoxFuture, Peer, Runtime, Stream, Upgrader,
    core::{self, Level, Task},
    http::serve_connection,
    layer::Layer,
    runtime::{Either, Sleep, either},
};

/// Where connections come from. A runtime crate implements it for its TCP listener, with and without TLS: the
/// [crate documentation](crate#a-runtime) has an example.
///
/// ```
/// use std::{io, net::SocketAddr, task::{Context, Poll, ready}};
/// use sockeye_driver::Listener;
///
/// /// A port for programs of this machine alone: connections from elsewhere are closed.
/// struct Local<T>(T);
///
/// impl<T: Listener> Listener for Local<T> {
///     type Stream = T::Stream;
///     type Handshake = T::Handshake;
///
///     fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
///         loop {
///             let (handshake, peer) = ready!(self.0.poll_accept(context))?;
///             if peer.ip().is_loopback() {
///                 return Poll::Ready(Ok((handshake, peer)));
///             }
///         }
///     }
///
///     fn local_addr(&self) -> io::Result<SocketAddr> {
///         self.0.local_addr()
///     }
/// }
/// ```
pub trait Listener: Send + Unpin + 'static {
    /// A byte stream that is ready for HTTP.
    ///
    /// ```
    /// # use sockeye_driver::{Listener, Stream};
    /// /// Streams of all listeners as one type.
    /// fn boxed<T: Listener>(stream: T::Stream) -> Box<dyn Stream> {
    ///     Box::new(stream)
    /// }
    /// ```
    type Stream: Stream;
    /// What makes it out of an accepted connection: the TLS handshake. Its time is limited by
    /// [`Limits::header_timeout`](crate::Limits::header_timeout); dropping it closes the connection.
    ///
    /// ```
    /// # use sockeye_driver::Listener;
    /// async fn is_ready<T: Listener>(handshake: T::Handshake) -> bool {
    ///     handshake.await.is_ok()
    /// }
    /// ```
    type Handshake: Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// Accepts the next connection, with its peer's address. An error is not the end: it concerns that connection, or
    /// the moment (no descriptor is left); the driver waits a little and asks again.
    ///
    /// ```
    /// # use std::{future::poll_fn, io};
    /// # use sockeye_driver::Listener;
    /// /// The next connection, for those who serve connections themselves.
    /// async fn accept<T: Listener>(listener: &mut T) -> io::Result<T::Stream> {
    ///     let (handshake, peer) = poll_fn(|context| listener.poll_accept(context)).await?;
    ///     println!("{peer} is here");
    ///     handshake.await
    /// }
    /// ```
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>>;

    /// The address that it listens on.
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, task::{Context, Poll}};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::Listener;
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
    /// # let listener = Port;
    /// assert_eq!(listener.local_addr()?.to_string(), "127.0.0.1:3000");
    /// # Ok::<_, io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Whether its connections are encrypted ([`Handshake::secure`](crate::Handshake::secure)).
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, task::{Context, Poll}};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{Listener, Secured};
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
    /// assert!(!tcp.is_secure());
    /// assert!(Secured::new(tcp, |stream| Box::pin(async { Ok(stream) })).is_secure());
    /// ```
    fn is_secure(&self) -> bool {
        false
    }
}

/// A server of either kind, for those who bring connections: [`Server`](crate::Server),
/// [`EngineServer`](crate::EngineServer).
///
/// ```
/// use std::{io, sync::Arc};
/// use sockeye_driver::{Listener, Listening, Runtime, Serve};
///
/// /// Has any server listen on two ports.
/// fn serve_both(server: impl Serve, runtime: Arc<dyn Runtime>, ports: [impl Listener; 2]) -> io::Result<Listening> {
///     let [inside, outside] = ports;
///     server.serve(runtime.clone(), inside)?;
///     server.serve(runtime, outside) // One is enough: it shuts the server down, with both.
/// }
/// ```
pub trait Serve: Clone + Send + Sync + 'static {
    /// Serves what a listener accepts, in tasks of the runtime, until the server is shut down. The crates of the
    /// runtimes call it from `listen`; the [crate documentation](crate#a-runtime) has an example. A server may have
    /// several listeners, whose clients meet in the same rooms.
    ///
    /// They may be served on several runtimes, at once or one after another. A session runs on the one on which it was
    /// opened, and ends when that drops its tasks. The first one also looks after the deadlines of all sessions until then, so it
    /// must not be kept without running.
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, sync::Arc, task::{Context, Poll}, time::Duration};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, prelude::*};
    /// # use tokio::io::DuplexStream;
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # struct Port;
    /// # impl Listener for Port {
    /// #     type Stream = TokioIo<DuplexStream>;
    /// #     type Handshake = Ready<io::Result<Self::Stream>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
    /// #         Poll::Pending
    /// #     }
    /// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let io = Server::new(Config::default());
    /// # let port = Port;
    /// let listening = io.serve(Arc::new(Tokio), port)?;
    /// println!("listening on {}", listening.local_addr());
    /// # listening.shutdown(Duration::from_secs(1)).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The listener does not know its address.
    fn serve<T: Listener>(&self, runtime: Arc<dyn Runtime>, listener: T) -> io::Result<Listening>;

    /// Serves one byte stream on which HTTP/1.1 is spoken, to its end, for whoever accepts connections in another way.
    /// What is not under [`Config::path`](crate::Config::path) is answered with 404.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Peer, Runtime, Serve as _, prelude::*};
    /// # use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let io = Server::new(Config::default());
    /// let runtime: Arc<dyn Runtime> = Arc::new(Tokio);
    /// let (mut client, server) = tokio::io::duplex(1024);
    /// tokio::spawn(io.serve_connection(&runtime, TokioIo::new(server), Peer::default()));
    ///
    /// client.write_all(b"GET /elsewhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    fn serve_connection<S: Stream>(&self, runtime: &Arc<dyn Runtime>, stream: S, peer: Peer) -> BoxFuture;

    /// Answers a request of somebody else's HTTP server: for a middleware there, such as the tower layer of
    /// `sockeye-tokio`. `upgrader` is called for requests that have an `Upgrade` header; see [`Upgrader`].
    ///
    /// ```
    /// # use std::{io, sync::Arc, time::Duration};
    /// # use sockeye_driver::{Body, BoxFuture, Peer, Runtime, Serve as _, prelude::*};
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), http::Error> {
    /// # let io = Server::new(Config::default());
    /// # let runtime: Arc<dyn Runtime> = Arc::new(Tokio);
    /// let get = |target| http::Request::get(target).body(Body::default());
    /// let upgrader = |_: &mut _| -> BoxFuture<_> { Box::pin(async { Err(io::ErrorKind::Unsupported.into()) }) };
    /// let handle = |request| io.handle(&runtime, request, Peer::default(), upgrader);
    ///
    /// let response = handle(get("/socket.io/?EIO=4&transport=polling")?).unwrap().await;
    /// assert_eq!(response.status(), 200);
    /// let not_ours = handle(get("/elsewhere")?).err().unwrap();
    /// assert_eq!(not_ours.uri(), "/elsewhere");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The request, if it is not under [`Config::path`](crate::Config::path).
    #[expect(clippy::result_large_err, reason = "the request itself, which goes on to somebody else")]
    fn handle<B>(
        &self,
        runtime: &Arc<dyn Runtime>,
        request: http::Request<B>,
        peer: Peer,
        upgrader: Upgrader<B>,
    ) -> Result<BoxFuture<http::Response<Body>>, http::Request<B>>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: fmt::Display;
}

/// Implements [`Serve`] for a handle of a layer.
macro_rules! serve {
    ($server:ty, $layer:ident) => {
        impl $crate::Serve for $server {
            fn serve<T: $crate::Listener>(
                &self,
                runtime: std::sync::Arc<dyn $crate::Runtime>,
                listener: T,
            ) -> std::io::Result<$crate::Listening> {
                $crate::listener::listen(&self.$layer, runtime, listener)
            }

            fn serve_connection<S: $crate::Stream>(
                &self,
                runtime: &std::sync::Arc<dyn $crate::Runtime>,
                stream: S,
                peer: $crate::Peer,
            ) -> $crate::BoxFuture {
                Box::pin($crate::http::serve_connection(&self.$layer, std::sync::Arc::clone(runtime), stream, peer))
            }

            fn handle<B>(
                &self,
                runtime: &std::sync::Arc<dyn $crate::Runtime>,
                request: http::Request<B>,
                peer: $crate::Peer,
                upgrader: $crate::Upgrader<B>,
            ) -> Result<$crate::BoxFuture<http::Response<$crate::Body>>, http::Request<B>>
            where
                B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
                B::Error: std::fmt::Display,
            {
                $crate::core::attach(&self.$layer, runtime);
                $crate::http::mounted(&self.$layer, runtime, request, peer, upgrader)
            }
        }
    };
}
pub(crate) use serve;

/// A server that listens. Dropping this does not stop it.
///
/// ```
/// # use std::{future::Ready, io, net::SocketAddr, sync::Arc, task::{Context, Poll}, time::Duration};
/// # use hyper_util::rt::TokioIo;
/// # use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, prelude::*};
/// # use tokio::io::DuplexStream;
/// # struct Tokio;
/// # impl Runtime for Tokio {
/// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
/// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
/// # }
/// # struct Port;
/// # impl Listener for Port {
/// #     type Stream = TokioIo<DuplexStream>;
/// #     type Handshake = Ready<io::Result<Self::Stream>>;
/// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
/// #         Poll::Pending
/// #     }
/// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let io = Server::new(Config::default());
/// # let port = Port;
/// # let end = async {};
/// let listening = io.serve(Arc::new(Tokio), port)?;
/// println!("listening on {}", listening.local_addr());
/// end.await;
/// listening.shutdown(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Listening {
    address: SocketAddr,
    stop: Arc<dyn Stop>,
}

/// A server of either kind.
trait Stop: Send + Sync {
    fn shutdown(self: Arc<Self>, deadline: Duration) -> BoxFuture;
    fn closed(self: Arc<Self>) -> BoxFuture;
}

struct Stoppable<L>(Arc<L>);

impl<L: Layer> Stop for Stoppable<L> {
    fn shutdown(self: Arc<Self>, deadline: Duration) -> BoxFuture {
        Box::pin(async move { core::shutdown(&self.0, deadline).await })
    }

    fn closed(self: Arc<Self>) -> BoxFuture {
        Box::pin(async move {
            let core = self.0.core();
            core.tasks.idle().await;
            core.owners.idle().await;
        })
    }
}

impl Listening {
    /// The address that it listens on, with the port that the operating system chose if port 0 was asked for.
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, sync::Arc, task::{Context, Poll}, time::Duration};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, prelude::*};
    /// # use tokio::io::DuplexStream;
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # struct Port;
    /// # impl Listener for Port {
    /// #     type Stream = TokioIo<DuplexStream>;
    /// #     type Handshake = Ready<io::Result<Self::Stream>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
    /// #         Poll::Pending
    /// #     }
    /// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let io = Server::new(Config::default());
    /// # let port = Port;
    /// let listening = io.serve(Arc::new(Tokio), port)?;
    /// assert_eq!(listening.local_addr(), ([127, 0, 0, 1], 3000).into());
    /// # listening.shutdown(Duration::from_secs(1)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the server down, with all its listeners: see [`Server::shutdown`](crate::Server::shutdown).
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, sync::Arc, task::{Context, Poll}, time::Duration};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, prelude::*};
    /// # use tokio::io::DuplexStream;
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # struct Port;
    /// # impl Listener for Port {
    /// #     type Stream = TokioIo<DuplexStream>;
    /// #     type Handshake = Ready<io::Result<Self::Stream>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
    /// #         Poll::Pending
    /// #     }
    /// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let io = Server::new(Config::default());
    /// # let port = Port;
    /// # let other = Port;
    /// let listening = [io.serve(Arc::new(Tokio), port)?, io.serve(Arc::new(Tokio), other)?];
    /// listening[0].shutdown(Duration::from_secs(10)).await;
    /// listening[1].closed().await; // It is the same server.
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) {
        Arc::clone(&self.stop).shutdown(deadline).await;
    }

    /// Completes once the server was shut down, and nothing is left of its connections. It waits for that as long as it
    /// takes: what a `main` that only serves ends with.
    ///
    /// ```
    /// # use std::{future::Ready, io, net::SocketAddr, sync::Arc, task::{Context, Poll}, time::Duration};
    /// # use hyper_util::rt::TokioIo;
    /// # use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, prelude::*};
    /// # use tokio::io::DuplexStream;
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # struct Port;
    /// # impl Listener for Port {
    /// #     type Stream = TokioIo<DuplexStream>;
    /// #     type Handshake = Ready<io::Result<Self::Stream>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
    /// #         Poll::Pending
    /// #     }
    /// #     fn local_addr(&self) -> io::Result<SocketAddr> { Ok(([127, 0, 0, 1], 3000).into()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let io = Server::new(Config::default());
    /// # let port = Port;
    /// let listening = io.serve(Arc::new(Tokio), port)?;
    /// tokio::spawn(async move { io.shutdown(Duration::from_secs(10)).await }); // Somebody else says when.
    /// listening.closed().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn closed(&self) {
        Arc::clone(&self.stop).closed().await;
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves what a listener accepts, in tasks of the runtime.
pub(crate) fn listen<L: Layer, T: Listener>(
    layer: &Arc<L>,
    runtime: Arc<dyn Runtime>,
    listener: T,
) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    core::attach(layer, &runtime);
    let task = layer.core().tasks.enter();
    let accepting = Accepting {
        layer: Arc::clone(layer),
        runtime: Arc::clone(&runtime),
        listener,
        pause: None,
        gate: None,
        _task: task,
    };
    runtime.spawn(Box::pin(accepting));
    Ok(Listening { address, stop: Arc::new(Stoppable(Arc::clone(layer))) })
}

/// How long to wait when nothing can be accepted at the moment.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections accepted before other tasks get their turn.
const BATCH: usize = 32;

/// The task that accepts connections until the server closes.
struct Accepting<L: Layer, T> {
    layer: Arc<L>,
    runtime: Arc<dyn Runtime>,
    listener: T,
    pause: Option<Sleep>,
    gate: Option<usize>,
    _task: Task,
}

impl<L: Layer, T: Listener> Future for Accepting<L, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let gate = &this.layer.core().gate;
        this.gate = Some(gate.register(this.gate, cx));
        core::attach(&this.layer, &this.runtime);
        for _ in 0..BATCH {
            if gate.is(Level::Stopped) {
                return Poll::Ready(());
            }
            if let Some(pause) = &mut this.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
            }
            match this.listener.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((handshake, address))) => {
                    let peer = Peer { address: Some(address), secure: this.listener.is_secure() };
                    let (layer, runtime) = (Arc::clone(&this.layer), Arc::clone(&this.runtime));
                    this.runtime.spawn(Box::pin(accept(layer, runtime, handshake, peer)));
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    this.pause = Some(this.runtime.sleep(PAUSE));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<L: Layer, T> Drop for Accepting<L, T> {
    fn drop(&mut self) {
        if let Some(place) = self.gate {
            self.layer.core().gate.leave(place);
        }
    }
}

/// One connection, from its TLS handshake on.
async fn accept<L: Layer, S: Stream>(
    layer: Arc<L>,
    runtime: Arc<dyn Runtime>,
    handshake: impl Future<Output = io::Result<S>> + Send,
    peer: Peer,
) {
    let stream = {
        let mut handshake = pin!(handshake);
        // Most streams are ready at once, and need no alarm.
        match poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await {
            Poll::Ready(stream) => stream,
            Poll::Pending => match either(handshake, runtime.sleep(layer.core().config.limits.header_timeout)).await {
                Either::Left(stream) => stream,
                Either::Right(()) => return,
            },
        }
    };
    match stream {
        Ok(stream) => serve_connection(&layer, runtime, stream, peer).await,
        Err(error) => tracing::debug!(%error, ?peer, "no connection"),
    }
}
