//! The interop server of `tests/js/README.md`, on either runtime: it takes and sends any number of any arguments.

use std::time::Duration;

use super::sockeye::prelude::*;

#[path = "args.rs"]
mod args;
#[path = "room_names.rs"]
mod room_names;

use room_names::room_names;

pub(crate) async fn run() -> Result<(), BoxError> {
    let listening = listen(args::port(), args::has("--recovery")).await?;
    println!("listening on {}", listening.local_addr());
    listening.closed().await;
    Ok(())
}

pub(crate) async fn listen(port: u16, recovers: bool) -> std::io::Result<Listening> {
    let [ping_interval, ping_timeout] = [500, 2_500].map(Duration::from_millis);
    let cors = Some(Cors { origins: Origins::Any, ..Cors::default() });
    let recovery = recovers.then(Recovery::default);
    let io = Server::new(Config { ping_interval, ping_timeout, cors, recovery, ..Config::default() });
    for name in ["/", "/admin"] {
        namespace(&io.of(name));
    }
    io.listen(("127.0.0.1", port)).await
}

fn namespace(nsp: &Namespace) {
    nsp.middleware(async |handshake: Handshake| {
        match handshake.auth_value().as_ref().and_then(|auth| auth.get("refuse")) {
            Some(data) => Err(BoxError::from(ConnectError::with_data("refused", data)?)),
            None => Ok(()),
        }
    });
    nsp.on_connect(async |socket: Socket, handshake: Handshake| {
        socket.emit("auth", &handshake.auth_value().unwrap_or_else(|| Object::new().into()))
    });

    let nsp = nsp.with_state(nsp.clone());
    nsp.on("echo", async |socket: Socket, args: RawArgs| socket.emit("echo", &args));
    nsp.on("echo-ack", async |args: RawArgs, ack: Ack| ack.send(&args));
    nsp.on("join", async |socket: Socket, Args(room): Args<String>, ack: Ack| {
        socket.join(room)?;
        ack.send(&())?;
        Ok::<_, BoxError>(())
    });
    nsp.on("leave", async |socket: Socket, Args(room): Args<String>, ack: Ack| {
        socket.leave(room);
        ack.send(&())
    });
    nsp.on("broadcast", async |State(nsp): State<Namespace>, args: RawArgs| {
        let (rooms, except): (Vec<String>, Vec<String>) = args.deserialize()?;
        let target = nsp.local().to(room_names(rooms)).except(room_names(except));
        target.emit("news", &Values(args.to_values()?.split_off(2)))?;
        Ok::<_, BoxError>(())
    });
    nsp.on("ask", async |socket: Socket, args: RawArgs| {
        let millis: u64 = args.deserialize()?;
        let question = Values(args.to_values()?.split_off(1));
        let answer = socket.timeout(Duration::from_millis(millis)).emit_with_ack::<Values>("question", &question).await;
        match answer {
            Ok(Values(mut answer)) => {
                answer.insert(0, "ok".into());
                socket.emit("answered", &Values(answer))?;
            }
            Err(AckError::Timeout) => socket.emit("answered", "timeout")?,
            Err(AckError::Disconnected) => {}
            Err(error) => return Err(error.into()),
        }
        Ok::<_, BoxError>(())
    });
    nsp.on("burst", async |socket: Socket, Args(count): Args<u32>| {
        (0..count).try_for_each(|tick| socket.emit("tick", &tick))
    });
    nsp.on("kick", async |socket: Socket, Args(close): Args<bool>| socket.disconnect(close));
    nsp.on_any(|event| {
        let known = ["echo", "echo-ack", "join", "leave", "broadcast", "ask", "burst", "kick"];
        let (Some(socket), Ok(mut args), false) = (event.socket(), event.values(), known.contains(&event.name()))
        else {
            return;
        };
        args.insert(0, event.name().into());
        // Fails when the client has just gone.
        let _ = socket.emit("caught", &Values(args));
    });
    nsp.on_disconnect(async |State(nsp): State<Namespace>, socket: Socket, reason: DisconnectReason| {
        nsp.to("watchers").emit("left", &(socket.id(), reason.as_str())).map(drop)
    });
}
