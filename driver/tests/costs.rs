//! What a message costs the driver: reads and writes of the byte stream, polls of tasks, and allocations. They are the same
//! on any machine and at any load, so that a change which adds one is noticed here and not by somebody who measures.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the test"
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
use hyper::rt::{Read, ReadBufCursor, Write};
use sockeye_driver::{BoxFuture, Peer, Runtime, Serve as _, prelude::*};

/// Rounds that are measured.
const ROUNDS: usize = 100;

#[test]
fn messages_on_a_websocket() {
    let costs = |allocations| Costs { reads: 2.0, writes: 1.0, polls: 1.0, allocations };
    // A read that has something and one that has nothing, and one write, however many messages there are. Allocated are the
    // message, the text that the handler takes, the handler's future, and the frames of the answers.
    for (name, event, window, expected) in [
        ("echo of 16 bytes", text("echo", 16), 1, costs(4.0)),
        ("echo of 16 bytes, 16 at once", text("echo", 16), 16, costs(53.0)),
        // A copy of more than 247 bytes has the count of its owners elsewhere.
        ("echo of 1 KiB", text("echo", 1024), 1, costs(5.0)),
        // The message has the memory of the read for itself; the answer is shared, behind its header.
        ("echo of 64 KiB", text("echo", 65_536), 1, costs(11.0)),
        ("acknowledgement", frame(1, br#"421["ack","0123456789abcdef"]"#), 1, costs(5.0)),
        ("one attachment of 1 KiB", attachment(1024), 1, costs(12.0)),
    ] {
        let mut world = World::new(1);
        let found = world.measure(&event.repeat(window));
        assert!(found.at_most(&expected), "{name}: {found:?} instead of {expected:?}");
    }
}

#[test]
fn messages_by_polling() {
    // One connection for the GET that waits, one for the POST.
    let mut world = World::with_streams(2);
    let ask = |world: &World, stream: usize, request: String| {
        world.streams[stream].receive(request.as_bytes());
        world.tasks.run();
        String::from_utf8(world.streams[stream].take()).unwrap()
    };
    let get = |query: &str| format!("GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: a\r\n\r\n");
    let open = ask(&world, 0, get(""));
    let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let query = format!("&sid={sid}");
    let post = |body: &str| {
        let len = body.len();
        let target = format!("/socket.io/?EIO=4&transport=polling{query}");
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}")
    };
    assert!(ask(&world, 1, post("40")).ends_with("ok"));
    assert!(ask(&world, 0, get(&query)).contains("40{"));
    // A GET that waits is read and wakes nobody. The POST is read, its connection's owner handles the event, and both
    // requests are answered; then each connection looks for the next one.
    let (get, post) = (get(&query), post(r#"42["echo","0123456789abcdef"]"#));
    let found = world.measure_all(&[(0, get.as_bytes()), (1, post.as_bytes())]);
    let expected = Costs { reads: 6.0, writes: 2.0, polls: 5.0, allocations: 27.0 };
    assert!(found.at_most(&expected), "{found:?} instead of {expected:?}");
}

#[test]
fn broadcasts() {
    // For each of 100 recipients: one poll, in which it looks whether there is something to read, one write, its mail, and the
    // memory that its frame is written from. The sender is one of them, and reads twice more.
    let mut world = World::new(100);
    let found = world.measure(&text("broadcast", 64));
    let expected = Costs { reads: 102.0, writes: 100.0, polls: 100.0, allocations: 210.0 };
    assert!(found.at_most(&expected), "{found:?} instead of {expected:?}");
}

/// Averages of a round.
#[derive(Debug)]
struct Costs {
    reads: f64,
    writes: f64,
    polls: f64,
    allocations: f64,
}

impl Costs {
    fn at_most(&self, bound: &Self) -> bool {
        let all = |costs: &Self| [costs.reads, costs.writes, costs.polls, costs.allocations];
        all(self).iter().zip(all(bound)).all(|(found, bound)| *found <= bound)
    }
}

/// A server and its clients, each on a byte stream that counts.
struct World {
    tasks: Arc<Tasks>,
    streams: Vec<Stream>,
}

impl World {
    /// Clients on WebSockets.
    fn new(clients: usize) -> Self {
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

    /// Connections on which nothing was said yet.
    fn with_streams(count: usize) -> Self {
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

    /// What it costs that the first client sends this, again and again.
    fn measure(&mut self, sent: &[u8]) -> Costs {
        self.measure_all(&[(0, sent)])
    }

    /// What it costs that one thing after the other is sent, again and again, each on one of the byte streams.
    fn measure_all(&mut self, sent: &[(usize, &[u8])]) -> Costs {
        let [mut reads, mut writes, mut polls, mut allocations] = [0_usize; 4];
        for round in 0..2 * ROUNDS {
            let (mut answered, mut allocated) = (0, 0);
            for (stream, bytes) in sent {
                self.streams[*stream].receive(bytes);
                allocated += allocation_counter::measure(|| self.tasks.run()).count_total;
            }
            // The first half makes what is kept for later rounds.
            let is_measured = round >= ROUNDS;
            for stream in &self.streams {
                let mut wire = stream.lock();
                answered += wire.sent.len();
                wire.sent.clear();
                if is_measured {
                    reads += wire.reads;
                    writes += wire.writes;
                }
                (wire.reads, wire.writes) = (0, 0);
            }
            let polled = self.tasks.polls.swap(0, Ordering::SeqCst);
            assert!(answered >= sent.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() / 2, "it was answered");
            if is_measured {
                polls += polled;
                allocations += usize::try_from(allocated).unwrap();
            }
        }
        let [reads, writes, polls, allocations] =
            [reads, writes, polls, allocations].map(|sum| sum as f64 / ROUNDS as f64);
        Costs { reads, writes, polls, allocations }
    }
}

/// A masked frame.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn text(event: &str, len: usize) -> Vec<u8> {
    frame(1, format!(r#"42["{event}","{}"]"#, "x".repeat(len)).as_bytes())
}

fn attachment(len: usize) -> Vec<u8> {
    [frame(1, br#"451-["binary",{"_placeholder":true,"num":0}]"#), frame(2, &vec![7; len])].concat()
}

/// A runtime without a thread and a clock: whatever task was woken is polled.
#[derive(Default)]
struct Tasks {
    new: Mutex<Vec<BoxFuture>>,
    all: Mutex<Vec<Task>>,
    polls: AtomicUsize,
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
    fn run(&self) {
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
struct Stream(Arc<Mutex<Wire>>);

#[derive(Default)]
struct Wire {
    received: Vec<u8>,
    read: usize,
    sent: Vec<u8>,
    waker: Option<Waker>,
    reads: usize,
    writes: usize,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }

    fn receive(&self, bytes: &[u8]) {
        let mut wire = self.lock();
        wire.received.extend(bytes);
        // So that writing allocates nothing.
        wire.sent.reserve(200_000);
        let waker = wire.waker.take();
        drop(wire);
        waker.into_iter().for_each(Waker::wake);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().sent)
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
