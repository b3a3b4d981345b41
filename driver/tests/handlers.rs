//! Handlers: which run, when, and what becomes of them when they or their connection fail.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sockeye_driver::{
    Ack, AckSendError, Args, BoxError, Config, ConnectError, DisconnectReason, EmitError, EventName, HandlerError,
    HandlerFault, Handshake, Server, Socket, State, Value, Values,
};
use support::{Latch, Log, note, rig, yield_now};

/// A server whose `/` has a log as its state, and the connected sockets in it.
fn server() -> (Server, Log) {
    (Server::new(Config::default()), Log::default())
}

#[test]
fn handlers_start_in_order_of_arrival_and_interleave_only_where_they_wait() {
    rig(|rig| {
        let (io, log) = server();
        let latch = Latch::default();
        let slow = latch.clone();
        io.of("/").with_state(log.clone()).on("slow", move |State(log): State<Log>, Args(n): Args<u32>| {
            let slow = slow.clone();
            async move {
                log.add(format!("slow {n} begins"));
                slow.wait().await;
                log.add(format!("slow {n} ends"));
            }
        });
        io.of("/").with_state(log.clone()).on("quick", async |State(log): State<Log>, Args(n): Args<u32>| {
            log.add(format!("quick {n} begins"));
            log.add(format!("quick {n} ends"));
        });
        let mut client = rig.joined(&io);
        client.event("slow", ",1");
        client.event("quick", ",2");
        client.event("slow", ",3");
        client.event("quick", ",4");
        rig.run();
        let expected =
            ["slow 1 begins", "quick 2 begins", "quick 2 ends", "slow 3 begins", "quick 4 begins", "quick 4 ends"];
        assert_eq!(log.take(), expected);
        latch.open();
        rig.run();
        let mut ends = log.take();
        ends.sort();
        assert_eq!(ends, ["slow 1 ends", "slow 3 ends"]);
    });
}

#[test]
fn a_thousand_events_in_one_read_start_in_order() {
    rig(|rig| {
        let (io, log) = server();
        // Every other one waits.
        io.of("/").with_state(log.clone()).on("n", async |State(log): State<Log>, Args(n): Args<usize>| {
            log.add(n.to_string());
            if n % 2 == 0 {
                yield_now().await;
            }
        });
        let mut client = rig.joined(&io);
        for n in 0..1_000 {
            client.event("n", &format!(",{n}"));
        }
        rig.run();
        assert_eq!(log.take(), (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn the_listeners_of_an_event_run_in_order_those_of_the_namespace_first() {
    rig(|rig| {
        let (io, log) = server();
        let of_socket = log.clone();
        io.on_connect(move |socket: Socket| {
            // Registered before those of the namespace below.
            socket.on("x", note(&of_socket, "socket 1"));
            socket.on("x", note(&of_socket, "socket 2"));
            ready(())
        });
        let latch = Latch::default();
        let waiting = latch.clone();
        let mut client = rig.joined(&io);
        io.of("/").with_state(log.clone()).on("x", move |State(log): State<Log>| {
            let waiting = waiting.clone();
            async move {
                log.add("namespace 1 begins");
                waiting.wait().await;
                log.add("namespace 1 ends");
            }
        });
        io.on("x", note(&log, "namespace 2"));
        client.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["namespace 1 begins", "namespace 2", "socket 1", "socket 2"]);
        latch.open();
        rig.run();
        assert_eq!(log.take(), ["namespace 1 ends"]);
    });
}

#[test]
fn listeners_get_the_events_of_their_socket_and_namespace_alone() {
    rig(|rig| {
        let (io, log) = server();
        let of_socket = log.clone();
        let first = AtomicUsize::new(0);
        io.on_connect(move |socket: Socket| {
            if first.fetch_add(1, Ordering::SeqCst) == 0 {
                socket.on("x", note(&of_socket, "first socket"));
            }
            ready(())
        });
        io.on("x", note(&log, "/"));
        io.of("/admin").on("x", note(&log, "/admin"));
        let (mut one, mut two) = (rig.joined(&io), rig.joined(&io));
        two.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["/"]);
        one.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["/", "first socket"]);
        one.join("/admin");
        one.send("2/admin,[\"x\"]");
        rig.run();
        assert_eq!(log.take(), ["/admin"]);
    });
}

#[test]
fn once_takes_one_event() {
    rig(|rig| {
        let (io, log) = server();
        let of_socket = log.clone();
        io.on_connect(move |socket: Socket| {
            socket.once("x", note(&of_socket, "once of the socket"));
            ready(())
        });
        io.of("/").once("x", note(&log, "once of the namespace"));
        let (mut one, mut two) = (rig.joined(&io), rig.joined(&io));
        // Both at once.
        one.event("x", "");
        one.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["once of the namespace", "once of the socket"]);
        // That of the namespace is spent, each socket has one of its own.
        two.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["once of the socket"]);
    });
}

#[test]
fn off_removes_one_listener_and_off_all_all_of_an_event() {
    rig(|rig| {
        let (io, log) = server();
        let sockets = Arc::new(std::sync::Mutex::new(Vec::new()));
        let connected = Arc::clone(&sockets);
        io.on_connect(move |socket: Socket| {
            connected.lock().unwrap().push(socket);
            ready(())
        });
        let mut client = rig.joined(&io);
        let socket = sockets.lock().unwrap().remove(0);
        let namespace = io.of("/");
        let a = namespace.on("x", note(&log, "a"));
        let b = namespace.on("x", note(&log, "b"));
        let c = socket.on("x", note(&log, "c"));
        socket.on("x", note(&log, "d"));
        socket.on("y", note(&log, "y"));
        let any = socket.on_any({
            let log = log.clone();
            move |_| log.add("any")
        });

        assert!(namespace.off(a) && !namespace.off(a), "removed once");
        assert!(!namespace.off(c), "it is the socket's");
        assert!(!socket.off(b), "it is the namespace's");
        assert!(socket.off(c));
        client.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["any", "b", "d"]);

        assert_eq!((socket.off_all("x"), socket.off_all("x"), namespace.off_all("x")), (1, 0, 1));
        assert!(socket.off(any));
        client.event("x", "");
        client.event("y", "");
        rig.run();
        assert_eq!(log.take(), ["y"]);
    });
}

#[test]
fn a_listener_that_is_removed_during_an_event_still_sees_that_one() {
    // As in JavaScript, where an emitter calls a copy of its list.
    rig(|rig| {
        let (io, log) = server();
        let namespace = io.of("/");
        let registering = (namespace.clone(), log.clone());
        namespace.on("x", move |socket: Socket| {
            let (namespace, log) = &registering;
            log.add("first");
            namespace.off_all("x");
            socket.on("late", note(log, "late"));
            ready(())
        });
        namespace.on("x", note(&log, "second"));
        let mut client = rig.joined(&io);
        for event in ["x", "x", "late"] {
            client.event(event, "");
        }
        rig.run();
        assert_eq!(log.take(), ["first", "second", "late"]);
    });
}

#[test]
fn catch_all_listeners_see_every_event_before_its_listeners() {
    rig(|rig| {
        let (io, log) = server();
        let any = log.clone();
        io.on_any(move |event| {
            let socket = event.socket().map(Socket::is_connected);
            any.add(format!("namespace: {} {:?} {socket:?}", event.name(), event.values().unwrap()));
        });
        let any = log.clone();
        io.on_connect(move |socket: Socket| {
            let any = any.clone();
            socket.on_any(move |event| any.add(format!("socket: {}, ack {}", event.name(), event.ack().is_some())));
            ready(())
        });
        io.on("known", note(&log, "listener"));
        let mut client = rig.joined(&io);
        client.event("known", ",1,\"two\"");
        client.send("27[\"unknown\"]");
        rig.run();
        assert_eq!(
            log.take(),
            [
                "namespace: known [Number(Number(1)), String(\"two\")] Some(true)",
                "socket: known, ack false",
                "listener",
                "namespace: unknown [] Some(true)",
                "socket: unknown, ack true",
            ]
        );
    });
}

#[test]
fn a_catch_all_listener_may_acknowledge_and_may_register_the_listener() {
    rig(|rig| {
        let (io, log) = server();
        io.on_any(|event| {
            if let Some(ack) = event.ack() {
                ack.send(&"from the catch-all listener").unwrap();
            }
        });
        let registering = log.clone();
        io.on_connect(move |socket: Socket| {
            let log = registering.clone();
            let of_event = socket.clone();
            socket.on_any(move |event| _ = of_event.once(event.name(), note(&log, "registered in time")));
            ready(())
        });
        io.of("/").with_state(log.clone()).on("x", async |State(log): State<Log>, ack: Ack| {
            log.add(format!("{:?}", ack.send(&"too late")));
        });
        let mut client = rig.joined(&io);
        client.send("21[\"x\"]");
        client.expect("31[\"from the catch-all listener\"]");
        assert_eq!(log.take(), [format!("{:?}", Err::<(), _>(AckSendError::AlreadySent)), "registered in time".into()]);
    });
}

#[test]
fn outgoing_listeners_see_what_is_sent_and_no_acknowledgements() {
    rig(|rig| {
        let (io, log) = server();
        let outgoing = log.clone();
        io.on_any_outgoing(move |event| {
            let values = event.values().unwrap();
            outgoing.add(format!("namespace: {} {values:?} to one: {}", event.name(), event.socket().is_some()));
        });
        let outgoing = log.clone();
        io.on_connect(move |socket: Socket| {
            let outgoing = outgoing.clone();
            socket.on_any_outgoing(move |event| outgoing.add(format!("socket: {}", event.name())));
            ready(())
        });
        io.on("go", {
            let io = io.clone();
            move |socket: Socket, ack: Ack| {
                socket.emit("direct", &1).unwrap();
                io.emit("to all", &2).unwrap();
                ack.send(&3).unwrap();
                ready(())
            }
        });
        let mut client = rig.joined(&io);
        client.send("20[\"go\"]");
        for packet in ["2[\"direct\",1]", "2[\"to all\",2]", "30[3]"] {
            client.expect(packet);
        }
        assert_eq!(
            log.take(),
            [
                "namespace: direct [Number(Number(1))] to one: true",
                "socket: direct",
                "namespace: to all [Number(Number(2))] to one: false",
            ]
        );
    });
}

#[test]
fn handlers_extract_what_they_ask_for() {
    rig(|rig| {
        let (io, log) = server();
        io.of("/").with_state(log.clone()).on(
            "x",
            async |State(log): State<Log>,
                   socket: Socket,
                   EventName(name): EventName,
                   Args((number, missing)): Args<(u32, Option<String>)>,
                   Values(values): Values,
                   handshake: Handshake,
                   ack: Option<Ack>| {
                log.add(format!(
                    "{} {name} {number} {missing:?} {} {:?} {}",
                    socket.namespace(),
                    values == [Value::from(5)],
                    handshake.address().map(|address| address.to_string()),
                    ack.is_some(),
                ));
            },
        );
        let mut client = rig.joined(&io);
        client.event("x", ",5");
        rig.run();
        assert_eq!(log.take(), ["/ x 5 None true Some(\"192.0.2.1:4711\") false"]);
    });
}

#[test]
fn the_connect_handler_runs_to_its_first_await_before_any_event() {
    rig(|rig| {
        let (io, log) = server();
        let latch = Latch::default();
        let waiting = latch.clone();
        io.of("/").with_state(log.clone()).on_connect(move |State(log): State<Log>, socket: Socket| {
            let waiting = waiting.clone();
            async move {
                log.add("connect begins");
                socket.on("own", note(&log, "own"));
                log.add("connect waits");
                waiting.wait().await;
                log.add("connect ends");
            }
        });
        io.on("x", note(&log, "x"));
        let mut client = rig.open(&io);
        // All in one read.
        client.send("0");
        client.event("own", "");
        client.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["connect begins", "connect waits", "own", "x"]);
        latch.open();
        rig.run();
        assert_eq!(log.take(), ["connect ends"]);
    });
}

#[test]
fn a_socket_is_connected_and_the_client_told_before_its_connect_handler_runs() {
    rig(|rig| {
        let (io, log) = server();
        let all = io.clone();
        io.of("/").with_state(log.clone()).on_connect(move |State(log): State<Log>, socket: Socket| {
            log.add(format!("connected: {}", socket.is_connected()));
            let count = all.emit("to all", &()).unwrap();
            socket.emit("to one", &()).unwrap();
            log.add(format!("reached {count}"));
            ready(())
        });
        let mut client = rig.open(&io);
        client.join("/");
        client.expect("2[\"to all\"]");
        client.expect("2[\"to one\"]");
        assert_eq!(log.take(), ["connected: true", "reached 1"]);
    });
}

/// What went wrong in handlers, and what `/` says to `ping` while all that goes on.
fn faults(io: &Server) -> Log {
    let log = Log::default();
    let faults = log.clone();
    io.on_error(move |error: &HandlerError| {
        let kind = match error.fault() {
            HandlerFault::Extract(_) => "extract",
            HandlerFault::Returned(_) => "returned",
            HandlerFault::Panicked(_) => "panicked",
            _ => "another",
        };
        assert!(!error.socket().id().to_string().is_empty());
        faults.add(format!("{kind} in {:?}: {}", error.event(), error.fault()));
    });
    io.on("ping", async |socket: Socket| socket.emit("pong", &()));
    log
}

/// Handlers that fail in every way.
fn fail_in_every_way(io: &Server) {
    io.on("error", async || Err::<(), _>("no luck"));
    io.on("error later", async || {
        yield_now().await;
        Err::<(), BoxError>("no luck later".into())
    });
    io.on("typed", async |Args(_): Args<u32>| {});
    io.on("panic at once", || -> std::future::Ready<()> { panic!("at once") });
    io.on("panic", async || -> () { panic!("in the future") });
    io.on("panic later", async || -> () {
        yield_now().await;
        let n = 5;
        panic!("later, {n}");
    });
}

const FAILING: [(&str, &str); 6] = [
    ("error", ""),
    ("error later", ""),
    ("typed", ",\"no number\""),
    ("panic at once", ""),
    ("panic", ""),
    ("panic later", ""),
];

#[test]
fn whatever_a_handler_does_wrong_reaches_on_error_and_the_connection_lives() {
    rig(|rig| {
        let (io, _) = server();
        let faults = faults(&io);
        fail_in_every_way(&io);
        let mut client = rig.joined(&io);
        for (event, arguments) in FAILING {
            client.event(event, arguments);
            client.event("ping", "");
            client.expect("2[\"pong\"]");
        }
        rig.run();
        let faults = faults.take();
        let expected = [
            "returned in Some(\"error\"): no luck",
            "returned in Some(\"error later\"): no luck later",
            "extract in Some(\"typed\"): arguments: ",
            "panicked in Some(\"panic at once\"): panicked: at once",
            "panicked in Some(\"panic\"): panicked: in the future",
            "panicked in Some(\"panic later\"): panicked: later, 5",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault} is not {expected}");
        }
    });
}

#[test]
fn without_on_error_the_connection_lives_too() {
    rig(|rig| {
        let (io, _) = server();
        fail_in_every_way(&io);
        io.on("ping", async |socket: Socket| socket.emit("pong", &()));
        let mut client = rig.joined(&io);
        for (event, arguments) in FAILING {
            client.event(event, arguments);
        }
        client.event("ping", "");
        client.expect("2[\"pong\"]");
    });
}

#[test]
fn one_listener_that_fails_does_not_keep_the_others_from_running() {
    rig(|rig| {
        let (io, log) = server();
        let faults = faults(&io);
        // A panic in here ends here.
        io.on_error(|_| panic!("in on_error"));
        let after = faults.clone();
        io.on_error(move |_| after.add("the next on_error"));
        io.on_any(|_| panic!("catch-all"));
        io.on("x", || -> std::future::Ready<()> { panic!("first") });
        io.on("x", async |Args(_): Args<(u8,)>| {});
        io.on("x", note(&log, "third"));
        let mut client = rig.joined(&io);
        client.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["third"]);
        let faults = faults.take();
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert_eq!(faults[0], "panicked in Some(\"x\"): panicked: catch-all");
        assert_eq!(faults[2], "panicked in Some(\"x\"): panicked: first");
        assert!(faults[4].starts_with("extract in Some(\"x\")"), "{faults:?}");
        for index in [1, 3, 5] {
            assert_eq!(faults[index], "the next on_error");
        }
        client.event("ping", "");
        client.expect("2[\"pong\"]");
    });
}

#[test]
fn handlers_of_connections_that_fail_reach_on_error_and_leave_the_socket_connected() {
    rig(|rig| {
        let (io, _) = server();
        let faults = faults(&io);
        io.on_connect(async || Err::<(), _>("at connect"));
        io.on_connect(async || -> () { panic!("at connect") });
        io.on_disconnecting(async || -> () { panic!("while disconnecting") });
        io.on_disconnect(async || {
            yield_now().await;
            Err::<(), _>("after the disconnect")
        });
        let mut client = rig.joined(&io);
        client.event("ping", "");
        client.expect("2[\"pong\"]");
        client.vanish();
        let expected = [
            "returned in None: at connect",
            "panicked in None: panicked: at connect",
            "panicked in None: panicked: while disconnecting",
            "returned in None: after the disconnect",
        ];
        assert_eq!(faults.take(), expected);
    });
}

#[test]
fn a_callback_of_an_acknowledgement_that_panics_reaches_on_error() {
    rig(|rig| {
        let (io, _) = server();
        let faults = faults(&io);
        io.on_connect(async |socket: Socket| {
            socket.emit_then("question", &(), |_: Result<u32, _>| panic!("in the callback"))
        });
        let mut client = rig.joined(&io);
        client.expect("20[\"question\"]");
        client.send("30[1]");
        client.event("ping", "");
        client.expect("2[\"pong\"]");
        assert_eq!(faults.take(), ["panicked in None: panicked: in the callback"]);
    });
}

#[test]
fn handlers_in_flight_run_to_their_end_after_a_disconnect() {
    rig(|rig| {
        let (io, log) = server();
        let latch = Latch::default();
        let waiting = latch.clone();
        io.of("/").with_state(log.clone()).on("work", move |State(log): State<Log>, socket: Socket, ack: Ack| {
            let waiting = waiting.clone();
            async move {
                waiting.wait().await;
                log.add(format!("connected: {}", socket.is_connected()));
                log.add(format!("emit: {:?}", socket.emit("x", &())));
                log.add(format!("ack: {:?}", ack.send(&())));
                yield_now().await;
                log.add("work ends");
            }
        });
        let late = latch.clone();
        io.of("/").with_state(log.clone()).on_disconnect(move |State(log): State<Log>, reason: DisconnectReason| {
            let late = late.clone();
            async move {
                log.add(format!("disconnected: {reason}"));
                late.wait().await;
                log.add("disconnect handler ends");
            }
        });
        let mut client = rig.joined(&io);
        client.send("21[\"work\"]");
        rig.run();
        client.vanish();
        rig.until("the connection is gone", || client.end.is_dropped());
        assert_eq!(log.take(), ["disconnected: transport close"]);
        latch.open();
        rig.run();
        let mut lines = log.take();
        lines.sort();
        let not_connected = EmitError::NotConnected;
        let mut expected = [
            "connected: false".to_owned(),
            format!("emit: {:?}", Err::<(), _>(&not_connected)),
            format!("ack: {:?}", Err::<(), _>(AckSendError::Emit(not_connected.clone()))),
            "work ends".to_owned(),
            "disconnect handler ends".to_owned(),
        ];
        expected.sort();
        assert_eq!(lines, expected);
        assert_eq!(io.stats().connections, 0);
    });
}

#[test]
fn the_rooms_are_there_while_disconnecting_and_gone_after() {
    for how in ["reset", "close", "packet", "server", "server, whole connection"] {
        rig(move |rig| {
            let (io, log) = server();
            io.on_connect(async |socket: Socket| socket.join(["a", "b"]).map(drop));
            io.on("leave", async |socket: Socket, Args(close): Args<bool>| socket.disconnect(close));
            io.of("/").with_state(log.clone()).on_disconnecting(async |State(log): State<Log>, socket: Socket| {
                log.add(format!("disconnecting {:?} {}", socket.rooms(), socket.is_connected()));
            });
            io.of("/").with_state(log.clone()).on_disconnect(
                async |State(log): State<Log>, socket: Socket, reason: DisconnectReason| {
                    log.add(format!("disconnect {:?} {} {reason}", socket.rooms(), socket.is_connected()));
                },
            );
            let mut client = rig.joined(&io);
            let reason = match how {
                "reset" => {
                    client.vanish();
                    "transport close"
                }
                "close" => {
                    client.close();
                    "transport close"
                }
                "packet" => {
                    client.send("1");
                    "client namespace disconnect"
                }
                "server" => {
                    client.event("leave", ",false");
                    "server namespace disconnect"
                }
                _ => {
                    client.event("leave", ",true");
                    "server namespace disconnect"
                }
            };
            rig.run();
            let expected = ["disconnecting [\"a\", \"b\"] true".to_owned(), format!("disconnect [] false {reason}")];
            assert_eq!(log.take(), expected, "{how}");
            assert_eq!(io.stats().memberships, 0, "{how}");
        });
    }
}

#[test]
fn disconnect_listeners_of_the_namespace_run_before_those_of_the_socket() {
    rig(|rig| {
        let (io, log) = server();
        let of_socket = log.clone();
        io.on_connect(move |socket: Socket| {
            socket.on_disconnect(note(&of_socket, "gone (socket)"));
            socket.on_disconnecting(note(&of_socket, "going (socket)"));
            ready(())
        });
        io.on_disconnect(note(&log, "gone (namespace)"));
        io.on_disconnecting(note(&log, "going (namespace)"));
        rig.joined(&io).vanish();
        let expected = ["going (namespace)", "going (socket)", "gone (namespace)", "gone (socket)"];
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn handles_never_keep_a_connection_alive() {
    rig(|rig| {
        let (io, _) = server();
        let sockets = Arc::new(std::sync::Mutex::new(Vec::new()));
        let connected = Arc::clone(&sockets);
        io.on_connect(move |socket: Socket| {
            let selection = socket.to("room");
            socket.join("room").unwrap();
            // The socket's own table holds the socket, too.
            let own = socket.clone();
            socket.on("x", move || {
                let _own = own.clone();
                ready(())
            });
            connected.lock().unwrap().push((socket, selection));
            ready(())
        });
        let idle = rig.executor.tasks();
        let mut client = rig.joined(&io);
        client.vanish();
        rig.until("the connection is gone", || client.end.is_dropped());
        let stats = io.stats();
        assert_eq!((stats.connections, stats.sids, stats.sockets, stats.rooms), (0, 0, 0, 0), "{stats:?}");
        // The task that waits for deadlines is the server's own.
        assert_eq!(rig.executor.tasks(), idle + 1);
        let (socket, selection) = sockets.lock().unwrap().remove(0);
        assert!(!socket.is_connected());
        assert_eq!(socket.emit("x", &()), Err(EmitError::NotConnected));
        assert_eq!(selection.emit("x", &()), Ok(0));
        assert_eq!((socket.transport(), socket.rooms()), (None, Vec::new()));
        assert!(socket.join("room").is_err());
    });
}

#[test]
fn a_server_without_handles_and_connections_leaves_no_task_behind() {
    rig(|rig| {
        let (io, _) = server();
        let mut client = rig.joined(&io);
        client.vanish();
        drop(io);
        rig.until("all tasks have ended", || rig.executor.tasks() == 0);
    });
}

#[test]
fn each_handler_gets_the_state_that_its_handle_was_given() {
    rig(|rig| {
        let (io, log) = server();
        let namespace = io.of("/");
        namespace.with_state((log.clone(), 1_u8)).on("x", async |State((log, n)): State<(Log, u8)>| {
            log.add(format!("a number, {n}"));
        });
        let texts = namespace.with_state((log.clone(), "text"));
        texts.on("x", async |State((log, text)): State<(Log, &'static str)>| log.add(format!("a text, {text}")));
        texts.on_connect(async |State((log, text)): State<(Log, &'static str)>| log.add(format!("connect, {text}")));
        texts.on_disconnect(async |State((log, text)): State<(Log, &'static str)>| log.add(format!("gone, {text}")));
        let mut client = rig.joined(&io);
        client.event("x", "");
        rig.run();
        client.vanish();
        assert_eq!(log.take(), ["connect, text", "a number, 1", "a text, text", "gone, text"]);
    });
}

#[test]
fn data_is_one_value_for_each_type() {
    rig(|rig| {
        let (io, log) = server();
        io.on_connect(async |socket: Socket| {
            socket.set_data(1_u8);
            socket.set_data(2_u8);
            socket.set_data("text");
        });
        io.of("/").with_state(log.clone()).on("x", async |State(log): State<Log>, socket: Socket| {
            log.add(format!("{:?} {:?} {:?}", socket.data::<u8>(), socket.data::<&str>(), socket.data::<u16>()));
        });
        let mut client = rig.joined(&io);
        client.event("x", "");
        rig.run();
        assert_eq!(log.take(), ["Some(2) Some(\"text\") None"]);
    });
}

#[test]
fn middlewares_run_in_order_before_the_connect_handler() {
    rig(|rig| {
        let (io, log) = server();
        let latch = Latch::default();
        let waiting = latch.clone();
        let namespace = io.of("/").with_state(log.clone());
        namespace.middleware(move |State(log): State<Log>, socket: Socket| {
            let waiting = waiting.clone();
            async move {
                log.add("first begins");
                waiting.wait().await;
                socket.join("room")?;
                socket.set_data(7_u32);
                log.add(format!("connected: {}", socket.is_connected()));
                log.add(format!("emit: {:?}", socket.emit("x", &())));
                log.add("first ends");
                Ok::<_, BoxError>(())
            }
        });
        namespace.middleware(async |State(log): State<Log>, handshake: Handshake| {
            log.add(format!("second: {:?}", handshake.auth::<Option<(u8,)>>().is_err()));
        });
        namespace.on_connect(async |State(log): State<Log>, socket: Socket| {
            log.add(format!("connect: {:?} {:?}", socket.rooms(), socket.data::<u32>()));
        });
        let mut client = rig.open(&io);
        client.send("0{\"token\":1}");
        client.expect_nothing();
        assert_eq!(log.take(), ["first begins"]);
        assert_eq!(io.stats().sockets, 0);
        latch.open();
        assert!(client.packet().starts_with("0{\"sid\""));
        let not_connected = Err::<(), _>(EmitError::NotConnected);
        assert_eq!(
            log.take(),
            [
                "connected: false".to_owned(),
                format!("emit: {not_connected:?}"),
                "first ends".to_owned(),
                "second: true".to_owned(),
                "connect: [\"room\"] Some(7)".to_owned(),
            ]
            .into_iter()
            .collect::<Vec<_>>()
        );
        client.expect_nothing();
    });
}

#[test]
fn a_middleware_refuses_with_a_message_and_data() {
    rig(|rig| {
        let (io, log) = server();
        let faults = faults(&io);
        #[derive(serde::Deserialize)]
        struct Auth {
            way: String,
        }
        io.middleware(async |socket: Socket, handshake: Handshake| -> Result<(), BoxError> {
            socket.join("room")?;
            match handshake.auth::<Auth>()?.way.as_str() {
                "text" => Err("only a text".into()),
                "data" => Err(ConnectError::with_data("with data", &("retry", 5))?.into()),
                "io" => Err(std::io::Error::other("an error of another type").into()),
                "panic" => panic!("secret"),
                _ => Ok(()),
            }
        });
        io.middleware(note(&log, "second middleware"));
        io.on_connect(note(&log, "connect"));
        io.on_disconnect(note(&log, "disconnect"));
        let mut client = rig.open(&io);
        for (auth, answer) in [
            ("text", r#"{"message":"only a text"}"#),
            ("data", r#"{"message":"with data","data":["retry",5]}"#),
            ("io", r#"{"message":"an error of another type"}"#),
            // What went wrong is nobody's business outside.
            ("panic", r#"{"message":"internal error"}"#),
        ] {
            client.send(&format!("0{{\"way\":\"{auth}\"}}"));
            client.expect(&format!("4{answer}"));
            let stats = io.stats();
            assert_eq!((stats.pending_sockets, stats.sockets, stats.memberships), (0, 0, 0), "{stats:?}");
        }
        assert_eq!(log.take(), [""; 0]);
        assert_eq!(faults.take(), ["panicked in None: panicked: secret"]);
        client.send("0{\"way\":\"in\"}");
        assert!(client.packet().starts_with("0{\"sid\""));
        assert_eq!(log.take(), ["second middleware", "connect"]);
    });
}

#[test]
fn a_client_that_leaves_during_a_middleware_is_not_connected() {
    rig(|rig| {
        let (io, log) = server();
        let latch = Latch::default();
        let waiting = latch.clone();
        io.middleware(move |socket: Socket| {
            let waiting = waiting.clone();
            async move {
                socket.join("room")?;
                waiting.wait().await;
                Ok::<_, BoxError>(())
            }
        });
        io.on_connect(note(&log, "connect"));
        io.on_disconnect(note(&log, "disconnect"));
        let mut client = rig.open(&io);
        client.send("0");
        rig.run();
        assert_eq!(io.stats().pending_sockets, 1);
        client.vanish();
        latch.open();
        rig.run();
        assert_eq!(log.take(), [""; 0]);
        let stats = io.stats();
        assert_eq!((stats.connections, stats.pending_sockets, stats.memberships), (0, 0, 0), "{stats:?}");
    });
}
