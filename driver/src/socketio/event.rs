//! Events as catch-all listeners see them.

use crate::{Ack, ArgsError, RawArgs, Socket, TypedEvent, Value};

/// An event that arrived, or that is sent: for catch-all listeners
/// ([`Namespace::on_any`](crate::Namespace::on_any), [`Socket::on_any_outgoing`], ..).
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on_any(|event: &Event| {
///     println!("{} with {} arguments", event.name(), event.args().len());
///     if let Some(first) = event.values().ok().and_then(|values| values.into_iter().next()) {
///         println!("the first is {first:?}, binary: {}", first.as_bytes().is_some());
///     }
///     if let Some(ack) = event.ack() {
///         println!("wants an acknowledgement: {}", ack.is_requested());
///     }
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Event<T = Socket> {
    pub(crate) socket: Option<T>,
    pub(crate) name: crate::Text,
    pub(crate) args: RawArgs,
    pub(crate) ack: Option<Ack>,
}

impl<T> Event<T> {
    /// Who sent it, or whom it is sent to; `None` for a broadcast, which goes to many.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any_outgoing(|event: &Event| match event.socket() {
    ///     Some(socket) => println!("{} to {}", event.name(), socket.id()),
    ///     None => println!("{} to many", event.name()),
    /// });
    /// ```
    pub fn socket(&self) -> Option<&T> {
        self.socket.as_ref()
    }

    /// Its name.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any(|event: &Event| {
    ///     if !["join", "say", "leave"].contains(&event.name()) {
    ///         println!("nobody listens to {:?}", event.name());
    ///     }
    /// });
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its arguments as they are on the wire: JSON, and the binary attachments beside it.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any(|event: &Event| {
    ///     let binary: usize = event.args().attachments().iter().map(|bytes| bytes.len()).sum();
    ///     println!("{} bytes of JSON, {binary} of binary", event.args().raw().len());
    /// });
    /// ```
    pub fn args(&self) -> &RawArgs {
        &self.args
    }

    /// Its arguments as values, binary included.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any(|event: &Event| match event.values().as_deref() {
    ///     Ok([Value::String(room), ..]) => println!("{} {room}", event.name()),
    ///     other => println!("{} with {other:?}", event.name()),
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// None are known for what a peer sent.
    pub fn values(&self) -> Result<Vec<Value>, ArgsError> {
        self.args.to_values()
    }

    /// The typed event that it is, if it is one of this name: for whoever has events of all names before them.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Say(String);
    ///
    /// io.on_any(|event: &Event| match event.typed() {
    ///     Some(Ok(Say(text))) => println!("{text}"),
    ///     Some(Err(error)) => println!("not what should be said: {error}"),
    ///     None => println!("another event: {}", event.name()),
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// An argument is missing, or is something else.
    pub fn typed<E: TypedEvent>(&self) -> Option<Result<E, ArgsError>> {
        (self.name == E::NAME).then(|| E::from_args(&self.args))
    }

    /// With which to acknowledge it, if it arrived and the client asks for that.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_any(|event: &Event| {
    ///     // Whoever sends an event hears that it came. What handlers answer is too late then.
    ///     let _ = event.ack().map(|ack| ack.send("received"));
    /// });
    /// ```
    pub fn ack(&self) -> Option<&Ack> {
        self.ack.as_ref()
    }
}
