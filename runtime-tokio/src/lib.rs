//! Socket.IO for Rust on tokio.
//!
//! ```no_run
//! use sockeye_tokio::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Server::new(Config::default());
//!     io.on_connect(async |socket: Socket| socket.emit("hello", &("world", 1)));
//!     io.on("chat", async |socket: Socket, Args(text): Args<String>| {
//!         socket.broadcast().emit("chat", &text).map(drop)
//!     });
//!     let listening = io.listen("127.0.0.1:3000").await?;
//!     println!("listening on {}", listening.local_addr());
//!     listening.closed().await;
//!     Ok(())
//! }
//! ```
//!
//! In front of or beside other routes, in axum, hyper or anything else that speaks tower: [`LayerExt::layer`].
//!
//! Everything but the byte streams is [`sockeye_driver`], all of which is exported here; `sockeye-async-std` exports the
//! same, so that a program moves from one to the other by one line.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod runtime;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod tower;

use std::{io, sync::Arc};

pub use sockeye_driver::*;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

#[cfg(feature = "tls")]
pub use crate::tls::{TlsHandshake, TlsListener};
pub use crate::{
    runtime::TokioRuntime,
    tcp::TcpListener,
    tower::{Answer, Layer, LayerExt, ResponseBody, Service},
};

/// What a server program uses: `use sockeye_tokio::prelude::*;`.
pub mod prelude {
    pub use sockeye_driver::prelude::*;

    pub use crate::{LayerExt as _, Listen as _};
}

/// Listening on TCP: for [`Server`] and [`EngineServer`].
pub trait Listen: Serve + Sync {
    /// Listens on an address; port 0 takes a free one. Serves in tasks of this tokio runtime from then on, until the
    /// server is shut down.
    ///
    /// ```
    /// # use sockeye_tokio::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let io = Server::new(Config::default());
    /// let listening = io.listen("127.0.0.1:0").await?;
    /// assert_ne!(listening.local_addr().port(), 0);
    /// listening.shutdown(std::time::Duration::from_secs(1)).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says: the address is in use, for instance.
    fn listen<A: tokio::net::ToSocketAddrs + Send>(
        &self,
        address: A,
    ) -> impl Future<Output = io::Result<Listening>> + Send {
        async move { self.serve(Arc::new(TokioRuntime::current()), TcpListener::bind(address).await?) }
    }

    /// The same with TLS. A client has [`Limits::header_timeout`] for the handshake.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    #[cfg(feature = "tls")]
    fn listen_tls<A: tokio::net::ToSocketAddrs + Send>(
        &self,
        address: A,
        config: Arc<rustls::ServerConfig>,
    ) -> impl Future<Output = io::Result<Listening>> + Send {
        async move {
            let listener = TlsListener::new(TcpListener::bind(address).await?, config);
            self.serve(Arc::new(TokioRuntime::current()), listener)
        }
    }
}

impl<T: Serve + Sync> Listen for T {}
