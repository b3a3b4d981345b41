//! Clients over TLS: whom they trust, and as whom they come.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{mode, network::mirror, upgraded};
use crate::sockeye::{
    TcpConnector,
    client::{ClientError, Error, Failure, engine},
    prelude::*,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};

/// Who issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }

    fn issue(&self, names: &[&str]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    /// A client that trusts this authority, and comes with a certificate of another one, or with none.
    fn client(&self, from: Option<&Self>) -> Arc<TcpConnector> {
        let builder = ClientConfig::builder().with_root_certificates(Arc::clone(&self.roots));
        let config = match from {
            None => builder.with_no_client_auth(),
            Some(from) => {
                let (certificates, key) = from.issue(&["client.example"]);
                builder.with_client_auth_cert(certificates, key).unwrap()
            }
        };
        Arc::new(TcpConnector::with_tls(Arc::new(config)))
    }
}

/// What stands behind an error.
fn failure(error: &ClientError) -> &Failure {
    match error {
        ClientError::Connect(Error::Engine(engine::Error::Poll(cause) | engine::Error::WebSocket(cause))) => {
            match &**cause {
                engine::Cause::Failure(failure) => failure,
                other => panic!("{other}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A server whose name and issuer are right, on every transport; with a certificate of the client's own where the server
/// wants one. Whatever is wrong is said.
pub(crate) async fn tls(index: usize) {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("another"));
    let (certificates, key) = authority.issue(&["localhost", "::1"]);
    let open = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates.clone(), key.clone_key());
    let clients = WebPkiClientVerifier::builder(Arc::clone(&authority.roots)).build().unwrap();
    let guarded = ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(certificates, key);
    let io = mirror();
    let open = io.listen_tls("127.0.0.1:0", Arc::new(open.unwrap())).await.unwrap();
    let guarded = io.listen_tls("[::1]:0", Arc::new(guarded.unwrap())).await.unwrap();
    let (open_port, guarded_port) = (open.local_addr().port(), guarded.local_addr().port());
    let builder = |url: &str, connector: &Arc<TcpConnector>| {
        let connector: Arc<TcpConnector> = Arc::clone(connector);
        Client::builder(url).config(mode(index)).config(|config| config.reconnection = false).connector(connector)
    };

    for (url, connector) in [
        (format!("https://localhost:{open_port}"), authority.client(None)),
        (format!("wss://localhost:{open_port}"), authority.client(Some(&stranger))),
        (format!("https://[::1]:{guarded_port}"), authority.client(Some(&authority))),
    ] {
        let client = builder(&url, &connector).connect().await.unwrap();
        upgraded(&client, index).await;
        let host: String = client.emit_with_ack("header", &"host").await.unwrap();
        assert!(url.ends_with(&host), "{url} {host}");
    }

    // Whom the client does not trust.
    let untrusted = [
        (
            format!("https://localhost:{open_port}"),
            stranger.client(None),
            "TLS: invalid peer certificate: UnknownIssuer",
        ),
        (format!("https://127.0.0.1:{open_port}"), authority.client(None), "TLS: invalid peer certificate: "),
    ];
    for (url, connector, cause) in untrusted {
        let refused = builder(&url, &connector).connect().await.unwrap_err();
        assert!(refused.to_string().contains(cause), "{refused}");
        assert!(matches!(failure(&refused), Failure::Tls(_)), "{refused:?}");
    }
    // By default the system says whom: not this authority.
    let refused = Client::builder(&format!("https://localhost:{open_port}")).config(mode(index));
    let refused = refused.config(|config| config.reconnection = false).connect().await.unwrap_err();
    assert!(matches!(failure(&refused), Failure::Tls(_)), "{refused:?}");

    // Whom the server does not trust. It says so when the client takes itself for connected (RFC 8446, 4.4.2.4).
    for connector in [authority.client(None), authority.client(Some(&stranger))] {
        let refused = builder(&format!("https://[::1]:{guarded_port}"), &connector).connect().await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("alert") || text.contains("certificate"), "{refused}");
    }
    // Where there is no TLS.
    let plain = io.listen("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", plain.local_addr().port());
    let refused = builder(&url, &authority.client(None)).connect().await.unwrap_err();
    assert!(matches!(failure(&refused), Failure::Tls(_)), "{refused:?}");
    for listening in [open, guarded, plain] {
        listening.shutdown(Duration::from_secs(5)).await;
    }
}
