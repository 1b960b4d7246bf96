//! From a page's text to what is known of it. No IO.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::directives::PageDirectives;
use crate::hex::hex;
use crate::html::{Anchor, Document, clipped, language_tag, word_count};
use crate::url::{CanonicalUrl, LinkScope, Resolver, UrlKey};

/// How many characters of a heading and of a link's text are kept.
const HEADING_CHARS_MAX: usize = 500;
const LINK_TEXT_CHARS_MAX: usize = 300;

/// How many translations of a page are kept; the largest sites have about two hundred.
const ALTERNATES_MAX: usize = 500;

/// Holds what a page is read with.
#[derive(Debug, Clone)]
pub struct PageSource<'a> {
    /// Where the page was found in the end, after redirects.
    pub url: &'a CanonicalUrl,
    /// Its text, decoded.
    pub html: &'a str,
    /// The encoding that it was decoded from: queries of links are sent in it.
    pub encoding: &'a str,
    /// The values of all `X-Robots-Tag` headers.
    pub robots_headers: &'a [&'a str],
    /// How many different links are kept.
    pub links_max: usize,
}

impl<'a> PageSource<'a> {
    /// How many different links of a page are kept unless told otherwise.
    pub const LINKS_MAX: usize = 10_000;

    /// Takes a page that came in UTF-8 and without `X-Robots-Tag`.
    pub const fn new(url: &'a CanonicalUrl, html: &'a str) -> Self {
        Self { url, html, encoding: "UTF-8", robots_headers: &[], links_max: Self::LINKS_MAX }
    }
}

/// Holds what is known of a page once it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The title, else the title for sharing, else the first heading.
    pub title: Option<String>,
    /// The description, else the description for sharing.
    pub description: Option<String>,
    /// The address that the page wants to be known by.
    pub canonical: Option<CanonicalLink>,
    /// The language as a tag of BCP 47.
    pub language: Option<String>,
    /// The character encoding as the page itself names it, in lower case.
    pub charset: Option<String>,
    /// Headings of the levels 1 to 3 in the order of the page.
    pub headings: Vec<Heading>,
    /// Links to other pages, each once, in the order of the page.
    pub links: Vec<Link>,
    /// How many links were left out because there are too many.
    pub links_dropped: usize,
    /// How many links lead nowhere, because their address is broken. `mailto:` and the like do not count.
    pub links_invalid: usize,
    /// How many words a reader sees.
    pub word_count: usize,
    /// SHA-256 of what a reader sees, in hexadecimal; white space makes no difference.
    pub content_hash: String,
    /// What the page asks of robots, in its head and in its headers.
    pub directives: PageDirectives,
    /// Where the page sends its reader by itself.
    pub refresh: Option<Refresh>,
    /// The same page in other languages.
    pub alternates: Vec<Alternate>,
}

/// Is a `rel=canonical` link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CanonicalLink {
    /// Where it leads.
    pub url: CanonicalUrl,
    /// How far that is; one that leads to somebody else's site is seldom meant so.
    pub scope: LinkScope,
}

/// Is a heading that a reader sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heading {
    /// 1, 2 or 3.
    pub level: u8,
    /// Its text, or the description of its image.
    pub text: String,
}

/// Is a link to another page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where it leads.
    pub url: CanonicalUrl,
    /// What a reader sees of it: the first text of several links to the same page.
    pub text: String,
    /// How far it leads.
    pub scope: LinkScope,
    /// What the site says of it.
    pub rel: LinkRel,
}

/// Says how far a site stands behind a link. Of several links to one page the least restricted counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LinkRel {
    /// The site does not vouch for it.
    pub nofollow: bool,
    /// A visitor wrote it.
    pub ugc: bool,
    /// Somebody paid for it.
    pub sponsored: bool,
}

/// Is a `<meta http-equiv=refresh>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refresh {
    /// After how long.
    pub delay_secs: u32,
    /// Where to; nothing where the page loads itself again.
    pub url: Option<CanonicalUrl>,
}

/// Is the same page in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alternate {
    /// A tag of BCP 47, or `x-default` for readers of any other language.
    pub language: String,
    /// Where it is.
    pub url: CanonicalUrl,
}

/// Reads a page. Whatever the text is, something comes of it: an empty page has no words and no links.
pub fn extract_page(source: &PageSource<'_>) -> Page {
    let document = Document::read(source.html);
    let resolver = Resolver::new(source.url, document.base_href.as_deref()).with_encoding(source.encoding);
    let links = Links::gather(&document, &resolver, source);
    Page {
        title: document.best_title(),
        description: document.best_description(),
        canonical: document
            .canonical(&resolver)
            .map(|url| CanonicalLink { scope: source.url.scope_of(&url), url }),
        language: document.best_language(),
        charset: document.charset.as_deref().map(|charset| charset.trim().to_ascii_lowercase()),
        headings: headings(&document),
        links: links.kept,
        links_dropped: links.dropped + document.anchors_dropped,
        links_invalid: links.invalid,
        word_count: word_count(&document.text),
        content_hash: hex(&Sha256::digest(document.text.as_bytes())),
        directives: directives(&document, source.robots_headers),
        refresh: document.http_equiv("refresh").and_then(|content| refresh(content, &resolver)),
        alternates: alternates(&document, &resolver),
    }
}

/// Gathers the links of a page, each once.
struct Links<'a> {
    page: &'a CanonicalUrl,
    limit: usize,
    kept: Vec<Link>,
    by_key: HashMap<UrlKey, usize>,
    dropped: usize,
    invalid: usize,
}

/// What a reference came to: a kept link, or nothing that is kept.
type Known = Option<usize>;

impl<'a> Links<'a> {
    fn gather(document: &Document, resolver: &Resolver, source: &PageSource<'a>) -> Self {
        let mut links = Self {
            page: source.url,
            limit: source.links_max,
            kept: Vec::new(),
            by_key: HashMap::new(),
            dropped: 0,
            invalid: 0,
        };
        // Pages repeat references, and indexes name one page with a thousand fragments: each is resolved once.
        let mut by_reference: HashMap<&str, Known> = HashMap::with_capacity(document.anchors.len());
        for anchor in &document.anchors {
            let reference = anchor.href.split('#').next().unwrap_or_default();
            let known = match by_reference.entry(reference) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => *entry.insert(links.resolve(reference, resolver)),
            };
            if let Some(index) = known {
                links.add_to(index, anchor, document);
            }
        }
        links
    }

    /// Finds or makes the link that a reference stands for; its own page is no link to another page.
    fn resolve(&mut self, reference: &str, resolver: &Resolver) -> Known {
        let url = match resolver.resolve(reference) {
            Ok(url) if url == *self.page => return None,
            Ok(url) => url,
            Err(error) => {
                self.invalid += usize::from(!error.is_quiet());
                return None;
            }
        };
        match self.by_key.entry(url.key()) {
            Entry::Occupied(entry) => Some(*entry.get()),
            Entry::Vacant(_) if self.kept.len() >= self.limit => {
                self.dropped += 1;
                None
            }
            Entry::Vacant(entry) => {
                entry.insert(self.kept.len());
                let rel = LinkRel { nofollow: true, ugc: true, sponsored: true };
                self.kept.push(Link { scope: self.page.scope_of(&url), url, text: String::new(), rel });
                Some(self.kept.len() - 1)
            }
        }
    }

    /// Adds what one more anchor says of a link.
    fn add_to(&mut self, index: usize, anchor: &Anchor, document: &Document) {
        let link = &mut self.kept[index];
        link.rel = link.rel.and(rel_of(anchor.rel.as_deref().unwrap_or_default()));
        if link.text.is_empty() {
            let words = document.words_of(&anchor.text, anchor.label.as_deref());
            link.text = clipped(words, LINK_TEXT_CHARS_MAX).unwrap_or_default();
        }
    }
}

impl LinkRel {
    const fn and(self, other: Self) -> Self {
        Self {
            nofollow: self.nofollow && other.nofollow,
            ugc: self.ugc && other.ugc,
            sponsored: self.sponsored && other.sponsored,
        }
    }
}

fn rel_of(words: &str) -> LinkRel {
    let has = |wanted: &str| words.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(wanted));
    LinkRel { nofollow: has("nofollow"), ugc: has("ugc"), sponsored: has("sponsored") }
}

fn headings(document: &Document) -> Vec<Heading> {
    let text_of = |heading: &crate::html::HeadingTag| {
        clipped(document.words_of(&heading.text, heading.label.as_deref()), HEADING_CHARS_MAX)
    };
    document
        .headings
        .iter()
        .filter_map(|heading| Some(Heading { level: heading.level, text: text_of(heading)? }))
        .collect()
}

fn directives(document: &Document, headers: &[&str]) -> PageDirectives {
    let mut directives = PageDirectives::default();
    for meta in document.metas.iter().filter(|meta| !meta.is_http_equiv) {
        directives.read_meta(&meta.name, &meta.content);
    }
    for header in headers {
        directives.read_header(header);
    }
    directives
}

fn alternates(document: &Document, resolver: &Resolver) -> Vec<Alternate> {
    let mut alternates: Vec<Alternate> = Vec::new();
    for link in document.links_of("alternate").filter(|link| link.is_in_head) {
        let Some(hreflang) = link.hreflang.as_deref().map(str::trim) else { continue };
        let is_default = hreflang.eq_ignore_ascii_case("x-default");
        let language = if is_default { Some("x-default".to_owned()) } else { language_tag(hreflang) };
        let (Some(language), Ok(url)) = (language, resolver.resolve(&link.href)) else { continue };
        let alternate = Alternate { language, url };
        if alternates.len() < ALTERNATES_MAX && !alternates.contains(&alternate) {
            alternates.push(alternate);
        }
    }
    alternates
}

/// Reads `5; url=/next` by the steps of WHATWG HTML, "shared declarative refresh".
fn refresh(content: &str, resolver: &Resolver) -> Option<Refresh> {
    let content = content.trim_start();
    let digits = content.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 && !content.starts_with('.') {
        return None;
    }
    let delay_secs = if digits == 0 { 0 } else { content[..digits].parse().unwrap_or(u32::MAX) };
    let rest = content[digits..].trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    let target = rest.trim_start().trim_start_matches([';', ',']).trim_start();
    Some(Refresh { delay_secs, url: resolver.resolve(refresh_target(target)).ok() })
}

/// Takes the address out of `url=…`, with or without the word and with quotes of either kind.
fn refresh_target(text: &str) -> &str {
    let is_named = text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("url"));
    let named = is_named.then(|| text[3..].trim_start().strip_prefix('=')).flatten();
    let target = named.unwrap_or(text).trim_start();
    match target.chars().next() {
        Some(quote @ ('"' | '\'')) => target[1..].split(quote).next().unwrap_or_default(),
        _ => target,
    }
}

#[cfg(test)]
mod tests;
