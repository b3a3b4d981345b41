//! One request and its answer.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use futures_channel::oneshot;
use http_body::Body as HttpBody;
use sockeye_protocol::{RequestId, TransportId, http as core_http};

use super::{Body, encode, unavailable};
use crate::{
    Runtime, Stream,
    layer::{Layer, Machine as _},
    link::{Answer, Attached, Link},
    owner::Owner,
    signal::Reasons,
};

/// A request that a machine has. The future brings its answer; dropped before, it tells the machine so.
pub(crate) struct Exchange<L: Layer, B> {
    layer: Arc<L>,
    link: Arc<Link<L::Machine>>,
    id: RequestId,
    receiver: oneshot::Receiver<Answer>,
    /// What is still to be read.
    body: Option<B>,
    read: BytesMut,
    /// Nothing is left to be read.
    whole: bool,
    answered: bool,
}

impl<L: Layer, B> Exchange<L, B> {
    pub(super) fn new(
        layer: Arc<L>,
        link: Arc<Link<L::Machine>>,
        id: RequestId,
        receiver: oneshot::Receiver<Answer>,
        body: Option<B>,
    ) -> Self {
        let whole = body.is_none();
        Self { layer, link, id, receiver, body, read: BytesMut::new(), whole, answered: false }
    }

    /// Has the connection's owner see to what the machine was handed.
    pub(super) fn announce(&self) {
        self.link.signal.raise(Reasons::MACHINE);
    }

    /// A new connection: its owner says the first things right here, and runs on by itself.
    pub(super) fn open(&self, runtime: &Arc<dyn Runtime>) {
        let now = self.layer.core().now();
        let owner = Owner::new(Arc::clone(&self.layer), Arc::clone(runtime), Arc::clone(&self.link), now);
        runtime.spawn(Box::pin(owner));
    }

    /// Whether the request was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    fn hand_over(&self, body: core_http::Body) {
        let now = self.layer.core().now();
        self.link.with(now, |machine, _| machine.handle_body(now, self.id, body));
    }
}

impl<L: Layer, B> Exchange<L, B>
where
    B: HttpBody + Unpin,
{
    /// Reads what there is of the body. What a peer sends is not taken while it is held back.
    fn read_body(&mut self, cx: &mut Context<'_>) {
        let limit = self.layer.core().config.limits.max_payload;
        let now = self.layer.core().now();
        while let Some(body) = &mut self.body {
            {
                let mut locked = self.link.lock(now);
                let rest = locked.rest();
                if rest.full {
                    rest.await_room(cx.waker());
                    return;
                }
            }
            let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else { return };
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if self.read.len().saturating_add(data.remaining()) > limit {
                        self.body = None;
                        self.read = BytesMut::new();
                        return self.hand_over(core_http::Body::TooLarge);
                    }
                    bytes::BufMut::put(&mut self.read, data);
                }
                // Trailers mean nothing here.
                Some(Ok(Err(_))) => {}
                None => {
                    self.body = None;
                    self.whole = true;
                    let body = std::mem::take(&mut self.read).freeze();
                    return self.hand_over(core_http::Body::Whole(body));
                }
                // The rest never comes. The core judges that when the body's time is over, or the peer is gone.
                Some(Err(_)) => self.body = None,
            }
        }
    }
}

impl<L: Layer, B: HttpBody + Unpin> Future for Exchange<L, B> {
    type Output = (http::Response<Body>, Option<Upgraded<L>>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.body.is_some() {
            this.read_body(cx);
        }
        let answer = ready!(Pin::new(&mut this.receiver).poll(cx));
        this.answered = true;
        let Ok(Answer { response, upgrade }) = answer else {
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

impl<L: Layer, B> Drop for Exchange<L, B> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let now = self.layer.core().now();
        self.receiver.close();
        match self.receiver.try_recv() {
            // The answer came, and nobody took it.
            Ok(Some(Answer { upgrade: Some(transport), .. })) => {
                self.link.with(now, |machine, _| machine.handle_eof(now, transport));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                self.link.lock(now).forget_request(self.id);
                self.link.with(now, |machine, _| machine.handle_abort(now, self.id));
            }
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
