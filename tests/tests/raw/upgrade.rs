//! W15 and E17 to E20, E23: the opening handshake of a WebSocket, and the upgrade of a session.

use std::time::Duration;

use sockeye_tests::{
    http::{refusal, request},
    report::{Report, equal},
    server::{Life, Server},
    session::{ACCEPT, Socket, UPGRADE},
    websocket::{BINARY, Event, FIN, TEXT, close, frame, raw, text, unmasked},
    wire::{End, PATIENCE},
};

#[test]
fn opening_handshakes() {
    const KEY: &str = UPGRADE[3];
    const OPEN: &str = "transport=websocket";
    let mut report = Report::on(Server::engine());
    let with = |lines: &[&'static str]| [&UPGRADE[..2], lines].concat();
    let version = "Sec-WebSocket-Version: 13";
    for (name, headers, status) in [
        ("no key", with(&[version]), 400),
        ("an empty key", with(&[version, "Sec-WebSocket-Key:"]), 400),
        ("a short key", with(&[version, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="]), 400),
        ("a long key", with(&[version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSB0aGF0"]), 400),
        ("a key that is not base64", with(&[version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2*jZQ=="]), 400),
        ("two keys", with(&[version, KEY, KEY]), 400),
        ("no version", with(&[KEY]), 426),
        ("version 8", with(&[KEY, "Sec-WebSocket-Version: 8"]), 426),
        ("version 12", with(&[KEY, "Sec-WebSocket-Version: 12"]), 426),
        ("version 14", with(&[KEY, "Sec-WebSocket-Version: 14"]), 426),
        ("version x", with(&[KEY, "Sec-WebSocket-Version: x"]), 426),
        ("a sub-protocol that is no token", [&UPGRADE[..], &["Sec-WebSocket-Protocol: ,"]].concat(), 400),
    ] {
        report.row("W15", name, |server| {
            let (mut socket, response) = Socket::handshake(server, OPEN, &headers, b"");
            let body = refusal(3).replacen("400", &status.to_string(), 1);
            equal(&response.line(), &body)?;
            if status == 426 {
                equal(response.header("sec-websocket-version").unwrap_or_default(), "13")?;
            }
            match socket.wire.end(PATIENCE) {
                End::Timeout => Err("the TCP connection stays open".into()),
                End::Eof | End::Reset => Ok(()),
            }
        });
    }
    for (name, headers) in [
        ("Upgrade: h2c", vec!["Upgrade: h2c", UPGRADE[1], version, KEY]),
        ("no Upgrade", vec![UPGRADE[1], version, KEY]),
        ("no Connection", vec![UPGRADE[0], version, KEY]),
        ("Connection: close", vec![UPGRADE[0], "Connection: close", version, KEY]),
    ] {
        report.row("W15", name, |server| equal(&Socket::handshake(server, OPEN, &headers, b"").1.line(), &refusal(3)));
    }
    report.row("W15", "POST", |server| {
        let bytes = request("POST", &server.target(OPEN), &UPGRADE, b"");
        equal(&server.exchange("POST", &bytes).line(), &refusal(2))
    });
    for (name, headers, protocol) in [
        ("Connection: keep-alive, Upgrade", vec![UPGRADE[0], "Connection: keep-alive, Upgrade", version, KEY], None),
        ("two Connection lines", vec![UPGRADE[0], "Connection: keep-alive", UPGRADE[1], version, KEY], None),
        ("UPGRADE: WEBSOCKET", vec!["UPGRADE: WEBSOCKET", "connection: UPGRADE", version, KEY], None),
        ("an extension named constructor", with(&[version, KEY, "Sec-WebSocket-Extensions: constructor"]), None),
        (
            "deflate",
            with(&[version, KEY, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]),
            None,
        ),
        ("bad extensions", with(&[version, KEY, "Sec-WebSocket-Extensions: ;;,,=\"\\"]), None),
        ("sub-protocols", with(&[version, KEY, "Sec-WebSocket-Protocol: a, b"]), Some("a")),
        ("another origin", with(&[version, KEY, "Origin: http://elsewhere.example"]), None),
    ] {
        let id = if name.contains("origin") { "E23" } else { "W15" };
        report.row(id, name, |server| {
            let (mut socket, response) = Socket::handshake(server, OPEN, &headers, b"");
            equal(&response.line(), "101")?;
            equal(response.header("sec-websocket-accept").unwrap_or_default(), ACCEPT)?;
            equal(response.header("upgrade").unwrap_or_default(), "websocket")?;
            equal(&response.header("connection").unwrap_or_default().to_ascii_lowercase(), "upgrade")?;
            equal(response.header("sec-websocket-extensions").unwrap_or_default(), "")?;
            equal(&format!("{:?}", response.header("sec-websocket-protocol")), &format!("{protocol:?}"))?;
            match socket.next(PATIENCE) {
                Event::Text(open) if open.starts_with('0') => socket.check(server),
                event => Err(format!("{event:?}")),
            }
        });
    }
    report.row("W15", "a sub-protocol and 10,000 spaces", |server| {
        let spaces = format!("Sec-WebSocket-Protocol: a{}b", " ".repeat(10_000));
        let headers = [&UPGRADE[..], &[spaces.as_str()]].concat();
        equal(&Socket::handshake(server, OPEN, &headers, b"").1.line(), &refusal(3))
    });
    for (query, code) in [
        ("transport=abc", 0),
        ("transport=__proto__", 0),
        ("transport=constructor", 0),
        ("transport=", 0),
        ("t=1", 0),
        ("transport=websocket&sid=AAAAAAAAAAAAAAAAAAAAAA", 1),
        ("transport=websocket&sid=__proto__", 1),
        ("transport=websocket&sid=constructor", 1),
        ("transport=websocket&sid=%00", 1),
        ("transport=websocket&EIO=3", 5),
        ("transport=websocket&EIO=", 5),
        ("transport=websocket&EIO=5", 5),
    ] {
        let id = ["E1", "E2", "", "", "", "E5"][code];
        report.row(id, &format!("upgrade with {query}"), |server| {
            let (mut socket, response) = Socket::handshake(server, query, &UPGRADE, b"");
            equal(&response.line(), &refusal(u8::try_from(code).unwrap()))?;
            match socket.wire.end(PATIENCE) {
                End::Timeout => Err("the TCP connection stays open".into()),
                End::Eof | End::Reset => Ok(()),
            }
        });
        // CVE-2022-41940: the peer is gone, or resets, before the refusal is written.
        report.row(id, &format!("upgrade with {query}, and away"), |server| {
            for _ in 0..20 {
                let mut wire = server.wire();
                let _ = wire.send(&request("GET", &server.target(query), &UPGRADE, b""));
            }
            Ok(())
        });
    }
    report.row("E23", "an origin with a control character", |server| {
        let headers = [&UPGRADE[..], &["Origin: \x7f"]].concat();
        let response = Socket::handshake(server, OPEN, &headers, b"").1;
        equal(&response.line()[..3], "400")
    });
    report.finish();
}

#[test]
fn candidates_that_fail() {
    let mut report = Report::on(Server::engine());
    let rows: Vec<(&str, &str, Vec<u8>)> = vec![
        ("E17", "upgrade without a probe", text("5")),
        ("E17", "a message", text("4hello")),
        ("E17", "binary", frame(BINARY, b"x")),
        ("E17", "a ping without probe", text("2")),
        ("E17", "another probe", text("2other")),
        ("E17", "a pong", text("3probe")),
        ("E17", "close", text("1")),
        ("E17", "open", text("0")),
        ("E17", "noop", text("6")),
        ("E17", "nothing", text("")),
        ("E17", "type x", text("x")),
        ("E17", "not masked", unmasked(TEXT, b"2probe")),
        ("E17", "RSV1", raw(FIN | 0x40 | TEXT, b"2probe")),
        ("E17", "not UTF-8", frame(TEXT, b"2\xff")),
        ("E17", "a close frame", close(1000, b"")),
        ("E18", "500 probes", text("2probe").repeat(500)),
        ("E17", "a message behind the probe", [text("2probe"), text("4x")].concat()),
        ("E17", "binary behind the probe", [text("2probe"), frame(BINARY, b"x")].concat()),
        ("E17", "a bad frame behind the probe", [text("2probe"), unmasked(TEXT, b"5")].concat()),
    ];
    for (id, name, bytes) in rows {
        report.row(id, name, |server| {
            let sid = server.open_polling();
            let mut candidate = Socket::candidate(server, &sid);
            candidate.send(&bytes);
            if bytes.starts_with(&text("2probe")) {
                equal(&candidate.next_text(), "3probe")?;
            }
            // Nothing but the close comes: one probe is answered once.
            match candidate.next(PATIENCE) {
                Event::Close(..) => {}
                event => return Err(format!("{event:?} instead of a close frame")),
            }
            candidate.send(&close(1000, b""));
            if candidate.wire.end(PATIENCE) == End::Timeout {
                return Err("the TCP connection stays open".into());
            }
            lives_on(server, &sid)
        });
    }
    for probed in [false, true] {
        report.row("E17", &format!("the candidate goes away, probed: {probed}"), |server| {
            let sid = server.open_polling();
            for _ in 0..5 {
                let mut candidate = again(server, &sid)?;
                if probed {
                    candidate.send_text("2probe");
                    equal(&candidate.next_text(), "3probe")?;
                }
                drop(candidate);
            }
            lives_on(server, &sid)
        });
    }
    report.row("E19", "a second candidate", |server| {
        let sid = server.open_polling();
        let mut candidate = Socket::candidate(server, &sid);
        let query = format!("transport=websocket&sid={sid}");
        equal(&Socket::handshake(server, &query, &UPGRADE, b"").1.line(), &refusal(3))?;
        candidate.send_text("2probe");
        equal(&candidate.next_text(), "3probe")?;
        equal(&Socket::handshake(server, &query, &UPGRADE, b"").1.line(), &refusal(3))?;
        candidate.send_text("5");
        candidate.check(server)
    });
    report.row("E19", "an upgrade of a WebSocket session", |server| {
        let mut socket = Socket::open(server);
        let query = format!("transport=websocket&sid={}", socket.sid);
        equal(&Socket::handshake(server, &query, &UPGRADE, b"").1.line(), &refusal(3))?;
        socket.check(server)
    });
    report.row("E19", "an upgrade after the upgrade", |server| {
        let sid = server.open_polling();
        let mut socket = upgraded(server, &sid)?;
        let query = format!("transport=websocket&sid={sid}");
        equal(&Socket::handshake(server, &query, &UPGRADE, b"").1.line(), &refusal(3))?;
        socket.check(server)
    });
    for query in ["EIO=3", "EIO=", "EIO=5"] {
        report.row("E6", &format!("upgrade with {query}"), |server| {
            let sid = server.open_polling();
            let query = format!("transport=websocket&sid={sid}&{query}");
            equal(&Socket::handshake(server, &query, &UPGRADE, b"").1.line(), &refusal(3))?;
            lives_on(server, &sid)
        });
    }
    report.row("W15", "upgrade of a session without a key", |server| {
        let sid = server.open_polling();
        let query = format!("transport=websocket&sid={sid}");
        equal(&Socket::handshake(server, &query, &UPGRADE[..3], b"").1.line(), &refusal(3))?;
        lives_on(server, &sid)
    });
    report.row("E20", "GET and POST after the upgrade", |server| {
        let sid = server.open_polling();
        let mut socket = upgraded(server, &sid)?;
        equal(&server.poll(&sid).line(), &refusal(3))?;
        equal(&server.post(&sid, b"4x").line(), &refusal(3))?;
        equal(&server.post(&sid, b"1").line(), &refusal(3))?;
        socket.check(server)
    });
    for (name, lines, status) in [
        ("a GET that the upgrade overtakes", &[][..], "200 6"),
        ("a POST that the upgrade overtakes", &["Content-Length: 6"], "200 ok"),
    ] {
        report.row("E20", name, |server| {
            let sid = server.open_polling();
            let mut wire = server.wire();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let method = if lines.is_empty() { "GET" } else { "POST" };
            wire.send(&request(method, &target, lines, b"")).unwrap();
            wire.settle();
            let mut candidate = Socket::candidate(server, &sid);
            candidate.send(&[text("2probe"), text("5")].concat());
            equal(&candidate.next_text(), "3probe")?;
            candidate.check(server)?;
            if method == "POST" {
                let _ = wire.send(b"4early");
            }
            let line = wire.response(method, PATIENCE).map(|response| response.line());
            equal(&line.map_err(|end| format!("{end:?}"))?, status)?;
            // A client must wait for its POST before it upgrades; what comes so late may be lost.
            candidate.send_text("4late");
            match candidate.next_text().as_str() {
                "4late" => Ok(()),
                other => equal(other, "4early").and_then(|()| equal(&candidate.next_text(), "4late")),
            }
        });
    }
    report.finish();
}

/// A candidate, as soon as the server has noticed the end of the one before.
fn again(server: &Server, sid: &str) -> Result<Socket, String> {
    let query = format!("transport=websocket&sid={sid}");
    let opened = sockeye_tests::wire::eventually(Duration::from_secs(1), || {
        let (socket, response) = Socket::handshake(server, &query, &UPGRADE, b"");
        (response.status == 101).then_some(socket)
    });
    let mut socket = opened.ok_or("no new candidate is let in")?;
    sid.clone_into(&mut socket.sid);
    Ok(socket)
}

fn upgraded(server: &Server, sid: &str) -> Result<Socket, String> {
    let mut socket = again(server, sid)?;
    socket.send_text("2probe");
    equal(&socket.next_text(), "3probe")?;
    socket.send_text("5");
    socket.check(server)?;
    Ok(socket)
}

/// The polling session lives, and can still be upgraded.
fn lives_on(server: &Server, sid: &str) -> Result<(), String> {
    let life = server.life(sid);
    if life != Life::Polling {
        return Err(format!("the session is {life:?}"));
    }
    upgraded(server, sid).map(drop)
}
