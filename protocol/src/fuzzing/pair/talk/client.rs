//! The client's application.

use std::time::Duration;

use sockeye_protocol::{
    client::{
        AckOutcome, AuthRequest, Delivery, DisconnectReason, EmitError, Error, Event, Flags, HeadersRequest, Offline,
        SocketId,
    },
    socket::Payload,
};

use super::{
    super::secs,
    NAMESPACES, RELIABLE, STRICT, Talk,
    model::{Asked, Link, Side, number_of, payload},
};

impl Talk {
    pub fn client_emits(&mut self, index: usize) {
        let reliable = index == RELIABLE && self.options.retries > 0;
        let kind = self.dice.below(8);
        // What is volatile would go past the queue of retries.
        let flags = if kind < 2 && !reliable { Flags::VOLATILE } else { Flags::default() };
        // Each try in that queue has its time: none at all would be a flood.
        let shortest = u64::from(reliable);
        let timeout = (kind % 2 == 1).then(|| self.dice.pick(&[None, Some(shortest), Some(2), Some(30)]).map(secs));
        self.emit(index, timeout, flags);
    }

    /// Emits the next event; with the acknowledgement's timeout, if one is asked for.
    pub(super) fn emit(&mut self, index: usize, ack: Option<Option<Duration>>, flags: Flags) {
        let now = self.now();
        let side = &self.sides[index];
        let (socket, number, connected) = (side.socket, side.next, side.connected);
        let payload = payload(&mut self.dice, number);
        let client = &mut self.pair.client;
        let emitted = match ack {
            None => client.emit(now, socket, &payload, flags),
            Some(timeout) => client.emit_with_ack(now, socket, &payload, timeout, flags).map(|(id, delivery)| {
                let options = self.options.socket(index);
                // In the queue of retries each try has that time.
                let timeout = timeout.or(options.ack_timeout).map(|timeout| timeout.max(Duration::from_micros(1)));
                let retried = options.retries > 0 && !flags.volatile;
                let due = timeout.filter(|_| !retried).map(|timeout| now + timeout);
                let each = timeout.filter(|_| retried);
                let asked = Asked { number, due, each, latest: None, link: None };
                assert!(self.acks.insert((socket, id), asked).is_none(), "{id} twice");
                delivery
            }),
        };
        match emitted {
            Ok(Delivery::Sent) => {
                assert!(connected && (index != RELIABLE || self.options.retries == 0));
                self.sides[index].next += 1;
                self.sent(index, number);
            }
            Ok(Delivery::Waiting) => {
                assert!(!flags.volatile && (index != STRICT), "{}", NAMESPACES[index]);
                self.sides[index].next += 1;
            }
            Ok(Delivery::Dropped) => assert!(flags.volatile && ack.is_none()),
            Err(EmitError::Dropped) => assert!(flags.volatile && ack.is_some()),
            // Perhaps it has found just now that the connection is dead.
            Err(EmitError::NotConnected) => assert!(index == STRICT),
            Err(EmitError::BufferFull { .. }) => assert!(client.buffered(socket).0 > 0),
            Err(EmitError::TooManyAcks { limit }) => assert!(ack.is_some() && limit <= self.acks.len()),
            Err(EmitError::Full(_)) => assert!(connected),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn client_replies(&mut self) {
        if !self.tokens.is_empty() {
            let (token, number) = self.tokens.remove(self.dice.below(self.tokens.len() as u64) as usize);
            let answer = Payload::ack(&number, 10).expect("encodable");
            // Nobody waits for it any more if the connection is another one, and a queue may be full.
            let replied = self.pair.client.reply(self.pair.now, &token, &answer);
            assert!(replied.is_err() || self.pair.client.is_connected(token.socket()));
        }
    }

    /// The application does something about its connections.
    pub(super) fn client_changes_its_mind(&mut self) {
        let (now, index) = (self.now(), self.dice.below(4) as usize);
        let socket = self.sides[index].socket;
        match self.dice.below(10) {
            0 | 1 => {
                self.leave(index);
                self.pair.client.disconnect(now, socket);
                self.counts_anew();
            }
            2..=4 => self.pair.client.connect(now, socket),
            5 => {
                self.leave(index);
                self.removed.insert(socket);
                self.pair.client.remove(now, socket);
                self.counts_anew();
                self.settle();
                // What waited is dropped; it begins anew.
                let again = self.pair.client.add_socket(NAMESPACES[index], self.options.socket(index));
                assert_ne!(again, socket);
                self.sides[index].socket = again;
                self.pair.client.connect(now, again);
            }
            6 => {
                self.lets_go();
                self.pair.client.close(now);
                self.counts_anew();
            }
            7 | 8 => self.pair.client.open(now),
            _ => {
                self.leave(index);
                self.pair.client.disconnect(now, socket);
                self.counts_anew();
                self.pair.client.connect(now, socket);
            }
        }
    }

    /// Whoever has closed begins to count its attempts anew.
    fn counts_anew(&mut self) {
        if self.pair.client.is_closed() {
            self.last_attempt = 0;
        }
    }

    /// The client ends its connection.
    fn lets_go(&mut self) {
        for link in self.sides.iter().filter_map(|side| side.link) {
            self.links[link].left = true;
        }
    }

    /// The client leaves a namespace, and its session.
    pub(super) fn leave(&mut self, index: usize) {
        let side = &mut self.sides[index];
        side.claim = None;
        if let Some(link) = side.link {
            self.links[link].left = true;
        }
    }

    pub(super) fn answer_everything(&mut self) {
        while !(self.auth.is_empty() && self.headers.is_empty() && self.undecided.is_empty()) {
            self.answer_questions();
            self.settle();
        }
    }

    /// Answers one question of each kind that waits, on both sides.
    pub(super) fn answer_questions(&mut self) {
        if let Some(request) = self.headers.pop() {
            self.answer_headers(&request);
        }
        if !self.auth.is_empty() {
            let request = self.auth.remove(0);
            self.answer_auth(&request);
        }
        if !self.undecided.is_empty() {
            let request = self.undecided.remove(0);
            self.decide(request);
        }
    }

    fn answer_headers(&mut self, request: &HeadersRequest) {
        let refuse = self.mood.client && self.dice.chance(100);
        let headers = if refuse { Err("not now".into()) } else { Ok(vec![("X-Number".into(), "1".into())]) };
        // It may be of an attempt that is over.
        let _ = self.pair.client.provide_headers(self.pair.now, request, headers);
    }

    /// Begins a link.
    fn answer_auth(&mut self, request: &AuthRequest) {
        if self.mood.client && self.dice.chance(50) {
            let _ = self.pair.client.provide_auth(self.pair.now, request, Err("nobody".into()));
            return;
        }
        let number = self.links.len();
        let auth = Payload::data(&std::collections::BTreeMap::from([("link", number)])).expect("an object");
        if self.pair.client.provide_auth(self.pair.now, request, Ok(Some(&auth))).is_ok() {
            let index = self.index(request.socket()).expect("nobody answers for what was removed");
            let side = &mut self.sides[index];
            side.link = Some(number);
            self.links.push(Link::new(index, side.claim));
        }
    }

    fn index(&self, socket: SocketId) -> Option<usize> {
        self.sides.iter().position(|side| side.socket == socket)
    }

    /// A namespace that was told something: it was not removed before.
    fn side(&mut self, socket: SocketId) -> (usize, &mut Side) {
        let index = self.index(socket).expect("nothing is said about what was removed");
        (index, &mut self.sides[index])
    }

    pub(super) fn on_client(&mut self, event: Event) {
        match event {
            Event::NeedAuth(request) => {
                if self.mood.client && self.dice.chance(300) {
                    self.auth.push(request)
                } else {
                    self.answer_auth(&request)
                }
            }
            Event::NeedHeaders(request) => {
                assert_eq!(request.attempt(), self.last_attempt);
                if self.mood.client && self.dice.chance(300) {
                    self.headers.push(request);
                } else {
                    self.answer_headers(&request);
                }
            }
            Event::Connect { socket, sid, recovered } => {
                assert!(self.open);
                let recovers = self.options.server.recovery.is_some();
                let index = self.index(socket).expect("nothing is said about what was removed");
                let side = &mut self.sides[index];
                assert!(!std::mem::replace(&mut side.connected, true), "connected twice");
                let link = &self.links[side.link.expect("asked for")];
                let session = link.session.expect("accepted");
                assert_eq!((recovered, &*sid), (link.recovered, &*self.sessions[session].sid));
                side.claim = Some(session).filter(|_| recovers);
                self.counts.connects += 1;
                self.counts.recovered += u64::from(recovered);
            }
            Event::Disconnect { socket, reason, .. } => {
                // What is sent again waits for the next connection.
                let of_socket = self.acks.iter_mut().filter(|((other, _), _)| *other == socket);
                of_socket.for_each(|(_, asked)| asked.latest = None);
                let (_, side) = self.side(socket);
                assert!(std::mem::take(&mut side.connected), "disconnected twice");
                let dismissed = reason == DisconnectReason::ServerDisconnect;
                if dismissed {
                    side.claim = None;
                }
                let is_active = self.pair.client.is_active(socket);
                assert!(
                    if dismissed { !is_active } else { is_active || !reason.reconnects() },
                    "{reason}: {is_active}"
                );
            }
            Event::ConnectError { socket, error } => {
                let (_, side) = self.side(socket);
                assert!(!side.connected, "{error}");
                if matches!(error, Error::Closed(DisconnectReason::ServerDisconnect)) {
                    side.claim = None;
                }
            }
            Event::Packet { socket, args, ack, .. } => {
                let number = number_of(&args);
                let link = self.side(socket).1.link.expect("asked for");
                self.hears(link, number);
                if let Some(token) = ack {
                    self.tokens.push((token, number));
                    if self.dice.chance(700) {
                        self.client_replies();
                    }
                }
            }
            Event::Ack { socket, id, outcome } => self.on_client_ack(socket, id, &outcome),
            Event::Outgoing { socket, payload } => {
                let number = number_of(&payload.to_args().expect("arguments"));
                let (index, _) = self.side(socket);
                self.sent(index, number);
            }
            Event::Discarded { socket, payload } => {
                let number = number_of(&payload.to_args().expect("arguments"));
                let (index, side) = self.side(socket);
                assert!(side.discarded.insert(number), "given up twice");
                let options = self.options.socket(index);
                let expires = matches!(options.offline, Offline::Buffer { ttl: Some(_), .. });
                assert!(expires || options.retries > 0, "{} keeps what it has", NAMESPACES[index]);
            }
            Event::Open => assert!(!std::mem::replace(&mut self.open, true), "opened twice"),
            Event::Close { reason, error } => {
                assert!(std::mem::take(&mut self.open), "closed twice");
                assert!(self.sides.iter().all(|side| !side.connected), "namespaces go first");
                self.last_attempt = 0;
                if matches!(error, Some(Error::NoAnswer { .. })) && self.options.mood.server {
                    self.excuse();
                    self.lets_go();
                }
                if self.options.well && reason != DisconnectReason::ForcedClose {
                    self.ended = self.ended.checked_sub(1).unwrap_or_else(|| panic!("nobody has ended it: {reason}"));
                }
            }
            Event::ReconnectAttempt { attempt, waited } => self.on_attempt(attempt, waited),
            Event::Reconnect { attempt } => {
                assert_eq!(attempt, self.last_attempt);
                self.last_attempt = 0;
                self.counts.reconnects += 1;
            }
            Event::ReconnectFailed => {
                assert_eq!(Some(self.last_attempt), self.options.client.reconnection_attempts);
                assert!(self.pair.client.is_closed());
                self.last_attempt = 0;
            }
            Event::Upgrade => self.counts.upgrades += 1,
            _ => {}
        }
    }

    fn hears(&mut self, number: usize, event: u64) {
        let link = &mut self.links[number];
        let note = link.down.get(link.heard).unwrap_or_else(|| panic!("{event} was not sent on link {number}"));
        assert_eq!(note.number, event, "the client on link {number}, {}", NAMESPACES[link.index]);
        link.heard += 1;
        self.counts.down += 1;
        if note.recoverable {
            let session = &mut self.sessions[link.session.expect("accepted")];
            assert_eq!(session.meant[session.got].0, event, "session {}", session.sid);
            session.got += 1;
        }
    }

    fn on_client_ack(&mut self, socket: SocketId, id: sockeye_protocol::client::AckId, outcome: &AckOutcome) {
        let Asked { number, due, link, .. } = self.acks.remove(&(socket, id)).expect("asked for, and not ended yet");
        let now = self.now();
        self.counts.answered += u64::from(matches!(outcome, AckOutcome::Reply(_)));
        self.counts.unanswered += u64::from(!matches!(outcome, AckOutcome::Reply(_)));
        if self.removed.contains(&socket) {
            return assert_eq!(*outcome, AckOutcome::Disconnected);
        }
        let retries = self.options.retries;
        let (index, side) = self.side(socket);
        match outcome {
            AckOutcome::Reply(args) => {
                assert_eq!(args.deserialize(), Ok(number), "the answer to another event");
                assert!(side.replied.contains(&number), "nobody has answered {number}");
                side.acknowledged.insert(number);
            }
            AckOutcome::Timeout => assert!(due.is_none_or(|due| due <= now), "too early"),
            _ => {}
        }
        let retried = index == RELIABLE && retries > 0;
        if !retried && link.is_none() {
            // Nobody waits for it any more.
            side.discarded.insert(number);
        }
        let never = retried && retries == u32::MAX;
        assert!(!never || matches!(outcome, AckOutcome::Reply(_)), "{outcome:?} instead of another try");
    }

    /// Each attempt is counted, and was waited for within its bounds.
    fn on_attempt(&mut self, attempt: u32, waited: Duration) {
        assert!(!self.open, "an attempt beside a connection");
        assert_eq!(attempt, self.last_attempt + 1, "since the client was open or closed");
        self.last_attempt = attempt;
        self.counts.attempts += 1;
        let config = self.pair.client.config();
        assert!(config.reconnection_attempts.is_none_or(|limit| attempt <= limit));
        let base = config.reconnection_delay.as_secs_f64() * 2_f64.powi(attempt as i32 - 1);
        let max = config.reconnection_delay_max.as_secs_f64();
        // Jitter first, cap last; in whole milliseconds.
        let jitter = config.randomization_factor;
        let (low, high) = ((base * (1.0 - jitter) - 0.001).min(max), (base * (1.0 + jitter)).min(max));
        let asked_for = self.options.mood.client && waited.is_zero();
        assert!(asked_for || (low..=high).contains(&waited.as_secs_f64()), "{waited:?} not in {low}..{high}");
    }
}
