//! Failures as one line of text, and text as every database takes it, for records and logs.

use std::any::Any;
use std::error::Error;

/// Joins an error and its causes into one line, outermost first.
///
/// Some libraries repeat their cause in their own text; what has been said is not said again.
pub fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

/// Returns the text with U+FFFD in place of every NUL, which no text in PostgreSQL can hold.
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Returns what a panic said, where that is text.
pub fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl std::fmt::Display for Said {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_follow_and_what_was_said_is_not_said_again() {
        let fire = Said("disk on fire", None);
        let write = Said("write page: disk on fire", Some(Box::new(fire)));
        let save = Said("save", Some(Box::new(write)));
        assert_eq!(error_text(&save), "save: write page: disk on fire");
    }

    #[test]
    fn a_nul_is_replaced_and_all_else_is_left() {
        for (text, expected) in [("", ""), ("a\nb", "a\nb"), ("\0a\0", "\u{fffd}a\u{fffd}")] {
            assert_eq!(without_nul(text.to_owned()), expected);
        }
    }

    #[test]
    fn a_panic_says_its_text_and_nothing_where_it_has_none() {
        let caught = |work: fn()| std::panic::catch_unwind(work).unwrap_err();
        assert_eq!(panic_text(&*caught(|| std::panic::panic_any("static"))), Some("static"));
        assert_eq!(panic_text(&*caught(|| std::panic::panic_any("owned".to_owned()))), Some("owned"));
        assert_eq!(panic_text(&*caught(|| std::panic::panic_any(7))), None);
    }
}
