//! Socket.IO for async Rust, whatever the runtime: what `sockeye-tokio` and `sockeye-async-std` share.
//!
//! Applications use one of those two crates, which export everything that is here and add `listen`. This crate alone is
//! for those who bring another [runtime](#a-runtime), or other byte streams than TCP. It decides nothing about the
//! protocol: that is `sockeye-protocol`, which it drives.
//!
//! ```
//! use sockeye_driver::prelude::*;
//!
//! let io = Server::new(Config::default());
//! io.on_connect(async |socket: Socket| socket.emit("hello", &("world", 1)));
//! io.on("chat", async |socket: Socket, Args(text): Args<String>, ack: Ack| -> Result<(), BoxError> {
//!     socket.broadcast().emit("chat", &(socket.id(), text))?;
//!     Ok(ack.send(&"delivered")?)
//! });
//! // `io.listen("127.0.0.1:3000").await?` with the prelude of a runtime's crate.
//! ```
//!
//! Those who know Socket.IO from JavaScript find their words in the [`guide`]; [`EngineServer`] is Engine.IO alone.
//!
//! # Handlers
//!
//! A [`Handler`] is an async function whose parameters say what it wants: [`Extract`] has the list. These are the rules
//! by which handlers run; they are those of an event loop in JavaScript, as far as Rust allows.
//!
//! - **Order.** Events of a socket start their handlers in the order in which they arrive. An event goes to the
//!   [catch-all listeners](Socket::on_any), then to the listeners of the [namespace](Namespace::on), then to those of
//!   the [socket](Socket::on), each group in the order of registration.
//! - **The first await.** Each handler runs up to where it first waits before the next one starts, and no task is
//!   spawned for it. From there on handlers interleave. So what a handler does before it waits for something is in
//!   order with what all others do before they wait.
//! - **One task per connection.** All handlers of a connection, of all its namespaces, run in one task, which also
//!   reads and writes. A handler that computes for long or blocks delays that client's pings, and holds a thread of the
//!   runtime: give such work to the runtime's blocking tasks. Other connections go on.
//! - **Connecting.** Before a [connect handler](Namespace::on_connect) first waits, no event of its socket is
//!   dispatched: listeners that it registers up to there miss nothing. Until it returns, an event that nobody listens
//!   to *yet* is parked, and those behind it with it, until somebody does, the handler returns, or too much is (below). A
//!   handler that never returns is right, too. Catch-all listeners hear of such events at once.
//! - **Limits.** [`Limits::handlers`] of one socket may wait for something at a time; more events are parked, while
//!   acknowledgements and pongs still come in. When [`Limits::parked`] events are, or on all of the connection more bytes
//!   than one packet may have ([`Limits::max_packet_bytes`]), the client is not read from until half of them have gone.
//!   (What was read before that is parked, too: one request's body or one read at most.)
//! - **Faults.** A handler that returns an error or panics, and one whose parameters cannot be extracted, is reported
//!   to [`Namespace::on_error`], or where nobody listens to `tracing` and standard error. The connection lives on.
//!   (Panics need `panic = "unwind"`, which is Cargo's default.)
//! - **After a disconnect** handlers in flight run on to their end, and what they send is [`EmitError::NotConnected`].
//!   Parked events are handled, all at once, before that: they came first. The [disconnect handlers](Namespace::on_disconnect) start when the socket is gone, and
//!   may still read its data and its handshake. While [`Limits::handlers`] of those who have left are in flight, the client
//!   is not read from: it would only have to come back to have more.
//! - **Locks.** None is held while code of yours runs: handlers may call anything here, from any thread.
//!
//! # Sending, and slow clients
//!
//! [`Socket::emit`] never waits: what is sent is queued, and written by the connection's task. The queue is bounded by
//! [`Limits::send_queue_bytes`] and [`Limits::send_queue_packets`] (4 MiB and 65,536 packets; one packet of any size
//! always fits an empty queue). When it is full, the [`QueuePolicy`] of the server or of the
//! [socket](Socket::set_queue_policy) applies:
//!
//! | policy | `socket.emit` | a broadcast |
//! | --- | --- | --- |
//! | [`Error`](QueuePolicy::Error), the default | returns [`EmitError::Full`] | disconnects that recipient |
//! | [`DropNewest`](QueuePolicy::DropNewest) | drops the event | drops it for that recipient |
//! | [`DropOldest`](QueuePolicy::DropOldest) | drops events that wait | the same |
//! | [`Disconnect`](QueuePolicy::Disconnect) | disconnects the client | the same |
//!
//! Whoever produces faster than a client reads uses [`Socket::emit_wait`], which waits for room:
//!
//! ```
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! io.on("export", async |socket: Socket| {
//!     for row in 0..1_000_000 {
//!         socket.emit_wait("row", &row).await?;
//!     }
//!     Ok::<_, EmitError>(())
//! });
//! ```
//!
//! A slow client delays nobody else. Where more than [`Limits::high_water`] waits to be sent to it, it is not read from
//! either.
//!
//! # Shutting down
//!
//! [`Server::shutdown`] disconnects everybody, lets handlers return, and gives up at its deadline. Where requests come
//! through somebody else's HTTP server, that one is shut down by its own means.
//!
//! ```
//! # use std::time::Duration;
//! # use sockeye_driver::prelude::*;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let (io, ctrl_c) = (Server::new(Config::default()), async {});
//! ctrl_c.await;
//! io.shutdown(Duration::from_secs(10)).await;
//! # }
//! ```
//!
//! # A runtime
//!
//! A [`Runtime`] says how tasks are spawned and how time passes; a [`Listener`] brings byte streams; [`Serve::serve`]
//! puts them together. This is all that a runtime crate needs, here for tokio without TLS:
//!
//! ```
//! use std::{
//!     future::{Ready, ready},
//!     io,
//!     net::SocketAddr,
//!     sync::Arc,
//!     task::{Context, Poll},
//!     time::Duration,
//! };
//!
//! use hyper_util::rt::TokioIo; // Byte streams of tokio as hyper wants them.
//! use sockeye_driver::{BoxFuture, Listener, Runtime, Serve as _, bind_tcp, prelude::*};
//! use tokio::{
//!     io::{AsyncReadExt as _, AsyncWriteExt as _},
//!     net::{TcpListener, TcpStream},
//! };
//!
//! struct Tokio;
//!
//! impl Runtime for Tokio {
//!     fn spawn(&self, task: BoxFuture) {
//!         tokio::spawn(task);
//!     }
//!
//!     fn sleep(&self, duration: Duration) -> BoxFuture {
//!         Box::pin(tokio::time::sleep(duration))
//!     }
//! }
//!
//! struct Tcp(TcpListener);
//!
//! impl Listener for Tcp {
//!     type Stream = TokioIo<TcpStream>;
//!     type Handshake = Ready<io::Result<Self::Stream>>; // With TLS, a future that takes its time.
//!
//!     fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
//!         self.0.poll_accept(context).map_ok(|(stream, peer)| {
//!             // Packets are small, and written when they are complete.
//!             let stream = stream.set_nodelay(true).map(|()| TokioIo::new(stream));
//!             (ready(stream), peer)
//!         })
//!     }
//!
//!     fn local_addr(&self) -> io::Result<SocketAddr> {
//!         self.0.local_addr()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> io::Result<()> {
//! let io = Server::new(Config::default());
//! io.on_connect(async |socket: Socket| socket.emit("hello", &"world"));
//! let port = bind_tcp([SocketAddr::from(([127, 0, 0, 1], 0))])?;
//! let listening = io.serve(Arc::new(Tokio), Tcp(TcpListener::from_std(port)?))?;
//!
//! // What a client sends first.
//! let mut client = TcpStream::connect(listening.local_addr()).await?;
//! let request = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
//! client.write_all(request.as_bytes()).await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#"0{"sid":""#));
//!
//! listening.shutdown(Duration::from_millis(100)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Streams that nobody accepts (an in-memory pipe of a test, a serial line) go to [`Serve::serve_connection`], requests
//! of another HTTP server to [`Serve::handle`].
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod client;
mod connect;
mod core;
mod engine;
mod flat;
pub mod guide;
mod handler;
mod http;
mod layer;
mod lent;
mod link;
mod listen;
mod listener;
mod owner;
mod pace;
mod runtime;
mod secured;
mod signal;
mod socketio;
mod tcp;
mod timers;
mod transport;
mod turn;
mod typed;

pub use sockeye_protocol::{
    Config, Cors, Limits, Origins, QueuePolicy, Recovery, Seed, Sid, Text, Transports,
    engine::{CloseReason, Message, QueueUnit, SendError},
    server::{ConnectError, DisconnectReason, EmitError, JoinError, Stats},
    socket::{ArgsError, EncodeError, Object, Value},
};

#[doc(hidden)]
pub use crate::typed::__private;
pub use crate::{
    engine::{EngineServer, EngineSocket},
    handler::{
        Args, BoxError, ConnectContext, DisconnectContext, EventContext, EventName, Extract, ExtractError, Handler,
        HandlerError, HandlerFault, IntoOutcome, ListenerId, RawArgs, Side, State, Values,
    },
    http::{Body, Peer, Upgrader},
    listener::{Listener, Listening, Serve},
    runtime::{BoxFuture, Runtime, Stream},
    secured::Secured,
    socketio::{
        Ack, AckError, AckSendError, Acknowledgement, BroadcastOperator, Event, Handshake, IntoRooms, Namespace,
        RoomName, Server, Socket, Timeout,
    },
    tcp::bind_tcp,
    typed::TypedEvent,
};

/// What a server program uses; the preludes of the runtimes' crates add what listens.
///
/// ```
/// use sockeye_driver::prelude::*;
///
/// let io = Server::new(Config { cors: Some(Cors { origins: Origins::Any, ..Cors::default() }), ..Config::default() });
/// io.on("time", async |ack: Ack| ack.send(&std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()));
/// ```
pub mod prelude {
    pub use crate::{
        Ack, AckError, Args, BoxError, Config, ConnectError, Cors, DisconnectReason, EmitError, EngineServer,
        EngineSocket, Event, EventName, HandlerError, Handshake, Limits, ListenerId, Listening, Message, Namespace,
        Object, Origins, QueuePolicy, RawArgs, Recovery, Server, Sid, Socket, State, Stats, Text, Transports,
        TypedEvent, Value, Values,
        client::{Client, SimpleClient},
    };
}
