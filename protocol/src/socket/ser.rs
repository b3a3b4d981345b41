//! From types to JSON with placeholders.

use alloc::{string::String, vec::Vec};
#[cfg(feature = "std")]
use core::cell::RefCell;
use core::{cell::Cell, fmt};

use bytes::Bytes;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

use super::placeholder::{NUM, PLACEHOLDER};

/// What serialising has given.
pub(super) struct Serialized {
    pub(super) json: String,
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
    out: RefCell<Vec<u8>>,
}

/// Strings from this length on are worth a look whether they can be copied whole.
#[cfg(feature = "std")]
const LONG: usize = 32;

impl Sink {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            shape: Cell::new(Shape::Other),
            found: Cell::new(0),
            attachments: Cell::new(Vec::new()),
            #[cfg(feature = "std")]
            out: RefCell::new(Vec::new()),
        }
    }

    #[cfg(feature = "std")]
    fn write<T: Serialize>(&self, value: &T) -> Result<String, Error> {
        value.serialize(&mut serde_json::Serializer::new(Out(&self.out)))?;
        // serde_json writes nothing but UTF-8, and a `RawValue` is that, too.
        String::from_utf8(self.out.take()).map_err(serde::ser::Error::custom)
    }

    #[cfg(not(feature = "std"))]
    fn write<T: Serialize>(&self, value: &T) -> Result<String, Error> {
        serde_json::to_string(value)
    }

    /// Writes a string with nothing to escape in one piece, where serde_json looks at each byte: an empty string is
    /// written, and filled.
    #[cfg(feature = "std")]
    fn fill<T, E>(&self, value: &str, write: impl FnOnce(&str) -> Result<T, E>) -> Result<T, E> {
        let before = self.out.borrow().len();
        let written = write("")?;
        let mut out = self.out.borrow_mut();
        // Within a `RawValue` text is written as it is, without quotes.
        let is_quoted = out.len() > before && out.pop().is_some();
        out.reserve(value.len().saturating_add(ROOM));
        out.extend_from_slice(value.as_bytes());
        if is_quoted {
            out.push(b'"');
        }
        Ok(written)
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
struct Out<'a>(&'a RefCell<Vec<u8>>);

#[cfg(feature = "std")]
impl std::io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
        if value.len() >= LONG && super::json::is_plain(value) {
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
