//! One server on several runtimes of tokio, as in tests that share it: the first runtime ends, and the next one goes on.
#![allow(clippy::unwrap_used, reason = "a failure ends the test")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use axum::Router;
use sockeye_tokio::prelude::*;
use tokio::runtime::{Builder, Runtime};

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A server that pings at once.
fn server() -> Server {
    Server::new(Config { ping_interval: Duration::from_millis(10), ..Config::default() })
}

/// The body of an answer.
fn get(address: SocketAddr, query: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A session begins, and is pinged.
fn expect_session(address: SocketAddr) {
    let open = get(address, "");
    let sid = open.split('"').nth(3).unwrap();
    assert_eq!(get(address, &format!("&sid={sid}")), "2", "{open}");
}

#[test]
fn listening_in_one_after_another() {
    let io = server();
    for _ in 0..3 {
        let runtime = runtime();
        expect_session(runtime.block_on(io.listen("127.0.0.1:0")).unwrap().local_addr());
        drop(runtime);
        assert_eq!(io.stats().connections, 0);
    }
}

#[test]
fn listening_in_two_at_once() {
    let (io, first, second) = (server(), runtime(), runtime());
    let [one, two] = [&first, &second].map(|runtime| {
        let address = runtime.block_on(io.listen("127.0.0.1:0")).unwrap().local_addr();
        expect_session(address);
        address
    });
    expect_session(one);
    drop(first);
    expect_session(two);
    drop(second);
    assert_eq!(io.stats().connections, 0);
}

#[test]
fn mounted_in_one_after_another() {
    let io = server();
    // Built in a runtime that serves nothing.
    let app: Router = runtime().block_on(async { Router::new().layer(io.layer()) });
    for _ in 0..2 {
        let (runtime, app) = (runtime(), app.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, app).await });
        expect_session(address);
    }
}
