//! S3, S4 and S10 to S16: packets of Socket.IO.

use sockeye_tests::{
    report::{Report, equal},
    server::Server,
    session::Socket,
    websocket::{Event, text},
    wire::PATIENCE,
};

use crate::packets::{Closed, LIMIT, Limited, Unharmed, VIOLATION, answered, closing, ignored, run, send, verdict};

#[test]
fn packets_that_are_none() {
    let mut report = Report::on(Server::socketio());
    run(
        &mut report,
        "S3",
        closing([
            "4",
            "47",
            r#"47["message"]"#,
            "48",
            "49",
            "4a",
            "4-",
            "4 ",
            "4\"",
            "4€",
            "4👍x",
            "4\u{0}",
            "42",
            "421",
            "42/",
            "42/,",
            "42{}",
            "42[]",
            r#"42"message""#,
            "42null",
            "42true",
            "42 ",
            "42[",
            "42[\"message\"",
            r#"42["message"]x"#,
            r#"42["message"],"#,
            r#"42["message"]["message"]"#,
            r#"42["message",]"#,
            r#"42["message" "x"]"#,
            r#"42["message",nul]"#,
            r#"42["message",01]"#,
            r#"42["message",.5]"#,
            r#"42["message",+1]"#,
            r#"42["message",NaN]"#,
            r#"42["message",'x']"#,
            r#"42["message",{"a"}]"#,
            r#"42["message",{a:1}]"#,
            r#"42["message",{"a":1,}]"#,
            r#"42["message","\x41"]"#,
            r#"42["message","\u12"]"#,
            "42[\"message\",\"\n\"]",
            r#"42[message]"#,
            "42\u{feff}[\"message\"]",
        ]),
    );
    run(
        &mut report,
        "S4",
        closing([
            "42[null]",
            "42[true]",
            "42[{}]",
            r#"42[{"toString":"x"}]"#,
            "42[[]]",
            r#"42[["message"]]"#,
            r#"42["connect"]"#,
            r#"42["connect_error"]"#,
            r#"42["disconnect"]"#,
            r#"42["disconnecting"]"#,
            r#"42["newListener"]"#,
            r#"42["removeListener"]"#,
            r#"42["disconnect","x"]"#,
            // The name is what the text means, not how it is written.
            r#"42["\u0063onnect"]"#,
            r#"42["disconn\u0065ct"]"#,
        ]),
    );
    run(
        &mut report,
        "S4",
        ignored([
            r#"42["error"]"#,
            r#"42["error","x"]"#,
            r#"42["__proto__"]"#,
            r#"42["constructor",1]"#,
            r#"42["toString"]"#,
            r#"42[""]"#,
            r#"42["Connect"]"#,
            r#"42["connect "]"#,
            "42[1]",
            "42[-1.5e3]",
            r#"42[0,"x"]"#,
            r#"42["unknown",1,2,3]"#,
        ]),
    );
    run(
        &mut report,
        "S3",
        answered(&[
            (r#"42["message"]"#, r#"42["message-back"]"#),
            (r#"42["\u006dessage",1]"#, r#"42["message-back",1]"#),
            (r#"42/,["message",1]"#, r#"42["message-back",1]"#),
        ]),
    );
    report.finish();
}

#[test]
fn acknowledgements() {
    let mut report = Report::on(Server::socketio());
    run(&mut report, "S10", ignored(["430[]", "43123[\"x\"]", "439007199254740991[1]", "43/,0[]", "430[[],{},null]"]));
    run(&mut report, "S10", vec![(vec!["430[]".into(), "430[]".into(), "430[]".into()], Unharmed)]);
    run(
        &mut report,
        "S10",
        closing([
            "43[]",
            "43",
            "430",
            "430{}",
            "430\"x\"",
            "430null",
            "430[",
            "430[]x",
            "43-1[]",
            "43a[]",
            "430.5[]",
            "43 0[]",
            "439007199254740992[]",
            "4318446744073709551616[]",
            "43100000000000000000000[]",
            "43/custom,0[]",
            "43/x,0[]",
        ]),
    );
    run(
        &mut report,
        "S10",
        answered(&[
            (r#"420["message-with-ack"]"#, "430[]"),
            (r#"42007["message-with-ack",1]"#, "437[1]"),
            (r#"429007199254740991["message-with-ack",[]]"#, "439007199254740991[[]]"),
            (r#"42/,5["message-with-ack",null]"#, "435[null]"),
        ]),
    );
    run(
        &mut report,
        "S10",
        closing([
            r#"429007199254740992["message-with-ack"]"#,
            r#"42100000000000000000000["message-with-ack"]"#,
            r#"4218446744073709551616["message-with-ack"]"#,
            r#"42-1["message-with-ack"]"#,
            r#"421.0["message-with-ack"]"#,
            r#"421e3["message-with-ack"]"#,
            r#"42+1["message-with-ack"]"#,
            r#"42abc["message-with-ack"]"#,
            r#"42 1["message-with-ack"]"#,
            r#"42 ["message-with-ack"]"#,
            r#"42١["message-with-ack"]"#,
        ]),
    );
    report.finish();
}

#[test]
fn the_wrong_packet_at_the_wrong_time() {
    let mut report = Report::on(Server::socketio());
    run(
        &mut report,
        "S11",
        closing([
            "41{}",
            "41[]",
            r#"41"x""#,
            "41null",
            "41x",
            "41/custom,x",
            "40",
            "40{}",
            "40/",
            "40/,{}",
            r#"40{"a":1}"#,
            r#"44{"message":"x"}"#,
            r#"44"x""#,
            "44",
            "44/custom,{}",
            r#"42/custom,["message"]"#,
            r#"42/x,["message"]"#,
            "41/custom,",
            "41/x",
            "43/custom,1[]",
            "40[]",
            "40null",
            r#"40"x""#,
            "40true",
            "40{",
            "40{}x",
            "40/custom,[]",
            "40a",
        ]),
    );
    for first in ["42[\"message\"]", "41", "430[]", r#"44{"message":"x"}"#, "4", "4x", "45", r#"42/custom,["message"]"#]
    {
        report.row("S11", &format!("{first} before CONNECT"), |server| {
            let mut socket = Socket::open(server);
            socket.send_text(first);
            verdict(server, &mut socket, Closed)
        });
    }
    report.row("S11", "an event behind its DISCONNECT", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &["41".into(), r#"42["message"]"#.into()]);
        verdict(server, &mut socket, Closed)
    });
    report.row("S11", "DISCONNECT twice", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &["41".into(), "41".into()]);
        verdict(server, &mut socket, Closed)
    });
    report.row("S11", "DISCONNECT and CONNECT, 100 times in one segment", |server| {
        let mut socket = Socket::join(server);
        socket.send(&[text("41"), text("40")].concat().repeat(100));
        for _ in 0..100 {
            let connected = socket.next_text();
            equal(connected.get(..9).unwrap_or(&connected), r#"40{"sid":"#)?;
            equal(&socket.next_text(), r#"42["auth",{}]"#)?;
        }
        socket.check(server)
    });
    report.row("S11", "two CONNECTs in one segment", |server| {
        let mut socket = Socket::open(server);
        socket.send(&text("40").repeat(2));
        // The first one may have been answered before the second was read.
        loop {
            match socket.next(PATIENCE) {
                Event::Text(_) => {}
                Event::Close(code, _) => {
                    return equal(&format!("{code:?}"), &format!("{:?}", Some(VIOLATION)));
                }
                event => return Err(format!("{event:?}")),
            }
        }
    });
    report.row("S12", "300 connections, each with an event right behind the answer", |server| {
        for _ in 0..300 {
            let mut socket = Socket::open(server);
            socket.send_text("40");
            let connected = socket.next_text();
            equal(connected.get(..9).unwrap_or(&connected), r#"40{"sid":"#)?;
            socket.send_text(r#"42["message","first"]"#);
            equal(&socket.next_text(), r#"42["auth",{}]"#)?;
            equal(&socket.next_text(), r#"42["message-back","first"]"#)?;
        }
        Ok(())
    });
    report.finish();
}

#[test]
fn namespaces() {
    let mut report = Report::on(Server::socketio());
    let invalid = |name: &str| format!("44{name},{{\"message\":\"Invalid namespace\"}}");
    let long = format!("/{}", "x".repeat(511));
    for name in [
        "/x",
        "/__proto__",
        "/constructor",
        "/custom/",
        "/CUSTOM",
        "/custom?a=1",
        "//",
        "/ ",
        "/€",
        "/\u{0}",
        "/{}",
        long.as_str(),
    ] {
        report.row("S13", &name.chars().take(20).collect::<String>(), |server| {
            let mut socket = Socket::join(server);
            socket.send_text(&format!("40{name},"));
            equal(&socket.next_text(), &invalid(name))?;
            socket.send_text(&format!("40{name},{{\"token\":1}}"));
            equal(&socket.next_text(), &invalid(name))?;
            socket.check(server)
        });
    }
    run(
        &mut report,
        "S13",
        vec![
            (vec![format!("40{long}x,").into()], Limited),
            (vec![format!("40/{}", "x".repeat(100_000)).into()], Limited),
            (vec![format!("42/{},[\"message\"]", "x".repeat(100_000)).into()], Limited),
            (vec![format!("40/{}", "€".repeat(171)).into()], Limited),
        ],
    );
    report.row("S13", "100 namespaces that are not there, and one more", |server| {
        let mut socket = Socket::join(server);
        for number in 0..100 {
            socket.send_text(&format!("40/{number}"));
            equal(&socket.next_text(), &invalid(&format!("/{number}")))?;
        }
        socket.check(server)?;
        socket.send_text("40/100");
        loop {
            match socket.next(PATIENCE) {
                // It may be told why before it is closed.
                Event::Text(text) => equal(&text, &invalid("/100"))?,
                Event::Close(code, _) => {
                    return equal(&format!("{code:?}"), &format!("{:?}", Some(LIMIT)));
                }
                event => return Err(format!("{event:?}")),
            }
        }
    });
    report.row("S13", "the same one 101 times", |server| {
        let mut socket = Socket::open(server);
        socket.send(&text("40/x").repeat(101));
        for _ in 0..100 {
            equal(&socket.next_text(), &invalid("/x"))?;
        }
        loop {
            match socket.next(PATIENCE) {
                Event::Text(text) => equal(&text, &invalid("/x"))?,
                Event::Close(code, _) => {
                    return equal(&format!("{code:?}"), &format!("{:?}", Some(LIMIT)));
                }
                event => return Err(format!("{event:?}")),
            }
        }
    });
    report.finish();
}

#[test]
fn values_that_hurt_parsers() {
    let mut report = Report::on(Server::socketio());
    for depth in [129, 5_000, 50_000, 499_000] {
        for (name, open, close) in [("arrays", "[", "]"), ("objects", "{\"\":", "}")] {
            if open.len() * depth > 900_000 {
                continue;
            }
            let inner = if open == "[" { "" } else { "0" };
            let value = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            report.row("S14", &format!("{depth} {name} in each other"), |server| {
                let mut socket = Socket::join(server);
                socket.send_text(&format!("42[\"message\",{value}]"));
                verdict(server, &mut socket, Closed)
            });
        }
        report.row("S14", &format!("{depth} arrays in each other, without their ends"), |server| {
            let mut socket = Socket::join(server);
            socket.send_text(&format!("42[\"message\",{}", "[".repeat(depth)));
            verdict(server, &mut socket, Closed)
        });
        report.row("S14", &format!("{depth} arrays in each other, in auth"), |server| {
            let mut socket = Socket::open(server);
            socket.send_text(&format!("40{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
            verdict(server, &mut socket, Closed)
        });
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    run(&mut report, "S14", answered(&[(&format!("42[\"message\",{deep}]"), &format!("42[\"message-back\",{deep}]"))]));

    for value in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800\ud800""#, r#"{"\udfff":1}"#, "1e999", "-1e999", "[1e999]"] {
        report.row("S15", value, |server| {
            let mut socket = Socket::join(server);
            socket.send_text(&format!("42[\"message\",{value}]"));
            // As it is, or with U+FFFD or null in its place: the connection lives either way.
            let answer = socket.next_text();
            equal(answer.get(..17).unwrap_or(&answer), "42[\"message-back\"")?;
            socket.send_text(&format!("429[\"message-with-ack\",{value}]"));
            let answer = socket.next_text();
            equal(answer.get(..4).unwrap_or(&answer), "439[")?;
            socket.check(server)
        });
    }
    report.row("S15", "in auth", |server| {
        let mut socket = Socket::open(server);
        socket.send_text(r#"40{"a":"\ud800","b":1e999}"#);
        let connected = socket.next_text();
        equal(connected.get(..9).unwrap_or(&connected), r#"40{"sid":"#)?;
        let auth = socket.next_text();
        equal(auth.get(..10).unwrap_or(&auth), "42[\"auth\",")?;
        socket.check(server)
    });
    report.row("S15", "in a name", |server| {
        let mut socket = Socket::join(server);
        socket.send_text(r#"42["\ud800"]"#);
        socket.check(server)
    });

    for (name, value) in [
        ("half a million numbers", "1,".repeat(490_000) + "1"),
        ("300,000 empty objects", "{},".repeat(300_000) + "{}"),
        ("a string of 900 kB", format!("\"{}\"", "x".repeat(900_000))),
        ("150,000 escapes", format!("\"{}\"", r"\u0041".repeat(150_000))),
        ("a number of 900,000 digits", "1".repeat(900_000)),
        (
            "an object with 60,000 keys",
            format!("{{{}\"\":0}}", (0..60_000).map(|i| format!("\"k{i}\":0,")).collect::<String>()),
        ),
        ("an object with one key 150,000 times", format!("{{{}\"\":0}}", "\"\":0,".repeat(150_000))),
    ] {
        report.row("S16", name, |server| {
            let mut socket = Socket::join(server);
            socket.send_text(&format!("42[\"message\",{value}]"));
            let answer = socket.next_text();
            if answer.get(..18) != Some("42[\"message-back\",") {
                return Err(answer.chars().take(80).collect());
            }
            socket.check(server)
        });
    }
    report.finish();
}
