//! The connection itself.

use std::{fmt, sync::Arc, time::Duration};

use sockeye_protocol::client::{Config, DisconnectReason, Error, Event as CoreEvent};

use super::{
    Packet, SocketBuilder,
    shared::{Keeper, Shared},
};
use crate::ListenerId;

/// What happens to the connection, whatever the namespace (the events of a `Manager` in JavaScript).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use sockeye_driver::client::ManagerEvent;
///
/// client.manager().on(|event| match event {
///     ManagerEvent::Close { reason, error } => println!("closed: {reason} {error:?}"),
///     ManagerEvent::ReconnectAttempt { attempt, waited } => println!("attempt {attempt}, after {waited:?}"),
///     ManagerEvent::Reconnect { attempt } => println!("back, with attempt {attempt}"),
///     ManagerEvent::ReconnectFailed => println!("given up"),
///     ManagerEvent::Discarded { json } => println!("never sent: {json}"),
///     _ => {}
/// });
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ManagerEvent {
    /// There is a connection (`open`). Its namespaces follow.
    Open,
    /// It has moved from polling to WebSocket.
    Upgrade,
    /// The server has sent a ping, which was answered (`ping`).
    Ping,
    /// A packet of the server has arrived, whatever it is (`packet`): only after
    /// [`Manager::report_packets`].
    Packet(Packet),
    /// The connection failed; or it could not be opened, which comes after its namespaces were told (`error`).
    Error(Error),
    /// There is no connection any more (`close`).
    Close {
        /// Why.
        reason: DisconnectReason,
        /// What is behind the reason, if something is.
        error: Option<Error>,
    },
    /// The next attempt to connect is about to be made (`reconnect_attempt`).
    ReconnectAttempt {
        /// The how many-th it is, from 1.
        attempt: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// An attempt succeeded (`reconnect`).
    Reconnect {
        /// The how many-th it was, from 1.
        attempt: u32,
    },
    /// An attempt failed (`reconnect_error`).
    ReconnectError(Error),
    /// All attempts failed, and there will be no other (`reconnect_failed`). Comes before the last
    /// [`ReconnectError`](Self::ReconnectError), as in JavaScript.
    ReconnectFailed,
    /// An event that waited to be sent is given up: its time was over, or the last of its tries.
    Discarded {
        /// The event's name and arguments as JSON.
        json: String,
    },
}

impl ManagerEvent {
    pub(super) fn of(event: CoreEvent) -> Option<Self> {
        Some(match event {
            CoreEvent::Open => Self::Open,
            CoreEvent::Upgrade => Self::Upgrade,
            CoreEvent::Ping => Self::Ping,
            CoreEvent::Received(packet) => Self::Packet(*packet),
            CoreEvent::Error(error) => Self::Error(error),
            CoreEvent::Close { reason, error } => Self::Close { reason, error },
            CoreEvent::ReconnectAttempt { attempt, waited } => Self::ReconnectAttempt { attempt, waited },
            CoreEvent::Reconnect { attempt } => Self::Reconnect { attempt },
            CoreEvent::ReconnectError(error) => Self::ReconnectError(error),
            CoreEvent::ReconnectFailed => Self::ReconnectFailed,
            CoreEvent::Discarded { payload, .. } => {
                Self::Discarded { json: String::from_utf8_lossy(payload.json()).into_owned() }
            }
            _ => return None,
        })
    }
}

/// A handle of a connection: [`Client::manager`](super::Client::manager).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
/// # fn main() { connected(async |io: Server, client: Client| {
/// use sockeye_driver::client::Manager;
///
/// let manager: Manager = client.manager();
/// manager.close();
/// assert!(!manager.is_open());
/// manager.open(); // Its namespaces follow.
/// client.connected().await?;
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct Manager {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
}

impl Manager {
    /// Calls a listener for whatever happens to the connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// use sockeye_driver::client::ManagerEvent;
    ///
    /// client.manager().on(|event: &ManagerEvent| match event {
    ///     ManagerEvent::ReconnectAttempt { attempt, .. } => println!("attempt {attempt}"),
    ///     ManagerEvent::Close { reason, .. } => println!("closed: {reason}"),
    ///     _ => {}
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn on(&self, listener: impl Fn(&ManagerEvent) + Send + Sync + 'static) -> ListenerId {
        self.shared.listen(Arc::new(listener))
    }

    /// Removes a listener. Whether it was there.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let manager = client.manager();
    /// let listener = manager.on(|event| println!("{event:?}"));
    /// assert!(manager.off(listener));
    /// assert!(!manager.off(listener));
    /// # Ok(()) }) }
    /// ```
    pub fn off(&self, listener: ListenerId) -> bool {
        self.shared.unlisten(listener)
    }

    /// A namespace on this connection (`manager.socket(namespace)`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// let admin = client.manager().of("/admin").connect().await?;
    /// assert_eq!(admin.namespace(), "/admin");
    /// # Ok(()) }) }
    /// ```
    pub fn of(&self, namespace: &str) -> SocketBuilder {
        SocketBuilder::new(self.clone(), namespace)
    }

    /// Whether there is a connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// assert!(client.manager().is_open());
    /// # Ok(()) }) }
    /// ```
    pub fn is_open(&self) -> bool {
        self.shared.look(|state| state.manager.is_open())
    }

    /// Opens the connection if there is none; a wait for the next attempt ends.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// // Whoever hears that there is a network again need not wait for the next attempt.
    /// client.manager().open();
    /// # Ok(()) }) }
    /// ```
    pub fn open(&self) {
        self.shared.with(|state, now| {
            state.manager.open(now);
            state.begin_streams();
        });
    }

    /// Closes the connection, or ends the attempt or the wait for one, at once. What was sent still goes out.
    ///
    /// Its namespaces are not left before. To the server this is a connection that went away (`transport close`): where it
    /// has connection state recovery, it keeps their sessions for a while. [`Client::disconnect`](super::Client::disconnect)
    /// leaves one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.manager().close();
    /// assert!(!client.is_connected() && !client.manager().is_open());
    /// # Ok(()) }) }
    /// ```
    pub fn close(&self) {
        self.shared.with(|state, now| state.manager.close(now));
    }

    /// Changes options (`manager.reconnection(false)`, `manager.opts.query = ..`): they hold from the next attempt to
    /// connect on, those of reconnection at once; [`Config::limits`] stay as they are. Switched off, reconnection ends a
    /// wait for the next attempt.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// client.manager().configure(|config| {
    ///     config.query = vec![("version".into(), "2".into())];
    ///     config.reconnection_attempts = Some(5);
    /// });
    /// # Ok(()) }) }
    /// ```
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.shared.look(|state| Config::clone(state.manager.config()));
        // Out here, where no lock is held.
        change(&mut config);
        self.shared.with(|state, now| state.manager.set_config(now, config));
    }

    /// Has each packet of the server told as a [`ManagerEvent::Packet`], or no more: for those who watch what it says.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/loopback.rs"));
    /// # fn main() { connected(async |io: Server, client: Client| {
    /// use sockeye_driver::client::{ManagerEvent, Packet};
    ///
    /// let manager = client.manager();
    /// # let (sender, receiver) = futures_channel::mpsc::unbounded();
    /// manager.report_packets(true);
    /// manager.on(move |event| {
    ///     if let ManagerEvent::Packet(Packet::Event { namespace, event, args, .. }) = event {
    ///         println!("in {namespace}: {event} {}", args.raw());
    /// #         sender.unbounded_send(event.clone()).unwrap();
    ///     }
    /// });
    /// client.emit("say", &"hello")?;
    /// # assert_eq!(futures_util::StreamExt::into_future(receiver).await.0.as_deref(), Some("said"));
    /// # Ok(()) }) }
    /// ```
    pub fn report_packets(&self, report: bool) {
        self.shared.look(|state| state.manager.report_packets(report));
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("open", &self.is_open()).finish_non_exhaustive()
    }
}
