//! HTTP/1.1 on a blocking stream: what a driver with an HTTP library would not need.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant as Clock};

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;
use sockeye_protocol::Limits;
use sockeye_protocol::http::{Body, Request, Response};

/// One HTTP connection.
pub(crate) struct Http {
    pub(crate) stream: TcpStream,
    /// What was read and not used yet.
    pub(crate) buffer: BytesMut,
    limits: Limits,
    idle: Duration,
    /// Whether a body's end was not found, nor will be the next request's beginning.
    pub(crate) lost: bool,
}

/// Why a request has no answer of the core.
pub(crate) enum Refusal {
    Status(u16),
    Gone(Error),
}

/// How long a request's body is (RFC 9112, 6.3).
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

impl Http {
    pub(crate) fn new(stream: TcpStream, limits: &Limits) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limits.body_timeout))?;
        Ok(Self { stream, buffer: BytesMut::new(), limits: limits.clone(), idle: limits.header_timeout, lost: false })
    }

    /// Reads a request's head, within the limits of bytes, headers and time.
    pub(crate) fn read_head<T>(
        &mut self,
        handle: impl FnOnce(&Request<'_>) -> Result<T, Refusal>,
    ) -> Result<(T, Option<Framing>), Refusal> {
        let mut deadline = Clock::now() + self.idle;
        self.idle = self.limits.keep_alive;
        loop {
            let mut headers = vec![httparse::EMPTY_HEADER; self.limits.header_count];
            let mut parsed = httparse::Request::new(&mut headers);
            match parsed.parse(&self.buffer) {
                Ok(Status::Complete(len)) if len <= self.limits.header_bytes => {
                    let headers: Vec<_> = parsed.headers.iter().map(|header| (header.name, header.value)).collect();
                    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
                    let peer = self.stream.peer_addr().ok();
                    let head = Request { method, target, headers: &headers, peer, secure: false };
                    let framing = Framing::of(&head)?;
                    let handled = handle(&head)?;
                    self.buffer.advance(len);
                    return Ok((handled, framing));
                }
                Ok(Status::Partial) if self.buffer.len() <= self.limits.header_bytes => {}
                Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::Status(431)),
                Err(_) => return Err(Refusal::Status(400)),
            }
            let started = !self.buffer.is_empty();
            match self.read(deadline) {
                Ok(()) if started => {}
                Ok(()) => deadline = Clock::now() + self.limits.header_timeout,
                Err(error) if started && error.kind() != ErrorKind::UnexpectedEof => return Err(Refusal::Status(408)),
                Err(error) => return Err(Refusal::Gone(error)),
            }
        }
    }

    /// Reads a body, as far as `limit`.
    pub(crate) fn read_body(&mut self, framing: Option<Framing>, limit: usize) -> io::Result<Body> {
        let deadline = Clock::now() + self.limits.body_timeout;
        let mut body = BytesMut::new();
        loop {
            let (start, len, end) = match framing {
                None => return Ok(Body::EMPTY),
                Some(Framing::Length(len)) => (0, len, len),
                Some(Framing::Chunked) => match httparse::parse_chunk_size(&self.buffer) {
                    Ok(Status::Complete((start, len))) => {
                        (start, len as usize, start.saturating_add(2).saturating_add(len as usize))
                    }
                    Ok(Status::Partial) if self.buffer.len() < 64 => {
                        self.read(deadline)?;
                        continue;
                    }
                    _ => return Ok(self.no_payload()),
                },
            };
            if len > limit.saturating_sub(body.len()) {
                return Ok(Body::TooLarge);
            }
            while self.buffer.len() < end {
                self.read(deadline)?;
            }
            let chunk = self.buffer.split_to(end);
            if framing == Some(Framing::Chunked) && !chunk.ends_with(b"\r\n") {
                return Ok(self.no_payload());
            }
            body.extend_from_slice(&chunk[start..start + len]);
            if len == 0 || framing != Some(Framing::Chunked) {
                return Ok(Body::Whole(body.freeze()));
            }
        }
    }

    /// What stands for a body whose chunks are none.
    fn no_payload(&mut self) -> Body {
        self.lost = true;
        Body::Whole(Bytes::from_static(b"\xff"))
    }

    /// Closes in order: what the peer still sends is read, or it would destroy the answer on its way (RFC 9112, 9.6).
    pub(crate) fn linger(&mut self) -> io::Result<()> {
        let deadline = Clock::now() + self.limits.close_timeout;
        self.stream.shutdown(Shutdown::Write)?;
        while Clock::now() < deadline && self.read(deadline).is_ok() {
            self.buffer.clear();
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, response: &Response) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        response.encode_http1(&mut bytes);
        self.stream.write_all(&bytes)
    }

    /// Reads what is there, until `deadline` at the latest. The end of the stream is an error.
    pub(crate) fn read(&mut self, deadline: Clock) -> io::Result<()> {
        let mut chunk = [0; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Clock::now());
            // The kernel's timer is coarse: of a long time it may add seconds.
            self.stream.set_read_timeout(Some(left.clamp(Duration::from_millis(1), Duration::from_secs(1))))?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    self.buffer.extend_from_slice(&chunk[..len]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && !left.is_zero() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the peer closed its side.
    pub(crate) fn is_closed(&self) -> bool {
        let _ = self.stream.set_nonblocking(true);
        let peeked = self.stream.peek(&mut [0]).map_err(|error| error.kind());
        let _ = self.stream.set_nonblocking(false);
        !matches!(peeked, Ok(1..) | Err(ErrorKind::WouldBlock))
    }
}

impl Framing {
    fn of(head: &Request<'_>) -> Result<Option<Self>, Refusal> {
        let all = |name: &'static str| head.headers.iter().filter(move |header| header.0.eq_ignore_ascii_case(name));
        match (all("transfer-encoding").next(), all("content-length").next()) {
            (None, None) => Ok(None),
            (Some((_, coding)), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Self::Chunked)),
            (None, Some((_, len))) if all("content-length").count() == 1 && len.iter().all(u8::is_ascii_digit) => {
                let len = std::str::from_utf8(len).ok().and_then(|len| len.parse().ok());
                len.map(|len| Some(Self::Length(len))).ok_or(Refusal::Status(400))
            }
            // What a proxy in front of us may have understood otherwise (RFC 9112, 6.3 and 11.2).
            _ => Err(Refusal::Status(400)),
        }
    }
}
