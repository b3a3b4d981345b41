//! Recovery beside a model, over seeded schedules of emits, rooms, broadcasts and lost links: every event that was for a
//! session arrives, once, in order, however often its link is lost and whatever had arrived by then; and nothing else does.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use sockeye_protocol::{
    Config, Instant, Recovery, SocketKey,
    server::{Event, Room, Target},
};

use crate::harness::{Who, World, millis, secs};

const ROOMS: [&str; 3] = ["a", "b", "c"];
const KEPT: u64 = 120;

/// A client as the JavaScript one is: it knows its private id and the last text that an event ended with.
struct Client {
    link: Option<Who>,
    /// Packets that are on their way to it.
    coming: Vec<String>,
    /// Events in front of the answer to its CONNECT.
    early: Vec<String>,
    connected: bool,
    sid: String,
    pid: Option<String>,
    offset: Option<String>,
    /// What it has got in this session.
    got: Vec<u64>,
    session: Session,
}

/// What the model knows of a client's session.
#[derive(Default)]
struct Session {
    socket: Option<SocketKey>,
    rooms: BTreeSet<&'static str>,
    /// What was for it.
    meant: Vec<u64>,
    /// When that was sent.
    sent: Vec<Instant>,
    /// What its rooms got, but it was excepted.
    excepted: Vec<u64>,
    /// The client has heard of it.
    known: bool,
}

struct Model {
    world: World,
    rng: u64,
    next: u64,
    clients: Vec<Client>,
    /// When sockets were lost, as the server noticed.
    lost: Rc<RefCell<BTreeMap<SocketKey, (Instant, bool)>>>,
    /// So many of the newest events are in the log for as long as it must hold them; none for certain: 0.
    held: u64,
    /// One client gets most of the events.
    floods: bool,
    recovered: usize,
    renewed: usize,
}

impl Model {
    fn new(seed: u64, recovery: Recovery, held: u64) -> Self {
        let mut world = World::with_seed(Config { recovery: Some(recovery), ..Config::default() }, seed);
        let lost = Rc::new(RefCell::new(BTreeMap::new()));
        let noted = Rc::clone(&lost);
        world.on_event(move |world, event| {
            if let Event::Disconnect { socket, reason, .. } = &event {
                noted.borrow_mut().insert(*socket, (world.now, reason.is_recoverable()));
            }
            Some(event)
        });
        let client = || Client {
            link: None,
            coming: Vec::new(),
            early: Vec::new(),
            connected: false,
            sid: String::new(),
            pid: None,
            offset: None,
            got: Vec::new(),
            session: Session::default(),
        };
        let clients = (0..4).map(|_| client()).collect();
        let floods = (1..1_000).contains(&held);
        Self { world, rng: seed, next: 0, clients, lost, held, floods, recovered: 0, renewed: 0 }
    }

    fn pick(&mut self, count: usize) -> usize {
        // SplitMix64.
        self.rng = self.rng.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.rng;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).unwrap()
    }

    fn rooms(&mut self, chance: usize) -> Vec<&'static str> {
        ROOMS.into_iter().filter(|_| self.pick(chance) == 0).collect()
    }

    fn step(&mut self) {
        if self.floods && self.pick(3) == 0 {
            for _ in 0..6 {
                self.emit(0);
            }
        }
        let who = self.pick(self.clients.len());
        match self.pick(20) {
            0..=3 => self.emit(who),
            4..=7 => self.broadcast(),
            8 | 9 => self.join(who),
            10 => self.leave(who),
            11 | 12 => self.read(who, usize::MAX),
            13 => {
                let count = self.pick(4);
                self.read(who, count);
            }
            14 => self.lose(who),
            // The link is dead, and nobody knows.
            15 => self.lose_silently(who),
            16 | 17 => self.come_back(who),
            18 => {
                let time = [1, 10, 100, 1_000, 10_000, 30_000, 50_000][self.pick(7)];
                self.world.advance(millis(time));
            }
            _ if self.pick(4) == 0 => self.disconnect(who),
            _ => self.world.advance(secs(1)),
        }
    }

    /// Whether the server has this client's socket now.
    fn is_here(&self, who: usize) -> bool {
        self.clients[who].session.socket.is_some_and(|socket| self.world.sockets.contains(&socket))
    }

    /// Whether the session can still be recovered.
    fn is_kept(&self, who: usize) -> bool {
        let Some(socket) = self.clients[who].session.socket else { return false };
        match self.lost.borrow().get(&socket) {
            None => true,
            Some((at, recoverable)) => *recoverable && self.world.now <= *at + secs(KEPT),
        }
    }

    fn emit(&mut self, who: usize) {
        let Some(socket) = self.clients[who].session.socket else { return };
        self.next += 1;
        let number = self.next;
        if self.world.emit(socket, "e", &number).is_ok() {
            assert!(self.is_here(who));
            self.clients[who].session.meant.push(number);
            self.clients[who].session.sent.push(self.world.now);
        }
    }

    fn broadcast(&mut self) {
        let (rooms, except) = (self.rooms(3), self.rooms(6));
        let own = self.pick(4);
        self.next += 1;
        let number = self.next;
        let mut to: Vec<Room<'_>> = rooms.iter().map(|room| Room::Named(room)).collect();
        let mut not: Vec<Room<'_>> = except.iter().map(|room| Room::Named(room)).collect();
        let mut chosen = None;
        if let Some(own) = self.clients.get(own).filter(|client| !client.sid.is_empty())
            && let Ok(sid) = own.sid.parse()
        {
            let list = if number.is_multiple_of(3) { &mut not } else { &mut to };
            if number % 3 != 1 || !list.is_empty() {
                list.push(Room::Own(sid));
                chosen = Some((own.sid.clone(), number.is_multiple_of(3)));
            }
        }
        let everybody = to.is_empty();
        let mut here = 0;
        for who in 0..self.clients.len() {
            let is_kept = self.is_kept(who);
            let is_here = self.is_here(who);
            let client = &mut self.clients[who];
            let is_own = |excluding| chosen.as_ref().is_some_and(|(sid, is)| *sid == client.sid && *is == excluding);
            let is_in = |names: &[&str]| names.iter().any(|room| client.session.rooms.contains(room));
            let named = everybody || is_in(&rooms) || is_own(false);
            let meant = named && !is_in(&except) && !is_own(true);
            if named && !meant {
                client.session.excepted.push(number);
            }
            if meant && is_kept {
                here += usize::from(is_here);
                client.session.meant.push(number);
                client.session.sent.push(self.world.now);
            }
        }
        let target = Target { rooms: &to, except: &not, ..Target::all(self.world.nsp("/")) };
        // Those whose client has forgotten them are there for a while, too.
        assert!(self.world.broadcast(&target, "e", &number) >= here);
    }

    fn join(&mut self, who: usize) {
        let room = ROOMS[self.pick(ROOMS.len())];
        let Some(socket) = self.clients[who].session.socket else { return };
        if self.world.server.join(socket, room).is_ok() {
            self.clients[who].session.rooms.insert(room);
        }
    }

    fn leave(&mut self, who: usize) {
        let room = ROOMS[self.pick(ROOMS.len())];
        let Some(socket) = self.clients[who].session.socket else { return };
        if self.world.server.leave(socket, room) {
            self.clients[who].session.rooms.remove(room);
        }
    }

    /// The client takes packets that have come.
    fn read(&mut self, who: usize, count: usize) {
        let Some(link) = self.clients[who].link else { return };
        let packets = self.world.take(link);
        let client = &mut self.clients[who];
        client.coming.extend(packets);
        for packet in client.coming.drain(..count.min(client.coming.len())).collect::<Vec<_>>() {
            if packet.starts_with("42[") && !client.connected {
                client.early.push(packet);
            } else if packet.starts_with("42[") {
                client.see(&packet);
            } else if let Some(answer) = packet.strip_prefix("40") {
                client.connected = true;
                client.session.known = true;
                let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
                client.pid = Some(answer["pid"].as_str().unwrap().to_owned());
                client.early.drain(..).collect::<Vec<_>>().iter().for_each(|packet| client.see(packet));
            }
        }
        client.check();
    }

    fn lose(&mut self, who: usize) {
        if let Some(link) = self.clients[who].link {
            let count = self.pick(6);
            self.read(who, count);
            self.world.eof(link);
            self.clients[who].forget_link();
        }
    }

    fn lose_silently(&mut self, who: usize) {
        if let Some(link) = self.clients[who].link {
            let count = self.pick(6);
            self.read(who, count);
            self.world.clients[link].reads = false;
            self.world.clients[link].auto = false;
            self.clients[who].forget_link();
        }
    }

    fn disconnect(&mut self, who: usize) {
        if let Some(socket) = self.clients[who].session.socket {
            self.world.disconnect(socket, true);
        }
    }

    /// The client opens a new link, unless it has one that works.
    fn come_back(&mut self, who: usize) {
        if self.clients[who].link.is_some() {
            if self.is_here(who) {
                return;
            }
            self.read(who, usize::MAX);
            self.clients[who].forget_link();
        }
        let claim = {
            let client = &self.clients[who];
            let offset = client.offset.as_ref().map_or(String::new(), |offset| format!(",\"offset\":\"{offset}\""));
            client.pid.as_ref().map_or("40".to_owned(), |pid| format!("40{{\"pid\":\"{pid}\"{offset}}}"))
        };
        // An event that was missed on several links in turn may have left the log.
        let client = &self.clients[who];
        let now = self.world.now;
        let is_in_log = |event: usize| client.session.sent.get(event).is_none_or(|sent| now <= *sent + secs(KEPT + 45));
        let has_few = client.session.meant.len() < 16;
        let is_logged = is_in_log(client.got.len()) && (has_few || is_in_log(client.got.len().wrapping_sub(1)));
        // What a small log has lost of others does not matter; of what it has lost nothing was for this session, nor would
        // have been but for an exception.
        let newest = self.next;
        let is_held = |number: Option<u64>| number.is_none_or(|number| newest.saturating_sub(number) < self.held);
        let last = client.got.len().checked_sub(1).map(|last| client.got[last]);
        let excepted = client.session.excepted.iter().copied().find(|number| Some(*number) > last);
        let missed = client.session.meant.get(client.got.len()).copied();
        let is_small_enough = self.held > 0 && is_held(missed) && is_held(excepted) && (has_few || is_held(last));
        let must = client.session.known && self.is_kept(who) && is_logged && is_small_enough;
        let may_be_late = !self.is_kept(who);
        let link = self.world.websocket("client");
        self.world.clients[link].auto = true;
        self.world.take(link);
        let socket = self.world.join_namespace(link, &claim);
        let sid = self.world.server.sid(socket).unwrap().to_string();
        let rooms: BTreeSet<_> = self.world.server.rooms(socket).map(ToString::to_string).collect();
        let client = &mut self.clients[who];
        client.link = Some(link);
        if sid == client.sid {
            assert!(!may_be_late);
            assert_eq!(rooms, client.session.rooms.iter().map(ToString::to_string).collect());
            client.session.socket = Some(socket);
            self.recovered += 1;
        } else {
            assert!(rooms.is_empty() && !must, "a session was lost");
            client.sid = sid;
            client.got = Vec::new();
            client.session = Session { socket: Some(socket), ..Session::default() };
            self.renewed += 1;
        }
    }

    /// Everybody comes back and takes what there is.
    fn finish(mut self) -> (usize, usize) {
        for who in 0..self.clients.len() {
            self.come_back(who);
            self.read(who, usize::MAX);
            let client = &self.clients[who];
            assert_eq!(client.got, client.session.meant, "all that was for client {who}, once and in order");
        }
        for who in 0..self.clients.len() {
            self.lose(who);
        }
        self.world.advance(secs(KEPT + 60));
        self.world.assert_empty();
        (self.recovered, self.renewed)
    }
}

impl Client {
    fn see(&mut self, packet: &str) {
        let args: Vec<serde_json::Value> = serde_json::from_str(&packet[2..]).unwrap();
        self.got.push(args[1].as_u64().unwrap());
        self.offset = Some(args.last().unwrap().as_str().unwrap().to_owned());
    }

    /// What it has is the beginning of what was for it.
    fn check(&self) {
        assert_eq!(self.got, self.session.meant[..self.got.len()], "in order, once, nothing else");
    }

    /// What was on its way is lost, and what came before an answer that never came.
    fn forget_link(&mut self) {
        (self.link, self.connected) = (None, false);
        self.coming = Vec::new();
        self.early = Vec::new();
    }
}

fn run(seeds: u64, recovery: &Recovery, held: u64) -> (usize, usize) {
    let mut sums = (0, 0);
    for seed in 0..seeds {
        let result = std::panic::catch_unwind(|| {
            let mut model = Model::new(seed, recovery.clone(), held);
            for _ in 0..150 {
                model.step();
            }
            model.finish()
        });
        let (recovered, renewed) = result.unwrap_or_else(|_| panic!("seed {seed}"));
        sums = (sums.0 + recovered, sums.1 + renewed);
    }
    sums
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let (recovered, renewed) = run(2_000, &Recovery::default(), u64::MAX);
    assert!(recovered > 10_000 && renewed > 8_000, "{recovered} {renewed}");
}

#[test]
fn what_a_small_log_has_lost_is_never_recovered_in_part() {
    let recovery = Recovery { max_packets: 5, max_bytes: 2_000, max_sessions: 2, ..Recovery::default() };
    let (recovered, renewed) = run(1_000, &recovery, 0);
    assert!(recovered > 1_250 && renewed > 4_000, "{recovered} {renewed}");
}

/// Twelve events, most of which are for one client.
#[test]
fn what_a_small_log_has_lost_of_others_costs_no_session() {
    let recovery = Recovery { max_packets: 12, ..Recovery::default() };
    let (recovered, renewed) = run(1_000, &recovery, 12);
    assert!(recovered > 1_500 && renewed > 5_000, "{recovered} {renewed}");
}
