//! What is printed. A thread of its own writes, so that whoever reads slowly delays neither signals nor pings.

use std::{
    collections::VecDeque,
    fmt::Display,
    io::{self, Write as _},
    thread,
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::exit::Exit;

/// Lines that may wait to be written, before the server has to wait.
const WAITING: usize = 256;

/// How long a terminal may take for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Takes lines, and prints them in order.
#[derive(Debug)]
pub(crate) struct Output {
    lines: mpsc::Sender<Line>,
    ended: watch::Receiver<Option<Exit>>,
    paint: Paint,
    /// Whether lines go to a terminal with a line editor.
    is_edited: bool,
}

/// One line, without its end.
#[derive(Debug)]
pub(crate) enum Line {
    /// Something that was asked for.
    Out(String),
    /// Something else: it goes to standard error, if that is not the same terminal.
    Note(String),
}

/// Prints one line, its end included, above the line that is being typed.
pub(crate) type PrintAbove = Box<dyn FnMut(String) -> io::Result<()> + Send>;

impl Output {
    /// Standard output, and standard error for notes.
    pub(crate) fn new() -> Self {
        Self::start(false, |line| {
            match line {
                Line::Out(line) => writeln!(io::stdout(), "{line}")?,
                // Nobody can be told that nobody is told.
                Line::Note(line) => _ = writeln!(io::stderr(), "{line}"),
            }
            Ok(())
        })
    }

    /// A terminal on which a line is being typed.
    pub(crate) fn above(mut print: PrintAbove) -> Self {
        Self::start(true, move |line| {
            let (Line::Out(mut line) | Line::Note(mut line)) = line;
            line.push('\n');
            print(line)
        })
    }

    fn start(is_edited: bool, mut print: impl FnMut(Line) -> io::Result<()> + Send + 'static) -> Self {
        let (lines, mut waiting) = mpsc::channel(WAITING);
        let (end, ended) = watch::channel(None);
        thread::spawn(move || {
            let mut exit = Exit::DONE;
            while let Some(line) = waiting.blocking_recv() {
                match print(line) {
                    Ok(()) => {}
                    // `sio listen .. | head -1` is done when `head` is.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                    Err(error) => {
                        exit = Exit::failed(format!("cannot write: {error}"));
                        break;
                    }
                }
            }
            end.send_replace(Some(exit));
        });
        Self { lines, ended, paint: Paint::of_stdout(), is_edited }
    }

    /// How lines may look.
    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// Prints a line, once there is room for it.
    pub(crate) async fn line(&self, line: Line) {
        // Fails when nothing can be written any more, of which `failed` tells.
        let _ = self.lines.send(line).await;
    }

    /// Prints the first line of a queue, once there is room for it; until then it stays there.
    pub(crate) async fn first(&self, queue: &mut VecDeque<Line>) {
        if let Ok(room) = self.lines.reserve().await
            && let Some(line) = queue.pop_front()
        {
            room.send(line);
        }
    }

    /// Completes when nothing can be written any more.
    pub(crate) async fn failed(&self) -> Exit {
        let exit = self.ended.clone().wait_for(Option::is_some).await.map(|exit| exit.clone());
        exit.ok().flatten().unwrap_or(Exit::DONE)
    }

    /// Says why the program ends: behind all that was printed, if there is room; but at once.
    pub(crate) fn tell(&self, exit: Exit) -> Exit {
        match exit.message().map(|line| self.lines.try_send(Line::Note(line))) {
            Some(Ok(())) => exit.silent(),
            _ => exit.told(),
        }
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) -> Exit {
        let Self { lines, mut ended, is_edited, .. } = self;
        drop(lines);
        let exit = async { ended.wait_for(Option::is_some).await.map(|exit| exit.clone()).ok().flatten() };
        // A line that came together with the end of the last one that was typed may wait for another one for ever.
        let exit = if is_edited { timeout(LAST_LINES, exit).await.ok().flatten() } else { exit.await };
        exit.unwrap_or(Exit::DONE)
    }
}

/// Colours, where they are wanted: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

/// What colours are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// An event's name.
    Event,
    /// An acknowledgement.
    Answer,
    /// Something that is expected of the user.
    Request,
    /// What happens to the connection.
    Connection,
    /// What went wrong.
    Error,
}

impl Paint {
    fn of_stdout() -> Self {
        Self { is_on: AutoStream::choice(&io::stdout()) != ColorChoice::Never }
    }

    pub(crate) fn paint(self, role: Role, text: impl Display) -> String {
        if !self.is_on {
            return text.to_string();
        }
        let style = match role {
            Role::Event => AnsiColor::Cyan.on_default().bold(),
            Role::Answer => AnsiColor::Green.on_default(),
            Role::Request => AnsiColor::Yellow.on_default(),
            Role::Connection => Style::new().dimmed(),
            Role::Error => AnsiColor::Red.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}
