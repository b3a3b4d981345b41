//! Clients whose server does what it is told: streams of events, waiting for room, and what ends when.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod connections;
mod listeners;
mod net;
mod parked;
mod simple;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod waiting;
mod wrong;
