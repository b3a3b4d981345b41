//! Socket.IO or Engine.IO behind one face: what either has to say becomes what the driver's threads look for.

use std::collections::{HashMap, HashSet};
use std::net::{Shutdown, TcpStream};

use sockeye_protocol::http::Response;
use sockeye_protocol::server::Server;
use sockeye_protocol::{ConnKey, Instant, Output, RequestId, TransportId, engine};

use super::App;

/// What the one lock guards.
pub(crate) struct State {
    pub(crate) core: Core,
    /// Requests so far: their names.
    pub(crate) requests: u64,
    pub(crate) driven: Driven,
}

/// What the threads find that wait for the core.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) answers: HashMap<RequestId, Answer>,
    pub(crate) streams: HashMap<WebSocket, TcpStream>,
    /// Those of them that end when all is written.
    pub(crate) ending: HashSet<WebSocket>,
}

pub(crate) enum Core {
    SocketIo(Server, App),
    EngineIo(engine::Server),
}

pub(crate) type WebSocket = (ConnKey, TransportId);
pub(crate) type Answer = (Response, Option<WebSocket>);

/// Calls a method that both cores have.
macro_rules! core {
    ($state:expr, $core:ident => $call:expr) => {
        match &mut $state.core {
            Core::SocketIo($core, _) => $call,
            Core::EngineIo($core) => $call,
        }
    };
}
pub(crate) use core;

impl State {
    /// Does one thing that the core has to say. `false` when there is none.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        match &mut self.core {
            Core::SocketIo(server, app) => {
                let Some(output) = server.poll_output() else { return false };
                if let Some(event) = self.driven.act(output) {
                    app(server, now, event);
                }
            }
            Core::EngineIo(server) => {
                let Some(output) = server.poll_output() else { return false };
                if let Some((key, engine::Event::Message(message))) = self.driven.act(output) {
                    let _ = server.send(key, message);
                }
            }
        }
        true
    }
}

impl Driven {
    /// Does what there is to do, or gives the event.
    fn act<E>(&mut self, output: Output<E>) -> Option<E> {
        match output {
            Output::Event(event) => return Some(event),
            Output::Respond { id, response } => _ = self.answers.insert(id, (response, None)),
            Output::Upgrade { id, response, connection, transport } => {
                self.answers.insert(id, (response, Some((connection, transport))));
            }
            Output::Shutdown { connection, transport } => _ = self.ending.insert((connection, transport)),
            Output::Abort { connection, transport } => match self.streams.get(&(connection, transport)) {
                Some(stream) => _ = stream.shutdown(Shutdown::Both),
                // Its thread has not come so far yet.
                None => _ = self.ending.insert((connection, transport)),
            },
            _ => {}
        }
        None
    }
}
