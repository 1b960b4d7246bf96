//! What whole files mean for one crawler.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "Celeriac";

fn parse(text: impl AsRef<[u8]>) -> Robots {
    Robots::parse(text.as_ref(), TOKEN)
}

fn allows(robots: &Robots, path: &str) -> bool {
    robots.allows(&Url::parse("https://example.com").unwrap().join(path).unwrap())
}

/// Checks which of the paths are allowed; a path with a leading `!` is expected to be disallowed.
fn check(text: impl AsRef<[u8]>, paths: &[&str]) {
    let robots = parse(&text);
    for path in paths {
        let (path, expected) = path.strip_prefix('!').map_or((*path, true), |path| (path, false));
        assert_eq!(allows(&robots, path), expected, "{path} by {:?}", String::from_utf8_lossy(text.as_ref()));
    }
}

#[test]
fn the_group_is_found_by_product_token_and_falls_back_to_everybody() {
    let file = "User-agent: *\nDisallow: /all\n\nUser-agent: celeriac\nDisallow: /own\n\nUser-agent: other\nDisallow: /";
    check(file, &["/all", "!/own", "/"]);
    check(file.replace("celeriac", "CELERIAC/2.1"), &["/all", "!/own"]);
    check(file.replace("celeriac", "celeriac-news"), &["!/all", "/own"]);
    check(file.replace("celeriac", "cele"), &["!/all", "/own"]);
    check("User-agent: other\nDisallow: /", &["/"]);
    check("User-agent: * # everybody\nDisallow: /", &["!/"]);
}

#[test]
fn groups_of_the_same_crawler_are_merged() {
    check(
        "User-agent: celeriac\nDisallow: /a\nUser-agent: x\nDisallow: /x\nUser-agent: celeriac\nDisallow: /b",
        &["!/a", "!/b", "/x"],
    );
    check("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", &["!/a", "!/b"]);
}

#[test]
fn a_group_can_name_several_crawlers() {
    check("User-agent: x\nUser-agent: celeriac\n\nUser-agent: y\nDisallow: /a", &["!/a", "/b"]);
    check("User-agent: celeriac\nSitemap: https://example.com/s.xml\nUser-agent: y\nDisallow: /a", &["!/a"]);
}

#[test]
fn lines_of_a_group_end_its_list_of_crawlers() {
    for line in ["Crawl-delay: 10", "Disallow:", "Allow: /", "Request-rate: 1/5", "Noindex: /x"] {
        check(format!("User-agent: *\n{line}\n\nUser-agent: BadBot\nDisallow: /"), &["/"]);
    }
}

#[test]
fn a_group_of_its_own_without_rules_frees_the_crawler() {
    check("User-agent: *\nDisallow: /\n\nUser-agent: celeriac\nDisallow:", &["/", "/a"]);
    check("User-agent: *\nDisallow: /\n\nUser-agent: celeriac", &["/", "/a"]);
}

#[test]
fn the_longest_match_decides_and_allow_wins_ties() {
    check("User-agent: *\nDisallow: /\nAllow: /a\nDisallow: /a/b", &["!/", "/a", "!/a/b", "/a/c"]);
    check("User-agent: *\nAllow: /a/b\nDisallow: /a", &["!/a", "/a/b/c"]);
    check("User-agent: *\nDisallow: /page\nAllow: /page", &["/page"]);
    check("User-agent: *\nAllow: /page\nDisallow: /*.htm", &["!/page.htm", "/page"]);
    check("User-agent: *\nAllow: /$\nDisallow: /", &["/", "!/page.htm"]);
    check("User-agent: *\nDisallow: /ツ\nAllow: /%E3%83%84/a", &["!/ツ/b", "/ツ/a"]);
}

#[test]
fn robots_txt_itself_may_always_be_asked_for() {
    check(
        "User-agent: *\nDisallow: /",
        &["/robots.txt", "/robots.txt?x", "!/robots.txt.bak", "!/a/robots.txt"],
    );
}

#[test]
fn rules_before_any_crawler_mean_nothing() {
    check("Disallow: /\nUser-agent: *\nDisallow: /a", &["/", "!/a"]);
}

#[test]
fn byte_order_marks_are_dropped_even_broken_ones() {
    let file = b"User-agent: *\nDisallow: /a";
    for mark in [&b""[..], b"\xEF", b"\xEF\xBB", b"\xEF\xBB\xBF"] {
        check([mark, file].concat(), &["!/a", "/b"]);
    }
    let text = String::from_utf8_lossy(file);
    let little: Vec<u8> =
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    check(little, &["!/a", "/b"]);
    check(big, &["!/a", "/b"]);
}

#[test]
fn a_page_of_html_has_no_rules() {
    for start in ["<!DOCTYPE html>", "\r\n  <html lang=en>", "\u{feff}<HTML>", "<head>"] {
        check(format!("{start}\n<pre>\nUser-agent: *\nDisallow: /\n</pre>"), &["/"]);
    }
    check("<!-- our robots.txt -->\nUser-agent: *\nDisallow: /a", &["!/a"]);
}

#[test]
fn bytes_that_are_no_text_are_survived() {
    check(b"User-agent: *\nDisallow: /caf\xE9\nDisallow: /b\xFF*\nDisallow: /c", &["!/caf%E9", "!/c", "/d"]);
    check(b"\x00\x00\x01\x00\x03\x00\xFF", &["/"]);
}

#[test]
fn only_the_first_500_kib_count_and_no_rule_is_cut() {
    let mut file = String::from("User-agent: *\nDisallow: /kept\n");
    file.push_str(&"#".repeat(ROBOTS_BYTES_MAX - file.len() - "\nDisallow: /".len()));
    file.push_str("\nDisallow: /cut-here\nDisallow: /beyond\n");
    check(file, &["!/kept", "/cut-here", "/beyond", "/"]);
    check("x".repeat(ROBOTS_BYTES_MAX * 2), &["/"]);
}

#[test]
fn crawl_delay_is_read_from_the_groups_that_apply() {
    for (file, expected) in [
        ("User-agent: *\nCrawl-delay: 2.5", Some(2.5)),
        ("User-agent: *\nCrawl-delay: 2\nUser-agent: celeriac\nCrawl-delay: 7", Some(7.0)),
        ("User-agent: *\nCrawl-delay: 2\nUser-agent: celeriac\nDisallow: /a", None),
        ("User-agent: *\nCrawl-delay: 2\nUser-agent: *\nCrawl-delay: 5\nCrawl-delay: 1", Some(5.0)),
        ("User-agent: *\nCrawl-delay: soon", None),
        ("User-agent: *\nCrawl-delay: -3", None),
        ("Crawl-delay: 3\nUser-agent: *", None),
        ("User-agent: *\nCrawl-delay: 1e9", Some(1.0)),
        ("User-agent: *\nCrawl-delay: 9999999999999999999999", Some(CRAWL_DELAY_MAX.as_secs_f64())),
    ] {
        assert_eq!(parse(file).crawl_delay(), expected.map(Duration::from_secs_f64), "{file:?}");
    }
}

#[test]
fn sitemaps_belong_to_no_group() {
    let robots =
        parse("Sitemap: https://a.example/1.xml\nUser-agent: x\nDisallow: /\nsitemap:/2.xml\nSitemap:\n");
    assert_eq!(robots.sitemaps(), ["https://a.example/1.xml", "/2.xml"]);
}

#[test]
fn the_verdict_names_the_rule() {
    let robots = parse("User-agent: *\nDisallow: /*/private$\nAllow: /ok");
    let verdict = |path: &str| robots.verdict(&Url::parse(&format!("https://example.com{path}")).unwrap());
    assert_eq!(verdict("/a/private"), RobotsVerdict::DisallowedBy("Disallow: /*/private$".into()));
    assert_eq!(verdict("/ok"), RobotsVerdict::AllowedBy("Allow: /ok".into()));
    assert_eq!(verdict("/else"), RobotsVerdict::Unmentioned);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), path in "/\\PC{0,40}") {
        let robots = parse([b"User-agent: *\nDisallow: ", bytes.as_slice()].concat());
        let mut url = Url::parse("https://example.com").unwrap();
        url.set_path(&path);
        let _ = robots.verdict(&url);
    }

    #[test]
    fn a_condensed_file_says_the_same(
        rules in proptest::collection::vec("(Allow|Disallow): [/*$a-c%24E#é ]{0,12}", 0..12),
        delay in proptest::option::of(0_u32..100_000),
    ) {
        let delay = delay.map(|tenths| format!("Crawl-delay: {}\n", f64::from(tenths) / 10.0));
        let file = format!("User-agent: *\n{}{}\nSitemap: /s.xml", delay.unwrap_or_default(), rules.join("\n"));
        let robots = parse(&file);
        prop_assert_eq!(parse(robots.condensed()), robots);
    }
}
