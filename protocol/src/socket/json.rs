//! What the layer needs to know of JSON text beyond what serde_json says: its depth, where an array's elements begin,
//! and how to replace the tokens that JavaScript accepts and Rust types cannot hold.

use alloc::string::String;

use serde::{Deserialize as _, de::IgnoredAny};

use super::{DecodeError, scan};
use crate::Text;

/// The nesting that is refused, as by serde_json, whose parser recurses: there must be fewer levels than this.
/// (JavaScript has no bound, and overflows its stack on re-emitting.)
pub(super) const DEPTH: usize = 128;

/// Checks that `text` is one JSON value that is not nested too deeply.
///
/// Strings with lone surrogates (`"\ud800"`) and numbers out of range (`1e999`) pass: JavaScript peers may send them.
pub(super) fn validate(text: &str) -> Result<(), DecodeError> {
    if scan::is_valid(text) {
        return Ok(());
    }
    // What is wrong, and where, is for serde_json to say. It skips values without recursion and so without its limit, but
    // nobody could read them.
    if is_too_deep(text.as_bytes()) {
        return Err(DecodeError::TooDeep { limit: DEPTH });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut json).and_then(|_| json.end()).map_err(DecodeError::json)
}

/// Whether JSON text has [`DEPTH`] levels of arrays and objects.
pub(super) fn is_too_deep(json: &[u8]) -> bool {
    // Hardly any packet has that many brackets at all, and counting them is vectorised: in bytes, of pieces that cannot
    // overflow one. The two brackets differ in one bit, which is set in `{`.
    let count = |piece: &[u8]| piece.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(byte | 0x20 == b'{')));
    let mut opening = 0_usize;
    for piece in json.chunks(128) {
        opening = opening.saturating_add(usize::from(count(piece)));
    }
    if opening < DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                if depth >= DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// JSON's white space (RFC 8259 section 2).
pub(super) const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// The first element of a valid, trimmed JSON array, which is in `text`, if it can name an event, with the offset in the
/// array at which the next element, or the closing bracket, begins.
pub(super) fn event_name(text: &Text, array: &str) -> Option<(Text, usize)> {
    let first = array.strip_prefix('[')?.trim_start_matches(is_space);
    let (token, name) = match first.as_bytes().first()? {
        b'"' => {
            let token = string_token(first)?;
            let inner = token.get(1..token.len().saturating_sub(1))?;
            if scan::plain_len(inner.as_bytes()) < inner.len() {
                (token, Text::from(unescape(token)?))
            } else {
                (token, text.slice_ref(inner))
            }
        }
        b'-' | b'0'..=b'9' => {
            let token = number_token(first);
            (token, text.slice_ref(token))
        }
        _ => return None,
    };
    let rest = first.get(token.len()..)?.trim_start_matches(is_space);
    let rest = rest.strip_prefix(',').map_or(rest, |rest| rest.trim_start_matches(is_space));
    Some((name, array.len().checked_sub(rest.len())?))
}

/// A copy of valid JSON text in which lone surrogates are U+FFFD and numbers out of range `null` (as JavaScript writes
/// infinity), or `None` if there are none.
pub(super) fn sanitise(json: &str) -> Option<String> {
    let mut clean = String::new();
    let (mut copied, mut at, mut in_string) = (0_usize, 0_usize, false);
    while let Some(rest) = json.get(at..)
        && let Some(&first) = rest.as_bytes().first()
    {
        let (length, replacement) = match first {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => {
                let escape = escape(rest);
                let lone = escape.len() == 6 && surrogate(escape).is_some();
                (escape.len(), lone.then_some("\\ufffd"))
            }
            _ if in_string => (rest.find(['"', '\\']).unwrap_or(rest.len()), None),
            b'-' | b'0'..=b'9' => {
                let number = number_token(rest);
                // serde_json's own judgement, so that nothing it accepts is changed.
                let bad = serde_json::from_str::<f64>(number).is_err();
                (number.len(), bad.then_some("null"))
            }
            _ => {
                let next = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
                (next.unwrap_or(rest.len()), None)
            }
        };
        let next = at.saturating_add(length.max(1));
        if let Some(replacement) = replacement {
            clean.push_str(json.get(copied..at).unwrap_or_default());
            clean.push_str(replacement);
            copied = next;
        }
        at = next;
    }
    if copied == 0 {
        return None;
    }
    clean.push_str(json.get(copied..).unwrap_or_default());
    Some(clean)
}

/// The text of a JSON string, with U+FFFD for lone surrogates.
fn unescape(token: &str) -> Option<String> {
    match serde_json::from_str(token) {
        Ok(text) => Some(text),
        Err(_) => serde_json::from_str(&sanitise(token)?).ok(),
    }
}

/// The string, quotes included, that `text` begins with.
fn string_token(text: &str) -> Option<&str> {
    let mut at = 1_usize;
    loop {
        let end = at.checked_add(scan::plain_len(text.as_bytes().get(at..)?))?;
        match text.as_bytes().get(end)? {
            b'"' => return text.get(..end.checked_add(1)?),
            // A backslash and the character that it escapes, which is ASCII.
            _ => at = end.checked_add(2)?,
        }
    }
}

/// The number that `text` begins with.
fn number_token(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The escape that `text` begins with; both halves of a surrogate pair are one (RFC 8259 section 7).
fn escape(text: &str) -> &str {
    let length = match surrogate(text) {
        Some(0xD800..=0xDBFF) if matches!(text.get(6..).and_then(surrogate), Some(0xDC00..=0xDFFF)) => 12,
        _ if text.starts_with("\\u") => 6,
        _ => 2,
    };
    text.get(..length).unwrap_or(text)
}

/// The surrogate that `text` begins with the escape of, if it does.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_and_numbers_out_of_range_are_replaced() {
        for (json, clean) in [
            (r#"["a",1,-2.5e3,true]"#, None),
            (r#"["\ud83d\ude00","\u00e9","\\ud800","1e999"]"#, None),
            (r#"["\ud800"]"#, Some(r#"["\ufffd"]"#)),
            (r#"["é\uDFFFé\n"]"#, Some(r#"["é\ufffdé\n"]"#)),
            (r#"["\ud800\ud800\udc00"]"#, Some(r#"["\ufffd\ud800\udc00"]"#)),
            (r#"["\ud800\u0041\\"]"#, Some(r#"["\ufffd\u0041\\"]"#)),
            ("[1e999,-1E+400,1]", Some("[null,null,1]")),
            (r#"{"\udc00":1e999}"#, Some(r#"{"\ufffd":null}"#)),
            ("1e999", Some("null")),
        ] {
            assert_eq!(sanitise(json).as_deref(), clean, "{json}");
            let text = clean.unwrap_or(json);
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn names_and_where_the_arguments_begin() {
        for (array, name) in [
            (r#"["a"]"#, Some(("a", "]"))),
            (r#"["a",1]"#, Some(("a", "1]"))),
            (" [\"a\" , 1]", None),
            ("[ \"a\" ,\t1 ]", Some(("a", "1 ]"))),
            ("[ \"a\" ]", Some(("a", "]"))),
            (r#"["a\"b\\",1]"#, Some(("a\"b\\", "1]"))),
            (r#"["\ud800x",1]"#, Some(("\u{fffd}x", "1]"))),
            (r#"["",[]]"#, Some(("", "[]]"))),
            ("[1]", Some(("1", "]"))),
            ("[-1.5e2,2]", Some(("-1.5e2", "2]"))),
            ("[]", None),
            ("[null]", None),
            (r#"[{"toString":"x"}]"#, None),
        ] {
            let array = Text::from(array);
            let found = event_name(&array, &array);
            let found = found.as_ref().map(|(n, at)| (n.as_str(), &array[*at..]));
            assert_eq!(found, name, "{array}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        assert!(!is_too_deep(nested(127).as_bytes()));
        assert!(is_too_deep(nested(128).as_bytes()));
        let flat = ["[", &"[],".repeat(200), "\"", &"[".repeat(200), "\\\"[\"]"].concat();
        assert!(!is_too_deep(flat.as_bytes()));
    }
}
