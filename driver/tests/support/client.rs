//! Clients that do what they are told.

use std::collections::VecDeque;

use tungstenite::{Error, Message, WebSocket, protocol::Role};

use super::{ClientEnd, Rig};

/// An HTTP connection.
pub struct Wire {
    rig: Rig,
    pub end: ClientEnd,
    /// What was read behind the last answer.
    rest: Vec<u8>,
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: String,
}

impl Wire {
    pub fn new(rig: Rig, end: ClientEnd) -> Self {
        Self { rig, end, rest: Vec::new() }
    }

    /// Sends a request with a body, or none.
    pub fn send(&self, method: &str, target: &str, headers: &str, body: &str) {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n{body}");
        self.end.write(head.as_bytes());
    }

    /// The next answer, if it has arrived.
    pub fn try_reply(&mut self) -> Option<Reply> {
        self.rest.extend(self.end.read(usize::MAX));
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1)?.parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        if rest.len() < length {
            return None;
        }
        let body = rest[..length].to_owned();
        self.rest.drain(..head.len() + 4 + length);
        Some(Reply { status, head, body })
    }

    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let rig = self.rig.clone();
        let mut reply = None;
        rig.until("an HTTP response", || {
            reply = self.try_reply();
            reply.is_some()
        });
        reply.unwrap()
    }

    /// Opens a WebSocket.
    #[track_caller]
    pub fn websocket(mut self, target: &str) -> Client {
        self.send(
            "GET",
            target,
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "",
        );
        let reply = self.reply();
        assert_eq!(reply.status, 101, "{reply:?}");
        let Self { rig, end, rest } = self;
        let socket = WebSocket::from_partially_read(end.clone(), rest, Role::Client, None);
        let mut client = Client {
            rig,
            end,
            socket,
            arrived: VecDeque::new(),
            is_closed: false,
            pings: 0,
            closed: None,
            sid: String::new(),
        };
        let open = client.message();
        assert!(open.starts_with("0{"), "not an Engine.IO handshake: {open}");
        client
    }
}

/// A client on a WebSocket. It answers pings, and a close frame, when it is told to read.
pub struct Client {
    pub rig: Rig,
    pub end: ClientEnd,
    socket: WebSocket<ClientEnd>,
    arrived: VecDeque<String>,
    is_closed: bool,
    /// Pings that it has answered.
    pub pings: usize,
    /// Code and reason of the server's close frame.
    pub closed: Option<(u16, String)>,
    /// The id of its socket in the namespace that it joined last.
    pub sid: String,
}

impl Client {
    /// Sends a Socket.IO packet.
    pub fn send(&mut self, packet: &str) {
        self.send_message(&format!("4{packet}"));
    }

    /// Sends an Engine.IO message or packet as text.
    pub fn send_message(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// Sends an event of `/`; the arguments are JSON, with a comma in front if there are any.
    pub fn event(&mut self, name: &str, arguments: &str) {
        self.send(&format!("2[\"{name}\"{arguments}]"));
    }

    /// Reads all that has arrived.
    pub fn read(&mut self) {
        while !self.is_closed {
            match self.socket.read() {
                Ok(Message::Text(text)) if text == "2" => {
                    self.pings += 1;
                    self.socket.send(Message::text("3")).unwrap();
                }
                Ok(Message::Text(text)) => self.arrived.push_back(text.to_string()),
                Ok(Message::Binary(bytes)) => self.arrived.push_back(shown(&bytes)),
                Ok(Message::Close(frame)) => {
                    self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_closed = true;
                    self.end.end();
                }
            }
        }
    }

    /// The next Engine.IO packet, if it has arrived; binary as `<01 02>`.
    pub fn try_message(&mut self) -> Option<String> {
        self.read();
        self.arrived.pop_front()
    }

    #[track_caller]
    pub fn message(&mut self) -> String {
        let rig = self.rig.clone();
        let mut message = None;
        rig.until("a message on a WebSocket", || {
            message = self.try_message();
            message.is_some()
        });
        message.unwrap()
    }

    /// The next Socket.IO packet, or attachment.
    #[track_caller]
    pub fn packet(&mut self) -> String {
        let message = self.message();
        message.strip_prefix('4').map(ToOwned::to_owned).unwrap_or(message)
    }

    #[track_caller]
    pub fn expect(&mut self, packet: &str) {
        assert_eq!(self.packet(), packet);
    }

    /// Nothing arrives as long as nobody does anything.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        self.rig.run();
        assert_eq!(self.try_message(), None);
    }

    /// Joins a namespace.
    #[track_caller]
    pub fn join(&mut self, namespace: &str) {
        let name = if namespace == "/" { String::new() } else { format!("{namespace},") };
        self.send(&format!("0{name}"));
        let packet = self.packet();
        let sid = packet.strip_prefix(&format!("0{name}{{\"sid\":\"")).and_then(|rest| rest.strip_suffix("\"}"));
        self.sid = sid.unwrap_or_else(|| panic!("not let in: {packet}")).to_owned();
    }

    /// Waits until the server has closed the byte stream; reads what comes until then.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let rig = self.rig.clone();
        rig.until("the end of a WebSocket", || {
            self.read();
            self.end.is_dropped()
        });
    }

    /// Breaks the connection.
    pub fn vanish(&mut self) {
        self.end.reset();
        self.rig.run();
    }

    /// Closes the WebSocket in order.
    #[track_caller]
    pub fn close(&mut self) {
        self.socket.close(None).unwrap();
        self.expect_closed();
    }
}

fn shown(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{}>", bytes.join(" "))
}

/// A client on HTTP long-polling: one connection for its GETs, one for its POSTs.
pub struct Poller {
    pub gets: Wire,
    pub posts: Wire,
    pub target: String,
}

impl Poller {
    #[track_caller]
    pub fn new(mut gets: Wire, posts: Wire) -> Self {
        let target = "/socket.io/?EIO=4&transport=polling";
        gets.send("GET", target, "", "");
        let open = gets.reply().body;
        let sid = open.split('"').nth(3).unwrap_or_else(|| panic!("no handshake: {open}"));
        Self { gets, posts, target: format!("{target}&sid={sid}") }
    }

    /// Starts a poll, whose answer `gets` brings.
    pub fn poll(&self) {
        self.gets.send("GET", &self.target, "", "");
    }

    /// Polls once: the answer's packets.
    #[track_caller]
    pub fn get(&mut self) -> Vec<String> {
        self.poll();
        let reply = self.gets.reply();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body.split('\x1e').map(ToOwned::to_owned).collect()
    }

    #[track_caller]
    pub fn post(&mut self, body: &str) {
        self.posts.send("POST", &self.target, "", body);
        let reply = self.posts.reply();
        assert_eq!((reply.status, &*reply.body), (200, "ok"), "{reply:?}");
    }

    /// Joins `/`.
    #[track_caller]
    pub fn join(&mut self) {
        self.post("40");
        let packets = self.get();
        assert!(packets.len() == 1 && packets[0].starts_with("40{"), "{packets:?}");
    }
}
