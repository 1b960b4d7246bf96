//! Sitemaps and feeds written in XML, read as far as they go.
//!
//! Entities are never expanded and nothing outside of the file is looked at, so neither a "billion laughs"
//! nor an external entity does anything. Elements are told by their local names and their place; which
//! namespace they claim to be of makes no difference.

use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::element::{Field, Item, Part, attribute, child_of, has_known_namespace, local_name, root_of};
use super::entry::EntryTarget;
use super::form::html_error;
use super::intake::{Draft, Intake, Place};
use super::report::{SitemapError, SitemapKind, WarningKind};
use crate::url::INPUT_BYTES_MAX;

/// How deep elements may nest; the deepest extension has six levels.
const DEPTH_MAX: usize = 64;

/// The longest value of a field that is kept, in bytes: what is longer is no address.
const FIELD_BYTES_MAX: usize = INPUT_BYTES_MAX + 1;

/// Is responsible for following the elements of a sitemap or feed through its pieces.
#[derive(Debug, Default)]
pub(super) struct XmlParser {
    opens: Vec<Open>,
    /// The names of all open elements, one after the other.
    names: String,
    /// How many elements are open beyond the greatest depth.
    beyond: usize,
    draft: Draft,
    /// What may serve as an address where a feed's item has no link.
    guid: String,
    /// What may serve as the moment of change where a feed's entry has none.
    published: String,
    field: FieldText,
    has_root: bool,
    /// Whether the file declares entities of its own.
    has_entities: bool,
    /// At which size of the window it is worth looking again for the end of a tag or comment. Looking at
    /// every piece would take time with the square of its length.
    look_again_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    name_start: usize,
    part: Part,
}

#[derive(Debug, Default)]
struct FieldText {
    text: String,
    /// Whether something stands in it that cannot: then the value is not to be trusted.
    is_broken: bool,
}

/// Says how a run through the window ended.
enum Run {
    /// At the end of what can be read.
    Done,
    /// Behind something that is no markup; reading goes on there.
    Broken { resume_at: usize },
    /// Before a tag, comment or section whose end has not arrived.
    Incomplete { at: usize },
    /// At a limit.
    Stopped,
}

impl XmlParser {
    /// Reads what is complete and returns how much of the window it is.
    pub(super) fn parse(
        &mut self,
        window: &str,
        is_final: bool,
        intake: &mut Intake,
    ) -> Result<usize, SitemapError> {
        if window.len() < self.look_again_at && !is_final {
            return Ok(0);
        }
        self.look_again_at = 0;
        let end = if is_final { window.len() } else { self.readable(window) };
        let mut from = 0;
        let at = loop {
            match self.run(window, from, end, intake)? {
                Run::Done => break end,
                Run::Broken { resume_at } => from = resume_at,
                Run::Incomplete { at } => break at,
                Run::Stopped => return Ok(window.len()),
            }
        };
        if is_final {
            self.finish(Place { window, at }, at < end, intake)?;
            return Ok(window.len());
        }
        if at < end {
            self.look_again_at = window.len() + (window.len() - at) / 2;
        }
        Ok(at)
    }

    /// Returns how much of the window can be read before more arrives: up to the last tag, so that no
    /// reference or name is cut in two.
    fn readable(&self, window: &str) -> usize {
        match memchr::memrchr(b'>', window.as_bytes()) {
            Some(last) => last + 1,
            None if self.is_in_field() || window.contains('<') => 0,
            None => window.len(),
        }
    }

    fn run(
        &mut self,
        window: &str,
        from: usize,
        end: usize,
        intake: &mut Intake,
    ) -> Result<Run, SitemapError> {
        // The reader would drop a byte-order mark at the beginning, and where that is must not matter.
        let marks = window[from..end].len() - window[from..end].trim_start_matches('\u{feff}').len();
        self.push(&window[from..from + marks]);
        let from = from + marks;
        let mut reader = Reader::from_str(&window[from..end]);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        loop {
            let at = from + usize::try_from(reader.buffer_position()).unwrap_or(window.len());
            let place = Place { window, at };
            match reader.read_event() {
                Ok(Event::Eof) => return Ok(Run::Done),
                Ok(event) => self.event(event, place, intake)?,
                Err(Error::Syntax(error)) if !matches!(error, SyntaxError::InvalidBangMarkup) => {
                    return Ok(Run::Incomplete { at });
                }
                Err(Error::IllFormed(error)) => {
                    intake.warn(WarningKind::Malformed, place, &error.to_string());
                }
                Err(error) => {
                    intake.warn(WarningKind::Malformed, place, &error.to_string());
                    return Ok(Run::Broken { resume_at: behind_tag(&window[..end], at) });
                }
            }
            if intake.is_stopped {
                return Ok(Run::Stopped);
            }
        }
    }

    fn event(&mut self, event: Event<'_>, place: Place<'_>, intake: &mut Intake) -> Result<(), SitemapError> {
        match event {
            Event::Start(tag) => self.open(&tag, place, intake)?,
            Event::Empty(tag) => {
                self.open(&tag, place, intake)?;
                self.close(tag.name().as_ref(), place, intake);
            }
            Event::End(tag) => self.close(tag.name().as_ref(), place, intake),
            Event::Text(text) => self.push(&text.into_inner()),
            Event::CData(text) => self.push(&text.into_inner()),
            Event::GeneralRef(reference) => self.reference(&reference, place, intake),
            Event::DocType(text) => self.doctype(&text.into_inner(), place)?,
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        place: Place<'_>,
        intake: &mut Intake,
    ) -> Result<(), SitemapError> {
        let name = tag.name();
        let name = name.as_ref();
        if self.opens.len() >= DEPTH_MAX {
            self.beyond += 1;
            intake.warn(WarningKind::Malformed, place, "nested too deep");
            return Ok(());
        }
        self.end_unclosed_item(name, place, intake);
        let part = match self.opens.last().map(|open| open.part) {
            None => self.root(tag, place, intake)?,
            Some(Part::Field(_)) => {
                self.field.is_broken = true;
                Part::Other
            }
            Some(parent) => child_of(parent, self.top_name(), tag),
        };
        self.begin(part, tag);
        self.opens.push(Open { name_start: self.names.len(), part });
        self.names.push_str(name);
        Ok(())
    }

    fn begin(&mut self, part: Part, tag: &BytesStart<'_>) {
        match part {
            Part::Item(item) => {
                self.draft.clear();
                self.guid.clear();
                self.published.clear();
                if item == Item::Rss {
                    self.guid.push_str(&attribute(tag, "rdf:about").unwrap_or_default());
                }
            }
            Part::Field(_) => {
                self.field.text.clear();
                self.field.is_broken = false;
            }
            Part::Link => {
                let rel = attribute(tag, "rel").unwrap_or_default();
                if self.draft.loc.is_empty() && (rel.is_empty() || rel == "alternate") {
                    self.draft.loc.push_str(&attribute(tag, "href").unwrap_or_default());
                }
            }
            Part::Alternate => self.draft.alternates = self.draft.alternates.saturating_add(1),
            Part::Image => self.draft.images = self.draft.images.saturating_add(1),
            Part::Video => self.draft.videos = self.draft.videos.saturating_add(1),
            Part::News => self.draft.is_news = true,
            Part::Root(_) | Part::Channel | Part::Other => {}
        }
    }

    /// Takes the outermost element, or says why it is none of a sitemap.
    fn root(
        &mut self,
        tag: &BytesStart<'_>,
        place: Place<'_>,
        intake: &mut Intake,
    ) -> Result<Part, SitemapError> {
        let name = tag.name();
        let local = local_name(name.as_ref());
        let (part, kind) = match root_of(local) {
            Some(root) => root,
            None if self.has_root => return Ok(Part::Other),
            None if local.eq_ignore_ascii_case("html") => return Err(html_error(&place.window[place.at..])),
            None => return Err(SitemapError::UnknownRoot { root: super::report::shown(name.as_ref(), 60) }),
        };
        self.has_root = true;
        intake.report.kind.get_or_insert(kind);
        if matches!(part, Part::Item(_)) {
            intake.warn(WarningKind::NoRoot, place, name.as_ref());
        } else if matches!(kind, SitemapKind::UrlSet | SitemapKind::Index) && !has_known_namespace(tag) {
            intake.warn(WarningKind::Namespace, place, &attribute(tag, "xmlns").unwrap_or_default());
        }
        Ok(part)
    }

    /// Ends an item that nobody closed before the next one begins.
    fn end_unclosed_item(&mut self, name: &str, place: Place<'_>, intake: &mut Intake) {
        let is_item = |open: &Open| matches!(open.part, Part::Item(_));
        let Some(at) = self.opens.iter().rposition(is_item) else { return };
        if self.name_of(at) == name {
            intake.warn(WarningKind::Malformed, place, name);
            self.pop_to(at, place, intake);
        }
    }

    fn close(&mut self, name: &str, place: Place<'_>, intake: &mut Intake) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        let Some(at) = (0..self.opens.len()).rev().find(|at| self.name_of(*at) == name) else {
            return intake.warn(WarningKind::Malformed, place, name);
        };
        if at + 1 < self.opens.len() {
            intake.warn(WarningKind::Malformed, place, name);
        }
        self.pop_to(at, place, intake);
    }

    /// Ends the element at `at` and all that are open inside of it.
    fn pop_to(&mut self, at: usize, place: Place<'_>, intake: &mut Intake) {
        while self.opens.len() > at {
            let Some(open) = self.opens.pop() else { return };
            self.names.truncate(open.name_start);
            match open.part {
                Part::Field(field) => self.keep(field, place, intake),
                Part::Item(item) => self.accept(item, place, intake),
                _ => {}
            }
        }
    }

    /// Keeps the value of a field; of several the first one counts.
    fn keep(&mut self, field: Field, place: Place<'_>, intake: &mut Intake) {
        let value = self.field.text.trim();
        if self.field.is_broken {
            return intake.warn(WarningKind::Malformed, place, value);
        }
        let kept = match field {
            Field::Loc => &mut self.draft.loc,
            Field::Guid => &mut self.guid,
            Field::Lastmod => &mut self.draft.lastmod,
            Field::Published => &mut self.published,
            Field::Changefreq => &mut self.draft.changefreq,
            Field::Priority => &mut self.draft.priority,
        };
        if kept.is_empty() {
            kept.push_str(value);
        }
    }

    fn accept(&mut self, item: Item, place: Place<'_>, intake: &mut Intake) {
        if self.draft.loc.is_empty() {
            std::mem::swap(&mut self.draft.loc, &mut self.guid);
        }
        if self.draft.lastmod.is_empty() {
            std::mem::swap(&mut self.draft.lastmod, &mut self.published);
        }
        let target = if item == Item::Sitemap { EntryTarget::Sitemap } else { EntryTarget::Page };
        intake.accept(&self.draft, target, place);
    }

    /// Adds text to the field that is open, if one is.
    fn push(&mut self, text: &str) {
        if self.is_in_field() {
            let room = FIELD_BYTES_MAX.saturating_sub(self.field.text.len());
            self.field.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    /// Resolves the references that XML itself knows. An ampersand that nobody escaped looks like one too, so
    /// any other stands for itself, unless the file declares entities of its own.
    fn reference(&mut self, reference: &BytesRef<'_>, place: Place<'_>, intake: &mut Intake) {
        if !self.is_in_field() {
            return;
        }
        let name: &str = reference;
        let known = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        if let Some(char) = known {
            return self.push(char.encode_utf8(&mut [0; 4]));
        }
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            intake.warn(WarningKind::Entity, place, name);
            self.field.is_broken |= self.has_entities;
        }
        for piece in ["&", name, ";"] {
            self.push(piece);
        }
    }

    fn doctype(&mut self, text: &str, place: Place<'_>) -> Result<(), SitemapError> {
        let name = text.split_ascii_whitespace().next().unwrap_or_default();
        if !self.has_root && name.eq_ignore_ascii_case("html") {
            return Err(html_error(&place.window[place.at..]));
        }
        self.has_entities |= text.contains('[');
        Ok(())
    }

    /// Looks at how the file ended.
    fn finish(&self, place: Place<'_>, is_cut: bool, intake: &mut Intake) -> Result<(), SitemapError> {
        match self.opens.last() {
            Some(_) => intake.stop(WarningKind::Truncated, place, self.top_name()),
            None if is_cut || !self.has_root => intake.stop(WarningKind::Truncated, place, ""),
            None => Ok(()),
        }
    }

    fn is_in_field(&self) -> bool {
        matches!(self.opens.last(), Some(Open { part: Part::Field(_), .. }))
    }

    fn top_name(&self) -> &str {
        self.opens.last().map_or("", |open| &self.names[open.name_start..])
    }

    fn name_of(&self, at: usize) -> &str {
        let end = self.opens.get(at + 1).map_or(self.names.len(), |next| next.name_start);
        &self.names[self.opens[at].name_start..end]
    }
}

/// Returns where reading goes on behind something that began like a tag and was none.
fn behind_tag(window: &str, at: usize) -> usize {
    memchr::memchr(b'>', &window.as_bytes()[at..]).map_or(window.len(), |end| at + end + 1)
}
