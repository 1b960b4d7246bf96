//! The same rows inserted, claimed and deleted on a server by prepared statements, each for a whole batch.

use std::time::Instant;

use celeriac_db::postgres::{PgArguments, PgRow, Server};
use celeriac_db::{Database, PostgresOptions};
use celeriac_protocol::Envelope;
use sea_orm::sqlx::{Arguments as _, Row as _};

use super::Rates;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS bare (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    id text COLLATE \"C\" NOT NULL UNIQUE, queue text COLLATE \"C\" NOT NULL, priority smallint NOT NULL, \
    state smallint NOT NULL DEFAULT 0, until bigint, headers text NOT NULL, properties text NOT NULL, body bytea NOT NULL)";

const READY: &str =
    "CREATE INDEX IF NOT EXISTS bare_ready ON bare (queue, priority DESC, seq) WHERE state = 0";

const INSERT: &str = "INSERT INTO bare (id, queue, priority, headers, properties, body) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::bytea[])";

const CLAIM: &str = "UPDATE bare SET state = 1, until = 1 FROM (SELECT seq FROM bare \
    WHERE state = 0 AND queue = 'celery' ORDER BY priority DESC, seq LIMIT $1 FOR UPDATE SKIP LOCKED) AS picked \
    WHERE bare.seq = picked.seq RETURNING bare.seq, id, headers, properties, body";

const DELETE: &str = "DELETE FROM bare WHERE seq = ANY ($1::bigint[])";

const VACUUM: &str = "VACUUM bare";

/// Measures one batch size, in an empty table.
pub(super) async fn measure(
    url: &str,
    envelope: &Envelope,
    jobs: usize,
    batch: usize,
) -> anyhow::Result<Rates> {
    let database = Database::open_postgres(PostgresOptions::at(url)).await?;
    let server = database.server().ok_or_else(|| anyhow::anyhow!("{url} is no server"))?;
    for statement in [TABLE, READY, VACUUM] {
        server.query(statement, PgArguments::default()).await?;
    }
    let start = Instant::now();
    for first in (0..jobs).step_by(batch) {
        insert(server, envelope, first..(first + batch).min(jobs)).await?;
    }
    let inserted = Rates::a_second(jobs, start);
    let start = Instant::now();
    let (mut left, mut till_vacuum) = (jobs, VACUUM_EVERY);
    while left > 0 {
        let done = claim_and_delete(server, batch).await?;
        anyhow::ensure!(done > 0, "{left} rows are left");
        left -= done;
        till_vacuum -= done as i64;
        if till_vacuum <= 0 {
            server.query(VACUUM, PgArguments::default()).await?;
            till_vacuum = VACUUM_EVERY;
        }
    }
    let rates = Rates { batch, insert: inserted, drain: Rates::a_second(jobs, start) };
    database.close().await;
    Ok(rates)
}

/// Without it the claim steps over every row that was deleted before.
const VACUUM_EVERY: i64 = 50_000;

async fn insert(server: &Server, envelope: &Envelope, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let (content, count) = (&envelope.content, numbers.len());
    let ids: Vec<String> = numbers.map(|number| format!("019ab0c4-7d2e-7000-8000-{number:012}")).collect();
    let mut values = PgArguments::default();
    values.add(ids).map_err(refused)?;
    values.add(vec![envelope.queue.as_str(); count]).map_err(refused)?;
    values.add(vec![5_i16; count]).map_err(refused)?;
    values.add(vec![content.headers.as_str(); count]).map_err(refused)?;
    values.add(vec![content.properties.as_str(); count]).map_err(refused)?;
    values.add(vec![content.body.as_slice(); count]).map_err(refused)?;
    server.query(INSERT, values).await?;
    Ok(())
}

/// Claims a batch in one transaction and deletes it in the next.
async fn claim_and_delete(server: &Server, batch: usize) -> anyhow::Result<usize> {
    let mut values = PgArguments::default();
    values.add(batch as i64).map_err(refused)?;
    let rows = server.query(CLAIM, values).await?;
    let claimed = rows.iter().map(read).collect::<anyhow::Result<Vec<i64>>>()?;
    let count = claimed.len();
    let mut values = PgArguments::default();
    values.add(claimed).map_err(refused)?;
    server.query(DELETE, values).await?;
    Ok(count)
}

/// Reads what a worker would have to.
fn read(row: &PgRow) -> anyhow::Result<i64> {
    let _: (String, String, String, Vec<u8>) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    Ok(row.try_get(0)?)
}

fn refused(error: Box<dyn std::error::Error + Send + Sync>) -> anyhow::Error {
    anyhow::anyhow!(error)
}
