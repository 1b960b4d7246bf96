//! Measures tiny writes per second through 1, 16 and 128 callers, in both durabilities.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock of the machine")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use celeriac_db::sea_orm::sea_query::{ColumnDef, Query, Table};
use celeriac_db::sea_orm::{ConnectionTrait, DeriveIden};
use celeriac_db::{Database, DbError, Durability, SqliteOptions};

#[derive(Clone, Copy, DeriveIden)]
enum Note {
    Table,
    Id,
    Body,
}

const PERIOD: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    for durability in [Durability::Process, Durability::Power] {
        for callers in [1, 16, 128] {
            let path = folder.join(format!("measure-{durability:?}-{callers}.db"));
            let db = Database::open(SqliteOptions { durability, ..SqliteOptions::at(&path) }).await?;
            create(&db).await?;
            let rate = measure(&db, callers).await?;
            println!("{durability:?} {callers:4} callers: {rate:9.0} writes/s");
            db.close().await;
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

async fn create(db: &Database) -> Result<(), DbError> {
    db.write("create", async |tx| {
        let mut table = Table::create();
        let id = ColumnDef::new(Note::Id).integer().primary_key().to_owned();
        table.table(Note::Table).col(id).col(ColumnDef::new(Note::Body).blob());
        tx.execute(&table).await?;
        Ok(())
    })
    .await
}

async fn measure(db: &Database, callers: usize) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let db = db.clone();
        tasks.spawn(async move {
            let mut count = 0_u32;
            while started.elapsed() < PERIOD {
                insert(&db).await?;
                count += 1;
            }
            Ok::<_, DbError>(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

async fn insert(db: &Database) -> Result<(), DbError> {
    db.write("insert", async |tx| {
        let mut insert = Query::insert();
        insert.into_table(Note::Table).columns([Note::Body]).values_panic([vec![7_u8; 200].into()]);
        tx.execute(&insert).await?;
        Ok(())
    })
    .await
}
