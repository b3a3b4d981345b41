//! The names of things: small, copyable keys. A key of something that is gone never matches what took its place.

use core::{
    fmt,
    str::{self, FromStr},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::rng::Rng;

/// A session id: 128 random bits, written as 22 URL-safe base64 characters.
///
/// An Engine.IO session has one, which must stay secret: who knows it can take part in the session. A Socket.IO
/// socket has another one per namespace, which is public (`socket.id`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; 16]);

impl Sid {
    /// The number of characters of a written session id.
    pub const LEN: usize = 22;

    pub(crate) fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }
}

/// Says that a text is not a session id of this server: wrong length or wrong characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: 22 URL-safe base64 characters expected")]
pub struct ParseSidError;

impl FromStr for Sid {
    type Err = ParseSidError;

    fn from_str(text: &str) -> Result<Self, ParseSidError> {
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) if text.len() == Self::LEN => Ok(Self(bytes)),
            _ => Err(ParseSidError),
        }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or(0);
        f.write_str(text.get(..written).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one connection (one Engine.IO session) of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names one namespace of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NspId(pub(crate) u32);

/// Names one socket: one connection's membership in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    pub(crate) nsp: NspId,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SocketKey {
    /// The namespace that the socket belongs to.
    pub const fn namespace(self) -> NspId {
        self.nsp
    }
}

/// Names one WebSocket of a connection. Picked by the machine when it answers 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId(pub(crate) u32);

/// Names one HTTP request. Picked by the driver; unique among the requests that are not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

macro_rules! display {
    ($type:ident, $format:literal, $($field:tt).+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.$($field).+)
            }
        }
    };
}
display!(ConnKey, "conn-{}", index);
display!(NspId, "nsp-{}", 0);
display!(SocketKey, "socket-{}", index);
display!(TransportId, "ws-{}", 0);
display!(RequestId, "request-{}", 0);

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::rng::Seed;

    #[test]
    fn a_sid_is_read_back_as_written_and_nothing_else_is() {
        let sid = Sid::generate(&mut Rng::new(&Seed::for_tests(1)));
        let text = sid.to_string();
        assert_eq!(text.len(), Sid::LEN);
        assert_eq!(text.parse(), Ok(sid));
        for bad in
            ["", "__proto__", &text[1..], &(text.clone() + "A"), "AAAAAAAAAAAAAAAAAAAAA/", "AAAAAAAAAAAAAAAAAAAAA="]
        {
            assert_eq!(bad.parse::<Sid>(), Err(ParseSidError), "{bad}");
        }
    }
}
