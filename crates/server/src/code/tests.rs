//! Holds the registry against itself and against its page.

use super::*;

#[test]
fn words_are_unique_and_snake_case() {
    let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
}

#[test]
fn kind_exit_code_and_status_agree() {
    for code in Code::ALL {
        let status = code.status();
        let fits = match code.kind() {
            Kind::Answer => {
                matches!(
                    code.exit(),
                    Exit::Negative | Exit::TimedOut | Exit::Interrupted | Exit::OutputClosed
                )
            }
            Kind::User => match code.exit() {
                Exit::NotFound => status == StatusCode::NOT_FOUND,
                exit => exit == Exit::Usage && status.is_client_error() && status != StatusCode::NOT_FOUND,
            },
            Kind::Config => code.exit() == Exit::Usage && status == StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => {
                code.exit() == Exit::Unavailable && status == StatusCode::SERVICE_UNAVAILABLE
            }
            Kind::Internal => code.exit() == Exit::Internal && status == StatusCode::INTERNAL_SERVER_ERROR,
        };
        assert!(fits, "{code:?}");
    }
}

#[test]
fn whatever_somebody_else_must_mend_has_a_hint() {
    let silent = Code::ALL.iter().filter(|code| code.kind() == Kind::Unavailable && code.hint().is_none());
    assert_eq!(silent.copied().collect::<Vec<_>>(), [Code::Unavailable]);
    let silent =
        Code::ALL.iter().filter(|code| code.kind() == Kind::Unavailable && code.http_hint().is_none());
    assert_eq!(silent.count(), 0);
}

#[test]
fn what_is_said_over_http_names_no_flag() {
    for code in Code::ALL {
        assert!(!code.http_hint().unwrap_or("").contains("--"), "{code:?}");
    }
}

/// Writes the reference of all codes.
fn document() -> String {
    let mut text = "# Error codes\n\n\
        What can go wrong, on the command line and over HTTP. With `--json` an error is one object on the error stream:\n\
        `code`, `kind`, `message`, `causes`, `hint`, `exit_code`, and `job` where it is about one. Over HTTP it is\n\
        `application/problem+json` with the same code. Codes, kinds, exit codes and statuses are stable. This page is written\n\
        by a test from `crates/server/src/code.rs`; what the exit codes mean stands in `--help`.\n\n\
        Of the statuses, 400 says that a request can't be read, 422 that it reads well and asks for what does not fit, 404\n\
        that what it names is not there, and 409 that something stands in the way at present.\n"
        .to_owned();
    for kind in Kind::ALL {
        text.push_str(&format!("\n## `{}`: {}\n\n", kind.as_str(), kind.meaning()));
        text.push_str("| code | exit | HTTP | meaning | what to do | what to do over HTTP |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- |\n");
        Code::ALL.iter().filter(|code| code.kind() == kind).for_each(|code| text.push_str(&row(*code)));
    }
    text
}

fn row(code: Code) -> String {
    let (word, exit, status) = (code.as_str(), code.exit().number(), code.status().as_u16());
    let (hint, http_hint) = (code.hint().unwrap_or(""), code.http_hint().unwrap_or(""));
    let http_hint = if hint == http_hint && !hint.is_empty() { "the same" } else { http_hint };
    format!("| `{word}` | {exit} | {status} | {} | {hint} | {http_hint} |\n", code.meaning())
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever changes a code asks for the page by a variable")]
fn the_reference_is_up_to_date() {
    if std::env::var_os("CELERIAC_TEST_WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, document()).unwrap();
    }
    let kept = std::fs::read_to_string(DOCUMENT).unwrap();
    assert!(kept == document(), "run this test with CELERIAC_TEST_WRITE_DOCS=1 and look at the difference");
}
