//! HTTP long-polling: one GET that waits for packets, one POST that brings some (Engine.IO protocol v4, "HTTP
//! long-polling").

use alloc::{boxed::Box, vec::Vec};

use bytes::Bytes;

use super::{
    error::{CloseReason, Error},
    handshake::open_packet,
    inbox::{Ask, Kind},
    packet::{Packet, PacketError},
    payload::{PayloadReader, SEPARATOR},
    session::{Current, Event, Output, Phase, Session},
    timers::{Timer, after},
    websocket::NOOP_INTERVAL,
};
use crate::{
    RequestId,
    http::{Body, RefuseCode, Response, cors::Grant, upgrade},
};

/// The GET that waits for packets.
#[derive(Debug)]
pub(super) struct Poll {
    id: RequestId,
    grant: Grant,
    /// It came with a body that was not read to its end.
    unread: bool,
}

/// The POST that is waited for or read.
#[derive(Debug)]
pub(super) struct Post {
    id: RequestId,
    grant: Grant,
    /// Its body is still to come.
    pending: bool,
}

impl Session {
    pub(super) fn on_request(&mut self, id: RequestId, ask: Ask, body: Body) {
        let Ask { kind, grant, head } = ask;
        let unread = !matches!(body, Body::Whole(_));
        let polling = self.upgrade.is_polling();
        let refusal = match (self.phase, kind) {
            (Phase::New, Kind::Poll) => return self.open_polling(id, &grant, body == Body::TooLarge),
            (Phase::New, Kind::Upgrade { accept, base64 }) => {
                return self.open_websocket(id, accept, base64);
            }
            (Phase::New, _) => {
                // Not what `route` lets through as the first request.
                self.end(CloseReason::TransportError, None);
                Response::refuse(RefuseCode::BadRequest)
            }
            (Phase::Closed, Kind::Upgrade { .. } | Kind::BadUpgrade(_)) => upgrade::refuse(RefuseCode::UnknownSid),
            (Phase::Closed, _) => Response::refuse(RefuseCode::UnknownSid),
            (_, Kind::Upgrade { accept, base64 }) => match self.on_upgrade_request(id, accept, base64) {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
            (_, Kind::BadUpgrade(refusal)) => refusal,
            (_, Kind::Contradiction) => Response::refuse(RefuseCode::BadRequest),
            (_, Kind::Poll | Kind::Data { .. } | Kind::Method) if !polling => Response::refuse(RefuseCode::BadRequest),
            (_, Kind::Poll) => return self.on_poll(id, grant, body == Body::TooLarge),
            (_, Kind::Data { unreadable, declared }) => {
                return self.on_data(id, grant, unreadable, declared, body);
            }
            (_, Kind::Method) => Response::status(405).with("Allow", "GET, POST"),
        };
        let refusal = if head { refusal.for_method("HEAD") } else { refusal };
        self.answer(id, &grant, refusal, unread);
    }

    /// The handshake by GET: its answer is the open packet alone.
    fn open_polling(&mut self, id: RequestId, grant: &Grant, unread: bool) {
        let packet = open_packet(&self.config, self.sid, true);
        self.answer_poll(id, grant, Bytes::from(packet), unread);
        self.open();
    }

    pub(super) fn on_poll(&mut self, id: RequestId, grant: Grant, unread: bool) {
        if self.poll.is_none() {
            self.poll = Some(Box::new(Poll { id, grant, unread }));
            return;
        }
        self.end(CloseReason::TransportError, Some(Error::PollOverlap));
        self.answer(id, &grant, Response::status(400), unread);
    }

    fn on_data(
        &mut self,
        id: RequestId,
        grant: Grant,
        unreadable: Option<(u16, Error)>,
        declared: Option<u64>,
        body: Body,
    ) {
        let unread = !matches!(body, Body::Whole(_));
        let limit = self.config.limits.max_payload;
        let over = |size: u64| usize::try_from(size).map_or(true, |size| size > limit);
        let size = match &body {
            Body::Whole(bytes) => u64::try_from(bytes.len()).ok(),
            Body::TooLarge | Body::Pending => declared,
        };
        let violation = if self.post.is_some() {
            Some((400, Error::DataOverlap))
        } else if body == Body::TooLarge || size.is_some_and(over) {
            Some((413, Error::BodyTooLarge { limit, size }))
        } else {
            unreadable
        };
        if let Some((status, error)) = violation {
            // A closing session is not closed once more; its last packets still wait for a GET.
            if self.phase == Phase::Open {
                self.end(CloseReason::TransportError, Some(error));
            }
            // E8: what is left of a body that is too large is not read.
            let unread = unread || status == 413;
            return self.answer(id, &grant, Response::status(status), unread);
        }
        self.post = Some(Box::new(Post { id, grant, pending: true }));
        match body {
            Body::Whole(bytes) => self.start_reading(bytes),
            Body::TooLarge | Body::Pending => self.expect_body(),
        }
    }

    /// Sets the deadline of the POST's body, later if this side reads nothing for longer.
    pub(super) fn expect_body(&mut self) {
        let deadline = after(self.clock, self.config.limits.body_timeout);
        self.expect(Timer::Body, deadline);
    }

    pub(super) fn on_body(&mut self, id: RequestId, body: Body) {
        if let Some(poll) = self.poll.as_mut().filter(|poll| poll.id == id) {
            poll.unread |= body == Body::TooLarge;
            return;
        }
        if !self.post.as_ref().is_some_and(|post| post.pending && post.id == id) {
            return;
        }
        let limit = self.config.limits.max_payload;
        let size = match body {
            Body::Pending => return,
            Body::Whole(bytes) if bytes.len() <= limit => {
                self.timers.clear(Timer::Body);
                return self.start_reading(bytes);
            }
            Body::Whole(bytes) => u64::try_from(bytes.len()).ok(),
            Body::TooLarge => None,
        };
        self.timers.clear(Timer::Body);
        self.fail_post(Response::status(413), Error::BodyTooLarge { limit, size });
    }

    pub(super) fn on_body_timeout(&mut self) {
        if self.phase == Phase::New {
            return self.end(CloseReason::TransportClose, None);
        }
        let limit = self.config.limits.body_timeout;
        self.fail_post(Response::status(408), Error::BodyTimeout { limit });
    }

    /// Answers the POST whose body cannot be had, and ends the session.
    fn fail_post(&mut self, response: Response, error: Error) {
        let Some(post) = self.post.take() else { return };
        self.answer(post.id, &post.grant, response, true);
        if self.phase == Phase::Open {
            self.end(CloseReason::TransportError, Some(error));
        }
    }

    pub(super) fn on_abort(&mut self, id: RequestId) {
        let error = if self.poll.as_ref().is_some_and(|poll| poll.id == id) {
            self.poll = None;
            Error::PollAborted
        } else if self.post.as_ref().is_some_and(|post| post.id == id) {
            self.post = None;
            self.timers.clear(Timer::Body);
            Error::DataAborted
        } else {
            return;
        };
        if self.phase == Phase::Open {
            self.end(CloseReason::TransportError, Some(error));
        }
    }

    fn start_reading(&mut self, body: Bytes) {
        if let Some(post) = &mut self.post {
            post.pending = false;
        }
        if self.phase == Phase::Open {
            self.current = Current::Payload(Box::new(PayloadReader::new(body)));
        } else {
            self.accept_post(false);
        }
    }

    /// The next packet of the POST, or its end.
    pub(super) fn read_payload(&mut self, packet: Option<Result<Packet, PacketError>>) -> Option<Event> {
        match packet {
            Some(Ok(packet)) => self.on_packet(packet),
            Some(Err(error)) => {
                self.end(CloseReason::ParseError, Some(Error::Packet(error)));
                None
            }
            None => {
                self.current = Current::Nothing;
                self.accept_post(false);
                None
            }
        }
    }

    /// The application has closed the session: the rest of the POST counts no more.
    pub(super) fn stop_reading(&mut self) {
        if let Current::Payload(_) = self.current {
            self.current = Current::Nothing;
            self.accept_post(false);
        }
    }

    fn accept_post(&mut self, unread: bool) {
        if let Some(post) = self.post.take() {
            // Not text/plain, which some browsers would offer to save.
            let response = no_store("text/html", Bytes::from_static(b"ok"));
            self.answer(post.id, &post.grant, response, unread);
        }
    }

    /// Answers the waiting GET if there is something for it.
    pub(super) fn flush(&mut self) {
        if self.poll.is_none() {
            return;
        }
        let limit = self.config.limits.max_payload;
        match self.phase {
            Phase::Open if !self.buffer.is_empty() => {
                let payload = self.buffer.take_payload(limit);
                self.finish_poll(payload);
            }
            Phase::Draining(reason) => {
                // `1` has a response of its own: the JavaScript client closes at once upon it, and would lose the
                // messages in front of it, which it hands out a tick later (JavaScript's server separates them too).
                if self.buffer.is_empty() {
                    self.finish_poll(Bytes::from_static(b"1"));
                    self.end(reason, None);
                } else {
                    let payload = self.buffer.take_payload(limit);
                    self.finish_poll(payload);
                }
            }
            _ => {}
        }
    }

    /// While a probed candidate waits for the client's last GET, that GET is ended.
    pub(super) fn on_noop(&mut self) {
        if self.poll.is_some() && self.buffer.is_empty() {
            self.finish_poll(Bytes::from_static(b"6"));
        }
        self.timers.set(Timer::Noop, after(self.clock, NOOP_INTERVAL));
    }

    /// The session has moved to WebSocket: whatever still waits on polling is released.
    pub(super) fn leave_polling(&mut self) {
        self.finish_poll(Bytes::from_static(b"6"));
        self.timers.clear(Timer::Body);
        self.accept_post(true);
    }

    /// The session ends: whatever still waits on polling is answered.
    pub(super) fn end_polling(&mut self, reason: CloseReason, violation: bool) {
        if self.poll.is_some() {
            // A client that has closed the session itself gets a noop (as in JavaScript), else it is told.
            let last = match reason {
                CloseReason::TransportClose => b'6',
                _ => b'1',
            };
            // E25 holds for this answer too: what does not fit is lost with the session that the peer has ended.
            let limit = self.config.limits.max_payload.saturating_sub(2);
            let payload = self.buffer.take_payload(limit);
            self.finish_poll(with_last(payload, last));
        }
        self.buffer.clear();
        let reading = matches!(self.current, Current::Payload(_));
        if reading {
            self.current = Current::Nothing;
        }
        if reading && !violation {
            self.accept_post(false);
        } else if let Some(post) = self.post.take() {
            let code = match reading {
                true => RefuseCode::BadRequest,
                false => RefuseCode::UnknownSid,
            };
            self.answer(post.id, &post.grant, Response::refuse(code), post.pending);
        }
    }

    fn finish_poll(&mut self, payload: Bytes) {
        if let Some(poll) = self.poll.take() {
            self.answer_poll(poll.id, &poll.grant, payload, poll.unread);
        }
    }

    fn answer_poll(&mut self, id: RequestId, grant: &Grant, payload: Bytes, unread: bool) {
        // The charset is for pages that are not UTF-8 themselves.
        let response = no_store("text/plain; charset=UTF-8", payload);
        self.answer(id, grant, response, unread);
    }

    /// Answers a request. `unread` says that its body was not read to its end, so its connection cannot be used again.
    pub(super) fn answer(&mut self, id: RequestId, grant: &Grant, mut response: Response, unread: bool) {
        if unread && response.header("connection").is_none() {
            response = response.closing();
        }
        grant.apply(self.config.cors.as_ref(), &mut response);
        self.output(Output::Respond { id, response });
    }
}

/// A payload with one more packet at its end.
fn with_last(payload: Bytes, last: u8) -> Bytes {
    let mut payload = Vec::from(payload);
    if !payload.is_empty() {
        payload.push(SEPARATOR);
    }
    payload.push(last);
    Bytes::from(payload)
}

fn no_store(content_type: &'static str, body: Bytes) -> Response {
    Response::status(200).with("Content-Type", content_type).with("Cache-Control", "no-store").with_body(body)
}
