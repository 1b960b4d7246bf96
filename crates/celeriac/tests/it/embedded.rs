//! An app within a program of its own: started, used, stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use celeriac::db::Database;
use celeriac::prelude::*;
use celeriac::{Code, Embedded, JobStatus, Running, ScheduleEntry};
use tokio::sync::Notify;

/// How long anything may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// By what a test hears that a job runs, and lets it end.
#[derive(Clone, Default)]
struct Gate {
    begun: Arc<Notify>,
    open: Arc<Notify>,
}

/// Adds up, once its gate is open where it has to wait for that.
#[task(name = "add", state(Gate), max_retries = 0)]
async fn add(a: i64, b: i64, waits: bool, ctx: Ctx) -> Result<i64, TaskError> {
    let gate = ctx.state::<Gate>().clone();
    gate.begun.notify_one();
    if waits {
        gate.open.notified().await;
    }
    Ok(a + b)
}

fn app(gate: &Gate) -> App {
    App::new("embedding").task::<add>().state(gate.clone())
}

/// Begins an app whose database is in this folder, whatever the environment of the test says.
fn embedded(folder: &Path, gate: &Gate) -> Embedded {
    Embedded::new(app(gate)).set("database.url", file(folder).display()).set("worker.lease", "1s")
}

fn file(folder: &Path) -> PathBuf {
    folder.join("jobs.db")
}

async fn status(running: &Running, id: &celeriac::JobId) -> JobStatus {
    running.client().snapshot(id).await.unwrap().unwrap().status
}

#[tokio::test]
async fn an_embedded_app_runs_jobs_on_its_callers_runtime_until_it_is_shut_down() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let running = embedded(folder.path(), &gate).start().await.unwrap();
    assert!(running.worker_name().unwrap().starts_with("embedding-"));
    let job = running.client().enqueue(add(1, 2, false)).await.unwrap();
    assert_eq!(job.wait(LONGEST).await.unwrap(), 3);
    running.shutdown().await.unwrap();
    assert!(file(folder.path()).is_file());
    assert!(!folder.path().join("jobs.db-wal").exists(), "who closes last moves the log into the file");
}

#[tokio::test]
async fn two_embedded_apps_of_one_process_keep_apart() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let gates = [Gate::default(), Gate::default()];
    let first = embedded(folders[0].path(), &gates[0]).start().await.unwrap();
    let second = embedded(folders[1].path(), &gates[1]).start().await.unwrap();
    assert_ne!(first.worker_name(), second.worker_name());
    let jobs = (
        first.client().enqueue(add(1, 1, false)).await.unwrap(),
        second.client().enqueue(add(2, 2, false)).await.unwrap(),
    );
    assert_eq!((jobs.0.wait(LONGEST).await.unwrap(), jobs.1.wait(LONGEST).await.unwrap()), (2, 4));
    assert!(second.client().snapshot(jobs.0.id()).await.unwrap().is_none());
    first.shutdown().await.unwrap();
    let job = second.client().enqueue(add(3, 3, false)).await.unwrap();
    assert_eq!(job.wait(LONGEST).await.unwrap(), 6);
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_lets_a_running_job_finish() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let running = embedded(folder.path(), &gate).start().await.unwrap();
    let job = running.client().enqueue(add(1, 2, true)).await.unwrap();
    gate.begun.notified().await;
    let (stopped, ()) = tokio::join!(running.shutdown(), async { gate.open.notify_one() });
    stopped.unwrap();
    let reader = embedded(folder.path(), &gate).without_worker().start().await.unwrap();
    assert_eq!(status(&reader, job.id()).await, JobStatus::Completed);
    reader.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_runs_after_the_limit_is_given_back_uncharged() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let running = embedded(folder.path(), &gate).start().await.unwrap();
    let job = running.client().enqueue(add(1, 2, true)).await.unwrap();
    gate.begun.notified().await;
    running.shutdown_within(Duration::from_millis(10)).await.unwrap();
    let again = embedded(folder.path(), &gate).start().await.unwrap();
    gate.begun.notified().await;
    gate.open.notify_one();
    let handle = again.client().clone();
    let ended = wait_for(&handle, job.id()).await;
    assert_eq!(ended, JobStatus::Completed);
    again.shutdown().await.unwrap();
}

#[tokio::test]
async fn dropped_without_a_shutdown_it_loses_no_job() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let running = embedded(folder.path(), &gate).start().await.unwrap();
    let job = running.client().enqueue(add(1, 2, true)).await.unwrap();
    gate.begun.notified().await;
    drop(running);
    let again = embedded(folder.path(), &gate).start().await.unwrap();
    gate.begun.notified().await;
    gate.open.notify_one();
    assert_eq!(wait_for(again.client(), job.id()).await, JobStatus::Completed);
    again.shutdown().await.unwrap();
}

#[test]
fn a_runtime_that_ends_with_it_loses_no_job_either() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let id = first.block_on(async {
        let running = embedded(folder.path(), &gate).start().await.unwrap();
        let job = running.client().enqueue(add(1, 2, true)).await.unwrap();
        gate.begun.notified().await;
        std::mem::forget(running);
        job.id().clone()
    });
    drop(first);
    runtime().block_on(async {
        let again = embedded(folder.path(), &gate).start().await.unwrap();
        gate.begun.notified().await;
        gate.open.notify_one();
        assert_eq!(wait_for(again.client(), &id).await, JobStatus::Completed);
        again.shutdown().await.unwrap();
    });
}

/// Waits until a job that another start has enqueued has ended.
async fn wait_for(client: &Client, id: &celeriac::JobId) -> JobStatus {
    client.handle(id.clone()).wait_ended(LONGEST).await.unwrap().status
}

#[tokio::test]
async fn without_a_worker_it_enqueues_and_runs_nothing() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let web = embedded(folder.path(), &gate).without_worker().without_scheduler().start().await.unwrap();
    assert_eq!(web.worker_name(), None);
    assert_eq!(web.loops().statuses(), []);
    let job = web.client().enqueue(add(1, 2, false)).await.unwrap();
    assert_eq!(status(&web, job.id()).await, JobStatus::Pending);
    let worker = embedded(folder.path(), &gate).start().await.unwrap();
    assert_eq!(job.wait(LONGEST).await.unwrap(), 3);
    worker.shutdown().await.unwrap();
    web.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_it_declares_is_in_the_schedule_and_its_states_are_within_reach() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let mut entry = ScheduleEntry::new("sums", "add", "0 3 * * *");
    entry.args = "[1, 2, false]".to_owned();
    let app = app(&gate).schedule(entry);
    let running =
        Embedded::new(app).set("database.url", file(folder.path()).display()).start().await.unwrap();
    assert!(running.schedules().show("sums").await.is_ok());
    assert!(running.loops().status("beat").is_some());
    assert!(running.state::<Gate>().is_some() && running.state::<Database>().is_some());
    assert_eq!(running.workflows().iter().count(), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_way_is_an_error_with_a_code_and_advice() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let nowhere = folder.path().join("no").join("jobs.db");
    let error = Embedded::new(app(&gate)).set("database.url", nowhere.display()).start().await.unwrap_err();
    assert_eq!(error.code(), Code::DatabaseFolderMissing);
    assert!(error.hint().unwrap().contains("mkdir"), "{error:?}");
    let error = embedded(folder.path(), &gate).set("worker.concurency", 2).start().await.unwrap_err();
    assert_eq!(error.code(), Code::ConfigUnknownKey);
    assert!(format!("{error:?}").contains("worker.concurrency"), "{error:?}");
    let missing = folder.path().join("missing.toml");
    let error = embedded(folder.path(), &gate).config_file(missing).start().await.unwrap_err();
    assert_eq!(error.code(), Code::ConfigFileMissing);
}

#[tokio::test]
async fn its_file_of_settings_is_read_and_what_is_set_in_code_outweighs_it() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let settings = folder.path().join("shop.toml");
    std::fs::write(&settings, "[worker]\nname = \"of the file\"\n[database]\nurl = \"file.db\"\n").unwrap();
    let running = embedded(folder.path(), &gate).config_file(&settings).start().await.unwrap();
    assert_eq!(running.worker_name(), Some("of the file"));
    assert!(file(folder.path()).is_file() && !folder.path().join("file.db").exists());
    running.shutdown().await.unwrap();
}

/// A program may start it on any thread, and hand what runs to any other.
#[test]
fn it_may_be_moved_between_threads() {
    fn check<T: Send + 'static>(_: T) {}
    fn check_sync<T: Send + Sync + 'static>() {}
    check(celeriac::start(App::new("moved")));
    check_sync::<Running>();
}
