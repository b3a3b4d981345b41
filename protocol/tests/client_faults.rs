//! A client, a server, and a network that breaks in every way that a seed can think of. Whatever happens: no event
//! arrives twice or out of order, none is lost while a connection lives, every acknowledgement ends once, and the client
//! is connected, waits until a deadline, or is closed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod pair;

use std::collections::{BTreeMap, BTreeSet};

use pair::{Dice, Fate, Faults, Pair, millis, secs};
use sockeye_protocol::{
    Config as ServerConfig, Instant, SocketKey,
    client::{AckId, AckOutcome, Config, Delivery, EmitError, Event, Flags, Offline, SocketId, SocketOptions, Stats},
    server::{self, Event as ServerEvent},
    socket::Payload,
};

/// The namespaces of every run. The last one's events are sent again until they are acknowledged.
const NAMESPACES: [&str; 3] = ["/", "/chat", "/reliable"];
const RELIABLE: usize = 2;

/// What both applications know.
struct Run {
    pair: Pair,
    dice: Dice,
    sockets: [SocketId; 3],
    sides: [Side; 3],
    /// Who is who on the server.
    keys: BTreeMap<SocketKey, (usize, usize)>,
    /// The client's acknowledgements that have not ended.
    acks: BTreeSet<(SocketId, AckId)>,
    opens: usize,
    last_attempt: u32,
    attempts: u64,
    reconnects: u64,
    /// The server answers nobody while this is set.
    mute: bool,
    /// The application opens and closes the connection itself.
    restless: bool,
    /// Everything is written to standard error: with `SOCKEYE_TRACE`.
    trace: bool,
}

/// One namespace.
#[derive(Default)]
struct Side {
    /// Numbers that the client has emitted.
    emitted: u64,
    /// In the order in which they were handed to a connection.
    sent: Vec<u64>,
    /// The id of each of the server's sockets.
    sids: Vec<String>,
    /// What each of the server's sockets received.
    received: Vec<Vec<u64>>,
    /// What each of the server's sockets sent, and whether it lives.
    down: Vec<(u64, bool)>,
    /// What the client received: whose, and which.
    heard: Vec<(u64, u64)>,
    connected: bool,
    connects: u64,
}

impl Run {
    fn new(seed: u64, faults: Faults) -> Self {
        let mut dice = Dice(seed ^ 0x5EED);
        let config = Config {
            timeout: Some(secs(5)),
            connect_timeout: Some(secs(60)),
            reconnection_delay: millis([50, 1_000][dice.below(2) as usize]),
            ..config(&mut dice)
        };
        let server = ServerConfig { ping_interval: secs(5), ping_timeout: secs(4), ..ServerConfig::default() };
        let mut pair = Pair::new(config, server, seed);
        pair.faults = faults;
        pair.eager = dice.chance(500);
        pair.chunk = [0, 0, 1, 13][dice.below(4) as usize];
        for name in &NAMESPACES[1..] {
            pair.add_namespace(name);
        }
        let sockets = std::array::from_fn(|index| {
            let retries = if index == RELIABLE { u32::MAX } else { 0 };
            let ack_timeout = (index == RELIABLE).then(|| secs(3));
            pair.client
                .add_socket(NAMESPACES[index], SocketOptions { retries, ack_timeout, offline: Offline::default() })
        });
        for socket in sockets {
            pair.client.connect(pair.now, socket);
        }
        Self {
            pair,
            dice,
            sockets,
            sides: Default::default(),
            keys: BTreeMap::new(),
            acks: BTreeSet::new(),
            opens: 0,
            last_attempt: 0,
            attempts: 0,
            reconnects: 0,
            mute: false,
            restless: false,
            trace: std::env::var_os("SOCKEYE_TRACE").is_some(),
        }
    }

    /// Lets time pass; both applications say something after each pause, which is up to `pause` milliseconds long.
    fn advance(&mut self, until: Instant, pause: u64) {
        let mut talk = self.pair.now;
        while self.pair.now < until {
            if talk <= self.pair.now {
                // Often several things at once, as applications do.
                for _ in 0..=self.dice.below(3) {
                    if self.dice.chance(500) { self.client_talks() } else { self.server_talks() }
                }
                talk = self.pair.now + millis(self.dice.below(pause));
            }
            self.pair.step(talk.min(until));
            self.listen();
        }
    }

    fn rest(&mut self, until: Instant) {
        while self.pair.step(until) {
            self.listen();
        }
    }

    fn client_talks(&mut self) {
        let index = self.dice.below(3) as usize;
        let now = self.pair.now;
        let side = &mut self.sides[index];
        let payload = Payload::event("n", &side.emitted, 10).unwrap();
        let ack = self.dice.chance(300);
        let flags = if index != RELIABLE && self.dice.chance(100) { Flags::VOLATILE } else { Flags::default() };
        let number = side.emitted;
        let delivery = if ack {
            let timeout = [None, Some(secs(2))][self.dice.below(2) as usize];
            match self.pair.client.emit_with_ack(now, self.sockets[index], &payload, timeout, flags) {
                Ok((id, delivery)) => {
                    assert!(self.acks.insert((self.sockets[index], id)), "{id} twice");
                    delivery
                }
                Err(EmitError::TooManyAcks { .. }) => return,
                Err(_) if flags.volatile => return,
                Err(error) => panic!("{error}"),
            }
        } else {
            self.pair.client.emit(now, self.sockets[index], &payload, flags).expect("nothing is full")
        };
        match delivery {
            Delivery::Dropped => return,
            Delivery::Sent => side.sent.push(number),
            Delivery::Waiting => {}
        }
        side.emitted += 1;
    }

    fn server_talks(&mut self) {
        let living: Vec<(SocketKey, usize, usize)> =
            self.keys.iter().map(|(key, (index, session))| (*key, *index, *session)).collect();
        if living.is_empty() {
            return;
        }
        let (key, index, session) = living[self.dice.below(living.len() as u64) as usize];
        let (sent, alive) = &mut self.sides[index].down[session];
        assert!(*alive);
        let payload = Payload::event("n", &(session as u64, *sent), 10).unwrap();
        if self.pair.server.emit(self.pair.now, key, &payload).is_ok() {
            *sent += 1;
        }
    }

    /// Both applications look at what they were told.
    fn listen(&mut self) {
        for (key, sid, namespace) in std::mem::take(&mut self.pair.accepted) {
            let index = NAMESPACES.iter().position(|name| *namespace == **name).unwrap();
            let side = &mut self.sides[index];
            side.sids.push(sid.to_string());
            side.received.push(Vec::new());
            side.down.push((0, true));
            self.keys.insert(key, (index, side.received.len() - 1));
        }
        for event in std::mem::take(&mut self.pair.server_events) {
            if self.trace {
                eprintln!("{} server {event:?}", self.pair.now);
            }
            self.on_server(event);
        }
        for event in std::mem::take(&mut self.pair.client_events) {
            if self.trace {
                eprintln!("{} client {event:?}", self.pair.now);
            }
            self.on_client(event);
        }
    }

    fn on_server(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Packet { socket, args, ack, .. } => {
                // Of a server that is no more.
                let Some((index, session)) = self.keys.get(&socket).copied() else { return };
                self.sides[index].received[session].push(args.deserialize().unwrap());
                if let Some(token) = ack
                    && !self.mute
                    && (index == RELIABLE || self.dice.chance(800))
                {
                    let _ = self.pair.server.reply(self.pair.now, &token, &Payload::ack(&(), 10).unwrap());
                }
            }
            ServerEvent::Disconnect { socket, .. } => {
                if let Some((index, session)) = self.keys.remove(&socket) {
                    self.sides[index].down[session].1 = false;
                }
            }
            // Whatever happens, the client says nothing that the protocol forbids.
            ServerEvent::Close { error: Some(error), .. } => {
                let broken = matches!(
                    error,
                    server::Error::NotJoined(_)
                        | server::Error::JoinedTwice(_)
                        | server::Error::Packet(_)
                        | server::Error::ConnectErrorFromClient
                );
                assert!(!broken, "{error}");
            }
            _ => {}
        }
    }

    fn on_client(&mut self, event: Event) {
        let index = |socket| self.sockets.iter().position(|own| *own == socket).unwrap();
        match event {
            Event::Connect { socket, .. } => {
                let side = &mut self.sides[index(socket)];
                assert!(!std::mem::replace(&mut side.connected, true), "connected twice");
                side.connects += 1;
            }
            Event::Disconnect { socket, .. } => {
                assert!(std::mem::take(&mut self.sides[index(socket)].connected), "disconnected twice");
            }
            Event::ConnectError { socket, .. } => assert!(!self.sides[index(socket)].connected),
            Event::Packet { socket, args, .. } => {
                let index = index(socket);
                self.sides[index].heard.push(args.deserialize().unwrap());
            }
            Event::Ack { socket, id, outcome } => {
                assert!(self.acks.remove(&(socket, id)), "{id} ended twice");
                if index(socket) == RELIABLE {
                    assert!(matches!(outcome, AckOutcome::Reply(_)), "{outcome:?}");
                }
            }
            Event::Outgoing { socket, payload } => {
                let number: u64 = payload.to_args().unwrap().deserialize().unwrap();
                self.sides[index(socket)].sent.push(number);
            }
            Event::Discarded { payload, .. } => panic!("discarded {payload:?}"),
            Event::Open => {
                self.opens += 1;
                assert_eq!(self.opens, 1, "opened twice");
            }
            Event::Close { .. } => {
                assert_eq!(self.opens, 1, "closed twice");
                self.opens = 0;
                self.last_attempt = 0;
            }
            Event::ReconnectAttempt { attempt, waited } => {
                // Whoever closes begins to count anew.
                let first = self.restless && attempt == 1;
                assert!(self.opens == 0 && (first || attempt == self.last_attempt + 1), "{attempt}");
                self.last_attempt = attempt;
                self.attempts += 1;
                let base = self.pair.client.config().reconnection_delay.as_secs_f64() * 2_f64.powi(attempt as i32 - 1);
                let max = self.pair.client.config().reconnection_delay_max.as_secs_f64();
                let (low, high) = ((base * 0.5 - 0.001).min(max), (base * 1.5).min(max));
                let asked_for = self.restless && waited.is_zero();
                assert!(asked_for || (low..=high).contains(&waited.as_secs_f64()), "{waited:?} not in {low}..{high}");
            }
            Event::Reconnect { attempt } => {
                assert_eq!(attempt, self.last_attempt);
                self.last_attempt = 0;
                self.reconnects += 1;
            }
            Event::ReconnectFailed => panic!("there is no last attempt"),
            _ => {}
        }
    }

    /// The server restarts: its sockets are gone, and nobody says so.
    fn restart(&mut self) {
        self.pair.restart();
        for (_, (index, session)) in std::mem::take(&mut self.keys) {
            self.sides[index].down[session].1 = false;
        }
        self.pair.server_events.clear();
        self.pair.accepted.clear();
    }

    /// What must hold for everything that has arrived so far.
    fn check_order(&self) {
        for (index, side) in self.sides.iter().enumerate() {
            // Not in the order in which the server let them in: what was sent on a connection that broke may arrive late.
            let mut sessions: Vec<&Vec<u64>> = side.received.iter().filter(|received| !received.is_empty()).collect();
            sessions.sort_by_key(|received| received[0]);
            let mut from = 0;
            for received in sessions {
                if index == RELIABLE {
                    // Each number in turn, some of them several times.
                    assert!(received.windows(2).all(|pair| (0..=1).contains(&(pair[1] - pair[0]))), "{received:?}");
                    continue;
                }
                // What a connection has received is what was sent on it, from its beginning, without a gap.
                let start = side.sent[from..].iter().position(|number| *number == received[0]).expect("sent once");
                from += start;
                assert_eq!(&side.sent[from..from + received.len()], &received[..], "{}", NAMESPACES[index]);
                from += received.len();
            }
            assert!(side.sent.is_sorted(), "emitted in another order than sent");
            // The same in the other direction.
            let mut last: Option<(u64, u64)> = None;
            for (session, number) in &side.heard {
                let expected = match last {
                    Some((before, number)) if before == *session => number + 1,
                    before => {
                        assert!(before.is_none_or(|(before, _)| before < *session), "an old session speaks");
                        0
                    }
                };
                assert_eq!(*number, expected, "{} session {session}", NAMESPACES[index]);
                last = Some((*session, *number));
            }
        }
    }

    /// Once nothing goes wrong any more, everything is connected, and what is sent arrives.
    fn check_recovery(&mut self) {
        let connected = self.sockets.map(|socket| self.pair.client.is_connected(socket));
        assert_eq!(connected, [true; 3], "not connected again: {:#?}", self.pair.client);
        let mut last = Vec::new();
        for index in 0..3 {
            let side = &mut self.sides[index];
            last.push(side.emitted);
            let payload = Payload::event("n", &side.emitted, 10).unwrap();
            let delivery = self.pair.client.emit(self.pair.now, self.sockets[index], &payload, Flags::default());
            if delivery.unwrap() == Delivery::Sent {
                side.sent.push(side.emitted);
            }
            side.emitted += 1;
        }
        let limit = self.pair.now + secs(3_600);
        while self.pair.now < limit {
            // A queue of retries takes a round trip for each.
            let end = self.pair.now + secs(60);
            self.rest(end);
            if self.pair.client.buffered(self.sockets[RELIABLE]).0 == 0 {
                break;
            }
        }
        for (index, last) in last.into_iter().enumerate() {
            let side = &self.sides[index];
            let sid = self.pair.client.sid(self.sockets[index]).expect("still connected").to_string();
            let session = side.sids.iter().rposition(|own| *own == sid).expect("let in");
            assert_eq!(side.received[session].last(), Some(&last), "{}", NAMESPACES[index]);
            // What this connection sent has arrived, all of it.
            let heard = side.heard.iter().filter(|(of, _)| *of == session as u64).count() as u64;
            assert_eq!(heard, side.down[session].0, "{}", NAMESPACES[index]);
        }
        self.check_order();
    }

    /// The end: nothing is left.
    fn finish(&mut self) {
        self.pair.client.close(self.pair.now);
        let sockets = self.sockets;
        for socket in sockets {
            self.pair.client.remove(self.pair.now, socket);
        }
        let end = self.pair.now + secs(120);
        // Acknowledgements of the reliable queue end with their socket.
        self.pair.drive();
        for event in std::mem::take(&mut self.pair.client_events) {
            match event {
                Event::Ack { socket, id, .. } => assert!(self.acks.remove(&(socket, id))),
                event => self.on_client(event),
            }
        }
        self.rest(end);
        assert_eq!(self.acks, BTreeSet::new());
        assert!(self.pair.client.is_drained());
        assert_eq!(self.pair.client.stats(), Stats::default());
        assert_eq!(self.pair.client.poll_timeout(), None);
        let mut empty = server::Stats::default();
        empty.namespaces = NAMESPACES.len();
        assert_eq!(self.pair.server.stats(), empty);
    }
}

fn config(_dice: &mut Dice) -> Config {
    Config::default()
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SOCKEYE_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(count);
    let from = std::env::var("SOCKEYE_SEED").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    from..from + count
}

/// Runs so many seeds (or `SOCKEYE_SEEDS` from `SOCKEYE_SEED` on), and says which one failed.
fn each_seed(count: u64, test: impl Fn(u64)) {
    for seed in seeds(count) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(seed)));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Two minutes of a bad network, server restarts among them; then all is well again.
#[test]
fn whatever_the_network_does_order_holds() {
    each_seed(500, |seed| {
        let heal = Instant::ZERO + secs(120);
        let mut run = Run::new(seed, Faults::random(seed, heal));
        while run.pair.now < heal {
            let until = (run.pair.now + millis(run.dice.below(30_000))).min(heal);
            let pause = [200, 2_000, 20_000][run.dice.below(3) as usize];
            run.advance(until, pause);
            match run.dice.below(8) {
                0 => run.restart(),
                1 => run.pair.silence(),
                2 => run.mute = !run.mute,
                3 => run.pair.faults.outage = Some([Fate::Refused, Fate::Silent][run.dice.below(2) as usize]),
                4 => run.pair.now = run.pair.now + millis(run.dice.below(60_000)),
                _ => run.pair.faults.outage = None,
            }
        }
        run.pair.faults.outage = None;
        run.mute = false;
        // What was deaf stays so until a heartbeat misses it; then come attempts.
        let end = run.pair.now + secs(180);
        run.advance(end, 10_000);
        run.check_order();
        run.check_recovery();
        run.finish();
    });
}

/// The same while the application changes its mind: it leaves and joins namespaces, removes and adds them, closes and
/// opens the connection, at any time. Nothing confuses one session with another.
#[test]
fn an_application_may_change_its_mind_at_any_time() {
    each_seed(200, |seed| {
        let heal = Instant::ZERO + secs(60);
        let mut faults = Faults::random(seed, heal);
        if seed % 2 == 0 {
            // A network that is well, but slow: only the application is restless.
            faults = Faults { latency: (millis(1), millis(300)), ..Faults::none(seed) };
        }
        let mut run = Run::new(seed, faults);
        run.restless = true;
        while run.pair.now < heal {
            let until = (run.pair.now + millis(run.dice.below(400))).min(heal);
            run.advance(until, 500);
            let index = run.dice.below(2) as usize;
            let (now, socket) = (run.pair.now, run.sockets[index]);
            for _ in 0..=run.dice.below(2) {
                match run.dice.below(8) {
                    0 | 1 => run.pair.client.disconnect(now, socket),
                    2..=4 => run.pair.client.connect(now, socket),
                    5 => {
                        // Its events that wait are dropped; it begins anew.
                        run.pair.client.remove(now, socket);
                        run.pair.drive();
                        run.listen();
                        let again = run.pair.client.add_socket(NAMESPACES[index], SocketOptions::default());
                        run.sockets[index] = again;
                        run.pair.client.connect(now, again);
                        break;
                    }
                    6 => run.pair.client.close(now),
                    _ => run.pair.client.open(now),
                }
            }
        }
        let now = run.pair.now;
        let sockets = run.sockets;
        sockets.into_iter().for_each(|socket| run.pair.client.connect(now, socket));
        let end = run.pair.now + secs(120);
        run.advance(end, 10_000);
        run.check_order();
        run.check_recovery();
        run.finish();
    });
}

/// The connection breaks at each byte of its handshake, in either direction, loudly or silently.
#[test]
fn a_handshake_may_break_at_every_byte() {
    for bytes in 0..900 {
        for fate in [Fate::CutUp(bytes), Fate::CutDown(bytes), Fate::DeadUp(bytes), Fate::DeadDown(bytes)] {
            let mut faults = Faults::none(bytes as u64);
            // The first connections of the attempt, whichever they are for.
            let before = bytes % 7;
            faults.script = [vec![Fate::Fine; before], vec![fate]].concat();
            let mut run = Run::new(bytes as u64, faults);
            run.client_talks();
            run.advance(Instant::ZERO + secs(20), 2_000);
            let sockets = run.sockets;
            let back = run.pair.until(secs(30), |pair| sockets.iter().all(|socket| pair.client.is_connected(*socket)));
            assert!(back, "{before} {fate:?}");
            run.listen();
            run.check_order();
        }
    }
}

/// A day of a network that is never well for long: in the end nothing has grown.
#[test]
fn a_day_of_faults_leaves_nothing_behind() {
    let day = Instant::ZERO + secs(24 * 3_600);
    let mut faults = Faults::random(7, day);
    (faults.refused, faults.silent, faults.cut, faults.dead) = (200, 30, 300, 50);
    let mut run = Run::new(7, faults);
    let mut largest = Stats::default();
    while run.pair.now < day {
        let until = run.pair.now + secs(600);
        run.advance(until, 60_000);
        match run.dice.below(4) {
            0 => run.restart(),
            1 => run.pair.silence(),
            _ => {}
        }
        let stats = run.pair.client.stats();
        largest.engines = largest.engines.max(stats.engines);
        largest.waiting = largest.waiting.max(stats.waiting);
        largest.requests = largest.requests.max(stats.requests);
        largest.transports = largest.transports.max(stats.transports);
    }
    assert!(largest.engines <= 9 && largest.transports <= 18 && largest.requests <= 27, "{largest:?}");
    assert!(run.attempts > 1_000 && run.reconnects > 100, "{} {}", run.attempts, run.reconnects);
    let end = run.pair.now + secs(180);
    run.rest(end);
    run.check_order();
    run.check_recovery();
    run.finish();
}
