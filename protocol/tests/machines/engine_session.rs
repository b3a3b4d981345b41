//! A session on each transport as a script: what a client does, and what comes out, line by line.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sockeye_protocol::{
    Config,
    engine::{CloseReason, Message, Output, SendError},
    http::Body,
};

use crate::engine_support::{
    CODE_1, CODE_3, Client, NONE, POLLING, UPGRADE, WEBSOCKET, config, frame, line, sid, text, transport_id,
};

mod polling {
    use super::*;

    #[test]
    fn a_get_waits_for_a_message() {
        let mut client = Client::polling(Config::default());
        assert!(!client.session.writable());
        client.get();
        assert_eq!(client.drain(), NONE);
        assert!(client.session.writable());
        client.session.send(text("a")).unwrap();
        client.session.send(Message::Binary(Bytes::from_static(&[1, 2, 3]))).unwrap();
        assert_eq!(client.drain(), ["2: 200 4a|bAQID"]);
        client.get();
        client.post("4b\x1ebAQID\x1e4");
        assert_eq!(client.drain(), [r#"message b"#, r#"message b"\x01\x02\x03""#, "message ", "4: 200 ok"]);
    }

    #[test]
    fn item_1_a_second_get() {
        let mut client = Client::polling(Config::default());
        client.get();
        client.get();
        assert_eq!(client.drain(), ["transport error: a second GET while one is open", "2: 200 1", "3: 400"]);
        client.assert_drained();
    }

    #[test]
    fn item_2_a_second_post() {
        let mut client = Client::polling(Config::default());
        let first = client.post_pending();
        client.post("4a");
        assert_eq!(
            client.drain(),
            ["transport error: a second POST while one is open", &format!("{first}: {CODE_1}"), "3: 400"]
        );
        client.body(first, Body::Whole("4b".into()));
        assert_eq!(client.drain(), NONE);
        client.assert_drained();
    }

    #[test]
    fn item_3_an_aborted_get_or_post() {
        for (post, line) in [
            (false, "transport error: the waiting GET was dropped"),
            (true, "transport error: a POST was dropped before its end"),
        ] {
            let mut client = Client::polling(Config::default());
            let id = if post { client.post_pending() } else { client.get() };
            client.drain();
            client.abort(99);
            assert_eq!(client.drain(), NONE);
            client.abort(id);
            assert_eq!(client.drain(), [line]);
            client.assert_drained();
        }
    }

    #[test]
    fn item_6_packets_before_a_bad_one_count() {
        let mut client = Client::polling(Config::default());
        client.post("4a\x1ex\x1e4b");
        assert_eq!(client.drain(), ["message a", "parse error: unknown packet type 'x'", &format!("2: {CODE_3}")]);
        client.assert_drained();
    }

    #[test]
    fn e10_bad_bodies_are_never_lossy() {
        for (body, error) in [
            (&b""[..], "an empty packet"),
            (b"\x1e", "an empty packet"),
            (b"8", "unknown packet type '8'"),
            (b"bA", "a binary packet that is not base64"),
            (b"4\xff", "a packet that is not UTF-8"),
        ] {
            let mut client = Client::polling(Config::default());
            client.post(body);
            assert_eq!(client.drain(), [format!("parse error: {error}"), format!("2: {CODE_3}")]);
            client.assert_drained();
        }
    }

    #[test]
    fn e14_packets_in_the_wrong_direction() {
        for kind in ['0', '2', '5'] {
            let mut client = Client::polling(Config::default());
            client.post(format!("{kind}\x1e4a"));
            assert_eq!(
                client.drain(),
                [format!("transport error: a client must not send a packet of type {kind}"), format!("2: {CODE_3}")]
            );
        }
        let mut client = Client::polling(Config::default());
        client.post("6\x1e3");
        assert_eq!(client.drain(), ["2: 200 ok"], "noop and unsolicited pong");
    }

    #[test]
    fn item_9_the_close_packet_waits_for_a_get() {
        let mut client = Client::polling(Config::default());
        client.session.send(text("last")).unwrap();
        client.close(CloseReason::ForcedClose);
        client.close(CloseReason::ServerShuttingDown);
        assert_eq!(client.drain(), ["forced close"]);
        assert!(client.session.is_closed() && !client.session.is_drained());
        assert_eq!(client.session.send(text("late")), Err(SendError::Closed));
        assert_eq!(client.tick(29_999), NONE);
        client.post("4ignored");
        client.get();
        assert_eq!(client.drain(), ["2: 200 ok", "3: 200 4last"]);
        client.get();
        assert_eq!(client.drain(), ["4: 200 1"], "in an answer of its own, as in JavaScript");
        client.get();
        assert_eq!(client.drain(), [format!("5: {CODE_1}")]);
        client.assert_drained();
    }

    #[test]
    fn item_9_until_the_drain_timeout() {
        let mut client = Client::polling(Config::default());
        client.close(CloseReason::ForcedClose);
        assert_eq!(client.drain(), ["forced close"]);
        let deadline = client.now + Duration::from_secs(30);
        assert_eq!(client.tick(1), NONE);
        let posted = client.post_pending();
        assert_eq!(client.drain(), NONE);
        assert_eq!(client.session.poll_timeout(), Some(deadline));
        assert_eq!(client.tick(29_999), [format!("{posted}: {CODE_1}")]);
        client.assert_drained();
    }

    #[test]
    fn a_close_with_an_open_get() {
        let mut client = Client::polling(Config::default());
        client.get();
        client.drain();
        client.close(CloseReason::ServerShuttingDown);
        assert_eq!(client.drain(), ["server shutting down", "2: 200 1"]);
        client.assert_drained();
    }

    #[test]
    fn a_close_while_a_post_is_read() {
        let mut client = Client::polling(Config::default());
        client.post("4a\x1e4b");
        assert_eq!(line(&client.session.poll_output().unwrap()), "message a");
        client.close(CloseReason::ForcedClose);
        assert_eq!(client.drain(), ["forced close", "2: 200 ok"]);
        client.get();
        assert_eq!(client.drain(), ["3: 200 1"]);
        client.assert_drained();
    }

    #[test]
    fn a_long_queue_is_drained_in_chunks() {
        let mut client = Client::polling(config(|config| config.limits.max_payload = 6));
        for message in ["a", "b", "c"] {
            client.session.send(text(message)).unwrap();
        }
        client.close(CloseReason::ForcedClose);
        client.get();
        client.get();
        client.get();
        assert_eq!(client.drain(), ["forced close", "2: 200 4a|4b", "3: 200 4c", "4: 200 1"]);
        client.assert_drained();
    }

    #[test]
    fn item_10_a_closing_client_gets_a_noop() {
        let mut client = Client::polling(Config::default());
        client.get();
        client.post("4a\x1e1\x1e4b");
        assert_eq!(client.drain(), ["message a", "transport close", "2: 200 6", "3: 200 ok"]);
        client.assert_drained();
    }

    #[test]
    fn e25_answers_are_chunked_with_100_000_packets() {
        let mut client = Client::polling(config(|config| {
            config.limits.max_payload = 1_000;
            config.limits.send_queue_packets = 100_000;
        }));
        for _ in 0..100_000 {
            client.session.send(text("abc")).unwrap();
        }
        for _ in 0..500 {
            client.get();
            let lines = client.drain();
            let body = lines[0].split_once("200 ").unwrap().1;
            assert_eq!((lines.len(), body.len()), (1, 999));
        }
        assert_eq!(client.session.queued_packets(), 0);
    }

    /// Also the last answer, with what was sent while the POST that ends the session was read.
    #[test]
    fn e25_the_last_answer_is_no_longer_than_others() {
        for (last, byte) in [("1", "6"), ("8", "1")] {
            let mut client = Client::polling(config(|config| config.limits.max_payload = 20));
            client.get();
            client.post(format!("4a\x1e{last}"));
            assert_eq!(line(&client.session.poll_output().unwrap()), "message a");
            for _ in 0..100 {
                client.session.send(text("abcdef")).unwrap();
            }
            let lines = client.drain();
            assert!(lines.contains(&format!("2: 200 4abcdef|4abcdef|{byte}")), "{lines:?}");
            client.assert_drained();
        }
    }

    /// What is left of such a body must not be taken for the next request of its connection.
    #[test]
    fn a_get_whose_body_is_too_large_ends_its_connection() {
        let closes = |outputs: &[Output]| {
            let [Output::Respond { response, .. }] = outputs else { panic!("{outputs:?}") };
            (response.status, response.header("connection") == Some("close"))
        };
        let mut client = Client::new(Config::default());
        client.send("GET", POLLING, &[], Body::TooLarge);
        assert_eq!(closes(&client.outputs()[..1]), (200, true));
        for (body, later, closing) in [
            (Body::TooLarge, None, true),
            (Body::Pending, Some(Body::TooLarge), true),
            (Body::Pending, Some(Body::EMPTY), false),
            (Body::Pending, None, false),
            (Body::EMPTY, None, false),
        ] {
            let mut client = Client::polling(Config::default());
            let id = client.send("GET", &format!("{POLLING}&sid={}", sid()), &[], body.clone());
            if let Some(later) = later {
                client.body(id, later);
            }
            client.drain();
            client.session.send(text("a")).unwrap();
            assert_eq!(closes(&client.outputs()), (200, closing), "{body:?}");
        }
    }

    #[test]
    fn s2_half_a_body() {
        let mut client = Client::polling(Config::default());
        let id = client.post_pending();
        assert_eq!(client.tick(29_999), ["2: 200 6"; 0]);
        assert_eq!(
            client.tick(1),
            [&format!("{id}: 408"), "transport error: a request body took longer than body_timeout of 30s"]
        );
        client.assert_drained();
    }

    #[test]
    fn no_expansion() {
        let mut client = Client::polling(Config::default());
        client.post("4a\x1e".repeat(100_000) + "4b");
        assert!(client.session.poll_output().is_some());
        let stats = client.session.stats();
        assert_eq!((stats.waiting, stats.received_bytes), (0, 300_002 - 3));
    }
}

mod websocket {
    use super::*;

    #[test]
    fn messages_both_ways() {
        let mut client = Client::websocket(Config::default());
        assert_eq!(client.session.transport_name(), "websocket");
        client.text(0, "4a");
        client.bytes(0, &frame(2, &[1, 2]));
        client.text(0, "bAQID");
        assert_eq!(client.drain(), ["message a", r#"message b"\x01\x02""#, r#"message b"\x01\x02\x03""#]);
        client.session.send(text("b")).unwrap();
        client.session.send(Message::Binary(Bytes::from_static(&[3]))).unwrap();
        assert_eq!(client.session.queued_packets(), 2);
        assert_eq!(client.sent(0), ["4b", r#"b"\x03""#]);
    }

    #[test]
    fn b64_asks_for_text_frames() {
        let mut client = Client::new(Config::default());
        client.send("GET", &format!("{WEBSOCKET}&b64=1"), UPGRADE, Body::EMPTY);
        client.drain();
        client.session.send(Message::Binary(Bytes::from_static(&[1, 2, 3]))).unwrap();
        assert_eq!(client.sent(0)[1..], ["bAQID"]);
    }

    /// What a client may not send closes the session, with its reason and close frame.
    #[test]
    fn e14_and_e16_bad_packets() {
        let wrong = |kind| format!("transport error: a client must not send a packet of type {kind}");
        for (packet, line, close) in [
            ("2", wrong('2'), "close 1002 transport error"),
            ("2probe", wrong('2'), "close 1002 transport error"),
            ("0", wrong('0'), "close 1002 transport error"),
            ("5", wrong('5'), "close 1002 transport error"),
            ("", "parse error: an empty packet".into(), "close 1002 parse error"),
            ("8x", "parse error: unknown packet type '8'".into(), "close 1002 parse error"),
            ("bA", "parse error: a binary packet that is not base64".into(), "close 1002 parse error"),
            ("1", "transport close".into(), "close 1000"),
        ] {
            let mut client = Client::websocket(Config::default());
            client.text(0, packet);
            client.text(0, "4late");
            assert_eq!(client.drain(), [line], "{packet}");
            assert_eq!(client.sent(0), [close], "{packet}");
            client.close_frame(0);
            assert_eq!(client.drain(), ["shutdown ws-0"], "{packet}");
            client.eof(0);
            assert_eq!(client.drain(), NONE);
            client.assert_drained();
        }
    }

    #[test]
    fn e15_ignored_packets() {
        let mut client = Client::websocket(Config::default());
        let deadline = client.session.poll_timeout();
        client.wait(1);
        for _ in 0..5_000 {
            client.text(0, "3");
        }
        client.text(0, "6");
        assert_eq!(client.drain(), NONE);
        assert_eq!(client.session.poll_timeout(), deadline);
        assert_eq!(client.sent(0), NONE);
    }

    /// W8, W1 and others: the WebSocket layer answers, the session closes.
    #[test]
    fn violations_of_the_websocket_protocol() {
        for (bytes, error, close) in [
            (&[0x81, 0x01, b'4'][..], "a client's frame is not masked", "close 1002"),
            (&[0x81, 0x82, 0, 0, 0, 0, b'4', 0xff], "text is not UTF-8", "close 1007"),
        ] {
            let mut client = Client::websocket(Config::default());
            client.bytes(0, bytes);
            assert_eq!(client.drain(), [format!("transport error: WebSocket: {error}").as_str(), "shutdown ws-0"]);
            assert_eq!(client.sent(0), [close]);
            client.eof(0);
            client.drain();
            client.assert_drained();
        }
    }

    #[test]
    fn max_payload_at_n_and_above_by_bytes_and_by_messages() {
        for by_bytes in [true, false] {
            for over in [false, true] {
                let mut client = Client::websocket(config(|config| config.limits.max_payload = 5));
                let message = if over { "4abcde" } else { "4abcd" };
                if by_bytes {
                    client.text(0, message);
                } else {
                    client.session.handle_message(client.now, transport_id(0), text(message));
                }
                let lines = client.drain();
                if over {
                    assert!(lines[0].starts_with("transport error: "), "{lines:?}");
                    assert!(lines[0].contains('6') && lines[0].contains('5'), "names limit and value: {lines:?}");
                    assert_eq!(client.sent(0), ["close 1009"]);
                } else {
                    assert_eq!(lines, ["message abcd"]);
                }
            }
        }
    }

    /// The same session through bytes and through messages.
    #[test]
    fn messages_instead_of_bytes() {
        let script = ["4a", "3", "bAQID", "6", "4", "8"];
        let (mut bytes, mut messages) = (Client::websocket(Config::default()), Client::websocket(Config::default()));
        for packet in script {
            bytes.text(0, packet);
            messages.session.handle_message(messages.now, transport_id(0), text(packet));
        }
        assert_eq!(bytes.drain(), messages.drain());
        assert_eq!(bytes.sent(0), messages.sent(0));
        bytes.eof(0);
        messages.eof(0);
        assert_eq!(bytes.drain(), messages.drain());
        bytes.assert_drained();
        messages.assert_drained();
    }

    #[test]
    fn the_peer_closes_or_is_lost() {
        let mut client = Client::websocket(Config::default());
        client.close_frame(0);
        assert_eq!(client.drain(), ["transport close", "shutdown ws-0"]);
        assert_eq!(client.sent(0), ["close"]);
        client.eof(0);
        client.drain();
        client.assert_drained();

        let mut client = Client::websocket(Config::default());
        client.bytes(0, &[0x81]);
        client.eof(0);
        assert_eq!(client.drain(), ["transport close"]);
        client.assert_drained();
        client.bytes(0, &frame(1, b"4late"));
        client.eof(0);
        assert_eq!(client.drain(), NONE, "bytes of the dead are discarded");
        client.assert_drained();
    }

    #[test]
    fn an_orderly_close_flushes_and_says_goodbye() {
        for (reason, close) in [
            (CloseReason::ForcedClose, "close 1000"),
            (CloseReason::ServerShuttingDown, "close 1001 server shutting down"),
            (CloseReason::SlowConsumer, "close 1008 slow consumer"),
        ] {
            let mut client = Client::websocket(Config::default());
            client.session.send(text("last")).unwrap();
            client.close(reason);
            assert_eq!(client.drain(), [reason.as_str()]);
            assert_eq!(client.sent(0), ["4last", close]);
            client.close_frame(0);
            client.eof(0);
            assert_eq!(client.drain(), ["shutdown ws-0"]);
            client.assert_drained();
        }
    }

    #[test]
    fn a_peer_that_never_answers_the_close_frame() {
        let mut client = Client::websocket(Config::default());
        client.close(CloseReason::ForcedClose);
        client.drain();
        assert_eq!(client.tick(4_999), NONE);
        assert_eq!(client.tick(1), ["abort ws-0"]);
        client.assert_drained();
        client.eof(0);
        assert_eq!(client.drain(), NONE);
    }

    #[test]
    fn a_driver_that_never_confirms_a_shutdown() {
        let mut client = Client::websocket(Config::default());
        client.close_frame(0);
        client.drain();
        assert_eq!(client.tick(4_999), NONE);
        assert_eq!(client.tick(1), ["abort ws-0"]);
        client.assert_drained();
    }

    #[test]
    fn w11_few_pongs_wait_however_many_pings_come() {
        let mut client = Client::websocket(Config::default());
        for _ in 0..100_000 {
            client.bytes(0, &frame(9, b"x"));
        }
        assert_eq!(client.drain(), NONE);
        assert!(client.session.queued_bytes() < 8_192, "{}", client.session.queued_bytes());
    }

    #[test]
    fn a_lent_buffer_is_given_back() {
        let mut client = Client::websocket(Config::default());
        let mut buffer = BytesMut::with_capacity(1 << 16);
        buffer.extend_from_slice(&frame(1, b"4a"));
        client.session.handle_bytes(client.now, transport_id(0), &mut buffer);
        client.drain();
        assert!(buffer.try_reclaim(1 << 15), "nothing holds it any more");
    }

    /// A payload may keep the buffer that it arrived in, but not one of many times its size.
    #[test]
    fn a_message_pins_no_buffer_of_many_times_its_size() {
        for (size, pinned) in [(4_096, false), (40_000, true)] {
            let mut client = Client::websocket(Config::default());
            let mut buffer = BytesMut::with_capacity(1 << 16);
            buffer.extend_from_slice(&frame(2, &vec![7; size]));
            client.session.handle_bytes(client.now, transport_id(0), &mut buffer);
            let kept = client.outputs();
            assert_eq!(kept.len(), 1);
            assert_eq!(buffer.try_reclaim(1 << 16), !pinned, "{size}");
        }
    }
}
