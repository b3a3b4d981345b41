//! A client against our own server, without faults: connecting, events, acknowledgements, buffers, disconnecting.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../src/fuzzing/pair/mod.rs"]
mod pair;

use pair::{Fate, Pair, millis, secs};
use sockeye_protocol::{
    Config as ServerConfig, Instant, SocketKey,
    client::{
        AckOutcome, Config, Delivery, DisconnectReason, EmitError, Error, Event, Flags, Limits, Offline, SocketId,
        SocketOptions, Transport, engine,
    },
    server::{ConnectError, ConnectRequest, Event as ServerEvent},
    socket::{Packet, Payload},
};

fn pair() -> Pair {
    Pair::new(Config::default(), ServerConfig::default(), 1)
}

fn event(name: &str, number: u64) -> Payload {
    Payload::event(name, &number, 10).expect("a number")
}

/// A pair whose client is connected to `/`.
fn connected() -> (Pair, SocketId, SocketKey) {
    let mut pair = pair();
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    assert!(pair.until(secs(5), |pair| pair.client.is_connected(socket)));
    pair.advance(secs(1));
    let (server, ..) = pair.accepted.pop_front().expect("let in");
    pair.take_events();
    (pair, socket, server)
}

/// The names of events that arrived, with their first arguments.
fn received(pair: &mut Pair) -> Vec<(String, u64)> {
    let mut received = Vec::new();
    for event in pair.server_events.drain(..) {
        if let ServerEvent::Packet { event, args, .. } = event {
            received.push((event.to_string(), args.deserialize().expect("a number")));
        }
    }
    received
}

/// The next wish to connect.
fn connect_request(pair: &mut Pair) -> ConnectRequest {
    while let Some(event) = pair.server_events.pop_front() {
        if let ServerEvent::Connect(request) = event {
            return request;
        }
    }
    panic!("nobody asks");
}

fn short(events: &[Event]) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Connect { recovered, .. } => format!("connect{}", if *recovered { " recovered" } else { "" }),
        Event::ConnectError { error, .. } => format!("connect_error {error}"),
        Event::Disconnect { reason, .. } => format!("disconnect {reason}"),
        Event::Packet { event, args, .. } => format!("packet {event} {}", args.raw()),
        Event::Ack { id, outcome, .. } => match outcome {
            AckOutcome::Reply(args) => format!("ack {id} {}", args.raw()),
            outcome => format!("ack {id} {outcome:?}"),
        },
        Event::Outgoing { payload, .. } => format!("outgoing {}", String::from_utf8_lossy(payload.json())),
        Event::Discarded { payload, .. } => format!("discarded {}", String::from_utf8_lossy(payload.json())),
        Event::NeedAuth(request) => format!("auth {}", request.namespace()),
        Event::NeedHeaders(request) => format!("headers {}", request.attempt()),
        Event::Open => "open".into(),
        Event::Upgrade => "upgrade".into(),
        Event::Ping => "ping".into(),
        Event::Error(error) => format!("error {error}"),
        Event::Close { reason, .. } => format!("close {reason}"),
        Event::ReconnectAttempt { attempt, .. } => format!("reconnect_attempt {attempt}"),
        Event::Reconnect { attempt } => format!("reconnect {attempt}"),
        Event::ReconnectError(error) => format!("reconnect_error {error}"),
        Event::ReconnectFailed => "reconnect_failed".into(),
        event => format!("{event:?}"),
    };
    events.iter().filter(|event| !matches!(event, Event::Upgrade | Event::Ping)).map(short).collect()
}

#[test]
fn it_connects_and_talks_both_ways() {
    let mut pair = pair();
    let socket = pair.client.add_socket("/", SocketOptions::default());
    assert_eq!(pair.client.add_socket("", SocketOptions::default()), socket);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect"]);
    let (server, sid, _) = pair.accepted.pop_front().unwrap();
    assert_eq!(pair.client.sid(socket).map(ToString::to_string), Some(sid.to_string()));

    assert_eq!(pair.client.emit(pair.now, socket, &event("up", 1), Flags::default()), Ok(Delivery::Sent));
    pair.server.emit(pair.now, server, &event("down", 2)).unwrap();
    pair.advance(secs(1));
    assert_eq!(received(&mut pair), [("up".into(), 1)]);
    assert_eq!(short(&pair.take_events()), ["packet down 2"]);

    // Acknowledgements, both ways.
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("ask", 3), None, Flags::default()).unwrap();
    pair.server.emit_with_ack(pair.now, server, &event("ask", 4), secs(5)).unwrap();
    pair.advance(secs(1));
    assert_eq!(pair.client.stats().acks, 1);
    let answer = Payload::ack(&("yes", 5), 10).unwrap();
    let Some(ServerEvent::Packet { ack: Some(token), .. }) = pair.server_events.pop_front() else { panic!() };
    pair.server.reply(pair.now, &token, &answer).unwrap();
    let Some(Event::Packet { ack: Some(token), .. }) = pair.take_events().pop() else { panic!() };
    pair.client.reply(pair.now, &token, &answer).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), [format!("ack {id} \"yes\",5")]);
    assert!(matches!(pair.server_events.pop_front(), Some(ServerEvent::Ack { .. })));
}

#[test]
fn namespaces_share_one_connection() {
    let mut pair = pair();
    pair.add_namespace("/a");
    let sockets = ["/", "a", "/a", "/missing"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    assert_eq!(sockets[1], sockets[2]);
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect", "connect", "connect_error Invalid namespace"]);
    assert_eq!(sockets.map(|socket| pair.client.is_active(socket)), [true, true, true, false]);
    assert_eq!((pair.client.stats().engines, pair.server.stats().connections), (1, 1));
    // The first to leave closes nothing, the last one does.
    pair.client.disconnect(pair.now, sockets[0]);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect"]);
    pair.client.disconnect(pair.now, sockets[1]);
    pair.advance(secs(40));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect", "close forced close"]);
    assert!(pair.client.is_drained());
    assert_eq!(pair.server.stats().connections, 0);
}

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
fn i38_a_socket_may_leave_and_come_back_in_one_tick() {
    let mut pair = pair();
    pair.add_namespace("/b");
    let sockets = ["/", "/b"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    pair.take_events();
    pair.accepted.clear();
    pair.client.disconnect(pair.now, sockets[1]);
    pair.client.connect(pair.now, sockets[1]);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect", "connect"]);
    assert_eq!(pair.accepted.len(), 1);
    // The same for the only one: the connection goes with it.
    pair.client.remove(pair.now, sockets[1]);
    pair.client.disconnect(pair.now, sockets[0]);
    pair.client.connect(pair.now, sockets[0]);
    pair.advance(secs(10));
    assert_eq!(
        short(&pair.take_events()),
        ["disconnect io client disconnect", "disconnect io client disconnect", "close forced close", "open", "connect"]
    );
    assert_eq!((pair.client.stats().engines, pair.server.stats().connections), (1, 1));
}

/// A CONNECT that is on its way is answered before the next one is sent: two would end the connection.
#[test]
fn a_socket_may_leave_and_come_back_before_it_is_connected() {
    let mut pair = pair();
    pair.add_namespace("/b");
    pair.auto_accept = false;
    let sockets = ["/", "/b"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    let answer = |pair: &mut Pair, accept: &[bool]| {
        pair.advance(secs(1));
        for accept in accept {
            let request = connect_request(pair);
            if *accept {
                pair.server.accept(pair.now, request).unwrap();
            } else {
                pair.server.reject(pair.now, request, &ConnectError::new("no").unwrap()).unwrap();
            }
        }
        pair.advance(secs(1));
        short(&pair.take_events())
    };
    pair.client.disconnect(pair.now, sockets[1]);
    pair.client.connect(pair.now, sockets[1]);
    assert_eq!(answer(&mut pair, &[true, true]), ["open", "connect"]);
    // The first was left at once, and the second is asked for.
    let left = pair.server_events.iter().find(|event| !matches!(event, ServerEvent::Upgrade(_) | ServerEvent::Room(_)));
    assert!(matches!(left, Some(ServerEvent::Disconnecting { .. })), "{left:?}");
    pair.server_events.retain(|event| matches!(event, ServerEvent::Connect(_)));
    // Another namespace takes the place of the one that was given up, and it is refused.
    pair.client.remove(pair.now, sockets[1]);
    let again = pair.client.add_socket("/b", SocketOptions::default());
    pair.client.connect(pair.now, again);
    assert_eq!(pair.client.stats().left_namespaces, 0);
    assert_eq!(answer(&mut pair, &[false]), [""; 0]);
    assert_eq!(answer(&mut pair, &[true]), ["connect"]);
    assert_eq!(pair.server.stats().connections, 1);
}

#[test]
fn the_server_disconnects_one_or_all() {
    let (mut pair, socket, server) = connected();
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("ask", 1), None, Flags::default()).unwrap();
    pair.server.disconnect(pair.now, server, false);
    pair.advance(secs(1));
    assert_eq!(
        short(&pair.take_events()),
        ["disconnect io server disconnect".into(), format!("ack {id} Disconnected"), "close forced close".into()]
    );
    assert!(!pair.client.is_active(socket) && pair.client.is_closed());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect"]);
}

/// What JavaScript gives a `disconnect` listener beside the reason; where a connection fails, the reason is the message.
#[test]
fn a_disconnect_has_details() {
    let (mut pair, socket, _) = connected();
    let other = pair.client.add_socket("/b", SocketOptions::default());
    pair.add_namespace("/b");
    pair.auto_accept = false;
    pair.client.connect(pair.now, other);
    pair.advance(secs(1));
    pair.server.shutdown(pair.now);
    pair.advance(secs(1));
    let events = pair.take_events();
    let details = events.iter().find_map(|event| match event {
        Event::Disconnect { reason, error, .. } => Some((*reason, error.clone())),
        _ => None,
    });
    let frame = engine::CloseFrame { code: 1001, reason: "server shutting down".into() };
    let error = engine::Error::Closed(engine::ClosedBy::Frame(Some(frame)));
    assert_eq!(error.to_string(), "websocket connection closed");
    assert_eq!(details, Some((DisconnectReason::TransportClose, Some(Error::Engine(error)))));
    let closed = Error::Closed(DisconnectReason::TransportClose);
    assert!(
        events.iter().any(
            |event| matches!(event, Event::ConnectError { socket, error } if *socket == other && *error == closed)
        )
    );
    assert_eq!(pair.client.last_error(socket), Some(&closed));
}

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

/// As in JavaScript: a namespace that has left and come back is the last.
#[test]
fn namespaces_come_and_go_in_the_order_in_which_they_were_connected() {
    let mut pair = pair();
    let names = ["/", "/a", "/b"];
    let sockets = names.map(|name| {
        pair.add_namespace(name);
        pair.client.add_socket(name, SocketOptions::default())
    });
    for index in [2, 0, 1] {
        pair.client.connect(pair.now, sockets[index]);
    }
    pair.advance(secs(1));
    pair.client.disconnect(pair.now, sockets[0]);
    pair.client.connect(pair.now, sockets[0]);
    // It is connected, or about to be, already.
    pair.client.connect(pair.now, sockets[2]);
    pair.advance(secs(1));
    pair.take_events();
    let order = [sockets[2], sockets[1], sockets[0]];
    pair.restart();
    pair.faults.outage = Some(Fate::Refused);
    pair.advance(secs(10));
    pair.faults.outage = None;
    pair.advance(secs(10));
    let told: Vec<_> = pair
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Disconnect { socket, .. } => Some(("lost", socket)),
            Event::ConnectError { socket, .. } => Some(("refused", socket)),
            Event::Connect { socket, .. } => Some(("connected", socket)),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 9, "{told:?}");
    for round in told.chunks(3) {
        assert_eq!(round, order.map(|socket| (round[0].0, socket)));
    }
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

#[test]
fn auth_is_asked_for_each_connection_with_the_last_error() {
    let mut pair = pair();
    pair.auto_auth = false;
    pair.auto_accept = false;
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    let auth = |pair: &mut Pair| {
        let found = pair.take_events().into_iter().find_map(|event| match event {
            Event::NeedAuth(request) => Some(request),
            _ => None,
        });
        found.expect("asked")
    };
    let first = auth(&mut pair);
    assert_eq!((first.socket(), &**first.namespace(), first.last_error()), (socket, "/", None));
    let wrong = Payload::data(&[1]).unwrap();
    assert!(pair.client.provide_auth(pair.now, &first, Ok(Some(&wrong))).is_err());
    let token = Payload::data(&std::collections::BTreeMap::from([("token", "old")])).unwrap();
    pair.client.provide_auth(pair.now, &first, Ok(Some(&token))).unwrap();
    assert!(pair.client.provide_auth(pair.now, &first, Ok(None)).is_err(), "it was answered");
    pair.advance(secs(1));
    let request = connect_request(&mut pair);
    assert_eq!(request.auth().map(|auth| auth.raw()), Some(r#"{"token":"old"}"#));
    let refusal = ConnectError::with_data("expired", &1).unwrap();
    pair.server.reject(pair.now, request, &refusal).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["connect_error expired", "close forced close"]);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    let second = auth(&mut pair);
    assert!(matches!(second.last_error(), Some(Error::Refused(refusal)) if &*refusal.message == "expired"));
    // A connection that is gone waits for no answer.
    pair.restart();
    pair.advance(secs(10));
    assert!(pair.client.provide_auth(pair.now, &second, Ok(None)).is_err());
    let third = auth(&mut pair);
    pair.client.provide_auth(pair.now, &third, Err("no token".into())).unwrap();
    assert_eq!(short(&pair.take_events()), ["connect_error no token", "close forced close"]);
    assert!(!pair.client.is_active(socket));
}

#[test]
fn headers_are_asked_for_each_attempt() {
    let config = Config { ask_headers: true, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    let Some(Event::NeedHeaders(first)) = pair.take_events().pop() else { panic!() };
    assert_eq!((first.attempt(), first.last_error()), (0, None));
    pair.client.provide_headers(pair.now, &first, Err("no token".into())).unwrap();
    assert_eq!(short(&pair.take_events()), ["connect_error no token", "error no token"]);
    pair.advance(secs(2));
    let mut events = pair.take_events();
    let Some(Event::NeedHeaders(second)) = events.pop() else { panic!() };
    assert!(pair.client.provide_headers(pair.now, &first, Ok(Vec::new())).is_err());
    assert_eq!((second.attempt(), second.last_error()), (1, Some(&Error::Provider("no token".into()))));
    let headers = vec![("Authorization".into(), "Bearer 1".into())];
    pair.client.provide_headers(pair.now, &second, Ok(headers)).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "reconnect 1", "connect"]);
}

/// A server that never answers CONNECT holds nobody for ever, and one namespace that waits disturbs no other.
/// Namespaces that were removed are remembered up to a number: whether the server has answered for them or not.
#[test]
fn left_namespaces_are_bounded() {
    for answers in [true, false] {
        let limits = Limits { left_namespaces: 3, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let mut pair = Pair::new(config, ServerConfig::default(), 1);
        let (main, kept) =
            (pair.client.add_socket("/", SocketOptions::default()), |pair: &Pair| pair.client.stats().left_namespaces);
        pair.client.connect(pair.now, main);
        pair.advance(secs(1));
        pair.auto_accept = answers;
        for number in 1..=4 {
            let name = format!("/{number}");
            pair.add_namespace(&name);
            let socket = pair.client.add_socket(&name, SocketOptions::default());
            pair.client.connect(pair.now, socket);
            pair.advance(secs(1));
            assert_eq!(pair.client.is_connected(socket), answers);
            pair.client.remove(pair.now, socket);
            assert_eq!(kept(&pair), number.min(3));
        }
        // The first is not known any more, the last one is.
        for (name, left) in [("/1", 3), ("/4", 2)] {
            pair.client.add_socket(name, SocketOptions::default());
            assert_eq!(kept(&pair), left, "{name}");
        }
        pair.client.close(pair.now);
        assert_eq!(kept(&pair), 0);
    }
}

#[test]
fn a_connect_without_answer_is_told_and_given_up() {
    let config = Config { connect_timeout: Some(secs(10)), ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig { connect_timeout: secs(3_600), ..ServerConfig::default() }, 1);
    pair.add_namespace("/slow");
    pair.auto_accept = false;
    let socket = pair.client.add_socket("/slow", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(millis(10_500));
    let events = short(&pair.take_events());
    assert!(events[1].starts_with("error the server has not connected the namespace within 10s"), "{events:?}");
    assert!(events[2].starts_with("connect_error"), "{events:?}");
    assert_eq!(events[3], "close transport error");
    assert!(pair.client.waits_until().is_some());
    // Now another namespace is connected.
    let root = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, root);
    pair.server_events.clear();
    pair.advance(secs(2));
    for event in std::mem::take(&mut pair.server_events) {
        if let ServerEvent::Connect(request) = event
            && *request.namespace() == "/"
        {
            pair.server.accept(pair.now, request).unwrap();
        }
    }
    pair.advance(secs(1));
    pair.take_events();
    pair.advance(secs(25));
    let events = short(&pair.take_events());
    let told = events.iter().filter(|line| line.starts_with("connect_error the server")).count();
    assert_eq!(told, 2, "{events:?}");
    assert!(pair.client.is_connected(root) && pair.client.is_active(socket));
    assert_eq!(pair.now.saturating_duration_since(Instant::ZERO), millis(38_500));
}

/// Who left before the server answered, and comes back, waits for that answer from then on.
#[test]
fn a_namespace_that_is_asked_for_again_has_its_time_anew() {
    let config = Config { connect_timeout: Some(secs(10)), ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    pair.add_namespace("/slow");
    let root = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, root);
    pair.advance(secs(1));
    pair.auto_accept = false;
    for removed in [false, true] {
        let slow = pair.client.add_socket("/slow", SocketOptions::default());
        pair.client.connect(pair.now, slow);
        pair.advance(secs(1));
        if removed {
            pair.client.remove(pair.now, slow)
        } else {
            pair.client.disconnect(pair.now, slow)
        }
        pair.advance(secs(100));
        let slow = pair.client.add_socket("/slow", SocketOptions::default());
        pair.client.connect(pair.now, slow);
        pair.take_events();
        pair.advance(millis(9_999));
        assert_eq!(short(&pair.take_events()), [""; 0], "removed: {removed}");
        pair.advance(millis(1));
        assert_eq!(short(&pair.take_events()), ["connect_error the server has not connected the namespace within 10s"]);
        pair.server_events.clear();
        pair.client.remove(pair.now, slow);
    }
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
fn reasons_have_the_texts_of_javascript() {
    use DisconnectReason::*;
    let reasons = [
        (ServerDisconnect, "io server disconnect", false),
        (ClientDisconnect, "io client disconnect", false),
        (PingTimeout, "ping timeout", true),
        (TransportClose, "transport close", true),
        (TransportError, "transport error", true),
        (ParseError, "parse error", true),
        (ForcedClose, "forced close", false),
    ];
    for (reason, text, reconnects) in reasons {
        assert_eq!((reason.to_string().as_str(), reason.reconnects()), (text, reconnects));
    }
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
        let told = events.iter().filter(|event| matches!(event, Event::Received(Packet::Event { .. }))).count();
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
