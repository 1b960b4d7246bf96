//! Where the database lies, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use celeriac_db::{Durability, SqliteOptions};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Invalid, Period};

/// Where the database lies, and how it is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    pub(crate) url: DatabaseUrl,
    pub(crate) durability: DurabilityWord,
    pub(crate) busy_timeout: Period,
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self {
            url: DatabaseUrl { path: "celeriac.db".into() },
            durability: DurabilityWord::Process,
            busy_timeout: Period(SqliteOptions::at("").busy_timeout),
        }
    }
}

impl DatabaseSection {
    /// Returns how the file is opened.
    pub(crate) fn options(&self) -> SqliteOptions {
        SqliteOptions {
            durability: self.durability.into(),
            busy_timeout: self.busy_timeout.0,
            ..SqliteOptions::at(&self.url.path)
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.options()
            .validate()
            .map_err(|error| Invalid { key: "database.url".to_owned(), reason: error.to_string() })
    }
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

/// Names a database: `sqlite:PATH`, or a path alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseUrl {
    path: PathBuf,
}

impl DatabaseUrl {
    /// Names a file.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets a relative path start from `folder`.
    pub(super) fn move_into(&mut self, folder: &Path) {
        self.path = folder.join(&self.path);
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once(':') {
            Some(("sqlite" | "sqlite3", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, rest)) if rest.starts_with("//") => {
                return Err(format!(
                    "databases of type \"{scheme}\" are not supported by this version, only sqlite:PATH is"
                ));
            }
            _ => text,
        };
        if rest.is_empty() || rest == ":memory:" {
            return Err("the database is a file: write sqlite:PATH".to_owned());
        }
        Ok(Self { path: rest.into() })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().path, Path::new(path), "{text}");
        }
    }

    #[test]
    fn other_databases_are_refused_by_name_and_without_their_password() {
        let refusal = "postgres://app:secret@db/app".parse::<DatabaseUrl>().unwrap_err();
        assert!(refusal.contains("\"postgres\"") && !refusal.contains("secret"), "{refusal}");
        for text in ["", "sqlite:", "sqlite::memory:", ":memory:"] {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
    }
}
