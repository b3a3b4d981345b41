//! Connections that are lost, and attempts at new ones.

use sockeye_protocol::{
    Config as ServerConfig, Instant,
    client::{Config, DisconnectReason, Error, Event, Flags, SocketOptions},
    socket::Packet,
};

use crate::{
    client_manager::support::{connected, event, pair, received, short},
    pair::{Fate, Pair, millis, secs},
};

#[test]
fn a_lost_connection_comes_back_and_sends_what_waited() {
    let (mut pair, socket, _) = connected();
    pair.restart();
    pair.faults.outage = Some(Fate::Refused);
    pair.advance(secs(1));
    let lost = short(&pair.take_events());
    assert_eq!(lost[0], "disconnect transport close", "{lost:?}");
    for number in 0..100 {
        pair.client.emit(pair.now, socket, &event("n", number), Flags::default()).unwrap();
    }
    assert!(pair.client.waits_until().is_some());
    pair.advance(secs(20));
    pair.faults.outage = None;
    pair.advance(secs(20));
    let numbers: Vec<u64> = received(&mut pair).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    let events = short(&pair.take_events());
    let attempts = events.iter().filter(|line| line.starts_with("reconnect_attempt")).count();
    // The first one was taken above.
    assert!(attempts > 3 && events.contains(&format!("reconnect {}", attempts + 1)), "{attempts} {events:?}");
}

/// Behaviours, items 69 and 70.
#[test]
fn attempts_end_and_the_order_of_their_events() {
    let config = Config { reconnection_attempts: Some(2), randomization_factor: 0.0, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    pair.faults.outage = Some(Fate::Refused);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(60));
    let events: Vec<String> = short(&pair.take_events());
    let names: Vec<&str> = events.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    // As where a JavaScript application has a socket first, and then looks at its manager.
    assert_eq!(
        names,
        [
            "connect_error",
            "error",
            "reconnect_attempt",
            "connect_error",
            "error",
            "reconnect_error",
            "reconnect_attempt",
            "connect_error",
            "error",
            "reconnect_failed",
            "reconnect_error"
        ]
    );
    assert!(pair.client.is_closed() && pair.client.is_active(socket));
    // It can be asked to try again, and counts from the beginning.
    pair.faults.outage = None;
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect"]);
}

/// As in JavaScript (`reconnectionAttempts || Infinity`).
#[test]
fn no_attempts_at_all_are_attempts_without_end() {
    let config = Config { reconnection_attempts: Some(0), randomization_factor: 0.0, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    pair.faults.outage = Some(Fate::Refused);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(600));
    let events = short(&pair.take_events());
    assert!(events.iter().any(|event| event == "reconnect_attempt 100"), "{events:?}");
    pair.faults.outage = None;
    assert!(pair.until(secs(10), |pair| pair.client.is_connected(socket)));
}

#[test]
fn close_ends_a_wait_at_once_and_open_too() {
    let mut pair = pair();
    pair.faults.outage = Some(Fate::Refused);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(millis(100));
    assert!(pair.client.waits_until().is_some());
    pair.take_events();
    pair.client.close(pair.now);
    assert_eq!(short(&pair.take_events()), ["connect_error forced close"]);
    assert!(pair.client.is_closed() && pair.client.poll_timeout().is_none());
    pair.client.open(pair.now);
    pair.advance(millis(100));
    assert!(pair.client.waits_until().is_some());
    pair.faults.outage = None;
    pair.take_events();
    pair.client.open(pair.now);
    pair.advance(millis(100));
    assert_eq!(short(&pair.take_events()), ["reconnect_attempt 1", "open", "reconnect 1", "connect"]);
    // A socket that leaves ends the wait, too (4.8.0).
    pair.faults.outage = Some(Fate::Refused);
    pair.restart();
    pair.advance(millis(100));
    pair.client.disconnect(pair.now, socket);
    assert!(pair.client.is_closed() && pair.client.poll_timeout().is_none());
    assert_eq!(pair.client.last_error(socket), Some(&Error::Closed(DisconnectReason::ClientDisconnect)));
}

#[test]
fn options_may_change_between_attempts() {
    let config = Config { randomization_factor: 0.0, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    pair.faults.outage = Some(Fate::Refused);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(millis(100));
    let (config, limits) = ((**pair.client.config()).clone(), pair.client.config().limits.clone());
    // The wait that has begun goes on; the next is cut at 4 s.
    let mut changed = Config { reconnection_delay: secs(8), reconnection_delay_max: secs(4), ..config.clone() };
    changed.limits.pending_acks = 0;
    pair.client.set_config(pair.now, changed);
    assert_eq!(pair.client.config().limits, limits);
    pair.advance(secs(1));
    // Since the second attempt failed, a round trip after the first second.
    let until = pair.client.waits_until().unwrap();
    assert!((Instant::from_millis(5_000)..Instant::from_millis(5_100)).contains(&until), "{until:?}");
    pair.client.set_config(pair.now, Config { reconnection: false, ..config.clone() });
    assert!(pair.client.is_closed() && pair.client.is_abandoned(socket) && pair.client.poll_timeout().is_none());
    pair.take_events();
    // An attempt that is asked for is the only one then.
    pair.client.open(pair.now);
    pair.advance(secs(60));
    assert_eq!(short(&pair.take_events()).len(), 2, "an error, and that of the socket");
    pair.faults.outage = None;
    pair.client.set_config(pair.now, Config { query: vec![("try".into(), "2".into())], ..config });
    pair.client.open(pair.now);
    pair.advance(secs(1));
    assert!(pair.client.is_connected(socket) && !pair.client.is_abandoned(socket));
}

#[test]
fn each_packet_is_told_as_such_if_wanted() {
    let (mut pair, socket, server) = connected();
    for report in [true, false] {
        pair.client.report_packets(report);
        pair.server.emit(pair.now, server, &event("n", 1)).unwrap();
        pair.advance(millis(100));
        let events = pair.take_events();
        let is_event =
            |event: &&Event| matches!(event, Event::Received(packet) if matches!(**packet, Packet::Event { .. }));
        let told = events.iter().filter(is_event).count();
        assert_eq!((events.len(), told), (1 + usize::from(report), usize::from(report)));
        let last = events.last();
        assert!(matches!(last, Some(Event::Packet { socket: to, .. }) if *to == socket), "{events:?}");
    }
}

/// `rememberUpgrade` is state of each client, which its owner may hand on; not of the process.
#[test]
fn an_upgrade_is_remembered_by_whom_it_is_told() {
    let config = Config { remember_upgrade: true, ..Config::default() };
    let first_transport = |remembered: bool| {
        let mut pair = Pair::new(config.clone(), ServerConfig::default(), 1);
        pair.client.set_prior_websocket_success(remembered);
        let socket = pair.client.add_socket("/", SocketOptions::default());
        pair.client.connect(pair.now, socket);
        let first = pair.client.engine().map(|engine| engine.transport_name());
        pair.advance(secs(1));
        assert!(pair.client.is_connected(socket) && pair.client.prior_websocket_success());
        (first, pair)
    };
    let (first, mut pair) = first_transport(false);
    assert_eq!(first, Some("polling"));
    // Another client knows nothing of that, until it is told.
    assert_eq!(first_transport(false).0, Some("polling"));
    assert_eq!(first_transport(pair.client.prior_websocket_success()).0, Some("websocket"));
    // The next connection of the same client does, and forgets it after a failure.
    pair.client.close(pair.now);
    pair.advance(secs(1));
    assert!(pair.client.prior_websocket_success());
    pair.client.open(pair.now);
    assert_eq!(pair.client.engine().map(|engine| engine.transport_name()), Some("websocket"));
    pair.faults.outage = Some(Fate::Refused);
    pair.restart();
    pair.advance(millis(100));
    assert!(!pair.client.prior_websocket_success());
}
