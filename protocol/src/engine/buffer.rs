//! What waits to be sent while a session is on polling, on either side.

use alloc::{boxed::Box, vec::Vec};

use bytes::Bytes;

use super::{
    error::{QueueUnit, SendError},
    packet::{binary_len, encode_binary},
    payload::SEPARATOR,
};
use crate::{encoded::Encoded, fifo::Fifo, ws::Message};

/// What is sent as one: a message, or a Socket.IO packet with its attachments. It consists of *parts*, each of which is
/// one Engine.IO packet.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    /// A packet of the protocol itself, such as a ping.
    Control(&'static str),
    /// An Engine.IO message.
    Message(Message),
    /// A text packet, its type in front, and what must follow it directly.
    Packet { text: Bytes, attachments: Vec<Bytes> },
    /// A packet that is shared with other sessions.
    Encoded(Encoded),
}

impl Unit {
    /// Bytes as limits count them: the text and the attachments as they are.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Control(_) => 0,
            Self::Message(Message::Text(text)) => text.len().saturating_add(1),
            Self::Message(Message::Binary(bytes)) => bytes.len(),
            Self::Packet { text, attachments } => packet_size(text.len(), attachments),
            Self::Encoded(encoded) => encoded.size(),
        }
    }

    fn is_control(&self) -> bool {
        matches!(self, Self::Control(_))
    }

    fn attachments(&self) -> &[Bytes] {
        match self {
            Self::Packet { attachments, .. } => attachments,
            Self::Encoded(encoded) => encoded.attachments(),
            Self::Control(_) | Self::Message(_) => &[],
        }
    }

    fn parts(&self) -> usize {
        self.attachments().len().saturating_add(1)
    }

    /// Bytes of a part in a payload.
    fn part_len(&self, part: usize) -> usize {
        match part.checked_sub(1) {
            Some(index) => self.attachments().get(index).map_or(0, |bytes| binary_len(bytes.len())),
            None => match self {
                Self::Control(text) => text.len(),
                Self::Message(Message::Text(text)) => text.len().saturating_add(1),
                Self::Message(Message::Binary(bytes)) => binary_len(bytes.len()),
                Self::Packet { text, .. } => text.len(),
                Self::Encoded(encoded) => encoded.text().len(),
            },
        }
    }

    fn write_part(&self, part: usize, out: &mut Vec<u8>) {
        match (part.checked_sub(1), self) {
            (Some(index), Self::Encoded(encoded)) => {
                if let Some(text) = encoded.attachment_texts().get(index) {
                    out.extend_from_slice(text);
                }
            }
            (Some(index), _) => {
                if let Some(bytes) = self.attachments().get(index) {
                    out.extend(encode_binary(bytes));
                }
            }
            (None, Self::Control(text)) => out.extend_from_slice(text.as_bytes()),
            (None, Self::Message(Message::Text(text))) => {
                out.push(b'4');
                out.extend_from_slice(text.as_bytes());
            }
            (None, Self::Message(Message::Binary(bytes))) => out.extend(encode_binary(bytes)),
            (None, Self::Packet { text, .. }) => out.extend_from_slice(text),
            (None, Self::Encoded(encoded)) => out.extend_from_slice(&encoded.text()),
        }
    }

    /// The only part, if it is there as bytes already.
    fn as_payload(&self) -> Option<Bytes> {
        match self {
            Self::Control(text) => Some(Bytes::from_static(text.as_bytes())),
            Self::Packet { text, attachments } if attachments.is_empty() => Some(text.clone()),
            Self::Encoded(encoded) if encoded.attachments().is_empty() => Some(encoded.text()),
            _ => None,
        }
    }
}

/// Bytes of a text packet and its attachments.
pub(crate) fn packet_size(text: usize, attachments: &[Bytes]) -> usize {
    attachments.iter().map(Bytes::len).fold(text, usize::saturating_add)
}

/// Packets and their bytes: what a queue holds, or may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}

/// Which limit a queue would exceed with one packet more, the limit, and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) unit: QueueUnit,
    pub(crate) limit: usize,
    pub(crate) value: usize,
}

impl From<Excess> for SendError {
    fn from(Excess { unit, limit, value }: Excess) -> Self {
        Self::Full { unit, limit, value }
    }
}

impl Load {
    /// Whether a queue that holds this has room for one packet more, of this size. An empty one takes any, whatever the
    /// limits are: nothing else would ever make room for it.
    pub(crate) fn check_room(self, size: usize, limits: impl FnOnce() -> Self) -> Result<(), Excess> {
        if self.packets == 0 {
            return Ok(());
        }
        let limits = limits();
        let (bytes, packets) = (self.bytes.saturating_add(size), self.packets.saturating_add(1));
        if bytes > limits.bytes {
            Err(Excess { unit: QueueUnit::Bytes, limit: limits.bytes, value: bytes })
        } else if packets > limits.packets {
            Err(Excess { unit: QueueUnit::Packets, limit: limits.packets, value: packets })
        } else {
            Ok(())
        }
    }
}

/// The units that wait for a GET (or on a client for a POST), oldest first.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    units: Fifo<Box<Unit>>,
    /// Parts of the first unit that are sent already.
    sent: usize,
    bytes: usize,
    packets: usize,
}

impl SendBuffer {
    pub(crate) fn push(&mut self, unit: Unit) {
        self.bytes = self.bytes.saturating_add(unit.size());
        self.packets = self.packets.saturating_add(usize::from(!unit.is_control()));
        self.units.push_back(Box::new(unit));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Bytes waiting, packets of the protocol not counted. A unit counts until its last part is sent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Units waiting, packets of the protocol not counted.
    pub(crate) fn packets(&self) -> usize {
        self.packets
    }

    /// Packets of the protocol that wait.
    pub(crate) fn controls(&self) -> usize {
        self.units.len().saturating_sub(self.packets)
    }

    /// Takes the oldest unit and the number of its parts that are sent already.
    pub(crate) fn pop(&mut self) -> Option<(Unit, usize)> {
        let unit = *self.units.pop_front()?;
        self.forget(&unit);
        Some((unit, core::mem::take(&mut self.sent)))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops the oldest message of which nothing is sent yet.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let begun = usize::from(self.sent > 0);
        let index = self.units.iter().enumerate().position(|(index, unit)| index >= begun && !unit.is_control());
        let Some(unit) = index.and_then(|index| self.units.remove(index)) else {
            return false;
        };
        self.forget(&unit);
        true
    }

    /// Takes the next payload: as many packets as fit `limit` bytes, but at least one.
    pub(crate) fn take_payload(&mut self, limit: usize) -> Bytes {
        if self.units.len() == 1
            && self.sent == 0
            && let Some(payload) = self.units.front().and_then(|unit| unit.as_payload())
        {
            self.pop();
            return payload;
        }
        let mut out = Vec::new();
        while let Some(unit) = self.units.front() {
            let separator = usize::from(!out.is_empty());
            let length = unit.part_len(self.sent).saturating_add(separator);
            if separator > 0 && out.len().saturating_add(length) > limit {
                break;
            }
            out.reserve(length);
            if separator > 0 {
                out.push(SEPARATOR);
            }
            unit.write_part(self.sent, &mut out);
            self.sent = self.sent.saturating_add(1);
            if self.sent >= unit.parts() {
                self.pop();
            }
        }
        Bytes::from(out)
    }

    fn forget(&mut self, unit: &Unit) {
        self.bytes = self.bytes.saturating_sub(unit.size());
        self.packets = self.packets.saturating_sub(usize::from(!unit.is_control()));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::Text;

    fn text(text: &'static str) -> Unit {
        Unit::Message(Message::Text(Text::from_static(text)))
    }

    fn packet() -> Unit {
        Unit::Packet {
            text: Bytes::from_static(b"452-[]"),
            attachments: vec![Bytes::from_static(b"abc"), Bytes::from_static(b"d")],
        }
    }

    #[test]
    fn n_fits_and_one_more_does_not_but_into_an_empty_queue() {
        let check = |(packets, bytes), size, (max_packets, max_bytes)| {
            let limits = Load { packets: max_packets, bytes: max_bytes };
            Load { packets, bytes }
                .check_room(size, || limits)
                .map_err(|Excess { unit, limit, value }| (unit, limit, value))
        };
        assert_eq!(check((9, 90), 10, (10, 100)), Ok(()));
        assert_eq!(check((9, 90), 11, (10, 100)), Err((QueueUnit::Bytes, 100, 101)));
        assert_eq!(check((10, 0), 0, (10, 100)), Err((QueueUnit::Packets, 10, 11)));
        assert_eq!(check((10, 100), 1, (10, 100)), Err((QueueUnit::Bytes, 100, 101)));
        assert_eq!(check((usize::MAX, usize::MAX), 1, (10, usize::MAX)), Err((QueueUnit::Packets, 10, usize::MAX)));
        for limits in [(10, 100), (0, 100), (0, 0)] {
            assert_eq!(check((0, 0), 101, limits), Ok(()), "one of any size");
        }
    }

    #[test]
    fn e25_payloads_are_chunked_between_packets_with_at_least_one_each() {
        let mut buffer = SendBuffer::default();
        for unit in [text("a"), packet(), Unit::Control("2"), text("longer than the limit")] {
            buffer.push(unit);
        }
        assert_eq!((buffer.packets(), buffer.bytes()), (3, 2 + 10 + 22));
        assert_eq!(buffer.take_payload(9), "4a\x1e452-[]");
        assert_eq!(buffer.packets(), 2, "the attachments are still to come");
        assert_eq!(buffer.take_payload(8), "bYWJj");
        assert_eq!(buffer.take_payload(9), "bZA==\x1e2");
        assert_eq!(buffer.take_payload(9), "4longer than the limit");
        assert!(buffer.is_empty());
        assert_eq!((buffer.packets(), buffer.bytes()), (0, 0));
    }

    #[test]
    fn a_payload_fits_the_limit_exactly_or_leaves_the_rest() {
        for (limit, expected) in [(5, "4a\x1e4b"), (4, "4a")] {
            let mut buffer = SendBuffer::default();
            buffer.push(text("a"));
            buffer.push(text("b"));
            assert_eq!(buffer.take_payload(limit), expected);
        }
    }

    #[test]
    fn the_oldest_message_is_dropped_but_no_protocol_packet_and_nothing_begun() {
        let mut buffer = SendBuffer::default();
        for unit in [packet(), Unit::Control("2"), text("a"), text("b")] {
            buffer.push(unit);
        }
        assert_eq!(buffer.take_payload(6), "452-[]");
        assert!(buffer.drop_oldest());
        assert_eq!(buffer.take_payload(100), "bYWJj\x1ebZA==\x1e2\x1e4b");
        assert!(!buffer.drop_oldest());
        buffer.push(Unit::Control("2"));
        assert!(!buffer.drop_oldest());
    }
}
