//! `sio emit`.

use std::{
    env,
    fs::{self, OpenOptions},
    process::{self, Command},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    program::{Live, done, in_time, sio, sio_with},
    raw,
    server::{TRANSPORTS, everywhere, on_each, own_port},
};

#[test]
fn an_acknowledgement_is_printed() {
    let file = env::temp_dir().join(format!("sio-emit-{}", process::id()));
    fs::write(&file, [1, 2, 3]).unwrap();
    let file = file.to_str().unwrap();
    everywhere(|server, transport| {
        let url = server.url("/");
        let echo = |args: &[&str]| sio(&[&["emit", &url, "echo-ack", "--ack"], transport, args].concat());

        assert_eq!(echo(&[]), done(0, "\n", ""));
        assert_eq!(echo(&["-1", "null", "[1.5]"]), done(0, "-1 null [1.5]\n", ""));
        let args = [r#""a\n\u001b[2J""#, r#"{"a":{"$hex":"00 ff"}}"#];
        assert_eq!(echo(&args), done(0, "\"a\\n\\u001b[2J\" {\"a\":<2 bytes: 00 ff>}\n", ""));
        assert_eq!(
            echo(&[&["--json"], &args[..]].concat()),
            done(0, "[\"a\\n\\u001b[2J\",{\"a\":{\"$base64\":\"AP8=\"}}]\n", "")
        );
        assert_eq!(echo(&["--text", "a b", "1", "@x"]), done(0, "\"a b\" \"1\" \"@x\"\n", ""));

        let whole = format!("@{file}");
        let within = format!(r#"[{{"$file":"{file}"}}]"#);
        let literal = r#"{"$$file":"x"}"#;
        assert_eq!(
            echo(&[&whole, &within, r#"{"$base64":"BA"}"#, literal, "--json"]),
            done(
                0,
                "[{\"$base64\":\"AQID\"},[{\"$base64\":\"AQID\"}],{\"$base64\":\"BA==\"},{\"$$file\":\"x\"}]\n",
                ""
            )
        );
        let args = [&["emit", &url, "echo-ack", "@-", "-a"], transport].concat();
        assert_eq!(sio_with(&args, b"\x07"), done(0, "<1 byte: 07>\n", ""));
    });
    fs::remove_file(file).unwrap();
}

#[test]
fn an_event_arrives_in_its_namespace_before_its_sender_leaves() {
    on_each(|server| {
        let (url, admin) = (server.url("/"), server.url("/admin"));
        let mut watcher = Live::start(&["connect", &admin]);
        watcher.type_line(r#"call join "watchers""#);
        while watcher.line() != "= join" {}
        for transport in TRANSPORTS {
            for target in [&[&*admin][..], &[&*url, "-n", "/admin"], &[&*url, "-n", "admin"]] {
                let args = ["broadcast", r#"["watchers"]"#, "[]", "1", "[2]"];
                assert_eq!(sio(&[&["emit"], target, &args, transport].concat()), done(0, "", ""));
                assert_eq!(watcher.line(), "< news 1 [2]");
                let left = watcher.line();
                let reason = "\" \"transport close\"";
                assert!(left.starts_with("< left \"") && left.ends_with(reason), "{left}");
            }
            // What takes longer to send than to hand over.
            let args = ["emit", &admin, "broadcast", r#"["watchers"]"#, "[]", "@-"];
            assert_eq!(sio_with(&[&args, *transport].concat(), &[7; 700_000]), done(0, "", ""));
            assert!(watcher.line().starts_with("< news <700000 bytes: 07 07 "));
            assert!(watcher.line().starts_with("< left "));
        }
        assert_eq!(watcher.done().code, 0);
    });
}

#[test]
fn what_goes_wrong_has_a_code_and_a_cause() {
    everywhere(|server, transport| {
        let url = server.url("/");
        let emit = |url: &str, args: &[&str]| sio(&[&["emit", url], args, transport].concat());
        let refused = "error: / is not connected: refused {\"code\":1}\n";
        assert_eq!(emit(&url, &["hello", "--auth", r#"{"refuse":{"code":1}}"#]), done(1, "", refused));
        let unknown = "error: /nowhere is not connected: Invalid namespace\n";
        assert_eq!(emit(&server.url("/nowhere"), &["hello"]), done(1, "", unknown));
        let late = "error: no acknowledgement within 50ms\n";
        assert_eq!(emit(&url, &["nobody answers", "--ack", "--timeout", "0.05"]), done(3, "", late));
        let gone = "error: no acknowledgement: socket has been disconnected\n";
        assert_eq!(emit(&url, &["kick", "false", "--ack"]), done(1, "", gone));
        assert_eq!(emit(&url, &["kick", "true", "--ack", "--timeout", "0"]), done(1, "", gone));
        let reserved = "error: \"connect\" is a reserved event name\n";
        assert_eq!(emit(&url, &["connect"]), done(2, "", reserved));
        let many = [r#"{"$hex":""}"#; 11].join(",");
        let attachments = "error: 11 attachments, the limit is 10\n";
        assert_eq!(emit(&url, &["files", &format!("[{many}]")]), done(2, "", attachments));
    });
    // Nobody listens there.
    let free = format!("127.0.0.1:{}", own_port());
    let down = sio(&["emit", &free, "hello"]);
    assert_eq!((down.code, &*down.out), (1, ""));
    assert!(down.err.starts_with("error: / is not connected: xhr poll error: cannot connect: "), "{}", down.err);
    let down = sio(&["emit", &free, "hello", "-t", "websocket"]);
    assert!(down.err.starts_with("error: / is not connected: websocket error: cannot connect: "), "{}", down.err);
}

/// Nothing of the event was delivered: that must not look like success.
#[test]
fn an_event_that_has_not_left_is_an_error() {
    // What the server says to CONNECT, and to the event. Its pings do not come.
    let server = |joined: &'static str, answer: Option<&'static str>| {
        let (posts, gets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let address = raw::http(move |request| {
            let ok = |body: &str| Some(raw::response("200 OK", "", body));
            match (request.is_handshake(), request.line.starts_with("POST")) {
                (true, _) => ok(&raw::OPEN.replace("25000", "1000").replace("20000", "1000")),
                (_, true) if posts.fetch_add(1, Ordering::Relaxed) == 0 => ok("ok"),
                (_, true) => Some(raw::response(answer?, "", "")),
                _ if gets.fetch_add(1, Ordering::Relaxed) == 0 => ok(joined),
                _ => None,
            }
        });
        address.to_string()
    };
    const JOINED: &str = "40{\"sid\":\"s\"}";
    let emit = |url: &str| sio(&["emit", url, "hello", "-t", "polling"]);
    // It reads no more; it fails; and it goes before or while the event is on its way.
    let late = "error: not sent: ping timeout (no ping within 2s)\n";
    assert_eq!(emit(&server(JOINED, None)), done(1, "", late));
    let failed = "error: not sent: transport error (xhr post error: status 502)\n";
    assert_eq!(emit(&server(JOINED, Some("502 Bad Gateway"))), done(1, "", failed));
    let gone = emit(&server("40{\"sid\":\"s\"}\x1e1", None));
    assert_eq!((gone.code, &*gone.out), (1, ""));
    assert!(gone.err.starts_with("error: not sent: transport close"), "{}", gone.err);
}

#[test]
fn verbose_tells_of_the_connection_on_standard_error() {
    on_each(|server| {
        let done = sio(&["emit", &server.url("/"), "echo-ack", "1", "--ack", "-v", "-t", "websocket"]);
        assert_eq!((done.code, &*done.out), (0, "1\n"));
        assert!(done.err.starts_with("connected to / (id ") && done.err.ends_with(", websocket)\n"), "{}", done.err);
    });
}

#[test]
fn ctrl_c_ends_it() {
    on_each(|server| {
        let emit = Live::start(&["emit", &server.url("/"), "nobody answers", "--ack", "--timeout", "0", "-v"]);
        emit.wait_for_error("connected to / ");
        emit.signal("INT");
        let done = emit.done();
        assert_eq!((done.code, &*done.out), (130, ""));
    });
}

/// What an argument is read from may bring nothing: a pipe, or a terminal where nobody types.
#[test]
fn ctrl_c_ends_it_while_an_argument_is_read() {
    let pipe = env::temp_dir().join(format!("sockeye-sio-pipe-{}", process::id()));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let emit = Live::start(&["emit", "localhost:1", "hello", &format!("@{}", pipe.display())]);
    let path = pipe.clone();
    // That takes until it is opened at the other end.
    let _writer = in_time("the other end", move || OpenOptions::new().write(true).open(path).unwrap());
    emit.signal("INT");
    assert_eq!(emit.done(), done(130, "", ""));
    fs::remove_file(pipe).unwrap();
}
