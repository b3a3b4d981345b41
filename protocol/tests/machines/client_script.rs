//! A client against a scripted server: what no server of ours does. Recovery, servers of other versions, servers that
//! break rules, and inputs in any batches.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sockeye_protocol::{
    Instant, Seed, Text, TransportId,
    client::{
        AckOutcome, Config, Endpoint, Error, Event, Flags, Limits, Manager, Offline, Output, SocketId, SocketOptions,
        Transport,
        engine::QueueUnit,
        http::{Failure, Response},
    },
    socket::Payload,
    ws::{self, Message, OutMessage},
};

/// A client on WebSocket, and the server's part in the test's hands.
struct Script {
    client: Manager,
    now: Instant,
    transport: Option<TransportId>,
    /// What the client has said, without the `4` of Engine.IO.
    heard: Vec<String>,
    events: Vec<Event>,
    auth: Option<Payload>,
    /// Whether the server accepts WebSockets.
    accepts: bool,
    /// The one that it has not answered.
    opening: Option<TransportId>,
}

impl Script {
    fn new(config: Config) -> Self {
        let config = Config { transports: vec![Transport::WebSocket], randomization_factor: 0.0, ..config };
        let endpoint = Endpoint::parse("http://localhost:3000").unwrap();
        Self {
            client: Manager::new(config, endpoint, &Seed::for_tests(1)),
            now: Instant::ZERO,
            transport: None,
            heard: Vec::new(),
            events: Vec::new(),
            auth: None,
            accepts: true,
            opening: None,
        }
    }

    /// A client whose socket has sent its CONNECT.
    fn open(config: Config, options: SocketOptions) -> (Self, SocketId) {
        let mut script = Self::new(config);
        let socket = script.client.add_socket("/", options);
        script.client.connect(script.now, socket);
        script.drive();
        (script, socket)
    }

    /// A client whose socket is connected.
    fn connected(answer: &str) -> (Self, SocketId) {
        let (mut script, socket) = Self::open(Config::default(), SocketOptions::default());
        assert_eq!(script.take(), ["0"]);
        script.say(answer);
        assert!(script.client.is_connected(socket));
        script.events.clear();
        (script, socket)
    }

    fn drive(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Open { transport, .. } if !self.accepts => self.opening = Some(transport),
                Output::Open { transport, request } => {
                    let accept = ws::accept_key(request.header("Sec-WebSocket-Key").unwrap());
                    let headers: [(&str, &[u8]); 3] = [
                        ("Upgrade", b"websocket"),
                        ("Connection", b"Upgrade"),
                        ("Sec-WebSocket-Accept", accept.as_bytes()),
                    ];
                    let head = Response { status: 101, headers: &headers };
                    self.client.handle_upgrade(self.now, transport, &head, Bytes::new());
                    let open =
                        r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#;
                    self.client.handle_message(self.now, transport, Message::Text(open.into()));
                    self.transport = Some(transport);
                }
                Output::Shutdown { transport } => {
                    self.hear(transport);
                    self.client.handle_eof(self.now, transport);
                }
                Output::Abort { .. } => {}
                Output::Event(Event::NeedAuth(request)) => {
                    self.client.provide_auth(self.now, &request, Ok(self.auth.as_ref())).unwrap();
                }
                Output::Event(event) => self.events.push(event),
                other => panic!("{other:?}"),
            }
        }
        let unsent: Vec<_> = self.client.unsent().collect();
        unsent.into_iter().for_each(|transport| self.hear(transport));
    }

    fn hear(&mut self, transport: TransportId) {
        let Some(queue) = self.client.transmit(transport) else { return };
        while let Some(message) = queue.pop_message() {
            match message {
                OutMessage::Message(Message::Text(text)) => {
                    self.heard.push(text.strip_prefix('4').unwrap_or(&text).to_owned());
                }
                OutMessage::Message(Message::Binary(bytes)) => self.heard.push(format!("{bytes:?}")),
                OutMessage::Close(_) => self.heard.push("close".into()),
                OutMessage::Ping(_) | OutMessage::Pong(_) => {}
            }
        }
    }

    /// A Socket.IO packet of the server.
    fn say(&mut self, packet: &str) {
        let message = Message::Text(["4", packet].concat().into());
        self.client.handle_message(self.now, self.transport.unwrap(), message);
        self.drive();
    }

    fn lose(&mut self) {
        self.client.handle_eof(self.now, self.transport.take().unwrap());
        self.drive();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.client.poll_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.client.handle_timeout(next);
            self.drive();
            assert!(self.client.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = end;
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn emit(&mut self, socket: SocketId, name: &str) {
        self.client.emit(self.now, socket, &Payload::event(name, &(), 10).unwrap(), Flags::default()).unwrap();
        self.drive();
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_session_is_recovered_with_its_offset_and_what_was_missed() {
    let (mut script, socket) = Script::connected(r#"0{"sid":"a","pid":"P"}"#);
    script.auth = Some(Payload::data(&serde_json::json!({"token": 1})).unwrap());
    // A volatile event has no offset, an acknowledged one neither (item 47): these texts are the application's.
    script.say(r#"2["news",1,"off1"]"#);
    script.say(r#"25["ask","no-offset"]"#);
    script.say(r#"2["say","not an offset"]"#);
    script.events.clear();
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"P","offset":"off1","token":1}"#]);
    // What was missed comes first, and again if the connection breaks meanwhile.
    script.say(r#"2["news",2,"off2"]"#);
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"P","offset":"off1","token":1}"#]);
    script.say(r#"2["news",2,"off2"]"#);
    script.say(r#"2["news",3,"off3"]"#);
    let packets = |script: &Script| {
        let packets = script.events.iter().filter(|event| matches!(event, Event::Packet { .. })).count();
        let connected = script.events.iter().position(|event| matches!(event, Event::Connect { .. }));
        (packets, connected.map(|at| at + 1 == script.events.len()))
    };
    assert_eq!(packets(&script), (0, None));
    script.say(r#"0{"sid":"a","pid":"P"}"#);
    assert_eq!(packets(&script), (2, Some(true)));
    assert!(matches!(script.events.last(), Some(Event::Connect { recovered: true, .. })));
    assert!(script.client.is_recovered(socket));
    // Another session: the offset was of the one before.
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"P","offset":"off3","token":1}"#]);
    script.say(r#"0{"sid":"b","pid":"Q"}"#);
    assert!(matches!(script.events.last(), Some(Event::Connect { recovered: false, .. })));
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"Q","token":1}"#]);
    // A server of ours says where a session begins; whatever else stands there is nobody's.
    script.say(r#"0{"sid":"c","pid":"R","offset":"abcd.7"}"#);
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"R","offset":"abcd.7","token":1}"#]);
    script.say(r#"0{"sid":"d","pid":"Q","offset":[1]}"#);
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"Q","token":1}"#]);
    // Who leaves is not recovered.
    script.say(r#"0{"sid":"b","pid":"Q"}"#);
    script.client.disconnect(script.now, socket);
    script.client.connect(script.now, socket);
    script.drive();
    assert_eq!(script.take(), ["1", "close", r#"0{"token":1}"#]);
}

#[test]
fn the_applications_keys_win() {
    let (mut script, _) = Script::connected(r#"0{"sid":"a","pid":"P"}"#);
    script.say(r#"2["news","off1"]"#);
    script.auth = Some(Payload::data(&serde_json::json!({"offset": "mine"})).unwrap());
    script.lose();
    script.pass(secs(1));
    assert_eq!(script.take(), [r#"0{"pid":"P","offset":"mine"}"#]);
}

#[test]
fn refusals_of_every_kind_end_the_wish_to_connect() {
    for (answer, text) in [
        (r#"4{"message":"no","data":{"a":1}}"#, "no"),
        (r#"4"old server""#, "old server"),
        ("1", "io server disconnect"),
        ("0", "It seems you are trying to reach a Socket.IO server in v2.x"),
        (r#"0{"other":1}"#, "It seems you are trying to reach a Socket.IO server in v2.x"),
        (r#"0{"sid":""}"#, "It seems you are trying to reach a Socket.IO server in v2.x"),
    ] {
        let (mut script, socket) = Script::open(Config::default(), SocketOptions::default());
        script.emit(socket, "later");
        script.say(answer);
        let Some(Event::ConnectError { error, .. }) = script.events.iter().rev().nth(1) else { panic!("{answer}") };
        assert!(error.to_string().starts_with(text) && error.is_final(), "{answer}: {error}");
        assert!(!script.client.is_active(socket) && script.client.is_closed(), "{answer}");
        assert!(matches!(script.events.last(), Some(Event::Close { .. })));
        // It may be asked to try again, and has not forgotten anything.
        script.take();
        script.client.connect(script.now, socket);
        script.drive();
        script.say(r#"0{"sid":"a"}"#);
        assert_eq!(script.take(), ["0", r#"2["later"]"#], "{answer}");
    }
}

#[test]
fn what_a_server_must_not_say_is_ignored_or_ends_the_connection() {
    for packet in
        [r#"0{"sid":"b"}"#, r#"4{"message":"no"}"#, "30[]", "37[1]", r#"2/other,["e"]"#, "1/other,", "0/other,{}"]
    {
        let (mut script, socket) = Script::connected(r#"0{"sid":"a"}"#);
        script.say(packet);
        assert_eq!(script.events, [], "{packet}");
        assert_eq!(script.client.sid(socket).map(Text::as_str), Some("a"));
    }
    for packet in ["2", "2{}", "9", r#"511-["e"]"#, r#"2["connect"]"#, ""] {
        let (mut script, socket) = Script::connected(r#"0{"sid":"a"}"#);
        script.say(packet);
        let Event::Disconnect { reason, error: Some(Error::Packet(_)), .. } = &script.events[0] else {
            panic!("{packet}: {:?}", script.events)
        };
        assert_eq!(reason.as_str(), "parse error");
        assert!(script.client.is_active(socket) && script.client.waits_until().is_some(), "{packet}");
        assert_eq!(script.take(), ["close"]);
        script.pass(secs(1));
        assert_eq!(script.take(), ["0"]);
    }
}

#[test]
fn attachments_have_a_deadline() {
    let (mut script, _) = Script::connected(r#"0{"sid":"a"}"#);
    script.say(r#"51-["e",{"_placeholder":true,"num":0}]"#);
    assert!(script.client.stats().received_bytes > 0);
    script.pass(secs(29));
    assert_eq!(script.events, []);
    script.pass(secs(1));
    assert!(matches!(script.events[0], Event::Disconnect { error: Some(Error::PacketTimeout { .. }), .. }));
    assert_eq!(script.client.stats().received_bytes, 0);
}

#[test]
fn early_events_have_a_bound() {
    let limits = Limits { early_packets: 3, ..Limits::default() };
    let (mut script, _) = Script::open(Config { limits, ..Config::default() }, SocketOptions::default());
    for _ in 0..3 {
        script.say(r#"2["e"]"#);
    }
    assert_eq!(script.client.stats().early_packets, 3);
    script.say(r#"2["e"]"#);
    assert!(script.events.iter().any(|event| {
        matches!(event, Event::ConnectError { error: Error::TooManyEarlyEvents { limit: 3, value: 4, .. }, .. })
    }));
    assert_eq!((script.client.stats().early_packets, script.client.is_closed()), (0, false));
}

#[test]
fn early_events_have_a_bound_in_bytes() {
    // The name and the arguments, as they came; one of any size is taken.
    let limits = Limits { early_bytes: 20, ..Limits::default() };
    let early = |sizes: &[usize]| {
        let config = Config { limits: limits.clone(), ..Config::default() };
        let (mut script, _) = Script::open(config, SocketOptions::default());
        for size in sizes {
            script.say(&format!(r#"2["e","{}"]"#, "x".repeat(size - 3)));
        }
        let told = script.events.iter().find_map(|event| match event {
            Event::ConnectError { error: Error::TooManyEarlyEvents { limit, value, unit }, .. } => {
                Some((*unit, *limit, *value))
            }
            _ => None,
        });
        (script.client.stats().early_bytes, told)
    };
    assert_eq!(early(&[10, 10]), (20, None));
    assert_eq!(early(&[10, 11]), (0, Some((QueueUnit::Bytes, 20, 21))));
    assert_eq!(early(&[100]), (100, None));
}

#[test]
fn packets_have_a_bound_in_bytes() {
    let limits = Limits { max_packet_bytes: 60, ..Limits::default() };
    let head = r#"51-["e",{"_placeholder":true,"num":0}]"#;
    for (text, attachment) in [(format!(r#"2["{}"]"#, "x".repeat(55)), None), (head.to_owned(), Some(60 - head.len()))]
    {
        for over in [0, 1] {
            let config = Config { limits: limits.clone(), ..Config::default() };
            let (mut script, _) = Script::open(config, SocketOptions::default());
            script.say(r#"0{"sid":"a"}"#);
            script.events.clear();
            match attachment {
                None => script.say(&text.replacen('x', if over == 1 { "xx" } else { "x" }, 1)),
                Some(size) => {
                    script.say(&text);
                    let transport = script.transport.unwrap();
                    let attachment = Message::Binary(vec![1; size + over].into());
                    script.client.handle_message(script.now, transport, attachment);
                    script.drive();
                }
            }
            let Some(event) = script.events.first() else { panic!("{text}") };
            if over == 0 {
                assert!(matches!(event, Event::Packet { .. }), "{event:?}");
            } else {
                let Event::Disconnect { reason, error: Some(Error::Packet(error)), .. } = event else {
                    panic!("{event:?}")
                };
                assert_eq!(reason.as_str(), "parse error");
                assert!(error.to_string().contains("60"), "{error}");
            }
        }
    }
}

#[test]
fn an_acknowledgement_of_the_last_connection_is_nobodys() {
    let (mut script, socket) = Script::connected(r#"0{"sid":"a"}"#);
    let payload = Payload::event("ask", &(), 10).unwrap();
    let (id, _) = script.client.emit_with_ack(script.now, socket, &payload, None, Flags::default()).unwrap();
    script.say(r#"27["question"]"#);
    let Some(Event::Packet { ack: Some(token), .. }) = script.events.pop() else { panic!() };
    script.lose();
    assert!(script.events.contains(&Event::Ack { socket, id, outcome: AckOutcome::Disconnected }));
    script.events.clear();
    script.pass(secs(1));
    script.say(r#"0{"sid":"b"}"#);
    script.take();
    script.events.clear();
    let answer = Payload::ack(&(), 10).unwrap();
    assert!(script.client.reply(script.now, &token, &answer).is_err());
    script.say("30[]");
    assert_eq!((script.events.len(), script.take().len()), (0, 0));
}

#[test]
fn volatile_events_leave_at_once_or_never() {
    let (mut script, socket) = Script::connected(r#"0{"sid":"a"}"#);
    let payload = Payload::event("v", &(), 10).unwrap();
    let emit = |script: &mut Script| {
        script.client.emit(script.now, socket, &payload, Flags::VOLATILE).unwrap();
    };
    emit(&mut script);
    // The first has not left yet.
    emit(&mut script);
    script.drive();
    assert_eq!(script.take(), [r#"2["v"]"#]);
    script.lose();
    emit(&mut script);
    script.pass(secs(1));
    emit(&mut script);
    script.say(r#"0{"sid":"a"}"#);
    assert_eq!(script.take(), ["0"], "item 72: JavaScript keeps these two");
}

#[test]
fn a_removed_socket_leaves_nothing() {
    let options = SocketOptions { retries: 1, ..SocketOptions::default() };
    let (mut script, socket) = Script::open(Config::default(), options);
    let payload = Payload::event("e", &(), 10).unwrap();
    let volatile = Flags::default();
    let (first, _) = script.client.emit_with_ack(script.now, socket, &payload, None, volatile).unwrap();
    script.emit(socket, "e");
    let plain = script.client.add_socket("/plain", SocketOptions { offline: Offline::default(), ..Default::default() });
    let (second, _) = script.client.emit_with_ack(script.now, plain, &payload, Some(secs(5)), volatile).unwrap();
    script.client.remove(script.now, plain);
    script.client.remove(script.now, socket);
    script.drive();
    let acks: Vec<_> = script.events.iter().filter(|event| matches!(event, Event::Ack { .. })).collect();
    assert_eq!(
        acks,
        [
            &Event::Ack { socket: plain, id: second, outcome: AckOutcome::Disconnected },
            &Event::Ack { socket, id: first, outcome: AckOutcome::Disconnected }
        ]
    );
    // The server does not answer the close frame.
    script.pass(secs(6));
    assert!(script.client.is_drained() && script.client.poll_timeout().is_none());
    assert_eq!(script.client.stats(), Default::default());
    assert!(script.client.emit(script.now, socket, &payload, volatile).is_err());
}

/// Inputs may be handed over one by one or many at a time: what comes out is the same.
#[test]
fn outputs_do_not_depend_on_batches() {
    const SAID: [&str; 8] = [
        "40{\"sid\":\"a\"}",
        "42[\"e\",1]",
        "430[1]",
        "2",
        "41",
        "44{\"message\":\"no\"}",
        "42",
        "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
    ];
    for seed in 0..2_000_u64 {
        let runs = [1, 2, 5, usize::MAX].map(|batch| {
            let (mut script, socket) = Script::open(Config::default(), SocketOptions::default());
            let payload = Payload::event("ask", &(), 10).unwrap();
            for timeout in [2, 7, 50] {
                let timeout = Some(secs(timeout));
                script.client.emit_with_ack(script.now, socket, &payload, timeout, Flags::default()).unwrap();
            }
            script.drive();
            let transport = script.transport.unwrap();
            // It would accept another one earlier or later.
            script.accepts = false;
            let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            for step in 0..12 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                script.now = script.now + Duration::from_millis(dice % 9_000);
                match dice >> 32 & 15 {
                    what @ 0..8 => {
                        let said = SAID[what as usize];
                        script.client.handle_message(script.now, transport, Message::Text(said.into()));
                    }
                    8 => script.client.handle_eof(script.now, transport),
                    _ => script.client.handle_timeout(script.now),
                }
                if step % batch.min(100) == batch.min(100) - 1 {
                    script.drive();
                }
            }
            script.drive();
            // What was written is another matter: a connection that ends takes along what nobody has fetched.
            script.events
        });
        for run in &runs[1..] {
            assert_eq!(run, &runs[0], "seed {seed}");
        }
    }
}

/// A server that takes every client and drops it at once: each comes back once in a while, by chance, and never faster.
#[test]
fn c6_a_lure_is_followed_slowly() {
    let mut script = Script::new(Config::default());
    script.client = Manager::new(
        Config { transports: vec![Transport::WebSocket], ..Config::default() },
        Endpoint::parse("http://localhost:3000").unwrap(),
        &Seed::for_tests(6),
    );
    let socket = script.client.add_socket("/", SocketOptions::default());
    script.client.connect(script.now, socket);
    script.drive();
    let mut waits = Vec::new();
    for _ in 0..1_000 {
        assert_eq!(script.take().last().unwrap(), "0");
        script.say(r#"0{"sid":"a"}"#);
        script.lose();
        let until = script.client.waits_until().unwrap();
        waits.push(until.saturating_duration_since(script.now));
        script.pass(until.saturating_duration_since(script.now));
    }
    let bounds = Duration::from_millis(500)..=Duration::from_millis(1_500);
    assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
    let mean = waits.iter().sum::<Duration>() / 1_000;
    assert!((Duration::from_millis(950)..=Duration::from_millis(1_050)).contains(&mean), "{mean:?}");
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 300, "by chance: {}", waits.len());
    // One that refuses everybody is asked less and less often, but at least every 5 s.
    script.accepts = false;
    script.say(r#"0{"sid":"a"}"#);
    script.lose();
    let mut last = Duration::ZERO;
    for attempt in 0..100 {
        let until = script.client.waits_until().unwrap();
        last = until.saturating_duration_since(script.now);
        assert!(attempt < 4 || (secs(4)..=secs(5)).contains(&last), "{attempt}: {last:?}");
        script.pass(last);
        let transport = script.opening.take().unwrap();
        script.client.handle_open_failure(script.now, transport, Failure::Connect("refused".into()));
        script.drive();
    }
    assert!(last <= secs(5));
}

/// A device wakes up and reads all that has come at once. Who answers the first of it does so on a connection that lives:
/// the ping is behind it.
#[test]
fn a_ping_that_was_not_looked_at_yet_counts() {
    for together in [false, true] {
        let (mut script, socket) = Script::connected(r#"0{"sid":"a"}"#);
        script.take();
        let transport = script.transport.unwrap();
        script.now = script.now + secs(1_000);
        if together {
            let mut frames = BytesMut::from(&b"\x81\x0742[\"e\"]\x81\x012"[..]);
            script.client.handle_bytes(script.now, transport, &mut frames);
        } else {
            for text in ["42[\"e\"]", "2"] {
                script.client.handle_message(script.now, transport, Message::Text(text.into()));
            }
        }
        assert!(matches!(script.client.poll_output(), Some(Output::Event(Event::Packet { .. }))));
        script.emit(socket, "answer");
        assert_eq!(script.take(), [r#"2["answer"]"#, "3"], "together: {together}");
    }
}

#[test]
fn what_is_not_read_is_excused_on_the_next_connection_too() {
    let (mut script, _) = Script::connected(r#"0{"sid":"a"}"#);
    script.client.handle_withheld(script.now, true);
    script.drive();
    assert_eq!(script.client.poll_timeout(), Some(Instant::ZERO + secs(60)));
    script.lose();
    script.pass(secs(1));
    script.say(r#"0{"sid":"b"}"#);
    assert_eq!(script.client.poll_timeout(), Some(Instant::ZERO + secs(61)));
    script.client.handle_withheld(script.now, false);
    script.drive();
    assert_eq!(script.client.poll_timeout(), Some(Instant::ZERO + secs(46)));
}
