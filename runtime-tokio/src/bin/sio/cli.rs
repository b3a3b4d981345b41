//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sockeye_tokio::{Value, client::Transport};

use super::{
    exit,
    literal::{self, SYNTAX},
    repl,
};

/// Socket.IO on the command line: talk to a server, send an event, watch what comes.
///
/// It speaks protocol version 5 of Socket.IO, as servers of Socket.IO 3 and 4 do.
#[derive(Debug, Parser)]
#[command(name = "sio", version, max_term_width = 100, after_help = exit::CODES, after_long_help = after(&[EXAMPLES, exit::CODES]))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = r#"Examples:
  sio connect localhost:3000                                   talk to a server
  sio emit localhost:3000 chat '"hello"' '{"to": "all"}'       send an event with two arguments
  sio emit localhost:3000 add 1 2 --ack                        print the acknowledgement
  sio listen https://example.com/news --json | jq .args        watch the namespace /news"#;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Connect(Connect),
    Emit(Emit),
    Listen(Listen),
}

/// Talk to a server: send events as you type, see what comes.
///
/// Reads commands: on a terminal with line editing and history, else line by line to the end of the input, and leaves once
/// everything is sent and each acknowledgement has come or its time is over. Without a terminal, notes on the connection and
/// errors go to standard error, and the exit code tells of the first thing that went wrong.
#[derive(Debug, Args)]
#[command(after_help = SEE_HELP, after_long_help = after(&[CONNECT_EXAMPLES, repl::COMMANDS, &[SYNTAX, SPACES].concat(), exit::CODES]))]
pub(crate) struct Connect {
    /// The server: http, https, ws or wss; http if there is no scheme. Its path is a namespace.
    pub(crate) url: String,
    /// A namespace to join, beside that of the URL if it has a path; may be repeated.
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// The time for acknowledgements that `call` asks for; 0 is without end.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Acknowledge events that ask for it at once, with these arguments, as `autoreply on` does.
    #[arg(long, value_name = "JSON ARRAY", value_parser = array)]
    pub(crate) reply: Option<Values>,
    /// Neither read nor write the history, sio/history in the directory for state ($XDG_STATE_HOME, ~/.local/state). Lines
    /// that begin with a space are never written to it.
    #[arg(long)]
    pub(crate) no_history: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const CONNECT_EXAMPLES: &str = r#"Examples:
  sio connect localhost:3000 -n /chat -n /admin --auth '{"token": "abc"}'
  printf 'call add 1 2\nemit bye\n' | sio connect localhost:3000"#;

/// Send one event.
///
/// Connects, sends the event, prints the acknowledgement if one is asked for, and leaves in order. What --verbose tells goes to
/// standard error.
#[derive(Debug, Args)]
#[command(after_help = SEE_HELP, after_long_help = after(&[EMIT_EXAMPLES, &[SYNTAX, SHELL].concat(), exit::CODES]))]
pub(crate) struct Emit {
    /// The server: http, https, ws or wss; http if there is no scheme. Its path is a namespace.
    pub(crate) url: String,
    /// The event's name.
    pub(crate) event: String,
    /// Its arguments: JSON, or @FILE for binary.
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
    /// Take every ARG for a text as it is, not for JSON.
    #[arg(long)]
    text: bool,
    /// Ask for an acknowledgement, and print it.
    #[arg(short, long)]
    pub(crate) ack: bool,
    /// The time for the acknowledgement; 0 is without end.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print the acknowledgement as a JSON array on one line, with binary as {"$base64": ".."}.
    #[arg(long)]
    pub(crate) json: bool,
    /// The namespace, instead of the path of the URL.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const EMIT_EXAMPLES: &str = r#"Examples:
  sio emit localhost:3000 chat '"hello"' '{"to": "all"}'
  sio emit localhost:3000/admin restart --ack --timeout 30
  sio emit localhost:3000 chat --text "$message"
  sio emit localhost:3000 upload '"cat.png"' @cat.png"#;

const SHELL: &str = r#" or, of standard input, @-
  A shell wants quotes around most of these: '"a text"'."#;

/// For [`Connect`].
const SPACES: &str = r#" or @"my cat.png""#;

impl Emit {
    /// What to send. A file of it may be a pipe, or the terminal, that brings nothing for as long as it likes.
    pub(crate) async fn args(&self) -> Result<Vec<Value>, String> {
        let (args, text) = (self.args.clone(), self.text);
        let read = move |arg: &String| if text { Ok(arg.as_str().into()) } else { literal::argument(arg) };
        let all = tokio::task::spawn_blocking(move || args.iter().map(read).collect());
        all.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// Print events as they come.
///
/// Runs until Ctrl-C, --count, --for, or the end of the connection; or until nobody reads what it prints any more, which it
/// notices when it prints. What --verbose tells is printed in lines that begin with *.
#[derive(Debug, Args)]
#[command(after_help = SEE_HELP, after_long_help = after(&[LISTEN_EXAMPLES, JSON, exit::CODES]))]
pub(crate) struct Listen {
    /// The server: http, https, ws or wss; http if there is no scheme. Its path is a namespace.
    pub(crate) url: String,
    /// The events to print. Without any, all.
    #[arg(value_name = "EVENT")]
    pub(crate) events: Vec<String>,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave after so many events.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Leave after this time.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Acknowledge events that ask for it, those that are not printed too, with these arguments.
    #[arg(long, value_name = "JSON ARRAY", value_parser = array)]
    pub(crate) reply: Option<Values>,
    /// A namespace to join, beside that of the URL if it has a path; may be repeated.
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const LISTEN_EXAMPLES: &str = r#"Examples:
  sio listen localhost:3000
  sio listen localhost:3000 ready --count 1 --for 10 || echo "not ready within 10 s"
  sio listen https://example.com -n /news -n /sport --json | jq -c .args"#;

const JSON: &str = r#"Lines of --json:
  {"type":"event","namespace":"/","event":"chat","args":["hello",{"$base64":"AQID"}],"ack":false}
    Binary is an object with the key $base64; an object that only looks like that has one $ more.
    "ack" says whether the server asks for an acknowledgement.
  With --verbose also:
  {"type":"connect","namespace":"/","id":"Uy2a..","transport":"polling","recovered":false}
  {"type":"connect_error","namespace":"/","message":"no token","data":{"code":401},"again":false}
    "data" is there if the server gave some; "again" says whether it is tried again.
  {"type":"disconnect","namespace":"/","reason":"ping timeout","details":"no ping within 45s"}
    "details" is there if something is known.
  {"type":"reconnect_attempt","attempt":1}, {"type":"reconnect_failed"}, {"type":"upgrade"}, {"type":"ping"}
  Members may be added."#;

/// How to connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// What the server gets as `auth`: a JSON object, or @FILE that holds one.
    #[arg(long, value_name = "JSON", value_parser = auth)]
    pub(crate) auth: Option<Value>,
    /// A header of every request; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// A parameter for the query of every request; may be repeated. (A query in the URL takes the place of all.)
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) query: Vec<(String, String)>,
    /// The path of requests, which is not the namespace.
    #[arg(long, default_value = "/socket.io/")]
    pub(crate) path: String,
    /// The transports to try, the first one first; may be repeated. By default polling, then websocket.
    #[arg(short, long = "transport", value_name = "TRANSPORT", value_delimiter = ',')]
    pub(crate) transports: Vec<TransportName>,
    /// Stay on polling where it comes first.
    #[arg(long)]
    pub(crate) no_upgrade: bool,
    /// The time in which there must be a connection, and the server must answer for a namespace; 0 is
    /// without end.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,
    /// Wait for a server that is not there (yet), instead of giving up when the first attempt fails.
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// Do not connect again when the connection is lost.
    #[arg(long, conflicts_with_all = ["wait", "reconnect_attempts"])]
    pub(crate) no_reconnect: bool,
    /// The time before the first attempt to connect again, above 0; each further one waits twice as long, up to 5 s, or to
    /// this time if it is longer. (All vary by up to a half, so that not everybody comes at once.)
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = some_seconds)]
    pub(crate) reconnect_delay: Duration,
    /// How often in a row it is tried to connect again. By default without end.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reconnect_attempts: Option<u32>,
    /// Trust the certificates of this PEM file, beside those of the system.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Print what happens to the connection, too.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// A way to carry a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    /// HTTP long-polling
    Polling,
    /// WebSocket
    Websocket,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Polling => Self::Polling,
            TransportName::Websocket => Self::WebSocket,
        }
    }
}

/// Arguments that are given as one.
#[derive(Clone, Debug)]
pub(crate) struct Values(pub(crate) Vec<Value>);

const SEE_HELP: &str = "`--help` has more: examples, how arguments are written, exit codes.";

fn after(parts: &[&str]) -> String {
    parts.join("\n\n")
}

/// A namespace as servers name it.
pub(crate) fn namespace(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { ["/", name].concat() }
}

/// A duration in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds expected".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// The same, but not none.
fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("more than 0 s expected".to_owned()),
        time => Ok(time),
    }
}

/// `auth` of a handshake.
pub(crate) fn auth(text: &str) -> Result<Value, String> {
    let auth = match text.strip_prefix('@') {
        Some(file) => {
            let json = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            literal::json(json.trim())?
        }
        None => literal::json(text)?,
    };
    match auth {
        Value::Object(_) => Ok(auth),
        _ => Err("a JSON object expected".to_owned()),
    }
}

fn array(text: &str) -> Result<Values, String> {
    match literal::json(text)? {
        Value::Array(values) => Ok(Values(values)),
        _ => Err("a JSON array expected: [] is no argument".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("NAME: VALUE expected")?;
    let value = value.trim();
    http::HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    http::HeaderValue::from_str(value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
