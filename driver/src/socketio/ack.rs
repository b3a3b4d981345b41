//! Acknowledgements, in both directions.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_channel::oneshot;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::{
    server::{AckOutcome, AckToken},
    socket::{EncodeError, PayloadRef},
};

use super::Socket;
use crate::{ArgsError, EmitError, TypedEvent, lent};

/// With which a handler acknowledges an event. The first answer is sent, also when this was cloned; without any, the
/// client waits in vain.
///
/// An extractor: where the client did not ask for an acknowledgement, answers go nowhere (and `Option<Ack>` is `None`).
/// `Ack<E>` acknowledges a [`TypedEvent`](trait@crate::TypedEvent), and with nothing else than that event says.
///
/// ```
/// # use sockeye_driver::{Ack, Args, Config, Server};
/// # let io = Server::new(Config::default());
/// io.on("add", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
/// ```
pub struct Ack<E = ()> {
    asked: Option<Arc<Asked>>,
    event: PhantomData<fn(E)>,
}

struct Asked<F: ?Sized = Reply> {
    max_attachments: usize,
    is_sent: AtomicBool,
    reply: F,
}

/// Sends an acknowledgement.
type Reply = dyn Fn(PayloadRef<'_>) -> Result<(), EmitError> + Send + Sync;

/// Why an acknowledgement was not sent.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::AckSendError;
///
/// io.on("race", async |ack: Ack| {
///     let other = ack.clone();
///     ack.send(&"first")?;
///     assert_eq!(other.send(&"second"), Err(AckSendError::AlreadySent));
///     Ok::<_, AckSendError>(())
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckSendError {
    /// One was sent before.
    #[error("the acknowledgement was sent before")]
    AlreadySent,
    /// It cannot be encoded. Another one may still be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The socket is gone; or its queue is full, and the acknowledgement may be sent once there is room.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl Ack {
    pub(super) fn new(socket: Socket, token: AckToken) -> Self {
        let max_attachments = socket.max_attachments();
        Self::by(max_attachments, move |answer| socket.say(|connection, now| connection.reply(now, &token, answer)))
    }

    pub(crate) fn by(
        max_attachments: usize,
        reply: impl Fn(PayloadRef<'_>) -> Result<(), EmitError> + Send + Sync + 'static,
    ) -> Self {
        let asked = Asked { max_attachments, is_sent: AtomicBool::new(false), reply };
        Self { asked: Some(Arc::new(asked)), event: PhantomData }
    }

    /// The same for that event alone.
    pub(crate) fn typed<E>(&self) -> Ack<E> {
        Ack { asked: self.asked.clone(), event: PhantomData }
    }

    /// Answers: a tuple is several arguments, `()` none, anything else one; bytes are attachments. Where the client
    /// asked for none, nothing happens.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("divide", async |Args((a, b)): Args<(f64, f64)>, ack: Ack| match b {
    ///     // As in Node: an error, or nothing and the result.
    ///     0.0 => ack.send(&("by zero",)),
    ///     b => ack.send(&(None::<&str>, a / b)),
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckSendError`]: it was sent before, cannot be encoded, or the socket is gone; or the send queue is full, and then
    /// it can be sent again.
    pub fn send<T: Serialize + ?Sized>(&self, answer: &T) -> Result<(), AckSendError> {
        self.reply(answer)
    }
}

impl<E: TypedEvent> Ack<E> {
    /// Answers with the acknowledgement of this event. Where the client asked for none, nothing happens.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = f64)]
    /// struct Divide(f64, f64);
    ///
    /// io.on_event(async |Divide(a, b): Divide, ack: Ack<Divide>| ack.send(&(a / b)));
    /// ```
    ///
    /// # Errors
    ///
    /// As without a type.
    pub fn send(&self, answer: &E::Ack) -> Result<(), AckSendError> {
        self.reply(answer)
    }
}

impl<E> Ack<E> {
    /// Whether the client asked for an acknowledgement.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("report", async |ack: Ack| {
    ///     // Work that nobody wants to hear of can be left out.
    ///     if ack.is_requested() { ack.send(&[1, 2, 3].iter().sum::<i32>()) } else { Ok(()) }
    /// });
    /// ```
    pub fn is_requested(&self) -> bool {
        self.asked.is_some()
    }

    fn reply<T: Serialize + ?Sized>(&self, answer: &T) -> Result<(), AckSendError> {
        let Some(asked) = &self.asked else { return Ok(()) };
        lent::encoder(|encoder| {
            let payload = encoder.ack(answer, asked.max_attachments)?;
            if asked.is_sent.swap(true, Ordering::AcqRel) {
                return Err(AckSendError::AlreadySent);
            }
            let sent = (asked.reply)(payload);
            if let Err(EmitError::Full(_)) = sent {
                // Nothing was sent: it may be tried again.
                asked.is_sent.store(false, Ordering::Release);
            }
            Ok(sent?)
        })
    }
}

impl<E> Clone for Ack<E> {
    fn clone(&self) -> Self {
        Self { asked: self.asked.clone(), event: PhantomData }
    }
}

/// One that nobody has asked for.
impl<E> Default for Ack<E> {
    fn default() -> Self {
        Self { asked: None, event: PhantomData }
    }
}

impl<E> fmt::Debug for Ack<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("requested", &self.is_requested()).finish()
    }
}

/// Why there is no answer to an event that asked for one.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("ask", async |socket: Socket| match socket.emit_with_ack::<u32>("age?", &()).await {
///     Ok(age) => println!("{age}"),
///     Err(AckError::Timeout | AckError::Disconnected) => println!("no answer"),
///     Err(AckError::Args(error)) => println!("no age: {error}"),
///     Err(error) => println!("not asked: {error}"),
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The client did not answer in time.
    #[error("operation has timed out")]
    Timeout,
    /// The socket was disconnected before the client answered.
    #[error("socket has been disconnected")]
    Disconnected,
    /// The answer is not what the type expects.
    #[error("acknowledgement: {0}")]
    Args(#[from] ArgsError),
    /// The event was not sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// The acknowledgement of an event that was sent with [`Socket::emit_with_ack`]: a future. Dropping it changes nothing
/// for the client.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on_connect(async |socket: Socket| {
///     // Both are sent now, and awaited afterwards.
///     let name = socket.emit_with_ack::<String>("name?", &());
///     let age = socket.emit_with_ack::<u32>("age?", &());
///     println!("{} is {}", name.await?, age.await?);
///     Ok::<_, AckError>(())
/// });
/// ```
#[must_use = "the event is sent; its acknowledgement is awaited by this future"]
pub struct Acknowledgement<R> {
    receiver: Result<oneshot::Receiver<AckOutcome>, EmitError>,
    result: PhantomData<fn() -> R>,
}

impl<R> Acknowledgement<R> {
    pub(crate) fn new(receiver: Result<oneshot::Receiver<AckOutcome>, EmitError>) -> Self {
        Self { receiver, result: PhantomData }
    }
}

impl<R: DeserializeOwned> Future for Acknowledgement<R> {
    type Output = Result<R, AckError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().receiver {
            Err(error) => Poll::Ready(Err(error.clone().into())),
            Ok(receiver) => {
                // A server that is gone has dropped the sender.
                Pin::new(receiver).poll(cx).map(|outcome| read(outcome.unwrap_or(AckOutcome::Disconnected)))
            }
        }
    }
}

impl<R> fmt::Debug for Acknowledgement<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}

/// Who waits for one acknowledgement.
pub(crate) enum Waiter {
    Future(oneshot::Sender<AckOutcome>),
    Callback(Box<dyn FnOnce(AckOutcome) + Send>),
}

impl Waiter {
    /// Brings the outcome to whoever waits. A callback may panic.
    pub(crate) fn settle(self, outcome: AckOutcome) {
        match self {
            // Nobody waits any more: that is their choice.
            Self::Future(sender) => _ = sender.send(outcome),
            Self::Callback(callback) => callback(outcome),
        }
    }
}

/// What an outcome is to the application.
pub(crate) fn read<T: DeserializeOwned>(outcome: AckOutcome) -> Result<T, AckError> {
    match outcome {
        AckOutcome::Reply(args) => Ok(args.deserialize()?),
        AckOutcome::Timeout => Err(AckError::Timeout),
        _ => Err(AckError::Disconnected),
    }
}
