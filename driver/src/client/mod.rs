//! Clients: a connection to a server, with any number of namespaces on it, that is made anew when it is lost.
//!
//! A runtime's crate has what opens connections; with its prelude, [`Client`] has `connect(url)` and `builder(url)`:
//!
//! ```no_run
//! # use std::{io, sync::Arc, time::Duration};
//! # use sockeye_driver::{BoxFuture, Runtime, Stream, client::{Address, ClientBuilder, Connector, Failure}};
//! # struct Rt;
//! # impl Runtime for Rt {
//! #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
//! #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
//! # }
//! # struct Tcp;
//! # impl Connector for Tcp {
//! #     fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> { unimplemented!() }
//! # }
//! # trait Connect { fn builder(url: &str) -> ClientBuilder { ClientBuilder::new(url, Arc::new(Rt), Arc::new(Tcp)) } }
//! # impl Connect for Client {}
//! use sockeye_driver::{client::Client, prelude::*};
//!
//! # async fn example() -> Result<(), BoxError> {
//! let client = Client::builder("http://127.0.0.1:3000/chat").auth(&("token", "abc"))?.connect().await?;
//! client.on("message", async |Args((from, text)): Args<(String, String)>| println!("{from}: {text}"));
//! client.emit("message", &"hello")?;
//! let users: Vec<String> = client.timeout(Duration::from_secs(5)).emit_with_ack("users", &()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What runs when
//!
//! As on a server: handlers start in the order in which events arrive, run to their first await before the next starts, and
//! go on when they can; [`Limits::handlers`] of a namespace wait for something at a time, and when [`Limits::parked`]
//! events wait for them, the server is not read from. Handlers whose connection is lost run on to their end.
//!
//! # While there is no connection
//!
//! What is emitted waits in order, within the bounds of [`Offline`]. An acknowledgement that was asked for always comes to
//! an end: the answer, its timeout, or the end of the connection that the event was sent on.

mod builder;
#[allow(clippy::module_inception, reason = "the type that the module is named after")]
mod client;
mod connector;
mod http;
mod manager;
mod owner;
mod shared;

use std::sync::Arc;

use sockeye_protocol::Text;
pub use sockeye_protocol::client::{
    AuthRequest, Config, Delivery, DisconnectReason, Error, HeadersRequest, Limits, Offline, Overrides, Refusal,
    Transport, TransportOptions, UrlError, engine, http::Failure,
};

pub use self::{
    builder::{ClientBuilder, ClientError, SocketBuilder},
    client::{Client, ConnectErrorContext, Timeout, Volatile},
    connector::{Address, Connector},
    manager::{Manager, ManagerEvent},
};
use crate::BoxFuture;

/// Says with which headers to connect.
type HeadersProvider = dyn Fn(HeadersRequest) -> BoxFuture<Result<Vec<(String, String)>, Text>> + Send + Sync;

/// Says as whom to connect.
type AuthProvider =
    dyn Fn(AuthRequest) -> BoxFuture<Result<Option<sockeye_protocol::socket::Payload>, Text>> + Send + Sync;

/// As whom to connect.
#[derive(Clone, Default)]
enum Auth {
    /// Nothing is given.
    #[default]
    None,
    Value(sockeye_protocol::socket::Payload),
    Provider(Arc<AuthProvider>),
}
