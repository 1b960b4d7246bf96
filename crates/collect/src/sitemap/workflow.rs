//! The workflow of sitemaps: read the file as it arrives, and give every address in it a row.

use celeriac_control::workflow::{ClaimRequest, ClaimedRow, ItemCtx, ItemError, Processed, Workflow};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};

use super::entity::{self as sitemap, Column, Entity, SitemapSource};
use super::extract::{SitemapError, SitemapReader};
use super::findings::{Findings, Read};
use super::import::Import;
use crate::collector::Collector;
use crate::error::RowError;
use crate::fetch::{FetchError, FetchRequest};
use crate::host::claim::claim;
use crate::host::visit::{Answer, Visits};
use crate::page::findings::Shown;
use crate::url::CanonicalUrl;

/// How many redirects of one sitemap are followed.
const REDIRECTS_MAX: usize = 5;

/// What a sitemap is asked for as.
const ACCEPT: &str = "application/xml,text/xml,text/plain;q=0.9,application/gzip;q=0.9,*/*;q=0.5";

/// Moves sitemaps from *pending* to rows for what they list: pages, or sitemaps below an index.
///
/// A file that breaks off keeps what came before, with a warning; one of which nothing can be used ends in
/// *error*. Where nothing promised a sitemap (`/sitemap.xml`, tried because robots.txt names none), its
/// absence is no error: the row is *completed* and its kind is `absent`.
#[derive(Debug)]
pub struct SitemapWorkflow {
    collector: Collector,
}

impl SitemapWorkflow {
    /// Takes what it shares with its siblings.
    pub fn new(collector: Collector) -> Self {
        Self { collector }
    }
}

impl Workflow for SitemapWorkflow {
    type Table = Entity;
    const NAME: &'static str = "sitemap";
    const JOB: &'static str = "process_sitemap_imports";
    const DESCRIPTION: &'static str = "reads sitemaps and queues what they list";

    async fn get_pending_items(
        &self,
        tx: &DbTx,
        request: ClaimRequest,
    ) -> Result<Vec<ClaimedRow<Self>>, DbErr> {
        self.collector.ledger().write(tx).await?;
        claim::<Entity>(tx, &self.collector.settings().hosts, request).await
    }

    async fn process(&self, row: sitemap::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        let turn = Timestamp::from_micros(row.due_at);
        let mut visits = Visits::new(self.collector.clone(), row.host_id, turn);
        let outcome = Box::pin(self.collect(&row, &mut visits)).await;
        let (lessons, now) = (visits.finish(), self.collector.clock().now());
        match absence_is_no_error(&row, outcome) {
            Ok(findings) => Ok(Processed::with(async move |tx| {
                Entity::update_from_result(tx, row.id, row.domain_id, findings, now).await?;
                lessons.write(tx).await
            })),
            Err(error) => {
                let shown = Shown::of(&error);
                Err(error.into_item_error(self.collector.clock()).with(async move |tx| {
                    if let Some(shown) = shown {
                        Entity::update_from_processing(tx, row.id, &shown, now).await?;
                    }
                    lessons.write(tx).await
                }))
            }
        }
    }
}

impl SitemapWorkflow {
    async fn collect(&self, row: &sitemap::Model, visits: &mut Visits) -> Result<Findings, RowError> {
        let start = CanonicalUrl::parse(&row.url)
            .map_err(|source| RowError::Url { text: row.url.clone(), source })?;
        let (url, answer) = self.open(start, visits).await?;
        let Some(mut answer) = answer else { return Ok(Findings::elsewhere(&url)) };
        let head = answer.stream.head().clone();
        let scope = self.collector.scope(row.domain_id).await?;
        let mut reader = SitemapReader::new(url.clone(), self.collector.settings().sitemap.clone());
        let import = Import::new(&self.collector, row, &scope);
        let result = import.run(&mut answer.stream, &mut reader).await;
        let broken = result.as_ref().ok().and_then(|(.., broken)| broken.as_ref());
        visits.close(&answer, broken.map_or(Ok(head.status), Err));
        let (totals, report, broken) = result?;
        match broken {
            Some(error) if report.entries == 0 || error.is_retryable() => Err(error.into()),
            broken => {
                let read =
                    Read { url: &url, head: &head, wire_bytes: answer.stream.wire_bytes(), report, totals };
                Ok(Findings::of_sitemap(&read, broken.as_ref()))
            }
        }
    }

    /// Follows redirects until something answers, or until one leads to a sitemap that has its own row.
    async fn open(
        &self,
        start: CanonicalUrl,
        visits: &mut Visits,
    ) -> Result<(CanonicalUrl, Option<Answer>), RowError> {
        let mut url = start;
        for _ in 0..=REDIRECTS_MAX {
            let settings = self.collector.settings();
            let request = FetchRequest::new(url.to_url())
                .accept(ACCEPT)
                .body_bytes_max(settings.sitemap.bytes_max)
                .total_timeout(settings.sitemap_timeout);
            let to = match visits.open(&url, request).await {
                Ok(answer) => return Ok((url, Some(answer))),
                Err(RowError::Fetch(FetchError::Redirected { to, .. })) => to,
                Err(error) => return Err(error),
            };
            url = CanonicalUrl::parse(&to).map_err(|source| RowError::Url {
                text: format!("{url} redirects to {to}, which"),
                source,
            })?;
            if self.has_row(&url).await? {
                return Ok((url, None));
            }
        }
        Err(FetchError::TooManyRedirects { url: url.to_string(), limit: REDIRECTS_MAX }.into())
    }

    async fn has_row(&self, url: &CanonicalUrl) -> Result<bool, DbErr> {
        let key = url.key().as_bytes().to_vec();
        let rows = Entity::find().filter(Column::UrlKey.eq(key)).count(self.collector.database().reader());
        Ok(rows.await? > 0)
    }
}

/// Takes it well that there is no sitemap where only we looked for one.
fn absence_is_no_error(
    row: &sitemap::Model,
    outcome: Result<Findings, RowError>,
) -> Result<Findings, RowError> {
    let is_guess = row.found_by == SitemapSource::Guess;
    match outcome {
        Err(RowError::Fetch(FetchError::Rejected { status, .. })) if is_guess => {
            Ok(Findings::absent(Some(status)))
        }
        Err(RowError::Sitemap { source: SitemapError::Html { .. }, .. }) if is_guess => {
            Ok(Findings::absent(None))
        }
        outcome => outcome,
    }
}
