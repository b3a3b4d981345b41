//! The verdict on a table: all of its rows are run, and all that fail are named.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{neighbour::Neighbour, server::Server, wire::eventually};

/// The rows of a table and what became of them.
#[derive(Debug)]
pub struct Report {
    server: Server,
    neighbour: Option<Neighbour>,
    descriptors: usize,
    rows: usize,
    failures: Vec<String>,
}

impl Report {
    /// Begins a table against this server, with a neighbour beside it.
    pub fn on(server: Server) -> Self {
        // What a server opens once and keeps is open after the first session of each transport.
        let _ = server.life(&server.open_polling());
        drop(Neighbour::of(&server));
        let descriptors = settled(|| server.descriptors());
        Self { neighbour: Some(Neighbour::of(&server)), server, descriptors, rows: 0, failures: Vec::new() }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// One row: runs it, then asks the neighbour.
    pub fn row(&mut self, id: &str, name: &str, run: impl FnOnce(&Server) -> Result<(), String>) {
        self.rows += 1;
        let result = catch_unwind(AssertUnwindSafe(|| run(&self.server)));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        });
        let neighbour = self.neighbour.as_ref().unwrap().check();
        for error in [result, neighbour].into_iter().filter_map(Result::err) {
            self.failures.push(format!("{id} {name}: {error}"));
        }
    }

    /// Ends the table: nothing may be left open in the server, and no row may have failed.
    pub fn finish(mut self) {
        self.neighbour = None;
        let before = self.descriptors;
        let closed = eventually(Duration::from_secs(3), || (self.server.descriptors() <= before).then_some(()));
        if closed.is_none() {
            let now = self.server.descriptors();
            self.failures.push(format!("descriptors: {now}, before it all {before}"));
        }
        if !self.server.is_running() {
            self.failures.push("the server has ended".into());
        }
        println!("{} rows", self.rows);
        assert!(
            self.failures.is_empty(),
            "{} of {} rows fail:\n  {}",
            self.failures.len(),
            self.rows,
            self.failures.join("\n  ")
        );
    }
}

/// The one answer that is right: of any server, or of those on an HTTP library, where that is right by its own RFCs and
/// answers otherwise. Each server is held to its answer exactly.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    any: &'static str,
    hyper: Option<&'static str>,
}

impl Answer {
    /// The answer of every server.
    pub const fn of(any: &'static str) -> Self {
        Self { any, hyper: None }
    }

    /// The answer of hyper, and why it may give another one than we do.
    #[must_use]
    pub const fn hyper(self, answer: &'static str, why: &'static str) -> Self {
        assert!(!why.is_empty(), "a difference has a reason");
        Self { hyper: Some(answer), ..self }
    }

    /// What this server has to answer.
    pub fn from(self, server: &Server) -> &'static str {
        self.hyper.filter(|_| server.is_hyper()).unwrap_or(self.any)
    }
}

/// A number that does not change any more.
fn settled(mut read: impl FnMut() -> usize) -> usize {
    let mut last = read();
    let mut calm = 0;
    while calm < 20 {
        std::thread::sleep(Duration::from_millis(10));
        let now = read();
        calm = if now == last { calm + 1 } else { 0 };
        last = now;
    }
    last
}

/// Compares.
///
/// # Errors
///
/// What was found and what should have been.
pub fn equal(found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}
