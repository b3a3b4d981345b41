//! What is sent: the payload of a packet.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeTuple};

use super::{
    Args, EncodeError,
    args::Attachments,
    encode, json,
    ser::{self, Serialized},
};
use crate::{Text, small};

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
    /// UTF-8.
    json: Bytes,
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
        encode::check_name(event)?;
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
        let json = encode::data(value)?;
        Ok(Self { json: json.into(), start: 0, attachments: Attachments::default() })
    }

    /// One value that is written already: valid JSON.
    pub(crate) fn from_json(json: Text) -> Self {
        Self { json: json.into_bytes(), start: 0, attachments: Attachments(None) }
    }

    /// An event with arguments that have arrived, forwarded without parsing.
    ///
    /// # Errors
    ///
    /// The name is [reserved](super::RESERVED_EVENTS).
    pub fn event_from_args(event: &str, args: &Args) -> Result<Self, EncodeError> {
        encode::check_name(event)?;
        let raw = args.raw().as_bytes();
        let mut json = Vec::with_capacity(event.len().saturating_add(raw.len()).saturating_add(8));
        json.push(b'[');
        ser::quote(event, &mut json);
        if !raw.is_empty() {
            json.push(b',');
        }
        let start = json.len();
        json.extend_from_slice(raw);
        json.push(b']');
        Ok(Self { json: json.into(), start, attachments: args.shared_attachments().clone() })
    }

    /// An acknowledgement with arguments that have arrived, forwarded without parsing.
    pub fn ack_from_args(args: &Args) -> Self {
        let json = match args.whole_array() {
            Some(array) => array,
            None => ["[", args.raw(), "]"].concat().into(),
        };
        Self { json: json.into_bytes(), start: 1, attachments: args.shared_attachments().clone() }
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
        kind(self.start)
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
            PayloadKind::Event => {
                let json = text(&self.json)?;
                json::event_name(&json, &json).map(|(name, _)| name)
            }
            PayloadKind::Ack | PayloadKind::Data => None,
        }
    }

    /// The JSON text, placeholders for attachments included.
    pub fn json(&self) -> &Bytes {
        &self.json
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
        let array = text(&self.json)?;
        let mut args = match self.kind() {
            PayloadKind::Data => return None,
            PayloadKind::Ack => Args::of_array(array),
            PayloadKind::Event => {
                let end = array.len();
                Args::of_event(array, 0..end, self.start)
            }
        };
        args.attach(self.attachments.clone());
        Some(args)
    }

    fn arguments<T: Serialize + ?Sized>(
        event: Option<&str>,
        args: &T,
        max_attachments: usize,
    ) -> Result<Self, EncodeError> {
        let Serialized { json, start, attachments, .. } = encode::arguments(Vec::new(), event, args, max_attachments)?;
        Ok(Self { json: json.into(), start, attachments: Attachments::from(attachments) })
    }
}

/// What [`Payload`]s and [`Encoder`](super::Encoder)s have in common: a payload that is to be sent now, whoever holds it.
///
/// ```
/// use sockeye_protocol::socket::{Encoder, Payload, PayloadRef};
///
/// fn size<'a>(payload: impl Into<PayloadRef<'a>>) -> usize {
///     payload.into().json().len()
/// }
/// assert_eq!(size(&Payload::ack(&1, 10)?), 3);
/// assert_eq!(size(Encoder::default().ack(&1, 10)?), 3);
/// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PayloadRef<'a> {
    json: Json<'a>,
    start: usize,
    attachments: &'a [Bytes],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Json<'a> {
    /// To be copied.
    Slice(&'a [u8]),
    /// May be shared.
    Shared(&'a Bytes),
}

impl<'a> PayloadRef<'a> {
    pub(super) const fn new(json: Json<'a>, start: usize, attachments: &'a [Bytes]) -> Self {
        Self { json, start, attachments }
    }

    /// Which packets this is for.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Encoder, PayloadKind};
    ///
    /// assert_eq!(Encoder::default().event("hello", &1, 10)?.kind(), PayloadKind::Event);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub const fn kind(self) -> PayloadKind {
        kind(self.start)
    }

    /// The JSON text, placeholders for attachments included.
    pub fn json(self) -> &'a [u8] {
        match self.json {
            Json::Slice(json) => json,
            Json::Shared(json) => json,
        }
    }

    /// The JSON text, where it is large and may be shared rather than copied.
    pub(crate) const fn shared_json(self) -> Option<&'a Bytes> {
        match self.json {
            Json::Slice(_) => None,
            Json::Shared(json) => Some(json),
        }
    }

    /// Bytes of the JSON text and the attachments.
    ///
    /// ```
    /// use sockeye_protocol::socket::Encoder;
    ///
    /// assert_eq!(Encoder::default().ack(&1, 10)?.size(), 3);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub fn size(self) -> usize {
        self.attachments.iter().map(Bytes::len).fold(self.json().len(), usize::saturating_add)
    }

    /// The attachments in the order in which they are sent.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use sockeye_protocol::socket::Encoder;
    ///
    /// let mut encoder = Encoder::default();
    /// assert_eq!(encoder.ack(&Bytes::from_static(b"\x01"), 10)?.attachments(), [&b"\x01"[..]]);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub const fn attachments(self) -> &'a [Bytes] {
        self.attachments
    }

    /// The same for as long as it is needed, and for any number of recipients.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Encoder, Payload};
    ///
    /// assert_eq!(Encoder::default().ack(&("a", 1), 10)?.to_payload(), Payload::ack(&("a", 1), 10)?);
    /// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
    /// ```
    pub fn to_payload(self) -> Payload {
        let json = match self.json {
            Json::Slice(json) => small::copy(json),
            Json::Shared(json) => json.clone(),
        };
        Payload { json, start: self.start, attachments: Attachments::from(self.attachments.to_vec()) }
    }
}

impl<'a> From<&'a Payload> for PayloadRef<'a> {
    fn from(payload: &'a Payload) -> Self {
        Self { json: Json::Shared(&payload.json), start: payload.start, attachments: payload.attachments() }
    }
}

const fn kind(start: usize) -> PayloadKind {
    match start {
        0 => PayloadKind::Data,
        1 => PayloadKind::Ack,
        _ => PayloadKind::Event,
    }
}

/// JSON that was written as text.
fn text(json: &Bytes) -> Option<Text> {
    Text::try_from(json.clone()).ok()
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
    pub(crate) fn check<'a>(expected: PayloadKind, payload: impl Into<PayloadRef<'a>>) -> Result<(), Self> {
        let found = payload.into().kind();
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
