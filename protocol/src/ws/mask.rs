//! Masking (RFC 6455, 5.3), in place and word by word.

/// XORs `data` with the mask, where `offset` bytes of the payload lie in front of `data`. Masking twice restores.
#[inline]
pub(crate) fn apply(mask: [u8; 4], offset: usize, data: &mut [u8]) {
    let [a, b, c, d] = mask;
    let key = match offset % 4 {
        0 => [a, b, c, d],
        1 => [b, c, d, a],
        2 => [c, d, a, b],
        _ => [d, a, b, c],
    };
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Words of eight bytes, which the compiler widens to vectors.
    let (words, rest) = data.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    // Most messages are short: what is left of them counts.
    let (words, rest) = rest.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_definition_at_any_offset_and_cut(
            mask: [u8; 4],
            data in prop::collection::vec(any::<u8>(), 0..100),
            cut: prop::sample::Index,
        ) {
            // 5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)".
            let expected: Vec<u8> = data.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
            let cut = cut.index(data.len() + 1);
            let mut masked = data;
            let (left, right) = masked.split_at_mut(cut);
            apply(mask, 0, left);
            apply(mask, cut, right);
            prop_assert_eq!(masked, expected);
        }
    }
}
