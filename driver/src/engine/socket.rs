//! Engine.IO sessions as streams and sinks of messages.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_sink::Sink;
use sockeye_protocol::{
    Sid,
    engine::{CloseReason, Message, SendError, Session},
};

use super::layer::EngineIo;
use crate::{layer::Layer as _, link::Link, signal::Reasons};

/// One session: a [`Stream`] of the messages that arrive, which ends with the session, and a [`Sink`] of those to send,
/// which waits while the send queue is full. Dropping it closes the session.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let engine = EngineServer::new(Config::default());
/// use futures_util::{SinkExt as _, StreamExt as _};
///
/// engine.on_connection(async |mut socket: EngineSocket| {
///     println!("{:?} over {:?}", socket.id(), socket.transport());
///     socket.send(Message::Text("hello".into())).await?;
///     while let Some(message) = socket.next().await {
///         match message {
///             Message::Text(text) => println!("{text}"),
///             Message::Binary(bytes) => println!("{} bytes", bytes.len()),
///         }
///     }
///     println!("closed: {:?}", socket.close_reason());
///     Ok::<_, BoxError>(())
/// });
/// ```
pub struct EngineSocket {
    server: Arc<EngineIo>,
    link: Arc<Link<Session>>,
    /// A message that found the send queue full.
    unsent: Option<Message>,
}

impl EngineSocket {
    pub(super) fn new(server: &Arc<EngineIo>, link: &Arc<Link<Session>>) -> Self {
        Self { server: Arc::clone(server), link: Arc::clone(link), unsent: None }
    }

    /// The session's id: a secret between client and server. `None` once the session is gone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// engine.on_connection(async |socket: EngineSocket| match socket.id() {
    ///     // To its client alone, and into no log: whoever knows it can take part in the session.
    ///     Some(id) => socket.try_send(Message::Text(id.to_string().into())),
    ///     None => Ok(()),
    /// });
    /// ```
    pub fn id(&self) -> Option<Sid> {
        self.link.look(Session::sid)
    }

    /// The transport in use, by its name: `polling` or `websocket` (Engine.IO protocol v4, "Transports"). `None` once
    /// the session is gone.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// engine.on_connection(async |socket: EngineSocket| match socket.transport() {
    ///     Some("websocket") => println!("at once"),
    ///     other => println!("{other:?}, which may be upgraded"),
    /// });
    /// ```
    pub fn transport(&self) -> Option<&'static str> {
        self.link.look(Session::transport_name)
    }

    /// Why the session is closed, if it is. Messages that came before may still be there to be taken.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// # use futures_util::StreamExt as _;
    /// use sockeye_driver::CloseReason;
    ///
    /// engine.on_connection(async |mut socket: EngineSocket| {
    ///     while socket.next().await.is_some() {}
    ///     if socket.close_reason() == Some(CloseReason::PingTimeout) {
    ///         println!("the client was lost");
    ///     }
    /// });
    /// ```
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.lock(self.server.core().now()).rest().beside.closed
    }

    /// Sends a message without waiting.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// engine.on_connection(async |socket: EngineSocket| socket.try_send(Message::Binary(vec![1, 2].into())));
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]: the session is closed, or its send queue is full.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.link.with(self.server.core().now(), |session, _| session.send(message)).unwrap_or(Err(SendError::Closed))
    }

    /// Closes the session; what was sent before still goes out.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let engine = EngineServer::new(Config::default());
    /// engine.on_connection(async |socket: EngineSocket| {
    ///     socket.try_send(Message::Text("wrong door".into()))?;
    ///     socket.close();
    ///     Ok::<_, BoxError>(())
    /// });
    /// ```
    pub fn close(&self) {
        let now = self.server.core().now();
        self.link.with(now, |session, _| session.close(now, CloseReason::ForcedClose));
    }

    /// Sends the message that found the send queue full.
    fn poll_unsent(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = &self.unsent else { return Poll::Ready(Ok(())) };
        let is_full = |error: &SendError| matches!(error, SendError::Full { .. });
        let now = self.server.core().now();
        let sent = ready!(self.link.send(now, cx, is_full, |session| session.send(message.clone())));
        self.unsent = None;
        Poll::Ready(sent.unwrap_or(Err(SendError::Closed)))
    }
}

impl Stream for EngineSocket {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut locked = self.link.lock(self.server.core().now());
        let inbox = &mut locked.rest().beside;
        let Some(message) = inbox.pop() else {
            if inbox.closed.is_some() {
                return Poll::Ready(None);
            }
            inbox.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let full = locked.rest().full;
        drop(locked);
        if full {
            // There is room for more.
            self.link.signal.raise(Reasons::LISTENER);
        }
        Poll::Ready(Some(message))
    }
}

impl Sink<Message> for EngineSocket {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_unsent(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        match self.try_send(message.clone()) {
            Err(SendError::Full { .. }) => {
                self.unsent = Some(message);
                Ok(())
            }
            sent => sent,
        }
    }

    /// What the queue holds is written by the session's owner: there is nothing to wait for but a place in it.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_unsent(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        let sent = this.poll_unsent(cx);
        if sent.is_ready() {
            Self::close(this);
        }
        sent
    }
}

impl Drop for EngineSocket {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSocket").field("transport", &self.transport()).finish_non_exhaustive()
    }
}
