//! A map of few entries.

use std::cmp::Ordering;

use sockeye_protocol::{Text, client::SocketId};

/// A map in one piece of memory, in the order of its keys: for few entries that are looked up with each packet and change
/// hardly ever. A lookup in a tree touches several pieces of memory, which by then have left the processor's cache.
#[derive(Clone, Debug)]
pub(crate) struct FlatMap<K, V>(Vec<(K, V)>);

/// An order of keys, whichever is the fastest.
pub(crate) trait Key<Q: ?Sized = Self> {
    fn order(&self, other: &Q) -> Ordering;
}

/// By their lengths first: what is far away, the text itself, is looked at only where they are the same.
impl Key<str> for Text {
    fn order(&self, other: &str) -> Ordering {
        self.len().cmp(&other.len()).then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl Key for Text {
    fn order(&self, other: &Self) -> Ordering {
        self.order(&**other)
    }
}

impl Key for SocketId {
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
    pub(crate) fn get<Q: ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Key<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Key<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn contains_key<Q: ?Sized>(&self, key: &Q) -> bool
    where
        K: Key<Q>,
    {
        self.place(key).is_ok()
    }

    /// Puts a value in, and gives that which it takes the place of.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V>
    where
        K: Key,
    {
        match self.place(&key) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove<Q: ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Key<Q>,
    {
        let at = self.place(key).ok()?;
        let (_, removed) = self.0.remove(at);
        self.give_back();
        Some(removed)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.0.retain_mut(|(_, value)| keep(value));
        self.give_back();
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// An empty map holds no memory.
    fn give_back(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    fn place<Q: ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Key<Q>,
    {
        self.0.binary_search_by(|(other, _)| other.order(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_keys() {
        let mut map = FlatMap::<Text, usize>::default();
        for (value, key) in ["mm", "z", "a", "kkk", "a"].into_iter().enumerate() {
            let old = map.insert(key.into(), value);
            assert_eq!(old, (value == 4).then_some(2), "{key}");
        }
        let keys = |map: &FlatMap<Text, usize>| map.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(keys(&map), ["a", "z", "mm", "kkk"]);
        assert_eq!(["a", "b", "kkk", "zz", ""].map(|key| map.get(key).copied()), [Some(4), None, Some(3), None, None]);
        *map.get_mut("z").expect("it is there") = 7;
        assert!(map.contains_key("z") && !map.contains_key("y"));
        assert_eq!((map.remove("kkk"), map.remove("kkk")), (Some(3), None));
        map.retain(|value| *value != 0);
        assert_eq!(keys(&map), ["a", "z"]);
    }
}
