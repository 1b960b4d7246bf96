//! What fetching a page brought, and how its rows take it.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter};
use serde::Serialize;

use super::content;
use super::entity::{self as page, ActiveModel, Column, Entity};
use super::extract::{Link, Page};
use super::links::Followed;
use crate::error::RowError;
use crate::fetch::{Fetched, FetchedHead, PRODUCT_TOKEN};
use crate::url::LinkScope;

/// How long a list may become that is kept as JSON, in bytes; what is over is left out at its end.
const LIST_BYTES_MAX: usize = 1024 * 1024;

/// What is written of a page once it has been fetched.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    row: ActiveModel,
    content: Option<content::ActiveModel>,
}

impl Findings {
    /// Takes an answer whose body is not read, because it is no page.
    pub(crate) fn of_head(head: &FetchedHead, now: Timestamp) -> Self {
        let row = ActiveModel {
            fetched_at: Set(Some(now.as_micros())),
            status_code: Set(Some(i32::from(head.status))),
            content_type: Set(head.content_type.clone()),
            etag: Set(head.etag.clone()),
            last_modified_at: Set(head.last_modified.map(Timestamp::as_micros)),
            ..blank()
        };
        Self { row, content: None }
    }

    /// Takes a redirect.
    pub(crate) fn of_redirect(status: u16, to: &str, now: Timestamp) -> Self {
        let row = ActiveModel {
            fetched_at: Set(Some(now.as_micros())),
            status_code: Set(Some(i32::from(status))),
            redirect_to: Set(Some(to.to_owned())),
            ..blank()
        };
        Self { row, content: None }
    }

    /// Takes a page that was read.
    pub(crate) fn of_page(fetched: &Fetched, page: &Page, charset: &str, followed: &Followed) -> Self {
        let head = Self::of_head(&fetched.head, Timestamp::EPOCH).row;
        let directives = page.directives.for_robot(PRODUCT_TOKEN);
        let row = ActiveModel {
            wire_bytes: Set(Some(count(fetched.wire_bytes))),
            body_bytes: Set(Some(count(fetched.body.len() as u64))),
            elapsed_ms: Set(Some(i64::try_from(fetched.elapsed.as_millis()).unwrap_or(i64::MAX))),
            title: Set(page.title.clone()),
            description: Set(page.description.clone()),
            canonical: Set(page.canonical.as_ref().map(|canonical| canonical.url.as_str().to_owned())),
            language: Set(page.language.clone()),
            charset: Set(Some(charset.to_owned())),
            word_count: Set(Some(count(page.word_count as u64))),
            content_hash: Set(Some(page.content_hash.clone())),
            noindex: Set(Some(directives.noindex)),
            nofollow: Set(Some(directives.nofollow)),
            links: Set(Some(count(page.links.len() as u64))),
            links_internal: Set(Some(count(followed.internal))),
            links_trapped: Set(Some(count(followed.trapped))),
            ..head
        };
        let content = content::ActiveModel {
            headings: Set(list(&page.headings)),
            links: Set(list(&page.links.iter().map(StoredLink::from).collect::<Vec<_>>())),
            alternates: Set(list(&page.alternates)),
            directives: Set(serde_json::to_string(&page.directives).unwrap_or_default()),
            ..Default::default()
        };
        Self { row, content: Some(content) }
    }

    /// Names the moment at which it was fetched.
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.row.fetched_at = Set(Some(now.as_micros()));
        self
    }
}

impl Entity {
    /// Writes what was found on a page, in the transaction that ends its processing.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_result(tx: &DbTx, id: i64, findings: Findings) -> Result<(), DbErr> {
        Self::update_many().set(findings.row).filter(Column::Id.eq(id)).exec(tx).await?;
        let Some(mut row) = findings.content else {
            content::Entity::delete_by_id(id).exec(tx).await?;
            return Ok(());
        };
        row.page_id = Set(id);
        let mut update = OnConflict::column(content::Column::PageId);
        update.update_columns([
            content::Column::Headings,
            content::Column::Links,
            content::Column::Alternates,
            content::Column::Directives,
        ]);
        content::Entity::insert(row).on_conflict(update).exec_without_returning(tx).await?;
        Ok(())
    }

    /// Writes what an attempt showed that came to nothing; what an earlier one found stays.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_processing(
        tx: &DbTx,
        id: i64,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let row = ActiveModel {
            fetched_at: Set(Some(now.as_micros())),
            status_code: Set(shown.status.map(i32::from)),
            ..Default::default()
        };
        Self::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await?;
        Ok(())
    }
}

/// What an attempt showed that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The HTTP status, where there was one.
    pub(crate) status: Option<u16>,
}

impl Shown {
    /// Reads what a failure shows; nothing where no request was made.
    pub(crate) fn of(error: &RowError) -> Option<Self> {
        match error {
            RowError::Fetch(error) => Some(Self { status: error.status() }),
            _ => None,
        }
    }
}

/// A link as its page keeps it: what is usual is not said.
#[derive(Serialize)]
struct StoredLink<'a> {
    url: &'a str,
    text: &'a str,
    scope: LinkScope,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rel: Vec<&'static str>,
}

impl<'a> From<&'a Link> for StoredLink<'a> {
    fn from(link: &'a Link) -> Self {
        let said =
            [("nofollow", link.rel.nofollow), ("ugc", link.rel.ugc), ("sponsored", link.rel.sponsored)];
        let rel = said.into_iter().filter(|(_, is_said)| *is_said).map(|(word, _)| word).collect();
        Self { url: link.url.as_str(), text: &link.text, scope: link.scope, rel }
    }
}

/// Sets everything that is found to nothing, so that what an earlier fetch found does not stay beside it.
fn blank() -> page::ActiveModel {
    page::ActiveModel {
        status_code: Set(None),
        redirect_to: Set(None),
        content_type: Set(None),
        wire_bytes: Set(None),
        body_bytes: Set(None),
        elapsed_ms: Set(None),
        etag: Set(None),
        last_modified_at: Set(None),
        title: Set(None),
        description: Set(None),
        canonical: Set(None),
        language: Set(None),
        charset: Set(None),
        word_count: Set(None),
        content_hash: Set(None),
        noindex: Set(None),
        nofollow: Set(None),
        links: Set(None),
        links_internal: Set(None),
        links_trapped: Set(None),
        ..Default::default()
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes a list as JSON, as much of it as may be kept.
pub(crate) fn list<T: Serialize>(items: &[T]) -> String {
    let mut text = String::from("[");
    for item in items {
        let Ok(item) = serde_json::to_string(item) else { continue };
        if text.len() + item.len() > LIST_BYTES_MAX {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json_and_bounded() {
        assert_eq!(list::<u8>(&[]), "[]");
        assert_eq!(list(&["a", "b"]), r#"["a","b"]"#);
        let long = "x".repeat(LIST_BYTES_MAX / 2);
        let kept: Vec<String> = serde_json::from_str(&list(&[&long, &long, &long])).unwrap();
        assert_eq!(kept.len(), 1, "two would be over the limit by their quotes");
    }
}
