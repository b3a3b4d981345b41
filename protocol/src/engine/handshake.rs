//! The open packet (Engine.IO protocol v4, "Handshake").

use alloc::string::String;
use core::time::Duration;

use crate::{Config, Sid};

/// The open packet of a session as text. `upgradable` says whether the session begins with a transport that can be
/// upgraded.
pub(crate) fn open_packet(config: &Config, sid: Sid, upgradable: bool) -> String {
    let upgrade = upgradable && config.allow_upgrades && config.transports.websocket;
    let upgrades = if upgrade { "\"websocket\"" } else { "" };
    alloc::format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":[{upgrades}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
        millis(config.ping_interval),
        millis(config.ping_timeout),
        config.limits.max_payload,
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Transports,
        rng::{Rng, Seed},
    };

    #[test]
    fn upgrades_are_offered_where_they_are_served() {
        let sid = Sid::generate(&mut Rng::new(&Seed::for_tests(1)));
        for (allow, websocket, upgradable, expected) in [
            (true, true, true, "[\"websocket\"]"),
            (false, true, true, "[]"),
            (true, false, true, "[]"),
            (true, true, false, "[]"),
        ] {
            let config = Config {
                allow_upgrades: allow,
                transports: Transports { websocket, ..Transports::default() },
                ..Config::default()
            };
            let text = alloc::format!(
                "0{{\"sid\":\"{sid}\",\"upgrades\":{expected},\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}}"
            );
            assert_eq!(open_packet(&config, sid, upgradable), text);
        }
    }
}
