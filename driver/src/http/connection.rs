//! One HTTP/1.1 connection of our own listener.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::{
    body::{Body as _, Incoming},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::Service,
};
use sockeye_protocol::{Instant, Limits, http as core_http};

use super::{Body, Exchange, Peer, Routed, Upgraded, encode, route};
use crate::{
    Runtime, Stream,
    core::{Level, Task, attach},
    layer::Layer,
    runtime::{Sleep, lock},
    transport,
};

/// Serves an HTTP/1.1 connection until it ends, or until it is a WebSocket: then its byte stream goes to the owner of
/// that session, and nothing of HTTP is left.
pub(crate) fn serve_connection<L: Layer, S: Stream>(
    layer: &Arc<L>,
    runtime: Arc<dyn Runtime>,
    stream: S,
    peer: Peer,
) -> impl Future<Output = ()> + Send + use<L, S> {
    let core = layer.core();
    let limits = &core.config.limits;
    let meter = Arc::new(Meter::default());
    let slot = Arc::new(Mutex::new(None));
    let service = Requests {
        layer: Arc::clone(layer),
        runtime: Arc::clone(&runtime),
        peer,
        meter: Arc::clone(&meter),
        upgraded: Arc::clone(&slot),
    };
    let mut builder = http1::Builder::new();
    builder
        .max_headers(limits.header_count)
        // hyper wants at least 8 KiB.
        .max_buf_size(limits.header_bytes.max(8 * 1024))
        .max_header_size(limits.header_bytes)
        // Its timer does not know an idle connection from one that dribbles; ours does.
        .header_read_timeout(None)
        .half_close(false);
    let http = builder.serve_connection(Metered { stream, meter: Arc::clone(&meter) }, service);
    Connection {
        http: Some(http),
        _task: core.tasks.enter(),
        layer: Arc::clone(layer),
        runtime,
        meter,
        upgraded: slot,
        phase: Phase::New,
        deadline: core.now() + limits.header_timeout,
        sleep: None,
        closing: None,
        gate: None,
    }
}

/// What the stream and the service tell the connection.
#[derive(Default)]
struct Meter {
    /// A request is being answered.
    busy: AtomicBool,
    /// Bytes have come since the last request.
    read: AtomicBool,
    /// Bytes have left.
    written: AtomicBool,
    /// A request has been served.
    served: AtomicBool,
    /// It was answered before its body was read to the end.
    unread: AtomicBool,
}

/// Bytes of an answer that are copied rather than written from where they are.
const GATHERED: usize = 1024;

/// What is read of bodies that are not wanted, in units of the largest that would be.
const UNWANTED: usize = 4;

/// Reads of such a body before other tasks get their turn.
const READS: usize = 16;

/// A byte stream that says when something arrives, and when something has left.
struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.meter.written.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl<S: Stream> Read for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, cursor);
        if matches!(read, Poll::Ready(Ok(()))) {
            // The end of the stream, too, which ends everything.
            self.meter.read.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: Stream> Write for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.written(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A short answer, head and body: copied together they are written at less cost than as a list.
        let mut gathered = [0; GATHERED];
        let mut len = 0_usize;
        for buffer in buffers {
            let end = len.saturating_add(buffer.len());
            let Some(place) = gathered.get_mut(len..end) else {
                let written = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
                return self.written(written);
            };
            place.copy_from_slice(buffer);
            len = end;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, gathered.get(..len).unwrap_or_default());
        self.written(written)
    }
}

type Slot<L> = Arc<Mutex<Option<Upgraded<L>>>>;

/// Answers the requests of one connection.
struct Requests<L: Layer> {
    layer: Arc<L>,
    runtime: Arc<dyn Runtime>,
    peer: Peer,
    meter: Arc<Meter>,
    upgraded: Slot<L>,
}

impl<L: Layer> Service<http::Request<Incoming>> for Requests<L> {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Answering<L>;

    fn call(&self, request: http::Request<Incoming>) -> Answering<L> {
        self.meter.busy.store(true, Ordering::Relaxed);
        self.meter.read.store(false, Ordering::Relaxed);
        self.meter.unread.store(!request.body().is_end_stream(), Ordering::Relaxed);
        let state = match route(&self.layer, &self.runtime, request, self.peer) {
            // Nothing else is served here.
            Routed::NotFound(_) => State::Answered(Some(encode(core_http::Response::status(404)))),
            Routed::Answered(response) => State::Answered(Some(response)),
            Routed::Exchange(exchange) => State::Exchange(exchange),
        };
        Answering { state, meter: Arc::clone(&self.meter), upgraded: Arc::clone(&self.upgraded) }
    }
}

/// The answer to one request.
struct Answering<L: Layer> {
    state: State<L>,
    meter: Arc<Meter>,
    upgraded: Slot<L>,
}

enum State<L: Layer> {
    Answered(Option<http::Response<Body>>),
    Exchange(Exchange<L, Incoming>),
}

impl<L: Layer> Future for Answering<L> {
    type Output = Result<http::Response<Body>, std::convert::Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = match &mut this.state {
            State::Answered(response) => response.take().unwrap_or_default(),
            State::Exchange(exchange) => {
                let (response, upgraded) = ready!(Pin::new(&mut *exchange).poll(cx));
                *lock(&this.upgraded) = upgraded;
                if exchange.is_whole() {
                    this.meter.unread.store(false, Ordering::Relaxed);
                }
                response
            }
        };
        this.meter.served.store(true, Ordering::Relaxed);
        // What has come since its head was its body.
        this.meter.read.store(false, Ordering::Relaxed);
        this.meter.busy.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(response))
    }
}

/// What a connection is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its first request.
    New,
    /// The rest of a request's head.
    Head,
    /// An answer of ours.
    Busy,
    /// The next request.
    Idle,
}

struct Connection<L: Layer, S: Stream> {
    http: Option<http1::Connection<Metered<S>, Requests<L>>>,
    layer: Arc<L>,
    runtime: Arc<dyn Runtime>,
    meter: Arc<Meter>,
    upgraded: Slot<L>,
    phase: Phase,
    /// When the peer has to have come out of the phase.
    deadline: Instant,
    /// Wakes the task at that time or before.
    sleep: Option<(Instant, Sleep)>,
    /// HTTP is over, the stream's end is still to be written.
    closing: Option<Closing<S>>,
    /// Its place among those that are woken when the server closes.
    gate: Option<usize>,
    _task: Task,
}

impl<L: Layer, S: Stream> Connection<L, S> {
    fn phase(&self) -> Phase {
        if self.meter.busy.load(Ordering::Relaxed) {
            Phase::Busy
        } else if self.meter.read.load(Ordering::Relaxed) {
            Phase::Head
        } else if self.meter.served.load(Ordering::Relaxed) {
            Phase::Idle
        } else {
            Phase::New
        }
    }

    /// Whether the peer took too long over what it is waited for.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let core = self.layer.core();
        let limits = &core.config.limits;
        let phase = self.phase();
        let written = self.meter.written.swap(false, Ordering::Relaxed);
        if phase != self.phase {
            // A head that dribbles has the time of the first request, from the first byte on (Limits::header_timeout).
            self.deadline = match (self.phase, phase) {
                (Phase::New, Phase::Head) => self.deadline,
                (_, Phase::Idle) => core.now() + limits.keep_alive,
                _ => core.now() + limits.header_timeout,
            };
            self.phase = phase;
        } else if phase == Phase::Idle && written {
            // The peer takes the last answer, however slowly.
            self.deadline = core.now() + limits.keep_alive;
        }
        if phase == Phase::Busy {
            return false;
        }
        loop {
            let now = core.now();
            if now >= self.deadline {
                return true;
            }
            // An earlier alarm is only looked at: most connections never get here again before it rings.
            let armed = self.sleep.take().filter(|(at, _)| *at <= self.deadline);
            let (at, mut sleep) = armed
                .unwrap_or_else(|| (self.deadline, self.runtime.sleep(self.deadline.saturating_duration_since(now))));
            if sleep.as_mut().poll(cx).is_pending() {
                self.sleep = Some((at, sleep));
                return false;
            }
        }
    }

    /// Ends a connection whose peer is late: one that has begun to say something is told why.
    fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(http) = self.http.take() else { return Poll::Ready(()) };
        if self.phase != Phase::Head {
            return Poll::Ready(());
        }
        let mut stream = http.into_parts().io.stream;
        let mut text = bytes::BytesMut::new();
        core_http::Response::status(408).closing().encode_http1(&mut text);
        // What does not fit at once need not arrive.
        let _ = Pin::new(&mut stream).poll_write(cx, &text);
        self.close(stream, cx)
    }

    /// Writes the end of a stream: TLS says goodbye (RFC 8446, 6.1), for which it may have to wait, but not for ever.
    fn close(&mut self, stream: S, cx: &mut Context<'_>) -> Poll<()> {
        let Limits { close_timeout, max_payload, .. } = self.layer.core().config.limits;
        let unread = self.meter.unread.load(Ordering::Relaxed);
        self.closing = Some(Closing {
            stream,
            sleep: self.runtime.sleep(close_timeout),
            is_shut: false,
            discards: if unread { max_payload.saturating_mul(UNWANTED) } else { 0 },
        });
        self.poll_close(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(closing) = &mut self.closing else { return Poll::Ready(()) };
        match closing.poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => closing.sleep.as_mut().poll(cx),
        }
    }
}

/// A stream whose end is written.
struct Closing<S> {
    stream: S,
    /// The time for that.
    sleep: Sleep,
    is_shut: bool,
    /// Bytes that are still read and discarded: a socket that is closed with unread ones resets the connection, and a peer
    /// that writes yet would see that instead of its answer (RFC 9112, 9.6).
    discards: usize,
}

impl<S: Stream> Closing<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_shut {
            // One that fails ends what follows.
            let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
            self.is_shut = true;
        }
        for _ in 0..READS {
            if self.discards == 0 {
                return Poll::Ready(());
            }
            match ready!(transport::read(&mut self.stream, cx, |_| {})) {
                Ok(count) if count > 0 => self.discards = self.discards.saturating_sub(count),
                _ => return Poll::Ready(()),
            }
        }
        // There is more to do, after the others.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<L: Layer, S: Stream> Future for Connection<L, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let gate = &this.layer.core().gate;
        this.gate = Some(gate.register(this.gate, cx));
        attach(&this.layer, &this.runtime);
        if gate.is(Level::Killed) {
            return Poll::Ready(());
        }
        if this.closing.is_some() {
            return this.poll_close(cx);
        }
        let Some(http) = &mut this.http else { return Poll::Ready(()) };
        let mut done = http.poll_without_shutdown(cx);
        if done.is_pending() && gate.is(Level::Stopped) {
            // Now that a request which has arrived already is answered: with 503.
            Pin::new(&mut *http).graceful_shutdown();
            done = http.poll_without_shutdown(cx);
        }
        if done.is_pending() {
            return if this.is_late(cx) { this.refuse(cx) } else { Poll::Pending };
        }
        let upgraded = lock(&this.upgraded).take();
        let (Poll::Ready(Ok(())), Some(http)) = (&done, this.http.take()) else { return Poll::Ready(()) };
        let parts = http.into_parts();
        match upgraded {
            Some(upgraded) => {
                upgraded.attach(Box::new(parts.io.stream), parts.read_buf);
                Poll::Ready(())
            }
            None => this.close(parts.io.stream, cx),
        }
    }
}

impl<L: Layer, S: Stream> Drop for Connection<L, S> {
    fn drop(&mut self) {
        if let Some(place) = self.gate {
            self.layer.core().gate.leave(place);
        }
    }
}
