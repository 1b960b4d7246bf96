//! New rows for pages that were found, many with one statement, each address once.

use std::collections::{BTreeMap, HashMap};

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::{ExprTrait, LockType, OnConflict, Query, Value};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DbErr, DerivePartialModel, EntityTrait, QueryFilter,
    QuerySelect, Set,
};

use super::entity::{self as page, Column, PageSource};
use super::workflow::PageWorkflow;
use crate::collector::Collector;
use crate::domain::entity as domain;
use crate::host;
use crate::host::queue::note_waiting;
use crate::sitemap::extract::{ChangeFrequency, Priority};
use crate::url::CanonicalUrl;

/// How many rows one statement inserts. Few sizes, so that each is prepared once; what does not fill one is
/// filled up with rows that are there already, which the key throws away again.
const SIZES: [usize; 4] = [4, 16, 64, 256];

/// A page that was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundPage {
    pub(crate) url: CanonicalUrl,
    pub(crate) found_by: PageSource,
    pub(crate) depth: i32,
    pub(crate) hops: i32,
    pub(crate) parent_id: Option<i64>,
    pub(crate) sitemap_id: Option<i64>,
    pub(crate) lastmod_at: Option<Timestamp>,
    pub(crate) changefreq: Option<ChangeFrequency>,
    pub(crate) priority: Option<Priority>,
}

impl FoundPage {
    /// Takes an address and how it was found.
    pub(crate) fn new(url: CanonicalUrl, found_by: PageSource) -> Self {
        Self {
            url,
            found_by,
            depth: 0,
            hops: 0,
            parent_id: None,
            sitemap_id: None,
            lastmod_at: None,
            changefreq: None,
            priority: None,
        }
    }
}

/// What became of pages that were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// Had no row yet.
    pub(crate) inserted: u64,
    /// Were left out, because the domain has as many pages as it may.
    pub(crate) left_out: u64,
}

/// Gives a row to every page that has none, as far as the domain may have more, and wakes the workflow.
///
/// # Errors
/// The database's.
pub(crate) async fn add(
    tx: &DbTx,
    collector: &Collector,
    domain_id: Option<i64>,
    mut pages: Vec<FoundPage>,
) -> Result<Added, DbErr> {
    if pages.is_empty() {
        return Ok(Added::default());
    }
    let now = collector.clock().now();
    let room = room(tx, domain_id, collector.settings().pages_max).await?;
    let left_out = pages.len().saturating_sub(room);
    pages.truncate(room);
    let host_ids = hosts(tx, &pages, now).await?;
    let mut inserted = 0;
    for some in pages.chunks(SIZES[SIZES.len() - 1]) {
        inserted += insert(tx, domain_id, some, &host_ids, now).await?;
    }
    count(tx, domain_id, inserted).await?;
    if inserted > 0 {
        for host_id in host_ids.into_values() {
            if note_waiting::<page::Entity>(tx, host_id, now).await? {
                collector.wake::<PageWorkflow>(tx);
            }
        }
    }
    let (keys, shared) = (pages.iter().map(|page| page.url.key()).collect::<Vec<_>>(), collector.clone());
    tx.after_commit(move || shared.pages().remember(keys));
    Ok(Added { inserted, left_out: left_out as u64 })
}

/// Gives a row to a page that has been fetched already, and returns its id; nothing where somebody is just
/// fetching it again.
pub(crate) async fn add_done(
    tx: &DbTx,
    domain_id: Option<i64>,
    found: FoundPage,
    now: Timestamp,
) -> Result<Option<i64>, DbErr> {
    use super::status::STATUSES;
    let key = found.url.key().as_bytes().to_vec();
    let pages = [found];
    let host_ids = hosts(tx, &pages, now).await?;
    let inserted = insert(tx, domain_id, &pages, &host_ids, now).await?;
    count(tx, domain_id, inserted).await?;
    let row: Option<(i64, String)> = page::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Status])
        .filter(Column::UrlKey.eq(key))
        .into_tuple()
        .one(tx)
        .await?;
    let Some((id, _)) = row.filter(|(_, status)| status != STATUSES.processing) else { return Ok(None) };
    page::Entity::update_many()
        .col_expr(Column::Status, Expr::value(STATUSES.done))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_micros()))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(Some(id))
}

/// Brings what a sitemap says of pages that had a row already up to date.
///
/// # Errors
/// The database's.
pub(crate) async fn update_from_sitemap(tx: &DbTx, pages: &[FoundPage]) -> Result<(), DbErr> {
    for some in pages.chunks(SIZES[SIZES.len() - 1]) {
        let keys = padded(some).map(|page| page.url.key().as_bytes().to_vec());
        let rows: Vec<Listed> =
            page::Entity::find().filter(Column::UrlKey.is_in(keys)).into_partial_model().all(tx).await?;
        let by_key: HashMap<Vec<u8>, Listed> =
            rows.into_iter().map(|row| (row.url_key.clone(), row)).collect();
        for page in some {
            if let Some(row) = by_key.get(page.url.key().as_bytes().as_slice())
                && !row.says_the_same(page)
            {
                row.update(tx, page).await?;
            }
        }
    }
    Ok(())
}

/// What a row knows from sitemaps.
#[derive(Debug, DerivePartialModel)]
#[sea_orm(entity = "page::Entity")]
struct Listed {
    id: i64,
    url_key: Vec<u8>,
    sitemap_id: Option<i64>,
    lastmod_at: Option<i64>,
    changefreq: Option<String>,
    priority: Option<i32>,
}

impl Listed {
    fn says_the_same(&self, page: &FoundPage) -> bool {
        self.sitemap_id.is_some()
            && self.lastmod_at == page.lastmod_at.map(Timestamp::as_micros)
            && self.changefreq.as_deref() == page.changefreq.map(ChangeFrequency::as_str)
            && self.priority == page.priority.map(|priority| i32::from(priority.thousandths()))
    }

    async fn update(&self, tx: &DbTx, page: &FoundPage) -> Result<(), DbErr> {
        let row = page::ActiveModel {
            sitemap_id: Set(self.sitemap_id.or(page.sitemap_id)),
            lastmod_at: Set(page.lastmod_at.map(Timestamp::as_micros)),
            changefreq: Set(page.changefreq.map(|word| word.as_str().to_owned())),
            priority: Set(page.priority.map(|priority| i32::from(priority.thousandths()))),
            ..Default::default()
        };
        page::Entity::update_many().set(row).filter(Column::Id.eq(self.id)).exec(tx).await?;
        Ok(())
    }
}

/// Returns how many more pages the domain may have.
async fn room(tx: &DbTx, domain_id: Option<i64>, pages_max: u64) -> Result<usize, DbErr> {
    let Some(id) = domain_id else { return Ok(usize::MAX) };
    let found: Option<i64> = domain::Entity::find_by_id(id)
        .select_only()
        .column(domain::Column::PagesFound)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .one(tx)
        .await?;
    let found = u64::try_from(found.unwrap_or(0)).unwrap_or(0);
    Ok(usize::try_from(pages_max.saturating_sub(found)).unwrap_or(usize::MAX))
}

async fn count(tx: &DbTx, domain_id: Option<i64>, inserted: u64) -> Result<(), DbErr> {
    use domain::Column as C;
    let (Some(id), true) = (domain_id, inserted > 0) else { return Ok(()) };
    let more = i64::try_from(inserted).unwrap_or(i64::MAX);
    domain::Entity::update_many()
        .col_expr(C::PagesFound, Expr::col(C::PagesFound).add(more))
        .filter(C::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Finds or makes the hosts of pages, by origin; they are few.
async fn hosts(tx: &DbTx, pages: &[FoundPage], now: Timestamp) -> Result<BTreeMap<String, i64>, DbErr> {
    let mut ids = BTreeMap::new();
    for page in pages {
        if !ids.contains_key(page.url.origin()) {
            let id = host::ensure(tx, page.url.origin(), now).await?;
            ids.insert(page.url.origin().to_owned(), id);
        }
    }
    Ok(ids)
}

/// Inserts up to as many rows as the largest statement holds, and returns how many were new.
async fn insert(
    tx: &DbTx,
    domain_id: Option<i64>,
    pages: &[FoundPage],
    host_ids: &BTreeMap<String, i64>,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let mut statement = Query::insert();
    statement.into_table(page::Entity).columns(COLUMNS);
    for page in padded(pages) {
        let host_id = host_ids.get(page.url.origin()).copied();
        statement
            .values(values(page, domain_id, host_id, now))
            .map_err(|error| DbErr::Custom(error.to_string()))?;
    }
    statement.on_conflict(OnConflict::column(Column::UrlKey).do_nothing().to_owned());
    Ok(tx.execute(&statement).await?.rows_affected())
}

const COLUMNS: [Column; 15] = [
    Column::UrlKey,
    Column::Url,
    Column::HostId,
    Column::DomainId,
    Column::Depth,
    Column::FoundBy,
    Column::ParentId,
    Column::SitemapId,
    Column::Hops,
    Column::LastmodAt,
    Column::Changefreq,
    Column::Priority,
    Column::DueAt,
    Column::CreatedAt,
    Column::UpdatedAt,
];

fn values(page: &FoundPage, domain_id: Option<i64>, host_id: Option<i64>, now: Timestamp) -> [Expr; 15] {
    let now = now.as_micros();
    [
        Value::from(page.url.key().as_bytes().to_vec()),
        Value::from(page.url.as_str()),
        Value::from(host_id),
        Value::from(domain_id),
        Value::from(page.depth),
        Value::from(page.found_by.to_value()),
        Value::from(page.parent_id),
        Value::from(page.sitemap_id),
        Value::from(page.hops),
        Value::from(page.lastmod_at.map(Timestamp::as_micros)),
        Value::from(page.changefreq.map(ChangeFrequency::as_str)),
        Value::from(page.priority.map(|priority| i32::from(priority.thousandths()))),
        Value::from(now),
        Value::from(now),
        Value::from(now),
    ]
    .map(Expr::val)
}

/// Fills a slice up to one of the sizes with its last item.
fn padded(pages: &[FoundPage]) -> impl Iterator<Item = &FoundPage> {
    let size = SIZES.into_iter().find(|size| *size >= pages.len()).unwrap_or(pages.len());
    pages.iter().chain(std::iter::repeat(pages.last()).flatten()).take(size)
}
