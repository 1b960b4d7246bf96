//! What is to be said of a sitemap as a whole: what it was, what was wrong with it, or why it is none.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// How much of a wrong value a warning repeats, in characters.
const SAMPLE_CHARS_MAX: usize = 120;

/// Says in which form a list of addresses was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SitemapKind {
    /// `<urlset>` of the sitemap protocol.
    UrlSet,
    /// `<sitemapindex>` of the sitemap protocol.
    Index,
    /// One address in each line.
    Text,
    /// An RSS feed, 2.0 or 1.0.
    Rss,
    /// An Atom feed.
    Atom,
}

/// Holds what is to be said of a sitemap once it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SitemapReport {
    /// In which form it was written; nothing where that never showed.
    pub kind: Option<SitemapKind>,
    /// How many addresses were handed out.
    pub entries: u64,
    /// How many were left out, because their address was missing or wrong.
    pub skipped: u64,
    /// How many bytes there were after unzipping.
    pub expanded_bytes: u64,
    /// What was wrong, each kind once, in the order in which it first showed.
    pub warnings: Vec<SitemapWarning>,
}

/// Is something wrong in a sitemap that did not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SitemapWarning {
    /// What is wrong.
    pub kind: WarningKind,
    /// In which line it first showed, counted from 1.
    pub line: u64,
    /// At which byte of the unzipped text it first showed, counted from 0.
    pub byte: u64,
    /// How often it showed.
    pub count: u64,
    /// The first value that was wrong.
    pub sample: Option<String>,
}

/// Says what is wrong in a sitemap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// The file ends in the middle; what came before was kept.
    Truncated,
    /// The zipped data is damaged; what came before was kept.
    Damaged,
    /// A tag or value is longer than anything sensible; what came before was kept.
    Overlong,
    /// Tags that do not fit together.
    Malformed,
    /// Something stands before the beginning of the XML.
    JunkBefore,
    /// The outer element is missing.
    NoRoot,
    /// The namespace is missing or not the protocol's.
    Namespace,
    /// The file is not in UTF-8.
    Encoding,
    /// An entity that is not of XML itself; it is never expanded.
    Entity,
    /// An item without an address.
    MissingLoc,
    /// An address that cannot be one.
    InvalidLoc,
    /// An address that is not absolute; it was resolved against the sitemap's.
    RelativeLoc,
    /// The sitemap names itself.
    SelfReference,
    /// A `lastmod` that is no moment; the address was kept.
    InvalidLastmod,
    /// A `changefreq` that is none of the seven words; the address was kept.
    InvalidChangefreq,
    /// A `priority` that is not between 0 and 1; the address was kept.
    InvalidPriority,
    /// More addresses than the protocol allows in one file.
    TooManyEntries,
    /// More bytes than the protocol allows in one file.
    TooManyBytes,
    /// The reading was stopped at the limit of addresses.
    StoppedAtEntries,
    /// The reading was stopped at the limit of bytes.
    StoppedAtBytes,
}

/// Says why a file is no sitemap at all, in words for the row's error column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SitemapError {
    /// The file has nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A page came instead: most often the server's way to say that the file does not exist.
    #[error("the server sent an HTML page{} instead of a sitemap", titled(.title.as_deref()))]
    Html {
        /// The page's title.
        title: Option<String>,
    },
    /// XML of some other kind.
    #[error("the file is XML, but `<{root}>` is not the beginning of a sitemap or feed")]
    UnknownRoot {
        /// Its outermost element.
        root: String,
    },
    /// Neither XML nor a list of addresses.
    #[error("the file is neither XML nor a list of addresses; it begins with `{beginning}`")]
    Unrecognised {
        /// Its first characters.
        beginning: String,
    },
    /// The XML breaks before the first address.
    #[error("the XML breaks in line {line} (byte {byte}) before the first address: {reason}")]
    Broken {
        /// The line, counted from 1.
        line: u64,
        /// The byte of the unzipped text, counted from 0.
        byte: u64,
        /// What broke.
        reason: String,
    },
    /// The zipped data ends or breaks before the first address.
    #[error("the gzip data is damaged before the first address: {reason}")]
    Gzip {
        /// What broke.
        reason: String,
    },
    /// A file in a file in a file.
    #[error("the file is zipped more than twice")]
    ZippedTooOften,
}

impl SitemapWarning {
    pub(super) fn new(kind: WarningKind, line: u64, byte: u64, sample: &str) -> Self {
        let sample = Some(shown(sample, SAMPLE_CHARS_MAX)).filter(|sample| !sample.is_empty());
        Self { kind, line, byte, count: 1, sample }
    }
}

/// Writes a warning as one sentence that a person understands.
impl fmt::Display for SitemapWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}", self.kind, self.line)?;
        if let Some(sample) = &self.sample {
            write!(f, " (`{sample}`)")?;
        }
        if self.count > 1 { write!(f, " and {} more", self.count - 1) } else { Ok(()) }
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the file breaks off",
            Self::Damaged => "the gzip data is damaged",
            Self::Overlong => "a tag or value is too long to be read",
            Self::Malformed => "tags do not fit together",
            Self::JunkBefore => "something stands before the XML",
            Self::NoRoot => "the outer element is missing",
            Self::Namespace => "the namespace is not the sitemap protocol's",
            Self::Encoding => "the file is not in UTF-8",
            Self::Entity => "an unknown entity was not expanded",
            Self::MissingLoc => "an item has no address",
            Self::InvalidLoc => "an address is not valid",
            Self::RelativeLoc => "an address is not absolute",
            Self::SelfReference => "the sitemap names itself",
            Self::InvalidLastmod => "lastmod is not a moment",
            Self::InvalidChangefreq => "changefreq is not one of the seven words",
            Self::InvalidPriority => "priority is not between 0 and 1",
            Self::TooManyEntries => "more than 50,000 addresses in one file",
            Self::TooManyBytes => "more than 50 MiB in one file",
            Self::StoppedAtEntries => "reading stopped at the limit of addresses",
            Self::StoppedAtBytes => "reading stopped at the limit of bytes",
        })
    }
}

/// Returns the beginning of a text in a form that can be shown: one line, no control characters.
pub(super) fn shown(text: &str, chars_max: usize) -> String {
    let visible = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let beginning: String = visible.take(chars_max).collect();
    beginning.trim().to_owned()
}

fn titled(title: Option<&str>) -> String {
    title.map(|title| format!(" (\"{title}\")")).unwrap_or_default()
}
