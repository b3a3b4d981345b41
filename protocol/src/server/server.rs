//! A whole server for one thread: connections, their hub, and a heap of deadlines.

mod verbs;

use alloc::{collections::VecDeque, sync::Arc};

use bytes::BytesMut;

use super::{
    connection::{self, Connection},
    error::EmitError,
    event::Event,
    hub::{ConnectionEvent, Hub, HubEvent, HubOutput, Route as HubRoute},
    stats::Stats,
};
use crate::{
    Config, Instant, Seed, Text,
    engine::gone,
    fifo::take_first,
    http::{Body, Request},
    key::{ConnKey, NspId, RequestId, Sid, SocketKey, TransportId},
    machines::{Machines, Output, Route, Transmits},
    ws,
};

/// A Socket.IO server as one machine: for tests, simulations, fuzzing, and for embedders with a single thread.
///
/// It composes [`Connection`]s and a [`Hub`], and decides nothing itself. The crate's documentation shows the whole
/// loop around it.
///
/// Inputs ([`handle_request`](Self::handle_request) and the other `handle_*`) are stored, and processed in the order
/// in which they came, across connections too; verbs ([`emit`](Self::emit), [`join`](Self::join), …) act at once. Any
/// number of either in any order, then [`poll_output`](Self::poll_output) until it returns `None`, then write what
/// [`transmit`](Self::transmit) holds for the connections that were touched, which
/// [`poll_transmit`](Self::poll_transmit) names.
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    connections: Machines<Connection>,
    outputs: VecDeque<Output<Event>>,
    /// The latest `now`: what the hub says to a connection happens then.
    now: Instant,
    /// A tick for the hub, which comes behind all inputs that are stored.
    tick: Option<Instant>,
    /// WebSockets that may have something to write, each once.
    transmits: Transmits,
}

impl Server {
    /// A server with the namespace `/` alone.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// let server = Server::new(Config::default(), &Seed::for_tests(1));
    /// assert_eq!(server.hub().namespace_name(server.hub().namespace("/").unwrap()).unwrap(), "/");
    /// # }
    /// ```
    pub fn new(config: impl Into<Arc<Config>>, seed: &Seed) -> Self {
        Self {
            hub: Hub::new(config, seed),
            connections: Machines::new(),
            outputs: VecDeque::new(),
            now: Instant::ZERO,
            tick: None,
            transmits: Transmits::default(),
        }
    }

    /// Makes a namespace, or finds it if it exists. A missing `/` in front of the name is added.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let admin = server.add_namespace("admin");
    /// assert_eq!(server.add_namespace("/admin"), admin);
    /// # }
    /// ```
    pub fn add_namespace(&mut self, name: &str) -> NspId {
        self.hub.add_namespace(name)
    }

    /// The shared part: names of namespaces, rooms of a socket, members of a selection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// server.join(socket, "news")?;
    /// assert_eq!(server.hub().stats().rooms, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// One connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, _socket) = Client::joined(&mut server);
    /// assert_eq!(server.connection(client.key).unwrap().transport_name(), "polling");
    /// # }
    /// ```
    pub fn connection(&self, key: ConnKey) -> Option<&Connection> {
        self.connections.get(key)
    }

    /// The id of a socket (`socket.id`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, socket) = Client::joined(&mut server);
    /// let sid = server.sid(socket).unwrap();
    /// assert_eq!(server.hub().find(server.hub().namespace("/").unwrap(), sid), Some(socket));
    /// client.post(&mut server, "1");
    /// assert_eq!(server.sid(socket), None);
    /// # }
    /// ```
    pub fn sid(&self, socket: SocketKey) -> Option<Sid> {
        self.hub.sid(socket)
    }

    /// The rooms that a socket is in, its own one not among them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// server.join(socket, "news")?;
    /// assert_eq!(server.rooms(socket).collect::<Vec<_>>(), ["news"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rooms(&self, socket: SocketKey) -> impl Iterator<Item = &Text> {
        self.hub.rooms(socket)
    }

    /// Whether a driver should go on reading from the peer: `false` while more than [`crate::Limits::high_water`] bytes
    /// wait to be sent to it. One that stops calls [`handle_withheld`](Self::handle_withheld).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (client, socket) = Client::joined(&mut server);
    /// assert!(server.wants_read(client.key));
    /// for _ in 0..40 {
    ///     server.emit(NOW, socket, &event("news", &"long ".repeat(10_000)))?;
    /// }
    /// assert!(!server.wants_read(client.key), "2 MB that the client has not taken");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wants_read(&self, key: ConnKey) -> bool {
        self.connections.get(key).is_none_or(Connection::wants_read)
    }

    /// Counts of everything that the server holds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let (client, _socket) = Client::joined(&mut server);
    /// assert_eq!((server.stats().connections, server.stats().sockets), (1, 1));
    /// client.post(&mut server, "1");
    /// assert_eq!((server.stats().connections, server.stats().sockets), (0, 0));
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        for connection in self.connections.iter() {
            stats += connection.stats();
        }
        let (line, _) = self.connections.backlog();
        stats.connections = stats.connections.max(self.connections.len());
        stats.waiting = stats.waiting.saturating_add(self.outputs.len()).saturating_add(line);
        stats
    }

    /// Says where a request goes, by its head alone, before its body is read. Opens a connection where the request
    /// asks for one: it must then be given to [`handle_request`](Self::handle_request).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let mut route = |target| server.route(NOW, &head("GET", target));
    /// assert_eq!(route("/elsewhere"), Route::NotFound);
    /// let Route::Response(refused) = route("/socket.io/?EIO=4&transport=polling&sid=unknown") else { panic!() };
    /// assert_eq!(refused.status, 400);
    /// assert!(matches!(route("/socket.io/?EIO=4&transport=polling"), Route::Connection { .. }));
    /// # }
    /// ```
    pub fn route(&mut self, now: Instant, head: &Request<'_>) -> Route {
        let key = match self.hub.route(head) {
            HubRoute::NotFound => return Route::NotFound,
            HubRoute::Response(response) => return Route::Response(response),
            HubRoute::Existing(key) => key,
            HubRoute::Open => {
                let connection = self.hub.open(now, head);
                let key = connection.key();
                self.connections.insert(key, connection);
                key
            }
        };
        Route::Connection { key, body_limit: self.hub.config().limits.max_payload }
    }

    /// A request that [`route`](Self::route) named a connection for. With [`Body::Pending`],
    /// [`handle_body`](Self::handle_body) follows.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// let head = head("GET", "/socket.io/?EIO=4&transport=polling");
    /// let Route::Connection { key, .. } = server.route(NOW, &head) else { panic!() };
    /// server.handle_request(NOW, key, RequestId(1), &head, Body::EMPTY);
    /// let Some(Output::Respond { id: RequestId(1), response }) = server.poll_output() else { panic!() };
    /// assert!(response.body.starts_with(b"0{\"sid\":"));
    /// # }
    /// ```
    pub fn handle_request(&mut self, now: Instant, key: ConnKey, id: RequestId, head: &Request<'_>, body: Body) {
        self.now = self.now.max(now);
        let unread = !matches!(body, Body::Whole(_));
        if !self.connections.input(key, |connection| connection.handle_request(now, id, head, body)) {
            // Gone since it was routed.
            let response = gone(self.hub.config(), head, unread);
            self.outputs.push_back(Output::Respond { id, response });
        }
    }

    /// The body of a request whose head came with [`Body::Pending`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let client = Client::open(&mut server);
    /// let head = head("POST", &client.target);
    /// let Route::Connection { key, body_limit } = server.route(NOW, &head) else { panic!() };
    /// server.handle_request(NOW, key, RequestId(2), &head, Body::Pending);
    /// // Now the body is read: up to `body_limit` bytes.
    /// server.handle_body(NOW, key, RequestId(2), Body::Whole(Bytes::from_static(b"40")));
    /// assert!(matches!(events(&mut server)[..], [Event::Connect(_)]));
    /// # }
    /// ```
    pub fn handle_body(&mut self, now: Instant, key: ConnKey, id: RequestId, body: Body) {
        self.input(now, key, |connection| connection.handle_body(now, id, body));
    }

    /// The peer dropped a request that is not answered yet.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let client = Client::open(&mut server);
    /// let head = head("GET", &client.target);
    /// server.handle_request(NOW, client.key, RequestId(2), &head, Body::EMPTY);
    /// assert_eq!(server.poll_output(), None); // There is nothing to say.
    /// server.handle_abort(NOW, client.key, RequestId(2));
    /// // Such a client is gone.
    /// assert!(matches!(events(&mut server)[..], [Event::Close { .. }]));
    /// # }
    /// ```
    pub fn handle_abort(&mut self, now: Instant, key: ConnKey, id: RequestId) {
        self.input(now, key, |connection| connection.handle_abort(now, id));
    }

    /// Bytes of a WebSocket. The buffer is always consumed whole.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (key, transport) = websocket(&mut server);
    /// // A frame with the text `40`; its mask is zero.
    /// let mut read = BytesMut::from(&b"\x81\x82\0\0\0\x0040"[..]);
    /// server.handle_bytes(NOW, key, transport, &mut read);
    /// assert!(read.is_empty());
    /// assert!(matches!(events(&mut server)[..], [Event::Connect(_)]));
    /// # }
    /// ```
    pub fn handle_bytes(&mut self, now: Instant, key: ConnKey, transport: TransportId, buffer: &mut BytesMut) {
        if !self.input(now, key, |connection| connection.handle_bytes(now, transport, buffer)) {
            buffer.clear();
        }
    }

    /// A message of a WebSocket that a framework owns, instead of [`handle_bytes`](Self::handle_bytes).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (key, transport) = websocket(&mut server);
    /// server.handle_message(NOW, key, transport, Message::Text("40".into()));
    /// assert!(matches!(events(&mut server)[..], [Event::Connect(_)]));
    /// # }
    /// ```
    pub fn handle_message(&mut self, now: Instant, key: ConnKey, transport: TransportId, message: ws::Message) {
        self.input(now, key, |connection| connection.handle_message(now, transport, message));
    }

    /// The byte stream of a WebSocket ended, failed, or was closed as told.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (key, transport) = websocket(&mut server);
    /// server.handle_eof(NOW, key, transport);
    /// assert!(matches!(events(&mut server)[..], [Event::Close { connection, .. }] if connection == key));
    /// # }
    /// ```
    pub fn handle_eof(&mut self, now: Instant, key: ConnKey, transport: TransportId) {
        self.input(now, key, |connection| connection.handle_eof(now, transport));
    }

    /// The driver has stopped reading from the peer, or goes on: see [`Connection::handle_withheld`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (client, _socket) = Client::joined(&mut server);
    /// // Its handlers are busy.
    /// server.handle_withheld(NOW, client.key, true);
    /// // They have caught up.
    /// server.handle_withheld(NOW, client.key, false);
    /// # assert_eq!(events(&mut server), []);
    /// # }
    /// ```
    pub fn handle_withheld(&mut self, now: Instant, key: ConnKey, withheld: bool) {
        self.input(now, key, |connection| connection.handle_withheld(now, withheld));
    }

    /// A tick. One that comes early does nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let _client = Client::open(&mut server);
    /// // A client that does not ask for a namespace has so much time.
    /// let deadline = NOW + server.hub().config().connect_timeout;
    /// while let Some(at) = server.poll_timeout().filter(|at| *at <= deadline) {
    ///     server.handle_timeout(at);
    ///     events(&mut server);
    /// }
    /// assert_eq!(server.stats().connections, 0);
    /// # }
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.connections.handle_timeout(now);
        if self.hub.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.tick = self.tick.max(Some(now));
        }
    }

    /// The next thing to do. Processes stored inputs one packet at a time, in the order in which they came.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// # let (_client, socket) = Client::joined(&mut server);
    /// # server.disconnect(NOW, socket, true);
    /// while let Some(output) = server.poll_output() {
    ///     match output {
    ///         Output::Respond { id, response } => println!("answer {id:?} with {}", response.status),
    ///         Output::Upgrade { id, transport, .. } => println!("answer {id:?} with 101: {transport:?} from here on"),
    ///         Output::Shutdown { transport, .. } => println!("write what is queued for {transport:?}, then close it"),
    ///         Output::Abort { transport, .. } => println!("drop {transport:?}"),
    ///         Output::Event(event) => println!("tell the application: {event:?}"),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    pub fn poll_output(&mut self) -> Option<Output<Event>> {
        loop {
            if let Some(output) = take_first(&mut self.outputs) {
                return Some(output);
            }
            if let Some(output) = self.hub.poll_output() {
                return Some(Output::Event(match output {
                    HubOutput::Room(op) => Event::Room(op),
                    HubOutput::Selection { id, sockets } => Event::Selection { id, sockets },
                    HubOutput::Forgotten { namespace, sid } => Event::Forgotten { namespace, sid },
                }));
            }
            let Some((key, until, connection)) = self.connections.current() else {
                self.hub.handle_timeout(self.tick.take()?);
                continue;
            };
            return Some(match connection.poll_until(until) {
                None => {
                    connection.unsent().for_each(|transport| self.transmits.push(key, transport));
                    self.connections.next();
                    continue;
                }
                Some(connection::Output::Hub(event)) => {
                    // The hub answers whoever asked, and the answer happens when the question did.
                    let now = connection.clock();
                    self.tell_hub(now, key, event);
                    continue;
                }
                Some(connection::Output::Respond { id, response }) => Output::Respond { id, response },
                Some(connection::Output::Upgrade { id, response, transport }) => {
                    Output::Upgrade { id, response, connection: key, transport }
                }
                Some(connection::Output::Shutdown(transport)) => Output::Shutdown { connection: key, transport },
                Some(connection::Output::Abort(transport)) => Output::Abort { connection: key, transport },
                Some(connection::Output::Event(event)) => Output::Event(event),
            });
        }
    }

    /// After [`poll_output`](Self::poll_output): the next WebSocket that may have something to write.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (key, transport) = websocket(&mut server);
    /// # server.handle_message(NOW, key, transport, Message::Text("40".into()));
    /// # let Some(Event::Connect(request)) = events(&mut server).pop() else { panic!() };
    /// server.accept(NOW, request)?;
    /// while let Some(output) = server.poll_output() {
    ///     drop(output);
    /// }
    /// assert_eq!(server.poll_transmit(), Some((key, transport)));
    /// assert_eq!(server.poll_transmit(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_transmit(&mut self) -> Option<(ConnKey, TransportId)> {
        self.transmits.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() {
    /// # let mut server = server();
    /// assert_eq!(server.poll_timeout(), None);
    /// # let (_client, _socket) = Client::joined(&mut server);
    /// // The first ping.
    /// assert_eq!(server.poll_timeout(), Some(NOW + server.hub().config().ping_interval));
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        // A deadline that a stored tick has reached is handled when that tick's turn comes.
        let hub = self.hub.poll_timeout().filter(|deadline| self.tick.is_none_or(|tick| tick < *deadline));
        hub.into_iter().chain(self.connections.poll_timeout()).min()
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/whole.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut server = server();
    /// # let (key, transport) = websocket(&mut server);
    /// # server.handle_message(NOW, key, transport, Message::Text("40".into()));
    /// # let Some(Event::Connect(request)) = events(&mut server).pop() else { panic!() };
    /// server.accept(NOW, request)?;
    /// while let Some(output) = server.poll_output() {
    ///     drop(output);
    /// }
    /// let queue = server.transmit(key, transport).unwrap();
    /// let frame = queue.chunk();
    /// assert!(frame[2..].starts_with(b"40{\"sid\":"));
    /// let written = frame.len(); // By the operating system.
    /// queue.advance(written);
    /// # Ok(())
    /// # }
    /// ```
    pub fn transmit(&mut self, key: ConnKey, transport: TransportId) -> Option<&mut ws::TransmitQueue> {
        self.connections.get_mut(key)?.transmit(transport)
    }

    fn input(&mut self, now: Instant, key: ConnKey, handle: impl FnOnce(&mut Connection)) -> bool {
        self.now = self.now.max(now);
        self.connections.input(key, handle)
    }

    /// Runs a verb, and tells the hub what it has to know before the next verb runs.
    fn verb<T>(&mut self, now: Instant, key: ConnKey, verb: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        self.now = self.now.max(now);
        let connection = self.connections.touch(key)?;
        let result = verb(connection);
        while let Some(event) = self.connections.touch(key).and_then(Connection::poll_hub_event) {
            self.tell_hub(now, key, event);
        }
        Some(result)
    }

    fn socket_verb<T>(
        &mut self,
        now: Instant,
        socket: SocketKey,
        verb: impl FnOnce(&mut Connection) -> Result<T, EmitError>,
    ) -> Result<T, EmitError> {
        let key = self.hub.connection(socket).ok_or(EmitError::NotConnected)?;
        self.verb(now, key, verb).unwrap_or(Err(EmitError::NotConnected))
    }

    fn tell_hub(&mut self, now: Instant, key: ConnKey, event: ConnectionEvent) {
        let Self { hub, connections, .. } = self;
        hub.handle_event(now, key, event, &mut |key, event| forward(connections, now, key, event));
        if connections.get(key).is_some_and(Connection::is_drained) {
            connections.remove(key);
            self.transmits.remove(key);
        }
    }
}

fn forward(connections: &mut Machines<Connection>, now: Instant, key: ConnKey, event: HubEvent) {
    if let Some(connection) = connections.touch(key) {
        connection.handle_hub_event(now, event);
    }
}
