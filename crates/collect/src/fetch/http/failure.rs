//! From the client's chain of errors to what the caller can do about it.

use std::error::Error as StdError;
use std::time::Duration;

use rustls::CertificateError;
use url::Url;

use crate::fetch::error::{FetchError, TimeoutPhase};
use crate::fetch::guard::{GuardError, LookupError};

/// Judges why a request brought no answer.
pub(super) fn of_request(url: &Url, error: reqwest::Error, connect_timeout: Duration) -> FetchError {
    let shown = url.to_string();
    if let Some(source) = find::<GuardError>(&error) {
        return FetchError::Refused { url: shown, source: source.clone() };
    }
    if let Some(rustls::Error::InvalidCertificate(source)) = find::<rustls::Error>(&error) {
        return FetchError::Certificate { url: shown, reason: certificate_reason(source) };
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse_too_large) {
        return FetchError::HeadersTooLarge { url: shown };
    }
    if error.is_timeout() {
        return FetchError::Timeout { url: shown, phase: TimeoutPhase::Connect, limit: connect_timeout };
    }
    let is_lookup = find::<LookupError>(&error).is_some();
    let is_connect = error.is_connect();
    let source = error.without_url().into();
    match (is_lookup, is_connect) {
        (true, _) => FetchError::Lookup { url: shown, source },
        (_, true) => FetchError::Connect { url: shown, source },
        _ => FetchError::Interrupted { url: shown, source },
    }
}

/// Judges why the body stopped.
pub(super) fn of_body(url: &Url, error: reqwest::Error) -> FetchError {
    FetchError::Interrupted { url: url.to_string(), source: error.without_url().into() }
}

fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |cause| below(*cause))
}

/// An IO error skips what it wraps when it is asked for its source, and TLS errors are wrapped twice.
fn below<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}

fn certificate_reason(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "its issuer is not trusted here (are ca-certificates installed?)".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => format!("{other}"),
    }
}
