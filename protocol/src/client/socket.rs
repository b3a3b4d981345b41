//! One namespace of a client: what is known about it, and what waits for it.

mod acks;
mod buffer;
mod retries;

use core::time::Duration;

use alloc::vec::Vec;

use self::{
    acks::Acks,
    buffer::{EarlyEvents, SendBuffer},
    retries::Retries,
};
use super::{error::Error, event::SocketId};
use crate::{Instant, Text, socket::Args};

pub(super) use self::{
    buffer::{Buffered, Early, Excess, check_room},
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
    /// next connection. With it, events are sent one after the other, each when the one before was acknowledged (the
    /// server must do so, also for events that ask for nothing); volatile ones excepted. Default 0: no such queue.
    pub retries: u32,
    /// What becomes of events while the socket is not connected. Default [`Offline::Buffer`] with its defaults.
    pub offline: Offline,
}

/// What becomes of events while their socket is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// They are sent once it is, in order. (JavaScript does this without a bound.)
    Buffer {
        /// Events that may wait. Default 65,536.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is on its way.
    Sent,
    /// It waits for its turn, or for the connection: [`Event::Outgoing`](super::Event::Outgoing) follows when it is sent.
    Waiting,
    /// It was volatile, and dropped.
    Dropped,
}

/// One namespace.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: SocketId,
    pub(super) namespace: Text,
    pub(super) options: SocketOptions,
    /// Whether the application wants it to be connected.
    pub(super) active: bool,
    pub(super) stage: Stage,
    /// Set when this side left the namespace on this connection, until the server answers the next CONNECT: what comes
    /// in between is of the session before.
    pub(super) stale: bool,
    /// Which connection of this socket it is; acknowledgements of another one are worth nothing.
    pub(super) session: u64,
    pub(super) sid: Option<Text>,
    pub(super) recovered: bool,
    pub(super) recovery: Recovery,
    pub(super) last_error: Option<Error>,
    pub(super) next_ack: u64,
    pub(super) acks: Acks,
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
    /// CONNECT was sent; until when the answer is expected.
    Sent { due: Instant },
    /// This side wants no more of the CONNECT that it has sent. The server must answer it first: a second one, or a
    /// DISCONNECT, would make it close the connection.
    GivenUp { due: Instant },
    /// Connected.
    Joined,
}

/// What connection state recovery needs.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The private id of the session, if the server has this feature on.
    pub(super) pid: Option<Text>,
    /// The server's name for the last event that it sent.
    pub(super) offset: Option<Text>,
}

impl Socket {
    pub(super) fn new(id: SocketId, namespace: Text, options: SocketOptions) -> Self {
        Self {
            id,
            namespace,
            options,
            active: false,
            stage: Stage::Out,
            stale: false,
            session: 0,
            sid: None,
            recovered: false,
            recovery: Recovery::default(),
            last_error: None,
            next_ack: 0,
            acks: Acks::default(),
            send: SendBuffer::default(),
            early: EarlyEvents::default(),
            queue: Retries::default(),
        }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// The next acknowledgement's number.
    pub(super) fn take_ack_id(&mut self) -> u64 {
        let id = self.next_ack;
        self.next_ack = id.saturating_add(1);
        id
    }

    /// The server's answer to CONNECT.
    pub(super) fn join(&mut self, sid: Text, pid: Option<Text>, offset: Option<Text>) {
        self.recovered = pid.is_some() && self.recovery.pid == pid;
        if !self.recovered {
            self.recovery.offset = None;
        }
        if let Some(offset) = offset.filter(|offset| Recovery::is_offset(offset)) {
            self.recovery.offset = Some(offset);
        }
        self.recovery.pid = pid;
        self.sid = Some(sid);
        (self.stage, self.stale, self.last_error) = (Stage::Joined, false, None);
    }

    /// The connection is gone. Says whether this socket was connected.
    pub(super) fn lose(&mut self) -> bool {
        let was = core::mem::replace(&mut self.stage, Stage::Out);
        (self.stale, self.sid) = (false, None);
        // They are sent again with the next connection, if the server recovers the session.
        self.early = EarlyEvents::default();
        was == Stage::Joined
    }

    /// The earliest time at which something of this socket expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let answer = match self.stage {
            Stage::Sent { due } => Some(due),
            Stage::GivenUp { due } if self.active => Some(due),
            _ => None,
        };
        [answer, self.acks.deadline(), self.send.deadline(), self.queue.deadline()].into_iter().flatten().min()
    }

    /// Acknowledgements that end because the connection did: those of events that were sent. And the event that was on
    /// its way for the last time, if there is one.
    pub(super) fn end_acks(&mut self) -> (Vec<u64>, Option<Retried>) {
        let mut ended = self.acks.take_sent();
        let given_up = self.queue.on_disconnect(self.options.retries);
        ended.extend(given_up.as_ref().filter(|event| event.wanted).map(|event| event.id));
        ended.sort_unstable();
        (ended, given_up)
    }
}

impl Recovery {
    /// An offset is longer in no adapter that is known; what is longer is a text of the application.
    const MAX_OFFSET: usize = 64;

    /// Takes the offset that an event carries as its last argument.
    ///
    /// Only events that ask for no acknowledgement carry one (Socket.IO documentation, "Connection state recovery"), but
    /// a volatile event carries none, and its last argument may be a text as well. So what cannot be an offset is not
    /// taken for one: those of all adapters are letters, digits, `-`, `_`, `.`.
    pub(super) fn on_event(&mut self, args: &Args) {
        if self.pid.is_none() {
            return;
        }
        let Some(rest) = args.raw().strip_suffix('"') else { return };
        let Some(start) = rest.rfind('"') else { return };
        let text = rest.get(start.saturating_add(1)..).unwrap_or_default();
        let before = rest.get(..start).unwrap_or_default();
        // The opening quote of an argument, not the end of a key or an escaped quote.
        let is_argument = matches!(before.trim_ascii_end().as_bytes().last(), None | Some(b','));
        if is_argument && Self::is_offset(text) {
            self.offset = Some(text.into());
        }
    }

    fn is_offset(text: &str) -> bool {
        let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=Self::MAX_OFFSET).contains(&text.len()) && text.bytes().all(is_of_one)
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset_of(raw: &str, pid: Option<&'static str>) -> Option<Text> {
        let json = Text::from(["2[\"e\",", raw, "]"].concat());
        let mut decoder = crate::socket::Decoder::new(&crate::Limits::default());
        let Ok(Some(crate::socket::Packet::Event { args, .. })) = decoder.handle_text(json) else { panic!("{raw}") };
        let mut recovery = Recovery { pid: pid.map(Text::from_static), offset: None };
        recovery.on_event(&args);
        recovery.offset
    }

    #[test]
    fn i47_an_offset_is_a_last_argument_that_can_be_one() {
        for raw in ["1,\"Q2x-_9.A\"", "\"Q2x-_9.A\"", "{\"a\":\"b\"} , \"Q2x-_9.A\""] {
            assert_eq!(offset_of(raw, Some("p")), Some(Text::from("Q2x-_9.A")), "{raw}");
            assert_eq!(offset_of(raw, None), None);
        }
        let long = alloc::format!("\"{}\"", "x".repeat(65));
        for raw in ["\"two words\"", "\"\"", "1", "[\"x\"]", "{\"a\":\"x\"}", "\"a\\\",x\"", "\"é\"", &long] {
            assert_eq!(offset_of(raw, Some("p")), None, "{raw}");
        }
        assert_eq!(offset_of(&long.replacen('x', "", 1), Some("p")).map(|offset| offset.len()), Some(64));
    }

    #[test]
    fn a_session_is_recovered_if_its_private_id_stays() {
        let mut socket = Socket::new(SocketId(0), Text::from_static("/"), SocketOptions::default());
        let sid = || Text::from_static("s");
        socket.join(sid(), Some(Text::from_static("p")), None);
        assert!(!socket.recovered);
        socket.recovery.offset = Some(Text::from_static("o"));
        assert!(socket.lose() && !socket.lose());
        socket.join(sid(), Some(Text::from_static("p")), None);
        assert!(socket.recovered && socket.recovery.offset.is_some());
        // The offset is of the session that is gone.
        socket.join(sid(), Some(Text::from_static("q")), None);
        assert!(!socket.recovered && socket.recovery.offset.is_none());
        socket.join(sid(), None, None);
        socket.join(sid(), None, None);
        assert!(!socket.recovered);
        // What our own server says beside the ids.
        for (said, offset) in [("abcd.7", Some("abcd.7")), ("not one", None)] {
            socket.join(sid(), Some(Text::from_static("r")), Some(Text::from_static(said)));
            assert_eq!(socket.recovery.offset.take().as_deref(), offset);
        }
    }
}
