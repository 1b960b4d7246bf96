//! What a URL says of TLS: which authorities are trusted, and by what we show who we are.

use std::path::Path;

use url::Url;

use crate::Cause;

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

/// What a URL says of TLS, its files read.
#[derive(Default)]
pub(crate) struct Tls {
    /// The authorities that are trusted; those of the system where none are named.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Our certificate, and its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether the server's certificate is not looked at.
    pub(crate) is_unverified: bool,
}

impl Tls {
    /// Reads what a URL says, and the files that it names.
    ///
    /// # Errors
    /// A file can't be read, or a certificate is named without its key.
    pub(crate) fn of(url: &str, words: &Words) -> Result<Self, Cause> {
        // What is no URL is refused by whoever reads the rest of it.
        let Ok(url) = Url::parse(url) else { return Ok(Self::default()) };
        let said = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
        };
        let read = |name: &'static str| said(name).map(|path| read(name, &path)).transpose();
        let identity = match (read(words.certificate)?, read(words.key)?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(format!("{} and {} are named together", words.certificate, words.key).into()),
        };
        let is_unverified =
            said(words.verify).is_some_and(|value| words.unverified.contains(&value.as_str()));
        Ok(Self { authorities: read(words.authorities)?, identity, is_unverified })
    }
}

fn read(name: &str, path: &str) -> Result<Vec<u8>, Cause> {
    std::fs::read(Path::new(path)).map_err(|error| format!("read {path} ({name}): {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_what_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file.pem");
        std::fs::write(&file, "pem").unwrap();
        let path = file.to_str().unwrap().replace(' ', "%20");
        let of = |query: &str| Tls::of(&format!("rediss://host/1?{query}"), &REDIS);
        let tls = of(&format!("ssl_cert_reqs=required&ssl_ca_certs={path}")).unwrap();
        assert_eq!((tls.authorities.as_deref(), tls.is_unverified), (Some(&b"pem"[..]), false));
        assert!(of("ssl_cert_reqs=CERT_NONE").unwrap().is_unverified);
        let plain = of("").unwrap();
        assert!(plain.authorities.is_none() && plain.identity.is_none() && !plain.is_unverified);
        for (query, reason) in [
            ("ssl_ca_certs=/no/such/file".to_owned(), "read /no/such/file (ssl_ca_certs)"),
            (format!("ssl_certfile={path}"), "ssl_certfile and ssl_keyfile are named together"),
        ] {
            let error = of(&query).err().unwrap().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
