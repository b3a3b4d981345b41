//! The features server of `tests/js/README.md`, on either runtime: what an application does with the API.
#![allow(
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a handler that panics is one of the features, and what tests send adds up"
)]

use std::{
    borrow::Cow,
    collections::BTreeMap,
    future::{Future, pending, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sockeye::{AckSendError, RoomName, prelude::*};

#[path = "args.rs"]
mod args;
#[path = "room_names.rs"]
mod room_names;

use room_names::room_names;

/// Serves until `terminated`, then shuts down.
pub(crate) async fn run(terminated: impl Future<Output = ()>) -> Result<(), BoxError> {
    let [ping_interval, ping_timeout] = [500, 2_500].map(Duration::from_millis);
    let cors = Some(Cors { origins: Origins::Any, ..Cors::default() });
    let io = Server::new(Config { ping_interval, ping_timeout, cors, ..Config::default() });
    let app = Arc::new(App { io: io.clone(), gates: Gates::default(), log: Mutex::default() });
    for name in ["/", "/guarded", "/slow", "/endless", "/failing"] {
        watched(&io.of(name), &app);
    }
    // First, so that its catch-all listeners see what the others emit.
    listeners(&io, &app);
    emitting(&io);
    acknowledgements(&io, &app);
    rooms(&io, &app);
    waiting(&io, &app);
    faults(&io, &app);
    sockets(&io, &app);
    guarded(&io.of("/guarded"));
    slow(&io.of("/slow"), &app);
    endless(&io.of("/endless"));
    failing(&io.of("/failing"));

    let listening = io.listen(("127.0.0.1", args::port())).await?;
    println!("listening on {}", listening.local_addr());
    terminated.await;
    listening.shutdown(Duration::from_secs(2)).await;
    println!("{}", serde_json::to_string(&app.summary())?);
    Ok(())
}

/// What the handlers share.
struct App {
    io: Server,
    gates: Gates,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    sockets: usize,
    reasons: BTreeMap<&'static str, usize>,
    /// Namespace, event and text.
    errors: Vec<(String, String, String)>,
    news: Vec<Values>,
}

#[derive(Serialize)]
struct Summary {
    sockets: usize,
    reasons: BTreeMap<&'static str, usize>,
    idle: bool,
    stats: String,
}

impl App {
    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    /// Tells those who watch.
    fn tell<T: Serialize>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.io.to("watchers").emit(event, args).map(drop)
    }

    fn summary(&self) -> Summary {
        let stats = self.io.stats();
        let mut nothing = Stats::default();
        nothing.namespaces = stats.namespaces;
        let log = self.log();
        Summary {
            sockets: log.sockets,
            reasons: log.reasons.clone(),
            idle: stats == nothing,
            stats: format!("{stats:?}"),
        }
    }
}

type Shared = State<Arc<App>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is the same in every namespace: connections and disconnections are counted and told, faults are kept.
fn watched(nsp: &Namespace, app: &Arc<App>) {
    /// The rooms when `disconnecting` was told.
    struct Last(Vec<String>);

    let keeper = app.clone();
    nsp.on_error(move |error| {
        let (nsp, event) = (error.socket().namespace().to_owned(), error.event().unwrap_or("connect").to_owned());
        keeper.log().errors.push((nsp, event, error.fault().to_string()));
    });
    let nsp = nsp.with_state(app.clone());
    nsp.on_connect(async |State(app): Shared| app.log().sockets += 1);
    nsp.on_disconnecting(async |socket: Socket| socket.set_data(Last(sorted(&socket))));
    nsp.on_disconnect(async |State(app): Shared, socket: Socket, reason: DisconnectReason| {
        *app.log().reasons.entry(reason.as_str()).or_default() += 1;
        let last = socket.data::<Last>();
        app.tell("left", &(socket.id(), reason.as_str(), last.as_ref().map(|last| &last.0), sorted(&socket)))
    });
}

fn sorted(socket: &Socket) -> Vec<String> {
    let mut rooms = socket.rooms();
    rooms.sort();
    rooms
}

#[derive(Serialize, Deserialize)]
struct Extra {
    #[serde(rename = "3")]
    three: String,
    #[serde(rename = "5")]
    five: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Album {
    title: String,
    photos: Vec<Photo>,
}

#[derive(Serialize, Deserialize)]
struct Photo {
    name: String,
    data: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbnail: Option<Bytes>,
}

fn emitting(io: &Server) {
    io.on_connect(async |socket: Socket| {
        let extra = Extra { three: "4".into(), five: Bytes::from_static(&[6]) };
        socket.emit("hello", &(1, "2", extra))
    });
    io.on("hello", async |socket: Socket, Args((number, text, extra)): Args<(i64, String, Extra)>| {
        let five: Bytes = extra.five.iter().copied().chain([7]).collect();
        socket.emit("hello", &(number + 1, text + "!", Extra { three: extra.three + "!", five }))
    });
    io.on("album", async |socket: Socket, Args((mut album, cover)): Args<(Album, Bytes)>, ack: Ack| {
        album.photos.reverse();
        socket.emit("album", &(&album, &cover))?;
        ack.send(&(album, cover))?;
        Ok::<_, BoxError>(())
    });
    io.on("send", async |socket: Socket, args: RawArgs| socket.send(&args));
    io.on("burst", async |socket: Socket, Args(count): Args<u32>| {
        (0..count).try_for_each(|tick| socket.emit("tick", &tick))
    });
    io.on("measure", async |socket: Socket, Args(data): Args<Value>| {
        let length = match &data {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            _ => return Err(BoxError::from("neither text nor binary")),
        };
        Ok(socket.emit("measured", &length)?)
    });
    io.on("fill", async |socket: Socket, Args(count): Args<usize>| socket.emit("filled", &"x".repeat(count)));
}

fn acknowledgements(io: &Server, app: &Arc<App>) {
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }

    #[derive(Serialize)]
    struct Response {
        status: &'static str,
        name: String,
        text: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum How {
        Callback,
        Promise,
    }

    type Answer = Result<Option<Value>, AckError>;

    fn answered(app: &App, id: Sid, answer: Answer) -> Result<(), EmitError> {
        match answer {
            Ok(first) => app.tell("answered", &(id, "ok", first)),
            Err(AckError::Timeout) => app.tell("answered", &(id, "timeout")),
            Err(AckError::Disconnected) => app.tell("answered", &(id, "disconnected")),
            Err(error) => app.tell("answered", &(id, error.to_string())),
        }
    }

    io.on("request", async |Args((Name { name }, text)): Args<(Name, String)>, ack: Ack| {
        ack.send(&Response { status: "ok", name, text })
    });
    io.on("twice", async |ack: Ack| {
        ack.send("first")?;
        match ack.clone().send("second") {
            Err(AckSendError::AlreadySent) => Ok(()),
            other => Err(BoxError::from(format!("{other:?}"))),
        }
    });
    let io = io.of("/").with_state(app.clone());
    io.on("ask", async |State(app): Shared, socket: Socket, args: RawArgs| {
        let (how, time): (How, Option<u64>) = args.deserialize()?;
        let question = Values(args.to_values()?.split_off(2));
        let (id, time) = (socket.id(), time.map(Duration::from_millis));
        match how {
            How::Callback => {
                // There is nobody to tell once the server is gone.
                let told = move |answer: Answer| _ = answered(&app, id, answer);
                match time {
                    Some(time) => socket.timeout(time).emit_then("question", &question, told)?,
                    None => socket.emit_then("question", &question, told)?,
                }
            }
            How::Promise => {
                let answer: Answer = match time {
                    Some(time) => socket.timeout(time).emit_with_ack("question", &question).await,
                    None => socket.emit_with_ack("question", &question).await,
                };
                answered(&app, id, answer)?;
            }
        }
        Ok::<_, BoxError>(())
    });
}

/// What a socket's catch-all listeners saw.
#[derive(Default, Serialize)]
struct Seen {
    incoming: Vec<Vec<Value>>,
    outgoing: Vec<Vec<Value>>,
}

fn listeners(io: &Server, app: &Arc<App>) {
    struct Many([ListenerId; 3]);

    fn row(event: &Event) -> Vec<Value> {
        let mut row = event.values().unwrap_or_default();
        row.insert(0, event.name().into());
        row
    }

    let keeper = app.clone();
    io.on_any_outgoing(move |event| {
        if event.socket().is_none() && event.name() == "news" {
            keeper.log().news.push(Values(row(event)));
        }
    });
    io.on_connect(async |socket: Socket| {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let [incoming, outgoing] = [seen.clone(), seen.clone()];
        socket.on_any(move |event| lock(&incoming).incoming.push(row(event)));
        socket.on_any_outgoing(move |event| lock(&outgoing).outgoing.push(row(event)));
        socket.set_data(seen);

        socket.set_data(Many(
            [1, 2, 3].map(|i| socket.on("many", move |socket: Socket| async move { socket.emit("many", &i) })),
        ));
        socket.once("once", async |socket: Socket| socket.emit("once", &()));
    });
    io.on("seen", async |socket: Socket, ack: Ack| match socket.data::<Arc<Mutex<Seen>>>() {
        Some(seen) => ack.send(&std::mem::take(&mut *lock(&seen))),
        None => Ok(()),
    });
    io.on("off", async |socket: Socket, Args(which): Args<String>, ack: Ack| {
        match (which.as_str(), socket.data::<Many>()) {
            ("second", Some(many)) => _ = socket.off(many.0[1]),
            _ => _ = socket.off_all("many"),
        }
        ack.send(&())
    });
}

fn rooms(io: &Server, app: &Arc<App>) {
    #[derive(Deserialize)]
    struct Publish {
        by: By,
        nsp: String,
        to: Vec<Rooms>,
        except: Vec<Rooms>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum By {
        Server,
        Socket,
    }

    /// A room, or several.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Rooms {
        One(String),
        Several(Vec<String>),
    }

    impl From<Rooms> for Vec<RoomName> {
        fn from(rooms: Rooms) -> Self {
            room_names(match rooms {
                Rooms::One(room) => vec![room],
                Rooms::Several(rooms) => rooms,
            })
        }
    }

    #[derive(Deserialize)]
    struct Selection {
        to: Vec<String>,
        except: Vec<String>,
    }

    io.on("join", async |socket: Socket, Args(rooms): Args<Vec<String>>, ack: Ack| {
        socket.join(rooms)?;
        ack.send(&sorted(&socket))?;
        Ok::<_, BoxError>(())
    });
    io.on("leave", async |socket: Socket, Args(room): Args<String>, ack: Ack| {
        socket.leave(&room);
        ack.send(&sorted(&socket))
    });
    let io = io.of("/").with_state(app.clone());
    io.on("publish", async |State(app): Shared, socket: Socket, args: RawArgs| {
        let Publish { by, nsp, to, except } = args.deserialize()?;
        let all = match by {
            By::Server => app.io.of(&nsp).local(),
            By::Socket => socket.broadcast(),
        };
        let some = to.into_iter().fold(all, |some, rooms| some.to(Vec::from(rooms)));
        let these = except.into_iter().fold(some, |some, rooms| some.except(Vec::from(rooms)));
        these.emit("news", &Values(args.to_values()?.split_off(1)))?;
        Ok::<_, BoxError>(())
    });
    io.on("manage", async |State(app): Shared, args: RawArgs, ack: Ack| {
        let (Selection { to, except }, verb): (_, String) = args.deserialize()?;
        let these = app.io.to(room_names(to)).except(room_names(except));
        let rooms = || args.deserialize::<(Value, Value, Vec<String>)>().map(|(_, _, rooms)| rooms);
        match verb.as_str() {
            "join" => these.sockets_join(rooms()?),
            "leave" => these.sockets_leave(rooms()?),
            _ => these.disconnect_sockets(args.deserialize::<(Value, Value, bool)>()?.2),
        };
        ack.send(&())?;
        Ok::<_, BoxError>(())
    });
}

fn waiting(io: &Server, app: &Arc<App>) {
    let io = io.of("/").with_state(app.clone());
    io.on("hold", async |State(app): Shared, socket: Socket, Args((gate, label)): Args<(String, Value)>| {
        socket.emit("holding", &label)?;
        app.gates.opened(&gate).await;
        // It may have gone meanwhile.
        let _ = socket.emit("held", &label);
        app.tell("completed", &label)
    });
    io.on("open", async |State(app): Shared, Args(gate): Args<String>, ack: Ack| {
        app.gates.open(&gate);
        ack.send(&())
    });
}

fn faults(io: &Server, app: &Arc<App>) {
    io.on("panic", async |Args(text): Args<String>| -> Result<(), BoxError> { panic!("{text}") });
    io.on("fail", async |Args(text): Args<String>| Err::<(), _>(text));
    io.on("typed", async |Args(number): Args<i64>, ack: Ack| ack.send(&(number + 1)));
    let io = io.of("/").with_state(app.clone());
    io.on("errors", async |State(app): Shared, ack: Ack| {
        let errors = std::mem::take(&mut app.log().errors);
        ack.send(&errors)
    });
}

fn sockets(io: &Server, app: &Arc<App>) {
    #[derive(Serialize)]
    struct Found<'a> {
        header: Option<String>,
        query: Option<Cow<'a, str>>,
        address: Option<String>,
        url: &'a str,
        auth: Option<Value>,
        secure: bool,
        xdomain: bool,
        issued: u128,
    }

    struct Note(Value);

    io.on("handshake", async |handshake: Handshake, Args((header, query)): Args<(String, String)>, ack: Ack| {
        ack.send(&Found {
            header: handshake.header_str(&header),
            query: handshake.query(&query),
            address: handshake.address().map(|address| address.ip().to_string()),
            url: handshake.url(),
            auth: handshake.auth_value(),
            secure: handshake.secure(),
            xdomain: handshake.xdomain(),
            issued: handshake.time().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
        })
    });
    io.on("note", async |socket: Socket, Args(note): Args<Value>, ack: Ack| {
        let before = socket.data::<Note>();
        socket.set_data(Note(note));
        ack.send(&before.as_ref().map(|note| &note.0))
    });
    io.on("kick", async |socket: Socket, Args(close): Args<bool>| socket.disconnect(close));
    let io = io.of("/").with_state(app.clone());
    io.on("broadcasts", async |State(app): Shared, ack: Ack| {
        let news = std::mem::take(&mut app.log().news);
        ack.send(&news.iter().map(|news| &news.0).collect::<Vec<_>>())
    });
    io.on("stats", async |State(app): Shared, ack: Ack| ack.send(&format!("{:?}", app.io.stats())));
}

fn guarded(nsp: &Namespace) {
    /// The middlewares that ran.
    struct Passed(Vec<&'static str>);

    fn token(handshake: &Handshake) -> String {
        #[derive(Deserialize)]
        struct Auth {
            token: String,
        }
        handshake.auth::<Auth>().map(|auth| auth.token).unwrap_or_default()
    }

    #[derive(Serialize)]
    struct Refused {
        code: u16,
        tokens: [String; 1],
    }

    nsp.middleware(async |socket: Socket, handshake: Handshake| {
        later().await;
        socket.set_data(Passed(vec!["first"]));
        if token(&handshake).is_empty() { Err("no token") } else { Ok(()) }
    });
    nsp.middleware(async |socket: Socket, handshake: Handshake| {
        let before = socket.data::<Passed>();
        let passed = before.iter().flat_map(|passed| &passed.0).copied().chain(["second"]).collect();
        socket.set_data(Passed(passed));
        match token(&handshake) {
            token if token == "secret" => Ok(()),
            token => {
                Err(BoxError::from(ConnectError::with_data("wrong token", &Refused { code: 401, tokens: [token] })?))
            }
        }
    });
    nsp.on_connect(async |socket: Socket| match socket.data::<Passed>() {
        Some(passed) => socket.emit("passed", &passed.0),
        None => Ok(()),
    });
}

/// Completes when it is asked for the second time.
async fn later() {
    let mut asked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn back(socket: Socket, EventName(name): EventName, args: RawArgs, ack: Option<Ack>) -> Result<(), BoxError> {
    if let Some(ack) = ack {
        ack.send(&args)?;
    }
    Ok(socket.emit(&name, &args)?)
}

fn slow(nsp: &Namespace, app: &Arc<App>) {
    #[derive(Deserialize)]
    struct Auth {
        gate: String,
    }

    nsp.with_state(app.clone()).on_connect(async |State(app): Shared, socket: Socket, handshake: Handshake| {
        let Auth { gate } = handshake.auth()?;
        socket.emit("early", &())?;
        socket.on("known", back);
        app.gates.opened(&gate).await;
        socket.on("late", back);
        Ok::<_, BoxError>(())
    });
}

fn endless(nsp: &Namespace) {
    nsp.on_connect(async |socket: Socket| {
        socket.on("echo", back);
        pending::<()>().await;
    });
}

fn failing(nsp: &Namespace) {
    #[derive(Deserialize)]
    struct Auth {
        text: String,
    }

    nsp.on("echo", back);
    nsp.on_connect(async |handshake: Handshake| -> Result<(), BoxError> { Err(handshake.auth::<Auth>()?.text.into()) });
}

/// What handlers wait for until somebody opens it, once and for all.
#[derive(Default)]
struct Gates(Mutex<BTreeMap<String, Gate>>);

#[derive(Default)]
struct Gate {
    is_open: bool,
    waiting: Vec<Waker>,
}

impl Gates {
    fn open(&self, name: &str) {
        let waiting = {
            let mut gates = lock(&self.0);
            let gate = gates.entry(name.to_owned()).or_default();
            gate.is_open = true;
            std::mem::take(&mut gate.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn opened(&self, name: &str) {
        poll_fn(|cx| {
            let mut gates = lock(&self.0);
            let gate = gates.entry(name.to_owned()).or_default();
            if gate.is_open {
                return Poll::Ready(());
            }
            gate.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
