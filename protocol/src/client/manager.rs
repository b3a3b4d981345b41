//! A client of a Socket.IO server: one connection, any number of namespaces on it.

mod emit;
mod life;
mod link;
mod namespaces;
mod receive;
mod timers;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

pub use self::emit::Flags;
use self::{life::Life, link::Link, namespaces::Ghost};
use super::{
    Config, Cookies, Endpoint,
    backoff::Backoff,
    engine::Engine,
    error::Error,
    event::{Event, SocketId},
    http::{Failure, Request, Response},
    socket::Socket,
    stats::Stats,
};
use crate::{
    Instant, RequestId, Seed, Text, TransportId,
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
///   [`emit_with_ack`](Self::emit_with_ack), [`reply`](Self::reply), [`provide_auth`](Self::provide_auth),
///   [`provide_headers`](Self::provide_headers).
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
#[derive(Debug)]
pub struct Manager {
    config: Arc<Config>,
    endpoint: Endpoint,
    rng: Rng,
    backoff: Backoff,
    life: Life,
    /// The connection, or the attempt at one: there is one in [`Life::Opening`] and [`Life::Open`] only.
    link: Option<Link>,
    /// Connections that say goodbye.
    retiring: Vec<Link>,
    next_link: u32,
    /// The cookies of the last connection.
    jar: Cookies,
    /// Whether the last connection was on WebSocket (`rememberUpgrade`).
    remembered: bool,
    /// Ordered by their ids.
    sockets: Vec<Socket>,
    next_socket: u64,
    /// Namespaces that were removed and that the server may not know of.
    ghosts: Vec<Ghost>,
    next_serial: u64,
    decoder: Decoder,
    /// Until when the attachments of a packet must have arrived.
    packet_deadline: Option<Instant>,
    /// Why there was no connection the last time.
    last_error: Option<Error>,
    outputs: VecDeque<Output>,
    /// Inputs of the connection, and the ticks between them.
    line: VecDeque<Turn>,
    /// A tick whose turn it is, once the connection has nothing more to say.
    tick: Option<Instant>,
    /// The latest tick that was given, perhaps not processed yet.
    ticked: Instant,
    /// The time of what is being worked on.
    clock: Instant,
}

/// Inputs that the connection may work on, and the tick behind them.
#[derive(Debug)]
struct Turn {
    link: Option<u32>,
    until: u64,
    tick: Option<Instant>,
}

/// What a client wants its driver to do. Ids are unique over all connections of one [`Manager`].
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Do a request, and report [`Manager::handle_response`] or [`Manager::handle_failure`].
    Request {
        /// Its name.
        id: RequestId,
        /// What to send, and where.
        request: Request,
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
        request: Request,
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
    pub fn new(config: impl Into<Arc<Config>>, endpoint: Endpoint, seed: &Seed) -> Self {
        let config = config.into();
        let backoff =
            Backoff::new(config.reconnection_delay, config.reconnection_delay_max, config.randomization_factor);
        Self {
            backoff,
            decoder: Decoder::with_limits(config.limits.max_attachments, config.limits.max_packet_bytes, usize::MAX),
            config,
            endpoint,
            rng: Rng::new(seed),
            life: Life::Closed,
            link: None,
            retiring: Vec::new(),
            next_link: 0,
            jar: Cookies::default(),
            remembered: false,
            sockets: Vec::new(),
            next_socket: 0,
            ghosts: Vec::new(),
            next_serial: 0,
            packet_deadline: None,
            last_error: None,
            outputs: VecDeque::new(),
            line: VecDeque::new(),
            tick: None,
            ticked: Instant::ZERO,
            clock: Instant::ZERO,
        }
    }

    // Getters.

    /// What it was set up with.
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether there is a connection.
    pub const fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    /// Whether there is neither a connection, nor an attempt at one, nor a wait for the next.
    pub const fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed)
    }

    /// Until when it waits for the next attempt, if it does.
    pub const fn waits_until(&self) -> Option<Instant> {
        match self.life {
            Life::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether nothing is left to do: it is closed, and so are all its connections. Only then may a driver drop it without
    /// loss.
    pub fn is_drained(&self) -> bool {
        self.is_closed() && self.retiring.is_empty() && self.outputs.is_empty() && self.line.is_empty()
    }

    /// The connection, if there is one or an attempt: its transport, its session id, what is queued.
    pub fn engine(&self) -> Option<&Engine> {
        self.link.as_ref().map(|link| &link.engine)
    }

    /// The socket of a namespace.
    pub fn socket(&self, namespace: &str) -> Option<SocketId> {
        self.sockets.iter().find(|socket| socket.namespace == *namespace).map(|socket| socket.id)
    }

    /// All sockets, in the order in which they were added.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.sockets.iter().map(|socket| socket.id)
    }

    /// The namespace of a socket.
    pub fn namespace(&self, socket: SocketId) -> Option<&Text> {
        self.get(socket).map(|socket| &socket.namespace)
    }

    /// Whether a socket is connected.
    pub fn is_connected(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(Socket::is_joined)
    }

    /// Whether a socket takes part in each connection (`active`): from [`connect`](Self::connect) until either side
    /// disconnects it, or the server refuses it.
    pub fn is_active(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(|socket| socket.active)
    }

    /// The id of a socket while it is connected (`socket.id`).
    pub fn sid(&self, socket: SocketId) -> Option<&Text> {
        self.get(socket)?.sid.as_ref()
    }

    /// Whether the server restored the session of before when the socket was last connected.
    pub fn is_recovered(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(|socket| socket.recovered)
    }

    /// Events of a socket that wait to be sent, and their bytes: those that the connection has not been given yet.
    pub fn buffered(&self, socket: SocketId) -> (usize, usize) {
        self.get(socket).map_or((0, 0), |socket| {
            (
                socket.send.len().saturating_add(socket.queue.len()),
                socket.send.bytes().saturating_add(socket.queue.bytes()),
            )
        })
    }

    /// Counts of what it holds.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            sockets: self.sockets.len(),
            left_namespaces: self.ghosts.len(),
            received_bytes: self.decoder.pending_bytes(),
            waiting: self.outputs.len().saturating_add(self.line.len()),
            ..Stats::default()
        };
        let add = |sum: &mut usize, part: usize| *sum = sum.saturating_add(part);
        for socket in &self.sockets {
            add(&mut stats.acks, socket.acks.len());
            add(&mut stats.acks, socket.queue.wanted());
            add(&mut stats.buffered_packets, socket.send.len());
            add(&mut stats.buffered_bytes, socket.send.bytes());
            add(&mut stats.retried_packets, socket.queue.len());
            add(&mut stats.retried_bytes, socket.queue.bytes());
            add(&mut stats.early_packets, socket.early.len());
            add(&mut stats.early_bytes, socket.early.bytes());
        }
        for link in self.link.iter().chain(&self.retiring) {
            let engine = link.engine.stats();
            add(&mut stats.engines, 1);
            add(&mut stats.requests, engine.requests);
            add(&mut stats.transports, engine.transports);
            add(&mut stats.received_bytes, engine.received_bytes);
            add(&mut stats.queued_bytes, engine.queued_bytes);
            add(&mut stats.queued_packets, engine.queued_packets);
            add(&mut stats.waiting, engine.waiting);
        }
        stats
    }

    // Inputs.

    /// A request was answered; its body is whole.
    pub fn handle_response(&mut self, now: Instant, id: RequestId, head: &Response<'_>, body: Bytes) {
        self.input(|engine| engine.owns_request(id), |engine| engine.handle_response(now, id, head, body));
    }

    /// A request failed.
    pub fn handle_failure(&mut self, now: Instant, id: RequestId, failure: Failure) {
        self.input(|engine| engine.owns_request(id), |engine| engine.handle_failure(now, id, failure));
    }

    /// The response to [`Output::Open`] has arrived: a 101, whose stream goes to [`handle_bytes`](Self::handle_bytes) from
    /// here on, or a refusal with its body (none will do too).
    pub fn handle_upgrade(&mut self, now: Instant, transport: TransportId, head: &Response<'_>, body: Bytes) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_upgrade(now, transport, head, body);
            },
        );
    }

    /// A WebSocket could not be opened.
    pub fn handle_open_failure(&mut self, now: Instant, transport: TransportId, failure: Failure) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_open_failure(now, transport, failure);
            },
        );
    }

    /// Bytes of a WebSocket. The buffer is always consumed whole.
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
    pub fn handle_message(&mut self, now: Instant, transport: TransportId, message: Message) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_message(now, transport, message);
            },
        );
    }

    /// The byte stream of a WebSocket ended, failed, or was closed as told.
    pub fn handle_eof(&mut self, now: Instant, transport: TransportId) {
        self.input(
            |engine| engine.owns_transport(transport),
            |engine| {
                engine.handle_eof(now, transport);
            },
        );
    }

    /// A tick. One that comes early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ticked = self.ticked.max(now);
        for link in self.link.iter_mut().chain(&mut self.retiring) {
            link.engine.handle_timeout(now);
        }
        let (link, until) = self.link.as_ref().map_or((None, 0), |link| (Some(link.number), link.engine.stored()));
        self.line.push_back(Turn { link, until, tick: Some(now) });
    }

    // Outputs.

    /// The next thing to do. Processes stored inputs one packet at a time, in order of arrival.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.poll_retiring() {
                return Some(output);
            }
            if let Some(link) = &mut self.link
                && let Some(output) = link.poll()
            {
                self.clock = self.clock.max(link.engine.clock());
                if let Some(output) = self.on_engine(output) {
                    return Some(output);
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
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.packet_deadline, self.life.deadline()].into_iter().flatten();
        let sockets = self.sockets.iter().filter_map(Socket::deadline);
        let links = self.link.iter().chain(&self.retiring).filter_map(|link| link.engine.poll_timeout());
        // A deadline that a stored tick has reached is handled when that tick's turn comes.
        own.chain(sockets).chain(links).filter(|at| *at > self.ticked && *at < timers::NEVER).min()
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    pub fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
        let mut links = self.link.iter_mut().chain(&mut self.retiring);
        links.find(|link| link.engine.owns_transport(transport))?.engine.transmit(transport)
    }

    /// The WebSockets that have something to write, those of connections that say goodbye first.
    pub fn unsent(&self) -> impl Iterator<Item = TransportId> {
        self.retiring.iter().chain(&self.link).flat_map(|link| link.engine.unsent())
    }

    /// Hands an input to the connection that it is for. Those of one that is gone are dropped.
    fn input(&mut self, owns: impl Fn(&Engine) -> bool, handle: impl FnOnce(&mut Engine)) {
        if let Some(link) = self.link.as_mut().filter(|link| owns(&link.engine)) {
            handle(&mut link.engine);
            let (number, until) = (Some(link.number), link.engine.stored());
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
