//! The rig's own authority, and the certificates that every process logs in with.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::layout::{Layout, write_private};
use super::machine::Machine;

/// The address of the service `kubernetes`: the first of the range of services.
const KUBERNETES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

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

impl Access {
    /// Of no use: what there is before there are certificates.
    pub(super) fn none() -> Self {
        Self { authority: Vec::new(), certificate: Vec::new(), key: Vec::new() }
    }
}

struct Subject {
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

/// `system:masters` needs no role; the others have the roles that the API server makes at its first
/// start. KWOK plays every kubelet, which no role of theirs covers, and there is none for the cluster's DNS.
const CLIENTS: [Subject; 8] = [
    Subject { file: "admin", user: "rig-admin", group: Some("system:masters") },
    Subject { file: "kube-controller-manager", user: "system:kube-controller-manager", group: None },
    Subject { file: "kube-scheduler", user: "system:kube-scheduler", group: None },
    Subject { file: "kwok", user: "rig-kwok", group: Some("system:masters") },
    Subject { file: "kubelet", user: "system:node:rig-node", group: Some("system:nodes") },
    Subject { file: "kube-proxy", user: "system:kube-proxy", group: None },
    Subject { file: "coredns", user: "rig-coredns", group: Some("system:masters") },
    Subject { file: "etcd-client", user: "rig-etcd-client", group: None },
];

/// Makes every certificate and key, and writes them under `pki/`. A machine's addresses are those of the API server and of
/// the kubelet.
pub(super) fn write(layout: &Layout, machine: Option<Machine>) -> Result<Access, CertificateError> {
    let (ca_key, mut ca) = (key("ca")?, params("ca", &[])?);
    ca.distinguished_name = name("poros-rig", None);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = ca.self_signed(&ca_key).map_err(|source| made("ca", source))?;
    save(layout, "ca.crt", &authority.pem())?;
    let issuer = Issuer::new(ca, ca_key);

    let hosts = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut hosts: Vec<String> = hosts.map(str::to_owned).into();
    if let Some(machine) = machine {
        // The second is that of the service `kubernetes`, the first of its range.
        hosts.extend([machine.host().to_string(), KUBERNETES.to_string()]);
        let mut kubelet = params("kubelet-server", &[machine.node().to_string()])?;
        kubelet.distinguished_name = name("poros-rig-kubelet", None);
        kubelet.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        sign(layout, "kubelet-server", &kubelet, &issuer)?;
    }
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

fn params(file: &str, hosts: &[String]) -> Result<CertificateParams, CertificateError> {
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
