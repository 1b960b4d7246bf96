//! The database: can it be read and written, is its schema current?

use celeriac_control::health::{Finding, free_space};
use celeriac_db::{Database, DbError, MigrationState};

use super::finding::failed;
use super::{DoctorArgs, jobs, machine, outbox};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::platform::{Use, migration_lines, open_bare, open_to_look};

/// The checks that need a database that can be read.
const NEED_FILE: [&str; 5] = ["write", "schema", "disk", "log", "clock"];

/// The checks that need its tables.
const NEED_TABLES: [&str; 3] = ["queues", "dead", "running"];

/// Checks the database, and then what is in it, for which the queue has to be there, too.
pub(super) async fn check(
    context: &Context,
    args: &DoctorArgs,
    has_broker: bool,
    findings: &mut Vec<Finding>,
) {
    let database = match open_to_look(context).await {
        Ok(database) => database,
        Err(error) => {
            findings.push(failed("database", &error));
            skip(findings, &NEED_FILE, "the database can't be read");
            return skip(findings, &NEED_TABLES, "the database can't be read");
        }
    };
    findings.push(Finding::ok("database", database.name()));
    let schema = schema(context, &database).await;
    let is_current = matches!(schema, Ok((_, true)));
    findings.push(writable(context).await);
    findings.push(schema.map_or_else(|error| failed("schema", &error), |(finding, _)| finding));
    match database.sqlite_path() {
        Some(path) => {
            findings.push(free_space(path, args.min_free.0));
            findings.push(machine::log_size(path, args.max_wal));
        }
        None => skip(findings, &["disk", "log"], "the database lies on a server"),
    }
    if is_current && context.has_outbox() {
        findings.push(outbox::check(context, &database).await);
    }
    database.close().await;
    if !is_current {
        return skip(findings, &["clock", "queues", "dead", "running"], "the schema is not current");
    }
    if !has_broker {
        return skip(
            findings,
            &["clock", "queues", "dead", "running"],
            "the queue or the results can't be used",
        );
    }
    match context.open(Use::Reading).await {
        Ok(platform) => jobs::check(context, &platform, args, findings).await,
        Err(error) => findings.push(failed("queues", &error)),
    }
}

fn skip(findings: &mut Vec<Finding>, checks: &[&'static str], reason: &'static str) {
    findings.extend(checks.iter().map(|check| Finding::skipped(check, reason)));
}

/// Opens it as a worker does: a file is written to, and that is taken back; a server says whether it
/// takes more than questions.
async fn writable(context: &Context) -> Finding {
    match open_bare(context, false).await {
        Ok(database) => {
            database.close().await;
            Finding::ok("write", "the database can be written")
        }
        Err(error) => failed("write", &error),
    }
}

/// Compares the ledger with what this binary knows; says whether the tables can be used.
async fn schema(context: &Context, database: &Database) -> Result<(Finding, bool)> {
    let (mut pending, mut applied) = (Vec::new(), 0);
    for line in migration_lines(context) {
        for status in line.status(database.reader()).await? {
            match status.state {
                MigrationState::Applied(_) => applied += 1,
                MigrationState::Pending => pending.push(format!("{} {}", line.owner, status.name)),
                MigrationState::Unknown(_) => {
                    let newer = DbError::NewerDatabase { owner: line.owner.to_owned(), name: status.name };
                    return Ok((failed("schema", &Failure::from(newer)), false));
                }
            }
        }
    }
    if pending.is_empty() {
        return Ok((Finding::ok("schema", format!("{applied} migrations, all made")), true));
    }
    let detail = format!("pending: {}", pending.join(", "));
    Ok((Finding::wrong("schema", detail, "make them with `migrate up`"), false))
}
