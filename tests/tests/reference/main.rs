//! Our client on both runtimes against strangers, on real sockets: the official server from npm, whose packages `tests/run`
//! installs, and beside the official client.
//!
//! Most tests have a world of the [`counterpart`] for themselves, a server of the official packages that does what the test
//! says, and run on each runtime and each transport, all at once.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure ends the test"
)]

mod counterpart;
mod differential;
mod ends;
mod events;
mod hostile;
mod namespaces;
mod pairs;
mod recovery;
mod requests;
mod restarts;
mod runtimes;
mod tls;
mod values;
