use core::time::Duration;

use bytes::Buf as _;

use super::*;
use crate::ws::frame::put_header;

const NOW: Instant = Instant::from_millis(1_000);

fn server(max_message: usize) -> Stream {
    let settings = Settings { max_message, max_empty_fragments: 3, ..Settings::new(Role::Server) };
    Stream::new(settings, None)
}

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_header(&mut out, Opcode::Text, payload.len(), Some([1, 2, 3, 4]));
    out[0] = first;
    let body = out.len();
    out.extend_from_slice(payload);
    mask::apply([1, 2, 3, 4], 0, &mut out[body..]);
    out
}

fn feed(stream: &mut Stream, bytes: &[u8]) -> Vec<Event> {
    stream.handle_bytes(&mut BytesMut::from(bytes));
    core::iter::from_fn(|| stream.poll_event(NOW)).collect()
}

fn sent(stream: &mut Stream) -> Vec<u8> {
    let queue = stream.transmit();
    queue.copy_to_bytes(queue.remaining()).into()
}

fn text(text: &str) -> Event {
    Event::Message(Message::Text(text.into()))
}

fn violation(error: Error) -> Event {
    Event::Closing(Closing::Violation(error))
}

#[test]
fn every_violation_is_answered_with_its_code() {
    let too_big = |found| Error::MessageTooBig { limit: 100, found };
    let huge = |len: u64| [&b"\x82\xff"[..], &len.to_be_bytes(), &[0; 4]].concat();
    let after = |first: u8, then: u8| [frame(first, b"a"), frame(then, b"b")].concat();
    let cases = [
        (b"\x81\x01a".to_vec(), Error::NotMasked, 1002),
        (frame(0xc1, b""), Error::ReservedBits, 1002),
        (frame(0x83, b""), Error::ReservedOpcode(3), 1002),
        (frame(0x09, b""), Error::FragmentedControl, 1002),
        (frame(0x89, &[0; 126]), Error::ControlTooLong, 1002),
        (b"\x82\xfe\0\x7d\0\0\0\0".to_vec(), Error::LengthNotMinimal(125), 1002),
        (frame(0x80, b"a"), Error::UnexpectedContinuation, 1002),
        (after(0x01, 0x81), Error::ExpectedContinuation, 1002),
        (after(0x02, 0x02), Error::ExpectedContinuation, 1002),
        (frame(0x88, b"\x03"), Error::CloseBody, 1002),
        (frame(0x88, b"\x03\xed"), Error::CloseCode(1005), 1002),
        (frame(0x88, b"\x03\xe8\xff"), Error::InvalidUtf8, 1007),
        (frame(0x81, b"a\xffb"), Error::InvalidUtf8, 1007),
        (frame(0x81, b"\xc3"), Error::InvalidUtf8, 1007),
        (frame(0x01, b"\xff"), Error::InvalidUtf8, 1007),
        (frame(0x82, &[0; 101]), too_big(101), 1009),
        (huge(1 << 62), too_big(1 << 62), 1009),
        (huge(1 << 63), too_big(1 << 63), 1009),
        ([frame(0x02, b"a"), [b"\x80", &huge(u64::MAX)[1..]].concat()].concat(), too_big(u64::MAX), 1009),
        ([frame(0x02, b""), frame(0x00, b"").repeat(3)].concat(), Error::TooManyEmptyFragments { limit: 3 }, 1008),
    ];
    for (wire, error, code) in cases {
        let mut stream = server(100);
        assert_eq!(feed(&mut stream, &wire), [violation(error)], "{wire:x?}");
        assert_eq!(error.close_code(), code);
        let [high, low] = code.to_be_bytes();
        assert_eq!(sent(&mut stream), [0x88, 2, high, low]);
        assert!(stream.is_closing() && stream.is_finished());
        // What follows is discarded.
        assert_eq!(feed(&mut stream, &frame(0x81, b"late")), []);
        assert_eq!(stream.buffered(), 0);
    }
    let mut client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
    assert_eq!(feed(&mut client, &frame(0x81, b"a")), [violation(Error::Masked)]);
}

#[test]
fn a_message_may_have_exactly_its_limit() {
    let whole = frame(0x82, &[0; 100]);
    assert_eq!(feed(&mut server(100), &whole).len(), 1);
    let parts = [frame(0x02, &[0; 60]), frame(0x80, &[0; 40])].concat();
    let message = Message::Binary(Bytes::from(vec![0; 100]));
    assert_eq!(feed(&mut server(100), &parts), [Event::Message(message)]);
    let parts = [frame(0x02, &[0; 60]), frame(0x80, &[0; 41])].concat();
    let error = Error::MessageTooBig { limit: 100, found: 101 };
    assert_eq!(feed(&mut server(100), &parts), [violation(error)]);
    // The limit is known from the header alone, and nothing is stored for it.
    assert_eq!(feed(&mut server(100), &frame(0x82, &[0; 101])[..6]).len(), 1);
}

#[test]
fn empty_fragments_up_to_the_limit_pass() {
    let wire = [frame(0x01, b""), frame(0x00, b"").repeat(2), frame(0x80, b"")].concat();
    assert_eq!(feed(&mut server(100), &wire), [text("")]);
}

#[test]
fn control_frames_pass_between_fragments() {
    let mut stream = server(100);
    let wire =
        [frame(0x01, b"\xc3"), frame(0x89, b"ping"), frame(0x8a, b"pong"), frame(0x00, b""), frame(0x80, b"\xa9!")];
    assert_eq!(feed(&mut stream, &wire.concat()), [Event::Pong(Bytes::from_static(b"pong")), text("é!")]);
    assert_eq!(sent(&mut stream), b"\x8a\x04ping");
}

#[test]
fn bad_text_fails_at_its_first_bad_byte() {
    // "κόσμε", then a byte that cannot follow, then text that never arrives.
    let payload = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
    for first in [0x81, 0x01] {
        let wire = frame(first, payload);
        let mut stream = server(100);
        for (index, byte) in wire.iter().enumerate() {
            let events = feed(&mut stream, &[*byte]);
            if index == 6 + 12 {
                assert_eq!(events, [violation(Error::InvalidUtf8)]);
                break;
            }
            assert_eq!(events, [], "{index}");
        }
    }
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    for (body, answer) in
        [(&b""[..], &b"\x88\x00"[..]), (b"\x03\xe9going", b"\x88\x02\x03\xe9"), (b"\x0f\xa0", b"\x88\x02\x0f\xa0")]
    {
        let mut stream = server(100);
        let wire = [frame(0x88, body), frame(0x81, b"late")].concat();
        let [Event::Closing(Closing::Peer(close))] = &feed(&mut stream, &wire)[..] else {
            panic!("{body:x?}");
        };
        assert_eq!(close.is_some(), !body.is_empty());
        stream.send(&Message::Text("late".into()));
        stream.close(NOW, Some(1000), "");
        assert_eq!(sent(&mut stream), answer);
        assert!(stream.is_finished());
        assert_eq!(stream.poll_timeout(), None);
    }
}

#[test]
fn our_close_discards_messages_until_it_is_answered() {
    let mut stream = server(100);
    stream.send(&Message::Text("a".into()));
    stream.close(NOW, Some(1001), "bye");
    stream.close(NOW, None, "");
    stream.send(&Message::Text("b".into()));
    assert_eq!(sent(&mut stream), b"\x81\x01a\x88\x05\x03\xe9bye");
    assert!(stream.is_closing() && !stream.is_finished());
    let wire = [frame(0x81, b"crossed"), frame(0x89, b"ping")].concat();
    assert_eq!(feed(&mut stream, &wire), []);
    let close = CloseFrame { code: 1001, reason: "".into() };
    let events = feed(&mut stream, &frame(0x88, b"\x03\xe9"));
    assert_eq!(events, [Event::Closing(Closing::Peer(Some(close)))]);
    assert!(stream.is_finished() && stream.queue().is_empty());
}

#[test]
fn a_peer_that_does_not_answer_is_given_up() {
    let mut stream = server(100);
    stream.close(NOW, None, "");
    let deadline = NOW + Duration::from_secs(5);
    assert_eq!(stream.poll_timeout(), Some(deadline));
    stream.handle_timeout(Instant::from_micros(deadline.as_micros() - 1));
    assert!(!stream.is_finished());
    assert_eq!(stream.poll_timeout(), Some(deadline));
    stream.handle_timeout(deadline);
    assert!(stream.is_finished() && stream.queue().is_empty());
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut stream = server(100);
    stream.send(&Message::Text("unread".into()));
    assert_eq!(feed(&mut stream, &frame(0x88, b"")).len(), 1);
    assert!(stream.is_finished() && !stream.queue().is_empty());
    let deadline = stream.poll_timeout().unwrap();
    stream.handle_timeout(deadline);
    assert!(stream.queue().is_empty());
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn the_end_of_the_bytes_comes_after_what_arrived_before() {
    let mut stream = server(100);
    stream.handle_bytes(&mut BytesMut::from(&frame(0x81, b"a")[..]));
    stream.handle_bytes(&mut BytesMut::from(&frame(0x81, b"cut")[..8]));
    stream.handle_eof();
    assert!(stream.is_finished());
    assert_eq!(stream.poll_event(NOW), Some(text("a")));
    assert_eq!(stream.poll_event(NOW), Some(Event::Closing(Closing::Eof)));
    assert_eq!(stream.poll_event(NOW), None);
    assert_eq!(stream.buffered(), 0);

    let mut closed = server(100);
    closed.handle_bytes(&mut BytesMut::from(&frame(0x88, b"")[..]));
    closed.handle_eof();
    assert_eq!(closed.poll_event(NOW), Some(Event::Closing(Closing::Peer(None))));
    assert_eq!(closed.poll_event(NOW), None);
}

#[test]
fn a_flood_of_pings_makes_no_event_and_bounded_output() {
    let mut stream = server(100);
    assert_eq!(feed(&mut stream, &frame(0x89, b"0123456789").repeat(100_000)), []);
    assert!(stream.queue().remaining() < 2_200);
    assert_eq!(stream.queue().packets(), 0);
}

#[test]
fn an_idle_stream_is_small_and_holds_no_buffer() {
    assert!(size_of::<Stream>() <= 352, "{}", size_of::<Stream>());
    let mut stream = server(1_000_000);
    let wire = [frame(0x01, &[b'a'; 5_000]), frame(0x80, &[b'b'; 50_000])].concat();
    let mut lent = BytesMut::with_capacity(65_536);
    lent.extend_from_slice(&wire);
    stream.handle_bytes(&mut lent);
    let Some(Event::Message(message)) = stream.poll_event(NOW) else {
        panic!();
    };
    assert_eq!(stream.poll_event(NOW), None);
    stream.send(&message);
    sent(&mut stream);
    assert_eq!(stream.buffered(), 0);
    assert!(stream.inbound.holds_no_memory());
    assert!(stream.assembly.is_none() && stream.rng.is_none() && stream.queue.is_empty());
    // The lent buffer is whole again.
    assert!(lent.try_reclaim(65_536));
}

#[test]
fn a_stream_that_is_read_out_gives_the_buffer_back_with_its_last_message() {
    for (wire, message) in [
        (frame(0x81, b"whole"), text("whole")),
        ([frame(0x01, b"in "), frame(0x80, b"two")].concat(), text("in two")),
        (frame(0x81, b""), text("")),
    ] {
        let mut stream = server(100);
        let mut lent = BytesMut::with_capacity(65_536);
        lent.extend_from_slice(&wire);
        stream.handle_bytes(&mut lent);
        assert_eq!(stream.poll_event(NOW), Some(message));
        assert!(stream.settle() && stream.inbound.holds_no_memory());
        assert!(lent.try_reclaim(65_536));
        assert_eq!(stream.poll_event(NOW), None);
    }
}

#[test]
fn what_is_behind_a_message_is_not_settled() {
    let pong = Event::Pong(Bytes::from_static(b"x"));
    for (behind, event) in [
        (frame(0x81, b"more"), Some(text("more"))),
        (frame(0x8a, b"x"), Some(pong)),
        (frame(0x88, b""), Some(Event::Closing(Closing::Peer(None)))),
        (vec![0x81], None),
    ] {
        let mut stream = server(100);
        stream.handle_bytes(&mut BytesMut::from(&[frame(0x81, b"first"), behind].concat()[..]));
        assert_eq!(stream.poll_event(NOW), Some(text("first")));
        assert!(!stream.settle());
        assert_eq!(stream.poll_event(NOW), event);
    }
    let mut stream = server(100);
    stream.handle_bytes(&mut BytesMut::from(&frame(0x81, b"last")[..]));
    stream.handle_eof();
    assert_eq!(stream.poll_event(NOW), Some(text("last")));
    assert!(!stream.settle());
    assert_eq!(stream.poll_event(NOW), Some(Event::Closing(Closing::Eof)));
}

#[test]
fn a_large_payload_keeps_the_buffer_that_it_arrived_in() {
    let mut stream = server(100_000);
    let mut lent = BytesMut::with_capacity(65_536);
    lent.extend_from_slice(&frame(0x82, &[7; 60_000]));
    let memory = lent[8..].as_ptr();
    stream.handle_bytes(&mut lent);
    let Some(Event::Message(Message::Binary(payload))) = stream.poll_event(NOW) else {
        panic!();
    };
    assert_eq!(payload.as_ptr(), memory);
    assert_eq!(payload, vec![7; 60_000]);
}

#[test]
fn a_client_masks_encoded_frames_too() {
    let mut client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
    client.begin_packet();
    client.send_text_parts(&[b"4", b"2"], Some(&Bytes::from_static(b"[]")));
    client.send_binary(&Bytes::from_static(b"bin"));
    client.end_packet();
    client.send_frame(&crate::ws::encode_frame(Opcode::Text, &[b"shared"]));
    client.ping(&[0; 126]);
    assert_eq!(client.queue().packets(), 3);
    let wire = sent(&mut client);
    let mut server = server(100);
    assert_eq!(
        feed(&mut server, &wire),
        [text("42[]"), Event::Message(Message::Binary(Bytes::from_static(b"bin"))), text("shared"),]
    );
    assert_eq!(sent(&mut server).len(), 2 + 125);
}
