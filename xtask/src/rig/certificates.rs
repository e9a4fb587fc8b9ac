//! The rig's own authority, and the certificates that every process logs in with.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::layout::{Layout, write_private};

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The maker of certificates refused.
    #[error("cannot make the certificate {name:?}")]
    Make {
        /// Of which file.
        name: String,
        /// What it says.
        #[source]
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error("cannot write the certificate {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<super::RigError>,
    },
}

/// What a client in this process needs to ask the servers whether they are ready.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) authority: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

struct Subject {
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

/// `system:masters` needs no role; the others have the roles that the API server makes at its first
/// start. KWOK plays every kubelet, which no role of theirs covers.
const CLIENTS: [Subject; 5] = [
    Subject { file: "admin", user: "rig-admin", group: Some("system:masters") },
    Subject { file: "kube-controller-manager", user: "system:kube-controller-manager", group: None },
    Subject { file: "kube-scheduler", user: "system:kube-scheduler", group: None },
    Subject { file: "kwok", user: "rig-kwok", group: Some("system:masters") },
    Subject { file: "etcd-client", user: "rig-etcd-client", group: None },
];

/// Makes every certificate and key, and writes them under `pki/`.
pub(super) fn write(layout: &Layout) -> Result<Access, CertificateError> {
    let (ca_key, mut ca) = (key("ca")?, params("ca", &[])?);
    ca.distinguished_name = name("poros-rig", None);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = ca.self_signed(&ca_key).map_err(|source| made("ca", source))?;
    save(layout, "ca.crt", &authority.pem())?;
    let issuer = Issuer::new(ca, ca_key);

    let hosts = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut server = params("server", &hosts)?;
    server.distinguished_name = name("poros-rig-server", None);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(layout, "server", &server, &issuer)?;

    for Subject { file, user, group } in CLIENTS {
        let mut client = params(file, &[])?;
        client.distinguished_name = name(user, group);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        sign(layout, file, &client, &issuer)?;
    }

    let service_accounts = key("service-accounts")?;
    save(layout, "service-accounts.key", &service_accounts.serialize_pem())?;
    save(layout, "service-accounts.pub", &service_accounts.public_key_pem())?;

    let read = |file: &str| {
        let path = layout.pki(file);
        let error = |source| super::layout::file("read", &path, source);
        std::fs::read(&path).map_err(error).map_err(|source| written(layout, file, source))
    };
    Ok(Access {
        authority: authority.pem().into_bytes(),
        certificate: read("admin.crt")?,
        key: read("admin.key")?,
    })
}

fn sign(
    layout: &Layout,
    file: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(), CertificateError> {
    let own = key(file)?;
    let certificate = params.signed_by(&own, issuer).map_err(|source| made(file, source))?;
    save(layout, &format!("{file}.crt"), &certificate.pem())?;
    save(layout, &format!("{file}.key"), &own.serialize_pem())
}

fn params(file: &str, hosts: &[&str]) -> Result<CertificateParams, CertificateError> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).map_err(|source| made(file, source))?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn name(common: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name
}

fn key(file: &str) -> Result<KeyPair, CertificateError> {
    KeyPair::generate().map_err(|source| made(file, source))
}

fn save(layout: &Layout, file: &str, text: &str) -> Result<(), CertificateError> {
    write_private(&layout.pki(file), text).map_err(|source| written(layout, file, source))
}

fn made(name: &str, source: rcgen::Error) -> CertificateError {
    CertificateError::Make { name: name.to_owned(), source }
}

fn written(layout: &Layout, file: &str, source: super::RigError) -> CertificateError {
    CertificateError::Write { path: layout.pki(file), source: Box::new(source) }
}
