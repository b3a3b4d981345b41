//! Socket.IO from plain threads: one lock around the server, no async runtime.
//!
//! It is the conformance server of the test suites: `/` sends events and acknowledgements back, `/custom` tells what it
//! got as `auth`; with `--engine`, it is Engine.IO alone and sends every message back.
//!
//! ```text
//! cargo run --release -p sockeye-protocol --example blocking -- --port 3000 [--engine]
//! ```

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, Thread},
    time::{Duration, Instant as Clock},
};

use bytes::{Buf, Bytes, BytesMut};
use sockeye_protocol::http::{Body, Request, Response};
use sockeye_protocol::server::{Event, Server};
use sockeye_protocol::{
    Config, ConnKey, Cors, Instant, Limits, Origins, Output, RequestId, Route, Seed, TransportId, engine,
    socket::{Object, Payload},
};

/// What a program of your own does differently: what it makes of each event.
pub type App = Box<dyn FnMut(&mut Server, Instant, Event) + Send>;

fn conformance(server: &mut Server, now: Instant, event: Event) {
    // An emit fails when the client has just gone; its disconnect event follows.
    match event {
        Event::Connect(request) => {
            let auth = request.auth().and_then(|auth| auth.to_value().ok());
            let auth = Payload::event("auth", &auth.unwrap_or_else(|| Object::new().into()), 10);
            if let (Ok(socket), Ok(auth)) = (server.accept(now, request), auth) {
                let _ = server.emit(now, socket, &auth);
            }
        }
        Event::Packet { socket, event, args, .. } if event == "message" => {
            let _ = Payload::event_from_args("message-back", &args).map(|back| server.emit(now, socket, &back));
        }
        Event::Packet { event, args, ack: Some(ack), .. } if event == "message-with-ack" => {
            let _ = server.reply(now, ack, &Payload::ack_from_args(&args));
        }
        _ => {}
    }
}

fn main() -> io::Result<()> {
    let [ping_interval, ping_timeout, connect_timeout] = [300, 200, 1_000].map(Duration::from_millis);
    serve(
        Config { ping_interval, ping_timeout, connect_timeout, ..Config::default() },
        &["/custom"],
        Box::new(conformance),
    )
}

/// Serves `--port` with an application, or Engine.IO alone with `--engine`.
pub fn serve(config: Config, namespaces: &[&str], app: App) -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let port =
        args.iter().position(|arg| arg == "--port").and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(3000);
    let engine = args.iter().any(|arg| arg == "--engine");
    let path = if engine { "/engine.io/" } else { "/socket.io/" }.into();
    let config = Config { path, cors: Some(Cors { origins: Origins::Any, ..Cors::default() }), ..config };
    let mut seed = Seed([0; 32]);
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed.0)?;
    let limits = config.limits.clone();
    let core = if engine {
        Core::EngineIo(engine::Server::new(config, &seed))
    } else {
        let mut server = Server::new(config, &seed);
        for name in namespaces {
            server.add_namespace(name);
        }
        Core::SocketIo(server, app)
    };
    let state = State { core, requests: 0, threads: Threads::default() };
    let (state, changed, start) = (Mutex::new(state), Condvar::new(), Clock::now());
    let driver = Arc::new(Driver { state, changed, start, limits });

    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    let timer = Arc::clone(&driver);
    thread::spawn(move || timer.tick());
    for stream in listener.incoming() {
        // Out of descriptors: those who are connected are served on.
        let Ok(stream) = stream else { continue };
        let driver = Arc::clone(&driver);
        thread::spawn(move || driver.serve_http(stream));
    }
    Ok(())
}

struct Driver {
    state: Mutex<State>,
    /// Notified after every change: the timer and the readers that are held back wait for it.
    changed: Condvar,
    start: Clock,
    limits: Limits,
}

struct State {
    core: Core,
    requests: u64,
    threads: Threads,
}

/// Those that wait for outputs of the core.
#[derive(Default)]
struct Threads {
    waiting: HashMap<RequestId, mpsc::Sender<Answer>>,
    writers: HashMap<WebSocket, Writer>,
}

enum Core {
    SocketIo(Server, App),
    EngineIo(engine::Server),
}

type WebSocket = (ConnKey, TransportId);
type Answer = (Response, Option<WebSocket>);

struct Writer {
    thread: Thread,
    stream: TcpStream,
    shutdown: bool,
}

/// Calls a method that both cores have.
macro_rules! core {
    ($state:expr, $core:ident => $call:expr) => {
        match &mut $state.core {
            Core::SocketIo($core, _) => $call,
            Core::EngineIo($core) => $call,
        }
    };
}

impl Driver {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the core an input, then does everything that it has to say.
    fn input<T>(&self, handle: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = Instant::ZERO + self.start.elapsed();
        let result = handle(&mut state, now);
        while state.poll(now) {}
        while let Some(socket) = core!(state, core => core.poll_transmit()) {
            state.threads.writers.get(&socket).inspect(|writer| writer.thread.unpark());
        }
        self.changed.notify_all();
        result
    }

    fn tick(&self) {
        loop {
            let mut state = self.lock();
            let deadline = core!(state, core => core.poll_timeout());
            let wait = deadline.map_or(Duration::MAX, |deadline| deadline - (Instant::ZERO + self.start.elapsed()));
            drop(self.changed.wait_timeout(state, wait));
            self.input(|state, now| core!(state, core => core.handle_timeout(now)));
        }
    }

    /// One TCP connection: requests, until one of them becomes a WebSocket.
    fn serve_http(self: Arc<Self>, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).and(stream.set_write_timeout(Some(self.limits.body_timeout))).ok()?;
        let (mut buffer, mut idle) = (BytesMut::new(), self.limits.header_timeout);
        loop {
            let (response, socket) = match self.read_request(&mut stream, &mut buffer, idle) {
                Ok(answer) => answer?,
                Err(status) => (Response::status(status).closing(), None),
            };
            let mut bytes = BytesMut::new();
            response.encode_http1(&mut bytes);
            let written = stream.write_all(&bytes);
            if let Some(socket) = socket {
                return self.serve_websocket(stream, socket, buffer);
            }
            written.ok().filter(|()| response.header("connection").is_none())?;
            idle = self.limits.keep_alive;
        }
    }

    /// Reads a request and waits for its answer. `Err` is the status of one that is none; `None`, the peer is gone.
    fn read_request(
        &self,
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
        idle: Duration,
    ) -> Result<Option<Answer>, u16> {
        let mut deadline = Clock::now() + idle;
        loop {
            let mut headers = vec![httparse::EMPTY_HEADER; self.limits.header_count];
            let mut parsed = httparse::Request::new(&mut headers);
            match parsed.parse(buffer) {
                Ok(httparse::Status::Complete(len)) if len <= self.limits.header_bytes => {
                    let headers: Vec<_> = parsed.headers.iter().map(|header| (header.name, header.value)).collect();
                    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
                    let head =
                        Request { method, target, headers: &headers, peer: stream.peer_addr().ok(), secure: false };
                    let body = Framing::of(&head)?;
                    let routed = self.route(&head, body.is_some())?;
                    buffer.advance(len);
                    let (id, key, limit, answer) = match routed {
                        Ok(started) => started,
                        // The body of a refused request is not read.
                        Err(response) if body.is_some() => return Ok(Some((response.closing(), None))),
                        Err(response) => return Ok(Some((response, None))),
                    };
                    if let Some(framing) = body
                        && let Ok(body) = framing.read(stream, buffer, limit, Clock::now() + self.limits.body_timeout)
                    {
                        self.input(|state, now| core!(state, core => core.handle_body(now, key, id, body)));
                    }
                    return Ok(self.wait(stream, id, key, &answer));
                }
                Ok(httparse::Status::Partial) if buffer.len() <= self.limits.header_bytes => {}
                Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(431),
                Err(_) => return Err(400),
            }
            let started = !buffer.is_empty();
            match read(stream, buffer, deadline) {
                Ok(()) if started => {}
                Ok(()) => deadline = Clock::now() + self.limits.header_timeout,
                Err(error) if started && error.kind() != ErrorKind::UnexpectedEof => return Err(408),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Gives a request to its session, or the answer that it has without one.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn route(
        &self,
        head: &Request<'_>,
        has_body: bool,
    ) -> Result<Result<(RequestId, ConnKey, usize, mpsc::Receiver<Answer>), Response>, u16> {
        self.input(|state, now| match core!(state, core => core.route(now, head)) {
            Route::Connection { key, body_limit } => {
                state.requests += 1;
                let (id, (sender, answer)) = (RequestId(state.requests), mpsc::channel());
                state.threads.waiting.insert(id, sender);
                let body = if has_body { Body::Pending } else { Body::Whole(Bytes::new()) };
                core!(state, core => core.handle_request(now, key, id, head, body));
                Ok(Ok((id, key, body_limit, answer)))
            }
            Route::Response(response) => Ok(Err(response)),
            Route::NotFound => Err(404),
        })
    }

    fn wait(&self, stream: &TcpStream, id: RequestId, key: ConnKey, answer: &mpsc::Receiver<Answer>) -> Option<Answer> {
        loop {
            match answer.recv_timeout(Duration::from_millis(20)) {
                Ok(answer) => return Some(answer),
                Err(_) if is_closed(stream) => {
                    self.input(|state, now| core!(state, core => core.handle_abort(now, key, id)));
                    self.lock().threads.waiting.remove(&id);
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    fn serve_websocket(self: Arc<Self>, mut stream: TcpStream, socket: WebSocket, mut buffer: BytesMut) -> Option<()> {
        let (writing, closing, driver) = (stream.try_clone().ok()?, stream.try_clone().ok()?, Arc::clone(&self));
        self.input(|state, _| {
            let thread = thread::spawn(move || driver.write_websocket(writing, socket)).thread().clone();
            state.threads.writers.insert(socket, Writer { thread, stream: closing, shutdown: false });
        });
        loop {
            self.input(|state, now| core!(state, core => core.handle_bytes(now, socket.0, socket.1, &mut buffer)));
            drop(self.changed.wait_while(self.lock(), |state| !core!(state, core => core.wants_read(socket.0))));
            if read(&mut stream, &mut buffer, Clock::now() + Duration::from_secs(86_400)).is_err() {
                break;
            }
        }
        let writer = self.input(|state, now| {
            core!(state, core => core.handle_eof(now, socket.0, socket.1));
            state.threads.writers.remove(&socket)
        });
        writer.map(|writer| writer.thread.unpark())
    }

    fn write_websocket(&self, mut stream: TcpStream, socket: WebSocket) {
        loop {
            let mut state = self.lock();
            let Some(shutdown) = state.threads.writers.get(&socket).map(|writer| writer.shutdown) else { return };
            let queue = core!(state, core => core.transmit(socket.0, socket.1));
            let bytes = queue.map(|queue| queue.copy_to_bytes(queue.remaining().min(65_536))).unwrap_or_default();
            drop(state);
            self.changed.notify_all();
            if !bytes.is_empty() {
                if stream.write_all(&bytes).is_err() {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                continue;
            }
            if shutdown {
                let _ = stream.shutdown(Shutdown::Write);
            }
            thread::park();
        }
    }
}

impl State {
    /// Does one thing that the core has to say. `false` when there is none.
    fn poll(&mut self, now: Instant) -> bool {
        match &mut self.core {
            Core::SocketIo(server, app) => {
                let Some(output) = server.poll_output() else { return false };
                self.threads.act(output).into_iter().for_each(|event| app(server, now, event));
            }
            Core::EngineIo(server) => {
                let Some(output) = server.poll_output() else { return false };
                if let Some((key, engine::Event::Message(message))) = self.threads.act(output) {
                    let _ = server.send(key, message);
                }
            }
        }
        true
    }
}

impl Threads {
    fn act<E>(&mut self, output: Output<E>) -> Option<E> {
        match output {
            Output::Respond { id, response } => drop(self.waiting.remove(&id).map(|to| to.send((response, None)))),
            Output::Upgrade { id, response, connection, transport } => {
                let socket = Some((connection, transport));
                drop(self.waiting.remove(&id).map(|to| to.send((response, socket))));
            }
            Output::Shutdown { connection, transport } => {
                if let Some(writer) = self.writers.get_mut(&(connection, transport)) {
                    writer.shutdown = true;
                    writer.thread.unpark();
                }
            }
            Output::Abort { connection, transport } => {
                let writer = self.writers.get(&(connection, transport));
                drop(writer.map(|writer| writer.stream.shutdown(Shutdown::Both)));
            }
            Output::Event(event) => return Some(event),
            _ => {}
        }
        None
    }
}

/// How long a request's body is (RFC 9112, 6.3).
#[derive(PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Framing {
    fn of(head: &Request<'_>) -> Result<Option<Self>, u16> {
        match (head.header("transfer-encoding"), head.header("content-length")) {
            (None, None | Some(b"0")) => Ok(None),
            (Some(_), None) => Ok(Some(Self::Chunked)),
            (None, Some(len)) => {
                let len = std::str::from_utf8(len).ok().and_then(|len| len.parse().ok());
                len.map(|len| Some(Self::Length(len))).ok_or(400)
            }
            (Some(_), Some(_)) => Err(400),
        }
    }

    fn read(self, stream: &mut TcpStream, buffer: &mut BytesMut, limit: usize, deadline: Clock) -> io::Result<Body> {
        let mut body = BytesMut::new();
        loop {
            let (start, len, end) = match self {
                Self::Length(len) => (0, len, len),
                Self::Chunked => match httparse::parse_chunk_size(buffer) {
                    Ok(httparse::Status::Complete((start, len))) => {
                        (start, len as usize, start.saturating_add(len as usize + 2))
                    }
                    Ok(httparse::Status::Partial) if buffer.len() < 64 => {
                        read(stream, buffer, deadline)?;
                        continue;
                    }
                    // Not a chunk: not a payload either.
                    _ => return Ok(Body::Whole(Bytes::from_static(b"\xff"))),
                },
            };
            if body.len().saturating_add(len) > limit {
                return Ok(Body::TooLarge);
            }
            while buffer.len() < end {
                read(stream, buffer, deadline)?;
            }
            let chunk = buffer.split_to(end);
            body.extend_from_slice(&chunk[start..start + len]);
            if len == 0 || self != Self::Chunked {
                return Ok(Body::Whole(body.freeze()));
            }
        }
    }
}

/// Reads what is there, until `deadline` at the latest. The end of the stream is an error.
fn read(stream: &mut TcpStream, buffer: &mut BytesMut, deadline: Clock) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Clock::now());
    stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    let mut chunk = [0; 65_536];
    match stream.read(&mut chunk)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        len => {
            buffer.extend_from_slice(&chunk[..len]);
            Ok(())
        }
    }
}

/// Whether the peer closed its side.
fn is_closed(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut [0]);
    let _ = stream.set_nonblocking(false);
    !matches!(peeked, Ok(1..)) && !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
