//! Socket.IO for Rust on [async-std](async_std).
//!
//! Everything that handlers see is the API of [`sockeye_driver`], re-exported here. This crate attaches it to async-std:
//! its tasks and timers ([`AsyncStdRuntime`]), a listener with and without TLS ([`Listen`]), and connections for clients, with
//! and without TLS ([`Connect`]).
//!
//! ```no_run
//! use sockeye_async_std::prelude::*;
//!
//! fn main() -> std::io::Result<()> {
//!     async_std::task::block_on(async {
//!         let io = Server::new(Config::default());
//!         let listening = io.listen("127.0.0.1:3000").await?;
//!         println!("listening on {}", listening.local_addr());
//!         listening.closed().await;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! And a client ([`client`] has more):
//!
//! ```no_run
//! use sockeye_async_std::prelude::*;
//!
//! fn main() -> Result<(), BoxError> {
//!     async_std::task::block_on(async {
//!         let socket = Client::connect("http://127.0.0.1:3000").await?;
//!         socket.on("news", async |Args(text): Args<String>| println!("{text}"));
//!         let answer: String = socket.emit_with_ack("hello", &"world").await?;
//!         println!("{answer}");
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # async-std is discontinued
//!
//! Since August 2025 nobody maintains async-std; its authors point to [smol](https://docs.rs/smol), and
//! [RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052.html) says so. That is no vulnerability, but one
//! found later would not be mended, and `cargo audit` and `cargo deny` warn whoever depends on this crate.
//!
//! This crate is for programs that run on async-std today: it does what `sockeye-tokio` does, apart from the tower
//! layer, and is tested alike. **A new project should take `sockeye-tokio`**, or bring its own runtime:
//! implementing [`Runtime`] and [`Listener`] takes an afternoon. Nothing else in this workspace depends on this crate.
//!
//! What of async-std is used here is its executor, and how it finds addresses. Timers, and sockets on most systems, are those of
//! `async-io`, which smol shares and maintains. On Linux and Android sockets are watched by `mio` (tokio's) and one task of
//! this crate, which waits for that by `async-io`.
//!
//! Features: `tls` (default) adds `listen_tls`, and `https` and `wss` for clients, on rustls with *ring*.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

mod connect;
mod connector;
mod futures_io;
mod listen;
mod readiness;
mod runtime;
mod scratch;
mod source;
mod tcp;
#[cfg(test)]
mod test_util;
#[cfg(feature = "tls")]
mod tls;

pub use connect::Connect;
pub use connector::TcpConnector;
pub use futures_io::FuturesIo;
/// The rustls whose configurations [`listen_tls`](Listen::listen_tls) and [`secure`] take: an application that names it
/// here has the same version.
///
/// ```
/// use sockeye_async_std::rustls::{ServerConfig, server::ResolvesServerCertUsingSni};
///
/// let by_name = std::sync::Arc::new(ResolvesServerCertUsingSni::new()); // Add a certificate for each host.
/// let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(by_name);
/// assert!(config.alpn_protocols.is_empty());
/// ```
#[cfg(feature = "tls")]
pub use futures_rustls::rustls;
pub use listen::Listen;
pub use runtime::AsyncStdRuntime;
pub use sockeye_driver::*;
/// Makes a struct a [`TypedEvent`](trait@TypedEvent), whose documentation says how.
///
/// ```
/// use sockeye_async_std::prelude::*;
///
/// #[derive(TypedEvent)]
/// #[event(name = "add", ack = i64)]
/// struct Add(i64, i64);
///
/// let io = Server::new(Config::default());
/// io.on_event(async |Add(a, b): Add, ack: Ack<Add>| ack.send(&(a + b)));
/// ```
#[doc(inline)]
pub use sockeye_macros::TypedEventOfAsyncStd as TypedEvent;
pub use tcp::{TcpListener, TcpStream};
#[cfg(feature = "tls")]
pub use tls::{TlsListener, secure};

/// What most applications name: `use sockeye_async_std::prelude::*;`. `sockeye_tokio::prelude` has the same, so that one
/// source compiles on both.
///
/// ```
/// # async_std::task::block_on(async {
/// use sockeye_async_std::prelude::*;
///
/// let io = Server::new(Config::default());
/// io.on("echo", async |socket: Socket, Values(args): Values| socket.emit("echo", &args));
/// let listening: Listening = io.listen("127.0.0.1:0").await?;
/// # listening.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub mod prelude {
    pub use sockeye_driver::prelude::*;

    pub use crate::{Connect, Listen, TypedEvent};
}
