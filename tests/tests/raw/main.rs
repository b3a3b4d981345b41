//! What no client library would send, over loopback, to the conformance server as a process.
//!
//! Each module is one part of the attack catalogue: W (WebSocket), E (HTTP and Engine.IO), S (Socket.IO). The inputs are
//! tables; a row names its attack, the bytes, and the exact answer. After each row a neighbour on the same server must
//! still be served, and after each table the server must hold no descriptor more than before. `MAP.md` one folder up
//! says which test covers which attack.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code, run on the wall clock"
)]

mod attachments;
mod dawdlers;
mod engine;
mod heads;
mod http;
mod memory;
mod packets;
mod socket;
mod upgrade;
mod websocket;
