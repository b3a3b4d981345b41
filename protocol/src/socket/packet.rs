//! The kinds of packets, and the head that stands in front of a payload.

use super::{Args, Data};
use crate::Text;

/// Names that no event may have, on either side: Socket.IO gives them a meaning of its own.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The largest acknowledgement id, 2⁵³ - 1: JavaScript peers read ids as numbers and round larger ones.
pub const MAX_ID: u64 = (1 << 53) - 1;

/// The reserved name that `event` is, if it is one.
pub(super) fn reserved(event: &str) -> Option<&'static str> {
    // Hardly any name is as long as one of these.
    if !matches!(event.len(), 7 | 10 | 11 | 13 | 14) {
        return None;
    }
    RESERVED_EVENTS.into_iter().find(|name| *name == event)
}

/// A decoded Socket.IO packet, its attachments included (Socket.IO protocol v5, "Packet encoding").
///
/// Text is shared with the message that the packet came in: cloning is cheap, and keeping a packet keeps that message.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// A client asks to join a namespace, or a server says that it has.
    Connect {
        /// The namespace, with its slash; a query stays in the name, as in Socket.IO.
        namespace: Text,
        /// A JSON object: the client's authentication, or the server's answer (`{"sid":".."}`).
        data: Option<Data>,
    },
    /// The peer leaves a namespace.
    Disconnect {
        /// The namespace.
        namespace: Text,
    },
    /// An event.
    Event {
        /// The namespace.
        namespace: Text,
        /// The id to acknowledge with, at most [`MAX_ID`], if the peer asks for an acknowledgement.
        id: Option<u64>,
        /// The event's name. A number, which Socket.IO allows, is its text.
        event: Text,
        /// The arguments after the name.
        args: Args,
    },
    /// The acknowledgement of an event.
    Ack {
        /// The namespace.
        namespace: Text,
        /// The id that the event had.
        id: u64,
        /// The arguments of the acknowledgement.
        args: Args,
    },
    /// A server refuses a client's [`Packet::Connect`].
    ConnectError {
        /// The namespace.
        namespace: Text,
        /// Why: an object with a `message` (protocol v5), or a string (servers of protocol v4 and before).
        data: Data,
    },
}

impl Packet {
    /// The namespace that the packet is for.
    pub fn namespace(&self) -> &Text {
        match self {
            Self::Connect { namespace, .. }
            | Self::Disconnect { namespace }
            | Self::Event { namespace, .. }
            | Self::Ack { namespace, .. }
            | Self::ConnectError { namespace, .. } => namespace,
        }
    }
}

/// The type of a packet on the wire, its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// `0`: joins a namespace.
    Connect = 0,
    /// `1`: leaves a namespace.
    Disconnect = 1,
    /// `2`: an event without attachments.
    Event = 2,
    /// `3`: an acknowledgement without attachments.
    Ack = 3,
    /// `4`: refuses a join.
    ConnectError = 4,
    /// `5`: an event with attachments.
    BinaryEvent = 5,
    /// `6`: an acknowledgement with attachments.
    BinaryAck = 6,
}

impl PacketType {
    pub(super) fn from_digit(digit: char) -> Option<Self> {
        Some(match digit {
            '0' => Self::Connect,
            '1' => Self::Disconnect,
            '2' => Self::Event,
            '3' => Self::Ack,
            '4' => Self::ConnectError,
            '5' => Self::BinaryEvent,
            '6' => Self::BinaryAck,
            _ => return None,
        })
    }

    const fn digit(self) -> u8 {
        match self {
            Self::Connect => b'0',
            Self::Disconnect => b'1',
            Self::Event => b'2',
            Self::Ack => b'3',
            Self::ConnectError => b'4',
            Self::BinaryEvent => b'5',
            Self::BinaryAck => b'6',
        }
    }

    pub(super) const fn has_attachments(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    /// The type that says whether attachments follow. A binary packet without attachments must not be sent: peers
    /// refuse `50-`, or wait for ever (CVE-2026-69185).
    const fn with_attachments(self, attachments: usize) -> Self {
        match self {
            Self::Event | Self::BinaryEvent if attachments > 0 => Self::BinaryEvent,
            Self::Ack | Self::BinaryAck if attachments > 0 => Self::BinaryAck,
            Self::BinaryEvent => Self::Event,
            Self::BinaryAck => Self::Ack,
            other => other,
        }
    }
}

/// The text in front of a packet's payload, with the Engine.IO type of a message (`4`) in front.
pub(crate) struct Head<'a> {
    /// What stands before a namespace: all of it where there is none to name.
    before: Short,
    namespace: &'a str,
    after: Short,
}

impl<'a> Head<'a> {
    pub(crate) fn new(kind: PacketType, attachments: usize, namespace: &'a str, id: Option<u64>) -> Self {
        let kind = kind.with_attachments(attachments);
        let namespace = if namespace == "/" { "" } else { namespace };
        let mut head = Self { before: Short::new(&[b'4', kind.digit()]), namespace, after: Short::new(&[]) };
        if kind.has_attachments() {
            head.before.number(attachments as u64);
            head.before.push(b"-");
        }
        let mut end = &mut head.before;
        if !namespace.is_empty() {
            end = &mut head.after;
            end.push(b",");
        }
        if let Some(id) = id {
            end.number(id);
        }
        head
    }

    /// The text in pieces.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [self.before.as_slice(), self.namespace.as_bytes(), self.after.as_slice()]
    }

    /// Bytes of the text.
    pub(crate) fn len(&self) -> usize {
        self.namespace.len().saturating_add(self.before.as_slice().len()).saturating_add(self.after.as_slice().len())
    }
}

/// Text of few characters.
struct Short {
    // Two digits, two numbers, which have 20 digits at most, and a hyphen.
    bytes: [u8; 43],
    len: u8,
}

impl Short {
    fn new(bytes: &[u8]) -> Self {
        let mut short = Self { bytes: [0; 43], len: 0 };
        short.push(bytes);
        short
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        let end = start.saturating_add(bytes.len());
        if let (Some(room), Ok(len)) = (self.bytes.get_mut(start..end), u8::try_from(end)) {
            room.copy_from_slice(bytes);
            self.len = len;
        }
    }

    fn number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        use PacketType::*;
        for (kind, attachments, namespace, id, head) in [
            (Connect, 0, "/", None, "0"),
            (Connect, 0, "/admin", None, "0/admin,"),
            (Disconnect, 0, "/admin", None, "1/admin,"),
            (Event, 0, "/", None, "2"),
            (Event, 0, "/", Some(0), "20"),
            (Event, 2, "/admin", Some(12), "52-/admin,12"),
            (Event, 10, "/", Some(MAX_ID), "510-9007199254740991"),
            (Ack, 0, "/a?b=1", Some(7), "3/a?b=1,7"),
            // An acknowledgement with binary is a BINARY_ACK, an event with binary and id stays a BINARY_EVENT.
            (Ack, 1, "/", Some(7), "61-7"),
            (ConnectError, 0, "/x", None, "4/x,"),
            // Never `50-`.
            (BinaryEvent, 0, "/", None, "2"),
            (BinaryAck, 0, "/", Some(1), "31"),
            (BinaryEvent, 1, "/", None, "51-"),
            (Event, usize::MAX, "/x", Some(u64::MAX), "518446744073709551615-/x,18446744073709551615"),
        ] {
            let found = Head::new(kind, attachments, namespace, id);
            let text = found.parts().concat();
            assert_eq!(core::str::from_utf8(&text).unwrap(), ["4", head].concat());
            assert_eq!(found.len(), text.len());
        }
    }

    #[test]
    fn types_are_their_digits() {
        for digit in b'0'..=b'6' {
            let kind = PacketType::from_digit(char::from(digit)).unwrap();
            assert_eq!((kind as u8 + b'0', kind.digit()), (digit, digit));
        }
        assert_eq!(PacketType::from_digit('7'), None);
    }

    #[test]
    fn a_packet_is_small() {
        assert!(size_of::<Packet>() <= 136, "{}", size_of::<Packet>());
    }
}
