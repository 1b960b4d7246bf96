//! One pass over a page, from which every extractor takes what it needs.
//!
//! The page is read as tokens by the WHATWG standard and never made into a tree: what is wanted of it
//! (the head, headings, links, visible text) lies in the order of the tokens, and a tree costs five times
//! the time. The few places where the standard lets the tree decide what a token means are followed here:
//! raw text elements, templates, `noscript`, and SVG and MathML inside of a page.

use std::ops::Range;

use html5gum::Tokenizer;

mod elements;
mod emitter;
mod foreign;
mod head;
mod tag;
mod text;
mod walker;

pub(crate) use head::{clipped, language_tag};
pub(crate) use text::{TextBuffer, word_count};

use emitter::PageEmitter;
use walker::Walker;

/// How many links of a page are looked at; an index of a large book has some ten thousand.
const ANCHORS_MAX: usize = 50_000;

/// How many headings, `<meta>` and `<link>` elements are kept of each kind: far more than a page made by
/// people has, and little enough that a page made to harm does no harm.
const HEADINGS_MAX: usize = 256;
const METAS_MAX: usize = 512;
const LINK_TAGS_MAX: usize = 512;

/// The longest attribute value that is kept, in bytes; it is as long as an address may be before parsing.
const VALUE_BYTES_MAX: usize = crate::url::INPUT_BYTES_MAX;

/// Holds what one pass found, in the order of the page and still in the page's own words.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// What `<html lang>` or `xml:lang` says.
    pub(crate) language: Option<String>,
    /// What `<meta charset>` or its older form says.
    pub(crate) charset: Option<String>,
    /// The first `<base href>`.
    pub(crate) base_href: Option<String>,
    /// The first `<title>`, its spaces collapsed.
    pub(crate) title: Option<String>,
    pub(crate) metas: Vec<Meta>,
    pub(crate) link_tags: Vec<LinkTag>,
    pub(crate) headings: Vec<HeadingTag>,
    pub(crate) anchors: Vec<Anchor>,
    /// How many links lie past what was kept.
    pub(crate) anchors_dropped: usize,
    /// What a reader sees, its spaces collapsed; title, scripts, styles, form contents and hidden parts are not in it.
    pub(crate) text: String,
}

/// Is a `<meta>` element that says something.
#[derive(Debug)]
pub(crate) struct Meta {
    /// Its `name`, `property` or `http-equiv`, in lower case.
    pub(crate) name: String,
    /// Whether the name stood in `http-equiv`.
    pub(crate) is_http_equiv: bool,
    pub(crate) content: String,
}

/// Is a `<link>` element with a `rel` and an `href`.
#[derive(Debug)]
pub(crate) struct LinkTag {
    /// Words in lower case with spaces between them.
    pub(crate) rel: String,
    pub(crate) href: String,
    pub(crate) hreflang: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) sizes: Option<String>,
    pub(crate) title: Option<String>,
    /// Whether it stands in the head: what a commenter can put into the body is not the site's word.
    pub(crate) is_in_head: bool,
}

/// Is a heading, as a part of the text.
#[derive(Debug)]
pub(crate) struct HeadingTag {
    pub(crate) level: u8,
    pub(crate) text: Range<usize>,
    /// What stands for the text where there is none: the description of an image.
    pub(crate) label: Option<String>,
}

/// Is an `<a>` or `<area>` element with an `href`, or a `<frame>` with a `src`.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) href: String,
    /// Words as they stand there.
    pub(crate) rel: Option<String>,
    pub(crate) text: Range<usize>,
    /// What stands for the text where there is none: the description of an image, or the link's own label.
    pub(crate) label: Option<String>,
}

impl Document {
    /// Reads a page; whatever the text is, something comes of it.
    pub(crate) fn read(html: &str) -> Self {
        let html = html.strip_prefix('\u{feff}').unwrap_or(html);
        let is_xml = html.trim_start().starts_with("<?xml");
        let mut walker = Walker::new(is_xml);
        match Tokenizer::new_with_emitter(html, PageEmitter::new(&mut walker)).finish() {
            Ok(()) => {}
            // A string cannot fail to be read: the reader's error type has no value.
            Err(never) => match never {},
        }
        walker.into_document()
    }

    /// Returns the text of a heading or link, or what stands for it.
    pub(crate) fn words_of<'a>(&'a self, text: &Range<usize>, label: Option<&'a str>) -> &'a str {
        let words = self.text[text.clone()].trim();
        if words.is_empty() { label.unwrap_or_default() } else { words }
    }

    /// Returns the content of the first `<meta>` of this name that has any.
    pub(crate) fn meta(&self, name: &str) -> Option<&str> {
        self.metas
            .iter()
            .filter(|meta| !meta.is_http_equiv && meta.name == name)
            .map(|meta| meta.content.trim())
            .find(|content| !content.is_empty())
    }

    /// Returns the content of the first `<meta http-equiv>` of this name.
    pub(crate) fn http_equiv(&self, name: &str) -> Option<&str> {
        self.metas.iter().find(|meta| meta.is_http_equiv && meta.name == name).map(|meta| meta.content.trim())
    }

    /// Returns the `<link>` elements that have `rel` among their words.
    pub(crate) fn links_of<'a>(&'a self, rel: &'a str) -> impl Iterator<Item = &'a LinkTag> {
        self.link_tags.iter().filter(move |link| link.has_rel(rel))
    }
}

impl LinkTag {
    /// Tells whether `rel` is among the words of this element.
    pub(crate) fn has_rel(&self, rel: &str) -> bool {
        self.rel.split_ascii_whitespace().any(|word| word == rel)
    }
}
