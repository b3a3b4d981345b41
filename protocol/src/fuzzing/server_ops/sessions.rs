//! A model of connection state recovery: which sessions there are, what each must get, and what clients have seen of it.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use super::Script;
use crate::{
    ConnKey, Instant, NspId, Recovery, SocketKey,
    server::{ConnectRequest, DisconnectReason},
};

/// How long a lost session is kept.
const KEPT: Duration = Duration::from_secs(20);

/// The sessions of a server.
#[derive(Default)]
pub(super) struct Sessions {
    /// By public id.
    all: BTreeMap<String, Session>,
    /// Those of sockets that wait to be accepted: what each is to go on with, and what it has missed.
    claims: BTreeMap<SocketKey, (String, usize)>,
    /// How many have asked for a session, by its private id, whose requests have not come; of those that never will, too.
    asking: BTreeMap<String, usize>,
    /// The number of the newest event of each namespace.
    newest: BTreeMap<NspId, u64>,
    /// What each connection has still to get, in its order.
    coming: BTreeMap<(ConnKey, NspId), VecDeque<Item>>,
    /// Connections whose clients have missed something.
    deaf: BTreeSet<ConnKey>,
    /// What clients have been told, and the session of each namespace of each connection.
    known: Vec<Known>,
    current: BTreeMap<(ConnKey, NspId), String>,
    /// Nothing before this is still to be looked at.
    settled: Instant,
    /// How often a client asked for a session and got it.
    pub(super) recovered: usize,
}

struct Session {
    namespace: NspId,
    /// The numbers of the events that were for it.
    meant: Vec<u64>,
    rooms: BTreeSet<String>,
    place: Place,
    /// It has ended for good; its socket is about to be gone.
    forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Connected(SocketKey),
    /// Between these times.
    Lost(Instant, Instant),
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Event(u64),
    /// The answer to CONNECT.
    Answer(String),
}

/// A session as a client knows it.
struct Known {
    name: String,
    sid: String,
    pid: String,
    tag: String,
    /// The last event that has arrived.
    newest: u64,
}

impl Sessions {
    pub(super) fn config() -> Recovery {
        Recovery { max_disconnection_duration: KEPT, ..Recovery::default() }
    }

    /// A CONNECT that asks for some session, with an offset that is right, missing, too old, or none at all.
    pub(super) fn claim(&mut self, script: &mut Script<'_>) -> Option<String> {
        let known = self.known.get(script.pick(self.known.len()))?;
        *self.asking.entry(known.pid.clone()).or_default() += 1;
        let newest = known.newest;
        let number = match script.pick(6) {
            0 => None,
            1 => Some(newest.saturating_sub(u64::from(script.byte()) % 4)),
            2 => Some(newest + 100),
            _ => Some(newest),
        };
        let offset = number.map_or(String::new(), |number| alloc::format!(",\"offset\":\"{}.{number}\"", known.tag));
        let comma = if known.name == "/" { "" } else { "," };
        let name = if known.name == "/" { "" } else { &known.name };
        Some(alloc::format!("40{name}{comma}{{\"pid\":\"{}\"{offset}}}", known.pid))
    }

    /// All that has come is looked at.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled = now;
    }

    /// A client asks for a namespace; `rooms` are those that its socket is in already, if it is still there.
    pub(super) fn on_connect(&mut self, now: Instant, request: &ConnectRequest, rooms: Option<BTreeSet<String>>) {
        #[derive(serde::Deserialize)]
        struct Auth {
            pid: Option<String>,
            offset: Option<String>,
        }
        let auth = request.auth().and_then(|auth| auth.deserialize::<Auth>().ok());
        let (pid, offset) = auth.map(|auth| (auth.pid, auth.offset)).unwrap_or_default();
        let number = offset.as_ref().and_then(|offset| offset.split_once('.')?.1.parse::<u64>().ok());
        let sid = request.sid().to_string();
        let others = pid.as_ref().and_then(|pid| self.asking.get_mut(pid)).map_or(0, |asking| {
            *asking = asking.saturating_sub(1);
            *asking
        });
        if request.is_recovered() {
            let session = self.all.get(&sid).expect("a session that there was");
            assert!(self.known.iter().any(|known| known.sid == sid && Some(&known.pid) == pid.as_ref()));
            let Place::Lost(_, latest) = session.place else { panic!("{sid} is at two places") };
            assert!(self.settled <= latest + KEPT, "{sid} has ended");
            assert!(rooms.as_ref().is_none_or(|rooms| *rooms == session.rooms), "it is in its rooms");
            let has = session.meant.iter().filter(|event| number.is_some_and(|number| **event <= number)).count();
            self.recovered += 1;
            // Only the last one who asks may have it.
            self.claims.retain(|_, (other, _)| *other != sid);
            if rooms.is_some() {
                self.claims.insert(request.socket(), (sid, has));
            }
            return;
        }
        assert!(!self.all.contains_key(&sid) && rooms.is_none_or(|rooms| rooms.is_empty()), "a new session");
        let Some(known) = self.known.iter().find(|known| Some(&known.pid) == pid.as_ref()) else { return };
        let Some(session) = self.all.get(&known.sid) else { return };
        let waits = self.claims.values().any(|(other, _)| *other == known.sid);
        let has_all = number.is_some() && number == session.meant.last().copied() && session.meant.len() < 16;
        if let Place::Lost(earliest, _) = session.place
            && has_all
            && !waits
            // Of several who ask, the last one may have it.
            && others == 0
            && !session.forgotten
        {
            assert!(now > earliest + KEPT, "{} is there, and has missed nothing", known.sid);
        }
    }

    /// A socket is accepted.
    pub(super) fn on_accept(&mut self, connection: ConnKey, socket: SocketKey, sid: String) {
        let namespace = socket.namespace();
        let coming = self.coming.entry((connection, namespace)).or_default();
        if let Some((claimed, has)) = self.claims.remove(&socket) {
            assert_eq!(claimed, sid);
            let session = self.all.get_mut(&sid).expect("it was there when it was asked for");
            session.place = Place::Connected(socket);
            if let Some(known) = self.known.iter().find(|known| known.sid == sid) {
                self.asking.remove(&known.pid);
            }
            coming.extend(session.meant.iter().skip(has).map(|event| Item::Event(*event)));
        } else {
            let (meant, rooms, place) = (Vec::new(), BTreeSet::new(), Place::Connected(socket));
            let session = Session { namespace, meant, rooms, place, forgotten: false };
            assert!(self.all.insert(sid.clone(), session).is_none());
        }
        coming.push_back(Item::Answer(sid));
    }

    /// An event was sent to those for whom `is_for` says so: to sockets with their connections, and to sessions that are
    /// lost, which are in these rooms.
    pub(super) fn on_event(
        &mut self,
        namespace: NspId,
        connection: impl Fn(SocketKey) -> Option<ConnKey>,
        is_for: impl Fn(&str, Option<SocketKey>, &BTreeSet<String>) -> bool,
    ) {
        let newest = self.newest.entry(namespace).or_default();
        *newest += 1;
        for (sid, session) in self.all.iter_mut().filter(|(_, session)| session.namespace == namespace) {
            let socket = match session.place {
                Place::Connected(socket) => Some(socket),
                Place::Lost(..) => None,
            };
            if is_for(sid, socket, &session.rooms) {
                session.meant.push(*newest);
                if let Some(connection) = socket.and_then(&connection) {
                    self.coming.entry((connection, namespace)).or_default().push_back(Item::Event(*newest));
                }
            }
        }
    }

    /// A socket is gone, out of these rooms.
    pub(super) fn on_disconnect(
        &mut self,
        now: Instant,
        socket: SocketKey,
        rooms: BTreeSet<String>,
        reason: DisconnectReason,
    ) {
        let place = Place::Connected(socket);
        let found = self.all.iter_mut().find(|(_, session)| session.place == place);
        let (sid, session) = found.expect("each socket has a session");
        assert!(session.forgotten || reason.is_recoverable(), "{reason}");
        (session.place, session.rooms) = (Place::Lost(self.settled, now), rooms);
        if session.forgotten {
            let sid = sid.clone();
            self.all.remove(&sid);
        }
    }

    pub(super) fn on_forgotten(&mut self, sid: &str) {
        let session = self.all.get_mut(sid).expect("forgotten once");
        assert!(!core::mem::replace(&mut session.forgotten, true), "forgotten once");
        if let Place::Lost(..) = session.place {
            self.all.remove(sid);
        }
    }

    /// A client has missed something: what still comes is nobody's.
    pub(super) fn on_deaf(&mut self, connection: ConnKey) {
        self.deaf.insert(connection);
    }

    /// A client hears a packet of Engine.IO.
    pub(super) fn hear(&mut self, connection: ConnKey, names: impl Fn(&str) -> Option<NspId>, packet: &str) {
        let Some((kind, rest)) = packet.split_at_checked(2).filter(|(kind, _)| matches!(*kind, "40" | "42")) else {
            return;
        };
        let end = rest.find(['{', '[', ',']).unwrap_or(rest.len());
        let (name, rest) = if rest.starts_with('/') { rest.split_at(end) } else { ("/", rest) };
        let json = rest.trim_start_matches(',');
        let namespace = names(name).expect("a namespace");
        let item = if kind == "40" {
            #[derive(serde::Deserialize)]
            struct Answer {
                sid: String,
                pid: String,
                offset: String,
            }
            let Answer { sid, pid, offset } = serde_json::from_str(json).expect("an answer");
            let (tag, number) = offset.split_once('.').expect("an offset");
            self.known.retain(|known| known.pid != pid);
            let newest = number.parse().expect("a number");
            let (name, tag) = (name.to_string(), tag.to_string());
            self.current.insert((connection, namespace), sid.clone());
            self.known.push(Known { name, sid: sid.clone(), pid, tag, newest });
            Item::Answer(sid)
        } else if json.starts_with('[') {
            let args: Vec<serde_json::Value> = serde_json::from_str(json).expect("an array");
            let offset = args.last().and_then(serde_json::Value::as_str);
            let (_, number) = offset.and_then(|offset| offset.split_once('.')).expect("an offset");
            let number = number.parse().expect("a number");
            if let Some(sid) = self.current.get(&(connection, namespace)) {
                self.known.iter_mut().filter(|known| known.sid == *sid).for_each(|known| known.newest = number);
            }
            Item::Event(number)
        } else {
            // It asks for an acknowledgement: no offset, no replay.
            return;
        };
        if !self.deaf.contains(&connection) {
            let coming = self.coming.entry((connection, namespace)).or_default().pop_front();
            assert_eq!(coming, Some(item), "on {connection:?}, {name}");
        }
    }

    /// How many wait for their clients.
    pub(super) fn lost(&self) -> usize {
        self.all.values().filter(|session| matches!(session.place, Place::Lost(..))).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether everything that was sent on a connection has come.
    pub(super) fn has_all(&self, connection: ConnKey) -> bool {
        let all = self.coming.iter().all(|((other, _), coming)| *other != connection || coming.is_empty());
        all || self.deaf.contains(&connection)
    }
}
