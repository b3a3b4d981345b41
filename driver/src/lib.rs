//! What `sockeye-tokio` and `sockeye-async-std` share.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod core;
mod engine;
mod handler;
mod http;
mod layer;
mod link;
mod listener;
mod owner;
mod runtime;
mod signal;
mod socketio;
mod tcp;
mod timers;

pub use sockeye_protocol::{
    Config, Cors, Limits, Origins, QueuePolicy, Sid, Text, Transports,
    engine::{CloseReason, Message, SendError},
    server::{ConnectError, DisconnectReason, EmitError, JoinError, Stats},
    socket::{ArgsError, EncodeError, Object, Value},
};

pub use crate::{
    engine::{EngineServer, EngineSocket},
    handler::{
        Args, BoxError, ConnectContext, DisconnectContext, EventContext, EventName, Extract, ExtractError, Handler,
        HandlerError, HandlerFault, IntoOutcome, ListenerId, RawArgs, State, Values,
    },
    http::{Body, Peer, Upgrader},
    listener::{Listener, Listening, Serve},
    runtime::{BoxFuture, Runtime, Stream},
    socketio::{
        Ack, AckError, AckSendError, Acknowledgement, BroadcastOperator, Event, Handshake, IntoRooms, Namespace,
        RoomName, Server, Socket, Timeout,
    },
    tcp::bind_tcp,
};

/// What a server program uses; the preludes of the runtimes' crates add what listens.
pub mod prelude {
    pub use crate::{
        Ack, AckError, Args, BoxError, Config, ConnectError, Cors, DisconnectReason, EmitError, EngineServer,
        EngineSocket, Event, EventName, HandlerError, Handshake, Limits, ListenerId, Listening, Message, Namespace,
        Object, Origins, QueuePolicy, RawArgs, Server, Sid, Socket, State, Stats, Text, Transports, Value, Values,
    };
}
