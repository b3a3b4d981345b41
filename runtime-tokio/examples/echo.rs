//! Socket.IO beside the routes of an axum app: `echo` is sent back as it came.
//!
//! ```text
//! cargo run -p sockeye-tokio --example echo
//! ```

use axum::{Router, routing::get};
use sockeye_tokio::prelude::*;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let io = Server::new(Config::default());
    io.on("echo", async |socket: Socket, args: RawArgs| socket.emit("echo", &args));

    let app = Router::new().route("/", get(async || "Socket.IO is on /socket.io/")).layer(io.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await
}
