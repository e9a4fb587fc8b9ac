//! Makes a generation of certificates: an authority, a certificate that it signs, and no key of the authority left.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use thiserror::Error;

use crate::decide::certificate::Generation;

/// How far the clocks of API servers may be behind.
const SKEW: Duration = Duration::from_secs(3600);

/// Why no certificate could be made. A name that is none is the likely cause.
#[derive(Debug, Error)]
#[error("no certificate of the webhook could be made for {hosts:?}")]
pub struct AuthorityError {
    hosts: Vec<String>,
    #[source]
    source: rcgen::Error,
}

/// Makes a generation for these names and addresses. `now` is in seconds since 1970.
pub fn make(hosts: &[String], lifetime: Duration, now: i64) -> Result<Generation, AuthorityError> {
    made(hosts, lifetime, now).map_err(|source| AuthorityError { hosts: hosts.to_vec(), source })
}

fn made(hosts: &[String], lifetime: Duration, now: i64) -> Result<Generation, rcgen::Error> {
    let since_epoch = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    let epoch = date_time_ymd(1970, 1, 1);
    let dated = |mut params: CertificateParams, name: &str| {
        params.not_before = epoch + since_epoch.saturating_sub(SKEW);
        params.not_after = epoch + since_epoch + lifetime;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    // Authorities of one name would be told apart by their keys alone.
    let mut authority = dated(CertificateParams::default(), &format!("poros-webhook-{now}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut params = dated(CertificateParams::new(hosts)?, "poros-webhook");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Generation {
        made_at: now,
        not_after: now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        hosts: hosts.to_vec(),
        authority: authority_certificate,
        certificate,
        key: key.serialize_pem(),
    })
}
