//! What a server and a network do to a client, whichever machine of it is tested.

use alloc::{string::String, vec::Vec};

use bytes::{Bytes, BytesMut};

use super::client_engine::Op;
use crate::{
    Instant, RequestId, TransportId,
    client::{
        Manager,
        engine::{Engine, Message},
        http::{Failure, Request, Response},
    },
    ws,
};

/// What a client has asked for.
#[derive(Default)]
pub(super) struct Network {
    /// By id: connections that say goodbye ask for theirs at any time among those of the next.
    requests: Vec<RequestId>,
    /// The WebSockets, and the key that each answer needs.
    opens: Vec<(TransportId, String)>,
}

/// How much a client had asked for at some time: what an [`Op`] counts back from.
#[derive(Clone, Copy)]
pub(super) struct Known {
    requests: usize,
    opens: usize,
}

impl Network {
    pub(super) fn request(&mut self, id: RequestId) {
        let at = self.requests.partition_point(|other| *other < id);
        self.requests.insert(at, id);
    }

    pub(super) fn open(&mut self, transport: TransportId, request: &Request) {
        let key = request.header("sec-websocket-key").expect("a key");
        self.opens.push((transport, ws::accept_key(key)));
    }

    pub(super) fn known(&self) -> Known {
        Known { requests: self.requests.len(), opens: self.opens.len() }
    }

    /// The WebSockets that were asked for.
    pub(super) fn transports(&self) -> impl Iterator<Item = TransportId> {
        self.opens.iter().map(|(transport, _)| *transport)
    }

    /// The WebSocket that a number means.
    pub(super) fn transport(&self, back: u8, known: Known) -> Option<TransportId> {
        self.opened(back, known).map(|(transport, _)| *transport)
    }

    /// Hands over one operation of the network; bytes are cut into pieces of that size. Others do nothing.
    pub(super) fn hand_over(&self, client: &mut impl Client, now: Instant, op: &Op, piece: usize, known: Known) {
        match op {
            Op::Answer(back, status, headers, body) => {
                if let Some(id) = self.requested(*back, known) {
                    let headers = borrowed(headers);
                    let head = Response { status: *status, headers: &headers };
                    client.handle_response(now, id, &head, Bytes::copy_from_slice(body));
                }
            }
            Op::Fail(back) => {
                if let Some(id) = self.requested(*back, known) {
                    client.handle_failure(now, id, Failure::Reset("x".into()));
                }
            }
            Op::Upgrade(back, status, headers, body) => {
                if let Some((transport, accept)) = self.opened(*back, known) {
                    let mut headers = borrowed(headers);
                    headers.push(("upgrade", b"websocket"));
                    headers.push(("connection", b"upgrade"));
                    headers.push(("sec-websocket-accept", accept.as_bytes()));
                    let head = Response { status: *status, headers: &headers };
                    client.handle_upgrade(now, *transport, &head, Bytes::copy_from_slice(body));
                }
            }
            Op::OpenFail(back) => {
                if let Some(transport) = self.transport(*back, known) {
                    client.handle_open_failure(now, transport, Failure::Timeout);
                }
            }
            Op::Say(back, packet) => {
                let frame = ws::encode_frame(ws::Opcode::Text, &[packet]);
                self.bytes(client, now, *back, &frame, piece, known);
            }
            Op::Raw(back, bytes) => self.bytes(client, now, *back, bytes, piece, known),
            Op::Message(back, message) => {
                if let Some(transport) = self.transport(*back, known) {
                    client.handle_message(now, transport, message.clone());
                }
            }
            Op::Eof(back) => {
                if let Some(transport) = self.transport(*back, known) {
                    client.handle_eof(now, transport);
                }
            }
            Op::Tick(_) | Op::Send(_) | Op::Close | Op::Abort => {}
        }
    }

    fn bytes(&self, client: &mut impl Client, now: Instant, back: u8, bytes: &[u8], piece: usize, known: Known) {
        let Some(transport) = self.transport(back, known) else { return };
        for part in bytes.chunks(piece) {
            let mut buffer = BytesMut::from(part);
            client.handle_bytes(now, transport, &mut buffer);
            assert!(buffer.is_empty());
        }
    }

    fn requested(&self, back: u8, known: Known) -> Option<RequestId> {
        let index = known.requests.checked_sub(usize::from(back).saturating_add(1))?;
        self.requests.get(index).copied()
    }

    fn opened(&self, back: u8, known: Known) -> Option<&(TransportId, String)> {
        let index = known.opens.checked_sub(usize::from(back).saturating_add(1))?;
        self.opens.get(index)
    }
}

fn borrowed(headers: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

macro_rules! clients {
    ($($machine:ty),+: $($input:ident($($name:ident: $type:ty),+);)+) => {
        /// The inputs that clients have in common.
        pub(super) trait Client {
            $(fn $input(&mut self, now: Instant, $($name: $type),+);)+
        }

        clients!(@each [$($machine),+] $($input($($name: $type),+);)+);
    };
    (@each [$machine:ty $(, $more:ty)*] $($inputs:tt)+) => {
        clients!(@one $machine: $($inputs)+);
        clients!(@each [$($more),*] $($inputs)+);
    };
    (@each [] $($inputs:tt)+) => {};
    (@one $machine:ty: $($input:ident($($name:ident: $type:ty),+);)+) => {
        impl Client for $machine {
            $(fn $input(&mut self, now: Instant, $($name: $type),+) {
                Self::$input(self, now, $($name),+);
            })+
        }
    };
}

clients! {
    Engine, Manager:
    handle_response(id: RequestId, head: &Response<'_>, body: Bytes);
    handle_failure(id: RequestId, failure: Failure);
    handle_upgrade(transport: TransportId, head: &Response<'_>, body: Bytes);
    handle_open_failure(transport: TransportId, failure: Failure);
    handle_bytes(transport: TransportId, buffer: &mut BytesMut);
    handle_message(transport: TransportId, message: Message);
    handle_eof(transport: TransportId);
}
