//! The bodies of the fuzz targets: one function each, `fuzz/fuzz_targets/` calls them. They are compiled for tests too
//! and run over the committed corpus there, so that a refactoring cannot rot them.

// --- ws_stream ---

/// A WebSocket peer sends anything. The first byte chooses our role and a limit, the second the size of the pieces, the
/// third after how many messages we close; the rest is what arrives. Messages are echoed.
pub fn ws_stream(data: &[u8]) {
    use alloc::vec::Vec;

    use bytes::{Buf as _, BytesMut};

    use crate::{
        Instant, Seed,
        ws::{Closing, Event, Message, Role, Settings, Stream},
    };

    let [first, piece, close_after, wire @ ..] = data else {
        return;
    };
    let (role, peer) = match first & 1 {
        0 => (Role::Server, Role::Client),
        _ => (Role::Client, Role::Server),
    };
    let settings = Settings { max_message: 1 << (first >> 1 & 0x0f), max_empty_fragments: 4, ..Settings::new(role) };
    let now = Instant::ZERO;
    let poll = |stream: &mut Stream, events: &mut Vec<Event>, echoes: &mut Vec<Message>| {
        while let Some(event) = stream.poll_event(now) {
            if let Event::Message(message) = &event {
                assert!(!stream.is_closing());
                stream.send(message);
                echoes.push(message.clone());
                if echoes.len() == usize::from(*close_after) {
                    stream.close(now, Some(1001), "enough");
                }
            }
            events.push(event);
        }
        // An unfinished message, and one control frame or header.
        assert!(stream.buffered() <= settings.max_message.saturating_add(14 + 125));
    };
    let run = |piece: usize| {
        let mut stream = Stream::new(settings, Some(&Seed::for_tests(1)));
        let (mut events, mut echoes) = (Vec::new(), Vec::new());
        for bytes in wire.chunks(piece) {
            stream.handle_bytes(&mut BytesMut::from(bytes));
            poll(&mut stream, &mut events, &mut echoes);
        }
        stream.handle_eof();
        poll(&mut stream, &mut events, &mut echoes);
        assert_eq!(stream.buffered(), 0);
        let packets = stream.queue().packets();
        let queue = stream.transmit();
        let sent = queue.copy_to_bytes(queue.remaining());
        (events, echoes, packets, sent)
    };

    let whole = run(wire.len().max(1));
    assert_eq!(run(usize::from(*piece).max(1)), whole);

    let (events, echoes, packets, sent) = whole;
    assert_eq!(packets, echoes.len());
    assert!(matches!(events.last(), Some(Event::Closing(_))));
    let mut other = Stream::new(Settings::new(peer), Some(&Seed::for_tests(2)));
    other.handle_bytes(&mut BytesMut::from(&sent[..]));
    other.handle_eof();
    let (mut received, mut last) = (Vec::new(), None);
    while let Some(event) = other.poll_event(now) {
        match event {
            Event::Message(message) => received.push(message),
            Event::Closing(closing) => last = Some(closing),
            Event::Pong(_) => {}
        }
    }
    assert_eq!(received, echoes);
    let closed = echoes.len() == usize::from(*close_after).max(1)
        || !matches!(events.last(), Some(Event::Closing(Closing::Eof)));
    match last {
        Some(Closing::Peer(_)) => assert!(closed),
        last => assert!(last == Some(Closing::Eof) && (!closed || *close_after == 0)),
    }
}

// --- eio_payload ---

/// Any bytes as the body of a POST: what is read is written again as it was (but for the padding of base64), and reading
/// stops at the first bad packet.
pub fn eio_payload(data: &[u8]) {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use crate::engine::{Packet, PayloadReader};

    let body = Bytes::copy_from_slice(data);
    let mut reader = PayloadReader::new(body.clone());
    let mut remaining = usize::MAX;
    for part in body.split(|byte| *byte == 0x1e) {
        assert!(reader.remaining() < remaining, "each packet is read once");
        remaining = reader.remaining();
        match reader.next() {
            Some(Ok(packet)) => {
                let mut encoded = Vec::new();
                packet.encode(&mut encoded);
                if part.first() == Some(&b'b') {
                    assert_eq!(trim_padding(&encoded), trim_padding(part));
                } else {
                    assert_eq!(encoded, part);
                }
                let text = crate::Text::try_from(Bytes::from(encoded)).expect("an encoded packet is text");
                assert_eq!(Packet::decode(crate::ws::Message::Text(text)), Ok(packet));
            }
            Some(Err(_)) => break,
            None => panic!("a part was not read"),
        }
    }
    assert!(reader.next().is_none());
}

fn trim_padding(base64: &[u8]) -> &[u8] {
    let end = base64.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    &base64[..end]
}

// --- http_request ---

mod http_request;
pub use http_request::http_request;

// --- sio_json ---

mod socket;

pub use socket::sio_json;

// --- serde_args ---

pub use socket::serde_args;

// --- server_ops ---

mod server_ops;

pub use server_ops::server_ops;
