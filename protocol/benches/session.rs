//! What messages cost a whole server without I/O: from the bytes of the client's frames to those of the answers.
//!
//! ```text
//! cargo bench -p sockeye-protocol --bench session
//! ```

use divan::Bencher;
use frames::{acknowledged, attachment, text};
use session::Session;

#[path = "shared/frames.rs"]
mod frames;
#[path = "shared/session.rs"]
mod session;

fn main() {
    divan::main();
}

#[divan::bench(args = [16, 1024, 65_536])]
fn echo(bencher: Bencher<'_, '_>, size: usize) {
    sends(bencher, 1, &text("echo", size));
}

#[divan::bench(args = [16, 1024])]
fn echo_of_16_at_once(bencher: Bencher<'_, '_>, size: usize) {
    sends(bencher, 1, &text("echo", size).repeat(16));
}

#[divan::bench]
fn acknowledgement(bencher: Bencher<'_, '_>) {
    sends(bencher, 1, &acknowledged(16));
}

#[divan::bench(args = [1024, 65_536])]
fn one_attachment(bencher: Bencher<'_, '_>, size: usize) {
    sends(bencher, 1, &attachment(size));
}

#[divan::bench(args = [1, 100, 1000, 10_000])]
fn broadcast(bencher: Bencher<'_, '_>, members: usize) {
    sends(bencher, members, &text("broadcast", 64));
}

#[divan::bench]
fn echo_by_polling(bencher: Bencher<'_, '_>) {
    bencher.bench_local(session::polling());
}

#[divan::bench]
fn connection(bencher: Bencher<'_, '_>) {
    bencher.bench_local(session::connection());
}

fn sends(bencher: Bencher<'_, '_>, clients: usize, bytes: &[u8]) {
    let mut session = Session::new(clients);
    bencher.bench_local(|| session.receive(bytes));
}
