//! What the tests of several modules need.

#[cfg(feature = "tls")]
use crate as sockeye;

#[cfg(feature = "tls")]
#[path = "../tests/shared/certificate.rs"]
mod certificate;

/// A server with a certificate of its own, and a client that trusts it under this name.
#[cfg(feature = "tls")]
pub(crate) fn tls_pair() -> (
    std::sync::Arc<sockeye::rustls::ServerConfig>,
    tokio_rustls::TlsConnector,
    sockeye::rustls::pki_types::ServerName<'static>,
) {
    let (server, client) = certificate::configs();
    (server, client.into(), "localhost".try_into().unwrap())
}
