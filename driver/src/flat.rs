//! A map of few entries.

use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

use sockeye_protocol::client::SocketId;

/// A map in one piece of memory, in the order of its keys: for few entries that are looked up with each packet and change
/// hardly ever. A lookup in a tree touches several pieces of memory, which by then have left the processor's cache.
#[derive(Clone, Debug)]
pub(crate) struct FlatMap<K, V>(Vec<Entry<K, V>>);

#[derive(Clone, Debug)]
struct Entry<K, V> {
    /// [`Key::prefix`] of the key, which may be far away itself.
    prefix: u64,
    key: K,
    value: V,
}

/// An order of keys, whichever is the fastest.
pub(crate) trait Key {
    /// What keys are compared by first.
    fn prefix(&self) -> u64;

    /// How keys with the same prefix compare.
    fn order(&self, other: &Self) -> Ordering;
}

/// Bytes of a text that are in its prefix.
const IN_PREFIX: usize = 7;

/// By their lengths first (255 stands for all from there on), then by four bytes in front and the last three: most names are
/// short, and then that is all.
impl Key for str {
    fn prefix(&self) -> u64 {
        let bytes = self.as_bytes();
        let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        u64::from_be_bytes(match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some([a, b, c, d]), Some([e, f, g])) => [len, *a, *b, *c, *d, *e, *f, *g],
            (_, Some([a, b, c])) => [len, *a, *b, *c, 0, 0, 0, 0],
            _ => match bytes {
                [a, b] => [len, *a, *b, 0, 0, 0, 0, 0],
                [a] => [len, *a, 0, 0, 0, 0, 0, 0],
                _ => [len, 0, 0, 0, 0, 0, 0, 0],
            },
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        if self.len() <= IN_PREFIX && other.len() <= IN_PREFIX { Ordering::Equal } else { self.cmp(other) }
    }
}

impl Key for Arc<str> {
    fn prefix(&self) -> u64 {
        str::prefix(self)
    }

    fn order(&self, other: &Self) -> Ordering {
        str::order(self, other)
    }
}

impl Key for SocketId {
    fn prefix(&self) -> u64 {
        0
    }

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K, V> FlatMap<K, V> {
    pub(crate) fn get<Q: Key + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut<Q: Key + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|entry| &mut entry.value)
    }

    pub(crate) fn contains_key<Q: Key + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Puts a value in, and gives that which it takes the place of.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V>
    where
        K: Key,
    {
        match self.place(&key) {
            Ok(at) => self.0.get_mut(at).map(|entry| std::mem::replace(&mut entry.value, value)),
            Err(at) => {
                self.0.insert(at, Entry { prefix: key.prefix(), key, value });
                None
            }
        }
    }

    pub(crate) fn remove<Q: Key + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        let removed = self.0.remove(at).value;
        self.give_back();
        Some(removed)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.0.retain_mut(|entry| keep(&mut entry.value));
        self.give_back();
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|entry| &entry.key)
    }

    /// An empty map holds no memory.
    fn give_back(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    fn place<Q: Key + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        let prefix = key.prefix();
        self.0.binary_search_by(|entry| entry.prefix.cmp(&prefix).then_with(|| entry.key.borrow().order(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_keys() {
        let mut map = FlatMap::<Arc<str>, usize>::default();
        for (value, key) in ["mm", "z", "a", "kkk", "a"].into_iter().enumerate() {
            let old = map.insert(key.into(), value);
            assert_eq!(old, (value == 4).then_some(2), "{key}");
        }
        let keys = |map: &FlatMap<Arc<str>, usize>| map.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(keys(&map), ["a", "z", "mm", "kkk"]);
        assert_eq!(["a", "b", "kkk", "zz", ""].map(|key| map.get(key).copied()), [Some(4), None, Some(3), None, None]);
        *map.get_mut("z").expect("it is there") = 7;
        assert!(map.contains_key("z") && !map.contains_key("y"));
        assert_eq!((map.remove("kkk"), map.remove("kkk")), (Some(3), None));
        map.retain(|value| *value != 0);
        assert_eq!(keys(&map), ["a", "z"]);
    }

    #[test]
    fn names_are_told_apart_whatever_they_share() {
        // Each length around the borders, with a letter changed in front, in the middle and at the end.
        let mut names = vec![String::new()];
        for len in [1, 2, 3, 4, 5, 6, 7, 8, 9, 254, 255, 256, 257] {
            for place in [0, len / 2, len - 1] {
                for letter in ["x", "y", "\0"] {
                    let mut name = "x".repeat(len);
                    name.replace_range(place..=place, letter);
                    names.push(name);
                }
            }
        }
        names.extend(["é", "éé", "ééé", "éééé"].map(String::from));
        names.sort_unstable();
        names.dedup();
        let mut map = FlatMap::<Arc<str>, &str>::default();
        for name in names.iter().rev() {
            assert_eq!(map.get(&**name), None);
            assert_eq!(map.insert(name.as_str().into(), name), None);
        }
        for name in &names {
            assert_eq!(map.get(&**name), Some(&name.as_str()));
        }
        for name in &names {
            assert_eq!(map.remove(&**name), Some(name.as_str()));
            assert!(!map.contains_key(&**name));
        }
        assert_eq!(map.keys().count(), 0);
    }

    #[test]
    fn sockets_are_found_by_their_ids() {
        let endpoint = sockeye_protocol::client::Endpoint::parse("http://localhost").expect("a URL");
        let seed = sockeye_protocol::Seed::for_tests(1);
        let mut manager =
            sockeye_protocol::client::Manager::new(sockeye_protocol::client::Config::default(), endpoint, &seed);
        let ids = ["/c", "/a", "/b"].map(|name| manager.add_socket(name, Default::default()));
        let mut map = FlatMap::<SocketId, usize>::default();
        for index in [1, 0, 2] {
            assert_eq!(map.insert(ids[index], index), None);
        }
        assert_eq!(ids.map(|id| map.get(&id).copied()), [Some(0), Some(1), Some(2)]);
        assert_eq!((map.remove(&ids[0]), map.get(&ids[0]), map.keys().count()), (Some(0), None, 2));
    }
}
