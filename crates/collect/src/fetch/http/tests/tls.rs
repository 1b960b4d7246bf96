//! HTTPS: whom we believe, and what we say if we don't.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::*;
use super::server::*;

struct TlsServer {
    address: SocketAddr,
    certificate: Vec<u8>,
    _running: JoinSet<()>,
}

/// Serves one page over TLS with a certificate of its own making.
async fn serve(params: CertificateParams) -> TlsServer {
    serve_as(params, "http/1.1").await
}

async fn serve_as(params: CertificateParams, protocol: &'static str) -> TlsServer {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key_der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key_der)
        .unwrap();
    config.alpn_protocols = vec![protocol.into()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that does not believe the certificate hangs up here.
            let Ok(secured) = acceptor.accept(socket).await else { continue };
            let answer = service_fn(|request: Request<Incoming>| async move {
                Ok::<_, Infallible>(Response::new(format!("{:?}", request.version())))
            });
            let executor = TokioExecutor::new();
            let _ = auto::Builder::new(executor).serve_connection(TokioIo::new(secured), answer).await;
        }
    });
    TlsServer { address, certificate: certificate.der().to_vec(), _running: running }
}

async fn get_securely(server: &TlsServer, host: &str, trusted: bool) -> Result<Fetched, FetchError> {
    let extra_root_certificates = if trusted { vec![server.certificate.clone()] } else { Vec::new() };
    let fetcher = fetcher_with(
        FetchConfig { extra_root_certificates, ..loopback() },
        lookup(&[(host, &[&["127.0.0.1"]])]),
    );
    let url = format!("https://{host}:{}/", server.address.port());
    fetcher.fetch(FetchRequest::parse(&url).unwrap()).await
}

fn reason(result: Result<Fetched, FetchError>) -> String {
    match result {
        Err(error @ FetchError::Certificate { .. }) => {
            assert!(!error.is_retryable());
            error.to_string()
        }
        other => unreachable!("expected a certificate error: {other:?}"),
    }
}

#[tokio::test]
async fn certificates_are_believed_only_if_they_prove_the_name() {
    let server = serve(CertificateParams::new(["good.test".to_owned()]).unwrap()).await;
    assert_eq!(get_securely(&server, "good.test", true).await.unwrap().body, "HTTP/1.1");
    assert!(reason(get_securely(&server, "other.test", true).await).ends_with("it is for another name"));
    assert!(reason(get_securely(&server, "good.test", false).await).contains("is not trusted here"));
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_does() {
    let server = serve_as(CertificateParams::new(["good.test".to_owned()]).unwrap(), "h2").await;
    assert_eq!(get_securely(&server, "good.test", true).await.unwrap().body, "HTTP/2.0");
}

#[tokio::test]
async fn an_expired_certificate_is_called_so() {
    let mut params = CertificateParams::new(["good.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let server = serve(params).await;
    assert!(reason(get_securely(&server, "good.test", true).await).ends_with("it has expired"));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let config =
        FetchConfig { extra_root_certificates: vec![b"nonsense".to_vec()], ..FetchConfig::default() };
    let clock = Arc::new(celeriac_protocol::ManualClock::default());
    let error = Fetcher::new(config, clock).err().unwrap();
    assert_eq!(error.to_string(), "use root certificate number 1: it is no certificate in DER form");
}
