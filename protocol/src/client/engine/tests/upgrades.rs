//! The upgrade, and its loss at each step.

use super::*;
use crate::engine::SendError;

/// A session on polling that has asked for a WebSocket; its GET waits.
fn asked() -> (Script, Get, TransportId, Request) {
    let mut script = Script::new(plain());
    let get = script.request("GET");
    script.ok(get.0, OPEN);
    script.event_open();
    let (transport, request) = script.open();
    let get = script.request("GET");
    script.nothing();
    (script, get, transport, request)
}

/// The same with the probe sent.
fn probing() -> (Script, Get, TransportId) {
    let (mut script, get, transport, request) = asked();
    assert_eq!(request.target, "/e/?EIO=4&transport=websocket&sid=abc");
    script.accept_as(transport, &request, &[]);
    script.nothing();
    assert_eq!(script.said(transport), ["2probe"]);
    (script, get, transport)
}

/// Polling works: a message comes, and one goes.
#[track_caller]
fn polls(script: &mut Script, get: Get) {
    script.ok(get.0, "4still");
    assert_eq!(script.event(), Event::Message(text("still")));
    script.request("GET");
    script.engine.send(text("here")).unwrap();
    let post = script.request("POST");
    assert!(post.1.body.ends_with(b"4here"));
    script.nothing();
    assert!(script.engine.is_open() && script.engine.transport() == Transport::Polling);
    assert_eq!(script.engine.poll_timeout().map(|at| at >= Instant::from_millis(5_000)), Some(true));
}

#[test]
fn everything_in_order() {
    let (mut script, get, transport) = probing();
    // Polling goes on while the probe is on its way.
    script.engine.send(text("a")).unwrap();
    let post = script.request("POST");
    script.engine.send(text("b")).unwrap();
    script.says(transport, "3probe");
    script.nothing();
    assert!(script.engine.prior_websocket_success());
    assert!(!script.engine.writable());
    // The answers are waited for, and nothing new is sent.
    script.ok(get.0, "4x\x1e2\x1e6");
    assert_eq!(script.event(), Event::Message(text("x")));
    assert_eq!(script.event(), Event::Ping);
    script.nothing();
    assert!(script.said(transport).is_empty());
    script.ok(post.0, "ok");
    assert_eq!(script.event(), Event::Upgraded);
    script.nothing();
    assert_eq!(script.said(transport), ["5", "4b", "3"]);
    assert_eq!(script.engine.transport_name(), "websocket");
    script.says(transport, "4y");
    assert_eq!(script.event(), Event::Message(text("y")));
    assert_eq!(script.engine.poll_timeout(), Some(at(45_000)));
}

#[test]
fn an_upgrade_needs_an_offer_and_a_wish() {
    let offered = |offer: &str| OPEN.replace(r#"["websocket"]"#, offer);
    for (config, open, upgrades) in [
        (plain(), offered(r#"["webtransport","websocket"]"#), true),
        (plain(), offered("[]"), false),
        (plain(), offered(r#"["webtransport"]"#), false),
        (Config { upgrade: false, ..plain() }, offered(r#"["websocket"]"#), false),
        (polling_only(), offered(r#"["websocket"]"#), false),
    ] {
        let mut script = Script::new(config);
        let get = script.request("GET");
        script.ok(get.0, &open);
        script.event_open();
        assert_eq!(matches!(script.next(), Output::Open { .. }), upgrades);
    }
    // WebSocket is the end of the road.
    let mut script = Script::new(Config { transports: [Transport::WebSocket, Transport::Polling].into(), ..plain() });
    let transport = script.accept();
    script.says(transport, OPEN);
    script.event_open();
    script.nothing();
}

#[test]
fn it_is_refused_or_fails() {
    let (mut script, get, transport, _) = asked();
    script.engine.handle_upgrade(at(0), transport, &Response { status: 400, headers: &[] }, Bytes::new());
    script.nothing();
    assert!(!script.engine.prior_websocket_success());
    polls(&mut script, get);

    let (mut script, get, transport, _) = asked();
    script.engine.handle_open_failure(at(0), transport, Failure::Timeout);
    polls(&mut script, get);

    let (mut script, get, transport, _) = asked();
    script.engine.handle_upgrade(at(0), transport, &Response { status: 101, headers: &[] }, Bytes::new());
    assert_eq!(script.next(), Output::Abort { transport });
    polls(&mut script, get);
}

#[test]
fn it_takes_too_long() {
    let (mut script, get, transport, request) = asked();
    assert_eq!(script.engine.poll_timeout(), Some(at(10_000)));
    script.tick(10_000);
    assert_eq!(script.next(), Output::Abort { transport });
    // The answer may cross the abort.
    script.accept_as(transport, &request, &[]);
    script.nothing();
    polls(&mut script, get);

    for paused in [false, true] {
        let (mut script, get, transport) = probing();
        if paused {
            script.says(transport, "3probe");
            script.nothing();
        }
        script.tick(10_000);
        script.nothing();
        assert_eq!(script.said(transport), ["close 1008"]);
        polls(&mut script, get);
        script.flow(transport);
        assert_eq!(script.next(), Output::Shutdown { transport });
        script.engine.handle_eof(at(10_000), transport);
        script.nothing();
        assert_eq!(script.engine.stats().transports, 0);
    }
}

#[test]
fn the_candidate_is_lost() {
    for paused in [false, true] {
        for eof in [false, true] {
            let (mut script, get, transport) = probing();
            if paused {
                script.says(transport, "3probe");
                script.nothing();
                // Both requests are answered by then, or one.
            }
            if eof {
                script.engine.handle_eof(at(0), transport);
                script.nothing();
            } else {
                script.stream(transport).close(at(0), None, "");
                script.flow(transport);
                assert_eq!(script.next(), Output::Shutdown { transport });
                script.engine.handle_eof(at(0), transport);
            }
            assert!(!script.engine.prior_websocket_success());
            polls(&mut script, get);
        }
    }
}

#[test]
fn the_candidate_says_something_else() {
    for packet in ["3", "3probe!", "4x", "2probe", "6", "1", "0{}", "", "x"] {
        for paused in [false, true] {
            let (mut script, get, transport) = probing();
            if paused {
                script.says(transport, "3probe");
            }
            script.says(transport, packet);
            script.nothing();
            assert_eq!(script.said(transport), ["close 1002"], "{packet}");
            polls(&mut script, get);
        }
    }
    let (mut script, get, transport) = probing();
    script.says(transport, "3probe");
    script.says(transport, "3probe");
    script.nothing();
    assert_eq!(script.said(transport), ["close 1002"]);
    polls(&mut script, get);
}

#[test]
fn polling_fails_meanwhile() {
    for paused in [false, true] {
        let (mut script, get, transport) = probing();
        if paused {
            script.says(transport, "3probe");
            script.nothing();
        }
        script.fail(get.0);
        let Event::Close { reason: CloseReason::TransportError, error: Some(Error::Poll(_)) } = script.event() else {
            panic!();
        };
        script.nothing();
        assert_eq!(script.said(transport), ["close 1002"]);
        script.engine.handle_eof(at(0), transport);
        script.drained();
    }
}

#[test]
fn the_server_closes_meanwhile() {
    let (mut script, get, transport) = probing();
    script.says(transport, "3probe");
    script.ok(get.0, "4a\x1e1");
    assert_eq!(script.event(), Event::Message(text("a")));
    script.closes(CloseReason::TransportClose, Some(Error::Closed(ClosedBy::Packet)));
    script.engine.handle_eof(at(0), transport);
    script.drained();
}

#[test]
fn item_29_a_close_waits_for_an_upgrade_that_is_agreed_on() {
    let (mut script, get, transport) = probing();
    script.says(transport, "3probe");
    script.nothing();
    script.engine.send(text("a")).unwrap();
    script.engine.close(at(0));
    assert_eq!(script.engine.send(text("b")), Err(SendError::Closed));
    script.nothing();
    script.ok(get.0, "6");
    assert_eq!(script.event(), Event::Upgraded);
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.said(transport), ["5", "4a", "close 1000"]);
    script.engine.handle_eof(at(0), transport);
    script.drained();
}

#[test]
fn a_close_does_not_wait_for_a_probe() {
    let (mut script, get, transport) = probing();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    let post = script.request("POST");
    assert_eq!((&post.1.body[..], script.said(transport)), (&b"1"[..], ["close 1000".into()].into()));
    script.engine.handle_eof(at(0), transport);
    script.ok(get.0, "6");
    script.ok(post.0, "ok");
    script.drained();

    let (mut script, get, transport, _) = asked();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.next(), Output::Abort { transport });
    script.request("POST");
    script.engine.abort(at(0));
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    assert!(matches!(script.next(), Output::Cancel { .. }));
    script.drained();
}

#[test]
fn a_close_while_an_upgrade_hangs() {
    let (mut script, get, transport) = probing();
    script.says(transport, "3probe");
    script.nothing();
    script.engine.close(at(0));
    script.tick(10_000);
    script.closes(CloseReason::ForcedClose, None);
    let post = script.request("POST");
    script.nothing();
    script.tick(15_000);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    assert_eq!(script.next(), Output::Cancel { id: post.0 });
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();
}
