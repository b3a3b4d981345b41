// What the examples of clients have around them, out of their readers' sight: machines that have come so far, and what
// their server says.

#[allow(unused_imports)]
use std::{sync::Arc, time::Duration};

#[allow(unused_imports)]
use bytes::{Buf as _, Bytes, BytesMut};
#[allow(unused_imports)]
use sockeye_protocol::{
    Instant, RequestId, Seed, TransportId,
    client::{
        AckOutcome, Config, Cookies, Delivery, DisconnectReason, EmitError, Endpoint, Engine, Error, Event, Flags, Limits,
        Manager, Offline, Output, ProvideError, SocketId, SocketOptions, Transport, engine,
        http::{Failure, Request, Response},
    },
    socket::Payload,
};

#[allow(dead_code)]
const NOW: Instant = Instant::ZERO;

/// What a server says of a new session.
#[allow(dead_code)]
const OPEN: &str = r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}"#;

/// The head of an answer that has what was asked for.
#[allow(dead_code)]
const OK: Response<'_> = Response { status: 200, headers: &[] };

#[allow(dead_code)]
fn endpoint() -> Endpoint {
    Endpoint::parse("http://localhost:3000").unwrap()
}

#[allow(dead_code)]
fn event(name: &str, args: &str) -> Payload {
    Payload::event(name, args, 10).unwrap()
}

/// A client on polling that has done nothing yet.
#[allow(dead_code)]
fn client(change: impl FnOnce(&mut Config)) -> (Manager, SocketId) {
    let mut config = Config { upgrade: false, ..Config::default() };
    change(&mut config);
    let mut client = Manager::new(config, endpoint(), &Seed::for_tests(1));
    let socket = client.add_socket("/", SocketOptions::default());
    (client, socket)
}

/// A client that is connected, and the GET that it waits with.
#[allow(dead_code)]
fn connected() -> (Manager, SocketId, RequestId) {
    let (mut client, socket) = client(|_| {});
    client.connect(NOW, socket);
    let get = request(&outputs(&mut client), "GET");
    let said = says(&mut client, get, OPEN);
    client.handle_response(NOW, request(&said, "POST"), &OK, Bytes::from("ok"));
    let said = says(&mut client, request(&said, "GET"), r#"40{"sid":"public"}"#);
    let get = request(&said, "GET");
    (client, socket, get)
}

/// All that a client wants and tells. Who it is, it is told at once.
#[allow(dead_code)]
fn outputs(client: &mut Manager) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = client.poll_output() {
        match output {
            Output::Event(Event::NeedAuth(request)) => client.provide_auth(NOW, &request, Ok(None)).unwrap(),
            output => outputs.push(output),
        }
    }
    outputs
}

/// What a client tells, of what it wants and tells.
#[allow(dead_code)]
fn events(outputs: Vec<Output>) -> Vec<Event> {
    let event = |output| if let Output::Event(event) = output { Some(event) } else { None };
    outputs.into_iter().filter_map(event).collect()
}

/// The server answers a GET.
#[allow(dead_code)]
fn says(client: &mut Manager, get: RequestId, body: &'static str) -> Vec<Output> {
    client.handle_response(NOW, get, &OK, Bytes::from(body));
    outputs(client)
}

/// The request with this method.
#[allow(dead_code)]
fn request(outputs: &[Output], method: &str) -> RequestId {
    let id = |output: &Output| match output {
        Output::Request { id, request } if request.method == method => Some(*id),
        _ => None,
    };
    outputs.iter().find_map(id).unwrap()
}

/// A session that is being opened, and the request for it.
#[allow(dead_code)]
fn opening(change: impl FnOnce(&mut Config)) -> (Engine, RequestId) {
    let mut config = Config { path: "/engine.io/".into(), ..Config::default() };
    change(&mut config);
    let mut engine = Engine::new(NOW, Arc::new(config), &endpoint(), Cookies::EMPTY, false, &Seed::for_tests(1));
    let Some(engine::Output::Request { id, .. }) = engine.poll_output() else { panic!() };
    (engine, id)
}

/// An open session on polling, and the GET that it waits with.
#[allow(dead_code)]
fn opened() -> (Engine, RequestId) {
    let (mut engine, id) = opening(|config| config.upgrade = false);
    engine.handle_response(NOW, id, &OK, Bytes::from(OPEN));
    let Some(engine::Output::Event(engine::Event::Open(_))) = engine.poll_output() else { panic!() };
    let Some(engine::Output::Request { id, .. }) = engine.poll_output() else { panic!() };
    assert_eq!(engine.poll_output(), None);
    (engine, id)
}

/// A session on WebSocket that is being opened, and the answer to its request.
#[allow(dead_code)]
fn websocket() -> (Engine, TransportId, String) {
    let config = Config { transports: vec![Transport::WebSocket], ..Config::default() };
    let mut engine = Engine::new(NOW, Arc::new(config), &endpoint(), Cookies::EMPTY, false, &Seed::for_tests(1));
    let Some(engine::Output::Open { transport, request }) = engine.poll_output() else { panic!() };
    (engine, transport, accept(&request))
}

/// What a server answers to a WebSocket's key (RFC 6455, 4.2.2).
#[allow(dead_code)]
fn accept(request: &Request) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha1::{Digest as _, Sha1};

    let key = request.header("sec-websocket-key").unwrap();
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}
