//! The proxy's authorities and serving certificates: the right one, and those that must not be trusted.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Face;

pub(super) struct Pki {
    /// As PEM.
    pub(super) authority: String,
    next: String,
    acceptors: Vec<(Face, TlsAcceptor)>,
}

impl Pki {
    pub(super) fn new() -> Self {
        let (authority, issuer) = self_signed();
        let (next, next_issuer) = self_signed();
        let acceptors = Face::ALL.map(|face| {
            let mut server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            let mut by = &issuer;
            match face {
                Face::Known => {}
                Face::Expired => {
                    server.not_before = date_time_ymd(2001, 1, 1);
                    server.not_after = date_time_ymd(2002, 1, 1);
                }
                Face::Misnamed => server = CertificateParams::new(["192.0.2.1".to_owned()]).unwrap(),
                Face::Next => by = &next_issuer,
            }
            server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate().unwrap();
            let certificate = server.signed_by(&key, by).unwrap().der().clone();
            (face, acceptor(certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
        });
        Self { authority, next, acceptors: acceptors.into() }
    }

    /// The authority of [`Face::Next`], as PEM.
    pub(super) fn next_authority(&self) -> String {
        self.next.clone()
    }

    pub(super) fn acceptors(self) -> Vec<(Face, TlsAcceptor)> {
        self.acceptors
    }
}

fn self_signed() -> (String, Issuer<'static, KeyPair>) {
    let (key, mut ca) = (KeyPair::generate().unwrap(), CertificateParams::default());
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let pem = ca.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(ca, key))
}

fn acceptor(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config).into()
}
