//! Any argument: JSON that may hold binary.

use alloc::{boxed::Box, string::String, vec, vec::Vec};
use core::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::Number;

use super::placeholder::{NUM, PLACEHOLDER};

/// Any argument: JSON, with binary anywhere in it.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_protocol::socket::{Object, Payload, Value};
///
/// let mut object = Object::new();
/// object.insert("name", "a.bin");
/// object.insert("content", Bytes::from_static(b"\x01\x02"));
/// let value = Value::from(object);
/// assert_eq!(value.get("content").and_then(Value::as_bytes).map(|bytes| bytes.len()), Some(2));
///
/// let payload = Payload::event("upload", &value, 10)?;
/// assert_eq!(payload.json(), r#"["upload",{"name":"a.bin","content":{"_placeholder":true,"num":0}}]"#);
/// # Ok::<(), sockeye_protocol::socket::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`, and what `undefined` becomes.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// Binary. Boxed so that a value takes 32 bytes, no more than without binary: peers can send many.
    Binary(Box<Bytes>),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Object),
}

impl Value {
    /// Whether the value is `null`.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert!(Value::from(()).is_null());
    /// assert!(Value::from(f64::NAN).is_null());
    /// ```
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if it is one.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert_eq!(Value::from(true).as_bool(), Some(true));
    /// assert_eq!(Value::from(1).as_bool(), None);
    /// ```
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is an integer that fits.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert_eq!(Value::from(-1).as_i64(), Some(-1));
    /// assert_eq!(Value::from(1.5).as_i64(), None);
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The number, if it is an integer that fits.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert_eq!(Value::from(1).as_u64(), Some(1));
    /// assert_eq!(Value::from(-1).as_u64(), None);
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The number, if it is one.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert_eq!(Value::from(1.5).as_f64(), Some(1.5));
    /// assert_eq!(Value::from(1).as_f64(), Some(1.0));
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// The text, if it is a string.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// assert_eq!(Value::from("lobby").as_str(), Some("lobby"));
    /// assert_eq!(Value::from(1).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is binary.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use sockeye_protocol::socket::Value;
    ///
    /// let value = Value::from(Bytes::from_static(&[1, 2]));
    /// assert_eq!(value.as_bytes().map(|bytes| bytes.len()), Some(2));
    /// assert_eq!(Value::from("text").as_bytes(), None);
    /// ```
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    ///
    /// ```
    /// use sockeye_protocol::socket::Value;
    ///
    /// let value = Value::from(vec![1, 2]);
    /// assert_eq!(value.as_array().map(|elements| elements.len()), Some(2));
    /// ```
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The object, if it is one.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let value = Value::from(Object::from_iter([("name", "Ada")]));
    /// assert_eq!(value.as_object().map(|object| object.len()), Some(1));
    /// ```
    pub const fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The value of a key, if it is an object that has it.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let value = Value::from(Object::from_iter([("name", "Ada")]));
    /// assert_eq!(value.get("name").and_then(Value::as_str), Some("Ada"));
    /// assert_eq!(value.get("age"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }
}

/// A JSON object in the order in which it was written.
///
/// Keys that a peer has sent twice are kept, the last one counts, as in JavaScript. Lookup is linear. Two objects are
/// equal if they have the same entries in the same order.
///
/// ```
/// use sockeye_protocol::socket::{Object, Value};
///
/// let mut user = Object::from_iter([("name", "Ada")]);
/// user.insert("age", 36);
/// assert_eq!(user.iter().collect::<Vec<_>>(), [("name", &Value::from("Ada")), ("age", &Value::from(36))]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without entries.
    ///
    /// ```
    /// use sockeye_protocol::socket::Object;
    ///
    /// assert!(Object::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The number of entries.
    ///
    /// ```
    /// use sockeye_protocol::socket::Object;
    ///
    /// assert_eq!(Object::from_iter([("a", 1), ("b", 2)]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    ///
    /// ```
    /// use sockeye_protocol::socket::Object;
    ///
    /// assert!(!Object::from_iter([("a", 1)]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let object = Object::from_iter([("a", 1)]);
    /// assert_eq!(object.get("a"), Some(&Value::from(1)));
    /// assert_eq!(object.get("b"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The value of a key, to change it.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let mut object = Object::from_iter([("a", 1)]);
    /// if let Some(value) = object.get_mut("a") {
    ///     *value = Value::from("one");
    /// }
    /// assert_eq!(object, Object::from_iter([("a", "one")]));
    /// ```
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.iter_mut().rev().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Sets the value of a key, and gives the one it had. A new key is the last.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let mut object = Object::from_iter([("a", 1)]);
    /// assert_eq!(object.insert("a", 2), Some(Value::from(1)));
    /// assert_eq!(object.insert("b", 3), None);
    /// ```
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        if let Some(old) = self.get_mut(&key) {
            return Some(core::mem::replace(old, value.into()));
        }
        self.0.push((key, value.into()));
        None
    }

    /// Removes a key, and gives its value.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let mut object = Object::from_iter([("a", 1)]);
    /// assert_eq!(object.remove("a"), Some(Value::from(1)));
    /// assert_eq!(object.remove("a"), None);
    /// ```
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.extract_if(.., |(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// The entries in order.
    ///
    /// ```
    /// use sockeye_protocol::socket::Object;
    ///
    /// let object = Object::from_iter([("a", 1), ("b", 2)]);
    /// let sum: Option<i64> = object.iter().map(|(_, value)| value.as_i64()).sum();
    /// assert_eq!(sum, Some(3));
    /// ```
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys in order.
    ///
    /// ```
    /// use sockeye_protocol::socket::Object;
    ///
    /// let object = Object::from_iter([("a", 1), ("b", 2)]);
    /// assert_eq!(object.keys().collect::<Vec<_>>(), ["a", "b"]);
    /// ```
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The values in order.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let object = Object::from_iter([("a", 1), ("b", 2)]);
    /// assert_eq!(object.values().next_back(), Some(&Value::from(2)));
    /// ```
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values in order, to change them.
    ///
    /// ```
    /// use sockeye_protocol::socket::{Object, Value};
    ///
    /// let mut object = Object::from_iter([("a", 1), ("b", 2)]);
    /// object.values_mut().for_each(|value| *value = Value::Null);
    /// assert!(object.values().all(Value::is_null));
    /// ```
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        Self(entries.map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $make
            }
        }
    )*};
}

from! {
    bool => |value| Self::Bool(value);
    i8 => |value| Self::Number(value.into());
    i16 => |value| Self::Number(value.into());
    i32 => |value| Self::Number(value.into());
    i64 => |value| Self::Number(value.into());
    isize => |value| Self::Number(value.into());
    u8 => |value| Self::Number(value.into());
    u16 => |value| Self::Number(value.into());
    u32 => |value| Self::Number(value.into());
    u64 => |value| Self::Number(value.into());
    usize => |value| Self::Number(value.into());
    // NaN and the infinities are `null`, as in JavaScript.
    f32 => |value| Self::from(f64::from(value));
    f64 => |value| Number::from_f64(value).map_or(Self::Null, Self::Number);
    &str => |value| Self::String(value.into());
    String => |value| Self::String(value);
    Bytes => |value| Self::Binary(Box::new(value));
    Object => |value| Self::Object(value);
    () => |_unit| Self::Null;
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(value) => Self::Number(value),
            serde_json::Value::String(value) => Self::String(value),
            serde_json::Value::Array(elements) => Self::from(elements),
            serde_json::Value::Object(entries) => Self::Object(entries.into_iter().collect()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Not `serialize_unit`, which would be no argument at all.
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.serialize_bytes(bytes),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Through [`Args::deserialize`](super::Args::deserialize) attachments are copied;
/// [`Args::to_values`](super::Args::to_values) shares them.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(&[]))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(object) => Ok(object),
            _ => Err(Error::custom("expected an object")),
        }
    }
}

/// Makes a value, with those attachments in place of canonical placeholders.
#[derive(Clone, Copy)]
pub(super) struct ValueVisitor<'a>(pub(super) &'a [Bytes]);

impl<'de> DeserializeSeed<'de> for ValueVisitor<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueVisitor<'_> {
    fn attachment(&self, entries: &[(String, Value)]) -> Option<&Bytes> {
        if self.0.is_empty() {
            return None;
        }
        match entries {
            [(first, Value::Bool(true)), (second, Value::Number(num))] if first == PLACEHOLDER && second == NUM => {
                self.0.get(usize::try_from(num.as_u64()?).ok()?)
            }
            _ => None,
        }
    }
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Bytes::copy_from_slice(bytes).into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Bytes::from(bytes).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(self)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value_seed(self)?));
        }
        if let Some(bytes) = self.attachment(&entries) {
            return Ok(bytes.clone().into());
        }
        Ok(match arbitrary_precision(&entries) {
            Some(number) => Value::Number(number),
            None => Value::Object(Object(entries)),
        })
    }
}

/// How serde_json gives numbers if some other crate has switched on its feature `arbitrary_precision`.
fn arbitrary_precision(entries: &[(String, Value)]) -> Option<Number> {
    match entries {
        [(key, Value::String(digits))] if key == "$serde_json::private::Number" => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small() {
        assert_eq!(size_of::<Value>(), size_of::<serde_json::Value>());
        assert!(size_of::<Value>() <= 32);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let mut object = Object::from_iter([("a", 1), ("b", 2), ("a", 3)]);
        assert_eq!(object.get("a"), Some(&Value::from(3)));
        assert_eq!(object.insert("a", 4), Some(Value::from(3)));
        assert_eq!(object.remove("a"), Some(Value::from(4)));
        assert_eq!((object.len(), object.get("a")), (1, None));
        assert_eq!(object.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(object.insert("c", ()), None);
        assert_eq!(object.into_iter().last(), Some(("c".into(), Value::Null)));
    }

    #[test]
    fn what_becomes_which_value() {
        assert_eq!(Value::from(f64::NAN), Value::Null);
        assert_eq!(Value::from(f32::INFINITY), Value::Null);
        assert_eq!(Value::from(Some("x")).as_str(), Some("x"));
        assert_eq!(Value::from(None::<u8>), Value::Null);
        let json = serde_json::json!({"a": [1, -2, 2.5, null, true, "x"]});
        let value = Value::from(json.clone());
        assert_eq!(serde_json::to_value(&value).unwrap(), json);
        assert_eq!(serde_json::from_value::<Value>(json).unwrap(), value);
        let elements = value.get("a").and_then(Value::as_array).unwrap();
        assert_eq!(elements[0].as_u64(), Some(1));
        assert_eq!(elements[1].as_i64(), Some(-2));
        assert_eq!(elements[2].as_f64(), Some(2.5));
        assert!(elements[3].is_null());
        assert_eq!(elements[4].as_bool(), Some(true));
        assert!(serde_json::from_str::<Object>("[]").is_err());
        assert_eq!(Value::from(Bytes::from_static(b"x")).as_bytes().unwrap(), "x");
    }

    #[test]
    fn numbers_of_arbitrary_precision_are_numbers() {
        let entries = [("$serde_json::private::Number".into(), Value::from("12"))];
        assert_eq!(arbitrary_precision(&entries), Some(12.into()));
        assert_eq!(arbitrary_precision(&[("a".into(), Value::from("12"))]), None);
    }
}
