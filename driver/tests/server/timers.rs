//! The heap of deadlines: nobody misses theirs, however often the heap is cleared.

use std::time::Duration;

use sockeye_driver::{AckError, Config, Socket};

use crate::support::{Log, World, rig};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sends an event whose acknowledgement has a deadline.
fn ask(socket: &Socket, timeout: Duration, log: &Log) {
    let log = log.clone();
    socket
        .timeout(timeout)
        .emit_then("ask", &(), move |answer: Result<(), AckError>| log.add(format!("{}", answer.is_ok())))
        .unwrap();
}

/// Two deadlines of one connection: it has an early entry in the heap that it does not wait for any more, and a later one
/// that it does. Others' entries have the heap cleared, which leaves it the early one alone. (Where this thread is so slow
/// that the early one comes before that, nothing is shown, and nothing fails.)
#[test]
fn clearing_the_heap_loses_no_deadline() {
    rig(|rig| {
        let world = World::new(Config { ping_interval: ms(600), ..Config::default() });
        let log = Log::default();
        let (mut victim, socket) = world.joined(&rig, 4096);
        let (_other, others) = world.joined(&rig, 64 * 1024);
        // The early entry: answered long before.
        ask(&socket, ms(300), &log);
        victim.expect("20[\"ask\"]");
        victim.send("30[]");
        rig.until("the answer", || log.has("true"));
        // Its deadline comes. From then on, the connection waits for its ping.
        ask(&socket, ms(1), &log);
        rig.until("the deadline", || log.has("false"));
        // Each is earlier than the one before.
        for n in 0..100 {
            ask(&others, ms(550) - ms(n), &log);
            rig.run();
        }
        rig.until("the ping", || {
            victim.read();
            victim.pings > 0
        });
    });
}
