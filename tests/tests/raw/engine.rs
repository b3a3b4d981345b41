//! E14 to E16, E21 to E25: packets and time on an open session.

use std::time::{Duration, Instant};

use sockeye_tests::{
    http::{refusal, request},
    report::{Report, equal},
    server::{Life, MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT, Server},
    session::Socket,
    websocket::{BINARY, Event, TEXT, frame, text},
    wire::{End, PATIENCE},
};

/// A slow machine may be this late.
const SLACK: Duration = Duration::from_millis(250);

#[test]
fn packets_on_an_open_websocket() {
    let mut report = Report::on(Server::engine());
    for (id, name, bytes, code) in [
        ("E14", "a ping", text("2"), 1002),
        ("E14", "a probe", text("2probe"), 1002),
        ("E14", "open", text("0"), 1002),
        ("E14", "open with data", text(r#"0{"sid":"x"}"#), 1002),
        ("E14", "upgrade", text("5"), 1002),
        ("E14", "close", text("1"), 1000),
        ("E16", "nothing", text(""), 1002),
        ("E16", "type 7", text("7"), 1002),
        ("E16", "type 8", text("8x"), 1002),
        ("E16", "type 9", text("9"), 1002),
        ("E16", "type a", text("abc"), 1002),
        ("E16", "a space", text(" 4x"), 1002),
        ("E16", "a separator", text("\x1e4x"), 1002),
        ("E16", "a character of three bytes", text("€uro"), 1002),
        ("E16", "a character of four bytes", text("👍"), 1002),
        ("E16", "base64 with other letters", text("b!!!!"), 1002),
        ("E16", "base64 with bits too many", text("bAB"), 1002),
        ("E16", "base64 and a multibyte character", text("bAAA€"), 1002),
    ] {
        report.row(id, name, |server| {
            let mut socket = Socket::open(server);
            socket.send(&bytes);
            socket.expect_close(Some(code))?;
            gone(server, &socket.sid)
        });
    }
    for (id, name, bytes, answers) in [
        ("E14", "noop", text("6"), vec![]),
        ("E15", "a pong", text("3"), vec![]),
        ("E15", "a pong with data", text("3x"), vec![]),
        ("E15", "5,000 pongs", text("3").repeat(5_000), vec![]),
        ("E16", "an empty message", text("4"), vec![Event::Text("4".into())]),
        ("E16", "a separator in a message", text("4\x1e2\x1e"), vec![Event::Text("4\x1e2\x1e".into())]),
        ("E16", "an empty binary message", frame(BINARY, b""), vec![Event::Binary(Vec::new())]),
        ("E16", "base64 as text", text("bAAAA"), vec![Event::Binary(vec![0; 3])]),
        ("E16", "base64 without padding", text("bAQI"), vec![Event::Binary(vec![1, 2])]),
        ("E16", "empty base64", text("b"), vec![Event::Binary(Vec::new())]),
        ("E16", "NUL", frame(TEXT, b"4\0"), vec![Event::Text("4\0".into())]),
    ] {
        report.row(id, name, |server| {
            let mut socket = Socket::open(server);
            socket.send(&bytes);
            for answer in answers {
                let event = socket.next(PATIENCE);
                if event != answer {
                    return Err(format!("{event:?} instead of {answer:?}"));
                }
            }
            socket.check(server)
        });
    }
    report.row("E16", "binary to a client that wants base64", |server| {
        let mut socket = Socket::open_with(server, "transport=websocket&b64=1", b"");
        socket.send(&frame(BINARY, &[4, 2]));
        equal(&socket.next_text(), "bBAI=")?;
        socket.check(server)
    });
    report.finish();
}

fn gone(server: &Server, sid: &str) -> Result<(), String> {
    if server.is_gone(sid) { Ok(()) } else { Err("the session lives".into()) }
}

#[test]
fn heartbeats() {
    let mut report = Report::on(Server::engine());
    report.row("E22", "no pong", |server| {
        let mut socket = Socket::open(server);
        let opened = Instant::now();
        socket.wire.event(PATIENCE);
        let pinged = Instant::now();
        close_to(pinged - opened, PING_INTERVAL)?;
        socket.expect_close(Some(1008))?;
        close_to(pinged.elapsed(), PING_TIMEOUT)?;
        gone(server, &socket.sid)
    });
    report.row("E22", "other packets, but no pong", |server| {
        let mut socket = Socket::open(server);
        equal(&format!("{:?}", socket.wire.event(PATIENCE)), "Text(\"2\")")?;
        let pinged = Instant::now();
        let half = PING_TIMEOUT / 2;
        // The first packet extends the timeout, the second does not.
        for answer in ["4first", "4second"] {
            let silence = socket.wire.event(half);
            if silence != Event::End(End::Timeout) {
                return Err(format!("{silence:?} after {:?}", pinged.elapsed()));
            }
            socket.send_text(answer);
            equal(&format!("{:?}", socket.wire.event(PATIENCE)), &format!("Text({answer:?})"))?;
        }
        socket.expect_close(Some(1008))?;
        close_to(pinged.elapsed(), half + PING_TIMEOUT)
    });
    report.row("E22", "WebSocket pings and pongs are no heartbeat", |server| {
        let mut socket = Socket::open(server);
        equal(&format!("{:?}", socket.wire.event(PATIENCE)), "Text(\"2\")")?;
        socket.send(&frame(0xa, b""));
        socket.expect_close(Some(1008))
    });
    report.row("E22", "polling: no pong", |server| {
        let opened = Instant::now();
        let sid = server.open_polling();
        equal(&server.poll(&sid).line(), "200 2")?;
        close_to(opened.elapsed(), PING_INTERVAL)?;
        // The GET that waits is told.
        equal(&server.poll(&sid).line(), "200 1")?;
        close_to(opened.elapsed(), PING_INTERVAL + PING_TIMEOUT)?;
        equal(&server.poll(&sid).line(), &refusal(1))
    });
    report.row("E21", "200 sessions that are left alone", |server| {
        let opened = Instant::now();
        let target = server.target("transport=polling");
        let mut wire = server.wire();
        wire.send(&request("GET", &target, &[], b"").repeat(200)).unwrap();
        let mut sids = Vec::new();
        for _ in 0..200 {
            let response = wire.response("GET", PATIENCE).map_err(|end| format!("{end:?}"))?;
            sids.push(sockeye_tests::server::sid(response.text()));
        }
        // Not asked about before their time: asking would keep them.
        let over = PING_INTERVAL + PING_TIMEOUT + SLACK;
        std::thread::sleep(over.saturating_sub(opened.elapsed()));
        match sids.iter().filter(|sid| server.life(sid) != Life::Gone).count() {
            0 => Ok(()),
            left => Err(format!("{left} live")),
        }
    });
    report.finish();
}

fn close_to(time: Duration, expected: Duration) -> Result<(), String> {
    let early = Duration::from_millis(30);
    if time + early >= expected && time <= expected + SLACK {
        Ok(())
    } else {
        Err(format!("after {time:?} instead of {expected:?}"))
    }
}

#[test]
fn answers_are_chunked() {
    let mut report = Report::on(Server::engine());
    report.row("E25", "five messages of 400 kB", |server| {
        let sid = server.open_polling();
        let message = [&b"4"[..], &[b'x'; 400_000]].concat();
        for _ in 0..5 {
            equal(&server.post(&sid, &message).line(), "200 ok")?;
        }
        let mut sizes = Vec::new();
        let mut received = 0;
        while received < 5 {
            let body = server.poll(&sid).body;
            if body.len() > MAX_PAYLOAD {
                return Err(format!("a payload of {} bytes", body.len()));
            }
            received += body.split(|byte| *byte == 0x1e).filter(|packet| **packet == message).count();
            sizes.push(body.len());
        }
        equal(&format!("{sizes:?}"), "[800003, 800003, 400001]")
    });
    report.row("E25", "a message of max is sent whole", |server| {
        let sid = server.open_polling();
        let message = [b'4'; MAX_PAYLOAD];
        for body in [&b"4a"[..], &message, b"4b"] {
            equal(&server.post(&sid, body).line(), "200 ok")?;
        }
        equal(&server.poll(&sid).line(), "200 4a")?;
        equal(&server.poll(&sid).body.len().to_string(), &MAX_PAYLOAD.to_string())?;
        equal(&server.poll(&sid).line(), "200 4b")
    });
    report.row("E25", "50,000 small messages", |server| {
        let sid = server.open_polling();
        let packets: Vec<String> = (0..50_000).map(|number| format!("4{number}")).collect();
        equal(&server.post(&sid, packets.join("\x1e").as_bytes()).line(), "200 ok")?;
        equal(&server.poll(&sid).text().len().to_string(), &packets.join("\x1e").len().to_string())
    });
    report.finish();
}

#[test]
fn origins() {
    // The conformance server is set up to let every origin in, on both transports.
    let mut report = Report::on(Server::socketio());
    for origin in ["http://elsewhere.example", "null", "https://localhost:1", "x"] {
        report.row("E23", origin, |server| {
            let header = format!("Origin: {origin}");
            let target = server.target("transport=polling");
            let response = server.exchange("GET", &request("GET", &target, &[&header], b""));
            equal(&response.status.to_string(), "200")?;
            equal(response.header("access-control-allow-origin").unwrap_or_default(), "*")?;
            equal(response.header("access-control-allow-credentials").unwrap_or_default(), "")
        });
    }
    report.row("E23", "an origin that splits the answer", |server| {
        let target = server.target("transport=polling");
        let header = "Origin: http://x\r\n\r\nGET / HTTP/1.1";
        let response = server.exchange("GET", &request("GET", &target, &[header], b""));
        equal(response.header("access-control-allow-origin").unwrap_or_default(), "*")
    });
    for name in ["preflight", "preflight of a session that is not known"] {
        report.row("E23", name, |server| {
            let query = if name == "preflight" { "transport=polling" } else { "transport=polling&sid=x" };
            let headers = [
                "Origin: http://elsewhere.example",
                "Access-Control-Request-Method: DELETE",
                "Access-Control-Request-Headers: x-evil, content-type",
            ];
            let response = server.exchange("OPTIONS", &request("OPTIONS", &server.target(query), &headers, b""));
            equal(&response.line(), "204")?;
            equal(response.header("access-control-allow-origin").unwrap_or_default(), "*")?;
            equal(response.header("access-control-allow-headers").unwrap_or_default(), "x-evil, content-type")
        });
    }
    report.finish();
}
