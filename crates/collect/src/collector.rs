//! What the three workflows share: the database, the clock, the HTTP client, settings and memory.

use std::fmt;
use std::sync::Arc;

use celeriac_broker::{Notice, Notifier};
use celeriac_control::Environment;
use celeriac_control::workflow::{SettingsError, Workflow, Workflows};
use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::Clock;
use sea_orm::DbErr;
use thiserror::Error;

use crate::domain::scope::{Scope, Scopes};
use crate::domain::workflow::DomainWorkflow;
use crate::fetch::{FetchConfigError, Fetcher};
use crate::host::{HostBook, KnownHost, Ledger};
use crate::page::known::KnownPages;
use crate::page::workflow::PageWorkflow;
use crate::settings::{CollectSettings, CollectSettingsError};
use crate::sitemap::workflow::SitemapWorkflow;

/// Is responsible for what the workflows of this crate share. Cheap to clone.
#[derive(Clone)]
pub struct Collector {
    shared: Arc<Shared>,
}

struct Shared {
    parts: CollectorParts,
    settings: CollectSettings,
    fetcher: Fetcher,
    hosts: HostBook,
    ledger: Ledger,
    pages: KnownPages,
    scopes: Scopes,
}

/// What a collector is made of.
#[derive(Clone)]
pub struct CollectorParts {
    /// Where its tables are.
    pub database: Database,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who wakes loops that sleep.
    pub notifier: Arc<dyn Notifier>,
}

impl From<&Environment> for CollectorParts {
    fn from(environment: &Environment) -> Self {
        Self {
            database: environment.database().clone(),
            clock: Arc::clone(environment.clock()),
            notifier: environment.client().broker().notifier(),
        }
    }
}

/// Says why nothing can be collected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// A setting makes no sense.
    #[error(transparent)]
    Settings(#[from] CollectSettingsError),
    /// The HTTP client could not be built.
    #[error(transparent)]
    Client(#[from] FetchConfigError),
}

impl Collector {
    /// Builds a collector.
    ///
    /// # Errors
    /// [`CollectorError`] for settings that make no sense.
    pub fn new(parts: CollectorParts, settings: CollectSettings) -> Result<Self, CollectorError> {
        settings.validate()?;
        let fetcher = Fetcher::new(settings.fetch.clone(), Arc::clone(&parts.clock))?;
        let shared = Shared {
            parts,
            settings,
            fetcher,
            hosts: HostBook::default(),
            ledger: Ledger::default(),
            pages: KnownPages::default(),
            scopes: Scopes::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Adds its three workflows to those that a process knows.
    ///
    /// # Errors
    /// A setting of a workflow with a value that it can't have.
    pub fn add_workflows(&self, workflows: Workflows) -> Result<Workflows, SettingsError> {
        let settings = self.settings();
        workflows
            .with(DomainWorkflow::new(self.clone()), settings.domain_workflow.clone())?
            .with(SitemapWorkflow::new(self.clone()), settings.sitemap_workflow.clone())?
            .with(PageWorkflow::new(self.clone()), settings.page_workflow.clone())
    }

    /// Returns the settings.
    pub fn settings(&self) -> &CollectSettings {
        &self.shared.settings
    }

    pub(crate) fn database(&self) -> &Database {
        &self.shared.parts.database
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.parts.clock
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.shared.fetcher
    }

    pub(crate) fn hosts(&self) -> &HostBook {
        &self.shared.hosts
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    pub(crate) fn pages(&self) -> &KnownPages {
        &self.shared.pages
    }

    /// Returns what is known of a host.
    pub(crate) async fn host(&self, origin: &str) -> Result<Arc<KnownHost>, DbError> {
        let (settings, now) = (self.settings(), self.clock().now());
        self.hosts().find(self.database(), &settings.hosts, origin, now).await
    }

    /// Returns which addresses belong to a domain.
    pub(crate) async fn scope(&self, domain_id: Option<i64>) -> Result<Arc<Scope>, DbErr> {
        let Some(id) = domain_id else { return Ok(Arc::default()) };
        self.shared.scopes.find(self.database(), self.settings().scope, id, self.clock().now()).await
    }

    pub(crate) fn scopes(&self) -> &Scopes {
        &self.shared.scopes
    }

    /// Wakes a workflow once the transaction is committed.
    pub(crate) fn wake<W: Workflow>(&self, tx: &DbTx) {
        let (notifier, notice) = (Arc::clone(&self.shared.parts.notifier), Notice::Loop(W::JOB.to_owned()));
        tx.after_commit_once(W::JOB, move || notifier.notify(notice));
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("database", &self.database().name()).finish_non_exhaustive()
    }
}
