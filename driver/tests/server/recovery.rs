//! Connection state recovery in the driver: what a socket that comes back has, and what is left of one that does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use sockeye_driver::{Config, EmitError, Limits, Recovery, Server, Sid, Socket, Stats};

use crate::support::{Client, Counted, Log, Rig, note, rig};

fn config(recovery: Recovery) -> Config {
    Config { recovery: Some(recovery), ..Config::default() }
}

fn server() -> Server {
    Server::new(config(Recovery::default()))
}

/// What a client keeps for the time after its link.
#[derive(Clone, Debug, PartialEq)]
struct Ticket {
    sid: String,
    pid: String,
}

/// A client that has joined `/`: with what it said, and what it got in front of the answer.
fn join(rig: &Rig, io: &Server, connect: &str) -> (Client, Ticket, Vec<String>) {
    let mut client = rig.open(io);
    client.send(connect);
    let mut before = Vec::new();
    loop {
        let packet = client.packet();
        assert!(!packet.starts_with('4'), "{packet}");
        let Some(answer) = packet.strip_prefix('0') else {
            before.push(without_offset(&packet));
            continue;
        };
        let parts: Vec<_> = answer.split('"').map(ToOwned::to_owned).collect();
        assert!(parts[1] == "sid" && parts[5] == "pid" && parts[9] == "offset", "{packet}");
        return (client, Ticket { sid: parts[3].clone(), pid: parts[7].clone() }, before);
    }
}

fn begin(rig: &Rig, io: &Server) -> (Client, Ticket) {
    let (client, ticket, before) = join(rig, io, "0");
    assert!(before.is_empty());
    (client, ticket)
}

/// As one that has received nothing.
fn come_back(rig: &Rig, io: &Server, ticket: &Ticket) -> (Client, Ticket, Vec<String>) {
    join(rig, io, &format!("0{{\"pid\":\"{}\"}}", ticket.pid))
}

fn without_offset(packet: &str) -> String {
    let at = packet.rfind(",\"").unwrap_or_else(|| panic!("no offset: {packet}"));
    format!("{}]", &packet[..at])
}

fn assert_nothing_is_left(rig: &Rig, io: &Server) {
    rig.until("nothing is left", || {
        let Stats { connections, sockets, lost_sessions, logged_packets, logged_bytes, .. } = io.stats();
        [connections, sockets, lost_sessions, logged_packets, logged_bytes] == [0; 5]
    });
}

#[test]
fn a_socket_comes_back_with_its_id_rooms_and_data() {
    rig(|rig| {
        let io = server();
        let log = Log::default();
        io.of("/").with_state(log.clone()).on_connect(
            async |sockeye_driver::State(log): sockeye_driver::State<Log>, socket: Socket| {
                log.add(format!("{} {:?} {:?}", socket.recovered(), socket.rooms(), socket.data::<u32>()));
                if !socket.recovered() {
                    socket.set_data(7_u32);
                    socket.join("red").unwrap();
                }
            },
        );
        let (mut client, ticket) = begin(&rig, &io);
        client.vanish();
        rig.until("the link is lost", || io.stats().lost_sessions == 1);
        io.to("red").emit("missed", &1).unwrap();
        io.to("blue").emit("not for it", &2).unwrap();
        io.to(ticket.sid.parse::<Sid>().unwrap()).emit("own", &3).unwrap();
        let (mut client, again, before) = come_back(&rig, &io, &ticket);
        assert_eq!(again, ticket);
        assert_eq!(before, ["2[\"missed\",1]", "2[\"own\",3]"]);
        assert_eq!(log.take(), ["false [] None", "true [\"red\"] Some(7)"]);
        io.to("red").emit("next", &4).unwrap();
        assert_eq!(without_offset(&client.packet()), "2[\"next\",4]");
        client.expect_nothing();
    });
}

/// Middlewares decide again, unless they are skipped; connect handlers run in any case.
#[test]
fn middlewares_are_asked_again_unless_the_option_skips_them() {
    for skip_middlewares in [false, true] {
        rig(move |rig| {
            let io = Server::new(config(Recovery { skip_middlewares, ..Recovery::default() }));
            let (log, refuses) = (Log::default(), Arc::new(AtomicBool::new(false)));
            let (asked, refuse) = (log.clone(), Arc::clone(&refuses));
            io.middleware(move |socket: Socket| {
                asked.add(format!("asked {}", socket.recovered()));
                let answer = if refuse.load(Ordering::SeqCst) { Err("no") } else { Ok(()) };
                async move { answer }
            });
            io.on_connect(note(&log, "connected"));
            let (mut client, ticket) = begin(&rig, &io);
            assert_eq!(log.take(), ["asked false", "connected"]);
            client.vanish();
            rig.until("the link is lost", || io.stats().lost_sessions == 1);
            io.emit("secret", &1).unwrap();
            if !skip_middlewares {
                refuses.store(true, Ordering::SeqCst);
                let mut refused = rig.open(&io);
                refused.send(&format!("0{{\"pid\":\"{}\"}}", ticket.pid));
                refused.expect("4{\"message\":\"no\"}");
                refused.expect_nothing();
                assert_eq!(log.take(), ["asked true"]);
                refuses.store(false, Ordering::SeqCst);
            }
            let (_client, again, before) = come_back(&rig, &io, &ticket);
            assert_eq!((again, before), (ticket, vec!["2[\"secret\",1]".to_owned()]));
            let expected: &[&str] = if skip_middlewares { &["connected"] } else { &["asked true", "connected"] };
            assert_eq!(log.take(), expected);
        });
    }
}

/// The old link is silent, and its handlers hear of its end before the new one's.
#[test]
fn a_new_link_ends_the_old_one_at_once() {
    rig(|rig| {
        let io = server();
        let log = Log::default();
        io.on_connect(note(&log, "connect"));
        io.on_disconnecting(note(&log, "disconnecting"));
        io.on_disconnect(note(&log, "disconnect"));
        let (mut old, ticket) = begin(&rig, &io);
        io.emit("lost on the way", &1).unwrap();
        let (mut client, again, before) = come_back(&rig, &io, &ticket);
        assert_eq!((again, before), (ticket, vec!["2[\"lost on the way\",1]".to_owned()]));
        assert_eq!(log.take(), ["connect", "disconnecting", "disconnect", "connect"]);
        old.expect_closed();
        assert_eq!(io.emit("once", &2).unwrap(), 1);
        assert_eq!(without_offset(&client.packet()), "2[\"once\",2]");
    });
}

/// The timers know of the hub: what waits for too long goes without anybody's help, the data with it.
#[test]
fn what_is_not_recovered_leaves_nothing_behind() {
    rig(|rig| {
        let recovery = Recovery { max_disconnection_duration: Duration::from_millis(50), ..Recovery::default() };
        let io = Server::new(config(recovery));
        let counted = Counted::default();
        let made = counted.clone();
        // Dropping it asks the server something: no lock may be held then.
        let asked = io.clone();
        io.on_connect(move |socket: Socket| {
            let (value, asked) = (made.make(), asked.clone());
            socket.set_data((value, crate::support::Drops::new(move || _ = asked.stats())));
            async {}
        });
        for _ in 0..3 {
            let (mut client, _) = begin(&rig, &io);
            io.emit("e", &()).unwrap();
            client.vanish();
        }
        rig.until("the links are lost", || io.stats().sockets == 0);
        assert_nothing_is_left(&rig, &io);
        rig.until("the data is dropped", || counted.left() == 0);
        // Who leaves takes it along.
        let (mut client, _) = begin(&rig, &io);
        client.send("1");
        rig.until("the socket is gone", || io.stats().sockets == 0);
        rig.until("the data is dropped", || counted.left() == 0);
        assert_eq!(io.stats().lost_sessions, 0);
    });
}

#[test]
fn a_shutdown_forgets_who_could_have_come_back() {
    rig(|rig| {
        let io = server();
        let counted = Counted::default();
        let made = counted.clone();
        io.on_connect(move |socket: Socket| {
            socket.set_data(made.make());
            async {}
        });
        let (mut lost, _) = begin(&rig, &io);
        let (mut here, _) = begin(&rig, &io);
        lost.vanish();
        let ends = io.clone();
        let ended = rig.start(async move { ends.shutdown(Duration::from_secs(5)).await });
        here.expect_closed();
        rig.until("the server ends", || ended.is_ready());
        assert_nothing_is_left(&rig, &io);
        assert_eq!(counted.left(), 0);
    });
}

/// Offsets arrive in their order, whoever emits, broadcasts and writes meanwhile.
#[test]
fn offsets_are_in_the_order_of_events_with_many_threads() {
    rig(|rig| {
        const EACH: u64 = 300;
        let io = server();
        let sockets = Arc::new(std::sync::Mutex::new(Vec::new()));
        let list = Arc::clone(&sockets);
        io.on_connect(move |socket: Socket| {
            list.lock().unwrap().push(socket);
            async {}
        });
        let mut clients: Vec<_> = (0..2).map(|_| begin(&rig, &io).0).collect();
        let left = Arc::new(AtomicU64::new(3));
        for number in 0..3 {
            let (io, sockets, left) = (io.clone(), sockets.lock().unwrap().clone(), Arc::clone(&left));
            thread::spawn(move || {
                for _ in 0..EACH {
                    match sockets.get(number) {
                        Some(socket) => socket.emit("one", &()).unwrap(),
                        None => _ = io.emit("all", &()).unwrap(),
                    }
                }
                left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        rig.until("all is said", || left.load(Ordering::SeqCst) == 0);
        for client in &mut clients {
            let mut last = 0;
            for _ in 0..2 * EACH {
                let packet = client.packet();
                let number = packet.rsplit(['.', '"']).nth(1).unwrap().parse::<u64>().unwrap();
                assert!(number > last, "{number} after {last}");
                last = number;
            }
            client.expect_nothing();
        }
        assert_eq!(io.stats().logged_packets, 3 * EACH as usize);
    });
}

/// A full queue says so, and what waits for room goes out once, with one offset.
#[test]
fn emits_wait_for_room_and_a_full_queue_logs_nothing() {
    rig(|rig| {
        let limits = Limits { send_queue_bytes: 4_000, ..Limits::default() };
        let io = Server::new(Config { limits, ..config(Recovery::default()) });
        let log = Log::default();
        let noted = log.clone();
        io.on("go", move |socket: Socket| {
            let noted = noted.clone();
            async move {
                let text = "x".repeat(1_000);
                let mut sent = 0;
                while socket.emit("e", &text).is_ok() {
                    sent += 1;
                }
                assert!(matches!(socket.emit("e", &text), Err(EmitError::Full(_))));
                noted.add(format!("{sent}"));
                for _ in 0..100 {
                    socket.emit_wait("e", &text).await?;
                }
                noted.add("all");
                Ok::<_, EmitError>(())
            }
        });
        let (mut client, _) = begin(&rig, &io);
        client.event("go", "");
        let first = {
            rig.until("the queue is full", || log.len() > 0);
            log.take()[0].parse::<usize>().unwrap()
        };
        let mut offsets = Vec::new();
        for _ in 0..first + 100 {
            let packet = client.packet();
            offsets.push(packet.rsplit(['.', '"']).nth(1).unwrap().parse::<usize>().unwrap());
        }
        assert_eq!(offsets, (1..=first + 100).collect::<Vec<_>>());
        rig.until("all is sent", || log.has("all"));
        client.expect_nothing();
    });
}
