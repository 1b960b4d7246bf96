//! Where Redis is, in the variables that projects with Celery commonly have: one server for many things,
//! and a database of it for each.

use super::{Given, Layers, Origin};
use crate::error::Result;

/// Variables that name a database of Redis, and the key whose URL each makes.
pub(super) const DATABASES: [(&str, &str); 2] =
    [("REDIS_CELERY_BROKER_DB", "broker.url"), ("REDIS_CELERY_RESULT_DB", "results.url")];

/// Variables that say where Redis is. Alone they ask for nothing: it may be there for something else.
pub(super) const SERVER: [&str; 4] = ["REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"];

/// Takes URLs out of the environment.
pub(super) fn apply(layers: &mut Layers, variables: &[(String, String)]) -> Result {
    for (variable, key) in DATABASES {
        if let Some(database) = value_of(variables, variable) {
            let url = format!("{}/{database}{}", server(variables), parameters(variables));
            layers.set(key, Given::Text(url), &Origin::Env { variable: variable.to_owned() })?;
        }
    }
    Ok(())
}

/// Returns a URL without a database.
fn server(variables: &[(String, String)]) -> String {
    let [url, host, port, password] = SERVER.map(|variable| value_of(variables, variable));
    if let Some(url) = url {
        let begin = url.find("://").map_or(0, |at| at + 3);
        // After the last @, since a password may hold anything.
        let host = url.rfind('@').unwrap_or(begin).max(begin);
        let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
        return url[..end].to_owned();
    }
    let password = password.map_or(String::new(), |password| format!(":{}@", escaped(password)));
    format!("redis://{password}{}:{}", host.unwrap_or("localhost"), port.unwrap_or("6379"))
}

/// Returns what stands in a URL behind its question mark, that included.
fn parameters(variables: &[(String, String)]) -> &str {
    let url = value_of(variables, SERVER[0]).unwrap_or_default();
    url.find('?').map_or("", |at| &url[at..])
}

fn value_of<'v>(variables: &'v [(String, String)], wanted: &str) -> Option<&'v str> {
    let found = variables.iter().find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// Writes a password as it stands in a URL.
fn escaped(password: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let letter = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    password.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &str) {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(server(&variables), expected);
    }

    #[test]
    fn server_is_named_whole_or_in_parts() {
        check(&[], "redis://localhost:6379");
        check(&[("REDIS_HOST", "cache"), ("REDIS_PORT", "1")], "redis://cache:1");
        check(&[("REDIS_PASSWORD", "a/b@c")], "redis://:a%2Fb%40c@localhost:6379");
        check(
            &[("REDIS_URL", "rediss://me:a/b@host:1/4?x=1"), ("REDIS_HOST", "other")],
            "rediss://me:a/b@host:1",
        );
        check(&[("REDIS_URL", "redis://host")], "redis://host");
        let url = ("REDIS_URL".to_owned(), "rediss://host/4?ssl_ca_certs=a.pem".to_owned());
        assert_eq!(parameters(&[url]), "?ssl_ca_certs=a.pem");
    }
}
