//! Events that are types.

use serde::{Serialize, de::DeserializeOwned};
/// Makes a struct a [`TypedEvent`](trait@TypedEvent), whose documentation says how.
///
/// ```
/// use sockeye_driver::TypedEvent;
///
/// #[derive(TypedEvent)]
/// #[event(name = "add", ack = i64)]
/// struct Add(i64, i64);
///
/// assert_eq!(Add::NAME, "add");
/// ```
#[doc(inline)]
pub use sockeye_macros::TypedEvent;
use sockeye_protocol::socket::RESERVED_EVENTS;

use crate::{ArgsError, EventContext, Extract, ExtractError, RawArgs};

/// An event as a type: its name, its arguments and its acknowledgement in one place, which a server and its clients share.
/// [`on_event`](crate::Server::on_event) and [`emit_event`](crate::Socket::emit_event) take the name from it, so that it
/// cannot be mistyped.
///
/// It is what JavaScript sends with `emit(name, a, b)`, and gets with `on(name, (a, b, callback) => ..)`:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sockeye_driver::{BoxError, prelude::*};
///
/// /// `socket.emit("chat message", room, text, ({ id }) => { … })`
/// #[derive(TypedEvent)]
/// #[event(name = "chat message", ack = Receipt)]
/// struct ChatMessage {
///     room: String,
///     text: String,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Receipt {
///     id: u64,
/// }
///
/// # let io = Server::new(Config::default());
/// io.on_event(async |socket: Socket, message: ChatMessage, ack: Ack<ChatMessage>| {
///     socket.to(&message.room).emit_event(&message)?;
///     ack.send(&Receipt { id: 1 })?;
///     Ok::<_, BoxError>(())
/// });
///
/// # async fn example(client: Client) -> Result<(), AckError> {
/// let hello = ChatMessage { room: "lobby".into(), text: "hello".into() };
/// let receipt = client.emit_event_with_ack(&hello).await?;
/// println!("it is number {}", receipt.id);
/// # Ok(())
/// # }
/// ```
///
/// # Listening
///
/// A handler of `on_event` has the event itself among its parameters, an [`Ack<E>`](crate::Ack) to answer with that event's
/// acknowledgement, and any other [extractor](Extract). Which event it is for follows from them: a handler for two, or for
/// none, is not compiled. Arguments that are not those of the event are reported as for [`Args`](crate::Args).
///
/// # The derive
///
/// - **The name** is that of the type in snake case, `chat_message` for `ChatMessage` and `http_request` for `HTTPRequest`,
///   unless `#[event(name = "..")]` says another. Names that Socket.IO has [reserved](RESERVED_EVENTS) are errors.
/// - **The arguments** are the fields, in order, whether they have names or not; a struct without fields has none. Their types
///   are serde's; [`bytes::Bytes`] anywhere in them is binary. What a peer sends too much is ignored, what it does not send is
///   an error, unless it is an `Option`.
/// - **One object**, as in `emit("chat message", { room, text })`, is one argument: `struct ChatMessage(Message);`, where
///   `Message` derives `Serialize` and `Deserialize`.
/// - **The acknowledgement** is a type as [`Ack::send`](crate::Ack::send) takes it: `#[event(ack = bool)]`; a tuple is several
///   arguments. Without, it is `()`: that the event has arrived, and nothing else.
/// - **Enums, and structs with generic parameters**, are no events: a name stands for one list of arguments.
/// - **The crate**: the derive that a crate exports writes that crate's name. Where it is called something else, in `Cargo.toml`
///   or because yet another crate exports it, `#[event(crate = path::to::it)]` says so.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_driver::TypedEvent;
///
/// #[derive(TypedEvent)]
/// struct HeartbeatMissed; // `heartbeat_missed`, without arguments
///
/// #[derive(TypedEvent)]
/// #[event(name = "file:upload", ack = (bool, Option<String>))]
/// struct Upload(String, Bytes); // a text, and binary
///
/// assert_eq!((HeartbeatMissed::NAME, Upload::NAME), ("heartbeat_missed", "file:upload"));
/// ```
///
/// What cannot be an event is an error of the compiler. Enums:
///
/// ```compile_fail
/// #[derive(sockeye_driver::TypedEvent)]
/// enum Shape { Circle(f64), Square(f64) }
/// ```
///
/// Generic parameters, lifetimes among them:
///
/// ```compile_fail
/// #[derive(sockeye_driver::TypedEvent)]
/// struct Say<'a> { text: &'a str }
/// ```
///
/// Reserved names:
///
/// ```compile_fail
/// #[derive(sockeye_driver::TypedEvent)]
/// struct Disconnect;
/// ```
///
/// An answer that is none of this event:
///
/// ```compile_fail
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// #[derive(TypedEvent)]
/// #[event(ack = u64)]
/// struct Count;
///
/// io.on_event(async |_: Count, ack: Ack<Count>| ack.send("many"));
/// ```
///
/// # By hand
///
/// The derive writes what follows, but for types that are read and written in another way:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use sockeye_driver::{ArgsError, RawArgs, TypedEvent};
///
/// /// JavaScript's `Date.now()`.
/// struct Tick(SystemTime);
///
/// impl TypedEvent for Tick {
///     const NAME: &'static str = "tick";
///     type Ack = ();
///
///     fn args(&self) -> impl serde::Serialize {
///         self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
///     }
///
///     fn from_args(args: &RawArgs) -> Result<Self, ArgsError> {
///         Ok(Self(SystemTime::UNIX_EPOCH + Duration::from_millis(args.deserialize()?)))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "`#[derive(TypedEvent)]` makes a struct one; a handler of `on_event` has the event and its `Ack<E>`"
)]
pub trait TypedEvent: Sized + 'static {
    /// Its name, which must not be [reserved](RESERVED_EVENTS): for whatever takes one.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Vote(bool);
    ///
    /// io.on_event(async |Vote(yes): Vote| println!("{yes}"));
    /// assert_eq!(io.off_all(Vote::NAME), 1);
    /// ```
    const NAME: &'static str;

    /// What it is acknowledged with: a tuple is several arguments, `()` none.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// #[derive(TypedEvent)]
    /// #[event(ack = (u64, String))]
    /// struct Load {
    ///     id: u64,
    /// }
    ///
    /// async fn title(socket: Socket) -> Result<String, AckError> {
    ///     let (_size, title): <Load as TypedEvent>::Ack = socket.emit_event_with_ack(&Load { id: 1 }).await?;
    ///     Ok(title)
    /// }
    /// ```
    type Ack: Serialize + DeserializeOwned;

    /// Its arguments, as `emit` takes them: a tuple is several, `()` none, anything else one.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Row(u32, String);
    ///
    /// io.on("rows", async |socket: Socket| {
    ///     for n in 0..100_000 {
    ///         let row = Row(n, format!("row {n}"));
    ///         socket.emit_wait(Row::NAME, &row.args()).await?; // What has no typed form of its own.
    ///     }
    ///     Ok::<_, EmitError>(())
    /// });
    /// ```
    fn args(&self) -> impl Serialize;

    /// Reads it from the arguments that have arrived.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Say(String);
    ///
    /// io.on_any(|event: &Event| {
    ///     if let (Say::NAME, Ok(Say(text))) = (event.name(), Say::from_args(event.args())) {
    ///         println!("{text}");
    ///     }
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// An argument is missing, or is something else.
    fn from_args(args: &RawArgs) -> Result<Self, ArgsError>;
}

impl<T, E: TypedEvent, S> Extract<EventContext<T, E>, S> for E {
    fn extract(context: &EventContext<T, E>, _: &S) -> Result<Self, ExtractError> {
        Ok(Self::from_args(&context.args)?)
    }
}

/// What derived code needs beside the trait.
#[doc(hidden)]
pub mod __private {
    pub use serde::Serialize;

    use super::RESERVED_EVENTS;

    /// Fails to compile for a name that no event may have.
    ///
    /// # Panics
    ///
    /// If the name is reserved.
    pub const fn refuse_reserved(name: &str) {
        let mut reserved = RESERVED_EVENTS.as_slice();
        while let [first, rest @ ..] = reserved {
            assert!(!is_same(first.as_bytes(), name.as_bytes()), "the event's name is reserved by Socket.IO");
            reserved = rest;
        }
    }

    /// `==`, which is not `const` yet.
    const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
        while let ([a, rest @ ..], [b, other_rest @ ..]) = (one, other) {
            if *a != *b {
                return false;
            }
            (one, other) = (rest, other_rest);
        }
        one.is_empty() && other.is_empty()
    }
}
