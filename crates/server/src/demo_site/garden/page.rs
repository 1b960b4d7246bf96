//! One page of the garden, and the frame that all pages share.

use axum::http::StatusCode;
use celeriac_protocol::Timestamp;

use super::phrases::Die;
use crate::demo_site::reply::{HTML, Reply};
use crate::demo_site::sitemap::escape;

/// The name that stands behind every title.
pub(super) const SITE: &str = "Marrowby Garden";

const STYLE: &str = include_str!("style.css");
const EMBLEM: &str = r#"<svg viewBox="0 0 32 32" width="32" height="32" aria-hidden="true"><path d="M16 13c5 0 9 3 9 8s-4 9-9 10c-5-1-9-5-9-10s4-8 9-8z" fill="var(--root)"/><path d="M16 14C13 9 8 8 5 9c2 4 6 6 11 5zm0 0c3-5 8-6 11-5-2 4-6 6-11 5zm0 0c-3-4-3-9 0-13 3 4 3 9 0 13z" fill="var(--leaf)"/><path d="M11 22c2 1 4 1 6 0M13 26c2 1 3 1 5 0" stroke="var(--paper)" stroke-width="1.2" fill="none" stroke-linecap="round"/></svg>"#;

/// The pages that every page leads to.
const MENU: &[(&str, &str)] = &[
    ("/crops/", "Crops"),
    ("/families/", "Families"),
    ("/garden/", "The garden"),
    ("/almanac/", "Almanac"),
    ("/guides/", "Guides"),
    ("/journal/", "Journal"),
    ("/visit/", "Visit"),
];

/// A path within the site, and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) text: String,
}

impl Link {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(super) fn html(&self) -> String {
        format!("<a href=\"{}\">{}</a>", self.path, self.text)
    }
}

/// In which sitemap a page is listed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Listing {
    Crops,
    Handbook,
    /// Found by following links only.
    Nowhere,
}

/// What a page says; the frame around it is the same everywhere.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) path: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) body: String,
    pub(super) listing: Listing,
    pub(super) updated: Timestamp,
    pub(super) hue: u16,
    pub(super) crumbs: Vec<Link>,
    pub(super) previous: Option<Link>,
    pub(super) next: Option<Link>,
    pub(super) related: Vec<Link>,
    /// What the page asks of robots, beyond the usual.
    pub(super) robots: Option<&'static str>,
    /// What kind of thing the page is, in OpenGraph's words.
    pub(super) kind: &'static str,
}

impl Page {
    /// Returns a page that is listed with the handbook; the rest is set by who makes it.
    pub(super) fn new(
        path: impl Into<String>,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let path = path.into();
        let updated = changed(&path);
        Self {
            path,
            title: title.into(),
            description: description.into(),
            body: String::new(),
            listing: Listing::Handbook,
            updated,
            hue: 96,
            crumbs: Vec::new(),
            previous: None,
            next: None,
            related: Vec::new(),
            robots: None,
            kind: "website",
        }
    }

    /// Returns the link by which other pages lead here.
    pub(super) fn link(&self) -> Link {
        Link::new(self.path.clone(), self.title.clone())
    }

    /// Returns the page as it is sent.
    pub(super) fn reply(&self, origin: &str) -> Reply {
        let html = self.render(origin);
        let etag = format!("\"{:08x}{:08x}\"", Die::of(&html).between(0, u32::MAX - 1), html.len());
        Reply::new(StatusCode::OK, HTML, html).validated_by(&etag, self.updated)
    }

    /// Writes the whole document.
    pub(super) fn render(&self, origin: &str) -> String {
        let Self { title, body, hue, .. } = self;
        let head = self.head(origin);
        let menu = MENU.iter().map(|(path, text)| self.menu_entry(path, text)).collect::<String>();
        let (crumbs, turn, related) = (self.crumbs(), self.turn(), self.related());
        format!(
            "<!doctype html>\n<html lang=\"en\" style=\"--hue:{hue}\">\n<head>\n{head}</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">To the text</a>\n\
             <header class=\"top\">\n<a class=\"brand\" href=\"/\">{EMBLEM}<span>{SITE}</span></a>\n\
             <nav aria-label=\"Main\"><ul>{menu}</ul></nav>\n</header>\n\
             <main id=\"main\">\n{crumbs}<h1>{title}</h1>\n{body}{related}{turn}</main>\n{FOOTER}</body>\n</html>\n"
        )
    }

    fn head(&self, origin: &str) -> String {
        let Self { path, kind, .. } = self;
        let title =
            if path == "/" { format!("{SITE}: {}", self.title) } else { format!("{} · {SITE}", self.title) };
        let (title, description) = (escape(&title), escape(&self.description));
        let robots = self
            .robots
            .map(|robots| format!("<meta name=\"robots\" content=\"{robots}\">\n"))
            .unwrap_or_default();
        let feed = match path == "/" || path.starts_with("/journal/") {
            true => {
                "<link rel=\"alternate\" type=\"application/atom+xml\" title=\"Journal\" href=\"/feed.atom\">\n"
            }
            false => "",
        };
        let turn = [("prev", &self.previous), ("next", &self.next)].map(|(rel, link)| {
            link.as_ref()
                .map(|link| format!("<link rel=\"{rel}\" href=\"{}\">\n", link.path))
                .unwrap_or_default()
        });
        format!(
            "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<meta name=\"description\" content=\"{description}\">\n{robots}\
             <link rel=\"canonical\" href=\"{origin}{path}\">\n\
             <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n{feed}{}\
             <meta property=\"og:site_name\" content=\"{SITE}\">\n<meta property=\"og:type\" content=\"{kind}\">\n\
             <meta property=\"og:title\" content=\"{}\">\n<meta property=\"og:description\" content=\"{description}\">\n\
             <meta property=\"og:url\" content=\"{origin}{path}\">\n<meta property=\"og:locale\" content=\"en_GB\">\n\
             <meta property=\"og:image\" content=\"{origin}/favicon.svg\">\n<style>{STYLE}</style>\n",
            turn.concat(),
            escape(&self.title),
        )
    }

    fn menu_entry(&self, path: &str, text: &str) -> String {
        let here = if self.path.starts_with(path) { " aria-current=\"true\"" } else { "" };
        format!("<li><a href=\"{path}\"{here}>{text}</a></li>")
    }

    fn crumbs(&self) -> String {
        if self.crumbs.is_empty() {
            return String::new();
        }
        let entries = self.crumbs.iter().map(|link| format!("<li>{}</li>", link.html())).collect::<String>();
        format!(
            "<nav class=\"crumbs\" aria-label=\"Where you are\"><ol><li><a href=\"/\">Home</a></li>{entries}</ol></nav>\n"
        )
    }

    fn related(&self) -> String {
        if self.related.is_empty() {
            return String::new();
        }
        let entries = self.related.iter().map(|link| format!("<li>{}</li>", link.html())).collect::<String>();
        format!("<aside class=\"related\"><h2>Read on</h2><ul>{entries}</ul></aside>\n")
    }

    fn turn(&self) -> String {
        let entry = |class: &str, word: &str, link: &Link| {
            format!(
                "<a class=\"{class}\" rel=\"{class}\" href=\"{}\"><small>{word}</small>{}</a>",
                link.path, link.text
            )
        };
        let previous = self.previous.as_ref().map(|link| entry("prev", "Before", link));
        let next = self.next.as_ref().map(|link| entry("next", "After", link));
        if previous.is_none() && next.is_none() {
            return String::new();
        }
        let (previous, next) = (previous.unwrap_or_default(), next.unwrap_or_default());
        format!("<nav class=\"turn\" aria-label=\"Turn the page\">{previous}{next}</nav>\n")
    }
}

/// Links each page to the one before and the one after it.
pub(super) fn bind(pages: &mut [Page]) {
    let links: Vec<Link> = pages.iter().map(Page::link).collect();
    for (number, page) in pages.iter_mut().enumerate() {
        page.previous = number.checked_sub(1).map(|before| links[before].clone());
        page.next = links.get(number + 1).cloned();
    }
}

/// Returns when a page was changed last: some day of 2026, settled by its path.
fn changed(path: &str) -> Timestamp {
    let mut die = Die::of(path);
    let days = i64::from(die.between(0, 300));
    let secs = i64::from(die.between(6 * 3_600, 18 * 3_600));
    // The first of January 2026.
    Timestamp::from_millis((1_767_225_600 + days * 86_400 + secs) * 1_000)
}

const FOOTER: &str = r#"<footer class="bottom">
<p>Marrowby Garden exists on this computer only. It is a site to practise collecting on: its texts were written for that, its
vegetables never grew, and <a href="/odd/">some of its pages misbehave on purpose</a>.</p>
<ul><li><a href="/about/">About</a></li><li><a href="/people/">People</a></li><li><a href="/feed.atom">Feed</a></li><li><a href="/sitemap.xml">Sitemap</a></li><li><a href="/robots.txt">robots.txt</a></li><li><a href="/private/rota/">Staff</a></li></ul>
</footer>
"#;

/// The picture in a browser's tab.
pub(super) const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M16 13c5 0 9 3 9 8s-4 9-9 10c-5-1-9-5-9-10s4-8 9-8z" fill="#d9b779"/><path d="M16 14C13 9 8 8 5 9c2 4 6 6 11 5zm0 0c3-5 8-6 11-5-2 4-6 6-11 5zm0 0c-3-4-3-9 0-13 3 4 3 9 0 13z" fill="#4f8a3c"/></svg>"##;
