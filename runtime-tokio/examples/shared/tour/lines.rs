//! What the halves of the tour say, and the steps in which it is printed.

use std::{fmt, sync::OnceLock};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt as _;

use crate::sockeye::BoxError;

/// Who says a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// The server, in its namespace `/admin`.
    Admin,
    /// The server.
    Server,
    /// A client.
    Ada,
    /// Another one.
    Grace,
    /// The connection of the first.
    Manager,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Admin => "/admin",
            Self::Server => "server",
            Self::Ada => "Ada",
            Self::Grace => "Grace",
            Self::Manager => "manager",
        })
    }
}

/// Where lines wait for the end of their step. Handlers capture nothing by this.
static SAID: OnceLock<UnboundedSender<(Who, String)>> = OnceLock::new();

/// Says a line: it is printed with its step, or at once where there are none.
pub(super) fn say(who: Who, line: impl Into<String>) {
    let line = line.into();
    match SAID.get() {
        // Nobody reads it once the tour is over.
        Some(said) => _ = said.unbounded_send((who, line)),
        None => println!("{line}"),
    }
}

/// The steps of a tour of both halves.
pub(super) struct Steps(UnboundedReceiver<(Who, String)>);

impl Steps {
    /// From now on lines wait for their step.
    pub(super) fn begin() -> Self {
        let (sender, said) = unbounded();
        SAID.get_or_init(|| sender);
        Self(said)
    }

    /// Does a step, and prints what was said once that are `count` lines. Those who run at the same time say theirs in any
    /// order, so they are printed one after the other.
    pub(super) async fn step(
        &mut self,
        title: &str,
        count: usize,
        doing: impl Future<Output = Result<(), BoxError>>,
    ) -> Result<(), BoxError> {
        println!("{title}");
        doing.await?;
        let mut lines: Vec<_> = self.0.by_ref().take(count).collect().await;
        lines.sort_by_key(|(who, _)| *who);
        for (who, line) in lines {
            println!("  {who:7} | {line}");
        }
        Ok(())
    }
}
