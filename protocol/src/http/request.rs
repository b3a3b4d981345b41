//! The head of a request and what became of its body.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::net::SocketAddr;

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// The head of an HTTP request, borrowed from whatever parsed it.
///
/// ```
/// use sockeye_protocol::http::Request;
///
/// let head = Request {
///     method: "GET",
///     target: "/socket.io/?EIO=4&transport=polling&t=a%2Fb",
///     headers: &[("Host", b"localhost")],
///     peer: None,
///     secure: false,
/// };
/// assert_eq!(head.path(), "/socket.io/");
/// assert_eq!(head.query("t").as_deref(), Some("a/b"));
/// assert_eq!(head.header("host"), Some(&b"localhost"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method as it was sent: case-sensitive (RFC 9110, 9.1).
    pub method: &'a str,
    /// The request target: path and query, or a whole URL (RFC 9112, 3.2.1 and 3.2.2).
    pub target: &'a str,
    /// The headers in the order of arrival; names in any case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The address of the peer, if the driver knows it.
    pub peer: Option<SocketAddr>,
    /// Whether the request came over TLS.
    pub secure: bool,
}

/// What has become of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it (nothing at all for most requests).
    Whole(Bytes),
    /// It is longer than [`Limits::max_payload`](crate::Limits::max_payload), declared or counted; the rest is not read.
    /// The answer then says `Connection: close`, unless it was given before: the driver must not take what is left for
    /// another request.
    TooLarge,
    /// The head has arrived, the body follows in `handle_body`.
    Pending,
}

impl Body {
    /// A body without bytes.
    pub const EMPTY: Self = Self::Whole(Bytes::new());
}

impl Request<'_> {
    /// The path of the target: without query and fragment, and without scheme and authority if the target is a whole
    /// URL (which a server must accept: RFC 9112, 3.2.2). Not percent-decoded.
    pub fn path(&self) -> &str {
        let (path, _) = split_target(self.target);
        path
    }

    /// The value of a query parameter, percent-decoded as `application/x-www-form-urlencoded` (WHATWG URL, 5.1). Of
    /// several parameters with the same name the last one counts, as in JavaScript where they become an object.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        parameter(self.target, name)
    }

    /// The value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_lines(name).next()
    }

    /// Whether this asks to turn the connection into a WebSocket: `Connection` names `upgrade` and `Upgrade` names
    /// `websocket`, each among any other tokens (RFC 6455, 4.2.1; RFC 9110, 7.8).
    pub fn is_upgrade(&self) -> bool {
        // Most requests have no `Upgrade` at all.
        has_token(self.header_lines("upgrade"), "websocket") && has_token(self.header_lines("connection"), "upgrade")
    }

    /// The values of all headers with this name.
    pub(crate) fn header_lines(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Whether a token is in one of the lines of a list (RFC 9110, 5.6.1), in any case.
pub(crate) fn has_token<'a>(mut lines: impl Iterator<Item = &'a [u8]>, token: &str) -> bool {
    lines.any(|line| {
        line.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// What Engine.IO wants to know of a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// `transport`.
    pub(crate) transport: Option<Cow<'a, str>>,
    /// `sid`.
    pub(crate) sid: Option<Cow<'a, str>>,
    /// `EIO`.
    pub(crate) version: Option<Cow<'a, str>>,
    /// `b64`.
    pub(crate) b64: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(crate) fn read(target: &'a str) -> Self {
        let mut query = Self::default();
        for (key, value) in parameters(target) {
            let place = match &*key {
                "transport" => &mut query.transport,
                "sid" => &mut query.sid,
                "EIO" => &mut query.version,
                "b64" => &mut query.b64,
                _ => continue,
            };
            *place = Some(value);
        }
        query
    }
}

/// The value of a query parameter of a request target: see [`Request::query`].
pub(crate) fn parameter<'a>(target: &'a str, name: &str) -> Option<Cow<'a, str>> {
    parameters(target).filter(|(key, _)| key == name).map(|(_, value)| value).last()
}

/// The parameters of a request target, decoded.
fn parameters(target: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let (_, query) = split_target(target);
    // What nearly no query needs is not looked for in each of its parts.
    let is_plain = memchr2(b'%', b'+', query.as_bytes()).is_none();
    let read = move |text| if is_plain { Cow::Borrowed(text) } else { decode(text) };
    let mut rest = Some(query);
    core::iter::from_fn(move || {
        let pair;
        (pair, rest) = match cut(rest?, b'&') {
            Some((pair, rest)) => (pair, Some(rest)),
            None => (rest?, None),
        };
        // Names are short.
        let end = pair.bytes().position(|byte| byte == b'=');
        let (key, value) = end.and_then(|end| pair.split_at_checked(end)).unwrap_or((pair, ""));
        Some((read(key), read(value.strip_prefix('=').unwrap_or(value))))
    })
}

/// What is in front of the first of these bytes (of ASCII), and what is behind it.
fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))
}

fn split_target(target: &str) -> (&str, &str) {
    let target = cut(target, b'#').map_or(target, |(target, _)| target);
    if target.starts_with('/') {
        // What most targets are, known without a search.
        return cut(target, b'?').unwrap_or((target, ""));
    }
    let target = match target.split_once("://") {
        // Only in front of the path is this a scheme: "a?u=http://b" is a plain target.
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find(['/', '?']).and_then(|start| rest.get(start..)).unwrap_or("/")
        }
        _ => target,
    };
    cut(target, b'?').unwrap_or((target, ""))
}

/// Decodes `+` and `%XX`; what is not UTF-8 afterwards becomes U+FFFD, and a bare `%` stays, as URLSearchParams does.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    (high << 4) | low
                }
                _ => b'%',
            },
            _ => byte,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    fn request<'a>(target: &'a str, headers: &'a [(&'a str, &'a [u8])]) -> Request<'a> {
        Request { method: "GET", target, headers, peer: None, secure: false }
    }

    #[test]
    fn the_target_is_split_in_all_its_forms() {
        for (target, path, sid) in [
            ("/socket.io/?sid=a", "/socket.io/", Some("a")),
            ("/socket.io/", "/socket.io/", None),
            ("http://host:80/socket.io/?sid=a", "/socket.io/", Some("a")),
            ("https://host", "/", None),
            ("https://host?sid=a", "", Some("a")),
            ("/x?sid=http://b/?c", "/x", Some("http://b/?c")),
            ("/x?sid=a#sid=b", "/x", Some("a")),
            ("*", "*", None),
            ("", "", None),
        ] {
            let head = request(target, &[]);
            assert_eq!(head.path(), path, "{target}");
            assert_eq!(head.query("sid").as_deref(), sid, "{target}");
        }
    }

    #[test]
    fn a_query_is_decoded_as_url_search_params_do() {
        for (query, value) in [
            ("a=1&a=2", Some("2")),
            ("a=1&a", Some("")),
            ("ab=1", None),
            ("a=1&ab=2&b=%41", Some("1")),
            ("a=1&%61=2", Some("2")),
            ("%61=1&b=%41", Some("1")),
            ("a", Some("")),
            ("b=1", None),
            ("%61=1", Some("1")),
            ("a=%41+%2B", Some("A +")),
            ("a=%", Some("%")),
            ("a=%4", Some("%4")),
            ("a=%zz", Some("%zz")),
            ("a=%ff", Some("\u{fffd}")),
            ("a=b=c", Some("b=c")),
            ("&&a=1&&", Some("1")),
        ] {
            let target = alloc::format!("/?{query}");
            assert_eq!(request(&target, &[]).query("a").as_deref(), value, "{query}");
        }
        for (query, name, value) in
            [("a=b=c", "a=b", None), ("c++=1", "c++", None), ("c++=1", "c  ", Some("1")), ("=1", "", Some("1"))]
        {
            let target = alloc::format!("/?{query}");
            assert_eq!(request(&target, &[]).query(name).as_deref(), value, "{name} in {query}");
        }
    }

    #[test]
    fn an_upgrade_is_found_among_other_tokens() {
        let rows: [(Headers<'_>, bool); 6] = [
            (&[("Connection", b"Upgrade"), ("Upgrade", b"websocket")], true),
            (
                &[("connection", b"keep-alive"), ("connection", b"close , UPGRADE"), ("upgrade", b"h2c, WebSocket")],
                true,
            ),
            (&[("Connection", b"Upgrade"), ("Upgrade", b"h2c")], false),
            (&[("Connection", b"close"), ("Upgrade", b"websocket")], false),
            (&[("Upgrade", b"websocket")], false),
            (&[], false),
        ];
        for (headers, expected) in rows {
            assert_eq!(request("/", headers).is_upgrade(), expected, "{headers:?}");
        }
    }
}
