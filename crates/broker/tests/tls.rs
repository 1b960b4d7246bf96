//! Servers that speak TLS alone with those whom they know, under an authority of their own.

#![cfg(test)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use celeriac_broker::{
    AmqpBroker, AmqpOptions, Broker, BrokerError, FetchRequest, RedisBroker, RedisOptions, RedisResults,
};
use celeriac_peers::{RabbitMq, Redis, TlsFiles};
use celeriac_protocol::{Clock, Content, Envelope, JobId, Timestamp, WhenReached, error_text};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tempfile::TempDir;

/// Files in PEM: an authority, and what it has signed.
struct Papers {
    folder: TempDir,
}

impl Papers {
    fn issue() -> Self {
        let papers = Self { folder: tempfile::tempdir().unwrap() };
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        papers.write("authority", &authority.pem());
        for (name, host) in [
            ("server", "127.0.0.1"),
            ("client", "127.0.0.1"),
            ("expired", "127.0.0.1"),
            ("other", "elsewhere.test"),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([host.to_owned()]).unwrap();
            if name == "expired" {
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }
            // One of the same name as its authority would look like an authority.
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            papers.write(name, &params.signed_by(&key, &authority).unwrap().pem());
            papers.write(&format!("{name}-key"), &key.serialize_pem());
        }
        papers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.pem"))
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.path(name), pem).unwrap();
    }

    /// Names some of them as parameters of a URL.
    fn said(&self, words: &[(&str, &str)]) -> String {
        let said = words.iter().map(|(word, name)| format!("{word}={}", self.path(name).display()));
        said.collect::<Vec<_>>().join("&")
    }
}

fn message() -> Envelope {
    let content = Content {
        headers: r#"{"id": "a", "task": "t"}"#.to_owned(),
        properties: "{}".to_owned(),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        body: b"[[], {}, {}]".to_vec(),
    };
    let id = JobId::parse("a").unwrap();
    Envelope { id, queue: "celery".to_owned(), priority: None, due_at: None, unique_key: None, content }
}

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "certificates go by the real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(since.as_micros().try_into().unwrap())
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        Box::pin(tokio::time::sleep(instant.since(self.now())))
    }
}

/// Publishes a message and takes it again.
async fn carry(broker: &dyn Broker) {
    let mut notices = broker.notifier().listen();
    broker.publish(vec![message()]).await.unwrap();
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(30), holder: "w" };
    let fetch = async {
        while broker.fetch(&request).await.unwrap().deliveries.is_empty() {
            notices.recv().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), fetch).await.expect("the message comes");
}

async fn redis(url: &str) -> Result<RedisBroker, BrokerError> {
    let options = RedisOptions { deadline: Duration::from_secs(2), ..RedisOptions::at(url) };
    RedisBroker::open(options, Arc::new(RealClock)).await
}

async fn rabbitmq(url: &str) -> Result<AmqpBroker, BrokerError> {
    let options = AmqpOptions { deadline: Duration::from_secs(5), ..AmqpOptions::at(url) };
    AmqpBroker::open(options, Arc::new(RealClock)).await
}

/// Expects that it is said what is wrong and what to do about it, and that nobody waits for it to pass.
fn check(error: &BrokerError, what: &str, advice: &str) {
    let text = error_text(error);
    assert!(text.contains(what), "{text}");
    assert!(error.advice().is_some_and(|said| said.contains(advice)), "{:?}", error.advice());
    assert!(!error.is_retryable(), "{text}");
}

#[tokio::test]
async fn redis_under_an_authority_of_its_own_is_trusted_by_celerys_parameters() {
    let (papers, server) = (Papers::issue(), Redis::start().unwrap());
    let (authority, certificate, key) =
        (papers.path("authority"), papers.path("server"), papers.path("server-key"));
    let url =
        server.speak_tls(TlsFiles { authority: &authority, certificate: &certificate, key: &key }).unwrap();
    let ours = [("ssl_certfile", "client"), ("ssl_keyfile", "client-key")];
    let whole = [&ours[..], &[("ssl_ca_certs", "authority")]].concat();
    carry(&redis(&format!("{url}/1?ssl_cert_reqs=required&{}", papers.said(&whole))).await.unwrap()).await;
    // The certificate is not looked at where the URL says so.
    carry(&redis(&format!("{url}/2?ssl_cert_reqs=none&{}", papers.said(&ours))).await.unwrap()).await;
    let error = redis(&format!("{url}/3?{}", papers.said(&ours))).await.unwrap_err();
    check(&error, "its issuer is not trusted here", "ssl_ca_certs");
    let results = RedisResults::open(&RedisOptions::at(format!("{url}/3?{}", papers.said(&ours)))).await;
    check(&results.unwrap_err(), "its issuer is not trusted here", "ssl_ca_certs");
    // Who shows no certificate is not let in; the server's word for it may be overtaken by the end of the connection.
    redis(&format!("{url}/3?{}", papers.said(&whole[2..]))).await.unwrap_err();
    for (name, reason) in [("expired", "it has expired"), ("other", "it is for another name")] {
        let (certificate, key) = (papers.path(name), papers.path(&format!("{name}-key")));
        let files = TlsFiles { authority: &authority, certificate: &certificate, key: &key };
        let url = format!("{}/3?{}", server.speak_tls(files).unwrap(), papers.said(&whole));
        check(&redis(&url).await.unwrap_err(), reason, "look at the name in the URL");
        let results = RedisResults::open(&RedisOptions::at(&url)).await;
        check(&results.unwrap_err(), reason, "look at the name in the URL");
    }
}

#[tokio::test]
async fn rabbitmq_under_an_authority_of_its_own_is_trusted_by_its_parameters() {
    let papers = Papers::issue();
    let (authority, certificate, key) =
        (papers.path("authority"), papers.path("server"), papers.path("server-key"));
    let files = TlsFiles { authority: &authority, certificate: &certificate, key: &key };
    let server = RabbitMq::start_with_tls(files).unwrap();
    let url = server.tls_url("/").unwrap();
    let ours = [("certfile", "client"), ("keyfile", "client-key")];
    let whole = [&ours[..], &[("cacertfile", "authority")]].concat();
    carry(&rabbitmq(&format!("{url}?{}", papers.said(&whole))).await.unwrap()).await;
    let error = rabbitmq(&format!("{url}?{}", papers.said(&ours))).await.unwrap_err();
    check(&error, "its issuer is not trusted here", "cacertfile");
    let plain = rabbitmq(&url.replace("amqps://", "amqp://")).await.unwrap_err();
    check(&plain, "speaks TLS alone", "write amqps://");
    rabbitmq(&format!("{url}?{}", papers.said(&whole[2..]))).await.unwrap_err();
    let error = rabbitmq(&format!("{url}?verify=verify_none")).await.unwrap_err();
    assert!(error_text(&error).contains("cacertfile"), "{}", error_text(&error));
}
