//! An app is checked before it runs, and makes its states when it starts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::MemoryBroker;
use celeriac_control::workflow::{ItemCtx, ItemError, Processed, Workflow, WorkflowSettings, Workflows};
use celeriac_control::{App, AppError, Driver, Environment, Loop, LoopCtx, LoopError, PassReport};
use celeriac_db::MigrationSet;
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{
    Client, ClientParts, Ctx, EventHub, NoRecorder, Param, Registry, States, SystemClock, Task, TaskError,
};

use crate::workflow::item;

struct Noop;

impl Task for Noop {
    type Args = ();
    type Output = ();
    const NAME: &'static str = "noop";
    const PARAMS: &'static [Param] = &[];

    async fn run(_args: (), _ctx: Ctx) -> Result<(), TaskError> {
        Ok(())
    }
}

async fn environment() -> (TestDatabase, Environment) {
    let database = TestDatabase::open().await.unwrap();
    let clock = Arc::new(SystemClock);
    let client = Client::new(ClientParts {
        broker: Arc::new(MemoryBroker::new(Arc::clone(&clock) as _)),
        recorder: Arc::new(NoRecorder),
        clock,
        registry: Registry::default(),
        events: EventHub::default(),
        origin: "test".to_owned(),
    });
    let environment = Environment::new(database.database().clone(), client).by_own_clock();
    (database, environment)
}

#[test]
fn tasks_keep_the_module_they_were_added_under() {
    let parts =
        App::new("shop").module("mail", celeriac_engine::RegistryBuilder::task::<Noop>).build().unwrap();
    assert_eq!(parts.registry.find("noop").unwrap().module, "mail");
}

#[test]
fn a_task_added_twice_is_refused_with_its_name() {
    let error = App::new("shop").task::<Noop>().task::<Noop>().build().unwrap_err();
    let AppError::Registry(cause) = error else { panic!("{error}") };
    assert!(cause.to_string().contains("\"noop\""), "{cause}");
}

struct Theirs;

impl Task for Theirs {
    type Args = ();
    type Output = ();
    const NAME: &'static str = "health_check";
    const PARAMS: &'static [Param] = &[];

    async fn run(_args: (), _ctx: Ctx) -> Result<(), TaskError> {
        Ok(())
    }
}

#[test]
fn short_names_of_the_platforms_tasks_yield_to_the_apps_own() {
    let names = |app: App, name: &str| app.build().unwrap().registry.find(name).unwrap().name;
    assert_eq!(names(App::new("shop"), "health_check"), "celeriac.health_check");
    assert_eq!(names(App::new("shop"), "cleanup_old_jobs"), "celeriac.cleanup_old_jobs");
    assert_eq!(names(App::new("shop").task::<Theirs>(), "health_check"), "health_check");
    assert_eq!(names(App::new("shop").task::<Theirs>(), "celeriac.health_check"), "celeriac.health_check");
}

#[test]
fn owners_of_migrations_are_the_apps_own_and_added_once() {
    let set = |owner| MigrationSet { owner, migrations: &[] };
    for (owners, reason) in [
        (vec!["shop", "shop"], "it was added twice"),
        (vec!["platform"], "that name belongs to the platform; choose the app's own"),
    ] {
        let app = owners.into_iter().fold(App::new("shop"), |app, owner| app.migrations(set(owner)));
        let error = app.build().unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

#[tokio::test]
async fn states_are_made_from_the_environment_in_the_order_given() {
    let (_database, environment) = environment().await;
    let app = App::new("shop")
        .state(1_u8)
        .state_with(|environment| Ok::<_, String>(environment.database().path().to_owned()))
        .state_with_async(async |environment| {
            let now = environment.clock().now();
            environment.clock().sleep_until(now).await;
            Ok::<_, String>(now)
        });
    let states = app.build().unwrap().states.make(&environment, States::default()).await.unwrap();
    assert_eq!(states.get::<u8>(), Some(&1));
    assert_eq!(states.get::<std::path::PathBuf>().unwrap(), environment.database().path());
    assert!(states.get::<celeriac_protocol::Timestamp>().is_some());
}

struct Tick;

#[async_trait]
impl Loop for Tick {
    fn name(&self) -> &'static str {
        "tick"
    }

    fn describe(&self) -> &'static str {
        "does nothing"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn pass(&self, _ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        Ok(PassReport::default())
    }
}

#[tokio::test]
async fn loops_are_made_when_they_are_driven_and_have_names_of_their_own() {
    let (_database, environment) = environment().await;
    let driver = || Driver::new(Arc::clone(environment.clock()));
    let one = App::new("shop").add_loop(|_| Ok::<_, String>(Tick)).build().unwrap();
    let driven = one.loops.add_to(driver(), &environment).unwrap();
    assert_eq!(driven.board().statuses().len(), 1);
    let two = App::new("shop").add_loop(|_| Ok::<_, String>(Tick)).add_loop(|_| Ok::<_, String>(Tick));
    let refused = two.build().unwrap().loops.add_to(driver(), &environment).unwrap_err();
    assert!(matches!(refused, AppError::DuplicateLoop(_)), "{refused}");
    let broken = App::new("shop").add_loop(|_| Err::<Tick, _>("no clock")).build().unwrap();
    assert!(broken.loops.add_to(driver(), &environment).unwrap_err().to_string().ends_with("Tick"));
}

#[tokio::test]
async fn a_state_that_cannot_be_made_is_named() {
    let (_database, environment) = environment().await;
    let app = App::new("shop").state_with(|_| Err::<u8, _>("no such host"));
    let error = app.build().unwrap().states.make(&environment, States::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "make state u8");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such host");
}

struct Act;

impl Workflow for Act {
    type Table = item::Entity;
    const NAME: &'static str = "act";
    const JOB: &'static str = "process_pending_acts";
    const DESCRIPTION: &'static str = "does nothing";

    async fn process(&self, _row: item::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        Ok(Processed::done())
    }
}

fn with_act() -> App {
    let app = App::new("shop").workflow_with(WorkflowSettings::default(), |states: &States| {
        states.get::<u8>().map(|_| Act).ok_or("no state was made before")
    });
    app.state(7_u8)
}

#[tokio::test]
async fn an_app_with_workflows_runs_them_and_makes_them_from_its_states() {
    let (_database, environment) = environment().await;
    let parts = with_act().build().unwrap();
    assert!(parts.registry.find("celeriac.run_workflow").is_some());
    let states = parts.states.make(&environment, States::default()).await.unwrap();
    let workflows = states.get::<Workflows>().unwrap();
    assert_eq!(*workflows.find("act").unwrap().settings(), WorkflowSettings::default());
}

#[tokio::test]
async fn a_configuration_replaces_the_settings_of_a_workflow_before_it_is_made() {
    let (_database, environment) = environment().await;
    let mut parts = with_act().build().unwrap();
    let wanted = WorkflowSettings { batch_size: 77, ..WorkflowSettings::default() };
    parts.configure_workflow("act", wanted.clone()).unwrap();
    parts.configure_workflow("play", wanted.clone()).unwrap();
    let refused = parts.configure_workflow("act", WorkflowSettings { batch_size: 0, ..wanted.clone() });
    assert_eq!(refused.unwrap_err().to_string(), "use the settings of workflow \"act\"");
    assert_eq!(parts.workflow_settings().collect::<Vec<_>>(), [("act", &wanted)]);
    let states = parts.states.make(&environment, States::default()).await.unwrap();
    let workflows = states.get::<Workflows>().unwrap();
    assert_eq!(*workflows.find("act").unwrap().settings(), wanted);
    assert_eq!(workflows.iter().count(), 1);
}

#[tokio::test]
async fn a_workflow_that_cannot_be_made_or_is_added_twice_is_named() {
    let (_database, environment) = environment().await;
    let act = |app: App| app.workflow(Act, WorkflowSettings::default());
    let twice = act(act(App::new("shop"))).build().unwrap_err();
    assert_eq!(twice.to_string(), "add workflow \"act\": it was added twice");
    let app = App::new("shop")
        .workflow_with(WorkflowSettings::default(), |_: &States| Err::<Act, _>("no such host"));
    let error = app.build().unwrap().states.make(&environment, States::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "make workflow \"act\"");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such host");
}
