//! JSON text at a glance: valid packets are accepted in one pass that looks at strings in vectors.

use super::json::DEPTH;

/// Whether `text` is one JSON value with fewer than [`DEPTH`] levels of arrays and objects, as
/// [`validate`](super::json::validate) has it. Without recursion.
pub(super) fn is_valid(text: &str) -> bool {
    values(text.as_bytes(), 0, 0, false) == Some(())
}

/// The name in the array of an event, and where its arguments begin: `None` if it is not valid, or begins with something else
/// than a string without escapes.
pub(super) fn event(array: &str) -> Option<(&str, usize)> {
    let bytes = array.as_bytes();
    let [b'[', b'"', after @ ..] = bytes else { return None };
    let len = plain_len(after);
    let rest = skip_space(after.get(len..)?.strip_prefix(b"\"")?);
    values(rest, 0, 1, true)?;
    let rest = rest.strip_prefix(b",").map_or(rest, skip_space);
    Some((array.get(2..len.checked_add(2)?)?, bytes.len().checked_sub(rest.len())?))
}

/// How many bytes in front stand in a JSON string as they are: neither a quote, nor a backslash, nor a control character
/// (RFC 8259 section 7).
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Most strings are short, and escapes often come close to one another: a few words first.
    for _ in 0..4 {
        let Some((word, after)) = rest.split_first_chunk() else { return plain_len_of_end(bytes) };
        if let Some(before) = plain_in_word(*word) {
            return bytes.len().saturating_sub(rest.len()).saturating_add(before);
        }
        rest = after;
    }
    while let Some((piece, after)) = rest.split_first_chunk()
        && is_plain_piece(piece)
    {
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk() {
        if let Some(before) = plain_in_word(*word) {
            return bytes.len().saturating_sub(rest.len()).saturating_add(before);
        }
        rest = after;
    }
    plain_len_of_end(bytes)
}

/// The same where all but the last seven bytes are known to be plain; of fewer than eight none need be.
fn plain_len_of_end(bytes: &[u8]) -> usize {
    let len = bytes.len();
    if let Some(word) = bytes.last_chunk() {
        return plain_in_word(*word).map_or(len, |before| len.saturating_add(before).saturating_sub(8));
    }
    if let (Some([a, b, c, d]), Some([e, f, g, h])) = (bytes.first_chunk(), bytes.last_chunk()) {
        // The halves overlap, since there are fewer than eight.
        return match plain_in_word([*a, *b, *c, *d, *e, *f, *g, *h]) {
            None => len,
            Some(before @ 0..4) => before,
            Some(before) => len.saturating_add(before).saturating_sub(8),
        };
    }
    bytes.iter().position(|byte| is_special(*byte)).unwrap_or(len)
}

/// How many bytes are in front of the first special one, if there is one.
const fn plain_in_word(word: [u8; 8]) -> Option<usize> {
    match special(u64::from_le_bytes(word)) {
        0 => None,
        // The lowest mark is right, those above may be set by it.
        marks => Some((marks.trailing_zeros() / 8) as usize),
    }
}

/// Without branches, for the compiler to make vectors of.
fn is_plain_piece(piece: &[u8; 64]) -> bool {
    !piece.iter().fold(false, |any, byte| any | is_special(*byte))
}

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Marks special bytes by their highest bit ("determine if a word has a byte less than n", Bit Twiddling Hacks).
const fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_ne_bytes([0x20; 8]);
    let (quotes, backslashes) = (word ^ QUOTES, word ^ BACKSLASHES);
    let control = word.wrapping_sub(SPACES) & !word;
    (control | (quotes.wrapping_sub(ONES) & !quotes) | (backslashes.wrapping_sub(ONES) & !backslashes)) & HIGH
}

/// Reads values to the end of the text. `open` has a bit for each of `depth` levels that are open, the innermost lowest,
/// set for objects; `behind` tells whether a value has just ended.
fn values(mut rest: &[u8], mut open: u128, mut depth: usize, mut behind: bool) -> Option<()> {
    loop {
        rest = skip_space(rest);
        if behind {
            if depth == 0 {
                return rest.is_empty().then_some(());
            }
            let in_object = open & 1 == 1;
            match rest {
                [b',', after @ ..] => {
                    rest = if in_object { key(skip_space(after))? } else { after };
                    behind = false;
                    continue;
                }
                [b'}', after @ ..] if in_object => rest = after,
                [b']', after @ ..] if !in_object => rest = after,
                _ => return None,
            }
            depth = depth.saturating_sub(1);
            open = open.wrapping_shr(1);
            continue;
        }
        behind = true;
        let (kind, end, inside) = match rest {
            [b'"', after @ ..] => {
                rest = string(after)?;
                continue;
            }
            [b'[', after @ ..] => (0, b']', skip_space(after)),
            [b'{', after @ ..] => (1, b'}', skip_space(after)),
            [b't', b'r', b'u', b'e', after @ ..]
            | [b'n', b'u', b'l', b'l', after @ ..]
            | [b'f', b'a', b'l', b's', b'e', after @ ..] => {
                rest = after;
                continue;
            }
            _ => {
                rest = number(rest)?;
                continue;
            }
        };
        if depth.saturating_add(1) >= DEPTH {
            return None;
        }
        match inside.split_first() {
            Some((first, after)) if *first == end => rest = after,
            _ => {
                depth = depth.saturating_add(1);
                open = open.wrapping_shl(1) | kind;
                rest = if kind == 1 { key(inside)? } else { inside };
                behind = false;
            }
        }
    }
}

/// What follows a key and its colon.
fn key(text: &[u8]) -> Option<&[u8]> {
    let rest = string(text.strip_prefix(b"\"")?)?;
    skip_space(rest).strip_prefix(b":")
}

/// What follows a string whose first quote is in front of `rest`.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = rest.get(plain_len(rest)..)?;
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after @ ..] => after,
            // Halves of surrogate pairs pass, too.
            [b'\\', b'u', a, b, c, d, after @ ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {
                after
            }
            _ => return None,
        };
    }
}

/// What follows a number (RFC 8259 section 6), which may be out of any range.
fn number(text: &[u8]) -> Option<&[u8]> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match unsigned {
        [b'0', after @ ..] => after,
        _ => digits(unsigned)?,
    };
    if let [b'.', after @ ..] = rest {
        rest = digits(after)?;
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest = match after {
            [b'+' | b'-', after @ ..] => digits(after)?,
            _ => digits(after)?,
        };
    }
    Some(rest)
}

/// What follows at least one digit.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    if count == 0 { None } else { text.get(count..) }
}

fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = text {
        text = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use proptest::prelude::*;
    use serde::{Deserialize as _, de::IgnoredAny};

    use super::*;
    use crate::socket::json::is_too_deep;

    /// What was accepted before there was a scanner: serde_json's judgement and the depth.
    fn expected(text: &str) -> bool {
        let mut json = serde_json::Deserializer::from_str(text);
        !is_too_deep(text.as_bytes()) && IgnoredAny::deserialize(&mut json).and_then(|_| json.end()).is_ok()
    }

    /// JSON with what is rare in it, in any notation.
    fn json() -> impl Strategy<Value = String> {
        let string = prop::collection::vec(
            prop_oneof![
                6 => "[ -~é😀\u{7f}]{0,40}",
                1 => Just("\\ud800".into()),
                1 => Just("\\u00e9\\uDC00".into()),
                1 => "\\\\[\"\\\\/bfnrt]",
                1 => Just("x".repeat(200)),
            ],
            0..4,
        )
        .prop_map(|parts| {
            let text = parts.concat();
            // Quotes and backslashes that a part has brought along may or may not be right.
            ["\"", &text, "\""].concat()
        });
        let leaf = prop_oneof![
            string.clone(),
            "\"[a-z]{0,80}\"",
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            Just("1e999".into()),
            Just("true".into()),
            Just("false".into()),
            Just("null".into()),
        ];
        let space = "[ \t\n\r]{0,2}";
        leaf.prop_recursive(6, 40, 5, move |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..5), space).prop_map(|(elements, space)| [
                    "[",
                    &space,
                    &elements.join(&[&space, ","].concat()),
                    "]"
                ]
                .concat()),
                (prop::collection::vec(("\"[a-z\\\\\"]{0,4}\"", inner), 0..5), space).prop_map(|(members, space)| {
                    let members: Vec<_> =
                        members.iter().map(|(key, value)| [key, &space, ":", value].concat()).collect();
                    ["{", &members.join(","), &space, "}", &space].concat()
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn json_is_judged_as_by_serde_json(text in json()) {
            prop_assert_eq!(is_valid(&text), expected(&text), "{}", text);
        }

        #[test]
        fn mutated_json_is_judged_as_by_serde_json(
            text in json(),
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), 0_usize..3, "[\\[\\]{}\",:0-9eE.+\\-\\\\ua \n\t\u{0}\u{1f}tfnl]"),
                1..4,
            ),
        ) {
            let mut characters: Vec<char> = text.chars().collect();
            for (at, removed, inserted) in &edits {
                let at = at.index(characters.len() + 1);
                let end = (at + removed).min(characters.len());
                characters.splice(at..end, inserted.chars());
            }
            let text: String = characters.iter().collect();
            prop_assert_eq!(is_valid(&text), expected(&text), "{}", text);
        }

        #[test]
        fn tokens_in_any_order_are_judged_as_by_serde_json(
            tokens in prop::collection::vec(
                prop::sample::select(&[
                    "[", "]", "{", "}", "\"", "\"a\"", "\"b\":", ",", ":", "0", "-", "1", ".5", "e", "E+", "true", "nul", "null",
                    "\\", "\\u12", "\\u00Ff", " ", "\n", "\u{b}", "é", "\u{feff}", "//",
                ][..]),
                0..12,
            ),
        ) {
            let text = tokens.concat();
            prop_assert_eq!(is_valid(&text), expected(&text), "{}", text);
        }

        #[test]
        fn the_first_special_byte_is_found(
            plain in "[ !#-\\[\\]-~é😀\u{7f}\u{80}]{0,200}",
            special in prop::sample::select(&b"\"\\\0\x1f\n"[..]),
            rest: Vec<u8>,
        ) {
            let mut bytes = plain.clone().into_bytes();
            prop_assert_eq!(plain_len(&bytes), bytes.len());
            bytes.push(special);
            bytes.extend(rest);
            prop_assert_eq!(plain_len(&bytes), plain.len());
        }
    }

    #[test]
    fn every_byte_is_special_or_not_at_every_place() {
        for byte in 0..=u8::MAX {
            // Around the ends of halves, of words, of the words in front, and of pieces.
            for len in (1..=17).chain([31, 32, 33, 39, 40, 41, 63, 64, 65, 71, 95, 96, 97, 103, 104, 130]) {
                for at in 0..len {
                    for filler in [b'a', b'!', 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; len];
                        bytes[at] = byte;
                        let expected = if byte < 0x20 || byte == b'"' || byte == b'\\' { at } else { len };
                        assert_eq!(plain_len(&bytes), expected, "{byte} at {at} of {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        for (begin, end) in [("[", "]"), ("{\"a\":", "}"), ("[ [", "] ]"), ("[{\"\":", "}]")] {
            for levels in 60..132 {
                for inner in ["", "1", "[]", "{}", "[],{}"] {
                    let text = [&begin.repeat(levels), inner, &end.repeat(levels)].concat();
                    assert_eq!(is_valid(&text), expected(&text), "{text}");
                }
            }
        }
        assert!(is_valid(&["[".repeat(127), "]".repeat(127)].concat()));
        assert!(!is_valid(&["[".repeat(128), "]".repeat(128)].concat()));
        // Nothing recurses, and nothing is allocated for what is open.
        assert!(!is_valid(&"[".repeat(1_000_000)));
    }
}
