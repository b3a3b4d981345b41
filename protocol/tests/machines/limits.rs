//! Every bound of [`Limits`] and every option of [`Config`] that the core enforces: what happens at the bound, and one
//! above it, exactly. Bounds in time are in `deadlines.rs`.

use bytes::Bytes;
use sockeye_protocol::{
    Config, Cors, Limits, Origins, QueuePolicy, Transports,
    http::Body,
    server::{EmitError, Target},
    socket::Payload,
    ws,
};

use crate::harness::{World, secs};

/// Runs a world at the bound and one above it, and compares all that the server did after `World::clear`.
#[track_caller]
fn check(limits: Limits, bound: usize, run: impl Fn(&mut World, usize), within: &str, over: &str) {
    check_with(&Config { limits, ..Config::default() }, bound, run, within, over);
}

#[track_caller]
fn check_with(config: &Config, bound: usize, run: impl Fn(&mut World, usize), within: &str, over: &str) {
    let at = |n| {
        let mut world = World::new(config.clone());
        run(&mut world, n);
        world.reaction()
    };
    let trimmed =
        |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let (found, expected) = ((at(bound), at(bound + 1)), (trimmed(within), trimmed(over)));
    assert!(found == expected, "at the bound:\n{}\n\none above:\n{}\n", found.0, found.1);
}

/// A new field does not compile here until it is in one of the two lists: a test, or the reason why there is none.
#[test]
fn every_limit_and_option_has_its_test() {
    let Limits {
        max_payload: _,         // max_payload_*
        max_attachments: _,     // max_attachments_*
        max_packet_bytes: _,    // max_packet_bytes_*
        packet_timeout: _,      // deadlines.rs
        max_empty_fragments: _, // max_empty_fragments_*
        send_queue_bytes: _,    // send_queue_bytes_*, and the policies
        send_queue_packets: _,  // send_queue_packets_*
        high_water: _,          // high_water_*
        close_timeout: _,       // deadlines.rs
        drain_timeout: _,       // deadlines.rs
        body_timeout: _,        // deadlines.rs
        withheld_timeout: _,    // deadlines.rs
        namespaces: _,          // namespaces_*
        pending_namespaces: _,  // pending_namespaces_*
        failed_namespaces: _,   // failed_namespaces_*
        namespace_name: _,      // namespace_name_*
        rooms_per_socket: _,    // rooms_per_socket_*
        outstanding_acks: _,    // outstanding_acks_*
        // Enforced by whoever parses HTTP: the core never sees what is over them.
        header_bytes: _,
        header_count: _,
        header_timeout: _,
        keep_alive: _,
        // Enforced by whoever runs handlers.
        handlers: _,
        parked: _,
    } = Limits::default();
    let Config {
        path: _,            // the_path_*
        transports: _,      // transports_*
        allow_upgrades: _,  // upgrades_*
        ping_interval: _,   // the_handshake_*, deadlines.rs
        ping_timeout: _,    // the_handshake_*, deadlines.rs
        upgrade_timeout: _, // deadlines.rs
        connect_timeout: _, // deadlines.rs
        cors: _,            // origins_*
        room_events: _,     // room_events_*
        queue_policy: _,    // a_full_queue_*
        limits: _,
        // What a driver passes to `emit_with_ack` where its user says nothing.
        ack_timeout: _,
        recovery: _, // tests/recovery.rs
    } = Config::default();
}

/// An event packet of that many bytes, its Engine.IO type included.
fn event(bytes: usize) -> String {
    format!("42[\"{}\"]", "x".repeat(bytes - 6))
}

fn payload_of(bytes: usize) -> Payload {
    Payload::event(&"x".repeat(bytes - 6), &(), 10).unwrap()
}

fn max_payload() -> Limits {
    Limits { max_payload: 20, ..Limits::default() }
}

#[test]
fn max_payload_bounds_the_body_of_a_post() {
    let run = |world: &mut World, n| {
        let alice = world.polling("alice");
        world.post(alice, "40");
        world.clear();
        world.post(alice, &event(n));
    };
    check(
        max_payload(),
        20,
        run,
        r#"app: event alice/ "xxxxxxxxxxxxxx" []
           alice< 200 ok"#,
        "app: disconnecting alice/ (transport error) rooms []
         app: disconnect alice/ (transport error): a request body is over max_payload of 20
         app: close alice (transport error): a request body is over max_payload of 20
         alice< 413 (connection: close)",
    );
}

#[test]
fn max_payload_bounds_a_declared_body_before_it_is_read() {
    let run = |world: &mut World, n: usize| {
        let alice = world.polling("alice");
        world.clear();
        world.post_body(alice, &[("Content-Length", n.to_string().as_bytes())], Body::Pending);
    };
    check(
        max_payload(),
        20,
        run,
        "",
        "app: close alice (transport error): a request body of 21 bytes is over max_payload of 20
         alice< 413 (connection: close)",
    );
}

#[test]
fn max_payload_bounds_a_body_that_was_not_declared() {
    let run = |world: &mut World, n| {
        let alice = world.polling("alice");
        world.clear();
        let id = world.post_body(alice, &[], Body::Pending);
        world.body(alice, id, Body::Whole(Bytes::from(event(n).replace("42", "30"))));
    };
    check(
        max_payload(),
        20,
        run,
        "alice< 200 ok",
        "alice< 413 (connection: close)
         app: close alice (transport error): a request body of 21 bytes is over max_payload of 20",
    );
}

#[test]
fn max_payload_bounds_a_websocket_message_whole_or_in_fragments() {
    let whole = |world: &mut World, n| {
        let (alice, _) = world.joined("alice");
        world.clear();
        world.say(alice, &event(n));
    };
    let fragments = |world: &mut World, n| {
        let (alice, _) = world.joined("alice");
        world.clear();
        let event = event(n);
        world.say_raw(alice, &frame(0x01, &event.as_bytes()[..8]));
        world.say_raw(alice, &frame(0x80, &event.as_bytes()[8..]));
    };
    let (within, over) = (
        r#"app: event alice/ "xxxxxxxxxxxxxx" []"#,
        r#"app: disconnecting alice/ (transport error) rooms []
           app: disconnect alice/ (transport error): WebSocket: a message of at least 21 bytes exceeds max_message = 20
           app: close alice (transport error): WebSocket: a message of at least 21 bytes exceeds max_message = 20
           alice ws< close 1009 ""
           server: ends alice ws"#,
    );
    check(max_payload(), 20, whole, within, over);
    check(max_payload(), 20, fragments, within, over);
}

#[test]
fn max_payload_bounds_a_message_that_a_framework_has_read() {
    let run = |world: &mut World, n| {
        let (alice, _) = world.joined("alice");
        world.clear();
        world.style.messages = true;
        world.send(alice, ws::Message::Text(event(n).into()));
    };
    check(
        max_payload(),
        20,
        run,
        r#"app: event alice/ "xxxxxxxxxxxxxx" []"#,
        r#"app: disconnecting alice/ (transport error) rooms []
           app: disconnect alice/ (transport error): a message of 21 bytes is over max_payload of 20
           app: close alice (transport error): a message of 21 bytes is over max_payload of 20
           alice ws< close 1009 """#,
    );
}

#[test]
fn max_payload_chunks_the_answers_of_polls_and_lets_one_packet_of_any_size_pass() {
    let run = |world: &mut World, n: usize| {
        let alice = world.polling("alice");
        world.post(alice, "40");
        world.get(alice);
        world.clear();
        let socket = world.sockets[0];
        let first = payload_of(9);
        let second = payload_of(n - 10);
        world.server.emit(world.now, socket, &first).unwrap();
        world.server.emit(world.now, socket, &second).unwrap();
        world.server.emit(world.now, socket, &payload_of(30)).unwrap();
        for _ in 0..3 {
            world.get(alice);
        }
    };
    check(
        max_payload(),
        20,
        run,
        r#"alice< 200 42["xxx"]␞42["xxxx"]
           alice< 200 42["xxxxxxxxxxxxxxxxxxxxxxxx"]"#,
        r#"alice< 200 42["xxx"]
           alice< 200 42["xxxxx"]
           alice< 200 42["xxxxxxxxxxxxxxxxxxxxxxxx"]"#,
    );
}

fn with_attachments(attachments: usize) -> String {
    let places: Vec<_> = (0..attachments).map(|num| format!("{{\"_placeholder\":true,\"num\":{num}}}")).collect();
    format!("45{attachments}-[\"e\",{}]", places.join(","))
}

#[test]
fn max_attachments_bounds_what_a_client_declares() {
    let run = |world: &mut World, n| {
        let (alice, _) = world.joined("alice");
        world.clear();
        world.say(alice, &with_attachments(n));
    };
    check(
        Limits { max_attachments: 2, ..Limits::default() },
        2,
        run,
        "",
        r#"app: disconnecting alice/ (forced close) rooms []
           app: disconnect alice/ (forced close): 3 attachments, the limit is 2
           app: close alice (forced close): 3 attachments, the limit is 2
           alice ws< close 1002 "parse error"
           server: ends alice ws"#,
    );
    check(
        Limits::default(),
        10,
        run,
        "",
        r#"app: disconnecting alice/ (forced close) rooms []
           app: disconnect alice/ (forced close): 11 attachments, the limit is 10
           app: close alice (forced close): 11 attachments, the limit is 10
           alice ws< close 1002 "parse error"
           server: ends alice ws"#,
    );
}

#[test]
fn max_attachments_bounds_what_is_sent() {
    let bytes = |count| vec![Bytes::from_static(b"x"); count];
    let limit = Limits::default().max_attachments;
    assert_eq!(Payload::event("e", &bytes(limit), limit).unwrap().attachments().len(), 10);
    let error = EmitError::from(Payload::event("e", &bytes(limit + 1), limit).unwrap_err());
    assert!(error.to_string().contains("11") && error.to_string().contains("10"), "{error}");
}

#[test]
fn max_packet_bytes_bounds_a_packet_with_its_attachments() {
    let text = with_attachments(2).len() - 1;
    let run = |world: &mut World, n: usize| {
        let (alice, _) = world.joined("alice");
        world.clear();
        world.say(alice, &with_attachments(2));
        world.say_binary(alice, &[7; 10]);
        world.say_binary(alice, &vec![7; n - text - 10]);
    };
    check(
        Limits { max_packet_bytes: text + 12, ..Limits::default() },
        text + 12,
        run,
        r#"app: event alice/ "e" [{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}] <07 07 07 07 07 07 07 07 07 07> <07 07>"#,
        r#"app: disconnecting alice/ (forced close) rooms []
           app: disconnect alice/ (forced close): a packet of 81 bytes, the limit is 80
           app: close alice (forced close): a packet of 81 bytes, the limit is 80
           alice ws< close 1008 "packet too large"
           server: ends alice ws"#,
    );
}

/// A masked frame (with the mask 0): the first byte, and the payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[test]
fn max_empty_fragments_bounds_fragments_without_payload_and_no_others() {
    let run = |world: &mut World, n: usize| {
        let (alice, _) = world.joined("alice");
        world.clear();
        let mut bytes = frame(0x01, b"42[");
        for part in ["\"", "a", "b", "\""] {
            bytes.extend(frame(0x00, part.as_bytes()));
        }
        bytes.extend(frame(0x00, b"").repeat(n));
        bytes.extend(frame(0x80, b"]"));
        world.feed_newest(alice, &bytes);
    };
    check(
        Limits { max_empty_fragments: 3, ..Limits::default() },
        3,
        run,
        r#"app: event alice/ "ab" []"#,
        r#"app: disconnecting alice/ (transport error) rooms []
           app: disconnect alice/ (transport error): WebSocket: a message with more than max_empty_fragments = 3 empty fragments
           app: close alice (transport error): WebSocket: a message with more than max_empty_fragments = 3 empty fragments
           alice ws< close 1008 ""
           server: ends alice ws"#,
    );
}

/// On polling, without a GET: packets of these sizes.
fn queue(world: &mut World, sizes: &[usize]) {
    let alice = world.polling("alice");
    world.post(alice, "40");
    world.get(alice);
    world.clear();
    let socket = world.sockets[0];
    for size in sizes {
        if let Err(error) = world.server.emit(world.now, socket, &payload_of(*size)) {
            world.note(format!("app: {error}"));
        }
    }
    world.drive();
    world.get(alice);
}

#[test]
fn send_queue_bytes_bounds_what_waits_but_not_one_packet_alone() {
    let limits = || Limits { send_queue_bytes: 20, ..Limits::default() };
    check(
        limits(),
        20,
        |world, n| queue(world, &[10, n - 10]),
        r#"alice< 200 42["xxxx"]␞42["xxxx"]"#,
        r#"app: the send queue is full: 21 bytes would be over the limit of 20
           alice< 200 42["xxxx"]"#,
    );
    check(
        limits(),
        20,
        |world, n| queue(world, &[n]),
        r#"alice< 200 42["xxxxxxxxxxxxxx"]"#,
        r#"alice< 200 42["xxxxxxxxxxxxxxx"]"#,
    );
}

#[test]
fn send_queue_packets_bounds_what_waits() {
    check(
        Limits { send_queue_packets: 2, ..Limits::default() },
        2,
        |world, n| queue(world, &vec![7; n]),
        r#"alice< 200 42["x"]␞42["x"]"#,
        r#"app: the send queue is full: 3 packets would be over the limit of 2
           alice< 200 42["x"]␞42["x"]"#,
    );
}

#[test]
fn send_queue_bounds_hold_on_websocket_too() {
    let run = |world: &mut World, n: usize| {
        let (alice, socket) = world.joined("alice");
        world.clear();
        world.clients[alice].reads = false;
        for number in 0..n {
            if let Err(error) = world.emit(socket, "e", &number) {
                world.note(format!("app: {error}"));
            }
        }
        world.read(alice);
    };
    check(
        Limits { send_queue_packets: 2, ..Limits::default() },
        2,
        run,
        "alice ws< 42[\"e\",0]
         alice ws< 42[\"e\",1]",
        "app: the send queue is full: 3 packets would be over the limit of 2
         alice ws< 42[\"e\",0]
         alice ws< 42[\"e\",1]",
    );
}

fn with_policy(queue_policy: QueuePolicy) -> Config {
    Config { queue_policy, limits: Limits { send_queue_packets: 2, ..Limits::default() }, ..Config::default() }
}

fn numbered(world: &mut World, count: usize) {
    let alice = world.polling("alice");
    world.post(alice, "40");
    world.get(alice);
    world.clear();
    for number in 0..count {
        let _ = world.emit(world.sockets[0], "e", &number);
        if world.sockets.is_empty() {
            break;
        }
    }
    world.get(alice);
}

#[test]
fn a_full_queue_that_drops_the_newest_keeps_the_oldest() {
    check_with(
        &with_policy(QueuePolicy::DropNewest),
        2,
        numbered,
        r#"alice< 200 42["e",0]␞42["e",1]"#,
        r#"alice< 200 42["e",0]␞42["e",1]"#,
    );
}

#[test]
fn a_full_queue_that_drops_the_oldest_keeps_the_newest() {
    check_with(
        &with_policy(QueuePolicy::DropOldest),
        2,
        numbered,
        r#"alice< 200 42["e",0]␞42["e",1]"#,
        r#"alice< 200 42["e",1]␞42["e",2]"#,
    );
}

#[test]
fn a_full_queue_that_disconnects_closes_as_a_slow_consumer() {
    check_with(
        &with_policy(QueuePolicy::Disconnect),
        2,
        numbered,
        r#"alice< 200 42["e",0]␞42["e",1]"#,
        r#"app: disconnecting alice/ (slow consumer) rooms []
           app: disconnect alice/ (slow consumer): slow consumer: the send queue is full: 3 packets would be over the limit of 2
           app: close alice (slow consumer): slow consumer: the send queue is full: 3 packets would be over the limit of 2
           alice< 200 42["e",0]␞42["e",1]"#,
    );
}

#[test]
fn a_broadcast_disconnects_its_full_recipient_under_the_error_policy_and_reaches_the_others() {
    let run = |world: &mut World, n: usize| {
        let (slow, _) = world.joined("slow");
        world.joined("quick");
        world.clear();
        world.clients[slow].reads = false;
        let all = Target::all(world.nsp("/"));
        for number in 0..n {
            world.broadcast(&all, "e", &number);
        }
    };
    check_with(
        &with_policy(QueuePolicy::Error),
        2,
        run,
        "quick ws< 42[\"e\",0]
         quick ws< 42[\"e\",1]",
        r#"quick ws< 42["e",0]
           quick ws< 42["e",1]
           app: disconnecting slow/ (slow consumer) rooms []
           app: disconnect slow/ (slow consumer): slow consumer: the send queue is full: 3 packets would be over the limit of 2
           app: close slow (slow consumer): slow consumer: the send queue is full: 3 packets would be over the limit of 2
           quick ws< 42["e",2]"#,
    );
}

#[test]
fn a_socket_may_have_a_policy_of_its_own() {
    let mut world = World::new(with_policy(QueuePolicy::Disconnect));
    let alice = world.polling("alice");
    world.post(alice, "40");
    world.get(alice);
    let socket = world.sockets[0];
    world.set_queue_policy(socket, QueuePolicy::Error);
    for number in 0..2 {
        world.emit(socket, "e", &number).unwrap();
    }
    assert!(matches!(world.emit(socket, "e", &2), Err(EmitError::Full(_))));
}

#[test]
fn high_water_tells_a_driver_to_stop_reading() {
    let run = |world: &mut World, n: usize| {
        let (alice, socket) = world.joined("alice");
        world.clear();
        world.clients[alice].reads = false;
        // A frame has two bytes of header.
        world.server.emit(world.now, socket, &payload_of(n - 2)).unwrap();
        world.drive();
        let wants = world.server.wants_read(world.clients[alice].key.unwrap());
        world.note(format!("app: reads {wants}"));
    };
    check(Limits { high_water: 30, ..Limits::default() }, 30, run, "app: reads true", "app: reads false");
}

/// A client asks for that many namespaces; the server has them all.
fn ask(world: &mut World, count: usize) {
    let alice = world.websocket("alice");
    for number in 0..count {
        world.server.add_namespace(&format!("/{number}"));
    }
    for number in 0..count - 1 {
        world.say(alice, &format!("40/{number},"));
    }
    world.clear();
    world.say(alice, &format!("40/{},", count - 1));
}

#[test]
fn namespaces_bounds_what_one_connection_has_joined() {
    let mut world = World::new(Config { limits: Limits { namespaces: 2, ..Limits::default() }, ..Config::default() });
    ask(&mut world, 2);
    assert_eq!(world.sockets.len(), 2);
    world.say(0, "40");
    assert_eq!(world.take(0).last().unwrap(), "44{\"message\":\"Too many namespaces: 2 are joined, the limit is 2\"}");
    world.note("there is room again once one is left");
    world.say(0, "41/0,");
    world.say(0, "40");
    assert_eq!(world.sockets.len(), 2);
}

#[test]
fn pending_namespaces_bounds_joins_that_are_not_decided() {
    let run = |world: &mut World, n| {
        world.hold = true;
        ask(world, n);
    };
    check(
        Limits { pending_namespaces: 2, ..Limits::default() },
        2,
        run,
        "app: connect alice/1",
        r#"alice ws< 44/2,{"message":"Too many namespaces: 2 are pending, the limit is 2"}"#,
    );
}

#[test]
fn failed_namespaces_bounds_refusals() {
    let run = |world: &mut World, n: usize| {
        let (alice, _) = world.joined("alice");
        for _ in 1..n {
            world.say(alice, "40/none,");
        }
        world.clear();
        world.say(alice, "40/none,");
    };
    check(
        Limits { failed_namespaces: 2, ..Limits::default() },
        2,
        run,
        r#"alice ws< 44/none,{"message":"Invalid namespace"}"#,
        r#"app: disconnecting alice/ (forced close) rooms []
           app: disconnect alice/ (forced close): 3 refused namespaces, the limit is 2
           app: close alice (forced close): 3 refused namespaces, the limit is 2
           alice ws< 44/none,{"message":"Invalid namespace"}
           alice ws< close 1008 "too many refused namespaces"
           server: ends alice ws"#,
    );
}

#[test]
fn namespace_name_bounds_the_bytes_of_a_name() {
    let run = |world: &mut World, n: usize| {
        let alice = world.websocket("alice");
        world.clear();
        world.say(alice, &format!("40/{},", "é".repeat((n - 1) / 2) + &"x".repeat((n - 1) % 2)));
    };
    check(
        Limits { namespace_name: 6, ..Limits::default() },
        6,
        run,
        r#"alice ws< 44/ééx,{"message":"Invalid namespace"}"#,
        r#"app: close alice (forced close): a namespace name of 7 bytes, the limit is 6
           alice ws< close 1008 "namespace name too long"
           server: ends alice ws"#,
    );
}

#[test]
fn rooms_per_socket_bounds_joins_and_selections() {
    let limits = || Limits { rooms_per_socket: 2, ..Limits::default() };
    let run = |world: &mut World, n: usize| {
        let (_, socket) = world.joined("alice");
        for room in &["a", "b", "c"][..n - 1] {
            world.server.join(socket, room).unwrap();
        }
        world.drive();
        world.clear();
        if let Err(error) = world.server.join(socket, "z") {
            world.note(format!("app: {error}"));
        }
        assert_eq!(world.server.join(socket, "a"), Ok(false), "it is in that one already");
        world.drive();
    };
    let (within, over) =
        ("app: room z@/ made\napp: room z joined by alice/", "app: the socket is in 2 rooms, the limit is 2");
    check(limits(), 2, run, within, over);
    let selection = |world: &mut World, n: usize| {
        let (_, socket) = world.joined("alice");
        world.joined("bob");
        for room in &["a", "b", "c"][..n - 1] {
            world.server.join(socket, room).unwrap();
        }
        world.drive();
        world.clear();
        let all = Target::all(world.nsp("/"));
        world.server.sockets_join(&all, &["z"]);
        world.drive();
    };
    check(
        limits(),
        2,
        selection,
        "app: room z@/ made
         app: room z joined by alice/
         app: room z joined by bob/
         app: selection of 2",
        "app: room z@/ made
         app: room z joined by bob/
         app: selection of 1",
    );
}

#[test]
fn outstanding_acks_bounds_what_one_socket_owes() {
    let run = |world: &mut World, n: usize| {
        let (alice, socket) = world.joined("alice");
        for _ in 1..n {
            world.emit_with_ack(socket, "e", &(), secs(1)).unwrap();
        }
        world.clear();
        if let Err(error) = world.emit_with_ack(socket, "e", &(), secs(1)) {
            world.note(format!("app: {error}"));
            world.say(alice, "430[]");
            assert!(world.emit_with_ack(socket, "e", &(), secs(1)).is_ok(), "one is free again");
        }
    };
    check(
        Limits { outstanding_acks: 2, ..Limits::default() },
        2,
        run,
        "alice ws< 422[\"e\"]",
        "app: 2 acknowledgements are outstanding, the limit is 2
         app: ack alice/ #0 []
         alice ws< 424[\"e\"]",
    );
}

// Options.

fn answer_of(config: Config, method: &str, target: &str, headers: &[(&str, &[u8])]) -> (u16, String) {
    let mut world = World::new(config);
    let alice = world.client("alice");
    let id = world.request(alice, method, target, headers, Body::EMPTY);
    let response = world.answer(alice, id);
    (response.status, String::from_utf8(response.body.to_vec()).unwrap())
}

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn the_handshake_says_what_the_options_are() {
    let config = Config {
        ping_interval: secs(3),
        ping_timeout: secs(2),
        limits: Limits { max_payload: 77, ..Limits::default() },
        ..Config::default()
    };
    let (status, body) = answer_of(config, "GET", POLLING, &[]);
    let rest = r#"","upgrades":["websocket"],"pingInterval":3000,"pingTimeout":2000,"maxPayload":77}"#;
    assert!(status == 200 && body.ends_with(rest), "{body}");
}

#[test]
fn the_path_is_matched_with_its_final_slash_as_a_prefix() {
    for (path, target, status) in [
        ("/socket.io/", "/socket.io/?EIO=4&transport=polling", 200),
        ("/socket.io/", "/socket.io/below?EIO=4&transport=polling", 200),
        ("/socket.io/", "/socket.io?EIO=4&transport=polling", 404),
        ("/socket.io/", "/socket.iox/?EIO=4&transport=polling", 404),
        ("/socket.io/", "//socket.io/?EIO=4&transport=polling", 404),
        ("/engine.io/", "/engine.io/?EIO=4&transport=polling", 200),
        ("/engine.io/", "/socket.io/?EIO=4&transport=polling", 404),
    ] {
        let config = Config { path: path.into(), ..Config::default() };
        assert_eq!(answer_of(config, "GET", target, &[]).0, status, "{path} {target}");
    }
}

#[test]
fn transports_that_are_switched_off_are_unknown() {
    let unknown = (400, r#"{"code":0,"message":"Transport unknown"}"#.to_owned());
    let config = |polling, websocket| Config { transports: Transports { polling, websocket }, ..Config::default() };
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    assert_eq!(answer_of(config(false, true), "GET", POLLING, &[]), unknown);
    assert_eq!(answer_of(config(true, false), "GET", websocket, &crate::harness::UPGRADE), unknown);
    assert_eq!(answer_of(config(false, true), "GET", websocket, &crate::harness::UPGRADE).0, 101);
    let (status, body) = answer_of(config(true, false), "GET", POLLING, &[]);
    assert!(status == 200 && body.contains(r#""upgrades":[]"#), "{body}");
}

#[test]
fn upgrades_that_are_not_allowed_are_neither_offered_nor_accepted() {
    let mut world = World::new(Config { allow_upgrades: false, ..Config::default() });
    let alice = world.polling("alice");
    assert!(world.take(alice)[0].contains(r#""upgrades":[]"#));
    let id = world.open(alice);
    assert_eq!(
        (world.answer(alice, id).status, &world.answer(alice, id).body[..]),
        (400, &br#"{"code":3,"message":"Bad request"}"#[..])
    );
    let id = world.post(alice, "40");
    assert_eq!(world.answer(alice, id).status, 200, "the session is unharmed");
}

#[test]
fn origins_are_enforced_on_both_transports_once_cors_is_set() {
    let cors = || Config {
        cors: Some(Cors { origins: Origins::List(vec!["https://a.example".into()]), ..Cors::default() }),
        ..Config::default()
    };
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    for (config, origin, polling, upgrade) in [
        (Config::default(), Some("https://b.example"), 200, 101),
        (cors(), Some("https://a.example"), 200, 101),
        (cors(), Some("https://b.example"), 403, 403),
        (cors(), None, 200, 101),
    ] {
        let origin: Vec<(&str, &[u8])> = origin.iter().map(|origin| ("Origin", origin.as_bytes())).collect();
        let headers = [&crate::harness::UPGRADE[..], &origin].concat();
        assert_eq!(answer_of(config.clone(), "GET", POLLING, &origin).0, polling, "{origin:?}");
        assert_eq!(answer_of(config, "GET", websocket, &headers).0, upgrade, "{origin:?}");
    }
}

#[test]
fn room_events_can_be_switched_off() {
    let mut world = World::new(Config { room_events: false, ..Config::default() });
    let (_, socket) = world.joined("alice");
    world.clear();
    world.server.join(socket, "r").unwrap();
    world.server.leave(socket, "r");
    world.drive();
    assert_eq!(world.reaction(), "");
}
