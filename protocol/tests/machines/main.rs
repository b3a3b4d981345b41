//! The machines of the core from outside, in virtual time.
//!
//! One program, since it takes long to link what each would have of its own.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod batching;
mod client_faults;
mod client_manager;
mod client_script;
mod deadlines;
mod engine_http;
mod engine_life;
mod engine_properties;
mod engine_session;
mod engine_support;
mod harness;
mod limits;
mod order;
#[path = "../../src/fuzzing/pair/mod.rs"]
mod pair;
mod reasons;
mod recovery;
mod recovery_model;
mod server_review;
mod socket_args;
mod socket_packets;
mod socket_roundtrip;
mod transcripts;
mod ws_tungstenite;
