//! Bytes for the peer: small frames in contiguous memory, large payloads shared, whole packets counted.

use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};
use core::{iter, mem};
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::{
    CloseFrame, Message, Role,
    frame::{Header, Opcode, put_frame, put_header, total},
    mask,
    pong::Pongs,
};
use crate::Text;

/// From this size on a payload is queued as it is; below, a copy is cheaper than a slice of its own in a vectored write.
const SHARE_FROM: usize = 4096;

/// Copied frames are gathered in pieces of about this size: large enough for a write, small enough that memory is given
/// back while a long queue drains.
const PIECE: usize = 16 * 1024;

/// What waits to be written to the peer, an implementation of [`Buf`].
///
/// Write [`Buf::chunk`] (or, with the feature `std`, [`Buf::chunks_vectored`]) and [`advance`](Buf::advance) by what was
/// taken; any partial write is fine. When all is written no memory is held. An embedder whose framework owns the
/// WebSocket calls [`TransmitQueue::pop_message`] instead.
#[derive(Debug, Default)]
pub struct TransmitQueue {
    /// Full pieces and shared payloads, in front of `tail`. None is empty.
    segments: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// How much of `tail` has been written.
    tail_read: usize,
    /// Bytes in `segments` and `tail`.
    data: usize,
    /// For each packet, how many of its bytes are still queued. Bytes behind the last packet are a close frame.
    packets: VecDeque<usize>,
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
        // The longest header has 14 bytes (RFC 6455, 5.2).
        let mut head = [0; 14];
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
    pub(crate) fn push(
        &mut self,
        opcode: Opcode,
        mask: Option<[u8; 4]>,
        parts: &[&[u8]],
        payload: Option<&Bytes>,
    ) {
        let single = !self.open;
        if single {
            self.begin_packet();
        }
        self.push_uncounted(opcode, mask, parts, payload);
        if single {
            self.end_packet();
        }
    }

    /// Queues a frame that is encoded already, counted like [`Self::push`] does.
    pub(crate) fn push_encoded(&mut self, frame: &Bytes) {
        let single = !self.open;
        if single {
            self.begin_packet();
        }
        if frame.len() >= SHARE_FROM {
            self.share(frame);
        } else {
            self.room(frame.len()).extend_from_slice(frame);
            self.count(frame.len());
        }
        if single {
            self.end_packet();
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
        self.pongs
            .get_or_insert_with(|| Box::new(Pongs::new(before)))
            .push(mask, payload);
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

    fn push_uncounted(
        &mut self,
        opcode: Opcode,
        mask: Option<[u8; 4]>,
        parts: &[&[u8]],
        payload: Option<&Bytes>,
    ) {
        let size = payload.map_or(0, Bytes::len);
        let shared = payload.filter(|_| size >= SHARE_FROM && mask.is_none());
        let copied = if shared.is_some() { 0 } else { size };
        let out = self.room(copied.saturating_add(total(parts)).saturating_add(14));
        let before = out.len();
        match shared {
            Some(payload) => {
                put_header(
                    out,
                    opcode,
                    total(parts).saturating_add(payload.len()),
                    None,
                );
                for part in parts {
                    out.extend_from_slice(part);
                }
            }
            None => put_frame(out, opcode, mask, parts, payload),
        }
        let written = out.len().saturating_sub(before);
        self.count(written);
        if let Some(payload) = shared {
            self.share(payload);
        }
    }

    /// The tail, with a new piece begun if `len` bytes would make it too large.
    fn room(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.len().saturating_add(len) > PIECE {
            self.seal();
        }
        self.tail.reserve(len);
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
            self.segments = VecDeque::new();
            self.tail = Vec::new();
            self.tail_read = 0;
            self.by_bytes = false;
            if !self.open {
                self.packets = VecDeque::new();
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

/// Text that was queued as such. It is checked again, since only a check makes text of bytes without unsafe code.
fn text(payload: Bytes) -> Text {
    Text::try_from(payload.clone())
        .unwrap_or_else(|_error| String::from_utf8_lossy(&payload).into_owned().into())
}
