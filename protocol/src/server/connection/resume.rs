//! Sessions that come back: what a client is told for that, what it has missed, and the end of its old link.

use super::{Connection, Joined, Output, State};
use crate::{
    Instant,
    encoded::Encoded,
    engine::{CloseReason, SendError},
    key::{Sid, SocketKey},
    server::{
        error::Error,
        event::DisconnectReason,
        hub::{ConnectionEvent, ToHub},
        recovery::Offset,
    },
    socket::{EncodeError, PacketType, Payload},
};

/// The data of a CONNECT answer (Socket.IO protocol v5, "Connection to a namespace"); with recovery, also the private id
/// and where in the log the session is. The JavaScript client knows `pid`, and learns offsets from events alone.
pub(super) fn answer(sid: Sid, session: Option<(Sid, Offset)>) -> Result<Payload, EncodeError> {
    #[derive(serde::Serialize)]
    struct Answer {
        sid: Sid,
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<Sid>,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
    }
    let (pid, offset) = session.unzip();
    Payload::data(&Answer { sid, pid, offset })
}

impl Connection {
    /// A recovered socket is connected. What it has missed goes out before the client is told, as in JavaScript: clients
    /// keep it until then, and have it before anything that they do on `connect`.
    pub(super) fn resume(&mut self, now: Instant, socket: SocketKey, missed: &[Encoded], offset: Offset) {
        let found = self.slots.iter_mut().find_map(|slot| match &slot.state {
            State::Resuming(resuming) if resuming.socket == socket => {
                let ids = (resuming.sid, resuming.pid);
                slot.state = State::Joined(Joined::new(socket));
                Some((slot.name.clone(), ids))
            }
            _ => None,
        });
        let Some((name, (sid, pid))) = found else { return };
        for packet in missed {
            match self.session.send_encoded(packet) {
                Ok(()) => self.queued = self.queued.saturating_add(1),
                Err(SendError::Closed) => return,
                // It fitted when it was asked for; more has come since.
                Err(full @ SendError::Full { .. }) => return self.fail(now, Error::SlowConsumer(full)),
            }
        }
        if let Ok(answer) = answer(sid, Some((pid, offset))) {
            self.send(now, PacketType::Connect, &name, Some(&answer));
        }
    }

    /// Closes the connection of a socket whose client has come back on another one. The hub is told behind everything that
    /// there is to say about the socket, also if it has gone by itself.
    pub(super) fn retire(&mut self, now: Instant, socket: SocketKey) {
        let is_here = self.slots.iter().any(|slot| match &slot.state {
            State::Pending { socket: own } => *own == socket,
            State::Resuming(resuming) => resuming.socket == socket,
            State::Joined(joined) => joined.socket == socket,
            State::Asked(_) | State::Left => false,
        });
        if is_here {
            self.end(DisconnectReason::ForcedClose, None);
            self.session.close(now, CloseReason::ForcedClose);
        }
        self.outputs.push_back(Output::Hub(ConnectionEvent(ToHub::Retired(socket))));
    }
}
