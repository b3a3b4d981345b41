//! Socket.IO from plain threads: one lock around the server, no async runtime.
//!
//! It is the conformance server of the test suites: `/` sends events and acknowledgements back, `/custom` tells what it
//! got as `auth`; with `--engine`, it is Engine.IO alone and sends every message back; with `--recovery`, lost connections
//! are recovered within two minutes.
//!
//! ```text
//! cargo run --release -p sockeye-protocol --example blocking -- --port 3000 [--engine] [--recovery]
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a driver has the clock that the core must not have, and these lints guard the core against its peers"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use sockeye_protocol::http::{Body, Response};
use sockeye_protocol::server::{Event, Server};
use sockeye_protocol::socket::{Object, Payload};
use sockeye_protocol::{Config, ConnKey, Cors, Instant, Limits, Origins, Recovery, RequestId, Route, Seed, engine};

mod http;
mod state;
use http::{Http, Refusal};
use state::{Answer, Core, Driven, State, WebSocket, core};

/// What a program of your own does differently: what it makes of each event.
pub(crate) type App = Box<dyn FnMut(&mut Server, Instant, Event) + Send>;

fn conformance(server: &mut Server, now: Instant, event: Event) {
    // An emit fails when the client has just gone; its disconnect event follows.
    match event {
        Event::Connect(request) => {
            let auth = request.auth().and_then(|auth| auth.to_value().ok()).unwrap_or_else(|| Object::new().into());
            if let (Ok(socket), Ok(auth)) = (server.accept(now, request), Payload::event("auth", &auth, 10)) {
                let _ = server.emit(now, socket, &auth);
            }
        }
        Event::Packet { socket, event, args, .. } if event == "message" => {
            let _ = Payload::event_from_args("message-back", &args).map(|back| server.emit(now, socket, &back));
        }
        Event::Packet { event, args, ack: Some(ack), .. } if event == "message-with-ack" => {
            let _ = server.reply(now, &ack, &Payload::ack_from_args(&args));
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
pub(crate) fn serve(config: Config, namespaces: &[&str], app: App) -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let port =
        args.iter().position(|arg| arg == "--port").and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(3000);
    let is_engine = args.iter().any(|arg| arg == "--engine");
    let path = if is_engine { "/engine.io/" } else { "/socket.io/" }.into();
    let recovery = args.iter().any(|arg| arg == "--recovery").then(Recovery::default);
    let config = Config { path, cors: Some(Cors { origins: Origins::Any, ..Cors::default() }), recovery, ..config };
    let limits = config.limits.clone();
    let mut seed = Seed([0; 32]);
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed.0)?;
    let core = if is_engine {
        Core::EngineIo(engine::Server::new(config, &seed))
    } else {
        let mut server = Server::new(config, &seed);
        namespaces.iter().for_each(|name| _ = server.add_namespace(name));
        Core::SocketIo(server, app)
    };
    let state = State { core, requests: 0, driven: Driven::default() };
    let driver = Driver { state: Mutex::new(state), changed: Condvar::new(), start: Clock::now(), limits };
    let driver = Arc::new(driver);

    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    let timer = Arc::clone(&driver);
    thread::spawn(move || timer.tick());
    for stream in listener.incoming() {
        let driver = Arc::clone(&driver);
        let served = stream.and_then(|stream| thread::Builder::new().spawn(|| driver.serve_http(stream)));
        // No descriptor or no thread left for a newcomer: those who are connected are served on.
        served.map_or_else(|_| thread::sleep(Duration::from_millis(10)), drop);
    }
    Ok(())
}

struct Driver {
    state: Mutex<State>,
    /// Notified after every change; everybody who waits for the core waits for this.
    changed: Condvar,
    start: Clock,
    limits: Limits,
}

impl Driver {
    /// In whole milliseconds, which is what the timers of clients count in.
    fn now(&self) -> Instant {
        Instant::from_millis(self.start.elapsed().as_millis() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives the core an input, then does everything that it has to say.
    fn input<T>(&self, handle: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (mut state, now) = (self.lock(), self.now());
        // What is due is due before what comes now, however late the timer's thread wakes up.
        core!(state, core => core.handle_timeout(now));
        let result = handle(&mut state, now);
        while state.poll(now) {}
        // Every writer looks for itself.
        while core!(state, core => core.poll_transmit()).is_some() {}
        self.changed.notify_all();
        result
    }

    fn tick(&self) {
        loop {
            let mut state = self.lock();
            match core!(state, core => core.poll_timeout()).map(|deadline| deadline - self.now()) {
                Some(Duration::ZERO) => {
                    drop(state);
                    self.input(|state, now| core!(state, core => core.handle_timeout(now)));
                }
                left => drop(self.wait(state, left.unwrap_or(Duration::MAX))),
            }
        }
    }

    /// One TCP connection: requests, until one of them becomes a WebSocket.
    fn serve_http(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let mut http = Http::new(stream, &self.limits)?;
        loop {
            let (response, socket) = match self.serve_request(&mut http) {
                Ok(answer) => answer,
                Err(Refusal::Status(status)) => (Response::status(status).closing(), None),
                Err(Refusal::Gone(error)) => return Err(error),
            };
            let written = http.write(&response);
            if let Some(socket) = socket {
                return self.serve_websocket(http, socket);
            }
            written?;
            if http.lost || response.header("connection").is_some() {
                return http.linger();
            }
        }
    }

    /// Routes a request, reads its body, and waits for its answer.
    fn serve_request(&self, http: &mut Http) -> Result<Answer, Refusal> {
        let (started, body) = http.read_head(|head| {
            self.input(|state, now| match core!(state, core => core.route(now, head)) {
                Route::Connection { key, body_limit } => {
                    state.requests += 1;
                    let id = RequestId(state.requests);
                    core!(state, core => core.handle_request(now, key, id, head, Body::Pending));
                    Ok(Ok((key, id, body_limit)))
                }
                Route::Response(response) => Ok(Err(response)),
                Route::NotFound => Err(Refusal::Status(404)),
            })
        })?;
        let (key, id, limit) = match started {
            Ok(started) => started,
            // The body of a refused request is not read.
            Err(response) if body.is_some() => return Ok((response.closing(), None)),
            Err(response) => return Ok((response, None)),
        };
        // A body that does not come is the core's to judge, when its time is over.
        if let Ok(body) = http.read_body(body, limit) {
            self.input(|state, now| core!(state, core => core.handle_body(now, key, id, body)));
        }
        self.answer(http, key, id)
    }

    fn answer(&self, http: &Http, key: ConnKey, id: RequestId) -> Result<Answer, Refusal> {
        let mut state = self.lock();
        let mut look = Clock::now();
        loop {
            if let Some(answer) = state.driven.answers.remove(&id) {
                return Ok(answer);
            }
            if Clock::now() >= look {
                // A peer that left is noticed by looking, from time to time and not under the lock.
                drop(state);
                if http.is_closed() {
                    self.input(|state, now| core!(state, core => core.handle_abort(now, key, id)));
                    self.lock().driven.answers.remove(&id);
                    return Err(Refusal::Gone(ErrorKind::UnexpectedEof.into()));
                }
                look = Clock::now() + Duration::from_millis(20);
                state = self.lock();
                continue;
            }
            state = self.wait(state, Duration::from_millis(20));
        }
    }

    fn serve_websocket(self: Arc<Self>, mut http: Http, socket: WebSocket) -> io::Result<()> {
        let ended = self.read_websocket(&mut http, socket);
        self.input(|state, now| {
            core!(state, core => core.handle_eof(now, socket.0, socket.1));
            state.driven.streams.remove(&socket);
            state.driven.ending.remove(&socket);
        });
        ended
    }

    fn read_websocket(self: &Arc<Self>, http: &mut Http, socket: WebSocket) -> io::Result<()> {
        let (kept, writing, writer) = (http.stream.try_clone()?, http.stream.try_clone()?, Arc::clone(self));
        self.lock().driven.streams.insert(socket, kept);
        thread::Builder::new().spawn(move || writer.write_websocket(writing, socket))?;
        loop {
            self.input(|state, now| core!(state, core => core.handle_bytes(now, socket.0, socket.1, &mut http.buffer)));
            drop(self.changed.wait_while(self.lock(), |state| !core!(state, core => core.wants_read(socket.0))));
            http.read(Clock::now() + Duration::from_secs(86_400))?;
        }
    }

    fn write_websocket(&self, mut stream: TcpStream, socket: WebSocket) -> io::Result<()> {
        let mut state = self.lock();
        while state.driven.streams.contains_key(&socket) {
            let queue = core!(state, core => core.transmit(socket.0, socket.1));
            let end = if queue.is_some() { Shutdown::Write } else { Shutdown::Both };
            let bytes = queue.map(|queue| queue.copy_to_bytes(queue.remaining().min(65_536))).unwrap_or_default();
            if !bytes.is_empty() {
                drop(state);
                stream.write_all(&bytes).or_else(|_| stream.shutdown(Shutdown::Both))?;
                self.changed.notify_all();
                state = self.lock();
            } else {
                if state.driven.ending.remove(&socket) {
                    stream.shutdown(end)?;
                }
                state = self.wait(state, Duration::MAX);
            }
        }
        Ok(())
    }
}
