//! TLS settings, made when the first TLS connection needs them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// What the application protocol is chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// HTTP/2, else HTTP/1.1.
    Http,
    /// HTTP/1.1 alone, as a websocket handshake needs it.
    Http1,
}

/// Which certificates are trusted, and the settings made of them.
///
/// Reading the certificates of the operating system takes milliseconds and megabytes, so a
/// process that speaks plain HTTP only never does it.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    system_roots: bool,
    extra_roots: Vec<CertificateDer<'static>>,
    ready: OnceLock<Result<Ready, TlsError>>,
}

#[derive(Clone)]
struct Ready {
    http: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

/// Why there is no TLS connection. Holds nothing that came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsError {
    NoProvider,
    NoRoots,
    Setup,
    Expired,
    WrongName,
    Untrusted,
    BadCertificate,
    Handshake,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoProvider => "tls is not built in: enable the feature tls-aws-lc or tls-ring",
            Self::NoRoots => "the system has no root certificates",
            Self::Setup => "tls cannot be set up",
            Self::Expired => "the server's certificate is outside its dates",
            Self::WrongName => "the server's certificate is for another name",
            Self::Untrusted => "the server's certificate has an unknown issuer",
            Self::BadCertificate => "the server's certificate is not acceptable",
            Self::Handshake => "the tls handshake failed",
        })
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    /// Sorts a failed handshake; names and alerts of the peer are left out.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                CertificateError::UnknownIssuer => Self::Untrusted,
                _ => Self::BadCertificate,
            },
            _ => Self::Handshake,
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("system_roots", &self.0.system_roots)
            .field("extra_roots", &self.0.extra_roots.len())
            .field("loaded", &self.0.ready.get().is_some())
            .finish()
    }
}

impl Tls {
    pub(crate) fn new(system_roots: bool, extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(Inner {
            system_roots,
            extra_roots,
            ready: OnceLock::new(),
        }))
    }

    /// The settings for a connection; reads the certificates when called first.
    pub(crate) async fn config(&self, protocols: Protocols) -> Result<Arc<ClientConfig>, TlsError> {
        let ready = match self.0.ready.get() {
            Some(ready) => ready.clone(),
            None => {
                let inner = Arc::clone(&self.0);
                tokio::task::spawn_blocking(move || {
                    inner.ready.get_or_init(|| inner.load()).clone()
                })
                .await
                .map_err(|_| TlsError::Setup)?
            }
        }?;
        Ok(match protocols {
            Protocols::Http => ready.http,
            Protocols::Http1 => ready.http1,
        })
    }
}

impl Inner {
    fn load(&self) -> Result<Ready, TlsError> {
        let provider = provider().ok_or(TlsError::NoProvider)?;
        let mut roots = RootCertStore::empty();
        if self.system_roots {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        for certificate in &self.extra_roots {
            roots
                .add(certificate.clone())
                .map_err(|_| TlsError::Setup)?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let mut http1 = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::Setup)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut http = http1.clone();
        http.alpn_protocols.insert(0, b"h2".to_vec());
        Ok(Ready {
            http: Arc::new(http),
            http1: Arc::new(http1),
        })
    }
}

/// The provider is named, never the process default: rustls panics when two are built in
/// and none was installed.
fn provider() -> Option<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc")]
    return Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
    return Some(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
    None
}
