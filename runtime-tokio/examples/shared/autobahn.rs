//! The client that Autobahn's fuzzing server tests, on either runtime: the client's opening handshake and its framing,
//! over the streams that it connects with. It sends every message back.

use std::{env, future::poll_fn, io, pin::Pin, sync::Arc};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use hyper::rt::ReadBuf;
use sockeye_protocol::{
    Instant, Seed, TransportId,
    client::{
        Config, Cookies, Endpoint, Transport,
        engine::{Engine, Output},
        http::Response,
    },
    ws::{Event, Message, Role, Settings, Stream as WebSocket},
};

use super::sockeye::{
    BoxError, Stream,
    client::{Address, Connector},
};

const MAX_HEADERS: usize = 100;
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// Most cases wait for the server: a few at a time take a fraction of the time.
const AT_A_TIME: usize = 16;
/// No deadline matters here: the suite ends a connection that hangs.
const NOW: Instant = Instant::ZERO;

/// Runs all cases of the server at the URL in `--url`, as `agent`, and has it write its report.
pub(crate) async fn run(connector: &impl Connector, agent: &str) -> Result<(), BoxError> {
    let url = env::args().skip_while(|arg| arg != "--url").nth(1).ok_or("--url is missing")?;
    let mut first = None;
    let end = open(connector, &url, "/getCaseCount", &[], 0).await?.converse(&mut first).await;
    let count: u64 = match (first, end) {
        // However that connection ends: the server closes it at once, which may reset what was not read there.
        (Some(Message::Text(count)), _) => count.parse()?,
        (_, Err(error)) => return Err(error),
        (other, Ok(())) => return Err(format!("no count of cases: {other:?}").into()),
    };
    // A connection that breaks in a case may do so for good reason: the report says.
    let broken: usize = stream::iter(1..=count)
        .map(async |case| {
            let query = [("case", &*case.to_string()), ("agent", agent)];
            let result = async { open(connector, &url, "/runCase", &query, case).await?.converse(&mut None).await };
            result.await.inspect_err(|error| eprintln!("case {case}: {error}")).is_err()
        })
        .buffer_unordered(AT_A_TIME)
        .fold(0, async |sum, broken| usize::from(broken).saturating_add(sum))
        .await;
    println!("{count} cases, {broken} connections broken");
    // The server's process ends with that, and this connection anyhow: whoever runs the suite reads the report.
    let last = open(connector, &url, "/updateReports", &[("agent", agent)], 0).await?;
    if let Err(error) = last.converse(&mut None).await {
        eprintln!("behind the request for the report: {error}");
    }
    Ok(())
}

/// A WebSocket that is open.
struct Connection {
    stream: Box<dyn Stream>,
    /// What was read behind the answer to its request.
    buffer: BytesMut,
    seed: Seed,
}

impl Connection {
    /// Sends every message back until the connection ends. The first one is kept.
    async fn converse(mut self, first: &mut Option<Message>) -> Result<(), BoxError> {
        let settings = Settings { max_message: MAX_MESSAGE, ..Settings::new(Role::Client) };
        let mut socket = WebSocket::new(settings, Some(&self.seed));
        loop {
            socket.handle_bytes(&mut self.buffer);
            while let Some(event) = socket.poll_event(NOW) {
                if let Event::Message(message) = event {
                    socket.send(&message);
                    first.get_or_insert(message);
                }
            }
            write(&mut *self.stream, socket.transmit()).await?;
            if socket.is_finished() {
                return Ok(());
            }
            if !read(&mut *self.stream, &mut self.buffer).await? {
                socket.handle_eof();
            }
        }
    }
}

/// The opening handshake: the request and the check of its answer are those of the client's engine.
async fn open(
    connector: &impl Connector,
    url: &str,
    path: &str,
    query: &[(&str, &str)],
    seed: u64,
) -> Result<Connection, BoxError> {
    let seed = Seed::for_tests(seed);
    let config = Config {
        path: path.into(),
        add_trailing_slash: false,
        query: query.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        transports: vec![Transport::WebSocket],
        ..Config::default()
    };
    let mut engine = Engine::new(NOW, Arc::new(config), &Endpoint::parse(url)?, Cookies::EMPTY, false, &seed);
    let Some(Output::Open { transport, request }) = engine.poll_output() else {
        return Err("a WebSocket is what it was told to open".into());
    };
    let address = Address { host: request.host.clone(), port: request.port, secure: request.secure };
    let mut stream = connector.connect(&address).await?;
    let mut buffer = BytesMut::new();
    request.encode_http1(&mut buffer);
    write(&mut *stream, &mut buffer).await?;
    while !answer(&mut engine, transport, &mut buffer)? {
        if !read(&mut *stream, &mut buffer).await? {
            return Err("closed before an answer".into());
        }
    }
    // A refused answer ends the session, an accepted one waits for the first packet.
    match engine.poll_output() {
        None => Ok(Connection { stream, buffer, seed }),
        Some(output) => Err(format!("refused: {output:?}").into()),
    }
}

/// Hands over the head of the answer, once it is whole.
fn answer(engine: &mut Engine, transport: TransportId, buffer: &mut BytesMut) -> Result<bool, BoxError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = head.parse(buffer)? else { return Ok(false) };
    let headers: Vec<_> = head.headers.iter().map(|header| (header.name, header.value)).collect();
    let head = Response { status: head.code.unwrap_or_default(), headers: &headers };
    engine.handle_upgrade(NOW, transport, &head, Bytes::new());
    buffer.advance(len);
    Ok(true)
}

/// Reads what has arrived to the end of `buffer`; `false` at the end of the stream.
async fn read(stream: &mut dyn Stream, buffer: &mut BytesMut) -> io::Result<bool> {
    let mut space = vec![0; 64 * 1024];
    let mut space = ReadBuf::new(&mut space);
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, space.unfilled())).await?;
    buffer.extend_from_slice(space.filled());
    Ok(!space.filled().is_empty())
}

async fn write(stream: &mut dyn Stream, bytes: &mut impl bytes::Buf) -> io::Result<()> {
    while bytes.has_remaining() {
        let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes.chunk())).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes.advance(written);
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}
