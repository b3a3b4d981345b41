//! What the tests of clients share.

use sockeye_protocol::{
    Config as ServerConfig, SocketKey,
    client::{AckOutcome, Config, Event, SocketId, SocketOptions},
    server::{ConnectRequest, Event as ServerEvent},
    socket::Payload,
};

use crate::pair::{Pair, secs};

pub(crate) fn pair() -> Pair {
    Pair::new(Config::default(), ServerConfig::default(), 1)
}

pub(crate) fn event(name: &str, number: u64) -> Payload {
    Payload::event(name, &number, 10).expect("a number")
}

/// A pair whose client is connected to `/`.
pub(crate) fn connected() -> (Pair, SocketId, SocketKey) {
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
pub(crate) fn received(pair: &mut Pair) -> Vec<(String, u64)> {
    let mut received = Vec::new();
    for event in pair.server_events.drain(..) {
        if let ServerEvent::Packet { event, args, .. } = event {
            received.push((event.to_string(), args.deserialize().expect("a number")));
        }
    }
    received
}

/// The next wish to connect.
pub(crate) fn connect_request(pair: &mut Pair) -> ConnectRequest {
    while let Some(event) = pair.server_events.pop_front() {
        if let ServerEvent::Connect(request) = event {
            return request;
        }
    }
    panic!("nobody asks");
}

pub(crate) fn short(events: &[Event]) -> Vec<String> {
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
