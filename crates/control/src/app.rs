//! What a user's binary is made of: its tasks, what they may use, and its tables.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use celeriac_db::{Database, MigrationSet};
use celeriac_engine::{Registry, RegistryBuilder, RegistryError, States, Task};
use celeriac_store::query::schedules::ScheduleEntry;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::house::{self, HOUSE_MODULE};
use crate::workflow::{Lookout, Lookouts, SettingsError, Workflow, WorkflowSettings, run_workflow};
use crate::{Driver, DuplicateLoop, Environment, Loop};

mod schedules;
mod workflows;

use workflows::WorkflowMakers;

/// Lines of migrations that belong to the platform; an application's have names of their own.
const RESERVED_OWNERS: &[&str] = &["broker", "platform", "workflow"];

/// The module of the tasks that run workflows.
const OWN_MODULE: &str = "celeriac";

/// What a user's binary is made of. It does nothing until a command line or a test runs it.
///
/// ```
/// use celeriac_control::App;
/// # use celeriac_engine::{Ctx, Param, Task, TaskError};
/// # struct Greet;
/// # impl Task for Greet {
/// #     type Args = ();
/// #     type Output = ();
/// #     const NAME: &'static str = "greet";
/// #     const PARAMS: &'static [Param] = &[];
/// #     async fn run(_: (), _: Ctx) -> Result<(), TaskError> { Ok(()) }
/// # }
/// struct Mailer;
///
/// let app = App::new("shop").version("1.2.0").state(Mailer).module("mail", |mail| mail.task::<Greet>());
/// let parts = app.build()?;
/// assert!(parts.registry.find("greet").is_some());
/// # Ok::<(), celeriac_control::AppError>(())
/// ```
#[must_use = "an app does nothing until it is run"]
pub struct App {
    name: String,
    version: Option<String>,
    tasks: RegistryBuilder,
    states: Vec<StateMaker>,
    migrations: Vec<MigrationSet>,
    workflows: WorkflowMakers,
    schedules: Vec<DeclareSchedules>,
    loops: Vec<LoopMaker>,
}

/// Returns entries of the schedule, as the app's tasks want them.
type DeclareSchedules = Box<dyn FnOnce(&Registry) -> Vec<ScheduleEntry> + Send>;

impl App {
    /// Begins an app; `name` is what its command line, logs and workers are called by.
    pub fn new(name: impl Into<String>) -> Self {
        let tasks = Registry::builder();
        let (states, migrations, loops) = (Vec::new(), Vec::new(), Vec::new());
        let (workflows, schedules) = (WorkflowMakers::default(), Vec::new());
        Self { name: name.into(), version: None, tasks, states, migrations, workflows, schedules, loops }
    }

    /// Names the version that the command line reports, usually `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds a task.
    pub fn task<T: Task>(mut self) -> Self {
        self.tasks = self.tasks.task::<T>();
        self
    }

    /// Adds the tasks that `fill` adds, under a module's name; a worker may be given some modules only.
    pub fn module(
        mut self,
        name: &'static str,
        fill: impl FnOnce(RegistryBuilder) -> RegistryBuilder,
    ) -> Self {
        self.tasks = self.tasks.module(name, fill);
        self
    }

    /// Adds a value that tasks reach by `ctx.state::<T>()`.
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.state_with(move |_| Ok::<_, std::convert::Infallible>(value))
    }

    /// Adds a value that is made when a worker starts, from the database, the clock and the client.
    pub fn state_with<T, E, F>(self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        F: FnOnce(&Environment) -> Result<T, E> + Send + 'static,
    {
        self.made(type_name::<T>(), move |environment| {
            let made = make(&environment).map_err(Into::into);
            std::future::ready(made).boxed()
        })
    }

    /// Adds a value that is made when a worker starts and has to wait for something meanwhile.
    pub fn state_with_async<T, E, F, Made>(self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        Made: Future<Output = Result<T, E>> + Send + 'static,
        F: FnOnce(Environment) -> Made + Send + 'static,
    {
        self.made(type_name::<T>(), move |environment| {
            make(environment).map(|made| made.map_err(Into::into)).boxed()
        })
    }

    /// Adds a workflow with the settings that hold where no configuration says otherwise.
    ///
    /// On the command line the section `[workflow.NAME]` is laid over them.
    pub fn workflow<W: Workflow>(self, workflow: W, settings: WorkflowSettings) -> Self {
        self.workflow_with(settings, move |_| Ok::<_, std::convert::Infallible>(workflow))
    }

    /// Adds a workflow that is made when a worker or a command starts, from what
    /// [`state`](Self::state), [`state_with`](Self::state_with) and
    /// [`state_with_async`](Self::state_with_async) have made, wherever these stand.
    pub fn workflow_with<W, E, F>(mut self, settings: WorkflowSettings, make: F) -> Self
    where
        W: Workflow,
        E: Into<Box<dyn Error + Send + Sync>>,
        F: FnOnce(&States) -> Result<W, E> + Send + 'static,
    {
        self.workflows.add(settings, make);
        self
    }

    /// Declares an entry of the schedule, as `#[task(schedule = "...")]` does beside a task. It is joined with the database when a worker or a scheduler starts: what an
    /// operator has edited there stays.
    pub fn schedule(self, entry: ScheduleEntry) -> Self {
        self.schedules_with(move |_| vec![entry])
    }

    /// Declares the entries of the schedule that `make` derives from the app's tasks, all of them; it reads nothing
    /// else, so that the same tasks give the same entries.
    pub fn schedules_with(
        mut self,
        make: impl FnOnce(&Registry) -> Vec<ScheduleEntry> + Send + 'static,
    ) -> Self {
        self.schedules.push(Box::new(make));
        self
    }

    /// Adds a line of migrations of the app's own tables. It is made after the platform's, in the
    /// order in which lines are added.
    pub fn migrations(mut self, set: MigrationSet) -> Self {
        self.migrations.push(set);
        self
    }

    /// Adds a loop that every worker drives, made when the worker starts.
    pub fn add_loop<L, E, F>(mut self, make: F) -> Self
    where
        L: Loop,
        E: Into<Box<dyn Error + Send + Sync>>,
        F: FnOnce(&Environment) -> Result<L, E> + Send + 'static,
    {
        self.loops.push(Box::new(move |environment, driver| {
            let work = make(environment);
            let work =
                work.map_err(|source| AppError::Loop { work: type_name::<L>(), source: source.into() })?;
            Ok(driver.with(work)?)
        }));
        self
    }

    /// Returns the app's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its version, where it says one.
    pub fn version_text(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Says whether a workflow of this name was added.
    pub fn has_workflow(&self, name: &str) -> bool {
        self.workflows.settings().any(|(known, _)| known == name)
    }

    /// Checks that its parts fit together, and takes it apart for whoever runs it.
    ///
    /// # Errors
    /// [`AppError`]: two tasks of one name, two lines of migrations of one owner, two workflows or
    /// schedules of one name, a workflow whose name or settings can't be.
    pub fn build(self) -> Result<AppParts, AppError> {
        let Self { name, version, tasks, states, migrations, workflows, schedules, loops } = self;
        check_owners(&migrations)?;
        workflows.check()?;
        let runs = |tasks: RegistryBuilder| workflows.register(tasks.task::<run_workflow>());
        let tasks = if workflows.is_empty() { tasks } else { tasks.module(OWN_MODULE, runs) };
        let registry = tasks.module(HOUSE_MODULE, house::register).build()?;
        let schedules = declared(schedules, &theirs(&registry)?)?;
        check_jobs(&workflows, &schedules)?;
        let states = StateMakers { makers: Mutex::new(states), workflows };
        let loops = LoopMakers(Mutex::new(loops));
        let lookouts = states.workflows.lookouts().collect();
        Ok(AppParts { name, version, registry, migrations, states, schedules, loops, lookouts })
    }

    fn made<T: Send + Sync + 'static>(
        mut self,
        name: &'static str,
        make: impl FnOnce(Environment) -> BoxFuture<'static, Result<T, Box<dyn Error + Send + Sync>>>
        + Send
        + 'static,
    ) -> Self {
        self.states.push(Box::new(move |environment, states: States| {
            make(environment)
                .map(move |made| match made {
                    Ok(value) => Ok(states.with(value)),
                    Err(source) => Err(AppError::State { state: name, source }),
                })
                .boxed()
        }));
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An app taken apart, its parts checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct AppParts {
    /// What it is called.
    pub name: String,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// Its tasks.
    pub registry: Registry,
    /// Its own lines of migrations.
    pub migrations: Vec<MigrationSet>,
    /// What makes the values that its tasks reach.
    pub states: StateMakers,
    /// The entries of the schedule that it declares, without those of its workflows; see
    /// [`declared_schedules`](Self::declared_schedules).
    pub schedules: Vec<ScheduleEntry>,
    /// What makes its loops.
    pub loops: LoopMakers,
    lookouts: Lookouts,
}

impl AppParts {
    /// Returns the names of its workflows, each with the settings that it will have.
    pub fn workflow_settings(&self) -> impl Iterator<Item = (&'static str, &WorkflowSettings)> {
        self.states.workflows.settings()
    }

    /// Says whether it has a workflow of this name.
    pub fn has_workflow(&self, name: &str) -> bool {
        self.workflow_settings().any(|(known, _)| known == name)
    }

    /// Returns the entries of the schedule that it declares, those of its workflows' jobs among them, by their settings:
    /// for [`Schedules::merge_declared`](crate::Schedules::merge_declared).
    pub fn declared_schedules(&self) -> Vec<ScheduleEntry> {
        self.schedules.iter().cloned().chain(self.lookouts.entries()).collect()
    }

    /// Returns what a scheduler needs to know of its workflows to enqueue their jobs only when rows are due, for
    /// [`Beat::looking_at`](crate::Beat::looking_at).
    pub fn lookouts(&self) -> &Lookouts {
        &self.lookouts
    }

    /// Replaces the settings of a workflow, as a configuration has them. A name that the app does not
    /// have changes nothing.
    ///
    /// # Errors
    /// [`AppError::WorkflowSettings`]: a value that can't be.
    pub fn configure_workflow(&mut self, name: &str, settings: WorkflowSettings) -> Result<(), AppError> {
        if let Some(lookout) = self.states.workflows.configure(name, settings)? {
            self.lookouts.add(lookout);
        }
        Ok(())
    }
}

type StateMaker = Box<dyn FnOnce(Environment, States) -> BoxFuture<'static, Result<States, AppError>> + Send>;

/// Makes the values that tasks reach by `ctx.state::<T>()`, and of them the workflows, once, when a
/// worker or a command starts.
#[derive(Default)]
#[must_use = "tasks that ask for a state are refused without it"]
pub struct StateMakers {
    /// Behind a lock, here and below, so that an app can be shared between threads; they are taken out by value.
    makers: Mutex<Vec<StateMaker>>,
    workflows: WorkflowMakers,
}

impl StateMakers {
    /// Makes the values one after the other and adds them to `states`; where the app has workflows,
    /// [`Workflows`](crate::workflow::Workflows) is the last.
    ///
    /// # Errors
    /// [`AppError::State`] or [`AppError::Workflow`] with the first that could not be made.
    pub async fn make(self, environment: &Environment, mut states: States) -> Result<States, AppError> {
        // What the platform's own tasks ask for.
        if states.get::<Environment>().is_none() {
            states = states.with(environment.clone());
        }
        if states.get::<Database>().is_none() {
            states = states.with(environment.database().clone());
        }
        for make in self.makers.into_inner().unwrap_or_else(PoisonError::into_inner) {
            states = make(environment.clone(), states).await?;
        }
        let workflows = self.workflows.make(&states)?;
        Ok(states.with(workflows))
    }
}

impl fmt::Debug for StateMakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateMakers").field("workflows", &self.workflows).finish_non_exhaustive()
    }
}

type LoopMaker = Box<dyn FnOnce(&Environment, Driver) -> Result<Driver, AppError> + Send>;

/// Makes the app's loops, once, when a worker starts.
#[derive(Default)]
#[must_use = "loops do nothing until they are driven"]
pub struct LoopMakers(Mutex<Vec<LoopMaker>>);

impl LoopMakers {
    /// Makes the loops and adds them to `driver`.
    ///
    /// # Errors
    /// [`AppError::Loop`] with the first that could not be made, [`AppError::DuplicateLoop`].
    pub fn add_to(self, driver: Driver, environment: &Environment) -> Result<Driver, AppError> {
        let makers = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        makers.into_iter().try_fold(driver, |driver, make| make(environment, driver))
    }
}

impl fmt::Debug for LoopMakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoopMakers").finish_non_exhaustive()
    }
}

/// An app whose parts do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Its tasks can't be registered.
    #[error("put the app together")]
    Registry(#[from] RegistryError),
    /// Two lines of migrations have one owner, or an owner of the platform's.
    #[error("add migrations of \"{owner}\": {reason}")]
    Owner {
        /// The owner.
        owner: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A state could not be made.
    #[error("make state {state}")]
    State {
        /// The state's type.
        state: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A workflow has a name that it can't have.
    #[error("add workflow \"{workflow}\": {reason}")]
    WorkflowName {
        /// The name.
        workflow: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A workflow has a setting with a value that it can't have.
    #[error("use the settings of workflow \"{workflow}\"")]
    WorkflowSettings {
        /// The workflow.
        workflow: &'static str,
        /// Which setting, and what is wrong.
        #[source]
        source: SettingsError,
    },
    /// A workflow could not be made.
    #[error("make workflow \"{workflow}\"")]
    Workflow {
        /// The workflow.
        workflow: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A loop could not be made.
    #[error("make loop {work}")]
    Loop {
        /// The loop's type.
        work: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What a task says of its own times can't be an entry of the schedule.
    #[error("declare schedule \"{name}\" of task \"{task}\", which is defined at {at}: {reason}")]
    TaskSchedule {
        /// The entry's name.
        name: String,
        /// The task.
        task: &'static str,
        /// Where it is defined.
        at: &'static Location<'static>,
        /// What is wrong.
        reason: String,
    },
    /// Two entries of the schedule have one name.
    #[error("declare schedule \"{name}\": it was declared twice")]
    DuplicateSchedule {
        /// The name.
        name: String,
    },
    /// Two loops have one name.
    #[error("add loops")]
    DuplicateLoop(#[from] DuplicateLoop),
}

/// Returns the app's tasks without those that every app has, of which none makes entries.
fn theirs(registry: &Registry) -> Result<Registry, RegistryError> {
    let modules: BTreeSet<&str> = registry.tasks().map(|task| task.module).collect();
    let theirs: Vec<String> =
        modules.into_iter().filter(|module| *module != HOUSE_MODULE).map(str::to_owned).collect();
    registry.subset(&theirs)
}

/// Makes the entries that are declared, and refuses a name that is used twice.
fn declared(makers: Vec<DeclareSchedules>, registry: &Registry) -> Result<Vec<ScheduleEntry>, AppError> {
    let mut entries = schedules::of_tasks(registry)?;
    entries.extend(makers.into_iter().flat_map(|make| make(registry)));
    let mut names = BTreeSet::new();
    match entries.iter().find(|entry| !names.insert(&entry.name)) {
        Some(twice) => Err(AppError::DuplicateSchedule { name: twice.name.clone() }),
        None => Ok(entries),
    }
}

/// Refuses an entry that is declared under the name of a workflow's job.
fn check_jobs(workflows: &WorkflowMakers, schedules: &[ScheduleEntry]) -> Result<(), AppError> {
    let twice = |lookout: &Lookout| schedules.iter().any(|entry| entry.name == lookout.job);
    match workflows.lookouts().find(twice) {
        Some(lookout) => Err(AppError::DuplicateSchedule { name: lookout.job.to_owned() }),
        None => Ok(()),
    }
}

fn check_owners(sets: &[MigrationSet]) -> Result<(), AppError> {
    let mut seen = BTreeMap::new();
    for set in sets {
        if RESERVED_OWNERS.contains(&set.owner) {
            let reason = "that name belongs to the platform; choose the app's own";
            return Err(AppError::Owner { owner: set.owner, reason });
        }
        if seen.insert(set.owner, ()).is_some() {
            return Err(AppError::Owner { owner: set.owner, reason: "it was added twice" });
        }
    }
    Ok(())
}
