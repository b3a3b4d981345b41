//! Fragmented messages: every fragment is appended to one buffer, so a fragment costs no more than its bytes.

use bytes::{Bytes, BytesMut};

use super::{Error, Message};
use crate::Text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

impl Kind {
    /// The message with this payload. Text is checked here as a whole, even if its parts have been looked at already: in
    /// safe code nothing else makes text of bytes.
    pub(crate) fn message(self, payload: Bytes) -> Result<Message, Error> {
        match self {
            Self::Text => Text::try_from(payload).map(Message::Text).map_err(|_error| Error::InvalidUtf8),
            Self::Binary => Ok(Message::Binary(payload)),
        }
    }
}

/// A message whose last fragment has not arrived.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub(crate) kind: Kind,
    buffer: BytesMut,
    empty: u32,
}

impl Assembly {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, buffer: BytesMut::new(), empty: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Takes a fragment that is not the last. `limit` is how many of them may be empty.
    pub(crate) fn push(&mut self, fragment: &[u8], limit: u32) -> Result<(), Error> {
        if fragment.is_empty() {
            if self.empty >= limit {
                return Err(Error::TooManyEmptyFragments { limit });
            }
            self.empty = self.empty.saturating_add(1);
        }
        self.buffer.extend_from_slice(fragment);
        Ok(())
    }

    /// Takes the last fragment.
    pub(crate) fn finish(mut self, fragment: &[u8]) -> Result<Message, Error> {
        self.buffer.extend_from_slice(fragment);
        self.kind.message(self.buffer.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fragments_are_counted_up_to_the_limit() {
        let mut assembly = Assembly::new(Kind::Binary);
        assert_eq!(assembly.push(b"a", 2), Ok(()));
        assert_eq!(assembly.push(b"", 2), Ok(()));
        assert_eq!(assembly.push(b"", 2), Ok(()));
        assert_eq!(assembly.push(b"", 2), Err(Error::TooManyEmptyFragments { limit: 2 }));
    }

    #[test]
    fn fragments_become_one_message() {
        let mut assembly = Assembly::new(Kind::Text);
        assert_eq!(assembly.push(b"\xc3", 0), Ok(()));
        assert_eq!(assembly.finish(b"\xa9"), Ok(Message::Text("é".into())));

        let mut assembly = Assembly::new(Kind::Text);
        assert_eq!(assembly.push(b"\xc3", 0), Ok(()));
        assert_eq!(assembly.finish(b""), Err(Error::InvalidUtf8));
    }
}
