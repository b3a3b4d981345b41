//! The client whose calls wait.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use sockeye_driver::{
    AckError, EmitError,
    client::{ClientError, DisconnectReason, Error, ReceiveError, SimpleClient},
};
use tungstenite::Message;

use crate::{
    net::Net,
    support::{Rig, Slot, rig},
};

#[test]
fn a_simple_client_that_only_sends_holds_up_nobody() {
    rig(|rig| {
        let net = Net::default();
        let builder = net.client(&rig).config(|config| config.limits.parked = 4);
        let connecting = rig.start(builder.connect_simple());
        let mut peer = net.join(&rig);
        let mut client = connecting.take().unwrap().unwrap();
        for n in 0..100 {
            peer.send(&format!("42[\"n\",{n}]"));
            assert!(peer.is_read());
            if n % 25 == 0 {
                // What tells of that is not taken, either.
                peer.end.reset();
                peer = net.join(&rig);
            }
        }
        // From here on somebody wants them: the newest are there, and the next ones wait their turn.
        let received = rig.wait("the oldest that is there", async move {
            let first = client.receive(None).await.map(|event| event.args().raw().to_owned());
            (first, client)
        });
        assert_eq!(received.0, Ok("96".into()));
        for n in 100..110 {
            peer.send(&format!("42[\"n\",{n}]"));
            rig.run();
        }
        assert!(!peer.is_read());
    });
}

#[test]
fn a_simple_client_hides_that_connections_come_and_go() {
    rig(|rig| {
        let net = Net::default();
        let connecting = rig.start(net.client(&rig).connect_simple());
        let mut peer = net.accept(&rig);
        assert_eq!(peer.message(), "40");
        // What comes with the answer is not missed.
        peer.send("40{\"sid\":\"s\"}");
        peer.send("42[\"welcome\",1]");
        rig.run();
        let mut client = connecting.take().unwrap().unwrap();
        // Each call gives the client back.
        let receive = |rig: &Rig, mut client: SimpleClient, timeout: Option<Duration>| {
            rig.wait("an event", async move {
                let received = client.receive(timeout).await;
                (received.map(|event| (event.name().to_owned(), event.args().raw().to_owned())), client)
            })
        };
        let received;
        (received, client) = receive(&rig, client, None);
        assert_eq!(received, Ok(("welcome".into(), "1".into())));
        let received;
        (received, client) = receive(&rig, client, Some(Duration::from_millis(1)));
        assert_eq!(received, Err(ReceiveError::Timeout));

        peer.end.reset();
        rig.run();
        let client = Arc::new(client);
        let emits: Vec<Slot<_>> = (1..=2)
            .map(|n| {
                let client = Arc::clone(&client);
                let slot = rig.start(async move { client.emit("n", &n).await });
                rig.run();
                slot
            })
            .collect();
        let calling = Arc::clone(&client);
        let call = rig.start(async move { calling.call::<u32>("ask", &3, Duration::from_secs(3_600)).await });
        rig.run();
        assert!(!emits[0].is_ready() && !emits[1].is_ready() && !call.is_ready());
        let mut peer = net.join(&rig);
        for message in ["42[\"n\",1]", "42[\"n\",2]", "420[\"ask\",3]"] {
            assert_eq!(peer.message(), message);
        }
        assert!(emits.iter().all(|slot| slot.take() == Some(Ok(()))));
        peer.send("430[33]");
        peer.send("42[\"last\"]");
        rig.run();
        assert_eq!(call.take(), Some(Ok(33)));

        // A call that waits for a connection ends when there will be none.
        peer.end.reset();
        rig.run();
        let calling = Arc::clone(&client);
        let call = rig.start(async move { calling.call::<u32>("ask", &4, Duration::from_secs(3_600)).await });
        let emitting = Arc::clone(&client);
        let emit = rig.start(async move { emitting.emit("n", &5).await });
        rig.run();
        assert!(!call.is_ready() && !emit.is_ready());
        client.client().disconnect();
        rig.run();
        assert_eq!((call.take(), emit.take()), (Some(Err(AckError::Disconnected)), Some(Err(EmitError::NotConnected))));
        let emit = client.emit("n", &6).now_or_never();
        assert_eq!(emit, Some(Err(EmitError::NotConnected)));
        let call = client.call::<()>("n", &6, Duration::from_secs(3_600)).now_or_never();
        assert_eq!(call, Some(Err(AckError::Disconnected)));
        let client = Arc::into_inner(client).unwrap();
        let (received, client) = receive(&rig, client, None);
        assert_eq!(received, Ok(("last".into(), String::new())));
        let (received, client) = receive(&rig, client, None);
        assert_eq!(received, Err(ReceiveError::Disconnected));
        drop(client);

        // Refused, it is none.
        let connecting = rig.start(net.client(&rig).connect_simple());
        let mut peer = net.accept(&rig);
        assert_eq!(peer.message(), "40");
        peer.send("44{\"message\":\"no\"}");
        rig.run();
        let refused = connecting.take().unwrap().unwrap_err();
        assert!(matches!(&refused, ClientError::Connect(Error::Refused(_))) && refused.to_string() == "no");
    });
}

#[test]
fn a_simple_client_leaves_behind_what_it_sent() {
    rig(|rig| {
        // Alone on its connection, it closes that.
        let net = Net::default();
        let connecting = rig.start(net.client(&rig).connect_simple());
        let mut peer = net.join(&rig);
        let client = connecting.take().unwrap().unwrap();
        let inner = client.client().clone();
        inner.emit("last", &"words").unwrap();
        client.disconnect();
        assert_eq!(peer.message(), "42[\"last\",\"words\"]");
        assert!(matches!(peer.read(), Message::Close(_)));
        peer.end.end();
        rig.run();
        assert!(!inner.is_connected() && !inner.is_active());
        let ended = inner.clone();
        let ended = rig.wait("its end", async move { ended.closed().await });
        assert_eq!(ended, Error::Closed(DisconnectReason::ClientDisconnect));
        // Nor does it come back with another namespace.
        let other = inner.of("/other").start();
        other.open();
        let mut peer = net.accept(&rig);
        assert_eq!(peer.message(), "40/other,");
        peer.send("40/other,{\"sid\":\"o\"}");
        rig.run();

        // Where another namespace goes on, it leaves its own.
        let connecting = rig.start(other.of("/third").connect_simple());
        assert_eq!(peer.message(), "40/third,");
        peer.send("40/third,{\"sid\":\"t\"}");
        rig.run();
        connecting.take().unwrap().unwrap().disconnect();
        assert_eq!(peer.message(), "41/third,");
        assert!(other.is_connected());
    });
}
