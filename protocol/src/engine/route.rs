//! What to do with a request, decided from its head alone.

use crate::{
    Config, Sid,
    http::{
        Query, RefuseCode, Request, Response,
        cors::{self, Grant},
        is_field_value, upgrade,
    },
};

/// Where a request belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routed<K> {
    /// It is not for this server: its path is another one.
    NotFound,
    /// The answer is known already.
    Respond(Response),
    /// It opens a session: make one and hand it the request.
    Open,
    /// It belongs to this session: hand it the request.
    Existing(K),
}

/// Decides what to do with a request before anything of its body is read. `lookup` says which session has an id; one
/// that is closed but not [drained](super::Session::is_drained) yet must still be found, since its last packets wait
/// for a GET.
///
/// The order of the checks is that of `engine.io`: path, CORS, transport, origin's characters, session id, method, protocol
/// version; and then the headers of a WebSocket upgrade, which is refused before its 101 if anything is wrong with it.
///
/// ```
/// use sockeye_protocol::{Config, engine::{Routed, route}, http::Request};
///
/// let config = Config::default();
/// let mut head = Request {
///     method: "GET",
///     target: "/socket.io/?EIO=4&transport=polling",
///     headers: &[],
///     peer: None,
///     secure: false,
/// };
/// assert_eq!(route::<()>(&config, &head, |_| None), Routed::Open);
///
/// head.target = "/socket.io/?EIO=4&transport=polling&sid=unknown";
/// let Routed::Respond(response) = route::<()>(&config, &head, |_| None) else { unreachable!() };
/// assert_eq!(response.body, r#"{"code":1,"message":"Session ID unknown"}"#);
/// ```
pub fn route<K>(config: &Config, head: &Request<'_>, lookup: impl FnOnce(Sid) -> Option<K>) -> Routed<K> {
    if !serves(config, head) {
        return Routed::NotFound;
    }
    if let (Some(cors), "OPTIONS") = (&config.cors, head.method) {
        return Routed::Respond(cors::preflight(cors, head));
    }
    let grant = Grant::of(config.cors.as_ref(), head);
    match check(config, head, &grant, lookup) {
        Ok(routed) => routed,
        Err(response) => Routed::Respond(refusal(config, head, &grant, response, head.is_upgrade())),
    }
}

/// Whether a request is ours at all, by its path: for drivers that share an HTTP server with others.
pub fn serves(config: &Config, head: &Request<'_>) -> bool {
    head.path().starts_with(config.path.as_str())
}

/// The answer to a request whose session has ended since it was routed; `unread` says that there may be more of its body.
pub fn gone(config: &Config, head: &Request<'_>, unread: bool) -> Response {
    let grant = Grant::of(config.cors.as_ref(), head);
    let response = Response::refuse(RefuseCode::UnknownSid);
    refusal(config, head, &grant, response, unread || head.is_upgrade())
}

/// The answer to a request that would open a session while the server is ending.
pub fn unavailable(config: &Config, head: &Request<'_>) -> Response {
    let grant = Grant::of(config.cors.as_ref(), head);
    refusal(config, head, &grant, Response::status(503), true)
}

/// The refusal with all its headers.
fn refusal(config: &Config, head: &Request<'_>, grant: &Grant, mut response: Response, closing: bool) -> Response {
    if closing && response.header("connection").is_none() {
        response = response.closing();
    }
    grant.apply(config.cors.as_ref(), &mut response);
    response.for_method(head.method)
}

fn check<K>(
    config: &Config,
    head: &Request<'_>,
    grant: &Grant,
    lookup: impl FnOnce(Sid) -> Option<K>,
) -> Result<Routed<K>, Response> {
    let refuse = |code| Err(Response::refuse(code));
    if *grant == Grant::Denied {
        return refuse(RefuseCode::Forbidden);
    }
    let Query { transport, sid, version, .. } = Query::read(head.target);
    let websocket = match transport.as_deref() {
        Some("polling") if config.transports.polling => false,
        Some("websocket") if config.transports.websocket => true,
        _ => return refuse(RefuseCode::UnknownTransport),
    };
    if head.header("origin").is_some_and(|value| !is_field_value(value)) {
        return refuse(RefuseCode::BadRequest);
    }
    // An empty id is none, as in JavaScript.
    if let Some(sid) = sid.filter(|sid| !sid.is_empty()) {
        return match sid.parse().ok().and_then(lookup) {
            Some(key) => Ok(Routed::Existing(key)),
            None => refuse(RefuseCode::UnknownSid),
        };
    }
    if head.method != "GET" {
        return refuse(RefuseCode::BadHandshakeMethod);
    }
    if websocket != head.is_upgrade() {
        return refuse(RefuseCode::BadRequest);
    }
    if version.as_deref() != Some("4") {
        return refuse(RefuseCode::UnsupportedProtocolVersion);
    }
    if websocket {
        upgrade::check(head)?;
    }
    Ok(Routed::Open)
}
