//! Our own small migrator: lines of migrations, each with an owner, in one ledger.
//!
//! Every crate that owns tables hands in a [`MigrationSet`]; so does a user's own crate. Lines are
//! independent of each other. A migration is written with SeaORM's schema builders.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbErr};

use crate::database::Database;
use crate::error::DbError;
use crate::tx::DbTx;

mod ledger;

/// How long one migration may take: large tables are rewritten in it.
const MIGRATION_LIMIT: Duration = Duration::from_secs(600);

/// One direction of a migration; it runs in one write transaction together with its ledger row.
pub type Step = for<'t> fn(&'t DbTx) -> BoxFuture<'t, Result<(), DbErr>>;

/// One change of the schema, known by its name for ever.
///
/// Names begin with what orders them for a reader, such as `m20261122_create_jobs`; what orders them
/// for the migrator is their place in the set.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What the ledger knows it by.
    pub name: &'static str,
    /// Makes the change.
    pub up: Step,
    /// Takes it back; absent where that cannot be done.
    pub down: Option<Step>,
}

/// One owner's line of migrations, oldest first. It only ever grows at its end.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// Whose line it is: `broker`, `platform`, `collect`, or a name of the user's.
    pub owner: &'static str,
    /// The migrations, oldest first.
    pub migrations: &'static [Migration],
}

/// Where one migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Made, at this time in microseconds since the Unix epoch.
    Applied(i64),
    /// Known to this binary and not made yet.
    Pending,
    /// Made by a newer binary, at this time; this one does not know it.
    Unknown(i64),
}

/// One line of a status report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The migration's name.
    pub name: String,
    /// Where it stands.
    pub state: MigrationState,
}

impl MigrationSet {
    /// Returns every migration of this line, known ones in order and then unknown ones.
    ///
    /// # Errors
    /// [`DbError::Statement`].
    pub async fn status(&self, reader: &DatabaseConnection) -> Result<Vec<MigrationStatus>, DbError> {
        let applied = ledger::applied(reader, self.owner).await?;
        let at = |name: &str| applied.iter().find(|row| row.name == name).map(|row| row.applied_at);
        let known = self.migrations.iter().map(|migration| MigrationStatus {
            name: migration.name.into(),
            state: at(migration.name).map_or(MigrationState::Pending, MigrationState::Applied),
        });
        let unknown = applied.iter().filter(|row| !self.knows(&row.name)).map(|row| MigrationStatus {
            name: row.name.clone(),
            state: MigrationState::Unknown(row.applied_at),
        });
        Ok(known.chain(unknown).collect())
    }

    /// Refuses a database that this binary is too old or too new for, without changing it.
    ///
    /// Returns the names of pending migrations; a caller that may not migrate treats any as an error.
    ///
    /// # Errors
    /// [`DbError::NewerDatabase`], [`DbError::MigrationOrder`], [`DbError::Statement`].
    pub async fn check(&self, reader: &DatabaseConnection) -> Result<Vec<&'static str>, DbError> {
        let applied = ledger::applied(reader, self.owner).await?;
        self.refuse_unknown(&applied)?;
        self.refuse_disorder(&applied)?;
        Ok(self.pending(&applied).map(|migration| migration.name).collect())
    }

    /// Makes all pending migrations and returns their names; `now` is written into the ledger.
    ///
    /// Several processes may call it at once: each migration is made by one of them.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`DbError::Migration`] with the one that failed, those before it stay.
    pub async fn up(&self, db: &Database, now: i64) -> Result<Vec<&'static str>, DbError> {
        db.write("prepare migrations", ledger::create).await?;
        self.check(db.reader()).await?;
        let mut made = Vec::new();
        for migration in self.migrations {
            if self.make(db, migration, now).await? {
                made.push(migration.name);
            }
        }
        Ok(made)
    }

    /// Takes migrations back, newest first, until `target` is the newest one left; all of them for
    /// `None`. Returns their names.
    ///
    /// # Errors
    /// [`DbError::UnknownMigration`] for the target, [`DbError::Irreversible`], and as [`up`](Self::up).
    pub async fn down_to(&self, db: &Database, target: Option<&str>) -> Result<Vec<&'static str>, DbError> {
        let keep = match target {
            None => 0,
            Some(name) => self.place_of(name)? + 1,
        };
        let applied = ledger::applied(db.reader(), self.owner).await?;
        self.refuse_unknown(&applied)?;
        let undone = self.migrations[keep..].iter().rev();
        let undone = undone.filter(|migration| applied.iter().any(|row| row.name == migration.name));
        let undone: Vec<_> = undone.collect();
        for migration in &undone {
            self.take_back(db, migration).await?;
        }
        Ok(undone.iter().map(|migration| migration.name).collect())
    }

    async fn make(&self, db: &Database, migration: &'static Migration, now: i64) -> Result<bool, DbError> {
        let owner = self.owner;
        let made = db.write_within(migration.name, MIGRATION_LIMIT, async move |tx| {
            // Asked again inside of the transaction: another process may have been faster.
            ledger::lock(tx).await?;
            if ledger::is_applied(tx, owner, migration.name).await? {
                return Ok::<_, DbError>(false);
            }
            (migration.up)(tx).await?;
            ledger::insert(tx, owner, migration.name, now).await?;
            Ok(true)
        });
        made.await.map_err(|source| self.failed(migration, source))
    }

    async fn take_back(&self, db: &Database, migration: &'static Migration) -> Result<(), DbError> {
        let owner = self.owner;
        let Some(down) = migration.down else {
            return Err(DbError::Irreversible { owner, name: migration.name });
        };
        let taken = db.write_within(migration.name, MIGRATION_LIMIT, async move |tx| {
            ledger::lock(tx).await?;
            down(tx).await?;
            ledger::delete(tx, owner, migration.name).await?;
            Ok::<_, DbError>(())
        });
        taken.await.map_err(|source| self.failed(migration, source))
    }

    fn failed(&self, migration: &Migration, source: DbError) -> DbError {
        DbError::Migration { owner: self.owner, name: migration.name, source: Box::new(source) }
    }

    fn knows(&self, name: &str) -> bool {
        self.migrations.iter().any(|migration| migration.name == name)
    }

    fn place_of(&self, name: &str) -> Result<usize, DbError> {
        let place = self.migrations.iter().position(|migration| migration.name == name);
        place.ok_or_else(|| DbError::UnknownMigration { owner: self.owner, name: name.into() })
    }

    fn pending<'a>(&self, applied: &'a [ledger::Model]) -> impl Iterator<Item = &'static Migration> + 'a {
        self.migrations.iter().filter(|migration| !applied.iter().any(|row| row.name == migration.name))
    }

    fn refuse_unknown(&self, applied: &[ledger::Model]) -> Result<(), DbError> {
        match applied.iter().find(|row| !self.knows(&row.name)) {
            Some(row) => Err(DbError::NewerDatabase { owner: row.owner.clone(), name: row.name.clone() }),
            None => Ok(()),
        }
    }

    fn refuse_disorder(&self, applied: &[ledger::Model]) -> Result<(), DbError> {
        let newest =
            self.migrations.iter().rev().find(|known| applied.iter().any(|row| row.name == known.name));
        let oldest_pending = self.pending(applied).next();
        match (newest, oldest_pending) {
            (Some(newest), Some(pending)) if self.place_of(pending.name)? < self.place_of(newest.name)? => {
                Err(DbError::MigrationOrder { owner: self.owner, name: pending.name, applied: newest.name })
            }
            _ => Ok(()),
        }
    }
}
