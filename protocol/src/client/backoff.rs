//! How long to wait before the next attempt to connect.

use core::time::Duration;

use crate::rng::Rng;

/// The delays between attempts, as `socket.io-client` computes them: each twice the one before, moved by up to
/// `jitter` of itself in either direction, and then cut at `max`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The first delay without jitter.
    min: Duration,
    /// No delay is longer.
    max: Duration,
    /// 0 to 1.
    jitter: f64,
    /// Delays given out since the last reset.
    attempts: u32,
}

impl Backoff {
    /// A `min` of zero counts as the default of one second, as in JavaScript: a server that refuses at once would be
    /// asked in a tight loop. A `jitter` outside of 0 to 1 counts as none.
    pub(super) fn new(min: Duration, max: Duration, jitter: f64) -> Self {
        let min = if min.is_zero() { Duration::from_secs(1) } else { min };
        let jitter = if (0.0..=1.0).contains(&jitter) { jitter } else { 0.0 };
        Self { min, max, jitter, attempts: 0 }
    }

    /// The same with the attempts that were counted.
    pub(super) fn set(&mut self, min: Duration, max: Duration, jitter: f64) {
        *self = Self { attempts: self.attempts, ..Self::new(min, max, jitter) };
    }

    /// Attempts since the last reset.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The same delays after another number of attempts.
    pub(super) const fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The delay before the next attempt, which is counted.
    pub(super) fn next_delay(&mut self, rng: &mut Rng) -> Duration {
        // 53 bits: every one of them fits a double, so the result is below 1.
        let random = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let delay = self.delay(random);
        self.attempts = self.attempts.saturating_add(1);
        delay
    }

    /// In milliseconds, as the original, so that the same random number gives the same delay. A cast to an integer
    /// rounds down (what is cast is never negative) and saturates.
    fn delay(&self, random: f64) -> Duration {
        // Beyond that the delay is far over any `max`; JavaScript comes to infinity here, and then to no delay at all.
        let doubled = (1_u64 << self.attempts.min(52)) as f64;
        let base = self.min.as_micros() as f64 / 1_000.0 * doubled;
        let deviation = (random * self.jitter * base) as u64 as f64;
        let longer = (random * 10.0) as u64 & 1 == 1;
        let moved = match longer {
            _ if self.jitter == 0.0 => base,
            true => base + deviation,
            false => base - deviation,
        };
        // A `max` of less than a millisecond, or of a fraction, is cut only now.
        Duration::from_millis(moved as u64).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;
    use crate::Seed;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What JavaScript gives for the defaults (1000, 5000, 0.5) and these values of `Math.random()`.
    #[test]
    fn the_formula_is_that_of_javascript() {
        for (attempts, random, expected) in [
            // floor(0.05 * 10) is even: shorter.
            (0, 0.05, 975),
            // floor(0.15 * 10) is odd: longer.
            (0, 0.15, 1075),
            (0, 0.999, 1499),
            (0, 0.899, 551),
            (1, 0.333, 2333),
            (1, 0.0, 2000),
            (2, 0.25, 3500),
            // Jitter first, cap last.
            (2, 0.75, 5000),
            (3, 0.85, 4600),
            (3, 0.1, 5000),
            (60, 0.85, 5000),
            (u32::MAX, 0.999_999, 5000),
        ] {
            let backoff = Backoff { attempts, ..Backoff::new(millis(1_000), millis(5_000), 0.5) };
            assert_eq!(backoff.delay(random), millis(expected), "{attempts} {random}");
        }
    }

    #[test]
    fn zero_is_the_default_and_odd_jitter_is_none() {
        for jitter in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            let backoff = Backoff::new(Duration::ZERO, millis(5_000), jitter);
            assert_eq!(backoff.delay(0.9), millis(1_000), "{jitter}");
        }
        assert_eq!(Backoff::new(millis(10), millis(5), 0.0).delay(0.3), millis(5));
    }

    #[test]
    fn attempts_are_counted_until_a_reset() {
        let mut backoff = Backoff::new(millis(100), millis(1_000), 0.0);
        let mut rng = Rng::new(&Seed::for_tests(1));
        let delays: [Duration; 5] = core::array::from_fn(|_| backoff.next_delay(&mut rng));
        assert_eq!(delays, [100, 200, 400, 800, 1_000].map(millis));
        assert_eq!(backoff.attempts(), 5);
        backoff.reset();
        assert_eq!((backoff.attempts(), backoff.next_delay(&mut rng)), (0, millis(100)));
    }

    proptest! {
        #[test]
        fn a_delay_is_within_its_bounds(
            min in 1..100_000_u64,
            max in 1..1_000_000_u64,
            jitter in 0.0..=1.0,
            seed in any::<u64>(),
            rounds in 1..200_u32,
        ) {
            let mut backoff = Backoff::new(millis(min), millis(max), jitter);
            let mut rng = Rng::new(&Seed::for_tests(seed));
            for round in 0..rounds {
                let delay = backoff.next_delay(&mut rng).as_millis() as f64;
                let base = min as f64 * f64::powi(2.0, round.min(52) as i32);
                prop_assert!(delay <= max as f64);
                prop_assert!(delay <= base * (1.0 + jitter) + 1.0);
                prop_assert!(delay >= (base * (1.0 - jitter) - 1.0).min(max as f64));
            }
        }
    }
}
