//! The periodic task that makes all checks.

use std::time::Duration;

use celeriac_broker::DeadLetter;
use celeriac_db::DbTx;
use celeriac_engine::{Ctx, TaskError, task};
use celeriac_protocol::{JobId, JobStatus, Timestamp, error_text};
use celeriac_store::StoreError;
use celeriac_store::query::jobs::{JobFilter, StatusFilter, letters_dropped, list, remove_finished};

use super::{HealthError, HealthLimits, HealthReport};
use crate::Environment;

/// The name of the task, and of its entry in the schedule.
pub const HEALTH_CHECK: &str = "celeriac.health_check";

/// How long the records of checks stay that the schedule asked for and that found all well: they come every few minutes, and
/// nobody wants to look past them for jobs.
const KEEP: Duration = Duration::from_secs(3_600);

/// The most of its own records, and of its own dead letters, that one run removes; the rest is left to the next.
const TIDIED: u64 = 100;

/// Checks broker, database, workers, disk and schedule. The job fails where a check does, so that whoever is told of failed jobs
/// is told of it; what all checks found is its result, and on a failed job its intermediate result.
///
/// A failed one is not retried: the next is made in a few minutes. Where the schedule asks for it, it keeps its own traces short: of
/// those that succeeded an hour's records stay, and of those that failed the newest dead letter. All else goes as other jobs' records do.
#[task(
    crate = celeriac_engine,
    name = "celeriac.health_check",
    aliases("health_check"),
    job_type = "health_check",
    queue = "celeriac.house",
    max_retries = 0,
    time_limit = "2m",
    state(Environment)
)]
pub async fn health_check(
    #[default(256)] min_free_mib: u64,
    #[default(600)] max_wait_seconds: u64,
    #[default(60)] max_lag_seconds: u64,
    #[default(1_000)] slow_write_ms: u64,
    ctx: Ctx,
) -> Result<HealthReport, TaskError> {
    let environment = ctx.state::<Environment>();
    let limits = HealthLimits {
        min_free: min_free_mib.saturating_mul(1 << 20),
        max_wait: Duration::from_secs(max_wait_seconds),
        max_lag: Duration::from_secs(max_lag_seconds),
        slow_write: Duration::from_millis(slow_write_ms),
    };
    let report = HealthReport::of(environment, &limits).await;
    if let Some(entry) = &ctx.job().schedule
        && let Err(error) = tidy(environment, entry).await
    {
        tracing::warn!(
            schedule = entry,
            error = error_text(&error),
            "records of health checks could not be tidied"
        );
    }
    match report.failures() {
        None => Ok(report),
        Some(failures) => {
            ctx.progress_with(100, "something is not well", &report)?;
            Err(TaskError::discard(failures))
        }
    }
}

/// Removes what earlier checks of this entry have left behind.
async fn tidy(environment: &Environment, entry: &str) -> Result<(), HealthError> {
    let old = Some(environment.clock().now() - KEEP);
    let succeeded = of(environment, entry, StatusFilter::In(JobStatus::Completed), old).await?;
    if !succeeded.is_empty() {
        let remove = async move |tx: &DbTx| {
            for id in &succeeded {
                remove_finished(tx, id).await?;
            }
            Ok::<(), StoreError>(())
        };
        environment.database().write("remove old health checks", remove).await?;
    }
    drop_letters(environment, of(environment, entry, StatusFilter::Dead, None).await?).await
}

/// Drops the dead letters of these checks: nobody would run one again, and the next has been made.
async fn drop_letters(environment: &Environment, dead: Vec<JobId>) -> Result<(), HealthError> {
    if dead.is_empty() {
        return Ok(());
    }
    let client = environment.client();
    let mut keys = Vec::with_capacity(dead.len());
    for id in &dead {
        keys.extend(client.dead_letter(id).await?.map(|letter: DeadLetter| letter.key));
    }
    client.drop_dead(&keys).await?;
    let note = async move |tx: &DbTx| letters_dropped(tx, &dead).await.map(drop);
    Ok(environment.database().write("note dropped health checks", note).await?)
}

async fn of(
    environment: &Environment,
    entry: &str,
    status: StatusFilter,
    until: Option<Timestamp>,
) -> Result<Vec<JobId>, HealthError> {
    let filter = JobFilter {
        schedule: Some(entry.to_owned()),
        task: Some(HEALTH_CHECK.to_owned()),
        status: Some(status),
        until,
        ..JobFilter::default()
    };
    let page = list(environment.database().reader(), &filter, None, TIDIED).await?;
    Ok(page.jobs.into_iter().map(|job| job.id).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use celeriac_broker::{Broker, FetchRequest, MemoryBroker, Settle, Settlement};
    use celeriac_db::testing::TestDatabase;
    use celeriac_engine::{Call, Client, ClientParts, EventHub, Registry};
    use celeriac_protocol::{Arguments, Clock, ErrorKind, JobError, JobEvent, ManualClock, What};
    use celeriac_store::query::jobs::find;

    use super::*;
    use crate::StoreRecorder;

    /// A queue in memory, records in a database, and a clock moved by hand.
    struct House {
        db: TestDatabase,
        clock: ManualClock,
        broker: Arc<MemoryBroker>,
        environment: Environment,
    }

    impl House {
        async fn build() -> Self {
            let db = TestDatabase::open().await.unwrap();
            celeriac_store::MIGRATIONS.up(&db, 0).await.unwrap();
            let clock = ManualClock::default();
            let broker = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
            let client = Client::new(ClientParts {
                broker: Arc::clone(&broker) as Arc<dyn Broker>,
                recorder: Arc::new(StoreRecorder::new(db.database().clone())),
                clock: Arc::new(clock.clone()),
                registry: Registry::builder().task::<health_check>().build().unwrap(),
                events: EventHub::default(),
                origin: "test".to_owned(),
            });
            let environment = Environment::new(db.database().clone(), client);
            Self { db, clock, broker, environment }
        }

        /// Enqueues a check as this entry's and has it end so.
        async fn check(&self, entry: &str, what: What) -> JobId {
            let client = self.environment.client();
            let call = Call::new(HEALTH_CHECK, Arguments::default()).scheduled(entry, self.clock.now());
            let id = client.send(call).await.unwrap().id().clone();
            let queues = ["celeriac.house".to_owned()];
            let request =
                FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(60), holder: "w" };
            let delivery = self.broker.fetch(&request).await.unwrap().deliveries.pop().unwrap();
            let settle = match what {
                What::Failed { .. } => Settle::Reject { reason: "Error".into(), detail: "disk".into() },
                _ => Settle::Ack,
            };
            let settlement = Settlement { delivery, settle };
            self.broker.settle(&[settlement]).await.unwrap();
            let job = Arc::new(find(self.db.reader(), &id).await.unwrap().unwrap().facts());
            let event = JobEvent { at: self.clock.now(), job, delivery: 1, attempt: 1, what };
            client.recorder().record(&[event]).await.unwrap();
            id
        }

        async fn is_recorded(&self, id: &JobId) -> bool {
            find(self.db.reader(), id).await.unwrap().is_some()
        }
    }

    fn well() -> What {
        What::Succeeded { result: None, runtime_micros: None }
    }

    fn unwell() -> What {
        What::Failed { error: JobError::new(ErrorKind::Error, "disk: full"), dead_lettered: true }
    }

    #[tokio::test]
    async fn of_the_checks_that_found_all_well_an_hours_records_stay() {
        let house = House::build().await;
        let (old, others) = (house.check("five", well()).await, house.check("ten", well()).await);
        house.clock.advance(KEEP + Duration::from_secs(1));
        let new = house.check("five", well()).await;
        tidy(&house.environment, "five").await.unwrap();
        assert!(!house.is_recorded(&old).await);
        assert!(house.is_recorded(&others).await && house.is_recorded(&new).await);
    }

    #[tokio::test]
    async fn failed_checks_stay_on_record_and_leave_no_dead_letters() {
        let house = House::build().await;
        let (first, second) = (house.check("five", unwell()).await, house.check("five", unwell()).await);
        assert!(house.environment.client().dead_letter(&first).await.unwrap().is_some());
        house.clock.advance(KEEP * 2);
        tidy(&house.environment, "five").await.unwrap();
        for id in [first, second] {
            assert!(house.environment.client().dead_letter(&id).await.unwrap().is_none());
            assert!(house.is_recorded(&id).await);
        }
        assert_eq!(of(&house.environment, "five", StatusFilter::Dead, None).await.unwrap(), []);
    }
}
