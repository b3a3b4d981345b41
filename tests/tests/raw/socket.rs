//! S3 to S16: packets of Socket.IO, on a connection that has joined the main namespace.

use sockeye_tests::{
    report::{Report, equal},
    server::{MAX_PAYLOAD, Server},
    session::Socket,
    websocket::{BINARY, Event, frame, text},
    wire::PATIENCE,
};

use Expect::{Answers, Closed, Unharmed};

/// The code with which a connection is closed whose client broke the rules of Socket.IO.
const VIOLATION: u16 = 1002;
/// The code with which a connection is closed whose client exceeded a limit.
const LIMIT: u16 = 1008;

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

enum Expect {
    /// The server closes, and the session is gone.
    Closed,
    /// Nothing comes back, and the session lives.
    Unharmed,
    /// Exactly these texts come back, and the session lives.
    Answers(Vec<String>),
}

/// A message to the server.
enum Input {
    Text(String),
    Binary(Vec<u8>),
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.to_vec())
    }
}

fn send(socket: &mut Socket, inputs: &[Input]) {
    let bytes: Vec<u8> = inputs
        .iter()
        .flat_map(|input| match input {
            Input::Text(message) => text(message),
            Input::Binary(bytes) => frame(BINARY, bytes),
        })
        .collect();
    socket.send(&bytes);
}

fn verdict(server: &Server, socket: &mut Socket, expect: Expect) -> Result<(), String> {
    match expect {
        Closed => {
            socket.expect_close(Some(VIOLATION))?;
            if server.is_gone(&socket.sid) {
                Ok(())
            } else {
                Err("the session lives".into())
            }
        }
        Unharmed => socket.check(server),
        Answers(answers) => {
            for answer in answers {
                equal(&socket.next_text(), &answer)?;
            }
            socket.check(server)
        }
    }
}

/// Runs rows of one attack: the messages, and what becomes of the connection.
fn run(report: &mut Report, id: &str, rows: Vec<(Vec<Input>, Expect)>) {
    for (inputs, expect) in rows {
        let name: String = match inputs.first() {
            Some(Input::Text(text)) => text.chars().take(60).collect(),
            _ => "binary".into(),
        };
        let name = format!("{name} ({})", inputs.len());
        report.row(id, &name, |server| {
            let mut socket = Socket::join(server);
            send(&mut socket, &inputs);
            verdict(server, &mut socket, expect)
        });
    }
}

/// Rows of single texts that close the connection.
fn closing<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<(Vec<Input>, Expect)> {
    texts
        .into_iter()
        .map(|text| (vec![text.as_ref().into()], Closed))
        .collect()
}

/// Rows of single texts that nothing answers.
fn ignored<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<(Vec<Input>, Expect)> {
    texts
        .into_iter()
        .map(|text| (vec![text.as_ref().into()], Unharmed))
        .collect()
}

/// A text and the text that answers it.
fn answered(rows: &[(&str, &str)]) -> Vec<(Vec<Input>, Expect)> {
    rows.iter()
        .map(|(text, answer)| (vec![(*text).into()], Answers(vec![(*answer).to_owned()])))
        .collect()
}

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
fn attachments() {
    let mut report = Report::on(Server::socketio());
    let counts = [
        "0",
        "00",
        "",
        "01",
        "11",
        "99",
        "999999999",
        "4294967296",
        "18446744073709551616",
        "1.0",
        "1e0",
        "1e1",
        " 1",
        "1 ",
        "+1",
        "-1",
        "0x1",
        "١",
        "111111111111111111111",
        "1,",
    ];
    let event = |count: &str| format!("45{count}-[\"message\",{PLACEHOLDER}]");
    run(
        &mut report,
        "S5",
        closing(counts.iter().map(|count| event(count))),
    );
    run(
        &mut report,
        "S5",
        closing(
            counts
                .iter()
                .map(|count| format!("46{count}-1[{PLACEHOLDER}]")),
        ),
    );
    run(
        &mut report,
        "S5",
        closing([
            format!("45[\"message\",{PLACEHOLDER}]"),
            format!("451[\"message\",{PLACEHOLDER}]"),
            "45".into(),
            "451".into(),
            "451-".into(),
            format!("461[{PLACEHOLDER}]"),
            "46".into(),
            "46-1[]".into(),
        ]),
    );

    let nums = [
        "-1",
        "0.5",
        "1e30",
        r#""splice""#,
        r#""0""#,
        "1",
        "2",
        "10",
        "null",
        "true",
        "[0]",
        "{}",
        "18446744073709551616",
        "-0.5",
        "1e400",
    ];
    run(
        &mut report,
        "S6",
        nums.iter()
            .flat_map(|num| {
                let placeholder = format!(r#"{{"_placeholder":true,"num":{num}}}"#);
                [
                    (
                        vec![
                            format!("451-[\"message\",{placeholder}]").into(),
                            b"x"[..].into(),
                        ],
                        Closed,
                    ),
                    (
                        vec![format!("461-1[{placeholder}]").into(), b"x"[..].into()],
                        Closed,
                    ),
                ]
            })
            .collect(),
    );
    run(
        &mut report,
        "S6",
        vec![
            (
                vec![
                    r#"451-["message",{"_placeholder":true}]"#.into(),
                    b"x"[..].into(),
                ],
                Closed,
            ),
            // Not exactly true, so none of the attachments is used.
            (
                vec![
                    r#"451-["message",{"_placeholder":1,"num":0}]"#.into(),
                    b"x"[..].into(),
                ],
                Closed,
            ),
            (
                vec![
                    r#"451-["message",{"_placeholder":"true","num":0}]"#.into(),
                    b"x"[..].into(),
                ],
                Closed,
            ),
            (
                vec![
                    r#"451-["message",{"placeholder":true,"num":0}]"#.into(),
                    b"x"[..].into(),
                ],
                Closed,
            ),
        ],
    );

    let same = |count: usize| {
        format!(
            "451-[\"message\"{}]",
            format!(",{PLACEHOLDER}").repeat(count)
        )
    };
    run(
        &mut report,
        "S7",
        vec![
            (vec![same(2).into(), b"x"[..].into()], Closed),
            (
                vec![same(200).into(), vec![0; 100_000].as_slice().into()],
                Closed,
            ),
            (
                vec![same(33_000).into(), vec![0; MAX_PAYLOAD].as_slice().into()],
                Closed,
            ),
            (
                vec![
                    format!("452-[\"message\",{PLACEHOLDER}]").into(),
                    b"x"[..].into(),
                    b"y"[..].into(),
                ],
                Closed,
            ),
            (
                vec![
                    format!("452-[\"message\",{PLACEHOLDER},{PLACEHOLDER}]").into(),
                    b"x"[..].into(),
                    b"y"[..].into(),
                ],
                Closed,
            ),
            (vec![r#"451-["message"]"#.into(), b"x"[..].into()], Closed),
            (vec!["461-1[]".into(), b"x"[..].into()], Closed),
        ],
    );
    for (name, packet) in [
        (
            "num first",
            r#"451-["message",{"num":0,"_placeholder":true}]"#,
        ),
        (
            "other keys",
            r#"451-["message",{"a":[1],"_placeholder":true,"b":"}","num":0}]"#,
        ),
        (
            "spaces",
            "451-[\"message\", { \"_placeholder\" : true , \"num\" : 0 } ]",
        ),
        (
            "escaped keys",
            r#"451-["message",{"_pl\u0061ceholder":true,"num":0}]"#,
        ),
    ] {
        report.row("S7", name, |server| {
            let mut socket = Socket::join(server);
            send(&mut socket, &[packet.into(), b"xyz"[..].into()]);
            equal(
                &socket.next_text(),
                &format!("451-[\"message-back\",{PLACEHOLDER}]"),
            )?;
            equal(
                &format!("{:?}", socket.next(PATIENCE)),
                &format!("{:?}", Event::Binary(b"xyz".to_vec())),
            )?;
            socket.check(server)
        });
    }

    let header = format!("451-[\"message\",{PLACEHOLDER}]");
    run(
        &mut report,
        "S8",
        vec![
            (
                vec![header.as_str().into(), r#"42["message"]"#.into()],
                Closed,
            ),
            (
                vec![
                    header.as_str().into(),
                    header.as_str().into(),
                    b"x"[..].into(),
                ],
                Closed,
            ),
            (vec![header.as_str().into(), "41".into()], Closed),
            (vec![header.as_str().into(), "4".into()], Closed),
            (vec![b"x"[..].into()], Closed),
            (vec![b""[..].into()], Closed),
        ],
    );
    report.row("S8", "one attachment too many", |server| {
        let mut socket = Socket::join(server);
        send(
            &mut socket,
            &[header.as_str().into(), b"x"[..].into(), b"y"[..].into()],
        );
        equal(
            &socket.next_text(),
            &format!("451-[\"message-back\",{PLACEHOLDER}]"),
        )?;
        equal(
            &format!("{:?}", socket.next(PATIENCE)),
            &format!("{:?}", Event::Binary(b"x".to_vec())),
        )?;
        verdict(server, &mut socket, Closed)
    });
    report.row("S8", "an empty attachment", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[header.as_str().into(), b""[..].into()]);
        equal(
            &socket.next_text(),
            &format!("451-[\"message-back\",{PLACEHOLDER}]"),
        )?;
        equal(
            &format!("{:?}", socket.next(PATIENCE)),
            &format!("{:?}", Event::Binary(Vec::new())),
        )?;
        socket.check(server)
    });
    report.row(
        "S8",
        "an acknowledgement with an attachment, which nobody asked for",
        |server| {
            let mut socket = Socket::join(server);
            send(
                &mut socket,
                &[format!("461-1[{PLACEHOLDER}]").into(), b"x"[..].into()],
            );
            socket.check(server)
        },
    );

    report.row("S9", "attachments before CONNECT", |server| {
        let mut socket = Socket::open(server);
        send(&mut socket, &[header.as_str().into(), b"x"[..].into()]);
        verdict(server, &mut socket, Closed)
    });
    let ten: Vec<String> = (0..10)
        .map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#))
        .collect();
    let ten = format!("4510-[\"message\",{}]", ten.join(","));
    report.row(
        "S9",
        "ten attachments that are 10 MB with their packet",
        |server| {
            let mut socket = Socket::join(server);
            let mut last = vec![0; MAX_PAYLOAD];
            last.truncate(MAX_PAYLOAD + 1 - ten.len());
            send(&mut socket, &[ten.as_str().into()]);
            for _ in 0..9 {
                send(&mut socket, &[vec![0; MAX_PAYLOAD].as_slice().into()]);
            }
            send(&mut socket, &[last.as_slice().into()]);
            equal(&socket.next_text(), &ten.replace("message", "message-back"))?;
            for number in 0..10 {
                let length = if number == 9 { last.len() } else { MAX_PAYLOAD };
                match socket.next(PATIENCE) {
                    Event::Binary(bytes) if bytes.len() == length => {}
                    event => return Err(format!("{event:?}").chars().take(80).collect()),
                }
            }
            socket.check(server)
        },
    );
    report.row("S9", "ten attachments that are a byte more", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[ten.as_str().into()]);
        for _ in 0..9 {
            send(&mut socket, &[vec![0; MAX_PAYLOAD].as_slice().into()]);
        }
        // The packet counts without the `4` of Engine.IO.
        send(
            &mut socket,
            &[vec![0; MAX_PAYLOAD + 2 - ten.len()].as_slice().into()],
        );
        verdict(server, &mut socket, Closed)
    });
    report.finish();
}

#[test]
fn acknowledgements() {
    let mut report = Report::on(Server::socketio());
    run(
        &mut report,
        "S10",
        ignored([
            "430[]",
            "43123[\"x\"]",
            "439007199254740991[1]",
            "43/,0[]",
            "430[[],{},null]",
        ]),
    );
    run(
        &mut report,
        "S10",
        vec![(
            vec!["430[]".into(), "430[]".into(), "430[]".into()],
            Unharmed,
        )],
    );
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
            (
                r#"429007199254740991["message-with-ack",[]]"#,
                "439007199254740991[[]]",
            ),
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
    for first in [
        "42[\"message\"]",
        "41",
        "430[]",
        r#"44{"message":"x"}"#,
        "4",
        "4x",
        "45",
        r#"42/custom,["message"]"#,
    ] {
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
    report.row(
        "S11",
        "DISCONNECT and CONNECT, 100 times in one segment",
        |server| {
            let mut socket = Socket::join(server);
            socket.send(&[text("41"), text("40")].concat().repeat(100));
            for _ in 0..100 {
                let connected = socket.next_text();
                equal(connected.get(..9).unwrap_or(&connected), r#"40{"sid":"#)?;
                equal(&socket.next_text(), r#"42["auth",{}]"#)?;
            }
            socket.check(server)
        },
    );
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
    report.row(
        "S12",
        "300 connections, each with an event right behind the answer",
        |server| {
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
        },
    );
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
        report.row(
            "S13",
            &name.chars().take(20).collect::<String>(),
            |server| {
                let mut socket = Socket::join(server);
                socket.send_text(&format!("40{name},"));
                equal(&socket.next_text(), &invalid(name))?;
                socket.send_text(&format!("40{name},{{\"token\":1}}"));
                equal(&socket.next_text(), &invalid(name))?;
                socket.check(server)
            },
        );
    }
    run(
        &mut report,
        "S13",
        vec![
            (vec![format!("40{long}x,").into()], Closed),
            (vec![format!("40/{}", "x".repeat(100_000)).into()], Closed),
            (
                vec![format!("42/{},[\"message\"]", "x".repeat(100_000)).into()],
                Closed,
            ),
            (vec![format!("40/{}", "€".repeat(171)).into()], Closed),
        ],
    );
    report.row(
        "S13",
        "100 namespaces that are not there, and one more",
        |server| {
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
        },
    );
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
        report.row(
            "S14",
            &format!("{depth} arrays in each other, without their ends"),
            |server| {
                let mut socket = Socket::join(server);
                socket.send_text(&format!("42[\"message\",{}", "[".repeat(depth)));
                verdict(server, &mut socket, Closed)
            },
        );
        report.row(
            "S14",
            &format!("{depth} arrays in each other, in auth"),
            |server| {
                let mut socket = Socket::open(server);
                socket.send_text(&format!(
                    "40{{\"a\":{}{}}}",
                    "[".repeat(depth),
                    "]".repeat(depth)
                ));
                verdict(server, &mut socket, Closed)
            },
        );
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    run(
        &mut report,
        "S14",
        answered(&[(
            &format!("42[\"message\",{deep}]"),
            &format!("42[\"message-back\",{deep}]"),
        )]),
    );

    for value in [
        r#""\ud800""#,
        r#""\udc00x""#,
        r#""\ud800\ud800""#,
        r#"{"\udfff":1}"#,
        "1e999",
        "-1e999",
        "[1e999]",
    ] {
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
        (
            "150,000 escapes",
            format!("\"{}\"", r"\u0041".repeat(150_000)),
        ),
        ("a number of 900,000 digits", "1".repeat(900_000)),
        (
            "an object with 60,000 keys",
            format!(
                "{{{}\"\":0}}",
                (0..60_000)
                    .map(|i| format!("\"k{i}\":0,"))
                    .collect::<String>()
            ),
        ),
        (
            "an object with one key 150,000 times",
            format!("{{{}\"\":0}}", "\"\":0,".repeat(150_000)),
        ),
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
