//! What can go wrong in a handler.

use std::{
    any::Any,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use super::Side;
use crate::{ArgsError, BoxFuture, Socket, Text};

/// Any error, for those who only report it.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("import", async |socket: Socket, Args(text): Args<String>| -> Result<(), BoxError> {
///     let number: u64 = text.trim().parse()?;
///     socket.join("importers")?;
///     socket.emit("imported", &number)?;
///     Ok(())
/// });
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a parameter of a handler could not be extracted.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::{ExtractError, HandlerFault};
///
/// io.on_error(|error: &HandlerError| {
///     if let HandlerFault::Extract(ExtractError::Args(why)) = error.fault() {
///         let _ = error.socket().emit("bad request", &why.to_string());
///     }
/// });
/// assert_eq!(ExtractError::Other("members only".into()).to_string(), "members only");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The arguments that the client sent are not what [`Args`](crate::Args) asks for.
    #[error("arguments: {0}")]
    Args(#[from] ArgsError),
    /// An extractor of the application's own says why.
    #[error("{0}")]
    Other(String),
}

/// What went wrong in a handler: its connection lives on.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::HandlerFault;
///
/// io.on_error(|error: &HandlerError| match error.fault() {
///     HandlerFault::Extract(why) => println!("the client sent nonsense: {why}"),
///     HandlerFault::Returned(why) => println!("failed: {why}"),
///     HandlerFault::Panicked(text) => println!("a bug of ours: {text}"),
///     _ => println!("{error}"),
/// });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerFault {
    /// A parameter could not be extracted; the handler did not run.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The handler returned an error.
    #[error("{0}")]
    Returned(BoxError),
    /// The handler panicked, with this message.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// A fault, and where it happened: for [`Namespace::on_error`](crate::Namespace::on_error).
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// // `handler of "chat" (socket Y2ZPq2oQFRLmQ1Fn8hWbBg of /): arguments: ..`
/// io.on_error(|error: &HandlerError| eprintln!("{error}"));
/// ```
#[derive(Debug)]
pub struct HandlerError<T = Socket> {
    pub(crate) socket: T,
    pub(crate) event: Option<Text>,
    pub(crate) fault: HandlerFault,
}

impl<T> HandlerError<T> {
    /// The socket whose event, connection or disconnection was handled.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use sockeye_driver::HandlerFault;
    ///
    /// io.on_error(|error: &HandlerError| {
    ///     if let HandlerFault::Extract(_) = error.fault() {
    ///         error.socket().disconnect(true); // It is no client of ours.
    ///     }
    /// });
    /// ```
    pub fn socket(&self) -> &T {
        &self.socket
    }

    /// The event's name; `None` for a handler of connections or disconnections.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_error(|error: &HandlerError| match error.event() {
    ///     Some(event) => println!("in a handler of {event}"),
    ///     None => println!("when a socket came or went"),
    /// });
    /// ```
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// What went wrong.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use sockeye_driver::HandlerFault;
    ///
    /// io.on_error(|error: &HandlerError| {
    ///     if let HandlerFault::Panicked(message) = error.fault() {
    ///         println!("to be mended: {message}");
    ///     }
    /// });
    /// ```
    pub fn fault(&self) -> &HandlerFault {
        &self.fault
    }
}

impl<T: Side> fmt::Display for HandlerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event {
            Some(event) => write!(f, "handler of {event:?} (")?,
            None => f.write_str("handler (")?,
        }
        self.socket.describe(f)?;
        write!(f, "): {}", self.fault)
    }
}

impl<T: Side> std::error::Error for HandlerError<T> {}

/// A handler's future whose panics are faults.
pub(crate) struct Guarded(pub(crate) BoxFuture<Result<(), BoxError>>);

impl Future for Guarded {
    type Output = Result<(), HandlerFault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(polled) => polled.map_err(HandlerFault::Returned),
            Err(panic) => Poll::Ready(Err(HandlerFault::Panicked(panic_text(&*panic)))),
        }
    }
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => String::from("not a text"),
    }
}
