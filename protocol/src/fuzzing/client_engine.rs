//! A whole session of a client's engine, with whatever a server and a network may do to it.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::{Buf as _, Bytes};

use super::network::{Known, Network};
use crate::{
    Instant, Seed, Text, TransportId,
    client::{
        Config, Cookies, Endpoint, Limits, Transport,
        engine::{Engine, Event, Message, Output},
    },
};

/// Runs a script. The first line chooses the options: `P` polling only, `W` WebSocket only, `O` WebSocket first, `T` try
/// all, `C` cookies, `6` base64, `R` a timeout for requests, `L` small limits. The others are operations, see
/// [`Op::parse`]; an empty line ends a batch.
pub fn client_engine(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let options = lines.next().unwrap_or_default();
    let mut batches = Vec::from([Vec::new()]);
    for line in lines.take(256) {
        match (Op::parse(line), batches.last_mut()) {
            (Some(op), Some(batch)) => batch.push(op),
            (None, _) => batches.push(Vec::new()),
            _ => {}
        }
    }
    check(&config(options), &batches);
}

/// Something that happens to an engine. A number counts back from the newest request or WebSocket that it had asked for
/// when the batch began, so that a batch means the same however it is handed over.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// An answer: its status, its headers and its body.
    Answer(u8, u16, Vec<(String, Vec<u8>)>, Vec<u8>),
    Fail(u8),
    /// The answer to the request for a WebSocket: 101, or with another status a refusal.
    Upgrade(u8, u16, Vec<(String, Vec<u8>)>, Vec<u8>),
    OpenFail(u8),
    /// A text frame of the server.
    Say(u8, Vec<u8>),
    Raw(u8, Vec<u8>),
    Message(u8, Message),
    Eof(u8),
    /// Time passes, in milliseconds.
    Tick(u64),
    Send(Message),
    Close,
    Abort,
}

impl Op {
    /// Reads a line: `A0 200` or `U0 101` (fields behind tabs: `Name: value`, `=body`), `F0`, `O0`, `S0 packet`,
    /// `B0 bytes`, `M0 text`, `N0 binary`, `E0`, `T millis`, `W text`, `w binary`, `C`, `X`.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (code, rest) = line.split_first()?;
        let (back, rest) = match rest.split_first() {
            Some((digit @ b'0'..=b'9', rest)) => (digit - b'0', rest),
            _ => (0, rest),
        };
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let text = || Text::from(&*String::from_utf8_lossy(rest));
        let bytes = || Bytes::copy_from_slice(rest);
        Some(match code {
            b'A' | b'U' => {
                let mut fields = rest.split(|byte| *byte == b'\t');
                let status = String::from_utf8_lossy(fields.next()?).trim().parse().unwrap_or(200);
                let (mut headers, mut body) = (Vec::new(), Vec::new());
                for field in fields {
                    if let Some(rest) = field.strip_prefix(b"=") {
                        body = rest.to_vec();
                    } else if let Some(colon) = field.iter().position(|byte| *byte == b':') {
                        let (name, value) = field.split_at(colon);
                        headers.push((String::from_utf8_lossy(name).into_owned(), value[1..].trim_ascii().to_vec()));
                    }
                }
                match code {
                    b'A' => Self::Answer(back, status, headers, body),
                    _ => Self::Upgrade(back, status, headers, body),
                }
            }
            b'F' => Self::Fail(back),
            b'O' => Self::OpenFail(back),
            b'S' => Self::Say(back, rest.to_vec()),
            b'B' => Self::Raw(back, rest.to_vec()),
            b'M' => Self::Message(back, Message::Text(text())),
            b'N' => Self::Message(back, Message::Binary(bytes())),
            b'E' => Self::Eof(back),
            b'T' => Self::Tick(text().trim().parse().unwrap_or(u64::from(back))),
            b'W' => Self::Send(Message::Text(text())),
            b'w' => Self::Send(Message::Binary(bytes())),
            b'C' => Self::Close,
            b'X' => Self::Abort,
            _ => return None,
        })
    }
}

fn config(options: &[u8]) -> Config {
    let has = |option| options.contains(&option);
    let transports: &[Transport] = match () {
        () if has(b'P') => &[Transport::Polling],
        () if has(b'W') => &[Transport::WebSocket],
        () if has(b'O') => &[Transport::WebSocket, Transport::Polling],
        () => &[Transport::Polling, Transport::WebSocket],
    };
    let limits = if has(b'L') {
        let cookies = (2, 10);
        Limits {
            max_payload: 200,
            send_queue_packets: 2,
            redirects: 1,
            cookies: cookies.0,
            cookie_bytes: cookies.1,
            close_timeout: Duration::ZERO,
            ..Limits::default()
        }
    } else {
        Limits::default()
    };
    Config {
        transports: transports.into(),
        try_all_transports: has(b'T'),
        with_credentials: has(b'C'),
        force_base64: has(b'6'),
        request_timeout: has(b'R').then(|| Duration::from_secs(3)),
        limits,
        ..Config::default()
    }
}

/// Any way of handing over the batches gives the same outputs and the same bytes.
pub(crate) fn check(config: &Config, batches: &[Vec<Op>]) {
    let run = |single: bool, piece: usize| {
        let mut world = World::new(config.clone());
        for batch in batches {
            let known = world.network.known();
            for op in batch {
                world.hand_over(op, piece, known);
                if single {
                    world.drain();
                }
            }
            world.drain();
        }
        world.finish();
        let written = world.written();
        (world.outputs, written)
    };
    let expected = run(true, usize::MAX);
    for (single, piece) in [(false, usize::MAX), (true, 1), (false, 1)] {
        assert_eq!(run(single, piece), expected);
    }
}

struct World {
    engine: Engine,
    now: Instant,
    network: Network,
    /// The WebSockets whose byte stream has ended: what was written on them last depends on when it was.
    ended: Vec<TransportId>,
    /// What was written, by WebSocket.
    written: Vec<(TransportId, Vec<u8>)>,
    outputs: Vec<Output>,
}

impl World {
    fn new(config: Config) -> Self {
        let endpoint = Endpoint::parse("http://host/").expect("a URL");
        let (now, seed) = (Instant::ZERO, Seed::for_tests(3));
        let mut world = Self {
            engine: Engine::new(now, Arc::new(config), &endpoint, Cookies::EMPTY, false, &seed),
            now,
            network: Network::default(),
            ended: Vec::new(),
            written: Vec::new(),
            outputs: Vec::new(),
        };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match &output {
                Output::Request { id, request } => {
                    assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()), "{}", request.target);
                    assert!(request.target.contains("EIO=4&transport=polling"));
                    self.network.request(*id);
                }
                Output::Open { transport, request } => self.network.open(*transport, request),
                Output::Abort { transport } => self.ended.push(*transport),
                Output::Cancel { .. } | Output::Shutdown { .. } | Output::Event(_) => {}
            }
            self.outputs.push(output);
        }
        for transport in self.network.transports() {
            if let Some(queue) = self.engine.transmit(transport) {
                let bytes = queue.copy_to_bytes(queue.remaining());
                match self.written.iter_mut().find(|(other, _)| *other == transport) {
                    Some((_, written)) => written.extend_from_slice(&bytes),
                    None => self.written.push((transport, bytes.to_vec())),
                }
            }
        }
        let is_close = |output: &&Output| matches!(output, Output::Event(Event::Close { .. }));
        assert!(self.outputs.iter().filter(is_close).count() <= 1, "the end comes once");
        let mut behind = self.outputs.iter().skip_while(|output| !is_close(output)).skip(1);
        assert!(!behind.any(|output| matches!(output, Output::Event(_) | Output::Open { .. })), "and nothing after it");
    }

    /// Hands over one operation; bytes are cut into pieces of that size.
    fn hand_over(&mut self, op: &Op, piece: usize, known: Known) {
        match op {
            Op::Tick(millis) => {
                self.tick(Instant::from_micros(
                    self.now.as_micros().saturating_add(Duration::from_millis(*millis % 100_000).as_micros() as u64),
                ));
            }
            // What the application does, it does at a place among the outputs.
            Op::Send(message) => {
                self.drain();
                let sent = self.engine.send(message.clone());
                assert!(sent.is_err() || !self.engine.is_closed());
                self.drain();
            }
            Op::Close => {
                self.drain();
                self.engine.close(self.now);
                self.drain();
            }
            Op::Abort => {
                self.drain();
                self.engine.abort(self.now);
                self.drain();
                assert!(self.engine.is_drained());
            }
            op => {
                if let Op::Eof(back) = op {
                    self.ended.extend(self.network.transport(*back, known));
                }
                self.network.hand_over(&mut self.engine, self.now, op, piece, known);
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        self.engine.handle_timeout(now);
        self.engine.handle_timeout(now);
        assert!(self.engine.poll_timeout().is_none_or(|next| next > now));
    }

    /// Whatever state it is in, a close and time end it.
    fn finish(&mut self) {
        self.drain();
        self.engine.close(self.now);
        for _ in 0..20 {
            self.drain();
            let Some(next) = self.engine.poll_timeout() else { break };
            assert!(next >= self.now);
            self.tick(next);
            self.drain();
            assert!(self.engine.poll_timeout().is_none_or(|later| later > next), "a tick leaves nothing that is due");
        }
        assert!(self.engine.is_drained(), "everything has a deadline: {:?}", self.engine);
        assert_eq!(self.engine.stats(), Default::default());
    }

    /// What was written on the WebSockets that have not been cut.
    fn written(&self) -> Vec<(TransportId, Vec<u8>)> {
        let whole = |(id, bytes): &&(TransportId, Vec<u8>)| !self.ended.contains(id) && !bytes.is_empty();
        self.written.iter().filter(whole).cloned().collect()
    }
}
