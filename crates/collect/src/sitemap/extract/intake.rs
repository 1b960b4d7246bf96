//! The place where all that is found in a sitemap comes together: entries, warnings, limits.

use std::collections::VecDeque;

use url::ParseError;

use super::entry::{EntryTarget, SitemapEntry};
use super::moment::read_moment;
use super::report::{SitemapError, SitemapKind, SitemapReport, SitemapWarning, WarningKind, shown};
use super::{PROTOCOL_ENTRIES_MAX, SitemapLimits};
use crate::url::{CanonicalUrl, Resolver, UrlError};

/// How much of a wrong value an error repeats, in characters.
const REASON_CHARS_MAX: usize = 60;

/// Points at a place in the part of the text that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) window: &'a str,
    pub(super) at: usize,
}

/// Holds what a sitemap says of one address, in its own words; a field that it does not have is empty.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) loc: String,
    pub(super) lastmod: String,
    pub(super) changefreq: String,
    pub(super) priority: String,
    pub(super) alternates: u32,
    pub(super) images: u32,
    pub(super) videos: u32,
    pub(super) is_news: bool,
}

impl Draft {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.loc.clear();
        self.lastmod.clear();
        self.changefreq.clear();
        self.priority.clear();
        (self.alternates, self.images, self.videos, self.is_news) = (0, 0, 0, false);
    }
}

/// Is responsible for turning drafts into entries, and for saying what was wrong.
#[derive(Debug)]
pub(super) struct Intake {
    sitemap: CanonicalUrl,
    resolver: Resolver,
    limits: SitemapLimits,
    pub(super) ready: VecDeque<SitemapEntry>,
    pub(super) report: SitemapReport,
    pub(super) is_stopped: bool,
    /// Where the window begins in the whole text.
    line: u64,
    byte: u64,
}

impl Intake {
    pub(super) fn new(sitemap: CanonicalUrl, limits: SitemapLimits) -> Self {
        Self {
            resolver: Resolver::new(&sitemap, None),
            sitemap,
            limits,
            ready: VecDeque::new(),
            report: SitemapReport::default(),
            is_stopped: false,
            line: 1,
            byte: 0,
        }
    }

    /// Takes note of text that has been read.
    pub(super) fn pass(&mut self, text: &str) {
        self.line += lines_in(text);
        self.byte += text.len() as u64;
    }

    /// Takes note of something wrong; the same thing again is only counted.
    pub(super) fn warn(&mut self, kind: WarningKind, place: Place<'_>, sample: &str) {
        if let Some(known) = self.report.warnings.iter_mut().find(|warning| warning.kind == kind) {
            known.count += 1;
            return;
        }
        let (line, byte) = self.position(place);
        self.report.warnings.push(SitemapWarning::new(kind, line, byte, sample));
    }

    /// Takes note of something wrong that ends the reading; it is an error where nothing was read before.
    pub(super) fn stop(
        &mut self,
        kind: WarningKind,
        place: Place<'_>,
        sample: &str,
    ) -> Result<(), SitemapError> {
        self.is_stopped = true;
        if self.report.entries > 0 {
            self.warn(kind, place, sample);
            return Ok(());
        }
        let (line, byte) = self.position(place);
        let sample = shown(sample, REASON_CHARS_MAX);
        let reason = if sample.is_empty() { kind.to_string() } else { format!("{kind} (`{sample}`)") };
        Err(SitemapError::Broken { line, byte, reason })
    }

    /// Takes an item that is complete.
    pub(super) fn accept(&mut self, draft: &Draft, target: EntryTarget, place: Place<'_>) {
        if self.is_stopped {
            return;
        }
        let Some(url) = self.address(draft.loc.trim(), place) else {
            self.report.skipped += 1;
            return;
        };
        if target == EntryTarget::Sitemap && url == self.sitemap {
            self.report.skipped += 1;
            return self.warn(WarningKind::SelfReference, place, "");
        }
        if self.report.entries >= self.limits.entries_max {
            self.is_stopped = true;
            return self.warn(WarningKind::StoppedAtEntries, place, "");
        }
        self.report.entries += 1;
        if self.report.entries > PROTOCOL_ENTRIES_MAX {
            self.warn(WarningKind::TooManyEntries, place, "");
        }
        let entry = SitemapEntry {
            scope: self.sitemap.scope_of(&url),
            url,
            target,
            lastmod: self.field(&draft.lastmod, read_moment, WarningKind::InvalidLastmod, place),
            changefreq: self.field(&draft.changefreq, parsed, WarningKind::InvalidChangefreq, place),
            priority: self.field(&draft.priority, parsed, WarningKind::InvalidPriority, place),
            alternates: draft.alternates,
            images: draft.images,
            videos: draft.videos,
            is_news: draft.is_news,
        };
        self.ready.push_back(entry);
    }

    /// Reads a field; one that is wrong is dropped with a warning.
    fn field<T>(
        &mut self,
        text: &str,
        read: impl Fn(&str) -> Option<T>,
        wrong: WarningKind,
        place: Place<'_>,
    ) -> Option<T> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let value = read(text);
        if value.is_none() {
            self.warn(wrong, place, text);
        }
        value
    }

    fn address(&mut self, loc: &str, place: Place<'_>) -> Option<CanonicalUrl> {
        match CanonicalUrl::parse(loc) {
            Ok(url) => Some(url),
            Err(UrlError::Empty) => {
                self.warn(WarningKind::MissingLoc, place, "");
                None
            }
            Err(UrlError::Invalid { source: ParseError::RelativeUrlWithoutBase, .. })
                if self.may_be_relative(loc) =>
            {
                self.warn(WarningKind::RelativeLoc, place, loc);
                self.resolver.resolve(loc).ok()
            }
            Err(_) => {
                self.warn(WarningKind::InvalidLoc, place, loc);
                None
            }
        }
    }

    /// Tells whether a text may be meant as a path: in feeds any may, in sitemaps one that looks like it.
    fn may_be_relative(&self, loc: &str) -> bool {
        matches!(self.report.kind, Some(SitemapKind::Rss | SitemapKind::Atom)) || loc.starts_with('/')
    }

    fn position(&self, place: Place<'_>) -> (u64, u64) {
        (self.line + lines_in(&place.window[..place.at]), self.byte + place.at as u64)
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn lines_in(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}
