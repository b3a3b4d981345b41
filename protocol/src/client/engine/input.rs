//! What an engine has been handed and not looked at yet.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::{
    RequestId, TransportId,
    client::http::{Failure, Response},
    engine::inbox::{Stored, message_len},
    ws::Message,
};

/// Something that has happened, in the order in which it was handed over.
#[derive(Debug)]
pub(super) enum Input {
    Response {
        id: RequestId,
        head: Head,
        body: Bytes,
    },
    Failure {
        id: RequestId,
        failure: Failure,
    },
    Upgrade {
        transport: TransportId,
        head: Head,
        body: Bytes,
    },
    OpenFailure {
        transport: TransportId,
        failure: Failure,
    },
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
    Timeout,
}

impl Stored for Input {
    fn is_tick(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Response { head, body, .. } | Self::Upgrade { head, body, .. } => {
                body.len().saturating_add(head.bytes())
            }
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Message { message, .. } => message_len(message),
            Self::Failure { .. } | Self::OpenFailure { .. } | Self::Eof(_) | Self::Timeout => 0,
        }
    }
}

/// What matters of a response's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(&'static str, Bytes)>,
}

/// The headers that matter.
const NAMES: [&str; 8] = [
    "set-cookie",
    "date",
    "location",
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

impl Head {
    pub(super) fn read(head: &Response<'_>) -> Self {
        let known = |name: &str| NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let headers = head.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some((known(name)?, Bytes::copy_from_slice(value))));
        Self { status: head.status, headers: headers.collect() }
    }

    fn bytes(&self) -> usize {
        self.headers.iter().map(|(_, value)| value.len()).fold(0, usize::saturating_add)
    }

    /// The same again as a driver's HTTP library would give it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Response<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        look(&Response { status: self.status, headers: &headers })
    }
}
