//! How much of what a job says is kept, and how it is marked where it was cut.

use celeriac_protocol::{RawValue, without_nul};

/// The longest arguments that are kept, positional and named each, in bytes of JSON.
pub const MAX_ARGUMENT_BYTES: usize = 256 * 1024;

/// The longest result that is kept, in bytes of JSON: for callers the record is the result.
pub const MAX_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// The longest intermediate result that is kept, in bytes of JSON.
pub const MAX_PARTIAL_BYTES: usize = 256 * 1024;

/// The longest progress message or reason that is kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 4 * 1024;

/// The one key of what stands in place of a value that was too long.
pub const TRUNCATED: &str = "celeriac_truncated";

/// How much of a value that was not kept is shown, in bytes.
const SHOWN_BYTES: usize = 1024;

/// Returns the value as it is, or an object that says that it was too long to keep:
/// `{"celeriac_truncated": {"bytes": …, "limit": …, "beginning": "…"}}`.
pub(crate) fn kept_json(value: &RawValue, max: usize) -> String {
    let text = value.get();
    if text.len() <= max {
        return text.to_owned();
    }
    let beginning = &text[..text.floor_char_boundary(SHOWN_BYTES)];
    let told = serde_json::json!({ "bytes": text.len(), "limit": max, "beginning": beginning });
    serde_json::json!({ TRUNCATED: told }).to_string()
}

/// Returns the text without NUL, cut at a character and marked with an ellipsis where it is too long.
pub(crate) fn kept_text(text: &str) -> String {
    let text = without_nul(text.to_owned());
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    let end = text.floor_char_boundary(MAX_TEXT_BYTES - '…'.len_utf8());
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn json_within_its_limit_is_kept_to_the_letter() {
        let text = r#"{"n": 12345678901234567890.10, "b":[ 1,2 ]}"#;
        assert_eq!(kept_json(&raw(text), text.len()), text);
    }

    #[test]
    fn json_beyond_its_limit_is_replaced_by_an_object_that_says_so() {
        let long = format!("\"{}\"", "ä".repeat(2_000));
        let kept: serde_json::Value = serde_json::from_str(&kept_json(&raw(&long), 100)).unwrap();
        assert_eq!(kept[TRUNCATED]["bytes"], long.len());
        assert_eq!(kept[TRUNCATED]["limit"], 100);
        assert!(kept[TRUNCATED]["beginning"].as_str().unwrap().starts_with("\"ää"));
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(kept_text("short"), "short");
        assert_eq!(kept_text("sho\0rt"), "sho\u{fffd}rt");
        assert!(kept_text(&"\0".repeat(MAX_TEXT_BYTES)).len() <= MAX_TEXT_BYTES);
        let cut = kept_text(&"ä".repeat(MAX_TEXT_BYTES));
        assert!(cut.len() <= MAX_TEXT_BYTES && cut.ends_with("ä…"));
    }
}
