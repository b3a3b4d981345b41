//! What arrives: packets, ticks and the end of the session.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

use super::{Connection, Joined, Output, Slot, State, due};
use crate::{
    Instant, Text,
    ack::{AckId, AckOutcome, PeerAckId},
    engine::{self, CloseReason, Message},
    key::SocketKey,
    server::{
        error::Error,
        event::{AckToken, ConnectRequest, DisconnectReason, Event},
        hub::{ConnectionEvent, Found, ToHub},
        recovery::Claim,
    },
    socket::{Args, Data, Packet},
    text::MAIN,
};

impl Connection {
    /// The event that a packet is goes straight to the caller: nothing waits in `outputs` when a message is taken.
    pub(super) fn on_message(&mut self, message: Message) -> Option<Event> {
        if self.ended {
            return None;
        }
        let now = self.session.clock();
        let decoded = match message {
            Message::Text(text) => match self.decoder.plain_event(text) {
                Ok((event, args)) => return self.on_event(now, &MAIN, None, event, args),
                Err(text) => self.decoder.handle_text(text),
            },
            Message::Binary(bytes) => self.decoder.handle_binary(bytes),
        };
        match decoded {
            Ok(Some(packet)) => {
                self.packet_deadline = None;
                return self.on_packet(now, packet);
            }
            Ok(None) => {
                // Attachments are not buffered for a namespace that was not joined (CVE-2026-48804).
                let name = self.decoder.pending().map(|packet| packet.namespace().clone()).unwrap_or_default();
                if !self.slots.iter().any(|slot| slot.is_established(&name)) {
                    self.fail(now, Error::NotJoined(name));
                } else if self.packet_deadline.is_none() {
                    self.packet_deadline = Some(due(now, self.config.limits.packet_timeout));
                }
            }
            Err(error) => self.fail(now, Error::Packet(error)),
        }
        None
    }

    fn on_packet(&mut self, now: Instant, packet: Packet) -> Option<Event> {
        match packet {
            Packet::Connect { namespace, data } => self.on_connect(now, namespace, data),
            Packet::Disconnect { namespace } => match self.established(now, &namespace) {
                Some((index, Some(_))) => self.leave(index, DisconnectReason::ClientNamespaceDisconnect, None),
                Some((index, None)) => {
                    self.slots.remove(index);
                }
                None => {}
            },
            Packet::Event { namespace, id, event, args } => return self.on_event(now, &namespace, id, event, args),
            Packet::Ack { namespace, id, args } => {
                if let Some((_, Some(joined))) = self.established(now, &namespace) {
                    let socket = joined.socket;
                    // An unknown or repeated id is ignored (behaviours, item 52).
                    if joined.acks.remove(&id).is_some() {
                        return Some(Event::Ack { socket, id: AckId(id), outcome: AckOutcome::Reply(args) });
                    }
                }
            }
            Packet::ConnectError { .. } => self.fail(now, Error::ConnectErrorFromClient),
        }
        None
    }

    fn on_event(&mut self, now: Instant, namespace: &Text, id: Option<u64>, event: Text, args: Args) -> Option<Event> {
        let (_, joined) = self.established(now, namespace)?;
        let socket = joined?.socket;
        Some(Event::Packet { socket, event, args, ack: id.map(|id| AckToken { socket, id: PeerAckId::new(id) }) })
    }

    fn on_connect(&mut self, now: Instant, namespace: Text, auth: Option<Data>) {
        if let Some(index) = self.slot(&namespace) {
            if !self.slots.get(index).is_some_and(|slot| matches!(slot.state, State::Left)) {
                // While a first CONNECT waits for its answer, too: JavaScript makes two sockets then.
                return self.fail(now, Error::JoinedTwice(namespace));
            }
            self.slots.remove(index);
        }
        let limits = &self.config.limits;
        let (mut present, mut pending) = (0_usize, 0_usize);
        for slot in &self.slots {
            present = present.saturating_add(usize::from(!matches!(slot.state, State::Left)));
            pending =
                pending.saturating_add(usize::from(matches!(slot.state, State::Asked(_) | State::Pending { .. })));
        }
        if present >= limits.namespaces {
            let limit = limits.namespaces;
            return self.refuse(
                now,
                &namespace,
                &alloc::format!("Too many namespaces: {limit} are joined, the limit is {limit}"),
            );
        }
        if pending >= limits.pending_namespaces {
            let limit = limits.pending_namespaces;
            return self.refuse(
                now,
                &namespace,
                &alloc::format!("Too many namespaces: {limit} are pending, the limit is {limit}"),
            );
        }
        let claim = self.config.recovery.as_ref().and_then(|_| Claim::read(auth.as_ref())).map(Box::new);
        // Most clients join one namespace.
        self.slots.reserve_exact(usize::from(self.slots.is_empty()));
        self.slots.push(Slot { name: namespace.clone(), state: State::Asked(auth) });
        self.lookups = self.lookups.saturating_add(1);
        self.hub_events.push_back(ConnectionEvent(ToHub::Lookup { namespace, claim }));
    }

    pub(super) fn on_found(&mut self, found: Found) {
        let Found { namespace, socket, sid, session } = found;
        let Some(slot) = self.asked(&namespace).and_then(|index| self.slots.get_mut(index)) else {
            // The connection ended while the hub looked.
            self.hub_events.push_back(ConnectionEvent(ToHub::Leave { socket, keep: false }));
            return;
        };
        // The hub's own name from here on: the client's is a slice of its whole message.
        slot.name = namespace.clone();
        let asked = core::mem::replace(&mut slot.state, State::Pending { socket });
        let auth = if let State::Asked(auth) = asked { auth } else { None };
        self.outputs.push_back(Output::Event(Event::Connect(ConnectRequest {
            connection: self.key,
            socket,
            sid,
            namespace,
            auth,
            session: session.map(Box::new),
            handshake: Arc::clone(&self.handshake),
        })));
    }

    pub(super) fn on_tick(&mut self, now: Instant) {
        if self.connect_deadline.is_some_and(|deadline| deadline <= now) {
            self.connect_deadline = None;
            self.fail(now, Error::ConnectTimeout { limit: self.config.connect_timeout });
        }
        if self.packet_deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(now, Error::PacketTimeout { limit: self.config.limits.packet_timeout });
        }
        if self.ack_deadline.is_some_and(|deadline| deadline <= now) {
            self.expire_acks(now);
        }
    }

    fn expire_acks(&mut self, now: Instant) {
        let mut expired = Vec::new();
        self.ack_deadline = None;
        for slot in &mut self.slots {
            let State::Joined(joined) = &mut slot.state else { continue };
            let socket = joined.socket;
            joined.acks.retain(|id, due| {
                if *due <= now {
                    expired.push((*due, socket, *id));
                    return false;
                }
                self.ack_deadline = Some(self.ack_deadline.map_or(*due, |deadline| deadline.min(*due)));
                true
            });
        }
        expired.sort_unstable();
        for (_, socket, id) in expired {
            self.push_ack(socket, id, AckOutcome::Timeout);
        }
    }

    pub(super) fn on_close(&mut self, reason: CloseReason, error: Option<engine::Error>) {
        let error = error.map(Error::Engine);
        self.end(reason.into(), error.as_ref());
        let error = self.closing.take().map(|error| *error).or(error);
        self.outputs.push_back(Output::Event(Event::Close { connection: self.key, reason, error }));
    }

    /// The peer broke a rule of Socket.IO: the whole connection is closed (Socket.IO protocol v5, "the server MUST
    /// close the low-level connection").
    pub(super) fn fail(&mut self, now: Instant, error: Error) {
        if self.ended {
            return;
        }
        // As in JavaScript, a session that can say goodbye at once is `forced close`; one that must wait for the next
        // poll ends here all the same, as `forced server close` where the state was wrong. (On WebSocket `writable`
        // says how much the driver has written so far, which must not decide.)
        let state = matches!(error, Error::NotJoined(_) | Error::JoinedTwice(_) | Error::ConnectErrorFromClient);
        let reason = match error {
            Error::SlowConsumer(_) => DisconnectReason::SlowConsumer,
            _ if state && self.session.transport_name() == "polling" && !self.session.writable() => {
                DisconnectReason::ForcedServerClose
            }
            _ => DisconnectReason::ForcedClose,
        };
        self.end(reason, Some(&error));
        let (frame, reason) = (
            error.close_frame(),
            match error {
                Error::SlowConsumer(_) => CloseReason::SlowConsumer,
                _ => CloseReason::ForcedClose,
            },
        );
        self.closing = Some(Box::new(error));
        self.session.close_with(now, reason, frame);
    }

    /// Every socket is disconnected; nothing more is received.
    pub(super) fn end(&mut self, reason: DisconnectReason, error: Option<&Error>) {
        self.ended = true;
        while !self.slots.is_empty() {
            self.leave(0, reason, error);
        }
        self.decoder.reset();
        (self.connect_deadline, self.packet_deadline, self.ack_deadline) = (None, None, None);
    }

    /// Removes a namespace, and reports everything that ends with it, in one step.
    pub(super) fn leave(&mut self, index: usize, reason: DisconnectReason, error: Option<&Error>) {
        if index >= self.slots.len() {
            return;
        }
        match self.slots.remove(index).state {
            State::Joined(Joined { socket, acks, .. }) => self.report_leave(socket, acks, reason, error),
            State::Resuming(resuming) => self.report_leave(resuming.socket, BTreeMap::new(), reason, error),
            State::Pending { socket } => {
                self.hub_events.push_back(ConnectionEvent(ToHub::Leave { socket, keep: false }));
            }
            State::Asked(_) | State::Left => {}
        }
    }

    fn report_leave(
        &mut self,
        socket: SocketKey,
        acks: BTreeMap<u64, Instant>,
        reason: DisconnectReason,
        error: Option<&Error>,
    ) {
        self.outputs.push_back(Output::Event(Event::Disconnecting { socket, reason }));
        for id in acks.into_keys() {
            self.push_ack(socket, id, AckOutcome::Disconnected);
        }
        self.outputs.push_back(Output::Hub(ConnectionEvent(ToHub::Leave { socket, keep: reason.is_recoverable() })));
        let error = error.cloned();
        self.outputs.push_back(Output::Event(Event::Disconnect { socket, reason, error }));
    }

    /// Remembers that this side left a namespace; of too many such, the oldest is forgotten.
    pub(super) fn remember(&mut self, name: Text) {
        let mut left = self.slots.iter().enumerate().filter(|(_, slot)| matches!(slot.state, State::Left));
        let oldest = left.next().map(|(index, _)| index);
        if let Some(oldest) = oldest
            && left.count().saturating_add(1) >= self.config.limits.namespaces
        {
            self.slots.remove(oldest);
        }
        self.slots.push(Slot { name, state: State::Left });
    }

    fn push_ack(&mut self, socket: SocketKey, id: u64, outcome: AckOutcome) {
        self.outputs.push_back(Output::Event(Event::Ack { socket, id: AckId(id), outcome }));
    }

    /// Where the namespace of a packet stands, and its socket unless this side has left it. Anything else is an
    /// invalid state, which closes the connection (behaviours, item 36).
    fn established(&mut self, now: Instant, namespace: &Text) -> Option<(usize, Option<&mut Joined>)> {
        let index = self.slots.iter().position(|slot| slot.is_established(namespace));
        let Some(index) = index else {
            self.fail(now, Error::NotJoined(namespace.clone()));
            return None;
        };
        match &mut self.slots.get_mut(index)?.state {
            State::Joined(joined) => Some((index, Some(joined))),
            _ => Some((index, None)),
        }
    }
}
