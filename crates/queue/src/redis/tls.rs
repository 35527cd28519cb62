//! Who is trusted when a connection is encrypted: the system's authorities, and those that the settings add.

use std::sync::Arc;

use fred::types::config::{TlsConfig, TlsConnector};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::RedisError;

/// TLS that checks the server's certificate and its name.
pub(super) fn config(authorities: Option<&str>) -> Result<TlsConfig, RedisError> {
    let extra = authorities.map(certificates).transpose()?.unwrap_or_default();
    let provider = Arc::new(default_provider());
    let unusable = |error: rustls::Error| RedisError::Authority { problem: error.to_string() };
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        // Dangerous would be a verifier that accepts more; the platform's checks chain, name and time.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}

/// The certificates of a PEM text; at least one.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, RedisError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(RedisError::Authority { problem: "it holds no certificate".to_owned() }),
        Err(error) => Err(RedisError::Authority { problem: error.to_string() }),
    }
}

/// What to do about a handshake that failed, from the words of the TLS library.
pub(super) fn remedy(problem: &str) -> &'static str {
    if problem.contains("InvalidContentType") || problem.contains("corrupt message") {
        "no TLS is spoken there: use redis:// instead of rediss:// in REDIS_URL"
    } else if problem.contains("UnknownIssuer") {
        "its certificate is signed by nobody this machine trusts: give the authority's certificate in REDIS_CA_FILE"
    } else if problem.contains("NotValidForName") {
        "its certificate is for another name: use that name in REDIS_URL"
    } else if problem.contains("Expired") {
        "renew the server's certificate"
    } else {
        "check the server's certificate and REDIS_CA_FILE"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_certificate_is_refused() {
        for pem in ["", "nothing", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"] {
            assert!(matches!(certificates(pem), Err(RedisError::Authority { .. })), "{pem}");
        }
    }
}
