//! What a message costs the driver: reads and writes of the byte stream, and allocations. They are the same on any machine
//! and at any load, so that a change which adds one is noticed here and not by somebody who measures.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the test"
)]

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
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
    let costs = |allocations| Costs { reads: 2.0, writes: 1.0, allocations };
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
fn broadcasts() {
    // For each of 100 recipients: one write, its mail, and the memory that its frame is written from. (Here each task is polled
    // with each other one, and then looks whether there is something to read.)
    let mut world = World::new(100);
    let found = world.measure(&text("broadcast", 64));
    let expected = Costs { reads: 202.0, writes: 100.0, allocations: 210.0 };
    assert!(found.at_most(&expected), "{found:?} instead of {expected:?}");
}

/// Averages of a round.
#[derive(Debug)]
struct Costs {
    reads: f64,
    writes: f64,
    allocations: f64,
}

impl Costs {
    fn at_most(&self, bound: &Self) -> bool {
        self.reads <= bound.reads && self.writes <= bound.writes && self.allocations <= bound.allocations
    }
}

/// A server and its clients, each on a byte stream that counts.
struct World {
    tasks: Arc<Tasks>,
    streams: Vec<Stream>,
}

impl World {
    fn new(clients: usize) -> Self {
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
        let streams: Vec<Stream> = (0..clients).map(|_| Stream::default()).collect();
        for stream in &streams {
            let peer = Peer { address: None, secure: false };
            runtime.spawn(Box::pin(io.serve_connection(&runtime, stream.clone(), peer)));
            stream.receive(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            );
            tasks.run();
            stream.receive(&frame(1, b"40"));
            tasks.run();
            assert!(stream.take().windows(3).any(|sent| sent == b"40{"), "the client is connected");
        }
        Self { tasks, streams }
    }

    /// What it costs that the first client sends this, again and again.
    fn measure(&mut self, sent: &[u8]) -> Costs {
        let [mut reads, mut writes, mut allocations] = [0_usize; 3];
        for round in 0..2 * ROUNDS {
            self.streams[0].receive(sent);
            let measured = allocation_counter::measure(|| self.tasks.run());
            let mut answered = 0;
            for stream in &self.streams {
                let mut wire = stream.lock();
                answered += wire.sent.len();
                wire.sent.clear();
                // The first half makes what is kept for later rounds.
                if round >= ROUNDS {
                    reads += wire.reads;
                    writes += wire.writes;
                }
                (wire.reads, wire.writes) = (0, 0);
            }
            assert!(answered >= sent.len() / 2, "it was answered");
            if round >= ROUNDS {
                allocations += usize::try_from(measured.count_total).unwrap();
            }
        }
        let [reads, writes, allocations] = [reads, writes, allocations].map(|sum| sum as f64 / ROUNDS as f64);
        Costs { reads, writes, allocations }
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

/// A runtime without a thread, a clock and queues: all tasks are polled as long as one was woken.
#[derive(Default)]
struct Tasks {
    new: Mutex<Vec<BoxFuture>>,
    all: Mutex<Vec<Option<BoxFuture>>>,
    woken: Arc<Flag>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Tasks {
    fn run(&self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        let mut all = self.all.lock().unwrap();
        loop {
            self.woken.0.store(false, Ordering::SeqCst);
            all.extend(self.new.lock().unwrap().drain(..).map(Some));
            for task in all.iter_mut() {
                if task.as_mut().is_some_and(|task| pin!(task).poll(&mut cx).is_ready()) {
                    *task = None;
                }
            }
            if !self.woken.0.load(Ordering::SeqCst) && self.new.lock().unwrap().is_empty() {
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
