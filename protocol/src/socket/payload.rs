//! What is sent: the payload of a packet.

use alloc::{boxed::Box, string::String};
use core::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeTuple};

use super::{
    Args,
    args::{Attachments, bounded},
    json,
    packet::reserved,
    ser::{self, Serialized, Shape},
};
use crate::Text;

/// The JSON of a packet and its attachments, without what stands in front (type, namespace, id). It is encoded once for
/// any number of recipients: cloning shares it.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_protocol::socket::{EncodeError, Payload};
///
/// // A tuple is several arguments, `()` none, anything else one.
/// assert_eq!(Payload::event("hello", &(1, "two"), 10)?.json(), r#"["hello",1,"two"]"#);
/// assert_eq!(Payload::event("hello", &(), 10)?.json(), r#"["hello"]"#);
/// assert_eq!(Payload::event("hello", &vec![1, 2], 10)?.json(), r#"["hello",[1,2]]"#);
///
/// // Bytes become attachments.
/// let payload = Payload::ack(&(Bytes::from_static(b"\x01"), "ok"), 10)?;
/// assert_eq!(payload.json(), r#"[{"_placeholder":true,"num":0},"ok"]"#);
/// assert_eq!(payload.attachments(), [&b"\x01"[..]]);
///
/// assert_eq!(Payload::event("disconnect", &(), 10), Err(EncodeError::ReservedEvent("disconnect")));
/// # Ok::<(), EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    json: Text,
    /// Where the arguments begin in `json`, an array; 0 if there are none but data. An event's begin behind its name,
    /// so this tells the kind, too.
    start: usize,
    attachments: Attachments,
}

/// Which packets a [`Payload`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// Events: [`Payload::event`] and [`Payload::event_from_args`].
    Event,
    /// Acknowledgements: [`Payload::ack`] and [`Payload::ack_from_args`].
    Ack,
    /// The data of connect packets: [`Payload::data`].
    Data,
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "an event",
            Self::Ack => "an acknowledgement",
            Self::Data => "a connect packet",
        })
    }
}

impl Payload {
    /// An event with its arguments.
    ///
    /// # Errors
    ///
    /// The name is [reserved](super::RESERVED_EVENTS), there are more attachments than `max_attachments` (JavaScript
    /// peers take 10), or the arguments cannot be written as JSON.
    pub fn event<T: Serialize + ?Sized>(event: &str, args: &T, max_attachments: usize) -> Result<Self, EncodeError> {
        check_name(event)?;
        Self::arguments(Some(event), args, max_attachments)
    }

    /// The arguments of an acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event).
    pub fn ack<T: Serialize + ?Sized>(args: &T, max_attachments: usize) -> Result<Self, EncodeError> {
        Self::arguments(None, args, max_attachments)
    }

    /// One value: the data of a connect packet, or of its refusal. A tuple is a JSON array here.
    ///
    /// # Errors
    ///
    /// The value has binary in it, which these packets cannot carry, or cannot be written as JSON.
    pub fn data<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        let serialized = ser::alone(value)?;
        if serialized.found > 0 {
            return Err(EncodeError::BinaryData);
        }
        Ok(Self {
            json: shallow(serialized.json, serialized.may_be_deep)?,
            start: 0,
            attachments: Attachments::default(),
        })
    }

    /// One value that is written already: valid JSON.
    pub(crate) const fn from_json(json: Text) -> Self {
        Self { json, start: 0, attachments: Attachments(None) }
    }

    /// An event with arguments that have arrived, forwarded without parsing.
    ///
    /// # Errors
    ///
    /// The name is [reserved](super::RESERVED_EVENTS).
    pub fn event_from_args(event: &str, args: &Args) -> Result<Self, EncodeError> {
        check_name(event)?;
        let escaped;
        let name = if event.contains(|c| c < ' ' || c == '"' || c == '\\') {
            escaped = serde_json::to_string(event)?;
            escaped.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or_default()
        } else {
            event
        };
        let comma = if args.is_empty() { "" } else { "," };
        let json = ["[\"", name, "\"", comma, args.raw(), "]"].concat();
        Ok(Self {
            start: name.len().saturating_add(comma.len()).saturating_add(3),
            json: json.into(),
            attachments: args.shared_attachments().clone(),
        })
    }

    /// An acknowledgement with arguments that have arrived, forwarded without parsing.
    pub fn ack_from_args(args: &Args) -> Self {
        let json = match args.whole_array() {
            Some(array) => array.clone(),
            None => ["[", args.raw(), "]"].concat().into(),
        };
        Self { json, start: 1, attachments: args.shared_attachments().clone() }
    }

    /// Which packets this is for.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Payload, PayloadKind};
    ///
    /// assert_eq!(Payload::event("", &(), 10)?.kind(), PayloadKind::Event);
    /// assert_eq!(Payload::ack(&("an event?", 1), 10)?.kind(), PayloadKind::Ack);
    /// assert_eq!(Payload::data(&["an event?"])?.kind(), PayloadKind::Data);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub const fn kind(&self) -> PayloadKind {
        match self.start {
            0 => PayloadKind::Data,
            1 => PayloadKind::Ack,
            _ => PayloadKind::Event,
        }
    }

    /// The name of the event; `None` if this is for another packet.
    ///
    /// ```
    /// use sockeye_protocol::socket::Payload;
    ///
    /// assert_eq!(Payload::event("a \"b\"", &1, 10)?.event_name().as_deref(), Some("a \"b\""));
    /// assert_eq!(Payload::ack(&("a", 1), 10)?.event_name(), None);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub fn event_name(&self) -> Option<Text> {
        match self.kind() {
            PayloadKind::Event => json::event_name(&self.json).map(|(name, _)| name),
            PayloadKind::Ack | PayloadKind::Data => None,
        }
    }

    /// The JSON text, placeholders for attachments included.
    pub fn json(&self) -> &Bytes {
        self.json.as_shared()
    }

    /// The attachments in the order in which they are sent.
    pub fn attachments(&self) -> &[Bytes] {
        self.attachments.as_slice()
    }

    /// Bytes of the JSON text and the attachments.
    pub fn size(&self) -> usize {
        self.attachments().iter().map(Bytes::len).fold(self.json.len(), usize::saturating_add)
    }

    /// What a receiver gets as arguments; `None` for [`data`](Self::data).
    pub fn to_args(&self) -> Option<Args> {
        let array = self.json.clone();
        let mut args = match self.kind() {
            PayloadKind::Data => return None,
            PayloadKind::Ack => Args::of_ack(array),
            PayloadKind::Event => Args::of_event(array, self.start),
        };
        args.attach(self.attachments.clone());
        Some(args)
    }

    fn arguments<T: Serialize + ?Sized>(
        event: Option<&str>,
        args: &T,
        max_attachments: usize,
    ) -> Result<Self, EncodeError> {
        let Serialized { mut json, may_be_deep, shape, found, attachments } =
            ser::in_array(event, args, max_attachments)?;
        if found > max_attachments {
            let limit = max_attachments;
            return Err(EncodeError::TooManyAttachments { limit, found });
        }
        if found > 0 && placeholder_keys(&json) != found {
            return Err(EncodeError::PlaceholderKey);
        }
        // Everything was written as one argument: a tuple loses its brackets, `()` its `null`.
        let mut start = match event {
            Some(_) => json::after_name(&json),
            None => 1,
        };
        match shape {
            Shape::Other => {}
            Shape::Tuple if json.get(start..) != Some("[]]") => {
                json.remove(start);
                json.pop();
            }
            Shape::Tuple | Shape::Unit => {
                // The comma goes with them.
                start = start.saturating_sub(usize::from(event.is_some()));
                json.truncate(start);
                json.push(']');
            }
        }
        Ok(Self { json: shallow(json, may_be_deep)?, start, attachments: Attachments::from(attachments) })
    }
}

/// The number of keys `_placeholder`. Those that are not ours, in an object of the application, would stand for one of
/// the attachments.
fn placeholder_keys(json: &str) -> usize {
    const KEY: &str = r#""_placeholder""#;
    let is_key = |at: usize| {
        // Within a string, and so within a longer key, a quote has a backslash in front.
        let (before, rest) = json.split_at_checked(at)?;
        let rest = rest.get(KEY.len()..)?.trim_start_matches(json::is_space);
        Some(!before.ends_with('\\') && rest.starts_with(':'))
    };
    json.match_indices(KEY).filter(|(at, _)| is_key(*at) == Some(true)).count()
}

fn check_name(event: &str) -> Result<(), EncodeError> {
    match reserved(event) {
        Some(name) => Err(EncodeError::ReservedEvent(name)),
        None => Ok(()),
    }
}

/// What receivers of this kind would refuse is not sent.
fn shallow(json: String, may_be_deep: bool) -> Result<Text, EncodeError> {
    if may_be_deep && json::is_too_deep(json.as_bytes()) {
        return Err(EncodeError::TooDeep { limit: json::DEPTH });
    }
    Ok(json.into())
}

/// A payload that is for packets of another kind: no peer could read what it would give. Says so whether or not there is
/// somebody to send it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload of {expected} is needed, this is that of {found}")]
#[non_exhaustive]
pub struct WrongPayload {
    /// What is to be sent.
    pub expected: PayloadKind,
    /// What the payload is for.
    pub found: PayloadKind,
}

impl WrongPayload {
    pub(crate) fn check(expected: PayloadKind, payload: &Payload) -> Result<(), Self> {
        let found = payload.kind();
        if found == expected { Ok(()) } else { Err(Self { expected, found }) }
    }
}

/// A slice whose elements are one argument each.
///
/// ```
/// use sockeye_protocol::socket::{Payload, Spread, Value};
///
/// let values = [Value::from(1), Value::from("two")];
/// assert_eq!(Payload::event("e", &Spread(&values), 10)?.json(), r#"["e",1,"two"]"#);
/// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Spread<'a, T>(pub &'a [T]);

impl<T: Serialize> Serialize for Spread<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for element in self.0 {
            tuple.serialize_element(element)?;
        }
        tuple.end()
    }
}

/// What cannot be sent.
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
