//! Bytes from the peer that are not parsed yet.

use core::mem;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::small;

/// From this size on a payload may keep the buffer that it arrived in; below, a copy is cheaper than the pinned memory.
const SHARE_FROM: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Inbound {
    bytes: BytesMut,
    /// How many bytes of memory `bytes` may keep alive.
    backing: usize,
    /// `bytes` is a part of the caller's buffer.
    lent: bool,
}

impl Inbound {
    /// Takes bytes that keep `backing` bytes of the caller's memory alive: that very memory when nothing is stored here,
    /// else a copy.
    pub(crate) fn push(&mut self, bytes: BytesMut, backing: usize) {
        if bytes.is_empty() {
            return;
        }
        if self.bytes.is_empty() {
            self.backing = backing;
            self.bytes = bytes;
            self.lent = true;
        } else {
            self.bytes.extend_from_slice(&bytes);
            // A part of a lent buffer has no room, so it was moved to memory of our own.
            self.lent = false;
            self.backing = self.bytes.capacity();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from `start` to `end`, both clamped.
    pub(crate) fn range_mut(&mut self, start: usize, end: usize) -> &mut [u8] {
        let end = end.min(self.bytes.len());
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
    }

    /// Removes a payload from the front: copied when it is small or would keep alive more than twice its size.
    pub(crate) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.bytes.len());
        if count >= SHARE_FROM && self.backing <= count.saturating_mul(2) {
            return self.bytes.split_to(count).freeze();
        }
        let copy = small::copy(self.bytes.get(..count).unwrap_or_default());
        self.bytes.advance(count);
        copy
    }

    /// Called when nothing more can be parsed: gives the caller's buffer back, and large memory of our own too, unless
    /// what is left of it is worth keeping as it is.
    pub(crate) fn settle(&mut self) {
        let large = self.lent || self.backing >= SHARE_FROM;
        let wasteful = self.backing / 2 > self.len() || (self.lent && self.len() < SHARE_FROM);
        if self.bytes.is_empty() {
            self.clear();
        } else if large && wasteful {
            self.bytes = BytesMut::from(self.bytes());
            self.backing = self.bytes.capacity();
            self.lent = false;
        }
    }

    pub(crate) fn clear(&mut self) {
        mem::take(self);
    }

    #[cfg(test)]
    pub(crate) fn holds_no_memory(&self) -> bool {
        self.bytes.capacity() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(len: usize, capacity: usize) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(capacity);
        buffer.resize(len, b'x');
        buffer
    }

    #[test]
    fn a_lent_buffer_is_given_back() {
        let mut inbound = Inbound::default();
        let mut lent = filled(100, 65_536);
        let memory = lent.as_ptr();
        let backing = lent.capacity();
        inbound.push(lent.split(), backing);
        assert_eq!(inbound.bytes().as_ptr(), memory);
        inbound.skip(40);
        inbound.settle();
        assert_eq!(inbound.len(), 60);
        assert!(inbound.backing < 128);
        // All of the lent memory is free again.
        assert!(lent.try_reclaim(65_536));
        inbound.skip(60);
        inbound.settle();
        assert_eq!(inbound.backing, 0);
        assert!(inbound.holds_no_memory());
    }

    /// The start of a frame does not keep alive what the message before it took.
    #[test]
    fn what_is_left_of_memory_of_our_own_pins_little() {
        let mut inbound = Inbound::default();
        for _ in 0..100 {
            inbound.push(filled(1_000, 1_000), 1_000);
            inbound.settle();
        }
        let message = inbound.take(99_999);
        inbound.settle();
        assert_eq!((message.len(), inbound.len()), (99_999, 1));
        assert!(message.is_unique());
        assert!(inbound.backing < 128);
    }

    #[test]
    fn a_large_payload_is_shared_and_a_small_one_pins_nothing() {
        for (len, capacity, shared) in
            [(4_096, 8_192, true), (4_095, 4_095, false), (4_096, 8_193, false), (60_000, 65_536, true)]
        {
            let mut lent = filled(len, capacity);
            let mut inbound = Inbound::default();
            let backing = lent.capacity();
            inbound.push(lent.split(), backing);
            let memory = inbound.bytes().as_ptr();
            let payload = inbound.take(len);
            assert_eq!(payload.len(), len);
            assert_eq!(payload.as_ptr() == memory, shared, "{len} of {capacity}");
        }
    }
}
