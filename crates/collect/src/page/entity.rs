//! One row per page: where it was found, how its collecting stands, and what is known of it.

use celeriac_control::workflow::{Columns, RowState, RowsWaiting, Statuses, WorkflowTable};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::DatabaseConnection;
use sea_orm::entity::prelude::*;

use crate::host::entity as host;
use crate::host::queue::{self, HostTable};

/// A page. What can be long stands in [`super::content`], so that a claim never moves it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_pages")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Tells addresses apart: half of the SHA-256 of the canonical one.
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(16))")]
    pub url_key: Vec<u8>,
    /// The address, canonical.
    #[sea_orm(column_type = "Text")]
    pub url: String,
    /// Its host.
    pub host_id: i64,
    /// The domain that it is collected for; null for one that was added by itself, whose links are not
    /// followed.
    pub domain_id: Option<i64>,
    /// How many links lead here from where the collecting began.
    pub depth: i32,
    /// How it was found.
    pub found_by: PageSource,
    /// The page that led here.
    pub parent_id: Option<i64>,
    /// The sitemap that lists it.
    pub sitemap_id: Option<i64>,
    /// How many redirects in a row led here.
    pub hops: i32,
    /// When it last changed, as its sitemap says.
    pub lastmod_at: Option<i64>,
    /// How often it changes, as its sitemap says.
    pub changefreq: Option<String>,
    /// How much it matters among its site's pages, as its sitemap says, in thousandths.
    pub priority: Option<i32>,
    /// One of [`super::status::STATUSES`].
    pub status: String,
    /// Not to be processed before.
    pub due_at: i64,
    /// When the claim ends, where there is one.
    pub claimed_until: Option<i64>,
    /// Tells this claim from others.
    pub claim: Option<i64>,
    /// Attempts charged so far.
    pub attempts: i32,
    /// Why the last attempt failed, in words for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// Earlier failures, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub history: String,
    /// When it was added.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
    /// When it was last fetched.
    pub fetched_at: Option<i64>,
    /// The HTTP status of the answer.
    pub status_code: Option<i32>,
    /// Where it redirects: the page there is a row of its own, and this one is but another name for it.
    #[sea_orm(column_type = "Text", nullable)]
    pub redirect_to: Option<String>,
    /// Content-Type as sent.
    pub content_type: Option<String>,
    /// Bytes as they came over the wire.
    pub wire_bytes: Option<i64>,
    /// Bytes after unpacking.
    pub body_bytes: Option<i64>,
    /// How long the answer took.
    pub elapsed_ms: Option<i64>,
    /// ETag as sent.
    pub etag: Option<String>,
    /// Last-Modified as sent.
    pub last_modified_at: Option<i64>,
    /// The title.
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    /// The description.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// The address that the page wants to be known by.
    #[sea_orm(column_type = "Text", nullable)]
    pub canonical: Option<String>,
    /// The language as a tag of BCP 47.
    pub language: Option<String>,
    /// The character encoding, as the WHATWG Encoding Standard names it.
    pub charset: Option<String>,
    /// How many words a reader sees.
    pub word_count: Option<i64>,
    /// SHA-256 of what a reader sees, in hexadecimal.
    pub content_hash: Option<String>,
    /// Whether it asks not to be shown in an index.
    pub noindex: Option<bool>,
    /// Whether it asks that its links are not followed.
    pub nofollow: Option<bool>,
    /// How many different pages it links to.
    pub links: Option<i64>,
    /// How many of them lie within what is collected.
    pub links_internal: Option<i64>,
    /// How many of those were left alone because they look endless.
    pub links_trapped: Option<i64>,
}

/// How a page was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum PageSource {
    /// It is the home page of a domain.
    Home,
    /// A sitemap lists it.
    Sitemap,
    /// A page links to it.
    Link,
    /// A page redirects to it.
    Redirect,
    /// Somebody added it.
    User,
}

impl ActiveModelBehavior for ActiveModel {}

impl WorkflowTable for Entity {
    const STATUSES: Statuses = super::status::STATUSES;

    fn columns() -> Columns<Self> {
        Columns {
            id: Column::Id,
            status: Column::Status,
            due_at: Column::DueAt,
            claimed_until: Column::ClaimedUntil,
            claim: Column::Claim,
            attempts: Column::Attempts,
            error: Column::Error,
            history: Column::History,
            updated_at: Column::UpdatedAt,
        }
    }

    fn state(row: &Model) -> RowState {
        let attempts = u32::try_from(row.attempts).unwrap_or(0);
        RowState { id: row.id, label: row.url.clone(), attempts, history: row.history.clone() }
    }

    async fn update_waiting(tx: &DbTx, rows: RowsWaiting) -> Result<(), DbErr> {
        queue::update_waiting::<Self>(tx, rows).await
    }

    async fn next_due_at(reader: &DatabaseConnection) -> Result<Option<Timestamp>, DbErr> {
        queue::next_ready_at::<Self>(reader).await
    }
}

impl HostTable for Entity {
    const READY_AT: host::Column = host::Column::PagesReadyAt;
    const HOST_ID: Column = Column::HostId;

    fn set_turn(row: &mut Model, turn: Timestamp) {
        row.due_at = turn.as_micros();
    }
}
