//! What was read on a page and can be long: one row per page, written when the page is done.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// The parts of a page that lists don't show. What later extractors read of a page becomes a column here.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_page_contents")]
pub struct Model {
    /// The page.
    #[sea_orm(primary_key, auto_increment = false)]
    pub page_id: i64,
    /// Headings of the levels 1 to 3, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub headings: String,
    /// Links to other pages, each once, a JSON array of `{url, text, scope, rel}`; `rel` only where it says
    /// something.
    #[sea_orm(column_type = "Text")]
    pub links: String,
    /// The same page in other languages, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub alternates: String,
    /// What the page asks of robots, JSON.
    #[sea_orm(column_type = "Text")]
    pub directives: String,
}

impl ActiveModelBehavior for ActiveModel {}
