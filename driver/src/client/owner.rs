//! The task of one client: it alone does requests, reads, hands what came to the machine, runs handlers, and writes.

use std::{
    future::Future,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use sockeye_protocol::{
    Instant, RequestId, Text, TransportId,
    client::{
        AckOutcome, DisconnectReason, Error, Event as CoreEvent, Output, SocketId,
        http::{Failure, Response},
    },
};

use super::{
    Client, HeadersProvider, ManagerEvent,
    client::ConnectErrorContext,
    http::{Answer, Http, Opened},
    seats::{Packet, Seats},
    shared::{Abandoned, Next, Served, Shared, State, Wish},
};
use crate::{
    Ack, Event,
    handler::{
        self, Call, ConnectContext, DisconnectContext, EventContext, Flight, Flights, HandlerError, HandlerFault,
        Landed, List, Subject, panic_text,
    },
    runtime::{BoxFuture, Sleep},
    socketio::Waiter,
    transport::{Transport, read},
    turn::{self, Turn},
};

/// Rounds of reading, handling and writing before other tasks get their turn.
const ROUNDS: usize = 16;

/// Outputs of the machine, and so packets, in one round.
const OUTPUTS: usize = 256;

/// The task.
pub(super) struct Owner {
    shared: Arc<Shared>,
    http: Arc<Http>,
    headers: Option<Arc<HeadersProvider>>,
    transports: Vec<Transport>,
    jobs: Vec<Job>,
    /// There are jobs that were not polled yet.
    has_new_jobs: bool,
    flights: Flights<Client, Kind>,
    seats: Seats,
    /// There may be sessions before the one in use that keep connections for their goodbye.
    is_parting: bool,
    /// The machine's, as of the last round that did something.
    deadline: Option<Instant>,
    sleep: Option<Armed>,
    /// Of its last poll.
    waker: Waker,
    /// Whether nothing is read, since too much waits for handlers.
    withheld: bool,
    /// A stream did not take all that there is to write: it wakes the task when it takes more.
    blocked: bool,
}

/// A sleep until a deadline.
struct Armed {
    at: Instant,
    sleep: Sleep,
    /// Whether it was polled for the waker of the task's last poll.
    is_polled: bool,
}

/// Deadlines that are further away than this do not come early, whatever the runtime's clock says.
const FAR: Duration = Duration::from_secs(1);

/// Something that is waited for outside of the machine.
struct Job {
    name: Name,
    /// Whether there may be packets in what it brings.
    brings_packets: bool,
    future: BoxFuture<Done>,
}

impl Job {
    fn new(name: Name, future: impl Future<Output = Done> + Send + 'static) -> Self {
        Self { name, brings_packets: false, future: Box::pin(future) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Request(RequestId),
    Open(TransportId),
    Auth(SocketId),
    Headers,
}

enum Done {
    Answered(RequestId, Result<Answer, Failure>),
    Opened(TransportId, Result<(Answer, Option<Opened>), Failure>),
    Provided,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Other,
}

impl Owner {
    pub(super) fn new(shared: Arc<Shared>, http: Arc<Http>, headers: Option<Arc<HeadersProvider>>) -> Self {
        let seats = shared.look(|state| Seats::new(&state.manager.config().limits));
        Self {
            shared,
            http,
            headers,
            transports: Vec::new(),
            jobs: Vec::new(),
            has_new_jobs: false,
            flights: Flights::default(),
            seats,
            is_parting: false,
            deadline: None,
            sleep: None,
            waker: Waker::noop().clone(),
            withheld: false,
            blocked: false,
        }
    }

    /// One round: inputs, handlers, outputs. Whether another one may find something.
    fn round(&mut self, cx: &mut Context<'_>, turn: &Turn, woken: bool, said: &mut Option<Next>) -> bool {
        let now = self.shared.now();
        turn.round(now);
        // Whoever pulls may have made room.
        let resumed = self.withheld && self.withhold(now);
        let mut work = resumed | self.poll_jobs(cx, now) | woken | self.blocked;
        if self.deadline.is_some_and(|at| at <= now) {
            // A ping that has arrived by now is in time, however late this task is.
            self.read_early(cx, now, said);
            self.shared.look(|state| state.manager.handle_timeout(now));
            work = true;
        }
        while let Some(landed) = self.flights.land(cx) {
            work = true;
            self.on_landed(landed);
        }
        work |= self.unpark(cx);
        // Handlers that wait on may have sent something.
        work |= turn.take_given();
        // What is there comes before what there may be to read.
        if !work && !self.read(cx, now, said, true) {
            return false;
        }
        let (more, written) = self.drain_and_write(cx, turn, said);
        let ended = self.on_written(now, written);
        // This round may have started all that waited, and nothing wakes the task where nothing is read.
        let turned = self.withhold(now);
        more || ended || turned || self.has_new_jobs || turn.take_given() || self.read_early(cx, now, said)
    }

    /// Stops reading where too much waits for handlers, or for whoever pulls, and goes on. (That writing is stuck is no
    /// reason not to read.) Whether that changed.
    fn withhold(&mut self, now: Instant) -> bool {
        // Asked in any case: it remembers that it was full.
        let full = self.seats.is_full() | self.shared.is_behind();
        // Without a namespace, there is nothing that would come without being asked for: the way there stays open.
        let full = full && self.shared.look(|state| state.is_any_connected());
        let turned = self.withheld != full;
        if turned {
            self.withheld = full;
            // Suspends the deadline of the ping that may wait where nobody reads.
            self.shared.look(|state| state.manager.handle_withheld(now, full));
        }
        turned
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        self.has_new_jobs = false;
        let mut any = false;
        let mut index = 0_usize;
        while let Some(job) = self.jobs.get_mut(index) {
            if self.withheld && job.brings_packets {
                index = index.saturating_add(1);
                continue;
            }
            let Poll::Ready(done) = job.future.as_mut().poll(cx) else {
                index = index.saturating_add(1);
                continue;
            };
            // In their order, in which namespaces are connected.
            drop(self.jobs.remove(index));
            any = true;
            self.on_done(now, done);
        }
        any
    }

    fn on_done(&mut self, now: Instant, done: Done) {
        match done {
            Done::Answered(id, Ok((head, body))) => {
                let headers = headers(&head);
                let head = Response { status: head.status.as_u16(), headers: &headers };
                self.shared.look(|state| state.manager.handle_response(now, id, &head, body));
            }
            Done::Answered(id, Err(failure)) => {
                self.shared.look(|state| state.manager.handle_failure(now, id, failure));
            }
            Done::Opened(transport, Ok(((head, body), opened))) => {
                let headers = headers(&head);
                let head = Response { status: head.status.as_u16(), headers: &headers };
                self.shared.look(|state| state.manager.handle_upgrade(now, transport, &head, body));
                if let Some((stream, read)) = opened {
                    self.transports.push(Transport::new(transport, stream));
                    let mut read = BytesMut::from(&read[..]);
                    self.shared.look(|state| state.manager.handle_bytes(now, transport, &mut read));
                }
            }
            Done::Opened(transport, Err(failure)) => {
                self.shared.look(|state| state.manager.handle_open_failure(now, transport, failure));
            }
            Done::Provided => {}
        }
    }

    /// Reads once from each stream that has something. Whether any had. What the machine says to it first is in `said`, if it
    /// is asked and there is nothing before: most often it is all that there is, and takes no lock of its own.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant, said: &mut Option<Next>, asks: bool) -> bool {
        let (mut any, mut ended, shared) = (false, false, &self.shared);
        for transport in &mut self.transports {
            if self.withheld && !transport.draining {
                continue;
            }
            let id = transport.id;
            match read(&mut *transport.stream, cx, |bytes| {
                shared.look(|state| {
                    state.manager.handle_bytes(now, id, bytes);
                    if asks && said.is_none() {
                        let next = state.next();
                        if !matches!(next, Next::Nothing(None)) {
                            *said = Some(next);
                        }
                    }
                });
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
            self.reap(now);
        }
        any
    }

    /// The same before handlers in flight go on, and what the application provides: those come first, and may disconnect
    /// before the machine looks at what is read.
    fn read_early(&mut self, cx: &mut Context<'_>, now: Instant, said: &mut Option<Next>) -> bool {
        self.read(cx, now, said, self.flights.len() == 0 && self.jobs.is_empty())
    }

    /// What the machine has to say, up to a bound, and behind that what there is to write. `said` is what the machine has said
    /// already. Whether there may be more, and what has become of what there was to write.
    fn drain_and_write(&mut self, cx: &mut Context<'_>, turn: &Turn, said: &mut Option<Next>) -> (bool, Written) {
        let mut left = OUTPUTS;
        if let Some(next) = said.take() {
            left = left.saturating_sub(1);
            self.handle(cx, next);
        }
        loop {
            let transports = &mut self.transports;
            let (mut abandoned, mut more) = (None, true);
            let heard = self.shared.look(|state| {
                if left > 0 {
                    match state.next() {
                        Next::Nothing(over) => (abandoned, more) = (over, false),
                        next => return ControlFlow::Continue(next),
                    }
                }
                // All that handlers have sent by now is written here, while the machine is at hand.
                ControlFlow::Break(Written::new(state, transports, cx, more))
            });
            match heard {
                ControlFlow::Continue(next) => self.handle(cx, next),
                ControlFlow::Break(written) => {
                    turn.take_given();
                    if abandoned.is_some() || self.is_parting {
                        self.settle(abandoned);
                    }
                    return (more, written);
                }
            }
            left = left.saturating_sub(1);
        }
    }

    fn handle(&mut self, cx: &mut Context<'_>, next: Next) {
        let output = match next {
            Next::Packet { socket, client, name, args, ack } => {
                let Some(client) = client else { return };
                let packet = Packet { name, args, ack };
                return match self.seats.must_wait(socket) {
                    true => self.seats.park(socket, packet),
                    false => self.dispatch(cx, client, packet),
                };
            }
            Next::Ack { client, waiter, outcome } => return on_ack(client, waiter, outcome),
            Next::Other(output) => *output,
            Next::Nothing(abandoned) => return self.settle(abandoned),
        };
        match output {
            Output::Request { id, request } => {
                let http = Arc::clone(&self.http);
                let brings_packets = request.method == "GET";
                let session = session(id);
                self.is_parting |= http.idle().begin(session);
                let future = async move { Done::Answered(id, caught(http.exchange(session, *request)).await) };
                self.start_job(Job { brings_packets, ..Job::new(Name::Request(id), future) });
            }
            Output::Open { transport, request } => {
                let http = Arc::clone(&self.http);
                let future = async move { Done::Opened(transport, caught(http.open(*request)).await) };
                self.start_job(Job::new(Name::Open(transport), future));
            }
            Output::Cancel { id } => self.jobs.retain(|job| job.name != Name::Request(id)),
            Output::Abort { transport } => {
                self.jobs.retain(|job| job.name != Name::Open(transport));
                self.transports.retain(|other| other.id != transport);
            }
            Output::Shutdown { transport } => match self.transports.iter_mut().find(|other| other.id == transport) {
                Some(stream) => stream.shutdown = true,
                None => self.ended(transport),
            },
            Output::Event(event) => self.on_event(cx, event),
            // Something that only a later version of the core says, and that its driver would know.
            _ => {}
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: CoreEvent) {
        match event {
            CoreEvent::Connect { socket, .. } => {
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.connect.clone());
                    self.call_all(cx, &listeners, &ConnectContext { socket: client });
                }
                // Whoever waits registers listeners then, for the next time.
                self.announce_connected(socket);
            }
            CoreEvent::ConnectError { socket, error } => {
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.connect_error.clone());
                    self.call_all(cx, &listeners, &ConnectErrorContext { socket: client, error });
                }
            }
            CoreEvent::Disconnect { socket, reason, error } => {
                self.start_parked(cx, socket);
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.disconnect.clone());
                    self.call_all(cx, &listeners, &DisconnectContext { socket: client, reason, details: error });
                }
            }
            CoreEvent::Outgoing { socket, payload } => {
                if let Some(client) = self.client(socket) {
                    client.announce_outgoing(&payload);
                }
            }
            CoreEvent::NeedAuth(request) => match self.client(request.socket()) {
                Some(client) => {
                    // Not the client itself: a provider may take for ever, and would keep it for as long.
                    let (shared, auth, name) =
                        (Arc::clone(&self.shared), client.auth().clone(), Name::Auth(request.socket()));
                    self.start_job(Job::new(name, async move {
                        let auth = auth.provide(request.clone()).await;
                        let auth = match &auth {
                            Ok(auth) => Ok(auth.as_ref()),
                            Err(why) => Err(why.clone()),
                        };
                        // Gone: another one will ask again.
                        let provided = shared.with(|state, now| state.manager.provide_auth(now, &request, auth));
                        if let Err(error) = provided {
                            tracing::debug!(%error, "what a client gives as auth came too late");
                        }
                        Done::Provided
                    }));
                }
                // Nobody has a handle of it any more.
                None => self.shared.with(|state, now| state.manager.disconnect(now, request.socket())),
            },
            CoreEvent::NeedHeaders(request) => {
                let (shared, provider) = (Arc::clone(&self.shared), self.headers.clone());
                self.start_job(Job::new(Name::Headers, async move {
                    let headers = match provider {
                        Some(provider) => provider(request.clone()).await,
                        None => Ok(Vec::new()),
                    };
                    let provided = shared.with(|state, now| state.manager.provide_headers(now, &request, headers));
                    if let Err(error) = provided {
                        tracing::debug!(%error, "the headers of a client came too late");
                    }
                    Done::Provided
                }));
            }
            other => {
                match &other {
                    // What it had for its requests still takes its goodbye.
                    CoreEvent::Close { reason: DisconnectReason::ForcedClose, .. } => {
                        self.http.idle().retire();
                        self.is_parting = true;
                    }
                    CoreEvent::Close { .. } | CoreEvent::Error(_) | CoreEvent::Upgrade => {
                        self.http.idle().forget_in_use();
                    }
                    _ => {}
                }
                if let CoreEvent::Close { reason, error } = &other {
                    self.announce_loss(error.clone().unwrap_or(Error::Closed(*reason)));
                }
                if let Some(event) = ManagerEvent::of(other) {
                    self.shared.tell(&event);
                }
            }
        }
    }

    /// Starts something that is waited for, instead of what the same was asked before.
    fn start_job(&mut self, job: Job) {
        self.jobs.retain(|other| other.name != job.name);
        self.jobs.push(job);
        self.has_new_jobs = true;
    }

    /// Starts what has waited long enough, in order. Whether something did.
    fn unpark(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for socket in self.seats.waiting() {
            while let Some(packet) = self.seats.next(socket) {
                any = true;
                self.start(cx, socket, packet);
            }
        }
        any
    }

    /// Starts all that waits: what came before the end is handled before the end.
    fn start_parked(&mut self, cx: &mut Context<'_>, socket: SocketId) {
        while let Some(packet) = self.seats.take(socket) {
            self.start(cx, socket, packet);
        }
    }

    /// Starts what has waited, if there is still somebody whom it is for.
    fn start(&mut self, cx: &mut Context<'_>, socket: SocketId, packet: Packet) {
        if let Some(client) = self.client(socket) {
            self.dispatch(cx, client, packet);
        }
    }

    /// Calls everybody who listens to an event.
    fn dispatch(&mut self, cx: &mut Context<'_>, client: Client, packet: Packet) {
        let Packet { name, args, ack } = packet;
        let ack = ack.map(|token| {
            let shared = Arc::clone(&self.shared);
            Ack::by(shared.max_attachments, move |answer| {
                shared.command(|manager, now| manager.reply(now, &token, answer))
            })
        });
        let mut table = client.listeners().table();
        if !table.any.is_empty() {
            let event =
                Event { socket: Some(client.clone()), name: name.clone(), args: args.clone(), ack: ack.clone() };
            handler::announce(table.any.iter(), &event, |fault| report(client.clone(), Some(name.clone()), fault));
            // One of them may just have registered another listener.
            table = client.listeners().table();
        }
        let Some(listeners) = table.events.get(&*name) else { return };
        let context = EventContext { socket: client, name, args, ack };
        for listener in listeners.iter().filter(|listener| listener.claim()) {
            if listener.is_once() {
                context.socket.listeners().off(listener.id());
            }
            self.call(cx, Kind::Event, &*listener.call, &context);
        }
    }

    fn call_all<C: Subject<Side = Client>>(&mut self, cx: &mut Context<'_>, listeners: &List<Call<C>>, context: &C) {
        for listener in listeners.iter() {
            self.call(cx, Kind::Other, &*listener.call, context);
        }
    }

    /// Calls one listener.
    fn call<C: Subject<Side = Client>>(&mut self, cx: &mut Context<'_>, kind: Kind, call: &Call<C>, context: &C) {
        match handler::call(Some(cx), call, context) {
            Ok(None) => {}
            Ok(Some(future)) => {
                let (socket, event) = (context.socket().clone(), context.event().cloned());
                if kind == Kind::Event {
                    self.seats.begin(socket.socket_id());
                }
                self.flights.push(Flight { socket, kind, event, future });
            }
            Err(fault) => report(context.socket().clone(), context.event().cloned(), fault),
        }
    }

    fn on_landed(&mut self, landed: Landed<Client, Kind>) {
        let Landed { socket, kind, event, result } = landed;
        if kind == Kind::Event {
            self.seats.end(socket.socket_id());
        }
        tell(socket, event, result);
    }

    fn client(&self, socket: SocketId) -> Option<Client> {
        self.shared.look(|state| state.client(socket))
    }

    /// Tells those who wait for that: a namespace is connected.
    fn announce_connected(&self, socket: SocketId) {
        for watcher in self.shared.look(|state| state.take_watchers(Some(socket), Wish::Connected)) {
            // Nobody waits any more: that is their choice.
            _ = watcher.sender.send(Ok(()));
        }
    }

    /// Tells those who wait until all has left: it may have gone with the connection.
    fn announce_loss(&self, error: Error) {
        for watcher in self.shared.look(|state| state.take_watchers(None, Wish::Flushed)) {
            _ = watcher.sender.send(Err(error.clone()));
        }
    }

    /// Tells those who wait for namespaces, and those who follow them, that nobody connects them any more.
    fn settle(&mut self, abandoned: Option<Box<Abandoned>>) {
        let is_retired = abandoned.as_ref().is_some_and(|abandoned| abandoned.is_retired);
        if is_retired {
            self.http.idle().retire();
        }
        if is_retired || self.is_parting {
            let jobs = &self.jobs;
            let is_busy = |one| jobs.iter().any(|job| matches!(job.name, Name::Request(id) if session(id) == one));
            self.is_parting = self.http.idle().settle(is_busy);
        }
        let Some(abandoned) = abandoned else { return };
        if abandoned.is_all {
            self.shared.forget_listeners();
        }
        for (watcher, error) in abandoned.watchers {
            _ = watcher.sender.send(Err(error));
        }
        for stream in abandoned.streams {
            stream.queue.close();
        }
    }

    /// What follows from what was written. Whether a stream has ended.
    fn on_written(&mut self, now: Instant, written: Written) -> bool {
        let Written { blocked, ended, deadline, waiting } = written;
        (self.deadline, self.blocked) = (deadline, blocked);
        if let Some(waiting) = waiting {
            let Served { room, flushed } = *waiting;
            for watcher in flushed {
                _ = watcher.sender.send(Ok(()));
            }
            // There may be some now; else they wait again.
            room.into_iter().for_each(Waker::wake);
        }
        ended && self.reap(now)
    }

    /// Reports the streams that have ended, and drops them. Whether any had.
    fn reap(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(index) = self.transports.iter().position(|transport| transport.ended) {
            let transport = self.transports.swap_remove(index).id;
            self.shared.look(|state| state.manager.handle_eof(now, transport));
            any = true;
        }
        any
    }

    fn ended(&self, transport: TransportId) {
        let now = self.shared.now();
        self.shared.look(|state| state.manager.handle_eof(now, transport));
    }

    /// Sleeps until the next deadline. Whether it has come.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else {
            self.sleep = None;
            return false;
        };
        let armed = match &mut self.sleep {
            Some(armed) if armed.at == deadline => armed,
            sleep => {
                let future = self.http.runtime.sleep(deadline.saturating_duration_since(self.shared.now()));
                sleep.insert(Armed { at: deadline, sleep: future, is_polled: false })
            }
        };
        // The time of the round will do: by however much it is late, that cannot be missed, since the sleep wakes the task.
        let now = turn::now().unwrap_or_else(|| self.shared.now());
        // It knows whom to wake, and is far from doing so.
        let is_far = deadline.saturating_duration_since(now) > FAR;
        if is_far && armed.is_polled {
            return false;
        }
        armed.is_polled = true;
        let is_over = armed.sleep.as_mut().poll(cx).is_ready();
        if is_over {
            // One that has ended is not polled again.
            self.sleep = None;
        }
        is_over
    }

    /// At the begin of each poll.
    fn register(&mut self, waker: &Waker) {
        if !self.waker.will_wake(waker)
            && let Some(armed) = &mut self.sleep
        {
            armed.is_polled = false;
        }
        self.shared.signal.register(waker, &mut self.waker);
    }

    /// Whether no handle is left, and nothing to do.
    fn is_over(&self) -> bool {
        self.flights.len() == 0
            && self.transports.is_empty()
            && self.jobs.iter().all(|job| matches!(job.name, Name::Auth(_) | Name::Headers))
            && self.shared.look(|state| state.is_forsaken && state.manager.is_drained())
    }
}

impl Future for Owner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let turn = Turn::begin(this.shared.whose());
        this.register(cx.waker());
        let (mut more, mut said) = (false, None);
        for _ in 0..ROUNDS {
            let woken = !this.shared.signal.take().is_none();
            more = this.round(cx, &turn, more || woken, &mut said);
            if said.is_none() && this.is_over() {
                return Poll::Ready(());
            }
            if !more && !this.sleep(cx) && this.shared.signal.rest() {
                return Poll::Pending;
            }
        }
        // There is more to do, after the others; nothing is kept until then.
        if let Some(next) = said {
            this.handle(cx, next);
        }
        this.shared.signal.raise_again(cx.waker());
        Poll::Pending
    }
}

impl Drop for Owner {
    /// A runtime that drops its tasks leaves nobody waiting.
    fn drop(&mut self) {
        self.shared.end();
        self.shared.signal.end();
    }
}

/// What has become of what there was to write.
struct Written {
    /// A stream did not take all of it.
    blocked: bool,
    /// A stream has ended.
    ended: bool,
    /// The machine's.
    deadline: Option<Instant>,
    /// Those who wait for room, and those who wait until all has left, where it has.
    waiting: Option<Box<Served>>,
}

impl Written {
    /// Writes what there is to write, and ends what is to end. `more`: the machine was not heard to the end.
    fn new(state: &mut State, transports: &mut [Transport], cx: &mut Context<'_>, more: bool) -> Self {
        let (mut blocked, mut ended) = (false, false);
        for transport in transports {
            blocked |= transport.put(cx, state.manager.transmit(transport.id));
            ended |= transport.ended;
        }
        // What is still to be heard may be that all was lost.
        let waiting = state.take_waiting(!blocked && !more);
        Self { blocked, ended, deadline: state.manager.poll_timeout(), waiting }
    }
}

/// Whose request it is: each connection of the machine has a number.
const fn session(id: RequestId) -> u32 {
    (id.0 >> 32) as u32
}

/// A connector of the application's own may panic.
async fn caught<T>(connecting: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(connecting)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(Failure::Connect(format!("panicked: {}", panic_text(&*panic)).into())))
}

fn headers(head: &http::response::Parts) -> Vec<(&str, &[u8])> {
    head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn on_ack(client: Option<Client>, waiter: Option<Waiter>, outcome: AckOutcome) {
    if let Some(waiter) = waiter
        && let Err(panic) = catch_unwind(AssertUnwindSafe(|| waiter.settle(outcome)))
        && let Some(client) = client
    {
        report(client, None, HandlerFault::Panicked(panic_text(&*panic)));
    }
}

fn tell(socket: Client, event: Option<Text>, result: Result<(), HandlerFault>) {
    if let Err(fault) = result {
        report(socket, event, fault);
    }
}

fn report(socket: Client, event: Option<Text>, fault: HandlerFault) {
    let error = HandlerError { socket, event, fault };
    error.socket.listeners().report(&error);
}
