//! The same rows inserted, claimed and deleted in a file by prepared statements.

use std::path::Path;
use std::time::Instant;

use celeriac_protocol::Envelope;
use rusqlite::{Connection, params};

use super::Rates;

/// Measures one batch size, in a file of its own.
pub(super) fn measure(
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
    let insert = Rates::a_second(jobs, start);
    let start = Instant::now();
    let mut left = jobs;
    while left > 0 {
        left -= claim_and_delete(&mut db, batch)?;
    }
    Ok(Rates { batch, insert, drain: Rates::a_second(jobs, start) })
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
