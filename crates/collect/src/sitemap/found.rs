//! New rows for sitemaps that were found, each address once: an index that names itself comes to an end.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::{ExprTrait, LockType, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::entity::{ActiveModel, Column, Entity, SitemapSource};
use super::workflow::SitemapWorkflow;
use crate::collector::Collector;
use crate::domain::entity as domain;
use crate::host;
use crate::host::queue::note_waiting;
use crate::url::CanonicalUrl;

/// A sitemap that was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundSitemap {
    pub(crate) url: CanonicalUrl,
    pub(crate) found_by: SitemapSource,
    pub(crate) depth: i32,
    pub(crate) parent_id: Option<i64>,
    pub(crate) lastmod_at: Option<Timestamp>,
}

impl FoundSitemap {
    /// Takes an address and how it was found.
    pub(crate) fn new(url: CanonicalUrl, found_by: SitemapSource) -> Self {
        Self { url, found_by, depth: 0, parent_id: None, lastmod_at: None }
    }
}

/// What became of sitemaps that were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// Had no row yet.
    pub(crate) inserted: u64,
    /// Were left out, because the domain has as many sitemaps as it may.
    pub(crate) left_out: u64,
}

/// Gives a row to every sitemap that has none, as far as the domain may have more, and wakes the workflow.
///
/// # Errors
/// The database's.
pub(crate) async fn add(
    tx: &DbTx,
    collector: &Collector,
    domain_id: Option<i64>,
    sitemaps: Vec<FoundSitemap>,
) -> Result<Added, DbErr> {
    let now = collector.clock().now();
    let mut room = room(tx, domain_id, collector.settings().sitemaps_max).await?;
    let mut added = Added::default();
    for sitemap in sitemaps {
        if room == 0 {
            added.left_out += 1;
            continue;
        }
        let host_id = host::ensure(tx, sitemap.url.origin(), now).await?;
        let nothing = OnConflict::column(Column::UrlKey).do_nothing().to_owned();
        let row = row(sitemap, domain_id, host_id, now);
        let inserted = Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await?;
        if inserted > 0 {
            room -= 1;
            added.inserted += 1;
            if note_waiting::<Entity>(tx, host_id, now).await? {
                collector.wake::<SitemapWorkflow>(tx);
            }
        }
    }
    count(tx, domain_id, domain::Column::SitemapsFound, added.inserted).await?;
    Ok(added)
}

fn row(found: FoundSitemap, domain_id: Option<i64>, host_id: i64, now: Timestamp) -> ActiveModel {
    let now = now.as_micros();
    ActiveModel {
        url_key: Set(found.url.key().as_bytes().to_vec()),
        url: Set(found.url.as_str().to_owned()),
        host_id: Set(host_id),
        domain_id: Set(domain_id),
        parent_id: Set(found.parent_id),
        depth: Set(found.depth),
        found_by: Set(found.found_by),
        lastmod_at: Set(found.lastmod_at.map(Timestamp::as_micros)),
        due_at: Set(now),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// Returns how many more sitemaps the domain may have.
async fn room(tx: &DbTx, domain_id: Option<i64>, sitemaps_max: u64) -> Result<u64, DbErr> {
    let Some(id) = domain_id else { return Ok(sitemaps_max) };
    let found: Option<i64> = domain::Entity::find_by_id(id)
        .select_only()
        .column(domain::Column::SitemapsFound)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(sitemaps_max.saturating_sub(u64::try_from(found.unwrap_or(0)).unwrap_or(0)))
}

/// Adds to a counter of a domain.
pub(super) async fn count(
    tx: &DbTx,
    domain_id: Option<i64>,
    column: domain::Column,
    more: u64,
) -> Result<(), DbErr> {
    let (Some(id), true) = (domain_id, more > 0) else { return Ok(()) };
    domain::Entity::update_many()
        .col_expr(column, Expr::col(column).add(i64::try_from(more).unwrap_or(i64::MAX)))
        .filter(domain::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}
