//! `sio connect` on a terminal.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::{
    screen::{COLUMNS, Screen},
    server::{Peer, TRANSPORTS, everywhere, on_each, on_each_peer, own_port},
};

const ROWS: u16 = 50;
const ENTER: &str = "\r";
const UP: &str = "\u{1b}[A";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

/// A directory for the state of programs, of this test alone.
struct State(PathBuf);

impl State {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sio-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn history(&self) -> PathBuf {
        self.0.join("sio/history")
    }

    fn start(&self, args: &[&str]) -> Screen {
        Screen::start(ROWS, &[&["connect"], args].concat(), &[("XDG_STATE_HOME", self.0.to_str())])
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A terminal without history.
fn start(args: &[&str]) -> Screen {
    Screen::start(ROWS, &[&["connect", "--no-history"], args].concat(), &[])
}

fn enter(screen: &Screen, line: &str) {
    screen.type_keys(line);
    screen.type_keys(ENTER);
}

#[test]
fn what_comes_while_a_line_is_typed_leaves_it_as_it_is() {
    everywhere(|server, transport| {
        let screen = start(&[&["-n", "/", "-n", "/admin", &*server.url("/")][..], transport].concat());
        screen.wait_for("* help: what can be typed; Ctrl-D: leave");
        screen.wait_for_input("/> ");
        enter(&screen, r#"call echo-ack 1 {"a":{"$hex":"01ff"}}"#);
        screen.wait_for(r#"= / echo-ack 1 {"a":<2 bytes: 01 ff>}"#);
        screen.wait_for_input("/> ");

        // A line, and one that takes several rows, with the cursor at its end.
        for (half, rest) in [("ha", "lf"), (&*"long ".repeat(40), "line")] {
            screen.type_keys(&format!(r#"emit echo "{half}"#));
            let name = if transport.is_empty() { "upgraded" } else { transport[1] };
            let arg = format!("\"{name} {}\"", half.len());
            server.broadcast(&[&arg]);
            screen.wait_for(&format!("< / news {arg}"));
            let typed = format!(r#"/> emit echo "{half}"#);
            screen.wait("the line that is typed", |screen| {
                let (row, column) = screen.cursor_position();
                let lines = typed.len() / usize::from(COLUMNS);
                let text: String = screen.rows(0, COLUMNS).skip(usize::from(row) - lines).collect();
                text.trim_end() == typed.trim_end() && usize::from(column) == typed.len() % usize::from(COLUMNS)
            });
            enter(&screen, &format!("{rest}\""));
            let echo = format!(r#"< / echo "{half}{rest}""#);
            screen.wait(&echo, |screen| screen.contents().replace('\n', "").contains(&echo));
            screen.wait_for_input("/> ");
        }
        screen.type_keys(CTRL_D);
        assert_eq!(screen.done(), 0);
    });
}

#[test]
fn the_server_is_answered_and_namespaces_are_switched() {
    on_each(|server| {
        let screen = start(&[&*server.url("/"), "--timeout", "0.2"]);
        screen.wait_for_input("/> ");
        enter(&screen, r#"emit ask 60000 "q""#);
        screen.wait_for(r#"< question "q" [reply 1]"#);
        enter(&screen, r#"reply 1 "yes""#);
        screen.wait_for(r#"< answered "ok" "yes""#);
        enter(&screen, "reply 1");
        screen.wait_for("! nobody waits for reply 1");
        enter(&screen, "autoreply on 7");
        enter(&screen, "emit ask 60000");
        screen.wait_for(r#"< answered "ok" 7"#);
        enter(&screen, "call nobody");
        screen.wait_for("! nobody: no acknowledgement within 200ms");

        enter(&screen, "join /admin");
        screen.wait_for("< /admin auth {}");
        screen.wait_for_input("/admin> ");
        enter(&screen, "emit kick false");
        screen.wait_for("* disconnected from /admin: io server disconnect");
        screen.wait_for("* join connects again");
        enter(&screen, "emit echo");
        screen.wait_for("! /admin is not connected: join connects it");
        enter(&screen, "join");
        screen.wait("another session", |screen| screen.contents().matches("* connected to /admin ").count() == 2);
        enter(&screen, "use /");
        screen.wait_for_input("/> ");
        enter(&screen, "namespaces");
        screen.wait_for("/: connected, id ");
        screen.wait_for("/admin: connected, id ");
        enter(&screen, "no such");
        screen.wait_for("! no command \"no\": see help");
        enter(&screen, "help");
        screen.wait_for("  namespaces                  say which there are");
        // What went wrong was seen: it is nothing that the exit code tells.
        enter(&screen, "quit");
        assert_eq!(screen.done(), 0);
    });
}

#[test]
fn lines_are_edited_and_kept_for_the_next_time() {
    let server = Peer::Ours.start();
    let state = State::new("history");
    let screen = state.start(&[&server.url("/")]);
    screen.wait_for_input("/> ");
    // Completed, corrected in front of the cursor.
    screen.type_keys("ca\techo-ac 1\u{1b}[D\u{1b}[D");
    screen.wait("the cursor", |screen| screen.cursor_position().1 == 15);
    enter(&screen, "k");
    screen.wait_for("= echo-ack 1");
    enter(&screen, "call echo-ack 2");
    screen.wait_for("= echo-ack 2");
    enter(&screen, " call echo-ack \"secret\"");
    screen.wait_for("= echo-ack \"secret\"");
    screen.type_keys(UP);
    screen.wait_for_input("/> call echo-ack 2");
    screen.type_keys(UP);
    screen.wait_for_input("/> call echo-ack 1");
    enter(&screen, "3");
    screen.wait_for("= echo-ack 13");
    screen.type_keys(CTRL_D);
    assert_eq!(screen.done(), 0);

    let kept = fs::read_to_string(state.history()).unwrap();
    let lines: Vec<&str> = kept.lines().skip(1).collect();
    assert_eq!(lines, ["call echo-ack 1", "call echo-ack 2", "call echo-ack 13"]);
    assert_eq!(fs::metadata(state.history()).unwrap().permissions().mode() & 0o777, 0o600);

    let again = state.start(&[&server.url("/")]);
    again.wait_for_input("/> ");
    again.type_keys(UP);
    again.wait_for_input("/> call echo-ack 13");
    again.type_keys(CTRL_C);
    again.wait_for_input("/> ");
    // It is searched, too.
    again.type_keys("\u{12}ack 2");
    again.wait_for("(reverse-i-search)`ack 2': call echo-ack 2");
    again.type_keys(ENTER);
    again.wait_for("= echo-ack 2");
    again.type_keys(CTRL_D);
    assert_eq!(again.done(), 0);

    let without = state.start(&[&server.url("/"), "--no-history"]);
    without.wait_for_input("/> ");
    without.type_keys(UP);
    enter(&without, "call echo-ack 4");
    without.wait_for("= echo-ack 4");
    without.type_keys(CTRL_D);
    assert_eq!(without.done(), 0);
    assert!(!fs::read_to_string(state.history()).unwrap().contains("ack 4"));

    // Without the variable, below the home directory.
    let home = State::new("home");
    let variables = [("XDG_STATE_HOME", None), ("HOME", home.0.to_str())];
    let screen = Screen::start(ROWS, &["connect", &server.url("/")], &variables);
    screen.wait_for_input("/> ");
    enter(&screen, "call echo-ack 5");
    screen.wait_for("= echo-ack 5");
    screen.type_keys(CTRL_D);
    assert_eq!(screen.done(), 0);
    let kept = fs::read_to_string(home.0.join(".local/state/sio/history")).unwrap();
    assert_eq!(kept.lines().last(), Some("call echo-ack 5"));
}

#[test]
fn ctrl_c_takes_back_a_line_and_leaves_when_pressed_twice() {
    let server = Peer::Ours.start();
    let screen = start(&[&server.url("/")]);
    screen.wait_for_input("/> ");
    screen.type_keys("emit no");
    screen.wait_for_input("/> emit no");
    screen.type_keys(CTRL_C);
    screen.wait_for("* Ctrl-C again, or Ctrl-D, leaves");
    screen.wait_for_input("/> ");
    // Something in between, and it is not twice.
    enter(&screen, "call echo-ack 1");
    screen.wait_for("= echo-ack 1");
    screen.type_keys(CTRL_C);
    screen.wait("the hint", |screen| screen.contents().matches("* Ctrl-C again").count() == 2);
    screen.wait_for_input("/> ");
    screen.type_keys(CTRL_C);
    assert_eq!(screen.done(), 130);
}

#[test]
fn several_lines_at_once_are_done_one_after_the_other() {
    let server = Peer::Ours.start();
    let screen = start(&[&server.url("/")]);
    screen.wait_for_input("/> ");
    // Typed ahead, and pasted.
    screen.type_keys("call echo-ack 1\rcall echo-ack 2\r");
    screen.wait_for("= echo-ack 2");
    screen.type_keys("\u{1b}[200~call echo-ack 3\nsleep 0.1\ncall echo-ack 4\u{1b}[201~");
    enter(&screen, "5");
    screen.wait_for("= echo-ack 45");
    assert!(["= echo-ack 1", "= echo-ack 3"].iter().all(|line| screen.contents().contains(line)));
    screen.wait_for_input("/> ");
    screen.type_keys(CTRL_D);
    assert_eq!(screen.done(), 0);
}

#[test]
fn the_terminal_is_given_back_when_it_is_terminated() {
    let server = Peer::Ours.start();
    let screen = start(&[&server.url("/")]);
    screen.wait_for_input("/> ");
    screen.type_keys("emit no");
    screen.wait_for_input("/> emit no");
    assert!(!screen.is_cooked());
    screen.signal("TERM");
    assert_eq!(screen.done(), 143);
}

#[test]
fn a_flood_stays_in_order_while_lines_are_typed() {
    const COUNT: u16 = 3_000;
    on_each(|server| {
        let url = server.url("/");
        let screen = Screen::start(COUNT + 200, &["connect", "--no-history", &url], &[]);
        screen.wait_for_input("/> ");
        enter(&screen, &format!("emit burst {COUNT}"));
        for number in 0..20 {
            // Each line ends one round of editing and begins another.
            enter(&screen, &format!("call echo-ack {number}"));
            screen.wait_for("< tick ");
        }
        screen.wait_for(&format!("< tick {}", COUNT - 1));
        screen.wait_for("= echo-ack 19");
        screen.wait_for_input("/> ");
        let shown = screen.contents();
        let lines = |start: &str| {
            let lines = shown.lines().filter_map(|line| line.strip_prefix(start));
            lines.map(|number| number.parse().unwrap_or_else(|_| panic!("{number:?}:\n{shown}"))).collect::<Vec<u16>>()
        };
        assert!(lines("< tick ").into_iter().eq(0..COUNT), "{shown}");
        assert!(lines("= echo-ack ").into_iter().eq(0..20), "{shown}");
        assert!(lines("/> call echo-ack ").into_iter().eq(0..20), "{shown}");
        screen.type_keys(CTRL_D);
        assert_eq!(screen.done(), 0);
    });
}

#[test]
fn a_lost_connection_is_told_and_made_again() {
    on_each_peer(|peer| {
        let transport = TRANSPORTS[usize::from(peer == Peer::Ours)];
        let port = own_port();
        let server = peer.start_at(port);
        let url = server.url("/");
        let screen = start(&[&[&*url, "--reconnect-delay", "0.1"], transport].concat());
        screen.wait_for_input("/> ");
        drop(server);
        screen.wait_for("* disconnected from /: transport ");
        screen.wait_for("* connecting again, attempt 1");
        enter(&screen, "emit echo \"meanwhile\"");
        let server = peer.start_at(port);
        screen.wait_for("< echo \"meanwhile\"");
        // There is no other one.
        drop(server);
        screen.wait("the end", |screen| screen.contents().matches("* disconnected from /").count() == 2);
        screen.type_keys(CTRL_D);
        assert_eq!(screen.done(), 0);
    });
}

#[test]
fn without_a_connection_there_is_no_prompt() {
    let server = Peer::Ours.start();
    let refused = start(&[&server.url("/"), "--auth", r#"{"refuse":"why"}"#]);
    refused.wait_for("error: / is not connected: refused \"why\"");
    assert_eq!(refused.done(), 1);
    // With one of two there is.
    let one = start(&[&server.url("/"), "-n", "/nowhere", "-n", "/admin"]);
    one.wait_for("! /nowhere is not connected: Invalid namespace");
    one.wait_for_input("/admin> ");
    one.type_keys(CTRL_D);
    assert_eq!(one.done(), 0);
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let server = Peer::Ours.start();
    let url = server.url("/");
    let none = vt100::Color::Default;
    for (variables, colored) in [
        (&[][..], true),
        (&[("NO_COLOR", Some("1"))], false),
        // One that cannot do more than print is not edited on, either.
        (&[("TERM", Some("dumb"))], false),
        (&[("CLICOLOR", Some("0"))], false),
    ] {
        let screen = Screen::start(ROWS, &["connect", "--no-history", &url], variables);
        screen.wait_for("< auth {}");
        assert_eq!(screen.color("< auth {}", 2) != none, colored, "{variables:?}");
        enter(&screen, "emi");
        screen.wait_for("! ");
        assert_eq!(screen.color("! ", 0) != none, colored, "{variables:?}");
        screen.type_keys(CTRL_D);
        assert_eq!(screen.done(), if variables == [("TERM", Some("dumb"))] { 2 } else { 0 });
    }
}

#[test]
fn a_server_gives_no_commands_to_the_terminal() {
    let server = Peer::Ours.start();
    let screen = start(&[&server.url("/")]);
    screen.wait_for_input("/> ");
    enter(&screen, r#"emit "a\u001b[2Jb" "\u009b2J\u202e""#);
    screen.wait_for(r#"< caught "a\u001b[2Jb" "\u009b2J\u202e""#);
    screen.wait_for("* connected to / ");
    screen.type_keys(CTRL_D);
    assert_eq!(screen.done(), 0);
}
