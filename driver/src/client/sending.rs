//! What a client sends: events, and the acknowledgements that it asks for.

use std::time::Duration;

use futures_channel::oneshot;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::{
    Instant,
    client::{AckId, Delivery, EmitError as CoreEmitError, Flags},
    socket::{Payload, PayloadRef},
};

use super::{Client, shared::State};
use crate::{
    AckError, Acknowledgement, EmitError, Event, TypedEvent,
    handler::{self, HandlerError},
    lent,
    socketio::{Waiter, read_outcome},
};

impl Client {
    /// Sends an event: a tuple is several arguments, `()` none, anything else one; bytes are attachments. While the
    /// namespace is not connected, it waits.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(serde::Serialize)]
    /// struct File {
    ///     name: String,
    ///     content: bytes::Bytes,
    /// }
    ///
    /// client.emit("nothing", &())?;
    /// client.emit("one argument", "text")?;
    /// client.emit("three arguments", &(1, true, [2.5, 3.5].as_slice()))?;
    /// client.emit("file", &File { name: "a.bin".into(), content: bytes::Bytes::from_static(b"\x00\x01") })?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: it cannot be encoded, or too much waits to be sent.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.emit_flagged(event, args, Flags::default()).map(drop)
    }

    /// Sends the event `message`: see [`emit`](Self::emit).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.send("hello")?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        self.emit("message", args)
    }

    /// Sends an event, and waits for room if as much waits to be sent as may: for those who produce faster than the server
    /// takes. While there is no connection, room is what [`Offline::Buffer`](super::Offline::Buffer) allows; it is waited
    /// for as long as connecting goes on.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// for row in 0..100 {
    ///     client.emit_wait("row", &(row, "a row of a long table")).await?;
    /// }
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: it cannot be encoded; there is no connection and events are [not kept](super::Offline::Reject); or
    /// nothing will make room: nobody connects the namespace any more.
    pub async fn emit_wait<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.deliver(event, args).await.map(drop)
    }

    /// For events that may be lost: they are dropped if they cannot leave at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.disconnect();
    /// assert!(!client.volatile().emit("position", &(1.5, -2.0))?); // It was not sent, and will not be.
    /// # Ok(()) }) }
    /// ```
    pub fn volatile(&self) -> Volatile<'_> {
        Volatile(self)
    }

    /// Sends an event and asks for an acknowledgement, a future. There is no bound for the answer but the end of the
    /// connection, unless [`ack_timeout`](super::ClientBuilder::ack_timeout) says one. An event that was not sent waits for a
    /// connection, and its acknowledgement with it: as in JavaScript, for [`open`](Self::open) where the namespace was refused,
    /// or disconnected by either side. A [`timeout`](Self::timeout) bounds that, too, and
    /// [`clear_buffer`](Self::clear_buffer) ends it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// // Both are sent now, and awaited afterwards.
    /// let one = client.emit_with_ack::<String>("echo", &"one");
    /// let two = client.emit_with_ack::<String>("echo", &"two");
    /// assert_eq!((one.await?, two.await?), ("one".into(), "two".into()));
    /// # Ok(()) }) }
    /// ```
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        self.without_timeout().emit_with_ack(event, args)
    }

    /// Sends a typed event: see [`emit`](Self::emit).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// struct Say(String);
    ///
    /// client.emit_event(&Say("hello".into()))?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<(), EmitError> {
        self.emit(E::NAME, &event.args())
    }

    /// Sends a typed event, and asks for its acknowledgement: see [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// #[event(ack = String)]
    /// struct Echo(String);
    ///
    /// assert_eq!(client.emit_event_with_ack(&Echo("hello".into())).await?, "hello");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckError`], from the future.
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.without_timeout().emit_event_with_ack(event)
    }

    /// Sends an event, and has the acknowledgement given to a callback, which runs in the task of the connection: it should
    /// be short.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let (sender, receiver) = futures_channel::oneshot::channel();
    /// client.emit_then("echo", &"hello", |answer: Result<String, AckError>| {
    ///     sender.send(answer).unwrap();
    /// })?;
    /// assert_eq!(receiver.await?, Ok("hello".into()));
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit); the callback is not called then.
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.without_timeout().emit_then(event, args, callback)
    }

    /// For an emit whose acknowledgement has this much time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let soon = client.timeout(Duration::from_millis(10));
    /// assert_eq!(soon.emit_with_ack::<()>("nobody listens", &()).await, Err(AckError::Timeout));
    /// # Ok(()) }) }
    /// ```
    pub fn timeout(&self, timeout: Duration) -> Timeout<'_> {
        Timeout { timeout: Some(timeout), ..self.without_timeout() }
    }

    /// Events that wait to be sent, and their bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.disconnect();
    /// client.emit("hello", &1)?;
    /// assert_eq!(client.buffered(), (1, r#"["hello",1]"#.len()));
    /// # Ok(()) }) }
    /// ```
    pub fn buffered(&self) -> (usize, usize) {
        let (shared, id) = (self.shared(), self.socket_id());
        shared.look(|state| state.manager.buffered(id))
    }

    /// Drops the events that wait to be sent (`socket.sendBuffer = []`): their acknowledgements end, and
    /// [`ManagerEvent::Discarded`](super::ManagerEvent::Discarded) names each. How many they were.
    ///
    /// What has waited is sent before [`on_connect`](Self::on_connect) handlers are called. So what should not outlive its
    /// connection is dropped before: in [`on_disconnect`](Self::on_disconnect), or where
    /// [`auth_with`](super::ClientBuilder::auth_with) is asked.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.disconnect();
    /// client.emit("say", &"stale")?;
    /// assert_eq!(client.clear_buffer(), 1);
    /// client.emit("say", &"fresh")?;
    /// client.open();
    /// # let (sender, receiver) = futures_channel::mpsc::unbounded();
    /// # client.on("said", move |Args(text): Args<String>| { sender.unbounded_send(text).unwrap(); async {} });
    /// # assert_eq!(futures_util::StreamExt::into_future(receiver).await.0.as_deref(), Some("fresh"));
    /// # Ok(()) }) }
    /// ```
    pub fn clear_buffer(&self) -> usize {
        let (shared, id) = (self.shared(), self.socket_id());
        shared.with(|state, now| state.manager.discard(now, id))
    }

    /// Sends an event once there is room. What has become of it.
    pub(super) async fn deliver<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<Delivery, EmitError> {
        let payload = Payload::event(event, args, self.shared().max_attachments)?;
        let (shared, id) = (self.shared(), self.socket_id());
        let delivery = std::future::poll_fn(|cx| {
            shared.send(cx, id, |manager, now| manager.emit(now, id, &payload, Flags::default()))
        });
        let delivery = delivery.await?;
        if delivery == Delivery::Sent {
            self.announce_outgoing(&payload);
        }
        Ok(delivery)
    }

    /// Tells who listens to what is sent.
    pub(super) fn announce_outgoing<'p>(&self, payload: impl Into<PayloadRef<'p>>) {
        if !self.listeners().hears_outgoing() {
            return;
        }
        let listeners = self.listeners().read(|table| table.outgoing.clone());
        let payload = payload.into().to_payload();
        let event = Event {
            socket: Some(self.clone()),
            name: payload.event_name().unwrap_or_default(),
            args: payload.to_args().unwrap_or_default(),
            ack: None,
        };
        handler::announce(listeners.iter(), &event, |fault| {
            self.listeners().report(&HandlerError { socket: self.clone(), event: Some(event.name.clone()), fault });
        });
    }

    fn without_timeout(&self) -> Timeout<'_> {
        Timeout { client: self, timeout: None, flags: Flags::default() }
    }

    fn emit_flagged<T: Serialize + ?Sized>(&self, event: &str, args: &T, flags: Flags) -> Result<Delivery, EmitError> {
        let id = self.socket_id();
        lent::encoder(|encoder| {
            let payload = encoder.event(event, args, self.shared().max_attachments)?;
            let delivery = self.shared().command(|manager, now| manager.emit(now, id, payload, flags))?;
            if delivery == Delivery::Sent {
                self.announce_outgoing(payload);
            }
            Ok(delivery)
        })
    }
}

/// For events that may be lost: what [`Client::volatile`] gives.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// let may_be_lost = client.volatile();
/// for step in 0..100 {
///     may_be_lost.emit("position", &step)?;
/// }
/// # Ok(()) }) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "this is for an emit"]
pub struct Volatile<'a>(&'a Client);

impl<'a> Volatile<'a> {
    /// Sends an event, or drops it. Whether it is on its way.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// if !client.volatile().emit("typing", &())? {
    ///     println!("not now");
    /// }
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<bool, EmitError> {
        self.0.emit_flagged(event, args, Flags::VOLATILE).map(|delivery| delivery == Delivery::Sent)
    }

    /// Sends a typed event, or drops it. Whether it is on its way.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// struct Position(f64, f64);
    ///
    /// client.volatile().emit_event(&Position(1.5, -2.0))?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<bool, EmitError> {
        self.emit(E::NAME, &event.args())
    }

    /// Sends an event, or drops it, and asks for an acknowledgement.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.disconnect();
    /// let dropped = client.volatile().emit_with_ack::<String>("echo", &"now or never").await;
    /// assert_eq!(dropped, Err(AckError::Emit(EmitError::Dropped)));
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// From the future, [`AckError`]: [`EmitError::Dropped`] if it was.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        self.without_timeout().emit_with_ack(event, args)
    }

    /// The same for an emit whose acknowledgement has this much time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let now_or_never = client.volatile().timeout(Duration::from_secs(5));
    /// let answer: Result<String, AckError> = now_or_never.emit_with_ack("echo", &"hello").await;
    /// println!("{answer:?}");
    /// # Ok(()) }) }
    /// ```
    pub fn timeout(&self, timeout: Duration) -> Timeout<'a> {
        Timeout { timeout: Some(timeout), ..self.without_timeout() }
    }

    fn without_timeout(&self) -> Timeout<'a> {
        Timeout { client: self.0, timeout: None, flags: Flags::VOLATILE }
    }
}

/// For an emit whose acknowledgement has a time: what [`Client::timeout`] gives.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// let patient = client.timeout(Duration::from_secs(60));
/// for text in ["one", "two"] {
///     assert_eq!(patient.emit_with_ack::<String>("echo", text).await?, text);
/// }
/// # Ok(()) }) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a timeout is for an emit"]
pub struct Timeout<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
    flags: Flags,
}

impl Timeout<'_> {
    /// As [`Client::emit_with_ack`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let answer: String = client.timeout(Duration::from_secs(60)).emit_with_ack("echo", &"hello").await?;
    /// assert_eq!(answer, "hello");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// From the future, [`AckError`]: the server did not answer in time or with something else, the connection is lost, or
    /// nothing was sent.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Acknowledgement<R> {
        let (sender, receiver) = oneshot::channel();
        Acknowledgement::new(self.emit(event, args, Waiter::Future(sender)).map(|()| receiver))
    }

    /// As [`Client::emit_event_with_ack`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// #[derive(TypedEvent)]
    /// #[event(ack = String)]
    /// struct Echo(String);
    ///
    /// let echo = Echo("hello".into());
    /// println!("{}", client.timeout(Duration::from_secs(60)).emit_event_with_ack(&echo).await?);
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit_with_ack`](Self::emit_with_ack).
    pub fn emit_event_with_ack<E: TypedEvent>(&self, event: &E) -> Acknowledgement<E::Ack> {
        self.emit_with_ack(E::NAME, &event.args())
    }

    /// As [`Client::emit_then`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let soon = client.timeout(Duration::from_secs(5));
    /// soon.emit_then("echo", &"hello", |answer: Result<String, AckError>| match answer {
    ///     Ok(text) => println!("{text}"),
    ///     Err(AckError::Timeout) => println!("no answer"),
    ///     Err(error) => println!("{error}"),
    /// })?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::emit`].
    pub fn emit_then<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        callback: impl FnOnce(Result<R, AckError>) + Send + 'static,
    ) -> Result<(), EmitError> {
        self.emit(event, args, Waiter::Callback(Box::new(move |outcome| callback(read_outcome(outcome)))))
    }

    fn emit(&self, event: &str, args: &(impl Serialize + ?Sized), waiter: Waiter) -> Result<(), EmitError> {
        let id = self.client.socket_id();
        // Out here, where it is dropped without the lock if nothing was sent.
        let mut waiter = Some(waiter);
        lent::encoder(|encoder| {
            let payload = encoder.event(event, args, self.client.shared().max_attachments)?;
            let emit = |state: &mut State, now: Instant| -> Result<(AckId, Delivery), CoreEmitError> {
                let sent = state.manager.emit_with_ack(now, id, payload, self.timeout, self.flags)?;
                state.wait_for(id, sent.0, &mut waiter);
                Ok(sent)
            };
            // A time that runs from here on runs from now, not from when this round began.
            let shared = self.client.shared();
            let is_timed = self.timeout.is_some() || self.client.has_ack_timeout();
            let sent = if is_timed { shared.with(emit) } else { shared.with_about(emit) };
            if sent?.1 == Delivery::Sent {
                self.client.announce_outgoing(payload);
            }
            Ok(())
        })
    }
}
