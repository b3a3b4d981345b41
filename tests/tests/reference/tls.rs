//! TLS, with the certificates of an authority of the test's own, against a server on Node's.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value as Json, json};
use sockeye_driver::client::{ClientBuilder, ClientError, Connector, Error, engine};
use sockeye_tokio::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use crate::{
    counterpart::World,
    runtimes::{Runtime, connect, everywhere, mode, within},
    values::hex,
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Else it has the name of those that it certifies.
        params.distinguished_name.push(DnType::CommonName, "authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for these names, and its key.
    fn certify(&self, names: &[&str]) -> (CertificateDer<'static>, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let (params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        (params.signed_by(&key, &self.0).unwrap().der().clone(), key)
    }

    /// What Node's server needs to be one of these names.
    fn server(&self, names: &[&str]) -> Json {
        let (certificate, key) = self.certify(names);
        json!({ "cert": hex(&certificate), "key": hex(&key.serialize_der()), "ca": hex(self.0.der()) })
    }

    /// A client that trusts it, with a certificate of its own or none.
    fn client(&self, own: Option<(CertificateDer<'static>, KeyPair)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(match own {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }
}

fn client(runtime: Runtime, url: &str, config: Option<Arc<ClientConfig>>) -> ClientBuilder {
    let builder = runtime.client(url).config(|config| config.reconnection = false);
    let Some(config) = config else { return builder };
    let connector: Arc<dyn Connector> = match runtime {
        Runtime::Tokio => Arc::new(sockeye_tokio::TcpConnector::with_tls(config)),
        Runtime::AsyncStd => Arc::new(sockeye_async_std::TcpConnector::with_tls(config)),
    };
    builder.connector(connector)
}

/// Why a client is not connected.
async fn refused(builder: ClientBuilder, index: usize) -> String {
    let error = within("a refusal", builder.config(mode(index)).connect()).await.unwrap_err();
    let ClientError::Connect(Error::Engine(engine::Error::Poll(cause) | engine::Error::WebSocket(cause))) = error
    else {
        panic!("{error:?}")
    };
    cause.to_string()
}

#[test]
fn a_server_is_trusted_by_its_certificate_alone() {
    everywhere(async |runtime: Runtime, index: usize| {
        let authority = Authority::new();
        let mut world = World::empty();
        world.listen(json!({ "tls": authority.server(&["127.0.0.1", "localhost"]) })).await;
        let port = world.port;
        for url in [format!("https://127.0.0.1:{port}"), format!("wss://localhost:{port}")] {
            let client = connect(client(runtime, &url, Some(authority.client(None))), index).await;
            let text = "x".repeat(100_000);
            assert_eq!(within("an answer", client.emit_with_ack("answer", &text)).await, Ok(text));
        }
        let url = format!("https://127.0.0.1:{port}");
        // With the roots of the system, or other ones.
        for config in [None, Some(Authority::new().client(None))] {
            let why = refused(client(runtime, &url, config), index).await;
            assert!(why.contains("certificate"), "{why}");
        }
        let mut other = World::empty();
        other.listen(json!({ "tls": authority.server(&["example.org"]) })).await;
        let url = format!("https://127.0.0.1:{}", other.port);
        let why = refused(client(runtime, &url, Some(authority.client(None))), index).await;
        assert!(why.contains("certificate"), "{why}");
    });
}

#[test]
fn a_server_may_want_a_certificate() {
    everywhere(async |runtime: Runtime, index: usize| {
        let authority = Authority::new();
        let mut tls = authority.server(&["127.0.0.1"]);
        tls["requestCert"] = true.into();
        let mut world = World::empty();
        world.listen(json!({ "tls": tls })).await;
        let url = format!("https://127.0.0.1:{}", world.port);
        let own = authority.certify(&["client"]);
        let client_with = client(runtime, &url, Some(authority.client(Some(own))));
        let connected = connect(client_with, index).await;
        assert_eq!(within("an answer", connected.emit_with_ack("answer", &1)).await, Ok(1));
        let why = refused(client(runtime, &url, Some(authority.client(None))), index).await;
        assert!(why.contains("CertificateRequired"), "{why}");
    });
}
