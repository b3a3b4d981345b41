//! A WebSocket of a session: its byte machine and what it is to the session.

use core::time::Duration;

use bytes::Bytes;

use super::{
    buffer::Unit,
    packet::encode_binary,
    timers::NEVER,
};
use crate::{
    Instant, Limits, TransportId,
    ws::{self, Message},
};

/// What a WebSocket is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may become the session's transport.
    Candidate,
    /// It is the session's transport.
    Main,
    /// A close frame was sent or received, or both.
    Closing,
    /// The driver was asked to close the byte stream.
    Shutdown,
}

#[derive(Debug)]
pub(crate) struct WebSocket {
    pub(crate) id: TransportId,
    pub(crate) stage: Stage,
    /// When a closing or shut down WebSocket is aborted.
    pub(crate) deadline: Instant,
    pub(crate) stream: ws::Stream,
    /// The client cannot read binary frames and gets `b` and base64 instead.
    base64: bool,
}

impl WebSocket {
    pub(crate) fn new(id: TransportId, stage: Stage, limits: &Limits, base64: bool) -> Self {
        let settings = ws::Settings {
            role: ws::Role::Server,
            max_message: limits.max_payload,
            max_empty_fragments: limits.max_empty_fragments,
            close_timeout: limits.close_timeout,
        };
        Self {
            id,
            stage,
            deadline: NEVER,
            stream: ws::Stream::new(settings, None),
            base64,
        }
    }

    /// Queues a packet of the protocol.
    pub(crate) fn send_control(&mut self, text: &str) {
        self.stream.begin_packet();
        self.stream.send_text_parts(&[text.as_bytes()], None);
        self.stream.end_packet();
    }

    /// Queues a unit without its first `sent` parts, which went over polling.
    pub(crate) fn send_unit(&mut self, unit: &Unit, sent: usize) {
        match unit {
            Unit::Control(text) => self.send_control(text),
            Unit::Message(message) => self.send_message(message),
            Unit::Packet { text, attachments } => self.send_parts(&[], text, attachments, sent),
            Unit::Encoded(encoded) if self.base64 || sent > 0 => {
                self.send_parts(&[], &encoded.text(), encoded.attachments(), sent);
            }
            Unit::Encoded(encoded) => {
                self.stream.begin_packet();
                self.stream.send_frame(encoded.text_frame());
                for frame in encoded.attachment_frames() {
                    self.stream.send_frame(frame);
                }
                self.stream.end_packet();
            }
        }
    }

    /// Queues an Engine.IO message.
    pub(crate) fn send_message(&mut self, message: &Message) {
        self.stream.begin_packet();
        match message {
            Message::Text(text) => {
                self.stream
                    .send_text_parts(&[b"4"], Some(text.as_shared()));
            }
            Message::Binary(bytes) => self.send_binary(bytes),
        }
        self.stream.end_packet();
    }

    /// Queues a text packet (`head`, then `text`) and its attachments as one, without its first `sent` parts.
    pub(crate) fn send_parts(
        &mut self,
        head: &[&[u8]],
        text: &Bytes,
        attachments: &[Bytes],
        sent: usize,
    ) {
        self.stream.begin_packet();
        if sent == 0 {
            self.stream.send_text_parts(head, Some(text));
        }
        for bytes in attachments.iter().skip(sent.saturating_sub(1)) {
            self.send_binary(bytes);
        }
        self.stream.end_packet();
    }

    fn send_binary(&mut self, bytes: &Bytes) {
        if self.base64 {
            self.stream.send_text_parts(&[], Some(&Bytes::from(encode_binary(bytes))));
        } else {
            self.stream.send_binary(bytes);
        }
    }

    /// Starts the closing handshake (if it has not started) behind what is queued.
    pub(crate) fn close(&mut self, now: Instant, timeout: Duration, (code, reason): (u16, &str)) {
        self.stream.close(now, Some(code), reason);
        self.closing(now, timeout);
    }

    /// The closing handshake has started: from now on the clock is running.
    pub(crate) fn closing(&mut self, now: Instant, timeout: Duration) {
        if matches!(self.stage, Stage::Candidate | Stage::Main) {
            self.stage = Stage::Closing;
            self.deadline = now + timeout;
        }
    }
}

/// How long after a probe, and then how often, a waiting GET is ended (engine.io's `_maybeUpgrade`).
pub(crate) const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// WebSockets that one session may have, closing ones included: one that is its transport or a candidate, and some whose
/// peer has not answered a close frame yet.
const MAX_SOCKETS: usize = 4;

impl Session {
    /// The handshake by upgrade: the open packet is the first frame.
    pub(super) fn open_websocket(&mut self, id: RequestId, accept: Accept, base64: bool) {
        self.upgrade = upgrade::State::Upgraded;
        let packet = open_packet(&self.config, self.sid, false);
        let socket = self.add_socket(id, accept, Stage::Main, base64);
        socket.stream.begin_packet();
        socket.stream.send_text_parts(&[&packet], None);
        socket.stream.end_packet();
        self.open();
    }

    /// A request for a WebSocket beside polling. An error is its refusal.
    pub(super) fn on_upgrade_request(
        &mut self,
        id: RequestId,
        accept: Accept,
        base64: bool,
    ) -> Result<(), Response> {
        let possible = self.phase == Phase::Open
            && self.config.allow_upgrades
            && self.sockets.len() < MAX_SOCKETS;
        if !possible || self.upgrade.step(upgrade::Event::Request) != Action::Accept {
            return Err(http::upgrade::refuse(RefuseCode::BadRequest));
        }
        self.add_socket(id, accept, Stage::Candidate, base64);
        let deadline = self.clock + self.config.upgrade_timeout;
        self.timers.set(Timer::Upgrade, deadline);
        Ok(())
    }

    fn add_socket(
        &mut self,
        id: RequestId,
        accept: Accept,
        stage: Stage,
        base64: bool,
    ) -> &mut WebSocket {
        let transport = TransportId(self.next_transport);
        self.next_transport = self.next_transport.wrapping_add(1);
        let response = accept.into_response();
        self.output(Output::Upgrade { id, response, transport });
        let socket = WebSocket::new(transport, stage, &self.config.limits, base64);
        self.sockets.reserve_exact(1);
        self.sockets.push_mut(socket)
    }
}
