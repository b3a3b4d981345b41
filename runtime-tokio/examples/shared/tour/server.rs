//! The server half of the tour.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;

use super::{
    Extra, Status, User,
    lines::{self, Who},
};
use crate::sockeye::prelude::*;

/// Says a line, as `println!` does.
macro_rules! say {
    ($($arguments:tt)*) => { lines::say(Who::Server, format!($($arguments)*)) };
}

/// The same of what happens in `/admin`.
macro_rules! admin {
    ($($arguments:tt)*) => { lines::say(Who::Admin, format!($($arguments)*)) };
}

/// The server, on this address.
pub(super) async fn listen(address: SocketAddr) -> io::Result<Listening> {
    let io = Server::new(Config::default());
    handshake(&io);
    events(&io);
    acknowledgements(&io);
    broadcasting(&io);
    rooms(&io);
    namespaces(&io);
    disconnecting(&io);
    io.listen(address).await
}

/// Handshake, refusal by a middleware, data of a socket.
fn handshake(io: &Server) {
    io.middleware(async |socket: Socket, handshake: Handshake| -> Result<(), BoxError> {
        let Ok(user) = handshake.auth::<User>() else {
            say!("refused: it gave no name");
            return Err(ConnectError::with_data("who are you?", &("give", "auth.name"))?.into());
        };
        let from = handshake.query("from");
        say!("{} comes from {}, over {}", user.name, from.unwrap_or_default(), transport(&socket));
        socket.set_data(user);
        Ok(())
    });
    io.on("rename", async |socket: Socket, Args(name): Args<String>| {
        say!("{} is now {name}", name_of(&socket));
        socket.set_data(User { name });
    });
}

/// Events with several arguments and binary in both directions, and catch-all listeners.
fn events(io: &Server) {
    io.on_connect(async |socket: Socket| {
        socket.on_any(|event: &Event| say!("{} < {}", name(event), show(event)));
        socket.on_any_outgoing(|event: &Event| say!("{} > {}", name(event), show(event)));
        // A listener of this socket alone. Those of `io` hear all sockets.
        socket.on("hello", async |socket: Socket, Args((a, b, extra)): Args<(u32, String, Extra)>| {
            say!("{} says hello: {a}, {b:?}, {:?} and {} bytes", name_of(&socket), extra.three, extra.five.len());
        });
        socket.emit("hello", &(1, "2", Extra { three: "4".into(), five: Bytes::from_static(&[6]) }))
    });
    // What is no `hello`, for instance.
    io.on_error(|error: &HandlerError| {
        say!("{} of {} failed: {}", error.event().unwrap_or("?"), name_of(error.socket()), error.fault());
    });
}

/// Acknowledgements: given, and asked for with a time to wait, by callback and by future.
fn acknowledgements(io: &Server) {
    io.on("request", async |Args((what, times)): Args<(String, u32)>, ack: Ack| {
        say!("asked for {what}, {times} times");
        ack.send(&Status { status: "ok".into() })
    });
    io.on("ask me by callback", async |socket: Socket, Args(patience): Args<u64>| {
        let asked = socket.clone();
        socket.timeout(Duration::from_millis(patience)).emit_then("question", &"why?", move |answer| {
            say!("{} called back: {}", name_of(&asked), told(answer));
        })
    });
    io.on("ask me by future", async |socket: Socket, Args(patience): Args<u64>| {
        let answer = socket.timeout(Duration::from_millis(patience)).emit_with_ack("question", &"why?").await;
        say!("{} answered: {}", name_of(&socket), told(answer));
    });
}

/// To all, and to all but the sender.
fn broadcasting(io: &Server) {
    io.on("shout", async |socket: Socket, Args(text): Args<String>| -> Result<(), EmitError> {
        let others = socket.broadcast().emit("said", &(name_of(&socket), &text))?;
        say!("{} shouts {text:?} to {others}", name_of(&socket));
        Ok(())
    });
    let all = io.clone();
    io.on("news", move |Args(text): Args<String>| {
        let all = all.clone();
        async move {
            say!("news for {}: {text}", all.emit("news", &text)?);
            Ok::<_, EmitError>(())
        }
    });
}

/// Joining, leaving, and sending to rooms.
fn rooms(io: &Server) {
    io.on("join", async |socket: Socket, Args(rooms): Args<Vec<String>>, ack: Ack| -> Result<(), BoxError> {
        socket.join(rooms)?;
        say!("{} is in {}", name_of(&socket), rooms_of(&socket));
        Ok(ack.send(&())?)
    });
    io.on("leave", async |socket: Socket, Args(room): Args<String>, ack: Ack| {
        socket.leave(&room);
        say!("{} left {room}, is in {}", name_of(&socket), rooms_of(&socket));
        ack.send(&())
    });
    io.on("say", async |socket: Socket, Args((room, text)): Args<(String, String)>| -> Result<(), EmitError> {
        let others = socket.to(&room).emit("said", &(name_of(&socket), &text))?;
        say!("{} says {text:?} to {others} in {room}", name_of(&socket));
        Ok(())
    });
}

/// Another namespace, with a middleware and a state of its own: the server, all of whose sockets it may manage.
fn namespaces(io: &Server) {
    let admin = io.of("/admin").with_state(io.clone());
    admin.middleware(async |handshake: Handshake| match handshake.auth::<User>() {
        Ok(user) if user.name == "Grace" => Ok(()),
        _ => Err("not authorized"),
    });
    admin.on_connect(async |socket: Socket| {
        admin!("somebody is in {}", socket.namespace());
        socket.emit("welcome", &())
    });
    admin.on(
        "announce",
        async |State(io): State<Server>, Args((to, except, text)): Args<(Vec<String>, String, String)>| {
            admin!("to {to:?} except {except}: {text}");
            io.to(to).except(except).emit("news", &text).map(drop)
        },
    );
    admin.on("gather", async |State(io): State<Server>, Args((from, to)): Args<(String, String)>, ack: Ack| {
        let count = io.to(from).sockets_join(&to);
        admin!("{count} more in {to}");
        ack.send(&count)
    });
    admin.on("close", async |State(io): State<Server>, Args(room): Args<String>| {
        admin!("{room} is closed for {}", io.to(&room).disconnect_sockets(true));
    });
}

/// Disconnecting a client, and hearing of those that go.
fn disconnecting(io: &Server) {
    io.on("bye", async |socket: Socket| socket.disconnect(false));
    io.on_disconnecting(async |socket: Socket| say!("{} leaves {}", name_of(&socket), rooms_of(&socket)));
    io.on_disconnect(async |socket: Socket, reason: DisconnectReason| {
        say!("{} is gone: {reason}", name_of(&socket));
    });
}

fn name_of(socket: &Socket) -> String {
    socket.data::<User>().map_or_else(|| String::from("nobody"), |user| user.name.clone())
}

fn name(event: &Event) -> String {
    event.socket().map_or_else(|| String::from("all"), name_of)
}

/// An event as it is on the wire: binary is a placeholder there.
fn show(event: &Event) -> String {
    let binaries = event.args().attachments().len();
    format!("{} [{}], {binaries} binary", event.name(), event.args().raw())
}

fn told(answer: Result<String, AckError>) -> String {
    answer.unwrap_or_else(|error| format!("nothing, {error}"))
}

fn rooms_of(socket: &Socket) -> String {
    let mut rooms = socket.rooms();
    rooms.sort();
    if rooms.is_empty() { String::from("no room") } else { rooms.join(", ") }
}

fn transport(socket: &Socket) -> &'static str {
    socket.transport().unwrap_or("nothing")
}
