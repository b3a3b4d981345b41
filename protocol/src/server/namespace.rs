//! One namespace of a hub: its sockets, and the selection of those that a target names.

use alloc::{boxed::Box, vec::Vec};

use slab::Slab;

use super::{
    recovery::Store,
    rooms::{Joined, Room, Rooms},
};
use crate::{
    Text,
    hash::{FastMap, Keyed},
    key::{ConnKey, NspId, Sid, SocketKey},
};

/// The sockets that an operation reaches: those in any of `rooms` (all sockets of the namespace if there are none),
/// each once, less those in any of `except`.
///
/// ```
/// # use sockeye_protocol::server::{Hub, Room, Target};
/// # use sockeye_protocol::{Config, Seed};
/// # let mut hub = Hub::new(Config::default(), &Seed::for_tests(1));
/// let main = hub.namespace("/").unwrap();
/// let everybody = Target::all(main);
/// let rooms = [Room::from("a"), Room::from("b")];
/// let some = Target { rooms: &rooms, ..everybody };
/// # assert_eq!((some.rooms.len(), some.except.len()), (2, 0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The namespace.
    pub namespace: NspId,
    /// The rooms whose members are meant; none means everybody.
    pub rooms: &'a [Room<'a>],
    /// The rooms whose members are not meant.
    pub except: &'a [Room<'a>],
}

impl Target<'_> {
    /// Everybody in a namespace.
    pub const fn all(namespace: NspId) -> Self {
        Self { namespace, rooms: &[], except: &[] }
    }
}

#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) id: NspId,
    pub(crate) name: Text,
    sockets: Slab<Entry>,
    /// Sids are random and ours: a peer cannot choose keys.
    sids: FastMap<Sid, u32>,
    pub(crate) rooms: Rooms,
    /// With [`Config::recovery`](crate::Config::recovery).
    pub(crate) recovery: Option<Box<Store>>,
    generation: u32,
    /// The number of the selection that is being made: see [`Entry::mark`].
    selection: u64,
    accepted: usize,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) conn: ConnKey,
    pub(crate) sid: Sid,
    generation: u32,
    /// Whether the connection request was accepted. Before, the socket may be put into rooms, but nothing reaches it.
    pub(crate) accepted: bool,
    /// The selection that this socket was last taken into or excluded from.
    mark: u64,
    pub(crate) joined: Joined,
}

impl Namespace {
    pub(crate) fn new(id: NspId, name: Text, hasher: Keyed) -> Self {
        Self {
            id,
            name,
            sockets: Slab::new(),
            sids: FastMap::default(),
            rooms: Rooms::new(hasher),
            recovery: None,
            generation: 0,
            selection: 0,
            accepted: 0,
        }
    }

    /// Sockets that were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted
    }

    /// Sockets that wait to be accepted.
    pub(crate) fn pending(&self) -> usize {
        self.sockets.len().saturating_sub(self.accepted)
    }

    pub(crate) fn insert(&mut self, conn: ConnKey, sid: Sid) -> SocketKey {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = Entry { conn, sid, generation, accepted: false, mark: 0, joined: Joined::new() };
        let index = u32::try_from(self.sockets.insert(entry)).unwrap_or(u32::MAX);
        SocketKey { nsp: self.id, index, generation }
    }

    pub(crate) fn accept(&mut self, key: SocketKey) {
        if let Some(entry) = self.sockets.get_mut(key.index as usize)
            && entry.generation == key.generation
            && !entry.accepted
        {
            entry.accepted = true;
            self.sids.insert(entry.sid, key.index);
            self.accepted = self.accepted.saturating_add(1);
        }
    }

    /// Removes a socket. Its rooms must have been left.
    pub(crate) fn remove(&mut self, key: SocketKey) {
        if let Some(entry) = self.get(key) {
            let (sid, accepted) = (entry.sid, entry.accepted);
            self.sockets.remove(key.index as usize);
            if accepted {
                self.sids.remove(&sid);
                self.accepted = self.accepted.saturating_sub(1);
            }
            if self.sockets.is_empty() {
                // What a crowd took is given back when it has left. Generations go on, so no key comes again.
                self.sockets = Slab::new();
                self.sids.shrink_to(0);
            }
        }
    }

    pub(crate) fn get(&self, key: SocketKey) -> Option<&Entry> {
        self.sockets.get(key.index as usize).filter(|entry| entry.generation == key.generation)
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<SocketKey> {
        self.sids.get(&sid).and_then(|index| self.key(*index))
    }

    /// A socket's entry together with the rooms.
    pub(crate) fn with_rooms(&mut self, key: SocketKey) -> Option<(&mut Entry, &mut Rooms)> {
        let entry = self.sockets.get_mut(key.index as usize)?;
        (entry.generation == key.generation).then_some((entry, &mut self.rooms))
    }

    /// The accepted sockets that a target names, each once, in the order of the rooms.
    pub(crate) fn select(&mut self, target: &Target<'_>, mut found: impl FnMut(SocketKey, ConnKey)) {
        self.selection = self.selection.saturating_add(1);
        let (sockets, selection, nsp) = (&mut self.sockets, self.selection, self.id);
        // Excluding marks a socket as if it had been taken already.
        let mut take = |index: u32, exclude: bool| {
            let Some(entry) = sockets.get_mut(index as usize) else { return };
            if entry.mark != selection && entry.accepted {
                entry.mark = selection;
                if !exclude {
                    found(SocketKey { nsp, index, generation: entry.generation }, entry.conn);
                }
            }
        };
        for (rooms, exclude) in [(target.except, true), (target.rooms, false)] {
            for room in rooms {
                match room {
                    Room::Named(name) => self.rooms.members(name).iter().for_each(|index| take(*index, exclude)),
                    Room::Own(sid) => self.sids.get(sid).into_iter().for_each(|index| take(*index, exclude)),
                }
            }
        }
        if target.rooms.is_empty() {
            for (index, entry) in &self.sockets {
                if entry.mark != selection && entry.accepted {
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    found(SocketKey { nsp, index, generation: entry.generation }, entry.conn);
                }
            }
        }
    }

    /// Whether a target names no socket for certain: lets an emit skip its encoding. May say `false` of an empty one.
    pub(crate) fn is_empty(&self, target: &Target<'_>) -> bool {
        let empty = |room: &Room<'_>| match room {
            Room::Named(name) => self.rooms.members(name).is_empty(),
            Room::Own(sid) => !self.sids.contains_key(sid),
        };
        self.accepted == 0 || (!target.rooms.is_empty() && target.rooms.iter().all(empty))
    }

    /// The accepted sockets that a target names, collected.
    pub(crate) fn selected(&mut self, target: &Target<'_>) -> Vec<(SocketKey, ConnKey)> {
        let mut sockets = Vec::new();
        self.select(target, |socket, conn| sockets.push((socket, conn)));
        sockets
    }

    fn key(&self, index: u32) -> Option<SocketKey> {
        let generation = self.sockets.get(index as usize)?.generation;
        Some(SocketKey { nsp: self.id, index, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Seed};

    #[test]
    fn a_crowd_that_has_left_holds_nothing_and_its_keys_stay_stale() {
        let mut rng = Rng::new(&Seed::for_tests(1));
        let mut namespace = Namespace::new(NspId(0), "/".into(), Keyed::new(&mut rng));
        let conn = ConnKey { index: 0, generation: 1 };
        let crowd: Vec<_> = (0..100).map(|_| namespace.insert(conn, Sid::generate(&mut rng))).collect();
        crowd.iter().for_each(|key| namespace.accept(*key));
        crowd.iter().for_each(|key| namespace.remove(*key));
        assert_eq!((namespace.sockets.capacity(), namespace.sids.capacity()), (0, 0));
        let next = namespace.insert(conn, Sid::generate(&mut rng));
        assert_eq!(next.index, crowd[0].index);
        assert!(namespace.get(crowd[0]).is_none() && namespace.get(next).is_some());
    }
}
