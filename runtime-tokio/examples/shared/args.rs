//! What the servers that tests start are told.

use std::env;

/// The port behind `--port`; with 0, the operating system chooses one.
pub(crate) fn port() -> u16 {
    let mut args = env::args().skip_while(|arg| arg != "--port").skip(1);
    args.next().and_then(|port| port.parse().ok()).unwrap_or(3000)
}
