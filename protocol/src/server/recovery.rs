//! Connection state recovery in one namespace: what was sent, who may come back for it, and what they have missed.
//!
//! Events that can be replayed are numbered, and kept in a log. For each session the store knows which of them were for
//! it: since when it is there, and when it came into its rooms and left them. So what is replayed is exactly what the
//! session would have got, whatever happened to its rooms in the meantime.
//!
//! What a client has is told by the offset of the last event that it got. A client that got none names none, or that of a
//! session that it had before: its own session's begin is meant then. The JavaScript client, which only knows offsets
//! from events, so recovers before its first event too.

mod log;
mod offset;
mod track;

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::time::Duration;

pub(crate) use self::{
    log::Audience,
    offset::{Claim, Offset},
};
use self::{
    log::{Log, RoomKey},
    track::Track,
};
use super::namespace::Target;
use crate::{
    Config, Instant, Limits, Recovery, Text,
    encoded::Encoded,
    hash::FastMap,
    key::{ConnKey, Sid, SocketKey},
    rng::Rng,
};

/// The recovery of one namespace.
#[derive(Debug)]
pub(crate) struct Store {
    recovery: Recovery,
    tag: [u8; 4],
    log: Log,
    /// By [`SocketKey::index`]: of sockets that wait to be accepted, too.
    tracks: Vec<Option<Box<Track>>>,
    /// By private id. These are random and ours; peers only look them up.
    sessions: FastMap<Sid, Session>,
    lost: usize,
    /// When lost sessions end, in order. One that was recovered since leaves its entry until then.
    ends: VecDeque<(Instant, Sid)>,
    /// Who waits for an old link to be retired.
    waiting: FastMap<SocketKey, Waiting>,
}

#[derive(Debug)]
enum Session {
    Connected(SocketKey),
    Lost(Box<Lost>),
}

/// A session without a link.
#[derive(Debug)]
struct Lost {
    sid: Sid,
    track: Track,
    /// The last instant at which it can be recovered.
    end: Instant,
    /// Whether it is among [`Store::ends`]: one that was claimed when its turn came is not, until it is free again.
    listed: bool,
    /// The number of the newest event when the link was lost.
    head: u64,
    /// The socket that asks to go on with it, and which event is the last that its client has.
    claimed: Option<(SocketKey, u64)>,
}

/// A client that asks for a session whose old link is not gone yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) connection: ConnKey,
    pub(crate) claim: Claim,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this socket, or claimed by it.
    Taken(SocketKey),
    /// Without a link.
    Free,
    Unknown,
}

/// What becomes of a socket that is accepted.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// It begins.
    New,
    /// It goes on: what it has missed, and the offset at the end of that.
    Recovered(Vec<Encoded>, Offset),
    /// It has missed what the log does not hold any more.
    TooLate,
}

impl Store {
    pub(crate) fn new(recovery: &Recovery, config: &Config, rng: &mut Rng) -> Self {
        // What a link lost before this side noticed counts, too.
        let silence = config.ping_interval.saturating_add(config.ping_timeout);
        let keep = recovery.max_disconnection_duration.saturating_add(silence);
        Self {
            tag: offset::tag(rng),
            log: Log::new(keep, recovery.max_packets, recovery.max_bytes),
            tracks: Vec::new(),
            sessions: FastMap::default(),
            lost: 0,
            ends: VecDeque::new(),
            waiting: FastMap::default(),
            recovery: recovery.clone(),
        }
    }

    /// Lost sessions, packets of the log, and their bytes.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.lost, self.log.len(), self.log.bytes())
    }

    /// The offset of the newest event.
    pub(crate) fn offset(&self) -> Offset {
        Offset { tag: self.tag, number: self.log.head() }
    }

    /// The offset that the next event will have.
    pub(crate) fn next_offset(&self) -> Offset {
        Offset { tag: self.tag, number: self.log.head().saturating_add(1) }
    }

    /// Whether somebody may come back for an event that has no recipients now.
    pub(crate) fn awaits(&self) -> bool {
        self.lost > 0
    }

    /// Takes the next event into the log. Its recipients are to be told of it next ([`mark`](Self::mark)).
    pub(crate) fn record(&mut self, now: Instant, audience: Audience, packet: Encoded) {
        self.log.push(now, audience, packet, self.lost > 0);
    }

    /// The same for an event that goes to this socket alone, whose session is `sid`. While it is connected, nobody else
    /// waits for that.
    pub(crate) fn record_one(&mut self, now: Instant, socket: SocketKey, sid: Sid, packet: Encoded) {
        self.log.push(now, Audience::one(sid), packet, false);
        self.mark(socket);
    }

    /// The newest event is for this socket.
    pub(crate) fn mark(&mut self, socket: SocketKey) {
        let (head, trimmed) = (self.log.head(), self.log.trimmed());
        if let Some(track) = self.track(socket) {
            track.mark(head, trimmed);
        }
    }

    pub(crate) fn joined(&mut self, socket: SocketKey, room: &Text) {
        let head = self.log.head();
        if let Some(track) = self.track(socket) {
            track.join(room, head);
        }
    }

    pub(crate) fn left(&mut self, socket: SocketKey, room: &str) {
        let (head, trimmed) = (self.log.head(), self.log.trimmed());
        if let Some(track) = self.track(socket) {
            track.leave(room, head, trimmed);
        }
    }

    /// A new session for a socket that waits to be accepted.
    pub(crate) fn begin(&mut self, socket: SocketKey, pid: Sid) {
        self.put(socket, Track::new(pid));
    }

    pub(crate) fn place(&self, pid: Sid) -> Place {
        match self.sessions.get(&pid) {
            None => Place::Unknown,
            Some(Session::Connected(socket)) => Place::Taken(*socket),
            Some(Session::Lost(lost)) => lost.claimed.map_or(Place::Free, |(socket, _)| Place::Taken(socket)),
        }
    }

    /// Lets a client wait for the end of an old link. Who waited before waits in vain; whether anybody did.
    pub(crate) fn wait(&mut self, old: SocketKey, waiting: Waiting) -> Option<Waiting> {
        self.waiting.insert(old, waiting)
    }

    /// An old link is gone.
    pub(crate) fn retired(&mut self, old: SocketKey) -> Option<Waiting> {
        let waiting = self.waiting.remove(&old);
        if self.waiting.is_empty() {
            self.waiting.shrink_to(0);
        }
        waiting
    }

    /// Whether a lost session can go on where its client says: the session's public id. What has missed too much is
    /// forgotten (`Err`): no other offset will come from that client.
    pub(crate) fn check(&mut self, now: Instant, claim: &Claim, limits: &Limits) -> Result<Sid, Option<Sid>> {
        self.log.trim(now);
        let Some(Session::Lost(lost)) = self.sessions.get(&claim.pid) else { return Err(None) };
        let known = (now <= lost.end).then(|| self.known(lost, claim.offset)).flatten();
        let replay = known.and_then(|known| self.replay_from(lost, &lost.track, known));
        let fits = replay.is_some_and(|from| {
            let (mut packets, mut bytes) = (0_usize, 0_usize);
            for packet in self.log.after(from).filter(|entry| lost.track.is_for(lost.sid, entry)) {
                packets = packets.saturating_add(1);
                bytes = bytes.saturating_add(packet.packet.size());
            }
            // The answer to CONNECT comes behind it.
            packets < limits.send_queue_packets && bytes < limits.send_queue_bytes.saturating_sub(ANSWER)
        });
        if fits { Ok(lost.sid) } else { Err(self.forget(claim.pid)) }
    }

    /// Has a socket, which waits to be accepted, go on with a session that was checked: the rooms of the session.
    pub(crate) fn claim(&mut self, claim: &Claim, socket: SocketKey) -> Vec<Text> {
        let Some(Session::Lost(lost)) = self.sessions.get(&claim.pid) else { return Vec::new() };
        let known = self.known(lost, claim.offset).unwrap_or(lost.head);
        // What middlewares do to the rooms is forgotten if they refuse the socket.
        let track = lost.track.clone();
        let rooms = track.rooms().cloned().collect();
        if let Some(Session::Lost(lost)) = self.sessions.get_mut(&claim.pid) {
            lost.claimed = Some((socket, known));
        }
        self.put(socket, track);
        rooms
    }

    /// A socket is accepted.
    pub(crate) fn accept(&mut self, socket: SocketKey) -> Accepted {
        let head = self.log.head();
        let Some(track) = self.track(socket) else { return Accepted::New };
        let pid = track.pid;
        let claimed = match self.sessions.get(&pid) {
            Some(Session::Lost(lost)) => lost.claimed.filter(|(by, _)| *by == socket).map(|(_, known)| (lost, known)),
            _ => None,
        };
        let Some((lost, known)) = claimed else {
            self.sessions.insert(pid, Session::Connected(socket));
            if let Some(track) = self.track(socket) {
                track.begin(head);
            }
            return Accepted::New;
        };
        // The log may have lost something since it was checked.
        let track = self.tracks.get(socket.index as usize).and_then(Option::as_ref);
        let from = track.and_then(|track| self.replay_from(lost, track, known));
        let sid = lost.sid;
        let Some(from) = from else {
            self.forget(pid);
            return Accepted::TooLate;
        };
        // Restored once: it is lost again before anybody else can have it (behaviours, item 48).
        self.sessions.insert(pid, Session::Connected(socket));
        let Some(track) = self.tracks.get(socket.index as usize).and_then(Option::as_ref) else { return Accepted::New };
        let missed = self.log.after(from).filter(|entry| track.is_for(sid, entry));
        let (numbers, packets): (Vec<_>, Vec<_>) = missed.map(|entry| (entry.number, entry.packet.clone())).unzip();
        let trimmed = self.log.trimmed();
        if let Some(track) = self.track(socket) {
            numbers.into_iter().for_each(|number| track.mark(number, trimmed));
        }
        self.found();
        Accepted::Recovered(packets, self.offset())
    }

    /// A socket is gone, and its session kept if it was connected and `keep` says so: those that end with that, by their
    /// public ids.
    pub(crate) fn leave(&mut self, now: Instant, socket: SocketKey, sid: Sid, keep: bool) -> Option<Sid> {
        let track = self.tracks.get_mut(socket.index as usize)?.take()?;
        while let Some(None) = self.tracks.last() {
            self.tracks.pop();
        }
        if self.tracks.is_empty() {
            self.tracks = Vec::new();
        }
        let pid = track.pid;
        let head = self.log.head();
        match self.sessions.get_mut(&pid) {
            Some(Session::Connected(connected)) if *connected == socket => {
                if !keep {
                    return self.forget(pid).or(Some(sid));
                }
                let end = now + self.recovery.max_disconnection_duration;
                let lost = Lost { sid, track: *track, end, listed: true, head, claimed: None };
                self.sessions.insert(pid, Session::Lost(Box::new(lost)));
                self.lost = self.lost.saturating_add(1);
                self.ends_at(end, pid);
                if self.lost > self.recovery.max_sessions { self.forget_oldest() } else { None }
            }
            Some(Session::Lost(lost)) if lost.claimed.is_some_and(|(by, _)| by == socket) => {
                // Refused, or the client went away again: it may come back until the same end.
                lost.claimed = None;
                let end = lost.end;
                if now > end {
                    return self.forget(pid);
                }
                if !core::mem::replace(&mut lost.listed, true) {
                    self.ends_at(end, pid);
                }
                None
            }
            // It never began, or has ended.
            _ => None,
        }
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let end = self.ends.front().map(|(end, _)| *end + Duration::from_micros(1));
        end.into_iter().chain(self.log.deadline()).min()
    }

    /// Forgets what has waited for too long: the sessions that end with that, by their public ids.
    pub(crate) fn expire(&mut self, now: Instant, mut forgotten: impl FnMut(Sid)) {
        while self.ends.front().is_some_and(|(end, _)| *end < now) {
            if let Some(sid) = self.forget_first() {
                forgotten(sid);
            }
        }
        if self.ends.is_empty() {
            self.ends = VecDeque::new();
        }
        self.log.expire(now);
    }

    /// Forgets everything that waits: the sessions that end with that, by their public ids.
    pub(crate) fn clear(&mut self, mut forgotten: impl FnMut(Sid)) {
        while !self.ends.is_empty() {
            if let Some(sid) = self.forget_first() {
                forgotten(sid);
            }
        }
    }

    fn forget(&mut self, pid: Sid) -> Option<Sid> {
        let sid = match self.sessions.remove(&pid) {
            Some(Session::Lost(lost)) => {
                self.found();
                Some(lost.sid)
            }
            _ => None,
        };
        if self.sessions.is_empty() {
            // Nobody is left for whom anything of the log is.
            self.sessions.shrink_to(0);
            self.log.clear();
        }
        sid
    }

    /// A session is not without a link any more.
    fn found(&mut self) {
        self.lost = self.lost.saturating_sub(1);
        if self.lost == 0 {
            self.log.forget_gone();
        }
    }

    fn forget_oldest(&mut self) -> Option<Sid> {
        while !self.ends.is_empty() {
            let forgotten = self.forget_first();
            if forgotten.is_some() {
                return forgotten;
            }
        }
        None
    }

    /// Takes the first of the ends, and forgets its session unless that was recovered since or is claimed: then it ends
    /// when its socket does.
    fn forget_first(&mut self) -> Option<Sid> {
        let (end, pid) = self.ends.pop_front()?;
        let Some(Session::Lost(lost)) = self.sessions.get_mut(&pid) else { return None };
        if lost.end != end {
            return None;
        }
        lost.listed = false;
        if lost.claimed.is_some() { None } else { self.forget(pid) }
    }

    fn ends_at(&mut self, end: Instant, pid: Sid) {
        // At the end but for clocks that differ a little.
        let index = self.ends.partition_point(|(other, _)| *other <= end);
        self.ends.insert(index, (end, pid));
        if self.ends.len() > self.lost.saturating_mul(2).saturating_add(64) {
            let sessions = &self.sessions;
            self.ends.retain(|(end, pid)| matches!(sessions.get(pid), Some(Session::Lost(lost)) if lost.end == *end));
        }
    }

    /// The number of the last event that the client of a lost session has; `None` for an offset that is none of ours.
    fn known(&self, lost: &Lost, offset: Option<Offset>) -> Option<u64> {
        match offset {
            Some(offset) if offset.tag != self.tag || offset.number > self.log.head() => None,
            // That of a session before this one: nothing of this one has arrived.
            Some(offset) => Some(offset.number.max(lost.track.start)),
            None => Some(lost.track.start),
        }
    }

    /// Behind which event a lost session goes on, if its client has this one; `None` if it may have missed what the log
    /// does not hold any more. `track` is the session's, or that of the socket which goes on with it.
    fn replay_from(&self, lost: &Lost, track: &Track, known: u64) -> Option<u64> {
        let trimmed = self.log.trimmed();
        // Of what the log has lost nothing was for it, or it has that.
        let has_the_rest = known >= trimmed || (known >= track.newest_of(trimmed) && !self.missed(lost, track, known));
        let from = known.max(trimmed);
        (has_the_rest && from >= track.certain).then_some(from)
    }

    /// Whether the log has lost something behind this event that may have been for the session while it had no link.
    fn missed(&self, lost: &Lost, track: &Track, known: u64) -> bool {
        let seen = known.max(lost.head);
        self.log.gone() > seen
            || self.log.gone_of(&RoomKey::Own(lost.sid)) > seen
            || track
                .stays_behind(seen)
                .any(|(room, since)| self.log.gone_of(&RoomKey::Named(room.clone())) > seen.max(since))
    }

    fn put(&mut self, socket: SocketKey, track: Track) {
        let index = socket.index as usize;
        if self.tracks.len() <= index {
            self.tracks.resize_with(index.saturating_add(1), || None);
        }
        if let Some(place) = self.tracks.get_mut(index) {
            *place = Some(Box::new(track));
        }
    }

    fn track(&mut self, socket: SocketKey) -> Option<&mut Track> {
        self.tracks.get_mut(socket.index as usize)?.as_deref_mut()
    }
}

/// Bytes of the queue that the answer to CONNECT may take behind a replay.
const ANSWER: usize = 1_024;

impl Audience {
    pub(crate) fn of(target: &Target<'_>) -> Self {
        Self::new(target.rooms, target.except)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, key::NspId};

    const fn socket(index: u32) -> SocketKey {
        SocketKey { nsp: NspId(0), index, generation: 0 }
    }

    fn store(max_sessions: usize) -> (Store, Rng) {
        let mut rng = Rng::new(&Seed::for_tests(1));
        let recovery = Recovery { max_sessions, ..Recovery::default() };
        (Store::new(&recovery, &Config::default(), &mut rng), rng)
    }

    /// A session that lost its link at this time.
    fn lost(store: &mut Store, rng: &mut Rng, now: Instant) -> Claim {
        let pid = Sid::generate(rng);
        store.begin(socket(0), pid);
        assert!(matches!(store.accept(socket(0)), Accepted::New));
        store.leave(now, socket(0), Sid::generate(rng), true);
        Claim { pid, offset: None }
    }

    /// Whoever asks for a session and is refused, again and again, leaves nothing behind each time.
    #[test]
    fn a_session_waits_for_its_end_once_however_often_it_is_claimed() {
        let (mut store, mut rng) = store(10);
        let claim = lost(&mut store, &mut rng, Instant::ZERO);
        for _ in 0..1_000 {
            assert!(store.claim(&claim, socket(7)).is_empty());
            store.leave(Instant::from_millis(1), socket(7), claim.pid, true);
            assert_eq!((store.ends.len(), store.lost, store.place(claim.pid)), (1, 1, Place::Free));
        }
        let mut forgotten = 0;
        store.expire(Instant::from_millis(24 * 3_600_000), |_| forgotten += 1);
        assert_eq!((forgotten, store.ends.len(), store.sizes(), store.deadline()), (1, 0, (0, 0, 0), None));
    }

    /// One that was passed over, because it was claimed when the oldest was looked for, ends all the same.
    #[test]
    fn a_session_that_was_passed_over_waits_for_its_end_again() {
        let (mut store, mut rng) = store(1);
        let claim = lost(&mut store, &mut rng, Instant::ZERO);
        store.claim(&claim, socket(7));
        lost(&mut store, &mut rng, Instant::from_millis(1));
        assert_eq!((store.place(claim.pid), store.lost), (Place::Taken(socket(7)), 1), "the other one made room");
        store.leave(Instant::from_millis(2), socket(7), claim.pid, true);
        assert_eq!((store.place(claim.pid), store.ends.len()), (Place::Free, 1));
        let mut forgotten = 0;
        store.expire(Instant::from_millis(24 * 3_600_000), |_| forgotten += 1);
        assert_eq!((forgotten, store.lost, store.deadline()), (1, 0, None));
    }
}
