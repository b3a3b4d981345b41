//! W15 and W16: HTTP itself.

use sockeye_tests::{
    http::{Response, refusal, request},
    report::{Answer, Report, equal},
    server::Server,
    session::UPGRADE,
    wire::{End, PATIENCE},
};

use crate::http::{answer, ask};

/// What a head over a limit is answered.
const TOO_LARGE: Answer = Answer::of("431");
/// What is answered to bytes that are no request.
const BAD: Answer = Answer::of("400");
/// A connection that ends without an answer.
const SILENCE: &str = "no answer";

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
        opens(wire.response("GET", PATIENCE).map_err(|end| format!("{end:?}"))?)
    });
    report.row("W16", "a head of 15 KiB", |server| {
        let padding = format!("X-Padding: {}", "x".repeat(15 * 1024));
        opens(ask(server, &request("GET", &target, &[&padding], b"")))
    });
    for (name, headers) in [
        ("a head of 17 KiB", vec![format!("X-Padding: {}", "x".repeat(17 * 1024))]),
        ("3,000 headers", (0..3000).map(|i| format!("X-{i}: y")).collect()),
        ("101 headers", (0..101).map(|i| format!("X-{i}: y")).collect()),
    ] {
        for upgrade in [false, true] {
            report.row("W15", &format!("{name}, upgrade {upgrade}"), |server| {
                let mut lines: Vec<&str> = headers.iter().map(String::as_str).collect();
                if upgrade {
                    lines.extend(UPGRADE);
                }
                refused(server, &request("GET", &target, &lines, b""), TOO_LARGE)
            });
        }
    }
    report.row("W16", "a head of 1 MB without an end", |server| {
        refused(server, &[b"GET / HTTP/1.1\r\nX: ", &[b'x'; 1_000_000][..]].concat(), TOO_LARGE)
    });
    report.row("W16", "a target of 1 MB without an end", |server| {
        refused(server, &[b"GET /", &[b'x'; 1_000_000][..]].concat(), TOO_LARGE)
    });
    let http2 = BAD.hyper(SILENCE, "a preface is a connection error of HTTP/2, which has no status (RFC 9113, 3.4)");
    for (name, bytes, answer) in [
        ("no HTTP", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], BAD),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http2),
        ("no version", b"GET /\r\n\r\n", BAD),
    ] {
        report.row("W16", name, |server| refused(server, bytes, answer));
    }
    // Behind the head of a POST that would be taken.
    let rows = [
        ("a header without a colon", "Content-Length: 2\r\nX"),
        ("a header with a control character", "Content-Length: 2\r\nX: \u{1}"),
        ("a header without a name", "Content-Length: 2\r\n: x"),
        ("a folded header", "Content-Length: 2\r\nX: a\r\n b"),
        ("a space before the colon", "Content-Length : 2"),
        ("a length that is no number", "Content-Length: x"),
        ("a negative length", "Content-Length: -2"),
        ("a signed length", "Content-Length: +2"),
        ("a hexadecimal length", "Content-Length: 0x2"),
        ("a length over 2^64", "Content-Length: 18446744073709551618"),
        ("two lengths", "Content-Length: 2\r\nContent-Length: 1"),
        ("two lengths, the first less", "Content-Length: 1\r\nContent-Length: 2"),
        ("a list of lengths", "Content-Length: 2, 1"),
        ("another transfer coding", "Transfer-Encoding: gzip"),
        ("chunked, but not last", "Transfer-Encoding: chunked, gzip"),
        ("something like chunked", "Transfer-Encoding: xchunked"),
    ];
    let both = BAD.hyper("200", "chunks may be read as such, if the connection ends behind them (RFC 9112, 6.1)");
    let both = ("a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked", both);
    for (name, lines, answer) in rows.map(|(name, lines)| (name, lines, BAD)).into_iter().chain([both]) {
        report.row("W16", name, |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let mut bytes = request("POST", &target, &[lines], b"");
            // A body for whoever believes in one of them.
            bytes.extend_from_slice(if lines.contains("Transfer") { b"2\r\n4x\r\n0\r\n\r\n" } else { b"4x" });
            refused(server, &bytes, answer)
        });
    }
    for (name, body) in [
        ("a chunk size that is no number", &b"x\r\n4x\r\n0\r\n\r\n"[..]),
        ("a chunk size over 2^64", b"fffffffffffffffff\r\n4x\r\n0\r\n\r\n"),
        ("a chunk without its end", b"2\r\n4xx0\r\n\r\n"),
    ] {
        report.row("W16", name, |server| {
            let sid = server.open_polling();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            let head = request("POST", &target, &["Transfer-Encoding: chunked"], b"");
            let mut wire = server.wire();
            wire.send(&[&head[..], body].concat()).unwrap();
            let line = answer(&mut wire, "POST")?;
            equal(line.get(..3).unwrap_or(&line), "400")?;
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
        wire.send(&request("GET", &target, &[], b"").repeat(3)).unwrap();
        for _ in 0..3 {
            opens(wire.response("GET", PATIENCE).map_err(|end| format!("{end:?}"))?)?;
        }
        Ok(())
    });
    report.row("W16", "a request behind a body that is not ours", |server| {
        let mut wire = server.wire();
        wire.send(&request("POST", &target, &[], b"GET / HTTP/1.1\r\n\r\n")).unwrap();
        wire.send(&request("GET", &target, &[], b"")).unwrap();
        equal(&answer(&mut wire, "POST")?, &refusal(2))?;
        // Either the connection ends, or the body was taken for a body.
        match wire.response("GET", PATIENCE) {
            Ok(response) => opens(response),
            Err(End::Timeout) => Err("no answer".into()),
            Err(End::Eof | End::Reset) => Ok(()),
        }
    });
    report.finish();
}

/// Refused with this status, and the connection ends.
fn refused(server: &Server, bytes: &[u8], expected: Answer) -> Result<(), String> {
    let mut wire = server.wire();
    let _ = wire.send(bytes);
    let line = match wire.response("GET", PATIENCE) {
        Err(End::Eof | End::Reset) => SILENCE.to_owned(),
        Err(End::Timeout) => return Err("no answer".into()),
        Ok(response) => response.status.to_string(),
    };
    equal(&line, expected.from(server))?;
    match wire.end(PATIENCE) {
        End::Timeout => Err("the TCP connection stays open".to_owned()),
        End::Eof | End::Reset => Ok(()),
    }
}
