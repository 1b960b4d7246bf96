//! Sitemaps as they should be, and as they are.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const FIXTURE: &str = include_str!("../../../tests/fixtures/sitemap.xml");

fn address() -> CanonicalUrl {
    CanonicalUrl::parse("https://canal.example/maps/sitemap.xml").unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads a body and writes what came of it, a line each: addresses, then warnings, or the error.
fn read(body: impl AsRef<[u8]>) -> String {
    read_with(body, SitemapLimits::default())
}

fn read_with(body: impl AsRef<[u8]>, limits: SitemapLimits) -> String {
    match extract_sitemap(&address(), Bytes::copy_from_slice(body.as_ref()), limits) {
        Ok((entries, report)) => {
            let urls = entries.iter().map(|entry| entry.url.to_string().replace("https://canal.example", ""));
            urls.chain(report.warnings.iter().map(|warning| format!("! {warning}")))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(error) => format!("error: {error}"),
    }
}

fn check(body: impl AsRef<[u8]>, wanted: &[&str]) {
    let shown = body.as_ref()[..body.as_ref().len().min(300)].escape_ascii().to_string();
    assert_eq!(read(body), wanted.join("\n"), "{shown}");
}

/// Wraps items into a well-formed sitemap.
fn urlset(items: &str) -> String {
    format!("<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{items}</urlset>")
}

fn url(path: &str) -> String {
    format!("<url><loc>https://canal.example{path}</loc></url>")
}

#[test]
fn sitemap_of_the_protocol_is_read_with_all_its_fields() {
    let (entries, report) = extract_sitemap(&address(), FIXTURE.into(), SitemapLimits::default()).unwrap();
    insta::assert_json_snapshot!((entries, report));
}

#[test]
fn index_leads_to_sitemaps_and_never_to_itself() {
    check(
        "<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>\
         <sitemap><loc>https://canal.example/a.xml.gz</loc><lastmod>2026-01-01</lastmod></sitemap>\
         <sitemap><loc>https://canal.example:443/maps/sitemap.xml#again</loc></sitemap>\
         <sitemapindex><sitemap><loc>/nested.xml</loc></sitemap></sitemapindex></sitemapindex>",
        &[
            "/a.xml.gz",
            "/nested.xml",
            "! the sitemap names itself in line 1",
            "! an address is not absolute in line 1 (`/nested.xml`)",
        ],
    );
    let body = "<sitemapindex><sitemap><loc>https://canal.example/a.xml</loc></sitemap></sitemapindex>";
    let (entries, report) = extract_sitemap(&address(), body.into(), SitemapLimits::default()).unwrap();
    assert_eq!((entries[0].target, report.kind), (EntryTarget::Sitemap, Some(SitemapKind::Index)));
}

#[test]
fn every_namespace_and_prefix_is_read() {
    let item = "<url><loc>https://canal.example/a</loc></url>";
    for namespace in [
        "http://www.sitemaps.org/schemas/sitemap/0.9",
        "https://www.sitemaps.org/schemas/sitemap/0.9/",
        "http://www.google.com/schemas/sitemap/0.84",
    ] {
        check(format!("<urlset xmlns=\"{namespace}\">{item}</urlset>"), &["/a"]);
    }
    let wrong = "! the namespace is not the sitemap protocol's in line 1";
    check(format!("<urlset>{item}</urlset>"), &["/a", wrong]);
    check(format!("<urlset xmlns='urn:x'>{item}</urlset>"), &["/a", &format!("{wrong} (`urn:x`)")]);
    check(
        "<s:urlset xmlns:s='http://www.sitemaps.org/schemas/sitemap/0.9'>\
         <s:url><image:loc>https://canal.example/no</image:loc><s:loc>https://canal.example/a</s:loc></s:url></s:urlset>",
        &["/a"],
    );
}

#[test]
fn what_stands_before_the_xml_is_passed_over() {
    let body = urlset(&url("/a"));
    check(format!("\u{feff}{body}"), &["/a"]);
    check(format!("\n \t\u{feff}\n<?xml version='1.0'?>\n{body}"), &["/a"]);
    check(format!("<?xml-stylesheet href='a.xsl'?><!-- > -->{body}"), &["/a"]);
    check(
        format!("Warning: something in line 3\n<?xml version='1.0'?>{body}"),
        &["/a", "! something stands before the XML in line 1 (`Warning: something in line 3`)"],
    );
}

#[test]
fn file_that_breaks_off_gives_what_came_before() {
    let two = format!("{}\n{}", url("/a"), url("/b"));
    let breaks_off = |line: u64, sample: &str| format!("! the file breaks off in line {line} (`{sample}`)");
    let open = urlset(&two).replace("</urlset>", "");
    check(&open, &["/a", "/b", &breaks_off(2, "urlset")]);
    check(format!("{open}\n<url><loc>https://canal.example/c"), &["/a", "/b", &breaks_off(3, "loc")]);
    check(format!("{open}<url><loc>https://canal.example/c</loc>"), &["/a", "/b", &breaks_off(2, "url")]);
    check(format!("{open}<url><lo"), &["/a", "/b", &breaks_off(2, "url")]);
    check(format!("{open}<!-- comment"), &["/a", "/b", &breaks_off(2, "urlset")]);
    check(format!("{open}<url><loc><![CDATA[https"), &["/a", "/b", &breaks_off(2, "loc")]);
    check(
        "<urlset>\n<url><loc>https://canal.example/c",
        &["error: the XML breaks in line 2 (byte 42) before the first address: the file breaks off (`loc`)"],
    );
}

#[test]
fn tags_that_do_not_fit_are_read_as_they_were_meant() {
    let unfit = |sample: &str| format!("! tags do not fit together in line 1 (`{sample}`)");
    check(
        urlset("<url><loc>https://canal.example/a</url><url><loc>https://canal.example/b</loc></url>"),
        &["/a", "/b", &unfit("url")],
    );
    check(
        urlset("<url><loc>https://canal.example/a</loc><url><loc>https://canal.example/b</loc></url>"),
        &["/a", "/b", &unfit("url")],
    );
    check(urlset(&format!("</x>{}", url("/a"))), &["/a", &unfit("x")]);
    check(
        urlset(&format!("<!x>{}", url("/a"))),
        &["/a", "! tags do not fit together in line 1 (`syntax error: unknown or missed symbol in markup`)"],
    );
    check(
        urlset(&format!("<url><loc>https://canal.example/x<5</loc></url>{}", url("/a"))),
        &["/a", &format!("{} and 1 more", unfit("url")), "! an item has no address in line 1"],
    );
    check(
        format!("{}{}", url("/a"), url("/b")),
        &["/a", "/b", "! the outer element is missing in line 1 (`url`) and 1 more"],
    );
    check(format!("{}{}", urlset(&url("/a")), urlset(&url("/b"))), &["/a", "/b"]);
}

#[test]
fn address_that_is_missing_or_wrong_costs_only_its_item() {
    check(
        urlset(&format!("<url><lastmod>2026</lastmod></url><url/>{}", url("/a"))),
        &["/a", "! an item has no address in line 1 and 1 more"],
    );
    check(
        urlset(&format!("<url><loc>mailto:a@b.example</loc></url>{}", url("/a"))),
        &["/a", "! an address is not valid in line 1 (`mailto:a@b.example`)"],
    );
    check(
        urlset("<url><loc>not an address</loc></url>"),
        &["! an address is not valid in line 1 (`not an address`)"],
    );
    check(
        urlset("<url><loc>/from/root</loc></url>"),
        &["/from/root", "! an address is not absolute in line 1 (`/from/root`)"],
    );
    check(urlset("<url><loc>\u{a0}\u{3000}\n https://canal.example/a\u{200b}\u{feff} </loc></url>"), &["/a"]);
    let long = url(&"x".repeat(3_000));
    assert!(
        read(urlset(&format!("{long}{}", url("/a"))))
            .starts_with("/a\n! an address is not valid in line 1 (`https://canal.examplexxx")
    );
    check(
        urlset("<url><loc>https://canal.example/first</loc><loc>https://canal.example/second</loc></url>"),
        &["/first"],
    );
}

#[test]
fn field_that_is_wrong_is_dropped_and_its_address_kept() {
    let body = urlset(
        "<url><loc>https://canal.example/a</loc><lastmod>yesterday</lastmod><changefreq>often</changefreq><priority>high</priority></url>",
    );
    check(
        &body,
        &[
            "/a",
            "! lastmod is not a moment in line 1 (`yesterday`)",
            "! changefreq is not one of the seven words in line 1 (`often`)",
            "! priority is not between 0 and 1 in line 1 (`high`)",
        ],
    );
    let (entries, _) = extract_sitemap(&address(), body.into(), SitemapLimits::default()).unwrap();
    assert_eq!((entries[0].lastmod, entries[0].changefreq, entries[0].priority), (None, None, None));
}

#[test]
fn ampersands_that_nobody_escaped_are_read_as_meant() {
    check(urlset("<url><loc>https://canal.example/?a=1&b=2</loc></url>"), &["/?a=1&b=2"]);
    check(
        urlset("<url><loc>https://canal.example/?a=1&copy=2;3&amp;c=4&</loc></url>"),
        &["/?a=1&c=4&copy=2;3"],
    );
    check(
        urlset("<url><loc>https://canal.example/?a=1&b;c</loc></url>"),
        &["/?a=1&b;c", "! an unknown entity was not expanded in line 1 (`b`)"],
    );
}

#[test]
fn entities_are_never_expanded() {
    let laughs = "<!DOCTYPE urlset [<!ENTITY lol 'lol'><!ENTITY lol1 '&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;'>\
                  <!ENTITY lol2 '&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;'>]>";
    let body = format!(
        "{laughs}{}",
        urlset(&format!("<url><loc>https://canal.example/&lol2;</loc></url>{}", url("/a")))
    );
    let wanted = [
        "/a",
        "! an unknown entity was not expanded in line 1 (`lol2`)",
        "! tags do not fit together in line 1 (`https://canal.example/&lol2;`)",
        "! an item has no address in line 1",
    ];
    check(body, &wanted);
    let outside = "<!DOCTYPE urlset [<!ENTITY lol2 SYSTEM 'file:///etc/passwd'>]>";
    let body = format!(
        "{outside}{}",
        urlset(&format!("<url><loc>https://canal.example/&lol2;</loc></url>{}", url("/a")))
    );
    check(body, &wanted);
    let include =
        "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd' parse='text'/>";
    check(
        urlset(&format!("<url><loc>{include}</loc></url>{}", url("/a"))),
        &["/a", "! tags do not fit together in line 1", "! an item has no address in line 1"],
    );
}

#[test]
fn gzip_is_known_by_its_first_bytes() {
    let body = urlset(&url("/a"));
    check(gzip(body.as_bytes()), &["/a"]);
    check(gzip(&gzip(body.as_bytes())), &["/a"]);
    check(gzip(&gzip(&gzip(body.as_bytes()))), &["error: the file is zipped more than twice"]);
    check(gzip(b"https://canal.example/a\n"), &["/a"]);
    let (first, second) = body.split_at(body.len() / 2);
    check([gzip(first.as_bytes()), gzip(second.as_bytes())].concat(), &["/a"]);
    check([gzip(body.as_bytes()), vec![0; 512]].concat(), &["/a"]);
    check(gzip(b""), &["error: the file is empty"]);
}

#[test]
fn gzip_that_breaks_gives_what_came_before() {
    // Numbers that do not repeat, so that the zipped file is long enough to be cut.
    let items: String =
        (0..5_000_u32).map(|number| url(&format!("/{}", number.wrapping_mul(2_654_435_761)))).collect();
    let zipped = gzip(urlset(&items).as_bytes());
    let cut = read(&zipped[..zipped.len() / 2]);
    assert!(
        cut.lines().count() > 1_000 && cut.contains("! the file breaks off in line 1"),
        "{}",
        cut.lines().last().unwrap()
    );
    let mut damaged = zipped.clone();
    damaged[zipped.len() / 2..zipped.len() / 2 + 64].fill(0xff);
    let found = read(&damaged);
    assert!(
        found.lines().count() > 1_000 && found.contains("! the gzip data is damaged"),
        "{}",
        found.lines().last().unwrap()
    );
    assert_eq!(
        read(&zipped[..20]),
        "error: the gzip data is damaged before the first address: it ends too early"
    );
}

#[test]
fn gzip_bomb_stops_at_the_limit_of_bytes() {
    let bomb = gzip(format!("{}{}", urlset(&url("/a")), " ".repeat(20_000_000)).as_bytes());
    assert!(bomb.len() < 50_000);
    let limits = SitemapLimits { bytes_max: 1_000_000, ..SitemapLimits::default() };
    let mut reader = SitemapReader::new(address(), limits);
    reader.feed(bomb.into());
    reader.finish();
    let mut urls = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        urls.push(entry.url.path().to_owned());
    }
    let report = reader.report();
    assert!(reader.is_done() && report.expanded_bytes < 1_200_000);
    assert_eq!(urls, ["/a"]);
    assert_eq!(report.warnings.last().map(|warning| warning.kind), Some(WarningKind::StoppedAtBytes));
}

#[test]
fn limit_of_entries_ends_the_reading_with_a_warning() {
    let items: String = (0..20).map(|number| url(&format!("/{number}"))).collect();
    let limits = SitemapLimits { entries_max: 3, ..SitemapLimits::default() };
    assert_eq!(
        read_with(urlset(&items), limits),
        "/0\n/1\n/2\n! reading stopped at the limit of addresses in line 1"
    );
}

#[test]
fn more_than_the_protocol_allows_is_read_with_a_warning() {
    let lines: String =
        (0..=PROTOCOL_ENTRIES_MAX).map(|number| format!("https://canal.example/{number}\n")).collect();
    let (entries, report) = extract_sitemap(&address(), lines.into(), SitemapLimits::default()).unwrap();
    assert_eq!(entries.len() as u64, PROTOCOL_ENTRIES_MAX + 1);
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["more than 50,000 addresses in one file in line 50001"]);
}

#[test]
fn what_never_ends_is_given_up_in_bounded_memory() {
    for body in ["<!-- ", "<url><loc>", "<x a='", "<![CDATA[", "<!DOCTYPE x [", "<?php "] {
        let start = urlset(&url("/a")).replace("</urlset>", body);
        let mut reader = SitemapReader::new(address(), SitemapLimits::default());
        reader.feed(start.into());
        let mut fed = 0;
        while !reader.is_done() {
            while reader.next_entry().unwrap().is_some() {}
            reader.feed(Bytes::from(vec![b'>'; if body == "<url><loc>" { 0 } else { 1_000 }]));
            reader.feed(Bytes::from(vec![b'x'; 1_000]));
            fed += 2_000;
            assert!(fed < 2_000_000 && reader.window.len() < 2 * WINDOW_BYTES_MAX, "{body}");
        }
        let warnings: Vec<WarningKind> =
            reader.report().warnings.iter().map(|warning| warning.kind).collect();
        assert_eq!(warnings, [WarningKind::Overlong], "{body}");
    }
}

#[test]
fn file_in_another_encoding_is_read() {
    let body = "<?xml version='1.0' encoding='ISO-8859-1'?>".to_owned() + &urlset(&url("/caf#"));
    let latin1: Vec<u8> = body.bytes().map(|byte| if byte == b'#' { 0xe9 } else { byte }).collect();
    let foreign = |name: &str| format!("! the file is not in UTF-8 in line 1 (`{name}`)");
    check(latin1, &["/caf%C3%A9", &foreign("windows-1252")]);
    let wide = "\u{feff}".to_owned() + &urlset(&url("/é"));
    check(
        wide.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        &["/%C3%A9", &foreign("UTF-16LE")],
    );
    check(
        wide[3..].encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>(),
        &["/%C3%A9", &foreign("UTF-16BE")],
    );
    check("<?xml version='1.0' encoding='UTF-16'?>".to_owned() + &urlset(&url("/a")), &["/a"]);
}

#[test]
fn text_is_one_address_in_each_line() {
    check(
        "https://canal.example/a\r\nHTTPS://canal.example/b\r\r\n\n  https://canal.example/c",
        &["/a", "/b", "/c"],
    );
    check(
        "\u{feff}https://canal.example/a\n# no\nnot one\n/b\n",
        &[
            "/a",
            "/b",
            "! an address is not valid in line 3 (`not one`)",
            "! an address is not absolute in line 4 (`/b`)",
        ],
    );
    check("https://canal.example/a", &["/a"]);
    check(
        "Our pages\nhttps://canal.example/a\n",
        &["/a", "! an address is not valid in line 1 (`Our pages`)"],
    );
    let long = format!(
        "https://canal.example/a\nhttps://canal.example/{}\nhttps://canal.example/b",
        "x".repeat(100_000)
    );
    assert_eq!(read(long).lines().take(2).collect::<Vec<_>>(), ["/a", "/b"]);
}

#[test]
fn feeds_are_sitemaps_too() {
    check(
        "<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'><channel><title>T</title><link>https://canal.example/no</link>\
         <atom:link href='https://canal.example/no' rel='self'/>\
         <item><title>A</title><link>https://canal.example/a</link><guid>https://canal.example/no</guid><pubDate>Fri, 25 Jun 2027 15:00:00 GMT</pubDate></item>\
         <item><guid isPermaLink='true'>https://canal.example/b</guid></item>\
         <item><guid isPermaLink='false'>https://canal.example/no</guid></item>\
         <item><link>c</link></item></channel></rss>",
        &[
            "/a",
            "/b",
            "/maps/c",
            "! an item has no address in line 1",
            "! an address is not absolute in line 1 (`c`)",
        ],
    );
    check(
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'>\
         <channel rdf:about='https://canal.example/no'><items><rdf:Seq><rdf:li resource='https://canal.example/no'/></rdf:Seq></items></channel>\
         <item rdf:about='https://canal.example/a'><link>https://canal.example/a2</link><dc:date>2027-06-25</dc:date></item>\
         <item rdf:about='https://canal.example/b'/></rdf:RDF>",
        &["/a2", "/b"],
    );
    check(
        "<feed xmlns='http://www.w3.org/2005/Atom'><link href='https://canal.example/no'/>\
         <entry><link rel='self' href='https://canal.example/no'/><link href='https://canal.example/a?x=1&amp;y=2'/><published>2020</published><updated>2027-06-25T15:00:00Z</updated></entry>\
         <entry><link rel='alternate' type='text/html' href='/b'/><published>2027</published></entry></feed>",
        &["/a?x=1&y=2", "/b", "! an address is not absolute in line 1 (`/b`)"],
    );
    check("<rss version='2.0'><channel></channel></rss>", &[""]);
}

#[test]
fn moments_of_feeds_are_kept() {
    let body = "<feed><entry><link href='/a'/><published>2020</published><updated>2027</updated></entry>\
                <entry><link href='/b'/><published>2020</published></entry></feed>";
    let (entries, _) = extract_sitemap(&address(), body.into(), SitemapLimits::default()).unwrap();
    let moments: Vec<String> =
        entries.iter().filter_map(|entry| entry.lastmod).map(|moment| moment.to_string()).collect();
    assert_eq!(moments, ["2027-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00"]);
}

#[test]
fn what_is_no_sitemap_is_an_error_that_a_person_understands() {
    for (body, wanted) in [
        ("", "the file is empty"),
        (" \n\u{feff}\t ", "the file is empty"),
        (
            "<!DOCTYPE html>\n<html><head><title>404 &ndash; Not  Found</title></head></html>",
            "the server sent an HTML page (\"404 – Not Found\") instead of a sitemap",
        ),
        ("<html><body>x</body></html>", "the server sent an HTML page instead of a sitemap"),
        (
            "<?xml version='1.0'?><!DOCTYPE html PUBLIC 'x' 'y'><html xmlns='http://www.w3.org/1999/xhtml'><title>T</title>",
            "the server sent an HTML page (\"T\") instead of a sitemap",
        ),
        ("<HTML><TITLE>Login</TITLE>", "the server sent an HTML page (\"Login\") instead of a sitemap"),
        ("Not found <html>", "the server sent an HTML page instead of a sitemap"),
        (
            "{\"error\": \"not\nfound\"}",
            "the file is neither XML nor a list of addresses; it begins with `{\"error\": \"not found\"}`",
        ),
        ("%PDF-1.7 \u{1}\u{2}", "the file is neither XML nor a list of addresses; it begins with `%PDF-1.7`"),
        ("<svg:svg/>", "the file is XML, but `<svg:svg>` is not the beginning of a sitemap or feed"),
        (
            "<?xml version='1.0'?>",
            "the XML breaks in line 1 (byte 21) before the first address: the file breaks off",
        ),
        ("<urlset", "the XML breaks in line 1 (byte 0) before the first address: the file breaks off"),
    ] {
        assert_eq!(read(body), format!("error: {wanted}"), "{body}");
    }
}

#[test]
fn sitemap_of_a_foreign_host_is_flagged() {
    let body = urlset(
        "<url><loc>https://elsewhere.example/</loc></url><url><loc>https://www.canal.example/</loc></url>",
    );
    let (entries, _) = extract_sitemap(&address(), body.into(), SitemapLimits::default()).unwrap();
    let scopes: Vec<crate::url::LinkScope> = entries.iter().map(|entry| entry.scope).collect();
    assert_eq!(scopes, [crate::url::LinkScope::External, crate::url::LinkScope::SameSite]);
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}{}", "<x>".repeat(100_000), url("/no"), "</x>".repeat(100_000));
    check(
        urlset(&format!("{deep}{}", url("/a"))),
        &["/a", "! tags do not fit together in line 1 (`nested too deep`) and 99938 more"],
    );
}

/// Reads a body that arrives in pieces of the given lengths, over and over.
fn read_in_pieces(
    body: &[u8],
    lengths: &[usize],
) -> (Vec<SitemapEntry>, Result<SitemapReport, SitemapError>) {
    let mut reader = SitemapReader::new(address(), SitemapLimits::default());
    let mut entries = Vec::new();
    let (mut rest, mut lengths) = (body, lengths.iter().cycle());
    loop {
        loop {
            match reader.next_entry() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break,
                Err(error) => return (entries, Err(error)),
            }
        }
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
        reader.feed(Bytes::copy_from_slice(piece));
        rest = after;
    }
    reader.finish();
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, Ok(reader.report())),
            Err(error) => return (entries, Err(error)),
        }
    }
}

/// Sitemaps in every state of repair.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-z0-9/?=.]{1,12}".prop_map(|path| url(&format!("/{path}"))),
        1 => Just("<url><loc>https://canal.example/?a&b;c&amp;d&lol;&#65;</loc><priority>2</priority></url>".to_owned()),
        1 => Just("<url><loc><![CDATA[https://canal.example/a>b&c]]></loc><lastmod>2026</lastmod></url>".to_owned()),
        1 => Just("<!-- > <url> --><?pi >?>".to_owned()),
        1 => Just("<url><loc>https://canal.example/\u{feff}é>\u{feff}中&a>b;</loc></url>\n".to_owned()),
        1 => prop_oneof![
            Just("<url>"), Just("</url>"), Just("<loc>"), Just("</loc>"), Just("<x a='>"), Just("'>"), Just("<!x>"), Just("<"),
            Just("&"), Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"), Just("<?"), Just("</urlset>"), Just("\n"), Just(">"),
        ].prop_map(str::to_owned),
    ];
    let head = prop_oneof![
        6 => Just("<urlset>".to_owned()),
        1 => Just("\u{feff} \n<?xml version='1.0' encoding='latin1'?><sitemapindex>".to_owned()),
        1 => Just("<!DOCTYPE u [<!ENTITY lol '>'>]><urlset>".to_owned()),
        1 => Just("https://canal.example/a\nhttps://canal.example/b\n".to_owned()),
        1 => Just("Warning!\n<urlset>".to_owned()),
        1 => Just("<html><title>x</title>".to_owned()),
        1 => Just(String::new()),
    ];
    (head, prop::collection::vec(piece, 0..12), 0..3_usize).prop_map(|(head, pieces, layers)| {
        let plain = format!("{head}{}", pieces.concat()).into_bytes();
        (0..layers).fold(plain, |bytes, _| gzip(&bytes))
    })
}

proptest! {
    #[test]
    fn how_a_file_is_cut_into_pieces_makes_no_difference(
        body in body(),
        cut in 0.0..1.0_f64,
        lengths in prop::collection::vec(1..40_usize, 1..6),
    ) {
        let length = if cut > 0.7 { (body.len() as f64 * cut) as usize } else { body.len() };
        let body = &body[..length];
        let whole = read_in_pieces(body, &[usize::MAX]);
        prop_assert_eq!(&read_in_pieces(body, &lengths), &whole);
        prop_assert_eq!(&read_in_pieces(body, &[1]), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), is_zipped in any::<bool>()) {
        let bytes = if is_zipped { gzip(&bytes) } else { bytes };
        let _ = read(&bytes);
    }
}
