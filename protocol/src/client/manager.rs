//! A client of a Socket.IO server: one connection, any number of namespaces on it.

mod emit;
mod getters;
mod life;
mod link;
mod namespaces;
mod receive;
mod timers;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

pub use self::emit::Flags;
use self::{life::Life, link::Link, namespaces::Ghost};
use super::{
    Config, Cookies, Endpoint,
    backoff::Backoff,
    engine::{self, Engine},
    error::Error,
    event::{Event, SocketId},
    http::{Failure, Request, Response},
    socket::Socket,
};
use crate::{
    Instant, RequestId, Seed, TransportId,
    fifo::{Rare, take_first},
    rng::Rng,
    socket::Decoder,
    ws::{Message, TransmitQueue},
};

/// A client: one connection to a server, the namespaces on it, and what it takes to get the connection back.
///
/// It is what `Manager` and `Socket` of `socket.io-client` are together, without a socket, a clock or a timer of its own:
/// its outputs ask a driver to do requests and to open WebSockets, its inputs say what became of them.
///
/// # Methods
///
/// - **Inputs**, which are stored and processed in order by `poll_output`: [`handle_response`](Self::handle_response),
///   [`handle_upgrade`](Self::handle_upgrade), [`handle_failure`](Self::handle_failure),
///   [`handle_open_failure`](Self::handle_open_failure), [`handle_bytes`](Self::handle_bytes) or
///   [`handle_message`](Self::handle_message), [`handle_eof`](Self::handle_eof),
///   [`handle_timeout`](Self::handle_timeout).
/// - **Verbs**, which act at once: [`open`](Self::open), [`close`](Self::close), [`add_socket`](Self::add_socket),
///   [`connect`](Self::connect), [`disconnect`](Self::disconnect), [`remove`](Self::remove), [`emit`](Self::emit),
///   [`emit_with_ack`](Self::emit_with_ack), [`discard`](Self::discard), [`reply`](Self::reply),
///   [`provide_auth`](Self::provide_auth), [`provide_headers`](Self::provide_headers),
///   [`set_config`](Self::set_config), [`set_prior_websocket_success`](Self::set_prior_websocket_success),
///   [`report_packets`](Self::report_packets).
/// - **Outputs**: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout),
///   [`transmit`](Self::transmit).
/// - **Getters**: all others.
///
/// After any inputs and verbs, in any order: poll outputs until there is none, write what [`transmit`](Self::transmit)
/// holds for each of the [`unsent`](Self::unsent) WebSockets, and wait for the next input, until
/// [`poll_timeout`](Self::poll_timeout) at the latest; then call [`handle_timeout`](Self::handle_timeout). The module's
/// documentation has a whole client.
///
/// # What holds
///
/// - It is always in one of three states: there is a connection, or an attempt at one, and never two; or it waits for
///   the next attempt until a deadline; or it is closed, and stays so until [`open`](Self::open) or
///   [`connect`](Self::connect). ([`Config::ask_headers`] adds a fourth: it waits for the application.)
/// - Events of a namespace are delivered in the order in which the server sent them, and sent in the order in which they
///   were emitted, across connections too. None is sent twice, but for [retries](super::SocketOptions::retries).
/// - Every acknowledgement ends exactly once: with the answer, with its timeout, or with the connection. That of an event
///   which waits in the send buffer stays with it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let mut client = Manager::new(Config::default(), Endpoint::parse("https://example.com").unwrap(), &Seed::for_tests(1));
/// let socket = client.add_socket("/chat", SocketOptions::default());
/// client.connect(NOW, socket);
/// client.emit(NOW, socket, &event("hello", "world"), Flags::default()).unwrap();
/// assert!(matches!(client.poll_output(), Some(Output::Request { .. })));
/// # }
/// ```
#[derive(Debug)]
pub struct Manager {
    config: Arc<Config>,
    attempts: Box<Attempts>,
    life: Life,
    /// The connection, or the attempt at one: there is one in [`Life::Opening`] and [`Life::Open`] only.
    link: Option<Link>,
    /// Connections that say goodbye.
    retiring: Rare<Link>,
    /// Whether the driver does not read.
    withheld: bool,
    /// Ordered by their ids.
    sockets: Vec<Socket>,
    next_socket: u64,
    /// Namespaces that were removed and that the server may not know of.
    ghosts: Rare<Ghost>,
    next_serial: u64,
    decoder: Decoder,
    /// Until when the attachments of a packet must have arrived.
    packet_deadline: Instant,
    /// Whether each packet is told of as such.
    reports_packets: bool,
    outputs: VecDeque<Output>,
    /// Inputs of the connection, and the ticks between them.
    line: Rare<Turn>,
    /// A tick whose turn it is, once the connection has nothing more to say.
    tick: Option<Instant>,
    /// The latest tick that was given, perhaps not processed yet.
    ticked: Instant,
    /// The time of what is being worked on.
    clock: Instant,
}

/// What an attempt to connect needs, and what is known from those before. (Apart, for what messages need lies closer together
/// without it.)
#[derive(Debug)]
struct Attempts {
    endpoint: Endpoint,
    rng: Rng,
    backoff: Backoff,
    next_link: u32,
    /// The cookies of the last connection.
    jar: Cookies,
    /// Whether WebSocket has worked, as of the last connection (`rememberUpgrade`).
    remembered: bool,
    /// Why there was no connection the last time.
    last_error: Option<Error>,
}

/// Inputs that the connection may work on, and the tick behind them.
#[derive(Debug)]
struct Turn {
    link: Option<u32>,
    until: u64,
    tick: Option<Instant>,
}

/// What a client wants its driver to do. Ids are unique over all connections of one [`Manager`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// while let Some(output) = client.poll_output() {
///     match output {
///         Output::Request { id, request } => println!("{id:?}: {} {}", request.method, request.target),
///         Output::Cancel { id } => println!("{id:?} is not wanted any more"),
///         Output::Open { transport, request } => println!("{transport:?}: {}", request.target),
///         Output::Shutdown { transport } => println!("{transport:?}: write the rest, and close"),
///         Output::Abort { transport } => println!("{transport:?}: close"),
///         Output::Event(event) => println!("{event:?}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Do a request, and report [`Manager::handle_response`] or [`Manager::handle_failure`].
    Request {
        /// Its name. The upper 32 bits number the connection that it belongs to: each one has the next number.
        id: RequestId,
        /// What to send, and where.
        request: Box<Request>,
    },
    /// Drop a request, and report nothing.
    Cancel {
        /// The request.
        id: RequestId,
    },
    /// Open a byte stream, send the request, and report the response's head with [`Manager::handle_upgrade`], or
    /// [`Manager::handle_open_failure`]. If the status is 101, the rest of the stream is the WebSocket.
    Open {
        /// Its name.
        transport: TransportId,
        /// What to send, and where.
        request: Box<Request>,
    },
    /// Write what [`Manager::transmit`] still holds, close the byte stream, and report [`Manager::handle_eof`].
    Shutdown {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Drop the byte stream now, or stop opening it, and report nothing.
    Abort {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Tell the application.
    Event(Event),
}

impl Manager {
    /// A client that does nothing yet: [`add_socket`](Self::add_socket) and [`connect`](Self::connect) come next.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// // The seed is to come from the operating system, and to be of this client alone.
    /// let client = Manager::new(Config::default(), endpoint(), &Seed::for_tests(1));
    /// assert!(client.is_closed());
    /// # }
    /// ```
    pub fn new(config: impl Into<Arc<Config>>, endpoint: Endpoint, seed: &Seed) -> Self {
        let config = config.into();
        let backoff =
            Backoff::new(config.reconnection_delay, config.reconnection_delay_max, config.randomization_factor);
        let attempts = Attempts {
            endpoint,
            rng: Rng::new(seed),
            backoff,
            next_link: 0,
            jar: Cookies::default(),
            remembered: false,
            last_error: None,
        };
        Self {
            decoder: Decoder::with_limits(config.limits.max_attachments, config.limits.max_packet_bytes, usize::MAX),
            config,
            attempts: Box::new(attempts),
            life: Life::Closed,
            link: None,
            retiring: Rare::default(),
            withheld: false,
            sockets: Vec::new(),
            next_socket: 0,
            ghosts: Rare::default(),
            next_serial: 0,
            packet_deadline: timers::NEVER,
            reports_packets: false,
            outputs: VecDeque::new(),
            line: Rare::default(),
            tick: None,
            ticked: Instant::ZERO,
            clock: Instant::ZERO,
        }
    }

    // Inputs.

    /// A request was answered; its body is whole.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.connect(NOW, socket);
    /// let Some(Output::Request { id, .. }) = client.poll_output() else { panic!() };
    /// client.handle_response(NOW, id, &Response { status: 200, headers: &[] }, Bytes::from(OPEN));
    /// assert_eq!(client.poll_output(), Some(Output::Event(Event::Open)));
    /// # }
    /// ```
    pub fn handle_response(&mut self, now: Instant, id: RequestId, head: &Response<'_>, body: Bytes) {
        self.input(|engine| engine.owns_request(id), |engine| engine.handle_response(now, id, head, body));
    }

    /// A request failed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.connect(NOW, socket);
    /// let Some(Output::Request { id, .. }) = client.poll_output() else { panic!() };
    /// client.handle_failure(NOW, id, Failure::Connect("refused".into()));
    /// outputs(&mut client);
    /// assert!(client.waits_until().is_some());
    /// # }
    /// ```
    pub fn handle_failure(&mut self, now: Instant, id: RequestId, failure: Failure) {
        self.input(|engine| engine.owns_request(id), |engine| engine.handle_failure(now, id, failure));
    }

    /// The response to [`Output::Open`] has arrived: a 101, whose stream goes to [`handle_bytes`](Self::handle_bytes) from
    /// here on, or a refusal with its body (none will do too).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, request }) = client.poll_output() else { panic!() };
    /// let accept = accept(&request);
    /// let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// client.handle_upgrade(NOW, transport, &Response { status: 101, headers: &headers }, Bytes::new());
    /// # }
    /// ```
    pub fn handle_upgrade(&mut self, now: Instant, transport: TransportId, head: &Response<'_>, body: Bytes) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_upgrade(now, transport, head, body);
            },
        );
    }

    /// A WebSocket could not be opened.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, .. }) = client.poll_output() else { panic!() };
    /// client.handle_open_failure(NOW, transport, Failure::Tls("unknown issuer".into()));
    /// let told = events(outputs(&mut client));
    /// assert!(matches!(&told[0], Event::ConnectError { error, .. } if error.to_string() == "websocket error"));
    /// # }
    /// ```
    pub fn handle_open_failure(&mut self, now: Instant, transport: TransportId, failure: Failure) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_open_failure(now, transport, failure);
            },
        );
    }

    /// Bytes of a WebSocket. The buffer is always consumed whole.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, request }) = client.poll_output() else { panic!() };
    /// # let accept = accept(&request);
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// client.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// // A frame of text, of which the rest comes later.
    /// let mut bytes = BytesMut::from(&[0x81, OPEN.len() as u8][..]);
    /// client.handle_bytes(NOW, transport, &mut bytes);
    /// assert!(bytes.is_empty() && outputs(&mut client).is_empty());
    /// client.handle_bytes(NOW, transport, &mut BytesMut::from(OPEN));
    /// assert!(client.poll_output() == Some(Output::Event(Event::Open)));
    /// # }
    /// ```
    pub fn handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_bytes(now, transport, buffer);
            },
        );
        // Those of a connection that is gone.
        buffer.clear();
    }

    /// A message of a WebSocket whose frames somebody else reads, instead of [`handle_bytes`](Self::handle_bytes).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// use sockeye_protocol::ws::Message;
    ///
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, request }) = client.poll_output() else { panic!() };
    /// # let accept = accept(&request);
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// client.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// client.handle_message(NOW, transport, Message::Text(OPEN.into()));
    /// assert_eq!(client.poll_output(), Some(Output::Event(Event::Open)));
    /// # }
    /// ```
    pub fn handle_message(&mut self, now: Instant, transport: TransportId, message: Message) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_message(now, transport, message);
            },
        );
    }

    /// The byte stream of a WebSocket ended, failed, or was closed as told.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, request }) = client.poll_output() else { panic!() };
    /// # let accept = accept(&request);
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// client.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// client.handle_eof(NOW, transport);
    /// outputs(&mut client);
    /// assert!(client.waits_until().is_some()); // For the next attempt.
    /// # }
    /// ```
    pub fn handle_eof(&mut self, now: Instant, transport: TransportId) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_eof(now, transport);
            },
        );
    }

    /// The driver has stopped reading from the server (`true`), or goes on (`false`): see [`Engine::handle_withheld`]. It holds
    /// for later connections too.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, ..) = connected();
    /// let ping_is_due = client.poll_timeout().unwrap();
    /// // The application is behind: nothing is read, and so no ping is.
    /// client.handle_withheld(NOW, true);
    /// outputs(&mut client);
    /// assert!(client.poll_timeout().unwrap() > ping_is_due);
    /// # }
    /// ```
    pub fn handle_withheld(&mut self, now: Instant, withheld: bool) {
        self.withheld = withheld;
        self.input(|_| true, |engine| engine.handle_withheld(now, withheld));
    }

    /// A tick. One that comes early does nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, ..) = connected();
    /// let due = client.poll_timeout().unwrap();
    /// client.handle_timeout(due);
    /// let told = events(outputs(&mut client));
    /// assert!(matches!(told[0], Event::Disconnect { reason: DisconnectReason::PingTimeout, .. }));
    /// # }
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ticked = self.ticked.max(now);
        for link in self.link.iter_mut().chain(self.retiring.iter_mut()) {
            link.engine.handle_timeout(now);
        }
        let (link, until) = self.link.as_ref().map_or((None, 0), |link| (Some(link.number), link.engine.stored()));
        self.line.push_back(Turn { link, until, tick: Some(now) });
    }

    // Outputs.

    /// The next thing to do. Processes stored inputs one packet at a time, in order of arrival.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, _, get) = connected();
    /// client.handle_response(NOW, get, &OK, Bytes::from("42[\"a\"]\u{1e}42[\"b\"]"));
    /// for name in ["a", "b"] {
    ///     let Some(Output::Event(Event::Packet { event, .. })) = client.poll_output() else { panic!() };
    ///     assert_eq!(event, name);
    /// }
    /// assert!(matches!(client.poll_output(), Some(Output::Request { .. }))); // The next GET.
    /// assert_eq!(client.poll_output(), None);
    /// # }
    /// ```
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = take_first(&mut self.outputs) {
                return Some(output);
            }
            if !self.retiring.is_empty()
                && let Some(output) = self.poll_retiring()
            {
                return Some(output);
            }
            if let Some(link) = &mut self.link
                && let Some(output) = link.poll()
            {
                self.clock = self.clock.max(link.engine.clock());
                match output {
                    // The most frequent one, on the shortest way.
                    engine::Output::Event(engine::Event::Message(message)) => {
                        if let Some(event) = self.on_message(message) {
                            return Some(Output::Event(event));
                        }
                    }
                    output => {
                        if let Some(output) = self.on_engine(output) {
                            return Some(output);
                        }
                    }
                }
                continue;
            }
            if let Some(now) = self.tick.take() {
                self.clock = self.clock.max(now);
                self.on_tick();
                continue;
            }
            let turn = self.line.pop_front()?;
            self.tick = turn.tick;
            match &mut self.link {
                Some(link) if Some(link.number) == turn.link => link.until = link.until.max(turn.until),
                // It was made after the tick was handed over.
                Some(link) => {
                    if let Some(now) = turn.tick {
                        link.engine.handle_timeout(now);
                        link.until = link.engine.stored();
                    }
                }
                None => {}
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// assert_eq!(client.poll_timeout(), None);
    /// client.connect(NOW, socket);
    /// assert_eq!(client.poll_timeout(), Some(NOW + Duration::from_secs(20))); // `Config::timeout`.
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut earliest = timers::NEVER;
        let mut consider = |at: Instant| {
            // A deadline that a stored tick has reached is handled when that tick's turn comes.
            if at > self.ticked {
                earliest = earliest.min(at);
            }
        };
        consider(self.packet_deadline);
        consider(self.life.deadline().unwrap_or(timers::NEVER));
        for socket in &self.sockets {
            consider(socket.deadline());
        }
        if let Some(link) = &self.link {
            consider(link.engine.poll_timeout().unwrap_or(timers::NEVER));
        }
        for link in self.retiring.iter() {
            consider(link.engine.poll_timeout().unwrap_or(timers::NEVER));
        }
        (earliest < timers::NEVER).then_some(earliest)
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.transports = vec![Transport::WebSocket]);
    /// client.connect(NOW, socket);
    /// let Some(Output::Open { transport, request }) = client.poll_output() else { panic!() };
    /// # let accept = accept(&request);
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// client.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// # let mut frame = BytesMut::from(&[0x81, OPEN.len() as u8][..]);
    /// # frame.extend_from_slice(OPEN.as_bytes());
    /// client.handle_bytes(NOW, transport, &mut frame); // The server's handshake.
    /// outputs(&mut client);
    /// let queue = client.transmit(transport).unwrap();
    /// assert!(queue.has_remaining()); // CONNECT, which a driver writes now.
    /// let written = queue.remaining();
    /// queue.advance(written);
    /// # }
    /// ```
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
        let mut links = self.link.iter_mut().chain(self.retiring.iter_mut());
        links.find(|link| link.engine.owns_transport(transport))?.engine.transmit(transport)
    }

    /// The WebSockets that have something to write, those of connections that say goodbye first.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, ..) = connected();
    /// assert_eq!(client.unsent().count(), 0); // There is no WebSocket.
    /// # }
    /// ```
    pub fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.retiring.iter().chain(&self.link).flat_map(|link| link.engine.unsent())
    }

    /// Hands an input to the connection that it is for. Those of one that is gone are dropped.
    fn input(&mut self, owns: impl Fn(&Engine) -> bool, handle: impl FnOnce(&mut Engine)) {
        if let Some(link) = self.link.as_mut().filter(|link| owns(&link.engine)) {
            handle(&mut link.engine);
            let (number, until) = (Some(link.number), link.engine.stored());
            if self.line.is_empty() && self.tick.is_none() {
                // Nothing is to be worked on before.
                link.until = link.until.max(until);
                return;
            }
            match self.line.back_mut() {
                Some(turn) if turn.tick.is_none() && turn.link == number => turn.until = until,
                _ => self.line.push_back(Turn { link: number, until, tick: None }),
            }
        } else if let Some(link) = self.retiring.iter_mut().find(|link| owns(&link.engine)) {
            handle(&mut link.engine);
        }
    }

    // Inside.

    fn get(&self, socket: SocketId) -> Option<&Socket> {
        self.sockets.get(self.index(socket)?)
    }

    fn index(&self, socket: SocketId) -> Option<usize> {
        self.sockets.binary_search_by_key(&socket, |socket| socket.id).ok()
    }

    fn push(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn take_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = serial.saturating_add(1);
        serial
    }

    /// The time of a verb: not before a tick that was given, since that may be over.
    fn verb(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now).max(self.ticked);
        self.clock
    }

    /// A deadline from now on, later than now.
    fn due(&self, timeout: Duration) -> Instant {
        timers::after(self.clock, timeout)
    }
}
