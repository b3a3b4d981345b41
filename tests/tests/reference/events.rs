//! Events and acknowledgements, both ways. What they look like to listeners, in which order, is in
//! [`differential`](super::differential), too.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sockeye_driver::{Ack, AckError, AckSendError, Args, BoxError, EmitError, EncodeError, RawArgs};
use sockeye_tokio::TypedEvent;

use crate::{
    counterpart::World,
    runtimes::{PATIENCE, Runtime, connect, disconnects, events, everywhere, prepared, settled, until, within},
};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Photo {
    name: String,
    data: Bytes,
    thumbnail: Option<Bytes>,
}

#[test]
fn arguments_of_every_kind_come_back_as_they_were() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = connect(runtime.client(&world.url("/")), index).await;
        let photo = |name: &str, data: &'static [u8], thumbnail: Option<&'static [u8]>| Photo {
            name: name.into(),
            data: Bytes::from_static(data),
            thumbnail: thumbnail.map(Bytes::from_static),
        };
        let album = (
            vec![photo("a", b"\0\xff", Some(b"")), photo("b", b"", None), photo("c", b"c", Some(b"t"))],
            ("cover", Bytes::from_static(b"cover")),
            None::<u8>,
            1.5,
            "last",
        );
        type Album = (Vec<Photo>, (String, Bytes), Option<u8>, f64, String);
        let back: Album = within("the album", client.emit_with_ack("answer", &album)).await.unwrap();
        assert_eq!(back.0, album.0);
        assert_eq!((&*back.1.0, &back.1.1, back.2, back.3, &*back.4), ("cover", &album.1.1, None, 1.5, "last"));
        // As many attachments as peers take, and one more.
        let ten = vec![Bytes::from_static(b"x"); 10];
        let back: Vec<Bytes> = within("ten", client.emit_with_ack("answer", &ten)).await.unwrap();
        assert_eq!(back, ten);
        let eleven = client.emit("echo", &vec![Bytes::new(); 11]);
        let limit = EncodeError::TooManyAttachments { limit: 10, found: 11 };
        assert_eq!(eleven, Err(EmitError::Encode(limit)));
        // Of many segments, requests and reads.
        let (long, large) = ("é".repeat(200_000), Bytes::from(vec![7_u8; 300_000]));
        let back: (String, Bytes) = within("much", client.emit_with_ack("answer", &(&long, &large))).await.unwrap();
        assert!(back == (long, large));
        let message = events(&client, "message");
        client.send(&("hello", 1)).unwrap();
        assert_eq!(message.next().await, json!(["hello", 1]));
        for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
            let error = client.emit(name, &()).unwrap_err();
            assert_eq!(error.to_string(), format!("{name:?} is a reserved event name"));
        }
        let id = client.id().unwrap();
        let (_, known): (serde_json::Value, String) = client.emit_with_ack("whoami", &()).await.unwrap();
        assert_eq!(known, id.as_str());
    });
}

/// The server's events in the counterpart.
#[derive(Debug, PartialEq, TypedEvent)]
#[event(name = "answer", ack = (u32, Bytes))]
struct Answered {
    number: u32,
    content: Bytes,
}

#[derive(Debug, PartialEq, TypedEvent)]
#[event(ack = (String, Bytes))]
struct Question(String);

#[test]
fn acknowledgements_both_ways() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = connect(runtime.client(&world.url("/")), index).await;
        let content = Bytes::from_static(b"\x01");
        // As a future, as a callback, typed.
        assert_eq!(client.emit_with_ack::<(u8, String)>("answer", &(1, "two")).await, Ok((1, "two".to_owned())));
        assert_eq!(client.emit_with_ack::<u8>("answer", &(1, "only the first")).await, Ok(1));
        assert_eq!(client.emit_with_ack::<()>("answer", &()).await, Ok(()));
        let typed = client.emit_event_with_ack(&Answered { number: 2, content: content.clone() });
        assert_eq!(typed.await, Ok((2, content.clone())));
        let (sender, answers) = async_std::channel::unbounded();
        let callback = move |answer: Result<Bytes, AckError>| sender.try_send(answer).unwrap();
        client.emit_then("answer", &content, callback).unwrap();
        assert_eq!(within("the callback", answers.recv()).await.unwrap(), Ok(content.clone()));
        // The first counts.
        assert_eq!(client.emit_with_ack::<String>("twice", &()).await, Ok("first".to_owned()));
        assert!(matches!(client.emit_with_ack::<u8>("answer", &"text").await, Err(AckError::Args(_))));
        // Too late.
        let soon = client.timeout(Duration::from_millis(20));
        assert_eq!(soon.emit_with_ack::<String>("defer", &()).await, Err(AckError::Timeout));
        client.emit("answer deferred", &()).unwrap();
        assert_eq!(client.timeout(PATIENCE).emit_with_ack::<u8>("answer", &3).await, Ok(3));

        // A time for all that do not say another one.
        let hasty = client.of("/news").ack_timeout(Duration::from_millis(20)).connect().await.unwrap();
        assert_eq!(hasty.emit_with_ack::<()>("ignore", &1).await, Err(AckError::Timeout));
        assert_eq!(hasty.timeout(PATIENCE).emit_with_ack::<u8>("answer", &5).await, Ok(5));

        // The server asks.
        let answered = events(&client, "answered");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let handler = client.on_event(move |Question(text): Question, ack: Ack<Question>| {
            let again = ack.send(&(format!("{text}!"), Bytes::from_static(b"\0"))).map(|()| ack);
            let second = again.and_then(|ack| ack.send(&(String::new(), Bytes::new())));
            log.lock().unwrap().push((text, second));
            std::future::ready(())
        });
        client.emit("ask", &(20_000, "what")).unwrap();
        assert_eq!(answered.next().await, json!(["ok", "what!", { "binary": "00" }]));
        assert_eq!(*seen.lock().unwrap(), [("what".to_owned(), Err(AckSendError::AlreadySent))]);
        assert!(client.off(handler));
        // Nobody answers.
        client.emit("ask", &(20, "anybody")).unwrap();
        assert_eq!(answered.next().await, json!(["timeout"]));

        // The end of the connection is the end of what was asked.
        let pending =
            (client.emit_with_ack::<()>("ignore", &1), client.timeout(PATIENCE).emit_with_ack::<()>("ignore", &2));
        assert_eq!(client.emit_with_ack::<u8>("answer", &4).await, Ok(4));
        client.disconnect();
        assert_eq!((pending.0.await, pending.1.await), (Err(AckError::Disconnected), Err(AckError::Disconnected)));
        assert!(!client.is_connected() && client.id().is_none());
    });
}

#[test]
fn listeners_of_every_kind_and_events_that_may_be_lost() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = prepared(runtime.client(&world.url("/")), index);
        let seen = Arc::new(Mutex::new(Vec::<String>::new()));
        let add = |what: &'static str| {
            let seen = Arc::clone(&seen);
            move |args: RawArgs| {
                seen.lock().unwrap().push(format!("{what} {}", args.raw()));
                std::future::ready(())
            }
        };
        let first = client.on("echo", add("first"));
        client.once("echo", add("once"));
        client.on("echo", add("second"));
        for (what, is_outgoing) in [("any", false), ("out", true)] {
            let log = Arc::clone(&seen);
            let listener = move |event: &sockeye_driver::Event<_>| {
                log.lock().unwrap().push(format!("{what} {} {}", event.name(), event.args().raw()));
            };
            let _ = if is_outgoing { client.on_any_outgoing(listener) } else { client.on_any(listener) };
        }
        // Neither is on its way: one waits, and is reported when it is sent, one is dropped.
        client.emit("echo", &1).unwrap();
        assert_eq!(client.volatile().emit("echo", &"lost"), Ok(false));
        assert!(seen.lock().unwrap().is_empty() && client.buffered().0 == 1);
        let last = |count: usize| {
            let seen = Arc::clone(&seen);
            async move {
                until("all listeners have heard", || seen.lock().unwrap().len() >= count).await;
                std::mem::take(&mut *seen.lock().unwrap())
            }
        };
        client.open();
        assert_eq!(last(5).await, ["out echo 1", "any echo 1", "first 1", "once 1", "second 1"]);
        settled(&client, index).await;
        assert!(client.off(first) && !client.off(first));
        // Nothing is under way.
        until("a volatile event can leave", || client.volatile().emit("echo", &2) == Ok(true)).await;
        let mut heard = last(3).await;
        heard.sort();
        assert_eq!(heard, ["any echo 2", "out echo 2", "second 2"]);
        assert_eq!(client.off_all("echo"), 1);
        client.emit("echo", &3).unwrap();
        let mut heard = last(2).await;
        heard.sort();
        assert_eq!(heard, ["any echo 3", "out echo 3"]);
    });
}

/// What listeners do wrong is told to who wants to know, and costs nothing else.
#[test]
fn a_listener_that_fails_costs_no_connection() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = connect(runtime.client(&world.url("/")), index).await;
        let (sender, faults) = async_std::channel::unbounded();
        client.on_error(move |error| {
            sender.try_send((error.event().unwrap().to_owned(), error.fault().to_string())).unwrap()
        });
        let (echo, lost) = (events(&client, "echo"), disconnects(&client));
        client.on("echo", async |Args(number): Args<u8>| match number {
            0 => panic!("at the disco"),
            1 => Err(BoxError::from("not today")),
            _ => Ok(()),
        });
        for number in [json!(0), json!(1), json!("text"), json!(2)] {
            client.emit("echo", &number).unwrap();
        }
        assert_eq!(echo.take(4).await, [json!([0]), json!([1]), json!(["text"]), json!([2])]);
        let mut told = Vec::new();
        while told.len() < 3 {
            let (event, fault) = within("a fault", faults.recv()).await.unwrap();
            assert_eq!(event, "echo");
            told.push(fault);
        }
        assert!(
            told[0].contains("at the disco") && told[1].contains("not today") && told[2].contains("expected u8"),
            "{told:?}"
        );
        assert_eq!(client.emit_with_ack::<u8>("answer", &3).await, Ok(3));
        assert!(client.is_connected() && lost.is_empty() && faults.is_empty());
    });
}

#[test]
fn thousands_of_events_keep_their_order_across_the_upgrade() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = prepared(runtime.client(&world.url("/")), index);
        let (echo, tick) = (events(&client, "echo"), events(&client, "tick"));
        client.on("echo", async |Args(number): Args<u64>| assert!(number < 2_000));
        client.emit("burst", &1_000).unwrap();
        for number in 0..1_000 {
            client.emit("echo", &(number, Bytes::from_static(b"b"))).unwrap();
        }
        client.open();
        let expected = |number: u64| json!([number, { "binary": "62" }]);
        assert_eq!(tick.take(1_000).await, (0..1_000).map(|number| json!([number])).collect::<Vec<_>>());
        for number in 1_000..2_000 {
            client.emit("echo", &(number, Bytes::from_static(b"b"))).unwrap();
        }
        assert_eq!(echo.take(2_000).await, (0..2_000).map(expected).collect::<Vec<_>>());
        settled(&client, index).await;
    });
}
