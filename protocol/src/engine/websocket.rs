//! A WebSocket of a session: its byte machine and what it is to the session.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Buf as _, Bytes};

use super::{
    buffer::{Load, SendBuffer, Unit, packet_size},
    error::{CloseReason, Error},
    handshake::open_packet,
    heartbeat::Heartbeat,
    inbox::message_len,
    packet::{Packet, encode_binary},
    session::{Current, Event, Output, Phase, Session},
    timers::{NEVER, Timer, after, is_due},
    upgrade::{self, Action},
};
use crate::{
    Instant, RequestId, Seed, TransportId,
    http::{self, RefuseCode, Response, upgrade::Accept},
    socket::{Head, PayloadRef},
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
    /// When a closing or shut down WebSocket is aborted, or looked at if it is [`draining`](Self::draining).
    pub(crate) deadline: Instant,
    /// It is closed, and until then what was queued before may take its time.
    draining: Option<Instant>,
    pub(crate) stream: ws::Stream,
    /// The client cannot take binary frames, and gets (or sends) `b` and base64 instead.
    base64: bool,
}

impl WebSocket {
    /// A WebSocket whose opening handshake is done. A client draws its masks from the seed.
    pub(crate) fn new(
        id: TransportId,
        stage: Stage,
        settings: ws::Settings,
        seed: Option<&Seed>,
        base64: bool,
    ) -> Self {
        Self { id, stage, deadline: NEVER, draining: None, stream: ws::Stream::new(settings, seed), base64 }
    }

    /// What waits to be sent.
    pub(crate) fn load(&self) -> Load {
        let queue = self.stream.queue();
        Load { packets: queue.packets(), bytes: queue.remaining() }
    }

    /// Queues a packet of the protocol.
    pub(crate) fn send_control(&mut self, text: &str) {
        self.stream.send_text_parts(&[text.as_bytes()], None);
    }

    /// The next event of what was read, and whether nothing is left of it, which is not looked for once more then.
    pub(crate) fn read(&mut self, clock: Instant) -> (Option<ws::Event>, bool) {
        let event = self.stream.poll_event(clock);
        let is_read_out = match event {
            Some(ws::Event::Message(_)) => self.stream.settle(),
            Some(_) => false,
            None => true,
        };
        (event, is_read_out)
    }

    /// Queues a unit without its first `sent` parts, which went over polling.
    pub(crate) fn send_unit(&mut self, unit: &Unit, sent: usize) {
        match unit {
            Unit::Control(text) => self.send_control(text),
            Unit::Message(message) => self.send_message(message),
            Unit::Packet { text, attachments } => self.send_parts(&[], Some(text), attachments, sent),
            Unit::Encoded(encoded) if self.base64 || sent > 0 => {
                self.send_parts(&[], Some(&encoded.text()), encoded.attachments(), sent);
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
        match message {
            Message::Text(text) => {
                self.stream.send_text_parts(&[b"4"], Some(text.as_shared()));
            }
            Message::Binary(bytes) => self.send_binary(bytes),
        }
    }

    /// Queues a text packet (`head`, then `text`) and its attachments as one, without its first `sent` parts.
    pub(crate) fn send_parts(&mut self, head: &[&[u8]], text: Option<&Bytes>, attachments: &[Bytes], sent: usize) {
        if sent == 0 && attachments.is_empty() {
            return self.stream.send_text_parts(head, text);
        }
        self.stream.begin_packet();
        if sent == 0 {
            self.stream.send_text_parts(head, text);
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

    /// The same, but as long as something else is queued the peer has until `drained_at` to take it. A driver does not say
    /// when it has written the last of it, so that is looked for each time that `timeout` is over; only then the peer has
    /// `timeout` to answer.
    pub(crate) fn close_drained(&mut self, now: Instant, timeout: Duration, drained_at: Instant, frame: (u16, &str)) {
        let waits = !self.stream.queue().is_empty() && matches!(self.stage, Stage::Candidate | Stage::Main);
        self.close(now, timeout, frame);
        if waits {
            // Later than now: a tick at that time may be over.
            let drained_at = drained_at.max(after(now, Duration::from_micros(1)));
            self.draining = Some(drained_at);
            self.deadline = next_look(now, timeout, drained_at);
        }
    }

    /// The closing handshake has started: from now on the clock is running.
    pub(crate) fn closing(&mut self, now: Instant, timeout: Duration) {
        if matches!(self.stage, Stage::Candidate | Stage::Main) {
            self.stage = Stage::Closing;
            self.deadline = after(now, timeout);
        }
    }

    /// Whether the driver is to close the byte stream now: both close frames are exchanged, or the peer is not worth
    /// waiting for (RFC 6455, 7.1.1: a server closes it first, and nothing keeps a client from doing so).
    pub(crate) fn finish(&mut self, deadline: Instant) -> bool {
        let finished = self.stream.is_finished() && self.stage != Stage::Shutdown;
        if finished {
            self.stage = Stage::Shutdown;
            self.deadline = deadline;
            self.draining = None;
        }
        finished
    }

    /// Whether its end has taken too long.
    fn is_overdue(&mut self, clock: Instant, timeout: Duration) -> bool {
        if is_due(self.deadline, clock)
            && let Some(drained_at) = self.draining
        {
            if self.stream.queue().is_empty() {
                self.draining = None;
                self.deadline = after(clock, timeout);
            } else {
                self.deadline = next_look(clock, timeout, drained_at);
            }
        }
        is_due(self.deadline, clock)
    }
}

/// When a WebSocket that drains is looked at again.
fn next_look(now: Instant, timeout: Duration, drained_at: Instant) -> Instant {
    if timeout.is_zero() { drained_at } else { after(now, timeout).min(drained_at) }
}

/// Takes the first WebSocket out whose end has taken too long; `timeout` is what a peer has to answer a close frame.
pub(crate) fn take_overdue(sockets: &mut Vec<WebSocket>, clock: Instant, timeout: Duration) -> Option<TransportId> {
    let transport = sockets.iter_mut().find_map(|socket| socket.is_overdue(clock, timeout).then_some(socket.id))?;
    remove(sockets, transport);
    Some(transport)
}

/// Takes a WebSocket out, and gives the stage that it was in.
pub(crate) fn remove(sockets: &mut Vec<WebSocket>, transport: TransportId) -> Option<Stage> {
    let index = sockets.iter().position(|socket| socket.id == transport)?;
    let stage = sockets.remove(index).stage;
    if sockets.is_empty() {
        *sockets = Vec::new();
    }
    Some(stage)
}

/// Bytes of a Socket.IO packet, its attachments included.
pub(crate) fn packet_len(head: &Head<'_>, payload: Option<PayloadRef<'_>>) -> usize {
    let json = payload.map_or(0, |payload| payload.json().len());
    packet_size(head.len().saturating_add(json), payload.map_or(&[], PayloadRef::attachments))
}

/// Queues a Socket.IO packet: `head` and the payload's JSON as text, then its attachments, with nothing in between. Without
/// a WebSocket it waits in `buffer`.
pub(crate) fn send_packet(
    socket: Option<&mut WebSocket>,
    buffer: &mut SendBuffer,
    head: &Head<'_>,
    payload: Option<PayloadRef<'_>>,
) {
    let json = payload.map_or(&[][..], PayloadRef::json);
    let attachments = payload.map_or(&[][..], PayloadRef::attachments);
    let [before, namespace, after] = head.parts();
    let parts = [before, namespace, after, json];
    match (socket, payload.and_then(PayloadRef::shared_json)) {
        (Some(socket), Some(json)) => {
            let [head @ .., _] = parts;
            socket.send_parts(&head, Some(json), attachments, 0);
        }
        (Some(socket), None) => socket.send_parts(&parts, None, attachments, 0),
        (None, _) => {
            let mut text = Vec::with_capacity(head.len().saturating_add(json.len()));
            for part in parts {
                text.extend_from_slice(part);
            }
            buffer.push(Unit::Packet { text: Bytes::from(text), attachments: attachments.to_vec() });
        }
    }
}

/// How long after a probe a waiting GET is ended for the first time: so that `3probe`, after which the client does not poll
/// again, is written before. engine.io waits for [`NOOP_INTERVAL`], in which its client holds back all that it emits.
const NOOP_DELAY: Duration = Duration::from_millis(1);

/// How often a waiting GET is ended from then to the end of the upgrade (engine.io's `_maybeUpgrade`).
pub(crate) const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of a ping as a frame: two of header, and its type.
const PING_FRAME: usize = 3;

/// WebSockets that one session may have, closing ones included: one that is its transport or a candidate, and some whose
/// peer has not answered a close frame yet.
const MAX_SOCKETS: usize = 4;

impl Session {
    /// The handshake by upgrade: the open packet is the first frame.
    pub(super) fn open_websocket(&mut self, id: RequestId, accept: Accept, base64: bool) {
        self.upgrade = upgrade::State::Upgraded;
        self.add_socket(id, accept, Stage::Main, base64);
        let packet = open_packet(&self.config, self.sid, false);
        if let Some(socket) = self.main_mut() {
            socket.send_control(&packet);
        }
        self.open();
    }

    /// A request for a WebSocket beside polling. An error is its refusal.
    pub(super) fn on_upgrade_request(&mut self, id: RequestId, accept: Accept, base64: bool) -> Result<(), Response> {
        let possible = self.phase == Phase::Open && self.config.allow_upgrades && self.sockets.len() < MAX_SOCKETS;
        if !possible || self.upgrade.step(upgrade::Event::Request) != Action::Accept {
            return Err(http::upgrade::refuse(RefuseCode::BadRequest));
        }
        self.add_socket(id, accept, Stage::Candidate, base64);
        let deadline = after(self.clock, self.config.upgrade_timeout);
        self.timers.set(Timer::Upgrade, deadline);
        Ok(())
    }

    fn add_socket(&mut self, id: RequestId, accept: Accept, stage: Stage, base64: bool) {
        let transport = TransportId(self.next_transport);
        self.next_transport = self.next_transport.wrapping_add(1);
        self.output(Output::Upgrade { id, response: accept.into_response(), transport });
        let limits = &self.config.limits;
        let settings = ws::Settings {
            role: ws::Role::Server,
            max_message: limits.max_payload,
            max_empty_fragments: limits.max_empty_fragments,
            close_timeout: limits.close_timeout,
        };
        let socket = WebSocket::new(transport, stage, settings, None, base64);
        self.sockets.reserve_exact(1);
        self.sockets.push(socket);
    }

    pub(super) fn socket(&mut self, transport: TransportId) -> Option<&mut WebSocket> {
        self.sockets.iter_mut().find(|socket| socket.id == transport)
    }

    pub(super) fn main_mut(&mut self) -> Option<&mut WebSocket> {
        self.sockets.iter_mut().find(|socket| socket.stage == Stage::Main)
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
            Some(ws::Event::Message(message)) => self.on_frame(transport, stage, message),
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
            return self.on_frame(transport, stage, message);
        }
        let error = Error::MessageTooLarge { limit, size };
        self.fail_socket(transport, (1009, ""), CloseReason::TransportError, error);
        None
    }

    fn on_frame(&mut self, transport: TransportId, stage: Stage, message: Message) -> Option<Event> {
        match stage {
            Stage::Main => match Packet::decode(message) {
                Ok(packet) => self.on_packet(packet),
                Err(error) => {
                    self.end(CloseReason::ParseError, Some(Error::Packet(error)));
                    None
                }
            },
            Stage::Candidate => self.on_candidate(
                transport,
                match Packet::decode(message) {
                    Ok(Packet::Ping(text)) if text == "probe" => upgrade::Event::Probe,
                    Ok(Packet::Upgrade) => upgrade::Event::Upgrade,
                    _ => upgrade::Event::Other,
                },
            ),
            Stage::Closing | Stage::Shutdown => None,
        }
    }

    fn on_candidate(&mut self, transport: TransportId, event: upgrade::Event) -> Option<Event> {
        match self.upgrade.step(event) {
            Action::Answer => {
                self.socket(transport)?.send_control("3probe");
                self.timers.set(Timer::Noop, after(self.clock, NOOP_DELAY));
                None
            }
            Action::Switch => self.switch(transport),
            Action::Close => {
                let frame = match event {
                    upgrade::Event::Timeout => (1008, "upgrade timeout"),
                    _ => (1002, "upgrade expected"),
                };
                self.end_candidate(frame);
                None
            }
            Action::None | Action::Accept | Action::Refuse => {
                self.timers.clear(Timer::Upgrade);
                self.timers.clear(Timer::Noop);
                None
            }
        }
    }

    pub(super) fn on_upgrade_timeout(&mut self) {
        let candidate = self.sockets.iter().find(|socket| socket.stage == Stage::Candidate);
        if let Some(transport) = candidate.map(|socket| socket.id) {
            self.on_candidate(transport, upgrade::Event::Timeout);
        }
    }

    /// Makes the candidate the session's transport: what waited for a GET goes out on it first.
    fn switch(&mut self, transport: TransportId) -> Option<Event> {
        self.timers.clear(Timer::Upgrade);
        self.timers.clear(Timer::Noop);
        self.leave_polling();
        let socket = self.sockets.iter_mut().find(|socket| socket.id == transport)?;
        socket.stage = Stage::Main;
        while let Some((unit, sent)) = self.buffer.pop() {
            socket.send_unit(&unit, sent);
        }
        if let Phase::Draining(reason) = self.phase {
            self.end(reason, None);
            return None;
        }
        Some(Event::Upgraded)
    }

    fn end_candidate(&mut self, frame: (u16, &str)) {
        self.timers.clear(Timer::Upgrade);
        self.timers.clear(Timer::Noop);
        let timeout = self.config.limits.close_timeout;
        for socket in &mut self.sockets {
            if socket.stage == Stage::Candidate {
                socket.close(self.clock, timeout, frame);
            }
        }
    }

    /// A WebSocket has been closed by its peer, or has broken the protocol and is closed for it.
    fn on_closing(&mut self, transport: TransportId, closing: ws::Closing) {
        match closing {
            ws::Closing::Violation(error) => {
                let frame = (error.close_code(), "");
                let error = Error::WebSocket(error);
                self.fail_socket(transport, frame, CloseReason::TransportError, error);
            }
            ws::Closing::Peer(_) | ws::Closing::Eof => self.lose_socket(transport, None),
        }
        let deadline = after(self.clock, self.config.limits.close_timeout);
        if self.socket(transport).is_some_and(|socket| socket.finish(deadline)) {
            self.output(Output::Shutdown { transport });
        }
    }

    fn fail_socket(&mut self, transport: TransportId, frame: (u16, &str), reason: CloseReason, error: Error) {
        let (clock, timeout) = (self.clock, self.config.limits.close_timeout);
        let Some(socket) = self.socket(transport) else {
            return;
        };
        let stage = socket.stage;
        socket.close(clock, timeout, frame);
        self.lose(stage, reason, Some(error));
    }

    fn lose_socket(&mut self, transport: TransportId, error: Option<Error>) {
        let (clock, timeout) = (self.clock, self.config.limits.close_timeout);
        let Some(socket) = self.socket(transport) else {
            return;
        };
        let stage = socket.stage;
        socket.closing(clock, timeout);
        self.lose(stage, CloseReason::TransportClose, error);
    }

    pub(super) fn on_eof(&mut self, transport: TransportId) {
        if let Some(stage) = remove(&mut self.sockets, transport) {
            self.lose(stage, CloseReason::TransportClose, None);
        }
    }

    /// What the loss of a WebSocket in this stage means to the session.
    fn lose(&mut self, stage: Stage, reason: CloseReason, error: Option<Error>) {
        match stage {
            Stage::Main => self.end(reason, error),
            Stage::Candidate => {
                self.upgrade.step(upgrade::Event::Lost);
                self.timers.clear(Timer::Upgrade);
                self.timers.clear(Timer::Noop);
            }
            Stage::Closing | Stage::Shutdown => {}
        }
    }

    /// The session ends: its WebSocket, or the candidate, is closed.
    pub(super) fn end_sockets(&mut self, frame: (u16, &str)) {
        self.upgrade.step(upgrade::Event::End);
        let timeout = self.config.limits.close_timeout;
        for socket in &mut self.sockets {
            if matches!(socket.stage, Stage::Candidate | Stage::Main) {
                socket.close(self.clock, timeout, frame);
            }
        }
    }

    /// Gives up the WebSockets whose end has taken too long.
    pub(super) fn abort_overdue(&mut self) {
        let timeout = self.config.limits.close_timeout;
        while let Some(transport) = take_overdue(&mut self.sockets, self.clock, timeout) {
            self.output(Output::Abort { transport });
        }
    }

    /// Drops the oldest message of a WebSocket's queue that is not on its way, but no packet that the session lives by.
    pub(super) fn drop_oldest_frame(&mut self) -> bool {
        let waiting = matches!(self.heartbeat, Heartbeat::Waiting { .. });
        let Some(socket) = self.main_mut() else {
            return false;
        };
        // The open packet is the only one that begins with `0`.
        if matches!(socket.stream.queue().chunk(), [0x81, 0..=125, b'0', ..] | [0x81, 126, _, _, b'0', ..]) {
            return false;
        }
        let mut ping = false;
        let dropped = loop {
            let before = socket.stream.queue().remaining();
            if !socket.stream.transmit().drop_oldest_packet() {
                break false;
            }
            let size = before.saturating_sub(socket.stream.queue().remaining());
            // As long as a ping. If it was none, one ping too many does no harm.
            let maybe_ping = waiting && size == PING_FRAME;
            ping |= maybe_ping;
            if !maybe_ping {
                break true;
            }
        };
        if ping {
            socket.send_control("2");
        }
        dropped
    }
}
