//! The rooms of one namespace: who is in which, and who a broadcast reaches.

use alloc::vec::Vec;

use slab::Slab;

use crate::{
    Text,
    hash::{FastMap, Keyed, KeyedMap},
    key::Sid,
};

/// A room, as the target of a broadcast or of a selection.
///
/// In Socket.IO every socket is alone in a room that is named after its id. Here these rooms have a key space of their
/// own, so that nobody overhears a socket by joining a room with its id as the name.
///
/// ```
/// use sockeye_protocol::server::Room;
/// assert_eq!(Room::from("news"), Room::Named("news"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room<'a> {
    /// A room that sockets join and leave.
    Named(&'a str),
    /// The room of one socket alone, by its id in the namespace.
    Own(Sid),
}

impl<'a> From<&'a str> for Room<'a> {
    fn from(name: &'a str) -> Self {
        Self::Named(name)
    }
}

impl From<Sid> for Room<'_> {
    fn from(sid: Sid) -> Self {
        Self::Own(sid)
    }
}

/// Memberships of sockets (by index) in rooms. A room exists while somebody is in it.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// Names are chosen by the application, often from what peers say: keyed.
    names: KeyedMap<Text, u32>,
    rooms: Slab<Members>,
    /// (room, socket) to the places of each in the other's list.
    places: FastMap<(u32, u32), Place>,
}

#[derive(Debug)]
struct Members {
    name: Text,
    sockets: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    in_room: u32,
    in_socket: u32,
}

/// What a socket entry keeps for this module: the rooms that it is in.
pub(crate) type Joined = Vec<u32>;

impl Rooms {
    pub(crate) fn new(hasher: Keyed) -> Self {
        Self { names: KeyedMap::with_hasher(hasher), rooms: Slab::new(), places: FastMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn memberships(&self) -> usize {
        self.places.len()
    }

    /// Puts a socket into a room: the room's name, and whether it is new. `None` if the socket was in it already.
    pub(crate) fn join(&mut self, socket: u32, joined: &mut Joined, name: &str) -> Option<(Text, bool)> {
        let (room, created) = match self.names.get(name) {
            Some(room) => (*room, false),
            None => {
                let name = Text::from(name);
                let room = index(self.rooms.insert(Members { name: name.clone(), sockets: Vec::new() }));
                self.names.insert(name, room);
                (room, true)
            }
        };
        if self.places.contains_key(&(room, socket)) {
            return None;
        }
        let members = self.rooms.get_mut(room as usize)?;
        self.places
            .insert((room, socket), Place { in_room: index(members.sockets.len()), in_socket: index(joined.len()) });
        members.sockets.push(socket);
        joined.push(room);
        Some((members.name.clone(), created))
    }

    /// Takes a socket out of a room: the room's name, and whether it is gone. `None` if the socket was not in it.
    pub(crate) fn leave(&mut self, socket: u32, joined: &mut Joined, name: &str) -> Option<(Text, bool)> {
        let room = *self.names.get(name)?;
        self.take_out(socket, joined, room)
    }

    /// Takes a socket out of the last room of its list: the room's name, and whether it is gone.
    pub(crate) fn leave_last(&mut self, socket: u32, joined: &mut Joined) -> Option<(Text, bool)> {
        let room = *joined.last()?;
        self.take_out(socket, joined, room)
    }

    /// The sockets in a room.
    pub(crate) fn members(&self, name: &str) -> &[u32] {
        let room = self.names.get(name).and_then(|room| self.rooms.get(*room as usize));
        room.map_or(&[], |members| &members.sockets)
    }

    /// Whether a socket is in a room.
    pub(crate) fn contains(&self, name: &str, socket: u32) -> bool {
        self.names.get(name).is_some_and(|room| self.places.contains_key(&(*room, socket)))
    }

    /// The names of the rooms of a socket's list.
    pub(crate) fn names<'a>(&'a self, joined: &'a Joined) -> impl Iterator<Item = &'a Text> {
        joined.iter().filter_map(|room| self.rooms.get(*room as usize)).map(|members| &members.name)
    }

    fn take_out(&mut self, socket: u32, joined: &mut Joined, room: u32) -> Option<(Text, bool)> {
        let place = self.places.remove(&(room, socket))?;
        let members = self.rooms.get_mut(room as usize)?;
        members.sockets.swap_remove(place.in_room as usize);
        let moved = members.sockets.get(place.in_room as usize).copied();
        let name = members.name.clone();
        let gone = members.sockets.is_empty();
        if let Some(place_of_moved) = moved.and_then(|moved| self.places.get_mut(&(room, moved))) {
            place_of_moved.in_room = place.in_room;
        }
        joined.swap_remove(place.in_socket as usize);
        let moved = joined.get(place.in_socket as usize).copied();
        if let Some(place_of_moved) = moved.and_then(|moved| self.places.get_mut(&(moved, socket))) {
            place_of_moved.in_socket = place.in_socket;
        }
        if gone {
            self.rooms.remove(room as usize);
            self.names.remove(&name);
        }
        if self.places.is_empty() {
            // A churn of a million rooms leaves nothing behind.
            self.places.shrink_to(0);
            self.names.shrink_to(0);
            self.rooms = Slab::new();
        }
        Some((name, gone))
    }
}

fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::{
        collections::{BTreeMap, BTreeSet},
        string::{String, ToString},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Rng, Seed};

    fn rooms() -> Rooms {
        Rooms::new(Keyed::new(&mut Rng::new(&Seed::for_tests(1))))
    }

    #[test]
    fn a_room_exists_while_somebody_is_in_it() {
        let mut rooms = rooms();
        let (mut a, mut b) = (Joined::new(), Joined::new());
        assert_eq!(rooms.join(0, &mut a, "r"), Some(("r".into(), true)));
        assert_eq!(rooms.join(1, &mut b, "r"), Some(("r".into(), false)));
        assert_eq!(rooms.join(1, &mut b, "r"), None);
        assert_eq!(rooms.leave(0, &mut a, "r"), Some(("r".into(), false)));
        assert_eq!(rooms.leave(0, &mut a, "r"), None);
        assert_eq!(rooms.members("r"), [1]);
        assert_eq!(rooms.leave_last(1, &mut b), Some(("r".into(), true)));
        assert_eq!(rooms.leave_last(1, &mut b), None);
        assert_eq!((rooms.len(), rooms.memberships(), rooms.members("r").len()), (0, 0, 0));
        assert_eq!((rooms.rooms.capacity(), rooms.places.capacity(), rooms.names.capacity()), (0, 0, 0));
    }

    proptest! {
        /// Against a map of sets: memberships, room counts, and the lists of both sides agree after each step.
        #[test]
        fn agrees_with_a_map_of_sets(steps in prop::collection::vec((0..3u8, 0..6u32, 0..5u8), 0..200)) {
            let mut rooms = rooms();
            let mut joined: Vec<Joined> = (0..6).map(|_| Joined::new()).collect();
            let mut model: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
            for (verb, socket, room) in steps {
                let name = room.to_string();
                let own = &mut joined[socket as usize];
                match verb {
                    0 => {
                        let expected = match model.get(&name) {
                            Some(set) if set.contains(&socket) => None,
                            other => Some(other.is_none()),
                        };
                        prop_assert_eq!(rooms.join(socket, own, &name).map(|(_, created)| created), expected);
                        model.entry(name).or_default().insert(socket);
                    }
                    1 => {
                        let was = model.get_mut(&name).is_some_and(|set| set.remove(&socket));
                        let gone = model.get(&name).is_some_and(BTreeSet::is_empty);
                        if gone {
                            model.remove(&name);
                        }
                        prop_assert_eq!(rooms.leave(socket, own, &name).map(|(_, gone)| gone), was.then_some(gone));
                    }
                    _ => while let Some((name, gone)) = rooms.leave_last(socket, own) {
                        let set = model.get_mut(name.as_str()).unwrap();
                        prop_assert!(set.remove(&socket));
                        prop_assert_eq!(gone, set.is_empty());
                        if gone {
                            model.remove(name.as_str());
                        }
                    }
                }
                prop_assert_eq!(rooms.len(), model.len());
                prop_assert_eq!(rooms.memberships(), model.values().map(BTreeSet::len).sum::<usize>());
                for (name, set) in &model {
                    prop_assert_eq!(&rooms.members(name).iter().copied().collect::<BTreeSet<_>>(), set);
                }
                for (socket, own) in joined.iter().enumerate() {
                    let names: BTreeSet<_> = rooms.names(own).map(ToString::to_string).collect();
                    let expected = model.iter().filter(|(_, set)| set.contains(&(socket as u32)));
                    prop_assert_eq!(names, expected.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>());
                }
            }
        }
    }
}
