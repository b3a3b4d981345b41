//! Socket.IO (protocol v5 on Engine.IO v4) as pure state machines.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// Tests index and add freely; only code that peers can reach is held to the strict lints.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

pub mod config;
pub mod encoded;
pub mod engine;
mod fifo;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod http;
pub mod key;
mod machines;
pub mod rng;
pub mod server;
pub mod socket;
pub mod text;
pub mod time;
pub mod ws;

pub use config::{Config, Cors, Limits, Origins, QueuePolicy, Transports};
pub use key::{ConnKey, NspId, RequestId, Sid, SocketKey, TransportId};
pub use machines::{Output, Route};
pub use rng::Seed;
pub use text::Text;
pub use time::Instant;
