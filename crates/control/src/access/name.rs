//! What tokens and users may be called.

use celeriac_store::query::access::MAX_NAME_CHARS;

use super::AccessError;

/// Checks the name of a token.
pub(super) fn token(name: &str) -> Result<String, AccessError> {
    check("token", name)
}

/// Checks the name of a user, and writes it in lower case: `Ada` and `ada` are one.
pub(super) fn user(name: &str) -> Result<String, AccessError> {
    check("user", name).map(|name| name.to_lowercase())
}

fn check(what: &'static str, name: &str) -> Result<String, AccessError> {
    let is_plain = |c: char| c.is_alphanumeric() || "._-@+:/".contains(c);
    let reason = if name.is_empty() {
        "a name has at least one character"
    } else if name.chars().count() > MAX_NAME_CHARS {
        "a name has at most 100 characters"
    } else if !name.chars().all(is_plain) {
        "a name is made of letters, digits and . _ - @ + : /"
    } else {
        return Ok(name.to_owned());
    };
    // What is far too long is told by its beginning.
    let name = name.chars().take(MAX_NAME_CHARS).collect();
    Err(AccessError::Name { what, name, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_users_have_no_capitals() {
        for name in ["ci", "deploy-bot", "ada@example.com", "Zoë", "a/b:c+d"] {
            assert_eq!(token(name).unwrap(), name);
        }
        assert_eq!(user("Ada").unwrap(), "ada");
        for name in ["", "two words", "new\nline", "nul\0", "semi;colon", &"x".repeat(101)] {
            assert!(token(name).is_err() && user(name).is_err(), "{name:?}");
        }
    }
}
