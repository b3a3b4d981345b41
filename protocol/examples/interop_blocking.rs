//! The server that the tests with the official JavaScript client talk to, on the driver of the `blocking` example. Its
//! events are described in `tests/js/README.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use sockeye_protocol::{
    Config, Instant, Sid, SocketKey,
    server::{AckId, AckOutcome, AckToken, ConnectError, ConnectRequest, Event, Room, Server, Target},
    socket::{Args, Object, Payload, Value},
};

#[path = "blocking/main.rs"]
#[expect(dead_code, reason = "its own application is not used here")]
mod blocking;

const MAX_ATTACHMENTS: usize = 10;

fn main() -> io::Result<()> {
    let [ping_interval, ping_timeout] = [500, 2_500].map(Duration::from_millis);
    let config = Config { ping_interval, ping_timeout, ..Config::default() };
    let mut interop = Interop::default();
    blocking::serve(config, &["/admin"], Box::new(move |server, now, event| interop.on_event(server, now, event)))
}

/// What is remembered between events.
#[derive(Default)]
struct Interop {
    /// Sockets that left, whose id watchers are told with the reason.
    leaving: BTreeMap<SocketKey, String>,
    questions: BTreeSet<(SocketKey, AckId)>,
}

impl Interop {
    fn on_event(&mut self, server: &mut Server, now: Instant, event: Event) {
        match event {
            Event::Connect(request) => connect(server, now, request),
            Event::Packet { socket, event, args, ack } => {
                // Sending fails when the client has just gone: its disconnect event follows.
                let _ = self.on_packet(server, now, socket, &event, &args, ack);
            }
            Event::Ack { socket, id, outcome } if self.questions.remove(&(socket, id)) => {
                let mut answer = vec![Value::from("timeout")];
                if let AckOutcome::Reply(args) = outcome {
                    answer = vec![Value::from("ok")];
                    answer.extend(args.to_values().unwrap_or_default());
                }
                let _ = emit(server, now, socket, "answered", &answer);
            }
            Event::Disconnecting { socket, .. } => {
                self.leaving.extend(server.sid(socket).map(|sid| (socket, sid.to_string())));
            }
            Event::Disconnect { socket, reason, .. } => {
                let target = Target { rooms: &[Room::Named("watchers")], ..Target::all(socket.namespace()) };
                let left = (self.leaving.remove(&socket), reason.as_str());
                if let Ok(left) = Payload::event("left", &left, MAX_ATTACHMENTS) {
                    let _ = server.broadcast(now, &target, &left);
                }
            }
            _ => {}
        }
    }

    fn on_packet(
        &mut self,
        server: &mut Server,
        now: Instant,
        socket: SocketKey,
        event: &str,
        args: &Args,
        ack: Option<AckToken>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        match event {
            "echo" => server.emit(now, socket, &Payload::event_from_args("echo", args)?)?,
            "echo-ack" => {
                if let Some(ack) = ack {
                    server.reply(now, &ack, &Payload::ack_from_args(args))?;
                }
            }
            "join" | "leave" => {
                let room: String = args.deserialize()?;
                if event == "join" {
                    server.join(socket, &room)?;
                } else {
                    server.leave(socket, &room);
                }
                if let Some(ack) = ack {
                    server.reply(now, &ack, &Payload::ack(&(), MAX_ATTACHMENTS)?)?;
                }
            }
            "broadcast" => {
                let (rooms, except): (Vec<String>, Vec<String>) = args.deserialize()?;
                let rooms: Vec<Room<'_>> = rooms.iter().map(|room| named_or_own(room)).collect();
                let except: Vec<Room<'_>> = except.iter().map(|room| named_or_own(room)).collect();
                let target = Target { namespace: socket.namespace(), rooms: &rooms, except: &except };
                server.broadcast(now, &target, &event_with("news", rest(args, 2)?)?)?;
            }
            "ask" => {
                let millis: u64 = args.deserialize()?;
                let question = event_with("question", rest(args, 1)?)?;
                let id = server.emit_with_ack(now, socket, &question, Duration::from_millis(millis))?;
                self.questions.insert((socket, id));
            }
            "burst" => {
                for tick in 0..args.deserialize::<u32>()? {
                    server.emit(now, socket, &Payload::event("tick", &tick, MAX_ATTACHMENTS)?)?;
                }
            }
            "kick" => server.disconnect(now, socket, args.deserialize()?),
            other => {
                let mut caught = vec![Value::from(other)];
                caught.extend(args.to_values()?);
                emit(server, now, socket, "caught", &caught)?;
            }
        }
        Ok(())
    }
}

fn connect(server: &mut Server, now: Instant, request: ConnectRequest) {
    let auth = request.auth().and_then(|auth| auth.to_value().ok()).unwrap_or_else(|| Object::new().into());
    if let Some(data) = auth.get("refuse") {
        if let Ok(error) = ConnectError::with_data("refused", data) {
            let _ = server.reject(now, request, &error);
        }
    } else if let Ok(socket) = server.accept(now, request) {
        let _ = emit(server, now, socket, "auth", &[auth]);
    }
}

fn emit(
    server: &mut Server,
    now: Instant,
    socket: SocketKey,
    event: &str,
    args: &[Value],
) -> Result<(), Box<dyn std::error::Error>> {
    Ok(server.emit(now, socket, &event_with(event, args.to_vec())?)?)
}

fn event_with(event: &str, args: Vec<Value>) -> Result<Payload, sockeye_protocol::socket::EncodeError> {
    Payload::event(event, &sockeye_protocol::socket::Spread(&args), MAX_ATTACHMENTS)
}

/// What JavaScript does not tell apart: a room, or the socket with that id.
fn named_or_own(room: &str) -> Room<'_> {
    room.parse::<Sid>().map_or(Room::Named(room), Room::Own)
}

fn rest(args: &Args, from: usize) -> Result<Vec<Value>, sockeye_protocol::socket::ArgsError> {
    Ok(args.to_values()?.split_off(from))
}
