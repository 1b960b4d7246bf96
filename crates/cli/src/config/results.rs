//! Where results are kept for Celery's clients, and what they say.

use std::fmt;
use std::str::FromStr;

use celeriac_broker::{RedisOptions, ReplyOptions};
use celeriac_control::ResultSettings;
use celeriac_db::{PostgresOptions, SqliteOptions};
use celeriac_protocol::ResultStyle;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::broker::{check_master_name, is_redis, reason_of};
use super::parameters;
use super::records::Keep;
use super::secret::without_password;
use super::tasks::{JSON, NONE, form};
use super::{Invalid, Opening};

/// Where results are kept for Celery's clients, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResultsSection {
    pub(crate) url: ResultsUrl,
    pub(crate) master_name: String,
    pub(crate) key_prefix: String,
    pub(crate) expires: Keep,
    pub(crate) extended: bool,
    pub(crate) track_started: bool,
    pub(crate) serializer: String,
    pub(crate) compression: String,
    pub(crate) persistent: bool,
}

/// How long Celery keeps results.
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

impl Default for ResultsSection {
    fn default() -> Self {
        let (url, expires) = (ResultsUrl::Database, Keep(Some(DAY)));
        Self {
            url,
            master_name: String::new(),
            key_prefix: String::new(),
            expires,
            extended: false,
            track_started: false,
            serializer: JSON.to_owned(),
            compression: NONE.to_owned(),
            persistent: false,
        }
    }
}

impl ResultsSection {
    /// Returns how results are written. Celery's 0 is for ever, too.
    pub(crate) fn settings(&self) -> ResultSettings {
        let process = std::process::id();
        let style = ResultStyle { extended: self.extended, started: self.track_started, process };
        let keep = self.expires.0.filter(|keep| !keep.is_zero());
        // What can't be was refused by `validate`.
        let form = form(&self.serializer, &self.compression).unwrap_or_default();
        ResultSettings { style, keep, form }
    }

    /// Returns how they are sent to whoever waits for them.
    pub(crate) fn replies(&self) -> ReplyOptions {
        let ResultSettings { keep, form, .. } = self.settings();
        ReplyOptions { serializer: form.serializer, persistent: self.persistent, expires: keep }
    }

    /// Returns where in Redis they are kept; a call may take as long as `deadline`.
    pub(crate) fn redis(&self, url: &str, deadline: std::time::Duration) -> RedisOptions {
        let master_name = Some(self.master_name.clone());
        RedisOptions { master_name, key_prefix: self.key_prefix.clone(), deadline, ..RedisOptions::at(url) }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if let ResultsUrl::Redis(url) = &self.url {
            check_master_name("results", url, &self.master_name)?;
            let refused = |error| Invalid { key: "results".to_owned(), reason: reason_of(&error) };
            self.redis(url, DAY).validate().map_err(refused)?;
        }
        form(&self.serializer, &self.compression).map(drop).map_err(|wrong| wrong.of("results"))
    }
}

/// Names where results are kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ResultsUrl {
    /// In the records alone.
    Database,
    /// In Redis, too, in the words of its URL.
    Redis(String),
    /// In the table of Celery's database backend, too, in the words of SQLAlchemy's URL behind `db+`.
    Sql(String),
    /// Nowhere else, but whoever waits for one is sent it, by the broker.
    Rpc,
}

/// What Celery calls results that are sent to whoever waits.
const RPC: &str = "rpc://";

impl ResultsUrl {
    /// Writes it for people, without a password.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Database => "database".to_owned(),
            Self::Rpc => RPC.to_owned(),
            Self::Redis(url) | Self::Sql(url) => without_password(url).into_owned(),
        }
    }

    /// Returns how the database that results lie in is opened, where they lie in one.
    ///
    /// A driver (`db+postgresql+psycopg2://`) and, of a file, the settings behind a question mark are Python's.
    pub(crate) fn opening(&self) -> Option<Opening> {
        let Self::Sql(url) = self else { return None };
        sql_opening(url).ok()
    }

    /// Returns the parameters that other programs know and that are not used here.
    pub(super) fn unused(&self) -> Vec<&str> {
        match self {
            Self::Database | Self::Rpc => Vec::new(),
            Self::Redis(url) => parameters::of_redis_results(url).unused(url),
            Self::Sql(url) => sql_parameters(url).map_or_else(Vec::new, |parameters| parameters.unused(url)),
        }
    }

    /// Says whether a URL of Celery's is one that is understood here, or would be but for a slip in it.
    pub(super) fn understands(text: &str) -> bool {
        text.parse::<Self>().is_ok() || is_redis(text) || (text.starts_with(SQL) && sql_opening(text).is_ok())
    }
}

impl FromStr for ResultsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text == "database" {
            return Ok(Self::Database);
        }
        if text.trim_end_matches("://") == RPC.trim_end_matches("://") {
            return Ok(Self::Rpc);
        }
        if text.starts_with(SQL) {
            sql_opening(text)?;
            sql_parameters(text).map_or(Ok(()), |parameters| parameters.check(text))?;
            return Ok(Self::Sql(text.to_owned()));
        }
        if !is_redis(text) {
            return Err(
                "write \"database\", redis://HOST:PORT/DB, db+sqlite:///PATH, db+postgresql://… or rpc://"
                    .to_owned(),
            );
        }
        RedisOptions::at(text).validate_url().map_err(|error| reason_of(&error))?;
        parameters::of_redis_results(text).check(text)?;
        Ok(Self::Redis(text.to_owned()))
    }
}

/// What Celery puts before SQLAlchemy's URLs.
const SQL: &str = "db+";

/// Returns what a URL of SQLAlchemy's takes, where it names a product that is known here.
fn sql_parameters(url: &str) -> Option<parameters::Parameters> {
    let (scheme, _) = url.strip_prefix(SQL)?.split_once("://")?;
    match scheme.split('+').next()? {
        "sqlite" => Some(parameters::SQLALCHEMY_SQLITE),
        "postgresql" | "postgres" => Some(parameters::POSTGRES),
        _ => None,
    }
}

fn sql_opening(url: &str) -> Result<Opening, String> {
    let (scheme, rest) = url.trim_start_matches(SQL).split_once("://").ok_or("write db+sqlite:///PATH")?;
    match scheme.split('+').next().unwrap_or_default() {
        "sqlite" => {
            let path = rest.split('?').next().unwrap_or_default().strip_prefix('/').unwrap_or_default();
            if path.is_empty() {
                return Err("write db+sqlite:///PATH; results in memory reach nobody".to_owned());
            }
            Ok(Opening::File(SqliteOptions::at(path)))
        }
        "postgresql" | "postgres" => {
            let options =
                PostgresOptions { write_connections: 2, ..PostgresOptions::at(format!("postgres://{rest}")) };
            options.validate().map_err(|error| error.to_string())?;
            Ok(Opening::Server(options))
        }
        other => {
            Err(format!("databases of type \"{other}\" are not supported: write db+sqlite or db+postgresql"))
        }
    }
}

impl fmt::Debug for ResultsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for ResultsUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Database => serializer.serialize_str("database"),
            Self::Rpc => serializer.serialize_str(RPC),
            Self::Redis(url) | Self::Sql(url) => serializer.serialize_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for ResultsUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
