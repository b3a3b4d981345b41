//! Sending events and acknowledgements.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Life, Link, Manager};
use crate::{
    Instant,
    ack::{AckId, AckOutcome},
    client::{
        error::EmitError,
        event::{AckToken, DisconnectReason, Event, SocketId},
        socket::{Buffered, Delivery, Offline, Retried, Socket},
    },
    engine::{SendError, buffer::Load},
    socket::{Head, PacketType, Payload, PayloadKind, PayloadRef, WrongPayload},
};

/// How an event is to be sent.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// let sent = client.emit(NOW, socket, &event("position", "here"), Flags { volatile: true });
/// assert_eq!(sent, Ok(Delivery::Dropped)); // It is not connected.
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Whether the event may be dropped if it cannot leave at once: the socket is not connected, or what was sent before
    /// has not left yet. (JavaScript keeps such events after a lost connection: behaviours, item 72.)
    pub volatile: bool,
}

impl Flags {
    /// A volatile event.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert!(Flags::VOLATILE.volatile && !Flags::default().volatile);
    /// # }
    /// ```
    pub const VOLATILE: Self = Self { volatile: true };
}

impl Manager {
    /// Sends an event ([`Payload::event`]), or keeps it until its socket is connected.
    ///
    /// If no ping came in time, which is noticed here when timers did not run (a device that slept), the connection is
    /// closed with the reason `ping timeout`, and the event kept for the next one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// let sent = client.emit(NOW, socket, &event("hello", "world"), Flags::default());
    /// assert_eq!(sent, Ok(Delivery::Sent));
    /// let [Output::Request { request, .. }] = &outputs(&mut client)[..] else { panic!() };
    /// assert_eq!(request.body, r#"42["hello","world"]"#);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::Gone`], [`EmitError::NotConnected`] or [`EmitError::BufferFull`] as [`Offline`] says,
    /// [`EmitError::Full`], or [`EmitError::WrongPayload`].
    pub fn emit<'p>(
        &mut self,
        now: Instant,
        socket: SocketId,
        event: impl Into<PayloadRef<'p>>,
        flags: Flags,
    ) -> Result<Delivery, EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        self.verb(now);
        let index = self.index(socket).ok_or(EmitError::Gone)?;
        if self.retries(index) && !flags.volatile {
            return self.enqueue(index, event, None).map(|_| Delivery::Waiting);
        }
        self.dispatch(index, event, None, flags)
    }

    /// Sends an event and asks for an acknowledgement, which [`Event::Ack`] brings: the answer, or that there was none
    /// within `timeout` (if `None`: [`SocketOptions::ack_timeout`](crate::client::SocketOptions::ack_timeout)), or that
    /// the connection ended first. The time of an event that waits counts; when it is over, the event is not sent any
    /// more. With retries each try has that time.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit); [`EmitError::TooManyAcks`]; [`EmitError::Dropped`] for a volatile event.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockeye_protocol::{
    ///     Instant, Seed,
    ///     client::{AckOutcome, Config, Delivery, Endpoint, Event, Flags, Manager, Output, SocketOptions},
    ///     socket::Payload,
    /// };
    ///
    /// let endpoint = Endpoint::parse("http://localhost:3000").expect("a URL");
    /// let mut client = Manager::new(Config::default(), endpoint, &Seed::for_tests(1));
    /// let socket = client.add_socket("chat", SocketOptions::default());
    ///
    /// let (now, timeout) = (Instant::ZERO, Duration::from_secs(5));
    /// let question = Payload::event("question", &(), 10).expect("serialisable");
    /// let (id, delivery) = client.emit_with_ack(now, socket, &question, Some(timeout), Flags::default())?;
    /// assert_eq!((delivery, client.buffered(socket).0), (Delivery::Waiting, 1));
    ///
    /// // Nobody has connected the socket meanwhile.
    /// client.handle_timeout(now + timeout);
    /// let ack = Event::Ack { socket, id, outcome: AckOutcome::Timeout };
    /// assert_eq!(client.poll_output(), Some(Output::Event(ack)));
    /// assert_eq!(client.buffered(socket).0, 0);
    /// # Ok::<(), sockeye_protocol::client::EmitError>(())
    /// ```
    pub fn emit_with_ack<'p>(
        &mut self,
        now: Instant,
        socket: SocketId,
        event: impl Into<PayloadRef<'p>>,
        timeout: Option<Duration>,
        flags: Flags,
    ) -> Result<(AckId, Delivery), EmitError> {
        let event = event.into();
        WrongPayload::check(PayloadKind::Event, event)?;
        self.verb(now);
        let index = self.index(socket).ok_or(EmitError::Gone)?;
        let limit = self.config.limits.pending_acks;
        let found = self.sockets.get(index).ok_or(EmitError::Gone)?;
        // Without retries, nobody waits in that queue.
        let retried = if found.has_retries() { found.kept().queue.wanted() } else { 0 };
        if found.acks.len().saturating_add(retried) >= limit {
            return Err(EmitError::TooManyAcks { limit });
        }
        let timeout = timeout.or(found.rest.options.ack_timeout);
        let id = found.next_ack;
        if self.retries(index) && !flags.volatile {
            self.enqueue(index, event, Some(timeout))?;
            return Ok((AckId(id), Delivery::Waiting));
        }
        let delivery = self.dispatch(index, event, Some(id), flags)?;
        if delivery == Delivery::Dropped {
            return Err(EmitError::Dropped);
        }
        let due = timeout.map(|timeout| self.due(timeout));
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.next_ack = id.saturating_add(1);
            socket.acks.insert(id, due, delivery == Delivery::Sent);
        }
        Ok((AckId(id), delivery))
    }

    /// Drops the events of a socket that wait to be sent, says so with [`Event::Discarded`] for each, and ends their
    /// acknowledgements. One of a retry queue that is on its way stays. How many they were.
    ///
    /// When a connection is back, what has waited goes out before [`Event::Connect`]; what is stale is to be dropped
    /// before: when [`Event::Open`] comes, or [`Event::NeedAuth`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.emit(NOW, socket, &event("stale", "news"), Flags::default()).unwrap();
    /// assert_eq!(client.discard(NOW, socket), 1);
    /// let told = events(outputs(&mut client));
    /// assert!(matches!(&told[..], [Event::Discarded { payload, .. }] if payload.event_name().unwrap() == "stale"));
    /// # }
    /// ```
    pub fn discard(&mut self, now: Instant, socket: SocketId) -> usize {
        self.verb(now);
        let Some(found) = self.index(socket).and_then(|index| self.sockets.get_mut(index)) else { return 0 };
        let mut dropped = Vec::new();
        while let Some(Buffered { payload, ack, .. }) = found.change_kept(|kept| kept.send.pop()) {
            dropped.push((payload, ack.filter(|ack| found.acks.remove(*ack))));
        }
        let waiting: Vec<_> = found.change_kept(|kept| kept.queue.take_waiting().collect());
        dropped.extend(waiting.into_iter().map(|event| (event.payload, event.wanted.then_some(event.id))));
        let count = dropped.len();
        for (payload, ack) in dropped {
            self.push(Event::Discarded { socket, payload });
            if let Some(ack) = ack {
                self.push_ack(socket, ack, AckOutcome::Disconnected);
            }
        }
        count
    }

    /// Acknowledges an event ([`Payload::ack`]). Once that has succeeded, the token is used up: a peer ignores a second
    /// acknowledgement (behaviours, item 52).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, _, get) = connected();
    /// let said = events(says(&mut client, get, r#"421["name?"]"#));
    /// let [Event::Packet { ack: Some(token), .. }] = &said[..] else { panic!() };
    /// client.reply(NOW, token, &Payload::ack("Ada", 10).unwrap()).unwrap();
    /// let [Output::Request { request, .. }] = &outputs(&mut client)[..] else { panic!() };
    /// assert_eq!(request.body, r#"431["Ada"]"#);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::Gone`]; [`EmitError::NotConnected`] if the connection that the event came on is gone: no other can
    /// take it; [`EmitError::Full`], or [`EmitError::WrongPayload`].
    pub fn reply<'p>(
        &mut self,
        now: Instant,
        token: &AckToken,
        answer: impl Into<PayloadRef<'p>>,
    ) -> Result<(), EmitError> {
        let answer = answer.into();
        WrongPayload::check(PayloadKind::Ack, answer)?;
        self.verb(now);
        let index = self.index(token.socket).ok_or(EmitError::Gone)?;
        if !self.sockets.get(index).is_some_and(|socket| socket.is_joined() && socket.session == token.session) {
            return Err(EmitError::NotConnected);
        }
        self.try_send(index, PacketType::Ack, Some(token.id.get()), answer).map_err(|error| match error {
            SendError::Closed => EmitError::NotConnected,
            full => EmitError::Full(full),
        })
    }

    /// Sends what a retry queue has next.
    pub(super) fn drain_queue(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index).filter(|socket| socket.is_joined()) else { return };
        if !socket.has_retries() {
            return;
        }
        let Some(event) = socket.kept().queue.next() else { return };
        let (id, payload) = (event.id, event.payload.clone());
        let due = event.timeout.map(|timeout| super::timers::after(self.clock, timeout));
        let sent_here = socket.kept().queue.was_sent_here();
        socket.change_kept(|kept| kept.queue.on_try(due));
        if sent_here && !self.link.as_ref().is_some_and(|link| link.engine.has_room(payload.size())) {
            // What was sent before has not left yet: another copy would only wait beside it.
            return;
        }
        let socket = socket.id;
        self.send(index, PacketType::Event, Some(id), Some(&payload));
        self.push(Event::Outgoing { socket, payload });
    }

    /// Sends what has waited for the connection of its namespace.
    pub(super) fn flush(&mut self, index: usize) {
        while let Some(socket) = self.sockets.get_mut(index)
            && let Some(Buffered { payload, ack, .. }) = socket.change_kept(|kept| kept.send.pop())
        {
            if let Some(ack) = ack {
                socket.acks.set_sent(ack);
            }
            let socket = socket.id;
            self.send(index, PacketType::Event, ack, Some(&payload));
            self.push(Event::Outgoing { socket, payload });
        }
    }

    /// Sends a packet that no limit may refuse: one of the protocol itself, or one that was taken before.
    pub(super) fn send(&mut self, index: usize, kind: PacketType, id: Option<u64>, payload: Option<&Payload>) {
        let Some(socket) = self.sockets.get(index) else { return };
        if let Some(link) = &mut self.link {
            let attachments = payload.map_or(0, |payload| payload.attachments().len());
            let head = Head::new(kind, attachments, &socket.namespace, id);
            link.engine.push_packet(&head, payload.map(PayloadRef::from));
        }
    }

    fn try_send(
        &mut self,
        index: usize,
        kind: PacketType,
        id: Option<u64>,
        payload: PayloadRef<'_>,
    ) -> Result<(), SendError> {
        let socket = self.sockets.get(index).ok_or(SendError::Closed)?;
        let link = self.link.as_mut().ok_or(SendError::Closed)?;
        let head = Head::new(kind, payload.attachments().len(), &socket.namespace, id);
        link.engine.send_packet(&head, Some(payload))
    }

    fn retries(&self, index: usize) -> bool {
        self.sockets.get(index).is_some_and(Socket::has_retries)
    }

    /// Whether an event can be sent now. Notices a connection that has died while nobody looked.
    fn is_ready(&mut self, index: usize) -> bool {
        if !self.sockets.get(index).is_some_and(|socket| socket.is_joined()) {
            return false;
        }
        // A ping may be among what nobody has looked at yet.
        let expired = |link: &Link| !link.engine.has_unread() && link.engine.has_expired_heartbeat(self.clock);
        let expired = self.life == Life::Open && self.link.as_ref().is_some_and(expired);
        if expired {
            self.lose(DisconnectReason::PingTimeout, None);
        }
        !expired
    }

    /// Sends an event or keeps it.
    fn dispatch(
        &mut self,
        index: usize,
        event: PayloadRef<'_>,
        ack: Option<u64>,
        flags: Flags,
    ) -> Result<Delivery, EmitError> {
        let ready = self.is_ready(index);
        if flags.volatile && !(ready && self.link.as_ref().is_some_and(|link| link.engine.writable())) {
            return Ok(Delivery::Dropped);
        }
        if ready {
            match self.try_send(index, PacketType::Event, ack, event) {
                Ok(()) => return Ok(Delivery::Sent),
                // The connection has ended, which is not told yet.
                Err(SendError::Closed) => {}
                Err(full) => return Err(EmitError::Full(full)),
            }
        }
        let size = event.size();
        let clock = self.clock;
        let socket = self.sockets.get_mut(index).ok_or(EmitError::Gone)?;
        let Offline::Buffer { max_packets, max_bytes, ttl } = socket.rest.options.offline else {
            return Err(EmitError::NotConnected);
        };
        let limits = Load { packets: max_packets, bytes: max_bytes };
        socket.kept().send.load().check_room(size, || limits).map_err(EmitError::buffer_full)?;
        let expires = ttl.map(|ttl| super::timers::after(clock, ttl));
        socket.change_kept(|kept| kept.send.push(Buffered { payload: event.to_payload(), ack, expires }));
        Ok(Delivery::Waiting)
    }

    /// Puts an event into the retry queue; `wanted` with the time that an acknowledgement has, if one was asked for.
    fn enqueue(
        &mut self,
        index: usize,
        event: PayloadRef<'_>,
        wanted: Option<Option<Duration>>,
    ) -> Result<(), EmitError> {
        let ready = self.is_ready(index);
        let socket = self.sockets.get_mut(index).ok_or(EmitError::Gone)?;
        let limits = match socket.rest.options.offline {
            Offline::Buffer { max_packets, max_bytes, .. } => Load { packets: max_packets, bytes: max_bytes },
            Offline::Reject if ready => Load { packets: usize::MAX, bytes: self.config.limits.send_queue_bytes },
            Offline::Reject => return Err(EmitError::NotConnected),
        };
        socket.kept().queue.load().check_room(event.size(), || limits).map_err(EmitError::buffer_full)?;
        let id = socket.take_ack_id();
        let timeout = wanted.unwrap_or(socket.rest.options.ack_timeout);
        let event = Retried { id, payload: event.to_payload(), wanted: wanted.is_some(), timeout };
        socket.change_kept(|kept| kept.queue.push(event));
        self.drain_queue(index);
        Ok(())
    }
}
