//! `sio` without a terminal.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What a program is to come to: its exit code, and all that it prints.
pub(crate) fn done(code: i32, out: &str, err: &str) -> Done {
    Done { code, out: out.to_owned(), err: err.to_owned() }
}

/// Variables that decide on colours, which machines that run tests may have set.
pub(crate) const COLOR_VARIABLES: [&str; 4] = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"];

fn command<A: AsRef<OsStr>>(args: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    for name in COLOR_VARIABLES {
        command.env_remove(name);
    }
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn sio<A: AsRef<OsStr>>(args: &[A]) -> Done {
    sio_with(args, b"")
}

/// Runs it to its end, with this as its standard input.
pub(crate) fn sio_with<A: AsRef<OsStr>>(args: &[A], input: &[u8]) -> Done {
    let mut sio = Live::start(args);
    // It need not read to the end.
    match sio.input.take().unwrap().write_all(input) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("{error}"),
        _ => {}
    }
    sio.done()
}

/// `sio` that runs.
pub(crate) struct Live {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    out: Option<BufReader<ChildStdout>>,
    err: Arc<Mutex<String>>,
    err_ends: Option<JoinHandle<()>>,
}

impl Live {
    pub(crate) fn start<A: AsRef<OsStr>>(args: &[A]) -> Self {
        let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut from = BufReader::new(child.stderr.take().unwrap());
        let err = Arc::new(Mutex::new(String::new()));
        let to = err.clone();
        let err_ends = thread::spawn(move || {
            let mut line = String::new();
            while from.read_line(&mut line).unwrap() > 0 {
                to.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self {
            input: child.stdin.take(),
            out: child.stdout.take().map(BufReader::new),
            err,
            err_ends: Some(err_ends),
            child,
        }
    }

    /// Waits until it has said this on standard error.
    pub(crate) fn wait_for_error(&self, text: &str) {
        let begin = Instant::now();
        while !self.err.lock().unwrap().contains(text) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {text:?}: {:?}", self.err.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next line that it prints, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut out = self.out.take().unwrap();
        let (line, out) = in_time("a line", move || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            (line, out)
        });
        self.out = Some(out);
        assert!(line.ends_with('\n'), "the output ended with {line:?}");
        line.trim_end_matches('\n').to_owned()
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        // It may have ended.
        let _ = writeln!(self.input.as_mut().unwrap(), "{line}");
    }

    /// Nobody reads what it prints any more.
    pub(crate) fn close_output(&mut self) {
        drop(self.out.take());
    }

    pub(crate) fn signal(&self, name: &str) {
        // There may be nobody any more to get it.
        let _ = signal(&self.child, name);
    }

    /// Whether it has ended.
    pub(crate) fn is_done(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Does something again and again until it has ended.
    pub(crate) fn until_done(&mut self, mut work: impl FnMut(&mut Self)) {
        let begin = Instant::now();
        while !self.is_done() {
            work(self);
            thread::sleep(Duration::from_millis(50));
            assert!(begin.elapsed() < PATIENCE, "it does not end");
        }
    }

    /// Awaits its end. Its output is what was not read before.
    pub(crate) fn done(mut self) -> Done {
        drop(self.input.take());
        let out = self.out.take();
        let err_ends = self.err_ends.take().unwrap();
        let out = in_time("the end of the output", move || {
            let mut text = String::new();
            out.map(|mut out| out.read_to_string(&mut text).unwrap());
            err_ends.join().unwrap();
            text
        });
        let code = self.child.wait().unwrap().code().expect("no signal ends it");
        Done { code, out, err: self.err.lock().unwrap().clone() }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal. Whether there is somebody to get it.
pub(crate) fn signal(child: &Child, name: &str) -> bool {
    Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success()
}

/// Does something that may block, though not for ever.
pub(crate) fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
