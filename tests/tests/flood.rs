//! S20: events that arrive faster than handlers end, against the features server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code, run on the wall clock"
)]

use std::time::{Duration, Instant};

use sockeye_tests::{
    server::Server,
    session::Socket,
    websocket::{Event, text},
    wire::{PATIENCE, eventually},
};

/// How long the flood lasts: longer than the server waits for a pong.
const FLOOD: Duration = Duration::from_secs(5);

/// What the flood may cost: handlers in flight, parked events, and what stands in one read.
const COST: u64 = 4 << 20;

#[test]
fn a_flood_at_handlers_that_wait_costs_little_and_holds_up_nobody() {
    let server = Server::features();
    let (mut flooding, mut neighbour) = (Socket::greeted(&server), Socket::greeted(&server));
    asks(&mut neighbour);
    let before = server.memory();
    server.reset_peak();

    // Numbered, so that what comes back tells whether any was lost. A pong is among them now and then, where the server
    // finds it if it reads on.
    let mut events = (0..).map(|number| {
        let event = text(&format!(r#"42["hold","gate",{number}]"#));
        if number % 100 == 99 { [event, text("3")].concat() } else { event }
    });
    let begun = Instant::now();
    let (mut pending, mut sent, mut refused) = (Vec::new(), 0, 0);
    while begun.elapsed() < FLOOD {
        if pending.is_empty() {
            pending = events.by_ref().take(1_000).flatten().collect();
        }
        let count = flooding.wire.send_some(&pending, Duration::from_millis(20)).expect("the connection lives");
        pending.drain(..count);
        sent += count;
        refused += usize::from(count == 0);
        asks(&mut neighbour);
    }
    let cost = server.peak().saturating_sub(before);
    println!("{sent} bytes sent, {refused} times none was taken, cost {} kB", cost / 1024);
    assert!(refused > 0, "the server reads {sent} bytes of events that it cannot handle");
    assert!(cost <= COST, "{} kB", cost / 1024);

    // What waited is handled in order once it can be: each of the first handlers, of those parked, and of what was not
    // read until now.
    neighbour.send_text(r#"421["open","gate"]"#);
    assert_eq!(neighbour.next_text(), "431[]");
    let (mut holding, mut held) = (0, 0);
    while held < 5_000 {
        match flooding.next(PATIENCE) {
            Event::Text(text) if text == format!(r#"42["holding",{holding}]"#) => holding += 1,
            Event::Text(text) if text == format!(r#"42["held",{held}]"#) => held += 1,
            event => panic!("{event:?} behind {holding} and {held}"),
        }
    }
    drop(flooding);
    asks(&mut neighbour);
    let gone = eventually(PATIENCE, || stats(&mut neighbour).starts_with("Stats { connections: 1,").then_some(()));
    assert!(gone.is_some(), "{}", stats(&mut neighbour));
}

/// What large events may cost: handlers in flight, one of the largest packets, and what comes on top of that.
const LARGE_COST: u64 = (64 * LARGE as u64) + (10 << 20) + (20 << 20);

/// Bytes of such an event.
const LARGE: usize = 100_000;

#[test]
fn large_events_at_handlers_that_wait_cost_no_more_than_bytes_may_wait() {
    let server = Server::features();
    let (mut flooding, mut neighbour) = (Socket::greeted(&server), Socket::greeted(&server));
    asks(&mut neighbour);
    let before = server.memory();
    server.reset_peak();

    let padding = "p".repeat(LARGE);
    let event = text(&format!(r#"42["hold","gate",0,"{padding}"]"#));
    // As many as might wait if they were small.
    let (mut sent, mut refused) = (0, 0);
    while sent < 1_000 * event.len() && refused < 10 {
        let rest = &event[sent % event.len()..];
        let count = flooding.wire.send_some(rest, Duration::from_millis(20)).expect("the connection lives");
        sent += count;
        refused = if count == 0 { refused + 1 } else { 0 };
        asks(&mut neighbour);
    }
    let cost = server.peak().saturating_sub(before);
    println!("{sent} bytes sent, cost {} kB", cost / 1024);
    assert_eq!(refused, 10, "the server reads {sent} bytes of events that it cannot handle");
    assert!(cost <= LARGE_COST, "{} kB", cost / 1024);

    neighbour.send_text(r#"421["open","gate"]"#);
    assert_eq!(neighbour.next_text(), "431[]");
    let mut held = 0;
    while held < sent / event.len() {
        match flooding.next(PATIENCE) {
            Event::Text(text) => held += usize::from(text == r#"42["held",0]"#),
            event => panic!("{event:?} behind {held}"),
        }
    }
}

fn asks(socket: &mut Socket) {
    socket.send_text(r#"420["request",{"name":"x"},"y"]"#);
    assert_eq!(socket.next_text(), r#"430[{"status":"ok","name":"x","text":"y"}]"#);
}

fn stats(socket: &mut Socket) -> String {
    socket.send_text(r#"420["stats"]"#);
    socket.next_text().replacen(r#"430[""#, "", 1)
}
