//! What waits to be sent: the buffer, acknowledgements, retries.

use sockeye_protocol::{
    Config as ServerConfig, Instant,
    client::{Config, Delivery, EmitError, Flags, Limits, Offline, SocketOptions, Transport},
    server::Event as ServerEvent,
    socket::Payload,
};

use crate::{
    client_manager::support::{connect_request, connected, event, pair, received, short},
    pair::{Fate, Pair, millis, secs},
};

/// Behaviours, 1.10: received first, then sent, then the retry queue, then `connect`.
#[test]
fn what_waited_goes_before_connect() {
    let mut pair = pair();
    pair.auto_accept = false;
    let plain = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, plain);
    for number in 0..3 {
        assert_eq!(pair.client.emit(pair.now, plain, &event("early", number), Flags::default()), Ok(Delivery::Waiting));
    }
    assert_eq!(pair.client.buffered(plain), (3, 33));
    let (id, _) =
        pair.client.emit_with_ack(pair.now, plain, &event("ask", 3), Some(secs(9)), Flags::default()).unwrap();
    pair.advance(secs(1));
    let request = connect_request(&mut pair);
    assert_eq!(short(&pair.take_events()), ["open"]);
    pair.server.accept(pair.now, request).unwrap();
    pair.advance(secs(1));
    assert_eq!(
        short(&pair.take_events()),
        [
            r#"outgoing ["early",0]"#,
            r#"outgoing ["early",1]"#,
            r#"outgoing ["early",2]"#,
            r#"outgoing ["ask",3]"#,
            "connect"
        ]
    );
    let names: Vec<u64> = received(&mut pair).into_iter().map(|(_, number)| number).collect();
    assert_eq!(names, [0, 1, 2, 3]);
    pair.advance(secs(10));
    assert_eq!(short(&pair.take_events()), [format!("ack {id} Timeout")]);
}

#[test]
fn a_timed_out_acknowledgement_takes_its_event_along() {
    let mut pair = pair();
    pair.faults.outage = Some(Fate::Refused);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    let emit = |pair: &mut Pair, number, timeout| {
        pair.client.emit_with_ack(pair.now, socket, &event("ask", number), timeout, Flags::default()).unwrap().0
    };
    let (short_lived, patient) = (emit(&mut pair, 1, Some(secs(3))), emit(&mut pair, 2, None));
    pair.advance(secs(4));
    let acks = short(&pair.take_events()).into_iter().filter(|line| line.starts_with("ack")).collect::<Vec<_>>();
    assert_eq!(acks, [format!("ack {short_lived} Timeout")]);
    assert_eq!(pair.client.buffered(socket).0, 1);
    pair.faults.outage = None;
    pair.advance(secs(10));
    assert_eq!(received(&mut pair), [("ask".into(), 2)]);
    // It was sent: now it ends with the connection.
    pair.client.close(pair.now);
    assert!(short(&pair.take_events()).contains(&format!("ack {patient} Disconnected")));
    assert_eq!(pair.client.stats().acks, 0);
}

#[test]
fn the_offline_policy_bounds_what_waits() {
    let mut pair = pair();
    let options = |offline| SocketOptions { offline, ..SocketOptions::default() };
    let bounded = Offline::Buffer { max_packets: 2, max_bytes: 100, ttl: Some(secs(5)) };
    let buffer = pair.client.add_socket("/buffer", options(bounded));
    let reject = pair.client.add_socket("/reject", options(Offline::Reject));
    let emit = |pair: &mut Pair, socket| pair.client.emit(pair.now, socket, &event("e", 1), Flags::default());
    assert_eq!(emit(&mut pair, reject), Err(EmitError::NotConnected));
    assert_eq!(emit(&mut pair, buffer), Ok(Delivery::Waiting));
    pair.advance(secs(3));
    let ack = pair.client.emit_with_ack(pair.now, buffer, &event("e", 2), None, Flags::default()).unwrap().0;
    assert!(matches!(emit(&mut pair, buffer), Err(EmitError::BufferFull { limit: 2, value: 3, .. })));
    let dropped = pair.client.emit(pair.now, buffer, &event("v", 1), Flags::VOLATILE);
    assert_eq!(dropped, Ok(Delivery::Dropped));
    let refused = pair.client.emit_with_ack(pair.now, buffer, &event("v", 1), None, Flags::VOLATILE);
    assert_eq!(refused, Err(EmitError::Dropped));
    pair.advance(secs(3));
    assert_eq!(short(&pair.take_events()), [r#"discarded ["e",1]"#]);
    pair.advance(secs(3));
    assert_eq!(short(&pair.take_events()), [r#"discarded ["e",2]"#.into(), format!("ack {ack} Disconnected")]);
    assert_eq!((pair.client.stats().buffered_packets, pair.client.stats().buffered_bytes), (0, 0));
}

#[test]
fn a_sleeping_device_notices_when_it_emits() {
    let (mut pair, socket, _) = connected();
    // Time stands still for the timers, not for the clock.
    pair.now = pair.now + secs(3_600);
    let sent = pair.client.emit(pair.now, socket, &event("late", 1), Flags::default());
    assert_eq!(sent, Ok(Delivery::Waiting));
    assert_eq!(short(&pair.take_events()), ["disconnect ping timeout", "close ping timeout"]);
    pair.advance(secs(60));
    assert_eq!(received(&mut pair), [("late".into(), 1)]);
}

#[test]
fn no_tick_ends_what_has_no_deadline() {
    let (mut pair, socket, _) = connected();
    pair.client.disconnect(pair.now, socket);
    pair.advance(secs(60));
    pair.take_events();
    assert!(pair.client.is_closed() && pair.client.poll_timeout().is_none());
    pair.client.handle_timeout(Instant::from_micros(u64::MAX));
    assert_eq!(pair.client.poll_output(), None);
    assert!(pair.client.is_closed());
}

#[test]
fn retries_send_until_it_is_acknowledged() {
    let mut pair = pair();
    let options = SocketOptions { retries: 2, ack_timeout: Some(secs(5)), ..SocketOptions::default() };
    let socket = pair.client.add_socket("/", options);
    pair.client.connect(pair.now, socket);
    let emit = |pair: &mut Pair, number| pair.client.emit(pair.now, socket, &event("n", number), Flags::default());
    assert_eq!(emit(&mut pair, 1), Ok(Delivery::Waiting));
    let (second, _) = pair.client.emit_with_ack(pair.now, socket, &event("n", 2), None, Flags::default()).unwrap();
    pair.advance(secs(4));
    assert_eq!(pair.client.stats().retried_packets, 2);
    // A volatile one does not wait for its turn (behaviours, item 73).
    let volatile = pair.client.emit(pair.now, socket, &event("v", 0), Flags::VOLATILE);
    assert_eq!((volatile, pair.client.stats().retried_packets), (Ok(Delivery::Sent), 2));
    let mut tokens = Vec::new();
    let mut arrived = |pair: &mut Pair| {
        let mut numbers = Vec::new();
        for event in pair.server_events.drain(..) {
            if let ServerEvent::Packet { args, ack, .. } = event {
                numbers.push(args.deserialize::<u64>().unwrap());
                tokens.extend(ack);
            }
        }
        (numbers, std::mem::take(&mut tokens))
    };
    assert_eq!(arrived(&mut pair).0, [1], "one at a time");
    pair.advance(secs(4));
    let (numbers, mut tokens) = arrived(&mut pair);
    assert_eq!(numbers, [0, 1], "the volatile one, and the first again");
    pair.server.reply(pair.now, &tokens.remove(0), &Payload::ack(&(), 10).unwrap()).unwrap();
    pair.advance(secs(1));
    assert_eq!(arrived(&mut pair).0, [2]);
    // Nobody answers the second: three tries.
    pair.advance(secs(30));
    assert_eq!(arrived(&mut pair).0, [2, 2]);
    let events = short(&pair.take_events());
    assert_eq!(events[events.len() - 2..], [r#"discarded ["n",2]"#.into(), format!("ack {second} Timeout")]);
    assert_eq!((pair.client.stats().retried_packets, pair.client.stats().acks), (0, 0));
}

/// What is sent again piles up no further than anything else that waits.
#[test]
fn retries_are_bounded_while_nothing_leaves() {
    let limits = Limits { send_queue_packets: 100, ..Limits::default() };
    let config = Config { transports: vec![Transport::Polling], limits, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    let options = SocketOptions { retries: u32::MAX, ack_timeout: Some(millis(10)), ..SocketOptions::default() };
    let socket = pair.client.add_socket("/", options);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    pair.take_events();
    pair.silence();
    pair.faults.outage = Some(Fate::Silent);
    pair.client.emit(pair.now, socket, &event("n", 1), Flags::default()).unwrap();
    let queued = |pair: &Pair| pair.client.engine().unwrap().queued_packets();
    pair.advance(secs(10));
    assert_eq!(queued(&pair), 100);
    pair.take_events();
    pair.advance(secs(10));
    assert_eq!((queued(&pair), short(&pair.take_events())), (100, Vec::new()), "only what is sent is told");
    // It is sent on the next connection at once.
    pair.faults.outage = None;
    pair.server_events.clear();
    assert!(pair.until(secs(60), |pair| !received(pair).is_empty()));
}

#[test]
fn retries_survive_the_connection() {
    let mut pair = pair();
    let options = SocketOptions { retries: 5, ..SocketOptions::default() };
    let socket = pair.client.add_socket("/", options);
    pair.client.connect(pair.now, socket);
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("n", 1), None, Flags::default()).unwrap();
    pair.advance(secs(1));
    pair.restart();
    pair.advance(secs(10));
    let numbers: Vec<u64> = received(&mut pair).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [1, 1]);
    pair.restart();
    pair.advance(secs(10));
    let Some(ServerEvent::Packet { ack: Some(token), .. }) =
        pair.server_events.drain(..).find(|event| matches!(event, ServerEvent::Packet { .. }))
    else {
        panic!()
    };
    pair.server.reply(pair.now, &token, &Payload::ack(&"done", 10).unwrap()).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()).last(), Some(&format!("ack {id} \"done\"")));
}

/// A server that reads nothing has no more time to acknowledge than one that does.
#[test]
fn a_try_that_is_put_off_counts() {
    let limits = Limits { send_queue_packets: 2, ..Limits::default() };
    let config = Config { transports: vec![Transport::Polling], limits, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    let options = SocketOptions { retries: 7, ack_timeout: Some(secs(2)), ..SocketOptions::default() };
    let socket = pair.client.add_socket("/", options);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    pair.take_events();
    pair.silence();
    pair.faults.outage = Some(Fate::Silent);
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("n", 1), None, Flags::default()).unwrap();
    pair.advance(secs(16) - millis(1));
    let sent = short(&pair.take_events());
    assert!((2..8).contains(&sent.len()), "some of them were put off: {sent:?}");
    assert!(sent.iter().all(|event| event == r#"outgoing ["n",1]"#));
    pair.advance(millis(1));
    assert_eq!(short(&pair.take_events()), [r#"discarded ["n",1]"#.into(), format!("ack {id} Timeout")]);
    assert_eq!((pair.client.stats().retried_packets, pair.client.is_connected(socket)), (0, true));
}

/// Both sides hold as much after a flood as without one: what was sent, and the queues that it went through, is gone.
#[test]
fn a_flood_leaves_no_memory_behind() {
    let held = |events: u64| {
        let config = Config { transports: vec![Transport::WebSocket], ..Config::default() };
        let mut pair = Pair::new(config, ServerConfig::default(), 1);
        pair.add_namespace("/retries");
        pair.eager = false;
        pair.chunk = 1;
        let retries = SocketOptions { retries: 3, ..SocketOptions::default() };
        let sockets =
            [pair.client.add_socket("/", SocketOptions::default()), pair.client.add_socket("/retries", retries)];
        for socket in sockets {
            for number in 0..events {
                pair.client.emit(pair.now, socket, &event("n", number), Flags::default()).unwrap();
            }
            pair.client.connect(pair.now, socket);
        }
        let mut arrived = 0;
        let end = pair.now + secs(100);
        while pair.step(end) {
            for event in std::mem::take(&mut pair.server_events) {
                if let ServerEvent::Packet { ack, .. } = event {
                    arrived += 1;
                    if let Some(token) = ack {
                        pair.server.reply(pair.now, &token, &Payload::ack(&(), 10).unwrap()).unwrap();
                    }
                }
            }
        }
        assert_eq!(arrived, 2 * events);
        let (client, server) = (pair.client, pair.server);
        let freed = [allocation_counter::measure(|| drop(client)), allocation_counter::measure(|| drop(server))];
        freed.map(|info| -info.bytes_current)
    };
    let ([client, server], after) = (held(1), held(5_000));
    assert!(after[0] <= client + 2_048 && after[1] <= server + 2_048, "{after:?} instead of {client} and {server}");
}

#[test]
fn what_waits_can_be_dropped_before_it_is_sent() {
    let mut pair = pair();
    pair.faults.outage = Some(Fate::Refused);
    let plain = pair.client.add_socket("/", SocketOptions::default());
    let queued = pair.client.add_socket("/queued", SocketOptions { retries: 1, ..SocketOptions::default() });
    pair.add_namespace("/queued");
    for socket in [plain, queued] {
        pair.client.emit(pair.now, socket, &event("stale", 1), Flags::default()).unwrap();
        let ack = pair.client.emit_with_ack(pair.now, socket, &event("stale", 2), None, Flags::default()).unwrap().0;
        assert_eq!((pair.client.discard(pair.now, socket), pair.client.discard(pair.now, socket)), (2, 0));
        let lines = [r#"discarded ["stale",1]"#.into(), r#"discarded ["stale",2]"#.into()];
        let expected: Vec<String> = lines.into_iter().chain([format!("ack {ack} Disconnected")]).collect();
        assert_eq!(short(&pair.take_events()), expected);
        assert_eq!((pair.client.buffered(socket), pair.client.stats().acks), ((0, 0), 0));
        pair.client.emit(pair.now, socket, &event("fresh", 3), Flags::default()).unwrap();
        pair.client.connect(pair.now, socket);
    }
    pair.faults.outage = None;
    pair.advance(secs(10));
    assert_eq!(received(&mut pair), [("fresh".into(), 3), ("fresh".into(), 3)]);
    // What is on its way is not waiting.
    pair.client.emit(pair.now, queued, &event("later", 4), Flags::default()).unwrap();
    assert_eq!(pair.client.discard(pair.now, queued), 1);
    assert_eq!(pair.client.stats().retried_packets, 1);
    pair.client.discard(pair.now, plain);
}
