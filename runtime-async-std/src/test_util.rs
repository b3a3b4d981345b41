//! What the tests of several modules need.

use std::{future::Future, time::Duration};

#[cfg(feature = "tls")]
pub(crate) use tls::tls_pair;

/// Runs a test, which fails if it hangs.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    async_std::task::block_on(async_std::future::timeout(Duration::from_secs(30), test)).expect("it hangs")
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use futures_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore, ServerConfig,
            pki_types::{PrivateKeyDer, ServerName},
        },
    };

    /// A server with a certificate of its own, and a client that trusts it under this name.
    pub(crate) fn tls_pair() -> (Arc<ServerConfig>, TlsConnector, ServerName<'static>) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        (Arc::new(server), Arc::new(client).into(), "localhost".try_into().unwrap())
    }
}
