//! What kind of file it is, told by how it begins and never by its name or media type.

use super::report::{SitemapError, shown};
use crate::html::Document;

/// How much of a file may stand before its XML, in bytes: a warning of the server's script language.
const JUNK_BYTES_MAX: usize = 4 * 1024;

/// How much of a file that is no sitemap is repeated in the error, in characters.
const BEGINNING_CHARS_MAX: usize = 60;

/// Words that only the beginning of a sitemap or feed has.
const BEGINNINGS: &[&str] = &["<?xml", "<urlset", "<sitemapindex", "<rss", "<feed"];

/// Says what a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recognised {
    /// XML, which begins so many bytes into the window.
    Xml {
        /// What stands before it, white space included.
        before: usize,
    },
    /// A list of lines.
    Lines,
    /// More of it has to be seen.
    NotYet,
}

/// Looks at the beginning of a file.
pub(super) fn recognise(window: &str, is_final: bool) -> Result<Recognised, SitemapError> {
    let text = window.trim_start_matches(is_padding);
    let before = window.len() - text.len();
    if text.is_empty() {
        return if is_final { Err(SitemapError::Empty) } else { Ok(Recognised::NotYet) };
    }
    if text.starts_with('<') {
        return Ok(Recognised::Xml { before });
    }
    let is_enough = is_final || text.len() >= JUNK_BYTES_MAX;
    if !is_enough && !text.contains('\n') {
        return Ok(Recognised::NotYet);
    }
    if text.lines().next().is_some_and(is_address) {
        return Ok(Recognised::Lines);
    }
    if let Some(at) = BEGINNINGS.iter().filter_map(|word| text.find(word)).min() {
        return Ok(Recognised::Xml { before: before + at });
    }
    if !is_enough {
        return Ok(Recognised::NotYet);
    }
    if text.lines().any(is_address) {
        return Ok(Recognised::Lines);
    }
    if text.to_ascii_lowercase().contains("<html") {
        return Err(html_error(text));
    }
    Err(SitemapError::Unrecognised { beginning: shown(text, BEGINNING_CHARS_MAX) })
}

/// Makes the error for a page that came in place of a sitemap.
pub(super) fn html_error(window: &str) -> SitemapError {
    SitemapError::Html { title: Document::read(window).best_title() }
}

/// Tells whether a character may stand before everything: white space, control characters, a byte-order mark.
pub(super) fn is_padding(char: char) -> bool {
    char.is_whitespace() || char.is_control() || char == '\u{feff}'
}

fn is_address(line: &str) -> bool {
    let line = line.trim_start_matches(is_padding);
    ["http://", "https://"]
        .iter()
        .any(|scheme| line.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}
