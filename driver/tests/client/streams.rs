//! Streams of events: what they have, when they hold up the server, and when they end.

use std::future::ready;

use futures_util::{FutureExt as _, StreamExt as _};
use sockeye_driver::{
    Ack, AckError, Args,
    client::{ClientEvent, DisconnectReason as Reason, Error, Limits, ManagerEvent, Transport},
};

use crate::{
    net::{Net, OPEN, all, answer, request, taken},
    support::{Log, Rig, rig},
};

#[test]
fn a_stream_has_all_that_handlers_see_and_ends_with_the_connection() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).auto_connect(false).start().unwrap();
        let mut events = client.events();
        assert_eq!(all(&mut events), [""; 0], "it has not begun, so it has not ended");
        let log = Log::default();
        let handled = log.clone();
        client.on("ask", move |Args(n): Args<u32>, ack: Ack| {
            handled.add(format!("handler {n} {}", ack.is_requested()));
            ready(())
        });
        client.open();
        let mut peer = net.join(&rig);
        peer.send("42[\"say\",\"a\",1]");
        peer.send("427[\"ask\",2]");
        rig.run();
        assert_eq!(log.take(), ["handler 2 true"]);
        assert_eq!(taken(&mut events, 2), ["connect false", "say \"a\",1"]);
        // What asks is answered from the stream, by which the client is reached as well.
        let Some(Some(ClientEvent::Event(event))) = events.next().now_or_never() else { panic!() };
        assert_eq!(event.socket(), Some(&client));
        event.ack().unwrap().send(&("yes", 2)).unwrap();
        assert_eq!(peer.message(), "437[\"yes\",2]");

        // Lost, and made anew.
        drop(peer.end);
        peer.socket.get_mut().reset();
        let mut peer = net.join(&rig);
        assert_eq!(all(&mut events), ["disconnect transport close: websocket connection closed", "connect false"]);
        // Another one sees what comes from here on.
        let mut late = client.events();
        peer.send("42[\"last\"]");
        peer.send("41");
        rig.run();
        for events in [&mut events, &mut late] {
            assert_eq!(all(events), ["last ", "disconnect io server disconnect", "."]);
            assert_eq!(all(events), ["."]);
        }
        // It is over for good; another one begins.
        let mut next = client.events();
        client.open();
        net.join(&rig);
        assert_eq!((all(&mut events), all(&mut next)), (vec![".".to_owned()], vec!["connect false".to_owned()]));
        drop((events, late));
        assert_eq!(client.listeners_any().len(), 1);
    });
}

#[test]
fn a_stream_ends_whatever_ends_the_client() {
    rig(|rig| {
        let refused = r#"44{"message":"no"}"#;
        type Step = (&'static str, Vec<&'static str>);
        let steps: [Step; 4] = [
            ("refuse", vec!["connect_error no", "."]),
            ("disconnect", vec!["connect false", "disconnect io client disconnect", "."]),
            ("close", vec!["connect false", "disconnect forced close", "."]),
            ("drop", vec!["connect false", "."]),
        ];
        for (how, expected) in steps {
            let net = Net::default();
            let client = net.client(&rig).start().unwrap();
            let mut events = client.events();
            if how == "refuse" {
                let mut peer = net.accept(&rig);
                assert_eq!(peer.message(), "40");
                peer.send(refused);
            } else {
                net.join(&rig);
            }
            match how {
                "disconnect" => client.disconnect(),
                "close" => client.manager().close(),
                "drop" => drop(client.clone()),
                _ => {}
            }
            let kept = (how != "drop").then_some(client);
            rig.run();
            assert_eq!(all(&mut events), expected, "{how}");
            drop(kept);
        }
        // Before there was anything to tell.
        let net = Net { is_silent: true, ..Net::default() };
        let client = net.client(&rig).auto_connect(false).start().unwrap();
        let mut events = client.events();
        rig.run();
        client.open();
        client.disconnect();
        rig.run();
        assert_eq!(all(&mut events), ["."]);
        // All attempts have failed.
        let net = Net::default();
        let client = net.client(&rig).config(|config| config.reconnection_attempts = Some(1)).start().unwrap();
        let mut events = client.events();
        for _ in 0..2 {
            net.end(&rig).reset();
            rig.run();
        }
        assert_eq!(all(&mut events), ["connect_error websocket error", "connect_error websocket error", "."]);
        // The runtime has ended.
        let mut events = client.events();
        client.open();
        net.join(&rig);
        let waiting = (client.emit_with_ack::<()>("x", &()), Box::pin(client.events()));
        rig.executor.abandon();
        assert_eq!(all(&mut events), ["connect false", "."]);
        assert_eq!(waiting.0.now_or_never(), Some(Err(AckError::Disconnected)));
        assert!(matches!(waiting.1.into_future().now_or_never(), Some((None, _))));
        // Whoever comes after that does not wait, either.
        let gone = Error::Closed(Reason::ForcedClose);
        assert_eq!(client.connected().now_or_never(), Some(Err(gone.clone())));
        assert_eq!(client.closed().now_or_never(), Some(gone));
        assert_eq!(all(&mut client.events()), ["."]);
        assert_eq!(client.emit_with_ack::<()>("x", &()).now_or_never(), Some(Err(AckError::Disconnected)));
        assert!(matches!(client.manager().events().into_future().now_or_never(), Some((None, _))));
    });
}

#[test]
fn a_full_stream_stops_reading_until_half_is_taken_and_nothing_else() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits = Limits { parked: 4, ..Limits::default() });
        let client = builder.start().unwrap();
        let mut peer = net.join(&rig);
        let mut events = client.events();
        let answer = client.emit_with_ack::<u32>("ask", &());
        assert_eq!(peer.message(), "420[\"ask\"]");
        for n in 0..3 {
            peer.send(&format!("42[\"n\",{n}]"));
            assert!(peer.is_read());
        }
        // Acknowledgements come in while events wait.
        peer.send("430[7]");
        rig.run();
        assert_eq!(answer.now_or_never(), Some(Ok(7)));
        peer.send("42[\"n\",3]");
        assert!(peer.is_read());
        // Full: nothing more is read; what is sent goes out.
        peer.send("42[\"n\",4]");
        assert!(!peer.is_read());
        client.emit("still", &1).unwrap();
        assert_eq!(peer.message(), "42[\"still\",1]");
        assert_eq!(taken(&mut events, 1), ["n 0"]);
        assert!(!peer.is_read());
        assert_eq!(taken(&mut events, 1), ["n 1"]);
        assert!(peer.is_read());
        assert_eq!(all(&mut events), ["n 2", "n 3", "n 4"]);
        // One that nobody takes from holds nobody up once it is dropped.
        for n in 0..5 {
            peer.send(&format!("42[\"m\",{n}]"));
            rig.run();
        }
        assert!(!peer.is_read());
        drop(events);
        assert!(peer.is_read());
    });
}

#[test]
fn as_many_bytes_wait_in_a_stream_as_one_packet_may_have() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.max_packet_bytes = 1_000);
        let client = builder.start().unwrap();
        let mut peer = net.join(&rig);
        let mut events = client.events();
        // With its name and its quotes, each has so many bytes.
        let event = |size: usize| format!("42[\"n\",\"{}\"]", "x".repeat(size - 3));
        for size in [500, 400, 100] {
            peer.send(&event(size));
            assert!(peer.is_read());
        }
        // 1,000 wait; with the next one there are more.
        peer.send(&event(10));
        assert!(peer.is_read());
        peer.send(&event(20));
        assert!(!peer.is_read());
        assert_eq!(taken(&mut events, 1).len(), 1);
        assert!(!peer.is_read(), "510 wait");
        assert_eq!(taken(&mut events, 1).len(), 1);
        assert!(peer.is_read());
        // With those that are not taken, attachments are.
        peer.send(r#"451-["n",{"_placeholder":true,"num":0}]"#);
        peer.binary(900);
        assert!(peer.is_read());
        peer.send(&event(10));
        assert!(!peer.is_read());
        assert_eq!(all(&mut events).len(), 4);
        assert!(peer.is_read());
    });
}

#[test]
fn a_full_stream_holds_up_what_polling_brings_and_not_what_it_takes_away() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| {
            config.transports = vec![Transport::Polling];
            config.limits.parked = 2;
        });
        let client = builder.start().unwrap();
        let mut events = client.events();
        let first = net.end(&rig);
        request(&rig, &first);
        answer(&first, OPEN);
        // Two connections, for whatever comes first.
        let ends = [first, net.end(&rig)];
        let next = |rig: &Rig| {
            rig.until("a request", || ends.iter().any(|end| end.arrived() > 0));
            let end = ends.iter().find(|end| end.arrived() > 0).unwrap();
            let (head, body) = request(rig, end);
            (end, if head.starts_with("POST") { body } else { "GET".to_owned() })
        };
        let mut requests = [next(&rig), next(&rig)];
        requests.sort_by(|one, other| one.1.cmp(&other.1));
        assert_eq!([&requests[0].1, &requests[1].1], ["40", "GET"]);
        answer(requests[0].0, "ok");
        answer(requests[1].0, "40{\"sid\":\"s\"}");
        let (end, get) = next(&rig);
        assert_eq!(get, "GET");
        answer(end, "42[\"n\",1]\u{1e}42[\"n\",2]\u{1e}42[\"n\",3]");
        rig.run();
        // Nothing more is asked for, while each POST begins when the one before is answered.
        for n in 1..=2 {
            client.emit("up", &n).unwrap();
            let (end, body) = next(&rig);
            assert_eq!(body, format!("42[\"up\",{n}]"));
            client.emit("up", &(n * 10)).unwrap();
            answer(end, "ok");
            let (end, body) = next(&rig);
            assert_eq!(body, format!("42[\"up\",{}]", n * 10));
            answer(end, "ok");
        }
        assert_eq!(taken(&mut events, 2), ["connect false", "n 1"]);
        rig.run();
        assert!(ends.iter().all(|end| end.arrived() == 0));
        assert_eq!(all(&mut events), ["n 2", "n 3"]);
        assert_eq!(next(&rig).1, "GET");
    });
}

#[test]
fn a_stream_does_not_end_before_all_that_was_said_is_told() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let mut peer = net.join(&rig);
        let other = client.of("/other").start();
        other.open();
        assert_eq!(peer.message(), "40/other,");
        let mut events = client.events();
        let connected = rig.start({
            let other = other.clone();
            async move { other.connected().await }
        });
        rig.run();
        // More than an owner looks at in one round, and what ends both namespaces behind it.
        let mut frames = Vec::new();
        for n in 0..1_000 {
            frames.push(format!("42[\"n\",{n}]"));
        }
        frames.extend(["44/other,{\"message\":\"no\"}".into(), "41".into()]);
        for frame in &frames {
            peer.send(frame);
        }
        rig.run();
        let mut expected: Vec<String> = (0..1_000).map(|n| format!("n {n}")).collect();
        expected.extend(["disconnect io server disconnect".into(), ".".into()]);
        // (connect was before.)
        assert_eq!(all(&mut events), expected);
        let Some(Err(Error::Refused(refusal))) = connected.take() else { panic!() };
        assert_eq!(&*refusal.message, "no");
    });
}

/// One that is lost while nobody takes what it has brought comes back, and nothing piles up meanwhile.
#[test]
fn a_full_stream_keeps_no_connection_from_coming_back() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.parked = 4);
        let client = builder.start().unwrap();
        let mut events = client.events();
        for round in 0..10 {
            let mut peer = net.join(&rig);
            for n in 0..6 {
                peer.send(&format!("42[\"n\",{round},{n}]"));
            }
            rig.run();
            assert!(client.is_connected(), "{round}");
            peer.end.reset();
            // Where nothing is read, writing finds that out, or the next ping that does not come.
            client.emit("anybody?", &()).unwrap();
        }
        drop(client);
        rig.run();
        let lines = all(&mut events);
        assert_eq!(lines[..7], ["connect false", "n 0,0", "n 0,1", "n 0,2", "n 0,3", "n 0,4", "n 0,5"]);
        // What was read with the answer to CONNECT, or in one go, was let in; and one word of what happens without reading.
        assert!(lines.len() < 7 + 10 * 8, "{lines:?}");
        let told = lines.iter().filter(|line| line.contains("connect")).count();
        assert!(told < 20, "{lines:?}");
    });
}

#[test]
fn without_its_listeners_a_stream_holds_up_nobody() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.parked = 2);
        let client = builder.start().unwrap();
        let mut peer = net.join(&rig);
        let _events = client.events();
        for n in 0..4 {
            peer.send(&format!("42[\"n\",{n}]"));
            rig.run();
        }
        assert!(!peer.is_read());
        client.off_everything();
        assert!(peer.is_read());
    });
}

#[test]
fn a_stream_of_the_manager_keeps_the_newest() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.parked = 3);
        let client = builder.auto_connect(false).start().unwrap();
        let mut events = client.manager().events();
        client.open();
        net.join(&rig).end.reset();
        rig.run();
        net.join(&rig);
        drop(client);
        rig.run();
        let mut lines = Vec::new();
        while let Some(Some(event)) = events.next().now_or_never() {
            lines.push(match event {
                ManagerEvent::Close { reason, .. } => format!("close {reason}"),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(lines, ["Open", "Reconnect { attempt: 1 }", "close forced close"]);
        assert!(matches!(events.next().now_or_never(), Some(None)));
    });
}
