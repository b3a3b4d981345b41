//! Engine.IO alone: sessions that carry messages, without Socket.IO on top.

mod layer;
mod server;
mod socket;

pub use self::{server::EngineServer, socket::EngineSocket};
