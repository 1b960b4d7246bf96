//! One row per site that is collected, and what its home page says of it.

use celeriac_control::workflow::{Columns, RowState, RowsWaiting, Statuses, WorkflowTable};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::DatabaseConnection;
use sea_orm::entity::prelude::*;

use crate::host::entity as host;
use crate::host::queue::{self, HostTable};

/// A site: one host name with its port, by whatever scheme.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_domains")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Host name and port, the port only where it is not the scheme's own; what could not be read as an
    /// address stands here as it was given.
    #[sea_orm(unique)]
    pub name: String,
    /// The address of the home page, canonical; or what was given in its place.
    #[sea_orm(column_type = "Text")]
    pub url: String,
    /// The home page's host.
    pub host_id: i64,
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
    /// How many pages of it are known; it never passes the limit of pages.
    pub pages_found: i64,
    /// How many sitemaps of it are known.
    pub sitemaps_found: i64,
    /// How many sitemaps of it were read.
    pub sitemaps_read: i64,
    /// When the home page was last fetched.
    pub fetched_at: Option<i64>,
    /// Where the home page was found in the end, after redirects.
    #[sea_orm(column_type = "Text", nullable)]
    pub final_url: Option<String>,
    /// The HTTP status of the answer.
    pub status_code: Option<i32>,
    /// The home page's title.
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    /// Its description.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// The address that it wants to be known by.
    #[sea_orm(column_type = "Text", nullable)]
    pub canonical: Option<String>,
    /// Its language as a tag of BCP 47.
    pub language: Option<String>,
    /// Its character encoding, as the WHATWG Encoding Standard names it.
    pub charset: Option<String>,
    /// The site's name for itself.
    #[sea_orm(column_type = "Text", nullable)]
    pub site_name: Option<String>,
    /// What made the page.
    #[sea_orm(column_type = "Text", nullable)]
    pub generator: Option<String>,
    /// The icon that stands for the site.
    #[sea_orm(column_type = "Text", nullable)]
    pub icon: Option<String>,
    /// The image of the share card.
    #[sea_orm(column_type = "Text", nullable)]
    pub image: Option<String>,
    /// What its robots.txt came to: `rules`, `none` or `unreachable`.
    pub robots: Option<String>,
    /// How many sitemaps its robots.txt names.
    pub robots_sitemaps: Option<i64>,
    /// All icons, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub icons: Option<String>,
    /// The feeds that it announces, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub feeds: Option<String>,
    /// The fields of its OpenGraph card, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub open_graph: Option<String>,
    /// The fields of its Twitter card, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub twitter: Option<String>,
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
        RowState { id: row.id, label: row.name.clone(), attempts, history: row.history.clone() }
    }

    async fn update_waiting(tx: &DbTx, rows: RowsWaiting) -> Result<(), DbErr> {
        queue::update_waiting::<Self>(tx, rows).await
    }

    async fn next_due_at(reader: &DatabaseConnection) -> Result<Option<Timestamp>, DbErr> {
        queue::next_ready_at::<Self>(reader).await
    }
}

impl HostTable for Entity {
    const READY_AT: host::Column = host::Column::DomainsReadyAt;
    const HOST_ID: Column = Column::HostId;

    fn set_turn(row: &mut Model, turn: Timestamp) {
        row.due_at = turn.as_micros();
    }
}
