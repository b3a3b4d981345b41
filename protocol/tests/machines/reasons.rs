//! Every reason for which a socket is disconnected, in the exact words of Socket.IO, and what triggers it; among it
//! what hostile clients send. Names like `S5` are rows of the catalogue of attacks.

use bytes::Bytes;
use sockeye_protocol::{
    Config, Limits, QueuePolicy,
    http::Body,
    server::{DisconnectReason, Room, Target},
};

use crate::harness::{Who, World, secs};

/// How the client that breaks a rule is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    WebSocket,
    /// Polling, with a GET that waits.
    Waiting,
    /// Polling, without one.
    Polling,
}

/// A world with one client that has joined `/`, and is in a room.
fn connected(config: Config, on: On) -> (World, Who) {
    let mut world = World::new(config);
    let who = match on {
        On::WebSocket => world.joined("alice").0,
        On::Waiting | On::Polling => {
            let who = world.polling("alice");
            world.post(who, "40");
            world.get(who);
            if on == On::Waiting {
                world.get(who);
            }
            who
        }
    };
    world.server.join(world.sockets[0], "room").unwrap();
    world.drive();
    world.clear();
    (world, who)
}

/// Exactly one `disconnecting` (rooms still there), then one `disconnect` and one `close`: the reason and the error.
#[track_caller]
fn ended(world: &World) -> (String, String) {
    let events = world.events();
    let with = |what: &str| -> Vec<_> { events.iter().filter(|event| event.starts_with(what)).collect() };
    let (disconnecting, disconnect) = (with("disconnecting "), with("disconnect "));
    assert!(disconnecting.len() == 1 && disconnect.len() == 1, "{events:#?}");
    assert!(disconnecting[0].ends_with("rooms [room]"), "{events:#?}");
    let (_, rest) = disconnect[0].split_once(" (").unwrap();
    let (reason, error) = rest.split_once(')').unwrap();
    assert!(disconnecting[0].contains(&format!("({reason})")));
    (reason.into(), error.trim_start_matches(": ").into())
}

fn packet(world: &mut World, who: Who, on: On, packet: &str) {
    if on == On::WebSocket {
        world.say(who, packet);
    } else {
        world.post(who, packet);
    }
}

#[test]
fn the_words_of_every_reason() {
    use DisconnectReason as R;
    for (reason, words) in [
        (R::TransportError, "transport error"),
        (R::TransportClose, "transport close"),
        (R::ForcedClose, "forced close"),
        (R::PingTimeout, "ping timeout"),
        (R::ParseError, "parse error"),
        (R::ServerShuttingDown, "server shutting down"),
        (R::ForcedServerClose, "forced server close"),
        (R::ClientNamespaceDisconnect, "client namespace disconnect"),
        (R::ServerNamespaceDisconnect, "server namespace disconnect"),
        (R::SlowConsumer, "slow consumer"),
    ] {
        assert_eq!((reason.as_str(), reason.to_string().as_str()), (words, words));
    }
}

type Trigger = fn(&mut World, Who);

/// (what, where, trigger, reason, error)
const TRIGGERS: [(&str, On, Trigger, &str, &str); 30] = [
    ("the byte stream ends", On::WebSocket, |w, a| w.eof(a), "transport close", ""),
    ("a close frame", On::WebSocket, |w, a| w.close(a, 1000), "transport close", ""),
    ("a close frame with another code", On::WebSocket, |w, a| w.close(a, 4000), "transport close", ""),
    ("`1` on WebSocket", On::WebSocket, |w, a| w.say(a, "1"), "transport close", ""),
    (
        "`1` by POST",
        On::Waiting,
        |w, a| {
            w.post(a, "1");
        },
        "transport close",
        "",
    ),
    (
        "`1` by POST without a GET",
        On::Polling,
        |w, a| {
            w.post(a, "1");
        },
        "transport close",
        "",
    ),
    (
        "a dropped GET",
        On::Waiting,
        |w, a| {
            let get = w.waiting(a).unwrap();
            w.abort(a, get);
        },
        "transport error",
        "the waiting GET was dropped",
    ),
    (
        "E12 a second GET",
        On::Waiting,
        |w, a| {
            w.get(a);
        },
        "transport error",
        "a second GET while one is open",
    ),
    (
        "E13 a second POST",
        On::Polling,
        |w, a| {
            w.post_body(a, &[], Body::Pending);
            w.post(a, "3");
        },
        "transport error",
        "a second POST while one is open",
    ),
    (
        "a dropped POST",
        On::Polling,
        |w, a| {
            let post = w.post_body(a, &[], Body::Pending);
            w.abort(a, post);
        },
        "transport error",
        "a POST was dropped before its end",
    ),
    (
        "E9 application/octet-stream",
        On::Polling,
        |w, a| {
            w.post_body(a, &[("Content-Type", b"application/octet-stream")], Body::Whole(Bytes::from_static(b"4")));
        },
        "transport error",
        "a binary request body (protocol version 4 sends base64)",
    ),
    (
        "E9 Content-Encoding",
        On::Polling,
        |w, a| {
            w.post_body(a, &[("Content-Encoding", b"gzip")], Body::Whole(Bytes::from_static(b"4")));
        },
        "transport error",
        "a compressed request body",
    ),
    (
        "E8 a body that is too large",
        On::Polling,
        |w, a| {
            w.post_body(a, &[], Body::TooLarge);
        },
        "transport error",
        "a request body is over max_payload of 1000000",
    ),
    (
        "E14 `2` on WebSocket",
        On::WebSocket,
        |w, a| w.say(a, "2"),
        "transport error",
        "a client must not send a packet of type 2",
    ),
    (
        "E14 `2probe` on a plain WebSocket",
        On::WebSocket,
        |w, a| w.say(a, "2probe"),
        "transport error",
        "a client must not send a packet of type 2",
    ),
    (
        "E14 `0` on WebSocket",
        On::WebSocket,
        |w, a| w.say(a, "0"),
        "transport error",
        "a client must not send a packet of type 0",
    ),
    (
        "E14 `5` on WebSocket",
        On::WebSocket,
        |w, a| w.say(a, "5"),
        "transport error",
        "a client must not send a packet of type 5",
    ),
    (
        "E14 `2` by POST",
        On::Waiting,
        |w, a| {
            w.post(a, "2");
        },
        "transport error",
        "a client must not send a packet of type 2",
    ),
    (
        "an unmasked frame",
        On::WebSocket,
        |w, a| w.say_raw(a, &[0x81, 0x01, b'3']),
        "transport error",
        "WebSocket: a client's frame is not masked",
    ),
    (
        "text that is not UTF-8",
        On::WebSocket,
        |w, a| w.say_raw(a, &[0x81, 0x81, 0, 0, 0, 0, 0xff]),
        "transport error",
        "WebSocket: text is not UTF-8",
    ),
    ("E16 an unknown type", On::WebSocket, |w, a| w.say(a, "8"), "parse error", "unknown packet type '8'"),
    ("E16 an empty text frame", On::WebSocket, |w, a| w.say(a, ""), "parse error", "an empty packet"),
    (
        "E10 an empty body",
        On::Waiting,
        |w, a| {
            w.post(a, "");
        },
        "parse error",
        "an empty packet",
    ),
    (
        "E10 only a separator",
        On::Waiting,
        |w, a| {
            w.post(a, "␞");
        },
        "parse error",
        "an empty packet",
    ),
    (
        "E10 bad base64",
        On::Polling,
        |w, a| {
            w.post(a, "b!");
        },
        "parse error",
        "a binary packet that is not base64",
    ),
    (
        "E10 a body that is not UTF-8",
        On::Polling,
        |w, a| {
            w.post_body(a, &[], Body::Whole(Bytes::from_static(b"4\xff")));
        },
        "parse error",
        "a packet that is not UTF-8",
    ),
    ("no pong", On::WebSocket, |w, _| w.advance(secs(45)), "ping timeout", "no pong within ping_timeout of 20s"),
    ("the server shuts down", On::Waiting, |w, _| w.shutdown(), "server shutting down", ""),
    ("`41`", On::WebSocket, |w, a| w.say(a, "41"), "client namespace disconnect", ""),
    (
        "disconnect()",
        On::Waiting,
        |w, _| {
            let socket = w.sockets[0];
            w.disconnect(socket, false);
        },
        "server namespace disconnect",
        "",
    ),
];

#[test]
fn every_trigger_has_its_reason_and_error() {
    let mut wrong = Vec::new();
    for (what, on, trigger, reason, error) in TRIGGERS {
        let (mut world, who) = connected(Config::default(), on);
        trigger(&mut world, who);
        let found = ended(&world);
        if found != (reason.to_owned(), error.to_owned()) {
            wrong.push(format!("{what}: {found:?}"));
        }
        // A namespace that is left leaves the connection alone; everything else ends it, once.
        let closes = usize::from(!reason.contains("namespace"));
        assert_eq!(world.lines("app: close ").len(), closes, "{what}");
        world.advance(secs(100));
        assert_eq!(world.lines("app: close ").len(), 1, "{what}");
        world.assert_empty();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn disconnect_with_close_ends_every_namespace_of_the_connection() {
    for on in [On::WebSocket, On::Waiting, On::Polling] {
        let (mut world, who) = connected(Config::default(), on);
        world.server.add_namespace("/b");
        packet(&mut world, who, on, "40/b,");
        world.disconnect(world.sockets[1], true);
        assert_eq!(world.lines("app: disconnect ").len(), 2, "{on:?}");
        assert!(world.lines("app: disconnect ").iter().all(|line| line.ends_with("(server namespace disconnect)")));
        assert_eq!(world.lines("app: close"), ["app: close alice (forced close)"]);
        if on != On::WebSocket {
            // One answer may still be under way; then the goodbye of both namespaces, and of the session.
            while !world.take(who).contains(&"1".to_owned()) {
                world.get(who);
            }
        }
        let text = world.transcript();
        assert!(text.contains("41/b,") && (text.contains("41\n") || text.contains("41␞")), "{text}");
        world.advance(secs(40));
        world.assert_empty();
    }
}

#[test]
fn a_slow_consumer_is_disconnected_where_the_policy_says_so() {
    let limits = Limits { send_queue_packets: 2, ..Limits::default() };
    let config = Config { queue_policy: QueuePolicy::Disconnect, limits, ..Config::default() };
    let (mut world, _) = connected(config, On::Polling);
    let socket = world.sockets[0];
    while world.emit(socket, "e", &()).is_ok() {}
    let error = "slow consumer: the send queue is full: 3 packets would be over the limit of 2";
    assert_eq!(ended(&world), ("slow consumer".into(), error.into()));
    assert_eq!(world.lines("app: close")[0], format!("app: close alice (slow consumer): {error}"));
}

/// (row, packets, error): each breaks a rule of Socket.IO with its last packet.
const PACKETS: [(&str, &[&str], &str); 62] = [
    ("S3 empty", &["4"], "empty packet"),
    ("S3 unknown type", &["47[\"e\"]"], "unknown packet type '7'"),
    ("S3 unknown type", &["4x"], "unknown packet type 'x'"),
    ("S3 no payload", &["42"], "illegal payload, expected an array"),
    ("S3 no payload with id", &["421"], "illegal payload, expected an array"),
    ("S3 an object", &["42{}"], "illegal payload, expected an array"),
    ("S3 null", &["42null"], "illegal payload, expected an array"),
    ("S3 a string", &["42\"e\""], "illegal payload, expected an array"),
    ("S3 an empty array", &["42[]"], "illegal event name"),
    ("S3 bad JSON", &["42[\"e\""], "invalid JSON in line 1, column 4 of the payload"),
    ("S3 bad JSON", &["42[\"e\",]"], "invalid JSON in line 1, column 6 of the payload"),
    ("S3 bad JSON", &["42['e']"], "invalid JSON in line 1, column 2 of the payload"),
    ("S3 bad JSON in an argument", &["42[\"e\",01]"], "invalid JSON in line 1, column 7 of the payload"),
    ("S3 trailing bytes", &["42[\"e\"]x"], "invalid JSON in line 1, column 6 of the payload"),
    ("S3 trailing bytes", &["42[\"e\"][]"], "invalid JSON in line 1, column 6 of the payload"),
    ("S3 a space is no id", &["42 [\"e\"]"], "illegal payload, expected an array"),
    ("S3 a signed id", &["42-1[\"e\"]"], "illegal payload, expected an array"),
    ("S4 null as name", &["42[null]"], "illegal event name"),
    ("S4 an object as name", &["42[{}]"], "illegal event name"),
    ("S4 true as name", &["42[true]"], "illegal event name"),
    ("S4 reserved", &["42[\"connect\"]"], "reserved event name \"connect\""),
    ("S4 reserved", &["42[\"connect_error\"]"], "reserved event name \"connect_error\""),
    ("S4 reserved", &["42[\"disconnect\"]"], "reserved event name \"disconnect\""),
    ("S4 reserved", &["42[\"disconnecting\"]"], "reserved event name \"disconnecting\""),
    ("S4 reserved", &["42[\"newListener\"]"], "reserved event name \"newListener\""),
    ("S4 reserved", &["42[\"removeListener\"]"], "reserved event name \"removeListener\""),
    ("S4 reserved, escaped", &["42[\"\\u0063onnect\"]"], "reserved event name \"connect\""),
    ("S5 no attachment", &["450-[\"e\"]"], "illegal attachment count"),
    ("S5 no number", &["45-[\"e\"]"], "illegal attachment count"),
    ("S5 no dash", &["451[\"e\"]"], "illegal attachment count"),
    ("S5 one too many", &["4511-[\"e\"]"], "11 attachments, the limit is 10"),
    ("S5 far too many", &["45999999999-[\"e\"]"], "999999999 attachments, the limit is 10"),
    ("S5 1.0", &["451.0-[\"e\"]"], "illegal attachment count"),
    ("S5 1e0", &["451e0-[\"e\"]"], "illegal attachment count"),
    ("S5 a space", &["45 1-[\"e\"]"], "illegal attachment count"),
    ("S5 a sign", &["45+1-[\"e\"]"], "illegal attachment count"),
    ("S5 a leading zero", &["4501-[\"e\"]"], "illegal attachment count"),
    ("S5 more than 20 digits", &["45100000000000000000001-[\"e\"]"], "illegal attachment count"),
    (
        "S6 num out of range",
        &["451-[\"e\",{\"_placeholder\":true,\"num\":1}]"],
        "a placeholder without one of the 1 attachments",
    ),
    (
        "S6 num negative",
        &["451-[\"e\",{\"_placeholder\":true,\"num\":-1}]"],
        "a placeholder without one of the 1 attachments",
    ),
    (
        "S7 num twice",
        &["451-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]"],
        "attachment 0 is used twice",
    ),
    ("S7 an unused attachment", &["451-[\"e\"]"], "0 of 1 attachments have a placeholder"),
    (
        "S8 text instead of an attachment",
        &["451-[\"e\",{\"_placeholder\":true,\"num\":0}]", "42[\"e\"]"],
        "a text message while 1 attachments are missing",
    ),
    ("S8 binary without a packet", &["bAQID"], "a binary message without a packet"),
    (
        "S8 one attachment too many",
        &["451-[\"e\",{\"_placeholder\":true,\"num\":0}]", "bAQID", "bAQID"],
        "a binary message without a packet",
    ),
    (
        "S9 attachments for a namespace that was not joined",
        &["451-/b,[\"e\",{\"_placeholder\":true,\"num\":0}]"],
        "packet for the namespace \"/b\", which is not joined",
    ),
    ("S10 no id", &["43[]"], "an acknowledgement without id"),
    ("S10 no array", &["430{}"], "illegal payload, expected an array"),
    ("S10 no payload", &["430"], "illegal payload, expected an array"),
    ("S10 an id above 2^53-1", &["439007199254740992[]"], "an acknowledgement id above 9007199254740991"),
    ("S10 an event id above 2^53-1", &["429007199254740992[\"e\"]"], "an acknowledgement id above 9007199254740991"),
    ("S10 an id that overflows", &["4399999999999999999999999[]"], "an acknowledgement id above 9007199254740991"),
    ("S11 DISCONNECT with a payload", &["41{}"], "illegal payload, expected none"),
    ("S11 DISCONNECT with a payload", &["41[\"e\"]"], "illegal payload, expected none"),
    ("S11 CONNECT twice", &["40"], "second CONNECT for the namespace \"/\""),
    ("S11 CONNECT twice, with a slash", &["40/,{}"], "second CONNECT for the namespace \"/\""),
    ("S11 CONNECT_ERROR", &["44{\"message\":\"x\"}"], "CONNECT_ERROR from a client"),
    ("S11 EVENT for another namespace", &["42/b,[\"e\"]"], "packet for the namespace \"/b\", which is not joined"),
    ("S11 ACK for another namespace", &["43/b,0[]"], "packet for the namespace \"/b\", which is not joined"),
    ("S11 DISCONNECT of another namespace", &["41/b,"], "packet for the namespace \"/b\", which is not joined"),
    ("CONNECT with an array", &["40/b,[]"], "illegal payload, expected an object or none"),
    ("CONNECT with null", &["40/b,null"], "illegal payload, expected an object or none"),
];

#[test]
fn every_packet_against_the_rules_closes_the_connection_with_its_error() {
    let mut wrong = Vec::new();
    for (row, packets, error) in PACKETS {
        for on in [On::WebSocket, On::Waiting, On::Polling] {
            let (mut world, who) = connected(Config::default(), on);
            world.server.add_namespace("/b");
            for text in packets {
                packet(&mut world, who, on, text);
            }
            // What is said in a wrong state, by a client that cannot be told at once (behaviours, 1.5).
            let state = ["not joined", "second CONNECT", "from a client"].iter().any(|what| error.contains(what));
            let reason = if state && on == On::Polling { "forced server close" } else { "forced close" };
            let found = ended(&world);
            if found != (reason.to_owned(), error.to_owned()) {
                wrong.push(format!("{row} {packets:?} {on:?}: {found:?}"));
            }
            let close = format!("app: close alice (forced close): {error}");
            assert_eq!(world.lines("app: close"), [close], "{row}");
            // Nothing of it reached the application as an event.
            assert!(world.lines("app: event").len() <= usize::from(row.ends_with("too many")), "{row}");
            world.advance(secs(60));
            world.assert_empty();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn s3_nothing_after_a_bad_packet_counts() {
    for on in [On::Waiting, On::Polling] {
        let (mut world, who) = connected(Config::default(), on);
        world.post(who, "42[\"before\"]␞4x␞42[\"after\"]␞40/b,");
        assert_eq!(world.lines("app: event"), ["app: event alice/ \"before\" []"]);
        assert_eq!(world.lines("app: connect"), [""; 0]);
    }
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    world.style.lazy = true;
    for text in ["42[\"before\"]", "4x", "42[\"after\"]", "8", ""] {
        world.say(who, text);
    }
    world.drive();
    assert_eq!(world.lines("app: event"), ["app: event alice/ \"before\" []"]);
    assert_eq!(ended(&world).0, "forced close");
}

#[test]
fn s8_an_empty_attachment_is_an_attachment() {
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    world.say(who, "451-[\"e\",{\"_placeholder\":true,\"num\":0}]");
    world.say_binary(who, b"");
    assert_eq!(world.lines("app: event"), ["app: event alice/ \"e\" [{\"_placeholder\":true,\"num\":0}] <>"]);
}

#[test]
fn s9_attachments_that_did_not_arrive_are_freed_with_the_connection() {
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    world.say(who, "452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    world.say_binary(who, &vec![0; 900_000]);
    assert!(world.server.stats().received_bytes >= 900_000);
    world.eof(who);
    world.assert_empty();
}

#[test]
fn s10_an_unknown_or_repeated_acknowledgement_is_ignored() {
    for on in [On::WebSocket, On::Polling] {
        let (mut world, who) = connected(Config::default(), on);
        let socket = world.sockets[0];
        world.emit_with_ack(socket, "e", &(), secs(10)).unwrap();
        for text in ["431[]", "4399[]", "439007199254740991[]", "430[1]", "430[2]", "432[]"] {
            packet(&mut world, who, on, text);
        }
        assert_eq!(world.lines("app: ack"), ["app: ack alice/ #0 [1]"]);
        assert_eq!(world.sockets.len(), 1);
    }
}

#[test]
fn s11_a_second_connect_while_the_first_is_undecided_closes_and_asks_once() {
    let mut world = World::new(Config::default());
    world.hold = true;
    let alice = world.websocket("alice");
    world.say(alice, "40");
    world.say(alice, "40");
    assert_eq!(world.lines("app: connect").len(), 1);
    assert_eq!(world.lines("app: close"), ["app: close alice (forced close): second CONNECT for the namespace \"/\""]);
    assert_eq!(world.lines("app: disconnect").len(), 0, "nobody was connected");
    let request = world.asking.pop_front().unwrap();
    assert!(world.accept(request).is_err());
    world.assert_empty();
}

#[test]
fn s11_nothing_is_received_before_the_application_accepts() {
    for text in ["42[\"e\"]", "430[]", "41", "451-[\"e\",{\"_placeholder\":true,\"num\":0}]"] {
        let mut world = World::new(Config::default());
        world.hold = true;
        let alice = world.websocket("alice");
        world.say(alice, "40");
        world.say(alice, text);
        assert_eq!(world.lines("app: event").len(), 0);
        assert_eq!(
            world.lines("app: close"),
            ["app: close alice (forced close): packet for the namespace \"/\", which is not joined"],
            "{text}"
        );
        world.asking.clear();
        world.assert_empty();
    }
}

#[test]
fn s12_an_event_right_behind_the_answer_to_connect_is_not_lost() {
    let mut world = World::new(Config::default());
    for number in 0..100 {
        let alice = world.websocket("alice");
        world.say(alice, "40");
        world.say(alice, &format!("42[\"first\",{number}]"));
    }
    assert_eq!(world.lines("app: event").len(), 100);
}

#[test]
fn s13_thousands_of_unknown_namespaces_end_at_the_hundred_and_first() {
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    for number in 0..3_000 {
        world.say(who, &format!("40/{number},"));
    }
    assert_eq!(world.take(who).iter().filter(|packet| packet.contains("Invalid namespace")).count(), 101);
    assert_eq!(ended(&world), ("forced close".into(), "101 refused namespaces, the limit is 100".into()));
}

#[test]
fn s13_a_flood_of_unknown_namespaces_in_one_request_is_answered_at_most_once_each() {
    let (mut world, who) = connected(Config::default(), On::Polling);
    world.post(who, &["40/x,"; 5_000].join("␞"));
    let stats = world.server.stats();
    assert!(stats.queued_packets <= 101 && stats.queued_bytes <= 101 * 50, "{stats:?}");
}

#[test]
fn s14_json_may_be_127_levels_deep_and_no_deeper() {
    let nested = |depth: usize| format!("42[\"e\",{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    world.say(who, &nested(127));
    assert_eq!(world.lines("app: event").len(), 1);
    for depth in [128, 5_000, 400_000] {
        let (mut world, who) = connected(Config::default(), On::WebSocket);
        world.say(who, &nested(depth));
        assert_eq!(ended(&world), ("forced close".into(), "JSON nested 128 levels deep or deeper".into()));
    }
}

#[test]
fn s15_half_a_surrogate_pair_and_numbers_out_of_range_drop_no_connection() {
    let (mut world, who) = connected(Config::default(), On::WebSocket);
    world.on_event(|world, event| {
        if let sockeye_protocol::server::Event::Packet { args, .. } = &event {
            let (text, number): (String, Option<f64>) = args.deserialize().unwrap();
            world.note(format!("app: got {text:?} {number:?}"));
        }
        Some(event)
    });
    world.say(who, "42[\"e\",\"\\ud800\",1e999]");
    assert_eq!(world.lines("app: got"), ["app: got \"\u{fffd}\" None"]);
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn s17_a_room_named_like_a_sockets_id_overhears_nothing() {
    let mut world = World::new(Config::default());
    let (alice, a) = world.joined("alice");
    let (mallory, m) = world.joined("mallory");
    let sid = world.server.sid(a).unwrap();
    world.server.join(m, &sid.to_string()).unwrap();
    let all = Target::all(world.nsp("/"));
    world.clear();
    world.broadcast(&Target { rooms: &[Room::Own(sid)], ..all }, "private", &());
    assert_eq!((world.take(alice).len(), world.take(mallory).len()), (1, 0));
    world.broadcast(&Target { rooms: &[Room::Named(&sid.to_string())], ..all }, "room", &());
    assert_eq!((world.take(alice).len(), world.take(mallory).len()), (0, 1));
}

#[test]
fn s19_a_rejected_socket_leaves_the_rooms_that_it_had_joined_and_heard_nothing() {
    let mut world = World::new(Config::default());
    let (_bob, _) = world.joined("bob");
    world.hold = true;
    let alice = world.websocket("alice");
    world.say(alice, "40");
    let request = world.asking.pop_front().unwrap();
    world.server.join(request.socket(), "room").unwrap();
    world.drive();
    let all = Target::all(world.nsp("/"));
    assert_eq!(world.broadcast(&Target { rooms: &[Room::from("room")], ..all }, "early", &()), 0);
    assert_eq!(world.broadcast(&all, "everybody", &()), 1, "bob alone");
    let socket = request.socket();
    assert!(world.emit(socket, "too early", &()).is_err());
    world.clear();
    world.reject(request, "no").unwrap();
    assert_eq!(
        world.reaction(),
        "app: room room left by alice/\napp: room room@/ gone\nalice ws< 44{\"message\":\"no\"}"
    );
    let stats = world.server.stats();
    assert_eq!((stats.rooms, stats.memberships, stats.pending_sockets), (0, 0, 0));
}
