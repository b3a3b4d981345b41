//! Events that wait for handlers, how many of them may, and that the server is read from again.

use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex},
};

use sockeye_driver::{
    Ack, Args, RawArgs,
    client::{Client, Limits},
};

use crate::{
    net::{Net, Peer},
    support::{Latch, Log, Rig, rig},
};

/// A client of that many handlers and parked events, with a namespace that is connected.
fn client(rig: &Rig, limits: Limits) -> (Client, Peer) {
    let net = Net::default();
    let client = net.client(rig).config(|config| config.limits = limits).start().unwrap();
    let peer = net.join(rig);
    (client, peer)
}

/// Handlers of `n` that wait until they are let go, oldest first.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<VecDeque<Latch>>>);

impl Gate {
    fn of(client: &Client, log: &Log) -> Self {
        let gate = Self::default();
        let (waiting, log) = (gate.clone(), log.clone());
        client.on("n", move |args: RawArgs| {
            log.add(args.raw());
            let latch = Latch::default();
            waiting.0.lock().unwrap().push_back(latch.clone());
            async move { latch.wait().await }
        });
        gate
    }

    fn open(&self, count: usize) {
        let open: Vec<Latch> = self.0.lock().unwrap().drain(..count).collect();
        open.iter().for_each(Latch::open);
    }
}

/// What they wait for has come, so those that were parked return as they start: nothing else wakes the client after the round
/// that starts them.
#[test]
fn the_round_that_starts_all_that_waited_reads_on() {
    rig(|rig| {
        let (client, mut peer) = client(&rig, Limits { handlers: 2, parked: 2, ..Limits::default() });
        let (log, is_open) = (Log::default(), Latch::default());
        let (handled, gate) = (log.clone(), is_open.clone());
        client.on("n", move |Args(n): Args<u32>| {
            let (log, gate) = (handled.clone(), gate.clone());
            async move {
                gate.wait().await;
                log.add(n.to_string());
            }
        });
        for n in 0..4 {
            peer.send(&format!("42[\"n\",{n}]"));
            assert!(peer.is_read(), "{n}");
        }
        peer.send("42[\"n\",4]");
        assert!(!peer.is_read());
        is_open.open();
        assert!(peer.is_read());
        let mut handled = log.take();
        handled.sort();
        assert_eq!(handled, ["0", "1", "2", "3", "4"]);
        // And again.
        peer.send("42[\"n\",5]");
        assert!(peer.is_read());
        assert_eq!(log.take(), ["5"]);
    });
}

#[test]
fn reading_stops_when_too_many_events_wait_and_goes_on_at_half() {
    rig(|rig| {
        let (client, mut peer) = client(&rig, Limits { handlers: 1, parked: 4, ..Limits::default() });
        let log = Log::default();
        let gate = Gate::of(&client, &log);
        client.on("ask", async |ack: Ack| ack.send(&"here"));
        for n in 0..5 {
            peer.send(&format!("42[\"n\",{n}]"));
            assert!(peer.is_read(), "{n}");
        }
        assert_eq!(log.take(), ["0"]);
        peer.send("42[\"n\",5]");
        assert!(!peer.is_read());
        // What is sent goes out.
        client.emit("still", &1).unwrap();
        assert_eq!(peer.message(), "42[\"still\",1]");
        gate.open(1);
        assert!(!peer.is_read(), "three wait");
        assert_eq!(log.take(), ["1"]);
        gate.open(1);
        assert!(peer.is_read(), "two wait, and one more");
        for n in [2, 3, 4, 5] {
            assert_eq!(log.take(), [n.to_string()]);
            gate.open(1);
            rig.run();
        }
        peer.send("421[\"ask\"]");
        assert_eq!(peer.message(), "431[\"here\"]");
    });
}

/// A full socket holds up the connection, its acknowledgements among it; one that has half as many as it may does not.
#[test]
fn acknowledgements_come_in_as_long_as_there_is_room() {
    rig(|rig| {
        let (client, mut peer) = client(&rig, Limits { handlers: 2, parked: 3, ..Limits::default() });
        let asking = client.clone();
        let log = Log::default();
        let answers = log.clone();
        client.on("n", move |Args(n): Args<u32>| {
            let (client, log) = (asking.clone(), answers.clone());
            async move {
                let answer = client.emit_with_ack::<u32>("what is", &n).await.unwrap();
                log.add(format!("{n} {answer}"));
            }
        });
        for n in 0..4 {
            peer.send(&format!("42[\"n\",{n}]"));
            assert!(peer.is_read());
        }
        for n in 0..4 {
            assert_eq!(peer.message(), format!("42{n}[\"what is\",{n}]"));
            peer.send(&format!("43{n}[{}]", n * 10));
            assert!(peer.is_read());
            assert_eq!(log.take(), [format!("{n} {}", n * 10)]);
        }
    });
}

#[test]
fn what_waits_is_handled_before_the_end() {
    rig(|rig| {
        let (client, mut peer) = client(&rig, Limits { handlers: 1, parked: 3, ..Limits::default() });
        let log = Log::default();
        let gate = Gate::of(&client, &log);
        let ended = log.clone();
        client.on_disconnect(move || {
            ended.add("end");
            ready(())
        });
        for n in 0..3 {
            peer.send(&format!("42[\"n\",{n}]"));
        }
        peer.send("41");
        rig.run();
        assert_eq!(log.take(), ["0", "1", "2", "end"]);
        // All of them are in flight.
        gate.open(3);
        rig.run();
    });
}

#[test]
fn as_many_bytes_wait_for_handlers_as_one_packet_may_have() {
    rig(|rig| {
        let limits = Limits { handlers: 1, max_packet_bytes: 1_000, ..Limits::default() };
        let (client, mut peer) = client(&rig, limits);
        let log = Log::default();
        let gate = Gate::of(&client, &log);
        // With its name and its quotes, each has so many bytes.
        let event = |size: usize| format!("42[\"n\",\"{}\"]", "x".repeat(size - 3));
        peer.send("42[\"n\",0]");
        for size in [500, 400, 100] {
            peer.send(&event(size));
            assert!(peer.is_read(), "{size}");
        }
        // 1,000 wait.
        peer.send(&event(10));
        assert!(peer.is_read());
        // More do.
        peer.send(&event(20));
        assert!(!peer.is_read());
        gate.open(1);
        assert!(!peer.is_read(), "510 wait");
        gate.open(1);
        assert!(peer.is_read());
        // Those that start give back what they took.
        for _ in 0..4 {
            gate.open(1);
            rig.run();
        }
        assert_eq!(log.take().len(), 6);
        for size in [1_000, 10] {
            peer.send(&event(size - size / 5));
            assert!(peer.is_read());
        }
    });
}

#[test]
fn attachments_count_among_the_bytes_that_wait() {
    rig(|rig| {
        let limits = Limits { handlers: 1, max_packet_bytes: 1_000, ..Limits::default() };
        let (client, mut peer) = client(&rig, limits);
        let log = Log::default();
        let gate = Gate::of(&client, &log);
        peer.send("42[\"n\",0]");
        let head = r#"{"_placeholder":true,"num":0}"#;
        let rest = 1_000 - "n".len() - head.len();
        for (size, is_read) in [(rest - 10, true), (0, true)] {
            peer.send(&format!("451-[\"n\",{head}]"));
            peer.binary(size);
            assert_eq!(peer.is_read(), is_read, "{size}");
        }
        peer.send("42[\"n\",1]");
        assert!(!peer.is_read());
        gate.open(1);
        assert!(peer.is_read());
    });
}
