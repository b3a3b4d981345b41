//! What it takes to listen on a port, the same in each runtime's crate but for its types.

/// Defines a runtime crate's trait `Listen`, for crates of runtimes only. These have a `TcpListener` with a `bind`, and
/// with their feature `tls` a `secure` and rustls under `rustls`.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! listen {
    (crate: $name:literal, runtime: $runtime:expr, block_on: $block_on:literal, address: $($address:tt)+) => {
        /// Has a server listen on a port of its own. In scope with the [`prelude`](crate::prelude); every server has it.
        ///
        /// Each call adds a port to the same server: its clients meet in the same rooms, whichever way they came in. For
        /// other listeners, or other options, there is [`Serve::serve`](crate::Serve::serve).
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        #[doc = concat!("# ", $block_on, "(async {")]
        /// let io = Server::new(Config::default());
        /// let [public, internal] = [io.listen("127.0.0.1:0").await?, io.listen("127.0.0.1:0").await?];
        /// assert_ne!(public.local_addr(), internal.local_addr());
        /// io.shutdown(std::time::Duration::from_secs(1)).await; // Both.
        /// # Ok::<_, std::io::Error>(())
        /// # }).unwrap();
        /// ```
        pub trait Listen: $crate::Serve {
            /// Listens on this address: `"127.0.0.1:3000"`, `("::1", 3000)`, a
            /// [`SocketAddr`](std::net::SocketAddr). Port 0 has the system choose one, which
            /// [`Listening::local_addr`](crate::Listening::local_addr) then tells.
            ///
            /// ```
            #[doc = concat!("use ", $name, "::prelude::*;")]
            ///
            #[doc = concat!("# ", $block_on, "(async {")]
            /// let io = Server::new(Config::default());
            /// let listening = io.listen("127.0.0.1:0").await?;
            /// assert_ne!(listening.local_addr().port(), 0);
            /// listening.shutdown(std::time::Duration::from_secs(1)).await;
            /// # Ok::<_, std::io::Error>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            ///
            /// The address does not resolve, or cannot be bound.
            fn listen(
                &self,
                address: $($address)+,
            ) -> impl ::std::future::Future<Output = ::std::io::Result<$crate::Listening>> + Send {
                async move { self.serve(::std::sync::Arc::new($runtime), $crate::listen!(@bind address)) }
            }

            /// Listens on this address for encrypted connections (`https`, `wss`). If the configuration names protocols
            /// (ALPN), they must be `http/1.1` alone.
            ///
            /// ```no_run
            /// # use std::{io, sync::Arc};
            #[doc = concat!("use ", $name, "::{prelude::*, rustls};")]
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
                address: $($address)+,
                config: ::std::sync::Arc<crate::rustls::ServerConfig>,
            ) -> impl ::std::future::Future<Output = ::std::io::Result<$crate::Listening>> + Send {
                async move {
                    let listener = crate::secure($crate::listen!(@bind address), config);
                    self.serve(::std::sync::Arc::new($runtime), listener)
                }
            }
        }

        impl<S: $crate::Serve> Listen for S {}
    };
    (@bind $address:ident) => {
        crate::TcpListener::bind($address).await?
    };
}
