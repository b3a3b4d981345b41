//! One recorded trace of a client gives the same bytes in the core alone, through tokio and through async-std, however it
//! is cut into reads.
//!
//! The application is written twice: with the core's events and verbs, and with handlers. The byte streams are in memory,
//! and the session ids follow from a seed. Everything behind the 101 is compared, to the close frame that answers the
//! trace's last packet, which is none.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, which wait for other threads"
)]

#[path = "../../driver/tests/support/pipe.rs"]
#[allow(dead_code, unreachable_pub, reason = "the driver's own tests use all of it")]
mod pipe;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant as Clock},
};

use bytes::{Buf as _, Bytes, BytesMut};
use pipe::{ClientEnd, pipe};
use sockeye_async_std::AsyncStdRuntime;
use sockeye_driver::{
    Ack, Args, BoxError, ConnectError, Handshake, Peer, RawArgs, Runtime, Seed, Serve, Server, Socket, Values,
};
use sockeye_protocol::{
    Config, ConnKey, Instant, NspId, Output, RequestId, Route, TransportId,
    http::{Body, Request},
    server::{self, AckOutcome, Event, Room, Target},
    socket::Payload,
};
use sockeye_tokio::TokioRuntime;

const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";

const HEADERS: [(&str, &str); 5] = [
    ("Host", "test"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// What the client sends behind the 101, whatever it gets.
fn trace() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |text: &str| frame(&mut bytes, 1, text.as_bytes());
    text("40{\"token\":\"secret\"}");
    text("40/admin,{\"token\":\"wrong\"}");
    text("40/nowhere,");
    text("40/admin,{\"token\":\"secret\"}");
    text("42[\"echo\",1,\"two\",{\"three\":[4.5,null,true]}]");
    text("421[\"sum\",20,22]");
    text("42[\"nobody listens\",1]");
    text("452-7[\"bin\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]");
    frame(&mut bytes, 2, &[0, 1, 2]);
    // A message in fragments, with a ping in between.
    part(&mut bytes, 0x02, &[253, 254]);
    frame(&mut bytes, 9, b"are you there?");
    part(&mut bytes, 0x80, &[255]);
    let mut text = |text: &str| frame(&mut bytes, 1, text.as_bytes());
    text("42[\"ask\"]");
    text("430[\"an answer\"]");
    // Of which the server knows nothing.
    text("4399[1]");
    text("42/admin,[\"echo\",\"admin\"]");
    text("41/admin,");
    text("42[\"room\",\"a\"]");
    text("42[\"room\",\"b\"]");
    text("42[\"to all\",\"\\u00e9\\ud83d\\ude00\"]");
    for n in 0..100 {
        text(&format!("42[\"many\",{n}]"));
    }
    let long = "x".repeat(70_000);
    text(&format!("42[\"echo\",\"{long}\"]"));
    text("42[\"no event");
    // Too late.
    text("42[\"echo\",1]");
    bytes
}

/// A whole frame of a client.
fn frame(bytes: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    part(bytes, 0x80 | opcode, payload);
}

fn part(bytes: &mut Vec<u8>, first: u8, payload: &[u8]) {
    let mask = [0x12, 0x34, 0x56, 0x78];
    bytes.push(first);
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// The trace, cut.
fn chunks(trace: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut chunks) = (trace, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, left) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk.to_vec());
        rest = left;
    }
    chunks
}

#[derive(serde::Deserialize)]
struct Auth {
    token: String,
}

/// The application as handlers.
fn handlers(io: &Server) {
    let admin = io.of("/admin");
    admin.middleware(async |handshake: Handshake| -> Result<(), BoxError> {
        match handshake.auth::<Auth>() {
            Ok(auth) if auth.token == "secret" => Ok(()),
            _ => Err(ConnectError::with_data("not authorized", &("token", 1))?.into()),
        }
    });
    let all = io.clone();
    io.on_connect(move |socket: Socket| {
        let all = all.clone();
        async move {
            socket.emit("welcome", &socket.id())?;
            all.emit("joined", &())?;
            Ok::<_, BoxError>(())
        }
    });
    for namespace in [io.of("/"), admin] {
        namespace.on("echo", async |socket: Socket, Values(values): Values| socket.emit("echo", &values));
    }
    io.on("sum", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
    io.on("bin", async |Args((a, b)): Args<(Bytes, Bytes)>, ack: Ack| ack.send(&(b, "and", a)));
    io.on("ask", async |socket: Socket| {
        let answer: String = socket.emit_with_ack("question", &("what", Bytes::from_static(b"?"))).await?;
        socket.emit("answered", &answer)?;
        Ok::<_, BoxError>(())
    });
    let rooms = io.clone();
    io.on("room", move |socket: Socket, Args(name): Args<String>| {
        let rooms = rooms.clone();
        async move {
            socket.join(&name)?;
            rooms.to("a").except("b").emit("in a, not in b", &name)?;
            rooms.to(["a", "b"]).emit("in a or b", &(name, Bytes::from_static(&[1])))?;
            Ok::<_, BoxError>(())
        }
    });
    let all = io.clone();
    io.on("to all", move |socket: Socket, args: RawArgs| {
        let all = all.clone();
        async move {
            let text: String = args.deserialize()?;
            all.emit("all", &text)?;
            socket.emit("one", &text)?;
            all.emit("all", &text)?;
            Ok::<_, BoxError>(())
        }
    });
    io.on("many", async |socket: Socket, Args(n): Args<usize>| {
        for m in 0..n {
            socket.emit("one of many", &(n, m))?;
        }
        Ok::<_, BoxError>(())
    });
}

/// The application on the core's events.
struct App {
    server: server::Server,
    main: NspId,
    now: Instant,
}

impl App {
    fn new(seed: &Seed) -> Self {
        let mut server = server::Server::new(Config::default(), seed);
        let main = server.add_namespace("/");
        server.add_namespace("/admin");
        Self { server, main, now: Instant::ZERO }
    }

    fn broadcast(&mut self, rooms: &[&str], except: &[&str], event: &Payload) {
        let rooms: Vec<Room<'_>> = rooms.iter().map(|room| Room::from(*room)).collect();
        let except: Vec<Room<'_>> = except.iter().map(|room| Room::from(*room)).collect();
        let target = Target { namespace: self.main, rooms: &rooms, except: &except };
        self.server.broadcast(self.now, &target, event).unwrap();
    }

    fn handle(&mut self, event: Event) {
        let now = self.now;
        let encode = |event: &str, args: &dyn ToPayload| args.encode(event);
        match event {
            Event::Connect(request) if &**request.namespace() == "/admin" => {
                match request.auth().map(|auth| auth.deserialize::<Auth>()) {
                    Some(Ok(auth)) if auth.token == "secret" => drop(self.server.accept(now, request).unwrap()),
                    _ => {
                        let refusal = ConnectError::with_data("not authorized", &("token", 1)).unwrap();
                        self.server.reject(now, request, &refusal).unwrap();
                    }
                }
            }
            Event::Connect(request) => {
                let sid = request.sid();
                let socket = self.server.accept(now, request).unwrap();
                self.server.emit(now, socket, &encode("welcome", &sid)).unwrap();
                self.broadcast(&[], &[], &encode("joined", &()));
            }
            Event::Packet { socket, event, args, ack } => match (&*event, ack) {
                ("echo", _) => {
                    self.server.emit(now, socket, &encode("echo", &args.to_values().unwrap())).unwrap();
                }
                ("sum", Some(ack)) => {
                    let (a, b): (i64, i64) = args.deserialize().unwrap();
                    self.server.reply(now, &ack, &Payload::ack(&(a + b), 10).unwrap()).unwrap();
                }
                ("bin", Some(ack)) => {
                    let (a, b): (Bytes, Bytes) = args.deserialize().unwrap();
                    self.server.reply(now, &ack, &Payload::ack(&(b, "and", a), 10).unwrap()).unwrap();
                }
                ("ask", _) => {
                    let question = encode("question", &("what", Bytes::from_static(b"?")));
                    self.server.emit_with_ack(now, socket, &question, Duration::from_secs(30)).unwrap();
                }
                ("room", _) => {
                    let name: String = args.deserialize().unwrap();
                    self.server.join(socket, &name).unwrap();
                    self.broadcast(&["a"], &["b"], &encode("in a, not in b", &name));
                    self.broadcast(&["a", "b"], &[], &encode("in a or b", &(name, Bytes::from_static(&[1]))));
                }
                ("to all", _) => {
                    let text: String = args.deserialize().unwrap();
                    self.broadcast(&[], &[], &encode("all", &text));
                    self.server.emit(now, socket, &encode("one", &text)).unwrap();
                    self.broadcast(&[], &[], &encode("all", &text));
                }
                ("many", _) => {
                    let n: usize = args.deserialize().unwrap();
                    for m in 0..n {
                        self.server.emit(now, socket, &encode("one of many", &(n, m))).unwrap();
                    }
                }
                _ => {}
            },
            Event::Ack { socket, outcome: AckOutcome::Reply(args), .. } => {
                let answer: String = args.deserialize().unwrap();
                self.server.emit(now, socket, &encode("answered", &answer)).unwrap();
            }
            _ => {}
        }
    }

    /// Does what there is to do; the WebSocket that a request became, and what is to be written to it.
    fn drain(&mut self, websocket: &mut Option<(ConnKey, TransportId)>, written: &mut Vec<u8>) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Upgrade { connection, transport, .. } => *websocket = Some((connection, transport)),
                Output::Event(event) => self.handle(event),
                _ => {}
            }
        }
        let Some((key, transport)) = *websocket else { return };
        let Some(queue) = self.server.transmit(key, transport) else { return };
        while queue.has_remaining() {
            written.extend_from_slice(queue.chunk());
            queue.advance(queue.chunk().len());
        }
    }
}

/// Arguments of any type.
trait ToPayload {
    fn encode(&self, event: &str) -> Payload;
}

impl<T: serde::Serialize> ToPayload for T {
    fn encode(&self, event: &str) -> Payload {
        Payload::event(event, self, 10).unwrap()
    }
}

/// What the core writes behind the 101.
fn in_the_core(seed: &Seed, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut app = App::new(seed);
    let headers = HEADERS.map(|(name, value)| (name, value.as_bytes()));
    let head = Request { method: "GET", target: TARGET, headers: &headers, peer: None, secure: false };
    let Route::Connection { key, .. } = app.server.route(app.now, &head) else { panic!("no connection") };
    app.server.handle_request(app.now, key, RequestId(1), &head, Body::EMPTY);
    let (mut websocket, mut written) = (None, Vec::new());
    app.drain(&mut websocket, &mut written);
    let (key, transport) = websocket.expect("a WebSocket");
    for chunk in chunks {
        // Time passes, and changes nothing.
        app.now = app.now + Duration::from_micros(10);
        app.server.handle_bytes(app.now, key, transport, &mut BytesMut::from(&chunk[..]));
        app.drain(&mut websocket, &mut written);
    }
    written
}

/// What a server writes behind the 101, through one of the runtimes.
fn through(runtime: &Arc<dyn Runtime>, seed: &Seed, chunks: &[Vec<u8>], expected: usize) -> Vec<u8> {
    let io = Server::with_seed(Config::default(), seed);
    handlers(&io);
    let (stream, end) = pipe(4_096);
    runtime.spawn(Box::pin(io.serve_connection(runtime, stream, Peer::default())));
    let headers: String = HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    end.write(format!("GET {TARGET} HTTP/1.1\r\n{headers}\r\n").as_bytes());
    let mut read = Vec::new();
    let behind_the_head = |read: &[u8]| read.windows(4).position(|four| four == b"\r\n\r\n").map(|index| index + 4);
    until("the 101", || {
        read.extend(end.read(usize::MAX));
        behind_the_head(&read).is_some()
    });
    let head = behind_the_head(&read).unwrap();
    assert!(read.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&read));
    for chunk in chunks {
        end.write(chunk);
        // So that the next one is another read.
        until("a read", || {
            read.extend(end.read(usize::MAX));
            end.unread() == 0 || end.is_ended()
        });
    }
    until("all that is expected", || {
        read.extend(end.read(usize::MAX));
        read.len() >= head + expected
    });
    // The peer's end, which a server waits for that has closed.
    end.end();
    until("the end", || {
        read.extend(end.read(usize::MAX));
        is_over(&end)
    });
    read.split_off(head)
}

fn is_over(end: &ClientEnd) -> bool {
    end.is_dropped() && end.arrived() == 0
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Clock::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        thread::sleep(Duration::from_micros(20));
    }
}

/// The first difference, with what is around it.
#[track_caller]
fn assert_same(what: &str, bytes: &[u8], expected: &[u8]) {
    if bytes == expected {
        return;
    }
    let at = bytes.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(bytes.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        let range = at.saturating_sub(60).min(bytes.len())..(at + 60).min(bytes.len());
        String::from_utf8_lossy(&bytes[range]).into_owned()
    };
    panic!("{what}: byte {at} of {}\n{:?}\nis not\n{:?}", expected.len(), around(bytes), around(expected));
}

#[test]
fn one_trace_gives_the_same_bytes_in_the_core_and_through_both_runtimes() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let runtimes: [(&str, Arc<dyn Runtime>); 2] =
        [("tokio", Arc::new(TokioRuntime::from(tokio.handle().clone()))), ("async-std", Arc::new(AsyncStdRuntime))];
    let (seed, trace) = (Seed::for_tests(7), trace());
    let expected = in_the_core(&seed, &chunks(&trace, &[usize::MAX]));

    // That there is something to compare.
    let text = String::from_utf8_lossy(&expected).into_owned();
    for part in [
        "0{\"sid\":\"",
        "40{\"sid\":\"",
        "42[\"welcome\",\"",
        "44/admin,{\"message\":\"not authorized\",\"data\":[\"token\",1]}",
        "44/nowhere,{\"message\":\"Invalid namespace\"}",
        "431[42]",
        "462-7[",
        "451-0[\"question\"",
        "42[\"answered\",\"an answer\"]",
        "42/admin,[\"echo\",[\"admin\"]]",
        "42[\"in a, not in b\",\"a\"]",
        "42[\"one of many\",99,98]",
        "are you there?",
        "parse error",
    ] {
        assert!(text.contains(part), "the core did not write {part}");
    }
    assert!(!text.contains("42[\"in a, not in b\",\"b\"]"));
    assert!(text.ends_with("parse error"));
    assert_ne!(expected, in_the_core(&Seed::for_tests(8), &chunks(&trace, &[usize::MAX])), "the seed matters");

    for sizes in [&[usize::MAX][..], &[1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233], &[1_000], &[16_384]] {
        let chunks = chunks(&trace, sizes);
        let name = format!("in chunks of {sizes:?} in the core");
        assert_same(&name, &in_the_core(&seed, &chunks), &expected);
        for (name, runtime) in &runtimes {
            let name = format!("in chunks of {sizes:?} through {name}");
            assert_same(&name, &through(runtime, &seed, &chunks, expected.len()), &expected);
        }
    }
    // Every byte alone: much work for threads, so in the core only.
    assert_same("byte by byte in the core", &in_the_core(&seed, &chunks(&trace, &[1])), &expected);
}
