//! W10, W11, S1, S9, S13, E15 and E21: what a peer may cost, as the process's resident memory shows it.
//!
//! The goals are those of the threat model; the margin is for what an allocator and the stacks of threads keep.

use std::time::{Duration, Instant};

use sockeye_tests::{
    http::request,
    report::Report,
    server::{MAX_PAYLOAD, Server},
    session::Socket,
    websocket::{BINARY, CONTINUATION, Event, FIN, Form, PING, TEXT, frame, header, raw, text},
    wire::{End, PATIENCE, Wire, eventually},
};

const MIB: u64 = 1 << 20;
const MARGIN: u64 = 3 * MIB;

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(3);

/// Runs an attack, whose sessions are kept until its cost is measured, and their end.
fn costs<T>(report: &mut Report, id: &str, name: &str, goal: u64, attack: impl FnOnce(&Server) -> Result<T, String>) {
    report.row(id, name, |server| {
        warm_up(server)?;
        let before = server.memory();
        server.reset_peak();
        let sessions = attack(server)?;
        let growth = server.peak().saturating_sub(before);
        println!("{id} {name}: {} kB", growth / 1024);
        drop(sessions);
        if growth > goal + MARGIN {
            return Err(format!("{} kB of {} kB", growth / 1024, goal / 1024));
        }
        let returned = eventually(Duration::from_secs(3), || (server.memory() <= before + MIB + MARGIN).then_some(()));
        returned.ok_or_else(|| format!("keeps {} kB", (server.memory() - before) / 1024))?;
        let mut socket = open(server);
        socket.check(server)
    });
}

fn open(server: &Server) -> Socket {
    if server.is_engine() { Socket::open(server) } else { Socket::join(server) }
}

/// What the server allocates once is there after a large message.
fn warm_up(server: &Server) -> Result<(), String> {
    let mut sockets: Vec<Socket> = (0..4).map(|_| open(server)).collect();
    for socket in &mut sockets {
        if server.is_engine() {
            socket.send_text(&format!("4{}", "x".repeat(900_000)));
        } else {
            socket.send_text(&format!("42[\"message\",\"{}\"]", "x".repeat(900_000)));
        }
        socket.next_text();
        socket.check(server)?;
    }
    Ok(())
}

/// Waits until the server has read all that was sent.
fn arrived(socket: &mut Socket) -> Result<(), String> {
    socket.send(&frame(PING, b"there"));
    match socket.next(PATIENCE) {
        Event::Pong(_) => Ok(()),
        event => Err(format!("{event:?} instead of a pong")),
    }
}

/// Sends the same bytes again and again and never reads. Ends early when the server has had enough.
fn flood(wire: &mut Wire, bytes: &[u8]) -> u64 {
    let end = Instant::now() + FLOOD;
    let (mut sent, mut offset) = (0, 0);
    while Instant::now() < end {
        match wire.send_some(&bytes[offset..], Duration::from_millis(50)) {
            Ok(count) => {
                sent += count as u64;
                offset = (offset + count) % bytes.len();
            }
            Err(_) => break,
        }
    }
    println!("  sent {} kB", sent / 1024);
    sent
}

#[test]
fn floods_that_are_never_read() {
    let mut report = Report::on(Server::engine());
    // Each batch holds a pong, so that the heartbeat is no way out.
    let pings = [frame(PING, &[b'x'; 125]).repeat(500), text("3")].concat();
    costs(&mut report, "W11", "pings", MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &pings);
        Ok(socket)
    });
    let pongs = text("3").repeat(2000);
    costs(&mut report, "E15", "pongs", MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &pongs);
        Ok(socket)
    });
    let echo = [text(&format!("4{}", "x".repeat(1000))).repeat(64), text("3")].concat();
    costs(&mut report, "S1", "echoes", 5 * MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &echo);
        Ok(socket)
    });
    let tiny = [text("4").repeat(10_000), text("3")].concat();
    costs(&mut report, "S1", "tiny echoes", 5 * MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &tiny);
        Ok(socket)
    });
    report.finish();
}

#[test]
fn packets_that_are_never_read() {
    let mut report = Report::on(Server::socketio());
    let events = [text(&format!("42[\"message\",\"{}\"]", "x".repeat(1000))).repeat(64), text("3")].concat();
    costs(&mut report, "S1", "events", 5 * MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &events);
        Ok(socket)
    });
    let acks = [text("420[\"message-with-ack\"]").repeat(1000), text("3")].concat();
    costs(&mut report, "S1", "events with acknowledgements", 5 * MIB, |server| {
        let mut socket = open(server);
        flood(&mut socket.wire, &acks);
        Ok(socket)
    });
    let name = "x".repeat(400);
    let namespaces: Vec<u8> = (0..1000).flat_map(|number| text(&format!("40/{number}{name},"))).collect();
    costs(&mut report, "S13", "namespaces", 2 * MIB, |server| {
        let mut sockets = Vec::new();
        for _ in 0..5 {
            let mut socket = open(server);
            let _ = socket.wire.send_some(&namespaces, Duration::from_millis(200));
            sockets.push(socket);
        }
        Ok(sockets)
    });
    report.finish();
}

#[test]
fn what_is_withheld() {
    let mut report = Report::on(Server::socketio());
    let placeholders: Vec<String> = (0..10).map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)).collect();
    let head = text(&format!("4510-[\"message\",{}]", placeholders.join(",")));
    let attachment = frame(BINARY, &vec![7; 990_000]);
    costs(&mut report, "S9", "nine of ten attachments of 990 kB", 11 * MIB, |server| {
        let mut socket = open(server);
        socket.send(&head);
        for _ in 0..9 {
            socket.send(&attachment);
        }
        arrived(&mut socket)?;
        Ok(socket)
    });
    report.finish();
}

#[test]
fn fragments_that_never_end() {
    let mut report = Report::on(Server::engine());
    let ones = raw(CONTINUATION, b"x").repeat(99_990);
    costs(&mut report, "W10", "almost max in fragments of a byte", 2 * MIB, |server| {
        let mut socket = open(server);
        socket.send(&raw(TEXT, b"4"));
        for _ in 0..10 {
            socket.send(&ones);
        }
        arrived(&mut socket)?;
        Ok(socket)
    });
    let empties = raw(CONTINUATION, b"").repeat(60_000);
    costs(&mut report, "W10", "60,000 empty fragments", MIB, |server| {
        let mut socket = open(server);
        socket.send(&raw(TEXT, b"4"));
        socket.send(&empties);
        arrived(&mut socket)?;
        Ok(socket)
    });
    costs(&mut report, "W8", "a megabyte declared, 20 times", 2 * MIB, |server| {
        let mut sockets = Vec::new();
        for _ in 0..20 {
            let mut socket = open(server);
            socket.send(&header(FIN | TEXT, Form::Long, MAX_PAYLOAD as u64));
            sockets.push(socket);
        }
        Ok(sockets)
    });
    report.finish();
}

#[test]
fn sessions_that_are_abandoned() {
    let mut report = Report::on(Server::engine());
    let target = report.server().target("transport=polling");
    for round in ["first", "second"] {
        costs(&mut report, "E21", &format!("1,000 polling sessions, {round} time"), 8 * MIB, |server| {
            let mut wire = server.wire();
            wire.send(&request("GET", &target, &[], b"").repeat(1000)).unwrap();
            for _ in 0..1000 {
                wire.response("GET", PATIENCE).map_err(|end| format!("{end:?}"))?;
            }
            Ok(wire)
        });
    }
    report.row("E21", "300 sessions of each kind, dropped", |server| {
        for _ in 0..300 {
            drop(Socket::open(server));
            let sid = server.open_polling();
            let mut candidate = Socket::candidate(server, &sid);
            candidate.send_text("2probe");
            drop(candidate);
            let mut wire = server.wire();
            let poll = server.target(&format!("transport=polling&sid={sid}"));
            wire.send(&request("GET", &poll, &[], b"")).unwrap();
            drop(wire);
            let mut wire = server.wire();
            wire.send(&request("POST", &poll, &["Content-Length: 9"], b"")).unwrap();
            drop(wire);
            let mut wire = server.wire();
            wire.send(b"GET /engine.io/?EI").unwrap();
            wire.finish();
            if wire.end(PATIENCE) == End::Timeout {
                return Err("the TCP connection stays open".into());
            }
        }
        Ok(())
    });
    // `finish` awaits that all of their descriptors are closed.
    report.finish();
}
