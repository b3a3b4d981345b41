//! How the program ends.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use sockeye_tokio::EmitError;

/// What `sio --help` says of exit codes.
pub(crate) const CODES: &str = "\
Exit codes:
  0    all is done, or whoever reads the output has had enough
  1    the server was not reached, refused, or was lost, before the event had left for instance; or the
       output cannot be written
  2    wrong usage
  3    time is over: no acknowledgement within --timeout, or fewer than --count events within --for
  130  interrupted (Ctrl-C); 143 is terminated (SIGTERM)
After the first Ctrl-C it leaves in order, as always; a second one does not wait for that.";

/// An exit code, and why.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    code: u8,
    why: Option<String>,
}

impl Exit {
    pub(crate) const DONE: Self = Self { code: 0, why: None };

    /// The server, or the output.
    pub(crate) fn failed(why: impl Display) -> Self {
        Self { code: 1, why: Some(why.to_string()) }
    }

    pub(crate) fn usage(why: impl Display) -> Self {
        Self { code: 2, why: Some(why.to_string()) }
    }

    pub(crate) fn timed_out(why: impl Display) -> Self {
        Self { code: 3, why: Some(why.to_string()) }
    }

    /// The shell's code for a program that a signal has ended.
    pub(crate) const fn signal(number: u8) -> Self {
        Self { code: number.saturating_add(128), why: None }
    }

    /// The same without words: they were printed already.
    pub(crate) fn silent(self) -> Self {
        Self { why: None, ..self }
    }

    /// The same with a place in front.
    pub(crate) fn of(self, place: impl Display) -> Self {
        Self { why: self.why.map(|why| format!("{place}: {why}")), ..self }
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.code == 0
    }

    pub(crate) fn why(&self) -> &str {
        self.why.as_deref().unwrap_or_default()
    }

    /// What is printed of it.
    pub(crate) fn message(&self) -> Option<String> {
        self.why.as_ref().map(|why| format!("error: {why}"))
    }

    /// Says why on standard error, once.
    pub(crate) fn told(self) -> Self {
        if let Some(line) = self.message() {
            // There is nobody to tell if that fails, too.
            let _ = writeln!(io::stderr(), "{line}");
        }
        self.silent()
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

/// For an event that was not sent: it cannot be, or the server is the reason.
pub(crate) fn not_sent(error: EmitError) -> Exit {
    match error {
        EmitError::Encode(error) => Exit::usage(error),
        error => Exit::failed(error),
    }
}
