//! Streams of the futures crates, as hyper wants them.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::scratch;

/// Makes a [`Stream`](sockeye_driver::Stream) of anything that has futures' [`AsyncRead`] and [`AsyncWrite`], as most
/// streams outside of tokio have: for a [`Listener`](sockeye_driver::Listener) of your own.
///
/// ```
/// use sockeye_async_std::{FuturesIo, Stream};
///
/// # #[cfg(unix)]
/// fn stream(unix: async_std::os::unix::net::UnixStream) -> impl Stream {
///     FuturesIo::new(unix)
/// }
/// ```
#[derive(Debug)]
pub struct FuturesIo<T> {
    inner: T,
}

impl<T> FuturesIo<T> {
    /// Wraps a stream.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self { inner }
    }

    /// The stream inside.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Unwraps the stream.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> Read for FuturesIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::poll_read(buffer, |buffer| Pin::new(&mut self.inner).poll_read(context, buffer))
    }
}

impl<T: AsyncWrite + Unpin> Write for FuturesIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    // The trait cannot be asked. Where it is not so, a write takes the first slice, which is right, only slower.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }
}
