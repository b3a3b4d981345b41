//! What can go wrong: on the way to and on the server's side ([`Error`]), and on the caller's ([`EmitError`], ..).

use alloc::{borrow::ToOwned, boxed::Box, string::String};
use core::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{engine, event::DisconnectReason};
use crate::{
    Text,
    engine::{QueueUnit, SendError, buffer::Excess},
    socket::{Data, DecodeError, WrongPayload},
};

/// Why there is no connection, or one ended. Its text is what JavaScript has as `message`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// let get = request(&outputs(&mut client), "GET");
/// client.handle_failure(NOW, get, Failure::Connect("refused".into()));
/// let error = client.poll_output();
/// let Some(Output::Event(Event::ConnectError { error, .. })) = error else { panic!() };
/// assert_eq!(error.to_string(), "xhr poll error"); // What JavaScript says.
/// let mut cause: &dyn std::error::Error = &error;
/// while let Some(behind) = cause.source() {
///     cause = behind;
/// }
/// assert_eq!(cause.to_string(), "cannot connect: refused");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Below Socket.IO: the network, HTTP, WebSocket or Engine.IO.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The server refused to connect a namespace (CONNECT_ERROR). It is not tried again by itself.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer to CONNECT has no session id: the server speaks protocol version 4 of Socket.IO or older. It is not
    /// tried again by itself.
    #[error(
        "It seems you are trying to reach a Socket.IO server in v2.x with a v3.x client, but they are not compatible \
         (more information here: https://socket.io/docs/v3/migrating-from-2-x-to-3-0/)"
    )]
    OldServer,
    /// The server did not answer CONNECT within [`Config::connect_timeout`](super::Config::connect_timeout).
    #[error("the server has not connected the namespace within {limit:?}")]
    NoAnswer {
        /// The time that it had.
        limit: Duration,
    },
    /// The connection ended before the namespace was connected, or the namespace itself was disconnected.
    #[error("{0}")]
    Closed(DisconnectReason),
    /// The application could not say as whom, or with which headers, to connect.
    #[error("{0}")]
    Provider(Text),
    /// The server sent what is not a Socket.IO packet.
    #[error(transparent)]
    Packet(#[from] DecodeError),
    /// The attachments of a packet did not arrive in time.
    #[error("attachments still missing after {limit:?}")]
    PacketTimeout {
        /// [`Limits::packet_timeout`](super::Limits::packet_timeout).
        limit: Duration,
    },
    /// The server sent too many events for a namespace that it had not connected yet.
    #[error("events before the connection of their namespace: {value} {unit} are over the limit of {limit}")]
    TooManyEarlyEvents {
        /// Which limit it is.
        unit: QueueUnit,
        /// [`Limits::early_bytes`](super::Limits::early_bytes) or
        /// [`Limits::early_packets`](super::Limits::early_packets).
        limit: usize,
        /// What it would be.
        value: usize,
    },
}

impl Error {
    /// What ended a connection: why, where the details say no more than that the server has closed it.
    pub(super) fn of_close(reason: DisconnectReason, details: Option<&Self>) -> Self {
        match details {
            None | Some(Self::Engine(engine::Error::Closed(_))) => Self::Closed(reason),
            Some(details) => details.clone(),
        }
    }

    /// Whether a namespace that fails for this reason stays unconnected until it is told to connect. (Others are tried again,
    /// while [`reconnection`](super::Config::reconnection) is on and attempts remain.)
    ///
    /// ```
    /// # use sockeye_protocol::client::{DisconnectReason, Error};
    /// assert!(Error::Closed(DisconnectReason::ServerDisconnect).is_final());
    /// assert!(!Error::Closed(DisconnectReason::PingTimeout).is_final());
    /// ```
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::OldServer | Self::Closed(DisconnectReason::ServerDisconnect))
    }
}

/// What a server said when it refused a namespace.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// let get = request(&outputs(&mut client), "GET");
/// let said = says(&mut client, get, OPEN);
/// let said = says(&mut client, request(&said, "GET"), r#"44{"message":"not authorized","data":{"retry":5}}"#);
/// let Some(Event::ConnectError { error: Error::Refused(refusal), .. }) = events(said).into_iter().next() else { panic!() };
/// assert_eq!(refusal.message, "not authorized");
/// assert_eq!(refusal.data.unwrap().raw(), r#"{"retry":5}"#);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The error's text.
    pub message: Text,
    /// What a middleware gave beside it (`err.data`).
    pub data: Option<Data>,
}

impl Refusal {
    /// Reads an object with a `message` and maybe `data` (protocol version 5), or the string that older servers send.
    /// What is neither has no message, as in JavaScript.
    pub(super) fn read(data: &Data) -> Self {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow, default)]
            message: Option<&'a RawValue>,
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }
        // An array would be read as fields in their order.
        if data.raw().starts_with('{')
            && let Ok(fields) = serde_json::from_str::<Fields<'_>>(data.raw())
        {
            let text = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
            return Self {
                message: fields.message.map(text).unwrap_or_default().into(),
                data: fields.data.map(|raw| Data::from_valid(raw.get().into())),
            };
        }
        Self { message: data.deserialize::<String>().unwrap_or_default().into(), data: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why an event or an acknowledgement is not sent, now or later.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, _) = client(|_| {});
/// let careful = client.add_socket("/careful", SocketOptions { offline: Offline::Reject, ..SocketOptions::default() });
/// let sent = client.emit(NOW, careful, &event("hello", "world"), Flags::default());
/// assert_eq!(sent, Err(EmitError::NotConnected));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// There is no such socket (any more).
    #[error("there is no such socket")]
    Gone,
    /// The socket is not connected, and nothing is kept for it: [`Offline::Reject`](super::Offline::Reject), or an
    /// acknowledgement, which only the connection that asked for it can take.
    #[error("the socket is not connected")]
    NotConnected,
    /// The connection cannot take a volatile event now, so its acknowledgement would never come.
    #[error("a volatile event was dropped")]
    Dropped,
    /// As much waits to be sent as [`Offline::Buffer`](super::Offline::Buffer) allows.
    #[error("the send buffer is full: {value} {unit} would be over the limit of {limit}")]
    BufferFull {
        /// Which limit it is.
        unit: QueueUnit,
        /// The limit.
        limit: usize,
        /// What would wait with the event.
        value: usize,
    },
    /// The connection does not take what is sent.
    #[error(transparent)]
    Full(SendError),
    /// The server owes too many acknowledgements already.
    #[error("{limit} acknowledgements are outstanding, the limit is {limit}")]
    TooManyAcks {
        /// [`Limits::pending_acks`](super::Limits::pending_acks).
        limit: usize,
    },
    /// An event was given the payload of an acknowledgement, or the other way round.
    #[error(transparent)]
    WrongPayload(#[from] WrongPayload),
}

impl EmitError {
    pub(super) const fn buffer_full(Excess { unit, limit, value }: Excess) -> Self {
        Self::BufferFull { unit, limit, value }
    }
}

/// Why an [`AuthRequest`](super::AuthRequest) or a [`HeadersRequest`](super::HeadersRequest) could not be answered.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// let get = request(&outputs(&mut client), "GET");
/// client.handle_response(NOW, get, &OK, Bytes::from(OPEN));
/// let question = loop {
///     if let Some(Output::Event(Event::NeedAuth(question))) = client.poll_output() {
///         break question;
///     }
/// };
/// let text = Payload::data(&"a text").unwrap();
/// assert_eq!(client.provide_auth(NOW, &question, Ok(Some(&text))), Err(ProvideError::NotAnObject));
/// assert_eq!(client.provide_auth(NOW, &question, Ok(None)), Ok(()));
/// assert_eq!(client.provide_auth(NOW, &question, Ok(None)), Err(ProvideError::Gone));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProvideError {
    /// The connection that it was asked for is gone, or it is answered already. Another one will ask again.
    #[error("nobody waits for this answer any more")]
    Gone,
    /// What a client gives as `auth` must be an object. The question still stands.
    #[error("what is sent with CONNECT must be a JSON object")]
    NotAnObject,
    /// The payload is one of an event or acknowledgement. The question still stands.
    #[error(transparent)]
    WrongPayload(#[from] WrongPayload),
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
        assert!(size_of::<EmitError>() <= 40, "{}", size_of::<EmitError>());
    }

    #[test]
    fn i43_a_refusal_is_an_object_or_a_string() {
        let read = |json: &'static str| Refusal::read(&Data::from_valid(Text::from_static(json)));
        let refusal = read(r#"{"message":"no \"way\"","data":{"retry":[1,null]}}"#);
        assert_eq!((&*refusal.message, refusal.data.as_ref().unwrap().raw()), ("no \"way\"", r#"{"retry":[1,null]}"#));
        for (json, message) in [
            (r#""Invalid namespace""#, "Invalid namespace"),
            (r#"{"message":"m","data":null}"#, "m"),
            (r#"{"message":"m"}"#, "m"),
            (r#"{"message":12}"#, "12"),
            (r#"{"other":1}"#, ""),
            ("[1]", ""),
            ("null", ""),
            (r#""\ud800""#, "\u{fffd}"),
        ] {
            let refusal = read(json);
            assert_eq!((&*refusal.message, &refusal.data), (message, &None), "{json}");
            assert_eq!(Error::Refused(Box::new(refusal)).to_string(), message);
        }
    }
}
