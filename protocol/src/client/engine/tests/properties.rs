//! Outputs depend on neither the cutting of bytes nor the batching of inputs.

use proptest::prelude::*;

use super::*;

/// What a server may do, well-behaved or not.
#[derive(Clone, Debug)]
enum Input {
    /// The answer to one of the requests.
    Answer(u8, u16, &'static str),
    Fail(u8),
    /// 101 to one of the requests for a WebSocket, or something else.
    Upgrade(u8, bool),
    OpenFail(u8),
    /// A packet on one of the WebSockets.
    Say(u8, &'static str),
    Raw(u8, Vec<u8>),
    Eof(u8),
    Tick(u16),
    Send(&'static str),
    Close,
}

const BODIES: [&str; 14] = [
    OPEN,
    "0{}",
    "6",
    "2",
    "4a\x1e4b\x1e2\x1ebAQID",
    "1",
    "4a\x1e1\x1e4b",
    "3probe",
    "5",
    "",
    "ok",
    "9",
    "4a\x1e9",
    "97:0{\"sid\"",
];

fn input() -> impl Strategy<Value = Input> {
    let body = || prop::sample::select(&BODIES[..]);
    prop_oneof![
        8 => (0..3_u8, prop::sample::select(&[200, 200, 200, 200, 200, 302, 400][..]), body())
            .prop_map(|(id, status, body)| Input::Answer(id, status, body)),
        1 => (0..3_u8).prop_map(Input::Fail),
        4 => (0..3_u8, prop::bool::weighted(0.9)).prop_map(|(id, good)| Input::Upgrade(id, good)),
        1 => (0..3_u8).prop_map(Input::OpenFail),
        6 => (0..3_u8, body()).prop_map(|(id, packet)| Input::Say(id, packet)),
        1 => (0..3_u8, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(id, bytes)| Input::Raw(id, bytes)),
        1 => (0..3_u8).prop_map(Input::Eof),
        3 => (0..20_000_u16).prop_map(Input::Tick),
        3 => prop::sample::select(&["x", "y"][..]).prop_map(Input::Send),
        1 => Just(Input::Close),
    ]
}

struct World {
    engine: Engine,
    now: Instant,
    requests: Vec<RequestId>,
    opens: Vec<(TransportId, Text)>,
    outputs: Vec<Output>,
    /// The WebSockets whose byte stream has ended: what was written on them last depends on when it was.
    ended: Vec<TransportId>,
    /// What was written, by WebSocket.
    written: Vec<(TransportId, Vec<u8>)>,
}

impl World {
    fn new(config: Config) -> Self {
        let endpoint = Endpoint::parse("http://host").unwrap();
        let engine = Engine::new(at(0), Arc::new(config), &endpoint, Cookies::EMPTY, false, &Seed::for_tests(3));
        let mut world = Self {
            engine,
            now: at(0),
            requests: Vec::new(),
            opens: Vec::new(),
            ended: Vec::new(),
            outputs: Vec::new(),
            written: Vec::new(),
        };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match &output {
                Output::Request { id, .. } => self.requests.push(*id),
                Output::Open { transport, request } => {
                    let key = request.header("sec-websocket-key").unwrap();
                    self.opens.push((*transport, ws::accept_key(key).into()));
                }
                Output::Abort { transport } => self.ended.push(*transport),
                _ => {}
            }
            self.outputs.push(output);
        }
        for (transport, _) in self.opens.clone() {
            if let Some(queue) = self.engine.transmit(transport) {
                let bytes = queue.copy_to_bytes(queue.remaining());
                self.written.push((transport, bytes.to_vec()));
            }
        }
        let last = self.outputs.iter().rposition(|output| matches!(output, Output::Event(Event::Close { .. })));
        let closes = self.outputs.iter().filter(|output| matches!(output, Output::Event(Event::Close { .. }))).count();
        assert!(closes <= 1, "the end comes once");
        let late = |output: &Output| matches!(output, Output::Event(_) | Output::Open { .. });
        assert!(last.is_none_or(|last| !self.outputs[last + 1..].iter().any(late)), "and nothing after it");
    }

    /// Hands over one input; a piece of 1 cuts bytes as finely as can be.
    fn hand_over(&mut self, input: &Input, piece: usize, known: (usize, usize)) {
        let request = |world: &Self, back: u8| {
            let index = known.0.checked_sub(1 + usize::from(back))?;
            world.requests.get(index).copied()
        };
        let open = |world: &Self, back: u8| {
            let index = known.1.checked_sub(1 + usize::from(back))?;
            world.opens.get(index).cloned()
        };
        match input {
            Input::Answer(back, status, body) => {
                if let Some(id) = request(self, *back) {
                    let head = Response { status: *status, headers: &[("location", b"/x/")] };
                    self.engine.handle_response(self.now, id, &head, Bytes::from_static(body.as_bytes()));
                }
            }
            Input::Fail(back) => {
                if let Some(id) = request(self, *back) {
                    self.engine.handle_failure(self.now, id, Failure::Reset("x".into()));
                }
            }
            Input::Upgrade(back, good) => {
                if let Some((transport, accept)) = open(self, *back) {
                    let accept = if *good { accept.as_bytes() } else { b"x" };
                    let headers: [(&str, &[u8]); 3] =
                        [("upgrade", b"websocket"), ("connection", b"upgrade"), ("sec-websocket-accept", accept)];
                    let head = Response { status: 101, headers: &headers };
                    self.engine.handle_upgrade(self.now, transport, &head, Bytes::new());
                }
            }
            Input::OpenFail(back) => {
                if let Some((transport, _)) = open(self, *back) {
                    self.engine.handle_open_failure(self.now, transport, Failure::Timeout);
                }
            }
            Input::Say(back, packet) => {
                if let Some((transport, _)) = open(self, *back) {
                    let frame = ws::encode_frame(ws::Opcode::Text, &[packet.as_bytes()]);
                    self.bytes(transport, &frame, piece);
                }
            }
            Input::Raw(back, bytes) => {
                if let Some((transport, _)) = open(self, *back) {
                    self.bytes(transport, bytes, piece);
                }
            }
            Input::Eof(back) => {
                if let Some((transport, _)) = open(self, *back) {
                    self.ended.push(transport);
                    self.engine.handle_eof(self.now, transport);
                }
            }
            Input::Tick(millis) => {
                self.now = self.now + core::time::Duration::from_millis(u64::from(*millis));
                self.engine.handle_timeout(self.now);
                self.engine.handle_timeout(self.now);
                assert!(self.engine.poll_timeout().is_none_or(|next| next > self.now));
            }
            Input::Send(message) => {
                self.drain();
                self.engine.send(text(message)).ok();
                self.drain();
            }
            Input::Close => {
                self.drain();
                self.engine.close(self.now);
                self.drain();
            }
        }
    }

    fn bytes(&mut self, transport: TransportId, bytes: &[u8], piece: usize) {
        for part in bytes.chunks(piece) {
            self.engine.handle_bytes(self.now, transport, &mut BytesMut::from(part));
        }
    }

    fn finish(&mut self) {
        self.drain();
        self.engine.close(self.now);
        for _ in 0..20 {
            self.drain();
            let Some(next) = self.engine.poll_timeout() else { break };
            assert!(next > self.now);
            self.now = next;
            self.engine.handle_timeout(next);
            assert!(self.engine.poll_timeout().is_none_or(|later| later > next));
        }
        self.drain();
        assert!(self.engine.is_drained(), "everything has a deadline: {:?}", self.engine);
        assert_eq!(self.engine.stats(), Default::default());
    }

    fn written(&self) -> Vec<(TransportId, Vec<u8>)> {
        let mut all: Vec<(TransportId, Vec<u8>)> = Vec::new();
        for (transport, bytes) in
            self.written.iter().filter(|(id, bytes)| !self.ended.contains(id) && !bytes.is_empty())
        {
            match all.iter_mut().find(|(other, _)| other == transport) {
                Some((_, so_far)) => so_far.extend_from_slice(bytes),
                None => all.push((*transport, bytes.clone())),
            }
        }
        all
    }
}

fn config(choice: u8) -> Config {
    let transports = match choice % 4 {
        0 => [Transport::Polling].into(),
        1 => [Transport::WebSocket].into(),
        2 => [Transport::WebSocket, Transport::Polling].into(),
        _ => [Transport::Polling, Transport::WebSocket].into(),
    };
    Config { transports, try_all_transports: choice >= 4, request_timeout: None, ..plain() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The inputs of each batch name what was known when it began, so they can be handed over at once or one by one.
    #[test]
    fn any_batching_gives_the_same(
        choice in 0..8_u8,
        batches in prop::collection::vec(prop::collection::vec(input(), 1..5), 1..14),
    ) {
        let run = |single: bool, piece: usize| {
            let mut world = World::new(config(choice));
            for batch in &batches {
                let known = (world.requests.len(), world.opens.len());
                for input in batch {
                    world.hand_over(input, piece, known);
                    if single {
                        world.drain();
                    }
                }
                world.drain();
            }
            world.finish();
            (world.outputs.clone(), world.written())
        };
        let (outputs, written) = run(true, usize::MAX);
        for (single, piece) in [(false, usize::MAX), (true, 1), (false, 1)] {
            let (other, bytes) = run(single, piece);
            prop_assert_eq!(&other, &outputs);
            prop_assert_eq!(&bytes, &written);
        }
    }
}
