//! Where the database lies, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use celeriac_db::{Durability, PostgresOptions, SqliteOptions};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Invalid, Period, parameters};

/// Where the database lies, and how it is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    pub(crate) url: DatabaseUrl,
    pub(crate) durability: DurabilityWord,
    pub(crate) busy_timeout: Period,
    pub(crate) write_connections: u32,
    pub(crate) pooled: bool,
    pub(crate) prepared_statements: bool,
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::at("celeriac.db".into()),
            durability: DurabilityWord::Process,
            busy_timeout: Period(SqliteOptions::at("").busy_timeout),
            write_connections: PostgresOptions::at("").write_connections,
            pooled: false,
            prepared_statements: true,
        }
    }
}

impl DatabaseSection {
    /// Returns how it is opened.
    pub(crate) fn opening(&self) -> Opening {
        match &self.url.place {
            Place::File(path) => Opening::File(SqliteOptions {
                durability: self.durability.into(),
                busy_timeout: self.busy_timeout.0,
                ..SqliteOptions::at(path)
            }),
            Place::Server(url) => Opening::Server(PostgresOptions {
                lock_timeout: self.busy_timeout.0,
                write_connections: self.write_connections,
                pooled: self.pooled,
                prepared_statements: self.prepared_statements,
                ..PostgresOptions::at(url)
            }),
        }
    }

    /// Says whether the database lies on a server, which others share.
    pub(crate) fn is_on_server(&self) -> bool {
        matches!(self.url.place, Place::Server(_))
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let validated = match self.opening() {
            Opening::File(options) => options.validate(),
            Opening::Server(options) => options.validate(),
        };
        validated.map_err(|error| Invalid { key: "database.url".to_owned(), reason: error.to_string() })
    }
}

/// How a database is opened, by what it lies in.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    /// A SQLite file.
    File(SqliteOptions),
    /// A database of a PostgreSQL server.
    Server(PostgresOptions),
}

/// What a commit survives, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityWord {
    /// Any crash of a process.
    Process,
    /// A power loss, too.
    Power,
}

impl From<DurabilityWord> for Durability {
    fn from(word: DurabilityWord) -> Self {
        match word {
            DurabilityWord::Process => Self::Process,
            DurabilityWord::Power => Self::Power,
        }
    }
}

/// Names a database: `sqlite:PATH`, a path alone, or `postgres://user:password@host/database`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl {
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Server(String),
}

impl DatabaseUrl {
    /// Names a file.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { place: Place::File(path) }
    }

    /// Returns the file, where it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Server(_) => None,
        }
    }

    /// Returns what people call it, without a password.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Server(_) => self.to_string(),
        }
    }

    /// Returns the parameters that other programs know and that are not used here.
    pub(super) fn unused(&self) -> Vec<&str> {
        match &self.place {
            Place::File(_) => Vec::new(),
            Place::Server(url) => parameters::POSTGRES.unused(url),
        }
    }

    /// Lets a relative path start from `folder`.
    pub(super) fn move_into(&mut self, folder: &Path) {
        if let Place::File(path) = &mut self.place {
            *path = folder.join(&*path);
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once(':') {
            Some(("sqlite" | "sqlite3", rest)) => {
                parameters::SQLITE.check(text)?;
                rest.strip_prefix("//").unwrap_or(rest)
            }
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                PostgresOptions::at(text).validate().map_err(|error| error.to_string())?;
                parameters::POSTGRES.check(text)?;
                return Ok(Self { place: Place::Server(text.to_owned()) });
            }
            Some((scheme, rest)) if rest.starts_with("//") => {
                return Err(format!(
                    "databases of type \"{scheme}\" are not supported, only sqlite:PATH and postgres:// are"
                ));
            }
            _ => text,
        };
        if rest.is_empty() || rest == ":memory:" {
            return Err(
                "the database is a file or lies on a server: write sqlite:PATH or postgres://".to_owned()
            );
        }
        Ok(Self::at(rest.into()))
    }
}

/// Shows it without a password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "sqlite:{}", path.display()),
            Place::Server(url) => match PostgresOptions::at(url).name() {
                Ok(name) => f.write_str(&name),
                Err(_) => f.write_str("postgres://"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.place {
            Place::File(_) => serializer.collect_str(self),
            // Whole, as the other URLs: settings are read back from what is written, and who shows them hides passwords.
            Place::Server(url) => serializer.serialize_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_url_names_a_file() {
        for (text, path) in [
            ("celeriac.db", "celeriac.db"),
            ("/var/lib/x.db", "/var/lib/x.db"),
            ("sqlite:x.db", "x.db"),
            ("sqlite://x.db", "x.db"),
            ("sqlite:///var/x.db", "/var/x.db"),
            ("C:x.db", "C:x.db"),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().file(), Some(Path::new(path)), "{text}");
        }
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        let url = "postgres://app:secret@db:5433/shop?sslmode=require".parse::<DatabaseUrl>().unwrap();
        assert_eq!(url.to_string(), "postgres://app@db:5433/shop");
        assert!(!format!("{url:?}").contains("secret") && url.file().is_none());
        let section = DatabaseSection { url, pooled: true, ..DatabaseSection::default() };
        let Opening::Server(options) = section.opening() else { panic!("it is a server") };
        assert!(options.pooled && options.url.contains("secret"));
    }

    #[test]
    fn other_databases_are_refused_by_name_and_without_their_password() {
        let refusal = "mysql://app:secret@db/app".parse::<DatabaseUrl>().unwrap_err();
        assert!(refusal.contains("\"mysql\"") && !refusal.contains("secret"), "{refusal}");
        for text in ["", "sqlite:", "sqlite::memory:", ":memory:", "postgres://app:secret@[db"] {
            let refusal = text.parse::<DatabaseUrl>().unwrap_err();
            assert!(!refusal.contains("secret"), "{text}");
        }
    }
}
