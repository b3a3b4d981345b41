//! Socket.IO for Rust on [tokio].
//!
//! Everything that handlers see is the API of [`sockeye_driver`], re-exported here. This crate attaches it to tokio: its
//! tasks and timers ([`TokioRuntime`]), a listener with and without TLS ([`Listen`]), a tower layer that mounts it in axum
//! or plain hyper beside other routes ([`Mount`]), and connections for clients, with and without TLS ([`Connect`]).
//!
//! ```no_run
//! use sockeye_tokio::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Server::new(Config::default());
//!     let listening = io.listen("127.0.0.1:3000").await?;
//!     println!("listening on {}", listening.local_addr());
//!     listening.closed().await;
//!     Ok(())
//! }
//! ```
//!
//! And a client ([`client`] has more):
//!
//! ```no_run
//! use sockeye_tokio::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let socket = Client::connect("http://127.0.0.1:3000").await?;
//!     socket.on("news", async |Args(text): Args<String>| println!("{text}"));
//!     let answer: String = socket.emit_with_ack("hello", &"world").await?;
//!     println!("{answer}");
//!     Ok(())
//! }
//! ```
//!
//! Features: `tls` (default) adds `listen_tls`, and `https` and `wss` for clients, on rustls with *ring*. `cli` is the
//! command `sio`, and for nothing else: `cargo install --path runtime-tokio --features cli`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod connect;
mod connector;
mod listen;
mod mount;
mod runtime;
mod tcp;
#[cfg(test)]
mod test_util;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

pub use connect::Connect;
pub use connector::TcpConnector;
pub use listen::Listen;
pub use mount::{Mount, MountBody, MountFuture, MountLayer, MountService, NotFound};
pub use runtime::TokioRuntime;
pub use sockeye_driver::*;
/// Makes a struct a [`TypedEvent`](trait@TypedEvent), whose documentation says how.
///
/// ```
/// use sockeye_tokio::prelude::*;
///
/// #[derive(TypedEvent)]
/// #[event(name = "add", ack = i64)]
/// struct Add(i64, i64);
///
/// let io = Server::new(Config::default());
/// io.on_event(async |Add(a, b): Add, ack: Ack<Add>| ack.send(&(a + b)));
/// ```
#[doc(inline)]
pub use sockeye_macros::TypedEventOfTokio as TypedEvent;
pub use tcp::TcpListener;
#[cfg(feature = "tls")]
pub use tls::{TlsListener, secure};
/// The rustls whose configurations [`listen_tls`](Listen::listen_tls) and [`secure`] take: an application that names it
/// here has the same version.
///
/// ```
/// use sockeye_tokio::rustls::{ServerConfig, server::ResolvesServerCertUsingSni};
///
/// let by_name = std::sync::Arc::new(ResolvesServerCertUsingSni::new()); // Add a certificate for each host.
/// let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(by_name);
/// assert!(config.alpn_protocols.is_empty());
/// ```
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

/// What most applications name: `use sockeye_tokio::prelude::*;`. `sockeye_async_std::prelude` has the same, so that one
/// source compiles on both; only [`Mount`] is tokio's alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use sockeye_tokio::prelude::*;
///
/// let io = Server::new(Config::default());
/// io.on("echo", async |socket: Socket, Values(args): Values| socket.emit("echo", &args));
/// let listening: Listening = io.listen("127.0.0.1:0").await?;
/// # listening.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use sockeye_driver::prelude::*;

    pub use crate::{Connect, Listen, Mount, TypedEvent};
}

/// The README's server is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
