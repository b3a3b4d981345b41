//! Byte streams in memory.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A byte stream whose server's side holds so many bytes that the client has not read. The client's side holds any
/// number.
pub fn pipe(capacity: usize) -> (ServerEnd, ClientEnd) {
    let shared = Arc::new(Mutex::new(Shared {
        to_server: Direction { capacity: usize::MAX, ..Direction::default() },
        to_client: Direction { capacity, ..Direction::default() },
        is_reset: false,
        is_dropped: false,
    }));
    (ServerEnd(Arc::clone(&shared)), ClientEnd(shared))
}

struct Shared {
    to_server: Direction,
    to_client: Direction,
    is_reset: bool,
    /// The server has let go of its end.
    is_dropped: bool,
}

#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    capacity: usize,
    has_ended: bool,
    waker: Option<Waker>,
    /// Bytes that were ever written.
    total: usize,
}

impl Direction {
    fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.capacity.saturating_sub(self.bytes.len()));
        self.bytes.extend(&bytes[..count]);
        self.total += count;
        count
    }

    fn pull(&mut self, limit: usize) -> Vec<u8> {
        self.bytes.drain(..limit.min(self.bytes.len())).collect()
    }
}

/// What the server gets.
pub struct ServerEnd(Arc<Mutex<Shared>>);

impl Read for ServerEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock().unwrap();
        if shared.is_reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let bytes = shared.to_server.pull(cursor.remaining());
        if bytes.is_empty() && !shared.to_server.has_ended {
            shared.to_server.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        cursor.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Write for ServerEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.0.lock().unwrap();
        if shared.is_reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if shared.to_client.has_ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        match shared.to_client.push(buffer) {
            0 if !buffer.is_empty() => {
                shared.to_client.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().to_client.has_ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        let mut shared = self.0.lock().unwrap();
        shared.to_client.has_ended = true;
        shared.is_dropped = true;
    }
}

/// What the client has. It reads when it is told to, so that a server meets a peer that does not.
#[derive(Clone)]
pub struct ClientEnd(Arc<Mutex<Shared>>);

impl ClientEnd {
    pub fn write(&self, bytes: &[u8]) {
        self.change(|shared| {
            shared.to_server.push(bytes);
            shared.to_server.waker.take()
        });
    }

    /// Takes what has arrived, up to so many bytes.
    pub fn read(&self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.change(|shared| {
            bytes = shared.to_client.pull(limit);
            if bytes.is_empty() { None } else { shared.to_client.waker.take() }
        });
        bytes
    }

    /// Bytes that have arrived and were not taken.
    pub fn arrived(&self) -> usize {
        self.lock().to_client.bytes.len()
    }

    /// Bytes that the server has not read.
    pub fn unread(&self) -> usize {
        self.lock().to_server.bytes.len()
    }

    /// Bytes that the server has written so far.
    pub fn written(&self) -> usize {
        self.lock().to_client.total
    }

    /// Says that no more is sent; goes on reading.
    pub fn end(&self) {
        self.change(|shared| {
            shared.to_server.has_ended = true;
            shared.to_server.waker.take()
        });
    }

    /// Breaks the connection: both sides of the server fail.
    pub fn reset(&self) {
        self.change(|shared| {
            shared.is_reset = true;
            shared.to_server.waker.take()
        });
        self.change(|shared| shared.to_client.waker.take());
    }

    /// Whether the server has ended its side, and all it sent was taken.
    pub fn is_ended(&self) -> bool {
        let shared = self.lock();
        shared.to_client.has_ended && shared.to_client.bytes.is_empty()
    }

    /// Whether the server has let go of its end.
    pub fn is_dropped(&self) -> bool {
        self.lock().is_dropped
    }

    fn change(&self, change: impl FnOnce(&mut Shared) -> Option<Waker>) {
        let waker = change(&mut self.lock());
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap()
    }
}

/// For tungstenite.
impl io::Read for ClientEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = Self::read(self, buffer.len());
        if bytes.is_empty() && !self.is_ended() {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl io::Write for ClientEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
