//! Counts of everything that can grow.

use core::ops::AddAssign;

/// What a machine holds. Churn must bring every number back to zero (`namespaces` excepted, which the application
/// makes); tests and monitoring read it.
///
/// ```
/// use sockeye_protocol::{Config, Seed, server::{Server, Stats}};
///
/// let server = Server::new(Config::default(), &Seed::for_tests(1));
/// let stats: Stats = server.stats();
/// assert_eq!((stats.connections, stats.sockets, stats.namespaces), (0, 0, 1));
///
/// // Those of several machines.
/// let mut all = stats;
/// all += Server::new(Config::default(), &Seed::for_tests(2)).stats();
/// assert_eq!(all.namespaces, 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections, those that are closing included.
    pub connections: usize,
    /// Session ids that requests can name.
    pub sids: usize,
    /// Sockets: accepted memberships of connections in namespaces.
    pub sockets: usize,
    /// Connection requests that are not answered yet.
    pub pending_sockets: usize,
    /// Namespaces that this side made connections leave, and that the clients may not know of yet.
    pub left_namespaces: usize,
    /// Namespaces of the hub.
    pub namespaces: usize,
    /// Rooms with at least one socket.
    pub rooms: usize,
    /// Memberships of sockets in rooms.
    pub memberships: usize,
    /// Lost sessions that wait for their clients ([`crate::Config::recovery`]).
    pub lost_sessions: usize,
    /// Events that are kept for lost sessions, or for those that may be lost.
    pub logged_packets: usize,
    /// Bytes of these.
    pub logged_bytes: usize,
    /// Acknowledgements that clients owe.
    pub acks: usize,
    /// HTTP requests that are not answered yet.
    pub requests: usize,
    /// WebSockets, candidates of an upgrade included.
    pub transports: usize,
    /// Bytes received and not processed yet, unfinished messages and attachments included.
    pub received_bytes: usize,
    /// Bytes waiting to be sent.
    pub queued_bytes: usize,
    /// Packets waiting to be sent.
    pub queued_packets: usize,
    /// Outputs waiting to be polled, and inputs waiting to be processed; in an async driver also tasks that wait for room
    /// in a send queue.
    pub waiting: usize,
    /// Events, or messages of Engine.IO, that wait for the application (counted by async drivers).
    pub parked: usize,
    /// Handlers in flight (counted by async drivers).
    pub handlers: usize,
    /// Tasks of connections and listeners (counted by async drivers).
    pub tasks: usize,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        let pairs = [
            (&mut self.connections, other.connections),
            (&mut self.sids, other.sids),
            (&mut self.sockets, other.sockets),
            (&mut self.pending_sockets, other.pending_sockets),
            (&mut self.left_namespaces, other.left_namespaces),
            (&mut self.namespaces, other.namespaces),
            (&mut self.rooms, other.rooms),
            (&mut self.memberships, other.memberships),
            (&mut self.lost_sessions, other.lost_sessions),
            (&mut self.logged_packets, other.logged_packets),
            (&mut self.logged_bytes, other.logged_bytes),
            (&mut self.acks, other.acks),
            (&mut self.requests, other.requests),
            (&mut self.transports, other.transports),
            (&mut self.received_bytes, other.received_bytes),
            (&mut self.queued_bytes, other.queued_bytes),
            (&mut self.queued_packets, other.queued_packets),
            (&mut self.waiting, other.waiting),
            (&mut self.parked, other.parked),
            (&mut self.handlers, other.handlers),
            (&mut self.tasks, other.tasks),
        ];
        for (sum, part) in pairs {
            *sum = sum.saturating_add(part);
        }
    }
}
