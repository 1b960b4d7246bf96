//! How far the collecting of some domains has come, in numbers.

use celeriac_control::workflow::WorkflowTable;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, DeriveIden, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::domain::entity as domain;
use crate::page::entity::{self as page, PageSource};
use crate::sitemap::entity as sitemap;
use crate::sitemap::findings::ABSENT;

/// How far the collecting of some domains has come.
///
/// The three tables are read one after the other, in the direction in which they feed each other, so that what says
/// it is done is done: nothing can have moved on into a table that was read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The domains.
    pub domains: Tally,
    /// Their sitemaps.
    pub sitemaps: Tally,
    /// Their pages, every known address once.
    pub pages: Tally,
}

/// The rows of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that wait for the first time.
    pub waiting: u64,
    /// Rows that have failed and wait for another attempt.
    pub retrying: u64,
    /// Rows that are being processed.
    pub processing: u64,
    /// Rows that are done.
    pub done: u64,
    /// Rows that ended in *error*.
    pub failed: u64,
    /// Attempts beyond each row's first.
    pub retries: u64,
}

/// What the pages of some domains turned out to be, and how they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageKinds {
    /// Pages that a sitemap lists.
    pub from_sitemaps: u64,
    /// Pages that another page links to.
    pub from_links: u64,
    /// Pages found otherwise: home pages, targets of redirects, those that somebody added.
    pub from_elsewhere: u64,
    /// Done ones that are but another name for a page elsewhere.
    pub redirects: u64,
    /// Done ones whose text was read.
    pub read: u64,
    /// Bytes that came over the wire.
    pub wire_bytes: u64,
}

/// A row that ended in *error*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRow {
    /// The workflow whose row it is: `domain`, `sitemap` or `page`.
    pub workflow: &'static str,
    /// Its address.
    pub url: String,
    /// Why.
    pub reason: String,
    /// How many attempts were made.
    pub attempts: u32,
}

impl Tally {
    /// Returns how many rows there are.
    pub fn total(&self) -> u64 {
        self.open() + self.ended()
    }

    /// Returns how many rows still change.
    pub fn open(&self) -> u64 {
        self.waiting + self.retrying + self.processing
    }

    /// Returns how many rows are in a final status.
    pub fn ended(&self) -> u64 {
        self.done + self.failed
    }
}

impl Summary {
    /// Counts the rows of some domains.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(reader: &DatabaseConnection, domains: &[i64]) -> Result<Self, DbErr> {
        let ids = || domains.iter().copied();
        Ok(Self {
            domains: tally::<domain::Entity>(reader, domain::Column::Id.is_in(ids())).await?,
            sitemaps: tally::<sitemap::Entity>(reader, sitemap::Column::DomainId.is_in(ids())).await?,
            pages: tally::<page::Entity>(reader, page::Column::DomainId.is_in(ids())).await?,
        })
    }

    /// Says whether every row is in a final status. Without any row there is nothing to wait for either.
    pub fn is_final(&self) -> bool {
        self.domains.open() + self.sitemaps.open() + self.pages.open() == 0
    }

    /// Returns how many attempts were made beyond each row's first.
    pub fn retries(&self) -> u64 {
        self.domains.retries + self.sitemaps.retries + self.pages.retries
    }

    /// Returns how many rows ended in *error*.
    pub fn failed(&self) -> u64 {
        self.domains.failed + self.sitemaps.failed + self.pages.failed
    }
}

impl PageKinds {
    /// Looks at the pages of some domains.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(reader: &DatabaseConnection, domains: &[i64]) -> Result<Self, DbErr> {
        use page::Column as C;
        let of_those = || Condition::all().add(C::DomainId.is_in(domains.iter().copied()));
        let done = || of_those().add(C::Status.eq(page::Entity::STATUSES.done));
        let from = |source: PageSource| of_those().add(C::FoundBy.eq(source));
        let (from_sitemaps, from_links) =
            (pages(reader, from(PageSource::Sitemap)).await?, pages(reader, from(PageSource::Link)).await?);
        Ok(Self {
            from_sitemaps,
            from_links,
            from_elsewhere: pages(reader, of_those()).await?.saturating_sub(from_sitemaps + from_links),
            redirects: pages(reader, done().add(C::RedirectTo.is_not_null())).await?,
            read: pages(reader, done().add(C::RedirectTo.is_null()).add(C::Charset.is_not_null())).await?,
            wire_bytes: number(reader, C::WireBytes.sum(), of_those()).await?,
        })
    }
}

/// Counts the sitemaps of some domains that were looked for in the usual place and are not there; among the rows they
/// are done.
///
/// # Errors
/// The database's.
pub async fn absent_sitemaps(reader: &DatabaseConnection, domains: &[i64]) -> Result<u64, DbErr> {
    use sitemap::Column as C;
    let absent = sitemap::Entity::find()
        .select_only()
        .column_as(C::Id.count(), "rows")
        .filter(C::DomainId.is_in(domains.iter().copied()))
        .filter(C::Kind.eq(ABSENT))
        .into_tuple::<i64>();
    Ok(unsigned(absent.one(reader).await?.unwrap_or(0)))
}

/// Lists rows of some domains that ended in *error*, domains first, oldest first, at most `limit` of each table.
///
/// # Errors
/// The database's.
pub async fn failed_rows(
    reader: &DatabaseConnection,
    domains: &[i64],
    limit: u64,
) -> Result<Vec<FailedRow>, DbErr> {
    let ids = || domains.iter().copied();
    let mut rows = failed::<domain::Entity>(
        reader,
        "domain",
        domain::Column::Url,
        domain::Column::Id.is_in(ids()),
        limit,
    )
    .await?;
    rows.extend(
        failed::<sitemap::Entity>(
            reader,
            "sitemap",
            sitemap::Column::Url,
            sitemap::Column::DomainId.is_in(ids()),
            limit,
        )
        .await?,
    );
    rows.extend(
        failed::<page::Entity>(reader, "page", page::Column::Url, page::Column::DomainId.is_in(ids()), limit)
            .await?,
    );
    Ok(rows)
}

/// Names what rows are grouped by, once more: PostgreSQL does not see that two expressions are one.
#[derive(DeriveIden)]
enum Grouped {
    Tried,
}

async fn tally<E: WorkflowTable>(reader: &DatabaseConnection, of_those: SimpleExpr) -> Result<Tally, DbErr> {
    let (c, words) = (E::columns(), E::STATUSES);
    let counted: Vec<(String, bool, i64, Option<i64>)> = E::find()
        .select_only()
        .column(c.status)
        .column_as(c.attempts.gt(0), "tried")
        .column_as(c.id.count(), "rows")
        .column_as(c.attempts.sum(), "attempts")
        .filter(of_those)
        .group_by(c.status)
        .group_by(Expr::col(Grouped::Tried))
        .into_tuple()
        .all(reader)
        .await?;
    let mut tally = Tally::default();
    for (word, tried, rows, attempts) in counted {
        let (rows, attempts) = (unsigned(rows), unsigned(attempts.unwrap_or(0)));
        let place = match word.as_str() {
            word if word == words.waiting && tried => &mut tally.retrying,
            word if word == words.waiting => &mut tally.waiting,
            word if word == words.processing => &mut tally.processing,
            word if word == words.done => &mut tally.done,
            _ => &mut tally.failed,
        };
        *place += rows;
        tally.retries += if tried { attempts - rows } else { 0 };
    }
    Ok(tally)
}

async fn pages(reader: &DatabaseConnection, condition: Condition) -> Result<u64, DbErr> {
    number(reader, page::Column::Id.count(), condition).await
}

/// PostgreSQL sums up to a number without bounds.
#[derive(DeriveIden)]
enum Cast {
    Bigint,
}

async fn number(reader: &DatabaseConnection, wanted: SimpleExpr, condition: Condition) -> Result<u64, DbErr> {
    let found: Option<Option<i64>> = page::Entity::find()
        .select_only()
        .column_as(wanted.cast_as(Cast::Bigint), "number")
        .filter(condition)
        .into_tuple()
        .one(reader)
        .await?;
    Ok(unsigned(found.flatten().unwrap_or(0)))
}

async fn failed<E: WorkflowTable>(
    reader: &DatabaseConnection,
    workflow: &'static str,
    url: E::Column,
    of_those: SimpleExpr,
    limit: u64,
) -> Result<Vec<FailedRow>, DbErr> {
    let c = E::columns();
    let rows: Vec<(String, Option<String>, i32)> = E::find()
        .select_only()
        .columns([url, c.error, c.attempts])
        .filter(of_those)
        .filter(c.status.eq(E::STATUSES.error))
        .order_by_asc(c.id)
        .limit(limit)
        .into_tuple()
        .all(reader)
        .await?;
    let row = |(url, reason, attempts): (String, Option<String>, i32)| FailedRow {
        workflow,
        url,
        reason: reason.unwrap_or_default(),
        attempts: u32::try_from(attempts).unwrap_or(0),
    };
    Ok(rows.into_iter().map(row).collect())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
