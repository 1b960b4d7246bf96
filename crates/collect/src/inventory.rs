//! Every row of the three tables as it stands, for checkers that compare it with what a site was asked for.

use celeriac_control::workflow::{ItemStatus, WorkflowTable};
use sea_orm::{DatabaseConnection, DbErr, QueryOrder, QuerySelect};

use crate::domain::entity as domain;
use crate::page::entity as page;
use crate::sitemap::entity as sitemap;

/// Every row of the three tables, in the order in which they were added.
///
/// It is held in memory as a whole: some hundred bytes a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The domains, by the address of their home page.
    pub domains: Vec<InventoryRow>,
    /// The sitemaps.
    pub sitemaps: Vec<InventoryRow>,
    /// The pages.
    pub pages: Vec<InventoryRow>,
}

/// How one row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryRow {
    /// Its address, as the row has it.
    pub url: String,
    /// What its status means; nothing where the table has no such word.
    pub status: Option<ItemStatus>,
    /// Attempts charged so far.
    pub attempts: u32,
}

impl Inventory {
    /// Reads all three tables, each as of one instant.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(reader: &DatabaseConnection) -> Result<Self, DbErr> {
        Ok(Self {
            domains: rows::<domain::Entity>(reader, domain::Column::Url).await?,
            sitemaps: rows::<sitemap::Entity>(reader, sitemap::Column::Url).await?,
            pages: rows::<page::Entity>(reader, page::Column::Url).await?,
        })
    }
}

async fn rows<E: WorkflowTable>(
    reader: &DatabaseConnection,
    url: E::Column,
) -> Result<Vec<InventoryRow>, DbErr> {
    let c = E::columns();
    let rows: Vec<(String, String, i32)> = E::find()
        .select_only()
        .columns([url, c.status, c.attempts])
        .order_by_asc(c.id)
        .into_tuple()
        .all(reader)
        .await?;
    let row = |(url, status, attempts): (String, String, i32)| InventoryRow {
        url,
        status: E::STATUSES.meaning(&status),
        attempts: u32::try_from(attempts).unwrap_or(0),
    };
    Ok(rows.into_iter().map(row).collect())
}
