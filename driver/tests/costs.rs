//! What a message costs the driver: reads and writes of the byte stream, polls of tasks, and allocations. They are the same
//! on any machine and at any load, so that a change which adds one is noticed here and not by somebody who measures.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the test"
)]

use std::{
    future::Future as _,
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Waker},
};

use world::{
    World,
    frames::{acknowledged, attachment, text, unmasked},
};

#[path = "costs/world.rs"]
mod world;

/// Rounds that are measured.
const ROUNDS: usize = 100;

#[test]
fn messages_on_a_websocket() {
    let costs = |allocations| Costs { reads: 2.0, writes: 1.0, polls: 1.0, allocations };
    // A read that has something and one that has nothing, and one write, however many messages there are. Allocated are the
    // message, the text that the handler takes, the handler's future, and the frames of the answers.
    for (name, event, window, expected) in [
        ("echo of 16 bytes", text("echo", 16), 1, costs(4.0)),
        ("echo of 16 bytes, 16 at once", text("echo", 16), 16, costs(53.0)),
        // A copy of more than 247 bytes has the count of its owners elsewhere.
        ("echo of 1 KiB", text("echo", 1024), 1, costs(5.0)),
        // The message has the memory of the read for itself; the answer is shared, behind its header.
        ("echo of 64 KiB", text("echo", 65_536), 1, costs(11.0)),
        ("acknowledgement", acknowledged(16), 1, costs(5.0)),
        ("one attachment of 1 KiB", attachment(1024), 1, costs(12.0)),
    ] {
        let mut world = World::new(1);
        let found = world.measure(&event.repeat(window));
        assert!(found.at_most(&expected), "{name}: {found:?} instead of {expected:?}");
    }
}

#[test]
fn messages_at_a_client() {
    let costs = |allocations| Costs { reads: 2.0, writes: 1.0, polls: 1.0, allocations };
    let echo = unmasked(1, format!(r#"42["echo","{}"]"#, "x".repeat(16)).as_bytes());
    let head = br#"451-["binary",{"_placeholder":true,"num":0}]"#;
    let binary = [unmasked(1, head), unmasked(2, &[7; 1024])].concat();
    let (mut world, client) = World::of_client();
    for (name, event, window, expected) in [
        ("echo of 16 bytes", echo.clone(), 1, costs(4.0)),
        ("echo of 16 bytes, 16 at once", echo.clone(), 16, costs(51.0)),
        ("acknowledgement", unmasked(1, br#"421["ack","0123456789abcdef"]"#), 1, costs(5.0)),
        ("one attachment of 1 KiB", binary, 1, costs(12.0)),
    ] {
        let found = world.measure(&event.repeat(window));
        assert!(found.at_most(&expected), "{name}: {found:?} instead of {expected:?}");
    }
    // Who waits for its end costs a message nothing.
    let mut closed = pin!(client.closed());
    assert!(closed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    world.tasks.run();
    let found = world.measure(&echo);
    assert!(found.at_most(&costs(4.0)), "beside somebody who waits for its end: {found:?}");
}

#[test]
fn messages_by_polling() {
    let (mut world, get, post) = World::polling();
    // A GET that waits is read and wakes nobody. The POST is read, its connection's owner handles the event, and both
    // requests are answered; then each connection looks for the next one.
    let found = world.measure_all(&[(0, &get), (1, &post)]);
    let expected = Costs { reads: 6.0, writes: 2.0, polls: 5.0, allocations: 24.0 };
    assert!(found.at_most(&expected), "{found:?} instead of {expected:?}");
}

#[test]
fn broadcasts() {
    // For each of 100 recipients: one poll, in which it looks whether there is something to read, one write, its mail, and the
    // memory that its frame is written from. The sender is one of them, and reads twice more.
    let mut world = World::new(100);
    let found = world.measure(&text("broadcast", 64));
    let expected = Costs { reads: 102.0, writes: 100.0, polls: 100.0, allocations: 210.0 };
    assert!(found.at_most(&expected), "{found:?} instead of {expected:?}");
}

/// Averages of a round.
#[derive(Debug)]
struct Costs {
    reads: f64,
    writes: f64,
    polls: f64,
    allocations: f64,
}

impl Costs {
    fn at_most(&self, bound: &Self) -> bool {
        let all = |costs: &Self| [costs.reads, costs.writes, costs.polls, costs.allocations];
        all(self).iter().zip(all(bound)).all(|(found, bound)| *found <= bound)
    }
}

impl World {
    /// What it costs that the first client sends this, again and again.
    fn measure(&mut self, sent: &[u8]) -> Costs {
        self.measure_all(&[(0, sent)])
    }

    /// What it costs that one thing after the other is sent, again and again, each on one of the byte streams.
    fn measure_all(&mut self, sent: &[(usize, &[u8])]) -> Costs {
        let [mut reads, mut writes, mut polls, mut allocations] = [0_usize; 4];
        for round in 0..2 * ROUNDS {
            let (mut answered, mut allocated) = (0, 0);
            for (stream, bytes) in sent {
                self.streams[*stream].receive(bytes);
                allocated += allocation_counter::measure(|| self.tasks.run()).count_total;
            }
            // The first half makes what is kept for later rounds.
            let is_measured = round >= ROUNDS;
            for stream in &self.streams {
                let mut wire = stream.lock();
                answered += wire.sent.len();
                wire.sent.clear();
                if is_measured {
                    reads += wire.reads;
                    writes += wire.writes;
                }
                (wire.reads, wire.writes) = (0, 0);
            }
            let polled = self.tasks.polls.swap(0, Ordering::SeqCst);
            assert!(answered >= sent.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() / 2, "it was answered");
            if is_measured {
                polls += polled;
                allocations += usize::try_from(allocated).unwrap();
            }
        }
        let [reads, writes, polls, allocations] =
            [reads, writes, polls, allocations].map(|sum| sum as f64 / ROUNDS as f64);
        Costs { reads, writes, polls, allocations }
    }
}
