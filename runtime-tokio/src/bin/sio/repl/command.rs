//! What can be typed.

use std::time::Duration;

use sockeye_tokio::Value;

use crate::{
    cli::{self, seconds},
    literal::{arguments, json, word},
};

/// A line, understood.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    Emit {
        event: String,
        args: Vec<Value>,
    },
    Call {
        event: String,
        args: Vec<Value>,
    },
    Reply {
        id: u64,
        args: Vec<Value>,
    },
    /// Acknowledge events at once, or not.
    AutoReply(Option<Vec<Value>>),
    /// `None`: without end.
    Timeout(Option<Duration>),
    Join {
        namespace: Option<String>,
        auth: Option<Value>,
    },
    Leave(Option<String>),
    Use(String),
    Namespaces,
    Sleep(Duration),
    Help,
    Quit,
}

/// What `help` says, and `sio connect --help`.
pub(crate) const COMMANDS: &str = "\
Commands:
  emit EVENT [ARG]...         send an event
  call EVENT [ARG]...         send an event, and print its acknowledgement when it comes
  timeout SECONDS             the time for the acknowledgements of later calls; 0 is without end
  reply ID [ARG]...           acknowledge the event that was printed with [reply ID]
  autoreply on [ARG]...       acknowledge events that ask for it at once, with these arguments
  autoreply off               let them wait for a reply
  join [NAMESPACE [AUTH]]     join a namespace and use it; without one, that in use, which was left,
                              refused or disconnected
  leave [NAMESPACE]           leave a namespace; without one, that in use
  use NAMESPACE               send to this namespace
  namespaces                  say which there are
  sleep SECONDS               wait before the next command
  help                        print this
  quit                        leave; so does Ctrl-D, and Ctrl-C twice
An EVENT is a word, or a JSON text if it has spaces. AUTH is a JSON object; without one, it is that of
--auth. Empty lines, and lines that begin with #, do nothing.";

/// The first words, for completion.
pub(super) const NAMES: [&str; 12] =
    ["autoreply", "call", "emit", "help", "join", "leave", "namespaces", "quit", "reply", "sleep", "timeout", "use"];

/// Reads a line; `None` if there is nothing on it.
pub(super) fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let command = match name {
        "emit" => event(name, rest).map(|(event, args)| Command::Emit { event, args })?,
        "call" => event(name, rest).map(|(event, args)| Command::Call { event, args })?,
        "reply" => {
            let (id, rest) = word(rest)?;
            let id = id.parse().map_err(|_| "reply ID [ARG]...: the ID is a number".to_owned())?;
            Command::Reply { id, args: arguments(rest)? }
        }
        "autoreply" => match word(rest)? {
            (switch, rest) if switch == "on" => Command::AutoReply(Some(arguments(rest)?)),
            (switch, "") if switch == "off" => Command::AutoReply(None),
            _ => return Err("autoreply on [ARG]..., or autoreply off".to_owned()),
        },
        "timeout" => Command::Timeout(Some(seconds(rest)?).filter(|time| !time.is_zero())),
        "join" => {
            let (namespace, rest) = word(rest)?;
            let auth = Some(rest.trim()).filter(|auth| !auth.is_empty()).map(json).transpose()?;
            if auth.as_ref().is_some_and(|auth| auth.as_object().is_none()) {
                return Err("join NAMESPACE AUTH: AUTH is a JSON object".to_owned());
            }
            Command::Join { namespace: given(&namespace), auth }
        }
        "leave" => Command::Leave(given(rest)),
        "use" => Command::Use(given(rest).ok_or("use NAMESPACE")?),
        "namespaces" => Command::Namespaces,
        "sleep" => Command::Sleep(seconds(rest)?),
        "help" => Command::Help,
        "quit" | "exit" => Command::Quit,
        _ => return Err(format!("no command {name:?}: see help")),
    };
    Ok(Some(command))
}

fn event(name: &str, rest: &str) -> Result<(String, Vec<Value>), String> {
    if rest.is_empty() {
        return Err(format!("{name} EVENT [ARG]..."));
    }
    let (event, rest) = word(rest)?;
    Ok((event, arguments(rest)?))
}

fn given(namespace: &str) -> Option<String> {
    (!namespace.is_empty()).then(|| cli::namespace(namespace))
}

#[cfg(test)]
mod tests {
    use sockeye_tokio::Object;

    use super::*;

    #[test]
    fn lines_are_commands() {
        let some = |text: &str| Some(text.to_owned());
        for (line, expected) in [
            ("emit a", Command::Emit { event: "a".into(), args: vec![] }),
            (r#" emit  "a b" 1 "2" "#, Command::Emit { event: "a b".into(), args: vec![1.into(), "2".into()] }),
            ("call add 1 [2]", Command::Call { event: "add".into(), args: vec![1.into(), vec![2].into()] }),
            ("reply 7", Command::Reply { id: 7, args: vec![] }),
            ("reply 7 null 1", Command::Reply { id: 7, args: vec![Value::Null, 1.into()] }),
            ("autoreply on", Command::AutoReply(Some(vec![]))),
            ("autoreply on 1", Command::AutoReply(Some(vec![1.into()]))),
            ("autoreply off", Command::AutoReply(None)),
            ("timeout 1.5", Command::Timeout(Some(Duration::from_millis(1_500)))),
            ("timeout 0", Command::Timeout(None)),
            ("join", Command::Join { namespace: None, auth: None }),
            ("join a", Command::Join { namespace: some("/a"), auth: None }),
            (
                r#"join /a {"t": 1}"#,
                Command::Join { namespace: some("/a"), auth: Some(Object::from_iter([("t", 1)]).into()) },
            ),
            ("leave", Command::Leave(None)),
            ("leave /a", Command::Leave(some("/a"))),
            ("use a", Command::Use("/a".into())),
            ("namespaces", Command::Namespaces),
            ("sleep 2", Command::Sleep(Duration::from_secs(2))),
            ("help", Command::Help),
            ("quit", Command::Quit),
            ("exit", Command::Quit),
        ] {
            assert_eq!(parse(line), Ok(Some(expected)), "{line}");
        }
        for line in ["", "  ", "# a comment"] {
            assert_eq!(parse(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_told() {
        for (line, why) in [
            ("emi a", "no command \"emi\": see help"),
            ("emit", "emit EVENT [ARG]..."),
            ("call", "call EVENT [ARG]..."),
            ("reply x", "reply ID [ARG]...: the ID is a number"),
            ("autoreply", "autoreply on [ARG]..., or autoreply off"),
            ("autoreply off 1", "autoreply on [ARG]..., or autoreply off"),
            ("timeout", "a number of seconds expected"),
            ("sleep -1", "cannot convert float seconds to Duration: value is negative"),
            ("join /a 1", "join NAMESPACE AUTH: AUTH is a JSON object"),
            ("use", "use NAMESPACE"),
            ("emit a b", "b is not JSON: expected value at line 1 column 1 (a text is written in quotes: \"..\")"),
        ] {
            assert_eq!(parse(line), Err(why.to_owned()), "{line}");
        }
    }

    #[test]
    fn every_command_is_explained_and_completed() {
        for name in NAMES {
            assert!(COMMANDS.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
            assert!(!matches!(parse(name), Err(why) if why.starts_with("no command")), "{name}");
        }
    }
}
