//! What a URL says of TLS: which authorities are trusted, and by what we show who we are.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{AlertDescription, CertificateError};
use url::Url;

use crate::Cause;
use crate::error::NotLetIn;

/// The parameters of a URL that name files in PEM, as each server's users know them.
pub(crate) struct Words {
    authorities: &'static str,
    certificate: &'static str,
    key: &'static str,
    verify: &'static str,
    /// The values by which the server's certificate is not looked at.
    unverified: &'static [&'static str],
}

/// redis-py's, which Celery passes on.
pub(crate) const REDIS: Words = Words {
    authorities: "ssl_ca_certs",
    certificate: "ssl_certfile",
    key: "ssl_keyfile",
    verify: "ssl_cert_reqs",
    unverified: &["none", "CERT_NONE"],
};

/// RabbitMQ's own.
#[cfg(feature = "amqp")]
pub(crate) const RABBITMQ: Words = Words {
    authorities: "cacertfile",
    certificate: "certfile",
    key: "keyfile",
    verify: "verify",
    unverified: &["verify_none"],
};

/// What a URL says of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The authorities that are trusted; those of the system where none are named.
    authorities: Option<File>,
    /// Our certificate, and its key.
    identity: Option<(File, File)>,
    /// Whether the server's certificate is not looked at.
    pub(crate) is_unverified: bool,
}

/// A file that a URL names.
#[derive(Debug, PartialEq, Eq)]
struct File {
    /// By which parameter.
    word: &'static str,
    path: String,
}

/// What the files of a URL hold.
#[derive(Default)]
pub(crate) struct Papers {
    /// The authorities that are trusted, where they are named.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Our certificate, and its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads what a URL says; the files that it names are not touched.
    ///
    /// # Errors
    /// A certificate is named without its key, or the other way round.
    pub(crate) fn of(url: &str, words: &Words) -> Result<Self, Cause> {
        // What is no URL is refused by whoever reads the rest of it.
        let Ok(url) = Url::parse(url) else { return Ok(Self::default()) };
        let said = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
        };
        let file = |word: &'static str| said(word).map(|path| File { word, path });
        let identity = match (file(words.certificate), file(words.key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(format!("{} and {} are named together", words.certificate, words.key).into()),
        };
        let is_unverified =
            said(words.verify).is_some_and(|value| words.unverified.contains(&value.as_str()));
        Ok(Self { authorities: file(words.authorities), identity, is_unverified })
    }

    /// Reads the files.
    ///
    /// # Errors
    /// One of them can't be read.
    pub(crate) async fn read(&self) -> Result<Papers, Cause> {
        let authorities = match &self.authorities {
            Some(file) => Some(file.read().await?),
            None => None,
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some((certificate.read().await?, key.read().await?)),
            None => None,
        };
        Ok(Papers { authorities, identity })
    }
}

impl File {
    async fn read(&self) -> Result<Vec<u8>, Cause> {
        let Self { word, path } = self;
        tokio::fs::read(path).await.map_err(|error| format!("read {path} ({word}): {error}").into())
    }
}

/// How many servers are remembered of which it was said that their certificate is not looked at.
const MAX_TOLD: usize = 64;

/// Says in the log that a server's certificate is not looked at, once for each server.
pub(crate) fn warn_unverified(product: &str, place: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() >= MAX_TOLD || told.insert(place.to_owned()) {
        tracing::warn!(
            "the certificate of {product} at {place} is not looked at, as its URL says: whoever is in between can read and write"
        );
    }
}

/// Why TLS does not come about, and never will by waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server's certificate can't be trusted, for this reason.
    Certificate(String),
    /// The server wants a certificate of ours, or another one.
    Identity,
    /// The server speaks no TLS.
    Plain,
    /// Both sides have no way in common to speak it.
    Incompatible,
}

/// Looks for what TLS itself has to say in an error and its causes.
pub(crate) fn fault_of(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut causes = std::iter::successors(Some(error), |cause| below(*cause));
    match causes.find_map(|cause| cause.downcast_ref::<rustls::Error>())? {
        rustls::Error::InvalidCertificate(error) => reason_of(error).map(Fault::Certificate),
        rustls::Error::AlertReceived(alert) if is_about_us(*alert) => Some(Fault::Identity),
        rustls::Error::InvalidMessage(_) => Some(Fault::Plain),
        rustls::Error::PeerIncompatible(_) => Some(Fault::Incompatible),
        rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        ) => Some(Fault::Incompatible),
        _ => None,
    }
}

/// An IO error skips what it wraps when it is asked for its source, and an error that is shared hides what it is.
fn below<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(shared) = cause.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    if let Some(shared) = cause.downcast_ref::<Arc<io::Error>>() {
        return Some(&**shared);
    }
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}

/// Says what is wrong with a certificate; one that is not valid yet becomes so.
fn reason_of(error: &CertificateError) -> Option<String> {
    Some(match error {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => return None,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        CertificateError::UnknownIssuer => "its issuer is not trusted here".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    })
}

fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

impl Fault {
    /// Says what is wrong, and what to do about it, in the words of this server's URLs; `plain` and `secure` are what those
    /// begin with.
    pub(crate) fn told(
        self,
        words: &Words,
        [plain, secure]: [&str; 2],
        source: impl Into<Cause>,
    ) -> NotLetIn {
        let Words { authorities, certificate, key, .. } = words;
        let (what, advice) = match self {
            Self::Certificate(reason) => (
                format!("the server's certificate can't be trusted: {reason}"),
                format!(
                    "look at the name in the URL and at the server's certificate; one of an authority of your own is trusted by `?{authorities}=FILE`"
                ),
            ),
            Self::Identity => (
                "the server does not accept our certificate, or wants one".to_owned(),
                format!("name one that it trusts by `?{certificate}=FILE&{key}=FILE` in the URL"),
            ),
            Self::Plain => (
                "the server does not speak TLS at this port".to_owned(),
                format!("name the port at which it does, or write {plain} in place of {secure}"),
            ),
            Self::Incompatible => (
                "the server speaks TLS in no way that is safe today".to_owned(),
                "have it speak TLS 1.2 or 1.3, with a cipher of today".to_owned(),
            ),
        };
        NotLetIn::new(what, advice, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_read_and_what_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file.pem");
        std::fs::write(&file, "pem").unwrap();
        let path = file.to_str().unwrap().replace(' ', "%20");
        let of = |query: &str| Tls::of(&format!("rediss://host/1?{query}"), &REDIS);
        let tls = of(&format!("ssl_cert_reqs=required&ssl_ca_certs={path}")).unwrap();
        let papers = tls.read().await.unwrap();
        assert_eq!((papers.authorities.as_deref(), tls.is_unverified), (Some(&b"pem"[..]), false));
        assert!(of("ssl_cert_reqs=CERT_NONE").unwrap().is_unverified);
        assert_eq!(of("").unwrap(), Tls::default());
        let missing = of("ssl_ca_certs=/no/such/file").unwrap().read().await.err().unwrap().to_string();
        assert!(missing.starts_with("read /no/such/file (ssl_ca_certs)"), "{missing}");
        let alone = of(&format!("ssl_certfile={path}")).err().unwrap().to_string();
        assert_eq!(alone, "ssl_certfile and ssl_keyfile are named together");
    }

    #[test]
    fn what_does_not_pass_by_waiting_is_told_from_what_does() {
        use rustls::{Error as Tls, InvalidMessage};
        let check = |error: Tls, expected: Option<Fault>| {
            let shared: Arc<dyn Error + Send + Sync> = Arc::new(io::Error::other(io::Error::other(error)));
            assert_eq!(fault_of(&shared), expected);
        };
        let untrusted = |reason: &str| Some(Fault::Certificate(reason.to_owned()));
        check(CertificateError::UnknownIssuer.into(), untrusted("its issuer is not trusted here"));
        check(CertificateError::Expired.into(), untrusted("it has expired"));
        check(CertificateError::NotValidForName.into(), untrusted("it is for another name"));
        check(CertificateError::NotValidYet.into(), None);
        check(Tls::AlertReceived(AlertDescription::CertificateRequired), Some(Fault::Identity));
        check(Tls::AlertReceived(AlertDescription::InternalError), None);
        check(Tls::InvalidMessage(InvalidMessage::InvalidContentType), Some(Fault::Plain));
        check(Tls::HandshakeNotComplete, None);
        assert_eq!(fault_of(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
