//! The text of tokens and of sessions' cookies: made, taken apart, and compared without telling how alike two are.

use celeriac_store::query::access::StoredSecret;
use rand::RngExt as _;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How the text of every token begins, so that a person, or a program that looks for leaked secrets, knows it for one.
pub const TOKEN_PREFIX: &str = "celeriac_";

/// How many characters are drawn: with 62 to choose from, 43 hold 256 bits.
const DRAWN: usize = 43;

/// How many of them are kept in the clear, to find a row by and to be shown in lists; 208 bits stay unsaid.
const SHOWN: usize = 8;

/// What is hashed before a session's text to make the token of its forms.
const FORM_DOMAIN: &[u8] = b"celeriac form\0";

/// Draws the text of a token.
pub(super) fn draw_token() -> SecretString {
    format!("{TOKEN_PREFIX}{}", draw()).into()
}

/// Draws the text of a session's cookie.
pub(super) fn draw_session() -> SecretString {
    draw().into()
}

/// The generator is seeded by the operating system, and made for secrets.
fn draw() -> String {
    rand::rng().sample_iter(Alphanumeric).take(DRAWN).map(char::from).collect()
}

/// Returns what is kept of a text; `None` where it can't be one of ours.
pub(super) fn of_token(text: &str) -> Option<StoredSecret> {
    let drawn = text.strip_prefix(TOKEN_PREFIX)?;
    is_drawn(drawn).then(|| kept(text, TOKEN_PREFIX.len() + SHOWN))
}

/// Does the same for a session's cookie.
pub(super) fn of_session(text: &str) -> Option<StoredSecret> {
    is_drawn(text).then(|| kept(text, SHOWN))
}

fn is_drawn(text: &str) -> bool {
    text.len() == DRAWN && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn kept(text: &str, shown: usize) -> StoredSecret {
    StoredSecret { prefix: text[..shown].to_owned(), hash: Sha256::digest(text.as_bytes()).into() }
}

/// Says whether what was presented is what was kept, in a time that says nothing.
pub(super) fn fits(presented: &StoredSecret, kept: &StoredSecret) -> bool {
    presented.hash.ct_eq(&kept.hash).into()
}

/// Returns the token that a session's forms carry: another site can neither read nor guess it.
pub(super) fn form_token(session: &SecretString) -> String {
    let hash = Sha256::new().chain_update(FORM_DOMAIN).chain_update(session.expose_secret()).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says whether a form came from a page of that session.
pub(super) fn form_fits(session: &SecretString, presented: &str) -> bool {
    form_token(session).as_bytes().ct_eq(presented.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_known_for_what_it_is() {
        let (token, session) = (draw_token(), draw_session());
        let (token, session) = (token.expose_secret(), session.expose_secret());
        assert!(token.starts_with("celeriac_") && token.len() == 52 && session.len() == 43);
        let kept = of_token(token).unwrap();
        assert_eq!(kept.prefix, token[..17]);
        assert!(fits(&of_token(token).unwrap(), &kept));
        assert!(!fits(&of_token(draw_token().expose_secret()).unwrap(), &kept));
        assert_eq!(of_session(session).unwrap().prefix, session[..8]);
        for none in ["", "celeriac_", session, &token[..51], &format!("{token}x"), &token.replace('_', "ä")]
        {
            assert!(of_token(none).is_none(), "{none}");
        }
        assert!(of_session(token).is_none() && of_session("").is_none());
    }

    #[test]
    fn a_forms_token_fits_its_session_alone() {
        let (one, other) = (draw_session(), draw_session());
        assert!(form_fits(&one, &form_token(&one)));
        assert!(!form_fits(&other, &form_token(&one)) && !form_fits(&one, ""));
        assert!(!form_token(&one).contains(one.expose_secret()));
    }
}
