//! What there is to extract from.

use crate::{Ack, DisconnectReason, Socket, Text, handler::RawArgs};

/// Whom a handler is about, and which event: for reports of its faults.
pub(crate) trait Subject {
    fn socket(&self) -> &Socket;

    fn event(&self) -> Option<&Text> {
        None
    }
}

/// An event that arrived.
#[derive(Clone, Debug)]
pub struct EventContext {
    pub(crate) socket: Socket,
    pub(crate) name: Text,
    pub(crate) args: RawArgs,
    pub(crate) ack: Option<Ack>,
}

/// A socket that asks to connect, or that has connected.
#[derive(Clone, Debug)]
pub struct ConnectContext {
    pub(crate) socket: Socket,
}

/// A socket that is about to be gone, or that is.
#[derive(Clone, Debug)]
pub struct DisconnectContext {
    pub(crate) socket: Socket,
    pub(crate) reason: DisconnectReason,
}

impl Subject for EventContext {
    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn event(&self) -> Option<&Text> {
        Some(&self.name)
    }
}

impl Subject for ConnectContext {
    fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl Subject for DisconnectContext {
    fn socket(&self) -> &Socket {
        &self.socket
    }
}
