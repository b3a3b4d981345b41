//! Placeholders become attachments on the way through serde.
//!
//! Only for packets with attachments: others are read by serde_json alone.

use alloc::borrow::Cow;
use core::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
        value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    json::is_space,
    placeholder::{NUM, PLACEHOLDER},
};

/// A deserializer over JSON whose placeholders are canonical, as [`placeholder`](super::placeholder) leaves them: an
/// object whose first key is `_placeholder` with the value `true` is bytes.
pub(super) struct Resolve<'de, D> {
    inner: D,
    attachments: &'de [Bytes],
}

impl<'de, D> Resolve<'de, D> {
    pub(super) const fn new(inner: D, attachments: &'de [Bytes]) -> Self {
        Self { inner, attachments }
    }

    const fn visitor<V>(&self, visitor: V, expects: Expects) -> ResolveVisitor<'de, V> {
        ResolveVisitor { visitor, attachments: self.attachments, expects }
    }
}

/// What a type has asked for.
#[derive(Clone, Copy, PartialEq)]
enum Expects {
    Anything,
    /// A string is its bytes then, as serde_json has it.
    Bytes,
    /// An attachment is its bytes one by one then, so that `Vec<u8>` can be read.
    Sequence,
}

/// These can be no placeholders: straight to serde_json.
macro_rules! plain {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Resolve<'de, D> {
    type Error = D::Error;

    plain! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Bytes);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_option(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Sequence);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Expects::Anything);
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A seed whose deserializer resolves placeholders.
pub(super) struct ResolveSeed<'de, T> {
    seed: T,
    attachments: &'de [Bytes],
}

impl<'de, T> ResolveSeed<'de, T> {
    pub(super) const fn new(seed: T, attachments: &'de [Bytes]) -> Self {
        Self { seed, attachments }
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for ResolveSeed<'de, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.seed.deserialize(Resolve::new(deserializer, self.attachments))
    }
}

struct ResolveVisitor<'de, V> {
    visitor: V,
    attachments: &'de [Bytes],
    expects: Expects,
}

macro_rules! forward {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ResolveVisitor<'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    forward! {
        visit_bool(bool) visit_i64(i64) visit_i128(i128) visit_u64(u64) visit_u128(u128) visit_f64(f64)
        visit_char(char) visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8])
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        match self.expects {
            Expects::Bytes => self.visitor.visit_bytes(text.as_bytes()),
            _ => self.visitor.visit_str(text),
        }
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<V::Value, E> {
        match self.expects {
            Expects::Bytes => self.visitor.visit_borrowed_bytes(text.as_bytes()),
            _ => self.visitor.visit_borrowed_str(text),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Resolve::new(inner, self.attachments))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Resolve::new(inner, self.attachments))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Elements { inner: seq, attachments: self.attachments })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let attachments = self.attachments;
        let mut first = None;
        if let Some(key) = map.next_key_seed(KeyText)? {
            if key != PLACEHOLDER {
                first = Some((key, None));
            } else {
                // Not `true`: an object as any other. (Attachments inside of that value stay placeholders.)
                match map.next_value()? {
                    serde_json::Value::Bool(true) => {
                        let bytes = attachment(&mut map, attachments)?;
                        return match self.expects {
                            Expects::Sequence => self.visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
                            _ => self.visitor.visit_borrowed_bytes(bytes),
                        };
                    }
                    value => first = Some((key, Some(value))),
                }
            }
        }
        let (key, value) = match first {
            Some((key, value)) => (Some(key), value),
            None => (None, None),
        };
        self.visitor.visit_map(Entries { inner: map, key, value, attachments })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Variant { inner: data, attachments: self.attachments })
    }
}

/// The attachment of a placeholder of which `_placeholder` has been read.
fn attachment<'de, A: MapAccess<'de>>(map: &mut A, attachments: &'de [Bytes]) -> Result<&'de [u8], A::Error> {
    let mut found = None;
    if map.next_key_seed(KeyText)?.as_deref() == Some(NUM) {
        let num = usize::try_from(map.next_value::<u64>()?).ok();
        found = num.and_then(|num| attachments.get(num));
    }
    match found {
        Some(bytes) if map.next_key_seed(KeyText)?.is_none() => Ok(bytes),
        // Not in a packet that was decoded.
        _ => Err(Error::custom("illegal placeholder")),
    }
}

struct Elements<'de, A> {
    inner: A,
    attachments: &'de [Bytes],
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'de, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(ResolveSeed::new(seed, self.attachments))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// A map of which the first key, and maybe its value, have been read already.
struct Entries<'de, A> {
    inner: A,
    key: Option<Cow<'de, str>>,
    value: Option<serde_json::Value>,
    attachments: &'de [Bytes],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(text) => seed.deserialize(Key::new(text)).map(Some),
            None => self.inner.next_key_seed(seed),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(Error::custom),
            None => self.inner.next_value_seed(ResolveSeed::new(seed, self.attachments)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Variant<'de, A> {
    inner: A,
    attachments: &'de [Bytes],
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Variant<'de, A> {
    type Error = A::Error;
    type Variant = Variant<'de, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let (name, inner) = self.inner.variant_seed(seed)?;
        let attachments = self.attachments;
        Ok((name, Variant { inner, attachments }))
    }
}

impl<'de, A: VariantAccess<'de>> Variant<'de, A> {
    const fn visitor<V>(&self, visitor: V) -> ResolveVisitor<'de, V> {
        ResolveVisitor { visitor, attachments: self.attachments, expects: Expects::Anything }
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Variant<'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(ResolveSeed::new(seed, self.attachments))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

/// Reads a key as text.
pub(super) struct KeyText;

impl<'de> DeserializeSeed<'de> for KeyText {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyText {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.into()))
    }
}

/// A key that was read as text, given to a type that may want something else: serde_json reads numbers and booleans
/// from keys too.
struct Key<'de, E> {
    text: Cow<'de, str>,
    error: PhantomData<E>,
}

impl<'de, E> Key<'de, E> {
    const fn new(text: Cow<'de, str>) -> Self {
        let error = PhantomData;
        Self { text, error }
    }
}

macro_rules! scalar_key {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
            // serde_json reads a number that fills the key and has no escape in it.
            let text = match self.text {
                Cow::Borrowed(text) if !text.starts_with(is_space) && !text.ends_with(is_space) => text,
                _ => return self.deserialize_any(visitor),
            };
            let mut json = serde_json::Deserializer::from_str(text);
            let value = json.$method(visitor).map_err(E::custom)?;
            json.end().map_err(E::custom)?;
            Ok(value)
        }
    )*};
}

impl<'de, E: Error> Deserializer<'de> for Key<'de, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.text {
            Cow::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Cow::Owned(text) => visitor.visit_byte_buf(text.into_bytes()),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.deserialize_bytes(visitor)
    }

    scalar_key! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
