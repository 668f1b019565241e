//! A certificate authority that lives as long as a test.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Makes an authority, writes its certificate to `ca` (PEM), and gives back what
/// a server on 127.0.0.1 needs to be trusted by those who trust it.
pub(super) fn acceptor(ca: &Path) -> tokio_native_tls::TlsAcceptor {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
    ca_params.distinguished_name.push(DnType::CommonName, "authority of a test");
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_cert = ca_params.self_signed(&ca_key).unwrap();
    std::fs::write(ca, ca_cert.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let cert = params.signed_by(&key, &Issuer::new(ca_params, ca_key)).unwrap();

    let identity =
        native_tls::Identity::from_pkcs8(cert.pem().as_bytes(), key.serialize_pem().as_bytes());
    native_tls::TlsAcceptor::new(identity.unwrap()).unwrap().into()
}
