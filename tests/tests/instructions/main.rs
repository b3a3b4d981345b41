//! What a message costs, in instructions and atomic operations: the core alone, and the driver with the core below it.
//! `.ci/run` compares them with `instructions.txt`, where it has the tools that made that. What is counted there is the code that
//! all tests run, which is little optimised: of what goes out, `--release` shows the counts.
//!
//! ```text
//! cargo test --release -p sockeye-tests --features instructions --test instructions
//! ```

use std::process::ExitCode;

use callgrind::Script;
use frames::{acknowledged, attachment, text};
use session::Session;
use world::{World, frames};

mod callgrind;
#[path = "../../../protocol/benches/shared/session.rs"]
mod session;
#[path = "../../../driver/tests/costs/world.rs"]
mod world;

const SCRIPTS: [Script; 15] = [
    ("core: echo of 16 bytes", || core(1, text("echo", 16))),
    ("core: 16 echoes of 16 bytes", || core(1, text("echo", 16).repeat(16))),
    ("core: echo of 1 KiB", || core(1, text("echo", 1024))),
    ("core: acknowledgement", || core(1, acknowledged(16))),
    ("core: one attachment of 1 KiB", || core(1, attachment(1024))),
    ("core: broadcast to 100", || core(100, text("broadcast", 64))),
    ("core: echo by polling", session::polling),
    ("core: connection", session::connection),
    ("driver: echo of 16 bytes", || driver(1, text("echo", 16))),
    ("driver: 16 echoes of 16 bytes", || driver(1, text("echo", 16).repeat(16))),
    ("driver: echo of 1 KiB", || driver(1, text("echo", 1024))),
    ("driver: acknowledgement", || driver(1, acknowledged(16))),
    ("driver: one attachment of 1 KiB", || driver(1, attachment(1024))),
    ("driver: broadcast to 100", || driver(100, text("broadcast", 64))),
    ("driver: echo by polling", polling),
];

fn main() -> ExitCode {
    callgrind::main(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/instructions.txt"), &SCRIPTS)
}

/// The first of so many clients of a server without I/O sends these bytes.
fn core(clients: usize, bytes: Vec<u8>) -> Box<dyn FnMut()> {
    let mut session = Session::new(clients);
    Box::new(move || assert!(session.receive(&bytes) > 0))
}

/// The same, with the driver around it.
fn driver(clients: usize, bytes: Vec<u8>) -> Box<dyn FnMut()> {
    let world = World::new(clients);
    Box::new(move || round(&world, &[&bytes]))
}

/// A GET that waits, a POST, and the answers to both.
fn polling() -> Box<dyn FnMut()> {
    let (world, get, post) = World::polling();
    Box::new(move || round(&world, &[&get, &post]))
}

/// One stream after the other receives something, and each is written to.
fn round(world: &World, received: &[&[u8]]) {
    for (stream, bytes) in world.streams.iter().zip(received) {
        stream.receive(bytes);
        world.tasks.run();
    }
    for stream in &world.streams {
        let sent = &mut stream.lock().sent;
        assert!(!sent.is_empty());
        sent.clear();
    }
}
