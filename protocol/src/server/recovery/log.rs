//! The log: events in the order of their numbers, within a time, a count and a number of bytes.

use alloc::{boxed::Box, collections::VecDeque};
use core::time::Duration;

use crate::{Instant, Text, encoded::Encoded, key::Sid, server::rooms::Room};

#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Logged>,
    /// The number of the newest event; the first is 1.
    head: u64,
    bytes: usize,
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
}

/// Whom an event is for: a [`Target`](crate::server::Target) that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    pub(super) rooms: Box<[RoomKey]>,
    pub(super) except: Box<[RoomKey]>,
}

#[derive(Clone, Debug)]
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

impl Log {
    pub(super) fn new(keep: Duration, max_packets: usize, max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), head: 0, bytes: 0, keep, max_packets, max_bytes, deadline: None }
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

    pub(super) fn push(&mut self, now: Instant, audience: Audience, packet: Encoded) {
        self.head = self.head.saturating_add(1);
        let bytes = packet.size().saturating_add(audience.bytes()).saturating_add(size_of::<Logged>());
        // Clocks of connections may differ a little.
        let at = self.entries.back().map_or(now, |last| now.max(last.at));
        self.entries.push_back(Logged { number: self.head, audience, packet, at, bytes });
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

    pub(super) fn clear(&mut self) {
        self.entries = VecDeque::new();
        (self.bytes, self.deadline) = (0, None);
    }

    fn pop(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if self.entries.is_empty() {
            self.clear();
        }
        true
    }

    fn arm(&mut self) {
        let slack = self.keep.checked_div(8).unwrap_or_default().max(Duration::from_micros(1));
        self.deadline = self.entries.front().map(|entry| entry.at + self.keep + slack);
    }
}
