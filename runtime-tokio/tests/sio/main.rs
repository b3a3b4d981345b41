//! The command `sio`, as a user has it: against the official server (`tests/js/reference.mjs`, whose packages `tests/run`
//! installs) and ours, on a terminal and through pipes.
#![cfg(unix)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure ends the test"
)]
#![allow(clippy::disallowed_methods, reason = "these tests watch a process from outside, so their clock is the wall's")]

use sockeye_tokio as sockeye;

mod connection;
mod emit;
mod help;
#[path = "../../examples/shared/interop.rs"]
#[allow(dead_code, reason = "here it is no program of its own")]
mod interop;
mod listen;
mod pipe;
mod program;
#[path = "../shared/client/raw.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod raw;
mod screen;
mod server;
mod terminal;
