//! The HTTP request that opened a connection, kept for as long as the connection lives.

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::net::SocketAddr;

use crate::{Instant, http::Request};

/// What the first HTTP request of a connection said: `socket.handshake` of Socket.IO, less `auth`, which each CONNECT
/// packet has for itself ([`super::ConnectRequest::auth`]).
///
/// The request's head is copied into one block, so that it pins no read buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The target, then each header as name, `:`, value, line feed: neither of which a header can hold.
    head: Box<[u8]>,
    target_len: usize,
    time: Instant,
    address: Option<SocketAddr>,
    secure: bool,
}

impl Handshake {
    pub(crate) fn new(now: Instant, request: &Request<'_>) -> Self {
        let size = |(name, value): &(&str, &[u8])| name.len().saturating_add(value.len()).saturating_add(2);
        let len = request.headers.iter().map(size).fold(request.target.len(), usize::saturating_add);
        let mut head = Vec::with_capacity(len);
        head.extend_from_slice(request.target.as_bytes());
        for (name, value) in request.headers {
            for part in [name.as_bytes(), b":", value, b"\n"] {
                head.extend_from_slice(part);
            }
        }
        Self {
            head: head.into_boxed_slice(),
            target_len: request.target.len(),
            time: now,
            address: request.peer,
            secure: request.secure,
        }
    }

    /// When the request arrived.
    pub const fn time(&self) -> Instant {
        self.time
    }

    /// The peer's address, if the driver gave it.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether the request came through TLS, as the driver says.
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// Whether the request came from a page of another origin: whether it has an `Origin` header.
    pub fn xdomain(&self) -> bool {
        self.header("origin").is_some()
    }

    /// The request's target: path and query.
    pub fn url(&self) -> &str {
        self.head.get(..self.target_len).and_then(|url| core::str::from_utf8(url).ok()).unwrap_or_default()
    }

    /// A parameter of the query, percent-decoded; the last one of that name.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        crate::http::parameter(self.url(), name)
    }

    /// The headers in order, names as they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.head.get(self.target_len..).unwrap_or_default();
        headers.split(|byte| *byte == b'\n').filter_map(|line| {
            let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
            Some((core::str::from_utf8(name).ok()?, value.get(1..)?))
        })
    }

    /// The first header of a name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The first header of a name as text; what is not UTF-8 is replaced.
    pub fn header_str(&self, name: &str) -> Option<String> {
        self.header(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_the_request_said() {
        let headers: [(&str, &[u8]); 3] = [("Host", b"a:1"), ("Origin", b"http://b"), ("X-Raw", b"\xff:\xfe")];
        let request = Request {
            method: "GET",
            target: "/socket.io/?EIO=4&token=a%20b",
            headers: &headers,
            peer: None,
            secure: true,
        };
        let handshake = Handshake::new(Instant::from_millis(5), &request);
        assert_eq!(handshake.url(), request.target);
        assert_eq!(handshake.query("token").as_deref(), Some("a b"));
        assert_eq!(handshake.query("none"), None);
        assert!(handshake.headers().eq(headers));
        assert_eq!(handshake.header("x-raw"), Some(&b"\xff:\xfe"[..]));
        assert!(handshake.xdomain() && handshake.secure());
        assert_eq!((handshake.time(), handshake.address()), (Instant::from_millis(5), None));
    }
}
