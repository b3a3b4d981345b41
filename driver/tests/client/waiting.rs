//! What waits for room or for a connection, and for how long.

use std::{
    future::{Future as _, ready},
    pin::pin,
    sync::Arc,
    task::{Context, Wake},
    time::Duration,
};

use futures_util::FutureExt as _;
use sockeye_driver::{
    AckError, EmitError, QueueUnit, SendError,
    client::{Client, DisconnectReason as Reason, Error, ManagerEvent, Offline, Transport},
};
use tungstenite::Message;

use crate::{
    net::{CAPACITY, Net, OPEN, answer, request},
    support::{Log, Rig, Slot, rig},
};

#[test]
fn emit_wait_waits_for_room() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.send_queue_packets = 3);
        let client = builder.start().unwrap();
        let mut peer = net.join(&rig);
        let padding = "p".repeat(CAPACITY);
        // The first one clogs the byte stream.
        let mut sent = 0;
        while client.emit("n", &(sent, &padding)).is_ok() {
            rig.run();
            sent += 1;
        }
        let full = SendError::Full { unit: QueueUnit::Packets, limit: 3, value: 4 };
        assert_eq!(client.emit("n", &(sent, &padding)), Err(EmitError::Full(full)));
        let waiting: Vec<Slot<_>> = (sent..sent + 3)
            .map(|n| {
                let client = client.clone();
                rig.start(async move { client.emit_wait("n", &(n, "waited")).await })
            })
            .collect();
        rig.run();
        assert!(waiting.iter().all(|slot| !slot.is_ready()));
        for n in 0..sent + 3 {
            let message = peer.message();
            assert!(message.starts_with(&format!("42[\"n\",{n},")), "{message:.40}");
        }
        assert!(waiting.iter().all(|slot| slot.take() == Some(Ok(()))));
    });
}

#[test]
fn flush_waits_until_all_has_left() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let flush = |rig: &Rig, client: &Client| {
            let client = client.clone();
            let slot = rig.start(async move { client.flush().await });
            rig.run();
            slot
        };
        // There is nothing.
        assert_eq!(flush(&rig, &client).take(), Some(Ok(())));
        // It waits for a connection, and for the stream to take it.
        client.emit("n", &"p".repeat(2 * CAPACITY)).unwrap();
        let flushed = flush(&rig, &client);
        assert!(!flushed.is_ready());
        let mut peer = net.join(&rig);
        assert!(!flushed.is_ready());
        assert!(peer.message().starts_with("42[\"n\","));
        assert_eq!(flushed.take(), Some(Ok(())));
        // The connection ends before; that is told behind the end of each acknowledgement.
        for n in 0..300 {
            client.emit_then("ask", &n, |_: Result<(), AckError>| ()).unwrap();
        }
        client.emit("n", &"p".repeat(2 * CAPACITY)).unwrap();
        let flushed = flush(&rig, &client);
        assert!(!flushed.is_ready());
        peer.end.reset();
        rig.run();
        assert!(matches!(flushed.take(), Some(Err(_))));
        // There will be none.
        client.disconnect();
        assert_eq!(flush(&rig, &client).take(), Some(Ok(())));
        client.emit("n", &1).unwrap();
        let left = Error::Closed(Reason::ClientDisconnect);
        assert_eq!(flush(&rig, &client).take(), Some(Err(left)));
    });
}

/// Tells a log when it is woken.
struct Logging(Log);

impl Wake for Logging {
    fn wake(self: Arc<Self>) {
        self.0.add("flush");
    }
}

#[test]
fn that_a_flush_is_in_vain_is_told_behind_the_end_of_the_connection() {
    rig(|rig| {
        let net = Net::default();
        let log = Log::default();
        let client = net.client(&rig).start().unwrap();
        let ends = log.clone();
        client.on_disconnect(move || {
            ends.add("disconnect");
            ready(())
        });
        let peer = net.join(&rig);
        client.emit("n", &"p".repeat(2 * CAPACITY)).unwrap();
        let flushed = pin!(client.flush());
        let waker = Arc::new(Logging(log.clone())).into();
        assert!(flushed.poll(&mut Context::from_waker(&waker)).is_pending());
        rig.run();
        peer.end.reset();
        rig.run();
        assert_eq!(log.take(), ["disconnect", "flush"]);
    });
}

#[test]
fn flush_waits_for_the_answers_of_polling() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).config(|config| config.transports = vec![Transport::Polling]).start().unwrap();
        let first = net.end(&rig);
        request(&rig, &first);
        answer(&first, OPEN);
        let second = net.end(&rig);
        let (post, get) =
            if request(&rig, &first).0.starts_with("POST") { (&first, &second) } else { (&second, &first) };
        rig.run();
        // (The other request is taken out of the way.)
        let _ = [post, get].map(|end| end.read(usize::MAX));
        answer(post, "ok");
        answer(get, "40{\"sid\":\"s\"}");
        request(&rig, get);
        client.emit("n", &1).unwrap();
        let flushing = client.clone();
        let flushed = rig.start(async move { flushing.flush().await });
        assert_eq!(request(&rig, post).1, "42[\"n\",1]");
        assert!(!flushed.is_ready());
        answer(post, "ok");
        rig.run();
        assert_eq!(flushed.take(), Some(Ok(())));
    });
}

#[test]
fn emit_wait_waits_for_a_connection_and_no_longer_than_there_may_be_one() {
    rig(|rig| {
        let net = Net::default();
        let offline = Offline::Buffer { max_packets: 1, max_bytes: 1_000, ttl: None };
        let start = |rig: &Rig, client: &Client, n: u32| {
            let client = client.clone();
            let slot = rig.start(async move { client.emit_wait("n", &n).await });
            rig.run();
            slot
        };
        let full = EmitError::Full(SendError::Full { unit: QueueUnit::Packets, limit: 1, value: 2 });

        let client = net.client(&rig).offline(offline).start().unwrap();
        let (first, second) = (start(&rig, &client, 1), start(&rig, &client, 2));
        assert_eq!((first.take(), second.is_ready()), (Some(Ok(())), false));
        let mut peer = net.join(&rig);
        assert_eq!((peer.message(), peer.message()), ("42[\"n\",1]".into(), "42[\"n\",2]".into()));
        assert_eq!(second.take(), Some(Ok(())));

        // Nothing more will make room.
        peer.end.reset();
        let (third, fourth) = (start(&rig, &client, 3), start(&rig, &client, 4));
        assert_eq!((third.take(), fourth.is_ready()), (Some(Ok(())), false));
        client.disconnect();
        rig.run();
        assert_eq!(fourth.take(), Some(Err(full.clone())));
        assert_eq!(start(&rig, &client, 5).take(), Some(Err(full)));
        // Or what waits is dropped.
        client.open();
        let sixth = start(&rig, &client, 6);
        assert_eq!((client.clear_buffer(), sixth.is_ready()), (1, false));
        rig.run();
        assert_eq!(sixth.take(), Some(Ok(())));

        let rejecting = net.client(&rig).offline(Offline::Reject).start().unwrap();
        assert_eq!(start(&rig, &rejecting, 1).take(), Some(Err(EmitError::NotConnected)));
    });
}

#[test]
fn what_waits_for_a_connection_has_bounds_and_an_age() {
    rig(|rig| {
        let net = Net { is_silent: true, ..Net::default() };
        let offline = Offline::Buffer { max_packets: 2, max_bytes: 1_000, ttl: Some(Duration::from_millis(1)) };
        let client = net.client(&rig).offline(offline).start().unwrap();
        let log = Log::default();
        let told = log.clone();
        client.manager().on(move |event| {
            if let ManagerEvent::Discarded { json } = event {
                told.add(json);
            }
        });
        client.emit("old", &1).unwrap();
        rig.until("its age is over", || log.len() == 1);
        assert_eq!((log.take(), client.buffered()), (vec!["[\"old\",1]".to_owned()], (0, 0)));

        let offline = Offline::Buffer { max_packets: 2, max_bytes: 1_000, ttl: None };
        let client = net.client(&rig).offline(offline).start().unwrap();
        let asked = client.timeout(Duration::from_millis(1)).emit_with_ack::<()>("ask", &());
        client.emit("n", &1).unwrap();
        let full = SendError::Full { unit: QueueUnit::Packets, limit: 2, value: 3 };
        assert_eq!(client.emit("n", &2), Err(EmitError::Full(full)));
        // Whoever asked has given up: that is not sent any more, and its place is free.
        assert_eq!(rig.wait("the answer's time", asked), Err(AckError::Timeout));
        assert_eq!(client.buffered().0, 1);
        client.emit("n", &2).unwrap();
        assert_eq!(client.clear_buffer(), 2);

        let client = net.client(&rig).offline(Offline::Reject).start().unwrap();
        assert_eq!(client.emit("n", &1), Err(EmitError::NotConnected));
        let asked = client.emit_with_ack::<()>("ask", &()).now_or_never();
        assert_eq!(asked, Some(Err(AckError::Emit(EmitError::NotConnected))));
    });
}

#[test]
fn whoever_waits_for_a_connection_hears_of_its_end() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let watch = |rig: &Rig, client: &Client| {
            let (one, other) = (client.clone(), client.clone());
            let slots =
                (rig.start(async move { one.connected().await }), rig.start(async move { other.closed().await }));
            rig.run();
            slots
        };
        let (connected, closed) = watch(&rig, &client);
        net.end(&rig).reset();
        let mut peer = net.join(&rig);
        assert_eq!((connected.take(), closed.is_ready()), (Some(Ok(())), false));
        assert_eq!(watch(&rig, &client).0.take(), Some(Ok(())));
        // A connection that is lost is not the end.
        peer.end.reset();
        peer = net.join(&rig);
        assert!(!closed.is_ready());
        peer.send("41");
        rig.run();
        let by_server = Error::Closed(Reason::ServerDisconnect);
        assert_eq!(closed.take(), Some(by_server.clone()));
        let (connected, closed) = watch(&rig, &client);
        assert_eq!((connected.take(), closed.take()), (Some(Err(by_server.clone())), Some(by_server)));
        // Nobody has begun anything.
        let other = net.client(&rig).auto_connect(false).start().unwrap();
        assert_eq!(watch(&rig, &other).0.take(), Some(Err(Error::Closed(Reason::ForcedClose))));
    });
}

#[test]
fn whatever_is_under_way_ends_with_whoever_wanted_it() {
    rig(|rig| {
        for how in ["close", "disconnect", "drop", "drop connect"] {
            let net = Net { is_silent: true, ..Net::default() };
            let builder = net.client(&rig).config(|config| config.timeout = None);
            if how == "drop connect" {
                let mut connecting = Box::pin(builder.connect());
                assert!((&mut connecting).now_or_never().is_none());
                rig.run();
                assert_eq!(net.attempts.left(), 1);
                drop(connecting);
            } else {
                let client = builder.start().unwrap();
                rig.run();
                assert_eq!(net.attempts.left(), 1);
                match how {
                    "close" => client.manager().close(),
                    "disconnect" => client.disconnect(),
                    _ => drop(client.clone()),
                }
                if how != "drop" {
                    rig.run();
                    assert_eq!((net.attempts.left(), rig.executor.tasks()), (0, 1), "{how}");
                }
            }
            rig.run();
            assert_eq!((net.attempts.left(), rig.executor.tasks()), (0, 0), "{how}");
        }
    });
}

/// The official server drops an event that it reads in the same turn as the packet with which its namespace is left. So whoever
/// lets go of the last handle closes the connection, which comes behind all events, and leaves no namespace first.
#[test]
fn what_was_sent_before_the_last_handle_went_arrives() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let mut peer = net.join(&rig);
        let admin = client.of("/admin").start();
        admin.open();
        assert_eq!(peer.message(), "40/admin,");
        peer.send("40/admin,{\"sid\":\"a\"}");
        rig.run();
        drop(admin);
        assert_eq!(peer.message(), "41/admin,", "one of two is left");
        client.emit("last", &"words").unwrap();
        drop(client);
        assert_eq!(peer.message(), r#"42["last","words"]"#);
        assert!(matches!(peer.read(), Message::Close(_)));
    });
}
