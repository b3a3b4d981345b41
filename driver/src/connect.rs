//! What it takes to connect, the same in each runtime's crate but for its types.

/// Defines a runtime crate's trait `Connect`, for crates of runtimes only. These have a `TcpConnector`.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! connect {
    (crate: $name:literal, runtime: $runtime:expr, block_on: $block_on:literal) => {
        /// Makes clients. In scope with the [`prelude`](crate::prelude): `Client::connect(url)`.
        pub trait Connect {
            /// Connects to a server, with the options that JavaScript's client has by default; the path of the URL is the
            /// namespace.
            ///
            /// ```
            #[doc = concat!("use ", $name, "::prelude::*;")]
            ///
            #[doc = concat!("# ", $block_on, "(async {")]
            /// let io = Server::new(Config::default());
            /// io.on("add", async |Args((a, b)): Args<(i32, i32)>, ack: Ack| ack.send(&(a + b)));
            /// let listening = io.listen("127.0.0.1:0").await?;
            ///
            /// let client = Client::connect(&format!("http://{}", listening.local_addr())).await?;
            /// assert_eq!(client.emit_with_ack::<i32>("add", &(1, 2)).await?, 3);
            /// # drop(client);
            /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
            /// # Ok::<_, BoxError>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            ///
            /// The URL is none, or the server refuses the namespace. That there is no server (yet) is none: it is tried
            /// again.
            fn connect(
                url: &str,
            ) -> impl ::std::future::Future<
                Output = ::std::result::Result<$crate::client::Client, $crate::client::ClientError>,
            > + Send {
                Self::builder(url).connect()
            }

            /// A client to set up, and then to connect.
            fn builder(url: &str) -> $crate::client::ClientBuilder {
                $crate::client::ClientBuilder::new(
                    url,
                    ::std::sync::Arc::new($runtime),
                    ::std::sync::Arc::new(crate::TcpConnector::default()),
                )
            }
        }

        impl Connect for $crate::client::Client {}
    };
}

/// The methods of a runtime crate's `TcpConnector`, for crates of runtimes only. These have `open`, `plain`, and with their
/// feature `tls` `encrypted` beside it.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! tcp_connector {
    () => {
        impl TcpConnector {
            /// One whose TLS is configured by the caller: other roots, a certificate of the client's own. (By default the
            /// roots are those of the system.) If the configuration names protocols (ALPN), they must be `http/1.1` alone:
            /// that is where a WebSocket begins (RFC 6455, 4.1).
            #[cfg(feature = "tls")]
            #[must_use]
            pub fn with_tls(config: Arc<crate::rustls::ClientConfig>) -> Self {
                Self { config: Some(config) }
            }

            /// The configuration: of the caller, or with the roots of the system.
            #[cfg(feature = "tls")]
            fn tls(&self) -> Result<Arc<crate::rustls::ClientConfig>, Failure> {
                use crate::rustls::{ClientConfig, RootCertStore};

                if let Some(config) = &self.config {
                    return Ok(Arc::clone(config));
                }
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                // Some that cannot be read are no reason to do without the others.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err(Failure::Tls("the system has no root certificates".into()));
                }
                Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
            }
        }

        impl Connector for TcpConnector {
            fn connect(&self, address: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
                let address = address.clone();
                #[cfg(feature = "tls")]
                let tls = address.secure.then(|| self.tls());
                Box::pin(async move {
                    #[cfg(not(feature = "tls"))]
                    if address.secure {
                        return Err(Failure::Tls("this was built without TLS".into()));
                    }
                    let failed = |error: io::Error| Failure::Connect(error.to_string().into());
                    let stream = open(&address.host, address.port).await.map_err(failed)?;
                    #[cfg(feature = "tls")]
                    if let Some(config) = tls {
                        let failed = |error: &dyn std::error::Error| Failure::Tls(error.to_string().into());
                        let name = crate::rustls::pki_types::ServerName::try_from(address.host.to_string())
                            .map_err(|error| failed(&error))?;
                        return encrypted(stream, config?, name).await.map_err(|error| failed(&error));
                    }
                    Ok(plain(stream))
                })
            }
        }
    };
}
