//! What the requests of an engine look like.

use alloc::{borrow::Cow, string::String, vec::Vec};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use iri_string::percent_encode::PercentEncodedForUri;

use super::{
    engine::{Engine, Way},
    input::Head,
};
use crate::{
    Text,
    client::{Cookies, Transport, http::Request},
    http::{decode, is_field_value, is_token},
};

/// Parameters that are the engine's own.
const RESERVED: [&str; 4] = ["EIO", "transport", "sid", "b64"];

/// Headers that are this module's own, or an HTTP library's.
const OWN: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "cookie",
    "content-type",
];

/// Headers that do not go to another origin than that for which they were given.
const HOME: [&str; 3] = ["authorization", "proxy-authorization", "host"];

impl Engine {
    pub(super) fn polling_request(&mut self, method: &'static str, body: Bytes) -> Request {
        let mut headers = self.headers(Transport::Polling);
        if method == "POST" {
            headers.push(("Content-Type".into(), "text/plain;charset=UTF-8".into()));
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            headers.push(("Accept".into(), "*/*".into()));
        }
        self.request(method, Transport::Polling, headers, body)
    }

    /// The opening handshake of a WebSocket (RFC 6455, 4.1), and its key.
    pub(super) fn websocket_request(&mut self) -> (String, Request) {
        let key = BASE64_STANDARD.encode(self.rng.bytes::<16>());
        let mut headers = self.headers(Transport::WebSocket);
        headers.retain(|(name, _)| !starts_with(name, "sec-websocket-"));
        headers.push(("Connection".into(), "Upgrade".into()));
        headers.push(("Upgrade".into(), "websocket".into()));
        headers.push(("Sec-WebSocket-Version".into(), "13".into()));
        headers.push(("Sec-WebSocket-Key".into(), key.as_str().into()));
        let protocols: Vec<&str> =
            self.config.offered_protocols().iter().map(String::as_str).filter(|name| is_token(name)).collect();
        if !protocols.is_empty() {
            headers.push(("Sec-WebSocket-Protocol".into(), protocols.join(", ").into()));
        }
        (key, self.request("GET", Transport::WebSocket, headers, Bytes::new()))
    }

    pub(super) fn store_cookies(&mut self, transport: Transport, head: &Head) {
        if self.config.cookies(transport) {
            let config = alloc::sync::Arc::clone(&self.config);
            let now = self.clock;
            head.with(|head| self.cookie_jar().store(now, &config.limits, head));
        }
    }

    fn request(
        &mut self,
        method: &'static str,
        transport: Transport,
        headers: Vec<(Text, Text)>,
        body: Bytes,
    ) -> Request {
        let target = self.target(transport);
        let origin = &self.way.place.origin;
        Request {
            method,
            secure: origin.secure,
            host: origin.host.clone(),
            port: origin.port,
            target,
            headers,
            body,
            body_limit: self.config.limits.max_payload,
            upgrade: transport == Transport::WebSocket,
        }
    }

    /// `Host`, the headers of the configuration, and the cookies.
    fn headers(&mut self, transport: Transport) -> Vec<(Text, Text)> {
        let away = self.is_away();
        let extra = self.config.overrides(transport).extra_headers.as_ref().unwrap_or(&self.config.extra_headers);
        let allowed = |(name, value): &&(String, String)| {
            let named = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
            is_token(name) && is_field_value(value.as_bytes()) && !named(&OWN) && !(away && named(&HOME))
        };
        let mut headers: Vec<(Text, Text)> =
            extra.iter().filter(allowed).map(|(name, value)| (name.as_str().into(), value.trim().into())).collect();
        // RFC 9110, 7.2: "A user agent that sends Host SHOULD send it as the first field".
        let host = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = match host.map(|index| headers.remove(index)) {
            Some((_, value)) => value,
            None => alloc::format!("{}", self.way.place.origin).into(),
        };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        headers.insert(0, ("Host".into(), host));
        let given = extra
            .iter()
            .filter(|(name, value)| !away && name.eq_ignore_ascii_case("cookie") && is_field_value(value.as_bytes()));
        let mut cookies: Vec<String> = given.map(|(_, value)| value.trim().into()).collect();
        if self.config.cookies(transport) {
            cookies.extend(self.way.away.as_ref().unwrap_or(&self.way.cookies).header(self.clock));
        }
        // RFC 6265, 5.4: one header with all of them.
        if !cookies.is_empty() {
            headers.push(("Cookie".into(), cookies.join("; ").into()));
        }
        headers
    }

    fn target(&mut self, transport: Transport) -> Text {
        let overrides = self.config.overrides(transport);
        let default = transport == Transport::Polling;
        let stamped = overrides.timestamp_requests.or(self.config.timestamp_requests).unwrap_or(default);
        let nonce = stamped.then(|| self.nonce());
        let mut target = match &self.way.place.path {
            Some(path) => String::from(path.as_str()),
            None => {
                let path = self.config.overrides(transport).path.as_ref().unwrap_or(&self.config.path);
                path_of(path, self.config.add_trailing_slash)
            }
        };
        target.push('?');
        let param = self.config.overrides(transport).timestamp_param.as_ref().unwrap_or(&self.config.timestamp_param);
        for (key, value) in self.query(transport, nonce.is_some().then_some(param)) {
            push(&mut target, &key, &value);
        }
        push(&mut target, "EIO", "4");
        push(&mut target, "transport", transport.as_str());
        if let Some(sid) = self.sid() {
            push(&mut target, "sid", &encode(sid));
        }
        if let Some(nonce) = nonce {
            push(&mut target, &encode(param), &nonce);
        }
        // On polling binary is base64 anyway; this asks an older server for it too, once.
        if self.config.base64(transport) && (transport == Transport::WebSocket || self.handshake.is_none()) {
            push(&mut target, "b64", "1");
        }
        target.into()
    }

    /// Whether requests go to another origin than the endpoint's.
    fn is_away(&self) -> bool {
        self.way.away.is_some()
    }

    fn cookie_jar(&mut self) -> &mut Cookies {
        let Way { away, cookies, .. } = &mut *self.way;
        away.as_mut().unwrap_or(cookies)
    }

    /// What no other request has: 8 characters of chance.
    fn nonce(&mut self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.rng.bytes::<6>())
    }

    /// The user's part of the query, encoded: of several parameters with one name the last counts, as where they become
    /// an object in JavaScript.
    fn query(&self, transport: Transport, stamp: Option<&str>) -> Vec<(String, String)> {
        let mut query: Vec<(String, String, String)> = Vec::new();
        let mut add = |name: Cow<'_, str>, key: String, value: String| {
            if RESERVED.contains(&&*name) || stamp == Some(&*name) {
                return;
            }
            match query.iter_mut().find(|(other, ..)| *other == name) {
                Some(slot) => slot.2 = value,
                None => query.push((name.into_owned(), key, value)),
            }
        };
        let own = self.config.overrides(transport).query.as_ref();
        match &self.way.place.query {
            Some(raw) if own.is_none() || self.way.place.is_redirected() => {
                for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    // A plus sign of a URL is one to JavaScript's client, and a space to a server.
                    let (key, value) = (key.replace('+', "%2B"), value.replace('+', "%2B"));
                    add(Cow::Owned(decode(&key).into_owned()), key, value);
                }
            }
            _ => {
                for (key, value) in own.unwrap_or(&self.config.query) {
                    add(Cow::Borrowed(key), encode(key), encode(value));
                }
            }
        }
        query.into_iter().map(|(_, key, value)| (key, value)).collect()
    }
}

fn push(target: &mut String, key: &str, value: &str) {
    if !target.ends_with('?') {
        target.push('&');
    }
    for part in [key, "=", value] {
        target.push_str(part);
    }
}

fn encode(text: &str) -> String {
    alloc::format!("{}", PercentEncodedForUri::unreserve(text))
}

/// A path as it goes into a request: with a slash in front, and at its end if that is wanted; what cannot stand there is
/// percent-encoded (RFC 3986, 3.3).
fn path_of(path: &str, slash: bool) -> String {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut out = String::with_capacity(path.len().saturating_add(2));
    if !path.starts_with('/') {
        out.push('/');
    }
    for char in path.chars() {
        match char {
            // What is encoded already stays as it is.
            '%' | '/' | ':' | '@' | '-' | '.' | '_' | '~' | '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ','
            | ';' | '=' => {
                out.push(char);
            }
            char if char.is_ascii_alphanumeric() => out.push(char),
            char => out.push_str(&encode(char.encode_utf8(&mut [0; 4]))),
        }
    }
    if slash && !out.ends_with('/') {
        out.push('/');
    }
    out
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
