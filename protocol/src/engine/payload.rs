//! Payloads: packets joined by 0x1e, the bodies of HTTP long-polling (Engine.IO protocol v4, "Payload encoding").

use bytes::Bytes;

use super::packet::{Packet, PacketError};
use crate::{Text, small, ws::Message};

/// Stands between two packets; it is never escaped.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// Packets below this size are copied out of their body, so that a few bytes kept by an application do not keep a
/// whole body alive.
const COPY_BELOW: usize = 4096;

/// A cursor over the body of a POST: one packet at a time, in time linear in the body, up to the first bad one.
///
/// ```
/// use sockeye_protocol::engine::{Packet, PacketError, PayloadReader};
///
/// let mut reader = PayloadReader::new("6\x1e9\x1e6".into());
/// assert_eq!(reader.next(), Some(Ok(Packet::Noop)));
/// assert_eq!(reader.next(), Some(Err(PacketError::Type('9'))));
/// assert_eq!(reader.next(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadReader {
    /// What is not read yet; `None` after the last packet, since an empty rest is an (empty) packet.
    rest: Option<Bytes>,
    size: usize,
}

impl PayloadReader {
    /// Starts at the beginning of a body.
    pub fn new(body: Bytes) -> Self {
        let size = body.len();
        Self { rest: Some(body), size }
    }

    /// Bytes that are not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.as_ref().map_or(0, Bytes::len)
    }

    fn decode(&self, packet: Bytes) -> Result<Packet, PacketError> {
        let small = packet.len() < COPY_BELOW || packet.len() < self.size / 2;
        let packet = if small && packet.len() < self.size { small::copy(&packet) } else { packet };
        // Never lossy: JavaScript would deliver U+FFFD here.
        let text = Text::try_from(packet).map_err(|_| PacketError::Utf8)?;
        Packet::decode(Message::Text(text))
    }
}

impl Iterator for PayloadReader {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest.take()?;
        let end = rest.iter().position(|byte| *byte == SEPARATOR);
        let packet = match end {
            Some(end) => {
                let packet = rest.split_to(end);
                self.rest = Some(rest.split_off(1));
                packet
            }
            None => rest,
        };
        let decoded = self.decode(packet);
        if decoded.is_err() {
            self.rest = None;
        }
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn read(body: &[u8]) -> Vec<Result<Packet, PacketError>> {
        PayloadReader::new(Bytes::copy_from_slice(body)).collect()
    }

    fn text(text: &str) -> Packet {
        Packet::Message(Message::Text(Text::from(text)))
    }

    #[test]
    fn reads_up_to_the_first_bad_packet() {
        for (body, expected) in [
            (&b"4a"[..], vec![Ok(text("a"))]),
            (b"4a\x1e3\x1e4b", vec![Ok(text("a")), Ok(Packet::Pong(Text::EMPTY)), Ok(text("b"))]),
            (b"", vec![Err(PacketError::Empty)]),
            (b"\x1e", vec![Err(PacketError::Empty)]),
            (b"4a\x1e", vec![Ok(text("a")), Err(PacketError::Empty)]),
            (b"4a\x1e8\x1e4b", vec![Ok(text("a")), Err(PacketError::Type('8'))]),
            (b"4a\x1ebA\x1e4b", vec![Ok(text("a")), Err(PacketError::Base64)]),
            (b"4a\x1e4\xff\x1e4b", vec![Ok(text("a")), Err(PacketError::Utf8)]),
            (b"4\xe2\x1e\x82\xac", vec![Err(PacketError::Utf8)]),
        ] {
            assert_eq!(read(body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_small_packet_does_not_pin_a_big_body_and_a_big_one_is_shared() {
        let mut body = vec![b'4'; 100_000];
        body.extend_from_slice(b"\x1e4b");
        let body = Bytes::from(body);
        let range = body.as_ptr_range();
        let pinned: Vec<bool> = PayloadReader::new(body)
            .map(|packet| match packet {
                Ok(Packet::Message(Message::Text(text))) => range.contains(&text.as_ptr()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(pinned, [true, false]);
    }

    #[test]
    fn e11_a_megabyte_of_tiny_packets_is_read_one_at_a_time() {
        let mut reader = PayloadReader::new(Bytes::from("6\x1e".repeat(500_000) + "6"));
        assert_eq!(reader.next(), Some(Ok(Packet::Noop)));
        assert_eq!(reader.remaining(), 999_999);
        assert_eq!(reader.count(), 500_000);
    }

    proptest! {
        #[test]
        fn what_is_joined_is_read(messages in proptest::collection::vec("[^\x1e]{0,9}", 1..6), binary: Vec<u8>) {
            let mut packets: Vec<Packet> = messages.iter().map(|message| text(message)).collect();
            packets.push(Packet::Message(Message::Binary(Bytes::from(binary))));
            let mut body = Vec::new();
            for (index, packet) in packets.iter().enumerate() {
                if index > 0 {
                    body.push(SEPARATOR);
                }
                packet.encode(&mut body);
            }
            prop_assert_eq!(read(&body), packets.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn reading_splits_at_separators_only(body in "[0-9b\x1e]{0,40}") {
            let parts: Vec<String> = body.split('\x1e').map(String::from).collect();
            let read = read(body.as_bytes());
            prop_assert!(read.len() <= parts.len());
            prop_assert!(read.len() == parts.len() || read.last().unwrap().is_err());
        }
    }
}
