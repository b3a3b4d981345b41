//! How both sides are set up.

use sockeye_protocol::{
    Config as ServerConfig, Limits as ServerLimits, QueuePolicy, Recovery,
    client::{Config, Limits, Offline, SocketOptions, Transport},
};

use super::{
    super::{Dice, millis, secs},
    EXPIRING, RELIABLE, STRICT,
};

/// Everything that is decided before a run begins.
#[derive(Clone, Debug)]
pub struct Options {
    pub client: Config,
    pub server: ServerConfig,
    /// How often events of the reliable namespace are sent again; zero: never.
    pub retries: u32,
    pub mood: Mood,
    /// The network is well: then nothing is lost but by the applications' will.
    pub well: bool,
    /// Sessions are lost by the time alone, and not by the size of the log or of a queue.
    pub ample: bool,
    /// See [`Pair`](super::Pair).
    pub eager: bool,
    pub chunk: usize,
}

/// Who does more than talk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mood {
    /// The client leaves and joins, closes and opens, and takes its time with answers.
    pub client: bool,
    /// The server disconnects and refuses, and takes its time with answers.
    pub server: bool,
    /// The network breaks.
    pub network: bool,
}

impl Options {
    /// What both sides can be set up to do, in short times.
    pub fn random(dice: &mut Dice) -> Self {
        let transports: &[Transport] = match dice.below(6) {
            0 => &[Transport::Polling],
            1 => &[Transport::WebSocket],
            2 => &[Transport::WebSocket, Transport::Polling],
            _ => &[Transport::Polling, Transport::WebSocket],
        };
        let mut limits = Limits::default();
        if dice.chance(200) {
            (limits.send_queue_packets, limits.pending_acks) = (2, 5);
        }
        let client = Config {
            transports: transports.into(),
            upgrade: !dice.chance(100),
            try_all_transports: dice.chance(200),
            remember_upgrade: dice.chance(200),
            force_base64: dice.chance(100),
            ask_headers: dice.chance(100),
            timeout: Some(secs(5)),
            connect_timeout: Some(secs(dice.pick(&[60, 10]))),
            request_timeout: dice.pick(&[None, None, Some(secs(8))]),
            reconnection_delay: millis(dice.pick(&[50, 1_000])),
            reconnection_attempts: dice.pick(&[None, None, None, Some(3)]),
            limits,
            ..Config::default()
        };
        let (retries, ample) = (dice.pick(&[u32::MAX, 2, 0]), !dice.chance(250));
        let server = ServerConfig {
            ping_interval: secs(5),
            ping_timeout: secs(4),
            recovery: recovery(dice, ample),
            limits: server_limits(dice, ample),
            queue_policy: dice.pick(&[QueuePolicy::Error, QueuePolicy::Disconnect]),
            ..ServerConfig::default()
        };
        let (eager, chunk) = (dice.chance(500), dice.pick(&[0, 0, 1, 13]));
        Self { client, server, retries, mood: Mood::default(), well: false, ample, eager, chunk }
    }

    pub(super) fn socket(&self, index: usize) -> SocketOptions {
        let reliable = index == RELIABLE;
        let ttl = (index == EXPIRING).then(|| secs(3));
        let buffer = match Offline::default() {
            Offline::Buffer { max_bytes, .. } => Offline::Buffer { max_packets: 2_000, max_bytes, ttl },
            Offline::Reject => Offline::Reject,
        };
        SocketOptions {
            retries: if reliable { self.retries } else { 0 },
            ack_timeout: reliable.then(|| secs(3)),
            offline: if index == STRICT { Offline::Reject } else { buffer },
        }
    }
}

fn recovery(dice: &mut Dice, ample: bool) -> Option<Recovery> {
    let on = dice.chance(600);
    let max_disconnection_duration = secs(dice.pick(&[20, 120]));
    let recovery = Recovery { max_disconnection_duration, ..Recovery::default() };
    on.then_some(if ample { recovery } else { Recovery { max_packets: 5, max_bytes: 1_000, ..recovery } })
}

fn server_limits(dice: &mut Dice, ample: bool) -> ServerLimits {
    let limits = ServerLimits {
        // Several POSTs for what waits.
        max_payload: dice.pick(&[1_000_000, 400]),
        high_water: dice.pick(&[256 * 1024, 300]),
        body_timeout: secs(5),
        ..ServerLimits::default()
    };
    if ample { limits } else { ServerLimits { send_queue_packets: 6, outstanding_acks: 3, ..limits } }
}
