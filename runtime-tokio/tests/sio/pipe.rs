//! `sio connect` without a terminal.

use crate::{
    program::{Live, sio_with},
    server::{Peer, everywhere, on_each},
};

#[test]
fn commands_are_done_in_order_and_what_they_ask_for_is_awaited() {
    everywhere(|server, transport| {
        let url = server.url("/");
        let connect =
            |args: &[&str], input: &str| sio_with(&[&["connect", &url], args, transport].concat(), input.as_bytes());

        let script = "# a comment\n\ncall echo-ack 1 {\"$hex\":\"02\"}\nemit echo \"three\"\ncall echo-ack\n";
        let expected = "< auth {}\n= echo-ack 1 <1 byte: 02>\n< echo \"three\"\n= echo-ack\n";
        let ran = connect(&[], script);
        assert_eq!((ran.code, &*ran.out), (0, expected));
        assert!(ran.err.starts_with("* connected to / (id "), "{}", ran.err);
        assert_eq!(ran.err.lines().filter(|line| !line.contains("upgraded")).count(), 1, "{}", ran.err);

        let script = "use /admin\ncall echo-ack 1\nuse /\ncall echo-ack 2\nnamespaces\nquit\ncall echo-ack 3\n";
        let ran = connect(&["-n", "/", "-n", "/admin"], &format!("{script}sleep 60\n"));
        let mut lines = ran.out.lines().filter(|line| !line.contains(" auth ") && !line.starts_with('='));
        let first = lines.next().unwrap();
        assert!(first.starts_with("/: connected, id ") && first.ends_with(", in use"), "{first}");
        let second = lines.next().unwrap();
        assert!(second.starts_with("/admin: connected, id ") && !second.ends_with(", in use"), "{second}");
        assert_eq!((ran.code, lines.next()), (0, None));
        let ran = connect(&["-n", "/", "-n", "/admin"], "use /admin\ncall echo-ack 1\nuse /\ncall echo-ack 2\n");
        assert!(ran.out.contains("= /admin echo-ack 1\n") && ran.out.contains("= / echo-ack 2\n"), "{}", ran.out);

        let help = connect(&[], "help\n");
        assert!(help.code == 0 && help.out.contains("Commands:\n  emit EVENT [ARG]... "), "{}", help.out);
    });
}

#[test]
fn the_server_is_answered() {
    everywhere(|server, transport| {
        let url = server.url("/");
        let mut connect = Live::start(&[&["connect", &*url][..], transport].concat());
        assert_eq!(connect.line(), "< auth {}");
        for (commands, lines) in [
            (&["emit ask 60000 \"q\""][..], &["< question \"q\" [reply 1]"][..]),
            (&["reply 1 \"yes\" {\"$hex\":\"07\"}"], &["< answered \"ok\" \"yes\" <1 byte: 07>"]),
            (&["autoreply on \"always\"", "emit ask 60000 2"], &["< question 2", "< answered \"ok\" \"always\""]),
            (&["autoreply off", "emit ask 50"], &["< question [reply 2]", "< answered \"timeout\""]),
        ] {
            commands.iter().for_each(|command| connect.type_line(command));
            lines.iter().for_each(|line| assert_eq!(connect.line(), *line));
        }
        assert_eq!(connect.done().code, 0);

        let mut connect = Live::start(&[&["connect", &*url, "--reply", "[1,2]"][..], transport].concat());
        connect.type_line("emit ask 60000");
        for line in ["< auth {}", "< question", "< answered \"ok\" 1 2"] {
            assert_eq!(connect.line(), line);
        }
        assert_eq!(connect.done().code, 0);
    });
}

#[test]
fn the_exit_code_tells_of_the_first_problem() {
    everywhere(|server, transport| {
        let url = server.url("/");
        let connect = |args: &[&str], input: &str| {
            let ran = sio_with(&[&["connect", &url], args, transport].concat(), input.as_bytes());
            let problems: Vec<String> = ran.err.lines().filter(|line| !line.starts_with('*')).map(Into::into).collect();
            (ran.code, problems.join("\n"))
        };
        assert_eq!(connect(&[], "\n\nemi a\n"), (2, "! line 3: no command \"emi\": see help".into()));
        let late = "! nobody: no acknowledgement within 50ms";
        assert_eq!(connect(&["--timeout", "0.05"], "call nobody\n"), (3, late.into()));
        let mut first = Live::start(&[&["connect", &*url][..], transport].concat());
        first.type_line("timeout 0.05");
        first.type_line("call nobody");
        first.wait_for_error(late);
        first.type_line("emit");
        first.wait_for_error("! line 3: emit EVENT [ARG]...");
        assert_eq!(first.done().code, 3);
        let unknown = "! line 1: nobody waits for reply 1: it was sent, or its connection is gone";
        assert_eq!(connect(&[], "reply 1\n"), (1, unknown.into()));
        assert_eq!(connect(&[], "use /other\n"), (1, "! line 1: /other was not joined".into()));
        assert_eq!(connect(&[], "emit connect\n"), (2, "! line 1: \"connect\" is a reserved event name".into()));
        // One namespace of two.
        let refused = "! /nowhere is not connected: Invalid namespace";
        assert_eq!(connect(&["-n", "/", "-n", "/nowhere"], "call echo-ack\n"), (1, refused.into()));
        assert_eq!(connect(&["-n", "/nowhere"], "call echo-ack\n").0, 1);
        // The server disconnects the only one: what follows is in vain.
        let kicked = "error: / was disconnected: io server disconnect";
        assert_eq!(connect(&[], "emit kick false\nsleep 60\n"), (1, kicked.into()));
    });
}

#[test]
fn namespaces_are_joined_left_and_joined_again() {
    on_each(|server| {
        let mut connect = Live::start(&["connect", &server.url("/")]);
        assert_eq!(connect.line(), "< auth {}");
        connect.type_line(r#"join admin {"token":1}"#);
        assert_eq!(connect.line(), r#"< /admin auth {"token":1}"#);
        connect.type_line("call echo-ack 1");
        assert_eq!(connect.line(), "= /admin echo-ack 1");
        connect.type_line("leave");
        connect.wait_for_error("* disconnected from /admin: io client disconnect");
        connect.type_line("emit echo 1");
        connect.wait_for_error("! line 4: /admin is not connected: join connects it");
        connect.type_line("join");
        assert_eq!(connect.line(), r#"< /admin auth {"token":1}"#);
        // Another token, and one that is refused.
        connect.type_line(r#"join /admin {"token":2}"#);
        assert_eq!(connect.line(), r#"< /admin auth {"token":2}"#);
        connect.type_line(r#"join /admin {"refuse":"why"}"#);
        connect.wait_for_error("* /admin is not connected: refused \"why\"");
        connect.type_line("use /");
        connect.type_line("call echo-ack 2");
        assert_eq!(connect.line(), "= / echo-ack 2");
        connect.type_line("leave /");
        connect.wait_for_error("* disconnected from /: io client disconnect");
        assert_eq!(connect.done().code, 1);
    });
}

#[test]
fn it_ends_quietly_when_nobody_reads() {
    on_each(|server| {
        let mut connect = Live::start(&["connect", &server.url("/")]);
        assert_eq!(connect.line(), "< auth {}");
        connect.close_output();
        // More than once: a process that was being started meanwhile may have held the other end of the pipe for a moment.
        connect.until_done(|connect| connect.type_line("call echo-ack 1"));
        assert_eq!(connect.done().code, 0);
    });
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let server = Peer::Node.start();
    let [mut once, mut twice] = [(); 2].map(|()| {
        let mut connect = Live::start(&["connect", &server.url("/"), "-t", "websocket"]);
        assert_eq!(connect.line(), "< auth {}");
        connect
    });
    // A server that does not answer any more has some seconds to.
    server.freeze();
    once.signal("INT");
    twice.until_done(|twice| twice.signal("INT"));
    assert!(!once.is_done());
    assert_eq!(twice.done().code, 130);
}

#[test]
fn ctrl_c_and_the_end_of_the_input_end_it() {
    on_each(|server| {
        let mut connect = Live::start(&["connect", &server.url("/"), "--timeout", "0"]);
        assert_eq!(connect.line(), "< auth {}");
        connect.type_line("call nobody");
        assert_eq!(connect.line(), "< caught \"nobody\"");
        connect.signal("INT");
        let input = connect.input.take();
        assert_eq!(connect.done().code, 130);
        drop(input);
        let nothing = sio_with(&["connect", &server.url("/")], b"");
        assert_eq!(nothing.code, 0);
        let not_text = sio_with(&["connect", &server.url("/")], b"\xff\n");
        let why = "error: standard input: stream did not contain valid UTF-8\n";
        assert!(not_text.code == 1 && not_text.err.ends_with(why), "{}", not_text.err);
    });
}
