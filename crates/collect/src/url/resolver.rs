//! References of one page made absolute.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use url::Url;

use super::{CanonicalUrl, UrlError, invalid, trimmed};

/// Resolves the references of one page, honouring its `<base href>` and its encoding.
#[derive(Debug, Clone)]
pub struct Resolver {
    base: Url,
    encoding: &'static Encoding,
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
        Self { base: base.unwrap_or(page), encoding: UTF_8 }
    }

    /// Takes the encoding in which the page came, by any of its names; an unknown one changes nothing.
    ///
    /// A query that is written out in letters is sent in the encoding of its page (WHATWG URL, "query state"):
    /// the server of an old Korean forum knows no other.
    pub fn with_encoding(mut self, name: &str) -> Self {
        if let Some(encoding) = Encoding::for_label(name.as_bytes()) {
            self.encoding = encoding.output_encoding();
        }
        self
    }

    /// Returns where `reference` leads.
    ///
    /// # Errors
    ///
    /// Returns [`UrlError::Scheme`] for `mailto:` and its kin, [`UrlError::Empty`] for an empty reference
    /// (it names the page itself), and any other [`UrlError`] for what cannot be collected.
    pub fn resolve(&self, reference: &str) -> Result<CanonicalUrl, UrlError> {
        let reference = trimmed(reference)?;
        let encoding = self.encoding;
        let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|text| encode_query(encoding, text);
        let is_plain = self.encoding == UTF_8 || reference.is_ascii();
        let url = Url::options()
            .base_url(Some(&self.base))
            .encoding_override(if is_plain { None } else { Some(encode) })
            .parse(reference)
            .map_err(|source| invalid(reference, source))?;
        CanonicalUrl::from_url(&url)
    }
}

/// Encodes a query; a character that the encoding does not have is written as a form writes it.
fn encode_query<'a>(encoding: &'static Encoding, text: &'a str) -> Cow<'a, [u8]> {
    let (bytes, _, is_lossy) = encoding.encode(text);
    if !is_lossy {
        return bytes;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for char in text.chars() {
        match encoding.encode(char.encode_utf8(&mut buffer)) {
            (encoded, _, false) => bytes.extend_from_slice(&encoded),
            _ => bytes.extend_from_slice(format!("%26%23{}%3B", u32::from(char)).as_bytes()),
        }
    }
    bytes.into()
}
