//! What is known about a session.

use bytes::Buf as _;

use super::{
    EngineStats, Handshake,
    engine::{Engine, Phase},
    upgrade,
};
use crate::{
    Instant,
    client::{Cookies, Transport},
    engine::{
        Current,
        inbox::Stored as _,
        timers::{NEVER, Timer},
    },
    ws::TransmitQueue,
};

impl Engine {
    /// Whether the session is open for the application: it was opened, and neither side has closed it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// assert!(engine.is_open());
    /// engine.close(NOW);
    /// assert!(!engine.is_open());
    /// # }
    /// ```
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the session is closed for the application: [`Event::Close`](super::Event::Close) was put out or is next.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.close(NOW);
    /// assert!(engine.is_closed()); // Nothing was queued.
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether nothing is left to do: closed, no request on its way, every WebSocket ended. Only then may it be dropped.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.close(NOW);
    /// assert!(!engine.is_drained()); // The server is told yet.
    /// engine.abort(NOW);
    /// while engine.poll_output().is_some() {}
    /// assert!(engine.is_drained());
    /// # }
    /// ```
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Closed
            && self.get.is_none()
            && self.post.is_none()
            && self.sockets.is_empty()
            && self.inbox.is_empty()
            && self.out.is_empty()
    }

    /// The transport of the session, or the one that is being opened.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert_eq!(opened().0.transport(), Transport::Polling);
    /// # }
    /// ```
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `polling` or `websocket`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert_eq!(opened().0.transport_name(), "polling");
    /// # }
    /// ```
    pub fn transport_name(&self) -> &'static str {
        self.transport.as_str()
    }

    /// Whether a message that is sent now can leave at once: no POST is on its way and no upgrade is being finished, or
    /// the WebSocket's queue is empty.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// assert!(engine.writable());
    /// engine.send(engine::Message::Text("hello".into())).unwrap();
    /// assert!(!engine.writable());
    /// # }
    /// ```
    pub fn writable(&self) -> bool {
        self.phase == Phase::Open
            && match self.main() {
                Some(socket) => socket.stream.queue().is_empty(),
                None => self.post.is_none() && self.buffer.is_empty() && self.upgrade != upgrade::State::Pausing,
            }
    }

    /// Packets that wait to be sent on the session's transport; those of a POST on its way are not among them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// engine.send(engine::Message::Text("hello".into())).unwrap();
    /// assert_eq!(engine.queued_packets(), 1);
    /// engine.poll_output(); // The POST has it.
    /// assert_eq!(engine.queued_packets(), 0);
    /// # }
    /// ```
    pub fn queued_packets(&self) -> usize {
        self.load().packets
    }

    /// Bytes that wait to be sent on the session's transport; those of a POST on its way are not among them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, _) = opened();
    /// assert_eq!(engine.queued_bytes(), 0);
    /// engine.send(engine::Message::Text("hello".into())).unwrap();
    /// assert!(engine.queued_bytes() >= "hello".len());
    /// # }
    /// ```
    pub fn queued_bytes(&self) -> usize {
        self.load().bytes
    }

    /// What the server said when it opened the session; `None` before that.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opened();
    /// assert_eq!(engine.handshake().unwrap().max_payload, Some(1_000));
    /// assert_eq!(opening(|_| {}).0.handshake(), None);
    /// # }
    /// ```
    pub fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_deref()
    }

    /// The session's id, once it is open. It is a secret between client and server.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert_eq!(opened().0.sid(), Some("abc"));
    /// # }
    /// ```
    pub fn sid(&self) -> Option<&str> {
        self.handshake().map(|handshake| handshake.sid.as_str())
    }

    /// Whether the time for the server's next ping is over although no timer has said so yet, as after a device was
    /// suspended: what is sent now may go nowhere.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opened();
    /// assert!(!engine.has_expired_heartbeat(NOW));
    /// // The device has slept for an hour.
    /// assert!(engine.has_expired_heartbeat(NOW + Duration::from_secs(3_600)));
    /// # }
    /// ```
    pub fn has_expired_heartbeat(&self, now: Instant) -> bool {
        let deadline = self.timers.get(Timer::Heartbeat);
        matches!(self.phase, Phase::Open | Phase::Closing) && deadline != NEVER && now > deadline
    }

    /// Whether a WebSocket has worked, for the `remembered` of the next engine: set when a WebSocket was opened or its
    /// probe was answered, cleared by an error and when an upgrade begins.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opened();
    /// assert!(!engine.prior_websocket_success()); // It is on polling.
    /// # }
    /// ```
    pub fn prior_websocket_success(&self) -> bool {
        self.prior
    }

    /// The cookies of the endpoint, for the next engine.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// assert!(opened().0.cookies().is_empty()); // Without `Config::with_credentials` there are none.
    /// # }
    /// ```
    pub fn cookies(&self) -> &Cookies {
        &self.way.cookies
    }

    /// What this engine holds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opened();
    /// assert_eq!((engine.stats().requests, engine.stats().transports), (1, 0)); // The GET that waits.
    /// # }
    /// ```
    pub fn stats(&self) -> EngineStats {
        let sum = |values: &mut dyn Iterator<Item = usize>| values.fold(0, usize::saturating_add);
        let queues = || self.sockets.iter().map(|socket| socket.stream.queue());
        let reading = match &self.current {
            Current::Payload(reader) => reader.remaining(),
            Current::Nothing | Current::Stream(_) => 0,
        };
        let stored = self.inbox.iter().map(|(_, input)| input.bytes());
        let parsed = self.sockets.iter().map(|socket| socket.stream.buffered());
        let requests = [self.get.is_some(), self.post.is_some(), self.opening.is_some()];
        EngineStats {
            requests: requests.into_iter().filter(|waits| *waits).count(),
            transports: self.sockets.len(),
            waiting: self.inbox.len().saturating_add(self.out.len()),
            received_bytes: sum(&mut stored.chain(parsed).chain([reading])),
            queued_packets: sum(&mut queues().map(TransmitQueue::packets).chain([self.buffer.packets()])),
            queued_bytes: sum(&mut queues().map(|queue| queue.remaining()).chain([self.buffer.bytes()])),
        }
    }
}
