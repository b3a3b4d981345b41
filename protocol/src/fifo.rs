//! A queue that mostly holds one element at most.

use alloc::collections::VecDeque;

/// A queue whose only element costs no allocation, and which holds no memory when it is empty.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    /// `None` only if `rest` is empty.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
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
        let removed = match index.checked_sub(1) {
            Some(index) => self.rest.remove(index),
            None => core::mem::replace(&mut self.first, self.rest.pop_front()),
        };
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        removed
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    #[cfg(test)]
    pub(crate) fn holds_no_memory(&self) -> bool {
        self.rest.capacity() == 0
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
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
