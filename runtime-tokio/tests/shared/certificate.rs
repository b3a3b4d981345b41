//! Configurations for tests of TLS. `sockeye` is the crate of the runtime.
#![allow(clippy::unwrap_used, reason = "a failure ends the test")]

use std::sync::Arc;

use super::sockeye::rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};

/// A server's configuration with a certificate of its own for `localhost`, and that of a client that trusts it.
pub(crate) fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
