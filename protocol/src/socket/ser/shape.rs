//! How many arguments a value is, for where serde_json has only whole values to write.

use core::{cell::Cell, fmt};

use serde::ser::{Impossible, Serialize, Serializer};

/// What kind of value is serialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `()`: no argument.
    Unit,
    /// As many as it has elements.
    Tuple,
    /// One.
    Other,
}

/// Looks at the first thing that a value says of itself.
pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Shape {
    let shape = Cell::new(Shape::Other);
    // Fails in any case: nobody wants to hear more.
    let _ = value.serialize(Probe(&shape));
    shape.get()
}

struct Probe<'a>(&'a Cell<Shape>);

type No = Impossible<(), fmt::Error>;

macro_rules! others {
    ($($method:ident $(<$generic:ident>)? ($($arg:ty),*) -> $ok:ty;)*) => {$(
        fn $method $(<$generic: Serialize + ?Sized>)? (self, $(_: $arg),*) -> Result<$ok, fmt::Error> {
            Err(fmt::Error)
        }
    )*};
}

impl Serializer for Probe<'_> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    fn serialize_unit(self) -> Result<(), fmt::Error> {
        self.0.set(Shape::Unit);
        Err(fmt::Error)
    }

    fn serialize_tuple(self, _: usize) -> Result<No, fmt::Error> {
        self.0.set(Shape::Tuple);
        Err(fmt::Error)
    }

    others! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_i128(i128) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_u128(u128) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_some<T>(&T) -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_newtype_struct<T>(&'static str, &T) -> ();
        serialize_newtype_variant<T>(&'static str, u32, &'static str, &T) -> ();
        serialize_seq(Option<usize>) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }
}
