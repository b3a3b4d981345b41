//! A WebSocket stream in either role.

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
            let is_message = matches!(event, Event::Message(_));
            events.push(event);
            if is_message && stream.settle() {
                assert_eq!(stream.poll_event(now), None);
                break;
            }
        }
        // An unfinished message, and one control frame or header.
        assert!(stream.buffered() <= settings.max_message.saturating_add(14 + 125));
    };
    let run = |piece: usize| {
        let mut stream = Stream::new(settings, Some(&Seed::for_tests(1)));
        let (mut events, mut echoes) = (Vec::new(), Vec::new());
        let mut buffer = BytesMut::with_capacity(wire.len());
        for bytes in wire.chunks(piece) {
            buffer.extend_from_slice(bytes);
            stream.handle_bytes(&mut buffer);
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
    // Not too many pieces, so that the fuzzer stays fast.
    let piece = usize::from(*piece).max(wire.len() / 256).max(1);
    assert_eq!(run(piece), whole);

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
