//! Engine.IO v4, the server's side: sessions over HTTP long-polling and WebSocket.
//!
//! [`route`] says which session a request belongs to, from its head alone; a [`Session`] is one client. For those who
//! want Engine.IO without Socket.IO this module is all they need: keep sessions by their [`Sid`](crate::Sid), hand
//! them what happens and do what comes out.
//!
//! ```
//! use std::sync::Arc;
//! use sockeye_protocol::{
//!     Config, Instant, RequestId, Seed,
//!     engine::{Event, Output, Routed, Session, SidSource, route},
//!     http::{Body, Request},
//! };
//!
//! let config = Arc::new(Config { path: "/engine.io/".into(), ..Config::default() });
//! let mut sids = SidSource::new(&Seed::for_tests(1));
//! let now = Instant::ZERO;
//!
//! // A request comes in ...
//! let head = Request {
//!     method: "GET",
//!     target: "/engine.io/?EIO=4&transport=polling",
//!     headers: &[],
//!     peer: None,
//!     secure: false,
//! };
//! assert_eq!(route::<()>(&config, &head, |_sid| None), Routed::Open);
//! let mut session = Session::new(now, Arc::clone(&config), sids.next_sid());
//! session.handle_request(now, RequestId(1), &head, Body::EMPTY);
//!
//! // ... and its answer goes out.
//! let Some(Output::Respond { id, response }) = session.poll_output() else { unreachable!() };
//! assert_eq!((id, response.status), (RequestId(1), 200));
//! assert!(response.body.starts_with(b"0{\"sid\":"));
//! assert_eq!(session.poll_output(), Some(Output::Event(Event::Open)));
//! assert_eq!(session.poll_output(), None);
//!
//! // The next thing to happen by itself is a ping.
//! assert_eq!(session.poll_timeout(), Some(now + config.ping_interval));
//! ```

pub(crate) mod buffer;
mod error;
mod handshake;
mod heartbeat;
pub(crate) mod inbox;
mod packet;
mod payload;
mod polling;
mod registry;
mod route;
mod server;
mod session;
#[cfg(test)]
mod tests;
pub(crate) mod timers;
mod upgrade;
pub(crate) mod websocket;

pub use error::{CloseReason, Error, QueueUnit, SendError};
pub use packet::{Packet, PacketError};
pub use payload::PayloadReader;
pub use registry::Registry;
pub use route::{Routed, gone, route, serves, unavailable};
pub use server::Server;
pub(crate) use session::{Current, Step};
pub use session::{Event, Output, Session, SessionStats, SidSource};

pub use crate::ws::Message;
