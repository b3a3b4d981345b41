//! What the client tests of both runtimes do: our client and our server over loopback, on each transport. `sockeye` is the
//! crate of the runtime.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure ends the test"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::StreamExt as _;

use super::sockeye::{
    AckError,
    client::{
        ClientError, Config as ClientConfig, DisconnectReason as Reason, Error, ManagerEvent, Offline, Transport,
    },
    prelude::*,
};

/// How each test connects: transports, and whether it upgrades.
pub(crate) const MODES: [(&str, &[Transport], bool); 3] = [
    ("polling", &[Transport::Polling], false),
    ("websocket", &[Transport::WebSocket], true),
    ("upgraded", &[Transport::Polling, Transport::WebSocket], true),
];

/// How a test sets its client up.
pub(crate) fn mode(index: usize) -> impl Fn(&mut ClientConfig) + Clone {
    let (_, transports, upgrade) = MODES[index];
    move |config| {
        config.transports = transports.to_vec();
        config.upgrade = upgrade;
        config.reconnection_delay = Duration::from_millis(20);
        config.reconnection_delay_max = Duration::from_millis(50);
    }
}

/// Events in the order in which they came.
#[derive(Clone)]
struct Log(mpsc::UnboundedSender<String>);

impl Log {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded();
        (Self(sender), receiver)
    }

    fn add(&self, line: impl Into<String>) {
        let _ = self.0.unbounded_send(line.into());
    }
}

fn url(listening: &Listening, namespace: &str) -> String {
    format!("http://{}{namespace}", listening.local_addr())
}

async fn served(io: &Server) -> Listening {
    io.listen("127.0.0.1:0").await.unwrap()
}

/// Waits until the client is on the transport that it is to end on.
async fn upgraded(client: &Client, index: usize) {
    let transport = MODES[index].1.last().unwrap().as_str();
    while client.transport() != Some(transport) {
        // Each takes a round trip.
        let _ = client.timeout(Duration::from_millis(5)).emit_with_ack::<()>("nobody answers", &()).await;
    }
}

/// Events both ways, with many arguments, binary and acknowledgements; in order.
pub(crate) async fn events(index: usize) {
    let io = Server::new(Config::default());
    io.on("echo", async |socket: Socket, args: RawArgs| {
        let values = args.to_values()?;
        match values.len() {
            2 => socket.emit("echo", &(&values[0], &values[1]))?,
            _ => socket.emit("echo", &values[0])?,
        }
        Ok::<_, BoxError>(())
    });
    io.on("sum", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
    io.on("never", async || ());
    io.on("ask", async |socket: Socket| {
        let answer: Bytes = socket.emit_with_ack("question", &("two", 2)).await?;
        socket.emit("told", &answer)?;
        Ok::<_, AckError>(())
    });
    let listening = served(&io).await;

    let (log, mut lines) = Log::new();
    let client = Client::builder(&url(&listening, "/")).config(mode(index)).connect().await.unwrap();
    assert!(client.is_connected() && client.id().is_some() && client.namespace() == "/");
    let echoed = log.clone();
    client.on("echo", move |args: RawArgs| {
        let (log, values) = (echoed.clone(), args.to_values().unwrap());
        async move { log.add(format!("{values:?}")) }
    });
    client.on("question", async |Args((text, n)): Args<(String, usize)>, ack: Ack| {
        ack.send(&Bytes::from(text.repeat(n)))
    });
    let told = log.clone();
    client.on("told", move |Args(answer): Args<Bytes>| {
        let log = told.clone();
        async move { log.add(format!("told {answer:?}")) }
    });
    for n in 0..200 {
        client.emit("echo", &(n, Bytes::from(vec![7; n]))).unwrap();
    }
    for n in 0..200_usize {
        let line = lines.next().await.unwrap();
        assert!(line.starts_with(&format!("[{n:?}")) || line.contains(&format!("{n}")), "{n}: {line}");
    }
    assert_eq!(client.emit_with_ack::<i64>("sum", &(40, 2)).await, Ok(42));
    let timeout = client.timeout(Duration::from_millis(30));
    assert_eq!(timeout.emit_with_ack::<i64>("never", &()).await, Err(AckError::Timeout));
    let (sender, receiver) = futures_channel::oneshot::channel();
    client.emit_then("sum", &(1, 2), move |sum: Result<i64, AckError>| _ = sender.send(sum)).unwrap();
    assert_eq!(receiver.await.unwrap(), Ok(3));
    client.emit("ask", &()).unwrap();
    assert_eq!(lines.next().await.unwrap(), "told b\"twotwo\"");
    client.disconnect();
    listening.shutdown(Duration::from_secs(5)).await;
}

/// Catch-all listeners see what arrives before others do, and what is sent when it is; `once` and `off` are what they say.
pub(crate) async fn listeners(index: usize) {
    let io = Server::new(Config::default());
    io.on("say", async |socket: Socket, Args(text): Args<String>| socket.emit("said", &text));
    let listening = served(&io).await;
    let (log, mut lines) = Log::new();
    // Emitted before there is a connection: reported when it is sent.
    let client = Client::builder(&url(&listening, "/")).config(mode(index)).start().unwrap();
    let (any, outgoing) = (log.clone(), log.clone());
    client.on_any(move |event| any.add(format!("any {} {}", event.name(), event.args().raw())));
    client.on_any_outgoing(move |event| outgoing.add(format!("out {} {}", event.name(), event.args().raw())));
    let (on, once) = (log.clone(), log.clone());
    let listener = client.on("said", move |Args(text): Args<String>| {
        let log = on.clone();
        async move { log.add(format!("on {text}")) }
    });
    client.once("said", move |Args(text): Args<String>| {
        let log = once.clone();
        async move { log.add(format!("once {text}")) }
    });
    client.emit("say", &"a").unwrap();
    for line in ["out say \"a\"", "any said \"a\"", "on a", "once a"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    client.emit("say", &"b").unwrap();
    for line in ["out say \"b\"", "any said \"b\"", "on b"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    assert!(client.off(listener) && !client.off(listener));
    client.emit("say", &"c").unwrap();
    for line in ["out say \"c\"", "any said \"c\""] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// Several namespaces on one connection; a refusal with its data; who comes as whom.
pub(crate) async fn namespaces(index: usize) {
    let io = Server::new(Config::default());
    io.of("/admin").middleware(async |handshake: Handshake| {
        match handshake.auth::<BTreeMap<String, String>>().ok().and_then(|auth| auth.get("token").cloned()) {
            Some(token) if token == "abc" => Ok::<_, BoxError>(()),
            _ => Err(ConnectError::with_data("not authorized", &("retry", 5))?.into()),
        }
    });
    io.of("/admin").on("who", async |socket: Socket, ack: Ack| ack.send(socket.namespace()));
    io.on("who", async |socket: Socket, ack: Ack| ack.send(socket.namespace()));
    let listening = served(&io).await;

    let client = Client::builder(&url(&listening, "/")).config(mode(index)).connect().await.unwrap();
    let refused = client.of("/admin").connect().await.unwrap_err();
    let ClientError::Connect(Error::Refused(refusal)) = &refused else { panic!("{refused:?}") };
    assert_eq!((&*refusal.message, refusal.data.as_ref().unwrap().raw()), ("not authorized", "[\"retry\",5]"));
    let unknown = client.of("/unknown").connect().await.unwrap_err();
    assert_eq!(unknown.to_string(), "Invalid namespace");

    let token = BTreeMap::from([("token", "abc")]);
    let admin = client.of("/admin").auth(&token).unwrap().connect().await.unwrap();
    assert_eq!(admin.emit_with_ack::<String>("who", &()).await.unwrap(), "/admin");
    assert_eq!(client.emit_with_ack::<String>("who", &()).await.unwrap(), "/");
    assert_ne!(admin.id(), client.id());
    assert_eq!(io.stats().connections, 1, "one connection for both");
    admin.disconnect();
    assert!(!admin.is_active() && client.is_connected());
    assert_eq!(client.emit_with_ack::<String>("who", &()).await.unwrap(), "/");
    drop((admin, client));
    listening.shutdown(Duration::from_secs(5)).await;
}

/// A server that goes and comes again: asked anew as whom, what was emitted meanwhile arrives once and in order.
pub(crate) async fn reconnection(index: usize) {
    let listening = served(&Server::new(Config::default())).await;
    let (address, first) = (listening.local_addr(), url(&listening, "/"));
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let (log, mut lines) = Log::new();
    let client = Client::builder(&first)
        .config(mode(index))
        .auth_with(move |request| {
            let count = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!(count > 0, request.last_error().is_some());
                Ok::<_, BoxError>(BTreeMap::from([("count", count)]))
            }
        })
        .connect()
        .await
        .unwrap();
    upgraded(&client, index).await;
    let gone = log.clone();
    client.on_disconnect(move |reason: Reason| {
        let log = gone.clone();
        async move { log.add(format!("disconnect {reason}")) }
    });
    let back = log.clone();
    client.on_connect(move || {
        let log = back.clone();
        async move { log.add("connect") }
    });
    let pending = client.emit_with_ack::<()>("nobody answers", &());
    // It has arrived, and no request but the poll is under way.
    let _ = client.timeout(Duration::from_millis(50)).emit_with_ack::<()>("nobody answers", &()).await;
    listening.shutdown(Duration::from_secs(5)).await;
    assert_eq!(pending.await, Err(AckError::Disconnected));
    assert_eq!(lines.next().await.unwrap(), "disconnect transport close");
    for n in 0..100 {
        client.emit("n", &n).unwrap();
    }
    assert_eq!(client.buffered().0, 100);

    let io = Server::new(Config::default());
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    io.on("n", move |Args(n): Args<i32>| {
        kept.lock().unwrap().push(n);
        std::future::ready(())
    });
    io.on("done", async |socket: Socket, ack: Ack| {
        ack.send(&socket.handshake().auth::<BTreeMap<String, usize>>().unwrap()["count"])
    });
    let listening = io.listen(address).await.unwrap();
    assert_eq!(lines.next().await.unwrap(), "connect");
    let count: usize = client.emit_with_ack("done", &()).await.unwrap();
    assert_eq!(*received.lock().unwrap(), (0..100).collect::<Vec<_>>());
    assert_eq!((count, asked.load(Ordering::SeqCst)), (1, 2));
    client.disconnect();
    assert_eq!(lines.next().await.unwrap(), "disconnect io client disconnect");
    client.open();
    assert_eq!(lines.next().await.unwrap(), "connect");
    io.disconnect_sockets(false);
    assert_eq!(lines.next().await.unwrap(), "disconnect io server disconnect");
    assert!(!client.is_active());
    drop(client);
    // On polling its goodbye may cross the server's, which waits for a GET then.
    listening.shutdown(Duration::from_millis(500)).await;
}

/// Nobody listens: the attempts are counted, and the error is that of the last one. A wait for the next attempt ends at
/// once when it is no longer wanted.
pub(crate) async fn failures(index: usize) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let builder = || Client::builder(&format!("http://{nobody}")).config(mode(index));
    let failed = builder().config(|config| config.reconnection_attempts = Some(2)).connect().await.unwrap_err();
    let text = if index == 1 { "websocket error" } else { "xhr poll error" };
    assert!(failed.to_string().starts_with(text), "{failed}");
    let failed = builder().config(|config| config.reconnection = false).connect().await.unwrap_err();
    assert!(failed.to_string().starts_with(text), "{failed}");
    assert!(matches!(Client::connect("ftp://localhost").await, Err(ClientError::Url(_))));

    let (log, mut lines) = Log::new();
    let client = builder()
        .config(|config| {
            (config.reconnection_delay, config.reconnection_delay_max) = (Duration::from_secs(600), Duration::MAX);
        })
        .offline(Offline::Reject)
        .auto_connect(false)
        .start()
        .unwrap();
    assert!(!client.is_active());
    client.manager().on(move |event| match event {
        ManagerEvent::Error(_) => log.add("error"),
        event => log.add(format!("{event:?}")),
    });
    client.open();
    assert_eq!(lines.next().await.unwrap(), "error");
    assert_eq!(client.emit("lost", &()), Err(EmitError::NotConnected));
    assert_eq!(client.volatile().emit("lost", &()), Ok(false));
    assert!(client.is_active());
    client.manager().close();
    assert!(!client.manager().is_open());
}
