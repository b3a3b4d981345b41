//! Several namespaces on one connection, who is let in, and as whom.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::json;
use sockeye_driver::{
    BoxError,
    client::{ClientError, Error},
};

use crate::{
    counterpart::World,
    runtimes::{Runtime, connect, connects, disconnects, events, everywhere, mode, prepared, settled, until},
};

#[test]
fn they_share_a_connection() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let client = connect(runtime.client(&world.url("/news")), index).await;
        assert_eq!(client.namespace(), "/news");
        let admin = client.of("admin").auth(&json!({ "token": "secret" })).unwrap().connect().await.unwrap();
        let early = client.of("/early").start();
        let heard = events(&early, "early");
        early.open();
        // A middleware says these before it lets anybody in.
        assert_eq!(heard.take(2).await, [json!([1, { "binary": "6f6e65" }]), json!([2])]);
        until("the namespace is connected", || early.is_connected()).await;
        let mut ids = Vec::new();
        for (socket, namespace) in [(&client, "/news"), (&admin, "/admin"), (&early, "/early")] {
            assert_eq!((socket.namespace(), socket.is_active()), (namespace, true));
            let back = events(socket, "echo");
            socket.emit("echo", &namespace).unwrap();
            assert_eq!(back.next().await, json!([namespace]));
            ids.push(socket.id().unwrap());
        }
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0]);
        assert_eq!(client.of("/admin").start(), admin);
        assert_eq!(world.sessions().await, 1);

        // One leaves, one is sent away, and the others stay.
        let (left, sent_away) = (disconnects(&admin), disconnects(&early));
        admin.disconnect();
        early.emit("leave", &false).unwrap();
        assert_eq!((&*left.next().await, &*sent_away.next().await), ("io client disconnect", "io server disconnect"));
        assert!(!admin.is_active() && !early.is_active() && client.is_connected());
        let again = connects(&admin);
        admin.open();
        assert!(!again.next().await);
        assert_ne!(admin.id().unwrap(), ids[1]);
        let gone = disconnects(&admin);
        client.emit("leave", &true).unwrap();
        assert_eq!(gone.next().await, "io server disconnect");
        assert!(!client.is_active() && !client.manager().is_open());
    });
}

#[test]
fn who_is_refused_is_told_why_and_the_others_stay() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let refusal = |error: ClientError| match error {
            ClientError::Connect(Error::Refused(refusal)) => {
                let data =
                    refusal.data.as_ref().map(|data| data.deserialize::<BTreeMap<String, Option<String>>>().unwrap());
                (refusal.message.to_string(), data)
            }
            other => panic!("{other:?}"),
        };
        // With nobody else, the connection ends with it.
        let wrong = runtime.client(&world.url("/admin")).auth(&json!({ "token": "wrong" })).unwrap();
        let refused = wrong.config(mode(index)).connect().await.unwrap_err();
        let data = |token: Option<&str>| Some(BTreeMap::from([("token".to_owned(), token.map(Into::into))]));
        assert_eq!(refusal(refused), ("not authorized".into(), data(Some("wrong"))));
        world.tell("gone", json!({})).await;

        let client = connect(runtime.client(&world.url("/")), index).await;
        let admin = client.of("/admin").start();
        let (sender, errors) = async_std::channel::unbounded();
        admin.on_connect_error(move |error: Error| {
            sender.try_send(error.to_string()).unwrap();
            std::future::ready(())
        });
        let refused = client.of("/admin").connect().await.unwrap_err();
        assert_eq!(refusal(refused), ("not authorized".into(), data(None)));
        assert_eq!((errors.recv().await.unwrap().as_str(), admin.is_active()), ("not authorized", false));
        let unknown = client.of("/nowhere").connect().await.unwrap_err();
        assert_eq!(refusal(unknown), ("Invalid namespace".into(), None));
        assert_eq!(client.emit_with_ack::<u8>("answer", &1).await, Ok(1));
        assert_eq!(world.sessions().await, 2);
    });
}

#[test]
fn each_connection_asks_anew_as_whom() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({})).await;
        world.proxy().await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let builder = runtime.client(&world.url("/admin")).auth_with(move |request| {
            let mut asked = log.lock().unwrap();
            asked.push((request.namespace().to_string(), request.last_error().map(ToString::to_string)));
            // The first token has expired.
            let token = if asked.len() == 1 { "expired" } else { "secret" };
            let answer = if asked.len() == 4 { Err(BoxError::from("no token")) } else { Ok(json!({ "token": token })) };
            std::future::ready(answer)
        });
        let client = prepared(builder, index);
        let (sender, errors) = async_std::channel::unbounded();
        client.on_connect_error(move |error: Error| {
            sender.try_send(error.to_string()).unwrap();
            std::future::ready(())
        });
        let connected = connects(&client);
        client.open();
        assert_eq!(errors.recv().await.unwrap(), "not authorized");
        assert!(!client.is_active());
        // It asks again when it is told to, and on each connection.
        client.open();
        connected.next().await;
        settled(&client, index).await;
        world.tell("cut", json!({})).await;
        connected.next().await;
        settled(&client, index).await;
        world.tell("cut", json!({})).await;
        // Who cannot say as whom is asked again.
        assert_eq!(errors.recv().await.unwrap(), "no token");
        assert!(client.is_active());
        connected.next().await;
        let lost = if index == 0 { "xhr poll error" } else { "transport close" };
        let asked = asked.lock().unwrap();
        let errors: Vec<Option<&str>> = asked.iter().map(|(_, error)| error.as_deref()).collect();
        assert_eq!(errors, [None, Some("not authorized"), Some(lost), Some(lost), Some("no token")]);
        assert!(asked.iter().all(|(namespace, _)| namespace == "/admin"));
    });
}
