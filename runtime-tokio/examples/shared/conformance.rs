//! The conformance server, on either runtime.

use std::time::Duration;

use super::sockeye::prelude::*;
use futures_util::StreamExt;

#[path = "args.rs"]
mod args;

pub(crate) async fn run() -> Result<(), BoxError> {
    let [ping_interval, ping_timeout, connect_timeout] = [300, 200, 1_000].map(Duration::from_millis);
    let cors = Some(Cors { origins: Origins::Any, ..Cors::default() });
    let recovery = args::has("--recovery").then(Recovery::default);
    let config = Config { ping_interval, ping_timeout, connect_timeout, cors, recovery, ..Config::default() };
    let address = ("127.0.0.1", args::port());
    let listening = if args::has("--engine") {
        engine(Config { path: "/engine.io/".into(), ..config }).listen(address).await?
    } else {
        socketio(config).listen(address).await?
    };
    println!("listening on {}", listening.local_addr());
    listening.closed().await;
    Ok(())
}

fn socketio(config: Config) -> Server {
    let io = Server::new(config);
    for name in ["/", "/custom"] {
        io.of(name).on_connect(async |socket: Socket, handshake: Handshake| {
            socket.emit("auth", &handshake.auth_value().unwrap_or_else(|| Object::new().into()))
        });
    }
    io.on("message", async |socket: Socket, args: RawArgs| socket.emit("message-back", &args));
    io.on("message-with-ack", async |args: RawArgs, ack: Ack| ack.send(&args));
    io
}

fn engine(config: Config) -> EngineServer {
    let engine = EngineServer::new(config);
    engine.on_connection(async |mut socket: EngineSocket| {
        while let Some(message) = socket.next().await {
            // Without waiting for room, as JavaScript does: clients may send all before they ask for anything.
            socket.try_send(message)?;
        }
        Ok::<_, BoxError>(())
    });
    engine
}
