//! TCP.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    io::{self, IoSlice, Read as _, Write as _},
    net::{self, Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_io::Async;
use hyper::rt::{Read, ReadBufCursor, Write};
use socket2::{Domain, Socket, Type};
use sockeye_driver::{BACKLOG, Listener};

/// Accepts TCP connections, with `TCP_NODELAY` set.
#[derive(Debug)]
pub struct TcpListener(Async<net::TcpListener>);

impl TcpListener {
    /// Listens on the first of the addresses that can be listened on.
    ///
    /// # Errors
    ///
    /// What the operating system says of the last of them.
    pub fn bind(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        for address in addresses {
            match listen(address) {
                Ok(listener) => return Ok(Self(listener)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The next connection.
    pub(crate) fn accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_readable(cx))?,
                accepted => {
                    let (stream, address) = accepted?;
                    return Poll::Ready(TcpStream::new(stream).map(|stream| (stream, address)));
                }
            }
        }
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Handshake = Ready<io::Result<TcpStream>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        self.accept(cx).map_ok(|(stream, address)| (ready(Ok(stream)), address))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}

fn listen(address: SocketAddr) -> io::Result<Async<net::TcpListener>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A server that is started again must not wait for the connections of the one before to be forgotten.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.try_into().unwrap_or(i32::MAX))?;
    Async::new(socket.into())
}

/// A TCP connection that asks the reactor as rarely as it can: it is one-shot, so each wait costs a system call.
#[derive(Debug)]
pub struct TcpStream {
    stream: Async<net::TcpStream>,
    /// More may have arrived: false after a short read, since whatever comes later is reported.
    readable: bool,
}

impl TcpStream {
    pub(crate) fn new(stream: net::TcpStream) -> io::Result<Self> {
        // Packets are written whole: waiting for more of them only adds latency.
        stream.set_nodelay(true)?;
        // Most clients have sent their request by the time that they are accepted.
        Ok(Self { stream: Async::new(stream)?, readable: true })
    }

    pub(crate) fn read_some(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if !self.readable {
                ready!(self.stream.poll_readable(cx))?;
                self.readable = true;
            }
            match self.stream.get_ref().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => {
                    // The end is not followed by a report.
                    self.readable = count == 0 || count == buffer.len();
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes at once where the socket takes it, which it mostly does.
    pub(crate) fn write_some(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut &net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(&mut self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.stream.poll_writable(cx))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    pub(crate) fn shut_down(&self) -> io::Result<()> {
        match self.stream.get_ref().shutdown(Shutdown::Write) {
            // The peer was first.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            shut => shut,
        }
    }
}

/// Bytes of one read.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static LENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads into one of hyper's buffers, by way of one that is lent: nothing safe reads into theirs directly.
pub(crate) fn fill(
    cursor: &mut ReadBufCursor<'_>,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    LENT.with_borrow_mut(|lent| {
        lent.resize(SCRATCH, 0);
        let room = cursor.remaining().min(SCRATCH);
        let count = ready!(read(lent.get_mut(..room).unwrap_or_default()))?;
        cursor.put_slice(lent.get(..count).unwrap_or_default());
        Poll::Ready(Ok(()))
    })
}

impl Read for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        fill(&mut cursor, |buffer| self.read_some(cx, buffer))
    }
}

impl Write for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.write_some(cx, |stream| stream.write(buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_down())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_some(cx, |stream| stream.write_vectored(buffers))
    }
}
