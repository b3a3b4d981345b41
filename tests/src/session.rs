//! Sessions on WebSocket, polite until they are told otherwise.

use std::time::{Duration, Instant};

use crate::{
    http::{Response, request},
    server::{Server, sid},
    websocket::{self, Event},
    wire::{End, PATIENCE, Wire},
};

/// The headers of an opening handshake.
pub const UPGRADE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// The answer that those must get (the example of RFC 6455, 1.3).
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A WebSocket connection.
#[derive(Debug)]
pub struct Socket {
    /// The connection below.
    pub wire: Wire,
    /// The Engine.IO session.
    pub sid: String,
}

impl Socket {
    /// A new Engine.IO session.
    pub fn open(server: &Server) -> Self {
        Self::open_with(server, "transport=websocket", b"")
    }

    /// A new Engine.IO session by a request with this query, and with bytes that follow it in the same segment.
    pub fn open_with(server: &Server, query: &str, glued: &[u8]) -> Self {
        let (mut socket, response) = Self::handshake(server, query, &UPGRADE, glued);
        assert_eq!(response.status, 101, "{}", response.line());
        let Event::Text(open) = socket.wire.event(PATIENCE) else {
            panic!("no open packet");
        };
        socket.sid = sid(&open);
        socket
    }

    /// A new session that has joined the main namespace.
    pub fn join(server: &Server) -> Self {
        let mut socket = Self::open(server);
        socket.send_text("40");
        let connected = socket.next_text();
        assert!(connected.starts_with(r#"40{"sid":""#), "{connected}");
        assert_eq!(socket.next_text(), r#"42["auth",{}]"#);
        socket
    }

    /// A new session that has joined the main namespace of the features server and was greeted.
    pub fn greeted(server: &Server) -> Self {
        let mut socket = Self::open(server);
        socket.send_text("40");
        let connected = socket.next_text();
        assert!(connected.starts_with(r#"40{"sid":""#), "{connected}");
        let greeting = socket.next_text();
        assert!(greeting.starts_with(r#"451-["hello",1,"2","#), "{greeting}");
        assert_eq!(socket.next(PATIENCE), Event::Binary(vec![6]));
        socket
    }

    /// A WebSocket to upgrade a polling session; nothing is sent on it yet.
    pub fn candidate(server: &Server, sid: &str) -> Self {
        let query = format!("transport=websocket&sid={sid}");
        let (mut socket, response) = Self::handshake(server, &query, &UPGRADE, b"");
        assert_eq!(response.status, 101, "{}", response.line());
        sid.clone_into(&mut socket.sid);
        socket
    }

    /// Sends an opening handshake and gives what was answered.
    pub fn handshake(server: &Server, query: &str, headers: &[&str], glued: &[u8]) -> (Self, Response) {
        let mut wire = server.wire();
        let mut bytes = request("GET", &server.target(query), headers, b"");
        bytes.extend_from_slice(glued);
        wire.send(&bytes).expect("send the handshake");
        let response = wire.response("GET", PATIENCE).expect("an answer");
        let sid = String::new();
        (Self { wire, sid }, response)
    }

    /// Sends bytes. That the server has gone already is found out when its words are read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.wire.send(bytes);
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) {
        self.send(&websocket::text(text));
    }

    /// The next event. Pings of Engine.IO are answered and left out.
    pub fn next(&mut self, wait: Duration) -> Event {
        let deadline = Instant::now() + wait;
        loop {
            match self.wire.event(deadline.saturating_duration_since(Instant::now())) {
                Event::Text(text) if text == "2" => self.send_text("3"),
                event => return event,
            }
        }
    }

    /// The next event, which must be text.
    pub fn next_text(&mut self) -> String {
        match self.next(PATIENCE) {
            Event::Text(text) => text,
            event => panic!("{event:?} instead of text"),
        }
    }

    /// Whether the session still carries messages there and back.
    ///
    /// # Errors
    ///
    /// What came instead of the answer.
    pub fn check(&mut self, server: &Server) -> Result<(), String> {
        let (question, answer) = if server.is_engine() {
            ("4are you there", "4are you there")
        } else {
            (r#"4242["message-with-ack","are you there"]"#, r#"4342["are you there"]"#)
        };
        self.send_text(question);
        match self.next(PATIENCE) {
            Event::Text(text) if text == answer => Ok(()),
            event => Err(format!("does not work any more: {event:?}")),
        }
    }

    /// Waits for the server's close frame with `code`, answers it, and for the end of the TCP connection.
    ///
    /// # Errors
    ///
    /// What came instead.
    pub fn expect_close(&mut self, code: Option<u16>) -> Result<(), String> {
        match self.next(PATIENCE) {
            Event::Close(found, _) if found == code => {}
            Event::Close(found, reason) => {
                return Err(format!("closed with {found:?} {reason:?}, not {code:?}"));
            }
            event => return Err(format!("{event:?} instead of a close frame with {code:?}")),
        }
        self.send(&websocket::frame(websocket::CLOSE, &code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec())));
        match self.wire.end(PATIENCE) {
            End::Eof | End::Reset => Ok(()),
            End::Timeout => Err("the TCP connection stays open".into()),
        }
    }
}
