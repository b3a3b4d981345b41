//! The list of arguments as a serde deserializer.

use alloc::{string::ToString, vec::Vec};
use core::{cell::Cell, fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, de::SliceRead};

use super::{
    ArgsError, Value,
    args::bounded,
    resolve::{Resolve, ResolveSeed},
    value::ValueVisitor,
};

/// Where arguments are read from.
#[derive(Clone, Copy)]
pub(super) struct Source<'de> {
    /// A valid JSON array.
    pub(super) array: &'de str,
    /// Where `raw` begins in it.
    pub(super) start: usize,
    /// The arguments, separated by commas.
    pub(super) raw: &'de str,
    /// Whether the array's first element is no argument but an event's name.
    pub(super) named: bool,
    /// Whether objects may be placeholders. Without, serde_json is used as it is.
    pub(super) resolve: bool,
    pub(super) attachments: &'de [Bytes],
}

/// Reads a type from arguments: a tuple takes them in turn, anything else the first.
pub(super) fn read<'de, T: Deserialize<'de>>(source: &Source<'de>) -> Result<T, ArgsError> {
    let progress = Progress::default();
    let list = ArgList { source, progress: &progress };
    T::deserialize(list).map_err(|error| progress.explain(source, &error))
}

/// Reads a type from one JSON value without attachments.
pub(super) fn read_value<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, ArgsError> {
    serde_json::from_slice(json.as_bytes()).map_err(|error| invalid(0, &error, 0))
}

/// Reads as bytes what is known to be UTF-8. As a string, serde_json 1.0.154 trusts each part of it to be UTF-8 too, and
/// breaks that itself: for a map with keys of type `bool` it skips the first byte of any other key, whatever it begins,
/// and the error's text panics.
fn reader(json: &str) -> serde_json::Deserializer<SliceRead<'_>> {
    serde_json::Deserializer::from_slice(json.as_bytes())
}

/// The arguments as values that share the attachments.
pub(super) fn values(source: &Source<'_>) -> Result<Vec<Value>, ArgsError> {
    struct Values<'a>(&'a Source<'a>);
    impl<'de> Visitor<'de> for Values<'_> {
        type Value = Vec<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("arguments")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Value>, A::Error> {
            if self.0.named {
                seq.next_element::<IgnoredAny>()?;
            }
            let mut values = Vec::new();
            while let Some(value) = seq.next_element_seed(ValueVisitor(self.0.attachments))? {
                values.push(value);
            }
            Ok(values)
        }
    }
    reader(source.array).deserialize_seq(Values(source)).map_err(|error| invalid(0, &error, source.start))
}

/// [`Args::deserialize`](super::Args::deserialize) as if there were attachments, to compare.
#[cfg(any(test, fuzzing))]
pub(crate) fn deserialize_resolving<T: serde::de::DeserializeOwned>(args: &super::Args) -> Result<T, ArgsError> {
    read(&Source { resolve: true, ..args.source() })
}

/// The number of arguments.
pub(super) fn count(source: &Source<'_>) -> usize {
    struct Count;
    impl<'de> Visitor<'de> for Count {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("arguments")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
            let mut count = 0_usize;
            while seq.next_element::<IgnoredAny>()?.is_some() {
                count = count.saturating_add(1);
            }
            Ok(count)
        }
    }
    reader(source.array)
        .deserialize_seq(Count)
        // The text was validated when it arrived.
        .unwrap_or_default()
        .saturating_sub(usize::from(source.named))
}

/// How far the reading has come, for errors.
#[derive(Default)]
struct Progress {
    index: Cell<usize>,
    /// How many arguments the type takes, set when one is missing.
    missing: Cell<Option<usize>>,
    /// Whether positions count from the array's beginning.
    in_array: Cell<bool>,
}

impl Progress {
    fn explain(&self, source: &Source<'_>, error: &Error) -> ArgsError {
        let index = self.index.get();
        match self.missing.get() {
            Some(expected) => ArgsError::Missing { index, expected },
            None if self.in_array.get() => invalid(index, error, source.start),
            None => invalid(index, error, 0),
        }
    }
}

/// `offset`: the bytes of the first line that stand in front of what positions refer to.
fn invalid(index: usize, error: &Error, offset: usize) -> ArgsError {
    let (line, mut column) = (error.line(), error.column());
    if line == 1 {
        column = column.saturating_sub(offset);
    }
    let text = error.to_string();
    // serde_json appends the position, which stands in fields of its own here.
    let reason = match text.rsplit_once(" at line ") {
        Some((reason, _)) if line > 0 => reason,
        _ => text.as_str(),
    };
    ArgsError::Invalid {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        reason: bounded(&reason),
    }
}

#[derive(Clone, Copy)]
struct ArgList<'a, 'de> {
    source: &'a Source<'de>,
    progress: &'a Progress,
}

impl<'de> ArgList<'_, 'de> {
    /// The first argument.
    fn first(&self) -> Result<serde_json::Deserializer<SliceRead<'de>>, Error> {
        if self.source.raw.is_empty() {
            return Err(self.progress.lacks(0, 1));
        }
        // What follows the first argument is not looked at.
        Ok(reader(self.source.raw))
    }
}

impl Progress {
    fn lacks<E: serde::de::Error>(&self, index: usize, expected: usize) -> E {
        self.index.set(index);
        self.missing.set(Some(expected));
        E::custom("an argument is missing")
    }
}

/// Hands a call over to the first argument.
macro_rules! first {
    ($($method:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, Error> {
            let mut json = self.first()?;
            if self.source.resolve {
                Resolve::new(&mut json, self.source.attachments).$method($($arg,)* visitor)
            } else {
                json.$method($($arg,)* visitor)
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ArgList<'_, 'de> {
    type Error = Error;

    first! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.progress.in_array.set(true);
        let mut taken = None;
        let result = reader(self.source.array).deserialize_seq(Take { list: self, len, visitor, taken: &mut taken });
        match (taken, result) {
            // serde_json complains of arguments that nobody wants: not to read them is the point.
            (Some(value), _) => Ok(value),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(self.progress.lacks(0, len)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.source.raw.is_empty() {
            return visitor.visit_none();
        }
        let mut json = self.first()?;
        if self.source.resolve {
            Resolve::new(&mut json, self.source.attachments).deserialize_option(visitor)
        } else {
            json.deserialize_option(visitor)
        }
    }
}

/// Visits the array, and leaves what it made in `taken`, whatever serde_json says of the rest.
struct Take<'a, 'de, 't, V: Visitor<'de>> {
    list: ArgList<'a, 'de>,
    len: usize,
    visitor: V,
    taken: &'t mut Option<V::Value>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Take<'_, 'de, '_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.list.source.named {
            seq.next_element::<IgnoredAny>()?;
        }
        *self.taken = Some(self.visitor.visit_seq(InTurn { seq, list: self.list, next: 0, len: self.len })?);
        Ok(())
    }
}

/// The arguments, and `None`s after the last.
struct InTurn<'a, 'de, A> {
    seq: A,
    list: ArgList<'a, 'de>,
    next: usize,
    len: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for InTurn<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let index = self.next;
        if index >= self.len {
            return Ok(None);
        }
        self.next = index.saturating_add(1);
        self.list.progress.index.set(index);
        let mut seed = Some(seed);
        let given = Once(&mut seed);
        let found = if self.list.source.resolve {
            let attachments = self.list.source.attachments;
            self.seq.next_element_seed(ResolveSeed::new(given, attachments))
        } else {
            self.seq.next_element_seed(given)
        }?;
        match (found, seed) {
            (None, Some(seed)) => seed
                .deserialize(Missing { progress: self.list.progress, index, expected: self.len, error: PhantomData })
                .map(Some),
            (found, _) => Ok(found),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len.saturating_sub(self.next))
    }
}

/// A seed that is still there if there was no element for it.
struct Once<'a, T>(&'a mut Option<T>);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Once<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(serde::de::Error::custom("an element is read twice")),
        }
    }
}

/// An argument that was not sent (`undefined` in JavaScript): nothing, for those who can take that.
struct Missing<'a, E> {
    progress: &'a Progress,
    index: usize,
    expected: usize,
    error: PhantomData<E>,
}

impl<'de, E: serde::de::Error> Deserializer<'de> for Missing<'_, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, E> {
        Err(self.progress.lacks(self.index, self.expected))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}
