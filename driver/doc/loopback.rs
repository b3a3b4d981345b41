// What the examples of clients have around them, out of their readers' sight: a server of their own, and a client of it.

#[allow(unused_imports)]
use std::{sync::Arc, time::Duration};

#[allow(unused_imports)]
use sockeye_driver::client::{ClientError, DisconnectReason, Error};
use sockeye_tokio::prelude::*;

/// Runs an example with a server, and a client that is connected to it.
#[allow(dead_code)]
fn connected(example: impl AsyncFnOnce(Server, Client) -> Result<(), BoxError>) {
    served(async |io: Server, url: String| {
        let client = Client::connect(&url).await?;
        example(io, client).await
    });
}

/// Runs an example with a server and its URL.
fn served(example: impl AsyncFnOnce(Server, String) -> Result<(), BoxError>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let io = Server::new(Config::default());
        io.of("/admin");
        io.on("echo", async |Args(text): Args<String>, ack: Ack| ack.send(&text));
        io.on("say", async |socket: Socket, Args(text): Args<String>| socket.emit("said", &text));
        let listening = io.listen("127.0.0.1:0").await.unwrap();
        example(io, format!("http://{}", listening.local_addr())).await.unwrap();
    });
}
