//! What `demo` and `collect` share: domains are added, a worker and its loops run in this process
//! until every row has ended, and what came of it is printed.

use std::time::Duration;

use celeriac_collect::domain::tasks::{AddedDomain, add};
use celeriac_collect::domain::workflow::DomainWorkflow;
use celeriac_collect::summary::Summary;
use celeriac_collect::{CollectSettings, Collector, module};
use celeriac_control::App;
use celeriac_control::workflow::{ItemStatus, ResetFilter, Workflow as _, WorkflowSettings, Workflows};
use celeriac_db::DbError;
use celeriac_engine::{States, Worker, WorkerOptions};
use celeriac_protocol::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::{BrokerUrl, ResultsUrl};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::loops;
use crate::platform::{Platform, Use};
use crate::shutdown::Shutdown;

mod guard;
mod outcome;
mod progress;

pub(super) use outcome::{Frame, Next, Outcome, shortened};
use progress::Progress;

/// The queue of the runs that collect in this process. In any other, jobs may wait that somebody else's program
/// knows and this one does not; a worker that took them would make dead letters of them.
const QUEUE: &str = "celeriac.collect";

/// How often the tables are counted, at most.
const LOOK: Duration = Duration::from_millis(250);

/// Counting takes up to a twentieth of the time, however long the tables are.
const LOOK_SHARE: u32 = 20;

/// How long this process's leases hold: whoever kills it does not want to wait long before it goes on.
const LEASE: Duration = Duration::from_secs(5);

/// How long runs may go on after Ctrl-C. Their rows are given back uncharged.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(200);

/// How often a workflow looks for rows that nobody announced.
const INTERVAL: Duration = Duration::from_secs(1);

/// Puts an app in place that collects by these settings, with leases short enough to go on soon after a kill, unless
/// somebody set others.
/// Every workflow runs, enabled or not: that is what the command is asked for.
pub(super) fn install(context: &mut Context, mut settings: CollectSettings) -> Result {
    let layers = &context.loaded.layers;
    for (name, workflow) in workflows(&mut settings) {
        workflow.enabled = true;
        if layers.is_default(&format!("workflow.{name}.lease")) {
            workflow.lease = LEASE;
        }
        // Where a workflow is throttled, its interval is the throttle.
        if workflow.continuous && layers.is_default(&format!("workflow.{name}.interval")) {
            workflow.interval = INTERVAL;
        }
    }
    let version = context.app.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
    let app = App::new(context.app.name.clone()).version(version);
    context.app = module(app, settings).build()?;
    Ok(())
}

/// Names the workflows of collecting, with the settings of each.
pub(super) fn workflows(settings: &mut CollectSettings) -> [(&'static str, &mut WorkflowSettings); 3] {
    [
        ("domain", &mut settings.domain_workflow),
        ("sitemap", &mut settings.sitemap_workflow),
        ("page", &mut settings.page_workflow),
    ]
}

/// Is responsible for collecting some domains in this process.
pub(super) struct Session {
    platform: Platform,
    states: States,
    domains: Vec<AddedDomain>,
    /// How many of them are tried again, because their home pages had failed.
    tried_again: u64,
    /// How far it had come before.
    before: Summary,
    started_at: Timestamp,
}

/// How the collecting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every row is in a final status.
    Complete,
    /// Somebody stopped it, and what was running was given back.
    Stopped,
    /// Somebody stopped it twice.
    Killed,
}

impl Session {
    /// Opens the database, adds the domains that are not known yet, and puts back those that ended in *error*:
    /// whoever names a site again has mended what stood in the way, or wants to know whether it still does.
    /// The queue of such a session is in that database, since nobody else is to run its jobs.
    ///
    /// # Errors
    /// What stands in the way.
    pub(super) async fn open(context: &mut Context, addresses: &[String]) -> Result<Self> {
        context.loaded.config.broker.url = BrokerUrl::Database;
        context.loaded.config.results.url = ResultsUrl::Database;
        let platform = context.open(Use::Creating).await?;
        let states = platform.make_states(context).await?;
        let collector = states.get::<Collector>().expect("the app that was installed makes it");
        let mut domains = Vec::with_capacity(addresses.len());
        for address in addresses {
            domains.push(add(collector, address).await?);
        }
        let started_at = context.clock.now();
        let ids = domains.iter().map(|domain: &AddedDomain| domain.id).collect();
        let tried_again = put_back(&platform, &states, ids, started_at).await?;
        let before = Summary::default();
        let mut session = Self { platform, states, domains, tried_again, before, started_at };
        session.before = session.summary().await?;
        Ok(session)
    }

    /// Says, of what is known before anything runs, what a start finds.
    pub(super) fn standing(&self) -> &'static str {
        if self.tried_again > 0 {
            " (trying again what failed at the home page)"
        } else if self.domains.iter().all(|domain| domain.is_new) {
            ""
        } else if self.before.is_final() {
            " (nothing is left to do)"
        } else {
            " (going on where it was)"
        }
    }

    /// Returns how far it had come before this start.
    pub(super) fn before(&self) -> &Summary {
        &self.before
    }

    /// Returns the domains that are collected.
    pub(super) fn domains(&self) -> &[AddedDomain] {
        &self.domains
    }

    /// Counts how far it has come.
    pub(super) async fn summary(&self) -> Result<Summary> {
        let reader = self.platform.database.reader();
        Ok(Summary::read(reader, &self.ids()).await.map_err(DbError::from)?)
    }

    /// Runs until every row has ended or somebody stops it; `tick` hears now and then how long it has gone on.
    /// What is shown counts from `already`, the time that earlier starts took.
    ///
    /// # Errors
    /// The worker can't be started, or the database fails.
    pub(super) async fn run(
        &self,
        context: &Context,
        shutdown: &mut Shutdown,
        already: Duration,
        mut tick: impl FnMut(Duration),
    ) -> Result<Ended> {
        let stop = CancellationToken::new();
        let (worker, driver) =
            (self.worker(context)?, loops::starters_alone(&self.platform, &self.states, QUEUE)?);
        let mut work =
            std::pin::pin!(async { tokio::join!(worker.run(stop.clone()), driver.run(stop.clone())) });
        let mut progress = Progress::new(&context.output, already);
        let ended = tokio::select! {
            _ = &mut work => Ok(Ended::Stopped),
            ended = self.watch(context, shutdown, &mut progress, &mut tick) => ended,
        };
        progress.clear();
        stop.cancel();
        tokio::select! {
            _ = &mut work => {}
            _ = shutdown.next() => return Ok(Ended::Killed),
        }
        self.leave_no_run().await?;
        tick(context.clock.now().since(self.started_at));
        ended
    }

    /// Takes runs that wait out of the queue, since nobody takes from it now. The next start makes its own.
    async fn leave_no_run(&self) -> Result {
        let depths = self.platform.broker().admin().depths().await?;
        let left = depths.iter().find(|depth| depth.queue == QUEUE);
        // Where somebody else collects from the same database, they are theirs as well.
        if left.is_some_and(|depth| depth.held == 0 && depth.ready + depth.delayed > 0) {
            self.platform.client.purge(QUEUE, "collecting was stopped").await?;
        }
        Ok(())
    }

    /// Reads what came of it.
    pub(super) async fn outcome(&self) -> Result<Outcome> {
        Ok(Outcome::read(self.platform.database.reader(), &self.ids()).await.map_err(DbError::from)?)
    }

    async fn watch(
        &self,
        context: &Context,
        shutdown: &mut Shutdown,
        progress: &mut Progress,
        tick: &mut impl FnMut(Duration),
    ) -> Result<Ended> {
        let clock = &context.clock;
        loop {
            let before = clock.now();
            let summary = self.summary().await?;
            let now = clock.now();
            progress.show(&summary, now.since(self.started_at));
            tick(now.since(self.started_at));
            if summary.is_final() {
                return Ok(Ended::Complete);
            }
            let rest = LOOK.max(now.since(before) * LOOK_SHARE);
            tokio::select! {
                () = clock.sleep(rest) => {}
                _ = shutdown.next() => return Ok(Ended::Stopped),
            }
        }
    }

    fn worker(&self, context: &Context) -> Result<Worker> {
        let options = WorkerOptions {
            name: context.worker_name(),
            queues: vec![QUEUE.to_owned()],
            lease: LEASE,
            shutdown_patience: SHUTDOWN_PATIENCE,
            ..WorkerOptions::default()
        };
        let (client, registry) = (self.platform.client.clone(), context.app.registry.clone());
        Ok(Worker::new(client, registry, self.states.clone(), options)?)
    }

    fn ids(&self) -> Vec<i64> {
        self.domains.iter().map(|domain| domain.id).collect()
    }
}

/// Puts back those of these domains that ended in *error*, and returns how many there are.
async fn put_back(platform: &Platform, states: &States, ids: Vec<i64>, now: Timestamp) -> Result<u64> {
    let workflows = states.get::<Workflows>().expect("the app that was installed has them");
    let filter = ResetFilter { statuses: vec![ItemStatus::Error], ids, ..ResetFilter::default() };
    Ok(workflows.find(DomainWorkflow::NAME)?.reset(&platform.database, filter, now, false).await?)
}

impl Ended {
    /// Returns what the process's exit code says of it.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Complete => Exit::Done,
            Self::Stopped | Self::Killed => Exit::Interrupted,
        }
    }
}
