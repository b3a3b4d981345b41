//! However the world's inputs are cut and batched, and whoever reads the WebSocket's frames: what comes out is the same.

use bytes::Bytes;
use proptest::prelude::*;
use sockeye_protocol::{
    Config, Limits, NspId, RequestId,
    server::{Event, Room, Target},
    ws,
};

use crate::harness::{Style, World, millis};

/// What clients say, well-formed and not.
const PACKETS: [&str; 36] = [
    "40",
    "40{\"token\":1}",
    "40/b,",
    "40/none,",
    "41",
    "41/b,",
    "42[\"e\"]",
    "42[\"join\",\"r\"]",
    "42[\"join\",\"s\"]",
    "42[\"leave\",\"r\"]",
    "42[\"all\",1]",
    "42[\"room\",{\"x\":[null]}]",
    "421[\"ask\",\"é🦀\"]",
    "42/b,2[\"ask\"]",
    "42/b,[\"all\"]",
    "42[\"kick\"]",
    "430[]",
    "432[1]",
    "43/b,0[\"y\"]",
    "451-[\"all\",{\"_placeholder\":true,\"num\":0}]",
    "452-7[\"ask\",{\"num\":1,\"_placeholder\":true},{\"_placeholder\":true,\"num\":0}]",
    "bAAEC",
    "bAQ==",
    "bAg==",
    "3",
    "3",
    "3",
    "6",
    "2probe",
    "5",
    "1",
    "2",
    "4x",
    "42[\"connect\"]",
    "8",
    "",
];

/// What the world does to a client.
#[derive(Clone, Debug)]
enum Input {
    Say(usize, usize),
    SayBinary(usize, Vec<u8>),
    Raw(usize, Vec<u8>),
    Get(usize),
    Post(usize, Vec<usize>),
    Abort(usize),
    Eof(usize),
    Withhold(usize, bool),
    Tick(u64),
}

#[derive(Clone, Debug)]
enum Verb {
    Reject(usize),
    Emit(usize, usize),
    Ask(usize, u64),
    Reply,
    Join(usize, bool),
    Leave(usize, bool),
    Broadcast(u8),
    Disconnect(usize, bool),
    DisconnectAll,
}

/// Inputs, and then verbs.
type Script = Vec<(Vec<Input>, Vec<Verb>)>;

fn input() -> impl Strategy<Value = Input> {
    let packet = || 0..PACKETS.len();
    prop_oneof![
        12 => (0..4_usize, packet()).prop_map(|(who, packet)| Input::Say(who, packet)),
        1 => (0..4_usize, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(who, bytes)| Input::SayBinary(who, bytes)),
        1 => (0..4_usize, prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(who, bytes)| Input::Raw(who, bytes)),
        4 => (1..3_usize).prop_map(Input::Get),
        6 => (1..3_usize, prop::collection::vec(packet(), 1..4)).prop_map(|(who, packets)| Input::Post(who, packets)),
        1 => (1..3_usize).prop_map(Input::Abort),
        1 => (0..4_usize).prop_map(Input::Eof),
        2 => (0..4_usize, any::<bool>()).prop_map(|(who, withheld)| Input::Withhold(who, withheld)),
        4 => prop_oneof![Just(0), 1..30_u64, Just(100), 100..700_u64].prop_map(Input::Tick),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    let socket = || 0..6_usize;
    prop_oneof![
        1 => (0..3_usize).prop_map(Verb::Reject),
        3 => (socket(), 0..4_usize).prop_map(|(socket, size)| Verb::Emit(socket, size)),
        3 => (socket(), 0..500_u64).prop_map(|(socket, timeout)| Verb::Ask(socket, timeout)),
        2 => Just(Verb::Reply),
        3 => (socket(), any::<bool>()).prop_map(|(socket, room)| Verb::Join(socket, room)),
        1 => (socket(), any::<bool>()).prop_map(|(socket, room)| Verb::Leave(socket, room)),
        3 => any::<u8>().prop_map(Verb::Broadcast),
        1 => (socket(), any::<bool>()).prop_map(|(socket, close)| Verb::Disconnect(socket, close)),
        1 => Just(Verb::DisconnectAll),
    ]
}

fn script(inputs: impl Strategy<Value = Input>) -> impl Strategy<Value = Script> {
    let segment = (prop::collection::vec(inputs, 0..12), prop::collection::vec(verb(), 0..4));
    prop::collection::vec(segment, 1..8)
}

fn config() -> Config {
    Config {
        ping_interval: millis(300),
        ping_timeout: millis(200),
        upgrade_timeout: millis(500),
        connect_timeout: millis(1_000),
        limits: Limits {
            max_attachments: 2,
            packet_timeout: millis(250),
            close_timeout: millis(150),
            drain_timeout: millis(400),
            withheld_timeout: millis(350),
            namespaces: 2,
            failed_namespaces: 3,
            ..Limits::default()
        },
        ..Config::default()
    }
}

/// Four clients: one on WebSocket in `/`, one on polling in `/`, one on polling with a candidate, one on WebSocket that
/// has joined nothing. None reacts to anything by itself: what a real client would do in answer depends on when it
/// learns of something, which is not what is compared here.
fn cast(style: Style, seed: u64) -> World {
    let mut world = World::with_seed(config(), seed);
    world.server.add_namespace("/b");
    world.joined("ws");
    let polling = world.polling("polling");
    world.post(polling, "40");
    world.get(polling);
    let upgrading = world.polling("upgrading");
    world.post(upgrading, "40");
    world.get(upgrading);
    world.open(upgrading);
    world.websocket("new");
    for client in &mut world.clients {
        client.polite = false;
        client.ends = false;
    }
    world.drive();
    world.style = style;
    world
}

fn perform(world: &mut World, input: &Input) {
    match input {
        Input::Say(who, packet) => world.say(*who, PACKETS[*packet]),
        Input::SayBinary(who, bytes) => world.say_binary(*who, bytes),
        Input::Raw(who, bytes) => world.say_raw(*who, bytes),
        Input::Get(who) => drop_id(world.get(*who)),
        Input::Post(who, packets) => {
            let body = packets.iter().map(|packet| PACKETS[*packet]).collect::<Vec<_>>().join("␞");
            drop_id(world.post(*who, &body));
        }
        Input::Abort(who) => {
            // The last GET, whether it is answered already or not: that may have crossed.
            if let Some(id) = world.last_get(*who) {
                world.abort(*who, id);
            }
        }
        Input::Eof(who) => world.eof(*who),
        Input::Withhold(who, withheld) => world.withhold(*who, *withheld),
        Input::Tick(time) => {
            world.now = world.now + millis(*time);
            world.server.handle_timeout(world.now);
            if !world.style.lazy {
                world.drive();
            }
        }
    }
}

fn drop_id(_: RequestId) {}

fn act(world: &mut World, verb: &Verb) {
    let socket = |world: &World, number: usize| world.sockets.get(number % world.sockets.len().max(1)).copied();
    let room = |first: bool| if first { "r" } else { "s" };
    match *verb {
        Verb::Reject(number) => {
            if number < world.asking.len() {
                let request = world.asking.remove(number).unwrap();
                let _ = world.reject(request, "no");
            }
        }
        Verb::Emit(number, size) => {
            if let Some(socket) = socket(world, number) {
                world.emit(socket, "e", &vec![Bytes::from_static(b"xyz"); size]).unwrap();
            }
        }
        Verb::Ask(number, timeout) => {
            if let Some(socket) = socket(world, number) {
                world.emit_with_ack(socket, "ask", &(), millis(timeout)).unwrap();
            }
        }
        Verb::Reply => {
            if let Some(token) = world.tokens.pop_front() {
                let _ = world.reply(token, &"ok");
            }
        }
        Verb::Join(number, first) => {
            if let Some(socket) = socket(world, number) {
                world.server.join(socket, room(first)).unwrap();
            }
        }
        Verb::Leave(number, first) => {
            if let Some(socket) = socket(world, number) {
                world.server.leave(socket, room(first));
            }
        }
        Verb::Broadcast(bits) => {
            let namespace = world.nsp(if bits & 1 == 0 { "/" } else { "/b" });
            let named: Vec<Room<'_>> = [(2, "r"), (4, "s")]
                .iter()
                .filter(|(bit, _)| bits & bit != 0)
                .map(|(_, name)| Room::from(*name))
                .collect();
            let except: &[Room<'_>] = if bits & 8 == 0 { &[] } else { &[Room::Named("r")] };
            world.broadcast(&Target { namespace, rooms: &named, except }, "b", &Bytes::from_static(b"12"));
        }
        Verb::Disconnect(number, close) => {
            if let Some(socket) = socket(world, number) {
                world.disconnect(socket, close);
            }
        }
        Verb::DisconnectAll => {
            let target = Target { rooms: &[Room::Named("r")], ..Target::all(NspId::clone(&world.nsp("/"))) };
            world.server.disconnect_sockets(world.now, &target, false);
        }
    }
    // So that a verb finds the sockets that the verb before it has left.
    world.drive();
}

/// What came out, one line each: the outputs in their order across connections, then each client's answers, then what is
/// left.
fn outcome(world: &World) -> Vec<String> {
    // When frames are written is the driver's business; an answer that the session is gone is `route`'s or the
    // session's, depending on whether it was asked before or after the last output was polled.
    let is_output = |line: &&str| !line.contains(" ws< ") && !line.contains("\"code\":1");
    let mut lines: Vec<String> = world.reaction().lines().filter(is_output).map(str::to_owned).collect();
    for client in &world.clients {
        lines.extend(client.answers.iter().map(|(id, answer)| format!("{}: {id} {answer:?}", client.name)));
    }
    lines.push(format!("{:?} {:?}", world.server.stats(), world.server.poll_timeout()));
    lines
}

/// What each client received on its WebSocket, and whether that was lost before all was written.
fn streams(world: &World) -> Vec<(Bytes, bool)> {
    let lost = |name: &str| {
        let lines = [format!("{name} ws> end of stream"), format!("server: aborts {name} ws")];
        lines.iter().any(|line| !world.lines(line).is_empty())
    };
    world.clients.iter().map(|client| (Bytes::from(client.streams.concat()), lost(&client.name))).collect()
}

/// The first stream that differs by more than what an end of the byte stream has overtaken.
fn difference_of_streams(found: &[(Bytes, bool)], expected: &[(Bytes, bool)]) -> Option<String> {
    let same = |((found, _), (expected, lost)): &(&(Bytes, bool), &(Bytes, bool))| {
        found == expected || (*lost && (found.starts_with(expected) || expected.starts_with(found)))
    };
    let pair = found.iter().zip(expected).find(|pair| !same(pair))?;
    Some(format!("found    {:?}\nexpected {:?}", pair.0, pair.1))
}

/// The first line that differs.
fn difference(found: &[String], expected: &[String]) -> Option<String> {
    let index = found.iter().zip(expected).position(|(found, expected)| found != expected);
    let index = index.or_else(|| (found.len() != expected.len()).then(|| found.len().min(expected.len())))?;
    Some(format!("found    {:?}\nexpected {:?}", found.get(index), expected.get(index)))
}

/// All connection requests that came up in a segment are decided at its end, by verbs.
fn run(script: &Script, style: Style, seed: u64) -> World {
    let mut world = cast(style, seed);
    world.hold = true;
    for (inputs, verbs) in script {
        for input in inputs {
            perform(&mut world, input);
        }
        world.drive();
        for verb in verbs {
            act(&mut world, verb);
        }
        while let Some(request) = world.asking.pop_front() {
            let _ = world.accept(request);
            world.drive();
        }
        world.drive();
    }
    world
}

/// The same for an application that acts on each event at once, in the middle of a batch.
fn run_reactive(script: &Script, style: Style) -> World {
    run_settling(script, style).0
}

/// The same, and how many packets each client had polled at the end of the last segment that its session has seen: all that there
/// were.
fn run_settling(script: &Script, style: Style) -> (World, Vec<usize>) {
    let mut world = cast(style, 1);
    let mut settled: Vec<usize> = world.clients.iter().map(|client| client.polled.len()).collect();
    world.on_event(|world, event| {
        if let Event::Packet { socket, event: name, .. } = &event {
            let all = Target::all(socket.namespace());
            match name.as_str() {
                "join" => drop(world.server.join(*socket, "r")),
                "leave" => drop(world.server.leave(*socket, "r")),
                "all" => drop(world.broadcast(&all, "to all", &1)),
                "room" => drop(world.broadcast(&Target { rooms: &[Room::Named("r")], ..all }, "to room", &2)),
                "kick" => world.disconnect(*socket, false),
                _ => world.emit(*socket, "echo", &name.as_str()).unwrap(),
            }
        }
        let Event::Packet { ack: Some(token), .. } = event else { return Some(event) };
        world.reply(token, &"done").unwrap();
        None
    });
    for (inputs, _) in script {
        for input in inputs {
            perform(&mut world, input);
        }
        world.drive();
        // How packets share the answers of polls depends on when the driver writes these: so all are fetched.
        for who in 1..3 {
            for _ in 0..100 {
                if world.waiting(who).is_some() || world.server.connection(world.clients[who].key.unwrap()).is_none() {
                    break;
                }
                world.get(who);
                world.drive();
            }
        }
        world.advance(millis(60));
        for (client, settled) in world.clients.iter().zip(&mut settled) {
            if client.key.is_some_and(|key| world.server.connection(key).is_some()) {
                *settled = client.polled.len();
            }
        }
    }
    (world, settled)
}

/// The first thing that clients see of such an application in one style and not in another.
fn difference_of_reactions(script: &Script, chunk: usize) -> Option<String> {
    let seen = |style| {
        let (mut world, settled) = run_settling(script, style);
        // Across connections, the order of outputs follows the order of verbs.
        let (mut seen, streams, polled) = (world.events(), streams(&world), polled(&world, &settled));
        seen.sort();
        seen.push(format!("{:?} {:?}", world.server.stats(), world.server.poll_timeout()));
        finish(&mut world);
        (seen, streams, polled)
    };
    let expected = seen(Style::default());
    let styles = [
        Style { chunk, ..Style::default() },
        Style { lazy: true, ..Style::default() },
        Style { chunk, lazy: true, ..Style::default() },
    ];
    styles.into_iter().find_map(|style| {
        let found = seen(style);
        let difference = difference(&found.0, &expected.0)
            .or_else(|| difference_of_streams(&found.1, &expected.1))
            .or_else(|| difference_of_polled(&found.2, &expected.2))?;
        Some(format!("{style:?}\n{difference}"))
    })
}

/// What a client received in answers to its polls, how much of it before the segment in which its session ended, and whether it
/// has.
#[derive(Clone, Debug, PartialEq)]
struct Polled {
    packets: Vec<String>,
    settled: usize,
    is_gone: bool,
}

fn polled(world: &World, settled: &[usize]) -> Vec<Polled> {
    let is_gone = |key| world.server.connection(key).is_none();
    let clients = world.clients.iter().zip(settled);
    clients
        .map(|(client, settled)| Polled {
            packets: client.polled.clone(),
            settled: *settled,
            is_gone: client.key.is_none_or(is_gone),
        })
        .collect()
}

/// The first client whose packets differ by more than what the end of its session has overtaken: that loses what waits for a
/// GET, and how much this is depends on when the answer before was fetched.
fn difference_of_polled(found: &[Polled], expected: &[Polled]) -> Option<String> {
    let messages = |polled: &Polled| {
        let end = polled.packets.iter().rposition(|packet| packet.starts_with('4')).map_or(0, |at| at + 1);
        polled.packets[..end.max(polled.settled)].to_vec()
    };
    let same = |(found, expected): &(&Polled, &Polled)| {
        let settled = |polled: &Polled| polled.packets[..polled.settled].to_vec();
        let is_cut = || {
            let (found, expected) = (messages(found), messages(expected));
            found.starts_with(&expected) || expected.starts_with(&found)
        };
        found == expected || (found.is_gone && expected.is_gone && settled(found) == settled(expected) && is_cut())
    };
    let pair = found.iter().zip(expected).find(|pair| !same(pair))?;
    Some(format!("found    {:?}\nexpected {:?}", pair.0, pair.1))
}

/// After the end of everything, nothing is left of any connection.
fn finish(world: &mut World) {
    world.style = Style::default();
    world.shutdown();
    world.advance(millis(60_000));
    world.asking.clear();
    world.assert_empty();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn outputs_do_not_depend_on_chunks_or_batches(script in script(input()), chunk in 1..9_usize) {
        let expected = run(&script, Style::default(), 1);
        for style in [
            Style { chunk: 1, ..Style::default() },
            Style { chunk, lazy: true, ..Style::default() },
            Style { lazy: true, ..Style::default() },
        ] {
            let mut world = run(&script, style, 1);
            let difference = difference(&outcome(&world), &outcome(&expected))
                .or_else(|| difference_of_streams(&streams(&world), &streams(&expected)));
            prop_assert!(difference.is_none(), "{:?}\n{}", style, difference.unwrap_or_default());
            finish(&mut world);
        }
    }

    #[test]
    fn ticks_that_nobody_asked_for_change_nothing(script in script(input())) {
        let expected = run(&script, Style::default(), 1);
        let world = run(&script, Style { ticks: true, ..Style::default() }, 1);
        let lines = |world: &World| world.raw_transcript().lines().map(str::to_owned).collect::<Vec<_>>();
        let difference = difference(&lines(&world), &lines(&expected));
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_other_ids_alone(script in script(input())) {
        let world = run(&script, Style::default(), 1);
        let again = run(&script, Style::default(), 1);
        prop_assert_eq!(world.raw_transcript(), again.raw_transcript());
        prop_assert_eq!(streams(&world), streams(&again));
        let other = run(&script, Style::default(), 2);
        prop_assert_ne!(world.raw_transcript(), other.raw_transcript());
        prop_assert_eq!(world.transcript(), other.transcript());
    }

    /// Without time inside a batch: an application's verb happens when the application calls it.
    #[test]
    fn each_client_sees_the_same_of_an_application_that_acts_in_the_middle_of_a_batch(
        script in script(input().prop_filter("time, polls", |input| !matches!(input, Input::Tick(_) | Input::Get(_)))),
        chunk in 1..9_usize,
    ) {
        let difference = difference_of_reactions(&script, chunk);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }

    #[test]
    fn bytes_and_messages_give_the_same_events_and_the_same_packets(
        script in script(input().prop_filter("frames", |input| !matches!(input, Input::Raw(..)))),
    ) {
        let told = |messages| {
            let world = run_reactive(&script, Style { messages, ..Style::default() });
            // The end of a WebSocket is the framework's own business: it has other deadlines, and so the order of what
            // happens on different connections in one tick may be another.
            let of = |name: &str, lines: &[String]| lines.iter().filter(|line| line.contains(name)).cloned().collect();
            let mut told: Vec<Vec<String>> = Vec::new();
            for client in &world.clients {
                told.push(of(&format!(" {}", client.name), &world.events()));
                told.push(client.packets.iter().filter(|packet| !packet.starts_with("close")).cloned().collect());
            }
            told.concat()
        };
        let difference = difference(&told(true), &told(false));
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}

/// Here the default style answers the one GET with the first broadcast, and the others with both.
#[test]
fn what_waits_for_a_get_is_lost_with_the_session() {
    let packet = |text| PACKETS.iter().position(|packet| *packet == text).unwrap();
    let all = packet("42[\"all\",1]");
    let inputs = vec![Input::Say(0, all), Input::Post(2, vec![all]), Input::Post(1, vec![packet("2probe")])];
    let script = vec![(vec![], vec![]), (inputs, vec![])];
    let received = |style| {
        let (world, settled) = run_settling(&script, style);
        polled(&world, &settled).swap_remove(1)
    };
    let count = |polled: &Polled| polled.packets.iter().filter(|packet| packet.contains("to all")).count();
    let (cut, whole) = (received(Style::default()), received(Style { lazy: true, ..Style::default() }));
    assert_eq!([(count(&cut), cut.is_gone), (count(&whole), whole.is_gone)], [(1, true), (2, true)]);
    assert_eq!(difference_of_reactions(&script, 1), None);

    // Nothing of before is lost, nothing else comes instead, and a session that lives loses nothing.
    let differs = |change: fn(&mut Polled)| {
        let mut other = cut.clone();
        change(&mut other);
        difference_of_polled(&[other], std::slice::from_ref(&whole)).is_some()
    };
    assert!(!differs(|_| ()));
    assert!(differs(|polled| (polled.packets, polled.settled) = (polled.packets[..1].to_vec(), 1)));
    assert!(differs(|polled| *polled.packets.last_mut().unwrap() = "4x".into()));
    assert!(differs(|polled| polled.is_gone = false));
}

#[test]
fn a_message_may_be_larger_than_the_pieces_that_it_comes_in() {
    let text = format!("42[\"big\",\"{}\"]", "é".repeat(100_000));
    let run = |style| {
        let mut world = World::new(Config::default());
        let (alice, _) = world.joined("alice");
        world.style = style;
        world.send(alice, ws::Message::Text(text.as_str().into()));
        world.drive();
        (outcome(&world), streams(&world))
    };
    let expected = run(Style::default());
    assert_eq!(expected.0.iter().filter(|line| line.contains("app: event")).count(), 1);
    for chunk in [1_000, 4_096, 65_535] {
        assert_eq!(run(Style { chunk, ..Style::default() }), expected);
        assert_eq!(run(Style { chunk, lazy: true, ..Style::default() }), expected);
    }
}

#[test]
fn a_tick_reaches_deadlines_that_a_stored_input_has_yet_to_set() {
    for lazy in [false, true] {
        let mut world = cast(Style { lazy, ..Style::default() }, 1);
        world.clear();
        perform(&mut world, &Input::Say(0, PACKETS.iter().position(|packet| *packet == "2").unwrap()));
        perform(&mut world, &Input::Tick(150));
        world.drive();
        assert_eq!(world.lines("server: ").concat(), "server: aborts ws ws", "at its close_timeout");
    }
}

#[test]
fn a_reason_does_not_depend_on_how_much_was_written_so_far() {
    for reads in [false, true] {
        let mut world = cast(Style::default(), 1);
        world.clients[0].reads = reads;
        world.say(0, "40/none,");
        world.say(0, "42/none,[\"e\"]");
        assert!(world.lines("app: disconnect ")[0].contains("(forced close)"));
    }
}
