//! HTTPS: a certificate that can be replaced while the server runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::{info, warn};

/// The certificate in force and where it comes from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    /// What the files were when they were last looked at. Held while they are.
    seen: Mutex<Pem>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The bytes of both files; `None` where one cannot be read.
#[derive(PartialEq, Eq)]
struct Pem(Option<(Vec<u8>, Vec<u8>)>);

/// Why a certificate is of no use. For whoever runs the server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {problem}", .path.display())]
    Malformed { path: PathBuf, problem: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

// === impl Certificate ===

impl Certificate {
    pub fn open(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (chain, private) = files.read()?;
        let current = ArcSwap::from_pointee(files.understand(&chain, &private, &provider)?);
        Ok(Arc::new(Self { files, provider, current, seen: Mutex::new(Pem(Some((chain, private)))) }))
    }

    /// What a listener needs.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let versions =
            ServerConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions()?;
        Ok(versions.with_no_client_auth().with_cert_resolver(self.clone()))
    }

    /// Looks at the files, and takes them if they are others than before; if they are of no use, the old ones stay.
    /// Blocks on the file system.
    pub fn reload(&self) {
        let mut seen = self.seen.lock();
        let read = self.files.read();
        let now = Pem(read.as_ref().ok().cloned());
        if *seen == now {
            return;
        }
        let taken = read.and_then(|(chain, key)| self.files.understand(&chain, &key, &self.provider));
        match taken {
            Ok(taken) => {
                self.current.store(Arc::new(taken));
                info!("the certificate changed");
            }
            Err(error) => warn!(%error, "the certificate stays as it was"),
        }
        *seen = now;
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

// === impl Files ===

impl Files {
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    fn understand(&self, chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let malformed = |path: &Path, problem: String| TlsError::Malformed { path: path.to_owned(), problem };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(&self.certificate, format!("this is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(malformed(&self.certificate, "there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| malformed(&self.key, format!("there is no private key in it: {error}")))?;
        let certified = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| malformed(&self.key, format!("key and certificate are of no use together: {error}")))?;
        Ok(certified)
    }
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem(***)")
    }
}
