//! Counts of everything that can grow.

/// What a [`Manager`](super::Manager) holds. Once it is closed, all but `sockets` and what the application left in their
/// buffers comes back to zero; tests and monitoring read it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.emit(NOW, socket, &event("hello", "world"), Flags::default()).unwrap();
/// assert_eq!((client.stats().buffered_packets, client.stats().engines), (1, 0));
/// client.remove(NOW, socket);
/// assert_eq!((client.stats().buffered_packets, client.stats().sockets), (0, 0));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sockets: namespaces that were added and not removed.
    pub sockets: usize,
    /// Namespaces that were removed while the connection lives, and that the server may not know of yet.
    pub left_namespaces: usize,
    /// Connections that are open or being opened, at most one, and those that still say goodbye.
    pub engines: usize,
    /// Acknowledgements that the server owes, those of buffered events included.
    pub acks: usize,
    /// Events that wait until their socket is connected.
    pub buffered_packets: usize,
    /// Bytes of those.
    pub buffered_bytes: usize,
    /// Events in retry queues, the ones in flight included.
    pub retried_packets: usize,
    /// Bytes of those.
    pub retried_bytes: usize,
    /// Events that arrived before their socket was connected.
    pub early_packets: usize,
    /// Bytes of those.
    pub early_bytes: usize,
    /// HTTP requests that are not answered yet.
    pub requests: usize,
    /// WebSockets, those that are being opened or closed included.
    pub transports: usize,
    /// Bytes received and not processed yet, unfinished messages and attachments included.
    pub received_bytes: usize,
    /// Bytes handed over to connections and not taken yet.
    pub queued_bytes: usize,
    /// Packets handed over to connections and not taken yet.
    pub queued_packets: usize,
    /// Outputs waiting to be polled, and inputs waiting to be processed.
    pub waiting: usize,
}
