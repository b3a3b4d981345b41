//! E1 to E13, E20, E24 and W16: requests.

use sockeye_tests::{
    http::{Response, chunk, refusal, request},
    report::{Report, equal},
    server::{Life, MAX_PAYLOAD, Server},
    session::{Socket, UPGRADE},
    wire::{End, PATIENCE, Wire, eventually},
};

/// Sends a request whose method is its first word, and gives the answer.
fn ask(server: &Server, request: &[u8]) -> Response {
    let method =
        String::from_utf8_lossy(request.split(|byte| *byte == b' ').next().unwrap()).into_owned();
    server.exchange(&method, request)
}

fn life(server: &Server, sid: &str, expected: Life) -> Result<(), String> {
    let found = server.life(sid);
    if found == expected {
        Ok(())
    } else {
        Err(format!("the session is {found:?}, not {expected:?}"))
    }
}

/// The session is gone at once.
fn gone(server: &Server, sid: &str) -> Result<(), String> {
    life(server, sid, Life::Gone)
}

/// The polling session carries messages there and back.
fn unharmed(server: &Server, sid: &str) -> Result<(), String> {
    if !server.is_engine() {
        return life(server, sid, Life::Polling);
    }
    equal(&server.post(sid, b"4are you there").line(), "200 ok")?;
    // A ping may come with it or before it.
    for _ in 0..3 {
        let answer = server.poll(sid).line();
        match answer.as_str() {
            "200 2" => equal(&server.post(sid, b"3").line(), "200 ok")?,
            _ => {
                return equal(
                    &answer.replace("2\x1e", "").replace("\x1e2", ""),
                    "200 4are you there",
                );
            }
        }
    }
    Err("pings only".into())
}

#[test]
fn requests_without_a_session() {
    for server in [Server::engine(), Server::socketio()] {
        let mut report = Report::on(server);
        let path = report.server().path();
        let sids = [
            "AAAAAAAAAAAAAAAAAAAAAA",
            "abc",
            "__proto__",
            "constructor",
            "%00",
            "..%2f..%2f",
            "%ff%fe",
            "%",
        ];
        let mut rows: Vec<(&str, String, Vec<u8>, String)> = Vec::new();
        let mut row = |id, method: &str, query: &str, code: u8| {
            let bytes = request(method, &format!("{path}?{query}"), &[], b"");
            let expected = if method == "HEAD" {
                "400".into()
            } else {
                refusal(code)
            };
            rows.push((id, format!("{method} {query}"), bytes, expected));
        };
        for transport in [
            "",
            "abc",
            "__proto__",
            "constructor",
            "webtransport",
            "Polling",
            "polling%00",
            "polling,websocket",
        ] {
            row("E1", "GET", &format!("EIO=4&transport={transport}"), 0);
        }
        row("E1", "GET", "EIO=4", 0);
        row("E1", "GET", "", 0);
        row("E1", "POST", "EIO=4", 0);
        row("E1", "GET", "EIO=4&transport=polling&transport=abc", 0);
        for sid in sids {
            row(
                "E2",
                "GET",
                &format!("EIO=4&transport=polling&sid={sid}"),
                1,
            );
            row(
                "E2",
                "POST",
                &format!("EIO=4&transport=polling&sid={sid}"),
                1,
            );
        }
        row(
            "E2",
            "GET",
            &format!("EIO=4&transport=polling&sid={}", "A".repeat(8000)),
            1,
        );
        row(
            "E2",
            "DELETE",
            "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAA",
            1,
        );
        row(
            "E2",
            "GET",
            "EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAAAA",
            1,
        );
        for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"] {
            row("E3", method, "EIO=4&transport=polling", 2);
        }
        row("E4", "GET", "EIO=4&transport=websocket", 3);
        for version in [
            "",
            "3",
            "5",
            "04",
            "4.0",
            "%204",
            "4%00",
            "abc",
            "__proto__",
        ] {
            row("E5", "GET", &format!("EIO={version}&transport=polling"), 5);
        }
        row("E5", "GET", "transport=polling", 5);
        row("E5", "GET", "eio=4&transport=polling", 5);
        for (id, name, bytes, expected) in rows {
            report.row(id, &name, |server| {
                equal(&ask(server, &bytes).line(), &expected)
            });
        }

        let bare = path.trim_end_matches('/');
        for other in [
            bare.to_owned(),
            format!("{bare}x/"),
            format!("/{path}"),
            "/".into(),
            path.to_uppercase(),
            format!("/x{path}"),
        ] {
            report.row("E24", &other, |server| {
                let target = format!("{other}?EIO=4&transport=polling");
                equal(
                    &ask(server, &request("GET", &target, &[], b"")).line(),
                    "404",
                )?;
                let target = format!("{other}?EIO=4&transport=websocket");
                equal(
                    &ask(server, &request("GET", &target, &UPGRADE, b"")).line(),
                    "404",
                )
            });
        }
        for below in ["abc", "../etc/passwd", "socket.io.js"] {
            report.row("E24", &format!("below the path: {below}"), |server| {
                let target = format!("{path}{below}?EIO=4&transport=polling");
                let line = ask(server, &request("GET", &target, &[], b"")).line();
                equal(line.get(..13).unwrap_or(&line), "200 0{\"sid\":\"")
            });
        }
        report.finish();
    }
}

#[test]
fn requests_of_a_session() {
    for server in [Server::engine(), Server::socketio()] {
        let mut report = Report::on(server);
        let path = report.server().path();
        for query in [
            "transport=polling",
            "EIO=3&transport=polling",
            "EIO=&transport=polling",
            "EIO=5&transport=polling",
        ] {
            for (method, body) in [("GET", &b""[..]), ("POST", b"3")] {
                report.row("E6", &format!("{method} {query}"), |server| {
                    let sid = server.open_polling();
                    let target = format!("{path}?{query}&sid={sid}");
                    equal(
                        &ask(server, &request(method, &target, &[], body)).line(),
                        &refusal(3),
                    )?;
                    unharmed(server, &sid)
                });
            }
        }
        for method in ["PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"] {
            report.row("E7", method, |server| {
                let sid = server.open_polling();
                let target = server.target(&format!("transport=polling&sid={sid}"));
                equal(
                    &ask(server, &request(method, &target, &[], b"")).line(),
                    "405",
                )?;
                unharmed(server, &sid)
            });
        }
        report.row(
            "E4",
            "GET of a polling session with transport=websocket",
            |server| {
                let sid = server.open_polling();
                let target = server.target(&format!("transport=websocket&sid={sid}"));
                equal(
                    &ask(server, &request("GET", &target, &[], b"")).line(),
                    &refusal(3),
                )?;
                equal(
                    &ask(server, &request("POST", &target, &[], b"4x")).line(),
                    &refusal(3),
                )?;
                unharmed(server, &sid)
            },
        );
        report.row("E4", "GET and POST of a WebSocket session", |server| {
            let mut socket = Socket::open(server);
            equal(&server.poll(&socket.sid).line(), &refusal(3))?;
            equal(&server.post(&socket.sid, b"4x").line(), &refusal(3))?;
            let target = server.target(&format!("transport=websocket&sid={}", socket.sid));
            equal(
                &ask(server, &request("GET", &target, &[], b"")).line(),
                &refusal(3),
            )?;
            if server.is_engine() {
                socket.check(server)
            } else {
                life(server, &socket.sid, Life::WebSocket)
            }
        });
        report.row("E9", "application/octet-stream", |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let bytes = request(
                "POST",
                &target,
                &["Content-Type: application/octet-stream"],
                b"\x04x",
            );
            equal(&ask(server, &bytes).line(), "400")?;
            gone(server, &sid)
        });
        for coding in ["gzip", "deflate", "br", "identity, gzip"] {
            report.row("E9", &format!("Content-Encoding: {coding}"), |server| {
                let sid = server.open_polling();
                let target = server.target(&format!("transport=polling&sid={sid}"));
                let bytes = request(
                    "POST",
                    &target,
                    &[&format!("Content-Encoding: {coding}")],
                    b"\x1f\x8b",
                );
                equal(&ask(server, &bytes).line(), "415")?;
                gone(server, &sid)
            });
        }
        report.finish();
    }
}

#[test]
fn bodies_that_are_too_large() {
    let mut report = Report::on(Server::engine());
    let post = |server: &Server, sid: &str, header: &str| {
        let mut wire = server.wire();
        let target = server.target(&format!("transport=polling&sid={sid}"));
        wire.send(&request("POST", &target, &[header], b""))
            .unwrap();
        wire
    };
    let refused = |mut wire: Wire| {
        let response = wire
            .response("POST", PATIENCE)
            .map_err(|end| format!("{end:?}"))?;
        equal(&response.line(), "413")?;
        equal(response.header("connection").unwrap_or_default(), "close")?;
        match wire.end(PATIENCE) {
            End::Timeout => Err("the TCP connection stays open".to_owned()),
            End::Eof | End::Reset => Ok(()),
        }
    };
    for length in ["1000001", "100000000000", "9223372036854775807"] {
        report.row("E8", &format!("Content-Length: {length}"), |server| {
            let sid = server.open_polling();
            // On the declaration: no byte of the body is sent.
            refused(post(server, &sid, &format!("Content-Length: {length}")))?;
            gone(server, &sid)
        });
    }
    report.row("E8", "a whole body of max + 1", |server| {
        let sid = server.open_polling();
        let mut wire = post(server, &sid, "Content-Length: 1000001");
        let _ = wire.send(&[b'4'; MAX_PAYLOAD + 1]);
        refused(wire)?;
        gone(server, &sid)
    });
    report.row("E8", "chunks without an end", |server| {
        let sid = server.open_polling();
        let mut wire = post(server, &sid, "Transfer-Encoding: chunked");
        let part = chunk(&[b'4'; 65_536]);
        for _ in 0..16 {
            let _ = wire.send(&part);
        }
        refused(wire)?;
        gone(server, &sid)
    });
    report.row("E8", "one chunk of 2^40", |server| {
        let sid = server.open_polling();
        let mut wire = post(server, &sid, "Transfer-Encoding: chunked");
        wire.send(b"10000000000\r\n").unwrap();
        refused(wire)?;
        gone(server, &sid)
    });
    report.row("E8", "a body of max", |server| {
        let sid = server.open_polling();
        let body = [b'4'; MAX_PAYLOAD];
        equal(&server.post(&sid, &body).line(), "200 ok")?;
        if server.poll(&sid).body != body {
            return Err("another body".into());
        }
        unharmed(server, &sid)
    });
    report.row("E8", "chunks of max", |server| {
        let sid = server.open_polling();
        let mut wire = post(server, &sid, "Transfer-Encoding: chunked");
        for _ in 0..100 {
            wire.send(&chunk(&[b'4'; MAX_PAYLOAD / 100])).unwrap();
        }
        wire.send(&chunk(b"")).unwrap();
        equal(
            &wire
                .response("POST", PATIENCE)
                .map_err(|end| format!("{end:?}"))?
                .line(),
            "200 ok",
        )?;
        if server.poll(&sid).body != [b'4'; MAX_PAYLOAD] {
            return Err("another body".into());
        }
        unharmed(server, &sid)
    });
    report.finish();
}

#[test]
fn payloads_that_are_none() {
    let mut report = Report::on(Server::engine());
    let rows: &[(&str, &str, &[u8])] = &[
        ("E10", "nothing", b""),
        ("E10", "a separator", b"\x1e"),
        ("E10", "two separators", b"\x1e\x1e"),
        ("E10", "a separator first", b"\x1e4x"),
        ("E10", "a separator last", b"4x\x1e"),
        ("E10", "type 7", b"7"),
        ("E10", "type 8", b"8"),
        ("E10", "type 9", b"9x"),
        ("E10", "type a", b"abc"),
        ("E10", "type :", b":"),
        ("E10", "a character of three bytes", "€".as_bytes()),
        ("E10", "base64 with other letters", b"b!!!!"),
        ("E10", "base64 with a space", b"bAQ ="),
        ("E10", "base64 without padding", b"bAQI"),
        ("E10", "base64 of one letter", b"bA"),
        ("E10", "base64 with padding inside", b"bAQ==AQ=="),
        ("E10", "not UTF-8", b"4\xff"),
        ("E10", "a surrogate", b"4\xed\xa0\x80"),
        ("E10", "half a character", b"4\xe2\x82\x1e4x"),
        ("E14", "a ping", b"2"),
        ("E14", "a probe", b"2probe"),
        ("E14", "open", b"0"),
        ("E14", "open with data", br#"0{"sid":"x"}"#),
        ("E14", "upgrade", b"5"),
    ];
    for (id, name, body) in rows {
        report.row(id, name, |server| {
            let sid = server.open_polling();
            equal(&server.post(&sid, body).line(), "400")?;
            gone(server, &sid)
        });
    }
    report.row("E10", "a good packet before the bad one", |server| {
        let sid = server.open_polling();
        equal(&server.post(&sid, b"4early\x1e9").line(), "400")?;
        gone(server, &sid)
    });
    report.row("E11", "500,000 noops", |server| {
        let sid = server.open_polling();
        let body = [b"6\x1e".repeat(499_999), b"6".to_vec()].concat();
        equal(&server.post(&sid, &body).line(), "200 ok")?;
        unharmed(server, &sid)
    });
    report.row("E11", "500,000 noops and nothing", |server| {
        let sid = server.open_polling();
        equal(&server.post(&sid, &b"6\x1e".repeat(500_000)).line(), "400")?;
        gone(server, &sid)
    });
    for count in [5_000, 300_000] {
        report.row("E15", &format!("{count} pongs"), |server| {
            let sid = server.open_polling();
            let body = [b"3\x1e".repeat(count - 1), b"3".to_vec()].concat();
            equal(&server.post(&sid, &body).line(), "200 ok")?;
            unharmed(server, &sid)
        });
    }
    report.row("E11", "a million separators", |server| {
        let sid = server.open_polling();
        equal(&server.post(&sid, &[0x1e; MAX_PAYLOAD]).line(), "400")?;
        gone(server, &sid)
    });
    report.row("E11", "one packet of a million digits", |server| {
        let sid = server.open_polling();
        let body = [b'4'; MAX_PAYLOAD];
        equal(&server.post(&sid, &body).line(), "200 ok")?;
        equal(&server.poll(&sid).text().len().to_string(), "1000000")
    });
    report.row("E10", "a payload sent while a GET waits", |server| {
        let sid = server.open_polling();
        let mut poll = open_poll(server, &sid);
        equal(&server.post(&sid, b"9").line(), "400")?;
        equal(&answer(&mut poll, "GET")?, "200 1")?;
        gone(server, &sid)
    });
    report.finish();
}

/// A GET that waits. That it has arrived is shown by a POST behind it on another connection, so this waits for a while
/// only when the server reads connections out of order.
fn open_poll(server: &Server, sid: &str) -> Wire {
    let mut wire = server.wire();
    let target = server.target(&format!("transport=polling&sid={sid}"));
    wire.send(&request("GET", &target, &[], b"")).unwrap();
    settle(server, sid);
    wire
}

/// A POST of which the last byte is missing.
fn open_post(server: &Server, sid: &str) -> Wire {
    let mut wire = server.wire();
    let target = server.target(&format!("transport=polling&sid={sid}"));
    wire.send(&request("POST", &target, &["Content-Length: 3"], b""))
        .unwrap();
    wire.send(b"4x").unwrap();
    settle(server, sid);
    wire
}

/// Lets the server see what was sent just before on other connections, as far as that can be done from outside: by a
/// few exchanges that do not concern the session.
fn settle(server: &Server, _sid: &str) {
    for _ in 0..5 {
        server.life("nobody");
    }
}

fn answer(wire: &mut Wire, method: &str) -> Result<String, String> {
    let response = wire.response(method, PATIENCE);
    response
        .map(|response| response.line())
        .map_err(|end| format!("{end:?} instead of an answer"))
}

#[test]
fn overlapping_and_dropped_requests() {
    let mut report = Report::on(Server::engine());
    report.row("E12", "a second GET", |server| {
        let sid = server.open_polling();
        let mut first = open_poll(server, &sid);
        equal(&server.poll(&sid).line(), "400")?;
        equal(&answer(&mut first, "GET")?, "200 1")?;
        gone(server, &sid)
    });
    report.row("E13", "a second POST", |server| {
        let sid = server.open_polling();
        let mut first = open_post(server, &sid);
        equal(&server.post(&sid, b"4y").line(), "400")?;
        gone(server, &sid)?;
        // The first one is answered too, or its connection ends.
        match answer(&mut first, "POST") {
            Ok(line) => equal(&line, "400"),
            Err(_) => Ok(()),
        }
    });
    report.row("E13", "a GET beside a POST is no overlap", |server| {
        let sid = server.open_polling();
        let mut poll = open_poll(server, &sid);
        let mut post = open_post(server, &sid);
        post.send(b"y").unwrap();
        equal(&answer(&mut post, "POST")?, "200 ok")?;
        equal(&answer(&mut poll, "GET")?, "200 4xy")?;
        unharmed(server, &sid)
    });
    report.row("E12", "a GET that is dropped", |server| {
        let sid = server.open_polling();
        drop(open_poll(server, &sid));
        eventually(PATIENCE, || (server.life(&sid) == Life::Gone).then_some(()))
            .ok_or("the session lives".into())
    });
    report.row("E13", "a POST that is dropped", |server| {
        let sid = server.open_polling();
        drop(open_post(server, &sid));
        // Asked by GET: a POST would overlap.
        let gone = eventually(PATIENCE, || {
            let line = server.poll(&sid).line();
            (line == refusal(1)).then_some(())
        });
        gone.ok_or("the session lives".into())
    });
    report.finish();
}

#[test]
fn heads() {
    let mut report = Report::on(Server::engine());
    let target = report.server().target("transport=polling");
    let opens = |response: Response| {
        let line = response.line();
        equal(line.get(..13).unwrap_or(&line), "200 0{\"sid\":\"")
    };
    report.row("W16", "a head byte by byte", |server| {
        let mut wire = server.wire();
        for byte in request("GET", &target, &["X-Slow: yes"], b"") {
            wire.send(&[byte]).unwrap();
        }
        opens(
            wire.response("GET", PATIENCE)
                .map_err(|end| format!("{end:?}"))?,
        )
    });
    report.row("W16", "a head of 15 KiB", |server| {
        let padding = format!("X-Padding: {}", "x".repeat(15 * 1024));
        opens(ask(server, &request("GET", &target, &[&padding], b"")))
    });
    for (name, headers) in [
        (
            "a head of 17 KiB",
            vec![format!("X-Padding: {}", "x".repeat(17 * 1024))],
        ),
        (
            "3,000 headers",
            (0..3000).map(|i| format!("X-{i}: y")).collect(),
        ),
        (
            "101 headers",
            (0..101).map(|i| format!("X-{i}: y")).collect(),
        ),
    ] {
        for upgrade in [false, true] {
            report.row("W15", &format!("{name}, upgrade {upgrade}"), |server| {
                let mut lines: Vec<&str> = headers.iter().map(String::as_str).collect();
                if upgrade {
                    lines.extend(UPGRADE);
                }
                refused(server, &request("GET", &target, &lines, b""), "431")
            });
        }
    }
    report.row("W16", "a head of 1 MB without an end", |server| {
        refused(
            server,
            &[b"GET / HTTP/1.1\r\nX: ", &[b'x'; 1_000_000][..]].concat(),
            "431",
        )
    });
    report.row("W16", "a target of 1 MB without an end", |server| {
        refused(server, &[b"GET /", &[b'x'; 1_000_000][..]].concat(), "431")
    });
    for (name, bytes) in [
        (
            "no HTTP",
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        ),
        (
            "a header without a colon",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        ),
        (
            "a header with a control character",
            b"GET / HTTP/1.1\r\nX: \x01\r\n\r\n",
        ),
        ("a folded header", b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
        (
            "a space before the colon",
            b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        ),
        (
            "a length that is no number",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ),
        (
            "a negative length",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        ),
        (
            "a signed length",
            b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
        ),
        (
            "a length over 2^64",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ),
        (
            "two lengths",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        ),
        (
            "a length and chunks",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "another transfer coding",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        ),
        (
            "chunked, but not last",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        ),
    ] {
        report.row("W16", name, |server| {
            let path = server.target("transport=polling");
            let text: Vec<u8> = bytes.to_vec();
            // To the server's own path: elsewhere the body may be none of its business.
            let bytes = match text.windows(3).position(|window| window == b" / ") {
                Some(at) => [&text[..at], b" ", path.as_bytes(), b" ", &text[at + 3..]].concat(),
                None => text,
            };
            refused(server, &bytes, "400")
        });
    }
    for (name, body) in [
        (
            "a chunk size that is no number",
            &b"x\r\n4x\r\n0\r\n\r\n"[..],
        ),
        (
            "a chunk size over 2^64",
            b"fffffffffffffffff\r\n4x\r\n0\r\n\r\n",
        ),
        ("a chunk without its end", b"2\r\n4xx0\r\n\r\n"),
    ] {
        report.row("W16", name, |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let head = request("POST", &target, &["Transfer-Encoding: chunked"], b"");
            let mut wire = server.wire();
            wire.send(&[&head[..], body].concat()).unwrap();
            let line = answer(&mut wire, "POST")?;
            if line != "400" && line != "413" {
                return Err(line);
            }
            match wire.end(PATIENCE) {
                End::Timeout => Err("the TCP connection stays open".to_owned()),
                End::Eof | End::Reset => Ok(()),
            }
        });
    }
    report.row("W16", "nothing, and the end", |server| {
        let mut wire = server.wire();
        wire.finish();
        equal(&format!("{:?}", wire.end(PATIENCE)), "Eof")
    });
    report.row("W16", "half a head, and the end", |server| {
        let mut wire = server.wire();
        wire.send(b"GET /engine.io/?EIO=4&tr").unwrap();
        wire.finish();
        match wire.end(PATIENCE) {
            End::Timeout => Err("the TCP connection stays open".into()),
            End::Eof | End::Reset => Ok(()),
        }
    });
    report.row("W16", "three requests in one segment", |server| {
        let mut wire = server.wire();
        wire.send(&request("GET", &target, &[], b"").repeat(3))
            .unwrap();
        for _ in 0..3 {
            opens(
                wire.response("GET", PATIENCE)
                    .map_err(|end| format!("{end:?}"))?,
            )?;
        }
        Ok(())
    });
    report.row(
        "W16",
        "a request behind a body that is not ours",
        |server| {
            let mut wire = server.wire();
            wire.send(&request("POST", &target, &[], b"GET / HTTP/1.1\r\n\r\n"))
                .unwrap();
            wire.send(&request("GET", &target, &[], b"")).unwrap();
            equal(&answer(&mut wire, "POST")?, &refusal(2))?;
            // Either the connection ends, or the body was taken for a body.
            match wire.response("GET", PATIENCE) {
                Ok(response) => opens(response),
                Err(End::Timeout) => Err("no answer".into()),
                Err(End::Eof | End::Reset) => Ok(()),
            }
        },
    );
    report.finish();
}

/// Refused with this status, and the connection ends.
fn refused(server: &Server, bytes: &[u8], expected: &str) -> Result<(), String> {
    let mut wire = server.wire();
    let _ = wire.send(bytes);
    let line = answer(&mut wire, "GET")?;
    equal(line.get(..3).unwrap_or(&line), expected)?;
    match wire.end(PATIENCE) {
        End::Timeout => Err("the TCP connection stays open".to_owned()),
        End::Eof | End::Reset => Ok(()),
    }
}
