//! A server as a process, watched from outside: a conformance server (`protocol/examples/blocking/`, or the program that
//! `SOCKEYE_SERVER` names), or a features server (the example of `sockeye-tokio`, or what `SOCKEYE_FEATURES` names).

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use crate::{
    http::{Response, request},
    wire::{PATIENCE, Wire, eventually},
};

/// The interval of its pings.
pub const PING_INTERVAL: Duration = Duration::from_millis(300);
/// The time that a pong may take.
pub const PING_TIMEOUT: Duration = Duration::from_millis(200);
/// The time in which a namespace must be joined.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// The bytes of a request body or a WebSocket message.
pub const MAX_PAYLOAD: usize = 1_000_000;

/// A running server. It is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    path: &'static str,
}

/// What is left of a session, as a request with its id shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is there, on long-polling.
    Polling,
    /// It is there, on WebSocket.
    WebSocket,
    /// It is not known (any more).
    Gone,
}

impl Server {
    /// The Socket.IO server.
    pub fn socketio() -> Self {
        Self::start(conformance(), "/socket.io/", &[])
    }

    /// The Engine.IO server, which sends every message back.
    pub fn engine() -> Self {
        Self::start(conformance(), "/engine.io/", &["--engine"])
    }

    /// The server of the features.
    pub fn features() -> Self {
        Self::start(features(), "/socket.io/", &[])
    }

    fn start(program: &Path, path: &'static str, args: &[&str]) -> Self {
        // A free port may be taken by somebody else before the server has it.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0))
                .and_then(|listener| listener.local_addr())
                .expect("a free port")
                .port();
            let mut child = Command::new(program)
                .args(["--port", &port.to_string()])
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("start the server");
            let mut line = String::new();
            let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
            if line == format!("listening on 127.0.0.1:{port}\n") {
                return Self { child, port, path };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("{program:?} does not start");
    }

    /// A connection without a byte on it.
    pub fn wire(&self) -> Wire {
        Wire::open(self.port)
    }

    /// Whether it is the Engine.IO server.
    pub fn is_engine(&self) -> bool {
        self.path == "/engine.io/"
    }

    /// Whether an HTTP library reads its requests. `blocking` reads them itself, every other program leaves it to hyper.
    pub fn is_hyper(&self) -> bool {
        conformance().file_stem().is_none_or(|name| name != "blocking")
    }

    /// The path of its requests.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// A target with this query behind `EIO=4`.
    pub fn target(&self, query: &str) -> String {
        format!("{}?EIO=4&{query}", self.path)
    }

    /// Sends one request on a connection of its own.
    pub fn exchange(&self, method: &str, request: &[u8]) -> Response {
        let mut wire = self.wire();
        wire.send(request).expect("send the request");
        wire.response(method, PATIENCE).expect("an answer")
    }

    /// A GET for packets.
    pub fn poll(&self, sid: &str) -> Response {
        let target = self.target(&format!("transport=polling&sid={sid}"));
        self.exchange("GET", &request("GET", &target, &["Connection: close"], b""))
    }

    /// A POST with packets.
    pub fn post(&self, sid: &str, body: &[u8]) -> Response {
        let target = self.target(&format!("transport=polling&sid={sid}"));
        self.exchange("POST", &request("POST", &target, &["Connection: close"], body))
    }

    /// The id of a new polling session.
    pub fn open_polling(&self) -> String {
        let target = self.target("transport=polling");
        let response = self.exchange("GET", &request("GET", &target, &["Connection: close"], b""));
        sid(&response.line().replacen("200 ", "", 1))
    }

    /// What is left of a session. Asked with a pong by POST, which keeps the session from its ping timeout.
    pub fn life(&self, sid: &str) -> Life {
        let line = self.post(sid, b"3").line();
        match line.as_str() {
            "200 ok" => Life::Polling,
            _ if line == crate::http::refusal(3) => Life::WebSocket,
            _ if line == crate::http::refusal(1) => Life::Gone,
            // The answer to a POST beside another one: the session ends by it.
            "400" => Life::Gone,
            _ => panic!("{line}"),
        }
    }

    /// Whether the session ends within a moment.
    pub fn is_gone(&self, sid: &str) -> bool {
        eventually(Duration::from_secs(1), || (self.life(sid) == Life::Gone).then_some(())).is_some()
    }

    /// Bytes of memory that it has resident now.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// Bytes of memory that it had resident at most since [`Self::reset_peak`].
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:") * 1024
    }

    /// Begins to look for the peak anew (proc_pid_clear_refs(5)).
    pub fn reset_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").expect("reset the peak");
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("descriptors").count()
    }

    /// Its threads.
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("the process's status");
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
            .expect("a number")
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The session id in an `open` packet.
pub fn sid(open: &str) -> String {
    let rest = open.split_once(r#""sid":""#).expect("an open packet").1;
    rest.split('"').next().unwrap().to_owned()
}

fn conformance() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("SOCKEYE_SERVER", "sockeye-protocol", "blocking"))
}

fn features() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("SOCKEYE_FEATURES", "sockeye-tokio", "features"))
}

/// The program that a variable names, or an example, built on demand.
fn program(variable: &str, package: &str, example: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--profile", "tested", "-p", package, "--example", example])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("run cargo");
    assert!(built.success(), "the example `{example}` does not build");
    // <target>/<profile>/deps/<this test>
    let test = env::current_exe().expect("this program's path");
    let target = test.ancestors().nth(3).expect("a target folder");
    target.join("tested/examples").join(example)
}
