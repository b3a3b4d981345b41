//! What happens by the time alone.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Manager, life::Life};
pub(super) use crate::engine::timers::NEVER;
use crate::engine::timers::is_due;
use crate::{
    Instant,
    ack::AckOutcome,
    client::{
        error::Error,
        event::{DisconnectReason, Event},
        socket::Stage,
    },
};

/// A deadline, later than `now` even without a timeout: a tick at `now` may be over.
pub(super) fn after(now: Instant, timeout: Duration) -> Instant {
    now + timeout.max(Duration::from_micros(1))
}

impl Manager {
    pub(super) fn on_tick(&mut self) {
        let now = self.clock;
        self.expire_acks(now);
        self.expire_buffers(now);
        if is_due(self.packet_deadline, now) {
            let limit = self.config.limits.packet_timeout;
            self.lose(DisconnectReason::ParseError, Some(Error::PacketTimeout { limit }));
        }
        self.expire_answers(now);
        self.ask_again(now);
        self.expire_queues(now);
        if let Life::Waiting { until, waited } = self.life
            && until <= now
        {
            self.attempt_again(waited);
        }
    }

    fn expire_acks(&mut self, now: Instant) {
        let mut expired = Vec::new();
        for socket in &mut self.sockets {
            let acks = socket.acks.expire(now);
            let mut unsent: Vec<u64> = acks.iter().filter(|ack| !ack.sent).map(|ack| ack.id).collect();
            unsent.sort_unstable();
            // Nobody waits for them any more (asks, row 20).
            if !unsent.is_empty() {
                socket.change_kept(|kept| kept.send.remove(&unsent));
            }
            expired.extend(acks.into_iter().map(|ack| (ack.due, socket.id, ack.id)));
        }
        expired.sort_unstable();
        for (_, socket, id) in expired {
            self.push_ack(socket, id, AckOutcome::Timeout);
        }
    }

    fn expire_buffers(&mut self, now: Instant) {
        for index in 0..self.sockets.len() {
            while let Some(socket) = self.sockets.get_mut(index)
                && socket.is_kept_due(now)
                && let Some(event) = socket.change_kept(|kept| kept.send.expire(now))
            {
                let id = socket.id;
                let ack = event.ack.filter(|ack| socket.acks.remove(*ack));
                self.push(Event::Discarded { socket: id, payload: event.payload });
                if let Some(ack) = ack {
                    self.push_ack(id, ack, AckOutcome::Disconnected);
                }
            }
        }
    }

    /// Namespaces for which the server has not answered CONNECT. It is told to the application; the server may still
    /// answer, unless it answers nobody: then the connection is given up.
    fn expire_answers(&mut self, now: Instant) {
        let Some(limit) = self.config.connect_timeout else { return };
        let next = after(now, limit);
        let mut expired = Vec::new();
        for socket in &mut self.sockets {
            match &mut socket.stage {
                Stage::Sent { due } | Stage::GivenUp { due } if *due <= now => {
                    *due = next;
                    expired.extend(socket.active.then_some(socket.id));
                }
                _ => {}
            }
        }
        if expired.is_empty() {
            return;
        }
        let error = Error::NoAnswer { limit };
        if !self.sockets.iter().any(|socket| socket.is_joined()) {
            return self.lose(DisconnectReason::TransportError, Some(error));
        }
        for id in expired {
            self.refuse(id, error.clone());
        }
    }

    fn expire_queues(&mut self, now: Instant) {
        for index in 0..self.sockets.len() {
            let Some(socket) = self.sockets.get_mut(index) else { break };
            if !socket.is_kept_due(now) {
                continue;
            }
            let retries = socket.retries;
            let Some(given_up) = socket.change_kept(|kept| kept.queue.expire(now, retries)) else { continue };
            let id = socket.id;
            if let Some(event) = given_up {
                self.push(Event::Discarded { socket: id, payload: event.payload });
                if event.wanted {
                    self.push_ack(id, event.id, AckOutcome::Timeout);
                }
            }
            self.drain_queue(index);
        }
    }
}
