//! What is read out of pages.

use proptest::prelude::*;

use super::*;

const ADDRESS: &str = "https://canal.example/guides/locks?from=start";

fn read(html: &str) -> Page {
    extract_page(&PageSource::new(&CanonicalUrl::parse(ADDRESS).unwrap(), html))
}

fn links_of(html: &str) -> Vec<String> {
    read(html).links.iter().map(|link| link.url.to_string()).collect()
}

#[test]
fn article_is_read_as_a_person_sees_it() {
    insta::assert_json_snapshot!(read(include_str!("../../../tests/fixtures/article.html")));
}

#[test]
fn empty_page_has_nothing_and_does_no_harm() {
    let page = read("");
    assert_eq!((page.title, page.word_count, page.links.len(), page.headings.len()), (None, 0, 0, 0));
    // The SHA-256 of no bytes.
    assert_eq!(page.content_hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn content_hash_sees_words_and_not_white_space_or_markup() {
    let hash = |html: &str| read(html).content_hash;
    let plain = hash("<p>One two</p><p>three</p>");
    assert_eq!(hash("<p>One\n\n   two</p>\n\n<div>\tthree</div>"), plain);
    assert_eq!(hash("<title>x</title><script>1</script><p class=a>One <b>t</b>wo<p>three<!-- 7 -->"), plain);
    assert_ne!(hash("<p>One two</p><p>four</p>"), plain);
    assert_ne!(hash("<p>One two</p>three four"), plain);
}

#[test]
fn title_falls_back_to_share_card_and_first_heading() {
    for (html, wanted) in [
        ("<title> A </title><h1>C</h1>", Some("A")),
        ("<title> </title><meta property=og:title content=B><h1>C</h1>", Some("B")),
        ("<h2>D</h2><h1>C</h1>", Some("C")),
        ("<h1><img alt='By picture'></h1>", Some("By picture")),
        ("<svg><title>Drawing</title></svg><title>Page</title>", Some("Page")),
        ("<svg><title>Drawing</title><p>never closed<title>Page</title>", Some("Page")),
        ("<title>a &lt;b&gt; &eacute;&#x1F600;</title>", Some("a <b> é😀")),
        ("<title>First</title><title>Second</title>", Some("First")),
        ("<p>text</p>", None),
    ] {
        assert_eq!(read(html).title.as_deref(), wanted, "{html}");
    }
}

#[test]
fn canonical_counts_only_in_the_head() {
    for (html, wanted) in [
        ("<link rel=canonical href=/a>", Some(("https://canal.example/a", LinkScope::SameHost))),
        ("<link rel='x canonical' href=a>", Some(("https://canal.example/guides/a", LinkScope::SameHost))),
        (
            "<link rel=canonical href=https://other.example/>",
            Some(("https://other.example/", LinkScope::External)),
        ),
        (
            "<link rel=canonical href=mailto:a@b.example><link rel=canonical href=/b>",
            Some(("https://canal.example/b", LinkScope::SameHost)),
        ),
        ("<head></head><link rel=canonical href=/a>", Some(("https://canal.example/a", LinkScope::SameHost))),
        ("<p>Hi<link rel=canonical href=/a>", None),
        ("text <link rel=canonical href=/a>", None),
        ("<noscript><link rel=canonical href=/a></noscript>", None),
        ("<template><link rel=canonical href=/a></template>", None),
    ] {
        let canonical = read(html).canonical;
        let found = canonical.as_ref().map(|link| (link.url.as_str(), link.scope));
        assert_eq!(found, wanted, "{html}");
    }
}

#[test]
fn language_comes_from_the_surest_place() {
    for (html, wanted) in [
        ("<html lang=de>", Some("de")),
        ("<html xml:lang=pt_br>", Some("pt-BR")),
        ("<meta http-equiv=Content-Language content='nl, en'>", Some("nl")),
        ("<meta property=og:locale content=fr_FR>", Some("fr-FR")),
        ("<html lang=''><meta name=language content=en>", Some("en")),
        ("<html lang='{{lang}}'>", None),
    ] {
        assert_eq!(read(html).language.as_deref(), wanted, "{html}");
    }
}

#[test]
fn charset_is_reported_as_declared() {
    for (html, wanted) in [
        ("<meta charset=' UTF-8 '>", Some("utf-8")),
        ("<meta http-equiv=content-type content='text/html; charset=EUC-KR'>", Some("euc-kr")),
        ("<meta http-equiv=content-type content='text/html;charset = \"big5\";x=1'>", Some("big5")),
        ("<meta http-equiv=content-type content='text/html'>", None),
    ] {
        assert_eq!(read(html).charset.as_deref(), wanted, "{html}");
    }
}

#[test]
fn refresh_is_read_as_browsers_read_it() {
    for (content, wanted) in [
        ("5", Some((5, None))),
        ("0;url=/next", Some((0, Some("https://canal.example/next")))),
        ("0; URL = '/next' ignored", Some((0, Some("https://canal.example/next")))),
        ("3, /next", Some((3, Some("https://canal.example/next")))),
        ("2.5;url=\"/next", Some((2, Some("https://canal.example/next")))),
        (".5 url=/next", Some((0, Some("https://canal.example/next")))),
        ("1;url=javascript:alert(1)", Some((1, None))),
        ("soon", None),
        ("", None),
    ] {
        let html = format!("<meta http-equiv=refresh content=\"{}\">", content.replace('"', "&quot;"));
        let refresh = read(&html).refresh;
        let found = refresh
            .as_ref()
            .map(|refresh| (refresh.delay_secs, refresh.url.as_ref().map(CanonicalUrl::as_str)));
        assert_eq!(found, wanted, "{content}");
    }
}

#[test]
fn links_in_odd_places_are_found_or_left_out_as_browsers_do() {
    for (html, wanted) in [
        ("<a href=/a>x<a href=/b>y", vec!["/a", "/b"]),
        ("<A HREF='/a?x=1&amp;y=2'>", vec!["/a?x=1&y=2"]),
        ("<a href='/a?copy=1&copy=2'>", vec!["/a?copy=1&copy=2"]),
        ("<a href='/a&#x3f;b'>", vec!["/a?b"]),
        ("<a href=/first href=/second>", vec!["/first"]),
        ("<a href='\n /a\tb '>", vec!["/ab"]),
        ("<!-- <a href=/a> --><a href=/b>", vec!["/b"]),
        ("<script><a href=/a></script><a href=/b>", vec!["/b"]),
        ("<iframe><a href=/a></iframe><a href=/b>", vec!["/b"]),
        ("<textarea><a href=/a></textarea><a href=/b>", vec!["/b"]),
        ("<title><a href=/a></title><a href=/b>", vec!["/b"]),
        ("<svg><script><a href=/a></svg>", vec!["/a"]),
        ("<svg><![CDATA[<a href=/a>]]></svg><a href=/b>", vec!["/b"]),
        ("<![CDATA[<a href=/a>]]><a href=/b>", vec!["/b"]),
        ("<svg><foreignObject><title><a href=/a></title></foreignObject></svg><a href=/b>", vec!["/b"]),
        ("<frameset><frame src=/a title=Menu><frame src=/b></frameset>", vec!["/a", "/b"]),
        ("<a name=x><a href=/b>", vec!["/b"]),
        ("<a href=/b", vec![]),
        ("<a href=/guides/locks?from=start#here>", vec![]),
        ("<a href='?from=end'>", vec!["/guides/locks?from=end"]),
        ("<base href=https://canal.example/base/><base href=/second/><a href=a>", vec!["/base/a"]),
        ("<a href=a><base href=/late/>", vec!["/late/a"]),
    ] {
        let wanted: Vec<String> = wanted.iter().map(|path| format!("https://canal.example{path}")).collect();
        assert_eq!(links_of(html), wanted, "{html}");
    }
}

#[test]
fn page_written_as_xml_may_close_its_scripts_at_once() {
    let html = "<?xml version='1.0'?><html><head><script src='a.js'/><title>T</title></head><body><a href='/a'>x</a>";
    assert_eq!(read(html).title.as_deref(), Some("T"));
    assert_eq!(links_of(html), ["https://canal.example/a"]);
}

#[test]
fn least_restricted_of_several_links_counts() {
    let page = read("<a href=/a rel='nofollow ugc'>x</a><a href=/a#b rel=nofollow>y</a>");
    assert_eq!(page.links[0].rel, LinkRel { nofollow: true, ugc: false, sponsored: false });
    assert_eq!((page.links.len(), page.links[0].text.as_str()), (1, "x"));
}

#[test]
fn text_of_a_link_is_what_stands_for_it() {
    for (html, wanted) in [
        ("<a href=/a> two\n words </a>", "two words"),
        ("<a href=/a><span>on</span>e</a>", "one"),
        ("<a href=/a><div>two</div>words</a>", "two words"),
        ("<a href=/a><img alt=' A  picture '></a>", "A picture"),
        ("<a href=/a title='A title'><i></i></a>", "A title"),
        ("<a href=/a aria-label=Label title=Title></a>", "Label"),
        ("<a href=/a></a><a href=/a>later</a>", "later"),
    ] {
        assert_eq!(read(html).links[0].text, wanted, "{html}");
    }
}

#[test]
fn heading_that_nobody_closed_ends_with_its_section() {
    let page = read("<div><h2>Title <div>sub</div></div><p>Text that is no title.</p><h3>Next</h3>");
    let texts: Vec<&str> = page.headings.iter().map(|heading| heading.text.as_str()).collect();
    assert_eq!(texts, ["Title sub", "Next"]);
}

#[test]
fn hidden_parts_are_not_counted_as_text() {
    for (html, wanted) in [
        ("<div hidden>a <div>b</div> c</div> d", 1),
        ("<p>a</p><noscript>b</noscript><textarea>c</textarea><template>d</template>e", 2),
        ("<p hidden>a<p>b", 2),
        ("<span hidden>a", 0),
        ("<option>a</option><option>b</option>", 2),
        ("a<wbr>b<br>c", 2),
        ("<plaintext>a <b> c", 3),
    ] {
        assert_eq!(read(html).word_count, wanted, "{html}");
    }
}

#[test]
fn characters_that_the_tokenizer_cuts_in_two_stay_whole() {
    // Every character with a byte that stands for something in the C1 range, between ASCII and alone.
    let text: String =
        (0x80..0x3000).filter_map(char::from_u32).filter(|char| !char.is_whitespace()).collect();
    let document = Document::read(&format!("<p>a{text}b</p>"));
    assert_eq!(document.text, format!("a{text}b"));
}

#[test]
fn links_and_headings_are_bounded() {
    let mut html: String =
        (0..300).map(|number| format!("<h2>h{number}</h2><a href=/{number}>x</a>")).collect();
    html.push_str("<a href=/0>again</a>");
    let url = CanonicalUrl::parse(ADDRESS).unwrap();
    let page = extract_page(&PageSource { links_max: 100, ..PageSource::new(&url, &html) });
    assert_eq!((page.links.len(), page.links_dropped, page.headings.len()), (100, 200, 256));
    let long = "x".repeat(100_000);
    let page =
        read(&format!("<title>{long}</title><h1>{long}</h1><a href=/a>{long}</a><a href='/{long}'>y</a>"));
    assert_eq!(page.title.map(|title| title.len()), Some(1_000));
    assert_eq!((page.headings[0].text.len(), page.links[0].text.len(), page.links.len()), (500, 300, 1));
}

#[test]
fn headers_and_meta_add_up() {
    let url = CanonicalUrl::parse(ADDRESS).unwrap();
    let html = "<meta name=robots content=nofollow><meta name=googlebot content=noindex>";
    let page = extract_page(&PageSource {
        robots_headers: &["noarchive", "bingbot: none"],
        ..PageSource::new(&url, html)
    });
    let ours = page.directives.for_robot("celeriac");
    assert_eq!((ours.noindex, ours.nofollow, ours.noarchive), (false, true, true));
    assert!(page.directives.for_robot("bingbot").noindex && page.directives.for_robot("googlebot").noindex);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_within_bounds(
        pieces in prop::collection::vec(
            prop_oneof![
                Just("<a href=/x>"), Just("</a>"), Just("<h1>"), Just("</h1>"), Just("<div hidden>"), Just("</div>"),
                Just("<svg>"), Just("</svg>"), Just("<svg><title>"), Just("<template>"), Just("</template>"),
                Just("<noscript>"), Just("</noscript>"), Just("<title>"), Just("</title>"), Just("<script>"),
                Just("</script>"), Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"), Just("&am"), Just("&#x"),
                Just("<meta name=robots content="), Just("<meta http-equiv=refresh content='0;url="), Just("'>"),
                Just("<link rel=canonical href="), Just("<base href="), Just(" é中\u{a0}😀 "), Just("<math>"), Just("\0"),
            ],
            0..40,
        ),
        noise in "\\PC{0,20}",
    ) {
        let html = pieces.join(&noise);
        let page = read(&html);
        prop_assert!(page.links.len() <= PageSource::LINKS_MAX);
        prop_assert!(page.word_count <= html.len());
        prop_assert_eq!(&page, &read(&html));
    }
}
