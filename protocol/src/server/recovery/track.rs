//! What a session was meant to get.

use alloc::{collections::BTreeMap, vec::Vec};

use super::log::{Logged, RoomKey};
use crate::{Text, key::Sid};

/// Rooms of the past that a session remembers. Of one that leaves more of them while their events are in the log, what was
/// before the oldest cannot be told any more.
const PAST: usize = 100;

/// Which events were for one session. Numbers are those of the log; a room that was joined at number n has the events
/// behind n.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) pid: Sid,
    /// Nothing up to this was for the session.
    pub(super) start: u64,
    /// The newest event that was for it while it was connected.
    pub(super) last: u64,
    /// What was up to this may have been for it or not.
    pub(super) certain: u64,
    /// The rooms that it is in, and since when.
    rooms: BTreeMap<Text, u64>,
    past: Vec<Stay>,
}

/// A room that was left again.
#[derive(Clone, Debug)]
struct Stay {
    room: Text,
    from: u64,
    until: u64,
}

impl Track {
    pub(super) fn new(pid: Sid) -> Self {
        Self { pid, start: 0, last: 0, certain: 0, rooms: BTreeMap::new(), past: Vec::new() }
    }

    /// The session begins behind this event.
    pub(super) fn begin(&mut self, head: u64) {
        (self.start, self.last) = (head, head);
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &Text> {
        self.rooms.keys()
    }

    pub(super) fn join(&mut self, room: &Text, head: u64) {
        self.rooms.entry(room.clone()).or_insert(head);
    }

    /// Leaves a room; the log holds what is behind `trimmed`.
    pub(super) fn leave(&mut self, room: &str, head: u64, trimmed: u64) {
        let Some((room, from)) = self.rooms.remove_entry(room) else { return };
        if from == head {
            return;
        }
        if self.past.len() >= PAST {
            self.past.retain(|stay| stay.until > trimmed);
        }
        if self.past.len() >= PAST {
            self.certain = self.certain.max(self.past.remove(0).until);
        }
        self.past.push(Stay { room, from, until: head });
    }

    /// Whether an event behind the session's start was for it, or would have been with a link.
    pub(super) fn is_for(&self, sid: Sid, event: &Logged) -> bool {
        let was_in = |key: &RoomKey| match key {
            RoomKey::Own(own) => *own == sid,
            RoomKey::Named(room) => self.was_in(room, event.number),
        };
        let rooms = &event.audience.rooms;
        event.number > self.start
            && (rooms.is_empty() || rooms.iter().any(was_in))
            && !event.audience.except.iter().any(was_in)
    }

    fn was_in(&self, room: &Text, number: u64) -> bool {
        self.rooms.get(room).is_some_and(|from| *from < number)
            || self.past.iter().any(|stay| stay.room == *room && stay.from < number && number <= stay.until)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::{Seed, rng::Rng};

    fn track() -> Track {
        Track::new(Sid::generate(&mut Rng::new(&Seed::for_tests(1))))
    }

    #[test]
    fn a_stay_has_the_events_behind_its_begin_up_to_its_end() {
        let (mut track, room) = (track(), Text::from("r"));
        track.join(&room, 2);
        track.leave("r", 4, 0);
        track.join(&room, 6);
        let stays = (1..=8).filter(|number| track.was_in(&room, *number)).collect::<Vec<_>>();
        assert_eq!(stays, [3, 4, 7, 8]);
        track.leave("r", 6, 0);
        assert_eq!((track.past.len(), track.certain, track.was_in(&room, 7)), (1, 0, false));
    }

    #[test]
    fn the_past_is_bounded_and_what_is_forgotten_is_uncertain() {
        let mut track = track();
        for number in 0..=PAST as u64 {
            track.join(&format!("{number}").as_str().into(), number);
            track.leave(&format!("{number}"), number + 1, 0);
        }
        assert_eq!((track.past.len(), track.certain), (PAST, 1));
        // What the log does not hold any more need not be told.
        track.join(&"r".into(), 1_000);
        track.leave("r", 1_001, 999);
        assert_eq!((track.past.len(), track.certain), (1, 1));
    }
}
