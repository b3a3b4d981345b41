//! The names of things: small, copyable keys. A key of something that is gone never matches what took its place.

use core::{
    fmt,
    str::{self, FromStr},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rng::Rng;

/// A session id: 128 random bits, written as 22 URL-safe base64 characters.
///
/// An Engine.IO session has one, which must stay secret: who knows it can take part in the session. A Socket.IO
/// socket has another one per namespace, which is public (`socket.id`). Serialises as its text.
///
/// ```
/// use sockeye_protocol::Sid;
///
/// let id: Sid = "AAECAwQFBgcICQoLDA0ODw".parse()?;
/// assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0ODw");
/// assert!("lobby".parse::<Sid>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; 16]);

impl Sid {
    /// The number of characters of a written session id.
    ///
    /// ```
    /// use sockeye_protocol::Sid;
    ///
    /// assert_eq!("AAECAwQFBgcICQoLDA0ODw".len(), Sid::LEN);
    /// ```
    pub const LEN: usize = 22;

    pub(crate) fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    fn write(self, text: &mut [u8; Self::LEN]) -> &str {
        let written = URL_SAFE_NO_PAD.encode_slice(self.0, text).unwrap_or(0);
        text.get(..written).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
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
        f.write_str(self.write(&mut [0; Self::LEN]))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; Self::LEN]))
    }
}

impl<'de> Deserialize<'de> for Sid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Sid;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a session id of 22 URL-safe base64 characters")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sid, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// Names one connection (one Engine.IO session) of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ConnKey {
    /// A small number for a table of connections: below the most that were open at a time. It goes to another
    /// connection once this one is gone, so an entry of the table must hold the whole key, and is the right one only if
    /// that is equal.
    ///
    /// ```
    /// use sockeye_protocol::ConnKey;
    ///
    /// fn find<T>(table: &[Option<(ConnKey, T)>], key: ConnKey) -> Option<&T> {
    ///     let (found, value) = table.get(key.index())?.as_ref()?;
    ///     (*found == key).then_some(value)
    /// }
    /// # let none: &[Option<(ConnKey, ())>] = &[];
    /// # let _ = |key| find(none, key);
    /// ```
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Names one namespace of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NspId(pub(crate) u32);

impl NspId {
    /// A small number for a table of namespaces: 0 for `/`, then one more for each namespace that was added. It never
    /// goes to another namespace of the same hub.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

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
            assert!(serde_json::from_value::<Sid>(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sid_serialises_as_its_text() {
        let sid = Sid::generate(&mut Rng::new(&Seed::for_tests(1)));
        let json = serde_json::to_string(&sid).unwrap();
        assert_eq!(json, alloc::format!("\"{sid}\""));
        assert_eq!(serde_json::from_str::<Sid>(&json).unwrap(), sid);
        assert_eq!(serde_json::from_value::<Sid>(sid.to_string().into()).unwrap(), sid);
        assert_eq!(
            serde_json::from_str::<Sid>("\"x\"").unwrap_err().to_string(),
            "invalid value: string \"x\", expected a session id of 22 URL-safe base64 characters at line 1 column 3"
        );
        assert!(serde_json::from_str::<Sid>("[0]").is_err());
    }

    #[test]
    fn an_index_is_small_and_the_generation_tells_its_owners_apart() {
        let (old, new) = (ConnKey { index: 3, generation: 1 }, ConnKey { index: 3, generation: 2 });
        assert_eq!((old.index(), new.index()), (3, 3));
        assert_ne!(old, new);
        assert_eq!(NspId(2).index(), 2);
    }
}
