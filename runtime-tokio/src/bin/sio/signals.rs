//! Ctrl-C, and being asked to end.

use std::io;

use super::exit::Exit;

/// The signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

const INTERRUPTED: u8 = 2;
#[cfg(unix)]
const TERMINATED: u8 = 15;

impl Signals {
    /// From here on they do not end it by themselves.
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => interrupted(),
            _ = self.terminate.recv() => Exit::signal(TERMINATED),
        }
    }

    #[cfg(not(unix))]
    pub(crate) const fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Exit {
        match tokio::signal::ctrl_c().await {
            Ok(()) => interrupted(),
            Err(_) => std::future::pending().await,
        }
    }
}

pub(crate) const fn interrupted() -> Exit {
    Exit::signal(INTERRUPTED)
}
