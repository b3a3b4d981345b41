//! How what arrives is shown: for people, and as JSON for programs. Neither lets a server write to the terminal what is
//! not text.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::ser::Formatter;
use sockeye_tokio::{Object, Value};

use super::literal;

/// Bytes of binary that people see.
const BYTES: usize = 32;

/// Values for people, separated by spaces: JSON, with binary as `<3 bytes: 01 02 03>`.
pub(crate) fn people(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write_value(&mut out, value);
    }
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Binary(bytes) => {
            let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
            // Writing to a string does not fail, here and below.
            let _ = write!(out, "<{} {unit}", bytes.len());
            for (index, byte) in bytes.iter().take(BYTES).enumerate() {
                let _ = write!(out, "{}{byte:02x}", if index == 0 { ": " } else { " " });
            }
            out.push_str(if bytes.len() > BYTES { " ..>" } else { ">" });
        }
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, element);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&json(key));
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
        scalar => out.push_str(&json(scalar)),
    }
}

/// The name of an event: as it is where that is clear, else as a JSON text.
pub(crate) fn name(name: &str) -> String {
    let is_clear = |c: char| c.is_alphanumeric() || "_-.:/+*#$%&=?!".contains(c);
    if !name.is_empty() && name.chars().all(is_clear) { name.to_owned() } else { json(name) }
}

/// A text of the server, on one line.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if is_safe(c) => out.push(c),
            c => out.extend(c.escape_default()),
        }
    }
    out
}

/// JSON on one line, in ASCII where characters could be taken for commands to a terminal.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    match value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Safe)) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        // Only types of ours whose keys are no texts.
        Err(error) => json(&error.to_string()),
    }
}

/// The values with binary as [`literal`] reads it.
pub(crate) fn programs(values: &[Value]) -> Value {
    Value::Array(values.iter().map(plain).collect())
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Binary(bytes) => Object::from_iter([(literal::BASE64, STANDARD.encode(&**bytes))]).into(),
        Value::Array(elements) => programs(elements),
        Value::Object(object) => {
            let is_alone = object.len() == 1;
            let entries = object.iter().map(|(key, value)| {
                let more = if is_alone && literal::looks_like(key) { "$" } else { "" };
                ([more, key].concat(), plain(value))
            });
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// Whether a terminal shows this character, and does nothing else. (The others change the direction of writing, or are
/// taken for the end of a line.)
fn is_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_safe(*c)) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            // All of them have four digits.
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn values() -> Vec<Value> {
        let mut object = Object::from_iter([("text", Value::from("a\n\u{9b}b\u{202e}\u{7f}\u{1f600}"))]);
        object.insert("bytes", Bytes::from_static(&[0, 255]));
        vec![
            Value::Null,
            object.into(),
            vec![Value::from(1.5), Bytes::new().into(), Object::from_iter([("$hex", 1)]).into()].into(),
            Bytes::from(vec![7; 33]).into(),
        ]
    }

    #[test]
    fn people_see_json_and_the_bytes_of_binary() {
        let sevens = ["07"; 32].join(" ");
        let expected = format!(
            r#"null {{"text":"a\n\u009bb\u202e\u007f{}","bytes":<2 bytes: 00 ff>}} [1.5,<0 bytes>,{{"$hex":1}}] <33 bytes: {sevens} ..>"#,
            '\u{1f600}'
        );
        assert_eq!(people(&values()), expected);
        assert_eq!(people(&[Bytes::from_static(&[1]).into()]), "<1 byte: 01>");
        assert_eq!(people(&[]), "");
    }

    #[test]
    fn programs_see_what_can_be_sent_again() {
        let json = json(&programs(&values()));
        assert!(json.is_ascii() || json.contains('\u{1f600}'));
        assert!(json.contains(r#""bytes":{"$base64":"AP8="}"#) && json.contains(r#"{"$$hex":1}"#), "{json}");
        let Ok(Value::Array(again)) = literal::argument(&json) else { panic!("{json}") };
        assert_eq!(again, values());
    }

    #[test]
    fn names_and_texts_have_no_commands_for_terminals() {
        assert_eq!(name("chat:say"), "chat:say");
        assert_eq!(name(""), r#""""#);
        assert_eq!(name("a b"), r#""a b""#);
        assert_eq!(name("a\u{1b}[2J"), r#""a\u001b[2J""#);
        assert_eq!(text("no\n\u{1b}[2J\u{202e}"), r"no\n\u{1b}[2J\u{202e}");
    }
}
