//! TLS with certificates of our own making.

use std::sync::Arc;

use bytes::Bytes;
use channel_core::{HttpBody, HttpClient as _, HttpErrorKind};
use channel_http::HttpTransport;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use crate::get;
use crate::server::{Server, ok, read_request};

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as provider;
#[cfg(not(feature = "tls-aws-lc"))]
use rustls::crypto::ring as provider;

/// An authority and a server certificate of it.
pub struct Pki {
    pub root_pem: String,
    acceptor: TlsAcceptor,
}

pub fn pki(name: &str, alpn: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pki {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.distinguished_name
        .push(rcgen::DnType::CommonName, format!("root of {name}"));
    let root_cert = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let issuer = Issuer::new(root, root_key);
    let cert = params.signed_by(&key, &issuer).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Pki {
        root_pem: root_cert.pem(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

impl Pki {
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    pub fn client(&self) -> HttpTransport {
        HttpTransport::builder()
            .system_roots(false)
            .root_certificates(self.root_pem.clone())
            .build()
            .unwrap()
    }

    async fn server(&self, answer: String) -> Server {
        let acceptor = self.acceptor();
        Server::start(move |stream, _| {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                while read_request(&mut stream).await.is_some() {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        })
        .await
    }
}

fn https(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.address.port())
}

#[tokio::test]
async fn speaks_tls_with_an_extra_root() {
    let pki = pki("localhost", &["http/1.1"], |_| {});
    let server = pki.server(ok("hello")).await;
    let client = pki.client();
    let response = client
        .execute(get(&https(&server, "localhost")))
        .await
        .unwrap();
    assert_eq!(&response.body()[..], b"hello");
}

#[tokio::test]
async fn speaks_http2_where_the_server_does() {
    let pki = pki("localhost", &["h2", "http/1.1"], |_| {});
    let acceptor = pki.acceptor();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let service = service_fn(
                |request: hyper::Request<hyper::body::Incoming>| async move {
                    let text = format!("{:?} {}", request.version(), request.uri().path());
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(text))))
                },
            );
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await;
    let client = pki.client();
    for _ in 0..3 {
        let response = client
            .execute(get(&https(&server, "localhost")))
            .await
            .unwrap();
        assert_eq!(&response.body()[..], b"HTTP/2.0 /");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_leaves_the_request_unsent() {
    let trusted = pki("localhost", &[], |_| {});
    let other_name = pki("other.example", &[], |_| {});
    let expired = pki("localhost", &[], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    for (server, client, reason) in [
        (&other_name, other_name.client(), "for another name"),
        (&expired, expired.client(), "outside its dates"),
        (&trusted, other_name.client(), "unknown issuer"),
    ] {
        let server = server.server(ok("hello")).await;
        let error = client
            .execute(get(&https(&server, "localhost")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Connect);
        assert!(!error.may_have_arrived());
        let text = std::error::Error::source(&error).unwrap().to_string();
        assert!(text.ends_with(reason), "{text}");
    }
}

#[tokio::test]
async fn a_server_without_tls_leaves_the_request_unsent() {
    let pki = pki("localhost", &[], |_| {});
    let server = Server::start(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let request = http::Request::post(https(&server, "localhost"))
        .body(HttpBody::from(b"secret".to_vec()))
        .unwrap();
    let error = pki
        .client()
        .execute(channel_core::HttpRequest::new(request))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Connect);
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn no_root_certificate_is_an_error_and_not_a_panic() {
    let pki = pki("localhost", &[], |_| {});
    let server = pki.server(ok("hello")).await;
    let error = crate::client()
        .execute(get(&https(&server, "localhost")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Connect);
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(text, "the system has no root certificates");
}

#[tokio::test]
async fn plain_requests_do_not_load_certificates() {
    let plain = Server::answering(ok("hello")).await;
    let pki = pki("localhost", &[], |_| {});
    let server = pki.server(ok("hello")).await;
    let client = pki.client();
    client.execute(get(&plain.url("/"))).await.unwrap();
    assert!(format!("{client:?}").contains("loaded: false"));
    client
        .execute(get(&https(&server, "localhost")))
        .await
        .unwrap();
    assert!(format!("{client:?}").contains("loaded: true"));
}
