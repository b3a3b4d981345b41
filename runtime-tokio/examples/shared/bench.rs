//! What the bench servers of both runtimes do. `sockeye` is the crate of the runtime.

use bytes::Bytes;

use super::sockeye::prelude::*;

/// Every socket is in the room `r`; `echo` and `bin` are sent back, `ack` is acknowledged, `bcast` goes to the room.
pub(crate) fn server() -> Server {
    let io = Server::new(Config::default());
    io.on_connect(async |socket: Socket| socket.join("r").map(drop));
    io.on("echo", async |socket: Socket, Args(text): Args<String>| socket.emit("echo", &text));
    io.on("bin", async |socket: Socket, Args(bytes): Args<Bytes>| socket.emit("bin", &bytes));
    io.on("ack", async |Args(text): Args<String>, ack: Ack| ack.send(&text));
    let room = io.to("r");
    io.on("bcast", move |Args(text): Args<String>| {
        let room = room.clone();
        async move { room.emit("bcast", &text).map(drop) }
    });
    io
}

/// The value behind `--name` on the command line.
pub(crate) fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next()?.parse().ok()
}
