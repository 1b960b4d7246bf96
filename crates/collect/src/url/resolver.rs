//! References of one page made absolute.

use url::Url;

use super::{CanonicalUrl, UrlError, invalid, trimmed};

/// Resolves the references of one page, honouring its `<base href>`.
#[derive(Debug, Clone)]
pub struct Resolver {
    base: Url,
}

impl Resolver {
    /// Takes the page's own address and what its first `<base href>` says.
    ///
    /// A base that is relative is itself resolved against the page; one that is no web address is
    /// ignored, as browsers do.
    pub fn new(page: &CanonicalUrl, base_href: Option<&str>) -> Self {
        let page = page.to_url();
        let base = base_href
            .and_then(|href| trimmed(href).ok())
            .and_then(|href| page.join(href).ok())
            .filter(|base| matches!(base.scheme(), "http" | "https"));
        Self { base: base.unwrap_or(page) }
    }

    /// Returns where `reference` leads.
    ///
    /// # Errors
    ///
    /// Returns [`UrlError::Scheme`] for `mailto:` and its kin, [`UrlError::Empty`] for an empty reference
    /// (it names the page itself), and any other [`UrlError`] for what cannot be collected.
    pub fn resolve(&self, reference: &str) -> Result<CanonicalUrl, UrlError> {
        let reference = trimmed(reference)?;
        let url = self.base.join(reference).map_err(|source| invalid(reference, source))?;
        CanonicalUrl::from_url(&url)
    }
}
