//! How a database is opened: the file, what a commit survives, and the limits of the writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::DbError;

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

/// What a commit survives once its caller has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Survives any crash of our processes, SIGKILL included, but a power loss may take the last
    /// commits with it (never the file's consistency). SQLite's `synchronous = NORMAL`.
    #[default]
    Process,
    /// Survives a power loss: every commit waits for the disk. SQLite's `synchronous = FULL`.
    Power,
}

/// Settings of one SQLite file. [`SqliteOptions::at`] gives the defaults, fields override them.
///
/// ```
/// use celeriac_db::{Durability, SqliteOptions};
/// let options = SqliteOptions { durability: Durability::Power, ..SqliteOptions::at("./celeriac.db") };
/// assert_eq!(options.read_connections, 2);
/// ```
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file. Two more files, `-wal` and `-shm`, lie beside it while it is open.
    pub path: PathBuf,
    /// Whether a missing file is created (its folder is not).
    pub create: bool,
    /// What a commit survives.
    pub durability: Durability,
    /// How long a write waits for another process's transaction before it fails as locked.
    pub busy_timeout: Duration,
    /// How many connections read side by side, at most; each is opened when first needed.
    pub read_connections: u32,
    /// Page cache of each connection, in KiB: the lever on a process's memory.
    pub cache_kib: u32,
    /// How many KiB the write-ahead log reaches before it is moved into the file, in the background;
    /// at four times as much a commit does it.
    pub wal_kib: u32,
    /// How many writes may wait for the writer; beyond it callers wait to hand theirs in.
    pub write_queue: usize,
    /// How many writes one transaction takes together, at most.
    pub group_writes: usize,
    /// How long one transaction goes on taking further writes.
    pub group_time: Duration,
    /// How long one write may run before it is rolled back.
    pub write_deadline: Duration,
}

impl SqliteOptions {
    /// Returns the defaults for the file at `path`, created when missing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            create: true,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            read_connections: 2,
            cache_kib: 2 * 1024,
            wal_kib: 16 * 1024,
            write_queue: 1024,
            group_writes: 256,
            group_time: Duration::from_millis(5),
            write_deadline: Duration::from_secs(5),
        }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses values that would make the writer wait for ever or do nothing.
    ///
    /// # Errors
    /// [`DbError::Option`] with the name of the field.
    pub fn validate(&self) -> Result<(), DbError> {
        let counts = [
            ("read_connections", self.read_connections as usize),
            ("cache_kib", self.cache_kib as usize),
            ("wal_kib", self.wal_kib as usize),
            ("write_queue", self.write_queue),
            ("group_writes", self.group_writes),
            ("write_deadline", usize::from(!self.write_deadline.is_zero())),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(DbError::Option { name, reason: "must be above zero" }),
            None if self.path.as_os_str().is_empty() => {
                Err(DbError::Option { name: "path", reason: "must not be empty" })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_empty_settings_are_refused_by_name() {
        let base = || SqliteOptions::at("x.db");
        assert!(base().validate().is_ok());
        for (options, name) in [
            (SqliteOptions { read_connections: 0, ..base() }, "read_connections"),
            (SqliteOptions { write_queue: 0, ..base() }, "write_queue"),
            (SqliteOptions { group_writes: 0, ..base() }, "group_writes"),
            (SqliteOptions { cache_kib: 0, ..base() }, "cache_kib"),
            (SqliteOptions { write_deadline: Duration::ZERO, ..base() }, "write_deadline"),
            (SqliteOptions::at(""), "path"),
        ] {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
