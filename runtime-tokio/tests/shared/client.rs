//! The client tests of both runtimes: our client and our server over loopback, on each transport. The test crate has the
//! runtime's crate as `sockeye`, and `block_on`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure ends the test"
)]

mod certificate;
#[path = "client/network.rs"]
mod network;
#[allow(dead_code, reason = "its program is another one")]
#[path = "../../examples/shared/proxy.rs"]
mod proxy;
#[path = "client/pull.rs"]
mod pull;
#[path = "client/raw.rs"]
mod raw;
#[path = "client/tls.rs"]
mod tls;

use std::{
    collections::BTreeMap,
    net::TcpListener,
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
    self, AckError,
    client::{
        ClientError, Config as ClientConfig, DisconnectReason as Reason, Error, ManagerEvent, Offline, Transport,
    },
    prelude::*,
};

/// Each test, on each transport.
macro_rules! on_each_transport {
    ($($name:ident: $test:path;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn polling() {
                crate::block_on($test(0));
            }

            #[test]
            fn websocket() {
                crate::block_on($test(1));
            }

            #[test]
            fn upgraded() {
                crate::block_on($test(2));
            }
        }
    )*};
}
on_each_transport! {
    on_events: events;
    on_typed_events: typed_events;
    on_listeners: listeners;
    on_namespaces: namespaces;
    on_reconnection: reconnection;
    on_failures: failures;
    on_streams: pull::streams;
    on_simple_clients: pull::simple;
    on_authentication: network::authentication;
    on_ipv6: network::ipv6;
    on_proxies: network::proxies;
    on_tls: tls::tls;
}

/// Each test.
macro_rules! once {
    ($($name:ident: $test:path;)*) => {$(
        #[test]
        fn $name() {
            crate::block_on($test());
        }
    )*};
}
once! {
    sessions_begin_on_connections_of_their_own: fresh_connections;
    handshakes_are_redirected: network::redirections;
    headers_are_asked_for: network::headers;
    cookies_come_back: network::cookies;
    what_is_under_way_ends_with_whoever_wanted_it: network::cancelling;
    upgrades_are_remembered_together: network::remembered_upgrades;
}

/// How each test connects: transports, and whether it upgrades.
const MODES: [(&str, &[Transport], bool); 3] = [
    ("polling", &[Transport::Polling], false),
    ("websocket", &[Transport::WebSocket], true),
    ("upgraded", &[Transport::Polling, Transport::WebSocket], true),
];

/// How a test sets its client up.
fn mode(index: usize) -> impl Fn(&mut ClientConfig) + Clone {
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
async fn events(index: usize) {
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
        let (log, whole) = (echoed.clone(), args.deserialize::<(usize, Bytes)>().unwrap());
        async move { log.add(format!("{whole:?}")) }
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
        assert_eq!(lines.next().await.unwrap(), format!("{:?}", (n, Bytes::from(vec![7; n]))));
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
async fn listeners(index: usize) {
    let io = Server::new(Config::default());
    io.on("say", async |socket: Socket, Args(text): Args<String>| socket.emit("said", &text));
    let listening = served(&io).await;
    let (log, mut lines) = Log::new();
    // Emitted before there is a connection: reported when it is sent.
    let client = Client::builder(&url(&listening, "/")).config(mode(index)).start().unwrap();
    let any = log.clone();
    client.on_any(move |event| any.add(format!("any {} {}", event.name(), event.args().raw())));
    // Apart from the others, which may be quicker than whoever emits.
    let (outgoing, mut sent) = Log::new();
    client.on_any_outgoing(move |event| outgoing.add(format!("{} {}", event.name(), event.args().raw())));
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
    assert_eq!(sent.next().await.unwrap(), "say \"a\"");
    for line in ["any said \"a\"", "on a", "once a"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    client.emit("say", &"b").unwrap();
    assert_eq!(sent.next().await.unwrap(), "say \"b\"");
    for line in ["any said \"b\"", "on b"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    assert!(client.off(listener) && !client.off(listener));
    client.emit("say", &"c").unwrap();
    assert_eq!(sent.next().await.unwrap(), "say \"c\"");
    assert_eq!(lines.next().await.unwrap(), "any said \"c\"");
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// Many arguments, and an acknowledgement of many.
#[derive(Debug, PartialEq, TypedEvent)]
#[event(name = "file upload", ack = (usize, Bytes))]
struct Upload {
    name: String,
    content: Bytes,
    note: Option<String>,
}

/// No arguments, and no name but its own; the crate is called as it is here.
#[derive(TypedEvent)]
#[event(ack = u8, crate = super::sockeye)]
struct HowMany;

/// One argument, which is an array.
#[derive(TypedEvent)]
struct MovedTo((i32, i32));

/// Both ends have the same typed events, which are plain ones on the wire; arguments that do not fit are reported as those of
/// `Args` are.
async fn typed_events(index: usize) {
    let io = Server::new(Config::default());
    let (log, mut lines) = Log::new();
    io.of("/").with_state(log.clone()).on_event(
        async |socket: Socket, State(log): State<Log>, upload: Upload, ack: Ack<Upload>| {
            log.add(format!("{} {:?} {}", upload.name, upload.note, ack.is_requested()));
            ack.send(&(upload.content.len(), upload.content))?;
            let many = socket.timeout(Duration::from_secs(10)).emit_event_with_ack(&HowMany).await?;
            log.add(format!("{many} are there"));
            Ok::<_, BoxError>(())
        },
    );
    io.on_connect(async |socket: Socket| socket.join("map").map(drop));
    let room = io.to("map");
    io.on_event(move |socket: Socket, moved: MovedTo| {
        let room = room.clone();
        async move {
            socket.emit_event(&moved)?;
            assert_eq!(room.emit_event(&moved)?, 1);
            Ok::<_, EmitError>(())
        }
    });
    io.once_event(async |_: HowMany, ack: Ack<HowMany>| ack.send(&1));
    let faults = log.clone();
    io.on_error(move |error: &HandlerError| faults.add(format!("{:?}: {}", error.event(), error.fault())));
    let listening = served(&io).await;

    let client = Client::builder(&url(&listening, "/")).config(mode(index)).connect().await.unwrap();
    // Apart from the others, which may be quicker than whoever emits.
    let (sent, mut on_wire) = Log::new();
    client.on_any_outgoing(move |event| sent.add(format!("{}: {}", event.name(), event.args().raw())));
    client.on_event(async |ack: Ack<HowMany>| ack.send(&7));
    let (every, once) = (log.clone(), log.clone());
    client.on_event(move |client: Client, MovedTo(to): MovedTo| {
        every.add(format!("moved to {to:?} in {}", client.namespace()));
        async {}
    });
    client.once_event(move |MovedTo(to): MovedTo| {
        once.add(format!("first to {to:?}"));
        async {}
    });

    let upload = Upload { name: "a.bin".into(), content: Bytes::from_static(b"\0\x01"), note: None };
    assert_eq!(client.emit_event_with_ack(&upload).await, Ok((2, upload.content.clone())));
    let wire = r#"file upload: "a.bin",{"_placeholder":true,"num":0},null"#;
    assert_eq!(on_wire.next().await.unwrap(), wire);
    for line in ["a.bin None true", "7 are there"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    client.emit_event(&MovedTo((3, -4))).unwrap();
    // To this one, and to its room.
    assert_eq!(on_wire.next().await.unwrap(), "moved_to: [3,-4]");
    for line in ["moved to (3, -4) in /", "first to (3, -4)", "moved to (3, -4) in /"] {
        assert_eq!(lines.next().await.unwrap(), line);
    }
    assert_eq!(io.emit_event(&MovedTo((0, 0))), Ok(1));
    assert_eq!(lines.next().await.unwrap(), "moved to (0, 0) in /");

    // A listener for one event hears one; the other is never answered.
    assert_eq!(client.emit_event_with_ack(&HowMany).await, Ok(1));
    let soon = client.timeout(Duration::from_millis(30));
    assert_eq!(soon.emit_event_with_ack(&HowMany).await, Err(AckError::Timeout));
    for _ in 0..2 {
        assert_eq!(on_wire.next().await.unwrap(), "how_many: ");
    }

    // A plain event is what the type says, or reported; what is too much is ignored.
    io.on("plain", async |Args(_): Args<(String, Bytes)>| ());
    for event in [Upload::NAME, "plain"] {
        client.emit(event, &("a.bin", 1)).unwrap();
    }
    let mut reported = Vec::new();
    for event in [Upload::NAME, "plain"] {
        let line = lines.next().await.unwrap();
        let fault = line.strip_prefix(&format!("Some({event:?}): arguments: "));
        reported.push(fault.unwrap_or_else(|| panic!("{line}")).to_owned());
    }
    assert_eq!(reported[0], reported[1]);
    client.emit(Upload::NAME, &("b.bin", Bytes::new(), "a note", "too much")).unwrap();
    assert_eq!(lines.next().await.unwrap(), "b.bin Some(\"a note\") false");
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// Several namespaces on one connection; a refusal with its data; who comes as whom.
async fn namespaces(index: usize) {
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
async fn reconnection(index: usize) {
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
async fn failures(index: usize) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
}

/// A session begins on a connection of its own: what is left of the one before may be as dead as that, and say nothing.
async fn fresh_connections() {
    let (handshakes, mut seen) = mpsc::unbounded();
    // Each session is opened, and gone at its first GET.
    let address = raw::http(move |request| {
        Some(match request {
            _ if request.line.starts_with("POST") => raw::response("200 OK", "", "ok"),
            _ if request.is_handshake() => {
                let _ = handshakes.unbounded_send(request.before);
                raw::response("200 OK", "", raw::OPEN)
            }
            _ => raw::response("502 Bad Gateway", "", ""),
        })
    });
    let client = Client::builder(&format!("http://{address}")).config(mode(0)).start().unwrap();
    for _ in 0..3 {
        assert_eq!(seen.next().await, Some(0), "requests on that connection before the handshake");
    }
    drop(client);
}
