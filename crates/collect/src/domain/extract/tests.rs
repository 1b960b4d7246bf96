//! What is read out of home pages.

use super::*;

fn read(html: &str) -> Home {
    extract_home(&CanonicalUrl::parse("https://www.canal.example/").unwrap(), html)
}

#[test]
fn home_page_tells_of_its_site() {
    insta::assert_json_snapshot!(read(include_str!("../../../tests/fixtures/home.html")));
}

#[test]
fn bare_page_has_at_least_the_usual_icon() {
    let home = read("");
    let icons: Vec<(&str, IconKind)> = home.icons.iter().map(|icon| (icon.url.as_str(), icon.kind)).collect();
    assert_eq!(icons, [("https://www.canal.example/favicon.ico", IconKind::Fallback)]);
    assert_eq!((home.title, home.feeds.len(), home.open_graph.len(), home.image), (None, 0, 0, None));
}

#[test]
fn usual_icon_is_not_named_twice() {
    let home = read("<link rel=icon href=favicon.ico><link rel='icon shortcut' href='/favicon.ico'>");
    let kinds: Vec<IconKind> = home.icons.iter().map(|icon| icon.kind).collect();
    assert_eq!(kinds, [IconKind::Icon]);
}

#[test]
fn icons_and_feeds_resolve_against_the_base() {
    let home = read("<base href=https://cdn.example/x/><link rel=icon href=i.png><link rel=feed href=f>");
    assert_eq!(home.icons[0].url.as_str(), "https://cdn.example/x/i.png");
    assert_eq!(
        (home.feeds[0].url.as_str(), home.feeds[0].kind),
        ("https://cdn.example/x/f", FeedKind::Unknown)
    );
}

#[test]
fn what_a_page_announces_is_bounded() {
    let html: String = (0..500)
        .map(|number| {
            format!(
                "<link rel=icon href=/{number}.png><meta property='og:field{number}' content=x>\
                 <link rel=alternate type=application/rss+xml href=/{number}.xml>"
            )
        })
        .collect();
    let home = read(&html);
    // One more than the limit of icons: the usual place is always named.
    assert_eq!(
        (home.icons.len(), home.feeds.len(), home.open_graph.len()),
        (ICONS_MAX + 1, FEEDS_MAX, FIELDS_MAX)
    );
}
