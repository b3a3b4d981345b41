//! Frame headers (RFC 6455, 5.2): decoding with every check that a header alone allows, and encoding.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Error, Role, mask};

/// The largest payload of a control frame (RFC 6455, 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, Error> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Error::ReservedOpcode(bits)),
        })
    }

    pub(crate) const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) len: u64,
}

impl Header {
    /// The header at the start of `bytes` and its own length, `None` if it is not complete yet. What is wrong in the
    /// first two bytes is reported before more arrives, so the result is the same however the bytes are cut.
    ///
    /// `role` is the side that reads.
    pub(crate) fn decode(bytes: &[u8], role: Role) -> Result<Option<(Self, usize)>, Error> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        // 5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
        if first & 0x70 != 0 {
            return Err(Error::ReservedBits);
        }
        let fin = first & 0x80 != 0;
        let opcode = Opcode::from_bits(first & 0x0f)?;
        let masked = second & 0x80 != 0;
        // 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
        match role {
            Role::Server if !masked => return Err(Error::NotMasked),
            Role::Client if masked => return Err(Error::Masked),
            Role::Server | Role::Client => {}
        }
        let short = second & 0x7f;
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
        if opcode.is_control() {
            if !fin {
                return Err(Error::FragmentedControl);
            }
            if short > 125 {
                return Err(Error::ControlTooLong);
            }
        }
        // 5.2: "in all cases, the minimal number of bytes MUST be used to encode the length".
        let (len, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from(u16::from_be_bytes(*len));
                if len < 126 {
                    return Err(Error::LengthNotMinimal(len));
                }
                (len, rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(*len);
                if len <= u64::from(u16::MAX) {
                    return Err(Error::LengthNotMinimal(len));
                }
                (len, rest)
            }
            _ => (u64::from(short), rest),
        };
        let (mask, rest) = if masked {
            let Some((mask, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*mask), rest)
        } else {
            (None, rest)
        };
        let header = Self { fin, opcode, mask, len };
        Ok(Some((header, bytes.len().saturating_sub(rest.len()))))
    }
}

/// The length of the header in front of an unmasked payload of `len` bytes.
const fn header_len(len: usize) -> usize {
    match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Bytes of the longest header (RFC 6455, 5.2).
pub(crate) const MAX_HEADER: usize = 14;

/// Appends the header of a final frame.
pub(crate) fn put_header(out: &mut Vec<u8>, opcode: Opcode, len: usize, mask: Option<[u8; 4]>) {
    let first = 0x80 | opcode as u8;
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => out.extend_from_slice(&[first, masked | short]),
        (_, Ok(len)) => {
            let [a, b] = len.to_be_bytes();
            out.extend_from_slice(&[first, masked | 126, a, b]);
        }
        _ => {
            out.extend_from_slice(&[first, masked | 127]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
}

/// Appends a final frame whose payload has `len` bytes: `parts`, then `rest`, and what is missing then follows elsewhere,
/// unmasked.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    parts: &[&[u8]],
    rest: &[u8],
    len: usize,
) {
    debug_assert!(len >= total(parts).saturating_add(rest.len()), "a frame longer than it says");
    put_header(out, opcode, len, mask);
    let body = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(rest);
    if let Some(mask) = mask {
        mask::apply(mask, 0, out.get_mut(body..).unwrap_or_default());
    }
}

/// A whole, unmasked frame, to be shared by any number of server streams.
pub(crate) fn encode_frame(opcode: Opcode, parts: &[&[u8]]) -> Bytes {
    let len = total(parts);
    let mut frame = Vec::with_capacity(header_len(len).saturating_add(len));
    put_header(&mut frame, opcode, len, None);
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame.into()
}

pub(crate) fn total(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_violation_of_a_header_has_its_error() {
        let cases: [(&[u8], Role, Error); 14] = [
            (&[0xc1, 0x80], Role::Server, Error::ReservedBits),
            (&[0xa1, 0x80], Role::Server, Error::ReservedBits),
            (&[0x91, 0x80], Role::Server, Error::ReservedBits),
            (&[0x83, 0x80], Role::Server, Error::ReservedOpcode(3)),
            (&[0x87, 0x80], Role::Server, Error::ReservedOpcode(7)),
            (&[0x8b, 0x80], Role::Server, Error::ReservedOpcode(11)),
            (&[0x8f, 0x80], Role::Server, Error::ReservedOpcode(15)),
            (&[0x81, 0x00], Role::Server, Error::NotMasked),
            (&[0x81, 0x80], Role::Client, Error::Masked),
            (&[0x09, 0x80], Role::Server, Error::FragmentedControl),
            (&[0x89, 0xfe], Role::Server, Error::ControlTooLong),
            (&[0x88, 0xff], Role::Server, Error::ControlTooLong),
            (&[0x82, 0x7e, 0, 125], Role::Client, Error::LengthNotMinimal(125)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Role::Client, Error::LengthNotMinimal(0xffff)),
        ];
        for (bytes, role, error) in cases {
            assert_eq!(Header::decode(bytes, role), Err(error), "{bytes:x?}");
            assert_eq!(Header::decode(&bytes[..1], role), Ok(None));
        }
    }

    #[test]
    fn lengths_use_the_shortest_form_at_each_border() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10), (usize::MAX, 10)] {
            let mut bytes = Vec::new();
            put_header(&mut bytes, Opcode::Binary, len, None);
            assert_eq!(bytes.len(), header);
            assert_eq!(header_len(len), header);
            let expected = Header { fin: true, opcode: Opcode::Binary, mask: None, len: len as u64 };
            assert_eq!(Header::decode(&bytes, Role::Client), Ok(Some((expected, header))));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_and_every_prefix_waits(len: usize, mask: Option<[u8; 4]>) {
            let mut bytes = Vec::new();
            put_header(&mut bytes, Opcode::Text, len, mask);
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            for cut in 0..bytes.len() {
                prop_assert_eq!(Header::decode(&bytes[..cut], role), Ok(None));
            }
            let header = Header { fin: true, opcode: Opcode::Text, mask, len: len as u64 };
            prop_assert_eq!(Header::decode(&bytes, role), Ok(Some((header, bytes.len()))));
        }

        #[test]
        fn the_payload_of_an_encoded_frame_is_sliceable(parts: Vec<Vec<u8>>) {
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let frame = encode_frame(Opcode::Binary, &borrowed);
            let payload = parts.concat();
            prop_assert_eq!(frame.slice(header_len(payload.len())..), payload);
        }
    }
}
