//! Connection state recovery in virtual time: what comes back, what does not, and what is left behind.

use std::time::Duration;

use bytes::Bytes;
use sockeye_protocol::{
    Config, Limits, QueuePolicy, Recovery, SocketKey,
    server::{EmitError, Room, Target},
};

use crate::harness::{MICRO, Who, World, secs};

fn config(recovery: Recovery) -> Config {
    Config { recovery: Some(recovery), ..Config::default() }
}

fn world() -> World {
    let mut world = World::new(config(Recovery::default()));
    world.server.add_namespace("/b");
    world
}

/// The text of one member of a packet's object.
fn member(packet: &str, key: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(&packet[packet.find('{').unwrap()..]).unwrap();
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {packet}")).to_owned()
}

/// What a client keeps for the time after its link: the private id, and the offset of the last event that it has.
#[derive(Clone, Debug)]
struct Ticket {
    sid: String,
    pid: String,
    offset: Option<String>,
}

impl Ticket {
    fn of(connect: &str) -> Self {
        Self { sid: member(connect, "sid"), pid: member(connect, "pid"), offset: None }
    }

    /// As the JavaScript client: the last argument of an event, if that is a text.
    fn see(&mut self, packet: &str) {
        let Some(event) = packet.find('[').map(|at| &packet[at..]) else { return };
        let args: Vec<serde_json::Value> = serde_json::from_str(event).unwrap();
        if let Some(offset) = args.last().and_then(|last| last.as_str()) {
            self.offset = Some(offset.to_owned());
        }
    }

    fn connect(&self) -> String {
        let offset = self.offset.as_ref().map_or(String::new(), |offset| format!(",\"offset\":\"{offset}\""));
        format!("40{{\"pid\":\"{}\"{offset}}}", self.pid)
    }
}

/// A client on WebSocket that has joined `/`.
fn join(world: &mut World, name: &str) -> (Who, SocketKey, Ticket) {
    let (who, socket) = world.joined(name);
    let packets = world.take(who);
    let ticket = Ticket::of(packets.last().unwrap());
    (who, socket, ticket)
}

/// The client comes back on a new link: what it gets, and its socket.
fn come_back(world: &mut World, name: &str, connect: &str) -> (Who, SocketKey, Vec<String>) {
    let who = world.websocket(name);
    world.take(who);
    let socket = world.join_namespace(who, connect);
    let packets = world.take(who);
    (who, socket, packets)
}

/// The events among packets, without their offsets.
fn events(packets: &[String]) -> Vec<String> {
    let without = |packet: &String| {
        let at = packet.rfind(",\"").unwrap_or_else(|| panic!("an offset in {packet}"));
        format!("{}]", &packet[..at])
    };
    packets.iter().filter(|packet| packet.starts_with("42")).map(without).collect()
}

fn everybody(world: &World) -> Target<'static> {
    Target::all(world.nsp("/"))
}

#[test]
fn without_recovery_nothing_is_added_to_any_packet() {
    let mut world = World::new(Config::default());
    let (alice, socket) = world.joined("alice");
    let packets = world.take(alice);
    assert_eq!(packets[1].split(['"', '{', '}']).filter(|part| part.len() > 1).count(), 3, "{packets:?}");
    world.emit(socket, "e", &1).unwrap();
    world.broadcast(&everybody(&world), "e", &2);
    assert_eq!(world.take(alice), ["42[\"e\",1]", "42[\"e\",2]"]);
    world.eof(alice);
    world.assert_empty();
}

#[test]
fn the_answer_to_connect_has_a_private_id_and_the_offset_of_the_beginning() {
    let mut world = world();
    let (alice, socket, ticket) = join(&mut world, "alice");
    assert_eq!(ticket.sid, world.server.sid(socket).unwrap().to_string());
    assert_eq!(
        (ticket.pid.len(), ticket.pid == ticket.sid, ticket.pid == world.clients[alice].sid),
        (22, false, false)
    );
    world.emit(socket, "one", &()).unwrap();
    let other = world.websocket("bob");
    world.join_namespace(other, "40");
    let answer = world.take(other).pop().unwrap();
    let offset = member(&answer, "offset");
    assert_eq!(world.take(alice), [format!("42[\"one\",\"{offset}\"]")]);
    // Of another namespace, with another log.
    world.join_namespace(other, "40/b,");
    let beside = world.take(other).pop().unwrap();
    assert_ne!(member(&beside, "offset").split('.').next(), offset.split('.').next());
}

#[test]
fn offsets_are_for_events_without_acknowledgement_and_come_last() {
    let mut world = world();
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    world.emit(socket, "e", &(1, Bytes::from_static(&[7]))).unwrap();
    let packets = world.take(alice);
    assert!(packets[0].starts_with("451-[\"e\",1,{\"_placeholder\":true,\"num\":0},\""), "{packets:?}");
    ticket.see(&packets[0]);
    assert!(ticket.offset.is_some());
    world.emit_with_ack(socket, "ask", &"text", secs(1)).unwrap();
    assert_eq!(world.take(alice), ["420[\"ask\",\"text\"]"]);
}

/// Id, rooms and missed events; the application is asked, and the client answered behind what it missed.
#[test]
fn a_lost_link_is_recovered_with_id_rooms_and_what_was_missed() {
    let mut world = world();
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    world.server.join(socket, "red").unwrap();
    world.emit(socket, "seen", &1).unwrap();
    for packet in world.take(alice) {
        ticket.see(&packet);
    }
    world.eof(alice);
    let all = everybody(&world);
    let [red, blue, own] = [[Room::Named("red")], [Room::Named("blue")], [Room::Own(ticket.sid.parse().unwrap())]];
    world.broadcast(&all, "all", &2);
    world.broadcast(&Target { rooms: &red, ..all }, "red", &Bytes::from_static(&[3]));
    world.broadcast(&Target { rooms: &blue, ..all }, "blue", &4);
    world.broadcast(&Target { except: &red, ..all }, "not red", &5);
    world.broadcast(&Target { rooms: &own, ..all }, "own", &6);
    world.broadcast(&Target { except: &own, ..all }, "not own", &7);
    world.advance(secs(119));
    world.clear();

    let (again, socket, packets) = come_back(&mut world, "alice again", &ticket.connect());
    assert_eq!(packets.len(), 5, "{packets:?}");
    assert!(packets[1].starts_with("451-[\"red\"") && packets[2] == "<03>", "{packets:?}");
    assert_eq!(events(&packets), ["42[\"all\",2]", "42[\"own\",6]"]);
    let answer = packets.last().unwrap();
    assert_eq!((member(answer, "sid"), member(answer, "pid")), (ticket.sid.clone(), ticket.pid.clone()));
    assert_eq!(world.server.sid(socket).unwrap().to_string(), ticket.sid);
    assert_eq!(world.server.rooms(socket).map(ToString::to_string).collect::<Vec<_>>(), ["red"]);
    // It is a socket like others, in its rooms.
    world.broadcast(&Target { rooms: &red, ..all }, "red", &8);
    world.emit(socket, "mine", &9).unwrap();
    assert_eq!(events(&world.take(again)), ["42[\"red\",8]", "42[\"mine\",9]"]);
    let joined = world.lines("room ");
    assert_eq!(joined.len(), 2, "{joined:?}");
    assert!(joined[0].ends_with("red@/ made") && joined[1].contains("red joined by"), "{joined:?}");
}

/// A JavaScript client that has got no event names no offset.
#[test]
fn who_has_received_nothing_recovers_too() {
    let mut world = world();
    let (earlier, socket, mut old) = join(&mut world, "earlier");
    world.emit(socket, "e", &0).unwrap();
    old.see(&world.take(earlier)[0]);
    let (alice, _, ticket) = join(&mut world, "alice");
    world.eof(alice);
    world.broadcast(&everybody(&world), "missed", &1);
    let (again, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!(events(&packets), ["42[\"missed\",1]"]);
    world.eof(again);
    // One that has had another session before names an offset of that: nothing of this one has come.
    let stale = Ticket { offset: old.offset, ..ticket };
    let (_, _, packets) = come_back(&mut world, "once more", &stale.connect());
    assert_eq!(events(&packets), ["42[\"missed\",1]"]);
    assert_eq!(member(packets.last().unwrap(), "sid"), stale.sid);
}

/// However long ago the last event was: it is the newest that was for this session.
#[test]
fn an_old_offset_is_enough_for_who_has_everything() {
    let mut world = world();
    let (bob, _, _) = join(&mut world, "bob");
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    world.clients[alice].auto = true;
    world.clients[bob].auto = true;
    world.emit(socket, "seen", &()).unwrap();
    ticket.see(&world.take(alice)[0]);
    world.advance(secs(600));
    assert_eq!(world.server.stats().logged_packets, 0);
    let not_alice = [Room::Own(ticket.sid.parse().unwrap())];
    world.broadcast(&Target { except: &not_alice, ..everybody(&world) }, "others", &());
    world.eof(alice);
    world.broadcast(&everybody(&world), "missed", &());
    let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!((events(&packets), member(&packets[1], "sid")), (vec!["42[\"missed\"]".to_owned()], ticket.sid));
}

#[test]
fn s21_whoever_has_no_session_begins_a_new_one() {
    let mut world = world();
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    world.emit(socket, "e", &()).unwrap();
    ticket.see(&world.take(alice)[0]);
    let known = ticket.offset.clone().unwrap();
    let tag = known.split('.').next().unwrap();
    let (_, _, bob) = join(&mut world, "bob");
    world.eof(alice);
    for (pid, offset) in [
        (&bob.sid, known.clone()),
        (&ticket.sid, known.clone()),
        (&world.clients[alice].sid.clone(), known.clone()),
        (&"__proto__".to_owned(), known.clone()),
        (&"x".repeat(100_000), known.clone()),
        (&ticket.pid, "hello".to_owned()),
        (&ticket.pid, "9".repeat(100_000)),
    ] {
        let (_, _, packets) =
            come_back(&mut world, "mallory", &format!("40{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}"));
        assert_eq!(packets.len(), 1);
        assert!(member(&packets[0], "sid") != ticket.sid && member(&packets[0], "pid") != ticket.pid);
    }
    for (pid, offset) in [("1", "1"), ("[]", "{}"), ("null", "null"), (&format!("\"{}\"", ticket.pid), "null")] {
        let (_, _, packets) = come_back(&mut world, "mallory", &format!("40{{\"pid\":{pid},\"offset\":{offset}}}"));
        assert_ne!(member(&packets[0], "sid"), ticket.sid);
    }
    // Offsets that could be, but are not.
    for offset in [format!("{tag}.2"), format!("{tag}.{}", u64::MAX), "abcd.1".to_owned()] {
        let (alice, _, ticket) = join(&mut world, "alice");
        world.eof(alice);
        let bad = Ticket { offset: Some(offset), ..ticket.clone() };
        let (_, _, packets) = come_back(&mut world, "mallory", &bad.connect());
        assert_ne!(member(&packets[0], "sid"), ticket.sid);
        // It will not come with a better one.
        let (_, _, packets) = come_back(&mut world, "mallory", &ticket.connect());
        assert_ne!(member(&packets[0], "sid"), ticket.sid);
    }
    // In another namespace it is nobody's.
    let (_, _, packets) = come_back(&mut world, "mallory", &ticket.connect().replacen("40", "40/b,", 1));
    assert_ne!(member(&packets[0], "sid"), ticket.sid);
    let (_, _, packets) = come_back(&mut world, "alice", &ticket.connect());
    assert_eq!(member(packets.last().unwrap(), "sid"), ticket.sid);
}

#[test]
fn a_session_lasts_for_its_time_and_not_longer() {
    for (late, recovers) in [(Duration::ZERO, true), (MICRO, false)] {
        let mut world = World::new(config(Recovery { max_disconnection_duration: secs(10), ..Recovery::default() }));
        let (alice, _, ticket) = join(&mut world, "alice");
        world.eof(alice);
        world.style.lazy = true;
        world.advance(secs(10) + late);
        world.style.lazy = false;
        let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert_eq!(member(&packets[0], "sid") == ticket.sid, recovers, "{late:?}");
    }
}

#[test]
fn memory_is_back_at_zero_when_nobody_can_come_back() {
    let mut world = world();
    let mut tickets = Vec::new();
    for number in 0..10 {
        let (who, socket, ticket) = join(&mut world, "alice");
        world.server.join(socket, "room").unwrap();
        world.emit(socket, "e", &number).unwrap();
        world.eof(who);
        tickets.push(ticket);
        world.advance(secs(1));
    }
    world.broadcast(&everybody(&world), "e", &());
    let stats = world.server.stats();
    assert_eq!((stats.lost_sessions, stats.logged_packets, stats.sockets), (10, 11, 0));
    assert!(stats.logged_bytes > 100);
    world.clear();
    world.advance(secs(120));
    world.assert_empty();
    let forgotten: Vec<_> = world.events();
    assert_eq!(forgotten.len(), 10);
    for (line, ticket) in forgotten.iter().zip(tickets) {
        assert!(line.starts_with("Forgotten") && line.contains(&ticket.sid), "{line}");
    }
}

/// With sockets that stay, what is too old goes all the same.
#[test]
fn events_leave_the_log_with_time() {
    let mut world = world();
    let (alice, socket, _) = join(&mut world, "alice");
    world.clients[alice].auto = true;
    for number in 0..100 {
        world.emit(socket, "e", &number).unwrap();
        world.advance(secs(1));
    }
    assert_eq!(world.server.stats().logged_packets, 100);
    world.advance(secs(400));
    let stats = world.server.stats();
    assert_eq!((stats.logged_packets, stats.logged_bytes, stats.sockets), (0, 0, 1));
}

#[test]
fn the_log_is_bounded_by_count_and_by_bytes() {
    for (max_packets, max_bytes, size) in [(10, usize::MAX, 1), (usize::MAX, 12_000, 1_000), (1, usize::MAX, 1)] {
        let mut world = World::new(config(Recovery { max_packets, max_bytes, ..Recovery::default() }));
        let (bob, _, bobs) = join(&mut world, "bob");
        world.eof(bob);
        let (alice, _, ticket) = join(&mut world, "alice");
        let all = everybody(&world);
        world.broadcast(&all, "first", &());
        world.eof(alice);
        let mut sent = 0;
        while world.server.stats().logged_packets > sent {
            sent += 1;
            world.broadcast(&all, "e", &"x".repeat(size));
        }
        let stats = world.server.stats();
        assert!(stats.logged_packets <= max_packets && stats.logged_bytes <= max_bytes);
        // Bob misses the first one, which is not there any more: he begins anew. Alice has had it, and goes on.
        let (_, _, packets) = come_back(&mut world, "bob", &bobs.connect());
        assert_ne!(member(packets.last().unwrap(), "sid"), bobs.sid);
        let (_, _, packets) = come_back(&mut world, "alice", &ticket.connect());
        assert_ne!(member(packets.last().unwrap(), "sid"), ticket.sid, "no offset: she does not say that she has it");
    }
}

#[test]
fn one_more_than_the_log_holds_is_lost_and_as_many_are_not() {
    for (count, recovers) in [(5, true), (6, false)] {
        let mut world = World::new(config(Recovery { max_packets: 5, ..Recovery::default() }));
        let (alice, _, ticket) = join(&mut world, "alice");
        world.eof(alice);
        for number in 0..count {
            world.broadcast(&everybody(&world), "e", &number);
        }
        let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
        let missed = if recovers { count } else { 0 };
        assert_eq!((packets.len(), member(packets.last().unwrap(), "sid") == ticket.sid), (missed + 1, recovers));
    }
}

/// A server that is busy with others, directly and in rooms, has lost nothing of somebody for whom none of it was.
#[test]
fn what_the_log_loses_of_others_costs_nobody_his_session() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Lost {
        Direct,
        Room,
        OwnRoom,
        OtherRoom,
        Left,
        Own,
        OtherOwn,
        Everybody,
    }
    let all = [
        (Lost::Direct, true),
        (Lost::OtherRoom, true),
        (Lost::Left, true),
        (Lost::OtherOwn, true),
        (Lost::Room, false),
        (Lost::OwnRoom, true),
        (Lost::Own, false),
        (Lost::Everybody, false),
    ];
    for (what, recovers) in all {
        let mut world = World::new(config(Recovery { max_packets: 5, ..Recovery::default() }));
        let (_, bob, bobs) = join(&mut world, "bob");
        let (alice, socket, mut ticket) = join(&mut world, "alice");
        for room in ["a", "left"] {
            world.server.join(socket, room).unwrap();
        }
        world.server.join(bob, "b").unwrap();
        world.emit(socket, "seen", &0).unwrap();
        ticket.see(&world.take(alice)[0]);
        world.server.leave(socket, "left");
        if what == Lost::OwnRoom {
            // While she is there.
            world.broadcast(&Target { rooms: &[Room::Named("a")], ..everybody(&world) }, "seen", &1);
            ticket.see(&world.take(alice)[0]);
        }
        world.eof(alice);
        let own = |ticket: &Ticket| Room::Own(ticket.sid.parse().unwrap());
        let room = match what {
            Lost::Room => Some(Room::Named("a")),
            Lost::OtherRoom => Some(Room::Named("b")),
            Lost::Left => Some(Room::Named("left")),
            Lost::Own => Some(own(&ticket)),
            Lost::OtherOwn => Some(own(&bobs)),
            Lost::Direct | Lost::OwnRoom | Lost::Everybody => None,
        };
        if let Some(room) = room {
            world.broadcast(&Target { rooms: &[room], ..everybody(&world) }, "e", &());
        } else if what == Lost::Everybody {
            world.broadcast(&everybody(&world), "e", &());
        }
        for number in 0..1_000 {
            world.emit(bob, "e", &number).unwrap();
        }
        world.broadcast(&everybody(&world), "last", &2);
        let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert_eq!(member(packets.last().unwrap(), "sid") == ticket.sid, recovers, "{what:?}");
        if recovers {
            assert_eq!(events(&packets), ["42[\"last\",2]"], "{what:?}");
        }
    }
}

/// Nor does what was lost before she was, or between two losses of hers.
#[test]
fn what_the_log_has_lost_before_a_session_was_lost_does_not_count() {
    let mut world = World::new(config(Recovery { max_packets: 5, ..Recovery::default() }));
    let (_, bob, _) = join(&mut world, "bob");
    // Somebody is lost all the time.
    let (carol, ..) = join(&mut world, "carol");
    world.eof(carol);
    let (mut alice, _, mut ticket) = join(&mut world, "alice");
    for round in 0..3 {
        world.broadcast(&everybody(&world), "e", &round);
        ticket.see(&world.take(alice)[0]);
        world.eof(alice);
        for number in 0..10 {
            world.emit(bob, "e", &number).unwrap();
        }
        let (again, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert!(packets.len() == 1 && member(&packets[0], "sid") == ticket.sid, "{round}");
        alice = again;
    }
}

/// Others are served while the application decides about her.
#[test]
fn what_is_lost_of_others_during_the_decision_does_not_end_the_connection() {
    let mut world = World::new(config(Recovery { max_packets: 3, ..Recovery::default() }));
    let (_, bob, _) = join(&mut world, "bob");
    let (alice, _, ticket) = join(&mut world, "alice");
    world.eof(alice);
    world.hold = true;
    let who = world.websocket("slow");
    world.take(who);
    world.say(who, &ticket.connect());
    let request = world.asking.pop_front().unwrap();
    for number in 0..10 {
        world.emit(bob, "e", &number).unwrap();
    }
    world.broadcast(&everybody(&world), "last", &10);
    world.accept(request).unwrap();
    world.drive();
    let packets = world.take(who);
    assert_eq!(events(&packets), ["42[\"last\",10]"]);
    assert_eq!(member(packets.last().unwrap(), "sid"), ticket.sid);
}

#[test]
fn the_oldest_of_too_many_sessions_makes_room() {
    let mut world = World::new(config(Recovery { max_sessions: 2, ..Recovery::default() }));
    let tickets: Vec<_> = (0..3)
        .map(|_| {
            let (who, _, ticket) = join(&mut world, "alice");
            world.eof(who);
            ticket
        })
        .collect();
    assert_eq!(world.server.stats().lost_sessions, 2);
    for (ticket, recovers) in tickets.iter().zip([false, true, true]) {
        let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert_eq!(member(&packets[0], "sid") == ticket.sid, recovers);
    }
}

/// What would not fit the queue of the new link is as good as lost.
#[test]
fn a_replay_fits_the_send_queue_or_is_none() {
    for (count, recovers) in [(3, true), (4, false)] {
        let limits = Limits { send_queue_packets: 4, ..Limits::default() };
        let mut world = World::new(Config { limits, ..config(Recovery::default()) });
        let (alice, _, ticket) = join(&mut world, "alice");
        world.eof(alice);
        for number in 0..count {
            world.broadcast(&everybody(&world), "e", &number);
        }
        let (again, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert_eq!(member(packets.last().unwrap(), "sid") == ticket.sid, recovers);
        assert!(world.is_open(again));
    }
}

/// The reasons of Socket.IO, and no other (behaviours, item 50).
#[test]
fn i50_sessions_are_kept_for_lost_links_and_not_for_who_left() {
    type End = fn(&mut World, Who, SocketKey);
    let ends: [(&str, End, bool); 9] = [
        ("transport close", |world, who, _| world.eof(who), true),
        ("transport error", |world, who, _| world.say(who, "2"), true),
        ("ping timeout", |world, _, _| world.advance(secs(45)), true),
        ("forced close", |world, who, _| world.say(who, "4abc"), true),
        ("server shutting down", |world, _, _| world.shutdown(), true),
        ("parse error", |world, who, _| world.say(who, "9"), false),
        ("client namespace disconnect", |world, who, _| world.say(who, "41"), false),
        ("server namespace disconnect", |world, _, socket| world.disconnect(socket, true), false),
        (
            "slow consumer",
            |world, who, socket| {
                world.set_queue_policy(socket, QueuePolicy::Disconnect);
                world.clients[who].reads = false;
                while world.emit(socket, "e", &"x".repeat(100_000)).is_ok() {}
            },
            false,
        ),
    ];
    for (reason, end, kept) in ends {
        let mut world = world();
        let (alice, socket, ticket) = join(&mut world, "alice");
        end(&mut world, alice, socket);
        world.drive();
        assert_eq!(world.lines("app: disconnect alice/ ").len(), 1, "{reason}");
        assert!(world.lines("app: disconnect alice/ ")[0].contains(&format!("({reason})")), "{:?}", world.events());
        assert_eq!(world.server.stats().lost_sessions, usize::from(kept), "{reason}");
        assert_eq!(world.lines("Forgotten").len(), usize::from(!kept), "{reason}");
        let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
        assert_eq!(member(packets.last().unwrap(), "sid") == ticket.sid, kept, "{reason}");
    }
}

/// A polling client that cannot be told at once that it has broken a rule.
#[test]
fn i50_a_forced_server_close_is_recoverable() {
    let mut world = world();
    let (alice, socket) = world.joined_polling("alice");
    let ticket = Ticket::of(world.take(alice).iter().find(|packet| packet.starts_with("40{")).unwrap());
    world.clients[alice].auto = false;
    world.emit(socket, "e", &1).unwrap();
    world.post(alice, "40");
    assert_eq!(world.lines("disconnect alice/ (forced server close)").len(), 1);
    let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!((events(&packets), member(&packets[1], "sid")), (vec!["42[\"e\",1]".to_owned()], ticket.sid));
}

#[test]
fn i48_a_session_is_restored_at_most_once_at_a_time() {
    let mut world = world();
    let (alice, _, ticket) = join(&mut world, "alice");
    world.eof(alice);
    let (first, _, packets) = come_back(&mut world, "first", &ticket.connect());
    assert_eq!(member(&packets[0], "sid"), ticket.sid);
    world.clear();
    // The newest link has it; the one before is closed, and the application hears of that first.
    let (second, socket, packets) = come_back(&mut world, "second", &ticket.connect());
    assert_eq!(member(&packets[0], "sid"), ticket.sid);
    assert!(!world.is_open(first) && world.is_open(second));
    let heard: Vec<_> = world.events().into_iter().filter(|line| !line.starts_with("room")).collect();
    assert_eq!(heard[..2], ["disconnecting first/ (forced close) rooms []", "disconnect first/ (forced close)"]);
    assert!(heard[2..].iter().any(|line| line.starts_with("connect second/")), "{heard:?}");
    assert_eq!(world.sockets, [socket]);
    world.broadcast(&everybody(&world), "e", &());
    assert_eq!(events(&world.take(second)), ["42[\"e\"]"]);
}

/// The server has not noticed that the link is gone (JavaScript's issue 4880): nobody waits for its ping timeout.
#[test]
fn a_new_link_retires_a_silent_one_at_once() {
    let mut world = world();
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    let beside = world.join_namespace(alice, "40/b,");
    let other = Ticket::of(world.take(alice).last().unwrap());
    world.server.join(socket, "red").unwrap();
    world.emit(socket, "seen", &1).unwrap();
    ticket.see(&world.take(alice)[0]);
    world.clients[alice].reads = false;
    world.emit(socket, "into the void", &2).unwrap();
    world.emit(beside, "void", &3).unwrap();
    let (again, socket, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!(
        (events(&packets), member(&packets[1], "sid")),
        (vec!["42[\"into the void\",2]".to_owned()], ticket.sid)
    );
    assert_eq!(world.server.rooms(socket).count(), 1);
    // The whole old connection has gone; its other namespaces come back by themselves.
    world.join_namespace(again, &other.connect().replacen("40", "40/b,", 1));
    let packets = world.take(again);
    assert_eq!(member(packets.last().unwrap(), "sid"), other.sid);
    assert_eq!(packets[0].split(',').next_back().map(|part| part.contains('.')), Some(true), "{packets:?}");
    assert_eq!(world.server.stats().sockets, 2);
}

/// Middlewares decide first: a refused client learns nothing (behaviours, item 46), and may try again.
#[test]
fn i46_a_refused_socket_gets_nothing_and_its_session_stays() {
    let mut world = world();
    let (alice, socket, ticket) = join(&mut world, "alice");
    world.server.join(socket, "red").unwrap();
    world.eof(alice);
    world.broadcast(&everybody(&world), "secret", &1);
    world.hold = true;
    let who = world.websocket("again");
    world.take(who);
    world.say(who, &ticket.connect());
    let request = world.asking.pop_front().unwrap();
    assert!(request.is_recovered() && request.sid().to_string() == ticket.sid);
    assert_eq!(world.server.rooms(request.socket()).count(), 1);
    world.server.join(request.socket(), "blue").unwrap();
    world.server.leave(request.socket(), "red");
    world.reject(request, "not now").unwrap();
    assert_eq!(world.take(who), ["44{\"message\":\"not now\"}"]);
    assert_eq!((world.server.stats().rooms, world.server.stats().lost_sessions), (0, 1));
    // What happens while it is decided is not lost either, and comes once.
    world.say(who, &ticket.connect());
    let request = world.asking.pop_front().unwrap();
    assert!(request.is_recovered());
    world.broadcast(&Target { rooms: &[Room::Named("red")], ..everybody(&world) }, "meanwhile", &2);
    assert!(world.take(who).is_empty());
    let socket = world.accept(request).unwrap();
    world.emit(socket, "after", &3).unwrap();
    world.drive();
    let packets = world.take(who);
    assert_eq!(events(&packets), ["42[\"secret\",1]", "42[\"meanwhile\",2]", "42[\"after\",3]"]);
    assert!(packets[2].starts_with("40{"), "{packets:?}");
    assert_eq!(world.server.stats().lost_sessions, 0);
}

#[test]
fn a_link_that_is_lost_before_the_decision_leaves_the_session_where_it_was() {
    let mut world = world();
    let (alice, _, ticket) = join(&mut world, "alice");
    world.eof(alice);
    world.hold = true;
    for newer in [false, true] {
        let who = world.websocket("impatient");
        world.say(who, &ticket.connect());
        let request = world.asking.pop_front().unwrap();
        if newer {
            // Another link takes it while this one waits.
            let other = world.websocket("other");
            world.say(other, &ticket.connect());
            assert!(!world.is_open(who));
        } else {
            world.eof(who);
        }
        assert!(world.accept(request).is_err());
    }
    let request = world.asking.pop_front().unwrap();
    assert!(request.is_recovered());
    world.accept(request).unwrap();
    world.drive();
    let stats = world.server.stats();
    assert_eq!((stats.sockets, stats.pending_sockets, stats.lost_sessions), (1, 0, 0));
}

/// A client whose decision takes longer than the session would have waited; and one that is refused then.
#[test]
fn a_session_that_is_claimed_does_not_end_before_the_decision() {
    for accept in [true, false] {
        let mut world = World::new(config(Recovery { max_disconnection_duration: secs(1), ..Recovery::default() }));
        let (alice, _, ticket) = join(&mut world, "alice");
        world.eof(alice);
        world.hold = true;
        let who = world.websocket("slow");
        world.say(who, &ticket.connect());
        world.advance(secs(2));
        let request = world.asking.pop_front().unwrap();
        if accept {
            world.accept(request).unwrap();
            world.drive();
            assert_eq!(member(world.take(who).last().unwrap(), "sid"), ticket.sid);
        } else {
            world.reject(request, "no").unwrap();
            assert_eq!((world.lines("Forgotten").len(), world.server.stats().lost_sessions), (1, 0));
        }
    }
}

/// More came during the decision than the log holds: the client is sent away, and begins anew.
#[test]
fn what_is_lost_during_the_decision_ends_the_connection() {
    let mut world = World::new(config(Recovery { max_packets: 3, ..Recovery::default() }));
    let (alice, _, ticket) = join(&mut world, "alice");
    world.eof(alice);
    world.hold = true;
    let who = world.websocket("slow");
    world.take(who);
    world.say(who, &ticket.connect());
    let request = world.asking.pop_front().unwrap();
    for number in 0..4 {
        world.broadcast(&everybody(&world), "e", &number);
    }
    world.accept(request).unwrap();
    world.drive();
    assert!(!world.is_open(who) && world.take(who).iter().all(|packet| !packet.starts_with('4')));
    assert_eq!(world.lines("disconnect slow/ (forced close)").len(), 1);
    assert_eq!(world.lines("Forgotten").len(), 1);
    world.hold = false;
    let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert!(packets.len() == 1 && member(&packets[0], "sid") != ticket.sid);
    let stats = world.server.stats();
    assert_eq!((stats.sockets, stats.lost_sessions), (1, 0));
}

/// What was for the socket when it was sent is what counts, not the rooms that it is in at the end.
#[test]
fn rooms_count_as_they_were() {
    let mut world = world();
    let (alice, socket, mut ticket) = join(&mut world, "alice");
    let room = |name| [Room::Named(name)];
    let all = everybody(&world);
    let send = |world: &mut World, name: &'static str, number: u8| {
        world.broadcast(&Target { rooms: &room(name), ..all }, name, &number);
    };
    world.emit(socket, "seen", &0).unwrap();
    ticket.see(&world.take(alice)[0]);
    // Somebody else keeps the rooms alive.
    let (_, other, _) = join(&mut world, "bob");
    world.server.join(other, "a").unwrap();
    world.server.join(other, "b").unwrap();
    world.clients[alice].reads = false;
    send(&mut world, "a", 1);
    world.server.join(socket, "a").unwrap();
    send(&mut world, "a", 2);
    world.server.leave(socket, "a");
    send(&mut world, "a", 3);
    world.server.join(socket, "b").unwrap();
    send(&mut world, "b", 4);
    world.eof(alice);
    send(&mut world, "a", 5);
    send(&mut world, "b", 6);
    world.broadcast(&Target { except: &room("a"), ..all }, "all", &7);
    let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!(events(&packets), ["42[\"a\",2]", "42[\"b\",4]", "42[\"b\",6]", "42[\"all\",7]"]);
}

#[test]
fn an_event_that_was_not_sent_is_not_in_the_log() {
    let limits = Limits { send_queue_packets: 2, ..Limits::default() };
    let mut world = World::new(Config { limits, ..config(Recovery::default()) });
    let (alice, socket, ticket) = join(&mut world, "alice");
    world.clients[alice].reads = false;
    world.emit(socket, "e", &1).unwrap();
    world.emit(socket, "e", &2).unwrap();
    assert!(matches!(world.emit(socket, "e", &3), Err(EmitError::Full(_))));
    world.set_queue_policy(socket, QueuePolicy::DropNewest);
    world.emit(socket, "e", &4).unwrap();
    assert_eq!(world.server.stats().logged_packets, 2);
    world.eof(alice);
    assert_eq!(world.emit(socket, "e", &5), Err(EmitError::NotConnected));
    let (_, _, packets) = come_back(&mut world, "again", &ticket.connect());
    assert_eq!(member(packets.last().unwrap(), "sid") == ticket.sid, packets.len() == 3);
}

/// Over polling, replay and answer come in one payload.
#[test]
fn polling_recovers_too() {
    let mut world = world();
    let (alice, _) = world.joined_polling("alice");
    let ticket = Ticket::of(world.take(alice).iter().find(|packet| packet.starts_with("40{")).unwrap());
    world.clients[alice].auto = false;
    world.post(alice, "1");
    world.drive();
    world.broadcast(&everybody(&world), "missed", &1);
    let who = world.polling("again");
    world.take(who);
    world.post(who, &ticket.connect());
    world.get(who);
    world.drive();
    let packets = world.take(who);
    assert_eq!((packets.len(), events(&packets)), (2, vec!["42[\"missed\",1]".to_owned()]));
    assert_eq!(member(&packets[1], "sid"), ticket.sid);
}
