//! What is known about a client.

use alloc::sync::Arc;

use super::{Life, Manager};
use crate::{
    Instant, Text,
    client::{
        Config,
        engine::Engine,
        error::Error,
        event::SocketId,
        socket::{Kept, Socket},
        stats::Stats,
    },
};

impl Manager {
    /// What it was set up with.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, _) = client(|config| config.reconnection_attempts = Some(3));
    /// assert_eq!(client.config().reconnection_attempts, Some(3));
    /// # }
    /// ```
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether there is a connection.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, ..) = connected();
    /// assert!(client.is_open());
    /// # }
    /// ```
    pub const fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    /// Whether there is neither a connection, nor an attempt at one, nor a wait for the next.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// assert!(client.is_closed());
    /// client.connect(NOW, socket);
    /// assert!(!client.is_closed() && !client.is_open()); // There is an attempt.
    /// # }
    /// ```
    pub const fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed)
    }

    /// Until when it waits for the next attempt, if it does.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|config| config.randomization_factor = 0.0);
    /// client.connect(NOW, socket);
    /// let get = request(&outputs(&mut client), "GET");
    /// client.handle_failure(NOW, get, Failure::Connect("refused".into()));
    /// outputs(&mut client);
    /// assert_eq!(client.waits_until(), Some(NOW + Duration::from_secs(1)));
    /// # }
    /// ```
    pub const fn waits_until(&self) -> Option<Instant> {
        match self.life {
            Life::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether nothing is left to do: it is closed, and so are all its connections. Only then may a driver drop it without
    /// loss.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, _, get) = connected();
    /// client.close(NOW);
    /// let goodbye = request(&outputs(&mut client), "POST");
    /// assert!(client.is_closed() && !client.is_drained());
    /// client.handle_response(NOW, goodbye, &OK, Bytes::from("ok"));
    /// client.handle_response(NOW, get, &OK, Bytes::from("6"));
    /// outputs(&mut client);
    /// assert!(client.is_drained());
    /// # }
    /// ```
    pub fn is_drained(&self) -> bool {
        self.is_closed() && self.retiring.is_empty() && self.outputs.is_empty() && self.line.is_empty()
    }

    /// The connection, if there is one or an attempt: its transport, its session id, what is queued.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, ..) = connected();
    /// assert_eq!(client.engine().unwrap().transport(), Transport::Polling);
    /// # }
    /// ```
    pub fn engine(&self) -> Option<&Engine> {
        self.link.as_ref().map(|link| &link.engine)
    }

    /// Whether WebSocket has worked, the last time that it was tried: what
    /// [`Config::remember_upgrade`] goes by. It is state of this client alone; whoever wants another one to know, or the
    /// same program tomorrow, keeps it and hands it on.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, ..) = connected();
    /// assert!(!client.prior_websocket_success()); // It is on polling.
    /// # }
    /// ```
    pub fn prior_websocket_success(&self) -> bool {
        self.link.as_ref().map_or(self.attempts.remembered, |link| link.engine.prior_websocket_success())
    }

    /// The socket of a namespace.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, socket) = client(|_| {});
    /// assert_eq!((client.socket("/"), client.socket("/chat")), (Some(socket), None));
    /// # }
    /// ```
    pub fn socket(&self, namespace: &str) -> Option<SocketId> {
        self.sockets.iter().find(|socket| socket.namespace == *namespace).map(|socket| socket.id)
    }

    /// All sockets, in the order in which they were added.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// let chat = client.add_socket("/chat", SocketOptions::default());
    /// assert!(client.sockets().eq([socket, chat]));
    /// # }
    /// ```
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.sockets.iter().map(|socket| socket.id)
    }

    /// The namespace of a socket.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, socket) = client(|_| {});
    /// assert_eq!(client.namespace(socket).unwrap(), "/");
    /// # }
    /// ```
    pub fn namespace(&self, socket: SocketId) -> Option<&Text> {
        self.get(socket).map(|socket| &socket.namespace)
    }

    /// Whether a socket is connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// assert!(client.is_connected(socket));
    /// client.disconnect(NOW, socket);
    /// assert!(!client.is_connected(socket));
    /// # }
    /// ```
    pub fn is_connected(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(Socket::is_joined)
    }

    /// Whether a socket takes part in each connection (`active`): from [`connect`](Self::connect) until either side
    /// disconnects it, or the server refuses it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// assert!(!client.is_active(socket));
    /// client.connect(NOW, socket);
    /// assert!(client.is_active(socket));
    /// # }
    /// ```
    pub fn is_active(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(|socket| socket.active)
    }

    /// The id of a socket while it is connected (`socket.id`).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, socket, _) = connected();
    /// assert_eq!(client.sid(socket).unwrap(), "public");
    /// # }
    /// ```
    pub fn sid(&self, socket: SocketId) -> Option<&Text> {
        self.get(socket)?.rest.sid.as_ref()
    }

    /// Whether the server restored the session of before when the socket was last connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (client, socket, _) = connected();
    /// assert!(!client.is_recovered(socket)); // There was no session before.
    /// # }
    /// ```
    pub fn is_recovered(&self, socket: SocketId) -> bool {
        self.get(socket).is_some_and(|socket| socket.recovered)
    }

    /// Why a socket could not be connected, or lost its connection, the last time; `None` once it is connected.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// assert_eq!(client.last_error(socket), None);
    /// client.disconnect(NOW, socket);
    /// assert_eq!(client.last_error(socket), Some(&Error::Closed(DisconnectReason::ClientDisconnect)));
    /// # }
    /// ```
    pub fn last_error(&self, socket: SocketId) -> Option<&Error> {
        self.get(socket)?.rest.last_error.as_deref()
    }

    /// Events of a socket that wait to be sent, and their bytes: those that the connection has not been given yet.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.emit(NOW, socket, &event("hello", "world"), Flags::default()).unwrap();
    /// assert_eq!(client.buffered(socket), (1, r#"["hello","world"]"#.len()));
    /// # }
    /// ```
    pub fn buffered(&self, socket: SocketId) -> (usize, usize) {
        self.get(socket).map_or((0, 0), |socket| {
            let [waiting, retried] = [socket.kept().send.load(), socket.kept().queue.load()];
            (waiting.packets.saturating_add(retried.packets), waiting.bytes.saturating_add(retried.bytes))
        })
    }

    /// Whether a socket is not connected, and will not be before a verb says so: it is not [active](Self::is_active), or
    /// there is [nothing](Self::is_closed) that could connect it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// assert!(client.is_abandoned(socket));
    /// client.connect(NOW, socket);
    /// assert!(!client.is_abandoned(socket));
    /// client.close(NOW);
    /// assert!(client.is_abandoned(socket) && client.is_active(socket)); // Until `open`.
    /// # }
    /// ```
    pub fn is_abandoned(&self, socket: SocketId) -> bool {
        self.is_closed() || !self.is_active(socket)
    }

    /// Counts of what it holds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket, _) = connected();
    /// client.emit_with_ack(NOW, socket, &event("ask", "?"), None, Flags::default()).unwrap();
    /// let stats = client.stats();
    /// assert_eq!((stats.sockets, stats.acks, stats.requests), (1, 1, 1));
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            sockets: self.sockets.len(),
            left_namespaces: self.ghosts.len(),
            received_bytes: self.decoder.pending_bytes(),
            waiting: self.outputs.len().saturating_add(self.line.len()),
            ..Stats::default()
        };
        let add = |sum: &mut usize, part: usize| *sum = sum.saturating_add(part);
        for socket in &self.sockets {
            add(&mut stats.acks, socket.acks.len());
            let Kept { send, early, queue } = socket.kept();
            add(&mut stats.acks, queue.wanted());
            add(&mut stats.buffered_packets, send.load().packets);
            add(&mut stats.buffered_bytes, send.load().bytes);
            add(&mut stats.retried_packets, queue.load().packets);
            add(&mut stats.retried_bytes, queue.load().bytes);
            add(&mut stats.early_packets, early.load().packets);
            add(&mut stats.early_bytes, early.load().bytes);
        }
        for link in self.link.iter().chain(self.retiring.iter()) {
            let engine = link.engine.stats();
            add(&mut stats.engines, 1);
            add(&mut stats.requests, engine.requests);
            add(&mut stats.transports, engine.transports);
            add(&mut stats.received_bytes, engine.received_bytes);
            add(&mut stats.queued_bytes, engine.queued_bytes);
            add(&mut stats.queued_packets, engine.queued_packets);
            add(&mut stats.waiting, engine.waiting);
        }
        stats
    }
}
