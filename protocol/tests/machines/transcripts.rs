//! Whole sessions as readable text, byte for byte. `UPDATE_TRANSCRIPTS=1` writes them anew.

use std::{fs, path::Path};

use bytes::Bytes;
use serde_json::json;
use sockeye_protocol::{
    Config, SocketKey,
    http::Body,
    server::{Event, Room, Target},
    socket::Value,
};

use crate::harness::{MICRO, World, millis, secs};

/// Compares the transcript with `transcripts/<name>.txt`, and once more with ticks that nobody asked for.
fn golden(name: &str, config: &Config, session: impl Fn(&mut World)) {
    let run = |ticks| {
        let mut world = World::new(config.clone());
        world.style.ticks = ticks;
        session(&mut world);
        (world.transcript(), world.raw_transcript())
    };
    let (transcript, raw) = run(false);
    let (_, again) = run(false);
    assert_eq!(raw, again, "the same inputs and the same seed give the same bytes");
    let (_, with_ticks) = run(true);
    assert_eq!(raw, with_ticks, "a spurious tick is a no-op");

    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines/transcripts").join(name).with_extension("txt");
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, &transcript).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(transcript == expected, "{name} differs; it is now:\n{transcript}");
}

#[test]
fn polling_session() {
    golden("polling_session", &Config::default(), |world| {
        let alice = world.polling("alice");
        world.advance(millis(5));
        world.get(alice);
        world.advance(millis(5));
        world.post(alice, "40{\"token\":\"abc\"}");
        world.advance(millis(5));
        world.get(alice);
        world.post(alice, "42[\"hello\",\"world\"]␞42[\"two\",2]");
        let socket = world.sockets[0];
        world.emit(socket, "answer", &("one", 1)).unwrap();
        world.note("no GET is open: what is sent waits for the next one");
        world.emit(socket, "later", &1).unwrap();
        world.emit(socket, "later", &2).unwrap();
        world.advance(millis(20));
        world.get(alice);
        world.get(alice);
        world.advance(secs(25));
        world.advance(millis(3));
        world.post(alice, "3");
        world.get(alice);
        world.advance(secs(25));
        world.post(alice, "3");
        world.get(alice);
        world.post(alice, "41␞1");
        world.assert_empty();
    });
}

#[test]
fn upgrade_with_messages_on_both_transports() {
    golden("upgrade", &Config::default(), |world| {
        let alice = world.polling("alice");
        world.get(alice);
        world.post(alice, "40");
        let socket = world.sockets[0];
        world.get(alice);
        world.open(alice);
        world.advance(millis(1));
        world.say(alice, "2probe");
        world.note("until the upgrade is done, everything flows over polling");
        world.emit(socket, "during", &1).unwrap();
        world.post(alice, "42[\"during\",\"by POST\"]");
        world.get(alice);
        world.advance(millis(250));
        world.emit(socket, "buffered", &"goes over the WebSocket").unwrap();
        world.emit(socket, "buffered", &Bytes::from_static(&[1, 2, 3])).unwrap();
        world.say(alice, "5");
        world.say(alice, "42[\"after\"]");
        world.emit(socket, "after", &()).unwrap();
        world.note("polling is over");
        world.get(alice);
        world.post(alice, "42[\"too late\"]");
        world.note("the heartbeat goes on where it was");
        world.advance_to(sockeye_protocol::Instant::from_millis(25_000));
        world.say(alice, "3");
        world.close(alice, 1000);
        world.assert_empty();
    });
}

#[test]
fn upgrade_that_waits_for_a_parked_get() {
    golden("upgrade_noop", &Config::default(), |world| {
        let alice = world.polling("alice");
        world.clients[alice].auto = true;
        world.get(alice);
        world.open(alice);
        world.say(alice, "2probe");
        world.advance(millis(50));
        world.note("one that comes behind the first noop waits for the next");
        world.get(alice);
        world.advance(millis(300));
        world.clients[alice].auto = false;
        world.say(alice, "5");
        world.close(alice, 1001);
        world.assert_empty();
    });
}

#[test]
fn websocket_session() {
    golden("websocket_session", &Config::default(), |world| {
        let alice = world.websocket("alice");
        world.advance(millis(2));
        world.say(alice, "40");
        let socket = world.sockets[0];
        world.say(alice, "42[\"hello\"]");
        world.emit(socket, "hi", &json!({"to": "alice"})).unwrap();
        world.advance(secs(25));
        world.advance(millis(40));
        world.say(alice, "3");
        world.note("the next ping comes an interval after the pong");
        world.advance(secs(25));
        world.say(alice, "3");
        world.say(alice, "41");
        world.close(alice, 1000);
        world.assert_empty();
    });
}

#[test]
fn events_with_all_kinds_of_arguments() {
    golden("arguments", &Config::default(), |world| {
        let (alice, socket) = world.joined("alice");
        for packet in [
            "42[\"none\"]",
            "42[\"several\",1,-2.5,\"x\",true,null,[1,[2]],{\"a\":{\"b\":[]}}]",
            "42[1,\"a number is a name too\"]",
            "42[\"\"]",
            "42[\"__proto__\",{\"__proto__\":1}]",
            "42[\"error\",\"a plain name\"]",
            "42[\"unicode\",\"\\u00e9é\\ud83e\\udd80🦀\"]",
            "42[\"half a pair\",\"\\ud800\",1e999]",
            "42[ \"spaces\" , 1 ]",
        ] {
            world.say(alice, packet);
        }
        world.emit(socket, "none", &()).unwrap();
        world.emit(socket, "one", &[1, 2, 3].as_slice()).unwrap();
        world.emit(socket, "several", &(1, "two", json!({"3": [4.5, null]}), true)).unwrap();
        world.emit(socket, "array of fixed length", &[1, 2, 3]).unwrap();
        world.emit(socket, "option", &None::<u8>).unwrap();
        world.emit(socket, "escapes", &"\u{1e}\n\"\\\u{2028}🦀").unwrap();
        world.emit(socket, "not a number", &f64::NAN).unwrap();
    });
}

#[test]
fn acknowledgements_both_ways() {
    golden("acknowledgements", &Config::default(), |world| {
        let (alice, socket) = world.joined("alice");
        world.note("the client asks");
        world.say(alice, "427[\"question\",\"?\"]");
        world.say(alice, "428[\"question\",\"??\"]");
        let (first, second) = (world.tokens.pop_front().unwrap(), world.tokens.pop_front().unwrap());
        world.reply(second, &("yes", 2)).unwrap();
        world.reply(first, &()).unwrap();
        world.note("the server asks; ids are even");
        world.emit_with_ack(socket, "question", &1, secs(10)).unwrap();
        world.emit_with_ack(socket, "question", &2, secs(10)).unwrap();
        world.emit_with_ack(socket, "question", &3, secs(5)).unwrap();
        world.emit_with_ack(socket, "question", &4, secs(20)).unwrap();
        world.say(alice, "432[\"two\",\"args\"]");
        world.say(alice, "430[]");
        world.note("a repeated id, and one that nobody knows, are ignored");
        world.say(alice, "430[]");
        world.say(alice, "4399[]");
        world.advance(secs(5));
        world.note("late");
        world.say(alice, "434[\"late\"]");
        world.note("what is still owed ends with the socket");
        world.say(alice, "41");
    });
}

fn binary(world: &mut World, socket: SocketKey) {
    let value = Value::from(Bytes::from_static(&[6]));
    world.emit(socket, "hello", &(1, "2", json!({"plain": true}), value)).unwrap();
    let nested: Vec<(Bytes, Option<Bytes>)> =
        vec![(Bytes::from_static(b"a"), None), (Bytes::new(), Some(Bytes::from_static(&[0, 255])))];
    world.emit(socket, "depth first", &(nested,)).unwrap();
    world.emit_with_ack(socket, "question", &Bytes::from_static(b"?"), secs(1)).unwrap();
}

#[test]
fn binary_both_ways_on_websocket() {
    golden("binary_websocket", &Config::default(), |world| {
        let (alice, socket) = world.joined("alice");
        binary(world, socket);
        world.say(alice, "461-0[{\"_placeholder\":true,\"num\":0}]");
        world.say_binary(alice, b"!");
        world.say(alice, "452-5[\"up\",{\"x\":{\"num\":1,\"_placeholder\":true}},[{\"_placeholder\":true,\"num\":0}]]");
        world.say_binary(alice, &[]);
        world.say_binary(alice, &[1, 2, 3]);
        let token = world.tokens.pop_front().unwrap();
        world.reply(token, &(Bytes::from_static(b"ok"), "done")).unwrap();
        world.note("binary as base64 in a text frame");
        world.say(alice, "451-[\"up\",{\"_placeholder\":true,\"num\":0}]");
        world.say(alice, "bAQID");
    });
}

#[test]
fn binary_both_ways_on_polling() {
    golden("binary_polling", &Config::default(), |world| {
        let (alice, socket) = world.joined_polling("alice");
        binary(world, socket);
        world.post(
            alice,
            "461-0[{\"_placeholder\":true,\"num\":0}]␞bIQ==␞452-5[\"up\",{\"_placeholder\":true,\"num\":0},\
             {\"_placeholder\":true,\"num\":1}]␞b",
        );
        world.note("the attachments of one packet may come in several requests");
        world.post(alice, "bAQID");
        let token = world.tokens.pop_front().unwrap();
        world.reply(token, &Bytes::from_static(b"ok")).unwrap();
    });
}

#[test]
fn binary_on_a_websocket_that_asked_for_base64() {
    golden("binary_base64", &Config::default(), |world| {
        let alice = world.client("alice");
        world.open_at(alice, "/socket.io/?EIO=4&transport=websocket&b64=1");
        let socket = world.join_namespace(alice, "40");
        binary(world, socket);
        let everybody = Target::all(world.nsp("/"));
        world.broadcast(&everybody, "shared", &Bytes::from_static(&[1, 2, 3]));
    });
}

#[test]
fn room_broadcast_over_polling_and_websocket() {
    golden("rooms", &Config::default(), |world| {
        let (alice, a) = world.joined("alice");
        let (_bob, b) = world.joined_polling("bob");
        let (_carol, c) = world.joined("carol");
        let (_dave, d) = world.joined_polling("dave");
        let all = Target::all(world.nsp("/"));
        for (socket, room) in [(a, "news"), (b, "news"), (c, "sport"), (b, "sport"), (d, "sport")] {
            world.note(format!("app> {} joins {room}", world.name(socket)));
            world.server.join(socket, room).unwrap();
            world.drive();
        }
        world.broadcast(&all, "everybody", &Bytes::from_static(&[1, 2]));
        let (news, sport) = ([Room::from("news")], [Room::from("news"), Room::from("sport")]);
        world.broadcast(&Target { rooms: &news, ..all }, "news", &1);
        world.note("bob is in both rooms and gets it once");
        world.broadcast(&Target { rooms: &sport, ..all }, "both", &2);
        world.broadcast(&Target { rooms: &sport, except: &news, ..all }, "sport only", &3);
        world.broadcast(&Target { except: &news, ..all }, "all but news", &4);
        let own = [Room::from(world.server.sid(c).unwrap())];
        world.broadcast(&Target { rooms: &own, ..all }, "to carol alone", &5);
        world.broadcast(&Target { rooms: &[Room::from("nobody")], ..all }, "to nobody", &6);
        world.note("app> bob leaves news");
        world.server.leave(b, "news");
        world.drive();
        world.broadcast(&Target { rooms: &news, ..all }, "news", &7);
        world.note("app> everybody in news joins two rooms, all of sport leave");
        world.server.sockets_join(&Target { rooms: &news, ..all }, &["x", "y"]);
        world.server.sockets_leave(&all, &["sport"]);
        world.drive();
        world.eof(alice);
        world.note("app> everybody is disconnected");
        world.server.disconnect_sockets(world.now, &all, false);
        world.drive();
    });
}

#[test]
fn ping_timeout() {
    golden("ping_timeout", &Config::default(), |world| {
        let (_alice, _) = world.joined("alice");
        let bob = world.polling("bob");
        world.post(bob, "40");
        world.get(bob);
        world.note("another packet extends the wait for the pong, once");
        world.advance(secs(30));
        world.get(bob);
        world.post(bob, "42[\"busy\"]");
        world.post(bob, "42[\"busy\"]");
        world.advance(secs(16));
        world.post(bob, "42[\"busy\"]");
        world.advance(secs(4) + MICRO);
        world.advance(secs(10));
        world.assert_empty();
    });
}

#[test]
fn two_namespaces_and_a_refused_one() {
    golden("namespaces", &Config::default(), |world| {
        world.server.add_namespace("/admin");
        world.on_event(|world, event| match event {
            Event::Connect(request) if request.namespace() == "/admin" && request.auth().is_none() => {
                world.reject(request, "not authorized").unwrap();
                None
            }
            event => Some(event),
        });
        let alice = world.websocket("alice");
        world.say(alice, "40");
        world.say(alice, "40/admin,");
        world.say(alice, "40/none,");
        world.say(alice, "40/admin,{\"token\":1}");
        let (main, admin) = (world.sockets[0], world.sockets[1]);
        world.say(alice, "42[\"in\",\"main\"]");
        world.say(alice, "42/admin,1[\"in\",\"admin\"]");
        world.emit(main, "from", &"main").unwrap();
        world.emit_with_ack(admin, "from", &"admin", secs(1)).unwrap();
        world.say(alice, "43/admin,0[\"ok\"]");
        let token = world.tokens.pop_front().unwrap();
        world.reply(token, &()).unwrap();
        let all = Target::all(world.nsp("/admin"));
        world.broadcast(&all, "admins", &Bytes::from_static(&[7]));
        world.note("leaving one namespace leaves the other alone");
        world.say(alice, "41/admin,");
        world.say(alice, "42[\"still\"]");
        world.say(alice, "40/admin,{\"again\":true}");
        world.disconnect(main, false);
        world.say(alice, "42[\"on its way when the server disconnected\"]");
        world.say(alice, "40");
    });
}

#[test]
fn disconnects_of_every_kind() {
    golden("disconnects", &Config::default(), |world| {
        let websocket = |world: &mut World, name: &str| world.joined(name);
        let polling = |world: &mut World, name: &str| world.joined_polling(name);
        let told = |world: &mut World, what: &str| world.note(format!("--- {what}"));

        told(world, "the client leaves the namespace");
        let (who, _) = websocket(world, "a");
        world.say(who, "41");
        told(world, "the server disconnects the socket");
        let (_, socket) = websocket(world, "b");
        world.disconnect(socket, false);
        told(world, "the server disconnects the whole connection");
        let (_, socket) = websocket(world, "c");
        world.disconnect(socket, true);
        let (_, socket) = polling(world, "d");
        world.disconnect(socket, true);
        told(world, "the client closes its WebSocket");
        let (who, _) = websocket(world, "e");
        world.close(who, 1000);
        told(world, "the byte stream ends");
        let (who, _) = websocket(world, "f");
        world.eof(who);
        told(world, "the client closes its polling session");
        let (who, _) = polling(world, "g");
        world.clients[who].auto = false;
        world.post(who, "1");
        told(world, "the client drops its GET");
        let (who, _) = polling(world, "h");
        let request = world.waiting(who).expect("a GET");
        world.abort(who, request);
        told(world, "a second GET");
        let (who, _) = polling(world, "i");
        world.clients[who].auto = false;
        world.get(who);
        told(world, "a body that is too large");
        let (who, _) = polling(world, "j");
        world.clients[who].auto = false;
        world.post_body(who, &[], Body::TooLarge);
        told(world, "a ping of a client");
        let (who, _) = websocket(world, "k");
        world.say(who, "2");
        told(world, "not an Engine.IO packet");
        let (who, _) = websocket(world, "l");
        world.say(who, "x");
        let (who, _) = polling(world, "m");
        world.clients[who].auto = false;
        world.post(who, "42[\"counts\"]␞x␞42[\"does not count\"]");
        told(world, "not a Socket.IO packet");
        let (who, _) = websocket(world, "n");
        world.say(who, "4x");
        told(world, "a packet for a namespace that was not joined");
        let (who, _) = websocket(world, "o");
        world.say(who, "42/admin,[\"x\"]");
        let (who, _) = polling(world, "p");
        world.clients[who].auto = false;
        world.post(who, "42/admin,[\"x\"]");
        let who = world.polling("q");
        world.post(who, "40");
        world.post(who, "42/admin,[\"x\"]");
        world.get(who);
        told(world, "a violation of the WebSocket protocol");
        let (who, _) = websocket(world, "r");
        world.say_raw(who, &[0x81, 0x01, b'x']);
        told(world, "no pong");
        let (_, _) = websocket(world, "s");
        world.advance(secs(60));
        world.assert_empty();
    });
}

#[test]
fn server_shutdown() {
    golden("shutdown", &Config::default(), |world| {
        let (_alice, a) = world.joined("alice");
        let (_bob, b) = world.joined_polling("bob");
        let carol = world.polling("carol");
        world.post(carol, "40");
        let dave = world.websocket("dave");
        world.clients[dave].polite = false;
        world.server.join(a, "room").unwrap();
        world.emit_with_ack(b, "question", &(), secs(10)).unwrap();
        world.emit(world.sockets[2], "waits", &"for a GET").unwrap();
        world.shutdown();
        world.note("a polling client without a GET has time to fetch the rest");
        world.advance(secs(1));
        world.get(carol);
        world.get(carol);
        world.note("a WebSocket that does not answer the close frame is given up");
        world.advance(secs(10));
        world.assert_empty();
    });
}
