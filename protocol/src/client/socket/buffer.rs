//! What waits while a namespace is not connected: events to be sent, and events that came too early.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    Instant, Text,
    engine::buffer::{Excess, Load},
    fifo::take_first,
    socket::{Args, Payload},
};

/// Events that wait to be sent, oldest first.
#[derive(Debug, Default)]
pub(in crate::client) struct SendBuffer {
    events: VecDeque<Buffered>,
    bytes: usize,
}

#[derive(Debug)]
pub(in crate::client) struct Buffered {
    pub(in crate::client) payload: Payload,
    /// The acknowledgement's number, which was given when it was emitted.
    pub(in crate::client) ack: Option<u64>,
    /// When it is worth nothing any more.
    pub(in crate::client) expires: Option<Instant>,
}

impl SendBuffer {
    pub(in crate::client) fn load(&self) -> Load {
        Load { packets: self.events.len(), bytes: self.bytes }
    }

    pub(in crate::client) fn push(&mut self, event: Buffered) {
        self.bytes = self.bytes.saturating_add(event.payload.size());
        self.events.push_back(event);
    }

    pub(in crate::client) fn pop(&mut self) -> Option<Buffered> {
        let event = take_first(&mut self.events)?;
        self.bytes = self.bytes.saturating_sub(event.payload.size());
        Some(event)
    }

    /// Removes the events whose acknowledgements are in the sorted list: they are not waited for any more.
    pub(in crate::client) fn remove(&mut self, acks: &[u64]) {
        let bytes = &mut self.bytes;
        self.events.retain(|event| {
            let keep = event.ack.is_none_or(|ack| acks.binary_search(&ack).is_err());
            if !keep {
                *bytes = bytes.saturating_sub(event.payload.size());
            }
            keep
        });
    }

    /// When the oldest expires. All wait equally long, so it is the first.
    pub(in crate::client) fn deadline(&self) -> Option<Instant> {
        self.events.front()?.expires
    }

    /// Takes the oldest if it has expired.
    pub(in crate::client) fn expire(&mut self, now: Instant) -> Option<Buffered> {
        if self.deadline()? > now {
            return None;
        }
        self.pop()
    }
}

/// Events of the server for a namespace that it has not connected yet: those that a middleware sends, or that a recovered
/// session missed.
#[derive(Debug, Default)]
pub(in crate::client) struct EarlyEvents {
    events: Vec<Early>,
    bytes: usize,
}

#[derive(Debug)]
pub(in crate::client) struct Early {
    pub(in crate::client) event: Text,
    pub(in crate::client) args: Args,
    pub(in crate::client) id: Option<u64>,
}

impl EarlyEvents {
    pub(in crate::client) fn load(&self) -> Load {
        Load { packets: self.events.len(), bytes: self.bytes }
    }

    pub(in crate::client) fn push(&mut self, early: Early, limits: Load) -> Result<(), Excess> {
        let attachments = early.args.attachments().iter().map(|bytes| bytes.len());
        let added = attachments.fold(early.event.len().saturating_add(early.args.raw().len()), usize::saturating_add);
        self.load().check_room(added, || limits)?;
        self.bytes = self.bytes.saturating_add(added);
        self.events.push(early);
        Ok(())
    }

    pub(in crate::client) fn take(&mut self) -> Vec<Early> {
        core::mem::take(self).events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ack: Option<u64>, expires: Option<u64>) -> Buffered {
        let payload = Payload::event("e", &ack, 10).unwrap();
        Buffered { payload, ack, expires: expires.map(Instant::from_millis) }
    }

    #[test]
    fn events_leave_in_order_or_by_their_acknowledgement() {
        let mut buffer = SendBuffer::default();
        for ack in [Some(0), None, Some(1), Some(2)] {
            buffer.push(event(ack, None));
        }
        buffer.remove(&[0, 2]);
        assert_eq!(buffer.load(), Load { packets: 2, bytes: r#"["e",null]["e",1]"#.len() });
        assert_eq!(buffer.pop().unwrap().ack, None);
        assert_eq!(buffer.pop().unwrap().ack, Some(1));
        assert!(buffer.pop().is_none() && buffer.load() == Load { packets: 0, bytes: 0 });
    }

    #[test]
    fn the_oldest_expires_first() {
        let mut buffer = SendBuffer::default();
        buffer.push(event(Some(0), Some(5)));
        buffer.push(event(Some(1), Some(7)));
        assert_eq!(buffer.deadline(), Some(Instant::from_millis(5)));
        assert!(buffer.expire(Instant::from_millis(4)).is_none());
        assert_eq!(buffer.expire(Instant::from_millis(6)).unwrap().ack, Some(0));
        assert!(buffer.expire(Instant::from_millis(6)).is_none());
        assert_eq!(buffer.load().packets, 1);
    }
}
