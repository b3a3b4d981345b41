//! What the tests of several modules need.

use std::{future::Future, time::Duration};

#[cfg(feature = "tls")]
use crate as sockeye;

#[cfg(feature = "tls")]
#[path = "../../runtime-tokio/tests/shared/certificate.rs"]
mod certificate;

/// Runs a test, which fails if it hangs.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    async_std::task::block_on(async_std::future::timeout(Duration::from_secs(30), test)).expect("it hangs")
}

/// A server with a certificate of its own, and a client that trusts it under this name.
#[cfg(feature = "tls")]
pub(crate) fn tls_pair() -> (
    std::sync::Arc<sockeye::rustls::ServerConfig>,
    futures_rustls::TlsConnector,
    sockeye::rustls::pki_types::ServerName<'static>,
) {
    let (server, client) = certificate::configs();
    (server, client.into(), "localhost".try_into().unwrap())
}
