//! Lines for what has happened.

use serde::Serialize;
use sockeye_tokio::{
    Value,
    client::{Error, ManagerEvent},
};

use super::{
    output::{Paint, Role},
    session::{Incoming, News, explain, why},
    show,
};

/// An event for people; with its namespace, where there are several.
pub(crate) fn event(incoming: &Incoming, paint: Paint, with_namespace: bool) -> String {
    let Incoming { namespace, event, args, .. } = incoming;
    let mut line = String::new();
    if with_namespace {
        line.push_str(&show::text(namespace));
        line.push(' ');
    }
    line.push_str(&paint.paint(Role::Event, show::name(event)));
    if !args.is_empty() {
        line.push(' ');
        line.push_str(&show::people(args));
    }
    line
}

/// What has happened to the connection, for people. What is of little interest only if asked for.
pub(crate) fn connection(news: &News, verbose: bool) -> Option<String> {
    Some(match news {
        News::Event(_) | News::Answer(_) => return None,
        News::Connect { namespace, id, transport, recovered } => {
            let recovered = if *recovered { ", recovered" } else { "" };
            format!("connected to {} (id {}, {transport}{recovered})", show::text(namespace), show::text(id))
        }
        News::ConnectError { namespace, error, .. } => {
            format!("{} is not connected: {}", show::text(namespace), explain(error))
        }
        News::Disconnect { namespace, reason, details } => {
            format!("disconnected from {}: {}", show::text(namespace), why(*reason, details.as_ref()))
        }
        News::Manager(ManagerEvent::ReconnectAttempt { attempt, .. }) => format!("connecting again, attempt {attempt}"),
        News::Manager(ManagerEvent::ReconnectFailed) => "not connecting again: no attempt is left".to_owned(),
        News::Manager(ManagerEvent::Upgrade) if verbose => "upgraded to websocket".to_owned(),
        News::Manager(ManagerEvent::Ping) if verbose => "ping".to_owned(),
        News::Manager(_) => return None,
    })
}

/// The same for programs, as `sio listen --help` has it; `None` for what is not told.
pub(crate) fn json(news: &News) -> Option<String> {
    Some(show::json(&match news {
        News::Event(Incoming { namespace, event, args, ack }) => {
            Line::Event { namespace, event, args: show::programs(args), ack: ack.is_some() }
        }
        News::Connect { namespace, id, transport, recovered } => {
            Line::Connect { namespace, id, transport, recovered: *recovered }
        }
        News::ConnectError { namespace, error, again } => {
            let refusal = if let Error::Refused(refusal) = error { refusal.data.as_ref() } else { None };
            Line::ConnectError {
                namespace,
                message: explain_to_program(error),
                data: refusal.and_then(|data| data.to_value().ok()),
                again: *again,
            }
        }
        News::Disconnect { namespace, reason, details } => {
            Line::Disconnect { namespace, reason: reason.as_str(), details: details.as_ref().map(explain) }
        }
        News::Manager(ManagerEvent::ReconnectAttempt { attempt, .. }) => Line::ReconnectAttempt { attempt: *attempt },
        News::Manager(ManagerEvent::ReconnectFailed) => Line::ReconnectFailed,
        News::Manager(ManagerEvent::Upgrade) => Line::Upgrade,
        News::Manager(ManagerEvent::Ping) => Line::Ping,
        News::Answer(_) | News::Manager(_) => return None,
    }))
}

/// What a server said as it said it, or what went wrong.
fn explain_to_program(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => refusal.message.to_string(),
        error => explain(error),
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Event {
        namespace: &'a str,
        event: &'a str,
        args: Value,
        ack: bool,
    },
    Connect {
        namespace: &'a str,
        id: &'a str,
        transport: &'a str,
        recovered: bool,
    },
    ConnectError {
        namespace: &'a str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Value>,
        again: bool,
    },
    Disconnect {
        namespace: &'a str,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<String>,
    },
    ReconnectAttempt {
        attempt: u32,
    },
    ReconnectFailed,
    Upgrade,
    Ping,
}
