//! The connections of a [`Manager`]: the one in use, and those that say goodbye.

use alloc::sync::Arc;

use super::{Manager, Output};
use crate::{
    Instant, Seed,
    client::{
        Config,
        engine::{self, CloseReason, Engine},
    },
    engine::Step,
};

/// One connection, and its number, which its requests and WebSockets have in their ids.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) engine: Engine,
    pub(super) number: u32,
    /// Inputs that it may work on. Those behind the next tick wait for it.
    pub(super) until: u64,
}

/// How many connections may say goodbye at a time; of more, the oldest is dropped.
const RETIRING: usize = 8;

/// What an engine wants, or its event.
fn output_of(output: engine::Output) -> Result<Output, engine::Event> {
    Ok(match output {
        engine::Output::Request { id, request } => Output::Request { id, request },
        engine::Output::Cancel { id } => Output::Cancel { id },
        engine::Output::Open { transport, request } => Output::Open { transport, request },
        engine::Output::Shutdown { transport } => Output::Shutdown { transport },
        engine::Output::Abort { transport } => Output::Abort { transport },
        engine::Output::Event(event) => return Err(event),
    })
}

impl Link {
    /// What it wants next, from the inputs that it may work on.
    pub(super) fn poll(&mut self) -> Option<engine::Output> {
        loop {
            match self.engine.poll_step(self.until)? {
                Step::Output(output) => return Some(output),
                // It is handled when nothing else is to be said.
                Step::Tick(_) => {}
            }
        }
    }
}

impl Manager {
    /// Begins to open a connection.
    pub(super) fn start_engine(&mut self, config: Arc<Config>) {
        let number = self.attempts.next_link;
        self.attempts.next_link = number.wrapping_add(1);
        let jar = core::mem::take(&mut self.attempts.jar);
        let seed = Seed(self.attempts.rng.bytes());
        let now = self.clock;
        let mut engine =
            Engine::with_generation(now, config, &self.attempts.endpoint, jar, self.attempts.remembered, &seed, number);
        if self.withheld {
            engine.handle_withheld(now, true);
        }
        let until = engine.stored();
        self.link = Some(Link { engine, number, until });
    }

    pub(super) fn on_engine(&mut self, output: engine::Output) -> Option<Output> {
        match output_of(output) {
            Ok(output) => Some(output),
            Err(engine::Event::Open(_)) => {
                self.on_open();
                None
            }
            Err(engine::Event::Message(message)) => self.on_message(message).map(Output::Event),
            Err(engine::Event::Upgraded) => Some(Output::Event(super::Event::Upgrade)),
            Err(engine::Event::Ping) => Some(Output::Event(super::Event::Ping)),
            Err(engine::Event::Close { reason, error }) => {
                self.on_engine_close(reason, error);
                None
            }
        }
    }

    /// What connections that say goodbye still want.
    #[cold]
    pub(super) fn poll_retiring(&mut self) -> Option<Output> {
        let mut index = 0;
        while let Some(link) = self.retiring.get_mut(index) {
            while let Some(output) = link.engine.poll_output() {
                if let Ok(output) = output_of(output) {
                    return Some(output);
                }
            }
            if link.engine.is_drained() {
                self.retiring.remove(index);
            } else {
                index = index.saturating_add(1);
            }
        }
        None
    }

    /// Lets go of the connection. If it is not closed yet it is closed in order, or at once where a reason is given.
    pub(super) fn retire(&mut self, now: Instant, at_once: Option<CloseReason>) {
        let Some(mut link) = self.link.take() else { return };
        self.attempts.jar = link.engine.cookies().clone();
        self.attempts.remembered = link.engine.prior_websocket_success();
        match at_once {
            Some(reason) => link.engine.close_for(now, reason),
            None => link.engine.close(now),
        }
        self.retiring.push_back(link);
        if self.retiring.len() > RETIRING
            && let Some(oldest) = self.retiring.front_mut()
        {
            // What it still wants is said with the next poll; it has ended then.
            oldest.engine.abort(now);
        }
    }
}
