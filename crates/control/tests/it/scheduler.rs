//! Jobs of workflows come and go while a process runs, each under its id.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::sql;
use celeriac_control::workflow::{Lookouts, ProcessPending, Workflow as _, WorkflowSettings, Workflows};
use celeriac_control::{
    Driver, Environment, LoopBoard, Scheduler, SchedulerError, Schedules, SchedulesError, StoreRecorder,
};
use celeriac_engine::{Client, ClientParts, EventHub, Registry};
use celeriac_store::query::schedules::{Origin, ScheduleEntry, ScheduleRecord, find};

use super::workflow::{Act, Bench};

/// A process whose driver does not run, so that nothing happens but what the test asks for.
struct Process {
    environment: Environment,
    scheduler: Scheduler,
    workflows: Workflows,
    lookouts: Lookouts,
    board: LoopBoard,
}

impl Process {
    async fn new(bench: &Bench, registry: Registry) -> Self {
        let (database, clock) = (bench.test.database().clone(), Arc::new(bench.kit.clock().clone()));
        let client = Client::new(ClientParts {
            broker: sql::open(database.clone(), Arc::clone(&clock) as _).await.unwrap(),
            recorder: Arc::new(StoreRecorder::new(database.clone())),
            clock: Arc::clone(&clock) as _,
            registry,
            events: EventHub::default(),
            origin: "test".to_owned(),
        });
        let environment = Environment::new(database, client).by_own_clock();
        let (workflows, lookouts, driver) = (Workflows::default(), Lookouts::default(), Driver::new(clock));
        let (known, watched) = (workflows.clone(), lookouts.clone());
        let scheduler = Scheduler::new("shop", &environment, driver.handle(), known, watched);
        Self { environment, scheduler, workflows, lookouts, board: driver.board() }
    }

    fn schedules(&self) -> Schedules {
        Schedules::new(&self.environment)
    }

    async fn entry(&self) -> ScheduleRecord {
        find(self.environment.database().reader(), Act::JOB).await.unwrap().unwrap().record.unwrap()
    }
}

fn registry() -> Registry {
    Registry::builder().task::<ProcessPending<Act>>().build().unwrap()
}

fn every(seconds: u64) -> WorkflowSettings {
    WorkflowSettings { interval: Duration::from_secs(seconds), ..WorkflowSettings::default() }
}

#[tokio::test]
async fn a_job_is_added_under_its_id_everywhere() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, registry()).await;
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    assert_eq!(process.scheduler.jobs(), [Act::JOB]);
    assert_eq!(process.board.statuses()[0].name, Act::JOB);
    let entry = process.entry().await.entry;
    assert_eq!((entry.task.as_str(), entry.spec.as_str(), entry.args.as_str()), (Act::JOB, "every 1m", "[]"));
    assert_eq!(process.workflows.find("act").unwrap().job(), Act::JOB);
}

#[tokio::test]
async fn a_job_that_is_added_again_replaces_the_first_and_keeps_what_an_operator_changed() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, registry()).await;
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    let uid = process.entry().await.uid;
    process.scheduler.add(bench.act(), WorkflowSettings { batch_size: 3, ..every(120) }).await.unwrap();
    let record = process.entry().await;
    assert_eq!((record.entry.spec.as_str(), record.uid == uid), ("every 2m", true));
    assert_eq!(process.workflows.find("act").unwrap().settings().batch_size, 3);
    assert_eq!((process.board.statuses().len(), process.scheduler.jobs().len()), (1, 1));
    let edited = |entry| ScheduleEntry { spec: "every 7m".to_owned(), ..entry };
    process.schedules().edit(Act::JOB, edited).await.unwrap();
    process.scheduler.add(bench.act(), every(180)).await.unwrap();
    assert_eq!(process.entry().await.entry.spec, "every 7m");
}

#[tokio::test]
async fn a_job_that_is_removed_is_due_no_more_and_comes_back_when_it_is_added() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, registry()).await;
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    assert!(process.scheduler.remove(Act::JOB).await.unwrap());
    assert!(!process.entry().await.entry.enabled);
    assert_eq!((process.board.statuses().len(), process.lookouts.jobs().len()), (0, 0));
    assert!(!process.scheduler.remove(Act::JOB).await.unwrap());
    assert!(process.workflows.find("act").is_ok(), "runs that wait come to their end");
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    assert!(process.entry().await.entry.enabled);
}

#[tokio::test]
async fn a_start_that_declares_other_entries_leaves_the_job_alone() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, registry()).await;
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    assert!(process.schedules().merge_declared("shop", vec![]).await.unwrap().is_empty());
    assert!(process.entry().await.entry.enabled);
}

#[tokio::test]
async fn a_job_whose_task_is_not_registered_asks_for_a_run_by_name() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, Registry::default()).await;
    process.scheduler.add(bench.act(), every(60)).await.unwrap();
    let entry = process.entry().await.entry;
    assert_eq!((entry.task.as_str(), entry.args.as_str()), ("celeriac.run_workflow", "[\"act\"]"));
}

#[tokio::test]
async fn settings_that_can_not_be_and_a_name_that_is_taken_change_nothing() {
    let bench = Bench::new(every(60)).await;
    let process = Process::new(&bench, registry()).await;
    let refused = process.scheduler.add(bench.act(), every(0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "add job \"process_pending_acts\"");
    let theirs = ScheduleEntry::new(Act::JOB, "theirs", "every 5m");
    process.schedules().add(theirs, Origin::Operator).await.unwrap();
    let refused = process.scheduler.add(bench.act(), every(60)).await.unwrap_err();
    assert!(
        matches!(&refused, SchedulerError::Schedule { source: SchedulesError::NameTaken { .. }, .. }),
        "{refused}"
    );
    assert_eq!((process.board.statuses().len(), process.workflows.iter().count()), (0, 0));
}
