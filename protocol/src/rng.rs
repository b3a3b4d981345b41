//! Randomness as an argument: one [`Seed`] at construction, child seeds for child machines.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng};

/// 32 bytes of entropy, from the operating system in production and from a constant in a test.
///
/// Everything that this crate draws (session ids, hash keys, WebSocket masks) follows from the seed that a
/// machine was constructed with. Its `Debug` form hides the bytes, since session ids are secrets.
///
/// ```
/// use sockeye_protocol::Seed;
///
/// let seed = Seed([7; 32]); // In production from the operating system.
/// assert_eq!(format!("{seed:?}"), "Seed(..)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for tests, simulations and examples of this documentation: never for production.
    ///
    /// ```
    /// use sockeye_protocol::Seed;
    /// assert_eq!(Seed::for_tests(7), Seed::for_tests(7));
    /// assert_ne!(Seed::for_tests(7), Seed::for_tests(8));
    /// ```
    pub fn for_tests(number: u64) -> Self {
        let mut bytes = [0; 32];
        for (byte, value) in bytes.iter_mut().zip(number.to_le_bytes()) {
            *byte = value;
        }
        Self(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The generator inside a machine: ChaCha with 12 rounds, the variant that the `rand` project uses for its standard
/// cryptographic generator.
#[derive(Clone)]
pub(crate) struct Rng(ChaCha12Rng);

impl Rng {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(ChaCha12Rng::from_seed(seed.0))
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Four bytes, for less than [`Self::bytes`] costs.
    pub(crate) fn word(&mut self) -> [u8; 4] {
        self.0.next_u32().to_le_bytes()
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_stays_hidden() {
        let mut rng = Rng::new(&Seed::for_tests(1));
        let (first, second): ([u8; 16], [u8; 16]) = (rng.bytes(), rng.bytes());
        assert_ne!(first, second);
        assert_eq!(first, Rng::new(&Seed::for_tests(1)).bytes());
        assert_eq!(alloc::format!("{:?}{rng:?}", Seed::for_tests(1)), "Seed(..)Rng(..)");
    }
}
