//! Hash maps without hidden entropy.

use core::hash::{BuildHasher, BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher13;

use crate::rng::Rng;

/// A map whose keys a peer may choose: SipHash-1-3, keyed from the machine's seed.
pub(crate) type KeyedMap<K, V> = hashbrown::HashMap<K, V, Keyed>;

/// A map whose keys are ours (indices, random ids that a peer cannot choose).
pub(crate) type FastMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<Mix>>;

/// Builds SipHash-1-3 with a key of the machine's own, so that a peer cannot aim for collisions.
#[derive(Clone, Debug)]
pub(crate) struct Keyed(u64, u64);

impl Keyed {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self(rng.next_u64(), rng.next_u64())
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// A multiply-and-fold hasher for small keys of ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix(u64);

impl Mix {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = (wide ^ (wide >> 64)) as u64;
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.fold(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }
}
