//! Byte streams that have become WebSockets, and the buffers that are lent to those who read them.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use hyper::rt::ReadBuf;
use sockeye_protocol::{TransportId, ws::TransmitQueue};

use crate::Stream;

/// Bytes of one read. Lent for the time of a poll, so that no connection holds a buffer.
const SCRATCH: usize = 256 * 1024;

/// Reads up to this size are copied into a buffer that is used again and again; larger ones get memory of their own,
/// since their messages may keep it.
const LENT: usize = 16 * 1024;

/// Slices of one vectored write.
const SLICES: usize = 32;

/// One WebSocket's byte stream.
pub(crate) struct Transport {
    pub(crate) id: TransportId,
    pub(crate) stream: Box<dyn Stream>,
    /// Everything is to be written, then the stream is to be closed.
    pub(crate) shutdown: bool,
    /// Bytes were written that the stream may hold back (TLS does).
    pub(crate) flush: bool,
    /// Everything is written; only the peer's end is waited for.
    pub(crate) draining: bool,
    pub(crate) ended: bool,
}

impl Transport {
    pub(crate) fn new(id: TransportId, stream: Box<dyn Stream>) -> Self {
        Self { id, stream, shutdown: false, flush: false, draining: false, ended: false }
    }

    /// Whether what there is to write is written, and what is to be ended has ended.
    fn is_settled(&self) -> bool {
        !self.flush && !self.shutdown
    }

    /// Writes what there is to write, and ends the stream if that is wanted: one whose queue is gone has nothing more to
    /// send. Whether it takes no more for now.
    pub(crate) fn put(&mut self, cx: &mut Context<'_>, queue: Option<&mut TransmitQueue>) -> bool {
        match queue.map_or(Poll::Ready(Ok(())), |queue| write(self, cx, queue)) {
            Poll::Pending => return true,
            Poll::Ready(Err(_)) => self.ended = true,
            Poll::Ready(Ok(())) if !self.is_settled() => {
                self.finish(cx);
                return !self.is_settled();
            }
            Poll::Ready(Ok(())) => {}
        }
        false
    }

    /// Lets out what the stream holds back; closes it, if that is wanted.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if self.flush {
            match Pin::new(&mut *self.stream).poll_flush(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => self.flush = false,
                Poll::Ready(Err(_)) => self.ended = true,
            }
        }
        if self.shutdown && !self.ended && Pin::new(&mut *self.stream).poll_shutdown(cx).is_ready() {
            // What the peer still sends is read and discarded until it closes, too: closing a socket with unread bytes
            // resets it, and the peer may lose what was written last (RFC 6455, 7.1.1; RFC 1122, 4.2.2.13). The machine
            // aborts it when that takes too long.
            self.shutdown = false;
            self.draining = true;
        }
    }
}

/// What is lent to the owners of a thread while they are polled.
struct Lent {
    scratch: Box<[u8]>,
    buffer: BytesMut,
}

impl Lent {
    fn new() -> Box<Self> {
        Box::new(Self { scratch: vec![0; SCRATCH].into_boxed_slice(), buffer: BytesMut::new() })
    }
}

thread_local! {
    static LENT_BUFFERS: Cell<Option<Box<Lent>>> = const { Cell::new(None) };
}

/// Reads once and hands over what came. Zero is the end of the stream.
pub(crate) fn read(
    stream: &mut dyn Stream,
    cx: &mut Context<'_>,
    take: impl FnOnce(&mut BytesMut),
) -> Poll<io::Result<usize>> {
    // Taken out of its place: whatever is called in here may read, too.
    let lent = LENT_BUFFERS.try_with(Cell::take).ok().flatten();
    let mut lent = lent.unwrap_or_else(Lent::new);
    let mut buffer = ReadBuf::new(&mut lent.scratch);
    let result = match Pin::new(stream).poll_read(cx, buffer.unfilled()) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => {
            let bytes = buffer.filled();
            let count = bytes.len();
            if count > LENT {
                take(&mut BytesMut::from(bytes));
            } else if count > 0 {
                lent.buffer.reserve(LENT);
                lent.buffer.extend_from_slice(bytes);
                take(&mut lent.buffer);
                lent.buffer.clear();
            }
            Poll::Ready(Ok(count))
        }
    };
    // A thread that ends has no place for it any more.
    let _ = LENT_BUFFERS.try_with(|place| place.set(Some(lent)));
    result
}

/// Writes as much of a queue as the stream takes.
fn write(transport: &mut Transport, cx: &mut Context<'_>, queue: &mut TransmitQueue) -> Poll<io::Result<()>> {
    while queue.has_remaining() {
        let stream = Pin::new(&mut *transport.stream);
        let written = if queue.chunk().len() == queue.remaining() || !stream.is_write_vectored() {
            stream.poll_write(cx, queue.chunk())
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = queue.chunks_vectored(&mut slices);
            stream.poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
        };
        match written {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => {
                queue.advance(count);
                transport.flush = true;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
