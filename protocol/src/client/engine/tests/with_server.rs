//! The engine and our own server understand each other.

use core::time::Duration;

use super::{pair::Pair, *};
use crate::{Config as ServerConfig, Limits as ServerLimits, engine::Event as ServerEvent};

fn server() -> ServerConfig {
    ServerConfig { path: "/e/".into(), ..ServerConfig::default() }
}

/// Messages both ways, each in order.
fn talk(pair: &mut Pair, upgraded: bool) {
    let binary = Message::Binary(Bytes::from_static(b"\0\xff"));
    for round in 0..3 {
        for message in [text("a"), binary.clone(), text("é\u{1f600}")] {
            pair.engine.send(message.clone()).unwrap();
            if let Some(key) = pair.key {
                pair.server.send(key, message).ok();
            }
        }
        pair.run_to(pair.now + Duration::from_secs(1));
        assert_eq!(pair.server_messages().len(), 3 * (round + 1));
    }
    pair.run_to(pair.now + Duration::from_secs(300));
    assert_eq!(pair.engine.transport() == Transport::WebSocket, upgraded);
    assert!(pair.engine.is_open());
    assert!(pair.client.iter().filter(|event| **event == Event::Ping).count() >= 8);
    let received = pair.messages();
    let sent = pair.server_messages();
    assert_eq!(received[received.len() - 6..], sent[..6]);
    assert_eq!(sent[0], text("a"));
    assert_eq!(sent[1], binary);
}

/// The application closes, and both sides forget everything.
fn end(mut pair: Pair, upgraded: bool) {
    pair.engine.send(text("last")).unwrap();
    pair.engine.close(pair.now);
    pair.settle();
    assert_eq!(pair.server_messages().last(), Some(&text("last")));
    assert_eq!(pair.client.last(), Some(&Event::Close { reason: CloseReason::ForcedClose, error: None }));
    let reason = CloseReason::TransportClose;
    assert_eq!(pair.at_server.last(), Some(&ServerEvent::Close { reason, error: None }));
    assert!(pair.engine.is_drained(), "{upgraded}");
    assert_eq!((pair.engine.stats(), pair.engine.poll_timeout()), (Default::default(), None));
    pair.run_to(pair.now + Duration::from_secs(60));
    assert!(pair.server.is_empty());
}

/// What the client was told last: the server has closed the session.
#[track_caller]
fn closed(pair: &Pair, by: ClosedBy) {
    let (reason, error) = (CloseReason::TransportClose, Some(Error::Closed(by)));
    assert_eq!(pair.client.last(), Some(&Event::Close { reason, error }));
}

#[test]
fn on_every_transport() {
    for (config, server, upgraded) in [
        (polling_only(), server(), false),
        (websocket_only(), server(), true),
        (plain(), server(), true),
        (plain(), ServerConfig { allow_upgrades: false, ..server() }, false),
        (Config { force_base64: true, ..plain() }, server(), true),
        (Config { force_base64: true, ..websocket_only() }, server(), true),
    ] {
        for piece in [1, usize::MAX] {
            let mut pair = Pair::new(config.clone(), server.clone());
            pair.piece = piece;
            talk(&mut pair, upgraded);
            let ups = pair.client.iter().filter(|event| **event == Event::Upgraded).count();
            assert_eq!(ups, usize::from(upgraded && config.transports.contains(&Transport::Polling)));
            end(pair, upgraded);
        }
    }
}

#[test]
fn with_a_framework_that_reads_frames_itself() {
    let mut pair = Pair::default();
    pair.framed = true;
    talk(&mut pair, true);
}

#[test]
fn without_websockets_polling_stays() {
    let mut pair = Pair::default();
    pair.no_websockets = true;
    talk(&mut pair, false);
    end(pair, false);
}

#[test]
fn batches_that_a_small_server_takes() {
    let limits = ServerLimits { max_payload: 50, ..ServerLimits::default() };
    let mut pair = Pair::new(polling_only(), ServerConfig { limits, ..server() });
    for length in 0..45 {
        pair.engine.send(text(&"x".repeat(length))).unwrap();
        pair.engine.send(Message::Binary(Bytes::from(alloc::vec![1; length / 2]))).unwrap();
    }
    pair.run_to(at(1_000));
    assert_eq!(pair.server_messages().len(), 90);
    // One that is too large is sent anyway. The server ends the session and says so in answer to the GET first.
    pair.engine.send(text(&"x".repeat(50))).unwrap();
    pair.settle();
    closed(&pair, ClosedBy::Packet);
    let reason = CloseReason::TransportError;
    assert!(matches!(pair.at_server.last(), Some(ServerEvent::Close { reason: other, .. }) if *other == reason));
    pair.run_to(at(60_000));
    assert!(pair.server.is_empty() && pair.engine.is_drained());
}

#[test]
fn the_server_ends_the_session() {
    for (config, upgraded) in [(polling_only(), false), (websocket_only(), true), (plain(), true)] {
        let mut pair = Pair::new(config, server());
        pair.run_to(at(500));
        pair.server.send(pair.key.unwrap(), text("last")).unwrap();
        pair.server.close(pair.now, pair.key.unwrap(), CloseReason::ServerShuttingDown);
        pair.run_to(at(1_000));
        assert_eq!(pair.messages(), [text("last")], "{upgraded}");
        let goodbye = CloseFrame { code: 1001, reason: "server shutting down".into() };
        closed(&pair, if upgraded { ClosedBy::Frame(Some(goodbye)) } else { ClosedBy::Packet });
        assert!(pair.engine.is_drained());
        pair.run_to(at(60_000));
        assert!(pair.server.is_empty());
    }
}

#[test]
fn the_websocket_breaks_after_the_upgrade() {
    let mut pair = Pair::default();
    pair.run_to(at(1_000));
    assert_eq!(pair.engine.transport(), Transport::WebSocket);
    pair.break_websockets();
    pair.settle();
    closed(&pair, ClosedBy::Eof);
    assert!(pair.engine.is_drained() && pair.server.is_empty());
}

#[test]
fn a_refused_handshake() {
    let transports = crate::Transports { polling: false, websocket: true };
    let mut pair = Pair::new(plain(), ServerConfig { transports, ..server() });
    pair.settle();
    let Some(Event::Close { error: Some(Error::Poll(cause)), .. }) = pair.client.last() else { panic!() };
    let refusal = super::super::Refusal { code: Some(0), message: "Transport unknown".into() };
    assert_eq!(**cause, super::super::Cause::Status { status: 400, refusal: Some(refusal) });
    let config = Config { try_all_transports: true, ..plain() };
    let mut pair = Pair::new(config, ServerConfig { transports, ..server() });
    talk(&mut pair, true);
}
