//! A database of its own for each test, on the engine that the run asks for.

use std::ops::Deref;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Database, DbError, SqliteOptions, StorageFault};

#[cfg(feature = "postgres")]
pub mod postgres;

/// Is responsible for a database that is nobody else's: a file in a folder that is removed when the
/// test ends, or a schema on the server that the run was told of.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    folder: TempDir,
    #[cfg(feature = "postgres")]
    server: Option<crate::PostgresOptions>,
}

impl TestDatabase {
    /// Opens an empty database with the default settings: on a PostgreSQL server where the run asks
    /// for that (`CELERIAC_TEST_ENGINE=postgres`), and in a SQLite file otherwise.
    ///
    /// # Errors
    /// As [`Database::open`] and `Database::open_postgres`.
    pub async fn open() -> Result<Self, DbError> {
        #[cfg(feature = "postgres")]
        if postgres::is_asked_for() {
            return Self::open_postgres().await;
        }
        Self::open_with(|options| options).await
    }

    /// Opens an empty SQLite file with settings that `change` made of the defaults.
    ///
    /// # Errors
    /// As [`Database::open`]; [`DbError::Storage`] where no folder can be made.
    pub async fn open_with(change: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Result<Self, DbError> {
        let folder = folder()?;
        let options = change(SqliteOptions::at(folder.path().join("test.db")));
        Ok(Self {
            database: Database::open(options).await?,
            folder,
            #[cfg(feature = "postgres")]
            server: None,
        })
    }

    /// Opens an empty schema of the PostgreSQL server that the run was told of.
    ///
    /// # Errors
    /// As `Database::open_postgres`.
    #[cfg(feature = "postgres")]
    pub async fn open_postgres() -> Result<Self, DbError> {
        let options = postgres::corner().await?;
        let database = Database::open_postgres(options.clone()).await?;
        Ok(Self { database, folder: folder()?, server: Some(options) })
    }

    /// Opens the same database once more, as another process would.
    ///
    /// # Errors
    /// As [`Database::open`] and `Database::open_postgres`.
    pub async fn again(&self) -> Result<Database, DbError> {
        open_at(&self.address()).await
    }

    /// Returns what another process opens it by, with [`open_at`].
    pub fn address(&self) -> String {
        #[cfg(feature = "postgres")]
        if let Some(options) = &self.server {
            return options.url.clone();
        }
        self.database.path().display().to_string()
    }

    /// Returns the schema of the server that is this test's own; none in a file.
    ///
    /// What asks the server's catalog sees the schemas of all tests that go on.
    pub fn schema(&self) -> Option<&str> {
        #[cfg(feature = "postgres")]
        if let Some(options) = &self.server {
            return options.url.split_once("search_path]=").map(|(_, schema)| schema);
        }
        None
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

/// Opens the database at an [address](TestDatabase::address).
///
/// # Errors
/// As [`Database::open`] and `Database::open_postgres`.
pub async fn open_at(address: &str) -> Result<Database, DbError> {
    #[cfg(feature = "postgres")]
    if address.starts_with("postgres://") {
        return Database::open_postgres(postgres::options_at(address)).await;
    }
    Database::open(SqliteOptions::at(address)).await
}

fn folder() -> Result<TempDir, DbError> {
    tempfile::tempdir().map_err(|refusal| DbError::Storage {
        fault: StorageFault::Io,
        path: "the folder for temporary files".into(),
        source: Some(Box::new(refusal)),
    })
}
