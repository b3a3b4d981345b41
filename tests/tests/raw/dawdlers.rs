//! S2, S9, W12, W16, E17 and E21: peers that do nothing, or very little. All at once, since each takes its time.

use std::{
    thread,
    time::{Duration, Instant},
};

use sockeye_tests::{
    http::{refusal, request},
    neighbour::Neighbour,
    report::equal,
    server::{CONNECT_TIMEOUT, Server},
    session::Socket,
    websocket::{BINARY, Event, TEXT, frame, text, unmasked},
    wire::{End, Wire, eventually},
};

/// The time that the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// The time that an upgrade may take.
const UPGRADE: Duration = Duration::from_secs(10);
/// The time that a body, or the attachments of a packet, may take.
const BODY: Duration = Duration::from_secs(30);
/// The time that the answer to a close frame may take.
const CLOSE: Duration = Duration::from_secs(5);

/// A slow machine may be this late.
const SLACK: Duration = Duration::from_secs(1);

type Attack = fn(&Server) -> Result<(), String>;

#[test]
fn peers_that_take_their_time() {
    let (engine, socketio) = (Server::engine(), Server::socketio());
    let attacks: [(&str, &str, &Server, Attack); 14] = [
        ("S2", "a TCP connection without a byte", &engine, |server| {
            equal(&ends(server.wire(), Instant::now(), HEAD)?, "closed")
        }),
        ("S2", "half a head", &engine, |server| {
            let mut wire = server.wire();
            wire.send(b"GET /engine.io/?EIO=4&transport=pol").unwrap();
            equal(&ends(wire, Instant::now(), HEAD)?, "408 closed")
        }),
        ("S2", "half a head of a WebSocket", &engine, |server| {
            let mut wire = server.wire();
            let target = server.target("transport=websocket");
            let head = request("GET", &target, &sockeye_tests::session::UPGRADE, b"");
            wire.send(&head[..head.len() - 2]).unwrap();
            equal(&ends(wire, Instant::now(), HEAD)?, "408 closed")
        }),
        ("S2", "a head that dribbles", &engine, |server| {
            let mut wire = server.wire();
            let begun = Instant::now();
            wire.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nX: ").unwrap();
            // A byte now and then does not buy time.
            while begun.elapsed() < HEAD + SLACK && wire.send(b"x").is_ok() {
                match wire.read(Instant::now() + Duration::from_millis(300)) {
                    Err(End::Timeout) => {}
                    _ => break,
                }
            }
            equal(&ends(wire, begun, HEAD)?, "408 closed")
        }),
        ("S2", "a second request that dribbles", &engine, |server| {
            let mut wire = server.wire();
            let target = server.target("transport=polling");
            wire.send(&request("GET", &target, &[], b"")).unwrap();
            wire.response("GET", SLACK).map_err(|end| format!("{end:?}"))?;
            wire.send(b"GET /eng").unwrap();
            equal(&ends(wire, Instant::now(), HEAD)?, "408 closed")
        }),
        ("S2", "a head that takes three seconds", &engine, |server| {
            let mut wire = server.wire();
            let head = request("GET", &server.target("transport=polling"), &[], b"");
            for part in head.chunks(head.len() / 6 + 1) {
                wire.send(part).unwrap();
                let _ = wire.read(Instant::now() + Duration::from_millis(500));
            }
            let response = wire.response("GET", SLACK).map_err(|end| format!("{end:?}"))?;
            expect(&response.status.to_string(), &["200"])
        }),
        ("S2", "half a body", &engine, |server| {
            let sid = server.open_polling();
            let mut wire = server.wire();
            let target = server.target(&format!("transport=polling&sid={sid}"));
            wire.send(&request("POST", &target, &["Content-Length: 100"], b"")).unwrap();
            wire.send(b"4half").unwrap();
            // The heartbeat of this server is faster than the body's deadline.
            let response = wire.response("POST", BODY + SLACK).map_err(|end| format!("{end:?}"))?;
            expect(&response.line(), &[&refusal(1)])?;
            if wire.end(SLACK) == End::Timeout {
                return Err("the TCP connection stays open".into());
            }
            expect(&server.poll(&sid).line(), &[&refusal(1)])
        }),
        ("E17", "a candidate that says nothing", &engine, |server| candidate(server, false)),
        ("E17", "a candidate that says nothing behind its probe", &engine, |server| candidate(server, true)),
        ("W12", "a close frame that is not answered", &engine, |server| {
            let mut socket = Socket::open(server);
            socket.send(&unmasked(TEXT, b"4x"));
            closes_alone(&mut socket, false)
        }),
        ("W12", "a close frame that is answered by anything else", &engine, |server| {
            let mut socket = Socket::open(server);
            socket.send(&unmasked(TEXT, b"4x"));
            closes_alone(&mut socket, true)
        }),
        ("W12", "a session that is closed, and a peer that stays", &socketio, |server| {
            let mut socket = Socket::open(server);
            socket.send_text("4x");
            closes_alone(&mut socket, true)
        }),
        ("S9", "an attachment that never comes", &socketio, |server| {
            let mut socket = Socket::join(server);
            let begun = Instant::now();
            socket.send(&text(r#"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#));
            socket.send(&frame(BINARY, b"one"));
            let event = socket.next(BODY + SLACK);
            let Event::Close(..) = event else {
                return Err(format!("{event:?} after {:?}", begun.elapsed()));
            };
            in_time(begun, BODY)
        }),
        ("E21", "a session that joins nothing", &socketio, |server| {
            let begun = Instant::now();
            let sid = server.open_polling();
            // It sends its pongs, so that only the missing CONNECT can end it.
            while begun.elapsed() < CONNECT_TIMEOUT {
                match server.poll(&sid).line().as_str() {
                    "200 2" => expect(&server.post(&sid, b"3").line(), &["200 ok"])?,
                    "200 1" => break,
                    line => return Err(line.to_owned()),
                }
            }
            in_time(begun, CONNECT_TIMEOUT)?;
            expect(&server.poll(&sid).line(), &[&refusal(1)])
        }),
    ];
    let before = [&engine, &socketio].map(Server::descriptors);
    let neighbours = [&engine, &socketio].map(Neighbour::of);
    let mut failures: Vec<String> = thread::scope(|scope| {
        let threads = attacks.map(|(id, name, server, attack)| (id, name, scope.spawn(move || attack(server))));
        threads
            .into_iter()
            .filter_map(|(id, name, thread)| {
                let result = thread.join().unwrap_or_else(|_| Err("panicked".into()));
                result.err().map(|error| format!("{id} {name}: {error}"))
            })
            .collect()
    });
    for neighbour in &neighbours {
        failures.extend(neighbour.check().err());
    }
    drop(neighbours);
    for (server, before) in [&engine, &socketio].into_iter().zip(before) {
        let closed = eventually(Duration::from_secs(3), || (server.descriptors() <= before).then_some(()));
        if closed.is_none() {
            failures.push(format!("descriptors: {}, before it all {before}", server.descriptors()));
        }
    }
    assert!(failures.is_empty(), "{} fail:\n  {}", failures.len(), failures.join("\n  "));
}

fn expect(found: &str, expected: &[&str]) -> Result<(), String> {
    if expected.contains(&found) { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

/// What the server does to a connection in this time: the status that it answers, and how it ends.
fn ends(mut wire: Wire, begun: Instant, limit: Duration) -> Result<String, String> {
    let answer = wire.response("GET", limit + SLACK);
    let end = wire.end(SLACK);
    in_time(begun, limit).map_err(|error| format!("{error}: {answer:?}, {end:?}"))?;
    match (answer, end) {
        (_, End::Timeout) => Err("the TCP connection stays open".into()),
        (Ok(response), _) => Ok(format!("{} closed", response.status)),
        (Err(End::Eof), _) => Ok("closed".into()),
        (Err(end), _) => Err(format!("{end:?}")),
    }
}

fn in_time(begun: Instant, limit: Duration) -> Result<(), String> {
    let time = begun.elapsed();
    if time + SLACK / 10 >= limit && time <= limit + SLACK {
        Ok(())
    } else {
        Err(format!("after {time:?} instead of {limit:?}"))
    }
}

/// A candidate that does not finish its upgrade is closed; the polling session lives on.
fn candidate(server: &Server, probed: bool) -> Result<(), String> {
    let sid = server.open_polling();
    let mut candidate = Socket::candidate(server, &sid);
    let begun = Instant::now();
    if probed {
        candidate.send_text("2probe");
        expect(&candidate.next_text(), &["3probe"])?;
    }
    loop {
        match candidate.wire.event(Duration::from_millis(100)) {
            // Meanwhile the session is kept by its pongs.
            Event::End(End::Timeout) => expect(&format!("{:?}", server.life(&sid)), &["Polling"])?,
            Event::Close(..) => break,
            event => return Err(format!("{event:?} after {:?}", begun.elapsed())),
        }
        if begun.elapsed() > UPGRADE + SLACK {
            return Err("lives".into());
        }
    }
    in_time(begun, UPGRADE)?;
    expect(&format!("{:?}", server.life(&sid)), &["Polling"])
}

/// The server closes; the peer keeps its end of the TCP connection, and may go on talking.
fn closes_alone(socket: &mut Socket, talks: bool) -> Result<(), String> {
    let event = socket.next(SLACK);
    let Event::Close(..) = event else {
        return Err(format!("{event:?}"));
    };
    let begun = Instant::now();
    while begun.elapsed() < CLOSE + SLACK {
        if !socket.wire.is_held() {
            return Ok(());
        }
        if talks {
            let _ = socket.wire.send(&text("4still here"));
        }
        match socket.wire.event(Duration::from_millis(100)) {
            Event::End(End::Timeout) => {}
            Event::End(_) => thread::sleep(Duration::from_millis(100)),
            event => return Err(format!("{event:?} behind the close frame")),
        }
    }
    Err("the server keeps the TCP connection".into())
}
