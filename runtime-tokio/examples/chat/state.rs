//! Who is where.

use std::collections::BTreeMap;

use serde::Serialize;
use sockeye_tokio::prelude::*;

/// Characters of a name, and of a room's.
const MAX_NAME: usize = 24;
/// The room that is always there.
const LOBBY: &str = "lobby";

/// A socket's name and its room: its `data`.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) room: String,
}

impl Place {
    /// What somebody asks for, in good order: or what is wrong with it.
    pub(crate) fn new(name: &str, room: &str) -> Result<Self, &'static str> {
        let name = tidy(name);
        let room = tidy(room.trim_start().trim_start_matches('#')).to_lowercase();
        if !name.contains(char::is_alphanumeric) {
            return Err("Please choose a name.");
        }
        if name.chars().count() > MAX_NAME {
            return Err("A name has at most 24 characters.");
        }
        if !room.contains(char::is_alphanumeric) {
            return Err("Please choose a room.");
        }
        if room.chars().count() > MAX_NAME {
            return Err("A room's name has at most 24 characters.");
        }
        Ok(Self { name, room })
    }

    /// Names that differ only in case are the same.
    fn folded_name(&self) -> String {
        self.name.to_lowercase()
    }
}

/// The text without control characters, and with single spaces inside.
fn tidy(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.replace(char::is_control, ""));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A room and how many are in it.
#[derive(Serialize)]
pub(crate) struct RoomInfo<'a> {
    name: &'a str,
    users: usize,
}

/// Everybody who has joined, by folded name.
#[derive(Default)]
pub(crate) struct Members(BTreeMap<String, Member>);

struct Member {
    place: Place,
    socket: Sid,
    key: Option<String>,
}

impl Members {
    /// Gives a socket a place instead of its old one. If the name was that of another socket with the same key, gives
    /// that one, which has lost it.
    pub(crate) fn seat(
        &mut self,
        socket: Sid,
        key: Option<String>,
        old: Option<&Place>,
        place: &Place,
    ) -> Result<Option<Sid>, String> {
        let holder = self.0.get(&place.folded_name()).filter(|holder| holder.socket != socket);
        if holder.is_some_and(|holder| key.is_none() || holder.key != key) {
            return Err(format!("The name {} is taken.", place.name));
        }
        let replaced = holder.map(|holder| holder.socket);
        if let Some(old) = old {
            self.unseat(socket, old);
        }
        self.0.insert(place.folded_name(), Member { place: place.clone(), socket, key });
        Ok(replaced)
    }

    /// Takes a socket's place away. Whether it still had it.
    pub(crate) fn unseat(&mut self, socket: Sid, place: &Place) -> bool {
        let name = place.folded_name();
        let had_it = self.0.get(&name).is_some_and(|member| member.socket == socket);
        if had_it {
            self.0.remove(&name);
        }
        had_it
    }

    /// The names of who is in a room.
    pub(crate) fn users(&self, room: &str) -> Vec<&str> {
        self.places().filter(|place| place.room == room).map(|place| place.name.as_str()).collect()
    }

    /// The rooms that somebody is in, and the lobby.
    pub(crate) fn rooms(&self) -> Vec<RoomInfo<'_>> {
        let mut rooms = BTreeMap::from([(LOBBY, 0)]);
        for place in self.places() {
            *rooms.entry(&place.room).or_default() += 1;
        }
        rooms.into_iter().map(|(name, users)| RoomInfo { name, users }).collect()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.values().map(|member| &member.place)
    }
}
