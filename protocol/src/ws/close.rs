//! Close frames (RFC 6455, 5.5.1 and 7.4).

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Error, frame::MAX_CONTROL};
use crate::Text;

/// The body of a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection is closed (RFC 6455, 7.4.1).
    pub code: u16,
    /// The same for people, at most 123 bytes.
    pub reason: Text,
}

impl CloseFrame {
    /// The body of a peer's close frame.
    pub(crate) fn decode(body: &Bytes) -> Result<Option<Self>, Error> {
        match body.split_first_chunk() {
            None if body.is_empty() => Ok(None),
            // 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
            None => Err(Error::CloseBody),
            Some((code, _)) => {
                let code = u16::from_be_bytes(*code);
                if !is_valid_code(code) {
                    return Err(Error::CloseCode(code));
                }
                let reason = Text::try_from(body.slice(2..)).map_err(|_error| Error::InvalidUtf8)?;
                Ok(Some(Self { code, reason }))
            }
        }
    }
}

/// Whether a code may be on the wire. 7.4.1 reserves 1004 to 1006 and 1015, 7.4.2 leaves 3000 to 4999 to libraries and
/// applications; 1012 to 1014 are in IANA's registry.
pub(crate) const fn is_valid_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The body of our own close frame. A code that may not be on the wire becomes 1000, a reason is cut at the last
/// character that fits.
pub(crate) fn encode_body(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else {
        return Vec::new();
    };
    let code = if is_valid_code(code) { code } else { 1000 };
    let reason = reason.get(..reason.floor_char_boundary_at(MAX_CONTROL - 2)).unwrap_or_default();
    let mut body = Vec::with_capacity(reason.len().saturating_add(2));
    body.extend_from_slice(&code.to_be_bytes());
    body.extend_from_slice(reason.as_bytes());
    body
}

trait FloorCharBoundary {
    /// `str::floor_char_boundary`, which is younger than our minimum Rust version.
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &[u8]) -> Result<Option<CloseFrame>, Error> {
        CloseFrame::decode(&Bytes::copy_from_slice(body))
    }

    #[test]
    fn bodies() {
        assert_eq!(decode(b""), Ok(None));
        assert_eq!(decode(b"\x03"), Err(Error::CloseBody));
        assert_eq!(decode(b"\x03\xe8\xff"), Err(Error::InvalidUtf8));
        let reason = Text::from("bye");
        assert_eq!(decode(b"\x03\xe8bye"), Ok(Some(CloseFrame { code: 1000, reason })));
    }

    #[test]
    fn codes() {
        let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
        for code in 0..=u16::MAX {
            let expected = valid.contains(&code) || (3000..5000).contains(&code);
            assert_eq!(is_valid_code(code), expected, "{code}");
            if !expected {
                assert_eq!(decode(&code.to_be_bytes()), Err(Error::CloseCode(code)));
            }
        }
    }

    #[test]
    fn our_own_body_is_always_valid() {
        assert_eq!(encode_body(None, "ignored"), b"");
        assert_eq!(encode_body(Some(1006), ""), b"\x03\xe8");
        for len in [122, 123, 124] {
            let body = encode_body(Some(1001), &"x".repeat(len));
            assert_eq!(body.len(), 2 + len.min(123));
        }
        // 123 is inside a code point of "é": it is left out as a whole.
        assert_eq!(encode_body(Some(1001), &"é".repeat(80)).len(), 2 + 122);
    }
}
