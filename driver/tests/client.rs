//! Clients whose server does what it is told: streams of events, waiting for room, and what ends when.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    collections::VecDeque,
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{FutureExt as _, StreamExt as _};
use sha1::{Digest as _, Sha1};
use sockeye_driver::{
    Ack, AckError, Args, BoxFuture, EmitError, QueueUnit, SendError, Stream,
    client::{
        Address, Client, ClientBuilder, ClientError, ClientEvent, Connector, DisconnectReason as Reason, Error, Events,
        Failure, Limits, ManagerEvent, Offline, ReceiveError, SimpleClient, Transport,
    },
};
use support::{ClientEnd, Counted, Log, Rig, Slot, pipe, rig};
use tungstenite::{Message, WebSocket, protocol::Role};

/// Bytes that a client can write before its server has to read.
const CAPACITY: usize = 10_000;

/// Where clients connect to. What they open waits here for a server.
#[derive(Clone, Default)]
struct Net {
    ends: Arc<Mutex<VecDeque<ClientEnd>>>,
    /// Connections are neither made nor refused.
    is_silent: bool,
    /// Attempts that go on.
    attempts: Counted,
}

impl Connector for Net {
    fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        if self.is_silent {
            let attempt = self.attempts.make();
            return Box::pin(async move {
                let _attempt = attempt;
                pending().await
            });
        }
        let (stream, end) = pipe(CAPACITY);
        self.ends.lock().unwrap().push_back(end);
        Box::pin(ready(Ok(Box::new(stream) as Box<dyn Stream>)))
    }
}

impl Net {
    /// A client that tries again soon; on WebSocket alone.
    fn client(&self, rig: &Rig) -> ClientBuilder {
        let builder = ClientBuilder::new("http://test", Arc::clone(&rig.runtime), Arc::new(self.clone()));
        builder.config(|config| {
            config.transports = vec![Transport::WebSocket];
            (config.reconnection_delay, config.reconnection_delay_max) =
                (Duration::from_millis(1), Duration::from_millis(2));
        })
    }

    /// The next connection.
    #[track_caller]
    fn end(&self, rig: &Rig) -> ClientEnd {
        rig.until("a connection", || !self.ends.lock().unwrap().is_empty());
        self.ends.lock().unwrap().pop_front().unwrap()
    }

    /// Answers the next client's WebSocket.
    #[track_caller]
    fn accept(&self, rig: &Rig) -> Peer {
        let end = self.end(rig);
        let head = request(rig, &end).0;
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        end.write(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        let socket = WebSocket::from_raw_socket(end.clone(), Role::Server, None);
        let mut peer = Peer { rig: rig.clone(), end, socket };
        peer.send(OPEN);
        peer
    }

    /// Answers the next client's WebSocket, and connects `/`.
    #[track_caller]
    fn join(&self, rig: &Rig) -> Peer {
        let mut peer = self.accept(rig);
        assert_eq!(peer.message(), "40");
        peer.send("40{\"sid\":\"s\"}");
        rig.run();
        peer
    }
}

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// The head and the body of a request.
#[track_caller]
fn request(rig: &Rig, end: &ClientEnd) -> (String, String) {
    let mut read = String::new();
    rig.until("a request", || {
        read.push_str(&String::from_utf8(end.read(usize::MAX)).unwrap());
        let Some((head, body)) = read.split_once("\r\n\r\n") else { return false };
        let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        body.len() >= length.unwrap_or(0)
    });
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Answers a request.
fn answer(end: &ClientEnd, body: &str) {
    end.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

/// The server's side of a WebSocket.
struct Peer {
    rig: Rig,
    end: ClientEnd,
    socket: WebSocket<ClientEnd>,
}

impl Peer {
    fn send(&mut self, message: &str) {
        self.socket.send(Message::text(message)).unwrap();
    }

    #[track_caller]
    fn message(&mut self) -> String {
        self.read().into_text().unwrap().to_string()
    }

    /// The next message, of whatever kind.
    #[track_caller]
    fn read(&mut self) -> Message {
        let mut message = None;
        let (rig, socket) = (self.rig.clone(), &mut self.socket);
        rig.until("a message of the client", || {
            message = socket.read().ok();
            message.is_some()
        });
        message.unwrap()
    }

    /// Whether the client has read all that there was.
    fn is_read(&self) -> bool {
        self.rig.run();
        self.end.unread() == 0
    }
}

/// What a stream has to give, without waiting, in short. Its end is `.`.
fn taken(events: &mut Events, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < limit
        && let Some(event) = events.next().now_or_never()
    {
        lines.push(match event {
            Some(ClientEvent::Connect { recovered }) => format!("connect {recovered}"),
            Some(ClientEvent::ConnectError(error)) => format!("connect_error {error}"),
            Some(ClientEvent::Disconnect { reason, error }) => {
                format!("disconnect {reason}{}", error.map_or_else(String::new, |error| format!(": {error}")))
            }
            Some(ClientEvent::Event(event)) => format!("{} {}", event.name(), event.args().raw()),
            Some(other) => format!("{other:?}"),
            None => {
                lines.push(".".into());
                break;
            }
        });
    }
    lines
}

fn all(events: &mut Events) -> Vec<String> {
    taken(events, usize::MAX)
}

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
        }
        // From here on somebody wants them: the newest are there, and the next ones wait their turn.
        let received = rig.wait("the oldest that is there", async move {
            let first = client.receive(None).await.map(|event| event.args().raw().to_owned());
            (first, client)
        });
        assert_eq!(received.0, Ok("97".into()));
        for n in 100..110 {
            peer.send(&format!("42[\"n\",{n}]"));
            rig.run();
        }
        assert!(!peer.is_read());
    });
}

/// What the last argument of an unanswered question keeps: nothing but the provider.
#[test]
fn a_provider_that_hangs_keeps_no_client() {
    rig(|rig| {
        for drops_future in [false, true] {
            let net = Net::default();
            let asked = Counted::default();
            let asking = asked.clone();
            let builder = net.client(&rig).auth_with(move |_| {
                let asked = asking.make();
                async move {
                    let _asked = asked;
                    pending::<Result<(), EmitError>>().await
                }
            });
            if drops_future {
                let mut connecting = Box::pin(builder.connect());
                assert!((&mut connecting).now_or_never().is_none());
                let mut peer = net.accept(&rig);
                rig.until("the question", || asked.left() == 1);
                drop(connecting);
                assert!(matches!(peer.read(), Message::Close(_)));
                peer.end.end();
            } else {
                let client = builder.start().unwrap();
                let peer = net.accept(&rig);
                rig.until("the question", || asked.left() == 1);
                // Asked anew, the question of before is forgotten.
                peer.end.reset();
                let mut peer = net.accept(&rig);
                rig.run();
                assert_eq!(asked.left(), 1);
                drop(client);
                assert!(matches!(peer.read(), Message::Close(_)));
                peer.end.end();
            }
            rig.until("nothing is left", || (asked.left(), rig.executor.tasks()) == (0, 0));
        }
    });
}

#[test]
fn whatever_a_provider_does_wrong_is_why_there_is_no_connection() {
    rig(|rig| {
        let net = Net::default();
        let text = net.client(&rig).auth(&"token").map(drop);
        assert_eq!(text.unwrap_err().to_string(), "auth is no object");
        assert!(net.client(&rig).auth(&None::<()>).is_ok());

        let no_object = net.client(&rig).auth_with(async |_| Ok::<_, EmitError>("token"));
        let panics_late = net.client(&rig).auth_with(async |_| -> Result<(), EmitError> { panic!("late") });
        let panics = net.client(&rig).auth_with(|_| -> std::future::Ready<Result<(), EmitError>> { panic!("at once") });
        let words = ["auth is no object", "panicked: late", "panicked: at once"];
        for (builder, words) in [no_object, panics_late, panics].into_iter().zip(words) {
            let connecting = rig.start(builder.connect());
            let _peer = net.accept(&rig);
            rig.until("the end", || connecting.is_ready());
            let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!("{words}") };
            assert_eq!(error, Error::Provider(words.into()));
        }
        let headers = net.client(&rig).config(|config| config.reconnection = false);
        let connecting = rig.start(
            headers.headers_with(|_| -> std::future::Ready<Result<_, EmitError>> { panic!("at once") }).connect(),
        );
        rig.until("the end", || connecting.is_ready());
        let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!() };
        assert_eq!(error, Error::Provider("panicked: at once".into()));
        // And a connector that panics.
        let builder = ClientBuilder::new("http://test", Arc::clone(&rig.runtime), Arc::new(Bomb));
        let connecting = rig.start(builder.config(|config| config.reconnection = false).connect());
        rig.until("the end", || connecting.is_ready());
        let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!() };
        assert_eq!(error.to_string(), "xhr poll error");
    });
}

struct Bomb;

impl Connector for Bomb {
    fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        panic!("it went off")
    }
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
fn disconnect_handlers_have_what_is_behind_the_reason() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let told = log.clone();
        client.on_disconnect(move |client: Client, reason: Reason, details: Option<Error>| {
            told.add(format!("{} {reason} {details:?}", client.namespace()));
            ready(())
        });
        let mut peer = net.join(&rig);
        peer.send("4nonsense");
        rig.run();
        let line = log.take().remove(0);
        assert!(line.starts_with("/ parse error Some(Packet("), "{line}");
        let peer = net.join(&rig);
        peer.end.write(&[0xff, 0xff]);
        rig.run();
        let line = log.take().remove(0);
        assert!(line.starts_with("/ transport error Some(Engine(WebSocket("), "{line}");
        net.join(&rig).socket.get_mut().reset();
        rig.run();
        assert_eq!(log.take(), ["/ transport close Some(Engine(Closed(Eof)))"]);
        net.join(&rig).send("41");
        rig.run();
        assert_eq!(log.take(), ["/ io server disconnect None"]);
    });
}

#[test]
fn the_head_of_a_response_has_bounds() {
    // Headers, and bytes of all of it.
    for (headers, bytes, taken) in [(3, 200, true), (4, 200, false), (3, 10_000, true), (3, 10_001, false)] {
        rig(move |rig| {
            let net = Net::default();
            let builder = net.client(&rig).config(|config| {
                config.transports = vec![Transport::Polling];
                (config.limits.header_count, config.limits.header_bytes) = (3, 10_000);
                config.reconnection = false;
            });
            let client = builder.auto_connect(false).start().unwrap();
            let log = Log::default();
            let told = log.clone();
            client.manager().on(move |event| match event {
                ManagerEvent::Open => told.add("open"),
                ManagerEvent::Error(error) => told.add(error.to_string()),
                _ => {}
            });
            client.open();
            let end = net.end(&rig);
            request(&rig, &end);
            let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", OPEN.len());
            for _ in 2..headers {
                head.push_str("a: 1\r\n");
            }
            let padding = bytes - head.len() - "b: \r\n\r\n".len();
            let head = format!("{head}b: {}\r\n\r\n", "x".repeat(padding));
            assert_eq!(head.len(), bytes);
            let mut rest = head + OPEN;
            while !rest.is_empty() {
                let part = rest.split_off(rest.len().min(1_000));
                end.write(std::mem::replace(&mut rest, part).as_bytes());
                rig.run();
            }
            assert_eq!(log.take(), [if taken { "open" } else { "xhr poll error" }], "{headers} in {bytes} bytes");
        });
    }
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
fn listeners_come_and_go() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let add = |line: &'static str| {
            let log = log.clone();
            move |event: &sockeye_driver::Event<Client>| log.add(format!("{line} {}", event.name()))
        };
        let (second, first) = (client.on_any(add("second")), client.prepend_any(add("first")));
        client.on_any_outgoing(add("sent second"));
        client.prepend_any_outgoing(add("sent first"));
        assert_eq!(client.listeners_any(), [first, second]);
        let on = client.on("e", support::note(&log, "on"));
        let once = client.once("e", support::note(&log, "once"));
        assert_eq!((client.listeners_of("e"), client.event_names()), (vec![on, once], vec!["e".to_owned()]));

        let manager = client.manager();
        let closes = log.clone();
        let of_manager = manager.on(move |event| {
            if let ManagerEvent::Close { .. } = event {
                closes.add("close");
            }
        });
        let mut peer = net.join(&rig);
        peer.send("42[\"e\"]");
        rig.run();
        assert_eq!(log.take(), ["first e", "second e", "on", "once"]);
        assert_eq!(client.listeners_of("e"), [on]);
        client.emit("x", &()).unwrap();
        assert_eq!(log.take(), ["sent first x", "sent second x"]);
        assert_eq!((client.off_any(), client.off_any_outgoing()), (2, 2));
        client.off_everything();
        assert!(client.event_names().is_empty() && !client.off(on));
        peer.send("42[\"e\"]");
        peer.end.reset();
        rig.run();
        assert_eq!(log.take(), ["close"]);
        assert!(manager.off(of_manager) && !manager.off(of_manager));
        net.join(&rig).end.reset();
        rig.run();
        assert_eq!(log.take(), [""; 0]);
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

#[test]
fn whatever_a_handler_does_wrong_costs_nothing_but_itself() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let faults = log.clone();
        client.on_error(move |error| faults.add(format!("{:?}: {}", error.event(), error.fault())));
        client.on("e", async |Args(_): Args<u32>| ());
        client.on("e", async || Err::<(), _>("an error"));
        client.on("e", async || -> () { panic!("a panic") });
        client.on_any(|_| panic!("of a catch-all"));
        client.on("e", support::note(&log, "the last one"));
        client.emit_then("ask", &(), |_: Result<(), _>| panic!("of a callback")).unwrap();
        let mut peer = net.join(&rig);
        assert_eq!(peer.message(), "420[\"ask\"]");
        peer.send("42[\"e\",\"no number\"]");
        peer.send("430[]");
        rig.run();
        let lines = log.take();
        let expected = [
            "panicked: of a catch-all",
            "arguments: ",
            "an error",
            "panicked: a panic",
            "the last one",
            "panicked: of a callback",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, part) in lines.iter().zip(expected) {
            assert!(line.contains(part), "{lines:?}");
        }
        assert!(client.is_connected());
    });
}
