//! Events as catch-all listeners see them.

use crate::{Ack, ArgsError, RawArgs, Socket, Value};

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
    pub fn socket(&self) -> Option<&T> {
        self.socket.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its arguments as they are on the wire.
    pub fn args(&self) -> &RawArgs {
        &self.args
    }

    /// Its arguments as values, binary included.
    ///
    /// # Errors
    ///
    /// None are known for what a peer sent.
    pub fn values(&self) -> Result<Vec<Value>, ArgsError> {
        self.args.to_values()
    }

    /// With which to acknowledge it, if it arrived and the client asks for that.
    pub fn ack(&self) -> Option<&Ack> {
        self.ack.as_ref()
    }
}
