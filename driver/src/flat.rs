//! A map of few entries.

use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

use sockeye_protocol::client::SocketId;

/// A map in one piece of memory, in the order of its keys: for few entries that are looked up with each packet and change
/// hardly ever. A lookup in a tree touches several pieces of memory, which by then have left the processor's cache.
#[derive(Clone, Debug)]
pub(crate) struct FlatMap<K, V>(Vec<Entry<K, V>>);

#[derive(Clone, Debug)]
struct Entry<K, V> {
    /// [`Key::head`] of the key, which may be far away itself.
    head: u64,
    key: K,
    value: V,
}

/// An order of keys, whichever is the fastest.
pub(crate) trait Key {
    /// What keys are compared by first.
    fn head(&self) -> u64;

    /// How keys with the same head compare.
    fn order(&self, other: &Self) -> Ordering;
}

/// Bytes of a text that are in its head.
const IN_HEAD: usize = 7;

/// By their lengths first, then by four bytes in front and the last three: most names are short, and then that is all.
impl Key for str {
    fn head(&self) -> u64 {
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
        if self.len() <= IN_HEAD && other.len() <= IN_HEAD { Ordering::Equal } else { self.cmp(other) }
    }
}

impl Key for Arc<str> {
    fn head(&self) -> u64 {
        str::head(self)
    }

    fn order(&self, other: &Self) -> Ordering {
        str::order(self, other)
    }
}

impl Key for SocketId {
    fn head(&self) -> u64 {
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
                self.0.insert(at, Entry { head: key.head(), key, value });
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
        let head = key.head();
        self.0.binary_search_by(|entry| entry.head.cmp(&head).then_with(|| entry.key.borrow().order(key)))
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
    fn names_that_begin_alike_are_told_apart() {
        let long = |last: char| "x".repeat(300) + &String::from(last);
        let names = [
            "",
            "\0",
            "\0\0",
            "abcd",
            "abce",
            "abcda",
            "mexsage",
            "message",
            "messages",
            "mesxages",
            "é",
            &long('a'),
            &long('b'),
            &long('é'),
        ];
        let mut map = FlatMap::<Arc<str>, &str>::default();
        for name in names {
            assert_eq!(map.insert(name.into(), name), None);
        }
        assert_eq!(names.map(|name| map.get(name).copied()), names.map(Some));
        assert_eq!([&long('c'), "messageu", "messag", "e", "\0\0\0"].map(|name| map.get(name)), [None; 5]);
        assert_eq!(names.map(|name| map.remove(name)), names.map(Some));
        assert_eq!(map.keys().count(), 0);
    }
}
