//! Who is trusted when a connection is encrypted: the system's authorities, and those that the settings add.

use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Config, Server, TlsConfig, TlsConnector};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{RedisConfig, RedisError};

/// How long a healthy connection takes at most: after it one looks for what may be wrong.
const PATIENCE: Duration = Duration::from_secs(1);

/// TLS that checks the server's certificate and its name.
pub(super) fn config(authorities: Option<&str>) -> Result<TlsConfig, RedisError> {
    let unusable = |error: rustls::Error| RedisError::Authority { problem: error.to_string() };
    let mut roots = RootCertStore::empty();
    // A system may hold certificates that no library reads; what it lacks shows when a server's is checked.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in authorities.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(unusable)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
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

/// Ends when a connection does not come about because one side speaks TLS and the other does not: such servers answer
/// nothing at all, so that the client waits in vain.
pub(super) async fn mismatch(config: &RedisConfig, parsed: &Config) -> RedisError {
    tokio::time::sleep(PATIENCE).await;
    match find_mismatch(config, parsed).await {
        Some(error) => error,
        None => std::future::pending().await,
    }
}

/// Looks whether one side speaks TLS and the other does not.
pub(super) async fn find_mismatch(config: &RedisConfig, parsed: &Config) -> Option<RedisError> {
    // The opening of a handshake that cannot go on, which is answered with an alert; and a command.
    const BROKEN_HELLO: &[u8] = &[0x16, 3, 1, 0, 4, 1, 0, 0, 0];
    const ALERT: &[u8] = &[0x15];
    let (opening, answers, remedy): (_, _, &str) = if parsed.tls.is_none() {
        (BROKEN_HELLO, ALERT, "it speaks TLS: use rediss:// instead of redis:// in REDIS_URL")
    } else {
        (b"PING\r\n".as_slice(), b"+-".as_slice(), "it speaks no TLS: use redis:// instead of rediss:// in REDIS_URL")
    };
    let server = parsed.server.hosts().into_iter().next()?;
    let answer = tokio::time::timeout(PATIENCE, first_byte(&server, opening)).await.ok()?.ok()?;
    let problem = "it does not answer".to_owned();
    answers.contains(&answer).then(|| RedisError::Tls { address: config.address(), problem, remedy })
}

async fn first_byte(server: &Server, opening: &[u8]) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect((&*server.host, server.port)).await?;
    stream.write_all(opening).await?;
    stream.read_u8().await
}

/// What to do about a handshake that failed, from the words of the TLS library.
pub(super) fn remedy(problem: &str) -> &'static str {
    if problem.contains("UnknownIssuer") {
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
