//! The upgrade from polling to WebSocket.
//!
//! A WebSocket is opened beside polling (the *candidate*) and probed; polling goes on meanwhile. When the server has
//! agreed (`3probe`) no further request is made; once those on their way are answered, `5` makes the candidate the
//! session's transport. Whatever happens to the candidate before leaves the session on polling, which then goes on.
//!
//! | state     | begins with            | ends with                                              |
//! |-----------|------------------------|--------------------------------------------------------|
//! | `None`    |                        | a handshake that offers WebSocket → `Opening`          |
//! | `Opening` | the request for it     | 101 → `Probing`; refused, failed, timeout → `None`     |
//! | `Probing` | `2probe`               | `3probe` → `Pausing`; anything else, timeout → `None`  |
//! | `Pausing` | no more requests       | all answered → `5` and `None`; lost, timeout → `None`  |
//!
//! JavaScript's client has no timeout for any of it, and a candidate that is lost in `Pausing` leaves it paused for ever.

use alloc::string::String;

use super::{Event, engine::Engine};
use crate::{
    TransportId,
    client::Transport,
    engine::{
        Packet,
        timers::{Timer, after},
        websocket::Stage,
    },
};

/// How far a session is on its way from polling to WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is not on its way: still on polling, or on WebSocket.
    None,
    /// The candidate is asked for.
    Opening,
    /// The candidate's probe is on its way.
    Probing,
    /// The probe is answered; the requests that are on their way are waited for.
    Pausing,
}

/// A WebSocket that is asked for.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) transport: TransportId,
    /// `Sec-WebSocket-Key`.
    pub(super) key: String,
}

impl Engine {
    pub(super) fn start_upgrade(&mut self) {
        self.upgrade = State::Opening;
        self.prior = false;
        let deadline = after(self.clock, self.config.limits.upgrade_timeout);
        self.timers.set(Timer::Upgrade, deadline);
        self.open_websocket();
    }

    /// The candidate is open.
    pub(super) fn probe(&mut self) {
        self.upgrade = State::Probing;
        if let Some(socket) = self.candidate_mut() {
            socket.send_control("2probe");
        }
    }

    /// The candidate says something.
    pub(super) fn on_candidate(&mut self, packet: Option<Packet>) {
        match packet {
            Some(Packet::Pong(text)) if text == "probe" && self.upgrade == State::Probing => {
                self.upgrade = State::Pausing;
                self.prior = true;
            }
            _ => self.give_up_upgrade((1002, "probe error")),
        }
    }

    /// Both requests are answered: what was held back goes out on the WebSocket.
    pub(super) fn switch(&mut self) {
        let Some(socket) = self.candidate_mut() else {
            return self.forget_upgrade();
        };
        socket.send_control("5");
        socket.stage = Stage::Main;
        self.transport = Transport::WebSocket;
        self.forget_upgrade();
        self.move_buffer();
        self.emit(Event::Upgraded);
    }

    pub(super) fn on_upgrade_timeout(&mut self) {
        self.give_up_upgrade((1008, "upgrade timeout"));
    }

    /// Closes the candidate, whatever it is: polling goes on.
    pub(super) fn give_up_upgrade(&mut self, frame: (u16, &str)) {
        self.forget_upgrade();
        self.abort_opening();
        let (clock, timeout) = (self.clock, self.config.limits.close_timeout);
        if let Some(socket) = self.candidate_mut() {
            socket.close(clock, timeout, frame);
        }
        self.prior = false;
    }

    pub(super) fn forget_upgrade(&mut self) {
        self.upgrade = State::None;
        self.timers.clear(Timer::Upgrade);
    }

    /// Hands what waits over to the WebSocket that the session is on.
    pub(super) fn move_buffer(&mut self) {
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.stage == Stage::Main) else { return };
        while let Some((unit, sent)) = self.buffer.pop() {
            socket.send_unit(&unit, sent);
        }
    }
}
