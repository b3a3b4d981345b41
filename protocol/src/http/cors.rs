//! Cross-origin rules: what the `cors` package of npm answers, and enforced on both transports.
//!
//! The package alone only sets headers and leaves the decision to the browser, which asks nobody about a WebSocket. Here
//! a request whose `Origin` is not allowed is refused. A request without `Origin` does not come from a page and passes.

use alloc::string::String;

use super::{Request, Response, is_field_value};
use crate::{
    Text,
    config::{Cors, Origins},
};

/// What the rules say about one request. It is kept with a waiting request, so it is small: the rules themselves are
/// looked up again when the answer is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// No rules are set.
    Off,
    /// Any origin may read the answer: `*`.
    Any,
    /// The origin is allowed by name.
    Echo(Text),
    /// There is no `Origin`, and the answer depends on it.
    Absent,
    /// The origin is not allowed.
    Denied,
}

impl Grant {
    pub(crate) fn of(cors: Option<&Cors>, head: &Request<'_>) -> Self {
        let Some(cors) = cors else { return Self::Off };
        let origin = head.header("origin");
        let text = origin.and_then(|bytes| core::str::from_utf8(bytes).ok());
        match (&cors.origins, origin, text) {
            (Origins::Any, ..) if !cors.credentials => Self::Any,
            (_, None, _) => Self::Absent,
            // "*" is not allowed together with credentials (Fetch, "CORS protocol and credentials").
            (Origins::Any, _, Some(text)) if is_field_value(text.as_bytes()) => Self::Echo(Text::from(text)),
            (Origins::List(list), _, Some(text)) if list.iter().any(|entry| entry == text) => {
                Self::Echo(Text::from(text))
            }
            _ => Self::Denied,
        }
    }

    /// Adds the headers of an actual (not preflight) answer.
    pub(crate) fn apply(&self, cors: Option<&Cors>, response: &mut Response) {
        let Some(cors) = cors else { return };
        self.apply_origin(cors, response);
        if self.depends_on_origin() {
            response.push("Vary", "Origin");
        }
        self.apply_exposed(cors, response);
    }

    fn apply_origin(&self, cors: &Cors, response: &mut Response) {
        match self {
            Self::Any => response.push("Access-Control-Allow-Origin", "*"),
            Self::Echo(origin) => {
                response.push("Access-Control-Allow-Origin", String::from(origin.as_str()));
            }
            Self::Off | Self::Absent | Self::Denied => {}
        }
        if cors.credentials {
            response.push("Access-Control-Allow-Credentials", "true");
        }
    }

    fn apply_exposed(&self, cors: &Cors, response: &mut Response) {
        if let Some(exposed) = cors.exposed_headers.as_deref().filter(|text| !text.is_empty()) {
            response.push("Access-Control-Expose-Headers", String::from(exposed));
        }
    }

    fn depends_on_origin(&self) -> bool {
        matches!(self, Self::Echo(_) | Self::Absent | Self::Denied)
    }
}

/// The answer to `OPTIONS`: 204 for every origin (one that is not allowed is not named in it, so the browser stops).
pub(crate) fn preflight(cors: &Cors, head: &Request<'_>) -> Response {
    let grant = Grant::of(Some(cors), head);
    let mut response = Response::status(204);
    grant.apply_origin(cors, &mut response);
    response.push("Access-Control-Allow-Methods", cors.methods.clone());
    let vary = match (&cors.allowed_headers, grant.depends_on_origin()) {
        (Some(_), true) => Some("Origin"),
        (Some(_), false) => None,
        (None, true) => Some("Origin, Access-Control-Request-Headers"),
        (None, false) => Some("Access-Control-Request-Headers"),
    };
    if let Some(vary) = vary {
        response.push("Vary", vary);
    }
    let asked = || {
        let value = head.header("access-control-request-headers")?;
        let text = core::str::from_utf8(value).ok()?;
        is_field_value(value).then(|| String::from(text))
    };
    let allowed = cors.allowed_headers.clone().or_else(asked);
    if let Some(allowed) = allowed.filter(|text| !text.is_empty()) {
        response.push("Access-Control-Allow-Headers", allowed);
    }
    if let Some(seconds) = cors.max_age {
        response.push("Access-Control-Max-Age", alloc::format!("{seconds}"));
    }
    grant.apply_exposed(cors, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString as _, vec, vec::Vec};

    use super::*;

    type Sent<'a> = &'a [(&'a str, &'a [u8])];
    type Answered<'a> = Vec<(&'a str, &'a str)>;

    fn list(credentials: bool) -> Cors {
        Cors {
            origins: Origins::List(vec!["https://a.example".to_string(), "https://b.example".to_string()]),
            credentials,
            ..Cors::default()
        }
    }

    fn any(credentials: bool) -> Cors {
        Cors { origins: Origins::Any, credentials, ..Cors::default() }
    }

    fn headers(response: &Response) -> Vec<(&str, &str)> {
        let mut headers: Vec<_> = response.headers.iter().map(|(k, v)| (*k, &**v)).collect();
        headers.sort_unstable();
        headers
    }

    fn get(headers: &[(&str, &[u8])], cors: &Cors) -> (Grant, Response) {
        let head = Request { method: "GET", target: "/", headers, peer: None, secure: false };
        let grant = Grant::of(Some(cors), &head);
        let mut response = Response::status(200);
        grant.apply(Some(cors), &mut response);
        (grant, response)
    }

    /// Each row was checked against the `cors` package, but for credentials with any origin, where the package answers
    /// `*`, which no browser accepts.
    #[test]
    fn actual_requests() {
        let a: &[(&str, &[u8])] = &[("Origin", b"https://a.example")];
        let other: &[(&str, &[u8])] = &[("origin", b"https://x.example")];
        let allow_a = ("Access-Control-Allow-Origin", "https://a.example");
        let credentials = ("Access-Control-Allow-Credentials", "true");
        let vary = ("Vary", "Origin");
        let star = ("Access-Control-Allow-Origin", "*");
        let rows: Vec<(&str, Cors, Sent<'_>, bool, Answered<'_>)> = vec![
            ("any", any(false), a, false, vec![star]),
            ("any without origin", any(false), &[], false, vec![star]),
            ("any, credentials", any(true), a, false, vec![credentials, allow_a, vary]),
            ("any, credentials, no origin", any(true), &[], false, vec![credentials, vary]),
            ("listed", list(false), a, false, vec![allow_a, vary]),
            ("listed, credentials", list(true), a, false, vec![credentials, allow_a, vary]),
            ("not listed", list(false), other, true, vec![vary]),
            ("list without origin", list(false), &[], false, vec![vary]),
            ("not UTF-8", list(false), &[("Origin", b"\xff")], true, vec![vary]),
            ("splitting", any(true), &[("Origin", b"a\r\nb")], true, vec![credentials, vary]),
        ];
        for (name, cors, sent, denied, expected) in rows {
            let (grant, response) = get(sent, &cors);
            assert_eq!(grant == Grant::Denied, denied, "{name}");
            assert_eq!(headers(&response), expected, "{name}");
        }
    }

    #[test]
    fn preflights() {
        let full = Cors {
            methods: "GET,POST".to_string(),
            allowed_headers: Some("x-a,x-b".to_string()),
            exposed_headers: Some("e".to_string()),
            max_age: Some(5),
            ..list(true)
        };
        let methods = ("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE");
        let allow_a = ("Access-Control-Allow-Origin", "https://a.example");
        let rows: Vec<(&str, Cors, Sent<'_>, Answered<'_>)> = vec![
            (
                "any",
                any(false),
                &[("origin", b"https://x")],
                vec![methods, ("Access-Control-Allow-Origin", "*"), ("Vary", "Access-Control-Request-Headers")],
            ),
            (
                "all options",
                full,
                &[("origin", b"https://a.example"), ("access-control-request-headers", b"q")],
                vec![
                    ("Access-Control-Allow-Credentials", "true"),
                    ("Access-Control-Allow-Headers", "x-a,x-b"),
                    ("Access-Control-Allow-Methods", "GET,POST"),
                    allow_a,
                    ("Access-Control-Expose-Headers", "e"),
                    ("Access-Control-Max-Age", "5"),
                    ("Vary", "Origin"),
                ],
            ),
            (
                "asked headers are reflected",
                list(false),
                &[("origin", b"https://a.example"), ("access-control-request-headers", b"x-q, x-r")],
                vec![
                    ("Access-Control-Allow-Headers", "x-q, x-r"),
                    methods,
                    allow_a,
                    ("Vary", "Origin, Access-Control-Request-Headers"),
                ],
            ),
            (
                "not listed",
                list(false),
                &[("origin", b"https://x"), ("access-control-request-headers", b"a\r\nb: c")],
                vec![methods, ("Vary", "Origin, Access-Control-Request-Headers")],
            ),
        ];
        for (name, cors, sent, expected) in rows {
            let head = Request { method: "OPTIONS", target: "/", headers: sent, peer: None, secure: false };
            let response = preflight(&cors, &head);
            assert_eq!(response.status, 204, "{name}");
            assert_eq!(headers(&response), expected, "{name}");
        }
    }
}
