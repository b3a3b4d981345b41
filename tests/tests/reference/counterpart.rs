//! Programs of `tests/js/` that run on the official packages: the counterpart, which is a server of its own for each test
//! and does what that says, and others.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
};

use async_std::channel;
use serde_json::{Value, json};

/// A file or folder of `tests/js/`.
pub(crate) fn js(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(name)
}

/// A program that says where it listens.
pub(crate) struct Node {
    child: Child,
    pub(crate) port: u16,
    /// What it prints behind that.
    pub(crate) stdout: Option<BufReader<ChildStdout>>,
}

impl Node {
    pub(crate) fn start(script: &str, args: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg(js(script))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node runs; `tests/run` installs what it needs");
        let (mut stdout, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        stdout.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().expect("listening on 127.0.0.1:P");
        Self { child, port, stdout: Some(stdout) }
    }

    pub(crate) fn url(&self, namespace: &str) -> String {
        format!("http://127.0.0.1:{}{namespace}", self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port for a server that is started again: one that no connection is given by the system meanwhile, not even one of a
/// client to itself.
pub(crate) fn own_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(process::id() % 20_000).unwrap();
    let mut ports = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The port where the counterpart takes commands. It ends with this process, whose end it sees.
pub(crate) fn control_port() -> u16 {
    static COUNTERPART: OnceLock<Node> = OnceLock::new();
    COUNTERPART.get_or_init(|| Node::start("counterpart.mjs", &[])).port
}

/// A world of the counterpart: at most one server and one proxy in front of it, which end with this value.
pub(crate) struct World {
    commands: mpsc::Sender<(Value, channel::Sender<Value>)>,
    pub(crate) port: u16,
}

impl World {
    /// One without a server yet.
    pub(crate) fn empty() -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", control_port())).unwrap();
        let (commands, receiver) = mpsc::channel::<(Value, channel::Sender<Value>)>();
        // Its clients live in the thread of the test, and the counterpart may have to wait for them.
        thread::spawn(move || {
            let mut answers = BufReader::new(stream.try_clone().unwrap());
            for (command, answer) in receiver {
                let mut line = String::new();
                let mut bytes = command.to_string().into_bytes();
                bytes.push(b'\n');
                stream.write_all(&bytes).unwrap();
                answers.read_line(&mut line).unwrap();
                // The test may be over.
                let _ = answer.try_send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Self { commands, port: 0 }
    }

    /// One with a server, whose options are those of JavaScript.
    pub(crate) async fn new(options: Value) -> Self {
        let mut world = Self::empty();
        world.listen(json!({ "options": options })).await;
        world
    }

    /// Starts the server.
    pub(crate) async fn listen(&mut self, given: Value) {
        let answer = self.tell("listen", given).await;
        self.port = answer["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
    }

    /// Puts a proxy in front of it, through which clients go from here on.
    pub(crate) async fn proxy(&mut self) {
        let answer = self.tell("proxy", json!({})).await;
        self.port = answer["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
    }

    /// Has it do something, and gives its answer.
    pub(crate) async fn tell(&self, command: &str, mut given: Value) -> Value {
        given["do"] = command.into();
        let (sender, answer) = channel::bounded(1);
        self.commands.send((given, sender)).unwrap();
        let answer = answer.recv().await.expect("the counterpart answers");
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }

    /// The requests that came since the last time.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        let answer = self.tell("requested", json!({})).await;
        answer["requests"].as_array().unwrap().iter().map(Request::read).collect()
    }

    /// How many sessions were asked for since the last time.
    pub(crate) async fn sessions(&self) -> usize {
        self.requests().await.iter().filter(|request| request.get("sid").is_none()).count()
    }

    pub(crate) fn url(&self, namespace: &str) -> String {
        format!("http://127.0.0.1:{}{namespace}", self.port)
    }
}

/// A request that the counterpart was sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, Value>,
}

impl Request {
    fn read(request: &Value) -> Self {
        let (path, query) = request["url"].as_str().unwrap().split_once('?').unwrap();
        let headers = request["headers"].as_object().unwrap().clone().into_iter().collect();
        Self { method: request["method"].as_str().unwrap().into(), path: path.into(), query: query.into(), headers }
    }

    /// A parameter of the query, as it was written.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(Value::as_str)
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.header("upgrade") == Some("websocket")
    }
}
