//! Requests of somebody else's HTTP server, whose futures are polled when it likes, or never.

use std::{
    convert::Infallible,
    future::pending,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use sockeye_driver::{Body, BoxFuture, Config, Peer, Serve as _, Server, Upgrader};

use crate::support::{Log, Poller, Rig, note, rig};

const UPGRADER: Upgrader<Full<Bytes>> = |_| Box::pin(pending());

/// A request that the server has been handed. Without a body it is a GET.
fn request(rig: &Rig, io: &Server, target: &str, body: &str) -> BoxFuture<http::Response<Body>> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = http::Request::builder().method(method).uri(target).body(Full::from(body.to_owned())).unwrap();
    io.handle(&rig.runtime, request, Peer::default(), UPGRADER).unwrap()
}

/// A future's answer, which must be there.
fn answer(future: BoxFuture<http::Response<Body>>) -> (u16, String) {
    let response = future.now_or_never().expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn joined(rig: &Rig, io: &Server) -> Poller {
    let mut client = rig.poller(io);
    client.join();
    rig.run();
    client
}

#[test]
fn a_request_whose_session_ends_before_its_body_is_read_is_answered_as_one_without_a_session() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let mut client = joined(&rig, &io);
        let post = request(&rig, &io, &client.target, "42[\"x\"]");
        client.post("1");
        rig.until("the session is gone", || io.stats().connections == 0);
        assert_eq!(answer(post), (400, "{\"code\":1,\"message\":\"Session ID unknown\"}".to_owned()));
    });
}

#[test]
fn an_answer_can_be_fetched_when_its_session_is_gone() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let client = joined(&rig, &io);
        let mut get = request(&rig, &io, &client.target, "");
        assert!((&mut get).now_or_never().is_none());
        let mut post = request(&rig, &io, &client.target, "1");
        assert!((&mut post).now_or_never().is_none());
        rig.until("the session is gone", || io.stats().connections == 0);
        assert_eq!(answer(post), (200, "ok".to_owned()));
        assert_eq!(answer(get), (200, "6".to_owned()));
    });
}

#[test]
fn a_post_counts_if_it_has_come_whole_before_it_is_dropped() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let log = Log::default();
        io.on("x", note(&log, "x"));
        let mut client = joined(&rig, &io);
        drop(request(&rig, &io, &client.target, "42[\"x\"]"));
        rig.run();
        assert_eq!((log.take(), io.stats().waiting), (vec!["x".to_owned()], 0));
        client.post("42[\"x\"]");
        assert_eq!(log.take(), ["x"]);
        // The same where the peer closes right behind it.
        client.posts.send("POST", &client.target, "", "42[\"x\"]");
        client.posts.end.end();
        rig.run();
        assert_eq!((log.take(), io.stats().waiting, io.stats().connections), (vec!["x".to_owned()], 0, 1));
    });
}

#[test]
fn a_post_that_ends_before_its_body_does_ends_its_session() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let client = joined(&rig, &io);
        client.posts.end.write(format!("POST {} HTTP/1.1\r\nContent-Length: 10\r\n\r\n42", client.target).as_bytes());
        client.posts.end.end();
        rig.until("the session is gone", || io.stats().connections == 0);
        assert_eq!(io.stats().waiting, 0);
    });
}

/// A body that must not be polled when it has panicked, as a future must not.
#[derive(Debug)]
struct Panics(bool);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Twice would be once while the first one is dropped, which ends the process.
        panic!("polled {}", if mem::replace(&mut self.0, true) { "twice" } else { "once" });
    }
}

#[test]
fn a_body_that_panics_is_not_polled_again() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let client = joined(&rig, &io);
        let request = http::Request::builder().method("POST").uri(&client.target).body(Panics(false)).unwrap();
        let exchange = io.handle(&rig.runtime, request, Peer::default(), |_| Box::pin(pending())).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| exchange.now_or_never().is_some())).unwrap_err();
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), "polled once");
        rig.until("the session is gone", || io.stats().connections == 0);
        assert_eq!(io.stats().waiting, 0);
    });
}

#[test]
fn a_request_that_is_dropped_while_it_waits_ends_its_session() {
    rig(|rig| {
        let io = Server::new(Config::default());
        let client = joined(&rig, &io);
        let mut get = request(&rig, &io, &client.target, "");
        assert!((&mut get).now_or_never().is_none());
        assert_eq!(io.stats().waiting, 1);
        drop(get);
        rig.until("the session is gone", || io.stats().connections == 0);
        assert_eq!(io.stats().waiting, 0);
    });
}
