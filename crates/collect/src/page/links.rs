//! Which links of a page lead to pages that are to be collected too.

use celeriac_protocol::Timestamp;

use super::entity::PageSource;
use super::extract::{Link, Page};
use super::found::FoundPage;
use crate::domain::scope::Scope;
use crate::settings::CollectSettings;
use crate::url::{CanonicalUrl, TrapRules, UrlTrap};

/// Endings of addresses that are never pages: asking for them would only bring bytes that are thrown away.
const NO_PAGES: &[&str] = &[
    "7z", "aac", "apk", "avi", "avif", "bin", "bmp", "bz2", "css", "deb", "dmg", "eot", "exe", "flac", "flv",
    "gif", "gz", "ico", "img", "iso", "jar", "jpeg", "jpg", "js", "m4a", "m4v", "mjs", "mkv", "mov", "mp3",
    "mp4", "mpeg", "mpg", "msi", "ogg", "ogv", "otf", "png", "rar", "rpm", "svg", "svgz", "tar", "tgz",
    "tif", "tiff", "ttf", "wasm", "wav", "webm", "webp", "wmv", "woff", "woff2", "xz", "zip", "zst",
];

/// What becomes of a page's links.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Those that lead to pages to be collected.
    pub(crate) pages: Vec<FoundPage>,
    /// How many lie within what is collected, whatever became of them.
    pub(crate) internal: u64,
    /// How many of those look endless.
    pub(crate) trapped: u64,
}

/// Sees to it that a crawl ends.
pub(crate) struct LinkRules<'a> {
    scope: &'a Scope,
    traps: TrapRules,
    depth_max: u32,
}

impl<'a> LinkRules<'a> {
    pub(crate) fn new(scope: &'a Scope, settings: &CollectSettings, now: Timestamp) -> Self {
        let this_year = now.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).year();
        Self { scope, traps: TrapRules::for_year(this_year), depth_max: settings.depth_max }
    }

    /// Returns the trap that an address leads into.
    pub(crate) fn trap(&self, url: &CanonicalUrl) -> Option<UrlTrap> {
        self.traps.check(url)
    }

    /// Chooses the links of a page that are to be collected.
    ///
    /// A page that asks for it (`nofollow`, for all or for this crawler) leads nowhere, and so does a link
    /// that says so of itself. Where a page wants to be known by another address, or sends its reader on,
    /// that counts as a link.
    pub(crate) fn follow(&self, page: &Page, at: &CanonicalUrl, depth: i32, nofollow: bool) -> Followed {
        let mut followed = Followed::default();
        let depth = depth.saturating_add(1);
        let is_deep = u32::try_from(depth).unwrap_or(0) > self.depth_max;
        let own = page.canonical.iter().map(|canonical| &canonical.url);
        let own = own.chain(page.refresh.iter().filter_map(|refresh| refresh.url.as_ref()));
        let own = own.map(|url| (url, true));
        let links = page.links.iter().map(|Link { url, rel, .. }| (url, !rel.nofollow));
        for (url, may_follow) in own.chain(links) {
            if !self.scope.contains(url) || url == at {
                continue;
            }
            followed.internal += 1;
            if self.trap(url).is_some() {
                followed.trapped += 1;
            } else if may_follow && !nofollow && !is_deep && may_be_page(url) {
                let found = FoundPage::new(url.clone(), PageSource::Link);
                followed.pages.push(FoundPage { depth, ..found });
            }
        }
        followed
    }
}

fn may_be_page(url: &CanonicalUrl) -> bool {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_none_or(|ending| NO_PAGES.binary_search(&ending.as_str()).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_images_and_archives_are_not_asked_for() {
        assert!(NO_PAGES.is_sorted(), "they are searched by halves");
        for (address, expected) in [
            ("https://a.example/", true),
            ("https://a.example/guide", true),
            ("https://a.example/guide.html", true),
            ("https://a.example/v1.2/notes", true),
            ("https://a.example/paper.pdf", true),
            ("https://a.example/photo.JPG", false),
            ("https://a.example/data.tar.gz", false),
            ("https://a.example/app.js?v=3", false),
        ] {
            assert_eq!(may_be_page(&CanonicalUrl::parse(address).unwrap()), expected, "{address}");
        }
    }
}
