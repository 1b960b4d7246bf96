//! Tables of bytes as Python wrote them, and what must never pass.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;
use crate::{Arguments, RawValue};

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn compact(json: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(json).unwrap().to_string()
}

#[test]
fn msgpack_of_kombu_is_read() {
    // The captured body of add.delay(2, 3).
    let body = bytes(
        "93 92 02 03 80 84 a9 63616c6c6261636b73 c0 a8 6572726261636b73 c0 a5 636861696e c0 a5 63686f7264 c0",
    );
    let json = msgpack::to_json(&body).unwrap();
    assert_eq!(compact(&json), r#"[[2,3],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#);
    for (hex, expected) in [
        ("cf ffffffffffffffff", "18446744073709551615"),
        ("d3 8000000000000000", "-9223372036854775808"),
        ("e0", "-32"),
        ("cb 3ff8000000000000", "1.5"),
        ("cb 4000000000000000", "2.0"),
        ("cb 7ff8000000000000", "null"),
        ("cb fff0000000000000", "-1e999"),
        ("c4 02 fffe", r#"{"__type__": "base64", "__value__": "//4="}"#),
        ("82 01 c3 c0 c2", r#"{"1":true,"null":false}"#),
        ("a2 c3a9", "\"é\""),
    ] {
        assert_eq!(String::from_utf8(msgpack::to_json(&bytes(hex)).unwrap()).unwrap(), expected);
    }
}

#[test]
fn msgpack_that_is_broken_or_a_bomb_is_named() {
    for (body, expected) in [
        (bytes("92 01"), "ends within"),
        (bytes("01 02"), "1 bytes follow"),
        (bytes("dd ffffffff"), "ends within"),
        (bytes("c6 ffffffff 00"), "ends within"),
        (bytes("a1 ff"), "no UTF-8"),
        (bytes("d4 05 00"), "extension"),
        (bytes("81 90 01"), "a key is"),
        (vec![0x91; 500], "deeper than"),
    ] {
        let error = msgpack::to_json(&body).unwrap_err();
        assert!(error.contains(expected), "{error} / {expected}");
    }
}

#[test]
fn yaml_of_kombu_is_read() {
    let body = "- - 2\n  - 3\n- {}\n- callbacks: null\n  chain: null\n  chord: null\n  errbacks: null\n";
    assert_eq!(
        compact(&yaml::to_json(body.as_bytes()).unwrap()),
        r#"[[2,3],{},{"callbacks":null,"chain":null,"chord":null,"errbacks":null}]"#
    );
}

#[test]
fn yaml_scalars_mean_what_they_mean_to_python() {
    for (yaml, expected) in [
        ("yes", "true"),
        ("Off", "false"),
        ("y", "\"y\""),
        ("~", "null"),
        ("''", "\"\""),
        ("'yes'", "\"yes\""),
        ("010", "8"),
        ("08", "\"08\""),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("1_000", "1000"),
        ("1:30", "90"),
        ("-12", "-12"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e3", "\"1e3\""),
        ("1.0e+3", "1000.0"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("1.2.3", "\"1.2.3\""),
        (".inf", "1e999"),
        ("-.inf", "-1e999"),
        (".nan", "null"),
        ("2026-01-02", r#"{"__type__": "date", "__value__": "2026-01-02"}"#),
        (
            "2026-01-02 03:04:05.678901+00:00",
            r#"{"__type__": "datetime", "__value__": "2026-01-02T03:04:05.678901+00:00"}"#,
        ),
        ("2026-01-02 00:00:00", r#"{"__type__": "datetime", "__value__": "2026-01-02T00:00:00"}"#),
        (
            "2026-01-02T3:04:05.5Z",
            r#"{"__type__": "datetime", "__value__": "2026-01-02T03:04:05.500000+00:00"}"#,
        ),
        ("!!binary |\n  //4=\n", r#"{"__type__": "base64", "__value__": "//4="}"#),
        ("!!set {b: null, a: null}", r#"["b","a"]"#),
        ("!!str 1", "\"1\""),
        ("1: a", r#"{"1":"a"}"#),
        ("- &a [1]\n- *a\n", "[[1],[1]]"),
        ("- &a k\n- {*a : 1}\n", r#"["k",{"k":1}]"#),
        ("\"caf\\xE9 \\u263A \\U0001F600\"", "\"café ☺ 😀\""),
        ("", "null"),
    ] {
        let read = yaml::to_json(yaml.as_bytes()).map(|json| String::from_utf8(json).unwrap());
        assert_eq!(read.as_deref(), Ok(expected), "{yaml}");
    }
}

#[test]
fn yaml_that_is_no_plain_data_or_a_bomb_is_named() {
    let laughs: String = (1..40).map(|n| format!("- &a{n} [*a{0}, *a{0}]\n", n - 1)).collect();
    for (yaml, expected) in [
        ("!!python/object/apply:os.system ['true']".to_owned(), "is not read"),
        ("{<<: {a: 1}}".to_owned(), "merge keys"),
        ("&a [*a]".to_owned(), "holds itself"),
        ("a: 1\n---\nb: 2\n".to_owned(), "second document"),
        ("[1] : 2".to_owned(), "a key is"),
        ("[".repeat(500), "recursion limit"),
        ("- ".repeat(200), "deeper than"),
        (format!("- &a0 lol\n{laughs}"), "more than 67108864 bytes"),
    ] {
        let error = yaml::to_json(yaml.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error} / {expected}");
    }
}

/// What Python's zlib, bz2 and lzma and the program zstd made of `[[2, 3], {}, {}]`.
const COMPRESSED: [(Compression, &str); 4] = [
    (Compression::Zlib, "eJyLjjbSUTCO1VGorgXhWAAkWwSq"),
    (Compression::Bzip2, "QlpoOTFBWSZTWbn4u+kAAASagEAEGAAACgAKIAAxDAgaaMIc12M9EhR4u5IpwoSFz8XfSA=="),
    (
        Compression::Xz,
        "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAPW1syLCAzXSwge30sIHt9XQCHd4k64lkR4QABKBDlC2xgH7bzfQEAAAAABFla",
    ),
    (Compression::Zstd, "KLUv/QRYgQAAW1syLCAzXSwge30sIHt9XWzEOSc="),
];

#[test]
fn what_python_compressed_is_expanded() {
    for (compression, base64) in COMPRESSED {
        let expanded = compression.expand(&BASE64.decode(base64).unwrap()).unwrap();
        assert_eq!(expanded, b"[[2, 3], {}, {}]", "{compression:?}");
    }
}

#[test]
fn a_body_that_grows_too_far_is_refused_and_one_at_the_limit_is_not() {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 100_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(matches!(
        Compression::Zlib.expand_to(&bomb, 99_999),
        Err(DecodeError::TooLarge { limit: 99_999 })
    ));
    assert_eq!(Compression::Zlib.expand_to(&bomb, 100_000).unwrap().len(), 100_000);
}

#[test]
fn broken_streams_are_named() {
    for compression in Compression::ALL {
        let error = compression.expand(b"no such thing").unwrap_err().to_string();
        assert!(error.starts_with(&format!("decompress body as {}", compression.names()[0])), "{error}");
    }
    for (compression, base64) in COMPRESSED {
        let whole = BASE64.decode(base64).unwrap();
        assert!(compression.expand(&whole[..whole.len() - 9]).is_err(), "{compression:?} cut short");
    }
}

#[test]
fn only_what_is_listed_is_accepted_and_pickle_never() {
    let of = |list: &[&str]| AcceptContent::of(list);
    assert_eq!(of(&["json", "application/x-msgpack", "yaml"]), Ok(AcceptContent::default()));
    assert_eq!(of(&["json", "pickle"]), Err(AcceptError::Pickle));
    assert_eq!(of(&["application/x-python-serialize"]), Err(AcceptError::Pickle));
    assert_eq!(of(&["xml"]), Err(AcceptError::Unknown("xml".to_owned())));
    assert_eq!(of(&[]), Err(AcceptError::Empty));
    let refusal = |accept: AcceptContent, name: &str| accept.admit(name).unwrap_err().to_string();
    let words = "accept the body: Refusing to deserialize untrusted content of type";
    assert_eq!(
        refusal(AcceptContent::default(), "application/x-python-serialize"),
        format!("{words} pickle (application/x-python-serialize)")
    );
    assert_eq!(
        refusal(of(&["json"]).unwrap(), "application/x-yaml"),
        format!("{words} yaml (application/x-yaml)")
    );
    assert_eq!(refusal(AcceptContent::default(), "text/odd"), format!("{words} text/odd (text/odd)"));
}

#[test]
fn typed_values_become_what_serde_reads() {
    let typed = |name: &str, value: &str| format!(r#"{{"__type__": "{name}", "__value__": {value}}}"#);
    for (sent, expected) in [
        (typed("datetime", "\"2026-01-02T03:04:05.678901+00:00\""), "\"2026-01-02T03:04:05.678901+00:00\""),
        (typed("date", "\"2026-01-02\""), "\"2026-01-02\""),
        (typed("time", "\"03:04:05.678901\""), "\"03:04:05.678901\""),
        (typed("decimal", "\"1.50\""), "\"1.50\""),
        (
            typed("uuid", r#"{"hex": "12345678123456781234567812345678"}"#),
            "\"12345678-1234-5678-1234-567812345678\"",
        ),
        (typed("bytes", "\"abc\""), "[97,98,99]"),
        (typed("base64", "\"//4=\""), "[255,254]"),
        (format!(r#"{{"a": [1.0, {}]}}"#, typed("decimal", "\"1\"")), r#"{"a":[1.0,"1"]}"#),
        (typed("odd", "1"), r#"{"__type__":"odd","__value__":1}"#),
        (
            r#"{"__type__": "date", "__value__": "x", "more": 1}"#.to_owned(),
            r#"{"__type__":"date","__value__":"x","more":1}"#,
        ),
    ] {
        let args = Arguments {
            positional: RawValue::from_string(format!("[{sent}]")).unwrap(),
            ..Arguments::default()
        };
        assert_eq!(args.untyped().positional.get(), format!("[{expected}]"));
    }
}

#[test]
fn pythons_own_words_are_replaced_outside_of_strings_only() {
    let replaced = tolerate(br#"[NaN, Infinity, -Infinity, "NaN \" Infinity", {"NaN": 1}]"#).unwrap();
    assert_eq!(replaced, br#"[null, 1e999, -1e999, "NaN \" Infinity", {"NaN": 1}]"#);
    assert_eq!(tolerate(br#"["NaN"]"#), None);
}

proptest::proptest! {
    /// Whoever sends the bytes: a reader ends, and what it gives is JSON.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let read = [msgpack::to_json(&bytes), yaml::to_json(&bytes)];
        for json in read.into_iter().flatten() {
            serde_json::from_slice::<&RawValue>(&json).unwrap();
        }
        for compression in Compression::ALL {
            let _ = compression.expand_to(&bytes, 10_000);
        }
    }

    /// JSON without the words of Python's is not touched, and what stands in strings never is.
    #[test]
    fn texts_pass_untouched(text in ".*") {
        let json = serde_json::to_vec(&[&text]).unwrap();
        proptest::prop_assert_eq!(tolerate(&json), None);
        let flow = serde_json::to_string(&[&text]).unwrap();
        if text.chars().all(|c| !c.is_control() && c != '\u{feff}' && c != '\u{85}') {
            let read = yaml::to_json(flow.as_bytes()).unwrap();
            proptest::prop_assert_eq!(serde_json::from_slice::<Vec<String>>(&read).unwrap(), vec![text]);
        }
    }
}

/// Values that Python has words for in every form.
const VALUES: &str = r#"[[2,-3,18446744073709551615,-9223372036854775808,1.5,1e300,-1e-7,true,false,null,"ä€😀\n\"\\\u0000",
    "yes","1.0",""],{"a":{"b":[]},"":{}},{"callbacks":null}]"#;

#[test]
fn every_form_that_is_written_is_read_back() {
    for serializer in Serializer::ALL {
        for compression in Compression::ALL.map(Some).into_iter().chain([None]) {
            let form = BodyForm { serializer, compression };
            let content = Content {
                headers: "{}".to_owned(),
                properties: "{}".to_owned(),
                content_type: serializer.content_type().to_owned(),
                content_encoding: serializer.content_encoding().to_owned(),
                body: write(form, VALUES.to_owned()).unwrap(),
            };
            let name = compression.map(|one| one.names()[0]);
            let (read_form, json) = read(&content, name, AcceptContent::default()).unwrap();
            assert_eq!(read_form, form);
            assert_eq!(compact(&json), compact(VALUES.as_bytes()), "{form:?}");
        }
    }
}

#[test]
fn zstd_tells_the_size_of_its_content() {
    let frame = Compression::Zstd.squeeze(b"celery");
    assert_eq!((frame[4] >> 6, &frame[6..14]), (3, &6_u64.to_le_bytes()[..]));
    assert_eq!(Compression::Zstd.expand(&frame).unwrap(), b"celery");
}

#[test]
fn msgpack_is_written_as_kombu_writes_it() {
    let json = r#"[[2,3],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#;
    let captured = bytes(
        "93 92 02 03 80 84 a9 63616c6c6261636b73 c0 a8 6572726261636b73 c0 a5 636861696e c0 a5 63686f7264 c0",
    );
    assert_eq!(msgpack::from_json(json).unwrap(), captured);
    for (json, hex) in [
        ("1e999", "cb 7ff0000000000000"),
        (r#"{"__type__":"bytes","__value__":"ab"}"#, "c4 02 6162"),
        (r#"{"__value__":"//4=","__type__":"base64"}"#, "c4 02 fffe"),
        (r#"{"__type__":"x","__value__":1}"#, "82 a8 5f5f747970655f5f a1 78 a9 5f5f76616c75655f5f 01"),
    ] {
        assert_eq!(msgpack::from_json(json).unwrap(), bytes(hex), "{json}");
    }
    for (json, reason) in [
        ("[18446744073709551616]", "more than 64 bits"),
        (r#""\ud800""#, "read a text"),
        (&format!("{}{}", "[".repeat(200), "]".repeat(200)), "deeper than"),
    ] {
        let error = msgpack::from_json(json).unwrap_err();
        assert!(error.contains(reason), "{error} / {reason}");
    }
}

#[test]
fn yaml_is_written_so_that_pyyaml_means_the_same() {
    for (json, yaml) in [
        ("1e5", "100000.0"),
        ("1e300", "1.0e+300"),
        ("-1.5e-7", "-1.5e-7"),
        ("1e999", ".inf"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        (r#""é\ud83d\ude00\u007f""#, r#""\xe9\U0001f600\x7f""#),
        (
            r#"{"__type__":"datetime","__value__":"2026-01-02T03:04:05+00:00"}"#,
            r#"!!timestamp "2026-01-02T03:04:05+00:00""#,
        ),
        (r#"{"__type__":"date","__value__":"2026-01-02"}"#, r#"!!timestamp "2026-01-02""#),
        (r#"{"__type__":"bytes","__value__":"ab"}"#, r#"!!binary "YWI=""#),
        (r#"{"__type__":"decimal","__value__":"1.50"}"#, r#"{"__type__": "decimal", "__value__": "1.50"}"#),
    ] {
        assert_eq!(String::from_utf8(yaml::from_json(json).unwrap()).unwrap().trim_end(), yaml);
    }
    let long = format!(r#"{{"{}":1}}"#, "k".repeat(2000));
    let written = yaml::from_json(&long).unwrap();
    assert!(written.starts_with(b"{? \"k"));
    assert_eq!(compact(&yaml::to_json(&written).unwrap()), long);
}
