//! The server's application.

use std::{collections::BTreeSet, time::Duration};

use sockeye_protocol::{
    SocketKey,
    server::{AckOutcome, ConnectError, ConnectRequest, DisconnectReason, EmitError, Error, Event, Room, Target},
    socket::Payload,
};

use super::{
    super::secs,
    Mood, NAMESPACES, ROOMS, Talk,
    model::{Asked, Note, Place, Session, number_of, payload},
};

impl Talk {
    fn any_key(&mut self) -> Option<SocketKey> {
        let at = self.dice.below(self.keys.len() as u64) as usize;
        self.keys.keys().nth(at).copied()
    }

    pub fn server_emits(&mut self) {
        let timeout = self.dice.pick(&[None, None, Some(0), Some(2), Some(30)]).map(secs);
        if let Some(key) = self.any_key() {
            self.emit_to(key, timeout);
        }
    }

    /// Emits the next event to a socket; with the time for an acknowledgement, if one is asked for.
    pub(super) fn emit_to(&mut self, key: SocketKey, ack: Option<Duration>) {
        let (now, number) = (self.now(), self.sent);
        let payload = payload(&mut self.dice, number);
        let server = &mut self.pair.server;
        let emitted = match ack {
            None => server.emit(now, key, &payload),
            Some(timeout) => server.emit_with_ack(now, key, &payload, timeout).map(|id| {
                let due = Some(now + timeout.max(Duration::from_micros(1)));
                assert!(
                    self.server_acks
                        .insert((key, id), Asked { number, due, each: None, latest: None, link: None })
                        .is_none(),
                    "{id} twice"
                );
            }),
        };
        match emitted {
            Ok(()) => {
                self.sent += 1;
                let note = Note { number, recoverable: ack.is_none() && self.options.server.recovery.is_some() };
                self.tells(self.keys[&key], note);
            }
            // The last one ends a socket that does not take what it gets.
            Err(EmitError::Full(_) | EmitError::NotConnected) => assert!(!self.options.ample),
            Err(EmitError::TooManyAcks { limit }) => assert!(limit <= self.server_acks.len()),
            Err(error) => panic!("{error}"),
        }
    }

    /// An event is sent on a link.
    fn tells(&mut self, link: usize, note: Note) {
        let now = self.now();
        let link = &mut self.links[link];
        link.down.push(note);
        if note.recoverable {
            self.sessions[link.session.expect("accepted")].meant.push((note.number, now));
        }
    }

    pub(super) fn server_broadcasts(&mut self) {
        let index = self.dice.below(4) as usize;
        let (to, but) = (self.dice.below(8), self.dice.below(4));
        let named = |bits: u64| ROOMS.into_iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1);
        let rooms: Vec<Room<'_>> = named(to).map(|(_, name)| Room::Named(name)).collect();
        let except: Vec<Room<'_>> = named(but & to).map(|(_, name)| Room::Named(name)).collect();
        let (now, number) = (self.now(), self.sent);
        self.sent += 1;
        let payload = payload(&mut self.dice, number);
        let namespace = self.pair.server.hub().namespace(NAMESPACES[index]).expect("it was made");
        let target = Target { rooms: &rooms, except: &except, ..Target::all(namespace) };
        let is_in = |session: &Session, bits| named(bits).any(|(_, name)| session.rooms.contains(name));
        let meant =
            |session: &Session| session.index == index && (to == 0 || is_in(session, to)) && !is_in(session, but & to);
        let recoverable = self.options.server.recovery.is_some();
        let mut recipients = 0;
        for session in self.sessions.iter_mut().filter(|session| meant(session)) {
            match session.place {
                Place::Connected(link) => {
                    recipients += 1;
                    self.links[link].down.push(Note { number, recoverable });
                }
                Place::Lost(_) => {}
                Place::Ended => continue,
            }
            if recoverable {
                session.meant.push((number, now));
            }
        }
        assert_eq!(self.pair.server.broadcast(now, &target, &payload), Ok(recipients));
    }

    /// A socket joins or leaves a room.
    pub(super) fn server_moves(&mut self) {
        let (room, join) = (self.dice.pick(&ROOMS), self.dice.chance(600));
        let Some(key) = self.any_key() else { return };
        let session = &mut self.sessions[self.links[self.keys[&key]].session.expect("accepted")];
        if join {
            assert_eq!(self.pair.server.join(key, room), Ok(session.rooms.insert(room)));
        } else {
            assert_eq!(self.pair.server.leave(key, room), session.rooms.remove(room));
        }
    }

    /// Every socket is in the rooms that it joined, in this life or another.
    pub(super) fn check_rooms(&self) {
        for (key, link) in &self.keys {
            let rooms = &self.sessions[self.links[*link].session.expect("accepted")].rooms;
            let server: BTreeSet<&str> = self.pair.server.rooms(*key).map(|room| &**room).collect();
            assert_eq!(&server, rooms);
        }
    }

    pub(super) fn server_replies(&mut self) {
        if !self.server_tokens.is_empty() {
            let at = self.dice.below(self.server_tokens.len() as u64) as usize;
            let (token, number, index) = self.server_tokens.remove(at);
            let answer = Payload::ack(&number, 10).expect("encodable");
            match self.pair.server.reply(self.pair.now, &token, &answer) {
                Ok(()) => {
                    self.sides[index].replied.insert(number);
                }
                // Perhaps that is still to be told.
                Err(EmitError::NotConnected) => {}
                Err(EmitError::Full(_)) => assert!(!self.options.ample),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The server ends a socket, or a whole connection.
    pub(super) fn server_dismisses(&mut self) {
        let Some(key) = self.any_key() else { return };
        let (now, close) = (self.now(), self.dice.chance(300));
        let number = self.keys[&key];
        self.links[number].dismissed = true;
        if close {
            self.excuse();
        }
        let server = &mut self.pair.server;
        match self.dice.below(4) {
            0 => {
                let namespace = server.hub().namespace(NAMESPACES[self.links[number].index]).expect("it was made");
                let sid = server.sid(key).expect("connected");
                let target = Target { rooms: &[Room::Own(sid)], ..Target::all(namespace) };
                server.disconnect_sockets(now, &target, close);
            }
            1 if close => {
                let connection = server.hub().connection(key).expect("connected");
                // What was on its way is lost, also that of sockets that were gone before.
                self.links.iter_mut().for_each(|link| link.left = true);
                server.abort(now, connection);
            }
            _ => server.disconnect(now, key, close),
        }
    }

    /// What is under way on all namespaces may end because this side has ended their connection, or answers nobody.
    pub(super) fn excuse(&mut self) {
        self.ended += 1;
        for link in self.sides.iter().filter_map(|side| side.link).chain(self.keys.values().copied()) {
            self.links[link].dismissed = true;
        }
    }

    /// Accepts a client, or not.
    pub(super) fn decide(&mut self, request: ConnectRequest) {
        let now = self.now();
        let (key, sid, number) = (request.socket(), request.sid(), link_of(&request));
        if self.mood.server && self.dice.chance(100) {
            let error = ConnectError::new("no").expect("encodable");
            // It may have gone away meanwhile.
            if self.pair.server.reject(now, request, &error).is_ok() {
                self.links[number].dismissed = true;
            }
            return;
        }
        let room = self.dice.pick(&ROOMS);
        let joins = self.dice.chance(100) && self.pair.server.join(key, room).is_ok();
        let recovered = request.is_recovered();
        if self.pair.server.accept(now, request).is_err() {
            return;
        }
        let link = &mut self.links[number];
        let session = if let Some(claim) = link.claim.filter(|_| recovered) {
            let session = &mut self.sessions[claim];
            session.place = Place::Connected(number);
            let missed = session.meant[session.got..].iter();
            link.down.extend(missed.map(|(number, _)| Note { number: *number, recoverable: true }));
            claim
        } else {
            self.sessions.push(Session::new(link.index, self.pair.generation, sid.to_string(), number));
            self.sessions.len() - 1
        };
        (link.session, link.recovered, link.lives) = (Some(session), recovered, true);
        if joins {
            self.sessions[session].rooms.insert(room);
        }
        self.keys.insert(key, number);
    }

    pub(super) fn on_server(&mut self, event: Event) {
        match event {
            Event::Connect(request) => {
                self.check_request(&request);
                if self.mood.server && self.dice.chance(200) {
                    self.undecided.push(request);
                } else {
                    self.decide(request);
                }
            }
            Event::Packet { socket, args, ack, .. } => {
                let number = number_of(&args);
                let at = self.keys[&socket];
                let link = &mut self.links[at];
                let sent = link.up.get(link.received);
                assert_eq!(sent, Some(&number), "the server on link {at}, {}", NAMESPACES[link.index]);
                self.counts.again += u64::from(link.received > 0 && link.up[link.received - 1] == number);
                link.received += 1;
                self.counts.up += 1;
                if let Some(token) = ack {
                    self.server_tokens.push((token, number, link.index));
                    if self.dice.chance(700) {
                        self.server_replies();
                    }
                }
            }
            Event::Ack { socket, id, outcome } => {
                let Asked { number, due, .. } =
                    self.server_acks.remove(&(socket, id)).expect("asked for, and not ended yet");
                match outcome {
                    AckOutcome::Reply(args) => {
                        assert_eq!(args.deserialize(), Ok(number), "the answer to another event")
                    }
                    AckOutcome::Timeout => assert!(due.is_none_or(|due| due <= self.now()), "too early"),
                    _ => {}
                }
            }
            Event::Disconnect { socket, reason, .. } => {
                let number = self.keys.remove(&socket).expect("once for each that was accepted");
                assert!(
                    !self.server_acks.keys().any(|(key, _)| *key == socket),
                    "no acknowledgement outlives its socket"
                );
                let now = self.now();
                let link = &mut self.links[number];
                link.ends_on_server();
                let session = &mut self.sessions[link.session.expect("accepted")];
                assert_eq!(session.place, Place::Connected(number));
                let kept = reason.is_recoverable() && self.options.server.recovery.is_some();
                // It was slow, or accepted so late that the log had lost what it has missed.
                let ended = reason == DisconnectReason::SlowConsumer || (kept && session.is_forgotten(&self.pair));
                if kept {
                    session.lose(now)
                } else {
                    session.end()
                }
                if kept && reason == DisconnectReason::ForcedClose {
                    // The client has closed and opened, and goes on with a session on another connection: this one ends,
                    // with what was still on its way.
                    (link.left, link.dismissed) = (true, true);
                }
                // Unless the CONNECT of the connection before comes last.
                let newest =
                    kept && reason == DisconnectReason::ForcedClose && self.sides[link.index].link == Some(number);
                if newest {
                    self.excuse();
                }
                if ended {
                    let link = &mut self.links[number];
                    (link.left, link.dismissed) = (true, true);
                    self.excuse();
                }
            }
            Event::Forgotten { sid, .. } => {
                let sid = sid.to_string();
                let session = self.sessions.iter_mut().find(|session| session.sid == sid).expect("accepted once");
                session.forget();
            }
            // Whatever happens, the client says nothing that the protocol forbids.
            Event::Close { error: Some(error), .. } => {
                let broken = matches!(
                    error,
                    Error::NotJoined(_) | Error::JoinedTwice(_) | Error::Packet(_) | Error::ConnectErrorFromClient
                );
                assert!(!broken, "{error}");
                let Mood { client, server, .. } = self.options.mood;
                match error {
                    Error::ConnectTimeout { .. } if client || server => self.excuse(),
                    Error::SlowConsumer(_) => self.excuse(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Who asks for a session that is there gets it, and nobody else does.
    fn check_request(&mut self, request: &ConnectRequest) {
        let now = self.now();
        let number = link_of(request);
        let recovered = request.is_recovered();
        let Some(claim) = self.links[number].claim else { return assert!(!recovered, "nobody has asked for it") };
        let session = &self.sessions[claim];
        if recovered {
            assert_eq!((&*request.sid().to_string(), session.generation), (&*session.sid, self.pair.generation));
            assert!(matches!(session.place, Place::Lost(_)), "{session:?}");
        } else if let Some(recovery) = &self.options.server.recovery {
            let silence = self.options.server.ping_interval + self.options.server.ping_timeout;
            let must = session.must_be_there(now, recovery.max_disconnection_duration, silence);
            assert!(!(must && self.options.ample), "a session was lost: {session:?}");
        }
    }
}

/// The number of the link that a client asks for.
fn link_of(request: &ConnectRequest) -> usize {
    #[derive(serde::Deserialize)]
    struct Auth {
        link: usize,
    }
    let auth: Auth = request.auth().expect("given").deserialize().expect("an object");
    auth.link
}
