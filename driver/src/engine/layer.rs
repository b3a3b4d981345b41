//! Sessions by their ids, and what a session is for the driver.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use sockeye_protocol::{
    Config, ConnKey, Instant, Limits, RequestId, TransportId,
    engine::{self, CloseReason, Event, Message, Registry, Routed, Session},
    http::{Body, Request},
    server::Stats,
    ws::TransmitQueue,
};

use super::EngineSocket;
use crate::{
    core::{Core, Level},
    handler::{BoxError, Guarded, panic_text},
    layer::{Held, Layer, Machine, Output, Ownership, Route, Seats, by_the_same_names},
    link::{Link, Links},
    runtime::{BoxFuture, lock},
};

/// An Engine.IO server: what its sessions and its handles share.
pub(crate) struct EngineIo {
    core: Core,
    sessions: Mutex<Sessions>,
    /// `None` before it is set, and once the server has ended.
    pub(super) on_connection: Mutex<Option<Arc<OnConnection>>>,
}

pub(super) type OnConnection = dyn Fn(EngineSocket) -> BoxFuture<Result<(), BoxError>> + Send + Sync;

struct Sessions {
    registry: Registry,
    links: Links<Session>,
}

impl EngineIo {
    pub(super) fn new(config: Config) -> Self {
        let core = Core::new(config);
        let registry = Registry::new(Arc::clone(&core.config), &Core::seed());
        let sessions = Mutex::new(Sessions { registry, links: Links::default() });
        Self { core, sessions, on_connection: Mutex::new(None) }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let links = {
            let sessions = lock(&self.sessions);
            stats.sids = sessions.registry.len();
            sessions.links.all()
        };
        stats.connections = links.len();
        stats.tasks = self.core.task_count();
        for link in links {
            std::ops::AddAssign::add_assign(&mut stats, link.stats());
        }
        stats
    }
}

impl Layer for EngineIo {
    type Machine = Session;
    type Seats = Seat;

    fn core(&self) -> &Core {
        &self.core
    }

    fn route(&self, now: Instant, head: &Request<'_>) -> Route<Session> {
        let mut sessions = lock(&self.sessions);
        let Sessions { registry, links } = &mut *sessions;
        match registry.route(head) {
            Routed::NotFound => Route::NotFound,
            Routed::Respond(response) => Route::Response(response),
            Routed::Existing(key) => match links.get(key) {
                Some(link) => Route::Existing(Arc::clone(link)),
                None => Route::Response(engine::gone(&self.core.config, head, true)),
            },
            Routed::Open if self.core.gate.is(Level::Closing) => {
                Route::Response(engine::unavailable(&self.core.config, head))
            }
            Routed::Open => {
                let (key, session) = registry.open(now);
                let link = Arc::new(Link::new(key, session));
                links.insert(Arc::clone(&link));
                Route::Open(link)
            }
        }
    }

    fn link(&self, key: ConnKey) -> Option<Arc<Link<Session>>> {
        lock(&self.sessions).links.get(key).cloned()
    }

    fn links(&self) -> Vec<Arc<Link<Session>>> {
        lock(&self.sessions).links.all()
    }

    fn remove(&self, key: ConnKey) {
        let removed = {
            let mut sessions = lock(&self.sessions);
            let removed = sessions.links.remove(key);
            if removed.is_some() {
                sessions.registry.remove(key);
            }
            removed
        };
        // Without the lock.
        drop(removed);
    }

    fn forget_handlers(&self) {
        let handler = lock(&self.on_connection).take();
        drop(handler);
    }
}

/// What a session has brought and its socket has not taken yet.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(super) messages: VecDeque<Message>,
    pub(super) bytes: usize,
    pub(super) reader: Option<Waker>,
    pub(super) closed: Option<CloseReason>,
}

impl Inbox {
    fn push(&mut self, message: Message) {
        self.bytes = self.bytes.saturating_add(size(&message));
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&message));
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    fn close(&mut self, reason: CloseReason) -> Option<Waker> {
        self.closed.get_or_insert(reason);
        self.reader.take()
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
    }
}

/// The application's side of a session: the handler of its connection.
#[derive(Default)]
pub(crate) struct Seat {
    handler: Option<Guarded>,
}

type Owner<'a> = Ownership<'a, EngineIo>;

impl Seats<EngineIo> for Seat {
    fn handle(&mut self, owner: &Owner<'_>, cx: Option<&mut Context<'_>>, event: Event) {
        match event {
            Event::Open => {
                let socket = EngineSocket::new(owner.layer, owner.link);
                let handler = lock(&owner.layer.on_connection).clone();
                let Some(on_connection) = handler else { return };
                match catch_unwind(AssertUnwindSafe(|| on_connection(socket))) {
                    Ok(handler) => self.handler = Some(Guarded(handler)),
                    Err(panic) => report(&format_args!("panicked: {}", panic_text(&*panic))),
                }
            }
            Event::Message(message) => {
                let reader = {
                    let mut locked = owner.link.lock(owner.now);
                    let inbox = &mut locked.rest().beside;
                    inbox.push(message);
                    inbox.reader.take()
                };
                reader.into_iter().for_each(Waker::wake);
                // What the handler has to say about it comes before whatever the peer says next.
                if let Some(cx) = cx {
                    self.run(cx);
                }
            }
            Event::Close { reason, error } => {
                tracing::trace!(connection = %owner.link.key, %reason, ?error, "closed");
                let reader = {
                    let mut locked = owner.link.lock(owner.now);
                    // Nobody need wait any more to send something.
                    locked.rest().progress = true;
                    locked.rest().beside.close(reason)
                };
                reader.into_iter().for_each(Waker::wake);
            }
            Event::Upgraded => {}
        }
    }

    fn poll(&mut self, _: &Owner<'_>, cx: &mut Context<'_>, inbox_changed: bool) -> bool {
        self.run(cx) || inbox_changed
    }

    fn is_full(&self, limits: &Limits, inbox: &Inbox) -> bool {
        inbox.messages.len() >= limits.parked || inbox.bytes >= limits.high_water
    }

    fn held(&self) -> Held {
        Held { parked: 0, handlers: usize::from(self.handler.is_some()) }
    }

    fn is_idle(&self) -> bool {
        self.handler.is_none()
    }
}

impl Seat {
    /// Polls the handler. Whether it has returned.
    fn run(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(handler) = &mut self.handler else { return false };
        let Poll::Ready(result) = Pin::new(handler).poll(cx) else { return false };
        self.handler = None;
        if let Err(fault) = result {
            report(&fault);
        }
        true
    }
}

fn report(fault: &dyn std::fmt::Display) {
    tracing::error!(%fault, "a handler of Engine.IO connections failed");
    #[expect(clippy::print_stderr, reason = "an error that nobody listens to must not go unseen")]
    {
        eprintln!("sockeye: handler of an Engine.IO connection: {fault}");
    }
}

impl Machine for Session {
    type Said = Event;
    type Letter = Infallible;
    type Beside = Inbox;

    by_the_same_names!();

    fn handle_letter(&mut self, _: Instant, letter: Infallible) {
        match letter {}
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        Some(match Self::poll_output(self)? {
            engine::Output::Respond { id, response } => Output::Respond { id, response },
            engine::Output::Upgrade { id, response, transport } => Output::Upgrade { id, response, transport },
            engine::Output::Shutdown { transport } => Output::Shutdown(transport),
            engine::Output::Abort { transport } => Output::Abort(transport),
            engine::Output::Event(event) => Output::Said(event),
        })
    }

    fn shutdown(&mut self, now: Instant) {
        self.close(now, CloseReason::ServerShuttingDown);
    }

    fn stats(&self) -> Stats {
        let session = Self::stats(self);
        let mut stats = Stats::default();
        stats.requests = session.requests;
        stats.transports = session.transports;
        stats.received_bytes = session.received_bytes;
        stats.queued_packets = session.queued_packets;
        stats.queued_bytes = session.queued_bytes;
        stats.waiting = session.waiting;
        stats
    }

    fn forsake(inbox: &mut Inbox) -> (Inbox, Option<Waker>) {
        // What has arrived may still be taken.
        (Inbox::default(), inbox.close(CloseReason::ForcedClose))
    }

    fn held(inbox: &Inbox) -> usize {
        inbox.messages.len()
    }
}
