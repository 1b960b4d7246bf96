//! What canonical addresses promise.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    CanonicalUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn one_page_has_one_spelling() {
    for (given, wanted) in [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/", "http://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("http://user:secret@example.com/", "http://example.com/"),
        ("http://example.com./a", "http://example.com/a"),
        ("http://127.0.0.1./a", "http://127.0.0.1/a"),
        ("http://example.com/a#b", "http://example.com/a"),
        ("http://example.com/?", "http://example.com/"),
        ("  http://example.com/a\u{a0}\n", "http://example.com/a"),
        ("\u{feff}http://example.com/a", "http://example.com/a"),
        ("http://example.com/a\nb", "http://example.com/ab"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/a/%2e%2E/c", "http://example.com/c"),
        ("http://example.com\\a\\b", "http://example.com/a/b"),
        ("http://example.com/%7Euser/%c3%a9", "http://example.com/~user/%C3%A9"),
        ("http://example.com/é", "http://example.com/%C3%A9"),
        ("http://example.com/a b", "http://example.com/a%20b"),
        ("http://example.com/a%2Fb", "http://example.com/a%2Fb"),
        ("http://example.com/100%", "http://example.com/100%25"),
        ("http://example.com/%%37e", "http://example.com/%257e"),
        ("http://example.com/a|b[c]", "http://example.com/a%7Cb%5Bc%5D"),
        ("http://example.com/Case", "http://example.com/Case"),
        ("http://example.com//a//b/", "http://example.com//a//b/"),
        ("http://example.com/?b=2&a=1", "http://example.com/?a=1&b=2"),
        ("http://example.com/?a=2&a=1", "http://example.com/?a=2&a=1"),
        ("http://example.com/?a&&b&", "http://example.com/?a&b"),
        ("http://example.com/?x[]=1&x[]=2", "http://example.com/?x%5B%5D=1&x%5B%5D=2"),
        ("http://example.com/?q=a+b%20c", "http://example.com/?q=a+b%20c"),
        ("http://example.com/?utm_source=x&id=1&UTM_Medium=y", "http://example.com/?id=1"),
        ("http://example.com/?utm%5Fsource=x", "http://example.com/"),
        ("http://example.com/?gclid=1&fbclid=2&msclkid=3", "http://example.com/"),
        ("http://example.com/?PHPSESSID=0123456789abcdef&p=1", "http://example.com/?p=1"),
        ("http://example.com/a;jsessionid=AB12?p=1", "http://example.com/a?p=1"),
        ("http://example.com/a;JSessionID=AB12;v=1/b", "http://example.com/a;v=1/b"),
        ("http://example.com/a/..;jsessionid=1/b", "http://example.com/b"),
        ("http://münchen.example/", "http://xn--mnchen-3ya.example/"),
        ("http://ＥＸＡＭＰＬＥ.com/", "http://example.com/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[::1]:80/a", "http://[::1]/a"),
    ] {
        assert_eq!(canonical(given), wanted, "{given}");
    }
}

#[test]
fn what_is_no_web_address_is_refused_with_a_reason() {
    for (given, wanted, quiet) in [
        ("", "the address is empty", true),
        (" \u{a0} ", "the address is empty", true),
        ("mailto:a@example.com", "scheme `mailto` is not http or https", true),
        ("javascript:void(0)", "scheme `javascript` is not http or https", true),
        ("tel:+49301234", "scheme `tel` is not http or https", true),
        ("data:text/html,hi", "scheme `data` is not http or https", true),
        ("ftp://example.com/a", "scheme `ftp` is not http or https", true),
        ("file:///etc/passwd", "scheme `file` is not http or https", true),
        ("/relative", "`/relative` is not a valid address", false),
        ("http://", "`http://` is not a valid address", false),
        ("http://a b/", "`http://a b/` is not a valid address", false),
        ("http://example.com:99999/", "`http://example.com:99999/` is not a valid address", false),
        ("http://a..b/", "host `a..b` is not a valid name", false),
    ] {
        let error = CanonicalUrl::parse(given).expect_err(given);
        assert_eq!((error.to_string().as_str(), error.is_quiet()), (wanted, quiet), "{given}");
    }
}

#[test]
fn length_is_bounded_before_and_after_normalising() {
    let of_length = |bytes: usize| format!("http://example.com/{}", "a".repeat(bytes - 19));
    assert!(CanonicalUrl::parse(&of_length(URL_BYTES_MAX)).is_ok());
    assert!(matches!(CanonicalUrl::parse(&of_length(URL_BYTES_MAX + 1)), Err(UrlError::TooLong { .. })));
    assert!(matches!(CanonicalUrl::parse(&of_length(INPUT_BYTES_MAX + 1)), Err(UrlError::TooLong { .. })));
    let label = "a".repeat(64);
    assert!(matches!(CanonicalUrl::parse(&format!("http://{label}.com/")), Err(UrlError::Host(_))));
}

#[test]
fn parts_can_be_asked_for() {
    let url = CanonicalUrl::parse("https://www.example.co.uk:8443/a/b?c=d").unwrap();
    assert_eq!(url.scheme(), "https");
    assert_eq!(url.host(), "www.example.co.uk");
    assert_eq!(url.port(), 8443);
    assert_eq!(url.authority(), "www.example.co.uk:8443");
    assert_eq!(url.origin(), "https://www.example.co.uk:8443");
    assert_eq!(url.path(), "/a/b");
    assert_eq!(url.query(), Some("c=d"));
    let plain = CanonicalUrl::parse("http://example.com").unwrap();
    assert_eq!((plain.scheme(), plain.port(), plain.path(), plain.query()), ("http", 80, "/", None));
    assert_eq!(CanonicalUrl::parse("https://a.example/").unwrap().port(), 443);
}

#[test]
fn site_is_the_registrable_domain_or_the_address_itself() {
    for (given, wanted) in [
        ("https://www.example.com/", "example.com"),
        ("https://www.example.com:8443/", "example.com"),
        ("https://a.b.example.co.uk/", "example.co.uk"),
        ("https://someone.github.io/", "someone.github.io"),
        ("https://github.io/", "github.io"),
        ("https://www.食狮.公司.cn/", "xn--85x722f.xn--55qx5d.cn"),
        ("http://localhost:8000/", "localhost:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://[::1]:8000/", "[::1]:8000"),
    ] {
        assert_eq!(CanonicalUrl::parse(given).unwrap().site(), wanted, "{given}");
    }
}

#[test]
fn scope_tells_host_site_and_foreign_apart() {
    let page = CanonicalUrl::parse("https://www.example.com/").unwrap();
    for (given, wanted) in [
        ("http://www.example.com/a", LinkScope::SameHost),
        ("https://blog.example.com/", LinkScope::SameSite),
        ("https://www.example.com:8443/", LinkScope::SameSite),
        ("https://example.org/", LinkScope::External),
    ] {
        assert_eq!(page.scope_of(&CanonicalUrl::parse(given).unwrap()), wanted, "{given}");
    }
    let loopback = CanonicalUrl::parse("http://127.0.0.1:8000/").unwrap();
    let other_port = CanonicalUrl::parse("http://127.0.0.1:8001/").unwrap();
    assert_eq!(loopback.scope_of(&other_port), LinkScope::External);
}

#[test]
fn references_resolve_against_page_and_base() {
    let page = CanonicalUrl::parse("https://example.com/docs/guide/page?x=1").unwrap();
    let check = |base: Option<&str>, reference: &str, wanted: &str| {
        let resolved = Resolver::new(&page, base).resolve(reference).map(|url| url.to_string());
        assert_eq!(resolved.as_deref().unwrap_or("refused"), wanted, "{base:?} {reference}");
    };
    check(None, "next", "https://example.com/docs/guide/next");
    check(None, "../up", "https://example.com/docs/up");
    check(None, "/root", "https://example.com/root");
    check(None, "//other.example/a", "https://other.example/a");
    check(None, "?p=2", "https://example.com/docs/guide/page?p=2");
    check(None, "#part", "https://example.com/docs/guide/page?x=1");
    check(None, " /spaced ", "https://example.com/spaced");
    check(None, "", "refused");
    check(None, "mailto:a@b.example", "refused");
    check(Some("/base/"), "next", "https://example.com/base/next");
    check(Some("https://cdn.example/x/"), "next", "https://cdn.example/x/next");
    check(Some("https://cdn.example/x/"), "/next", "https://cdn.example/next");
    check(Some("javascript:1"), "next", "https://example.com/docs/guide/next");
    check(Some("  "), "next", "https://example.com/docs/guide/next");
}

#[test]
fn queries_are_sent_in_the_encoding_of_their_page() {
    let page = CanonicalUrl::parse("https://example.com/").unwrap();
    for (encoding, reference, wanted) in [
        ("UTF-8", "/ü?q=ü", "https://example.com/%C3%BC?q=%C3%BC"),
        ("windows-1252", "/ü?q=ü", "https://example.com/%C3%BC?q=%FC"),
        ("EUC-KR", "?q=한", "https://example.com/?q=%C7%D1"),
        ("windows-1252", "?q=한", "https://example.com/?q=%26%2354620%3B"),
        ("UTF-16LE", "?q=ü", "https://example.com/?q=%C3%BC"),
        ("no-such-encoding", "?q=ü", "https://example.com/?q=%C3%BC"),
    ] {
        let resolver = Resolver::new(&page, None).with_encoding(encoding);
        assert_eq!(resolver.resolve(reference).unwrap().as_str(), wanted, "{encoding} {reference}");
    }
}

#[test]
fn typed_addresses_may_lack_a_scheme() {
    for (given, wanted) in [
        ("example.com", "https://example.com/"),
        ("example.com:8080/a", "https://example.com:8080/a"),
        ("//example.com", "https://example.com/"),
        ("http://example.com", "http://example.com/"),
        ("localhost:8000", "http://localhost:8000/"),
        ("127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
    ] {
        assert_eq!(CanonicalUrl::parse_typed(given).unwrap().to_string(), wanted, "{given}");
    }
    assert!(CanonicalUrl::parse_typed("ftp://example.com").is_err());
}

#[test]
fn traps_are_named_with_a_reason() {
    let rules = TrapRules::for_year(2026);
    for (path, wanted) in [
        ("/a/b/a/b/a/b/", "looks endless: `a/b` repeats 3 times in the path"),
        ("/x/docs/docs/docs/y", "looks endless: `docs` repeats 3 times in the path"),
        (
            "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
            "looks endless: the path is 17 levels deep, more than 16",
        ),
        ("/calendar/2031", "looks endless: a calendar in the year 2031"),
        ("/calendar/2031/05", "looks endless: a calendar in the year 2031"),
        ("/events/2019-05-12", "looks endless: a calendar in the year 2019"),
        ("/events/2031/5.html", "looks endless: a calendar in the year 2031"),
        ("/trap/calendar/2031/05.html", "looks endless: a calendar in the year 2031"),
        ("/x?calendar=1&date=20310501", "looks endless: a calendar in the year 2031"),
        ("/x?month=5&year=2031", "looks endless: a calendar in the year 2031"),
        ("/x?sid=0123456789abcdef01", "looks endless: `sid` carries a session"),
        ("/(S(abcdef0123456789))/page", "looks endless: `(S(abcdef0123456789))` carries a session"),
        (
            "/x?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1",
            "looks endless: 13 query parameters, more than 12",
        ),
    ] {
        let url = CanonicalUrl::parse(&format!("https://example.com{path}")).unwrap();
        assert_eq!(rules.check(&url).map(|trap| trap.to_string()).as_deref(), Some(wanted), "{path}");
    }
}

#[test]
fn ordinary_addresses_are_no_traps() {
    let rules = TrapRules::for_year(2026);
    for path in [
        "/",
        "/2011/11/11/11/title",
        "/2011/05/an-article",
        "/calendar/2026/05",
        "/calendar/",
        "/events/1234/concert",
        "/events/1999/concert",
        "/calendar/4711",
        "/events/2026-12-31",
        "/docs/docs/page",
        "/a/a/b/b",
        "/x?sid=7",
        "/x?s=longwordsearchterms",
        "/x?year=1999",
        "/wiki/Foo_(bar_(baz)",
        "/x?a=1&b=2&c=3",
    ] {
        let url = CanonicalUrl::parse(&format!("https://example.com{path}")).unwrap();
        assert_eq!(rules.check(&url), None, "{path}");
    }
}

#[test]
fn json_form_is_the_text_and_is_checked_on_the_way_in() {
    let url = CanonicalUrl::parse("https://example.com/a").unwrap();
    let json = serde_json::to_string(&url).unwrap();
    assert_eq!(json, r#""https://example.com/a""#);
    assert_eq!(serde_json::from_str::<CanonicalUrl>(&json).unwrap(), url);
    assert!(serde_json::from_str::<CanonicalUrl>(r#""ftp://example.com/a""#).is_err());
}

/// Addresses near enough to real ones that most parse, with every awkward character in them.
fn address() -> impl Strategy<Value = String> {
    let piece = r"[a-zA-Z0-9%;:&=?#/\\.@+~\[\]{}|^<>'!* \t\n\u{a0}éß中-]{0,40}";
    let path_session = prop_oneof![Just(""), Just(";jsessionid=1"), Just("/..;jsessionid=2/"), Just("%%37e")];
    (prop_oneof![Just("http://"), Just("https://"), Just("HTTP:\\\\"), Just("")], piece, path_session, piece)
        .prop_map(|(scheme, host, session, path)| {
            format!("{scheme}{host}.example.com./{path}{session}?{path}")
        })
}

proptest! {
    #[test]
    fn canonical_form_is_bounded_and_stays_as_it_is(text in prop_oneof![address(), "\\PC{0,80}", ".{0,80}"]) {
        if let Ok(url) = CanonicalUrl::parse(&text) {
            prop_assert!(url.as_str().len() <= URL_BYTES_MAX);
            prop_assert!(url.as_str().is_ascii());
            let again = CanonicalUrl::parse(url.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&url));
            let parsed = url.to_url();
            prop_assert_eq!(parsed.as_str(), url.as_str());
            prop_assert_eq!(parsed.host_str(), Some(url.host()));
            prop_assert_eq!(parsed.port_or_known_default(), Some(url.port()));
            prop_assert_eq!(parsed.path(), url.path());
            prop_assert_eq!(parsed.query(), url.query());
            let _ = (url.site(), url.key(), TrapRules::for_year(2026).check(&url));
        }
    }

    #[test]
    fn references_never_panic_and_stay_bounded(reference in prop_oneof![address(), ".{0,80}"], base in ".{0,20}") {
        let page = CanonicalUrl::parse("https://example.com/docs/").unwrap();
        if let Ok(url) = Resolver::new(&page, Some(&base)).resolve(&reference) {
            prop_assert!(url.as_str().len() <= URL_BYTES_MAX);
        }
    }
}
