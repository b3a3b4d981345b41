//! `Connection` and `Hub` without `Server`: a driver with mailboxes, which delivers late.

use std::{collections::VecDeque, time::Duration};

use sockeye_protocol::{
    Config, Instant, Limits, Output, QueuePolicy, RequestId, Route, Seed, SocketKey, Text, TransportId,
    engine::Message,
    http::{Body, Request},
    server::{
        AckOutcome, ConnectRequest, Connection, ConnectionEvent, ConnectionOutput, DisconnectReason, EmitError, Event,
        Hub, HubEvent, Server, Stats,
    },
    socket::{EncodeError, Payload},
    ws::OutMessage,
};

const UPGRADE: [(&str, &[u8]); 4] = [
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
];

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn limits(change: impl FnOnce(&mut Limits)) -> Config {
    config(|config| change(&mut config.limits))
}

fn get<'a>(target: &'a str, headers: &'a [(&'a str, &'a [u8])]) -> Request<'a> {
    Request { method: "GET", target, headers, peer: None, secure: false }
}

fn payload<T: serde::Serialize>(args: T) -> Payload {
    Payload::event("e", &args, 10).unwrap()
}

/// A hub, one connection over WebSocket, and what is on its way between them.
struct Driver {
    hub: Hub,
    connection: Connection,
    transport: TransportId,
    now: Instant,
    to_hub: VecDeque<ConnectionEvent>,
    to_connection: VecDeque<HubEvent>,
    requests: Vec<ConnectRequest>,
    events: Vec<Event>,
}

impl Driver {
    fn new(config: Config, namespaces: &[&str]) -> Self {
        let now = Instant::from_millis(1_000);
        let mut hub = Hub::new(config, &Seed::for_tests(1));
        for name in namespaces {
            hub.add_namespace(name);
        }
        let head = get("/socket.io/?EIO=4&transport=websocket", &UPGRADE);
        let mut connection = hub.open(now, &head);
        connection.handle_request(now, RequestId(1), &head, Body::EMPTY);
        let Some(ConnectionOutput::Upgrade { transport, .. }) = connection.poll_output() else { panic!() };
        let (to_hub, to_connection) = (VecDeque::new(), VecDeque::new());
        let mut driver =
            Self { hub, connection, transport, now, to_hub, to_connection, requests: Vec::new(), events: Vec::new() };
        driver.poll();
        assert!(driver.sent()[0].starts_with("0{"));
        driver
    }

    /// Everything that the connection has to say; what is for the hub waits.
    fn poll(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            match output {
                ConnectionOutput::Hub(event) => self.to_hub.push_back(event),
                ConnectionOutput::Event(Event::Connect(request)) => self.requests.push(request),
                ConnectionOutput::Event(event) => self.events.push(event),
                _ => {}
            }
        }
    }

    /// Delivers the mail of both sides, as long as there is any.
    fn deliver(&mut self) {
        loop {
            self.poll();
            if let Some(event) = self.to_hub.pop_front() {
                let mail = &mut self.to_connection;
                self.hub.handle_event(self.now, self.connection.key(), event, &mut |_, event| mail.push_back(event));
            } else if let Some(event) = self.to_connection.pop_front() {
                self.connection.handle_hub_event(self.now, event);
            } else {
                return;
            }
        }
    }

    fn receive(&mut self, text: impl Into<Text>) {
        self.connection.handle_message(self.now, self.transport, Message::Text(text.into()));
    }

    fn connect(&mut self, namespace: &str) -> SocketKey {
        self.receive(format!("40{namespace},"));
        self.deliver();
        let request = self.requests.pop().unwrap();
        let socket = self.connection.accept(self.now, request).unwrap();
        self.deliver();
        socket
    }

    fn tick(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.connection.handle_timeout(self.now);
        self.deliver();
    }

    /// What was queued for the client, which reads it now.
    fn sent(&mut self) -> Vec<String> {
        let Some(queue) = self.connection.transmit(self.transport) else { return Vec::new() };
        let mut sent = Vec::new();
        while let Some(message) = queue.pop_message() {
            if let OutMessage::Message(Message::Text(text)) = message {
                sent.push(text.to_string());
            }
        }
        sent
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

#[test]
fn parts_can_live_in_threads_of_their_own() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    send::<Connection>();
    send::<Hub>();
    send::<Server>();
    shared::<HubEvent>();
    shared::<ConnectionEvent>();
    shared::<Event>();
    shared::<Payload>();
}

#[test]
fn a_namespace_that_is_found_after_the_client_went_leaves_nothing_behind() {
    let mut driver = Driver::new(Config::default(), &[]);
    driver.receive("40");
    driver.poll();
    driver.connection.handle_eof(driver.now, driver.transport);
    driver.poll();
    assert!(!driver.connection.is_drained(), "the hub's answer is still to come");
    driver.deliver();
    assert!(driver.connection.is_drained());
    assert_eq!(driver.hub.stats(), nothing_but_namespaces(1));
    assert_eq!(driver.connection.stats(), nothing_but_namespaces(0));
}

fn nothing_but_namespaces(namespaces: usize) -> Stats {
    let mut stats = Stats::default();
    stats.namespaces = namespaces;
    stats
}

#[test]
fn a_joined_namespace_does_not_keep_the_message_that_asked_for_it() {
    let mut driver = Driver::new(Config::default(), &["/a"]);
    let text = Text::from(format!("40/a,{{\"token\":\"{}\"}}", "x".repeat(100_000)));
    driver.receive(text.clone());
    driver.deliver();
    let request = driver.requests.pop().unwrap();
    assert_eq!(request.namespace(), "/a");
    assert!(!text.as_shared().is_unique(), "the request has `auth`");
    driver.connection.accept(driver.now, request).unwrap();
    driver.deliver();
    // The driver's own copy of what it handed over is gone.
    assert!(text.as_shared().is_unique());
}

#[test]
fn an_ack_that_was_never_asked_for_never_ends() {
    let full = limits(|limits| limits.send_queue_packets = 2);
    let mut driver = Driver::new(Config { queue_policy: QueuePolicy::Disconnect, ..full }, &[]);
    let socket = driver.connect("/");
    let _ = driver.sent();
    let timeout = Duration::from_secs(1);
    for _ in 0..2 {
        driver.connection.emit_with_ack(driver.now, socket, &payload(1), timeout).unwrap();
    }
    let refused = driver.connection.emit_with_ack(driver.now, socket, &payload(1), timeout);
    assert_eq!(refused, Err(EmitError::NotConnected));
    driver.deliver();
    let events = driver.events();
    let acks = events.iter().filter(|event| matches!(event, Event::Ack { .. })).count();
    assert_eq!(acks, 2, "{events:?}");
    assert!(events.iter().any(|event| matches!(
        event,
        Event::Disconnect { reason: DisconnectReason::SlowConsumer, error: Some(_), .. }
    )));
}

#[test]
fn an_ack_timeout_of_zero_has_a_deadline_too() {
    let mut driver = Driver::new(Config::default(), &[]);
    let socket = driver.connect("/");
    driver.tick(0);
    driver.connection.emit_with_ack(driver.now, socket, &payload(1), Duration::ZERO).unwrap();
    let due = driver.connection.poll_timeout().unwrap();
    assert!(due > driver.now && due <= driver.now + Duration::from_millis(1), "{due:?}");
    driver.tick(1);
    assert!(matches!(driver.events()[..], [Event::Ack { outcome: AckOutcome::Timeout, .. }]));
}

#[test]
fn an_endless_timeout_is_no_deadline() {
    let config = config(|config| {
        config.connect_timeout = Duration::MAX;
        config.ping_interval = Duration::MAX;
    });
    let mut driver = Driver::new(config, &[]);
    assert_eq!(driver.connection.poll_timeout(), None);
    let socket = driver.connect("/");
    driver.connection.emit_with_ack(driver.now, socket, &payload(1), Duration::MAX).unwrap();
    assert_eq!(driver.connection.poll_timeout(), None);
}

#[test]
fn namespaces_that_this_side_left_do_not_count_as_joined() {
    let names: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut driver = Driver::new(limits(|limits| limits.namespaces = 4), &names);
    for name in &names {
        let socket = driver.connect(name);
        driver.connection.disconnect(driver.now, socket, false);
        driver.deliver();
        // On its way before the client knew.
        driver.receive(format!("42{name},[\"late\"]"));
        driver.deliver();
    }
    assert!(driver.connection.stats().left_namespaces <= 4);
    for name in &names[..4] {
        driver.connect(name);
    }
    let _ = driver.sent();
    driver.receive("40/9,");
    driver.deliver();
    assert!(driver.requests.is_empty());
    assert_eq!(driver.sent(), [r#"44/9,{"message":"Too many namespaces: 4 are joined, the limit is 4"}"#]);
    assert!(!driver.events().iter().any(|event| matches!(event, Event::Close { .. })));
}

#[test]
fn dropping_the_oldest_drops_no_packet_of_the_protocol() {
    let full = limits(|limits| limits.send_queue_packets = 3);
    let mut driver = Driver::new(Config { queue_policy: QueuePolicy::DropOldest, ..full }, &["/a"]);
    let main = driver.connect("/");
    let other = driver.connect("/a");
    for number in 0..5 {
        driver.connection.emit(driver.now, main, &payload(number)).unwrap();
    }
    let sent = driver.sent();
    assert!(sent[0].starts_with("40{") && sent[1].starts_with("40/a,{"), "{sent:?}");
    assert_eq!(sent.len(), 3);
    // Once they are on their way, the oldest are dropped again.
    for number in 0..5 {
        driver.connection.emit(driver.now, main, &payload(number)).unwrap();
    }
    assert_eq!(driver.sent(), [r#"42["e",2]"#, r#"42["e",3]"#, r#"42["e",4]"#]);
    driver.connection.disconnect(driver.now, other, false);
    for number in 0..5 {
        driver.connection.emit(driver.now, main, &payload(number)).unwrap();
    }
    assert_eq!(driver.sent()[0], "41/a,");
}

#[test]
fn a_stale_key_reaches_nothing() {
    let mut driver = Driver::new(Config::default(), &["/a"]);
    let old = driver.connect("/a");
    driver.connection.emit_with_ack(driver.now, old, &payload(1), Duration::from_secs(1)).unwrap();
    driver.receive("41/a,");
    let new = driver.connect("/a");
    assert_ne!(old, new);
    let _ = (driver.sent(), driver.events());
    assert_eq!(driver.connection.emit(driver.now, old, &payload(1)), Err(EmitError::NotConnected));
    driver.connection.disconnect(driver.now, old, true);
    driver.connection.set_queue_policy(old, QueuePolicy::DropNewest);
    assert!(driver.hub.join(old, "r").is_err() && !driver.hub.leave(old, "r"));
    // The answer to the old socket's question is none to the new one's.
    driver.receive("43/a,0[]");
    driver.deliver();
    assert!(driver.events().is_empty() && driver.sent().is_empty());
    assert_eq!(driver.hub.connection(new), Some(driver.connection.key()));
}

#[test]
fn verbs_after_the_end_do_nothing() {
    let mut driver = Driver::new(Config::default(), &["/a"]);
    let socket = driver.connect("/");
    driver.receive("40/a,");
    driver.deliver();
    let request = driver.requests.pop().unwrap();
    driver.connection.shutdown(driver.now);
    driver.connection.shutdown(driver.now);
    assert!(driver.connection.accept(driver.now, request).is_err());
    driver.connection.disconnect(driver.now, socket, true);
    assert_eq!(driver.connection.emit(driver.now, socket, &payload(1)), Err(EmitError::NotConnected));
    driver.receive("42[\"late\"]");
    driver.deliver();
    let events = driver.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Disconnecting { reason: DisconnectReason::ServerShuttingDown, .. },
                Event::Disconnect { reason: DisconnectReason::ServerShuttingDown, .. },
                Event::Close { .. }
            ]
        ),
        "{events:?}"
    );
    driver.connection.handle_eof(driver.now, driver.transport);
    driver.deliver();
    assert!(driver.connection.is_drained());
    assert_eq!(driver.hub.stats(), nothing_but_namespaces(2));
}

/// The hub's answer belongs to the packet that asked, not to the latest input of some other connection.
#[test]
fn a_refusal_happens_when_its_packet_arrived_however_inputs_are_batched() {
    let run = |batched: bool| {
        let mut server = Server::new(limits(|limits| limits.failed_namespaces = 0), &Seed::for_tests(1));
        let start = Instant::from_millis(1_000);
        let mut keys = Vec::new();
        for number in 0..2 {
            let head = get("/socket.io/?EIO=4&transport=polling", &[]);
            let Route::Connection { key, .. } = server.route(start, &head) else { panic!() };
            server.handle_request(start, key, RequestId(number), &head, Body::EMPTY);
            keys.push(key);
        }
        let mut outputs = 0;
        while let Some(output) = server.poll_output() {
            outputs += usize::from(matches!(output, Output::Respond { .. }));
        }
        assert_eq!(outputs, 2);
        let post = Request { method: "POST", ..get("/socket.io/?EIO=4&transport=polling", &[]) };
        for (number, key, body, millis) in [(2, keys[0], "40/none,", 10), (3, keys[1], "3", 5_000)] {
            let body = Body::Whole(body.into());
            server.handle_request(start + Duration::from_millis(millis), key, RequestId(number), &post, body);
            if !batched {
                while server.poll_output().is_some() {}
            }
        }
        while server.poll_output().is_some() {}
        server.connection(keys[0]).unwrap().poll_timeout()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_full_list_of_rooms_still_knows_its_own() {
    let mut driver = Driver::new(limits(|limits| limits.rooms_per_socket = 2), &[]);
    let socket = driver.connect("/");
    assert_eq!(driver.hub.join(socket, "a"), Ok(true));
    assert_eq!(driver.hub.join(socket, "b"), Ok(true));
    assert_eq!(driver.hub.join(socket, "a"), Ok(false));
    assert!(driver.hub.join(socket, "c").is_err());
    assert_eq!(driver.hub.stats().rooms, 2);
}

#[test]
fn a_placeholder_key_is_found_however_it_is_written() {
    let raw = |json: &str| serde_json::value::RawValue::from_string(json.into()).unwrap();
    let bytes = bytes::Bytes::from_static(b"x");
    for json in
        ["{\"_placeholder\":true}", "{ \"_placeholder\" : true , \"num\" : 0 }", "{\"a\":1,\n\"_placeholder\"\t:1}"]
    {
        let event = Payload::event("e", &(raw(json), &bytes), 10);
        assert_eq!(event, Err(EncodeError::PlaceholderKey), "{json}");
    }
    for json in ["\"_placeholder\"", "{\"a\\\"_placeholder\":1}", "[\"_placeholder\", \":\"]"] {
        assert!(Payload::event("e", &(raw(json), &bytes), 10).is_ok(), "{json}");
    }
}
