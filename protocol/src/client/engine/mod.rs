//! Engine.IO v4, the client's side: one session over HTTP long-polling and WebSocket.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use sockeye_protocol::{
//!     Instant, Seed,
//!     client::{Config, Cookies, Endpoint, Engine, engine::{Event, Message, Output}, http::Response},
//! };
//!
//! let config = Arc::new(Config { path: "/engine.io/".into(), upgrade: false, ..Config::default() });
//! let endpoint = Endpoint::parse("http://localhost:3000").unwrap();
//! let now = Instant::ZERO;
//! let mut engine = Engine::new(now, config, &endpoint, Cookies::EMPTY, false, &Seed::for_tests(1));
//!
//! // The handshake is to be fetched ...
//! let Some(Output::Request { id, request }) = engine.poll_output() else { unreachable!() };
//! assert_eq!((request.method, request.host.as_str(), request.port), ("GET", "localhost", 3000));
//! assert!(request.target.starts_with("/engine.io/?EIO=4&transport=polling"));
//!
//! // ... and has come.
//! let head = Response { status: 200, headers: &[] };
//! let open = r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
//! engine.handle_response(now, id, &head, Bytes::from(open));
//! let Some(Output::Event(Event::Open(handshake))) = engine.poll_output() else { unreachable!() };
//! assert_eq!(handshake.sid, "abc");
//!
//! // From here on a GET waits for messages, and a POST brings them.
//! engine.send(Message::Text("hello".into())).unwrap();
//! let Some(Output::Request { request, .. }) = engine.poll_output() else { unreachable!() };
//! assert_eq!((request.method, &request.body[..]), ("POST", &b"4hello"[..]));
//! let Some(Output::Request { request, .. }) = engine.poll_output() else { unreachable!() };
//! assert_eq!(request.method, "GET");
//! assert_eq!(engine.poll_output(), None);
//! ```

#[allow(clippy::module_inception, reason = "the machine and its parts")]
mod engine;
mod error;
mod event;
mod getters;
mod input;
mod open;
mod polling;
mod request;
#[cfg(test)]
mod tests;
mod upgrade;
mod websocket;

pub use engine::Engine;
pub use error::{Cause, ClosedBy, Error, HandshakeError, Refusal, UpgradeError};
pub use event::{EngineStats, Event, Output};
pub use open::Handshake;

pub use crate::engine::{CloseReason, QueueUnit, SendError};
pub use crate::ws::{CloseFrame, Message};

pub(crate) use crate::engine::timers::after;
