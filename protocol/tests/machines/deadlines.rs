//! Every state that only a peer could end has a deadline: nothing happens a microsecond before it, and exactly this
//! happens at it. `World::tick` checks after each tick that the next deadline is later, and ticks that come early or
//! twice must change nothing.

use std::time::Duration;

use sockeye_protocol::{Config, Instant, http::Body};

use crate::harness::{MICRO, World, millis, secs};

/// Brings a world into a state, lets time pass up to the deadline (counted from the start), and compares what happens.
#[track_caller]
fn deadline(config: &Config, state: impl Fn(&mut World), at: Duration, reaction: &str) {
    let expected = reaction.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let run = |ticks| {
        let mut world = World::new(config.clone());
        world.style.ticks = ticks;
        state(&mut world);
        world.clear();
        let at = Instant::ZERO + at;
        world.advance_to(Instant::from_micros(at.as_micros() - 1));
        assert_eq!(world.reaction(), "", "a microsecond before");
        world.advance_to(at);
        assert!(world.reaction() == expected, "at {at}:\n{}", world.reaction());
        world.raw_transcript()
    };
    assert_eq!(run(false), run(true), "a spurious tick is a no-op");
}

/// Without the heartbeat's ticks in between.
fn calm() -> Config {
    Config { ping_interval: secs(1_000_000), connect_timeout: secs(500_000), ..Config::default() }
}

fn calm_but_connect_timeout() -> Config {
    Config { connect_timeout: secs(45), ..calm() }
}

#[test]
fn connect_timeout_on_polling_without_a_get() {
    let state = |world: &mut World| {
        world.polling("alice");
    };
    deadline(
        &calm_but_connect_timeout(),
        state,
        secs(45),
        "app: close alice (forced close): no namespace joined within 45s",
    );
}

#[test]
fn connect_timeout_on_polling_with_a_get() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.get(alice);
    };
    deadline(
        &calm_but_connect_timeout(),
        state,
        secs(45),
        "app: close alice (forced close): no namespace joined within 45s
         alice< 200 1",
    );
}

#[test]
fn connect_timeout_is_not_stopped_by_a_refusal() {
    let state = |world: &mut World| {
        let alice = world.websocket("alice");
        world.advance(secs(3));
        world.say(alice, "40/none,");
    };
    deadline(
        &calm_but_connect_timeout(),
        state,
        secs(45),
        "app: close alice (forced close): no namespace joined within 45s
         alice ws< close 1008 \"connect timeout\"
         server: ends alice ws",
    );
}

#[test]
fn connect_timeout_is_stopped_by_the_first_namespace_for_ever() {
    let mut world = World::new(calm_but_connect_timeout());
    let (alice, _) = world.joined("alice");
    world.say(alice, "41");
    world.clear();
    world.advance(secs(100));
    assert_eq!(world.reaction(), "");
}

#[test]
fn connect_timeout_also_ends_a_request_that_the_application_does_not_decide() {
    let state = |world: &mut World| {
        world.hold = true;
        let alice = world.websocket("alice");
        world.say(alice, "40");
    };
    deadline(
        &calm_but_connect_timeout(),
        state,
        secs(45),
        "app: close alice (forced close): no namespace joined within 45s
         alice ws< close 1008 \"connect timeout\"
         server: ends alice ws",
    );
    let mut world = World::new(calm_but_connect_timeout());
    state(&mut world);
    world.advance(secs(45));
    let request = world.asking.pop_front().unwrap();
    assert!(world.accept(request).is_err(), "too late");
    world.assert_empty();
}

#[test]
fn e21_a_session_that_is_opened_and_forgotten_is_gone_at_45_seconds() {
    let state = |world: &mut World| {
        world.polling("alice");
    };
    let reaction = "app: close alice (ping timeout): no pong within ping_timeout of 20s";
    deadline(&Config::default(), state, secs(45), reaction);
    let mut world = World::new(Config::default());
    state(&mut world);
    world.advance(secs(45));
    world.assert_empty();
}

#[test]
fn ping_after_the_interval_on_both_transports() {
    let websocket = |world: &mut World| {
        world.joined("alice");
    };
    deadline(&Config::default(), websocket, secs(25), "alice ws< 2");
    let polling = |world: &mut World| {
        let alice = world.polling("alice");
        world.get(alice);
    };
    deadline(&Config::default(), polling, secs(25), "alice< 200 2");
}

#[test]
fn ping_an_interval_after_the_pong() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.advance(secs(26));
        world.say(alice, "3");
    };
    deadline(&Config::default(), state, secs(51), "alice ws< 2");
}

#[test]
fn e15_unsolicited_pongs_move_nothing() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.advance(secs(10));
        for _ in 0..1000 {
            world.say(alice, "3");
        }
    };
    deadline(&Config::default(), state, secs(25), "alice ws< 2");
}

const PING_TIMEOUT: &str = "app: disconnecting alice/ (ping timeout) rooms []
    app: disconnect alice/ (ping timeout): no pong within ping_timeout of 20s
    app: close alice (ping timeout): no pong within ping_timeout of 20s
    alice ws< close 1008 \"ping timeout\"
    server: ends alice ws";

#[test]
fn pong_timeout_without_any_packet() {
    let state = |world: &mut World| {
        world.joined("alice");
        world.advance(secs(25));
    };
    deadline(&Config::default(), state, secs(45), PING_TIMEOUT);
}

#[test]
fn e22_other_packets_extend_the_wait_for_the_pong_once() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.advance(secs(30));
        for _ in 0..3 {
            world.say(alice, "42[\"busy\"]");
            world.advance(secs(4));
        }
    };
    deadline(&Config::default(), state, secs(50), PING_TIMEOUT);
}

#[test]
fn a_pong_in_the_last_microsecond_is_in_time() {
    let mut world = World::new(Config::default());
    let (alice, _) = world.joined("alice");
    world.advance(secs(45) - MICRO);
    world.say(alice, "3");
    world.clear();
    world.advance(secs(25) - MICRO);
    assert_eq!(world.reaction(), "");
    world.advance(MICRO);
    assert_eq!(world.reaction(), "alice ws< 2");
}

#[test]
fn a_pong_that_is_stored_before_the_deadline_and_not_processed_counts_as_arrived() {
    let mut world = World::new(Config::default());
    let (alice, _) = world.joined("alice");
    world.advance(secs(45) - MICRO);
    world.clear();
    world.style.lazy = true;
    world.say(alice, "3");
    world.now = Instant::ZERO + secs(45);
    world.server.handle_timeout(world.now);
    assert!(world.server.poll_timeout().is_none_or(|next| next > world.now));
    world.drive();
    assert_eq!(world.reaction(), "");
}

/// Reading is withheld at `from`, once or all the time.
fn withheld_from(from: Duration, again: bool) -> impl Fn(&mut World) -> usize {
    move |world| {
        let (alice, _) = world.joined("alice");
        world.advance(from);
        for _ in 0..=u8::from(again) {
            world.withhold(alice, true);
        }
        alice
    }
}

#[test]
fn a_pong_is_not_missed_while_reading_is_withheld_but_for_its_own_timeout() {
    let config = |timeout| {
        let mut config = Config::default();
        config.limits.withheld_timeout = timeout;
        config
    };
    // The timeout, when reading stops, and the end; the ping is sent at 25 s, and without all this the end is at 45 s.
    for (timeout, from, at) in
        [(60, 30, 90), (60, 0, 60), (30, 10, 45), (30, 15, 45), (5, 44, 49), (5, 40, 45), (5, 30, 45), (0, 30, 45)]
    {
        for again in [false, true] {
            let state = |world: &mut World| {
                let alice = withheld_from(secs(from), again)(world);
                world.advance_to(Instant::ZERO + secs(at - 1));
                if again {
                    world.withhold(alice, true);
                }
            };
            deadline(&config(secs(timeout)), state, secs(at), PING_TIMEOUT);
        }
    }
}

#[test]
fn the_ping_goes_out_while_reading_is_withheld() {
    let state = |world: &mut World| {
        withheld_from(secs(3), true)(world);
    };
    deadline(&Config::default(), state, secs(25), "alice ws< 2");
}

#[test]
fn after_reading_was_withheld_the_pong_has_all_of_its_time() {
    // Withheld at 30 s, read again at.
    for (read, at) in [(31, 51), (45, 65), (89, 109)] {
        for again in [false, true] {
            let state = |world: &mut World| {
                let alice = withheld_from(secs(30), again)(world);
                world.advance_to(Instant::ZERO + secs(read));
                world.withhold(alice, false);
                if again {
                    world.advance(secs(7));
                    world.withhold(alice, false);
                }
            };
            deadline(&Config::default(), state, secs(at), PING_TIMEOUT);
        }
    }
}

#[test]
fn the_time_of_withholding_is_counted_without_breaks() {
    let state = |world: &mut World| {
        let alice = withheld_from(secs(30), false)(world);
        world.advance(secs(50));
        world.withhold(alice, false);
        world.withhold(alice, true);
    };
    deadline(&Config::default(), state, secs(140), PING_TIMEOUT);
}

#[test]
fn reading_that_goes_on_without_a_ping_moves_nothing() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.withhold(alice, false);
        world.advance(secs(5));
        world.withhold(alice, true);
        world.advance(secs(5));
        world.withhold(alice, false);
    };
    deadline(&Config::default(), state, secs(25), "alice ws< 2");
    let later = |world: &mut World| {
        state(world);
        world.advance(secs(20));
        world.withhold(0, false);
    };
    deadline(&Config::default(), later, secs(45), PING_TIMEOUT);
}

#[test]
fn a_pong_that_was_read_before_reading_was_withheld_counts() {
    let state = |world: &mut World| {
        let alice = withheld_from(secs(30), false)(world);
        world.say(alice, "3");
    };
    deadline(&Config::default(), state, secs(55), "alice ws< 2");
    let later = |world: &mut World| {
        state(world);
        world.advance(secs(40));
    };
    // The excuse ends at 90 s; the second ping of 55 s was due at 75 s.
    deadline(&Config::default(), later, secs(90), PING_TIMEOUT);
}

#[test]
fn a_packet_that_was_read_before_reading_was_withheld_shortens_nothing() {
    let state = |world: &mut World| {
        let alice = withheld_from(secs(30), false)(world);
        world.say(alice, "42[\"busy\"]");
    };
    deadline(&Config::default(), state, secs(90), PING_TIMEOUT);
}

#[test]
fn a_polling_client_is_excused_too() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.post(alice, "40");
        world.advance(secs(30));
        world.get(alice);
        world.withhold(alice, true);
    };
    let reaction = |world: &str| format!("app: disconnecting alice/ (ping timeout) rooms []\n{world}");
    let told = reaction(
        "app: disconnect alice/ (ping timeout): no pong within ping_timeout of 20s
         app: close alice (ping timeout): no pong within ping_timeout of 20s",
    );
    deadline(&Config::default(), state, secs(90), &told);
    let read = |world: &mut World| {
        state(world);
        world.advance(secs(30));
        world.withhold(0, false);
    };
    deadline(&Config::default(), read, secs(80), &told);
}

#[test]
fn a_client_that_is_closed_or_not_open_yet_may_be_withheld_from() {
    let mut world = World::new(Config::default());
    let alice = world.polling("alice");
    world.post(alice, "40");
    world.advance(secs(30));
    world.shutdown();
    for withheld in [true, false, true] {
        world.withhold(alice, withheld);
        world.advance(secs(1));
    }
    world.advance(secs(27) - MICRO);
    assert_ne!(world.server.stats(), sockeye_protocol::server::Stats::default());
    world.advance(MICRO);
    world.assert_empty();
    world.withhold(alice, true);
    world.assert_empty();
}

#[test]
fn an_endless_withholding_is_no_deadline() {
    let mut config = Config::default();
    config.limits.withheld_timeout = Duration::MAX;
    let mut world = World::new(config);
    let (alice, _) = world.joined("alice");
    world.withhold(alice, true);
    world.advance(secs(25));
    assert_eq!(world.server.poll_timeout(), None);
    world.withhold(alice, false);
    assert_eq!(world.server.poll_timeout(), Some(Instant::ZERO + secs(45)));
}

#[test]
fn withholding_moves_no_other_deadline() {
    let withheld = |state: fn(&mut World)| {
        move |world: &mut World| {
            state(world);
            world.withhold(0, true);
        }
    };
    let ack = |world: &mut World| {
        let (_, socket) = world.joined("alice");
        world.emit_with_ack(socket, "e", &0, secs(10)).unwrap();
    };
    deadline(&calm(), withheld(ack), secs(10), "app: ack alice/ #0 timeout");
    let connect = |world: &mut World| {
        world.polling("alice");
    };
    let reaction = "app: close alice (forced close): no namespace joined within 45s";
    deadline(&calm_but_connect_timeout(), withheld(connect), secs(45), reaction);
}

#[test]
fn the_rest_of_a_body_is_not_missed_while_reading_is_withheld_but_for_its_own_timeout() {
    let reaction = "alice< 408 (connection: close)
        app: close alice (transport error): a request body took longer than body_timeout of 30s";
    // When reading stops, before or after the POST began at 1 s; when it goes on; and the end.
    for (from, until, at) in [(0, 5, 35), (0, 1000, 60), (20, 25, 55), (20, 1000, 80)] {
        let state = |world: &mut World| {
            let alice = world.polling("alice");
            let stop = |world: &mut World, at| {
                world.advance_to(Instant::ZERO + secs(at));
                if at == from {
                    world.withhold(alice, true);
                }
            };
            stop(world, 0);
            stop(world, 1);
            world.post_body(alice, &[], Body::Pending);
            stop(world, 20.min(until));
            if until < at {
                world.advance_to(Instant::ZERO + secs(until));
                world.withhold(alice, false);
            }
        };
        deadline(&calm(), state, secs(at), reaction);
    }
}

#[test]
fn upgrade_timeout_closes_the_candidate_alone_silent_or_probed() {
    for probe in [false, true] {
        let state = |world: &mut World| {
            let alice = world.polling("alice");
            world.open(alice);
            if probe {
                world.say(alice, "2probe");
            }
        };
        deadline(
            &calm(),
            state,
            secs(10),
            "alice ws< close 1008 \"upgrade timeout\"
             server: ends alice ws",
        );
        let mut world = World::new(calm());
        state(&mut world);
        world.advance(secs(11));
        let alice = 0;
        let id = world.post(alice, "40");
        assert_eq!(world.answer(alice, id).status, 200, "the session lives on");
        world.open(alice);
        assert!(world.is_open(alice), "and may try again");
    }
}

#[test]
fn noop_for_a_waiting_get_behind_the_answer_to_the_probe() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.get(alice);
        world.open(alice);
        world.advance(millis(7));
        world.say(alice, "2probe");
    };
    deadline(&calm(), state, millis(8), "alice< 200 6");
}

#[test]
fn noop_again_every_tenth_of_a_second() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.open(alice);
        world.say(alice, "2probe");
        world.advance(millis(910));
        world.get(alice);
    };
    deadline(&calm(), state, millis(1001), "alice< 200 6");
}

#[test]
fn body_timeout() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.get(alice);
        world.advance(secs(1));
        world.post_body(alice, &[], Body::Pending);
    };
    deadline(
        &calm(),
        state,
        secs(31),
        "alice< 408 (connection: close)
         app: close alice (transport error): a request body took longer than body_timeout of 30s
         alice< 200 1",
    );
}

#[test]
fn drain_timeout_forgets_a_closed_session_whose_last_packets_nobody_fetched() {
    let closed = || {
        let mut world = World::new(calm());
        let alice = world.polling("alice");
        world.post(alice, "40");
        world.shutdown();
        world
    };
    let mut world = closed();
    world.advance(secs(30) - MICRO);
    let id = world.get(0);
    assert_eq!(world.answer(0, id).status, 200);

    let mut world = closed();
    world.advance(secs(30));
    world.assert_empty();
    let id = world.get(0);
    assert_eq!(world.answer(0, id).body, r#"{"code":1,"message":"Session ID unknown"}"#);
}

#[test]
fn close_timeout_of_a_client_that_does_not_answer_the_close_frame() {
    let state = |world: &mut World| {
        let (alice, socket) = world.joined("alice");
        world.clients[alice].polite = false;
        world.disconnect(socket, true);
    };
    deadline(&calm(), state, secs(5), "server: aborts alice ws");
}

#[test]
fn close_timeout_of_a_client_that_does_not_read() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.clients[alice].reads = false;
        world.say(alice, "4x");
    };
    deadline(&calm(), state, secs(5), "server: aborts alice ws");
}

#[test]
fn close_timeout_of_a_byte_stream_whose_end_is_not_reported() {
    let state = |world: &mut World| {
        let (alice, socket) = world.joined("alice");
        world.clients[alice].ends = false;
        world.disconnect(socket, true);
    };
    deadline(&calm(), state, secs(5), "server: aborts alice ws");
}

#[test]
fn close_timeout_of_a_candidate_leaves_the_session_alone() {
    let state = |world: &mut World| {
        let alice = world.polling("alice");
        world.open(alice);
        world.clients[alice].polite = false;
        world.say(alice, "5");
    };
    deadline(&calm(), state, secs(5), "server: aborts alice ws");
}

#[test]
fn s9_packet_timeout_of_attachments_that_do_not_come() {
    let state = |world: &mut World| {
        let (alice, _) = world.joined("alice");
        world.advance(secs(1));
        world.say(alice, "452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
        world.advance(secs(20));
        world.say_binary(alice, b"one");
        assert!(world.server.stats().received_bytes > 0);
    };
    deadline(
        &calm(),
        state,
        secs(31),
        "app: disconnecting alice/ (forced close) rooms []
         app: disconnect alice/ (forced close): attachments still missing after 30s
         app: close alice (forced close): attachments still missing after 30s
         alice ws< close 1008 \"packet timeout\"
         server: ends alice ws",
    );
}

#[test]
fn packet_timeout_ends_with_the_packet_and_starts_anew_with_the_next() {
    let mut world = World::new(calm());
    let (alice, _) = world.joined("alice");
    for _ in 0..3 {
        world.say(alice, "451-[\"e\",{\"_placeholder\":true,\"num\":0}]");
        world.advance(secs(30) - MICRO);
        world.say_binary(alice, b"just in time");
    }
    assert_eq!(world.lines("app: event").len(), 3);
    world.advance(secs(100));
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn s18_ack_timeout_each_at_its_own_time_in_order() {
    let state = |world: &mut World| {
        let (_, socket) = world.joined("alice");
        world.emit_with_ack(socket, "e", &0, secs(30)).unwrap();
        world.emit_with_ack(socket, "e", &1, secs(10)).unwrap();
        world.emit_with_ack(socket, "e", &2, secs(10)).unwrap();
    };
    deadline(&calm(), state, secs(10), "app: ack alice/ #2 timeout\napp: ack alice/ #4 timeout");
    let later = |world: &mut World| {
        state(world);
        world.advance(secs(11));
    };
    deadline(&calm(), later, secs(30), "app: ack alice/ #0 timeout");
}

#[test]
fn an_ack_in_the_last_microsecond_is_in_time() {
    let mut world = World::new(calm());
    let (alice, socket) = world.joined("alice");
    world.emit_with_ack(socket, "e", &(), secs(10)).unwrap();
    world.advance(secs(10) - MICRO);
    world.say(alice, "430[1]");
    world.advance(secs(1));
    assert_eq!(world.lines("app: ack"), ["app: ack alice/ #0 [1]"]);
    assert_eq!(world.server.stats().acks, 0);
}

#[test]
fn an_ack_without_any_time_times_out_at_the_next_tick() {
    let mut world = World::new(calm());
    let (_, socket) = world.joined("alice");
    world.emit_with_ack(socket, "e", &(), secs(1)).unwrap();
    world.advance(secs(1));
    world.emit_with_ack(socket, "e", &(), Duration::ZERO).unwrap();
    assert!(world.server.poll_timeout().is_some_and(|next| next <= world.now + MICRO), "it has a deadline");
    world.advance(MICRO);
    assert_eq!(world.lines("app: ack"), ["app: ack alice/ #0 timeout", "app: ack alice/ #2 timeout"]);
}

#[test]
fn a_verb_with_a_time_before_the_last_tick_still_gets_its_time() {
    let mut world = World::new(calm());
    let (_, socket) = world.joined("alice");
    world.emit_with_ack(socket, "e", &(), secs(10)).unwrap();
    world.advance(secs(10));
    world.clear();
    let now = std::mem::replace(&mut world.now, Instant::ZERO + secs(9));
    world.emit_with_ack(socket, "e", &(), millis(500)).unwrap();
    world.now = now;
    assert!(world.server.poll_timeout().is_some_and(|next| next > now), "counted from the tick");
    world.advance(millis(500));
    assert_eq!(world.lines("app: ack"), ["app: ack alice/ #2 timeout"]);
}

#[test]
fn an_idle_server_has_no_deadline_and_a_tick_long_after_does_nothing() {
    let mut world = World::new(Config::default());
    assert_eq!(world.server.poll_timeout(), None);
    let (alice, _) = world.joined("alice");
    world.close(alice, 1000);
    world.assert_empty();
    world.clear();
    world.now = Instant::ZERO + secs(1_000_000);
    world.tick();
    assert_eq!(world.reaction(), "");
}

#[test]
fn a_tick_that_comes_far_too_late_does_all_that_is_due() {
    let mut world = World::new(Config::default());
    let (_, socket) = world.joined("alice");
    world.emit_with_ack(socket, "e", &(), secs(10)).unwrap();
    world.clear();
    world.now = Instant::ZERO + secs(1_000);
    world.tick();
    assert_eq!(world.reaction(), "app: ack alice/ #0 timeout\nalice ws< 2");
}

/// The wait for the pong is counted from when the ping was due, but a process that stood still takes at most a tenth of
/// it from its peers.
#[test]
fn a_ping_that_goes_out_late_takes_at_most_a_tenth_of_the_wait_for_its_pong() {
    for (ticked, closed) in [(25, 45), (26, 45), (27, 45), (28, 46), (1_000, 1_018)] {
        let state = |world: &mut World| {
            world.joined("alice");
            world.now = Instant::ZERO + secs(ticked);
            world.tick();
        };
        deadline(&Config::default(), state, secs(closed), PING_TIMEOUT);
    }
}
