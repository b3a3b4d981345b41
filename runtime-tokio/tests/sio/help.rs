//! What it says about itself, and of wrong usage.

use crate::program::{Live, sio};

const COMMANDS: [&str; 3] = ["connect", "emit", "listen"];

#[test]
fn help_and_version_are_printed() {
    let done = sio(&["--version"]);
    assert_eq!((done.code, &*done.out), (0, &*format!("sio {}\n", env!("CARGO_PKG_VERSION"))));
    for flag in ["-h", "--help"] {
        let help = sio(&[flag]);
        assert_eq!((help.code, &*help.err), (0, ""));
        assert!(COMMANDS.iter().all(|command| help.out.contains(command)), "{}", help.out);
        assert!(help.out.contains("Exit codes:"), "{}", help.out);
    }
    assert!(sio(&["--help"]).out.contains("Examples:\n  sio connect localhost:3000 "));
    for command in COMMANDS {
        let help = sio(&[command, "--help"]);
        assert_eq!((help.code, &*help.err), (0, ""));
        for part in ["Usage: sio ", "Examples:", "Connection:", "Exit codes:", "--ca-cert <FILE>"] {
            assert!(help.out.contains(part), "{command}: {part}");
        }
        assert_eq!(help.out.contains("Arguments:\n  An ARG is JSON"), command != "listen", "{command}");
        assert_eq!(help.out.contains("Commands:\n  emit EVENT"), command == "connect", "{command}");
        assert_eq!(help.out.contains("Lines of --json:"), command == "listen", "{command}");
        let short = sio(&[command, "-h"]);
        assert!(short.code == 0 && short.out.len() < help.out.len(), "{command}");
    }
}

#[test]
fn help_may_be_cut_off() {
    let mut help = Live::start(&["connect", "--help"]);
    help.close_output();
    assert_eq!(help.done().code, 0);
}

#[test]
fn wrong_usage_has_code_2_and_is_explained() {
    for (args, why) in [
        (&[][..], "Usage: sio <COMMAND>"),
        (&["emi"], "unrecognized subcommand 'emi'"),
        (&["emit", "http://127.0.0.1:1"], "<EVENT>"),
        (&["emit", "http://127.0.0.1:1", "a", "--no"], "unexpected argument '--no'"),
        (&["emit", "http://127.0.0.1:1", "a", "b"], "error: b is not JSON: expected value"),
        (&["emit", "http://127.0.0.1:1", "a", "@/no/such/file"], "error: /no/such/file: No such file"),
        (&["emit", "ftp://127.0.0.1", "a"], "http, https, ws or wss expected, not \"ftp\""),
        (&["emit", "http://me:pass@127.0.0.1", "a"], "-H 'Authorization: Basic ..'"),
        (&["emit", "http://127.0.0.1:1/a", "-n", "/b", "a"], "one namespace: that of the URL, or --namespace"),
        (&["listen", "http://127.0.0.1:1", "--count", "0"], "invalid value '0' for '--count <N>'"),
        (&["listen", "http://127.0.0.1:1", "--for", "-1"], "'-1'"),
        (&["listen", "http://127.0.0.1:1", "--for", "x"], "a number of seconds expected"),
        (&["listen", "http://127.0.0.1:1", "--reply", "1"], "a JSON array expected"),
        (&["listen", "http://127.0.0.1:1", "--auth", "[]"], "a JSON object expected"),
        (&["listen", "http://127.0.0.1:1", "--auth", "{\"a\":{\"$hex\":\"01\"}}"], "--auth: binary in the data"),
        (&["listen", "http://127.0.0.1:1", "--auth", "@/no/such/file"], "/no/such/file: No such file"),
        (&["listen", "http://127.0.0.1:1", "-H", "a"], "NAME: VALUE expected"),
        (&["listen", "http://127.0.0.1:1", "-H", "a b: c"], "invalid HTTP header name"),
        (&["listen", "http://127.0.0.1:1", "-H", "a: \u{1}"], "failed to parse header value"),
        (&["listen", "http://127.0.0.1:1", "-q", "a"], "NAME=VALUE expected"),
        (&["listen", "http://127.0.0.1:1", "-t", "flash"], "[possible values: polling, websocket]"),
        (&["listen", "http://127.0.0.1:1", "--wait", "--no-reconnect"], "cannot be used with"),
        (&["listen", "http://127.0.0.1:1", "--reconnect-attempts", "0"], "--reconnect-attempts"),
        (&["listen", "http://127.0.0.1:1", "--reconnect-delay", "0"], "more than 0 s expected"),
        (&["listen", "http://127.0.0.1:1", "--reconnect-delay", "0.0000000001"], "more than 0 s expected"),
        (&["listen", "http://127.0.0.1:1", "--reconnect-delay", "-1"], "'-1'"),
        (&["listen", "http://127.0.0.1:1", "--ca-cert", "/no/such/file"], "error: /no/such/file: "),
        (
            &["listen", "http://127.0.0.1:1", "--ca-cert", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")],
            "no certificate in PEM format",
        ),
    ] {
        let done = sio(args);
        assert_eq!((done.code, &*done.out), (2, ""), "{args:?}: {}", done.err);
        assert!(done.err.contains(why), "{args:?}: {}", done.err);
    }
}
