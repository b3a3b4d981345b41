//! What a session has been handed and not looked at yet, and what it keeps of a request.

use alloc::boxed::Box;

use bytes::BytesMut;

use super::error::Error;
use crate::{
    Config, Instant, RequestId, TransportId,
    fifo::Fifo,
    http::{Body, Query, RefuseCode, Request, Response, cors::Grant, upgrade},
    ws::Message,
};

/// Inputs in the order in which they were handed over.
#[derive(Debug)]
pub(crate) struct Inbox<I> {
    inputs: Fifo<(Instant, I)>,
    begun: u64,
    /// How many of the inputs are ticks.
    ticks: usize,
    /// The latest of the ticks; counts only if there are any.
    latest_tick: Instant,
}

/// What an [`Inbox`] wants to know of its inputs.
pub(crate) trait Stored {
    /// Whether it says only that time has passed.
    fn is_tick(&self) -> bool;

    /// Bytes of the peer that are held.
    fn bytes(&self) -> usize;
}

impl<I> Default for Inbox<I> {
    fn default() -> Self {
        Self { inputs: Fifo::default(), begun: 0, ticks: 0, latest_tick: Instant::ZERO }
    }
}

impl<I: Stored> Inbox<I> {
    pub(crate) fn push(&mut self, now: Instant, input: I) {
        if input.is_tick() {
            self.latest_tick = if self.ticks == 0 { now } else { self.latest_tick.max(now) };
            self.ticks = self.ticks.saturating_add(1);
        }
        self.inputs.push_back((now, input));
    }

    /// Takes the oldest input, unless `until` inputs were taken already.
    pub(crate) fn pop(&mut self, until: u64) -> Option<(Instant, I)> {
        if self.begun >= until {
            return None;
        }
        let (now, input) = self.inputs.pop_front()?;
        if input.is_tick() {
            self.ticks = self.ticks.saturating_sub(1);
        }
        self.begun = self.begun.saturating_add(1);
        Some((now, input))
    }

    /// The time of the latest tick that waits.
    pub(crate) fn latest_tick(&self) -> Option<Instant> {
        (self.ticks > 0).then_some(self.latest_tick)
    }

    /// Inputs taken so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Inputs pushed so far.
    pub(crate) fn stored(&self) -> u64 {
        self.begun.saturating_add(self.len() as u64)
    }

    pub(crate) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Instant, I)> {
        self.inputs.iter()
    }
}

/// Something that has happened, in the order in which it was handed over.
#[derive(Debug)]
pub(crate) enum Input {
    Request {
        id: RequestId,
        ask: Box<Ask>,
        body: Body,
    },
    Body {
        id: RequestId,
        body: Body,
    },
    Abort(RequestId),
    /// `backing` is the capacity of the buffer that the bytes were split off.
    Bytes {
        transport: TransportId,
        bytes: BytesMut,
        backing: usize,
    },
    Message {
        transport: TransportId,
        message: Message,
    },
    Eof(TransportId),
    Withheld(bool),
    Timeout,
}

impl Stored for Input {
    fn is_tick(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Request { body: Body::Whole(bytes), .. } | Self::Body { body: Body::Whole(bytes), .. } => bytes.len(),
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Message { message, .. } => message_len(message),
            _ => 0,
        }
    }
}

pub(crate) fn message_len(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
    }
}

/// What a request asks for: all that matters of its head.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    pub(crate) grant: Grant,
    /// The answer has no body.
    pub(crate) head: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A GET that waits for packets.
    Poll,
    /// A POST with packets.
    Data {
        /// The status and the error if the body cannot be read at all.
        unreadable: Option<(u16, Error)>,
        /// `Content-Length`.
        declared: Option<u64>,
    },
    /// A WebSocket, with headers that can be accepted.
    Upgrade { accept: upgrade::Accept, base64: bool },
    /// A WebSocket that is refused in any case.
    BadUpgrade(Response),
    /// What contradicts itself: another protocol version, another transport.
    Contradiction,
    /// Another method than GET and POST.
    Method,
}

impl Ask {
    pub(crate) fn read(config: &Config, head: &Request<'_>) -> Self {
        Self { kind: kind(head), grant: Grant::of(config.cors.as_ref(), head), head: head.method == "HEAD" }
    }
}

fn kind(head: &Request<'_>) -> Kind {
    let Query { transport, version, b64, .. } = Query::read(head.target);
    let websocket = transport.as_deref() == Some("websocket");
    let contradiction = version.as_deref() != Some("4") || websocket != head.is_upgrade();
    match head.method {
        _ if contradiction && head.is_upgrade() => Kind::BadUpgrade(upgrade::refuse(RefuseCode::BadRequest)),
        _ if contradiction => Kind::Contradiction,
        _ if websocket => match upgrade::check(head) {
            // Any value but none at all, as in JavaScript.
            Ok(accept) => Kind::Upgrade { accept, base64: b64.is_some_and(|value| !value.is_empty()) },
            Err(refusal) => Kind::BadUpgrade(refusal),
        },
        "GET" => Kind::Poll,
        "POST" => Kind::Data { unreadable: unreadable(head), declared: declared(head) },
        _ => Kind::Method,
    }
}

/// Protocol version 4 sends binary as base64, so a binary body is a peer of another version; and this crate
/// decompresses nothing, so that no body is longer than it says.
fn unreadable(head: &Request<'_>) -> Option<(u16, Error)> {
    let media_type = |value: &[u8]| {
        let end = value.iter().position(|byte| *byte == b';');
        let value = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
        value.trim_ascii().eq_ignore_ascii_case(b"application/octet-stream")
    };
    let encoded = |value: &[u8]| {
        let value = value.trim_ascii();
        !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
    };
    if head.header("content-type").is_some_and(media_type) {
        Some((400, Error::BinaryBody))
    } else if head.header_lines("content-encoding").any(encoded) {
        Some((415, Error::EncodedBody))
    } else {
        None
    }
}

fn declared(head: &Request<'_>) -> Option<u64> {
    let value = head.header("content-length")?.trim_ascii();
    core::str::from_utf8(value).ok()?.parse().ok()
}
