//! A whole server, driven by a list of operations beside a model of what it must do.

mod sessions;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use self::sessions::Sessions;
use crate::{
    Config, ConnKey, Instant, Limits, NspId, Output, RequestId, Route, Seed, SocketKey, TransportId,
    http::{Body, Request, Response},
    server::{
        AckId, AckToken, ConnectError, ConnectRequest, EmitError, Event, JoinError, Room, RoomOp, Server, Stats, Target,
    },
    socket::Payload,
    ws,
};

/// What clients say, well-formed and not.
const PACKETS: [&str; 40] = [
    "40",
    "40{\"token\":1}",
    "40/a,",
    "40/b,{}",
    "40/none,",
    "41",
    "41/a,",
    "42[\"e\"]",
    "42[\"e\",1,{\"x\":[null]}]",
    "421[\"e\",\"ack\"]",
    "42/a,2[\"e\"]",
    "42/a,[\"e\"]",
    "430[]",
    "432[1]",
    "43/a,0[\"y\"]",
    "43/b,[1]",
    "44{\"message\":\"x\"}",
    "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
    "452-/a,[\"e\",{\"num\":1,\"_placeholder\":true},{\"_placeholder\":true,\"num\":0}]",
    "461-0[{\"_placeholder\":true,\"num\":0}]",
    "450-[\"e\"]",
    "4",
    "42",
    "42{}",
    "42[]",
    "42[\"connect\"]",
    "4abc",
    "bAAEC",
    "bAA==",
    "b!",
    "3",
    "3probe",
    "2",
    "2probe",
    "5",
    "6",
    "1",
    "0",
    "8",
    "",
];
const ROOMS: [&str; 4] = ["r", "s", "t", "__proto__"];
const EVENTS: [&str; 3] = ["news", "a", ""];

/// Runs the operations that `data` spells, and checks every observation against the model. Behind a byte 255 sessions can
/// be recovered.
pub fn server_ops(data: &[u8]) {
    run(data);
}

/// The same; gives how often a session was recovered.
fn run(data: &[u8]) -> usize {
    let operations = data.strip_prefix(&[255]);
    let mut simulation = Simulation::new(operations.is_some());
    let mut script = Script(operations.unwrap_or(data));
    // Bounded so that one input stays fast; longer scripts say nothing new.
    for _ in 0..400 {
        if script.0.is_empty() {
            break;
        }
        simulation.step(&mut script);
    }
    simulation.finish()
}

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.pick(64).min(self.0.len());
        self.0.split_off(..len).unwrap_or_default()
    }

    fn packet(&mut self) -> &'static str {
        PACKETS[self.pick(PACKETS.len())]
    }

    fn rooms(&mut self) -> Vec<&'static str> {
        let bits = self.byte();
        (0..ROOMS.len()).filter(|bit| bits & (1 << bit) != 0).map(|bit| ROOMS[bit]).collect()
    }
}

struct Simulation {
    server: Server,
    namespaces: [NspId; 3],
    now: Instant,
    next_request: u64,
    /// Requests that wait for their one answer, and whose they are.
    requests: BTreeMap<RequestId, (ConnKey, usize)>,
    /// Requests that the peer dropped: they may still be answered.
    aborted: BTreeSet<RequestId>,
    clients: Vec<Client>,
    /// Connections that were not reported as closed.
    connections: BTreeSet<ConnKey>,
    undecided: Vec<ConnectRequest>,
    decide_late: bool,
    /// Whether inputs are drained one by one, or in batches.
    batch: bool,
    sockets: BTreeMap<SocketKey, ConnKey>,
    acks: BTreeSet<(SocketKey, AckId)>,
    tokens: Vec<AckToken>,
    rooms: BTreeMap<(NspId, String), BTreeSet<SocketKey>>,
    /// The same, told by the room operations that are reported.
    reported: BTreeMap<(NspId, String), BTreeSet<SocketKey>>,
    /// The rooms of sockets that are about to be gone.
    leaving: BTreeMap<SocketKey, BTreeSet<String>>,
    /// If sessions can be recovered.
    sessions: Option<Sessions>,
}

#[derive(Default)]
struct Client {
    sid: String,
    websockets: Vec<WebSocket>,
}

struct WebSocket {
    request: RequestId,
    place: Option<(ConnKey, TransportId)>,
    stream: ws::Stream,
}

impl Simulation {
    fn new(recovery: bool) -> Self {
        let limits = Limits {
            max_payload: 600,
            max_attachments: 2,
            max_packet_bytes: 900,
            send_queue_bytes: 2_000,
            send_queue_packets: 20,
            high_water: 500,
            namespaces: 2,
            pending_namespaces: 1,
            failed_namespaces: 2,
            namespace_name: 8,
            rooms_per_socket: 3,
            outstanding_acks: 2,
            ..Limits::default()
        };
        let config = Config { limits, recovery: recovery.then(Sessions::config), ..Config::default() };
        let mut server = Server::new(config, &Seed::for_tests(1));
        let namespaces = ["/", "/a", "/b"].map(|name| server.add_namespace(name));
        Self {
            server,
            namespaces,
            now: Instant::from_millis(1),
            next_request: 0,
            requests: BTreeMap::new(),
            aborted: BTreeSet::new(),
            clients: Vec::new(),
            connections: BTreeSet::new(),
            undecided: Vec::new(),
            decide_late: false,
            batch: false,
            sockets: BTreeMap::new(),
            acks: BTreeSet::new(),
            tokens: Vec::new(),
            rooms: BTreeMap::new(),
            reported: BTreeMap::new(),
            leaving: BTreeMap::new(),
            sessions: recovery.then(Sessions::default),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        // Thirty was a whole number of them once: what is above keeps the corpus' meaning.
        let operation = match script.byte() {
            248.. => 32,
            244.. => 31,
            240.. => 30,
            byte => usize::from(byte) % 30,
        };
        let client = script.pick(4);
        if self.clients.len() <= client {
            self.clients.resize_with(client + 1, Client::default);
        }
        match operation {
            0 => self.request(client, "GET", "?EIO=4&transport=polling", &[]),
            1 => self.open_websocket(client, false),
            2 | 3 => self.session_request(client, "GET", &[]),
            4 | 5 => {
                let count = 1 + script.pick(3);
                let packets: Vec<_> = (0..count).map(|_| script.packet()).collect();
                self.session_request(client, "POST", packets.join("\x1e").as_bytes());
            }
            6 => self.session_request(client, "POST", script.bytes()),
            7 => self.session_request(client, ["PUT", "DELETE", "HEAD", "OPTIONS"][script.pick(4)], &[]),
            8 => self.open_websocket(client, true),
            9..=12 => {
                let packet = script.packet();
                self.say(client, script.byte(), &ws::Message::Text(packet.into()));
            }
            13 => {
                let bytes = Bytes::copy_from_slice(script.bytes());
                self.say(client, script.byte(), &ws::Message::Binary(bytes));
            }
            14 => {
                if let Some((key, transport)) = self.place(client, script.byte()) {
                    self.server.handle_bytes(self.now, key, transport, &mut BytesMut::from(script.bytes()));
                }
            }
            15 => {
                if let Some((key, transport)) = self.place(client, script.byte()) {
                    self.server.handle_eof(self.now, key, transport);
                }
            }
            16 => {
                let oldest =
                    self.requests.iter().find(|(_, (_, owner))| *owner == client).map(|(id, (key, _))| (*id, *key));
                if let Some((id, key)) = oldest {
                    // An answer may be on its way already; the driver has nobody to give it to any more.
                    self.server.handle_abort(self.now, key, id);
                    self.requests.remove(&id);
                    self.aborted.insert(id);
                    if let Some(sessions) = &mut self.sessions {
                        sessions.on_deaf(key);
                    }
                }
            }
            17 => self.tick(None),
            18 => self.tick(Some(Duration::from_millis(u64::from(script.byte()) * 100))),
            19 => self.decide_late = !self.decide_late,
            20 => self.batch = !self.batch,
            30 => {
                let withheld = script.byte() & 1 == 0;
                if let Some(key) = self.connections.iter().nth(client) {
                    self.server.handle_withheld(self.now, *key, withheld);
                }
            }
            31 => {
                self.drain();
                if let Some(key) = self.connections.iter().nth(client) {
                    self.server.abort(self.now, *key);
                }
                self.drain();
                self.check();
            }
            32 => {
                if let Some(packet) = self.sessions.as_mut().and_then(|sessions| sessions.claim(script)) {
                    match self.place(client, script.byte()) {
                        Some(_) => self.say(client, script.byte(), &ws::Message::Text(packet.into())),
                        None => self.session_request(client, "POST", packet.as_bytes()),
                    }
                }
            }
            _ => {
                self.drain();
                self.verb(operation, script);
                self.drain();
                self.check();
            }
        }
        if !self.batch {
            self.drain();
            self.check();
        }
    }

    fn verb(&mut self, operation: usize, script: &mut Script<'_>) {
        let namespace = self.namespaces[script.pick(3)];
        let socket = (!self.sockets.is_empty())
            .then(|| *self.sockets.keys().nth(script.pick(self.sockets.len())).expect("within the length"));
        let payload =
            Payload::event(EVENTS[script.pick(3)], &alloc::vec!["x"; script.pick(200)], 2).expect("encodable");
        let now = self.now;
        match (operation, socket) {
            (21, Some(socket)) => match self.server.emit(now, socket, &payload) {
                Ok(()) => self.sent(socket.namespace(), |_, other, _| other == Some(socket)),
                Err(EmitError::Full(_)) => {}
                Err(error) => panic!("a connected socket: {error}"),
            },
            (22, Some(socket)) => match self.server.emit_with_ack(now, socket, &payload, Duration::from_millis(700)) {
                Ok(id) => assert!(self.acks.insert((socket, id)), "an id is used once at a time"),
                Err(EmitError::TooManyAcks { limit }) => {
                    assert_eq!(self.acks.iter().filter(|(owner, _)| *owner == socket).count(), limit);
                }
                Err(EmitError::Full(_)) => {}
                Err(error) => panic!("a connected socket: {error}"),
            },
            (23, _) => {
                if let Some(token) = self.tokens.pop() {
                    let alive = self.sockets.contains_key(&token.socket());
                    let answer = Payload::ack(&("ok", 1), 2).expect("encodable");
                    let replied = self.server.reply(now, &token, &answer);
                    assert!(alive || replied == Err(EmitError::NotConnected));
                }
            }
            (24, Some(socket)) => {
                let room = ROOMS[script.pick(ROOMS.len())];
                let own = self.rooms_of(socket);
                match self.server.join(socket, room) {
                    Ok(new) => {
                        assert_eq!(new, !own.contains(room));
                        self.rooms.entry((socket.namespace(), room.into())).or_default().insert(socket);
                    }
                    Err(JoinError::TooManyRooms { limit }) => assert!(own.len() == limit && !own.contains(room)),
                    Err(error) => panic!("a connected socket: {error}"),
                }
            }
            (25, Some(socket)) => {
                let room = ROOMS[script.pick(ROOMS.len())];
                assert_eq!(self.server.leave(socket, room), self.rooms_of(socket).contains(room));
                self.forget(socket, Some(room));
            }
            (26, _) => {
                let (rooms, except) = (script.rooms(), script.rooms());
                let own = socket.and_then(|socket| self.server.sid(socket)).filter(|_| script.byte() > 200);
                let mut rooms: Vec<Room<'_>> = rooms.into_iter().map(Room::from).collect();
                rooms.extend(own.map(Room::from));
                let except: Vec<Room<'_>> = except.into_iter().map(Room::from).collect();
                let target = Target { namespace, rooms: &rooms, except: &except };
                let expected = self.selected(&target);
                let is_logged = !self.server.hub().is_empty(&target);
                assert_eq!(self.server.broadcast(now, &target, &payload), Ok(expected.len()));
                if is_logged {
                    self.sent(namespace, |sid, socket, rooms| match socket {
                        Some(socket) => expected.contains(&socket),
                        None => names_one(&target, sid, rooms),
                    });
                }
            }
            (27, Some(socket)) => self.server.disconnect(now, socket, script.byte() > 127),
            (28, _) => {
                let rooms = script.rooms();
                let named: Vec<Room<'_>> = rooms.iter().copied().map(Room::from).collect();
                let target = Target { namespace, rooms: &named, except: &[] };
                if script.byte() > 200 {
                    self.server.disconnect_sockets(now, &target, false);
                } else {
                    for socket in self.selected(&target) {
                        self.forget(socket, Some("r"));
                    }
                    self.server.sockets_leave(&target, &["r"]);
                }
            }
            (29, _) if !self.undecided.is_empty() => {
                let request = self.undecided.swap_remove(script.pick(self.undecided.len()));
                self.decide(request, script.byte() < 200);
            }
            _ => {}
        }
    }

    fn request(&mut self, client: usize, method: &str, query: &str, body: &[u8]) {
        self.start_request(client, method, query, &[], body);
    }

    fn session_request(&mut self, client: usize, method: &str, body: &[u8]) {
        let sid = self.clients[client].sid.clone();
        if !sid.is_empty() {
            self.start_request(client, method, &alloc::format!("?EIO=4&transport=polling&sid={sid}"), &[], body);
        }
    }

    fn open_websocket(&mut self, client: usize, upgrade: bool) {
        let headers: [(&str, &[u8]); 4] = [
            ("Connection", b"Upgrade"),
            ("Upgrade", b"websocket"),
            ("Sec-WebSocket-Version", b"13"),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let sid = &self.clients[client].sid;
        let sid = if upgrade && !sid.is_empty() { alloc::format!("&sid={sid}") } else { String::new() };
        let query = alloc::format!("?EIO=4&transport=websocket{sid}");
        let request = RequestId(self.next_request);
        if self.clients[client].websockets.len() < 4 {
            let stream = ws::Stream::new(ws::Settings::new(ws::Role::Client), Some(&Seed::for_tests(request.0)));
            self.clients[client].websockets.push(WebSocket { request, place: None, stream });
            self.start_request(client, "GET", &query, &headers, &[]);
        }
    }

    fn start_request(&mut self, client: usize, method: &str, query: &str, headers: &[(&str, &[u8])], body: &[u8]) {
        let target = alloc::format!("/socket.io/{query}");
        let head = Request { method, target: &target, headers, peer: None, secure: false };
        let id = RequestId(self.next_request);
        self.next_request += 1;
        match self.server.route(self.now, &head) {
            Route::Connection { key, body_limit } => {
                if !query.contains("sid=") {
                    self.connections.insert(key);
                }
                self.requests.insert(id, (key, client));
                let body =
                    if body.len() > body_limit { Body::TooLarge } else { Body::Whole(Bytes::copy_from_slice(body)) };
                self.server.handle_request(self.now, key, id, &head, body);
            }
            Route::Response(response) => assert!(response.status >= 400 || response.status == 204),
            Route::NotFound => panic!("the path is ours"),
        }
    }

    fn say(&mut self, client: usize, which: u8, message: &ws::Message) {
        let Some((key, transport)) = self.place(client, which) else { return };
        let websocket = self.clients[client].websockets.iter_mut().find(|ws| ws.place == Some((key, transport)));
        if let Some(websocket) = websocket {
            websocket.stream.send(message);
            let queue = websocket.stream.transmit();
            let mut bytes = BytesMut::from(&*queue.copy_to_bytes(queue.remaining()));
            self.server.handle_bytes(self.now, key, transport, &mut bytes);
            assert!(bytes.is_empty());
        }
    }

    fn place(&self, client: usize, which: u8) -> Option<(ConnKey, TransportId)> {
        let places: Vec<_> = self.clients[client].websockets.iter().filter_map(|ws| ws.place).collect();
        places.get(usize::from(which) % places.len().max(1)).copied()
    }

    fn tick(&mut self, ahead: Option<Duration>) {
        let next = self.server.poll_timeout();
        self.now = self.now.max(match ahead {
            Some(ahead) => self.now + ahead,
            None => next.unwrap_or(self.now),
        });
        self.server.handle_timeout(self.now);
        let next = self.server.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} after a tick at {}", self.now);
    }

    /// An event was sent to those for whom `is_for` says so.
    fn sent(&mut self, namespace: NspId, is_for: impl Fn(&str, Option<SocketKey>, &BTreeSet<String>) -> bool) {
        if let Some(sessions) = &mut self.sessions {
            sessions.on_event(namespace, |socket| self.sockets.get(&socket).copied(), is_for);
        }
    }

    fn decide(&mut self, request: ConnectRequest, accept: bool) {
        let (socket, connection, sid) = (request.socket(), request.connection(), request.sid());
        if accept {
            if let Ok(accepted) = self.server.accept(self.now, request) {
                assert_eq!(accepted, socket);
                assert!(self.sockets.insert(socket, connection).is_none());
                if let Some(sessions) = &mut self.sessions {
                    sessions.on_accept(connection, socket, sid.to_string());
                }
            }
        } else {
            let error = ConnectError::with_data("no", &[1]).expect("encodable");
            let _ = self.server.reject(self.now, request, &error);
        }
    }

    fn drain(&mut self) {
        loop {
            let mut ended = Vec::new();
            while let Some(output) = self.server.poll_output() {
                match output {
                    Output::Respond { id, response } => self.on_response(id, &response),
                    Output::Upgrade { id, connection, transport, .. } => {
                        let answered = self.requests.remove(&id).is_some() || self.aborted.remove(&id);
                        assert!(answered, "one answer per request");
                        let mut websockets = self.clients.iter_mut().flat_map(|client| &mut client.websockets);
                        let websocket = websockets.find(|ws| ws.request == id).expect("an upgrade was asked for");
                        websocket.place = Some((connection, transport));
                    }
                    Output::Shutdown { connection, transport } => ended.push((connection, transport, true)),
                    Output::Abort { connection, transport } => ended.push((connection, transport, false)),
                    Output::Event(event) => self.on_event(event),
                }
            }
            self.pump();
            if ended.is_empty() {
                if let Some(sessions) = &mut self.sessions {
                    sessions.settle(self.now);
                }
                return;
            }
            for (key, transport, _) in ended {
                for client in &mut self.clients {
                    client.websockets.retain(|ws| ws.place != Some((key, transport)));
                }
                self.server.handle_eof(self.now, key, transport);
            }
        }
    }

    /// Moves what is to be written to the clients, who must understand all of it.
    fn pump(&mut self) {
        while self.server.poll_transmit().is_some() {}
        for websocket in self.clients.iter_mut().flat_map(|client| &mut client.websockets) {
            let Some((key, transport)) = websocket.place else { continue };
            let Some(queue) = self.server.transmit(key, transport) else { continue };
            let mut bytes = BytesMut::from(&*queue.copy_to_bytes(queue.remaining()));
            websocket.stream.handle_bytes(&mut bytes);
            while let Some(event) = websocket.stream.poll_event(self.now) {
                assert!(!matches!(event, ws::Event::Closing(ws::Closing::Violation(_))), "{event:?}");
                if let (Some(sessions), ws::Event::Message(ws::Message::Text(text))) = (&mut self.sessions, &event) {
                    sessions.hear(key, |name| self.server.hub().namespace(name), text);
                }
            }
        }
    }

    fn on_response(&mut self, id: RequestId, response: &Response) {
        if self.aborted.remove(&id) {
            return;
        }
        let (key, client) = self.requests.remove(&id).expect("one answer per request");
        let body = core::str::from_utf8(&response.body).expect("answers are text");
        if let Some(sessions) = &mut self.sessions {
            for packet in body.split('\x1e') {
                sessions.hear(key, |name| self.server.hub().namespace(name), packet);
            }
        }
        if let Some((_, rest)) = body.strip_prefix("0{").and_then(|body| body.split_once("\"sid\":\"")) {
            self.clients[client].sid = rest.split('"').next().unwrap_or_default().into();
        }
        assert!(response.body.len() <= 2_600, "polls are chunked");
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connect(request) => {
                assert!(self.connections.contains(&request.connection()));
                if let Some(sessions) = &mut self.sessions {
                    // It may be gone again before the application hears of it.
                    let is_there = self.server.sid(request.socket()).is_some();
                    let rooms = is_there.then(|| names(&self.server, request.socket()));
                    sessions.on_connect(self.now, &request, rooms);
                }
                if self.decide_late { self.undecided.push(request) } else { self.decide(request, true) }
            }
            Event::Packet { socket, ack, .. } => {
                assert!(self.sockets.contains_key(&socket), "packets of connected sockets only");
                self.tokens.extend(ack);
            }
            Event::Ack { socket, id, .. } => {
                assert!(self.acks.remove(&(socket, id)), "one outcome per acknowledgement")
            }
            Event::Disconnecting { socket, .. } => {
                assert!(self.sockets.contains_key(&socket));
                let rooms = self.rooms_of(socket);
                assert_eq!(names(&self.server, socket), rooms, "rooms are still there");
                self.leaving.insert(socket, rooms);
            }
            Event::Disconnect { socket, reason, .. } => {
                let rooms = self.leaving.remove(&socket).expect("it was about to be gone");
                if let Some(sessions) = &mut self.sessions {
                    sessions.on_disconnect(self.now, socket, rooms, reason);
                }
                assert!(self.sockets.remove(&socket).is_some(), "one disconnect per connect");
                assert!(!self.acks.iter().any(|(owner, _)| *owner == socket), "no acknowledgement outlives its socket");
                assert_eq!(self.server.rooms(socket).count(), 0);
                self.forget(socket, None);
            }
            Event::Close { connection, .. } => {
                assert!(self.connections.remove(&connection), "one close per connection");
                assert!(!self.sockets.values().any(|owner| *owner == connection), "sockets go first");
            }
            Event::Room(op) => self.on_room(op),
            Event::Upgrade(connection) => assert!(self.connections.contains(&connection)),
            Event::Selection { .. } => {}
            Event::Forgotten { sid, .. } => {
                self.sessions.as_mut().expect("recovery is on").on_forgotten(&sid.to_string());
            }
        }
    }

    fn on_room(&mut self, op: RoomOp) {
        match op {
            RoomOp::Create { namespace, room } => {
                let known = self.reported.insert((namespace, room.to_string()), BTreeSet::new());
                assert!(known.is_none(), "created once");
            }
            RoomOp::Join { socket, room } => {
                let set = self.reported.get_mut(&(socket.namespace(), room.to_string())).expect("created before");
                assert!(set.insert(socket));
                if !self.sockets.contains_key(&socket) {
                    // It comes back to where it was.
                    self.rooms.entry((socket.namespace(), room.to_string())).or_default().insert(socket);
                }
            }
            RoomOp::Leave { socket, room } => {
                let set = self.reported.get_mut(&(socket.namespace(), room.to_string())).expect("created before");
                assert!(set.remove(&socket));
                if !self.sockets.contains_key(&socket) {
                    self.forget(socket, Some(&room));
                }
            }
            RoomOp::Delete { namespace, room } => {
                let set = self.reported.remove(&(namespace, room.to_string())).expect("created before");
                assert!(set.is_empty());
            }
        }
    }

    fn check(&mut self) {
        let stats = self.server.stats();
        let memberships: usize = self.rooms.values().map(BTreeSet::len).sum();
        assert_eq!(
            (stats.sockets, stats.acks, stats.rooms, stats.memberships, stats.waiting),
            (self.sockets.len(), self.acks.len(), self.rooms.len(), memberships, 0)
        );
        assert_eq!(self.rooms, self.reported);
        assert!(stats.received_bytes <= 4 * stats.connections * 1_600, "{stats:?}");
        assert_eq!(stats.lost_sessions, self.sessions.as_ref().map_or(0, Sessions::lost));
        for (socket, connection) in &self.sockets {
            assert_eq!(names(&self.server, *socket), self.rooms_of(*socket));
            // On WebSocket what is sent has arrived.
            let arrives = self.server.connection(*connection).is_some_and(|own| own.transport_name() == "websocket");
            assert!(!arrives || self.sessions.as_ref().is_none_or(|sessions| sessions.has_all(*connection)));
        }
    }

    fn selected(&self, target: &Target<'_>) -> BTreeSet<SocketKey> {
        let within = |rooms: &[Room<'_>], socket: &SocketKey| {
            rooms.iter().any(|room| match room {
                Room::Named(name) => self.rooms_of(*socket).contains(*name),
                Room::Own(sid) => self.server.sid(*socket) == Some(*sid),
            })
        };
        let sockets = self.sockets.keys().filter(|socket| socket.namespace() == target.namespace);
        let meant = sockets.filter(|socket| target.rooms.is_empty() || within(target.rooms, socket));
        meant.filter(|socket| !within(target.except, socket)).copied().collect()
    }

    fn rooms_of(&self, socket: SocketKey) -> BTreeSet<String> {
        let own = self.rooms.iter().filter(|((nsp, _), set)| *nsp == socket.namespace() && set.contains(&socket));
        own.map(|((_, name), _)| name.clone()).collect()
    }

    fn forget(&mut self, socket: SocketKey, room: Option<&str>) {
        self.rooms.retain(|(namespace, name), set| {
            if *namespace == socket.namespace() && room.is_none_or(|room| room == name) {
                set.remove(&socket);
            }
            !set.is_empty()
        });
    }

    /// Whatever happened: after a shutdown and enough time, nothing is left.
    fn finish(mut self) -> usize {
        self.drain();
        self.check();
        self.server.shutdown(self.now);
        self.drain();
        assert!(self.sockets.is_empty() && self.acks.is_empty());
        let places: Vec<_> =
            self.clients.iter().flat_map(|client| &client.websockets).filter_map(|ws| ws.place).collect();
        for (key, transport) in places {
            self.server.handle_eof(self.now, key, transport);
        }
        for _ in 0..100 {
            self.drain();
            if self.server.poll_timeout().is_none() {
                break;
            }
            self.tick(None);
        }
        self.drain();
        for request in core::mem::take(&mut self.undecided) {
            assert!(self.server.accept(self.now, request).is_err());
        }
        self.drain();
        assert!(self.requests.is_empty(), "{:?}", self.requests);
        assert!(self.connections.is_empty());
        assert!(self.sessions.as_ref().is_none_or(Sessions::is_empty), "each has ended, and that was told");
        assert_eq!(self.server.stats(), Stats { namespaces: 3, ..Stats::default() });
        self.sessions.map_or(0, |sessions| sessions.recovered)
    }
}

/// Whether a target names a session that has no socket.
fn names_one(target: &Target<'_>, sid: &str, rooms: &BTreeSet<String>) -> bool {
    let within = |named: &[Room<'_>]| {
        named.iter().any(|room| match room {
            Room::Named(name) => rooms.contains(*name),
            Room::Own(own) => own.to_string() == sid,
        })
    };
    (target.rooms.is_empty() || within(target.rooms)) && !within(target.except)
}

fn names(server: &Server, socket: SocketKey) -> BTreeSet<String> {
    server.rooms(socket).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::tests::corpus;

    #[test]
    fn the_corpus_recovers_sessions() {
        let recovered: Vec<usize> = corpus("server_ops").iter().map(|data| run(data)).collect();
        assert!(recovered.iter().sum::<usize>() >= 10, "{recovered:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_server_agrees_with_the_model(mut script in prop::collection::vec(any::<u8>(), 0..900)) {
            server_ops(&script);
            script.insert(0, 255);
            server_ops(&script);
        }
    }
}
