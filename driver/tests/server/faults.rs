//! Handlers that fail: who hears of it, and that their connection lives.

use sockeye_driver::{Args, BoxError, Config, Server, Socket};

use crate::support::{Log, faults, note, rig, yield_now};

/// A server whose `/` has a log as its state, and the connected sockets in it.
fn server() -> (Server, Log) {
    (Server::new(Config::default()), Log::default())
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
