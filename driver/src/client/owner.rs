//! The task of one client: it alone does requests, reads, hands what came to the machine, runs handlers, and writes.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use sockeye_protocol::{
    Instant, RequestId, Text, TransportId,
    client::{
        AckToken, DisconnectReason, Error, Event as CoreEvent, Output, SocketId,
        http::{Failure, Response},
    },
    socket::Args as RawArgs,
};

use super::{
    Client, HeadersProvider, ManagerEvent,
    client::ConnectErrorContext,
    http::{Answer, Http, Opened},
    shared::Shared,
};
use crate::{
    Ack, Event,
    handler::{
        self, Call, ConnectContext, DisconnectContext, EventContext, Flight, Flights, Guarded, HandlerError,
        HandlerFault, Landed, List, Subject, panic_text,
    },
    runtime::{BoxFuture, Sleep},
    transport::{Transport, read, write},
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
    flights: Flights<Client, Kind>,
    seats: BTreeMap<SocketId, Seat>,
    sleep: Option<(Instant, Sleep)>,
    handlers: usize,
    parked: usize,
}

/// Something that is waited for outside of the machine.
struct Job {
    name: Name,
    future: BoxFuture<Done>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Request(RequestId),
    Open(TransportId),
    Provider,
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

/// The handlers of one namespace.
#[derive(Default)]
struct Seat {
    /// Event handlers that have not returned.
    handling: usize,
    parked: VecDeque<Packet>,
}

struct Packet {
    name: Text,
    args: RawArgs,
    ack: Option<AckToken>,
}

impl Owner {
    pub(super) fn new(shared: Arc<Shared>, http: Arc<Http>, headers: Option<Arc<HeadersProvider>>) -> Self {
        let (handlers, parked) = shared.look(|state| {
            let limits = &state.manager.config().limits;
            (limits.handlers, limits.parked)
        });
        Self {
            shared,
            http,
            headers,
            transports: Vec::new(),
            jobs: Vec::new(),
            flights: Flights::default(),
            seats: BTreeMap::new(),
            sleep: None,
            handlers,
            parked,
        }
    }

    /// One round: inputs, handlers, outputs. Whether another one may find something.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let mut any = self.poll_jobs(cx, now);
        any |= self.read(cx, now);
        any |= self.tick(now);
        while let Some(landed) = self.flights.land(cx) {
            any = true;
            self.on_landed(landed);
        }
        any |= self.unpark(cx);
        any |= self.drain(cx);
        self.settle_connecting();
        any | self.write(cx)
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0_usize;
        while let Some(job) = self.jobs.get_mut(index) {
            let Poll::Ready(done) = job.future.as_mut().poll(cx) else {
                index = index.saturating_add(1);
                continue;
            };
            drop(self.jobs.swap_remove(index));
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

    /// Reads once from each stream that has something. Whether any had.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        // What waits for handlers is bounded. (That writing is stuck is no reason not to read.)
        let full = self.seats.values().any(|seat| seat.parked.len() >= self.parked);
        let (mut any, shared) = (false, &self.shared);
        for transport in &mut self.transports {
            if full && !transport.draining {
                continue;
            }
            let id = transport.id;
            match read(&mut *transport.stream, cx, |bytes| {
                shared.look(|state| state.manager.handle_bytes(now, id, bytes));
            }) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => any = true,
                Poll::Ready(_) => {
                    transport.ended = true;
                    any = true;
                }
            }
        }
        self.reap(now) | any
    }

    /// Hands a deadline that has come to the machine. Whether there was one.
    fn tick(&mut self, now: Instant) -> bool {
        self.shared.look(|state| {
            let due = state.manager.poll_timeout().is_some_and(|at| at <= now);
            if due {
                state.manager.handle_timeout(now);
            }
            due
        })
    }

    /// What the machine has to say, up to a bound. Whether there was something.
    fn drain(&mut self, cx: &mut Context<'_>) -> bool {
        for count in 0..OUTPUTS {
            let Some(output) = self.shared.look(|state| state.manager.poll_output()) else { return count > 0 };
            match output {
                Output::Request { id, request } => {
                    let http = Arc::clone(&self.http);
                    let future = async move { Done::Answered(id, http.exchange(request).await) };
                    self.jobs.push(Job { name: Name::Request(id), future: Box::pin(future) });
                }
                Output::Open { transport, request } => {
                    let http = Arc::clone(&self.http);
                    let future = async move { Done::Opened(transport, http.open(request).await) };
                    self.jobs.push(Job { name: Name::Open(transport), future: Box::pin(future) });
                }
                Output::Cancel { id } => self.jobs.retain(|job| job.name != Name::Request(id)),
                Output::Abort { transport } => {
                    self.jobs.retain(|job| job.name != Name::Open(transport));
                    self.transports.retain(|other| other.id != transport);
                }
                Output::Shutdown { transport } => {
                    match self.transports.iter_mut().find(|other| other.id == transport) {
                        Some(stream) => stream.shutdown = true,
                        None => self.ended(transport),
                    }
                }
                Output::Event(event) => self.on_event(cx, event),
                // Something that only a later version of the core says, and that its driver would know.
                _ => {}
            }
        }
        true
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: CoreEvent) {
        match event {
            CoreEvent::Packet { socket, event: name, args, ack } => {
                self.on_packet(cx, socket, Packet { name, args, ack });
            }
            CoreEvent::Ack { socket, id, outcome } => {
                let waiter = self.shared.look(|state| state.waiters.remove(&(socket, id)));
                let client = self.client(socket);
                if let Some(waiter) = waiter
                    && let Err(panic) = catch_unwind(AssertUnwindSafe(|| waiter.settle(outcome)))
                    && let Some(client) = client
                {
                    report(client, None, HandlerFault::Panicked(panic_text(&*panic)));
                }
            }
            CoreEvent::Connect { socket, .. } => {
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.connect.clone());
                    self.call_all(cx, &listeners, &ConnectContext { socket: client });
                }
                // Whoever waits registers listeners then, for the next time.
                self.resolve(socket, &Ok(()));
            }
            CoreEvent::ConnectError { socket, error } => {
                self.shared.look(|state| {
                    for waiting in state.connecting.iter_mut().filter(|waiting| waiting.socket == socket) {
                        waiting.error = Some(error.clone());
                    }
                });
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.connect_error.clone());
                    self.call_all(cx, &listeners, &ConnectErrorContext { socket: client, error });
                }
            }
            CoreEvent::Disconnect { socket, reason, error } => {
                self.start_parked(cx, socket);
                if let Some(error) = error {
                    tracing::debug!(%socket, %reason, %error, "disconnected");
                }
                if let Some(client) = self.client(socket) {
                    let listeners = client.listeners().read(|table| table.disconnect.clone());
                    self.call_all(cx, &listeners, &DisconnectContext { socket: client, reason });
                }
            }
            CoreEvent::Outgoing { socket, payload } => {
                if let Some(client) = self.client(socket) {
                    client.announce_outgoing(&payload);
                }
            }
            CoreEvent::NeedAuth(request) => match self.client(request.socket()) {
                Some(client) => {
                    let shared = Arc::clone(&self.shared);
                    let future = async move {
                        let auth = client.provide_auth(request.clone()).await;
                        let auth = match &auth {
                            Ok(auth) => Ok(auth.as_ref()),
                            Err(why) => Err(why.clone()),
                        };
                        drop(client);
                        // Gone: another one will ask again.
                        let provided = shared.with(|state, now| state.manager.provide_auth(now, &request, auth));
                        if let Err(error) = provided {
                            tracing::debug!(%error, "what a client gives as auth came too late");
                        }
                        Done::Provided
                    };
                    self.jobs.push(Job { name: Name::Provider, future: Box::pin(future) });
                }
                // Nobody has a handle of it any more.
                None => self.shared.with(|state, now| state.manager.disconnect(now, request.socket())),
            },
            CoreEvent::NeedHeaders(request) => {
                let (shared, provider) = (Arc::clone(&self.shared), self.headers.clone());
                let future = async move {
                    let headers = match provider {
                        Some(provider) => provider(request.clone()).await,
                        None => Ok(Vec::new()),
                    };
                    let provided = shared.with(|state, now| state.manager.provide_headers(now, &request, headers));
                    if let Err(error) = provided {
                        tracing::debug!(%error, "the headers of a client came too late");
                    }
                    Done::Provided
                };
                self.jobs.push(Job { name: Name::Provider, future: Box::pin(future) });
            }
            other => {
                if let Some(event) = ManagerEvent::of(other) {
                    self.shared.tell(&event);
                }
            }
        }
    }

    fn on_packet(&mut self, cx: &mut Context<'_>, socket: SocketId, packet: Packet) {
        let seat = self.seats.entry(socket).or_default();
        if seat.parked.is_empty() && seat.handling < self.handlers {
            return self.dispatch(cx, socket, packet);
        }
        seat.parked.push_back(packet);
    }

    /// Starts what has waited long enough, in order. Whether something did.
    fn unpark(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        let waiting: Vec<SocketId> =
            self.seats.iter().filter(|(_, seat)| !seat.parked.is_empty()).map(|(id, _)| *id).collect();
        for socket in waiting {
            while let Some(seat) = self.seats.get_mut(&socket)
                && seat.handling < self.handlers
                && let Some(packet) = seat.parked.pop_front()
            {
                any = true;
                self.dispatch(cx, socket, packet);
            }
        }
        any
    }

    /// Starts all that waits: what came before the end is handled before the end.
    fn start_parked(&mut self, cx: &mut Context<'_>, socket: SocketId) {
        while let Some(packet) = self.seats.get_mut(&socket).and_then(|seat| seat.parked.pop_front()) {
            self.dispatch(cx, socket, packet);
        }
    }

    /// Calls everybody who listens to an event.
    fn dispatch(&mut self, cx: &mut Context<'_>, socket: SocketId, packet: Packet) {
        let Some(client) = self.client(socket) else { return };
        let Packet { name, args, ack } = packet;
        let ack = ack.map(|token| {
            let shared = Arc::clone(&self.shared);
            Ack::by(shared.max_attachments, move |answer| {
                shared.command(|manager, now| manager.reply(now, &token, answer))
            })
        });
        let any = client.listeners().read(|table| table.any.clone());
        if !any.is_empty() {
            let event =
                Event { socket: Some(client.clone()), name: name.clone(), args: args.clone(), ack: ack.clone() };
            handler::announce(any.iter(), &event, |fault| report(client.clone(), Some(name.clone()), fault));
        }
        // A catch-all listener may just have registered one.
        let Some(listeners) = client.listeners().of(&name) else { return };
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
        let (socket, event) = (context.socket().clone(), context.event().cloned());
        match call(context) {
            Ok(future) => {
                self.count(&socket, kind, true);
                let flight = Flight { socket, kind, event, future: Guarded(future) };
                if let Some(landed) = self.flights.start(Some(cx), flight) {
                    self.on_landed(landed);
                }
            }
            Err(fault) => report(socket, event, fault),
        }
    }

    fn on_landed(&mut self, landed: Landed<Client, Kind>) {
        let Landed { socket, kind, event, result } = landed;
        self.count(&socket, kind, false);
        if let Err(fault) = result {
            report(socket, event, fault);
        }
    }

    fn count(&mut self, client: &Client, kind: Kind, begins: bool) {
        if kind == Kind::Event
            && let Some(seat) = self.seats.get_mut(&client.socket_id())
        {
            seat.handling = if begins { seat.handling.saturating_add(1) } else { seat.handling.saturating_sub(1) };
        }
    }

    fn client(&self, socket: SocketId) -> Option<Client> {
        self.shared.look(|state| state.sockets.get(&socket)?.upgrade().map(Client))
    }

    /// Tells those who wait for a namespace.
    fn resolve(&self, socket: SocketId, result: &Result<(), Error>) {
        let told =
            self.shared.look(|state| state.connecting.extract_if(.., |it| it.socket == socket).collect::<Vec<_>>());
        for waiting in told {
            // Nobody waits any more: that is their choice.
            _ = waiting.sender.send(result.clone());
        }
    }

    /// Tells those who wait for a namespace that nobody tries to connect any more.
    fn settle_connecting(&self) {
        let lost = self.shared.look(|state| {
            let manager = &state.manager;
            let is_lost = |socket| manager.is_closed() || !manager.is_active(socket);
            state.connecting.extract_if(.., |it| is_lost(it.socket)).collect::<Vec<_>>()
        });
        for waiting in lost {
            _ = waiting.sender.send(Err(waiting.error.unwrap_or(Error::Closed(DisconnectReason::ForcedClose))));
        }
    }

    /// Writes what there is to write, and ends what is to end. Whether something ended.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let transports = &mut self.transports;
        self.shared.look(|state| {
            for transport in transports {
                let written = match state.manager.transmit(transport.id) {
                    Some(queue) if queue.has_remaining() => write(transport, cx, queue),
                    _ => Poll::Ready(Ok(())),
                };
                match written {
                    Poll::Ready(Ok(())) if !transport.is_settled() => transport.finish(cx),
                    Poll::Ready(Err(_)) => transport.ended = true,
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
        });
        self.reap(now)
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
        let Some(deadline) = self.shared.look(|state| state.manager.poll_timeout()) else {
            self.sleep = None;
            return false;
        };
        let armed = self.sleep.take().filter(|(at, _)| *at == deadline);
        let (at, mut sleep) = armed.unwrap_or_else(|| {
            let time = deadline.saturating_duration_since(self.shared.now());
            (deadline, self.http.runtime.sleep(time))
        });
        if sleep.as_mut().poll(cx).is_ready() {
            return true;
        }
        self.sleep = Some((at, sleep));
        false
    }

    /// Whether no handle is left, and nothing to do.
    fn is_over(&self) -> bool {
        self.flights.len() == 0
            && self.transports.is_empty()
            && self.jobs.iter().all(|job| job.name == Name::Provider)
            && self.shared.look(|state| state.is_forsaken && state.manager.is_drained())
    }
}

impl Future for Owner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.signal.register(cx.waker());
        for _ in 0..ROUNDS {
            let woken = !this.shared.signal.take().is_none();
            let more = this.round(cx) || woken;
            if this.is_over() {
                return Poll::Ready(());
            }
            if !more && !this.sleep(cx) && this.shared.signal.rest() {
                return Poll::Pending;
            }
        }
        // There is more to do, after the others.
        this.shared.signal.raise_again(cx.waker());
        Poll::Pending
    }
}

impl Drop for Owner {
    /// A runtime that drops its tasks leaves nobody waiting.
    fn drop(&mut self) {
        let (waiters, connecting) =
            self.shared.look(|state| (std::mem::take(&mut state.waiters), std::mem::take(&mut state.connecting)));
        drop((waiters, connecting));
    }
}

fn headers(head: &http::response::Parts) -> Vec<(&str, &[u8])> {
    head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn report(socket: Client, event: Option<Text>, fault: HandlerFault) {
    let error = HandlerError { socket, event, fault };
    error.socket.listeners().report(&error);
}
