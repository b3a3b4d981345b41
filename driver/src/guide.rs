//! From JavaScript to Rust: the words of Socket.IO's server, and what they are here. Those of its client are in [`client`].
//!
//! Each row of a table is compiled in the example below it. `..` stands for what an application does. In all of them:
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use serde::{Deserialize, Serialize};
//! use sockeye_driver::prelude::*; // Or `sockeye_tokio`, `sockeye_async_std`.
//! ```
//!
//! [A server](#a-server) · [Events](#events) · [Acknowledgements](#acknowledgements) ·
//! [Listening to everything](#listening-to-everything) · [Broadcasts](#broadcasts) · [Rooms](#rooms) ·
//! [Namespaces](#namespaces) · [A socket](#a-socket) · [Engine.IO](#engineio) ·
//! [What is different](#what-is-different) · [What is missing](#what-is-missing)
//!
//! # A server
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `const io = new Server({ pingInterval: 10000 })` | `let io = Server::new(Config { ping_interval: secs(10), ..Config::default() })` |
//! | `io.listen(3000)` | `io.listen(("0.0.0.0", 3000)).await?`: of the runtimes' crates, or in axum `.layer(io.layer())` |
//! | `io.on("connection", (socket) => { … })` | `io.on_connect(async \|socket: Socket\| { .. })` |
//! | `socket.on("disconnecting", (reason) => { … })` | `socket.on_disconnecting(async \|reason: DisconnectReason\| { .. })` |
//! | `socket.on("disconnect", (reason) => { … })` | `socket.on_disconnect(async \|reason: DisconnectReason\| { .. })` |
//! | `new Server({ connectionStateRecovery: { skipMiddlewares: false } })` | `Server::new(Config { recovery: Some(Recovery::default()), ..Config::default() })` |
//! | `io.engine.clientsCount` | `io.stats().connections` |
//! | `io.close()` | `io.shutdown(secs(10)).await` |
//!
//! ```
//! # use std::time::Duration;
//! # use sockeye_driver::prelude::*;
//! let secs = Duration::from_secs;
//! let io = Server::new(Config { ping_interval: secs(10), ..Config::default() });
//! io.on_connect(async |socket: Socket| {
//!     socket.on_disconnecting(async |reason: DisconnectReason| {
//!         println!("about to go: {reason}");
//!     });
//!     socket.on_disconnect(async |reason: DisconnectReason| {
//!         println!("gone: {reason}");
//!     });
//! });
//! let recovering = Server::new(Config { recovery: Some(Recovery::default()), ..Config::default() });
//! println!("{} clients", io.stats().connections);
//! # drop(recovering);
//! # async fn example(io: Server, secs: fn(u64) -> Duration) {
//! io.shutdown(secs(10)).await;
//! # }
//! ```
//!
//! # Events
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.emit("hello", 1, "2", { 3: "4", 5: Uint8Array.from([6]) })` | `socket.emit("hello", &(1, "2", Extra { three: "4", five: Bytes::from_static(&[6]) }))?` |
//! | `socket.emit("hello")` | `socket.emit("hello", &())?` |
//! | `socket.emit("points", [1, 2])`: one argument | `socket.emit("points", &vec![1, 2])?` |
//! | `socket.send("hi")` | `socket.send(&"hi")?` |
//! | `socket.on("hello", (a, b) => { … })` | `socket.on("hello", async \|Args((a, b)): Args<(u32, String)>\| { .. })` |
//! | `socket.on("hello", (a, b = 1) => { … })` | `socket.on("hello", async \|Args((a, b)): Args<(u32, Option<u32>)>\| { .. })` |
//! | `socket.on("hello", (...args) => { … })` | `socket.on("hello", async \|Values(args): Values\| { .. })` |
//! | `socket.once("hello", listener)` | `socket.once("hello", async \|Args(a): Args<u32>\| { .. })` |
//! | `socket.off("hello", listener)` | `socket.off(listener)` |
//! | `socket.removeAllListeners("hello")` | `socket.off_all("hello")` |
//!
//! A listener may also be registered once for all sockets of a namespace, which costs no memory for each:
//! `io.on("hello", async |socket: Socket, Args(text): Args<String>| { .. })`.
//!
//! ```
//! # use bytes::Bytes;
//! # use serde::Serialize;
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! #[derive(Serialize)]
//! struct Extra {
//!     #[serde(rename = "3")]
//!     three: &'static str,
//!     #[serde(rename = "5")]
//!     five: Bytes,
//! }
//!
//! io.on_connect(async |socket: Socket| {
//!     socket.on("hello", async |Args((a, b)): Args<(u32, String)>| {
//!         println!("{a} {b}");
//!     });
//!     socket.on("hello", async |Args((a, b)): Args<(u32, Option<u32>)>| {
//!         println!("{a} {}", b.unwrap_or(1));
//!     });
//!     let listener = socket.on("hello", async |Values(args): Values| {
//!         println!("{} arguments", args.len());
//!     });
//!     socket.once("hello", async |Args(a): Args<u32>| {
//!         println!("once: {a}");
//!     });
//!     socket.emit("hello", &(1, "2", Extra { three: "4", five: Bytes::from_static(&[6]) }))?;
//!     socket.emit("hello", &())?;
//!     socket.emit("points", &vec![1, 2])?; // Arrays of a fixed length and tuples are several arguments.
//!     socket.send(&"hi")?;
//!     socket.off(listener);
//!     socket.off_all("hello");
//!     Ok::<_, EmitError>(())
//! });
//! io.on("hello", async |socket: Socket, Args(text): Args<String>| {
//!     println!("{} says {text}", socket.id());
//! });
//! ```
//!
//! # Acknowledgements
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.on("request", (a, b, callback) => callback({ status: "ok" }))` | `socket.on("request", async \|Args((a, b)): Args<(u32, String)>, ack: Ack\| { .. ack.send(&Status { status: "ok".into() }) })` |
//! | `const status = await socket.emitWithAck("request", 1)` | `let status: Status = socket.emit_with_ack("request", &1).await?` |
//! | `await socket.timeout(5000).emitWithAck("request", 1)` | `let status: Status = socket.timeout(secs(5)).emit_with_ack("request", &1).await?` |
//! | `socket.timeout(5000).emit("request", 1, (err, status) => { … })` | `socket.timeout(secs(5)).emit_then("request", &1, \|answer: Result<Status, AckError>\| { .. })?` |
//!
//! ```
//! # use std::time::Duration;
//! # use serde::{Deserialize, Serialize};
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! #[derive(Deserialize, Serialize)]
//! struct Status {
//!     status: String,
//! }
//!
//! io.on_connect(async |socket: Socket| {
//!     let secs = Duration::from_secs;
//!     socket.on("request", async |Args((a, b)): Args<(u32, String)>, ack: Ack| {
//!         println!("{a} {b}");
//!         ack.send(&Status { status: "ok".into() })
//!     });
//!     socket.timeout(secs(5)).emit_then("request", &1, |answer: Result<Status, AckError>| {
//!         match answer {
//!             Ok(answer) => println!("{}", answer.status),
//!             Err(error) => println!("no answer: {error}"), // "operation has timed out", for instance
//!         }
//!     })?;
//!     let status: Status = socket.emit_with_ack("request", &1).await?;
//!     println!("{}", status.status);
//!     let status: Status = socket.timeout(secs(5)).emit_with_ack("request", &1).await?;
//!     println!("{}", status.status);
//!     Ok::<_, BoxError>(())
//! });
//! ```
//!
//! # Listening to everything
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.onAny((event, ...args) => { … })` | `socket.on_any(\|event: &Event\| { .. })` |
//! | `socket.onAnyOutgoing((event, ...args) => { … })` | `socket.on_any_outgoing(\|event: &Event\| { .. })` |
//! | `socket.offAny(listener)`, `socket.offAnyOutgoing(listener)` | `socket.off(listener)` |
//!
//! ```
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! io.on_connect(async |socket: Socket| {
//!     let listener = socket.on_any(|event: &Event| {
//!         println!("got {} {:?}", event.name(), event.values());
//!     });
//!     socket.on_any_outgoing(|event: &Event| {
//!         println!("sent {} {:?}", event.name(), event.values());
//!     });
//!     socket.off(listener);
//! });
//! ```
//!
//! # Broadcasts
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `io.emit("hello", "world")` | `io.emit("hello", &"world")?` |
//! | `socket.broadcast.emit("hello", "world")` | `socket.broadcast().emit("hello", &"world")?` |
//! | `io.local.emit("hello", "world")` | `io.local().emit("hello", &"world")?` |
//! | `io.except("a").emit("hello", "world")` | `io.except("a").emit("hello", &"world")?` |
//! | `io.disconnectSockets(true)` | `io.disconnect_sockets(true)` |
//!
//! ```
//! # use sockeye_driver::prelude::*;
//! let io = Server::new(Config::default());
//! io.on("tell the others", async |socket: Socket| -> Result<(), EmitError> {
//!     let recipients = socket.broadcast().emit("hello", &"world")?;
//!     println!("queued for {recipients}");
//!     Ok(())
//! });
//! io.emit("hello", &"world")?;
//! io.local().emit("hello", &"world")?;
//! io.except("a").emit("hello", &"world")?;
//! io.disconnect_sockets(true);
//! # Ok::<_, EmitError>(())
//! ```
//!
//! # Rooms
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.join("some room")` | `socket.join("some room")?` |
//! | `socket.join(["a", "b"])` | `socket.join(["a", "b"])?` |
//! | `socket.leave("some room")` | `socket.leave("some room")` |
//! | `socket.rooms` | `socket.rooms()` |
//! | `io.to("a").except("b").emit("hello", "world")` | `io.to("a").except("b").emit("hello", &"world")?` |
//! | `socket.to("a").to("b").emit("hello", "world")` | `socket.to("a").to("b").emit("hello", &"world")?` |
//! | `io.to(socketId).emit("hello", "world")` | `io.to(id).emit("hello", &"world")?` with a [`Sid`](crate::Sid) |
//! | `io.in("a").socketsJoin("b")` | `io.to("a").sockets_join("b")` |
//! | `io.in("a").socketsLeave("b")` | `io.to("a").sockets_leave("b")` |
//! | `io.in("a").disconnectSockets()` | `io.to("a").disconnect_sockets(false)` |
//!
//! ```
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! io.on_connect(async |socket: Socket| {
//!     socket.join("some room")?;
//!     socket.join(["a", "b"])?;
//!     socket.leave("some room");
//!     println!("{:?}", socket.rooms());
//!     socket.to("a").to("b").emit("hello", &"world")?;
//!     Ok::<_, BoxError>(())
//! });
//! io.to("a").except("b").emit("hello", &"world")?;
//! io.to("a").sockets_join("b");
//! io.to("a").sockets_leave("b");
//! io.to("a").disconnect_sockets(false);
//! let whisper = |id: Sid| -> Result<(), EmitError> {
//!     io.to(id).emit("hello", &"world")?;
//!     Ok(())
//! };
//! # Ok::<_, EmitError>(())
//! ```
//!
//! # Namespaces
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `io.of("/admin").on("connection", (socket) => { … })` | `io.of("/admin").on_connect(async \|socket: Socket\| { .. })` |
//! | `io.of("/admin").emit("hello", "world")` | `io.of("/admin").emit("hello", &"world")?` |
//! | `io.use((socket, next) => next())` | `io.middleware(async \|socket: Socket\| { .. })` |
//! | `next(new Error("not authorized"))` | `Err("not authorized")` |
//! | `err.data = { retry: 5 }; next(err)` | `Err(ConnectError::with_data("not authorized", &Details { retry: 5 })?.into())` |
//! | what the listeners' closures share | `io.of("/").with_state(state)`, and [`State`](struct@crate::State) in its handlers |
//!
//! ```
//! # use std::sync::{Arc, Mutex};
//! # use serde::{Deserialize, Serialize};
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! io.of("/admin").on_connect(async |socket: Socket| {
//!     println!("{} is in {}", socket.id(), socket.namespace());
//! });
//! io.of("/admin").emit("hello", &"world")?;
//!
//! io.middleware(async |socket: Socket| {
//!     println!("{} may pass", socket.id());
//! });
//! io.middleware(async |handshake: Handshake| match handshake.auth::<Auth>() {
//!     Ok(auth) if auth.token == "secret" => Ok(()),
//!     _ => Err("not authorized"),
//! });
//! io.middleware(async |handshake: Handshake| -> Result<(), BoxError> {
//!     if handshake.query("version").is_none() {
//!         return Err(ConnectError::with_data("not authorized", &Details { retry: 5 })?.into());
//!     }
//!     Ok(())
//! });
//! #[derive(Deserialize)]
//! struct Auth {
//!     token: String,
//! }
//! #[derive(Serialize)]
//! struct Details {
//!     retry: u32,
//! }
//!
//! type Log = Arc<Mutex<Vec<String>>>;
//! let state = Log::default();
//! io.of("/").with_state(state).on("log", async |State(log): State<Log>, Args(line): Args<String>| {
//!     log.lock().unwrap().push(line);
//! });
//! # Ok::<_, EmitError>(())
//! ```
//!
//! # A socket
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `socket.id` | `socket.id()` |
//! | `socket.nsp.name` | `socket.namespace()` |
//! | `socket.connected` | `socket.is_connected()` |
//! | `socket.recovered` | `socket.recovered()` |
//! | `socket.conn.transport.name` | `socket.transport()` |
//! | `socket.data.user = user` | `socket.set_data(user)`: one value for each type |
//! | `socket.data.user` | `socket.data::<User>()` |
//! | `socket.handshake.auth` | `handshake.auth::<Auth>()` |
//! | `socket.handshake.headers["user-agent"]` | `handshake.header_str("user-agent")` |
//! | `socket.handshake.query.version` | `handshake.query("version")` |
//! | `socket.handshake.address`, `.secure`, `.xdomain`, `.url` | `handshake.address()`, `handshake.secure()`, `handshake.xdomain()`, `handshake.url()` |
//! | `socket.handshake.issued` | `handshake.time()` |
//! | `socket.disconnect()` | `socket.disconnect(false)` |
//! | `socket.disconnect(true)` | `socket.disconnect(true)` |
//!
//! ```
//! # use serde::Deserialize;
//! # use sockeye_driver::prelude::*;
//! # let io = Server::new(Config::default());
//! #[derive(Deserialize)]
//! struct Auth {
//!     name: String,
//! }
//! struct User(String);
//!
//! io.on_connect(async |socket: Socket| {
//!     let handshake = socket.handshake();
//!     println!("{:?} asks {} at {:?}", handshake.address(), handshake.url(), handshake.time());
//!     println!("back again: {}", socket.recovered());
//!     println!("secure: {}, from elsewhere: {}", handshake.secure(), handshake.xdomain());
//!     println!("{:?} {:?}", handshake.header_str("user-agent"), handshake.query("version"));
//!     if let Ok(auth) = handshake.auth::<Auth>() {
//!         let user = User(auth.name);
//!         socket.set_data(user);
//!     }
//! });
//! io.on("who am i", async |socket: Socket| {
//!     println!("{} in {} over {:?}", socket.id(), socket.namespace(), socket.transport());
//!     match socket.data::<User>() {
//!         Some(user) => println!("{}", user.0),
//!         None => socket.disconnect(false),
//!     }
//! });
//! io.on("close", async |socket: Socket| {
//!     socket.disconnect(true);
//!     println!("still connected: {}", socket.is_connected());
//! });
//! ```
//!
//! # Engine.IO
//!
//! | JavaScript | here |
//! | --- | --- |
//! | `engine.on("connection", (socket) => { … })` | `engine.on_connection(async \|socket: EngineSocket\| { .. })` |
//! | `socket.on("message", (data) => { … })` | `while let Some(message) = socket.next().await { .. }` |
//! | `socket.send(data)` | `socket.send(message).await?`, which waits for room; `socket.try_send(message)?` does not |
//! | `socket.close()` | `socket.close()`, or dropping it |
//!
//! ```
//! use futures_util::{SinkExt as _, StreamExt as _};
//! # use sockeye_driver::prelude::*;
//!
//! let engine = EngineServer::new(Config { path: "/engine.io/".into(), ..Config::default() });
//! engine.on_connection(async |socket: EngineSocket| {
//!     let mut socket = socket;
//!     let message = Message::Text("welcome".into());
//!     socket.try_send(message)?;
//!     while let Some(message) = socket.next().await {
//!         socket.send(message).await?;
//!     }
//!     socket.close();
//!     Ok::<_, BoxError>(())
//! });
//! ```
//!
//! # What is different
//!
//! - **Sending can fail**: an event that cannot be encoded, a socket that is gone, a queue that is
//!   [full](crate#sending-and-slow-clients). JavaScript throws for the first, ignores the second, and has no bound.
//! - **A middleware cannot emit** to the socket that it decides about: it is not connected yet, which is an error. In
//!   JavaScript the event leaves in front of the answer to CONNECT. Joining works in both.
//! - **Arguments are typed**: an event whose arguments do not fit is an error of that event. What is too many is
//!   ignored, as in JavaScript. [`Values`](crate::Values) takes anything.
//! - **Acknowledgements end**: after [`Config::ack_timeout`](crate::Config::ack_timeout) (30 s) unless `timeout` says
//!   another time, and when the socket is gone. They are sent once; the second is
//!   [`AlreadySent`](crate::AckSendError::AlreadySent).
//! - **A socket's own room** is named by its [`Sid`](crate::Sid), not by a text, and nobody else can join it. It is not
//!   among [`rooms`](crate::Socket::rooms).
//! - **Joining is immediate**, and bounded by [`Limits::rooms_per_socket`](crate::Limits::rooms_per_socket).
//! - **`on_any_outgoing`** of a socket sees what is sent to it alone; broadcasts are seen by that of the
//!   [namespace](crate::Namespace::on_any_outgoing), once.
//! - **A [namespace](crate::Server::of)** exists from when it is named first. Clients cannot make one.
//!
//! `ARCHITECTURE.md` lists what is different on the wire.
//!
//! # What is missing
//!
//! `volatile`, `compress`, `fetchSockets`, `serverSideEmit`, `socket.use`, acknowledgements of broadcasts, namespaces
//! by pattern, adapters, and the events `connection_error`, `initial_headers` and `headers`.
//!
//! # Typed events
//!
//! What TypeScript knows as `Server<ClientToServerEvents, ServerToClientEvents>` is a
//! [`TypedEvent`](trait@crate::TypedEvent) here: one struct for each event, which the server and Rust clients share. On the
//! wire nothing is different.
//!
//! ```
//! use sockeye_driver::prelude::*;
//!
//! /// `"chat message": (room: string, text: string, callback: (id: number) => void) => void`
//! #[derive(TypedEvent)]
//! #[event(name = "chat message", ack = u64)]
//! struct ChatMessage {
//!     room: String,
//!     text: String,
//! }
//!
//! let io = Server::new(Config::default());
//! io.on_event(async |socket: Socket, message: ChatMessage, ack: Ack<ChatMessage>| {
//!     socket.to(&message.room).emit_event(&message)?;
//!     ack.send(&1)?;
//!     Ok::<_, BoxError>(())
//! });
//!
//! # async fn example(client: Client) -> Result<(), AckError> {
//! let message = ChatMessage { room: "lobby".into(), text: "hello".into() };
//! let id = client.emit_event_with_ack(&message).await?;
//! # drop(id);
//! # Ok(())
//! # }
//! ```

pub mod client;

#[cfg(test)]
mod tests {
    const SERVER: &str = include_str!("guide.rs");
    const CLIENT: &str = include_str!("guide/client.rs");

    /// The text of a page's documentation.
    fn documentation(page: &'static str) -> impl Iterator<Item = &'static str> {
        page.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_start)
    }

    /// Every piece of Rust in a table is in an example, but for what the runtimes' crates have.
    #[test]
    fn every_row_is_compiled() {
        for (page, least) in [(SERVER, 60), (CLIENT, 90)] {
            let examples: String =
                documentation(page).filter(|line| !line.starts_with('|')).collect::<Vec<_>>().join(" ");
            let mut rows = 0;
            for row in documentation(page).filter(|line| line.starts_with("| ") && !line.contains("io.listen(")) {
                let row = row.replace(r"\|", "\u{1}");
                let cell = row.split('|').nth(2).unwrap().replace('\u{1}', "|");
                for code in cell.split('`').skip(1).step_by(2).filter(|code| code.contains(['(', '"', '='])) {
                    let mut rest = &*examples;
                    for part in code.split(" .. ") {
                        let at = rest.find(part).unwrap_or_else(|| panic!("not in an example: {part} of {code}"));
                        rest = &rest[at + part.len()..];
                    }
                    rows += 1;
                }
            }
            assert!(rows >= least, "{rows}");
        }
    }

    /// Every option of a client has a row, but for what is told beside the table.
    #[test]
    fn every_option_of_a_client_has_a_row() {
        let options = format!("{:#?}", crate::client::Config::default());
        let names = options.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with(' '));
        let names: Vec<_> = names.filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names.into_iter().filter(|name| !["ask_headers", "limits"].contains(name)) {
            assert!(CLIENT.contains(&format!("`config.{name}")), "{name}");
        }
    }
}
