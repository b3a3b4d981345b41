//! One namespace of a client: what is known about it, and what waits for it.

mod acks;
mod buffer;
mod recovery;
mod retries;

use core::time::Duration;

use alloc::{boxed::Box, vec::Vec};

use self::{
    acks::Acks,
    buffer::{EarlyEvents, SendBuffer},
    retries::Retries,
};
use super::{
    error::Error,
    event::{AckToken, Event, SocketId},
};
use crate::{
    Instant, Text,
    ack::PeerAckId,
    engine::timers::{NEVER, is_due},
    socket::Args,
};

pub(super) use self::{
    buffer::{Buffered, Early},
    recovery::Recovery,
    retries::Retried,
};

/// How one socket behaves: the options of a socket in JavaScript, and what it does while it is not connected.
///
/// ```
/// use core::time::Duration;
/// use sockeye_protocol::client::{Offline, SocketOptions};
///
/// // Every event is sent until it is acknowledged, at most four times.
/// let reliable = SocketOptions { retries: 3, ack_timeout: Some(Duration::from_secs(10)), ..SocketOptions::default() };
/// assert!(matches!(reliable.offline, Offline::Buffer { max_packets: 65_536, .. }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The time in which the server must acknowledge, where the emit does not say another one. Default `None`: no bound
    /// but the connection's end.
    pub ack_timeout: Option<Duration>,
    /// How many times an event that was not acknowledged is sent again: after the acknowledgement's timeout, and on the
    /// next connection. While the send queue is full, no copy is put beside what waits there, but the time counts. With it, events are sent one after the other, each when the one before was acknowledged (the
    /// server must do so, also for events that ask for nothing); volatile ones excepted. Default 0: no such queue.
    pub retries: u32,
    /// What becomes of events while the socket is not connected. Default [`Offline::Buffer`] with its defaults.
    pub offline: Offline,
}

/// What becomes of events while their socket is not connected.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// // A hundred events of the last minute.
/// let offline = Offline::Buffer { max_packets: 100, max_bytes: 100_000, ttl: Some(Duration::from_secs(60)) };
/// let (mut client, _) = client(|_| {});
/// let socket = client.add_socket("/news", SocketOptions { offline, ..SocketOptions::default() });
/// client.emit(NOW, socket, &event("old", "news"), Flags::default()).unwrap();
/// client.handle_timeout(NOW + Duration::from_secs(60));
/// assert!(matches!(events(outputs(&mut client))[..], [Event::Discarded { .. }]));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// They are sent once it is, in order. (JavaScript does this without a bound.)
    Buffer {
        /// Events that may wait. Default 65,536. An empty buffer takes one, whatever this says.
        max_packets: usize,
        /// Bytes of them. An empty buffer takes an event of any size. Default 4 MiB.
        max_bytes: usize,
        /// How long each may wait before it is discarded. Default `None`: as long as it takes. Not for events in the
        /// queue of [`SocketOptions::retries`].
        ttl: Option<Duration>,
    },
    /// The emit fails.
    Reject,
}

impl Default for Offline {
    fn default() -> Self {
        Self::Buffer { max_packets: 65_536, max_bytes: 4 * 1024 * 1024, ttl: None }
    }
}

/// What has become of an event that was emitted.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// let event = event("hello", "world");
/// assert_eq!(client.emit(NOW, socket, &event, Flags::default()), Ok(Delivery::Waiting));
/// assert_eq!(client.emit(NOW, socket, &event, Flags::VOLATILE), Ok(Delivery::Dropped));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is on its way.
    Sent,
    /// It waits for its turn, or for the connection: [`Event::Outgoing`](super::Event::Outgoing) follows when it is sent.
    Waiting,
    /// It was volatile, and dropped.
    Dropped,
}

/// One namespace: what is looked at with each packet of a connected one, in little memory.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: SocketId,
    pub(super) namespace: Text,
    /// Whether the application wants it to be connected.
    pub(super) active: bool,
    pub(super) stage: Stage,
    /// Set when this side left the namespace on this connection, until the server answers the next CONNECT: what comes
    /// in between is of the session before.
    pub(super) stale: bool,
    /// Which connection of this socket it is; acknowledgements of another one are worth nothing.
    pub(super) session: u64,
    pub(super) recovered: bool,
    pub(super) next_ack: u64,
    pub(super) acks: Acks,
    /// [`SocketOptions::retries`], here once more.
    pub(super) retries: u32,
    /// Whether the session may be recovered, so that events are searched for offsets: whether [`Recovery`] has a private id.
    is_recoverable: bool,
    /// When something in [`Kept`] is due; [`NEVER`] if nothing is.
    kept_until: Instant,
    pub(super) rest: Box<Rest>,
}

/// What few packets need of a namespace.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) options: SocketOptions,
    /// Orders the sockets by when the application wanted them to be connected.
    pub(super) turn: u64,
    pub(super) sid: Option<Text>,
    recovery: Recovery,
    pub(super) last_error: Option<Box<Error>>,
    /// How often in a row the application could not say as whom.
    pub(super) auth_failures: u32,
    kept: Kept,
}

/// Events that wait.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) send: SendBuffer,
    pub(super) early: EarlyEvents,
    pub(super) queue: Retries,
}

/// Where a namespace stands on the present connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is going on.
    Out,
    /// The application was asked as whom.
    Asking { serial: u64 },
    /// The application could not say as whom, and is asked again then.
    Waiting { due: Instant },
    /// CONNECT was sent; until when the answer is expected.
    Sent { due: Instant },
    /// This side wants no more of the CONNECT that it has sent. The server must answer it first: a second one, or a
    /// DISCONNECT, would make it close the connection.
    GivenUp { due: Instant },
    /// Connected.
    Joined,
}

impl Socket {
    pub(super) fn new(id: SocketId, namespace: Text, options: SocketOptions) -> Self {
        Self {
            id,
            namespace,
            active: false,
            stage: Stage::Out,
            stale: false,
            session: 0,
            recovered: false,
            next_ack: 0,
            acks: Acks::default(),
            retries: options.retries,
            is_recoverable: false,
            kept_until: NEVER,
            rest: Box::new(Rest {
                options,
                turn: 0,
                sid: None,
                recovery: Recovery::default(),
                last_error: None,
                auth_failures: 0,
                kept: Kept::default(),
            }),
        }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// Whether its events are sent until they are acknowledged.
    pub(super) const fn has_retries(&self) -> bool {
        self.retries > 0
    }

    /// The next acknowledgement's number.
    pub(super) fn take_ack_id(&mut self) -> u64 {
        let id = self.next_ack;
        self.next_ack = id.saturating_add(1);
        id
    }

    /// The server's answer to CONNECT.
    pub(super) fn join(&mut self, sid: Text, pid: Option<Text>, offset: Option<Text>) {
        self.is_recoverable = pid.is_some();
        self.recovered = self.rest.recovery.on_connect(pid, offset);
        self.rest.sid = Some(sid);
        self.rest.auth_failures = 0;
        (self.stage, self.stale, self.rest.last_error) = (Stage::Joined, false, None);
    }

    /// What the application hears of an event that has arrived.
    #[expect(clippy::inline_always, reason = "each event comes here, and would be moved again")]
    #[inline(always)]
    pub(super) fn deliver(&mut self, Early { event, args, id }: Early) -> Event {
        if id.is_none() {
            self.on_event(&args);
        }
        let (socket, session) = (self.id, self.session);
        let ack = id.map(|id| AckToken { socket, session, id: PeerAckId::new(id) });
        Event::Packet { socket, event, args, ack }
    }

    /// An event without acknowledgement has arrived: it may carry an offset.
    fn on_event(&mut self, args: &Args) {
        if self.is_recoverable {
            self.rest.recovery.on_event(args);
        }
    }

    pub(super) fn recovery(&self) -> &Recovery {
        &self.rest.recovery
    }

    /// The session is not to be recovered.
    pub(super) fn forget_session(&mut self) {
        self.is_recoverable = false;
        self.rest.recovery.forget();
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.rest.kept
    }

    /// Whether something that waits is due.
    pub(super) fn is_kept_due(&self, now: Instant) -> bool {
        is_due(self.kept_until, now)
    }

    /// Changes what waits.
    pub(super) fn change_kept<T>(&mut self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let kept = &mut self.rest.kept;
        let changed = change(kept);
        let [waiting, retried] = [kept.send.deadline(), kept.queue.deadline()].map(|at| at.unwrap_or(NEVER));
        self.kept_until = waiting.min(retried);
        changed
    }

    /// The connection is gone. Says whether this socket was connected.
    pub(super) fn lose(&mut self) -> bool {
        let was = core::mem::replace(&mut self.stage, Stage::Out);
        (self.stale, self.rest.sid) = (false, None);
        // They are sent again with the next connection, if the server recovers the session.
        self.change_kept(|kept| kept.early.take());
        was == Stage::Joined
    }

    /// The earliest time at which something of this socket expires; [`NEVER`] if nothing does.
    pub(super) fn deadline(&self) -> Instant {
        let answer = match self.stage {
            Stage::Sent { due } | Stage::Waiting { due } => due,
            Stage::GivenUp { due } if self.active => due,
            _ => NEVER,
        };
        answer.min(self.acks.deadline().unwrap_or(NEVER)).min(self.kept_until)
    }

    /// Acknowledgements that end because the connection did: those of events that were sent. And the event that was on
    /// its way for the last time, if there is one.
    pub(super) fn end_acks(&mut self) -> (Vec<u64>, Option<Retried>) {
        let mut ended = self.acks.take_sent();
        let retries = self.retries;
        let given_up = self.change_kept(|kept| kept.queue.on_disconnect(retries));
        ended.extend(given_up.as_ref().filter(|event| event.wanted).map(|event| event.id));
        ended.sort_unstable();
        (ended, given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Packet, Payload};

    /// What is looked at with each packet lies close together.
    #[test]
    fn it_is_small() {
        assert!(size_of::<Socket>() <= 144, "{}", size_of::<Socket>());
    }

    #[test]
    fn offsets_are_taken_of_a_session_that_may_be_recovered() {
        let mut socket = Socket::new(SocketId(0), Text::MAIN, SocketOptions::default());
        let offset = |socket: &Socket| socket.recovery().offset().cloned();
        let mut decoder = crate::socket::Decoder::new(&crate::Limits::default());
        let packet = decoder.handle_text(Text::from_static(r#"2["news","Pq4B7aZ"]"#)).unwrap();
        let Some(Packet::Event { args, .. }) = packet else { panic!("{packet:?}") };
        socket.join(Text::from_static("s"), None, None);
        socket.on_event(&args);
        assert_eq!(offset(&socket), None);
        socket.join(Text::from_static("s"), Some(Text::from_static("p")), None);
        socket.on_event(&args);
        assert_eq!(offset(&socket).as_deref(), Some("Pq4B7aZ"));
        socket.forget_session();
        socket.on_event(&args);
        assert_eq!(offset(&socket), None);
    }

    #[test]
    fn the_deadline_follows_what_waits() {
        let at = Instant::from_millis;
        let mut socket = Socket::new(SocketId(0), Text::MAIN, SocketOptions { retries: 1, ..SocketOptions::default() });
        let event = |expires| Buffered { payload: Payload::event("e", &(), 0).unwrap(), ack: None, expires };
        assert_eq!(socket.deadline(), NEVER);
        socket.change_kept(|kept| kept.send.push(event(Some(at(5)))));
        socket.change_kept(|kept| kept.send.push(event(Some(at(7)))));
        assert_eq!((socket.deadline(), socket.is_kept_due(at(4)), socket.is_kept_due(at(5))), (at(5), false, true));
        let retried = Retried { id: 0, payload: Payload::event("e", &(), 0).unwrap(), wanted: false, timeout: None };
        socket.change_kept(|kept| kept.queue.push(retried));
        socket.change_kept(|kept| kept.queue.on_try(Some(at(3))));
        assert_eq!(socket.deadline(), at(3));
        socket.acks.insert(1, Some(at(2)), true);
        assert_eq!((socket.deadline(), socket.is_kept_due(at(2))), (at(2), false));
        // The end of a connection is that of the try, and of acknowledgements; what waits stays.
        assert!(socket.end_acks().1.is_none());
        assert_eq!(socket.deadline(), at(5));
        socket.change_kept(|kept| kept.send.pop());
        assert_eq!(socket.deadline(), at(7));
        socket.change_kept(|kept| kept.send.pop());
        assert_eq!((socket.deadline(), socket.is_kept_due(at(u64::MAX / 1_000))), (NEVER, false));
    }

    #[test]
    fn a_session_is_recovered_if_its_private_id_stays() {
        let mut socket = Socket::new(SocketId(0), Text::from_static("/"), SocketOptions::default());
        let sid = || Text::from_static("s");
        socket.join(sid(), Some(Text::from_static("p")), Some(Text::from_static("o")));
        assert!(!socket.recovered);
        assert!(socket.lose() && !socket.lose());
        socket.join(sid(), Some(Text::from_static("p")), None);
        assert!(socket.recovered && socket.recovery().offset().is_some());
        // The offset is of the session that is gone.
        socket.join(sid(), Some(Text::from_static("q")), None);
        assert!(!socket.recovered && socket.recovery().offset().is_none());
        socket.join(sid(), None, None);
        socket.join(sid(), None, None);
        assert!(!socket.recovered);
    }
}
