//! One request and its answer.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, BufMut as _, BytesMut};
use http_body::Body as HttpBody;
use sockeye_protocol::{Instant, RequestId, TransportId, engine, http as core_http};

use super::{Body, Lines, Peer, encode, unavailable};
use crate::{
    Runtime, Stream,
    layer::{Layer, Machine as _},
    link::{Answer, Attached, Link},
    owner::Owner,
    signal::Reasons,
};

/// A request that a machine has, or will have once this is polled or dropped. The future brings its answer; dropped before,
/// it tells the machine so.
pub(crate) struct Exchange<L: Layer, B: HttpBody + Unpin> {
    layer: Arc<L>,
    link: Arc<Link<L::Machine>>,
    id: RequestId,
    /// What is not handed over yet: nothing but a body makes a request wait for that.
    head: Option<Box<(http::request::Parts, Peer)>>,
    /// What is still to be read.
    body: Option<B>,
    read: BytesMut,
    /// Nothing is left to be read.
    whole: bool,
    /// The rest of the body never comes.
    broken: bool,
    /// The machine has it, and its answer was not fetched.
    asked: bool,
}

impl<L: Layer, B: HttpBody + Unpin> Exchange<L, B> {
    pub(super) fn new(layer: Arc<L>, link: Arc<Link<L::Machine>>, id: RequestId) -> Self {
        Self {
            layer,
            link,
            id,
            head: None,
            body: None,
            read: BytesMut::new(),
            whole: true,
            broken: false,
            asked: false,
        }
    }

    /// The request is handed over when this is polled.
    pub(super) fn ask_later(&mut self, request: http::Request<B>, peer: Peer) {
        let (head, body) = request.into_parts();
        self.head = Some(Box::new((head, peer)));
        self.expect(body);
    }

    /// The body of the request that was handed over follows.
    pub(super) fn expect(&mut self, body: B) {
        self.body = Some(body);
        self.whole = false;
    }

    /// Hands the request over, and has the connection's owner see to it: on a new connection that says the first things
    /// right here, and runs on by itself on the runtime.
    ///
    /// # Errors
    ///
    /// The answer, if the connection is gone since the request was routed.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        head: &core_http::Request<'_>,
        body: core_http::Body,
        opened: Option<&Arc<dyn Runtime>>,
    ) -> Result<(), core_http::Response> {
        let mut locked = self.link.lock(now);
        let Some(machine) = locked.machine() else {
            let unread = !matches!(body, core_http::Body::Whole(_));
            return Err(engine::gone(&self.layer.core().config, head, unread));
        };
        // Most GETs only wait, for which nobody is woken.
        let waits = opened.is_none() && body == core_http::Body::EMPTY && machine.handle_poll(now, self.id, head);
        if !waits {
            machine.handle_request(now, self.id, head, body);
        }
        locked.await_answer(self.id);
        self.asked = true;
        drop(locked);
        match opened {
            Some(runtime) => {
                let owner = Owner::new(Arc::clone(&self.layer), Arc::clone(runtime), Arc::clone(&self.link), now);
                runtime.spawn(Box::pin(owner));
            }
            None if waits => {}
            // Its head alone may be answered, and a body that does not come has a deadline.
            None => self.link.signal.raise(Reasons::MACHINE),
        }
        Ok(())
    }

    /// Whether the machine has the request.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// Whether the request was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Reads what there is of the body, and gives it when that is all, or too much. What a peer sends is not taken while it
    /// is held back: that this is over is `awaited`, or not.
    fn read_body(&mut self, cx: &mut Context<'_>, now: Instant, awaited: bool) -> Option<core_http::Body> {
        let limit = self.layer.core().config.limits.max_payload;
        {
            let mut locked = self.link.lock(now);
            let rest = locked.rest();
            if rest.full {
                if awaited {
                    rest.await_room(cx.waker());
                }
                return None;
            }
        }
        // One that panics is not polled again when this is dropped for that.
        while let Some(mut body) = self.body.take() {
            let frame = Pin::new(&mut body).poll_frame(cx);
            self.body = Some(body);
            let Poll::Ready(frame) = frame else { return None };
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if self.read.len().saturating_add(data.remaining()) > limit {
                        self.body = None;
                        self.read = BytesMut::new();
                        return Some(core_http::Body::TooLarge);
                    }
                    self.read.put(data);
                }
                // Trailers mean nothing here.
                Some(Ok(Err(_))) => {}
                None => {
                    self.body = None;
                    self.whole = true;
                    return Some(core_http::Body::Whole(std::mem::take(&mut self.read).freeze()));
                }
                Some(Err(_)) => {
                    self.body = None;
                    self.broken = true;
                }
            }
        }
        None
    }

    /// Hands over what there is to hand over.
    fn ask_more(&mut self, cx: &mut Context<'_>, awaited: bool) -> Result<(), core_http::Response> {
        let now = self.layer.core().now();
        let body = self.read_body(cx, now, awaited);
        if let Some(asked) = self.head.take() {
            let (head, peer) = &*asked;
            let lines = Lines::of(&head.headers);
            let head = lines.head(&head.method, &head.uri, *peer);
            return self.ask(now, &head, body.unwrap_or(core_http::Body::Pending), None);
        }
        if let Some(body) = body {
            self.link.with(now, |machine, _| machine.handle_body(now, self.id, body));
        }
        Ok(())
    }
}

impl<L: Layer, B: HttpBody + Unpin> Future for Exchange<L, B> {
    type Output = (http::Response<Body>, Option<Upgraded<L>>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.body.is_some()
            && let Err(response) = this.ask_more(cx, true)
        {
            return Poll::Ready((encode(response), None));
        }
        let answer = this.link.poll_answer(cx, this.id);
        if answer.is_pending() && this.broken {
            // Half a request: the peer is gone, or cannot speak HTTP. JavaScript ends the session at once, too.
            return Poll::Ready((encode(core_http::Response::status(400).closing()), None));
        }
        let answer = ready!(answer);
        this.asked = false;
        let Some(Answer { response, upgrade }) = answer else {
            // The connection is gone, and so is whoever would have answered.
            return Poll::Ready((unavailable(), None));
        };
        let upgraded = upgrade.map(|transport| Upgraded {
            layer: Arc::clone(&this.layer),
            link: Arc::clone(&this.link),
            transport: Some(transport),
        });
        Poll::Ready((encode(response), upgraded))
    }
}

impl<L: Layer, B: HttpBody + Unpin> Drop for Exchange<L, B> {
    fn drop(&mut self) {
        if self.head.is_some() || (self.asked && self.body.is_some()) {
            // Its HTTP connection may have ended right behind it, and it counts if it has come whole, as in JavaScript. Nobody is
            // there for a refusal.
            let _ = self.ask_more(&mut Context::from_waker(Waker::noop()), false);
        }
        if self.asked {
            self.link.forget_request(self.layer.core().now(), self.id);
        }
    }
}

/// A WebSocket whose byte stream is still HTTP's. Dropped without it, the machine learns that it never comes.
pub(crate) struct Upgraded<L: Layer> {
    layer: Arc<L>,
    link: Arc<Link<L::Machine>>,
    transport: Option<TransportId>,
}

impl<L: Layer> Upgraded<L> {
    /// The 101 is written: from here on the stream is the WebSocket's.
    pub(crate) fn attach(mut self, stream: Box<dyn Stream>, read: bytes::Bytes) {
        if let Some(transport) = self.transport.take() {
            self.link.attach(Attached { transport, stream, read });
        }
    }
}

impl<L: Layer> Drop for Upgraded<L> {
    fn drop(&mut self) {
        if let Some(transport) = self.transport.take() {
            let now = self.layer.core().now();
            self.link.with(now, |machine, _| machine.handle_eof(now, transport));
        }
    }
}
