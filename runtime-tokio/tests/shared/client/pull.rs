//! Clients that are pulled from: streams of events, and calls that wait.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future};

use super::{mode, served, upgraded, url};
use crate::sockeye::{
    client::{ClientEvent, DisconnectReason as Reason, ManagerEvent, ReceiveError, SimpleClient},
    prelude::*,
};

#[derive(TypedEvent)]
#[event(ack = u32)]
struct Double(u32);

/// A stream has what handlers have, binary and acknowledgements too, and goes on across connections.
pub(crate) async fn streams(index: usize) {
    let io = Server::new(Config::default());
    io.on_connect(async |socket: Socket| socket.emit("welcome", &Bytes::from_static(b"\0\x01")));
    io.on("ask", async |socket: Socket, ack: Ack| {
        let doubled = socket.emit_event_with_ack(&Double(21)).await?;
        ack.send(&doubled)?;
        Ok::<_, BoxError>(())
    });
    let listening = served(&io).await;
    let client = Client::builder(&url(&listening, "/")).config(mode(index)).auto_connect(false).start().unwrap();
    let mut of_manager = client.manager().events();
    let mut events = client.events();
    client.open();
    assert!(matches!(events.next().await, Some(ClientEvent::Connect { recovered: false })));
    let welcome = events.next().await.unwrap().into_event().unwrap();
    assert_eq!((welcome.name(), welcome.args().deserialize()), ("welcome", Ok(Bytes::from_static(b"\0\x01"))));
    let asked = client.emit_with_ack::<u32>("ask", &());
    let doubling = events.next().await.unwrap().into_event().unwrap();
    let Some(Ok(Double(number))) = doubling.typed() else { panic!("{doubling:?}") };
    doubling.ack().unwrap().send(&(number * 2)).unwrap();
    assert_eq!(asked.await, Ok(42));
    upgraded(&client, index).await;

    let address = listening.local_addr();
    listening.shutdown(Duration::from_secs(5)).await;
    assert!(matches!(events.next().await, Some(ClientEvent::Disconnect { reason: Reason::TransportClose, .. })));
    let listening = Server::new(Config::default()).listen(address).await.unwrap();
    loop {
        match events.next().await.unwrap() {
            ClientEvent::ConnectError(error) => println!("not yet: {error}"),
            ClientEvent::Connect { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    client.disconnect();
    assert!(matches!(
        events.next().await,
        Some(ClientEvent::Disconnect { reason: Reason::ClientDisconnect, error: None })
    ));
    assert!(events.next().await.is_none());
    // Events have a handle of their client, too.
    drop((client, welcome, doubling));
    let told: Vec<ManagerEvent> = of_manager.by_ref().collect().await;
    let is = |event: &ManagerEvent, open: bool| match open {
        true => *event == ManagerEvent::Open,
        false => matches!(event, ManagerEvent::Close { .. }),
    };
    let count = |open| told.iter().filter(|event| is(event, open)).count();
    assert_eq!((count(true), count(false)), (2, 2), "{told:?}");
    listening.shutdown(Duration::from_secs(5)).await;
}

/// One thing after the other, whatever becomes of the connection meanwhile.
pub(crate) async fn simple(index: usize) {
    let serve = || {
        let io = Server::new(Config::default());
        io.on_connect(async |socket: Socket| socket.emit("welcome", &()));
        io.on("say", async |socket: Socket, Args(text): Args<String>| socket.emit("said", &text));
        io.on("sum", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
        io
    };
    let io = serve();
    let listening = served(&io).await;
    let patience = Duration::from_secs(60);
    let builder = Client::builder(&url(&listening, "/")).config(mode(index));
    let mut client = builder.connect_simple().await.unwrap();
    upgraded(client.client(), index).await;
    assert_eq!(client.receive(patience).await.unwrap().name(), "welcome");
    client.emit("say", &"a").await.unwrap();
    assert_eq!(client.receive(None).await.unwrap().args().raw(), "\"a\"");
    assert_eq!(client.call::<i64>("sum", &(1, 2), patience).await, Ok(3));
    assert_eq!(client.call::<i64>("nobody", &(), Duration::from_millis(10)).await, Err(AckError::Timeout));
    assert_eq!(client.receive(Duration::from_millis(10)).await.unwrap_err(), ReceiveError::Timeout);

    let address = listening.local_addr();
    let closed = client.client().manager().events();
    listening.shutdown(Duration::from_secs(5)).await;
    let _ = closed.filter(|event| future::ready(matches!(event, ManagerEvent::Close { .. }))).next().await;
    // All of these wait for the next server, and come to it in this order.
    let calls = async {
        let emits = future::join(client.emit("say", &"b"), client.emit("say", &"c"));
        future::join(emits, client.call::<i64>("sum", &(3, 4), patience)).await
    };
    let io = serve();
    let ((emits, sum), listening) = future::join(calls, io.listen(address)).await;
    assert_eq!((emits, sum), ((Ok(()), Ok(())), Ok(7)));
    let listening = listening.unwrap();
    let mut received = Vec::new();
    while received.len() < 3 {
        let event = client.receive(patience).await.unwrap();
        received.push(format!("{} {}", event.name(), event.args().raw()));
    }
    assert_eq!(received, ["welcome ", "said \"b\"", "said \"c\""]);
    // The server's last word is heard.
    io.emit("bye", &()).unwrap();
    io.disconnect_sockets(false);
    assert_eq!(client.receive(patience).await.unwrap().name(), "bye");
    assert_eq!(client.receive(patience).await.unwrap_err(), ReceiveError::Disconnected);
    assert_eq!(client.emit("say", &"d").await, Err(EmitError::NotConnected));
    drop(client);
    let refused = SimpleClient::connect(&url(&listening, "/unknown")).await.unwrap_err();
    assert_eq!(refused.to_string(), "Invalid namespace");
    // On polling its goodbye may cross the server's, which waits for a GET then.
    listening.shutdown(Duration::from_millis(500)).await;
}
