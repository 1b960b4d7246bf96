//! Where entries of Celery's schedulers are: a database or a Redis, in the words of whichever package keeps them.

use std::path::PathBuf;
use std::str::FromStr;

use celeriac_db::PostgresOptions;

use crate::config::without_password;

/// Where entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In a SQLite file.
    File(PathBuf),
    /// In a database of a PostgreSQL server.
    Server(String),
    /// In Redis.
    Redis(String),
}

/// How URLs of Redis begin.
const REDIS: [&str; 5] = ["redis", "rediss", "redis+socket", "unix", "sentinel"];

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once(':') else { return file(text, text) };
        // SQLAlchemy names a driver behind a plus, Django none.
        match (scheme, scheme.split('+').next().unwrap_or_default()) {
            (scheme, _) if REDIS.contains(&scheme) => Ok(Self::Redis(text.to_owned())),
            (_, "sqlite" | "sqlite3") => file(text, rest),
            (_, "postgres" | "postgresql") => {
                let url = format!("postgres:{rest}");
                PostgresOptions::at(&url).validate().map_err(|error| error.to_string())?;
                Ok(Self::Server(url))
            }
            _ if rest.starts_with("//") => Err(format!(
                "entries in \"{scheme}\" can't be read, only those in sqlite:PATH, postgres://… and redis://…"
            )),
            _ => file(text, text),
        }
    }
}

/// Reads a path. Behind two slashes SQLAlchemy has a third one, and then a path that may be relative.
fn file(text: &str, rest: &str) -> Result<Source, String> {
    let path = rest.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("//") {
        Some(path) => match path.strip_prefix('/').map(PathBuf::from) {
            Some(relative) if relative.exists() || relative.is_absolute() => relative,
            _ => PathBuf::from(path),
        },
        None => PathBuf::from(path),
    };
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        return Err(format!("\"{text}\" names no file: write sqlite:PATH"));
    }
    Ok(Source::File(path))
}

impl Source {
    /// Writes it for people, without a password.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(url) | Self::Redis(url) => without_password(url).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_celerys_world_are_understood() {
        let check = |text: &str, expected: Source| assert_eq!(text.parse(), Ok(expected), "{text}");
        let file = |path: &str| Source::File(path.into());
        check("db.sqlite3", file("db.sqlite3"));
        check("sqlite:db.sqlite3", file("db.sqlite3"));
        check("sqlite:////var/schedule.db", file("/var/schedule.db"));
        check("sqlite:///no/such/file.db?timeout=5", file("/no/such/file.db"));
        // Cargo runs tests in the crate's folder, where this is.
        check("sqlite:///Cargo.toml", file("Cargo.toml"));
        let server = || Source::Server("postgres://me:secret@db:5433/shop".to_owned());
        check("postgresql+psycopg2://me:secret@db:5433/shop", server());
        assert_eq!(server().shown(), "postgres://me:***@db:5433/shop");
        check("rediss://db/0", Source::Redis("rediss://db/0".to_owned()));
    }

    #[test]
    fn others_are_refused_without_their_password() {
        for (text, word) in [
            ("mysql://me:secret@db/x", "mysql"),
            ("sqlite://", "sqlite:PATH"),
            ("postgres://me:secret@[db", "url"),
        ] {
            let refusal = text.parse::<Source>().unwrap_err();
            assert!(refusal.contains(word) && !refusal.contains("secret"), "{refusal}");
        }
    }
}
