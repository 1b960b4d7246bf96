//! From the bytes of a sitemap to the addresses in it. No IO.
//!
//! The rules are those of the sitemap protocol (sitemaps.org, version 0.9), and forgiving: a file that is cut
//! off, wrongly named, zipped without saying so or over the protocol's limits gives what it has, and a warning
//! says what was wrong. RSS, Atom and plain text are read as sitemaps too, as the protocol has it.

use bytes::Bytes;

use crate::url::CanonicalUrl;

mod element;
mod entry;
mod form;
mod input;
mod intake;
mod layers;
mod lines;
mod moment;
mod report;
mod xml;

pub use entry::{ChangeFrequency, EntryTarget, Priority, SitemapEntry};
pub use report::{SitemapError, SitemapKind, SitemapReport, SitemapWarning, WarningKind};

use form::Recognised;
use input::{Input, InputError, Pulled};
use intake::{Intake, Place};
use lines::Lines;
use xml::XmlParser;

/// How many addresses the protocol allows in one file.
pub const PROTOCOL_ENTRIES_MAX: u64 = 50_000;

/// How many bytes the protocol allows in one file, unzipped.
pub const PROTOCOL_BYTES_MAX: u64 = 52_428_800;

/// The longest tag, comment or value that is waited for, in bytes. It bounds the memory.
const WINDOW_BYTES_MAX: usize = 256 * 1024;

/// Holds the limits at which reading stops. They lie above the protocol's own, past which there is a warning
/// only: files over the limit exist, and most of their addresses are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitemapLimits {
    /// How many addresses are handed out.
    pub entries_max: u64,
    /// How many bytes are read, unzipped. A few kilobytes of gzip may become gigabytes.
    pub bytes_max: u64,
}

impl Default for SitemapLimits {
    /// Five times what the protocol allows.
    fn default() -> Self {
        Self { entries_max: 5 * PROTOCOL_ENTRIES_MAX, bytes_max: 5 * PROTOCOL_BYTES_MAX }
    }
}

/// Reads one sitemap as it arrives, in bounded memory.
///
/// Feed it a piece, take all entries, feed it the next; at the end call [`finish`](Self::finish) and take the
/// rest. How the file is cut into pieces makes no difference. Less than a megabyte is held beyond what was fed,
/// whatever the file's size.
///
/// ```
/// use celeriac_collect::sitemap::extract::{SitemapLimits, SitemapReader};
/// use celeriac_collect::url::CanonicalUrl;
///
/// let sitemap = CanonicalUrl::parse("https://example.com/sitemap.xml")?;
/// let mut reader = SitemapReader::new(sitemap, SitemapLimits::default());
/// for piece in ["<urlset><url><loc>https://example.com/a</loc></url><url><lo", "c>https://example.com/b</loc></url></urlset>"] {
///     reader.feed(piece.into());
///     while let Some(entry) = reader.next_entry()? {
///         assert_eq!(entry.url.host(), "example.com");
///     }
/// }
/// reader.finish();
/// while reader.next_entry()?.is_some() {}
/// assert_eq!(reader.report().entries, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SitemapReader {
    input: Input,
    /// What has been unzipped and decoded and is still to be read.
    window: String,
    form: Form,
    intake: Intake,
    bytes_max: u64,
    is_done: bool,
}

enum Form {
    Unknown,
    Xml(XmlParser),
    Lines(Lines),
}

impl SitemapReader {
    /// Takes the sitemap's own address, by which entries are resolved and judged.
    pub fn new(sitemap: CanonicalUrl, limits: SitemapLimits) -> Self {
        Self {
            input: Input::new(),
            window: String::new(),
            form: Form::Unknown,
            bytes_max: limits.bytes_max,
            intake: Intake::new(sitemap, limits),
            is_done: false,
        }
    }

    /// Takes the next piece of the file. What is fed before [`next_entry`](Self::next_entry) has returned nothing
    /// waits in memory.
    pub fn feed(&mut self, piece: Bytes) {
        if !self.is_done {
            self.input.feed(piece);
        }
    }

    /// Says that the file has ended, or that no more of it can be had.
    pub fn finish(&mut self) {
        self.input.finish();
    }

    /// Returns the next entry, or nothing where more has to be fed first or all has been read.
    ///
    /// # Errors
    ///
    /// Returns a [`SitemapError`] where the file is no sitemap or breaks before its first address; after that
    /// there is nothing more. What breaks later ends the reading with a warning.
    pub fn next_entry(&mut self) -> Result<Option<SitemapEntry>, SitemapError> {
        loop {
            if let Some(entry) = self.intake.ready.pop_front() {
                return Ok(Some(entry));
            }
            if self.is_done || !self.advance().inspect_err(|_| self.is_done = true)? {
                return Ok(None);
            }
        }
    }

    /// Tells whether nothing more will come, however much is fed: the rest need not be fetched.
    pub fn is_done(&self) -> bool {
        self.is_done && self.intake.ready.is_empty()
    }

    /// Returns what is to be said so far of the sitemap as a whole.
    pub fn report(&self) -> SitemapReport {
        SitemapReport { expanded_bytes: self.input.expanded_bytes(), ..self.intake.report.clone() }
    }

    /// Reads one more piece of text, and returns whether there was any.
    fn advance(&mut self) -> Result<bool, SitemapError> {
        match self.input.pull(&mut self.window) {
            Ok(Pulled::Hungry) => return Ok(false),
            Ok(Pulled::Text) => {
                self.check_input();
                self.read(false)?;
                self.check_window()?;
            }
            Ok(Pulled::End) => {
                self.read(true)?;
                self.is_done = true;
            }
            Err(error) => self.break_off(error)?,
        }
        self.is_done |= self.intake.is_stopped;
        Ok(true)
    }

    /// Reads what is in the window.
    fn read(&mut self, is_final: bool) -> Result<(), SitemapError> {
        if matches!(self.form, Form::Unknown) {
            self.recognise(is_final)?;
        }
        let consumed = match &mut self.form {
            Form::Unknown => return Ok(()),
            Form::Xml(parser) => parser.parse(&self.window, is_final, &mut self.intake)?,
            Form::Lines(lines) => lines.parse(&self.window, is_final, &mut self.intake),
        };
        self.pass(consumed);
        Ok(())
    }

    fn recognise(&mut self, is_final: bool) -> Result<(), SitemapError> {
        match form::recognise(&self.window, is_final)? {
            Recognised::NotYet => {}
            Recognised::Lines => {
                self.intake.report.kind = Some(SitemapKind::Text);
                self.form = Form::Lines(Lines::default());
            }
            Recognised::Xml { before } => {
                if self.window[..before].contains(|char| !form::is_padding(char)) {
                    let place = Place { window: &self.window, at: 0 };
                    self.intake.warn(WarningKind::JunkBefore, place, &self.window[..before]);
                }
                self.pass(before);
                self.form = Form::Xml(XmlParser::default());
            }
        }
        Ok(())
    }

    /// Takes what has been read out of the window.
    fn pass(&mut self, consumed: usize) {
        self.intake.pass(&self.window[..consumed]);
        self.window.drain(..consumed);
    }

    /// Warns of what is wrong with the file as such.
    fn check_input(&mut self) {
        let place = Place { window: &self.window, at: 0 };
        let warned = |kind| self.intake.report.warnings.iter().any(|warning| warning.kind == kind);
        let expanded = self.input.expanded_bytes();
        let is_foreign = self.input.foreign_encoding().filter(|_| !warned(WarningKind::Encoding));
        if expanded > PROTOCOL_BYTES_MAX && !warned(WarningKind::TooManyBytes) {
            self.intake.warn(WarningKind::TooManyBytes, place, "");
        }
        if let Some(name) = is_foreign {
            self.intake.warn(WarningKind::Encoding, place, name);
        }
        if expanded > self.bytes_max {
            self.intake.warn(WarningKind::StoppedAtBytes, place, "");
            self.is_done = true;
        }
    }

    /// Gives up where something has begun that does not end.
    fn check_window(&mut self) -> Result<(), SitemapError> {
        let is_blank = matches!(self.form, Form::Unknown) && self.window.chars().all(form::is_padding);
        if is_blank {
            self.pass(self.window.len());
        }
        if self.window.len() <= WINDOW_BYTES_MAX {
            return Ok(());
        }
        let place = Place { window: &self.window, at: 0 };
        self.intake.stop(WarningKind::Overlong, place, &self.window[..self.window.floor_char_boundary(200)])
    }

    /// Reads what there is where the zipped data ends or breaks.
    fn break_off(&mut self, error: InputError) -> Result<(), SitemapError> {
        let (kind, reason) = match error {
            InputError::TooManyLayers => return Err(SitemapError::ZippedTooOften),
            InputError::CutShort => (WarningKind::Truncated, "it ends too early".to_owned()),
            InputError::Damaged(error) => (WarningKind::Damaged, error.to_string()),
        };
        let at_end = self.read(true);
        self.is_done = true;
        if self.intake.report.entries == 0 {
            return Err(at_end.err().filter(is_about_content).unwrap_or(SitemapError::Gzip { reason }));
        }
        self.intake.warn(kind, Place { window: &self.window, at: 0 }, &reason);
        Ok(())
    }
}

/// Tells whether an error says what a file is, rather than that it ends.
fn is_about_content(error: &SitemapError) -> bool {
    matches!(error, SitemapError::Html { .. } | SitemapError::UnknownRoot { .. })
}

/// Reads a sitemap that is in memory as a whole.
///
/// # Errors
///
/// As [`SitemapReader::next_entry`].
pub fn extract_sitemap(
    sitemap: &CanonicalUrl,
    body: Bytes,
    limits: SitemapLimits,
) -> Result<(Vec<SitemapEntry>, SitemapReport), SitemapError> {
    let mut reader = SitemapReader::new(sitemap.clone(), limits);
    reader.feed(body);
    reader.finish();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok((entries, reader.report()))
}

impl std::fmt::Debug for SitemapReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SitemapReader")
            .field("intake", &self.intake)
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
