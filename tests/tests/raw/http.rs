//! E1 to E13, E20 and E24: requests.

use sockeye_tests::{
    http::{Response, chunk, refusal, request},
    report::{Report, equal},
    server::{Life, MAX_PAYLOAD, Server},
    session::{Socket, UPGRADE},
    wire::{End, PATIENCE, Wire, eventually},
};

/// Sends a request whose method is its first word, and gives the answer.
pub(crate) fn ask(server: &Server, request: &[u8]) -> Response {
    let method = String::from_utf8_lossy(request.split(|byte| *byte == b' ').next().unwrap()).into_owned();
    server.exchange(&method, request)
}

fn life(server: &Server, sid: &str, expected: Life) -> Result<(), String> {
    let found = server.life(sid);
    if found == expected { Ok(()) } else { Err(format!("the session is {found:?}, not {expected:?}")) }
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
    brings(server, sid, server.poll(sid).line(), "200 4are you there")
}

/// The answer to a GET, or that to one of the next ones, is this: a ping may come with it or before it.
fn brings(server: &Server, sid: &str, mut answer: String, expected: &str) -> Result<(), String> {
    for _ in 0..3 {
        if answer != "200 2" {
            return equal(&answer.replace("2\x1e", "").replace("\x1e2", ""), expected);
        }
        equal(&server.post(sid, b"3").line(), "200 ok")?;
        answer = server.poll(sid).line();
    }
    Err("nothing but pings".into())
}

#[test]
fn requests_without_a_session() {
    for server in [Server::engine(), Server::socketio()] {
        let mut report = Report::on(server);
        let path = report.server().path();
        let sids = ["AAAAAAAAAAAAAAAAAAAAAA", "abc", "__proto__", "constructor", "%00", "..%2f..%2f", "%ff%fe", "%"];
        let mut rows: Vec<(&str, String, Vec<u8>, String)> = Vec::new();
        let mut row = |id, method: &str, query: &str, code: u8| {
            let bytes = request(method, &format!("{path}?{query}"), &[], b"");
            let expected = if method == "HEAD" { "400".into() } else { refusal(code) };
            rows.push((id, format!("{method} {query}"), bytes, expected));
        };
        for transport in
            ["", "abc", "__proto__", "constructor", "webtransport", "Polling", "polling%00", "polling,websocket"]
        {
            row("E1", "GET", &format!("EIO=4&transport={transport}"), 0);
        }
        row("E1", "GET", "EIO=4", 0);
        row("E1", "GET", "", 0);
        row("E1", "POST", "EIO=4", 0);
        row("E1", "GET", "EIO=4&transport=polling&transport=abc", 0);
        for sid in sids {
            row("E2", "GET", &format!("EIO=4&transport=polling&sid={sid}"), 1);
            row("E2", "POST", &format!("EIO=4&transport=polling&sid={sid}"), 1);
        }
        row("E2", "GET", &format!("EIO=4&transport=polling&sid={}", "A".repeat(8000)), 1);
        row("E2", "DELETE", "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAA", 1);
        row("E2", "GET", "EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAAAA", 1);
        for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"] {
            row("E3", method, "EIO=4&transport=polling", 2);
        }
        row("E4", "GET", "EIO=4&transport=websocket", 3);
        for version in ["", "3", "5", "04", "4.0", "%204", "4%00", "abc", "__proto__"] {
            row("E5", "GET", &format!("EIO={version}&transport=polling"), 5);
        }
        row("E5", "GET", "transport=polling", 5);
        row("E5", "GET", "eio=4&transport=polling", 5);
        for (id, name, bytes, expected) in rows {
            report.row(id, &name, |server| equal(&ask(server, &bytes).line(), &expected));
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
                equal(&ask(server, &request("GET", &target, &[], b"")).line(), "404")?;
                let target = format!("{other}?EIO=4&transport=websocket");
                equal(&ask(server, &request("GET", &target, &UPGRADE, b"")).line(), "404")
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
        for query in
            ["transport=polling", "EIO=3&transport=polling", "EIO=&transport=polling", "EIO=5&transport=polling"]
        {
            for (method, body) in [("GET", &b""[..]), ("POST", b"3")] {
                report.row("E6", &format!("{method} {query}"), |server| {
                    let sid = server.open_polling();
                    let target = format!("{path}?{query}&sid={sid}");
                    equal(&ask(server, &request(method, &target, &[], body)).line(), &refusal(3))?;
                    unharmed(server, &sid)
                });
            }
        }
        for method in ["PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"] {
            report.row("E7", method, |server| {
                let sid = server.open_polling();
                let target = server.target(&format!("transport=polling&sid={sid}"));
                equal(&ask(server, &request(method, &target, &[], b"")).line(), "405")?;
                unharmed(server, &sid)
            });
        }
        report.row("E4", "GET of a polling session with transport=websocket", |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=websocket&sid={sid}"));
            equal(&ask(server, &request("GET", &target, &[], b"")).line(), &refusal(3))?;
            equal(&ask(server, &request("POST", &target, &[], b"4x")).line(), &refusal(3))?;
            unharmed(server, &sid)
        });
        report.row("E4", "GET and POST of a WebSocket session", |server| {
            let mut socket = Socket::open(server);
            equal(&server.poll(&socket.sid).line(), &refusal(3))?;
            equal(&server.post(&socket.sid, b"4x").line(), &refusal(3))?;
            let target = server.target(&format!("transport=websocket&sid={}", socket.sid));
            equal(&ask(server, &request("GET", &target, &[], b"")).line(), &refusal(3))?;
            if server.is_engine() { socket.check(server) } else { life(server, &socket.sid, Life::WebSocket) }
        });
        report.row("E9", "application/octet-stream", |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let bytes = request("POST", &target, &["Content-Type: application/octet-stream"], b"\x04x");
            equal(&ask(server, &bytes).line(), "400")?;
            gone(server, &sid)
        });
        for coding in ["gzip", "deflate", "br", "identity, gzip"] {
            report.row("E9", &format!("Content-Encoding: {coding}"), |server| {
                let sid = server.open_polling();
                let target = server.target(&format!("transport=polling&sid={sid}"));
                let bytes = request("POST", &target, &[&format!("Content-Encoding: {coding}")], b"\x1f\x8b");
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
        wire.send(&request("POST", &target, &[header], b"")).unwrap();
        wire
    };
    let refused = |mut wire: Wire| {
        let response = wire.response("POST", PATIENCE).map_err(|end| format!("{end:?}"))?;
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
        if server.is_hyper() {
            // Its bodies tell what has come, not what was declared.
            let _ = wire.send(&[b'4'; MAX_PAYLOAD + 1]);
        }
        refused(wire)?;
        gone(server, &sid)
    });
    report.row("E8", "a body that comes behind its refusal", |server| {
        if !server.is_hyper() {
            return Ok(());
        }
        let sid = server.open_polling();
        let mut wire = post(server, &sid, "Content-Length: 1000001");
        let response = wire.response("POST", PATIENCE).map_err(|end| format!("{end:?}"))?;
        equal(&response.line(), "413")?;
        // A client that writes all before it reads must not meet a reset where the answer is, however late it writes.
        match wire.end(PATIENCE) {
            End::Eof => {}
            end => return Err(format!("{end:?} behind the answer")),
        }
        for part in [b'4'; MAX_PAYLOAD + 1].chunks(65_536) {
            wire.send(part).map_err(|end| format!("{end:?} while the body is sent"))?;
        }
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
        equal(&wire.response("POST", PATIENCE).map_err(|end| format!("{end:?}"))?.line(), "200 ok")?;
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
            equal(&server.post(&sid, body).line(), &refusal(3))?;
            gone(server, &sid)
        });
    }
    report.row("E10", "a good packet before the bad one", |server| {
        let sid = server.open_polling();
        equal(&server.post(&sid, b"4early\x1e9").line(), &refusal(3))?;
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
        equal(&server.post(&sid, &b"6\x1e".repeat(500_000)).line(), &refusal(3))?;
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
        equal(&server.post(&sid, &[0x1e; MAX_PAYLOAD]).line(), &refusal(3))?;
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
        equal(&server.post(&sid, b"9").line(), &refusal(3))?;
        equal(&answer(&mut poll, "GET")?, "200 1")?;
        gone(server, &sid)
    });
    report.finish();
}

/// A GET that waits: the server has it.
fn open_poll(server: &Server, sid: &str) -> Wire {
    let mut wire = server.wire();
    let target = server.target(&format!("transport=polling&sid={sid}"));
    wire.send(&request("GET", &target, &[], b"")).unwrap();
    settled(server, wire)
}

/// A POST of which the last byte is missing: the server has the rest.
fn open_post(server: &Server, sid: &str) -> Wire {
    let mut wire = server.wire();
    let target = server.target(&format!("transport=polling&sid={sid}"));
    wire.send(&request("POST", &target, &["Content-Length: 3"], b"")).unwrap();
    wire.send(b"4x").unwrap();
    settled(server, wire)
}

/// The server has read what was sent, and has had the time of another exchange to look at it.
fn settled(server: &Server, wire: Wire) -> Wire {
    wire.settle();
    server.life("nobody");
    wire
}

/// What a request that was sent is answered.
pub(crate) fn answer(wire: &mut Wire, method: &str) -> Result<String, String> {
    let response = wire.response(method, PATIENCE);
    response.map(|response| response.line()).map_err(|end| format!("{end:?} instead of an answer"))
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
        // The first one is answered too, at the latest when its body is there.
        let _ = first.send(b"y");
        equal(&answer(&mut first, "POST")?, &refusal(1))
    });
    report.row("E13", "a GET beside a POST is no overlap", |server| {
        let sid = server.open_polling();
        let mut poll = open_poll(server, &sid);
        let mut post = open_post(server, &sid);
        post.send(b"y").unwrap();
        equal(&answer(&mut post, "POST")?, "200 ok")?;
        // A slow machine takes longer for this than the server's interval of pings.
        brings(server, &sid, answer(&mut poll, "GET")?, "200 4xy")?;
        unharmed(server, &sid)
    });
    report.row("E12", "a GET that is dropped", |server| {
        let sid = server.open_polling();
        drop(open_poll(server, &sid));
        eventually(PATIENCE, || (server.life(&sid) == Life::Gone).then_some(())).ok_or("the session lives".into())
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
