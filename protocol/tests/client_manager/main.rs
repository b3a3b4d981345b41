//! A client against our own server, without faults: connecting, events, acknowledgements, buffers, disconnecting.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod connecting;
#[path = "../../src/fuzzing/pair/mod.rs"]
mod pair;
mod reconnection;
mod sending;
mod support;
