//! WebSocket (RFC 6455), both roles, without I/O.
//!
//! A [`Stream`] is one side of one connection whose opening handshake is done (for the answer to it there is
//! [`accept_key`]). Bytes from the peer go in with [`Stream::handle_bytes`], [`Event`]s come out of
//! [`Stream::poll_event`], and bytes for the peer wait in a [`TransmitQueue`].
//!
//! ```
//! use bytes::{Buf, BytesMut};
//! use sockeye_protocol::{Instant, Seed, ws::{Event, Message, Role, Settings, Stream}};
//!
//! let now = Instant::ZERO;
//! let mut server = Stream::new(Settings::new(Role::Server), None);
//! let mut client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
//!
//! client.send(&Message::Text("hello".into()));
//! let mut wire = BytesMut::from(client.transmit().chunk());
//! server.handle_bytes(&mut wire);
//! assert_eq!(server.poll_event(now), Some(Event::Message(Message::Text("hello".into()))));
//! assert_eq!(server.poll_event(now), None);
//! ```

mod assemble;
mod close;
mod frame;
mod inbound;
mod mask;
mod pong;
mod stream;
mod transmit;
mod utf8;

use alloc::string::String;
use core::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use sha1::{Digest as _, Sha1};

pub use close::CloseFrame;
pub(crate) use frame::{Opcode, encode_frame};
pub use stream::Stream;
pub use transmit::{OutMessage, TransmitQueue};

use crate::Text;

/// Which side of the connection a [`Stream`] is: a client masks its frames, a server does not (RFC 6455, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that accepted the connection.
    Server,
    /// The side that opened the connection.
    Client,
}

/// What a [`Stream`] is told once, at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our side of the connection.
    pub role: Role,
    /// The largest message taken from the peer, in bytes, all fragments together. A frame header that announces more is
    /// answered with close code 1009 before any of its payload is stored.
    pub max_message: usize,
    /// How many fragments without payload one message may have; one more is answered with close code 1008. Fragments
    /// with payload are bounded by `max_message` alone.
    pub max_empty_fragments: u32,
    /// How long the peer has, from our close frame on, to answer it and to take what is queued.
    pub close_timeout: Duration,
}

impl Settings {
    /// The defaults: messages of up to 1,000,000 bytes, 65,536 empty fragments, 5 seconds for the closing handshake.
    pub const fn new(role: Role) -> Self {
        Self { role, max_message: 1_000_000, max_empty_fragments: 65_536, close_timeout: Duration::from_secs(5) }
    }
}

/// A data message, put together from its fragments.
///
/// ```
/// use sockeye_protocol::ws::Message;
///
/// let size = |message: &Message| match message {
///     Message::Text(text) => text.len(),
///     Message::Binary(bytes) => bytes.len(),
/// };
/// assert_eq!(size(&Message::Text("hello".into())), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text (RFC 6455, 5.6).
    Text(Text),
    /// Arbitrary bytes.
    Binary(Bytes),
}

/// What happened on a [`Stream`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message arrived.
    Message(Message),
    /// A pong with this payload arrived, asked for or not (RFC 6455, 5.5.3). Pings are answered inside and not reported.
    Pong(Bytes),
    /// The connection is closing; no further event follows. Reported exactly once.
    Closing(Closing),
}

/// Why a connection is closing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The peer sent a close frame, `None` if it was without a body. It has been answered.
    Peer(Option<CloseFrame>),
    /// The peer broke the protocol or exceeded a limit. A close frame with [`Error::close_code`] has been queued.
    Violation(Error),
    /// The byte stream ended without a close frame.
    Eof,
}

/// What a peer did wrong. [`Error::close_code`] is the one place that maps it to the reaction on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// RSV1, RSV2 or RSV3 is set although no extension was negotiated (RFC 6455, 5.2).
    #[error("reserved bits are set in a frame header")]
    ReservedBits,
    /// The opcode is none that RFC 6455, 5.2 defines.
    #[error("reserved opcode {0:#x}")]
    ReservedOpcode(u8),
    /// A control frame must not be fragmented (RFC 6455, 5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame's payload has at most 125 bytes (RFC 6455, 5.5).
    #[error("a control frame has more than 125 bytes")]
    ControlTooLong,
    /// A client must mask its frames (RFC 6455, 5.1).
    #[error("a client's frame is not masked")]
    NotMasked,
    /// A server must not mask its frames (RFC 6455, 5.1).
    #[error("a server's frame is masked")]
    Masked,
    /// The payload length is not in its shortest form (RFC 6455, 5.2).
    #[error("a payload length of {0} is not in its shortest form")]
    LengthNotMinimal(u64),
    /// A continuation frame without a message to continue (RFC 6455, 5.4).
    #[error("a continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (RFC 6455, 5.4).
    #[error("a new message inside a fragmented message")]
    ExpectedContinuation,
    /// Text or the reason in a close frame is not UTF-8 (RFC 6455, 8.1).
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// The body of a close frame is empty or begins with two bytes of code (RFC 6455, 5.5.1).
    #[error("a close frame with one byte of body")]
    CloseBody,
    /// A close code that must not appear on the wire (RFC 6455, 7.4).
    #[error("invalid close code {0}")]
    CloseCode(u16),
    /// The message would exceed [`Settings::max_message`].
    #[error("a message of at least {found} bytes exceeds max_message = {limit}")]
    MessageTooBig {
        /// [`Settings::max_message`].
        limit: usize,
        /// Bytes that the message has with the frame that was announced.
        found: u64,
    },
    /// The message has more than [`Settings::max_empty_fragments`] fragments without payload.
    #[error("a message with more than max_empty_fragments = {limit} empty fragments")]
    TooManyEmptyFragments {
        /// [`Settings::max_empty_fragments`].
        limit: u32,
    },
}

impl Error {
    /// The code of the close frame that answers this error (RFC 6455, 7.4.1).
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::NotMasked
            | Self::Masked
            | Self::LengthNotMinimal(_)
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::CloseBody
            | Self::CloseCode(_) => 1002,
            Self::InvalidUtf8 => 1007,
            Self::TooManyEmptyFragments { .. } => 1008,
            Self::MessageTooBig { .. } => 1009,
        }
    }
}

/// The value of `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key` (RFC 6455, 4.2.2).
///
/// ```
/// let accept = sockeye_protocol::ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new().chain_update(key.trim()).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    BASE64_STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_events_are_small() {
        assert!(size_of::<Error>() <= 24);
        assert!(size_of::<Message>() <= 40);
        assert!(size_of::<Event>() <= 48);
    }

    #[test]
    fn the_default_settings_are_the_documented_limits() {
        let settings = Settings::new(Role::Server);
        assert_eq!(settings.max_message, 1_000_000);
        assert_eq!(settings.max_empty_fragments, 65_536);
        assert_eq!(settings.close_timeout, Duration::from_secs(5));
    }
}
