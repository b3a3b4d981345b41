//! Events for those who pull them, instead of having handlers called.

use std::{
    fmt,
    future::ready,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_core::Stream;
use sockeye_protocol::client::{DisconnectReason, Error};

use super::{
    Client, Manager, ManagerEvent, Packet,
    client::Inner,
    queue::{Feed, Queue, Taken, Weigh},
    shared::Shared,
};
use crate::{Event, ListenerId, handler, signal::Reasons};

/// What happens to a namespace: what [`Client::events`] gives.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use futures_util::StreamExt as _;
/// use sockeye_driver::client::ClientEvent;
///
/// let mut events = client.events();
/// client.emit("say", &"hello")?;
/// while let Some(event) = events.next().await {
///     match event {
///         ClientEvent::Connect { recovered } => println!("connected, missed nothing: {recovered}"),
///         ClientEvent::ConnectError(error) => println!("not connected: {error}"),
///         ClientEvent::Disconnect { reason, .. } => println!("disconnected: {reason}"),
///         ClientEvent::Event(event) => {
///             assert_eq!((event.name(), event.args().deserialize::<String>()?), ("said", "hello".into()));
///             client.disconnect(); // The last event says so.
///         }
///         _ => {}
///     }
/// }
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// It is connected (`connect`).
    Connect {
        /// Whether the server has restored the session of before: [`Client::is_recovered`].
        recovered: bool,
    },
    /// It could not be connected (`connect_error`).
    ConnectError(Error),
    /// It is disconnected (`disconnect`).
    Disconnect {
        /// Why.
        reason: DisconnectReason,
        /// What is behind the reason, if something is.
        error: Option<Error>,
    },
    /// An event of the server has arrived. [`Event::ack`] answers it.
    Event(Event<Client>),
}

impl ClientEvent {
    /// The server's event, if it is one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// use std::future::ready;
    /// use futures_util::StreamExt as _;
    ///
    /// // A stream of the server's events alone.
    /// let mut events = client.events().filter_map(|event| ready(event.into_event()));
    /// client.emit("say", &"hello")?;
    /// assert_eq!(events.next().await.unwrap().name(), "said");
    /// # Ok(()) }) }
    /// ```
    pub fn into_event(self) -> Option<Event<Client>> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// A stream of all that happens to a namespace, from when it was made on: [`Client::events`].
///
/// Handlers are called as well. Dropping it costs nothing but what has not been taken.
///
/// # Where it ends
///
/// After the event with which the namespace is not connected any more, and will not be by itself: the server or this side
/// has disconnected it, it was refused, or all attempts have failed. (After [`open`](Client::open) there is another stream
/// to be had.) Also with the last handle of the client: the stream is none, but each event that was taken from it is
/// ([`Event::socket`]).
///
/// # When it is slow
///
/// What has arrived waits for whoever takes it. When [`Limits::parked`](super::Limits::parked) events do, 1,024 by default, or
/// more bytes than one packet may have ([`Limits::max_packet_bytes`](super::Limits::max_packet_bytes), 100 MiB by default), the
/// server is not read from any more, so that it has to wait, until half of that is taken; what was read before comes on
/// top, one read or one answer of polling at most (whose packets, where they are as small as can be, take some twenty times
/// the memory of its bytes: [`Limits::max_payload`](super::Limits::max_payload) bounds them). Up to there acknowledgements, pings and the end of a connection still
/// come in; what is emitted, acknowledgements among it, goes out at any time.
///
/// So whoever awaits an acknowledgement while others fill the stream should give it a
/// [`timeout`](Client::timeout), or await it elsewhere: behind more events than that it does not arrive before they are
/// taken.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use futures_util::StreamExt as _;
/// use sockeye_driver::client::Events;
///
/// let mut events: Events = client.events();
/// drop(client);
/// assert!(events.next().await.is_none());
/// # Ok(()) }) }
/// ```
#[must_use = "a stream is to be polled; until then it holds up the server"]
pub struct Events {
    queue: Arc<Queue<ClientEvent>>,
    client: Weak<Inner>,
    shared: Arc<Shared>,
    listeners: [ListenerId; 4],
}

impl Client {
    /// All that happens to this namespace from here on, as a stream: for a loop that pulls instead of handlers that are
    /// called. [`Events`] says where it ends, and what happens when the loop is slow.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { served(async |io: Server, url: String| {
    /// # io.on_connect(async |socket: Socket| socket.emit("welcome", &1));
    /// use futures_util::StreamExt as _;
    /// use sockeye_driver::client::ClientEvent;
    ///
    /// // Made before there is a connection, it misses nothing.
    /// let client = Client::builder(&url).auto_connect(false).start()?;
    /// let mut events = client.events();
    /// client.open();
    /// assert!(matches!(events.next().await, Some(ClientEvent::Connect { .. })));
    /// let Some(ClientEvent::Event(event)) = events.next().await else { panic!() };
    /// assert_eq!(event.name(), "welcome");
    /// # Ok(()) }) }
    /// ```
    pub fn events(&self) -> Events {
        self.events_once_wanted(Arc::new(AtomicBool::new(true)))
    }

    /// The same; until somebody wants them, the oldest go where there are too many, and nothing holds up the server.
    pub(super) fn events_once_wanted(&self, is_wanted: Arc<AtomicBool>) -> Events {
        let shared = Arc::clone(self.shared());
        let queue = Arc::new(Queue::new(shared.room, shared.behind()));
        let feed = Arc::new(Feed(Arc::clone(&queue)));
        let [connect, refusal, end] = [(); 3].map(|()| (Arc::clone(&feed), Arc::clone(&is_wanted)));
        // What tells of the connection comes although nothing is read.
        let tell = |(feed, is_wanted): &(Arc<Feed<ClientEvent>>, Arc<AtomicBool>), event| match is_wanted
            .load(Ordering::Acquire)
        {
            true => feed.0.push_or_replace(event, is_status),
            false => feed.0.push_unless_full(event),
        };
        let listeners = [
            self.on_any(move |event| {
                // Without the client, which it would keep connected.
                let event = Event { socket: None, ..event.clone() };
                match is_wanted.load(Ordering::Acquire) {
                    true => feed.0.push(ClientEvent::Event(event)),
                    false => feed.0.push_unless_full(ClientEvent::Event(event)),
                }
            }),
            self.on_connect(move |client: Self| {
                tell(&connect, ClientEvent::Connect { recovered: client.is_recovered() });
                ready(())
            }),
            self.on_connect_error(move |error: Error| {
                tell(&refusal, ClientEvent::ConnectError(error));
                ready(())
            }),
            self.on_disconnect(move |reason: DisconnectReason, error: Option<Error>| {
                tell(&end, ClientEvent::Disconnect { reason, error });
                ready(())
            }),
        ];
        shared.follow(self.socket_id(), Arc::clone(&queue));
        Events { queue, client: Arc::downgrade(self.inner()), shared, listeners }
    }
}

impl Weigh for ClientEvent {
    fn weight(&self) -> usize {
        match self {
            Self::Event(event) => handler::size(event.name(), event.args()),
            // Few, whatever happens.
            _ => 0,
        }
    }
}

impl Weigh for ManagerEvent {
    fn weight(&self) -> usize {
        match self {
            Self::Packet(Packet::Event { event, args, .. }) => handler::size(event, args),
            Self::Packet(Packet::Ack { args, .. }) => handler::size("", args),
            Self::Packet(Packet::ConnectError { data, .. }) => data.raw().len(),
            Self::Discarded { json } => json.len(),
            _ => 0,
        }
    }
}

/// Whether it tells of the connection, which may come and go while nobody takes its events.
fn is_status(event: &ClientEvent) -> bool {
    !matches!(event, ClientEvent::Event(_))
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Taken { event, has_room_again } = self.queue.poll_next(cx);
        if has_room_again {
            // Reading goes on.
            self.shared.signal.raise(Reasons::MACHINE);
        }
        event.map(|event| {
            event.map(|event| match event {
                ClientEvent::Event(event) => {
                    ClientEvent::Event(Event { socket: self.client.upgrade().map(Client), ..event })
                }
                other => other,
            })
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(client) = self.client.upgrade() {
            let client = Client(client);
            for listener in self.listeners {
                client.off(listener);
            }
        }
        self.queue.close();
        self.shared.forget_stream(&self.queue);
        self.shared.signal.raise(Reasons::MACHINE);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// A stream of all that happens to the connection, from when it was made on: [`Manager::events`].
///
/// It ends with the last handle of the connection, which it is none of. Where more than
/// [`Limits::parked`](super::Limits::parked) events wait, 1,024 by default, or more bytes than one packet may have, the oldest
/// are dropped: nobody can be asked to slow down here.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use futures_util::StreamExt as _;
/// use sockeye_driver::client::{ManagerEvent, ManagerEvents};
///
/// let mut events: ManagerEvents = client.manager().events();
/// drop(client);
/// while let Some(event) = events.next().await {
///     println!("{event:?}"); // `Close`, at the end.
/// }
/// # Ok(()) }) }
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct ManagerEvents {
    queue: Arc<Queue<ManagerEvent>>,
    shared: Arc<Shared>,
    listener: ListenerId,
}

impl Manager {
    /// All that happens to the connection from here on, as a stream.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// use futures_util::StreamExt as _;
    /// use sockeye_driver::client::ManagerEvent;
    ///
    /// let mut events = client.manager().events();
    /// client.manager().close();
    /// let closed = async |event: ManagerEvent| matches!(event, ManagerEvent::Close { .. });
    /// assert!(events.any(closed).await);
    /// # Ok(()) }) }
    /// ```
    pub fn events(&self) -> ManagerEvents {
        let shared = Arc::clone(&self.shared);
        // It holds up nobody: no owner looks at this count.
        let queue = Arc::new(Queue::new(shared.room, Arc::default()));
        let feed = Feed(Arc::clone(&queue));
        let listener = self.on(move |event| feed.0.push_newest(event.clone()));
        ManagerEvents { queue, shared, listener }
    }
}

impl Stream for ManagerEvents {
    type Item = ManagerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_next(cx).event
    }
}

impl Drop for ManagerEvents {
    fn drop(&mut self) {
        self.shared.unlisten(self.listener);
    }
}

impl fmt::Debug for ManagerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerEvents").finish_non_exhaustive()
    }
}
