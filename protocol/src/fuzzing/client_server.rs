//! A client and a server joined by a faulty link, and an application on each side.

use super::pair::{
    Dice, Faults, secs,
    talk::{Mood, Options, Talk},
};
use crate::Instant;

/// What stands between the applications' part of the input and the network's.
const SEPARATOR: u8 = 255;

/// Runs what the bytes decide: how both sides are set up, what the applications do and when, and (behind the first byte
/// 255) what becomes of each connection and how long everything is on its way. Then all goes well, and everything that was
/// promised must have come; see [`talk`](super::pair::talk) for what holds.
pub fn client_server(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == SEPARATOR);
    let mut script = || Dice::Script(parts.next().unwrap_or_default().iter().copied().collect());
    let (mut dice, network) = (script(), script());
    let mut options = Options::random(&mut dice);
    let moods = dice.below(8);
    options.mood = Mood { client: moods & 1 > 0, server: moods & 2 > 0, network: moods & 4 > 0 };
    options.well = !options.mood.network && dice.chance(500);
    let heal = Instant::ZERO + secs(dice.pick(&[10, 60, 120]));
    let faults = if options.well { Faults::slow(network, heal) } else { Faults::random(network, heal) };
    let seed = dice.below(16);
    let mut talk = Talk::new(options, faults, dice, seed);
    // Bounded so that one input stays fast; longer scripts say nothing new.
    for _ in 0..200 {
        if talk.dice.is_empty() {
            break;
        }
        talk.act();
    }
    talk.recover();
    talk.finish();
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn whatever_the_bytes_decide_holds(
            mut script in prop::collection::vec(0..SEPARATOR, 0..400),
            network in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            script.push(SEPARATOR);
            script.extend::<Vec<u8>>(network);
            client_server(&script);
        }
    }
}
