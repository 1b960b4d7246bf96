//! Adding single sitemaps, as a function for callers in this process and as a task for all others.

use celeriac_db::DbError;
use celeriac_engine::{Ctx, TaskError, task};

use super::entity::SitemapSource;
use super::found::{self, FoundSitemap};
use crate::collector::Collector;
use crate::url::{CanonicalUrl, UrlError};

/// Adds one sitemap, whose pages are collected without following their links, and wakes the workflow; says
/// whether it is new.
///
/// # Errors
/// The database's.
pub async fn add(collector: &Collector, url: CanonicalUrl) -> Result<bool, DbError> {
    let collector = collector.clone();
    let database = collector.database().clone();
    let added = database.write("add sitemap", async move |tx| {
        let sitemap = FoundSitemap::new(url, SitemapSource::User);
        found::add(tx, &collector, None, vec![sitemap]).await.map_err(DbError::from)
    });
    Ok(added.await?.inserted > 0)
}

/// Adds one sitemap; its result says whether it is new.
#[task(crate = celeriac_engine, name = "collect.add_sitemap", state(Collector))]
pub async fn add_sitemap(url: String, ctx: Ctx) -> Result<bool, TaskError> {
    let url =
        CanonicalUrl::parse_typed(&url).map_err(|error: UrlError| TaskError::discard(error.to_string()))?;
    Ok(add(ctx.state::<Collector>(), url).await?)
}
