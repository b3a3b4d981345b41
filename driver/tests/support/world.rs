//! A server and who has connected to it.

use std::{
    future::ready,
    sync::{Arc, Mutex},
};

use sockeye_driver::{Config, Server, Socket};

use super::{Client, Poller, Rig};

/// A server, and the sockets that have connected to it.
#[derive(Clone)]
pub struct World {
    pub io: Server,
    pub sockets: Arc<Mutex<Vec<Socket>>>,
}

impl World {
    pub fn new(config: Config) -> Self {
        let world = Self { io: Server::new(config), sockets: Arc::default() };
        let sockets = Arc::clone(&world.sockets);
        world.io.on_connect(move |socket: Socket| {
            sockets.lock().unwrap().push(socket);
            ready(())
        });
        world
    }

    pub fn last(&self) -> Socket {
        self.sockets.lock().unwrap().last().unwrap().clone()
    }

    /// A client that has joined, and of which the server's stream takes so many bytes before it has to read.
    #[track_caller]
    pub fn joined(&self, rig: &Rig, capacity: usize) -> (Client, Socket) {
        let client = rig.joined_with(&self.io, capacity);
        (client, self.last())
    }

    /// A client on polling that has joined, without a poll.
    #[track_caller]
    pub fn polling(&self, rig: &Rig) -> (Poller, Socket) {
        let mut client = rig.poller(&self.io);
        client.join();
        (client, self.last())
    }
}
