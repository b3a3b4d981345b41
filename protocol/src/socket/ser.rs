//! From types to JSON with placeholders.

use alloc::{string::String, vec::Vec};
#[cfg(feature = "std")]
use core::cell::RefCell;
use core::{cell::Cell, fmt};
#[cfg(feature = "std")]
use std::io;

use bytes::Bytes;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

use super::placeholder::{NUM, PLACEHOLDER};
#[cfg(feature = "std")]
use super::scan::plain_len;

/// What serialising has given.
pub(super) struct Serialized {
    pub(super) json: String,
    /// Whether there may be [`DEPTH`](super::json::DEPTH) levels in it.
    pub(super) may_be_deep: bool,
    /// Whether the value was a tuple, or nothing.
    pub(super) shape: Shape,
    /// How many attachments there are.
    pub(super) found: usize,
    /// The attachments within the limit.
    pub(super) attachments: Vec<Bytes>,
}

/// What kind of value has been serialised: how many arguments it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `()`: none.
    Unit,
    /// Several.
    Tuple,
    /// One.
    Other,
}

/// Serialises a value as the only, or behind a name as the second, element of an array.
pub(super) fn in_array<T: Serialize + ?Sized>(
    name: Option<&str>,
    value: &T,
    max_attachments: usize,
) -> Result<Serialized, Error> {
    let sink = Sink::new(max_attachments);
    let value = Whole { value, sink: &sink };
    let json = match name {
        Some(name) => sink.write(&(name, value)),
        None => sink.write(&(value,)),
    }?;
    Ok(sink.finish(json))
}

/// Serialises a value as it is.
pub(super) fn alone<T: Serialize + ?Sized>(value: &T) -> Result<Serialized, Error> {
    let sink = Sink::new(0);
    let json = sink.write(&Whole { value, sink: &sink })?;
    Ok(sink.finish(json))
}

/// Where attachments go, depth first.
struct Sink {
    limit: usize,
    shape: Cell<Shape>,
    found: Cell<usize>,
    attachments: Cell<Vec<Bytes>>,
    /// What has been written so far.
    #[cfg(feature = "std")]
    out: RefCell<String>,
    /// How many arrays and objects have begun, or more.
    #[cfg(feature = "std")]
    openings: Cell<usize>,
}

/// Strings from this length on are worth to be written apart from serde_json.
#[cfg(feature = "std")]
const LONG: usize = 8;

impl Sink {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            shape: Cell::new(Shape::Other),
            found: Cell::new(0),
            attachments: Cell::new(Vec::new()),
            // Most packets are shorter.
            #[cfg(feature = "std")]
            out: RefCell::new(String::with_capacity(128)),
            #[cfg(feature = "std")]
            openings: Cell::new(0),
        }
    }

    #[cfg(feature = "std")]
    fn write<T: Serialize>(&self, value: &T) -> Result<String, Error> {
        value.serialize(&mut serde_json::Serializer::with_formatter(Out(&self.out), Counting(self)))?;
        Ok(self.out.take())
    }

    #[cfg(not(feature = "std"))]
    fn write<T: Serialize>(&self, value: &T) -> Result<String, Error> {
        serde_json::to_string(value)
    }

    /// Writes a string in pieces that need no escape, where serde_json looks at each byte: an empty string is written,
    /// and filled.
    #[cfg(feature = "std")]
    fn fill<T, E>(&self, value: &str, write: impl FnOnce(&str) -> Result<T, E>) -> Result<T, E> {
        let before = self.out.borrow().len();
        let written = write("")?;
        let mut out = self.out.borrow_mut();
        out.reserve(value.len().saturating_add(ROOM));
        if out.len() > before && out.pop().is_some() {
            escape(value, &mut out);
            out.push('"');
        } else {
            // Within a `RawValue` text is written as it is, without quotes.
            out.push_str(value);
            self.count(value.len());
        }
        Ok(written)
    }

    #[cfg(feature = "std")]
    fn count(&self, openings: usize) {
        self.openings.set(self.openings.get().saturating_add(openings));
    }

    /// Whether there can be as many levels as brackets were written, or more.
    fn may_be_deep(&self) -> bool {
        #[cfg(feature = "std")]
        return self.openings.get() >= super::json::DEPTH;
        #[cfg(not(feature = "std"))]
        true
    }

    /// The number of the new attachment. Above the limit they are counted only.
    fn push(&self, bytes: &[u8]) -> usize {
        let num = self.found.get();
        self.found.set(num.saturating_add(1));
        if num < self.limit {
            let mut attachments = self.attachments.take();
            attachments.push(Bytes::copy_from_slice(bytes));
            self.attachments.set(attachments);
        }
        num
    }

    fn finish(self, json: String) -> Serialized {
        Serialized {
            json,
            may_be_deep: self.may_be_deep(),
            shape: self.shape.get(),
            found: self.found.get(),
            attachments: self.attachments.into_inner(),
        }
    }
}

/// Room for what follows a long string, so that a short end does not move it.
#[cfg(feature = "std")]
const ROOM: usize = 16;

/// Appends to what the sink holds.
#[cfg(feature = "std")]
struct Out<'a>(&'a RefCell<String>);

#[cfg(feature = "std")]
impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // serde_json writes whole characters, few at once.
        let text = str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.0.borrow_mut().push_str(text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes as serde_json does by itself, and counts what opens.
#[cfg(feature = "std")]
struct Counting<'a>(&'a Sink);

#[cfg(feature = "std")]
impl serde_json::ser::Formatter for Counting<'_> {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.count(1);
        writer.write_all(b"[")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.count(1);
        writer.write_all(b"{")
    }

    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.0.count(fragment.len());
        writer.write_all(fragment.as_bytes())
    }
}

/// Appends a string's text as it stands in JSON, with the escapes that serde_json writes.
#[cfg(feature = "std")]
fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((plain, after)) = rest.split_at_checked(plain_len(rest.as_bytes())) {
        out.push_str(plain);
        let Some(special) = after.bytes().next() else {
            return;
        };
        match special {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            control => {
                out.push_str("\\u00");
                let digits = [control / 16, control % 16];
                out.extend(digits.into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)));
            }
        }
        rest = after.get(1..).unwrap_or_default();
    }
}

/// Any serializer, with placeholders for bytes.
struct Binary<'a, S> {
    inner: S,
    sink: &'a Sink,
    /// Whether this is the value whose shape is asked for, not one inside of it.
    outermost: bool,
}

impl<S> Binary<'_, S> {
    fn note(&self, shape: Shape) {
        if self.outermost {
            self.sink.shape.set(shape);
        }
    }
}

/// The value whose shape is asked for.
struct Whole<'a, T: ?Sized> {
    value: &'a T,
    sink: &'a Sink,
}

impl<T: Serialize + ?Sized> Serialize for Whole<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Binary { inner: serializer, sink: self.sink, outermost: true })
    }
}

/// A value inside of another one.
struct WithBinary<'a, T: ?Sized> {
    value: &'a T,
    sink: &'a Sink,
}

impl<T: Serialize + ?Sized> Serialize for WithBinary<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Binary { inner: serializer, sink: self.sink, outermost: false })
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Binary<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    scalars! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char)
        serialize_unit_struct(&'static str)
    }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        #[cfg(feature = "std")]
        if value.len() >= LONG {
            return self.sink.fill(value, |empty| self.inner.serialize_str(empty));
        }
        self.inner.serialize_str(value)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        let num = self.sink.push(bytes);
        let mut placeholder = self.inner.serialize_struct(PLACEHOLDER, 2)?;
        placeholder.serialize_field(PLACEHOLDER, &true)?;
        placeholder.serialize_field(NUM, &num)?;
        placeholder.end()
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let sink = self.sink;
        self.inner.serialize_some(&WithBinary { value, sink })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.note(Shape::Unit);
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let sink = self.sink;
        self.inner.serialize_newtype_struct(name, &WithBinary { value, sink })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let sink = self.sink;
        self.inner.serialize_newtype_variant(name, index, variant, &WithBinary { value, sink })
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let inner = self.inner.serialize_seq(len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.note(Shape::Tuple);
        let inner = self.inner.serialize_tuple(len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        let inner = self.inner.serialize_tuple_struct(name, len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let inner = self.inner.serialize_map(len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        let inner = self.inner.serialize_struct(name, len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, len)?;
        Ok(Compound::new(inner, self.sink))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// An array or object in the making, of any kind.
struct Compound<'a, C> {
    inner: C,
    sink: &'a Sink,
}

impl<'a, C> Compound<'a, C> {
    const fn new(inner: C, sink: &'a Sink) -> Self {
        Self { inner, sink }
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident($($key:ident)?);)*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), C::Error> {
                let sink = self.sink;
                self.inner.$method($($key,)? &WithBinary { value, sink })
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(key);
    SerializeStructVariant::serialize_field(key);
}

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    // Keys go straight to serde_json, which refuses bytes.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let sink = self.sink;
        self.inner.serialize_value(&WithBinary { value, sink })
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    fn written(value: &(impl Serialize + ?Sized)) -> String {
        alone(value).unwrap().json
    }

    proptest! {
        #[test]
        fn strings_are_written_as_by_serde_json(
            text in prop::collection::vec(
                prop_oneof!["[a-zé😀]{0,70}", "[\u{0}-\u{1f}\"\\\\/\u{7f}\u{2028}]{0,3}", any::<String>()],
                0..6,
            ),
        ) {
            let text = text.concat();
            let expected = serde_json::to_string(&text).unwrap();
            let mut escaped = String::from("\"");
            escape(&text, &mut escaped);
            escaped.push('"');
            prop_assert_eq!(&escaped, &expected);
            prop_assert_eq!(&written(&text), &expected);
            prop_assert_eq!(written(&[Some(&text)]), ["[", &expected, "]"].concat());
            // Raw text stays as it is.
            let raw = serde_json::value::RawValue::from_string(expected.clone()).unwrap();
            prop_assert_eq!(written(&raw), expected);
        }
    }

    #[test]
    fn all_that_opens_is_counted() {
        let raw = |levels: usize| {
            let json = ["[".repeat(levels), "]".repeat(levels)].concat();
            serde_json::value::RawValue::from_string(json).unwrap()
        };
        assert!(!alone("[".repeat(1_000).as_str()).unwrap().may_be_deep);
        assert!(alone(&raw(100)).unwrap().may_be_deep);
        assert!(!alone(&(1, [[2]], Some(serde_json::json!({"a": {}})))).unwrap().may_be_deep);
        assert!(alone(&alloc::vec![[0_u8; 1]; 127]).unwrap().may_be_deep);
        assert!(!alone(&alloc::vec![[0_u8; 1]; 126]).unwrap().may_be_deep);
        assert_eq!(written(&raw(3)), raw(3).to_string());
    }
}
