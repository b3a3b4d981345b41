//! The interop server of `tests/js/README.md`, in its two versions.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{self, Runtime};

use crate::{
    interop,
    program::{PATIENCE, in_time, signal, sio},
    sockeye::Listening,
};

/// A server that runs.
pub(crate) enum Server {
    /// The official one.
    Node {
        child: Child,
        port: u16,
    },
    Ours(Option<Listening>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Node,
    Ours,
}

impl Peer {
    pub(crate) fn start(self) -> Server {
        self.start_at(0)
    }

    pub(crate) fn start_at(self, port: u16) -> Server {
        let begin = Instant::now();
        loop {
            match self.try_to_start_at(port) {
                Some(server) => return server,
                // Somebody uses it for a moment.
                None => assert!(begin.elapsed() < PATIENCE, "{self:?} does not start at port {port}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_to_start_at(self, port: u16) -> Option<Server> {
        match self {
            Self::Ours => Some(Server::Ours(Some(runtime().block_on(interop::listen(port, false)).ok()?))),
            Self::Node => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/js/reference.mjs");
                let mut child = Command::new("node")
                    .arg(script)
                    .args(["--interop", "--port", &port.to_string()])
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("Node runs; `tests/run` installs what it needs");
                let mut out = BufReader::new(child.stdout.take().unwrap());
                let line = in_time("a server", move || {
                    let mut line = String::new();
                    out.read_line(&mut line).unwrap();
                    line
                });
                let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
                if port.is_none() {
                    child.wait().unwrap();
                }
                Some(Server::Node { child, port: port? })
            }
        }
    }
}

/// A port that the system gives to nobody by itself, for a server that is started again.
pub(crate) fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Node { port, .. } => *port,
            Self::Ours(listening) => listening.as_ref().unwrap().local_addr().port(),
        }
    }

    /// It does nothing any more, not even end. (Only the official one can be stopped.)
    pub(crate) fn freeze(&self) {
        let Self::Node { child, .. } = self else { panic!("ours runs in this process") };
        assert!(signal(child, "STOP"));
    }

    /// Its address, with this namespace.
    pub(crate) fn url(&self, namespace: &str) -> String {
        format!("http://127.0.0.1:{}{namespace}", self.port())
    }

    /// Sends `news` with these arguments to everybody in `/`.
    pub(crate) fn broadcast(&self, args: &[&str]) {
        let url = self.url("/");
        let done = sio(&[&["emit", &url, "broadcast", "[]", "[]"], args].concat());
        assert_eq!((done.code, &*done.err), (0, ""));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self {
            Self::Node { child, .. } => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Ours(listening) => {
                let listening = listening.take().unwrap();
                runtime().block_on(listening.shutdown(Duration::ZERO));
            }
        }
    }
}

/// Where our servers run.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// How to connect, as a part of the command line: polling, WebSocket, and from the one to the other.
pub(crate) const TRANSPORTS: &[&[&str]] = &[&["-t", "polling"], &["-t", "websocket"], &[]];

/// Does this against each server and over each transport, all at once.
pub(crate) fn everywhere(test: impl Fn(&Server, &[&str]) + Sync) {
    on_each(|server| {
        thread::scope(|scope| {
            for transport in TRANSPORTS {
                let test = &test;
                scope.spawn(move || test(server, transport));
            }
        });
    });
}

/// Does this against each server, both at once.
pub(crate) fn on_each(test: impl Fn(&Server) + Sync) {
    on_each_peer(|peer| test(&peer.start()));
}

/// Does this with servers of both kinds, at once.
pub(crate) fn on_each_peer(test: impl Fn(Peer) + Sync) {
    thread::scope(|scope| {
        for peer in [Peer::Node, Peer::Ours] {
            let test = &test;
            scope.spawn(move || test(peer));
        }
    });
}
