//! Events that are sent until they are acknowledged, one after the other.

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use crate::{Instant, engine::buffer::Load, fifo::take_first, socket::Payload};

/// The queue of a socket with [`SocketOptions::retries`](super::SocketOptions::retries). Only its head is ever on its
/// way.
#[derive(Debug, Default)]
pub(in crate::client) struct Retries {
    events: VecDeque<Retried>,
    bytes: usize,
    /// Those whose acknowledgement the application waits for.
    wanted: usize,
    head: Head,
}

/// One event.
#[derive(Debug)]
pub(in crate::client) struct Retried {
    /// The acknowledgement's number, the same for every try: whichever is answered, the event has arrived.
    pub(in crate::client) id: u64,
    pub(in crate::client) payload: Payload,
    /// Whether the application wants to know the acknowledgement.
    pub(in crate::client) wanted: bool,
    /// The time that each try has.
    pub(in crate::client) timeout: Option<Duration>,
}

/// What was done for the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    tries: u32,
    in_flight: bool,
    /// Whether it was sent on this connection.
    sent_here: bool,
    due: Option<Instant>,
}

impl Retries {
    pub(in crate::client) fn load(&self) -> Load {
        Load { packets: self.events.len(), bytes: self.bytes }
    }

    /// How many acknowledgements the application waits for.
    pub(in crate::client) const fn wanted(&self) -> usize {
        self.wanted
    }

    pub(in crate::client) fn push(&mut self, event: Retried) {
        self.bytes = self.bytes.saturating_add(event.payload.size());
        self.wanted = self.wanted.saturating_add(usize::from(event.wanted));
        self.events.push_back(event);
    }

    /// The event to be sent now, if one is and none is on its way.
    pub(in crate::client) fn next(&self) -> Option<&Retried> {
        self.events.front().filter(|_| !self.head.in_flight)
    }

    /// The head is tried: it was sent, or what was sent before has not even left. Until when its acknowledgement is waited
    /// for.
    pub(in crate::client) fn on_try(&mut self, due: Option<Instant>) {
        self.head = Head { tries: self.head.tries.saturating_add(1), in_flight: true, sent_here: true, due };
    }

    /// Whether the head was sent on this connection already.
    pub(in crate::client) const fn was_sent_here(&self) -> bool {
        self.head.sent_here
    }

    /// An acknowledgement has arrived: of the head, if it was ever sent.
    pub(in crate::client) fn on_ack(&mut self, id: u64) -> Option<Retried> {
        if self.head.tries == 0 || self.events.front()?.id != id {
            return None;
        }
        self.pop()
    }

    pub(in crate::client) const fn deadline(&self) -> Option<Instant> {
        self.head.due
    }

    /// Whether the head was not acknowledged in time. It is to be sent again then, unless it was given up.
    pub(in crate::client) fn expire(&mut self, now: Instant, retries: u32) -> Option<Option<Retried>> {
        if self.head.due? > now {
            return None;
        }
        Some(self.fail(retries))
    }

    /// The connection has ended: the head, if it was sent for the last time.
    pub(in crate::client) fn on_disconnect(&mut self, retries: u32) -> Option<Retried> {
        self.head.sent_here = false;
        if !self.head.in_flight {
            return None;
        }
        self.fail(retries)
    }

    /// Takes those that are not on their way.
    pub(in crate::client) fn take_waiting(&mut self) -> impl Iterator<Item = Retried> {
        let kept = usize::from(self.head.in_flight);
        let waiting = self.events.split_off(kept.min(self.events.len()));
        for event in &waiting {
            self.bytes = self.bytes.saturating_sub(event.payload.size());
            self.wanted = self.wanted.saturating_sub(usize::from(event.wanted));
        }
        if kept == 0 {
            self.head = Head::default();
        }
        waiting.into_iter()
    }

    pub(in crate::client) fn take_all(&mut self) -> Vec<Retried> {
        core::mem::take(self).events.into()
    }

    fn fail(&mut self, retries: u32) -> Option<Retried> {
        (self.head.in_flight, self.head.due) = (false, None);
        if self.head.tries <= retries {
            return None;
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<Retried> {
        let event = take_first(&mut self.events)?;
        self.bytes = self.bytes.saturating_sub(event.payload.size());
        self.wanted = self.wanted.saturating_sub(usize::from(event.wanted));
        self.head = Head::default();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn queue() -> Retries {
        let mut queue = Retries::default();
        for id in 0..2 {
            let payload = Payload::event("e", &id, 10).unwrap();
            queue.push(Retried { id, payload, wanted: id == 0, timeout: None });
        }
        queue
    }

    #[test]
    fn one_is_in_flight_and_its_acknowledgement_lets_the_next_go() {
        let mut queue = queue();
        assert_eq!((queue.load(), queue.wanted()), (Load { packets: 2, bytes: 14 }, 1));
        assert!(queue.on_ack(0).is_none(), "it was not sent");
        assert_eq!(queue.next().unwrap().id, 0);
        queue.on_try(Some(at(5)));
        assert!(queue.next().is_none());
        assert!(queue.on_ack(1).is_none());
        assert_eq!(queue.on_ack(0).unwrap().id, 0);
        assert!(queue.on_ack(0).is_none());
        assert_eq!((queue.deadline(), queue.next().unwrap().id, queue.wanted()), (None, 1, 0));
    }

    #[test]
    fn it_is_tried_once_more_than_retries_and_a_late_answer_counts() {
        let mut queue = queue();
        for round in 1..=2 {
            assert_eq!(queue.next().unwrap().id, 0);
            queue.on_try(Some(at(round)));
            assert!(queue.expire(at(0), 2).is_none());
            assert!(queue.expire(at(round), 2).unwrap().is_none());
            assert!(queue.expire(at(round), 2).is_none());
        }
        queue.on_try(None);
        assert_eq!(queue.on_disconnect(2).unwrap().id, 0);
        assert_eq!(queue.next().unwrap().id, 1);
        queue.on_try(Some(at(9)));
        assert!(queue.on_disconnect(2).is_none());
        assert!(queue.on_disconnect(2).is_none(), "it is not in flight any more");
        assert_eq!(queue.on_ack(1).unwrap().id, 1);
        assert_eq!((queue.load(), queue.take_all().len()), (Load { packets: 0, bytes: 0 }, 0));
    }
}
