//! The transport and its settings.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Error, HttpClient, HttpError, HttpRequest, Result, SocketConnector, SocketRequest,
    Transport,
};
use http::{HeaderValue, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::client::{Http, Settings};
use crate::dial::{Dialer, Resolve, SystemResolver};
use crate::guard::Guard;
use crate::proxy::Proxy;
use crate::socket;
use crate::time::{OsRandom, SystemClock};
use crate::tls::Tls;

/// The transport with default settings, shared by the whole process.
#[must_use]
pub fn transport() -> Transport {
    static SHARED: OnceLock<Transport> = OnceLock::new();
    SHARED
        .get_or_init(|| HttpTransportBuilder::default().assemble().into())
        .clone()
}

/// Sends HTTP requests and opens websockets. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    http: Http,
    dialer: Dialer,
    user_agent: HeaderValue,
}

impl HttpTransport {
    /// Settings to change before building.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }
}

impl From<HttpTransport> for Transport {
    /// Adds the clock of the machine and its random source.
    fn from(transport: HttpTransport) -> Self {
        Self::new(
            Arc::new(transport.clone()),
            Arc::new(transport),
            Arc::new(SystemClock::new()),
            Arc::new(OsRandom::new()),
        )
    }
}

#[async_trait]
impl HttpClient for HttpTransport {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        self.http.execute(request).await
    }
}

#[async_trait]
impl SocketConnector for HttpTransport {
    async fn connect(&self, request: SocketRequest) -> Result<BoxSocket> {
        socket::connect(&self.dialer, &self.user_agent, request).await
    }
}

/// Settings of an [`HttpTransport`].
///
/// Environment variables are not read, `HTTPS_PROXY` and its kin among them: what a process
/// connects to is decided by its configuration alone. (Where the system keeps its root
/// certificates may be set by `SSL_CERT_FILE` and `SSL_CERT_DIR`.)
///
/// ```
/// use std::time::Duration;
/// use channel_core::Transport;
/// use channel_http::HttpTransport;
///
/// # fn main() -> channel_core::Result<()> {
/// let transport: Transport = HttpTransport::builder()
///     .proxy("http://proxy.internal:3128")
///     .connect_timeout(Duration::from_secs(5))
///     .build()?
///     .into();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct HttpTransportBuilder {
    proxy: Option<String>,
    connect_timeout: Duration,
    read_timeout: Duration,
    user_agent: Option<String>,
    system_roots: bool,
    root_pem: Vec<Vec<u8>>,
    guard: Guard,
    pool_idle_timeout: Duration,
    pool_max_idle: usize,
    max_per_host: usize,
    resolver: Arc<dyn Resolve>,
}

impl Default for HttpTransportBuilder {
    fn default() -> Self {
        Self {
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            user_agent: None,
            system_roots: true,
            root_pem: Vec::new(),
            guard: Guard::new(),
            pool_idle_timeout: Duration::from_secs(60),
            pool_max_idle: 64,
            max_per_host: 256,
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl HttpTransportBuilder {
    /// Connects through an HTTP proxy: `http://[user:password@]host:port`. Each connection
    /// is a tunnel (`CONNECT`), for plain HTTP too.
    pub fn proxy(mut self, address: impl Into<String>) -> Self {
        self.proxy = Some(address.into());
        self
    }

    /// How long look-up, TCP, proxy and TLS may take together; 10 s if not set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a response that has begun may stand still; 30 s if not set. The wait for
    /// its beginning is bounded by the deadline of the request alone, so that long polls
    /// are possible.
    pub const fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// The user agent of requests that do not bring their own.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Trusts more root certificates, in PEM; several may stand in one text.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_pem.push(pem.into());
        self
    }

    /// Whether the root certificates of the operating system are trusted; they are if not
    /// set. They are read when the first TLS connection is opened.
    pub const fn system_roots(mut self, trusted: bool) -> Self {
        self.system_roots = trusted;
        self
    }

    /// What guarded requests may connect to.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// How long an unused connection is kept; 60 s if not set.
    pub const fn pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.pool_idle_timeout = timeout;
        self
    }

    /// How many unused connections are kept for each host; 64 if not set.
    pub const fn pool_max_idle(mut self, connections: usize) -> Self {
        self.pool_max_idle = connections;
        self
    }

    /// How many connections one host gets at most, used and unused together; 256 if not
    /// set, at least 1. A request beyond that waits for one to become free, for as long as
    /// connecting may take. Requests through the guard are counted apart; websockets are
    /// not counted, for each is opened by name and kept.
    pub const fn max_connections_per_host(mut self, connections: usize) -> Self {
        self.max_per_host = connections;
        self
    }

    /// Looks names up in another way than the operating system does.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Makes the transport. Opens no connection and reads no file.
    ///
    /// # Errors
    ///
    /// `Config` if the proxy, the user agent or a root certificate cannot be used.
    pub fn build(self) -> Result<HttpTransport> {
        let proxy = match &self.proxy {
            Some(address) => Some(Proxy::parse(address)?),
            None => None,
        };
        let user_agent = match &self.user_agent {
            Some(text) => HeaderValue::from_str(text)
                .map_err(|_| Error::config("user agent: expected visible ascii characters"))?,
            None => DEFAULT_USER_AGENT,
        };
        let mut roots = Vec::new();
        for pem in &self.root_pem {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.push(certificate.map_err(|_| bad_certificate())?);
            }
            if roots.len() == before {
                return Err(bad_certificate());
            }
        }
        let mut check = rustls::RootCertStore::empty();
        for root in &roots {
            check.add(root.clone()).map_err(|_| bad_certificate())?;
        }
        Ok(self.assemble_with(proxy, user_agent, roots))
    }

    /// The transport with settings that need no check.
    fn assemble(self) -> HttpTransport {
        self.assemble_with(None, DEFAULT_USER_AGENT, Vec::new())
    }

    fn assemble_with(
        self,
        proxy: Option<Proxy>,
        user_agent: HeaderValue,
        roots: Vec<CertificateDer<'static>>,
    ) -> HttpTransport {
        let tls = Tls::new(self.system_roots, roots);
        let dialer = Dialer::new(self.resolver, tls, proxy, self.connect_timeout);
        let settings = Settings {
            read_timeout: self.read_timeout,
            pool_idle_timeout: self.pool_idle_timeout,
            pool_max_idle: self.pool_max_idle,
            max_per_host: self.max_per_host,
            user_agent: user_agent.clone(),
        };
        HttpTransport {
            http: Http::new(dialer.clone(), Arc::new(self.guard), settings),
            dialer,
            user_agent,
        }
    }
}

const DEFAULT_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("channel-kit/", env!("CARGO_PKG_VERSION")));

fn bad_certificate() -> Error {
    Error::config("root certificates: expected certificates in pem")
}
