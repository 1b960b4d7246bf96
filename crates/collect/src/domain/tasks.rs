//! Adding domains, as a function for callers in this process and as a task for all others.

use celeriac_db::{DbError, DbTx};
use celeriac_engine::{Ctx, TaskError, task};
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};

use super::entity::{ActiveModel, Column, Entity};
use super::status::STATUSES;
use super::workflow::DomainWorkflow;
use crate::collector::Collector;
use crate::host;
use crate::host::queue::note_waiting;
use crate::page::entity::PageSource;
use crate::page::found::{self, FoundPage};
use crate::url::{CanonicalUrl, UrlError};

/// How much of a text that is no address is kept, in characters.
const BAD_NAME_CHARS: usize = 200;

/// What became of a domain that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedDomain {
    /// Its row.
    pub id: i64,
    /// Its name: host and port.
    pub name: String,
    /// Whether it was not known before.
    pub is_new: bool,
    /// Why it can't be collected, where it can't: its row stands in *error* from the beginning.
    pub refused: Option<String>,
}

/// Adds a domain by what people type into an address bar, and wakes the workflow.
///
/// An address below the home page is collected as a page too, as a place to begin. A domain that is known
/// stays as it is. A text that is no address gets a row as well, in *error* with the reason, so that nothing
/// of a long list is lost.
///
/// # Errors
/// The database's.
pub async fn add(collector: &Collector, text: &str) -> Result<AddedDomain, DbError> {
    let (collector, text) = (collector.clone(), text.to_owned());
    let database = collector.database().clone();
    database
        .write("add domain", async move |tx| {
            let now = collector.clock().now();
            match CanonicalUrl::parse_typed(&text) {
                Ok(url) => Ok(add_url(tx, &collector, &url, now).await?),
                Err(error) => Ok(add_refused(tx, &text, &error, now).await?),
            }
        })
        .await
}

/// Adds a domain.
#[task(crate = celeriac_engine, name = "collect.add_domain", state(Collector))]
pub async fn add_domain(url: String, ctx: Ctx) -> Result<AddedDomain, TaskError> {
    Ok(add(ctx.state::<Collector>(), &url).await?)
}

async fn add_url(
    tx: &DbTx,
    collector: &Collector,
    url: &CanonicalUrl,
    now: Timestamp,
) -> Result<AddedDomain, DbErr> {
    let host_id = host::ensure(tx, url.origin(), now).await?;
    let home = format!("{}/", url.origin());
    let row = ActiveModel {
        name: Set(url.authority().to_owned()),
        url: Set(home.clone()),
        host_id: Set(host_id),
        due_at: Set(now.as_micros()),
        created_at: Set(now.as_micros()),
        updated_at: Set(now.as_micros()),
        ..Default::default()
    };
    let added = insert(tx, row, url.authority()).await?;
    if added.is_new && note_waiting::<Entity>(tx, host_id, now).await? {
        collector.wake::<DomainWorkflow>(tx);
    }
    if url.as_str() != home {
        let start = FoundPage::new(url.clone(), PageSource::User);
        found::add(tx, collector, Some(added.id), vec![start]).await?;
    }
    Ok(added)
}

async fn add_refused(tx: &DbTx, text: &str, error: &UrlError, now: Timestamp) -> Result<AddedDomain, DbErr> {
    let host_id = host::ensure(tx, host::NOWHERE, now).await?;
    let name: String = text.trim().chars().take(BAD_NAME_CHARS).collect();
    let reason = error.to_string();
    let row = ActiveModel {
        name: Set(name.clone()),
        url: Set(name.clone()),
        host_id: Set(host_id),
        status: Set(STATUSES.error.to_owned()),
        error: Set(Some(reason.clone())),
        due_at: Set(now.as_micros()),
        created_at: Set(now.as_micros()),
        updated_at: Set(now.as_micros()),
        ..Default::default()
    };
    let added = insert(tx, row, &name).await?;
    Ok(AddedDomain { refused: Some(reason), ..added })
}

async fn insert(tx: &DbTx, row: ActiveModel, name: &str) -> Result<AddedDomain, DbErr> {
    let nothing = OnConflict::column(Column::Name).do_nothing().to_owned();
    let inserted = Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await?;
    let find = Entity::find().select_only().column(Column::Id).filter(Column::Name.eq(name));
    let id: Option<i64> = find.into_tuple().one(tx).await?;
    let id = id.ok_or_else(|| DbErr::RecordNotInserted)?;
    Ok(AddedDomain { id, name: name.to_owned(), is_new: inserted > 0, refused: None })
}
