//! From arguments to payloads.

use alloc::{boxed::Box, vec::Vec};
use core::mem;

use bytes::Bytes;
use serde::Serialize;

use super::{
    args::bounded,
    json,
    packet::reserved,
    payload::{Json, PayloadRef},
    ser::{self, Serialized},
};

/// Encodes payloads that are sent at once, each in the memory of the one before: the counterpart of
/// [`Decoder`](super::Decoder).
///
/// ```
/// use sockeye_protocol::socket::Encoder;
///
/// let mut encoder = Encoder::default();
/// assert_eq!(encoder.event("hello", &(1, "two"), 10)?.json(), br#"["hello",1,"two"]"#);
/// assert_eq!(encoder.event("bye", &(), 10)?.json(), br#"["bye"]"#);
/// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    json: Vec<u8>,
    /// What is too large to be copied.
    large: Bytes,
    attachments: Vec<Bytes>,
}

/// From this size on encoded text is shared with who sends it.
const LARGE: usize = 4096;

impl Encoder {
    /// Encodes an event: see [`Payload::event`](super::Payload::event).
    ///
    /// # Errors
    ///
    /// [`EncodeError`], as [`Payload::event`](super::Payload::event).
    pub fn event<T: Serialize + ?Sized>(
        &mut self,
        event: &str,
        args: &T,
        max_attachments: usize,
    ) -> Result<PayloadRef<'_>, EncodeError> {
        check_name(event)?;
        self.arguments(Some(event), args, max_attachments)
    }

    /// Encodes an acknowledgement: see [`Payload::ack`](super::Payload::ack).
    ///
    /// ```
    /// use sockeye_protocol::socket::Encoder;
    ///
    /// assert_eq!(Encoder::default().ack("ok", 10)?.json(), br#"["ok"]"#);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeError`], as [`Payload::ack`](super::Payload::ack).
    pub fn ack<T: Serialize + ?Sized>(
        &mut self,
        args: &T,
        max_attachments: usize,
    ) -> Result<PayloadRef<'_>, EncodeError> {
        self.arguments(None, args, max_attachments)
    }

    /// Lets go of the payload, so that only memory for small ones is held.
    pub fn clear(&mut self) {
        self.large = Bytes::new();
        self.attachments = Vec::new();
    }

    fn arguments<T: Serialize + ?Sized>(
        &mut self,
        event: Option<&str>,
        args: &T,
        max_attachments: usize,
    ) -> Result<PayloadRef<'_>, EncodeError> {
        let Serialized { json, start, attachments, .. } =
            arguments(mem::take(&mut self.json), event, args, max_attachments)?;
        // Seldom: most events have none, and the list is empty already.
        if !attachments.is_empty() || !self.attachments.is_empty() {
            self.attachments = attachments;
        }
        let json = if json.len() < LARGE {
            self.json = json;
            Json::Slice(&self.json)
        } else {
            self.large = json.into();
            Json::Shared(&self.large)
        };
        Ok(PayloadRef::new(json, start, &self.attachments))
    }
}

/// Serialises arguments, and refuses what no peer would take.
pub(super) fn arguments<T: Serialize + ?Sized>(
    memory: Vec<u8>,
    event: Option<&str>,
    args: &T,
    max_attachments: usize,
) -> Result<Serialized, EncodeError> {
    let serialized = ser::array(memory, event, args, max_attachments)?;
    let found = serialized.found;
    if found > max_attachments {
        let limit = max_attachments;
        return Err(EncodeError::TooManyAttachments { limit, found });
    }
    if found > 0 && placeholder_keys(&serialized.json) != found {
        return Err(EncodeError::PlaceholderKey);
    }
    check_depth(&serialized)?;
    Ok(serialized)
}

/// Serialises the data of a connect packet.
pub(super) fn data<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let serialized = ser::alone(value)?;
    if serialized.found > 0 {
        return Err(EncodeError::BinaryData);
    }
    check_depth(&serialized)?;
    Ok(serialized.json)
}

/// The number of keys `_placeholder`. Those that are not ours, in an object of the application, would stand for one of
/// the attachments.
fn placeholder_keys(json: &[u8]) -> usize {
    const KEY: &str = r#""_placeholder""#;
    let json = str::from_utf8(json).unwrap_or_default();
    let is_key = |at: usize| {
        // Within a string, and so within a longer key, a quote has a backslash in front.
        let (before, rest) = json.split_at_checked(at)?;
        let rest = rest.get(KEY.len()..)?.trim_start_matches(json::is_space);
        Some(!before.ends_with('\\') && rest.starts_with(':'))
    };
    json.match_indices(KEY).filter(|(at, _)| is_key(*at) == Some(true)).count()
}

pub(super) fn check_name(event: &str) -> Result<(), EncodeError> {
    match reserved(event) {
        Some(name) => Err(EncodeError::ReservedEvent(name)),
        None => Ok(()),
    }
}

/// What receivers of this kind would refuse is not sent.
fn check_depth(serialized: &Serialized) -> Result<(), EncodeError> {
    if serialized.may_be_deep && json::is_too_deep(&serialized.json) {
        return Err(EncodeError::TooDeep { limit: json::DEPTH });
    }
    Ok(())
}

/// What cannot be sent.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_protocol::socket::{EncodeError, Payload};
///
/// assert_eq!(Payload::event("connect", &(), 10), Err(EncodeError::ReservedEvent("connect")));
/// let binary = vec![Bytes::new(); 11];
/// assert_eq!(Payload::event("files", &binary, 10), Err(EncodeError::TooManyAttachments { limit: 10, found: 11 }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// An event with one of the [`RESERVED_EVENTS`](super::RESERVED_EVENTS).
    #[error("{0:?} is a reserved event name")]
    ReservedEvent(&'static str),
    /// More attachments than peers accept.
    #[error("{found} attachments, the limit is {limit}")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
        /// The attachments in the arguments.
        found: usize,
    },
    /// Binary in the data of a connect packet.
    #[error("binary in the data of a connect packet")]
    BinaryData,
    /// An object with a key `_placeholder` beside binary: receivers would take it for one of the attachments.
    #[error("a key `_placeholder` beside binary")]
    PlaceholderKey,
    /// Too many levels of arrays and objects.
    #[error("arguments nested {limit} levels deep or deeper")]
    TooDeep {
        /// The first depth that is refused.
        limit: usize,
    },
    /// Something that is not JSON, such as a map whose keys are no strings, or an error of the type's own.
    #[error("{0}")]
    Serialize(Box<str>),
}

impl From<serde_json::Error> for EncodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Serialize(bounded(&error))
    }
}
