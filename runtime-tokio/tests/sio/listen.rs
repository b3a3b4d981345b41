//! `sio listen`.

use std::time::Instant;

use crate::{
    program::{Live, PATIENCE, done, sio},
    server::{Server, TRANSPORTS, on_each, on_each_peer, own_port, runtime},
    sockeye::prelude::*,
};

/// One that has connected: it has printed the event `auth`.
fn listening(server: &Server, args: &[&str]) -> Live {
    let mut listen = Live::start(&[&["listen", &server.url("/")], args].concat());
    let first = listen.line();
    assert!(first.contains("auth"), "{first}");
    listen
}

#[test]
fn events_are_printed_as_they_come() {
    on_each(|server| {
        for transport in TRANSPORTS {
            let mut people = listening(server, transport);
            let mut programs = listening(server, &[&["--json"], *transport].concat());
            server.broadcast(&["1", r#"{"a":["b",{"$hex":"0102"}],"c":{"$$hex":1}}"#]);
            server.broadcast(&[]);
            assert_eq!(people.line(), r#"news 1 {"a":["b",<2 bytes: 01 02>],"c":{"$hex":1}}"#);
            assert_eq!(people.line(), "news");
            let args = r#"[1,{"a":["b",{"$base64":"AQI="}],"c":{"$$hex":1}}]"#;
            let json = |args| format!(r#"{{"type":"event","namespace":"/","event":"news","args":{args},"ack":false}}"#);
            assert_eq!(programs.line(), json(args));
            assert_eq!(programs.line(), json("[]"));
            for listen in [people, programs] {
                listen.signal("INT");
                assert_eq!(listen.done(), done(130, "", ""));
            }
        }
        let terminated = listening(server, &[]);
        terminated.signal("TERM");
        assert_eq!(terminated.done(), done(143, "", ""));
    });
}

#[test]
fn it_ends_by_count_and_by_time() {
    on_each(|server| {
        let url = server.url("/");
        assert_eq!(sio(&["listen", &url, "--count", "1"]), done(0, "auth {}\n", ""));
        assert_eq!(sio(&["listen", &url, "auth", "--for", "1"]), done(0, "auth {}\n", ""));
        assert_eq!(
            sio(&["listen", &url, "-c", "2", "--for", "1", "-t", "websocket"]),
            done(3, "auth {}\n", "error: time is over, 1 more events expected\n")
        );
        // Only what is printed counts.
        let mut only = Live::start(&["listen", &url, "news", "olds", "--count", "2", "-v"]);
        skip_to(&mut only, "* upgraded to websocket");
        server.broadcast(&["1"]);
        skip_to(&mut only, "news 1");
        server.broadcast(&["2"]);
        let ended = only.done();
        assert_eq!((ended.code, ended.out.lines().last()), (0, Some("news 2")));
    });
}

#[test]
fn it_ends_quietly_when_nobody_reads() {
    on_each(|server| {
        for json in [&[][..], &["--json"]] {
            let mut listen = listening(server, json);
            listen.close_output();
            // It notices when it prints. Once may not be enough: a process that was being started meanwhile may have held
            // the other end of the pipe for a moment.
            listen.until_done(|_| server.broadcast(&["1"]));
            assert_eq!(listen.done(), done(0, "", ""));
        }
    });
}

#[test]
fn many_events_keep_their_order_for_a_slow_reader() {
    let io = crate::sockeye::Server::new(Config::default());
    io.on_connect(async |socket: Socket| {
        for tick in 0..20_000 {
            socket.emit_wait("tick", &tick).await?;
        }
        Ok::<_, BoxError>(())
    });
    let served = runtime().block_on(io.listen("127.0.0.1:0")).unwrap();
    let url = served.local_addr().to_string();
    let mut listen = Live::start(&["listen", &url, "-c", "20000"]);
    assert_eq!(listen.line(), "tick 0");
    // Only now is the rest read: more than fits the pipe, and what waits behind it.
    let ended = listen.done();
    assert_eq!((ended.code, &*ended.err), (0, ""));
    assert!(ended.out.lines().eq((1..20_000).map(|tick| format!("tick {tick}"))));
}

#[test]
fn events_that_ask_are_acknowledged_if_it_is_told_to() {
    let io = crate::sockeye::Server::new(Config::default());
    let (sender, answers) = std::sync::mpsc::channel();
    io.on_connect(move |socket: Socket| {
        let sender = sender.clone();
        async move {
            let answer = socket.emit_with_ack::<Values>("ask", &1).await;
            sender.send(answer).unwrap();
        }
    });
    let served = runtime().block_on(io.listen("127.0.0.1:0")).unwrap();
    let url = served.local_addr().to_string();
    let answered = ["listen", &url, "--reply", r#"[1,{"$hex":"02"}]"#, "-c", "1"];
    assert_eq!(sio(&answered), done(0, "ask 1 [ack]\n", ""));
    let binary = bytes::Bytes::from_static(&[2]);
    assert_eq!(answers.recv().unwrap(), Ok(Values(vec![1.into(), binary.into()])));
    // Those that are not printed, too; and a program sees which ask.
    let mut other = Live::start(&["listen", &url, "other", "--reply", "[]"]);
    assert_eq!(answers.recv().unwrap(), Ok(Values(vec![])));
    other.close_output();
    other.signal("INT");
    assert_eq!(other.done().code, 130);
    let mut unanswered = Live::start(&["listen", &url, "--json"]);
    assert_eq!(unanswered.line(), r#"{"type":"event","namespace":"/","event":"ask","args":[1],"ack":true}"#);
    unanswered.signal("INT");
    assert_eq!(unanswered.done().code, 130);
    assert_eq!(answers.recv().unwrap(), Err(AckError::Disconnected));
}

#[test]
fn several_namespaces_are_told_apart() {
    on_each(|server| {
        let url = server.url("/");
        let ended = sio(&["listen", &url, "-n", "/", "-n", "admin", "--count", "2"]);
        assert_eq!(ended.code, 0);
        let mut lines: Vec<&str> = ended.out.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["/ auth {}", "/admin auth {}"]);
        // The path of the URL is one of them.
        let both = sio(&["listen", &server.url("/admin"), "-n", "/", "-c", "2"]);
        assert_eq!(both.out.lines().count(), 2);
        let error = "error: /nowhere is not connected: Invalid namespace\n";
        let refused = sio(&["listen", &url, "-n", "/nowhere"]);
        assert_eq!(refused, done(1, "", error));
    });
}

#[test]
fn verbose_tells_of_the_connection() {
    on_each_peer(|peer| {
        let port = own_port();
        let server = peer.start_at(port);
        let url = server.url("/");
        let mut people = Live::start(&["listen", &url, "-v", "-t", "websocket", "--reconnect-delay", "0.1"]);
        let mut programs = Live::start(&["listen", &url, "-v", "--json", "--reconnect-delay", "0.1"]);
        let first = people.line();
        assert!(first.starts_with("* connected to / (id ") && first.ends_with(", websocket)"), "{first}");
        let first = programs.line();
        assert!(first.starts_with(r#"{"type":"connect","namespace":"/","id":""#), "{first}");
        assert!(first.ends_with(r#"","transport":"polling","recovered":false}"#), "{first}");
        for line in [r#"{"type":"upgrade"}"#, r#"{"type":"ping"}"#] {
            skip_to(&mut programs, line);
        }
        skip_to(&mut people, "* ping");
        drop(server);
        skip_to(&mut people, "* disconnected from /: transport ");
        skip_to(&mut programs, r#"{"type":"disconnect","namespace":"/","reason":"transport "#);
        skip_to(&mut people, "* connecting again, attempt 1");
        skip_to(&mut programs, r#"{"type":"reconnect_attempt","attempt":1}"#);
        skip_to(&mut people, "* / is not connected: websocket error: ");
        let error = r#"{"type":"connect_error","namespace":"/","message":"xhr poll error: "#;
        assert!(skip_to(&mut programs, error).ends_with(r#","again":true}"#));
        let _server = peer.start_at(port);
        skip_to(&mut people, "* connected to / (id ");
        skip_to(&mut programs, r#"{"type":"connect","#);
        for listen in [people, programs] {
            listen.signal("INT");
            assert_eq!(listen.done().code, 130);
        }

        let refused = sio(&["listen", &url, "-v", "--json", "--auth", r#"{"refuse":[1]}"#]);
        let line = r#"{"type":"connect_error","namespace":"/","message":"refused","data":[1],"again":false}"#;
        assert_eq!(refused.out.lines().last(), Some(line));
        assert_eq!((refused.code, &*refused.err), (1, "error: / is not connected: refused [1]\n"));
    });
}

/// The next line that begins like this.
fn skip_to(listen: &mut Live, start: &str) -> String {
    let begin = Instant::now();
    loop {
        let line = listen.line();
        if line.starts_with(start) {
            return line;
        }
        // Pings alone would go on for ever.
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {start:?}");
    }
}
