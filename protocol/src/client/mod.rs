//! The client's side: Engine.IO, and what opens it.
//!
//! [`Engine`] is one Engine.IO session, usable alone: it asks its driver for HTTP requests and WebSockets, and takes what
//! comes back.

mod backoff;
mod config;
mod cookies;
mod endpoint;
pub mod engine;
mod error;
mod event;
pub mod http;
mod manager;
mod socket;
mod stats;

pub use config::{Config, Limits, Overrides, Transport, TransportOptions};
pub use cookies::Cookies;
pub use endpoint::{Endpoint, RedirectError, UrlError};
pub use engine::Engine;
pub use error::{EmitError, Error, ProvideError, Refusal};
pub use event::{AckToken, AuthRequest, DisconnectReason, Event, HeadersRequest, SocketId};
pub use manager::{Flags, Manager, Output};
pub use socket::{Delivery, Offline, SocketOptions};
pub use stats::Stats;

pub use crate::ack::{AckId, AckOutcome};
