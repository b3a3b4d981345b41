//! Events that wait: for a listener while the connect handler runs, and for handlers when too many are in flight.

use std::{
    future::{pending, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye_driver::{AckError, Args, BoxError, Config, Limits, Server, Socket, State};

use crate::support::{Client, ClientEnd, Latch, Log, Rig, Slot, note, rig};

fn server(handlers: usize, parked: usize) -> (Server, Log) {
    let limits = Limits { handlers, parked, ..Limits::default() };
    (Server::new(Config { limits, ..Config::default() }), Log::default())
}

/// A connect handler that waits, registers a listener of `late`, and waits again.
fn registers_late(io: &Server, log: &Log) -> (Latch, Latch) {
    let (registers, returns) = (Latch::default(), Latch::default());
    let latches = (registers.clone(), returns.clone());
    let log = log.clone();
    io.on_connect(move |socket: Socket| {
        let ((registers, returns), log) = (latches.clone(), log.clone());
        async move {
            registers.wait().await;
            socket.on("late", note(&log, "late"));
            returns.wait().await;
        }
    });
    (registers, returns)
}

#[test]
fn an_event_without_a_listener_waits_with_those_behind_it_for_the_listener() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        let (registers, _returns) = registers_late(&io, &log);
        io.on("known", note(&log, "known"));
        let mut client = rig.joined(&io);
        for event in ["known", "late", "known", "late"] {
            client.event(event, "");
        }
        rig.run();
        assert_eq!(log.take(), ["known"]);
        registers.open();
        rig.run();
        assert_eq!(log.take(), ["late", "known", "late"]);
        client.event("known", "");
        rig.run();
        assert_eq!(log.take(), ["known"]);
    });
}

#[test]
fn an_event_without_a_listener_is_ignored_once_the_connect_handler_has_returned() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        let (registers, returns) = registers_late(&io, &log);
        io.on("known", note(&log, "known"));
        let mut client = rig.joined(&io);
        for event in ["unknown", "late", "known"] {
            client.event(event, "");
        }
        rig.run();
        registers.open();
        rig.run();
        assert_eq!(log.take(), [""; 0], "the first one still waits");
        returns.open();
        rig.run();
        assert_eq!(log.take(), ["late", "known"]);
        for event in ["unknown", "known"] {
            client.event(event, "");
        }
        rig.run();
        assert_eq!(log.take(), ["known"]);
    });
}

#[test]
fn events_wait_for_all_connect_handlers() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        let (_, first) = registers_late(&io, &Log::default());
        let (registers, second) = registers_late(&io, &log);
        let mut client = rig.joined(&io);
        client.event("late", "");
        first.open();
        second.open();
        rig.run();
        assert_eq!(log.take(), [""; 0], "neither has returned");
        registers.open();
        rig.run();
        assert_eq!(log.take(), ["late"]);
    });
}

#[test]
fn a_listener_of_the_namespace_that_comes_later_serves_an_event_that_waits() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        io.on_connect(async || pending::<()>().await);
        let mut client = rig.joined(&io);
        client.event("late", "");
        rig.run();
        io.on("late", note(&log, "late"));
        rig.run();
        assert_eq!(log.take(), ["late"]);
        client.event("late", "");
        rig.run();
        assert_eq!(log.take(), ["late"]);
    });
}

#[test]
fn a_connect_handler_that_never_returns_leaves_everything_else_working() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        let all = io.clone();
        io.of("/").with_state(log.clone()).on_connect(move |socket: Socket, State(log): State<Log>| {
            let all = all.clone();
            async move {
                let of_event = log.clone();
                socket.on("own", note(&of_event, "own"));
                socket.join("room")?;
                let answer: u32 = socket.emit_with_ack("question", &()).await?;
                log.add(format!("answer {answer}"));
                all.emit("to all", &())?;
                pending::<()>().await;
                Ok::<_, BoxError>(())
            }
        });
        io.on("known", note(&log, "known"));
        io.on_disconnect(note(&log, "disconnect"));
        let mut client = rig.joined(&io);
        client.expect("20[\"question\"]");
        client.event("own", "");
        client.send("30[42]");
        client.event("known", "");
        client.expect("2[\"to all\"]");
        rig.run();
        assert_eq!(log.take(), ["own", "answer 42", "known"]);
        client.close();
        assert_eq!(log.take(), ["disconnect"]);
    });
}

/// `/` has a handler `wait` that stands still until the latch is open.
fn waits(io: &Server, log: &Log) -> Latch {
    let latch = Latch::default();
    let waiting = latch.clone();
    io.of("/").with_state(log.clone()).on("wait", move |State(log): State<Log>, Args(n): Args<usize>| {
        let waiting = waiting.clone();
        async move {
            log.add(format!("{n} begins"));
            waiting.wait().await;
            log.add(format!("{n} ends"));
        }
    });
    latch
}

#[test]
fn as_many_handlers_as_the_limit_allows_are_in_flight() {
    rig(|rig| {
        let (io, log) = server(3, 1_024);
        let latch = waits(&io, &log);
        let mut client = rig.joined(&io);
        for n in 1..=5 {
            client.event("wait", &format!(",{n}"));
        }
        rig.run();
        assert_eq!(log.take(), ["1 begins", "2 begins", "3 begins"]);
        latch.open();
        rig.run();
        let begun: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("begins")).collect();
        assert_eq!(begun, ["4 begins", "5 begins"]);
        assert_eq!(io.stats().received_bytes, 0);
    });
}

#[test]
fn each_socket_has_a_limit_of_its_own() {
    rig(|rig| {
        let (io, log) = server(1, 1_024);
        let _latch = waits(&io, &log);
        io.of("/other").on("x", note(&log, "x of another namespace"));
        let (mut one, mut two) = (rig.joined(&io), rig.joined(&io));
        one.event("wait", ",1");
        one.event("wait", ",2");
        two.event("wait", ",3");
        one.join("/other");
        one.send("2/other,[\"x\"]");
        rig.run();
        let mut lines = log.take();
        lines.sort();
        assert_eq!(lines, ["1 begins", "3 begins", "x of another namespace"]);
    });
}

#[test]
fn handlers_at_the_limit_get_their_acknowledgements() {
    // Or they would wait for ever: for what lies behind the events that wait for them.
    rig(|rig| {
        let (io, log) = server(1, 4);
        io.of("/").with_state(log.clone()).on("ask", async |State(log): State<Log>, socket: Socket| {
            let answer: Result<String, AckError> = socket.emit_with_ack("question", &()).await;
            log.add(format!("{answer:?}"));
        });
        let mut client = rig.joined(&io);
        client.event("ask", "");
        client.event("ask", "");
        client.event("ask", "");
        for id in [0, 2, 4] {
            client.expect(&format!("2{id}[\"question\"]"));
            client.expect_nothing();
            client.send(&format!("3{id}[\"answer {id}\"]"));
        }
        rig.run();
        assert_eq!(log.take(), [0, 2, 4].map(|id| format!("Ok(\"answer {id}\")")));
    });
}

#[test]
fn pongs_are_read_while_events_wait() {
    rig(|rig| {
        let limits = Limits { handlers: 1, ..Limits::default() };
        let ping_interval = Duration::from_millis(10);
        let io = Server::new(Config { limits, ping_interval, ..Config::default() });
        let log = Log::default();
        let _latch = waits(&io, &log);
        let mut client = rig.joined(&io);
        client.event("wait", ",1");
        client.event("wait", ",2");
        rig.run();
        assert_eq!(log.take(), ["1 begins"]);
        // The next ping follows a pong.
        rig.until("pings that follow pongs", || {
            client.read();
            client.pings >= 3
        });
        assert_eq!(io.stats().sockets, 1);
    });
}

#[test]
fn a_close_is_seen_while_events_wait() {
    rig(|rig| {
        let (io, log) = server(1, 1_024);
        let latch = waits(&io, &log);
        io.on_disconnect(note(&log, "disconnect"));
        let mut client = rig.joined(&io);
        client.event("wait", ",1");
        client.event("wait", ",2");
        rig.run();
        assert_eq!(log.take(), ["1 begins"]);
        client.close();
        assert!(log.has("disconnect"));
        latch.open();
        rig.run();
        assert_eq!(io.stats().connections, 0);
    });
}

#[test]
fn events_that_wait_are_handled_although_the_client_has_gone() {
    // As in JavaScript: what arrived before the end has been handed to its listeners by then.
    for how in ["packet", "close", "reset", "server"] {
        rig(move |rig| {
            let (io, log) = server(1, 1_024);
            let latch = waits(&io, &log);
            io.on_connect(async |socket: Socket| socket.join("room").map(drop));
            let mut client = rig.joined(&io);
            for n in 1..=3 {
                client.event("wait", &format!(",{n}"));
            }
            rig.run();
            assert_eq!(log.take(), ["1 begins"]);
            match how {
                "packet" => client.send("1"),
                "close" => client.close(),
                "reset" => client.vanish(),
                _ => _ = io.disconnect_sockets(false),
            }
            rig.run();
            assert_eq!(io.stats().sockets, 0, "{how}");
            latch.open();
            rig.run();
            let begun: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("begins")).collect();
            assert_eq!(begun, ["2 begins", "3 begins"], "{how}");
        });
    }
}

/// Sends so much that a server which reads on would have read all of it.
fn flood(client: &mut Client, rig: &Rig, count: usize) {
    let padding = "p".repeat(1_000);
    for n in 0..count {
        client.event("wait", &format!(",{n},\"{padding}\""));
    }
    rig.run();
}

/// A server whose bound is far below a thousand events of a kilobyte.
fn reads_only_what_may_wait(rig: &Rig, io: &Server) {
    let log = Log::default();
    let latch = waits(io, &log);
    let mut client = rig.joined(io);
    flood(&mut client, rig, 1_000);
    assert_eq!(log.take(), ["0 begins"]);
    let unread = client.end.unread();
    assert!(unread > 500_000, "only {unread} bytes are left");
    // Nor does it read on for any other reason.
    io.emit("x", &()).unwrap();
    client.expect("2[\"x\"]");
    assert_eq!(client.end.unread(), unread);
    latch.open();
    rig.run();
    assert_eq!(client.end.unread(), 0);
    let begun: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("begins")).collect();
    assert_eq!(begun, (1..1_000).map(|n| format!("{n} begins")).collect::<Vec<_>>());
}

#[test]
fn reading_stops_when_too_many_events_wait_and_goes_on_after() {
    rig(|rig| {
        reads_only_what_may_wait(&rig, &server(1, 8).0);
    });
}

/// Limits under which an event of a kilobyte is large.
fn small(handlers: usize) -> Config {
    Config { limits: Limits { handlers, max_packet_bytes: 8_000, ..Limits::default() }, ..Config::default() }
}

#[test]
fn reading_stops_when_too_many_bytes_wait_and_goes_on_after() {
    rig(|rig| {
        // Far fewer events than may wait.
        reads_only_what_may_wait(&rig, &Server::new(small(1)));
    });
}

#[test]
fn as_many_bytes_wait_as_one_packet_may_have_in_names_arguments_and_attachments() {
    let sizes = |name: usize, argument: usize, attachment: usize| {
        rig(move |rig| {
            let io = Server::new(small(1));
            let _latch = waits(&io, &Log::default());
            let mut client = rig.joined(&io);
            client.event("wait", ",1");
            let (name, argument) = ("n".repeat(name), "a".repeat(argument));
            client.send(&format!("51-[\"{name}\",\"{argument}\",{{\"_placeholder\":true,\"num\":0}}]"));
            client.send_binary(&vec![0; attachment]);
            rig.run();
            assert_eq!((client.end.unread(), io.stats().parked), (0, 1));
            // One that goes beyond the bound is read.
            client.event("x", &format!(",\"{}\"", "a".repeat(1_500)));
            rig.run();
            assert_eq!((client.end.unread(), io.stats().parked), (0, 2));
            client.event("x", "");
            rig.run();
            assert_ne!(client.end.unread(), 0, "nothing more is read");
        });
    };
    for (name, argument, attachment) in [(7_000, 0, 0), (0, 7_000, 0), (0, 0, 7_000)] {
        sizes(name, argument, attachment);
    }
}

#[test]
fn a_connect_handler_that_waits_in_vain_holds_no_more_bytes_than_the_bound() {
    rig(|rig| {
        let (io, log) = (Server::new(small(64)), Log::default());
        io.on_connect(async |socket: Socket| {
            let answer: Result<(), AckError> = socket.emit_with_ack("question", &()).await;
            answer
        });
        let mut client = rig.joined(&io);
        client.expect("20[\"question\"]");
        // Nobody listens to these; one of any size waits all the same, and another.
        for (size, parked) in [(7_900, 1), (50, 2), (1_000, 2), (7_900, 1)] {
            client.event("unknown", &format!(",\"{}\"", "u".repeat(size)));
            rig.run();
            assert_eq!((io.stats().parked, client.end.unread()), (parked, 0));
        }
        // On all namespaces together.
        for n in 1..=20 {
            let name = format!("/{n}");
            io.of(&name).on_connect(async || pending::<()>().await);
            client.join(&name);
            client.send(&format!("2{name},[\"unknown\",\"{}\"]", "u".repeat(1_000)));
        }
        rig.run();
        assert!(io.stats().parked <= 8, "{} wait", io.stats().parked);
        io.on("known", note(&log, "known"));
        client.event("known", "");
        rig.until("an event that somebody listens to is handled", || log.len() == 1);
    });
}

#[test]
fn one_event_less_than_the_bound_waits_and_reading_goes_on() {
    rig(|rig| {
        let (io, log) = server(1, 8);
        let _latch = waits(&io, &log);
        let mut client = rig.joined(&io);
        // One is handled, seven wait.
        flood(&mut client, &rig, 8);
        io.of("/other");
        client.join("/other");
        // The eighth is the last one that is read.
        flood(&mut client, &rig, 1);
        client.send("1/other,");
        rig.run();
        assert_ne!(client.end.unread(), 0);
        assert_eq!(io.stats().sockets, 2);
    });
}

#[test]
fn a_peer_that_is_not_read_from_is_not_held_to_its_pong() {
    rig(|rig| {
        let (ping_interval, ping_timeout) = (Duration::from_millis(100), Duration::from_millis(200));
        let limits = Limits { handlers: 1, parked: 8, ..Limits::default() };
        let io = Server::new(Config { limits, ping_interval, ping_timeout, ..Config::default() });
        let log = Log::default();
        let latch = waits(&io, &log);
        let mut client = rig.joined(&io);
        flood(&mut client, &rig, 1_000);
        rig.until("a ping", || {
            client.read();
            client.pings == 1
        });
        // The pong lies behind what is not read, long after its time.
        rig.wait("some time", rig.runtime.sleep(Duration::from_millis(500)));
        assert_ne!(client.end.unread(), 0);
        latch.open();
        rig.until("another ping", || {
            client.read();
            client.pings == 2
        });
        assert_eq!(log.take().len(), 2_000);
    });
}

#[test]
fn a_connect_handler_that_never_returns_holds_up_no_more_events_than_the_bound() {
    rig(|rig| {
        let (io, log) = server(64, 2);
        io.on_connect(async || pending::<()>().await);
        io.on("known", note(&log, "known"));
        let mut client = rig.joined(&io);
        // Nobody listens to this, and nobody ever will.
        client.event("unknown", "");
        rig.run();
        assert_eq!(io.stats().parked, 1);
        client.event("known", "");
        client.event("known", "");
        rig.run();
        assert_eq!(log.take(), ["known", "known"]);
        flood(&mut client, &rig, 100);
        client.event("known", "");
        client.event("known", "");
        rig.run();
        assert_eq!((log.take(), client.end.unread()), (vec!["known".to_owned(); 2], 0));
        assert!(io.stats().parked < 2);
    });
}

#[test]
fn catch_all_listeners_do_not_wait_for_a_connect_handler() {
    rig(|rig| {
        let (io, log) = server(64, 1_024);
        let (registers, returns) = registers_late(&io, &log);
        let any = log.clone();
        io.on_any(move |event| any.add(format!("any {}", event.name())));
        let mut client = rig.joined(&io);
        for event in ["late", "unknown", "late"] {
            client.event(event, "");
        }
        rig.run();
        assert_eq!(log.take(), ["any late", "any unknown", "any late"]);
        registers.open();
        rig.run();
        assert_eq!(log.take(), ["late"]);
        returns.open();
        rig.run();
        assert_eq!(log.take(), ["late"], "each has been announced once");
    });
}

/// A poll of a connection's task has so many rounds and no more: what is raised in the last one counts in the next poll.
#[test]
fn a_listener_that_is_registered_in_any_round_of_a_poll_gets_what_waits() {
    for rounds in 1..40 {
        rig(move |rig| {
            let (io, log) = server(64, 1_024);
            let waiting = Slot::<Socket>::default();
            let to = waiting.clone();
            io.on_connect(move |socket: Socket| {
                to.put(socket);
                pending::<()>()
            });
            // Of another namespace, so that nothing else of the one that waits happens then.
            let other = io.of("/b");
            let end = Arc::new(Mutex::new(None::<ClientEnd>));
            let (ticks, late, left) = (Arc::clone(&end), log.clone(), AtomicUsize::new(rounds));
            other.on("tick", move || {
                if left.fetch_sub(1, Ordering::Relaxed) > 1 {
                    // Read in the next round.
                    let frame = [b"\x81\x8d\0\0\0\0".as_slice(), br#"42/b,["tick"]"#].concat();
                    ticks.lock().unwrap().as_ref().unwrap().write(&frame);
                } else {
                    waiting.take().unwrap().on("late", note(&late, "late"));
                }
                ready(())
            });
            let mut client = rig.joined(&io);
            client.join("/b");
            *end.lock().unwrap() = Some(client.end.clone());
            client.event("late", "");
            rig.run();
            assert_eq!(log.take(), [""; 0]);
            client.send(r#"2/b,["tick"]"#);
            rig.run();
            assert_eq!(log.take(), ["late"], "in round {rounds}");
        });
    }
}

/// What a client does that comes, says something, and leaves, again and again.
fn comes_and_goes(client: &mut Client, rig: &Rig, times: usize, events: usize) {
    for n in 0..times {
        client.send("0");
        for event in 0..events {
            client.event("wait", &format!(",{}", n * events + event));
        }
        client.send("1");
        rig.run();
    }
}

#[test]
fn leaving_and_coming_back_gives_nobody_more_handlers_than_the_limit() {
    rig(|rig| {
        let (io, log) = server(4, 1_024);
        let latch = waits(&io, &log);
        let mut client = rig.open(&io);
        comes_and_goes(&mut client, &rig, 100, 3);
        // The second time goes beyond the limit.
        assert_eq!(io.stats().handlers, 6);
        assert_ne!(client.end.unread(), 0);
        latch.open();
        rig.run();
        let begun: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("begins")).collect();
        assert_eq!(begun, (0..300).map(|n| format!("{n} begins")).collect::<Vec<_>>());
        assert_eq!((io.stats().handlers, client.end.unread()), (0, 0));
        assert_eq!(io.stats().connections, 1);
    });
}

#[test]
fn handlers_of_connecting_and_disconnecting_do_not_pile_up_either() {
    rig(|rig| {
        let (io, _) = server(4, 1_024);
        let latch = Latch::default();
        let (connect, disconnect) = (latch.clone(), latch.clone());
        io.on_connect(move || {
            let latch = connect.clone();
            async move { latch.wait().await }
        });
        io.on_disconnect(move || {
            let latch = disconnect.clone();
            async move { latch.wait().await }
        });
        let mut client = rig.open(&io);
        comes_and_goes(&mut client, &rig, 100, 0);
        assert_eq!(io.stats().handlers, 4);
        assert_ne!(client.end.unread(), 0);
        // Who is connected does not count among them.
        latch.open();
        rig.run();
        assert_eq!((io.stats().handlers, client.end.unread()), (0, 0));
    });
}

#[test]
fn a_connection_ends_although_its_handlers_do_not() {
    rig(|rig| {
        let limits = Limits { handlers: 2, ..Limits::default() };
        let io = Server::new(Config { limits, ping_interval: Duration::from_millis(10), ..Config::default() });
        let latch = waits(&io, &Log::default());
        let mut client = rig.open(&io);
        comes_and_goes(&mut client, &rig, 100, 3);
        assert_eq!(io.stats().handlers, 3);
        // Nothing is read of it: a ping tells.
        client.vanish();
        rig.until("the connection is gone", || io.stats().connections == 0);
        assert_ne!(io.stats().tasks, 0);
        latch.open();
        rig.until("all is gone", || io.stats().tasks == 0);
    });
}

#[test]
fn a_hundred_clients_that_wait_do_not_hold_up_another_one() {
    rig(|rig| {
        let (io, log) = server(1, 2);
        let _latch = waits(&io, &log);
        io.on("quick", async |socket: Socket| socket.emit("done", &()));
        let mut waiting: Vec<Client> = (0..100).map(|_| rig.joined(&io)).collect();
        for client in &mut waiting {
            for _ in 0..10 {
                client.event("wait", ",1");
            }
        }
        let mut client = rig.joined(&io);
        client.event("quick", "");
        client.expect("2[\"done\"]");
    });
}
