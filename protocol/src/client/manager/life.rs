//! Opening, closing, losing and reopening the connection.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use super::{Attempts, Manager, timers::NEVER};
use crate::{
    Instant, Text,
    client::{
        Config,
        engine::{self, CloseReason},
        error::{Error, ProvideError},
        event::{DisconnectReason, Event, HeadersRequest},
    },
    fifo::Rare,
};

/// What a client is doing. Only `Opening` and `Open` have a connection, so there is never a second attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Closed,
    /// The application was asked for headers.
    Preparing {
        serial: u64,
        again: bool,
    },
    /// A connection is being opened. Its engine knows until when.
    Opening {
        /// Whether this is an attempt to reconnect.
        again: bool,
    },
    Open,
    /// The next attempt is made then.
    Waiting {
        until: Instant,
        waited: Duration,
    },
}

impl Life {
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Waiting { until, .. } => Some(until),
            Self::Closed | Self::Preparing { .. } | Self::Opening { .. } | Self::Open => None,
        }
    }
}

impl Manager {
    /// Opens the connection if there is none and none is being opened; a wait for the next attempt ends. (The verb
    /// [`connect`](Self::connect) does this too.)
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.connect(NOW, socket);
    /// let get = request(&outputs(&mut client), "GET");
    /// client.handle_failure(NOW, get, Failure::Connect("no network".into()));
    /// outputs(&mut client);
    /// // There is a network again.
    /// client.open(NOW);
    /// assert!(client.waits_until().is_none());
    /// request(&outputs(&mut client), "GET");
    /// # }
    /// ```
    pub fn open(&mut self, now: Instant) {
        self.verb(now);
        match self.life {
            Life::Closed => self.begin(false),
            Life::Waiting { .. } => self.attempt_again(Duration::ZERO),
            Life::Preparing { .. } | Life::Opening { .. } | Life::Open => {}
        }
    }

    /// Closes the connection, or ends the attempt or the wait for one. What was sent still goes out. Sockets that were
    /// connected are disconnected with the reason `forced close`, those that were about to be get a
    /// [`ConnectError`](Event::ConnectError); they stay [active](Self::is_active), so that [`open`](Self::open) connects
    /// them again.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// client.close(NOW);
    /// let told = events(outputs(&mut client));
    /// assert!(matches!(told[0], Event::Disconnect { reason: DisconnectReason::ForcedClose, .. }));
    /// assert!(matches!(told[1], Event::Close { .. }));
    /// # }
    /// ```
    pub fn close(&mut self, now: Instant) {
        self.verb(now);
        if self.life == Life::Closed {
            return;
        }
        self.end(DisconnectReason::ForcedClose, None);
        self.life = Life::Closed;
    }

    /// Changes the configuration, from the next attempt to connect on; what is not about attempts or transports holds at
    /// once. [`Config::limits`] stay what they are. If there is to be no further attempt, a wait for one ends.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// let mut config = Config::clone(client.config());
    /// config.query = vec![("version".into(), "2".into())];
    /// client.set_config(NOW, config);
    /// client.connect(NOW, socket);
    /// let Some(Output::Request { request, .. }) = client.poll_output() else { panic!() };
    /// assert!(request.target.contains("version=2"));
    /// # }
    /// ```
    pub fn set_config(&mut self, now: Instant, mut config: Config) {
        self.verb(now);
        config.limits.clone_from(&self.config.limits);
        self.attempts.backoff.set(
            config.reconnection_delay,
            config.reconnection_delay_max,
            config.randomization_factor,
        );
        self.config = Arc::new(config);
        if let Life::Waiting { .. } = self.life
            && !self.config.reconnection
        {
            self.life = Life::Closed;
        }
    }

    /// Says whether WebSocket has worked before, to [`Config::remember_upgrade`], from the next attempt on: what
    /// [`prior_websocket_success`](Self::prior_websocket_success) of another client says, or of an earlier run.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.remember_upgrade = true);
    /// client.set_prior_websocket_success(true);
    /// client.connect(NOW, socket);
    /// assert!(matches!(client.poll_output(), Some(Output::Open { .. })));
    /// # }
    /// ```
    pub fn set_prior_websocket_success(&mut self, has_worked: bool) {
        self.attempts.remembered = has_worked;
    }

    /// Answers [`Event::NeedHeaders`]: with headers to send besides those of [`Config::extra_headers`] (and of a transport's
    /// [own ones](crate::client::Overrides::extra_headers)), in place of those of the same names; or with why there are none,
    /// which counts as a failed attempt.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.ask_headers = true);
    /// client.connect(NOW, socket);
    /// let Some(Output::Event(Event::NeedHeaders(question))) = client.poll_output() else { panic!() };
    /// client.provide_headers(NOW, &question, Err("no token to be had".into())).unwrap();
    /// let told = events(outputs(&mut client));
    /// assert!(matches!(&told[0], Event::ConnectError { error: Error::Provider(why), .. } if why == "no token to be had"));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProvideError::Gone`] if nobody waits for the answer any more.
    pub fn provide_headers(
        &mut self,
        now: Instant,
        request: &HeadersRequest,
        headers: Result<Vec<(String, String)>, Text>,
    ) -> Result<(), ProvideError> {
        self.verb(now);
        let Life::Preparing { serial, again } = self.life else { return Err(ProvideError::Gone) };
        if serial != request.serial {
            return Err(ProvideError::Gone);
        }
        match headers {
            Ok(headers) if headers.is_empty() => self.start(Arc::clone(&self.config), again),
            Ok(headers) => {
                let mut config = (*self.config).clone();
                config.add_headers(&headers);
                self.start(Arc::new(config), again);
            }
            Err(reason) => self.fail_attempt(Error::Provider(reason)),
        }
        Ok(())
    }

    /// Begins an attempt.
    fn begin(&mut self, again: bool) {
        if !self.config.ask_headers {
            return self.start(Arc::clone(&self.config), again);
        }
        let serial = self.take_serial();
        self.life = Life::Preparing { serial, again };
        let attempt = if again { self.attempts.backoff.attempts() } else { 0 };
        let last_error = self.attempts.last_error.clone();
        self.push(Event::NeedHeaders(HeadersRequest { serial, attempt, last_error }));
    }

    fn start(&mut self, config: Arc<Config>, again: bool) {
        self.life = Life::Opening { again };
        self.start_engine(config);
    }

    /// The wait is over.
    pub(super) fn attempt_again(&mut self, waited: Duration) {
        self.push(Event::ReconnectAttempt { attempt: self.attempts.backoff.attempts(), waited });
        self.begin(true);
    }

    pub(super) fn on_open(&mut self) {
        let Life::Opening { again } = self.life else { return };
        self.life = Life::Open;
        self.attempts.last_error = None;
        self.push(Event::Open);
        for index in self.in_turn() {
            if self.sockets.get(index).is_some_and(|socket| socket.active) {
                self.ask_auth(index);
            }
        }
        let attempt = self.attempts.backoff.attempts();
        self.attempts.backoff.reset();
        if again {
            self.push(Event::Reconnect { attempt });
        }
    }

    pub(super) fn on_engine_close(&mut self, reason: CloseReason, error: Option<engine::Error>) {
        let reason = DisconnectReason::from(reason);
        let error = error.map(Error::Engine);
        match self.life {
            Life::Opening { .. } => self.fail_attempt(Error::of_close(reason, error.as_ref())),
            Life::Open => self.lose(reason, error),
            Life::Closed | Life::Preparing { .. } | Life::Waiting { .. } => {}
        }
    }

    /// An attempt has failed: that is told, and the next one waited for, unless it was the last.
    pub(super) fn fail_attempt(&mut self, error: Error) {
        let again = matches!(self.life, Life::Opening { again: true } | Life::Preparing { again: true, .. });
        self.retire(self.clock, None);
        for index in self.in_turn() {
            if let Some(socket) = self.sockets.get(index).filter(|socket| socket.active) {
                self.refuse(socket.id, error.clone());
            }
        }
        self.attempts.last_error = Some(error.clone());
        // Behind what its namespaces are told, as are all its events of which both hear.
        self.push(Event::Error(error.clone()));
        self.wait();
        if again {
            // After `reconnect_failed` (behaviours, item 69).
            self.push(Event::ReconnectError(error));
        }
    }

    /// The connection is lost, or good for nothing any more.
    pub(super) fn lose(&mut self, reason: DisconnectReason, error: Option<Error>) {
        self.attempts.last_error = Some(Error::of_close(reason, error.as_ref()));
        if reason == DisconnectReason::TransportError
            && let Some(error) = &error
        {
            self.push(Event::Error(error.clone()));
        }
        self.end(reason, error);
        self.wait();
    }

    /// Every socket is told of the end of the connection, then the connection's own listeners.
    pub(super) fn end(&mut self, reason: DisconnectReason, error: Option<Error>) {
        let was_open = self.life == Life::Open;
        // Nothing that follows may send anything.
        self.life = Life::Closed;
        self.retire(
            self.clock,
            match reason {
                DisconnectReason::PingTimeout => Some(CloseReason::PingTimeout),
                DisconnectReason::ParseError => Some(CloseReason::ParseError),
                _ => None,
            },
        );
        self.decoder.reset();
        self.ghosts = Rare::default();
        self.packet_deadline = NEVER;
        self.attempts.backoff.reset();
        for index in self.in_turn() {
            self.end_session(index, reason, error.as_ref());
        }
        if was_open {
            self.push(Event::Close { reason, error });
        }
    }

    /// Waits for the next attempt, if there is to be one. How many there were is compared before each wait (behaviours,
    /// item 70).
    fn wait(&mut self) {
        self.life = Life::Closed;
        if !self.config.reconnection {
            return;
        }
        let limit = self.config.reconnection_attempts.filter(|limit| *limit > 0);
        if limit.is_some_and(|limit| self.attempts.backoff.attempts() >= limit) {
            self.attempts.backoff.reset();
            self.push(Event::ReconnectFailed);
            return;
        }
        let Attempts { backoff, rng, .. } = &mut *self.attempts;
        let waited = backoff.next_delay(rng);
        self.life = Life::Waiting { until: self.due(waited), waited };
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::ParseError => Self::ParseError,
            CloseReason::ForcedClose => Self::ForcedClose,
            _ => Self::TransportError,
        }
    }
}
