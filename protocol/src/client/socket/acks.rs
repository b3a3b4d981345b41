//! Acknowledgements that the server owes.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{Instant, engine::timers::earlier, fifo::give_back};

/// The acknowledgements of one socket, in the order of their numbers, in which they come and mostly go. Each is removed in
/// the step that reports how it ended.
#[derive(Debug, Default)]
pub(in crate::client) struct Acks {
    pending: VecDeque<Pending>,
    /// None is due before this.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    due: Option<Instant>,
    /// Whether the event was sent; else it waits in the send buffer, and the end of a connection is not its end.
    sent: bool,
}

/// One that was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::client) struct Expired {
    pub(in crate::client) due: Instant,
    pub(in crate::client) id: u64,
    pub(in crate::client) sent: bool,
}

impl Acks {
    pub(in crate::client) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(in crate::client) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(in crate::client) fn insert(&mut self, id: u64, due: Option<Instant>, sent: bool) {
        let at = self.place(id).unwrap_or_else(|at| at);
        self.pending.insert(at, Pending { id, due, sent });
        self.deadline = earlier(self.deadline, due);
    }

    /// The event has left the send buffer.
    pub(in crate::client) fn set_sent(&mut self, id: u64) {
        if let Ok(at) = self.place(id)
            && let Some(pending) = self.pending.get_mut(at)
        {
            pending.sent = true;
        }
    }

    /// The answer to an event that was sent. An unknown or repeated number is ignored (behaviours, item 52).
    pub(in crate::client) fn take(&mut self, id: u64) -> bool {
        match self.place(id) {
            Ok(at) if self.pending.get(at).is_some_and(|pending| pending.sent) => self.remove_at(at),
            _ => false,
        }
    }

    pub(in crate::client) fn remove(&mut self, id: u64) -> bool {
        self.place(id).is_ok_and(|at| self.remove_at(at))
    }

    fn remove_at(&mut self, at: usize) -> bool {
        let known = self.pending.remove(at).is_some();
        if self.pending.is_empty() {
            self.deadline = None;
            give_back(&mut self.pending);
        }
        known
    }

    /// Where a number is, or would be. Most of the time at either end.
    fn place(&self, id: u64) -> Result<usize, usize> {
        match (self.pending.front(), self.pending.back()) {
            (Some(first), _) if first.id == id => Ok(0),
            (_, Some(last)) if last.id >= id => self.pending.binary_search_by_key(&id, |pending| pending.id),
            _ => Err(self.pending.len()),
        }
    }

    pub(in crate::client) fn take_sent(&mut self) -> Vec<u64> {
        let mut sent = Vec::new();
        self.retain(|pending| {
            if pending.sent {
                sent.push(pending.id);
            }
            !pending.sent
        });
        sent
    }

    pub(in crate::client) fn take_all(&mut self) -> Vec<u64> {
        self.deadline = None;
        core::mem::take(&mut self.pending).into_iter().map(|pending| pending.id).collect()
    }

    /// Takes those that are due.
    pub(in crate::client) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return expired;
        }
        self.retain(|pending| match pending.due {
            Some(due) if due <= now => {
                expired.push(Expired { due, id: pending.id, sent: pending.sent });
                false
            }
            _ => true,
        });
        expired
    }

    fn retain(&mut self, mut keep: impl FnMut(&Pending) -> bool) {
        let mut deadline: Option<Instant> = None;
        self.pending.retain(|pending| {
            let keep = keep(pending);
            if keep {
                deadline = [deadline, pending.due].into_iter().flatten().min();
            }
            keep
        });
        self.deadline = deadline;
        give_back(&mut self.pending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn each_ends_once() {
        let mut acks = Acks::default();
        acks.insert(0, Some(at(10)), true);
        acks.insert(1, None, true);
        acks.insert(2, Some(at(5)), false);
        assert_eq!((acks.len(), acks.deadline()), (3, Some(at(5))));
        assert!(acks.take(0) && !acks.take(0) && !acks.take(7));
        assert!(!acks.take(2), "its event was not sent: nobody can know its number");
        assert_eq!(acks.expire(at(4)), []);
        assert_eq!(acks.expire(at(5)), [Expired { due: at(5), id: 2, sent: false }]);
        assert_eq!(acks.deadline(), None);
        assert_eq!(acks.take_sent(), [1]);
        assert_eq!((acks.len(), acks.deadline()), (0, None));
    }

    #[test]
    fn what_was_not_sent_outlives_the_connection() {
        let mut acks = Acks::default();
        acks.insert(0, Some(at(10)), true);
        acks.insert(1, Some(at(20)), false);
        assert_eq!(acks.take_sent(), [0]);
        assert_eq!((acks.len(), acks.deadline()), (1, Some(at(20))));
        acks.set_sent(1);
        assert!(acks.take(1));
        assert_eq!(acks.deadline(), None);
        acks.insert(3, None, false);
        assert_eq!(acks.take_all(), [3]);
    }
}
