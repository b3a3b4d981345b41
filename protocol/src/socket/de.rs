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

use super::{ArgsError, Value, args::bounded, json::is_space, resolve::Resolve, scan::plain_len, value::ValueVisitor};

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

/// How far the reading has come.
#[derive(Default)]
struct Progress {
    index: Cell<usize>,
    /// How many arguments the type takes, set when one is missing.
    missing: Cell<Option<usize>>,
    /// Where the argument that is being read begins in the text of the arguments: positions count from there.
    begin: Cell<usize>,
    /// Up to where that text is read.
    end: Cell<usize>,
    /// Whether an error without a position is at the end of what is read.
    positioned: Cell<bool>,
}

impl Progress {
    fn explain(&self, source: &Source<'_>, error: &Error) -> ArgsError {
        let index = self.index.get();
        if let Some(expected) = self.missing.get() {
            return ArgsError::Missing { index, expected };
        }
        let (line, column) = match error.line() {
            0 if self.positioned.get() => position(source.raw, self.end.get()),
            0 => (0, error.column()),
            line => {
                let (lines, columns) = position(source.raw, self.begin.get());
                let columns = if line == 1 { columns } else { 0 };
                (lines.saturating_add(line).saturating_sub(1), error.column().saturating_add(columns))
            }
        };
        refusal(index, error, line, column)
    }

    fn lacks<E: serde::de::Error>(&self, index: usize, expected: usize) -> E {
        self.index.set(index);
        self.missing.set(Some(expected));
        E::custom("an argument is missing")
    }
}

/// The line, from 1, and the column of the last of `count` bytes, from 1, as serde_json counts them.
fn position(text: &str, count: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..count).unwrap_or_default();
    let column = before.iter().rev().position(|byte| *byte == b'\n').unwrap_or(before.len());
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    (lines.saturating_add(1), column)
}

/// `offset`: the bytes of the first line that stand in front of what positions refer to.
fn invalid(index: usize, error: &Error, offset: usize) -> ArgsError {
    let (line, mut column) = (error.line(), error.column());
    if line == 1 {
        column = column.saturating_sub(offset);
    }
    refusal(index, error, line, column)
}

fn refusal(index: usize, error: &Error, line: usize, column: usize) -> ArgsError {
    let text = error.to_string();
    // serde_json appends the position, which stands in fields of its own here.
    let reason = match text.rsplit_once(" at line ") {
        Some((reason, _)) if error.line() > 0 => reason,
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

impl<'a, 'de> ArgList<'a, 'de> {
    /// The first argument. What follows it is not looked at.
    fn first(self) -> Result<Element<'a, 'de>, Error> {
        if self.source.raw.is_empty() {
            return Err(self.progress.lacks(0, 1));
        }
        Ok(Element(self))
    }
}

/// Hands a call over to the first argument.
macro_rules! first {
    ($($method:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, Error> {
            self.first()?.$method($($arg,)* visitor)
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
        let result = visitor.visit_seq(InTurn { list: self, next: 0, len });
        if result.is_err() {
            self.progress.positioned.set(true);
        }
        result
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
        self.first()?.deserialize_option(visitor)
    }
}

/// The arguments, and `None`s after the last.
struct InTurn<'a, 'de> {
    list: ArgList<'a, 'de>,
    next: usize,
    /// How many are asked for; `usize::MAX` are as many as there are.
    len: usize,
}

impl InTurn<'_, '_> {
    /// Goes to the next argument, if there is one. The text is valid: nothing but a comma is between two.
    fn advance(&self) -> bool {
        let ArgList { source, progress } = self.list;
        let rest = source.raw.get(progress.end.get()..).unwrap_or_default();
        let rest = rest.trim_start_matches(is_space);
        let rest = rest.strip_prefix(',').map_or(rest, |rest| rest.trim_start_matches(is_space));
        let begin = source.raw.len().saturating_sub(rest.len());
        progress.begin.set(begin);
        progress.end.set(begin);
        !rest.is_empty()
    }
}

impl<'de> SeqAccess<'de> for InTurn<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let (index, progress) = (self.next, self.list.progress);
        if index >= self.len {
            return Ok(None);
        }
        self.next = index.saturating_add(1);
        progress.index.set(index);
        if !self.advance() {
            if self.len == usize::MAX {
                return Ok(None);
            }
            let missing = Missing { progress, index, expected: self.len, error: PhantomData };
            return seed.deserialize(missing).map(Some);
        }
        let value = seed.deserialize(Element(self.list))?;
        if progress.end.get() == progress.begin.get() {
            // The seed did not care.
            Element(self.list).deserialize_ignored_any(IgnoredAny)?;
        }
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        (self.len != usize::MAX).then(|| self.len.saturating_sub(self.next))
    }
}

/// The argument at which the reading has come. serde_json reads it, but for strings without escapes: those are given as
/// they are, since they are known to be valid and to be UTF-8.
struct Element<'a, 'de>(ArgList<'a, 'de>);

impl<'de> Element<'_, 'de> {
    /// The argument and all that follows it.
    fn text(&self) -> &'de str {
        let ArgList { source, progress } = self.0;
        source.array.get(source.start.saturating_add(progress.begin.get())..).unwrap_or_default()
    }

    /// The argument, if it is a string without escapes.
    fn plain_string(&self) -> Option<&'de str> {
        let inner = self.text().strip_prefix('"')?;
        let (text, rest) = inner.split_at_checked(plain_len(inner.as_bytes()))?;
        rest.starts_with('"').then_some(text)
    }

    fn visit_plain<V: Visitor<'de>>(&self, text: &'de str, visitor: V) -> Result<V::Value, Error> {
        let Progress { begin, end, positioned, .. } = self.0.progress;
        end.set(begin.get().saturating_add(text.len()).saturating_add(2));
        let result = visitor.visit_borrowed_str(text);
        if result.is_err() {
            positioned.set(true);
        }
        result
    }

    /// Takes note of how far serde_json has read.
    fn read_by(&self, json: serde_json::Deserializer<SliceRead<'de>>) {
        let Progress { begin, end, .. } = self.0.progress;
        end.set(begin.get().saturating_add(json.into_iter::<IgnoredAny>().byte_offset()));
    }
}

/// Hands a call over to serde_json.
macro_rules! by_serde_json {
    ($($method:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, Error> {
            by_serde_json!(self, $method($($arg,)* visitor))
        }
    )*};
    ($self:ident, $method:ident($($arg:expr),*)) => {{
        let mut json = reader($self.text());
        let source = $self.0.source;
        let result = if source.resolve {
            Resolve::new(&mut json, source.attachments).$method($($arg),*)
        } else {
            json.$method($($arg),*)
        };
        $self.read_by(json);
        result
    }};
}

/// Strings without escapes are given as they are.
macro_rules! maybe_plain {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.plain_string() {
                Some(text) => self.visit_plain(text, visitor),
                None => by_serde_json!(self, $method(visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Element<'_, 'de> {
    type Error = Error;

    maybe_plain! {
        deserialize_any deserialize_char deserialize_str deserialize_string deserialize_identifier
    }

    by_serde_json! {
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
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_ignored_any();
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.text().starts_with('"') {
            return visitor.visit_some(self);
        }
        by_serde_json!(self, deserialize_option(visitor))
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

#[cfg(test)]
mod tests {
    use alloc::{borrow::Cow, format, string::String};
    use core::fmt::Debug;

    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::{Text, socket::Args};

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(try_from = "String")]
    struct Short(String);

    impl TryFrom<String> for Short {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            if text.len() < 3 { Ok(Self(text)) } else { Err("too long") }
        }
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Known {
        #[serde(rename = "ab")]
        Ab,
    }

    /// What serde_json makes of the arguments as an array, with the positions of the arguments.
    fn expected<T: DeserializeOwned>(raw: &str) -> Result<T, (usize, usize, String)> {
        let array = format!("[{raw}]");
        serde_json::from_slice::<T>(array.as_bytes()).map_err(|error| {
            let column = error.column() - usize::from(error.line() == 1);
            let text = error.to_string();
            let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
            (error.line(), column, reason.into())
        })
    }

    fn compare<T: DeserializeOwned + PartialEq + Debug>(raw: &str) -> Result<(), TestCaseError> {
        for head in ["[", "[ \"name\" , ", "[\"na\\nme\",\n"] {
            let array = Text::from(format!("{head}{raw}]"));
            let all = 0..array.len();
            let args = if head == "[" { Args::of_array(array) } else { Args::of_event(array, all, head.len()) };
            let found = args.deserialize_borrowed::<T>().map_err(|error| match error {
                ArgsError::Invalid { line, column, reason, .. } => {
                    (line as usize, column as usize, String::from(reason))
                }
                missing => panic!("{missing}"),
            });
            let mut expected = expected::<T>(raw);
            if let (Err((.., reason)), Err((line, column, _))) = (&found, &mut expected)
                && reason == "too long"
            {
                // serde_json has such errors of a type's own behind the bracket or comma that follows the argument.
                (*line, *column) = found.as_ref().map_or_else(|(line, column, _)| (*line, *column), |_| (0, 0));
            }
            prop_assert_eq!(found, expected, "{}", raw);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn two_arguments_are_read_as_by_serde_json(
            elements in prop::collection::vec(
                prop_oneof![
                    3 => "\"[a-c é]{0,3}\"",
                    1 => "\"[a-c]{60,140}\"",
                    1 => "\"a(\\\\n|\\\\\"|\\\\u00e9|\\\\ud83d\\\\ude00|\\\\ud800)[b-d]{0,3}\"",
                    2 => "-?[0-9]|300|1e999|1\\.5",
                    1 => prop::sample::select(&["null", "true", "[]", "[\"a\",\n\"b\" ]", "{\"a\" : \"b\"}", "{\n}"][..])
                        .prop_map(String::from),
                ],
                2,
            ),
            space in "[ \n\t]{0,2}",
        ) {
            let raw = format!("{}{space},{space}{}{space}", elements[0], elements[1]);
            compare::<(String, String)>(&raw)?;
            compare::<(u8, String)>(&raw)?;
            compare::<(String, Option<u8>)>(&raw)?;
            compare::<(Option<String>, Option<Option<String>>)>(&raw)?;
            compare::<(char, Known)>(&raw)?;
            compare::<(Short, Short)>(&raw)?;
            compare::<(Option<Short>, Known)>(&raw)?;
            compare::<(Cow<'static, str>, serde_json::Value)>(&raw)?;
            compare::<(serde_json::Value, Vec<String>)>(&raw)?;
            compare::<(IgnoredAny, alloc::collections::BTreeMap<String, String>)>(&raw)?;
            compare::<(bool, ())>(&raw)?;
            compare::<[Value; 2]>(&raw)?;
        }
    }

    /// Strings without escapes are borrowed from the message.
    #[test]
    fn plain_strings_are_borrowed() {
        let args = Args::of_event(Text::from("[\"name\" , \"first\" , 1, \"second\" ]"), 0..32, 10);
        let (first, one, second): (&str, u8, Option<&str>) = args.deserialize_borrowed().unwrap();
        assert_eq!((first, one, second), ("first", 1, Some("second")));
        assert_eq!(args.deserialize_borrowed::<&str>(), Ok("first"));
        assert_eq!(args.deserialize_borrowed::<Option<&str>>(), Ok(Some("first")));
    }
}
