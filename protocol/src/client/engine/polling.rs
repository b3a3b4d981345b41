//! HTTP long-polling: one GET that waits for packets, one POST that brings some (Engine.IO protocol v4, "HTTP
//! long-polling").

use alloc::boxed::Box;

use bytes::Bytes;

use super::{
    Event, Output,
    engine::{Engine, Phase},
    error::{Cause, Error, Refusal},
    input::Head,
    open::is_old_protocol,
    upgrade,
};
use crate::{
    Instant, RequestId,
    client::{
        Transport,
        endpoint::RedirectError,
        http::{Failure, Response},
    },
    engine::{
        Current, Packet, PacketError, PayloadReader,
        timers::{NEVER, Timer, after},
    },
};

/// The GET that waits for packets.
#[derive(Debug)]
pub(super) struct Get {
    id: RequestId,
    /// What it asks for, to read a redirection against.
    target: crate::Text,
    /// When it is given up.
    pub(super) deadline: Instant,
    /// How often the handshake was redirected already.
    redirects: usize,
}

/// The POST that is on its way.
#[derive(Debug)]
pub(super) struct Post {
    id: RequestId,
    /// When it is given up.
    pub(super) deadline: Instant,
}

impl Engine {
    /// What there is to ask for on polling, and what waits for the answers.
    #[inline]
    pub(super) fn flush(&mut self) {
        // With each message on a WebSocket.
        if self.transport == Transport::WebSocket && self.phase == Phase::Open {
            return;
        }
        self.flush_polling();
    }

    fn flush_polling(&mut self) {
        let live = matches!(self.phase, Phase::Open | Phase::Closing);
        if live && self.transport == Transport::Polling {
            if self.upgrade == upgrade::State::Pausing {
                // Item 20: the upgrade is completed when both requests are answered, and, item 21, nothing is sent
                // before.
                if self.get.is_none() && self.post.is_none() {
                    self.switch();
                }
            } else {
                if self.post.is_none() && !self.buffer.is_empty() {
                    let limit = self.handshake.as_ref().and_then(|handshake| handshake.max_payload);
                    let payload = self.buffer.take_payload(limit.unwrap_or(usize::MAX));
                    self.send_post(payload);
                }
                if self.get.is_none() {
                    self.poll();
                }
            }
        }
        self.finish_closing();
    }

    /// Sends a GET.
    pub(super) fn poll(&mut self) {
        self.send_get(0);
    }

    fn send_get(&mut self, redirects: usize) {
        let id = self.next_request_id();
        let request = self.polling_request("GET", Bytes::new());
        let deadline = self.request_deadline();
        self.get = Some(Box::new(Get { id, target: request.target.clone(), deadline, redirects }));
        self.output(Output::Request { id, request: Box::new(request) });
    }

    fn send_post(&mut self, payload: Bytes) {
        let id = self.next_request_id();
        let request = self.polling_request("POST", payload);
        self.post = Some(Box::new(Post { id, deadline: self.request_deadline() }));
        self.output(Output::Request { id, request: Box::new(request) });
    }

    fn request_deadline(&self) -> Instant {
        let timeout = self.config.polling_timeout();
        timeout.map_or(NEVER, |timeout| after(self.clock, timeout))
    }

    pub(super) fn on_response(&mut self, id: RequestId, head: &Head, body: Bytes) {
        let get = self.get.take_if(|get| get.id == id);
        let post = self.post.take_if(|post| post.id == id);
        if get.is_none() && post.is_none() {
            return;
        }
        self.store_cookies(Transport::Polling, head);
        if self.phase == Phase::Closed {
            return self.finish_closed();
        }
        let limit = self.config.limits.max_payload;
        let is_redirect = matches!(head.status, 301 | 302 | 303 | 307 | 308);
        match get {
            Some(get) if is_redirect && self.phase == Phase::Opening => {
                if let Err(error) = self.redirect(&get, head) {
                    self.fail(Error::poll(Cause::Redirect(error)));
                }
            }
            get if head.status != 200 => {
                let cause = Cause::Status { status: head.status, refusal: Refusal::parse(&body) };
                self.fail(if get.is_some() { Error::poll(cause) } else { Error::post(cause) });
            }
            // What the answer to a POST says ("ok") is nothing.
            None => {}
            Some(_) if body.len() > limit => self.fail(Error::poll(Cause::Failure(Failure::TooLarge { limit }))),
            Some(_) if self.phase == Phase::Opening && is_old_protocol(&body) => self.fail(Error::OldProtocol),
            Some(_) => self.current = Current::Payload(Box::new(PayloadReader::new(body))),
        }
    }

    pub(super) fn on_failure(&mut self, id: RequestId, failure: Failure) {
        if self.get.take_if(|get| get.id == id).is_some() {
            self.lose_request(Error::poll(Cause::Failure(failure)));
        } else if self.post.take_if(|post| post.id == id).is_some() {
            self.lose_request(Error::post(Cause::Failure(failure)));
        }
    }

    fn lose_request(&mut self, error: Error) {
        if self.phase == Phase::Closed {
            if self.post.is_none() {
                // Nobody is there to hear it.
                self.drop_farewell();
            }
            self.finish_closed();
        } else {
            self.fail(error);
        }
    }

    /// Follows the redirection of a handshake. The session then lives where it has led to: who answered knows its id.
    fn redirect(&mut self, get: &Get, head: &Head) -> Result<(), RedirectError> {
        let limit = self.config.limits.redirects;
        if get.redirects >= limit {
            return Err(RedirectError::TooMany { limit });
        }
        let mut place =
            head.with(|head: &Response<'_>| self.way.place.redirect(&get.target, head.header("location")))?;
        if place.origin == self.way.home {
            self.way.away = None;
        } else {
            // RFC 9110, 15.4: what belongs to one origin does not go to another. That is the options' query, too.
            if place.origin != self.way.place.origin {
                self.way.away = Some(Default::default());
            }
            place.query.get_or_insert_default();
        }
        self.way.place = place;
        self.send_get(get.redirects.saturating_add(1));
        Ok(())
    }

    /// The next packet of the GET's answer, or its end.
    pub(super) fn read_payload(&mut self, packet: Option<Result<Packet, PacketError>>) -> Option<Event> {
        match packet {
            Some(Ok(packet)) => self.on_packet(packet),
            Some(Err(error)) => {
                self.current = Current::Nothing;
                self.fail(Error::Packet(error));
                None
            }
            None => {
                self.current = Current::Nothing;
                None
            }
        }
    }

    /// Gives up the requests that have taken too long.
    pub(super) fn expire_requests(&mut self) {
        let clock = self.clock;
        if let Some(get) = self.get.take_if(|get| get.deadline <= clock) {
            self.output(Output::Cancel { id: get.id });
            self.lose_request(Error::poll(Cause::Failure(Failure::Timeout)));
        }
        if let Some(post) = self.post.take_if(|post| post.deadline <= clock) {
            self.output(Output::Cancel { id: post.id });
            self.lose_request(Error::post(Cause::Failure(Failure::Timeout)));
        }
    }

    /// The session has ended. If the server is to be told over polling, the GET is left to it, which it answers then
    /// (item 10): to drop it first would be an error to the server. So would be a second POST: one that is on its way is
    /// waited for.
    pub(super) fn end_polling(&mut self, tell: bool) {
        if !tell || self.transport != Transport::Polling {
            return self.cancel_requests();
        }
        if self.post.is_some() {
            self.farewell = true;
        } else {
            self.send_farewell();
        }
        let deadline = after(self.clock, self.config.limits.close_timeout);
        self.timers.set(Timer::Drain, deadline);
    }

    fn send_farewell(&mut self) {
        self.farewell = false;
        self.send_post(Bytes::from_static(b"1"));
    }

    /// Gives up telling the server of the end, if that is still to be done.
    pub(super) fn drop_farewell(&mut self) {
        if self.farewell {
            self.cancel_requests();
            self.finish_closed();
        }
    }

    /// A closed session has got an answer: perhaps the last one.
    fn finish_closed(&mut self) {
        if self.farewell && self.post.is_none() {
            self.send_farewell();
        }
        if self.get.is_none() && self.post.is_none() {
            self.timers.clear(Timer::Drain);
        }
    }

    pub(super) fn cancel_requests(&mut self) {
        self.farewell = false;
        let ids = [self.get.take().map(|get| get.id), self.post.take().map(|post| post.id)];
        for id in ids.into_iter().flatten() {
            self.output(Output::Cancel { id });
        }
    }
}
