//! What there is to extract from.

use crate::{Ack, DisconnectReason, Socket, Text, handler::RawArgs};

/// Whom a handler is about, and which event: for reports of its faults.
pub(crate) trait Subject {
    fn socket(&self) -> &Socket;

    fn event(&self) -> Option<&Text> {
        None
    }
}

/// An event that arrived: what [extractors](crate::Extract) of event handlers take their values from.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::{EventContext, Extract, ExtractError};
///
/// /// The text of an event, without the spaces around it.
/// struct Line(String);
///
/// impl<S> Extract<EventContext, S> for Line {
///     fn extract(context: &EventContext, state: &S) -> Result<Self, ExtractError> {
///         let Args(text) = Args::<String>::extract(context, state)?;
///         Ok(Self(text.trim().to_owned()))
///     }
/// }
///
/// io.on("say", async |Line(line): Line| println!("{line}"));
/// ```
#[derive(Clone, Debug)]
pub struct EventContext {
    pub(crate) socket: Socket,
    pub(crate) name: Text,
    pub(crate) args: RawArgs,
    pub(crate) ack: Option<Ack>,
}

/// A socket that asks to connect, or that has connected: what [extractors](crate::Extract) of middlewares and connect
/// handlers take their values from.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::{ConnectContext, Extract, ExtractError};
///
/// /// The token that a client brings as `auth`.
/// struct Token(String);
///
/// impl<S> Extract<ConnectContext, S> for Token {
///     fn extract(context: &ConnectContext, state: &S) -> Result<Self, ExtractError> {
///         Ok(Self(Handshake::extract(context, state)?.auth()?))
///     }
/// }
///
/// io.middleware(async |Token(token): Token| if token == "secret" { Ok(()) } else { Err("wrong token") });
/// ```
#[derive(Clone, Debug)]
pub struct ConnectContext {
    pub(crate) socket: Socket,
}

/// A socket that is about to be gone, or that is: what [extractors](crate::Extract) of disconnect handlers take their
/// values from.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::{DisconnectContext, Extract, ExtractError};
///
/// /// Whether the client meant to go.
/// struct Left(bool);
///
/// impl<S> Extract<DisconnectContext, S> for Left {
///     fn extract(context: &DisconnectContext, state: &S) -> Result<Self, ExtractError> {
///         let reason = DisconnectReason::extract(context, state)?;
///         Ok(Self(reason == DisconnectReason::ClientNamespaceDisconnect))
///     }
/// }
///
/// io.on_disconnect(async |Left(meant_to): Left| println!("meant to: {meant_to}"));
/// ```
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
