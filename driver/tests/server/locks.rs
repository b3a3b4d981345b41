//! No lock is held while user code runs: whatever of an application the driver calls, writes, reads or drops may call the
//! server back. Each test hangs, and fails for that, where it may not.

use std::{
    cell::Cell,
    future::{Future as _, poll_fn, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sockeye_driver::{Ack, AckError, Args, BoxError, Config, EmitError, Limits, Serve as _, Server, Socket};

use crate::support::{Client, Drops, Log, Rig, rig};

/// A server, whatever sockets are connected to it, and what called back.
#[derive(Clone)]
struct World {
    io: Server,
    sockets: Arc<Mutex<Vec<Socket>>>,
    log: Log,
}

impl World {
    fn new(config: Config) -> Self {
        let world = Self { io: Server::new(config), sockets: Arc::default(), log: Log::default() };
        let sockets = Arc::clone(&world.sockets);
        world.io.on_connect(move |socket: Socket| {
            sockets.lock().unwrap().push(socket);
            ready(())
        });
        world
    }

    fn joined(&self, rig: &Rig) -> (Client, Socket) {
        let client = rig.joined(&self.io);
        let socket = self.sockets.lock().unwrap().last().unwrap().clone();
        (client, socket)
    }

    /// Calls everything that takes a lock, for the server and for every socket, and notes who did.
    fn call_back(&self, who: &str) {
        let Self { io, sockets, log } = self;
        let _ = io.emit("x", &());
        let _ = io.to("room").except("nobody").emit("x", &());
        io.sockets_join("room");
        io.sockets_leave("room");
        io.of("/new").off_all("nothing");
        io.off(io.on("nothing", async || {}));
        let _ = io.stats();
        let sockets = sockets.lock().unwrap().clone();
        for socket in sockets {
            let _ = socket.emit("x", &());
            drop(socket.emit_with_ack::<()>("x", &()));
            let _ = socket.emit_then("x", &(), |_: Result<(), _>| {});
            let _ = socket.broadcast().emit("x", &());
            let _ = socket.join("room");
            socket.leave("room");
            let _ = (socket.rooms(), socket.transport(), socket.data::<u8>(), socket.handshake().time());
            socket.set_data(1_u8);
            socket.off(socket.on("nothing", async || {}));
            socket.off_all("nothing");
            socket.set_queue_policy(sockeye_driver::QueuePolicy::Error);
        }
        log.add(who);
    }

    /// Something that calls back when it is dropped.
    fn captured(&self, who: &'static str) -> Drops {
        let world = self.clone();
        Drops::new(move || world.call_back(who))
    }

    #[track_caller]
    fn assert_called(&self, who: &str) {
        assert!(self.log.has(who), "{who} was not called: {:?}", self.log.take());
    }
}

fn world() -> World {
    World::new(Config::default())
}

#[test]
fn while_handlers_run() {
    rig(|rig| {
        let world = world();
        let handler = |who: &'static str| {
            let world = world.clone();
            move || {
                let world = world.clone();
                async move {
                    world.call_back(who);
                    crate::support::yield_now().await;
                    world.call_back(who);
                }
            }
        };
        world.io.middleware(handler("middleware"));
        world.io.on_connect(handler("connect"));
        world.io.on("event", handler("event"));
        world.io.on_disconnecting(handler("disconnecting"));
        world.io.on_disconnect(handler("disconnect"));
        let (mut client, _) = world.joined(&rig);
        client.event("event", "");
        rig.run();
        client.vanish();
        for who in ["middleware", "connect", "event", "disconnecting", "disconnect"] {
            let count = world.log.count(who);
            assert_eq!(count, 2, "{who}");
        }
    });
}

#[test]
fn while_listeners_without_futures_run() {
    rig(|rig| {
        let world = world();
        let guard = Arc::new(AtomicBool::new(false));
        let calling = |who: &'static str| {
            let (world, guard) = (world.clone(), Arc::clone(&guard));
            move || {
                // An emit in here comes here again.
                if !guard.swap(true, Ordering::SeqCst) {
                    world.call_back(who);
                    guard.store(false, Ordering::SeqCst);
                }
            }
        };
        let (mut client, socket) = world.joined(&rig);
        let call = calling("on_any of the namespace");
        world.io.on_any(move |_| call());
        let call = calling("on_any of the socket");
        socket.on_any(move |_| call());
        let call = calling("on_error");
        world.io.on_error(move |_| call());
        world.io.on("fail", async || Err::<(), _>("on purpose"));
        client.event("fail", "");
        rig.run();
        let call = calling("on_any_outgoing of the namespace");
        world.io.on_any_outgoing(move |_| call());
        world.io.emit("x", &()).unwrap();
        let call = calling("on_any_outgoing of the socket");
        socket.on_any_outgoing(move |_| call());
        guard.store(true, Ordering::SeqCst);
        socket.emit("x", &()).unwrap();
        guard.store(false, Ordering::SeqCst);
        socket.emit("x", &()).unwrap();
        for who in [
            "on_any of the namespace",
            "on_any of the socket",
            "on_error",
            "on_any_outgoing of the namespace",
            "on_any_outgoing of the socket",
        ] {
            world.assert_called(who);
        }
    });
}

/// Calls back whenever it is written.
struct Calling(World, &'static str);

impl Serialize for Calling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.call_back(self.1);
        serializer.serialize_str(self.1)
    }
}

#[test]
fn while_arguments_are_written() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        let calling = |who| Calling(world.clone(), who);
        socket.emit("x", &calling("emit")).unwrap();
        world.io.emit("x", &calling("broadcast")).unwrap();
        socket.emit_then("x", &calling("emit_then"), |_: Result<(), _>| {}).unwrap();
        drop(socket.emit_with_ack::<()>("x", &calling("emit_with_ack")));
        let waits = (socket.clone(), calling("emit_wait"));
        rig.wait("emit_wait", async move { waits.0.emit_wait("x", &waits.1).await }).unwrap();
        let acks = world.clone();
        world.io.on("ack", move |ack: Ack| ready(ack.send(&Calling(acks.clone(), "ack"))));
        client.send("20[\"ack\"]");
        rig.run();
        for who in ["emit", "broadcast", "emit_then", "emit_with_ack", "emit_wait", "ack"] {
            world.assert_called(who);
        }
    });
}

thread_local! {
    static WORLD: std::cell::RefCell<Option<World>> = const { std::cell::RefCell::new(None) };
}

/// Calls back whenever it is read.
struct Read;

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        let world = WORLD.with(|world| world.borrow().clone()).unwrap();
        world.call_back(&text);
        Ok(Self)
    }
}

#[test]
fn while_arguments_are_read() {
    rig(|rig| {
        let world = world();
        WORLD.with(|place| *place.borrow_mut() = Some(world.clone()));
        world.io.on("event", async |Args(_): Args<Read>| {});
        let (mut client, socket) = world.joined(&rig);
        client.event("event", ",\"arguments\"");
        rig.run();
        socket.emit_then("x", &(), |_: Result<Read, _>| {}).unwrap();
        let answer = rig.start(socket.emit_with_ack::<Read>("x", &()));
        rig.run();
        while let Some(packet) = client.try_message() {
            if let Some(id) = packet.strip_prefix("42").and_then(|rest| rest.strip_suffix("[\"x\"]"))
                && !id.is_empty()
            {
                client.send(&format!("3{id}[\"answer\"]"));
            }
        }
        rig.until("the answer", || answer.is_ready());
        world.assert_called("arguments");
        assert!(world.log.count("answer") >= 2);
    });
}

#[test]
fn while_callbacks_of_acknowledgements_run() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        let ask = |timeout: Duration, expected: &'static str| {
            let world = world.clone();
            let callback = move |answer: Result<u32, AckError>| {
                world.call_back(expected);
                let answer = answer.map(drop);
                let name = match answer {
                    Ok(()) => "answer",
                    Err(AckError::Timeout) => "timeout",
                    Err(AckError::Disconnected) => "disconnected",
                    Err(_) => "another",
                };
                assert_eq!(name, expected);
            };
            socket.timeout(timeout).emit_then("ask", &(), callback).unwrap();
        };
        let long = Duration::from_secs(60);
        ask(long, "answer");
        client.expect("20[\"ask\"]");
        client.send("30[1]");
        rig.run();
        ask(Duration::from_millis(1), "timeout");
        rig.until("the timeout", || world.log.has("timeout"));
        ask(long, "disconnected");
        client.vanish();
        for who in ["answer", "timeout", "disconnected"] {
            world.assert_called(who);
        }
    });
}

/// A task whose waker calls back, too: an executor may do what it likes when it is told.
struct CallingWaker {
    world: World,
    /// The next time.
    calls: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for CallingWaker {
    fn wake(self: Arc<Self>) {
        if self.calls.swap(false, Ordering::SeqCst) {
            self.world.call_back("waker");
        }
        let task = self.task.lock().unwrap().clone();
        task.into_iter().for_each(Waker::wake);
    }
}

#[test]
fn while_requests_are_answered() {
    rig(|rig| {
        let world = world();
        let (stream, end) = crate::support::pipe(crate::support::CAPACITY);
        let peer = sockeye_driver::Peer { address: None, secure: false };
        let mut serving = Box::pin(world.io.serve_connection(&rig.runtime, stream, peer));
        let calling =
            Arc::new(CallingWaker { world: world.clone(), calls: AtomicBool::new(false), task: Mutex::default() });
        let (waker, calls) = (Waker::from(Arc::clone(&calling)), Arc::clone(&calling));
        rig.start(poll_fn(move |cx| {
            *calling.task.lock().unwrap() = Some(cx.waker().clone());
            serving.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        let mut client =
            crate::support::Poller::new(crate::support::Wire::new(rig.clone(), end), rig.connect(&world.io));
        client.join();
        client.poll();
        rig.run();
        calls.calls.store(true, Ordering::SeqCst);
        // Answers the poll, from a task that has nothing to do with HTTP.
        world.io.emit("answer", &()).unwrap();
        assert!(client.gets.reply().body.starts_with("42[\"answer\"]"));
        world.assert_called("waker");
    });
}

#[test]
fn when_a_listener_is_removed() {
    rig(|rig| {
        let world = world();
        let (_client, socket) = world.joined(&rig);
        let holding = |who| {
            let held = Arc::new(world.captured(who));
            move || {
                let _held = Arc::clone(&held);
                ready(())
            }
        };
        let namespace = world.io.of("/");
        let listener = namespace.on("event", holding("off of the namespace"));
        namespace.off(listener);
        world.assert_called("off of the namespace");
        let listener = socket.on("event", holding("off of the socket"));
        socket.off(listener);
        world.assert_called("off of the socket");
        for who in ["off of a connect handler", "off of a middleware"] {
            let listener = if who == "off of a middleware" {
                namespace.middleware(holding(who))
            } else {
                namespace.on_connect(holding(who))
            };
            namespace.off(listener);
            world.assert_called(who);
        }
    });
}

#[test]
fn when_all_listeners_of_an_event_are_removed() {
    rig(|rig| {
        let world = world();
        let (_client, socket) = world.joined(&rig);
        let holding = |who| {
            let held = Arc::new(world.captured(who));
            move || {
                let _held = Arc::clone(&held);
                ready(())
            }
        };
        world.io.of("/").on("event", holding("off_all of the namespace"));
        world.io.of("/").off_all("event");
        world.assert_called("off_all of the namespace");
        socket.on("event", holding("off_all of the socket"));
        socket.off_all("event");
        world.assert_called("off_all of the socket");
    });
}

#[test]
fn when_a_listener_for_once_is_spent() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        let held = Arc::new(world.captured("once"));
        socket.once("event", move || {
            let _held = Arc::clone(&held);
            ready(())
        });
        client.event("event", "");
        rig.run();
        world.assert_called("once");
    });
}

#[test]
fn when_a_socket_is_gone_and_its_listeners_and_data_with_it() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        let held = Arc::new(world.captured("a listener of the socket"));
        socket.on("event", move || {
            let _held = Arc::clone(&held);
            ready(())
        });
        socket.set_data(world.captured("data that was replaced"));
        socket.set_data(world.captured("data of the socket"));
        world.assert_called("data that was replaced");
        client.vanish();
        world.assert_called("a listener of the socket");
        world.sockets.lock().unwrap().clear();
        drop(socket);
        rig.run();
        world.assert_called("data of the socket");
    });
}

#[test]
fn when_the_future_of_a_handler_is_dropped() {
    rig(|rig| {
        let world = world();
        let working = world.clone();
        world.io.on("event", move || {
            let held = working.captured("the future of a handler");
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        let (mut client, _) = world.joined(&rig);
        client.event("event", "");
        rig.run();
        let io = world.io.clone();
        rig.wait("the shutdown", async move { io.shutdown(Duration::ZERO).await });
        world.assert_called("the future of a handler");
    });
}

#[test]
fn when_handlers_are_forgotten_by_a_shutdown() {
    rig(|rig| {
        let world = world();
        let held = Arc::new(world.captured("a handler of the namespace"));
        world.io.on("event", move || {
            let _held = Arc::clone(&held);
            ready(())
        });
        let (mut client, _) = world.joined(&rig);
        let io = world.io.clone();
        let over = rig.start(async move { io.shutdown(Duration::from_secs(5)).await });
        rig.run();
        client.expect_closed();
        rig.until("the shutdown", || over.is_ready());
        world.assert_called("a handler of the namespace");
    });
}

/// A callback that holds something, whose event could not be sent.
fn refused(world: &World, socket: &Socket, who: &'static str) -> EmitError {
    let held = world.captured(who);
    let callback = move |_: Result<(), _>| drop(held);
    let error = socket.emit_then("ask", &(), callback).unwrap_err();
    world.assert_called(who);
    error
}

#[test]
fn when_a_callback_is_refused_because_the_socket_is_gone() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        client.vanish();
        assert_eq!(refused(&world, &socket, "the connection is gone"), EmitError::NotConnected);
    });
}

#[test]
fn when_a_callback_is_refused_because_the_socket_has_left() {
    rig(|rig| {
        let world = world();
        let (mut client, socket) = world.joined(&rig);
        client.send("1");
        rig.run();
        assert_eq!(refused(&world, &socket, "the socket has left"), EmitError::NotConnected);
    });
}

#[test]
fn when_a_callback_is_refused_because_too_many_wait() {
    rig(|rig| {
        let limits = Limits { outstanding_acks: 1, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let (_client, socket) = world.joined(&rig);
        drop(socket.emit_with_ack::<()>("ask", &()));
        let error = refused(&world, &socket, "too many wait");
        assert_eq!(error, EmitError::TooManyAcks { limit: 1 });
    });
}

#[test]
fn when_a_callback_is_refused_because_the_queue_is_full() {
    rig(|rig| {
        let limits = Limits { send_queue_packets: 1, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let (_client, socket) = world.joined(&rig);
        socket.emit("x", &()).unwrap();
        let error = refused(&world, &socket, "the queue is full");
        assert!(matches!(error, EmitError::Full(_)), "{error:?}");
    });
}

#[test]
fn when_a_callback_is_refused_because_its_arguments_cannot_be_written() {
    rig(|rig| {
        let world = world();
        let (_client, socket) = world.joined(&rig);
        let held = world.captured("no arguments");
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = socket.emit_then("ask", &unwritable, move |_: Result<(), _>| drop(held)).unwrap_err();
        assert!(matches!(error, EmitError::Encode(_)), "{error:?}");
        world.assert_called("no arguments");
    });
}

#[test]
fn when_a_connection_is_killed_with_callbacks_that_wait() {
    // At the deadline of a shutdown, and when a runtime drops its tasks.
    rig(|rig| {
        let world = world();
        let (_client, socket) = world.joined(&rig);
        let held = world.captured("a callback of a connection that is killed");
        socket.emit_then("ask", &(), move |_: Result<(), _>| drop(held)).unwrap();
        let io = world.io.clone();
        // No time for anything.
        rig.wait("the shutdown", async move { io.shutdown(Duration::ZERO).await });
        world.assert_called("a callback of a connection that is killed");
    });
}

#[test]
fn when_a_runtime_drops_its_tasks() {
    rig(|rig| {
        let world = world();
        let (_client, socket) = world.joined(&rig);
        let held = world.captured("a callback of a connection that is dropped");
        socket.emit_then("ask", &(), move |_: Result<(), _>| drop(held)).unwrap();
        rig.executor.abandon();
        world.assert_called("a callback of a connection that is dropped");
        assert_eq!(socket.emit("x", &()), Err(EmitError::NotConnected));
        assert_eq!(world.io.stats().connections, 0);
    });
}

#[test]
fn from_a_thread_that_ends() {
    thread_local! {
        static KEPT: Cell<Option<Drops>> = const { Cell::new(None) };
    }
    rig(|rig| {
        let world = world();
        let _client = world.joined(&rig);
        // What a thread keeps goes in some order: once with the driver's own before, once behind.
        for kept_first in [false, true] {
            let (world, captured) = (world.clone(), world.captured("the end"));
            let thread = thread::spawn(move || {
                if !kept_first {
                    world.io.emit("x", &()).unwrap();
                }
                KEPT.set(Some(captured));
                world.io.emit("x", &()).unwrap();
            });
            thread.join().unwrap();
        }
        assert_eq!(world.log.count("the end"), 2);
    });
}

#[test]
fn from_another_thread_while_the_server_works() {
    rig(|rig| {
        let world = world();
        world.io.on("event", async |socket: Socket| -> Result<(), BoxError> {
            socket.emit("x", &())?;
            socket.broadcast().emit("x", &())?;
            socket.join("room")?;
            socket.leave("room");
            Ok(())
        });
        let mut clients: Vec<Client> = (0..4).map(|_| world.joined(&rig).0).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (world, stop) = (world.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        world.call_back("another thread");
                    }
                })
            })
            .collect();
        for _ in 0..200 {
            for client in &mut clients {
                client.event("event", "");
                client.read();
            }
            rig.run_some(1_000);
        }
        stop.store(true, Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.assert_called("another thread");
    });
}
