//! Connection state recovery between our client and the official server, across a link that is cut.

use std::time::Duration;

use serde_json::json;

use crate::{
    counterpart::World,
    runtimes::{Runtime, connect, connects, disconnects, events, everywhere, settled, until},
};

#[test]
fn nothing_is_lost_or_doubled_across_links_that_are_cut() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({ "connectionStateRecovery": {} })).await;
        world.proxy().await;
        let builder = runtime.client(&world.url("/")).auth(&json!({ "token": "abc" })).unwrap();
        let client = connect(builder, index).await;
        assert!(!client.is_recovered());
        let (news, echo) = (events(&client, "news"), events(&client, "echo"));
        let (connected, lost) = (connects(&client), disconnects(&client));
        let id = client.id();
        world.tell("stream", json!({ "nsp": "/", "event": "news", "count": 1_000 })).await;
        let mut heard = Vec::new();
        for cut in 1..=4 {
            heard.extend(news.take(150).await);
            // Whatever is on its way to the client is lost.
            world.tell("hold", json!({ "lossy": true })).await;
            lost.next().await;
            assert_eq!(client.id(), None);
            client.emit("echo", &cut).unwrap();
            world.tell("restore", json!({})).await;
            assert!(connected.next().await, "the {cut}. time");
            assert_eq!((client.id(), client.is_recovered()), (id.clone(), true));
            settled(&client, index).await;
            // Before the next cut: what was on its way to the server then would be lost.
            assert_eq!(echo.next().await[0], cut);
        }
        heard.extend(news.take(400).await);
        let (auth, ..): (serde_json::Value, String, bool, String) = client.emit_with_ack("whoami", &()).await.unwrap();
        assert_eq!(auth["token"], "abc");
        // The last argument is the offset.
        assert!(
            heard.iter().map(|args| &args[0]).eq((0..1_000).map(|number| json!(number)).collect::<Vec<_>>().iter())
        );
        assert!(heard.iter().all(|args| args[1].is_string()) && news.is_empty());
        assert!(echo.is_empty());
        // Whoever leaves does not come back as the same.
        client.disconnect();
        world.tell("gone", json!({})).await;
        client.open();
        assert!(!connected.next().await);
        assert_ne!(client.id(), id);
    });
}

#[test]
fn a_session_that_has_expired_is_a_new_one() {
    everywhere(async |runtime: Runtime, index: usize| {
        let options = json!({ "connectionStateRecovery": { "maxDisconnectionDuration": 20 } });
        let mut world = World::new(options).await;
        world.proxy().await;
        let client = connect(runtime.client(&world.url("/")), index).await;
        let (news, connected) = (events(&client, "news"), connects(&client));
        let emit = async |text: &str| {
            world.tell("emit", json!({ "nsp": "/", "event": "news", "args": [text] })).await;
        };
        emit("before").await;
        assert_eq!(news.next().await[0], "before");
        let id = client.id();
        world.tell("hold", json!({})).await;
        emit("missed").await;
        async_std::task::sleep(Duration::from_millis(100)).await;
        world.tell("restore", json!({})).await;
        assert!(!connected.next().await);
        assert!(!client.is_recovered() && client.id() != id);
        settled(&client, index).await;
        emit("after").await;
        assert_eq!(news.next().await[0], "after");
        until("that was all", || news.is_empty()).await;
    });
}
