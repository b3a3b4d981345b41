//! What Socket.IO and Engine.IO have in common for the driver: a machine per connection, something that they share, and
//! an application.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use bytes::BytesMut;
use sockeye_protocol::{
    ConnKey, Instant, Limits, RequestId, TransportId,
    http::{Body, Request, Response},
    server::Stats,
    ws::TransmitQueue,
};

use crate::{core::Core, link::Link};

/// A machine of the core, one per connection.
pub(crate) trait Machine: Send + 'static {
    /// What it has to say that is not a byte stream's or a request's business.
    type Said: Send;
    /// What others have to say to it.
    type Letter: Send;
    /// What the driver keeps beside it, under the same lock.
    type Beside: Default + Send;

    fn handle_request(&mut self, now: Instant, id: RequestId, head: &Request<'_>, body: Body);
    /// Takes a request without a body if it only waits. Whether it did.
    fn handle_poll(&mut self, now: Instant, id: RequestId, head: &Request<'_>) -> bool;
    fn handle_body(&mut self, now: Instant, id: RequestId, body: Body);
    fn handle_abort(&mut self, now: Instant, id: RequestId);
    fn handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut);
    fn handle_eof(&mut self, now: Instant, transport: TransportId);
    fn handle_letter(&mut self, now: Instant, letter: Self::Letter);
    fn handle_timeout(&mut self, now: Instant);
    fn handle_withheld(&mut self, now: Instant, withheld: bool);
    fn poll_output(&mut self) -> Option<Output<Self::Said>>;
    fn poll_timeout(&self) -> Option<Instant>;
    fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue>;
    fn wants_read(&self) -> bool;
    fn is_drained(&self) -> bool;
    fn shutdown(&mut self, now: Instant);
    fn abort(&mut self, now: Instant);
    fn stats(&self) -> Stats;
    /// Nothing more comes from the machine, which is gone. What is to be dropped, and who is to be woken, without the
    /// lock.
    fn forsake(beside: &mut Self::Beside) -> (Self::Beside, Option<Waker>);
    /// How much of the application's waits in there.
    fn held(beside: &Self::Beside) -> usize;
}

/// The methods of [`Machine`] that the core's machines have under the same names.
macro_rules! by_the_same_names {
    () => {
        $crate::layer::by_the_same_names! {
            handle_request(&mut self, now: Instant, id: RequestId, head: &Request<'_>, body: Body);
            handle_body(&mut self, now: Instant, id: RequestId, body: Body);
            handle_abort(&mut self, now: Instant, id: RequestId);
            handle_bytes(&mut self, now: Instant, transport: TransportId, buffer: &mut BytesMut);
            handle_eof(&mut self, now: Instant, transport: TransportId);
            handle_timeout(&mut self, now: Instant);
            handle_withheld(&mut self, now: Instant, withheld: bool);
            abort(&mut self, now: Instant);
        }

        fn handle_poll(&mut self, now: Instant, id: RequestId, head: &Request<'_>) -> bool {
            Self::handle_poll(self, now, id, head)
        }

        fn poll_timeout(&self) -> Option<Instant> {
            Self::poll_timeout(self)
        }

        fn transmit(&mut self, transport: TransportId) -> Option<&mut TransmitQueue> {
            Self::transmit(self, transport)
        }

        fn wants_read(&self) -> bool {
            Self::wants_read(self)
        }

        fn is_drained(&self) -> bool {
            Self::is_drained(self)
        }
    };
    ($($method:ident(&mut $this:ident $(, $name:ident: $type:ty)*);)*) => {
        $(fn $method(&mut $this $(, $name: $type)*) {
            Self::$method($this $(, $name)*);
        })*
    };
}
pub(crate) use by_the_same_names;

/// What a machine has to say.
pub(crate) enum Output<S> {
    Respond { id: RequestId, response: Response },
    Upgrade { id: RequestId, response: Response, transport: TransportId },
    Shutdown(TransportId),
    Abort(TransportId),
    Said(S),
}

/// Where a request goes.
pub(crate) enum Route<M: Machine> {
    NotFound,
    Response(Response),
    Existing(Arc<Link<M>>),
    Open(Arc<Link<M>>),
}

/// A server: what its connections share.
pub(crate) trait Layer: Send + Sync + Sized + 'static {
    type Machine: Machine;
    type Seats: Seats<Self>;

    fn core(&self) -> &Core;
    fn route(&self, now: Instant, head: &Request<'_>) -> Route<Self::Machine>;
    fn link(&self, key: ConnKey) -> Option<Arc<Link<Self::Machine>>>;
    fn links(&self) -> Vec<Arc<Link<Self::Machine>>>;
    /// Nothing is left of a connection.
    fn remove(&self, key: ConnKey);
    /// A deadline of what connections share may have come.
    fn handle_timeout(&self, _now: Instant) {}
    /// The server has ended: handlers are forgotten, and with them what they captured, such as handles of the server; and
    /// sessions that nobody will come back to.
    fn forget_handlers(&self);
}

/// The application's side of one connection: who is connected, and which handlers are in flight.
pub(crate) trait Seats<L: Layer>: Default + Send + Unpin {
    /// Takes what the machine said. Without a context, nothing of the application is polled yet.
    fn handle(&mut self, owner: &Ownership<'_, L>, cx: Option<&mut Context<'_>>, said: <L::Machine as Machine>::Said);
    /// Goes on with handlers in flight, and with events that waited. Whether anything happened.
    fn poll(&mut self, owner: &Ownership<'_, L>, cx: &mut Context<'_>, listeners_changed: bool) -> bool;
    /// Whether so much waits for handlers that the peer should not be read from; `beside` is what the driver keeps beside
    /// the machine.
    fn is_full(&self, limits: &Limits, beside: &<L::Machine as Machine>::Beside) -> bool;
    /// What waits for the application and what of it is running, for [`Stats`].
    fn held(&self) -> Held;
    /// Whether no handler is in flight.
    fn is_idle(&self) -> bool;
}

/// What is held for the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Events that wait for a handler.
    pub(crate) parked: usize,
    /// Handlers in flight.
    pub(crate) handlers: usize,
}

/// What an owner task owns, for its seats.
pub(crate) struct Ownership<'a, L: Layer> {
    pub(crate) layer: &'a Arc<L>,
    pub(crate) link: &'a Arc<Link<L::Machine>>,
    pub(crate) now: Instant,
}
