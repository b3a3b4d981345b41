//! How much may wait for handlers, or for whoever pulls events.

use sockeye_protocol::socket::Args;

/// What may wait somewhere before nothing more is read. Once there is so much, half of it has to go: or reading would stop and
/// go on with each event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) events: usize,
    /// What one packet may have, so that one of any size may wait.
    pub(crate) bytes: usize,
}

impl Room {
    /// Whether there is none left, with so many events, and more bytes than there may be here and elsewhere.
    pub(crate) fn is_full(self, was_full: bool, events: usize, bytes: usize) -> bool {
        let most = if was_full { self.halved() } else { self };
        events >= most.events || (most.is_crowded(bytes) && events > 0)
    }

    /// Whether more bytes wait than any packet may have.
    pub(crate) fn is_crowded(self, bytes: usize) -> bool {
        bytes > self.bytes
    }

    /// From one event above half on, it stays full.
    fn halved(self) -> Self {
        let above_half = (self.events / 2).saturating_add(1);
        Self { events: self.events.min(above_half), bytes: self.bytes / 2 }
    }
}

/// Bytes of an event that count.
pub(crate) fn size(name: &str, args: &Args) -> usize {
    let attachments = args.attachments().iter().map(|attachment| attachment.len());
    attachments.fold(name.len().saturating_add(args.raw().len()), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_from_its_marks_on_until_half_is_gone() {
        let room = Room { events: 4, bytes: 100 };
        for (was_full, events, bytes, is_full) in [
            (false, 3, 100, false),
            (false, 4, 0, true),
            (false, 1, 101, true),
            // The bytes are elsewhere.
            (false, 0, 101, false),
            (true, 3, 0, true),
            (true, 2, 50, false),
            (true, 2, 51, true),
            (true, 0, 51, false),
        ] {
            assert_eq!(room.is_full(was_full, events, bytes), is_full, "{was_full} {events} {bytes}");
        }
        // One, or none: then all has to go.
        for events in [0, 1] {
            let room = Room { events, bytes: 100 };
            assert_eq!([false, true].map(|was_full| room.is_full(was_full, events, 0)), [true, true]);
        }
        assert!(!Room { events: 1, bytes: 100 }.is_full(true, 0, 0));
    }
}
