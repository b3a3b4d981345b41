//! Upgrade, heartbeat, the rules of driving a session, and its send queue, as scripts.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use sockeye_protocol::{
    Config, Instant, RequestId,
    engine::{CloseReason, Message, QueueUnit, SendError},
    http::Body,
};

use crate::engine_support::{CODE_1, CODE_3, Client, NONE, config, frame, text, transport_id};

mod upgrade {
    use super::*;

    #[test]
    fn item_20_to_23_the_whole_way() {
        let mut client = Client::probed(Config::default());
        client.get();
        client.post("4still polling");
        assert_eq!(client.drain(), ["message still polling", "4: 200 ok"]);
        client.session.send(text("a")).unwrap();
        assert_eq!(client.drain(), ["3: 200 4a"]);
        assert_eq!(client.sent(0), NONE);
        client.session.send(text("b")).unwrap();
        client.text(0, "5");
        assert_eq!(client.drain(), ["upgraded"]);
        assert_eq!(client.sent(0), ["4b"]);
        assert_eq!(client.session.transport_name(), "websocket");
        client.text(0, "4c");
        assert_eq!(client.drain(), ["message c"]);
        client.get();
        assert_eq!(client.drain(), [format!("5: {CODE_3}")]);
    }

    #[test]
    fn item_22_an_open_get_is_ended_behind_the_answer_to_the_probe_and_then_every_100_ms() {
        let mut client = Client::polling(Config::default());
        client.upgrade();
        client.get();
        client.text(0, "2probe");
        assert_eq!(client.drain(), ["2: 101 ws-0"]);
        assert_eq!(client.sent(0), ["3probe"]);
        assert_eq!(client.tick(1), ["3: 200 6"]);
        client.get();
        assert_eq!(client.tick(99), NONE);
        assert_eq!(client.tick(1), ["4: 200 6"]);
        assert_eq!(client.tick(100), NONE, "no GET is open");
        client.get();
        assert_eq!(client.tick(99), NONE);
        assert_eq!(client.tick(1), ["5: 200 6"]);
    }

    /// The client polls no more once it is answered: only its `5` lets go what waits, however much that is.
    #[test]
    fn what_waits_to_be_sent_never_keeps_the_upgrade_from_being_read() {
        let mut client = Client::polling(config(|config| config.limits.high_water = 10));
        client.session.send(text("more than high water")).unwrap();
        assert!(!client.session.wants_read());
        client.upgrade();
        client.drain();
        assert!(client.session.wants_read());
        client.text(0, "2probe");
        client.session.handle_withheld(client.now, false);
        client.drain();
        assert!(client.session.wants_read());
        client.text(0, "5");
        client.drain();
        assert!(!client.session.wants_read(), "now it does not take what it gets");
        assert_eq!(client.sent(0), ["3probe", "4more than high water"]);
        assert!(client.session.wants_read());
    }

    #[test]
    fn the_upgrade_releases_what_waits_on_polling() {
        let mut client = Client::probed(Config::default());
        client.get();
        client.post_pending();
        client.text(0, "5");
        assert_eq!(client.drain(), ["3: 200 6", "4: 200 ok", "upgraded"]);
        client.body(4, Body::Whole("4late".into()));
        assert_eq!(client.drain(), NONE);
        assert_eq!(client.session.poll_timeout(), Some(Instant::from_millis(26_000)), "the heartbeat alone");
    }

    /// Items 24 and 33, E17, E18: whatever a candidate does wrong closes the candidate only.
    #[test]
    fn a_failed_candidate_leaves_the_session_alone() {
        for packets in [
            &["5"][..],
            &["4a"],
            &["2"],
            &["2other"],
            &["8"],
            &[""],
            &["3probe"],
            &["2probe", "2probe"],
            &["2probe", "4a"],
            &["2probe", "1"],
        ] {
            let mut client = Client::polling(Config::default());
            client.upgrade();
            for packet in packets {
                client.text(0, packet);
            }
            client.get();
            assert_eq!(client.drain(), ["2: 101 ws-0"], "{packets:?}");
            assert_eq!(client.sent(0).last().unwrap(), "close 1002 upgrade expected", "{packets:?}");
            client.close_frame(0);
            client.eof(0);
            assert_eq!(client.drain(), ["shutdown ws-0"], "{packets:?}");
            client.session.send(text("alive")).unwrap();
            assert_eq!(client.drain(), ["3: 200 4alive"], "{packets:?}");
            assert_eq!(client.session.stats().transports, 0);
            client.upgrade();
            assert_eq!(client.drain(), ["4: 101 ws-1"], "another try is welcome");
        }
    }

    #[test]
    fn e18_a_flood_of_probes_costs_one_answer() {
        let mut client = Client::polling(Config::default());
        client.upgrade();
        for _ in 0..500 {
            client.text(0, "2probe");
        }
        assert_eq!(client.drain(), ["2: 101 ws-0"]);
        assert_eq!(client.sent(0), ["3probe", "close 1002 upgrade expected"]);
    }

    #[test]
    fn a_candidate_that_is_lost_or_breaks_the_protocol() {
        for (end, lines) in [("eof", &[][..]), ("close", &["shutdown ws-0"]), ("violation", &["shutdown ws-0"])] {
            let mut client = Client::probed(Config::default());
            match end {
                "eof" => client.eof(0),
                "close" => client.close_frame(0),
                _ => client.bytes(0, &[0xff, 0xff]),
            }
            assert_eq!(client.drain(), lines, "{end}");
            assert!(!client.session.is_closed());
            client.eof(0);
            client.get();
            client.drain();
            assert_eq!(client.tick(1_000), NONE, "{end}: no noop any more");
            assert_eq!(client.session.stats().transports, 0);
        }
    }

    #[test]
    fn e21_a_candidate_that_hangs() {
        for probed in [false, true] {
            let mut client = Client::polling(Config::default());
            client.upgrade();
            if probed {
                client.text(0, "2probe");
            }
            client.drain();
            client.sent(0);
            assert_eq!(client.tick(9_999), NONE);
            assert_eq!(client.tick(1), NONE);
            assert_eq!(client.sent(0), ["close 1008 upgrade timeout"]);
            assert_eq!(client.tick(5_000), ["abort ws-0"]);
            assert!(!client.session.is_closed());
        }
    }

    #[test]
    fn closing_candidates_are_bounded() {
        let mut client = Client::polling(Config::default());
        for number in 0..4 {
            client.upgrade();
            client.drain();
            client.text(number, "4bad");
            client.drain();
        }
        client.upgrade();
        assert_eq!(client.drain(), [format!("6: {CODE_3}")]);
        client.eof(2);
        client.upgrade();
        assert_eq!(client.drain(), ["7: 101 ws-4"]);
    }

    #[test]
    fn item_29_a_close_during_an_upgrade() {
        let mut client = Client::probed(Config::default());
        client.session.send(text("last")).unwrap();
        client.close(CloseReason::ForcedClose);
        client.text(0, "5");
        assert_eq!(client.drain(), ["forced close"]);
        assert_eq!(client.sent(0), ["4last", "close 1000"], "over the WebSocket");
        client.close_frame(0);
        client.eof(0);
        client.drain();
        client.assert_drained();

        let mut client = Client::probed(Config::default());
        client.session.send(text("last")).unwrap();
        client.close(CloseReason::ForcedClose);
        client.get();
        client.get();
        assert_eq!(client.drain(), ["forced close", "3: 200 4last", "4: 200 1"], "over polling");
        assert_eq!(client.sent(0), ["close 1000"]);
        client.eof(0);
        client.drain();
        client.assert_drained();
    }

    #[test]
    fn the_session_ends_during_an_upgrade() {
        let mut client = Client::probed(Config::default());
        client.get();
        client.post("1");
        assert_eq!(client.drain(), ["transport close", "3: 200 6", "4: 200 ok"]);
        assert_eq!(client.sent(0), ["close 1000"]);
        assert_eq!(client.tick(5_000), ["abort ws-0"]);
        client.assert_drained();
    }

    /// A close packet is not followed by `5`, and a closing session accepts no candidate.
    #[test]
    fn no_upgrade_of_a_closing_session() {
        let mut client = Client::polling(Config::default());
        client.close(CloseReason::ForcedClose);
        client.upgrade();
        assert_eq!(client.drain(), ["forced close".to_owned(), format!("2: {CODE_3}")]);
    }
}

mod heartbeat {
    use super::*;

    #[test]
    fn item_30_the_first_ping_comes_after_an_interval_and_the_next_after_the_pong() {
        let mut client = Client::websocket(Config::default());
        assert_eq!(client.tick(24_999), NONE);
        assert_eq!(client.sent(0), NONE);
        client.tick(1);
        assert_eq!(client.sent(0), ["2"]);
        client.wait(7_000).text(0, "3");
        client.drain();
        assert_eq!(client.session.poll_timeout(), Some(client.now + Duration::from_secs(25)));
    }

    #[test]
    fn e22_no_pong() {
        let mut client = Client::websocket(Config::default());
        client.tick(25_000);
        client.sent(0);
        assert_eq!(client.tick(19_999), NONE);
        assert_eq!(client.tick(1), ["ping timeout: no pong within ping_timeout of 20s"]);
        assert_eq!(client.sent(0), ["close 1008 ping timeout"]);
    }

    #[test]
    fn a_late_tick_adds_nothing_to_the_wait_and_takes_little_from_it() {
        for (late, wait) in [(0, 20_000), (1_500, 18_500), (2_000, 18_000), (60_000, 18_000)] {
            let mut client = Client::websocket(Config::default());
            client.tick(25_000 + late);
            assert_eq!(client.sent(0), ["2"]);
            assert_eq!(client.tick(wait - 1), NONE, "late by {late} ms");
            assert_eq!(client.tick(1), ["ping timeout: no pong within ping_timeout of 20s"], "late by {late} ms");
        }
    }

    #[test]
    fn e22_other_packets_extend_the_wait_once() {
        let mut client = Client::websocket(Config::default());
        client.tick(25_000);
        client.wait(10_000).text(0, "4a");
        client.drain();
        client.wait(10_000).text(0, "4b");
        assert_eq!(client.drain(), ["message b"]);
        assert_eq!(client.tick(9_999), NONE);
        assert_eq!(client.tick(1), ["ping timeout: no pong within ping_timeout of 20s"]);
    }

    #[test]
    fn e21_a_session_that_is_never_polled() {
        let mut client = Client::polling(Config::default());
        assert_eq!(client.tick(25_000), NONE);
        assert_eq!(client.session.stats().queued_packets, 0, "a ping is no message");
        assert_eq!(client.tick(20_000), ["ping timeout: no pong within ping_timeout of 20s"]);
        client.assert_drained();
    }

    #[test]
    fn pings_over_polling() {
        let mut client = Client::polling(Config::default());
        client.get();
        assert_eq!(client.tick(25_000), ["2: 200 2"]);
        client.post("3");
        client.get();
        assert_eq!(client.drain(), ["3: 200 ok"]);
        assert_eq!(client.tick(25_000), ["4: 200 2"]);
        client.get();
        assert_eq!(client.tick(20_000), ["ping timeout: no pong within ping_timeout of 20s", "5: 200 1"]);
        client.assert_drained();
    }

    #[test]
    fn it_keeps_running_over_an_upgrade() {
        let mut client = Client::polling(Config::default());
        client.get();
        assert_eq!(client.tick(25_000), ["2: 200 2"]);
        client.upgrade();
        client.text(0, "2probe");
        client.text(0, "5");
        assert_eq!(client.drain(), ["3: 101 ws-0", "upgraded"]);
        client.tick(19_999);
        assert_eq!(client.tick(1), ["ping timeout: no pong within ping_timeout of 20s"]);
    }

    #[test]
    fn a_stored_pong_has_arrived() {
        let mut client = Client::websocket(Config::default());
        client.tick(25_000);
        client.wait(19_999).text(0, "3");
        client.wait(1_000);
        client.session.handle_timeout(client.now);
        assert_eq!(client.drain(), NONE);
        assert!(!client.session.is_closed());
    }
}

mod driving {
    use super::*;

    #[test]
    fn a_spurious_timeout_does_nothing() {
        let mut client = Client::websocket(Config::default());
        let deadline = client.session.poll_timeout();
        for _ in 0..100 {
            assert_eq!(client.tick(1), NONE);
        }
        assert_eq!(client.session.poll_timeout(), deadline);
        assert_eq!(client.sent(0), NONE);
    }

    #[test]
    fn a_stored_tick_counts_for_poll_timeout() {
        let mut client = Client::polling(Config::default());
        let deadline = client.session.poll_timeout().unwrap();
        client.session.handle_timeout(deadline);
        assert_eq!(client.session.poll_timeout(), None);
        client.drain();
        assert_eq!(client.session.poll_timeout(), Some(deadline + Duration::from_secs(20)));
    }

    #[test]
    fn zero_durations_end_at_once_and_do_not_spin() {
        let zero = config(|config| {
            config.ping_interval = Duration::ZERO;
            config.ping_timeout = Duration::ZERO;
            config.upgrade_timeout = Duration::ZERO;
            config.limits.close_timeout = Duration::ZERO;
        });
        let mut client = Client::polling(zero);
        client.upgrade();
        client.drain();
        assert_eq!(client.tick(0), ["ping timeout: no pong within ping_timeout of 0ns", "abort ws-0"]);
        client.assert_drained();
    }

    /// The far end of time is not a deadline of everything that has none.
    #[test]
    fn the_last_instant_ends_no_transport_without_its_session() {
        let mut client = Client::websocket(Config::default());
        client.session.handle_timeout(Instant::from_micros(u64::MAX));
        assert_eq!(client.drain(), NONE);
        assert_eq!(client.sent(0), ["2"]);
        assert_eq!(client.session.stats().transports, 1);
        client.eof(0);
        assert_eq!(client.drain(), ["transport close"]);
        client.assert_drained();
    }

    /// A driver that loses the request between `route` and `handle_request` leaves nothing behind.
    #[test]
    fn a_session_whose_first_request_never_comes() {
        let mut client = Client::new(Config::default());
        assert_eq!(client.tick(29_999), NONE);
        assert_eq!(client.tick(1), ["transport close"]);
        client.assert_drained();
        client.get();
        assert_eq!(client.drain(), [format!("1: {CODE_1}")]);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut client = Client::polling(Config::default());
        client.now = Instant::ZERO;
        client.post("4a");
        client.session.handle_timeout(Instant::ZERO);
        assert_eq!(client.drain(), ["message a", "2: 200 ok"]);
        assert_eq!(client.session.poll_timeout(), Some(Instant::from_millis(26_000)));
    }

    #[test]
    fn a_wrong_first_request_is_answered_and_ends_the_session() {
        let mut client = Client::new(Config::default());
        client.post("4a");
        client.get();
        assert_eq!(client.drain(), ["transport error".to_owned(), format!("1: {CODE_3}"), format!("2: {CODE_1}")]);
        client.assert_drained();
    }

    #[test]
    fn a_session_that_is_closed_before_its_handshake() {
        let mut client = Client::new(Config::default());
        assert_eq!(client.session.send(text("a")), Err(SendError::Closed));
        client.close(CloseReason::ForcedClose);
        client.get();
        assert_eq!(client.drain(), ["forced close".to_owned(), format!("1: {CODE_1}")]);
        client.assert_drained();
    }

    #[test]
    fn the_handshake_answer_comes_first_and_alone() {
        let mut client = Client::new(Config::default());
        client.send("GET", crate::engine_support::POLLING, &[], Body::EMPTY);
        let first = client.session.poll_output().unwrap();
        assert!(crate::engine_support::line(&first).starts_with("1: 200 0{"));
        assert_eq!(crate::engine_support::line(&client.session.poll_output().unwrap()), "open");
    }

    #[test]
    fn unknown_ids_are_ignored() {
        let mut client = Client::polling(Config::default());
        client.body(9, Body::TooLarge);
        client.abort(9);
        client.eof(7);
        client.session.handle_message(client.now, transport_id(3), text("4a"));
        client.bytes(3, &frame(1, b"4a"));
        assert_eq!(client.drain(), NONE);
        assert!(client.session.transmit(transport_id(3)).is_none());
        assert!(!client.session.is_closed());
    }

    #[test]
    fn inputs_are_worked_on_in_order_with_their_own_times() {
        let mut client = Client::polling(Config::default());
        client.get();
        client.session.handle_timeout(client.now + Duration::from_secs(25));
        client.session.handle_request(
            client.now + Duration::from_secs(26),
            RequestId(3),
            &crate::engine_support::request(
                "POST",
                &format!("{}&sid={}", crate::engine_support::POLLING, crate::engine_support::sid()),
                &[],
            ),
            Body::Whole("3".into()),
        );
        client.session.handle_timeout(client.now + Duration::from_secs(50));
        assert_eq!(client.drain(), ["2: 200 2", "3: 200 ok"]);
        let next = client.now + Duration::from_secs(26 + 25);
        assert_eq!(client.session.poll_timeout(), Some(next));
    }
}

mod send_queue {
    use super::*;

    /// Each limit at n and above, on both transports; the error names the limit and the value.
    #[test]
    fn packets_at_n_and_above() {
        for websocket in [false, true] {
            let config = config(|config| config.limits.send_queue_packets = 3);
            let mut client = if websocket { Client::websocket(config) } else { Client::polling(config) };
            for _ in 0..3 {
                client.session.send(text("a")).unwrap();
            }
            let full = SendError::Full { unit: QueueUnit::Packets, limit: 3, value: 4 };
            assert_eq!(client.session.send(text("a")), Err(full));
            assert_eq!(client.session.queued_packets(), 3);
            if websocket {
                client.sent(0);
            } else {
                client.get();
                client.drain();
            }
            client.session.send(text("a")).unwrap();
        }
    }

    #[test]
    fn bytes_at_n_and_above_but_any_size_fits_an_empty_queue() {
        for (websocket, head) in [(false, 0), (true, 2)] {
            // Two messages of 1 + 3 bytes; a WebSocket counts the first with its frame header.
            for (limit, fits) in [(8 + head, true), (7 + head, false)] {
                let config = config(|config| config.limits.send_queue_bytes = limit);
                let mut client = if websocket { Client::websocket(config) } else { Client::polling(config) };
                client.session.send(text("abc")).unwrap();
                let full = SendError::Full { unit: QueueUnit::Bytes, limit, value: 8 + head };
                assert_eq!(client.session.send(text("abc")), if fits { Ok(()) } else { Err(full) });
            }
            let config = config(|config| config.limits.send_queue_bytes = 1);
            let mut client = if websocket { Client::websocket(config) } else { Client::polling(config) };
            client.session.send(text("more than one byte")).unwrap();
        }
    }

    #[test]
    fn packets_of_the_protocol_are_exempt() {
        let config = config(|config| config.limits.send_queue_packets = 1);
        let mut client = Client::polling(config);
        client.session.send(text("a")).unwrap();
        client.tick(25_000);
        client.get();
        assert_eq!(client.drain(), ["2: 200 4a|2"]);
    }

    #[test]
    fn s1_a_slow_consumer_holds_no_more_than_the_limit() {
        let mut client = Client::websocket(Config::default());
        let message = Message::Binary(Bytes::from(vec![0; 100_000]));
        let mut sent = 0;
        while client.session.send(message.clone()).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 41);
        assert!(client.session.queued_bytes() <= 4 * 1024 * 1024);
    }

    #[test]
    fn the_default_queue_takes_10_000_emits_and_a_maximal_message() {
        let mut client = Client::polling(Config::default());
        for _ in 0..10_000 {
            client.session.send(text("a message of some length")).unwrap();
        }
        client.session.send(Message::Binary(Bytes::from(vec![0; 1_000_000]))).unwrap();
    }

    #[test]
    fn transmit_holds_exactly_what_is_queued() {
        let mut client = Client::websocket(Config::default());
        client.session.send(text("abc")).unwrap();
        assert_eq!(client.session.queued_bytes(), 6);
        let queue = client.session.transmit(transport_id(0)).unwrap();
        assert_eq!(queue.chunk(), b"\x81\x044abc");
        queue.advance(2);
        assert_eq!(client.session.queued_bytes(), 4);
    }
}
