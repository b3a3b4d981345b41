//! UTF-8 text that shares its bytes.

use alloc::string::String;
use core::{
    borrow::Borrow,
    fmt,
    ops::Deref,
    str::{self, Utf8Error},
};

use bytes::{Buf as _, Bytes};
use bytestring::ByteString;

/// Text whose bytes are shared: cloning and slicing copy nothing.
///
/// ```
/// use sockeye_protocol::Text;
///
/// let text = Text::from("2[\"hello\"]");
/// let name = text.slice_ref(&text[3..8]);
/// assert_eq!(name, "hello");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(ByteString);

/// [`Text::MAIN`] at one place, for those who compare with it.
pub(crate) static MAIN: Text = Text::MAIN;

/// Bytes that are checked anew in less time than it takes to share their memory and let go of it.
const SHORT: usize = 256;

impl Text {
    /// Text without characters.
    ///
    /// ```
    /// assert!(sockeye_protocol::Text::EMPTY.is_empty());
    /// ```
    pub const EMPTY: Self = Self(ByteString::from_static(""));

    /// The name of the main namespace.
    pub(crate) const MAIN: Self = Self::from_static("/");

    /// The name of a namespace. A missing `/` in front is added.
    pub(crate) fn of_namespace(name: &str) -> Self {
        match name {
            "" | "/" => Self::MAIN,
            _ if name.starts_with('/') => Self::from(name),
            _ => Self::from(["/", name].concat()),
        }
    }

    /// Text from a literal, without a copy.
    ///
    /// ```
    /// use sockeye_protocol::Text;
    ///
    /// const LOBBY: Text = Text::from_static("lobby");
    /// assert_eq!(LOBBY, "lobby");
    /// ```
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// The text as a string slice.
    ///
    /// ```
    /// use sockeye_protocol::Text;
    ///
    /// assert_eq!(Text::from("lobby").as_str(), "lobby");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of this text that `part` is, sharing its bytes. A `part` from elsewhere is copied.
    ///
    /// ```
    /// use sockeye_protocol::Text;
    ///
    /// let text = Text::from("room 12");
    /// let number = text.slice_ref(&text[5..]);
    /// assert_eq!(number, "12");
    /// assert_eq!(number.as_ptr(), text[5..].as_ptr());
    /// ```
    pub fn slice_ref(&self, part: &str) -> Self {
        let (own, other) = (self.0.as_bytes().as_ptr_range(), part.as_bytes().as_ptr_range());
        if part.is_empty() {
            Self::EMPTY
        } else if own.start <= other.start && other.end <= own.end {
            Self(self.0.slice_ref(part))
        } else {
            Self::from(part)
        }
    }

    /// Whether the texts are equal: where both have their bytes at one place, as [`MAIN`](Self::MAIN) mostly has, without a
    /// look at them.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        core::ptr::eq(self.as_str(), other.as_str()) || self == other
    }

    /// The bytes, shared.
    ///
    /// ```
    /// use sockeye_protocol::Text;
    ///
    /// assert_eq!(Text::from("lobby").into_bytes(), "lobby");
    /// ```
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The text without its first `count` bytes, which must be whole characters.
    pub(crate) fn skip(self, count: usize) -> Self {
        let rest = self.get(count..).unwrap_or_default();
        if self.len() > SHORT {
            return self.slice_ref(rest);
        }
        let mut bytes = self.0.into_bytes();
        bytes.advance(count.min(bytes.len()));
        Self(ByteString::try_from(bytes).unwrap_or_default())
    }

    /// The bytes, borrowed.
    ///
    /// ```
    /// use sockeye_protocol::Text;
    ///
    /// let text = Text::from("lobby");
    /// let bytes = text.as_shared().clone(); // Without a copy.
    /// assert_eq!(bytes.as_ptr(), text.as_ptr());
    /// ```
    pub fn as_shared(&self) -> &Bytes {
        self.0.as_bytes()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

/// Checks that the bytes are UTF-8, without a copy.
impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        ByteString::try_from(bytes).map(Self)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_namespaces_begin_with_a_slash() {
        for (name, full) in
            [("", "/"), ("/", "/"), ("a", "/a"), ("/a", "/a"), ("//", "//"), ("a/b", "/a/b"), (" ", "/ ")]
        {
            let text = Text::of_namespace(name);
            assert_eq!(text, full);
            assert!(text.is_same(&Text::from(full)) && !text.is_same(&Text::from("/b")) && !text.is_same(&Text::EMPTY));
        }
        assert!(Text::of_namespace("").is_same(&Text::MAIN) && Text::EMPTY.is_same(&Text::from("")));
    }

    #[test]
    fn a_slice_shares_and_a_stranger_is_copied() {
        let text = Text::from("abcdef");
        let part = text.slice_ref(&text[1..3]);
        assert_eq!(part.as_ptr(), text[1..].as_ptr());
        assert_eq!(text.slice_ref("xyz"), "xyz");
        assert_eq!(text.slice_ref(&text[6..]), Text::EMPTY);
        assert!(Text::try_from(Bytes::from_static(b"\xff")).is_err());
    }
}
