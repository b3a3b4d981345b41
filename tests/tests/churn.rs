//! Twenty thousand sessions come and go, over each transport and in every way that a session can end: then the features
//! server counts what it counted before, and holds no more memory than after the first half of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code, run on the wall clock"
)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use sockeye_tests::{
    http::{Response, request},
    server::{Server, sid},
    session::Socket,
    websocket::{BINARY, Event, close, frame, text},
    wire::{PATIENCE, Wire, eventually},
};

/// Sessions of one half.
const HALF: usize = 10_000;

/// Sessions at the same time.
const THREADS: usize = 4;

/// Sessions that are left alone end with the ping timeout, 3 s after they began.
const REST: Duration = Duration::from_secs(15);

/// What the second half may add to the resident memory: a hundred bytes for each of its sessions, less than any of them
/// takes anywhere, and as much as an allocator may need to find its shape.
const GROWTH: u64 = 1 << 20;

#[test]
fn twenty_thousand_sessions_leave_nothing() {
    let mut server = Server::features();
    // What is made once is there after the first sessions.
    churn(&server, HALF / 10);
    let calm = settled(&server, None);
    churn(&server, HALF);
    let first = settled(&server, Some(&calm));
    churn(&server, HALF);
    let second = settled(&server, Some(&calm));
    println!("{calm:?}\nafter {HALF}: {first:?}\nafter {}: {second:?}", 2 * HALF);
    assert!(server.is_running(), "the server has ended");
    let growth = second.memory.saturating_sub(first.memory);
    assert!(growth <= GROWTH, "{growth} bytes more after the second half: {first:?}, {second:?}");
}

/// What a server holds when nobody but the one who asks is there.
#[derive(Debug)]
struct Rest {
    stats: String,
    descriptors: usize,
    threads: u64,
    memory: u64,
}

/// Waits until the server holds what it held before. Then its memory counts.
fn settled(server: &Server, before: Option<&Rest>) -> Rest {
    let mut found = rest(server);
    let _ = eventually(REST, || {
        thread::sleep(Duration::from_millis(250));
        found = rest(server);
        let is_calm = match before {
            Some(before) => found.stats == before.stats && found.descriptors <= before.descriptors,
            // One task accepts connections, one is that of the connection that asks: the one of its request has ended.
            None => {
                found.stats.starts_with("Stats { connections: 1, sids: 1, sockets: 1,")
                    && found.stats.contains("tasks: 2 }")
            }
        };
        is_calm.then_some(())
    });
    match before {
        Some(before) => {
            assert_eq!(found.stats, before.stats);
            assert!(found.descriptors <= before.descriptors, "{found:?} instead of {before:?}");
            assert!(found.threads <= before.threads, "{found:?} instead of {before:?}");
        }
        None => {
            let nobody = "connections: 1, sids: 1, sockets: 1, pending_sockets: 0, left_namespaces: 0, namespaces: 5, \
                          rooms: 0, memberships: 0, lost_sessions: 0, logged_packets: 0, logged_bytes: 0, acks: 0, \
                          requests: 0, transports: 1,";
            assert!(found.stats.contains(nobody), "{found:?}");
        }
    }
    found
}

fn rest(server: &Server) -> Rest {
    let mut socket = Socket::greeted(server);
    forget(&mut socket);
    socket.send_text(r#"420["stats"]"#);
    let stats = socket.next_text();
    let stats =
        stats.strip_prefix(r#"430[""#).and_then(|stats| stats.strip_suffix(r#""]"#)).expect("counts").to_owned();
    Rest { stats, descriptors: server.descriptors(), threads: server.threads(), memory: server.memory() }
}

fn churn(server: &Server, sessions: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut wire = server.wire();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sessions {
                        return;
                    }
                    KINDS[number % KINDS.len()](server, &mut wire);
                }
            });
        }
    });
}

/// A session, which may use a connection that is there for requests, and leaves it usable.
type Kind = fn(&Server, &mut Wire);

const KINDS: [Kind; 10] = [
    // WebSocket.
    |server, _| {
        let mut socket = Socket::greeted(server);
        work(&mut socket);
        socket.send(&close(1000, b""));
        assert!(matches!(socket.next(PATIENCE), Event::Close(..)));
    },
    |server, _| {
        let mut socket = Socket::greeted(server);
        work(&mut socket);
        // Dropped.
    },
    |server, _| {
        let mut socket = Socket::greeted(server);
        work(&mut socket);
        socket.send_text("41");
        socket.send_text("1");
        socket.expect_close(Some(1000)).unwrap();
    },
    |server, _| {
        let mut socket = Socket::greeted(server);
        socket.send_text(r#"42["kick",true]"#);
        assert_eq!(socket.next_text(), "41");
        assert!(matches!(socket.next(PATIENCE), Event::Close(..)));
    },
    |server, _| {
        // Nothing is awaited: what is on its way when the client goes.
        let mut socket = Socket::greeted(server);
        socket.send_text(r#"42["burst",20]"#);
        socket.send_text(r#"42["ask","promise",null,"unanswered"]"#);
        socket.send_text(r#"42["open","gate"]"#);
        socket.send_text(r#"40/slow,{"gate":"gate"}"#);
    },
    // Polling.
    |server, wire| {
        let mut polling = Polling::open(server, wire);
        polling.work();
        polling.post("1");
    },
    |server, wire| {
        let mut polling = Polling::open(server, wire);
        polling.post(r#"42["kick",true]"#);
        let mut end = String::new();
        while !end.ends_with("\x1e1") && end != "1" {
            end = polling.get();
        }
    },
    |server, wire| {
        let mut polling = Polling::open(server, wire);
        polling.work();
        // The GET that waits is dropped.
        let target = server.target(&format!("transport=polling&sid={}", polling.sid));
        let mut other = server.wire();
        other.send(&request("GET", &target, &[], b"")).unwrap();
    },
    |server, wire| {
        // Left alone, with an acknowledgement that nobody gives.
        let mut polling = Polling::open(server, wire);
        polling.post(r#"42["ask","callback",60000,"unanswered"]"#);
    },
    // Upgraded.
    |server, wire| {
        let sid = Polling::open(server, wire).sid;
        let mut socket = Socket::candidate(server, &sid);
        socket.send(&[text("2probe"), text("5")].concat());
        assert_eq!(socket.next_text(), "3probe");
        work(&mut socket);
    },
];

/// Events both ways, an acknowledgement, a room, a broadcast, an attachment.
fn work(socket: &mut Socket) {
    socket.send_text(r#"420["join",["a","b"]]"#);
    assert_eq!(socket.next_text(), r#"430[["a","b"]]"#);
    socket.send_text(r#"421["request",{"name":"x"},"y"]"#);
    assert_eq!(socket.next_text(), r#"431[{"status":"ok","name":"x","text":"y"}]"#);
    let own = format!("of {}", socket.sid);
    socket.send_text(&format!(r#"422["join",["{own}"]]"#));
    assert!(socket.next_text().starts_with("432"));
    socket.send_text(&format!(r#"42["publish",{{"by":"server","nsp":"/","to":["{own}"],"except":[]}},{{"x":1}}]"#));
    assert_eq!(socket.next_text(), r#"42["news",{"x":1}]"#);
    socket.send_text(r#"451-["measure",{"_placeholder":true,"num":0}]"#);
    socket.send(&frame(BINARY, b"1234"));
    assert_eq!(socket.next_text(), r#"42["measured",4]"#);
    forget(socket);
}

/// Has the application forget what it keeps for its tests until somebody asks.
fn forget(socket: &mut Socket) {
    for event in ["errors", "broadcasts"] {
        socket.send_text(&format!(r#"423["{event}"]"#));
        let answer = socket.next_text();
        assert!(answer.starts_with("433"), "{answer}");
    }
}

/// A client on polling.
struct Polling<'a> {
    server: &'a Server,
    wire: &'a mut Wire,
    sid: String,
}

impl<'a> Polling<'a> {
    /// One that has joined the main namespace and was greeted.
    fn open(server: &'a Server, wire: &'a mut Wire) -> Self {
        let open = exchange(server, wire, "GET", "", b"");
        let mut polling = Self { server, wire, sid: sid(open.text()) };
        polling.post("40");
        let mut heard = String::new();
        while !heard.ends_with("bBg==") {
            heard += &polling.get();
        }
        assert!(heard.starts_with(r#"40{"sid":""#), "{heard}");
        polling
    }

    fn get(&mut self) -> String {
        let query = format!("&sid={}", self.sid);
        let answer = exchange(self.server, self.wire, "GET", &query, b"");
        assert_eq!(answer.status, 200, "{}", answer.line());
        if answer.text() == "2" {
            self.post("3");
        }
        answer.text().to_owned()
    }

    fn post(&mut self, packets: &str) {
        let query = format!("&sid={}", self.sid);
        let answer = exchange(self.server, self.wire, "POST", &query, packets.as_bytes());
        assert_eq!(answer.line(), "200 ok");
    }

    fn work(&mut self) {
        self.post("420[\"join\",[\"a\",\"b\"]]\x1e451-[\"measure\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID");
        let mut heard = String::new();
        while !heard.contains(r#"42["measured",3]"#) {
            heard += &self.get();
        }
        assert!(heard.contains(r#"430[["a","b"]]"#), "{heard}");
    }
}

/// One request on a connection that is kept.
fn exchange(server: &Server, wire: &mut Wire, method: &str, query: &str, body: &[u8]) -> Response {
    let target = server.target(&format!("transport=polling{query}"));
    wire.send(&request(method, &target, &[], body)).unwrap();
    wire.response(method, PATIENCE).unwrap()
}
