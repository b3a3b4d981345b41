//! Events for those who pull them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{handler::Room, runtime::lock};

/// What waits in a queue.
pub(super) trait Weigh {
    /// Bytes that count.
    fn weight(&self) -> usize;
}

/// Events that wait to be taken, oldest first.
pub(super) struct Queue<T> {
    held: Mutex<Held<T>>,
    room: Room,
    /// Counts queues that are full: what the owner of the connection looks at. Only changed under the lock above.
    behind: Arc<AtomicUsize>,
}

struct Held<T> {
    events: VecDeque<T>,
    /// Bytes of all of them.
    bytes: usize,
    reader: Option<Waker>,
    /// From when the limit is reached until half of the events are taken.
    is_full: bool,
    /// Nothing more comes.
    is_over: bool,
}

impl<T: Weigh> Held<T> {
    fn push(&mut self, event: T) {
        self.bytes = self.bytes.saturating_add(event.weight());
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<T> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.weight());
        Some(event)
    }

    fn has_no_room(&self, room: Room) -> bool {
        room.is_full(self.is_full, self.events.len(), self.bytes)
    }
}

/// What came of taking an event.
pub(super) struct Taken<T> {
    pub(super) event: Poll<Option<T>>,
    /// Whether the queue was full until now.
    pub(super) has_room_again: bool,
}

impl<T: Weigh> Queue<T> {
    pub(super) fn new(room: Room, behind: Arc<AtomicUsize>) -> Self {
        let held = Held { events: VecDeque::new(), bytes: 0, reader: None, is_full: false, is_over: false };
        Self { held: Mutex::new(held), room, behind }
    }

    /// Adds an event.
    pub(super) fn push(&self, event: T) {
        self.add(event, true);
    }

    /// `holds_up`: whether the owner is to hear that there is no room any more.
    fn add(&self, event: T, holds_up: bool) {
        let reader = {
            let mut held = lock(&self.held);
            if held.is_over {
                None
            } else {
                held.push(event);
                if holds_up && held.has_no_room(self.room) && !std::mem::replace(&mut held.is_full, true) {
                    self.behind.fetch_add(1, Ordering::AcqRel);
                }
                held.reader.take()
            }
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Adds an event that happens although nothing is read: where very many are there already, it replaces the last one if
    /// that is of the same kind.
    pub(super) fn push_or_replace(&self, event: T, is_such: impl FnOnce(&T) -> bool) {
        let surplus = {
            let mut held = lock(&self.held);
            let has_too_many = held.events.len() >= self.room.events.saturating_mul(2);
            let is_replaced = has_too_many && held.events.back().is_some_and(is_such);
            let surplus = is_replaced.then(|| held.events.pop_back()).flatten();
            held.bytes = held.bytes.saturating_sub(surplus.as_ref().map_or(0, Weigh::weight));
            surplus
        };
        drop(surplus);
        self.push(event);
    }

    /// Adds an event; where there is as much as there may be, the oldest go.
    pub(super) fn push_newest(&self, event: T) {
        self.push_beside(event, true);
    }

    /// The same, and holds up nobody.
    pub(super) fn push_unless_full(&self, event: T) {
        self.push_beside(event, false);
    }

    fn push_beside(&self, event: T, holds_up: bool) {
        let others = self.room.events.saturating_sub(1);
        let surplus: Vec<T> = {
            let (mut held, weight) = (lock(&self.held), event.weight());
            let mut surplus = Vec::new();
            while held.events.len() > others || self.room.is_crowded(held.bytes.saturating_add(weight)) {
                let Some(oldest) = held.pop() else { break };
                surplus.push(oldest);
            }
            surplus
        };
        drop(surplus);
        self.add(event, holds_up);
    }

    /// Takes an event; none comes once the queue is empty and closed.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Taken<T> {
        let mut held = lock(&self.held);
        let event = match held.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if held.is_over => Poll::Ready(None),
            None => {
                held.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        };
        if held.events.is_empty() {
            // One that was full once gives its memory back.
            held.events = VecDeque::new();
        }
        let has_room_again = held.is_full && (held.events.is_empty() || !held.has_no_room(self.room));
        if has_room_again {
            held.is_full = false;
            self.behind.fetch_sub(1, Ordering::AcqRel);
        }
        Taken { event, has_room_again }
    }
}

impl<T> Queue<T> {
    /// Nothing more comes; what is here may still be taken.
    pub(super) fn close(&self) {
        let reader = {
            let mut held = lock(&self.held);
            held.is_over = true;
            // Whoever does not take the rest holds up nobody.
            if std::mem::take(&mut held.is_full) {
                self.behind.fetch_sub(1, Ordering::AcqRel);
            }
            held.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

/// Closes a queue when the last of those who feed it is gone.
pub(super) struct Feed<T>(pub(super) Arc<Queue<T>>);

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// So many bytes.
    impl Weigh for u32 {
        fn weight(&self) -> usize {
            *self as usize
        }
    }

    fn of(limit: usize) -> (Queue<u32>, Arc<AtomicUsize>) {
        with_bytes(limit, usize::MAX)
    }

    fn with_bytes(events: usize, bytes: usize) -> (Queue<u32>, Arc<AtomicUsize>) {
        let behind = Arc::new(AtomicUsize::new(0));
        (Queue::new(Room { events, bytes }, Arc::clone(&behind)), behind)
    }

    fn take(queue: &Queue<u32>) -> (Poll<Option<u32>>, bool) {
        let Taken { event, has_room_again } = queue.poll_next(&Context::from_waker(Waker::noop()));
        (event, has_room_again)
    }

    #[test]
    fn it_is_full_at_its_limit_until_half_is_taken() {
        let (queue, behind) = of(4);
        let full = || behind.load(Ordering::Acquire);
        for event in 0..6 {
            assert_eq!(full(), usize::from(event >= 4));
            queue.push(event);
        }
        for event in 0..6 {
            assert_eq!(full(), usize::from(event < 4), "{event} were taken");
            assert_eq!(take(&queue), (Poll::Ready(Some(event)), event == 3));
        }
        assert_eq!(take(&queue), (Poll::Pending, false));
        // One that holds a single event at most.
        let (queue, behind) = of(1);
        queue.push(1);
        assert_eq!(behind.load(Ordering::Acquire), 1);
        assert_eq!(take(&queue), (Poll::Ready(Some(1)), true));
        assert_eq!(behind.load(Ordering::Acquire), 0);
    }

    #[test]
    fn where_too_many_are_there_the_last_one_is_replaced_by_another_of_its_kind() {
        let queue = of(2).0;
        for event in [0, 1, 2, 4, 6, 8] {
            queue.push_or_replace(event, |last| last % 2 == 0);
        }
        assert_eq!([(); 4].map(|()| take(&queue).0), [0, 1, 2, 8].map(|event| Poll::Ready(Some(event))));
        for event in [1, 3, 5, 7, 9] {
            queue.push_or_replace(event, |last| last % 2 == 0);
        }
        assert_eq!([(); 5].map(|()| take(&queue).0), [1, 3, 5, 7, 9].map(|event| Poll::Ready(Some(event))));
    }

    #[test]
    fn what_is_here_outlives_the_end_and_holds_up_nobody() {
        let (queue, behind) = of(2);
        queue.push(1);
        queue.push(2);
        queue.close();
        queue.push(3);
        assert_eq!(behind.load(Ordering::Acquire), 0);
        assert_eq!(take(&queue), (Poll::Ready(Some(1)), false));
        assert_eq!(take(&queue), (Poll::Ready(Some(2)), false));
        assert_eq!(take(&queue), (Poll::Ready(None), false));
    }

    #[test]
    fn the_oldest_goes_where_that_is_wanted() {
        let (queue, _) = of(2);
        for event in 0..5 {
            queue.push_newest(event);
        }
        // One that holds up nobody, however few it may hold.
        for limit in [1, 2] {
            let (queue, behind) = of(limit);
            for event in 0..5 {
                queue.push_unless_full(event);
                assert_eq!(behind.load(Ordering::Acquire), 0);
            }
            let oldest = 5 - u32::try_from(limit).unwrap();
            for event in oldest..5 {
                assert_eq!(take(&queue), (Poll::Ready(Some(event)), false));
            }
            assert_eq!(take(&queue), (Poll::Pending, false));
        }
        assert_eq!(
            [take(&queue).0, take(&queue).0, take(&queue).0],
            [Poll::Ready(Some(3)), Poll::Ready(Some(4)), Poll::Pending]
        );
    }

    #[test]
    fn it_is_full_above_its_bytes_until_half_of_them_are_taken() {
        let (queue, behind) = with_bytes(100, 100);
        let full = || behind.load(Ordering::Acquire);
        for (event, is_full) in [(60, 0), (40, 0), (1, 1), (50, 1)] {
            queue.push(event);
            assert_eq!(full(), is_full, "{event}");
        }
        for (event, is_full) in [(60, 1), (40, 1), (1, 0), (50, 0)] {
            assert_eq!(take(&queue), (Poll::Ready(Some(event)), event == 1));
            assert_eq!(full(), is_full, "{event}");
        }
        // One that is larger than any should be is taken like others.
        queue.push(101);
        assert_eq!(full(), 1);
        assert_eq!(take(&queue), (Poll::Ready(Some(101)), true));
        assert_eq!(full(), 0);
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_bytes() {
        let (queue, behind) = with_bytes(100, 100);
        for event in [50, 30, 20, 60] {
            queue.push_unless_full(event);
            assert_eq!(behind.load(Ordering::Acquire), 0);
        }
        assert_eq!([(); 3].map(|()| take(&queue).0), [Poll::Ready(Some(20)), Poll::Ready(Some(60)), Poll::Pending]);
        // What replaces another counts instead of it.
        let (queue, behind) = with_bytes(1, 100);
        for event in [1, 98, 99, 99, 1] {
            queue.push_or_replace(event, |_| true);
        }
        assert_eq!(
            [(); 3].map(|()| take(&queue)),
            [(Poll::Ready(Some(1)), false), (Poll::Ready(Some(1)), true), (Poll::Pending, false)]
        );
        assert_eq!(behind.load(Ordering::Acquire), 0);
    }
}
