//! What a session was meant to get.

use alloc::{collections::BTreeMap, vec::Vec};

use super::log::{Logged, RoomKey};
use crate::{Text, key::Sid};

/// Rooms of the past that a session remembers. Of one that leaves more of them while their events are in the log, what was
/// before the oldest cannot be told any more.
const PAST: usize = 100;

/// Runs of events that a session remembers. Nobody needs them but who has been idle for longer than the log holds events,
/// and then missed the next one.
const MARKS: usize = 16;

/// Which events were for one session. Numbers are those of the log; a room that was joined at number n has the events
/// behind n.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) pid: Sid,
    /// Nothing up to this was for the session.
    pub(super) start: u64,
    /// The events that were for it: the first and the last of several, where too many followed each other.
    marks: Vec<Run>,
    /// What was up to this may have been for it or not.
    pub(super) certain: u64,
    /// The rooms that it is in, and since when.
    rooms: BTreeMap<Text, u64>,
    past: Vec<Stay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    from: u64,
    until: u64,
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
        Self { pid, start: 0, marks: Vec::new(), certain: 0, rooms: BTreeMap::new(), past: Vec::new() }
    }

    /// The session begins behind this event.
    pub(super) fn begin(&mut self, head: u64) {
        self.start = head;
    }

    /// This event is for the session, as may have been said before; the log holds what is behind `trimmed`.
    pub(super) fn mark(&mut self, number: u64, trimmed: u64) {
        if self.marks.last().is_some_and(|last| number <= last.until) {
            return;
        }
        // Of what the log has lost, the newest is enough.
        while self.marks.get(1).is_some_and(|next| next.until <= trimmed) {
            self.marks.remove(0);
        }
        self.marks.push(Run { from: number, until: number });
        if self.marks.len() > MARKS {
            // The two that are closest become one.
            let gaps = self.marks.iter().zip(self.marks.iter().skip(1)).map(|(a, b)| b.from.saturating_sub(a.until));
            let closest = gaps.enumerate().min_by_key(|(_, gap)| *gap).map_or(0, |(index, _)| index);
            let merged = self.marks.remove(closest);
            if let Some(next) = self.marks.get_mut(closest) {
                next.from = merged.from;
            }
        }
    }

    /// The newest event that was for the session and is not in the log any more, which holds what is behind `trimmed`; or
    /// a later one, where that cannot be told.
    pub(super) fn newest_of(&self, trimmed: u64) -> u64 {
        let newest = self.marks.iter().rev().find(|run| run.from <= trimmed);
        newest.map_or(self.start, |run| run.until.min(trimmed))
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &Text> {
        self.rooms.keys()
    }

    /// The rooms in which the session was at some time behind this event, and since when.
    pub(super) fn stays_behind(&self, number: u64) -> impl Iterator<Item = (&Text, u64)> {
        let past = self.past.iter().filter(move |stay| stay.until > number).map(|stay| (&stay.room, stay.from));
        self.rooms.iter().map(|(room, from)| (room, *from)).chain(past)
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

    /// Whoever is idle for long has everything with an old offset.
    #[test]
    fn what_the_log_has_lost_of_a_session_is_told_or_overstated() {
        let mut track = track();
        track.begin(10);
        assert_eq!(track.newest_of(20), 10);
        for number in [30, 40, 60, 70] {
            track.mark(number, 20);
        }
        let newest = [29, 30, 39, 40, 65, 70, 99].map(|trimmed| track.newest_of(trimmed));
        assert_eq!(newest, [10, 30, 30, 40, 60, 70, 70]);
        track.mark(80, 60);
        track.mark(70, 60);
        assert_eq!((track.marks.len(), track.newest_of(60), track.newest_of(75)), (3, 60, 70));
        // Of many, those that are close are not told apart.
        for number in 100..=100 + MARKS as u64 {
            track.mark(number, 60);
        }
        assert_eq!(track.marks.len(), MARKS);
        let newest = [60, 75, 99, 102, 200].map(|trimmed| track.newest_of(trimmed));
        assert_eq!(newest, [60, 70, 80, 102, 100 + MARKS as u64]);
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
