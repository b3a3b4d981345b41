//! Our client on both runtimes, against the official server from npm (`tests/js/reference.mjs`, whose packages `tests/run`
//! installs), and against our own server on the other runtime.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure ends the test"
)]

use std::{
    collections::BTreeMap,
    future::Future,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use async_std::channel::{Receiver, unbounded};
use bytes::Bytes;
use sockeye_driver::{
    Ack, Args, Config, Listening, RawArgs, Server, Socket,
    client::{Client, ClientBuilder, Config as ClientConfig, DisconnectReason, Transport},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Runtime {
    Tokio,
    AsyncStd,
}

const RUNTIMES: [Runtime; 2] = [Runtime::Tokio, Runtime::AsyncStd];

impl Runtime {
    /// Runs a future to its end, in a thread of its own, and not for ever.
    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let done = match self {
                Self::Tokio => sockeye_tokio_block_on(future),
                Self::AsyncStd => async_std::task::block_on(future),
            };
            let _ = sender.send(done);
        });
        match receiver.recv_timeout(4 * PATIENCE) {
            Ok(done) => done,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{self:?}: the client hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        }
    }

    fn client(self, url: &str) -> ClientBuilder {
        match self {
            Self::Tokio => <Client as sockeye_tokio::Connect>::builder(url),
            Self::AsyncStd => <Client as sockeye_async_std::Connect>::builder(url),
        }
    }

    async fn listen(self, io: &Server) -> Listening {
        match self {
            Self::Tokio => sockeye_tokio::Listen::listen(io, "127.0.0.1:0").await.unwrap(),
            Self::AsyncStd => sockeye_async_std::Listen::listen(io, "127.0.0.1:0").await.unwrap(),
        }
    }
}

fn sockeye_tokio_block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// The transports to try, and whether to move from the first to the second.
const MODES: [(&[Transport], bool); 3] = [
    (&[Transport::Polling], false),
    (&[Transport::WebSocket], true),
    (&[Transport::Polling, Transport::WebSocket], true),
];

fn mode(transports: &'static [Transport], upgrade: bool) -> impl FnOnce(&mut ClientConfig) {
    move |config| {
        config.transports = transports.to_vec();
        config.upgrade = upgrade;
        config.reconnection_delay = Duration::from_millis(50);
        config.reconnection_delay_max = Duration::from_millis(200);
    }
}

/// The conformance server of the official packages.
struct Node {
    child: Child,
    port: u16,
}

impl Node {
    fn start(port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/reference.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .args(["--port", &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node runs; `tests/run` installs what it needs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().expect("listening on 127.0.0.1:P");
        Self { child, port }
    }

    fn url(&self, namespace: &str) -> String {
        format!("http://127.0.0.1:{}{namespace}", self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does this on each runtime and on each transport, all at once.
fn everywhere<Fut: Future<Output = ()> + Send + 'static>(test: fn(Runtime, usize) -> Fut) {
    thread::scope(|scope| {
        for runtime in RUNTIMES {
            for index in 0..MODES.len() {
                scope.spawn(move || runtime.run(test(runtime, index)));
            }
        }
    });
}

/// The arguments of the events of this name, as JSON with the attachments beside it.
fn next(client: &Client, event: &str) -> Receiver<(String, Vec<Bytes>)> {
    let (sender, receiver) = unbounded();
    client.on(event, move |args: RawArgs| {
        // Nobody waits for it any more.
        let _ = sender.try_send((args.raw().to_owned(), args.attachments().to_vec()));
        std::future::ready(())
    });
    receiver
}

async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        thread::sleep(Duration::from_millis(1));
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[test]
fn the_official_server_understands_it() {
    async fn test(runtime: Runtime, index: usize) {
        let (transports, upgrade) = MODES[index];
        let node = Node::start(0);
        let auth = BTreeMap::from([("token", "123")]);
        let client = runtime
            .client(&node.url("/"))
            .config(mode(transports, upgrade))
            .auth(&auth)
            .unwrap()
            .auto_connect(false)
            .start()
            .unwrap();
        let (given, back) = (next(&client, "auth"), next(&client, "message-back"));
        client.open();
        assert_eq!(given.recv().await.unwrap().0, r#"{"token":"123"}"#);
        client.emit("message", &(1, "two", [3], Bytes::from_static(b"four"), None::<u8>)).unwrap();
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let expected = format!(r#"1,"two",[3],{placeholder},null"#);
        assert_eq!(back.recv().await.unwrap(), (expected, vec![Bytes::from_static(b"four")]));
        let answer: Bytes = client.emit_with_ack("message-with-ack", &Bytes::from_static(b"\x00\x01")).await.unwrap();
        assert_eq!(answer, &b"\x00\x01"[..]);

        let custom = client.of("/custom").connect().await.unwrap();
        assert!(custom.is_connected() && custom.id() != client.id());
        let refused = client.of("/nowhere").connect().await.unwrap_err();
        assert_eq!(refused.to_string(), "Invalid namespace");
        // Several pings, of which there is one each 300 ms.
        let pings = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&pings);
        client.manager().on(move |event| {
            if *event == sockeye_driver::client::ManagerEvent::Ping {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        while pings.load(std::sync::atomic::Ordering::SeqCst) < 3 {
            yield_now().await;
        }
        assert_eq!(client.transport(), transports.last().map(|transport| transport.as_str()));
        assert!(client.is_connected() && custom.is_connected());
    }
    everywhere(test);
}

#[test]
fn nothing_is_lost_when_the_official_server_is_killed_and_started_again() {
    async fn test(runtime: Runtime, index: usize) {
        let (transports, upgrade) = MODES[index];
        let node = Node::start(0);
        let port = node.port;
        let client = runtime.client(&node.url("/")).config(mode(transports, upgrade)).connect().await.unwrap();
        let back = next(&client, "message-back");
        let (sender, reasons) = unbounded();
        client.on_disconnect(move |reason: DisconnectReason| {
            let _ = sender.try_send(reason);
            std::future::ready(())
        });
        client.emit("message", &"before").unwrap();
        assert_eq!(back.recv().await.unwrap().0, r#""before""#);
        drop(node);
        let reason = reasons.recv().await.unwrap();
        assert!([DisconnectReason::TransportClose, DisconnectReason::TransportError].contains(&reason), "{reason}");
        for n in 0..1_000 {
            client.emit("message", &n).unwrap();
        }
        let _node = Node::start(port);
        for n in 0..1_000 {
            assert_eq!(back.recv().await.unwrap().0, n.to_string());
        }
        assert_eq!(client.buffered(), (0, 0));
    }
    everywhere(test);
}

#[test]
fn client_and_server_may_be_on_different_runtimes() {
    for server in RUNTIMES {
        for client in RUNTIMES {
            let (sender, address) = mpsc::channel();
            let (stop, stopped) = mpsc::channel::<()>();
            let serving = thread::spawn(move || {
                server.run(async move {
                    let io = Server::new(Config::default());
                    io.on("add", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
                    io.on_connect(async |socket: Socket| socket.emit("hello", &"you"));
                    let listening = server.listen(&io).await;
                    sender.send(listening.local_addr()).unwrap();
                    while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                        yield_now().await;
                    }
                    listening.shutdown(Duration::from_secs(1)).await;
                });
            });
            let address = address.recv().unwrap();
            client.run(async move {
                let client = client.client(&format!("http://{address}")).connect().await.unwrap();
                for n in 0..100 {
                    assert_eq!(client.emit_with_ack::<i64>("add", &(n, 1)).await, Ok(n + 1));
                }
            });
            stop.send(()).unwrap();
            serving.join().unwrap();
        }
    }
}
