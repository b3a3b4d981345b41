//! One argument, or as many as a tuple has elements.

use core::fmt;

use serde::ser::{Serialize, SerializeTuple, Serializer};
use serde_json::Error;

use super::{
    Counting, Out, Sink,
    binary::{Binary, Compound},
};

/// What writes the insides of arguments.
pub(super) type Json<'s> = serde_json::Serializer<Out<'s>, Counting<'s>>;

/// Writes an argument: strings and bytes, which most of them are, at once, all else by serde_json.
pub(super) struct Argument<'a, 's> {
    pub(super) json: &'a mut Json<'s>,
    pub(super) sink: &'s Sink,
    /// Whether a tuple is several arguments, and `()` is none.
    pub(super) spread: bool,
}

impl<'a, 's> Argument<'a, 's> {
    fn inner(self) -> Binary<'s, &'a mut Json<'s>> {
        Binary { inner: self.json, sink: self.sink }
    }
}

macro_rules! by_serde_json {
    ($($method:ident($($arg:ident: $type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($arg: $type),*) -> Result<$ok, Error> {
            self.inner().$method($($arg),*)
        }
    )*};
}

impl<'a, 's> Serializer for Argument<'a, 's> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeSeq>;
    type SerializeTuple = Elements<'a, 's>;
    type SerializeTupleStruct = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeTupleVariant>;
    type SerializeMap = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeMap>;
    type SerializeStruct = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeStruct>;
    type SerializeStructVariant = Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeStructVariant>;

    by_serde_json! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeStructVariant;
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.sink.quote(value);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.place(bytes);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.inner().serialize_some(value)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        if self.spread { Ok(()) } else { self.inner().serialize_unit() }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        self.inner().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.inner().serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'a, 's>, Error> {
        if self.spread {
            return Ok(Elements::Arguments { sink: self.sink, any: false });
        }
        self.inner().serialize_tuple(len).map(Elements::Array)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.inner().collect_str(value)
    }
}

/// What a tuple's elements become.
pub(super) enum Elements<'a, 's> {
    /// Arguments; `any` tells whether there was one.
    Arguments { sink: &'s Sink, any: bool },
    /// The elements of an array.
    Array(Compound<'s, <&'a mut Json<'s> as Serializer>::SerializeTuple>),
}

impl SerializeTuple for Elements<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self {
            Self::Arguments { sink, any } => {
                if core::mem::replace(any, true) {
                    sink.out.borrow_mut().push(b',');
                }
                sink.argument(value, false)
            }
            Self::Array(inner) => inner.serialize_element(value),
        }
    }

    fn end(self) -> Result<(), Error> {
        match self {
            Self::Arguments { .. } => Ok(()),
            Self::Array(inner) => inner.end(),
        }
    }
}
