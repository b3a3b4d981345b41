//! What the server sends.

use alloc::{boxed::Box, string::String};

use serde::Deserialize;

use super::{Manager, timers::NEVER};
use crate::{
    Text,
    ack::{AckId, AckOutcome},
    client::{
        error::{Error, Refusal},
        event::{DisconnectReason, Event},
        socket::{Early, Stage},
    },
    engine::buffer::{Excess, Load},
    socket::{Args, Data, Packet, PacketType, Value},
    text::MAIN,
    ws::Message,
};

impl Manager {
    /// Has each packet that arrives told as an [`Event::Received`], too (`packet` of a manager in JavaScript): for those
    /// who watch what a server says.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// use sockeye_protocol::socket::Packet;
    ///
    /// let (mut client, _, get) = connected();
    /// client.report_packets(true);
    /// let told = events(says(&mut client, get, r#"42["news"]"#));
    /// let [Event::Received(packet), Event::Packet { .. }] = &told[..] else { panic!() };
    /// assert!(matches!(**packet, Packet::Event { .. }));
    /// # }
    /// ```
    pub fn report_packets(&mut self, report: bool) {
        self.reports_packets = report;
    }

    /// The event that a packet is goes straight to the caller if nothing else is to be said before.
    pub(super) fn on_message(&mut self, message: Message) -> Option<Event> {
        if !self.is_open() {
            return None;
        }
        let decoded = match message {
            // Told of as a packet first.
            Message::Text(text) if self.reports_packets => self.decoder.handle_text(text),
            Message::Text(text) => match self.decoder.plain_event(text) {
                Ok((event, args)) => {
                    let index = self.index_of(&MAIN)?;
                    return self.on_event(index, Early { event, args, id: None });
                }
                Err(text) => self.decoder.handle_text(text),
            },
            Message::Binary(bytes) => self.decoder.handle_binary(bytes),
        };
        match decoded {
            Ok(Some(packet)) => {
                self.packet_deadline = NEVER;
                let is_reported = self.reports_packets;
                if is_reported {
                    self.push(Event::Received(Box::new(packet.clone())));
                }
                let event = self.on_packet(packet)?;
                if is_reported {
                    self.push(event);
                    return None;
                }
                Some(event)
            }
            Ok(None) => {
                if self.packet_deadline == NEVER {
                    self.packet_deadline = self.due(self.config.limits.packet_timeout);
                }
                None
            }
            Err(error) => {
                self.lose(DisconnectReason::ParseError, Some(Error::Packet(error)));
                None
            }
        }
    }

    fn index_of(&self, namespace: &Text) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.namespace.is_same(namespace))
    }

    fn on_packet(&mut self, packet: Packet) -> Option<Event> {
        let Some(index) = self.index_of(packet.namespace()) else {
            self.on_ghost(&packet);
            return None;
        };
        match packet {
            Packet::Connect { data, .. } => self.on_connect(index, data.as_ref()),
            Packet::ConnectError { data, .. } => self.on_connect_error(index, &data),
            Packet::Disconnect { .. } => self.on_disconnect(index),
            Packet::Event { id, event, args, .. } => return self.on_event(index, Early { event, args, id }),
            Packet::Ack { id, args, .. } => return self.on_ack(index, id, args),
        }
        None
    }

    fn on_connect(&mut self, index: usize, data: Option<&Data>) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        match socket.stage {
            Stage::Sent { .. } => {}
            Stage::GivenUp { .. } => return self.on_late_answer(index, true),
            // A server of protocol version 4 connects its clients by itself.
            Stage::Asking { .. } | Stage::Waiting { .. } if Identity::read(data).is_none() => {}
            // One that repeats itself, or that answers what nobody asked.
            Stage::Asking { .. } | Stage::Waiting { .. } | Stage::Joined | Stage::Out => return,
        }
        let Some(Identity { sid, pid, offset }) = Identity::read(data) else {
            socket.stage = Stage::Out;
            return self.give_up(index, Error::OldServer);
        };
        socket.join(sid.clone(), pid, offset);
        let (id, recovered) = (socket.id, socket.recovered);
        for early in socket.change_kept(|kept| kept.early.take()) {
            if let Some(socket) = self.sockets.get_mut(index) {
                let event = socket.deliver(early);
                self.push(event);
            }
        }
        self.flush(index);
        self.drain_queue(index);
        self.push(Event::Connect { socket: id, sid, recovered });
    }

    fn on_connect_error(&mut self, index: usize, data: &Data) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        match socket.stage {
            Stage::Sent { .. } => {
                socket.stage = Stage::Out;
                socket.change_kept(|kept| kept.early.take());
                self.give_up(index, Error::Refused(Refusal::read(data).into()));
            }
            Stage::GivenUp { .. } => self.on_late_answer(index, false),
            Stage::Asking { .. } | Stage::Waiting { .. } | Stage::Joined | Stage::Out => {}
        }
    }

    fn on_disconnect(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        match socket.stage {
            Stage::Joined => self.on_server_disconnect(index),
            // Of the session before: both sides left it at the same time.
            Stage::Sent { .. } if socket.stale => {}
            Stage::Sent { .. } => {
                socket.stage = Stage::Out;
                socket.change_kept(|kept| kept.early.take());
                self.give_up(index, Error::Closed(DisconnectReason::ServerDisconnect));
            }
            Stage::GivenUp { .. } if !socket.stale => self.on_late_answer(index, false),
            Stage::GivenUp { .. } | Stage::Asking { .. } | Stage::Waiting { .. } | Stage::Out => {}
        }
    }

    /// The answer to a CONNECT that this side did not want any more, until it perhaps wanted another one.
    fn on_late_answer(&mut self, index: usize, connected: bool) {
        if connected {
            self.send(index, PacketType::Disconnect, None, None);
        }
        let Some(socket) = self.sockets.get_mut(index) else { return };
        (socket.stage, socket.stale) = (Stage::Out, connected);
        if socket.active {
            self.ask_auth(index);
        }
    }

    #[inline]
    fn on_event(&mut self, index: usize, early: Early) -> Option<Event> {
        let limits = &self.config.limits;
        let limits = Load { packets: limits.early_packets, bytes: limits.early_bytes };
        let socket = self.sockets.get_mut(index)?;
        match socket.stage {
            Stage::Joined => return Some(socket.deliver(early)),
            Stage::Sent { .. } if !socket.stale => {
                if let Err(Excess { unit, limit, value }) = socket.change_kept(|kept| kept.early.push(early, limits)) {
                    // Else the server would send it all again.
                    socket.forget_session();
                    let error = Error::TooManyEarlyEvents { unit, limit, value };
                    self.lose(DisconnectReason::ParseError, Some(error));
                }
            }
            // What the server sent before it knew that this side has left.
            Stage::Sent { .. } | Stage::GivenUp { .. } | Stage::Asking { .. } | Stage::Waiting { .. } | Stage::Out => {}
        }
        None
    }

    fn on_ack(&mut self, index: usize, id: u64, args: Args) -> Option<Event> {
        let socket = self.sockets.get_mut(index).filter(|socket| socket.is_joined())?;
        let (name, outcome) = (socket.id, AckOutcome::Reply(args));
        if socket.acks.take(id) {
            return Some(Event::Ack { socket: name, id: AckId(id), outcome });
        }
        let event = socket.change_kept(|kept| kept.queue.on_ack(id))?;
        if event.wanted {
            self.push_ack(name, id, outcome);
        }
        self.drain_queue(index);
        None
    }
}

/// What a server says about a socket that it has connected.
struct Identity {
    sid: Text,
    pid: Option<Text>,
    /// Where the session begins, or goes on: our own server says so, others tell it with events alone.
    offset: Option<Text>,
}

impl Identity {
    /// Reads the data of a CONNECT answer (Socket.IO protocol v5, "Connection to a namespace"). The texts are copied, so
    /// that they do not keep the message that they came in.
    fn read(data: Option<&Data>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields {
            sid: String,
            #[serde(default)]
            pid: Option<String>,
            #[serde(default)]
            offset: Option<Value>,
        }
        let Fields { sid, pid, offset } = data?.deserialize().ok()?;
        let sid = Some(sid).filter(|sid| !sid.is_empty())?;
        let offset = offset.as_ref().and_then(Value::as_str).map(Text::from);
        Some(Self { sid: sid.into(), pid: pid.filter(|pid| !pid.is_empty()).map(Text::from), offset })
    }
}
