//! URLs without their passwords, for whatever is shown.

use std::borrow::Cow;

use serde_json::Value;

/// What stands in the place of a password.
const HIDDEN: &str = "***";

/// The parameters of a URL that hold a password.
const PARAMETERS: [&str; 2] = ["pass", "password"];

/// Writes a text without the passwords that it holds if it is a URL, or several with semicolons between them.
pub(crate) fn without_password(text: &str) -> Cow<'_, str> {
    if text.matches("://").count() > 1 && text.contains(';') {
        return Cow::Owned(text.split(';').map(without_password).collect::<Vec<_>>().join(";"));
    }
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        // A password that was not escaped may hold what ends a name, so the last @ of all counts where it is later.
        let end = rest.rfind('@').filter(|end| *end >= authority.len()).or(authority.rfind('@'))?;
        let (user, _) = rest[..end].split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}{}", &rest[end..]))
    };
    let text = hidden().map_or(Cow::Borrowed(text), Cow::Owned);
    let Some((place, query)) = text.split_once('?') else { return text };
    let is_secret = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| PARAMETERS.contains(&name));
    if !query.split('&').any(is_secret) {
        return text;
    }
    let shown = |pair| {
        if is_secret(pair) {
            format!("{}={HIDDEN}", &pair[..pair.find('=').unwrap_or(0)])
        } else {
            pair.to_owned()
        }
    };
    let query: Vec<String> = query.split('&').map(shown).collect();
    Cow::Owned(format!("{place}?{}", query.join("&")))
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
            ("redis://host/?db=1&password=secret", "redis://host/?db=1&password=***"),
            ("sentinel://:a@one:1;sentinel://:b@two/0", "sentinel://:***@one:1;sentinel://:***@two/0"),
            ("rediss://host/0?bypass=shown", "rediss://host/0?bypass=shown"),
            ("sqlite:celeriac.db", "sqlite:celeriac.db"),
            ("mail@house.example", "mail@house.example"),
        ] {
            assert_eq!(without_password(text), expected);
        }
    }
}
