//! What of an app runs in a process, for the commands that run it and for programs that embed it.

use celeriac_control::workflow::Workflows;
use celeriac_control::{Driver, LoopBoard, Scheduler};
use celeriac_engine::{Registry, States, Worker, WorkerOptions};
use celeriac_server::{Server, ServerError, ServerParts, ServerState};

use crate::commands::{beat, names};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::loops;
use crate::platform::{Platform, Use};

mod supervise;
mod tasks;

pub use supervise::RunError;
pub(crate) use supervise::Service;

/// What of an app runs in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Takes jobs, and drives the loops that go with that: housekeeping, workflows, the app's own.
    pub(crate) worker: bool,
    /// Enqueues what the schedule says is due. Beside a worker, `beat.enabled = false` switches it off as well.
    pub(crate) scheduler: bool,
    /// Serves API and dashboard.
    pub(crate) server: bool,
    /// Makes the app's states, which a worker and a server always need.
    pub(crate) states: bool,
}

impl Roles {
    /// What the command `worker` does, and a program that embeds an app unless it says otherwise.
    pub(crate) const WORKER: Self = Self { worker: true, scheduler: true, server: false, states: true };

    /// What the command `beat` does.
    pub(crate) const BEAT: Self = Self { worker: false, scheduler: true, server: false, states: false };

    /// What the command `server` does.
    pub(crate) const SERVER: Self = Self { worker: false, scheduler: false, server: true, states: true };

    /// What the command `up` does.
    pub(crate) const ALL: Self = Self { server: true, ..Self::WORKER };
}

/// All that is to run, opened and put together.
pub(crate) struct Prepared {
    /// What it works on.
    pub(crate) platform: Platform,
    /// The app's states, its workflows among them, where they were asked for.
    pub(crate) states: States,
    /// What takes jobs, where something does.
    pub(crate) crew: Option<Crew>,
    /// What serves API and dashboard, where something does. It has its address.
    pub(crate) server: Option<Server>,
    /// The loops.
    pub(crate) driver: Driver,
    /// What adds workflows' jobs to them.
    pub(crate) scheduler: Scheduler,
}

/// A worker that does not run yet.
pub(crate) struct Crew {
    /// The tasks that it runs.
    pub(crate) registry: Registry,
    /// How it runs.
    pub(crate) options: WorkerOptions,
    worker: Worker,
}

impl Prepared {
    /// Opens what the settings name, merges the schedules that are declared where a scheduler is to run, and puts worker
    /// and loops together.
    ///
    /// # Errors
    /// What stands in the way.
    pub(crate) async fn new(context: &mut Context, roles: Roles) -> Result<Self> {
        let platform = context.open(Use::Hearing).await?;
        let planned = if roles.worker { Some(tasks::plan(context)?) } else { None };
        let states = match roles.worker || roles.server || roles.states {
            true => platform.make_states(context).await?,
            false => States::default(),
        };
        let schedules = roles.scheduler && (context.loaded.config.beat.enabled || !roles.worker);
        if schedules {
            beat::merge_declared(context, &platform).await?;
        }
        let own = context.take_loops();
        let config = &context.loaded.config;
        let mut driver = match &planned {
            Some(_) => loops::of_worker(config, &platform, &states, own)?,
            None => loops::relaying(loops::none(&platform), &platform)?,
        };
        if schedules {
            driver = loops::with_beat(driver, config, &platform, context.app.lookouts())?;
        }
        let workflows = states.get::<Workflows>().cloned().unwrap_or_default();
        let (name, lookouts) = (&context.app.name, context.app.lookouts().clone());
        let scheduler = Scheduler::new(name, &platform.environment(), driver.handle(), workflows, lookouts);
        let crew = planned.map(|(registry, options)| Crew::new(&platform, registry, &states, options));
        let crew = crew.transpose()?;
        let server = match roles.server {
            true => Some(serve(context, &platform, &states, driver.board()).await?),
            false => None,
        };
        Ok(Self { platform, states, crew, server, driver, scheduler })
    }
}

impl Crew {
    fn new(platform: &Platform, registry: Registry, states: &States, options: WorkerOptions) -> Result<Self> {
        let worker = Worker::new(platform.client.clone(), registry.clone(), states.clone(), options.clone())?;
        Ok(Self { registry, options, worker })
    }
}

/// Takes the address at which API and dashboard are to be served.
///
/// # Errors
/// Somebody else has it, or it can't be had.
pub(crate) async fn serve(
    context: &Context,
    platform: &Platform,
    states: &States,
    board: LoopBoard,
) -> Result<Server> {
    let parts = ServerParts {
        name: context.app.name.clone(),
        version: context.app.version.clone(),
        environment: platform.environment(),
        workflows: states.get::<Workflows>().cloned().unwrap_or_default(),
        board,
        queues: names::queues(context),
        results: platform.results.clone(),
        options: context.loaded.config.http.options(),
    };
    Server::bind(ServerState::new(parts)).await.map_err(not_served)
}

fn not_served(error: ServerError) -> Failure {
    let code = match &error {
        ServerError::AddressInUse { .. } => Code::AddressInUse,
        ServerError::Option(_) => Code::ConfigInvalidValue,
        _ => Code::Unavailable,
    };
    let hint = "name another one with --listen or in `http.listen`; port 0 is any that is free";
    Failure::failed_to(code, "serve API and dashboard").caused_by(&error).hint(hint)
}

/// Begins to run what was prepared, on the runtime that this is called on.
pub(crate) fn start(crew: Option<Crew>, driver: Driver, server: Option<Server>) -> Service {
    Service::start(crew.map(|crew| crew.worker), driver, server)
}
