//! How this crate joins an app: as any user's own crate would.

use celeriac_control::App;

use crate::collector::{Collector, CollectorParts};
use crate::migration::MIGRATIONS;
use crate::settings::CollectSettings;
use crate::{domain, page, sitemap};

/// Adds collecting to an app: its tables, its tasks, its workflows, and the [`Collector`] that they share.
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
        .state_with(move |environment| Collector::new(CollectorParts::from(environment), settings))
        .workflows(|workflows, states| {
            let collector = states.get::<Collector>().expect("it was made just before");
            collector.add_workflows(workflows)
        })
}
