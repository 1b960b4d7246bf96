//! The client below: which TLS, which resolver, and everything switched off that acts by itself.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

use super::config::{FetchConfig, FetchConfigError};
use crate::fetch::guard::GuardedResolver;

/// How long an idle connection is kept. Longer than a usual politeness delay costs sockets for nothing.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How many idle connections are kept to one host; politeness allows hardly more at a time.
const IDLE_PER_HOST_MAX: usize = 4;

/// How many header lines an answer over HTTP/1 may have; a hundred is too few for some real sites.
const HEADER_LINES_MAX: usize = 256;

/// Builds the client that answers only what it is asked: redirects, cookies, proxies and compression are
/// others' work or left out.
pub(super) fn build(
    config: &FetchConfig,
    resolver: GuardedResolver,
) -> Result<reqwest::Client, FetchConfigError> {
    let header_bytes_max = u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX);
    reqwest::Client::builder()
        .user_agent(config.user_agent())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(Arc::new(resolver))
        .tls_backend_preconfigured(tls(config)?)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .http1_max_headers(HEADER_LINES_MAX)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http2_max_header_list_size(header_bytes_max)
        .build()
        .map_err(|source| FetchConfigError::Client { source: source.into() })
}

/// The provider is named here, so that nothing depends on which one another crate installed.
///
/// A machine without root certificates can still fetch by plain HTTP; HTTPS then fails with a reason.
fn tls(config: &FetchConfig) -> Result<ClientConfig, FetchConfigError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    for (at, certificate) in config.extra_root_certificates.iter().enumerate() {
        let refused = |_| FetchConfigError::RootCertificate { number: at + 1 };
        roots.add(certificate.clone().into()).map_err(refused)?;
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates found: HTTPS will fail until ca-certificates is installed");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| FetchConfigError::Client { source: source.into() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
