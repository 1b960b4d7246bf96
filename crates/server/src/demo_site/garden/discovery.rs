//! What a site tells machines about itself: robots.txt, sitemaps, a feed, an icon.

use axum::http::StatusCode;

use super::page::{ICON, Listing, Page, SITE};
use super::{Route, journal, odd};
use crate::demo_site::date;
use crate::demo_site::reply::{Reply, XML};
use crate::demo_site::sitemap::{self, Listed, escape};

/// How many notes the feed holds.
const FEED_NOTES: usize = 20;

/// Returns the files beside the pages, by their paths.
pub(super) fn files(origin: &str, pages: &[Page]) -> Vec<(String, Route)> {
    let listed = |listing: Listing| {
        pages.iter().filter(move |page| page.listing == listing).map(|page| listed(origin, page))
    };
    let crops = sitemap::part(listed(Listing::Crops));
    let odd = odd::LISTED.iter().map(|path| Listed {
        location: format!("{origin}{path}"),
        modified: "2026-06-01".to_owned(),
        rhythm: None,
    });
    let handbook = sitemap::part(listed(Listing::Handbook).chain(odd));
    let index = sitemap::index(["crops.xml", "handbook.xml.gz"].map(|name| {
        let newest = pages.iter().map(|page| page.updated).max().unwrap_or_default();
        (format!("{origin}/sitemaps/{name}"), date::w3c(newest))
    }));
    let files = [
        ("/robots.txt", Reply::text(StatusCode::OK, robots(origin))),
        ("/sitemap.xml", Reply::ok(XML, index)),
        ("/sitemaps/crops.xml", Reply::ok(XML, crops)),
        ("/sitemaps/handbook.xml.gz", Reply::ok("application/gzip", sitemap::gzip(&handbook))),
        ("/feed.atom", Reply::ok("application/atom+xml", feed(origin, pages))),
        ("/favicon.svg", Reply::ok("image/svg+xml", ICON)),
        ("/favicon.ico", Reply::redirect(StatusCode::MOVED_PERMANENTLY, "/favicon.svg")),
    ];
    files.into_iter().map(|(path, reply)| (path.to_owned(), Route::at_once(reply))).collect()
}

fn robots(origin: &str) -> String {
    format!(
        "# Marrowby Garden welcomes robots that keep to the paths.\n\nUser-agent: *\nCrawl-delay: 0.02\nDisallow: {}\n\n\
         Sitemap: {origin}/sitemap.xml\n",
        odd::PRIVATE
    )
}

fn listed(origin: &str, page: &Page) -> Listed {
    let rhythm = match page.path.as_str() {
        "/" => ("daily", 10),
        path if path.starts_with("/journal/2") => ("yearly", 3),
        path if path.matches('/').count() <= 2 => ("weekly", 8),
        _ => ("monthly", 5),
    };
    Listed {
        location: format!("{origin}{}", page.path),
        modified: date::w3c(page.updated),
        rhythm: Some(rhythm),
    }
}

/// Writes the feed of the journal (Atom, RFC 4287).
fn feed(origin: &str, pages: &[Page]) -> String {
    let notes: Vec<&Page> = journal::notes(pages).take(FEED_NOTES).collect();
    let updated = notes.first().map_or_else(String::new, |note| date::w3c(note.updated));
    let entries = notes.iter().map(|note| {
        let (title, summary, at) = (escape(&note.title), escape(&note.description), date::w3c(note.updated));
        format!(
            "<entry><title>{title}</title><id>{origin}{path}</id><link href=\"{origin}{path}\"/><updated>{at}</updated>\
             <published>{at}</published><summary>{summary}</summary></entry>\n",
            path = note.path
        )
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">\n\
         <title>{SITE}: journal</title>\n<id>{origin}/journal/</id>\n<link href=\"{origin}/journal/\"/>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{origin}/feed.atom\"/>\n<updated>{updated}</updated>\n\
         <author><name>{SITE}</name></author>\n{}</feed>\n",
        entries.collect::<String>()
    )
}
