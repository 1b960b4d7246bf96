//! From a home page to what is known of a site. No IO.

use serde::Serialize;

use crate::html::{Document, LinkTag, clipped};
use crate::page::extract::CanonicalLink;
use crate::url::{CanonicalUrl, Resolver};

/// How many icons, feeds, and fields of a share card are kept.
const ICONS_MAX: usize = 32;
const FEEDS_MAX: usize = 64;
const FIELDS_MAX: usize = 64;

/// How much of a card's field or of a short label is kept, in characters.
const FIELD_CHARS_MAX: usize = 2_000;
const LABEL_CHARS_MAX: usize = 300;

/// Holds what a home page says of its site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Home {
    /// The title, else the title for sharing, else the first heading.
    pub title: Option<String>,
    /// The description, else the description for sharing.
    pub description: Option<String>,
    /// The address that the page wants to be known by.
    pub canonical: Option<CanonicalLink>,
    /// The language as a tag of BCP 47.
    pub language: Option<String>,
    /// The name of the site, from the share card or as an application's name.
    pub site_name: Option<String>,
    /// What made the page.
    pub generator: Option<String>,
    /// Icons in the order of the page, and at the end the place where browsers look unasked.
    pub icons: Vec<Icon>,
    /// Feeds in the order of the page.
    pub feeds: Vec<Feed>,
    /// The fields of the OpenGraph card without their prefix `og:`, in the order of the page.
    pub open_graph: Vec<CardField>,
    /// The fields of the Twitter card without their prefix `twitter:`, in the order of the page.
    pub twitter: Vec<CardField>,
    /// The image of the share card.
    pub image: Option<CanonicalUrl>,
}

/// Is an image that may stand for the site. One that is written into the page as `data:` is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Icon {
    /// Where it is.
    pub url: CanonicalUrl,
    /// What it is meant for.
    pub kind: IconKind,
    /// Its sizes as the page gives them: `32x32`, `any`.
    pub sizes: Option<String>,
    /// Its media type as the page gives it.
    pub media_type: Option<String>,
}

/// Says what an icon is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IconKind {
    /// A tab or a bookmark.
    Icon,
    /// A phone's home screen.
    AppleTouch,
    /// A pinned tab, in one colour.
    Mask,
    /// Nothing said so: `/favicon.ico`, which may not exist.
    Fallback,
}

/// Is a feed that the page announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feed {
    /// Where it is.
    pub url: CanonicalUrl,
    /// What the page says it is.
    pub kind: FeedKind,
    /// What the page calls it.
    pub title: Option<String>,
}

/// Says what a page takes its feed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// RSS 2.0 or 1.0.
    Rss,
    /// Atom.
    Atom,
    /// JSON Feed.
    Json,
    /// The page does not say.
    Unknown,
}

/// Is one field of a share card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardField {
    /// Its name without the card's prefix: `title`, `image:width`.
    pub name: String,
    /// Its value as it stands there.
    pub value: String,
}

/// Reads a home page. Whatever the text is, something comes of it: at the least the place of the usual icon.
pub fn extract_home(url: &CanonicalUrl, html: &str) -> Home {
    let document = Document::read(html);
    let resolver = Resolver::new(url, document.base_href.as_deref());
    let label = |name| document.meta(name).and_then(|content| clipped(content, LABEL_CHARS_MAX));
    Home {
        title: document.best_title(),
        description: document.best_description(),
        canonical: document
            .canonical(&resolver)
            .map(|found| CanonicalLink { scope: url.scope_of(&found), url: found }),
        language: document.best_language(),
        site_name: label("og:site_name").or_else(|| label("application-name")),
        generator: label("generator"),
        icons: icons(&document, &resolver, url),
        feeds: feeds(&document, &resolver),
        open_graph: card(&document, "og:"),
        twitter: card(&document, "twitter:"),
        image: card_image(&document, &resolver),
    }
}

fn icons(document: &Document, resolver: &Resolver, home: &CanonicalUrl) -> Vec<Icon> {
    let mut icons: Vec<Icon> = Vec::new();
    for link in &document.link_tags {
        let (Some(kind), Ok(url)) = (icon_kind(link), resolver.resolve(&link.href)) else { continue };
        let is_known = icons.iter().any(|icon| icon.url == url);
        if icons.len() < ICONS_MAX && !is_known {
            let sizes = link.sizes.as_deref().and_then(|sizes| clipped(sizes, LABEL_CHARS_MAX));
            let media_type =
                link.media_type.as_deref().and_then(|media_type| clipped(media_type, LABEL_CHARS_MAX));
            icons.push(Icon { url, kind, sizes, media_type });
        }
    }
    let usual = home.resolve("/favicon.ico").ok().filter(|usual| icons.iter().all(|icon| icon.url != *usual));
    icons.extend(usual.map(|url| Icon { url, kind: IconKind::Fallback, sizes: None, media_type: None }));
    icons
}

fn icon_kind(link: &LinkTag) -> Option<IconKind> {
    if link.has_rel("icon") {
        Some(IconKind::Icon)
    } else if link.has_rel("apple-touch-icon") || link.has_rel("apple-touch-icon-precomposed") {
        Some(IconKind::AppleTouch)
    } else if link.has_rel("mask-icon") {
        Some(IconKind::Mask)
    } else {
        None
    }
}

fn feeds(document: &Document, resolver: &Resolver) -> Vec<Feed> {
    let mut feeds: Vec<Feed> = Vec::new();
    for link in &document.link_tags {
        let (Some(kind), Ok(url)) = (feed_kind(link), resolver.resolve(&link.href)) else { continue };
        if feeds.len() < FEEDS_MAX && feeds.iter().all(|feed| feed.url != url) {
            let title = link.title.as_deref().and_then(|title| clipped(title, LABEL_CHARS_MAX));
            feeds.push(Feed { url, kind, title });
        }
    }
    feeds
}

/// Tells whether a link is a feed's. Plain `application/json` is not taken for one: blogs announce their API so.
fn feed_kind(link: &LinkTag) -> Option<FeedKind> {
    let media_type =
        link.media_type.as_deref().and_then(|full| full.split(';').next()).unwrap_or_default().trim();
    let kind = match media_type {
        "application/rss+xml" | "application/rdf+xml" | "text/rss" | "application/x-rss+xml" => {
            Some(FeedKind::Rss)
        }
        "application/atom+xml" => Some(FeedKind::Atom),
        "application/feed+json" => Some(FeedKind::Json),
        _ => None,
    };
    if link.has_rel("feed") {
        return Some(kind.unwrap_or(FeedKind::Unknown));
    }
    kind.filter(|_| link.has_rel("alternate"))
}

fn card(document: &Document, prefix: &str) -> Vec<CardField> {
    let field = |name: &str, content: &str| {
        let name = clipped(name.strip_prefix(prefix)?, LABEL_CHARS_MAX)?;
        Some(CardField { name, value: clipped(content, FIELD_CHARS_MAX)? })
    };
    document
        .metas
        .iter()
        .filter(|meta| !meta.is_http_equiv)
        .filter_map(|meta| field(&meta.name, &meta.content))
        .take(FIELDS_MAX)
        .collect()
}

fn card_image(document: &Document, resolver: &Resolver) -> Option<CanonicalUrl> {
    ["og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src"]
        .into_iter()
        .filter_map(|name| document.meta(name))
        .find_map(|content| resolver.resolve(content).ok())
}

#[cfg(test)]
mod tests;
