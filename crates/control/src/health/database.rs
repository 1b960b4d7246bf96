//! The database: can it be read and written, and in good time?

use std::time::Duration;

use celeriac_db::{Database, DbError, DbTx};
use celeriac_store::query::jobs::{self, JobFilter};

use super::{Finding, HealthError};
use crate::Environment;
use crate::words::brief;

const CHECK: &str = "database";

/// Reads a record and makes a write of nothing, which waits its turn among all others and is committed.
pub(super) async fn check(environment: &Environment, slow: Duration) -> Finding {
    let begun = environment.clock().now();
    match look(environment.database()).await {
        Ok(()) => finding(environment.database().name(), environment.clock().now().since(begun), slow),
        Err(error) => error.found_by(CHECK),
    }
}

async fn look(database: &Database) -> Result<(), HealthError> {
    jobs::list(database.reader(), &JobFilter::default(), None, 1).await?;
    let nothing = async |_: &DbTx| Ok::<(), DbError>(());
    Ok(database.write("health check", nothing).await?)
}

fn finding(name: &str, took: Duration, slow: Duration) -> Finding {
    let detail = format!("{name} was read and written within {}", brief(took));
    if took > slow {
        let hint = "look at the load of the machine and its disk, and for writes that hold the others up";
        return Finding::warning(CHECK, format!("{detail}, which is slow"), hint);
    }
    Finding::ok(CHECK, detail)
}
