//! Acknowledgements, in both directions.

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use sockeye_driver::{Ack, AckError, AckSendError, BoxError, Config, EmitError, Limits, Socket, State};

use crate::support::{Latch, Log, Rig, World, rig, yield_now};

#[test]
fn an_acknowledgement_is_sent_once_whoever_has_it() {
    rig(|rig| {
        let world = World::new(Config::default());
        let log = Log::default();
        world.io.of("/").with_state(log.clone()).on("ask", async |State(log): State<Log>, ack: Ack| {
            let other = ack.clone();
            log.add(format!("{:?}", ack.send(&("first", 1))));
            log.add(format!("{:?}", ack.send(&"second")));
            log.add(format!("{:?}", other.send(&"third")));
        });
        let (mut client, _) = world.joined(&rig, 100_000);
        client.send("212[\"ask\"]");
        client.expect("312[\"first\",1]");
        client.expect_nothing();
        let already = format!("{:?}", Err::<(), _>(AckSendError::AlreadySent));
        assert_eq!(log.take(), ["Ok(())", &already, &already]);
    });
}

#[test]
fn an_acknowledgement_that_cannot_be_written_may_still_be_sent() {
    rig(|rig| {
        let world = World::new(Config::default());
        world.io.on("ask", async |ack: Ack| {
            let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
            assert!(matches!(ack.send(&unwritable), Err(AckSendError::Encode(_))));
            ack.send(&"after all")
        });
        let (mut client, _) = world.joined(&rig, 100_000);
        client.send("20[\"ask\"]");
        client.expect("30[\"after all\"]");
    });
}

#[test]
fn dropped_acknowledgements_send_nothing_and_unasked_ones_go_nowhere() {
    rig(|rig| {
        let world = World::new(Config::default());
        world.io.on("drop", async |ack: Ack| {
            let other = ack.clone();
            yield_now().await;
            drop((ack, other));
        });
        let log = Log::default();
        world.io.of("/").with_state(log.clone()).on("unasked", async |State(log): State<Log>, ack: Ack| {
            log.add(format!("{} {:?} {:?}", ack.is_requested(), ack.send(&1), ack.send(&2)));
        });
        let (mut client, _) = world.joined(&rig, 100_000);
        client.send("20[\"drop\"]");
        client.event("unasked", "");
        client.expect_nothing();
        assert_eq!(log.take(), ["false Ok(()) Ok(())"]);
    });
}

#[test]
fn an_acknowledgement_may_be_sent_by_another_task_later() {
    rig(|rig| {
        let world = World::new(Config::default());
        let acks = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&acks);
        world.io.on("ask", move |ack: Ack| {
            kept.lock().unwrap().push(ack);
            ready(())
        });
        let (mut client, _) = world.joined(&rig, 100_000);
        client.send("21[\"ask\"]");
        client.send("22[\"ask\"]");
        client.expect_nothing();
        for (ack, answer) in acks.lock().unwrap().iter().zip(["a", "b"]) {
            ack.send(answer).unwrap();
        }
        client.expect("31[\"a\"]");
        client.expect("32[\"b\"]");
        client.vanish();
        acks.lock().unwrap().clear();
    });
}

/// The outcomes of the three ways to wait for an acknowledgement.
fn asked<R>(rig: &Rig, socket: &Socket, timeout: Duration) -> Log
where
    R: serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let log = Log::default();
    let callback = log.clone();
    socket
        .timeout(timeout)
        .emit_then("ask", &(), move |answer: Result<R, AckError>| callback.add(format!("callback: {answer:?}")))
        .unwrap();
    let future = log.clone();
    let answer = socket.timeout(timeout).emit_with_ack::<R>("ask", &());
    rig.start(async move { future.add(format!("future: {:?}", answer.await)) });
    rig.run();
    log
}

fn both(outcome: &str) -> [String; 2] {
    [format!("callback: {outcome}"), format!("future: {outcome}")]
}

#[test]
fn answers_reach_whoever_waits_once() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let log = asked::<(u32, Option<String>)>(&rig, &socket, Duration::from_secs(60));
        client.expect("20[\"ask\"]");
        client.expect("22[\"ask\"]");
        for packet in ["30[1]", "32[1]", "30[2]", "32[2]", "399[3]"] {
            client.send(packet);
        }
        rig.run();
        assert_eq!(log.take(), both("Ok((1, None))"));
        assert_eq!(world.io.stats().acks, 0);
        assert!(socket.is_connected(), "acknowledgements that nobody waits for are ignored");
    });
}

#[test]
fn a_handler_goes_on_with_its_answer_before_the_next_event_is_handled() {
    // However the two are cut into reads.
    for together in [true, false] {
        rig(move |rig| {
            let world = World::new(Config::default());
            world.io.on("ask", async |socket: Socket| {
                let answer: u32 = socket.emit_with_ack("question", &()).await?;
                socket.emit("answered", &answer)?;
                Ok::<_, BoxError>(())
            });
            world.io.on("next", async |socket: Socket| socket.emit("next", &()));
            let (mut client, _) = world.joined(&rig, 100_000);
            client.event("ask", "");
            client.expect("20[\"question\"]");
            client.send("30[42]");
            if !together {
                rig.run();
            }
            client.event("next", "");
            client.expect("2[\"answered\",42]");
            client.expect("2[\"next\"]");
        });
    }
}

#[test]
fn answers_of_another_type_are_errors_of_whoever_waits() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let log = asked::<u32>(&rig, &socket, Duration::from_secs(60));
        client.send("30[\"text\"]");
        client.send("32[]");
        rig.run();
        let lines = log.take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("Err(Args(")), "{lines:?}");
        assert!(socket.is_connected());
    });
}

#[test]
fn answers_bring_attachments() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let log = asked::<bytes::Bytes>(&rig, &socket, Duration::from_secs(60));
        for id in [0, 2] {
            client.send(&format!("61-{id}[{{\"_placeholder\":true,\"num\":0}}]"));
            client.send_binary(&[1, 2]);
        }
        rig.run();
        assert_eq!(log.take(), both("Ok(b\"\\x01\\x02\")"));
    });
}

#[test]
fn who_waits_too_long_is_told_once_and_a_late_answer_is_ignored() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let log = asked::<u32>(&rig, &socket, Duration::from_millis(1));
        rig.until("both timeouts", || log.len() == 2);
        assert_eq!(log.take(), both("Err(Timeout)"));
        client.send("30[1]");
        client.send("32[1]");
        rig.run();
        assert_eq!(log.take(), [""; 0]);
        assert!(socket.is_connected());
        assert_eq!(world.io.stats().acks, 0);
    });
}

#[test]
fn the_timeout_of_the_configuration_holds_where_no_other_is_given() {
    rig(|rig| {
        let world = World::new(Config { ack_timeout: Duration::from_millis(1), ..Config::default() });
        let (_client, socket) = world.joined(&rig, 100_000);
        let answer: Result<(), AckError> = rig.wait("a timeout", socket.emit_with_ack("ask", &()));
        assert_eq!(answer, Err(AckError::Timeout));
    });
}

#[test]
fn who_waits_for_a_socket_that_goes_is_told_once() {
    for how in ["reset", "close", "packet", "server", "server, whole connection", "shutdown"] {
        rig(move |rig| {
            let world = World::new(Config::default());
            let (mut client, socket) = world.joined(&rig, 100_000);
            let log = asked::<u32>(&rig, &socket, Duration::from_secs(60));
            match how {
                "reset" => client.vanish(),
                "close" => client.close(),
                "packet" => client.send("1"),
                "server" => socket.disconnect(false),
                "shutdown" => {
                    let io = world.io.clone();
                    rig.start(async move { io.shutdown(Duration::from_secs(60)).await });
                }
                _ => socket.disconnect(true),
            }
            rig.run();
            assert_eq!(log.take(), both("Err(Disconnected)"), "{how}");
            assert_eq!(world.io.stats().acks, 0);
            let answer: Result<u32, AckError> = rig.wait("a refusal", socket.emit_with_ack("ask", &()));
            assert_eq!(answer, Err(AckError::Emit(EmitError::NotConnected)), "{how}");
        });
    }
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_changes_nothing() {
    rig(|rig| {
        let world = World::new(Config::default());
        let (mut client, socket) = world.joined(&rig, 100_000);
        let latch = Latch::default();
        let opened = latch.clone();
        world.io.on("next", move || {
            opened.open();
            ready(())
        });
        drop(socket.emit_with_ack::<u32>("ask", &()));
        client.expect("20[\"ask\"]");
        client.send("30[1]");
        client.event("next", "");
        rig.wait("the next event", async move { latch.wait().await });
        assert_eq!(world.io.stats().acks, 0);
    });
}

#[test]
fn an_acknowledgement_that_found_the_queue_full_may_still_be_sent() {
    rig(|rig| {
        let limits = Limits { send_queue_packets: 1, ..Limits::default() };
        let world = World::new(Config { limits, ..Config::default() });
        let acks = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&acks);
        world.io.on("ask", move |ack: Ack| {
            kept.lock().unwrap().push(ack);
            ready(())
        });
        let (mut client, socket) = world.joined(&rig, 100_000);
        client.send("20[\"ask\"]");
        rig.run();
        let ack = acks.lock().unwrap().pop().unwrap();
        socket.emit("first", &()).unwrap();
        assert!(matches!(ack.send(&1), Err(AckSendError::Emit(EmitError::Full(_)))));
        rig.run();
        assert_eq!(ack.send(&2), Ok(()));
        assert_eq!(ack.send(&3), Err(AckSendError::AlreadySent));
        client.expect("2[\"first\"]");
        client.expect("30[2]");
        client.expect_nothing();
    });
}
