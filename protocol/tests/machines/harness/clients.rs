//! What clients do: requests, WebSockets, packets.

use super::*;

impl World {
    pub fn client(&mut self, name: &str) -> Who {
        self.clients.push(Client {
            name: name.into(),
            key: None,
            sid: String::new(),
            packets: Vec::new(),
            polled: Vec::new(),
            streams: Vec::new(),
            answers: BTreeMap::new(),
            auto: false,
            polite: true,
            reads: true,
            ends: true,
            websockets: Vec::new(),
        });
        self.clients.len() - 1
    }

    /// A client that has opened a polling session.
    pub fn polling(&mut self, name: &str) -> Who {
        let who = self.client(name);
        self.get(who);
        self.drive();
        who
    }

    /// A client that has opened a WebSocket session.
    pub fn websocket(&mut self, name: &str) -> Who {
        let who = self.client(name);
        self.open(who);
        self.drive();
        who
    }

    /// A client on WebSocket that has joined `/`: its socket.
    pub fn joined(&mut self, name: &str) -> (Who, SocketKey) {
        let who = self.websocket(name);
        let socket = self.join_namespace(who, "40");
        (who, socket)
    }

    /// A client on polling that has joined `/` and polls by itself: its socket.
    pub fn joined_polling(&mut self, name: &str) -> (Who, SocketKey) {
        let who = self.polling(name);
        self.post(who, "40");
        self.drive();
        self.clients[who].auto = true;
        self.get(who);
        self.drive();
        (who, *self.sockets.last().expect("accepted"))
    }

    /// Sends a CONNECT on WebSocket: the socket that it made.
    pub fn join_namespace(&mut self, who: Who, packet: &str) -> SocketKey {
        self.say(who, packet);
        self.drive();
        *self.sockets.last().expect("accepted")
    }

    /// Packets that a client has received since they were last taken.
    pub fn take(&mut self, who: Who) -> Vec<String> {
        std::mem::take(&mut self.clients[who].packets)
    }

    pub fn answer(&self, who: Who, id: RequestId) -> &Response {
        self.clients[who].answers.get(&id).unwrap_or_else(|| panic!("{id} has no answer"))
    }

    /// A request of the client that is not answered yet.
    pub fn waiting(&self, who: Who) -> Option<RequestId> {
        self.open_requests.iter().find(|(_, owner)| **owner == who).map(|(id, _)| *id)
    }

    /// The client's last GET, answered or not.
    pub fn last_get(&self, who: Who) -> Option<RequestId> {
        self.gets.get(&who).copied()
    }

    pub fn is_answered(&self, who: Who, id: RequestId) -> bool {
        self.clients[who].answers.contains_key(&id)
    }

    fn target(&self, who: Who, transport: &str) -> String {
        let sid = &self.clients[who].sid;
        let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
        format!("/socket.io/?EIO=4&transport={transport}{sid}")
    }

    /// A GET of the session; the handshake if there is none.
    pub fn get(&mut self, who: Who) -> RequestId {
        let id = self.request(who, "GET", &self.target(who, "polling"), &[], Body::EMPTY);
        self.gets.insert(who, id);
        id
    }

    /// A POST; `␞` in the body is the separator of packets.
    pub fn post(&mut self, who: Who, body: &str) -> RequestId {
        let body = Body::Whole(Bytes::from(body.replace('␞', "\x1e")));
        self.post_body(who, &[], body)
    }

    pub fn post_body(&mut self, who: Who, headers: &[(&str, &[u8])], body: Body) -> RequestId {
        self.request(who, "POST", &self.target(who, "polling"), headers, body)
    }

    /// Opens a WebSocket: a session of its own, or the upgrade of the client's session.
    pub fn open(&mut self, who: Who) -> RequestId {
        let target = self.target(who, "websocket");
        self.open_at(who, &target)
    }

    pub fn open_at(&mut self, who: Who, target: &str) -> RequestId {
        self.request(who, "GET", target, &UPGRADE, Body::EMPTY)
    }

    pub fn request(
        &mut self,
        who: Who,
        method: &str,
        target: &str,
        headers: &[(&str, &[u8])],
        body: Body,
    ) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let mut line = format!("{}> {method} {target}", self.clients[who].name);
        match &body {
            Body::Whole(bytes) if !bytes.is_empty() => write!(line, "  {}", shown(bytes)).unwrap(),
            Body::Whole(_) => {}
            other => write!(line, "  ({other:?})").unwrap(),
        }
        self.note(line);
        let head = Request { method, target, headers, peer: None, secure: false };
        if head.is_upgrade() {
            let client = &mut self.clients[who];
            let count = client.streams.len();
            client.streams.push(Vec::new());
            client.websockets.push(WebSocket {
                request: id,
                place: None,
                stream: ws::Stream::new(ws::Settings::new(ws::Role::Client), Some(&Seed::for_tests(id.0))),
                out: ws::Stream::new(ws::Settings::new(ws::Role::Client), Some(&Seed::for_tests(id.0))),
                label: if count == 0 { "ws".into() } else { format!("ws{}", count + 1) },
            });
        }
        match self.server.route(self.now, &head) {
            Route::Connection { key, body_limit } => {
                let body = match body {
                    Body::Whole(bytes) if bytes.len() > body_limit => Body::TooLarge,
                    body => body,
                };
                self.clients[who].key.get_or_insert(key);
                self.open_requests.insert(id, who);
                self.server.handle_request(self.now, key, id, &head, body);
                self.input_done();
            }
            Route::Response(response) => self.on_response(who, id, response),
            Route::NotFound => self.on_response(who, id, Response::status(404)),
        }
        id
    }

    pub fn body(&mut self, who: Who, id: RequestId, body: Body) {
        self.note(format!("{}> body of {id}", self.clients[who].name));
        let key = self.clients[who].key.expect("a session");
        self.server.handle_body(self.now, key, id, body);
        self.input_done();
    }

    pub fn abort(&mut self, who: Who, id: RequestId) {
        self.note(format!("{}> drops {id}", self.clients[who].name));
        let key = self.clients[who].key.expect("a session");
        self.dropped.insert(id);
        self.server.handle_abort(self.now, key, id);
        self.input_done();
    }

    /// Sends a text message on the client's newest WebSocket.
    pub fn say(&mut self, who: Who, text: &str) {
        self.send(who, ws::Message::Text(text.into()));
    }

    pub fn say_binary(&mut self, who: Who, bytes: &[u8]) {
        self.send(who, ws::Message::Binary(Bytes::copy_from_slice(bytes)));
    }

    pub fn send(&mut self, who: Who, message: ws::Message) {
        let Some((index, place)) = self.newest(who) else { return };
        let socket = &mut self.clients[who].websockets[index];
        let shown = match &message {
            ws::Message::Text(text) => shown(text.as_bytes()),
            ws::Message::Binary(bytes) => hex(bytes),
        };
        let line = format!("{}> {shown}", socket.label);
        if self.style.messages {
            self.note(format!("{} {line}", self.clients[who].name));
            self.server.handle_message(self.now, place.0, place.1, message);
            self.input_done();
        } else {
            socket.out.send(&message);
            self.note(format!("{} {line}", self.clients[who].name));
            self.write_out(who, index);
        }
    }

    /// Writes raw bytes on the client's newest WebSocket.
    pub fn say_raw(&mut self, who: Who, bytes: &[u8]) {
        let Some((index, place)) = self.newest(who) else { return };
        let client = &self.clients[who];
        self.note(format!("{} {}> raw {}", client.name, client.websockets[index].label, hex(bytes)));
        self.feed(place, bytes);
    }

    /// The same without a line in the transcript.
    pub fn feed_newest(&mut self, who: Who, bytes: &[u8]) {
        if let Some((_, place)) = self.newest(who) {
            self.feed(place, bytes);
        }
    }

    /// Starts the closing handshake on the client's newest WebSocket.
    pub fn close(&mut self, who: Who, code: u16) {
        let Some((index, place)) = self.newest(who) else { return };
        let client = &mut self.clients[who];
        let line = format!("{} {}> close {code}", client.name, client.websockets[index].label);
        if self.style.messages {
            self.note(line);
            self.todo.push_back(Todo::Eof(place.0, place.1));
            self.input_done();
        } else {
            client.websockets[index].out.close(self.now, Some(code), "");
            self.note(line);
            self.write_out(who, index);
        }
    }

    /// The byte stream of the client's newest WebSocket ends.
    pub fn eof(&mut self, who: Who) {
        let Some((index, place)) = self.newest(who) else { return };
        let client = &mut self.clients[who];
        let line = format!("{} {}> end of stream", client.name, client.websockets[index].label);
        client.websockets[index].place = None;
        self.note(line);
        self.server.handle_eof(self.now, place.0, place.1);
        self.input_done();
    }

    /// The driver stops reading from a client, or goes on.
    pub fn withhold(&mut self, who: Who, withheld: bool) {
        let Some(key) = self.clients[who].key else { return };
        self.note(format!("driver: {} {}", if withheld { "withholds" } else { "reads" }, self.clients[who].name));
        self.server.handle_withheld(self.now, key, withheld);
        self.input_done();
    }

    pub fn is_open(&self, who: Who) -> bool {
        self.newest(who).is_some()
    }

    pub(super) fn newest(&self, who: Who) -> Option<(usize, (ConnKey, TransportId))> {
        let sockets = self.clients[who].websockets.iter().enumerate();
        sockets.filter_map(|(index, socket)| socket.place.map(|place| (index, place))).next_back()
    }

    /// Takes what is written for a client that did not read for a while.
    pub fn read(&mut self, who: Who) {
        self.clients[who].reads = true;
        if let Some((_, place)) = self.newest(who) {
            self.transmit(place);
        }
        self.drive();
    }

    /// Passes on what a client's WebSocket sends.
    fn write_out(&mut self, who: Who, index: usize) {
        let socket = &mut self.clients[who].websockets[index];
        let Some(place) = socket.place else { return };
        let queue = socket.out.transmit();
        let bytes = queue.copy_to_bytes(queue.remaining());
        self.feed(place, &bytes);
    }

    /// Answers a close frame, unless the client has sent one itself.
    pub(super) fn answer_close(&mut self, who: Who, index: usize) {
        let socket = &mut self.clients[who].websockets[index];
        let Some(place) = socket.place.filter(|_| !socket.out.is_closing()) else { return };
        let queue = socket.stream.transmit();
        let bytes = queue.copy_to_bytes(queue.remaining());
        self.feed(place, &bytes);
    }

    fn feed(&mut self, (key, transport): (ConnKey, TransportId), bytes: &[u8]) {
        let size = if self.style.chunk == 0 { bytes.len().max(1) } else { self.style.chunk };
        for piece in bytes.chunks(size) {
            let mut buffer = BytesMut::from(piece);
            self.server.handle_bytes(self.now, key, transport, &mut buffer);
            assert!(buffer.is_empty(), "the whole buffer is consumed");
            self.input_done();
        }
    }
}
