use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::Shutdown,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::{readiness::Readiness, scratch, source::Source};

/// A TCP connection that reads once per message where `async_std::net::TcpStream`, which always tries before it waits,
/// reads up to three times. It has hyper's traits, for HTTP, and those of the futures crates, for TLS.
///
/// ```
/// # async_std::task::block_on(async {
/// # let port = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = port.local_addr()?;
/// use futures_util::AsyncWriteExt as _;
/// use sockeye_async_std::TcpStream;
///
/// let mut stream = TcpStream::from_std(std::net::TcpStream::connect(address)?)?;
/// stream.write_all(b"hello").await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    inner: Source<std::net::TcpStream>,
    reading: Readiness,
    writing: Readiness,
}

impl TcpStream {
    /// Takes a connection over that somebody else has made. It is made non-blocking; its other options stay.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// # let port = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// use sockeye_async_std::TcpStream;
    ///
    /// let made = std::net::TcpStream::connect(port.local_addr()?)?;
    /// made.set_nodelay(true)?;
    /// let _stream = TcpStream::from_std(made)?;
    /// # Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        Ok(Self { inner: Source::new(stream)?, reading: Readiness::new(), writing: Readiness::new() })
    }

    /// The socket, to look at its addresses and options. Reading or writing there would confuse this one.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// # let port = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = port.local_addr()?;
    /// # use sockeye_async_std::TcpStream;
    /// let stream = TcpStream::from_std(std::net::TcpStream::connect(address)?)?;
    /// assert_eq!(stream.get_ref().peer_addr()?, address);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &std::net::TcpStream {
        self.inner.get_ref()
    }

    fn read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { inner, reading, .. } = self;
        reading.poll_bytes(buffer.len(), || inner.poll_readable(context), || inner.get_ref().read(buffer))
    }

    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { inner, writing, .. } = self;
        writing.poll_bytes(bytes.len(), || inner.poll_writable(context), || inner.get_ref().write(bytes))
    }

    fn write_vectored(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Self { inner, writing, .. } = self;
        let length = slices.iter().map(|slice| slice.len()).sum();
        writing.poll_bytes(length, || inner.poll_writable(context), || inner.get_ref().write_vectored(slices))
    }

    fn shutdown(&self) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_ref().shutdown(Shutdown::Write))
    }
}

impl Read for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::poll_read(buffer, |buffer| self.read(context, buffer))
    }
}

impl Write for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown()
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_vectored(context, slices)
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read(context, buffer)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_vectored(context, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, net, thread};

    use futures_util::{AsyncReadExt, AsyncWriteExt};
    use hyper::rt::ReadBuf;

    use super::*;
    use crate::test_util::block_on;

    #[test]
    fn reads_what_there_is_then_waits_then_ends() {
        let (mut stream, mut client) = pair();
        block_on(async {
            assert!(is_pending(&mut stream).await);
            client.write_all(b"hello").unwrap();
            assert_eq!(read(&mut stream, 3).await, b"hel");
            assert_eq!(read(&mut stream, 8).await, b"lo");
            assert!(is_pending(&mut stream).await);
            client.write_all(b"again").unwrap();
            assert_eq!(read(&mut stream, 5).await, b"again");
            drop(client);
            assert_eq!(read(&mut stream, 5).await, b"");
            assert_eq!(read(&mut stream, 5).await, b"");
        });
    }

    #[test]
    fn sees_the_end_that_came_with_the_last_bytes() {
        let (mut stream, mut client) = pair();
        client.write_all(b"bye").unwrap();
        drop(client);
        block_on(async {
            assert_eq!(read(&mut stream, 8).await, b"bye");
            assert_eq!(read(&mut stream, 8).await, b"");
        });
    }

    #[test]
    fn writes_slices_in_one_go() {
        let (mut stream, mut client) = pair();
        block_on(async {
            let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
            assert!(Write::is_write_vectored(&stream));
            let written = poll_fn(|context| Write::poll_write_vectored(Pin::new(&mut stream), context, &slices)).await;
            assert_eq!(written.unwrap(), 7);
            poll_fn(|context| Write::poll_shutdown(Pin::new(&mut stream), context)).await.unwrap();
        });
        let mut received = String::new();
        client.read_to_string(&mut received).unwrap();
        assert_eq!(received, "one two");
    }

    #[test]
    fn waits_for_room_and_writes_all() {
        let (mut stream, mut client) = pair();
        let sent: Vec<u8> = (0..16 << 20).map(|index: u32| index.to_le_bytes()[1]).collect();
        // More than the system's buffers take, and nobody reads yet.
        let mut first = 0;
        block_on(poll_fn(|context| {
            while let Poll::Ready(count) = stream.write(context, &sent[first..]) {
                first += count.unwrap();
                assert!(first < sent.len());
            }
            Poll::Ready(())
        }));
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            received
        });
        block_on(async {
            AsyncWriteExt::write_all(&mut stream, &sent[first..]).await.unwrap();
            AsyncWriteExt::close(&mut stream).await.unwrap();
            let mut nothing = Vec::new();
            AsyncReadExt::read_to_end(&mut stream, &mut nothing).await.unwrap();
            assert!(nothing.is_empty());
        });
        assert!(reader.join().unwrap() == sent);
    }

    fn pair() -> (TcpStream, net::TcpStream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), client)
    }

    async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut memory = vec![0; length];
        let mut buffer = ReadBuf::new(&mut memory);
        poll_fn(|context| Read::poll_read(Pin::new(stream), context, buffer.unfilled())).await.unwrap();
        buffer.filled().to_vec()
    }

    async fn is_pending(stream: &mut TcpStream) -> bool {
        let mut memory = [0];
        let mut buffer = ReadBuf::new(&mut memory);
        poll_fn(|context| Poll::Ready(Read::poll_read(Pin::new(stream), context, buffer.unfilled()).is_pending())).await
    }
}
