//! What there is to extract from.

use std::fmt;

use crate::{Ack, DisconnectReason, Socket, Text, handler::RawArgs};

/// One end of a namespace's connection, whose handlers it is about: [`Socket`] on a server.
///
/// Handlers, their parameters and what is reported of them are the same on both ends, but for this type.
///
/// ```
/// use sockeye_driver::{EventContext, Side, Socket};
///
/// fn of_a_server<T: Side<Reason = sockeye_driver::DisconnectReason>>() {}
/// of_a_server::<Socket>();
/// ```
pub trait Side: Clone + fmt::Debug + PartialEq + Send + Sync + 'static + sealed::Sealed {
    /// Why it is gone.
    type Reason: Copy + fmt::Debug + fmt::Display + Send + Sync + 'static;

    /// Its id and its namespace, for reports.
    #[doc(hidden)]
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

pub(crate) mod sealed {
    /// Only this crate's types are ends of a connection.
    #[expect(unnameable_types, reason = "which is what keeps others from implementing it")]
    pub trait Sealed {}
}

impl sealed::Sealed for Socket {}

impl Side for Socket {
    type Reason = DisconnectReason;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {} of {}", self.id(), self.namespace())
    }
}

/// Whom a handler is about, and which event: for reports of its faults.
pub(crate) trait Subject {
    type Side: Side;

    fn socket(&self) -> &Self::Side;

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
pub struct EventContext<T = Socket> {
    pub(crate) socket: T,
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
pub struct ConnectContext<T = Socket> {
    pub(crate) socket: T,
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
pub struct DisconnectContext<T: Side = Socket> {
    pub(crate) socket: T,
    pub(crate) reason: T::Reason,
}

impl<T: Side> Subject for EventContext<T> {
    type Side = T;

    fn socket(&self) -> &T {
        &self.socket
    }

    fn event(&self) -> Option<&Text> {
        Some(&self.name)
    }
}

impl<T: Side> Subject for ConnectContext<T> {
    type Side = T;

    fn socket(&self) -> &T {
        &self.socket
    }
}

impl<T: Side> Subject for DisconnectContext<T> {
    type Side = T;

    fn socket(&self) -> &T {
        &self.socket
    }
}
