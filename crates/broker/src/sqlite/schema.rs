//! The queue's tables, and the line of migrations that makes them.
//!
//! Facts that change while a message moves stand apart from its content, so that handing out and
//! renewing rewrite some hundred bytes and never a body.

use celeriac_db::{DbTx, Migration, MigrationSet};
use futures_util::future::BoxFuture;
use sea_orm::DbErr;

use super::statement::run_text;

/// The queue's line of migrations, owner `broker`.
pub(super) const MIGRATIONS: MigrationSet =
    MigrationSet { owner: "broker", migrations: &[CREATE, KEEP_REASONS] };

const CREATE: Migration = Migration { name: "m20261122_create_queue", up: create, down: Some(drop_tables) };

const KEEP_REASONS: Migration =
    Migration { name: "m20261123_keep_cancel_reasons", up: add_reasons, down: Some(drop_reasons) };

/// `state`: 0 ready, 1 delayed until `at`, 2 held until `at`. `fence` is 0 unless held.
///
/// `celeriac_queue_ready` is what a claim walks: queue, highest priority, oldest (`seq` is the row's
/// own number, which every index ends with). `celeriac_queue_timed` holds whatever waits for an
/// instant: due times and ends of leases.
const TABLES: &[&str] = &[
    "CREATE TABLE celeriac_queue (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        queue TEXT NOT NULL,
        priority INTEGER NOT NULL,
        state INTEGER NOT NULL,
        at INTEGER,
        ready_at INTEGER NOT NULL,
        fence INTEGER NOT NULL DEFAULT 0,
        holder TEXT,
        delivery INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        said_priority INTEGER,
        due_at INTEGER,
        unique_key TEXT
    ) STRICT",
    "CREATE UNIQUE INDEX celeriac_queue_id ON celeriac_queue (id)",
    "CREATE UNIQUE INDEX celeriac_queue_unique_key ON celeriac_queue (unique_key) WHERE unique_key IS NOT NULL",
    "CREATE INDEX celeriac_queue_ready ON celeriac_queue (queue, priority DESC) WHERE state = 0",
    "CREATE INDEX celeriac_queue_timed ON celeriac_queue (at) WHERE state > 0",
    "CREATE TABLE celeriac_queue_content (
        seq INTEGER PRIMARY KEY,
        headers TEXT NOT NULL,
        properties TEXT NOT NULL,
        content_type TEXT NOT NULL,
        content_encoding TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT",
    "CREATE TABLE celeriac_queue_dead (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        queue TEXT NOT NULL,
        said_priority INTEGER,
        due_at INTEGER,
        unique_key TEXT,
        headers TEXT NOT NULL,
        properties TEXT NOT NULL,
        content_type TEXT NOT NULL,
        content_encoding TEXT NOT NULL,
        body BLOB NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        delivery INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        died_at INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX celeriac_queue_dead_id ON celeriac_queue_dead (id)",
    "CREATE TABLE celeriac_queue_pause (
        queue TEXT PRIMARY KEY,
        paused_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

const NAMES: &[&str] = &[
    "DROP TABLE celeriac_queue_pause",
    "DROP TABLE celeriac_queue_dead",
    "DROP TABLE celeriac_queue_content",
    "DROP TABLE celeriac_queue",
];

fn create(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(run_all(tx, TABLES))
}

fn drop_tables(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(run_all(tx, NAMES))
}

fn add_reasons(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(run_text(tx, "ALTER TABLE celeriac_queue ADD COLUMN cancel_reason TEXT"))
}

fn drop_reasons(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(run_text(tx, "ALTER TABLE celeriac_queue DROP COLUMN cancel_reason"))
}

async fn run_all(tx: &DbTx, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        run_text(tx, statement).await?;
    }
    Ok(())
}
