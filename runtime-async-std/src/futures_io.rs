//! Streams of the futures crates, as hyper wants them.

#[cfg(feature = "tls")]
use std::task::ready;
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
    ///
    /// ```
    /// use futures_util::io::Cursor;
    /// use sockeye_async_std::{FuturesIo, Stream};
    ///
    /// let recorded = Cursor::new(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n".to_vec());
    /// let stream: Box<dyn Stream> = Box::new(FuturesIo::new(recorded));
    /// ```
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self { inner }
    }

    /// The stream inside.
    ///
    /// ```
    /// # use sockeye_async_std::FuturesIo;
    /// let stream = FuturesIo::new(futures_util::io::Cursor::new(vec![1, 2, 3]));
    /// assert_eq!(stream.get_ref().position(), 0); // Nothing has been read.
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Unwraps the stream. Nothing is lost: what is read and written is buffered nowhere in here.
    ///
    /// ```
    /// # use sockeye_async_std::FuturesIo;
    /// let stream = FuturesIo::new(futures_util::io::Cursor::new(vec![1, 2, 3]));
    /// assert_eq!(stream.into_inner().into_inner(), [1, 2, 3]);
    /// ```
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

/// The other way round: a stream of hyper's, as the futures crates want it.
#[cfg(feature = "tls")]
pub(crate) struct HyperIo<T>(pub(crate) T);

#[cfg(feature = "tls")]
impl<T: Read + Unpin> AsyncRead for HyperIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = hyper::rt::ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(context, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

#[cfg(feature = "tls")]
impl<T: Write + Unpin> AsyncWrite for HyperIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
