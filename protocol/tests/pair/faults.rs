//! What goes wrong, decided by a seed.

use std::time::Duration;

use sockeye_protocol::Instant;

/// A small generator (SplitMix64), so that a run follows from a number.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }
}

/// What becomes of a request or of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Fine,
    /// Nobody listens.
    Refused,
    /// Nothing is ever heard of it.
    Silent,
    /// It breaks after so many bytes to the server.
    CutUp(usize),
    /// It breaks after so many bytes to the client.
    CutDown(usize),
    /// After so many bytes to the server nothing arrives any more, and nobody is told.
    DeadUp(usize),
    /// After so many bytes to the client nothing arrives any more, and nobody is told.
    DeadDown(usize),
}

/// How the network behaves. Probabilities are per thousand connections.
#[derive(Clone, Debug)]
pub struct Faults {
    pub dice: Dice,
    /// The time on the way, from and to.
    pub latency: (Duration, Duration),
    pub refused: u64,
    pub silent: u64,
    pub cut: u64,
    pub dead: u64,
    /// Bytes after which a connection breaks, at most.
    pub after: u64,
    /// Bytes that are written at once; 0: all.
    pub write: usize,
    /// From when on everything works.
    pub heal: Instant,
    /// Fates of the next connections, before chance decides.
    pub script: Vec<Fate>,
    /// While set, every new connection meets this.
    pub outage: Option<Fate>,
}

impl Faults {
    pub fn none(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            latency: (Duration::from_millis(1), Duration::from_millis(1)),
            refused: 0,
            silent: 0,
            cut: 0,
            dead: 0,
            after: 2_000,
            write: 0,
            heal: Instant::ZERO,
            script: Vec::new(),
            outage: None,
        }
    }

    /// A network that is bad in a way of its own until `heal`.
    pub fn random(seed: u64, heal: Instant) -> Self {
        let mut dice = Dice(seed);
        let mut pick = |values: &[u64]| {
            let index = dice.below(values.len() as u64) as usize;
            values[index]
        };
        let low = pick(&[0, 1, 5, 50]);
        let spread = pick(&[0, 1, 20, 400, 1_500]);
        Self {
            latency: (Duration::from_millis(low), Duration::from_millis(low + spread)),
            refused: pick(&[0, 50, 300, 700]),
            silent: pick(&[0, 10, 50, 100]),
            cut: pick(&[0, 50, 200, 600]),
            dead: pick(&[0, 10, 50, 100]),
            after: pick(&[50, 400, 1_500, 20_000]),
            write: pick(&[0, 0, 1, 7, 100]) as usize,
            heal,
            script: Vec::new(),
            outage: None,
            dice: Dice(seed ^ 0xA5A5),
        }
    }

    pub fn fate(&mut self, now: Instant) -> Fate {
        if !self.script.is_empty() {
            return self.script.remove(0);
        }
        if let Some(fate) = self.outage {
            return fate;
        }
        if now >= self.heal {
            return Fate::Fine;
        }
        let bytes = self.dice.below(self.after) as usize;
        match self.dice.below(1_000) {
            roll if roll < self.refused => Fate::Refused,
            roll if roll < self.refused + self.silent => Fate::Silent,
            _ if self.dice.chance(self.cut) => [Fate::CutUp(bytes), Fate::CutDown(bytes)][self.dice.below(2) as usize],
            _ if self.dice.chance(self.dead) => {
                [Fate::DeadUp(bytes), Fate::DeadDown(bytes)][self.dice.below(2) as usize]
            }
            _ => Fate::Fine,
        }
    }

    pub fn delay(&mut self, now: Instant) -> Duration {
        let (from, mut to) = self.latency;
        if now >= self.heal {
            to = to.min(from + Duration::from_millis(50));
        }
        let spread = (to - from).as_micros() as u64;
        from + Duration::from_micros(self.dice.below(spread + 1))
    }
}
