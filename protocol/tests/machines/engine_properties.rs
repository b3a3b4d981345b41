//! A session's outputs depend on what happened, not on how it was cut and batched.

use std::{sync::OnceLock, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use proptest::prelude::*;
use sockeye_protocol::{
    Config, RequestId, TransportId,
    engine::{CloseReason, Event, Message, Output, Packet, PayloadReader},
    http::Body,
};

use crate::engine_support::{Client, POLLING, UPGRADE, WEBSOCKET, frame, line, sid, text, transport_id};

/// What happens in the world, and what the application does.
#[derive(Clone, Debug)]
enum Op {
    Get,
    Post(String),
    PostPending,
    /// The body of the nth request.
    Body(u64, Option<String>),
    Abort(u64),
    Upgrade,
    /// Frames on one of the first WebSockets.
    Frames(usize, Vec<String>),
    Raw(usize, Vec<u8>),
    Message(usize, String),
    Wait(u64),
    Eof(usize),
    Withhold(bool),
    // Verbs.
    Send(String),
    Close,
}

impl Op {
    /// What must not be batched with what came before: verbs act at once, and with the end of a WebSocket the bytes that
    /// were not written are gone.
    fn is_barrier(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Close | Self::Eof(_))
    }
}

fn packet() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "4[a-c]{0,3}",
        2 => Just("2probe".to_owned()),
        2 => Just("5".to_owned()),
        2 => Just("3".to_owned()),
        1 => Just("6".to_owned()),
        1 => "[0-9b]{0,2}",
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Get),
        3 => prop::collection::vec(packet(), 1..5).prop_map(|packets| Op::Post(packets.join("\x1e"))),
        1 => Just(Op::PostPending),
        2 => (0..12_u64, prop::option::of(packet())).prop_map(|(id, body)| Op::Body(id, body)),
        1 => (0..12_u64).prop_map(Op::Abort),
        3 => Just(Op::Upgrade),
        6 => (0..2_usize, prop::collection::vec(packet(), 1..5)).prop_map(|(id, packets)| Op::Frames(id, packets)),
        1 => (0..2_usize, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(id, bytes)| Op::Raw(id, bytes)),
        1 => (0..2_usize, packet()).prop_map(|(id, packet)| Op::Message(id, packet)),
        3 => prop_oneof![Just(50), Just(100), Just(9_950), Just(20_000), Just(25_000)].prop_map(Op::Wait),
        1 => (0..2_usize).prop_map(Op::Eof),
        2 => any::<bool>().prop_map(Op::Withhold),
        2 => "[a-c]{0,3}".prop_map(Op::Send),
        1 => Just(Op::Close),
    ]
}

fn ids() -> &'static [TransportId; 2] {
    static IDS: OnceLock<[TransportId; 2]> = OnceLock::new();
    IDS.get_or_init(|| [transport_id(0), transport_id(1)])
}

#[derive(Clone, Copy, Debug)]
struct Way {
    /// Outputs are drained after each input, or before barriers and at the end only.
    eager: bool,
    /// Bytes come in pieces of this size.
    piece: usize,
}

struct Run {
    client: Client,
    lines: Vec<String>,
    written: [Vec<u8>; 2],
    aborted: [bool; 2],
    eager: bool,
}

impl Run {
    fn input(&mut self) {
        if self.eager {
            self.drain();
        }
    }

    /// The application answers each message, and what is queued is written.
    fn drain(&mut self) {
        while let Some(output) = self.client.session.poll_output() {
            self.lines.push(line(&output));
            match output {
                Output::Event(Event::Message(Message::Text(message))) => {
                    self.client.session.send(text(&format!("re:{message}"))).ok();
                }
                Output::Abort { transport } => {
                    for (id, aborted) in ids().iter().zip(&mut self.aborted) {
                        *aborted |= *id == transport;
                    }
                }
                _ => {}
            }
        }
        for (id, written) in ids().iter().zip(&mut self.written) {
            if let Some(queue) = self.client.session.transmit(*id) {
                let bytes = queue.copy_to_bytes(queue.remaining());
                written.extend_from_slice(&bytes);
            }
        }
    }

    fn bytes(&mut self, transport: usize, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            let mut buffer = BytesMut::from(piece);
            self.client.session.handle_bytes(self.client.now, ids()[transport], &mut buffer);
            self.input();
        }
    }
}

fn run(script: &[Op], websocket: bool, way: Way) -> Run {
    let mut run = Run {
        client: Client::new(Config::default()),
        lines: Vec::new(),
        written: [Vec::new(), Vec::new()],
        aborted: [false; 2],
        eager: way.eager,
    };
    if websocket {
        run.client.send("GET", WEBSOCKET, UPGRADE, Body::EMPTY);
    } else {
        run.client.send("GET", POLLING, &[], Body::EMPTY);
    }
    run.input();
    for op in script {
        if op.is_barrier() {
            run.drain();
        }
        let now = run.client.now;
        match op {
            Op::Get => drop(run.client.get()),
            Op::Post(body) => drop(run.client.post(body.clone())),
            Op::PostPending => drop(run.client.post_pending()),
            Op::Body(id, body) => {
                let body = body.clone().map_or(Body::TooLarge, |body| Body::Whole(body.into()));
                run.client.session.handle_body(now, RequestId(*id), body);
            }
            Op::Abort(id) => run.client.session.handle_abort(now, RequestId(*id)),
            Op::Upgrade => drop(run.client.upgrade()),
            Op::Frames(transport, packets) => {
                let frames: Vec<u8> = packets.iter().flat_map(|packet| frame(1, packet.as_bytes())).collect();
                run.bytes(*transport, &frames, way.piece);
            }
            Op::Raw(transport, bytes) => run.bytes(*transport, bytes, way.piece),
            Op::Message(transport, packet) => {
                run.client.session.handle_message(now, ids()[*transport], text(packet));
            }
            Op::Wait(millis) => {
                run.client.wait(*millis);
                run.client.session.handle_timeout(run.client.now);
            }
            Op::Eof(transport) => run.client.session.handle_eof(now, ids()[*transport]),
            Op::Withhold(withheld) => run.client.session.handle_withheld(now, *withheld),
            Op::Send(message) => drop(run.client.session.send(text(message))),
            Op::Close => run.client.close(CloseReason::ForcedClose),
        }
        run.input();
    }
    run.drain();
    run
}

/// Nobody helps any more; time alone must end everything, and every request must have had its one answer.
fn finish(mut run: Run) {
    run.client.close(CloseReason::ForcedClose);
    run.drain();
    for _ in 0..3 {
        run.client.wait(60_000);
        run.client.session.handle_timeout(run.client.now);
        run.drain();
    }
    run.client.assert_drained();
    let closed = |line: &&String| {
        ["forced close", "transport close", "transport error", "parse error", "ping timeout"]
            .iter()
            .any(|reason| line.starts_with(reason))
    };
    assert_eq!(run.lines.iter().filter(closed).count(), 1, "{:?}", run.lines);
    for id in 1..run.client.next_id {
        let prefix = format!("{id}: ");
        let answers = run.lines.iter().filter(|line| line.starts_with(&prefix)).count();
        assert!(answers <= 1, "request {id}: {:?}", run.lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn outputs_do_not_depend_on_chunking_and_batching(
        script in prop::collection::vec(op(), 0..30),
        websocket: bool,
        piece in 1..9_usize,
    ) {
        let first = run(&script, websocket, Way { eager: true, piece: 1_000 });
        for way in [
            Way { eager: false, piece: 1_000 },
            Way { eager: true, piece },
            Way { eager: false, piece },
        ] {
            let other = run(&script, websocket, way);
            prop_assert_eq!(&first.lines, &other.lines, "{:?}", way);
            for index in 0..2 {
                if !first.aborted[index] {
                    prop_assert_eq!(&first.written[index], &other.written[index], "{:?}", way);
                }
            }
            finish(other);
        }
        finish(first);
    }

    /// Whatever is sent over polling arrives, in order, in answers of at most `max_payload` bytes or one packet.
    #[test]
    fn what_is_sent_over_polling_arrives(
        messages in prop::collection::vec(
            prop_oneof![
                "[^\u{1e}]{0,12}".prop_map(|content| text(&content)),
                prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Message::Binary(Bytes::from(bytes))),
            ],
            1..12,
        ),
        limit in 1..40_usize,
    ) {
        let mut config = Config::default();
        config.limits.max_payload = limit;
        let mut client = Client::polling(config);
        for message in &messages {
            client.session.send(message.clone()).unwrap();
        }
        let mut arrived = Vec::new();
        while client.session.queued_packets() > 0 {
            client.get();
            let outputs = client.outputs();
            let [Output::Respond { response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
            let packets: Vec<_> = PayloadReader::new(response.body.clone()).collect();
            prop_assert!(response.body.len() <= limit || packets.len() == 1);
            for packet in packets {
                let Ok(Packet::Message(message)) = packet else { panic!("{packet:?}") };
                arrived.push(message);
            }
        }
        prop_assert_eq!(arrived, messages);
        client.session.handle_timeout(client.now + Duration::from_secs(1));
        prop_assert_eq!(client.session.sid(), sid());
    }
}
