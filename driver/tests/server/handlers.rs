//! Handlers: which run, when, and with what.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use sockeye_driver::{Ack, AckSendError, Args, Config, EventName, Handshake, Server, Socket, State, Value, Values};

use crate::support::{Latch, Log, note, rig, yield_now};

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
fn what_is_read_while_a_handler_waits_is_looked_at_after_that_handler() {
    rig(|rig| {
        let (io, log) = server();
        io.of("/").with_state(log.clone()).on("leave", async |State(log): State<Log>, socket: Socket| {
            yield_now().await;
            log.add("leaves");
            socket.disconnect(false);
        });
        io.of("/").on("late", note(&log, "late"));
        let mut client = rig.joined_with(&io, 1024 * 1024);
        // More than one read takes: the end of the second event is read while the first one's handler is about to go on.
        client.event("leave", "");
        client.event("late", &format!(",\"{}\"", "x".repeat(300 * 1024)));
        rig.run();
        assert_eq!(log.take(), ["leaves"]);
    });
}

#[test]
fn what_is_read_when_a_deadline_has_come_is_looked_at_after_handlers_in_flight() {
    rig(|rig| {
        let interval = Duration::from_millis(200);
        let config = Config { ping_interval: interval, ..Config::default() };
        let (io, log, latch) = (Server::new(config), Log::default(), Latch::default());
        let waiting = latch.clone();
        io.of("/").with_state(log.clone()).on("leave", move |State(log): State<Log>, socket: Socket| {
            let waiting = waiting.clone();
            async move {
                waiting.wait().await;
                log.add("leaves");
                socket.disconnect(false);
            }
        });
        io.of("/").on("late", note(&log, "late"));
        let mut client = rig.joined(&io);
        client.event("leave", "");
        rig.run();
        assert_eq!(log.take(), [""; 0]);
        // The deadline of the ping is over when its task is polled next.
        thread::sleep(2 * interval);
        client.event("late", "");
        latch.open();
        rig.run();
        assert_eq!(log.take(), ["leaves"]);
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
