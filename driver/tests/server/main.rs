//! Servers whose clients do what they are told, in one thread: handlers, queues, deadlines, and what ends when.
//!
//! One program, since each would compile the whole driver anew.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod acks;
mod connections;
mod engine;
mod faults;
mod handlers;
mod locks;
mod parked;
mod queues;
mod recovery;
mod requests;
mod runtimes;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod timers;
