//! HTTP/1.1 as a client of the worst kind may write it, and a reader of answers.

use std::time::{Duration, Instant};

use crate::wire::{End, Wire};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The status and the body in one line, for comparison and display.
    pub fn line(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body)).trim_end().to_owned()
    }
}

/// The refusal of Engine.IO with this code, as [`Response::line`] shows it.
pub fn refusal(code: u8) -> String {
    let message = match code {
        0 => "Transport unknown",
        1 => "Session ID unknown",
        2 => "Bad handshake method",
        3 => "Bad request",
        4 => "Forbidden",
        _ => "Unsupported protocol version",
    };
    format!("400 {{\"code\":{code},\"message\":\"{message}\"}}")
}

/// The bytes of a request. `headers` are written as they are, each with its line end; `Content-Length` is added when
/// there is a body.
pub fn request(method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for header in headers {
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// One chunk of a chunked body; an empty one ends it.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}

impl Wire {
    /// Reads one answer to a request with this method. Interim answers (100) are left out.
    ///
    /// # Errors
    ///
    /// The connection ended before the answer did, or the answer was not whole in time.
    pub fn response(&mut self, method: &str, wait: Duration) -> Result<Response, End> {
        let deadline = Instant::now() + wait;
        loop {
            let response = self.one_response(method, deadline)?;
            if response.status != 100 {
                return Ok(response);
            }
        }
    }

    fn one_response(&mut self, method: &str, deadline: Instant) -> Result<Response, End> {
        let head = self.read_until(b"\r\n\r\n", deadline)?;
        let head = String::from_utf8(head).expect("a head in ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("status line: {status_line:?}"));
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header");
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        let mut response = Response { status, headers, body: Vec::new() };
        let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        if bodiless {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.read_until(b"\r\n", deadline)?;
                let size = String::from_utf8(size).unwrap();
                let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
                let data = self.read_exactly(size + 2, deadline)?;
                if size == 0 {
                    break;
                }
                response.body.extend_from_slice(&data[..size]);
            }
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().expect("a length");
            response.body = self.read_exactly(length, deadline)?;
        } else {
            // To the end of the connection (RFC 9112, 6.3).
            loop {
                match self.read(deadline) {
                    Ok(()) => {}
                    Err(End::Eof) => break,
                    Err(end) => return Err(end),
                }
            }
            response.body = self.take(self.buffered().len());
        }
        Ok(response)
    }

    fn read_until(&mut self, end: &[u8], deadline: Instant) -> Result<Vec<u8>, End> {
        loop {
            let found = self.buffered().windows(end.len()).position(|window| window == end);
            if let Some(position) = found {
                return Ok(self.take(position + end.len()));
            }
            self.read(deadline)?;
        }
    }

    fn read_exactly(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>, End> {
        while self.buffered().len() < count {
            self.read(deadline)?;
        }
        Ok(self.take(count))
    }
}
