//! Pages that misbehave on purpose, each in one way that a collector meets in the wild.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use axum::http::StatusCode;

use super::library::Library;
use super::page::{Link, Listing, Page};
use super::{Manner, Route};
use crate::demo_site::reply::{HTML, Reply};
use crate::demo_site::request_log::Earlier;

/// Answers 503 the first two times, counted over all runs of the site, and works from then on.
pub const FLAKY: &str = "/odd/flaky/";
/// Answers 500, always.
pub const FAILING: &str = "/odd/failing/";
/// Answers after four seconds.
pub const SLOW: &str = "/odd/slow/";
/// Moved for good, to a page that works (301).
pub const MOVED: &str = "/odd/moved/";
/// Three temporary redirects in a row, to a page that works (302).
pub const CHAIN: &str = "/odd/chain/1/";
/// Two redirects that lead to each other (302).
pub const LOOP: &str = "/odd/loop/a/";
/// Written in windows-1252, as its header says.
pub const LEGACY: &str = "/odd/legacy/";
/// Written in windows-1251, as only a tag inside of it says.
pub const LEGACY_TAG: &str = "/odd/legacy-tag/";
/// HTML that no validator would pass.
pub const BROKEN: &str = "/odd/broken/";
/// More than half a megabyte of one table.
pub const BIG: &str = "/odd/big/";
/// Linked, and not there (404).
pub const MISSING: &str = "/odd/missing/";
/// Was there once (410).
pub const GONE: &str = "/odd/gone/";
/// Asks not to be indexed.
pub const NOINDEX: &str = "/odd/noindex/";
/// Plain text, and no page at all.
pub const PLAIN: &str = "/odd/catalogue.txt";
/// Links to one page by six spellings of its address.
pub const SPELLINGS: &str = "/odd/spellings/";
/// The folder that robots.txt asks to stay out of.
pub const PRIVATE: &str = "/private/";
/// The first month of a calendar that has no last one.
pub const CALENDAR: &str = super::calendar::FIRST;

/// What the sitemap lists of these pages; the others are found by links.
pub(super) const LISTED: &[&str] = &[FLAKY, FAILING, SLOW, MOVED, LEGACY, LEGACY_TAG, BROKEN, BIG];

/// How often the flaky page fails before it works.
const FLAKY_FAILURES: u32 = 2;
const SLOW_FOR: Duration = Duration::from_secs(4);

const SHELF: &[(&str, &str, &str)] = &[
    (FLAKY, "Flaky", "Answers 503 the first two times it is asked, and then works."),
    (FAILING, "Failing", "Answers 500, whoever asks and however often."),
    (SLOW, "Slow", "Takes four seconds to begin."),
    (MOVED, "Moved", "Sends you on for good, to celeriac."),
    (CHAIN, "Chain", "Sends you on three times before there is anything to read."),
    (LOOP, "Loop", "Sends you to a page that sends you back."),
    (LEGACY, "Legacy", "Is written in windows-1252 and says so in its header."),
    (LEGACY_TAG, "Legacy, by a tag", "Is written in windows-1251 and says so only inside."),
    (BROKEN, "Broken", "Has tags that never close, and some that never opened."),
    (BIG, "Big", "Is one table of more than half a megabyte."),
    (MISSING, "Missing", "Is linked from here and is not there."),
    (GONE, "Gone", "Was there once, and says that it will not come back."),
    (NOINDEX, "Not to be indexed", "Can be read, and asks not to be kept."),
    (SPELLINGS, "Spellings", "Leads to one and the same page by six spellings of its address."),
    (PLAIN, "Plain", "Is a text file among pages."),
    (CALENDAR, "Calendar", "Has a next month, and one after that, and so on without end."),
];

/// Returns the pages that only look like the others: the shelf itself, and what stands behind it.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    vec![shelf(), spellings(), noindex(), staff(), big(library)]
}

/// Returns the paths that are answered in ways of their own.
pub(super) fn routes(library: &Library, origin: &str, earlier: &Earlier) -> Vec<(String, Route)> {
    let celeriac = &library.crops[0];
    let guide = library.guides[0].link().path;
    let hop = |path: &str| Reply::redirect(StatusCode::FOUND, path);
    let failed = earlier.get(&(FLAKY.to_owned(), 503)).copied().unwrap_or(0);
    let left = AtomicU32::new(FLAKY_FAILURES.saturating_sub(failed));
    let route = |path: &str, reply: Reply, manner: Manner| (path.to_owned(), Route { reply, manner });
    vec![
        route(MOVED, Reply::redirect(StatusCode::MOVED_PERMANENTLY, &celeriac.path()), Manner::AtOnce),
        route(CHAIN, hop("/odd/chain/2/"), Manner::AtOnce),
        route("/odd/chain/2/", hop("/odd/chain/3/"), Manner::AtOnce),
        route("/odd/chain/3/", hop(&guide), Manner::AtOnce),
        route(LOOP, hop("/odd/loop/b/"), Manner::AtOnce),
        route("/odd/loop/b/", hop(LOOP), Manner::AtOnce),
        route(FLAKY, flaky().reply(origin), Manner::BusyAtFirst(left)),
        route(SLOW, slow().reply(origin), Manner::Late(SLOW_FOR)),
        route(FAILING, failing(origin), Manner::AtOnce),
        route(GONE, gone(origin), Manner::AtOnce),
        route(LEGACY, Reply::ok("text/html; charset=windows-1252", legacy()), Manner::AtOnce),
        route(LEGACY_TAG, Reply::ok("text/html", legacy_tag()), Manner::AtOnce),
        route(BROKEN, Reply::ok(HTML, BROKEN_HTML), Manner::AtOnce),
        route(PLAIN, Reply::text(StatusCode::OK, plain(library)), Manner::AtOnce),
    ]
}

/// Returns what the flaky page answers before it works.
pub(super) fn busy(origin: &str) -> Reply {
    let page = odd("/odd/flaky/", "Too much to do", "Somebody is busy. Ask again.");
    Reply::new(StatusCode::SERVICE_UNAVAILABLE, HTML, page.render(origin))
}

fn odd(path: &str, title: &str, text: &str) -> Page {
    let mut page = Page::new(path, title, text);
    page.listing = Listing::Nowhere;
    page.crumbs = vec![Link::new("/odd/", "Odd pages")];
    page.body = format!("<p class=\"lead\">{text}</p>\n");
    page
}

fn shelf() -> Page {
    let text = "Every site has a few pages like these. Here they stand on one shelf, so that you can see what becomes of them.";
    let mut page = Page::new("/odd/", "Pages that misbehave", text);
    let entries = SHELF.iter().map(|(path, name, does)| {
        format!("<li><h2><a href=\"{path}\">{name}</a></h2><p>{does}</p><p class=\"fine\"><code>{path}</code></p></li>\n")
    });
    let entries = entries.collect::<String>();
    page.body = format!("<p class=\"lead\">{text}</p>\n<ul class=\"cards two\">\n{entries}</ul>\n");
    page.related = vec![Link::new("/about/", "About this garden")];
    page
}

/// A page that leads to the same places by other spellings, as careless links do.
fn spellings() -> Page {
    let mut page = odd(
        "/odd/spellings/",
        "One page, many spellings",
        "All of these links lead to the same page about celeriac.",
    );
    let spellings = [
        "/crops/celeriac/#kitchen",
        "/crops/celeriac/?utm_source=garden&amp;utm_medium=link",
        "/crops/./celeriac/",
        "/guides/../crops/celeriac/",
        "/crops/%63eleriac/",
        "../../crops/celeriac/",
    ];
    let entries =
        spellings.map(|path| format!("<li><a href=\"{path}\"><code>{path}</code></a></li>\n")).concat();
    page.body.push_str(&format!("<ul>\n{entries}</ul>\n"));
    page.listing = Listing::Handbook;
    page
}

fn noindex() -> Page {
    let mut page = odd(
        NOINDEX,
        "Not to be indexed",
        "You may read this page and follow its links, but please do not keep it.",
    );
    page.robots = Some("noindex, follow");
    page
}

fn staff() -> Page {
    let mut page = odd(
        "/private/rota/",
        "Rota",
        "Who waters on which day. robots.txt asks robots to stay out of this folder.",
    );
    page.crumbs = Vec::new();
    page
}

fn flaky() -> Page {
    odd(
        FLAKY,
        "Flaky",
        "This page failed twice and works now. Whoever reads this asked at least three times.",
    )
}

fn slow() -> Page {
    odd(SLOW, "Slow", "This page took four seconds to begin. Nobody else should have had to wait for it.")
}

fn failing(origin: &str) -> Reply {
    let page = odd(FAILING, "Something broke", "This page has never worked, and asking again will not help.");
    Reply::new(StatusCode::INTERNAL_SERVER_ERROR, HTML, page.render(origin))
}

fn gone(origin: &str) -> Reply {
    let page = odd(GONE, "Gone", "There was a page here, and it will not come back.");
    Reply::new(StatusCode::GONE, HTML, page.render(origin))
}

fn big(library: &Library) -> Page {
    let mut page = odd(
        BIG,
        "Every trial of every year",
        "Every trial of every variety in every bed, in one table, because somebody asked for it.",
    );
    page.body.push_str("<table>\n<thead><tr><th>Crop</th><th>Variety</th><th>Year</th><th>Bed</th><th>Came up</th><th>Days</th><th>Harvest</th></tr></thead>\n<tbody>\n");
    for crop in &library.crops {
        for variety in &crop.varieties {
            for (number, trial) in variety.trials.iter().cycle().take(30).enumerate() {
                let place = Library::nth(&library.places, trial.place + number / 5).name;
                let (name, link, year) =
                    (crop.name, variety.link().html(), trial.year - u32::try_from(number / 5).unwrap_or(0));
                let row = format!(
                    "<tr><td>{name}</td><td>{link}</td><td>{year}</td><td>{place}</td><td>{} %</td><td>{}</td><td>{}</td></tr>\n",
                    trial.sprouted_percent,
                    trial.days,
                    trial.weight()
                );
                page.body.push_str(&row);
            }
        }
    }
    page.body.push_str("</tbody>\n</table>\n");
    page
}

fn plain(library: &Library) -> String {
    let lines = library
        .crops
        .iter()
        .map(|crop| format!("{:<12} {:<36} sow {}\n", crop.name, crop.latin, crop.sow.in_words()));
    format!("MARROWBY GARDEN, THE CATALOGUE IN SHORT\n\n{}", lines.collect::<String>())
}

/// Writes a page as it was written in the year 2000.
fn legacy() -> Vec<u8> {
    windows_1252(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\">\n<html lang=\"en\">\n<head>\n\
         <title>Crème de céleri – a card from 1998</title>\n\
         <meta name=\"description\" content=\"A recipe card for crème de céleri, for €4 and four people.\">\n</head>\n<body>\n\
         <h1>Crème de céleri</h1>\n<p>“Prenez un céleri-rave, épluchez-le…” – so begins the card that Zoë sent us from Orléans for 4 €. \
         Brûlée or not, it is naïve to leave out the crème fraîche.</p>\n<p><a href=\"/crops/celeriac/\">Céleri-rave</a></p>\n</body>\n</html>\n",
    )
}

/// Writes a page whose charset only the page itself names.
fn legacy_tag() -> Vec<u8> {
    windows_1251(
        "<!DOCTYPE html>\n<html lang=\"ru\">\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1251\">\n\
         <title>Сельдерей на нашем огороде</title>\n<meta name=\"description\" content=\"Письмо о корневом сельдерее.\">\n</head>\n<body>\n\
         <h1>Сельдерей на нашем огороде</h1>\n<p>Сеем в феврале, сажаем в мае, копаем в октябре. Корень белый и душистый.</p>\n\
         <p><a href=\"/crops/celeriac/\">Сельдерей</a></p>\n</body>\n</html>\n",
    )
}

/// Encodes text by WHATWG's windows-1252; what has no place there becomes a question mark.
fn windows_1252(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        '€' => 0x80,
        '…' => 0x85,
        '“' => 0x93,
        '”' => 0x94,
        '–' => 0x96,
        other => u8::try_from(u32::from(other)).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

/// Encodes text by WHATWG's windows-1251, in which the alphabet stands in one piece.
fn windows_1251(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        'А'..='я' => u8::try_from(u32::from(c) - u32::from('А') + 0xc0).unwrap_or(b'?'),
        other => u8::try_from(u32::from(other)).ok().filter(u8::is_ascii).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

const BROKEN_HTML: &str = "<html><head><title>Patched together\n</title>\n<meta name=description content='A page that was edited by nine people'>\n\
<link rel=canonical href=/odd/broken/>\n<body bgcolor=white>\n</div>\n<h1>Patched <b>together</h1>\n\
<p>This page was edited by nine people & a cat.\n<p>Somebody opened a <i>tag and <b>another</i> one</b>, and nobody closed <u>this one.\n\
<table><tr><td>A cell<td>Another<tr>text where no text may be<td>A third</table>\n\
<ul><li>First<li><a href=/crops/leek/>Leeks, without quotes<li><a href=\"/crops/kale/?a=1&b=2\">Kale</a>\n\
<a href='/crops/swede/'>Swede<a href=\"/crops/onion/\" href=\"/nowhere/\">Onion</a>\n\
<p id=one id=two class=\"x>Where this paragraph ends is anybody's guess\">\n<script>if (1 < 2) { document.write('<p>written</p>') }</script>\n\
<!-- a comment that nobody ended\n<p>lost</p>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_pages_are_in_the_charset_that_they_name() {
        let bytes = legacy();
        let (text, _, wrong) = encoding_rs::WINDOWS_1252.decode(&bytes);
        assert!(
            !wrong
                && text.contains("<h1>Crème de céleri</h1>")
                && text.contains("“Prenez")
                && text.contains("4 €")
        );
        let bytes = legacy_tag();
        let (text, _, wrong) = encoding_rs::WINDOWS_1251.decode(&bytes);
        assert!(!wrong && text.contains("<h1>Сельдерей на нашем огороде</h1>"), "{text}");
        assert!(!legacy().contains(&b'?') && !legacy_tag().contains(&b'?'));
    }
}
