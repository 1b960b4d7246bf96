//! What the elements of sitemaps and feeds mean, by their names and their place.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use super::report::SitemapKind;

/// Says what part of a sitemap or feed an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Root(SitemapKind),
    /// The element of RSS between the root and its items.
    Channel,
    Item(Item),
    Field(Field),
    /// A link of Atom, which has its address in an attribute.
    Link,
    /// A translation of the page.
    Alternate,
    Image,
    Video,
    News,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Url,
    Sitemap,
    Rss,
    Atom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Loc,
    /// An identifier that may be an address, for items of RSS without a link.
    Guid,
    Lastmod,
    /// When an entry of Atom was first published.
    Published,
    Changefreq,
    Priority,
}

/// Tells what an outermost element is, and of which kind of file; an item may have lost its root.
pub(super) fn root_of(local: &str) -> Option<(Part, SitemapKind)> {
    Some(match local {
        "urlset" => (Part::Root(SitemapKind::UrlSet), SitemapKind::UrlSet),
        "sitemapindex" => (Part::Root(SitemapKind::Index), SitemapKind::Index),
        "rss" | "RDF" => (Part::Root(SitemapKind::Rss), SitemapKind::Rss),
        "feed" => (Part::Root(SitemapKind::Atom), SitemapKind::Atom),
        "url" => (Part::Item(Item::Url), SitemapKind::UrlSet),
        "sitemap" => (Part::Item(Item::Sitemap), SitemapKind::Index),
        _ => return None,
    })
}

/// Tells what an element is that stands in another one.
pub(super) fn child_of(parent: Part, parent_name: &str, tag: &BytesStart<'_>) -> Part {
    let name = tag.name();
    let (prefix, local) = split(name.as_ref());
    match (parent, local) {
        (Part::Root(SitemapKind::UrlSet | SitemapKind::Index), "url") => Part::Item(Item::Url),
        (Part::Root(SitemapKind::UrlSet | SitemapKind::Index), "sitemap") => Part::Item(Item::Sitemap),
        (Part::Root(SitemapKind::UrlSet | SitemapKind::Index), "urlset" | "sitemapindex") => parent,
        (Part::Root(SitemapKind::Rss), "channel") => Part::Channel,
        (Part::Root(SitemapKind::Rss) | Part::Channel, "item") => Part::Item(Item::Rss),
        (Part::Root(SitemapKind::Atom), "entry") => Part::Item(Item::Atom),
        (Part::Item(item), _) => {
            // `<image:loc>` is not the item's address, even where its own parent is missing.
            let is_own = prefix.is_empty() || prefix == split(parent_name).0;
            child_of_item(item, is_own, local, tag)
        }
        _ => Part::Other,
    }
}

fn child_of_item(item: Item, is_own: bool, local: &str, tag: &BytesStart<'_>) -> Part {
    match (item, local) {
        (Item::Url | Item::Sitemap, "loc") if is_own => Part::Field(Field::Loc),
        (Item::Url | Item::Sitemap, "lastmod") if is_own => Part::Field(Field::Lastmod),
        (Item::Url, "changefreq") if is_own => Part::Field(Field::Changefreq),
        (Item::Url, "priority") if is_own => Part::Field(Field::Priority),
        (Item::Url, "link") => Part::Alternate,
        (Item::Url, "image") => Part::Image,
        (Item::Url, "video") => Part::Video,
        (Item::Url, "news") => Part::News,
        (Item::Rss, "link") if is_own => Part::Field(Field::Loc),
        (Item::Rss, "guid") if attribute(tag, "isPermaLink").as_deref() != Some("false") => {
            Part::Field(Field::Guid)
        }
        (Item::Rss, "pubDate" | "date") => Part::Field(Field::Lastmod),
        (Item::Atom, "link") if is_own => Part::Link,
        (Item::Atom, "updated" | "modified") => Part::Field(Field::Lastmod),
        (Item::Atom, "published" | "issued") => Part::Field(Field::Published),
        _ => Part::Other,
    }
}

/// Returns the value of an attribute; what cannot be unescaped is taken as it stands.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found =
        tag.html_attributes().with_checks(false).flatten().find(|entry| entry.key.as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0);
    Some(value.map_or_else(|_| found.value.to_string(), Cow::into_owned))
}

/// Tells whether an element says that it is of the sitemap protocol, in any of its versions.
pub(super) fn has_known_namespace(tag: &BytesStart<'_>) -> bool {
    const KNOWN: &[&str] = &["sitemaps.org/schemas/sitemap/", "google.com/schemas/sitemap/"];
    let is_known = |value: &str| KNOWN.iter().any(|known| value.contains(known));
    tag.html_attributes()
        .with_checks(false)
        .flatten()
        .any(|entry| entry.key.as_ref().starts_with("xmlns") && is_known(&entry.value))
}

/// Returns the name without its prefix.
pub(super) fn local_name(name: &str) -> &str {
    split(name).1
}

fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}
