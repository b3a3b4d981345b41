//! What it takes to connect, the same in each runtime's crate but for its types.

/// Defines a runtime crate's trait `Connect`, for crates of runtimes only. These have a `TcpConnector`.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! connect {
    (crate: $name:literal, runtime: $runtime:expr, block_on: $block_on:literal) => {
        /// Makes clients. In scope with the [`prelude`](crate::prelude): `Client::connect(url)`, and
        /// `SimpleClient::connect(url)` for one that is pulled from.
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        #[doc = concat!("# ", $block_on, "(async {")]
        /// # let io = Server::new(Config::default());
        /// # io.of("/chat").on_connect(async |socket: Socket| socket.emit("welcome", &()));
        /// # let listening = io.listen("127.0.0.1:0").await?;
        /// # let url = format!("http://{}", listening.local_addr());
        /// let chat = Client::connect(&format!("{url}/chat")).await?;
        /// assert!(chat.is_connected());
        /// # drop(chat);
        /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
        /// # Ok::<_, BoxError>(())
        /// # }).unwrap();
        /// ```
        pub trait Connect: Sized {
            /// Connects to a server, with the options that JavaScript's client has by default; the path of the URL is the
            /// namespace.
            ///
            /// ```
            #[doc = concat!("use ", $name, "::{client::SimpleClient, prelude::*};")]
            ///
            #[doc = concat!("# ", $block_on, "(async {")]
            /// let io = Server::new(Config::default());
            /// io.on("add", async |Args((a, b)): Args<(i32, i32)>, ack: Ack| ack.send(&(a + b)));
            /// let listening = io.listen("127.0.0.1:0").await?;
            /// let url = format!("http://{}", listening.local_addr());
            ///
            /// let client = Client::connect(&url).await?;
            /// assert_eq!(client.emit_with_ack::<i32>("add", &(1, 2)).await?, 3);
            ///
            /// let simple = SimpleClient::connect(&url).await?;
            /// assert_eq!(simple.call::<i32>("add", &(1, 2), std::time::Duration::from_secs(60)).await?, 3);
            /// # drop((client, simple));
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
            ) -> impl ::std::future::Future<Output = ::std::result::Result<Self, $crate::client::ClientError>> + Send;

            /// A client to set up, and then to connect.
            ///
            /// ```
            #[doc = concat!("use ", $name, "::prelude::*;")]
            ///
            #[doc = concat!("# ", $block_on, "(async {")]
            /// # let listening = Server::new(Config::default()).listen("127.0.0.1:0").await?;
            /// # let url = format!("http://{}", listening.local_addr());
            /// let client = Client::builder(&url).config(|config| config.upgrade = false).connect().await?;
            /// assert_eq!(client.transport(), Some("polling"));
            /// # drop(client);
            /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
            /// # Ok::<_, BoxError>(())
            /// # }).unwrap();
            /// ```
            fn builder(url: &str) -> $crate::client::ClientBuilder {
                $crate::client::ClientBuilder::new(
                    url,
                    ::std::sync::Arc::new($runtime),
                    ::std::sync::Arc::new(crate::TcpConnector::default()),
                )
            }
        }

        impl Connect for $crate::client::Client {
            async fn connect(url: &str) -> ::std::result::Result<Self, $crate::client::ClientError> {
                Self::builder(url).connect().await
            }
        }

        impl Connect for $crate::client::SimpleClient {
            async fn connect(url: &str) -> ::std::result::Result<Self, $crate::client::ClientError> {
                Self::builder(url).connect_simple().await
            }
        }
    };
}

/// A runtime crate's `TcpConnector`, for crates of runtimes only. These have `dial`, `lookup` and `plain`, and
/// with their feature `tls` `adapted`, and the traits `AsyncRead` and `AsyncWrite` of `tls`.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "what differs is in the runtime's crate")]
macro_rules! tcp_connector {
    (crate: $name:literal, runtime: $runtime:expr, block_on: $block_on:literal, tls: $tls:path, stream: $stream:path) => {
        /// Connects over TCP, and where the URL says so over TLS.
        ///
        /// ```
        #[doc = concat!("use ", $name, "::{TcpConnector, client::{Address, Connector as _}};")]
        ///
        #[doc = concat!("# ", $block_on, "(async {")]
        /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        /// let address = Address { host: "127.0.0.1".into(), port: listener.local_addr()?.port(), secure: false };
        /// let _stream = TcpConnector::default().connect(&address).await?;
        /// listener.accept()?;
        /// # Ok::<_, Box<dyn std::error::Error>>(())
        /// # }).unwrap();
        /// ```
        #[derive(Clone, Debug, Default)]
        pub struct TcpConnector {
            #[cfg(feature = "tls")]
            config: Option<::std::sync::Arc<crate::rustls::ClientConfig>>,
        }

        impl TcpConnector {
            /// One whose TLS is configured by the caller: other roots, a certificate of the client's own. (By default the
            /// roots are those of the system.) If the configuration names protocols (ALPN), they must be `http/1.1` alone:
            /// that is where a WebSocket begins (RFC 6455, 4.1).
            ///
            /// ```
            #[doc = concat!("use ", $name, "::{TcpConnector, prelude::*, rustls};")]
            /// use std::sync::Arc;
            ///
            #[doc = concat!("# ", $block_on, "(async {")]
            /// // An authority that issues certificates, and those that it has issued to a server and to a client.
            /// # let authority = rcgen::KeyPair::generate()?;
            /// # let mut params = rcgen::CertificateParams::new([])?;
            /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            /// # let root = params.self_signed(&authority)?.der().clone();
            /// # let issuer = rcgen::Issuer::new(params, authority);
            /// # let issue = |name: &str| {
            /// #     let key = rcgen::KeyPair::generate().unwrap();
            /// #     let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
            /// #     let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
            /// #     (vec![certificate], rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            /// # };
            /// let mut roots = rustls::RootCertStore::empty();
            /// roots.add(root)?;
            /// let roots = Arc::new(roots);
            /// let (certificates, key) = issue("localhost");
            /// let (own_certificates, own_key) = issue("a client");
            ///
            /// // The server serves nobody whom the authority does not know.
            /// let clients = rustls::server::WebPkiClientVerifier::builder(Arc::clone(&roots)).build()?;
            /// let server = rustls::ServerConfig::builder()
            ///     .with_client_cert_verifier(clients)
            ///     .with_single_cert(certificates, key)?;
            /// let listening = Server::new(Config::default()).listen_tls("127.0.0.1:0", Arc::new(server)).await?;
            ///
            /// let client = rustls::ClientConfig::builder()
            ///     .with_root_certificates(roots)
            ///     .with_client_auth_cert(own_certificates, own_key)?;
            /// let client = Client::builder(&format!("https://localhost:{}", listening.local_addr().port()))
            ///     .connector(Arc::new(TcpConnector::with_tls(Arc::new(client))))
            ///     .connect()
            ///     .await?;
            /// assert!(client.is_connected());
            /// # drop(client);
            /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
            /// # Ok::<_, BoxError>(())
            /// # }).unwrap();
            /// ```
            #[cfg(feature = "tls")]
            #[must_use]
            pub fn with_tls(config: ::std::sync::Arc<crate::rustls::ClientConfig>) -> Self {
                Self { config: Some(config) }
            }

            /// Encrypts a stream to a server, as this connector does its own: for one that reaches servers in another way,
            /// through a proxy for instance.
            ///
            /// ```no_run
            #[doc = concat!("use ", $name, "::{BoxFuture, Stream, TcpConnector, client::{Address, Connector, Failure}};")]
            ///
            /// /// Reaches every server through a tunnel.
            /// struct Tunnelled(TcpConnector);
            ///
            /// impl Connector for Tunnelled {
            ///     fn connect(&self, to: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
            ///         let entry = self.0.connect(&Address { host: "tunnel".into(), port: 3128, secure: false });
            ///         let (tls, to) = (self.0.clone(), to.clone());
            ///         Box::pin(async move {
            ///             let stream = entry.await?;
            ///             // Here the tunnel is told where to go.
            ///             if to.secure { tls.encrypt(stream, &to).await } else { Ok(stream) }
            ///         })
            ///     }
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// [`Failure::Tls`]: the server's certificate is not what it should be, it does not want this client, or there
            /// is no TLS on the other side.
            #[cfg(feature = "tls")]
            pub fn encrypt(
                &self,
                stream: Box<dyn Stream>,
                address: &Address,
            ) -> BoxFuture<::std::result::Result<Box<dyn Stream>, Failure>> {
                let (config, name) = (self.tls(), Self::name(address));
                Box::pin(async move { encrypted(adapted(stream), config?, name?).await.map_err(|error| Self::refused(&error)) })
            }

            /// The configuration: of the caller, or with the roots of the system, which are read once for all connectors.
            #[cfg(feature = "tls")]
            fn tls(&self) -> ::std::result::Result<::std::sync::Arc<crate::rustls::ClientConfig>, Failure> {
                use crate::rustls::{ClientConfig, RootCertStore};

                static SYSTEM: ::std::sync::OnceLock<::std::sync::Arc<ClientConfig>> = ::std::sync::OnceLock::new();

                if let Some(config) = self.config.as_ref().or_else(|| SYSTEM.get()) {
                    return Ok(::std::sync::Arc::clone(config));
                }
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                // Some that cannot be read are no reason to do without the others.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err(Failure::Tls("the system has no root certificates".into()));
                }
                let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
                Ok(::std::sync::Arc::clone(SYSTEM.get_or_init(|| ::std::sync::Arc::new(config))))
            }

            /// Whose certificate the server must have.
            #[cfg(feature = "tls")]
            fn name(address: &Address) -> ::std::result::Result<crate::rustls::pki_types::ServerName<'static>, Failure> {
                address.host.to_string().try_into().map_err(|error| Self::refused(&error))
            }

            #[cfg(feature = "tls")]
            fn refused(error: &dyn ::std::error::Error) -> Failure {
                Failure::Tls(error.to_string().into())
            }
        }

        /// Does the handshake of a client.
        #[cfg(feature = "tls")]
        async fn encrypted<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
            stream: T,
            config: ::std::sync::Arc<crate::rustls::ClientConfig>,
            name: crate::rustls::pki_types::ServerName<'static>,
        ) -> ::std::io::Result<Box<dyn Stream>> {
            let connector: $tls = config.into();
            Ok(Box::new($stream(connector.connect(name, stream).await?)))
        }

        impl Connector for TcpConnector {
            fn connect(&self, address: &Address) -> BoxFuture<::std::result::Result<Box<dyn Stream>, Failure>> {
                let address = address.clone();
                #[cfg(feature = "tls")]
                let tls = address.secure.then(|| self.tls());
                Box::pin(async move {
                    #[cfg(not(feature = "tls"))]
                    if address.secure {
                        return Err(Failure::Tls("this was built without TLS".into()));
                    }
                    let failed = |error: ::std::io::Error| Failure::Connect(error.to_string().into());
                    let addresses = lookup(&address.host, address.port).await.map_err(failed)?;
                    let sleep = |time| $crate::Runtime::sleep(&$runtime, time);
                    let stream = $crate::client::connect_first(addresses, sleep, dial).await.map_err(failed)?;
                    #[cfg(feature = "tls")]
                    if let Some(config) = tls {
                        let name = Self::name(&address)?;
                        return encrypted(stream, config?, name).await.map_err(|error| Self::refused(&error));
                    }
                    Ok(plain(stream))
                })
            }
        }
    };
}
