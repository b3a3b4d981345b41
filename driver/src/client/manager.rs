//! The connection itself.

use std::{fmt, sync::Arc, time::Duration};

use sockeye_protocol::client::{DisconnectReason, Error, Event as CoreEvent};

use super::shared::{Keeper, Shared};

/// What happens to the connection, whatever the namespace (the events of a `Manager` in JavaScript).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ManagerEvent {
    /// There is a connection (`open`). Its namespaces follow.
    Open,
    /// It has moved from polling to WebSocket.
    Upgrade,
    /// The server has sent a ping, which was answered (`ping`).
    Ping,
    /// The connection failed, or could not be opened (`error`).
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
#[derive(Clone)]
pub struct Manager {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
}

impl Manager {
    /// Calls a listener for whatever happens to the connection.
    ///
    /// ```
    /// # use sockeye_driver::client::{Client, ManagerEvent};
    /// # fn example(client: &Client) {
    /// client.manager().on(|event: &ManagerEvent| match event {
    ///     ManagerEvent::ReconnectAttempt { attempt, .. } => println!("attempt {attempt}"),
    ///     ManagerEvent::Close { reason, .. } => println!("closed: {reason}"),
    ///     _ => {}
    /// });
    /// # }
    /// ```
    pub fn on(&self, listener: impl Fn(&ManagerEvent) + Send + Sync + 'static) {
        self.shared.listen(Arc::new(listener));
    }

    /// Whether there is a connection.
    pub fn is_open(&self) -> bool {
        self.shared.look(|state| state.manager.is_open())
    }

    /// Opens the connection if there is none; a wait for the next attempt ends.
    pub fn open(&self) {
        self.shared.with(|state, now| state.manager.open(now));
    }

    /// Closes the connection, or ends the attempt or the wait for one, at once. What was sent still goes out.
    pub fn close(&self) {
        self.shared.with(|state, now| state.manager.close(now));
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("open", &self.is_open()).finish_non_exhaustive()
    }
}
