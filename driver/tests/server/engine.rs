//! Engine.IO alone: sessions as streams and sinks of messages.

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use sockeye_driver::{
    BoxError, CloseReason, Config, EngineServer, EngineSocket, Limits, Message, QueueUnit, SendError, Stats,
};

use crate::support::{Client, Latch, Log, Rig, rig, yield_now};

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

/// A server that hands its sockets to the test.
#[derive(Clone)]
struct World {
    engine: EngineServer,
    sockets: Arc<Mutex<Vec<EngineSocket>>>,
}

impl World {
    fn new(config: Config) -> Self {
        let world = Self { engine: EngineServer::new(config), sockets: Arc::default() };
        let sockets = Arc::clone(&world.sockets);
        world.engine.on_connection(move |socket| {
            sockets.lock().unwrap().push(socket);
            pending::<()>()
        });
        world
    }

    #[track_caller]
    fn open(&self, rig: &Rig, capacity: usize) -> (Client, EngineSocket) {
        let wire = rig.connect_with(&self.engine, capacity);
        let client = wire.websocket("/socket.io/?EIO=4&transport=websocket");
        rig.run();
        (client, self.sockets.lock().unwrap().pop().unwrap())
    }
}

/// Sends every message back.
fn echo() -> EngineServer {
    let engine = EngineServer::new(Config::default());
    engine.on_connection(async |mut socket: EngineSocket| {
        while let Some(message) = socket.next().await {
            socket.send(message).await?;
        }
        Ok::<_, BoxError>(())
    });
    engine
}

#[test]
fn messages_come_and_go_in_order() {
    rig(|rig| {
        let engine = echo();
        let mut client = rig.open(&engine);
        for n in 0..1_000 {
            client.send_message(&format!("4{n}"));
            client.send_binary(&[n as u8]);
        }
        for n in 0..1_000 {
            assert_eq!(client.message(), format!("4{n}"));
            assert_eq!(client.message(), format!("<{:02x}>", n as u8));
        }
        client.close();
        assert_eq!(engine.stats(), Stats::default());
    });
}

#[test]
fn messages_come_and_go_by_polling() {
    rig(|rig| {
        let engine = echo();
        let mut client = rig.poller(&engine);
        client.post("4one\x1ebAQI=\x1e4two");
        let mut packets = Vec::new();
        while packets.len() < 3 {
            packets.extend(client.get());
        }
        assert_eq!(packets, ["4one", "bAQI=", "4two"]);
        client.post("1");
        // Its HTTP connections live on.
        client.gets.end.end();
        client.posts.end.end();
        rig.until("the session is gone", || engine.stats() == Stats::default());
    });
}

#[test]
fn the_first_handler_is_the_only_one() {
    rig(|rig| {
        let engine = echo();
        assert!(!engine.on_connection(async |_: EngineSocket| {}));
        let mut client = rig.open(&engine);
        client.send_message("4x");
        assert_eq!(client.message(), "4x");
    });
}

#[test]
fn a_server_without_a_handler_closes_what_comes() {
    rig(|rig| {
        let engine = EngineServer::new(Config::default());
        let mut client = rig.open(&engine);
        client.expect_closed();
        assert_eq!(engine.stats(), Stats::default());
    });
}

#[test]
fn a_socket_knows_its_id_and_transport_as_long_as_it_has_them() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.open(&rig, usize::MAX);
        assert_eq!(socket.transport(), Some("websocket"));
        assert!(socket.id().is_some());
        client.vanish();
        assert_eq!((socket.id(), socket.transport()), (None, None));
    });
}

#[test]
fn who_goes_while_nothing_is_read_of_it_leaves_nothing() {
    rig(|rig| {
        let limits = Limits { high_water: 1_000, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let (mut client, socket) = world.open(&rig, 100);
        for _ in 0..4 {
            socket.try_send(text(&"p".repeat(500))).unwrap();
            rig.run();
        }
        client.send_message("4unread");
        rig.run();
        assert_ne!(client.end.unread(), 0);
        // The write that was blocked fails.
        client.vanish();
        assert_eq!(world.engine.stats().connections, 0);
        drop(socket);
    });
}

#[test]
fn a_sink_waits_while_the_queue_is_full() {
    rig(|rig| {
        let limits = Limits { send_queue_packets: 10, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let (mut client, mut socket) = world.open(&rig, 100);
        let log = Log::default();
        let sent = log.clone();
        let sending = rig.start(async move {
            for n in 0..1_000 {
                socket.send(text(&format!("{n} {}", "p".repeat(100)))).await.unwrap();
                sent.add("sent");
            }
            socket
        });
        rig.run();
        assert!(log.len() < 20, "{} messages were sent to nobody", log.len());
        for n in 0..1_000 {
            assert!(client.message().starts_with(&format!("4{n} ")));
        }
        rig.until("all is sent", || sending.is_ready());
    });
}

#[test]
fn a_sink_that_waits_ends_with_the_session() {
    for how in ["reset", "shutdown"] {
        rig(move |rig| {
            let limits = Limits { send_queue_packets: 10, ..Limits::default() };
            let world = World::new(Config { limits, ..Config::default() });
            let (mut client, mut socket) = world.open(&rig, 100);
            let sending = rig.start(async move {
                loop {
                    if let Err(error) = socket.send(text(&"p".repeat(100))).await {
                        break error;
                    }
                }
            });
            rig.run();
            assert!(!sending.is_ready());
            match how {
                "reset" => client.vanish(),
                _ => {
                    let engine = world.engine.clone();
                    rig.start(async move { engine.shutdown(Duration::from_secs(60)).await });
                }
            }
            rig.run();
            assert_eq!(sending.take(), Some(SendError::Closed), "{how}");
        });
    }
}

#[test]
fn try_send_does_not_wait_and_says_which_limit_is_reached() {
    rig(|rig| {
        let limits = Limits { send_queue_packets: 2, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let poller = rig.poller(&world.engine);
        let socket = world.sockets.lock().unwrap().pop().unwrap();
        assert_eq!(socket.try_send(text("1")), Ok(()));
        assert_eq!(socket.try_send(text("2")), Ok(()));
        let full = SendError::Full { unit: QueueUnit::Packets, limit: 2, value: 3 };
        assert_eq!(socket.try_send(text("3")), Err(full));
        drop(poller);
    });
}

#[test]
fn a_socket_that_is_not_read_holds_its_peer_back() {
    rig(|rig| {
        let limits = Limits { parked: 10, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let (mut client, mut socket) = world.open(&rig, usize::MAX);
        let padding = "p".repeat(1_000);
        for n in 0..1_000 {
            client.send_message(&format!("4{n} {padding}"));
        }
        rig.run();
        assert!(client.end.unread() > 500_000, "only {} bytes are left", client.end.unread());
        let reading = rig.start(async move {
            for n in 0..1_000 {
                let Some(Message::Text(text)) = socket.next().await else { panic!("message {n} is lost") };
                assert!(text.starts_with(&format!("{n} ")));
            }
            socket
        });
        rig.until("all is read", || reading.is_ready());
        assert_eq!(client.end.unread(), 0);
    });
}

#[test]
fn what_arrived_before_the_end_is_still_read_and_then_the_end() {
    for how in ["reset", "close", "packet"] {
        rig(move |rig| {
            let world = World::new(Config::default());
            let (mut client, mut socket) = world.open(&rig, usize::MAX);
            client.send_message("4one");
            client.send_message("4two");
            rig.run();
            match how {
                "reset" => client.vanish(),
                "close" => client.close(),
                _ => client.send_message("1"),
            }
            rig.run();
            let expected = CloseReason::TransportClose;
            assert_eq!(socket.close_reason(), Some(expected), "{how}");
            assert_eq!(socket.try_send(text("late")), Err(SendError::Closed));
            rig.wait("the end of the stream", async move {
                assert_eq!(socket.next().await, Some(text("one")));
                assert_eq!(socket.next().await, Some(text("two")));
                assert_eq!(socket.next().await, None);
                assert_eq!(socket.next().await, None);
            });
        });
    }
}

#[test]
fn a_reader_that_waits_is_told_the_end_and_its_reason() {
    rig(|rig| {
        let world = World::new(Config::default());
        for (how, reason) in [
            ("reset", CloseReason::TransportClose),
            ("bad packet", CloseReason::ParseError),
            ("shutdown", CloseReason::ServerShuttingDown),
        ] {
            let (mut client, mut socket) = world.open(&rig, usize::MAX);
            let reading = rig.start(async move {
                let message = socket.next().await;
                (message, socket.close_reason())
            });
            rig.run();
            assert!(!reading.is_ready());
            match how {
                "reset" => client.vanish(),
                "bad packet" => client.send_message("x"),
                _ => {
                    let engine = world.engine.clone();
                    rig.start(async move { engine.shutdown(Duration::from_secs(60)).await });
                }
            }
            rig.run();
            assert_eq!(reading.take(), Some((None, Some(reason))), "{how}");
        }
    });
}

#[test]
fn a_ping_that_is_not_answered_ends_the_session() {
    rig(|rig| {
        let time = Duration::from_millis(10);
        let world = World::new(Config { ping_interval: time, ping_timeout: time, ..Config::default() });
        let (client, mut socket) = world.open(&rig, usize::MAX);
        let reason = rig.wait("the end", async move {
            assert_eq!(socket.next().await, None);
            socket.close_reason()
        });
        assert_eq!(reason, Some(CloseReason::PingTimeout));
        drop(client);
    });
}

#[test]
fn close_sends_what_was_sent_before() {
    for how in ["close", "sink", "drop"] {
        rig(move |rig| {
            let world = World::new(Config::default());
            let (mut client, mut socket) = world.open(&rig, 100);
            for n in 0..100 {
                socket.try_send(text(&n.to_string())).unwrap();
            }
            let _kept = match how {
                "close" => {
                    socket.close();
                    assert_eq!(socket.try_send(text("late")), Err(SendError::Closed));
                    Some(socket)
                }
                "sink" => rig.wait("the sink is closed", async move {
                    futures_util::SinkExt::close(&mut socket).await.unwrap();
                    Some(socket)
                }),
                _ => {
                    drop(socket);
                    None
                }
            };
            for n in 0..100 {
                assert_eq!(client.message(), format!("4{n}"), "{how}");
            }
            client.expect_closed();
            assert!(client.closed.is_some(), "{how}: without a close frame");
            let mut stats = world.engine.stats();
            // The handler has not returned.
            stats.tasks = stats.tasks.saturating_sub(1);
            assert_eq!(stats, Stats::default());
        });
    }
}

#[test]
fn a_handler_that_returns_fails_or_panics_drops_its_socket_and_so_closes_the_session() {
    rig(|rig| {
        let engine = EngineServer::new(Config::default());
        engine.on_connection(async |mut socket: EngineSocket| -> Result<(), BoxError> {
            match socket.next().await {
                Some(Message::Text(text)) if text == "fail" => Err("on purpose".into()),
                Some(Message::Text(text)) if text == "panic" => panic!("on purpose"),
                _ => Ok(()),
            }
        });
        for message in ["return", "fail", "panic"] {
            let mut client = rig.open(&engine);
            client.send_message(&format!("4{message}"));
            client.expect_closed();
        }
        assert_eq!(engine.stats(), Stats::default());
        // The server lives.
        let mut client = rig.open(&engine);
        client.expect_nothing();
    });
}

#[test]
fn a_handler_runs_on_after_the_end() {
    rig(|rig| {
        let engine = EngineServer::new(Config::default());
        let (log, latch) = (Log::default(), Latch::default());
        let (done, waiting) = (log.clone(), latch.clone());
        engine.on_connection(move |mut socket: EngineSocket| {
            let (done, waiting) = (done.clone(), waiting.clone());
            async move {
                assert_eq!(socket.next().await, None);
                waiting.wait().await;
                yield_now().await;
                done.add("done");
            }
        });
        let mut client = rig.open(&engine);
        client.vanish();
        assert_eq!(log.take(), [""; 0]);
        latch.open();
        rig.run();
        assert_eq!(log.take(), ["done"]);
    });
}

#[test]
fn a_socket_that_outlives_its_handler_keeps_working() {
    rig(|rig| {
        let engine = EngineServer::new(Config::default());
        let sockets = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sockets);
        engine.on_connection(move |socket| {
            kept.lock().unwrap().push(socket);
            ready(())
        });
        let mut client = rig.open(&engine);
        rig.run();
        let mut socket = sockets.lock().unwrap().pop().unwrap();
        client.send_message("4x");
        let _kept = rig.wait("an echo", async move {
            let message = socket.next().await.unwrap();
            socket.send(message).await.unwrap();
            socket
        });
        assert_eq!(client.message(), "4x");
    });
}
