//! A database of its own for each test.

use std::ops::Deref;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Database, DbError, SqliteOptions, StorageFault};

/// Is responsible for a database in a folder that is removed when the test ends.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    folder: TempDir,
}

impl TestDatabase {
    /// Opens an empty database with the default settings.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open() -> Result<Self, DbError> {
        Self::open_with(|options| options).await
    }

    /// Opens an empty database with settings that `change` made of the defaults.
    ///
    /// # Errors
    /// As [`Database::open`]; [`DbError::Storage`] where no folder can be made.
    pub async fn open_with(change: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Result<Self, DbError> {
        let folder = tempfile::tempdir().map_err(|refusal| DbError::Storage {
            fault: StorageFault::Io,
            path: "the folder for temporary files".into(),
            source: Some(Box::new(refusal)),
        })?;
        let options = change(SqliteOptions::at(folder.path().join("test.db")));
        Ok(Self { database: Database::open(options).await?, folder })
    }

    /// Returns the database, to be cloned.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns a path beside the database.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Deref for TestDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
