//! From types to JSON with placeholders.

#[cfg(feature = "std")]
mod argument;
mod binary;
#[cfg(not(feature = "std"))]
mod shape;

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
#[cfg(feature = "std")]
use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Error;

#[cfg(feature = "std")]
use self::argument::{Argument, Json};
use super::{json::DEPTH, scan::plain_len};

/// What serialising has given.
#[derive(Debug)]
pub(super) struct Serialized {
    pub(super) json: Vec<u8>,
    /// Where the arguments begin.
    pub(super) start: usize,
    /// Whether there may be [`DEPTH`] levels in it.
    pub(super) may_be_deep: bool,
    /// How many attachments there are.
    pub(super) found: usize,
    /// The attachments within the limit.
    pub(super) attachments: Vec<Bytes>,
}

/// Serialises arguments, behind a name if there is one, as an array. It is written into `memory`.
pub(super) fn array<T: Serialize + ?Sized>(
    mut memory: Vec<u8>,
    name: Option<&str>,
    value: &T,
    max_attachments: usize,
) -> Result<Serialized, Error> {
    memory.clear();
    memory.reserve(ROOM);
    memory.push(b'[');
    if let Some(name) = name {
        quote(name, &mut memory);
        memory.push(b',');
    }
    let start = memory.len();
    let sink = Sink::new(memory, max_attachments);
    sink.count(1);
    sink.argument(value, true)?;
    let mut serialized = sink.finish(start);
    if serialized.json.len() == start && name.is_some() {
        // There are none, and the comma goes with them.
        serialized.json.pop();
        serialized.start = serialized.json.len();
    }
    serialized.json.push(b']');
    Ok(serialized)
}

/// Serialises a value as it is.
pub(super) fn alone<T: Serialize + ?Sized>(value: &T) -> Result<Serialized, Error> {
    let sink = Sink::new(Vec::with_capacity(ROOM), 0);
    sink.argument(value, false)?;
    Ok(sink.finish(0))
}

/// Most packets are shorter.
const ROOM: usize = 128;

/// What is written, and where attachments go, depth first.
struct Sink {
    out: RefCell<Vec<u8>>,
    /// How many arrays and objects have begun, or more.
    openings: Cell<usize>,
    limit: usize,
    found: Cell<usize>,
    attachments: Cell<Vec<Bytes>>,
}

impl Sink {
    const fn new(memory: Vec<u8>, limit: usize) -> Self {
        Self {
            out: RefCell::new(memory),
            openings: Cell::new(0),
            limit,
            found: Cell::new(0),
            attachments: Cell::new(Vec::new()),
        }
    }

    /// Writes a value as one argument, or where it may `spread`, a tuple as several.
    #[cfg(feature = "std")]
    fn argument<T: Serialize + ?Sized>(&self, value: &T, spread: bool) -> Result<(), Error> {
        let mut json: Json<'_> = serde_json::Serializer::with_formatter(Out(&self.out), Counting(self));
        value.serialize(Argument { json: &mut json, sink: self, spread })
    }

    #[cfg(not(feature = "std"))]
    fn argument<T: Serialize + ?Sized>(&self, value: &T, spread: bool) -> Result<(), Error> {
        let json = serde_json::to_vec(&binary::WithBinary { value, sink: self })?;
        let written = match shape::of(value) {
            shape::Shape::Tuple if spread => json.get(1..json.len().saturating_sub(1)).unwrap_or_default(),
            shape::Shape::Unit if spread => &[],
            _ => &json[..],
        };
        self.count(written.len());
        self.out.borrow_mut().extend_from_slice(written);
        Ok(())
    }

    /// Writes a string.
    #[cfg(feature = "std")]
    fn quote(&self, text: &str) {
        quote(text, &mut self.out.borrow_mut());
    }

    /// Takes an attachment, and writes its placeholder.
    #[cfg(feature = "std")]
    fn place(&self, bytes: &[u8]) {
        let num = self.push(bytes);
        let mut out = self.out.borrow_mut();
        out.extend_from_slice(br#"{"_placeholder":true,"num":"#);
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(num).as_bytes());
        out.push(b'}');
    }

    /// Writes a string in pieces that need no escape, where serde_json looks at each byte: an empty string is written,
    /// and filled.
    #[cfg(feature = "std")]
    fn fill<T, E>(&self, value: &str, write: impl FnOnce(&str) -> Result<T, E>) -> Result<T, E> {
        let before = self.out.borrow().len();
        let written = write("")?;
        let mut out = self.out.borrow_mut();
        out.reserve(value.len().saturating_add(BEHIND));
        if out.len() > before && out.pop().is_some() {
            escape(value, &mut out);
            out.push(b'"');
        } else {
            // Within a `RawValue` text is written as it is, without quotes.
            out.extend_from_slice(value.as_bytes());
            self.count(value.len());
        }
        Ok(written)
    }

    fn count(&self, openings: usize) {
        self.openings.set(self.openings.get().saturating_add(openings));
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

    fn finish(self, start: usize) -> Serialized {
        Serialized {
            json: self.out.into_inner(),
            start,
            // There cannot be more levels than brackets that were written.
            may_be_deep: self.openings.get() >= DEPTH,
            found: self.found.get(),
            attachments: self.attachments.into_inner(),
        }
    }
}

/// Room for what follows a long string, so that a short end does not move it.
const BEHIND: usize = 16;

/// Appends to what the sink holds.
#[cfg(feature = "std")]
struct Out<'a>(&'a RefCell<Vec<u8>>);

#[cfg(feature = "std")]
impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
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

/// Appends a string as it stands in JSON.
pub(super) fn quote(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len().saturating_add(BEHIND));
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends a string's text as it stands in JSON, with the escapes that serde_json writes.
fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((plain, after)) = rest.split_at_checked(plain_len(rest)) {
        out.extend_from_slice(plain);
        let Some((special, after)) = after.split_first() else {
            return;
        };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                let digit = |value: u8| if value < 10 { b'0' | value } else { (b'a' - 10).wrapping_add(value) };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = after;
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::string::{String, ToString as _};

    use proptest::prelude::*;

    use super::*;

    fn written(value: &(impl Serialize + ?Sized)) -> String {
        String::from_utf8(alone(value).unwrap().json).unwrap()
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
            let mut escaped = Vec::new();
            quote(&text, &mut escaped);
            prop_assert_eq!(escaped, expected.as_bytes());
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
