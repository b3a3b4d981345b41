//! What a composition of machines needs whatever the machines are: where requests go, what there is to do, a slot per
//! key, the order in which inputs arrived, and a heap of deadlines.

use alloc::{
    boxed::Box,
    collections::{BinaryHeap, VecDeque},
    vec::Vec,
};
use core::{cmp::Reverse, hash::BuildHasherDefault};

use crate::{
    fifo::take_first,
    hash::Mix,
    http::Response,
    key::{ConnKey, RequestId, TransportId},
    time::Instant,
};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To this connection, by `handle_request`, with a body of at most `body_limit` bytes.
    Connection {
        /// The connection.
        key: ConnKey,
        /// Bytes of a body above which it is not to be read on, but given as [`crate::http::Body::TooLarge`].
        body_limit: usize,
    },
    /// Nowhere: this is the answer. If the request has a body, read it to its end or close the HTTP connection.
    Response(Response),
    /// Its path is not ours ([`crate::Config::path`]).
    NotFound,
}

/// What a server has for its driver to do: [`crate::server::Server`] with events of Socket.IO,
/// [`crate::engine::Server`] with those of Engine.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output<E> {
    /// Answer a request.
    Respond {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Answer a request with 101; from there on its byte stream is a WebSocket of `connection`.
    Upgrade {
        /// The request.
        id: RequestId,
        /// Its answer, 101.
        response: Response,
        /// The connection.
        connection: ConnKey,
        /// The name of the byte stream from here on.
        transport: TransportId,
    },
    /// Write what `transmit` still holds, close the byte stream, and report `handle_eof`.
    Shutdown {
        /// The connection.
        connection: ConnKey,
        /// Its WebSocket.
        transport: TransportId,
    },
    /// Drop the byte stream now, and report `handle_eof`.
    Abort {
        /// The connection.
        connection: ConnKey,
        /// Its WebSocket.
        transport: TransportId,
    },
    /// Tell the application.
    Event(E),
}

/// A machine that stores its inputs and processes them in order.
pub(crate) trait Machine {
    /// See the type's own `poll_timeout`.
    fn poll_timeout(&self) -> Option<Instant>;

    /// See the type's own `handle_timeout`.
    fn handle_timeout(&mut self, now: Instant);

    /// The number of inputs that were stored so far.
    fn stored(&self) -> u64;

    /// The number of inputs whose processing has begun.
    fn begun(&self) -> u64;
}

/// Machines by key.
///
/// Every input puts a ticket in line: the machine and how far it may process. So the machines' outputs come in the
/// order of the world's inputs across machines too, however these were batched (design: "no call-order trap").
#[derive(Debug)]
pub(crate) struct Machines<M> {
    slots: Vec<Option<Slot<M>>>,
    len: usize,
    line: VecDeque<(ConnKey, u64)>,
    deadlines: BinaryHeap<Reverse<(Instant, ConnKey)>>,
}

#[derive(Debug)]
struct Slot<M> {
    key: ConnKey,
    /// The deadline that stands for this machine in the heap; other entries of it are stale.
    armed: Option<Instant>,
    /// How far it may process by the latest ticket that [`Machines::touch`] put in line, while that is there.
    touched: Option<u64>,
    machine: Box<M>,
}

impl<M: Machine> Machines<M> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), len: 0, line: VecDeque::new(), deadlines: BinaryHeap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of tickets and of deadlines that are held.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.line.len(), self.deadlines.len())
    }

    pub(crate) fn insert(&mut self, key: ConnKey, machine: M) {
        let index = key.index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index.saturating_add(1), || None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            self.len = self.len.saturating_add(usize::from(slot.is_none()));
            *slot = Some(Slot { key, armed: None, touched: None, machine: Box::new(machine) });
            self.arm(key);
        }
    }

    pub(crate) fn remove(&mut self, key: ConnKey) {
        if let Some(slot) = self.slots.get_mut(key.index as usize)
            && slot.as_ref().is_some_and(|slot| slot.key == key)
        {
            *slot = None;
            self.len = self.len.saturating_sub(1);
            self.forget_stale_deadlines();
        }
    }

    pub(crate) fn get(&self, key: ConnKey) -> Option<&M> {
        let slot = self.slots.get(key.index as usize)?.as_ref()?;
        (slot.key == key).then_some(&*slot.machine)
    }

    /// For an input: the machine, put in line for everything that it will have stored by then.
    pub(crate) fn input(&mut self, key: ConnKey, handle: impl FnOnce(&mut M)) -> bool {
        let Some(machine) = self.get_mut(key) else { return false };
        handle(machine);
        let stored = machine.stored();
        self.line.push_back((key, stored));
        true
    }

    /// For a verb or a message of another machine: the machine, put in line for what it has to say now.
    pub(crate) fn touch(&mut self, key: ConnKey) -> Option<&mut M> {
        let slot = self.slots.get_mut(key.index as usize)?.as_mut().filter(|slot| slot.key == key)?;
        let begun = slot.machine.begun();
        if slot.touched != Some(begun) {
            slot.touched = Some(begun);
            self.line.push_back((key, begun));
        }
        Some(&mut slot.machine)
    }

    /// The machine whose turn it is, and how far it may process.
    pub(crate) fn current(&mut self) -> Option<(ConnKey, u64, &mut M)> {
        loop {
            let (key, until) = *self.line.front()?;
            if self.get(key).is_some() {
                return self.get_mut(key).map(|machine| (key, until, machine));
            }
            take_first(&mut self.line);
        }
    }

    /// The machine whose turn it is has nothing more to say: arms its deadline and goes on to the next one.
    pub(crate) fn next(&mut self) {
        if let Some((key, until)) = take_first(&mut self.line) {
            if let Some(slot) = self.slot_mut(key)
                && slot.touched == Some(until)
            {
                slot.touched = None;
            }
            self.arm(key);
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = ConnKey> {
        self.slots.iter().flatten().map(|slot| slot.key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.slots.iter().flatten().map(|slot| &*slot.machine)
    }

    /// Gives the tick to every machine whose deadline it reaches, and to every one that is in line: what that will
    /// process first may set a deadline that the tick reaches too. In the order of keys, since which of the two a
    /// machine is depends on how inputs were batched.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let mut keys: Vec<ConnKey> = self.line.iter().map(|(key, _)| *key).collect();
        while let Some(Reverse((deadline, key))) = self.deadlines.peek().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop();
            if self.slot_mut(key).is_some_and(|slot| slot.armed == Some(deadline)) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.input(key, |machine| machine.handle_timeout(now));
            self.arm(key);
        }
        self.forget_stale_deadlines();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    pub(crate) fn get_mut(&mut self, key: ConnKey) -> Option<&mut M> {
        self.slot_mut(key).map(|slot| &mut *slot.machine)
    }

    fn slot_mut(&mut self, key: ConnKey) -> Option<&mut Slot<M>> {
        self.slots.get_mut(key.index as usize)?.as_mut().filter(|slot| slot.key == key)
    }

    fn arm(&mut self, key: ConnKey) {
        if let Some(slot) = self.slot_mut(key) {
            let deadline = slot.machine.poll_timeout();
            if slot.armed != deadline {
                slot.armed = deadline;
                if let Some(deadline) = deadline {
                    self.deadlines.push(Reverse((deadline, key)));
                }
                self.forget_stale_deadlines();
            }
        }
    }

    /// Keeps the earliest entry a real one, and the heap within twice what is real.
    fn forget_stale_deadlines(&mut self) {
        let slots = &self.slots;
        let real = |Reverse((deadline, key)): &Reverse<(Instant, ConnKey)>| {
            let slot = slots.get(key.index as usize).and_then(Option::as_ref);
            slot.is_some_and(|slot| slot.key == *key && slot.armed == Some(*deadline))
        };
        while self.deadlines.peek().is_some_and(|entry| !real(entry)) {
            self.deadlines.pop();
        }
        if self.deadlines.len() > self.len.saturating_mul(2).saturating_add(64) {
            self.deadlines.retain(real);
        }
    }
}

/// WebSockets that may have something to write, in line, each once.
#[derive(Debug, Default)]
pub(crate) struct Transmits {
    line: VecDeque<(ConnKey, TransportId)>,
    in_line: hashbrown::HashSet<(ConnKey, TransportId), BuildHasherDefault<Mix>>,
}

impl Transmits {
    pub(crate) fn push(&mut self, key: ConnKey, transport: TransportId) {
        if self.in_line.insert((key, transport)) {
            self.line.push_back((key, transport));
        }
    }

    /// Forgets a connection that is gone, for drivers that do not ask.
    pub(crate) fn remove(&mut self, key: ConnKey) {
        if !self.line.is_empty() {
            self.line.retain(|(other, _)| *other != key);
            self.in_line.retain(|(other, _)| *other != key);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<(ConnKey, TransportId)> {
        let next = take_first(&mut self.line)?;
        self.in_line.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[derive(Debug, Default)]
    struct Clockwork {
        deadline: Option<Instant>,
        stored: u64,
        begun: u64,
    }

    impl Machine for Clockwork {
        fn poll_timeout(&self) -> Option<Instant> {
            self.deadline
        }

        fn handle_timeout(&mut self, now: Instant) {
            self.stored += 1;
            self.deadline = Some(now + Duration::from_secs(1));
        }

        fn stored(&self) -> u64 {
            self.stored
        }

        fn begun(&self) -> u64 {
            self.begun
        }
    }

    fn key(index: u32, generation: u32) -> ConnKey {
        ConnKey { index, generation }
    }

    #[test]
    fn a_stale_key_reaches_nothing() {
        let mut machines = Machines::new();
        machines.insert(key(1, 0), Clockwork::default());
        assert!(machines.get(key(1, 1)).is_none());
        assert!(!machines.input(key(0, 0), |_| panic!("nothing is there")));
        machines.input(key(1, 0), |_| ());
        machines.remove(key(1, 0));
        assert_eq!(machines.len(), 0);
        assert!(machines.current().is_none());
        assert_eq!(machines.backlog(), (0, 0));
    }

    /// The next machine takes the place of the one before, under another key.
    #[test]
    fn a_stale_key_does_not_reach_its_successor() {
        let (stale, successor) = (key(1, 0), key(1, 1));
        let mut machines = Machines::new();
        machines.insert(stale, Clockwork::default());
        machines.remove(stale);
        machines.insert(successor, Clockwork::default());
        assert!(machines.get(stale).is_none());
        assert!(machines.get_mut(stale).is_none());
        assert!(machines.touch(stale).is_none());
        assert!(!machines.input(stale, |_| panic!("this is another machine")));
        machines.remove(stale);
        assert!(machines.get_mut(successor).is_some());
        assert_eq!((machines.len(), machines.backlog()), (1, (0, 0)));
    }

    #[test]
    fn the_line_keeps_the_order_of_inputs_across_machines() {
        let mut machines = Machines::new();
        machines.insert(key(0, 0), Clockwork::default());
        machines.insert(key(1, 0), Clockwork::default());
        for index in [0, 1, 0] {
            machines.input(key(index, 0), |machine| machine.stored += 1);
        }
        let mut seen = Vec::new();
        while let Some((key, until, _)) = machines.current() {
            seen.push((key.index, until));
            machines.next();
        }
        assert_eq!(seen, [(0, 1), (1, 1), (0, 2)]);
    }

    #[test]
    fn deadlines_move_and_the_heap_stays_small() {
        let mut machines = Machines::new();
        machines.insert(key(0, 0), Clockwork { deadline: Some(Instant::from_millis(5)), ..Clockwork::default() });
        assert_eq!(machines.poll_timeout(), Some(Instant::from_millis(5)));
        machines.handle_timeout(Instant::from_millis(7));
        assert_eq!(machines.poll_timeout(), Some(Instant::from_millis(1_007)));
        for millis in 0..1_000 {
            machines.input(key(0, 0), |machine| machine.deadline = Some(Instant::from_millis(10_000 - millis)));
            machines.next();
        }
        while machines.current().is_some() {
            machines.next();
        }
        assert!(machines.backlog().1 <= 66);
        machines.touch(key(0, 0)).unwrap().deadline = None;
        machines.next();
        assert_eq!(machines.poll_timeout(), None);
    }
}
