//! The WebSockets of an engine: opened by a request, then a byte stream.

use alloc::{boxed::Box, string::String};

use super::{
    Event, Output,
    engine::{Engine, Phase, limits, load},
    error::{Cause, ClosedBy, Error, HandshakeError, Refusal, UpgradeError},
    input::Head,
    upgrade::{self, Opening},
};
use crate::{
    Instant, Seed, TransportId,
    client::{Config, Transport, http::Response},
    engine::{
        CloseReason, Current, Packet, SendError,
        buffer::SendBuffer,
        inbox::message_len,
        timers::after,
        websocket::{self, Stage, WebSocket},
    },
    http::has_token,
    socket::{Head as PacketHead, PayloadRef},
    ws::{self, Message},
};

impl Engine {
    /// Sends a Socket.IO packet: `4`, `head` and the payload's JSON as text, then its attachments, with nothing in between.
    pub(crate) fn send_packet(
        &mut self,
        head: &PacketHead<'_>,
        payload: Option<PayloadRef<'_>>,
    ) -> Result<(), SendError> {
        if !self.takes_packets() {
            return Err(SendError::Closed);
        }
        // Looked for once: this is for each message.
        let is_open = self.phase == Phase::Open;
        let (main, buffer, config) = self.outlet();
        load(main.as_deref(), buffer).check_room(websocket::packet_len(head, payload), || limits(config))?;
        websocket::send_packet(main.filter(|_| is_open), buffer, head, payload);
        Ok(())
    }

    /// The same for a packet that no limit may refuse: one of the protocol itself, or one that was accepted before and
    /// has waited elsewhere. Nothing happens once the session is closing.
    pub(crate) fn push_packet(&mut self, head: &PacketHead<'_>, payload: Option<PayloadRef<'_>>) {
        if self.phase == Phase::Open {
            let (main, buffer, _) = self.outlet();
            websocket::send_packet(main, buffer, head, payload);
        }
    }

    /// Where packets go: to the session's WebSocket, or into the buffer where there is none yet. And what says how much may be
    /// there.
    fn outlet(&mut self) -> (Option<&mut WebSocket>, &mut SendBuffer, &Config) {
        (self.sockets.iter_mut().find(|socket| socket.stage == Stage::Main), &mut self.buffer, &self.config)
    }

    /// Asks for a WebSocket: the session's transport, or the candidate of an upgrade.
    pub(super) fn open_websocket(&mut self) {
        let transport = self.next_transport_id();
        let (key, request) = self.websocket_request();
        self.opening = Some(Box::new(Opening { transport, key }));
        self.output(Output::Open { transport, request: Box::new(request) });
    }

    pub(super) fn on_upgrade(&mut self, transport: TransportId, head: &Head, body: &[u8]) {
        let Some(opening) = self.opening.take_if(|opening| opening.transport == transport) else { return };
        self.store_cookies(Transport::WebSocket, head);
        if head.status != 101 {
            let cause = Cause::Status { status: head.status, refusal: Refusal::parse(body) };
            return self.lose_opening(cause);
        }
        if let Err(error) = head.with(|head| check(head, &opening.key, self.config.offered_protocols())) {
            self.output(Output::Abort { transport });
            return self.lose_opening(Cause::Upgrade(error));
        }
        let limits = &self.config.limits;
        let settings = ws::Settings {
            role: ws::Role::Client,
            max_message: limits.max_payload,
            max_empty_fragments: limits.max_empty_fragments,
            close_timeout: limits.close_timeout,
        };
        let base64 = self.config.base64(Transport::WebSocket);
        let seed = Seed(self.rng.bytes());
        let stage = if self.phase == Phase::Opening { Stage::Main } else { Stage::Candidate };
        self.sockets.push(WebSocket::new(transport, stage, settings, Some(&seed), base64));
        if stage == Stage::Candidate {
            self.probe();
        }
    }

    pub(super) fn on_open_failure(&mut self, transport: TransportId, cause: Cause) {
        if self.opening.take_if(|opening| opening.transport == transport).is_some() {
            self.lose_opening(cause);
        }
    }

    /// A WebSocket could not be opened.
    fn lose_opening(&mut self, cause: Cause) {
        if self.upgrade == upgrade::State::Opening {
            self.forget_upgrade();
        } else {
            self.fail(Error::websocket(cause));
        }
    }

    pub(super) fn socket(&mut self, transport: TransportId) -> Option<&mut WebSocket> {
        self.sockets.iter_mut().find(|socket| socket.id == transport)
    }

    pub(super) fn main_mut(&mut self) -> Option<&mut WebSocket> {
        self.sockets.iter_mut().find(|socket| socket.stage == Stage::Main)
    }

    pub(super) fn candidate_mut(&mut self) -> Option<&mut WebSocket> {
        self.sockets.iter_mut().find(|socket| socket.stage == Stage::Candidate)
    }

    /// Reads the next message of a WebSocket's bytes.
    pub(super) fn read_stream(&mut self, transport: TransportId) -> Option<Event> {
        let clock = self.clock;
        let Some(socket) = self.socket(transport) else {
            self.current = Current::Nothing;
            return None;
        };
        let stage = socket.stage;
        let (event, is_read_out) = socket.read(clock);
        if is_read_out {
            self.current = Current::Nothing;
        }
        match event {
            Some(ws::Event::Message(message)) => self.on_frame(stage, message),
            Some(ws::Event::Closing(closing)) => {
                self.on_closing(transport, closing);
                None
            }
            // A pong of the WebSocket itself means nothing to Engine.IO.
            Some(_) | None => None,
        }
    }

    /// A message from a framework that reads the frames itself, and may not know our limit.
    pub(super) fn on_message(&mut self, transport: TransportId, message: Message) -> Option<Event> {
        let limit = self.config.limits.max_payload;
        let size = message_len(&message);
        if size <= limit {
            let stage = self.socket(transport)?.stage;
            return self.on_frame(stage, message);
        }
        let error = Error::MessageTooLarge { limit, size };
        self.fail_socket(transport, (1009, ""), error);
        None
    }

    fn on_frame(&mut self, stage: Stage, message: Message) -> Option<Event> {
        match stage {
            Stage::Main => match Packet::decode(message) {
                Ok(packet) => return self.on_packet(packet),
                Err(error) => self.fail(Error::Packet(error)),
            },
            Stage::Candidate => self.on_candidate(Packet::decode(message).ok()),
            Stage::Closing | Stage::Shutdown => {}
        }
        None
    }

    /// A WebSocket has been closed by the server, or the server has broken the protocol and it is closed for that.
    fn on_closing(&mut self, transport: TransportId, closing: ws::Closing) {
        match closing {
            ws::Closing::Violation(error) => {
                let frame = (error.close_code(), "");
                self.fail_socket(transport, frame, Error::websocket(Cause::WebSocket(error)));
            }
            ws::Closing::Peer(frame) => self.close_socket(transport, ClosedBy::Frame(frame)),
            ws::Closing::Eof => self.close_socket(transport, ClosedBy::Eof),
        }
        let deadline = after(self.clock, self.config.limits.close_timeout);
        if self.socket(transport).is_some_and(|socket| socket.finish(deadline)) {
            self.output(Output::Shutdown { transport });
        }
    }

    fn close_socket(&mut self, transport: TransportId, by: ClosedBy) {
        let (clock, timeout) = (self.clock, self.config.limits.close_timeout);
        if let Some(socket) = self.socket(transport) {
            let stage = socket.stage;
            socket.closing(clock, timeout);
            self.lose(stage, Error::Closed(by));
        }
    }

    fn fail_socket(&mut self, transport: TransportId, frame: (u16, &str), error: Error) {
        let (clock, timeout) = (self.clock, self.config.limits.close_timeout);
        if let Some(socket) = self.socket(transport) {
            let stage = socket.stage;
            socket.close(clock, timeout, frame);
            self.lose(stage, error);
        }
    }

    pub(super) fn on_eof(&mut self, transport: TransportId) {
        if let Some(stage) = websocket::remove(&mut self.sockets, transport) {
            self.lose(stage, Error::Closed(ClosedBy::Eof));
        }
    }

    /// What the loss of a WebSocket in this stage means to the session.
    fn lose(&mut self, stage: Stage, error: Error) {
        match (stage, error) {
            // JavaScript's client would wait for its timeout here.
            (Stage::Main, Error::Closed(_)) if self.phase == Phase::Opening => self.fail(HandshakeError::Closed.into()),
            (Stage::Main, error @ Error::Closed(_)) => self.end(CloseReason::TransportClose, Some(error)),
            (Stage::Main, error) => self.fail(error),
            (Stage::Candidate, _) => {
                self.forget_upgrade();
                self.prior = false;
            }
            (Stage::Closing | Stage::Shutdown, _) => {}
        }
    }

    /// The session ends or leaves a transport: its WebSocket, or the candidate, is closed. Until `drained_at` what waits
    /// for its turn on the session's WebSocket may be written.
    pub(super) fn end_sockets(&mut self, frame: (u16, &str), drained_at: Option<Instant>) {
        self.forget_upgrade();
        self.abort_opening();
        let timeout = self.config.limits.close_timeout;
        for socket in &mut self.sockets {
            match (socket.stage, drained_at) {
                (Stage::Main, Some(drained_at)) => socket.close_drained(self.clock, timeout, drained_at, frame),
                (Stage::Candidate | Stage::Main, _) => socket.close(self.clock, timeout, frame),
                (Stage::Closing | Stage::Shutdown, _) => {}
            }
        }
    }

    /// Gives up the WebSocket that is asked for.
    pub(super) fn abort_opening(&mut self) {
        if let Some(opening) = self.opening.take() {
            self.output(Output::Abort { transport: opening.transport });
        }
    }
}

/// Checks a 101 (RFC 6455, 4.1, items 2 to 6 of what a client must validate).
fn check(head: &Response<'_>, key: &str, offered: &[String]) -> Result<(), UpgradeError> {
    if !has_token(head.header_lines("upgrade"), "websocket") {
        return Err(UpgradeError::Upgrade);
    }
    if !has_token(head.header_lines("connection"), "upgrade") {
        return Err(UpgradeError::Connection);
    }
    let accept = head.header("sec-websocket-accept").map(<[u8]>::trim_ascii);
    if accept != Some(ws::accept_key(key).as_bytes()) {
        return Err(UpgradeError::Accept);
    }
    if head.header("sec-websocket-extensions").is_some_and(|value| !value.trim_ascii().is_empty()) {
        return Err(UpgradeError::Extension);
    }
    match head.header("sec-websocket-protocol").map(<[u8]>::trim_ascii) {
        Some(chosen) if !offered.iter().any(|protocol| protocol.as_bytes() == chosen) => Err(UpgradeError::Protocol),
        _ => Ok(()),
    }
}
