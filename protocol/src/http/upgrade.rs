//! The opening handshake of a WebSocket (RFC 6455, 4.2): all that can be refused is refused before the 101.

use alloc::string::String;

use super::{RefuseCode, Request, Response, is_token};
use crate::ws;

/// What the 101 of an acceptable upgrade says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accept {
    key: String,
    protocol: Option<String>,
}

/// Checks the WebSocket headers of an upgrade request. An error is the refusal to send.
pub(crate) fn check(head: &Request<'_>) -> Result<Accept, Response> {
    let refuse = || refuse(RefuseCode::BadRequest);
    if head.method != "GET" {
        return Err(refuse());
    }
    // RFC 6455, 4.4: the version comes first, another version may have another kind of key.
    if head.header("sec-websocket-version").map(<[u8]>::trim_ascii) != Some(b"13") {
        let mut response = refuse().with("Sec-WebSocket-Version", "13");
        response.status = 426;
        return Err(response);
    }
    let mut keys = head.header_lines("sec-websocket-key");
    let (Some(key), None) = (keys.next().map(<[u8]>::trim_ascii), keys.next()) else {
        return Err(refuse());
    };
    let key = as_key(key).ok_or_else(refuse)?;
    // A browser that offered sub-protocols fails the connection unless one of them is named in the answer (WHATWG
    // WebSockets, "establish a WebSocket connection").
    let protocol = match head.header("sec-websocket-protocol") {
        Some(value) => Some(first_token(value).ok_or_else(refuse)?),
        None => None,
    };
    Ok(Accept { key: ws::accept_key(key), protocol })
}

/// A refused upgrade: the connection can be used for nothing else afterwards.
pub(crate) fn refuse(code: RefuseCode) -> Response {
    Response::refuse(code).closing()
}

impl Accept {
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::status(101)
            .with("Upgrade", "websocket")
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Accept", self.key);
        if let Some(protocol) = self.protocol {
            response.push("Sec-WebSocket-Protocol", protocol);
        }
        response
    }
}

/// The key if it is the base64 form of 16 bytes (RFC 6455, 4.2.1 item 5).
fn as_key(key: &[u8]) -> Option<&str> {
    let digits = key.strip_suffix(b"==")?;
    let valid = digits.len() == 22
        && digits.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/'));
    core::str::from_utf8(key).ok().filter(|_| valid)
}

/// The first element of a list of tokens (RFC 9110, 5.6.2).
fn first_token(value: &[u8]) -> Option<String> {
    let first = value.split(|byte| *byte == b',').next()?.trim_ascii();
    let text = core::str::from_utf8(first).ok().filter(|text| is_token(text))?;
    Some(String::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &[u8]) = ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &[u8]) = ("Sec-WebSocket-Version", b"13");

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    fn run(method: &str, headers: &[(&str, &[u8])]) -> Result<Response, Response> {
        check(&Request { method, target: "/", headers, peer: None, secure: false }).map(Accept::into_response)
    }

    #[test]
    fn the_example_of_the_rfc() {
        let response = run("GET", &[KEY, VERSION]).unwrap();
        assert_eq!(response.status, 101);
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
    }

    #[test]
    fn the_first_protocol_is_named() {
        let response = run("GET", &[KEY, VERSION, ("sec-websocket-protocol", b"a.b , c")]);
        assert_eq!(response.unwrap().header("Sec-WebSocket-Protocol"), Some("a.b"));
        let empty = run("GET", &[KEY, VERSION, ("sec-websocket-protocol", b", c")]);
        assert_eq!(empty.unwrap_err().status, 400);
    }

    #[test]
    fn w15_bad_headers_are_refused_before_the_101() {
        let rows: [(&str, &str, Headers<'_>, u16); 9] = [
            ("no key", "GET", &[VERSION], 400),
            ("two keys", "GET", &[KEY, VERSION, KEY], 400),
            ("short key", "GET", &[VERSION, (KEY.0, b"dGhlIHNhbXBsZQ==")], 400),
            ("unpadded", "GET", &[VERSION, (KEY.0, b"dGhlIHNhbXBsZSBub25jZQAA")], 400),
            ("not base64", "GET", &[VERSION, (KEY.0, b"dGhlIHNhbXBsZSBub25j\xff*==")], 400),
            ("no version", "GET", &[KEY], 426),
            ("version 8", "GET", &[KEY, (VERSION.0, b"8")], 426),
            ("version 130", "GET", &[KEY, (VERSION.0, b"130")], 426),
            ("POST", "POST", &[KEY, VERSION], 400),
        ];
        for (name, method, headers, status) in rows {
            let response = run(method, headers).unwrap_err();
            assert_eq!(response.status, status, "{name}");
            assert_eq!(response.header("connection"), Some("close"), "{name}");
            assert_eq!(response.body, r#"{"code":3,"message":"Bad request"}"#, "{name}");
            let version = (status == 426).then_some("13");
            assert_eq!(response.header("sec-websocket-version"), version, "{name}");
        }
    }
}
