//! Servers that mean no good, by raw bytes: what they say has an end here, and the client says what was wrong. What
//! can be shown without sockets is in `protocol/src/client/engine/tests/`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use sockeye_driver::client::{ClientError, Error, Failure, engine};

use crate::runtimes::{Runtime, everywhere, mode, within};

/// What a server says to each request; the last part again and again, if it is to have no end.
struct Lie {
    parts: Vec<Vec<u8>>,
    endless: bool,
}

/// Serves clients, and gives the URL.
fn serve(lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lie = Arc::new(lie);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lie = Arc::clone(&lie);
            thread::spawn(move || answer(&stream, &lie));
        }
    });
    url
}

/// Answers until the client has heard enough.
fn answer(mut stream: &TcpStream, lie: &Lie) {
    let mut requests = BufReader::new(stream).lines();
    while requests.by_ref().map_while(Result::ok).any(|line| line.is_empty()) {
        let again = lie.parts.last().filter(|_| lie.endless);
        for part in lie.parts.iter().chain(again.into_iter().cycle()) {
            if stream.write_all(part).is_err() {
                return;
            }
        }
    }
}

/// Bytes of a response, or of a message.
const LIMIT: usize = 100_000;

async fn refused(runtime: Runtime, index: usize, url: &str) -> Error {
    let builder = runtime.client(url).config(mode(index)).config(|config| {
        config.reconnection = false;
        config.limits.max_payload = LIMIT;
    });
    match within("a refusal", builder.connect()).await.unwrap_err() {
        ClientError::Connect(error) => error,
        other => panic!("{other:?}"),
    }
}

/// What is behind the error of a transport.
fn cause(error: Error) -> engine::Cause {
    match error {
        Error::Engine(engine::Error::Poll(cause) | engine::Error::WebSocket(cause)) => *cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn c4_answers_without_end() {
    everywhere(async |runtime: Runtime, index: usize| {
        let chunk = [&b"10000\r\n"[..], &[b'4'; 0x10000], b"\r\n"].concat();
        let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
        for (name, lie, too_large) in [
            ("chunks", Lie { parts: vec![ok("transfer-encoding: chunked\r\n"), chunk], endless: true }, true),
            ("a length", Lie { parts: vec![ok("content-length: 1000000000000\r\n")], endless: false }, true),
            ("a body", Lie { parts: vec![ok("connection: close\r\n"), vec![b'4'; 0x10000]], endless: true }, true),
            (
                "a header",
                Lie { parts: vec![b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 1_000]], endless: true },
                false,
            ),
            (
                "headers",
                Lie { parts: vec![b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec()], endless: true },
                false,
            ),
            ("a banner", Lie { parts: vec![b"220 mail.example.org ESMTP\r\n".to_vec()], endless: false }, false),
            ("noise", Lie { parts: vec![vec![0xff; 1_000]], endless: true }, false),
        ] {
            let error = refused(runtime, index, &serve(lie)).await;
            match cause(error) {
                engine::Cause::Failure(Failure::TooLarge { limit }) => {
                    assert_eq!((limit, too_large), (LIMIT, true), "{name}")
                }
                engine::Cause::Failure(Failure::Reset(_)) => assert!(!too_large, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    });
}

#[test]
fn c5_redirections_without_end_or_to_elsewhere() {
    everywhere(async |runtime: Runtime, index: usize| {
        for (to, told) in [
            ("/again", "more redirections than the limit of 5"),
            ("ftp://127.0.0.1/", "ftp"),
            ("file:///etc/passwd", "file"),
        ] {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes();
            let error = refused(runtime, index, &serve(Lie { parts: vec![answer], endless: false })).await;
            match cause(error) {
                engine::Cause::Redirect(error) if index != 1 => assert!(error.to_string().contains(told), "{error}"),
                // None is followed there.
                engine::Cause::Status { status: 302, refusal: None } if index == 1 => {}
                other => panic!("{to}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_websocket_that_is_none() {
    everywhere(async |runtime: Runtime, index: usize| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
        let answer = format!("{head}sec-websocket-accept: dGhpcyBpcyBhIGxpZQ==\r\n\r\n").into_bytes();
        let error = refused(runtime, index, &serve(Lie { parts: vec![answer], endless: false })).await;
        match cause(error) {
            engine::Cause::Upgrade(engine::UpgradeError::Accept) if index == 1 => {}
            // Nobody has asked for one.
            engine::Cause::Failure(Failure::Reset(_)) | engine::Cause::Status { status: 101, .. } if index != 1 => {}
            other => panic!("{other:?}"),
        }
    });
}
