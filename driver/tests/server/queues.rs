//! What is sent: in which order, how much of it waits, and what becomes of what does not fit.

use std::{collections::BTreeSet, future::ready, time::Duration};

use sockeye_driver::{
    Ack, AckError, Args, BoxError, Config, DisconnectReason, EmitError, Limits, QueuePolicy, QueueUnit, SendError,
    Socket, State,
};

use crate::support::{Client, Log, Rig, World, rig, yield_now};

/// A queue of so many packets, or of so many bytes.
fn limited(packets: usize, bytes: usize, queue_policy: QueuePolicy) -> Config {
    let limits = Limits { send_queue_packets: packets, send_queue_bytes: bytes, ..Limits::default() };
    Config { limits, queue_policy, ..Config::default() }
}

/// Emits until the client, which does not read, takes no byte more: how many events are on their way or wait.
#[track_caller]
fn clog(rig: &Rig, client: &Client, socket: &Socket) -> usize {
    let padding = "p".repeat(1_000);
    for n in 0..1_000 {
        let before = client.end.written();
        if socket.emit("clog", &(n, &padding)).is_err() {
            return n;
        }
        rig.run();
        if client.end.written() == before {
            return n + 1;
        }
    }
    panic!("the stream takes everything");
}

#[track_caller]
fn unclog(client: &mut Client, count: usize) {
    for n in 0..count {
        let packet = client.packet();
        assert!(packet.starts_with(&format!("2[\"clog\",{n},")), "{packet}");
    }
}

#[test]
fn ten_thousand_emits_of_one_handler_all_arrive_in_order() {
    for capacity in [1_000, usize::MAX] {
        rig(move |rig| {
            let world = World::new(Config::default());
            world.io.on("go", |socket: Socket| {
                for n in 0..10_000 {
                    socket.emit("n", &n).unwrap();
                }
                ready(())
            });
            let (mut client, _) = world.joined(&rig, capacity);
            client.event("go", "");
            for n in 0..10_000 {
                client.expect(&format!("2[\"n\",{n}]"));
            }
            assert_eq!(world.io.stats().queued_packets, 0);
        });
    }
}

#[test]
fn ten_thousand_emits_arrive_on_polling_too() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.polling(&rig);
        for n in 0..10_000 {
            socket.emit("n", &n).unwrap();
        }
        let mut packets = Vec::new();
        while packets.len() < 10_000 {
            packets.extend(client.get());
        }
        assert_eq!(packets, (0..10_000).map(|n| format!("42[\"n\",{n}]")).collect::<Vec<_>>());
    });
}

#[test]
fn a_client_that_reads_on_gets_what_was_written_in_vain() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 10_000);
        let count = clog(&rig, &client, &socket);
        // Nobody does anything but the client, which reads.
        unclog(&mut client, count);
        assert_eq!(world.io.stats().queued_bytes, 0);
    });
}

#[test]
fn one_byte_at_a_time_arrives_whole() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 1);
        socket.emit("x", &("text", bytes::Bytes::from_static(&[1, 2, 3]))).unwrap();
        world.io.emit("y", &"to all").unwrap();
        for packet in ["51-[\"x\",\"text\",{\"_placeholder\":true,\"num\":0}]", "<01 02 03>", "2[\"y\",\"to all\"]"] {
            client.expect(packet);
        }
    });
}

#[test]
fn emit_says_which_limit_is_reached_and_with_what() {
    rig(|rig| {
        // Without a poll everything waits.
        let world = World::new(limited(3, usize::MAX, QueuePolicy::Error));
        let (mut client, socket) = world.polling(&rig);
        for n in 1..=3 {
            assert_eq!(socket.emit("n", &n), Ok(()));
        }
        let full = SendError::Full { unit: QueueUnit::Packets, limit: 3, value: 4 };
        assert_eq!(socket.emit("n", &4), Err(EmitError::Full(full)));
        assert_eq!(socket.emit_then("n", &4, |_: Result<(), _>| {}), Err(EmitError::Full(full)));
        let asked: Result<(), _> = rig.wait("a refusal", socket.emit_with_ack("n", &4));
        assert_eq!(asked, Err(AckError::Emit(EmitError::Full(full))));
        assert_eq!(client.get(), ["42[\"n\",1]", "42[\"n\",2]", "42[\"n\",3]"]);
        assert_eq!(socket.emit("n", &5), Ok(()));
        assert_eq!(client.get(), ["42[\"n\",5]"]);
        assert_eq!(world.io.stats().acks, 0);
    });
}

#[test]
fn bytes_are_limited_to_the_byte() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (_client, socket) = world.polling(&rig);
        socket.emit("x", &"12345").unwrap();
        let size = world.io.stats().queued_bytes;

        let world = World::new(limited(usize::MAX, 2 * size, QueuePolicy::Error));
        let (mut client, socket) = world.polling(&rig);
        socket.emit("x", &"12345").unwrap();
        let full = SendError::Full { unit: QueueUnit::Bytes, limit: 2 * size, value: 2 * size + 1 };
        assert_eq!(socket.emit("x", &"123456"), Err(EmitError::Full(full)));
        assert_eq!(socket.emit("x", &"12345"), Ok(()));
        assert_eq!(client.get().len(), 2);
        // One of any size fits an empty queue.
        assert_eq!(socket.emit("x", &"1".repeat(10 * size)), Ok(()));
        assert_eq!(client.get().len(), 1);
    });
}

#[test]
fn a_websocket_whose_peer_does_not_read_fills_up() {
    rig(|rig| {
        let world = World::new(limited(10, usize::MAX, QueuePolicy::Error));
        let (mut client, socket) = world.joined(&rig, 10_000);
        let mut count = clog(&rig, &client, &socket);
        let error = loop {
            match socket.emit("clog", &(count, "more")) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        rig.run();
        assert_eq!(error, EmitError::Full(SendError::Full { unit: QueueUnit::Packets, limit: 10, value: 11 }));
        assert_eq!(world.io.stats().queued_packets, 10);
        unclog(&mut client, count);
        assert_eq!(socket.emit("x", &()), Ok(()));
        client.expect("2[\"x\"]");
    });
}

/// Tasks that each wait to send an event, with their outcomes.
fn waiting(rig: &Rig, socket: &Socket, count: usize) -> Log {
    let log = Log::default();
    for n in 0..count {
        let (socket, log) = (socket.clone(), log.clone());
        rig.start(async move {
            let sent = socket.emit_wait("waited", &(n, "w".repeat(1_000))).await;
            log.add(format!("{n} {sent:?}"));
        });
    }
    rig.run();
    log
}

#[test]
fn emit_wait_waits_for_room_on_a_websocket() {
    rig(|rig| {
        let world = World::new(limited(1, usize::MAX, QueuePolicy::Error));
        let (mut client, socket) = world.joined(&rig, 10_000);
        let count = clog(&rig, &client, &socket);
        let log = waiting(&rig, &socket, 10);
        assert_eq!(log.take(), [""; 0]);
        unclog(&mut client, count);
        let packets: BTreeSet<_> = (0..10).map(|_| client.packet()[..12].to_owned()).collect();
        assert_eq!(packets, (0..10).map(|n| format!("2[\"waited\",{n}")).collect());
        let outcomes: BTreeSet<_> = log.take().into_iter().collect();
        assert_eq!(outcomes, (0..10).map(|n| format!("{n} Ok(())")).collect());
    });
}

#[test]
fn emit_wait_waits_for_a_poll() {
    rig(|rig| {
        let world = World::new(limited(2, usize::MAX, QueuePolicy::Error));
        let (mut client, socket) = world.polling(&rig);
        let log = waiting(&rig, &socket, 5);
        assert_eq!(log.take(), ["0 Ok(())", "1 Ok(())"]);
        let mut packets: Vec<_> = client.get();
        assert_eq!(packets.len(), 2);
        while packets.len() < 5 {
            packets.extend(client.get());
        }
        assert_eq!(log.take().len(), 3);
    });
}

#[test]
fn a_handler_that_produces_without_end_is_held_to_its_clients_pace() {
    rig(|rig| {
        let world = World::new(limited(10, usize::MAX, QueuePolicy::Error));
        let log = Log::default();
        world.io.of("/").with_state(log.clone()).on("go", async |socket: Socket, State(log): State<Log>| {
            for n in 0..1_000 {
                socket.emit_wait("n", &n).await?;
                log.add("sent");
            }
            Ok::<_, BoxError>(())
        });
        let (mut client, _) = world.joined(&rig, 100);
        client.event("go", "");
        rig.run();
        assert!(log.len() < 50, "{} events were sent to nobody", log.len());
        for n in 0..1_000 {
            client.expect(&format!("2[\"n\",{n}]"));
        }
    });
}

#[test]
fn emit_wait_ends_when_the_socket_is_disconnected() {
    for how in ["reset", "end", "packet", "server", "server, whole connection", "shutdown"] {
        rig(move |rig| {
            // What the server itself has to say fits in.
            let world = World::new(limited(usize::MAX, 1_000, QueuePolicy::Error));
            let (mut client, socket) = world.joined(&rig, 10_000);
            clog(&rig, &client, &socket);
            let log = waiting(&rig, &socket, 3);
            assert_eq!(log.take(), [""; 0]);
            match how {
                "reset" => client.vanish(),
                // It goes on without reading, or there would be room.
                "end" => client.end.end(),
                "packet" => client.send("1"),
                "server" => socket.disconnect(false),
                "shutdown" => {
                    let io = world.io.clone();
                    rig.start(async move { io.shutdown(Duration::from_secs(60)).await });
                }
                _ => socket.disconnect(true),
            }
            // Not only when the peer's time to take what is left is over.
            rig.run();
            let lines = log.take();
            assert_eq!(lines.len(), 3, "{how}");
            assert!(lines.iter().all(|line| line.ends_with(" Err(NotConnected)")), "{how}: {lines:?}");
        });
    }
}

#[test]
fn emit_wait_goes_on_when_another_policy_is_set() {
    rig(|rig| {
        let world = World::new(limited(1, usize::MAX, QueuePolicy::Error));
        let (client, socket) = world.joined(&rig, 10_000);
        clog(&rig, &client, &socket);
        let log = waiting(&rig, &socket, 2);
        assert_eq!(log.take(), [""; 0]);
        socket.set_queue_policy(QueuePolicy::DropNewest);
        rig.until("both give up", || log.len() == 2);
    });
}

#[test]
fn the_newest_or_the_oldest_is_dropped_where_that_is_the_policy() {
    for (policy, left) in [(QueuePolicy::DropNewest, [1, 2, 3]), (QueuePolicy::DropOldest, [4, 5, 6])] {
        rig(move |rig| {
            let world = World::new(limited(3, usize::MAX, policy));
            let (mut client, socket) = world.polling(&rig);
            for n in 1..=5 {
                assert_eq!(socket.emit("n", &n), Ok(()));
            }
            world.io.emit("n", &6).unwrap();
            assert_eq!(client.get(), left.map(|n| format!("42[\"n\",{n}]")));
            assert!(socket.is_connected());
        });
    }
}

#[test]
fn a_slow_consumer_is_disconnected_where_that_is_the_policy() {
    rig(|rig| {
        let world = World::new(limited(2, usize::MAX, QueuePolicy::Disconnect));
        let log = Log::default();
        world
            .io
            .of("/")
            .with_state(log.clone())
            .on_disconnect(async |State(log): State<Log>, reason: DisconnectReason| log.add(reason.to_string()));
        let (_client, socket) = world.polling(&rig);
        assert_eq!(socket.emit("n", &1), Ok(()));
        assert_eq!(socket.emit("n", &2), Ok(()));
        assert_eq!(socket.emit("n", &3), Err(EmitError::NotConnected));
        rig.run();
        assert_eq!(log.take(), ["slow consumer"]);
    });
}

#[test]
fn each_socket_may_have_a_policy_of_its_own() {
    rig(|rig| {
        let world = World::new(limited(1, usize::MAX, QueuePolicy::Error));
        let (_a, strict) = world.polling(&rig);
        let (_b, lax) = world.polling(&rig);
        lax.set_queue_policy(QueuePolicy::DropNewest);
        for socket in [&strict, &lax] {
            assert_eq!(socket.emit("n", &1), Ok(()));
        }
        assert!(strict.emit("n", &2).is_err());
        assert_eq!(lax.emit("n", &2), Ok(()));
    });
}

#[test]
fn a_broadcast_reaches_all_the_others_when_one_is_full() {
    rig(|rig| {
        let world = World::new(limited(5, usize::MAX, QueuePolicy::Error));
        let (mut slow, slow_socket) = world.joined(&rig, 10_000);
        let mut others: Vec<Client> = (0..5).map(|_| world.joined(&rig, 10_000).0).collect();
        let (mut polling, _) = world.polling(&rig);
        let mut count = clog(&rig, &slow, &slow_socket);
        while slow_socket.emit("clog", &(count, "")).is_ok() {
            count += 1;
        }
        assert_eq!(world.io.emit("to all", &1), Ok(7));
        for client in &mut others {
            client.expect("2[\"to all\",1]");
        }
        assert_eq!(polling.get(), ["42[\"to all\",1]"]);
        // It is disconnected, since its policy can tell nobody.
        rig.until("the slow one is gone", || !slow_socket.is_connected());
        assert_eq!(world.io.emit("to all", &2), Ok(6));
        for client in &mut others {
            client.expect("2[\"to all\",2]");
        }
        slow.read();
    });
}

#[test]
fn a_slow_socket_does_not_delay_another() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (slow, slow_socket) = world.joined(&rig, 100);
        let (mut quick, quick_socket) = world.joined(&rig, 100_000);
        for n in 0..100 {
            slow_socket.emit("n", &(n, "p".repeat(1_000))).unwrap();
            quick_socket.emit("n", &n).unwrap();
            world.io.emit("all", &n).unwrap();
        }
        for n in 0..100 {
            quick.expect(&format!("2[\"n\",{n}]"));
            quick.expect(&format!("2[\"all\",{n}]"));
        }
        assert!(slow.end.written() < 1_000);
        assert!(slow_socket.is_connected());
    });
}

#[test]
fn what_one_task_does_arrives_in_its_order() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let (io, mut expected) = (world.io.clone(), Vec::new());
        for n in 0..100 {
            socket.emit("one", &n).unwrap();
            io.emit("all", &n).unwrap();
            io.to(socket.id()).emit("own room", &n).unwrap();
            socket.join("room").unwrap();
            io.to("room").emit("room", &n).unwrap();
            socket.leave("room");
            assert_eq!(io.to("room").emit("nobody", &n), Ok(0));
            drop(socket.emit_with_ack::<()>("ask", &n));
            expected.extend(["one", "all", "own room", "room"].map(|event| format!("2[\"{event}\",{n}]")));
            expected.push(format!("2{}[\"ask\",{n}]", 2 * n));
        }
        io.emit("last", &()).unwrap();
        socket.disconnect(false);
        assert_eq!(socket.emit("too late", &()), Err(EmitError::NotConnected));
        io.emit("too late", &()).unwrap();
        expected.extend(["2[\"last\"]".to_owned(), "1".to_owned()]);
        for packet in expected {
            client.expect(&packet);
        }
        client.expect_nothing();
    });
}

#[test]
fn what_a_handler_does_arrives_in_its_order_with_its_acknowledgement() {
    rig(|rig| {
        let world = World::new(Config::default());
        let io = world.io.clone();
        world.io.on("go", move |socket: Socket, ack: Ack| {
            let io = io.clone();
            async move {
                io.emit("all", &1)?;
                socket.emit("one", &2)?;
                ack.send(&3)?;
                io.emit("all", &4)?;
                yield_now().await;
                io.emit("all", &5)?;
                socket.emit("one", &6)?;
                io.disconnect_sockets(true);
                Ok::<_, BoxError>(())
            }
        });
        let (mut client, _) = world.joined(&rig, 100_000);
        client.send("27[\"go\"]");
        for packet in ["2[\"all\",1]", "2[\"one\",2]", "37[3]", "2[\"all\",4]", "2[\"all\",5]", "2[\"one\",6]", "1"] {
            client.expect(packet);
        }
        client.expect_closed();
    });
}

#[test]
fn each_thread_keeps_its_order_when_several_send() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 1_000_000);
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (io, socket) = (world.io.clone(), socket.clone());
                std::thread::spawn(move || {
                    for n in 0..500 {
                        if n % 2 == 0 {
                            socket.emit("n", &(thread, n)).unwrap();
                        } else {
                            io.emit("n", &(thread, n)).unwrap();
                        }
                    }
                })
            })
            .collect();
        let mut next = [0; 3];
        while next != [500; 3] {
            let packet = client.packet();
            let (thread, n) =
                packet.strip_prefix("2[\"n\",").unwrap().strip_suffix(']').unwrap().split_once(',').unwrap();
            let (thread, n): (usize, usize) = (thread.parse().unwrap(), n.parse().unwrap());
            assert_eq!(next[thread], n, "of thread {thread}");
            next[thread] += 1;
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn reading_stops_while_too_much_waits_to_be_sent_and_goes_on_after() {
    rig(|rig| {
        let limits = Limits { high_water: 10_000, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let padding = "p".repeat(1_000);
        world.io.on("echo", move |socket: Socket, Args(n): Args<usize>| ready(socket.emit("back", &(n, &padding))));
        let (mut client, _) = world.joined(&rig, 1_000);
        let padding = "p".repeat(1_000);
        for n in 0..1_000 {
            client.event("echo", &format!(",{n},\"{padding}\""));
        }
        rig.run();
        assert!(client.end.unread() > 500_000, "{} bytes are left", client.end.unread());
        for n in 0..1_000 {
            let packet = client.packet();
            assert!(packet.starts_with(&format!("2[\"back\",{n},")), "{packet}");
        }
        assert_eq!(client.end.unread(), 0);
    });
}

#[test]
fn broadcasts_without_a_pause_wait_within_the_limits_of_each_queue() {
    for (policy, received) in [
        (QueuePolicy::DropNewest, 0..100),
        (QueuePolicy::DropOldest, 900..1_000),
        (QueuePolicy::Error, 0..0),
        (QueuePolicy::Disconnect, 0..0),
    ] {
        rig(move |rig| {
            let world = World::new(limited(100, usize::MAX, policy));
            let (mut client, socket) = world.joined(&rig, 100_000);
            for n in 0..1_000 {
                world.io.emit("n", &n).unwrap();
            }
            let stats = world.io.stats();
            assert!(stats.queued_packets <= 100 && stats.waiting < 200, "{policy:?}: {stats:?}");
            rig.run();
            assert_eq!(socket.is_connected(), !received.is_empty(), "{policy:?}");
            for n in received {
                client.expect(&format!("2[\"n\",{n}]"));
            }
        });
    }
}

#[test]
fn who_has_something_to_say_is_not_behind_thousands_who_have_something_to_hear() {
    rig(|rig| {
        let world = World::new(Config::default());
        world.io.on("quick", |socket: Socket| ready(socket.emit("done", &())));
        let mut clients: Vec<Client> = (0..2_000).map(|_| rig.joined(&world.io)).collect();
        rig.run();
        let mut last = clients.pop().unwrap();
        assert_eq!(world.io.emit("news", &()), Ok(2_000));
        last.event("quick", "");
        rig.run_some(500);
        let told = clients.iter().filter(|client| client.end.arrived() > 0).count();
        assert_eq!(last.try_message().as_deref(), Some("42[\"news\"]"));
        assert_eq!(last.try_message().as_deref(), Some("42[\"done\"]"));
        assert!((1..1_000).contains(&told), "{told} others were first");
        for client in &mut clients {
            client.expect("2[\"news\"]");
            client.expect_nothing();
        }
    });
}
