//! How a database of a PostgreSQL server is opened, and the limits of what is asked of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;

use crate::error::DbError;

/// Prepared statements that a connection keeps.
const STATEMENT_CACHE: usize = 200;

/// Settings of one database of a PostgreSQL server. [`PostgresOptions::at`] gives the defaults, fields
/// override them.
///
/// ```
/// use celeriac_db::PostgresOptions;
/// let options = PostgresOptions { write_connections: 8, ..PostgresOptions::at("postgres://me@db/shop") };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it lies, in the form of libpq's URLs: `postgres://user:password@host:port/database`, with
    /// `sslmode`, `sslrootcert`, `options[...]` and the like behind a question mark.
    pub url: String,
    /// What the server shows as the connections' owner, where the URL's `application_name` says nothing else.
    pub application_name: String,
    /// How many transactions of `write` run side by side.
    pub write_connections: u32,
    /// How many statements of the queue run side by side, each a transaction of its own.
    pub queue_connections: u32,
    /// How many connections read side by side, at most.
    pub read_connections: u32,
    /// How long a connection is tried for before whoever needs it hears that there is none.
    pub connect_timeout: Duration,
    /// How long a statement waits for a lock that another transaction holds.
    pub lock_timeout: Duration,
    /// How long one write may run before it is rolled back.
    pub write_deadline: Duration,
    /// How long one statement of the queue, or one read, may take.
    pub statement_timeout: Duration,
    /// How many writes may wait for a connection; beyond it callers wait to hand theirs in.
    pub write_queue: usize,
    /// Whether a pooler that hands out connections for one transaction at a time stands in between
    /// (PgBouncer in transaction mode): no session is kept, nothing is set on one, nobody listens.
    pub pooled: bool,
    /// Whether statements are kept prepared. Only for poolers that know nothing of prepared statements
    /// (PgBouncer before 1.21, or with `max_prepared_statements = 0`) it has to be off.
    pub prepared_statements: bool,
}

impl PostgresOptions {
    /// Returns the defaults for the database at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            application_name: "celeriac".into(),
            write_connections: 4,
            queue_connections: 4,
            read_connections: 4,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            write_deadline: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            write_queue: 1024,
            pooled: false,
            prepared_statements: true,
        }
    }

    /// Refuses values that would make everybody wait for ever, and a URL that can't be read.
    ///
    /// # Errors
    /// [`DbError::Option`] with the name of the field.
    pub fn validate(&self) -> Result<(), DbError> {
        let counts = [
            ("write_connections", self.write_connections as usize),
            ("queue_connections", self.queue_connections as usize),
            ("read_connections", self.read_connections as usize),
            ("write_queue", self.write_queue),
            ("connect_timeout", usize::from(!self.connect_timeout.is_zero())),
            ("lock_timeout", usize::from(!self.lock_timeout.is_zero())),
            ("write_deadline", usize::from(!self.write_deadline.is_zero())),
            ("statement_timeout", usize::from(!self.statement_timeout.is_zero())),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(DbError::Option { name, reason: "must be above zero" }),
            None => self.parse().map(drop),
        }
    }

    /// Returns the database's name for people: without password and settings.
    ///
    /// # Errors
    /// [`DbError::Option`] for a URL that can't be read.
    pub fn name(&self) -> Result<String, DbError> {
        Ok(name_of(&self.parse()?))
    }

    /// Reads the URL. What it says badly is not repeated, because a password may be in it.
    pub(crate) fn parse(&self) -> Result<PgConnectOptions, DbError> {
        let reason = "must be like postgres://user:password@host:5432/database";
        let wrong = DbError::Option { name: "url", reason };
        if !["postgres://", "postgresql://"].iter().any(|scheme| self.url.starts_with(scheme)) {
            return Err(wrong);
        }
        let parsed = PgConnectOptions::from_str(&self.url).map_err(|_| wrong)?;
        let kept = if self.prepared_statements { STATEMENT_CACHE } else { 0 };
        let parsed = parsed.statement_cache_capacity(kept);
        // What the URL says of the connections' owner is said by whoever runs it.
        let is_named = self.url.contains("application_name=");
        let parsed = if is_named { parsed } else { parsed.application_name(&self.application_name) };
        // A pooler refuses what it does not know how to carry over from one connection to the next.
        Ok(if self.pooled { parsed.extra_float_digits(None) } else { parsed })
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or_else(|_| "(not readable)".into());
        f.debug_struct("PostgresOptions").field("database", &name).finish_non_exhaustive()
    }
}

/// Names the database, and whoever would see another one under the same name.
pub(crate) fn name_of(options: &PgConnectOptions) -> String {
    let (user, database) = (options.get_username(), options.get_database());
    let host = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => options.get_host().to_owned(),
    };
    format!("postgres://{user}@{host}:{}/{}", options.get_port(), database.unwrap_or(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_debug_text_hold_no_password() {
        let options = PostgresOptions::at("postgres://me:s3cret@db:6432/shop?sslmode=require");
        assert_eq!(options.name().unwrap(), "postgres://me@db:6432/shop");
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn unreadable_url_and_zeros_are_refused_without_repeating_the_url() {
        let base = || PostgresOptions::at("postgres://me:s3cret@db/shop");
        for (options, name) in [
            (PostgresOptions { url: "postgres://me:s3cret@[db".into(), ..base() }, "url"),
            (PostgresOptions { url: "mysql://me:s3cret@db".into(), ..base() }, "url"),
            (PostgresOptions { write_connections: 0, ..base() }, "write_connections"),
            (PostgresOptions { statement_timeout: Duration::ZERO, ..base() }, "statement_timeout"),
        ] {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
    }
}
