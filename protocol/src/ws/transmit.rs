//! Bytes for the peer: small frames in contiguous memory, large payloads shared, whole packets counted.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{iter, mem};
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::{
    CloseFrame, Message, Role,
    frame::{Header, MAX_HEADER, Opcode, put_frame, total},
    mask,
    pong::Pongs,
};
use crate::{
    Text,
    fifo::{Fifo, Rare},
};

/// From this size on a payload is queued as it is; below, a copy is cheaper than a slice of its own in a vectored write.
const SHARE_FROM: usize = 4096;

/// Copied frames are gathered in pieces of about this size: large enough for a write, small enough that memory is given
/// back while a long queue drains.
const PIECE: usize = 16 * 1024;

/// What the first of the small frames reserves, since others often follow it: sixteen events with short texts, masked.
const FIRST: usize = 640;

/// What waits to be written to the peer, an implementation of [`Buf`].
///
/// Write [`Buf::chunk`] (or, with the feature `std`, [`Buf::chunks_vectored`]) and [`advance`](Buf::advance) by what was
/// taken; any partial write is fine. When all is written no memory is held. An embedder whose framework owns the
/// WebSocket calls [`TransmitQueue::pop_message`] instead.
#[derive(Debug, Default)]
pub struct TransmitQueue {
    /// Full pieces and shared payloads, in front of `tail`. None is empty.
    segments: Rare<Bytes>,
    tail: Vec<u8>,
    /// How much of `tail` has been written.
    tail_read: usize,
    /// Bytes in `segments` and `tail`.
    data: usize,
    /// For each packet, how many of its bytes are still queued. Bytes behind the last packet are a close frame.
    packets: Fifo<usize>,
    /// A part of the first packet has been written.
    started: bool,
    /// The last packet still grows.
    open: bool,
    /// `advance` was called since the queue was empty, so it may be inside a frame.
    by_bytes: bool,
    pongs: Option<Box<Pongs>>,
}

/// A message to be sent, for embedders whose framework owns the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutMessage {
    /// A data message.
    Message(Message),
    /// A pong.
    Pong(Bytes),
    /// A ping.
    Ping(Bytes),
    /// A close frame, `None` without a body. The framework then finishes the closing handshake.
    Close(Option<CloseFrame>),
}

impl TransmitQueue {
    /// How many packets are queued, a partly written one included. A packet is what one [`Stream::send`] queued; Engine.IO
    /// counts a Socket.IO packet with its attachments as one. Pongs and the close frame do not count.
    ///
    /// [`Stream::send`]: super::Stream::send
    pub fn packets(&self) -> usize {
        let len = self.packets.len();
        let begun = self.started && len == 1;
        let unused = self.open && !begun && self.packets.back() == Some(&0);
        len.saturating_sub(usize::from(unused))
    }

    /// Whether nothing is queued. [`Buf::remaining`] gives the number of bytes.
    pub fn is_empty(&self) -> bool {
        self.data == 0 && self.pongs.is_none()
    }

    /// Takes the first message off the queue, for embedders whose framework owns the WebSocket.
    ///
    /// A queue is drained either by messages or by bytes: `None` also if bytes were taken since it was last empty.
    pub fn pop_message(&mut self) -> Option<OutMessage> {
        if self.by_bytes {
            return None;
        }
        let mut head = [0; MAX_HEADER];
        let mut len = 0_usize;
        for (slot, byte) in head.iter_mut().zip(self.pieces().flatten()) {
            *slot = *byte;
            len = len.saturating_add(1);
        }
        let head = head.get(..len)?;
        // What we queued has been masked if we are a client, which is for a server to read.
        let reader = match head.get(1)? & 0x80 {
            0 => Role::Client,
            _ => Role::Server,
        };
        let (header, header_len) = Header::decode(head, reader).ok()??;
        self.consume(header_len);
        let payload = self.take(usize::try_from(header.len).ok()?, header.mask);
        self.release();
        Some(match header.opcode {
            Opcode::Text => OutMessage::Message(Message::Text(text(payload))),
            Opcode::Binary | Opcode::Continuation => OutMessage::Message(Message::Binary(payload)),
            Opcode::Ping => OutMessage::Ping(payload),
            Opcode::Pong => OutMessage::Pong(payload),
            Opcode::Close => OutMessage::Close(CloseFrame::decode(&payload).ok().flatten()),
        })
    }

    /// From here to [`Self::end_packet`] all frames are one packet.
    pub(crate) fn begin_packet(&mut self) {
        self.end_packet();
        self.packets.push_back(0);
        self.open = true;
    }

    pub(crate) fn end_packet(&mut self) {
        if mem::take(&mut self.open) && self.packets.back() == Some(&0) {
            self.packets.pop_back();
            if self.packets.is_empty() {
                self.started = false;
            }
            self.release();
        }
    }

    /// Queues a frame: `parts` are copied, `payload` follows them and is shared if it is large and not to be masked.
    /// Outside of a packet, a frame is a packet of its own.
    pub(crate) fn push(&mut self, opcode: Opcode, mask: Option<[u8; 4]>, parts: &[&[u8]], payload: Option<&Bytes>) {
        let written = self.push_uncounted(opcode, mask, parts, payload);
        if !self.open {
            self.packets.push_back(written);
        }
    }

    /// Queues a frame that is encoded already, counted like [`Self::push`] does.
    pub(crate) fn push_encoded(&mut self, frame: &Bytes) {
        if frame.len() >= SHARE_FROM {
            self.share(frame);
        } else {
            self.room(frame.len()).extend_from_slice(frame);
            self.count(frame.len());
        }
        if !self.open {
            self.packets.push_back(frame.len());
        }
    }

    /// Queues a close frame, behind all packets.
    pub(crate) fn push_close(&mut self, mask: Option<[u8; 4]>, body: &[u8]) {
        self.end_packet();
        self.push_uncounted(Opcode::Close, mask, &[body], None);
    }

    /// Queues a pong: behind what is queued, or where other pongs wait already.
    pub(crate) fn push_pong(&mut self, mask: Option<[u8; 4]>, payload: &[u8]) {
        let before = self.data;
        self.pongs.get_or_insert_with(|| Box::new(Pongs::new(before))).push(mask, payload);
    }

    /// Drops the oldest packet of which nothing was written yet; `false` if there is none.
    pub(crate) fn drop_oldest_packet(&mut self) -> bool {
        let index = usize::from(self.started);
        let growing = self.open && index.saturating_add(1) == self.packets.len();
        let skip = match self.packets.front() {
            Some(rest) if self.started => *rest,
            _ => 0,
        };
        if growing {
            return false;
        }
        let Some(len) = self.packets.remove(index) else {
            return false;
        };
        self.cut(skip, len);
        self.data = self.data.saturating_sub(len);
        if let Some(pong) = &mut self.pongs
            && pong.before > skip
        {
            pong.before = pong.before.saturating_sub(len).max(skip);
        }
        self.release();
        true
    }

    /// Drops all that is queued.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes a frame. Its bytes.
    fn push_uncounted(
        &mut self,
        opcode: Opcode,
        mask: Option<[u8; 4]>,
        parts: &[&[u8]],
        payload: Option<&Bytes>,
    ) -> usize {
        let shared = payload.filter(|payload| payload.len() >= SHARE_FROM && mask.is_none());
        let copied = payload.filter(|_| shared.is_none()).map_or(&[][..], |payload| payload);
        let len = total(parts).saturating_add(copied.len());
        let out = self.room(len.saturating_add(MAX_HEADER));
        let before = out.len();
        put_frame(out, opcode, mask, parts, copied, len.saturating_add(shared.map_or(0, Bytes::len)));
        let written = out.len().saturating_sub(before);
        self.count(written);
        let Some(payload) = shared else { return written };
        self.share(payload);
        written.saturating_add(payload.len())
    }

    /// The tail, with a new piece begun if `len` bytes would make it too large.
    fn room(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.len().saturating_add(len) > PIECE {
            self.seal();
        }
        self.tail.reserve(if self.tail.capacity() == 0 { len.max(FIRST) } else { len });
        &mut self.tail
    }

    fn share(&mut self, bytes: &Bytes) {
        self.seal();
        if !bytes.is_empty() {
            self.segments.push_back(bytes.clone());
            self.count(bytes.len());
        }
    }

    /// Makes the tail a segment.
    fn seal(&mut self) {
        let read = mem::take(&mut self.tail_read);
        let mut sealed = Bytes::from(mem::take(&mut self.tail));
        sealed.advance(read.min(sealed.len()));
        if !sealed.is_empty() {
            self.segments.push_back(sealed);
        }
    }

    fn count(&mut self, added: usize) {
        self.data = self.data.saturating_add(added);
        if self.open
            && let Some(packet) = self.packets.back_mut()
        {
            *packet = packet.saturating_add(added);
        }
    }

    fn unread_tail(&self) -> &[u8] {
        self.tail.get(self.tail_read..).unwrap_or_default()
    }

    /// All that is queued in the order in which it goes out; no piece is empty.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut data = self
            .segments
            .iter()
            .map(|segment| &**segment)
            .chain(Some(self.unread_tail()).filter(|tail| !tail.is_empty()));
        let mut pong = self.pongs.as_deref().map(|pong| (pong.before, pong.rest()));
        let mut piece: &[u8] = &[];
        iter::from_fn(move || {
            if let Some((0, frame)) = pong {
                pong = None;
                return Some(frame);
            }
            if piece.is_empty() {
                piece = data.next()?;
            }
            let Some((before, _)) = &mut pong else {
                return Some(mem::take(&mut piece));
            };
            let (now, later) = piece.split_at_checked(*before).unwrap_or((piece, &[]));
            *before = before.saturating_sub(now.len());
            piece = later;
            Some(now)
        })
    }

    /// Removes bytes from the front, without giving back memory.
    fn consume(&mut self, mut count: usize) {
        while count > 0 {
            let limit = self.pongs.as_ref().map_or(usize::MAX, |pongs| pongs.before);
            if limit == 0
                && let Some(pongs) = &mut self.pongs
            {
                count = count.saturating_sub(pongs.consume(count));
                if pongs.rest().is_empty() {
                    self.pongs = None;
                }
                continue;
            }
            let taken = if let Some(segment) = self.segments.front_mut() {
                let taken = segment.len().min(count).min(limit);
                segment.advance(taken);
                if segment.is_empty() {
                    self.segments.pop_front();
                }
                taken
            } else {
                let taken = self.unread_tail().len().min(count).min(limit);
                self.tail_read = self.tail_read.saturating_add(taken);
                taken
            };
            if taken == 0 {
                return;
            }
            count = count.saturating_sub(taken);
            self.consumed(taken);
        }
    }

    /// Accounts for data that left.
    fn consumed(&mut self, mut count: usize) {
        self.data = self.data.saturating_sub(count);
        if let Some(pong) = &mut self.pongs {
            pong.before = pong.before.saturating_sub(count);
        }
        while count > 0 {
            let growing = self.open && self.packets.len() == 1;
            let Some(packet) = self.packets.front_mut() else {
                return;
            };
            let taken = count.min(*packet);
            *packet = packet.saturating_sub(taken);
            count = count.saturating_sub(taken);
            self.started = true;
            if *packet > 0 || growing {
                return;
            }
            self.packets.pop_front();
            self.started = false;
        }
    }

    /// Removes `count` bytes from the front as a payload. A large one that is a segment, or the front of one, is not
    /// copied.
    fn take(&mut self, count: usize, mask: Option<[u8; 4]>) -> Bytes {
        let ahead = self.pongs.as_ref().is_some_and(|pong| pong.before == 0);
        if let Some(segment) = self.segments.front_mut()
            && mask.is_none()
            && !ahead
            && count >= SHARE_FROM
            && count <= segment.len()
        {
            let payload = segment.split_to(count);
            if segment.is_empty() {
                self.segments.pop_front();
            }
            self.consumed(count);
            return payload;
        }
        let count = count.min(self.remaining());
        let mut payload = Vec::with_capacity(count);
        for piece in self.pieces() {
            let missing = count.saturating_sub(payload.len());
            payload.extend_from_slice(piece.get(..missing).unwrap_or(piece));
        }
        if let Some(mask) = mask {
            mask::apply(mask, 0, &mut payload);
        }
        self.consume(count);
        payload.into()
    }

    /// Removes `count` bytes behind the first `skip`.
    fn cut(&mut self, mut skip: usize, mut count: usize) {
        let mut index = 0;
        while count > 0
            && let Some(segment) = self.segments.get_mut(index)
        {
            if skip >= segment.len() {
                skip = skip.saturating_sub(segment.len());
                index = index.saturating_add(1);
                continue;
            }
            let mut rest = segment.split_off(skip);
            let taken = count.min(rest.len());
            rest.advance(taken);
            count = count.saturating_sub(taken);
            match (segment.is_empty(), rest.is_empty()) {
                (true, true) => {
                    self.segments.remove(index);
                }
                (true, false) => *segment = rest,
                (false, true) => index = index.saturating_add(1),
                (false, false) => {
                    index = index.saturating_add(1);
                    self.segments.insert(index, rest);
                }
            }
            skip = 0;
        }
        let start = self.tail_read.saturating_add(skip).min(self.tail.len());
        let end = start.saturating_add(count).min(self.tail.len());
        self.tail.drain(start..end);
    }

    /// Gives back all memory once nothing is queued.
    fn release(&mut self) {
        if self.is_empty() {
            self.segments = Rare::default();
            self.tail = Vec::new();
            self.tail_read = 0;
            self.by_bytes = false;
            if !self.open {
                self.packets = Fifo::default();
                self.started = false;
            }
        }
    }
}

impl Buf for TransmitQueue {
    fn remaining(&self) -> usize {
        let pong = self.pongs.as_ref().map_or(0, |pong| pong.rest().len());
        self.data.saturating_add(pong)
    }

    fn chunk(&self) -> &[u8] {
        self.pieces().next().unwrap_or_default()
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0_usize;
        for (slot, piece) in slices.iter_mut().zip(self.pieces()) {
            *slot = IoSlice::new(piece);
            count = count.saturating_add(1);
        }
        count
    }

    /// Removes bytes that were written. More than [`remaining`](Buf::remaining) removes all.
    fn advance(&mut self, count: usize) {
        if count > 0 {
            self.by_bytes = true;
            self.consume(count);
            self.release();
        }
    }
}

/// Text that was queued as such. It is checked again, since in safe code only a check makes text of bytes.
fn text(payload: Bytes) -> Text {
    Text::try_from(payload.clone()).unwrap_or_else(|_error| String::from_utf8_lossy(&payload).into_owned().into())
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::ws::encode_frame;

    fn holds_no_memory(queue: &TransmitQueue) -> bool {
        queue.segments.is_empty()
            && queue.tail.capacity() == 0
            && queue.packets.holds_no_memory()
            && queue.pongs.is_none()
    }

    fn binary(queue: &mut TransmitQueue, payload: &Bytes) {
        queue.push(Opcode::Binary, None, &[], Some(payload));
    }

    fn drain(queue: &mut TransmitQueue) -> Bytes {
        queue.copy_to_bytes(queue.remaining())
    }

    #[test]
    fn small_frames_are_gathered_and_memory_is_given_back() {
        let mut queue = TransmitQueue::default();
        assert!(holds_no_memory(&queue) && queue.is_empty());
        for _ in 0..100 {
            queue.push(Opcode::Text, None, &[b"4", b"2"], None);
        }
        assert_eq!(queue.chunk(), b"\x81\x0242".repeat(100));
        assert_eq!(queue.packets(), 100);
        queue.advance(1);
        assert_eq!(queue.packets(), 100);
        queue.advance(3);
        assert_eq!(queue.packets(), 99);
        queue.advance(usize::MAX);
        assert!(holds_no_memory(&queue) && queue.is_empty() && queue.packets() == 0);
    }

    #[test]
    fn payloads_are_shared_from_the_limit_on_unless_masked() {
        for (len, mask, shared) in
            [(SHARE_FROM, None, true), (SHARE_FROM - 1, None, false), (SHARE_FROM, Some([1, 2, 3, 4]), false)]
        {
            let payload = Bytes::from(vec![7; len]);
            let mut queue = TransmitQueue::default();
            queue.push(Opcode::Binary, mask, &[b"head"], Some(&payload));
            assert_eq!(queue.pieces().count(), if shared { 2 } else { 1 });
            let last = queue.pieces().last().unwrap();
            assert_eq!(last.as_ptr() == payload.as_ptr(), shared);
            assert_eq!(queue.remaining(), 4 + if mask.is_some() { 4 } else { 0 } + 4 + len);
        }
        let frame = encode_frame(Opcode::Binary, &[&[7; SHARE_FROM]]);
        let mut queue = TransmitQueue::default();
        queue.push_encoded(&frame);
        assert_eq!(queue.chunk().as_ptr(), frame.as_ptr());
        assert_eq!(queue.packets(), 1);
    }

    #[test]
    #[cfg(feature = "std")]
    fn vectored_chunks_are_the_queue() {
        let mut queue = TransmitQueue::default();
        for len in [1, 5_000, 3, 4, 6_000] {
            binary(&mut queue, &Bytes::from(vec![1; len]));
            queue.push_pong(None, b"p");
        }
        let mut slices = [IoSlice::new(&[]); 16];
        let count = queue.chunks_vectored(&mut slices);
        assert_eq!(count, 6);
        let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(queue.chunks_vectored(&mut [IoSlice::new(&[]); 2]), 2);
        assert_eq!(drain(&mut queue), all);
        assert!(holds_no_memory(&queue));
    }

    #[test]
    fn a_packet_has_any_number_of_frames() {
        let mut queue = TransmitQueue::default();
        queue.begin_packet();
        assert_eq!(queue.packets(), 0);
        queue.push(Opcode::Text, None, &[b"451-"], None);
        binary(&mut queue, &Bytes::from(vec![0; 5_000]));
        queue.end_packet();
        queue.begin_packet();
        queue.end_packet();
        queue.push_close(None, b"");
        queue.push_pong(None, b"");
        assert_eq!(queue.packets(), 1);
        queue.advance(6 + 4 + 4_999);
        assert_eq!(queue.packets(), 1);
        queue.advance(1);
        assert_eq!(queue.packets(), 0);
        assert_eq!(drain(&mut queue), &b"\x88\x00\x8a\x00"[..]);
    }

    #[test]
    fn a_packet_may_be_written_while_it_grows() {
        let mut queue = TransmitQueue::default();
        queue.begin_packet();
        queue.push(Opcode::Text, None, &[b"a"], None);
        queue.advance(3);
        assert_eq!(queue.packets(), 1);
        queue.push(Opcode::Text, None, &[b"b"], None);
        assert!(!queue.drop_oldest_packet());
        queue.end_packet();
        assert!(!queue.drop_oldest_packet());
        assert_eq!(queue.packets(), 1);
        queue.advance(3);
        assert!(holds_no_memory(&queue));
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let large = Bytes::from(vec![9; 10_000]);
        for mask in [None, Some([1, 2, 3, 4])] {
            let mut queue = TransmitQueue::default();
            queue.push(Opcode::Text, mask, &[b"4"], Some(&Bytes::from_static("é".as_bytes())));
            queue.push(Opcode::Binary, mask, &[], Some(&large));
            queue.push_pong(mask, b"one");
            queue.push_pong(mask, b"two");
            queue.push(Opcode::Ping, mask, &[b"ping"], None);
            queue.push_close(mask, b"\x03\xe8bye");
            let out: Vec<_> = iter::from_fn(|| queue.pop_message()).collect();
            let close = CloseFrame { code: 1000, reason: "bye".into() };
            assert_eq!(
                out,
                [
                    OutMessage::Message(Message::Text("4é".into())),
                    OutMessage::Message(Message::Binary(large.clone())),
                    OutMessage::Pong(Bytes::from_static(b"one")),
                    OutMessage::Pong(Bytes::from_static(b"two")),
                    OutMessage::Ping(Bytes::from_static(b"ping")),
                    OutMessage::Close(Some(close)),
                ]
            );
            let OutMessage::Message(Message::Binary(payload)) = &out[1] else {
                panic!("{out:?}");
            };
            assert_eq!(payload.as_ptr() == large.as_ptr(), mask.is_none());
            assert!(holds_no_memory(&queue));
        }
    }

    #[test]
    fn messages_are_not_taken_from_the_middle_of_a_frame() {
        let mut queue = TransmitQueue::default();
        binary(&mut queue, &Bytes::from_static(b"abc"));
        queue.advance(1);
        assert_eq!(queue.pop_message(), None);
        queue.advance(4);
        binary(&mut queue, &Bytes::new());
        assert!(queue.pop_message().is_some());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Packet(Vec<usize>),
        Encoded(usize),
        Pong(usize),
        Advance(usize),
        DropOldest,
    }

    fn op() -> impl Strategy<Value = Op> {
        let len = || prop_oneof![0_usize..200, 4_000_usize..20_000];
        prop_oneof![
            prop::collection::vec(len(), 1..4).prop_map(Op::Packet),
            len().prop_map(Op::Encoded),
            (0_usize..126).prop_map(Op::Pong),
            prop_oneof![0_usize..300, 0_usize..40_000].prop_map(Op::Advance),
            Just(Op::DropOldest),
        ]
    }

    /// The data bytes among those written so far, where `out` may end inside a frame.
    fn data_written(mut out: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        while let Ok(Some((header, len))) = Header::decode(out, Role::Client) {
            let len = (len + usize::try_from(header.len).unwrap()).min(out.len());
            if header.opcode != Opcode::Pong {
                data.put_slice(&out[..len]);
            }
            out = &out[len..];
        }
        // A header that is not complete is data unless it says that it is a pong.
        if out.first() != Some(&0x8a) {
            data.put_slice(out);
        }
        data
    }

    proptest! {
        /// Against a list of packets: any writes, drops and pongs leave whole frames in order and exact counts.
        #[test]
        fn behaves_like_a_list_of_packets(ops in prop::collection::vec(op(), 1..60)) {
            let mut queue = TransmitQueue::default();
            let mut model: Vec<Vec<u8>> = Vec::new();
            let mut out = Vec::new();
            let mut fill = 0_u8;
            for op in ops {
                fill = fill.wrapping_add(1);
                match op {
                    Op::Packet(lens) => {
                        let mut packet = Vec::new();
                        queue.begin_packet();
                        for len in lens {
                            let payload = Bytes::from(vec![fill; len]);
                            packet.extend_from_slice(&encode_frame(Opcode::Binary, &[&payload]));
                            binary(&mut queue, &payload);
                        }
                        queue.end_packet();
                        model.push(packet);
                    }
                    Op::Encoded(len) => {
                        let frame = encode_frame(Opcode::Text, &[&vec![fill; len]]);
                        queue.push_encoded(&frame);
                        model.push(frame.into());
                    }
                    Op::Pong(len) => queue.push_pong(None, &vec![fill; len]),
                    Op::Advance(count) => {
                        let mut count = count.min(queue.remaining());
                        while count > 0 {
                            let chunk = queue.chunk();
                            let taken = chunk.len().min(count);
                            out.extend_from_slice(&chunk[..taken]);
                            queue.advance(taken);
                            count -= taken;
                        }
                    }
                    Op::DropOldest => {
                        let mut written = data_written(&out).len();
                        let oldest = model.iter().position(|packet| {
                            let unwritten = written == 0;
                            written = written.saturating_sub(packet.len());
                            unwritten
                        });
                        prop_assert_eq!(queue.drop_oldest_packet(), oldest.is_some());
                        if let Some(oldest) = oldest {
                            model.remove(oldest);
                        }
                    }
                }
                let mut written = data_written(&out).len();
                let left = model.iter().filter(|packet| {
                    let left = written < packet.len();
                    written = written.saturating_sub(packet.len());
                    left
                });
                prop_assert_eq!(queue.packets(), left.count());
                prop_assert_eq!(queue.is_empty(), queue.remaining() == 0);
                let mut rest = BytesMut::new();
                for piece in queue.pieces() {
                    prop_assert!(!piece.is_empty());
                    rest.extend_from_slice(piece);
                }
                prop_assert_eq!(rest.len(), queue.remaining());
                prop_assert_eq!(holds_no_memory(&queue), rest.is_empty());
            }
            out.extend_from_slice(&drain(&mut queue));
            prop_assert_eq!(data_written(&out), model.concat());
        }
    }
}
