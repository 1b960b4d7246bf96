//! Which source wins, and what the text is then.

use super::*;

const HTML: Option<&str> = Some("text/html");

fn check(body: &[u8], content_type: Option<&str>, encoding: &str, source: CharsetSource) {
    let decoded = decode(body, content_type, None);
    assert_eq!(
        (decoded.encoding, decoded.source),
        (encoding, source),
        "{:?} as {content_type:?}",
        String::from_utf8_lossy(body)
    );
}

/// Checks what a page alone says of its encoding; without an answer the guess for ASCII is UTF-8.
fn check_page(page: &str, encoding: Option<&str>) {
    let source = if encoding.is_some() { CharsetSource::Document } else { CharsetSource::Guess };
    check(page.as_bytes(), HTML, encoding.unwrap_or("UTF-8"), source);
}

#[test]
fn sources_are_asked_in_the_order_of_browsers() {
    let marked = b"\xEF\xBB\xBF<meta charset=koi8-r>";
    check(marked, Some("text/html; charset=windows-1251"), "UTF-8", CharsetSource::ByteOrderMark);
    let page = b"<meta charset=koi8-r>";
    check(page, Some("text/html; charset=windows-1251"), "windows-1251", CharsetSource::Header);
    check(page, Some("text/html; charset=no-such"), "KOI8-R", CharsetSource::Document);
    check(page, None, "KOI8-R", CharsetSource::Document);
    check(b"plain", HTML, "UTF-8", CharsetSource::Guess);
    check(b"\xFF\xFEa\0", Some("text/html; charset=utf-8"), "UTF-16LE", CharsetSource::ByteOrderMark);
    check(b"\xFE\xFF\0a", None, "UTF-16BE", CharsetSource::ByteOrderMark);
}

#[test]
fn the_charset_of_content_type_is_found_as_people_write_it() {
    for (content_type, expected) in [
        ("text/html; charset=UTF-8", Some("UTF-8")),
        ("text/html;charset=utf-8", Some("utf-8")),
        ("text/html; Charset = \"utf-8\"", Some("utf-8")),
        ("text/html; charset='utf-8'", Some("utf-8")),
        ("text/html; boundary=x; charset=koi8-r ; y=z", Some("koi8-r")),
        ("text/html; charset=", None),
        ("text/html; charset", None),
        ("text/html", None),
        ("charset=utf-8", None),
        ("", None),
    ] {
        assert_eq!(charset_of(content_type), expected, "{content_type:?}");
    }
}

#[test]
fn a_page_declares_its_encoding_in_many_ways() {
    for (page, expected) in [
        ("<meta charset=euc-jp>", Some("EUC-JP")),
        ("<META CHARSET='EUC-JP'>", Some("EUC-JP")),
        ("<meta\tcharset = \"euc-jp\" >", Some("EUC-JP")),
        ("<meta/charset=euc-jp/>", None),
        ("<meta/charset=euc-jp >", Some("EUC-JP")),
        ("<!doctype html><html lang=ja><head><title>x</title><meta charset=euc-jp>", Some("EUC-JP")),
        ("<meta http-equiv=Content-Type content='text/html; charset=euc-jp'>", Some("EUC-JP")),
        ("<meta content='text/html; charset=euc-jp' http-equiv=content-type>", Some("EUC-JP")),
        ("<meta http-equiv=content-type content=\"charset = 'euc-jp'\">", Some("EUC-JP")),
        ("<meta http-equiv=content-type content='charset charset=euc-jp;x'>", Some("EUC-JP")),
        ("<meta http-equiv=content-type content=\"charset='euc-jp\">", None),
        ("<meta content='text/html; charset=euc-jp'>", None),
        ("<meta http-equiv=refresh content='0; charset=euc-jp'>", None),
        ("<meta charset=no-such><meta charset=euc-jp>", Some("EUC-JP")),
        ("<meta charset=koi8-r charset=euc-jp>", Some("KOI8-R")),
        ("<meta charset=utf-16>", Some("UTF-8")),
        ("<meta charset=x-user-defined>", Some("windows-1252")),
        ("<meta name=x><meta charset=euc-jp>", Some("EUC-JP")),
        ("<!-- <meta charset=koi8-r> --><meta charset=euc-jp>", Some("EUC-JP")),
        ("<!--><meta charset=euc-jp>", Some("EUC-JP")),
        ("<!-- <meta charset=euc-jp>", None),
        ("<a title='<meta charset=koi8-r>'><meta charset=euc-jp>", Some("EUC-JP")),
        ("</a title='<meta charset=koi8-r>'><meta charset=euc-jp>", Some("EUC-JP")),
        ("<!x '<meta charset=koi8-r'><meta charset=euc-jp>", Some("EUC-JP")),
        ("<metadata charset=koi8-r><meta charset=euc-jp>", Some("EUC-JP")),
        ("< meta charset=koi8-r>", None),
        ("<meta charset=euc-jp", None),
        ("<meta charset=\"euc-jp>", None),
        ("<meta", None),
        ("<", None),
        ("<?xml version='1.0' encoding='euc-jp'?><urlset/>", Some("EUC-JP")),
        ("<?xml version=\"1.0\" encoding = \"ISO-8859-1\" ?><x/>", Some("windows-1252")),
        ("<?xml version='1.0' encoding='koi8-r'?><meta charset=euc-jp>", Some("EUC-JP")),
        ("<?xml encoding=euc-jp?>", None),
        (" <?xml encoding='euc-jp'?>", None),
    ] {
        check_page(page, expected);
    }
}

#[test]
fn a_late_declaration_counts_up_to_a_limit() {
    let late = |length: usize| format!("<!--{}--><meta charset=euc-jp>", "x".repeat(length));
    check_page(&late(10_000), Some("EUC-JP"));
    check_page(&late(PRESCAN_BYTES), None);
}

#[test]
fn undeclared_pages_are_guessed() {
    for (label, text, host) in [
        ("UTF-8", "Grüße aus Köln, přílíš žluťoučký kůň", None),
        ("windows-1251", "Съешь же ещё этих мягких французских булок, да выпей чаю", None),
        ("Shift_JIS", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。", None),
        ("EUC-KR", "대한민국의 주권은 국민에게 있고, 모든 권력은 국민으로부터 나온다.", None),
        ("windows-1252", "Les élèves français étaient très étonnés là-bas", Some("example.fr")),
    ] {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let body = encoding.encode(text).0;
        let decoded = decode(&body, HTML, host);
        assert_eq!((decoded.encoding, &*decoded.text), (label, text));
        assert_eq!(decoded.source, CharsetSource::Guess);
        assert!(!decoded.had_errors);
    }
}

#[test]
fn utf_8_is_borrowed_and_its_mark_dropped() {
    let decoded = decode(b"\xEF\xBB\xBFcaf\xC3\xA9", None, None);
    assert!(matches!(decoded.text, Cow::Borrowed("café")));
}

#[test]
fn bytes_without_meaning_are_replaced_and_reported() {
    let decoded = decode(b"caf\xE9 <b>", Some("text/html; charset=utf-8"), None);
    assert_eq!((&*decoded.text, decoded.had_errors), ("caf\u{fffd} <b>", true));
}

#[test]
fn any_host_may_help_to_guess() {
    for host in ["", ".", "EXAMPLE.COM", "127.0.0.1", "[::1]", "münchen.de.", "a.xn--p1ai", "x.рф"] {
        assert_eq!(decode("é".as_bytes(), None, Some(host)).encoding, "UTF-8", "{host}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        start in "(<meta |<!--|<\\?xml encoding|<a b=)?",
        content_type in "(text/html; charset=[a-z0-9-]{0,12})?",
    ) {
        let _ = decode(&[start.as_bytes(), &bytes].concat(), Some(&content_type), Some("example.de"));
    }
}
