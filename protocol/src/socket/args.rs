//! What a packet carries: arguments, or the data of a connect packet.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{fmt, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};

use super::{
    Value,
    de::{self, Source},
    json,
};
use crate::Text;

/// The arguments of an event or acknowledgement: valid JSON text, shared with the message that it came in, and the
/// attachments that its placeholders stand for. Cloning is cheap.
///
/// Nothing is parsed before somebody asks. Two are equal if their [`raw`](Self::raw) texts and attachments are.
/// As something to send, they are those arguments ([`Payload::event_from_args`](super::Payload::event_from_args)
/// forwards them without parsing).
///
/// ```
/// use sockeye_protocol::{Limits, Text, socket::{Decoder, Packet, Value}};
///
/// let mut decoder = Decoder::new(&Limits::default());
/// let packet = decoder.handle_text(Text::from(r#"2["move",3,"north"]"#))?;
/// let Some(Packet::Event { args, .. }) = packet else { panic!() };
///
/// assert_eq!(args.deserialize::<(u8, String)>()?, (3, "north".to_owned()));
/// assert_eq!(args.deserialize::<u8>()?, 3);
/// assert_eq!(args.deserialize::<(u8, String, Option<bool>)>()?.2, None);
/// assert_eq!(args.to_values()?, [Value::from(3), Value::from("north")]);
/// assert_eq!(args.raw(), r#"3,"north""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Args {
    /// What the arguments arrived in: a whole message, for instance.
    text: Text,
    /// Where in it a valid JSON array begins.
    open: u32,
    /// Where the first argument begins, or the closing bracket.
    start: u32,
    /// Where the array ends.
    end: u32,
    /// Whether the array begins with an event's name.
    named: bool,
    attachments: Attachments,
}

impl Args {
    /// The number of arguments, counted on each call.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// assert_eq!(event(r#"2["move",3,"north"]"#, &[]).len(), 2);
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        de::count(&self.source())
    }

    /// Whether there are no arguments.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// assert!(event(r#"2["stop"]"#, &[]).is_empty());
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.raw().is_empty()
    }

    /// The JSON of the arguments, separated by commas, without brackets; attachments as placeholders.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// let args = event(r#"51-["file","a.png",{"_placeholder":true,"num":0}]"#, &[b"png"]);
    /// assert_eq!(args.raw(), r#""a.png",{"_placeholder":true,"num":0}"#);
    /// # }
    /// ```
    pub fn raw(&self) -> &str {
        self.text.get(wide(self.start)..wide(self.end).saturating_sub(1)).unwrap_or_default()
    }

    /// The binary attachments, in the order of their numbers.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// let args = event(r#"51-["file","a.png",{"_placeholder":true,"num":0}]"#, &[b"png"]);
    /// assert_eq!(args.attachments(), [&b"png"[..]]);
    /// # }
    /// ```
    pub fn attachments(&self) -> &[Bytes] {
        self.attachments.as_slice()
    }

    /// Reads the arguments into a type: a tuple takes them in turn, anything else the first
    /// ([module documentation](super)).
    ///
    /// Half of a surrogate pair, and a number out of range, which JavaScript may send, read as U+FFFD and `null`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() -> Result<(), ArgsError> {
    /// let args = event(r#"2["move",3,"north"]"#, &[]);
    /// assert_eq!(args.deserialize::<(u8, String)>()?, (3, "north".to_owned()));
    /// assert_eq!(args.deserialize::<u8>()?, 3);
    /// // What may be missing is an `Option`.
    /// assert!(args.deserialize::<(u8, String, bool)>().is_err());
    /// assert_eq!(args.deserialize::<(u8, String, Option<bool>)>()?.2, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An argument is missing, or is not what the type expects.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        de::read(&self.source()).or_else(|error| match self.sanitised() {
            Some(clean) => de::read(&clean.source()),
            None => Err(error),
        })
    }

    /// [`deserialize`](Self::deserialize) for types that borrow: `&str` without escapes, `&[u8]` of an attachment.
    /// Halves of surrogate pairs and numbers out of range are errors here.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() -> Result<(), ArgsError> {
    /// let args = event(r#"51-["file","a.png",{"_placeholder":true,"num":0}]"#, &[b"png"]);
    /// let (name, bytes): (&str, &[u8]) = args.deserialize_borrowed()?;
    /// assert_eq!((name, bytes), ("a.png", &b"png"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An argument is missing, is not what the type expects, or cannot be borrowed.
    pub fn deserialize_borrowed<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ArgsError> {
        de::read(&self.source())
    }

    /// The arguments as values; binary is shared, not copied.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() -> Result<(), ArgsError> {
    /// let args = event(r#"51-["file","a.png",{"_placeholder":true,"num":0}]"#, &[b"png"]);
    /// let values = args.to_values()?;
    /// assert_eq!(values[0], Value::from("a.png"));
    /// assert!(matches!(&values[1], Value::Binary(bytes) if **bytes == "png"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None that a peer is known to provoke: half of a surrogate pair is U+FFFD here, and a number out of range `null`.
    pub fn to_values(&self) -> Result<Vec<Value>, ArgsError> {
        de::values(&self.source()).or_else(|error| match self.sanitised() {
            Some(clean) => de::values(&clean.source()),
            None => Err(error),
        })
    }

    /// The arguments of an event: a text, where in it a valid array is, and where in that the element after the name begins.
    pub(super) fn of_event(text: Text, array: Range<usize>, start: usize) -> Self {
        let start = array.start.saturating_add(start);
        let [open, start, end] = [array.start, start, array.end].map(narrow);
        Self { text, open, start, end, named: true, attachments: Attachments::default() }
    }

    /// A text, and where in it a valid array is, all of which is arguments.
    pub(super) fn of_ack(text: Text, array: Range<usize>) -> Self {
        let inner = text.get(array.start.saturating_add(1)..array.end).unwrap_or_default();
        let first = inner.trim_start_matches(json::is_space);
        let start = array.end.saturating_sub(first.len());
        let [open, start, end] = [array.start, start, array.end].map(narrow);
        Self { text, open, start, end, named: false, attachments: Attachments::default() }
    }

    /// A valid, trimmed array, all of which is arguments.
    pub(super) fn of_array(array: Text) -> Self {
        let end = array.len();
        Self::of_ack(array, 0..end)
    }

    pub(super) fn attach(&mut self, attachments: Attachments) {
        self.attachments = attachments;
    }

    pub(super) fn shared_attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// The array that the arguments are in, maybe behind an event's name.
    pub(super) fn array(&self) -> &str {
        self.text.get(wide(self.open)..wide(self.end)).unwrap_or_default()
    }

    /// The array, if nothing but the arguments is in it.
    pub(super) fn whole_array(&self) -> Option<Text> {
        (!self.named).then(|| self.text.slice_ref(self.array()))
    }

    pub(super) fn source(&self) -> Source<'_> {
        let attachments = self.attachments();
        Source {
            array: self.array(),
            start: wide(self.start.saturating_sub(self.open)),
            raw: self.raw(),
            named: self.named,
            resolve: !attachments.is_empty(),
            attachments,
        }
    }

    /// The same without the tokens that serde_json refuses, if there are any.
    fn sanitised(&self) -> Option<Self> {
        let raw = json::sanitise(self.raw())?;
        let mut clean = Self::of_array(Text::from(["[", &raw, "]"].concat()));
        clean.attach(self.attachments.clone());
        Some(clean)
    }
}

/// A place in a text. (The decoder takes none of 4 GiB and more; of such a one from elsewhere there would be no arguments.)
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

const fn wide(place: u32) -> usize {
    place as usize
}

impl Default for Args {
    /// No arguments.
    fn default() -> Self {
        Self::of_array(Text::from_static("[]"))
    }
}

impl PartialEq for Args {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw() && self.attachments == other.attachments
    }
}

impl Eq for Args {}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Args");
        tuple.field(&format_args!("{}", self.raw()));
        if !self.attachments().is_empty() {
            tuple.field(&self.attachments());
        }
        tuple.finish()
    }
}

/// As several arguments, attachments included.
impl Serialize for Args {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.to_values().map_err(serde::ser::Error::custom)?;
        let mut tuple = serializer.serialize_tuple(values.len())?;
        for value in &values {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

/// One JSON value: what a connect packet carries (authentication, the session's id), or why it was refused.
///
/// ```
/// use sockeye_protocol::{Limits, Text, socket::{Decoder, Packet}};
///
/// let mut decoder = Decoder::new(&Limits::default());
/// let packet = decoder.handle_text(Text::from(r#"0/admin,{"token":"123"}"#))?;
/// let Some(Packet::Connect { data: Some(auth), .. }) = packet else { panic!() };
/// assert_eq!(auth.raw(), r#"{"token":"123"}"#);
/// assert_eq!(auth.to_value()?.get("token").and_then(|token| token.as_str()), Some("123"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Data(Text);

impl Data {
    /// The JSON text.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// assert_eq!(connect(r#"0/admin,{"token":"123"}"#).raw(), r#"{"token":"123"}"#);
    /// # }
    /// ```
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The JSON text, shared.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() {
    /// let auth = connect(r#"0/admin,{"token":"123"}"#);
    /// let text: Text = auth.text().clone(); // No copy.
    /// assert_eq!(text, auth.raw());
    /// # }
    /// ```
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// Reads the value into a type. A tuple is a JSON array here.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() -> Result<(), ArgsError> {
    /// let auth: BTreeMap<String, u8> = connect(r#"0/admin,{"level":3}"#).deserialize()?;
    /// assert_eq!(auth["level"], 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is not what the type expects.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        de::read_value(&self.0).or_else(|error| match json::sanitise(&self.0) {
            Some(clean) => de::read_value(&clean),
            None => Err(error),
        })
    }

    /// The value.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
    /// # fn main() -> Result<(), ArgsError> {
    /// assert!(connect("0/admin,{}").to_value()?.get("token").is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Args::to_values`].
    pub fn to_value(&self) -> Result<Value, ArgsError> {
        self.deserialize()
    }

    pub(crate) const fn from_valid(json: Text) -> Self {
        Self(json)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Data").field(&format_args!("{}", self.0)).finish()
    }
}

/// Binary attachments, shared. Without any: no heap. (A pointer to a list, and not to a slice, which would be two words: what
/// holds one is moved about with each message.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attachments(pub(super) Option<Arc<Vec<Bytes>>>);

impl Attachments {
    pub(super) fn as_slice(&self) -> &[Bytes] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl From<Vec<Bytes>> for Attachments {
    fn from(attachments: Vec<Bytes>) -> Self {
        Self((!attachments.is_empty()).then(|| attachments.into()))
    }
}

/// Arguments are not what the application expects.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/args.rs"));
/// # fn main() {
/// let args = event(r#"2["move",3,"north"]"#, &[]);
/// let missing = args.deserialize::<(u8, String, bool)>().unwrap_err();
/// assert_eq!(missing.to_string(), "argument 2 is missing, 3 expected");
/// let invalid = args.deserialize::<(u8, u8)>().unwrap_err();
/// assert!(matches!(invalid, ArgsError::Invalid { index: 1, line: 1, .. }));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// There are fewer arguments than the type takes.
    #[error("argument {index} is missing, {expected} expected")]
    Missing {
        /// The first argument that is missing, from 0.
        index: usize,
        /// The number of arguments that the type takes.
        expected: usize,
    },
    /// An argument does not fit the type.
    #[error("argument {index}: {reason} (line {line}, column {column})")]
    Invalid {
        /// The argument, from 0.
        index: u32,
        /// The line of [`Args::raw`], from 1; 0 if unknown.
        line: u32,
        /// The column in bytes, from 1; 0 if unknown.
        column: u32,
        /// Why, in at most 200 bytes.
        reason: Box<str>,
    },
}

/// An error's text, cut at 200 bytes: serde's may quote what a peer has sent.
pub(super) fn bounded(error: &dyn fmt::Display) -> Box<str> {
    const LIMIT: usize = 200;
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = LIMIT.saturating_sub(self.0.len());
            let fits = |(at, c): &(usize, char)| at.saturating_add(c.len_utf8()) <= room;
            let cut = part.char_indices().find(|next| !fits(next));
            let end = cut.map_or(part.len(), |(at, _)| at);
            self.0.push_str(part.get(..end).unwrap_or_default());
            // An error ends the formatting.
            cut.map_or(Ok(()), |_| Err(fmt::Error))
        }
    }
    let mut text = Bounded(String::new());
    let _ = fmt::Write::write_fmt(&mut text, format_args!("{error}"));
    text.0.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{DecodeError, EncodeError};

    #[test]
    fn errors_are_small() {
        assert!(size_of::<ArgsError>() <= 32, "{}", size_of::<ArgsError>());
        assert!(size_of::<EncodeError>() <= 24, "{}", size_of::<EncodeError>());
        assert!(size_of::<DecodeError>() <= 24, "{}", size_of::<DecodeError>());
    }

    #[test]
    fn an_error_text_is_cut_between_characters() {
        assert_eq!(&*bounded(&"short"), "short");
        let long = "é".repeat(1000);
        assert_eq!(bounded(&long).len(), 200);
        assert_eq!(bounded(&["x", &long].concat()).len(), 199);
        assert_eq!(bounded(&"y".repeat(201)).len(), 200);
    }
}
