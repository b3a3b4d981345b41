//! What the application does: the server's verbs, each with its outputs done.

use super::*;

impl World {
    pub fn accept(&mut self, request: ConnectRequest) -> Result<SocketKey, RequestGone> {
        let accepted = self.server.accept(self.now, request);
        if let Ok(socket) = accepted {
            self.sockets.push(socket);
        }
        accepted
    }

    pub fn reject(&mut self, request: ConnectRequest, message: &str) -> Result<(), RequestGone> {
        self.note(format!("app> reject {}: {message}", self.name(request.socket())));
        let result = self.server.reject(self.now, request, &ConnectError::new(message).expect("plain text"));
        self.verb_done();
        result
    }

    pub fn emit<T: Serialize + ?Sized>(&mut self, socket: SocketKey, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = Payload::event(event, args, 10).expect("encodable");
        self.note(format!("app> emit to {}: {}", self.name(socket), shown(payload.json())));
        let result = self.server.emit(self.now, socket, &payload);
        self.verb_done();
        result
    }

    pub fn emit_with_ack<T: Serialize + ?Sized>(
        &mut self,
        socket: SocketKey,
        event: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let payload = Payload::event(event, args, 10).expect("encodable");
        self.note(format!("app> emit with ack to {}: {}", self.name(socket), shown(payload.json())));
        let result = self.server.emit_with_ack(self.now, socket, &payload, timeout);
        self.verb_done();
        result
    }

    pub fn reply<T: Serialize + ?Sized>(&mut self, token: AckToken, args: &T) -> Result<(), EmitError> {
        let payload = Payload::ack(args, 10).expect("encodable");
        self.note(format!("app> ack to {}: {}", self.name(token.socket()), shown(payload.json())));
        let result = self.server.reply(self.now, &token, &payload);
        self.verb_done();
        result
    }

    pub fn broadcast<T: Serialize + ?Sized>(&mut self, target: &Target<'_>, event: &str, args: &T) -> usize {
        let payload = Payload::event(event, args, 10).expect("encodable");
        let rooms = |rooms: &[Room<'_>]| {
            let name = |room: &Room<'_>| match room {
                Room::Named(name) => (*name).to_owned(),
                Room::Own(sid) => sid.to_string(),
            };
            rooms.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        let mut line = format!("app> broadcast in {}", self.namespace_name(target.namespace));
        if !target.rooms.is_empty() {
            write!(line, " to [{}]", rooms(target.rooms)).unwrap();
        }
        if !target.except.is_empty() {
            write!(line, " except [{}]", rooms(target.except)).unwrap();
        }
        let count = self.server.broadcast(self.now, target, &payload).expect("an event");
        self.note(format!("{line}: {} ({count} recipients)", shown(payload.json())));
        self.verb_done();
        count
    }

    pub fn disconnect(&mut self, socket: SocketKey, close: bool) {
        let all = if close { " and its connection" } else { "" };
        self.note(format!("app> disconnect {}{all}", self.name(socket)));
        self.server.disconnect(self.now, socket, close);
        self.verb_done();
    }

    pub fn shutdown(&mut self) {
        self.note("app> shutdown");
        self.server.shutdown(self.now);
        self.verb_done();
    }

    pub fn set_queue_policy(&mut self, socket: SocketKey, policy: QueuePolicy) {
        self.server.set_queue_policy(socket, policy);
    }
}
