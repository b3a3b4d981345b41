//! A client and a server in virtual time, with a simulated network between them.
//!
//! [`Pair`] owns a [`Manager`], a [`Server`], the clock, and everything that is on its way from one to the other. It
//! decides nothing by itself but what drivers must do. What goes wrong is decided by [`Faults`], from a seed or from a
//! fuzzer's bytes: the same ones give the same run, to the byte.
//!
//! The fuzz targets and the tests in `protocol/tests/` share this module, so it sees the crate from outside.

#![allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    unused_imports,
    reason = "each user needs a part of this module"
)]

mod faults;
mod net;
pub mod talk;

use std::{collections::VecDeque, time::Duration};

use sockeye_protocol::{
    Config as ServerConfig, Instant, Output as ServerOutput, Seed, Sid, SocketKey, Text,
    client::{Config, Endpoint, Event as ClientEvent, Manager, Output as ClientOutput},
    server::{Event as ServerEvent, Server},
};

use self::net::Net;
pub use self::{
    faults::{Dice, Fate, Faults},
    net::Traffic,
};

pub struct Pair {
    pub now: Instant,
    pub client: Manager,
    pub server: Server,
    pub faults: Faults,
    /// What the client said and nobody has looked at yet.
    pub client_events: VecDeque<ClientEvent>,
    /// What the server said and nobody has looked at yet.
    pub server_events: VecDeque<ServerEvent>,
    /// Sockets that the server has let in by itself and nobody has looked at yet.
    pub accepted: VecDeque<(SocketKey, Sid, Text)>,
    /// Answers the client's questions for `auth` with nothing.
    pub auto_auth: bool,
    /// Lets every client into every namespace.
    pub auto_accept: bool,
    /// Whether outputs are polled after each input; else when all that happens at a time has happened.
    pub eager: bool,
    /// Bytes per `handle_bytes`; 0: as they come.
    pub chunk: usize,
    server_config: ServerConfig,
    namespaces: Vec<String>,
    /// How many servers there were.
    pub generation: u32,
    /// Everything is written to standard error (`SOCKEYE_TRACE`).
    pub trace: bool,
    seed: u64,
    /// What must not matter: who is polled first, and ticks that nobody asked for.
    order: Dice,
    net: Net,
    driving: bool,
}

impl Pair {
    pub fn new(config: Config, server: ServerConfig, seed: u64) -> Self {
        let endpoint = Endpoint::parse("http://localhost:3000").expect("a URL");
        Self::at(config, endpoint, server, seed)
    }

    pub fn at(config: Config, endpoint: Endpoint, server: ServerConfig, seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            client: Manager::new(config, endpoint, &Seed::for_tests(seed)),
            server: Server::new(server.clone(), &Seed::for_tests(!seed)),
            faults: Faults::none(Dice::Seed(seed)),
            client_events: VecDeque::new(),
            server_events: VecDeque::new(),
            accepted: VecDeque::new(),
            auto_auth: true,
            auto_accept: true,
            eager: true,
            chunk: 0,
            server_config: server,
            namespaces: Vec::new(),
            generation: 0,
            trace: std::env::var_os("SOCKEYE_TRACE").is_some(),
            seed,
            order: Dice::Seed(seed),
            net: Net::default(),
            driving: false,
        }
    }

    pub fn add_namespace(&mut self, name: &str) {
        self.server.add_namespace(name);
        self.namespaces.push(name.to_owned());
    }

    /// The server dies, and another one takes its place at once. What it had open is reset.
    pub fn restart(&mut self) {
        self.generation += 1;
        self.server =
            Server::new(self.server_config.clone(), &Seed::for_tests(!self.seed ^ u64::from(self.generation) << 32));
        for name in &self.namespaces {
            self.server.add_namespace(name);
        }
        self.reset_everything();
    }

    /// Polls until nothing is left to do, on either side.
    pub fn drive(&mut self) {
        if std::mem::replace(&mut self.driving, true) {
            return;
        }
        loop {
            let mut idle = true;
            // Who is polled first must not matter to what holds.
            for client in if self.order.chance(500) { [true, false] } else { [false, true] } {
                idle &= if client { !self.drive_client() } else { !self.drive_server() };
            }
            if idle {
                break;
            }
        }
        self.driving = false;
    }

    fn drive_client(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.client.poll_output() {
            moved = true;
            match output {
                ClientOutput::Event(ClientEvent::NeedAuth(request)) if self.auto_auth => {
                    // Nobody waits for it if the application has changed its mind meanwhile.
                    let _ = self.client.provide_auth(self.now, &request, Ok(None));
                }
                ClientOutput::Event(event) => {
                    self.trace(format_args!("client {event:?}"));
                    self.client_events.push_back(event);
                }
                output => {
                    self.trace(format_args!("client {output:?}"));
                    self.on_client_output(output);
                }
            }
        }
        let unsent: Vec<_> = self.client.unsent().collect();
        for transport in unsent {
            moved |= self.transmit_up(transport, false);
        }
        moved
    }

    fn drive_server(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.server.poll_output() {
            moved = true;
            match output {
                ServerOutput::Event(ServerEvent::Connect(request)) if self.auto_accept => {
                    let socket = request.socket();
                    let sid = request.sid();
                    let namespace = request.namespace().clone();
                    if self.server.accept(self.now, request).is_ok() {
                        self.accepted.push_back((socket, sid, namespace));
                    }
                }
                ServerOutput::Event(event) => {
                    self.trace(format_args!("server {event:?}"));
                    self.server_events.push_back(event);
                }
                output => {
                    self.trace(format_args!("server {output:?}"));
                    self.on_server_output(output);
                }
            }
        }
        while let Some((key, transport)) = self.server.poll_transmit() {
            moved |= self.transmit_down(key, transport, false);
        }
        moved | self.read_on()
    }

    pub fn trace(&self, what: std::fmt::Arguments<'_>) {
        if self.trace {
            eprintln!("{} {what}", self.now);
        }
    }

    /// What must hold when nothing is left to do at this time.
    fn check(&self) {
        let next = self.server.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a server's deadline of {next:?} at {}", self.now);
        let next = self.client.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a deadline of {next:?} at {}", self.now);
        assert!(
            self.client.is_closed() || next.is_some() || self.client.config().ask_headers,
            "neither closed nor waiting for anything"
        );
        if let Some(until) = self.client.waits_until() {
            assert!(until > self.now && next.is_some_and(|next| next <= until));
        }
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Instant> {
        [self.net.next(), self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    /// What happens next, and all that happens at the same time. `false`: nothing before `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        self.drive();
        let Some(next) = self.next().filter(|next| *next <= end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(next);
        while let Some(parcel) = self.net.take(self.now) {
            self.deliver(parcel);
            if self.eager {
                self.drive();
            }
        }
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) || self.order.chance(20) {
            self.client.handle_timeout(self.now);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) || self.order.chance(20) {
            self.server.handle_timeout(self.now);
        }
        self.drive();
        self.check();
        true
    }

    /// Lets time pass.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
    }

    /// Lets time pass until something holds; `false` if it does not within `limit`.
    pub fn until(&mut self, limit: Duration, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        self.drive();
        loop {
            if holds(self) {
                return true;
            }
            if !self.step(end) {
                return holds(self);
            }
        }
    }

    /// The client's events that were not looked at yet.
    pub fn take_events(&mut self) -> Vec<ClientEvent> {
        self.drive();
        self.client_events.drain(..).collect()
    }
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
