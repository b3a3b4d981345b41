//! The server side of Socket.IO: [`Server`], or its parts [`Connection`] and [`Hub`] for drivers with a task per
//! connection.
//!
//! The ordering contract:
//!
//! - Packets of one connection are processed strictly in the order of their arrival, one per `poll_output`.
//! - What is sent to one connection is written in the order in which it was sent; the attachments of a packet follow
//!   it at once.
//! - Room operations and broadcasts are totally ordered per hub.
//! - A key of something that is gone reaches nothing.
//! - Every [`Event::Connect`] that is accepted ends in exactly one [`Event::Disconnect`]; every acknowledgement that is
//!   asked for, in exactly one [`Event::Ack`]; every connection, in exactly one [`Event::Close`].

mod connection;
mod error;
mod event;
mod handshake;
mod hub;
mod namespace;
mod recovery;
mod rooms;
#[expect(clippy::module_inception, reason = "the type's own file")]
mod server;
mod stats;

pub use connection::{Connection, Output as ConnectionOutput};
pub use error::{EmitError, Error, JoinError, RequestGone};
pub use event::{AckToken, ConnectError, ConnectRequest, DisconnectReason, Event, RoomOp, SelectionId};
pub use handshake::Handshake;
pub use hub::{ConnectionEvent, Hub, HubEvent, HubOutput, Route as HubRoute};
pub use namespace::Target;
pub use rooms::Room;
pub use server::Server;
pub use stats::Stats;

pub use crate::{
    ack::{AckId, AckOutcome},
    socket::WrongPayload,
};
