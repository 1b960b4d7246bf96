//! The limit: the same rows inserted, claimed and deleted by prepared statements, with nothing around them.

use std::path::Path;
use std::time::Instant;

use celeriac_protocol::Envelope;
use rusqlite::{Connection, params};

/// How many jobs a second each step does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) batch: usize,
    pub(crate) insert: f64,
    pub(crate) claim_and_delete: f64,
}

/// The batch sizes that are tried; the best counts.
const BATCHES: [usize; 6] = [1, 16, 64, 128, 512, 2_000];

/// Measures every batch size and returns all, best last.
pub(crate) fn sweep(
    folder: &Path,
    envelope: &Envelope,
    jobs: usize,
    power: bool,
) -> anyhow::Result<Vec<Rates>> {
    let mut rates = Vec::new();
    for batch in BATCHES {
        let jobs = if batch == 1 && power { jobs.min(5_000) } else { jobs };
        rates.push(measure(&folder.join(format!("bare-{power}-{batch}.db")), envelope, jobs, batch, power)?);
    }
    rates.sort_by(|a, b| a.claim_and_delete.total_cmp(&b.claim_and_delete));
    Ok(rates)
}

fn measure(
    path: &Path,
    envelope: &Envelope,
    jobs: usize,
    batch: usize,
    power: bool,
) -> anyhow::Result<Rates> {
    let mut db = Connection::open(path)?;
    let synchronous = if power { "FULL" } else { "NORMAL" };
    db.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};"))?;
    db.execute_batch(
        "CREATE TABLE q (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, priority INT NOT NULL,
            state INT NOT NULL, until INT, headers TEXT NOT NULL, properties TEXT NOT NULL, body BLOB NOT NULL);
         CREATE INDEX q_ready ON q (queue, priority DESC, seq) WHERE state = 0;",
    )?;
    let content = &envelope.content;
    let start = Instant::now();
    for first in (0..jobs).step_by(batch) {
        let tx = db.transaction()?;
        {
            let sql = "INSERT INTO q (id, queue, priority, state, headers, properties, body) VALUES (?, ?, 5, 0, ?, ?, ?)";
            let mut insert = tx.prepare_cached(sql)?;
            for number in first..(first + batch).min(jobs) {
                let id = format!("019ab0c4-7d2e-7000-8000-{number:012}");
                insert.execute(params![
                    id,
                    envelope.queue,
                    content.headers,
                    content.properties,
                    content.body
                ])?;
            }
        }
        tx.commit()?;
    }
    let inserted = start.elapsed();
    let start = Instant::now();
    let mut left = jobs;
    while left > 0 {
        left -= claim_and_delete(&mut db, batch)?;
    }
    let drained = start.elapsed();
    let rate = |seconds: f64| jobs as f64 / seconds;
    Ok(Rates { batch, insert: rate(inserted.as_secs_f64()), claim_and_delete: rate(drained.as_secs_f64()) })
}

/// Claims a batch in one transaction and deletes it in the next, as a worker must.
fn claim_and_delete(db: &mut Connection, batch: usize) -> anyhow::Result<usize> {
    let tx = db.transaction()?;
    let mut claimed: Vec<i64> = Vec::with_capacity(batch);
    {
        let sql = "UPDATE q SET state = 1, until = ? WHERE seq IN
            (SELECT seq FROM q WHERE state = 0 AND queue = 'celery' ORDER BY priority DESC, seq LIMIT ?)
            RETURNING seq, id, headers, properties, body";
        let mut claim = tx.prepare_cached(sql)?;
        let mut rows = claim.query(params![1_i64, batch as i64])?;
        while let Some(row) = rows.next()? {
            claimed.push(row.get(0)?);
            let (_, _, _): (String, String, Vec<u8>) = (row.get(1)?, row.get(2)?, row.get(4)?);
        }
    }
    tx.commit()?;
    let tx = db.transaction()?;
    {
        let mut delete = tx.prepare_cached("DELETE FROM q WHERE seq = ?")?;
        for seq in &claimed {
            delete.execute([seq])?;
        }
    }
    tx.commit()?;
    Ok(claimed.len())
}
