//! Helpers shared by the tests that cross crates: a server process, and peers that speak HTTP and WebSocket byte by
//! byte, so that they can misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: a panic is how it reports"
)]
#![allow(clippy::disallowed_methods, reason = "these tests watch a process from outside, so their clock is the wall's")]

pub mod http;
pub mod neighbour;
pub mod report;
pub mod server;
pub mod session;
pub mod websocket;
pub mod wire;
