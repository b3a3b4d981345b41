//! A whole server in virtual time, with clients around it and an application on top.
//!
//! [`World`] owns one [`Server`], the clock, any number of clients that speak polling and WebSocket, and the transcript:
//! everything that happens, one line each. It decides nothing by itself but what a driver and an ordinary client must do.

#![allow(dead_code, unreachable_pub, unnameable_types, reason = "each test file uses a part of this module")]

mod clients;
mod verbs;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use sockeye_protocol::{
    Config, ConnKey, Instant, NspId, Output, QueuePolicy, RequestId, Route, Seed, SocketKey, Text, TransportId,
    http::{Body, Request, Response},
    server::{
        AckId, AckOutcome, AckToken, ConnectError, ConnectRequest, EmitError, Event, RequestGone, Room, RoomOp, Server,
        Stats, Target,
    },
    socket::{Args, Payload},
    ws,
};

/// The index of a client.
pub type Who = usize;

/// Sees every event first; gives it back for the default treatment (accept, keep the token, forget the socket).
pub type App = Box<dyn FnMut(&mut World, Event) -> Option<Event>>;

/// How inputs reach the server: nothing of this may change what comes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Bytes per `handle_bytes`; 0: all at once.
    pub chunk: usize,
    /// Outputs are polled by [`World::drive`] only, not after each input.
    pub lazy: bool,
    /// The WebSocket's frames are somebody else's: `handle_message` and `pop_message`.
    pub messages: bool,
    /// Ticks that nobody asked for.
    pub ticks: bool,
}

pub struct World {
    pub server: Server,
    pub now: Instant,
    pub style: Style,
    /// Whether `Event::Connect` waits in `asking` for the test to decide.
    pub hold: bool,
    pub clients: Vec<Client>,
    pub asking: VecDeque<ConnectRequest>,
    /// Connected sockets, in the order of their accepts.
    pub sockets: Vec<SocketKey>,
    pub tokens: VecDeque<AckToken>,
    lines: Vec<(Instant, String)>,
    names: BTreeMap<SocketKey, String>,
    labels: BTreeMap<(ConnKey, TransportId), String>,
    app: Option<App>,
    next_request: u64,
    open_requests: BTreeMap<RequestId, Who>,
    /// Requests that clients dropped: their answer may have been on its way.
    dropped: BTreeSet<RequestId>,
    gets: BTreeMap<Who, RequestId>,
    /// What drivers and clients have to do next.
    todo: VecDeque<Todo>,
    driving: bool,
}

pub struct Client {
    pub name: String,
    pub key: Option<ConnKey>,
    pub sid: String,
    /// Packets received so far and not taken yet; binary of a WebSocket as `<01 02>`.
    pub packets: Vec<String>,
    /// Packets that came in answers of polls, ever.
    pub polled: Vec<String>,
    /// Raw bytes that each WebSocket received.
    pub streams: Vec<Vec<u8>>,
    pub answers: BTreeMap<RequestId, Response>,
    /// Polls again after each answer, and answers pings.
    pub auto: bool,
    /// Answers a close frame.
    pub polite: bool,
    /// Takes what is written to its WebSockets.
    pub reads: bool,
    /// Ends its byte streams when the server does.
    pub ends: bool,
    websockets: Vec<WebSocket>,
}

struct WebSocket {
    request: RequestId,
    place: Option<(ConnKey, TransportId)>,
    /// What arrives; it has a close frame to answer in the end.
    stream: ws::Stream,
    /// What is sent, whatever has arrived: the two directions cross.
    out: ws::Stream,
    label: String,
}

enum Todo {
    Poll(Who),
    Pong(Who),
    AnswerClose(Who, usize),
    Eof(ConnKey, TransportId),
}

pub const UPGRADE: [(&str, &[u8]); 4] = [
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
];

impl World {
    pub fn new(config: Config) -> Self {
        Self::with_seed(config, 1)
    }

    pub fn with_seed(config: Config, seed: u64) -> Self {
        Self {
            server: Server::new(config, &Seed::for_tests(seed)),
            now: Instant::ZERO,
            style: Style::default(),
            hold: false,
            clients: Vec::new(),
            asking: VecDeque::new(),
            sockets: Vec::new(),
            tokens: VecDeque::new(),
            lines: Vec::new(),
            names: BTreeMap::new(),
            labels: BTreeMap::new(),
            app: None,
            next_request: 0,
            open_requests: BTreeMap::new(),
            dropped: BTreeSet::new(),
            gets: BTreeMap::new(),
            todo: VecDeque::new(),
            driving: false,
        }
    }

    pub fn on_event(&mut self, app: impl FnMut(&mut Self, Event) -> Option<Event> + 'static) {
        self.app = Some(Box::new(app));
    }

    /// The transcript, session ids replaced by `sid-1`, `sid-2`, … in the order of their appearance.
    pub fn transcript(&self) -> String {
        let raw = self.raw_transcript();
        let mut named = raw.clone();
        let mut sids: Vec<&str> = Vec::new();
        for part in raw.split("\"sid\":\"").skip(1) {
            let sid = part.split('"').next().unwrap_or_default();
            if !sids.contains(&sid) {
                sids.push(sid);
                named = named.replace(sid, &format!("sid-{}", sids.len()));
            }
        }
        named
    }

    /// The transcript as it is, session ids included.
    pub fn raw_transcript(&self) -> String {
        self.lines.iter().map(|(time, line)| format!("{:>11}  {line}\n", time.to_string())).collect()
    }

    /// The lines of the transcript that contain `what`, without their times.
    pub fn lines(&self, what: &str) -> Vec<String> {
        self.lines.iter().map(|(_, line)| line).filter(|line| line.contains(what)).cloned().collect()
    }

    /// What the application was told and did since the lines were last cleared.
    pub fn events(&self) -> Vec<String> {
        self.lines("app: ").into_iter().map(|line| line.trim_start_matches("app: ").to_owned()).collect()
    }

    /// What the server did since the transcript was last cleared: outputs alone, without times.
    pub fn reaction(&self) -> String {
        let outputs = self.lines("").into_iter().filter(|line| {
            let first = line.split(": ").next().unwrap_or_default();
            line.contains("< ") || first == "app" || first == "server"
        });
        outputs.collect::<Vec<_>>().join("\n")
    }

    pub fn clear(&mut self) {
        self.lines.clear();
        for client in &mut self.clients {
            client.packets.clear();
        }
    }

    pub fn note(&mut self, text: impl AsRef<str>) {
        self.lines.push((self.now, text.as_ref().to_owned()));
    }

    // Clients.

    fn input_done(&mut self) {
        if self.style.ticks {
            self.server.handle_timeout(self.now);
        }
        if !self.style.lazy {
            self.drive();
        }
    }

    // The driver.

    /// Polls until nothing is left to do, on either side.
    pub fn drive(&mut self) {
        // What the application does in answer to an output is part of the same round.
        if std::mem::replace(&mut self.driving, true) {
            return;
        }
        loop {
            while let Some(output) = self.server.poll_output() {
                self.on_output(output);
            }
            while let Some(place) = self.server.poll_transmit() {
                self.transmit(place);
            }
            let Some(todo) = self.todo.pop_front() else { break };
            match todo {
                Todo::Poll(who) => {
                    self.get(who);
                }
                Todo::Pong(who) if self.newest(who).is_some() => self.say(who, "3"),
                Todo::Pong(who) => {
                    self.post(who, "3");
                }
                Todo::AnswerClose(who, index) => self.answer_close(who, index),
                Todo::Eof(key, transport) => {
                    for socket in self.clients.iter_mut().flat_map(|client| &mut client.websockets) {
                        if socket.place == Some((key, transport)) {
                            socket.place = None;
                        }
                    }
                    self.server.handle_eof(self.now, key, transport);
                }
            }
        }
        self.driving = false;
    }

    /// Lets time pass, from deadline to deadline.
    pub fn advance(&mut self, duration: Duration) {
        self.advance_to(self.now + duration);
    }

    pub fn advance_to(&mut self, target: Instant) {
        self.drive();
        while let Some(next) = self.server.poll_timeout().filter(|next| *next <= target) {
            if self.style.ticks && next > self.now {
                let between = Instant::from_micros(u64::midpoint(self.now.as_micros(), next.as_micros()));
                self.server.handle_timeout(between);
                self.server.handle_timeout(between);
                self.drive();
            }
            self.now = self.now.max(next);
            self.note("timer");
            self.tick();
        }
        self.now = self.now.max(target);
    }

    /// A tick now. What must hold after any tick is checked.
    pub fn tick(&mut self) {
        for _ in 0..=u8::from(self.style.ticks) {
            self.server.handle_timeout(self.now);
            let next = self.server.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "{next:?} before the outputs of a tick at {}", self.now);
        }
        self.drive();
        let next = self.server.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} after a tick at {}", self.now);
    }

    fn on_output(&mut self, output: Output<Event>) {
        match output {
            Output::Respond { id, response } => {
                let who = self.open_requests.remove(&id).expect("one answer per request");
                self.on_response(who, id, response);
            }
            Output::Upgrade { id, response, connection, transport } => {
                let who = self.open_requests.remove(&id).expect("one answer per request");
                let client = &mut self.clients[who];
                let socket = client.websockets.iter_mut().find(|socket| socket.request == id).expect("asked for");
                socket.place = Some((connection, transport));
                self.labels.insert((connection, transport), format!("{} {}", client.name, socket.label));
                let line = format!("{} {}< {}", client.name, socket.label, response.status);
                client.answers.insert(id, response);
                self.note(line);
            }
            Output::Shutdown { connection, transport } => {
                self.transmit((connection, transport));
                let name = self.socket_label((connection, transport));
                self.note(format!("server: ends {name}"));
                if self.find((connection, transport)).is_none_or(|(who, _)| self.clients[who].ends) {
                    self.todo.push_back(Todo::Eof(connection, transport));
                }
            }
            Output::Abort { connection, transport } => {
                let name = self.socket_label((connection, transport));
                self.note(format!("server: aborts {name}"));
                self.todo.push_back(Todo::Eof(connection, transport));
            }
            Output::Event(event) => self.on_app(event),
            other => panic!("{other:?}"),
        }
    }

    fn on_response(&mut self, who: Who, id: RequestId, response: Response) {
        let client = &mut self.clients[who];
        let mut line = format!("{}< {}", client.name, response.status);
        if !response.body.is_empty() {
            write!(line, " {}", shown(&response.body)).unwrap();
        }
        if let Some(value) = response.header("connection") {
            write!(line, " (connection: {value})").unwrap();
        }
        client.websockets.retain(|socket| socket.request != id);
        let body = String::from_utf8(response.body.to_vec()).expect("answers are text");
        let polled = response.header("content-type") == Some("text/plain; charset=UTF-8");
        if response.status == 200 && polled {
            for packet in body.split('\x1e') {
                if let Some(open) = packet.strip_prefix('0') {
                    client.sid = member(open, "sid");
                }
                if client.auto && packet == "2" {
                    self.todo.push_back(Todo::Pong(who));
                }
                client.packets.push(packet.to_owned());
                client.polled.push(packet.to_owned());
            }
            // A client on WebSocket polls no more, nor one that was told that the session is over.
            let upgraded = client.websockets.iter().any(|socket| socket.place.is_some());
            if client.auto && !upgraded && client.packets.last().is_none_or(|packet| packet != "1") {
                self.todo.push_back(Todo::Poll(who));
            }
        }
        client.answers.insert(id, response);
        self.note(line);
    }

    /// Moves what is to be written to its client.
    fn transmit(&mut self, place: (ConnKey, TransportId)) {
        let Some((who, index)) = self.find(place) else { return };
        if !self.clients[who].reads {
            return;
        }
        let messages = self.style.messages;
        let Some(queue) = self.server.transmit(place.0, place.1) else { return };
        let mut received = Vec::new();
        let socket = &mut self.clients[who].websockets[index];
        if messages {
            while let Some(message) = queue.pop_message() {
                received.push(match message {
                    ws::OutMessage::Message(message) => ws::Event::Message(message),
                    ws::OutMessage::Close(frame) => {
                        self.todo.push_back(Todo::Eof(place.0, place.1));
                        ws::Event::Closing(ws::Closing::Peer(frame))
                    }
                    ws::OutMessage::Pong(bytes) | ws::OutMessage::Ping(bytes) => ws::Event::Pong(bytes),
                });
            }
        } else {
            let bytes = queue.copy_to_bytes(queue.remaining());
            let stream = socket.label.trim_start_matches("ws").parse::<usize>().unwrap_or(1) - 1;
            self.clients[who].streams[stream].extend_from_slice(&bytes);
            let socket = &mut self.clients[who].websockets[index];
            socket.stream.handle_bytes(&mut BytesMut::from(&*bytes));
            received.extend(std::iter::from_fn(|| socket.stream.poll_event(self.now)));
        }
        for event in received {
            self.on_frame(who, index, event);
        }
    }

    fn on_frame(&mut self, who: Who, index: usize, event: ws::Event) {
        let client = &mut self.clients[who];
        let mut line = format!("{} {}< ", client.name, client.websockets[index].label);
        match event {
            ws::Event::Message(ws::Message::Text(text)) => {
                line.push_str(&shown(text.as_bytes()));
                if let Some(open) = text.strip_prefix("0{") {
                    client.sid = member(open, "sid");
                }
                if client.auto && *text == *"2" {
                    self.todo.push_back(Todo::Pong(who));
                }
                client.packets.push(text.to_string());
            }
            ws::Event::Message(ws::Message::Binary(bytes)) => {
                line.push_str(&hex(&bytes));
                client.packets.push(hex(&bytes));
            }
            ws::Event::Pong(bytes) => write!(line, "pong {}", hex(&bytes)).unwrap(),
            ws::Event::Closing(ws::Closing::Peer(frame)) => {
                let text = frame.map_or("close".into(), |frame| format!("close {} {:?}", frame.code, frame.reason));
                line.push_str(&text);
                client.packets.push(text);
                if client.polite {
                    self.todo.push_back(Todo::AnswerClose(who, index));
                }
            }
            ws::Event::Closing(other) => panic!("a server must not do this: {other:?}"),
        }
        self.note(line);
    }

    fn find(&self, place: (ConnKey, TransportId)) -> Option<(Who, usize)> {
        self.clients.iter().enumerate().find_map(|(who, client)| {
            let index = client.websockets.iter().position(|socket| socket.place == Some(place));
            index.map(|index| (who, index))
        })
    }

    fn socket_label(&self, place: (ConnKey, TransportId)) -> String {
        self.labels.get(&place).cloned().expect("every WebSocket was asked for")
    }

    // The application.

    fn on_app(&mut self, event: Event) {
        if let Event::Connect(request) = &event {
            let name = format!("{}{}", self.connection_name(request.connection()), request.namespace());
            self.names.insert(request.socket(), name);
        }
        let line = self.event_line(&event);
        self.note(format!("app: {line}"));
        let mut event = Some(event);
        if let Some(mut app) = self.app.take() {
            event = event.and_then(|event| app(self, event));
            self.app.get_or_insert(app);
        }
        match event {
            Some(Event::Connect(request)) if self.hold => self.asking.push_back(request),
            Some(Event::Connect(request)) => {
                let _ = self.accept(request);
            }
            Some(Event::Packet { ack, .. }) => self.tokens.extend(ack),
            Some(Event::Disconnect { socket, .. }) => self.sockets.retain(|other| *other != socket),
            _ => {}
        }
    }

    fn event_line(&self, event: &Event) -> String {
        let with = |error: Option<String>| error.map_or(String::new(), |error| format!(": {error}"));
        match event {
            Event::Connect(request) => {
                let auth = request.auth().map_or(String::new(), |auth| format!(" auth {}", auth.raw()));
                format!("connect {}{auth}", self.name(request.socket()))
            }
            Event::Packet { socket, event, args, ack } => {
                let ack = if ack.is_some() { " (to be acknowledged)" } else { "" };
                format!("event {} {event:?} {}{ack}", self.name(*socket), shown_args(args))
            }
            Event::Ack { socket, id, outcome } => {
                let outcome = match outcome {
                    AckOutcome::Reply(args) => shown_args(args),
                    AckOutcome::Timeout => "timeout".into(),
                    AckOutcome::Disconnected => "disconnected".into(),
                    other => format!("{other:?}"),
                };
                format!("ack {} #{id} {outcome}", self.name(*socket))
            }
            Event::Disconnecting { socket, reason } => {
                let rooms = self.server.rooms(*socket).map(ToString::to_string).collect::<Vec<_>>().join(" ");
                format!("disconnecting {} ({reason}) rooms [{rooms}]", self.name(*socket))
            }
            Event::Disconnect { socket, reason, error } => {
                format!("disconnect {} ({reason}){}", self.name(*socket), with(error.as_ref().map(ToString::to_string)))
            }
            Event::Upgrade(connection) => format!("upgrade {}", self.connection_name(*connection)),
            Event::Close { connection, reason, error } => {
                let name = self.connection_name(*connection);
                format!("close {name} ({reason}){}", with(error.as_ref().map(ToString::to_string)))
            }
            Event::Room(op) => match op {
                RoomOp::Create { namespace, room } => format!("room {room}@{} made", self.namespace_name(*namespace)),
                RoomOp::Join { socket, room } => format!("room {room} joined by {}", self.name(*socket)),
                RoomOp::Leave { socket, room } => format!("room {room} left by {}", self.name(*socket)),
                RoomOp::Delete { namespace, room } => format!("room {room}@{} gone", self.namespace_name(*namespace)),
                other => format!("{other:?}"),
            },
            Event::Selection { sockets, .. } => format!("selection of {sockets}"),
            other => format!("{other:?}"),
        }
    }

    /// A socket's name: its client's and its namespace's.
    pub fn name(&self, socket: SocketKey) -> String {
        self.names.get(&socket).cloned().unwrap_or_else(|| format!("{socket:?}"))
    }

    fn connection_name(&self, key: ConnKey) -> String {
        let client = self.clients.iter().find(|client| client.key == Some(key));
        client.map_or_else(|| key.to_string(), |client| client.name.clone())
    }

    fn namespace_name(&self, id: NspId) -> String {
        self.server.hub().namespace_name(id).map_or_else(|| id.to_string(), ToString::to_string)
    }

    pub fn nsp(&self, name: &str) -> NspId {
        self.server.hub().namespace(name).expect("a namespace")
    }

    fn verb_done(&mut self) {
        if !self.style.lazy {
            self.drive();
        }
    }

    /// Nothing is left of any connection.
    pub fn assert_empty(&mut self) {
        self.drive();
        let namespaces = self.server.stats().namespaces;
        let mut empty = Stats::default();
        empty.namespaces = namespaces;
        assert_eq!(self.server.stats(), empty);
        assert_eq!(self.server.poll_timeout(), None);
        let unanswered: Vec<_> = self.open_requests.keys().filter(|id| !self.dropped.contains(id)).collect();
        assert!(unanswered.is_empty(), "unanswered: {unanswered:?}");
    }
}

/// The text of one member of a JSON object.
fn member(json: &str, key: &str) -> String {
    let after = json.split(&format!("\"{key}\":\"")).nth(1).unwrap_or_default();
    after.split('"').next().unwrap_or_default().into()
}

fn shown_args(args: &Args) -> String {
    let mut text = format!("[{}]", shown(args.raw().as_bytes()));
    for bytes in args.attachments() {
        write!(text, " {}", hex(bytes)).unwrap();
    }
    text
}

/// Text on one line: the separator of packets made visible, long ones cut.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\x1e', "␞").replace('\n', "⏎");
    match text.chars().count() {
        0..=300 => text,
        count => format!("{}… ({count} characters)", text.chars().take(60).collect::<String>()),
    }
}

/// Bytes as `<01 02>`, long ones cut.
pub fn hex(bytes: &[u8]) -> String {
    let list = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    match bytes.len() {
        0..=32 => format!("<{}>", list(bytes)),
        len => format!("<{}… ({len} bytes)>", list(&bytes[..8])),
    }
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub const MICRO: Duration = Duration::from_micros(1);

/// A text, for tests that build one.
pub fn text(text: impl Into<String>) -> Text {
    Text::from(text.into())
}
