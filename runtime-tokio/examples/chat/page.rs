//! The page, and what it consists of.

use std::fs;

use axum::{
    Router,
    http::{HeaderName, header},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use sockeye_tokio::prelude::*;

/// The official client, which npm has put there.
const CLIENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/chat/node_modules/socket.io-client/dist/socket.io.min.js");

/// Only this server's own scripts run, and images come from messages alone.
const POLICY: &str = "default-src 'self'; img-src 'self' blob:; connect-src 'self' ws: wss:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Result<Router, BoxError> {
    let client = fs::read(CLIENT).map_err(|error| {
        format!(
            "the official client is missing ({CLIENT}: {error}); fetch it with\n\n    \
             npm ci --prefix runtime-tokio/examples/chat\n"
        )
    })?;
    Ok(Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("page/style.css")))
        .route("/app.js", file("text/javascript; charset=utf-8", include_str!("page/app.js")))
        .route("/logo.svg", file("image/svg+xml", include_str!("page/logo.svg")))
        .route("/socket.io.min.js", file("text/javascript; charset=utf-8", client)))
}

fn file(kind: &'static str, content: impl Into<Bytes>) -> MethodRouter {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    get((headers, content.into()))
}
