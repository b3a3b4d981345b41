//! What an engine is handed, and has not looked at yet.

use alloc::{boxed::Box, vec::Vec};

use bytes::{Bytes, BytesMut};

use super::engine::Engine;
use crate::{
    Instant, RequestId, TransportId,
    client::http::{Failure, Response},
    engine::inbox::{Stored, message_len},
    ws::Message,
};

impl Engine {
    /// The response to a request has arrived, its body whole. Ignored if the request was cancelled.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, get) = opened();
    /// engine.handle_response(NOW, get, &OK, Bytes::from("4hello"));
    /// let message = engine::Message::Text("hello".into());
    /// assert_eq!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Message(message))));
    /// # }
    /// ```
    pub fn handle_response(&mut self, now: Instant, id: RequestId, head: &Response<'_>, body: Bytes) {
        self.inbox.push(now, Input::Response { id, answer: Answer::new(head, body) });
    }

    /// A request has failed. Ignored if it was cancelled.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, get) = opened();
    /// engine.handle_failure(NOW, get, Failure::Reset("by peer".into()));
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Close { .. }))));
    /// # }
    /// ```
    pub fn handle_failure(&mut self, now: Instant, id: RequestId, failure: Failure) {
        self.inbox.push(now, Input::Failure { id, failure });
    }

    /// The response to [`Output::Open`](super::Output::Open) has arrived: a 101, or a refusal with its body (none will do too), upon which the
    /// driver closes the connection. Bytes that came with a 101 go to [`handle_bytes`](Self::handle_bytes) next.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, accept) = websocket();
    /// let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// engine.handle_upgrade(NOW, transport, &Response { status: 101, headers: &headers }, Bytes::new());
    /// assert_eq!(engine.poll_output(), None); // The handshake comes with the first message.
    /// assert!(engine.transmit(transport).is_some());
    /// # }
    /// ```
    pub fn handle_upgrade(&mut self, now: Instant, transport: TransportId, head: &Response<'_>, body: Bytes) {
        self.inbox.push(now, Input::Upgrade { transport, answer: Answer::new(head, body) });
    }

    /// A WebSocket could not be opened. Ignored if it was aborted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, _) = websocket();
    /// engine.handle_open_failure(NOW, transport, Failure::Connect("refused".into()));
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Close { .. }))));
    /// # }
    /// ```
    pub fn handle_open_failure(&mut self, now: Instant, transport: TransportId, failure: Failure) {
        self.inbox.push(now, Input::OpenFailure { transport, failure });
    }

    /// Bytes of a WebSocket have arrived. The buffer is left empty. Bytes of one that has ended are discarded.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, accept) = websocket();
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// engine.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// // A frame of text, in two parts.
    /// let mut bytes = BytesMut::from(&[0x81, OPEN.len() as u8][..]);
    /// engine.handle_bytes(NOW, transport, &mut bytes);
    /// assert_eq!(engine.poll_output(), None);
    /// engine.handle_bytes(NOW, transport, &mut BytesMut::from(OPEN));
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Open(_)))));
    /// # }
    /// ```
    pub fn handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut) {
        let backing = buffer.capacity();
        let bytes = buffer.split();
        self.inbox.push(now, Input::Bytes { transport, bytes, backing });
    }

    /// A message of a WebSocket has arrived, from a framework that reads the frames itself. Such a driver takes
    /// [`TransmitQueue::pop_message`](crate::ws::TransmitQueue::pop_message) instead of bytes, and reports the end of the WebSocket with
    /// [`handle_eof`](Self::handle_eof).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, accept) = websocket();
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// engine.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// engine.handle_message(NOW, transport, engine::Message::Text(OPEN.into()));
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Open(_)))));
    /// # }
    /// ```
    pub fn handle_message(&mut self, now: Instant, transport: TransportId, message: Message) {
        self.inbox.push(now, Input::Message { transport, message });
    }

    /// The byte stream of a WebSocket has ended or failed, or was closed as asked.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, transport, accept) = websocket();
    /// # let headers = [("upgrade", &b"websocket"[..]), ("connection", b"upgrade"), ("sec-websocket-accept", accept.as_bytes())];
    /// # let head = Response { status: 101, headers: &headers };
    /// engine.handle_upgrade(NOW, transport, &head, Bytes::new());
    /// engine.handle_eof(NOW, transport);
    /// assert!(matches!(engine.poll_output(), Some(engine::Output::Event(engine::Event::Close { .. }))));
    /// # }
    /// ```
    pub fn handle_eof(&mut self, now: Instant, transport: TransportId) {
        self.inbox.push(now, Input::Eof(transport));
    }

    /// The driver has stopped reading from the server (`true`), or goes on (`false`): because the application is behind. To
    /// say the same again changes nothing.
    ///
    /// The server's pings may lie unread then. So it is not held to its interval and timeout until reading goes on, and then
    /// has both once more; but no longer than [`withheld_timeout`](crate::client::Limits::withheld_timeout) without a
    /// break, since a dead server would never be noticed. No other deadline moves.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// let ping_is_due = engine.poll_timeout().unwrap();
    /// engine.handle_withheld(NOW, true);
    /// engine.poll_output();
    /// assert!(engine.poll_timeout().unwrap() > ping_is_due);
    /// # }
    /// ```
    pub fn handle_withheld(&mut self, now: Instant, withheld: bool) {
        self.inbox.push(now, Input::Withheld(withheld));
    }

    /// Time has passed. Too early or once too often is harmless.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.handle_timeout(engine.poll_timeout().unwrap());
    /// let Some(engine::Output::Event(engine::Event::Close { reason, .. })) = engine.poll_output() else { panic!() };
    /// assert_eq!(reason, engine::CloseReason::PingTimeout);
    /// # }
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        self.inbox.push(now, Input::Timeout);
    }
}

/// Something that has happened, in the order in which it was handed over.
#[derive(Debug)]
pub(super) enum Input {
    Response {
        id: RequestId,
        answer: Box<Answer>,
    },
    Failure {
        id: RequestId,
        failure: Failure,
    },
    Upgrade {
        transport: TransportId,
        answer: Box<Answer>,
    },
    OpenFailure {
        transport: TransportId,
        failure: Failure,
    },
    /// `backing` is the capacity of the buffer that the bytes were split off.
    Bytes {
        transport: TransportId,
        bytes: BytesMut,
        backing: usize,
    },
    Message {
        transport: TransportId,
        message: Message,
    },
    Eof(TransportId),
    Withheld(bool),
    Timeout,
}

impl Stored for Input {
    fn is_tick(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Response { answer, .. } | Self::Upgrade { answer, .. } => {
                answer.body.len().saturating_add(answer.head.bytes())
            }
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Message { message, .. } => message_len(message),
            Self::Failure { .. } | Self::OpenFailure { .. } | Self::Eof(_) | Self::Withheld(_) | Self::Timeout => 0,
        }
    }
}

/// A response. (Boxed, since messages are moved about in the same queue, and are smaller.)
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

impl Answer {
    fn new(head: &Response<'_>, body: Bytes) -> Box<Self> {
        Box::new(Self { head: Head::read(head), body })
    }
}

/// What matters of a response's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(&'static str, Bytes)>,
}

/// The headers that matter.
const NAMES: [&str; 8] = [
    "set-cookie",
    "date",
    "location",
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

impl Head {
    fn read(head: &Response<'_>) -> Self {
        let known = |name: &str| NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let headers = head.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some((known(name)?, Bytes::copy_from_slice(value))));
        Self { status: head.status, headers: headers.collect() }
    }

    fn bytes(&self) -> usize {
        self.headers.iter().map(|(_, value)| value.len()).fold(0, usize::saturating_add)
    }

    /// The same again as a driver's HTTP library would give it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Response<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        look(&Response { status: self.status, headers: &headers })
    }
}
