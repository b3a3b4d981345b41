//! One Engine.IO packet, decoded and encoded (Engine.IO protocol v4, "Packet encoding").

use alloc::{string::String, vec::Vec};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use crate::{Text, ws::Message};

/// Standard base64. We pad, and read what is not padded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Engine.IO packet.
///
/// ```
/// use sockeye_protocol::{Text, engine::{Message, Packet}};
///
/// let packet = Packet::decode(Message::Text(Text::from_static("4hello")));
/// assert_eq!(packet, Ok(Packet::Message(Message::Text(Text::from_static("hello")))));
///
/// let mut text = Vec::new();
/// Packet::Pong(Text::from_static("probe")).encode(&mut text);
/// assert_eq!(text, b"3probe");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// `0`: the handshake, from the server only; its JSON text.
    Open(Text),
    /// `1`: the end of the session.
    Close,
    /// `2`: a ping with its payload, from the server, or a client's `probe`.
    Ping(Text),
    /// `3`: a pong with the payload of its ping.
    Pong(Text),
    /// `4`, or `b` and base64, or a binary WebSocket message.
    Message(Message),
    /// `5`: the upgrade is complete.
    Upgrade,
    /// `6`: nothing; it ends a waiting GET.
    Noop,
}

/// Why something is not an Engine.IO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// There is nothing, not even a type.
    #[error("an empty packet")]
    Empty,
    /// The first character is not a packet type.
    #[error("unknown packet type {0:?}")]
    Type(char),
    /// A packet that has no payload has one.
    #[error("a packet of type {0} with a payload")]
    Payload(char),
    /// What follows a `b` is not base64.
    #[error("a binary packet that is not base64")]
    Base64,
    /// The packet is not UTF-8.
    #[error("a packet that is not UTF-8")]
    Utf8,
}

impl Packet {
    /// Decodes one packet: a WebSocket message, or one element of a payload. Text shares the bytes of its packet.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(message: Message) -> Result<Self, PacketError> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => return Ok(Self::Message(Message::Binary(bytes))),
        };
        let kind = text.chars().next().ok_or(PacketError::Empty)?;
        if kind == '4' {
            return Ok(Self::Message(Message::Text(text.skip(1))));
        }
        let rest = text.get(kind.len_utf8()..).unwrap_or_default();
        let bare = |packet| match rest {
            "" => Ok(packet),
            _ => Err(PacketError::Payload(kind)),
        };
        match kind {
            '0' => Ok(Self::Open(text.slice_ref(rest))),
            '1' => bare(Self::Close),
            '2' => Ok(Self::Ping(text.slice_ref(rest))),
            '3' => Ok(Self::Pong(text.slice_ref(rest))),
            '5' => bare(Self::Upgrade),
            '6' => bare(Self::Noop),
            'b' => match BASE64.decode(rest) {
                Ok(bytes) => Ok(Self::Message(Message::Binary(Bytes::from(bytes)))),
                Err(_) => Err(PacketError::Base64),
            },
            _ => Err(PacketError::Type(kind)),
        }
    }

    /// Appends the packet's text form; binary becomes `b` and base64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, text) = match self {
            Self::Open(text) => (b'0', text),
            Self::Close => (b'1', &Text::EMPTY),
            Self::Ping(text) => (b'2', text),
            Self::Pong(text) => (b'3', text),
            Self::Message(Message::Text(text)) => (b'4', text),
            Self::Message(Message::Binary(bytes)) => return out.extend(encode_binary(bytes)),
            Self::Upgrade => (b'5', &Text::EMPTY),
            Self::Noop => (b'6', &Text::EMPTY),
        };
        out.push(kind);
        out.extend_from_slice(text.as_bytes());
    }
}

/// The text form of a binary packet: `b` and base64.
pub(crate) fn encode_binary(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(binary_len(bytes.len()));
    text.push('b');
    BASE64.encode_string(bytes, &mut text);
    text.into_bytes()
}

/// Bytes of the text form of a binary packet with this many bytes.
pub(crate) fn binary_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Result<Packet, PacketError> {
        Packet::decode(Message::Text(Text::from(text)))
    }

    fn text(text: &str) -> Message {
        Message::Text(Text::from(text))
    }

    #[test]
    fn decodes_every_type() {
        for (input, expected) in [
            ("0{}", Ok(Packet::Open(Text::from("{}")))),
            ("1", Ok(Packet::Close)),
            ("2", Ok(Packet::Ping(Text::EMPTY))),
            ("2probe", Ok(Packet::Ping(Text::from("probe")))),
            ("3probe", Ok(Packet::Pong(Text::from("probe")))),
            ("4", Ok(Packet::Message(text("")))),
            ("4\u{20ac}", Ok(Packet::Message(text("\u{20ac}")))),
            ("5", Ok(Packet::Upgrade)),
            ("6", Ok(Packet::Noop)),
            ("bAQID", Ok(Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3]))))),
            ("bAQ==", Ok(Packet::Message(Message::Binary(Bytes::from_static(&[1]))))),
            ("bAQ", Ok(Packet::Message(Message::Binary(Bytes::from_static(&[1]))))),
            ("b", Ok(Packet::Message(Message::Binary(Bytes::new())))),
            ("", Err(PacketError::Empty)),
            ("8x", Err(PacketError::Type('8'))),
            ("9", Err(PacketError::Type('9'))),
            ("\u{20ac}", Err(PacketError::Type('\u{20ac}'))),
            ("1x", Err(PacketError::Payload('1'))),
            ("5x", Err(PacketError::Payload('5'))),
            ("6x", Err(PacketError::Payload('6'))),
            ("bA", Err(PacketError::Base64)),
            ("bA-_A", Err(PacketError::Base64)),
            ("bAQ==A", Err(PacketError::Base64)),
            ("bAB", Err(PacketError::Base64)),
        ] {
            assert_eq!(decode(input), expected, "{input:?}");
        }
    }

    #[test]
    fn a_decoded_text_shares_its_packet() {
        let whole = Text::from("4hello");
        let start = whole[1..].as_ptr();
        let Ok(Packet::Message(Message::Text(part))) = Packet::decode(Message::Text(whole)) else {
            panic!("a message expected");
        };
        assert_eq!(part.as_ptr(), start);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(input in "[0-6b]?\\PC{0,8}", binary in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(packet) = decode(&input) {
                let mut out = Vec::new();
                packet.encode(&mut out);
                prop_assert_eq!(decode(core::str::from_utf8(&out).unwrap()), Ok(packet));
            }
            let encoded = encode_binary(&binary);
            prop_assert_eq!(encoded.len(), binary_len(binary.len()));
            let message = Packet::Message(Message::Binary(Bytes::from(binary)));
            prop_assert_eq!(decode(core::str::from_utf8(&encoded).unwrap()), Ok(message));
        }
    }
}
