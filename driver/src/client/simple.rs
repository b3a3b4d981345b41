//! A client without handlers: calls that wait.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::Stream as _;
use serde::{Serialize, de::DeserializeOwned};
use sockeye_protocol::client::Delivery;

use super::{Client, ClientBuilder, ClientError, ClientEvent, Events, SocketBuilder};
use crate::{
    AckError, EmitError, Event,
    runtime::{Either, either},
};

/// A client that is told what to do, one thing after the other: emit, call, receive. (`SimpleClient` of python-socketio.)
///
/// Lost connections are made anew out of sight: whoever calls meanwhile waits, and what was emitted before goes first. When
/// there will be no connection any more, all calls say so.
///
/// The runtimes' crates connect one: `SimpleClient::connect(url)`, or with options
/// [`connect_simple`](ClientBuilder::connect_simple). Nothing that the server says from the first moment on is missed; how
/// much of it may wait to be received is said at [`Events`]. Before [`receive`](Self::receive) was called once, it holds up
/// nobody: a client that only sends never calls it. Of more than [`Limits::parked`](super::Limits::parked) events, or more bytes
/// than one packet may have, the oldest are dropped then.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { served(async |io: Server, url: String| {
/// # io.on_connect(async |socket: Socket| socket.emit("welcome", &"somebody"));
/// use sockeye_driver::client::SimpleClient;
///
/// let mut client = SimpleClient::connect(&url).await?;
/// let welcome = client.receive(Duration::from_secs(60)).await?;
/// assert_eq!((welcome.name(), welcome.args().deserialize::<String>()?), ("welcome", "somebody".into()));
///
/// client.emit("say", &"hello").await?;
/// assert_eq!(client.receive(None).await?.name(), "said");
///
/// let echo: String = client.call("echo", &"hello", Duration::from_secs(60)).await?;
/// assert_eq!(echo, "hello");
/// client.disconnect();
/// # Ok(()) }) }
/// ```
pub struct SimpleClient {
    client: Client,
    events: Events,
    /// Whether somebody receives.
    is_wanted: Arc<AtomicBool>,
}

/// Why nothing was received.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { served(async |io: Server, url: String| {
/// use sockeye_driver::client::{ReceiveError, SimpleClient};
///
/// let mut client = SimpleClient::connect(&url).await?;
/// assert_eq!(client.receive(Duration::from_millis(10)).await.unwrap_err(), ReceiveError::Timeout);
/// # Ok(()) }) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing came in time.
    #[error("nothing was received in time")]
    Timeout,
    /// There is no connection, and there will be none.
    #[error("the client is disconnected")]
    Disconnected,
}

impl SimpleClient {
    /// Sends an event, as [`Client::emit`] does: at once, or when there is a connection again. Events that wait for that
    /// keep their order.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # use sockeye_driver::client::SimpleClient;
    /// let client = SimpleClient::connect(&url).await?;
    /// client.emit("position", &(1.5, -2.0)).await?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`]: it cannot be encoded, or there is no connection any more.
    pub async fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        if self.is_closed() {
            return Err(EmitError::NotConnected);
        }
        match self.client.deliver(event, args).await? {
            Delivery::Waiting => self.client.connected().await.map_err(|_| EmitError::NotConnected),
            _ => Ok(()),
        }
    }

    /// Sends an event, and waits for its acknowledgement; the time includes that until there is a connection, if there is
    /// none.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # use sockeye_driver::client::SimpleClient;
    /// let client = SimpleClient::connect(&url).await?;
    /// let answer: String = client.call("echo", &"hello", Duration::from_secs(60)).await?;
    /// assert_eq!(answer, "hello");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckError`]: nothing, or something else, was answered in time; the connection on which the event was sent is lost
    /// (so nobody knows whether it arrived); or there is no connection any more.
    pub async fn call<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<R, AckError> {
        if self.is_closed() {
            return Err(AckError::Disconnected);
        }
        let answer = self.client.timeout(timeout).emit_with_ack(event, args);
        match either(answer, pin!(self.client.closed())).await {
            Either::Left(answer) => answer,
            Either::Right(_) => Err(AckError::Disconnected),
        }
    }

    /// Waits for the next event of the server: for as long, or `None` for as long as it takes. [`Event::ack`] answers one
    /// that asks for it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # io.on_connect(async |socket: Socket| Ok::<_, AckError>(socket.emit_with_ack::<u32>("age?", &()).await.map(drop)?));
    /// # use sockeye_driver::client::SimpleClient;
    /// let mut client = SimpleClient::connect(&url).await?;
    /// let event = client.receive(Duration::from_secs(60)).await?;
    /// match (event.name(), event.ack()) {
    ///     ("age?", Some(ack)) => ack.send(&42)?,
    ///     (name, _) => println!("{name}: {:?}", event.values()?),
    /// }
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. What came before the connection was closed is still received.
    pub async fn receive(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Event<Client>, ReceiveError> {
        let Self { client, events, is_wanted } = self;
        is_wanted.store(true, Ordering::Release);
        let mut next = pin!(async {
            loop {
                match poll_fn(|cx| Pin::new(&mut *events).poll_next(cx)).await {
                    Some(ClientEvent::Event(event)) => return Ok(event),
                    Some(_) => {}
                    None => return Err(ReceiveError::Disconnected),
                }
            }
        });
        let Some(timeout) = timeout.into() else { return next.await };
        match either(next.as_mut(), client.shared().runtime.sleep(timeout)).await {
            Either::Left(received) => received,
            Either::Right(()) => Err(ReceiveError::Timeout),
        }
    }

    /// The client inside, for its id and its state, and for handlers beside the calls.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # use sockeye_driver::client::SimpleClient;
    /// let client = SimpleClient::connect(&url).await?;
    /// println!("{:?} over {:?}", client.client().id(), client.client().transport());
    /// # Ok(()) }) }
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Disconnects, behind all that was sent. So does dropping it, if there is no other handle of the connection.
    ///
    /// Unless another namespace uses it, the connection is closed and the namespace is not left before, since the official
    /// server drops events that it reads in one turn with that. To the server this is a connection that went away
    /// (`transport close`), whose session it keeps for a while where it has connection state recovery; handlers of the
    /// [client inside](Self::client) see [`ForcedClose`](super::DisconnectReason::ForcedClose). Where another namespace does,
    /// this one is [left](Client::disconnect).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # use sockeye_driver::client::SimpleClient;
    /// SimpleClient::connect(&url).await?.disconnect();
    /// # Ok(()) }) }
    /// ```
    pub fn disconnect(self) {
        let id = self.client.socket_id();
        self.client.shared().with(|state, now| {
            if !state.is_any_active_but(id) {
                state.manager.close(now);
            }
            // And does not come back.
            state.manager.disconnect(now, id);
        });
    }

    fn is_closed(&self) -> bool {
        let id = self.client.socket_id();
        self.client.shared().look(|state| state.manager.is_abandoned(id))
    }
}

impl fmt::Debug for SimpleClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleClient").field("client", &self.client).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// The same as a client that is pulled from: see [`SimpleClient`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// let client = Client::builder(&url).auth(&std::collections::BTreeMap::from([("token", "abc")]))?;
    /// let client = client.connect_simple().await?;
    /// client.emit("say", &"hello").await?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_simple(self) -> Result<SimpleClient, ClientError> {
        self.build()?.connect_simple().await
    }
}

impl SocketBuilder {
    /// The same as a client that is pulled from: see [`SimpleClient`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let mut admin = client.of("/admin").connect_simple().await?;
    /// admin.emit("hello", &()).await?;
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_simple(self) -> Result<SimpleClient, ClientError> {
        let client = self.start();
        let is_wanted = Arc::default();
        let events = client.events_once_wanted(Arc::clone(&is_wanted));
        client.open();
        client.connected().await?;
        Ok(SimpleClient { client, events, is_wanted })
    }
}
