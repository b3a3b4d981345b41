//! A client against our own server, without faults: connecting, events, acknowledgements, buffers, disconnecting.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod pair;

use pair::{Fate, Pair, millis, secs};
use sockeye_protocol::{
    Config as ServerConfig, Instant, SocketKey,
    client::{
        AckOutcome, Config, Delivery, DisconnectReason, EmitError, Error, Event, Flags, Offline, SocketId,
        SocketOptions,
    },
    server::{ConnectError, ConnectRequest, Event as ServerEvent},
    socket::Payload,
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
    assert_eq!(
        names,
        [
            "error",
            "connect_error",
            "reconnect_attempt",
            "error",
            "connect_error",
            "reconnect_error",
            "reconnect_attempt",
            "error",
            "connect_error",
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
    assert_eq!(numbers, [1], "sent again");
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
    assert_eq!(short(&pair.take_events()), ["error no token", "connect_error no token"]);
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
