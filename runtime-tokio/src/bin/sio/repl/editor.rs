//! The line that is typed on a terminal, in a thread of its own: the editor blocks.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::VecDeque,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{
    Config, Context, Editor, ExternalPrinter as _, Helper, Prompt,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use tokio::sync::mpsc as channel;

use super::{command::NAMES, source::Input};
use crate::output::PrintAbove;

/// Lines of history that are kept.
const HISTORY: usize = 1_000;

/// A terminal.
pub(super) struct Terminal {
    prompts: mpsc::Sender<String>,
    inputs: channel::UnboundedReceiver<Input>,
    /// Lines of a text that was pasted.
    pasted: VecDeque<Input>,
    _mode: Mode,
}

impl Terminal {
    /// Begins to edit, and says how to print meanwhile. `None` if this is no terminal that lines can be edited on.
    pub(super) fn open(history: Option<PathBuf>) -> Option<(Self, PrintAbove)> {
        let mode = Mode::quiet();
        let config = Config::builder()
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .ok()?
            .history_ignore_space(true)
            .auto_add_history(true)
            .build();
        let mut editor = Editor::<Line, FileHistory>::with_config(config).ok()?;
        let mut printer = editor.create_external_printer().ok()?;
        let gate = Arc::new(Gate::default());
        editor.set_helper(Some(Line { gate: gate.clone() }));
        let (prompts, asked) = mpsc::channel();
        let (sender, inputs) = channel::unbounded_channel();
        let passed = gate.clone();
        thread::spawn(move || edit(editor, history, &passed, &asked, &sender));
        let print: PrintAbove = Box::new(move |line| {
            gate.wait();
            // Without an editor any more, there is nothing to print above of.
            printer.print(line.clone()).or_else(|_| io::stdout().write_all(line.as_bytes()))
        });
        Some((Self { prompts, inputs, pasted: VecDeque::new(), _mode: mode }, print))
    }

    /// Asks for another line.
    pub(super) fn ask(&self, prompt: String) {
        if self.pasted.is_empty() {
            // Fails when the terminal is gone, which its last input tells.
            let _ = self.prompts.send(prompt);
        }
    }

    pub(super) async fn next(&mut self) -> Option<Input> {
        if let Some(line) = self.pasted.pop_front() {
            return Some(line);
        }
        match self.inputs.recv().await? {
            Input::Line(text) if text.contains('\n') => {
                self.pasted.extend(text.lines().map(|line| Input::Line(line.to_owned())));
                self.pasted.pop_front()
            }
            input => Some(input),
        }
    }
}

/// How the terminal was before, which is restored in the end, also if that comes while a line is typed. In between it shows
/// only what the editor shows: what is typed between two lines would stand in the middle of something else.
struct Mode {
    #[cfg(unix)]
    before: Option<Termios>,
}

impl Mode {
    #[cfg(unix)]
    fn quiet() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            // If not, it looks less tidy.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &quiet);
        }
        Self { before }
    }

    #[cfg(not(unix))]
    const fn quiet() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Mode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // What cannot be restored is gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Reads a line for each prompt.
fn edit(
    mut editor: Editor<Line, FileHistory>,
    history: Option<PathBuf>,
    gate: &Gate,
    asked: &mpsc::Receiver<String>,
    sender: &channel::UnboundedSender<Input>,
) {
    if let Some(file) = &history {
        // There is none before the first time.
        let _ = editor.load_history(file);
    }
    for text in asked {
        let prompt = Asking { text, gate, is_asked: Cell::new(false) };
        let input = match editor.readline(&prompt) {
            Ok(line) => Input::Line(line),
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Input::Interrupt,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => Input::Failed(error.to_string()),
        };
        if let Some(file) = &history {
            // At each line, so that nothing is lost however this ends. Where it cannot be kept, it is not.
            let _ = file.parent().map(std::fs::create_dir_all);
            let _ = editor.append_history(file);
        }
        if sender.send(input).is_err() {
            break;
        }
    }
    // Nothing is typed any more.
    gate.open();
}

/// Holds lines back from the moment a line is complete to the moment the next one is asked for: printed in between, they
/// would come before others that still wait for the editor.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let mut is_closed = self.lock();
        while *is_closed {
            is_closed = self.opened.wait(is_closed).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        *self.lock() = false;
        self.opened.notify_all();
    }

    fn close(&self) {
        *self.lock() = true;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A prompt. The editor looks at it first when it has taken over the terminal.
struct Asking<'a> {
    text: String,
    gate: &'a Gate,
    is_asked: Cell<bool>,
}

impl Prompt for Asking<'_> {
    fn raw(&self) -> &str {
        if !self.is_asked.replace(true) {
            self.gate.open();
        }
        &self.text
    }
}

/// What the editor asks about the line.
struct Line {
    gate: Arc<Gate>,
}

impl Validator for Line {
    /// Called when the line is complete.
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.gate.close();
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Line {
    type Candidate = String;

    /// The command.
    fn complete(&self, line: &str, end: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..end).unwrap_or_default();
        let fitting = NAMES.iter().filter(|name| name.starts_with(typed));
        Ok((0, fitting.map(|name| format!("{name} ")).collect()))
    }
}

impl Hinter for Line {
    type Hint = String;
}

impl Highlighter for Line {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Helper for Line {}
