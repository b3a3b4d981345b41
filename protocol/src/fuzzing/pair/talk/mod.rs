//! Two applications that talk over a [`Pair`], and what must hold whatever becomes of it.
//!
//! Every event has a number, and every CONNECT another one (its `auth`), so that it is known of each event on which
//! connection of which namespace it was sent ([`Link`]), and with recovery in which [`Session`]:
//!
//! - What a side receives on a link is the beginning of what was sent on it: nothing twice, out of order, or left out. Of a
//!   link that lives it is all, once there was time. What is sent again is so by the queue of `retries` alone.
//! - A session that is recovered gets what it has missed, and is recovered whenever the server still has it.
//! - Each acknowledgement ends once, in time, and with the answer that was given.
//! - The client is connected, waits for the next attempt within its bounds, or is closed. In the end nothing is left.

mod client;
mod model;
mod options;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use sockeye_protocol::{
    Instant, Seed, SocketKey,
    client::{AckId, AckToken, AuthRequest, Flags, HeadersRequest, Manager, SocketId, Stats},
    server::{AckToken as ServerAckToken, ConnectRequest, Server},
};

use self::model::{Asked, Link, Session, Side};
pub use self::options::{Mood, Options};
use super::{Dice, Fate, Faults, Pair, millis, secs};

/// The namespaces of every run.
pub const NAMESPACES: [&str; 4] = ["/", "/expiring", "/reliable", "/strict"];
/// What waits too long in this one is discarded.
const EXPIRING: usize = 1;
/// The events of this one are sent again until they are acknowledged, if [`Options::retries`] says so.
pub const RELIABLE: usize = 2;
/// What cannot be sent in this one at once is refused.
const STRICT: usize = 3;

const ROOMS: [&str; 3] = ["a", "b", "c"];

/// What has happened, to see that something has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub attempts: u64,
    pub reconnects: u64,
    pub connects: u64,
    pub recovered: u64,
    /// Events that have arrived, at the server and at the client.
    pub up: u64,
    pub down: u64,
    /// Of those at the server, the ones that were sent again.
    pub again: u64,
    /// Acknowledgements that ended, with an answer and without.
    pub answered: u64,
    pub unanswered: u64,
    pub upgrades: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let pairs = [
            (&mut self.attempts, other.attempts),
            (&mut self.reconnects, other.reconnects),
            (&mut self.connects, other.connects),
            (&mut self.recovered, other.recovered),
            (&mut self.up, other.up),
            (&mut self.down, other.down),
            (&mut self.again, other.again),
            (&mut self.answered, other.answered),
            (&mut self.unanswered, other.unanswered),
            (&mut self.upgrades, other.upgrades),
        ];
        for (sum, part) in pairs {
            *sum += part;
        }
    }
}

pub struct Talk {
    pub pair: Pair,
    pub counts: Counts,
    pub mood: Mood,
    /// Decides what the applications do.
    pub dice: Dice,
    options: Options,
    sides: [Side; 4],
    links: Vec<Link>,
    sessions: Vec<Session>,
    /// The link of each of the server's sockets.
    keys: BTreeMap<SocketKey, usize>,
    /// The client's acknowledgements that have not ended, and the server's.
    acks: BTreeMap<(SocketId, AckId), Asked>,
    server_acks: BTreeMap<(SocketKey, AckId), Asked>,
    /// Events that wait to be acknowledged: the client's part, and the server's with their namespaces.
    tokens: Vec<(AckToken, u64)>,
    server_tokens: Vec<(ServerAckToken, u64, usize)>,
    /// Questions that wait for an answer.
    auth: Vec<AuthRequest>,
    headers: Vec<HeadersRequest>,
    undecided: Vec<ConnectRequest>,
    /// Sockets that were removed.
    removed: BTreeSet<SocketId>,
    open: bool,
    /// Connections that the server has ended by its own will, and the client does not know of yet.
    ended: u64,
    last_attempt: u32,
    /// What the server has sent so far.
    sent: u64,
}

impl Talk {
    /// Both sides, and the client's wish to connect everywhere.
    pub fn new(options: Options, faults: Faults, dice: Dice, seed: u64) -> Self {
        let mut pair = Pair::new(options.client.clone(), options.server.clone(), seed);
        (pair.auto_auth, pair.auto_accept) = (false, false);
        (pair.faults, pair.eager, pair.chunk) = (faults, options.eager, options.chunk);
        for name in NAMESPACES {
            pair.add_namespace(name);
        }
        let sides = std::array::from_fn(|index| {
            let socket = pair.client.add_socket(NAMESPACES[index], options.socket(index));
            pair.client.connect(pair.now, socket);
            Side::new(socket)
        });
        let mut talk = Self {
            pair,
            counts: Counts::default(),
            mood: options.mood,
            dice,
            options,
            sides,
            links: Vec::new(),
            sessions: Vec::new(),
            keys: BTreeMap::new(),
            acks: BTreeMap::new(),
            server_acks: BTreeMap::new(),
            tokens: Vec::new(),
            server_tokens: Vec::new(),
            auth: Vec::new(),
            headers: Vec::new(),
            undecided: Vec::new(),
            removed: BTreeSet::new(),
            open: false,
            ended: 0,
            last_attempt: 0,
            sent: 0,
        };
        talk.pair.trace(format_args!("{:?}", talk.options));
        talk.settle();
        talk
    }

    /// Does something, whatever the dice say.
    pub fn act(&mut self) {
        match self.dice.below(24) {
            0..=4 => {
                let index = self.dice.below(4) as usize;
                self.client_emits(index);
            }
            5..=8 => self.server_emits(),
            9 | 10 => self.server_broadcasts(),
            11 => self.server_moves(),
            12 => self.client_replies(),
            13 => self.server_replies(),
            14 => self.answer_questions(),
            15..=18 => {
                let time = self.dice.pick(&[0, 1, 10, 100, 500, 2_000, 10_000, 30_000]);
                let time = time + self.dice.below(time / 2);
                self.pass(millis(time));
            }
            19 | 20 if self.mood.client => self.client_changes_its_mind(),
            21 if self.mood.server => self.server_dismisses(),
            22 if self.mood.network => self.network_breaks(),
            23 if self.mood.network => self.pair.faults.outage = None,
            _ => self.pass(millis(50)),
        }
        self.settle();
        self.check_state();
    }

    /// Lets time pass, and the applications listen.
    pub fn pass(&mut self, time: std::time::Duration) {
        let end = self.pair.now + time;
        while self.pair.step(end) {
            self.settle();
        }
    }

    /// Something breaks that no single connection decides.
    pub fn network_breaks(&mut self) {
        match self.dice.below(10) {
            0 => self.restart(),
            1 => {
                self.pair.server.shutdown(self.pair.now);
                self.settle();
                self.restart();
            }
            2 => self.pair.reset_everything(),
            3 => self.pair.silence(),
            4 => self.pair.faults.outage = Some(Fate::Refused),
            5 => self.pair.faults.outage = Some(Fate::Silent),
            6 => {
                // The device sleeps: the clock goes on, and nobody looks at it.
                let time = self.dice.pick(&[1, 5, 30, 100]);
                self.pair.now = self.pair.now + secs(time);
                // The try that ends meanwhile is followed by others that have all their time.
                for latest in self.acks.values_mut().filter_map(|asked| asked.latest.as_mut()) {
                    *latest = *latest + secs(time);
                }
            }
            7 => self.pair.withhold(true),
            8 => self.pair.withhold(false),
            _ => {
                let to = self.dice.pick(&[0, 30, 300, 3_000]);
                self.pair.faults.latency = (millis(0), millis(to));
            }
        }
    }

    /// The server restarts: its sockets are gone, and nobody says so.
    pub fn restart(&mut self) {
        self.pair.restart();
        self.pair.server_events.clear();
        for link in std::mem::take(&mut self.keys).into_values() {
            self.links[link].ends_on_server();
        }
        for session in &mut self.sessions {
            session.end();
        }
        self.server_acks.clear();
        self.server_tokens.clear();
        self.undecided.clear();
    }

    /// Both applications look at what they were told, and answer.
    pub fn settle(&mut self) {
        loop {
            self.pair.drive();
            // What the client says it has sent, it said before the server had it.
            let client = std::mem::take(&mut self.pair.client_events);
            let server = std::mem::take(&mut self.pair.server_events);
            if client.is_empty() && server.is_empty() {
                break;
            }
            client.into_iter().for_each(|event| self.on_client(event));
            server.into_iter().for_each(|event| self.on_server(event));
        }
        self.check();
    }

    /// What must hold at any time.
    fn check(&self) {
        let now = self.pair.now;
        let late = |asked: &Asked| asked.due.or(asked.latest).is_some_and(|due| due <= now) && self.is_awake();
        assert!(!self.acks.values().chain(self.server_acks.values()).any(late), "an acknowledgement ends too late");
    }

    /// What both sides say about themselves is what they have told.
    fn check_state(&self) {
        let client = &self.pair.client;
        assert_eq!(client.stats().acks, self.acks.len());
        let lives = |link| self.sides.iter().any(|side| side.connected && side.link == Some(link));
        let outlived = self.acks.values().find(|asked| asked.link.is_some_and(|link| !lives(link)));
        assert!(outlived.is_none(), "an acknowledgement outlives its connection: {outlived:?}");
        assert_eq!(client.is_open(), self.open);
        for side in &self.sides {
            assert_eq!(client.is_connected(side.socket), side.connected);
        }
        let stats = self.pair.server.stats();
        assert_eq!((stats.sockets, stats.acks), (self.keys.len(), self.server_acks.len()));
        self.check_rooms();
    }

    /// Whether no deadline has passed unseen, as after a sleep.
    fn is_awake(&self) -> bool {
        let deadlines = [self.pair.client.poll_timeout(), self.pair.server.poll_timeout()];
        deadlines.into_iter().flatten().all(|at| at > self.pair.now)
    }

    /// Once nothing goes wrong any more and nobody is moody, everything is connected again, and what is sent arrives.
    pub fn recover(&mut self) {
        self.mood = Mood::default();
        // The end of a script would have nobody answer any more.
        self.dice = Dice::Seed(1);
        self.pair.heal();
        self.settle();
        self.answer_everything();
        // What was deaf stays so until a heartbeat or a CONNECT misses it; then come attempts.
        self.pass(secs(25));
        for _ in 0..40 {
            if self.sides.iter().all(|side| side.connected) {
                break;
            }
            self.connect_all();
            self.pass(secs(10));
        }
        for (index, name) in NAMESPACES.iter().enumerate() {
            assert!(self.sides[index].connected, "{name}: {:#?}", self.pair.client);
            self.emit(index, None, Flags::default());
            self.settle();
        }
        for key in self.keys.keys().copied().collect::<Vec<_>>() {
            self.emit_to(key, None);
        }
        for _ in 0..600 {
            // A queue of retries takes a round trip for each.
            self.pass(secs(5));
            self.answer_everything();
            if self.pair.client.buffered(self.sides[RELIABLE].socket).0 == 0 {
                break;
            }
        }
        for index in 0..4 {
            self.check_living(index);
        }
        if self.options.well {
            self.check_well();
        }
        assert_eq!(self.pair.refusals(), 0, "a client that asks for nothing it should not");
    }

    /// The client wants to be connected everywhere.
    pub fn connect_all(&mut self) {
        for side in &self.sides {
            self.pair.client.connect(self.pair.now, side.socket);
        }
        self.settle();
    }

    /// The end: nothing is left.
    pub fn finish(&mut self) {
        self.pair.client.close(self.pair.now);
        for index in 0..4 {
            self.leave(index);
            let socket = self.sides[index].socket;
            self.removed.insert(socket);
            self.pair.client.remove(self.pair.now, socket);
        }
        self.settle();
        let kept = self.options.server.recovery.as_ref().map(|recovery| recovery.max_disconnection_duration);
        self.pass(secs(120) + kept.unwrap_or_default());
        let client = &self.pair.client;
        assert!(self.acks.is_empty() && self.server_acks.is_empty() && self.keys.is_empty());
        assert!(client.is_drained());
        assert_eq!((client.stats(), client.poll_timeout()), (Stats::default(), None));
        let mut fresh = Server::new(self.options.server.clone(), &Seed::for_tests(0));
        for name in NAMESPACES {
            fresh.add_namespace(name);
        }
        assert_eq!((self.pair.server.stats(), self.pair.server.poll_timeout()), (fresh.stats(), None));
        assert_eq!(self.pair.connections(), [], "the network holds nothing either");
        let recovers = self.options.server.recovery.is_some();
        let kept =
            self.sessions.iter().find(|session| session.is_kept() || (recovers && !session.is_forgotten(&self.pair)));
        assert!(kept.is_none(), "{kept:?}");
    }

    /// Both sides as they are.
    pub fn into_machines(self) -> (Manager, Server) {
        (self.pair.client, self.pair.server)
    }

    fn now(&self) -> Instant {
        self.pair.now
    }
}
