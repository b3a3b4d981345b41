//! Randomness as an argument: one [`Seed`] at construction, child seeds for child machines.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng};

/// 32 bytes of entropy, from the operating system in production and from a constant in a test.
///
/// Everything that this crate draws (session ids, hash keys, WebSocket masks, jitter) follows from the seed that a
/// machine was constructed with. Its `Debug` form hides the bytes, since session ids are secrets.
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

    /// A seed of its own for a child machine.
    pub(crate) fn child(&mut self) -> Seed {
        Seed(self.bytes())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
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
    fn children_differ_from_each_other_and_repeat_with_the_seed() {
        let mut rng = Rng::new(&Seed::for_tests(1));
        let (first, second) = (rng.child(), rng.child());
        assert_ne!(first, second);
        assert_eq!(first, Rng::new(&Seed::for_tests(1)).child());
        assert_eq!(alloc::format!("{first:?}{rng:?}"), "Seed(..)Rng(..)");
    }
}
