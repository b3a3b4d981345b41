//! Where clients connect to, and servers that do what they are told.

use std::{
    collections::VecDeque,
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{FutureExt as _, StreamExt as _};
use sha1::{Digest as _, Sha1};
use sockeye_driver::{
    BoxFuture, Stream,
    client::{Address, ClientBuilder, ClientEvent, Connector, Events, Failure, Transport},
};
use tungstenite::{Message, WebSocket, protocol::Role};

use crate::support::{ClientEnd, Counted, Rig, pipe};

/// Bytes that a client can write before its server has to read.
pub(crate) const CAPACITY: usize = 10_000;

/// Where clients connect to. What they open waits here for a server.
#[derive(Clone, Default)]
pub(crate) struct Net {
    pub(crate) ends: Arc<Mutex<VecDeque<ClientEnd>>>,
    /// Connections are neither made nor refused.
    pub(crate) is_silent: bool,
    /// Attempts that go on.
    pub(crate) attempts: Counted,
}

impl Connector for Net {
    fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        if self.is_silent {
            let attempt = self.attempts.make();
            return Box::pin(async move {
                let _attempt = attempt;
                pending().await
            });
        }
        let (stream, end) = pipe(CAPACITY);
        self.ends.lock().unwrap().push_back(end);
        Box::pin(ready(Ok(Box::new(stream) as Box<dyn Stream>)))
    }
}

impl Net {
    /// A client that tries again soon; on WebSocket alone.
    pub(crate) fn client(&self, rig: &Rig) -> ClientBuilder {
        let builder = ClientBuilder::new("http://test", Arc::clone(&rig.runtime), Arc::new(self.clone()));
        builder.config(|config| {
            config.transports = vec![Transport::WebSocket];
            (config.reconnection_delay, config.reconnection_delay_max) =
                (Duration::from_millis(1), Duration::from_millis(2));
        })
    }

    /// The next connection.
    #[track_caller]
    pub(crate) fn end(&self, rig: &Rig) -> ClientEnd {
        rig.until("a connection", || !self.ends.lock().unwrap().is_empty());
        self.ends.lock().unwrap().pop_front().unwrap()
    }

    /// Answers the next client's WebSocket.
    #[track_caller]
    pub(crate) fn accept(&self, rig: &Rig) -> Peer {
        let end = self.end(rig);
        let head = request(rig, &end).0;
        let mut peer = self.upgrade(rig, end, &head);
        peer.send(OPEN);
        peer
    }

    /// Answers the request for a WebSocket.
    #[track_caller]
    pub(crate) fn upgrade(&self, rig: &Rig, end: ClientEnd, head: &str) -> Peer {
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        end.write(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        let socket = WebSocket::from_raw_socket(end.clone(), Role::Server, None);
        Peer { rig: rig.clone(), end, socket }
    }

    /// Answers the next client's WebSocket, and connects `/`.
    #[track_caller]
    pub(crate) fn join(&self, rig: &Rig) -> Peer {
        let mut peer = self.accept(rig);
        assert_eq!(peer.message(), "40");
        peer.send("40{\"sid\":\"s\"}");
        rig.run();
        peer
    }
}

pub(crate) const OPEN: &str =
    r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// The head and the body of a request.
#[track_caller]
pub(crate) fn request(rig: &Rig, end: &ClientEnd) -> (String, String) {
    let mut read = String::new();
    rig.until("a request", || {
        read.push_str(&String::from_utf8(end.read(usize::MAX)).unwrap());
        let Some((head, body)) = read.split_once("\r\n\r\n") else { return false };
        let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        body.len() >= length.unwrap_or(0)
    });
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Answers a request.
pub(crate) fn answer(end: &ClientEnd, body: &str) {
    answer_with(end, "", body);
}

/// The same with more headers.
pub(crate) fn answer_with(end: &ClientEnd, headers: &str, body: &str) {
    end.write(format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

/// The server's side of a WebSocket.
pub(crate) struct Peer {
    pub(crate) rig: Rig,
    pub(crate) end: ClientEnd,
    pub(crate) socket: WebSocket<ClientEnd>,
}

impl Peer {
    pub(crate) fn send(&mut self, message: &str) {
        self.socket.send(Message::text(message)).unwrap();
    }

    pub(crate) fn binary(&mut self, size: usize) {
        self.socket.send(Message::binary(vec![0; size])).unwrap();
    }

    #[track_caller]
    pub(crate) fn message(&mut self) -> String {
        self.read().into_text().unwrap().to_string()
    }

    /// The next message, of whatever kind.
    #[track_caller]
    pub(crate) fn read(&mut self) -> Message {
        let mut message = None;
        let (rig, socket) = (self.rig.clone(), &mut self.socket);
        rig.until("a message of the client", || {
            message = socket.read().ok();
            message.is_some()
        });
        message.unwrap()
    }

    /// Whether the client has read all that there was.
    pub(crate) fn is_read(&self) -> bool {
        self.rig.run();
        self.end.unread() == 0
    }
}

/// What a stream has to give, without waiting, in short. Its end is `.`.
pub(crate) fn taken(events: &mut Events, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < limit
        && let Some(event) = events.next().now_or_never()
    {
        lines.push(match event {
            Some(ClientEvent::Connect { recovered }) => format!("connect {recovered}"),
            Some(ClientEvent::ConnectError(error)) => format!("connect_error {error}"),
            Some(ClientEvent::Disconnect { reason, error }) => {
                format!("disconnect {reason}{}", error.map_or_else(String::new, |error| format!(": {error}")))
            }
            Some(ClientEvent::Event(event)) => format!("{} {}", event.name(), event.args().raw()),
            Some(other) => format!("{other:?}"),
            None => {
                lines.push(".".into());
                break;
            }
        });
    }
    lines
}

pub(crate) fn all(events: &mut Events) -> Vec<String> {
    taken(events, usize::MAX)
}
