//! Clients: a connection to a server, with any number of namespaces on it, that is made anew when it is lost.
//!
//! A runtime's crate has what opens connections; with its prelude, [`Client`] has `connect(url)` and `builder(url)`:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
//! # fn main() { served(async |io: Server, url: String| {
//! # io.of("/chat").on("users", async |ack: Ack| ack.send(&[["Ada"]]));
//! # let url = format!("{url}/chat");
//! let client = Client::builder(&url).auth(&std::collections::BTreeMap::from([("token", "abc")]))?.connect().await?;
//! client.on("message", async |Args((from, text)): Args<(String, String)>| println!("{from}: {text}"));
//! client.emit("message", &"hello")?;
//! let users: Vec<String> = client.timeout(Duration::from_secs(60)).emit_with_ack("users", &()).await?;
//! assert_eq!(users, ["Ada"]);
//! # Ok(()) }) }
//! ```
//!
//! Whoever wants no handlers pulls: [`Client::events`] is a stream, and a [`SimpleClient`] has calls that wait.
//!
//! # What runs when
//!
//! As on a server: handlers start in the order in which events arrive, run to their first await before the next starts, and
//! go on when they can; [`Limits::handlers`] of a namespace wait for something at a time, and when [`Limits::parked`]
//! events wait for them, or on all namespaces more bytes than one packet may have ([`Limits::max_packet_bytes`]), the server
//! is not read from until half of them have started. Handlers whose connection is lost run on to their end.
//! [Streams](Events) have the same bounds.
//!
//! # While there is no connection
//!
//! What is emitted waits in order, within the bounds of [`Offline`]. An acknowledgement that was asked for always comes to
//! an end: the answer, its timeout, or the end of the connection that the event was sent on.

mod builder;
mod chain;
#[allow(clippy::module_inception, reason = "the type that the module is named after")]
mod client;
mod connector;
mod dial;
mod events;
mod http;
mod idle;
mod listening;
mod manager;
mod memory;
mod owner;
mod queue;
mod seats;
mod sending;
mod shared;
mod simple;

use std::sync::Arc;

use sockeye_protocol::Text;
pub use sockeye_protocol::client::{
    AuthRequest, Config, Delivery, DisconnectReason, Error, HeadersRequest, Limits, Offline, Overrides, Refusal,
    Transport, TransportOptions, UrlError, engine, http::Failure,
};
pub use sockeye_protocol::socket::Packet;

pub use self::{
    builder::{ClientBuilder, ClientError, SocketBuilder},
    client::{Client, ConnectErrorContext},
    connector::{Address, Connector},
    dial::connect_first,
    events::{ClientEvent, Events, ManagerEvents},
    manager::{Manager, ManagerEvent},
    memory::UpgradeMemory,
    sending::{Timeout, Volatile},
    simple::{ReceiveError, SimpleClient},
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

impl Auth {
    async fn provide(&self, request: AuthRequest) -> Result<Option<sockeye_protocol::socket::Payload>, Text> {
        match self {
            Self::None => Ok(None),
            Self::Value(value) => Ok(Some(value.clone())),
            Self::Provider(provider) => provider(request).await,
        }
    }
}
