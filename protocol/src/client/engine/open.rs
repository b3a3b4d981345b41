//! The open packet (Engine.IO protocol v4, "Handshake"), as a client reads it.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use core::time::Duration;

use serde::Deserialize;

use super::error::{Error, HandshakeError, Refusal};
use crate::Text;

/// What a server says about a session when it opens it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, id) = opening(|_| {});
/// engine.handle_response(NOW, id, &OK, Bytes::from(OPEN));
/// let Some(engine::Output::Event(engine::Event::Open(handshake))) = engine.poll_output() else { panic!() };
/// assert_eq!((&*handshake.sid, &*handshake.upgrades[0]), ("abc", "websocket"));
/// assert_eq!((handshake.ping_interval, handshake.max_payload), (Duration::from_secs(25), Some(1_000)));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handshake {
    /// The session's id: a secret between client and server.
    pub sid: Text,
    /// The transports that the session may move to.
    pub upgrades: Vec<Text>,
    /// The time from one ping to the next, between 1 s and 24 h whatever the server says.
    pub ping_interval: Duration,
    /// How much later than that a ping may come, between 1 s and 24 h whatever the server says.
    pub ping_timeout: Duration,
    /// Bytes that the body of a POST may have. `None`: as many as there are.
    pub max_payload: Option<usize>,
}

/// Bytes of the longest open packet that is looked at; JavaScript's server sends about 100.
const MAX_OPEN: usize = 64 * 1024;

/// The bounds of both times of a heartbeat (hostile-input C1): less would be a flood, and with more a dead server would
/// never be noticed.
const HEARTBEAT: core::ops::RangeInclusive<f64> = 1_000.0..=86_400_000.0;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    sid: String,
    #[serde(default)]
    upgrades: Vec<String>,
    // JavaScript's numbers: 25000, 25000.0 and 2.5e4 are the same.
    ping_interval: f64,
    ping_timeout: f64,
    #[serde(default)]
    max_payload: Option<f64>,
}

impl Handshake {
    /// Reads the JSON of an open packet.
    pub(super) fn parse(text: &str) -> Result<Self, HandshakeError> {
        if text.len() > MAX_OPEN {
            return Err(HandshakeError::TooLarge { limit: MAX_OPEN, size: text.len() });
        }
        let open: Open = serde_json::from_str(text).map_err(|error| HandshakeError::Json(error.to_string().into()))?;
        if open.sid.is_empty() {
            return Err(HandshakeError::Sid);
        }
        Ok(Self {
            sid: open.sid.into(),
            upgrades: open.upgrades.into_iter().map(Text::from).collect(),
            ping_interval: clamp(open.ping_interval),
            ping_timeout: clamp(open.ping_timeout),
            // Zero would let nothing through: no limit, as in JavaScript.
            max_payload: open.max_payload.filter(|bytes| *bytes >= 1.0).map(|bytes| bytes as usize),
        })
    }
}

fn clamp(millis: f64) -> Duration {
    Duration::from_millis(millis.clamp(*HEARTBEAT.start(), *HEARTBEAT.end()) as u64)
}

/// Whether the answer to a handshake is one of protocol version 3: packets with their lengths in front, as text
/// (`97:0{"sid":..`) or binary.
pub(super) fn is_old_protocol(body: &[u8]) -> bool {
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = digits > 0 && body.get(digits..).is_some_and(|rest| rest.starts_with(b":0{"));
    text || matches!(body, [0 | 1, 0..=9, ..])
}

impl Refusal {
    /// Reads the body of a refusal: the JSON of an Engine.IO server, or a line of text (what JavaScript's server answers
    /// to a WebSocket), but no page.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Json {
            #[serde(default)]
            code: Option<serde_json::Value>,
            message: String,
        }
        const MAX: usize = 1_024;
        let text = core::str::from_utf8(body.get(..MAX * 8).unwrap_or(body)).ok()?.trim();
        let (code, message) = match serde_json::from_str::<Json>(text) {
            Ok(Json { code, message }) => {
                // socketioxide's code is a string.
                let code = code.and_then(|code| match code {
                    serde_json::Value::String(text) => text.parse().ok(),
                    code => code.as_u64(),
                });
                (code.and_then(|code| u32::try_from(code).ok()), message)
            }
            Err(_) if text.is_empty() || text.starts_with(['<', '{']) => return None,
            Err(_) => (None, text.into()),
        };
        let end = (0..=MAX.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
        Some(Self { code, message: message.get(..end.unwrap_or_default()).unwrap_or_default().into() })
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}
