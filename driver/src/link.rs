//! What an owner task and everybody else share of a connection.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use sockeye_protocol::{ConnKey, Instant, RequestId, TransportId, http::Response, server::Stats};

use crate::{
    Stream,
    layer::{Held, Machine, Output},
    runtime::lock,
    signal::{Reasons, Signal},
    turn::{self, Whose},
};

/// Letters that wait for an owner who does not come, at most.
const PILE: usize = 64;

/// One connection, as everybody but its owner sees it: the machine behind a lock, and mail.
///
/// Whoever holds the hub's lock may put mail here (lock order: hub, then mail); whoever holds the machine's lock takes
/// it out (machine, then mail). Nobody takes the hub's lock while holding either. (With recovery, an emit takes the
/// machine's while it holds the hub's.)
pub(crate) struct Link<M: Machine> {
    pub(crate) key: ConnKey,
    pub(crate) signal: Signal,
    state: Mutex<State<M>>,
    mail: Mutex<Mail<M>>,
    /// Whether letters wait, so that nobody takes the lock in vain.
    has_letters: AtomicBool,
}

struct State<M: Machine> {
    /// Gone once the connection is drained.
    machine: Option<M>,
    rest: Rest<M>,
}

/// What the machine's lock guards beside the machine.
pub(crate) struct Rest<M: Machine> {
    pub(crate) beside: M::Beside,
    /// Requests that have no answer yet, or one that nobody has fetched.
    waiting: Vec<Waiting>,
    /// Tasks that wait for the send queue to drain, or for the peer to be read from again.
    pub(crate) room: Vec<Waker>,
    /// So much waits for handlers that nothing more is taken from the peer.
    pub(crate) full: bool,
    /// What the owner holds for the application, as of its last round.
    pub(crate) held: Held,
    /// Something was sent since the owner looked, or who waits in `room` has another reason to try again.
    pub(crate) progress: bool,
}

/// A request that waits for its answer.
struct Waiting {
    id: RequestId,
    waker: Option<Asker>,
    answer: Option<Answer>,
}

/// Who waits for an answer: woken when this is dropped, so that nobody waits in vain whatever happens.
pub(crate) struct Asker(Waker);

impl Asker {
    /// Drops it without waking anybody.
    fn forget(mut self) {
        self.0 = Waker::noop().clone();
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// The byte stream becomes this WebSocket.
    pub(crate) upgrade: Option<TransportId>,
}

impl<M: Machine> Rest<M> {
    fn forget(&mut self, id: RequestId) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.id == id)?;
        let waiting = self.waiting.swap_remove(index);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Some(waiting)
    }

    /// Has a task woken when something was sent, or when the peer is read from again.
    pub(crate) fn await_room(&mut self, waker: &Waker) {
        if !self.room.iter().any(|other| other.will_wake(waker)) {
            self.room.push(waker.clone());
        }
    }
}

/// What is left for a machine's owner to do.
pub(crate) enum OwnersTask<S> {
    /// Drop this, without a lock: it wakes who waits for an answer that is there now.
    Wake(Asker),
    /// Write what is queued, then close the byte stream.
    Shutdown(TransportId),
    /// Drop the byte stream.
    Abort(TransportId),
    /// Tell the application.
    Tell(S),
}

struct Mail<M: Machine> {
    letters: Vec<M::Letter>,
    streams: Vec<Attached>,
}

/// A byte stream that became a WebSocket.
pub(crate) struct Attached {
    pub(crate) transport: TransportId,
    pub(crate) stream: Box<dyn Stream>,
    /// What was read behind the request.
    pub(crate) read: Bytes,
}

impl<M: Machine> Link<M> {
    pub(crate) fn new(key: ConnKey, machine: M) -> Self {
        Self {
            key,
            signal: Signal::new(),
            state: Mutex::new(State {
                machine: Some(machine),
                rest: Rest {
                    beside: M::Beside::default(),
                    waiting: Vec::new(),
                    room: Vec::new(),
                    full: false,
                    held: Held::default(),
                    progress: false,
                },
            }),
            mail: Mutex::new(Mail { letters: Vec::new(), streams: Vec::new() }),
            has_letters: AtomicBool::new(false),
        }
    }

    /// Gives the machine something to do, behind all mail that came before, and wakes the owner to see to the rest.
    /// `None` if the connection is gone.
    pub(crate) fn with<T>(&self, now: Instant, act: impl FnOnce(&mut M, &mut Rest<M>) -> T) -> Option<T> {
        let done = self.lock(now).act(act)?;
        self.call_owner();
        Some(done)
    }

    /// The same for something that may have to wait for room in the send queue: `None` once the connection is gone. What
    /// was not sent is no reason for the owner to do anything.
    pub(crate) fn send<E>(
        &self,
        now: Instant,
        cx: &Context<'_>,
        is_full: impl FnOnce(&E) -> bool,
        send: impl FnOnce(&mut M) -> Result<(), E>,
    ) -> Poll<Option<Result<(), E>>> {
        let mut locked = self.lock(now);
        let sent = locked.act(|machine, _| send(machine));
        if let Some(Err(error)) = &sent
            && is_full(error)
        {
            locked.rest().await_room(cx.waker());
            return Poll::Pending;
        }
        drop(locked);
        self.call_owner();
        Poll::Ready(sent)
    }

    /// Has the owner see to what the machine was given, unless that is who gave it.
    pub(crate) fn call_owner(&self) {
        if !turn::give(self.whose()) {
            self.signal.raise(Reasons::MACHINE);
        }
    }

    pub(crate) fn whose(&self) -> Whose {
        Whose::of(self)
    }

    /// Looks at the machine.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&M) -> T) -> Option<T> {
        lock(&self.state).machine.as_ref().map(look)
    }

    /// The machine's lock, with all mail delivered.
    pub(crate) fn lock(&self, now: Instant) -> Locked<'_, M> {
        self.deliver(lock(&self.state), now)
    }

    /// The same without waiting for it.
    pub(crate) fn try_lock(&self, now: Instant) -> Option<Locked<'_, M>> {
        match self.state.try_lock() {
            Ok(state) => Some(self.deliver(state, now)),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.deliver(poisoned.into_inner(), now)),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn deliver<'a>(&self, mut state: MutexGuard<'a, State<M>>, now: Instant) -> Locked<'a, M> {
        if self.has_letters.load(Ordering::Acquire) {
            let letters = {
                let mut mail = lock(&self.mail);
                self.has_letters.store(false, Ordering::Release);
                mem::take(&mut mail.letters)
            };
            if let Some(machine) = &mut state.machine {
                letters.into_iter().for_each(|letter| machine.handle_letter(now, letter));
            }
        }
        Locked { state, now }
    }

    /// Puts a letter into the mail. The waker is to be called once no lock is held. Says whether the mail should be
    /// delivered then, too ([`lock`](Self::lock)): only the machine's queue has a bound, and a policy for what is beyond.
    pub(crate) fn post(&self, letter: M::Letter) -> (Option<Waker>, bool) {
        let piles_up = {
            let mut mail = lock(&self.mail);
            mail.letters.push(letter);
            self.has_letters.store(true, Ordering::Release);
            mail.letters.len() >= PILE
        };
        (self.signal.raise_quietly(Reasons::MAIL), piles_up)
    }

    /// Hands over the byte stream of a WebSocket; it is dropped if the connection is gone.
    pub(crate) fn attach(&self, attached: Attached) {
        let state = lock(&self.state);
        if state.machine.is_some() {
            lock(&self.mail).streams.push(attached);
            drop(state);
            self.signal.raise(Reasons::MAIL);
        }
    }

    pub(crate) fn take_attached(&self) -> Vec<Attached> {
        mem::take(&mut lock(&self.mail).streams)
    }

    /// The answer to a request ([`Locked::await_answer`]): nothing if the connection is gone without one.
    pub(crate) fn poll_answer(&self, cx: &Context<'_>, id: RequestId) -> Poll<Option<Answer>> {
        let mut state = lock(&self.state);
        let Some(waiting) = state.rest.waiting.iter_mut().find(|waiting| waiting.id == id) else {
            return Poll::Ready(None);
        };
        if let Some(answer) = waiting.answer.take() {
            state.rest.forget(id);
            return Poll::Ready(Some(answer));
        }
        let knows = waiting.waker.as_ref().is_some_and(|waker| waker.0.will_wake(cx.waker()));
        let stale = if knows { None } else { waiting.waker.replace(Asker(cx.waker().clone())) };
        // Without the lock: a waker may be all that keeps a task.
        drop(state);
        if let Some(stale) = stale {
            stale.forget();
        }
        Poll::Pending
    }

    /// Nobody waits for the answer to a request any more.
    pub(crate) fn forget_request(&self, now: Instant, id: RequestId) {
        let mut locked = self.lock(now);
        // What would be told is gone, unless it was there.
        let Some(Waiting { waker, answer, .. }) = locked.rest().forget(id) else { return };
        let told = match answer {
            None => locked.act(|machine, _| machine.handle_abort(now, id)).is_some(),
            // The answer came, and nobody took it.
            Some(Answer { upgrade: Some(transport), .. }) => {
                locked.act(|machine, _| machine.handle_eof(now, transport)).is_some()
            }
            Some(_) => false,
        };
        drop(locked);
        if let Some(waker) = waker {
            waker.forget();
        }
        if told {
            self.call_owner();
        }
    }

    /// What the connection holds.
    pub(crate) fn stats(&self) -> Stats {
        let state = lock(&self.state);
        let mut stats = state.machine.as_ref().map(M::stats).unwrap_or_default();
        let State { rest, .. } = &*state;
        stats.parked = rest.held.parked.saturating_add(M::held(&rest.beside));
        stats.handlers = rest.held.handlers;
        let mail = lock(&self.mail);
        for waiting in [mail.letters.len(), mail.streams.len(), rest.waiting.len(), rest.room.len()] {
            stats.waiting = stats.waiting.saturating_add(waiting);
        }
        stats
    }

    /// Gives up the machine, what is beside it, and the mail.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        let State { machine, rest } = &mut *state;
        let (machine, beside) = (machine.take(), M::forsake(&mut rest.beside));
        let room = mem::take(&mut rest.room);
        // An answer that has not been fetched still is, as the last one of a session.
        let (waiting, answered) =
            mem::take(&mut rest.waiting).into_iter().partition(|waiting| waiting.answer.is_none());
        rest.waiting = answered;
        let (letters, streams) = {
            let mut mail = lock(&self.mail);
            self.has_letters.store(false, Ordering::Release);
            (mem::take(&mut mail.letters), mem::take(&mut mail.streams))
        };
        drop(state);
        // Callbacks are among this: without the lock.
        drop((machine, letters, streams));
        let (beside, reader) = beside;
        drop(beside);
        // Who asked for something is woken, too.
        drop(waiting);
        room.into_iter().chain(reader).for_each(Waker::wake);
    }
}

/// The machine's lock.
pub(crate) struct Locked<'a, M: Machine> {
    state: MutexGuard<'a, State<M>>,
    now: Instant,
}

impl<M: Machine> Locked<'_, M> {
    pub(crate) fn machine(&mut self) -> Option<&mut M> {
        self.state.machine.as_mut()
    }

    pub(crate) fn rest(&mut self) -> &mut Rest<M> {
        &mut self.state.rest
    }

    pub(crate) fn act<T>(&mut self, act: impl FnOnce(&mut M, &mut Rest<M>) -> T) -> Option<T> {
        let State { machine, rest } = &mut *self.state;
        machine.as_mut().map(|machine| act(machine, rest))
    }

    /// What the machine wants its owner to do next.
    pub(crate) fn poll_task(&mut self) -> Option<OwnersTask<M::Said>> {
        loop {
            let (id, answer) = match self.state.machine.as_mut()?.poll_output()? {
                Output::Respond { id, response } => (id, Answer { response, upgrade: None }),
                Output::Upgrade { id, response, transport } => (id, Answer { response, upgrade: Some(transport) }),
                Output::Shutdown(transport) => return Some(OwnersTask::Shutdown(transport)),
                Output::Abort(transport) => return Some(OwnersTask::Abort(transport)),
                Output::Said(said) => return Some(OwnersTask::Tell(said)),
            };
            let rest = &mut self.state.rest;
            rest.progress = true;
            match rest.waiting.iter_mut().find(|waiting| waiting.id == id) {
                Some(waiting) => {
                    waiting.answer = Some(answer);
                    if let Some(waker) = waiting.waker.take() {
                        return Some(OwnersTask::Wake(waker));
                    }
                }
                // Whoever asked has gone: the byte stream never comes.
                None => {
                    if let (Some(machine), Some(transport)) = (&mut self.state.machine, answer.upgrade) {
                        machine.handle_eof(self.now, transport);
                    }
                }
            }
        }
    }

    /// Keeps the answer to a request for [`Link::poll_answer`].
    pub(crate) fn await_answer(&mut self, id: RequestId) {
        self.state.rest.waiting.push(Waiting { id, waker: None, answer: None });
    }
}

/// The connections of a server, by [`ConnKey::index`].
pub(crate) struct Links<M: Machine>(Vec<Option<Arc<Link<M>>>>);

impl<M: Machine> Default for Links<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: Machine> Links<M> {
    pub(crate) fn get(&self, key: ConnKey) -> Option<&Arc<Link<M>>> {
        // The place may be another one's by now.
        self.0.get(key.index())?.as_ref().filter(|link| link.key == key)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Link<M>>> {
        self.0.iter().flatten().cloned().collect()
    }

    pub(crate) fn insert(&mut self, link: Arc<Link<M>>) {
        let index = link.key.index();
        if self.0.len() <= index {
            self.0.resize(index.saturating_add(1), None);
        }
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(link);
        }
    }

    pub(crate) fn remove(&mut self, key: ConnKey) -> Option<Arc<Link<M>>> {
        let removed = self.0.get_mut(key.index()).and_then(|place| place.take_if(|link| link.key == key));
        while let Some(None) = self.0.last() {
            self.0.pop();
        }
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        removed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bytes::BytesMut;
    use sockeye_protocol::{
        Config,
        engine::Registry,
        http::{Body, Request},
        ws::TransmitQueue,
    };

    use super::*;

    /// A machine that does nothing, and gets letters that somebody counts.
    struct Idle;

    impl Machine for Idle {
        type Said = ();
        type Letter = Arc<()>;
        type Beside = ();

        fn handle_request(&mut self, _: Instant, _: RequestId, _: &Request<'_>, _: Body) {}
        fn handle_poll(&mut self, _: Instant, _: RequestId, _: &Request<'_>) -> bool {
            false
        }
        fn handle_body(&mut self, _: Instant, _: RequestId, _: Body) {}
        fn handle_abort(&mut self, _: Instant, _: RequestId) {}
        fn handle_bytes(&mut self, _: Instant, _: TransportId, _: &mut BytesMut) {}
        fn handle_eof(&mut self, _: Instant, _: TransportId) {}
        fn handle_letter(&mut self, _: Instant, _: Arc<()>) {}
        fn handle_timeout(&mut self, _: Instant) {}
        fn handle_withheld(&mut self, _: Instant, _: bool) {}
        fn poll_output(&mut self) -> Option<Output<()>> {
            None
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
        fn transmit(&mut self, _: TransportId) -> Option<&mut TransmitQueue> {
            None
        }
        fn wants_read(&self) -> bool {
            true
        }
        fn is_drained(&self) -> bool {
            false
        }
        fn shutdown(&mut self, _: Instant) {}
        fn abort(&mut self, _: Instant) {}
        fn stats(&self) -> Stats {
            Stats::default()
        }
        fn forsake((): &mut ()) -> ((), Option<Waker>) {
            ((), None)
        }
        fn held((): &()) -> usize {
            0
        }
    }

    #[test]
    fn mail_that_was_not_delivered_goes_with_the_connection() {
        let mut registry = Registry::new(Arc::new(Config::default()), &crate::core::Core::seed());
        let link = Link::new(registry.open(Instant::ZERO).0, Idle);
        let letter = Arc::new(());
        link.post(Arc::clone(&letter));
        assert_eq!(Arc::strong_count(&letter), 2);
        // A handle of the application keeps the link.
        link.close();
        assert_eq!((Arc::strong_count(&letter), link.stats().waiting), (1, 0));
    }
}
