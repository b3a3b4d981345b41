//! The words of Socket.IO's client, and what they are here.
//!
//! As in the [guide of the server](super), each row of a table is compiled in the example below it, and `..` stands for what
//! an application does. In all of them:
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use serde::{Deserialize, Serialize};
//! use sockeye_driver::{
//!     client::{
//!         ClientError, ClientEvent, DisconnectReason, Error, ManagerEvent, Offline, SimpleClient, Transport, UpgradeMemory,
//!     },
//!     prelude::*, // Or `sockeye_tokio`, `sockeye_async_std`: these have `Client::connect` and `Client::builder`.
//! };
//! ```
//!
//! [A client](#a-client) · [Options](#options) · [Events](#events) · [Acknowledgements](#acknowledgements) ·
//! [Listening to everything](#listening-to-everything) · [Connecting and disconnecting](#connecting-and-disconnecting) ·
//! [Pulling instead of listening](#pulling-instead-of-listening) · [Namespaces](#namespaces) · [A socket](#a-socket) ·
//! [The manager](#the-manager) · [What is different](#what-is-different) · [What is missing](#what-is-missing)
//!
//! # A client
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `const socket = io("http://127.0.0.1:3000/chat")`, and wait for `connect` | `let socket = Client::connect("http://127.0.0.1:3000/chat").await?` |
//! | `io(url, { path: "/ws/" })` | `Client::builder(url).config(\|config\| config.path = "/ws/".into())`, and then `.connect().await?` |
//! | `io(url)`, without waiting | `let socket = Client::builder(url).start()?` |
//! | `io(url, { autoConnect: false })` | `let socket = Client::builder(url).auto_connect(false).start()?` |
//! | `socket.connect()` | `socket.open()`, and `socket.connected().await?` to wait for it |
//! | `socket.disconnect()` | `socket.disconnect()` |
//! | nothing: closes the connection behind all that was sent, which the server sees as `transport close` | dropping the last handle, or `socket.manager().close()` |
//!
//! A server's first events may come with its answer: listeners that must not miss them are registered before
//! [`open`](crate::client::Client::open).
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use sockeye_driver::{BoxFuture, Runtime, Stream, client::{Address, ClientBuilder, ClientError, Connector, Failure}, prelude::*};
//! # struct Rt;
//! # impl Runtime for Rt {
//! #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
//! #     fn sleep(&self, duration: std::time::Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
//! # }
//! # struct Tcp;
//! # impl Connector for Tcp {
//! #     fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> { Box::pin(std::future::pending()) }
//! # }
//! # trait Connect {
//! #     fn builder(url: &str) -> ClientBuilder { ClientBuilder::new(url, Arc::new(Rt), Arc::new(Tcp)) }
//! #     async fn connect(url: &str) -> Result<Client, ClientError> { Self::builder(url).connect().await }
//! # }
//! # impl Connect for Client {}
//! # async fn example() -> Result<(), BoxError> {
//! let socket = Client::connect("http://127.0.0.1:3000/chat").await?;
//! socket.emit("hello", &"world")?;
//!
//! let url = "http://127.0.0.1:3000";
//! let builder = Client::builder(url).config(|config| config.path = "/ws/".into());
//! let elsewhere = builder.connect().await?;
//! drop(elsewhere); // Or:
//! socket.manager().close();
//!
//! let socket = Client::builder(url).start()?;
//! socket.emit("hello", &"sent once there is a connection")?;
//!
//! let socket = Client::builder(url).auto_connect(false).start()?;
//! socket.on("hello", async |Args(text): Args<String>| println!("{text}"));
//! socket.open();
//! socket.connected().await?;
//! // ..
//! socket.disconnect();
//! # Ok(())
//! # }
//! ```
//!
//! # Options
//!
//! Of the manager and the engine, by [`config`](crate::client::ClientBuilder::config); defaults are JavaScript's.
//! [`Config`](crate::client::Config) describes them.
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `path: "/ws/"` | `config.path = "/ws/".into()` |
//! | `addTrailingSlash: false` | `config.add_trailing_slash = false` |
//! | `query: { version: "2" }` | `config.query = vec![("version".into(), "2".into())]` |
//! | `extraHeaders: { authorization: "Bearer abc" }` | `config.extra_headers = vec![("authorization".into(), "Bearer abc".into())]` |
//! | `withCredentials: true`: cookies | `config.with_credentials = true` |
//! | `timeout: 5000` | `config.timeout = Some(secs(5))` |
//! | `reconnection: false` | `config.reconnection = false` |
//! | `reconnectionAttempts: 10` | `config.reconnection_attempts = Some(10)` |
//! | `reconnectionDelay: 2000` | `config.reconnection_delay = secs(2)` |
//! | `reconnectionDelayMax: 10000` | `config.reconnection_delay_max = secs(10)` |
//! | `randomizationFactor: 0` | `config.randomization_factor = 0.0` |
//! | `transports: ["websocket", "polling"]` | `config.transports = vec![Transport::WebSocket, Transport::Polling]` |
//! | `tryAllTransports: true` | `config.try_all_transports = true` |
//! | `upgrade: false` | `config.upgrade = false` |
//! | `rememberUpgrade: true`, a flag of the process | `config.remember_upgrade = true` for one client; `.remember_upgrade(&memory)` for those that share it |
//! | `transportOptions: { polling: { path: "/poll/" } }` | `config.transport_options.polling.path = Some("/poll/".into())` |
//! | `protocols: ["chat"]` | `config.protocols = vec!["chat".into()]` |
//! | `requestTimeout: 60000` | `config.request_timeout = Some(secs(60))` |
//! | `forceBase64: true` | `config.force_base64 = true` |
//! | `timestampRequests: false`, `timestampParam: "ts"` | `config.timestamp_requests = Some(false)`, `config.timestamp_param = "ts".into()` |
//! | nothing: the time for the answer to CONNECT | `config.connect_timeout = Some(secs(10))` |
//! | `ca`, `cert`, `key`, `rejectUnauthorized` | `.connector(Arc::new(tls))`: the `TcpConnector::with_tls` of the runtimes' crates takes a configuration of rustls |
//! | `pfx`, `passphrase`, `ciphers` | rustls has no such thing: convert the file, choose a `CryptoProvider` |
//! | `agent`: a proxy | `.connector(Arc::new(proxy))`: a [`Connector`](crate::client::Connector), of which the example `proxy` has two |
//! | `forceNew`, `multiplex` | each builder is a connection of its own; `client.of("/admin")` shares it |
//!
//! And of a namespace, on the builders themselves:
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `auth: { token: "abc" }` | `.auth(&Auth { token: "abc".into() })?` |
//! | `auth: (callback) => callback({ token: fetchToken() })` | `.auth_with(async \|_\| Ok::<_, BoxError>(Auth { token: fetch_token().await? }))` |
//! | `ackTimeout: 10000` | `.ack_timeout(secs(10))` |
//! | `retries: 3` | `.retries(3)` |
//! | nothing: the send buffer is unbounded | `.offline(Offline::Reject)`, or `.offline(Offline::Buffer { max_packets: 100, max_bytes: 100_000, ttl: Some(secs(60)) })` |
//! | `manager.reconnection(false)`, `manager.opts.query = …` | `socket.manager().configure(\|config\| config.reconnection = false)` |
//! | nothing: headers that change | `.headers_with(async \|_\| Ok::<_, BoxError>(vec![("authorization".into(), fetch_token().await?)]))` |
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use serde::Serialize;
//! # use sockeye_driver::{client::{Client, ClientBuilder, Connector, Offline, Transport, UpgradeMemory}, prelude::*};
//! # async fn fetch_token() -> Result<String, BoxError> { Ok("abc".into()) }
//! # fn example(builder: ClientBuilder, client: Client, tls: impl Connector, proxy: impl Connector) -> Result<(), BoxError> {
//! # let socket = client.clone();
//! #[derive(Serialize)]
//! struct Auth {
//!     token: String,
//! }
//!
//! let secs = Duration::from_secs;
//! let builder = builder
//!     .config(|config| {
//!         config.path = "/ws/".into();
//!         config.add_trailing_slash = false;
//!         config.query = vec![("version".into(), "2".into())];
//!         config.extra_headers = vec![("authorization".into(), "Bearer abc".into())];
//!         config.with_credentials = true;
//!         config.timeout = Some(secs(5));
//!         config.connect_timeout = Some(secs(10));
//!         config.reconnection = false;
//!         config.reconnection_attempts = Some(10);
//!         config.reconnection_delay = secs(2);
//!         config.reconnection_delay_max = secs(10);
//!         config.randomization_factor = 0.0;
//!         config.transports = vec![Transport::WebSocket, Transport::Polling];
//!         config.try_all_transports = true;
//!         config.upgrade = false;
//!         config.remember_upgrade = true;
//!         config.transport_options.polling.path = Some("/poll/".into());
//!         config.protocols = vec!["chat".into()];
//!         config.request_timeout = Some(secs(60));
//!         config.force_base64 = true;
//!         config.timestamp_requests = Some(false);
//!         config.timestamp_param = "ts".into();
//!     })
//!     .auth(&Auth { token: "abc".into() })?
//!     .ack_timeout(secs(10))
//!     .retries(3)
//!     .offline(Offline::Reject);
//! # let other = builder;
//! let builder = other
//!     .auth_with(async |_| Ok::<_, BoxError>(Auth { token: fetch_token().await? }))
//!     .headers_with(async |_| Ok::<_, BoxError>(vec![("authorization".into(), fetch_token().await?)]))
//!     .offline(Offline::Buffer { max_packets: 100, max_bytes: 100_000, ttl: Some(secs(60)) });
//! # let other = builder;
//! let memory = UpgradeMemory::default();
//! let builder = other.remember_upgrade(&memory);
//! socket.manager().configure(|config| config.reconnection = false);
//! # let other = builder;
//! let builder = other.connector(Arc::new(tls));
//! # let other = builder;
//! let builder = other.connector(Arc::new(proxy));
//! let admin = client.of("/admin");
//! # Ok(())
//! # }
//! ```
//!
//! # Events
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.emit("hello", 1, "2", Uint8Array.from([6]))` | `socket.emit("hello", &(1, "2", Bytes::from_static(&[6])))?` |
//! | `socket.emit("hello")` | `socket.emit("hello", &())?` |
//! | `socket.send("hi")` | `socket.send(&"hi")?` |
//! | `socket.volatile.emit("position", 1, 2)` | `let sent = socket.volatile().emit("position", &(1, 2))?` |
//! | nothing: waits while as much waits as may | `socket.emit_wait("row", &1).await?` |
//! | `socket.sendBuffer = []` | `let dropped = socket.clear_buffer()` |
//! | `socket.on("hello", (a, b) => { … })` | `socket.on("hello", async \|Args((a, b)): Args<(u32, String)>\| { .. })` |
//! | `socket.on("hello", (...args) => { … })` | `socket.on("hello", async \|socket: Client, Values(args): Values\| { .. })` |
//! | `socket.once("hello", listener)` | `socket.once("hello", async \|Args(a): Args<u32>\| { .. })` |
//! | `socket.off("hello", listener)` | `socket.off(listener)` |
//! | `socket.removeAllListeners("hello")` | `socket.off_all("hello")` |
//! | `socket.removeAllListeners()` | `socket.off_everything()` |
//! | `socket.listeners("hello").length`, `socket.hasListeners("hello")` | `socket.listeners_of("hello").len()` |
//! | `socket.eventNames()` | `socket.event_names()` |
//!
//! ```
//! # use bytes::Bytes;
//! # use sockeye_driver::{client::Client, prelude::*};
//! # async fn example(socket: Client) -> Result<(), EmitError> {
//! let listener = socket.on("hello", async |Args((a, b)): Args<(u32, String)>| {
//!     println!("{a} {b}");
//! });
//! // A handler has the client as a parameter: a closure that keeps a clone keeps the connection open.
//! socket.on("hello", async |socket: Client, Values(args): Values| {
//!     socket.emit("thank you", &args.len())
//! });
//! socket.once("hello", async |Args(a): Args<u32>| {
//!     println!("once: {a}");
//! });
//! socket.emit("hello", &(1, "2", Bytes::from_static(&[6])))?;
//! socket.emit("hello", &())?;
//! socket.send(&"hi")?;
//! let sent = socket.volatile().emit("position", &(1, 2))?;
//! socket.emit_wait("row", &1).await?;
//! let dropped = socket.clear_buffer();
//! println!("{} listeners of {:?}", socket.listeners_of("hello").len(), socket.event_names());
//! socket.off(listener);
//! socket.off_all("hello");
//! socket.off_everything();
//! # let _ = (sent, dropped);
//! # Ok(())
//! # }
//! ```
//!
//! # Acknowledgements
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.on("request", (a, callback) => callback("ok"))` | `socket.on("request", async \|Args(a): Args<u32>, ack: Ack\| { .. ack.send(&"ok") })` |
//! | `await socket.emitWithAck("request", 1)` | `let status: String = socket.emit_with_ack("request", &1).await?` |
//! | `await socket.timeout(5000).emitWithAck("request", 1)` | `let status: String = socket.timeout(secs(5)).emit_with_ack("request", &1).await?` |
//! | `socket.emit("request", 1, (status) => { … })` | `socket.emit_then("request", &1, \|answer: Result<String, AckError>\| { .. })?` |
//! | `socket.timeout(5000).emit("request", 1, (err, status) => { … })` | `socket.timeout(secs(5)).emit_then("request", &1, \|answer: Result<String, AckError>\| { .. })?` |
//!
//! ```
//! # use std::time::Duration;
//! # use sockeye_driver::{client::Client, prelude::*};
//! # async fn example(socket: Client) -> Result<(), BoxError> {
//! let secs = Duration::from_secs;
//! socket.on("request", async |Args(a): Args<u32>, ack: Ack| {
//!     println!("{a}");
//!     ack.send(&"ok")
//! });
//! socket.emit_then("request", &1, |answer: Result<String, AckError>| {
//!     println!("{answer:?}");
//! })?;
//! socket.timeout(secs(5)).emit_then("request", &1, |answer: Result<String, AckError>| {
//!     match answer {
//!         Ok(status) => println!("{status}"),
//!         Err(error) => println!("no answer: {error}"), // "operation has timed out", for instance
//!     }
//! })?;
//! let status: String = socket.emit_with_ack("request", &1).await?;
//! println!("{status}");
//! let status: String = socket.timeout(secs(5)).emit_with_ack("request", &1).await?;
//! println!("{status}");
//! # Ok(())
//! # }
//! ```
//!
//! # Listening to everything
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.onAny((event, ...args) => { … })` | `socket.on_any(\|event: &Event<Client>\| { .. })` |
//! | `socket.onAnyOutgoing((event, ...args) => { … })` | `socket.on_any_outgoing(\|event: &Event<Client>\| { .. })` |
//! | `socket.prependAny(listener)`, `socket.prependAnyOutgoing(listener)` | `socket.prepend_any(\|event\| { .. })`, `socket.prepend_any_outgoing(\|event\| { .. })` |
//! | `socket.offAny(listener)`, `socket.offAnyOutgoing(listener)` | `socket.off(listener)` |
//! | `socket.offAny()`, `socket.offAnyOutgoing()` | `socket.off_any()`, `socket.off_any_outgoing()` |
//! | `socket.listenersAny()`, `socket.listenersAnyOutgoing()` | `socket.listeners_any()`, `socket.listeners_any_outgoing()` |
//!
//! ```
//! # use sockeye_driver::{client::Client, prelude::*};
//! # fn example(socket: Client) {
//! let listener = socket.on_any(|event: &Event<Client>| {
//!     println!("got {} {:?}", event.name(), event.values());
//! });
//! socket.on_any_outgoing(|event: &Event<Client>| {
//!     println!("sent {} {:?}", event.name(), event.values());
//! });
//! socket.prepend_any(|event| {
//!     println!("{} comes", event.name());
//! });
//! socket.prepend_any_outgoing(|event| {
//!     println!("{} goes", event.name());
//! });
//! println!("{:?} {:?}", socket.listeners_any(), socket.listeners_any_outgoing());
//! socket.off(listener);
//! println!("{} and {} were left", socket.off_any(), socket.off_any_outgoing());
//! # }
//! ```
//!
//! # Connecting and disconnecting
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.on("connect", () => { … })` | `socket.on_connect(async \|socket: Client\| { .. })` |
//! | `socket.on("connect_error", (err) => { … })` | `socket.on_connect_error(async \|socket: Client, error: Error\| { .. })` |
//! | `err.message`, `err.data.retry` | `error.to_string()`, `refusal.data.as_ref().map(\|data\| data.deserialize::<Details>())` |
//! | `socket.on("disconnect", (reason) => { … })` | `socket.on_disconnect(async \|reason: DisconnectReason\| { .. })` |
//! | `socket.on("disconnect", (reason, details) => { … })` | `socket.on_disconnect(async \|reason: DisconnectReason, details: Option<Error>\| { .. })` |
//! | nothing: waits until it is over | `let why: Error = socket.closed().await` |
//! | `reason === "io server disconnect"` | `reason == DisconnectReason::ServerDisconnect`, and `reason.as_str()` is the text |
//! | an error in a listener is thrown | `socket.on_error(\|error: &HandlerError<Client>\| { .. })` |
//!
//! ```
//! # use serde::Deserialize;
//! # use sockeye_driver::{client::{Client, ClientError, DisconnectReason, Error}, prelude::*};
//! # async fn example(socket: Client) {
//! #[derive(Debug, Deserialize)]
//! struct Details {
//!     retry: u32,
//! }
//!
//! socket.on_connect(async |socket: Client| {
//!     println!("connected as {:?}, recovered: {}", socket.id(), socket.is_recovered());
//! });
//! socket.on_connect_error(async |socket: Client, error: Error| {
//!     println!("{}, tried again: {}", error.to_string(), socket.is_active());
//!     if let Error::Refused(refusal) = &error {
//!         println!("{:?}", refusal.data.as_ref().map(|data| data.deserialize::<Details>()));
//!     }
//! });
//! socket.on_disconnect(async |reason: DisconnectReason| {
//!     println!("{}", reason.as_str());
//!     if reason == DisconnectReason::ServerDisconnect {
//!         println!("it is not connected again by itself");
//!     }
//! });
//! socket.on_disconnect(async |reason: DisconnectReason, details: Option<Error>| {
//!     println!("{reason}, since {details:?}");
//! });
//! socket.on_error(|error: &HandlerError<Client>| {
//!     println!("{error}");
//! });
//! let why: Error = socket.closed().await;
//! # drop(why);
//! # }
//! # // `connect` gives the same error.
//! # fn refused(error: ClientError) -> bool { matches!(error, ClientError::Connect(Error::Refused(_))) }
//! ```
//!
//! # Pulling instead of listening
//!
//! JavaScript has nothing of the kind; Python's `SimpleClient` is the model of the second half.
//!
//! | Python, or what one would write | here |
//! | --- | --- |
//! | `for await (const event of events(socket))` | `let mut events = socket.events()`, and `events.next().await` |
//! | only some of them | `event.typed::<Say>()` |
//! | `sio = SimpleClient(); sio.connect(url)` | `let mut client = SimpleClient::connect(url).await?` |
//! | `sio.emit("say", "hello")` | `client.emit("say", &"hello").await?` |
//! | `sio.call("echo", "hello", timeout=5)` | `let answer: String = client.call("echo", &"hello", secs(5)).await?` |
//! | `sio.receive(timeout=5)` | `let event = client.receive(secs(5)).await?` |
//! | `sio.disconnect()` | `client.disconnect()` |
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sockeye_driver::client::{ClientEvent, SimpleClient};
//! # use sockeye_tokio::prelude::*;
//! use futures_util::StreamExt as _;
//!
//! # async fn example(socket: Client, url: &str) -> Result<(), BoxError> {
//! #[derive(TypedEvent)]
//! struct Say(String);
//!
//! let mut events = socket.events();
//! while let Some(event) = events.next().await {
//!     match event {
//!         ClientEvent::Event(event) => match event.typed::<Say>() {
//!             Some(Ok(Say(text))) => println!("{text}"),
//!             Some(Err(error)) => println!("{error}"),
//!             None => println!("{} {:?}", event.name(), event.values()?),
//!         },
//!         ClientEvent::Disconnect { reason, .. } => println!("disconnected: {reason}"),
//!         _ => {}
//!     }
//! }
//!
//! let secs = Duration::from_secs;
//! let mut client = SimpleClient::connect(url).await?;
//! client.emit("say", &"hello").await?;
//! let answer: String = client.call("echo", &"hello", secs(5)).await?;
//! let event = client.receive(secs(5)).await?;
//! println!("{answer}; {} {:?}", event.name(), event.values()?);
//! client.disconnect();
//! # Ok(())
//! # }
//! ```
//!
//! # Namespaces
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `const admin = io("/admin")`, on the same connection | `let admin = socket.of("/admin").connect().await?` |
//! | `manager.socket("/admin", { auth: { token: "abc" } })` | `socket.of("/admin").auth(&Auth { token: "abc".into() })?.start()` |
//!
//! ```
//! # use serde::Serialize;
//! # use sockeye_driver::{client::Client, prelude::*};
//! # #[derive(Serialize)]
//! # struct Auth { token: String }
//! # async fn example(socket: Client) -> Result<(), BoxError> {
//! let admin = socket.of("/admin").connect().await?;
//! admin.emit("hello", &())?;
//!
//! let admin = socket.of("/admin").auth(&Auth { token: "abc".into() })?.start();
//! admin.on("hello", async || println!("hello"));
//! admin.open();
//! # Ok(())
//! # }
//! ```
//!
//! # A socket
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.id` | `socket.id()` |
//! | `socket.connected` | `socket.is_connected()` |
//! | `socket.active` | `socket.is_active()` |
//! | `socket.recovered` | `socket.is_recovered()` |
//! | `socket.nsp` | `socket.namespace()` |
//! | `socket.io` | `socket.manager()` |
//! | `socket.io.engine.transport.name` | `socket.transport()` |
//! | `socket.sendBuffer.length` | `let (events, bytes) = socket.buffered()` |
//!
//! ```
//! # use sockeye_driver::client::Client;
//! # fn example(socket: Client) {
//! println!("{:?} in {} over {:?}", socket.id(), socket.namespace(), socket.transport());
//! println!("{} {} {}", socket.is_connected(), socket.is_active(), socket.is_recovered());
//! let (events, bytes) = socket.buffered();
//! println!("{events} events of {bytes} bytes wait for {:?}", socket.manager());
//! # }
//! ```
//!
//! # The manager
//!
//! One listener hears all that happens to the connection: [`ManagerEvent`](crate::client::ManagerEvent).
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `manager.on(event, listener)` | `let listener = manager.on(\|event: &ManagerEvent\| match event { .. })` |
//! | `manager.off(event, listener)` | `manager.off(listener)` |
//! | nothing: the same as a stream | `let mut events = manager.events()` |
//! | `"open"` | `ManagerEvent::Open => println!("open")` |
//! | `manager.engine.on("upgrade", …)` | `ManagerEvent::Upgrade => println!("upgraded")` |
//! | `"ping"` | `ManagerEvent::Ping => println!("ping")` |
//! | `"packet"` | `ManagerEvent::Packet(packet) => println!("{packet:?}")`, after `manager.report_packets(true)` |
//! | `"error"` | `ManagerEvent::Error(error) => println!("{error}")` |
//! | `"close"`, with reason and details | `ManagerEvent::Close { reason, error } => println!("{reason}, {error:?}")` |
//! | `"reconnect_attempt"` | `ManagerEvent::ReconnectAttempt { attempt, .. } => println!("attempt {attempt}")` |
//! | `"reconnect"` | `ManagerEvent::Reconnect { attempt } => println!("back after {attempt}")` |
//! | `"reconnect_error"` | `ManagerEvent::ReconnectError(error) => println!("failed: {error}")` |
//! | `"reconnect_failed"` | `ManagerEvent::ReconnectFailed => println!("given up")` |
//! | nothing: an event that waited too long | `ManagerEvent::Discarded { json } => println!("lost: {json}")` |
//! | `manager.open()` | `manager.open()`: also ends the wait for the next attempt |
//! | `manager.engine.close()` | `manager.close()` |
//!
//! ```
//! # use sockeye_driver::client::{Client, ManagerEvent};
//! # fn example(socket: Client) {
//! let manager = socket.manager();
//! let listener = manager.on(|event: &ManagerEvent| match event {
//!     ManagerEvent::Open => println!("open"),
//!     ManagerEvent::Upgrade => println!("upgraded"),
//!     ManagerEvent::Ping => println!("ping"),
//!     ManagerEvent::Packet(packet) => println!("{packet:?}"),
//!     ManagerEvent::Error(error) => println!("{error}"),
//!     ManagerEvent::Close { reason, error } => println!("{reason}, {error:?}"),
//!     ManagerEvent::ReconnectAttempt { attempt, .. } => println!("attempt {attempt}"),
//!     ManagerEvent::Reconnect { attempt } => println!("back after {attempt}"),
//!     ManagerEvent::ReconnectError(error) => println!("failed: {error}"),
//!     ManagerEvent::ReconnectFailed => println!("given up"),
//!     ManagerEvent::Discarded { json } => println!("lost: {json}"),
//!     _ => {}
//! });
//! manager.report_packets(true);
//! manager.off(listener);
//! let mut events = manager.events();
//! manager.open();
//! manager.close();
//! # drop(events);
//! # }
//! ```
//!
//! # What is different
//!
//! - **The last handle** of a client closes its connection when it is dropped, behind all that was sent. That is no
//!   `disconnect()`: the server sees `transport close`, and keeps the session for a while if it has connection state recovery.
//! - **`SimpleClient::disconnect`** closes the connection like this, too, unless another namespace uses it. (The official server
//!   drops events that it reads in one turn with a `disconnect()`, whoever the client is.)
//! - **Namespaces share a connection** if they come from [`of`](crate::client::Client::of). There is no cache by URL.
//! - **Sending can fail**: an event that cannot be encoded, or more than
//!   [`Offline`](crate::client::Offline) and [`Limits`](crate::client::Limits) let wait.
//! - **Acknowledgements end**: without a timeout, when the connection does. (JavaScript forgets plain callbacks then.)
//! - **Volatile events** are dropped whenever they cannot leave at once; JavaScript keeps some.
//! - **CONNECT is waited for** no longer than [`connect_timeout`](crate::client::Config::connect_timeout).
//! - **Handlers run in one task** per connection, [by the rules of a server's](crate#handlers).
//!
//! # What is missing
//!
//! WebTransport, `perMessageDeflate` and `compress`, other parsers, and another URL for the same client. `closeOnBeforeunload`,
//! `autoUnref`, `useNativeTimers` and `binaryType` have no meaning here.
