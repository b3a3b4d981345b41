//! Socket.IO for Rust on async-std.
//!
//! ```no_run
//! use sockeye_async_std::prelude::*;
//!
//! #[async_std::main]
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
//! Everything but the byte streams is [`sockeye_driver`], all of which is exported here; `sockeye-tokio` exports the
//! same, so that a program moves from one to the other by one line.
//!
//! # The state of async-std
//!
//! async-std is discontinued (RUSTSEC-2025-0052, August 2025): it gets no fixes any more, and its authors point to smol.
//! It still works, programs still run on it, and this crate is tested like the one for tokio. New programs should take
//! tokio. Whoever has to leave async-std can do so without touching a handler.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod runtime;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::{io, sync::Arc};

use async_std::net::ToSocketAddrs;
#[cfg(feature = "tls")]
pub use futures_rustls::rustls;
pub use sockeye_driver::*;

#[cfg(feature = "tls")]
pub use crate::tls::{TlsHandshake, TlsListener, TlsStream};
pub use crate::{
    runtime::AsyncStdRuntime,
    tcp::{TcpListener, TcpStream},
};

/// What a server program uses: `use sockeye_async_std::prelude::*;`.
pub mod prelude {
    pub use sockeye_driver::prelude::*;

    pub use crate::Listen as _;
}

/// Listening on TCP: for [`Server`] and [`EngineServer`].
pub trait Listen: Serve + Sync {
    /// Listens on an address; port 0 takes a free one. Serves in tasks of async-std from then on, until the server is
    /// shut down.
    ///
    /// ```
    /// # use sockeye_async_std::prelude::*;
    /// # #[async_std::main]
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
    fn listen<A>(&self, address: A) -> impl Future<Output = io::Result<Listening>> + Send
    where
        A: ToSocketAddrs<Iter: Send> + Send,
    {
        // The addresses are looked up by a future that is not `Send` for every type.
        let addresses = address.to_socket_addrs();
        async move { self.serve(Arc::new(AsyncStdRuntime), TcpListener::bind(addresses.await?)?) }
    }

    /// The same with TLS. A client has [`Limits::header_timeout`] for the handshake.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    #[cfg(feature = "tls")]
    fn listen_tls<A>(
        &self,
        address: A,
        config: Arc<rustls::ServerConfig>,
    ) -> impl Future<Output = io::Result<Listening>> + Send
    where
        A: ToSocketAddrs<Iter: Send> + Send,
    {
        let addresses = address.to_socket_addrs();
        async move {
            let listener = TlsListener::new(TcpListener::bind(addresses.await?)?, config);
            self.serve(Arc::new(AsyncStdRuntime), listener)
        }
    }
}

impl<T: Serve + Sync> Listen for T {}
