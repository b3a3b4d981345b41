//! What goes wrong, decided by a seed or by a fuzzer's bytes.

use std::{collections::VecDeque, time::Duration};

use sockeye_protocol::Instant;

/// Where decisions come from, so that a run follows from them alone.
#[derive(Clone, Debug)]
pub enum Dice {
    /// A small generator (SplitMix64).
    Seed(u64),
    /// The bytes of a fuzzer's input. When there are no more, all that is decided is zero, and no chance comes true.
    Script(VecDeque<u8>),
}

impl Dice {
    /// Whether nothing is left of a script.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Script(bytes) if bytes.is_empty())
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        if end <= 1 {
            return 0;
        }
        match self {
            Self::Seed(state) => splitmix(state) % end,
            // As few bytes as will do: a fuzzer changes one at a time.
            Self::Script(bytes) => {
                let width = if end <= 1 << 8 { 1 } else { 2 };
                (0..width).fold(0, |value, _| value << 8 | u64::from(bytes.pop_front().unwrap_or(0))) % end
            }
        }
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        match self {
            _ if permille == 0 || permille >= 1_000 => permille > 0,
            Self::Seed(_) => self.below(1_000) < permille,
            Self::Script(bytes) => u64::from(bytes.pop_front().unwrap_or(u8::MAX)) * 1_000 / 255 < permille,
        }
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
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

impl Fate {
    /// After how many bytes a WebSocket breaks, and after how many it goes silent: on the way up to the server, or down.
    pub(super) fn ends(self, up: bool) -> (usize, usize) {
        match (self, up) {
            (Self::CutUp(bytes), true) | (Self::CutDown(bytes), false) => (bytes, usize::MAX),
            (Self::DeadUp(bytes), true) | (Self::DeadDown(bytes), false) => (usize::MAX, bytes),
            (Self::Silent, _) => (usize::MAX, 0),
            _ => (usize::MAX, usize::MAX),
        }
    }
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
    /// Bytes that the client's socket takes at once; 0: all.
    pub write: usize,
    /// Bytes that the server's socket takes at once: a slow reader. 0: all.
    pub read: usize,
    /// From when on everything works.
    pub heal: Instant,
    /// Fates of the next connections, before chance decides.
    pub script: Vec<Fate>,
    /// While set, every new connection meets this.
    pub outage: Option<Fate>,
}

impl Faults {
    pub fn none(dice: Dice) -> Self {
        Self {
            dice,
            latency: (Duration::from_millis(1), Duration::from_millis(1)),
            refused: 0,
            silent: 0,
            cut: 0,
            dead: 0,
            after: 2_000,
            write: 0,
            read: 0,
            heal: Instant::ZERO,
            script: Vec::new(),
            outage: None,
        }
    }

    /// A network that is well, but slow in a way of its own until `heal`.
    pub fn slow(mut dice: Dice, heal: Instant) -> Self {
        let low = dice.pick(&[0, 1, 5, 50]);
        let spread = dice.pick(&[0, 1, 20, 250]);
        let (write, read) = (dice.pick(&[0, 0, 100]), dice.pick(&[0, 0, 100]));
        let latency = (Duration::from_millis(low), Duration::from_millis(low + spread));
        Self { latency, write, read, heal, ..Self::none(dice) }
    }

    /// A network that is bad in a way of its own until `heal`.
    pub fn random(mut dice: Dice, heal: Instant) -> Self {
        let low = dice.pick(&[0, 1, 5, 50]);
        let spread = dice.pick(&[0, 1, 20, 400, 1_500, 6_000]);
        Self {
            latency: (Duration::from_millis(low), Duration::from_millis(low + spread)),
            refused: dice.pick(&[0, 50, 300, 700]),
            silent: dice.pick(&[0, 10, 50, 100]),
            cut: dice.pick(&[0, 50, 200, 600]),
            dead: dice.pick(&[0, 10, 50, 100]),
            after: dice.pick(&[50, 400, 1_500, 20_000]),
            write: dice.pick(&[0, 0, 1, 7, 100]),
            read: dice.pick(&[0, 0, 1, 7, 100]),
            heal,
            ..Self::none(dice)
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
        match () {
            () if self.dice.chance(self.refused) => Fate::Refused,
            () if self.dice.chance(self.silent) => Fate::Silent,
            () if self.dice.chance(self.cut) => {
                let bytes = self.dice.below(self.after) as usize;
                self.dice.pick(&[Fate::CutUp(bytes), Fate::CutDown(bytes)])
            }
            () if self.dice.chance(self.dead) => {
                let bytes = self.dice.below(self.after) as usize;
                self.dice.pick(&[Fate::DeadUp(bytes), Fate::DeadDown(bytes)])
            }
            () => Fate::Fine,
        }
    }

    pub fn delay(&mut self, now: Instant) -> Duration {
        let (from, mut to) = self.latency;
        if now >= self.heal {
            to = to.min(from + Duration::from_millis(50));
        }
        let spread = (to - from).as_micros() as u64;
        from + Duration::from_micros(spread * self.dice.below(256) / 255)
    }
}
