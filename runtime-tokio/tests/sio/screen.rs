//! A terminal with `sio` on it.

use std::{
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use pty_process::blocking::{Command, Pty, open};
use vt100::Parser;

use crate::program::{COLOR_VARIABLES, PATIENCE, signal};

pub(crate) const COLUMNS: u16 = 80;

pub(crate) struct Screen {
    child: Child,
    pty: Arc<Pty>,
    shown: Arc<Mutex<Parser>>,
}

impl Screen {
    /// One with so many rows; variables are set, or taken away.
    pub(crate) fn start(rows: u16, args: &[&str], variables: &[(&str, Option<&str>)]) -> Self {
        let (pty, terminal) = open().unwrap();
        pty.resize(pty_process::Size::new(rows, COLUMNS)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio")).args(args).env("TERM", "xterm");
        for name in COLOR_VARIABLES {
            command = command.env_remove(name);
        }
        for (name, value) in variables {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn(terminal).unwrap();
        let pty = Arc::new(pty);
        let shown = Arc::new(Mutex::new(Parser::new(rows, COLUMNS, 0)));
        let (from, to) = (pty.clone(), shown.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It is an error when the program has ended.
            while let Ok(count @ 1..) = (&*from).read(&mut bytes) {
                to.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, pty, shown }
    }

    pub(crate) fn type_keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen looks like this.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !is_so(self.shown.lock().unwrap().screen()) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}:\n{}", self.contents());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a row that begins like this.
    pub(crate) fn wait_for(&self, start: &str) {
        self.wait(start, |screen| screen.rows(0, COLUMNS).any(|row| row.starts_with(start)));
    }

    /// Waits until this stands in front of the cursor, and nothing behind it or below.
    pub(crate) fn wait_for_input(&self, input: &str) {
        self.wait(&format!("the cursor behind {input:?}"), |screen| {
            let (row, column) = screen.cursor_position();
            let text: String = screen.rows(0, COLUMNS).skip(usize::from(row)).collect();
            text.trim_end() == input.trim_end() && usize::from(column) == input.chars().count()
        });
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(signal(&self.child, name));
    }

    /// Whether the terminal shows what is typed, and waits for a whole line: not while one is edited.
    pub(crate) fn is_cooked(&self) -> bool {
        let terminal = Stdio::from(self.pty.as_fd().try_clone_to_owned().unwrap());
        let settings = std::process::Command::new("stty").arg("-a").stdin(terminal).output().unwrap();
        let settings = String::from_utf8(settings.stdout).unwrap();
        [" icanon", " echo "].iter().all(|flag| settings.replace('\n', " ").contains(flag))
    }

    pub(crate) fn contents(&self) -> String {
        self.shown.lock().unwrap().screen().contents()
    }

    /// The colour in which a row begins, behind so many columns.
    pub(crate) fn color(&self, start: &str, column: u16) -> vt100::Color {
        let parser = self.shown.lock().unwrap();
        let screen = parser.screen();
        let row = screen.rows(0, COLUMNS).position(|row| row.starts_with(start)).unwrap();
        screen.cell(u16::try_from(row).unwrap(), column).unwrap().fgcolor()
    }

    /// Awaits its end, and gives the exit code.
    pub(crate) fn done(mut self) -> i32 {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end:\n{}", self.contents());
            thread::sleep(Duration::from_millis(5));
        };
        assert!(self.is_cooked(), "the terminal is not as it was");
        status.code().expect("no signal ends it")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
