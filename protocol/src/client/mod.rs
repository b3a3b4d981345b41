//! The client's side: Engine.IO, and what opens it.
//!
//! [`Engine`] is one Engine.IO session, usable alone: it asks its driver for HTTP requests and WebSockets, and takes what
//! comes back.

mod config;
mod cookies;
mod endpoint;
pub mod engine;
pub mod http;

pub use config::{Config, Limits, Overrides, Transport, TransportOptions};
pub use cookies::Cookies;
pub use endpoint::{Endpoint, RedirectError, UrlError};
pub use engine::Engine;
