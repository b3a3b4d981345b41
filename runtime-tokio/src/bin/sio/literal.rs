//! How arguments are written: as JSON, with binary in it.
//!
//! Binary is an object with one key: `{"$base64": ".."}`, `{"$hex": ".."}`, or `{"$file": ".."}` for what a file holds. So
//! that nothing is left that cannot be said, an object that only looks like one of these has one `$` more in front of its
//! key. [`show`](super::show) writes binary in the first form.

use std::{
    fs,
    io::{self, Read as _},
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use sockeye_tokio::{Object, Value};

/// What `--help` says of arguments.
pub(crate) const SYNTAX: &str = r#"Arguments:
  An ARG is JSON: 1, true, null, "a text", {"a": [1, 2]}. Binary, anywhere in it, is an object with
  one key: {"$base64": "AQID"}, {"$hex": "01 02 03"}, {"$file": "cat.png"} (what the file holds).
  An object that only looks like that has one $ more: {"$$hex": 1} is the object {"$hex": 1}.
  An ARG that begins with @ is binary as a whole, what a file holds: @cat.png"#;

pub(crate) const BASE64: &str = "$base64";
const HEX: &str = "$hex";
const FILE: &str = "$file";

/// Base64 with or without padding.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads one argument of the command line.
pub(crate) fn argument(text: &str) -> Result<Value, String> {
    match text.strip_prefix('@') {
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
            Ok(Bytes::from(bytes).into())
        }
        Some(file) => Ok(read(file)?.into()),
        None => json(text),
    }
}

/// Reads JSON.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| not_json(text, &error)).and_then(binary)
}

/// Reads arguments that are separated by white space.
pub(crate) fn arguments(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (value, after) = first(rest)?;
        values.push(value);
        rest = after.trim_start();
    }
    Ok(values)
}

/// Reads the first of several arguments. The second value is what follows.
fn first(text: &str) -> Result<(Value, &str), String> {
    if let Some(file) = text.strip_prefix('@') {
        let (file, rest) = word(file)?;
        return Ok((read(&file)?.into(), rest));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next().transpose().map_err(|error| not_json(text, &error))?.unwrap_or_default();
    let rest = text.get(values.byte_offset()..).unwrap_or_default();
    Ok((binary(value)?, rest))
}

/// Reads a name: up to the next white space, or a JSON text. The second value is what follows.
pub(crate) fn word(text: &str) -> Result<(String, &str), String> {
    if text.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let word = texts.next().transpose().map_err(|error| not_json(text, &error))?.unwrap_or_default();
        return Ok((word, text.get(texts.byte_offset()..).unwrap_or_default()));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    Ok((word.to_owned(), rest))
}

fn not_json(text: &str, error: &serde_json::Error) -> String {
    let hint =
        if text.starts_with(|c: char| c.is_alphabetic()) { r#" (a text is written in quotes: "..")"# } else { "" };
    format!("{text} is not JSON: {error}{hint}")
}

/// Puts binary in place of the objects that stand for it.
fn binary(value: Value) -> Result<Value, String> {
    Ok(match value {
        Value::Array(elements) => Value::Array(elements.into_iter().map(binary).collect::<Result<_, _>>()?),
        Value::Object(object) => {
            let mut entries: Vec<(String, Value)> = object.into_iter().collect();
            if let [(key, value)] = entries.as_mut_slice() {
                if let Some(bytes) = stands_for(key, value)? {
                    return Ok(bytes.into());
                }
                if looks_like(key) {
                    key.remove(0);
                }
            }
            let entries = entries.into_iter().map(|(key, value)| Ok((key, binary(value)?)));
            Value::Object(entries.collect::<Result<Object, String>>()?)
        }
        other => other,
    })
}

/// The bytes that an object with this one entry stands for.
fn stands_for(key: &str, value: &Value) -> Result<Option<Bytes>, String> {
    if ![BASE64, HEX, FILE].contains(&key) {
        return Ok(None);
    }
    let text = value.as_str().ok_or_else(|| format!("{key} has a text"))?;
    match key {
        BASE64 => ENGINE.decode(text).map(Bytes::from).map_err(|error| format!("{text:?} is not base64: {error}")),
        HEX => hex(text).map(Bytes::from).ok_or_else(|| format!("{text:?} is not hexadecimal")),
        _ => read(text),
    }
    .map(Some)
}

/// Whether a key needs another `$` not to be taken for binary.
pub(crate) fn looks_like(key: &str) -> bool {
    let name = key.trim_start_matches('$');
    key.starts_with('$') && [BASE64, HEX, FILE].iter().any(|known| known.strip_prefix('$') == Some(name))
}

/// Pairs of digits, with white space between them at will.
fn hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for run in text.split_ascii_whitespace() {
        let (pairs, []) = run.as_bytes().as_chunks::<2>() else { return None };
        for pair in pairs {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            bytes.push(u8::try_from(high? << 4 | low?).ok()?);
        }
    }
    Some(bytes)
}

fn read(file: &str) -> Result<Bytes, String> {
    fs::read(file).map(Bytes::from).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: &'static [u8]) -> Value {
        Bytes::from_static(bytes).into()
    }

    #[test]
    fn an_argument_is_json_with_binary_in_it() {
        for (text, expected) in [
            ("1", Value::from(1)),
            ("null", Value::Null),
            (r#""a""#, "a".into()),
            (r#"{"$base64":"AQID"}"#, bytes(&[1, 2, 3])),
            (r#"{"$base64":"AQI="}"#, bytes(&[1, 2])),
            (r#"{"$base64":"AQI"}"#, bytes(&[1, 2])),
            (r#"{"$hex":""}"#, bytes(&[])),
            (r#"{"$hex":"00fF 10\n0a"}"#, bytes(&[0, 255, 16, 10])),
            (r#"{"a":[{"$hex":"01"}]}"#, Object::from_iter([("a", vec![bytes(&[1])])]).into()),
            (r#"{"$hex":"01","b":1}"#, Object::from_iter([("$hex", Value::from("01")), ("b", 1.into())]).into()),
            (r#"{"$$hex":1}"#, Object::from_iter([("$hex", 1)]).into()),
            (r#"{"$$$hex":{"$hex":"01"}}"#, Object::from_iter([("$$hex", bytes(&[1]))]).into()),
            (r#"{"$other":1}"#, Object::from_iter([("$other", 1)]).into()),
        ] {
            assert_eq!(argument(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_argument_is_told() {
        for (text, why) in [
            ("hello", "hello is not JSON: expected value at line 1 column 1 (a text is written in quotes: \"..\")"),
            ("{", "{ is not JSON: EOF while parsing an object at line 1 column 1"),
            ("1 2", "1 2 is not JSON: trailing characters at line 1 column 3"),
            (r#"{"$hex":1}"#, "$hex has a text"),
            (r#"{"$hex":"012"}"#, r#""012" is not hexadecimal"#),
            (r#"[{"$hex":"0g"}]"#, r#""0g" is not hexadecimal"#),
            (r#"{"$hex":"+1"}"#, r#""+1" is not hexadecimal"#),
            (r#"{"$base64":"A"}"#, r#""A" is not base64: Invalid input length: 1"#),
            ("@", ": No such file or directory (os error 2)"),
            (r#"{"$file":"/no/such"}"#, "/no/such: No such file or directory (os error 2)"),
        ] {
            assert_eq!(argument(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn arguments_are_separated_by_white_space() {
        let a = Object::from_iter([("a", 1)]);
        assert_eq!(arguments(""), Ok(vec![]));
        assert_eq!(
            arguments(r#"  1 "two"{"a": 1}[] "#),
            Ok(vec![1.into(), "two".into(), a.into(), Value::Array(vec![])])
        );
        let file = std::env::temp_dir().join(format!("sio {}", std::process::id()));
        fs::write(&file, [7]).unwrap();
        let named = format!("@{} 1", serde_json::to_string(&file).unwrap());
        assert_eq!(arguments(&named), Ok(vec![bytes(&[7]), 1.into()]));
        fs::remove_file(&file).unwrap();
        assert_eq!(arguments("1 2x").unwrap_err(), "2x is not JSON: trailing characters at line 1 column 2");
        assert_eq!(word(r#""a b" 1"#), Ok(("a b".to_owned(), " 1")));
        assert_eq!(word("a:b\t1"), Ok(("a:b".to_owned(), "\t1")));
    }
}
