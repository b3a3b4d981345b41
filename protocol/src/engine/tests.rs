//! What only the layers inside of this crate can see of a session.

use alloc::{string::String, sync::Arc, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{CloseReason, Event, Message, Output, QueueUnit, SendError, Session, SidSource, session::Step};
use crate::{
    Config, Instant, RequestId, Seed, Text, TransportId,
    encoded::Encoded,
    http::{Body, Request},
    socket::{Head, PacketType, Payload},
    ws::OutMessage,
};

const UPGRADE: &[(&str, &[u8])] = &[
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
];

fn request(session: &mut Session, id: u64, target: &str, headers: &[(&str, &[u8])]) {
    let head = Request { method: "GET", target, headers, peer: None, secure: false };
    session.handle_request(Instant::ZERO, RequestId(id), &head, Body::EMPTY);
}

fn session(config: Config, target: &str, headers: &[(&str, &[u8])]) -> Session {
    let sid = SidSource::new(&Seed::for_tests(1)).next_sid();
    let mut session = Session::new(Instant::ZERO, Arc::new(config), sid);
    request(&mut session, 0, target, headers);
    while session.poll_output().is_some() {}
    session
}

fn polling(config: Config) -> Session {
    session(config, "/?EIO=4&transport=polling", &[])
}

/// A session on WebSocket whose open packet has been written.
fn websocket(config: Config, query: &str) -> Session {
    let mut session = session(config, &["/?EIO=4&transport=websocket", query].concat(), UPGRADE);
    frames(&mut session);
    session
}

fn frames(session: &mut Session) -> Vec<String> {
    let queue = session.transmit(TransportId(0)).unwrap();
    core::iter::from_fn(|| queue.pop_message())
        .map(|message| match message {
            OutMessage::Message(Message::Text(text)) => String::from(text.as_str()),
            OutMessage::Message(Message::Binary(bytes)) => alloc::format!("{bytes:?}"),
            other => alloc::format!("{other:?}"),
        })
        .collect()
}

fn poll(session: &mut Session) -> String {
    request(session, 1, "/?EIO=4&transport=polling", &[]);
    match session.poll_output() {
        Some(Output::Respond { response, .. }) => String::from_utf8(response.body.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn payload() -> Payload {
    let parts = (1, serde_bytes(b"abc"), serde_bytes(b"d"));
    Payload::event("e", &parts, 10).unwrap()
}

fn serde_bytes(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

const JSON: &str = r#"["e",1,{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;

fn text(text: &str) -> Message {
    Message::Text(Text::from(text))
}

#[test]
fn a_packet_and_its_attachments_stay_together() {
    let expected = alloc::format!("452-/a,{JSON}");
    let mut session = polling(Config::default());
    session.send_packet(&Head::new(PacketType::Event, 2, "/a", None), Some((&payload()).into())).unwrap();
    assert_eq!(session.queued_packets(), 1);
    assert_eq!(session.queued_bytes(), expected.len() + 4);
    assert_eq!(poll(&mut session), [&expected, "bYWJj", "bZA=="].join("\x1e"));

    let mut session = websocket(Config::default(), "");
    session.send_packet(&Head::new(PacketType::Event, 2, "/a", None), Some((&payload()).into())).unwrap();
    assert_eq!(session.queued_packets(), 1);
    assert_eq!(frames(&mut session), [&expected, "b\"abc\"", "b\"d\""]);

    let mut session = websocket(Config::default(), "&b64=1");
    session.send_packet(&Head::new(PacketType::Event, 2, "/a", None), Some((&payload()).into())).unwrap();
    assert_eq!(frames(&mut session), [&expected, "bYWJj", "bZA=="]);
}

#[test]
fn a_packet_without_a_payload() {
    let mut session = polling(Config::default());
    session.send_packet(&Head::new(PacketType::Disconnect, 0, "/a", None), None).unwrap();
    assert_eq!(poll(&mut session), "41/a,");
    let mut session = websocket(Config::default(), "");
    session.send_packet(&Head::new(PacketType::Disconnect, 0, "/a", None), None).unwrap();
    assert_eq!(frames(&mut session), ["41/a,"]);
}

#[test]
fn a_shared_packet_is_the_same_on_every_transport() {
    let encoded = Encoded::event("/a", Some(7), (&payload()).into());
    let expected = alloc::format!("452-/a,7{JSON}");
    for (mut session, binary) in [
        (websocket(Config::default(), ""), ["b\"abc\"", "b\"d\""]),
        (websocket(Config::default(), "&b64=1"), ["bYWJj", "bZA=="]),
    ] {
        session.send_encoded(&encoded).unwrap();
        assert_eq!(session.queued_packets(), 1);
        assert_eq!(frames(&mut session), [&*expected, binary[0], binary[1]]);
    }
    let mut session = polling(Config::default());
    session.send_encoded(&encoded).unwrap();
    assert_eq!(poll(&mut session), [&expected, "bYWJj", "bZA=="].join("\x1e"));
}

/// A packet of which a part went over polling already goes on over WebSocket where it stopped.
#[test]
fn an_upgrade_in_the_middle_of_a_packet() {
    for shared in [false, true] {
        let mut config = Config::default();
        config.limits.max_payload = 30;
        let mut session = polling(config);
        if shared {
            session.send_encoded(&Encoded::event("/", None, (&payload()).into())).unwrap();
        } else {
            session.send_packet(&Head::new(PacketType::Event, 2, "/", None), Some((&payload()).into())).unwrap();
        }
        session.send(text("after")).unwrap();
        assert_eq!(poll(&mut session), alloc::format!("452-{JSON}"));
        request(&mut session, 2, "/?EIO=4&transport=websocket", UPGRADE);
        for packet in ["2probe", "5"] {
            session.handle_message(Instant::ZERO, TransportId(0), text(packet));
        }
        while session.poll_output().is_some() {}
        assert_eq!(frames(&mut session), ["3probe", "b\"abc\"", "b\"d\"", "4after"], "shared: {shared}");
    }
}

#[test]
fn the_oldest_message_gives_way_but_no_ping() {
    let mut config = Config::default();
    config.limits.send_queue_packets = 3;
    let mut session = websocket(config, "");
    session.send(text("a")).unwrap();
    session.handle_timeout(Instant::from_millis(25_000));
    while session.poll_output().is_some() {}
    session.send(text("b")).unwrap();
    assert!(session.drop_oldest());
    assert!(session.drop_oldest());
    assert!(!session.drop_oldest());
    assert_eq!(frames(&mut session), ["2"], "one ping, whatever was dropped");

    let mut session = polling(Config::default());
    session.send(text("a")).unwrap();
    session.send_encoded(&Encoded::event("/", None, (&payload()).into())).unwrap();
    assert!(session.drop_oldest());
    assert_eq!(session.queued_packets(), 1);
    assert!(session.drop_oldest());
    assert!(!session.drop_oldest());
    assert_eq!(session.queued_bytes(), 0);
}

#[test]
fn the_open_packet_does_not_give_way() {
    let mut session = session(Config::default(), "/?EIO=4&transport=websocket", UPGRADE);
    session.send(text("a")).unwrap();
    assert!(!session.drop_oldest());
    assert_eq!(session.queued_packets(), 2);
}

#[test]
fn a_full_queue_refuses_packets_and_shared_packets_alike() {
    let mut config = Config::default();
    config.limits.send_queue_packets = 1;
    let full = Err(SendError::Full { unit: QueueUnit::Packets, limit: 1, value: 2 });
    for mut session in [polling(config.clone()), websocket(config, "")] {
        session.send_packet(&Head::new(PacketType::Event, 0, "/", None), None).unwrap();
        assert_eq!(session.send_packet(&Head::new(PacketType::Event, 0, "/", None), None), full);
        assert_eq!(session.send_encoded(&Encoded::event("/", None, (&payload()).into())), full);
        session.close(Instant::ZERO, CloseReason::ForcedClose);
        assert_eq!(session.send_packet(&Head::new(PacketType::Event, 0, "/", None), None), Err(SendError::Closed));
        assert_eq!(session.send_encoded(&Encoded::event("/", None, (&payload()).into())), Err(SendError::Closed));
    }
}

#[test]
fn ticks_stand_where_the_timeouts_stood_and_work_can_be_bounded() {
    let mut session = websocket(Config::default(), "");
    let (begun, stored) = (session.begun(), session.stored());
    assert_eq!(begun, stored);
    let at = Instant::from_millis;
    session.handle_message(at(1), TransportId(0), text("4a"));
    session.handle_timeout(at(2));
    session.handle_message(at(3), TransportId(0), text("4b"));
    assert_eq!(session.stored(), stored + 3);
    let message = |content| Step::Output(Output::Event(Event::Message(text(content))));
    assert_eq!(session.poll_step(stored), None);
    assert_eq!(session.poll_step(stored + 2), Some(message("a")));
    assert_eq!(session.clock(), at(1));
    assert_eq!(session.poll_step(stored + 2), Some(Step::Tick(at(2))));
    assert_eq!(session.poll_step(stored + 2), None);
    assert_eq!(session.begun(), stored + 2);
    assert_eq!(session.poll_step(u64::MAX), Some(message("b")));
    assert_eq!(session.clock(), at(3));
}

#[test]
fn unsent_names_the_transports_with_bytes() {
    let mut session = websocket(Config::default(), "");
    assert_eq!(session.unsent().count(), 0);
    session.send(text("a")).unwrap();
    assert_eq!(session.unsent().collect::<Vec<_>>(), vec![TransportId(0)]);
}

/// A session that waits costs a few hundred bytes and holds no buffer.
#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 336, "{}", size_of::<Session>());
    assert!(size_of::<super::websocket::WebSocket>() <= 272, "{}", size_of::<super::websocket::WebSocket>());
}

/// Whatever it waits for: a peer that never fetches its last packets, one that never answers a close frame.
#[test]
fn an_abort_leaves_nothing_to_wait_for() {
    let closed = |reason| Output::Event(Event::Close { reason, error: None });
    for close_first in [false, true] {
        for target in [polling(Config::default()), websocket(Config::default(), "")] {
            let mut session = target;
            let is_polling = session.transport_name() == "polling";
            session.send(Message::Text("unsent".into())).unwrap();
            let reason = if close_first {
                session.close(Instant::ZERO, CloseReason::ServerShuttingDown);
                CloseReason::ServerShuttingDown
            } else {
                CloseReason::ForcedClose
            };
            session.abort(Instant::ZERO);
            session.abort(Instant::ZERO);
            let outputs: Vec<_> = core::iter::from_fn(|| session.poll_output()).collect();
            let aborted = (!is_polling).then_some(Output::Abort { transport: TransportId(0) });
            let expected: Vec<_> = [closed(reason)].into_iter().chain(aborted).collect();
            assert_eq!(outputs, expected);
            assert!(session.is_drained());
            assert_eq!((session.stats(), session.poll_timeout()), (Default::default(), None));
        }
    }
}

const POLL: &str = "/?EIO=4&transport=polling";

fn head(
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static [u8])],
) -> Request<'static> {
    Request { method, target, headers, peer: None, secure: false }
}

#[test]
fn a_get_is_taken_at_once_only_if_nothing_comes_before_it() {
    const NOW: Instant = Instant::from_millis(1);
    let post = |session: &mut Session, body: &'static str| {
        session.handle_request(NOW, RequestId(1), &head("POST", POLL, &[]), Body::Whole(body.into()));
    };
    let wait = |session: &mut Session| assert!(session.handle_poll(NOW, RequestId(2), &head("GET", POLL, &[])));
    let hear = |session: &mut Session| while session.poll_output().is_some() {};
    let upgrade = |session: &mut Session| {
        request(session, 3, "/?EIO=4&transport=websocket", UPGRADE);
        hear(session);
    };
    type Before<'a> = &'a dyn Fn(&mut Session);
    let befores: [(&str, bool, Before<'_>); 10] = [
        ("nothing", true, &|_| {}),
        ("a POST that was answered", true, &|session| {
            post(session, "4a");
            hear(session);
        }),
        ("another GET", false, &wait),
        ("something to send", false, &|session| session.send(text("x")).unwrap()),
        ("a POST that nobody has looked at", false, &|session| post(session, "4a")),
        ("a tick that nobody has looked at", false, &|session| session.handle_timeout(NOW)),
        ("a packet behind the one that was heard", false, &|session| {
            post(session, "4a\x1e4b");
            assert!(session.poll_output().is_some());
        }),
        ("a WebSocket that may take over", false, &upgrade),
        ("a WebSocket that has failed", true, &|session| {
            upgrade(session);
            session.handle_eof(NOW, TransportId(0));
            hear(session);
        }),
        ("the end", false, &|session| {
            session.close(NOW, CloseReason::ForcedClose);
            hear(session);
        }),
    ];
    for (before, is_taken, act) in befores {
        let mut session = polling(Config::default());
        act(&mut session);
        assert_eq!(session.handle_poll(NOW, RequestId(4), &head("GET", POLL, &[])), is_taken, "behind {before}");
    }
    for other in [
        head("POST", POLL, &[]),
        head("HEAD", POLL, &[]),
        head("GET", "/?EIO=3&transport=polling", &[]),
        head("GET", "/?EIO=4&transport=websocket", &[]),
        head("GET", "/?EIO=4&transport=websocket", UPGRADE),
        head("GET", POLL, UPGRADE),
    ] {
        assert!(!polling(Config::default()).handle_poll(NOW, RequestId(4), &other), "{other:?}");
    }
}

/// What can happen to a session.
#[derive(Clone, Debug)]
enum Happening {
    /// A GET; while another one waits, that is answered before, or not.
    Poll {
        overlaps: bool,
    },
    Request(Request<'static>),
    Data(&'static str),
    /// A WebSocket, and what it says.
    Upgrade,
    Bytes(&'static [u8]),
    Eof,
    Abort(u64),
    Send,
    Close,
    Withheld(bool),
    Passes(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    // Masked with zeros.
    const PROBE: &[u8] = b"\x81\x86\0\0\0\x002probe";
    const UPGRADED: &[u8] = b"\x81\x81\0\0\0\x005";
    prop_oneof![
        8 => prop::bool::weighted(0.1).prop_map(|overlaps| Happening::Poll { overlaps }),
        1 => prop::sample::select(vec![
            head("GET", "/?EIO=3&transport=polling", &[]),
            head("GET", "/?EIO=4&transport=websocket", &[]),
            head("HEAD", POLL, &[]),
        ]).prop_map(Happening::Request),
        4 => prop::sample::select(vec!["4hello", "3", "4a\x1e4b", "3\x1e4b"]).prop_map(Happening::Data),
        1 => prop::sample::select(vec!["1", "6", "nonsense"]).prop_map(Happening::Data),
        2 => Just(Happening::Upgrade),
        2 => prop::sample::select(vec![PROBE, UPGRADED]).prop_map(Happening::Bytes),
        1 => Just(Happening::Eof),
        1 => (0..4_u64).prop_map(Happening::Abort),
        4 => Just(Happening::Send),
        1 => Just(Happening::Close),
        1 => any::<bool>().prop_map(Happening::Withheld),
        3 => (1..15_000_u64).prop_map(Happening::Passes),
    ]
}

proptest! {
    #[test]
    fn a_get_that_is_taken_at_once_is_what_any_other_get_is(
        script in prop::collection::vec((happening(), prop::bool::weighted(0.7)), 0..40),
    ) {
        let (mut quick, mut plain) = (polling(Config::default()), polling(Config::default()));
        let said = |session: &mut Session| core::iter::from_fn(|| session.poll_output()).collect::<Vec<_>>();
        let mut now = Instant::ZERO;
        for (id, (happening, is_heard)) in (1..).zip(script) {
            let id = RequestId(id);
            let mut both = |act: &dyn Fn(&mut Session)| [&mut quick, &mut plain].into_iter().for_each(act);
            let mut waits = false;
            match happening {
                Happening::Poll { overlaps } => {
                    let head = head("GET", POLL, &[]);
                    if !overlaps && plain.stats().requests > 0 {
                        prop_assert_eq!(quick.send(text("x")), plain.send(text("x")));
                        prop_assert_eq!(said(&mut quick), said(&mut plain));
                    }
                    waits = quick.handle_poll(now, id, &head);
                    if !waits {
                        quick.handle_request(now, id, &head, Body::EMPTY);
                    }
                    plain.handle_request(now, id, &head, Body::EMPTY);
                }
                Happening::Request(head) => both(&|session| session.handle_request(now, id, &head, Body::EMPTY)),
                Happening::Data(body) => {
                    let head = head("POST", POLL, &[]);
                    both(&|session| session.handle_request(now, id, &head, Body::Whole(body.into())));
                }
                Happening::Upgrade => {
                    let head = head("GET", "/?EIO=4&transport=websocket", UPGRADE);
                    both(&|session| session.handle_request(now, id, &head, Body::EMPTY));
                }
                Happening::Bytes(bytes) => {
                    both(&|session| session.handle_bytes(now, TransportId(0), &mut bytes.into()));
                }
                Happening::Eof => both(&|session| session.handle_eof(now, TransportId(0))),
                Happening::Abort(back) => {
                    both(&|session| session.handle_abort(now, RequestId(id.0.saturating_sub(back))));
                }
                Happening::Send => prop_assert_eq!(quick.send(text("x")), plain.send(text("x"))),
                Happening::Close => both(&|session| session.close(now, CloseReason::ForcedClose)),
                Happening::Withheld(withheld) => both(&|session| session.handle_withheld(now, withheld)),
                Happening::Passes(millis) => {
                    now = now + Duration::from_millis(millis);
                    both(&|session| session.handle_timeout(now));
                }
            }
            if waits || is_heard {
                let expected = said(&mut plain);
                prop_assert!(!waits || expected.is_empty(), "{:?}", expected);
                prop_assert_eq!(said(&mut quick), expected);
                prop_assert_eq!((quick.poll_timeout(), quick.stats()), (plain.poll_timeout(), plain.stats()));
            }
        }
    }
}
