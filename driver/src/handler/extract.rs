//! Parameters of handlers.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use sockeye_protocol::socket::Spread;

use super::{ConnectContext, DisconnectContext, EventContext, ExtractError, Side};
use crate::{Ack, DisconnectReason, Handshake, Socket, Text, Value};

pub use sockeye_protocol::socket::Args as RawArgs;

/// Something that a handler may have as a parameter, where `C` is handled and `S` is the namespace's state.
///
/// | parameter | what | of which handlers |
/// | --- | --- | --- |
/// | [`Socket`] | who it is about | all |
/// | [`Handshake`] | how the client came | all |
/// | [`State<S>`](struct@State) | the state given with [`with_state`](crate::Namespace::with_state) | all |
/// | [`Args<T>`] | the arguments, as a tuple or the first alone | events |
/// | [`Values`], [`RawArgs`] | the arguments, whatever they are | events |
/// | [`EventName`] | the event's name | events |
/// | [`Ack`], `Option<Ack>` | with which to acknowledge | events |
/// | a [`TypedEvent`](trait@crate::TypedEvent) | the event itself | typed events |
/// | [`Ack<E>`], `Option<Ack<E>>` | with which to acknowledge that event | typed events |
/// | [`DisconnectReason`] | why | disconnections |
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be extracted from `{C}` with the state `{S}`",
    note = "events have `Socket`, `Args<T>`, `Values`, `RawArgs`, `EventName`, `Ack`, `Option<Ack>`, `Handshake`, \
            `State<S>`; typed events also themselves, and `Ack<E>` instead of `Ack`; connections `Socket`, \
            `Handshake`, `State<S>`; disconnections also `DisconnectReason`",
    note = "`State<S>` must be the `S` of `Namespace::with_state`"
)]
///
/// ```
/// # let io = sockeye_driver::Server::new(sockeye_driver::Config::default());
/// use std::sync::Arc;
/// use sockeye_driver::{EventContext, Extract, ExtractError, prelude::*};
///
/// struct User(String);
///
/// /// Who sends the event: what a middleware has attached to the socket.
/// struct Sender(Arc<User>);
///
/// impl<E, S> Extract<EventContext<Socket, E>, S> for Sender {
///     fn extract(context: &EventContext<Socket, E>, state: &S) -> Result<Self, ExtractError> {
///         let socket = Socket::extract(context, state)?;
///         Ok(Self(socket.data().unwrap_or_else(|| Arc::new(User("somebody".into())))))
///     }
/// }
///
/// io.on("hello", async |Sender(user): Sender| println!("{} says hello", user.0));
/// ```
pub trait Extract<C, S>: Sized {
    /// Takes it out.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use std::net::SocketAddr;
    /// use sockeye_driver::{Extract, ExtractError};
    ///
    /// /// Where the client is: for whatever handlers have a handshake.
    /// struct Address(SocketAddr);
    ///
    /// impl<C, S> Extract<C, S> for Address
    /// where
    ///     Handshake: Extract<C, S>,
    /// {
    ///     fn extract(context: &C, state: &S) -> Result<Self, ExtractError> {
    ///         let address = Handshake::extract(context, state)?.address();
    ///         address.map(Self).ok_or_else(|| ExtractError::Other("the address is not known".into()))
    ///     }
    /// }
    ///
    /// io.on_connect(async |Address(address): Address| println!("{address} is here"));
    /// io.on("where am i", async |socket: Socket, Address(address): Address| socket.emit("at", &address));
    /// ```
    ///
    /// # Errors
    ///
    /// It is not there, or is something else.
    fn extract(context: &C, state: &S) -> Result<Self, ExtractError>;
}

/// The arguments of an event: a tuple takes them in turn, anything else the first one. What is too many is ignored;
/// what is missing is an error, unless it is an `Option`. [`bytes::Bytes`] takes binary.
///
/// ```
/// # use bytes::Bytes;
/// # use sockeye_driver::{Args, Config, Server};
/// # #[derive(serde::Deserialize)] struct Position { x: f64, y: f64 }
/// # let io = Server::new(Config::default());
/// io.on("move", async |Args((Position { x, y }, speed)): Args<(Position, Option<f64>)>| {
///     println!("to {x}, {y} at {speed:?}");
/// });
/// io.on("upload", async |Args(file): Args<Bytes>| println!("{} bytes", file.len()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Args<T>(pub T);

/// The arguments of an event as values, binary included. Sent, and as what an acknowledgement is to be, these are all
/// arguments, too: for programs that do not know them.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("sum", async |Values(numbers): Values, ack: Ack| {
///     ack.send(&numbers.iter().filter_map(Value::as_f64).sum::<f64>())
/// });
/// io.on("relay", async |socket: Socket, Values(mut args): Values, ack: Ack| {
///     args.insert(0, socket.id().to_string().into());
///     let answer: Values = socket.emit_with_ack("relayed", &Values(args)).await?;
///     Ok::<_, BoxError>(ack.send(&answer)?)
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub Vec<Value>);

/// The name of an event.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// for event in ["red", "blue"] {
///     io.on(event, async |socket: Socket, EventName(name): EventName| socket.emit("seen", &*name));
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventName(pub Text);

/// A clone of the state that the handler's namespace was [given](crate::Namespace::with_state).
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// # use sockeye_driver::{Args, Config, Server, State};
/// # let io = Server::new(Config::default());
/// type Log = Arc<Mutex<Vec<String>>>;
/// io.of("/").with_state(Log::default()).on("log", async |State(log): State<Log>, Args(line): Args<String>| {
///     log.lock().unwrap().push(line);
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<S>(pub S);

macro_rules! extract_everywhere {
    ($($context:ident $(of $event:ident)?),*) => {$(
        impl<$($event,)? S> Extract<$context<Socket $(, $event)?>, S> for Socket {
            fn extract(context: &$context<Socket $(, $event)?>, _: &S) -> Result<Self, ExtractError> {
                Ok(context.socket.clone())
            }
        }

        impl<$($event,)? S> Extract<$context<Socket $(, $event)?>, S> for Handshake {
            fn extract(context: &$context<Socket $(, $event)?>, _: &S) -> Result<Self, ExtractError> {
                Ok(context.socket.handshake())
            }
        }

        impl<T: Side, $($event,)? S: Clone> Extract<$context<T $(, $event)?>, S> for State<S> {
            fn extract(_: &$context<T $(, $event)?>, state: &S) -> Result<Self, ExtractError> {
                Ok(Self(state.clone()))
            }
        }
    )*};
}
extract_everywhere!(EventContext of E, ConnectContext, DisconnectContext);

impl<T: DeserializeOwned, Of, E, S> Extract<EventContext<Of, E>, S> for Args<T> {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(Self(context.args.deserialize()?))
    }
}

impl<Of, E, S> Extract<EventContext<Of, E>, S> for Values {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(Self(context.args.to_values()?))
    }
}

impl<Of, E, S> Extract<EventContext<Of, E>, S> for RawArgs {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.args.clone())
    }
}

impl<Of, E, S> Extract<EventContext<Of, E>, S> for EventName {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(Self(context.name.clone()))
    }
}

impl<Of, E, S> Extract<EventContext<Of, E>, S> for Ack<E> {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.ack.clone().unwrap_or_default())
    }
}

impl<Of, E, S> Extract<EventContext<Of, E>, S> for Option<Ack<E>> {
    fn extract(context: &EventContext<Of, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(context.ack.clone())
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Spread(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }

        // As many as there are.
        deserializer.deserialize_tuple(usize::MAX, Each)
    }
}

impl<S> Extract<DisconnectContext, S> for DisconnectReason {
    fn extract(context: &DisconnectContext, _: &S) -> Result<Self, ExtractError> {
        Ok(context.reason)
    }
}
