//! Copies of few bytes.

use bytes::Bytes;

/// Copies bytes into shared ones. Few bytes, as most packets are, take one allocation, also when they are cloned or
/// sliced later: [`Bytes`] makes a second one then for what it has copied itself.
pub(crate) fn copy(bytes: &[u8]) -> Bytes {
    // With the count of owners and the length these fill 64, 128 and 256 bytes.
    match bytes.len() {
        0 => Bytes::new(),
        1..=55 => inline::<55>(bytes),
        56..=119 => inline::<119>(bytes),
        120..=247 => inline::<247>(bytes),
        _ => Bytes::copy_from_slice(bytes),
    }
}

/// Bytes that live beside the count of their owners.
struct Inline<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> AsRef<[u8]> for Inline<N> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

fn inline<const N: usize>(bytes: &[u8]) -> Bytes {
    let mut owner = Inline { len: 0, bytes: [0; N] };
    if let (Ok(len), Some(copy)) = (u8::try_from(bytes.len()), owner.bytes.get_mut(..bytes.len())) {
        copy.copy_from_slice(bytes);
        owner.len = len;
    }
    Bytes::from_owner(owner)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_copy_of_any_length_is_the_same() {
        let all: Vec<u8> = (0..=255).cycle().take(600).collect();
        for len in 0..all.len() {
            let copy = copy(&all[..len]);
            assert_eq!(copy, all[..len]);
            assert_eq!(copy.slice(len / 2..), all[len / 2..len]);
        }
    }
}
