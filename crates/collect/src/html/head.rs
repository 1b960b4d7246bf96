//! What a page says of itself, where it can be said in several ways.

use super::Document;
use crate::url::{CanonicalUrl, Resolver};

/// How much of a title or description is kept, in characters.
const TITLE_CHARS_MAX: usize = 1_000;
const DESCRIPTION_CHARS_MAX: usize = 4_000;

/// How many parts a language tag may have; the longest in use have five.
const LANGUAGE_PARTS_MAX: usize = 8;

impl Document {
    /// Returns the title: of the page itself, else as it wants to be shared, else its first heading.
    pub(crate) fn best_title(&self) -> Option<String> {
        let heading = || {
            let first = self.headings.iter().find(|heading| heading.level == 1)?;
            Some(self.words_of(&first.text, first.label.as_deref()))
        };
        let title = self.title.as_deref().or_else(|| self.meta("og:title")).or_else(heading)?;
        clipped(title, TITLE_CHARS_MAX)
    }

    /// Returns the description: of the page itself, else as it wants to be shared.
    pub(crate) fn best_description(&self) -> Option<String> {
        let shared = || self.meta("og:description").or_else(|| self.meta("twitter:description"));
        clipped(self.meta("description").or_else(shared)?, DESCRIPTION_CHARS_MAX)
    }

    /// Returns the language as a tag of BCP 47, from the element, the header's stand-in, or the share card.
    pub(crate) fn best_language(&self) -> Option<String> {
        let stand_in = self.http_equiv("content-language").and_then(|list| list.split(',').next());
        [self.language.as_deref(), stand_in, self.meta("language"), self.meta("og:locale")]
            .into_iter()
            .flatten()
            .find_map(language_tag)
    }

    /// Returns the address that the page wants to be known by: the first such link of the head that leads to the web.
    pub(crate) fn canonical(&self, resolver: &Resolver) -> Option<CanonicalUrl> {
        self.links_of("canonical")
            .filter(|link| link.is_in_head)
            .find_map(|link| resolver.resolve(&link.href).ok())
    }
}

/// Collapses white space and cuts at a number of characters; nothing is left of an empty text.
pub(crate) fn clipped(text: &str, chars_max: usize) -> Option<String> {
    let mut buffer = super::TextBuffer::default();
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => buffer.push(&text[..end]),
        None => buffer.push(text),
    }
    Some(buffer.into_string()).filter(|text| !text.is_empty())
}

/// Brings a language tag to the form of BCP 47: `en_us` is `en-US`. What cannot be one is nothing.
pub(crate) fn language_tag(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim().split(['-', '_']).collect();
    let is_part =
        |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_language =
        (2..=3).contains(&parts[0].len()) && parts[0].bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_language || parts.len() > LANGUAGE_PARTS_MAX || !parts.iter().all(is_part) {
        return None;
    }
    let mut tag = parts[0].to_ascii_lowercase();
    for part in &parts[1..] {
        tag.push('-');
        tag.push_str(&match part.len() {
            2 => part.to_ascii_uppercase(),
            4 => part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase(),
            _ => part.to_ascii_lowercase(),
        });
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_have_one_form() {
        for (given, wanted) in [
            ("en", Some("en")),
            ("EN_us", Some("en-US")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            (" de ", Some("de")),
            ("es-419", Some("es-419")),
            ("", None),
            ("english language", None),
            ("x-default", None),
            ("{{ lang }}", None),
        ] {
            assert_eq!(language_tag(given).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clipped("  größer  als ", 4).as_deref(), Some("gr"));
        assert_eq!(clipped("größer", 4).as_deref(), Some("größ"));
        assert_eq!(clipped(" \n ", 4), None);
    }
}
