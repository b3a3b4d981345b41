//! Queues that cost little while they are short.

use alloc::{boxed::Box, collections::VecDeque};

/// Bytes that a queue which is used again and again keeps while it is empty.
const KEPT: usize = 1_024;

/// Bytes that elements reserve with the first one that has no place of its own, since many may follow it: small ones, of which
/// that is more than what is reserved for them anyway.
const FIRST: usize = 128;

/// Takes the first element. A queue that was long once gives its memory back when it is empty.
#[inline]
pub(crate) fn take_first<T>(queue: &mut VecDeque<T>) -> Option<T> {
    // The usual answer, and no large value is moved about for it.
    if queue.is_empty() {
        return None;
    }
    let first = queue.pop_front();
    give_back(queue);
    first
}

/// Gives back the memory of a queue that is empty and was long once.
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity().saturating_mul(size_of::<T>()) > KEPT {
        *queue = VecDeque::new();
    }
}

/// A queue that is empty most of the time: a pointer then, without memory.
#[derive(Debug)]
#[allow(clippy::box_collection, reason = "the queue itself is four times as large as a pointer")]
pub(crate) struct Rare<T>(Option<Box<VecDeque<T>>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Rare<T> {
    fn queue(&mut self) -> &mut VecDeque<T> {
        self.0.get_or_insert_with(|| {
            let many = FIRST.checked_div(size_of::<T>()).filter(|many| *many > 4);
            Box::new(VecDeque::with_capacity(many.unwrap_or(0)))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    /// Whether there is nothing in it, and so no memory behind it either.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn push_back(&mut self, value: T) {
        self.queue().push_back(value);
    }

    pub(crate) fn insert(&mut self, index: usize, value: T) {
        let queue = self.queue();
        queue.insert(index.min(queue.len()), value);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.remove(0)
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let queue = self.0.as_mut()?;
        let removed = queue.remove(index);
        if queue.is_empty() {
            self.0 = None;
        }
        removed
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.get_mut(0)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.as_mut()?.get_mut(index)
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.0.as_ref()?.back()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.0.as_mut()?.back_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flat_map(|queue| queue.iter_mut())
    }
}

/// A queue that mostly holds one element at most: that one costs no allocation, and none costs no memory.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    /// `None` only if `rest` is empty.
    first: Option<T>,
    rest: Rare<T>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { first: None, rest: Rare::default() }
    }
}

impl<T> Fifo<T> {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()).saturating_add(self.rest.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push_back(value);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.remove(0)
    }

    pub(crate) fn pop_back(&mut self) -> Option<T> {
        self.remove(self.len().checked_sub(1)?)
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.rest.back().or(self.first.as_ref())
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    /// Takes the element that is `index` elements behind the front, in constant time if it is near one of the ends.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        match index.checked_sub(1) {
            Some(index) => self.rest.remove(index),
            None => core::mem::replace(&mut self.first, self.rest.pop_front()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.rest.iter())
    }

    #[cfg(test)]
    pub(crate) fn holds_no_memory(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_queue_that_was_long_once_gives_its_memory_back() {
        for (count, kept) in [(128, true), (1_000, false)] {
            let mut queue: VecDeque<u64> = VecDeque::with_capacity(count as usize);
            queue.extend(0..count);
            assert!((0..count).all(|value| take_first(&mut queue) == Some(value)));
            assert_eq!((take_first(&mut queue), queue.capacity() > 0), (None, kept));
        }
    }

    proptest! {
        #[test]
        fn a_rare_queue_behaves_like_a_plain_one(ops in prop::collection::vec((0..5_u8, 0..6_usize), 0..40)) {
            let (mut rare, mut model) = (Rare::default(), VecDeque::new());
            for (op, value) in ops {
                match op {
                    0 => prop_assert_eq!(rare.pop_front(), model.pop_front()),
                    1 => prop_assert_eq!(rare.remove(value), model.remove(value)),
                    2 => {
                        rare.insert(value, value);
                        model.insert(value.min(model.len()), value);
                    }
                    _ => {
                        rare.push_back(value);
                        model.push_back(value);
                    }
                }
                rare.iter_mut().chain(&mut model).for_each(|value| *value += 1);
                prop_assert_eq!(rare.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
                prop_assert_eq!((rare.len(), rare.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(rare.get_mut(value), model.get_mut(value));
                prop_assert_eq!(rare.front_mut(), model.front_mut());
                prop_assert_eq!(rare.back(), model.back());
            }
        }

        #[test]
        fn behaves_like_a_plain_queue(ops in prop::collection::vec((0..4_u8, 0..6_usize), 0..40)) {
            let (mut fifo, mut model) = (Fifo::default(), VecDeque::new());
            for (op, value) in ops {
                match op {
                    0 => prop_assert_eq!(fifo.pop_front(), model.pop_front()),
                    1 => prop_assert_eq!(fifo.remove(value), model.remove(value)),
                    2 if value == 0 => prop_assert_eq!(fifo.pop_back(), model.pop_back()),
                    _ => {
                        fifo.push_back(value);
                        model.push_back(value);
                    }
                }
                prop_assert_eq!(fifo.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
                prop_assert_eq!((fifo.len(), fifo.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!((fifo.front(), fifo.back()), (model.front(), model.back()));
                prop_assert_eq!(fifo.front_mut(), model.front_mut());
                prop_assert_eq!(fifo.back_mut(), model.back_mut());
                prop_assert!(fifo.len() > 1 || fifo.holds_no_memory());
            }
        }
    }
}
