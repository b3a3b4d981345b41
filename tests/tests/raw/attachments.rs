//! S5 to S9: binary packets.

use sockeye_tests::{
    report::{Report, equal},
    server::{MAX_PAYLOAD, Server},
    session::Socket,
    websocket::Event,
    wire::PATIENCE,
};

use crate::packets::{Closed, Limited, PLACEHOLDER, closing, run, send, verdict};

#[test]
fn attachments() {
    let mut report = Report::on(Server::socketio());
    #[rustfmt::skip]
    let counts = [
        "0", "00", "", "01", "1.0", "1e0", "1e1", " 1", "1 ", "+1", "-1", "0x1", "١", "1,",
        "11", "99", "999999999", "4294967296", "18446744073709551616", "111111111111111111111",
    ];
    run(&mut report, "S5", closing(counts.map(|count| format!("45{count}-[\"message\",{PLACEHOLDER}]"))));
    run(&mut report, "S5", closing(counts.map(|count| format!("46{count}-1[{PLACEHOLDER}]"))));
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

    #[rustfmt::skip]
    let nums = [
        "-1", "0.5", "1e30", r#""splice""#, r#""0""#, "1", "2", "10", "null", "true", "[0]", "{}",
        "18446744073709551616", "-0.5", "1e400",
    ];
    run(
        &mut report,
        "S6",
        nums.iter()
            .flat_map(|num| {
                let placeholder = format!(r#"{{"_placeholder":true,"num":{num}}}"#);
                [
                    (vec![format!("451-[\"message\",{placeholder}]").into(), b"x"[..].into()], Closed),
                    (vec![format!("461-1[{placeholder}]").into(), b"x"[..].into()], Closed),
                ]
            })
            .collect(),
    );
    run(
        &mut report,
        "S6",
        vec![
            (vec![r#"451-["message",{"_placeholder":true}]"#.into(), b"x"[..].into()], Closed),
            // Not exactly true, so none of the attachments is used.
            (vec![r#"451-["message",{"_placeholder":1,"num":0}]"#.into(), b"x"[..].into()], Closed),
            (vec![r#"451-["message",{"_placeholder":"true","num":0}]"#.into(), b"x"[..].into()], Closed),
            (vec![r#"451-["message",{"placeholder":true,"num":0}]"#.into(), b"x"[..].into()], Closed),
        ],
    );

    let same = |count: usize| format!("451-[\"message\"{}]", format!(",{PLACEHOLDER}").repeat(count));
    run(
        &mut report,
        "S7",
        vec![
            (vec![same(2).into(), b"x"[..].into()], Closed),
            (vec![same(200).into(), vec![0; 100_000].as_slice().into()], Closed),
            (vec![same(33_000).into(), vec![0; MAX_PAYLOAD].as_slice().into()], Closed),
            (vec![format!("452-[\"message\",{PLACEHOLDER}]").into(), b"x"[..].into(), b"y"[..].into()], Closed),
            (
                vec![format!("452-[\"message\",{PLACEHOLDER},{PLACEHOLDER}]").into(), b"x"[..].into(), b"y"[..].into()],
                Closed,
            ),
            (vec![r#"451-["message"]"#.into(), b"x"[..].into()], Closed),
            (vec!["461-1[]".into(), b"x"[..].into()], Closed),
        ],
    );
    for (name, packet) in [
        ("num first", r#"451-["message",{"num":0,"_placeholder":true}]"#),
        ("other keys", r#"451-["message",{"a":[1],"_placeholder":true,"b":"}","num":0}]"#),
        ("spaces", "451-[\"message\", { \"_placeholder\" : true , \"num\" : 0 } ]"),
        ("escaped keys", r#"451-["message",{"_pl\u0061ceholder":true,"num":0}]"#),
    ] {
        report.row("S7", name, |server| {
            let mut socket = Socket::join(server);
            send(&mut socket, &[packet.into(), b"xyz"[..].into()]);
            // The placeholder comes back as it came, or as it is usually written.
            let answer = socket.next_text();
            let (head, num) = (answer.starts_with("451-[\"message-back\","), answer.matches("num").count());
            equal(&format!("{head} {num}"), "true 1")?;
            equal(&format!("{:?}", socket.next(PATIENCE)), &format!("{:?}", Event::Binary(b"xyz".to_vec())))?;
            socket.check(server)
        });
    }

    let header = format!("451-[\"message\",{PLACEHOLDER}]");
    run(
        &mut report,
        "S8",
        vec![
            (vec![header.as_str().into(), r#"42["message"]"#.into()], Closed),
            (vec![header.as_str().into(), header.as_str().into(), b"x"[..].into()], Closed),
            (vec![header.as_str().into(), "41".into()], Closed),
            (vec![header.as_str().into(), "4".into()], Closed),
            (vec![b"x"[..].into()], Closed),
            (vec![b""[..].into()], Closed),
        ],
    );
    report.row("S8", "one attachment too many", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[header.as_str().into(), b"x"[..].into(), b"y"[..].into()]);
        equal(&socket.next_text(), &format!("451-[\"message-back\",{PLACEHOLDER}]"))?;
        equal(&format!("{:?}", socket.next(PATIENCE)), &format!("{:?}", Event::Binary(b"x".to_vec())))?;
        verdict(server, &mut socket, Closed)
    });
    report.row("S8", "an empty attachment", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[header.as_str().into(), b""[..].into()]);
        equal(&socket.next_text(), &format!("451-[\"message-back\",{PLACEHOLDER}]"))?;
        equal(&format!("{:?}", socket.next(PATIENCE)), &format!("{:?}", Event::Binary(Vec::new())))?;
        socket.check(server)
    });
    report.row("S8", "an acknowledgement with an attachment, which nobody asked for", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[format!("461-1[{PLACEHOLDER}]").into(), b"x"[..].into()]);
        socket.check(server)
    });

    report.row("S9", "attachments before CONNECT", |server| {
        let mut socket = Socket::open(server);
        send(&mut socket, &[header.as_str().into(), b"x"[..].into()]);
        verdict(server, &mut socket, Closed)
    });
    let ten: Vec<String> = (0..10).map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)).collect();
    let ten = format!("4510-[\"message\",{}]", ten.join(","));
    report.row("S9", "ten attachments that are 10 MB with their packet", |server| {
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
    });
    report.row("S9", "ten attachments that are a byte more", |server| {
        let mut socket = Socket::join(server);
        send(&mut socket, &[ten.as_str().into()]);
        for _ in 0..9 {
            send(&mut socket, &[vec![0; MAX_PAYLOAD].as_slice().into()]);
        }
        // The packet counts without the `4` of Engine.IO.
        send(&mut socket, &[vec![0; MAX_PAYLOAD + 2 - ten.len()].as_slice().into()]);
        verdict(server, &mut socket, Limited)
    });
    report.finish();
}
