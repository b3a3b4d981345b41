//! A whole client with its namespaces, whatever its application, a server and a network may do to it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::time::Duration;

use bytes::Buf as _;

use super::{client_engine::Op, network::Network};
use crate::{
    Instant, Seed, Text, TransportId,
    client::{
        AckId, AckToken, AuthRequest, Config, Delivery, EmitError, Endpoint, Event, Flags, HeadersRequest, Limits,
        Manager, Offline, Output, SocketId, SocketOptions, Stats, Transport,
    },
    socket::Payload,
};

const NAMESPACES: [&str; 4] = ["/", "/retries", "/expires", "/rejects"];
const PACKETS: usize = 3;
const BYTES: usize = 200;
const PAYLOAD: usize = 600;
const EARLY_PACKETS: usize = 2;
const ACKS: usize = 3;

/// Runs a script. The first line chooses the options: `P` polling only, `W` WebSocket only, `H` asks for headers, `N` no
/// reconnection, `2` two attempts at it. The others are operations: of the network as in
/// [`client_engine`](super::client_engine), of the application see [`Verb::parse`]; an empty line ends a batch.
pub fn client_manager(data: &[u8]) {
    run(data);
}

/// The same; gives what the application was told.
fn run(data: &[u8]) -> Vec<String> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let config = config(lines.next().unwrap_or_default());
    let lines: Vec<&[u8]> = lines.take(256).collect();
    let run = |single: bool, piece: usize| {
        let mut world = World::new(config.clone());
        for batch in lines.split(|line| line.is_empty()) {
            world.batch(batch, single, piece);
        }
        world.finish();
        world.written.retain(|transport, _| !world.ended.contains(transport));
        (world.events, world.written)
    };
    // Any way of handing over the batches tells the application the same, and writes the same bytes. (What a connection
    // that says goodbye still wants has no place among the others.)
    let expected = run(true, usize::MAX);
    for (single, piece) in [(false, usize::MAX), (true, 1), (false, 3)] {
        let (outputs, written) = run(single, piece);
        assert_eq!((outputs, written), expected, "single: {single}, piece: {piece}");
    }
    expected.0
}

fn config(options: &[u8]) -> Config {
    let has = |option| options.contains(&option);
    let transports: &[Transport] = match () {
        () if has(b'P') => &[Transport::Polling],
        () if has(b'W') => &[Transport::WebSocket],
        () => &[Transport::Polling, Transport::WebSocket],
    };
    let limits = Limits {
        max_payload: PAYLOAD,
        max_attachments: 2,
        max_packet_bytes: PAYLOAD,
        packet_timeout: Duration::from_secs(2),
        send_queue_packets: 5,
        send_queue_bytes: 500,
        pending_acks: ACKS,
        left_namespaces: 1,
        early_bytes: BYTES,
        early_packets: EARLY_PACKETS,
        ..Limits::default()
    };
    Config {
        transports: transports.into(),
        ask_headers: has(b'H'),
        reconnection: !has(b'N'),
        reconnection_attempts: has(b'2').then_some(2),
        limits,
        ..Config::default()
    }
}

/// How the socket of each of [`NAMESPACES`] behaves.
fn socket_options(index: usize) -> SocketOptions {
    let ttl = (index == 2).then_some(Duration::from_secs(4));
    let buffer = Offline::Buffer { max_packets: PACKETS, max_bytes: BYTES, ttl };
    let retries = if index == 1 { 2 } else { 0 };
    SocketOptions {
        ack_timeout: (index == 1).then_some(Duration::from_secs(3)),
        retries,
        offline: if index == 3 { Offline::Reject } else { buffer },
    }
}

/// Something that the application does, to the namespace of that index.
enum Verb {
    Connect(usize),
    Disconnect(usize),
    Remove(usize),
    /// With so many bytes, and whether volatile.
    Emit(usize, usize, bool),
    /// With the acknowledgement's timeout, in milliseconds.
    Ask(usize, Option<u64>, bool),
    /// To the oldest event that asked.
    Reply,
    /// To the oldest question: with nothing, an object, an error, or what is no object.
    ProvideAuth(usize),
    ProvideHeaders(usize),
    Open,
    Close,
}

impl Verb {
    /// Reads a line: `j0` joins the first namespace, `l0` leaves it, `d0` removes it, `e0 12` emits 12 bytes, `v0 12` the
    /// same but volatile, `a0 500` asks for an acknowledgement within 500 ms, `b0` volatile, `r` replies, `p0` answers the
    /// oldest question for `auth`, `h0` that for headers, `o` opens, `c` closes.
    fn parse(line: &[u8]) -> Option<Self> {
        let (code, rest) = line.split_first()?;
        let (index, rest) = match rest.split_first() {
            Some((digit @ b'0'..=b'3', rest)) => (usize::from(digit - b'0'), rest),
            _ => (0, rest),
        };
        let number: Option<u64> = String::from_utf8_lossy(rest).trim().parse().ok();
        let size = number.unwrap_or_default() as usize % 1_000;
        Some(match code {
            b'j' => Self::Connect(index),
            b'l' => Self::Disconnect(index),
            b'd' => Self::Remove(index),
            b'e' => Self::Emit(index, size, false),
            b'v' => Self::Emit(index, size, true),
            b'a' => Self::Ask(index, number, false),
            b'b' => Self::Ask(index, number, true),
            b'r' => Self::Reply,
            b'p' => Self::ProvideAuth(index),
            b'h' => Self::ProvideHeaders(index),
            b'o' => Self::Open,
            b'c' => Self::Close,
            _ => return None,
        })
    }
}

struct World {
    client: Manager,
    now: Instant,
    network: Network,
    events: Vec<String>,
    /// What was written, by WebSocket.
    written: BTreeMap<TransportId, Vec<u8>>,
    /// The WebSockets whose byte stream has ended: what was written on them last depends on when it was.
    ended: BTreeSet<TransportId>,
    /// Whether each socket that exists is connected, as its application was told.
    sockets: BTreeMap<SocketId, bool>,
    open: bool,
    acks: BTreeSet<(SocketId, AckId)>,
    tokens: Vec<AckToken>,
    auth: Vec<AuthRequest>,
    headers: Vec<HeadersRequest>,
}

impl World {
    fn new(config: Config) -> Self {
        let endpoint = Endpoint::parse("http://host/").expect("a URL");
        Self {
            client: Manager::new(config, endpoint, &Seed::for_tests(5)),
            now: Instant::ZERO,
            network: Network::default(),
            events: Vec::new(),
            written: BTreeMap::new(),
            ended: BTreeSet::new(),
            sockets: BTreeMap::new(),
            open: false,
            acks: BTreeSet::new(),
            tokens: Vec::new(),
            auth: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn batch(&mut self, lines: &[&[u8]], single: bool, piece: usize) {
        let known = self.network.known();
        for line in lines {
            if let Some(verb) = Verb::parse(line) {
                // What the application does, it does at a place among the outputs.
                self.drain();
                self.act(&verb);
                self.drain();
            } else if let Some(op) = Op::parse(line) {
                if let Op::Tick(millis) = op {
                    self.tick(self.now + Duration::from_millis(millis % 100_000));
                }
                if let Op::Eof(back) = op {
                    self.ended.extend(self.network.transport(back, known));
                }
                self.network.hand_over(&mut self.client, self.now, &op, piece, known);
                if single {
                    self.drain();
                }
            }
        }
        self.drain();
    }

    fn act(&mut self, verb: &Verb) {
        let now = self.now;
        match *verb {
            Verb::Connect(index) => {
                let socket = self.client.add_socket(NAMESPACES[index], socket_options(index));
                self.sockets.entry(socket).or_default();
                self.client.connect(now, socket);
                assert!(self.client.is_active(socket) && !self.client.is_closed());
            }
            Verb::Disconnect(index) => {
                if let Some(socket) = self.client.socket(NAMESPACES[index]) {
                    self.client.disconnect(now, socket);
                    assert!(!self.client.is_active(socket) && !self.client.is_connected(socket));
                }
            }
            Verb::Remove(index) => {
                if let Some(socket) = self.client.socket(NAMESPACES[index]) {
                    self.client.remove(now, socket);
                    self.poll();
                    assert_eq!(self.sockets.remove(&socket), Some(false), "its end was told");
                    assert!(!self.acks.iter().any(|(owner, _)| *owner == socket), "no acknowledgement outlives it");
                }
            }
            Verb::Emit(index, size, volatile) => {
                let payload = Payload::event("e", &"x".repeat(size), 2).expect("encodable");
                let Some(socket) = self.client.socket(NAMESPACES[index]) else { return };
                let delivery = self.client.emit(now, socket, &payload, Flags { volatile });
                self.check_delivery(index, volatile, delivery);
            }
            Verb::Ask(index, timeout, volatile) => {
                let payload = Payload::event("e", &(), 2).expect("encodable");
                let Some(socket) = self.client.socket(NAMESPACES[index]) else { return };
                let timeout = timeout.map(|millis| Duration::from_millis(millis % 100_000));
                let delivery = match self.client.emit_with_ack(now, socket, &payload, timeout, Flags { volatile }) {
                    Ok((id, delivery)) => {
                        assert!(self.acks.insert((socket, id)), "an id is used once at a time");
                        Ok(delivery)
                    }
                    Err(error) => Err(error),
                };
                assert_ne!(delivery, Ok(Delivery::Dropped));
                self.check_delivery(index, volatile, delivery);
            }
            Verb::Reply => {
                if !self.tokens.is_empty() {
                    let token = self.tokens.remove(0);
                    let answer = Payload::ack(&1, 2).expect("encodable");
                    let replied = self.client.reply(now, &token, &answer);
                    assert!(replied.is_err() || self.client.is_connected(token.socket()));
                }
            }
            Verb::ProvideAuth(kind) => {
                if !self.auth.is_empty() {
                    let request = self.auth.remove(0);
                    let object = Payload::data(&BTreeMap::from([("a", kind)])).expect("encodable");
                    let number = Payload::data(&kind).expect("encodable");
                    let auth = match kind {
                        0 => Ok(None),
                        1 => Ok(Some(&object)),
                        2 => Err(Text::from_static("nobody")),
                        _ => Ok(Some(&number)),
                    };
                    let provided = self.client.provide_auth(now, &request, auth);
                    assert!(kind < 3 || provided.is_err());
                    // The question still stands, and is answered some time.
                    if kind == 3 {
                        let _ = self.client.provide_auth(now, &request, Ok(None));
                    }
                }
            }
            Verb::ProvideHeaders(kind) => {
                if !self.headers.is_empty() {
                    let request = self.headers.remove(0);
                    let headers = match kind {
                        0 => Ok(Vec::new()),
                        1 => Ok(Vec::from([("Cookie".into(), "a=b".into())])),
                        2 => Err(Text::from_static("none")),
                        _ => Ok(Vec::from([("a\r\nb".into(), "c\r\nd".into())])),
                    };
                    // It may be of an attempt that is over.
                    let _ = self.client.provide_headers(now, &request, headers);
                }
            }
            Verb::Open => self.client.open(now),
            Verb::Close => {
                self.client.close(now);
                assert!(self.client.is_closed());
            }
        }
    }

    fn check_delivery(&self, index: usize, volatile: bool, delivery: Result<Delivery, EmitError>) {
        let socket = self.client.socket(NAMESPACES[index]).expect("just used");
        match delivery {
            Ok(Delivery::Sent) => assert!(self.client.is_connected(socket)),
            Ok(Delivery::Waiting) => assert!(!volatile),
            Ok(Delivery::Dropped) | Err(EmitError::Dropped) => assert!(volatile),
            Err(EmitError::TooManyAcks { limit }) => {
                assert_eq!(self.acks.iter().filter(|(owner, _)| *owner == socket).count(), limit);
            }
            Err(EmitError::NotConnected) => {
                assert!(socket_options(index).offline == Offline::Reject && !self.client.is_connected(socket));
            }
            Err(EmitError::BufferFull { .. }) => assert!(self.client.buffered(socket).0 > 0),
            Err(EmitError::Full(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        self.client.handle_timeout(now);
        assert!(self.client.poll_timeout().is_none_or(|next| next > now));
    }

    fn drain(&mut self) {
        self.poll();
        self.check();
    }

    fn poll(&mut self) {
        loop {
            while let Some(output) = self.client.poll_output() {
                match output {
                    Output::Request { id, .. } => self.network.request(id),
                    Output::Open { transport, request } => self.network.open(transport, &request),
                    Output::Abort { transport } => drop(self.ended.insert(transport)),
                    Output::Cancel { .. } | Output::Shutdown { .. } => {}
                    Output::Event(event) => self.on_event(event),
                }
            }
            if !self.transmit() {
                break;
            }
        }
    }

    /// Writes what there is to write; says whether there was anything.
    fn transmit(&mut self) -> bool {
        let unsent: Vec<TransportId> = self.client.unsent().collect();
        for transport in &unsent {
            let queue = self.client.transmit(*transport).expect("it has something");
            let bytes = queue.copy_to_bytes(queue.remaining());
            self.written.entry(*transport).or_default().extend_from_slice(&bytes);
        }
        !unsent.is_empty()
    }

    fn on_event(&mut self, event: Event) {
        self.events.push(alloc::format!("{event:?}"));
        match event {
            Event::Connect { socket, .. } => {
                assert!(self.open, "namespaces are connected on a connection");
                assert_eq!(self.sockets.insert(socket, true), Some(false), "once at a time");
            }
            Event::Disconnect { socket, .. } => {
                assert_eq!(self.sockets.insert(socket, false), Some(true), "once for each connect");
            }
            Event::ConnectError { socket, .. } => assert_eq!(self.sockets.get(&socket), Some(&false)),
            Event::Packet { socket, ack, .. } => {
                assert!(self.sockets.contains_key(&socket));
                self.tokens.extend(ack);
            }
            Event::Ack { socket, id, .. } => assert!(self.acks.remove(&(socket, id)), "one outcome for each"),
            Event::NeedAuth(request) => self.auth.push(request),
            Event::NeedHeaders(request) => self.headers.push(request),
            Event::Open => assert!(!core::mem::replace(&mut self.open, true), "never a second connection"),
            Event::Close { .. } => {
                assert!(core::mem::take(&mut self.open), "once for each open");
                assert!(self.sockets.values().all(|connected| !connected), "namespaces go first");
            }
            _ => {}
        }
    }

    fn check(&self) {
        let client = &self.client;
        let next = client.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} at {}", self.now);
        assert!(client.is_closed() || next.is_some() || client.config().ask_headers, "nothing would ever happen");
        assert!(client.waits_until().is_none_or(|until| next.is_some_and(|next| next <= until)));
        assert_eq!(client.is_open(), self.open);
        let stats = client.stats();
        assert_eq!(stats.sockets, self.sockets.len());
        assert_eq!((stats.acks, stats.waiting), (self.acks.len(), 0));
        for socket in client.sockets() {
            assert_eq!(Some(&client.is_connected(socket)), self.sockets.get(&socket));
            // An empty buffer takes an event of any size.
            let (packets, bytes) = client.buffered(socket);
            assert!(packets <= 2 * PACKETS && (bytes <= 2 * BYTES || packets <= 2), "{packets} {bytes}");
        }
        assert!(stats.engines <= 9, "{stats:?}");
        assert!(stats.early_packets <= EARLY_PACKETS * NAMESPACES.len(), "{stats:?}");
        assert!(stats.early_bytes <= BYTES * NAMESPACES.len(), "{stats:?}");
        // A message and a frame's head of each WebSocket, and a packet whose attachments are missing.
        assert!(stats.received_bytes <= stats.transports * (PAYLOAD + 14) + PAYLOAD, "{stats:?}");
    }

    /// Whatever state it is in, a close and time end it, and nothing is left.
    fn finish(&mut self) {
        self.client.close(self.now);
        self.drain();
        for index in 0..NAMESPACES.len() {
            self.act(&Verb::Remove(index));
        }
        self.drain();
        assert_eq!(self.acks, BTreeSet::new());
        for _ in 0..100 {
            let Some(next) = self.client.poll_timeout() else { break };
            self.tick(next);
            self.drain();
        }
        assert!(self.client.is_drained(), "everything has a deadline: {:?}", self.client);
        assert_eq!(self.client.stats(), Stats::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::tests::corpus;

    #[test]
    fn the_corpus_reaches_every_event() {
        let events: Vec<String> = corpus("client_manager").iter().flat_map(|data| run(data)).collect();
        for name in [
            "Connect {",
            "ConnectError",
            "Disconnect",
            "Packet",
            "Ack",
            "Outgoing",
            "Discarded",
            "NeedAuth",
            "NeedHeaders",
            "Open",
            "Upgrade",
            "Ping",
            "Error",
            "Close",
            "ReconnectAttempt",
            "Reconnect {",
            "ReconnectError",
            "ReconnectFailed",
        ] {
            assert!(events.iter().any(|event| event.starts_with(name)), "{name}");
        }
    }
}
