//! The task that owns one session: it alone reads, hands what it read to the machine, runs handlers, and writes.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf as _, BytesMut};
use sockeye_protocol::{Instant, Limits, TransportId};

use crate::{
    Runtime,
    core::{Level, Task, attach},
    layer::{Layer, Machine, Ownership, Seats},
    link::{Link, Locked, OwnersTask},
    signal::Reasons,
    transport::{Transport, read},
    turn::Turn,
};

/// Rounds of reading, handling and writing before other tasks get their turn.
const ROUNDS: usize = 16;

/// Outputs of the machine, and so packets, in one round.
const OUTPUTS: usize = 256;

/// No deadline is armed.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// One session's task. It holds the byte streams; the machine is behind the lock of its [`Link`], for those who emit.
pub(crate) struct Owner<L: Layer> {
    layer: Arc<L>,
    /// Its own: where it is spawned.
    runtime: Arc<dyn Runtime>,
    link: Arc<Link<L::Machine>>,
    seats: L::Seats,
    streams: Vec<Transport>,
    /// The earliest time that was added to the timers since it looked at the clock last. The entry itself may be gone,
    /// but not without one that comes before it.
    armed: Instant,
    withheld: bool,
    /// A stream did not take all that there is to write: it wakes the task when it takes more.
    blocked: bool,
    drained: bool,
    /// Of its last poll.
    waker: Waker,
    /// Its place among those that are woken when the server ends, once only handlers are left: nobody finds it by its
    /// link any more.
    gate: Option<usize>,
    _task: Task,
}

impl<L: Layer> Owner<L> {
    /// The owner of a connection whose first request was handed to the machine. What there is to say about it is said
    /// at once: a handshake needs no task switch.
    pub(crate) fn new(layer: Arc<L>, runtime: Arc<dyn Runtime>, link: Arc<Link<L::Machine>>, now: Instant) -> Self {
        let _task = layer.core().owners.enter();
        let mut owner = Self {
            layer,
            runtime,
            link,
            seats: L::Seats::default(),
            streams: Vec::new(),
            armed: NEVER,
            withheld: false,
            blocked: false,
            drained: false,
            waker: Waker::noop().clone(),
            gate: None,
            _task,
        };
        owner.drain(None, now);
        // Nothing else may ever wake it.
        owner.arm_next();
        owner
    }

    /// What the machine has to say, up to a bound. Whether there may be more.
    fn drain(&mut self, mut cx: Option<&mut Context<'_>>, now: Instant) -> bool {
        for _ in 0..OUTPUTS {
            let Some(task) = self.link.lock(now).poll_task() else { return false };
            self.handle(cx.as_deref_mut(), now, task);
        }
        true
    }

    /// The same, and behind that what there is to write. `said` is what the machine has said already. Whether there may be
    /// more, and what was found in writing.
    fn drain_and_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        turn: &Turn,
        said: &mut Option<TaskOf<L>>,
    ) -> (bool, Written) {
        let mut left = OUTPUTS;
        if let Some(task) = said.take() {
            left = left.saturating_sub(1);
            self.handle(Some(cx), now, task);
        }
        loop {
            let Self { layer, link, seats, streams, withheld, .. } = self;
            let mut locked = link.lock(now);
            let Some(task) = (if left > 0 { locked.poll_task() } else { None }) else {
                // All that handlers have sent by now is written here, while the machine is at hand.
                turn.take_given();
                let limits = &layer.core().config.limits;
                return (left == 0, Written::new::<L>(locked, seats, limits, streams, *withheld, cx, now));
            };
            drop(locked);
            left = left.saturating_sub(1);
            self.handle(Some(cx), now, task);
        }
    }

    fn handle(&mut self, cx: Option<&mut Context<'_>>, now: Instant, task: TaskOf<L>) {
        match task {
            // Without the lock.
            OwnersTask::Wake(asker) => drop(asker),
            OwnersTask::Tell(said) => {
                let owner = Ownership { layer: &self.layer, link: &self.link, now };
                self.seats.handle(&owner, cx, said);
            }
            OwnersTask::Shutdown(transport) => match self.stream(transport) {
                Some(stream) => stream.shutdown = true,
                None => self.ended(transport),
            },
            OwnersTask::Abort(transport) => {
                self.streams.retain(|stream| stream.id != transport);
                self.ended(transport);
            }
        }
    }

    fn ended(&self, transport: TransportId) {
        let now = self.layer.core().now();
        if let Some(machine) = self.link.lock(now).machine() {
            machine.handle_eof(now, transport);
        }
    }

    fn stream(&mut self, transport: TransportId) -> Option<&mut Transport> {
        self.streams.iter_mut().find(|stream| stream.id == transport)
    }

    fn take_attached(&mut self) {
        for attached in self.link.take_attached() {
            let now = self.layer.core().now();
            if self.link.lock(now).machine().is_none_or(|machine| machine.transmit(attached.transport).is_none()) {
                // The machine has given this WebSocket up since its 101, and would never end it.
                continue;
            }
            self.streams.reserve_exact(1);
            self.streams.push(Transport::new(attached.transport, attached.stream));
            if !attached.read.is_empty() {
                let mut read = BytesMut::from(&attached.read[..]);
                if let Some(machine) = self.link.lock(now).machine() {
                    machine.handle_bytes(now, attached.transport, &mut read);
                }
            }
        }
    }

    /// Reads once from each stream that has something. Whether any had. What the machine says to it first is in `said`, if it
    /// is asked and there is nothing before: most often it is all that there is, and takes no lock of its own.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant, said: &mut Option<TaskOf<L>>, asks: bool) -> bool {
        let (mut any, mut ended) = (false, false);
        for transport in &mut self.streams {
            if self.withheld && !transport.draining {
                continue;
            }
            match read(&mut *transport.stream, cx, |bytes| {
                let mut locked = self.link.lock(now);
                if let Some(machine) = locked.machine() {
                    machine.handle_bytes(now, transport.id, bytes);
                }
                if asks && said.is_none() {
                    *said = locked.poll_task();
                }
            }) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => any = true,
                Poll::Ready(_) => {
                    transport.ended = true;
                    (any, ended) = (true, true);
                }
            }
        }
        if ended {
            self.reap();
        }
        any
    }

    /// The same before handlers in flight go on: those come first, and may disconnect before the machine looks at what is read.
    fn read_early(&mut self, cx: &mut Context<'_>, now: Instant, said: &mut Option<TaskOf<L>>) -> bool {
        self.read(cx, now, said, self.seats.is_idle())
    }

    /// Reports the streams that have ended, and drops them. Whether any had.
    fn reap(&mut self) -> bool {
        let mut any = false;
        while let Some(index) = self.streams.iter().position(|stream| stream.ended) {
            let transport = self.streams.swap_remove(index);
            drop(transport.stream);
            self.ended(transport.id);
            any = true;
        }
        any
    }

    /// Hands a deadline that has come to the machine. Whether there was one.
    fn tick(&mut self, now: Instant) -> bool {
        self.armed = NEVER;
        let mut locked = self.link.lock(now);
        let Some(machine) = locked.machine() else { return false };
        let due = machine.poll_timeout().is_some_and(|at| at <= now);
        if due {
            machine.handle_timeout(now);
        }
        due
    }

    fn arm_next(&mut self) {
        self.arm(self.link.look(L::Machine::poll_timeout).flatten());
    }

    fn arm(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && deadline < self.armed
        {
            self.armed = deadline;
            self.layer.core().timers.add(deadline, self.link.key);
            attach(&self.layer, &self.runtime);
        }
    }

    /// One round: inputs, handlers, outputs. Whether another one may find something.
    fn round(
        &mut self,
        cx: &mut Context<'_>,
        turn: &Turn,
        reasons: Reasons,
        more: bool,
        said: &mut Option<TaskOf<L>>,
    ) -> bool {
        let now = self.layer.core().now();
        turn.round(now);
        if reasons.contains(Reasons::MAIL) {
            self.take_attached();
        }
        // A pong that has arrived by now is in time, however late this task is.
        // And who is woken by the heap looks at the clock, whatever it thinks to have there: that may have been cleared
        // away, behind the entry which has come now.
        let due = now >= self.armed || reasons.contains(Reasons::TIMER);
        let read = due && self.read_early(cx, now, said);
        let ticked = due && self.tick(now);
        let owner = Ownership { layer: &self.layer, link: &self.link, now };
        let ran = self.seats.poll(&owner, cx, reasons.contains(Reasons::LISTENER));
        // Handlers that wait on may have sent something.
        let ran = turn.take_given() || ran;
        // What is there comes before what there may be to read.
        let work =
            more || read || ticked || ran || self.blocked || !reasons.is_none() || self.read(cx, now, said, true);
        if !work {
            if due {
                self.arm_next();
            }
            return false;
        }
        let (more, written) = self.drain_and_write(cx, now, turn, said);
        let Written { blocked, withheld, drained, deadline, room } = written;
        room.into_iter().for_each(Waker::wake);
        self.blocked = blocked;
        // An input is handled with the outputs of the next round.
        let given = self.reap() | (mem::replace(&mut self.withheld, withheld) != withheld);
        if drained {
            self.settle();
        }
        self.arm(deadline);
        more || given || turn.take_given() || self.read_early(cx, now, said)
    }

    /// Whether the server ends whatever still runs. If not, the task is woken when it does.
    fn is_killed(&mut self, cx: &Context<'_>) -> bool {
        let gate = &self.layer.core().gate;
        self.gate = Some(gate.register(self.gate, cx));
        gate.is(Level::Killed)
    }

    /// Ends everything at once, behind what was said before. Handlers hear of it, but are not waited for.
    fn abort(&mut self, mut cx: Option<&mut Context<'_>>, said: Option<TaskOf<L>>) {
        let now = self.layer.core().now();
        if let Some(task) = said {
            self.handle(cx.as_deref_mut(), now, task);
        }
        if let Some(machine) = self.link.lock(now).machine() {
            machine.abort(now);
        }
        while self.drain(cx.as_deref_mut(), now) {}
        self.settle();
    }

    /// Gives up the machine, which has nothing more to do. Handlers in flight run on.
    fn settle(&mut self) {
        if !self.drained {
            self.drained = true;
            self.streams = Vec::new();
            // First, so that no more mail comes.
            self.layer.remove(self.link.key);
            self.link.close();
        }
    }
}

/// What the machine of a layer has its owner do.
type TaskOf<L> = OwnersTask<<<L as Layer>::Machine as Machine>::Said>;

/// What was found in writing.
struct Written {
    /// A stream did not take all.
    blocked: bool,
    /// Nothing is to be read for now.
    withheld: bool,
    drained: bool,
    /// The machine's next one.
    deadline: Option<Instant>,
    /// Those who wait for room, where there may be some.
    room: Vec<Waker>,
}

impl Written {
    /// Writes what there is to write, ends what is to end, and looks at what has become of the machine. `withheld`: whether
    /// nothing was read until now.
    fn new<L: Layer>(
        mut locked: Locked<'_, L::Machine>,
        seats: &L::Seats,
        limits: &Limits,
        streams: &mut [Transport],
        withheld: bool,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Self {
        let mut written = Self { blocked: false, withheld, drained: true, deadline: None, room: Vec::new() };
        let rest = locked.rest();
        let full = seats.is_full(limits, &rest.beside);
        rest.held = seats.held();
        let Some(machine) = locked.machine() else { return written };
        let mut progress = false;
        for transport in streams {
            let mut queue = machine.transmit(transport.id);
            let before = queue.as_ref().map_or(0, |queue| queue.remaining());
            written.blocked |= transport.put(cx, queue.as_deref_mut());
            progress |= queue.is_some_and(|queue| queue.remaining() < before);
        }
        written.withheld = full || !machine.wants_read();
        if written.withheld != withheld {
            // Suspends the deadline of the pong that may wait where nobody reads.
            machine.handle_withheld(now, written.withheld);
        }
        (written.drained, written.deadline) = (machine.is_drained(), machine.poll_timeout());
        let rest = locked.rest();
        progress |= mem::take(&mut rest.progress) || (rest.full && !full);
        rest.full = full;
        if progress {
            written.room = mem::take(&mut rest.room);
        }
        written
    }
}

impl<L: Layer> Future for Owner<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let turn = Turn::begin(this.link.whose());
        this.link.signal.register(cx.waker(), &mut this.waker);
        let (mut more, mut said) = (false, None);
        for _ in 0..ROUNDS {
            let reasons = this.link.signal.take();
            if reasons.contains(Reasons::KILL) {
                this.abort(Some(cx), said);
                return Poll::Ready(());
            }
            more = this.round(cx, &turn, reasons, more, &mut said);
            if this.drained && (this.seats.is_idle() || this.is_killed(cx)) {
                return Poll::Ready(());
            }
            if !more && this.link.signal.rest() {
                return Poll::Pending;
            }
        }
        // There is more to do, after the others; nothing is kept until then.
        if let Some(task) = said {
            this.handle(Some(cx), this.layer.core().now(), task);
        }
        this.link.signal.raise_again(cx.waker());
        Poll::Pending
    }
}

impl<L: Layer> Drop for Owner<L> {
    /// A runtime that drops its tasks leaves nothing behind either.
    fn drop(&mut self) {
        if !self.drained {
            self.abort(None, None);
        }
        self.link.signal.end();
        if let Some(place) = self.gate {
            self.layer.core().gate.leave(place);
        }
    }
}
