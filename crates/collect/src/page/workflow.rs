//! The workflow of pages: fetch, read, keep what was found, and give its links rows of their own.

use celeriac_control::workflow::{ClaimRequest, ClaimedRow, ItemCtx, ItemError, Processed, Workflow};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::DbErr;

use super::entity::{self as page, PageSource};
use super::extract::{Page, PageSource as Source, extract_page};
use super::findings::{Findings, Shown};
use super::found::{self, FoundPage};
use super::links::LinkRules;
use crate::collector::Collector;
use crate::error::RowError;
use crate::fetch::{FetchError, FetchRequest, Fetched, FetchedHead, PRODUCT_TOKEN, decode};
use crate::host::claim::claim;
use crate::host::visit::Visits;
use crate::url::CanonicalUrl;

/// From this size on a page is read on a thread where it holds up nobody, in bytes.
const LARGE_BYTES: usize = 256 * 1024;

/// What a page may be sent as.
const PAGE_TYPES: &[&str] = &["text/html", "application/xhtml+xml"];

/// Moves pages from *pending* to what is known of them.
///
/// - A page that is no HTML is *completed* with its Content-Type and no links: a site's PDF files are no errors.
/// - A page that redirects is *completed* as another name for its target, which has a row of its own and is
///   fetched once, by the rules of its own host.
/// - A page that robots.txt disallows ends in *error* and names the rule.
#[derive(Debug)]
pub struct PageWorkflow {
    collector: Collector,
}

impl PageWorkflow {
    /// Takes what it shares with its siblings.
    pub fn new(collector: Collector) -> Self {
        Self { collector }
    }
}

impl Workflow for PageWorkflow {
    type Table = page::Entity;
    const NAME: &'static str = "page";
    const JOB: &'static str = "process_pending_pages";
    const DESCRIPTION: &'static str = "fetches pages, keeps what they say and follows their links";

    async fn get_pending_items(
        &self,
        tx: &DbTx,
        request: ClaimRequest,
    ) -> Result<Vec<ClaimedRow<Self>>, DbErr> {
        self.collector.ledger().write(tx).await?;
        claim::<page::Entity>(tx, &self.collector.settings().hosts, request).await
    }

    async fn process(&self, row: page::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        let turn = Timestamp::from_micros(row.due_at);
        let mut visits = Visits::new(self.collector.clone(), row.host_id, turn);
        let outcome = Box::pin(self.collect(&row, &mut visits)).await;
        let (lessons, collector) = (visits.finish(), self.collector.clone());
        match outcome {
            Ok(outcome) => Ok(Processed::with(async move |tx| {
                outcome.write(tx, &collector, &row).await?;
                lessons.write(tx).await
            })),
            Err(error) => {
                let (shown, now) = (Shown::of(&error), self.collector.clock().now());
                Err(error.into_item_error(self.collector.clock()).with(async move |tx| {
                    if let Some(shown) = shown {
                        page::Entity::update_from_processing(tx, row.id, &shown, now).await?;
                    }
                    lessons.write(tx).await
                }))
            }
        }
    }
}

/// What is written when a page is done.
struct Outcome {
    findings: Findings,
    pages: Vec<FoundPage>,
}

impl Outcome {
    async fn write(self, tx: &DbTx, collector: &Collector, row: &page::Model) -> Result<(), DbErr> {
        page::Entity::update_from_result(tx, row.id, self.findings).await?;
        found::add(tx, collector, row.domain_id, self.pages).await?;
        Ok(())
    }
}

impl PageWorkflow {
    async fn collect(&self, row: &page::Model, visits: &mut Visits) -> Result<Outcome, RowError> {
        let url = CanonicalUrl::parse(&row.url)
            .map_err(|source| RowError::Url { text: row.url.clone(), source })?;
        let answer = match visits.open(&url, FetchRequest::new(url.to_url())).await {
            Ok(answer) => answer,
            Err(RowError::Fetch(FetchError::Redirected { status, to, .. })) => {
                return self.redirect(row, status, &to).await;
            }
            Err(error) => return Err(error),
        };
        if !may_be_page(answer.stream.head()) {
            let (head, now) = (answer.stream.head().clone(), self.collector.clock().now());
            visits.close(&answer, Ok(head.status));
            return Ok(Outcome { findings: Findings::of_head(&head, now), pages: Vec::new() });
        }
        let fetched = visits.read(answer).await?;
        let now = self.collector.clock().now();
        if !is_page(&fetched) {
            return Ok(Outcome { findings: Findings::of_head(&fetched.head, now), pages: Vec::new() });
        }
        let (fetched, page, charset) = read_page(url.clone(), fetched).await?;
        self.outcome(row, &url, &fetched, &page, charset).await
    }

    async fn outcome(
        &self,
        row: &page::Model,
        url: &CanonicalUrl,
        fetched: &Fetched,
        page: &Page,
        charset: &'static str,
    ) -> Result<Outcome, RowError> {
        let now = self.collector.clock().now();
        let scope = self.collector.scope(row.domain_id).await?;
        let nofollow = page.directives.for_robot(PRODUCT_TOKEN).nofollow;
        let rules = LinkRules::new(&scope, self.collector.settings(), now);
        let mut followed = rules.follow(page, url, row.depth, nofollow);
        self.collector.pages().retain_unknown(&mut followed.pages, |page| page.url.key());
        let findings = Findings::of_page(fetched, page, charset, &followed).at(now);
        let here = |page| FoundPage { parent_id: Some(row.id), ..page };
        Ok(Outcome { findings, pages: followed.pages.into_iter().map(here).collect() })
    }

    /// Makes the page another name for the target, which is collected by itself if it belongs here.
    async fn redirect(&self, row: &page::Model, status: u16, to: &str) -> Result<Outcome, RowError> {
        let now = self.collector.clock().now();
        let target = CanonicalUrl::parse(to).map_err(|source| RowError::Url {
            text: format!("{} redirects to {to}, which", row.url),
            source,
        })?;
        let hops = row.hops.saturating_add(1);
        let settings = self.collector.settings();
        if u32::try_from(hops).unwrap_or(0) > settings.redirects_max {
            let (hops, to) = (row.hops, target.as_str());
            return Err(RowError::permanent(format!("{hops} redirects in a row lead here, and on to {to}")));
        }
        let scope = self.collector.scope(row.domain_id).await?;
        let rules = LinkRules::new(&scope, settings, now);
        let is_wanted = scope.contains(&target) || (row.domain_id.is_none() && target.site() == site_of(row));
        let mut pages = Vec::new();
        if is_wanted && rules.trap(&target).is_none() {
            let found = FoundPage::new(target.clone(), PageSource::Redirect);
            pages.push(FoundPage { depth: row.depth, hops, parent_id: Some(row.id), ..found });
        }
        Ok(Outcome { findings: Findings::of_redirect(status, target.as_str(), now), pages })
    }
}

/// Reads a page that was fetched by another workflow, as this one would.
pub(crate) async fn read_page(
    url: CanonicalUrl,
    fetched: Fetched,
) -> Result<(Fetched, Page, &'static str), RowError> {
    let size = fetched.body.len();
    let read = move || {
        let host = url.host().to_owned();
        let decoded = decode(&fetched.body, fetched.head.content_type.as_deref(), Some(&host));
        let headers: Vec<&str> = fetched.head.x_robots_tag.iter().map(String::as_str).collect();
        let source = Source { robots_headers: &headers, ..Source::new(&url, &decoded.text) };
        let (page, charset) = (extract_page(&source), decoded.encoding);
        (fetched, page, charset)
    };
    if size < LARGE_BYTES {
        return Ok(read());
    }
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|error| RowError::permanent(format!("the page could not be read: {error}")))
}

/// Says whether the head leaves room for a page; a body without a type is looked at.
pub(crate) fn may_be_page(head: &FetchedHead) -> bool {
    head.media_type().is_none_or(|media_type| PAGE_TYPES.contains(&media_type.as_str()))
}

/// Says whether what came is a page: without a type, its first character decides.
pub(crate) fn is_page(fetched: &Fetched) -> bool {
    fetched.head.media_type().is_some() || fetched.body.trim_ascii_start().first() == Some(&b'<')
}

fn site_of(row: &page::Model) -> String {
    CanonicalUrl::parse(&row.url).map(|url| url.site().to_owned()).unwrap_or_default()
}
