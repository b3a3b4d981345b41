//! Responses, the refusals of Engine.IO among them.

use alloc::{borrow::Cow, vec::Vec};

use bytes::{BufMut as _, Bytes, BytesMut};

/// A header of a response: its name and its value.
pub type Header = (&'static str, Cow<'static, str>);

/// A whole HTTP response.
///
/// `Content-Length` is not among the headers: it follows from the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, in the order in which they should be written.
    pub headers: Vec<Header>,
    /// The body; empty for 101 and 204 and for answers to `HEAD`.
    pub body: Bytes,
}

/// Why Engine.IO refuses a request: the `code` of the JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseCode {
    /// 0: the transport is missing, unknown or switched off.
    UnknownTransport = 0,
    /// 1: no session has this id (any more).
    UnknownSid = 1,
    /// 2: a session can only be opened with `GET`.
    BadHandshakeMethod = 2,
    /// 3: the request contradicts itself or its session.
    BadRequest = 3,
    /// 4: the origin is not allowed.
    Forbidden = 4,
    /// 5: only version 4 of the Engine.IO protocol is spoken here.
    UnsupportedProtocolVersion = 5,
}

impl RefuseCode {
    /// The number in the JSON body.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The text in the JSON body.
    pub const fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedProtocolVersion => "Unsupported protocol version",
        }
    }

    /// The whole JSON body: the six of them are constants, so a refusal allocates no body.
    const fn body(self) -> &'static str {
        match self {
            Self::UnknownTransport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::UnknownSid => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::BadHandshakeMethod => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
            Self::Forbidden => r#"{"code":4,"message":"Forbidden"}"#,
            Self::UnsupportedProtocolVersion => r#"{"code":5,"message":"Unsupported protocol version"}"#,
        }
    }
}

impl Response {
    /// A refusal as Engine.IO writes it: 400, or 403 for [`RefuseCode::Forbidden`], with a JSON body.
    ///
    /// ```
    /// use sockeye_protocol::http::{RefuseCode, Response};
    ///
    /// let response = Response::refuse(RefuseCode::UnknownSid);
    /// assert_eq!(response.status, 400);
    /// assert_eq!(response.body, r#"{"code":1,"message":"Session ID unknown"}"#);
    /// ```
    pub fn refuse(code: RefuseCode) -> Self {
        let status = if code == RefuseCode::Forbidden { 403 } else { 400 };
        Self::status(status)
            .with("Content-Type", "application/json")
            .with_body(Bytes::from_static(code.body().as_bytes()))
    }

    /// A response without headers and without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// The value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The reason phrase of the status (RFC 9110, 15), empty for one that this crate never sends.
    pub const fn reason(&self) -> &'static str {
        match self.status {
            101 => "Switching Protocols",
            200 => "OK",
            204 => "No Content",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            426 => "Upgrade Required",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            _ => "",
        }
    }

    /// Appends the response as HTTP/1.1 text, for drivers without an HTTP library. `Content-Length` is added, except
    /// for 101 and 204, which have no body (RFC 9110, 8.6). A header with a control character in it is left out.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use sockeye_protocol::http::Response;
    ///
    /// let mut out = BytesMut::new();
    /// Response::status(404).encode_http1(&mut out);
    /// assert_eq!(&out[..], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    /// ```
    pub fn encode_http1(&self, out: &mut BytesMut) {
        let bodiless = matches!(self.status, 100..=199 | 204);
        let length = if bodiless { 0 } else { self.body.len() };
        out.reserve(length.saturating_add(256));
        out.put_slice(alloc::format!("HTTP/1.1 {} {}\r\n", self.status, self.reason()).as_bytes());
        for (name, value) in &self.headers {
            if is_field_value(value.as_bytes()) {
                for part in [name, ": ", value, "\r\n"] {
                    out.put_slice(part.as_bytes());
                }
            }
        }
        if bodiless {
            out.put_slice(b"\r\n");
        } else {
            out.put_slice(alloc::format!("Content-Length: {length}\r\n\r\n").as_bytes());
            out.put_slice(&self.body);
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.push(name, value);
        self
    }

    pub(crate) fn push(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name, value.into()));
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Ends the HTTP connection after this response: for requests whose body is not read to its end, and for refused
    /// upgrades.
    pub fn closing(self) -> Self {
        self.with("Connection", "close")
    }

    /// The same answer for `HEAD`: no body (RFC 9110, 9.3.2).
    pub(crate) fn for_method(mut self, method: &str) -> Self {
        if method == "HEAD" {
            self.body = Bytes::new();
        }
        self
    }
}

/// Whether this is a token (RFC 9110, 5.6.2), as names are.
pub(crate) fn is_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_token)
}

/// Whether these bytes can stand in a header (RFC 9110, 5.5), so that nothing that a peer sent splits a response.
pub(crate) fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn refusals_are_the_json_of_their_code_and_message() {
        for code in [
            RefuseCode::UnknownTransport,
            RefuseCode::UnknownSid,
            RefuseCode::BadHandshakeMethod,
            RefuseCode::BadRequest,
            RefuseCode::Forbidden,
            RefuseCode::UnsupportedProtocolVersion,
        ] {
            let response = Response::refuse(code);
            let text = format!(r#"{{"code":{},"message":"{}"}}"#, code.code(), code.message());
            assert_eq!(response.body, text);
            assert_eq!(response.header("content-type"), Some("application/json"));
        }
        assert_eq!(Response::refuse(RefuseCode::Forbidden).status, 403);
    }

    #[test]
    fn http1_text() {
        let rows = [
            (
                Response::status(200).with("Content-Type", "text/html").with_body(Bytes::from_static(b"ok")),
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok",
            ),
            (
                Response::status(101).with("Upgrade", "websocket"),
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            ),
            (Response::status(204).with_body(Bytes::from_static(b"x")), "HTTP/1.1 204 No Content\r\n\r\n"),
            (
                Response::status(400).with("Vary", "a\r\nSet-Cookie: b"),
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                Response::refuse(RefuseCode::UnknownSid).for_method("HEAD"),
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
            ),
        ];
        for (response, text) in rows {
            let mut out = BytesMut::new();
            response.encode_http1(&mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn every_status_that_is_sent_has_a_reason() {
        for status in [101, 200, 204, 400, 403, 404, 405, 408, 413, 415, 426] {
            assert_ne!(Response::status(status).reason(), "");
        }
        assert_eq!(Response::status(299).reason(), "");
    }
}
