//! URLs without their passwords, for whatever is shown.

use std::borrow::Cow;

use serde_json::Value;

/// What stands in the place of a password.
const HIDDEN: &str = "***";

/// Writes a text without the password that it holds if it is a URL.
pub(crate) fn without_password(text: &str) -> Cow<'_, str> {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        // A password that was not escaped may hold what ends a name, so the last @ of all counts where it is later.
        let end = rest.rfind('@').filter(|end| *end >= authority.len()).or(authority.rfind('@'))?;
        let (user, _) = rest[..end].split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}{}", &rest[end..]))
    };
    let text = hidden().map_or(Cow::Borrowed(text), Cow::Owned);
    match text.find("pass=") {
        Some(at) => {
            let (begin, rest) = text.split_at(at + 5);
            Cow::Owned(format!("{begin}{HIDDEN}{}", &rest[rest.find('&').unwrap_or(rest.len())..]))
        }
        None => text,
    }
}

/// Returns a setting's value as it may be shown.
pub(crate) fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(without_password(text).as_ref()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_hidden_and_all_else_is_shown() {
        for (text, expected) in [
            ("redis://:secret@host:1/0", "redis://:***@host:1/0"),
            ("rediss://me:secret@host", "rediss://me:***@host"),
            ("redis://:se/cr@et@host/0", "redis://:***@host/0"),
            ("redis://me@host/0", "redis://me@host/0"),
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("unix:///s?pass=secret&db=1", "unix:///s?pass=***&db=1"),
            ("sqlite:celeriac.db", "sqlite:celeriac.db"),
            ("mail@house.example", "mail@house.example"),
        ] {
            assert_eq!(without_password(text), expected);
        }
    }
}
