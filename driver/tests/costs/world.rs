//! A server of the driver and its clients in memory: on a runtime without threads, on byte streams that count.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what uses this uses a part of it, and a failure ends it"
)]

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use frames::{frame, unmasked};
use hyper::rt::{Read, ReadBufCursor, Write};
use sockeye_driver::{
    BoxFuture, Peer, Runtime, Serve as _,
    client::{Address, Client, ClientBuilder, Connector, Failure, Transport},
    prelude::*,
};
use sockeye_protocol::ws::accept_key;

#[path = "../../../protocol/benches/shared/frames.rs"]
pub mod frames;

/// A server and its clients, each on a byte stream that counts.
pub struct World {
    pub tasks: Arc<Tasks>,
    pub streams: Vec<Stream>,
}

impl World {
    /// Clients on WebSockets.
    pub fn new(clients: usize) -> Self {
        let world = Self::with_streams(clients);
        for stream in &world.streams {
            stream.receive(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            );
            world.tasks.run();
            stream.receive(&frame(1, b"40"));
            world.tasks.run();
            assert!(stream.take().windows(3).any(|sent| sent == b"40{"), "the client is connected");
        }
        world
    }

    /// A client of the driver that sends back what it gets, on a byte stream whose other end is a server by hand.
    pub fn of_client() -> (Self, Client) {
        let (tasks, stream) = (Arc::new(Tasks::default()), Stream::default());
        let runtime: Arc<dyn Runtime> = Arc::clone(&tasks) as Arc<dyn Runtime>;
        let client = ClientBuilder::new("http://a", runtime, Arc::new(stream.clone()))
            .config(|config| config.transports = vec![Transport::WebSocket])
            .start()
            .unwrap();
        client.on("echo", async |client: Client, Args(text): Args<String>| client.emit("echo", &text));
        client.on("binary", async |client: Client, Args(bytes): Args<Bytes>| client.emit("binary", &bytes));
        client.on("ack", async |Args(text): Args<String>, ack: Ack| ack.send(&text));
        tasks.run();
        let request = String::from_utf8(stream.take()).unwrap();
        let (_, key) = request.split_once("sec-websocket-key: ").unwrap();
        let accept = accept_key(key.lines().next().unwrap());
        stream.receive(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        let open = br#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#;
        stream.receive(&unmasked(1, open));
        tasks.run();
        stream.receive(&unmasked(1, br#"40{"sid":"b"}"#));
        tasks.run();
        assert!(client.is_connected());
        stream.take();
        (Self { tasks, streams: vec![stream] }, client)
    }

    /// A client on polling, and what it sends to have 16 bytes echoed: a GET on the first connection, where it waits, then a
    /// POST on the second one.
    pub fn polling() -> (Self, Vec<u8>, Vec<u8>) {
        let world = Self::with_streams(2);
        let ask = |stream: usize, request: String| {
            world.streams[stream].receive(request.as_bytes());
            world.tasks.run();
            String::from_utf8(world.streams[stream].take()).unwrap()
        };
        let get = |query: &str| format!("GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        let open = ask(0, get(""));
        let query = format!("&sid={}", open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap());
        let post = |body: &str| {
            let len = body.len();
            let target = format!("/socket.io/?EIO=4&transport=polling{query}");
            format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}"
            )
        };
        assert!(ask(1, post("40")).ends_with("ok"));
        let get = get(&query);
        assert!(ask(0, get.clone()).contains("40{"));
        let post = post(r#"42["echo","0123456789abcdef"]"#);
        (world, get.into_bytes(), post.into_bytes())
    }

    /// Connections on which nothing was said yet.
    pub fn with_streams(count: usize) -> Self {
        let io = Server::new(Config::default());
        io.on_connect(async |socket: Socket| socket.join("all").map(drop));
        io.on("echo", async |socket: Socket, Args(text): Args<String>| socket.emit("echo", &text));
        io.on("binary", async |socket: Socket, Args(bytes): Args<Bytes>| socket.emit("binary", &bytes));
        io.on("ack", async |Args(text): Args<String>, ack: Ack| ack.send(&text));
        let all = io.to("all");
        io.on("broadcast", move |Args(text): Args<String>| {
            let all = all.clone();
            async move { all.emit("broadcast", &text).map(drop) }
        });
        let tasks = Arc::new(Tasks::default());
        let runtime: Arc<dyn Runtime> = Arc::clone(&tasks) as Arc<dyn Runtime>;
        let streams: Vec<Stream> = (0..count).map(|_| Stream::default()).collect();
        for stream in &streams {
            let peer = Peer { address: None, secure: false };
            runtime.spawn(Box::pin(io.serve_connection(&runtime, stream.clone(), peer)));
        }
        tasks.run();
        Self { tasks, streams }
    }
}

/// A runtime without a thread and a clock: whatever task was woken is polled.
#[derive(Default)]
pub struct Tasks {
    new: Mutex<Vec<BoxFuture>>,
    all: Mutex<Vec<Task>>,
    pub polls: AtomicUsize,
}

struct Task {
    future: Option<BoxFuture>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Tasks {
    pub fn run(&self) {
        let mut all = self.all.lock().unwrap();
        loop {
            let woken = || Arc::new(Flag(AtomicBool::new(true)));
            all.extend(self.new.lock().unwrap().drain(..).map(|future| Task { future: Some(future), woken: woken() }));
            let mut any = false;
            for Task { future, woken } in all.iter_mut() {
                if !woken.0.swap(false, Ordering::SeqCst) {
                    continue;
                }
                let Some(task) = future else { continue };
                any = true;
                self.polls.fetch_add(1, Ordering::SeqCst);
                let waker = Waker::from(Arc::clone(woken));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    *future = None;
                }
            }
            if !any && self.new.lock().unwrap().is_empty() {
                return;
            }
        }
    }
}

impl Runtime for Tasks {
    fn spawn(&self, task: BoxFuture) {
        self.new.lock().unwrap().push(task);
    }

    fn sleep(&self, _: Duration) -> BoxFuture {
        Box::pin(std::future::pending())
    }
}

/// A byte stream in memory.
#[derive(Clone, Default)]
pub struct Stream(Arc<Mutex<Wire>>);

#[derive(Default)]
pub struct Wire {
    received: Vec<u8>,
    read: usize,
    pub sent: Vec<u8>,
    waker: Option<Waker>,
    pub reads: usize,
    pub writes: usize,
}

impl Stream {
    pub fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }

    pub fn receive(&self, bytes: &[u8]) {
        let mut wire = self.lock();
        wire.received.extend(bytes);
        // So that writing allocates nothing.
        wire.sent.reserve(200_000);
        let waker = wire.waker.take();
        drop(wire);
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().sent)
    }
}

impl Connector for Stream {
    fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn sockeye_driver::Stream>, Failure>> {
        let stream = self.clone();
        Box::pin(async { Ok(Box::new(stream) as Box<dyn sockeye_driver::Stream>) })
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.lock();
        wire.reads += 1;
        let unread = &wire.received[wire.read..];
        let count = unread.len().min(cursor.remaining());
        if count == 0 {
            wire.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        cursor.put_slice(&unread[..count]);
        wire.read += count;
        if wire.read == wire.received.len() {
            wire.received.clear();
            wire.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.lock();
        wire.writes += 1;
        slices.iter().for_each(|slice| wire.sent.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
