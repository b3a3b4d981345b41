//! Whom to trust.

use std::{path::Path, sync::Arc};

use sockeye_tokio::{
    TcpConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};

use super::exit::Exit;

/// A connector that trusts the certificates of a PEM file beside those of the system.
pub(crate) fn connector(file: &Path) -> Result<TcpConnector, Exit> {
    let refused = |why: &dyn std::fmt::Display| Exit::usage(format!("{}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    // Some of the system's that cannot be read are no reason to do without the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots.add(certificate).map_err(|error| refused(&error))?;
        found = true;
    }
    if !found {
        return Err(refused(&"no certificate in PEM format"));
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TcpConnector::with_tls(Arc::new(config)))
}
