//! Offsets: where in the log of a namespace a client is.

use alloc::string::String;
use core::{fmt, str, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{key::Sid, rng::Rng, socket::Data};

/// The number of an event in the log, behind a tag of that log: a text of the application that a client takes for an
/// offset, as the JavaScript client does with any text that comes last (behaviours, item 47), is none by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(super) tag: [u8; 4],
    pub(super) number: u64,
}

/// A tag for a log.
pub(super) fn tag(rng: &mut Rng) -> [u8; 4] {
    let mut tag = *b"AAAA";
    let bytes: [u8; 3] = rng.bytes();
    // Three bytes are four characters.
    let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut tag);
    tag
}

/// The tag, a full stop, the number.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", str::from_utf8(&self.tag).unwrap_or_default(), self.number)
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Says that a text is no offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoOffset;

impl FromStr for Offset {
    type Err = NoOffset;

    fn from_str(text: &str) -> Result<Self, NoOffset> {
        let (tag, number) = text.split_once('.').ok_or(NoOffset)?;
        let tag = tag.as_bytes().try_into().map_err(|_| NoOffset)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoOffset);
        }
        Ok(Self { tag, number: number.parse().map_err(|_| NoOffset)? })
    }
}

/// What a CONNECT says of the session that it shall go on with: its private id, and the offset of the last event that has
/// arrived, if any has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) pid: Sid,
    pub(crate) offset: Option<Offset>,
}

impl Claim {
    /// Reads it from what a client gave as `auth`. Anything that is not exactly that is a wish for a new session.
    pub(crate) fn read(auth: Option<&Data>) -> Option<Self> {
        /// `pid` and `offset` beside whatever the application expects.
        #[derive(Deserialize)]
        struct Wire {
            pid: Sid,
            #[serde(default, deserialize_with = "present")]
            offset: Option<Offset>,
        }

        /// An offset that is there must be one.
        fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Offset>, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map(Some).map_err(|NoOffset| de::Error::custom("not an offset"))
        }

        let Wire { pid, offset } = auth?.deserialize().ok()?;
        Some(Self { pid, offset })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;
    use crate::{Limits, Seed, Text, socket};

    #[test]
    fn an_offset_is_read_back_as_written_and_nothing_else_is() {
        let mut rng = Rng::new(&Seed::for_tests(1));
        for number in [0, 1, u64::MAX] {
            let offset = Offset { tag: tag(&mut rng), number };
            let text = offset.to_string();
            assert_eq!(text.parse(), Ok(offset));
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        }
        for bad in ["", ".", "abcd", "abcd.", "abc.1", "abcde.1", "abcd.+1", "abcd.1 ", "abcd.-1", "äb.1", "abcd.1.1"]
        {
            assert_eq!(bad.parse::<Offset>(), Err(NoOffset), "{bad}");
        }
        assert_eq!(format!("abcd.{}0", u64::MAX).parse::<Offset>(), Err(NoOffset));
    }

    #[test]
    fn a_claim_is_a_private_id_with_an_offset_or_without() {
        let pid = Sid::generate(&mut Rng::new(&Seed::for_tests(1)));
        let read = |auth: &str| {
            let packet = socket::Decoder::new(&Limits::default()).handle_text(Text::from(format!("0{auth}").as_str()));
            let Ok(Some(socket::Packet::Connect { data, .. })) = packet else { panic!("{auth}: {packet:?}") };
            Claim::read(data.as_ref())
        };
        let offset = Offset { tag: *b"abcd", number: 7 };
        assert_eq!(read(&format!(r#"{{"pid":"{pid}","offset":"abcd.7"}}"#)), Some(Claim { pid, offset: Some(offset) }));
        assert_eq!(read(&format!(r#"{{"token":{{}},"pid":"{pid}"}}"#)), Some(Claim { pid, offset: None }));
        for none in [
            String::new(),
            "{}".into(),
            r#"{"pid":1}"#.into(),
            r#"{"pid":"__proto__"}"#.into(),
            r#"{"offset":"abcd.7"}"#.into(),
            format!(r#"{{"pid":"{pid}","offset":null}}"#),
            format!(r#"{{"pid":"{pid}","offset":"hello"}}"#),
            format!(r#"{{"pid":"{pid}","offset":["abcd.7"]}}"#),
            format!(r#"{{"pid":"{pid}","pid":"{pid}"}}"#),
        ] {
            assert_eq!(read(&none), None, "{none}");
        }
    }
}
