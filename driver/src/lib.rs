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
    listener::{Listener, Listening},
    runtime::{BoxFuture, Runtime, Stream},
    socketio::{
        Ack, AckError, AckSendError, Acknowledgement, BroadcastOperator, Event, Handshake, IntoRooms, Namespace,
        RoomName, Server, Socket, Timeout,
    },
};
