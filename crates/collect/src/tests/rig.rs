//! A database of its own, a collector that may reach the test's sites, and runs of its workflows.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, MemoryBroker, Notice, Notices};
use celeriac_control::workflow::{RunReport, WorkflowSettings, Workflows};
use celeriac_db::testing::{TestDatabase, open_at};
use celeriac_db::{Database, DbError};
use celeriac_engine::{Client, Ctx, Registry, States, SystemClock, TaskError, eager_client, task};
use celeriac_protocol::{Backoff, Clock};
use sea_orm::{EntityTrait, QueryOrder};

use super::site::Site;
use crate::fetch::{GuardPolicy, HostPolicy};
use crate::host::entity as host;
use crate::page::{content, entity as page};
use crate::{CollectSettings, Collector, CollectorParts, domain, sitemap};

/// A collector with a database of its own.
pub(crate) struct Rig {
    /// Keeps the folder of the database.
    _test: Option<TestDatabase>,
    database: Database,
    pub(crate) collector: Collector,
    pub(crate) workflows: Workflows,
    pub(crate) broker: MemoryBroker,
}

/// Runs a workflow once, as a job.
#[task(crate = celeriac_engine, name = "run", max_retries = 0)]
async fn run(workflow: String, ctx: Ctx) -> Result<RunReport, TaskError> {
    let workflows = ctx.state::<Workflows>();
    let workflow = workflows.find(&workflow)?;
    Ok(workflow.run(workflow.settings(), ctx.state::<Database>(), &ctx).await?)
}

/// Settings for sites on loopback: no pause between requests, no wait between attempts.
pub(crate) fn settings(sites: &[&Site]) -> CollectSettings {
    let at_once = |workflow: WorkflowSettings| WorkflowSettings {
        backoff: Backoff::Fixed { delay: Duration::ZERO },
        lease: Duration::from_secs(1),
        ..workflow
    };
    let defaults = CollectSettings::default();
    let mut settings = CollectSettings {
        hosts: HostPolicy { min_delay: Duration::ZERO, concurrency: 16, ..HostPolicy::default() },
        domain_workflow: at_once(defaults.domain_workflow.clone()),
        sitemap_workflow: at_once(defaults.sitemap_workflow.clone()),
        page_workflow: at_once(defaults.page_workflow.clone()),
        ..defaults
    };
    let open = |guard: GuardPolicy, site: &&Site| guard.allow_socket(site.address);
    settings.fetch.guard = sites.iter().fold(GuardPolicy::default(), open);
    settings
}

impl Rig {
    pub(crate) async fn new(settings: CollectSettings) -> Self {
        let test = TestDatabase::open().await.unwrap();
        crate::MIGRATIONS.up(test.database(), 0).await.unwrap();
        let database = test.database().clone();
        Self { _test: Some(test), ..Self::on_database(database, settings) }
    }

    /// A collector on a database that is there already, as in another process.
    pub(crate) fn on_database(database: Database, settings: CollectSettings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let broker = MemoryBroker::new(Arc::clone(&clock));
        let parts = CollectorParts { database: database.clone(), clock, notifier: broker.notifier() };
        let collector = Collector::new(parts, settings).unwrap();
        let workflows = collector.add_workflows(Workflows::default()).unwrap();
        Self { _test: None, database, collector, workflows, broker }
    }

    /// Opens the database once more, as another process would.
    pub(crate) async fn again(&self) -> Database {
        open_at(&self.address()).await.unwrap()
    }

    /// Returns what another process opens the database by.
    pub(crate) fn address(&self) -> String {
        self._test.as_ref().expect("the rig made its database").address()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn listen(&self) -> Notices {
        self.broker.notifier().listen()
    }

    /// A client whose jobs run where they are enqueued, by the node's own clock.
    pub(crate) fn client(&self) -> Client {
        let states = States::default().with(self.database().clone()).with(self.workflows.clone());
        eager_client(Registry::builder().task::<run>().build().unwrap(), states).unwrap()
    }

    pub(crate) async fn run(&self, workflow: &str) -> RunReport {
        let job = self.client().enqueue(run(workflow.to_owned())).await.unwrap();
        job.wait(Duration::ZERO).await.unwrap()
    }

    /// Runs all workflows until nothing is due.
    pub(crate) async fn run_all(&self) {
        loop {
            let mut moved = 0;
            for workflow in ["domain", "sitemap", "page"] {
                let report = self.run(workflow).await;
                moved += report.done + report.retried + report.failed;
            }
            if moved == 0 {
                return;
            }
        }
    }

    pub(crate) async fn add_domain(&self, text: &str) -> domain::AddedDomain {
        domain::add(&self.collector, text).await.unwrap()
    }

    pub(crate) async fn add_page(&self, url: &str) {
        domain::add(&self.collector, url).await.unwrap();
        // The home page is not what the test is about.
        self.collector
            .database()
            .write("forget domain", async |tx| {
                let none = domain::entity::ActiveModel {
                    status: sea_orm::ActiveValue::Set("completed".into()),
                    ..Default::default()
                };
                domain::entity::Entity::update_many().set(none).exec(tx).await?;
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
    }

    pub(crate) async fn domains(&self) -> Vec<domain::entity::Model> {
        let rows = domain::entity::Entity::find().order_by_asc(domain::entity::Column::Id);
        rows.all(self.database().reader()).await.unwrap()
    }

    pub(crate) async fn sitemaps(&self) -> Vec<sitemap::entity::Model> {
        let rows = sitemap::entity::Entity::find().order_by_asc(sitemap::entity::Column::Id);
        rows.all(self.database().reader()).await.unwrap()
    }

    pub(crate) async fn pages(&self) -> Vec<page::Model> {
        let rows = page::Entity::find().order_by_asc(page::Column::Id);
        rows.all(self.database().reader()).await.unwrap()
    }

    pub(crate) async fn page(&self, url: &str) -> page::Model {
        let pages = self.pages().await;
        let known: Vec<String> = pages.iter().map(|page| page.url.clone()).collect();
        pages.into_iter().find(|page| page.url == url).unwrap_or_else(|| panic!("no {url} in {known:?}"))
    }

    pub(crate) async fn content(&self, page_id: i64) -> Option<content::Model> {
        content::Entity::find_by_id(page_id).one(self.database().reader()).await.unwrap()
    }

    pub(crate) async fn hosts(&self) -> Vec<host::Model> {
        host::Entity::find().all(self.database().reader()).await.unwrap()
    }
}

/// Says which loops were woken since the last look.
pub(crate) fn woken(notices: &mut Notices) -> Vec<String> {
    std::iter::from_fn(|| notices.try_recv().ok())
        .filter_map(|notice| match notice {
            Notice::Loop(name) => Some(name),
            _ => None,
        })
        .collect()
}
