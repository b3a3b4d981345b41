//! What connection state recovery needs of a session: its private id, and which event is the last that has arrived.
//!
//! A server names an event by an offset, a text behind its arguments. Only events that ask for no acknowledgement have one
//! (Socket.IO documentation, "Connection state recovery"), but a volatile event has none, and its last argument may be a
//! text as well: taken for an offset it would cost the session (behaviours, item 47). Nothing in the packet says which it
//! is, so what tells is how servers write offsets:
//!
//! - Ours says at CONNECT where the session begins. From there on only a later number behind the same tag is one.
//! - The adapters of Node's that are known write times ([`Form`]). A text of such a form is preferred to one of none, and
//!   once one has followed another, only what goes on from there is one.
//! - Of an adapter that is not known, whatever can be one is.
//!
//! Where two texts could be the first offset the newer one is: a true offset is never lost to what came before it.

use crate::{Text, socket::Args};

/// What connection state recovery needs.
#[derive(Debug, Default)]
pub(in crate::client) struct Recovery {
    /// The private id of the session, if the server has this feature on.
    pub(in crate::client) pid: Option<Text>,
    /// The server's name for the last event that it sent.
    offset: Option<Text>,
    certainty: Certainty,
    /// Of the form of `offset`, but it does not go on from there: it is the last event if the next one goes on from it.
    rival: Option<Text>,
}

/// How sure it is that an offset is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Certainty {
    #[default]
    Guessed,
    /// It went on from another one.
    Confirmed,
    /// The server has said so.
    Told,
}

/// How an adapter of Node's server writes an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The adapter in memory (`yeast`): milliseconds since 1970 in base 64, then maybe a full stop and a count.
    Yeast(u64),
    /// Redis streams: milliseconds, a hyphen, a count.
    Stream(u64),
    /// MongoDB: an ObjectId, which begins with seconds.
    ObjectId(u32),
}

impl Recovery {
    /// An offset is longer in no adapter that is known; what is longer is a text of the application.
    const MAX_OFFSET: usize = 64;

    pub(in crate::client) fn offset(&self) -> Option<&Text> {
        self.offset.as_ref()
    }

    /// The server has connected the session; whether it goes on with the one before.
    pub(in crate::client) fn on_connect(&mut self, pid: Option<Text>, offset: Option<Text>) -> bool {
        let recovered = pid.is_some() && self.pid == pid;
        if !recovered {
            self.forget();
        }
        if let Some(offset) = offset.filter(|offset| is_offset(offset)) {
            self.take(&offset, if ours(&offset).is_some() { Certainty::Told } else { Certainty::Guessed });
        }
        self.pid = pid;
        recovered
    }

    /// Takes the offset that an event carries as its last argument, if that is one.
    pub(in crate::client) fn on_event(&mut self, args: &Args) {
        if self.pid.is_none() {
            return;
        }
        let Some(rest) = args.raw().strip_suffix('"') else { return };
        let Some(start) = rest.rfind('"') else { return };
        let text = rest.get(start.saturating_add(1)..).unwrap_or_default();
        let before = rest.get(..start).unwrap_or_default();
        // The opening quote of an argument, not the end of a key or an escaped quote.
        let is_argument = matches!(before.trim_ascii_end().as_bytes().last(), None | Some(b','));
        if is_argument && is_offset(text) {
            self.on_candidate(text);
        }
    }

    pub(in crate::client) fn forget(&mut self) {
        *self = Self::default();
    }

    fn on_candidate(&mut self, text: &str) {
        // No two events have one offset; two words may be the same.
        if [&self.offset, &self.rival].into_iter().flatten().any(|known| **known == *text) {
            return;
        }
        let last = self.offset.as_deref();
        if self.certainty == Certainty::Told {
            let goes_on =
                last.and_then(ours).zip(ours(text)).is_some_and(|(last, next)| last.0 == next.0 && last.1 < next.1);
            return if goes_on {
                self.take(text, Certainty::Told)
            };
        }
        match (last.and_then(Form::of), Form::of(text)) {
            (Some(last), Some(form)) if form.follows(last) => self.take(text, Certainty::Confirmed),
            (Some(_), Some(form)) if self.certainty == Certainty::Confirmed => {
                let goes_on = self.rival.as_deref().and_then(Form::of).is_some_and(|rival| form.follows(rival));
                if goes_on { self.take(text, Certainty::Confirmed) } else { self.rival = Some(text.into()) }
            }
            // A word behind an offset.
            (Some(_), None) => {}
            (None, _) | (Some(_), Some(_)) => self.take(text, Certainty::Guessed),
        }
    }

    fn take(&mut self, offset: &str, certainty: Certainty) {
        (self.offset, self.certainty, self.rival) = (Some(offset.into()), certainty, None);
    }
}

/// What clocks of one server may differ by, and for how long it may say nothing, in milliseconds: 30 days.
const DRIFT: u64 = 30 * 24 * 3_600_000;

impl Form {
    fn of(text: &str) -> Option<Self> {
        Self::yeast(text).or_else(|| Self::stream(text)).or_else(|| Self::object_id(text))
    }

    /// The time is of 2024 at least, and before 2048: in seven characters there is room for 139 years, and a word is of
    /// one of the others unless it begins with an upper-case letter from `P` on.
    fn yeast(text: &str) -> Option<Self> {
        const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
        let value = |text: &str| {
            let digit =
                |byte: u8| ALPHABET.iter().position(|other| *other == byte).and_then(|at| u64::try_from(at).ok());
            text.bytes().try_fold(0_u64, |value, byte| Some(value.checked_mul(64)?.saturating_add(digit(byte)?)))
        };
        let (time, count) = text.split_once('.').map_or((text, None), |(time, count)| (time, Some(count)));
        let is_count = count.is_none_or(|count| (1..=5).contains(&count.len()) && value(count).is_some());
        let is_time = time.len() == 7 && matches!(time.as_bytes().first(), Some(b'P'..=b'Z'));
        if is_time && is_count { value(time).map(Self::Yeast) } else { None }
    }

    fn stream(text: &str) -> Option<Self> {
        let (time, count) = text.split_once('-')?;
        (time.len() == 13).then_some(Self::Stream(digits(time)?)).filter(|_| digits(count).is_some())
    }

    fn object_id(text: &str) -> Option<Self> {
        let is_one = text.len() == 24 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let seconds = text.get(..8).and_then(|seconds| u32::from_str_radix(seconds, 16).ok());
        seconds.filter(|_| is_one).map(Self::ObjectId)
    }

    /// Whether an offset may come behind another one, of the same server. (Two servers of a cluster have two clocks, and a
    /// clock may be set.)
    fn follows(self, last: Self) -> bool {
        let is_near = |time: u64, last: u64| time.abs_diff(last) <= DRIFT;
        match (last, self) {
            (Self::Yeast(last), Self::Yeast(time)) | (Self::Stream(last), Self::Stream(time)) => is_near(time, last),
            (Self::ObjectId(last), Self::ObjectId(time)) => {
                is_near(u64::from(time).saturating_mul(1_000), u64::from(last).saturating_mul(1_000))
            }
            _ => false,
        }
    }
}

/// An offset of our own server: the tag of a log, and the number of the event.
fn ours(text: &str) -> Option<(&str, u64)> {
    let (tag, number) = text.split_once('.')?;
    digits(number).filter(|_| tag.len() == 4).map(|number| (tag, number))
}

/// A number as servers write it.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Whether a text can be an offset: those of all adapters are letters, digits, `-`, `_`, `.`.
fn is_offset(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=Recovery::MAX_OFFSET).contains(&text.len()) && text.bytes().all(is_of_one)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn session() -> Recovery {
        let mut recovery = Recovery::default();
        assert!(!recovery.on_connect(Some(Text::from_static("p")), None));
        recovery
    }

    /// An event with these arguments arrives.
    fn hear(recovery: &mut Recovery, raw: &str) {
        let json = Text::from(["2[\"e\",", raw, "]"].concat());
        let mut decoder = crate::socket::Decoder::new(&crate::Limits::default());
        let Ok(Some(crate::socket::Packet::Event { args, .. })) = decoder.handle_text(json) else { panic!("{raw}") };
        recovery.on_event(&args);
    }

    /// What is the offset after each of these texts.
    fn heard<'a>(recovery: &mut Recovery, texts: &[&'a str]) -> Vec<Text> {
        let hear = |text: &&'a str| {
            hear(recovery, &["1,\"", text, "\""].concat());
            recovery.offset().cloned().unwrap()
        };
        texts.iter().map(hear).collect()
    }

    #[test]
    fn i47_an_offset_is_a_last_argument_that_can_be_one() {
        let offset_of = |raw: &str, pid: bool| {
            let mut recovery = if pid { session() } else { Recovery::default() };
            hear(&mut recovery, raw);
            recovery.offset().cloned()
        };
        for raw in ["1,\"Q2x-_9A.A\"", "\"Q2x-_9A.A\"", "{\"a\":\"b\"} , \"Q2x-_9A.A\""] {
            assert_eq!(offset_of(raw, true), Some(Text::from("Q2x-_9A.A")), "{raw}");
            assert_eq!(offset_of(raw, false), None);
        }
        let long = alloc::format!("\"{}\"", "x".repeat(65));
        for raw in ["\"two words\"", "\"\"", "1", "[\"x\"]", "{\"a\":\"x\"}", "\"a\\\",x\"", "\"é\"", &long] {
            assert_eq!(offset_of(raw, true), None, "{raw}");
        }
        assert_eq!(offset_of(&long.replacen('x', "", 1), true).map(|offset| offset.len()), Some(64));
    }

    /// What volatile events of a chat may end with.
    const WORDS: [&str; 12] = [
        "typing", "ok", "message", "Pending", "Quality", "a.b", "user.12", "42", "12-34", "room-1", "abcd.7",
        "deadbeef",
    ];

    #[test]
    fn i47_words_behind_offsets_are_none() {
        // Those of each adapter in the order in which it makes them, some at the same time.
        for offsets in [
            ["Q2x-_9A", "Q2x-_9A.0", "Q2x-_9A.1", "Q2x-_A0"],
            ["Q2x-_A0", "Q2x-_9z", "Q4x-_A0.10", "Q4x-_A0.11"],
            ["1795000000000-0", "1795000000000-1", "1795000000001-0", "1795000900000-0"],
            [
                "6ab01234aaaaaaaaaa000001",
                "6ab01234aaaaaaaaaa000002",
                "6ab01235aaaaaaaaaa000003",
                "6ab02235aaaaaaaaaa000004",
            ],
        ] {
            let mut recovery = session();
            assert_eq!(heard(&mut recovery, &offsets[..2]), offsets[..2]);
            for word in WORDS {
                assert_eq!(heard(&mut recovery, &[word]), [offsets[1]], "{word}");
            }
            assert_eq!(heard(&mut recovery, &offsets[2..]), offsets[2..]);
            // One alone is enough against what has not its form.
            let mut recovery = session();
            assert_eq!(heard(&mut recovery, &[offsets[0], "typing", "ok", "message"]), [offsets[0]; 4]);
        }
    }

    #[test]
    fn i47_a_true_offset_is_not_lost_to_words_before_it() {
        for offset in ["Q2x-_9A", "1795000000000-0", "6ab01234aaaaaaaaaa000001", "abcd.7", "of_another-Adapter"] {
            for word in WORDS.iter().filter(|word| Form::of(word).is_none() || Form::of(offset).is_some()) {
                assert_eq!(heard(&mut session(), &[word, word, offset]).pop().as_deref(), Some(offset), "{word}");
            }
        }
        // Not even if words looked like offsets, or the clock of the server was set: the second one is believed.
        let texts = ["Pending", "Pending.1", "Q2x-_9A", "Q2x-_9A.0"];
        assert_eq!(heard(&mut session(), &texts), ["Pending", "Pending.1", "Pending.1", "Q2x-_9A.0"]);
        // Whatever an adapter that is not known writes is one.
        assert_eq!(heard(&mut session(), &["x", "typing", "x"]), ["x", "typing", "x"]);
    }

    #[test]
    fn i47_our_own_server_says_which_texts_are_offsets() {
        let mut recovery = Recovery::default();
        let pid = || Some(Text::from_static("p"));
        assert!(!recovery.on_connect(pid(), Some("abcd.7".into())));
        for word in WORDS.iter().chain(&["Q2x-_9A", "Q2x-_9A.0", "1795000000000-0", "abce.8", "abcd.6", "abcd.08x"]) {
            assert_eq!(heard(&mut recovery, &[word]), ["abcd.7"], "{word}");
        }
        assert_eq!(heard(&mut recovery, &["abcd.8", "ok", "abcd.20"]), ["abcd.8", "abcd.8", "abcd.20"]);
        // It says so again when it goes on; another session may be one of another server.
        assert!(recovery.on_connect(pid(), Some("abcd.31".into())));
        assert_eq!(heard(&mut recovery, &["abcd.30", "abcd.32"]), ["abcd.31", "abcd.32"]);
        assert!(!recovery.on_connect(Some(Text::from_static("q")), None));
        assert_eq!(recovery.offset(), None);
        assert_eq!(heard(&mut recovery, &["Q2x-_9A"]), ["Q2x-_9A"]);
    }

    #[test]
    fn what_a_server_says_at_connect_may_be_no_offset() {
        for (said, offset) in [("abcd.7", Some("abcd.7")), ("not one", None), ("x", Some("x"))] {
            let mut recovery = Recovery::default();
            recovery.on_connect(Some(Text::from_static("p")), Some(said.into()));
            assert_eq!(recovery.offset().map(|offset| &**offset), offset);
        }
    }
}
