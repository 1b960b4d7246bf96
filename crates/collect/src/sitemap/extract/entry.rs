//! What a sitemap says of one address.

use std::fmt;
use std::str::FromStr;

use celeriac_protocol::Timestamp;
use serde::Serialize;

use crate::url::{CanonicalUrl, LinkScope};

/// Is one address out of a sitemap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SitemapEntry {
    /// Where it leads.
    pub url: CanonicalUrl,
    /// Whether a page or another sitemap is there.
    pub target: EntryTarget,
    /// How far it lies from the sitemap. The protocol allows other hosts only where their robots.txt names
    /// this sitemap, so the caller decides.
    pub scope: LinkScope,
    /// When it last changed.
    pub lastmod: Option<Timestamp>,
    /// How often it changes.
    pub changefreq: Option<ChangeFrequency>,
    /// How much it matters among the pages of its site.
    pub priority: Option<Priority>,
    /// How many translations (`hreflang`) are named beside it.
    pub alternates: u32,
    /// How many images are named on it.
    pub images: u32,
    /// How many videos are named on it.
    pub videos: u32,
    /// Whether it is named as news.
    pub is_news: bool,
}

/// Says what stands at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryTarget {
    /// A page.
    Page,
    /// Another sitemap.
    Sitemap,
}

/// Says how often a page changes: the seven words of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeFrequency {
    /// At every look.
    Always,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
    /// Not any more: an archive.
    Never,
}

impl ChangeFrequency {
    /// All of them, from the most to the least frequent.
    pub const ALL: [Self; 7] =
        [Self::Always, Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly, Self::Never];

    /// Returns the protocol's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for ChangeFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the protocol's word in any case, with white space around it.
impl FromStr for ChangeFrequency {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|word| word.as_str().eq_ignore_ascii_case(text.trim())).ok_or(())
    }
}

/// Says how much a page matters among those of its site, in thousandths from 0 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Priority(u16);

impl Priority {
    /// What a page has that says nothing: 0.5.
    pub const DEFAULT: Self = Self(500);

    /// Returns the thousandths.
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

/// Reads a number from 0.0 to 1.0.
impl FromStr for Priority {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let value: f32 = text.trim().parse().map_err(|_| ())?;
        if !(0.0..=1.0).contains(&value) {
            return Err(());
        }
        Ok(Self((value * 1_000.0).round() as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_a_number_between_nought_and_one() {
        for (text, wanted) in [
            ("0.8", Some(800)),
            (" 1.0\n", Some(1_000)),
            ("0", Some(0)),
            ("0.123456", Some(123)),
            (".5", Some(500)),
            ("1.1", None),
            ("-0.1", None),
            ("0,8", None),
            ("NaN", None),
            ("high", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Priority>().ok().map(Priority::thousandths), wanted, "{text}");
        }
    }

    #[test]
    fn change_frequency_is_one_of_seven_words() {
        for word in ChangeFrequency::ALL {
            assert_eq!(format!(" {}", word.as_str().to_uppercase()).parse(), Ok(word));
        }
        assert_eq!("fortnightly".parse::<ChangeFrequency>(), Err(()));
    }
}
