//! `ws::Stream` against tungstenite, in both directions and both roles, and against itself.

use std::io::{self, ErrorKind, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use proptest::{prelude::*, sample::Index};
use sockeye_protocol::{
    Instant, Seed,
    ws::{CloseFrame, Closing, Error, Event, Message, Role, Settings, Stream},
};
use tungstenite::{
    self as other,
    protocol::{
        CloseFrame as OtherClose, Role as OtherRole, WebSocket, WebSocketConfig,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

const NOW: Instant = Instant::ZERO;

/// What tungstenite reads from and writes to.
#[derive(Default)]
struct Pipe {
    input: BytesMut,
    output: BytesMut,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.input.len());
        self.input.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ours(role: Role) -> Stream {
    Stream::new(Settings::new(role), Some(&Seed::for_tests(7)))
}

fn theirs(role: OtherRole) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(1_000_000))
        .max_frame_size(Some(1_000_000));
    WebSocket::from_raw_socket(Pipe::default(), role, Some(config))
}

fn same(role: Role) -> OtherRole {
    match role {
        Role::Server => OtherRole::Server,
        Role::Client => OtherRole::Client,
    }
}

fn opposite(role: Role) -> OtherRole {
    match role {
        Role::Server => OtherRole::Client,
        Role::Client => OtherRole::Server,
    }
}

fn drain(stream: &mut Stream) -> Bytes {
    let queue = stream.transmit();
    queue.copy_to_bytes(queue.remaining())
}

/// Feeds the bytes in pieces of the sizes in `cuts`, in turn.
fn feed(stream: &mut Stream, mut wire: &[u8], cuts: &[usize]) -> Vec<Event> {
    let (mut events, mut cuts) = (Vec::new(), cuts.iter().cycle());
    let mut buffer = BytesMut::with_capacity(4096);
    while !wire.is_empty() {
        let (piece, rest) = wire.split_at((*cuts.next().unwrap()).min(wire.len()));
        buffer.extend_from_slice(piece);
        stream.handle_bytes(&mut buffer);
        assert!(buffer.is_empty());
        while let Some(event) = stream.poll_event(NOW) {
            events.push(event);
        }
        wire = rest;
    }
    events
}

/// All that tungstenite reads, and why it stopped.
fn read_all(peer: &mut WebSocket<Pipe>) -> (Vec<other::Message>, other::Error) {
    let mut messages = Vec::new();
    loop {
        match peer.read() {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, error),
        }
    }
}

fn would_block(error: &other::Error) -> bool {
    matches!(error, other::Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

fn to_other(message: &Message) -> other::Message {
    match message {
        Message::Text(text) => other::Message::text(text.as_str()),
        Message::Binary(bytes) => other::Message::binary(bytes.clone()),
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![prop::collection::vec(1_usize..8, 1..5), prop::collection::vec(1_usize..20_000, 1..5),]
}

fn message() -> impl Strategy<Value = Message> {
    let len = prop_oneof![
        8 => 0_usize..300,
        2 => 4_000_usize..9_000,
        1 => 65_500_usize..65_600,
    ];
    (len, any::<u8>(), any::<String>(), any::<bool>()).prop_map(|(len, first, text, is_text)| {
        if is_text {
            Message::Text(text.repeat(len / text.len().max(1)).into())
        } else {
            let bytes = (0..len).map(|index| first.wrapping_add((index % 251) as u8));
            Message::Binary(bytes.collect())
        }
    })
}

#[derive(Clone, Debug)]
enum Sent {
    Message(Message),
    /// Cut at these places, with a ping behind each fragment.
    Fragments(Message, Vec<Index>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let control = || prop::collection::vec(any::<u8>(), 0..=125);
    let indices = prop::collection::vec(any::<Index>(), 0..5);
    prop_oneof![
        message().prop_map(Sent::Message),
        (message(), indices).prop_map(|(message, cuts)| Sent::Fragments(message, cuts)),
        control().prop_map(Sent::Ping),
        control().prop_map(Sent::Pong),
    ]
}

fn send_fragments(peer: &mut WebSocket<Pipe>, message: &Message, indices: &[Index]) {
    let bytes = to_other(message).into_data();
    let mut opcode = match message {
        Message::Text(_) => Data::Text,
        Message::Binary(_) => Data::Binary,
    };
    let mut cuts: Vec<_> = indices.iter().map(|at| at.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut start = 0;
    for end in cuts {
        let fragment = Frame::message(bytes.slice(start..end), OpCode::Data(opcode), false);
        peer.send(other::Message::Frame(fragment)).unwrap();
        let ping = Bytes::from_static(b"between");
        peer.send(other::Message::Ping(ping)).unwrap();
        (opcode, start) = (Data::Continue, end);
    }
    let last = Frame::message(bytes.slice(start..), OpCode::Data(opcode), true);
    peer.send(other::Message::Frame(last)).unwrap();
}

/// One frame for a reader of this role, right in most cases.
fn raw_frame(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let right = role == Role::Server;
    let first = prop_oneof![
        20 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let codes = vec![1000_u16, 1001, 3000, 4999, 999, 1005, 1006, 2000, 5000];
    let payload = prop_oneof![
        20 => "[a-zé€😀]{0,40}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::sample::select(codes).prop_map(|code| code.to_be_bytes().to_vec()),
    ];
    let masked = prop_oneof![50 => Just(right), 1 => Just(!right)];
    // Which form of the length is used: the shortest, two or eight bytes.
    let form = prop_oneof![50 => Just(0_u8), 1 => 1_u8..3];
    (first, masked, payload, form).prop_map(|(first, masked, payload, form)| {
        let bit = u8::from(masked) << 7;
        let mut out = vec![first];
        match (form, payload.len()) {
            (0, len @ 0..126) => out.push(bit | len as u8),
            (2, len) => {
                out.push(bit | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
            (_, len) => {
                out.push(bit | 126);
                out.extend_from_slice(&(len as u16).to_be_bytes());
            }
        }
        let mask: &[u8] = if masked { &[0xa5, 0, 0xff, 1] } else { &[] };
        out.extend_from_slice(mask);
        let keys = mask.iter().cycle().copied().chain(std::iter::repeat(0));
        out.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
        out
    })
}

fn raw_wire() -> impl Strategy<Value = (Role, Vec<u8>)> {
    role().prop_flat_map(|role| {
        let frames = prop::collection::vec(raw_frame(role), 1..8);
        (Just(role), frames.prop_map(|frames| frames.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_tungstenite_writes(
        role in role(),
        sent in prop::collection::vec(sent(), 0..12),
        cuts in cuts(),
        reason in "[a-zé]{0,60}",
    ) {
        let (mut stream, mut peer) = (ours(role), theirs(opposite(role)));
        let mut expected = Vec::new();
        for sent in sent {
            match sent {
                Sent::Message(message) => {
                    peer.send(to_other(&message)).unwrap();
                    expected.push(Event::Message(message));
                }
                Sent::Fragments(message, indices) => {
                    send_fragments(&mut peer, &message, &indices);
                    expected.push(Event::Message(message));
                }
                Sent::Ping(payload) => peer.send(other::Message::Ping(payload.into())).unwrap(),
                Sent::Pong(payload) => {
                    peer.send(other::Message::Pong(payload.clone().into())).unwrap();
                    expected.push(Event::Pong(payload.into()));
                }
            }
        }
        let close = OtherClose { code: 4321.into(), reason: reason.as_str().into() };
        peer.close(Some(close)).unwrap();
        peer.flush().unwrap();
        let close = CloseFrame { code: 4321, reason: reason.into() };
        expected.push(Event::Closing(Closing::Peer(Some(close))));
        let wire = peer.get_mut().output.split();
        prop_assert_eq!(feed(&mut stream, &wire, &cuts), expected);
        prop_assert!(stream.is_finished());

        // Our pongs and our close frame end the connection in order.
        peer.get_mut().input.extend_from_slice(&drain(&mut stream));
        let (mut messages, error) = read_all(&mut peer);
        let close = messages.pop();
        let ended = matches!(&close, Some(other::Message::Close(Some(close))) if u16::from(close.code) == 4321);
        prop_assert!(ended, "{:?} {}", close, error);
        prop_assert!(messages.iter().all(other::Message::is_pong));
    }

    #[test]
    fn tungstenite_reads_what_we_write(
        role in role(),
        messages in prop::collection::vec(message(), 0..12),
        cuts in cuts(),
    ) {
        let (mut stream, mut peer) = (ours(role), theirs(opposite(role)));
        let mut expected = Vec::new();
        for message in &messages {
            stream.send(message);
            stream.ping(b"ping");
            let ping = other::Message::Ping(Bytes::from_static(b"ping"));
            expected.extend([to_other(message), ping]);
        }
        prop_assert_eq!(stream.queue().packets(), 2 * messages.len());
        stream.close(NOW, Some(1001), "going");
        let close = OtherClose { code: 1001.into(), reason: "going".into() };
        expected.push(other::Message::Close(Some(close)));

        let mut cuts = cuts.iter().cycle();
        while stream.queue().has_remaining() {
            let chunk = stream.queue().chunk();
            let count = chunk.len().min(*cuts.next().unwrap());
            peer.get_mut().input.extend_from_slice(&chunk[..count]);
            stream.transmit().advance(count);
        }
        let (received, _) = read_all(&mut peer);
        prop_assert_eq!(received, expected);

        peer.flush().ok();
        let answer = peer.get_mut().output.split();
        let events = feed(&mut stream, &answer, &[1]);
        let ended = matches!(
            events.last(),
            Some(Event::Closing(Closing::Peer(Some(close)))) if close.code == 1001
        );
        prop_assert!(ended && stream.is_finished(), "{:?}", events);
    }

    #[test]
    fn client_and_server_understand_each_other(
        messages in prop::collection::vec(message(), 0..12),
        cuts in cuts(),
    ) {
        let (mut client, mut server) = (ours(Role::Client), ours(Role::Server));
        for message in &messages {
            client.send(message);
        }
        let mut expected: Vec<_> = messages.into_iter().map(Event::Message).collect();
        let arrived = feed(&mut server, &drain(&mut client), &cuts);
        prop_assert_eq!(&arrived, &expected);
        for event in arrived {
            if let Event::Message(message) = event {
                server.send(&message);
            }
        }
        server.close(NOW, None, "");
        let end = Event::Closing(Closing::Peer(None));
        expected.push(end.clone());
        prop_assert_eq!(feed(&mut client, &drain(&mut server), &cuts), expected);
        prop_assert_eq!(feed(&mut server, &drain(&mut client), &cuts), [end]);
        prop_assert!(client.is_finished() && server.is_finished());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// On frames that may be wrong: the same messages, and the same verdict where tungstenite is as strict.
    #[test]
    fn judges_as_tungstenite_does((role, wire) in raw_wire(), cuts in cuts()) {
        let mut stream = ours(role);
        let (mut read_by_us, mut closing) = (Vec::new(), None);
        for event in feed(&mut stream, &wire, &cuts) {
            match event {
                Event::Message(message) => read_by_us.push(to_other(&message)),
                Event::Pong(payload) => read_by_us.push(other::Message::Pong(payload)),
                Event::Closing(why) => closing = Some(why),
            }
        }
        let mut peer = theirs(same(role));
        peer.get_mut().input.extend_from_slice(&wire);
        let (mut read, error) = read_all(&mut peer);
        read.retain(|message| !message.is_ping());
        let close = read.iter().position(other::Message::is_close);
        read.truncate(close.unwrap_or(read.len()));
        match closing {
            // Only ours wants the shortest form of a length, in control frames too, and looks for the first bad byte, so
            // it may stop earlier.
            Some(Closing::Violation(
                Error::LengthNotMinimal(_) | Error::ControlTooLong | Error::InvalidUtf8,
            )) => {
                prop_assert_eq!(&read_by_us[..], &read[..read_by_us.len()]);
            }
            Some(Closing::Violation(violation)) => {
                prop_assert_eq!(read_by_us, read);
                let judged = !would_block(&error) || close.is_some();
                prop_assert!(judged, "tungstenite does not mind: {}", violation);
            }
            Some(Closing::Peer(_)) => {
                prop_assert_eq!(read_by_us, read);
                prop_assert!(close.is_some());
            }
            Some(Closing::Eof) | None => {
                prop_assert_eq!(read_by_us, read);
                prop_assert!(would_block(&error) && close.is_none(), "{}", error);
            }
        }
    }

    /// The events and the bytes sent do not depend on how the wire is cut.
    #[test]
    fn any_chunking_gives_the_same((role, wire) in raw_wire(), cuts in cuts()) {
        let run = |cuts: &[usize]| {
            let mut stream = ours(role);
            let mut events = feed(&mut stream, &wire, cuts);
            stream.handle_eof();
            events.extend(stream.poll_event(NOW));
            (events, drain(&mut stream))
        };
        let whole = run(&[usize::MAX]);
        prop_assert_eq!(&run(&cuts), &whole);
        prop_assert_eq!(&run(&[1]), &whole);
    }
}
