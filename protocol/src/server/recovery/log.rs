//! The log: events in the order of their numbers, within a time, a count and a number of bytes.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
};
use core::time::Duration;

use crate::{Instant, Text, encoded::Encoded, key::Sid, server::rooms::Room};

#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Logged>,
    /// The number of the newest event; the first is 1.
    head: u64,
    bytes: usize,
    gone: Gone,
    keep: Duration,
    max_packets: usize,
    max_bytes: usize,
    /// When to look for events that are too old. Not at each one's own time, or a thousand events are a thousand timers.
    deadline: Option<Instant>,
}

/// An event that can be replayed.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) number: u64,
    pub(super) audience: Audience,
    pub(super) packet: Encoded,
    at: Instant,
    bytes: usize,
    /// Whether a session without a link may want it, too.
    awaited: bool,
}

/// What the log has lost of events that sessions without a link may have wanted: the number of the newest one by whom it
/// was for. Those who are excepted are not looked at: they may begin anew for an event that was not for them.
#[derive(Debug, Default)]
struct Gone {
    /// Nobody wants anything up to this: the newest event when there was no session without a link.
    from: u64,
    everybody: u64,
    rooms: BTreeMap<RoomKey, u64>,
    /// Those before, up to a number. When there are too many rooms again, these count as events for everybody.
    older: BTreeMap<RoomKey, u64>,
    older_until: u64,
}

/// Whom an event is for: a [`Target`](crate::server::Target) that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    pub(super) rooms: Box<[RoomKey]>,
    pub(super) except: Box<[RoomKey]>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoomKey {
    Named(Text),
    Own(Sid),
}

impl Audience {
    /// One socket alone.
    pub(crate) fn one(sid: Sid) -> Self {
        Self { rooms: Box::new([RoomKey::Own(sid)]), except: Box::default() }
    }

    pub(super) fn new(rooms: &[Room<'_>], except: &[Room<'_>]) -> Self {
        let keys = |rooms: &[Room<'_>]| rooms.iter().map(RoomKey::from).collect();
        Self { rooms: keys(rooms), except: keys(except) }
    }

    fn bytes(&self) -> usize {
        let one = |key: &RoomKey| match key {
            RoomKey::Named(name) => name.len().saturating_add(size_of::<RoomKey>()),
            RoomKey::Own(_) => size_of::<RoomKey>(),
        };
        self.rooms.iter().chain(&self.except).map(one).fold(0, usize::saturating_add)
    }
}

impl From<&Room<'_>> for RoomKey {
    fn from(room: &Room<'_>) -> Self {
        match room {
            Room::Named(name) => Self::Named(Text::from(*name)),
            Room::Own(sid) => Self::Own(*sid),
        }
    }
}

impl Gone {
    fn note(&mut self, entry: Logged) {
        let number = entry.number;
        if number <= self.from {
            return;
        }
        if entry.audience.rooms.is_empty() {
            self.everybody = number;
        }
        for room in entry.audience.rooms {
            self.rooms.insert(room, number);
        }
        if self.rooms.len() >= MAX_GONE {
            self.everybody = self.everybody.max(self.older_until);
            self.older = core::mem::take(&mut self.rooms);
            self.older_until = number;
        }
    }

    fn newest(&self, room: &RoomKey) -> u64 {
        self.rooms.get(room).or_else(|| self.older.get(room)).copied().unwrap_or_default()
    }
}

/// Rooms whose lost events are told apart: at least so many, and at most twice.
const MAX_GONE: usize = 8_192;

impl Log {
    pub(super) fn new(keep: Duration, max_packets: usize, max_bytes: usize) -> Self {
        let (entries, gone) = (VecDeque::new(), Gone::default());
        Self { entries, head: 0, bytes: 0, gone, keep, max_packets, max_bytes, deadline: None }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the newest event that there was.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The number of the newest event that is not held any more.
    pub(super) fn trimmed(&self) -> u64 {
        self.entries.front().map_or(self.head, |entry| entry.number.saturating_sub(1))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes the next event. `awaited` says whether sessions without a link may want it: not one that goes to a socket
    /// alone, and none while there are no such sessions.
    pub(super) fn push(&mut self, now: Instant, audience: Audience, packet: Encoded, awaited: bool) {
        self.head = self.head.saturating_add(1);
        let held = packet.size().saturating_add(packet.overhead());
        let bytes = held.saturating_add(audience.bytes()).saturating_add(size_of::<Logged>());
        // Clocks of connections may differ a little.
        let at = self.entries.back().map_or(now, |last| now.max(last.at));
        self.entries.push_back(Logged { number: self.head, audience, packet, at, bytes, awaited });
        self.bytes = self.bytes.saturating_add(bytes);
        while self.entries.len() > self.max_packets || self.bytes > self.max_bytes {
            if !self.pop() {
                break;
            }
        }
        if self.deadline.is_none() {
            self.arm();
        }
    }

    /// The events behind a number, all of which must be held.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Logged> {
        let skip = usize::try_from(number.saturating_sub(self.trimmed())).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..)
    }

    /// The newest event for everybody that is not held any more and that a session without a link may have wanted.
    pub(super) fn gone(&self) -> u64 {
        self.gone.everybody
    }

    /// The same for a room.
    pub(super) fn gone_of(&self, room: &RoomKey) -> u64 {
        self.gone.newest(room)
    }

    /// There is no session without a link.
    pub(super) fn forget_gone(&mut self) {
        self.gone = Gone { from: self.head, ..Gone::default() };
    }

    /// Drops what is too old.
    pub(super) fn trim(&mut self, now: Instant) {
        while self.entries.front().is_some_and(|entry| entry.at + self.keep < now) {
            self.pop();
        }
    }

    /// A tick.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.trim(now);
            self.arm();
        }
    }

    /// Drops everything, since nobody is left for whom anything of it is.
    pub(super) fn clear(&mut self) {
        self.forget_gone();
        self.release();
    }

    fn release(&mut self) {
        self.entries = VecDeque::new();
        (self.bytes, self.deadline) = (0, None);
    }

    fn pop(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if entry.awaited {
            self.gone.note(entry);
        }
        if self.entries.is_empty() {
            self.release();
        }
        true
    }

    fn arm(&mut self) {
        let slack = self.keep.checked_div(8).unwrap_or_default().max(Duration::from_micros(1));
        self.deadline = self.entries.front().map(|entry| entry.at + self.keep + slack);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::socket::Payload;

    fn log(max_packets: usize) -> Log {
        Log::new(Duration::from_secs(165), max_packets, usize::MAX)
    }

    fn room(number: usize) -> RoomKey {
        RoomKey::Named(format!("{number}").as_str().into())
    }

    fn push(log: &mut Log, rooms: impl IntoIterator<Item = usize>, awaited: bool) {
        let packet = Encoded::event("/", None, (&Payload::event("e", &(), 10).unwrap()).into());
        let audience = Audience { rooms: rooms.into_iter().map(room).collect(), except: Box::default() };
        log.push(Instant::ZERO, audience, packet, awaited);
    }

    /// An event's own memory counts, so that many small ones cannot hold more than the bytes say.
    #[test]
    fn a_small_event_counts_with_all_that_it_costs() {
        let mut log = log(10);
        push(&mut log, [1], true);
        assert!((200..300).contains(&log.bytes()), "{}", log.bytes());
    }

    #[test]
    fn what_is_lost_is_known_by_whom_it_was_for() {
        let mut log = log(1);
        for (rooms, awaited) in [(&[1, 2][..], true), (&[2], true), (&[1], false), (&[], true), (&[], false)] {
            push(&mut log, rooms.iter().copied(), awaited);
        }
        assert_eq!([1, 2, 3].map(|number| log.gone_of(&room(number))), [1, 2, 0]);
        assert_eq!((log.gone(), log.trimmed()), (4, 4));
        log.forget_gone();
        push(&mut log, [3], true);
        push(&mut log, [], true);
        assert_eq!((log.gone(), log.gone_of(&room(1)), log.gone_of(&room(3))), (0, 0, 6));
    }

    #[test]
    fn of_too_many_rooms_the_oldest_count_as_everybody() {
        let mut log = log(1);
        for number in 0..MAX_GONE * 2 {
            push(&mut log, [number], true);
        }
        assert_eq!((log.gone(), log.gone_of(&room(0))), (0, 1));
        push(&mut log, [], false);
        assert_eq!((log.gone(), log.gone_of(&room(0))), (MAX_GONE as u64, 0));
        assert_eq!(log.gone_of(&room(MAX_GONE)), MAX_GONE as u64 + 1);
        assert!(log.gone.rooms.len() + log.gone.older.len() <= 2 * MAX_GONE);
    }
}
