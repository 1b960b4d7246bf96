//! What keeps us from the server, in words that say what to do about it.

use redis::{ErrorKind, RedisError};

use crate::error::NotLetIn;
use crate::tls;

/// What the server says to those whom it does not know.
const NO_PASSWORD: &str = "NOAUTH";
const WRONG_PASSWORD: &str = "WRONGPASS";

/// Returns what is wrong where the server that answers is not the one that is meant, or does not let us in: nothing of
/// this passes by waiting.
pub(super) fn of(error: &RedisError) -> Option<NotLetIn> {
    if let Some(fault) = tls::fault_of(error) {
        return Some(fault.told(&tls::REDIS, ["redis://", "rediss://"], error.clone()));
    }
    let (what, advice) = match error.kind() {
        ErrorKind::Parse => (
            "what answers there is no Redis, or one that speaks TLS alone",
            "look at host and port in the URL (RabbitMQ's ports are 5672 and 5671), and write rediss:// where it is TLS",
        ),
        _ if says(error, NO_PASSWORD) => (
            "the server wants a password",
            "write it into the URL: redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST",
        ),
        ErrorKind::AuthenticationFailed => ("user or password is wrong", LOGIN),
        _ if says(error, WRONG_PASSWORD) => ("user or password is wrong", LOGIN),
        _ if error.detail().is_some_and(|detail| detail.contains("DB index")) => (
            "the server has no database of this number",
            "its setting `databases` says how many there are, 16 unless somebody has changed it",
        ),
        _ => return None,
    };
    Some(NotLetIn::new(what, advice, error.clone()))
}

const LOGIN: &str =
    "look at user and password in the URL; a mark in one of them is written as % and two digits";

fn says(error: &RedisError, code: &str) -> bool {
    error.code() == Some(code) || error.detail().is_some_and(|detail| detail.contains(code))
}
