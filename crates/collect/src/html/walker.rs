//! The walk over a page's tags and text, and what is kept of them.

use std::borrow::Cow;

use html5gum::State;

use super::elements::{ends_line, is_container, may_stand_in_head};
use super::foreign::Foreign;
use super::tag::Tag;
use super::text::TextBuffer;
use super::{
    ANCHORS_MAX, Anchor, Document, HEADINGS_MAX, HeadingTag, LINK_TAGS_MAX, LinkTag, METAS_MAX, Meta,
    VALUE_BYTES_MAX,
};

/// Is responsible for knowing where in the page the reading stands.
#[derive(Debug)]
pub(super) struct Walker {
    found: Document,
    text: TextBuffer,
    title: TextBuffer,
    /// Whether the page is written as XML, where an element can close itself.
    is_xml: bool,
    is_in_head: bool,
    /// The element whose content is text and nothing else, while it is open.
    raw: Option<Raw>,
    is_in_noscript: bool,
    /// How many `<template>` elements are open: their content is not part of the page.
    templates: usize,
    hidden: Option<Hidden>,
    foreign: Foreign,
    /// The element of a drawing whose text is not shown, while it is open.
    foreign_mute: Option<Vec<u8>>,
    /// The first bytes of a character whose rest comes with the next run of text.
    split_char: Vec<u8>,
    anchor: Option<OpenAnchor>,
    heading: Option<OpenHeading>,
}

/// Says what becomes of raw text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    /// It is the page's title.
    Title,
    /// A reader sees it: `<xmp>`, `<plaintext>`.
    Shown,
    /// A reader does not see it as text: scripts, styles, form contents, frames' fallbacks, a second title.
    Muted,
}

/// Is an element with the attribute `hidden`, and how many of its name are open inside of it and with it.
#[derive(Debug)]
struct Hidden {
    name: Vec<u8>,
    depth: usize,
}

#[derive(Debug)]
struct OpenAnchor {
    href: String,
    rel: Option<String>,
    text_start: usize,
    /// The link's own label, for one that shows neither text nor a described image.
    own_label: Option<String>,
    image_label: Option<String>,
}

#[derive(Debug)]
struct OpenHeading {
    level: u8,
    text_start: usize,
    /// How many containers are open inside of it: the end of one that is not ends the heading too,
    /// for nobody's heading goes on past its section.
    containers: usize,
    image_label: Option<String>,
}

impl Walker {
    pub(super) fn new(is_xml: bool) -> Self {
        Self {
            found: Document::default(),
            text: TextBuffer::default(),
            title: TextBuffer::default(),
            is_xml,
            is_in_head: true,
            raw: None,
            is_in_noscript: false,
            templates: 0,
            hidden: None,
            foreign: Foreign::default(),
            foreign_mute: None,
            split_char: Vec::new(),
            anchor: None,
            heading: None,
        }
    }

    /// Ends what is still open and returns what was found.
    pub(super) fn into_document(mut self) -> Document {
        self.close_anchor();
        self.close_heading();
        if !self.title.as_str().is_empty() {
            self.found.title = Some(self.title.into_string());
        }
        self.found.text = self.text.into_string();
        self.found
    }

    /// Tells whether the reading stands inside of SVG or MathML.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.is_inside()
    }

    /// Takes a run of text, its character references already resolved.
    ///
    /// The tokenizer cuts text at bytes it must look at, and that may be inside of a character.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        if self.raw == Some(Raw::Muted) {
            return;
        }
        if !self.split_char.is_empty() {
            self.split_char.extend_from_slice(bytes);
            let joined = std::mem::take(&mut self.split_char);
            return self.text(&joined);
        }
        match std::str::from_utf8(bytes) {
            Ok(run) => self.run(run),
            Err(error) if error.error_len().is_none() => {
                let (whole, begun) = bytes.split_at(error.valid_up_to());
                self.run(&String::from_utf8_lossy(whole));
                self.split_char.extend_from_slice(begun);
            }
            Err(_) => self.run(&String::from_utf8_lossy(bytes)),
        }
    }

    fn run(&mut self, run: &str) {
        if self.raw == Some(Raw::Title) {
            return self.title.push(run);
        }
        if self.is_muted() {
            return;
        }
        if self.is_in_head && run.contains(|char: char| !char.is_ascii_whitespace()) {
            self.is_in_head = false;
        }
        self.text.push(run);
    }

    /// Takes a start tag; returns how the tokenizer must read what follows, where that changes.
    pub(super) fn start_tag(&mut self, tag: &Tag) -> Option<State> {
        let name = tag.name();
        if name == b"template" && !self.is_foreign() {
            self.templates += 1;
        }
        self.foreign.start(name, tag.is_self_closing());
        if self.is_foreign() {
            self.is_in_head &= self.templates > 0 || self.is_in_noscript;
            self.foreign_tag(tag);
            return None;
        }
        self.foreign_mute = None;
        self.leave_head_at(name);
        self.open_container(tag);
        if ends_line(name) {
            self.text.set_apart();
        }
        if self.templates == 0 {
            self.element(tag);
        }
        self.raw_text(tag)
    }

    /// Takes an end tag.
    pub(super) fn end_tag(&mut self, name: &[u8]) {
        self.raw = None;
        if self.foreign_mute.as_deref() == Some(name) {
            self.foreign_mute = None;
        }
        self.foreign.end(name);
        self.close_container(name);
        match name {
            b"a" => self.close_anchor(),
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.close_heading(),
            b"noscript" => self.is_in_noscript = false,
            b"body" | b"html" | b"br" => self.is_in_head = false,
            b"template" => self.templates = self.templates.saturating_sub(1),
            _ => {}
        }
        if ends_line(name) {
            self.text.set_apart();
        }
    }

    fn is_muted(&self) -> bool {
        self.is_in_noscript || self.templates > 0 || self.hidden.is_some() || self.foreign_mute.is_some()
    }

    /// Leaves the head at the first tag that cannot stand in it, as a browser does.
    fn leave_head_at(&mut self, name: &[u8]) {
        let stays = self.is_in_noscript || self.templates > 0 || may_stand_in_head(name);
        self.is_in_head &= stays;
    }

    /// Follows the elements that are always closed by an end tag of their own, for the sake of those with
    /// `hidden` and of headings that nobody closed.
    fn open_container(&mut self, tag: &Tag) {
        if !is_container(tag.name()) {
            return;
        }
        if let Some(heading) = &mut self.heading {
            heading.containers += 1;
        }
        match &mut self.hidden {
            Some(hidden) if hidden.name == tag.name() => hidden.depth += 1,
            Some(_) => {}
            None if tag.has_attribute(b"hidden") => {
                self.hidden = Some(Hidden { name: tag.name().to_vec(), depth: 1 });
            }
            None => {}
        }
    }

    fn close_container(&mut self, name: &[u8]) {
        if !is_container(name) {
            return;
        }
        if let Some(hidden) = self.hidden.as_mut().filter(|hidden| hidden.name == name) {
            hidden.depth -= 1;
            if hidden.depth == 0 {
                self.hidden = None;
            }
        }
        match &mut self.heading {
            Some(heading) if heading.containers > 0 => heading.containers -= 1,
            Some(_) => self.close_heading(),
            None => {}
        }
    }

    fn element(&mut self, tag: &Tag) {
        match tag.name() {
            b"a" => self.open_anchor(tag, b"href"),
            b"area" => self.lone_link(tag, b"href", b"alt"),
            // The pages of a frame set are reached by nothing else.
            b"frame" => self.lone_link(tag, b"src", b"title"),
            b"img" => self.image(tag),
            b"h1" => self.open_heading(1),
            b"h2" => self.open_heading(2),
            b"h3" => self.open_heading(3),
            b"h4" | b"h5" | b"h6" => self.close_heading(),
            b"noscript" => self.is_in_noscript = true,
            // What stands in `noscript` is for a reader without scripts, and not said of the page itself.
            b"meta" if !self.is_in_noscript => self.meta(tag),
            b"link" => self.link_tag(tag),
            b"base" if self.found.base_href.is_none() => self.found.base_href = value(tag, b"href"),
            b"html" if self.found.language.is_none() => {
                self.found.language = value(tag, b"lang").or_else(|| value(tag, b"xml:lang"));
            }
            _ => {}
        }
    }

    /// Takes a tag of SVG or MathML: links count there too, titles and scripts are no text.
    fn foreign_tag(&mut self, tag: &Tag) {
        let is_mute =
            matches!(tag.name(), b"title" | b"desc" | b"style" | b"script" | b"metadata" | b"annotation");
        if self.foreign_mute.is_none() && is_mute && !tag.is_self_closing() {
            self.foreign_mute = Some(tag.name().to_vec());
        }
        if tag.name() == b"a" && self.templates == 0 {
            let href: &[u8] = if tag.has_attribute(b"href") { b"href" } else { b"xlink:href" };
            self.open_anchor(tag, href);
        }
        if tag.name() == b"text" {
            self.text.set_apart();
        }
    }

    /// Says how the content of an element is read that holds text and no tags.
    fn raw_text(&mut self, tag: &Tag) -> Option<State> {
        let (raw, state) = match tag.name() {
            b"title" if self.is_title() => (Raw::Title, State::RcData),
            b"title" | b"textarea" => (Raw::Muted, State::RcData),
            b"script" => (Raw::Muted, State::ScriptData),
            b"style" | b"iframe" | b"noembed" | b"noframes" => (Raw::Muted, State::RawText),
            b"xmp" => (Raw::Shown, State::RawText),
            b"plaintext" => (Raw::Shown, State::PlainText),
            _ => return None,
        };
        if self.is_xml && tag.is_self_closing() {
            return None;
        }
        self.raw = Some(raw);
        Some(state)
    }

    /// Tells whether a `<title>` that begins here is the page's: the first one that says something.
    fn is_title(&self) -> bool {
        self.templates == 0 && !self.is_in_noscript && self.title.as_str().is_empty()
    }

    fn open_anchor(&mut self, tag: &Tag, href: &[u8]) {
        self.close_anchor();
        let Some(href) = value(tag, href) else { return };
        self.anchor = Some(OpenAnchor {
            href,
            rel: value(tag, b"rel"),
            text_start: self.text.len(),
            own_label: value(tag, b"aria-label").or_else(|| value(tag, b"title")).as_deref().map(collapsed),
            image_label: None,
        });
    }

    fn close_anchor(&mut self) {
        let Some(open) = self.anchor.take() else { return };
        self.keep_anchor(Anchor {
            href: open.href,
            rel: open.rel,
            text: open.text_start..self.text.len(),
            label: open.image_label.or(open.own_label),
        });
    }

    /// Takes a link that has no content, only attributes.
    fn lone_link(&mut self, tag: &Tag, href: &[u8], label: &[u8]) {
        let Some(href) = value(tag, href) else { return };
        let here = self.text.len()..self.text.len();
        let label = value(tag, label).as_deref().map(collapsed);
        self.keep_anchor(Anchor { href, rel: value(tag, b"rel"), text: here, label });
    }

    fn keep_anchor(&mut self, anchor: Anchor) {
        if self.found.anchors.len() < ANCHORS_MAX {
            self.found.anchors.push(anchor);
        } else {
            self.found.anchors_dropped += 1;
        }
    }

    fn image(&mut self, tag: &Tag) {
        if self.anchor.is_none() && self.heading.is_none() {
            return;
        }
        let Some(label) = value(tag, b"alt").as_deref().map(collapsed).filter(|label| !label.is_empty())
        else {
            return;
        };
        if let Some(heading) = &mut self.heading {
            heading.image_label.get_or_insert_with(|| label.clone());
        }
        if let Some(anchor) = &mut self.anchor {
            anchor.image_label.get_or_insert(label);
        }
    }

    fn open_heading(&mut self, level: u8) {
        self.close_heading();
        self.heading =
            Some(OpenHeading { level, text_start: self.text.len(), containers: 0, image_label: None });
    }

    fn close_heading(&mut self) {
        let Some(open) = self.heading.take() else { return };
        if self.found.headings.len() < HEADINGS_MAX {
            self.found.headings.push(HeadingTag {
                level: open.level,
                text: open.text_start..self.text.len(),
                label: open.image_label,
            });
        }
    }

    fn meta(&mut self, tag: &Tag) {
        if let Some(charset) = value(tag, b"charset") {
            self.found.charset.get_or_insert(charset);
        }
        let Some(content) = value(tag, b"content") else { return };
        for (key, is_http_equiv) in [(&b"name"[..], false), (b"property", false), (b"http-equiv", true)] {
            let Some(name) = value(tag, key) else { continue };
            if self.found.metas.len() >= METAS_MAX {
                return;
            }
            let name = name.trim().to_ascii_lowercase();
            if is_http_equiv && name == "content-type" {
                self.charset_of(&content);
            }
            self.found.metas.push(Meta { name, is_http_equiv, content: content.clone() });
        }
    }

    /// Takes the charset out of `text/html; charset=utf-8`.
    fn charset_of(&mut self, content_type: &str) {
        let lower = content_type.to_ascii_lowercase();
        let Some(at) = lower.find("charset") else { return };
        let Some(rest) = lower[at + "charset".len()..].trim_start().strip_prefix('=') else { return };
        let charset = rest.trim_start().trim_start_matches(['"', '\'']);
        let end = charset
            .find(|char: char| char.is_whitespace() || matches!(char, ';' | '"' | '\''))
            .unwrap_or(charset.len());
        if end > 0 {
            self.found.charset.get_or_insert_with(|| charset[..end].to_owned());
        }
    }

    fn link_tag(&mut self, tag: &Tag) {
        let (Some(rel), Some(href)) = (value(tag, b"rel"), value(tag, b"href")) else { return };
        if self.found.link_tags.len() >= LINK_TAGS_MAX {
            return;
        }
        self.found.link_tags.push(LinkTag {
            rel: rel.to_ascii_lowercase(),
            href,
            hreflang: value(tag, b"hreflang"),
            media_type: value(tag, b"type").map(|media_type| media_type.trim().to_ascii_lowercase()),
            sizes: value(tag, b"sizes"),
            title: value(tag, b"title").as_deref().map(collapsed),
            is_in_head: self.is_in_head && !self.is_in_noscript,
        });
    }
}

/// Returns an attribute's value; one that is longer than anything sensible is as good as none.
fn value(tag: &Tag, name: &[u8]) -> Option<String> {
    tag.attribute(name).filter(|value| value.len() <= VALUE_BYTES_MAX).map(Cow::into_owned)
}

fn collapsed(text: &str) -> String {
    let mut buffer = TextBuffer::default();
    buffer.push(text);
    buffer.into_string()
}
