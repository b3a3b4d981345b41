//! Pongs that wait to be written.

use alloc::vec::Vec;

use super::frame::{Opcode, put_frame};

/// How many bytes of pongs may wait. More than one pong, since Autobahn counts those to a burst of ten pings.
const MAX_PONGS: usize = 2048;

/// Pongs that wait have one place in a transmit queue, that of the first.
#[derive(Debug)]
pub(crate) struct Pongs {
    /// Bytes of data that go out before them.
    pub(crate) before: usize,
    frames: Vec<u8>,
    read: usize,
    /// Where in `frames` the newest begins.
    newest: usize,
}

impl Pongs {
    pub(crate) const fn new(before: usize) -> Self {
        Self { before, frames: Vec::new(), read: 0, newest: 0 }
    }

    /// What is not written yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.frames.get(self.read..).unwrap_or_default()
    }

    /// Removes up to `count` bytes and gives their number.
    pub(crate) fn consume(&mut self, count: usize) -> usize {
        let taken = self.rest().len().min(count);
        self.read = self.read.saturating_add(taken);
        taken
    }

    /// Adds a pong. When [`MAX_PONGS`] bytes of them wait it replaces the newest: an endpoint "MAY elect to send a Pong
    /// frame for only the most recently processed Ping frame" (RFC 6455, 5.5.3), so a flood of pings costs no memory.
    pub(crate) fn push(&mut self, mask: Option<[u8; 4]>, payload: &[u8]) {
        self.frames.drain(..self.read.min(self.frames.len()));
        self.newest = self.newest.saturating_sub(self.read);
        self.read = 0;
        // Of a newest pong that is partly written less than 131 bytes are left, so it is not cut here.
        if self.frames.len() >= MAX_PONGS {
            self.frames.truncate(self.newest);
        }
        self.newest = self.frames.len();
        put_frame(&mut self.frames, Opcode::Pong, mask, &[], payload, payload.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_the_first_and_the_newest() {
        let mut pongs = Pongs::new(0);
        for number in 0..100_000_u32 {
            pongs.push(None, &number.to_be_bytes());
        }
        // 342 frames of 6 bytes are the first to reach the limit.
        assert_eq!(pongs.rest().len(), 342 * 6);
        assert_eq!(pongs.rest()[..6], [0x8a, 4, 0, 0, 0, 0]);
        assert_eq!(pongs.rest()[341 * 6 + 2..], 99_999_u32.to_be_bytes());
    }

    #[test]
    fn a_partly_written_pong_is_finished() {
        let mut pongs = Pongs::new(0);
        pongs.push(None, b"one");
        assert_eq!(pongs.consume(3), 3);
        pongs.push(None, b"two");
        pongs.push(None, &[b'3'; 125]);
        assert_eq!(&pongs.rest()[..9], b"ne\x8a\x03two\x8a\x7d");
        assert_eq!(pongs.consume(1), 1);
        for _ in 0..40 {
            pongs.push(None, &[b'4'; 125]);
        }
        assert_eq!(&pongs.rest()[..6], b"e\x8a\x03two");
        assert!(pongs.rest().len() < MAX_PONGS + 127);
        assert_eq!(pongs.consume(usize::MAX), pongs.frames.len());
        assert_eq!(pongs.rest(), b"");
    }
}
