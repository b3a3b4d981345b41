//! Where lines come from.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    path::PathBuf,
    thread,
};

use etcetera::BaseStrategy as _;
use tokio::sync::mpsc;

use super::editor::Terminal;
use crate::{cli, output::PrintAbove, show};

/// Something that was typed, or read.
#[derive(Debug, PartialEq)]
pub(super) enum Input {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    End,
    Failed(String),
}

/// A terminal, or anything else that has lines.
pub(super) enum Source {
    Terminal(Terminal),
    Lines(mpsc::Receiver<Input>),
}

/// Lines that are read before somebody wants them.
const AHEAD: usize = 16;

impl Source {
    /// What there is; for a terminal on which lines can be edited, also how to print there meanwhile.
    pub(super) fn open(options: &cli::Connect) -> (Self, Option<PrintAbove>) {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let history = if options.no_history { None } else { history() };
            if let Some((terminal, print)) = Terminal::open(history) {
                return (Self::Terminal(terminal), Some(print));
            }
        }
        let (sender, lines) = mpsc::channel(AHEAD);
        thread::spawn(move || read(&sender));
        (Self::Lines(lines), None)
    }

    /// Says that another line is wanted.
    pub(super) fn ask(&self, namespace: &str) {
        if let Self::Terminal(terminal) = self {
            terminal.ask(format!("{}> ", show::text(namespace)));
        }
    }

    pub(super) async fn next(&mut self) -> Input {
        let input = match self {
            Self::Terminal(terminal) => terminal.next().await,
            Self::Lines(lines) => lines.recv().await,
        };
        input.unwrap_or(Input::End)
    }
}

fn read(sender: &mpsc::Sender<Input>) {
    for line in io::stdin().lock().lines() {
        let input = line.map_or_else(|error| Input::Failed(format!("standard input: {error}")), Input::Line);
        let is_last = matches!(input, Input::Failed(_));
        if sender.blocking_send(input).is_err() || is_last {
            return;
        }
    }
}

/// Where the history is kept.
fn history() -> Option<PathBuf> {
    let dirs = etcetera::choose_base_strategy().ok()?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_dir()).join("sio").join("history"))
}
