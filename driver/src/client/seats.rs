//! The namespaces of a client that have something to handle: how many handlers are in flight, and what waits for them.

use std::collections::{BTreeMap, VecDeque};

use sockeye_protocol::{
    Text,
    client::{AckToken, Limits, SocketId},
    socket::Args,
};

use crate::handler::{self, Room};

/// All of them.
pub(super) struct Seats {
    seats: BTreeMap<SocketId, Seat>,
    /// Handlers of a namespace that may be in flight.
    handlers: usize,
    room: Room,
    /// All events that are parked, and their bytes.
    parked: usize,
    parked_bytes: usize,
    /// From when one is full until half of what waits there has started.
    is_full: bool,
}

/// The handlers of one namespace.
#[derive(Default)]
struct Seat {
    /// Event handlers that have not returned.
    handling: usize,
    parked: VecDeque<Packet>,
}

/// An event, which may wait for its turn.
pub(super) struct Packet {
    pub(super) name: Text,
    pub(super) args: Args,
    pub(super) ack: Option<AckToken>,
}

impl Packet {
    fn size(&self) -> usize {
        handler::size(&self.name, &self.args)
    }
}

impl Seats {
    pub(super) fn new(limits: &Limits) -> Self {
        let room = Room { events: limits.parked, bytes: limits.max_packet_bytes };
        Self { seats: BTreeMap::new(), handlers: limits.handlers, room, parked: 0, parked_bytes: 0, is_full: false }
    }

    /// Whether an event has to wait for others.
    pub(super) fn must_wait(&self, socket: SocketId) -> bool {
        self.seats.get(&socket).is_some_and(|seat| !seat.parked.is_empty() || seat.handling >= self.handlers)
    }

    /// Keeps an event that has to wait.
    pub(super) fn park(&mut self, socket: SocketId, packet: Packet) {
        self.parked = self.parked.saturating_add(1);
        self.parked_bytes = self.parked_bytes.saturating_add(packet.size());
        self.seats.entry(socket).or_default().parked.push_back(packet);
    }

    /// Where something waits.
    pub(super) fn waiting(&self) -> Vec<SocketId> {
        if self.parked == 0 {
            return Vec::new();
        }
        self.seats.iter().filter(|(_, seat)| !seat.parked.is_empty()).map(|(id, _)| *id).collect()
    }

    /// The next event that has waited long enough.
    pub(super) fn next(&mut self, socket: SocketId) -> Option<Packet> {
        let is_free = self.seats.get(&socket).is_some_and(|seat| seat.handling < self.handlers);
        if is_free { self.take(socket) } else { None }
    }

    /// The next event, whatever it waits for.
    pub(super) fn take(&mut self, socket: SocketId) -> Option<Packet> {
        let seat = self.seats.get_mut(&socket)?;
        let packet = seat.parked.pop_front()?;
        self.parked = self.parked.saturating_sub(1);
        self.parked_bytes = self.parked_bytes.saturating_sub(packet.size());
        if seat.parked.is_empty() {
            // It may have been long.
            seat.parked = VecDeque::new();
            self.forget(socket);
        }
        Some(packet)
    }

    /// A handler waits on.
    pub(super) fn begin(&mut self, socket: SocketId) {
        let seat = self.seats.entry(socket).or_default();
        seat.handling = seat.handling.saturating_add(1);
    }

    /// It has returned.
    pub(super) fn end(&mut self, socket: SocketId) {
        if let Some(seat) = self.seats.get_mut(&socket) {
            seat.handling = seat.handling.saturating_sub(1);
            self.forget(socket);
        }
    }

    /// Forgets a namespace where nothing is under way.
    fn forget(&mut self, socket: SocketId) {
        if self.seats.get(&socket).is_some_and(|seat| seat.handling == 0 && seat.parked.is_empty()) {
            self.seats.remove(&socket);
        }
    }

    /// Whether too much waits to read more.
    pub(super) fn is_full(&mut self) -> bool {
        let (room, was_full, bytes) = (self.room, self.is_full, self.parked_bytes);
        // With a limit of zero, one is full where nothing waits yet.
        let may_be = self.parked > 0 || room.is_full(was_full, 0, 0);
        self.is_full = may_be
            && self.seats.values().any(|seat| {
                // None would be in flight that makes room.
                seat.handling >= self.handlers && room.is_full(was_full, seat.parked.len(), bytes)
            });
        self.is_full
    }
}
