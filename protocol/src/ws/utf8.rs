//! UTF-8, checked as it arrives.

use core::str;

use super::Error;

/// Where a text that is not complete yet stands: the bytes of a code point whose end has not arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Utf8 {
    partial: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Checks the bytes that follow those before. Fails at the first byte that no text can have at its place, so also
    /// inside a code point (`f4 90`). Each byte is looked at once.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while self.len > 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.push(*first)?;
            bytes = rest;
        }
        let Err(error) = simdutf8::compat::from_utf8(bytes) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(Error::InvalidUtf8);
        }
        for byte in bytes.iter().skip(error.valid_up_to()) {
            self.push(*byte)?;
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Result<(), Error> {
        if let Some(slot) = self.partial.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len = self.len.saturating_add(1);
        }
        let partial = self.partial.get(..usize::from(self.len)).unwrap_or(&[]);
        match str::from_utf8(partial) {
            Ok(_) => self.len = 0,
            Err(error) if error.error_len().is_some() => return Err(Error::InvalidUtf8),
            Err(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many bytes are taken, one by one, before the first bad one.
    fn accepted(bytes: &[u8]) -> usize {
        let mut state = Utf8::default();
        bytes.iter().position(|byte| state.feed(&[*byte]).is_err()).unwrap_or(bytes.len())
    }

    #[test]
    fn fails_at_the_first_bad_byte() {
        let cases: [(&[u8], usize); 10] = [
            (b"\xce\xba\xe1\xbd\xb9", 5),
            (b"ab\xff", 2),
            (b"\xc0\x80", 0),
            (b"\xc1\xbf", 0),
            (b"\xe0\x9f\x80", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80", 0),
            (b"\xf4\x8f\xbf\xbf", 4),
        ];
        for (bytes, expected) in cases {
            assert_eq!(accepted(bytes), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn text_passes_in_any_chunks(text: String, cuts in prop::collection::vec(1_usize..9, 1..9)) {
            let mut state = Utf8::default();
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                prop_assert!(state.feed(chunk).is_ok());
                rest = after;
            }
            prop_assert_eq!(state.len, 0);
        }

        #[test]
        fn agrees_with_the_standard_library_on_bytes(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..0xc0, 0xe0_u8..0xf5], 0..40),
            cut: prop::sample::Index,
        ) {
            let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut state = Utf8::default();
            let result = state.feed(left).and_then(|()| state.feed(right));
            match str::from_utf8(&bytes) {
                Ok(_) => prop_assert!(result.is_ok() && state.len == 0),
                Err(error) if error.error_len().is_none() => prop_assert!(result.is_ok() && state.len > 0),
                Err(_) => prop_assert!(result.is_err()),
            }
        }
    }
}
