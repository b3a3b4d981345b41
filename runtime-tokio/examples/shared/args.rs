//! What the servers that tests start are told.

use std::env;

/// Whether a flag is there.
#[allow(dead_code, reason = "not every server has flags")]
pub(crate) fn has(flag: &str) -> bool {
    env::args().any(|arg| arg == flag)
}

/// The port behind `--port`; with 0, the operating system chooses one.
pub(crate) fn port() -> u16 {
    let mut args = env::args().skip_while(|arg| arg != "--port").skip(1);
    args.next().and_then(|port| port.parse().ok()).unwrap_or(3000)
}
