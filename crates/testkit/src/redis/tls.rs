//! A Redis that speaks TLS, with a certificate of an authority of its own.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::{RedisClient, RedisServer};
use crate::ports::PortLease;

/// A running server. Beside its TLS port it has a plain one, for the test's own client.
#[derive(Debug)]
pub struct TlsRedis {
    server: RedisServer,
    tls: PortLease,
    /// Keys and certificates; the server reads them when it starts.
    files: TempDir,
}

impl TlsRedis {
    /// A server whose certificate names `localhost`.
    ///
    /// # Panics
    ///
    /// When there is no server program, or it was built without TLS.
    pub async fn start() -> Self {
        Self::called("localhost").await
    }

    /// A server on this machine whose certificate names `host`.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn called(host: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = authority();
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = CertificateParams::new([host.to_owned()])
            .and_then(|server| server.signed_by(&key, &authority))
            .expect("the host's name can stand in a certificate");
        let write = |name: &str, pem: String| {
            let path = files.path().join(name);
            std::fs::write(&path, pem).expect("the folder is ours");
            path.display().to_string()
        };
        let authority = write("ca.pem", authority.pem());
        let certificate = write("server.pem", certificate.pem());
        let key = write("server.key", key.serialize_pem());
        let tls = PortLease::take();
        let server = RedisServer::builder()
            .set("tls-port", &tls.port().to_string())
            .set("tls-cert-file", &certificate)
            .set("tls-key-file", &key)
            .set("tls-ca-cert-file", &authority)
            .set("tls-auth-clients", "no")
            .start()
            .await;
        Self { server, tls, files }
    }

    /// A `rediss://localhost` URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.tls.port())
    }

    /// The port on which TLS is spoken.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.tls.port()
    }

    /// The file with the certificate of the authority that signed the server's.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// That certificate, in PEM.
    ///
    /// # Panics
    ///
    /// When somebody removed the file.
    #[must_use]
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.authority_file()).expect("the file was written at the start")
    }

    /// The same server without TLS.
    #[must_use]
    pub fn plain(&self) -> &RedisServer {
        &self.server
    }

    /// A client of our own, which speaks no TLS.
    pub async fn client(&self) -> RedisClient {
        self.server.client().await
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "operator testkit");
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(params, key).expect("the authority can sign itself")
}
