//! How this crate joins an app: as any user's own crate would.

use std::convert::Infallible;

use celeriac_control::App;
use celeriac_engine::States;

use crate::collector::{Collector, CollectorParts};
use crate::domain::workflow::DomainWorkflow;
use crate::migration::MIGRATIONS;
use crate::page::workflow::PageWorkflow;
use crate::settings::CollectSettings;
use crate::sitemap::workflow::SitemapWorkflow;
use crate::{domain, page, sitemap};

/// Adds collecting to an app: its tables, its tasks, its workflows, and the [`Collector`] that they share.
///
/// The workflows are declared with the settings that stand in `settings`; the app's configuration may
/// replace these, workflow by workflow ([`celeriac_control::AppParts::configure_workflow`]).
///
/// ```
/// use celeriac_collect::{CollectSettings, module};
/// use celeriac_control::App;
///
/// let app = module(App::new("house"), CollectSettings::default());
/// assert!(app.build()?.registry.find("collect.add_domain").is_some());
/// # Ok::<(), celeriac_control::AppError>(())
/// ```
pub fn module(app: App, settings: CollectSettings) -> App {
    app.migrations(MIGRATIONS)
        .module("collect", |tasks| {
            tasks
                .task::<domain::tasks::add_domain>()
                .task::<sitemap::tasks::add_sitemap>()
                .task::<page::tasks::add_page>()
        })
        .workflow_with(settings.domain_workflow.clone(), |states| collector(states).map(DomainWorkflow::new))
        .workflow_with(settings.sitemap_workflow.clone(), |states| {
            collector(states).map(SitemapWorkflow::new)
        })
        .workflow_with(settings.page_workflow.clone(), |states| collector(states).map(PageWorkflow::new))
        .state_with(move |environment| Collector::new(CollectorParts::from(environment), settings))
}

fn collector(states: &States) -> Result<Collector, Infallible> {
    Ok(states.get::<Collector>().expect("states are made before workflows").clone())
}
