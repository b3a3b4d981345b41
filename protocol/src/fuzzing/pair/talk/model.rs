//! What is known of each namespace, link and session.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use sockeye_protocol::{
    Instant,
    client::SocketId,
    socket::{Args, Payload},
};

use super::{
    super::{Dice, Pair},
    NAMESPACES, RELIABLE, Talk,
};

/// A namespace, as the client's application sees it.
pub struct Side {
    pub socket: SocketId,
    /// The number of the next event.
    pub next: u64,
    /// The last event that was sent, and how often.
    pub last: Option<(u64, u32)>,
    /// Events that were given up, those that the server has acknowledged, and those of which the client knows that.
    pub discarded: BTreeSet<u64>,
    pub replied: BTreeSet<u64>,
    pub acknowledged: BTreeSet<u64>,
    pub connected: bool,
    /// The last link that was asked for.
    pub link: Option<usize>,
    /// The session that the client may ask for again.
    pub claim: Option<usize>,
}

/// One connection of one namespace, from CONNECT on.
#[derive(Debug)]
pub struct Link {
    pub index: usize,
    /// The session that the client asked for, and what it had of that.
    pub claim: Option<usize>,
    /// What the client has sent, and how much of it the server has received.
    pub up: Vec<u64>,
    pub received: usize,
    /// What the client must get, and how much of it that has.
    pub down: Vec<Note>,
    pub heard: usize,
    /// Since the server has accepted it.
    pub session: Option<usize>,
    pub recovered: bool,
    /// Whether the server still has it.
    pub lives: bool,
    /// The client has ended it by its own will; the server has.
    pub left: bool,
    pub dismissed: bool,
}

/// An event of the server.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    pub number: u64,
    /// Whether it would be sent again in a session that is recovered.
    pub recoverable: bool,
}

/// A session, as the server must see it.
#[derive(Debug)]
pub struct Session {
    pub index: usize,
    pub generation: u32,
    pub sid: String,
    /// What was for it, and when that was sent.
    pub meant: Vec<(u64, Instant)>,
    /// How much of that the client has.
    pub got: usize,
    pub rooms: BTreeSet<&'static str>,
    pub place: Place,
    forgotten: bool,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Connected(usize),
    Lost(Instant),
    Ended,
}

/// An acknowledgement that was asked for.
#[derive(Debug)]
pub struct Asked {
    pub number: u64,
    /// When it ends, and not before.
    pub due: Option<Instant>,
    /// If the event is in the queue of retries: the time that each try has, and when it must have ended if the connection
    /// lives, since the event was sent there.
    pub each: Option<Duration>,
    pub latest: Option<Instant>,
    /// The link that the event was sent on, with which it ends too. (One that is sent again outlives its links.)
    pub link: Option<usize>,
}

impl Side {
    pub fn new(socket: SocketId) -> Self {
        Self {
            socket,
            next: 0,
            last: None,
            discarded: BTreeSet::new(),
            replied: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            connected: false,
            link: None,
            claim: None,
        }
    }
}

impl Link {
    pub fn new(index: usize, claim: Option<usize>) -> Self {
        Self {
            index,
            claim,
            up: Vec::new(),
            received: 0,
            down: Vec::new(),
            heard: 0,
            session: None,
            recovered: false,
            lives: false,
            left: false,
            dismissed: false,
        }
    }

    pub fn ends_on_server(&mut self) {
        self.lives = false;
    }
}

impl Session {
    pub fn new(index: usize, generation: u32, sid: String, link: usize) -> Self {
        Self {
            index,
            generation,
            sid,
            meant: Vec::new(),
            got: 0,
            rooms: BTreeSet::new(),
            place: Place::Connected(link),
            forgotten: false,
        }
    }

    /// Its link is gone; it waits for another one.
    pub fn lose(&mut self, now: Instant) {
        self.place = Place::Lost(now);
        if self.forgotten {
            self.end();
        }
    }

    pub fn end(&mut self) {
        self.place = Place::Ended;
        self.rooms.clear();
    }

    pub fn is_kept(&self) -> bool {
        matches!(self.place, Place::Connected(_))
    }

    /// Whether the server has said that it is over, if that server is still there to say so.
    pub fn is_forgotten(&self, pair: &Pair) -> bool {
        self.forgotten || self.generation != pair.generation
    }

    pub fn forget(&mut self) {
        assert!(!std::mem::replace(&mut self.forgotten, true), "forgotten twice");
        if !self.is_kept() {
            self.end();
        }
    }

    /// Whether a client that asks for it now must get it, if nothing but time can end it.
    pub fn must_be_there(&self, now: Instant, kept: Duration, silence: Duration) -> bool {
        let is_there = match self.place {
            Place::Connected(_) => true,
            Place::Lost(at) => now <= at + kept,
            Place::Ended => false,
        };
        // What was missed on several links in turn may have left the log.
        let is_logged = |event: usize| self.meant.get(event).is_none_or(|(_, sent)| now <= *sent + kept + silence);
        let has_few = self.meant.len() < 16;
        is_there && is_logged(self.got) && (has_few || is_logged(self.got.wrapping_sub(1)))
    }
}

impl Talk {
    /// The client has sent an event.
    pub(super) fn sent(&mut self, index: usize, number: u64) {
        let retries = if index == RELIABLE { self.options.retries } else { 0 };
        let side = &mut self.sides[index];
        assert!(!side.discarded.contains(&number), "{number} was given up");
        let tries = match side.last {
            Some((last, tries)) if last == number => tries + 1,
            last => {
                assert!(last.is_none_or(|(last, _)| last < number), "{number} behind {last:?}");
                1
            }
        };
        assert!(tries - 1 <= retries && !side.acknowledged.contains(&number), "{number} is sent again");
        side.last = Some((number, tries));
        let (socket, link) = (side.socket, side.link.expect("nothing is sent without a link"));
        self.links[link].up.push(number);
        let now = self.pair.now;
        let of_socket = self.acks.iter_mut().filter(|((other, _), _)| *other == socket);
        for (_, asked) in of_socket.filter(|(_, asked)| asked.number == number) {
            if retries == 0 {
                asked.link = Some(link);
            } else if asked.latest.is_none() {
                // Whether each of its tries sends it or not.
                asked.latest = asked.each.filter(|_| retries < u32::MAX).map(|each| now + each * (retries + 1));
            }
        }
    }

    /// What has been sent on a connection that lives has arrived, in both directions.
    pub(super) fn check_living(&self, index: usize) {
        let side = &self.sides[index];
        let link = &self.links[side.link.expect("connected")];
        assert!(side.connected && link.lives, "{}", NAMESPACES[index]);
        assert_eq!(link.received, link.up.len(), "{}", NAMESPACES[index]);
        assert_eq!(link.heard, link.down.len(), "{}", NAMESPACES[index]);
        let sid = self.pair.client.sid(side.socket).expect("connected");
        let session = &self.sessions[link.session.expect("accepted")];
        assert_eq!(*sid, *session.sid);
        if self.options.server.recovery.is_some() {
            assert_eq!(session.got, session.meant.len(), "{}", NAMESPACES[index]);
        }
        if index == RELIABLE && self.options.retries > 0 && self.removed.is_empty() {
            let missing =
                (0..side.next).find(|number| !side.discarded.contains(number) && !side.replied.contains(number));
            assert_eq!(missing, None, "it is neither acknowledged nor given up");
        }
    }

    /// On a network that is well, what one side has said before it left arrives.
    pub(super) fn check_well(&self) {
        for (number, link) in self.links.iter().enumerate() {
            if link.session.is_some() && !link.dismissed {
                assert_eq!(link.received, link.up.len(), "link {number}: {link:?}");
            }
            if link.session.is_some() && !link.left {
                assert_eq!(link.heard, link.down.len(), "link {number}: {link:?}");
            }
        }
    }
}

/// The payload of an event: its number, and something to carry.
pub fn payload(dice: &mut Dice, number: u64) -> Payload {
    let size = dice.below(100) as usize;
    let attachments = dice.pick(&[0, 0, 0, 0, 1, 3]);
    if attachments == 0 {
        return Payload::event("n", &(number, "x".repeat(size)), 10).expect("encodable");
    }
    let attachments: Vec<Bytes> = (0..attachments).map(|at| Bytes::from(vec![filler(number, at); size])).collect();
    Payload::event("n", &(number, attachments), 10).expect("encodable")
}

/// The number of an event that has arrived, or of one that comes back.
pub fn number_of(args: &Args) -> u64 {
    let number: u64 = args.deserialize().expect("it begins with its number");
    for (at, attachment) in args.attachments().iter().enumerate() {
        assert!(attachment.iter().all(|byte| *byte == filler(number, at)), "the attachment of another event");
    }
    number
}

/// What an attachment is full of.
fn filler(number: u64, at: usize) -> u8 {
    number as u8 ^ (at as u8) << 6
}
