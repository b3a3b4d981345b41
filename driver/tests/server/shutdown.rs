//! The end of a server, of its connections, and of what they hold.

use std::{
    collections::VecDeque,
    future::{Ready, pending, ready},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use sockeye_driver::{
    Config, DisconnectReason, EmitError, EngineServer, Limits, Listener, Serve, Server, Socket, State, Stats,
};

use crate::support::{CAPACITY, ClientEnd, Counted, Latch, Log, Rig, ServerEnd, Wire, pipe, rig, yield_now};

const LONG: Duration = Duration::from_secs(60);

/// Starts a shutdown; the log says when it is over.
fn shut_down(rig: &Rig, io: &Server, deadline: Duration) -> Log {
    let (done, io) = (Log::default(), io.clone());
    let over = done.clone();
    rig.start(async move {
        io.shutdown(deadline).await;
        over.add("over");
    });
    rig.run();
    done
}

/// What a server has that nobody is connected to.
fn nothing(namespaces: usize) -> Stats {
    let mut stats = Stats::default();
    stats.namespaces = namespaces;
    stats
}

#[test]
fn a_server_that_never_served_shuts_down_at_once() {
    rig(|rig| {
        let io = Server::new(Config::default());
        assert_eq!(shut_down(&rig, &io, LONG).take(), ["over"]);
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn idle_clients_are_told_why_and_closed() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let log = Log::default();
        io.of("/")
            .with_state(log.clone())
            .on_disconnect(async |State(log): State<Log>, reason: DisconnectReason| log.add(reason.to_string()));
        let mut clients: Vec<_> = (0..3).map(|_| rig.joined(&io)).collect();
        let done = shut_down(&rig, &io, LONG);
        assert_eq!(log.take(), ["server shutting down"; 3]);
        assert_eq!(done.take(), [""; 0], "the clients have not closed their side");
        for client in &mut clients {
            client.expect_closed();
            assert!(client.closed.is_some(), "without a close frame");
        }
        rig.until("the end", || done.has("over"));
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn what_was_sent_before_still_arrives() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let mut client = rig.joined_with(&io, 1_000);
        for n in 0..1_000 {
            io.emit("n", &n).unwrap();
        }
        let done = shut_down(&rig, &io, LONG);
        for n in 0..1_000 {
            client.expect(&format!("2[\"n\",{n}]"));
        }
        client.expect_closed();
        rig.until("the end", || done.has("over"));
    });
}

#[test]
fn clients_that_poll_are_answered() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let (mut waiting, mut away) = (rig.poller(&io), rig.poller(&io));
        waiting.join();
        away.join();
        waiting.poll();
        rig.run();
        let done = shut_down(&rig, &io, Duration::from_millis(50));
        let reply = waiting.gets.reply();
        assert_eq!((reply.status, &*reply.body), (200, "1"), "{reply:?}");
        // The other one has no request that could be answered: its time is over at the deadline.
        rig.until("the end", || done.has("over"));
        for wire in [&waiting.gets, &waiting.posts, &away.gets, &away.posts] {
            assert!(wire.end.is_dropped());
        }
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn new_sessions_get_503_until_the_end_and_after_it() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let mut client = rig.joined(&io);
        let done = shut_down(&rig, &io, LONG);
        let refused = || {
            for target in ["/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"] {
                let mut wire = rig.connect(&io);
                let upgrade = if target.ends_with("websocket") {
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                } else {
                    ""
                };
                wire.send("GET", target, upgrade, "");
                let reply = wire.reply();
                assert_eq!(reply.status, 503, "{reply:?}");
                assert!(reply.head.contains("connection: close"), "{reply:?}");
                rig.until("the connection's end", || wire.end.is_dropped());
            }
        };
        refused();
        assert_eq!(done.take(), [""; 0], "a client is left");
        client.expect_closed();
        rig.until("the end", || done.has("over"));
        // Whoever brings connections may not have heard.
        refused();
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn a_client_that_polls_learns_of_the_end_when_it_comes_back() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let mut client = rig.poller(&io);
        client.join();
        let done = shut_down(&rig, &io, LONG);
        assert_eq!(done.take(), [""; 0], "the client is waited for");
        assert_eq!(client.get(), ["1"]);
        rig.until("the end", || done.has("over"));
        assert!(client.gets.end.is_dropped() && client.posts.end.is_dropped());
    });
}

#[test]
fn handlers_that_return_in_time_complete() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let (log, latch) = (Log::default(), Latch::default());
        let waiting = latch.clone();
        io.of("/").with_state(log.clone()).on("work", move |State(log): State<Log>, socket: Socket| {
            let waiting = waiting.clone();
            async move {
                waiting.wait().await;
                yield_now().await;
                assert_eq!(socket.emit("x", &()), Err(EmitError::NotConnected));
                log.add("work is done");
            }
        });
        let late = latch.clone();
        io.of("/").with_state(log.clone()).on_disconnect(move |State(log): State<Log>| {
            let late = late.clone();
            async move {
                late.wait().await;
                log.add("disconnect is done");
            }
        });
        let mut client = rig.joined(&io);
        client.event("work", "");
        rig.run();
        let done = shut_down(&rig, &io, LONG);
        client.expect_closed();
        rig.run();
        assert_eq!((done.take(), log.take()), (vec![], vec![]));
        latch.open();
        rig.until("the end", || done.has("over"));
        let mut lines = log.take();
        lines.sort();
        assert_eq!(lines, ["disconnect is done", "work is done"]);
    });
}

/// A handler `work` that never returns, and how many of them there are.
fn never_returns(io: &Server) -> Counted {
    let counted = Counted::default();
    let counting = counted.clone();
    io.on("work", move || {
        let held = counting.make();
        async move {
            pending::<()>().await;
            drop(held);
        }
    });
    counted
}

#[test]
fn handlers_that_do_not_return_end_at_the_deadline() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let counted = never_returns(&io);
        let mut client = rig.joined(&io);
        client.event("work", "");
        rig.run();
        assert_eq!(counted.left(), 1);
        let done = shut_down(&rig, &io, Duration::from_millis(20));
        rig.until("the end", || done.has("over"));
        assert_eq!(counted.left(), 0);
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn handlers_of_connections_that_are_closed_by_then_end_at_the_deadline_too() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let counted = never_returns(&io);
        let mut client = rig.joined(&io);
        client.event("work", "");
        rig.run();
        let done = shut_down(&rig, &io, Duration::from_millis(100));
        // The client closes in order, and nothing of the connection is left but the handler.
        client.expect_closed();
        rig.until("the end", || done.has("over"));
        assert_eq!(counted.left(), 0);
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn handlers_of_connections_that_were_gone_before_end_at_the_deadline_too() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let counted = never_returns(&io);
        let mut client = rig.joined(&io);
        client.event("work", "");
        rig.run();
        client.vanish();
        assert_eq!((counted.left(), io.stats().connections), (1, 0));
        let done = shut_down(&rig, &io, Duration::from_millis(20));
        assert_eq!(done.take(), [""; 0], "the handler runs");
        rig.until("the end", || done.has("over"));
        assert_eq!(counted.left(), 0);
    });
}

#[test]
fn a_peer_that_does_not_take_its_last_bytes_does_not_keep_the_server() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let client = rig.joined_with(&io, 200);
        for n in 0..100 {
            io.emit("n", &n).unwrap();
        }
        rig.run();
        let done = shut_down(&rig, &io, Duration::from_millis(20));
        rig.until("the end", || done.has("over"));
        assert!(client.end.is_dropped());
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn a_deadline_of_no_time_ends_everything_at_once() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let counted = never_returns(&io);
        let sockets = Arc::new(Mutex::new(Vec::new()));
        let connected = Arc::clone(&sockets);
        io.on_connect(move |socket: Socket| {
            socket.join("room").unwrap();
            connected.lock().unwrap().push(socket);
            ready(())
        });
        let mut client = rig.joined(&io);
        let poller = rig.poller(&io);
        poller.poll();
        client.event("work", "");
        rig.run();
        let done = shut_down(&rig, &io, Duration::ZERO);
        rig.until("the end", || done.has("over"));
        assert_eq!(counted.left(), 0);
        assert_eq!(io.stats(), nothing(1));
        assert!(client.end.is_dropped() && poller.gets.end.is_dropped());
        let socket = sockets.lock().unwrap().remove(0);
        assert!(!socket.is_connected());
        assert_eq!((socket.emit("x", &()), socket.rooms()), (Err(EmitError::NotConnected), vec![]));
    });
}

#[test]
fn everything_is_dropped_after_it() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let counted = Counted::default();
        let holding = || {
            // A handle of the server, too: the two would keep each other for ever.
            let held = Arc::new((counted.make(), io.clone()));
            move || {
                let _held = Arc::clone(&held);
                ready(())
            }
        };
        io.middleware(holding());
        io.on_connect(holding());
        io.on("x", holding());
        io.of("/other").on("x", holding());
        io.on_disconnecting(holding());
        io.on_disconnect(holding());
        let held = holding();
        io.on_any(move |_| drop(held()));
        let held = holding();
        io.on_any_outgoing(move |_| drop(held()));
        let held = holding();
        io.on_error(move |_| drop(held()));
        let held = counted.clone();
        io.on_connect(move |socket: Socket| {
            socket.set_data(held.make());
            let (own, held) = (socket.clone(), Arc::new(held.make()));
            socket.on("x", move || {
                let _held = (own.clone(), Arc::clone(&held));
                ready(())
            });
            ready(())
        });
        let mut client = rig.joined(&io);
        assert_eq!(counted.left(), 11);
        let done = shut_down(&rig, &io, LONG);
        client.expect_closed();
        rig.until("the end", || done.has("over"));
        assert_eq!(counted.left(), 0);
        assert_eq!(io.stats(), nothing(2));
        drop(io);
        rig.until("all tasks have ended", || rig.executor.tasks() == 0);
    });
}

#[test]
fn two_at_once_and_one_after_both_end() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let mut client = rig.joined(&io);
        let (one, two) = (shut_down(&rig, &io, LONG), shut_down(&rig, &io, LONG));
        client.expect_closed();
        rig.until("both ends", || one.has("over") && two.has("over"));
        assert_eq!(shut_down(&rig, &io, LONG).take(), ["over"]);
    });
}

#[test]
fn a_handler_may_shut_the_server_down() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let (log, down) = (Log::default(), io.clone());
        io.of("/").with_state(log.clone()).on("stop", move |State(log): State<Log>| {
            let io = down.clone();
            async move {
                log.add("begins");
                // It waits for this very handler, so the deadline ends both.
                io.shutdown(Duration::from_millis(20)).await;
                log.add("ends");
            }
        });
        let mut client = rig.joined(&io);
        client.event("stop", "");
        rig.until("the end of the connection", || {
            client.read();
            client.end.is_dropped() && io.stats() == nothing(1)
        });
        assert!(log.has("begins"));
    });
}

/// Where a test's connections come from.
#[derive(Clone, Default)]
struct Harbour(Arc<Mutex<Quay>>);

#[derive(Default)]
struct Quay {
    arrived: VecDeque<io::Result<ServerEnd>>,
    waker: Option<Waker>,
}

impl Harbour {
    fn connect(&self, rig: &Rig) -> Wire {
        let (stream, end) = pipe(CAPACITY);
        self.arrive(Ok(stream));
        Wire::new(rig.clone(), end)
    }

    fn arrive(&self, arrival: io::Result<ServerEnd>) {
        let waker = {
            let mut inner = self.0.lock().unwrap();
            inner.arrived.push_back(arrival);
            inner.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Listener for Harbour {
    type Stream = ServerEnd;
    type Handshake = Ready<io::Result<ServerEnd>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        let mut inner = self.0.lock().unwrap();
        match inner.arrived.pop_front() {
            Some(Ok(stream)) => Poll::Ready(Ok((ready(Ok(stream)), ([192, 0, 2, 1], 4711).into()))),
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([192, 0, 2, 2], 3000).into())
    }
}

#[test]
fn a_listener_is_let_go_and_closed_says_so() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let (harbour, log) = (Harbour::default(), Log::default());
        let listening = io.serve(Arc::clone(&rig.runtime), harbour.clone()).unwrap();
        assert_eq!(listening.local_addr(), ([192, 0, 2, 2], 3000).into());
        let (closed, waits) = (log.clone(), listening.clone());
        rig.start(async move {
            waits.closed().await;
            closed.add("closed");
        });
        // An error of one connection is not the end.
        harbour.arrive(Err(io::Error::other("too many files")));
        let mut client = harbour.connect(&rig).websocket("/socket.io/?EIO=4&transport=websocket");
        client.join("/");
        let stops = listening.clone();
        let stopped = rig.start(async move { stops.shutdown(LONG).await });
        // It accepts on, so that whoever comes is told.
        let mut told = harbour.connect(&rig);
        told.send("GET", "/socket.io/?EIO=4&transport=polling", "", "");
        assert_eq!(told.reply().status, 503);
        assert_eq!(log.take(), [""; 0]);
        client.expect_closed();
        rig.until("the end", || log.has("closed") && stopped.is_ready());
        assert_eq!(Arc::strong_count(&harbour.0), 1, "the listener is still there");
        let late = harbour.connect(&rig);
        late.send("GET", "/socket.io/?EIO=4&transport=polling", "", "");
        rig.run();
        assert_eq!(late.end.arrived(), 0, "nobody accepts it");
        // Whoever asks afterwards is told at once.
        rig.wait("closed, again", async move { listening.closed().await });
    });
}

/// HTTP connections in every state but that of a WebSocket.
fn http_connections(rig: &Rig, io: &Server) -> Vec<(&'static str, ClientEnd)> {
    let mut served = rig.connect(io);
    served.send("GET", "/elsewhere", "", "");
    assert_eq!(served.reply().status, 404);
    let silent = rig.connect(io);
    rig.run();
    vec![("served", served.end), ("silent", silent.end)]
}

#[test]
fn idle_http_connections_are_closed_by_a_shutdown() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let connections = http_connections(&rig, &io);
        let done = shut_down(&rig, &io, LONG);
        rig.until("the end", || done.has("over"));
        for (name, end) in connections {
            assert!(end.is_dropped(), "{name}");
        }
    });
}

#[test]
fn idle_http_connections_are_closed_after_keep_alive() {
    rig(|rig| {
        let limits = Limits {
            keep_alive: Duration::from_millis(20),
            header_timeout: Duration::from_millis(20),
            ..Limits::default()
        };
        let io = Server::new(Config { limits, ..Config::default() });
        let connections = http_connections(&rig, &io);
        for (name, end) in connections {
            rig.until(name, || end.is_dropped());
            assert_eq!(end.arrived(), 0, "{name} is told nothing");
        }
    });
}

#[test]
fn a_head_that_dribbles_is_answered_with_408() {
    rig(|rig| {
        let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::default() };
        let io = Server::new(Config { limits, ..Config::default() });
        let mut wire = rig.connect(&io);
        wire.end.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: te");
        assert_eq!(wire.reply().status, 408);
        rig.until("the connection's end", || wire.end.is_dropped());
        assert_eq!(io.stats(), nothing(1));
    });
}

#[test]
fn an_http_connection_whose_poll_waits_is_not_idle() {
    rig(|rig| {
        let keep_alive = Duration::from_millis(20);
        let limits = Limits { keep_alive, header_timeout: keep_alive, ..Limits::default() };
        let io = Server::new(Config { limits, ..Config::default() });
        let mut client = rig.poller(&io);
        client.join();
        client.poll();
        rig.run();
        rig.until("the other connection's end", || client.posts.end.is_dropped());
        rig.wait("some time", rig.runtime.sleep(5 * keep_alive));
        io.emit("x", &()).unwrap();
        assert_eq!(client.gets.reply().body, "42[\"x\"]");
    });
}

#[test]
fn an_http_connection_is_not_idle_while_its_answer_is_taken() {
    rig(|rig| {
        let keep_alive = Duration::from_secs(1);
        let limits = Limits { keep_alive, ..Limits::default() };
        let io = Server::new(Config { limits, ..Config::default() });
        let mut client = crate::support::Poller::new(rig.connect_with(&io, 1_000), rig.connect(&io));
        client.join();
        io.emit("x", &"x".repeat(30_000)).unwrap();
        client.poll();
        rig.run();
        // Thirty parts, which take longer than the time of a connection that does nothing.
        let mut count = 0;
        while count < 30_000 {
            rig.wait("a moment", rig.runtime.sleep(keep_alive / 20));
            let part = client.gets.end.read(1_000).len();
            assert_ne!(part, 0, "it ends behind {count} bytes");
            count += part;
        }
        // One that takes no more of its answer does nothing either.
        client.poll();
        io.emit("x", &"x".repeat(30_000)).unwrap();
        rig.until("the connection's end", || client.gets.end.is_dropped());
        assert_eq!(client.gets.end.arrived(), 1_000);
    });
}

/// A connection with a session whose POST is refused by its head alone.
fn refused(rig: &Rig, close_timeout: Duration) -> Wire {
    let limits = Limits { max_payload: 100_000, close_timeout, ..Limits::default() };
    let io = Server::new(Config { limits, ..Config::default() });
    let client = rig.poller(&io);
    let mut wire = client.posts;
    let head = format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n", client.target);
    wire.end.write(head.as_bytes());
    assert_eq!(wire.reply().status, 413);
    rig.run();
    assert!(wire.end.is_ended() && !wire.end.is_dropped(), "it would be reset");
    wire
}

#[test]
fn a_body_that_is_not_wanted_is_read_until_its_end() {
    rig(|rig| {
        let wire = refused(&rig, Duration::from_secs(60));
        for _ in 0..3 {
            wire.end.write(&[b'4'; 100_000]);
            rig.run();
            assert_eq!((wire.end.unread(), wire.end.is_dropped()), (0, false));
        }
        wire.end.end();
        rig.until("the connection's end", || wire.end.is_dropped());
    });
}

#[test]
fn a_body_that_is_not_wanted_is_read_neither_for_long_nor_without_a_bound() {
    rig(|rig| {
        let wire = refused(&rig, Duration::from_millis(20));
        rig.until("the connection's end", || wire.end.is_dropped());

        let wire = refused(&rig, Duration::from_secs(60));
        wire.end.write(&[b'4'; 1_000_000]);
        rig.until("the connection's end", || wire.end.is_dropped());
    });
}

#[test]
fn an_engine_server_shuts_down_like_the_other() {
    rig(|rig| {
        let engine = EngineServer::new(Config::default());
        let (log, sockets) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&sockets);
        engine.on_connection(move |socket| {
            kept.lock().unwrap().push(socket);
            pending::<()>()
        });
        let mut client = rig.open(&engine);
        let poller = rig.poller(&engine);
        poller.poll();
        let (stops, over) = (engine.clone(), log.clone());
        rig.start(async move {
            stops.shutdown(Duration::from_millis(50)).await;
            over.add("over");
        });
        rig.run();
        client.expect_closed();
        rig.until("the end", || log.has("over"));
        assert_eq!(engine.stats(), Stats::default());
        assert!(poller.gets.end.is_dropped());
        for socket in sockets.lock().unwrap().iter() {
            assert_eq!(socket.close_reason().unwrap().to_string(), "server shutting down");
        }
    });
}

#[test]
fn a_connection_is_idle_after_a_body_that_came_behind_its_head() {
    rig(|rig| {
        let header_timeout = Duration::from_millis(20);
        let limits = Limits { header_timeout, ..Limits::default() };
        let io = Server::new(Config { limits, ..Config::default() });
        let client = rig.poller(&io);
        let mut wire = client.posts;
        let open = format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n", client.target);
        wire.end.write(open.as_bytes());
        rig.run();
        wire.end.write(b"40");
        assert_eq!(wire.reply().body, "ok");
        rig.wait("some time", rig.runtime.sleep(5 * header_timeout));
        assert_eq!((wire.end.arrived(), wire.end.is_dropped()), (0, false));
    });
}
