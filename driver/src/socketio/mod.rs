//! Socket.IO: servers, namespaces, sockets.

mod ack;
mod broadcast;
mod event;
mod handshake;
mod layer;
mod namespace;
mod seats;
mod server;
mod socket;

pub use self::{
    ack::{Ack, AckError, AckSendError, Acknowledgement},
    broadcast::{BroadcastOperator, IntoRooms, RoomName},
    event::Event,
    handshake::Handshake,
    namespace::Namespace,
    server::Server,
    socket::{Socket, Timeout},
};
pub(crate) use self::{
    ack::{Waiter, read as read_outcome},
    layer::SocketIo,
};
