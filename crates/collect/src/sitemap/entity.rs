//! One row per file that lists a site's addresses, and what became of its entries.

use celeriac_control::workflow::{Columns, RowState, RowsWaiting, Statuses, WorkflowTable};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::DatabaseConnection;
use sea_orm::entity::prelude::*;

use crate::host::entity as host;
use crate::host::queue::{self, HostTable};

/// A sitemap: an index, a set of addresses, a feed or a plain list.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_sitemaps")]
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
    /// The domain whose pages it lists; null for one that was added by itself.
    pub domain_id: Option<i64>,
    /// The index that named it.
    pub parent_id: Option<i64>,
    /// How many indexes lie above it.
    pub depth: i32,
    /// How it was found.
    pub found_by: SitemapSource,
    /// When it last changed, as the index above says.
    pub lastmod_at: Option<i64>,
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
    /// Where it was found in the end, after redirects.
    #[sea_orm(column_type = "Text", nullable)]
    pub final_url: Option<String>,
    /// The HTTP status of the answer.
    pub status_code: Option<i32>,
    /// Content-Type as sent.
    pub content_type: Option<String>,
    /// Bytes as they came over the wire.
    pub wire_bytes: Option<i64>,
    /// Bytes after unzipping.
    pub body_bytes: Option<i64>,
    /// In which form it was written: `url_set`, `index`, `text`, `rss`, `atom`; `absent` where the usual
    /// place was tried and nothing was there.
    pub kind: Option<String>,
    /// Entries read.
    pub entries: Option<i64>,
    /// Entries left out because their address was missing or wrong.
    pub skipped: Option<i64>,
    /// Entries left out because they belong to another site, or because the domain has its share.
    pub left_out: Option<i64>,
    /// Pages that were not known before.
    pub pages_added: Option<i64>,
    /// Sitemaps that were not known before.
    pub sitemaps_added: Option<i64>,
    /// What was wrong in it, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub warnings: Option<String>,
}

/// How a sitemap was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum SitemapSource {
    /// robots.txt names it.
    Robots,
    /// Nothing names it; it is looked for in the usual place.
    Guess,
    /// Another sitemap names it.
    Index,
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
    const READY_AT: host::Column = host::Column::SitemapsReadyAt;
    const HOST_ID: Column = Column::HostId;

    fn set_turn(row: &mut Model, turn: Timestamp) {
        row.due_at = turn.as_micros();
    }
}
