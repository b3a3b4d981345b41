//! The ordering contract: what arrives first is worked on first, what is sent first arrives first, room operations and
//! broadcasts are totally ordered, and what is gone is gone.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use sockeye_protocol::{
    Config, Instant, QueuePolicy, RequestId, Seed, SocketKey,
    http::{Body, Request},
    server::{
        Connection, ConnectionOutput, EmitError, Event, Hub, HubEvent, HubRoute, JoinError, Room, Server, Target,
    },
    socket::{Payload, PayloadKind},
};

use crate::harness::{World, secs};

fn world() -> World {
    let mut world = World::new(Config::default());
    world.server.add_namespace("/b");
    world
}

#[test]
fn the_index_of_a_connection_is_reused_and_its_key_is_not() {
    let mut world = World::new(Config::default());
    let mut keys = Vec::new();
    for name in ["alice", "bob"] {
        let (who, _) = world.joined(name);
        keys.push(world.clients[who].key.unwrap());
        world.close(who, 1000);
        world.assert_empty();
    }
    assert_eq!(keys.iter().map(|key| key.index()).collect::<Vec<_>>(), [0, 0]);
    assert_ne!(keys[0], keys[1]);
    let more = world.server.add_namespace("/b");
    assert_eq!((world.nsp("/").index(), more.index()), (0, 1));
}

#[test]
fn a_payload_of_another_kind_is_an_error_of_the_caller_and_nothing_is_sent() {
    let mut world = world();
    let (alice, socket) = world.joined("alice");
    world.say(alice, "421[\"ask\"]");
    let (token, all, now) = (world.tokens.pop_front().unwrap(), Target::all(socket.namespace()), world.now);
    world.clear();
    let event = Payload::event("", &(), 10).unwrap();
    let kinds = [
        (Payload::ack(&("e", 1), 10).unwrap(), PayloadKind::Ack),
        (Payload::data(&["e"]).unwrap(), PayloadKind::Data),
        (event, PayloadKind::Event),
    ];
    for (payload, kind) in &kinds[..2] {
        let Err(EmitError::WrongPayload(error)) = world.server.emit(now, socket, payload) else { panic!("{kind}") };
        assert_eq!((error.expected, error.found), (PayloadKind::Event, *kind));
        assert_eq!(world.server.emit_with_ack(now, socket, payload, secs(1)), Err(EmitError::WrongPayload(error)));
        assert_eq!(world.server.broadcast(now, &all, payload), Err(error));
        let nobody = Target { rooms: &[Room::Named("nobody")], ..all };
        assert_eq!(world.server.broadcast(now, &nobody, payload), Err(error));
    }
    let error = world.server.reply(now, &token, &kinds[2].0).unwrap_err();
    assert_eq!(error.to_string(), "the payload of an acknowledgement is needed, this is that of an event");
    world.drive();
    assert_eq!((world.reaction().as_str(), world.server.stats().acks), ("", 0));

    let forwarded = Payload::event_from_args("e", &kinds[0].0.to_args().unwrap()).unwrap();
    assert_eq!(world.server.broadcast(now, &all, &forwarded), Ok(1));
    assert_eq!(world.server.emit(now, socket, &kinds[2].0), Ok(()));
    world.say(alice, "421[\"ask\"]");
    let token = world.tokens.pop_front().unwrap();
    assert_eq!(world.server.reply(now, &token, &Payload::ack_from_args(&forwarded.to_args().unwrap())), Ok(()));
}

#[test]
fn packets_are_processed_strictly_in_the_order_of_arrival() {
    let mut world = world();
    let (alice, _) = world.joined("alice");
    world.clear();
    world.style.lazy = true;
    for number in 0..50 {
        world.say(alice, &format!("42[\"e\",{number}]"));
    }
    world.drive();
    let numbers: Vec<_> = (0..50).map(|number| format!("app: event alice/ \"e\" [{number}]")).collect();
    assert_eq!(world.lines("app: "), numbers);
}

/// JavaScript's client does this on `disconnect().connect()`; its server then closes everything (behaviours, item 38).
#[test]
fn a_disconnect_and_a_connect_in_one_tick_are_two_memberships() {
    let mut world = world();
    let (alice, _) = world.joined("alice");
    world.join_namespace(alice, "40/b,");
    world.clear();
    world.style.lazy = true;
    for packet in ["42/b,[\"last\"]", "41/b,", "40/b,", "42[\"other\"]"] {
        world.say(alice, packet);
    }
    world.drive();
    assert_eq!(
        world.events(),
        [
            "event alice/b \"last\" []",
            "disconnecting alice/b (client namespace disconnect) rooms []",
            "disconnect alice/b (client namespace disconnect)",
            "connect alice/b",
            "event alice/ \"other\" []",
        ]
    );
}

#[test]
fn attachments_are_contiguous_when_several_namespaces_and_rooms_send() {
    for polling in [false, true] {
        let mut world = world();
        let (alice, main) = if polling { world.joined_polling("alice") } else { world.joined("alice") };
        if polling {
            world.post(alice, "40/b,");
            world.clients[alice].auto = false;
            world.emit(main, "ends the waiting GET", &()).unwrap();
        } else {
            world.say(alice, "40/b,");
        }
        let other = world.sockets[1];
        world.take(alice);
        world.style.lazy = true;
        let bytes = |number: u8| vec![Bytes::from(vec![number]), Bytes::from(vec![number, number])];
        let (all, all_b) = (Target::all(world.nsp("/")), Target::all(world.nsp("/b")));
        for number in 0..5 {
            world.emit(main, "m", &bytes(number)).unwrap();
            world.emit(other, "o", &bytes(number)).unwrap();
            world.broadcast(&all, "bm", &bytes(number));
            world.broadcast(&all_b, "bo", &bytes(number));
        }
        world.style.lazy = false;
        world.drive();
        if polling {
            world.get(alice);
        }
        let packets = world.take(alice);
        assert_eq!(packets.len(), 60);
        for (index, packet) in packets.chunks(3).enumerate() {
            let number = u8::try_from(index / 4).unwrap();
            let (name, namespace) = [("m", ""), ("o", "/b,"), ("bm", ""), ("bo", "/b,")][index % 4];
            assert!(packet[0].starts_with(&format!("452-{namespace}[\"{name}\"")), "{packet:?}");
            let expected = bytes(number).iter().map(|bytes| crate::harness::hex(bytes)).collect::<Vec<_>>();
            assert!(polling || packet[1..] == expected[..], "{packet:?}");
            assert!(!polling || packet[1..].iter().all(|packet| packet.starts_with('b')), "{packet:?}");
        }
    }
}

#[test]
fn polls_are_cut_between_parts_of_a_packet_but_never_shuffled() {
    let mut config = Config::default();
    config.limits.max_payload = 80;
    let mut world = World::new(config);
    let (alice, socket) = world.joined_polling("alice");
    world.clients[alice].auto = false;
    world.emit(socket, "ends the waiting GET", &()).unwrap();
    world.take(alice);
    world.emit(socket, "two", &(Bytes::from_static(&[1; 30]), Bytes::from_static(&[2; 30]))).unwrap();
    world.emit(socket, "next", &()).unwrap();
    let mut polls = 0;
    while world.server.stats().queued_packets > 0 {
        world.get(alice);
        polls += 1;
    }
    assert_eq!(polls, 3);
    let packets = world.take(alice);
    let kinds: Vec<&str> = packets.iter().map(|packet| &packet[..packet.len().min(3)]).collect();
    assert_eq!(kinds, ["452", "bAQ", "bAg", "42["]);
}

#[test]
fn broadcasts_and_room_operations_of_one_hub_are_totally_ordered() {
    let mut world = world();
    let mut sockets = Vec::new();
    for name in ["a", "b", "c"] {
        sockets.push(world.joined(name).1);
    }
    for name in ["d", "e"] {
        sockets.push(world.joined_polling(name).1);
    }
    world.clear();
    world.style.lazy = true;
    let all = Target::all(world.nsp("/"));
    let room = Target { rooms: &[Room::Named("r")], ..all };
    let mut expected = vec![Vec::new(); sockets.len()];
    let mut members = BTreeSet::new();
    for step in 0..60_usize {
        let who = step * 7 % sockets.len();
        if members.insert(who) {
            assert_eq!(world.server.join(sockets[who], "r"), Ok(true));
        } else if step % 3 == 0 {
            members.remove(&who);
            assert!(world.server.leave(sockets[who], "r"));
        }
        assert_eq!(world.broadcast(&room, "n", &step), members.len());
        for who in &members {
            expected[*who].push(format!("42[\"n\",{step}]"));
        }
    }
    world.style.lazy = false;
    world.drive();
    for (who, expected) in expected.iter().enumerate() {
        assert_eq!(&world.take(who), expected, "exactly the broadcasts while it was a member, in order");
    }
    let operations = world.lines("app: room r ");
    assert_eq!(
        operations.len(),
        operations.iter().filter(|line| line.contains("joined") || line.contains("left")).count()
    );
}

#[test]
fn a_direct_emit_and_a_broadcast_arrive_in_the_order_of_the_calls() {
    let mut world = world();
    let (alice, socket) = world.joined("alice");
    world.take(alice);
    let all = Target::all(world.nsp("/"));
    world.style.lazy = true;
    for number in 0..20 {
        if number % 2 == 0 {
            world.emit(socket, "n", &number).unwrap();
        } else {
            world.broadcast(&all, "n", &number);
        }
    }
    world.drive();
    let expected: Vec<_> = (0..20).map(|number| format!("42[\"n\",{number}]")).collect();
    assert_eq!(world.take(alice), expected);
}

#[test]
fn sends_from_polling_to_websocket_keep_their_order_over_the_upgrade() {
    let mut world = world();
    let (alice, socket) = world.joined_polling("alice");
    world.clients[alice].auto = false;
    world.take(alice);
    for number in 0..3 {
        world.emit(socket, "n", &number).unwrap();
    }
    world.open(alice);
    world.say(alice, "2probe");
    for number in 3..6 {
        world.emit(socket, "n", &number).unwrap();
    }
    world.get(alice);
    for number in 6..9 {
        world.emit(socket, "n", &number).unwrap();
    }
    world.say(alice, "5");
    for number in 9..12 {
        world.emit(socket, "n", &number).unwrap();
    }
    let packets: Vec<_> = world.take(alice).into_iter().filter(|packet| packet.starts_with("42")).collect();
    let expected: Vec<_> = (0..12).map(|number| format!("42[\"n\",{number}]")).collect();
    assert_eq!(packets, expected, "nothing is lost, doubled or overtaken");
}

/// Every verb with the keys of a connection whose places in the slabs have been taken by another one.
#[test]
fn stale_keys_reach_nothing_after_their_places_were_reused() {
    let mut world = world();
    let (old, stale) = world.joined("old");
    world.say(old, "421[\"ask\"]");
    let token = world.tokens.pop_front().unwrap();
    let (key, sid) = (world.clients[old].key.unwrap(), world.server.sid(stale).unwrap());
    let session = world.clients[old].sid.clone();
    world.server.join(stale, "room").unwrap();
    world.eof(old);
    assert_eq!(world.server.stats().connections, 0);

    let (new, fresh) = world.joined("new");
    assert_ne!((fresh, world.clients[new].key), (stale, Some(key)));
    assert_eq!((fresh.to_string(), world.clients[new].key.unwrap().to_string()), (stale.to_string(), key.to_string()));
    world.clear();

    assert_eq!(world.emit(stale, "e", &()), Err(EmitError::NotConnected));
    assert_eq!(world.emit_with_ack(stale, "e", &(), secs(1)), Err(EmitError::NotConnected));
    assert_eq!(world.reply(token, &()), Err(EmitError::NotConnected));
    assert_eq!(world.server.join(stale, "room"), Err(JoinError::NotConnected));
    assert!(!world.server.leave(stale, "room"));
    assert_eq!(world.server.rooms(stale).count(), 0);
    assert_eq!(world.server.sid(stale), None);
    assert!(world.server.connection(key).is_none());
    assert_eq!(world.server.hub().find(world.nsp("/"), sid), None);
    world.set_queue_policy(stale, QueuePolicy::Disconnect);
    world.disconnect(stale, true);
    let all = Target::all(world.nsp("/"));
    assert_eq!(world.broadcast(&Target { rooms: &[Room::Own(sid)], ..all }, "e", &()), 0);
    assert_eq!(world.broadcast(&Target { rooms: &[Room::Named("room")], ..all }, "e", &()), 0);
    world.drive();
    assert_eq!(world.reaction(), "");

    // And the world's side: a request with the old session id, bytes and an end of the old WebSocket.
    let id = world.request(new, "GET", &format!("/socket.io/?EIO=4&transport=polling&sid={session}"), &[], Body::EMPTY);
    assert_eq!(world.answer(new, id).body, r#"{"code":1,"message":"Session ID unknown"}"#);
    let head = Request { method: "GET", target: "/socket.io/", headers: &[], peer: None, secure: false };
    world.server.handle_request(world.now, key, RequestId(1_000), &head, Body::EMPTY);
    world.server.handle_abort(world.now, key, RequestId(1_000));
    let output = world.server.poll_output();
    assert!(format!("{output:?}").contains("Session ID unknown"), "{output:?}");
    world.drive();
    assert_eq!(world.sockets, [fresh]);
    assert_eq!(world.emit(fresh, "alive", &()), Ok(()));
}

#[test]
fn the_key_of_a_namespace_that_was_left_is_stale_on_the_same_connection() {
    let mut world = world();
    let (alice, first) = world.joined("alice");
    world.say(alice, "41");
    let second = world.join_namespace(alice, "40");
    assert_ne!(first, second);
    assert_eq!(world.emit(first, "e", &()), Err(EmitError::NotConnected));
    assert_eq!(world.emit(second, "e", &()), Ok(()));
}

/// Counts per socket and per connection, whatever happens.
#[derive(Default)]
struct Counts {
    accepted: Vec<SocketKey>,
    disconnected: Vec<SocketKey>,
    closed: usize,
    acks: Vec<String>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_connect_ack_and_connection_ends_exactly_once(ends in prop::collection::vec((0..12_usize, 0..3_usize), 1..12)) {
        let counts = Rc::new(RefCell::new(Counts::default()));
        let mut world = world();
        let seen = Rc::clone(&counts);
        world.on_event(move |_, event| {
            let mut counts = seen.borrow_mut();
            match &event {
                Event::Disconnect { socket, .. } => counts.disconnected.push(*socket),
                Event::Close { .. } => counts.closed += 1,
                Event::Ack { socket, id, .. } => counts.acks.push(format!("{socket:?} {id}")),
                _ => {}
            }
            Some(event)
        });
        let mut asked = 0;
        for (number, (end, acks)) in ends.iter().enumerate() {
            let polling = end % 2 == 1;
            let name = format!("client-{number}");
            let (who, socket) = if polling { world.joined_polling(&name) } else { world.joined(&name) };
            counts.borrow_mut().accepted.push(socket);
            for _ in 0..*acks {
                world.emit_with_ack(socket, "e", &(), secs(10)).unwrap();
                asked += 1;
            }
            let say = |world: &mut World, packet: &str| {
                if polling {
                    world.post(who, packet);
                } else {
                    world.say(who, packet);
                }
            };
            match end / 2 {
                0 => say(&mut world, "430[]"),
                1 => say(&mut world, "41"),
                2 => say(&mut world, "4x"),
                3 => world.disconnect(socket, true),
                4 => {
                    world.disconnect(socket, false);
                    world.disconnect(socket, true);
                    say(&mut world, "41");
                }
                _ if polling => {
                    let get = world.waiting(who).unwrap();
                    world.abort(who, get);
                    world.abort(who, get);
                }
                _ => {
                    world.eof(who);
                    world.eof(who);
                }
            }
        }
        world.advance(secs(12));
        world.shutdown();
        world.shutdown();
        world.advance(secs(100));
        world.assert_empty();
        let mut counts = std::mem::take(&mut *counts.borrow_mut());
        counts.disconnected.sort();
        counts.accepted.sort();
        prop_assert_eq!(&counts.disconnected, &counts.accepted);
        prop_assert_eq!(counts.closed, ends.len());
        prop_assert_eq!(counts.acks.len(), asked);
        prop_assert_eq!(counts.acks.iter().collect::<BTreeSet<_>>().len(), asked);
    }
}

#[test]
fn rooms_are_still_there_in_disconnecting_and_gone_in_disconnect() {
    let mut world = world();
    world.on_event(|world, event| {
        if let Event::Disconnecting { socket, .. } | Event::Disconnect { socket, .. } = &event {
            let rooms: Vec<_> = world.server.rooms(*socket).map(ToString::to_string).collect();
            let members = world.server.hub().stats().memberships;
            world.note(format!("app: sees {rooms:?} of {members}"));
        }
        Some(event)
    });
    let (alice, socket) = world.joined("alice");
    let (_, other) = world.joined("bob");
    for room in ["a", "b"] {
        world.server.join(socket, room).unwrap();
        world.server.join(other, room).unwrap();
    }
    world.drive();
    world.clear();
    world.eof(alice);
    assert_eq!(
        world.events(),
        [
            "disconnecting alice/ (transport close) rooms [a b]",
            "sees [\"a\", \"b\"] of 4",
            "room b left by alice/",
            "room a left by alice/",
            "disconnect alice/ (transport close)",
            "sees [] of 2",
            "close alice (transport close)",
        ]
    );
}

#[test]
fn a_broadcast_in_disconnecting_still_reaches_the_rooms_of_the_socket_but_not_itself() {
    let mut world = world();
    world.on_event(|world, event| {
        if let Event::Disconnecting { socket, .. } = &event {
            let all = Target::all(socket.namespace());
            let rooms: Vec<_> = world.server.rooms(*socket).map(ToString::to_string).collect();
            let rooms: Vec<Room<'_>> = rooms.iter().map(|room| Room::from(room.as_str())).collect();
            world.broadcast(&Target { rooms: &rooms, ..all }, "bye", &());
        }
        Some(event)
    });
    let (alice, a) = world.joined("alice");
    let (bob, b) = world.joined("bob");
    world.server.join(a, "r").unwrap();
    world.server.join(b, "r").unwrap();
    world.clear();
    world.say(alice, "41");
    assert_eq!(world.take(bob), ["42[\"bye\"]"]);
    assert_eq!(world.take(alice), [""; 0]);
}

#[test]
fn rooms_that_a_pending_socket_joined_are_left_when_it_is_rejected_and_kept_when_it_is_accepted() {
    for accept in [true, false] {
        let mut world = world();
        world.hold = true;
        let alice = world.websocket("alice");
        world.say(alice, "40");
        let request = world.asking.pop_front().unwrap();
        let socket = request.socket();
        world.server.join(socket, "r").unwrap();
        let all = Target::all(world.nsp("/"));
        assert_eq!(world.broadcast(&Target { rooms: &[Room::Named("r")], ..all }, "early", &()), 0);
        assert_eq!(world.broadcast(&Target { rooms: &[Room::Own(request.sid())], ..all }, "early", &()), 0);
        assert_eq!(world.emit(socket, "early", &()), Err(EmitError::NotConnected));
        world.take(alice);
        if accept {
            world.accept(request).unwrap();
        } else {
            world.reject(request, "no").unwrap();
        }
        world.drive();
        let answer = world.take(alice);
        assert_eq!(answer.len(), 1, "nothing before the answer: {answer:?}");
        assert!(answer[0].starts_with(if accept { "40{\"sid\"" } else { "44{\"message\"" }));
        assert_eq!(world.server.stats().memberships, usize::from(accept));
        assert_eq!(world.server.rooms(socket).count(), usize::from(accept));
        assert_eq!(world.broadcast(&Target { rooms: &[Room::Named("r")], ..all }, "late", &()), usize::from(accept));
    }
}

#[test]
fn the_answer_to_connect_goes_out_before_anything_that_is_sent_after_accept() {
    let mut world = world();
    world.hold = true;
    let alice = world.websocket("alice");
    world.say(alice, "40");
    world.take(alice);
    world.style.lazy = true;
    let request = world.asking.pop_front().unwrap();
    let socket = world.accept(request).unwrap();
    world.emit(socket, "first", &()).unwrap();
    let all = Target::all(world.nsp("/"));
    world.broadcast(&all, "second", &());
    world.drive();
    let packets = world.take(alice);
    assert!(packets[0].starts_with("40{\"sid\""));
    assert_eq!(packets[1..], ["42[\"first\"]", "42[\"second\"]"]);
}

#[test]
fn a_request_whose_client_is_gone_can_be_neither_accepted_nor_rejected() {
    let mut world = world();
    world.hold = true;
    let alice = world.websocket("alice");
    world.say(alice, "40");
    world.say(alice, "40/b,");
    let (first, second) = (world.asking.pop_front().unwrap(), world.asking.pop_front().unwrap());
    world.server.join(first.socket(), "r").unwrap();
    world.eof(alice);
    assert!(world.accept(first).is_err());
    assert!(world.reject(second, "no").is_err());
    assert_eq!(world.lines("app: disconnect"), [""; 0], "nobody was connected");
    world.assert_empty();
}

#[test]
fn the_own_id_room_is_no_named_room() {
    let mut world = world();
    let (alice, a) = world.joined("alice");
    let (bob, b) = world.joined("bob");
    let sid = world.server.sid(a).unwrap();
    let name = sid.to_string();
    let all = Target::all(world.nsp("/"));
    assert_eq!(world.server.rooms(a).count(), 0, "the own room is not among the rooms");
    assert!(!world.server.leave(a, &name), "it cannot be left");
    world.server.join(b, &name).unwrap();
    world.clear();
    assert_eq!(world.broadcast(&Target { rooms: &[Room::Own(sid)], ..all }, "own", &()), 1);
    assert_eq!(world.broadcast(&Target { except: &[Room::Own(sid)], ..all }, "all but alice", &()), 1);
    assert_eq!(world.broadcast(&Target { rooms: &[Room::Named(&name)], ..all }, "named", &()), 1);
    assert_eq!(world.take(alice), ["42[\"own\"]"]);
    assert_eq!(world.take(bob), ["42[\"all but alice\"]", "42[\"named\"]"]);
}

#[test]
fn unions_reach_each_socket_once_and_exceptions_win() {
    let mut world = world();
    let sockets: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| world.joined(name).1).collect();
    for (socket, rooms) in sockets.iter().zip([&["x", "y"][..], &["x"], &["y", "z"], &[]]) {
        for room in rooms {
            world.server.join(*socket, room).unwrap();
        }
    }
    let all = Target::all(world.nsp("/"));
    let named = |names: &'static str| -> Vec<Room<'static>> { names.split_whitespace().map(Room::from).collect() };
    for (rooms, except, reached) in [
        ("", "", "abcd"),
        ("x", "", "ab"),
        ("x y", "", "abc"),
        ("x x y x", "", "abc"),
        ("x y", "z", "ab"),
        ("x", "y", "b"),
        ("x y", "x y", ""),
        ("", "y", "bd"),
        ("", "x y z", "d"),
        ("none", "", ""),
        ("none x", "", "ab"),
        ("x", "none", "ab"),
    ] {
        world.clear();
        let (rooms, except) = (named(rooms), named(except));
        let target = Target { rooms: &rooms, except: &except, ..all };
        let count = world.broadcast(&target, "e", &());
        let got: String = (0..4)
            .map(|who| {
                let count = world.take(who).len();
                world.clients[who].name.repeat(count)
            })
            .collect();
        assert_eq!((got.as_str(), count), (reached, reached.len()), "{rooms:?} except {except:?}");
    }
    assert_eq!(
        world.broadcast(&Target { rooms: &named("x"), ..Target::all(world.nsp("/b")) }, "e", &()),
        0,
        "rooms of another namespace"
    );
}

#[test]
fn a_selection_is_answered_after_its_room_operations() {
    let mut world = world();
    world.joined("alice");
    world.joined("bob");
    world.clear();
    let all = Target::all(world.nsp("/"));
    let first = world.server.sockets_join(&all, &["r"]);
    let second = world.server.sockets_leave(&all, &["r"]);
    assert_ne!(first, second);
    world.drive();
    assert_eq!(
        world.events(),
        [
            "room r@/ made",
            "room r joined by alice/",
            "room r joined by bob/",
            "selection of 2",
            "room r left by alice/",
            "room r left by bob/",
            "room r@/ gone",
            "selection of 2",
        ]
    );
}

#[test]
fn every_recipient_of_a_broadcast_gets_the_same_bytes() {
    let mut world = world();
    let whos: Vec<_> = (0..5).map(|number| world.joined(&format!("client-{number}")).0).collect();
    let before: Vec<usize> = whos.iter().map(|who| world.clients[*who].streams[0].len()).collect();
    let all = Target::all(world.nsp("/"));
    world.broadcast(&all, "e", &("x".repeat(10_000), Bytes::from(vec![7; 10_000])));
    let mut streams = whos.iter().zip(before).map(|(who, before)| &world.clients[*who].streams[0][before..]);
    let first = streams.next().unwrap();
    assert!(first.len() > 20_000);
    assert!(streams.all(|stream| stream == first));
}

/// Encode once, seen from outside: large frames in the queues of all recipients are the same memory.
#[test]
fn recipients_of_a_broadcast_share_the_memory_of_its_frame() {
    let mut server = Server::new(Config::default(), &Seed::for_tests(1));
    let mut places = Vec::new();
    let now = Instant::ZERO;
    for number in 0..3 {
        let target = "/socket.io/?EIO=4&transport=websocket";
        let head = Request { method: "GET", target, headers: &crate::harness::UPGRADE, peer: None, secure: false };
        let sockeye_protocol::Route::Connection { key, .. } = server.route(now, &head) else { panic!() };
        server.handle_request(now, key, RequestId(number), &head, Body::EMPTY);
        let mut transport = None;
        while let Some(output) = server.poll_output() {
            if let sockeye_protocol::Output::Upgrade { transport: id, .. } = output {
                transport = Some(id);
            }
        }
        let transport = transport.unwrap();
        server.handle_message(now, key, transport, sockeye_protocol::ws::Message::Text("40".into()));
        while let Some(output) = server.poll_output() {
            if let sockeye_protocol::Output::Event(Event::Connect(request)) = output {
                server.accept(now, request).unwrap();
            }
        }
        let queue = server.transmit(key, transport).unwrap();
        queue.advance(queue.remaining());
        places.push((key, transport));
    }
    let namespace = server.hub().namespace("/").unwrap();
    let payload = Payload::event("e", &"x".repeat(20_000), 10).unwrap();
    assert_eq!(server.broadcast(now, &Target::all(namespace), &payload), Ok(3));
    while server.poll_output().is_some() {}
    let frames: BTreeSet<*const u8> = places
        .iter()
        .map(|(key, transport)| {
            let queue = server.transmit(*key, *transport).unwrap();
            assert!(queue.chunk().len() > 20_000);
            queue.chunk().as_ptr()
        })
        .collect();
    assert_eq!(frames.len(), 1);
}

/// The hub and the connections without [`Server`]: what the hub hands out while it is borrowed reaches each connection
/// in the order of the calls, whenever each connection looks.
#[test]
fn a_driver_with_a_task_per_connection_sees_the_same_order() {
    let mut hub = Hub::new(Config::default(), &Seed::for_tests(1));
    let now = Instant::ZERO;
    let target = "/socket.io/?EIO=4&transport=websocket";
    let head = Request { method: "GET", target, headers: &crate::harness::UPGRADE, peer: None, secure: false };
    let mut connections: Vec<Connection> = Vec::new();
    let mut sockets = Vec::new();
    let mut transports = Vec::new();
    for number in 0..2 {
        assert_eq!(hub.route(&head), HubRoute::Open);
        let mut connection = hub.open(now, &head);
        connection.handle_request(now, RequestId(number), &head, Body::EMPTY);
        let mut inbox: Vec<HubEvent> = Vec::new();
        let mut said = false;
        loop {
            let Some(output) = connection.poll_output() else {
                if let Some(transport) = transports.get(connections.len()).filter(|_| !said) {
                    connection.handle_message(now, *transport, sockeye_protocol::ws::Message::Text("40".into()));
                    said = true;
                    continue;
                }
                break;
            };
            match output {
                ConnectionOutput::Upgrade { transport, .. } => transports.push(transport),
                ConnectionOutput::Hub(event) => {
                    hub.handle_event(now, connection.key(), event, &mut |_, event| inbox.push(event));
                }
                ConnectionOutput::Event(Event::Connect(request)) => {
                    sockets.push(connection.accept(now, request).unwrap());
                }
                _ => {}
            }
            for event in inbox.drain(..) {
                connection.handle_hub_event(now, event);
            }
        }
        connections.push(connection);
    }
    let all = Target::all(hub.namespace("/").unwrap());
    let mut inboxes: Vec<Vec<HubEvent>> = vec![Vec::new(), Vec::new()];
    for number in 0..10 {
        let payload = Payload::event("n", &number, 10).unwrap();
        let keys: Vec<_> = connections.iter().map(Connection::key).collect();
        let count = hub.broadcast(now, &all, &payload, &mut |key, event| {
            inboxes[keys.iter().position(|other| *other == key).unwrap()].push(event);
        });
        assert_eq!(count, Ok(2));
    }
    for (index, connection) in connections.iter_mut().enumerate() {
        for event in inboxes[index].drain(..) {
            connection.handle_hub_event(now, event);
        }
        let queue = connection.transmit(transports[index]).unwrap();
        let written = String::from_utf8_lossy(&queue.copy_to_bytes(queue.remaining())).into_owned();
        let numbers: Vec<_> = written.split("[\"n\",").skip(1).map(|part| part[..1].to_owned()).collect();
        assert_eq!(numbers, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
