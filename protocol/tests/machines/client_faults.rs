//! A client, a server, and a network that breaks in every way that a seed can think of. Whatever happens: no event
//! arrives twice or out of order, none is lost while a connection lives or recovery covers the gap, every acknowledgement
//! ends once, and the client is connected, waits until a deadline, or is closed. What holds is written down in
//! `protocol/src/fuzzing/pair/talk/`; the fuzz target `client_server` decides by bytes what is decided by seeds here.

use std::cell::Cell;

use sockeye_protocol::{Instant, Recovery, client::Transport};

use crate::pair::{
    Dice, Fate, Faults, millis, secs,
    talk::{Counts, Mood, Options, Talk},
};

fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|count| count.parse().ok());
    let from = number("SOCKEYE_SEED").unwrap_or(0);
    from..from + number("SOCKEYE_SEEDS").unwrap_or(count)
}

/// Runs so many seeds (or `SOCKEYE_SEEDS` from `SOCKEYE_SEED` on), and says which one failed, or what they came to.
fn each_seed(name: &str, count: u64, test: impl Fn(u64) -> Counts) {
    let mut counts = Counts::default();
    let mut schedules = 0;
    for seed in seeds(count) {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(seed))) {
            Ok(of_one) => counts += of_one,
            Err(panic) => {
                eprintln!("{name}: SOCKEYE_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
        schedules += 1;
    }
    println!("{name}: {schedules} schedules, {counts:?}");
    let Counts { attempts, connects, recovered, again, answered, unanswered, upgrades, .. } = counts;
    let few = [attempts, connects, recovered, again, answered, unanswered, upgrades].into_iter().min();
    assert!(schedules < 1_000 || few > Some(100), "hardly anything has happened");
}

/// So many things happen, then all is well.
fn run(seed: u64, faults: Faults, options: Options, dice: Dice, acts: u64) -> Counts {
    let mut talk = Talk::new(options, faults, dice, seed);
    for _ in 0..acts {
        talk.act();
    }
    talk.recover();
    talk.finish();
    talk.counts
}

/// A bad network, server restarts among what it does; then all is well again.
#[test]
fn whatever_the_network_does_order_holds() {
    each_seed("network", 1_500, |seed| {
        let mut dice = Dice::Seed(seed ^ 0x5EED);
        let mut options = Options::random(&mut dice);
        options.mood.network = true;
        let heal = Instant::ZERO + secs(dice.pick(&[10, 60, 120]));
        let acts = dice.below(200);
        run(seed, Faults::random(Dice::Seed(seed), heal), options, dice, acts)
    });
}

/// The same while the applications change their minds: they leave and join, refuse and dismiss, close and open, at any
/// time. Nothing confuses one session with another.
#[test]
fn applications_may_change_their_minds_at_any_time() {
    each_seed("moods", 1_500, |seed| {
        let mut dice = Dice::Seed(seed ^ 0x5EED);
        let mut options = Options::random(&mut dice);
        options.mood = Mood { client: !seed.is_multiple_of(4), server: !seed.is_multiple_of(3), network: true };
        let heal = Instant::ZERO + secs(dice.pick(&[10, 60, 120]));
        let acts = dice.below(200);
        run(seed, Faults::random(Dice::Seed(seed), heal), options, dice, acts)
    });
}

/// The same on a network that is well, but slow: nothing is lost but by the applications' will.
#[test]
fn a_network_that_is_well_loses_nothing() {
    each_seed("well", 1_000, |seed| {
        let mut dice = Dice::Seed(seed ^ 0x5EED);
        let mut options = Options::random(&mut dice);
        options.well = true;
        options.mood = Mood { client: !seed.is_multiple_of(4), server: !seed.is_multiple_of(3), network: false };
        let acts = dice.below(200);
        run(seed, Faults::slow(Dice::Seed(seed), Instant::from_micros(u64::MAX)), options, dice, acts)
    });
}

/// Each connection of the first seconds, those of an upgrade among them, breaks at each byte, loudly or silently, in
/// either direction; with and without recovery, with and without retries.
#[test]
fn a_session_may_break_at_every_byte_and_at_every_step() {
    let begin = |transports: &[Transport], number: usize, script: Vec<Fate>| {
        let mut options = Options::random(&mut Dice::Script([].into()));
        let recovery = Recovery { max_disconnection_duration: secs(30), ..Recovery::default() };
        options.client.transports = transports.into();
        // The fates of a byte come in pairs.
        options.server.recovery = (number / 2).is_multiple_of(2).then_some(recovery);
        options.retries = if number % 8 < 4 { u32::MAX } else { 0 };
        let faults = Faults { script, ..Faults::none(Dice::Seed(1)) };
        let mut talk = Talk::new(options, faults, Dice::Seed(1), 1);
        for _ in 0..3 {
            (0..4).for_each(|index| talk.client_emits(index));
            (0..3).for_each(|_| talk.server_emits());
            talk.settle();
            talk.pass(millis(60));
        }
        talk
    };
    let (polling, websocket) = (Transport::Polling, Transport::WebSocket);
    for transports in [&[polling, websocket][..], &[websocket], &[polling]] {
        let mut counts = Counts::default();
        let mut schedules = 0;
        let well = begin(transports, 0, Vec::new());
        for (at, traffic) in well.pair.traffic().iter().enumerate() {
            for fate in traffic.fates() {
                let script = [vec![Fate::Fine; at], vec![fate]].concat();
                let run = || {
                    let mut talk = begin(transports, schedules, script.clone());
                    talk.pass(secs(12));
                    talk.recover();
                    talk.finish();
                    talk.counts
                };
                counts += std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("connection {at}, {fate:?}"));
                schedules += 1;
            }
        }
        println!("handshakes over {transports:?}: {schedules} schedules, {counts:?}");
        assert!(schedules > 100 && counts.recovered > 0 && counts.again > 0);
    }
}

/// A day of a network that is never well for long, and of applications that change their minds: in the end nothing has
/// grown, nothing is stuck, and both sides hold what they would after a day on which nothing went wrong. These are 10 days,
/// about 3 seconds; `SOCKEYE_SEEDS` has it be more.
#[test]
fn a_day_of_faults_leaves_nothing_behind() {
    let grown = Cell::new([0_i64; 2]);
    let count = seeds(10).count();
    each_seed("days", 10, |seed| {
        let mut talk = a_day(seed, Instant::ZERO + secs(24 * 3_600));
        let counts = talk.counts;
        assert!(counts.attempts > 500 && counts.connects > 500, "{counts:?}");
        // What is held can only be seen of machines that go on: every other day is for that.
        if seed.is_multiple_of(2) {
            talk.finish();
        } else {
            let (after, before) = (held(talk), held(a_day(seed, Instant::ZERO)));
            // Memory for what came last may be kept, so that of one day says less than that of all.
            let difference = [after[0] - before[0], after[1] - before[1]];
            assert!(difference.iter().all(|bytes| *bytes <= 16_384), "{after:?}, not {before:?}");
            grown.set([grown.get()[0] + difference[0], grown.get()[1] + difference[1]]);
        }
        counts
    });
    let grown = grown.get().map(|bytes| bytes / (count as i64 / 2).max(1));
    assert!(count < 10 || grown.iter().all(|bytes| *bytes <= 8_192), "{grown:?} bytes of a day");
}

/// Both sides after that time, and after another quiet while, in which all that can still come back has come.
fn a_day(seed: u64, end: Instant) -> Talk {
    let mut dice = Dice::Seed(seed ^ 0x5EED);
    let mut options = Options::random(&mut dice);
    (options.server.ping_interval, options.server.ping_timeout) = (secs(25), secs(20));
    // Longer than between two pings, or a session that polls would end again and again while all is well.
    options.client.request_timeout = options.client.request_timeout.map(|_| secs(30));
    options.client.reconnection_attempts = None;
    options.mood = Mood { client: true, server: true, network: true };
    // A day has many bytes.
    options.chunk = 0;
    let mut faults = Faults::random(Dice::Seed(seed), end);
    (faults.refused, faults.silent, faults.cut, faults.dead, faults.after) = (200, 30, 500, 100, 1_500);
    (faults.write, faults.read) = (0, 0);
    let mut talk = Talk::new(options, faults, dice, seed);
    while talk.pair.now < end {
        let mut sometimes = || talk.dice.chance(300);
        talk.mood = Mood { client: sometimes(), server: sometimes(), network: true };
        if sometimes() {
            talk.network_breaks();
        }
        for _ in 0..5 {
            talk.act();
        }
        if talk.dice.chance(500) {
            // What was broken for all is well again, and who was closed wants to be open.
            talk.pair.faults.outage = None;
            talk.pair.faults.latency = (millis(5), millis(50));
            talk.pair.withhold(false);
            talk.connect_all();
        }
        let pause = talk.dice.below(100);
        talk.pass(secs(pause));
        let stats = talk.pair.client.stats();
        assert!(stats.engines <= 9 && stats.transports <= 18 && stats.requests <= 27, "{stats:?}");
    }
    talk.recover();
    talk.pass(secs(300));
    talk
}

/// The bytes that a client and a server hold.
fn held(talk: Talk) -> [i64; 2] {
    let (client, server) = talk.into_machines();
    let freed = |info: allocation_counter::AllocationInfo| -info.bytes_current;
    [freed(allocation_counter::measure(|| drop(client))), freed(allocation_counter::measure(|| drop(server)))]
}
