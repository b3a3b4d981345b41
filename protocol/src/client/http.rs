//! HTTP as plain data, the client's side: requests out, heads and bodies of responses in.
//!
//! A driver sends a [`Request`] as it is and adds nothing but the framing of its body. What comes back is a [`Response`],
//! the head as the driver's HTTP library has parsed it, and the body beside it; or a [`Failure`].

use alloc::vec::Vec;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{Text, http::is_field_value};

/// A whole HTTP request.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut client, socket) = client(|_| {});
/// client.connect(NOW, socket);
/// let Some(Output::Request { request, .. }) = client.poll_output() else { panic!() };
/// assert_eq!((request.method, &*request.host, request.port, request.secure), ("GET", "localhost", 3000, false));
/// assert!(request.target.starts_with("/socket.io/?EIO=4&transport=polling"));
/// assert!(request.body.is_empty() && !request.upgrade);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Whether it goes over TLS.
    pub secure: bool,
    /// The name or address to connect to; an IPv6 address without brackets.
    pub host: Text,
    /// The TCP port to connect to.
    pub port: u16,
    /// Path and query (RFC 9112, 3.2.1).
    pub target: Text,
    /// The headers in the order in which they should be written, `Host` first. `Content-Length` is not among them: it
    /// follows from the body.
    pub headers: Vec<(Text, Text)>,
    /// The body; empty for `GET`.
    pub body: Bytes,
    /// Bytes of the response's body above which it is not to be read on; [`Failure::TooLarge`] is reported then.
    pub body_limit: usize,
    /// Whether this opens a WebSocket: it needs a connection of its own, and after a 101 that connection is the WebSocket.
    pub upgrade: bool,
}

impl Request {
    /// The value of the first header with this name, in any case.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut client, socket) = client(|_| {});
    /// client.connect(NOW, socket);
    /// let Some(Output::Request { request, .. }) = client.poll_output() else { panic!() };
    /// assert_eq!(request.header("host"), Some("localhost:3000"));
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Appends the request as HTTP/1.1 text, for drivers without an HTTP library. `Content-Length` is added to a `POST`.
    ///
    /// ```
    /// use bytes::{Bytes, BytesMut};
    /// use sockeye_protocol::client::http::Request;
    ///
    /// let request = Request {
    ///     method: "POST",
    ///     secure: false,
    ///     host: "localhost".into(),
    ///     port: 3000,
    ///     target: "/engine.io/?EIO=4".into(),
    ///     headers: vec![("Host".into(), "localhost:3000".into())],
    ///     body: Bytes::from_static(b"4hi"),
    ///     body_limit: 100,
    ///     upgrade: false,
    /// };
    /// let mut out = BytesMut::new();
    /// request.encode_http1(&mut out);
    /// assert_eq!(out, "POST /engine.io/?EIO=4 HTTP/1.1\r\nHost: localhost:3000\r\nContent-Length: 3\r\n\r\n4hi");
    /// ```
    pub fn encode_http1(&self, out: &mut BytesMut) {
        out.reserve(self.body.len().saturating_add(512));
        for part in [self.method, " ", &self.target, " HTTP/1.1\r\n"] {
            out.put_slice(part.as_bytes());
        }
        for (name, value) in self.headers.iter().filter(|(_, value)| is_field_value(value.as_bytes())) {
            for part in [name, ": ", value, "\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        if self.method != "GET" {
            out.put_slice(alloc::format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.put_slice(b"\r\n");
        out.put_slice(&self.body);
    }
}

/// The head of a response, borrowed from whatever parsed it.
///
/// ```
/// use sockeye_protocol::client::http::Response;
///
/// let head = Response { status: 302, headers: &[("location", b"/other/")] };
/// assert_eq!(head.header("Location"), Some(&b"/other/"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The headers in the order of arrival; names in any case.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl Response<'_> {
    /// The value of the first header with this name, in any case.
    ///
    /// ```
    /// # use sockeye_protocol::client::http::Response;
    /// let head = Response { status: 200, headers: &[("Content-Type", b"text/plain")] };
    /// assert_eq!(head.header("content-type"), Some(&b"text/plain"[..]));
    /// assert_eq!(head.header("set-cookie"), None);
    /// ```
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_lines(name).next()
    }

    /// The values of all headers with this name.
    pub(crate) fn header_lines(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Why a request has no response, or a WebSocket could not be opened: what a driver reports.
///
/// ```
/// # use sockeye_protocol::client::http::Failure;
/// let failure = Failure::Connect("Connection refused (os error 111)".into());
/// assert_eq!(failure.to_string(), "cannot connect: Connection refused (os error 111)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made: the name is unknown, the port is closed, ..; in the words of the system.
    #[error("cannot connect: {0}")]
    Connect(Text),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(Text),
    /// The connection broke, or what came back is not HTTP.
    #[error("the connection was lost: {0}")]
    Reset(Text),
    /// The body of the response is longer than [`Request::body_limit`].
    #[error("a response body is over the limit of {limit} bytes")]
    TooLarge {
        /// [`Request::body_limit`].
        limit: usize,
    },
    /// There was no answer in time. The core reports it itself after [`Config::request_timeout`]; a driver may have a
    /// timeout of its own.
    ///
    /// [`Config::request_timeout`]: crate::client::Config::request_timeout
    #[error("no answer in time")]
    Timeout,
}
