//! How connections end, and what is said about it.

use std::{net::TcpListener, time::Duration};

use serde_json::json;
use sockeye_driver::client::{Client, ClientError, ManagerEvent};

use crate::{
    counterpart::World,
    runtimes::{PATIENCE, Runtime, connect, connects, disconnects, everywhere, mode, settled, until, within},
};

/// Nothing of the client is under way.
async fn quiet(client: &Client) {
    assert_eq!(within("an answer", client.emit_with_ack::<u8>("answer", &1)).await, Ok(1));
}

#[test]
fn each_end_has_its_reason() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({})).await;
        world.proxy().await;
        let client = connect(runtime.client(&world.url("/")), index).await;
        let (lost, connected) = (disconnects(&client), connects(&client));
        let cut = if index == 0 { "transport error" } else { "transport close" };
        // What is done, what is told, and whether it comes back by itself.
        for (what, reason, again) in [
            ("hangup", "transport close", true),
            ("write", "parse error", true),
            ("cut", cut, true),
            ("leave", "io server disconnect", false),
            ("disconnect", "io client disconnect", false),
            ("close", "forced close", false),
        ] {
            quiet(&client).await;
            match what {
                "cut" => drop(world.tell("cut", json!({})).await),
                "disconnect" => client.disconnect(),
                "close" => client.manager().close(),
                "write" => client.emit(what, &"9").unwrap(),
                _ => client.emit(what, &false).unwrap(),
            }
            assert_eq!(lost.next().await, reason, "{what}");
            // A close of this side leaves the namespace as it was: it is connected with the next connection.
            assert_eq!(client.is_active(), again || what == "close", "{what}");
            if what == "close" {
                client.manager().open();
            } else if !again {
                client.open();
            }
            connected.next().await;
            settled(&client, index).await;
        }
    });
}

#[test]
fn pings_are_answered_and_their_absence_is_noticed() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::empty();
        let times = |interval: u64, timeout: u64| json!({ "pingInterval": interval, "pingTimeout": timeout });
        world.listen(json!({ "options": times(1_000, 1_500), "heartbeat": times(200, 60_000) })).await;
        world.proxy().await;
        let builder = runtime.client(&world.url("/")).config(|config| config.reconnection = false);
        let client = connect(builder, index).await;
        let (sender, pings) = async_std::channel::unbounded();
        client.manager().on(move |event| {
            if *event == ManagerEvent::Ping {
                let _ = sender.try_send(());
            }
        });
        let lost = disconnects(&client);
        for _ in 0..3 {
            within("a ping", pings.recv()).await.unwrap();
        }
        quiet(&client).await;
        world.tell("silence", json!({})).await;
        assert_eq!(lost.next().await, "ping timeout");
        assert!(client.is_active() && !client.manager().is_open());
    });
}

/// The official server drops what it reads in one turn with a DISCONNECT: a client without handlers sends none.
#[test]
fn what_a_simple_client_sent_before_it_left_arrives() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let connecting = runtime.client(&world.url("/")).config(mode(index)).connect_simple();
        let client = within("the client to connect", connecting).await.unwrap();
        settled(client.client(), index).await;
        for n in 0..3 {
            client.emit("last words", &n).await.unwrap();
        }
        client.disconnect();
        let mut expected = vec![json!(["/", "connection", {}, false])];
        expected.extend((0..3).map(|n| json!(["/", "event", "last words", [n], false])));
        expected.push(json!(["/", "disconnect", "transport close"]));
        assert_eq!(world.tell("finish", json!({})).await["seen"], json!(expected));
    });
}

/// What JavaScript has as the message.
fn text(error: ClientError) -> String {
    match error {
        ClientError::Connect(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn why_there_is_no_connection() {
    everywhere(async |runtime: Runtime, index: usize| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refused = async |time: Duration| {
            let builder = runtime.client(&format!("http://{address}")).config(mode(index)).config(|config| {
                (config.timeout, config.reconnection) = (Some(time), false);
            });
            text(within("a refusal", builder.connect()).await.unwrap_err())
        };
        // It takes connections and says nothing; then it takes none.
        assert_eq!(refused(Duration::from_millis(200)).await, "timeout");
        drop(listener);
        assert_eq!(refused(PATIENCE).await, if index == 1 { "websocket error" } else { "xhr poll error" });
    });
}

#[test]
fn attempts_are_counted_and_end() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({})).await;
        world.proxy().await;
        world.tell("cut", json!({ "refused": 4 })).await;
        let attempts = |count| {
            let builder = runtime.client(&world.url("/")).config(mode(index));
            builder.config(move |config| config.reconnection_attempts = Some(count))
        };
        let failed = within("the last attempt", attempts(2).connect()).await.unwrap_err();
        assert_eq!(text(failed), if index == 1 { "websocket error" } else { "xhr poll error" });
        let client = attempts(1).auto_connect(false).start().unwrap();
        let (sender, told) = async_std::channel::unbounded();
        client.manager().on(move |event| {
            let text = match event {
                ManagerEvent::ReconnectAttempt { attempt, .. } => format!("attempt {attempt}"),
                ManagerEvent::Reconnect { attempt } => format!("reconnect {attempt}"),
                _ => return,
            };
            let _ = sender.try_send(text);
        });
        client.open();
        until("the client is connected", || client.is_connected()).await;
        assert_eq!([told.recv().await.unwrap(), told.recv().await.unwrap()], ["attempt 1", "reconnect 1"]);
    });
}
