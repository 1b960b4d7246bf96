//! What reading a sitemap came to, and how its row takes it.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter};
use serde_json::json;

use super::entity::{ActiveModel, Column, Entity};
use super::extract::{SitemapKind, SitemapReport};
use super::found::count;
use super::import::Totals;
use crate::domain::entity as domain;
use crate::fetch::{FetchError, FetchedHead};
use crate::page::findings::{Shown, list};
use crate::url::CanonicalUrl;

/// The word of `sitemaps.kind` where the usual place was tried and nothing was there.
pub(crate) const ABSENT: &str = "absent";

/// A sitemap that was read.
pub(crate) struct Read<'a> {
    pub(crate) url: &'a CanonicalUrl,
    pub(crate) head: &'a FetchedHead,
    pub(crate) wire_bytes: u64,
    pub(crate) report: SitemapReport,
    pub(crate) totals: Totals,
}

/// What is written of a sitemap once it has been read.
#[derive(Debug)]
pub(crate) struct Findings {
    row: ActiveModel,
    is_read: bool,
}

impl Findings {
    /// Takes a sitemap that was read, as far as it could be.
    pub(crate) fn of_sitemap(read: &Read<'_>, broken: Option<&FetchError>) -> Self {
        let Read { url, head, wire_bytes, report, totals } = read;
        let row = ActiveModel {
            final_url: Set(Some(url.as_str().to_owned())),
            status_code: Set(Some(i32::from(head.status))),
            content_type: Set(head.content_type.clone()),
            wire_bytes: Set(Some(number(*wire_bytes))),
            body_bytes: Set(Some(number(report.expanded_bytes))),
            kind: Set(report.kind.map(|kind| word(kind).to_owned())),
            entries: Set(Some(number(report.entries))),
            skipped: Set(Some(number(report.skipped))),
            left_out: Set(Some(number(totals.left_out))),
            pages_added: Set(Some(number(totals.pages_added))),
            sitemaps_added: Set(Some(number(totals.sitemaps_added))),
            warnings: Set(Some(warnings(report, broken))),
            ..Default::default()
        };
        Self { row, is_read: true }
    }

    /// Takes a place where none is, and where none was promised.
    pub(crate) fn absent(status: Option<u16>) -> Self {
        let row = ActiveModel {
            status_code: Set(status.map(i32::from)),
            kind: Set(Some(ABSENT.to_owned())),
            ..Default::default()
        };
        Self { row, is_read: false }
    }

    /// Takes an address that redirects to a sitemap which has a row of its own.
    pub(crate) fn elsewhere(url: &CanonicalUrl) -> Self {
        let row = ActiveModel { final_url: Set(Some(url.as_str().to_owned())), ..Default::default() };
        Self { row, is_read: false }
    }
}

impl Entity {
    /// Writes what was found in a sitemap, in the transaction that ends its processing.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_result(
        tx: &DbTx,
        id: i64,
        domain_id: Option<i64>,
        findings: Findings,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let row = ActiveModel { fetched_at: Set(Some(now.as_micros())), ..findings.row };
        Self::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await?;
        count(tx, domain_id, domain::Column::SitemapsRead, u64::from(findings.is_read)).await
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

/// Writes what was wrong with a sitemap as JSON: a kind, and what it showed in.
fn warnings(report: &SitemapReport, broken: Option<&FetchError>) -> String {
    let broken = broken.map(|error| json!({ "kind": "broken_off", "sample": error.to_string() }));
    let known = report.warnings.iter().filter_map(|warning| serde_json::to_value(warning).ok());
    list(&known.chain(broken).collect::<Vec<_>>())
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const fn word(kind: SitemapKind) -> &'static str {
    match kind {
        SitemapKind::UrlSet => "url_set",
        SitemapKind::Index => "index",
        SitemapKind::Text => "text",
        SitemapKind::Rss => "rss",
        SitemapKind::Atom => "atom",
    }
}
