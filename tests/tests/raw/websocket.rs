//! W1 to W13: frames. The server is the Engine.IO one, which echoes.

use sockeye_tests::{
    report::Report,
    server::{MAX_PAYLOAD, Server},
    session::Socket,
    websocket::{
        BINARY, CLOSE, CONTINUATION, Event, FIN, Form, PING, PONG, TEXT, close, frame, header, masked, raw, text,
        unmasked,
    },
    wire::PATIENCE,
};

use Expect::{Closed, Echoed, Unharmed};

/// What must become of a session.
enum Expect {
    /// The server closes with this code, and the session is gone.
    Closed(u16),
    /// The server answers the client's close frame with this one.
    Echoed(Option<u16>),
    /// Exactly these come back, and the session lives.
    Unharmed(Vec<Event>),
}

type Row = (&'static str, String, Vec<u8>, Expect);

fn run(report: &mut Report, rows: Vec<Row>) {
    for (id, name, bytes, expect) in rows {
        report.row(id, &name, |server| {
            let mut socket = Socket::open(server);
            socket.send(&bytes);
            verdict(server, &mut socket, expect)
        });
    }
}

fn verdict(server: &Server, socket: &mut Socket, expect: Expect) -> Result<(), String> {
    match expect {
        Closed(code) => socket.expect_close(Some(code))?,
        Echoed(code) => socket.expect_close(code)?,
        Unharmed(answers) => {
            for answer in answers {
                let event = socket.next(PATIENCE);
                if event != answer {
                    return Err(format!("{} instead of {}", short(&event), short(&answer)));
                }
            }
            return socket.check(server);
        }
    }
    if server.is_gone(&socket.sid) { Ok(()) } else { Err("the session lives".into()) }
}

fn short(event: &Event) -> String {
    format!("{event:?}").chars().take(80).collect()
}

fn echo(text: &str) -> Event {
    Event::Text(text.to_owned())
}

#[test]
fn frames_that_no_client_may_send() {
    let mut report = Report::on(Server::engine());
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |id, name: String, bytes: Vec<u8>, expect| rows.push((id, name, bytes, expect));

    row("W1", "text without a mask".into(), unmasked(TEXT, b"4x"), Closed(1002));
    row("W1", "binary without a mask".into(), unmasked(BINARY, b"x"), Closed(1002));
    row("W1", "ping without a mask".into(), unmasked(PING, b""), Closed(1002));
    row("W1", "close without a mask".into(), unmasked(CLOSE, &[3, 232]), Closed(1002));
    for bit in 1..=3_u8 {
        let rsv = 0x80 >> bit;
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            let name = format!("RSV{bit} on opcode {opcode}");
            row("W2", name, raw(FIN | rsv | opcode, b"4x"), Closed(1002));
        }
    }
    row("W2", "RSV1 on a continuation".into(), [raw(TEXT, b"4"), raw(FIN | 0x40, b"x")].concat(), Closed(1002));
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        row("W2", format!("opcode {opcode:x}"), frame(opcode, b"4x"), Closed(1002));
        row("W2", format!("opcode {opcode:x}, header alone"), header(FIN | opcode, Form::Short, 2), Closed(1002));
    }

    for opcode in [PING, PONG, CLOSE] {
        row("W3", format!("opcode {opcode:x} in fragments"), raw(opcode, &[3, 232]), Closed(1002));
        row("W3", format!("opcode {opcode:x} of 126 bytes"), frame(opcode, &[b'x'; 126]), Closed(1002));
        let declared = header(FIN | opcode, Form::Long, 1 << 40);
        row("W3", format!("opcode {opcode:x} of 2^40 bytes, declared"), declared, Closed(1002));
    }
    row("W3", "close body of one byte".into(), frame(CLOSE, &[3]), Closed(1002));
    row("W3", "ping of 125 bytes".into(), frame(PING, &[7; 125]), Unharmed(vec![Event::Pong(vec![7; 125])]));
    row("W3", "unasked pong".into(), frame(PONG, &[7; 125]), Unharmed(Vec::new()));

    row("W7", "continuation of nothing".into(), raw(FIN | CONTINUATION, b"4x"), Closed(1002));
    row("W7", "unfinished continuation of nothing".into(), raw(CONTINUATION, b"4x"), Closed(1002));
    for opcode in [TEXT, BINARY] {
        let bytes = [raw(TEXT, b"4x"), frame(opcode, b"4y")].concat();
        row("W7", format!("opcode {opcode} inside of a fragmented message"), bytes, Closed(1002));
    }
    row(
        "W7",
        "control frames between fragments".into(),
        [raw(TEXT, b"4a"), frame(PING, b"p"), raw(CONTINUATION, b"b"), frame(PONG, b""), raw(FIN, b"c")].concat(),
        Unharmed(vec![Event::Pong(b"p".to_vec()), echo("4abc")]),
    );

    let big = MAX_PAYLOAD as u64;
    for (name, length) in [("max + 1", big + 1), ("2^32", 1 << 32), ("2^62", 1 << 62)] {
        row("W8", format!("{name} bytes declared"), header(FIN | TEXT, Form::Long, length), Closed(1009));
        row("W8", format!("{name} bytes declared, binary"), header(FIN | BINARY, Form::Long, length), Closed(1009));
    }
    for (name, length) in [("2^63", 1 << 63), ("2^64 - 1", u64::MAX)] {
        row("W8", format!("{name} bytes declared"), header(FIN | TEXT, Form::Long, length), Closed(1009));
        let bytes = [raw(TEXT, b"4"), header(FIN | CONTINUATION, Form::Long, length)].concat();
        row("W8", format!("a fragment and {name} bytes declared"), bytes, Closed(1009));
    }
    let bytes = [raw(TEXT, b"4"), header(FIN | CONTINUATION, Form::Long, big)].concat();
    row("W8", "a fragment and what makes it max + 1".into(), bytes, Closed(1009));
    let bytes = [raw(TEXT, &[b'4'; MAX_PAYLOAD]), raw(FIN | CONTINUATION, b"4")].concat();
    row("W8", "max in a fragment and one byte".into(), bytes, Closed(1009));
    let bytes = [raw(BINARY, &[1; MAX_PAYLOAD - 1]), raw(FIN | CONTINUATION, &[1])].concat();
    row("W8", "max in two fragments".into(), bytes, Unharmed(vec![Event::Binary(vec![1; MAX_PAYLOAD])]));

    for (form, length) in [(Form::Medium, 0), (Form::Medium, 125), (Form::Long, 2), (Form::Long, 65_535)] {
        let bytes = [header(FIN | TEXT, form, length), masked(&vec![b'4'; length as usize])].concat();
        row("W9", format!("length {length} as {form:?}"), bytes, Closed(1002));
    }
    run(&mut report, rows);
    report.finish();
}

#[test]
fn a_bad_frame_behind_a_good_one() {
    let mut report = Report::on(Server::engine());
    for (id, name, bytes) in [
        ("W1", "not masked", unmasked(TEXT, b"4y")),
        ("W2", "RSV1", raw(FIN | 0x40 | TEXT, b"4y")),
        ("W7", "continuation", raw(FIN, b"z")),
    ] {
        report.row(id, name, |server| {
            let mut socket = Socket::open(server);
            socket.send(&[text("4x"), bytes, text("4z")].concat());
            match socket.next(PATIENCE) {
                Event::Text(text) if text == "4x" => verdict(server, &mut socket, Closed(1002)),
                event => Err(short(&event)),
            }
        });
    }
    report.finish();
}

#[test]
fn close_codes_and_reasons() {
    let mut report = Report::on(Server::engine());
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |id, name: String, bytes: Vec<u8>, expect| rows.push((id, name, bytes, expect));
    let bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1100, 1999, 2000, 2999, 5000, 9999, 65_535];
    for code in bad {
        row("W4", format!("code {code}"), close(code, b""), Closed(1002));
        row("W4", format!("code {code} with a reason"), close(code, b"bye"), Closed(1002));
    }
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for code in good {
        row("W4", format!("code {code}"), close(code, b""), Echoed(Some(code)));
    }
    row("W4", "code 1000 with a reason of 123 bytes".into(), close(1000, &[b'x'; 123]), Echoed(Some(1000)));
    row("W4", "no code".into(), frame(CLOSE, b""), Echoed(None));
    for (name, reason) in [
        ("a lone byte", &b"\xff"[..]),
        ("an unfinished character", b"ok \xe2\x82"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("overlong", b"\xc0\x80"),
    ] {
        row("W5", name.into(), close(1000, reason), Closed(1007));
    }
    for (name, behind) in [
        ("a text", text("4x")),
        ("a ping", frame(PING, b"x")),
        ("a second close frame", close(1001, b"")),
        ("a bad frame", raw(FIN | 0x70 | TEXT, b"")),
        ("half a frame", header(FIN | TEXT, Form::Short, 20)),
        ("a megabyte", frame(BINARY, &[0; 1 << 20])),
    ] {
        let bytes = [close(1000, b""), behind].concat();
        row("W12", format!("{name} behind a close frame"), bytes, Echoed(Some(1000)));
    }
    let bytes = [raw(TEXT, b"4half"), close(1001, b"")].concat();
    row("W12", "a close frame inside of a message".into(), bytes, Echoed(Some(1001)));
    run(&mut report, rows);
    report.finish();
}

#[test]
fn text_that_is_not_utf8() {
    let mut report = Report::on(Server::engine());
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |name: &str, bytes: Vec<u8>, expect| rows.push(("W6", name.to_owned(), bytes, expect));
    for (name, payload) in [
        ("a lone byte", &b"4\xff"[..]),
        ("a continuation byte", b"4\x80"),
        ("overlong", b"4\xc0\xaf"),
        ("overlong in three", b"4\xe0\x80\xaf"),
        ("a surrogate", b"4\xed\xa0\x80"),
        ("above U+10FFFF", b"4\xf4\x90\x80\x80"),
        ("an unfinished character", b"4\xe2\x82"),
        ("bad at the end of much", &[&[b'4'; 70_000][..], b"\xff"].concat()),
    ] {
        row(name, frame(TEXT, payload), Closed(1007));
        let (first, rest) = payload.split_at(payload.len() - 1);
        let bytes = [raw(TEXT, first), raw(FIN | CONTINUATION, rest)].concat();
        row(&format!("{name}, in two fragments"), bytes, Closed(1007));
    }
    // At the first bad byte: nothing more is sent.
    row("in an unfinished message", raw(TEXT, b"4\xff"), Closed(1007));
    row("in its continuation", [raw(TEXT, b"4\xe2"), raw(CONTINUATION, b"\x28")].concat(), Closed(1007));
    let unfinished = |payload: &[u8]| [header(FIN | TEXT, Form::Short, 100), masked(payload)].concat();
    row("in an unfinished frame", unfinished(b"4 \xc0"), Closed(1007));
    row("a surrogate in an unfinished frame", unfinished(b"4\xed\xa0"), Closed(1007));
    let bytes = [header(FIN | TEXT, Form::Long, 900_000), masked(&[&[b'4'; 1000][..], b"\xf8"].concat())].concat();
    row("in a large unfinished frame", bytes, Closed(1007));

    let bytes = [raw(TEXT, b"4\xf0\x9f"), frame(PING, b""), raw(CONTINUATION, b"\x91"), raw(FIN, b"\x8d")].concat();
    row("a character in three fragments", bytes, Unharmed(vec![Event::Pong(Vec::new()), echo("4👍")]));
    row("binary is no text", frame(BINARY, b"\xff\xfe"), Unharmed(vec![Event::Binary(b"\xff\xfe".to_vec())]));
    run(&mut report, rows);

    report.row("W6", "a character in two segments", |server| {
        let mut socket = Socket::open(server);
        let bytes = text("4€");
        let (first, rest) = bytes.split_at(bytes.len() - 2);
        socket.send(first);
        // The first part has been read when this is answered.
        server.post(&socket.sid, b"3");
        socket.send(rest);
        verdict(server, &mut socket, Unharmed(vec![echo("4€")]))
    });
    report.finish();
}

#[test]
fn endless_fragments() {
    let mut report = Report::on(Server::engine());
    let ones = raw(CONTINUATION, b"x").repeat(300_000);
    report.row("W10", "300,000 fragments of a byte", |server| {
        let mut socket = Socket::open(server);
        socket.send(&raw(TEXT, b"4"));
        socket.send(&ones);
        socket.send(&raw(FIN, b""));
        let whole = echo(&format!("4{}", "x".repeat(300_000)));
        verdict(server, &mut socket, Unharmed(vec![whole]))
    });
    report.row("W10", "fragments of a byte without an end", |server| {
        let mut socket = Socket::open(server);
        socket.send(&raw(BINARY, b""));
        for _ in 0..4 {
            socket.send(&ones);
        }
        verdict(server, &mut socket, Closed(1009))
    });
    let empties = raw(CONTINUATION, b"").repeat(65_536);
    report.row("W10", "65,536 empty fragments", |server| {
        let mut socket = Socket::open(server);
        socket.send(&raw(TEXT, b"4"));
        socket.send(&empties);
        socket.send(&raw(FIN, b"x"));
        verdict(server, &mut socket, Unharmed(vec![echo("4x")]))
    });
    report.row("W10", "65,537 empty fragments", |server| {
        let mut socket = Socket::open(server);
        socket.send(&raw(TEXT, b"4"));
        socket.send(&empties);
        socket.send(&raw(CONTINUATION, b""));
        verdict(server, &mut socket, Closed(1008))
    });
    report.finish();
}

#[test]
fn frames_in_the_segment_of_the_upgrade() {
    let mut report = Report::on(Server::engine());
    for (name, bytes, code) in [
        ("RSV2", raw(FIN | 0x20 | TEXT, b"4x"), 1002),
        ("RSV3", raw(FIN | 0x10 | TEXT, b"4x"), 1002),
        ("all of RSV", raw(FIN | 0x70 | TEXT, b"4x"), 1002),
        ("not masked", unmasked(TEXT, b"4x"), 1002),
        ("opcode f", frame(0xf, b""), 1002),
        ("2^63 bytes declared", header(FIN | TEXT, Form::Long, 1 << 63), 1009),
        ("not UTF-8", frame(TEXT, b"4\xff"), 1007),
    ] {
        report.row("W13", name, |server| {
            let mut socket = Socket::open_with(server, "transport=websocket", &bytes);
            verdict(server, &mut socket, Closed(code))
        });
    }
    report.row("W13", "a good frame", |server| {
        let mut socket = Socket::open_with(server, "transport=websocket", &text("4early"));
        verdict(server, &mut socket, Unharmed(vec![echo("4early")]))
    });
    report.row("W13", "half a good frame", |server| {
        let bytes = text("4early");
        let (first, rest) = bytes.split_at(3);
        let mut socket = Socket::open_with(server, "transport=websocket", first);
        socket.send(rest);
        verdict(server, &mut socket, Unharmed(vec![echo("4early")]))
    });
    report.finish();
}

#[test]
fn frames_byte_by_byte() {
    let mut report = Report::on(Server::engine());
    report.row("W16", "each byte in a write of its own", |server| {
        let mut socket = Socket::open(server);
        for byte in [text("4slow"), frame(BINARY, &[1; 200]), frame(PING, b"p")].concat() {
            socket.send(&[byte]);
        }
        let answers = vec![echo("4slow"), Event::Binary(vec![1; 200]), Event::Pong(b"p".to_vec())];
        verdict(server, &mut socket, Unharmed(answers))
    });
    report.finish();
}
