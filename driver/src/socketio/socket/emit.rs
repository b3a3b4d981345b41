//! What a socket is sent.

use std::{task::Poll, time::Duration};

use futures_channel::oneshot;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::{
    Text,
    socket::{Payload, PayloadRef},
};

use super::Socket;
use crate::{
    EmitError, Event, TypedEvent,
    handler::Listeners,
    layer::Layer as _,
    lent,
    socketio::{
        AckError, Acknowledgement,
        ack::{self, Waiter},
    },
};

impl Socket {
    /// Sends an event: a tuple is several arguments, `()` none, anything else one; [`bytes::Bytes`] anywhere in them
    /// are binary attachments. Never waits.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(serde::Serialize)]
    /// struct File {
    ///     name: String,
    ///     content: bytes::Bytes,
    /// }
    /// io.on_connect(async |socket: Socket| {
    ///     socket.emit("nothing", &())?;
    ///     socket.emit("one argument", "text")?;
    ///     socket.emit("three arguments", &(1, true, [2.5, 3.5].as_slice()))?;
    ///     socket.emit("file", &File { name: "a.bin".into(), content: bytes::Bytes::from_static(b"\x00\x01") })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the arguments cannot be encoded, the socket is gone, or its send queue is full.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        lent::encoder(|encoder| self.send_payload(event, encoder.event(event, args, self.max_attachments())?))
    }

    /// Sends the event `message`: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| socket.send("hello"));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        self.emit("message", args)
    }

    /// Sends an event, and waits for room in the send queue if it is full: for those who produce faster than the client
    /// takes. (With a [`QueuePolicy`](crate::QueuePolicy) other than `Error` there is nothing to wait for.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("download", async |socket: Socket| {
    ///     for chunk in [&b"first"[..], b"second"] {
    ///         socket.emit_wait("chunk", &bytes::Bytes::from_static(chunk)).await?;
    ///     }
    ///     socket.emit_wait("end", &()).await
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the arguments cannot be encoded, or the socket is gone.
    pub async fn emit_wait<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = Payload::event(event, args, self.max_attachments())?;
        let payload = PayloadRef::from(&payload);
        self.announce_outgoing(event, payload);
        std::future::poll_fn(|cx| {
            if self.is_logged() {
                return match self.0.server.emit_logged(&self.0.link, self.0.key, payload, Some(cx.waker())) {
                    Err(EmitError::Full(_)) => Poll::Pending,
                    sent => Poll::Ready(sent),
                };
            }
            let now = self.0.server.core().now();
            let is_full = |error: &EmitError| matches!(error, EmitError::Full(_));
            self.0
                .link
                .send(now, cx, is_full, |connection| connection.emit(now, self.0.key, payload))
                .map(|sent| sent.unwrap_or(Err(EmitError::NotConnected)))
        })
        .await
    }

    /// Sends an event at once; the future waits for the client's acknowledgement, for
    /// [`Config::ack_timeout`](crate::Config::ack_timeout) at most. A tuple takes its arguments in turn, anything else
    /// the first.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let (name, age): (String, Option<u32>) = socket.emit_with_ack("who are you", &()).await?;
    ///     println!("{name}, {age:?}");
    ///     Ok::<_, BoxError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// From the future, [`AckError`]: the client did not answer in time or with something else, the socket is gone, or
    /// nothing was sent.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        self.default_timeout().emit_with_ack(event, args)
    }

    /// Sends a typed event: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct Welcome {
    ///     to: String,
    /// }
    ///
    /// io.on_connect(async |socket: Socket| socket.emit_event(&Welcome { to: "the lobby".into() }));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<(), EmitError> {
        self.emit(E::NAME, &event.args())
    }

    /// Sends a typed event at once; the future waits for its acknowledgement: see [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = u32)]
    /// struct HowOld;
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     let age = socket.emit_event_with_ack(&HowOld).await?;
    ///     println!("{age} years");
    ///     Ok::<_, AckError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.default_timeout().emit_event_with_ack(event)
    }

    /// Sends an event, and calls back with the client's acknowledgement, or with what came in its place: see
    /// [`emit_with_ack`](Self::emit_with_ack). The callback runs in the connection's task, so it should be short; it is
    /// dropped without being called only if the server was ended by the deadline of its shutdown.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("order", async |socket: Socket| {
    ///     let asked = socket.clone();
    ///     socket.emit_then("sure?", &(), move |answer| {
    ///         let sure: bool = answer.unwrap_or(false);
    ///         println!("{}: {sure}", asked.id());
    ///     })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: nothing was sent, and nothing will be called.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.default_timeout().emit_then(event, args, callback)
    }

    /// For the next emit: how long its acknowledgement may take.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let asked = socket.timeout(Duration::from_secs(5));
    ///     match asked.emit_with_ack::<String>("who are you", &()).await {
    ///         Ok(name) => println!("{name}"),
    ///         Err(AckError::Timeout) => socket.disconnect(true),
    ///         Err(error) => println!("no name: {error}"),
    ///     }
    /// });
    /// ```
    pub fn timeout(&self, timeout: Duration) -> Timeout<'_> {
        Timeout { socket: self, timeout }
    }

    fn default_timeout(&self) -> Timeout<'_> {
        self.timeout(self.0.server.core().config.ack_timeout)
    }

    fn send_payload(&self, event: &str, payload: PayloadRef<'_>) -> Result<(), EmitError> {
        self.announce_outgoing(event, payload);
        if self.is_logged() {
            return self.0.server.emit_logged(&self.0.link, self.0.key, payload, None);
        }
        self.say(|connection, now| connection.emit(now, self.0.key, payload))
    }

    /// Shows an event to those who want to see what is sent. No lock is held.
    fn announce_outgoing(&self, event: &str, payload: PayloadRef<'_>) {
        let of_namespace = &self.0.namespace.listeners;
        if !of_namespace.hears_outgoing() && !self.listeners().is_some_and(Listeners::hears_outgoing) {
            return;
        }
        let (of_namespace, of_socket) = (of_namespace.table(), self.listeners().map(Listeners::table));
        let own = of_socket.iter().flat_map(|table| table.outgoing.iter());
        let args = payload.to_payload().to_args().unwrap_or_default();
        let event = Event { socket: Some(self.clone()), name: Text::from(event), args, ack: None };
        of_namespace.outgoing.iter().chain(own).for_each(|listener| (listener.call)(&event));
    }
}

/// A socket, and how long the acknowledgement of the next emit may take: [`Socket::timeout`].
///
/// ```
/// # use std::time::Duration;
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("ask", async |socket: Socket| {
///     let soon = socket.timeout(Duration::from_secs(1));
///     soon.emit_then("a", &1, |answer: Result<String, AckError>| println!("{answer:?}"))?;
///     let answer: String = soon.emit_with_ack("b", &2).await?;
///     println!("{answer}");
///     Ok::<_, BoxError>(())
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a timeout is for an emit"]
pub struct Timeout<'a> {
    socket: &'a Socket,
    timeout: Duration,
}

impl Timeout<'_> {
    /// Sends an event at once; the future waits for the acknowledgement: see [`Socket::emit_with_ack`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on("roll", async |socket: Socket| {
    ///     let sum: u32 = match socket.timeout(Duration::from_secs(3)).emit_with_ack("dice", &2).await {
    ///         Ok((a, b)) => u32::min(a, 6) + u32::min(b, 6),
    ///         Err(_) => 7, // Who does not roll gets the average.
    ///     };
    ///     socket.emit("rolled", &sum)
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        let (sender, receiver) = oneshot::channel();
        Acknowledgement::new(self.emit(event, args, Waiter::Future(sender)).map(|()| receiver))
    }

    /// Sends a typed event at once; the future waits for its acknowledgement: see [`Socket::emit_event_with_ack`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// #[event(ack = (u8, u8))]
    /// struct Dice;
    ///
    /// io.on("roll", async |socket: Socket| {
    ///     let (a, b) = socket.timeout(Duration::from_secs(3)).emit_event_with_ack(&Dice).await?;
    ///     println!("{a} and {b}");
    ///     Ok::<_, AckError>(())
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there, from the future.
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.emit_with_ack(E::NAME, &event.args())
    }

    /// Sends an event, and calls back with the client's acknowledgement: see [`Socket::emit_then`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let asked = socket.clone();
    ///     socket.timeout(Duration::from_secs(60)).emit_then("do you agree?", &(), move |answer| {
    ///         if answer != Ok(true) {
    ///             asked.disconnect(true);
    ///         }
    ///     })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.emit(event, args, Waiter::Callback(Box::new(move |outcome| callback(ack::read(outcome)))))
    }

    fn emit(&self, event: &str, args: &(impl Serialize + ?Sized), waiter: Waiter) -> Result<(), EmitError> {
        lent::encoder(|encoder| {
            let payload = encoder.event(event, args, self.socket.max_attachments())?;
            self.socket.announce_outgoing(event, payload);
            self.send_payload(payload, waiter)
        })
    }

    fn send_payload(&self, payload: PayloadRef<'_>, waiter: Waiter) -> Result<(), EmitError> {
        let inner = &self.socket.0;
        let now = inner.server.core().now();
        // Out here, where it is dropped without the lock if nothing was sent: what a callback captured may do anything then.
        let mut waiter = Some(waiter);
        let sent = inner.link.with(now, |connection, rest| {
            let id = connection.emit_with_ack(now, inner.key, payload, self.timeout)?;
            waiter.take().map(|waiter| rest.beside.insert((inner.key, id), waiter));
            Ok(())
        });
        sent.unwrap_or(Err(EmitError::NotConnected))
    }
}
