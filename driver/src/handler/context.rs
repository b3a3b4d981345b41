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
    ///
    /// ```
    /// use sockeye_driver::{DisconnectReason, Side, Socket, client};
    ///
    /// fn told<T: Side>(reason: T::Reason) -> String {
    ///     format!("gone: {reason}")
    /// }
    /// let of_server = told::<Socket>(DisconnectReason::ClientNamespaceDisconnect);
    /// let of_client = told::<client::Client>(client::DisconnectReason::ServerDisconnect);
    /// assert_eq!([of_server, of_client], ["gone: client namespace disconnect", "gone: io server disconnect"]);
    /// ```
    type Reason: Copy + fmt::Debug + fmt::Display + Send + Sync + 'static;

    /// What is behind that reason: of a client an error, if there was one; nothing on a server, which logs it.
    ///
    /// ```
    /// use sockeye_driver::{Side, Socket, client};
    ///
    /// fn nothing<T: Side<Details = ()>>() {}
    /// fn an_error<T: Side<Details = Option<client::Error>>>() {}
    /// nothing::<Socket>();
    /// an_error::<client::Client>();
    /// ```
    type Details: Clone + fmt::Debug + Send + Sync + 'static;

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
    type Details = ();

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
/// `T` is the end that it arrived at, and `E` the [`TypedEvent`](trait@crate::TypedEvent) that a handler is for, `()` where
/// events are texts. An extractor for any `E` is one for both kinds of handlers.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::{EventContext, Extract, ExtractError};
///
/// /// The text of an event, without the spaces around it.
/// struct Line(String);
///
/// impl<E, S> Extract<EventContext<Socket, E>, S> for Line {
///     fn extract(context: &EventContext<Socket, E>, state: &S) -> Result<Self, ExtractError> {
///         let Args(text) = Args::<String>::extract(context, state)?;
///         Ok(Self(text.trim().to_owned()))
///     }
/// }
///
/// io.on("say", async |Line(line): Line| println!("{line}"));
/// ```
#[derive(Clone, Debug)]
pub struct EventContext<T = Socket, E = ()> {
    pub(crate) socket: T,
    pub(crate) name: Text,
    pub(crate) args: RawArgs,
    pub(crate) ack: Option<Ack<E>>,
}

impl<T: Side> EventContext<T> {
    /// The same for a handler of that event alone.
    pub(super) fn typed<E>(&self) -> EventContext<T, E> {
        EventContext {
            socket: self.socket.clone(),
            name: self.name.clone(),
            args: self.args.clone(),
            ack: self.ack.as_ref().map(Ack::typed),
        }
    }
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
    pub(crate) details: T::Details,
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
