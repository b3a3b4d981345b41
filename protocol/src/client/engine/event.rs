//! What comes out of an engine.

use alloc::boxed::Box;

use super::{CloseReason, Error, Handshake, Message};
use crate::{RequestId, TransportId, client::http::Request};

/// What an engine wants its driver to do.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, transport, _) = websocket();
/// engine.close(NOW); // Before it was open.
/// while let Some(output) = engine.poll_output() {
///     match output {
///         engine::Output::Request { id, request } => println!("{id:?}: {} {}", request.method, request.target),
///         engine::Output::Cancel { id } => println!("{id:?} is not wanted any more"),
///         engine::Output::Open { transport, request } => println!("{transport:?}: {}", request.target),
///         engine::Output::Shutdown { transport } => println!("{transport:?}: write the rest, and close"),
///         engine::Output::Abort { transport: other } => assert_eq!(other, transport),
///         engine::Output::Event(event) => println!("{event:?}"),
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this request, and report [`Engine::handle_response`](super::Engine::handle_response) or [`Engine::handle_failure`](super::Engine::handle_failure).
    Request {
        /// Names the request.
        id: RequestId,
        /// The request.
        request: Box<Request>,
    },
    /// Drop this request and its connection, and report nothing more of it.
    Cancel {
        /// The request.
        id: RequestId,
    },
    /// Send this request on a connection of its own, and report [`Engine::handle_upgrade`](super::Engine::handle_upgrade) or
    /// [`Engine::handle_open_failure`](super::Engine::handle_open_failure). After a 101 the rest of the byte stream is the WebSocket.
    Open {
        /// Names the WebSocket.
        transport: TransportId,
        /// The request.
        request: Box<Request>,
    },
    /// Write what [`Engine::transmit`](super::Engine::transmit) still holds, then close the byte stream and report [`Engine::handle_eof`](super::Engine::handle_eof).
    Shutdown {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Drop the byte stream, or the attempt to open it, now. What is queued is lost, the engine has forgotten this
    /// WebSocket.
    Abort {
        /// The WebSocket.
        transport: TransportId,
    },
    /// Something for the application.
    Event(Event),
}

/// What an application learns.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, get) = opened();
/// engine.handle_response(NOW, get, &OK, Bytes::from("4hello\u{1e}2\u{1e}1"));
/// let mut told = Vec::new();
/// while let Some(output) = engine.poll_output() {
///     if let engine::Output::Event(event) = output {
///         told.push(event);
///     }
/// }
/// let [engine::Event::Message(_), engine::Event::Ping, engine::Event::Close { .. }] = &told[..] else { panic!() };
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The session is open.
    Open(Box<Handshake>),
    /// The session has moved from polling to WebSocket.
    Upgraded,
    /// A message has arrived.
    Message(Message),
    /// A ping has arrived, and is answered.
    Ping,
    /// The session is closed, or could not be opened. This comes once, and nothing after it.
    Close {
        /// Why, in the words of Socket.IO.
        reason: CloseReason,
        /// What went wrong, or how the server has closed it; nothing if this side did.
        error: Option<Error>,
    },
}

/// What an engine holds: everything that can grow. All of it is zero once the engine is drained.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, _) = opened();
/// engine.send(engine::Message::Text("hello".into())).unwrap();
/// let stats: engine::EngineStats = engine.stats();
/// assert_eq!((stats.requests, stats.queued_packets), (1, 1));
/// engine.abort(NOW);
/// while engine.poll_output().is_some() {}
/// assert_eq!(engine.stats(), engine::EngineStats::default());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// Requests that wait for their response, one that opens a WebSocket included.
    pub requests: usize,
    /// WebSockets, closing ones included.
    pub transports: usize,
    /// Inputs that are not looked at yet, and outputs that are not polled yet.
    pub waiting: usize,
    /// Bytes of the server that are not delivered yet.
    pub received_bytes: usize,
    /// Packets waiting to be sent.
    pub queued_packets: usize,
    /// Bytes waiting to be sent.
    pub queued_bytes: usize,
}
