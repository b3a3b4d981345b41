//! Rooms: joining and leaving among more and fewer members, and from several threads at once, which take turns: the hub is
//! the one thing that all connections of a driver share.
//!
//! ```text
//! cargo bench -p sockeye-protocol --bench hub
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the program"
)]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use divan::Bencher;

include!("../doc/whole.rs");

fn main() {
    divan::main();
}

/// A server whose sockets are all in the room `all`.
fn members(count: usize) -> (Server, Vec<SocketKey>) {
    let mut server = server();
    let sockets: Vec<SocketKey> = (0..count)
        .map(|_| {
            let (_, _, socket) = joined_by_websocket(&mut server);
            server.join(socket, "all").unwrap();
            socket
        })
        .collect();
    (server, sockets)
}

/// A room of so many, which one of them leaves and joins again.
#[divan::bench(args = [1, 100, 19_000])]
fn leave_and_join(bencher: Bencher<'_, '_>, count: usize) {
    let (mut server, sockets) = members(count);
    let socket = sockets[count / 2];
    bencher.bench_local(|| {
        server.leave(socket, "all");
        server.join(socket, "all").unwrap();
    });
}

/// A room that comes and goes with its only member.
#[divan::bench]
fn room_of_one(bencher: Bencher<'_, '_>) {
    let (mut server, sockets) = members(100);
    bencher.bench_local(|| {
        server.join(sockets[7], "mine").unwrap();
        server.leave(sockets[7], "mine");
    });
}

/// A thousand sockets in turn. Here the lock is around the whole server, of which only the hub is used.
#[divan::bench(threads = [1, 2, 4])]
fn leave_and_join_by_threads(bencher: Bencher<'_, '_>) {
    let (server, sockets) = members(1000);
    let (server, next) = (Mutex::new(server), AtomicUsize::new(0));
    bencher.with_inputs(|| sockets[next.fetch_add(1, Ordering::Relaxed) % sockets.len()]).bench_values(|socket| {
        server.lock().unwrap().leave(socket, "all");
        server.lock().unwrap().join(socket, "all").unwrap();
    });
}
