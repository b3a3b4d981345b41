//! A chat with a web page: rooms, names, who is online, who is typing, acknowledged messages, images as binary.
//!
//! ```text
//! npm ci --prefix runtime-tokio/examples/chat && cargo run --release -p sockeye-tokio --example chat
//! ```
//!
//! serves the page and the chat on <http://127.0.0.1:3000>, or on another port with `-- --port P`. Open it in two
//! windows.
//!
//! | event from a page | acknowledged with | and what the others get |
//! | --- | --- | --- |
//! | `join`, `{name, room}`: first of all, and to move | `{ok, name, room, users, rooms}` | `users`, `rooms` |
//! | `message`, text | `{id, time}` | in the room `message`, `{id, from, text, time}` |
//! | `image`, `{name, type}`, bytes | `{id, time}` | in the room `image`, `{id, from, name, type, time}`, bytes |
//! | `typing`, whether | | in the room `typing`, `{from, typing}` |
//!
//! What is refused is acknowledged with `{error}`. `users` is the names in one's room, `rooms` a list of
//! `{name, users}` with the number of users, which everybody gets, also before joining. A page comes with a secret `key`
//! of its own as its `auth`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "these lints keep clocks and overflows out of the core"
)]

use std::{
    env,
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sockeye_tokio::prelude::*;
use tokio::net::TcpListener;

mod page;
mod state;
use state::{Members, Place, RoomInfo};

/// Characters of a message.
const MAX_TEXT: usize = 2_000;
/// Bytes of an image.
const MAX_IMAGE: usize = 900_000;
/// Bytes of an image's name.
const MAX_IMAGE_NAME: usize = 400;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let port = port()?;
    let io = Server::new(Config {
        // Over long-polling an image is base64, a third longer.
        limits: Limits { max_payload: MAX_IMAGE * 3 / 2, ..Limits::default() },
        ..Config::default()
    });
    chat(&io);

    let app = page::router()?.layer(io.layer());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    println!("open http://{address} in two windows");
    // New connections are accepted until all clients know: one on long-polling fetches the end of its session.
    let stop = async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            io.shutdown(Duration::from_secs(5)).await;
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// The last `--port`.
fn port() -> Result<u16, BoxError> {
    let mut port = 3000;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().filter(|_| arg == "--port").and_then(|value| value.parse().ok());
        port = value.ok_or("usage: chat [--port P]")?;
    }
    Ok(port)
}

/// Registers the handlers.
fn chat(io: &Server) {
    let chat = Arc::new(Chat { io: io.clone(), members: Mutex::default(), last_id: AtomicU64::new(0) });
    let io = io.of("/").with_state(chat);
    io.on_connect(welcome);
    io.on("join", join);
    io.on("message", message);
    io.on("image", image);
    io.on("typing", typing);
    io.on_disconnect(leave);
}

/// What the handlers share.
struct Chat {
    io: Server,
    members: Mutex<Members>,
    last_id: AtomicU64,
}

impl Chat {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a room who is there, and everybody but `socket` how full the rooms are. Called with the members locked, so
    /// that the last list that anybody gets is the newest.
    fn announce(&self, members: &Members, socket: &Socket, room: &str) -> Result<(), EmitError> {
        self.io.to(room).emit("users", &members.users(room))?;
        socket.broadcast().emit("rooms", &members.rooms())?;
        Ok(())
    }

    /// The number and the time of a message.
    fn stamp(&self) -> Stamp {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Stamp { id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1, time: time.as_millis() as u64 }
    }
}

/// The acknowledgement of what was passed on; the time is in milliseconds since 1970, as in JavaScript.
#[derive(Serialize)]
struct Stamp {
    id: u64,
    time: u64,
}

/// Acknowledges what is not done.
fn refuse(ack: &Ack, error: &str) -> Result<(), BoxError> {
    #[derive(Serialize)]
    struct Refusal<'a> {
        error: &'a str,
    }
    Ok(ack.send(&Refusal { error })?)
}

const NOT_JOINED: &str = "Please join a room first.";

/// Tells who comes which rooms there are to choose from.
async fn welcome(State(chat): State<Arc<Chat>>, socket: Socket) -> Result<(), EmitError> {
    let members = chat.members();
    socket.emit("rooms", &members.rooms())
}

#[derive(Deserialize)]
struct Join {
    name: String,
    room: String,
}

#[derive(Serialize)]
struct Joined<'a> {
    ok: bool,
    name: &'a str,
    room: &'a str,
    users: Vec<&'a str>,
    rooms: Vec<RoomInfo<'a>>,
}

/// What a page gives as `auth`: with the same key it gets its name back when its connection broke, before the server
/// has missed the old one.
#[derive(Deserialize)]
struct Auth {
    key: String,
}

async fn join(
    State(chat): State<Arc<Chat>>,
    socket: Socket,
    Args(wanted): Args<Join>,
    ack: Ack,
) -> Result<(), BoxError> {
    let place = match Place::new(&wanted.name, &wanted.room) {
        Ok(place) => place,
        Err(error) => return refuse(&ack, error),
    };
    let key = socket.handshake().auth::<Auth>().ok().map(|auth| auth.key);
    let old = socket.data::<Place>();

    let mut members = chat.members();
    let replaced = match members.seat(socket.id(), key, old.as_deref(), &place) {
        Ok(replaced) => replaced,
        Err(taken) => return refuse(&ack, &taken),
    };
    // What follows may fail, and who leaves then must be known.
    socket.set_data(place.clone());
    if let Some(replaced) = replaced {
        socket.to(replaced).disconnect_sockets(true);
    }
    // The acknowledgement is the border between the rooms: nothing of the old one comes after it, and nothing of the
    // new one before.
    if let Some(old) = &old {
        socket.leave(&old.room);
    }
    let Place { name, room } = &place;
    ack.send(&Joined { ok: true, name, room, users: members.users(room), rooms: members.rooms() })?;
    if let Some(old) = old.filter(|old| old.room != *room) {
        chat.announce(&members, &socket, &old.room)?;
    }
    chat.announce(&members, &socket, room)?;
    socket.join(room)?;
    Ok(())
}

async fn message(
    State(chat): State<Arc<Chat>>,
    socket: Socket,
    Args(text): Args<String>,
    ack: Ack,
) -> Result<(), BoxError> {
    #[derive(Serialize)]
    struct Message<'a> {
        id: u64,
        from: &'a str,
        text: &'a str,
        time: u64,
    }
    let Some(place) = socket.data::<Place>() else { return refuse(&ack, NOT_JOINED) };
    if text.trim().is_empty() || text.chars().count() > MAX_TEXT {
        return refuse(&ack, "A message has 1 to 2000 characters.");
    }
    let stamp = chat.stamp();
    let message = Message { id: stamp.id, from: &place.name, text: &text, time: stamp.time };
    socket.to(&place.room).emit("message", &message)?;
    Ok(ack.send(&stamp)?)
}

#[derive(Deserialize)]
struct ImageInfo {
    name: String,
    r#type: String,
}

async fn image(
    State(chat): State<Arc<Chat>>,
    socket: Socket,
    Args((info, data)): Args<(ImageInfo, Bytes)>,
    ack: Ack,
) -> Result<(), BoxError> {
    #[derive(Serialize)]
    struct Image<'a> {
        id: u64,
        from: &'a str,
        name: &'a str,
        r#type: &'a str,
        time: u64,
    }
    let Some(place) = socket.data::<Place>() else { return refuse(&ack, NOT_JOINED) };
    if data.len() > MAX_IMAGE {
        return refuse(&ack, "An image may have 900 KB.");
    }
    if info.name.len() > MAX_IMAGE_NAME {
        return refuse(&ack, "The image's name is too long.");
    }
    if !is_image(&info.r#type, &data) {
        return refuse(&ack, "An image is a PNG, JPEG, GIF or WebP file.");
    }
    let stamp = chat.stamp();
    let image = Image { id: stamp.id, from: &place.name, name: &info.name, r#type: &info.r#type, time: stamp.time };
    // The bytes are an attachment: on a WebSocket they travel as they are.
    socket.to(&place.room).emit("image", &(image, data))?;
    Ok(ack.send(&stamp)?)
}

/// Whether `data` begins as files of that type do. Nothing but images is passed on: others would open them.
fn is_image(kind: &str, data: &[u8]) -> bool {
    match kind {
        "image/png" => data.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => data.starts_with(b"\xff\xd8\xff"),
        "image/gif" => data.starts_with(b"GIF8"),
        "image/webp" => data.starts_with(b"RIFF") && data.get(8..).is_some_and(|data| data.starts_with(b"WEBP")),
        _ => false,
    }
}

async fn typing(socket: Socket, Args(typing): Args<bool>) -> Result<(), EmitError> {
    #[derive(Serialize)]
    struct Typing<'a> {
        from: &'a str,
        typing: bool,
    }
    if let Some(place) = socket.data::<Place>() {
        socket.to(&place.room).emit("typing", &Typing { from: &place.name, typing })?;
    }
    Ok(())
}

/// Tells the others who has gone, unless the same page has come back before.
async fn leave(State(chat): State<Arc<Chat>>, socket: Socket) -> Result<(), EmitError> {
    let Some(place) = socket.data::<Place>() else { return Ok(()) };
    let mut members = chat.members();
    if members.unseat(socket.id(), &place) {
        chat.announce(&members, &socket, &place.room)?;
    }
    Ok(())
}
