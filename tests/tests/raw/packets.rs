//! Rows of Socket.IO packets: each is sent on a connection that has joined the main namespace.

use sockeye_tests::{
    report::{Report, equal},
    server::Server,
    session::Socket,
    websocket::{BINARY, Event, frame, text},
    wire::PATIENCE,
};

pub(crate) use Expect::{Answers, Closed, Limited, Unharmed};

/// The code with which a connection is closed whose client broke the rules of Socket.IO.
pub(crate) const VIOLATION: u16 = 1002;
/// The code with which a connection is closed whose client exceeded a limit.
pub(crate) const LIMIT: u16 = 1008;

/// The first attachment.
pub(crate) const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

pub(crate) enum Expect {
    /// The server closes, and the session is gone.
    Closed,
    /// The same, over a limit.
    Limited,
    /// Nothing comes back, and the session lives.
    Unharmed,
    /// Exactly these texts come back, and the session lives.
    Answers(Vec<String>),
}

/// A message to the server.
pub(crate) enum Input {
    Text(String),
    Binary(Vec<u8>),
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.to_vec())
    }
}

pub(crate) fn send(socket: &mut Socket, inputs: &[Input]) {
    let bytes: Vec<u8> = inputs
        .iter()
        .flat_map(|input| match input {
            Input::Text(message) => text(message),
            Input::Binary(bytes) => frame(BINARY, bytes),
        })
        .collect();
    socket.send(&bytes);
}

pub(crate) fn verdict(server: &Server, socket: &mut Socket, expect: Expect) -> Result<(), String> {
    match expect {
        Closed => {
            socket.expect_close(Some(VIOLATION))?;
            if server.is_gone(&socket.sid) { Ok(()) } else { Err("the session lives".into()) }
        }
        Limited => match socket.next(PATIENCE) {
            Event::Close(Some(LIMIT), _) if server.is_gone(&socket.sid) => Ok(()),
            event => Err(format!("{event:?} instead of a close frame with {LIMIT}")),
        },
        Unharmed => socket.check(server),
        Answers(answers) => {
            for answer in answers {
                equal(&socket.next_text(), &answer)?;
            }
            socket.check(server)
        }
    }
}

/// Runs rows of one attack: the messages, and what becomes of the connection.
pub(crate) fn run(report: &mut Report, id: &str, rows: Vec<(Vec<Input>, Expect)>) {
    for (inputs, expect) in rows {
        let name: String = match inputs.first() {
            Some(Input::Text(text)) => text.chars().take(60).collect(),
            _ => "binary".into(),
        };
        let name = format!("{name} ({})", inputs.len());
        report.row(id, &name, |server| {
            let mut socket = Socket::join(server);
            send(&mut socket, &inputs);
            verdict(server, &mut socket, expect)
        });
    }
}

/// Rows of single texts that close the connection.
pub(crate) fn closing<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<(Vec<Input>, Expect)> {
    texts.into_iter().map(|text| (vec![text.as_ref().into()], Closed)).collect()
}

/// Rows of single texts that nothing answers.
pub(crate) fn ignored<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<(Vec<Input>, Expect)> {
    texts.into_iter().map(|text| (vec![text.as_ref().into()], Unharmed)).collect()
}

/// A text and the text that answers it.
pub(crate) fn answered(rows: &[(&str, &str)]) -> Vec<(Vec<Input>, Expect)> {
    rows.iter().map(|(text, answer)| (vec![(*text).into()], Answers(vec![(*answer).to_owned()]))).collect()
}
