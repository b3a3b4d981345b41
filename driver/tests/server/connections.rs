//! The life of a socket: middlewares, connecting, disconnecting, and what it leaves behind.

use std::{future::ready, sync::Arc, time::Duration};

use sockeye_driver::{
    Ack, AckSendError, Args, BoxError, Config, ConnectError, DisconnectReason, EmitError, Handshake, Server, Socket,
    State,
};

use crate::support::{Latch, Log, World, faults, note, rig, yield_now};

/// A server whose `/` has a log as its state, and the connected sockets in it.
fn server() -> (Server, Log) {
    (Server::new(Config::default()), Log::default())
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
fn the_time_of_a_handshake_stays() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (_client, socket) = world.joined(&rig, 4096);
        let (first, handshake) = (socket.handshake().time(), socket.handshake());
        for _ in 0..100 {
            assert_eq!((socket.handshake().time(), handshake.time()), (first, first));
        }
        let (_later, socket) = world.joined(&rig, 4096);
        assert!(socket.handshake().time() >= first);
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

/// Nothing but its own deadlines wakes the owner of such a session: a client that opens it and does no more.
#[test]
fn a_session_that_is_left_alone_after_its_handshake_ends() {
    rig(|rig| {
        let time = Duration::from_millis(10);
        let io = Server::new(Config { ping_interval: time, ping_timeout: time, ..Config::default() });
        let _client = rig.poller(&io);
        assert_eq!(io.stats().connections, 1);
        rig.until("the session is gone", || io.stats().connections == 0);
    });
}

/// Long before the next deadline of the session, which would wake its owner too.
#[test]
fn a_request_that_its_head_condemns_is_answered_without_its_body() {
    rig(|rig| {
        let io = Server::new(Config { ping_interval: Duration::from_secs(1_000), ..Config::default() });
        let mut client = rig.poller(&io);
        rig.run();
        client.posts.send("POST", &client.target, "Content-Length: 1000001\r\n", "");
        assert_eq!(client.posts.reply().status, 413);
        rig.until("the session is gone", || io.stats().connections == 0);
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

/// A listener that comes too late must not keep what it captured: here its own socket.
#[test]
fn a_listener_that_is_registered_after_the_disconnect_is_dropped() {
    rig(|rig| {
        let (io, _) = server();
        let latch = Latch::default();
        let (waiting, captured) = (latch.clone(), Arc::new(()));
        let kept = Arc::downgrade(&captured);
        io.on_connect(move |socket: Socket| {
            let (waiting, captured) = (waiting.clone(), Arc::clone(&captured));
            async move {
                waiting.wait().await;
                let own = socket.clone();
                socket.on("x", move || {
                    let _kept = (own.clone(), Arc::clone(&captured));
                    ready(())
                });
            }
        });
        let mut client = rig.joined(&io);
        client.vanish();
        rig.until("the connection is gone", || client.end.is_dropped());
        latch.open();
        rig.run();
        // The handler of connections itself has one.
        assert_eq!(kept.strong_count(), 1);
    });
}

#[test]
fn a_socket_that_is_refused_or_leaves_during_a_middleware_is_forgotten_with_its_listeners() {
    for leaves in [false, true] {
        rig(move |rig| {
            let (io, _) = server();
            let latch = Latch::default();
            let (waiting, captured) = (latch.clone(), Arc::new(()));
            let kept = Arc::downgrade(&captured);
            io.of("/").middleware(move |socket: Socket| {
                let (waiting, captured) = (waiting.clone(), Arc::clone(&captured));
                async move {
                    let own = socket.clone();
                    socket.on("x", move || {
                        let _kept = (own.clone(), Arc::clone(&captured));
                        ready(())
                    });
                    waiting.wait().await;
                    Err::<(), _>("not today")
                }
            });
            let mut client = rig.open(&io);
            client.send("0");
            rig.run();
            assert_eq!(kept.strong_count(), 2, "the middleware's and the listener's");
            if leaves {
                client.vanish();
                rig.run();
            }
            latch.open();
            rig.run();
            assert_eq!(kept.strong_count(), 1);
        });
    }
}
