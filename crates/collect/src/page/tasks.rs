//! Adding single pages, as a function for callers in this process and as a task for all others.

use celeriac_db::DbError;
use celeriac_engine::{Ctx, TaskError, task};

use super::entity::PageSource;
use super::found::{self, FoundPage};
use crate::collector::Collector;
use crate::url::{CanonicalUrl, UrlError};

/// Adds one page, whose links are kept and not followed, and wakes the workflow; says whether it is new.
///
/// # Errors
/// The database's.
pub async fn add(collector: &Collector, url: CanonicalUrl) -> Result<bool, DbError> {
    let collector = collector.clone();
    let database = collector.database().clone();
    let added = database.write("add page", async move |tx| {
        let page = FoundPage::new(url, PageSource::User);
        found::add(tx, &collector, None, vec![page]).await.map_err(DbError::from)
    });
    Ok(added.await?.inserted > 0)
}

/// Adds one page; its result says whether it is new.
#[task(crate = celeriac_engine, name = "collect.add_page", state(Collector))]
pub async fn add_page(url: String, ctx: Ctx) -> Result<bool, TaskError> {
    let url =
        CanonicalUrl::parse_typed(&url).map_err(|error: UrlError| TaskError::discard(error.to_string()))?;
    Ok(add(ctx.state::<Collector>(), url).await?)
}
