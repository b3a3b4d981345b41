//! The tour of the API: a server and a client, each step of which is printed, on either runtime.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sockeye::BoxError;

#[path = "../args.rs"]
mod args;
mod client;
mod lines;
mod server;

/// Both halves, in one process; with `--port` the server's alone, for a client of another kind.
pub(crate) async fn run() -> Result<(), BoxError> {
    if !args::has("--port") {
        return client::tour().await;
    }
    let listening = server::listen(([127, 0, 0, 1], args::port()).into()).await?;
    println!("listening on {}", listening.local_addr());
    listening.closed().await;
    Ok(())
}

/// Who comes: what a client gives as `auth`, and what the server keeps with its socket.
#[derive(Deserialize, Serialize)]
struct User {
    name: String,
}

/// `{3: "4", 5: Uint8Array.from([6])}` in JavaScript: binary may be anywhere in the arguments.
#[derive(Debug, Deserialize, Serialize)]
struct Extra {
    #[serde(rename = "3")]
    three: String,
    #[serde(rename = "5")]
    five: Bytes,
}

/// What the server answers to a request.
#[derive(Deserialize, Serialize)]
struct Status {
    status: String,
}
