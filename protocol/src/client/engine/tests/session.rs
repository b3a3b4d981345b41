//! An open session: messages both ways, the heartbeat, and its end.

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

use super::*;
use crate::{
    client::{Limits, engine::Cause},
    engine::{PacketError, SendError},
    socket::{Head, PacketType, Payload},
};

fn no_upgrade() -> Config {
    Config { upgrade: false, ..plain() }
}

#[test]
fn one_get_and_one_post_at_a_time() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.engine.send(text("a")).unwrap();
    script.engine.send(Message::Binary(Bytes::from_static(b"abc"))).unwrap();
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"4a\x1ebYWJj");
    assert_eq!(post.1.header("content-type"), Some("text/plain;charset=UTF-8"));
    assert_eq!(post.1.target, "/e/?EIO=4&transport=polling&sid=abc");
    script.engine.send(text("b")).unwrap();
    assert!(!script.engine.writable());
    script.nothing();
    script.ok(get.0, "4x\x1e6\x1e3\x1e5\x1e2\x1ebAQ==\x1e0{}");
    assert_eq!(script.event(), Event::Message(text("x")));
    assert_eq!(script.event(), Event::Ping);
    assert_eq!(script.event(), Event::Message(Message::Binary(Bytes::from_static(&[1]))));
    script.request("GET");
    script.nothing();
    script.ok(post.0, "ok");
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"4b\x1e3");
    script.ok(post.0, "");
    script.nothing();
    assert!(script.engine.writable());
}

#[test]
fn batches_fit_the_servers_limit() {
    for (max, bodies) in [
        (7, &[&b"4aaa"[..], b"4bbbbbbbbbbbb", b"4c\x1e4d", b"4e"][..]),
        (1_000, &[&b"4aaa\x1e4bbbbbbbbbbbb\x1e4c\x1e4d\x1e4e"[..]]),
        (0, &[&b"4aaa\x1e4bbbbbbbbbbbb\x1e4c\x1e4d\x1e4e"[..]]),
    ] {
        let mut script = Script::new(no_upgrade());
        for message in ["aaa", "bbbbbbbbbbbb", "c", "d", "e"] {
            script.engine.send(text(message)).unwrap();
        }
        let get = script.request("GET");
        script.nothing();
        script.ok(get.0, &OPEN.replace("1000000", &alloc::format!("{max}")));
        script.event_open();
        for body in bodies {
            let post = script.request("POST");
            assert_eq!(&post.1.body[..], *body);
            if script.engine.poll_output().is_some() {
                script.nothing();
            }
            script.ok(post.0, "ok");
        }
        script.nothing();
    }
}

#[test]
fn a_packet_and_its_attachments_stay_together() {
    let payload = Payload::event("e", &Bytes::from_static(b"abc"), 10).unwrap();
    let head = Head::new(PacketType::Event, 1, "/", None);
    let json = r#"451-["e",{"_placeholder":true,"num":0}]"#;
    let (mut script, _) = Script::polling(no_upgrade());
    script.engine.send_packet(&head, Some((&payload).into())).unwrap();
    assert_eq!(script.engine.queued_bytes(), json.len() + 3);
    let post = script.request("POST");
    assert_eq!(post.1.body, [json, "\x1ebYWJj"].concat());
    for (base64, binary) in [(false, "b\"abc\""), (true, "bYWJj")] {
        let (mut script, transport) = Script::websocket(Config { force_base64: base64, ..websocket_only() });
        script.engine.send_packet(&head, Some((&payload).into())).unwrap();
        assert_eq!(script.engine.queued_packets(), 1);
        assert_eq!(script.said(transport), [json, binary]);
    }
}

#[test]
fn what_is_sent_before_the_handshake_comes_behind_it() {
    let mut script = Script::new(websocket_only());
    script.engine.send(text("a")).unwrap();
    let transport = script.accept();
    script.engine.send(text("b")).unwrap();
    script.nothing();
    assert!(script.said(transport).is_empty());
    assert_eq!(script.engine.queued_packets(), 2);
    script.says(transport, OPEN);
    script.event_open();
    script.nothing();
    script.engine.send(text("c")).unwrap();
    assert!(!script.engine.writable());
    assert_eq!(script.engine.unsent().collect::<Vec<_>>(), [transport]);
    assert_eq!(script.said(transport), ["4a", "4b", "4c"]);
    assert!(script.engine.writable());
}

#[test]
fn the_send_queue_has_limits() {
    let limits = Limits { send_queue_packets: 2, ..Limits::default() };
    let (mut script, _) = Script::websocket(Config { limits, ..websocket_only() });
    script.engine.send(text("a")).unwrap();
    script.engine.send(text("b")).unwrap();
    assert!(matches!(script.engine.send(text("c")), Err(SendError::Full { limit: 2, value: 3, .. })));
    script.engine.abort(at(0));
    assert_eq!(script.engine.send(text("d")), Err(SendError::Closed));
}

#[test]
fn only_a_ping_moves_the_heartbeat() {
    let (mut script, transport) = Script::websocket(websocket_only());
    assert_eq!(script.engine.poll_timeout(), Some(at(45_000)));
    script.now = at(30_000);
    script.says(transport, "4x");
    assert_eq!(script.event(), Event::Message(text("x")));
    assert_eq!(script.engine.poll_timeout(), Some(at(45_000)));
    script.says(transport, "2");
    assert_eq!(script.event(), Event::Ping);
    assert_eq!(script.said(transport), ["3"]);
    assert_eq!(script.engine.poll_timeout(), Some(at(75_000)));
    assert!(!script.engine.has_expired_heartbeat(at(75_000)));
    assert!(script.engine.has_expired_heartbeat(at(75_001)));
    // A ping that has arrived counts, also if it is looked at too late.
    script.now = at(74_999);
    script.says(transport, "2");
    script.tick(75_000);
    assert_eq!(script.event(), Event::Ping);
    script.nothing();
    script.tick(119_999);
    let limit = Duration::from_secs(45);
    script.closes(CloseReason::PingTimeout, Some(Error::PingTimeout { limit }));
    script.nothing();
    assert!(!script.engine.has_expired_heartbeat(at(200_000)));
    assert_eq!(script.said(transport), ["3", "close 1008"]);
    script.engine.handle_eof(script.now, transport);
    script.drained();
}

/// An emit may come between the two, and asks whether a ping may be there that nobody has looked at.
#[test]
fn nothing_is_unread_behind_the_last_message() {
    let (mut script, transport) = Script::websocket(websocket_only());
    assert!(!script.engine.has_unread());
    script.says(transport, "4x");
    script.says(transport, "4y");
    assert!(script.engine.has_unread());
    assert_eq!(script.event(), Event::Message(text("x")));
    assert!(script.engine.has_unread());
    assert_eq!(script.event(), Event::Message(text("y")));
    assert!(!script.engine.has_unread());
}

#[test]
fn a_ping_that_lies_unread_is_excused_for_a_time() {
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.handle_withheld(at(30_000), true);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(90_000)));
    // To say it again moves nothing.
    script.engine.handle_withheld(at(40_000), true);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(90_000)));
    assert!(!script.engine.has_expired_heartbeat(at(80_000)));
    script.engine.handle_withheld(at(80_000), false);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(125_000)));
    script.now = at(80_000);
    script.says(transport, "2");
    assert_eq!(script.event(), Event::Ping);
    // A ping that is read just before reading stops again.
    script.engine.handle_withheld(at(81_000), true);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(141_000)));
    script.tick(141_000);
    let limit = Duration::from_secs(45);
    script.closes(CloseReason::PingTimeout, Some(Error::PingTimeout { limit }));
}

#[test]
fn a_server_that_is_gone_on_polling_is_told_anyway() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.tick(45_000);
    let limit = Duration::from_secs(45);
    script.closes(CloseReason::PingTimeout, Some(Error::PingTimeout { limit }));
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"1");
    script.nothing();
    assert!(!script.engine.is_drained());
    script.tick(50_000);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    assert_eq!(script.next(), Output::Cancel { id: post.0 });
    script.drained();
}

#[test]
fn the_server_closes() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.ok(get.0, "4a\x1e1\x1e4b");
    assert_eq!(script.event(), Event::Message(text("a")));
    script.closes(CloseReason::TransportClose, Some(Error::Closed(ClosedBy::Packet)));
    script.drained();

    let (mut script, transport) = Script::websocket(websocket_only());
    script.says(transport, "1");
    script.says(transport, "4a");
    script.closes(CloseReason::TransportClose, Some(Error::Closed(ClosedBy::Packet)));
    script.nothing();
    assert_eq!(script.said(transport), ["close 1000"]);
    script.flow(transport);
    assert_eq!(script.next(), Output::Shutdown { transport });
    script.engine.handle_eof(at(0), transport);
    script.drained();

    let (mut script, transport) = Script::websocket(websocket_only());
    script.stream(transport).close(at(0), Some(1001), "away");
    script.flow(transport);
    script.closes(
        CloseReason::TransportClose,
        Some(Error::Closed(ClosedBy::Frame(Some(CloseFrame { code: 1001, reason: "away".into() })))),
    );
    assert_eq!(script.next(), Output::Shutdown { transport });
    script.tick(5_000);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();

    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.handle_eof(at(0), transport);
    script.closes(CloseReason::TransportClose, Some(Error::Closed(ClosedBy::Eof)));
    script.drained();
}

#[test]
fn the_server_breaks_a_rule() {
    for (packet, error) in [("9", PacketError::Type('9')), ("", PacketError::Empty), ("b!", PacketError::Base64)] {
        let (mut script, transport) = Script::websocket(websocket_only());
        script.says(transport, packet);
        script.closes(CloseReason::TransportError, Some(Error::Packet(error)));
        assert_eq!(script.said(transport), ["close 1002"]);
        assert!(!script.engine.prior_websocket_success());

        let (mut script, get) = Script::polling(no_upgrade());
        script.ok(get.0, &["4a\x1e", packet, "\x1e4b"].concat());
        assert_eq!(script.event(), Event::Message(text("a")));
        script.closes(CloseReason::TransportError, Some(Error::Packet(error)));
        assert_eq!(&script.request("POST").1.body[..], b"1");
        script.nothing();
    }
    // W1: a masked frame.
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.handle_bytes(at(0), transport, &mut BytesMut::from(&b"\x81\x81\x00\x00\x00\x006"[..]));
    let error = Error::WebSocket(Box::new(Cause::WebSocket(ws::Error::Masked)));
    script.closes(CloseReason::TransportError, Some(error));
    assert_eq!(script.next(), Output::Shutdown { transport });
    assert_eq!(script.said(transport), ["close 1002"]);
}

#[test]
fn what_is_too_large() {
    let limit = 200;
    let config = |config| Config { limits: Limits { max_payload: limit, ..Limits::default() }, ..config };
    for over in [0, 1] {
        let message = "x".repeat(limit - 1 + over);
        let (mut script, get) = Script::polling(config(no_upgrade()));
        assert_eq!(get.1.body_limit, limit);
        script.ok(get.0, &["4", &message].concat());
        if over == 0 {
            assert_eq!(script.event(), Event::Message(text(&message)));
        } else {
            let error = Error::Poll(Box::new(Cause::Failure(Failure::TooLarge { limit })));
            script.closes(CloseReason::TransportError, Some(error));
        }

        let (mut script, transport) = Script::websocket(config(websocket_only()));
        script.says(transport, &["4", &message].concat());
        if over == 0 {
            assert_eq!(script.event(), Event::Message(text(&message)));
        } else {
            let error = ws::Error::MessageTooBig { limit, found: 201 };
            let error = Error::WebSocket(Box::new(Cause::WebSocket(error)));
            script.closes(CloseReason::TransportError, Some(error));
        }

        let (mut script, transport) = Script::websocket(config(websocket_only()));
        script.engine.handle_message(at(0), transport, text(&["4", &message].concat()));
        if over == 0 {
            assert_eq!(script.event(), Event::Message(text(&message)));
        } else {
            let error = Error::MessageTooLarge { limit, size: 201 };
            script.closes(CloseReason::TransportError, Some(error));
        }
    }
}

/// C4: none of it is kept, or only up to a limit.
#[test]
fn c4_frames_without_end() {
    let limits = Limits { max_payload: 1_000, max_empty_fragments: 100, ..Limits::default() };
    let config = || Config { limits: limits.clone(), ..websocket_only() };
    let websocket = |error| Error::WebSocket(Box::new(Cause::WebSocket(error)));
    let begin = [&b"\x01\x0a"[..], &[b'4'; 10]].concat();
    for (frame, error, code, count) in [
        ([&b"\x00\x0a"[..], &[b'x'; 10]].concat(), ws::Error::MessageTooBig { limit: 1_000, found: 1_010 }, 1009, 100),
        (vec![0x00, 0x00], ws::Error::TooManyEmptyFragments { limit: 100 }, 1008, 101),
    ] {
        let (mut script, transport) = Script::websocket(config());
        script.engine.handle_bytes(at(0), transport, &mut BytesMut::from(&begin[..]));
        for sent in 1..=count {
            script.nothing();
            assert!(script.engine.stats().received_bytes <= 1_000, "{sent}");
            script.engine.handle_bytes(at(0), transport, &mut BytesMut::from(&frame[..]));
        }
        script.closes(CloseReason::TransportError, Some(websocket(error)));
        assert_eq!(script.said(transport), [alloc::format!("close {code}")]);
        assert_eq!(script.engine.stats().received_bytes, 0);
    }
    // What means nothing, and pings of WebSocket whose answers are not read.
    let (mut script, transport) = Script::websocket(config());
    for frame in [&b"\x89\x01p"[..], b"\x8a\x01p", b"\x81\x016", b"\x81\x013", b"\x81\x015"] {
        for _ in 0..10_000 {
            script.engine.handle_bytes(at(0), transport, &mut BytesMut::from(frame));
            script.nothing();
        }
    }
    assert!(script.engine.queued_bytes() < 2_200 && script.engine.is_open(), "{}", script.engine.queued_bytes());
    // An answer of a megabyte of the shortest packets: one at a time.
    let (mut script, get) = Script::polling(no_upgrade());
    script.ok(get.0, "4\x1e".repeat(500_000).trim_end_matches('\x1e'));
    for _ in 0..500_000 {
        assert_eq!(script.event(), Event::Message(text("")));
        assert!(script.engine.stats().waiting <= 1);
    }
    script.request("GET");
    script.nothing();
}

/// C4: pings are answered beside all that the application may queue, and then not any more.
#[test]
fn c4_pings_whose_answers_are_not_read() {
    let limits = Limits { send_queue_packets: 10, ..Limits::default() };
    let (mut script, transport) = Script::websocket(Config { limits: limits.clone(), ..websocket_only() });
    for _ in 0..10 {
        script.engine.send(text("x")).unwrap();
    }
    assert!(script.engine.send(text("x")).is_err());
    for _ in 0..1_000 {
        script.says(transport, "2");
        assert_eq!(script.event(), Event::Ping);
    }
    let said = script.said(transport);
    assert_eq!((said.len(), said.iter().filter(|packet| *packet == "3").count()), (74, 64));
    // Once it is read, all is well.
    script.says(transport, "2");
    assert_eq!((script.event(), script.said(transport)), (Event::Ping, vec!["3".into()]));

    let (mut script, mut get) = Script::polling(Config { limits, ..no_upgrade() });
    script.engine.send(text("x")).unwrap();
    let post = script.request("POST");
    for _ in 0..1_000 {
        script.ok(get.0, "2");
        assert_eq!(script.event(), Event::Ping);
        get = script.request("GET");
    }
    script.ok(post.0, "ok");
    assert_eq!(script.request("POST").1.body, "3\x1e".repeat(64).trim_end_matches('\x1e'));
}

#[test]
fn a_lost_request_ends_the_session() {
    for lost in ["GET", "POST"] {
        let (mut script, get) = Script::polling(no_upgrade());
        script.engine.send(text("a")).unwrap();
        let post = script.request("POST");
        script.fail(if lost == "GET" { get.0 } else { post.0 });
        let cause = Box::new(Cause::Failure(Failure::Reset("gone".into())));
        let error = if lost == "GET" { Error::Poll(cause) } else { Error::Post(cause) };
        script.closes(CloseReason::TransportError, Some(error));
        let id = if lost == "GET" { post.0 } else { get.0 };
        assert_eq!(script.next(), Output::Cancel { id });
        script.drained();
        // What was cancelled may cross the news of it.
        script.ok(id, "4late");
        script.fail(id);
        script.drained();
    }
}

#[test]
fn requests_have_a_timeout_if_wanted() {
    let config = Config { request_timeout: Some(Duration::from_secs(3)), ..no_upgrade() };
    let mut script = Script::new(config.clone());
    let get = script.request("GET");
    script.tick(3_000);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    let error = |wrap: fn(Box<Cause>) -> Error| Some(wrap(Box::new(Cause::Failure(Failure::Timeout))));
    script.closes(CloseReason::TransportError, error(Error::Poll));
    script.drained();

    let (mut script, get) = Script::polling(config.clone());
    script.now = at(2_000);
    script.ok(get.0, "6");
    let get = script.request("GET");
    script.engine.send(text("a")).unwrap();
    script.request("POST");
    assert_eq!(script.engine.poll_timeout(), Some(at(5_000)));
    script.tick(5_000);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    script.closes(CloseReason::TransportError, error(Error::Poll));
    assert!(matches!(script.next(), Output::Cancel { .. }));
    script.drained();

    let config = Config { request_timeout: Some(Duration::ZERO), ..config };
    let (script, _) = Script::polling(config);
    assert_eq!(script.engine.poll_timeout(), Some(at(45_000)));
}

#[test]
fn a_close_waits_for_what_is_queued() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.engine.send(text("a")).unwrap();
    let post = script.request("POST");
    script.engine.send(text("b")).unwrap();
    script.engine.close(at(0));
    script.engine.close(at(0));
    assert_eq!(script.engine.send(text("c")), Err(SendError::Closed));
    script.nothing();
    assert!(!script.engine.is_open() && !script.engine.is_closed());
    // Messages still arrive, and pings are still answered.
    script.ok(get.0, "4x\x1e2");
    assert_eq!(script.event(), Event::Message(text("x")));
    assert_eq!(script.event(), Event::Ping);
    let get = script.request("GET");
    script.ok(post.0, "ok");
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"4b\x1e3");
    script.ok(post.0, "ok");
    script.closes(CloseReason::ForcedClose, None);
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"1");
    script.ok(post.0, "ok");
    script.nothing();
    script.ok(get.0, "6");
    script.drained();
}

#[test]
fn a_close_does_not_wait_for_ever() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.engine.send(text("a")).unwrap();
    let post = script.request("POST");
    script.engine.close(at(0));
    script.tick(30_000);
    script.closes(CloseReason::ForcedClose, None);
    // A second POST beside the one that hangs would be an error.
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    assert_eq!(script.next(), Output::Cancel { id: post.0 });
    script.drained();
}

#[test]
fn a_close_on_websocket_lets_the_queue_go_first() {
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.send(text("a")).unwrap();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    script.says(transport, "4late");
    script.nothing();
    assert_eq!(script.said(transport), ["4a", "close 1000"]);
    script.flow(transport);
    assert_eq!(script.next(), Output::Shutdown { transport });
    script.engine.handle_eof(at(0), transport);
    script.drained();
}

/// A server that takes bytes slowly has `drain_timeout` for all that is queued, and only then `close_timeout` to answer.
#[test]
fn a_close_on_websocket_waits_for_the_queue_as_long_as_it_may() {
    let closing = |last: bool| {
        let (mut script, transport) = Script::websocket(websocket_only());
        for name in ["a", "b", "c"] {
            script.engine.send(text(name)).unwrap();
        }
        script.engine.close(at(0));
        script.closes(CloseReason::ForcedClose, None);
        // What is not written by itself is written within the others' time.
        for second in 1..=29 {
            script.tick(second * 1_000);
            script.nothing();
            if second % 10 == 0 {
                script.engine.transmit(transport).unwrap().advance(8);
            }
        }
        assert!(!script.engine.is_drained() && script.engine.unsent().eq([transport]));
        if last {
            let queue = script.engine.transmit(transport).unwrap();
            let rest = queue.remaining();
            assert_eq!(rest, 3 * 8 + 8 - 2 * 8, "the last event, and the close frame");
            queue.advance(rest);
        }
        (script, transport)
    };

    let (mut script, transport) = closing(false);
    assert_eq!(script.engine.poll_timeout(), Some(at(30_000)));
    script.tick(30_000);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();

    // When it was written nobody knows; from the next look on it is the answer that is waited for.
    let (mut script, transport) = closing(true);
    script.tick(30_000);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(35_000)));
    script.tick(34_999);
    script.nothing();
    script.tick(35_000);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();
}

/// The time that the server has to answer is not that of the queue, and no time is lost to a queue that is empty.
#[test]
fn a_close_on_websocket_waits_for_the_answer_once_the_queue_is_written() {
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.send(text("a")).unwrap();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.engine.poll_timeout(), Some(at(5_000)));
    assert_eq!(script.said(transport), ["4a", "close 1000"]);
    script.tick(5_000);
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(10_000)));
    script.flow(transport);
    assert_eq!(script.next(), Output::Shutdown { transport });
    script.engine.handle_eof(at(5_000), transport);
    script.drained();

    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    script.tick(5_000);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();
}

/// Limits in an odd order, or of zero.
#[test]
fn a_close_on_websocket_ends_whatever_the_limits_are() {
    for (drain, close) in [(30_000, 0), (0, 5_000), (3_000, 5_000), (0, 0)] {
        let mut config = websocket_only();
        config.limits.drain_timeout = Duration::from_millis(drain);
        config.limits.close_timeout = Duration::from_millis(close);
        let (mut script, transport) = Script::websocket(config);
        script.tick(1);
        script.engine.send(text("a")).unwrap();
        script.engine.close(at(1));
        script.closes(CloseReason::ForcedClose, None);
        while let Some(due) = script.engine.poll_timeout() {
            assert!(due <= at(1 + drain.max(1)), "{drain} {close}");
            script.now = due;
            script.engine.handle_timeout(due);
            if let Some(output) = script.engine.poll_output() {
                assert_eq!(output, Output::Abort { transport });
                assert!(due >= at(1 + drain), "{drain} {close}");
            }
        }
        script.drained();
    }
}

#[test]
fn a_close_before_the_handshake() {
    let mut script = Script::new(plain());
    let get = script.request("GET");
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    script.drained();

    let mut script = Script::new(websocket_only());
    let (transport, request) = script.open();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.next(), Output::Abort { transport });
    script.accept_as(transport, &request, &[]);
    script.says(transport, OPEN);
    script.drained();

    let mut script = Script::new(websocket_only());
    let transport = script.accept();
    script.nothing();
    script.engine.close(at(0));
    script.closes(CloseReason::ForcedClose, None);
    script.says(transport, OPEN);
    script.nothing();
    script.tick(5_000);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();
}

#[test]
fn an_abort_leaves_nothing_to_wait_for() {
    for close_first in [false, true] {
        let (mut script, get) = Script::polling(no_upgrade());
        script.engine.send(text("a")).unwrap();
        let post = script.request("POST");
        if close_first {
            script.engine.close(at(0));
        }
        script.engine.abort(at(0));
        script.engine.abort(at(0));
        script.closes(CloseReason::ForcedClose, None);
        assert_eq!(script.next(), Output::Cancel { id: get.0 });
        assert_eq!(script.next(), Output::Cancel { id: post.0 });
        script.drained();
    }
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.abort(at(0));
    script.closes(CloseReason::ForcedClose, None);
    assert_eq!(script.next(), Output::Abort { transport });
    script.drained();
}

/// An abort of a session that still reads, or has just said farewell.
#[test]
fn an_abort_in_the_middle() {
    let (mut script, get) = Script::polling(no_upgrade());
    script.ok(get.0, "4a\x1e4b");
    assert_eq!(script.event(), Event::Message(text("a")));
    script.engine.abort(at(0));
    script.closes(CloseReason::ForcedClose, None);
    // The farewell was asked for and is taken back.
    let post = script.request("POST");
    assert_eq!(script.next(), Output::Cancel { id: post.0 });
    script.drained();
}

#[test]
fn a_reason_of_the_layer_above() {
    let (mut script, transport) = Script::websocket(websocket_only());
    script.engine.close_for(at(0), CloseReason::ParseError);
    script.closes(CloseReason::ParseError, None);
    assert_eq!(script.said(transport), ["close 1002"]);
}

/// Else the session stays on the server until that misses a pong.
#[test]
fn the_farewell_waits_for_the_post_that_is_on_its_way() {
    let closed = || {
        let (mut script, get) = Script::polling(no_upgrade());
        script.engine.send(text("a")).unwrap();
        let post = script.request("POST");
        script.engine.send(text("b")).unwrap();
        script.engine.close_for(at(0), CloseReason::ParseError);
        script.closes(CloseReason::ParseError, None);
        script.nothing();
        assert!(!script.engine.is_drained());
        (script, get, post)
    };
    let (mut script, get, post) = closed();
    script.ok(post.0, "ok");
    let post = script.request("POST");
    assert_eq!(&post.1.body[..], b"1");
    script.ok(get.0, "6");
    script.ok(post.0, "ok");
    script.drained();

    // The GET is answered first: the farewell is said all the same.
    let (mut script, get, post) = closed();
    script.ok(get.0, "4x");
    script.ok(post.0, "ok");
    let post = script.request("POST");
    script.ok(post.0, "ok");
    script.drained();

    // Nobody is there any more.
    let (mut script, get, post) = closed();
    script.fail(post.0);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    script.drained();

    let (mut script, get, post) = closed();
    script.tick(5_000);
    assert_eq!(script.next(), Output::Cancel { id: get.0 });
    assert_eq!(script.next(), Output::Cancel { id: post.0 });
    script.drained();
}

#[test]
fn engines_of_one_owner_have_ids_of_their_own() {
    let endpoint = Endpoint::parse("http://host").unwrap();
    let new = |generation| {
        Engine::with_generation(
            at(0),
            Arc::new(websocket_only()),
            &endpoint,
            Cookies::EMPTY,
            false,
            &Seed::for_tests(1),
            generation,
        )
    };
    let mut engines = [new(0), new(1), new(u32::MAX)];
    for index in 0..3 {
        let Some(Output::Open { transport, .. }) = engines[index].poll_output() else { panic!() };
        let owners: Vec<bool> = engines.iter().map(|engine| engine.owns_transport(transport)).collect();
        assert_eq!(owners.iter().position(|owner| *owner), Some(index));
        assert_eq!(owners.iter().filter(|owner| **owner).count(), 1);
        let id = engines[index].next_request_id();
        assert!(engines.iter().enumerate().all(|(other, engine)| engine.owns_request(id) == (other == index)));
    }
}
